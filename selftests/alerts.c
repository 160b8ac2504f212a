// SPDX-License-Identifier: GPL-2.0
/*
 * Alerts: each edge is told once, in order, to its own namespace alone, and
 * refusals are told at most once a second with their exact number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"

#define SECONDS	300
#define LOW	40000
#define PORTS	100
#define LINES	2048

FIXTURE(alerts) {
	struct room_rig base;
	struct target target;	/* the server */
	struct target back;	/* from there, the client */
};

FIXTURE_VARIANT(alerts) {
	enum family family;
	const char *client, *server;
};

FIXTURE_VARIANT_ADD(alerts, ipv4) {
	.family = IPV4,
	.client = "10.9.0.1",
	.server = "10.9.0.2",
};

FIXTURE_VARIANT_ADD(alerts, ipv6) {
	.family = IPV6,
	.client = "fd09::1",
	.server = "fd09::2",
};

FIXTURE_SETUP(alerts)
{
	struct rlimit many = { 60000, 60000 };

	setrlimit(RLIMIT_NOFILE, &many);
	CHECK(room_up(&self->base, NULL));
	CHECK(range_set(CLIENT, LOW, LOW + PORTS - 1));
	CHECK(cheap_connections(CLIENT));
	self->base.pair.family = variant->family;
	self->target = (struct target){
		.family = variant->family, .port = PORT, .deferred = true,
	};
	self->back = self->target;
	self->back.host = variant->client;
}

FIXTURE_TEARDOWN(alerts)
{
	EXPECT_OK(room_down(&self->base));
}

#define TARGET	(&self->target)
#define BACK	(&self->back)

/* One line of `tcpstate-cli -j monitor`. */
struct edge {
	char event[32], severity[16], netns[32], daddr[48], comm[32];
	bool edge;		/* not found by asking */
	uint64_t used, reusable, capacity, count, total, pid;
	uint64_t time_ms;	/* as it says */
};

/* One who listens, and what it has heard. */
struct monitor {
	pid_t pid;
	FILE *from;
	struct edge edges[LINES];
	unsigned int n;
};

static uint64_t value(struct json_object *from, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(from, key, &o) && o ? json_object_get_uint64(o) : 0;
}

static void text(struct json_object *from, const char *key, char *to, size_t size)
{
	struct json_object *o;

	snprintf(to, size, "%s", json_object_object_get_ex(from, key, &o) && o ?
		 json_object_get_string(o) : "");
}

/* Milliseconds of its "time"; 0 if it cannot be read. */
static uint64_t time_of(struct json_object *from)
{
	struct tm tm = { };
	unsigned int ms;
	char said[64];
	const char *at;

	text(from, "time", said, sizeof(said));
	at = strptime(said, "%Y-%m-%dT%H:%M:%S", &tm);
	return at && sscanf(at, ".%3uZ", &ms) == 1 ? timegm(&tm) * 1000ull + ms : 0;
}

/* Read what has come since. */
static int monitor_read(struct monitor *m)
{
	char *line = NULL;
	size_t size = 0;

	clearerr(m->from);
	while (getline(&line, &size, m->from) > 0) {
		struct json_object *o = json_tokener_parse(line), *process;
		struct edge *edge = &m->edges[m->n];

		if (!o || m->n == LINES) {
			fail("monitor says %s", line);
			free(line);
			return -1;
		}
		text(o, "event", edge->event, sizeof(edge->event));
		text(o, "severity", edge->severity, sizeof(edge->severity));
		text(o, "netns", edge->netns, sizeof(edge->netns));
		text(o, "daddr", edge->daddr, sizeof(edge->daddr));
		edge->edge = value(o, "edge");
		edge->used = value(o, "used");
		edge->reusable = value(o, "reusable");
		edge->capacity = value(o, "capacity");
		edge->count = value(o, "count");
		edge->total = value(o, "total");
		edge->time_ms = time_of(o);
		if (json_object_object_get_ex(o, "process", &process) && process) {
			edge->pid = value(process, "pid");
			text(process, "comm", edge->comm, sizeof(edge->comm));
		}
		m->n++;
		json_object_put(o);
	}
	free(line);
	return 0;
}

static int monitor_start_with(struct monitor *m, const struct ns *ns, const char *command)
{
	memset(m, 0, sizeof(*m));
	m->pid = command_start(ns, command, &m->from);
	if (m->pid < 0)
		return -1;
	if (set_nonblocking(fileno(m->from), true))
		return -1;
	return monitor_listens(m->pid);
}

static int monitor_start(struct monitor *m, const struct ns *ns)
{
	return monitor_start_with(m, ns, "tcpstate-cli -j monitor");
}

static int monitor_signal(struct monitor *m, int signal)
{
	int rc = monitor_read(m), status;

	kill(m->pid, signal);
	status = wait_for_exit(m->pid);
	fclose(m->from);
	return status ? fail("monitor ended with %d", status) : rc;
}

static int monitor_stop(struct monitor *m)
{
	return monitor_signal(m, SIGTERM);
}

/* What was heard, in short: "port-room/warning port-room/critical ...". */
static const char *heard(const struct monitor *m)
{
	static char all[LINES * 48];
	size_t len = 0;
	unsigned int i;

	all[0] = 0;
	for (i = 0; i < m->n; i++)
		len += snprintf(all + len, sizeof(all) - len, "%s%s/%s", i ? " " : "",
				m->edges[i].event, m->edges[i].severity);
	return all;
}

/* How often it has heard @event become @severity since it has listened. */
static unsigned int times_heard(struct monitor *m, const char *event, const char *severity)
{
	unsigned int i, n = 0;

	if (monitor_read(m))
		return 0;
	for (i = 0; i < m->n; i++)
		n += m->edges[i].edge && !strcmp(event, m->edges[i].event) &&
		     !strcmp(severity, m->edges[i].severity);
	return n;
}

static bool hears(struct monitor *m, const char *expected)
{
	return !monitor_read(m) && !strcmp(heard(m), expected);
}

/* Exactly that, and nothing more until after the next look, a second later. */
#define HEARS(m, expected) do {							\
	ASSERT_TRUE(WAIT_FOR(hears(m, expected), PATIENCE_MS))			\
		TH_LOG("heard %s", heard(m));					\
	usleep(1500000);							\
	ASSERT_TRUE(hears(m, expected)) TH_LOG("then heard %s", heard(m));	\
} while (0)

#define ROOM_FULL	"port-room/warning port-room/critical port-exhausted/critical"

/* 17: the same number of connections to two destinations: nothing. */
TEST_F_TIMEOUT(alerts, two_destinations, SECONDS)
{
	struct target other = *TARGET;
	struct monitor m;

	other.port++;
	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(60, open_until_refused(CLIENT, TARGET, CROWD, 60));
	ASSERT_EQ(60, open_until_refused(CLIENT, &other, CROWD, 60));
	HEARS(&m, "");
	CHECK(monitor_stop(&m));
}

/* Behind a device the ports are used up by those bound to none as well, and it is told. */
TEST_F_TIMEOUT(alerts, behind_device, SECONDS)
{
	struct target bound = *TARGET, other = *TARGET;
	struct monitor m;

	bound.device = "wire";
	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(70, open_until_refused(CLIENT, TARGET, CROWD, 70));
	ASSERT_EQ(2, open_until_refused(CLIENT, &bound, CROWD, 2));
	HEARS(&m, "");
	ASSERT_EQ(20, open_until_refused(CLIENT, TARGET, CROWD, 20));
	/* One is due at once, the other when all are gone through. */
	ASSERT_TRUE(WAIT_FOR(hears(&m, "port-room/warning port-room/warning"), 3 * PATIENCE_MS))
		TH_LOG("heard %s", heard(&m));
	EXPECT_LE(80, m.edges[0].used);
	EXPECT_LE(80, m.edges[1].used);
	ASSERT_EQ(5, open_until_refused(CLIENT, &bound, CROWD, 5));
	HEARS(&m, "port-room/warning port-room/warning port-room/critical");
	EXPECT_LE(95, m.edges[2].used);
	crowd_close(CROWD);
	HEARS(&m, "port-room/warning port-room/warning port-room/critical "
	      "port-room/clear port-room/clear");
	/* The first that comes finds them gone, too. */
	bound.port++;
	other.port++;
	ASSERT_EQ(85, open_until_refused(CLIENT, &other, CROWD, 85));
	HEARS(&m, "port-room/warning port-room/warning port-room/critical "
	      "port-room/clear port-room/clear port-room/warning");
	ASSERT_EQ(1, open_until_refused(CLIENT, &bound, CROWD, 1));
	HEARS(&m, "port-room/warning port-room/warning port-room/critical "
	      "port-room/clear port-room/clear port-room/warning port-room/warning");
	CHECK(monitor_stop(&m));
}

/* A load that hovers at the threshold is one warning. */
TEST_F_TIMEOUT(alerts, hovering, SECONDS)
{
	struct monitor m;
	int i, k;

	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(79, open_until_refused(CLIENT, TARGET, CROWD, 79));
	HEARS(&m, "");
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(6, open_until_refused(CLIENT, TARGET, CROWD, 6));
		usleep(300000);
		for (k = 0; k < 6; k++)
			close(CROWD->fds[--CROWD->n]);
		usleep(300000);
	}
	HEARS(&m, "port-room/warning");
	ASSERT_EQ(PORTS, m.edges[0].capacity);
	while (CROWD->n > 71)
		close(CROWD->fds[--CROWD->n]);
	HEARS(&m, "port-room/warning");
	close(CROWD->fds[--CROWD->n]);
	HEARS(&m, "port-room/warning port-room/clear");
	ASSERT_EQ(10, open_until_refused(CLIENT, TARGET, CROWD, 10));
	HEARS(&m, "port-room/warning port-room/clear port-room/warning");
	CHECK(monitor_stop(&m));
}

/* Where the log of this test begins: another's namespace may have had the same number. */
static int log_mark(void)
{
	return run(NULL, "echo 'alerts: test %d' >/dev/kmsg", getpid());
}

/* Lines of this test's in the kernel's log that fit @pattern. */
static int logged(const struct ns *ns, const char *pattern)
{
	return run(NULL, "dmesg | sed '1,/alerts: test %d$/d' | "
		   "grep -cE 'tcpstate: netns %ju: %s' || :", getpid(), (uintmax_t)ns->ino,
		   pattern) ? -1 : atoi(output());
}

/* How each of them begins, in their order: "warning critical no port left ". */
static const char *log_kinds(const struct ns *ns)
{
	return run(NULL, "dmesg | sed '1,/alerts: test %d$/d' | "
		   "sed -n 's/.*tcpstate: netns %ju: \\(no port left\\|[a-z]*\\).*/\\1/p' | "
		   "tr '\\n' ' '", getpid(), (uintmax_t)ns->ino) ? why() : output();
}

/* One line says so of ports that are used on the way from @from to @to. */
static int logged_ports(const struct ns *ns, const char *what, unsigned int used,
			unsigned int capacity, const char *from, const char *to)
{
	char line[256];
	int n;

	snprintf(line, sizeof(line), "%s: ports %u of %u .%u %%. from %s to .?%s.?:%u"
		 "(, full in [0-9]+ s)?$", what, used, capacity, 100 * used / capacity, from, to,
		 PORT);
	n = logged(ns, line);
	return n == 1 ? 0 : fail("%d lines in the log are: %s", n, line);
}

/*
 * So it is with the other threshold, which the warning comes before; and what the log
 * says of each edge is what there was.
 */
TEST_F_TIMEOUT(alerts, hovering_at_critical, SECONDS)
{
	struct monitor m;
	int i, k;

	CHECK(log_mark());
	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(80, open_until_refused(CLIENT, TARGET, CROWD, 80));
	HEARS(&m, "port-room/warning");
	CHECK(logged_ports(CLIENT, "warning", 80, PORTS, variant->client, variant->server));
	ASSERT_EQ(14, open_until_refused(CLIENT, TARGET, CROWD, 14));
	HEARS(&m, "port-room/warning");
	ASSERT_EQ(1, open_until_refused(CLIENT, TARGET, CROWD, 1));
	HEARS(&m, "port-room/warning port-room/critical");
	CHECK(logged_ports(CLIENT, "critical", 95, PORTS, variant->client, variant->server));
	for (i = 0; i < 10; i++) {
		for (k = 0; k < 4; k++)
			close(CROWD->fds[--CROWD->n]);
		usleep(300000);
		ASSERT_EQ(4, open_until_refused(CLIENT, TARGET, CROWD, 4));
		usleep(300000);
	}
	HEARS(&m, "port-room/warning port-room/critical");
	/* Below it, and below the warning: until it is well below that. */
	while (CROWD->n > 71)
		close(CROWD->fds[--CROWD->n]);
	HEARS(&m, "port-room/warning port-room/critical");
	close(CROWD->fds[--CROWD->n]);
	HEARS(&m, "port-room/warning port-room/critical port-room/clear");
	CHECK(logged_ports(CLIENT, "clear", 70, PORTS, variant->client, variant->server));
	ASSERT_EQ(25, open_until_refused(CLIENT, TARGET, CROWD, 25));
	HEARS(&m, "port-room/warning port-room/critical port-room/clear "
	      "port-room/warning port-room/critical");
	ASSERT_STREQ("warning critical clear warning critical ", log_kinds(CLIENT));
	CHECK(monitor_stop(&m));
}

/* What connect() may take again is not in the way. */
TEST_F_TIMEOUT(alerts, reusable, SECONDS)
{
	/* As many as are no warning yet. */
	const int some = 79;
	struct monitor m;
	struct room room;
	int i;

	CHECK(monitor_start(&m, CLIENT));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	for (i = 0; i < some; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	}
	HEARS(&m, "");
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	ASSERT_TRUE(WAIT_FOR(!room_read(CLIENT, TARGET, &room) &&
			     room.reusable == (uint64_t)some, PATIENCE_MS));
	/* Some take a port again, some one that nobody has had. */
	ASSERT_EQ(some, open_until_refused(CLIENT, TARGET, CROWD, some));
	CHECK(room_read(CLIENT, TARGET, &room));
	TH_LOG("%ju used, of which %ju reusable", room.used, room.reusable);
	ASSERT_LE(80, room.used);
	ASSERT_EQ((uint64_t)some, room.used - room.reusable);
	HEARS(&m, "");
	/* Noticed within seconds, without anything being opened. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	ASSERT_TRUE(WAIT_FOR(!monitor_read(&m) && m.n, PATIENCE_MS));
	ASSERT_STREQ("port-room", m.edges[0].event);
	ASSERT_STREQ("warning", m.edges[0].severity);
	ASSERT_EQ(0, m.edges[0].reusable);
	CHECK(monitor_stop(&m));
}

/*
 * Ports reserved under what is open, or bound by somebody else: noticed by itself.
 * (What has opened something since the last look would be another cause of it.)
 */
TEST_F_TIMEOUT(alerts, room_shrinks, SECONDS)
{
	struct sockaddr_storage sa;
	bool open[PORTS] = { };
	char reserved[256] = "";
	struct monitor m;
	struct room room;
	int i, n, fd, len = 0;
	socklen_t size;

	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(70, open_until_refused(CLIENT, TARGET, CROWD, 70));
	HEARS(&m, "");
	for (i = 0; i < 70; i++)
		open[local_port(CROWD->fds[i]) - LOW] = true;
	for (i = 0, n = 0; n < 20; i++)
		if (!open[i] && ++n)
			len += sprintf(reserved + len, "%s%d", len ? "," : "", LOW + i);
	CHECK(sysctl_set(CLIENT, "net/ipv4/ip_local_reserved_ports", reserved));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(80, room.capacity);
	ASSERT_EQ(70, room.used);
	ASSERT_TRUE(WAIT_FOR(!monitor_read(&m) && m.n, PATIENCE_MS));
	ASSERT_STREQ("port-room/warning", heard(&m));
	ASSERT_EQ(80, m.edges[0].capacity);
	CHECK(sysctl_set(CLIENT, "net/ipv4/ip_local_reserved_ports", "\n"));
	HEARS(&m, "port-room/warning port-room/clear");

	for (i = 0, n = 0; n < 20; i++) {
		if (open[i] || !++n)
			continue;
		size = address(&sa, variant->family, "0.0.0.0", "::", LOW + i);
		fd = tcp_socket(CLIENT, variant->family);
		ASSERT_EQ(0, bind(fd, (struct sockaddr *)&sa, size));
		CHECK(crowd_add(CROWD, fd));
	}
	HEARS(&m, "port-room/warning port-room/clear port-room/warning");
	ASSERT_EQ(80, m.edges[2].capacity);
	CHECK(monitor_stop(&m));
}

/* How many of @open are in the range of @ports from LOW + @first. */
static int open_in(const bool *open, int first, int ports)
{
	int n = 0;

	while (ports--)
		n += open[first + ports];
	return n;
}

/* A range that is narrowed under what is open is noticed by itself, and one widened. */
TEST_F_TIMEOUT(alerts, range_narrowed, SECONDS)
{
	enum { OPEN = 79, NARROW = 20, NARROW_OPEN = 16 };
	bool open[PORTS] = { };
	struct monitor m;
	struct room room;
	int i, first;

	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(OPEN, open_until_refused(CLIENT, TARGET, CROWD, OPEN));
	HEARS(&m, "");
	for (i = 0; i < OPEN; i++)
		open[local_port(CROWD->fds[i]) - LOW] = true;
	/*
	 * Four ports of this one are free, as of some there are: of five that are the
	 * whole 21, so that one has fewer than five and one more than four, and from one
	 * to its neighbour it is one more or less.
	 */
	for (first = 0; open_in(open, first, NARROW) != NARROW_OPEN; first++)
		ASSERT_LT(first, PORTS - NARROW);
	CHECK(range_set(CLIENT, LOW + first, LOW + first + NARROW - 1));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(NARROW, room.capacity);
	ASSERT_EQ(NARROW_OPEN, room.used);
	HEARS(&m, "port-room/warning");
	ASSERT_EQ(NARROW, m.edges[0].capacity);
	ASSERT_EQ(NARROW_OPEN, m.edges[0].used);
	CHECK(range_set(CLIENT, LOW, LOW + PORTS + 19));
	HEARS(&m, "port-room/warning port-room/clear");
	ASSERT_EQ(PORTS + 20, m.edges[1].capacity);
	ASSERT_EQ(OPEN, m.edges[1].used);
	CHECK(monitor_stop(&m));
}

/* Where no port is left in the range at all, a warning ends with what it was of. */
TEST_F_TIMEOUT(alerts, room_vanishes, SECONDS)
{
	struct monitor m;
	struct room room;
	char all[32];

	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(80, open_until_refused(CLIENT, TARGET, CROWD, 80));
	HEARS(&m, "port-room/warning");
	snprintf(all, sizeof(all), "%d-%d", LOW, LOW + PORTS - 1);
	CHECK(sysctl_set(CLIENT, "net/ipv4/ip_local_reserved_ports", all));
	HEARS(&m, "port-room/warning");
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(0, room.capacity);
	ASSERT_EQ(80, room.outside);
	ASSERT_EQ(0, open_until_refused(CLIENT, TARGET, CROWD, 1));
	HEARS(&m, "port-room/warning port-exhausted/critical");
	crowd_close(CROWD);
	HEARS(&m, "port-room/warning port-exhausted/critical port-room/clear");
	CHECK(monitor_stop(&m));
}

/* Two namespaces run out at once: each hears of its own, and of who was refused. */
TEST_F_TIMEOUT(alerts, two_namespaces, SECONDS)
{
	struct crowd other = { };
	struct monitor client, server;
	char line[256];
	unsigned int i;

	CHECK(log_mark());
	CHECK(range_set(SERVER, LOW, LOW + 2 * PORTS - 1));
	CHECK(cheap_connections(SERVER));
	CHECK(monitor_start(&client, CLIENT));
	CHECK(monitor_start(&server, SERVER));
	ASSERT_EQ(50, open_until_refused(CLIENT, TARGET, CROWD, 50));
	ASSERT_EQ(2 * PORTS, open_until_refused(SERVER, BACK, &other, 2 * PORTS + 1));
	ASSERT_EQ(PORTS - 50, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
	HEARS(&client, ROOM_FULL);
	HEARS(&server, ROOM_FULL);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(PORTS, client.edges[i].capacity);
		ASSERT_EQ(2 * PORTS, server.edges[i].capacity);
		ASSERT_STREQ(variant->server, client.edges[i].daddr);
		ASSERT_STREQ(variant->client, server.edges[i].daddr);
	}
	ASSERT_EQ((uint64_t)getpid(), client.edges[2].pid);
	ASSERT_STREQ("alerts", client.edges[2].comm);
	ASSERT_EQ((uint64_t)getpid(), server.edges[2].pid);
	snprintf(line, sizeof(line), "no port left from .?%s.? to .?%s.?:%u: 1 connect.. refused, "
		 "last of alerts.%d.; %u of %u ports in use, 0 of them in TIME_WAIT, 0 reusable$",
		 variant->client, variant->server, PORT, getpid(), PORTS, PORTS);
	ASSERT_EQ(1, logged(CLIENT, line)) TH_LOG("no line %s", line);
	ASSERT_EQ(0, logged(SERVER, line));
	ASSERT_EQ(1, logged(SERVER, "no port left "));
	crowd_close(&other);
	HEARS(&server, ROOM_FULL " port-room/clear");
	HEARS(&client, ROOM_FULL);
	CHECK(monitor_stop(&client));
	CHECK(monitor_stop(&server));
}

/* -a hears of every namespace, and says which. */
TEST_F_TIMEOUT(alerts, all_namespaces, SECONDS)
{
	char netns[2][32];
	struct monitor m;

	CHECK(range_set(SERVER, LOW, LOW + 9));
	CHECK(range_set(CLIENT, LOW, LOW + 9));
	CHECK(cheap_connections(SERVER));
	CHECK(monitor_start_with(&m, NULL, "tcpstate-cli -aj monitor"));
	ASSERT_EQ(8, open_until_refused(CLIENT, TARGET, CROWD, 8));
	HEARS(&m, "port-room/warning");
	ASSERT_EQ(8, open_until_refused(SERVER, BACK, CROWD, 8));
	HEARS(&m, "port-room/warning port-room/warning");
	snprintf(netns[0], sizeof(netns[0]), "net:[%ju]", (uintmax_t)CLIENT->ino);
	snprintf(netns[1], sizeof(netns[1]), "net:[%ju]", (uintmax_t)SERVER->ino);
	ASSERT_STREQ(netns[0], m.edges[0].netns);
	ASSERT_STREQ(variant->server, m.edges[0].daddr);
	ASSERT_STREQ(netns[1], m.edges[1].netns);
	ASSERT_STREQ(variant->client, m.edges[1].daddr);
	CHECK(monitor_stop(&m));
	/* Not for those who may not. */
	ASSERT_NE(0, run_status(NULL, "timeout 20 setpriv --reuid 65534 --clear-groups "
				"tcpstate-cli -a monitor"));
}

/* It ends with 0 when it is told to, and when nobody reads any more. */
TEST_F_TIMEOUT(alerts, monitor_ends, SECONDS)
{
	struct monitor m;

	CHECK(monitor_start(&m, CLIENT));
	CHECK(monitor_signal(&m, SIGINT));
	CHECK(monitor_start(&m, CLIENT));
	CHECK(monitor_signal(&m, SIGTERM));
	CHECK(monitor_start(&m, CLIENT));
	fclose(m.from);
	ASSERT_EQ(0, wait_for_exit(m.pid)) TH_LOG("%s", why());
}

/* When the kernel's log has a line of refusals to a destination, and how many it tells of. */
struct logged {
	double at;
	unsigned long long count;
};

static int logged_refusals(const struct ns *ns, struct logged *logged, unsigned int max)
{
	char *line, *next;
	unsigned int n = 0;

	if (run(NULL, "dmesg | sed -n '/alerts: test %d$/,$ s/^\\[ *\\([0-9.]*\\)\\] "
		"tcpstate: netns %ju: no port left from .*: \\([0-9]*\\) connect() refused.*/"
		"\\1 \\2/p'", getpid(), (uintmax_t)ns->ino))
		return -1;
	for (line = strtok_r((char *)output(), "\n", &next); line && n < max;
	     line = strtok_r(NULL, "\n", &next), n++)
		if (sscanf(line, "%lf %llu", &logged[n].at, &logged[n].count) != 2)
			return fail("dmesg says %s", line);
	return n;
}

/* A monitor that does not get to read: what it lost it says, and then what is. */
TEST_F_TIMEOUT(alerts, overrun, SECONDS)
{
	enum { DESTINATIONS = 300, MESSAGES = 3 * DESTINATIONS };
	uint64_t lost, dropped, start = now_ms();
	unsigned int i, edges, known;
	struct monitor m;
	int lines;

	CHECK(log_mark());
	CHECK(range_set(CLIENT, LOW, LOW + 1));
	CHECK(monitor_start(&m, CLIENT));
	kill(m.pid, SIGSTOP);
	for (i = 0; i < DESTINATIONS; i++) {
		struct target to = *TARGET;

		to.port += i;
		ASSERT_EQ(2, open_until_refused(CLIENT, &to, CROWD, 3));
	}
	/* Its socket is full; Drops in a line of generic netlink. */
	ASSERT_TRUE(WAIT_FOR(!run_status(CLIENT, "awk '$2 == 16 && $9 > 0 { n++ } END { exit !n }' "
					 "/proc/net/netlink"), PATIENCE_MS));
	kill(m.pid, SIGCONT);
	ASSERT_TRUE(WAIT_FOR(({
		lost = 0;
		edges = 0;
		known = 0;
		monitor_read(&m);
		for (i = 0; i < m.n; i++) {
			bool room = !strcmp(m.edges[i].event, "port-room") &&
				    !strcmp(m.edges[i].severity, "critical");

			if (!strcmp(m.edges[i].event, "lost"))
				lost += m.edges[i].count;
			else
				edges += m.edges[i].edge;
			known += room;
		}
		known == DESTINATIONS && lost; }), PATIENCE_MS))
		TH_LOG("%u edges, %ju lost, of %u; %u known", edges, (uintmax_t)lost, MESSAGES,
		       known);
	TH_LOG("%u heard, %ju lost", edges, (uintmax_t)lost);
	/* An edge that comes after what is in force was asked for is no news. */
	ASSERT_LE(edges + lost, MESSAGES);
	CHECK(run(CLIENT, "awk '$2 == 16 { n += $9 } END { print n }' /proc/net/netlink"));
	dropped = strtoull(output(), NULL, 10);
	ASSERT_EQ(dropped, lost);
	/* Of all that, the log has ten lines in five seconds. */
	lines = logged(CLIENT, "");
	TH_LOG("%d lines in the log, in %ju ms", lines, (uintmax_t)(now_ms() - start));
	ASSERT_GE(lines, 10);
	ASSERT_LE(lines, 10 * (2 + (now_ms() - start) / 5000));
	CHECK(monitor_stop(&m));
}

#define TRACEFS	"/sys/kernel/tracing"

/*
 * How often the module has sent a message, and how many of those from a work item.
 * Whichever of its functions are on the stack, one of them is: what calls another at
 * its very end is not. To number a namespace for the first time is rtnetlink's to tell.
 */
static int messages_where(const char *more)
{
	if (run(NULL, "awk 'function end() { n += ours && !rtnl && %s; ours = rtnl = work = 0 } "
		"/<stack trace>/ { end() } "
		"/=> (tcpstate_|level_update|refusals_update|look_|hook_|bind_return)/ "
		"{ ours = 1 } /=> rtnl_notify/ { rtnl = 1 } /=> process_one_work/ { work = 1 } "
		"END { end(); print n + 0 }' " TRACEFS "/trace", more))
		return -1;
	return atoi(output());
}

static int messages_sent(void)
{
	return messages_where("1");
}

static int messages_by_work(void)
{
	return messages_where("work");
}

/* Where nobody listens nothing is sent; where one does, the same way of looking sees it. */
TEST_F_TIMEOUT(alerts, nobody_listens, SECONDS)
{
	struct monitor m;

	if (access(TRACEFS "/kprobe_events", F_OK))
		SKIP(return, "this kernel has no kprobe events to see messages by");
	CHECK(run(NULL, "cd " TRACEFS " && : >trace && "
		  "send=$(grep -om1 'netlink_broadcast_filtered$' /proc/kallsyms || "
		  "echo netlink_broadcast) && echo \"p:sent $send\" >>kprobe_events && "
		  "echo stacktrace >events/kprobes/sent/trigger && "
		  "echo 1 >events/kprobes/sent/enable"));
	EXPECT_EQ(PORTS, open_until_refused(CLIENT, TARGET, CROWD, PORTS + 1));
	EXPECT_TRUE(WAIT_FOR(!run_status(CLIENT, "tcpstate-cli -j | grep -q port-exhausted"),
			     PATIENCE_MS));
	EXPECT_EQ(0, messages_sent()) {
		run(NULL, "cat " TRACEFS "/trace");
		TH_LOG("%s", output());
	}
	CHECK(monitor_start(&m, CLIENT));
	crowd_close(CROWD);
	EXPECT_TRUE(WAIT_FOR(times_heard(&m, "port-room", "clear") == 1, PATIENCE_MS));
	EXPECT_LT(0, messages_sent());
	/* None of them is sent by what opens, closes or is refused. */
	EXPECT_EQ(PORTS, open_until_refused(CLIENT, TARGET, CROWD, PORTS + 1));
	EXPECT_TRUE(WAIT_FOR(times_heard(&m, "port-room", "critical") == 1 &&
			     times_heard(&m, "port-exhausted", "critical"), PATIENCE_MS));
	crowd_close(CROWD);
	EXPECT_TRUE(WAIT_FOR(times_heard(&m, "port-room", "clear") == 2, PATIENCE_MS));
	EXPECT_LE(5, messages_sent()) {
		run(NULL, "cat " TRACEFS "/trace");
		TH_LOG("%s", output());
	}
	EXPECT_EQ(messages_sent(), messages_by_work()) {
		run(NULL, "cat " TRACEFS "/trace");
		TH_LOG("%s", output());
	}
	CHECK(monitor_stop(&m));
	CHECK(run(NULL, "cd " TRACEFS " && echo '!stacktrace' >events/kprobes/sent/trigger && "
		  "echo 0 >events/kprobes/sent/enable && "
		  "echo '-:sent' >>kprobe_events && : >trace"));
}

/*
 * However many destinations fill up, for alerts the bind buckets are read once a
 * second in each namespace; each of these is looked at as soon as it has a connection.
 */
TEST_F_TIMEOUT(alerts, buckets_read_seldom, SECONDS)
{
	enum { RANGE = 10, CONNS = 8 };
	const uint64_t ms = 5000;
	unsigned int i, nets = 0, least = 0, most = 0, early = 0, looks = 0;
	uint64_t start, took;
	int n = CONNS;

	if (access(TRACEFS "/kprobe_events", F_OK))
		SKIP(return, "this kernel has no kprobe events to see reads by");
	if (run(NULL, "grep -q ' room_read' /proc/kallsyms"))
		SKIP(return, "the compiler has made no function of what reads them");
	CHECK(range_set(CLIENT, LOW, LOW + RANGE - 1));
	CHECK(range_set(SERVER, LOW, LOW + RANGE - 1));
	CHECK(cheap_connections(SERVER));
	CHECK(run(NULL, "cd " TRACEFS " && : >trace && "
		  "read=$(grep -om1 'room_read[^[:space:]]*' /proc/kallsyms) && "
		  "echo \"p:reads tcpstate:$read net=\\$arg2\" >>kprobe_events && "
		  "echo 'p:looks tcpstate:tcpstate_port_room' >>kprobe_events && "
		  "echo 1 >events/kprobes/reads/enable && echo 1 >events/kprobes/looks/enable"));
	start = now_ms();
	for (i = 0; (took = now_ms() - start) < ms; i++) {
		struct target to = i % 2 ? *BACK : *TARGET;

		to.port += i / 2;
		n = open_until_refused(i % 2 ? SERVER : CLIENT, &to, CROWD, CONNS);
		if (n != CONNS)
			break;
		usleep(20000);
	}
	EXPECT_EQ(CONNS, n) TH_LOG("%s", why());
	EXPECT_EQ(0, run(NULL, "cd " TRACEFS " && echo 0 >events/kprobes/reads/enable && "
			 "echo 0 >events/kprobes/looks/enable && "
			 "grep -c '^ *kworker.*: looks: ' trace")) TH_LOG("%s", why());
	looks = atoi(output());
	/* And for no one else, as nobody asks: not by what opens. */
	EXPECT_EQ(0, run(NULL, "grep ': reads: ' " TRACEFS "/trace | grep -vc '^ *kworker' || :"))
		TH_LOG("%s", why());
	EXPECT_STREQ("0\n", output());
	EXPECT_EQ(0, run(NULL, "sed -n 's/^ *kworker.* \\([0-9.]*\\): reads: .* net=/\\1 /p' "
			 TRACEFS "/trace | awk '"
			 "{ early += $2 in n && $1 - last[$2] < .99; last[$2] = $1; n[$2]++ } "
			 "END { for (net in n) { nets++; if (n[net] > most) most = n[net]; "
			 "if (!least || n[net] < least) least = n[net] } "
			 "print nets + 0, least + 0, most + 0, early + 0 }'")) TH_LOG("%s", why());
	n = sscanf(output(), "%u %u %u %u", &nets, &least, &most, &early);
	EXPECT_EQ(4, n);
	TH_LOG("%u destinations in %ju ms, %u looks; in %u namespaces %u to %u reads", i,
	       (uintmax_t)took, looks, nets, least, most);
	EXPECT_EQ(2, nets);
	EXPECT_EQ(0, early);
	EXPECT_LE(most, took / 1000 + 1);
	EXPECT_LE(3, least);
	/* Without that limit it would be one for each of them. */
	EXPECT_LT(4 * (2 * most), looks);
	CHECK(run(NULL, "cd " TRACEFS " && echo '-:reads' >>kprobe_events && "
		  "echo '-:looks' >>kprobe_events && : >trace"));
}

/* The sum of what it has heard of @event, and in how many messages. */
static uint64_t refusals_told(struct monitor *m, const char *event, uint64_t *messages)
{
	uint64_t sum = 0;
	unsigned int i;

	*messages = 0;
	monitor_read(m);
	for (i = 0; i < m->n; i++)
		if (!strcmp(m->edges[i].event, event)) {
			sum += m->edges[i].count;
			++*messages;
		}
	return sum;
}

/* They were a second apart; *span: from the first to the last. */
static int told_seldom(const struct monitor *m, const char *event, uint64_t *span)
{
	uint64_t first = 0, last = 0, at;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		if (strcmp(m->edges[i].event, event))
			continue;
		at = m->edges[i].time_ms;
		if (!at)
			return fail("a message without a time");
		/* Who listens may be a little late with one, not with the next. */
		if (first && at - last < 950)
			return fail("%ju ms between two messages", (uintmax_t)(at - last));
		if (!first)
			first = at;
		last = at;
	}
	*span = last - first;
	return 0;
}

/*
 * Refusals by the thousand: one message a second, and none is lost; one line in
 * the log a minute, likewise. (The machine's clock counts instructions, see
 * settings: it is as fast as that.)
 */
TEST_F_TIMEOUT(alerts, refusals, SECONDS)
{
	const uint64_t seconds = 10, a_second = 1000 / slowness();
	uint64_t refused = 1, sum = 0, start, messages = 0, took, span;
	struct logged logged[4];
	struct monitor m;
	struct room room;
	int fd, lines;

	CHECK(log_mark());
	CHECK(range_set(CLIENT, LOW, LOW + 9));
	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(10, open_until_refused(CLIENT, TARGET, CROWD, 11));
	fd = target_socket(CLIENT, TARGET);
	start = now_ms();
	while ((took = now_ms() - start) < seconds * 1000) {
		if (refused * 1000 > took * a_second + 1000) {
			usleep(1000);
			continue;
		}
		ASSERT_EQ(EADDRNOTAVAIL, target_dial(fd, TARGET));
		refused++;
	}
	close(fd);
	lines = logged_refusals(CLIENT, logged, ARRAY_SIZE(logged));
	/* Where it is not, what follows would say little. */
	ASSERT_GE(refused, seconds * a_second * 95 / 100)
		TH_LOG("%ju refusals in %ju ms", (uintmax_t)refused, (uintmax_t)took);
	ASSERT_EQ(1, lines) TH_LOG("%s", why());
	ASSERT_TRUE(WAIT_FOR((sum = refusals_told(&m, "port-exhausted", &messages)) == refused,
			     PATIENCE_MS))
		TH_LOG("%ju of %ju", (uintmax_t)sum, (uintmax_t)refused);
	CHECK(told_seldom(&m, "port-exhausted", &span));
	TH_LOG("%ju refusals in %ju ms, told in %ju messages in %ju ms", (uintmax_t)refused,
	       (uintmax_t)took, (uintmax_t)messages, (uintmax_t)span);
	ASSERT_LE(messages, (span + 500) / 1000 + 1);
	ASSERT_GE(messages, seconds / 2);
	ASSERT_EQ(refused, m.edges[m.n - 1].total);
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(refused, room.failures);
	/* The log's next line is a minute after the first, and has all the others. */
	ASSERT_TRUE(WAIT_FOR((lines = logged_refusals(CLIENT, logged, ARRAY_SIZE(logged))) != 1,
			     60000 + PATIENCE_MS));
	ASSERT_EQ(2, lines) TH_LOG("%s", why());
	TH_LOG("%llu, and %llu %.3f s later in the log", logged[0].count, logged[1].count,
	       logged[1].at - logged[0].at);
	ASSERT_GE(logged[1].at - logged[0].at, 59.9);
	ASSERT_EQ(refused, logged[0].count + logged[1].count);
	CHECK(monitor_stop(&m));
}

/* 27: mini-sockets against tcp_max_tw_buckets. */
TEST_F_TIMEOUT(alerts, time_wait_limit, SECONDS)
{
	struct monitor m;
	int i;

	CHECK(range_set(CLIENT, 32768, 60999));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "20"));
	CHECK(monitor_start(&m, CLIENT));
	for (i = 0; i < 15; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	}
	HEARS(&m, "");
	for (i = 0; i < 7; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	}
	HEARS(&m, "time-wait-limit/warning time-wait-limit/critical");
	ASSERT_EQ(20, m.edges[0].capacity);
	CHECK(run(CLIENT, "tcpstate-cli -j | grep -q time-wait-limit"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "1000"));
	HEARS(&m, "time-wait-limit/warning time-wait-limit/critical time-wait-limit/clear");
	CHECK(monitor_stop(&m));
}

/*
 * Thresholds of this namespace alone, set and set again while connections are in
 * TIME_WAIT: what is told, and how `check` ends, is by as many as ss shows.
 */
#define CHECKED_AS(warning, critical, n) do {						\
	int __percent = 100 * (n), __ends;						\
	CHECK(run(CLIENT, "ss -Htan state time-wait | wc -l"));			\
	ASSERT_EQ(n, atoi(output()));							\
	__ends = __percent >= LIMIT * (critical) ? 2 : __percent >= LIMIT * (warning);	\
	ASSERT_EQ(__ends, run_status(CLIENT, "tcpstate-cli check --time-wait %d:%d",	\
				     warning, critical)) TH_LOG("%s", output());	\
	/* Without thresholds of its own, by those of the namespace. */		\
	ASSERT_EQ(__ends, run_status(CLIENT, "tcpstate-cli check"))			\
		TH_LOG("%s", output());							\
} while (0)

TEST_F_TIMEOUT(alerts, time_wait_thresholds, SECONDS)
{
	/* 10 % and 20 % of them are no whole numbers. */
	enum { LIMIT = 33, WARNING = 10, CRITICAL = 20, AT_WARNING = 4, AT_CRITICAL = 7 };
	struct monitor m;
	char limit[16];
	int i;

	snprintf(limit, sizeof(limit), "%d", LIMIT);
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", limit));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	CHECK(log_mark());
	CHECK(monitor_start(&m, CLIENT));
	CHECK(run(CLIENT, "tcpstate-cli config set time-wait-warning %d time-wait-critical %d",
		  WARNING, CRITICAL));
	for (i = 1; i <= AT_CRITICAL; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
		if (i == AT_WARNING - 1) {
			HEARS(&m, "");
			CHECKED_AS(WARNING, CRITICAL, i);
		} else if (i == AT_WARNING || i == AT_CRITICAL - 1) {
			HEARS(&m, "time-wait-limit/warning");
			CHECKED_AS(WARNING, CRITICAL, i);
		}
	}
	HEARS(&m, "time-wait-limit/warning time-wait-limit/critical");
	CHECKED_AS(WARNING, CRITICAL, AT_CRITICAL);
	ASSERT_EQ(LIMIT, m.edges[1].capacity);
	ASSERT_EQ(AT_CRITICAL, m.edges[1].used);
	/* It is 21 %: 10 points and more below a warning that is raised ... */
	CHECK(run(CLIENT, "tcpstate-cli config set time-wait-critical 60 time-wait-warning 40"));
	HEARS(&m, "time-wait-limit/warning time-wait-limit/critical time-wait-limit/clear");
	CHECKED_AS(40, 60, AT_CRITICAL);
	/* ... and above one that is lowered, without another one being opened. */
	CHECK(run(CLIENT, "tcpstate-cli config set time-wait-warning 21"));
	HEARS(&m, "time-wait-limit/warning time-wait-limit/critical time-wait-limit/clear "
	      "time-wait-limit/warning");
	CHECKED_AS(21, 60, AT_CRITICAL);
	/* The log has a line for each. */
	ASSERT_STREQ("warning critical clear warning ", log_kinds(CLIENT));
	ASSERT_EQ(1, logged(CLIENT, "warning: sockets 4 of 33 .12 %. in TIME_WAIT, "
			    "of tcp_max_tw_buckets$"));
	ASSERT_EQ(1, logged(CLIENT, "critical: sockets 7 of 33 .21 %. in TIME_WAIT, "
			    "of tcp_max_tw_buckets$"));
	ASSERT_EQ(1, logged(CLIENT, "clear: sockets 7 of 33 .21 %. in TIME_WAIT, "
			    "of tcp_max_tw_buckets$"));
	/* The one is no percentage, the other would be above the critical. */
	ASSERT_NE(0, run_status(CLIENT, "tcpstate-cli config set time-wait-critical 101"));
	ASSERT_NE(0, run_status(CLIENT, "tcpstate-cli config set time-wait-warning 61"));
	CHECK(run(CLIENT, "tcpstate-cli -j config | jq -e "
		  "'.time_wait_warning == 21 and .time_wait_critical == 60'"));
	CHECK(run(SERVER, "tcpstate-cli -j config | jq -e "
		  "'.time_wait_warning == 80 and .time_wait_critical == 95'"));
	CHECK(monitor_stop(&m));
}

/* 19: bind() to port 0. */
TEST_F_TIMEOUT(alerts, bind_exhausted, SECONDS)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, variant->family, "0.0.0.0", "::", 0);
	struct monitor m;
	int i, fd, refused = 0;
	char line[128];

	CHECK(log_mark());
	CHECK(range_set(CLIENT, LOW, LOW + 9));
	CHECK(monitor_start(&m, CLIENT));
	for (i = 0; i < 11; i++) {
		fd = tcp_socket(CLIENT, variant->family);
		CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0));
		CHECK(crowd_add(CROWD, fd));
		refused += bind(fd, (struct sockaddr *)&sa, len) && errno == EADDRINUSE;
	}
	ASSERT_EQ(1, refused);
	HEARS(&m, "bind-exhausted/critical");
	ASSERT_EQ(1, m.edges[0].count);
	ASSERT_EQ((uint64_t)getpid(), m.edges[0].pid);
	ASSERT_STREQ("alerts", m.edges[0].comm);
	CHECK(monitor_stop(&m));
	snprintf(line, sizeof(line), "no port left to bind: 1 bind.. to port 0 refused, "
		 "last of alerts.%d.$", getpid());
	ASSERT_EQ(1, logged(CLIENT, line)) TH_LOG("no line %s", line);
	ASSERT_EQ(1, logged(CLIENT, ""));
}

/* Its refusals, too, are told once a second, and each of them. */
TEST_F_TIMEOUT(alerts, bind_refusals, SECONDS)
{
	const uint64_t ms = 3000, a_second = 500 / slowness();
	uint64_t refused = 0, start, took, messages, span;
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, variant->family, "0.0.0.0", "::", 0);
	struct summary summary;
	struct monitor m;
	int i, fd;

	CHECK(range_set(CLIENT, LOW, LOW + 9));
	CHECK(monitor_start(&m, CLIENT));
	for (i = 0; i < 11; i++) {
		fd = tcp_socket(CLIENT, variant->family);
		CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0));
		CHECK(crowd_add(CROWD, fd));
		if (i < 10)
			ASSERT_EQ(0, bind(fd, (struct sockaddr *)&sa, len));
	}
	start = now_ms();
	while ((took = now_ms() - start) < ms) {
		if (refused * 1000 > took * a_second) {
			usleep(1000);
			continue;
		}
		ASSERT_NE(0, bind(fd, (struct sockaddr *)&sa, len));
		ASSERT_EQ(EADDRINUSE, errno);
		refused++;
	}
	ASSERT_TRUE(WAIT_FOR(refusals_told(&m, "bind-exhausted", &messages) == refused,
			     PATIENCE_MS)) TH_LOG("%s", heard(&m));
	CHECK(told_seldom(&m, "bind-exhausted", &span));
	TH_LOG("%ju refusals in %ju ms, told in %ju messages in %ju ms", (uintmax_t)refused,
	       (uintmax_t)took, (uintmax_t)messages, (uintmax_t)span);
	ASSERT_EQ(refused, m.edges[m.n - 1].total);
	ASSERT_LE(messages, (span + 500) / 1000 + 1);
	/* The first is told at once; what came after it, not by one message alone. */
	ASSERT_LE(3, messages);
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(refused, summary.bind_failures + summary.bind_missed);
	ASSERT_EQ(0, summary.bind_missed);
	CHECK(monitor_stop(&m));
}

/*
 * The first refusal is told at once, too, where there has been a warning already and
 * it is looked at every second: at whatever time between two looks.
 */
TEST_F_TIMEOUT(alerts, refused_when_watched, SECONDS)
{
	enum { TIMES = 8 };
	uint64_t at[TIMES];
	struct timespec now;
	struct monitor m;
	unsigned int i, n;

	CHECK(range_set(CLIENT, LOW, LOW + 9));
	CHECK(monitor_start(&m, CLIENT));
	for (i = 0; i < TIMES; i++) {
		struct target to = *TARGET;

		to.port += i;
		ASSERT_EQ(10, open_until_refused(CLIENT, &to, CROWD, 10));
		ASSERT_TRUE(WAIT_FOR(times_heard(&m, "port-room", "critical") == i + 1,
				     PATIENCE_MS));
		usleep(1200000 + i * 130000);
		ASSERT_EQ(0, open_until_refused(CLIENT, &to, CROWD, 1));
		clock_gettime(CLOCK_REALTIME, &now);
		at[i] = now.tv_sec * 1000ull + now.tv_nsec / 1000000;
		ASSERT_TRUE(WAIT_FOR(times_heard(&m, "port-exhausted", "critical") == i + 1,
				     PATIENCE_MS));
	}
	for (i = 0, n = 0; i < m.n; i++) {
		if (strcmp(m.edges[i].event, "port-exhausted"))
			continue;
		TH_LOG("told %jd ms after it was refused", (intmax_t)(m.edges[i].time_ms - at[n]));
		EXPECT_LE(m.edges[i].time_ms, at[n] + 100 * slowness());
		n++;
	}
	ASSERT_EQ(TIMES, n);
	CHECK(monitor_stop(&m));
}

/* For how long @event has been in force, in milliseconds; -1 if it is not. */
static int64_t in_force_for(const struct ns *ns, const char *event)
{
	if (run(ns, "tcpstate-cli -j | jq -r '[.alerts[] | select(.event == \"%s\") | .age_ms] | "
		"if length == 1 then .[0] else -1 end'", event))
		return -2;
	return atoll(output());
}

/* The age of refusals is that of the first, as long as one has followed the other. */
TEST_F_TIMEOUT(alerts, age_of_refusals, SECONDS)
{
	static const char *const events[] = { "port-exhausted", "bind-exhausted" };
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, variant->family, "0.0.0.0", "::", 0);
	uint64_t from = 0, to = 0, before, after;
	int connects, binds, i, e;
	int64_t age;

	CHECK(range_set(CLIENT, LOW, LOW + 9));
	ASSERT_EQ(10, open_until_refused(CLIENT, TARGET, CROWD, 10));
	connects = target_socket(CLIENT, TARGET);
	binds = tcp_socket(CLIENT, variant->family);
	CHECK(set_option(binds, SOL_SOCKET, SO_REUSEADDR, 0));
	/* The last of them after a minute without any, so that those before are over. */
	for (i = 0; i < 3; i++) {
		usleep(i == 2 ? 70000000 : i * 5000000);
		for (e = 0; e < 2 && i == 2; e++)
			EXPECT_EQ(-1, in_force_for(CLIENT, events[e]));
		before = now_ms();
		ASSERT_EQ(EADDRNOTAVAIL, target_dial(connects, TARGET));
		ASSERT_NE(0, bind(binds, (struct sockaddr *)&sa, len));
		ASSERT_EQ(EADDRINUSE, errno);
		after = now_ms();
		if (i != 1) {
			from = before;
			to = after;
		}
		for (e = 0; e < 2; e++) {
			before = now_ms();
			age = in_force_for(CLIENT, events[e]);
			after = now_ms();
			TH_LOG("%s for %jd ms, refused first %ju ms ago", events[e], (intmax_t)age,
			       (uintmax_t)(after - from));
			EXPECT_LE((int64_t)(before - to), age + 1);
			EXPECT_GE((int64_t)(after - from), age - 1);
		}
	}
	close(connects);
	close(binds);
}

/* Thresholds: set, refused, and taken from the module's parameters. */
TEST_F_TIMEOUT(alerts, thresholds, SECONDS)
{
	struct monitor m;

	CHECK(monitor_start(&m, CLIENT));
	ASSERT_EQ(50, open_until_refused(CLIENT, TARGET, CROWD, 50));
	HEARS(&m, "");
	ASSERT_NE(0, run_status(CLIENT, "tcpstate-cli config set port-room-warning 96"));
	ASSERT_NE(0, run_status(CLIENT, "tcpstate-cli config set port-room-warning 0"));
	ASSERT_NE(0, run_status(CLIENT, "setpriv --reuid 65534 --clear-groups "
				"tcpstate-cli config set port-room-warning 50"));
	HEARS(&m, "");
	CHECK(run(CLIENT, "tcpstate-cli config set port-room-warning 50"));
	HEARS(&m, "port-room/warning");
	CHECK(run(SERVER, "tcpstate-cli -j config | grep -q '\"port_room_warning\": *80'"));
	CHECK(monitor_stop(&m));

	CHECK(module_unload());
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	ASSERT_NE(0, run_status(NULL, "insmod /tcpstate/tcpstate.ko port_room_warning=101"));
	CHECK(module_load("port_room_warning=30 close_wait_critical=7200"));
	CHECK(run(CLIENT, "tcpstate-cli -j config | grep -q '\"port_room_warning\": *30'"));
	CHECK(run(CLIENT, "tcpstate-cli -j config | grep -q '\"close_wait_critical\": *7200'"));
}

/*
 * 16: warning, critical, exhausted, clear, with the range as it is by default.
 * connect() tries the ports of one parity before those of the other: once the
 * first are all used, each call looks at 14,116 ports in vain, and to fill the
 * range so takes minutes. Those of the other parity are used first here, by a
 * range that begins one port later.
 */
TEST_F_TIMEOUT(alerts, default_range, 1500)
{
	const int ports = 60999 - 32768 + 1;
	struct monitor m;
	struct room room;
	int n;

	if (slowness() > 1)
		SKIP(return, "28,232 connections take too long here");
	CHECK(log_mark());
	CHECK(range_set(CLIENT, 32769, 60999));
	CHECK(monitor_start(&m, CLIENT));
	n = open_until_refused(CLIENT, TARGET, CROWD, ports / 2);
	ASSERT_EQ(ports / 2, n) TH_LOG("%s", why());
	CHECK(range_set(CLIENT, 32768, 60999));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(ports, room.capacity);
	ASSERT_EQ(ports / 2, room.used);
	n = open_until_refused(CLIENT, TARGET, CROWD, ports);
	ASSERT_EQ(ports - ports / 2, n) TH_LOG("%s", why());
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(ports, room.used);
	ASSERT_EQ(1, room.failures);
	ASSERT_STREQ("critical", room.severity);
	HEARS(&m, ROOM_FULL);
	/* Told as they are crossed, not much later. */
	TH_LOG("told at %ju and %ju of %d", (uintmax_t)m.edges[0].used,
	       (uintmax_t)m.edges[1].used, ports);
	ASSERT_GE(m.edges[0].used, ports * 80 / 100);
	ASSERT_LT(m.edges[0].used, ports * 90 / 100);
	ASSERT_GE(m.edges[1].used, ports * 95 / 100);
	ASSERT_EQ(ports, m.edges[2].used);
	ASSERT_EQ(1, m.edges[2].count);
	crowd_close(CROWD);
	HEARS(&m, ROOM_FULL " port-room/clear");
	CHECK(monitor_stop(&m));
	/* The log has a line for each, and no more. */
	ASSERT_STREQ("warning critical no port left clear ", log_kinds(CLIENT));
}

TEST_HARNESS_MAIN
