/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_LEAK_H
#define _TCPSTATE_LEAK_H

#include <linux/types.h>

struct net;
struct tcpstate_alert;
struct tcpstate_leak;
struct tcpstate_netns;

/* How many records an inbox may have before somebody looks at it: none while
 * the timer is not armed.
 */
#define TCPSTATE_LEAK_INBOX_MAX	63
extern unsigned int tcpstate_leak_inbox_max;

void tcpstate_leak_arm(void);
void tcpstate_leak_check(void);
void tcpstate_leak_fill(struct tcpstate_netns *netns,
			struct tcpstate_alert *alert);
bool tcpstate_leak_look(struct tcpstate_netns *netns, struct net *net);
u32 tcpstate_leak_in_force(const struct tcpstate_leak *leak,
			   const u32 *numbers);
void tcpstate_leak_exit(void);

/* A connection is about to enter CLOSE_WAIT: is tcpstate_leak_arm() to know?
 * Preemption off until it has.
 */
static __always_inline bool tcpstate_leak_unarmed(void)
{
	/* Pairs with the synchronize_rcu() of leak_check(). */
	return unlikely(!READ_ONCE(tcpstate_leak_inbox_max));
}

#endif /* _TCPSTATE_LEAK_H */
