/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_DEST_H
#define TCPSTATE_DEST_H

#include <stddef.h>

#include "address.h"
#include "out.h"
#include "process.h"

struct nlattr;

/* What makes a destination. */
struct dest_key {
	struct number netns_ino, ifindex, dport;
	struct address saddr, daddr;
};

struct dest {
	struct dest_key key;
	struct number used, time_wait, reusable, capacity, outside;
	struct number opens, failures, own_range_failures;
	struct process last_failure;
	struct number open_rate, sustainable_rate;	/* per 1000 s */
	struct number eta_ms, severity;
};

struct dest_list {
	struct dest *items;
	size_t n, size;
};

/* Which ones are asked for. */
struct dest_filter {
	bool by_daddr;
	struct prefix daddr;
	struct number dport;
	uint64_t top;			/* 0: all */
};

bool dest_wanted(const struct dest_filter *filter, const struct dest_key *key);
int dest_read(struct nlattr *attrs, int len, void *list);
void dest_forget(void *list);
int dest_get(bool all_netns, const struct dest_filter *filter,
	     struct dest_list *list);
void dest_print(const struct dest_list *list, struct number netns_ino,
		const char *key, bool brief);

uint64_t dest_taken(const struct dest *dest);
bool dest_room_known(const struct dest *dest);
struct number dest_full_tenths(const struct dest *dest);
const char *dest_severity(struct number severity);
enum out_style dest_style(struct number severity);

#define DEST_KEY_TEXT_MAX (2 * ENDPOINT_MAX)

void dest_key_print(const struct dest_key *key);
const char *dest_from_text(char *buf, const struct dest_key *key);
const char *dest_key_text(char *buf, const struct dest_key *key);

#endif
