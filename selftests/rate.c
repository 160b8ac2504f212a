// SPDX-License-Identifier: GPL-2.0
/*
 * Four processes that open and close connections as fast as they can, each on
 * a CPU of its own if there are as many: to one destination, and to many; with
 * the module and without, in turn. What it counted of each turn is exact. The
 * rates are printed beside each other, and not judged: they depend on what else
 * the host does. (They say what instructions do not: whether CPUs wait for each
 * other.) Every turn has a namespace of its own, so that none finds the
 * TIME_WAIT that others left.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "traffic.h"
#include "util.h"

#define WORKERS		4
#define ROUNDS_MAX	32
/* Before a turn is timed, so that everyone is at it. */
#define RUN_IN		200

enum { WITHOUT, WITH, NEITHER };

FIXTURE(rate) {
	struct kmsg log;
	struct ns ns[2];
	struct traffic traffic;
};

FIXTURE_VARIANT(rate) {
	const char *name;
	struct traffic_spec spec;
	bool shared;		/* all workers go to the same port */
};

FIXTURE_VARIANT_ADD(rate, one) {
	.name = "one", .shared = true,
	.spec = { .ends = END_CLIENT_FIRST, .destinations = 1 },
};

FIXTURE_VARIANT_ADD(rate, many) {
	.name = "many",
	.spec = { .ends = END_CLIENT_FIRST, .destinations = 40000 },
};

FIXTURE_SETUP(rate)
{
	self->ns[0].fd = -1;
	self->ns[1].fd = -1;
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
}

FIXTURE_TEARDOWN(rate)
{
	if (self->traffic.workers)
		traffic_stop(&self->traffic);
	ns_drop(&self->ns[0]);
	ns_drop(&self->ns[1]);
	if (module_loaded())
		EXPECT_OK(module_unload());
	EXPECT_OK(kmsg_check(&self->log));
}

/*
 * Every connection went the same way, each step of it once; but when a FIN
 * overtakes the handshake's last ACK on another CPU, both may make a socket of
 * the one request: the kernel closes the later one at once (found_dup_sk in
 * inet_ehash_nolisten()).
 */
static int counted(const struct ns *ns, uint64_t connections)
{
	static const struct {
		int from, to;
	} way[] = {
		{ ST_CLOSE, ST_SYN_SENT }, { ST_SYN_SENT, ST_ESTABLISHED },
		{ ST_CLOSE, ST_SYN_RECV }, { ST_SYN_RECV, ST_ESTABLISHED },
		{ ST_ESTABLISHED, ST_FIN_WAIT1 }, { ST_FIN_WAIT1, ST_FIN_WAIT2 },
		{ ST_FIN_WAIT2, ST_TIME_WAIT }, { ST_ESTABLISHED, ST_CLOSE_WAIT },
		{ ST_CLOSE_WAIT, ST_LAST_ACK }, { ST_LAST_ACK, ST_CLOSE },
	};
	uint64_t undone;
	struct counters c;
	size_t i;

	if (cli_read(ns, &c))
		return -1;
	undone = c.edge[ST_SYN_RECV][ST_CLOSE];
	c.edge[ST_CLOSE][ST_SYN_RECV] -= undone;
	for (i = 0; i < ARRAY_SIZE(way); i++)
		if (c.edge[way[i].from][way[i].to] != connections)
			return fail("%ju connections, but %ju moves %s>%s, %ju sockets undone",
				    (uintmax_t)connections,
				    (uintmax_t)c.edge[way[i].from][way[i].to],
				    state_name[way[i].from], state_name[way[i].to],
				    (uintmax_t)undone);
	c.edge[ST_CLOSE][ST_SYN_RECV] += undone;
	if (undone)
		printf("# sockets made of a request that had become one already: %ju\n",
		       (uintmax_t)undone);
	if (c.untracked || c.inexact)
		return fail("%ju untracked, %ju inexact", (uintmax_t)c.untracked,
			    (uintmax_t)c.inexact);
	return balanced(ns, &c);
}

/* How many connections a second were made and closed between two looks. */
static double speed(struct traffic *t, uint64_t ms)
{
	uint64_t first = traffic_done(t), since = now_ms(), left;

	while ((left = since + ms - now_ms()) <= ms)
		poll(NULL, 0, left);
	return (traffic_done(t) - first) * 1000.0 / (now_ms() - since);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *of, unsigned int n)
{
	qsort(of, n, sizeof(*of), compare);
	return n % 2 ? of[n / 2] : (of[n / 2 - 1] + of[n / 2]) / 2;
}

TEST_F_TIMEOUT(rate, with_and_without, 900)
{
	unsigned int rounds = atoi(from_env("RATE_ROUNDS", "2")), turn, which, i;
	uint64_t ms = atoi(from_env("RATE_MS", "1000"));
	double rate[NEITHER][ROUNDS_MAX], without, with;

	ASSERT_TRUE(rounds > 0 && rounds <= ROUNDS_MAX && ms > 0);
	for (turn = 0; turn < rounds * NEITHER; turn++) {
		struct ns *ns = &self->ns[turn % 2];

		/* Without, with, with, without: what drifts is the same for both. */
		which = (turn + turn / NEITHER) % NEITHER;
		if (which == WITH)
			CHECK(module_load(NULL));
		CHECK(ns_new(ns, NULL));
		CHECK(traffic_settings(ns));
		CHECK(traffic_init(&self->traffic));
		for (i = 0; i < WORKERS; i++)
			CHECK(traffic_add(&self->traffic, ns, PORT + (variant->shared ? 0 : i),
					  &variant->spec));
		/* Not while functions are being hooked: ending it runs them. */
		ns_drop(&self->ns[!(turn % 2)]);
		ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > RUN_IN, PATIENCE_MS));
		rate[which][turn / NEITHER] = speed(&self->traffic, ms);
		if (which == WITH)
			CHECK(audit(ns));
		CHECK(traffic_stop(&self->traffic));
		if (which == WITH) {
			CHECK(counted(ns, self->traffic.done));
			CHECK(paused_as_ss(ns));
			CHECK(audit_all());
			CHECK(module_unload());
		}
	}
	without = median(rate[WITHOUT], rounds);
	with = median(rate[WITH], rounds);
	TH_LOG("connections a second, %s: %.0f without the module, %.0f with it (%+.1f %%)",
	       variant->shared ? "all to one destination" : "each to another destination",
	       without, with, (with / without - 1) * 100);
	printf("# value rate.%s %.0f %.0f %ld %u\n", variant->name, without, with,
	       sysconf(_SC_NPROCESSORS_ONLN), rounds);
	fflush(stdout);
}

TEST_HARNESS_MAIN
