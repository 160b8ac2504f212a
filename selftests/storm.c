// SPDX-License-Identifier: GPL-2.0
/*
 * Connections without end from several processes in four namespaces, while
 * the module is loaded and unloaded: after every load it is exact, and when all
 * pause it is what ss shows.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "traffic.h"
#include "util.h"

#define NAMESPACES	4
#define DESTINATIONS	100
#define WINDOW		40
/* A kernel that looks takes several times as long for each. */
#define LOADS		(50 / slowness())
#define CONNECTIONS	(50000 / slowness())

/*
 * Full speed between loads. Where virtual CPUs take turns (see settings),
 * hooking a function, which interrupts all of them, waits for a turn of each
 * CPU that is busy: while the module comes and goes the workers rest, for as
 * long as a connection takes or so, but every tenth time. smp.sh has them never
 * rest (STORM_REST_US), for fewer loads (STORM_LOADS).
 */
#define REST_US		"2000"
#define CONNECTIONS_PER_LOAD	600

FIXTURE(storm) {
	struct kmsg log;
	struct ns ns[NAMESPACES];
	struct traffic traffic;
};

FIXTURE_SETUP(storm)
{
	int i;

	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(traffic_up(&self->traffic, self->ns, NAMESPACES, DESTINATIONS, WINDOW));
	for (i = 0; i < NAMESPACES; i++) {
		self->ns[i].late_adds = true;
		self->ns[i].seed_unknown = true;
	}
}

FIXTURE_TEARDOWN(storm)
{
	EXPECT_OK(traffic_down(&self->traffic, self->ns, NAMESPACES));
	EXPECT_OK(kmsg_check(&self->log));
}

/* Exact in every namespace, with traffic going on, and nothing had to be added. */
static int exact_everywhere(const struct ns ns[])
{
	struct counters *list;
	size_t n, i;
	int rc;

	rc = audit_all() || cli_read_all(&list, &n) ? -1 : 0;
	if (rc)
		return rc;
	for (i = 0; i < NAMESPACES && !rc; i++) {
		const struct counters *c = counters_of(list, n, &ns[i]);

		if (!c)
			rc = -1;
		else if (c->untracked || c->inexact || !in_any(&c->now))
			rc = fail("%ju untracked, %ju inexact, %ju sockets",
				  (uintmax_t)c->untracked, (uintmax_t)c->inexact,
				  (uintmax_t)in_any(&c->now));
	}
	free(list);
	return rc;
}

static int quiet_as_ss(struct traffic *t, struct ns ns[])
{
	int i, rc = 0;

	if (traffic_pause(t))
		return -1;
	for (i = 0; i < NAMESPACES && !rc; i++)
		rc = paused_as_ss(&ns[i]);
	return traffic_resume(t) ? -1 : rc;
}

/*
 * With so few ports each has been had when connect() comes to it again, and with such a
 * rest most of them not in the last second, when it could not have its TIME_WAIT.
 */
#define FEW_PORTS	"20000 20399"
#define FEW_PORTS_REST_US	5000

/* How many were recycled in each namespace, by the kernel's account and by ours. */
static int recycled(struct traffic *t, const struct ns ns[], uint64_t kernel[], uint64_t ours[])
{
	struct counters c;
	int i, rc;

	rc = traffic_pause(t);
	for (i = 0; i < NAMESPACES && !rc; i++) {
		rc = nstat(&ns[i], "TcpExtTWRecycled", &kernel[i]) || cli_read(&ns[i], &c) ? -1 : 0;
		ours[i] = c.recycled;
	}
	return traffic_resume(t) ? -1 : rc;
}

static bool all_recycle(const struct ns ns[], const uint64_t before[])
{
	uint64_t now;
	int i;

	for (i = 0; i < NAMESPACES; i++)
		if (nstat(&ns[i], "TcpExtTWRecycled", &now) || now == before[i])
			return false;
	return true;
}

static int recycled_as_nstat(struct traffic *t, const struct ns ns[])
{
	uint64_t before[NAMESPACES], kernel[NAMESPACES], since[NAMESPACES], ours[NAMESPACES];
	int i;

	if (recycled(t, ns, before, since))
		return -1;
	traffic_rest(t, FEW_PORTS_REST_US);
	for (i = 0; i < NAMESPACES; i++)
		if (sysctl_set(&ns[i], "net/ipv4/ip_local_port_range", FEW_PORTS))
			return -1;
	if (!WAIT_FOR(all_recycle(ns, before), 2 * PATIENCE_MS))
		return fail("connect() recycles nothing");
	if (recycled(t, ns, kernel, ours))
		return -1;
	for (i = 0; i < NAMESPACES; i++)
		if (kernel[i] - before[i] != ours[i] - since[i])
			return fail("nstat has %ju more recycled, tcpstate %ju",
				    (uintmax_t)(kernel[i] - before[i]),
				    (uintmax_t)(ours[i] - since[i]));
	return 0;
}

TEST_F_TIMEOUT(storm, loads_and_unloads, 1500)
{
	unsigned int loads = strtoul(from_env("STORM_LOADS", "0"), NULL, 10) ? :
			     *from_env("TCPSTATE_QUICK", "") ? LOADS * 2 / 5 : LOADS;
	unsigned int rest_us = atoi(from_env("STORM_REST_US", REST_US));
	unsigned int full_speed_every = loads > 10 ? 10 : 4, load;
	uint64_t connections = (uint64_t)CONNECTIONS * loads / LOADS;
	uint64_t start = now_ms(), done, during, least = UINT64_MAX;
	int i;

	for (load = 1; load <= loads || traffic_done(&self->traffic) < connections; load++) {
		uint64_t before = traffic_done(&self->traffic);
		unsigned int rest = load % full_speed_every ? rest_us : 0;

		traffic_rest(&self->traffic, rest);
		during = traffic_done(&self->traffic);
		CHECK(module_load(NULL));
		during = traffic_done(&self->traffic) - during;
		ASSERT_GT(during, 0) TH_LOG("load %u met no traffic", load);
		least = during < least ? during : least;
		traffic_rest(&self->traffic, 0);
		CHECK(exact_everywhere(self->ns));
		CHECK(quiet_as_ss(&self->traffic, self->ns));
		if (load % full_speed_every == 0)
			TH_LOG("%u loads, %ju connections, %ju ms", load,
			       (uintmax_t)traffic_done(&self->traffic),
			       (uintmax_t)(now_ms() - start));
		ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > before + CONNECTIONS_PER_LOAD,
				     PATIENCE_MS));
		traffic_rest(&self->traffic, rest);
		CHECK(module_unload());
	}
	CHECK(module_load(NULL));
	CHECK(recycled_as_nstat(&self->traffic, self->ns));
	done = traffic_done(&self->traffic);
	CHECK(traffic_stop(&self->traffic));
	TH_LOG("%ju connections, at least %ju of them during each load, %u loads, %ju ms",
	       (uintmax_t)done, (uintmax_t)least, load, (uintmax_t)(now_ms() - start));
	/* Quiet: what is left is TIME_WAIT, and ends by and by. */
	for (i = 0; i < NAMESPACES; i++)
		CHECK(paused_as_ss(&self->ns[i]));
	CHECK(audit_all());
}

TEST_HARNESS_MAIN
