/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that do, again and again, what can be under way beside connections. */
#ifndef TCPSTATE_SELFTESTS_DISTURB_H
#define TCPSTATE_SELFTESTS_DISTURB_H

#include "util.h"

enum {
	DISTURB_ASK,		/* commands, answered or told that there is no module */
	DISTURB_HALF_READ,	/* dumps that their reader leaves half read */
	DISTURB_DIE,		/* namespaces that die with connections in them */
	DISTURB_STARVE,		/* connect() that finds no port, beside CLOSE_WAIT for too long */
	DISTURBERS,
};

struct disturb {
	struct tally *tally;
	pid_t pid[DISTURBERS];
};

int disturb_start(struct disturb *d);
/* How often one of them has done so. */
uint64_t disturb_done(const struct disturb *d, int what);
/* Fails if there is a command that has not been answered yet, or a dump not half read. */
int disturb_all_done(const struct disturb *d);
/* Fails if one of them had trouble. */
int disturb_check(const struct disturb *d);
void disturb_stop(struct disturb *d);

#endif
