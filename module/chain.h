/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_CHAIN_H
#define _TCPSTATE_CHAIN_H

#include <linux/list_bl.h>
#include <linux/rcupdate.h>

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
