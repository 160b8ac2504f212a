/* SPDX-License-Identifier: GPL-2.0 */
/* Connections and owners, as netlink and tcpstate-cli tell them and as ss -tanoe does. */
#ifndef TCPSTATE_SELFTESTS_LISTING_H
#define TCPSTATE_SELFTESTS_LISTING_H

#include <netinet/in.h>

#include "util.h"

struct told_process {
	bool told;
	bool gone, hidden;
	uint32_t pid, uid;	/* -1 where it was not told */
	uint64_t cgroup;
	char comm[16];
};

struct told_conn {
	uint64_t netns;
	uint64_t cookie;
	uint32_t state, family;
	uint16_t sport, dport;
	struct in6_addr saddr, daddr;	/* mapped if of 4 bytes */
	uint64_t age_ms, timeout_ms, inode;
	bool mini, at_least, unaccepted, hidden;
	struct told_process owner, closer;
};

/* What is asked for; 0 and NULL: everything. */
struct conn_filter {
	bool all;
	uint32_t top, states, pid, uid;
	bool by_uid;
	const char *comm, *daddr;	/* an address, with /PREFIX or without */
	uint64_t older_ms, cgroup, cookie;
	uint16_t sport, dport;
};

struct conn_list {
	struct told_conn *conn;
	size_t n;
	unsigned int reads;		/* how many it took to get all of the answer */
	uint64_t asked_us, told_us;	/* it is of a time between these */
	int error;			/* errno; 0 for a good answer */
	char sentence[256];		/* what the kernel said to that */
};

/* @fd is a socket of socket_for(); the list is to be freed by conn_list_free(). */
int conn_list(int fd, const struct conn_filter *filter, struct conn_list *list);
void conn_list_free(struct conn_list *list);
/* By cookie and address; NULL if it is not there. */
const struct told_conn *conn_list_find(const struct conn_list *list, const struct told_conn *conn);
void conn_list_sort(struct conn_list *list);
/* No connection is there twice; the list is sorted. */
int conn_list_unique(const struct conn_list *list);
/* The same from ss -tanoe: no owners, no ages, of a mini-socket's time-out the whole
 * seconds. A request is in SYN_RECV, too, and what is only bound, where ss shows that,
 * in CLOSE.
 */
int ss_list(const struct ns *ns, struct conn_list *list);
/* The same from tcpstate-cli -j conn; of what is told beyond that, nothing. */
int cli_list(const struct ns *ns, struct conn_list *list);
/* Same set, same cookies, states, addresses, but for what has no record; all lists
 * sorted.
 */
int same_conns(const struct conn_list *before, const struct conn_list *ours,
	       const struct conn_list *after);
/* How many in @state, which may be without a record, only ss shows. */
size_t conns_only_in(const struct conn_list *ss, const struct conn_list *ours, int state);

/* Who has a socket's file open, as conn says and as ss -p does. */
struct told_holder {
	uint64_t inode;
	uint32_t pid;
	char comm[16];
};

/*
 * The same of all in @state, as ss calls it, with the local port @port; *n: of how
 * many files, each once for each process that has it.
 */
int same_holders(const struct ns *ns, const char *state, uint16_t port, size_t *n);

enum { BY_COMM = 1, BY_PID, BY_UID, BY_CGROUP };

struct told_owner {
	uint64_t netns;
	uint32_t pid, uid;	/* -1 where it was not told */
	uint64_t cgroup;
	char comm[16];
	bool gone;
	uint64_t connections, time_wait, time_wait_made, fin_wait2, close_wait;
	uint64_t close_wait_made, oldest_ms, time_wait_rate, close_wait_recent, hidden;
	uint64_t dropped;		/* of nobody's: how many there was no room for */
};

struct owner_list {
	struct told_owner *owner;
	size_t n;
	int error;
	char sentence[256];
};

int owner_list(int fd, int by, struct owner_list *list);
void owner_list_free(struct owner_list *list);

struct told_alert {
	uint32_t event, severity, threshold, trend;
	uint16_t sport;
	uint64_t count, unaccepted, oldest_ms;
	struct told_process process;
};

/* Of the namespace of @fd: what comes within @ms; what is in force. */
int alerts_subscribe(int fd);
int alert_next(int fd, struct told_alert *alert, int ms);
int alert_get(int fd, uint32_t event, struct told_alert *alert);
/* Set two thresholds; the attributes are those of the operation. */
int config_set(int fd, int attr, uint32_t value, int attr2, uint32_t value2);

/* As now_ms(). */
uint64_t now_us(void);

/* A generic netlink socket in @ns. */
int socket_for(const struct ns *ns);

#endif
