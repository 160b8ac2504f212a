// SPDX-License-Identifier: GPL-2.0
/*
 * Records: one per connection, found by the address of the kernel object that
 * stands for it now.
 *
 * The table is of fixed size and its chains carry their lock in the head
 * pointer, as the dentry cache's do. It is consulted at every event of every
 * connection; an rhashtable, which takes a lock, counts its elements and may
 * start a resize at each insertion, costs several times as much there, and a
 * hand-over would pay it twice. The kernel's own table of connections, whose
 * size this one follows, does not grow either.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <net/inet_timewait_sock.h>
#include <net/sock.h>

#include "clock.h"
#include "compat.h"
#include "tcpstate.h"

/* More buckets than the kernel's own table has: theirs holds one hash value
 * per connection, ours is met at every event.
 */
#define CONN_BUCKETS_PER_EHASH	4
#define CONN_BUCKETS_MAX	(1UL << 20)

static struct hlist_bl_head *conn_table __read_mostly;
static unsigned int conn_bits __read_mostly;
static struct kmem_cache *conn_cache __read_mostly;
static u32 conn_epoch;	/* written under walk.c's mutex, read at every event */

static unsigned int fail_adds;
module_param(fail_adds, uint, 0600);
MODULE_PARM_DESC(fail_adds, "Debugging: let the allocation of the next N records fail");

static const s8 conn_ages[TCPSTATE_STATES] = {
	[0]			 = TCPSTATE_AGE_NONE,
	[TCP_ESTABLISHED]	 = TCPSTATE_AGE_NONE,
	[TCP_SYN_SENT]		 = TCPSTATE_AGE_NONE,
	[TCP_SYN_RECV]		 = TCPSTATE_AGE_NONE,
	[TCP_FIN_WAIT1]		 = TCPSTATE_AGE_FIN_WAIT1,
	[TCP_FIN_WAIT2]		 = TCPSTATE_AGE_FIN_WAIT2,
	[TCP_TIME_WAIT]		 = TCPSTATE_AGE_TIME_WAIT,
	[TCP_CLOSE]		 = TCPSTATE_AGE_NONE,
	[TCP_CLOSE_WAIT]	 = TCPSTATE_AGE_CLOSE_WAIT,
	[TCP_LAST_ACK]		 = TCPSTATE_AGE_LAST_ACK,
	[TCP_LISTEN]		 = TCPSTATE_AGE_LISTEN,
	[TCP_CLOSING]		 = TCPSTATE_AGE_CLOSING,
	[TCPSTATE_FIN_WAIT2_MINI] = TCPSTATE_AGE_FIN_WAIT2,
};

/* Free records, kept per CPU and taken with interrupts off: the slab's own
 * fast paths cost ten times as much, twice in the life of every connection.
 */
struct conn_stock {
	struct hlist_bl_node	*first;
	unsigned int		count;
};

#define CONN_STOCK_BATCH	16
#define CONN_STOCK_MAX		(2 * CONN_STOCK_BATCH)

static DEFINE_PER_CPU(struct conn_stock, conn_stock);

static __always_inline struct hlist_bl_head *conn_bucket(const void *obj)
{
	return &conn_table[hash_ptr(obj, conn_bits)];
}

static __always_inline struct tcpstate_conn *
conn_find(struct hlist_bl_head *bucket, const void *obj)
{
	struct hlist_bl_node *pos;
	struct tcpstate_conn *conn;

	hlist_bl_for_each_entry(conn, pos, bucket, node)
		if (conn->obj == obj)
			return conn;
	return NULL;
}

static __always_inline enum tcpstate_family object_family(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 ? TCPSTATE_IPV6 : TCPSTATE_IPV4;
}

static int mini_state(const struct inet_timewait_sock *tw)
{
	return READ_ONCE(tw->tw_substate) == TCP_FIN_WAIT2 ?
	       TCPSTATE_FIN_WAIT2_MINI : TCP_TIME_WAIT;
}

/* The block this CPU counts in; to be given back with here_put(). */
static struct tcpstate_cpu *here_get(struct tcpstate_netns *netns)
	__acquires(&netns->shared_lock)
{
	struct tcpstate_cpu *here = this_cpu_read(*netns->cpus);

	if (unlikely(!here))
		here = tcpstate_netns_block_add(netns);
	if (unlikely(here == &netns->shared))
		raw_spin_lock(&netns->shared_lock);
	else
		__acquire(&netns->shared_lock);
	return here;
}

static void here_put(struct tcpstate_netns *netns, struct tcpstate_cpu *here)
	__releases(&netns->shared_lock)
{
	if (unlikely(here == &netns->shared))
		raw_spin_unlock(&netns->shared_lock);
	else
		__release(&netns->shared_lock);
}

static __always_inline void count_move(struct tcpstate_cpu *here, int family,
				       int from, int to)
{
	unsigned int edge = tcpstate_count_edges[from][to];

	if (likely(edge != TCPSTATE_EDGE_ILLEGAL))
		local64_inc(&here->edge[edge][family]);
	else
		tcpstate_count_illegal(here, family, from, to);
}

static __always_inline void count_dwell(struct tcpstate_cpu *here,
					const struct tcpstate_conn *conn,
					u64 now)
{
	/* Stamped by another CPU's clock it may seem to lie ahead. */
	u64 ns = now > conn->since ? now - conn->since : 0;
	unsigned int bucket;

	if (unlikely(conn->seeded))	/* when it entered is not known */
		return;
	bucket = min_t(unsigned int, fls64(div_u64(ns, NSEC_PER_MSEC)),
		       TCPSTATE_DWELL_BUCKETS - 1);
	local64_inc(&here->dwell[conn->state][bucket]);
	if (unlikely(ns > local64_read(&here->dwell_max[conn->state])))
		local64_set(&here->dwell_max[conn->state], ns);
}

static __always_inline void ages_add(struct tcpstate_ages *ages,
				     struct tcpstate_conn *conn)
{
	hlist_bl_lock(&ages->newest);
	hlist_bl_add_head(&conn->age, &ages->newest);
	if (!ages->oldest)
		ages->oldest = conn;
	hlist_bl_unlock(&ages->newest);
}

static __always_inline void ages_del(struct tcpstate_ages *ages,
				     struct tcpstate_conn *conn)
{
	hlist_bl_lock(&ages->newest);
	if (ages->oldest == conn)
		ages->oldest = conn->age.pprev == &ages->newest.first ? NULL :
			       container_of(conn->age.pprev,
					    struct tcpstate_conn, age.next);
	__hlist_bl_del(&conn->age);
	hlist_bl_unlock(&ages->newest);
}

/* Count @conn out of its state and into @state, and keep it in the order of
 * age. TCP_CLOSE is the end: the caller takes it off its chain.
 */
static __always_inline void conn_enter(struct tcpstate_conn *conn,
				       struct tcpstate_cpu *here, int state,
				       u64 now)
{
	int from = conn_ages[conn->state];
	int to = conn_ages[state];

	count_move(here, conn->family, conn->state, state);
	count_dwell(here, conn, now);
	if (from != TCPSTATE_AGE_NONE)
		ages_del(&conn->home->ages[from], conn);
	conn->since = now;
	conn->home = here;
	conn->state = state;
	/* Pairs with the WRITE_ONCE() of tcpstate_conn_epoch_next(). */
	conn->epoch = READ_ONCE(conn_epoch);
	if (to != TCPSTATE_AGE_NONE)
		ages_add(&here->ages[to], conn);
}

/* setsockopt(IPV6_ADDRFORM) makes an IPv6 socket an IPv4 one, and no event of
 * it: found out at the next one, or by a walk.
 */
static void conn_check_family(struct tcpstate_conn *conn,
			      const struct sock *sk)
{
	struct tcpstate_netns *netns = conn->home->netns;
	int family = object_family(sk);
	struct tcpstate_cpu *here;

	if (conn->family == family)
		return;
	here = here_get(netns);
	local64_dec(&here->seeded[conn->state][conn->family]);
	local64_inc(&here->seeded[conn->state][family]);
	conn->family = family;
	here_put(netns, here);
}

static noinline void conn_move_slow(struct tcpstate_conn *conn,
				    const struct sock *sk, int state)
{
	struct tcpstate_netns *netns = conn->home->netns;
	struct tcpstate_cpu *here;

	if (conn->state == state)
		return;
	conn_check_family(conn, sk);
	here = here_get(netns);
	if (conn->state == TCP_FIN_WAIT2 && state == TCPSTATE_FIN_WAIT2_MINI) {
		/* A mini-socket in FIN_WAIT2 goes on where the full one left
		 * off: no new entry, and its place in the list is kept.
		 */
		count_move(here, conn->family, conn->state, state);
		conn->state = state;
	} else {
		conn_enter(conn, here, state, tcpstate_clock_now());
		conn->seeded = 0;
	}
	here_put(netns, here);
}

/* What most moves are: on the CPU of the move before, with nothing out of the
 * ordinary. No call is made on this path.
 */
static __always_inline void conn_move(struct tcpstate_conn *conn,
				      const struct sock *sk, int state)
{
	const struct tcpstate_clock *clock = this_cpu_ptr(&tcpstate_clock);

	if (likely(conn->home->cpu == raw_smp_processor_id() &&
		   conn->family == object_family(sk) &&
		   tcpstate_count_edges[conn->state][state] &&
		   state != TCPSTATE_FIN_WAIT2_MINI && !conn->seeded &&
		   tcpstate_clock_good(clock)))
		conn_enter(conn, conn->home, state, clock->ns);
	else
		conn_move_slow(conn, sk, state);
}

/* Take @conn off its chain and out of the counters. The caller frees it. */
static __always_inline void conn_del(struct tcpstate_conn *conn)
{
	struct tcpstate_netns *netns = conn->home->netns;
	struct tcpstate_cpu *here = here_get(netns);
	int state = conn->state;

	conn_enter(conn, here, TCP_CLOSE, tcpstate_clock_now());
	if (state == TCP_TIME_WAIT)
		local64_inc(&here->end[conn->end]);
	hlist_bl_del(&conn->node);
	/* Pairs with the WRITE_ONCE() of netns.c's pre_exit. */
	if (unlikely(READ_ONCE(netns->dying)))
		tcpstate_netns_slots_put(netns, 1);
	else if (unlikely(++here->spare > 2 * TCPSTATE_SLOT_BATCH))
		tcpstate_netns_slot_drain(here);
	here_put(netns, here);
}

static bool fail_add(void)
{
	unsigned int left = READ_ONCE(fail_adds);

	while (unlikely(left)) {
		unsigned int was = cmpxchg(&fail_adds, left, left - 1);

		if (was == left)
			return true;
		left = was;
	}
	return false;
}

static void stock_put(struct conn_stock *stock, struct tcpstate_conn *conn)
{
	conn->node.next = stock->first;
	stock->first = &conn->node;
	stock->count++;
}

static struct tcpstate_conn *stock_get(struct conn_stock *stock)
{
	struct tcpstate_conn *conn =
		hlist_bl_entry(stock->first, struct tcpstate_conn, node);

	stock->first = conn->node.next;
	stock->count--;
	return conn;
}

static noinline void stock_refill(struct conn_stock *stock)
{
	void *fresh[CONN_STOCK_BATCH];
	int count;

	count = kmem_cache_alloc_bulk(conn_cache, GFP_ATOMIC | __GFP_NOWARN,
				      CONN_STOCK_BATCH, fresh);
	while (count > 0)
		stock_put(stock, fresh[--count]);
}

static noinline void stock_drain(struct conn_stock *stock, unsigned int count)
{
	while (count--)
		kmem_cache_free(conn_cache, stock_get(stock));
}

static __always_inline struct tcpstate_conn *conn_alloc_atomic(void)
{
	struct conn_stock *stock = this_cpu_ptr(&conn_stock);

	if (unlikely(READ_ONCE(fail_adds)) && fail_add())
		return NULL;
	if (unlikely(!stock->count)) {
		stock_refill(stock);
		if (!stock->count)
			return NULL;
	}
	return stock_get(stock);
}

static __always_inline void conn_free_atomic(struct tcpstate_conn *conn)
{
	struct conn_stock *stock = this_cpu_ptr(&conn_stock);

	stock_put(stock, conn);
	if (unlikely(stock->count > CONN_STOCK_MAX))
		stock_drain(stock, CONN_STOCK_BATCH);
}

/* Give @fresh to the object, or return false: a cap is reached. */
static __always_inline bool conn_add(struct tcpstate_netns *netns,
				     struct hlist_bl_head *bucket,
				     const struct sock *sk, int state,
				     struct tcpstate_conn *fresh, bool seeded)
{
	struct tcpstate_cpu *here = here_get(netns);
	int age = conn_ages[state];
	bool added = false;

	if (unlikely(here->spare <= 0 && !tcpstate_netns_slot_refill(here)))
		goto out;
	here->spare--;

	fresh->obj = sk;
	fresh->home = here;
	fresh->since = tcpstate_clock_now();
	fresh->state = state;
	fresh->family = object_family(sk);
	fresh->end = TCPSTATE_END_EXPIRED;
	fresh->seeded = seeded;
	fresh->unmatched = 0;
	/* Pairs with the WRITE_ONCE() of tcpstate_conn_epoch_next(). */
	fresh->epoch = READ_ONCE(conn_epoch);
	if (seeded)
		local64_inc(&here->seeded[state][fresh->family]);
	else
		count_move(here, fresh->family, TCP_CLOSE, state);
	if (age != TCPSTATE_AGE_NONE)
		ages_add(&here->ages[age], fresh);
	hlist_bl_add_head(&fresh->node, bucket);
	added = true;
out:
	here_put(netns, here);
	return added;
}

/* An event on an object without a record gives it one in its new state. */
static noinline void conn_add_event(struct hlist_bl_head *bucket,
				    const struct sock *sk, int state)
{
	struct tcpstate_netns *netns = tcpstate_netns_of(sock_net(sk));
	struct tcpstate_conn *fresh;

	if (unlikely(!netns))
		return;
	fresh = conn_alloc_atomic();
	if (likely(fresh)) {
		if (likely(conn_add(netns, bucket, sk, state, fresh, false)))
			return;
		conn_free_atomic(fresh);
	}
	tcpstate_netns_untracked(netns);
}

static noinline void conn_close(struct tcpstate_conn *conn)
{
	conn_del(conn);
	conn_free_atomic(conn);
}

/**
 * tcpstate_conn_alloc() - allocate a record
 * @gfp: as for kmem_cache_alloc(); a failure is counted, never warned of
 *
 * Return: the record, or NULL without memory.
 */
struct tcpstate_conn *tcpstate_conn_alloc(gfp_t gfp)
{
	if (unlikely(READ_ONCE(fail_adds)) && fail_add())
		return NULL;
	return kmem_cache_alloc(conn_cache, gfp | __GFP_NOWARN);
}

/**
 * tcpstate_conn_free() - free a record that is in no table
 * @conn: the record
 */
void tcpstate_conn_free(struct tcpstate_conn *conn)
{
	kmem_cache_free(conn_cache, conn);
}

/**
 * tcpstate_conn_set() - a socket changes its state
 * @sk: the socket
 * @state: its new state; TCP_CLOSE ends the record
 *
 * Context: any below hard interrupt, with locks of TCP held.
 */
void tcpstate_conn_set(const struct sock *sk, int state)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, sk);
	if (conn && state != TCP_CLOSE)
		conn_move(conn, sk, state);
	else if (conn)
		conn_close(conn);
	else if (state != TCP_CLOSE)
		conn_add_event(bucket, sk, state);
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_handover() - a mini-socket takes over from its socket
 * @tw: the mini-socket, not yet visible to anybody else
 * @sk: the socket; its TCP_CLOSE will find no record any more
 *
 * Allocates nothing where the record is known.
 *
 * Context: any below hard interrupt, with @sk locked.
 */
void tcpstate_conn_handover(const struct inet_timewait_sock *tw,
			    const struct sock *sk)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, sk);
	if (conn)
		hlist_bl_del(&conn->node);
	hlist_bl_unlock(bucket);

	bucket = conn_bucket(tw);
	hlist_bl_lock(bucket);
	if (conn) {
		conn->obj = tw;
		conn_move(conn, (const struct sock *)tw, mini_state(tw));
		hlist_bl_add_head(&conn->node, bucket);
	} else {
		conn_add_event(bucket, (const struct sock *)tw, mini_state(tw));
	}
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_set_mini() - a mini-socket may have changed its state
 * @tw: the mini-socket, @tw->tw_substate already new
 *
 * Never adds: this function of the kernel's is reached by other protocols'
 * mini-sockets too.
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_set_mini(const struct inet_timewait_sock *tw)
{
	struct hlist_bl_head *bucket = conn_bucket(tw);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, tw);
	if (conn)
		conn_move(conn, (const struct sock *)tw, mini_state(tw));
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_end_mini() - note how a mini-socket is about to end
 * @tw: the mini-socket
 * @end: how it ends
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_end_mini(const struct inet_timewait_sock *tw,
			    enum tcpstate_end end)
{
	struct hlist_bl_head *bucket = conn_bucket(tw);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, tw);
	if (conn)
		conn->end = end;
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_del_mini() - a mini-socket is being freed
 * @tw: the mini-socket, as the struct sock it shares its beginning with
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_del_mini(const struct sock *tw)
{
	struct hlist_bl_head *bucket = conn_bucket(tw);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, tw);
	if (conn)
		conn_close(conn);
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_see() - a walk meets an object in the kernel's tables
 * @sk: socket or mini-socket, which cannot end before the caller lets it go:
 *	its chain is locked, or the socket is
 * @epoch: the walk's number
 * @fresh: a record to give to an object that has none; set to NULL when it
 *	was taken. NULL if none is to be given.
 *
 * Context: process context, bottom halves off or @sk locked.
 * Return: what became of it.
 */
enum tcpstate_seen tcpstate_conn_see(const struct sock *sk, u32 epoch,
				     struct tcpstate_conn **fresh)
{
	struct tcpstate_netns *netns;
	struct hlist_bl_head *bucket = conn_bucket(sk);
	enum tcpstate_seen seen = TCPSTATE_SEEN_UNKNOWN;
	struct tcpstate_conn *conn;
	unsigned long flags;
	int state;

	local_irq_save(flags);
	hlist_bl_lock(bucket);
	conn = conn_find(bucket, sk);
	/* Read under the lock: a mini-socket's new state is stored before its
	 * event, so that here the event is either done or still to come.
	 */
	state = inet_sk_state_load(sk);
	if (state == TCP_TIME_WAIT)
		state = mini_state(inet_twsk(sk));
	if (conn) {
		seen = TCPSTATE_SEEN_DIFFERS;
		if (conn->state == state) {
			conn_check_family(conn, sk);
			conn->epoch = epoch;
			seen = TCPSTATE_SEEN_MATCH;
		}
	} else if (fresh && *fresh) {
		netns = tcpstate_netns_of(sock_net(sk));
		if (netns && conn_add(netns, bucket, sk, state, *fresh, true)) {
			*fresh = NULL;
			seen = TCPSTATE_SEEN_ADDED;
		} else {
			seen = TCPSTATE_SEEN_REFUSED;
		}
	}
	hlist_bl_unlock(bucket);
	local_irq_restore(flags);
	return seen;
}

/**
 * tcpstate_conn_epoch_next() - number the walk that is about to begin
 *
 * Records that are added or move from now on count as met by it.
 *
 * Context: process context, walks serialized by the caller.
 * Return: the number, never 0.
 */
u32 tcpstate_conn_epoch_next(void)
{
	u32 epoch = conn_epoch + 1 ? : 1;

	WRITE_ONCE(conn_epoch, epoch);
	return epoch;
}

/**
 * tcpstate_conn_unmatched() - records that the walks of an audit did not meet
 * @netns: whose records
 * @epoch: the walk that has just ended
 * @walks: how many walks this audit has made, this one included
 *
 * Context: process context, walks serialized by the caller. May sleep.
 * Return: how many records none of @walks has met in their state.
 */
u64 tcpstate_conn_unmatched(const struct tcpstate_netns *netns, u32 epoch,
			    u8 walks)
{
	struct hlist_bl_head *bucket = conn_table;
	struct hlist_bl_node *pos;
	struct tcpstate_conn *conn;
	u64 unmatched = 0;
	unsigned long i;

	for (i = 0; i < 1UL << conn_bits; i++, bucket++) {
		if (!(i % 256))
			cond_resched();
		if (hlist_bl_empty(bucket))
			continue;
		local_irq_disable();
		hlist_bl_lock(bucket);
		hlist_bl_for_each_entry(conn, pos, bucket, node) {
			if (conn->home->netns != netns)
				continue;
			if (conn->epoch == epoch) {
				conn->unmatched = 0;
				continue;
			}
			if (walks > 1 && conn->unmatched != walks - 1)
				continue;
			conn->unmatched = walks;
			unmatched++;
		}
		hlist_bl_unlock(bucket);
		local_irq_enable();
	}
	return unmatched;
}

/**
 * tcpstate_conn_flush() - forget every connection
 *
 * Context: process context, every hook gone. May sleep.
 */
void tcpstate_conn_flush(void)
{
	struct hlist_bl_head *bucket = conn_table;
	struct tcpstate_conn *conn;
	unsigned long i;

	for (i = 0; i < 1UL << conn_bits; i++, bucket++) {
		while (!hlist_bl_empty(bucket)) {
			local_irq_disable();
			hlist_bl_lock(bucket);
			conn = hlist_bl_entry(hlist_bl_first(bucket),
					      struct tcpstate_conn, node);
			conn_close(conn);
			hlist_bl_unlock(bucket);
			local_irq_enable();
		}
		if (!(i % 256))
			cond_resched();
	}
}

/* A cache with a constructor is not merged with others of its size, so that
 * slabinfo shows what is ours, and is not cleared at each allocation. Every
 * field is set when a record is given to an object.
 */
static void conn_ctor(void *conn)
{
}

/**
 * tcpstate_conn_init() - make the table of records
 *
 * Return: 0, or -ENOMEM.
 */
int tcpstate_conn_init(void)
{
	const struct inet_hashinfo *hashinfo =
		init_net.ipv4.tcp_death_row.hashinfo;
	unsigned long buckets = min((hashinfo->ehash_mask + 1UL) *
				    CONN_BUCKETS_PER_EHASH, CONN_BUCKETS_MAX);

	conn_bits = ilog2(buckets);
	conn_table = kvcalloc(buckets, sizeof(*conn_table), GFP_KERNEL);
	if (!conn_table)
		return -ENOMEM;
	conn_cache = kmem_cache_create("tcpstate_conn",
				       sizeof(struct tcpstate_conn), 0,
				       SLAB_HWCACHE_ALIGN, conn_ctor);
	if (!conn_cache) {
		kvfree(conn_table);
		return -ENOMEM;
	}
	return 0;
}

/**
 * tcpstate_conn_exit() - undo tcpstate_conn_init(), after tcpstate_conn_flush()
 */
void tcpstate_conn_exit(void)
{
	struct conn_stock *stock;
	int cpu;

	for_each_possible_cpu(cpu) {
		stock = per_cpu_ptr(&conn_stock, cpu);
		stock_drain(stock, stock->count);
	}
	kmem_cache_destroy(conn_cache);
	kvfree(conn_table);
}
