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

/* A connection is about to enter CLOSE_WAIT: is tcpstate_leak_arm() to know?
 * Preemption off until it has.
 */
static __always_inline bool tcpstate_leak_unarmed(void)
{
	/* Pairs with the synchronize_rcu() of leak_check(). */
	return unlikely(!READ_ONCE(tcpstate_leak_armed));
}

#endif /* _TCPSTATE_LEAK_H */
