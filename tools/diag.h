/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_DIAG_H
#define TCPSTATE_DIAG_H

struct conn;

int diag_open(void);
void diag_close(void);
int diag_destroy(const struct conn *conn);

#endif
