// SPDX-License-Identifier: GPL-2.0
/*
 * What is counted of records, and how it is added up.
 *
 * A move adds one to one edge; how many are in a state now is what came in
 * less what went out.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <net/tcp_states.h>

#include "chain.h"
#include "tcpstate.h"

#define STATE_CLOSE		TCP_CLOSE
#define STATE_SYN_SENT		TCP_SYN_SENT
#define STATE_SYN_RECV		TCP_SYN_RECV
#define STATE_LISTEN		TCP_LISTEN
#define STATE_ESTABLISHED	TCP_ESTABLISHED
#define STATE_FIN_WAIT1		TCP_FIN_WAIT1
#define STATE_FIN_WAIT2		TCP_FIN_WAIT2
#define STATE_FIN_WAIT2_MINI	TCPSTATE_FIN_WAIT2_MINI
#define STATE_TIME_WAIT		TCP_TIME_WAIT
#define STATE_CLOSE_WAIT	TCP_CLOSE_WAIT
#define STATE_LAST_ACK		TCP_LAST_ACK
#define STATE_CLOSING		TCP_CLOSING

/* The states that have a list of ages. */
#define AGED	(TCPF_FIN_WAIT1 | TCPF_FIN_WAIT2 | TCPF_TIME_WAIT |	\
		 TCPF_CLOSE_WAIT | TCPF_LAST_ACK | TCPF_LISTEN |	\
		 TCPF_CLOSING | BIT(TCPSTATE_FIN_WAIT2_MINI))

/* Those that a process's close() leads to. */
#define CLOSED	(TCPF_FIN_WAIT1 | TCPF_LAST_ACK)

#define MOVE(from, to, edge, family, flags)				\
	[(from) | (flags)][to] = {					\
		.count	= TCPSTATE_MOVE(edge, family),			\
		.change	= ((from) ^ (to)) |				\
			  (AGED & BIT(to) ?				\
			   TCPSTATE_CONN_INBOX & ~(flags) : 0) |	\
			  (CLOSED & BIT(to) ? TCPSTATE_CONN_CLOSED : 0), \
	},
#define MOVE_BOTH(from, to, edge, family, flags)			\
	MOVE(from, to, edge, family, flags)				\
	MOVE(from, to, edge, family, (flags) | TCPSTATE_CONN_INBOX)
#define MOVE_IPV4(from, to)						\
	MOVE_BOTH(STATE_##from, STATE_##to, TCPSTATE_EDGE_##from##_##to, \
		  TCPSTATE_IPV4, 0)
#define MOVE_IPV6(from, to)						\
	MOVE_BOTH(STATE_##from, STATE_##to, TCPSTATE_EDGE_##from##_##to, \
		  TCPSTATE_IPV6, TCPSTATE_CONN_IPV6)
const struct tcpstate_move
tcpstate_count_moves[TCPSTATE_MOVE_ROWS][TCPSTATE_STATES_POW2] = {
	TCPSTATE_EDGES(MOVE_IPV4)
	TCPSTATE_EDGES(MOVE_IPV6)
};

static_assert((TCPSTATE_CONN_STATE | TCPSTATE_CONN_IPV6 | TCPSTATE_CONN_SEEDED |
	       TCPSTATE_CONN_LISTED | TCPSTATE_CONN_INBOX) ==
	      TCPSTATE_MOVE_ROWS - 1);

#define EDGE_ENDS(from, to) \
	[TCPSTATE_EDGE_##from##_##to] = { STATE_##from, STATE_##to },
static const u8 edge_ends[TCPSTATE_EDGE_COUNT][2] = {
	TCPSTATE_EDGES(EDGE_ENDS)
};

/**
 * tcpstate_count_edge() - which states an edge connects
 * @edge: the edge, from 1
 * @from: set to where it begins
 * @to: set to where it ends
 */
void tcpstate_count_edge(unsigned int edge, int *from, int *to)
{
	*from = edge_ends[edge][0];
	*to = edge_ends[edge][1];
}

/**
 * tcpstate_count_illegal() - count a move that TCP does not make
 * @here: where to count
 * @status: the record's, before it
 * @to: its new state
 *
 * Counted as an end and a birth, so that the numbers of now stay exact and
 * the transitions show it.
 *
 * Context: interrupts off.
 */
void tcpstate_count_illegal(struct tcpstate_cpu *here, u32 status,
			    unsigned int to)
{
	u32 closed = (status & ~TCPSTATE_CONN_STATE) | TCP_CLOSE;

	local64_inc(&here->moved[tcpstate_count_move_of(status,
							TCP_CLOSE)->count]);
	local64_inc(&here->moved[tcpstate_count_move_of(closed, to)->count]);
}

static u64 moved(const struct tcpstate_cpu *block, unsigned int edge,
		 unsigned int family)
{
	return local64_read(&block->moved[TCPSTATE_MOVE(edge, family)]);
}

static void sum_out(const struct tcpstate_cpu *block,
		    struct tcpstate_counts *sum)
{
	unsigned int family, edge, i;

	for (i = 0; i < TCPSTATE_END_COUNT; i++)
		sum->end[i] += local64_read(&block->end[i]);
	for (family = 0; family < TCPSTATE_FAMILIES; family++)
		for (edge = 1; edge < TCPSTATE_EDGE_COUNT; edge++)
			sum->sockets[edge_ends[edge][0]][family] -=
				moved(block, edge, family);
}

static void sum_in(const struct tcpstate_cpu *block,
		   struct tcpstate_counts *sum)
{
	unsigned int family, edge, state, bucket;

	for (family = 0; family < TCPSTATE_FAMILIES; family++) {
		for (edge = 1; edge < TCPSTATE_EDGE_COUNT; edge++) {
			u64 count = moved(block, edge, family);

			sum->edge[edge] += count;
			sum->sockets[edge_ends[edge][1]][family] += count;
		}
		for (state = 0; state < TCPSTATE_STATES; state++)
			sum->sockets[state][family] +=
				local64_read(&block->seeded[state][family]);
	}
	for (state = 0; state < TCPSTATE_STATES; state++) {
		for (bucket = 0; bucket < TCPSTATE_DWELL_BUCKETS; bucket++)
			sum->dwell[state][bucket] +=
				local64_read(&block->dwell[bucket][state]);
		sum->dwell_max[state] =
			max_t(u64, sum->dwell_max[state],
			      local64_read(&block->dwell_max[state]));
	}
}

static void sum_ages(struct tcpstate_cpu *block, struct tcpstate_counts *sum)
{
	const struct tcpstate_conn *conn;
	struct tcpstate_ages *ages;
	unsigned long flags;
	unsigned int age;
	u64 since;

	tcpstate_conn_settle(block);
	for (age = 0; age < TCPSTATE_AGE_COUNT; age++) {
		ages = &block->ages[age];
		if (hlist_bl_empty(&ages->newest))
			continue;
		local_irq_save(flags);
		tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
		conn = ages->oldest;
		/* Its owner may be about to find that it was listed meanwhile:
		 * pairs with the WRITE_ONCE()s of conn->since.
		 */
		since = conn ? READ_ONCE(conn->since) : 0;
		if (conn && (!sum->oldest[age] || since < sum->oldest[age])) {
			sum->oldest[age] = since;
			sum->oldest_seeded[age] = READ_ONCE(conn->status) &
						  TCPSTATE_CONN_SEEDED;
		}
		tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
		local_irq_restore(flags);
	}
	tcpstate_conn_requests(block, sum->requests);
}

static u64 block_oldest(struct tcpstate_cpu *block, enum tcpstate_age age)
{
	struct tcpstate_ages *ages = &block->ages[age];
	unsigned long flags;
	u64 oldest;

	tcpstate_conn_settle(block);
	if (hlist_bl_empty(&ages->newest))
		return 0;
	local_irq_save(flags);
	tcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);
	/* As in sum_ages(). */
	oldest = ages->oldest ? READ_ONCE(ages->oldest->since) : 0;
	tcpstate_chain_unlock(&ages->newest, TCPSTATE_CHAIN_AGE);
	local_irq_restore(flags);
	return oldest;
}

/**
 * tcpstate_count_oldest() - since when the oldest has been in its state
 * @netns: the namespace
 * @age: the state
 *
 * Context: any below hard interrupt. The cost grows with CPUs.
 * Return: when it entered the state, nanoseconds of CLOCK_MONOTONIC; 0 if
 * there is none.
 */
u64 tcpstate_count_oldest(struct tcpstate_netns *netns, enum tcpstate_age age)
{
	u64 oldest = block_oldest(&netns->shared, age), other;
	struct tcpstate_cpu *block;
	int cpu;

	for_each_possible_cpu(cpu) {
		/* Pairs with tcpstate_netns_block_add(). */
		block = smp_load_acquire(per_cpu_ptr(netns->cpus, cpu));
		if (!block)
			continue;
		other = block_oldest(block, age);
		if (other && (!oldest || other < oldest))
			oldest = other;
	}
	return oldest;
}

/**
 * tcpstate_count_sum() - add up the counters of a namespace
 * @netns: the namespace
 * @sum: filled in
 *
 * What went out of the states is read before what came in, so that no state
 * shows less than nothing while connections move.
 *
 * Context: process context. May sleep. The cost grows with CPUs and listeners, not with
 * connections.
 */
void tcpstate_count_sum(struct tcpstate_netns *netns,
			struct tcpstate_counts *sum)
{
	struct tcpstate_cpu *block;
	unsigned int edge, bucket, state, family;
	int cpu;

	memset(sum, 0, sizeof(*sum));

	sum_out(&netns->shared, sum);
	for_each_possible_cpu(cpu) {
		/* Pairs with tcpstate_netns_block_add(). */
		block = smp_load_acquire(per_cpu_ptr(netns->cpus, cpu));
		if (block)
			sum_out(block, sum);
	}
	smp_rmb();	/* out before in, as said above */

	sum_in(&netns->shared, sum);
	sum_ages(&netns->shared, sum);
	for_each_possible_cpu(cpu) {
		/* Pairs with tcpstate_netns_block_add(). */
		block = smp_load_acquire(per_cpu_ptr(netns->cpus, cpu));
		if (!block)
			continue;
		sum_in(block, sum);
		sum_ages(block, sum);
	}

	/* A mini-socket's FIN_WAIT2 began with the full one's. */
	for (bucket = 0; bucket < TCPSTATE_DWELL_BUCKETS; bucket++)
		sum->dwell[TCP_FIN_WAIT2][bucket] +=
			sum->dwell[TCPSTATE_FIN_WAIT2_MINI][bucket];
	sum->dwell_max[TCP_FIN_WAIT2] =
		max(sum->dwell_max[TCP_FIN_WAIT2],
		    sum->dwell_max[TCPSTATE_FIN_WAIT2_MINI]);

	/* A change of family is counted out of one and into the other, but read
	 * in one go.
	 */
	for (state = 0; state < TCPSTATE_STATES; state++)
		for (family = 0; family < TCPSTATE_FAMILIES; family++)
			sum->sockets[state][family] =
			      max_t(s64, sum->sockets[state][family], 0);

	for (edge = 1; edge < TCPSTATE_EDGE_COUNT; edge++) {
		sum->events += sum->edge[edge];
		if (edge != TCPSTATE_EDGE_FIN_WAIT2_FIN_WAIT2_MINI)
			sum->entered[edge_ends[edge][1]] += sum->edge[edge];
	}
	sum->entered[TCP_FIN_WAIT2] += sum->entered[TCPSTATE_FIN_WAIT2_MINI];

	/* Only those that end early are counted by how. */
	sum->end[TCPSTATE_END_EXPIRED] =
		max_t(s64, sum->edge[TCPSTATE_EDGE_TIME_WAIT_CLOSE] -
			   sum->end[TCPSTATE_END_RECYCLED] -
			   sum->end[TCPSTATE_END_KILLED], 0);
}
