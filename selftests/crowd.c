// SPDX-License-Identifier: GPL-2.0
/*
 * What is about TIME_WAIT's minute: that it ends by itself, and loading among
 * 100,000 of them and 10,000 in ESTABLISHED, under traffic. Meant for a machine
 * whose clock counts instructions. There, waiting costs nothing, and a minute
 * is long enough to make that many, whatever else the host is doing; but while
 * it waits for a disk, its time flies. So all is read first.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <unistd.h>

#include "every.h"
#include "kselftest_harness.h"
#include "traffic.h"
#include "util.h"

/*
 * A kernel that looks takes several times as long for each; and of TIME_WAITs the
 * first would end before the last is there.
 */
#define TIME_WAITS	(slowness() > 1 ? 50000 / slowness() : 100000)
#define ESTABLISHED	((int)(ESTABLISHED_MAX / slowness()))
#define ESTABLISHED_MAX	10000

FIXTURE(minute) {
	struct rig rig;
	struct pair pairs[FAMILIES];
};

FIXTURE_SETUP(minute)
{
	int f;

	for (f = IPV4; f < FAMILIES; f++)
		pair_init(&self->pairs[f], f, PORT + f);
	CHECK(rig_up(&self->rig, NULL));
}

FIXTURE_TEARDOWN(minute)
{
	int f;

	for (f = IPV4; f < FAMILIES; f++)
		pair_close(&self->pairs[f]);
	EXPECT_OK(rig_down(&self->rig));
}

TEST_F_TIMEOUT(minute, warm_up, 100000)
{
	CHECK(warm_up());
}

TEST_F_TIMEOUT(minute, time_wait_expires, 300)
{
	const struct ns *client = &self->rig.net.client;
	struct counters c;
	int f;

	/* The time of FIN_WAIT2 alone: TIME_WAIT's minute is none the shorter. */
	CHECK(sysctl_set(client, "net/ipv4/tcp_fin_timeout", "5"));
	for (f = IPV4; f < FAMILIES; f++) {
		CHECK(pair_open(&self->rig.net, &self->pairs[f]));
		CHECK(pair_to_time_wait(&self->pairs[f]));
	}
	CHECK(step(client, EACH_FAMILY, "TIME_WAIT=1"));
	ASSERT_TRUE(WAIT_FOR(!cli_read(client, &c) && c.oldest_ms[ST_TIME_WAIT] > 50000, 90000));
	CHECK(step(client, EACH_FAMILY, "TIME_WAIT=1"));
	CHECK(step(client, EACH_FAMILY, ""));
	CHECK(cli_read(client, &c));
	ASSERT_EQ(FAMILIES, c.expired);
	ASSERT_GE(c.dwell_max_ms[ST_TIME_WAIT], 59900);
	ASSERT_LE(c.dwell_max_ms[ST_TIME_WAIT], 65000);
	CHECK(edges(client, FAMILIES, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 "
		    "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1 "
		    "TIME_WAIT>CLOSE=1"));
}

FIXTURE(crowd) {
	struct kmsg log;
	struct ns ns;
	struct net net;
	struct traffic traffic;
	int fd[ESTABLISHED_MAX];
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
	uint64_t start, load_ms, tw, audit_ms, done;
	struct every every[FAMILIES];
	struct counters c;

	CHECK(net_new(&self->net));
	CHECK(hold_established(&self->ns, self->fd));
	start = now_ms();
	CHECK(start_workers(&self->traffic, &self->ns, &fill));
	/* TIME_WAIT ends after a minute: what is slower than this never gets there. */
	ASSERT_TRUE(WAIT_FOR(time_waits(&self->ns) >= TIME_WAITS * 11 / 10, 70000))
		TH_LOG("only %ju in TIME_WAIT", (uintmax_t)time_waits(&self->ns));
	CHECK(traffic_stop(&self->traffic));
	TH_LOG("%ju in TIME_WAIT after %ju ms", (uintmax_t)time_waits(&self->ns),
	       (uintmax_t)(now_ms() - start));
	CHECK(every_state_reach(&self->net, every));
	CHECK(ns_note_seed(&self->net.client));
	CHECK(ns_note_seed(&self->net.server));
	CHECK(start_workers(&self->traffic, &self->ns, &churn));
	ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > 500, PATIENCE_MS));

	tw = time_waits(&self->ns);
	start = now_ms();
	done = traffic_done(&self->traffic);
	CHECK(module_load(NULL));
	done = traffic_done(&self->traffic) - done;
	load_ms = now_ms() - start;
	ASSERT_GE(tw, TIME_WAITS);
	/* There is one CPU, which the load leaves to them wherever it waits. */
	ASSERT_GT(done, 0);
	start = now_ms();
	CHECK(audit_all());
	audit_ms = now_ms() - start;
	CHECK(cli_read(&self->ns, &c));
	TH_LOG("loaded in %ju ms with %ju TIME_WAIT and %ju ESTABLISHED; the audit took %ju ms",
	       (uintmax_t)load_ms, (uintmax_t)tw, (uintmax_t)in_state(&c.now, ST_ESTABLISHED),
	       (uintmax_t)audit_ms);
	TH_LOG("%ju connections while it was loaded", (uintmax_t)done);
	ASSERT_GE(in_state(&c.now, ST_ESTABLISHED), ESTABLISHED);
	ASSERT_EQ(0, c.untracked + c.inexact);
	CHECK(step(&self->net.client, EACH_FAMILY, EVERY_CLIENT));
	CHECK(step(&self->net.server, EACH_FAMILY, EVERY_SERVER));

	CHECK(traffic_pause(&self->traffic));
	CHECK(paused_as_ss(&self->ns));
	CHECK(traffic_resume(&self->traffic));
	CHECK(traffic_stop(&self->traffic));
	CHECK(audit(&self->ns));
	start = now_ms();
	CHECK(module_unload());
	TH_LOG("unloaded in %ju ms", (uintmax_t)(now_ms() - start));
}

TEST_HARNESS_MAIN
