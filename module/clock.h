/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_CLOCK_H
#define _TCPSTATE_CLOCK_H

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/timex.h>

/**
 * DOC: a clock for every event
 *
 * Events come in bursts: closing one connection on loopback is four of them
 * within microseconds. Reading the clock is the dearest single step in the
 * handling of one, and times are shown in milliseconds. So a CPU reads it
 * once and goes on using what it read for half of one, told by the cycle
 * counter, and never beyond the tick. A machine whose counter does
 * not count reads the clock each time.
 */
#define TCPSTATE_CLOCK_WINDOW_NS	500000

struct tcpstate_clock {
	u64		ns;
	unsigned long	jiffies;
	u32		until;		/* cycles; the low half: within a tick, enough */
};

DECLARE_PER_CPU(struct tcpstate_clock, tcpstate_clock);

u64 tcpstate_clock_read(void);
void tcpstate_clock_init(void);

/* Is what this CPU read last still good? Preemption off. */
static __always_inline bool tcpstate_clock_good(void)
{
	u32 cycles = get_cycles();

	return (s32)(this_cpu_read(tcpstate_clock.until) - cycles) >= 0 &&
	       READ_ONCE(jiffies) == this_cpu_read(tcpstate_clock.jiffies);
}

/**
 * tcpstate_clock_now() - CLOCK_MONOTONIC, at most the window late
 *
 * Never goes back on one CPU; from one CPU to another it may, by the window.
 *
 * Context: any below hard interrupt, preemption off.
 * Return: nanoseconds.
 */
static __always_inline u64 tcpstate_clock_now(void)
{
	if (likely(tcpstate_clock_good()))
		return this_cpu_read(tcpstate_clock.ns);
	return tcpstate_clock_read();
}

#endif /* _TCPSTATE_CLOCK_H */
