// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of records; see stock.h.
 */
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "stock.h"

#define CHUNK_SIZE	SZ_4K

/* The slab keeps a pointer behind each object of a SLAB_TYPESAFE_BY_RCU cache. */
#define CHUNK_CONNS	((CHUNK_SIZE - offsetof(struct chunk, conns) -	\
			  sizeof(void *)) / sizeof(struct tcpstate_conn))

/* Chunks some of whose records are there to be taken. */
struct pool {
	raw_spinlock_t		lock;	/* innermost of all */
	struct list_head	chunks;
};

/* A chunk, found by the address of any of its records. */
struct chunk {
	struct pool		*pool;	/* of the CPU that got it; constant */
	struct list_head	list;	/* pool->chunks; under its lock, as ... */
	struct llist_node	*free;	/* ... these are */
	unsigned int		count;	/* of the free ones */
	struct tcpstate_conn	conns[] ____cacheline_aligned;
};

/* Single records a CPU stocks up on: half of the births find one in stock. */
#define SINGLES		2

#ifdef CONFIG_KASAN
bool tcpstate_stock_chunks;
module_param_named(chunks, tcpstate_stock_chunks, bool, 0444);
MODULE_PARM_DESC(chunks, "Debugging: allocate records in chunks, as without KASAN");
#endif

static struct kmem_cache *stock_cache __read_mostly;	/* chunks or records */
static DEFINE_PER_CPU(struct pool, pools);

/* Filled and emptied with interrupts off, by its CPU. */
DEFINE_PER_CPU(struct tcpstate_stock, tcpstate_stock);

/* New from the slab: whoever meets it before it stands for anything knows so. */
static void conn_init(struct tcpstate_conn *conn)
{
	WRITE_ONCE(conn->obj, NULL);
}

static void stock_push(struct tcpstate_stock *stock, struct tcpstate_conn *conn)
{
	stock->conns[stock->count++] = conn;
}

/* The record that would be given out next. */
static struct tcpstate_conn *stock_next(struct tcpstate_stock *stock)
{
	return stock->conns[stock->count - 1];
}

static struct chunk *chunk_of(struct tcpstate_conn *conn)
{
	return (void *)round_down((unsigned long)conn, CHUNK_SIZE);
}

/* Put a record back into its chunk, whose pool is locked; keep the chunk in
 * @whole if it was the last.
 */
static void chunk_put(struct tcpstate_conn *conn, struct list_head *whole)
{
	struct chunk *chunk = chunk_of(conn);

	conn->inbox.next = chunk->free;
	chunk->free = &conn->inbox;
	if (!chunk->count++)
		list_add(&chunk->list, &chunk->pool->chunks);
	if (chunk->count == CHUNK_CONNS)
		list_move(&chunk->list, whole);
}

/* Put all but @keep of @stock back into their chunks. */
static void chunks_put(struct tcpstate_stock *stock, unsigned long keep)
{
	struct chunk *chunk, *next;
	struct pool *pool;
	LIST_HEAD(whole);

	while (stock->count > keep) {
		pool = chunk_of(stock_next(stock))->pool;
		raw_spin_lock(&pool->lock);
		do {	/* most often all are of one pool */
			chunk_put(stock_next(stock), &whole);
			stock->count--;
		} while (stock->count > keep &&
			 chunk_of(stock_next(stock))->pool == pool);
		raw_spin_unlock(&pool->lock);
	}
	list_for_each_entry_safe(chunk, next, &whole, list)
		kmem_cache_free(stock_cache, chunk);
}

/* All that the first chunk of the pool has to give. */
static void stock_take(struct tcpstate_stock *stock, struct pool *pool)
{
	struct tcpstate_conn *conn;
	struct chunk *chunk;

	raw_spin_lock(&pool->lock);
	chunk = list_first_entry_or_null(&pool->chunks, struct chunk, list);
	if (chunk) {
		llist_for_each_entry(conn, chunk->free, inbox)
			stock_push(stock, conn);
		chunk->free = NULL;
		chunk->count = 0;
		list_del(&chunk->list);
	}
	raw_spin_unlock(&pool->lock);
}

/* A chunk, or where there are none a record. */
static void *stock_alloc(gfp_t gfp)
{
	void *object;

	if (gfpflags_allow_blocking(gfp))
		local_irq_enable();
	object = kmem_cache_alloc(stock_cache, gfp | __GFP_NOWARN);
	if (gfpflags_allow_blocking(gfp))
		local_irq_disable();
	return object;
}

static void stock_refill_singly(gfp_t gfp)
{
	struct tcpstate_conn *conn;
	int i;

	for (i = 0; i < SINGLES; i++) {
		conn = stock_alloc(gfp);
		if (conn)
			conn_init(conn);
		if (conn && this_cpu_read(tcpstate_stock.count) >= TCPSTATE_STOCK_MAX)
			tcpstate_stock_free(conn);
		else if (conn)
			stock_push(this_cpu_ptr(&tcpstate_stock), conn);
	}
}

static void stock_refill_chunk(gfp_t gfp)
{
	struct chunk *chunk = stock_alloc(gfp);
	unsigned int i;

	if (!chunk)
		return;
	chunk->pool = this_cpu_ptr(&pools);
	chunk->free = NULL;
	chunk->count = 0;
	/* Where it slept, others may have filled the stock. */
	if (this_cpu_read(tcpstate_stock.count) > TCPSTATE_STOCK_MAX / 2)
		tcpstate_stock_drain();
	for (i = CHUNK_CONNS; i--;) {
		conn_init(&chunk->conns[i]);
		stock_push(this_cpu_ptr(&tcpstate_stock), &chunk->conns[i]);
	}
}

/**
 * tcpstate_stock_refill() - put records into this CPU's stock, which is empty
 * @gfp: what to allocate with, if that is needed; a failure is never warned of
 *
 * Context: interrupts off; they are on for moments if @gfp lets it sleep.
 * Return: whether there are some now.
 */
bool tcpstate_stock_refill(gfp_t gfp)
{
	if (!tcpstate_stock_chunks) {
		stock_refill_singly(gfp);
		return this_cpu_read(tcpstate_stock.count);
	}
	stock_take(this_cpu_ptr(&tcpstate_stock), this_cpu_ptr(&pools));
	if (!this_cpu_read(tcpstate_stock.count))
		stock_refill_chunk(gfp);
	return this_cpu_read(tcpstate_stock.count);
}

/**
 * tcpstate_stock_drain() - give back half of what this CPU has in stock
 *
 * Context: interrupts off.
 */
void tcpstate_stock_drain(void)
{
	chunks_put(this_cpu_ptr(&tcpstate_stock), TCPSTATE_STOCK_MAX / 2);
}

/**
 * tcpstate_stock_free() - give a record back that is no part of a chunk
 * @conn: the record
 *
 * Context: interrupts off.
 */
void tcpstate_stock_free(struct tcpstate_conn *conn)
{
	kmem_cache_free(stock_cache, conn);
}

/**
 * tcpstate_stock_init() - make ready to allocate records
 *
 * Return: 0, or -ENOMEM.
 */
int tcpstate_stock_init(void)
{
	int cpu;

	/* A chunk is aligned to its size, so that records find it. */
	BUILD_BUG_ON(!is_power_of_2(CHUNK_SIZE));
	/* So that one refill does not make a stock that is to be drained. */
	BUILD_BUG_ON(CHUNK_CONNS + TCPSTATE_STOCK_MAX / 2 >= TCPSTATE_STOCK_MAX);
	for_each_possible_cpu(cpu) {
		raw_spin_lock_init(&per_cpu(pools, cpu).lock);
		INIT_LIST_HEAD(&per_cpu(pools, cpu).chunks);
	}
	if (tcpstate_stock_chunks)
		stock_cache = kmem_cache_create("tcpstate_conn",
						offsetof(struct chunk, conns[CHUNK_CONNS]),
						CHUNK_SIZE, SLAB_TYPESAFE_BY_RCU, NULL);
	else
		stock_cache = kmem_cache_create("tcpstate_conn",
						sizeof(struct tcpstate_conn), 0,
						SLAB_TYPESAFE_BY_RCU, NULL);
	return stock_cache ? 0 : -ENOMEM;
}

/**
 * tcpstate_stock_exit() - undo tcpstate_stock_init(), every record put back
 */
void tcpstate_stock_exit(void)
{
	struct tcpstate_stock *stock;
	int cpu;

	for_each_possible_cpu(cpu) {
		stock = per_cpu_ptr(&tcpstate_stock, cpu);
		local_irq_disable();
		if (tcpstate_stock_chunks)
			chunks_put(stock, 0);
		while (stock->count)
			tcpstate_stock_free(stock->conns[--stock->count]);
		local_irq_enable();
	}
	kmem_cache_destroy(stock_cache);
}
