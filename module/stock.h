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

/* Once it is full, half of what a CPU has in stock goes back. */
#define TCPSTATE_STOCK_MAX	128

/**
 * struct tcpstate_stock - the free records of one CPU
 * @count: how many
 * @conns: the records; the last one is given out next
 *
 * Used by its CPU alone, with interrupts off.
 */
struct tcpstate_stock {
	unsigned long		count;
	struct tcpstate_conn	*conns[TCPSTATE_STOCK_MAX];
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
	unsigned long count = this_cpu_read(tcpstate_stock.count);

	if (unlikely(!count))
		return NULL;
	this_cpu_write(tcpstate_stock.count, count - 1);
	return this_cpu_read(tcpstate_stock.conns[count - 1]);
}

/**
 * tcpstate_stock_put() - give a record that is in no table to this CPU's stock
 * @conn: the record
 *
 * Context: interrupts off.
 */
static __always_inline void tcpstate_stock_put(struct tcpstate_conn *conn)
{
	unsigned long count = this_cpu_read(tcpstate_stock.count);

	if (!tcpstate_stock_chunks) {
		tcpstate_stock_free(conn);
		return;
	}
	this_cpu_write(tcpstate_stock.conns[count], conn);
	this_cpu_write(tcpstate_stock.count, count + 1);
	if (unlikely(count == TCPSTATE_STOCK_MAX - 1))
		tcpstate_stock_drain();
}

#endif /* _TCPSTATE_STOCK_H */
