// SPDX-License-Identifier: GPL-2.0
/*
 * Answers about local ports.
 */
#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <net/ip.h>
#include <net/sock.h>

#include "netlink.h"
#include "reader.h"

/* More than what is said of a port, or of all, takes. */
#define PORT_SIZE	512

/**
 * struct port_cursor - where a dump of ports is
 * @table: the ports of the namespace that is being told; NULL if none is
 * @ino: inode number of that namespace
 * @next: the next port
 * @id: the lowest id of the next namespace
 * @over: there is no next namespace
 */
struct port_cursor {
	struct tcpstate_port	*table;
	u64			ino;
	u32			next;
	u64			id;
	bool			over;
};

static int fill_port(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		     u64 ino, u16 number, const struct tcpstate_port *port)
{
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_PORT_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_PORT_NETNS_INO, ino) ||
	    nla_put_u16(skb, TCPSTATE_A_PORT_PORT, number) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_SOCKETS, port->sockets) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_TIME_WAIT, port->time_wait) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_CLOSE_WAIT, port->close_wait) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_LISTEN, port->listen)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * tcpstate_nl_port_get_doit() - one port of the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_port_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct tcpstate_netns *netns;
	struct tcpstate_port port;
	struct sk_buff *answer;
	u16 number = 0;
	int err;

	err = tcpstate_netlink_refuse(info->nlhdr,
				      BIT_ULL(TCPSTATE_A_PORT_ALL_NETNS),
				      info->extack);
	if (err)
		return err;
	if (info->attrs[TCPSTATE_A_PORT_PORT])
		number = nla_get_u16(info->attrs[TCPSTATE_A_PORT_PORT]);
	if (!number) {
		NL_SET_ERR_MSG(info->extack, "the attribute port is missing, or 0");
		return -EINVAL;
	}
	netns = tcpstate_netlink_own(net, info->extack);
	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(PORT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	tcpstate_port_one(netns, number, &port);
	err = fill_port(answer, info->snd_portid, info->snd_seq, 0,
			net->ns.inum, number, &port);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/* Read the ports of the next namespace that the dump is about. */
static int port_dump_next(struct netlink_callback *cb)
{
	struct port_cursor *cursor = (void *)cb->ctx;
	bool all = tcpstate_dump_attr(cb, TCPSTATE_A_PORT_ALL_NETNS);
	struct net *net = sock_net(cb->skb->sk);
	struct tcpstate_netns *netns;

	if (all) {
		netns = tcpstate_netlink_next(cursor->id);
		if (!netns) {
			cursor->over = true;
			return 0;
		}
		net = netns->net;
	} else {
		netns = tcpstate_netlink_own(net, cb->extack);
		if (!netns)
			return -ENOMEM;
		get_net(net);
	}
	cursor->table = tcpstate_port_table(netns);
	/* Not before: what has been told by then is sent first, and an error
	 * only if it fails once more.
	 */
	if (cursor->table && all)
		cursor->id = netns->id + 1;
	else if (cursor->table)
		cursor->over = true;
	cursor->ino = net->ns.inum;
	cursor->next = 1;
	put_net(net);
	return cursor->table ? 0 : -ENOMEM;
}

/**
 * tcpstate_nl_port_get_dumpit() - ports in use
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_port_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct port_cursor *cursor = (void *)cb->ctx;
	const struct tcpstate_port *port;
	int err;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	err = tcpstate_netlink_refuse(cb->nlh, BIT_ULL(TCPSTATE_A_PORT_PORT),
				      cb->extack);
	if (!err && tcpstate_dump_attr(cb, TCPSTATE_A_PORT_ALL_NETNS))
		err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	for (;;) {
		if (!cursor->table && !cursor->over)
			err = port_dump_next(cb);
		if (err || !cursor->table)
			break;
		for (; cursor->next < TCPSTATE_PORTS; cursor->next++) {
			port = &cursor->table[cursor->next];
			if (!port->sockets)
				continue;
			err = fill_port(skb, NETLINK_CB(cb->skb).portid,
					cb->nlh->nlmsg_seq, NLM_F_MULTI,
					cursor->ino, cursor->next, port);
			if (err)
				return skb->len ? : err;
		}
		kvfree(cursor->table);
		cursor->table = NULL;
	}
	return skb->len ? : err;
}

/**
 * tcpstate_nl_port_done() - a dump of ports has ended
 * @cb: the dump
 *
 * Return: 0.
 */
int tcpstate_nl_port_done(struct netlink_callback *cb)
{
	struct port_cursor *cursor = (void *)cb->ctx;

	kvfree(cursor->table);
	return 0;
}

/* What takes a walk: of the bind hash, and of the connections. */
static int put_walked(struct sk_buff *skb, struct tcpstate_netns *netns,
		      struct net *net)
{
	struct tcpstate_port *table = tcpstate_port_table(netns);
	u32 reserved = 0, blocked = 0, in_use = 0, i;
	struct tcpstate_room *room;

	if (!table)
		return -ENOMEM;
	for (i = 1; i < TCPSTATE_PORTS; i++)
		in_use += table[i].sockets > 0;
	kvfree(table);

	mutex_lock(&tcpstate_dest_mutex);
	room = tcpstate_port_room(netns, net, 0, ktime_get_ns());
	if (room) {
		reserved = room->reserved;
		blocked = room->blocked;
	}
	mutex_unlock(&tcpstate_dest_mutex);
	if (!room)
		return -ENOMEM;
	return nla_put_u32(skb, TCPSTATE_A_PORT_SUMMARY_RESERVED, reserved) ||
	       nla_put_u32(skb, TCPSTATE_A_PORT_SUMMARY_BIND_BLOCKED,
			   blocked) ||
	       nla_put_u32(skb, TCPSTATE_A_PORT_SUMMARY_IN_USE, in_use) ?
	       -EMSGSIZE : 0;
}

static int put_bind(struct sk_buff *skb, struct tcpstate_netns *netns,
		    const struct tcpstate_reader *reader)
{
	u64 missed;

	if (!tcpstate_probe_bind(&missed))
		return 0;
	return tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_BIND_FAILURES,
				atomic64_read(&netns->bind_refused.count)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_BIND_MISSED,
				missed) ||
	       tcpstate_process_put_attr(skb,
					 TCPSTATE_A_PORT_SUMMARY_LAST_BIND_FAILURE,
					 &netns->bind_refused.last, reader) ?
	       -EMSGSIZE : 0;
}

static int fill_summary(struct sk_buff *skb, u32 portid, u32 seq, int flags,
			struct tcpstate_netns *netns, struct net *net,
			bool walk, const struct tcpstate_reader *reader)
{
	int low, high, err = -EMSGSIZE;
	void *hdr;

	inet_get_local_port_range(net, &low, &high);
	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_PORT_SUMMARY_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_NETNS_INO,
			     netns->ino) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_SUMMARY_LOW, low) ||
	    nla_put_u32(skb, TCPSTATE_A_PORT_SUMMARY_HIGH, high) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_CONNECT_FAILURES,
			     atomic64_read(&netns->connect_refused)) ||
	    tcpstate_process_put_attr(skb,
				      TCPSTATE_A_PORT_SUMMARY_LAST_CONNECT_FAILURE,
				      &netns->connect_last, reader) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_FAILURES,
			     atomic64_read(&netns->own_range_refused)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS,
			     atomic_read(&netns->dests)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_MAX,
			     tcpstate_dest_max(netns)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_DROPPED,
			     atomic64_read(&netns->dests_dropped)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_PORT_SUMMARY_WITHOUT_DESTINATION,
			     max(atomic_read(&netns->others.conns), 0)) ||
	    tcpstate_put_u64(skb,
			     TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_BIND_FAILURES,
			     atomic64_read(&netns->own_range_bind_refused)) ||
	    put_bind(skb, netns, reader))
		goto cancel;
	if (walk) {
		err = put_walked(skb, netns, net);
		if (err)
			goto cancel;
	}
	genlmsg_end(skb, hdr);
	return 0;

cancel:
	genlmsg_cancel(skb, hdr);
	return err;
}

/**
 * tcpstate_nl_port_summary_get_doit() - the range of the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_port_summary_get_doit(struct sk_buff *skb,
				      struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct tcpstate_netns *netns = tcpstate_netlink_own(net, info->extack);
	struct tcpstate_reader reader;
	struct sk_buff *answer;
	int err;

	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(PORT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	tcpstate_reader_init(&reader, skb, net);
	err = fill_summary(answer, info->snd_portid, info->snd_seq, 0, netns,
			   net, info->attrs[TCPSTATE_A_PORT_SUMMARY_WALK],
			   &reader);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/**
 * tcpstate_nl_port_summary_get_dumpit() - the range of every namespace
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_port_summary_get_dumpit(struct sk_buff *skb,
					struct netlink_callback *cb)
{
	bool walk = tcpstate_dump_attr(cb, TCPSTATE_A_PORT_SUMMARY_WALK);
	struct port_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_netns *netns;
	struct tcpstate_reader reader;
	int err;

	err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	tcpstate_reader_init(&reader, cb->skb, sock_net(cb->skb->sk));
	while ((netns = tcpstate_netlink_next(cursor->id))) {
		err = fill_summary(skb, NETLINK_CB(cb->skb).portid,
				   cb->nlh->nlmsg_seq, NLM_F_MULTI, netns,
				   netns->net, walk, &reader);
		if (!err)
			cursor->id = netns->id + 1;
		put_net(netns->net);
		if (err)
			break;
	}
	return skb->len ? : err;
}
