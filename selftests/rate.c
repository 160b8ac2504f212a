// SPDX-License-Identifier: GPL-2.0
/*
 * Four processes that open and close connections as fast as they can, each on
 * a CPU of its own if there are as many: to one destination, and to many; with
 * the module and without, in turn. What it counted of each turn is exact. The
 * rates are printed beside each other, and not judged: they depend on what else
 * the host does. (They say what instructions do not: whether CPUs wait for each
 * other.) Every turn has a namespace of its own, so that none finds the
 * TIME_WAIT that others left.
 *
 * And as many that take each other's last ports: what is refused is counted, each
 * of them, by several CPUs at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"
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

/* How many sockets ss shows in TIME_WAIT. */
static int waiting(const struct ns *ns, uint64_t *n)
{
	if (run(ns, "ss -Htan state time-wait | wc -l"))
		return -1;
	*n = strtoull(output(), NULL, 10);
	return 0;
}

/*
 * What destinations were opened is what the traffic opened, those counted that had
 * none for the cap on them; and what of that is in TIME_WAIT is what ss shows.
 */
static int opened(const struct ns *ns, uint64_t connections)
{
	uint64_t opens, time_wait, before, after;
	struct summary summary;

	if (summary_read(ns, &summary) || waiting(ns, &before) ||
	    run(ns, "tcpstate-cli -j dest | "
		"jq -r '[(map(.opens) | add), (map(.time_wait) | add)] | join(\" \")'"))
		return -1;
	if (sscanf(output(), "%ju %ju", &opens, &time_wait) != 2)
		return fail("dest says %s", output());
	if (waiting(ns, &after))
		return -1;
	if (opens + summary.destinations_dropped != connections)
		return fail("%ju connections; %ju to %ju destinations, and %ju to none",
			    (uintmax_t)connections, (uintmax_t)opens,
			    (uintmax_t)summary.destinations,
			    (uintmax_t)summary.destinations_dropped);
	/* They only become fewer meanwhile. */
	if (!summary.destinations_dropped && (time_wait > before || time_wait < after))
		return fail("%ju in TIME_WAIT, where ss has %ju and then %ju",
			    (uintmax_t)time_wait, (uintmax_t)before, (uintmax_t)after);
	printf("# %ju opened to %ju destinations, %ju of them in TIME_WAIT; %ju to none\n",
	       (uintmax_t)opens, (uintmax_t)summary.destinations, (uintmax_t)time_wait,
	       (uintmax_t)summary.destinations_dropped);
	return 0;
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
			CHECK(opened(ns, self->traffic.done));
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

#define PORTS	6
/* A process opens so many, if there is a port for each. */
#define WANTED	4
#define TURNS	1000

FIXTURE(refused) {
	struct kmsg log;
	struct ns ns;
};

FIXTURE_SETUP(refused)
{
	self->ns.fd = -1;
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(module_load(NULL));
	CHECK(ns_new(&self->ns, NULL));
	CHECK(range_set(&self->ns, 40000, 40000 + PORTS - 1));
	CHECK(cheap_connections(&self->ns));
}

FIXTURE_TEARDOWN(refused)
{
	struct kmsg_allowed allowed = { .words = "tcpstate: netns " };

	ns_drop(&self->ns);
	EXPECT_OK(module_unload());
	EXPECT_OK(kmsg_check_allowing(&self->log, &allowed, 1));
}

/* What a process has been given and been refused. */
struct share {
	uint64_t opened, refused, bind_refused;
	bool done;
};

/* bind() to port 0 without SO_REUSEADDR. */
static int bind_once(const struct ns *ns, enum family family, uint64_t *refused)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family, "0.0.0.0", "::", 0);
	int fd = tcp_socket(ns, family), rc = 0;

	if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0))
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, len)) {
		if (errno == EADDRINUSE)
			++*refused;
		else
			rc = fail("bind: %m");
	}
	close(fd);
	return rc;
}

static int take_turns(const struct ns *ns, const struct target *target, struct share *share)
{
	struct crowd crowd = { };
	unsigned int i;
	int n;

	for (i = 0; i < TURNS; i++) {
		n = open_until_refused(ns, target, &crowd, WANTED);
		if (n < 0 || bind_once(ns, target->family, &share->bind_refused))
			return -1;
		share->opened += n;
		share->refused += n < WANTED;
		crowd_close(&crowd);
	}
	return 0;
}

TEST_F_TIMEOUT(refused, at_once, 300)
{
	struct share *shares = mmap(NULL, FAMILIES * WORKERS * sizeof(*shares),
				    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t refused = 0, bind_refused = 0;
	struct summary summary;
	pid_t pid[WORKERS];
	int f, i;

	ASSERT_NE(MAP_FAILED, shares);
	for (f = IPV4; f <= IPV6; f++) {
		struct target target = {
			.family = f, .local = true, .port = PORT, .deferred = true,
		};
		struct share sum = { };
		struct room room;

		fflush(NULL);
		for (i = 0; i < WORKERS; i++) {
			struct share *share = &shares[f * WORKERS + i];

			pid[i] = fork();
			ASSERT_LE(0, pid[i]);
			if (!pid[i]) {
				share->done = !take_turns(&self->ns, &target, share);
				if (!share->done)
					printf("# %s\n", why());
				exit(0);
			}
		}
		for (i = 0; i < WORKERS; i++) {
			struct share *share = &shares[f * WORKERS + i];

			ASSERT_EQ(0, wait_for_exit(pid[i]));
			ASSERT_TRUE(share->done);
			EXPECT_LT(0, share->refused);
			EXPECT_LT(0, share->bind_refused);
			sum.opened += share->opened;
			sum.refused += share->refused;
			sum.bind_refused += share->bind_refused;
		}
		TH_LOG("%ju opened, %ju connect() and %ju bind() refused",
		       (uintmax_t)sum.opened, (uintmax_t)sum.refused,
		       (uintmax_t)sum.bind_refused);
		CHECK(room_read(&self->ns, &target, &room));
		EXPECT_EQ(sum.opened, room.opens);
		EXPECT_EQ(sum.refused, room.failures);
		EXPECT_EQ(0, room.used);
		refused += sum.refused;
		bind_refused += sum.bind_refused;
		CHECK(summary_read(&self->ns, &summary));
		EXPECT_EQ(refused, summary.connect_failures);
		EXPECT_EQ(bind_refused, summary.bind_failures + summary.bind_missed);
	}
}

TEST_HARNESS_MAIN
