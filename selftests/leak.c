// SPDX-License-Identifier: GPL-2.0
/*
 * The alert close-wait-leak: raised once, cleared once, not raised by a handler
 * that is slow but closes; with owner, port and number, accepted or not.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "linux/tcpstate.h"
#include "listing.h"
#include "util.h"

#define SECONDS	300
#define LEAKS	12

FIXTURE(leak) {
	struct rig rig;
	const struct ns *ns;
	int fd, events, listener;
	int client[LEAKS], server[LEAKS];
};

FIXTURE_VARIANT(leak) {
	enum family family;
};

FIXTURE_VARIANT_ADD(leak, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(leak, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(leak, mapped) { .family = MAPPED };

FIXTURE_SETUP(leak)
{
	int i;

	for (i = 0; i < LEAKS; i++) {
		self->client[i] = -1;
		self->server[i] = -1;
	}
	CHECK(rig_up(&self->rig, NULL));
	self->ns = &self->rig.net.server;
	self->fd = socket_for(self->ns);
	self->events = socket_for(self->ns);
	ASSERT_LE(0, self->events);
	CHECK(alerts_subscribe(self->events));
	self->listener = tcp_listen(self->ns, variant->family, PORT);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(leak)
{
	int i;

	for (i = 0; i < LEAKS; i++) {
		close_fd(&self->client[i]);
		close_fd(&self->server[i]);
	}
	close_fd(&self->listener);
	close(self->fd);
	close(self->events);
	EXPECT_OK(rig_down_alerted(&self->rig));
}

static int thresholds(int fd, uint32_t warning, uint32_t critical)
{
	return config_set(fd, TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING, warning,
			  TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL, critical);
}

/* One that its peer has closed, accepted or not. */
static int leak_one(const struct net *net, enum family family, int listener, int *client,
		    int *server)
{
	*client = tcp_connect(&net->client, family, PORT, 0);
	if (*client < 0)
		return -1;
	if (server) {
		*server = tcp_accept(listener);
		if (*server < 0)
			return -1;
	}
	return shutdown(*client, SHUT_WR);
}

#define LEAK(i)	CHECK(leak_one(&self->rig.net, variant->family, self->listener,	\
			       &self->client[i], &self->server[i]))

static int next_alert_in(int events, struct told_alert *a, int severity, int ms)
{
	if (alert_next(events, a, ms))
		return -1;
	if (a->event != TCPSTATE_EVENT_CLOSE_WAIT_LEAK || a->severity != (uint32_t)severity)
		return fail("event %u of severity %u", a->event, a->severity);
	return 0;
}

static int next_alert(int events, struct told_alert *a, int severity)
{
	return next_alert_in(events, a, severity, 20000);
}

/* What another namespace is patient with does not hold up the look at ours. */
TEST_F_TIMEOUT(leak, others_thresholds, SECONDS)
{
	const struct ns *other = &self->rig.net.client;
	struct told_alert a;
	struct pair pair;
	uint64_t start;
	int fd;

	fd = socket_for(other);
	ASSERT_LE(0, fd);
	CHECK(thresholds(fd, 86400, 86400));
	CHECK(thresholds(self->fd, 3, 6));
	pair_init(&pair, variant->family, PORT + 1);
	CHECK(pair_open_local(other, &pair));
	shutdown(pair.client, SHUT_WR);
	/* By then the other's has been looked at, and will be again in a day. */
	start = now_ms();
	while (now_ms() < start + 3000)
		nap(start);
	LEAK(0);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	pair_close(&pair);
	close(fd);
}

/* What the log says of this namespace's leaks, since the test began. */
static int logged(const struct ns *ns, const char *what)
{
	return run(NULL, "dmesg | sed '1,/leak: test %d$/d' | "
		   "grep -cE 'tcpstate: netns %ju: %s' || :", getpid(), (uintmax_t)ns->ino,
		   what) ? -1 : atoi(output());
}

TEST_F_TIMEOUT(leak, raised_and_cleared_once, SECONDS)
{
	uint64_t start, took, later;
	struct told_alert a;
	struct told_conn c;
	struct conn_list list;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(thresholds(self->fd, 3, 6));
	LEAK(0);
	start = now_ms();
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	took = now_ms() - start;
	EXPECT_LE(2999, took);
	EXPECT_GE(6000, took);
	EXPECT_EQ(3, a.threshold);
	EXPECT_EQ(PORT, a.sport);
	EXPECT_EQ(0, a.unaccepted);
	EXPECT_EQ(1, a.count);
	EXPECT_LE(3000, a.oldest_ms);
	EXPECT_GE(now_ms() - start + 1, a.oldest_ms);
	EXPECT_FALSE(a.process.told);

	/* Each number is of its own threshold: these are not old enough. */
	later = now_ms();
	for (i = 1; i < 3; i++)
		LEAK(i);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CRITICAL));
	EXPECT_EQ(6, a.threshold);
	EXPECT_EQ(1, a.count);
	if (now_ms() < later + 6000)
		EXPECT_EQ(1, logged(self->ns, "critical: 1 in CLOSE_WAIT for more than 6 s"));
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.count == 3, 20000));
	EXPECT_LE(later + 6000, now_ms());
	/* Who asks, and may, is told whose it is. */
	EXPECT_EQ(TCPSTATE_SEVERITY_CRITICAL, a.severity);
	EXPECT_TRUE(a.process.told);
	EXPECT_EQ((uint32_t)getpid(), a.process.pid);
	EXPECT_STREQ("leak", a.process.comm);
	CHECK(conn_list(self->fd, &(struct conn_filter){
		.states = 1 << ST_CLOSE_WAIT, .older_ms = 3000, .top = 1 }, &list));
	took = now_ms() - start;
	ASSERT_EQ(1, list.n);
	c = list.conn[0];
	conn_list_free(&list);
	TH_LOG("the oldest has been in CLOSE_WAIT for %ju ms, it says %ju", (uintmax_t)took,
	       (uintmax_t)c.age_ms);
	EXPECT_GE(took + 1, c.age_ms);
	EXPECT_LE(took * 95 / 100, c.age_ms);
	EXPECT_EQ((uint32_t)getpid(), c.owner.pid);

	for (i = 0; i < 3; i++)
		close_fd(&self->server[i]);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR));
	EXPECT_NE(0, alert_next(self->events, &a, 4000));
	EXPECT_NE(0, alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a));
	EXPECT_EQ(3, logged(self->ns, "(warning|critical|clear): "));
}

/* With the thresholds that nobody has set: 60 s and 600 s. */
TEST_F_TIMEOUT(leak, slow_handler, 1200)
{
	struct told_alert a;
	unsigned int told;
	uint64_t start;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(run(self->ns, "tcpstate-cli -j config"));
	EXPECT_NE(NULL, strstr(output(), "\"close_wait_warning\":60"));
	EXPECT_NE(NULL, strstr(output(), "\"close_wait_critical\":600"));
	for (i = 0; i < 4; i++) {
		start = now_ms();
		LEAK(i);
		if (i == 3)
			break;
		EXPECT_NE(0, alert_next(self->events, &a, 50000));
		EXPECT_LE(50000, now_ms() - start);
		close_fd(&self->server[i]);
	}
	/* One that does not close beside them, so that it could have been heard. */
	EXPECT_NE(0, alert_next(self->events, &a, start + 59000 - now_ms()));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	TH_LOG("three closed after 50 s; the fourth was told of when it was %ju ms old",
	       (uintmax_t)a.oldest_ms);
	EXPECT_EQ(60, a.threshold);
	EXPECT_EQ(1, a.count);
	EXPECT_LE(60000, a.oldest_ms);
	EXPECT_GE(now_ms() - start, a.oldest_ms);
	told = 2;
	/* It takes long: once, whatever the family. */
	if (variant->family == IPV6) {
		CHECK(next_alert_in(self->events, &a, TCPSTATE_SEVERITY_CRITICAL, 600000));
		TH_LOG("it was critical when it was %ju ms old", (uintmax_t)a.oldest_ms);
		EXPECT_EQ(600, a.threshold);
		EXPECT_EQ(1, a.count);
		EXPECT_EQ(PORT, a.sport);
		EXPECT_LE(600000, a.oldest_ms);
		EXPECT_GE(now_ms() - start, a.oldest_ms);
		EXPECT_GE(602000, a.oldest_ms);
		EXPECT_NE(0, alert_next(self->events, &a, 30000));
		EXPECT_EQ(1, logged(self->ns, "critical: 1 in CLOSE_WAIT for more than 600 s"));
		told++;
	}
	close_fd(&self->server[3]);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR));
	EXPECT_NE(0, alert_next(self->events, &a, 4000));
	EXPECT_EQ(told, logged(self->ns, "(warning|critical|clear): "));
}

TEST_F_TIMEOUT(leak, never_accepted, SECONDS)
{
	struct told_alert a;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(thresholds(self->fd, 2, 600));
	for (i = 0; i < 4; i++)
		CHECK(leak_one(&self->rig.net, variant->family, self->listener, &self->client[i],
			       NULL));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	EXPECT_EQ(a.count, a.unaccepted);
	EXPECT_EQ(PORT, a.sport);
	/* The listener's. */
	CHECK(alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a));
	EXPECT_EQ((uint32_t)getpid(), a.process.pid);
	EXPECT_EQ(1, logged(self->ns, "warning: .* on port [0-9]+, of leak.[0-9]+.; [1-4] "
			    "never accepted: the accept queue is not being drained$"));
	for (i = 0; i < 4; i++) {
		self->server[i] = tcp_accept(self->listener);
		ASSERT_LE(0, self->server[i]);
	}
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.count == 4 && !a.unaccepted, 20000));
	for (i = 0; i < 4; i++)
		close_fd(&self->server[i]);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR));
}

/* How many have been in CLOSE_WAIT for longer than that. */
static size_t waiting_for(int fd, uint64_t ms)
{
	const struct conn_filter filter = { .states = 1 << ST_CLOSE_WAIT, .older_ms = ms };
	struct conn_list list;
	size_t n;

	if (conn_list(fd, &filter, &list))
		return 0;
	n = list.n;
	conn_list_free(&list);
	return n;
}

/* Of those that are too old some were accepted: how many were not is told beside. */
TEST_F_TIMEOUT(leak, some_never_accepted, SECONDS)
{
	enum { ACCEPTED = 3, WAITING = 2 };
	struct conn_list list;
	struct told_alert a;
	unsigned int waiting = 0;
	size_t n;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	for (i = 0; i < ACCEPTED + WAITING; i++)
		CHECK(leak_one(&self->rig.net, variant->family, self->listener, &self->client[i],
			       i < ACCEPTED ? &self->server[i] : NULL));
	CHECK(ss_shows(self->ns, ANY, "LISTEN=1 CLOSE_WAIT=5"));
	CHECK(conn_list(self->fd, &(struct conn_filter){ .states = 1 << ST_CLOSE_WAIT }, &list));
	EXPECT_EQ(ACCEPTED + WAITING, list.n);
	for (n = 0; n < list.n; n++) {
		const struct told_conn *c = &list.conn[n];

		waiting += c->unaccepted;
		/* Who has a file has been accepted. */
		EXPECT_EQ(c->unaccepted, !c->inode);
	}
	EXPECT_EQ(WAITING, waiting);
	conn_list_free(&list);
	/* All of them are that old by then. */
	ASSERT_TRUE(WAIT_FOR(waiting_for(self->fd, 2000) == ACCEPTED + WAITING, 20000));
	CHECK(thresholds(self->fd, 2, 600));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	EXPECT_EQ(ACCEPTED + WAITING, a.count);
	EXPECT_EQ(WAITING, a.unaccepted);
	EXPECT_EQ(1, logged(self->ns, "warning: 5 in CLOSE_WAIT .*; 2 never accepted: "
			    "the accept queue is not being drained$"));
	/* Once those that were accepted are closed, it is about the others alone. */
	for (i = 0; i < ACCEPTED; i++)
		close_fd(&self->server[i]);
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.count == WAITING, 20000));
	EXPECT_EQ(WAITING, a.unaccepted);
	for (i = 0; i < WAITING; i++) {
		self->server[i] = tcp_accept(self->listener);
		ASSERT_LE(0, self->server[i]);
	}
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.count == WAITING && !a.unaccepted, 20000));
}

#define LEAKING		"ever more, and the oldest stays: it leaks"
#define RECOVERING	"fewer than before: it is late, but closes them"

/* Does the first screen say @what of the alert? */
static bool shown(const struct ns *ns, const char *what)
{
	return !run_status(ns, "tcpstate-cli | grep -q 'close-wait-leak: .* unclosed, %s,'",
			   what);
}

TEST_F_TIMEOUT(leak, grows_and_recovers, SECONDS)
{
	struct told_alert a;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(thresholds(self->fd, 2, 600));
	for (i = 0; i < LEAKS; i++) {
		LEAK(i);
		if (!i)
			CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
		usleep(2000000);
	}
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.trend == TCPSTATE_TREND_GROWING, 30000));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	EXPECT_EQ(TCPSTATE_TREND_GROWING, a.trend);
	EXPECT_TRUE(shown(self->ns, "growing"));
	EXPECT_EQ(1, logged(self->ns, "warning: .*; " LEAKING "$"));
	EXPECT_EQ(0, logged(self->ns, ".*" RECOVERING));
	for (i = 1; i < LEAKS; i++)
		close_fd(&self->server[i]);
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.trend == TCPSTATE_TREND_RECOVERING, 30000));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	EXPECT_EQ(TCPSTATE_TREND_RECOVERING, a.trend);
	EXPECT_TRUE(shown(self->ns, "fewer"));
	EXPECT_EQ(1, logged(self->ns, "warning: .*; " RECOVERING "$"));
	close_fd(&self->server[0]);
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR));
	EXPECT_EQ(1, logged(self->ns, ".*" LEAKING));
}

/* One every 70 seconds is a leak as well, if it goes on. */
TEST_F_TIMEOUT(leak, grows_slowly, SECONDS)
{
	struct told_alert a;
	int i;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(thresholds(self->fd, 2, 36000));
	for (i = 0; i < 3; i++) {
		LEAK(i);
		if (!i)
			CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
		/* Twice 100 s are not over before the third. */
		if (i < 2)
			EXPECT_NE(0, alert_next(self->events, &a, 70000));
	}
	EXPECT_EQ(0, logged(self->ns, ".*" LEAKING));
	ASSERT_TRUE(WAIT_FOR(!alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a) &&
			     a.trend == TCPSTATE_TREND_GROWING, 120000));
	CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_WARNING));
	EXPECT_EQ(TCPSTATE_TREND_GROWING, a.trend);
	EXPECT_TRUE(shown(self->ns, "growing"));
	EXPECT_EQ(1, logged(self->ns, "warning: .*; " LEAKING "$"));
	for (i = 0; i < 3; i++)
		close_fd(&self->server[i]);
	/* What looks between two of these sees that there are fewer. */
	if (next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR)) {
		EXPECT_EQ(TCPSTATE_SEVERITY_WARNING, a.severity);
		EXPECT_EQ(TCPSTATE_TREND_RECOVERING, a.trend);
		CHECK(next_alert(self->events, &a, TCPSTATE_SEVERITY_CLEAR));
	}
	EXPECT_EQ(1, logged(self->ns, ".*" LEAKING));
}

/*
 * A handler that is late with each of them: there are ever more in the beginning,
 * but the oldest is always another one. It is never said to leak.
 */
TEST_F_TIMEOUT(leak, late_handler, SECONDS)
{
	uint64_t begun[LEAKS] = { }, start = now_ms(), opened = 0;
	const uint64_t every = 3000, late = 20000;
	struct told_alert a;
	int i, closed = 0;

	CHECK(run(NULL, "echo 'leak: test %d' >/dev/kmsg", getpid()));
	CHECK(thresholds(self->fd, 5, 600));
	while (now_ms() < start + 120000) {
		if (now_ms() >= start + opened * every) {
			i = opened++ % LEAKS;
			LEAK(i);
			begun[i] = now_ms();
		}
		for (i = 0; i < LEAKS; i++) {
			if (self->server[i] >= 0 && now_ms() >= begun[i] + late) {
				close_fd(&self->server[i]);
				close_fd(&self->client[i]);
				closed++;
			}
		}
		usleep(100000);
	}
	CHECK(alert_get(self->fd, TCPSTATE_EVENT_CLOSE_WAIT_LEAK, &a));
	EXPECT_EQ(TCPSTATE_SEVERITY_WARNING, a.severity);
	TH_LOG("%ju opened, %d closed; %ju over the threshold", (uintmax_t)opened, closed,
	       (uintmax_t)a.count);
	EXPECT_LE(3, a.count);
	EXPECT_EQ(0, logged(self->ns, ".*" LEAKING));
}

TEST_HARNESS_MAIN
