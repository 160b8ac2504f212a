/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_STATE_H
#define TCPSTATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"
#include "words.h"

struct conn;
struct nlattr;

/* The quantiles of a stay that are shown, and its maximum; microseconds. */
struct stay {
	struct number p50, p90, p99, max;
};

struct state_row {
	bool present;
	struct number sockets, ipv4, ipv6, mini, entered;
	struct number oldest_ms, stuck_after_ms, stuck_orphan_after_ms;
	bool oldest_at_least;
	struct stay stay;
};

struct transition {
	unsigned int from, to;
	struct number count;
};

/* What one network namespace's counters say: one message. */
struct counters {
	struct number netns_ino, age_ms;
	struct state_row rows[STATE_MAX + 1];
	struct transition *transitions;
	size_t n_transitions;
	struct number limit, overflow, expired, recycled, killed;
	struct number untracked, inexact, found_late;
	struct number connections, connections_max;
	const struct conn *oldest_close_wait;	/* told with it; or NULL */
	uint64_t leak_ms;		/* of the thresholds, in CLOSE_WAIT */
};

/* One per network namespace. */
struct counters_list {
	struct counters *items;
	size_t n;
};

int counters_read(struct nlattr *attrs, int len, void *list);
void counters_forget(void *list);
uint64_t counters_minis(const struct counters *counters);
int counters_get(bool all_netns, struct counters_list *list);
int counters_judge(bool all_netns, struct counters_list *list);
void counters_print(const struct counters *counters, const char *key,
		    unsigned int only, bool brief);

#endif
