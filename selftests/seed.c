// SPDX-License-Identifier: GPL-2.0
/*
 * Loading on a machine that already has connections: some in every state, and
 * very many under traffic.
 */
#define _GNU_SOURCE
#include <linux/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "traffic.h"
#include "util.h"

FIXTURE(seed) {
	struct kmsg log;
	struct net net;
};

FIXTURE_VARIANT(seed) {
	enum family family;
};

FIXTURE_VARIANT_ADD(seed, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(seed, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(seed, mapped) { .family = MAPPED };

FIXTURE_SETUP(seed)
{
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(net_new(&self->net));
}

FIXTURE_TEARDOWN(seed)
{
	if (module_loaded())
		EXPECT_OK(module_unload());
	net_drop(&self->net);
	EXPECT_OK(kmsg_check(&self->log));
}

#define CLIENT	(&self->net.client)
#define SERVER	(&self->net.server)

static int fast_open(const struct net *net, enum family family, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, family, port);
	int fd = tcp_socket(&net->client, family);

	if (fd < 0 || set_nonblocking(fd, true))
		return -1;
	sendto(fd, "0123456789", 10, MSG_FASTOPEN, (struct sockaddr *)&to, len);
	return fd;
}

/*
 * A connection or more in each of the twelve states but CLOSE. Nothing moves
 * for a while: what could, waits for an answer that is held or lost.
 */
#define EVERY_CLIENT	"ESTABLISHED=1 SYN_SENT=2 FIN_WAIT1=1 FIN_WAIT2=2 FIN_WAIT2=1m "	\
			"TIME_WAIT=1 CLOSING=1 CLOSE_WAIT=1"
#define EVERY_SERVER	"LISTEN=1 ESTABLISHED=1 SYN_RECV=1 NEW_SYN_RECV=1 CLOSE_WAIT=3 "	\
			"LAST_ACK=1 FIN_WAIT2=1 TIME_WAIT=1"

enum { ALIVE, CROSSED, FULL, HALF, MINI, TIMED, PASSIVE, LASTACK, PAIRS };

static int reach_every_state(const struct net *net, enum family family, struct pair p[PAIRS],
			     int half_open[2])
{
	int i;

	if (sysctl_set(&net->client, "net/ipv4/tcp_fastopen", "5") ||
	    sysctl_set(&net->server, "net/ipv4/tcp_fastopen", "1538"))
		return -1;
	p[0].listener = tcp_listen(&net->server, family, PORT);
	for (i = 0; i < PAIRS; i++) {
		p[i].listener = p[0].listener;
		if (pair_open(net, family, &p[i]))
			return -1;
	}
	if (pair_to_time_wait(&p[TIMED]))
		return -1;
	shutdown(p[FULL].client, SHUT_WR);
	shutdown(p[LASTACK].client, SHUT_WR);
	close_fd(&p[MINI].client);
	shutdown(p[PASSIVE].server, SHUT_WR);
	if (ss_shows(&net->client, -1, "ESTABLISHED=3 FIN_WAIT2=2 FIN_WAIT2=1m TIME_WAIT=1 "
		     "CLOSE_WAIT=1"))
		return -1;
	/* FINs that cross; their acknowledgements are held. */
	if (wire(&net->client, DELAY) || wire(&net->server, DELAY))
		return -1;
	shutdown(p[CROSSED].client, SHUT_WR);
	shutdown(p[CROSSED].server, SHUT_WR);
	if (wire(&net->client, HOLD) || wire(&net->server, HOLD) ||
	    ss_shows(&net->client, -1, "ESTABLISHED=2 FIN_WAIT2=2 FIN_WAIT2=1m TIME_WAIT=1 "
		     "CLOSE_WAIT=1 CLOSING=1"))
		return -1;
	/* From here on what the server says is lost. */
	if (wire(&net->server, LOSE) || wire(&net->client, PASS))
		return -1;
	shutdown(p[HALF].client, SHUT_WR);
	shutdown(p[LASTACK].server, SHUT_WR);
	half_open[0] = tcp_dial(&net->client, family, PORT, 0);
	half_open[1] = fast_open(net, family, PORT);
	if (half_open[0] < 0 || half_open[1] < 0)
		return -1;
	return ss_shows(&net->client, -1, EVERY_CLIENT) ||
	       ss_shows(&net->server, -1, EVERY_SERVER) ? -1 : 0;
}

TEST_F_TIMEOUT(seed, every_state, 240)
{
	struct pair p[PAIRS];
	struct counters c;
	int half_open[2], i;

	for (i = 0; i < PAIRS; i++)
		p[i] = NO_PAIR;
	CHECK(reach_every_state(&self->net, variant->family, p, half_open));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load(NULL));
	CHECK(step(CLIENT, column(variant->family), EVERY_CLIENT));
	CHECK(step(SERVER, -1, EVERY_SERVER));
	CHECK(audit(CLIENT));
	CHECK(audit(SERVER));
	/* How long they have been there is not known, and none of it is counted. */
	CHECK(cli_read(CLIENT, &c));
	for (i = 1; i < NSTATES; i++) {
		EXPECT_EQ(0, c.dwell_max_ms[i])
			TH_LOG("%s", state_name[i]);
	}
	/* Everything goes on to its end. */
	CHECK(wire(SERVER, PASS));
	CHECK(step(SERVER, -1, "LISTEN=1 ESTABLISHED=3 CLOSE_WAIT=3 TIME_WAIT=1 FIN_WAIT2=1"));
	for (i = 0; i < PAIRS; i++) {
		close_fd(&p[i].client);
		close_fd(&p[i].server);
	}
	close(half_open[0]);
	close(half_open[1]);
	close_fd(&p[0].listener);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	CHECK(audit(CLIENT));
	CHECK(audit(SERVER));
}

#define TIME_WAITS	100000
#define ESTABLISHED	10000

FIXTURE(crowd) {
	struct kmsg log;
	struct ns ns;
	struct net net;
	struct traffic traffic;
	int fd[ESTABLISHED];
};

FIXTURE_SETUP(crowd)
{
	struct rlimit limit = { ESTABLISHED + 1000, ESTABLISHED + 1000 };

	self->net.client.fd = -1;
	self->net.server.fd = -1;
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(ns_new(&self->ns, NULL));
	CHECK(traffic_settings(&self->ns));
	CHECK(traffic_init(&self->traffic));
}

FIXTURE_TEARDOWN(crowd)
{
	if (self->traffic.workers)
		traffic_stop(&self->traffic);
	if (module_loaded())
		EXPECT_OK(module_unload());
	ns_drop(&self->ns);
	net_drop(&self->net);
	EXPECT_OK(kmsg_check(&self->log));
}

static uint64_t time_waits(const struct ns *ns)
{
	uint64_t n;

	return sockstat(ns, "tw", &n) ? 0 : n;
}

static int hold_established(const struct ns *ns, int fd[])
{
	int listener = tcp_listen(ns, IPV6, PORT + 100), i;

	for (i = 0; i < ESTABLISHED; i += 2) {
		fd[i] = tcp_connect_local(ns, i % 4 ? IPV4 : IPV6, PORT + 100);
		fd[i + 1] = tcp_accept(listener);
		if (fd[i] < 0 || fd[i + 1] < 0)
			return -1;
	}
	return 0;
}

static int start_workers(struct traffic *t, const struct ns *ns,
			 const struct traffic_spec *spec)
{
	int i;

	if (traffic_init(t))
		return -1;
	for (i = 0; i < 4; i++)
		if (traffic_add(t, ns, PORT + 10 * i, spec))
			return -1;
	return 0;
}

TEST_F_TIMEOUT(crowd, loads_among_many, 600)
{
	static const struct traffic_spec fill = {
		.ends = END_CLIENT_FIRST | END_SERVER_FIRST, .destinations = 40000,
		.ipv6_every = 8,
	};
	static const struct traffic_spec churn = {
		.ends = END_ANY, .destinations = 40000, .ipv6_every = 8, .window = 32,
	};
	uint64_t start, load_ms, tw, audit_ms;
	struct pair p[PAIRS];
	struct counters c;
	int half_open[2], i;

	for (i = 0; i < PAIRS; i++)
		p[i] = NO_PAIR;
	CHECK(net_new(&self->net));
	CHECK(hold_established(&self->ns, self->fd));
	start = now_ms();
	CHECK(start_workers(&self->traffic, &self->ns, &fill));
	/* TIME_WAIT ends after a minute: what is slower than this never gets there. */
	ASSERT_TRUE(WAIT_FOR(time_waits(&self->ns) >= TIME_WAITS * 11 / 10, 150000))
		TH_LOG("only %ju in TIME_WAIT", (uintmax_t)time_waits(&self->ns));
	CHECK(traffic_stop(&self->traffic));
	TH_LOG("%ju in TIME_WAIT after %ju ms", (uintmax_t)time_waits(&self->ns),
	       (uintmax_t)(now_ms() - start));
	CHECK(reach_every_state(&self->net, IPV4, p, half_open));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(start_workers(&self->traffic, &self->ns, &churn));
	ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > 500, PATIENCE_MS));

	tw = time_waits(&self->ns);
	start = now_ms();
	CHECK(module_load(NULL));
	load_ms = now_ms() - start;
	ASSERT_GE(tw, TIME_WAITS);
	start = now_ms();
	CHECK(run(NULL, "tcpstate-cli -a audit"));
	CHECK(audit(&self->ns));
	audit_ms = now_ms() - start;
	CHECK(cli_read(&self->ns, &c));
	TH_LOG("loaded in %ju ms with %ju in TIME_WAIT and %ju in ESTABLISHED; two audits took %ju ms",
	       (uintmax_t)load_ms, (uintmax_t)tw, (uintmax_t)in_state(&c.now, ST_ESTABLISHED),
	       (uintmax_t)audit_ms);
	ASSERT_GE(in_state(&c.now, ST_ESTABLISHED), ESTABLISHED);
	ASSERT_EQ(0, c.untracked + c.inexact);
	CHECK(step(CLIENT, V4, EVERY_CLIENT));
	CHECK(step(SERVER, V4, EVERY_SERVER));

	CHECK(traffic_pause(&self->traffic));
	CHECK(between_two_ss(&self->ns));
	CHECK(traffic_resume(&self->traffic));
	CHECK(traffic_stop(&self->traffic));
	CHECK(audit(&self->ns));
	start = now_ms();
	CHECK(module_unload());
	TH_LOG("unloaded in %ju ms", (uintmax_t)(now_ms() - start));
}

TEST_HARNESS_MAIN
