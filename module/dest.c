// SPDX-License-Identifier: GPL-2.0
/*
 * Destinations: what one range of local ports is spent on, outgoing
 * connections to one remote address and port from one local address.
 *
 * A connection is attached to its destination when it enters SYN_SENT, where
 * all of that is known but the local port, and detached at its end. Nothing
 * more happens at an event than to put its record into a list and to count;
 * what is not just a number is found by going through the list when there is
 * a question: which ports are held, and which of them connect() could take
 * again.
 *
 * Refusals. connect() that finds no port moves no counter of the kernel's: the
 * socket goes back from SYN_SENT to CLOSE, as one does that is refused by the
 * peer or interrupted. But the first things connect() does once it has a port
 * are to give the socket a new, random sk_txhash (7.2 does that before, for
 * IPv6) and a sequence number, which the SYN then moves on. A socket that had no
 * port and leaves SYN_SENT with both as it came never got one. (It has no memory
 * for a bind bucket then, or indeed no port. The local port tells less: a socket
 * used before keeps an old one, and may be given the same again.)
 *
 * The forecast. Let opens be the rate at which connections are opened, early
 * that at which they end without TIME_WAIT, and growth that at which those not
 * in TIME_WAIT become more; all three are counted exactly over the last 5 to 10
 * seconds. What is left of opens enters TIME_WAIT. When each port now in
 * TIME_WAIT comes back is known from its timer, or, where connect() may take
 * it again, from its time stamp: the ports in use t seconds from now are
 *
 *	in use + (opens - early) * t - those back by then
 *
 * until what is opened now comes back, too; from then on only growth counts,
 * and without growth it never is full. The rate that is sustainable is the
 * capacity over the mean time for which a port is held (Little's law: those
 * not in TIME_WAIT by the rate at which connections leave these, and what
 * TIME_WAIT lasts for the part that enters it). While next to none leave, it is
 * not known.
 */
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "chain.h"
#include "compat.h"
#include "tcpstate.h"

/* Without a limit set, destinations may take up to this part of memory. */
#define MEMORY_SHARE	32
#define BUCKETS_MAX	BIT(17)
#define SWEEP_PERIOD	(10 * HZ)
/* For how long a refusal keeps a destination without connections. */
#define REFUSED_KEPT_NS	(600 * NSEC_PER_SEC)
/* Records looked at under a shard's lock at a time. */
#define PEERS_BATCH	64
/* From so many connections on a sweep has a destination looked at. */
#define CHECKED_CONNS		8
/* In the way of one behind a device: those of its VRF, and those of none. */
#define OTHERS_MAX		2
/* What is attached, of one that is about to be freed. */
#define TAKEN_OUT		(INT_MIN / 2)
/* Opens are too few to tell their rate from before that. */
#define RATE_MIN_NS	NSEC_PER_SEC

static uint max_destinations;
module_param(max_destinations, uint, 0444);
MODULE_PARM_DESC(max_destinations, "Destinations kept at most (default: what a 32nd of memory holds)");

static uint max_destinations_netns;
module_param(max_destinations_netns, uint, 0444);
MODULE_PARM_DESC(max_destinations_netns, "Destinations of one namespace at most (default: half of max_destinations)");

static struct hlist_bl_head *dest_table __read_mostly;
static unsigned int dest_shift __read_mostly;	/* of a hash: leaves a bucket */
static unsigned long dest_buckets __read_mostly;
static u64 dest_secret[4] __read_mostly;
static struct kmem_cache *dest_cache __read_mostly;
static atomic_t dest_count;
static atomic64_t dest_last_id;

/* Guards that destinations stay, and what is said in DOC: data and locking. */
DEFINE_MUTEX(tcpstate_dest_mutex);

static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweep_work, sweep);

/* Is @sk that of a connection over IPv6, that is not mapped? A walk has not the
 * socket locked, but its chain, where the addresses stay (but for ip_dynaddr's).
 */
static __always_inline bool over_ipv6(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	return READ_ONCE(sk->sk_family) == AF_INET6 &&
	       !ipv6_addr_v4mapped(&sk->sk_v6_daddr);
#else
	return false;
#endif
}

static __always_inline struct tcpstate_dest_key key_of(const struct sock *sk,
						       bool ipv6)
{
	struct tcpstate_dest_key key = {};

	key.rest = FIELD_PREP(TCPSTATE_KEY_FAMILY, ipv6 ? AF_INET6 : AF_INET) |
		   FIELD_PREP(TCPSTATE_KEY_PORT, (__force u16)sk->sk_dport) |
		   FIELD_PREP(TCPSTATE_KEY_DEVICE,
			      (u32)READ_ONCE(sk->sk_bound_dev_if));
#if IS_ENABLED(CONFIG_IPV6)
	if (ipv6) {
		memcpy(&key.addr[0], &sk->sk_v6_rcv_saddr,
		       sizeof(struct in6_addr));
		memcpy(&key.addr[2], &sk->sk_v6_daddr,
		       sizeof(struct in6_addr));
		return key;
	}
#endif
	/* The remote address is the first of the pair, the local one here. */
	key.addr[0] = rol64((__force u64)sk->sk_addrpair, 32);
	return key;
}

static __always_inline bool ipv6_of(const struct tcpstate_dest_key *key)
{
	return FIELD_GET(TCPSTATE_KEY_FAMILY, key->rest) == AF_INET6;
}

/* Addresses are chosen by users: who does not know the secret cannot make
 * them meet in one bucket.
 */
static __always_inline u64 fold(u64 a, u64 b)
{
	return a * b ^ mul_u64_u64_shr(a, b, 64);
}

static __always_inline struct hlist_bl_head *
bucket_of(const struct tcpstate_netns *netns,
	  const struct tcpstate_dest_key *key)
{
	u64 hash = fold(key->addr[0] ^ dest_secret[0],
			key->rest ^ (unsigned long)netns ^ dest_secret[1]);

	if (ipv6_of(key))
		hash ^= fold(key->addr[1] ^ key->addr[2] ^ dest_secret[2],
			     key->addr[3] ^ dest_secret[3]);
	return &dest_table[hash >> dest_shift];
}

static __always_inline bool same(const struct tcpstate_dest *dest,
				 const struct tcpstate_netns *netns,
				 const struct tcpstate_dest_key *key)
{
	return dest->key.addr[0] == key->addr[0] &&
	       dest->key.rest == key->rest && dest->netns == netns &&
	       (!ipv6_of(key) || (dest->key.addr[1] == key->addr[1] &&
				  dest->key.addr[2] == key->addr[2] &&
				  dest->key.addr[3] == key->addr[3]));
}

/* In an RCU read side, with tcpstate_dest_mutex, or the bucket locked. */
static __always_inline struct tcpstate_dest *
chain_find(struct hlist_bl_head *bucket, const struct tcpstate_netns *netns,
	   const struct tcpstate_dest_key *key)
{
	struct hlist_bl_node *pos = tcpstate_chain_first(bucket);
	struct tcpstate_dest *dest;

	for (; pos; pos = rcu_dereference_raw(pos->next)) {
		dest = hlist_bl_entry(pos, struct tcpstate_dest, node);
		if (same(dest, netns, key))
			return dest;
	}
	return NULL;
}

static bool count_take(atomic_t *count, unsigned int max)
{
	int old = atomic_read(count);

	do {
		if (old >= (int)max)
			return false;
	} while (!atomic_try_cmpxchg(count, &old, old + 1));
	return true;
}

static struct tcpstate_dest *dest_alloc(struct tcpstate_netns *netns,
					const struct net *net,
					const struct tcpstate_dest_key *key)
{
	struct tcpstate_dest *dest;
	int low, high;

	if (!count_take(&netns->dests, max_destinations_netns))
		return NULL;
	if (!count_take(&dest_count, max_destinations))
		goto err_netns;
	dest = kmem_cache_zalloc(dest_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!dest)
		goto err_count;

	refcount_inc(&netns->refs);
	dest->netns = netns;
	dest->key = *key;
	inet_get_local_port_range((struct net *)net, &low, &high);
	dest->trigger = tcpstate_alert_room_floor(netns, high - low + 1);
	if (FIELD_GET(TCPSTATE_KEY_DEVICE, key->rest))
		dest->trigger = 1;	/* others may have taken its ports */
	dest->mark_due = jiffies + TCPSTATE_MARK_PERIOD;
	raw_spin_lock_init(&dest->mark_lock);
	dest->marks[0].at = ktime_get_ns();
	dest->marks[1].at = dest->marks[0].at;
	raw_spin_lock_init(&dest->refused.last.lock);
	tcpstate_alert_dest_init(dest);
	return dest;

err_count:
	atomic_dec(&dest_count);
err_netns:
	atomic_dec(&netns->dests);
	return NULL;
}

static void dest_free_rcu(struct rcu_head *rcu)
{
	struct tcpstate_dest *dest = container_of(rcu, struct tcpstate_dest,
						  rcu);

	tcpstate_process_put(&dest->refused.last);
	kmem_cache_free(dest_cache, dest);
}

/* Not in the table, or not any more. */
static void dest_free(struct tcpstate_dest *dest)
{
	atomic_dec(&dest_count);
	atomic_dec(&dest->netns->dests);
	tcpstate_netns_put(dest->netns);
	call_rcu(&dest->rcu, dest_free_rcu);
}

/* Count one more record attached; return how many there are now, or 0 if the
 * sweep is about to free it, and has the lock of its chain. RCU read side.
 */
static __always_inline int dest_take(struct tcpstate_dest *dest)
{
	int conns = atomic_inc_return(&dest->conns);

	if (likely(conns > 0))
		return conns;
	atomic_dec(&dest->conns);
	return 0;
}

/* The destination of @sk, with one more record attached. */
static noinline struct tcpstate_dest *dest_add(struct tcpstate_netns *netns,
					       const struct sock *sk)
{
	struct tcpstate_dest_key key = key_of(sk, over_ipv6(sk));
	struct hlist_bl_head *bucket = bucket_of(netns, &key);
	struct tcpstate_dest *dest, *fresh;

	fresh = dest_alloc(netns, sock_net(sk), &key);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_DEST);
	/* Another CPU may have been first, or the sweep have left it here. */
	dest = chain_find(bucket, netns, &key);
	if (dest) {
		atomic_inc(&dest->conns);
	} else if (fresh) {
		atomic_set(&fresh->conns, 1);
		fresh->id = atomic64_inc_return(&dest_last_id);
		tcpstate_chain_add(bucket, &fresh->node);
		swap(dest, fresh);
	}
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_DEST);
	if (fresh)
		dest_free(fresh);
	if (!dest)
		atomic64_inc(&netns->dests_dropped);
	else
		schedule_delayed_work(&sweep_work, SWEEP_PERIOD);
	return dest;
}

static struct tcpstate_shard *shard_of(struct tcpstate_dest *dest,
				       const struct tcpstate_conn *conn)
{
	/* Past the bits that are the same in all of them. */
	return &dest->shards[((unsigned long)conn >> 8) % TCPSTATE_SHARDS];
}

static u64 early_ends(struct tcpstate_dest *dest)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < TCPSTATE_SHARDS; i++)
		sum += READ_ONCE(dest->shards[i].early);
	return sum;
}

/**
 * tcpstate_dest_opens() - connections opened to a destination
 * @dest: the destination
 *
 * Return: how many, since it has been kept.
 */
u64 tcpstate_dest_opens(struct tcpstate_dest *dest)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < TCPSTATE_SHARDS; i++)
		sum += READ_ONCE(dest->shards[i].opens);
	return sum;
}

/* Those attached that are not in TIME_WAIT. */
static s32 held(struct tcpstate_dest *dest)
{
	return atomic_read(&dest->conns) - atomic_read(&dest->time_wait);
}

static __always_inline bool mark_due(struct tcpstate_dest *dest)
{
	return time_after(READ_ONCE(jiffies), READ_ONCE(dest->mark_due));
}

/* Interrupts off. */
static noinline void mark(struct tcpstate_dest *dest)
{
	struct tcpstate_dest_mark now = { .at = ktime_get_ns() };

	if (!raw_spin_trylock(&dest->mark_lock))
		return;
	/* Many find it due at once: one of them marks. */
	if (!mark_due(dest)) {
		raw_spin_unlock(&dest->mark_lock);
		return;
	}
	now.opens = tcpstate_dest_opens(dest);
	now.early = early_ends(dest);
	now.held = held(dest);
	/* After a pause the old one says nothing of now. */
	dest->marks[0] = time_after(jiffies, dest->mark_due +
				    TCPSTATE_MARK_PERIOD) ?
			 now : dest->marks[1];
	dest->marks[1] = now;
	WRITE_ONCE(dest->mark_due, jiffies + TCPSTATE_MARK_PERIOD);
	raw_spin_unlock(&dest->mark_lock);
}

/* A mark or a look is due. Interrupts off. */
static noinline void attached_due(struct tcpstate_dest *dest)
{
	if (mark_due(dest))
		mark(dest);
	if ((u32)atomic_read(&dest->conns) >= READ_ONCE(dest->trigger))
		tcpstate_alert_due(&dest->watch);
}

/* Put @conn among the records attached to @dest, which are @conns now. */
static __always_inline void attach_to(struct tcpstate_dest *dest,
				      struct tcpstate_conn *conn, int conns,
				      bool fresh)
{
	struct tcpstate_shard *shard = shard_of(dest, conn);

	OPTIMIZER_HIDE_VAR(shard);	/* it would be made twice */
	conn->dest = dest;
	tcpstate_chain_lock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	/* Pairs with the READ_ONCE() of tcpstate_dest_opens(). */
	if (fresh)
		WRITE_ONCE(shard->opens, shard->opens + 1);
	tcpstate_chain_unlock_add(&shard->conns,
				  tcpstate_chain_first(&shard->conns),
				  &conn->peer, TCPSTATE_CHAIN_PEERS);

	if (unlikely(mark_due(dest) ||
		     (u32)conns >= READ_ONCE(dest->trigger)))
		attached_due(dest);
}

/* For what is not found at once. */
static noinline void attach_slow(struct tcpstate_netns *netns,
				 struct tcpstate_conn *conn,
				 const struct sock *sk, bool fresh)
{
	struct tcpstate_dest *dest = dest_add(netns, sk);

	if (!dest) {
		dest = &netns->others;
		atomic_inc(&dest->conns);
	}
	attach_to(dest, conn, atomic_read(&dest->conns), fresh);
}

static __always_inline void attach(struct tcpstate_netns *netns,
				   struct tcpstate_conn *conn,
				   const struct sock *sk, bool ipv6, bool fresh)
{
	struct tcpstate_dest_key key = key_of(sk, ipv6);
	struct tcpstate_dest *dest = chain_find(bucket_of(netns, &key), netns,
						&key);
	int conns = likely(dest) ? dest_take(dest) : 0;

	if (likely(conns))
		attach_to(dest, conn, conns, fresh);
	else
		attach_slow(netns, conn, sk, fresh);
}

static noinline void open_ipv6(struct tcpstate_netns *netns,
			       struct tcpstate_conn *conn,
			       const struct sock *sk)
{
	attach(netns, conn, sk, true, true);
}

/**
 * tcpstate_dest_open() - a connection is being opened
 * @netns: its namespace
 * @conn: its record, its bucket locked, and that of no destination
 * @sk: its socket, about to enter SYN_SENT
 *
 * Context: interrupts off.
 */
void tcpstate_dest_open(struct tcpstate_netns *netns,
			struct tcpstate_conn *conn, const struct sock *sk)
{
	/* Apart, so that neither pays for the other's key. */
	if (unlikely(over_ipv6(sk)))
		open_ipv6(netns, conn, sk);
	else
		attach(netns, conn, sk, false, true);
}

/**
 * tcpstate_dest_attach() - a record may be that of an outgoing connection that
 *	was not seen to begin
 * @netns: its namespace
 * @conn: the record, its bucket locked, and that of no destination
 * @obj: the object it is to stand for
 * @sk: the same, or its socket if that is about to hand over to @obj: its chain
 *	is locked, or the socket is
 * @state: the state it is in, or about to enter
 *
 * One bound by hand before it was connected cannot be told from one that was
 * accepted, and is not taken for outgoing.
 *
 * Context: interrupts off.
 */
void tcpstate_dest_attach(struct tcpstate_netns *netns,
			  struct tcpstate_conn *conn, const struct sock *obj,
			  const struct sock *sk, int state)
{
	switch (inet_sk_state_load(sk)) {
	case TCP_LISTEN:
	case TCP_SYN_RECV:
		return;
	case TCP_SYN_SENT:
		break;
	default:
		if (state != TCP_SYN_SENT && !tcpstate_connect_bound(sk))
			return;
	}
	attach(netns, conn, obj, over_ipv6(obj), false);
	if (state == TCP_TIME_WAIT && conn->dest)
		atomic_inc(&conn->dest->time_wait);
}

static __always_inline void detach(struct tcpstate_conn *conn, int opened,
				   int early)
{
	struct tcpstate_dest *dest = conn->dest;
	struct tcpstate_shard *shard = shard_of(dest, conn);

	tcpstate_chain_lock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	tcpstate_chain_del(&conn->peer);
	/* Pair with the READ_ONCE()s of tcpstate_dest_opens() and early_ends(). */
	if (opened)
		WRITE_ONCE(shard->opens, shard->opens + opened);
	if (early)
		WRITE_ONCE(shard->early, shard->early + early);
	tcpstate_chain_unlock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	smp_mb__before_atomic();	/* pairs with take_out() */
	/* A sweep may free it from here on, after a grace period. */
	atomic_dec(&dest->conns);
}

/**
 * tcpstate_dest_detach() - a record ends that is attached to a destination
 * @conn: the record
 * @state: the state it was in
 *
 * Context: interrupts off, the record off its chain.
 */
void tcpstate_dest_detach(struct tcpstate_conn *conn, int state)
{
	if (state == TCP_TIME_WAIT) {
		atomic_dec(&conn->dest->time_wait);
		detach(conn, 0, 0);
	} else {
		detach(conn, 0, 1);
	}
}

/**
 * tcpstate_dest_refuse() - connect() has found no port
 * @conn: the record, which is that of no destination any more afterwards
 * @sk: its socket
 *
 * Context: process context, interrupts off, the record off its chain.
 */
void tcpstate_dest_refuse(struct tcpstate_conn *conn, const struct sock *sk)
{
	struct tcpstate_netns *netns = conn->home->netns;
	struct tcpstate_dest *dest = conn->dest;

	if (tcpstate_own_port_range(sk)) {
		atomic64_inc(&netns->own_range_refused);
		if (dest)
			atomic64_inc(&dest->own_range_refused);
	} else {
		tcpstate_process_note(&netns->connect_last);
		atomic64_inc(&netns->connect_refused);
		if (dest && dest != &netns->others) {
			tcpstate_process_note(&dest->refused.last);
			atomic64_inc(&dest->refused.count);
			tcpstate_alert_refused(&dest->watch, &dest->refused);
		}
	}
	if (dest)
		detach(conn, -1, 0);
	conn->dest = NULL;
}

/**
 * tcpstate_dest_find() - look up a destination
 * @netns: its namespace
 * @key: its key
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: the destination, or NULL.
 */
struct tcpstate_dest *
tcpstate_dest_find(const struct tcpstate_netns *netns,
		   const struct tcpstate_dest_key *key)
{
	lockdep_assert_held(&tcpstate_dest_mutex);
	return chain_find(bucket_of(netns, key), netns, key);
}

/**
 * tcpstate_dest_next() - the next destination of a walk over all
 * @bucket: where the walk is; 0 at its beginning
 * @id: where in that bucket; 0 at its beginning
 *
 * What is there all the time is met once. May be called again, @bucket and @id
 * as it left them, after the mutex has been let go.
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: the destination, or NULL after the last.
 */
struct tcpstate_dest *tcpstate_dest_next(unsigned long *bucket, u64 *id)
{
	struct hlist_bl_node *pos;
	struct tcpstate_dest *dest;

	lockdep_assert_held(&tcpstate_dest_mutex);
	for (; *bucket < dest_buckets; ++*bucket, *id = 0) {
		if (!(*bucket % 1024))
			cond_resched();
		pos = tcpstate_chain_first(&dest_table[*bucket]);
		for (; pos; pos = rcu_dereference_raw(pos->next)) {
			dest = hlist_bl_entry(pos, struct tcpstate_dest, node);
			if (*id && dest->id >= *id)
				continue;
			*id = dest->id;
			return dest;
		}
	}
	return NULL;
}

/* What is looked for in the records of a destination. */
struct use_walk {
	struct net			*net;
	struct tcpstate_room		*room;
	struct tcpstate_dest_use	*use;
	unsigned long			*taken;	/* ports met; NULL: none twice */
	bool				reuse;	/* tcp_tw_reuse, here */
	bool				stamps;	/* and there are time stamps */
	u64				stayed_ns;	/* in TIME_WAIT, in all */
	u64				left;		/* jiffies, likewise */
	u32				time_waits;	/* so many */
};

static void use_mini(struct use_walk *walk,
		     const struct inet_timewait_sock *tw, u64 since, u64 now)
{
	struct tcpstate_dest_use *use = walk->use;
	unsigned long left = tcpstate_tw_left(tw);
	u32 second = left / HZ, ms;

	if (READ_ONCE(tw->tw_substate) == TCP_TIME_WAIT) {
		walk->stayed_ns += now - since;
		walk->left += left;
		walk->time_waits++;
		if (walk->reuse && tcpstate_tw_stamp(tw)) {
			walk->stamps = true;
			ms = tcpstate_tw_reusable_in(tw, walk->net);
			if (!ms || !left) {
				use->reusable++;
				return;
			}
			second = min_t(u32, second, ms / MSEC_PER_SEC);
		}
	}
	use->back[min_t(u32, second, TCPSTATE_HOLD_SECONDS - 1)]++;
}

/* The record is in its shard as long as that is locked, and so its object is
 * there; but a socket may hand over to its mini-socket meanwhile. Its memory
 * stays that of a socket in an RCU read side.
 */
static void use_conn(struct use_walk *walk, const struct tcpstate_conn *conn,
		     u64 now)
{
	const struct sock *sk, *again = READ_ONCE(conn->obj);
	struct tcpstate_dest_use *use = walk->use;
	u64 since = READ_ONCE(conn->since);
	unsigned int port;
	bool mini, gone;

	do {
		sk = again;
		if (!sk)
			return;
		mini = inet_sk_state_load(sk) == TCP_TIME_WAIT;
		port = tcpstate_read_racy(sk->sk_num);
		/* Its port has been taken already: only its record is left. One
		 * that is still to be hashed has no timer yet.
		 */
		gone = mini && timer_pending(&inet_twsk(sk)->tw_timer) &&
		       hlist_nulls_unhashed_lockless(&inet_twsk(sk)->tw_node);
		smp_rmb();	/* what was read was of the object then */
		again = READ_ONCE(conn->obj);
	} while (again != sk);

	if (!port || gone)	/* or connect() is choosing one */
		return;
	if (!test_bit(port, walk->room->inside)) {
		use->outside++;
		return;
	}
	if (walk->taken && __test_and_set_bit(port, walk->taken))
		return;
	use->used++;
	if (mini)
		use_mini(walk, inet_twsk(sk), min(since, now), now);
}

static void use_shard(struct use_walk *walk, struct tcpstate_shard *shard)
{
	struct tcpstate_conn cursor = {};	/* no object: nobody minds it */
	struct hlist_bl_node *pos, *last;
	u64 now = ktime_get_ns();
	int n;

	local_irq_disable();
	tcpstate_chain_lock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	tcpstate_chain_add(&shard->conns, &cursor.peer);
	while ((pos = cursor.peer.next)) {
		for (n = 0; pos && n < PEERS_BATCH; n++, pos = pos->next) {
			use_conn(walk, hlist_bl_entry(pos, struct tcpstate_conn,
						      peer), now);
			last = pos;
		}
		tcpstate_chain_del(&cursor.peer);
		hlist_bl_add_behind(&cursor.peer, last);
		tcpstate_chain_unlock(&shard->conns, TCPSTATE_CHAIN_PEERS);
		local_irq_enable();
		cond_resched();
		local_irq_disable();
		tcpstate_chain_lock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	}
	tcpstate_chain_del(&cursor.peer);
	tcpstate_chain_unlock(&shard->conns, TCPSTATE_CHAIN_PEERS);
	local_irq_enable();
}

/* tcp_twsk_unique(): 2 stands for "through loopback only". */
static bool reuse_applies(const struct tcpstate_dest *dest,
			  const struct net *net)
{
	const struct tcpstate_dest_key *key = &dest->key;
	int reuse = READ_ONCE(net->ipv4.sysctl_tcp_tw_reuse);

	if (reuse != 2)
		return reuse;
	if (FIELD_GET(TCPSTATE_KEY_DEVICE, key->rest) == LOOPBACK_IFINDEX)
		return true;
	if (FIELD_GET(TCPSTATE_KEY_FAMILY, key->rest) == AF_INET) {
		const __be32 *addr = (const __be32 *)key->addr;

		return ipv4_is_loopback(addr[0]) || ipv4_is_loopback(addr[1]);
	}
	return ipv6_addr_loopback((const struct in6_addr *)&key->addr[0]) ||
	       ipv6_addr_loopback((const struct in6_addr *)&key->addr[2]);
}

/* What comes to a destination and goes, per 1000 seconds, which is thousandths
 * per second, too.
 */
struct flows {
	s64	opens;
	s64	early;
	s64	growth;
	u64	held;	/* now */
};

/* Return false if there has been too little time to tell. */
static bool flows_read(struct tcpstate_dest *dest, struct flows *flows)
{
	struct tcpstate_dest_mark from, now = { .at = ktime_get_ns() };
	u64 period_ms;

	raw_spin_lock_irq(&dest->mark_lock);
	from = dest->marks[0];
	raw_spin_unlock_irq(&dest->mark_lock);
	now.opens = tcpstate_dest_opens(dest);
	now.early = early_ends(dest);
	now.held = held(dest);

	memset(flows, 0, sizeof(*flows));
	flows->held = max(now.held, 0);
	if (now.at - from.at < RATE_MIN_NS)
		return false;
	/* Who attaches when a mark is due sets it: nobody has since. */
	if (time_after(jiffies, READ_ONCE(dest->mark_due) +
		       TCPSTATE_MARK_PERIOD))
		return true;
	period_ms = div_u64(now.at - from.at, NSEC_PER_MSEC);
	flows->opens = div64_s64((s64)(now.opens - from.opens) * 1000000,
				 period_ms);
	flows->opens = max(flows->opens, 0LL);
	flows->early = div64_s64((s64)(now.early - from.early) * 1000000,
				 period_ms);
	flows->growth = div64_s64((s64)(now.held - from.held) * 1000000,
				  period_ms);
	return true;
}

/* See the top of this file. The rates told are @dest's own; but the ports that
 * are left to it @others take, too.
 */
static void forecast(struct tcpstate_dest *dest, struct use_walk *walk,
		     struct tcpstate_dest **others, int n)
{
	struct tcpstate_dest_use *use = walk->use;
	u64 mean_ms, hold_ms = 60 * MSEC_PER_SEC;
	s64 entering, leaving, free, less;
	struct flows own, all, other;
	unsigned int second;
	int i;

	use->eta_ms = U64_MAX;
	use->sustainable = U64_MAX;
	if (!flows_read(dest, &own))
		return;
	entering = max(own.opens - own.early - own.growth, 0LL);
	use->rate = own.opens;
	use->rate_known = true;
	all = own;
	for (i = 0; i < n; i++) {
		if (!flows_read(others[i], &other))
			continue;
		all.opens += other.opens;
		all.early += other.early;
		all.growth += other.growth;
	}

	if (walk->stamps)
		hold_ms = tcpstate_reuse_delay_ms(walk->net);
	else if (walk->time_waits)
		hold_ms = clamp_t(u64,
				  div64_u64(walk->stayed_ns +
					    jiffies64_to_nsecs(walk->left),
					    (u64)walk->time_waits *
					    NSEC_PER_MSEC), 1,
				  (TCPSTATE_HOLD_SECONDS - 1) * MSEC_PER_SEC);
	leaving = entering + own.early;
	if (leaving > own.opens / 20) {	/* as below: else they hardly do */
		mean_ms = div64_u64(own.held * 1000000 + hold_ms * entering,
				    leaving);
		use->sustainable = div64_u64((u64)(use->capacity -
						   use->used_by_others) *
					     1000000, max(mean_ms, 1ULL));
	}

	free = 1000LL * (use->capacity - (use->used - use->reusable));
	if (free <= 0) {
		use->eta_ms = 0;
		return;
	}
	for (second = 0; second < DIV_ROUND_UP(hold_ms, MSEC_PER_SEC);
	     second++) {
		less = all.opens - all.early - 1000LL * use->back[second];
		if (less >= free) {
			use->eta_ms = second * MSEC_PER_SEC +
				      div64_s64(free * MSEC_PER_SEC, less);
			return;
		}
		free -= less;
	}
	/* A few more or less are no trend, unless they are bound to be. */
	if (all.growth > ((u64)own.opens > use->sustainable ? 0 :
			  all.opens / 20))
		use->eta_ms = second * MSEC_PER_SEC +
			      div64_s64(free * MSEC_PER_SEC, all.growth);
}

/* Put the one that differs from @dest in its device after the @n others. */
static int other_add(const struct tcpstate_dest *dest, u32 device,
		     struct tcpstate_dest *others[OTHERS_MAX], int n)
{
	struct tcpstate_dest_key key = dest->key;

	key.rest &= ~TCPSTATE_KEY_DEVICE;
	key.rest |= FIELD_PREP(TCPSTATE_KEY_DEVICE, device);
	others[n] = tcpstate_dest_find(dest->netns, &key);
	return n + !!others[n];
}

/* The destinations whose ports are in the way of @dest's sockets, too. What is
 * bound to a device cannot share its ends with what is bound to its VRF, or to no
 * device at all; these can with it. Return how many there are in @others.
 */
static int others_of(const struct tcpstate_dest *dest, struct net *net,
		     struct tcpstate_dest *others[OTHERS_MAX])
{
	int device = FIELD_GET(TCPSTATE_KEY_DEVICE, dest->key.rest);
	int vrf = l3mdev_master_ifindex_by_index(net, device), n = 0;

	if (!device)
		return 0;
	if (vrf && vrf != device)
		n = other_add(dest, vrf, others, n);
	/* As __inet_check_established() asks. */
	if (inet_sk_bound_dev_eq(net, 0, device, vrf))
		n = other_add(dest, 0, others, n);
	return n;
}

/**
 * tcpstate_dest_conns() - how many connections could hold a destination's ports
 * @dest: the destination
 * @net: its namespace, held by the caller
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: how many; not more of its ports are used.
 */
u32 tcpstate_dest_conns(const struct tcpstate_dest *dest, struct net *net)
{
	struct tcpstate_dest *others[OTHERS_MAX];
	u32 conns = max(atomic_read(&dest->conns), 0);
	int n = others_of(dest, net, others);

	while (n--)
		conns += max(atomic_read(&others[n]->conns), 0);
	return conns;
}

static void use_dest(struct use_walk *walk, struct tcpstate_dest *dest)
{
	int i;

	/* By the device of what is in TIME_WAIT, not of who would take it again. */
	walk->reuse = reuse_applies(dest, walk->net);
	for (i = 0; i < TCPSTATE_SHARDS; i++)
		use_shard(walk, &dest->shards[i]);
}

/**
 * tcpstate_dest_use() - what connections to a destination hold
 * @dest: the destination
 * @net: its namespace, held by the caller
 * @since: what there is of ports must have been read then or later, nanoseconds of
 *	CLOCK_MONOTONIC
 * @use: filled in
 *
 * Context: process context, tcpstate_dest_mutex held. Goes through all records
 * attached, and through those of others that are in the way.
 * Return: 0, or -ENOMEM.
 */
int tcpstate_dest_use(struct tcpstate_dest *dest, struct net *net,
		      u64 since, struct tcpstate_dest_use *use)
{
	u32 device = FIELD_GET(TCPSTATE_KEY_DEVICE, dest->key.rest);
	struct use_walk walk = {
		.net = net,
		.room = tcpstate_port_room(dest->netns, net, device, since),
		.use = use,
	};
	struct tcpstate_dest *others[OTHERS_MAX];
	u32 used, outside;
	int n, i;

	if (!walk.room)
		return -ENOMEM;
	memset(use, 0, sizeof(*use));
	use->capacity = walk.room->capacity;
	use->time_wait = max(atomic_read(&dest->time_wait), 0);
	n = others_of(dest, net, others);
	if (n) {
		walk.taken = walk.room->taken;
		bitmap_zero(walk.taken, TCPSTATE_PORTS);
	}
	use_dest(&walk, dest);
	used = use->used;
	outside = use->outside;
	for (i = 0; i < n; i++)
		use_dest(&walk, others[i]);
	use->used_by_others = use->used - used;
	use->outside = outside;
	forecast(dest, &walk, others, n);
	return 0;
}

/**
 * tcpstate_dest_max() - the cap on one namespace's destinations
 * @netns: the namespace
 *
 * Return: how many it may have: by its own cap, or with what the others leave
 * of that for all.
 */
u64 tcpstate_dest_max(const struct tcpstate_netns *netns)
{
	int left = (int)max_destinations - atomic_read(&dest_count);

	return min_t(u64, max_destinations_netns,
		     atomic_read(&netns->dests) + max(left, 0));
}

static bool refused_lately(struct tcpstate_dest *dest)
{
	return atomic64_read(&dest->refused.count) &&
	       ktime_get_ns() - READ_ONCE(dest->refused.last.when) <
	       REFUSED_KEPT_NS;
}

/* Is there something of @dest, with nothing attached, to tell or to remember? */
static bool kept(struct tcpstate_dest *dest)
{
	if (test_bit(TCPSTATE_WATCH_DUE, &dest->watch.flags))
		return true;
	if (READ_ONCE(dest->netns->dying))
		return false;
	/* attached_due() may set DUE beside this. */
	return READ_ONCE(dest->watch.flags) || refused_lately(dest);
}

/* Take @dest out of its chain, if nothing is attached and it is not kept. */
static bool take_out(struct hlist_bl_head *bucket, struct tcpstate_dest *dest)
{
	bool taken;

	local_irq_disable();
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_DEST);
	/* What was attached since kept() was asked may have been refused, or
	 * have found a look due: what it left is seen now. Who finds it taken
	 * waits for the lock, in dest_add(), and looks for it again.
	 */
	taken = !atomic_cmpxchg(&dest->conns, 0, TAKEN_OUT);
	if (taken && kept(dest)) {
		atomic_sub(TAKEN_OUT, &dest->conns);
		taken = false;
	}
	if (taken)
		tcpstate_chain_del(&dest->node);
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_DEST);
	local_irq_enable();
	return taken;
}

static void sweep_bucket(struct hlist_bl_head *bucket)
{
	struct hlist_bl_node *pos = tcpstate_chain_first(bucket), *next;
	struct tcpstate_dest *dest;
	bool idle;

	for (; pos; pos = next) {
		dest = hlist_bl_entry(pos, struct tcpstate_dest, node);
		next = rcu_dereference_raw(pos->next);
		if (atomic_read(&dest->conns)) {
			dest->idle = false;
			/* What there is of ports may have become less, or others
			 * have taken them.
			 */
			if (atomic_read(&dest->conns) >= CHECKED_CONNS ||
			    FIELD_GET(TCPSTATE_KEY_DEVICE, dest->key.rest))
				tcpstate_alert_due(&dest->watch);
			continue;
		}
		idle = dest->idle || READ_ONCE(dest->netns->dying);
		dest->idle = true;
		if (!idle || kept(dest) || !take_out(bucket, dest))
			continue;
		tcpstate_alert_forget(&dest->watch);
		dest_free(dest);
	}
}

static void sweep(struct work_struct *work)
{
	unsigned long i;

	mutex_lock(&tcpstate_dest_mutex);
	for (i = 0; i < dest_buckets; i++) {
		if (!hlist_bl_empty(&dest_table[i]))
			sweep_bucket(&dest_table[i]);
		if (!(i % 256))
			cond_resched();
	}
	mutex_unlock(&tcpstate_dest_mutex);
	if (atomic_read(&dest_count))
		schedule_delayed_work(&sweep_work, SWEEP_PERIOD);
}

/**
 * tcpstate_dest_netns_init() - prepare a namespace for what has no destination
 * @netns: the namespace, all of it 0 that is about destinations
 */
void tcpstate_dest_netns_init(struct tcpstate_netns *netns)
{
	netns->others.netns = netns;
	netns->others.trigger = U32_MAX;
	raw_spin_lock_init(&netns->others.mark_lock);
}

/**
 * tcpstate_dest_init() - make the table of destinations
 *
 * Return: 0, or -ENOMEM.
 */
int tcpstate_dest_init(void)
{
	u64 fit = (u64)totalram_pages() * PAGE_SIZE / MEMORY_SHARE /
		  sizeof(struct tcpstate_dest);

	if (!max_destinations)
		max_destinations = min_t(u64, fit, INT_MAX / 2);
	if (!max_destinations_netns)
		max_destinations_netns = max(max_destinations / 2, 1U);
	max_destinations = min_t(uint, max_destinations, INT_MAX / 2);
	max_destinations_netns = min(max_destinations_netns, max_destinations);

	/* Most never have so many: the table is for an eighth of them. */
	dest_buckets = clamp(roundup_pow_of_two(max_destinations) / 8, 2UL,
			     BUCKETS_MAX);
	dest_shift = BITS_PER_LONG_LONG - ilog2(dest_buckets);
	get_random_bytes(dest_secret, sizeof(dest_secret));
	dest_table = kvcalloc(dest_buckets, sizeof(*dest_table),
			      GFP_KERNEL | __GFP_NOWARN);
	if (!dest_table)
		return -ENOMEM;
	dest_cache = kmem_cache_create("tcpstate_dest",
				       sizeof(struct tcpstate_dest), 0,
				       SLAB_HWCACHE_ALIGN, NULL);
	if (!dest_cache) {
		kvfree(dest_table);
		return -ENOMEM;
	}
	return 0;
}

/**
 * tcpstate_dest_stop() - nothing is forgotten or found due any more by itself
 *
 * Context: process context, every hook gone.
 */
void tcpstate_dest_stop(void)
{
	cancel_delayed_work_sync(&sweep_work);
}

/**
 * tcpstate_dest_exit() - undo tcpstate_dest_init()
 *
 * Context: process context. Every record flushed, no alert looked for: nobody
 * comes to the table any more.
 */
void tcpstate_dest_exit(void)
{
	struct hlist_bl_node *pos, *next;
	unsigned long i;

	for (i = 0; i < dest_buckets; i++) {
		pos = tcpstate_chain_first(&dest_table[i]);
		for (; pos; pos = next) {
			next = rcu_dereference_raw(pos->next);
			dest_free(hlist_bl_entry(pos, struct tcpstate_dest, node));
		}
		if (!(i % 256))
			cond_resched();
	}
	rcu_barrier();
	kmem_cache_destroy(dest_cache);
	kvfree(dest_table);
}
