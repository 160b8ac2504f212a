/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_NETLINK_H
#define _TCPSTATE_NETLINK_H

#include <net/genetlink.h>
#include <net/netlink.h>

#include "nl-gen.h"
#include "tcpstate.h"

/* netlink.c: what the answers have in common */
extern struct genl_family tcpstate_netlink_family;

struct tcpstate_netns *tcpstate_netlink_netns(struct genl_info *info);
struct tcpstate_netns *
tcpstate_netlink_dump_netns(const struct netlink_callback *cb);
struct tcpstate_netns *tcpstate_netlink_dump_next(u64 id);
int tcpstate_netlink_may_see_all(struct netlink_callback *cb);

static inline int put_u64(struct sk_buff *skb, int attr, u64 value)
{
	/* Every set has its pad as attribute 1. */
	return nla_put_u64_64bit(skb, attr, value, TCPSTATE_A_COUNTERS_PAD);
}

#endif /* _TCPSTATE_NETLINK_H */
