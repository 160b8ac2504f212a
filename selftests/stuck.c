// SPDX-License-Identifier: GPL-2.0
/*
 * Teardowns that do not get on: FIN_WAIT1, CLOSING and LAST_ACK for longer than
 * their retransmissions explain, and what a process holds half-closed. They are
 * shown as stuck once they are that old, and those that are younger, in the same
 * state, are not. Orphans are as many as in /proc/net/sockstat.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "util.h"

#define SECONDS		600
#define LOCAL_PORT	(PORT + 10)
/* One retransmission, and the longest time-out. */
#define RETRIES		"1"
#define MANY		"15"
#define LIMIT_MS	(200 + 400 + 120000)
/*
 * As Documentation/networking/ip-sysctl.rst has them of the kernel's defaults: 15 for
 * what has a process, 8 for an orphan; the last time-out is waited for, too.
 */
#define GIVES_UP_MS		924600
#define ORPHAN_GIVES_UP_MS	102200
#define LAST_MS			120000
/* 40 s, and an eighth. */
#define FIN_TIMEOUT	"40"
#define FIN_WAIT2_MS	45000
#define YOUNG_MS	20000

enum { OLD, YOUNG, AGES };

/* How they end up, over a wire that carries nothing from the client any more. */
enum kind {
	K_FIN_WAIT1,	/* FIN_WAIT1; ESTABLISHED */
	K_CLOSING,	/* CLOSING; FIN_WAIT1 */
	K_LAST_ACK,	/* TIME_WAIT; LAST_ACK */
	KINDS
};

/* Each of these is an orphan, at one end or at both. */
#define ORPHANS_OF_AN_AGE	(4 * FAMILIES)

FIXTURE(stuck) {
	struct rig rig;
	int listener[FAMILIES], local[FAMILIES];
	struct pair wire[AGES][KINDS][FAMILIES];
	struct pair half[AGES][FAMILIES];	/* in the client's namespace alone */
	struct pair left[FAMILIES];		/* likewise, but by nobody half-closed */
	struct pair held[FAMILIES];		/* a FIN that is not acknowledged, and a file */
	uint64_t others;			/* orphans that are none of ours */
};

#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)
#define EACH(f)	for (int (f) = IPV4; (f) < FAMILIES; (f)++)

/* How many retransmissions what has a process may have from now on, and an orphan. */
static int retries(const struct net *net, const char *held, const char *orphan)
{
	return sysctl_set(&net->client, "net/ipv4/tcp_retries2", held) ||
	       sysctl_set(&net->server, "net/ipv4/tcp_retries2", held) ||
	       sysctl_set(&net->client, "net/ipv4/tcp_orphan_retries", orphan) ||
	       sysctl_set(&net->server, "net/ipv4/tcp_orphan_retries", orphan) ? -1 : 0;
}

static int open_one(struct pair *p, int listener, int client)
{
	p->client = client;
	p->server = client < 0 ? -1 : tcp_accept(listener);
	return p->server < 0 ? -1 : 0;
}

FIXTURE_SETUP(stuck)
{
	int age, kind;

	CHECK(rig_up(&self->rig, NULL));
	CHECK(sockstat(NULL, "orphan", &self->others));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fin_timeout", FIN_TIMEOUT));
	/* Who is still there is told by fewer retransmissions than who has gone makes. */
	CHECK(retries(&self->rig.net, RETRIES, MANY));
	EACH(f) {
		self->listener[f] = tcp_listen(SERVER, f, PORT + f);
		self->local[f] = tcp_listen(CLIENT, f, LOCAL_PORT + f);
		ASSERT_LE(0, self->listener[f]);
		ASSERT_LE(0, self->local[f]);
		pair_init(&self->held[f], f, PORT + f);
		pair_init(&self->left[f], f, LOCAL_PORT + f);
		for (age = 0; age < AGES; age++) {
			pair_init(&self->half[age][f], f, LOCAL_PORT + f);
			for (kind = 0; kind < KINDS; kind++)
				pair_init(&self->wire[age][kind][f], f, PORT + f);
		}
	}
}

FIXTURE_TEARDOWN(stuck)
{
	int age, kind;

	EACH(f) {
		for (age = 0; age < AGES; age++) {
			pair_close(&self->half[age][f]);
			for (kind = 0; kind < KINDS; kind++)
				pair_close(&self->wire[age][kind][f]);
		}
		pair_close(&self->left[f]);
		pair_close(&self->held[f]);
		close_fd(&self->listener[f]);
		close_fd(&self->local[f]);
	}
	EXPECT_OK(rig_down_alerted(&self->rig));
}

/* What 'conn stuck' lists: how many of each state, and the youngest's age. */
struct listed {
	uint64_t n[NSTATES], all, youngest_ms;
};

static int conn_stuck(const struct ns *ns, const char *filters, struct listed *l)
{
	struct json_object *list, *o;
	char arguments[128];
	int status, s, rc = 0;
	size_t i;

	memset(l, 0, sizeof(*l));
	l->youngest_ms = UINT64_MAX;
	snprintf(arguments, sizeof(arguments), "-j conn stuck %s", filters);
	list = cli_json(ns, arguments, &status);
	if (!list)
		return -1;
	if (status || !json_object_is_type(list, json_type_array))
		rc = fail("'conn stuck' ended with %d: %s", status, output());
	for (i = 0; !rc && i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		uint64_t age = 0;

		if (json_object_object_get_ex(row, "age_ms", &o))
			age = json_object_get_uint64(o);
		if (age < l->youngest_ms)
			l->youngest_ms = age;
		if (!json_object_object_get_ex(row, "state", &o))
			rc = fail("'conn stuck' tells no state");
		for (s = 1; !rc && s < NSTATES; s++)
			l->n[s] += !strcmp(state_name[s], json_object_get_string(o));
		l->all++;
	}
	json_object_put(list);
	return rc;
}

static int orphans_as_sockstat(uint64_t expected)
{
	uint64_t before, after, told = 0;
	struct json_object *state, *o;
	int status, rc = 0;

	if (!WAIT_FOR(!sockstat(NULL, "orphan", &before) && before == expected, PATIENCE_MS))
		return fail("/proc/net/sockstat has %ju orphans, not %ju", (uintmax_t)before,
			    (uintmax_t)expected);
	state = cli_json(NULL, "-j state", &status);
	if (!state)
		return -1;
	if (!json_object_object_get_ex(state, "orphans", &o) ||
	    !json_object_object_get_ex(o, "count", &o))
		rc = fail("no orphans in 'state'");
	else
		told = json_object_get_uint64(o);
	json_object_put(state);
	if (rc || sockstat(NULL, "orphan", &after))
		return -1;
	return told == before || told == after ? 0 :
	       fail("'state' tells of %ju orphans, sockstat of %ju", (uintmax_t)told,
		    (uintmax_t)after);
}

/* Until what began at @since is @ms old. */
#define WAIT_UNTIL(since, ms) do {					\
	uint64_t __when = (since) + (ms);				\
	ASSERT_TRUE(WAIT_FOR(now_ms() > __when, 2 * LIMIT_MS));		\
} while (0)

/* All that end up so at that age: nothing comes from the client any more. */
static int end_all(struct pair wire[KINDS][FAMILIES], struct pair half[FAMILIES],
		   const struct ns *client, const char *client_has)
{
	EACH(f) {
		close_fd(&wire[K_FIN_WAIT1][f].client);
		close_fd(&wire[K_CLOSING][f].client);
		close_fd(&wire[K_LAST_ACK][f].server);
		shutdown(half[f].client, SHUT_WR);
	}
	/* The other FIN may come once this end has sent its own. */
	if (ss_shows(client, EACH_FAMILY, client_has))
		return -1;
	EACH(f)
		close_fd(&wire[K_CLOSING][f].server);
	return 0;
}

static bool gave_up(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) && err == ETIMEDOUT;
}

/* The oldest in @state is as old as what happened between @from and @to. */
#define OLDEST(c, state, from, to, before) do {				\
	EXPECT_LE((before) - (to), (c).oldest_ms[state] + 1);		\
	EXPECT_GE(now_ms() - (from) + 1, (c).oldest_ms[state]);		\
	EXPECT_LT((c).stuck_after_ms[state], (c).oldest_ms[state]);	\
} while (0)

/* 'state' tells that the oldest in @state is older than that, and what that is. */
#define TOLD(ns, state, what)						\
	CHECK(run(ns, "tcpstate-cli state | grep \"" state ": oldest .*, when 2 m 00 s is "	\
		  what "$\""))

TEST_F_TIMEOUT(stuck, older_than_their_limits, SECONDS)
{
	struct listed client, server, some;
	struct counters c;
	uint64_t from, to, before, begun, took, orphans;
	char limit[32], some_limit[32];
	int age, kind;

	EACH(f) {
		for (age = 0; age < AGES; age++) {
			for (kind = 0; kind < KINDS; kind++)
				CHECK(open_one(&self->wire[age][kind][f], self->listener[f],
					       tcp_connect(CLIENT, f, PORT + f, 0)));
			shutdown(self->wire[age][K_LAST_ACK][f].client, SHUT_WR);
			CHECK(open_one(&self->half[age][f], self->local[f],
				       tcp_connect_local(CLIENT, f, LOCAL_PORT + f)));
		}
		CHECK(open_one(&self->held[f], self->listener[f],
			       tcp_connect(CLIENT, f, PORT + f, 0)));
		CHECK(open_one(&self->left[f], self->local[f],
			       tcp_connect_local(CLIENT, f, LOCAL_PORT + f)));
	}
	CHECK(step(CLIENT, EACH_FAMILY, "LISTEN=1 ESTABLISHED=11 FIN_WAIT2=2"));
	CHECK(step(SERVER, EACH_FAMILY, "LISTEN=1 ESTABLISHED=5 CLOSE_WAIT=2"));

	from = now_ms();
	CHECK(wire(CLIENT, LOSE));
	EACH(f)
		CHECK(close_acknowledged(&self->left[f].client));
	CHECK(end_all(self->wire[OLD], self->half[OLD], CLIENT,
		      "LISTEN=1 ESTABLISHED=5 FIN_WAIT1=2 FIN_WAIT2=2 FIN_WAIT2=1m TIME_WAIT=1 "
		      "CLOSE_WAIT=2"));
	CHECK(step(CLIENT, EACH_FAMILY, "LISTEN=1 ESTABLISHED=5 FIN_WAIT1=1 CLOSING=1 "
		   "FIN_WAIT2=2 FIN_WAIT2=1m TIME_WAIT=1 CLOSE_WAIT=2"));
	CHECK(step(SERVER, EACH_FAMILY, "LISTEN=1 ESTABLISHED=4 FIN_WAIT1=1 LAST_ACK=1 "
		   "CLOSE_WAIT=1"));
	to = now_ms();
	CHECK(orphans_as_sockstat(self->others + ORPHANS_OF_AN_AGE));
	CHECK(conn_stuck(CLIENT, "", &client));
	CHECK(conn_stuck(SERVER, "", &server));
	EXPECT_EQ(0, client.all + server.all);

	/* What has a file is given up within its limit. */
	begun = now_ms();
	EACH(f)
		shutdown(self->held[f].client, SHUT_WR);
	EACH(f)
		ASSERT_TRUE(WAIT_FOR(gave_up(self->held[f].client), LIMIT_MS));
	took = now_ms() - begun;
	EXPECT_LT(took, LIMIT_MS);
	EACH(f)
		close_fd(&self->held[f].client);

	/* Only the half-closed ones are old enough: also those whose peers will close. */
	WAIT_UNTIL(from, LIMIT_MS - YOUNG_MS);
	CHECK(conn_stuck(CLIENT, "", &client));
	CHECK(conn_stuck(SERVER, "", &server));
	EXPECT_EQ(2 * FAMILIES, client.n[ST_FIN_WAIT2]);
	EXPECT_EQ(2 * FAMILIES, client.all);
	EXPECT_EQ(0, server.all);
	/* Who has closed has left nothing that would be. */
	CHECK(ss_shows(CLIENT, EACH_FAMILY, "LISTEN=1 ESTABLISHED=4 FIN_WAIT1=1 CLOSING=1 "
		       "FIN_WAIT2=2 TIME_WAIT=1 CLOSE_WAIT=2"));

	CHECK(end_all(self->wire[YOUNG], self->half[YOUNG], CLIENT,
		      "LISTEN=1 FIN_WAIT1=3 CLOSING=1 FIN_WAIT2=2 TIME_WAIT=2 CLOSE_WAIT=3"));
	CHECK(step(SERVER, EACH_FAMILY, "LISTEN=1 ESTABLISHED=3 FIN_WAIT1=2 LAST_ACK=2"));
	WAIT_UNTIL(to, LIMIT_MS);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	CHECK(orphans_as_sockstat(self->others + 2 * ORPHANS_OF_AN_AGE));
	/* As many retransmissions as an orphan may have explain them. */
	CHECK(conn_stuck(CLIENT, "", &client));
	CHECK(conn_stuck(SERVER, "", &server));
	EXPECT_EQ(FAMILIES, client.n[ST_FIN_WAIT2]);
	EXPECT_EQ(FAMILIES, client.all);
	EXPECT_EQ(0, server.all);
	/* With fewer they are stuck, until the next is due. */
	CHECK(retries(&self->rig.net, RETRIES, RETRIES));
	before = now_ms();
	CHECK(conn_stuck(CLIENT, "", &client));
	CHECK(conn_stuck(SERVER, "", &server));
	EXPECT_EQ(FAMILIES, client.n[ST_FIN_WAIT1]);
	EXPECT_EQ(FAMILIES, client.n[ST_CLOSING]);
	EXPECT_EQ(FAMILIES, client.n[ST_FIN_WAIT2]);
	EXPECT_EQ(3 * FAMILIES, client.all);
	EXPECT_EQ(FAMILIES, server.n[ST_FIN_WAIT1]);
	EXPECT_EQ(FAMILIES, server.n[ST_LAST_ACK]);
	EXPECT_EQ(2 * FAMILIES, server.all);
	EXPECT_LE(before - to, client.youngest_ms + 1);
	EXPECT_LE(before - to, server.youngest_ms + 1);
	CHECK(conn_stuck(SERVER, "state last-ack,fin-wait-2", &some));
	EXPECT_EQ(FAMILIES, some.n[ST_LAST_ACK]);
	EXPECT_EQ(FAMILIES, some.all);
	/* By default it is an orphan that has fewer, and these are told of, too. */
	CHECK(retries(&self->rig.net, MANY, RETRIES));
	TOLD(CLIENT, "FIN_WAIT1", "an orphan's limit");
	TOLD(CLIENT, "CLOSING", "an orphan's limit");
	TOLD(SERVER, "LAST_ACK", "an orphan's limit");
	CHECK(retries(&self->rig.net, MANY, MANY));
	CHECK(run(SERVER, "! tcpstate-cli state | grep -w stuck"));
	CHECK(retries(&self->rig.net, RETRIES, MANY));

	before = now_ms();
	CHECK(cli_read(CLIENT, &c));
	EXPECT_EQ(LIMIT_MS, c.stuck_after_ms[ST_FIN_WAIT1]);
	EXPECT_EQ(LIMIT_MS, c.stuck_after_ms[ST_CLOSING]);
	EXPECT_EQ(FIN_WAIT2_MS, c.stuck_after_ms[ST_FIN_WAIT2]);
	OLDEST(c, ST_FIN_WAIT1, from, to, before);
	OLDEST(c, ST_CLOSING, from, to, before);
	OLDEST(c, ST_FIN_WAIT2, from, to, before);
	TH_LOG("stuck after %ju ms: FIN_WAIT1 %ju, CLOSING %ju; after %ju: FIN_WAIT2 %ju",
	       (uintmax_t)c.stuck_after_ms[ST_FIN_WAIT1], (uintmax_t)c.oldest_ms[ST_FIN_WAIT1],
	       (uintmax_t)c.oldest_ms[ST_CLOSING], (uintmax_t)c.stuck_after_ms[ST_FIN_WAIT2],
	       (uintmax_t)c.oldest_ms[ST_FIN_WAIT2]);
	before = now_ms();
	CHECK(cli_read(SERVER, &c));
	EXPECT_EQ(LIMIT_MS, c.stuck_after_ms[ST_LAST_ACK]);
	OLDEST(c, ST_FIN_WAIT1, from, to, before);
	OLDEST(c, ST_LAST_ACK, from, to, before);
	TH_LOG("FIN_WAIT1 %ju, LAST_ACK %ju; with a file it was given up after %ju",
	       (uintmax_t)c.oldest_ms[ST_FIN_WAIT1], (uintmax_t)c.oldest_ms[ST_LAST_ACK],
	       (uintmax_t)took);
	TOLD(SERVER, "LAST_ACK", "the limit but for an orphan");
	CHECK(run(SERVER, "tcpstate-cli state | grep \"'tcpstate-cli conn stuck' lists\""));

	/* 60 % of what there may be. */
	CHECK(sysctl_get(NULL, "net/ipv4/tcp_max_orphans", limit, sizeof(limit)));
	snprintf(some_limit, sizeof(some_limit), "%ju",
		 (uintmax_t)(self->others + 2 * ORPHANS_OF_AN_AGE) * 5 / 3);
	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", some_limit));
	EXPECT_EQ(0, run_status(NULL, "tcpstate-cli check --orphans 61:90"));
	EXPECT_EQ(1, run_status(NULL, "tcpstate-cli check --orphans 59:90"));
	EXPECT_EQ(2, run_status(NULL, "tcpstate-cli check --orphans 50:59"));
	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", limit));

	/* Once something passes again they end by themselves, but for the half-closed. */
	CHECK(wire(CLIENT, PASS));
	ASSERT_TRUE(WAIT_FOR(!conn_stuck(CLIENT, "", &client) &&
			     !conn_stuck(SERVER, "", &server) && !server.all &&
			     client.all == client.n[ST_FIN_WAIT2], 2 * LIMIT_MS))
		TH_LOG("%s", why());
	ASSERT_TRUE(WAIT_FOR(!sockstat(NULL, "orphan", &orphans) && orphans == self->others,
			     2 * LIMIT_MS));
}

/* The limit is told of every state that it is for. */
#define LIMITS(held, orphan)							\
	CHECK(run(CLIENT, "tcpstate-cli -j state | jq -e '.states | map(select("	\
		  ".state == (\"FIN_WAIT1\", \"CLOSING\", \"LAST_ACK\")) | "	\
		  "[.stuck_after_ms, .stuck_orphan_after_ms]) | "			\
		  "length == 3 and all(. == [%d, %d])'", held, orphan))

/* Of the kernel's defaults, and when what has no process any more really ends. */
TEST_F_TIMEOUT(stuck, limits_by_default, SECONDS)
{
	struct pair *p = self->wire[OLD][K_FIN_WAIT1];
	uint64_t begun, took, orphans;

	CHECK(retries(&self->rig.net, "15", "0"));
	LIMITS(GIVES_UP_MS + LAST_MS, ORPHAN_GIVES_UP_MS + LAST_MS);
	/* By number it is the same, and either has its own. */
	CHECK(retries(&self->rig.net, "8", "15"));
	LIMITS(ORPHAN_GIVES_UP_MS + LAST_MS, GIVES_UP_MS + LAST_MS);
	CHECK(retries(&self->rig.net, "15", "0"));

	EACH(f)
		CHECK(open_one(&p[f], self->listener[f], tcp_connect(CLIENT, f, PORT + f, 0)));
	CHECK(wire(CLIENT, LOSE));
	begun = now_ms();
	EACH(f)
		close_fd(&p[f].client);
	CHECK(step(CLIENT, EACH_FAMILY, "LISTEN=1 FIN_WAIT1=1"));
	ASSERT_TRUE(WAIT_FOR(!sockstat(NULL, "orphan", &orphans) && orphans == self->others,
			     ORPHAN_GIVES_UP_MS + LAST_MS));
	took = now_ms() - begun;
	TH_LOG("orphans were given up after %ju ms", (uintmax_t)took);
	EXPECT_LE(ORPHAN_GIVES_UP_MS, took);
	EXPECT_GT(ORPHAN_GIVES_UP_MS + LAST_MS, took);
	CHECK(step(CLIENT, EACH_FAMILY, "LISTEN=1"));
	CHECK(wire(CLIENT, PASS));
}

TEST_HARNESS_MAIN
