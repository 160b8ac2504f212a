/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_STOCK_H
#define _TCPSTATE_STOCK_H

#include <linux/llist.h>
#include <linux/percpu.h>

#include "tcpstate.h"

/**
 * DOC: the memory of records
 *
 * Every connection takes a record and gives one back, and the slab's own fast
 * paths, with the zeroing of each object, cost more than all else that is done
 * for an event. So a CPU keeps some free records in stock, and the slab is
 * asked for chunks of some sixty. A chunk knows which of its records are
 * neither in use nor in a stock, and goes back to the slab with the last of
 * them.
 *
 * Chains are read without their lock (see tcpstate.h): a record that is free
 * may be given to another connection under such a reader, but stays a record
 * for a grace period, which is what SLAB_TYPESAFE_BY_RCU means.
 *
 * KASAN knows of objects of the slab, not of what is inside them. So where it
 * looks each record is one, and goes back to the slab when it is put back: what
 * is done with it after its end, a grace period later, is seen. The parameter
 * chunks has it look at the chunks instead.
 */

/* Beyond the maximum, half of what a CPU has in stock goes back. */
#define TCPSTATE_STOCK_MAX	128

/**
 * struct tcpstate_stock - the free records of one CPU
 * @first: the one that is given out next
 * @count: how many
 *
 * Used by its CPU alone, with interrupts off.
 */
struct tcpstate_stock {
	struct llist_node	*first;
	unsigned int		count;
};

DECLARE_PER_CPU(struct tcpstate_stock, tcpstate_stock);

#ifdef CONFIG_KASAN
extern bool tcpstate_stock_chunks;
#else
#define tcpstate_stock_chunks	true
#endif

int tcpstate_stock_init(void);
void tcpstate_stock_exit(void);
bool tcpstate_stock_refill(gfp_t gfp);
void tcpstate_stock_free(struct tcpstate_conn *conn);
void tcpstate_stock_drain(void);

/**
 * tcpstate_stock_get() - take a record from this CPU's stock
 *
 * Context: interrupts off.
 * Return: the record, with what its last connection left in it; NULL if there
 * is none in stock.
 */
static __always_inline struct tcpstate_conn *tcpstate_stock_get(void)
{
	struct llist_node *first = this_cpu_read(tcpstate_stock.first);

	if (unlikely(!first))
		return NULL;
	this_cpu_write(tcpstate_stock.first, first->next);
	this_cpu_dec(tcpstate_stock.count);
	return llist_entry(first, struct tcpstate_conn, inbox);
}

/**
 * tcpstate_stock_put() - give a record that is in no table to this CPU's stock
 * @conn: the record
 *
 * Context: interrupts off.
 */
static __always_inline void tcpstate_stock_put(struct tcpstate_conn *conn)
{
	unsigned int count = this_cpu_read(tcpstate_stock.count) + 1;

	if (!tcpstate_stock_chunks) {
		tcpstate_stock_free(conn);
		return;
	}
	conn->inbox.next = this_cpu_read(tcpstate_stock.first);
	this_cpu_write(tcpstate_stock.first, &conn->inbox);
	this_cpu_write(tcpstate_stock.count, count);
	if (unlikely(count > TCPSTATE_STOCK_MAX))
		tcpstate_stock_drain();
}

#endif /* _TCPSTATE_STOCK_H */
