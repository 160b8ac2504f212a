// SPDX-License-Identifier: GPL-2.0
/*
 * Owners: the processes that open, accept and close connections.
 *
 * One owner stands for one process in one namespace, under one name, user and
 * cgroup. It is told by its struct pid, which lasts while it is held: a pid
 * that is given to another process is another struct pid. The look-up is all
 * that most connections cost; an owner is made at a process's first.
 *
 * Records are not counted by who owns them. An owner stays while its process
 * lives; who has exited takes no more connections, so that two looks at all
 * records find out whether any still names it. Is there none, what it made is
 * added to the history of its name, user and cgroup. That is done now and then,
 * as owners are made.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/sock.h>

#include "compat.h"
#include "owner.h"

#define TABLE_BITS	10
/* Made since the last time that call for tidying up. */
#define TIDY_AFTER	512
/* Histories of one namespace. */
#define PAST_MAX	1024
/* Dropped under one lock at most, when a namespace goes. */
#define FORGET_BATCH	64
/* Without a limit set, owners may take up to this part of memory. */
#define MEMORY_SHARE	512
#define OWNERS_MAX	U16_MAX

static uint max_owners;
module_param(max_owners, uint, 0444);
MODULE_PARM_DESC(max_owners, "Processes told apart at most; half of them in one namespace (default: what a 512th of memory holds, at most 65535)");

/* Guards the table, the lists of namespaces, the numbers and the counts below;
 * taken with interrupts off, inside a record's bucket lock.
 */
static DEFINE_SPINLOCK(owner_lock);
static DEFINE_HASHTABLE(owner_table, TABLE_BITS);
static unsigned int owner_last_id;
static u64 owner_last_order;
static unsigned int owner_count;
static unsigned int owner_made;		/* since the last tidying up */

/* By number; written under owner_lock. Number 0 is nobody. */
struct tcpstate_owner **tcpstate_owners __read_mostly;
static struct tcpstate_owner nobody;

/* Who did something last on a CPU, or nobody. Written by that CPU, and by who
 * drops it.
 */
DEFINE_PER_CPU(struct tcpstate_owner *, tcpstate_owner_last);

/* Serializes tidying up and tcpstate_owner_mutex's other users, who add up. */
DEFINE_MUTEX(tcpstate_owner_mutex);

/* Without it a process could make up names that all have the same hash. */
static u32 owner_secret __read_mostly;

/* By all that tells owners apart: a process may go by many names. */
static struct hlist_head *owner_chain(const struct pid *tgid, const char *comm,
				      kuid_t uid, u64 cgroup)
{
	u32 hash = jhash(comm, TASK_COMM_LEN, owner_secret ^ __kuid_val(uid));

	return &owner_table[hash_64((unsigned long)tgid ^ cgroup ^ hash,
				    TABLE_BITS)];
}

/* Preemption off. */
static struct tcpstate_owner *owner_find(const struct tcpstate_netns *netns)
{
	struct tcpstate_owner *owner;
	char comm[TASK_COMM_LEN];

	/* As in tcpstate_owner_is_current(). */
	data_race(memcpy(comm, current->group_leader->comm, sizeof(comm)));
	hlist_for_each_entry_rcu(owner,
				 owner_chain(tcpstate_owner_tgid(), comm,
					     current_euid(),
					     tcpstate_owner_cgroup()),
				 node, true)
		if (tcpstate_owner_is_current(owner, netns))
			return owner;
	return NULL;
}

static void owner_tidy(struct work_struct *work);
static DECLARE_WORK(owner_tidy_work, owner_tidy);

/* A free number: not one that was in use a moment ago. */
static u16 owner_id(void)
{
	do {
		owner_last_id = owner_last_id % max_owners + 1;
	} while (tcpstate_owners[owner_last_id]);
	return owner_last_id;
}

static struct tcpstate_owner *owner_new(struct tcpstate_netns *netns)
{
	struct tcpstate_owner *owner;

	lockdep_assert_held(&owner_lock);
	if (owner_count >= max_owners || netns->owner_count >= max_owners / 2)
		return NULL;
	owner = kzalloc(sizeof(*owner), GFP_ATOMIC | __GFP_NOWARN);
	if (!owner)
		return NULL;
	owner->id = owner_id();
	owner->order = ++owner_last_order;
	owner->netns = netns;
	owner->tgid = get_pid(tcpstate_owner_tgid());
	owner->uid = current_euid();
	owner->cgroup = tcpstate_owner_cgroup();
	owner->user_ns = get_user_ns(current_user_ns());
	/* As in tcpstate_owner_is_current(). */
	data_race(memcpy(owner->task_comm, current->group_leader->comm,
			 sizeof(owner->task_comm)));
	strscpy_pad(owner->comm, owner->task_comm, sizeof(owner->comm));
	owner->marks[0].when = jiffies;
	owner->marks[1].when = jiffies;
	owner_count++;
	/* Pairs with the READ_ONCE() of survey_rows(). */
	WRITE_ONCE(netns->owner_count, netns->owner_count + 1);
	/* Pairs with the READ_ONCE() of tcpstate_owner_of(). */
	smp_store_release(&tcpstate_owners[owner->id], owner);
	hlist_add_head_rcu(&owner->list, &netns->owners);
	hlist_add_head_rcu(&owner->node,
			   owner_chain(owner->tgid, owner->task_comm,
				       owner->uid, owner->cgroup));
	return owner;
}

static struct tcpstate_owner *owner_make(struct tcpstate_netns *netns)
{
	struct tcpstate_owner *owner;
	unsigned long flags;

	spin_lock_irqsave(&owner_lock, flags);
	owner = owner_find(netns);
	if (!owner) {
		owner = owner_new(netns);
		if (!owner)
			atomic64_inc(&netns->owners_dropped);
		/* Without room, too: there may be some now. */
		if (++owner_made >= TIDY_AFTER) {
			owner_made = 0;
			schedule_work(&owner_tidy_work);
		}
	}
	spin_unlock_irqrestore(&owner_lock, flags);
	return owner;
}

/**
 * tcpstate_owner_look_up() - who is doing this, if not who did so last
 * @netns: the namespace of the socket
 * @sk: the socket it is done to
 *
 * Context: process context, preemption off.
 * Return: as tcpstate_owner_get().
 */
u16 tcpstate_owner_look_up(struct tcpstate_netns *netns, const struct sock *sk)
{
	struct tcpstate_owner *owner;

	/* What carries an MPTCP connection is the kernel's in name only. */
	if ((sk->sk_kern_sock && !sk_is_mptcp(sk)) ||
	    current->flags & PF_KTHREAD || !tcpstate_owner_tgid())
		return 0;
	owner = owner_find(netns) ? : owner_make(netns);
	if (!owner)
		return 0;
	this_cpu_write(tcpstate_owner_last, owner);
	return owner->id;
}

/* None is locked: a listener may be closed, and @sk come and go, meanwhile. Who is
 * taken for a listener of @sk then, or not, is of a moment.
 */
static bool listens_for(const struct sock *listener, const struct sock *sk,
			bool any)
{
	if (!net_eq(sock_net(listener), sock_net(sk)) ||
	    READ_ONCE(listener->sk_family) != READ_ONCE(sk->sk_family) ||
	    tcpstate_read_racy(listener->sk_num) !=
	    tcpstate_read_racy(sk->sk_num))
		return false;
#if IS_ENABLED(CONFIG_IPV6)
	if (READ_ONCE(sk->sk_family) == AF_INET6)
		/* Too long to be read at once. */
		return data_race(any ? ipv6_addr_any(&listener->sk_v6_rcv_saddr) :
				       ipv6_addr_equal(&listener->sk_v6_rcv_saddr,
						       &sk->sk_v6_rcv_saddr));
#endif
	return tcpstate_read_racy(listener->sk_rcv_saddr) ==
	       (any ? 0 : tcpstate_read_racy(sk->sk_rcv_saddr));
}

/**
 * struct listeners - who listens where a socket came in
 * @any: somebody does
 * @owner: the number of their owner; 0 if it is not the same for all
 */
struct listeners {
	bool	any;
	u16	owner;
};

static void listeners_add(struct listeners *to, const struct sock *listener)
{
	u16 owner;

	/* Of several owners there is none to be told. */
	if (to->any && !to->owner)
		return;
	owner = tcpstate_conn_owner(listener);
	if (to->any && owner != to->owner)
		owner = 0;
	to->any = true;
	to->owner = owner;
}

/* In an RCU read side. */
static struct listeners listeners_in(const struct sock *sk, u32 hash, bool any)
{
	struct inet_hashinfo *hashinfo =
		sock_net(sk)->ipv4.tcp_death_row.hashinfo;
	struct inet_listen_hashbucket *bucket = inet_lhash2_bucket(hashinfo,
								   hash);
	struct listeners of_device = {}, of_none = {};
	const struct sock *listener;
	TCPSTATE_LHASH2_NODE *node;
	int device;

	/* Those that are bound to the device, or else to none. */
	tcpstate_lhash2_for_each_rcu(listener, node, bucket) {
		if (!listens_for(listener, sk, any))
			continue;
		device = tcpstate_read_racy(listener->sk_bound_dev_if);
		if (device == tcpstate_read_racy(sk->sk_bound_dev_if))
			listeners_add(&of_device, listener);
		else if (!device)
			listeners_add(&of_none, listener);
	}
	return of_device.any ? of_device : of_none;
}

/* Likewise: what the kernel's own table has for an address and a port. */
static struct listeners listeners_at(const struct sock *sk, bool any)
{
	unsigned int port = tcpstate_read_racy(sk->sk_num);
	const struct net *net = sock_net(sk);
	u32 hash;

#if IS_ENABLED(CONFIG_IPV6)
	if (READ_ONCE(sk->sk_family) == AF_INET6) {
		/* As in listens_for(). */
		data_race(hash = ipv6_portaddr_hash(net, any ? &in6addr_any :
						    &sk->sk_v6_rcv_saddr, port));
		return listeners_in(sk, hash, any);
	}
#endif
	hash = ipv4_portaddr_hash(net, any ? 0 :
				  tcpstate_read_racy(sk->sk_rcv_saddr), port);
	return listeners_in(sk, hash, any);
}

/* Who listens where @sk came in. With SO_REUSEPORT there may be several, and in
 * whose queue it waits only a search of all queues would tell: if they are not
 * of one owner, nobody is named. Preemption off.
 */
static struct tcpstate_owner *owner_listener(const struct sock *sk)
{
	struct listeners found;

	rcu_read_lock();
	found = listeners_at(sk, false);
	if (!found.any)
		found = listeners_at(sk, true);
	rcu_read_unlock();
	return tcpstate_owner_of(found.owner);
}

/**
 * tcpstate_owner_holder() - on whose account a connection is
 * @conn: the connection
 * @unaccepted: set if nobody has accepted it: then it is its listener's, or
 *	nobody's if several processes listen there
 *
 * Context: interrupts off, with the lock of the bucket of @conn.
 * Return: the owner, to be used under RCU or tcpstate_owner_mutex; or NULL.
 */
struct tcpstate_owner *tcpstate_owner_holder(const struct tcpstate_conn *conn,
					     bool *unaccepted)
{
	/* Pairs with the smp_store_release() of conn_accept(). */
	struct tcpstate_owner *owner =
		tcpstate_owner_of(READ_ONCE(conn->owner));
	const struct sock *sk = conn->obj;
	int state = inet_sk_state_load(sk);

	/* Without a file, and never been without: it waits in a queue. */
	*unaccepted = !owner && state != TCP_TIME_WAIT && state != TCP_LISTEN &&
		      !READ_ONCE(sk->sk_socket) &&
		      /* inet_csk_clone_lock() clears another flag. */
		      !data_race(sock_flag(sk, SOCK_DEAD));
	if (!*unaccepted)
		return owner;
	return owner_listener(sk);
}

/**
 * tcpstate_owner_close() - a connection is closed, not by its owner's process
 * @conn: the connection
 * @sk: its socket
 *
 * The first who does so is kept.
 *
 * Context: any below hard interrupt, preemption off, @sk locked.
 */
void tcpstate_owner_close(struct tcpstate_conn *conn, const struct sock *sk)
{
	struct tcpstate_owner *owner = tcpstate_owner_account(conn);

	/* What the peer or a timer does is not current's doing. */
	if (!conn->closer && in_task() && owner->tgid != tcpstate_owner_tgid())
		WRITE_ONCE(conn->closer,
			   tcpstate_owner_get(READ_ONCE(conn->home)->netns, sk));
}

/**
 * tcpstate_owner_mark() - an owner's counter has made another round
 * @owner: the owner
 *
 * Context: any below hard interrupt.
 */
void tcpstate_owner_mark(struct tcpstate_owner *owner)
{
	unsigned long flags;

	spin_lock_irqsave(&owner_lock, flags);
	/* Once in a while, whoever asks for it. */
	if (time_after_eq(jiffies, owner->marks[1].when +
				   TCPSTATE_MADE_INTERVAL)) {
		owner->marks[0] = owner->marks[1];
		owner->marks[1].when = jiffies;
		owner->marks[1].count = atomic64_read(&owner->made);
	}
	spin_unlock_irqrestore(&owner_lock, flags);
}

/**
 * tcpstate_owner_rate() - how fast an owner makes TIME_WAIT
 * @owner: whose
 *
 * The mean since the mark before the last: over TCPSTATE_MADE_INTERVAL and
 * TCPSTATE_MADE_STEP at least, or since the owner is known.
 *
 * Context: process context.
 * Return: per 1000 seconds.
 */
u64 tcpstate_owner_rate(const struct tcpstate_owner *owner)
{
	unsigned long flags, took;
	u64 count;

	spin_lock_irqsave(&owner_lock, flags);
	took = jiffies - owner->marks[0].when;
	count = atomic64_read(&owner->made) - owner->marks[0].count;
	spin_unlock_irqrestore(&owner_lock, flags);
	return div64_ul(count * 1000 * HZ, max(took, 1UL));
}

static void owner_free(struct rcu_head *rcu)
{
	struct tcpstate_owner *owner =
		container_of(rcu, struct tcpstate_owner, rcu);

	put_pid(owner->tgid);
	put_user_ns(owner->user_ns);
	kfree(owner);
}

/* Nothing that runs finds it as the last one any more; who has, is done with
 * it a grace period later. @owner NULL: none of @netns.
 */
static void owner_unlast(const struct tcpstate_netns *netns,
			 struct tcpstate_owner *owner)
{
	struct tcpstate_owner *last;
	int cpu;

	for_each_possible_cpu(cpu) {
		last = READ_ONCE(per_cpu(tcpstate_owner_last, cpu));
		if (owner ? last == owner : last->netns == netns)
			cmpxchg(per_cpu_ptr(&tcpstate_owner_last, cpu), last,
				&nobody);
	}
}

static void owner_drop(struct tcpstate_owner *owner)
{
	lockdep_assert_held(&owner_lock);
	hlist_del_rcu(&owner->node);
	hlist_del_rcu(&owner->list);
	WRITE_ONCE(tcpstate_owners[owner->id], NULL);
	owner_count--;
	/* Pairs as in owner_new(). */
	WRITE_ONCE(owner->netns->owner_count, owner->netns->owner_count - 1);
	owner->netns->past_count -= owner->past;
	call_rcu(&owner->rcu, owner_free);
}

static struct hlist_head *past_chain(const struct tcpstate_owner *owner)
{
	return owner_chain(NULL, owner->comm, owner->uid, owner->cgroup);
}

static struct tcpstate_owner *past_find(const struct tcpstate_owner *owner)
{
	struct tcpstate_owner *past;

	hlist_for_each_entry(past, past_chain(owner), node)
		if (past->past && past->netns == owner->netns &&
		    past->cgroup == owner->cgroup &&
		    past->user_ns == owner->user_ns &&
		    uid_eq(past->uid, owner->uid) &&
		    !memcmp(past->comm, owner->comm, sizeof(owner->comm)) &&
		    ns_of_pid(past->tgid) == ns_of_pid(owner->tgid))
			return past;
	return NULL;
}

/* What an exited process made becomes history. */
static void owner_bury(struct tcpstate_owner *owner)
{
	u64 made = atomic64_read(&owner->made);
	u64 closed = atomic64_read(&owner->closed);
	struct tcpstate_owner *past;

	lockdep_assert_held(&owner_lock);
	past = past_find(owner);
	if (past) {
		atomic64_add(made, &past->made);
		atomic64_add(closed, &past->closed);
	}
	if (past || !(made | closed)) {
		owner_unlast(owner->netns, owner);
		owner_drop(owner);
		return;
	}
	/* Who is on the chain now goes astray, finds nothing, and looks again
	 * under the lock.
	 */
	hlist_del_rcu(&owner->node);
	WRITE_ONCE(owner->past, true);
	owner->netns->past_count++;
	hlist_add_head_rcu(&owner->node, past_chain(owner));
}

/* Of more than PAST_MAX histories the one that began first is given up: what it
 * tells is nobody's from then on. RCU read side, with tcpstate_owner_mutex.
 */
static void past_give_up(struct tcpstate_netns *netns)
{
	struct tcpstate_owner *owner, *oldest = NULL;

	/* The later ones come first. */
	hlist_for_each_entry_rcu(owner, &netns->owners, list)
		if (READ_ONCE(owner->past))
			oldest = owner;
	spin_lock_irq(&owner_lock);
	/* Or all have been, with the namespace. */
	if (oldest && tcpstate_owners[oldest->id] == oldest) {
		atomic64_add(atomic64_read(&oldest->made) +
			     atomic64_read(&oldest->closed),
			     &netns->owners_dropped);
		owner_drop(oldest);
	}
	spin_unlock_irq(&owner_lock);
}

/* Is there any whose process has exited? Then all these are marked. */
static bool tidy_exited(void)
{
	struct tcpstate_owner *owner;
	bool any = false;
	unsigned int id;

	for (id = 1; id <= max_owners; id++) {
		rcu_read_lock();
		owner = READ_ONCE(tcpstate_owners[id]);
		if (owner && !READ_ONCE(owner->past)) {
			WRITE_ONCE(owner->unnamed,
				   !pid_has_task(owner->tgid, PIDTYPE_TGID));
			any |= owner->unnamed;
		}
		rcu_read_unlock();
		cond_resched();
	}
	return any;
}

static void tidy_conn(struct tcpstate_conn *conn, void *arg)
{
	struct tcpstate_owner *owner = tcpstate_owner_of(READ_ONCE(conn->owner));
	struct tcpstate_owner *closer =
		tcpstate_owner_of(READ_ONCE(conn->closer));

	if (owner)
		WRITE_ONCE(owner->unnamed, false);
	if (closer)
		WRITE_ONCE(closer->unnamed, false);
}

static void tidy_named(void)
{
	unsigned long bucket;

	for (bucket = 0; tcpstate_conn_next(&bucket); bucket++)
		tcpstate_conn_visit(bucket, tidy_conn, NULL);
	/* Every hand-over that had begun is done. */
	synchronize_rcu();
}

static void owner_tidy(struct work_struct *work)
{
	struct tcpstate_netns *netns;
	struct tcpstate_owner *owner;
	unsigned int id;

	mutex_lock(&tcpstate_owner_mutex);
	if (!tidy_exited())
		goto out;
	/* A record may be handed over to a place that has been passed, but
	 * only once.
	 */
	tidy_named();
	tidy_named();
	for (id = 1; id <= max_owners; id++) {
		if (!READ_ONCE(tcpstate_owners[id]))
			continue;
		netns = NULL;
		rcu_read_lock();	/* the namespace may end meanwhile */
		/* Only buried here, and freed by the end of its namespace. */
		spin_lock_irq(&owner_lock);
		owner = tcpstate_owners[id];
		if (owner && READ_ONCE(owner->unnamed)) {
			WRITE_ONCE(owner->unnamed, false);
			netns = owner->netns;
			owner_bury(owner);
			if (netns->past_count <= PAST_MAX)
				netns = NULL;
		}
		spin_unlock_irq(&owner_lock);
		if (netns)
			past_give_up(netns);
		rcu_read_unlock();
		cond_resched();
	}
out:
	mutex_unlock(&tcpstate_owner_mutex);
}

/**
 * tcpstate_owner_forget() - drop the owners of a namespace
 * @netns: the namespace, its last record gone
 *
 * Context: any below hard interrupt.
 */
void tcpstate_owner_forget(struct tcpstate_netns *netns)
{
	struct tcpstate_owner *owner;
	struct hlist_node *next;
	unsigned long flags;
	unsigned int left;

	owner_unlast(netns, NULL);
	while (!hlist_empty(&netns->owners)) {
		left = FORGET_BATCH;
		spin_lock_irqsave(&owner_lock, flags);
		hlist_for_each_entry_safe(owner, next, &netns->owners, list) {
			if (!left--)
				break;
			owner_drop(owner);
		}
		spin_unlock_irqrestore(&owner_lock, flags);
	}
}

/**
 * tcpstate_owner_init() - set the cap on owners, and make room for their numbers
 *
 * Return: 0, or -ENOMEM.
 */
int __init tcpstate_owner_init(void)
{
	u64 fit = (u64)totalram_pages() * PAGE_SIZE / MEMORY_SHARE /
		  sizeof(struct tcpstate_owner);
	int cpu;

	owner_secret = get_random_u32();
	max_owners = clamp_t(u64, max_owners ? : fit, 1, OWNERS_MAX);
	tcpstate_owners = kvcalloc(max_owners + 1, sizeof(*tcpstate_owners),
				   GFP_KERNEL | __GFP_NOWARN);
	if (!tcpstate_owners)
		return -ENOMEM;
	tcpstate_owners[0] = &nobody;
	for_each_possible_cpu(cpu)
		per_cpu(tcpstate_owner_last, cpu) = &nobody;
	return 0;
}

/**
 * tcpstate_owner_exit() - wait for what is still to be freed
 *
 * Context: every namespace forgotten. Sleeps.
 */
void tcpstate_owner_exit(void)
{
	cancel_work_sync(&owner_tidy_work);
	rcu_barrier();
	kvfree(tcpstate_owners);
}
