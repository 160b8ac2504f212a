/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_CONN_H
#define TCPSTATE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "out.h"
#include "process.h"

struct nlattr;

/* A connection or a listener. */
struct conn {
	uint64_t netns_ino, cookie;
	uint64_t inode;			/* 0: it has no file */
	uint32_t state, ifindex;
	uint16_t family, sport, dport;
	bool mini, at_least, unaccepted, hidden;
	bool late;			/* in CLOSE_WAIT; see conn_judge() */
	struct address saddr, daddr;
	struct number age_ms, timeout_ms;
	struct process owner, closer;
};

struct conn_list {
	struct conn *items;
	size_t n, size;
};

/* Which ones are asked for. */
struct conn_filter {
	uint32_t states;		/* bit N: the one numbered N; 0: all */
	bool stuck, orphan;
	bool by_daddr;
	struct prefix daddr;
	struct number older_ms, sport, dport;
	struct number pid, uid, cgroup, cookie;
	const char *comm;
	uint64_t top;			/* 0: all */
};

/* The filters of an object that is about connections, for its table. */
enum {
	CONN_BY_STATE, CONN_BY_OLDER, CONN_BY_STUCK, CONN_BY_ORPHAN,
	CONN_BY_SPORT, CONN_BY_DPORT, CONN_BY_DST, CONN_BY_PID, CONN_BY_COMM,
	CONN_BY_UID, CONN_BY_CGROUP, CONN_BY_COOKIE, CONN_BY_TOP,
};

#define CONN_FILTERS \
	[CONN_BY_STATE] = { .name = "state", .argument = "STATE[,STATE]", \
			    .help = "in one of these, as CLOSE_WAIT or close-wait" }, \
	[CONN_BY_OLDER] = { .name = "older", .argument = "DURATION", \
			    .help = "in their state for at least so long, as 90s or 10m" }, \
	[CONN_BY_STUCK] = { .name = "stuck", \
			    .help = "in teardown for longer than its limits explain" }, \
	[CONN_BY_ORPHAN] = { .name = "orphan", \
			     .help = "held by no process any more, and no mini-socket yet" }, \
	[CONN_BY_SPORT] = { .name = "sport", .argument = "PORT", \
			    .help = "with this local port" }, \
	[CONN_BY_DPORT] = { .name = "dport", .argument = "PORT", \
			    .help = "with this remote port" }, \
	[CONN_BY_DST] = { .name = "dst", .argument = "ADDR[/LEN]", \
			  .help = "with one of these remote addresses" }, \
	[CONN_BY_PID] = { .name = "pid", .argument = "PID", \
			  .help = "opened or accepted by this process" }, \
	[CONN_BY_COMM] = { .name = "comm", .argument = "NAME", \
			   .help = "opened or accepted by processes of this name" }, \
	[CONN_BY_UID] = { .name = "uid", .argument = "USER", \
			  .help = "opened or accepted by this user, by name or number" }, \
	[CONN_BY_CGROUP] = { .name = "cgroup", .argument = "PATH", \
			     .help = "opened or accepted in this cgroup, by path or id" }, \
	[CONN_BY_COOKIE] = { .name = "cookie", .argument = "COOKIE", \
			     .help = "this one, as 'sk:1a' or in decimal" }, \
	[CONN_BY_TOP] = { .name = "top", .argument = "N", \
			  .help = "only the N longest in their state, oldest first" }

int conn_take(unsigned int which, const char *value, void *filter);
int conn_read(struct nlattr *attrs, int len, void *list);
void conn_forget(void *list);
int conn_get(bool all_netns, const struct conn_filter *filter,
	     struct conn_list *list);
int conn_judge(bool all_netns, struct conn_list *list);
bool conn_same(const struct conn *a, const struct conn *b);
void conn_print(const struct conn_list *list, bool all_netns);
void conn_print_key(const struct conn *conn);
void conn_print_owner(const struct conn *conn);
void conn_print_one(const char *key, const struct conn *conn);
size_t conn_hidden(const struct conn_list *list);

const char *conn_source_text(char *buf, const struct conn *conn);
const char *conn_target_text(char *buf, const struct conn *conn);

int uid_parse(const char *word, uint64_t *uid);

#endif
