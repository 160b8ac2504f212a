// SPDX-License-Identifier: GPL-2.0
/* Answers of the module, by the name of a scene. */
#include <stdbool.h>
#include <string.h>

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
	uint64_t dwell[TCPSTATE_DWELL_BUCKETS], dwell_max_us;
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
		.sockets = 1, .entered = 1911692, .oldest_ms = 402,
		.dwell = { [0] = 1911600, [5] = 91 }, .dwell_max_us = 30999,
	},
	[TCPSTATE_STATE_FIN_WAIT2] = {
		.sockets = 44, .mini = 40, .entered = 1911600,
		.oldest_ms = 59103,
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
	},
	[TCPSTATE_STATE_LISTEN] = { .sockets = 6, .ipv6 = 3, .entered = 2 },
	[TCPSTATE_STATE_CLOSING] = {
		.entered = 1, .dwell = { [0] = 1 }, .dwell_max_us = 702,
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

static void put_row(struct reply *reply, const char *scene, uint32_t state)
{
	static const struct row none;
	const struct row *row = is(scene, "quiet") ? &none : &busy[state];
	bool history = state != TCPSTATE_STATE_NEW_SYN_RECV;
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
	if (row->oldest_ms)
		reply_put_u64(reply, TCPSTATE_A_STATE_ENTRY_OLDEST_MS,
			      row->oldest_ms);
	if (row->oldest_at_least)
		reply_put(reply, TCPSTATE_A_STATE_ENTRY_OLDEST_AT_LEAST, NULL,
			  0);
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
	bool quiet = is(scene, "quiet"), bad = is(scene, "inexact");
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
	reply_put_u64(reply, TCPSTATE_A_TIME_WAIT_ENTRY_LIMIT, 65536);
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
