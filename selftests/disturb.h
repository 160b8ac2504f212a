/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that do, again and again, what can be under way beside connections. */
#ifndef TCPSTATE_SELFTESTS_DISTURB_H
#define TCPSTATE_SELFTESTS_DISTURB_H

#include <linux/genetlink.h>
#include <linux/netlink.h>

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

/* What is asked of the module, attribute by attribute, by a netlink socket's @fd. */
struct request {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	char attrs[64];
};

void request_begin(struct request *r, int type, int cmd, int flags);
void request_put(struct request *r, int type, const void *data, size_t size);
int request_send(int fd, const struct request *r);
/* The family's number, which is another one after each load; 0 while there is none. */
int request_family(int fd);

#endif
