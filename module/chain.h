/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_CHAIN_H
#define _TCPSTATE_CHAIN_H

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/list_bl.h>
#include <linux/lockdep.h>
#include <linux/processor.h>
#include <linux/rcupdate.h>

/**
 * DOC: chains
 *
 * Those of list_bl.h, with a lock in the head's lowest bit. Who waits for it
 * goes on reading and writing the head, so that who has it must mark what it
 * does there, which list_bl.h itself does not.
 */

/* Which of the locks of DOC: data and locking one is; they nest in this order. */
enum tcpstate_chain_class {
	TCPSTATE_CHAIN_BUCKET,
	TCPSTATE_CHAIN_DEST,
	TCPSTATE_CHAIN_PEERS,
	TCPSTATE_CHAIN_AGE,
	TCPSTATE_CHAIN_CLASSES
};

/* A bit has no room for what lockdep knows of a lock: this is for all of a
 * class. None is taken inside another one of its own.
 */
#ifdef CONFIG_LOCKDEP
extern struct lockdep_map tcpstate_chain_maps[TCPSTATE_CHAIN_CLASSES];
#define tcpstate_chain_acquired(class)	\
	lock_map_acquire(&tcpstate_chain_maps[class])
#define tcpstate_chain_released(class)	\
	lock_map_release(&tcpstate_chain_maps[class])
#else
#define tcpstate_chain_acquired(class)	((void)(class))
#define tcpstate_chain_released(class)	((void)(class))
#endif

/**
 * tcpstate_chain_lock() - lock a chain
 * @chain: the chain
 * @class: which of the locks it has
 *
 * As hlist_bl_lock(), without counting that preemption is off: it is.
 *
 * Context: interrupts off.
 */
static __always_inline void
tcpstate_chain_lock(struct hlist_bl_head *chain,
		    enum tcpstate_chain_class class)
{
	tcpstate_chain_acquired(class);
	while (unlikely(test_and_set_bit_lock(0, (unsigned long *)chain)))
		while (test_bit(0, (unsigned long *)chain))
			cpu_relax();
	__acquire(bitlock);
}

/**
 * tcpstate_chain_unlock() - unlock a chain
 * @chain: the chain, locked by tcpstate_chain_lock()
 * @class: as it was locked
 *
 * Context: interrupts off.
 */
static __always_inline void
tcpstate_chain_unlock(struct hlist_bl_head *chain,
		      enum tcpstate_chain_class class)
{
	tcpstate_chain_released(class);
	/* One instruction or a marked store, but KCSAN takes it for a plain
	 * write of the word that others try for.
	 */
	(void)data_race(({ __clear_bit_unlock(0, (unsigned long *)chain); 0; }));
	__release(bitlock);
}

/**
 * tcpstate_chain_first() - the head of a chain, locked or not
 * @chain: the chain
 *
 * Return: its first node, or NULL.
 */
static __always_inline struct hlist_bl_node *
tcpstate_chain_first(const struct hlist_bl_head *chain)
{
	unsigned long first = (unsigned long)rcu_dereference_raw(chain->first);

	first &= ~LIST_BL_LOCKMASK;
	/* The compiler would look for NULL in what this was made of, and
	 * then not know it of this any more.
	 */
	OPTIMIZER_HIDE_VAR(first);
	return (void *)first;
}

/**
 * tcpstate_chain_add() - put a node at the head of a chain, which may be read
 *	without its lock
 * @chain: the chain, locked
 * @node: the node, whole but for its links
 */
static __always_inline void tcpstate_chain_add(struct hlist_bl_head *chain,
					       struct hlist_bl_node *node)
{
	struct hlist_bl_node *first = tcpstate_chain_first(chain);
	unsigned long head = (unsigned long)node | LIST_BL_LOCKMASK;

	WRITE_ONCE(node->next, first);
	if (first)
		first->pprev = &node->next;
	node->pprev = &chain->first;
	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(). */
	smp_store_release(&chain->first, (struct hlist_bl_node *)head);
}

/**
 * tcpstate_chain_del() - take a node off its chain
 * @node: the node, its chain locked; it still leads on to the rest
 */
static __always_inline void tcpstate_chain_del(struct hlist_bl_node *node)
{
	struct hlist_bl_node *next = node->next, **pprev = node->pprev;
	unsigned long locked = (unsigned long)READ_ONCE(*pprev) &
			       LIST_BL_LOCKMASK;

	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(). */
	WRITE_ONCE(*pprev, (void *)((unsigned long)next | locked));
	if (next)
		next->pprev = pprev;
}

/**
 * tcpstate_chain_lock_empty() - lock a chain if it is empty
 * @chain: the chain
 * @class: which of the locks it has
 *
 * Most are: one step then does for the lock and for the look.
 *
 * Context: interrupts off.
 * Return: whether it is locked now; not, if it has a node or is locked already.
 */
static __always_inline bool
tcpstate_chain_lock_empty(struct hlist_bl_head *chain,
			  enum tcpstate_chain_class class)
{
	struct hlist_bl_node *first = NULL;
	void *locked = (void *)LIST_BL_LOCKMASK;

	if (!try_cmpxchg(&chain->first, &first, locked))
		return false;
	tcpstate_chain_acquired(class);
	__acquire(bitlock);
	return true;
}

/**
 * tcpstate_chain_unlock_add() - put a node into a chain and unlock it
 * @chain: the chain, locked by tcpstate_chain_lock_empty()
 * @node: the node, whole but for its links
 * @class: as the chain was locked
 */
static __always_inline void
tcpstate_chain_unlock_add(struct hlist_bl_head *chain,
			  struct hlist_bl_node *node,
			  enum tcpstate_chain_class class)
{
	tcpstate_chain_released(class);
	WRITE_ONCE(node->next, NULL);
	node->pprev = &chain->first;
	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(), and
	 * with who locks the chain next.
	 */
	smp_store_release(&chain->first, node);
	__release(bitlock);
}

/**
 * tcpstate_chain_add_alone() - put a node into a chain that is empty
 * @chain: the chain, not locked by the caller
 * @node: the node, whole but for its links
 *
 * Return: whether it is in the chain now; not, if that has a node or is locked.
 */
static __always_inline bool
tcpstate_chain_add_alone(struct hlist_bl_head *chain,
			 struct hlist_bl_node *node)
{
	struct hlist_bl_node *first = NULL;

	WRITE_ONCE(node->next, NULL);
	node->pprev = &chain->first;
	return try_cmpxchg(&chain->first, &first, node);
}

/**
 * tcpstate_chain_del_alone() - take the only node there is off a chain
 * @chain: the chain, not locked by the caller
 * @node: the node, which nobody else takes off it
 *
 * Return: whether it is off the chain now; not, if that has others or is locked.
 */
static __always_inline bool
tcpstate_chain_del_alone(struct hlist_bl_head *chain,
			 struct hlist_bl_node *node)
{
	/* Nodes come in at the head: one that has none behind it keeps none. */
	return !READ_ONCE(node->next) &&
	       try_cmpxchg(&chain->first, &node, NULL);
}

/* Every @entry of a @chain that is locked, by its @member. */
#define tcpstate_chain_for_each_entry(entry, pos, chain, member)	\
	for ((pos) = tcpstate_chain_first(chain);			\
	     (pos) && ({ (entry) = hlist_bl_entry(pos, typeof(*(entry)), member); 1; }); \
	     (pos) = (pos)->next)

#endif /* _TCPSTATE_CHAIN_H */
