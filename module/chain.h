/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_CHAIN_H
#define _TCPSTATE_CHAIN_H

#include <linux/bitops.h>
#include <linux/list_bl.h>
#include <linux/processor.h>
#include <linux/rcupdate.h>

/**
 * tcpstate_chain_lock() - lock a chain
 * @chain: the chain
 *
 * As hlist_bl_lock(), without counting that preemption is off: it is.
 *
 * Context: interrupts off.
 */
static __always_inline void tcpstate_chain_lock(struct hlist_bl_head *chain)
{
	while (unlikely(test_and_set_bit_lock(0, (unsigned long *)chain)))
		while (test_bit(0, (unsigned long *)chain))
			cpu_relax();
	__acquire(bitlock);
}

/**
 * tcpstate_chain_unlock() - unlock a chain
 * @chain: the chain, locked by tcpstate_chain_lock()
 *
 * Context: interrupts off.
 */
static __always_inline void tcpstate_chain_unlock(struct hlist_bl_head *chain)
{
	__clear_bit_unlock(0, (unsigned long *)chain);
	__release(bitlock);
}

/**
 * tcpstate_chain_add() - put a node at the head of a chain that is read
 *	without its lock
 * @chain: the chain, locked
 * @node: the node, whole but for its links
 */
static __always_inline void tcpstate_chain_add(struct hlist_bl_head *chain,
					       struct hlist_bl_node *node)
{
	struct hlist_bl_node *first = hlist_bl_first(chain);
	unsigned long head = (unsigned long)node | LIST_BL_LOCKMASK;

	WRITE_ONCE(node->next, first);
	if (first)
		first->pprev = &node->next;
	node->pprev = &chain->first;
	/* Pairs with the rcu_dereference_raw() of tcpstate_chain_first(). */
	smp_store_release(&chain->first, (struct hlist_bl_node *)head);
}

/**
 * tcpstate_chain_first() - the head of a chain, to be read without its lock
 * @chain: the chain
 *
 * Return: its first node, or NULL.
 */
static __always_inline struct hlist_bl_node *
tcpstate_chain_first(const struct hlist_bl_head *chain)
{
	unsigned long first = (unsigned long)rcu_dereference_raw(chain->first);

	return (void *)(first & ~LIST_BL_LOCKMASK);
}

#endif /* _TCPSTATE_CHAIN_H */
