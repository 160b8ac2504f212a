// SPDX-License-Identifier: GPL-2.0
/* Answers of the module, by the name of a scene. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>

#include "reply.h"

/**
 * reply_put() - append an attribute
 * @reply: to what
 * @type: its type
 * @data: its payload
 * @len: the payload's length
 */
void reply_put(struct reply *reply, int type, const void *data, int len)
{
	struct nlattr *attr = (struct nlattr *)(reply->data + reply->len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy((char *)attr + NLA_HDRLEN, data, len);
	memset((char *)attr + attr->nla_len, 0,
	       NLA_ALIGN(attr->nla_len) - attr->nla_len);
	reply->len += NLA_ALIGN(attr->nla_len);
}

/**
 * reply_put_u8() - append a number
 * @reply: to what
 * @type: its type
 * @value: the number
 */
void reply_put_u8(struct reply *reply, int type, uint8_t value)
{
	reply_put(reply, type, &value, sizeof(value));
}

/**
 * reply_put_u16() - append a number
 * @reply: to what
 * @type: its type
 * @value: the number
 */
void reply_put_u16(struct reply *reply, int type, uint16_t value)
{
	reply_put(reply, type, &value, sizeof(value));
}

/**
 * reply_put_u32() - append a number
 * @reply: to what
 * @type: its type
 * @value: the number
 */
void reply_put_u32(struct reply *reply, int type, uint32_t value)
{
	reply_put(reply, type, &value, sizeof(value));
}

/**
 * reply_put_u64() - append a number
 * @reply: to what
 * @type: its type
 * @value: the number
 */
void reply_put_u64(struct reply *reply, int type, uint64_t value)
{
	reply_put(reply, type, &value, sizeof(value));
}

/**
 * reply_nest() - begin a nest
 * @reply: in what
 * @type: its type
 *
 * Return: where it starts, for reply_nest_end().
 */
int reply_nest(struct reply *reply, int type)
{
	int start = reply->len;

	reply_put(reply, type | NLA_F_NESTED, NULL, 0);
	return start;
}

/**
 * reply_nest_end() - end a nest
 * @reply: in what
 * @start: where it starts
 */
void reply_nest_end(struct reply *reply, int start)
{
	((struct nlattr *)(reply->data + start))->nla_len = reply->len - start;
}

struct row {
	uint64_t sockets, ipv6, mini, entered, oldest_ms;
	uint64_t dwell[TCPSTATE_DWELL_BUCKETS], dwell_max_us, stuck_after_ms;
	bool oldest_at_least;
};

/* A web server behind a proxy at a bad hour. */
static const struct row busy[TCPSTATE_STATE_NEW_SYN_RECV + 1] = {
	[TCPSTATE_STATE_ESTABLISHED] = {
		.sockets = 312, .ipv6 = 12, .entered = 1912004,
		.dwell = { [3] = 40, [6] = 1800000, [10] = 111000, [17] = 652 },
		.dwell_max_us = 125312774,
	},
	[TCPSTATE_STATE_SYN_SENT] = {
		.sockets = 3, .entered = 20411,
		.dwell = { [0] = 20401, [1] = 7 }, .dwell_max_us = 1213,
	},
	[TCPSTATE_STATE_SYN_RECV] = {
		.entered = 1891593, .dwell = { [0] = 1891593 },
		.dwell_max_us = 213,
	},
	[TCPSTATE_STATE_FIN_WAIT1] = {
		.sockets = 2, .entered = 1911692, .oldest_ms = 1204000,
		.stuck_after_ms = 924600,
		.dwell = { [0] = 1911600, [5] = 91 }, .dwell_max_us = 30999,
	},
	[TCPSTATE_STATE_FIN_WAIT2] = {
		.sockets = 44, .mini = 40, .entered = 1911600,
		.oldest_ms = 59103, .stuck_after_ms = 67500,
		.dwell = { [0] = 1500000, [8] = 411000, [16] = 556 },
		.dwell_max_us = 61440002,
	},
	[TCPSTATE_STATE_TIME_WAIT] = {
		.sockets = 27904, .ipv6 = 1020, .mini = 27904,
		.entered = 1911556, .oldest_ms = 61230,
		.dwell = { [4] = 12, [15] = 880, [16] = 1882760 },
		.dwell_max_us = 62464000,
	},
	[TCPSTATE_STATE_CLOSE_WAIT] = {
		.sockets = 17, .entered = 312, .oldest_ms = 7999000,
		.oldest_at_least = true,
		.dwell = { [0] = 200, [2] = 95 }, .dwell_max_us = 3310,
	},
	[TCPSTATE_STATE_LAST_ACK] = {
		.entered = 295, .dwell = { [0] = 295 }, .dwell_max_us = 88,
		.stuck_after_ms = 924600,
	},
	[TCPSTATE_STATE_LISTEN] = { .sockets = 6, .ipv6 = 3, .entered = 2 },
	[TCPSTATE_STATE_CLOSING] = {
		.entered = 1, .dwell = { [0] = 1 }, .dwell_max_us = 702,
		.stuck_after_ms = 924600,
	},
	[TCPSTATE_STATE_NEW_SYN_RECV] = { .sockets = 2 },
};

static const struct {
	uint32_t from, to;
	uint64_t count;
} busy_transitions[] = {
	{ 7, 2, 20411 }, { 7, 3, 1891593 }, { 7, 10, 2 }, { 2, 1, 20411 },
	{ 2, 7, 0 }, { 3, 1, 1891593 }, { 1, 4, 1911692 }, { 1, 8, 312 },
	{ 4, 5, 1911600 }, { 4, 11, 1 }, { 5, 6, 1911556 }, { 11, 6, 1 },
	{ 6, 7, 1883652 }, { 8, 9, 295 }, { 9, 7, 295 },
};

static bool is(const char *scene, const char *name)
{
	return !strcmp(scene, name);
}

/* There is nothing, and the module sees all or all but bind(). */
static bool is_quiet(const char *scene)
{
	return is(scene, "quiet") || is(scene, "bind-unseen");
}

static void put_row(struct reply *reply, const char *scene, uint32_t state)
{
	static const struct row none;
	const struct row *row = is_quiet(scene) ? &none : &busy[state];
	bool history = state != TCPSTATE_STATE_NEW_SYN_RECV;
	/* The same in FIN_WAIT2. */
	uint64_t orphan_ms = is(scene, "patient") ? 1800000 :
			     state == TCPSTATE_STATE_FIN_WAIT2 ?
			     row->stuck_after_ms : row->stuck_after_ms / 4;
	uint64_t oldest_ms = is(scene, "orphan") && row->oldest_ms > 924600 ?
			     row->oldest_ms / 2 : row->oldest_ms;
	uint64_t most = UINT64_MAX;
	uint64_t dwell[TCPSTATE_DWELL_BUCKETS];
	int i, nest = reply_nest(reply, TCPSTATE_A_COUNTERS_STATE);

	if (is(scene, "state-13") && state == TCPSTATE_STATE_NEW_SYN_RECV)
		state++;
	reply_put_u32(reply, TCPSTATE_A_STATE_ENTRY_STATE, state);
	if (is(scene, "huge")) {
		for (i = 0; i < TCPSTATE_DWELL_BUCKETS; i++)
			dwell[i] = most;
		for (i = TCPSTATE_A_STATE_ENTRY_SOCKETS;
		     i <= TCPSTATE_A_STATE_ENTRY_OLDEST_MS; i++)
			reply_put_u64(reply, i, most);
		reply_put(reply, TCPSTATE_A_STATE_ENTRY_DWELL, dwell,
			  sizeof(dwell));
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US, most);
		reply_nest_end(reply, nest);
		return;
	}
	reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_SOCKETS, row->sockets);
	if (is(scene, "older")) {
		reply_nest_end(reply, nest);
		return;
	}
	if (is(scene, "short-number"))
		reply_put_u32(reply, TCPSTATE_A_STATE_ENTRY_IPV4, 1);
	else
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_IPV4,
			      row->sockets - row->ipv6);
	reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_IPV6, row->ipv6);
	reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_MINI, row->mini);
	if (history)
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_ENTERED,
			      row->entered);
	if (oldest_ms)
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_OLDEST_MS,
			      oldest_ms);
	if (row->oldest_at_least)
		reply_put(reply, TCPSTATE_A_STATE_ENTRY_OLDEST_AT_LEAST, NULL,
			  0);
	if (row->stuck_after_ms) {
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_STUCK_AFTER_MS,
			      row->stuck_after_ms);
		reply_put_u64(reply,
			      TCPSTATE_A_STATE_ENTRY_STUCK_ORPHAN_AFTER_MS,
			      orphan_ms);
	}
	if (row->dwell_max_us) {
		reply_put(reply, TCPSTATE_A_STATE_ENTRY_DWELL, row->dwell,
			  is(scene, "short-histogram") ? 12 :
			  (int)sizeof(row->dwell));
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US,
			      row->dwell_max_us);
	}
	if (is(scene, "newer"))
		reply_put_u32(reply, TCPSTATE_A_STATE_ENTRY_MAX + 7, 1);
	reply_nest_end(reply, nest);
}

static void put_transitions(struct reply *reply)
{
	unsigned int i;
	int nest;

	for (i = 0; i < ARRAY_SIZE(busy_transitions); i++) {
		nest = reply_nest(reply, TCPSTATE_A_COUNTERS_TRANSITION);
		reply_put_u32(reply, TCPSTATE_A_TRANSITION_ENTRY_FROM,
			      busy_transitions[i].from);
		reply_put_u32(reply, TCPSTATE_A_TRANSITION_ENTRY_TO,
			      busy_transitions[i].to);
		reply_put_u64(reply, TCPSTATE_A_TRANSITION_ENTRY_COUNT,
			      busy_transitions[i].count);
		reply_nest_end(reply, nest);
	}
}

/**
 * reply_state() - the answer to TCPSTATE_CMD_STATE_GET
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 */
void reply_state(struct reply *reply, const char *scene, uint64_t ino)
{
	bool quiet = is_quiet(scene), bad = is(scene, "inexact");
	uint32_t state;
	int nest;

	if (!is(scene, "no-netns"))
		reply_put_u64(reply, TCPSTATE_A_COUNTERS_NETNS_INO, ino);
	if (!is(scene, "older"))
		reply_put_u64(reply, TCPSTATE_A_COUNTERS_AGE_MS,
			      quiet ? 4211 : 273600000);
	for (state = 1; state <= TCPSTATE_STATE_NEW_SYN_RECV; state++)
		if (!is(scene, "no-states") && !is(scene, "rest-only"))
			put_row(reply, scene, state);
	if (is(scene, "older") || is(scene, "states-only"))
		return;
	if (!quiet)
		put_transitions(reply);
	nest = reply_nest(reply, TCPSTATE_A_COUNTERS_TIME_WAIT);
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_LIMIT,
		      is(scene, "no-time-wait") ? 0 : 65536);
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_OVERFLOW, bad ? 44 : 0);
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_EXPIRED,
		      quiet ? 0 : 1882772);
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_RECYCLED,
		      quiet ? 0 : 870);
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_KILLED, quiet ? 0 : 10);
	reply_nest_end(reply, nest);
	reply_put_u64(reply, TCPSTATE_A_COUNTERS_UNTRACKED, bad ? 1203 : 0);
	reply_put_u64(reply, TCPSTATE_A_COUNTERS_INEXACT, bad ? 17 : 0);
	reply_put_u64(reply, TCPSTATE_A_COUNTERS_FOUND_LATE, bad ? 2 : 0);
	reply_put_u64(reply, TCPSTATE_A_COUNTERS_CONNECTIONS,
		      quiet ? 0 : 28287);
	reply_put_u64(reply, TCPSTATE_A_COUNTERS_CONNECTIONS_MAX, 1048576);
	if (is(scene, "newer"))
		reply_put(reply, TCPSTATE_A_COUNTERS_MAX + 3, "new", 4);
}

/**
 * reply_audit() - the answer to TCPSTATE_CMD_AUDIT
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 */
void reply_audit(struct reply *reply, const char *scene, uint64_t ino)
{
	bool bad = is(scene, "inexact"), moved = is(scene, "moved");
	uint64_t counted, walked;
	uint32_t state;
	int nest;

	reply_put_u64(reply, TCPSTATE_A_AUDIT_NETNS_INO, ino);
	if (!is(scene, "older"))
		reply_put_u8(reply, TCPSTATE_A_AUDIT_EXACT, !bad);
	reply_put_u32(reply, TCPSTATE_A_AUDIT_WALKS, bad || moved ? 6 : 1);
	reply_put_u64(reply, TCPSTATE_A_AUDIT_MISSING, bad ? 3 : 0);
	reply_put_u64(reply, TCPSTATE_A_AUDIT_MISSING_NOW, bad ? 1 : 0);
	reply_put_u64(reply, TCPSTATE_A_AUDIT_STALE, bad ? 2 : 0);
	for (state = 1; state <= TCPSTATE_STATE_NEW_SYN_RECV; state++) {
		counted = is(scene, "quiet") ? 0 : busy[state].sockets;
		walked = counted;
		if (state == TCPSTATE_STATE_ESTABLISHED && (bad || moved))
			walked += 3;
		if (state == TCPSTATE_STATE_TIME_WAIT && (bad || moved))
			walked -= 2;
		nest = reply_nest(reply, TCPSTATE_A_AUDIT_STATE);
		reply_put_u32(reply, TCPSTATE_A_AUDIT_ENTRY_STATE, state);
		reply_put_u64(reply, TCPSTATE_A_AUDIT_ENTRY_COUNTED, counted);
		reply_put_u64(reply, TCPSTATE_A_AUDIT_ENTRY_WALKED, walked);
		reply_nest_end(reply, nest);
	}
}

static void put_address(struct reply *reply, int type, const char *text)
{
	unsigned char bytes[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	inet_pton(family, text, bytes);
	reply_put(reply, type, bytes, family == AF_INET ? 4 : 16);
}

static void put_process(struct reply *reply, int type, const char *comm,
			uint64_t age_ms)
{
	int nest = reply_nest(reply, type);

	if (comm) {
		reply_put_u32(reply, TCPSTATE_A_PROCESS_PID, 4711);
		reply_put(reply, TCPSTATE_A_PROCESS_COMM, comm,
			  strlen(comm) + 1);
		reply_put_u32(reply, TCPSTATE_A_PROCESS_UID, 33);
	}
	reply_put_u64(reply, TCPSTATE_A_PROCESS_AGE_MS, age_ms);
	reply_nest_end(reply, nest);
}

static void put_refused(struct reply *reply, int type, const char *scene,
			const char *comm, uint64_t age_ms)
{
	int nest;

	if (!is(scene, "unprivileged")) {
		put_process(reply, type, comm, age_ms);
		return;
	}
	nest = reply_nest(reply, type);
	reply_put(reply, TCPSTATE_A_PROCESS_HIDDEN, NULL, 0);
	reply_nest_end(reply, nest);
}

/* What a proxy talks to, at the same hour; not in order. */
static const struct dest {
	const char *saddr, *daddr;
	uint16_t dport;
	uint32_t ifindex, used, time_wait, reusable, capacity, outside;
	uint64_t opens, failures, age_ms, rate, sustainable, eta_ms;
	bool rate_known;
	uint32_t severity;
	const char *comm;
} dests[] = {
	{ .saddr = "10.0.1.4", .daddr = "10.0.3.18", .dport = 5432, .used = 11,
	  .capacity = 28232, .opens = 12, .rate_known = true },
	{ .saddr = "10.0.1.4", .daddr = "10.0.3.17", .dport = 8080,
	  .used = 26999, .time_wait = 26870, .reusable = 120,
	  .capacity = 28232, .opens = 1912004, .rate = 470533, .rate_known = true,
	  .sustainable = 465104, .eta_ms = 252300, .severity = 2 },
	{ .saddr = "192.168.100.101", .daddr = "192.168.200.202", .dport = 65000,
	  .used = 28232, .time_wait = 28102, .capacity = 28232,
	  .opens = 88211002, .failures = 1203, .age_ms = 3210, .rate = 470533000,
	  .rate_known = true, .sustainable = 465104, .eta_ms = 0,
	  .severity = 2, .comm = "nginx" },
	{ .saddr = "fd00::4", .daddr = "2001:db8:3::17", .dport = 443,
	  .used = 22899, .time_wait = 3000, .capacity = 28229, .outside = 7,
	  .opens = 30112, .rate = 700, .rate_known = true, .sustainable = 465054,
	  .severity = 1, .ifindex = 99999 },
	{ .saddr = "127.0.0.1", .daddr = "127.0.0.1", .dport = 11211,
	  .used = 9000, .time_wait = 9000, .reusable = 8000, .capacity = 28232,
	  .opens = 9000 },
};

/**
 * reply_dest() - a destination in the answer to TCPSTATE_CMD_DEST_GET
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 * @i: which one
 *
 * Return: false when there is none.
 */
bool reply_dest(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i)
{
	const struct dest *dest;

	if (is(scene, "calm"))
		i = i ? ARRAY_SIZE(dests) : 4;
	if (i >= ARRAY_SIZE(dests) || is_quiet(scene))
		return false;
	dest = &dests[i];
	reply_put_u64(reply, TCPSTATE_A_DEST_NETNS_INO, ino);
	reply_put_u32(reply, TCPSTATE_A_DEST_FAMILY,
		      strchr(dest->daddr, ':') ? AF_INET6 : AF_INET);
	if (dest->ifindex)
		reply_put_u32(reply, TCPSTATE_A_DEST_IFINDEX, dest->ifindex);
	put_address(reply, TCPSTATE_A_DEST_SADDR, dest->saddr);
	put_address(reply, TCPSTATE_A_DEST_DADDR, dest->daddr);
	reply_put_u16(reply, TCPSTATE_A_DEST_DPORT, dest->dport);
	if (is(scene, "older"))
		return true;
	reply_put_u32(reply, TCPSTATE_A_DEST_USED, dest->used);
	reply_put_u32(reply, TCPSTATE_A_DEST_TIME_WAIT, dest->time_wait);
	reply_put_u32(reply, TCPSTATE_A_DEST_REUSABLE, dest->reusable);
	reply_put_u32(reply, TCPSTATE_A_DEST_CAPACITY, dest->capacity);
	reply_put_u32(reply, TCPSTATE_A_DEST_OUTSIDE, dest->outside);
	reply_put_u64(reply, TCPSTATE_A_DEST_OPENS, dest->opens);
	reply_put_u64(reply, TCPSTATE_A_DEST_CONNECT_FAILURES, dest->failures);
	reply_put_u64(reply, TCPSTATE_A_DEST_OWN_RANGE_FAILURES, 0);
	if (dest->failures)
		put_refused(reply, TCPSTATE_A_DEST_LAST_FAILURE, scene,
			    is(scene, "hostile") ? "a\033[2J|\n=" : dest->comm,
			    dest->age_ms);
	if (dest->rate_known)
		reply_put_u64(reply, TCPSTATE_A_DEST_OPEN_RATE, dest->rate);
	if (dest->sustainable)
		reply_put_u64(reply, TCPSTATE_A_DEST_SUSTAINABLE_RATE,
			      dest->sustainable);
	if (dest->eta_ms)
		reply_put_u64(reply, TCPSTATE_A_DEST_ETA_MS, dest->eta_ms);
	reply_put_u32(reply, TCPSTATE_A_DEST_SEVERITY, dest->severity);
	return true;
}

/**
 * reply_port() - a port in the answer to TCPSTATE_CMD_PORT_GET
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 * @i: which one
 *
 * Return: false when there is none.
 */
bool reply_port(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i)
{
	static const struct {
		uint16_t port;
		uint32_t sockets, time_wait, close_wait, listen;
	} ports[] = {
		{ 80, 1312, 1000, 0, 2 }, { 8000, 25, 0, 24, 1 },
		{ 32768, 3, 2, 0, 0 }, { 60999, 1, 1, 0, 0 },
	};

	if (i >= ARRAY_SIZE(ports) || is(scene, "quiet"))
		return false;
	reply_put_u64(reply, TCPSTATE_A_PORT_NETNS_INO, ino);
	reply_put_u16(reply, TCPSTATE_A_PORT_PORT, ports[i].port);
	reply_put_u32(reply, TCPSTATE_A_PORT_SOCKETS, ports[i].sockets);
	reply_put_u32(reply, TCPSTATE_A_PORT_TIME_WAIT, ports[i].time_wait);
	reply_put_u32(reply, TCPSTATE_A_PORT_CLOSE_WAIT, ports[i].close_wait);
	reply_put_u32(reply, TCPSTATE_A_PORT_LISTEN, ports[i].listen);
	return true;
}

/**
 * reply_port_summary() - the answer to TCPSTATE_CMD_PORT_SUMMARY_GET
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 */
void reply_port_summary(struct reply *reply, const char *scene, uint64_t ino)
{
	bool quiet = is_quiet(scene), capped = is(scene, "capped");
	bool unseen = is(scene, "bind-unseen");

	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_NETNS_INO, ino);
	reply_put_u32(reply, TCPSTATE_A_PORT_SUMMARY_LOW, 32768);
	reply_put_u32(reply, TCPSTATE_A_PORT_SUMMARY_HIGH, 60999);
	if (is(scene, "older"))
		return;
	reply_put_u32(reply, TCPSTATE_A_PORT_SUMMARY_RESERVED, quiet ? 0 : 50);
	reply_put_u32(reply, TCPSTATE_A_PORT_SUMMARY_BIND_BLOCKED,
		      quiet ? 0 : 3);
	reply_put_u32(reply, TCPSTATE_A_PORT_SUMMARY_IN_USE, quiet ? 0 : 28240);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_CONNECT_FAILURES,
		      quiet ? 0 : 1203);
	if (!quiet)
		put_refused(reply, TCPSTATE_A_PORT_SUMMARY_LAST_CONNECT_FAILURE,
			    scene, "curl", 4000);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_FAILURES,
		      quiet ? 0 : 2);
	if (!unseen) {
		reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_BIND_FAILURES,
			      quiet ? 0 : 17);
		reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_BIND_MISSED,
			      capped ? 1 : 0);
	}
	if (!quiet && !unseen)
		put_refused(reply, TCPSTATE_A_PORT_SUMMARY_LAST_BIND_FAILURE,
			    scene, "squid", 61000);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS,
		      capped ? 65536 : 5);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_MAX, 65536);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_DESTINATIONS_DROPPED,
		      capped ? 44 : 0);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_WITHOUT_DESTINATION,
		      capped ? 40 : 0);
	reply_put_u64(reply, TCPSTATE_A_PORT_SUMMARY_OWN_RANGE_BIND_FAILURES,
		      quiet ? 0 : 1);
}

/**
 * reply_config() - the answer to TCPSTATE_CMD_CONFIG
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 * @values: the thresholds, in the order of their attributes
 * @seq: how many alerts have been sent
 */
void reply_config(struct reply *reply, const char *scene, uint64_t ino,
		  const uint32_t *values, uint64_t seq)
{
	int i;

	reply_put_u64(reply, TCPSTATE_A_CONFIG_NETNS_INO, ino);
	for (i = 0; i < REPLY_CONFIG_KEYS; i++)
		reply_put_u32(reply, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING + i,
			      values[i]);
	if (!is(scene, "older"))
		reply_put_u64(reply, TCPSTATE_A_CONFIG_ALERT_SEQ, seq);
}

/* Edges that may come, and what may be in force. */
static const struct alert {
	uint32_t event, severity, threshold;
	unsigned int dest;		/* of those above, from 1 on */
	uint64_t used, reusable, capacity, count, total, eta_ms, age_ms;
	uint64_t oldest_ms, unaccepted;
	uint32_t trend;
} alerts[] = {
	{ .event = 1, .severity = 1, .threshold = 80, .dest = 2, .used = 22586,
	  .capacity = 28232, .eta_ms = 252300 },
	{ .event = 1, .severity = 2, .threshold = 95, .dest = 2, .used = 26999,
	  .reusable = 120, .capacity = 28232, .eta_ms = 1900 },
	{ .event = 2, .severity = 2, .dest = 2, .used = 28232,
	  .capacity = 28232, .count = 12, .total = 1203 },
	{ .event = 1, .threshold = 70, .dest = 2, .used = 19700,
	  .capacity = 28232 },
	{ .event = 3, .severity = 2, .count = 1, .total = 17 },
	{ .event = 4, .severity = 1, .threshold = 80, .used = 52429,
	  .capacity = 65536 },
	{ .event = 5, .severity = 1, .threshold = 60, .count = 17,
	  .oldest_ms = 60400 },
	{ .event = 1, .severity = 1, .threshold = 80, .dest = 4, .used = 22899,
	  .capacity = 28229, .age_ms = 61000 },
	{ .event = 99, .severity = 1 },
	{ .event = 5, .severity = 2, .threshold = 600, .count = 1312,
	  .oldest_ms = 7999000, .unaccepted = 128, .trend = 1,
	  .age_ms = 7399000 },
	{ .event = 5, .severity = 1, .threshold = 60, .count = 3,
	  .oldest_ms = 61000, .trend = 2, .age_ms = 12000 },
	{ .event = 5, .threshold = 60, .count = 1, .oldest_ms = 61000,
	  .trend = 2 },
};

/**
 * reply_alert() - an alert in a notification, or in force
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 * @i: which one
 * @seq: its number; 0: in force
 *
 * Return: false when there is none.
 */
bool reply_alert(struct reply *reply, const char *scene, uint64_t ino,
		 unsigned int i, uint64_t seq)
{
	const struct alert *alert = &alerts[i];
	const struct dest *dest = &dests[alert->dest ? alert->dest - 1 : 0];

	if (i >= ARRAY_SIZE(alerts))
		return false;
	reply_put_u64(reply, TCPSTATE_A_ALERT_NETNS_INO, ino);
	if (seq)
		reply_put_u64(reply, TCPSTATE_A_ALERT_SEQ, seq);
	reply_put_u32(reply, TCPSTATE_A_ALERT_EVENT, alert->event);
	reply_put_u32(reply, TCPSTATE_A_ALERT_SEVERITY, alert->severity);
	if (is(scene, "older"))
		return true;
	if (!seq && alert->age_ms)
		reply_put_u64(reply, TCPSTATE_A_ALERT_AGE_MS, alert->age_ms);
	if (alert->dest) {
		if (dest->ifindex)
			reply_put_u32(reply, TCPSTATE_A_ALERT_IFINDEX,
				      dest->ifindex);
		put_address(reply, TCPSTATE_A_ALERT_SADDR, dest->saddr);
		put_address(reply, TCPSTATE_A_ALERT_DADDR, dest->daddr);
		reply_put_u16(reply, TCPSTATE_A_ALERT_DPORT, dest->dport);
	}
	if (alert->capacity) {
		reply_put_u64(reply, TCPSTATE_A_ALERT_USED, alert->used);
		reply_put_u64(reply, TCPSTATE_A_ALERT_REUSABLE,
			      alert->reusable);
		reply_put_u64(reply, TCPSTATE_A_ALERT_CAPACITY,
			      alert->capacity);
	}
	if (alert->count)
		reply_put_u64(reply, TCPSTATE_A_ALERT_COUNT, alert->count);
	if (alert->total)
		reply_put_u64(reply, TCPSTATE_A_ALERT_TOTAL, alert->total);
	if (alert->threshold)
		reply_put_u32(reply, TCPSTATE_A_ALERT_THRESHOLD,
			      alert->threshold);
	if (alert->eta_ms)
		reply_put_u64(reply, TCPSTATE_A_ALERT_ETA_MS, alert->eta_ms);
	if (alert->oldest_ms) {
		reply_put_u64(reply, TCPSTATE_A_ALERT_OLDEST_MS,
			      alert->oldest_ms);
		reply_put_u16(reply, TCPSTATE_A_ALERT_SPORT, 8080);
		reply_put_u64(reply, TCPSTATE_A_ALERT_UNACCEPTED,
			      alert->unaccepted);
		reply_put_u32(reply, TCPSTATE_A_ALERT_TREND, alert->trend);
	}
	if (!seq && alert->count)
		put_refused(reply, TCPSTATE_A_ALERT_PROCESS, scene, "nginx", 3210);
	return true;
}

/* The same proxy's connections, as listed. */
static const struct conn {
	uint32_t state;
	const char *saddr, *daddr;
	uint16_t sport, dport;
	uint64_t age_ms, timeout_ms, inode;
	bool mini, at_least, unaccepted, gone;
	uint32_t ifindex, pid, closer;
	const char *comm;
} conns[] = {
	{ .state = TCPSTATE_STATE_CLOSE_WAIT, .saddr = "10.0.1.4",
	  .sport = 8080, .daddr = "10.0.9.1", .dport = 40000,
	  .age_ms = 7999000, .at_least = true, .inode = 50001,
	  .pid = 4711, .comm = "nginx" },
	{ .state = TCPSTATE_STATE_CLOSE_WAIT, .saddr = "::ffff:10.0.1.4",
	  .sport = 8080, .daddr = "::ffff:10.0.9.2", .dport = 40001,
	  .age_ms = 65000, .unaccepted = true, .pid = 4711, .comm = "nginx" },
	{ .state = TCPSTATE_STATE_TIME_WAIT, .saddr = "10.0.1.4",
	  .sport = 40002, .daddr = "10.0.3.17", .dport = 8080, .age_ms = 1200,
	  .timeout_ms = 58800, .mini = true, .gone = true, .pid = 4712,
	  .comm = "curl" },
	{ .state = TCPSTATE_STATE_FIN_WAIT2, .saddr = "10.0.1.4", .sport = 22,
	  .daddr = "10.0.9.1", .dport = 40003, .age_ms = 90000,
	  .inode = 50002, .pid = 4713, .comm = "sshd", .closer = 4800 },
	{ .state = TCPSTATE_STATE_LISTEN, .saddr = "0.0.0.0", .sport = 8080,
	  .daddr = "0.0.0.0", .age_ms = 273600000, .at_least = true,
	  .inode = 50003 },
	{ .state = TCPSTATE_STATE_FIN_WAIT1, .saddr = "10.0.1.4",
	  .sport = 40004, .daddr = "10.0.3.17", .dport = 8080,
	  .age_ms = 1204000, .gone = true, .pid = 4712, .comm = "curl" },
	{ .state = TCPSTATE_STATE_FIN_WAIT1, .saddr = "10.0.1.4",
	  .sport = 8080, .daddr = "10.0.9.1", .dport = 40005, .age_ms = 402,
	  .pid = 4711, .comm = "nginx" },
	{ .state = TCPSTATE_STATE_ESTABLISHED, .saddr = "fd00::4",
	  .sport = 40006, .daddr = "2001:db8:3::17", .dport = 443,
	  .age_ms = 12, .ifindex = 99999, .inode = 50004, .pid = 4711,
	  .comm = "nginx" },
};

/**
 * reply_conn_cookie() - the cookie of a connection
 * @i: which one
 *
 * Return: the cookie.
 */
uint64_t reply_conn_cookie(unsigned int i)
{
	return 0x1a00 + i;
}

/**
 * reply_conn_is_mini() - is a connection a mini-socket?
 * @cookie: its cookie
 *
 * Return: true if so.
 */
bool reply_conn_is_mini(uint64_t cookie)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(conns); i++)
		if (cookie == reply_conn_cookie(i))
			return conns[i].mini;
	return false;
}

static uint64_t cgroup_inode(void)
{
	const char *ino = getenv("FAKE_CGROUP");

	return ino ? strtoull(ino, NULL, 10) : 4242;
}

static void put_owner(struct reply *reply, int type, const char *comm,
		      uint32_t pid, bool gone)
{
	int nest = reply_nest(reply, type);

	reply_put_u32(reply, TCPSTATE_A_PROCESS_PID, pid);
	reply_put(reply, TCPSTATE_A_PROCESS_COMM, comm, strlen(comm) + 1);
	reply_put_u32(reply, TCPSTATE_A_PROCESS_UID, 33);
	reply_put_u64(reply, TCPSTATE_A_PROCESS_CGROUP, cgroup_inode());
	if (gone)
		reply_put(reply, TCPSTATE_A_PROCESS_GONE, NULL, 0);
	reply_nest_end(reply, nest);
}

/**
 * reply_conn() - a connection in the answer to TCPSTATE_CMD_CONN_GET
 * @reply: appended to, if it is in one of @states
 * @scene: which
 * @ino: the network namespace
 * @i: which one
 * @states: a bit for each
 *
 * Return: false when there is none.
 */
bool reply_conn(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i, uint32_t states)
{
	const struct conn *conn = &conns[i];

	if (i >= ARRAY_SIZE(conns) || is(scene, "quiet"))
		return false;
	if (!(states & 1U << conn->state))
		return true;
	reply_put_u64(reply, TCPSTATE_A_CONN_NETNS_INO, ino);
	reply_put_u64(reply, TCPSTATE_A_CONN_COOKIE, reply_conn_cookie(i));
	reply_put_u32(reply, TCPSTATE_A_CONN_STATE, is(scene, "state-13") ? 13 :
						    conn->state);
	reply_put_u32(reply, TCPSTATE_A_CONN_FAMILY,
		      strchr(conn->saddr, ':') ? AF_INET6 : AF_INET);
	if (is(scene, "older"))
		return true;
	put_address(reply, TCPSTATE_A_CONN_SADDR, conn->saddr);
	put_address(reply, TCPSTATE_A_CONN_DADDR, conn->daddr);
	reply_put_u16(reply, TCPSTATE_A_CONN_SPORT, conn->sport);
	reply_put_u16(reply, TCPSTATE_A_CONN_DPORT, conn->dport);
	reply_put_u64(reply, TCPSTATE_A_CONN_AGE_MS, conn->age_ms);
	if (conn->ifindex)
		reply_put_u32(reply, TCPSTATE_A_CONN_IFINDEX, conn->ifindex);
	if (conn->at_least)
		reply_put(reply, TCPSTATE_A_CONN_AGE_AT_LEAST, NULL, 0);
	if (conn->mini) {
		reply_put(reply, TCPSTATE_A_CONN_MINI, NULL, 0);
		reply_put_u64(reply, TCPSTATE_A_CONN_TIMEOUT_MS,
			      conn->timeout_ms);
	}
	if (conn->inode)
		reply_put_u64(reply, TCPSTATE_A_CONN_INODE, conn->inode);
	if (conn->unaccepted)
		reply_put(reply, TCPSTATE_A_CONN_UNACCEPTED, NULL, 0);
	if (conn->comm && is(scene, "unprivileged")) {
		reply_put(reply, TCPSTATE_A_CONN_OWNER_HIDDEN, NULL, 0);
		return true;
	}
	if (conn->comm)
		put_owner(reply, TCPSTATE_A_CONN_OWNER, is(scene, "hostile") ?
			  "a\033[2J|\n=" : conn->comm, conn->pid,
			  conn->gone || is(scene, "pid-reused"));
	if (conn->closer)
		put_owner(reply, TCPSTATE_A_CONN_CLOSER, "sftp-server",
			  conn->closer, false);
	return true;
}

/* What they have made, by each key. */
static const struct owner {
	const char *comm;
	uint32_t pid;
	bool gone, unknown, hidden;
	uint64_t connections, time_wait, time_wait_made, fin_wait2, close_wait;
	uint64_t close_wait_made, oldest_ms, time_wait_rate, close_wait_recent;
} owners[] = {
	{ .comm = "curl", .pid = 4712, .gone = true, .connections = 26871,
	  .time_wait = 26870, .time_wait_made = 1882101,
	  .time_wait_rate = 449120 },
	{ .comm = "nginx", .pid = 4711, .connections = 330, .fin_wait2 = 4,
	  .time_wait_made = 112, .close_wait = 17, .close_wait_made = 312,
	  .oldest_ms = 7999000, .close_wait_recent = 2 },
	{ .comm = "wget", .gone = true, .time_wait_made = 211 },
	{ .hidden = true, .connections = 3, .time_wait_made = 3000000 },
	{ .unknown = true, .connections = 9, .time_wait = 1,
	  .time_wait_made = 29132 },
};

/**
 * reply_owner() - owners in the answer to TCPSTATE_CMD_OWNER_GET
 * @reply: appended to
 * @scene: which
 * @ino: the network namespace
 * @i: which ones
 * @by: enum tcpstate_owner_key
 *
 * Return: false when there are none.
 */
bool reply_owner(struct reply *reply, const char *scene, uint64_t ino,
		 unsigned int i, uint32_t by)
{
	const struct owner *owner = &owners[i];

	if (i >= ARRAY_SIZE(owners) || is(scene, "quiet"))
		return false;
	reply_put_u64(reply, TCPSTATE_A_OWNER_NETNS_INO, ino);
	if (owner->hidden)
		reply_put_u64(reply, TCPSTATE_A_OWNER_HIDDEN, 2);
	if (owner->comm && by == TCPSTATE_OWNER_KEY_UID)
		reply_put_u32(reply, TCPSTATE_A_OWNER_UID, 4000000000U + i);
	if (owner->comm && by == TCPSTATE_OWNER_KEY_CGROUP)
		reply_put_u64(reply, TCPSTATE_A_OWNER_CGROUP,
			      i ? 4242 : cgroup_inode());
	if (owner->pid && by == TCPSTATE_OWNER_KEY_PID)
		reply_put_u32(reply, TCPSTATE_A_OWNER_PID, owner->pid);
	if (owner->comm && by <= TCPSTATE_OWNER_KEY_PID)
		reply_put(reply, TCPSTATE_A_OWNER_COMM, owner->comm,
			  strlen(owner->comm) + 1);
	if (is(scene, "older"))
		return true;
	if (owner->gone)
		reply_put(reply, TCPSTATE_A_OWNER_GONE, NULL, 0);
	reply_put_u64(reply, TCPSTATE_A_OWNER_CONNECTIONS, owner->connections);
	reply_put_u64(reply, TCPSTATE_A_OWNER_TIME_WAIT, owner->time_wait);
	reply_put_u64(reply, TCPSTATE_A_OWNER_TIME_WAIT_MADE,
		      owner->time_wait_made);
	reply_put_u64(reply, TCPSTATE_A_OWNER_TIME_WAIT_RATE,
		      owner->time_wait_rate);
	reply_put_u64(reply, TCPSTATE_A_OWNER_FIN_WAIT2, owner->fin_wait2);
	reply_put_u64(reply, TCPSTATE_A_OWNER_CLOSE_WAIT, owner->close_wait);
	reply_put_u64(reply, TCPSTATE_A_OWNER_CLOSE_WAIT_MADE,
		      owner->close_wait_made);
	reply_put_u64(reply, TCPSTATE_A_OWNER_CLOSE_WAIT_RECENT,
		      owner->close_wait_recent);
	if (owner->oldest_ms)
		reply_put_u64(reply, TCPSTATE_A_OWNER_OLDEST_CLOSE_WAIT_MS,
			      owner->oldest_ms);
	return true;
}
