/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_NETLINK_H
#define _TCPSTATE_NETLINK_H

#include <net/genetlink.h>

#include "nl-gen.h"
#include "tcpstate.h"

/* What the files that answer requests share. */

extern struct genl_family tcpstate_netlink_family;

/* Every set has its pad as attribute 1. */
static inline int tcpstate_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, TCPSTATE_A_COUNTERS_PAD);
}

/* An attribute of the request that a dump answers, or NULL. */
static inline struct nlattr *tcpstate_dump_attr(struct netlink_callback *cb,
						int attr)
{
	return nlmsg_find_attr(cb->nlh, GENL_HDRLEN, attr);
}

struct tcpstate_netns *tcpstate_netlink_own(struct net *net,
					    struct netlink_ext_ack *extack);
int tcpstate_netlink_may_see_all(struct netlink_callback *cb);
struct tcpstate_netns *tcpstate_netlink_next(u64 id);

#endif /* _TCPSTATE_NETLINK_H */
