// SPDX-License-Identifier: GPL-2.0
/*
 * Records that cannot be had, for want of memory (which the module's debug
 * switch fail_adds feigns) or at a cap: they are counted, logged once, told by
 * the audit and made good by it, and no connection notices.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "traffic.h"
#include "util.h"

#define SECONDS		240
#define FAIL_ADDS	"/sys/module/tcpstate/parameters/fail_adds"
#define FOR_EVER	1000000
/* One of each family is there before, the others come when there is no memory. */
#define FIRST		2
#define REST		6
#define PAIRS		(FIRST + REST)

FIXTURE(alloc) {
	struct rig rig;
	struct pair p[PAIRS];
	bool quiet;		/* nothing is to be logged */
	bool seeding;		/* it failed while the module loaded */
};

/* How often the kernel's log tells of the walk that is a second after a load. */
static int second_walks(void)
{
	return run(NULL, "dmesg | grep -c 'tcpstate: .* missed at load' || :") ?
	       -1 : atoi(output());
}

FIXTURE_SETUP(alloc)
{
	int i, walks = second_walks();

	CHECK(rig_up(&self->rig, NULL));
	/* It would make good what a test has go missing. */
	ASSERT_TRUE(WAIT_FOR(second_walks() == walks + 1, PATIENCE_MS));
	for (i = 0; i < PAIRS; i++) {
		pair_init(&self->p[i], i % 2 ? IPV6 : IPV4, PORT + i % 2);
		if (i >= FIRST)
			self->p[i].listener = self->p[i % 2].listener;
		else
			CHECK(pair_open(&self->rig.net, &self->p[i]));
	}
}

FIXTURE_TEARDOWN(alloc)
{
	struct kmsg_allowed allowed[] = {
		{ .words = "could not be tracked" },
		{ .words = "had been missed at load" },	/* by the second walk */
	};
	int i;

	for (i = 0; i < PAIRS; i++) {
		close_fd(&self->p[i].client);
		close_fd(&self->p[i].server);
	}
	for (i = 0; i < FIRST; i++)
		close_fd(&self->p[i].listener);
	/* Once, however many there were. */
	EXPECT_OK(kmsg_check_allowing(&self->rig.log, allowed, self->seeding ? 2 : 1));
	EXPECT_EQ(self->quiet ? 0 : 1, allowed[0].seen);
	EXPECT_OK(rig_down(&self->rig));
}

#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)

static int fail_adds(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return file_write(FAIL_ADDS, text);
}

/* Ten bytes in either direction. */
static int data_flows(const struct pair *p)
{
	char bytes[10];

	if (send_bytes(p->client, 10) || wait_readable(p->server, 10) ||
	    send_bytes(p->server, 10) || wait_readable(p->client, 10))
		return -1;
	return recv(p->server, bytes, 10, 0) == 10 && recv(p->client, bytes, 10, 0) == 10 ?
	       0 : fail("not all data came");
}

static int open_rest(const struct net *net, struct pair p[])
{
	int i;

	for (i = FIRST; i < PAIRS; i++)
		if (pair_open(net, &p[i]) || data_flows(&p[i]))
			return -1;
	return data_flows(&p[0]) || data_flows(&p[1]) ? -1 : 0;
}

/* That many are missing and stay so; then they are added, and all is well again. */
static int still_missing(const struct ns *ns, uint64_t missing)
{
	struct verdict v;

	if (cli_audit(ns, &v))
		return -1;
	if (v.status != 1 || v.exact || v.missing || v.missing_now != missing)
		return fail("%ju should be missing now, the audit ended with %d: %s",
			    (uintmax_t)missing, v.status, output());
	return 0;
}

static int made_good(struct ns *ns, uint64_t missing)
{
	struct counters c;
	struct verdict v;

	if (cli_audit(ns, &v))
		return -1;
	if (v.missing != missing || v.missing_now || v.stale || v.exact != !missing ||
	    v.status != !!missing)
		return fail("%ju should be missing, the audit ended with %d: %s",
			    (uintmax_t)missing, v.status, output());
	if (audit(ns) || cli_read(ns, &c))
		return -1;
	ns->untracked = c.untracked;
	return c.inexact ? fail("%ju inexact after the audit", (uintmax_t)c.inexact) : 0;
}

TEST_F_TIMEOUT(alloc, no_memory, SECONDS)
{
	struct counters client, server;
	int i;

	CHECK(fail_adds(FOR_EVER));
	CHECK(open_rest(&self->rig.net, self->p));
	CHECK(cli_read(CLIENT, &client));
	CHECK(cli_read(SERVER, &server));
	ASSERT_EQ(FIRST, in_state(&client.now, ST_ESTABLISHED));
	ASSERT_EQ(FIRST, in_state(&server.now, ST_ESTABLISHED));
	/* Each failed twice: at its birth, and when it was established. */
	ASSERT_EQ(2 * REST, client.untracked);
	ASSERT_EQ(2 * REST, server.untracked);
	ASSERT_GE(client.inexact, REST);
	CHECK(still_missing(CLIENT, REST));
	CHECK(still_missing(SERVER, REST));
	CHECK(cli_read(CLIENT, &client));
	ASSERT_EQ(REST, client.inexact);

	CHECK(fail_adds(0));
	CHECK(made_good(CLIENT, REST));
	CHECK(made_good(SERVER, REST));
	CLIENT->seed[ST_ESTABLISHED] = REST;
	SERVER->seed[ST_ESTABLISHED] = REST;
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=4"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=4"));
	for (i = 0; i < PAIRS; i++) {
		CHECK(data_flows(&self->p[i]));
		CHECK(pair_to_time_wait(&self->p[i]));
	}
	CHECK(step(CLIENT, BOTH, "TIME_WAIT=4"));
	CHECK(step(SERVER, BOTH, "LISTEN=1"));
}

/* What is missing is found, and no more than that, while others come and go. */
TEST_F_TIMEOUT(alloc, missing_under_traffic, SECONDS)
{
	struct traffic traffic;
	uint64_t before;
	int i;

	CHECK(traffic_settings(CLIENT));
	CHECK(traffic_init(&traffic));
	CHECK(traffic_add_mixed(&traffic, CLIENT, 10, 20));
	ASSERT_TRUE(WAIT_FOR(traffic_done(&traffic) > 100, PATIENCE_MS));
	for (i = 0; i < 3; i++)
		CHECK(audit(CLIENT));
	CHECK(traffic_pause(&traffic));
	CHECK(fail_adds(FOR_EVER));
	CHECK(open_rest(&self->rig.net, self->p));
	CHECK(fail_adds(0));
	CHECK(traffic_resume(&traffic));
	before = traffic_done(&traffic);
	ASSERT_TRUE(WAIT_FOR(traffic_done(&traffic) > before + 100, PATIENCE_MS));
	CHECK(made_good(CLIENT, REST));
	CHECK(made_good(SERVER, REST));
	for (i = 0; i < 3; i++)
		CHECK(audit(CLIENT));
	TH_LOG("%ju connections meanwhile", (uintmax_t)(traffic_done(&traffic) - before));
	CHECK(traffic_stop(&traffic));
	for (i = 0; i < PAIRS; i++)
		CHECK(data_flows(&self->p[i]));
	CHECK(paused_as_ss(CLIENT));
	CHECK(audit(CLIENT));
}

/* Those of the rest that are the first of their family. */
#define EACH(each)	for (struct pair *(each) = self->p + FIRST; (each) < self->p + 2 * FIRST; \
			     (each)++)

/* The whole life of a connection without a record, and its mini-socket. */
TEST_F_TIMEOUT(alloc, no_memory_to_the_end, SECONDS)
{
	struct counters c;

	CHECK(fail_adds(FOR_EVER));
	EACH(p) {
		CHECK(pair_open(&self->rig.net, p));
		CHECK(pair_to_time_wait(p));
		CHECK(pair_open(&self->rig.net, p));
		CHECK(close_acknowledged(&p->client));
	}
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(FIRST, in_any(&c.now));
	CHECK(still_missing(CLIENT, 4));
	CHECK(fail_adds(0));
	CHECK(made_good(CLIENT, 4));
	CHECK(made_good(SERVER, 2));
	CLIENT->seed[ST_TIME_WAIT] = 2;
	CLIENT->seed[ST_FIN_WAIT2] = 2;
	SERVER->seed[ST_CLOSE_WAIT] = 2;
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=1 TIME_WAIT=1 FIN_WAIT2=1m"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=1 CLOSE_WAIT=1"));
	EACH(p)
		close_fd(&p->server);
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=1 TIME_WAIT=2"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=1"));
}

/* One that already has a record needs no memory to go on and to become a mini-socket. */
TEST_F_TIMEOUT(alloc, no_memory_needed, SECONDS)
{
	self->quiet = true;
	CHECK(fail_adds(FOR_EVER));
	CHECK(pair_to_time_wait(&self->p[0]));
	CHECK(pair_to_time_wait(&self->p[1]));
	CHECK(step(CLIENT, BOTH, "TIME_WAIT=1"));
	CHECK(step(SERVER, BOTH, "LISTEN=1"));
	CHECK(fail_adds(0));
}

/* The next event of a connection without a record gives it one. */
TEST_F_TIMEOUT(alloc, next_event_adds, SECONDS)
{
	struct counters c;

	EACH(p) {
		CHECK(fail_adds(1));
		CHECK(pair_open(&self->rig.net, p));
	}
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(2, c.untracked);
	ASSERT_LE(c.inexact, 2);
	CHECK(made_good(CLIENT, 0));
	CLIENT->late_adds = true;
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=2"));
	EACH(p)
		CHECK(pair_to_time_wait(p));
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=1 TIME_WAIT=1"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=1"));
}

/* Memory is short while the module loads. */
TEST_F_TIMEOUT(alloc, no_memory_to_seed, SECONDS)
{
	struct counters client, server;
	struct verdict v;

	self->seeding = true;
	CHECK(module_unload());
	CHECK(open_rest(&self->rig.net, self->p));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load("fail_adds=1000000"));
	CHECK(still_missing(CLIENT, PAIRS));
	CHECK(cli_read(CLIENT, &client));
	CHECK(cli_read(SERVER, &server));
	ASSERT_EQ(0, in_any(&client.now));
	ASSERT_EQ(0, in_any(&server.now));
	ASSERT_GE(client.untracked, PAIRS);
	ASSERT_GE(server.untracked, PAIRS + FIRST);
	CHECK(fail_adds(0));
	/* The second walk after load may be sooner than this audit. */
	CHECK(cli_audit(CLIENT, &v));
	CHECK(cli_audit(SERVER, &v));
	CHECK(made_good(CLIENT, 0));
	CHECK(made_good(SERVER, 0));
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=4"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=4"));
	CHECK(data_flows(&self->p[PAIRS - 1]));
}

#define FLOOD	400

/* Many connections of each family, and those in whose namespaces they are not. */
struct flood {
	int listener, client[FLOOD], server[FLOOD];
	struct ns other;
	struct pair pair;
};

static struct flood flood;

static int flood_begin(struct rig *rig, const char *parameters)
{
	int i, walks = second_walks();

	if (module_unload() || module_load(parameters) || ns_new(&flood.other, NULL))
		return -1;
	if (!WAIT_FOR(second_walks() == walks + 1, PATIENCE_MS))
		return fail("no second walk");
	pair_init(&flood.pair, IPV4, PORT);
	flood.listener = tcp_listen(&rig->net.server, IPV6, PORT + FIRST);
	for (i = 0; i < FLOOD; i++) {
		flood.client[i] = tcp_connect(&rig->net.client, i % FAMILIES, PORT + FIRST, 0);
		flood.server[i] = tcp_accept(flood.listener);
		if (flood.client[i] < 0 || flood.server[i] < 0)
			return -1;
	}
	if (send_bytes(flood.client[FLOOD - 1], 10) ||
	    wait_readable(flood.server[FLOOD - 1], 10))
		return -1;
	return pair_open_local(&flood.other, &flood.pair) || data_flows(&flood.pair) ? -1 : 0;
}

/* Not all there have a record: how many do, and that those without are told exactly. */
static int some_without(const struct ns *ns, uint64_t *with)
{
	struct counters c;
	struct verdict v;
	struct table ss;

	if (cli_audit(ns, &v) || cli_read(ns, &c) || ss_read(ns, &ss))
		return -1;
	*with = in_any(&c.now);
	if (v.exact || v.status != 1 || !v.missing_now || v.counted != *with ||
	    *with + v.missing_now != in_any(&ss))
		return fail("%ju of %ju sockets have a record, audit: %s", (uintmax_t)*with,
			    (uintmax_t)in_any(&ss), output());
	/* Each failed when it was made, and most once more. */
	if (c.inexact != v.missing_now || c.untracked < v.missing_now)
		return fail("%ju are missing, but %ju inexact, %ju untracked",
			    (uintmax_t)v.missing_now, (uintmax_t)c.inexact,
			    (uintmax_t)c.untracked);
	return 0;
}

/* When the flood is over, what is left has its records again. */
static int flood_end(struct rig *rig)
{
	struct counters c;
	struct verdict v;
	int i;

	for (i = 0; i < FLOOD - 10; i++)
		if (close_reset(&flood.client[i]) || close(flood.server[i]))
			return -1;
	if (cli_audit(&rig->net.client, &v) || cli_audit(&rig->net.server, &v) ||
	    made_good(&rig->net.client, 0) || made_good(&rig->net.server, 0) ||
	    cli_read(&rig->net.client, &c))
		return -1;
	if (in_state(&c.now, ST_ESTABLISHED) != FIRST + 10)
		return fail("%ju connections of %d are left",
			    (uintmax_t)in_state(&c.now, ST_ESTABLISHED), FIRST + 10);
	for (; i < FLOOD; i++)
		if (close_reset(&flood.client[i]) || close(flood.server[i]))
			return -1;
	return close(flood.listener);
}

static void flood_drop(void)
{
	pair_close(&flood.pair);
	ns_drop(&flood.other);
}

#define CAP_OF_ONE	200

/* It is reached in two namespaces; a third one is none the worse. */
TEST_F_TIMEOUT(alloc, cap_of_a_namespace, SECONDS)
{
	struct ns *other = &flood.other;
	uint64_t client, server;

	CHECK(flood_begin(&self->rig, "max_connections_netns=200"));
	CHECK(some_without(CLIENT, &client));
	CHECK(some_without(SERVER, &server));
	ASSERT_LE(client, CAP_OF_ONE);
	ASSERT_LE(server, CAP_OF_ONE);
	CHECK(step(other, ONLY_V4, "LISTEN=1 ESTABLISHED=2"));
	CHECK(pair_to_time_wait(&flood.pair));
	CHECK(step(other, ONLY_V4, "LISTEN=1 TIME_WAIT=1"));
	CHECK(audit(other));
	CHECK(flood_end(&self->rig));
	flood_drop();
}

#define CAP_OF_ALL	600

/*
 * Neither namespace reaches its own cap: the two together reach that of all, and a
 * third one, which comes later, has no record at all.
 */
TEST_F_TIMEOUT(alloc, cap_of_all, SECONDS)
{
	uint64_t client, server, none;
	struct counters c;

	CHECK(flood_begin(&self->rig, "max_connections=600 max_connections_netns=500"));
	CHECK(some_without(CLIENT, &client));
	CHECK(some_without(SERVER, &server));
	CHECK(some_without(&flood.other, &none));
	TH_LOG("%ju and %ju records of %d", (uintmax_t)client, (uintmax_t)server, CAP_OF_ALL);
	ASSERT_LE(client + server, CAP_OF_ALL);
	/* The rest is in stock, of which a CPU has some for either. */
	ASSERT_GT(client + server, CAP_OF_ALL / 2);
	ASSERT_EQ(0, none);
	CHECK(cli_read(&flood.other, &c));
	/* The listener failed once; either end when it was made, and when established. */
	ASSERT_EQ(1 + 2 * 2, c.untracked);
	ASSERT_EQ(3, c.inexact);
	CHECK(flood_end(&self->rig));
	CHECK(made_good(&flood.other, 3));
	CHECK(data_flows(&flood.pair));
	flood_drop();
}

TEST_HARNESS_MAIN
