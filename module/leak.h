/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_LEAK_H
#define _TCPSTATE_LEAK_H

#include <linux/types.h>

struct net;
struct tcpstate_alert;
struct tcpstate_netns;

extern bool tcpstate_leak_armed;

void tcpstate_leak_arm(void);
void tcpstate_leak_check(void);
void tcpstate_leak_fill(struct tcpstate_netns *netns,
			struct tcpstate_alert *alert);
bool tcpstate_leak_look(struct tcpstate_netns *netns, struct net *net);
void tcpstate_leak_exit(void);

/* A connection has entered CLOSE_WAIT, or is about to. */
static inline void tcpstate_leak_note(void)
{
	/* Pairs with the smp_mb() of leak_check(). */
	if (unlikely(!READ_ONCE(tcpstate_leak_armed)))
		tcpstate_leak_arm();
}

#endif /* _TCPSTATE_LEAK_H */
