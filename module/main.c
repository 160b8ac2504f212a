// SPDX-License-Identifier: GPL-2.0
/*
 * tcpstate: where every TCP connection stands in its life and its teardown.
 *
 *   probe.c	kernel events, turned into calls on records
 *   conn.c	records, one per connection
 *   stock.c	their memory
 *   clock.c	the time of an event
 *   count.c	what is counted of them, and how it is added up
 *   netns.c	namespaces: their counters, their memory, the caps
 *   owner.c	processes that open, accept and close connections
 *   reader.c	what a reader may be told of them
 *   holding.c	what they hold and have made
 *   list.c	connections, one by one
 *   walk.c	seed and audit, from the kernel's own tables
 *   dest.c	destinations: what a range of local ports is spent on
 *   port.c	local ports, and what connect() could get of them
 *   alert.c	thresholds, their edges, and refusals
 *   leak.c	connections that are not closed
 *   process.c	who did something
 *   netlink.c	answers to tcpstate-cli and others; nl-*.c, one per object
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <net/genetlink.h>

#include "clock.h"
#include "owner.h"
#include "tcpstate.h"

static int __init tcpstate_init(void)
{
	int err;

	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pr_err("kernels with PREEMPT_RT are not supported: refusing to load\n");
		return -EOPNOTSUPP;
	}

	err = tcpstate_alert_init();
	if (err)
		return err;
	tcpstate_clock_init();
	err = tcpstate_conn_init();
	if (err) {
		pr_err("no memory for the table of connections: refusing to load\n");
		return err;
	}
	err = tcpstate_owner_init();
	if (err) {
		pr_err("no memory for the table of owners: refusing to load\n");
		goto err_conn;
	}
	err = tcpstate_netns_init();
	if (err)
		goto err_owner;
	err = tcpstate_dest_init();
	if (err) {
		pr_err("no memory for the table of destinations: refusing to load\n");
		goto err_netns;
	}
	err = tcpstate_probe_init();
	if (err)
		goto err_dest;
	err = tcpstate_probe_start();
	if (err)
		goto err_probe;
	tcpstate_walk_seed();
	err = tcpstate_netlink_init();
	if (err)
		goto err_probe;
	return 0;

err_probe:
	tcpstate_walk_exit();
	tcpstate_alert_stop();
	tcpstate_probe_exit();
	tcpstate_conn_flush();
	tcpstate_dest_stop();
	tcpstate_alert_exit();
err_dest:
	tcpstate_dest_exit();
err_netns:
	tcpstate_netns_exit();
err_owner:
	tcpstate_owner_exit();
err_conn:
	tcpstate_conn_exit();
	return err;
}

static void __exit tcpstate_exit(void)
{
	tcpstate_netlink_exit();
	tcpstate_walk_exit();
	tcpstate_alert_stop();
	tcpstate_probe_exit();
	tcpstate_conn_flush();
	tcpstate_dest_stop();
	tcpstate_alert_exit();
	tcpstate_dest_exit();
	tcpstate_netns_exit();
	tcpstate_owner_exit();
	tcpstate_conn_exit();
}

module_init(tcpstate_init);
module_exit(tcpstate_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exact counters of every TCP connection's state and teardown");
MODULE_VERSION("0.1.0");
MODULE_ALIAS_GENL_FAMILY(TCPSTATE_FAMILY_NAME);
