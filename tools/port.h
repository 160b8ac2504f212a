/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_PORT_H
#define TCPSTATE_PORT_H

#include <stdbool.h>
#include <stddef.h>

#include "out.h"
#include "process.h"

struct nlattr;

/* A local port, and what holds it. */
struct port {
	struct number netns_ino, port;
	struct number sockets, time_wait, close_wait, listen;
};

struct port_list {
	struct port *items;
	size_t n, size;
};

/* The range of one network namespace, and what is taken of it. */
struct port_summary {
	struct number netns_ino, low, high;
	struct number reserved, bind_blocked, in_use;
	struct number failures, own_range_failures;
	struct number bind_failures, bind_missed;
	struct process last_connect_failure, last_bind_failure;
	struct number destinations, destinations_max, destinations_dropped;
	struct number without_destination, own_range_bind_failures;
};

struct port_summary_list {
	struct port_summary *items;
	size_t n;
};

int port_read(struct nlattr *attrs, int len, void *list);
void port_forget(void *list);
void port_print(const struct port_list *list, bool all_netns);

int port_summary_read(struct nlattr *attrs, int len, void *list);
void port_summary_forget(void *list);
int port_summary_get(bool all_netns, bool walk, struct port_summary_list *list);
void port_summary_print(const struct port_summary *summary);

#endif
