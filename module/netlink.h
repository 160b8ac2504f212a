/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_NETLINK_H
#define _TCPSTATE_NETLINK_H

#include <net/genetlink.h>

#include "nl-gen.h"
#include "tcpstate.h"

/* What the files that answer requests share. */

extern struct genl_family tcpstate_netlink_family;
extern bool tcpstate_netlink_open;	/* under tcpstate_dest_mutex */

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

int tcpstate_netlink_refuse(const struct nlmsghdr *nlh, u64 attrs,
			    struct netlink_ext_ack *extack);
struct tcpstate_netns *tcpstate_netlink_own(struct net *net,
					    struct netlink_ext_ack *extack);
int tcpstate_netlink_may_see_all(struct netlink_callback *cb);
struct tcpstate_netns *tcpstate_netlink_next(u64 id);

/**
 * struct tcpstate_dest_attrs - what the parts of a destination are in a set
 * @family: attribute
 * @ifindex: attribute
 * @saddr: attribute
 * @daddr: attribute
 * @dport: attribute
 */
struct tcpstate_dest_attrs {
	u16	family;
	u16	ifindex;
	u16	saddr;
	u16	daddr;
	u16	dport;
};

int tcpstate_put_dest(struct sk_buff *skb, const struct tcpstate_dest *dest,
		      const struct tcpstate_dest_attrs *attrs);

int tcpstate_nl_dest_done(struct netlink_callback *cb);
int tcpstate_nl_port_done(struct netlink_callback *cb);

#endif /* _TCPSTATE_NETLINK_H */
