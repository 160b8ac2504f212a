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
 * tcpstate_chain_add_to() - put a node at the head of a chain, which may be read
 *	without its lock
 * @chain: the chain, locked
 * @first: its first node, or NULL
 * @node: the node, whole but for its links
 */
static __always_inline void
tcpstate_chain_add_to(struct hlist_bl_head *chain, struct hlist_bl_node *first,
		      struct hlist_bl_node *node)
{
	unsigned long head = (unsigned long)node | LIST_BL_LOCKMASK;

	WRITE_ONCE(node->next, first);
	if (first)
		first->pprev = &node->next;
	node->pprev = &chain->first;
	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(). */
	smp_store_release(&chain->first, (struct hlist_bl_node *)head);
}

/**
 * tcpstate_chain_add() - the same where the first node is not known
 * @chain: the chain, locked
 * @node: the node, whole but for its links
 */
static __always_inline void tcpstate_chain_add(struct hlist_bl_head *chain,
					       struct hlist_bl_node *node)
{
	tcpstate_chain_add_to(chain, tcpstate_chain_first(chain), node);
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
 * tcpstate_chain_unlock_add() - put a node at the head of a chain and unlock that
 * @chain: the chain, locked
 * @first: its first node, or NULL
 * @node: the node, whole but for its links
 * @class: as the chain was locked
 *
 * Both in one store.
 */
static __always_inline void
tcpstate_chain_unlock_add(struct hlist_bl_head *chain,
			  struct hlist_bl_node *first,
			  struct hlist_bl_node *node,
			  enum tcpstate_chain_class class)
{
	tcpstate_chain_released(class);
	WRITE_ONCE(node->next, first);
	if (first)
		first->pprev = &node->next;
	node->pprev = &chain->first;
	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(), and
	 * with who locks the chain next.
	 */
	smp_store_release(&chain->first, node);
	__release(bitlock);
}

/**
 * tcpstate_chain_unlock_del() - take the first node off a chain and unlock that
 * @chain: the chain, locked
 * @first: its first node; it still leads on to the rest
 * @class: as the chain was locked
 *
 * Both in one store.
 */
static __always_inline void
tcpstate_chain_unlock_del(struct hlist_bl_head *chain,
			  struct hlist_bl_node *first,
			  enum tcpstate_chain_class class)
{
	struct hlist_bl_node *next = first->next;

	tcpstate_chain_released(class);
	if (next)
		next->pprev = &chain->first;
	/* Pairs as in tcpstate_chain_unlock_add(). */
	smp_store_release(&chain->first, next);
	__release(bitlock);
}

/* Every @entry of a @chain that is locked, by its @member. */
#define tcpstate_chain_for_each_entry(entry, pos, chain, member)	\
	for ((pos) = tcpstate_chain_first(chain);			\
	     (pos) && ({ (entry) = hlist_bl_entry(pos, typeof(*(entry)), member); 1; }); \
	     (pos) = (pos)->next)

#endif /* _TCPSTATE_CHAIN_H */
