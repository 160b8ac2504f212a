// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own tables, walked to seed the records at load and to audit
 * them.
 *
 * While the chain of an object is locked its end is still to come: a socket
 * leaves its chain before its TCP_CLOSE, a mini-socket before its destructor.
 * What is added under that lock is therefore removed by the event. And an
 * object gets its record before it is hashed, so that one without a record
 * has been missed - but for a socket whose mini-socket has just taken the
 * record over and not yet the place in the chain. Only the socket's own lock
 * tells that from a miss.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/inet_hashtables.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "compat.h"
#include "leak.h"
#include "tcpstate.h"

/* Sockets of one chain looked at with their own lock at a time. */
#define SUSPECTS		16
/* How often, a millisecond apart, to try for a socket's lock. */
#define SUSPECT_TRIES		100
/* The first time that an audit waits before it looks again; then doubled. */
#define AUDIT_GRACE_MS		20
#define SECOND_WALK_DELAY	HZ

/* Serializes walks; guards the epoch, and what records keep of an audit. */
static DEFINE_MUTEX(walk_mutex);
static bool walk_over;		/* the module goes; under walk_mutex */

/**
 * struct walk - one walk
 * @net: whose objects; NULL for every namespace's
 * @late: an object without a record is a miss
 * @blame: objects that get no record are counted as untracked
 * @epoch: its number
 * @fresh: the record for the next object without one, or NULL
 * @found: objects by state
 * @added: objects given a record
 * @missed: those of them that had been missed
 * @without: objects that could not be given one
 */
struct walk {
	const struct net	*net;
	bool			late;
	bool			blame;
	u32			epoch;
	struct tcpstate_conn	*fresh;
	u64			found[TCPSTATE_STATES];
	u64			added;
	u64			missed;
	u64			without;
};

/**
 * struct chain - what a walk met in one chain
 * @found: objects by state
 * @without: objects that have got no record
 * @blame: count them as untracked
 * @dry: one of them for want of memory
 * @suspects: sockets to be looked at with their lock held; referenced
 * @suspect_count: how many
 * @suspects_left: how many more there were
 */
struct chain {
	u32		found[TCPSTATE_STATES];
	u32		without;
	bool		blame;
	bool		dry;
	struct sock	*suspects[SUSPECTS];
	unsigned int	suspect_count;
	unsigned int	suspects_left;
};

/* Keep a socket that may have handed its record over a moment ago. */
static void suspect(struct chain *chain, struct sock *sk)
{
	if (chain->suspect_count == SUSPECTS)
		chain->suspects_left++;
	else if (refcount_inc_not_zero(&sk->sk_refcnt))
		chain->suspects[chain->suspect_count++] = sk;
}

static void meet(struct walk *walk, struct chain *chain, struct sock *sk,
		 int state, bool locked)
{
	struct tcpstate_netns *netns;

	switch (tcpstate_conn_see(sk, walk->epoch, &walk->fresh, locked)) {
	case TCPSTATE_SEEN_SUSPECT:
		suspect(chain, sk);
		return;
	case TCPSTATE_SEEN_ADDED:
		walk->added++;
		netns = tcpstate_netns_of(sock_net(sk));
		/* Where some could not be added before, it is one of those. */
		if (walk->late && netns && !atomic64_read(&netns->inexact)) {
			walk->missed++;
			atomic64_inc(&netns->found_late);
		}
		walk->fresh = tcpstate_conn_alloc(GFP_ATOMIC);
		fallthrough;
	case TCPSTATE_SEEN_MATCH:
	case TCPSTATE_SEEN_DIFFERS:
		chain->found[state]++;
		return;
	case TCPSTATE_SEEN_UNKNOWN:
		chain->dry = true;
		fallthrough;
	case TCPSTATE_SEEN_REFUSED:
		chain->found[state]++;
		break;
	}
	netns = tcpstate_netns_of(sock_net(sk));
	if (!netns)	/* not followed: it is being taken down, say */
		return;
	chain->without++;
	if (chain->blame)
		tcpstate_netns_untracked(netns);
}

static void visit(struct walk *walk, struct chain *chain, struct sock *sk)
{
	int state = inet_sk_state_load(sk);

	if (walk->net && !net_eq(sock_net(sk), walk->net))
		return;
	switch (state) {
	case TCP_CLOSE:
		return;
	case TCP_NEW_SYN_RECV:
		/* A request that outlives its listener is in no queue that
		 * could be asked for its length.
		 */
		if (inet_sk_state_load(inet_reqsk(sk)->rsk_listener) ==
		    TCP_LISTEN)
			chain->found[state]++;
		return;
	case TCP_TIME_WAIT:
		meet(walk, chain, sk, READ_ONCE(inet_twsk(sk)->tw_substate),
		     false);
		return;
	default:
		meet(walk, chain, sk, state, false);
	}
}

/* Is @sk in its chain? Even with its own lock that is read beside others: who
 * comes and goes next to it there changes its link.
 */
static bool hashed(const struct sock *sk)
{
	return !hlist_nulls_unhashed_lockless(&sk->sk_nulls_node);
}

/* Look at @sk while it cannot be between its hand-over and its mini-socket's
 * place in the chain. A process may hold the lock for as long as it likes (a
 * page fault in recv()): then it has to do without a record for now.
 */
static void question(struct walk *walk, struct chain *chain, struct sock *sk)
{
	bool owned = true;
	int tries;

	for (tries = 0; owned && tries < SUSPECT_TRIES; tries++) {
		if (tries)
			usleep_range(1000, 1500);
		if (!walk->fresh)
			walk->fresh = tcpstate_conn_alloc(GFP_KERNEL);
		local_bh_disable();
		bh_lock_sock(sk);
		owned = sock_owned_by_user(sk);
		if (!owned && hashed(sk))
			meet(walk, chain, sk, inet_sk_state_load(sk), true);
		bh_unlock_sock(sk);
		local_bh_enable();
	}
	if (owned)	/* not for want of memory: a second walk finds it */
		chain->without++;
}

/* Return how many have left the chain. */
static unsigned int walk_suspects(struct walk *walk, struct chain *chain)
{
	unsigned int gone = 0;
	struct sock *sk;

	while (chain->suspect_count) {
		sk = chain->suspects[--chain->suspect_count];
		question(walk, chain, sk);
		gone += !hashed(sk);
		sock_put(sk);
	}
	return gone;
}

static void walk_ehash_chain(struct walk *walk, struct chain *chain,
			     struct inet_hashinfo *hashinfo, unsigned int i)
{
	spinlock_t *lock = inet_ehash_lockp(hashinfo, i);
	struct hlist_nulls_node *node;
	struct sock *sk;

	spin_lock_bh(lock);
	sk_nulls_for_each(sk, node, &hashinfo->ehash[i].chain)
		visit(walk, chain, sk);
	spin_unlock_bh(lock);
}

static void walk_lhash2_chain(struct walk *walk, struct chain *chain,
			      struct inet_hashinfo *hashinfo, unsigned int i)
{
	struct inet_listen_hashbucket *bucket = &hashinfo->lhash2[i];
	TCPSTATE_LHASH2_NODE *node;
	struct sock *sk;

	spin_lock_bh(&bucket->lock);
	tcpstate_lhash2_for_each(sk, node, bucket)
		visit(walk, chain, sk);
	spin_unlock_bh(&bucket->lock);
}

typedef void (*walk_chain_t)(struct walk *walk, struct chain *chain,
			     struct inet_hashinfo *hashinfo, unsigned int i);

/* Walk one chain, again and again until everything in it has a record or
 * nothing more can be had.
 */
static void walk_chain(struct walk *walk, struct inet_hashinfo *hashinfo,
		       unsigned int i, walk_chain_t walk_locked)
{
	struct chain chain;
	unsigned int gone;
	u64 added;
	int state;

	do {
		memset(&chain, 0, sizeof(chain));
		added = walk->added;
		if (!walk->fresh)
			walk->fresh = tcpstate_conn_alloc(GFP_KERNEL);
		walk_locked(walk, &chain, hashinfo, i);
		gone = walk_suspects(walk, &chain);
	} while ((chain.dry || chain.suspects_left) &&
		 (walk->added != added || gone));

	if (walk->blame && chain.without) {
		/* Only now is it known who is left without. */
		memset(&chain, 0, sizeof(chain));
		chain.blame = true;
		walk_locked(walk, &chain, hashinfo, i);
		walk_suspects(walk, &chain);
	}
	for (state = 0; state < TCPSTATE_STATES; state++)
		walk->found[state] += chain.found[state];
	walk->without += chain.without + chain.suspects_left;
}

static void walk_hashinfo(struct walk *walk, struct inet_hashinfo *hashinfo)
{
	unsigned int i;

	for (i = 0; i <= hashinfo->ehash_mask; i++) {
		if (!(i % 64))
			cond_resched();
		if (!hlist_nulls_empty(&hashinfo->ehash[i].chain))
			walk_chain(walk, hashinfo, i, walk_ehash_chain);
	}
	for (i = 0; i <= hashinfo->lhash2_mask; i++) {
		if (!(i % 64))
			cond_resched();
		walk_chain(walk, hashinfo, i, walk_lhash2_chain);
	}
}

static struct inet_hashinfo *hashinfo_of(const struct net *net)
{
	return net->ipv4.tcp_death_row.hashinfo;
}

/* Walk the tables of one namespace, or of all, the caller holding that one. */
static void walk_run(struct walk *walk)
{
	struct inet_hashinfo *common = hashinfo_of(&init_net);
	struct tcpstate_netns *netns;
	struct net *net;
	u64 id = 0;

	lockdep_assert_held(&walk_mutex);
	walk->epoch = tcpstate_conn_epoch_next();
	if (walk->net) {
		walk_hashinfo(walk, hashinfo_of(walk->net));
	} else {
		walk_hashinfo(walk, common);
		for (;;) {
			mutex_lock(&tcpstate_netns_mutex);
			netns = tcpstate_netns_next(id);
			mutex_unlock(&tcpstate_netns_mutex);
			if (!netns)
				break;
			id = netns->id + 1;
			net = netns->net;
			/* net.ipv4.tcp_child_ehash_entries: its own table */
			if (hashinfo_of(net) != common)
				walk_hashinfo(walk, hashinfo_of(net));
			put_net(net);
		}
	}
	if (walk->fresh) {
		tcpstate_conn_free(walk->fresh);
		walk->fresh = NULL;
	}
	if (walk->added)	/* some of it in CLOSE_WAIT, perhaps */
		tcpstate_leak_check();
}

static void walk_second(struct work_struct *work)
{
	struct walk walk = { .late = true };

	mutex_lock(&walk_mutex);
	walk_run(&walk);
	mutex_unlock(&walk_mutex);
	if (walk.missed)
		pr_warn("%llu connections had been missed at load; they are counted now\n",
			walk.missed);
	else
		pr_info("no connection had been missed at load\n");
}

static DECLARE_DELAYED_WORK(walk_again, walk_second);

/**
 * tcpstate_walk_seed() - add every connection that is there at load
 *
 * A second later a second walk counts what the first one missed.
 *
 * Context: process context, every hook live. Sleeps.
 */
void tcpstate_walk_seed(void)
{
	struct walk walk = { .blame = true };
	u64 begin = ktime_get_ns();

	mutex_lock(&walk_mutex);
	walk_run(&walk);
	mutex_unlock(&walk_mutex);
	pr_info("%llu connections found at load, in %llu ms\n", walk.added,
		div_u64(ktime_get_ns() - begin, NSEC_PER_MSEC));
	schedule_delayed_work(&walk_again, SECOND_WALK_DELAY);
}

/**
 * tcpstate_walk_seed_netns() - add the connections of one namespace
 * @netns: the namespace, in the making
 *
 * Context: process context. Sleeps.
 */
void tcpstate_walk_seed_netns(struct tcpstate_netns *netns)
{
	struct walk walk = { .net = netns->net, .blame = true };

	mutex_lock(&walk_mutex);
	if (!walk_over)
		walk_run(&walk);
	mutex_unlock(&walk_mutex);
}

/**
 * tcpstate_walk_exit() - no walk begins or goes on by itself afterwards
 */
void tcpstate_walk_exit(void)
{
	mutex_lock(&walk_mutex);
	walk_over = true;
	mutex_unlock(&walk_mutex);
	cancel_delayed_work_sync(&walk_again);
}

static void audit_counted(struct tcpstate_audit *audit,
			  const struct tcpstate_counts *counts)
{
	int state;

	for (state = 0; state < TCPSTATE_FIN_WAIT2_MINI; state++)
		audit->counted[state] = counts->sockets[state][TCPSTATE_IPV4] +
					counts->sockets[state][TCPSTATE_IPV6];
	audit->counted[TCP_FIN_WAIT2] +=
		counts->sockets[TCPSTATE_FIN_WAIT2_MINI][TCPSTATE_IPV4] +
		counts->sockets[TCPSTATE_FIN_WAIT2_MINI][TCPSTATE_IPV6];
	audit->counted[TCP_CLOSE] = 0;
	audit->counted[TCP_NEW_SYN_RECV] = counts->requests[TCPSTATE_IPV4] +
					   counts->requests[TCPSTATE_IPV6];
}

/* Do the counters differ from what was met? Requests come and go without an
 * event and are left out.
 */
static bool audit_differs(const struct tcpstate_audit *audit)
{
	return memcmp(audit->counted, audit->walked,
		      TCP_NEW_SYN_RECV * sizeof(*audit->counted));
}

static int audit_walk(struct tcpstate_netns *netns, u32 rechecks,
		      struct tcpstate_audit *audit,
		      struct tcpstate_counts *counts)
{
	unsigned int grace = AUDIT_GRACE_MS;
	bool differs;
	u64 events;

	for (audit->walks = 1;; audit->walks++) {
		struct walk walk = { .net = netns->net, .late = true };

		tcpstate_count_sum(netns, counts);
		events = counts->events;
		walk_run(&walk);
		audit->stale = tcpstate_conn_unmatched(netns, walk.epoch,
						       audit->walks);
		tcpstate_count_sum(netns, counts);

		audit_counted(audit, counts);
		memcpy(audit->walked, walk.found, sizeof(audit->walked));
		audit->missing += walk.added;
		audit->missing_now = walk.without;
		/* While nothing moves they must be the same to the last one. */
		differs = counts->events == events && audit_differs(audit);

		if ((!audit->stale && !differs) || audit->walks > rechecks)
			break;
		if (msleep_interruptible(grace) && signal_pending(current))
			return -EINTR;
		grace *= 2;
	}
	audit->exact = !audit->missing && !audit->missing_now &&
		       !audit->stale && !differs;
	return 0;
}

/**
 * tcpstate_walk_audit() - compare a namespace's records with its objects
 * @netns: the namespace, held by the caller
 * @rechecks: how often a mismatch is looked at again before it counts
 * @wait: for a walk that is under way
 * @audit: filled in
 *
 * Objects without a record are given one.
 *
 * Context: process context. Sleeps.
 * Return: 0, -ENOMEM, -EINTR on a signal, or -EBUSY without @wait.
 */
int tcpstate_walk_audit(struct tcpstate_netns *netns, u32 rechecks, bool wait,
			struct tcpstate_audit *audit)
{
	struct tcpstate_counts *counts;
	s64 inexact;
	int err;

	memset(audit, 0, sizeof(*audit));
	counts = kmalloc(sizeof(*counts), GFP_KERNEL);
	if (!counts)
		return -ENOMEM;
	if (wait)
		err = mutex_lock_interruptible(&walk_mutex);
	else
		err = mutex_trylock(&walk_mutex) ? 0 : -EBUSY;
	if (err)
		goto out;
	inexact = atomic64_read(&netns->inexact);
	err = audit_walk(netns, rechecks, audit, counts);
	if (!err)	/* whatever was missing before is accounted for */
		atomic64_add(audit->missing_now - inexact, &netns->inexact);
	mutex_unlock(&walk_mutex);
out:
	kfree(counts);
	return err;
}
