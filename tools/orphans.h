/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_ORPHANS_H
#define TCPSTATE_ORPHANS_H

#include "out.h"

/* Of the whole machine. */
struct orphans {
	struct number count, limit;
};

void orphans_read(void);
const struct orphans *orphans_get(void);
void orphans_print(void);

#endif
