/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_PROGRESS_H
#define TCPSTATE_PROGRESS_H

void progress_start(const char *what);
void progress_stop(void);

#endif
