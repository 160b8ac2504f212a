// SPDX-License-Identifier: GPL-2.0
/*
 * Namespaces: each one's counters, their memory, and the caps on records.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/ip.h>
#include <net/snmp.h>

#include "compat.h"
#include "owner.h"
#include "tcpstate.h"

/* Without a limit set, records may take up to this part of memory. */
#define MEMORY_SHARE	16
/* Slots a CPU takes from and returns to its namespace at a time, at most. */
#define BATCH_MAX	64
/* Namespaces remembered to have had events before our set-up of them. */
#define EARLY_MAX	16
#define MEMORY_PER_CONN	128

static uint max_connections;
module_param(max_connections, uint, 0444);
MODULE_PARM_DESC(max_connections, "Records at most (default: what a 16th of memory holds)");

static uint max_connections_netns;
module_param(max_connections_netns, uint, 0444);
MODULE_PARM_DESC(max_connections_netns, "Records of one namespace at most (default: half of max_connections)");

/* What fails slabs and pages does not reach the allocator of memory per CPU,
 * which mostly has some left.
 */
static uint fail_percpu;
module_param(fail_percpu, uint, 0600);
MODULE_PARM_DESC(fail_percpu, "Debugging: let the next N allocations of memory per CPU fail");

static LIST_HEAD(netns_list);		/* by id; under tcpstate_netns_mutex */
static u64 netns_last_id;		/* under tcpstate_netns_mutex */
static atomic_t netns_slots;		/* what all namespaces hold of them */

/* Guards the list of namespaces. */
DEFINE_MUTEX(tcpstate_netns_mutex);

/* Guards the two below. */
static DEFINE_RAW_SPINLOCK(early_lock);
static const struct net *early_nets[EARLY_MAX];
static bool early_more;			/* than there was room for */

unsigned int tcpstate_netns_id __read_mostly;
int tcpstate_netns_batch __read_mostly;

static void untracked_say(struct work_struct *work)
{
	pr_warn("a connection could not be tracked: no memory, or a cap is reached (see max_connections); 'tcpstate-cli audit' tells how many are missing\n");
}

static DECLARE_WORK(untracked_work, untracked_say);
static unsigned long untracked_said;

/**
 * tcpstate_netns_untracked() - count a connection that got no record
 * @netns: whose
 *
 * The first one since load is logged, from a work item: never from a probe.
 *
 * Context: any below hard interrupt.
 */
void tcpstate_netns_untracked(struct tcpstate_netns *netns)
{
	atomic64_inc(&netns->untracked);
	atomic64_inc(&netns->inexact);
	if (!test_bit(0, &untracked_said) &&
	    !test_and_set_bit(0, &untracked_said))
		schedule_work(&untracked_work);
}

static void block_init(struct tcpstate_cpu *block, struct tcpstate_netns *netns,
		       int cpu)
{
	block->netns = netns;
	block->cpu = cpu;
	block->spare_max = 2 * tcpstate_netns_batch;
}

/* From here on slots that come back go straight to the namespace. */
static void block_close(struct tcpstate_cpu *block)
{
	/* Pairs with the READ_ONCE() of slot_put(). */
	WRITE_ONCE(block->spare_max, -1);
}

/**
 * tcpstate_netns_block_add() - give this CPU a block of its own
 * @netns: the namespace
 *
 * Context: interrupts off.
 * Return: the block; the shared one without memory.
 */
struct tcpstate_cpu *tcpstate_netns_block_add(struct tcpstate_netns *netns)
{
	struct tcpstate_cpu *block;

	BUILD_BUG_ON(sizeof(*block) > 4096);
	block = kzalloc(sizeof(*block), GFP_ATOMIC | __GFP_NOWARN);
	if (!block)
		return &netns->shared;
	block_init(block, netns, smp_processor_id());
	/* Pairs with the smp_load_acquire() of tcpstate_count_sum(). */
	smp_store_release(this_cpu_ptr(netns->cpus), block);
	/* Either we see that it is dying, or netns_dying() sees the block. */
	smp_mb();
	if (READ_ONCE(netns->dying))
		block_close(block);
	return block;
}

static unsigned int slots_take(atomic_t *slots, unsigned int want,
			       unsigned int max)
{
	int old = atomic_read(slots), got;

	do {
		got = min_t(int, want, (int)max - old);
		if (got <= 0)
			return 0;
	} while (!atomic_try_cmpxchg(slots, &old, old + got));
	return got;
}

/**
 * tcpstate_netns_slot_refill() - stock up on slots for records
 * @here: this CPU's block, with none left
 *
 * Context: interrupts off.
 * Return: whether there is a slot now.
 */
bool tcpstate_netns_slot_refill(struct tcpstate_cpu *here)
{
	struct tcpstate_netns *netns = here->netns;
	unsigned int own, all;

	/* One more than the cap: the namespace's own, until its exit. */
	own = slots_take(&netns->slots, tcpstate_netns_batch,
			 max_connections_netns + 1);
	all = slots_take(&netns_slots, own, max_connections);
	if (all < own)
		atomic_sub(own - all, &netns->slots);
	here->spare += all;
	return all;
}

static void netns_free(struct rcu_head *rcu)
{
	struct tcpstate_netns *netns =
		container_of(rcu, struct tcpstate_netns, rcu);
	struct tcpstate_cpu *block;
	int cpu;

	/* What has ended while in an inbox is still there. */
	tcpstate_conn_settle(&netns->shared);
	for_each_possible_cpu(cpu) {
		block = *per_cpu_ptr(netns->cpus, cpu);
		if (block)
			tcpstate_conn_settle(block);
		kfree(block);
	}
	tcpstate_owner_forget(netns);
	free_percpu(netns->cpus);
	tcpstate_process_put(&netns->connect_last);
	tcpstate_process_put(&netns->bind_refused.last);
	tcpstate_process_put(&netns->leak.process);
	kfree(netns);
}

/**
 * tcpstate_netns_put() - give back a reference on a namespace's data
 * @netns: the namespace; freed with the last one, not before the caller
 *	leaves its RCU read side or turns interrupts on
 *
 * Context: any.
 */
void tcpstate_netns_put(struct tcpstate_netns *netns)
{
	if (refcount_dec_and_test(&netns->refs))
		call_rcu(&netns->rcu, netns_free);
}

/**
 * tcpstate_netns_slots_put() - give slots back to their namespace
 * @netns: the namespace; with the last one goes its reference
 * @count: how many
 *
 * Context: any.
 */
void tcpstate_netns_slots_put(struct tcpstate_netns *netns, int count)
{
	atomic_sub(count, &netns_slots);
	if (atomic_sub_and_test(count, &netns->slots))
		tcpstate_netns_put(netns);
}

/**
 * tcpstate_netns_slot_drain() - take a slot back that is one too many
 * @here: this CPU's block, which has as many as it may have
 *
 * Most of its stock of slots goes with it, but for that of a namespace that is
 * dying, which is not touched any more.
 *
 * Context: interrupts off.
 */
void tcpstate_netns_slot_drain(struct tcpstate_cpu *here)
{
	int count = 1;

	/* Pairs with the WRITE_ONCE() of block_close(). */
	if (READ_ONCE(here->spare_max) >= 0) {
		count += here->spare - tcpstate_netns_batch;
		here->spare = tcpstate_netns_batch;
	}
	tcpstate_netns_slots_put(here->netns, count);
}

/**
 * tcpstate_netns_slots_max() - the cap on one namespace's records
 *
 * Return: how many.
 */
u64 tcpstate_netns_slots_max(void)
{
	return max_connections_netns;
}

/**
 * tcpstate_netns_early() - an event in a namespace that is not yet ours
 * @net: the namespace
 *
 * Other subsystems' set-up of it may run before ours, and make sockets.
 *
 * Context: any below hard interrupt.
 */
void tcpstate_netns_early(const struct net *net)
{
	unsigned long flags;
	int i;

	raw_spin_lock_irqsave(&early_lock, flags);
	for (i = 0; i < EARLY_MAX; i++) {
		if (early_nets[i] && early_nets[i] != net)
			continue;
		early_nets[i] = net;
		break;
	}
	if (i == EARLY_MAX)
		early_more = true;
	raw_spin_unlock_irqrestore(&early_lock, flags);
}

static bool early_take(const struct net *net)
{
	unsigned long flags;
	bool early;
	int i;

	raw_spin_lock_irqsave(&early_lock, flags);
	early = early_more;
	for (i = 0; i < EARLY_MAX; i++) {
		if (early_nets[i] != net)
			continue;
		early_nets[i] = NULL;
		early = true;
	}
	raw_spin_unlock_irqrestore(&early_lock, flags);
	return early;
}

/**
 * tcpstate_netns_next() - the next namespace in the order of creation
 * @id: the lowest id that will do
 *
 * One that is still being made is passed over: its making may fail, and then it
 * is freed without regard to references.
 *
 * Context: process context, tcpstate_netns_mutex held.
 * Return: it, with a reference on its net to be dropped with put_net(), or
 * NULL after the last.
 */
struct tcpstate_netns *tcpstate_netns_next(u64 id)
{
	struct tcpstate_netns *netns;

	lockdep_assert_held(&tcpstate_netns_mutex);
	list_for_each_entry(netns, &netns_list, list)
		if (netns->id >= id && tcpstate_net_made(netns->net) &&
		    maybe_get_net(netns->net))
			return netns;
	return NULL;
}

/**
 * tcpstate_netns_get_net() - hold the namespace that data is about
 * @netns: the data, referenced
 *
 * Context: process context.
 * Return: the namespace, to be given back with put_net(); NULL if it is being
 * made or taken down, or is no more.
 */
struct net *tcpstate_netns_get_net(struct tcpstate_netns *netns)
{
	struct net *net = NULL;

	mutex_lock(&tcpstate_netns_mutex);
	if (!list_empty(&netns->list) && tcpstate_net_made(netns->net))
		net = maybe_get_net(netns->net);
	mutex_unlock(&tcpstate_netns_mutex);
	return net;
}

/**
 * tcpstate_netns_overflow() - TIME_WAITs that were skipped
 * @net: the namespace
 *
 * Return: its TCPTimeWaitOverflow, as nstat shows it.
 */
u64 tcpstate_netns_overflow(const struct net *net)
{
	const struct linux_mib *mib;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		mib = per_cpu_ptr(net->mib.net_statistics, cpu);
		sum += READ_ONCE(mib->mibs[LINUX_MIB_TCPTIMEWAITOVERFLOW]);
	}
	return sum;
}

static struct tcpstate_netns *netns_alloc(struct net *net)
{
	struct tcpstate_netns *netns = kzalloc(sizeof(*netns), GFP_KERNEL);

	if (!netns)
		return NULL;
	netns->cpus = tcpstate_fail(&fail_percpu) ? NULL :
		      alloc_percpu(struct tcpstate_cpu *);
	if (!netns->cpus) {
		kfree(netns);
		return NULL;
	}
	netns->net = net;
	raw_spin_lock_init(&netns->shared_lock);
	block_init(&netns->shared, netns, -1);
	atomic_set(&netns->slots, 1);
	netns->overflow_base = tcpstate_netns_overflow(net);
	netns->since = ktime_get_ns();
	netns->ino = net->ns.inum;
	refcount_set(&netns->refs, 1);
	INIT_LIST_HEAD(&netns->rooms);
	tcpstate_dest_netns_init(netns);
	tcpstate_alert_netns_init(netns, net);
	return netns;
}

static int __net_init netns_add(struct net *net)
{
	struct tcpstate_pernet *pernet = net_generic(net, tcpstate_netns_id);
	struct tcpstate_netns *netns = netns_alloc(net);

	/* A namespace is not refused for our want of memory. */
	if (!netns) {
		WRITE_ONCE(pernet->known, true);
		pr_warn("no memory to follow network namespace %u: it is not counted\n",
			net->ns.inum);
		return 0;
	}
	mutex_lock(&tcpstate_netns_mutex);
	netns->id = ++netns_last_id;
	list_add_tail(&netns->list, &netns_list);
	mutex_unlock(&tcpstate_netns_mutex);
	pernet->kept = netns;
	/* Pairs with the smp_load_acquire() of tcpstate_netns_of(). */
	smp_store_release(&pernet->netns, netns);
	WRITE_ONCE(pernet->known, true);
	if (early_take(net))
		tcpstate_walk_seed_netns(netns);
	return 0;
}

static void __net_exit netns_dying(struct net *net)
{
	struct tcpstate_pernet *pernet = net_generic(net, tcpstate_netns_id);
	struct tcpstate_netns *netns = pernet->kept;
	struct tcpstate_cpu *block;
	int cpu;

	if (!netns)
		return;
	mutex_lock(&tcpstate_netns_mutex);
	list_del_init(&netns->list);
	mutex_unlock(&tcpstate_netns_mutex);
	/* Nobody can hold the namespace and read more of them. */
	mutex_lock(&tcpstate_dest_mutex);
	tcpstate_port_rooms_free(netns, S64_MAX);
	mutex_unlock(&tcpstate_dest_mutex);
	/* No record is added from here on: the stocks of slots stand still. */
	WRITE_ONCE(pernet->netns, NULL);
	/* Pairs with the READ_ONCE()s of tcpstate_netns_block_add() and dest.c's kept(). */
	WRITE_ONCE(netns->dying, true);
	smp_mb();	/* see tcpstate_netns_block_add() */
	block_close(&netns->shared);
	for_each_possible_cpu(cpu) {
		block = READ_ONCE(*per_cpu_ptr(netns->cpus, cpu));
		if (block)
			block_close(block);
	}
}

/* By now, after the synchronize_rcu() that follows every pre_exit, nobody
 * touches the stocks of slots any more.
 */
static void __net_exit netns_del(struct net *net)
{
	struct tcpstate_pernet *pernet = net_generic(net, tcpstate_netns_id);
	struct tcpstate_netns *netns = pernet->kept;
	struct tcpstate_cpu *block;
	int cpu, count;

	if (!netns)
		return;
	count = netns->shared.spare;
	for_each_possible_cpu(cpu) {
		block = *per_cpu_ptr(netns->cpus, cpu);
		if (block)
			count += block->spare;
	}
	atomic_inc(&netns_slots);	/* the one that is not counted there */
	tcpstate_netns_slots_put(netns, count + 1);
}

static struct pernet_operations netns_ops = {
	.init		= netns_add,
	.pre_exit	= netns_dying,
	.exit		= netns_del,
	.id		= &tcpstate_netns_id,
	.size		= sizeof(struct tcpstate_pernet),
};

/**
 * tcpstate_netns_init() - follow every namespace
 *
 * Return: 0, or a negative error of register_pernet_subsys().
 */
int tcpstate_netns_init(void)
{
	u64 fit = (u64)totalram_pages() * PAGE_SIZE / MEMORY_SHARE /
		  MEMORY_PER_CONN;

	if (!max_connections)
		max_connections = min_t(u64, fit, INT_MAX / 2);
	if (!max_connections_netns)
		max_connections_netns = max(max_connections / 2, 1U);
	max_connections = min_t(uint, max_connections, INT_MAX / 2);
	max_connections_netns = min(max_connections_netns, max_connections);
	/* What all CPUs may have in stock is a part of the cap only. */
	tcpstate_netns_batch = clamp_t(uint, max_connections_netns /
				       (8 * num_possible_cpus()), 1, BATCH_MAX);
	return register_pernet_subsys(&netns_ops);
}

/**
 * tcpstate_netns_exit() - undo tcpstate_netns_init()
 *
 * Context: every hook gone, every record flushed.
 */
void tcpstate_netns_exit(void)
{
	unregister_pernet_subsys(&netns_ops);
	cancel_work_sync(&untracked_work);
	rcu_barrier();
}
