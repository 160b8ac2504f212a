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
#include <linux/bitfield.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <net/inet_connection_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "chain.h"
#include "clock.h"
#include "compat.h"
#include "leak.h"
#include "owner.h"
#include "stock.h"
#include "tcpstate.h"

/* More buckets than the kernel's own table has: theirs holds one hash value
 * per connection, ours is met at every event.
 */
#define CONN_BUCKETS_PER_EHASH	8
#define CONN_BUCKETS_MAX	BIT(20)

/* Where IPv6 is a module, probe.c has no event of a change of family: a
 * record looks at its socket's at each move, then.
 */
#define FAMILY_UNSEEN	IS_MODULE(CONFIG_IPV6)

#ifdef CONFIG_LOCKDEP
#define CHAIN_MAP(class, text)						\
	[class] = STATIC_LOCKDEP_MAP_INIT(text, &tcpstate_chain_maps[class])

struct lockdep_map tcpstate_chain_maps[TCPSTATE_CHAIN_CLASSES] = {
	CHAIN_MAP(TCPSTATE_CHAIN_BUCKET, "tcpstate_bucket"),
	CHAIN_MAP(TCPSTATE_CHAIN_DEST, "tcpstate_dest"),
	CHAIN_MAP(TCPSTATE_CHAIN_PEERS, "tcpstate_peers"),
	CHAIN_MAP(TCPSTATE_CHAIN_AGE, "tcpstate_age"),
};
#endif

static struct hlist_bl_head *conn_table __read_mostly;
static unsigned int conn_shift __read_mostly;	/* of a hash: leaves a bucket */
static unsigned long conn_buckets __read_mostly;
/* The walk that began last, and when it did; written under walk.c's mutex. */
static u32 conn_epoch;
static u64 conn_epoch_begun;
static atomic_t conn_generation = ATOMIC_INIT(0);	/* of listings */

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

/* Listeners that are asked for their requests in one go. */
#define REQUESTS_BATCH		256

static __always_inline struct hlist_bl_head *conn_bucket(const void *obj)
{
	return &conn_table[(unsigned long)obj * GOLDEN_RATIO_PRIME >>
			   conn_shift];
}

/* From @pos on, with the lock of its bucket, or without: then with preemption off,
 * and finding nothing may only mean that a record was taken away on the way.
 */
static __always_inline struct tcpstate_conn *
conn_find_from(struct hlist_bl_node *pos, const void *obj)
{
	struct tcpstate_conn *conn = hlist_bl_entry(pos, struct tcpstate_conn,
						    node);

	/* Most chains are of one. The READ_ONCE()s pair with the
	 * WRITE_ONCE()s of conn->obj.
	 */
	if (likely(pos && READ_ONCE(conn->obj) == obj))
		return conn;
	while (pos) {
		pos = rcu_dereference_raw(pos->next);
		conn = hlist_bl_entry(pos, struct tcpstate_conn, node);
		if (pos && READ_ONCE(conn->obj) == obj)
			return conn;
	}
	return NULL;
}

static __always_inline struct tcpstate_conn *
conn_find(struct hlist_bl_head *bucket, const void *obj)
{
	return conn_find_from(tcpstate_chain_first(bucket), obj);
}

/* It is not the first of @bucket, which is locked and is not afterwards. */
static noinline struct tcpstate_conn *conn_take_further(struct hlist_bl_head *bucket,
							const void *obj)
	__releases(bitlock)
{
	struct tcpstate_conn *conn = conn_find(bucket, obj);

	if (conn)
		tcpstate_chain_del(&conn->node);
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
	return conn;
}

/* Take the record of @obj, if it has one, off its chain: nobody finds it there any
 * more. Interrupts off.
 */
static __always_inline struct tcpstate_conn *
conn_take(struct hlist_bl_head *bucket, const void *obj)
{
	struct hlist_bl_node *first;
	struct tcpstate_conn *conn;

	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	first = tcpstate_chain_first(bucket);
	conn = hlist_bl_entry(first, struct tcpstate_conn, node);
	if (unlikely(!first || conn->obj != obj))
		return conn_take_further(bucket, obj);
	tcpstate_chain_unlock_del(bucket, first, TCPSTATE_CHAIN_BUCKET);
	return conn;
}

static __always_inline u32 object_family(const struct sock *sk)
{
	/* Pairs with the WRITE_ONCE() of do_ipv6_setsockopt(). */
	return READ_ONCE(sk->sk_family) == AF_INET6 ? TCPSTATE_CONN_IPV6 : 0;
}

static int mini_state(const struct inet_timewait_sock *tw)
{
	return READ_ONCE(tw->tw_substate) == TCP_FIN_WAIT2 ?
	       TCPSTATE_FIN_WAIT2_MINI : TCP_TIME_WAIT;
}

static __always_inline unsigned int status_family(u32 status)
{
	return status & TCPSTATE_CONN_IPV6 ? TCPSTATE_IPV6 : TCPSTATE_IPV4;
}

/* Move the status on to what @clear and @set make of it; return what it was. */
static u32 status_change(struct tcpstate_conn *conn, u32 clear, u32 set)
{
	u32 was = READ_ONCE(conn->status);

	while (!try_cmpxchg(&conn->status, &was, (was & ~clear) | set))
		;
	return was;
}

/* The block this CPU counts in; to be given back with here_put(). */
static __always_inline struct tcpstate_cpu *
here_get(struct tcpstate_netns *netns)
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

static __always_inline void here_put(struct tcpstate_netns *netns, struct tcpstate_cpu *here)
	__releases(&netns->shared_lock)
{
	if (unlikely(here == &netns->shared))
		raw_spin_unlock(&netns->shared_lock);
	else
		__release(&netns->shared_lock);
}

static __always_inline void count_move(struct tcpstate_cpu *here, u32 was,
				       int to)
{
	unsigned int count = tcpstate_count_move_of(was, to)->count;

	if (likely(count))
		local64_inc(&here->moved[count]);
	else
		tcpstate_count_illegal(here, was, to);
}

static __always_inline void count_dwell(struct tcpstate_cpu *here,
					unsigned int state, s64 ns)
{
	unsigned int bucket;
	s64 max;

	/* Stamped on another CPU its beginning may seem to lie ahead. */
	if (ns <= 0) {
		local64_inc(&here->dwell[0][state]);
		return;
	}
	bucket = min_t(unsigned int, fls64(div_u64(ns, NSEC_PER_MSEC)),
		       TCPSTATE_DWELL_BUCKETS - 1);
	local64_inc(&here->dwell[bucket][state]);
	max = local64_read(&here->dwell_max[state]);
	while (unlikely(ns > max)) {
		s64 was = local64_cmpxchg(&here->dwell_max[state], max, ns);

		if (was == max)
			break;
		max = was;
	}
}

/* Count a connection that leaves CLOSE_WAIT. */
static __always_inline void count_closed(const struct tcpstate_conn *conn)
{
	atomic64_inc(&tcpstate_owner_account(conn)->closed);
}

/* A mini-socket may end early in FIN_WAIT2, too, which is not what is counted. */
static __always_inline void count_end(struct tcpstate_cpu *here, u32 was)
{
	if ((was & TCPSTATE_CONN_STATE) == TCP_TIME_WAIT)
		local64_inc(&here->end[FIELD_GET(TCPSTATE_CONN_END, was)]);
}

static struct tcpstate_conn *conn_alloc(gfp_t gfp)
{
	if (tcpstate_fail(&fail_adds))
		return NULL;
	if (!this_cpu_read(tcpstate_stock.count) && !tcpstate_stock_refill(gfp))
		return NULL;
	return tcpstate_stock_get();
}

static noinline void ages_insert(struct tcpstate_ages *ages,
				 struct tcpstate_conn *conn)
{
	struct tcpstate_conn *newer = NULL, *at;
	/* Pairs with the WRITE_ONCE()s of its owner, who may move it on. */
	u64 since = READ_ONCE(conn->since);
	struct hlist_bl_node *pos;

	tcpstate_chain_for_each_entry(at, pos, &ages->newest, age) {
		if (READ_ONCE(at->since) <= since)
			break;
		newer = at;
	}
	if (newer)
		hlist_bl_add_behind(&conn->age, &newer->age);
	else
		tcpstate_chain_add(&ages->newest, &conn->age);
	if (!conn->age.next)
		ages->oldest = conn;
}

/* Put @conn where its age belongs: at the new end, but for what came while it
 * was in the inbox.
 */
static __always_inline void ages_add(struct tcpstate_ages *ages,
				     struct tcpstate_conn *conn)
{
	struct hlist_bl_node *first = tcpstate_chain_first(&ages->newest);

	/* Pairs as in ages_insert(). */
	if (likely(first && READ_ONCE(hlist_bl_entry(first, struct tcpstate_conn,
						     age)->since) <=
			    READ_ONCE(conn->since)))
		tcpstate_chain_add_to(&ages->newest, first, &conn->age);
	else
		ages_insert(ages, conn);
}

static void ages_del(struct tcpstate_ages *ages, struct tcpstate_conn *conn)
{
	if (ages->oldest == conn)
		ages->oldest = conn->age.pprev == &ages->newest.first ? NULL :
			       container_of(conn->age.pprev,
					    struct tcpstate_conn, age.next);
	tcpstate_chain_del(&conn->age);
}

static __always_inline struct tcpstate_ages *
ages_of(const struct tcpstate_conn *conn, u32 status)
{
	struct tcpstate_ages *ages =
		&conn->home->ages[conn_ages[status & TCPSTATE_CONN_STATE]];

	OPTIMIZER_HIDE_VAR(ages);	/* it would be made twice */
	return ages;
}

static noinline u32 conn_unlist_listed(struct tcpstate_conn *conn, u32 was)
{
	struct tcpstate_ages *ages = ages_of(conn, was);

	tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
	ages_del(ages, conn);
	was = status_change(conn, TCPSTATE_CONN_LISTED, 0);
	tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	return was & ~TCPSTATE_CONN_LISTED;
}

/* By its owner: take @conn off its list of ages, if it is on one. */
static __always_inline u32 conn_unlist(struct tcpstate_conn *conn)
{
	u32 was = READ_ONCE(conn->status);

	return was & TCPSTATE_CONN_LISTED ? conn_unlist_listed(conn, was) : was;
}

/* Out of the inbox of @block with it: into the list of ages of its state, or
 * free if it has ended. Its owner may move it on meanwhile.
 */
static void conn_settle(struct tcpstate_cpu *block, struct tcpstate_conn *conn)
{
	u32 was = READ_ONCE(conn->status);
	struct tcpstate_ages *ages;
	bool settled = false;
	int age;

	while (!settled) {
		if ((was & TCPSTATE_CONN_STATE) == TCP_CLOSE) {
			tcpstate_stock_put(conn);
			return;
		}
		age = conn_ages[was & TCPSTATE_CONN_STATE];
		if (age == TCPSTATE_AGE_NONE) {
			settled = try_cmpxchg(&conn->status, &was,
					      was & ~TCPSTATE_CONN_INBOX);
			continue;
		}
		ages = &block->ages[age];
		tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
		ages_add(ages, conn);
		settled = try_cmpxchg(&conn->status, &was,
				      (was & ~TCPSTATE_CONN_INBOX) |
				      TCPSTATE_CONN_LISTED);
		if (!settled)
			ages_del(ages, conn);
		tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	}
}

/**
 * tcpstate_conn_settle() - empty a block's inbox into its lists of ages
 * @block: the block, of any CPU
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_settle(struct tcpstate_cpu *block)
{
	struct tcpstate_conn *conn, *next;
	struct llist_node *first;
	unsigned long flags;

	if (llist_empty(&block->inbox))
		return;
	local_irq_save(flags);
	WRITE_ONCE(block->inbox_count, 0);
	first = llist_reverse_order(llist_del_all(&block->inbox));
	llist_for_each_entry_safe(conn, next, first, inbox)
		conn_settle(block, conn);
	local_irq_restore(flags);
}

static u64 requests_of(const struct sock *sk)
{
	return reqsk_queue_len(&inet_csk(sk)->icsk_accept_queue);
}

/**
 * tcpstate_conn_requests() - add up the requests of a block's listeners
 * @block: the block, of any CPU
 * @requests: added to, by family
 *
 * Requests raise no events: how many there are is what the listeners' queues
 * say. Others get the list in between, however many listeners there are.
 *
 * Context: process context. May sleep.
 */
void tcpstate_conn_requests(struct tcpstate_cpu *block, u64 requests[])
{
	struct tcpstate_ages *ages = &block->ages[TCPSTATE_AGE_LISTEN];
	struct tcpstate_conn mark = {};	/* how far we are, as nobody's record */
	struct tcpstate_conn *conn;
	struct hlist_bl_node *pos;
	const struct sock *sk;
	unsigned int seen = 0;

	if (hlist_bl_empty(&ages->newest))
		return;
	local_irq_disable();
	tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
	for (pos = tcpstate_chain_first(&ages->newest); pos; pos = pos->next) {
		conn = hlist_bl_entry(pos, struct tcpstate_conn, age);
		/* A listener is not freed before it is off the list. */
		sk = READ_ONCE(conn->obj);
		if (sk)
			requests[sk->sk_family == AF_INET6] += requests_of(sk);
		if (++seen % REQUESTS_BATCH || !pos->next)
			continue;
		/* Pairs as in ages_insert(). */
		mark.since = READ_ONCE(conn->since);
		hlist_bl_add_behind(&mark.age, pos);
		tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
		local_irq_enable();
		cond_resched();
		local_irq_disable();
		tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
		pos = &mark.age;
		ages_del(ages, &mark);
	}
	tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	local_irq_enable();
}

static noinline void inbox_added(struct tcpstate_cpu *here, u32 status)
{
	if ((status & TCPSTATE_CONN_STATE) == TCP_CLOSE_WAIT &&
	    tcpstate_leak_unarmed())
		tcpstate_leak_arm();
	/* One this long is settled by the CPU that fills it. */
	if (READ_ONCE(here->inbox_count) > TCPSTATE_LEAK_INBOX_MAX)
		tcpstate_conn_settle(here);
}

static __always_inline void inbox_add(struct tcpstate_cpu *here,
				      struct tcpstate_conn *conn)
{
	unsigned int count = READ_ONCE(here->inbox_count) + 1;
	struct llist_node *first = READ_ONCE(here->inbox.first);

	/* llist_add(), which is a call. */
	do {
		conn->inbox.next = first;
	} while (!try_cmpxchg(&here->inbox.first, &first, &conn->inbox));
	WRITE_ONCE(here->inbox_count, count);
	/* Pairs with the synchronize_rcu() of leak_check(). */
	if (unlikely(count > data_race(tcpstate_leak_inbox_max)))
		inbox_added(here, READ_ONCE(conn->status));
}

/* The family of a socket can change, from IPv6 to IPv4. */
static void conn_check_family(struct tcpstate_conn *conn,
			      const struct sock *sk)
{
	u32 was = READ_ONCE(conn->status);
	struct tcpstate_netns *netns;
	struct tcpstate_cpu *here;
	int state;

	do {
		if ((was & TCPSTATE_CONN_IPV6) == object_family(sk))
			return;
	} while (!try_cmpxchg(&conn->status, &was, was ^ TCPSTATE_CONN_IPV6));

	state = was & TCPSTATE_CONN_STATE;
	netns = READ_ONCE(conn->home)->netns;
	here = here_get(netns);
	local64_dec(&here->seeded[state][status_family(was)]);
	local64_inc(&here->seeded[state][!status_family(was)]);
	here_put(netns, here);
}

static __always_inline void slot_put(struct tcpstate_cpu *here)
{
	int spare = here->spare + 1;

	/* Pairs with the WRITE_ONCE()s of netns.c. */
	if (unlikely(spare > READ_ONCE(here->spare_max)))
		tcpstate_netns_slot_drain(here);
	else
		here->spare = spare;
}

/* By its owner, with interrupts off: @conn enters @state; TCP_CLOSE ends it,
 * and it is freed then.
 */
static void conn_enter(struct tcpstate_conn *conn, struct tcpstate_netns *netns,
		       int state)
{
	struct tcpstate_cpu *here = here_get(netns);
	u64 now = tcpstate_clock_now(), since = conn->since;
	bool ages = conn_ages[state] != TCPSTATE_AGE_NONE;
	u32 was, becomes;
	int from;

	do {
		was = conn_unlist(conn);
		becomes = (was & ~(TCPSTATE_CONN_STATE | TCPSTATE_CONN_SEEDED)) |
			  state;
		if (ages)
			becomes |= TCPSTATE_CONN_INBOX;
		if (!(was & TCPSTATE_CONN_INBOX))
			WRITE_ONCE(conn->home, here);
		WRITE_ONCE(conn->since, now);
	} while (!try_cmpxchg(&conn->status, &was, becomes));
	/* If it has ended and is in an inbox, it may be gone from here on. */

	from = was & TCPSTATE_CONN_STATE;
	count_move(here, was, state);
	if (from == TCP_CLOSE_WAIT && state != TCP_CLOSE)
		count_closed(conn);
	if (!(was & TCPSTATE_CONN_SEEDED))	/* or it entered who knows when */
		count_dwell(here, from, now - since);
	if (state == TCP_CLOSE) {
		if (was & TCPSTATE_CONN_END)
			count_end(here, was);
		if (!(was & TCPSTATE_CONN_INBOX))
			tcpstate_stock_put(conn);
		slot_put(here);
	} else if (becomes & ~was & TCPSTATE_CONN_INBOX) {
		inbox_add(here, conn);
	}
	here_put(netns, here);
}

static noinline void conn_closed(struct tcpstate_conn *conn, u32 changed)
{
	tcpstate_owner_close(conn, conn->obj);
	if (changed & TCPSTATE_CONN_INBOX)
		inbox_add(conn->home, conn);
	else
		count_closed(conn);
}

/* What few moves need: @changed is in @conn's status since just now. By the
 * owner, preemption off.
 */
static noinline void conn_moved(struct tcpstate_conn *conn, u32 changed)
{
	if (changed & TCPSTATE_CONN_CLOSED) {
		if (unlikely(tcpstate_owner_account(conn)->tgid !=
			     tcpstate_owner_tgid())) {
			conn_closed(conn, changed);
			return;
		}
		/* From CLOSE_WAIT, it is in the inbox already. */
		if (!(changed & TCPSTATE_CONN_INBOX)) {
			count_closed(conn);
			return;
		}
	}
	inbox_add(conn->home, conn);
}

/* What most moves are: on the CPU of the move before, with nothing out of the
 * ordinary. By the owner, preemption off, the clock good.
 */
static __always_inline bool conn_move_fast(struct tcpstate_conn *conn,
					   unsigned int state)
{
	struct tcpstate_cpu *here = conn->home;
	u32 was = READ_ONCE(conn->status);
	const struct tcpstate_move *move =
		&tcpstate_count_moves[was % TCPSTATE_MOVE_ROWS][state];
	u64 now;
	s64 ns;

	/* For the compiler, here and below: keep this, not all that it is made
	 * of, and no register has to be saved.
	 */
	OPTIMIZER_HIDE_VAR(move);
	if (unlikely(!move->count || here->cpu != raw_smp_processor_id()))
		return false;

	now = this_cpu_read(tcpstate_clock.ns);
	ns = now - conn->since;
	OPTIMIZER_HIDE_VAR(ns);
	WRITE_ONCE(conn->since, now);
	if (unlikely(!try_cmpxchg(&conn->status, &was, was ^ move->change))) {
		WRITE_ONCE(conn->since, READ_ONCE(conn->since) - ns);
		return false;
	}
	local64_inc(&here->moved[move->count]);
	count_dwell(here, was & TCPSTATE_CONN_STATE, ns);
	if (move->change & (TCPSTATE_CONN_INBOX | TCPSTATE_CONN_CLOSED))
		conn_moved(conn, move->change);
	return true;
}

static void conn_begin_locked(struct hlist_bl_head *bucket,
			      const struct sock *sk, int state);

static noinline void conn_move_slow(struct tcpstate_conn *conn,
				    const struct sock *sk, int state)
{
	struct tcpstate_netns *netns = conn->home->netns;
	struct tcpstate_cpu *here;
	unsigned long flags;
	int from;
	u32 was;

	if (unlikely(state == TCP_SYN_SENT)) {
		/* One that has not been seen to end does so now. */
		conn_begin_locked(conn_bucket(sk), sk, state);
		return;
	}
	local_irq_save(flags);
	conn_check_family(conn, sk);
	from = READ_ONCE(conn->status) & TCPSTATE_CONN_STATE;
	if (from == TCP_FIN_WAIT2 && state == TCPSTATE_FIN_WAIT2_MINI) {
		/* A mini-socket in FIN_WAIT2 goes on where the full one left
		 * off: no new entry, and its place in the list is kept.
		 */
		here = here_get(netns);
		was = status_change(conn, TCPSTATE_CONN_STATE, state);
		count_move(here, was, state);
		/* It may be met by nobody while it changes its place. Pairs
		 * with the WRITE_ONCE() of tcpstate_conn_epoch_next().
		 */
		WRITE_ONCE(conn->epoch, READ_ONCE(conn_epoch));
		here_put(netns, here);
	} else if (from != state) {
		if (state == TCP_FIN_WAIT1 || state == TCP_LAST_ACK)
			tcpstate_owner_close(conn, sk);
		conn_enter(conn, netns, state);
	}
	local_irq_restore(flags);
}

static noinline void conn_move_late(struct tcpstate_conn *conn,
				    const struct sock *sk, int state)
{
	tcpstate_clock_read();
	if (unlikely(FAMILY_UNSEEN || !conn_move_fast(conn, state)))
		conn_move_slow(conn, sk, state);
}

/* By the owner, preemption off: @conn enters @state, which is not TCP_CLOSE. */
static __always_inline void conn_move(struct tcpstate_conn *conn,
				      const struct sock *sk, int state)
{
	/* Apart, so that the common way calls nothing, and saves no registers
	 * for it.
	 */
	if (unlikely(!tcpstate_clock_good()))
		conn_move_late(conn, sk, state);
	else if (unlikely(FAMILY_UNSEEN || !conn_move_fast(conn, state)))
		conn_move_slow(conn, sk, state);
}

/* @conn, of which nobody else knows, is to stand for a connection. */
static __always_inline void conn_fill(struct tcpstate_conn *conn,
				      struct tcpstate_cpu *here, u32 status)
{
	here->spare--;
	conn->home = here;
	conn->since = this_cpu_read(tcpstate_clock.ns);
	conn->status = status;
	/* tcpstate_conn_owner() may have met the record as what it was, and
	 * finds out. Plain, so that the three are one store.
	 */
	data_race(conn->owner = 0);
	conn->closer = 0;
	conn->generation = 0;
}

/* It does, from here on. */
static __always_inline void conn_name(struct tcpstate_conn *conn,
				      const struct sock *obj)
{
	/* Only now: from the stock it may still be met by a reader of the
	 * chain it was in.
	 */
	smp_store_release(&conn->obj, obj);
}

/* What connect() changes of a socket once it has chosen a port; see dest.c. */
static __always_inline u32 conn_unchosen(const struct sock *sk)
{
	/* A walk has not the socket locked: what it reads is only to be unlike
	 * what is there at the end, and is inverted (conn_attach()).
	 */
	return data_race(sk->sk_txhash ^ tcp_sk(sk)->write_seq);
}

/* Attach a record that is new to its destination if it is that of an outgoing
 * connection, and to its owner if that is who makes the event. @sk is its socket
 * if that is about to hand over to @obj; @seen is whether it is seen to begin.
 */
static __always_inline void conn_attach(struct tcpstate_netns *netns,
					struct tcpstate_conn *conn,
					const struct sock *obj,
					const struct sock *sk, int state,
					bool seen)
{
	conn->dest = NULL;
	if (likely(state == TCP_SYN_RECV))
		return;
	/* In these two it is the process itself that makes the event. */
	if (seen && (state == TCP_SYN_SENT || state == TCP_LISTEN))
		WRITE_ONCE(conn->owner, tcpstate_owner_get(netns, obj));
	if (state == TCP_SYN_SENT) {
		/* If this is what it has at its end, it never got a port. That
		 * is not said of one that needs none.
		 */
		conn->unchosen = conn_unchosen(obj);
		if (unlikely(!seen || obj->sk_num))
			conn->unchosen = ~conn->unchosen;
		if (seen) {
			tcpstate_dest_open(netns, conn, obj);
			return;
		}
	}
	tcpstate_dest_attach(netns, conn, obj, sk, state);
}

/* Give @fresh to the object, or return false: a cap is reached. */
static bool conn_add(struct tcpstate_netns *netns, struct hlist_bl_head *bucket,
		     const struct sock *obj, const struct sock *sk, int state,
		     struct tcpstate_conn *fresh, u32 seeded)
{
	struct tcpstate_cpu *here = here_get(netns);
	u32 status = state | object_family(obj) | seeded;
	int age = conn_ages[state];
	struct tcpstate_ages *ages;
	bool added = false;

	if (unlikely(here->spare <= 0 && !tcpstate_netns_slot_refill(here)))
		goto out;
	if (state == TCP_CLOSE_WAIT && tcpstate_leak_unarmed())
		tcpstate_leak_arm();
	tcpstate_clock_now();	/* ... is what conn_fill() reads */
	if (age != TCPSTATE_AGE_NONE)
		status |= TCPSTATE_CONN_LISTED;
	conn_fill(fresh, here, status);
	if (seeded)
		local64_inc(&here->seeded[state][status_family(status)]);
	else
		count_move(here, TCP_CLOSE | object_family(obj), state);
	conn_attach(netns, fresh, obj, sk, state, !seeded);
	if (age != TCPSTATE_AGE_NONE) {
		/* Who asks listeners for their requests may find it there. */
		WRITE_ONCE(fresh->obj, NULL);
		/* What entered before it stands before it: a walk adds many, and
		 * later it would be a long way past all of them.
		 */
		tcpstate_conn_settle(here);
		ages = &here->ages[age];
		tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
		ages_add(ages, fresh);
		tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	}
	conn_name(fresh, obj);
	/* Where @sk is not locked, its events may move it from here on. */
	tcpstate_chain_add(bucket, &fresh->node);
	added = true;
out:
	here_put(netns, here);
	return added;
}

/* What most births are: on a CPU that has a record and a slot in stock, into one
 * of these two states. The record, which is in no chain yet, or NULL. Interrupts
 * off, the clock good.
 */
static __always_inline struct tcpstate_conn *
conn_make_fast(const struct sock *sk, int state)
{
	struct tcpstate_netns *netns = tcpstate_netns_peek(sock_net(sk));
	u32 ipv6 = object_family(sk);
	struct tcpstate_conn *fresh;
	struct tcpstate_cpu *here;

	if (unlikely(!netns || READ_ONCE(fail_adds)))
		return NULL;
	here = this_cpu_read(*netns->cpus);
	if (unlikely(!here || here->spare <= 0))
		return NULL;
	fresh = tcpstate_stock_get();
	if (unlikely(!fresh))
		return NULL;
	conn_fill(fresh, here, state | ipv6);
	local64_inc(&here->moved[TCPSTATE_MOVE(state == TCP_SYN_SENT ?
					       TCPSTATE_EDGE_CLOSE_SYN_SENT :
					       TCPSTATE_EDGE_CLOSE_SYN_RECV,
					       status_family(ipv6))]);
	conn_attach(netns, fresh, sk, sk, state, true);
	conn_name(fresh, sk);
	return fresh;
}

/* An event on an object without a record gives it one in its new state. @sk is
 * its socket if that is about to hand over to @obj.
 */
static noinline void conn_add_slow(struct hlist_bl_head *bucket,
				   const struct sock *obj,
				   const struct sock *sk, int state)
{
	struct tcpstate_netns *netns = tcpstate_netns_of(sock_net(obj));
	struct tcpstate_conn *fresh;

	if (unlikely(!netns))
		return;
	fresh = conn_alloc(GFP_ATOMIC);
	if (likely(fresh)) {
		if (likely(conn_add(netns, bucket, obj, sk, state, fresh, 0)))
			return;
		tcpstate_stock_put(fresh);
	}
	tcpstate_netns_untracked(netns);
}

/* What most ends are; see conn_move_fast(). @was is the status. Interrupts off,
 * the clock good.
 */
static __always_inline bool conn_close_fast(struct tcpstate_conn *conn, u32 was)
{
	struct tcpstate_cpu *here = conn->home;
	unsigned int count = tcpstate_count_move_of(was, TCP_CLOSE)->count;
	unsigned int from = was & TCPSTATE_CONN_STATE;
	s64 ns;

	if (unlikely(!count || was & TCPSTATE_CONN_SEEDED ||
		     here->cpu != raw_smp_processor_id()))
		return false;
	ns = this_cpu_read(tcpstate_clock.ns) - conn->since;
	if (unlikely(!try_cmpxchg(&conn->status, &was,
				  was ^ from ^ TCP_CLOSE)))
		return false;
	/* If it is in an inbox, it may be gone from here on. */
	local64_inc(&here->moved[count]);
	count_dwell(here, from, ns);
	if (unlikely(was & TCPSTATE_CONN_END))
		count_end(here, was);
	slot_put(here);
	if (!(was & TCPSTATE_CONN_INBOX))
		tcpstate_stock_put(conn);
	return true;
}

/* One more mini-socket: are there so many that it deserves a look? */
static __always_inline void count_mini(const struct net *net,
				       struct tcpstate_netns *netns)
{
	unsigned int limit =
		READ_ONCE(net->ipv4.tcp_death_row.sysctl_max_tw_buckets);

	if (unlikely(tcpstate_minis(net) + TCPSTATE_MINI_UNCOUNTED >=
		     READ_ONCE(netns->time_wait_trigger) ||
		     limit != READ_ONCE(netns->time_wait_limit)))
		tcpstate_alert_due(&netns->watch);
}

static noinline u32 conn_close_listed(struct tcpstate_conn *conn, u32 was)
{
	struct tcpstate_ages *ages = ages_of(conn, was);

	tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
	ages_del(ages, conn);
	tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	/* In neither chain nor inbox, it is looked at by nobody else. */
	was &= ~TCPSTATE_CONN_LISTED;
	WRITE_ONCE(conn->status, was);
	return was;
}

/* By its owner, off its chain: the end of @conn, whose status is @was. Interrupts
 * off, the clock good.
 */
static __always_inline void conn_close(struct tcpstate_conn *conn, u32 was)
{
	/* Off its list before its object is: who asks a listener for its
	 * requests holds the list.
	 */
	if (was & TCPSTATE_CONN_LISTED)
		was = conn_close_listed(conn, was);
	if (conn->dest)
		tcpstate_dest_detach(conn, was & TCPSTATE_CONN_STATE);
	WRITE_ONCE(conn->obj, NULL);
	if (unlikely(!conn_close_fast(conn, was)))
		conn_enter(conn, conn->home->netns, TCP_CLOSE);
}

/**
 * tcpstate_conn_alloc() - allocate a record
 * @gfp: as for tcpstate_stock_refill()
 *
 * Context: any below hard interrupt.
 *
 * Return: the record, or NULL without memory.
 */
struct tcpstate_conn *tcpstate_conn_alloc(gfp_t gfp)
{
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	conn = conn_alloc(gfp);
	local_irq_restore(flags);
	return conn;
}

/**
 * tcpstate_conn_free() - free a record that is in no table
 * @conn: the record
 */
void tcpstate_conn_free(struct tcpstate_conn *conn)
{
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_stock_put(conn);
	local_irq_restore(flags);
}

static noinline void conn_begin_locked(struct hlist_bl_head *bucket,
				       const struct sock *sk, int state)
{
	struct tcpstate_conn *conn, *fresh = NULL;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_clock_now();	/* for what wants it to be good */
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, sk);
	if (unlikely(conn) && state == TCP_SYN_SENT) {
		tcpstate_chain_del(&conn->node);
		conn_close(conn, READ_ONCE(conn->status));
		conn = NULL;
	}
	if (!conn && (state == TCP_SYN_SENT || state == TCP_SYN_RECV))
		fresh = conn_make_fast(sk, state);
	if (fresh)
		tcpstate_chain_add(bucket, &fresh->node);
	else if (conn)
		conn_move_slow(conn, sk, state);
	else
		conn_add_slow(bucket, sk, sk, state);
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

/* @sk has no record, or none that could be found without the lock of @bucket. */
static __always_inline void conn_begin_fast(struct hlist_bl_head *bucket,
					    const struct sock *sk, int state)
{
	struct tcpstate_conn *fresh = NULL;
	struct hlist_bl_node *first;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	first = tcpstate_chain_first(bucket);
	if (likely(!first || !conn_find_from(first, sk)))
		fresh = conn_make_fast(sk, state);
	if (likely(fresh)) {
		tcpstate_chain_unlock_add(bucket, first, &fresh->node,
					  TCPSTATE_CHAIN_BUCKET);
	} else {
		tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
		conn_begin_locked(bucket, sk, state);
	}
	local_irq_restore(flags);
}

static noinline void conn_begin_syn_sent(struct hlist_bl_head *bucket,
					 const struct sock *sk)
{
	conn_begin_fast(bucket, sk, TCP_SYN_SENT);
}

static noinline void conn_begin_syn_recv(struct hlist_bl_head *bucket,
					 const struct sock *sk)
{
	conn_begin_fast(bucket, sk, TCP_SYN_RECV);
}

/* The clock good. */
static __always_inline void conn_begin(struct hlist_bl_head *bucket,
				       const struct sock *sk, int state)
{
	/* Apart, so that neither pays for the other. */
	if (state == TCP_SYN_SENT)
		conn_begin_syn_sent(bucket, sk);
	else if (likely(state == TCP_SYN_RECV))
		conn_begin_syn_recv(bucket, sk);
	else
		conn_begin_locked(bucket, sk, state);
}

static noinline void conn_begin_late(struct hlist_bl_head *bucket,
				     const struct sock *sk, int state)
{
	/* SCTP, DCCP and MPTCP have the same events. */
	if (sk->sk_protocol != IPPROTO_TCP)
		return;
	tcpstate_clock_read();
	conn_begin(bucket, sk, state);
}

/* @state is not TCP_CLOSE; otherwise as tcpstate_conn_event(), preemption off. */
static __always_inline void conn_set(const struct sock *sk, int state)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct tcpstate_conn *conn = conn_find(bucket, sk);

	if (likely(conn))
		conn_move(conn, sk, state);
	else if (likely(tcpstate_clock_good() && sk->sk_protocol == IPPROTO_TCP))
		conn_begin(bucket, sk, state);
	else
		conn_begin_late(bucket, sk, state);
}

static __always_inline void conn_accept(struct tcpstate_conn *conn,
					const struct sock *sk)
{
	/* Pairs with the READ_ONCE() of tcpstate_owner_holder(). */
	smp_store_release(&conn->owner,
			  tcpstate_owner_get(READ_ONCE(conn->home)->netns, sk));
}

static noinline void conn_accept_locked(struct hlist_bl_head *bucket,
					const struct sock *sk)
{
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, sk);
	if (conn)
		conn_accept(conn, sk);
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_accept() - a process accepts a connection
 * @sk: its socket
 *
 * Context: process context, bottom halves off, @sk locked.
 */
void tcpstate_conn_accept(const struct sock *sk)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct tcpstate_conn *conn = conn_find(bucket, sk);

	if (likely(conn))
		conn_accept(conn, sk);
	else
		conn_accept_locked(bucket, sk);
}

/**
 * tcpstate_conn_owner() - who opened, accepted or listens on a socket
 * @sk: the socket, which does not end before the caller leaves its RCU read side
 *
 * Context: any below hard interrupt, preemption off.
 * Return: the owner's number; 0 if it is not known, or where the record was being
 * moved about just then.
 */
u16 tcpstate_conn_owner(const struct sock *sk)
{
	struct tcpstate_conn *conn = conn_find(conn_bucket(sk), sk);
	u16 owner;

	if (!conn)
		return 0;
	/* Pairs with the smp_store_release() of conn_accept(). */
	owner = READ_ONCE(conn->owner);
	smp_rmb();	/* it still was the record of @sk then */
	return READ_ONCE(conn->obj) == sk ? owner : 0;
}

/* Two ends that are not like others. */
static noinline void conn_end_unusual(struct tcpstate_conn *conn,
				      const struct sock *sk)
{
	if ((READ_ONCE(conn->status) & TCPSTATE_CONN_STATE) == TCP_CLOSE_WAIT)
		count_closed(conn);
	else if (conn->unchosen == conn_unchosen(sk))
		tcpstate_dest_refuse(conn, sk);
}

/* By its owner, off its chain: the end of @conn, that of @sk. The clock good. */
static __always_inline void conn_ended(struct tcpstate_conn *conn,
				       const struct sock *sk)
{
	u32 was = READ_ONCE(conn->status);

	if (unlikely(BIT(was & TCPSTATE_CONN_STATE) &
		     (TCPF_SYN_SENT | TCPF_CLOSE_WAIT)))
		conn_end_unusual(conn, sk);
	conn_close(conn, was);
}

static noinline void conn_end_found(struct tcpstate_conn *conn,
				    const struct sock *sk)
{
	tcpstate_clock_now();	/* for what wants it to be good */
	conn_ended(conn, sk);
}

/* Where others are in its chain, the clock is not good, or preemption is on. */
static noinline void conn_end_slow(struct hlist_bl_head *bucket,
				   const struct sock *sk)
{
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	conn = conn_take(bucket, sk);
	if (conn)
		conn_end_found(conn, sk);
	local_irq_restore(flags);
}

/* The clock good. */
static noinline void conn_end_fast(struct hlist_bl_head *bucket,
				   const struct sock *sk)
{
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	conn = conn_take(bucket, sk);
	if (likely(conn))
		conn_ended(conn, sk);
	local_irq_restore(flags);
}

/* The end of @sk, which may have no record. Preemption off. */
static __always_inline void conn_end(const struct sock *sk)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct hlist_bl_node *first = tcpstate_chain_first(bucket);
	struct tcpstate_conn *conn = hlist_bl_entry(first, struct tcpstate_conn,
						    node);

	/* A record of @sk is in its chain since before this event and until
	 * it: where nothing is now, it is not. This is the way of a socket
	 * that a mini-socket has taken over from.
	 */
	if (!first)
		return;
	/* Pairs with the WRITE_ONCE()s of conn->obj. */
	if (likely(READ_ONCE(conn->obj) == sk && tcpstate_clock_good()))
		conn_end_fast(bucket, sk);
	else
		conn_end_slow(bucket, sk);
}

/**
 * tcpstate_conn_event() - a socket changes its state: the tracepoint's handler
 * @data: nothing
 * @sk: the socket
 * @oldstate: the state it leaves
 * @newstate: the state it enters
 *
 * Here, and not one of probe.c's, so that the way into it is short: it is run ten
 * times for a connection.
 *
 * Context: any below hard interrupt, @sk locked or not yet known to anybody.
 */
void tcpstate_conn_event(void *data, const struct sock *sk, const int oldstate,
			 const int newstate)
{
	/* A record knows its own state, and that of an accepted connection's
	 * clone is its listener's: @oldstate tells nothing more.
	 */
	tcpstate_probe_enter();
	if (newstate != TCP_CLOSE)
		conn_set(sk, newstate);
	else if (oldstate != TCP_CLOSE)
		conn_end(sk);
	tcpstate_probe_leave();
}

/**
 * tcpstate_conn_freed() - a mini-socket is freed
 * @tw: the mini-socket
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_freed(const struct inet_timewait_sock *tw)
{
	struct hlist_bl_head *bucket = conn_bucket(tw);

	/* As in conn_end(); but what is in the chain may go while preemption is on. */
	if (!hlist_bl_empty(bucket))
		conn_end_slow(bucket, (const struct sock *)tw);
}

/**
 * tcpstate_conn_set_family() - a socket may have changed its family
 * @sk: the socket
 *
 * Context: any below hard interrupt, @sk locked or nobody else's any more.
 */
void tcpstate_conn_set_family(const struct sock *sk)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, sk);
	if (conn)
		conn_check_family(conn, sk);
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

static noinline void conn_handover_unknown(struct hlist_bl_head *bucket,
					   const struct inet_timewait_sock *tw,
					   const struct sock *sk)
{
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn_add_slow(bucket, (const struct sock *)tw, sk, mini_state(tw));
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
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
	struct hlist_bl_head *from = conn_bucket(sk), *to = conn_bucket(tw);
	const struct sock *mini = (const struct sock *)tw;
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	conn = conn_take(from, sk);
	if (unlikely(!conn)) {
		conn_handover_unknown(to, tw, sk);
		goto out;
	}
	/* Nobody finds it now, nor will before it is in its place. */
	smp_store_release(&conn->obj, mini);
	conn->generation = atomic_read(&conn_generation);
	if (unlikely(mini_state(tw) != TCP_TIME_WAIT)) {
		conn_move_slow(conn, mini, TCPSTATE_FIN_WAIT2_MINI);
	} else {
		tcpstate_owner_made(tcpstate_owner_account(conn));
		conn_move(conn, mini, TCP_TIME_WAIT);
		if (conn->dest)
			atomic_inc(&conn->dest->time_wait);
	}
	count_mini(sock_net(sk), conn->home->netns);
	tcpstate_chain_lock(to, TCPSTATE_CHAIN_BUCKET);
	tcpstate_chain_unlock_add(to, tcpstate_chain_first(to), &conn->node,
				  TCPSTATE_CHAIN_BUCKET);
out:
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
	int state = mini_state(tw);	/* once: it may change under us */
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, tw);
	if (conn) {
		if (state == TCP_TIME_WAIT &&
		    (READ_ONCE(conn->status) & TCPSTATE_CONN_STATE) !=
		    TCP_TIME_WAIT) {
			if (conn->dest)
				atomic_inc(&conn->dest->time_wait);
			tcpstate_owner_made(tcpstate_owner_account(conn));
		}
		conn_move_slow(conn, (const struct sock *)tw, state);
	}
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
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
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, tw);
	if (conn)
		status_change(conn, TCPSTATE_CONN_END,
			      FIELD_PREP(TCPSTATE_CONN_END, end));
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_see() - a walk meets an object in the kernel's tables
 * @sk: socket or mini-socket, which cannot end before the caller lets it go:
 *	its chain is locked, or the socket is
 * @epoch: the walk's number
 * @fresh: a record to give to an object that has none; set to NULL when it
 *	was taken. NULL if there is none to give.
 * @locked: @sk is locked
 *
 * Context: process context, bottom halves off.
 * Return: what became of it.
 */
enum tcpstate_seen tcpstate_conn_see(const struct sock *sk, u32 epoch,
				     struct tcpstate_conn **fresh, bool locked)
{
	struct hlist_bl_head *bucket = conn_bucket(sk);
	enum tcpstate_seen seen = TCPSTATE_SEEN_UNKNOWN;
	struct tcpstate_netns *netns;
	struct tcpstate_conn *conn;
	unsigned long flags;
	int state;

	local_irq_save(flags);
	tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(bucket, sk);
	/* Read with the lock, after the look-up: a mini-socket's new state is
	 * stored before its event, so that here the event is either done or
	 * still to come; and a socket whose record has been handed over is in
	 * the state in which that happens.
	 */
	state = inet_sk_state_load(sk);
	if (state == TCP_TIME_WAIT)
		state = mini_state(inet_twsk(sk));
	if (conn) {
		seen = TCPSTATE_SEEN_DIFFERS;
		conn_check_family(conn, sk);
		if ((READ_ONCE(conn->status) & TCPSTATE_CONN_STATE) == state) {
			WRITE_ONCE(conn->epoch, epoch);
			seen = TCPSTATE_SEEN_MATCH;
		}
	} else if (!locked && (state == TCP_FIN_WAIT2 || state == TCP_CLOSING)) {
		/* tcp_time_wait() is entered in these two states only. */
		seen = TCPSTATE_SEEN_SUSPECT;
	} else if (*fresh) {
		netns = tcpstate_netns_of(sock_net(sk));
		if (netns && conn_add(netns, bucket, sk, sk, state, *fresh,
				      TCPSTATE_CONN_SEEDED)) {
			*fresh = NULL;
			seen = TCPSTATE_SEEN_ADDED;
		} else {
			seen = TCPSTATE_SEEN_REFUSED;
		}
	}
	tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
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

	/* Records are stamped up to the clock's window late. */
	conn_epoch_begun = ktime_get_ns() - 2 * TCPSTATE_CLOCK_WINDOW_NS;
	WRITE_ONCE(conn_epoch, epoch);
	return epoch;
}

/* Has none of the walks of this audit met the object of @conn? */
static bool conn_match(struct tcpstate_conn *conn, u32 epoch, u8 walks)
{
	u32 was = READ_ONCE(conn->status);
	/* Pairs with the WRITE_ONCE()s of its owner, who may move it on. */
	bool unmatched = READ_ONCE(conn->epoch) != epoch &&
			 READ_ONCE(conn->since) < conn_epoch_begun &&
			 (walks == 1 ||
			  FIELD_GET(TCPSTATE_CONN_UNMATCHED, was) == walks - 1);

	status_change(conn, TCPSTATE_CONN_UNMATCHED,
		      unmatched ? FIELD_PREP(TCPSTATE_CONN_UNMATCHED, walks) :
				  0);
	return unmatched;
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

	for (i = 0; i < conn_buckets; i++, bucket++) {
		if (!(i % 256))
			cond_resched();
		if (hlist_bl_empty(bucket))
			continue;
		local_irq_disable();
		tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
		tcpstate_chain_for_each_entry(conn, pos, bucket, node) {
			if (READ_ONCE(conn->home)->netns == netns)
				unmatched += conn_match(conn, epoch, walks);
		}
		tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
		local_irq_enable();
	}
	return unmatched;
}

/**
 * tcpstate_conn_generation_next() - number the listing that is about to begin
 *
 * Return: the number, never 0.
 */
u32 tcpstate_conn_generation_next(void)
{
	return atomic_inc_return(&conn_generation) ? :
	       atomic_inc_return(&conn_generation);
}

/**
 * tcpstate_conn_handed_over_since() - may a listing have met it before?
 * @conn: the record
 * @generation: the listing's number
 *
 * At a hand-over a record moves to another place in the table, which may be
 * ahead of a listing that has met it already.
 *
 * Context: with the lock of the bucket of @conn.
 * Return: whether a mini-socket took it over since the listing began.
 */
bool tcpstate_conn_handed_over_since(const struct tcpstate_conn *conn,
				     u32 generation)
{
	int state = READ_ONCE(conn->status) & TCPSTATE_CONN_STATE;

	return (state == TCP_TIME_WAIT || state == TCPSTATE_FIN_WAIT2_MINI) &&
	       conn->generation && (s32)(conn->generation - generation) >= 0;
}

/**
 * tcpstate_conn_next() - the next bucket of the table that has a record
 * @bucket: the lowest number that will do; set to that of the bucket
 *
 * Context: process context. May sleep.
 * Return: whether there is one.
 */
bool tcpstate_conn_next(unsigned long *bucket)
{
	unsigned long i;

	for (i = *bucket; i < conn_buckets; i++) {
		if (!(i % 256))
			cond_resched();
		if (!hlist_bl_empty(&conn_table[i]))
			break;
	}
	*bucket = i;
	return i < conn_buckets;
}

/**
 * tcpstate_conn_visit() - look at the records of one bucket
 * @bucket: its number
 * @visit: called with each; neither it nor its object can end meanwhile
 * @arg: passed on to it
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_visit(unsigned long bucket, tcpstate_conn_visit_t visit,
			 void *arg)
{
	struct hlist_bl_head *chain = &conn_table[bucket];
	struct tcpstate_conn *conn;
	struct hlist_bl_node *pos;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(chain, TCPSTATE_CHAIN_BUCKET);
	tcpstate_chain_for_each_entry(conn, pos, chain, node)
		visit(conn, arg);
	tcpstate_chain_unlock(chain, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_visit_object() - look at the record of one object
 * @obj: the object, or what it was
 * @visit: called with its record, if it has one, as above
 * @arg: passed on to it
 *
 * Context: any below hard interrupt.
 */
void tcpstate_conn_visit_object(const void *obj, tcpstate_conn_visit_t visit,
				void *arg)
{
	struct hlist_bl_head *chain = conn_bucket(obj);
	struct tcpstate_conn *conn;
	unsigned long flags;

	local_irq_save(flags);
	tcpstate_chain_lock(chain, TCPSTATE_CHAIN_BUCKET);
	conn = conn_find(chain, obj);
	if (conn)
		visit(conn, arg);
	tcpstate_chain_unlock(chain, TCPSTATE_CHAIN_BUCKET);
	local_irq_restore(flags);
}

/**
 * tcpstate_conn_walk() - visit every connection of a namespace
 * @netns: the namespace
 * @visit: called with the connection's state, its object, which cannot go
 *	meanwhile, and @arg
 * @arg: for @visit
 *
 * Context: process context; @visit is called with interrupts off. May sleep.
 */
void tcpstate_conn_walk(const struct tcpstate_netns *netns,
			void (*visit)(int state, const struct sock *sk,
				      void *arg),
			void *arg)
{
	struct hlist_bl_head *bucket = conn_table;
	struct hlist_bl_node *pos;
	struct tcpstate_conn *conn;
	unsigned long i;

	for (i = 0; i < conn_buckets; i++, bucket++) {
		if (!(i % 256))
			cond_resched();
		if (hlist_bl_empty(bucket))
			continue;
		local_irq_disable();
		tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
		tcpstate_chain_for_each_entry(conn, pos, bucket, node)
			if (READ_ONCE(conn->home)->netns == netns)
				visit(READ_ONCE(conn->status) &
				      TCPSTATE_CONN_STATE, conn->obj, arg);
		tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
		local_irq_enable();
	}
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

	for (i = 0; i < conn_buckets; i++, bucket++) {
		while (!hlist_bl_empty(bucket)) {
			local_irq_disable();
			tcpstate_clock_now();
			tcpstate_chain_lock(bucket, TCPSTATE_CHAIN_BUCKET);
			conn = hlist_bl_entry(tcpstate_chain_first(bucket),
					      struct tcpstate_conn, node);
			tcpstate_chain_del(&conn->node);
			conn_close(conn, READ_ONCE(conn->status));
			tcpstate_chain_unlock(bucket, TCPSTATE_CHAIN_BUCKET);
			local_irq_enable();
		}
		if (!(i % 256))
			cond_resched();
	}
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

	conn_buckets = min((hashinfo->ehash_mask + 1UL) *
			   CONN_BUCKETS_PER_EHASH, CONN_BUCKETS_MAX);
	conn_shift = BITS_PER_LONG - ilog2(conn_buckets);
	conn_table = kvcalloc(conn_buckets, sizeof(*conn_table),
			      GFP_KERNEL | __GFP_NOWARN);
	if (!conn_table)
		return -ENOMEM;
	BUILD_BUG_ON(sizeof(struct tcpstate_conn) > 96);
	if (tcpstate_stock_init()) {
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
	tcpstate_stock_exit();
	kvfree(conn_table);
}
