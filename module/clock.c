// SPDX-License-Identifier: GPL-2.0
/*
 * The clock events are stamped with; see clock.h.
 */
#include <linux/math64.h>
#include <linux/preempt.h>

#include "clock.h"

#define CALIBRATE_US	100

DEFINE_PER_CPU(struct tcpstate_clock, tcpstate_clock);
static u32 clock_window __read_mostly;	/* cycles */

/**
 * tcpstate_clock_read() - read the clock and keep what it says
 *
 * Context: any below hard interrupt, preemption off.
 * Return: CLOCK_MONOTONIC in nanoseconds.
 */
u64 tcpstate_clock_read(void)
{
	struct tcpstate_clock *clock = this_cpu_ptr(&tcpstate_clock);
	unsigned long flags;
	u64 ns;

	local_irq_save(flags);
	clock->jiffies = READ_ONCE(jiffies);
	clock->until = (u32)get_cycles() + clock_window - 1;
	ns = ktime_get_ns();
	clock->ns = ns;
	local_irq_restore(flags);
	return ns;
}

/**
 * tcpstate_clock_init() - learn how fast the cycle counter counts
 *
 * Context: process context. Busy for a tenth of a millisecond.
 */
void tcpstate_clock_init(void)
{
	cycles_t cycles;
	u64 ns;

	preempt_disable();
	ns = ktime_get_ns();
	cycles = get_cycles();
	udelay(CALIBRATE_US);
	cycles = get_cycles() - cycles;
	ns = ktime_get_ns() - ns;
	preempt_enable();
	/* A counter that stands still gives a window of no cycles, in which no
	 * reading is ever good.
	 */
	clock_window = ns ? div64_u64((u64)cycles * TCPSTATE_CLOCK_WINDOW_NS,
				      ns) : 0;
}
