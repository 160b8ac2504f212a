// SPDX-License-Identifier: GPL-2.0
/*
 * Answers about destinations.
 */
#include <linux/bitfield.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "netlink.h"
#include "reader.h"

/* More than what is said of a destination takes. */
#define DEST_SIZE	512

/**
 * struct dest_row - one of the fullest destinations
 * @netns: with @key, what finds it again if it is still there
 * @key: likewise
 * @busy: ports used and not reusable
 * @capacity: of so many
 * @used: ports used
 * @refused: connect() calls refused
 */
struct dest_row {
	const struct tcpstate_netns	*netns;
	struct tcpstate_dest_key	key;
	u32				busy;
	u32				capacity;
	u32				used;
	u64				refused;
};

/**
 * struct dest_top - the fullest destinations
 * @max: how many are asked for
 * @count: how many there are
 * @sent: how many of them have been told
 * @rows: the fullest first
 */
struct dest_top {
	u32		max;
	u32		count;
	u32		sent;
	struct dest_row	rows[];
};

/**
 * struct dest_cursor - where a dump of destinations is
 * @own: the namespace it is about; NULL for all
 * @bucket: of tcpstate_dest_next()
 * @id: likewise
 * @since: its begin, nanoseconds of CLOCK_MONOTONIC: what is told of ports is not
 *	older
 * @top: the fullest, where only these are asked for
 */
struct dest_cursor {
	struct tcpstate_netns	*own;
	unsigned long		bucket;
	u64			id;
	u64			since;
	struct dest_top		*top;
};

/**
 * tcpstate_put_dest() - put what a destination is into a message
 * @skb: the message
 * @dest: the destination
 * @attrs: the attributes that its parts are
 *
 * Return: 0, or -EMSGSIZE.
 */
int tcpstate_put_dest(struct sk_buff *skb, const struct tcpstate_dest *dest,
		      const struct tcpstate_dest_attrs *attrs)
{
	const struct tcpstate_dest_key *key = &dest->key;
	u32 family = FIELD_GET(TCPSTATE_KEY_FAMILY, key->rest);
	u32 device = FIELD_GET(TCPSTATE_KEY_DEVICE, key->rest);
	__be16 port = (__force __be16)FIELD_GET(TCPSTATE_KEY_PORT, key->rest);
	int len = family == AF_INET ? sizeof(struct in_addr) :
				      sizeof(struct in6_addr);

	return nla_put_u32(skb, attrs->family, family) ||
	       (device && nla_put_u32(skb, attrs->ifindex, device)) ||
	       nla_put(skb, attrs->saddr, len, key->addr) ||
	       nla_put(skb, attrs->daddr, len, (u8 *)key->addr + len) ||
	       nla_put_u16(skb, attrs->dport, ntohs(port)) ? -EMSGSIZE : 0;
}

static int put_forecast(struct sk_buff *skb,
			const struct tcpstate_dest_use *use)
{
	if (!use->rate_known)
		return 0;
	return tcpstate_put_u64(skb, TCPSTATE_A_DEST_OPEN_RATE, use->rate) ||
	       (use->sustainable != U64_MAX &&
		tcpstate_put_u64(skb, TCPSTATE_A_DEST_SUSTAINABLE_RATE,
				 use->sustainable)) ||
	       (use->eta_ms != U64_MAX &&
		tcpstate_put_u64(skb, TCPSTATE_A_DEST_ETA_MS, use->eta_ms)) ?
	       -EMSGSIZE : 0;
}

static int fill_dest(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		     struct tcpstate_dest *dest,
		     const struct tcpstate_dest_use *use,
		     const struct tcpstate_reader *reader)
{
	static const struct tcpstate_dest_attrs attrs = {
		.family		= TCPSTATE_A_DEST_FAMILY,
		.ifindex	= TCPSTATE_A_DEST_IFINDEX,
		.saddr		= TCPSTATE_A_DEST_SADDR,
		.daddr		= TCPSTATE_A_DEST_DADDR,
		.dport		= TCPSTATE_A_DEST_DPORT,
	};
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_DEST_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_DEST_NETNS_INO,
			     dest->netns->ino) ||
	    tcpstate_put_dest(skb, dest, &attrs) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_USED, use->used) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_TIME_WAIT, use->time_wait) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_REUSABLE, use->reusable) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_CAPACITY, use->capacity) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_OUTSIDE, use->outside) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_DEST_OPENS,
			     tcpstate_dest_opens(dest)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_DEST_CONNECT_FAILURES,
			     atomic64_read(&dest->refused.count)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_DEST_OWN_RANGE_FAILURES,
			     atomic64_read(&dest->own_range_refused)) ||
	    put_forecast(skb, use) ||
	    nla_put_u32(skb, TCPSTATE_A_DEST_SEVERITY,
			dest->room_alert.severity) ||
	    tcpstate_process_put_attr(skb, TCPSTATE_A_DEST_LAST_FAILURE,
				      &dest->refused.last, reader)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static bool key_from(struct tcpstate_dest_key *key, struct nlattr **attrs)
{
	struct nlattr *saddr = attrs[TCPSTATE_A_DEST_SADDR];
	struct nlattr *daddr = attrs[TCPSTATE_A_DEST_DADDR];
	struct nlattr *ifindex = attrs[TCPSTATE_A_DEST_IFINDEX];
	u32 family;
	int len;

	if (!attrs[TCPSTATE_A_DEST_FAMILY] || !saddr || !daddr ||
	    !attrs[TCPSTATE_A_DEST_DPORT])
		return false;
	family = nla_get_u32(attrs[TCPSTATE_A_DEST_FAMILY]);
	if (family != AF_INET && family != AF_INET6)
		return false;
	len = family == AF_INET ? sizeof(struct in_addr) :
				  sizeof(struct in6_addr);
	if (nla_len(saddr) != len || nla_len(daddr) != len)
		return false;

	memset(key, 0, sizeof(*key));
	memcpy(key->addr, nla_data(saddr), len);
	memcpy((u8 *)key->addr + len, nla_data(daddr), len);
	key->rest = FIELD_PREP(TCPSTATE_KEY_FAMILY, family) |
		    FIELD_PREP(TCPSTATE_KEY_PORT, (__force u16)
			htons(nla_get_u16(attrs[TCPSTATE_A_DEST_DPORT]))) |
		    FIELD_PREP(TCPSTATE_KEY_DEVICE,
			       ifindex ? nla_get_u32(ifindex) : 0);
	return true;
}

/**
 * tcpstate_nl_dest_get_doit() - one destination of the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_dest_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct tcpstate_reader reader;
	struct tcpstate_dest_use use;
	struct tcpstate_dest_key key;
	struct tcpstate_netns *netns;
	struct tcpstate_dest *dest;
	struct sk_buff *answer;
	int err;

	err = tcpstate_netlink_refuse(info->nlhdr,
				      BIT_ULL(TCPSTATE_A_DEST_ALL_NETNS) |
				      BIT_ULL(TCPSTATE_A_DEST_TOP),
				      info->extack);
	if (err)
		return err;
	if (!key_from(&key, info->attrs)) {
		NL_SET_ERR_MSG(info->extack,
			       "a destination is family, saddr, daddr, dport and, if its sockets are bound to a device, ifindex");
		return -EINVAL;
	}
	netns = tcpstate_netlink_own(net, info->extack);
	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(DEST_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	tcpstate_reader_init(&reader, skb, net);

	mutex_lock(&tcpstate_dest_mutex);
	dest = tcpstate_dest_find(netns, &key);
	if (dest) {
		err = tcpstate_dest_use(dest, net, ktime_get_ns(), &use);
	} else {
		NL_SET_ERR_MSG(info->extack, "no such destination is known");
		err = -ENOENT;
	}
	if (!err)
		err = fill_dest(answer, info->snd_portid, info->snd_seq, 0,
				dest, &use, &reader);
	mutex_unlock(&tcpstate_dest_mutex);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/* Of the namespaces a dump is about, is @dest's one? Its use is
 * read then, and who asks.
 */
static int dump_use(struct netlink_callback *cb, struct tcpstate_dest *dest,
		    struct tcpstate_reader *reader,
		    struct tcpstate_dest_use *use)
{
	struct dest_cursor *cursor = (void *)cb->ctx;
	struct net *net = sock_net(cb->skb->sk);
	int err;

	/* Not by its number, which a dead one may have had whose destinations
	 * are still there.
	 */
	if (!cursor->own)
		net = tcpstate_netns_get_net(dest->netns);
	else if (dest->netns == cursor->own)
		get_net(net);
	else
		net = NULL;
	if (!net)
		return -ENOENT;
	tcpstate_reader_init(reader, cb->skb, net);
	err = tcpstate_dest_use(dest, net, cursor->since, use);
	put_net(net);
	return err;
}

static bool fuller(const struct dest_row *a, const struct dest_row *b)
{
	u64 of_a = (u64)a->busy * b->capacity, of_b = (u64)b->busy * a->capacity;

	/* Where connect() could get nothing it is full. */
	if (!a->capacity != !b->capacity)
		return !a->capacity;
	if (of_a != of_b)
		return of_a > of_b;
	return a->used != b->used ? a->used > b->used : a->refused > b->refused;
}

/* Put @row where it belongs among the fullest, if it is one of them. */
static void top_add(struct dest_top *top, const struct dest_row *row)
{
	u32 low = 0, high = top->count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (fuller(row, &top->rows[middle]))
			high = middle;
		else
			low = middle + 1;
	}
	if (low == top->max)
		return;
	if (top->count < top->max)
		top->count++;
	memmove(&top->rows[low + 1], &top->rows[low],
		(top->count - low - 1) * sizeof(*row));
	top->rows[low] = *row;
}

/* Could @dest be one of the fullest? No more is used than is attached, but behind a
 * device; and there may be fewer ports there.
 */
static bool top_maybe(const struct dest_top *top,
		      const struct tcpstate_dest *dest)
{
	const struct dest_row *last = &top->rows[top->max - 1];

	return top->count < top->max || last->netns != dest->netns ||
	       FIELD_GET(TCPSTATE_KEY_DEVICE, last->key.rest | dest->key.rest) ||
	       atomic_read(&dest->conns) >= last->busy;
}

static int top_find(struct netlink_callback *cb, struct dest_top *top)
{
	struct dest_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_dest_use use;
	struct tcpstate_dest *dest;
	struct dest_row row;
	struct tcpstate_reader reader;
	int err;

	while ((dest = tcpstate_dest_next(&cursor->bucket, &cursor->id))) {
		if (!top_maybe(top, dest))
			continue;
		err = dump_use(cb, dest, &reader, &use);
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		row.netns = dest->netns;
		row.key = dest->key;
		row.busy = use.used - use.reusable;
		row.capacity = use.capacity;
		row.used = use.used;
		row.refused = atomic64_read(&dest->refused.count);
		top_add(top, &row);
	}
	return 0;
}

static int dump_one(struct sk_buff *skb, struct netlink_callback *cb,
		    struct tcpstate_dest *dest)
{
	struct tcpstate_dest_use use;
	struct tcpstate_reader reader;
	int err;

	err = dump_use(cb, dest, &reader, &use);
	if (err == -ENOENT)
		return 0;
	return err ? : fill_dest(skb, NETLINK_CB(cb->skb).portid,
				 cb->nlh->nlmsg_seq, NLM_F_MULTI, dest, &use,
				 &reader);
}

static int dump_top(struct sk_buff *skb, struct netlink_callback *cb,
		    struct dest_top *top)
{
	struct tcpstate_dest *dest;
	int err = 0;

	for (; top->sent < top->count; top->sent++) {
		dest = tcpstate_dest_find(top->rows[top->sent].netns,
					  &top->rows[top->sent].key);
		if (dest)
			err = dump_one(skb, cb, dest);
		if (err)
			break;
	}
	return err;
}

static int dump_all(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dest_cursor *cursor = (void *)cb->ctx, before;
	struct tcpstate_dest *dest;
	int err;

	for (;;) {
		before = *cursor;
		dest = tcpstate_dest_next(&cursor->bucket, &cursor->id);
		if (!dest)
			return 0;
		err = dump_one(skb, cb, dest);
		if (err) {
			*cursor = before;
			return err;
		}
	}
}

static int dump_begin(struct netlink_callback *cb)
{
	struct nlattr *max = tcpstate_dump_attr(cb, TCPSTATE_A_DEST_TOP);
	struct dest_cursor *cursor = (void *)cb->ctx;
	struct dest_top *top;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	/* Not 0, which says that it has not begun. */
	cursor->since = ktime_get_ns();
	if (!max)
		return 0;
	top = kvzalloc(struct_size(top, rows, nla_get_u32(max)),
		       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!top)
		return -ENOMEM;
	top->max = nla_get_u32(max);
	cursor->top = top;
	return top_find(cb, top);
}

/**
 * tcpstate_nl_dest_get_dumpit() - destinations
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_dest_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct dest_cursor *cursor = (void *)cb->ctx;
	int err;

	err = tcpstate_netlink_refuse(cb->nlh,
				      BIT_ULL(TCPSTATE_A_DEST_FAMILY) |
				      BIT_ULL(TCPSTATE_A_DEST_IFINDEX) |
				      BIT_ULL(TCPSTATE_A_DEST_SADDR) |
				      BIT_ULL(TCPSTATE_A_DEST_DADDR) |
				      BIT_ULL(TCPSTATE_A_DEST_DPORT),
				      cb->extack);
	if (err)
		return err;
	if (tcpstate_dump_attr(cb, TCPSTATE_A_DEST_ALL_NETNS)) {
		err = tcpstate_netlink_may_see_all(cb);
	} else {
		cursor->own = tcpstate_netlink_own(sock_net(cb->skb->sk),
						   cb->extack);
		err = cursor->own ? 0 : -ENOMEM;
	}
	if (err)
		return err;
	mutex_lock(&tcpstate_dest_mutex);
	if (!cursor->since)
		err = dump_begin(cb);
	if (!err)
		err = cursor->top ? dump_top(skb, cb, cursor->top) :
				    dump_all(skb, cb);
	mutex_unlock(&tcpstate_dest_mutex);
	return skb->len ? : err;
}

/**
 * tcpstate_nl_dest_done() - a dump of destinations has ended
 * @cb: the dump
 *
 * Return: 0.
 */
int tcpstate_nl_dest_done(struct netlink_callback *cb)
{
	struct dest_cursor *cursor = (void *)cb->ctx;

	kvfree(cursor->top);
	return 0;
}
