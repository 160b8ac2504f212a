// SPDX-License-Identifier: GPL-2.0
/* port: local ports and what holds them; their range and what is left of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "command.h"
#include "netns.h"
#include "nl.h"
#include "port.h"
#include "words.h"

/**
 * port_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct port_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int port_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_PORT_MAX + 1] = {
		[TCPSTATE_A_PORT_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_PORT] = { .type = NLA_U16 },
		[TCPSTATE_A_PORT_SOCKETS] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_TIME_WAIT] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_CLOSE_WAIT] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_LISTEN] = { .type = NLA_U32 },
	};
	struct nlattr *tb[TCPSTATE_A_PORT_MAX + 1];
	struct port_list *all = list;
	struct port *port;
	size_t size;

	if (nla_parse(tb, TCPSTATE_A_PORT_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_PORT_NETNS_INO] || !tb[TCPSTATE_A_PORT_PORT])
		return -1;
	if (all->n == all->size) {
		size = all->size ? 2 * all->size : 16;
		port = realloc(all->items, size * sizeof(*port));
		if (!port)
			return -ENOMEM;
		all->items = port;
		all->size = size;
	}
	port = &all->items[all->n++];
	port->netns_ino = attr_number(tb[TCPSTATE_A_PORT_NETNS_INO]);
	port->port = attr_u16(tb[TCPSTATE_A_PORT_PORT]);
	port->sockets = attr_u32(tb[TCPSTATE_A_PORT_SOCKETS]);
	port->time_wait = attr_u32(tb[TCPSTATE_A_PORT_TIME_WAIT]);
	port->close_wait = attr_u32(tb[TCPSTATE_A_PORT_CLOSE_WAIT]);
	port->listen = attr_u32(tb[TCPSTATE_A_PORT_LISTEN]);
	return 0;
}

/**
 * port_forget() - empty a list
 * @list: a struct port_list
 */
void port_forget(void *list)
{
	struct port_list *all = list;

	free(all->items);
	memset(all, 0, sizeof(*all));
}

/**
 * port_print() - print ports
 * @list: in this order
 * @all_netns: tell the network namespace of each
 */
void port_print(const struct port_list *list, bool all_netns)
{
	static const struct out_column columns[] = {
		{ .heading = "PORT" },
		{ .heading = "SOCKETS" },
		{ .heading = "TIME_WAIT" },
		{ .heading = "CLOSE_WAIT" },
		{ .heading = "LISTEN" },
		{ .heading = "NETNS", .left = true },
	};
	const struct port *port;
	size_t i;

	out_table_open(NULL, columns, all_netns ? 6 : 5, NULL);
	for (i = 0; i < list->n; i++) {
		port = &list->items[i];
		out_row_open(true, OUT_PLAIN);
		out_number("port", "%s", port->port);
		out_count("sockets", "%s", port->sockets);
		out_count("time_wait", "%s", port->time_wait);
		out_count("close_wait", "%s", port->close_wait);
		out_count("listen", "%s", port->listen);
		out_string("netns", all_netns ? "%s" : NULL,
			   netns_name(port->netns_ino.value));
		out_row_close();
	}
	out_table_close();
}

/**
 * port_summary_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct port_summary_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int port_summary_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_PORT_SUMMARY_MAX + 1] = {
		[TCPSTATE_A_PORT_SUMMARY_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_LOW] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_SUMMARY_HIGH] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_SUMMARY_RESERVED] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_SUMMARY_BIND_BLOCKED] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_SUMMARY_IN_USE] = { .type = NLA_U32 },
		[TCPSTATE_A_PORT_SUMMARY_CONNECT_FAILURES] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_FAILURES] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_BIND_FAILURES] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_BIND_MISSED] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_MAX] = { .type = NLA_U64 },
		[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_DROPPED] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_PORT_SUMMARY_MAX + 1];
	struct port_summary_list *all = list;
	struct port_summary *sum;

	if (nla_parse(tb, TCPSTATE_A_PORT_SUMMARY_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_PORT_SUMMARY_NETNS_INO] ||
	    !tb[TCPSTATE_A_PORT_SUMMARY_LOW] ||
	    !tb[TCPSTATE_A_PORT_SUMMARY_HIGH])
		return -1;
	sum = realloc(all->items, (all->n + 1) * sizeof(*sum));
	if (!sum)
		return -ENOMEM;
	all->items = sum;
	sum += all->n;
	if (process_read(&sum->last_connect_failure,
			 tb[TCPSTATE_A_PORT_SUMMARY_LAST_CONNECT_FAILURE]) ||
	    process_read(&sum->last_bind_failure,
			 tb[TCPSTATE_A_PORT_SUMMARY_LAST_BIND_FAILURE]))
		return -1;
	all->n++;
	sum->netns_ino = attr_number(tb[TCPSTATE_A_PORT_SUMMARY_NETNS_INO]);
	sum->low = attr_u32(tb[TCPSTATE_A_PORT_SUMMARY_LOW]);
	sum->high = attr_u32(tb[TCPSTATE_A_PORT_SUMMARY_HIGH]);
	sum->reserved = attr_u32(tb[TCPSTATE_A_PORT_SUMMARY_RESERVED]);
	sum->bind_blocked = attr_u32(tb[TCPSTATE_A_PORT_SUMMARY_BIND_BLOCKED]);
	sum->in_use = attr_u32(tb[TCPSTATE_A_PORT_SUMMARY_IN_USE]);
	sum->failures = attr_number(tb[TCPSTATE_A_PORT_SUMMARY_CONNECT_FAILURES]);
	sum->own_range_failures =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_FAILURES]);
	sum->bind_failures =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_BIND_FAILURES]);
	sum->bind_missed = attr_number(tb[TCPSTATE_A_PORT_SUMMARY_BIND_MISSED]);
	sum->destinations =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS]);
	sum->destinations_max =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_MAX]);
	sum->destinations_dropped =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_DROPPED]);
	sum->without_destination =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_WITHOUT_DESTINATION]);
	sum->own_range_bind_failures =
		attr_number(tb[TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_BIND_FAILURES]);
	return 0;
}

/**
 * port_summary_forget() - empty a list
 * @list: a struct port_summary_list
 */
void port_summary_forget(void *list)
{
	struct port_summary_list *all = list;

	free(all->items);
	all->items = NULL;
	all->n = 0;
}

/**
 * port_summary_get() - ask the module
 * @all_netns: of all network namespaces, instead of our own
 * @walk: also for what takes a walk of the kernel's tables
 * @list: empty; the answer, to be freed by port_summary_forget() either way
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int port_summary_get(bool all_netns, bool walk, struct port_summary_list *list)
{
	struct module_reader reader = {
		.message = port_summary_read,
		.restart = port_summary_forget,
		.arg = list,
	};
	struct nl_msg *msg;
	int code;

	msg = module_request(TCPSTATE_CMD_PORT_SUMMARY_GET, all_netns);
	if (msg && walk)
		nla_put_flag(msg, TCPSTATE_A_PORT_SUMMARY_WALK);
	code = module_ask(msg, &reader);
	if (!code && !list->n)
		code = module_mismatch();
	return code;
}

static struct number left_of(const struct port_summary *sum)
{
	uint64_t all = sum->high.value - sum->low.value + 1;
	uint64_t taken = sum->reserved.value + sum->bind_blocked.value;

	if (sum->high.value < sum->low.value)
		return number_known(0);
	if (!sum->reserved.known || !sum->bind_blocked.known)
		return number_unknown();
	return number_known(taken < all ? all - taken : 0);
}

static void print_last(const char *key, const char *key_hidden,
		       const struct process *process)
{
	char buf[PROCESS_TEXT_MAX];
	const char *who = process_or_hidden(process_deed_text(buf, process),
					    process->hidden);

	process_print(key, process);
	out_bool(key_hidden, NULL, NULL, process->hidden);
	if (who)
		out_words(", last %s", who);
}

/**
 * port_summary_print() - print the range of one network namespace
 * @sum: what to print
 */
void port_summary_print(const struct port_summary *sum)
{
	out_object_open(NULL);
	out_style(OUT_STRONG);
	out_string("netns", "%s", netns_name(sum->netns_ino.value));
	out_style(OUT_PLAIN);
	out_number("low", ": ports %s", sum->low);
	out_number("high", " to %s", sum->high);
	out_text("\n\n");
	out_count("reserved", "reserved        %s\n", sum->reserved);
	out_count("bind_blocked",
		  "bind-blocked    %s (taken by bind(): connect() passes over them)\n",
		  sum->bind_blocked);
	out_count("capacity", "left            %s to each destination\n",
		  left_of(sum));
	out_count("in_use",
		  "in use          %s distinct local ports, in the range or not\n",
		  sum->in_use);

	out_style(number_positive(sum->failures) ? OUT_WARN : OUT_PLAIN);
	out_count("connect_failures", "connect()       %s refused for want of a port",
		  sum->failures);
	print_last("last_connect_failure", "last_connect_failure_hidden",
		   &sum->last_connect_failure);
	out_count("own_range_failures",
		  number_positive(sum->own_range_failures) ?
		  "; %s more in a range of the socket's own" : NULL,
		  sum->own_range_failures);
	out_style(OUT_PLAIN);
	out_text("\n");
	out_style(number_positive(sum->bind_failures) ? OUT_WARN : OUT_PLAIN);
	out_count("bind_failures", "bind() to 0     %s refused for want of a port",
		  sum->bind_failures);
	print_last("last_bind_failure", "last_bind_failure_hidden",
		   &sum->last_bind_failure);
	out_count("own_range_bind_failures",
		  number_positive(sum->own_range_bind_failures) ?
		  "; %s more in a range of the socket's own" : NULL,
		  sum->own_range_bind_failures);
	out_style(OUT_PLAIN);
	out_text("\n");
	out_remark("bind_missed", OUT_WARN,
		   "WARNING: bind() calls whose result could not be seen: %s\n",
		   sum->bind_missed);

	out_count("destinations", "destinations    %s", sum->destinations);
	out_count("destinations_max", sum->destinations_max.known ?
		  " of at most %s" : NULL, sum->destinations_max);
	out_text("\n");
	out_remark("destinations_dropped", OUT_WARN,
		   "WARNING: connections without a destination: %s (no memory, or at the cap)\n",
		   sum->destinations_dropped);
	out_remark("without_destination", OUT_WARN,
		   "WARNING: of them there are now: %s; no destination counts their ports\n",
		   sum->without_destination);
	out_object_close();
}

static int run_summary(const struct request *request)
{
	struct port_summary_list list = { 0 };
	size_t i;
	int code;

	code = module_open() ?:
	       port_summary_get(request->all_netns, true, &list);
	module_close();
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < list.n; i++) {
			if (i)
				out_text("\n");
			port_summary_print(&list.items[i]);
		}
		if (request->all_netns)
			out_array_close();
	}
	port_summary_forget(&list);
	return code;
}

/* The answer about one port is a row with 0 where nothing is on it. */
static bool is_nothing(const struct port_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!list->items[i].sockets.known ||
		    list->items[i].sockets.value)
			return false;
	return true;
}

static int get(bool all_netns, struct number port, struct port_list *list)
{
	struct module_reader reader = {
		.message = port_read,
		.restart = port_forget,
		.arg = list,
	};
	struct nl_msg *msg;

	if (port.known && !all_netns) {
		msg = module_request(TCPSTATE_CMD_PORT_GET, false);
		if (msg)
			nla_put_u16(msg, TCPSTATE_A_PORT_PORT, port.value);
	} else {
		msg = module_dump(TCPSTATE_CMD_PORT_GET, all_netns,
				  TCPSTATE_A_PORT_ALL_NETNS);
	}
	return module_ask(msg, &reader);
}

/* As in the table of filters below. */
enum { SUMMARY, ONE };

struct wanted {
	bool summary;
	struct number port;
};

static int take(unsigned int which, const char *value, void *arg)
{
	struct wanted *wanted = arg;
	static const char *const names[] = { "summary" };
	uint64_t port;

	if (which == SUMMARY) {
		wanted->summary = true;
	} else if (word_number(value, 1, 65535, &port)) {
		wanted->port = number_known(port);
	} else if (word_nearest(value, names, 1)) {
		return out_fail(OUT_USAGE,
				"unknown filter '%s' for port: did you mean 'summary'?",
				value);
	} else {
		return out_fail(OUT_USAGE,
				"'%s' is no port: 'port' takes a number from 1 to 65535, or 'summary'",
				value);
	}
	return OUT_DONE;
}

static int run(const struct request *request)
{
	struct wanted wanted = { 0 };
	struct filter_reader reader = { .take = take, .arg = &wanted };
	struct port_list list = { 0 };
	static const char bound[] =
		"one that is only bound is not seen;\n"
		"'tcpstate-cli port summary' counts those in the range";
	bool nothing;
	size_t i, n = 0;
	int code;

	code = command_filters(&port_command, request, &reader);
	if (code)
		return code;
	if (wanted.summary && wanted.port.known)
		return out_fail(OUT_USAGE,
				"a port and 'summary' exclude each other: ask for one");
	if (wanted.summary)
		return run_summary(request);
	code = module_open() ?:
	       get(request->all_netns, wanted.port, &list);
	module_close();
	if (!code) {
		for (i = 0; i < list.n; i++)
			if (!wanted.port.known ||
			    list.items[i].port.value == wanted.port.value)
				list.items[n++] = list.items[i];
		list.n = n;
		nothing = is_nothing(&list);
		if (nothing && wanted.port.known)
			out_text("no connection or listener is on port %u (%s)\n",
				 (unsigned int)wanted.port.value, bound);
		else if (nothing)
			out_text("no connection or listener is on any local port\n");
		out_mute(nothing);
		port_print(&list, request->all_netns);
		out_mute(false);
	}
	port_forget(&list);
	return code;
}

const struct command port_command = {
	.name = "port",
	.summary = "local ports and what holds each, or the range and what is left of it",
	.filters = (const struct filter[]){
		[SUMMARY] = { .name = "summary",
			      .help = "the range, what is taken of it, and who was refused" },
		[ONE] = { .argument = "PORT", .help = "only this one",
			  .alternative = true },
		{ 0 }
	},
	.run = run,
};
