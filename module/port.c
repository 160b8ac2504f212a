// SPDX-License-Identifier: GPL-2.0
/*
 * Local ports: what holds them, and which of them connect() could ever get.
 *
 * connect() of an unbound socket tries the ports of ip_local_port_range but
 * for those in ip_local_reserved_ports and those that somebody took with
 * bind(): it passes over a port whose bind bucket has not been made by
 * connect(), whatever its destination. No event tells of bind(), so that the
 * buckets are read when there is a question; reading them takes each bucket's
 * lock for itself.
 */
#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/sock.h>

#include "compat.h"
#include "tcpstate.h"

/* What has been read of ports and not been asked for since is dropped. */
#define ROOM_KEPT	(60 * (u64)NSEC_PER_SEC)

/* Bind buckets looked at before something else may have its turn. */
#define BUCKETS_BATCH	256

/* As inet_sk_bound_l3mdev() says of a socket bound to @ifindex. */
static int bound_l3mdev(struct net *net, int ifindex)
{
#ifdef CONFIG_NET_L3_MASTER_DEV
	if (ifindex && !READ_ONCE(net->ipv4.sysctl_tcp_l3mdev_accept))
		return l3mdev_master_ifindex_by_index(net, ifindex);
#endif
	return 0;
}

/* Take the reserved ports out of @room. */
static void room_read_reserved(struct tcpstate_room *room,
			       const struct net *net)
{
#ifdef CONFIG_SYSCTL
	/* As inet_is_local_reserved_port() does, but for all at once. */
	const unsigned long *reserved = net->ipv4.sysctl_local_reserved_ports;

	if (reserved)
		bitmap_andnot(room->inside, room->inside, reserved,
			      TCPSTATE_PORTS);
#endif
}

/* Take the ports of one bind bucket's chain out of @room. Bottom halves off. */
static void room_read_bucket(struct tcpstate_room *room, struct net *net,
			     struct inet_bind_hashbucket *head)
{
	struct inet_bind_bucket *tb;

	spin_lock(&head->lock);
	inet_bind_bucket_for_each(tb, &head->chain)
		if (net_eq(ib_net(tb), net) && tb->l3mdev == room->l3mdev &&
		    (tb->fastreuse >= 0 || tb->fastreuseport >= 0))
			__clear_bit(tb->port, room->inside);
	spin_unlock(&head->lock);
}

static void room_read(struct tcpstate_room *room, struct net *net)
{
	struct inet_hashinfo *hashinfo = net->ipv4.tcp_death_row.hashinfo;
	unsigned int mask = hashinfo->bhash_size - 1;
	struct inet_bind_hashbucket *head;
	unsigned int ports, first, i;
	int low, high;

	room->read_at = ktime_get_ns();
	inet_get_local_port_range(net, &low, &high);
	room->low = low;
	room->high = high;
	ports = high - low + 1;

	bitmap_zero(room->inside, TCPSTATE_PORTS);
	bitmap_set(room->inside, low, ports);
	room_read_reserved(room, net);
	room->reserved = ports - bitmap_weight(room->inside, TCPSTATE_PORTS);

	/* Ports next to each other hash to buckets next to each other: this
	 * meets each bucket once that the range could be in.
	 */
	first = inet_bhashfn(net, low, hashinfo->bhash_size);
	local_bh_disable();
	for (i = 0; i < min(ports, hashinfo->bhash_size); i++) {
		head = &hashinfo->bhash[(first + i) & mask];
		if (!hlist_empty(&head->chain))
			room_read_bucket(room, net, head);
		if (i % BUCKETS_BATCH == BUCKETS_BATCH - 1) {
			local_bh_enable();
			cond_resched();
			local_bh_disable();
		}
	}
	local_bh_enable();
	room->capacity = bitmap_weight(room->inside, TCPSTATE_PORTS);
	room->blocked = ports - room->reserved - room->capacity;
}

/**
 * tcpstate_port_room() - which ports connect() could ever get
 * @netns: the namespace
 * @net: the same, held by the caller
 * @ifindex: the device its socket is bound to, or 0
 * @since: the ports must have been read then or later, nanoseconds of
 *	CLOCK_MONOTONIC: within one jiffy a range is changed and asked for
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: the room, good until the mutex is let go; NULL without memory.
 */
struct tcpstate_room *tcpstate_port_room(struct tcpstate_netns *netns,
					 struct net *net, int ifindex,
					 u64 since)
{
	int l3mdev = bound_l3mdev(net, ifindex);
	struct tcpstate_room *room;

	lockdep_assert_held(&tcpstate_dest_mutex);
	list_for_each_entry(room, &netns->rooms, list) {
		if (room->l3mdev != l3mdev)
			continue;
		if (room->read_at < since)
			room_read(room, net);
		return room;
	}
	/* VRFs come and go, and their numbers are not used again. */
	tcpstate_port_rooms_free(netns, ktime_get_ns() - ROOM_KEPT);
	room = kvmalloc(sizeof(*room), GFP_KERNEL | __GFP_NOWARN);
	if (!room)
		return NULL;
	room->l3mdev = l3mdev;
	room_read(room, net);
	list_add(&room->list, &netns->rooms);
	return room;
}

/**
 * tcpstate_port_rooms_free() - forget what has been read of ports
 * @netns: the namespace
 * @before: what was read before, nanoseconds of CLOCK_MONOTONIC
 *
 * Context: process context, tcpstate_dest_mutex held or @netns nobody else's.
 */
void tcpstate_port_rooms_free(struct tcpstate_netns *netns, u64 before)
{
	struct tcpstate_room *room, *next;

	list_for_each_entry_safe(room, next, &netns->rooms, list) {
		if ((s64)(room->read_at - before) >= 0)
			continue;
		list_del(&room->list);
		kvfree(room);
	}
}

static void port_count(struct tcpstate_port *port, int state)
{
	port->sockets++;
	port->time_wait += state == TCP_TIME_WAIT;
	port->close_wait += state == TCP_CLOSE_WAIT;
	port->listen += state == TCP_LISTEN;
}

static void table_visit(int state, const struct sock *sk, void *arg)
{
	struct tcpstate_port *table = arg;
	unsigned int number = tcpstate_read_racy(sk->sk_num);

	if (number)	/* or connect() is about to choose one */
		port_count(&table[number], state);
}

/**
 * tcpstate_port_table() - what holds each local port
 * @netns: the namespace
 *
 * Walks the records once: nothing is kept per port. Who asks may keep it for as
 * long as he likes, and pays for it in his memory cgroup.
 *
 * Context: process context.
 * Return: TCPSTATE_PORTS entries, to be given to kvfree(); NULL without
 * memory.
 */
struct tcpstate_port *tcpstate_port_table(const struct tcpstate_netns *netns)
{
	struct tcpstate_port *table;

	table = kvcalloc(TCPSTATE_PORTS, sizeof(*table),
			 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (table)
		tcpstate_conn_walk(netns, table_visit, table);
	return table;
}

struct one {
	u16			number;
	struct tcpstate_port	*port;
};

static void one_visit(int state, const struct sock *sk, void *arg)
{
	struct one *one = arg;

	if (tcpstate_read_racy(sk->sk_num) == one->number)
		port_count(one->port, state);
}

/**
 * tcpstate_port_one() - what holds one local port
 * @netns: the namespace
 * @number: the port, not 0
 * @port: filled in
 *
 * Context: process context.
 */
void tcpstate_port_one(const struct tcpstate_netns *netns, u16 number,
		       struct tcpstate_port *port)
{
	struct one one = { .number = number, .port = port };

	memset(port, 0, sizeof(*port));
	tcpstate_conn_walk(netns, one_visit, &one);
}

/**
 * tcpstate_port_refuse() - bind() to port 0 found no port
 * @sk: the socket
 *
 * Context: process context.
 */
void tcpstate_port_refuse(const struct sock *sk)
{
	struct tcpstate_netns *netns;
	unsigned long flags;

	/* Off, so that the namespace's data stays; see tcpstate_netns_of(). */
	local_irq_save(flags);
	netns = tcpstate_netns_of(sock_net(sk));
	if (netns && tcpstate_own_port_range(sk)) {
		atomic64_inc(&netns->own_range_bind_refused);
	} else if (netns) {
		tcpstate_process_note(&netns->bind_refused.last);
		atomic64_inc(&netns->bind_refused.count);
		tcpstate_alert_refused(&netns->watch, &netns->bind_refused);
	}
	local_irq_restore(flags);
}
