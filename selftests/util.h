/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every test of tcpstate needs: namespaces and commands (util.c), two
 * readings of the same sockets, one by the kernel's own tools and one by ours
 * (oracle.c), and connections that stop where they are told to (connect.c).
 *
 * A helper that can fail returns 0, or -1 with a sentence in why(). Nothing
 * here waits for a fixed time: what takes a while is polled for until a
 * deadline. Namespaces have no names and die with the process that made them;
 * everywhere a NULL namespace is the one that the test began in.
 */
#ifndef TCPSTATE_SELFTESTS_UTIL_H
#define TCPSTATE_SELFTESTS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

/* For use in a test: a helper's sentence is the test's. */
#define CHECK(call)	({ ASSERT_EQ(0, (call)) TH_LOG("%s", why()); })
#define EXPECT_OK(call)	({ EXPECT_EQ(0, (call)) TH_LOG("%s", why()); })

const char *why(void);
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- util.c: time --- */

/* Times are for a packaged kernel: TCPSTATE_SLOW tells how much slower this is. */
unsigned int slowness(void);

#define PATIENCE_MS	(30000 * slowness())

uint64_t now_ms(void);
/* Between two looks at a condition, the first of which was at @since. */
void nap(uint64_t since);

/* Poll @cond until it holds, for at most @ms; true if it came to hold. */
#define WAIT_FOR(cond, ms) ({						\
	uint64_t __since = now_ms(), __until = __since + (ms);		\
	bool __holds;							\
	while (!(__holds = (cond)) && now_ms() < __until)		\
		nap(__since);						\
	__holds;							\
})

/* --- util.c: namespaces --- */

enum {
	ST_ESTABLISHED = 1, ST_SYN_SENT, ST_SYN_RECV, ST_FIN_WAIT1,
	ST_FIN_WAIT2, ST_TIME_WAIT, ST_CLOSE, ST_CLOSE_WAIT, ST_LAST_ACK,
	ST_LISTEN, ST_CLOSING, ST_NEW_SYN_RECV, NSTATES,
};

struct ns {
	int fd;			/* keeps it alive */
	uint64_t ino;
	/* What is known about it that the counters could not know by events: */
	uint64_t seed[NSTATES];	/* per state, what ss showed before the module came */
	uint64_t untracked;	/* how many adds were made to fail */
	bool late_adds;		/* events may have met sockets without a record */
	bool seed_unknown;	/* the module came while connections were made */
};

/* A new one is made inside @parent, whose settings it inherits, with lo up. */
int ns_new(struct ns *ns, const struct ns *parent);
int ns_open(struct ns *ns, const char *path);
void ns_drop(struct ns *ns);
int ns_enter(const struct ns *ns);
int ns_leave(void);
int ns_socket(const struct ns *ns, int domain, int type, int protocol);

/* --- util.c: commands and settings --- */

/* Run a command in @ns: 0 if it exits with 0. Output in output(). */
int run(const struct ns *ns, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same, returning the exit status (128 + signal), -1 if it did not run. */
int run_status(const struct ns *ns, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
const char *output(void);
/* Start one whose output is read from *from; its exit status when that ended. */
pid_t command_start(const struct ns *ns, const char *command, FILE **from);
int command_end(pid_t pid, FILE *from);
int wait_for_exit(pid_t pid);
bool have_command(const char *name);
const char *from_env(const char *name, const char *otherwise);

/* /proc/sys/@name (with slashes) as @ns sees it. */
int sysctl_set(const struct ns *ns, const char *name, const char *value);
int sysctl_get(const struct ns *ns, const char *name, char *value, size_t size);
int file_write(const char *path, const char *text);

/* --- util.c: the module and the kernel's log --- */

bool module_loaded(void);
int module_load(const char *parameters);
int module_unload(void);

struct kmsg {
	int fd;
};

int kmsg_open(struct kmsg *k);
/*
 * Read what the kernel logged since. Fails on what a kernel says when it is
 * unwell, and on any warning of the module.
 */
int kmsg_check(struct kmsg *k);
/* The same, but warnings with these words are none; *seen: how many had each. */
struct kmsg_allowed {
	const char *words;
	unsigned int seen;
};

int kmsg_check_allowing(struct kmsg *k, struct kmsg_allowed *allowed, size_t n);

/* --- oracle.c: two readings of the same sockets --- */

enum { V4, V6, NFAMILIES };

extern const char *const state_name[NSTATES];

/* Sockets per state and family, as a tool shows them. */
struct table {
	uint64_t n[NSTATES][NFAMILIES];
	uint64_t mini;
};

/* All that `tcpstate-cli -j state` says about one namespace. */
struct counters {
	char netns[64];
	uint64_t ino;
	struct table now;	/* NEW_SYN_RECV apart */
	uint64_t minis[NSTATES];
	uint64_t entered[NSTATES];
	uint64_t oldest_ms[NSTATES];
	uint64_t stuck_after_ms[NSTATES];	/* 0: never */
	uint64_t dwell_p50_ms[NSTATES], dwell_p90_ms[NSTATES], dwell_p99_ms[NSTATES];
	uint64_t dwell_max_ms[NSTATES];
	uint64_t edge[NSTATES][NSTATES];
	uint64_t limit, overflow, expired, recycled, killed;
	uint64_t untracked, inexact;
};

/* What `tcpstate-cli -j audit` says. */
struct verdict {
	int status;		/* its exit code */
	bool exact;
	uint64_t missing, missing_now, stale;
	uint64_t counted, walked;
};

uint64_t in_state(const struct table *t, int state);
uint64_t in_any(const struct table *t);
/* NEW_SYN_RECV as ss shows it. */
struct table table_as_ss(const struct table *t);

struct json_object;

/* What tcpstate-cli printed, and its exit status; NULL if that is no JSON. */
struct json_object *cli_json(const struct ns *ns, const char *arguments, int *status);
int ss_read(const struct ns *ns, struct table *t);
/* And how many full sockets in FIN_WAIT2 a process holds, or none, if not NULL. */
int ss_read_held(const struct ns *ns, struct table *t, uint64_t *held, uint64_t *unheld);
int cli_read(const struct ns *ns, struct counters *c);
/* The same with more options, such as -n NAME. */
int cli_read_with(const struct ns *ns, const char *options, struct counters *c);
/* -a: allocates *list, which the caller frees. */
int cli_read_all(struct counters **list, size_t *n);
/* The one of @list that is @ns, NULL if none is. */
const struct counters *counters_of(const struct counters *list, size_t n,
				   const struct ns *ns);
/* What @list has of @ns is what ss shows there; to be called when all is quiet. */
int listed_as_ss(const struct counters *list, size_t n, const struct ns *ns);
/* Wait until nothing is open, in none of the namespaces. */
int none_open(void);
/* Wait until these are dead, and nothing that was in them is left to the kernel. */
int ns_gone(const struct ns dead[], int count);
/*
 * With the module loaded with FEW_CONNECTIONS, and nothing open: no record is kept
 * of what was in namespaces that are dead, or not all could be had. But for @kept,
 * which is what has been open in others since: their CPUs may have it in stock.
 */
#define FEW_OF_ONE		30
#define FEW_CONNECTIONS		"max_connections=60 max_connections_netns=30"
int none_left_behind(unsigned int kept);
int cli_audit(const struct ns *ns, struct verdict *v);

/* One value of nstat -az, of /proc/net/sockstat's TCP line. */
int nstat(const struct ns *ns, const char *name, uint64_t *value);
int sockstat(const struct ns *ns, const char *key, uint64_t *value);

/* In which columns an expectation is to be met. */
enum columns {
	ONLY_V4 = V4,
	ONLY_V6 = V6,
	BOTH,		/* as many in either */
	EACH_FAMILY,	/* for each of enum family, of which two are in IPv6's */
	ANY,		/* in all together */
};

/*
 * Wait until ss shows exactly @expected, then demand that tcpstate shows the
 * same: every state, either family, the mini-sockets as in sockstat.
 * @expected reads "FIN_WAIT2=1m LISTEN=2": states not named have none, m says
 * that they are mini-sockets (TIME_WAIT ever is), NEW_SYN_RECV is a request.
 */
int step(const struct ns *ns, enum columns columns, const char *expected);
/* The half of step() that is about ss alone. */
int ss_shows(const struct ns *ns, enum columns columns, const char *expected);
/* Whatever ss shows, tcpstate shows the same. */
int same_as_ss(const struct ns *ns);

/* To be called on a quiet namespace just before the module is loaded. */
int ns_note_seed(struct ns *ns);

/* The moves since load are exactly @times "CLOSE>LISTEN=1 LISTEN>CLOSE=1 ...". */
int edges(const struct ns *ns, unsigned int times, const char *expected);

/* An audit that is exact, and had nothing to add or to doubt. */
int audit(const struct ns *ns);
/* The same in all namespaces at once. */
int audit_all(void);
/* What entered is what left and what is there; only legal moves. */
int balanced(const struct ns *ns, const struct counters *c);

/* --- connect.c: two namespaces and a wire between them --- */

struct net {
	struct ns client, server;
};

int net_new(struct net *net);
void net_drop(struct net *net);

enum wire { PASS, LOSE, DELAY, HOLD };

/* What becomes of packets that leave @ns for the wire, from now on. */
int wire(const struct ns *ns, enum wire how);
/* Use every command and every kind of wire once, so that none is new later. */
int warm_up(void);

/* --- connect.c: sockets --- */

enum family { IPV4, IPV6, MAPPED, FAMILIES };

#define PORT		7000
#define CLIENT_PORT	40000

int domain_of(enum family family);
socklen_t address(struct sockaddr_storage *sa, enum family family,
		  const char *host4, const char *host6, uint16_t port);
/* The server's and the client's address on the wire; loopback. */
socklen_t server_address(struct sockaddr_storage *sa, enum family family, uint16_t port);
socklen_t client_address(struct sockaddr_storage *sa, enum family family, uint16_t port);
socklen_t local_address(struct sockaddr_storage *sa, enum family family, uint16_t port);

int set_option(int fd, int level, int option, int value);
int set_nonblocking(int fd, bool on);

/* A TCP socket whose calls give up after PATIENCE_MS. */
int tcp_socket(const struct ns *ns, enum family family);
int tcp_listen(const struct ns *ns, enum family family, uint16_t port);
int tcp_accept(int listener);
/* Connect from @ns to the server's @port, from port @from if that is not 0. */
int tcp_connect(const struct ns *ns, enum family family, uint16_t port, uint16_t from);
/* The same without waiting for an answer. */
int tcp_dial(const struct ns *ns, enum family family, uint16_t port, uint16_t from);
int tcp_finish_dial(int fd);
/* Connect within @ns, by loopback. */
int tcp_connect_local(const struct ns *ns, enum family family, uint16_t port);
int local_port(int fd);
/* As the kernel tells whoever holds it; a mini-socket's is CLOSE. */
int tcp_state(int fd);
/* Send @n bytes; read until the peer's FIN. */
int send_bytes(int fd, size_t n);
int read_to_end(int fd, size_t *n);
/* Until @n bytes are there to be read. */
int wait_readable(int fd, int n);
void close_fd(int *fd);
/*
 * close() of a connection whose FIN has been acknowledged already: a
 * mini-socket in FIN_WAIT2 is left. Where that is acknowledged while close()
 * still holds the socket, it stays a full one ("bad case" in
 * tcp_rcv_state_process()), and ends with a RST.
 */
int close_acknowledged(int *fd);
/* close() as an abort: SO_LINGER with 0 seconds. */
int close_reset(int *fd);
/* A child that holds the only copy of *fd. */
int hand_to_child(int *fd, pid_t *pid);
int end_child(pid_t pid, int signal);

/* A listener and the two ends of a connection to it; -1 where there is none. */
struct pair {
	enum family family;
	uint16_t port;
	uint16_t from;		/* the client's port, 0: any */
	int listener, client, server;
};

void pair_init(struct pair *p, enum family family, uint16_t port);
int pair_listen(const struct net *net, struct pair *p);
/* Listen if that is still to be done, connect, accept. */
int pair_open(const struct net *net, struct pair *p);
/* Only the client's half, without waiting for an answer. */
int pair_dial(const struct net *net, struct pair *p);
int pair_open_local(const struct ns *ns, struct pair *p);
/* Shut the client's side down and close the server's: the client has TIME_WAIT. */
int pair_to_time_wait(struct pair *p);
/* The other way round: the server has it. */
int pair_to_server_time_wait(struct pair *p);
void pair_close(struct pair *p);

/* --- connect.c: what most tests stand on --- */

struct rig {
	struct net net;
	struct kmsg log;
};

/* The log watched, the module loaded, then a net. */
int rig_up(struct rig *rig, const char *parameters);
/* Both namespaces audited, the module gone, nothing bad in the log. */
int rig_down(struct rig *rig);
/* The same where the module may have logged alerts. */
int rig_down_alerted(struct rig *rig);

#endif
