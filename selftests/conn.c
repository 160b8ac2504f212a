// SPDX-License-Identifier: GPL-2.0
/*
 * The listing of connections: the same set as ss shows, resumed exactly, and
 * filtered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <json-c/json.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "every.h"
#include "kselftest_harness.h"
#include "listing.h"
#include "traffic.h"
#include "util.h"

#define SECONDS		600
/* 20,000 in the client's namespace; what is slower than TIME_WAIT never gets there. */
#define PER_GROUP	1338
#define PER_FAMILY	(PER_GROUP / FAMILIES)
#define ALL		20000
/* Of each family in each of eight states, there. */
#define SOME		100
/* The most that may be asked for; of one group. */
#define OLDEST		1000
#define OPEN_FILES	40000
/* What ss shows beside them, and has no record. */
#define REQUESTS	300
#define BOUND		200
#define BOUND_PORT	10000
#define BOUND_INACTIVE	0x2000	/* as a mask of states of inet_diag */

/* How the connections of a group end up, at the client and at the server. */
enum group {
	G_ALIVE,	/* ESTABLISHED */
	G_ORPHANS,	/* FIN_WAIT2 without a file, CLOSE_WAIT */
	G_HALF,		/* FIN_WAIT2 with one, CLOSE_WAIT */
	G_PASSIVE,	/* CLOSE_WAIT, FIN_WAIT2 of a mini-socket */
	G_LASTACK,	/* FIN_WAIT2, LAST_ACK */
	G_FINWAIT1,	/* FIN_WAIT1, ESTABLISHED */
	G_CLOSING,	/* FIN_WAIT1, CLOSING */
	G_TIMED,	/* TIME_WAIT */
	G_DIALLED,	/* SYN_SENT */
	/* Both ends at the client, by loopback: */
	G_NEAR_ALIVE,	/* ESTABLISHED, ESTABLISHED */
	G_NEAR_CLOSING,	/* CLOSING, CLOSING */
	G_NEAR_LASTACK,	/* FIN_WAIT2, LAST_ACK */
	GROUPS
};

#define NEAR_PORT	(PORT + 10)

FIXTURE(conn) {
	struct rig rig;
	int listener[FAMILIES], near[FAMILIES];
	struct pair pair[GROUPS][PER_GROUP];
	int bound[BOUND];
	struct traffic traffic;
};

FIXTURE_SETUP(conn)
{
	struct rlimit limit = { OPEN_FILES, OPEN_FILES };
	int f, g, i;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (g = 0; g < GROUPS; g++)
		for (i = 0; i < PER_GROUP; i++)
			pair_init(&self->pair[g][i], i % FAMILIES,
				  (g > G_DIALLED ? NEAR_PORT : PORT) + i % FAMILIES);
	for (i = 0; i < BOUND; i++)
		self->bound[i] = -1;
	for (f = IPV4; f < FAMILIES; f++)
		self->near[f] = -1;
	self->traffic.workers = 0;
	CHECK(rig_up(&self->rig, NULL));
	for (f = IPV4; f < FAMILIES; f++) {
		self->listener[f] = tcp_listen(&self->rig.net.server, f, PORT + f);
		ASSERT_LE(0, self->listener[f]);
	}
}

FIXTURE_TEARDOWN(conn)
{
	int f, g, i;

	if (self->traffic.workers)
		EXPECT_OK(traffic_stop(&self->traffic));
	for (g = 0; g < GROUPS; g++)
		for (i = 0; i < PER_GROUP; i++)
			pair_close(&self->pair[g][i]);
	for (i = 0; i < BOUND; i++)
		close_fd(&self->bound[i]);
	for (f = IPV4; f < FAMILIES; f++) {
		close_fd(&self->listener[f]);
		close_fd(&self->near[f]);
	}
	EXPECT_OK(rig_down_alerted(&self->rig));
}

/* From @ns to the server, or with @near to @ns itself. */
static int open_group(const struct ns *ns, bool near, const int *listener, struct pair *group)
{
	int i;

	for (i = 0; i < PER_GROUP; i++) {
		struct pair *p = &group[i];

		p->client = near ? tcp_connect_local(ns, p->family, p->port) :
				   tcp_connect(ns, p->family, p->port, 0);
		if (p->client < 0)
			return -1;
		p->server = tcp_accept(listener[p->family]);
		if (p->server < 0)
			return -1;
	}
	return 0;
}

static int loopback(const struct ns *ns, const char *how)
{
	return run(ns, "tc qdisc replace dev lo root %s", how);
}

static bool all_closing(const struct ns *ns)
{
	struct table ss;

	return !ss_read(ns, &ss) && in_state(&ss, ST_CLOSING) == 2 * PER_GROUP;
}

/* FINs that cross by loopback; what acknowledges them, and all else, is lost there. */
static int cross_near(const struct ns *ns, const struct pair *group)
{
	int i;

	if (loopback(ns, "netem limit 100000 delay 10s"))
		return -1;
	for (i = 0; i < PER_GROUP; i++) {
		shutdown(group[i].client, SHUT_WR);
		shutdown(group[i].server, SHUT_WR);
	}
	if (loopback(ns, "netem limit 100000 delay 200s"))
		return -1;
	if (!WAIT_FOR(all_closing(ns), 10000 + PATIENCE_MS))
		return fail("FINs do not cross");
	return loopback(ns, "blackhole");
}

static void close_group(struct pair *group, bool client, bool server)
{
	int i;

	for (i = 0; i < PER_GROUP; i++) {
		if (client)
			close_fd(&group[i].client);
		if (server)
			close_fd(&group[i].server);
	}
}

/* Sockets that were only bound: they are there, but no connections. */
static int bind_some(const struct ns *ns, int bound[BOUND])
{
	struct sockaddr_storage sa;
	uint64_t before, after;
	socklen_t len;
	int i;

	if (sockstat(ns, "alloc", &before))
		return -1;
	for (i = 0; i < BOUND; i++) {
		bound[i] = tcp_socket(ns, i % FAMILIES);
		len = client_address(&sa, i % FAMILIES, BOUND_PORT + i);
		if (bound[i] < 0)
			return -1;
		if (bind(bound[i], (struct sockaddr *)&sa, len))
			return fail("bind: %m");
	}
	if (sockstat(ns, "alloc", &after))
		return -1;
	return after == before + BOUND ? 0 :
	       fail("%ju sockets before %u were bound, %ju after", (uintmax_t)before, BOUND,
		    (uintmax_t)after);
}

/* Those the kernel tells of: since 6.8, to who asks for them, as a newer ss does. */
static int ask_for_bound(int fd, int family, size_t *n)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} r = {
		.nlh = { .nlmsg_len = sizeof(r), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = BOUND_INACTIVE },
	};
	static char buffer[1 << 16];

	if (send(fd, &r, sizeof(r), 0) < 0)
		return fail("send: %m");
	for (;;) {
		int left = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *nlh = (void *)buffer;

		if (left < 0)
			return fail("recv: %m");
		for (; NLMSG_OK(nlh, (unsigned int)left); nlh = NLMSG_NEXT(nlh, left)) {
			const struct inet_diag_msg *msg = NLMSG_DATA(nlh);
			unsigned int port;

			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY)
				return fail("sock_diag says no");
			port = ntohs(msg->id.idiag_sport);
			*n += port >= BOUND_PORT && port < BOUND_PORT + BOUND;
		}
	}
}

static int bound_by_diag(const struct ns *ns, size_t *n)
{
	int fd = ns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), rc;

	*n = 0;
	rc = fd < 0 || ask_for_bound(fd, AF_INET, n) || ask_for_bound(fd, AF_INET6, n) ? -1 : 0;
	close_fd(&fd);
	return rc;
}

static int dial_some(const struct net *net, struct pair *p, int n)
{
	for (; n--; p++) {
		p->client = tcp_dial(&net->client, p->family, p->port, 0);
		if (p->client < 0)
			return -1;
	}
	return 0;
}

/* A process that has the server's files of these two, and no other. */
static int keep_servers(const struct pair *some, const struct pair *others, pid_t *pid)
{
	bool kept[OPEN_FILES] = { };
	int done[2], fd, i;

	if (pipe(done))
		return fail("pipe: %m");
	*pid = fork();
	if (*pid < 0)
		return fail("fork: %m");
	if (!*pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "keeper");
		for (i = 0; i < PER_GROUP; i++) {
			kept[some[i].server] = true;
			kept[others[i].server] = true;
		}
		for (fd = 3; fd < OPEN_FILES; fd++)
			if (!kept[fd])
				close(fd);
		for (;;)
			pause();
	}
	close(done[1]);
	/* The end of file is when it has closed all that it does not keep. */
	if (read(done[0], &i, sizeof(i)))
		return fail("the keeper says something");
	close(done[0]);
	return 0;
}

static bool requested(const struct ns *ns, uint64_t n)
{
	struct table ss;

	return !ss_read(ns, &ss) && in_state(&ss, ST_SYN_RECV) == n;
}

/* What was compared, and what only ss has shown. */
struct compared {
	size_t conns, requests, bound;
	struct table listed;
};

static int compare_with_ss(const struct ns *ns, struct compared *done)
{
	struct conn_list before, ours, printed, after;
	int fd = socket_for(ns), rc;
	size_t i, requests, bound;
	struct counters c;

	if (fd < 0 || ss_list(ns, &before) || conn_list(fd, &(struct conn_filter){ }, &ours) ||
	    cli_list(ns, &printed) || cli_read(ns, &c) || ss_list(ns, &after))
		return -1;
	close(fd);
	if (ours.error)
		return fail("conn-get: error %d, %s", ours.error, ours.sentence);
	conn_list_sort(&before);
	conn_list_sort(&ours);
	conn_list_sort(&printed);
	conn_list_sort(&after);
	rc = same_conns(&before, &ours, &after);
	if (!rc && same_conns(&before, &printed, &after))
		rc = fail("by tcpstate-cli: %s", why());
	requests = conns_only_in(&before, &ours, ST_SYN_RECV);
	bound = conns_only_in(&before, &ours, ST_CLOSE);
	if (!rc && (requests != in_state(&c.now, ST_NEW_SYN_RECV) ||
		    requests != conns_only_in(&after, &ours, ST_SYN_RECV)))
		rc = fail("ss shows %zu requests, 'state' %ju", requests,
			  (uintmax_t)in_state(&c.now, ST_NEW_SYN_RECV));
	if (!rc && bound != conns_only_in(&after, &ours, ST_CLOSE))
		rc = fail("ss shows now %zu bound sockets and now another number", bound);
	for (i = 0; i < ours.n; i++)
		done->listed.n[ours.conn[i].state][ours.conn[i].family == AF_INET ? V4 : V6]++;
	done->conns = ours.n;
	done->requests = requests;
	done->bound = bound;
	conn_list_free(&before);
	conn_list_free(&ours);
	conn_list_free(&printed);
	conn_list_free(&after);
	return rc;
}

TEST_F_TIMEOUT(conn, same_as_ss, SECONDS)
{
	static const int states[] = {
		ST_ESTABLISHED, ST_SYN_SENT, ST_FIN_WAIT1, ST_FIN_WAIT2, ST_TIME_WAIT,
		ST_CLOSE_WAIT, ST_LAST_ACK, ST_CLOSING,
	};
	const struct net *net = &self->rig.net;
	struct pair *dialled = self->pair[G_DIALLED];
	struct compared client = { }, server = { };
	uint64_t start = now_ms();
	size_t i, bound, waiting, alive;
	pid_t keeper;
	int f, g;

	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", "65536"));
	/* All that loopback delays comes at once. */
	CHECK(sysctl_set(NULL, "net/core/netdev_max_backlog", "65536"));
	CHECK(sysctl_set(&net->client, "net/ipv4/tcp_max_tw_buckets", "65536"));
	CHECK(sysctl_set(&net->server, "net/ipv4/tcp_max_tw_buckets", "65536"));
	CHECK(sysctl_set(&net->client, "net/ipv4/tcp_fin_timeout", "600"));
	CHECK(sysctl_set(&net->server, "net/ipv4/tcp_synack_retries", "20"));
	for (f = IPV4; f < FAMILIES; f++) {
		self->near[f] = tcp_listen(&net->client, f, NEAR_PORT + f);
		ASSERT_LE(0, self->near[f]);
	}
	for (g = 0; g < G_DIALLED; g++)
		CHECK(open_group(&net->client, false, self->listener, self->pair[g]));
	for (g = G_NEAR_ALIVE; g < GROUPS; g++)
		CHECK(open_group(&net->client, true, self->near, self->pair[g]));
	for (i = 0; i < PER_GROUP; i++)
		shutdown(self->pair[G_NEAR_LASTACK][i].client, SHUT_WR);
	CHECK(cross_near(&net->client, self->pair[G_NEAR_CLOSING]));
	for (i = 0; i < PER_GROUP; i++)
		shutdown(self->pair[G_NEAR_LASTACK][i].server, SHUT_WR);
	CHECK(bind_some(&net->client, self->bound));
	for (i = 0; i < PER_GROUP; i++) {
		shutdown(self->pair[G_HALF][i].client, SHUT_WR);
		shutdown(self->pair[G_LASTACK][i].client, SHUT_WR);
	}
	close_group(self->pair[G_ORPHANS], true, false);
	close_group(self->pair[G_PASSIVE], false, true);
	close_group(self->pair[G_TIMED], true, true);
	CHECK(wire(&net->server, LOSE));
	close_group(self->pair[G_LASTACK], false, true);
	/* Neither this FIN gets there, nor what answers the other. */
	close_group(self->pair[G_CLOSING], false, true);
	close_group(self->pair[G_CLOSING], true, false);
	CHECK(dial_some(net, dialled, REQUESTS));
	ASSERT_TRUE(WAIT_FOR(requested(&net->server, REQUESTS), PATIENCE_MS));
	CHECK(wire(&net->client, LOSE));
	close_group(self->pair[G_FINWAIT1], true, false);
	CHECK(dial_some(net, dialled + REQUESTS, PER_GROUP - REQUESTS));
	TH_LOG("made in %ju ms", (uintmax_t)(now_ms() - start));
	CHECK(compare_with_ss(&net->client, &client));
	CHECK(compare_with_ss(&net->server, &server));
	CHECK(keep_servers(self->pair[G_HALF], self->pair[G_ALIVE], &keeper));
	close_group(self->pair[G_HALF], false, true);
	CHECK(same_holders(&net->server, "close-wait", PORT + IPV6, &waiting));
	CHECK(same_holders(&net->server, "established", PORT + IPV6, &alive));
	/* One group is held by either process, and one by both. */
	EXPECT_EQ(2 * PER_FAMILY, waiting);
	EXPECT_EQ(3 * PER_FAMILY, alive);
	CHECK(bound_by_diag(&net->client, &bound));
	TH_LOG("%zu and %zu connections compared after %ju ms, %zu requests, %zu bound (diag: %zu)",
	       client.conns, server.conns, (uintmax_t)(now_ms() - start), server.requests,
	       client.bound, bound);
	ASSERT_LE(ALL, client.conns);
	EXPECT_EQ(0, client.requests);
	EXPECT_EQ(REQUESTS, server.requests);
	/* Older kernels do not tell of them, and older ss do not ask. */
	if (bound)
		EXPECT_EQ(BOUND, bound);
	if (client.bound)
		EXPECT_EQ(BOUND, client.bound);
	EXPECT_EQ(0, server.bound);
	EXPECT_EQ(FAMILIES, in_state(&server.listed, ST_LISTEN));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		const uint64_t *n = client.listed.n[states[i]];

		EXPECT_LT(SOME, n[V4]) TH_LOG("%s", state_name[states[i]]);
		EXPECT_LT(SOME, n[V6]) TH_LOG("%s", state_name[states[i]]);
		TH_LOG("%s: %ju and %ju", state_name[states[i]], (uintmax_t)n[V4],
		       (uintmax_t)n[V6]);
	}
	CHECK(end_child(keeper, SIGKILL));
	CHECK(wire(&net->client, PASS));
	CHECK(wire(&net->server, PASS));
	CHECK(run(&net->client, "tc qdisc del dev lo root"));
	/*
	 * Orphans keep their namespace, and the next tests would have 29,000 to go through.
	 * A dump that goes on where it was in a chain misses some, as others are killed.
	 */
	CHECK(run(&net->client, "for i in 1 2 3; do ss -K -Htn >/dev/null; done"));
	CHECK(run(&net->server, "for i in 1 2 3; do ss -K -Htn >/dev/null; done"));
}

/* Each ends as a mini-socket, in TIME_WAIT or in FIN_WAIT2, at the client or the server. */
static int leave_minis(struct pair *p, int n)
{
	int i, rc = 0;

	for (i = 0; i < n && !rc; i++, p++) {
		bool server = i & 1;

		if (i & 2)
			rc = close_acknowledged(server ? &p->server : &p->client);
		else
			rc = server ? pair_to_server_time_wait(p) : pair_to_time_wait(p);
	}
	return rc;
}

struct resumed {
	size_t most;			/* listed at once */
	unsigned int reads;		/* the fewest that took */
	int amid;			/* during how many connections came and went */
	int with_minis;			/* how often those were demanded, too */
};

/*
 * What ss has shown is listed once and as it was, mini-sockets at least @until. The
 * oldest are of it, and no mini-sockets: these are the younger ones.
 */
static int resumes(int fd, const struct conn_list *still, uint64_t until,
		   const struct traffic *traffic, struct resumed *done)
{
	uint64_t before = traffic_done(traffic);
	const struct told_conn *is, *was;
	struct conn_list list;
	bool minis;
	size_t i;
	int rc;

	if (conn_list(fd, &(struct conn_filter){ }, &list))
		return -1;
	done->amid += traffic_done(traffic) > before;
	done->reads = !done->reads || list.reads < done->reads ? list.reads : done->reads;
	minis = now_ms() < until;
	done->with_minis += minis;
	conn_list_sort(&list);
	rc = list.error ? fail("conn-get: %s", list.sentence) : conn_list_unique(&list);
	for (i = 0; !rc && i < still->n; i++) {
		was = &still->conn[i];
		if (was->mini && !minis)
			continue;
		is = conn_list_find(&list, was);
		if (!is || is->state != was->state || is->mini != was->mini)
			rc = fail("of port %u, in %s: %s", was->sport, state_name[was->state],
				  is ? state_name[is->state] : "nothing");
	}
	done->most = list.n > done->most ? list.n : done->most;
	conn_list_free(&list);
	if (rc)
		return rc;
	rc = conn_list(fd, &(struct conn_filter){ .top = OLDEST }, &list);
	if (rc)
		return rc;
	conn_list_sort(&list);
	rc = list.error ? fail("conn-get: %s", list.sentence) : conn_list_unique(&list);
	if (!rc && list.n != OLDEST)
		rc = fail("%zu of the oldest", list.n);
	for (i = 0; !rc && i < list.n; i++) {
		was = conn_list_find(still, &list.conn[i]);
		if (!was || was->mini)
			rc = fail("port %u is of the oldest", list.conn[i].sport);
	}
	conn_list_free(&list);
	return rc;
}

/* What stays as it is, mini-sockets of either kind too, among what comes and goes. */
TEST_F_TIMEOUT(conn, resumes_exactly, SECONDS)
{
	static const struct traffic_spec churn = {
		.ends = END_ANY, .destinations = 200, .ipv6_every = 3, .window = 32,
	};
	const struct net *net = &self->rig.net;
	const struct ns *const ns[] = { &net->client, &net->server };
	/* What is slow has many more there by the time that it has listed some. */
	int rounds = slowness() > 1 ? 3 : 30, minis = 600 / slowness() / 4 * 4;
	struct resumed done[2] = { };
	struct conn_list still[2];
	int round, fd[2], i, j;
	char expected[160];
	uint64_t until, went;

	CHECK(open_group(&net->client, false, self->listener, self->pair[G_ALIVE]));
	/* They last for a minute. */
	until = now_ms() + 59000;
	for (i = 0; i < minis; i++) {
		struct pair *p = &self->pair[G_TIMED][i];

		p->listener = self->listener[p->family];
		CHECK(pair_open(net, p));
		/* The fixture's. */
		p->listener = -1;
	}
	CHECK(leave_minis(self->pair[G_TIMED], minis));
	for (i = 0; i < 2; i++) {
		snprintf(expected, sizeof(expected), "LISTEN=%d ESTABLISHED=%d TIME_WAIT=%d "
			 "FIN_WAIT2=%dm CLOSE_WAIT=%d", i * FAMILIES, PER_GROUP, minis / 4,
			 minis / 4, minis / 4);
		CHECK(ss_shows(ns[i], ANY, expected));
		CHECK(ss_list(ns[i], &still[i]));
		ASSERT_EQ(PER_GROUP + minis * 3 / 4 + i * FAMILIES, still[i].n);
		conn_list_sort(&still[i]);
		fd[i] = socket_for(ns[i]);
		ASSERT_LE(0, fd[i]);
	}
	CHECK(traffic_init(&self->traffic));
	for (i = 0; i < 2; i++) {
		CHECK(traffic_settings(ns[i]));
		for (j = 0; j < 2; j++)
			CHECK(traffic_add(&self->traffic, ns[i], PORT + 50 * (j + 1), &churn));
	}
	for (round = 0; round < rounds; round++) {
		went = traffic_done(&self->traffic);
		for (i = 0; i < 2; i++)
			CHECK(resumes(fd[i], &still[i], until, &self->traffic, &done[i]));
		ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > went, PATIENCE_MS))
			TH_LOG("nothing comes and goes in round %d", round);
	}
	TH_LOG("%ju came and went", (uintmax_t)traffic_done(&self->traffic));
	for (i = 0; i < 2; i++) {
		TH_LOG("%zu still ones among up to %zu, in %u messages at least",
		       still[i].n, done[i].most, done[i].reads);
		TH_LOG("of %d times %d amid traffic, %d with %d mini-sockets",
		       rounds, done[i].amid, done[i].with_minis, minis / 2);
		EXPECT_LT(still[i].n, done[i].most);
		EXPECT_LT(3, done[i].reads);
		EXPECT_LE(rounds / 3, done[i].amid);
		EXPECT_LT(0, done[i].with_minis);
		conn_list_free(&still[i]);
		close(fd[i]);
	}
}

static size_t count(int fd, struct conn_filter filter)
{
	struct conn_list list;
	size_t n;

	if (conn_list(fd, &filter, &list) || list.error)
		return -1;
	n = list.n;
	conn_list_free(&list);
	return n;
}

static int error_of(int fd, struct conn_filter filter)
{
	struct conn_list list;
	int error;

	if (conn_list(fd, &filter, &list))
		return -1;
	error = list.error;
	if (error && !*list.sentence)
		fail("no sentence");
	conn_list_free(&list);
	return error;
}

#define COUNT(...)	count(fd, (struct conn_filter){ __VA_ARGS__ })
#define ERROR(...)	error_of(fd, (struct conn_filter){ __VA_ARGS__ })

/* When a connection has got to a state, in microseconds, and from which port. */
struct change {
	uint64_t from, to;
	uint16_t sport;
};

/* What has begun at change->from gets @fd to @state. */
static int changed(int fd, int state, struct change *change)
{
	if (!WAIT_FOR(tcp_state(fd) == state, PATIENCE_MS))
		return fail("state %d instead of %d", tcp_state(fd), state);
	change->to = now_us();
	return 0;
}

/* Close the server's end: the client's gets to @state. */
static int change(struct pair *p, int state, struct change *change)
{
	change->sport = local_port(p->client);
	change->from = now_us();
	close_fd(&p->server);
	return changed(p->client, state, change);
}

/*
 * How much of a clock's time there may be between what happened before a change and
 * after it, or before it is asked for and after that, for one connection in each state.
 * A listing goes through the whole index, which takes most of that, and says nothing of
 * the ages.
 */
#define NARROW_US	(3000 * slowness())

/* For each state, how narrow it was. */
struct ages {
	uint64_t narrowest_us[NSTATES];
};

/*
 * Is an age exact to a millisecond? It was told while @list was made of what happened
 * between the two of @ch.
 */
static int age_exact(const struct conn_list *list, const struct told_conn *c,
		     const struct change *ch, struct ages *ages)
{
	uint64_t least = list->asked_us - ch->to, most = list->told_us - ch->from;
	uint64_t *narrowest = &ages->narrowest_us[c->state], age = c->age_ms * 1000;

	if (age + 1000 < least || age > most + 1000)
		return fail("in %s for %ju to %ju us, and %ju ms are told",
			    state_name[c->state], (uintmax_t)least, (uintmax_t)most,
			    (uintmax_t)c->age_ms);
	if (!*narrowest || most - least < *narrowest)
		*narrowest = most - least;
	return 0;
}

/* That was no matter of a wide range, in @n states. */
static int ages_narrow(const struct ages *ages, unsigned int n)
{
	unsigned int seen = 0;
	int s;

	for (s = 1; s < NSTATES; s++) {
		if (ages->narrowest_us[s] > NARROW_US)
			return fail("%s: known to %ju us only", state_name[s],
				    (uintmax_t)ages->narrowest_us[s]);
		seen += !!ages->narrowest_us[s];
	}
	return seen == n ? 0 : fail("ages were looked at in %u states", seen);
}

/* Of which ss leaves out what is less than a second; its jiffies are 10 ms or shorter. */
static int times_out_as_ss_says(const struct told_conn *c, const struct conn_list *before,
				const struct conn_list *after)
{
	const struct told_conn *first = conn_list_find(before, c), *last = conn_list_find(after, c);

	if (!first || !last || !first->mini || !last->timeout_ms)
		return fail("ss does not show a mini-socket of port %u", c->sport);
	if (c->timeout_ms > first->timeout_ms + 1000 || c->timeout_ms + 10 < last->timeout_ms)
		return fail("%ju ms are left, ss had %ju ms before and has %ju after",
			    (uintmax_t)c->timeout_ms, (uintmax_t)first->timeout_ms,
			    (uintmax_t)last->timeout_ms);
	return 0;
}

TEST_F_TIMEOUT(conn, filters, SECONDS)
{
	const struct net *net = &self->rig.net;
	struct change changes[FAMILIES][2];
	struct pair p[FAMILIES][3];
	struct conn_list list, before, after;
	struct ages ages = { };
	int fd, f, i;
	uint32_t both;

	for (f = IPV4; f < FAMILIES; f++) {
		for (i = 0; i < 3; i++) {
			pair_init(&p[f][i], f, PORT + f);
			p[f][i].client = tcp_connect(&net->client, f, PORT + f, 0);
			p[f][i].server = tcp_accept(self->listener[f]);
			ASSERT_LE(0, p[f][i].server);
		}
	}
	for (f = IPV4; f < FAMILIES; f++) {
		CHECK(change(&p[f][0], ST_CLOSE_WAIT, &changes[f][0]));
		shutdown(p[f][1].client, SHUT_WR);
		ASSERT_TRUE(WAIT_FOR(tcp_state(p[f][1].client) == ST_FIN_WAIT2, PATIENCE_MS));
		CHECK(change(&p[f][1], ST_CLOSE, &changes[f][1]));
	}
	fd = socket_for(&net->client);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(WAIT_FOR(COUNT(.states = 1 << ST_TIME_WAIT) == FAMILIES, PATIENCE_MS));
	usleep(50000);

	EXPECT_EQ(9, COUNT());
	EXPECT_EQ(3, COUNT(.states = 1 << ST_CLOSE_WAIT));
	EXPECT_EQ(3, COUNT(.states = 1 << ST_ESTABLISHED));
	EXPECT_EQ(6, COUNT(.states = 1 << ST_ESTABLISHED | 1 << ST_TIME_WAIT));
	EXPECT_EQ(0, COUNT(.states = 1 << ST_LISTEN));
	EXPECT_EQ(3, COUNT(.dport = PORT + IPV6));
	EXPECT_EQ(0, COUNT(.sport = PORT + IPV6));
	EXPECT_EQ(1, COUNT(.sport = local_port(p[IPV4][2].client)));
	EXPECT_EQ(1, COUNT(.dport = PORT, .states = 1 << ST_CLOSE_WAIT));
	EXPECT_EQ(9, COUNT(.older_ms = 40));
	EXPECT_EQ(0, COUNT(.older_ms = 3600000));
	EXPECT_EQ(0, COUNT(.older_ms = UINT64_MAX));
	/* The wire is 10.9.0.0/24 and fd09::/64. */
	EXPECT_EQ(9, COUNT(.daddr = "0.0.0.0/0") + COUNT(.daddr = "fc00::/7"));
	EXPECT_EQ(6, COUNT(.daddr = "10.0.0.0/8"));
	EXPECT_EQ(3, COUNT(.daddr = "fc00::/7"));
	EXPECT_EQ(0, COUNT(.daddr = "11.0.0.0/8"));
	EXPECT_EQ(6, COUNT(.daddr = "0.0.0.0/0"));
	EXPECT_EQ(3, COUNT(.daddr = "::/0"));
	EXPECT_EQ(0, COUNT(.daddr = "::/80"));
	EXPECT_EQ(6, COUNT(.daddr = "::ffff:10.0.0.0/104"));
	EXPECT_EQ(9, COUNT(.comm = "conn"));
	EXPECT_EQ(0, COUNT(.comm = "con"));
	EXPECT_EQ(9, COUNT(.pid = getpid()));
	EXPECT_EQ(0, COUNT(.pid = 1));
	EXPECT_EQ(9, COUNT(.by_uid = true));
	EXPECT_EQ(0, COUNT(.by_uid = true, .uid = 1));
	EXPECT_EQ(EINVAL, ERROR(.daddr = "10.0.0.0/33"));

	CHECK(conn_list(fd, &(struct conn_filter){ .top = 4 }, &list));
	ASSERT_EQ(4, list.n);
	for (i = 1; i < 4; i++)
		EXPECT_GE(list.conn[i - 1].age_ms, list.conn[i].age_ms);
	EXPECT_EQ(1, COUNT(.cookie = list.conn[0].cookie));
	conn_list_free(&list);

	/* What has changed since: its age is known to the millisecond. */
	both = 1 << ST_CLOSE_WAIT | 1 << ST_TIME_WAIT;
	CHECK(ss_list(&net->client, &before));
	CHECK(conn_list(fd, &(struct conn_filter){ .states = both }, &list));
	CHECK(ss_list(&net->client, &after));
	conn_list_sort(&before);
	conn_list_sort(&after);
	ASSERT_EQ(6, list.n);
	for (i = 0; i < 6; i++) {
		const struct told_conn *c = &list.conn[i];
		const struct change *ch = changes[c->dport - PORT];

		ch += ch->sport != c->sport;
		ASSERT_EQ(ch->sport, c->sport);
		EXPECT_OK(age_exact(&list, c, ch, &ages));
		EXPECT_EQ(c->state == ST_TIME_WAIT, c->mini);
		EXPECT_EQ(c->state == ST_CLOSE_WAIT, !!c->inode);
		if (c->mini)
			EXPECT_OK(times_out_as_ss_says(c, &before, &after));
	}
	TH_LOG("ages are what a clock says to %ju us, in CLOSE_WAIT, and %ju us, in TIME_WAIT",
	       (uintmax_t)ages.narrowest_us[ST_CLOSE_WAIT],
	       (uintmax_t)ages.narrowest_us[ST_TIME_WAIT]);
	EXPECT_OK(ages_narrow(&ages, 2));
	conn_list_free(&list);
	conn_list_free(&before);
	conn_list_free(&after);
	close(fd);
	for (f = IPV4; f < FAMILIES; f++)
		for (i = 0; i < 3; i++)
			pair_close(&p[f][i]);
}

/* States that do not last, or that only one end gets to, and at which that is. */
static const struct {
	int state;
	bool server;
} passing[] = {
	{ ST_SYN_SENT, false }, { ST_SYN_RECV, true }, { ST_FIN_WAIT1, true },
	{ ST_FIN_WAIT2, false }, { ST_LAST_ACK, true }, { ST_CLOSING, true },
	{ ST_LISTEN, true },
};

/* As in that list; the first two are the ends of one. */
enum { P_SYN_SENT, P_SYN_RECV, P_FIN_WAIT1, P_FIN_WAIT2, P_LAST_ACK, P_CLOSING, P_LISTEN, PASSING };

static int listen_at(const struct ns *ns, enum family family, struct change *change, int *fd)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, domain_of(family) == AF_INET ? IPV4 : IPV6, "0.0.0.0", "::",
				NEAR_PORT + family);

	*fd = tcp_socket(ns, family);
	change->sport = 0;
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&sa, len))
		return fail("bind: %m");
	change->from = now_us();
	if (listen(*fd, 16))
		return fail("listen: %m");
	return changed(*fd, ST_LISTEN, change);
}

/* Each end gets there over a wire that carries nothing from the server any more. */
static int pass_by(const struct net *net, int listener, struct pair p[PASSING],
		   struct change changes[PASSING])
{
	struct change *c = changes;
	int i;

	for (i = P_FIN_WAIT1; i <= P_CLOSING; i++)
		c[i].sport = local_port(p[i].client);
	c[P_FIN_WAIT1].from = now_us();
	shutdown(p[P_FIN_WAIT1].server, SHUT_WR);
	if (changed(p[P_FIN_WAIT1].server, ST_FIN_WAIT1, &c[P_FIN_WAIT1]))
		return -1;
	c[P_LAST_ACK].from = now_us();
	shutdown(p[P_LAST_ACK].server, SHUT_WR);
	if (changed(p[P_LAST_ACK].server, ST_LAST_ACK, &c[P_LAST_ACK]))
		return -1;
	shutdown(p[P_CLOSING].server, SHUT_WR);
	c[P_CLOSING].from = now_us();
	shutdown(p[P_CLOSING].client, SHUT_WR);
	if (changed(p[P_CLOSING].server, ST_CLOSING, &c[P_CLOSING]))
		return -1;
	c[P_SYN_SENT].from = now_us();
	if (fast_open(net, &p[P_SYN_SENT]) ||
	    changed(p[P_SYN_SENT].client, ST_SYN_SENT, &c[P_SYN_SENT]))
		return -1;
	p[P_SYN_SENT].server = tcp_accept(listener);
	c[P_SYN_RECV].from = c[P_SYN_SENT].from;
	c[P_SYN_SENT].sport = local_port(p[P_SYN_SENT].client);
	c[P_SYN_RECV].sport = c[P_SYN_SENT].sport;
	return p[P_SYN_SENT].server < 0 ||
	       changed(p[P_SYN_SENT].server, ST_SYN_RECV, &c[P_SYN_RECV]) ? -1 : 0;
}

/* The end at the client's @port, or at the server's; 0: what listens. */
static const struct told_conn *end_of(const struct conn_list *list, uint16_t port, bool server,
				      enum family family)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct told_conn *c = &list->conn[i];

		if (port == (server ? c->dport : c->sport) &&
		    NEAR_PORT + family == (server ? c->sport : c->dport))
			return c;
	}
	return NULL;
}

/* As in filters, of the states that nothing rests in for long. */
TEST_F_TIMEOUT(conn, ages, SECONDS)
{
	const struct net *net = &self->rig.net;
	struct change changes[FAMILIES][PASSING];
	struct pair p[FAMILIES][PASSING];
	struct ages ages = { };
	struct conn_list list;
	uint64_t since;
	int at, f, i, fd;

	CHECK(fast_open_settings(net));
	for (f = IPV4; f < FAMILIES; f++) {
		CHECK(listen_at(&net->server, f, &changes[f][P_LISTEN], &self->near[f]));
		for (i = 0; i < PASSING; i++)
			pair_init(&p[f][i], f, NEAR_PORT + f);
		for (i = P_FIN_WAIT1; i <= P_CLOSING; i++) {
			p[f][i].client = tcp_connect(&net->client, f, NEAR_PORT + f, 0);
			p[f][i].server = tcp_accept(self->near[f]);
			ASSERT_LE(0, p[f][i].server) TH_LOG("%s", why());
		}
		shutdown(p[f][P_LAST_ACK].client, SHUT_WR);
		ASSERT_TRUE(WAIT_FOR(tcp_state(p[f][P_LAST_ACK].server) == ST_CLOSE_WAIT,
				     PATIENCE_MS));
		changes[f][P_FIN_WAIT2].from = now_us();
		shutdown(p[f][P_FIN_WAIT2].client, SHUT_WR);
		/* With its acknowledgment, which would come later. */
		CHECK(send_bytes(p[f][P_FIN_WAIT2].server, 1));
		CHECK(changed(p[f][P_FIN_WAIT2].client, ST_FIN_WAIT2, &changes[f][P_FIN_WAIT2]));
	}
	CHECK(wire(&net->server, LOSE));
	for (f = IPV4; f < FAMILIES; f++)
		CHECK(pass_by(net, self->near[f], p[f], changes[f]));
	/* So that an age of nothing at all would be wrong. */
	since = now_ms();
	while (now_ms() < since + 500)
		nap(since);
	for (at = 0; at < 2; at++) {
		fd = socket_for(at ? &net->server : &net->client);
		ASSERT_LE(0, fd);
		CHECK(conn_list(fd, &(struct conn_filter){ }, &list));
		close(fd);
		for (i = 0; i < PASSING * FAMILIES; i++) {
			const struct change *ch = &changes[i % FAMILIES][i / FAMILIES];
			int state = passing[i / FAMILIES].state;
			const struct told_conn *c;

			if (passing[i / FAMILIES].server != at)
				continue;
			c = end_of(&list, ch->sport, at, i % FAMILIES);
			ASSERT_NE(NULL, c) TH_LOG("%s of family %d", state_name[state],
						  i % FAMILIES);
			EXPECT_EQ(state, c->state);
			EXPECT_OK(age_exact(&list, c, ch, &ages));
		}
		TH_LOG("asking took %ju us", (uintmax_t)(list.told_us - list.asked_us));
		conn_list_free(&list);
	}
	for (i = 0; i < PASSING; i++)
		TH_LOG("%s: ages are what a clock says to %ju us", state_name[passing[i].state],
		       (uintmax_t)ages.narrowest_us[passing[i].state]);
	EXPECT_OK(ages_narrow(&ages, PASSING));
	CHECK(wire(&net->server, PASS));
	for (f = IPV4; f < FAMILIES; f++)
		for (i = 0; i < PASSING; i++)
			pair_close(&p[f][i]);
}

/* In the order of the listing: the same connections, and ages that do not grow. */
static int same_by_command(const struct ns *ns, const struct conn_list *list)
{
	struct json_object *rows, *port, *age;
	uint64_t last = UINT64_MAX;
	char arguments[64];
	int status, rc = 0;
	size_t i;

	snprintf(arguments, sizeof(arguments), "-j conn top %zu", list->n);
	rows = cli_json(ns, arguments, &status);
	if (!rows)
		return -1;
	if (status || json_object_array_length(rows) != list->n)
		rc = fail("'%s' ended with %d and listed %zu", arguments, status,
			  json_object_array_length(rows));
	for (i = 0; !rc && i < list->n; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		json_object_object_get_ex(row, "sport", &port);
		json_object_object_get_ex(row, "age_ms", &age);
		if (json_object_get_int(port) != list->conn[i].sport)
			rc = fail("port %d in row %zu, not %u", json_object_get_int(port), i,
				  list->conn[i].sport);
		if (!rc && json_object_get_uint64(age) > last)
			rc = fail("%ju ms in row %zu, after %ju",
				  (uintmax_t)json_object_get_uint64(age), i, (uintmax_t)last);
		last = json_object_get_uint64(age);
	}
	json_object_put(rows);
	return rc;
}

/* Of the @n-th oldest: the even ones as they were opened, then the odd ones backwards. */
static int in_order(size_t n)
{
	size_t even = (PER_GROUP + 1) / 2;

	return n < even ? 2 * n : 2 * (PER_GROUP - n) - 1;
}

/* A time of an event may be off by half a millisecond: these are told apart. */
static void let_pass(void)
{
	usleep(2000);
}

/*
 * The oldest over as many messages as it takes. Every other one changes its state
 * when all have been opened, the last opened first.
 */
TEST_F_TIMEOUT(conn, oldest_first, SECONDS)
{
	const struct net *net = &self->rig.net;
	struct pair *group = self->pair[G_ALIVE];
	struct change entered[PER_GROUP];
	uint64_t last = UINT64_MAX;
	struct ages ages = { };
	struct conn_list list;
	size_t n;
	int fd, i;

	for (i = 0; i < PER_GROUP; i++) {
		struct pair *p = &group[i];

		let_pass();
		entered[i].from = now_us();
		p->client = tcp_connect(&net->client, p->family, p->port, CLIENT_PORT + i);
		ASSERT_LE(0, p->client) TH_LOG("%s", why());
		entered[i].to = now_us();
		p->server = tcp_accept(self->listener[p->family]);
		ASSERT_LE(0, p->server) TH_LOG("%s", why());
	}
	for (i = PER_GROUP - 1; i > 0; i -= 2) {
		let_pass();
		CHECK(change(&group[i], ST_CLOSE_WAIT, &entered[i]));
	}
	fd = socket_for(&net->client);
	ASSERT_LE(0, fd);
	CHECK(conn_list(fd, &(struct conn_filter){ .top = OLDEST }, &list));
	ASSERT_EQ(0, list.error) TH_LOG("%s", list.sentence);
	ASSERT_EQ(OLDEST, list.n);
	EXPECT_LT(3, list.reads);
	for (n = 0; n < list.n; n++) {
		const struct told_conn *c = &list.conn[n];

		i = in_order(n);
		ASSERT_EQ(CLIENT_PORT + i, c->sport) TH_LOG("row %zu", n);
		ASSERT_EQ(i % 2 ? ST_CLOSE_WAIT : ST_ESTABLISHED, c->state);
		CHECK(age_exact(&list, c, &entered[i], &ages));
		ASSERT_GE(last, c->age_ms) TH_LOG("row %zu", n);
		last = c->age_ms;
	}
	TH_LOG("%zu in %u messages, from %ju to %ju ms old, asking took %ju us", list.n,
	       list.reads, (uintmax_t)list.conn[0].age_ms, (uintmax_t)last,
	       (uintmax_t)(list.told_us - list.asked_us));
	CHECK(same_by_command(&net->client, &list));
	conn_list_free(&list);
	close(fd);
}

TEST_F_TIMEOUT(conn, unprivileged, SECONDS)
{
	struct pair *p = &self->pair[G_ALIVE][0];
	struct conn_list list;
	int fd;

	p->client = tcp_connect(&self->rig.net.client, p->family, p->port, 0);
	ASSERT_LE(0, p->client);
	ASSERT_EQ(0, ns_enter(&self->rig.net.client));
	ASSERT_EQ(0, seteuid(65534));
	fd = socket_for(NULL);
	ASSERT_LE(0, fd);
	CHECK(conn_list(fd, &(struct conn_filter){ }, &list));
	ASSERT_EQ(0, list.error);
	ASSERT_EQ(1, list.n);
	EXPECT_TRUE(list.conn[0].hidden);
	EXPECT_FALSE(list.conn[0].owner.told);
	conn_list_free(&list);
	EXPECT_EQ(EPERM, ERROR(.pid = 1));
	EXPECT_EQ(EPERM, ERROR(.comm = "conn"));
	EXPECT_EQ(EPERM, ERROR(.all = true));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, ns_leave());
	close(fd);
}

TEST_HARNESS_MAIN
