// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks of tcpstate, module/probe.c as it is, with handlers that do no more
 * than count: the least that following every connection could cost.
 */
#include <linux/module.h>
#include <linux/percpu.h>

#include "../../../module/tcpstate.h"

static DEFINE_PER_CPU(unsigned long, floor_events);

void tcpstate_conn_event(void *data, const struct sock *sk, const int oldstate,
			 const int newstate)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_freed(const struct inet_timewait_sock *tw)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_set_family(const struct sock *sk)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_handover(const struct inet_timewait_sock *tw,
			    const struct sock *sk)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_set_mini(const struct inet_timewait_sock *tw)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_end_mini(const struct inet_timewait_sock *tw,
			    enum tcpstate_end end)
{
	this_cpu_inc(floor_events);
}

void tcpstate_conn_accept(const struct sock *sk)
{
	this_cpu_inc(floor_events);
}

void tcpstate_port_refuse(const struct sock *sk)
{
	this_cpu_inc(floor_events);
}

static int __init floor_init(void)
{
	int err = tcpstate_probe_init();

	if (err)
		return err;
	err = tcpstate_probe_start();
	if (err)
		tcpstate_probe_exit();
	return err;
}

static void __exit floor_exit(void)
{
	unsigned long events = 0;
	int cpu;

	tcpstate_probe_exit();
	for_each_possible_cpu(cpu)
		events += per_cpu(floor_events, cpu);
	pr_info("%lu events\n", events);
}

module_init(floor_init);
module_exit(floor_exit);
MODULE_DESCRIPTION("The hooks of tcpstate with nothing behind them");
MODULE_LICENSE("GPL");
