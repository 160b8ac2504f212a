// SPDX-License-Identifier: GPL-2.0
/*
 * Listing connections.
 *
 * A listing goes through the table of records bucket by bucket, and in a bucket
 * from the lowest address of an object to the highest: that is where it goes
 * on, message after message, whatever comes and goes. A record changes its
 * place once, when a mini-socket takes it over, and is passed over then, lest
 * it be told twice. The oldest are found by one pass per message that keeps
 * only so many as the message holds.
 *
 * What is told of an object is read under the lock of its bucket, where it
 * cannot end.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/sort.h>
#include <net/inet_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "attr.h"
#include "compat.h"
#include "netlink.h"
#include "owner.h"
#include "reader.h"

/* Lines taken from one bucket, or of the oldest, at a time. */
#define LINES_MAX	32
/* At most, what is told of one connection takes. */
#define LINE_ROOM	(256 + 2 * TCPSTATE_READER_ROOM)

/**
 * struct filter - what connections have to be to be listed
 * @netns: of this namespace; NULL for all
 * @top: only so many, the oldest; 0 for all in the order of the table
 * @states: bit mask of enum tcpstate_state
 * @older_ms: at least so long in their state
 * @family: of this family; 0 for both
 * @by_daddr: of this remote address: @daddr, @prefix
 * @daddr: see @by_daddr; mapped if it is an IPv4 one
 * @prefix: how many bits of it to compare
 * @sport: local port; 0 for any
 * @dport: remote port; 0 for any
 * @by_owner: those of owners only that the next five let pass
 * @pid: of the process of this number, in the reader's namespace; 0 for any
 * @process: which that is now, held; NULL if there is none: then of those that
 *	have had it
 * @by_uid: of this user: @uid
 * @uid: see @by_uid
 * @cgroup: of this cgroup; 0 for any
 * @comm: of this name; NULL for any
 * @cookie: this one; 0 for any
 */
struct filter {
	const struct tcpstate_netns	*netns;
	u32				top;
	u32				states;
	u64				older_ms;
	u32				family;
	bool				by_daddr;
	struct in6_addr			daddr;
	unsigned int			prefix;
	u16				sport;
	u16				dport;
	bool				by_owner;
	bool				by_uid;
	u32				pid;
	struct pid			*process;
	u32				uid;
	u64				cgroup;
	const struct nlattr		*comm;
	u64				cookie;
};

/**
 * struct line - one connection, as told
 * @obj: its object's address
 * @since: when it entered its state
 * @cookie: as ss -e prints it
 * @inode: of its file; 0 without
 * @timeout_ms: left to its timer
 * @netns: its namespace
 * @owner: who opened or accepted it; good under RCU
 * @closer: number of who closed it
 * @ifindex: the device it is bound to
 * @family: of the socket
 * @sport: local port
 * @dport: remote port
 * @state: enum tcpstate_state
 * @mini: it is a mini-socket
 * @seeded: it was in this state at load
 * @unaccepted: it is in the queue of its listener
 * @saddr: local address
 * @daddr: remote address
 */
struct line {
	const void		*obj;
	u64			since;
	u64			cookie;
	unsigned long		inode;
	u32			timeout_ms;
	struct tcpstate_netns	*netns;
	struct tcpstate_owner	*owner;
	u16			closer;
	int			ifindex;
	u16			family;
	u16			sport;
	u16			dport;
	u8			state;
	bool			mini;
	bool			seeded;
	bool			unaccepted;
	struct in6_addr		saddr;
	struct in6_addr		daddr;
};

/**
 * struct list_cursor - where a listing goes on
 * @begun: when it began, nanoseconds
 * @generation: its number; 0 before it has begun
 * @told: how many of the oldest it has told
 * @bucket: the bucket it is in
 * @since: the last line told of the oldest, by its age
 * @obj: the last line told, by its object
 */
struct list_cursor {
	u64		begun;
	u32		generation;
	u32		told;
	unsigned long	bucket;
	u64		since;
	unsigned long	obj;
};

/* The place of one of the oldest. */
struct place {
	u64		since;
	unsigned long	obj;
};

/**
 * struct pass - one look at the records
 * @filter: what to pick
 * @reader: who asks
 * @cursor: what comes after this
 * @count: how many of @lines, or @places, are filled in
 * @more: there were more in the bucket
 * @lines: picked from one bucket, by address
 * @places: the oldest; a heap with the youngest on top
 */
struct pass {
	const struct filter		*filter;
	const struct tcpstate_reader	*reader;
	const struct list_cursor	*cursor;
	unsigned int			count;
	bool				more;
	struct line			*lines;
	struct place			places[LINES_MAX];
};

static u8 shown_state(const struct tcpstate_conn *conn)
{
	u8 state = READ_ONCE(conn->status) & TCPSTATE_CONN_STATE;

	return state == TCPSTATE_FIN_WAIT2_MINI ? TCP_FIN_WAIT2 : state;
}

static void line_daddr(const struct sock *sk, struct in6_addr *daddr)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (READ_ONCE(sk->sk_family) == AF_INET6) {
		/* Up to 6.12 the clone that is to be an accepted connection gets
		 * its addresses after the event that gives it a record: told
		 * just then, it has none, or half of one.
		 */
		data_race(memcpy(daddr, &sk->sk_v6_daddr, sizeof(*daddr)));
		return;
	}
#endif
	ipv6_addr_set_v4mapped(tcpstate_read_racy(sk->sk_daddr), daddr);
}

static void line_saddr(const struct sock *sk, struct in6_addr *saddr)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (READ_ONCE(sk->sk_family) == AF_INET6) {
		/* As in line_daddr(). */
		data_race(memcpy(saddr, &sk->sk_v6_rcv_saddr, sizeof(*saddr)));
		return;
	}
#endif
	ipv6_addr_set_v4mapped(tcpstate_read_racy(sk->sk_rcv_saddr), saddr);
}

/* A mini-socket shares the members of struct sock_common with a full one. */
static bool is_mini(const struct sock *sk)
{
	return inet_sk_state_load(sk) == TCP_TIME_WAIT;
}

static u16 line_sport(const struct sock *sk)
{
	if (is_mini(sk))
		return ntohs(inet_twsk(sk)->tw_sport);
	return ntohs(tcpstate_read_racy(inet_sk(sk)->inet_sport));
}

static u16 line_dport(const struct sock *sk)
{
	return ntohs(tcpstate_read_racy(sk->sk_dport));
}

/* Does all hold that is read off the record and its object? */
static bool filter_match(const struct filter *filter, const struct sock *sk,
			 const struct tcpstate_conn *conn, u64 now)
{
	struct in6_addr daddr;

	if (filter->netns && READ_ONCE(conn->home)->netns != filter->netns)
		return false;
	if (!(filter->states & BIT(shown_state(conn))))
		return false;
	/* Stamped on another CPU it may seem to lie ahead. */
	if (filter->older_ms &&
	    (s64)(now - READ_ONCE(conn->since)) <
	    (s64)(filter->older_ms * NSEC_PER_MSEC))
		return false;
	if (filter->family && READ_ONCE(sk->sk_family) != filter->family)
		return false;
	if (filter->cookie && atomic64_read(&sk->sk_cookie) != filter->cookie)
		return false;
	if (filter->dport && line_dport(sk) != filter->dport)
		return false;
	if (filter->sport && line_sport(sk) != filter->sport)
		return false;
	if (filter->by_daddr) {
		line_daddr(sk, &daddr);
		if (!ipv6_prefix_equal(&daddr, &filter->daddr, filter->prefix))
			return false;
		/* IPv6 addresses are all but those: ::/0 has none of IPv4. */
		if (filter->prefix < 96 && ipv6_addr_v4mapped(&daddr))
			return false;
	}
	return true;
}

static bool owner_seen(const struct tcpstate_reader *reader,
		       const struct tcpstate_owner *owner)
{
	return owner &&
	       tcpstate_reader_sees(reader, owner->tgid, owner->user_ns);
}

static bool filter_owner(const struct filter *filter,
			 const struct tcpstate_reader *reader,
			 const struct tcpstate_owner *owner)
{
	if (!filter->by_owner)
		return true;
	if (!owner_seen(reader, owner))
		return false;
	if (filter->process && owner->tgid != filter->process)
		return false;
	if (filter->pid &&
	    tcpstate_reader_pid(reader, owner->tgid) != filter->pid)
		return false;
	if (filter->by_uid &&
	    tcpstate_reader_uid(reader, owner->uid) != filter->uid)
		return false;
	if (filter->cgroup &&
	    tcpstate_reader_cgroup(reader, owner) != filter->cgroup)
		return false;
	return !filter->comm || !nla_strcmp(filter->comm, owner->comm);
}

/* With the lock of the bucket of @conn. */
static void line_fill(struct line *line, struct tcpstate_conn *conn,
		      struct sock *sk)
{
	struct socket *socket;
	u32 cookie[2];

	memset(line, 0, sizeof(*line));
	line->obj = sk;
	line->since = READ_ONCE(conn->since);
	line->state = shown_state(conn);
	line->seeded = READ_ONCE(conn->status) & TCPSTATE_CONN_SEEDED;
	line->netns = READ_ONCE(conn->home)->netns;
	line->owner = tcpstate_owner_holder(conn, &line->unaccepted);
	/* Pairs with the WRITE_ONCE() of owner_close(). */
	line->closer = READ_ONCE(conn->closer);

	sock_diag_save_cookie(sk, cookie);
	line->cookie = (u64)cookie[1] << 32 | cookie[0];
	line->family = READ_ONCE(sk->sk_family);
	line->ifindex = tcpstate_read_racy(sk->sk_bound_dev_if);
	line->dport = line_dport(sk);
	line->sport = line_sport(sk);
	line_saddr(sk, &line->saddr);
	line_daddr(sk, &line->daddr);
	line->mini = is_mini(sk);
	if (line->mini) {
		line->timeout_ms = jiffies_to_msecs(tcpstate_tw_left(inet_twsk(sk)));
		return;
	}
	/* An inode is freed by RCU, after its socket has been let go. */
	socket = READ_ONCE(sk->sk_socket);
	if (socket)
		line->inode = SOCK_INODE(socket)->i_ino;
}

/* Was it told before, at the place it had then? */
static bool told_before(const struct pass *pass,
			const struct tcpstate_conn *conn)
{
	return tcpstate_conn_handed_over_since(conn, pass->cursor->generation);
}

static void pick_line(struct tcpstate_conn *conn, void *arg)
{
	struct pass *pass = arg;
	struct sock *sk = (struct sock *)conn->obj;
	unsigned int at = pass->count;

	if ((unsigned long)sk <= pass->cursor->obj || told_before(pass, conn) ||
	    !filter_match(pass->filter, sk, conn, pass->cursor->begun))
		return;
	if (at == LINES_MAX) {
		pass->more = true;
		if (pass->lines[--at].obj < (void *)sk)
			return;
	} else {
		pass->count++;
	}
	while (at && pass->lines[at - 1].obj > (void *)sk) {
		pass->lines[at] = pass->lines[at - 1];
		at--;
	}
	line_fill(&pass->lines[at], conn, sk);
}

static bool place_after(const struct place *a, const struct place *b)
{
	return a->since != b->since ? a->since > b->since : a->obj > b->obj;
}

static int place_compare(const void *a, const void *b)
{
	return place_after(a, b) ? 1 : -1;
}

/* Keep the oldest, the youngest of them on top of the heap. */
static void heap_add(struct pass *pass, const struct place *place)
{
	struct place *heap = pass->places;
	unsigned int at, child;

	if (pass->count < LINES_MAX) {
		at = pass->count++;
		while (at && place_after(place, &heap[(at - 1) / 2])) {
			heap[at] = heap[(at - 1) / 2];
			at = (at - 1) / 2;
		}
	} else {
		if (place_after(place, &heap[0]))
			return;
		for (at = 0; (child = 2 * at + 1) < LINES_MAX; at = child) {
			if (child + 1 < LINES_MAX &&
			    place_after(&heap[child + 1], &heap[child]))
				child++;
			if (!place_after(&heap[child], place))
				break;
			heap[at] = heap[child];
		}
	}
	heap[at] = *place;
}

/* Under the RCU read lock. Who is not asked for must not be among the oldest: for
 * each few of them there would be another walk.
 */
static void pick_place(struct tcpstate_conn *conn, void *arg)
{
	struct pass *pass = arg;
	bool unaccepted;
	const struct sock *sk = conn->obj;
	const struct place last = { pass->cursor->since, pass->cursor->obj };
	const struct place place = { READ_ONCE(conn->since),
				     (unsigned long)sk };

	/* What entered its state since may have been told in another. */
	if (place.since <= pass->cursor->begun && place_after(&place, &last) &&
	    !told_before(pass, conn) &&
	    filter_match(pass->filter, sk, conn, pass->cursor->begun) &&
	    (!pass->filter->by_owner ||
	     filter_owner(pass->filter, pass->reader,
			  tcpstate_owner_holder(conn, &unaccepted))))
		heap_add(pass, &place);
}

/* One of the oldest again, if it still is what it was. */
static void pick_again(struct tcpstate_conn *conn, void *arg)
{
	struct pass *pass = arg;
	struct sock *sk = (struct sock *)conn->obj;

	if (filter_match(pass->filter, sk, conn, pass->cursor->begun)) {
		line_fill(pass->lines, conn, sk);
		pass->count = 1;
	}
}

static void *put_addresses(void *at, const struct line *line)
{
	const u8 *saddr = (const u8 *)&line->saddr;
	const u8 *daddr = (const u8 *)&line->daddr;

	if (line->family == AF_INET6) {
		at = tcpstate_attr_put(at, TCPSTATE_A_CONN_SADDR, saddr, 16);
		return tcpstate_attr_put(at, TCPSTATE_A_CONN_DADDR, daddr, 16);
	}
	at = tcpstate_attr_put(at, TCPSTATE_A_CONN_SADDR, saddr + 12, 4);
	return tcpstate_attr_put(at, TCPSTATE_A_CONN_DADDR, daddr + 12, 4);
}

static void *put_owners(void *at, const struct line *line,
			const struct tcpstate_reader *reader)
{
	const struct tcpstate_owner *owner = line->owner;
	const struct tcpstate_owner *closer;
	bool hidden = false;

	if (owner_seen(reader, owner))
		at = tcpstate_reader_put(at, TCPSTATE_A_CONN_OWNER, reader,
					 owner);
	else if (owner)
		hidden = true;
	closer = tcpstate_owner_of(line->closer);
	if (owner_seen(reader, closer))
		at = tcpstate_reader_put(at, TCPSTATE_A_CONN_CLOSER, reader,
					 closer);
	else if (closer)
		hidden = true;
	if (line->unaccepted)
		at = tcpstate_attr_flag(at, TCPSTATE_A_CONN_UNACCEPTED);
	if (hidden)
		at = tcpstate_attr_flag(at, TCPSTATE_A_CONN_OWNER_HIDDEN);
	return at;
}

static void *put_u64(void *at, int attr, u64 value)
{
	return tcpstate_attr_u64(at, attr, value, TCPSTATE_A_CONN_PAD);
}

static int fill_conn(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		     u64 begun, const struct line *line,
		     const struct tcpstate_reader *reader)
{
	/* Of the same moment in each message, or the oldest first would not be
	 * the greatest first. What has entered since is not ahead of it.
	 */
	u64 age = begun > line->since ? begun - line->since : 0;
	void *hdr, *at;

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_CONN_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (skb_tailroom(skb) < LINE_ROOM) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	at = skb_tail_pointer(skb);
	at = put_u64(at, TCPSTATE_A_CONN_NETNS_INO, line->netns->ino);
	at = put_u64(at, TCPSTATE_A_CONN_COOKIE, line->cookie);
	at = tcpstate_attr_u32(at, TCPSTATE_A_CONN_STATE, line->state);
	at = tcpstate_attr_u32(at, TCPSTATE_A_CONN_FAMILY, line->family);
	if (line->ifindex)
		at = tcpstate_attr_u32(at, TCPSTATE_A_CONN_IFINDEX,
				       line->ifindex);
	at = put_addresses(at, line);
	at = tcpstate_attr_u16(at, TCPSTATE_A_CONN_SPORT, line->sport);
	at = tcpstate_attr_u16(at, TCPSTATE_A_CONN_DPORT, line->dport);
	at = put_u64(at, TCPSTATE_A_CONN_AGE_MS, div_u64(age, NSEC_PER_MSEC));
	if (line->seeded)
		at = tcpstate_attr_flag(at, TCPSTATE_A_CONN_AGE_AT_LEAST);
	if (line->mini) {
		at = tcpstate_attr_flag(at, TCPSTATE_A_CONN_MINI);
		at = put_u64(at, TCPSTATE_A_CONN_TIMEOUT_MS,
			     line->timeout_ms);
	}
	if (line->inode)
		at = put_u64(at, TCPSTATE_A_CONN_INODE, line->inode);
	at = put_owners(at, line, reader);
	skb_put(skb, at - (void *)skb_tail_pointer(skb));
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * struct listing - what one step of a listing works with
 * @filter: what to list
 * @reader: for whom
 * @cursor: where it is
 * @skb: the message
 * @portid: to whom
 * @seq: in answer to what
 * @flags: of the message
 * @told: how many lines it has told
 * @pass: the look at the records
 */
struct listing {
	struct filter		filter;
	struct tcpstate_reader	reader;
	struct list_cursor	*cursor;
	struct sk_buff		*skb;
	u32			portid;
	u32			seq;
	int			flags;
	u32			told;
	struct pass		pass;
};

/* Tell @line, if its owner passes. Under the RCU read lock that it was picked
 * under.
 */
static int tell(struct listing *listing, const struct line *line)
{
	int err;

	if (!filter_owner(&listing->filter, &listing->reader, line->owner))
		return 0;
	err = fill_conn(listing->skb, listing->portid, listing->seq,
			listing->flags, listing->cursor->begun, line, &listing->reader);
	if (!err)
		listing->told++;
	return err;
}

/* The next of the table: 0 at its end, or -EMSGSIZE. */
static int list_table(struct listing *listing)
{
	struct list_cursor *cursor = listing->cursor;
	struct pass *pass = &listing->pass;
	unsigned int i;
	int err = 0;

	while (tcpstate_conn_next(&cursor->bucket)) {
		pass->count = 0;
		pass->more = false;
		rcu_read_lock();
		tcpstate_conn_visit(cursor->bucket, pick_line, pass);
		for (i = 0; !err && i < pass->count; i++) {
			err = tell(listing, &pass->lines[i]);
			if (!err)
				cursor->obj = (unsigned long)pass->lines[i].obj;
		}
		rcu_read_unlock();
		if (err)
			return err;
		if (!pass->more) {
			cursor->obj = 0;
			cursor->bucket++;
		}
	}
	return 0;
}

static void find_oldest(struct pass *pass)
{
	unsigned long bucket;

	pass->count = 0;
	for (bucket = 0; tcpstate_conn_next(&bucket); bucket++) {
		rcu_read_lock();
		tcpstate_conn_visit(bucket, pick_place, pass);
		rcu_read_unlock();
	}
	sort(pass->places, pass->count, sizeof(*pass->places), place_compare,
	     NULL);
}

/* The next of the oldest: 0 after the last, or -EMSGSIZE. */
static int list_oldest(struct listing *listing)
{
	struct list_cursor *cursor = listing->cursor;
	struct pass *pass = &listing->pass;
	unsigned int found, i;
	int err;

	do {
		if (cursor->told >= listing->filter.top)
			return 0;
		find_oldest(pass);
		found = pass->count;
		for (i = 0; i < found && cursor->told < listing->filter.top;
		     i++) {
			const struct place *place = &pass->places[i];
			u32 told = listing->told;

			pass->count = 0;
			err = 0;
			rcu_read_lock();
			tcpstate_conn_visit_object((void *)place->obj,
						   pick_again, pass);
			if (pass->count &&
			    pass->lines->since == place->since)
				err = tell(listing, pass->lines);
			rcu_read_unlock();
			if (err)
				return err;
			cursor->told += listing->told - told;
			cursor->since = place->since;
			cursor->obj = place->obj;
		}
	} while (found == LINES_MAX);
	cursor->told = listing->filter.top;
	return 0;
}

static int parse_daddr(struct filter *filter, const struct nlattr *attr,
		       struct netlink_ext_ack *extack)
{
	switch (nla_len(attr)) {
	case sizeof(__be32):
		ipv6_addr_set_v4mapped(nla_get_in_addr(attr), &filter->daddr);
		filter->prefix += 96;
		break;
	case sizeof(struct in6_addr):
		filter->daddr = nla_get_in6_addr(attr);
		break;
	default:
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "an address has 4 or 16 bytes");
		return -EINVAL;
	}
	if (filter->prefix > 128) {
		NL_SET_ERR_MSG(extack,
			       "the prefix is longer than the address");
		return -EINVAL;
	}
	return 0;
}

/* What the request lets pass; @filter->process is to be put, whatever is returned. */
static int filter_parse(struct filter *filter, const struct nlmsghdr *nlh,
			const struct tcpstate_reader *reader,
			struct netlink_ext_ack *extack)
{
	const struct nlattr *attr, *daddr = NULL;
	int rest, err, prefix = -1;

	filter->states = U32_MAX;
	nlmsg_for_each_attr(attr, nlh, GENL_HDRLEN, rest) {
		switch (nla_type(attr)) {
		case TCPSTATE_A_CONN_TOP:
			filter->top = nla_get_u32(attr);
			break;
		case TCPSTATE_A_CONN_STATES:
			filter->states = nla_get_u32(attr);
			break;
		case TCPSTATE_A_CONN_OLDER_MS:
			/* None is, and the product must not wrap. */
			filter->older_ms = min_t(u64, nla_get_u64(attr),
						 S64_MAX / NSEC_PER_MSEC);
			break;
		case TCPSTATE_A_CONN_FAMILY:
			filter->family = nla_get_u32(attr);
			break;
		case TCPSTATE_A_CONN_DADDR:
			daddr = attr;
			break;
		case TCPSTATE_A_CONN_DADDR_PREFIX:
			prefix = nla_get_u8(attr);
			break;
		case TCPSTATE_A_CONN_SPORT:
			filter->sport = nla_get_u16(attr);
			break;
		case TCPSTATE_A_CONN_DPORT:
			filter->dport = nla_get_u16(attr);
			break;
		case TCPSTATE_A_CONN_PID:
			filter->pid = nla_get_u32(attr);
			filter->by_owner = true;
			break;
		case TCPSTATE_A_CONN_UID:
			filter->uid = nla_get_u32(attr);
			filter->by_owner = true;
			filter->by_uid = true;
			break;
		case TCPSTATE_A_CONN_COMM:
			filter->comm = attr;
			filter->by_owner = true;
			break;
		case TCPSTATE_A_CONN_CGROUP:
			filter->cgroup = nla_get_u64(attr);
			filter->by_owner = true;
			break;
		case TCPSTATE_A_CONN_COOKIE:
			filter->cookie = nla_get_u64(attr);
			break;
		}
	}
	if (filter->by_owner && !reader->capable) {
		NL_SET_ERR_MSG(extack,
			       "to list by owner needs CAP_NET_ADMIN");
		return -EPERM;
	}
	if (filter->cgroup) {
		err = tcpstate_reader_knows_cgroups(reader, extack);
		if (err)
			return err;
	}
	if (filter->pid) {
		rcu_read_lock();
		filter->process = get_pid(find_pid_ns(filter->pid,
						      reader->pid_ns));
		rcu_read_unlock();
	}
	if (!daddr && prefix >= 0) {
		NL_SET_ERR_MSG(extack, "a prefix needs an address");
		return -EINVAL;
	}
	if (!daddr)
		return 0;
	filter->by_daddr = true;
	filter->prefix = prefix >= 0 ? prefix : 8 * nla_len(daddr);
	return parse_daddr(filter, daddr, extack);
}

static struct listing *listing_alloc(struct list_cursor *cursor,
				     struct sk_buff *skb)
{
	struct listing *listing = kzalloc(sizeof(*listing), GFP_KERNEL);

	if (!listing)
		return NULL;
	listing->pass.lines = kmalloc_array(LINES_MAX, sizeof(struct line),
					    GFP_KERNEL);
	if (!listing->pass.lines) {
		kfree(listing);
		return NULL;
	}
	listing->skb = skb;
	listing->cursor = cursor;
	listing->pass.cursor = cursor;
	listing->pass.filter = &listing->filter;
	listing->pass.reader = &listing->reader;
	if (!cursor->generation) {
		cursor->begun = ktime_get_ns();
		cursor->generation = tcpstate_conn_generation_next();
	}
	return listing;
}

static void listing_free(struct listing *listing)
{
	put_pid(listing->filter.process);
	kfree(listing->pass.lines);
	kfree(listing);
}

/**
 * tcpstate_nl_conn_get_doit() - one connection, by its cookie
 * @skb: the request
 * @info: its attributes
 *
 * Context: process context. The cost grows with connections.
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_conn_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tcpstate_netns *netns = tcpstate_netlink_own(genl_info_net(info), info->extack);
	struct list_cursor cursor = {};
	struct listing *listing;
	struct sk_buff *answer;
	int err;

	if (!netns)
		return -ENOMEM;
	err = tcpstate_netlink_refuse(info->nlhdr,
				      BIT_ULL(TCPSTATE_A_CONN_ALL_NETNS) |
				      BIT_ULL(TCPSTATE_A_CONN_TOP),
				      info->extack);
	if (err)
		return err;
	if (!info->attrs[TCPSTATE_A_CONN_COOKIE]) {
		NL_SET_ERR_MSG(info->extack, "the attribute cookie is missing");
		return -EINVAL;
	}
	answer = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	err = -ENOMEM;
	listing = listing_alloc(&cursor, answer);
	if (!listing)
		goto free_answer;
	listing->portid = info->snd_portid;
	listing->seq = info->snd_seq;
	tcpstate_reader_init(&listing->reader, skb, genl_info_net(info));
	err = filter_parse(&listing->filter, info->nlhdr, &listing->reader,
			   info->extack);
	if (err)
		goto free_listing;
	listing->filter.netns = netns;
	err = list_table(listing);
	if (err == -EMSGSIZE || listing->told > 1) {
		NL_SET_ERR_MSG(info->extack,
			       "several connections have this cookie: a dump lists them");
		err = -ENOTUNIQ;
	} else if (!err && !listing->told) {
		NL_SET_ERR_MSG(info->extack, "no connection has this cookie");
		err = -ENOENT;
	}
free_listing:
	listing_free(listing);
	if (!err)
		return genlmsg_reply(answer, info);
free_answer:
	nlmsg_free(answer);
	return err;
}

/**
 * tcpstate_nl_conn_get_dumpit() - list connections
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_conn_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct list_cursor *cursor = (void *)cb->ctx;
	const struct net *net = sock_net(cb->skb->sk);
	struct listing *listing;
	int err;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	listing = listing_alloc(cursor, skb);
	if (!listing)
		return -ENOMEM;
	listing->portid = NETLINK_CB(cb->skb).portid;
	listing->seq = cb->nlh->nlmsg_seq;
	listing->flags = NLM_F_MULTI;
	tcpstate_reader_init(&listing->reader, cb->skb, net);
	err = filter_parse(&listing->filter, cb->nlh, &listing->reader,
			   cb->extack);
	if (err)
		goto out;
	if (tcpstate_dump_attr(cb, TCPSTATE_A_CONN_ALL_NETNS)) {
		err = tcpstate_netlink_may_see_all(cb);
	} else {
		listing->filter.netns = tcpstate_netlink_own(sock_net(cb->skb->sk), cb->extack);
		err = listing->filter.netns ? 0 : -ENOMEM;
	}
	if (err)
		goto out;
	err = listing->filter.top ? list_oldest(listing) : list_table(listing);
	/* Full, it goes on in the next one. */
	if (skb->len)
		err = skb->len;
out:
	listing_free(listing);
	return err;
}
