// SPDX-License-Identifier: GPL-2.0
/*
 * Destinations: the room that is announced is the room that connect() finds,
 * to the port, whatever it is that makes it smaller. The oracle is the kernel:
 * connections are opened until it refuses one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"

#define SECONDS	240
#define LOW	40000
#define HIGH	40099	/* 100 ports */
#define PORTS	(HIGH - LOW + 1)

FIXTURE(dest) {
	struct room_rig base;
};

FIXTURE_SETUP(dest)
{
	CHECK(room_up(&self->base, NULL));
	CHECK(range_set(CLIENT, LOW, HIGH));
}

FIXTURE_TEARDOWN(dest)
{
	EXPECT_OK(room_down(&self->base));
}

/*
 * One connection tells what the capacity is; then as many succeed as were
 * announced, within @slack, and everything is in use.
 */
static int room_is_true(const struct ns *ns, const struct target *target, struct crowd *crowd,
			unsigned int expected, unsigned int slack)
{
	struct room before, after;
	int n;

	if (open_until_refused(ns, target, crowd, 1) != 1 || room_read(ns, target, &before))
		return -1;
	if (before.capacity != expected || before.reusable || before.failures)
		return fail("capacity %ju where %u is right; reusable %ju, failures %ju",
			    before.capacity, expected, before.reusable, before.failures);
	n = open_until_refused(ns, target, crowd, expected + 1);
	if (n < 0 || room_read(ns, target, &after))
		return -1;
	if (before.used + n + slack < expected || before.used + n > expected)
		return fail("%ju in use, then %d opened, of %u", before.used, n, expected);
	if (after.used != before.used + n || after.capacity != expected || after.reusable ||
	    after.failures != 1 || after.opens != before.opens + n)
		return fail("then: used %ju, capacity %ju, reusable %ju, failures %ju, opens %ju",
			    after.used, after.capacity, after.reusable, after.failures,
			    after.opens);
	return 0;
}

#define ROOM(target, expected)	CHECK(room_is_true(CLIENT, target, CROWD, expected, 0))

/* What is to be the same for every family. */
FIXTURE(room) {
	struct room_rig base;
	struct target target;
};

FIXTURE_VARIANT(room) {
	enum family family;
	const char *client, *server;
};

FIXTURE_VARIANT_ADD(room, ipv4) {
	.family = IPV4,
	.client = "10.9.0.1",
	.server = "10.9.0.2",
};

FIXTURE_VARIANT_ADD(room, ipv6) {
	.family = IPV6,
	.client = "fd09::1",
	.server = "[fd09::2]",
};

FIXTURE_SETUP(room)
{
	CHECK(room_up(&self->base, NULL));
	CHECK(range_set(CLIENT, LOW, HIGH));
	self->base.pair.family = variant->family;
	self->target = (struct target){ .family = variant->family, .port = PORT };
}

FIXTURE_TEARDOWN(room)
{
	EXPECT_OK(room_down(&self->base));
}

#define TARGET	(&self->target)

/* 16: every port of the range, then EADDRNOTAVAIL; 17: a second destination has its own. */
TEST_F_TIMEOUT(dest, range_used_up, SECONDS)
{
	int f;

	CHECK(wire(CLIENT, LOSE));
	for (f = IPV4; f < FAMILIES; f++) {
		struct target target = { .family = f, .port = PORT + f };

		ROOM(&target, PORTS);
	}
}

/*
 * Each local address has the whole range. Of the two IPv6 addresses beside the first
 * one differs in the first half, one in the second.
 */
TEST_F_TIMEOUT(dest, local_addresses, SECONDS)
{
	static const char *const sources[FAMILIES][3] = {
		[IPV4] = { "10.9.0.1", "10.9.0.9", "10.8.0.1" },
		[IPV6] = { "fd09::1", "fd09::9", "fd08::1" },
		[MAPPED] = { "10.9.0.1", "10.9.0.9", "10.8.0.1" },
	};
	struct room room;
	unsigned int i;
	size_t n;
	int f;

	CHECK(run(CLIENT, "ip -batch - <<END\n"
		  "addr add 10.9.0.9/32 dev wire\naddr add 10.8.0.1/32 dev wire\n"
		  "addr add fd09::9/128 dev wire nodad\naddr add fd08::1/128 dev wire nodad\n"
		  "END"));
	CHECK(wire(CLIENT, LOSE));
	for (f = IPV4; f < FAMILIES; f++) {
		struct target target = { .family = f, .port = PORT + f };

		for (i = 0; i < ARRAY_SIZE(sources[f]); i++) {
			target.source = sources[f][i];
			ROOM(&target, PORTS);
		}
		for (i = 0; i < ARRAY_SIZE(sources[f]); i++) {
			target.source = sources[f][i];
			CHECK(room_read(CLIENT, &target, &room));
			ASSERT_EQ(PORTS, room.used);
			ASSERT_EQ(1, room.failures);
		}
		/* The kernel chooses one of them, which is full. */
		target.source = NULL;
		ASSERT_EQ(0, open_until_refused(CLIENT, &target, CROWD, 1));
		CHECK(rooms_read(CLIENT, &target, &room, &n));
		ASSERT_EQ(ARRAY_SIZE(sources[f]), n);
		CHECK(run(CLIENT, "tcpstate-cli -j dest dport %u | "
			  "jq -ec 'map(.connect_failures) | sort == [1, 1, 2]'", target.port));
	}
}

/* An IPv4 destination is the same for a mapped address. */
TEST_F_TIMEOUT(dest, mapped_is_ipv4, SECONDS)
{
	struct target v4 = { .family = IPV4, .port = PORT };
	struct target mapped = { .family = MAPPED, .port = PORT };
	struct room room;

	CHECK(wire(CLIENT, LOSE));
	ASSERT_EQ(30, open_until_refused(CLIENT, &v4, CROWD, 30));
	ASSERT_EQ(PORTS - 30, open_until_refused(CLIENT, &mapped, CROWD, PORTS));
	CHECK(room_read(CLIENT, &v4, &room));
	ASSERT_EQ(PORTS, room.used);
	ASSERT_EQ(1, room.failures);
}

/* 22: a reserved port, a listener, a bound port, and one that is two of these. */
TEST_F_TIMEOUT(dest, taken_ports, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT };
	struct target target6 = { .family = IPV6, .port = PORT };
	struct sockaddr_storage sa;
	struct summary summary;
	socklen_t len;
	pid_t holder;
	int fd;

	CHECK(wire(CLIENT, LOSE));
	CHECK(sysctl_set(CLIENT, "net/ipv4/ip_local_reserved_ports", "39990-40009,40050"));
	fd = tcp_listen(CLIENT, IPV4, 40020);
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	fd = tcp_listen(CLIENT, IPV6, 40050);	/* reserved, too */
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	/* Bound only, to another address, by another family, and by another process. */
	fd = tcp_socket(CLIENT, IPV6);
	len = local_address(&sa, IPV6, 40030);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&sa, len));
	CHECK(hand_to_child(&fd, &holder));
	/* Out of the range. */
	fd = tcp_listen(CLIENT, IPV4, HIGH + 1);
	CHECK(crowd_add(CROWD, fd));

	ROOM(&target, PORTS - 11 - 2);
	ROOM(&target6, PORTS - 11 - 2);
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(LOW, summary.low);
	ASSERT_EQ(HIGH, summary.high);
	ASSERT_EQ(11, summary.reserved);
	ASSERT_EQ(2, summary.bind_blocked);
	ASSERT_EQ(2, summary.connect_failures);
	ASSERT_EQ(2, summary.destinations);
	ASSERT_EQ(PORTS - 11 - 2 + 3, summary.in_use);
	/* With the process that had bound it the port is there again. */
	CHECK(end_child(holder, SIGKILL));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(1, summary.bind_blocked);
	ASSERT_EQ(1, open_until_refused(CLIENT, &target, CROWD, 2));
}

/* A client that bound its port by hand takes it from everybody, and is outside. */
TEST_F_TIMEOUT(room, bound_by_hand, SECONDS)
{
	struct room room;
	int fd;

	CHECK(wire(CLIENT, LOSE));
	fd = tcp_dial(CLIENT, variant->family, PORT, 40040);
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	fd = tcp_dial(CLIENT, variant->family, PORT, LOW - 1);
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(0, room.used);
	ASSERT_EQ(2, room.outside);
	ASSERT_EQ(2, room.opens);
	ROOM(TARGET, PORTS - 1);
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(2, room.outside);
}

/*
 * A port that was listened on, of which only what came in is left: first a
 * connection, then its mini-socket. That keeps it from connect(), or not: what
 * connect() does is what is said.
 */
TEST_F_TIMEOUT(room, last_of_listener, SECONDS)
{
	struct target in = { .family = variant->family, .host = variant->client, .port = LOW + 20 };
	struct target later = *TARGET;
	struct table table;
	struct room room;
	struct pair p;

	pair_init(&p, variant->family, in.port);
	p.listener = tcp_listen(CLIENT, variant->family, in.port);
	ASSERT_LE(0, p.listener) TH_LOG("%s", why());
	p.client = target_connect(SERVER, &in);
	ASSERT_LE(0, p.client) TH_LOG("%s", why());
	p.server = tcp_accept(p.listener);
	ASSERT_LE(0, p.server) TH_LOG("%s", why());
	close_fd(&p.listener);
	CHECK(wire(CLIENT, LOSE));
	ASSERT_EQ(1, open_until_refused(CLIENT, TARGET, CROWD, 1));
	CHECK(room_read(CLIENT, TARGET, &room));
	TH_LOG("a connection is left: %ju of %d", (uintmax_t)room.capacity, PORTS);
	ASSERT_LE(PORTS - 1, room.capacity);
	ROOM(TARGET, room.capacity);

	CHECK(wire(CLIENT, PASS));
	CHECK(pair_to_server_time_wait(&p));
	ASSERT_TRUE(WAIT_FOR(!ss_read(CLIENT, &table) && in_state(&table, ST_TIME_WAIT) == 1,
			     PATIENCE_MS));
	CHECK(wire(CLIENT, LOSE));
	later.port++;
	ASSERT_EQ(1, open_until_refused(CLIENT, &later, CROWD, 1));
	CHECK(room_read(CLIENT, &later, &room));
	TH_LOG("a mini-socket is left: %ju of %d", (uintmax_t)room.capacity, PORTS);
	ASSERT_LE(PORTS - 1, room.capacity);
	ROOM(&later, room.capacity);

	/* With that its port is there again, if it was not. */
	ASSERT_TRUE(WAIT_FOR(!ss_read(CLIENT, &table) && !in_state(&table, ST_TIME_WAIT),
			     60000 + PATIENCE_MS));
	later.port++;
	ROOM(&later, PORTS);
}

/* With an odd number of ports one connect() looks at one less. */
TEST_F_TIMEOUT(room, odd_range, SECONDS)
{
	CHECK(wire(CLIENT, LOSE));
	CHECK(range_set(CLIENT, LOW, HIGH - 1));
	CHECK(room_is_true(CLIENT, TARGET, CROWD, PORTS - 1, 1));
}

/* 24: the room follows the range at once. */
TEST_F_TIMEOUT(room, range_changed, SECONDS)
{
	struct room room;

	CHECK(wire(CLIENT, LOSE));
	ROOM(TARGET, PORTS);
	CHECK(range_set(CLIENT, LOW, HIGH + 20));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(PORTS + 20, room.capacity);
	ASSERT_EQ(PORTS, room.used);
	ASSERT_EQ(20, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
	CHECK(range_set(CLIENT, LOW + 50, HIGH));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(PORTS - 50, room.capacity);
	ASSERT_EQ(PORTS - 50, room.used);
	ASSERT_EQ(70, room.outside);
}

static int vrf_up(const struct ns *ns)
{
	return run(ns, "ip link add red type vrf table 10 && ip link set red up && "
		   "ip link add inred type dummy && ip link set inred master red up && "
		   "ip addr add 10.9.0.9/24 dev inred && "
		   "ip addr add fd09::9/64 dev inred nodad && "
		   "tc qdisc add dev inred root blackhole");
}

/* What is bound to @port, of @target's family and behind its device. */
static int occupy(const struct ns *ns, const struct target *target, uint16_t port,
		  struct crowd *crowd)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, target->family, "0.0.0.0", "::", port);
	int fd = target_socket(ns, target);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, len)) {
		close(fd);
		return fail("bind to %u: %m", port);
	}
	return crowd_add(crowd, fd);
}

/* 31: a bound device or a VRF has a room of its own. */
TEST_F_TIMEOUT(room, bound_device, SECONDS)
{
	struct target bound = *TARGET, vrf = *TARGET;

	bound.device = "wire";
	vrf.device = "red";
	CHECK(wire(CLIENT, LOSE));
	ROOM(&bound, PORTS);
	ROOM(TARGET, PORTS);
	if (vrf_up(CLIENT))
		SKIP(return, "no VRF: %s", why());
	/* What is bound in the VRF is in the way there, and there alone. */
	CHECK(occupy(CLIENT, &vrf, 40033, CROWD));
	ROOM(&vrf, PORTS - 1);
}

/* Of @target @used of the PORTS are in use, and the others can be had. */
static int room_left(const struct ns *ns, const struct target *target, struct crowd *crowd,
		     unsigned int used)
{
	struct room room;
	int n;

	/* The first connection makes it a destination. */
	if (open_until_refused(ns, target, crowd, 1) != 1 || room_read(ns, target, &room))
		return -1;
	if (room.capacity != PORTS || room.used != used + 1)
		return fail("told: used %ju of %ju, where %u of %d is right", room.used,
			    room.capacity, used + 1, PORTS);
	n = open_until_refused(ns, target, crowd, PORTS);
	if (n < 0 || room_read(ns, target, &room))
		return -1;
	if (n != (int)(PORTS - used - 1) || room.used != PORTS || room.failures != 1 ||
	    room.opens != PORTS - used)
		return fail("%d opened, %u in use; then used %ju, failures %ju, opens %ju", n, used,
			    room.used, room.failures, room.opens);
	return 0;
}

/*
 * A socket bound to a device cannot share its ends with one that is bound to none,
 * though that one can with it: who comes second has less room behind a device.
 */
TEST_F_TIMEOUT(room, bound_device_second, SECONDS)
{
	struct target bound = *TARGET;
	struct room room;

	bound.device = "wire";
	CHECK(wire(CLIENT, LOSE));
	ASSERT_EQ(60, open_until_refused(CLIENT, TARGET, CROWD, 60));
	CHECK(room_left(CLIENT, &bound, CROWD, 60));
	/* These are on the ports of the others: no more of them are taken. */
	ASSERT_EQ(PORTS - 60, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(PORTS, room.used);
	CHECK(room_read(CLIENT, &bound, &room));
	ASSERT_EQ(PORTS, room.used);
	ASSERT_EQ(0, room.outside);
	/* It is as full as the other, with fewer connections. */
	CHECK(run(CLIENT, "tcpstate-cli -j dest top 2 | "
		  "jq -ec 'map([.device, .used]) | sort == [[null, 100], [\"wire\", 100]]'"));
}

/* A VRF's own sockets are in the way of those bound to a device of it. */
TEST_F_TIMEOUT(room, vrf_device_second, SECONDS)
{
	struct target vrf = *TARGET, slave = *TARGET;

	vrf.device = "red";
	slave.device = "inred";
	CHECK(wire(CLIENT, LOSE));
	if (vrf_up(CLIENT))
		SKIP(return, "no VRF: %s", why());
	ASSERT_EQ(30, open_until_refused(CLIENT, &vrf, CROWD, 30));
	ASSERT_EQ(50, open_until_refused(CLIENT, TARGET, CROWD, 50));
	CHECK(room_left(CLIENT, &slave, CROWD, 30));

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_l3mdev_accept", "1"));
	slave.port++;
	vrf.port++;
	ASSERT_EQ(20, open_until_refused(CLIENT, &vrf, CROWD, 20));
	CHECK(room_left(CLIENT, &slave, CROWD, 20));
}

/*
 * The fullest is not where most connections are: behind a device with fewer ports
 * a few are enough.
 */
TEST_F_TIMEOUT(room, fullest_in_vrf, SECONDS)
{
	struct target vrf = *TARGET, other = *TARGET;
	unsigned int i;

	vrf.device = "red";
	CHECK(wire(CLIENT, LOSE));
	if (vrf_up(CLIENT))
		SKIP(return, "no VRF: %s", why());
	for (i = 0; i < PORTS - 4; i++)
		CHECK(occupy(CLIENT, &vrf, LOW + i, CROWD));
	ASSERT_EQ(3, open_until_refused(CLIENT, &vrf, CROWD, 3));
	/* Wherever it is in the table, some of these come before it. */
	for (i = 0; i < 16; i++) {
		other.port = PORT + 1 + i;
		ASSERT_EQ(50, open_until_refused(CLIENT, &other, CROWD, 50));
	}
	CHECK(run(CLIENT, "tcpstate-cli -j dest top 1 | "
		  "jq -ec 'map([.device, .used, .capacity]) == [[\"red\", 3, 4]]'"));
}

/* Those there at load count like any other; what was refused then does not. */
TEST_F_TIMEOUT(room, seeded, SECONDS)
{
	struct target target = *TARGET, mapped = { .family = MAPPED, .port = PORT };
	struct target other = {
		.family = variant->family == IPV4 ? IPV6 : IPV4, .port = PORT,
	};
	struct room room;
	int fd, i;

	CHECK(module_unload());
	/* In SYN_SENT, ESTABLISHED, TIME_WAIT and FIN_WAIT2, and accepted ones. */
	CHECK(pair_listen(NET, &self->base.pair));
	for (i = 0; i < 3; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	}
	for (i = 0; i < 4; i++) {
		fd = target_connect(CLIENT, &target);
		ASSERT_GE(fd, 0) TH_LOG("%s", why());
		close(fd);
	}
	for (i = 0; i < 5; i++) {
		fd = target_connect(CLIENT, &target);
		ASSERT_GE(fd, 0) TH_LOG("%s", why());
		CHECK(crowd_add(CROWD, fd));
	}
	CHECK(wire(CLIENT, LOSE));
	/* An IPv4 destination has some that are of IPv6's sockets. */
	ASSERT_EQ(6, open_until_refused(CLIENT, variant->family == IPV4 ? &mapped : &target,
					CROWD, 6));
	ASSERT_EQ(PORTS, open_until_refused(CLIENT, &other, CROWD, PORTS + 1));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load(NULL));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(18, room.used);
	ASSERT_EQ(3, room.time_wait);
	ASSERT_EQ(0, room.opens);
	ASSERT_EQ(0, room.failures);
	ASSERT_EQ(PORTS - 18, open_until_refused(CLIENT, &target, CROWD, PORTS));
	CHECK(room_read(CLIENT, &other, &room));
	ASSERT_EQ(PORTS, room.used);
	ASSERT_EQ(0, open_until_refused(CLIENT, &other, CROWD, 1));
	/* Nothing that was accepted is outgoing. */
	CHECK(run(SERVER, "tcpstate-cli -j dest | grep -qx '\\[\\]'"));
	CHECK(same_as_ss(CLIENT));
}

/* Over the wire, to a loopback address, or to one of lo's that is none. */
enum path { WIRE, LOOPBACK, VIA_LO, BOUND_TO_LO };

static const char *const path_name[] = {
	[WIRE] = "wire", [LOOPBACK] = "loopback",
	[VIA_LO] = "an address of lo", [BOUND_TO_LO] = "the same, bound to lo",
};

#define LO4	"10.7.0.1"
#define LO6	"fd07::1"

struct reuse {
	const char *tw_reuse, *stamps;
	enum path path;
	bool reusable;
	enum family family;
};

static const struct reuse reuses[] = {
	{ "0", "1", WIRE, false, IPV4 }, { "0", "1", LOOPBACK, false, IPV6 },
	{ "0", "0", WIRE, false, MAPPED }, { "0", "0", LOOPBACK, false, IPV4 },
	{ "0", "1", BOUND_TO_LO, false, IPV4 },
	{ "1", "1", WIRE, true, IPV4 }, { "1", "1", LOOPBACK, true, IPV6 },
	{ "1", "1", WIRE, true, IPV6 }, { "1", "1", WIRE, true, MAPPED },
	{ "1", "0", WIRE, false, IPV4 }, { "1", "0", LOOPBACK, false, IPV6 },
	{ "2", "1", WIRE, false, IPV4 }, { "2", "1", WIRE, false, IPV6 },
	{ "2", "1", LOOPBACK, true, IPV4 }, { "2", "1", LOOPBACK, true, IPV6 },
	{ "2", "1", LOOPBACK, true, MAPPED },
	{ "2", "1", VIA_LO, false, IPV4 }, { "2", "1", VIA_LO, false, IPV6 },
	{ "2", "1", BOUND_TO_LO, true, IPV4 }, { "2", "1", BOUND_TO_LO, true, IPV6 },
	{ "2", "0", WIRE, false, IPV6 }, { "2", "0", LOOPBACK, false, IPV4 },
	{ "2", "0", BOUND_TO_LO, false, IPV6 },
};

/* 23: @n connections that end in TIME_WAIT here. */
static int make_time_wait(struct net *net, const struct target *target, struct pair *p,
			  unsigned int n)
{
	bool here = target->local || target->host;

	p->listener = tcp_listen(here ? &net->client : &net->server, target->family,
				 target->port);
	if (p->listener < 0)
		return -1;
	while (n--) {
		p->client = target_connect(&net->client, target);
		p->server = p->client < 0 ? -1 : tcp_accept(p->listener);
		if (p->server < 0 || pair_to_time_wait(p))
			return -1;
	}
	close_fd(&p->listener);
	return 0;
}

/* 23: tcp_tw_reuse and time stamps: what is said to be reusable is what is reused. */
TEST_F_TIMEOUT(dest, tw_reuse, SECONDS)
{
	/* All of them within the minute that the first one lasts for. */
	const unsigned int some = slowness() > 1 ? 6 : 30;
	unsigned int i;

	CHECK(run(CLIENT, "ip addr add " LO4 "/32 dev lo"));
	CHECK(run(CLIENT, "ip addr add " LO6 "/128 dev lo nodad"));
	for (i = 0; i < ARRAY_SIZE(reuses); i++) {
		const struct reuse *r = &reuses[i];
		struct target target = {
			.family = r->family, .port = PORT + i, .local = r->path == LOOPBACK,
		};
		struct room room;
		int n, expected;

		if (r->path == VIA_LO || r->path == BOUND_TO_LO)
			target.host = r->family == IPV6 ? LO6 : LO4;
		if (r->path == BOUND_TO_LO)
			target.device = "lo";
		TH_LOG("tcp_tw_reuse %s, tcp_timestamps %s, %s, family %d", r->tw_reuse,
		       r->stamps, path_name[r->path], r->family);
		CHECK(wire(CLIENT, PASS));
		CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
		CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_timestamps", r->stamps));
		CHECK(make_time_wait(NET, &target, &self->base.pair, some));
		CHECK(room_read(CLIENT, &target, &room));
		ASSERT_EQ(some, room.time_wait);
		CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", r->tw_reuse));
		if (r->reusable) {
			ASSERT_TRUE(WAIT_FOR(!room_read(CLIENT, &target, &room) &&
					     room.reusable == some, PATIENCE_MS))
				TH_LOG("%ju reusable", room.reusable);
		} else {
			sleep(2);
		}
		CHECK(room_read(CLIENT, &target, &room));
		ASSERT_EQ(some, room.used);
		ASSERT_EQ(r->reusable ? some : 0, room.reusable);
		ASSERT_EQ(PORTS, room.capacity);
		expected = room.capacity - room.used + room.reusable;
		/* Unanswered, so that nothing comes back meanwhile. */
		CHECK(run(CLIENT, "tc qdisc replace dev %s root blackhole",
			  r->path == WIRE ? "wire" : "lo"));
		n = open_until_refused(CLIENT, &target, CROWD, PORTS + 1);
		ASSERT_EQ(expected, n) TH_LOG("%s", why());
		CHECK(room_read(CLIENT, &target, &room));
		ASSERT_EQ(PORTS, room.used);
		ASSERT_EQ(0, room.reusable);
		CHECK(run(CLIENT, "tc qdisc del dev lo root 2>/dev/null; true"));
		crowd_close(CROWD);
	}
}

/* A mini-socket in FIN_WAIT2 holds its port, and is not reusable. */
TEST_F_TIMEOUT(room, fin_wait2_mini, SECONDS)
{
	struct table table;
	struct room room;
	int i, fd;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	CHECK(pair_listen(NET, &self->base.pair));
	for (i = 0; i < 40; i++) {
		fd = target_connect(CLIENT, TARGET);
		ASSERT_GE(fd, 0) TH_LOG("%s", why());
		close(fd);
	}
	/* One or the other may be a full socket still. */
	ASSERT_TRUE(WAIT_FOR(!ss_read(CLIENT, &table) && in_state(&table, ST_FIN_WAIT2) == 40 &&
			     table.mini >= 20, PATIENCE_MS));
	sleep(2);
	CHECK(wire(CLIENT, LOSE));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(40, room.used);
	ASSERT_EQ(0, room.time_wait);
	ASSERT_EQ(0, room.reusable);
	ASSERT_EQ(PORTS - 40, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
}

/*
 * Short connections, each closed by the client first, until connect() finds no
 * port; return how many there were.
 */
static int short_until_refused(const struct net *net, const struct target *target, struct pair *p,
			       int max)
{
	int n, err;

	if (pair_listen(net, p))
		return -1;
	for (n = 0; n < max; n++) {
		p->client = target_socket(&net->client, target);
		err = p->client < 0 ? -1 : target_dial_blocking(p->client, target);
		if (err == EADDRNOTAVAIL)
			break;
		if (err)
			return fail("connect number %d: %s", n, strerror(err));
		p->server = tcp_accept(p->listener);
		if (p->server < 0 || pair_to_time_wait(p))
			return -1;
	}
	close_fd(&p->client);
	return n;
}

/* 16: what short connections leave in TIME_WAIT uses the room up, to the port. */
TEST_F_TIMEOUT(room, time_wait_used_up, SECONDS)
{
	/* All of them within the minute that the first one lasts for. */
	const int ports = 1000 / slowness() / 2 * 2;
	uint64_t start = now_ms();
	struct room room;
	int n;

	CHECK(range_set(CLIENT, 20000, 20000 + ports - 1));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	n = short_until_refused(NET, TARGET, &self->base.pair, 1);
	ASSERT_EQ(1, n) TH_LOG("%s", why());
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(ports, room.capacity);
	ASSERT_EQ(1, room.time_wait);
	close_fd(&self->base.pair.listener);
	n = short_until_refused(NET, TARGET, &self->base.pair, ports);
	TH_LOG("%d of %ju opened until one was refused, in %ju ms", n, room.capacity - room.used,
	       (uintmax_t)(now_ms() - start));
	ASSERT_EQ(room.capacity - room.used, (uint64_t)n) TH_LOG("%s", why());
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(ports, room.used);
	ASSERT_EQ(ports, room.time_wait);
	ASSERT_EQ(0, room.reusable);
	ASSERT_EQ(ports, room.opens);
	ASSERT_EQ(1, room.failures);
	CHECK(run(CLIENT, "ss -Htan state time-wait | wc -l"));
	ASSERT_EQ(ports, atoi(output()));
	CHECK(same_as_ss(CLIENT));
}

/*
 * The same with the range as it is by default. connect() tries the ports of one parity
 * before those of the other, which it would look through again for each of these once
 * they are used: they are used up first here, by a range that begins with them.
 */
TEST_F_TIMEOUT(dest, default_range_in_time_wait, SECONDS)
{
	const int ports = 60999 - 32768 + 1;
	struct target target = { .family = IPV4, .port = PORT };
	uint64_t start = now_ms();
	struct room room;
	int n;

	if (slowness() > 1)
		SKIP(return, "28,232 connections take longer here than TIME_WAIT does");
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "65536"));
	CHECK(range_set(CLIENT, 32769, 60999));
	n = short_until_refused(NET, &target, &self->base.pair, ports / 2);
	ASSERT_EQ(ports / 2, n) TH_LOG("%s", why());
	close_fd(&self->base.pair.listener);
	CHECK(range_set(CLIENT, 32768, 60999));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(ports, room.capacity);
	ASSERT_EQ(ports / 2, room.used);
	n = short_until_refused(NET, &target, &self->base.pair, ports);
	TH_LOG("%d of %ju opened until one was refused, in %ju ms", n, room.capacity - room.used,
	       (uintmax_t)(now_ms() - start));
	ASSERT_EQ(room.capacity - room.used, (uint64_t)n) TH_LOG("%s", why());
	CHECK(run(CLIENT, "ss -Htan state time-wait | wc -l"));
	ASSERT_EQ(ports, atoi(output()));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(ports, room.used);
	ASSERT_EQ(ports, room.time_wait);
	ASSERT_EQ(0, room.reusable);
	ASSERT_EQ(ports, room.opens);
	ASSERT_EQ(1, room.failures);
	CHECK(same_as_ss(CLIENT));
}

/*
 * May connect() take what entered TIME_WAIT at @since? With tcp_tw_reuse_delay when
 * that is over; without (@delay_ms is 0), from the next whole second on.
 */
static bool may_take(uint64_t since, uint64_t now, unsigned int delay_ms)
{
	return delay_ms ? now >= since + delay_ms : now / 1000 > since / 1000;
}

/* The kernel's seconds go on with its ticks, its milliseconds are rounded. */
#define TICK_MS	20

/*
 * 23: after how long. Of two ports in TIME_WAIT, to two destinations, that of
 * @second is the younger one. What is said to be reusable connect() takes, no
 * earlier and no later than it may; and when it takes the younger, the older is
 * said to be. Return after how many milliseconds that was, -1 if it was not so.
 */
static int reused_after(struct net *net, const struct target *first, const struct target *second,
			struct pair *p, unsigned int delay_ms)
{
	const struct ns *ns = &net->client;
	uint64_t start, entered, asked;
	struct room room, other;
	int fd, err;

	if (wire(ns, PASS) || make_time_wait(net, first, p, 1))
		return -1;
	start = now_ms();
	if (make_time_wait(net, second, p, 1))
		return -1;
	entered = now_ms();
	if (wire(ns, LOSE))
		return -1;
	do {
		if (room_read(ns, second, &room))
			return -1;
		fd = target_socket(ns, second);
		asked = now_ms();
		err = target_dial(fd, second);
		if (err && room.reusable) {
			close(fd);
			return fail("said to be reusable, but connect() says %s", strerror(err));
		}
		if (err)
			close(fd);
		if (err && may_take(entered + TICK_MS, asked - TICK_MS, delay_ms))
			return fail("not to be taken after %ju ms", (uintmax_t)(asked - entered));
	} while (err == EADDRNOTAVAIL && now_ms() < start + PATIENCE_MS);
	if (err)
		return fail("connect: %s", strerror(err));
	asked = now_ms();
	if (!may_take(start, asked, delay_ms)) {
		close(fd);
		return fail("taken after %ju ms", (uintmax_t)(asked - start));
	}
	if (room_read(ns, first, &other) || room_read(ns, second, &room))
		return close(fd), -1;
	if (close_reset(&fd))
		return -1;
	if (other.reusable != 1 || room.used != 1 || room.time_wait || room.reusable)
		return fail("%ju reusable; where it was taken %ju used, %ju in TIME_WAIT, "
			    "%ju reusable", other.reusable, room.used, room.time_wait,
			    room.reusable);
	return asked - start;
}

TEST_F_TIMEOUT(room, reusable_after, SECONDS)
{
	struct target first = *TARGET, second = *TARGET;
	char delay[16] = "0";
	int ms, i;

	/* The one port there is. */
	CHECK(range_set(CLIENT, LOW, LOW));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	sysctl_get(CLIENT, "net/ipv4/tcp_tw_reuse_delay", delay, sizeof(delay));
	for (i = 0; i < 3; i++) {
		first.port = PORT + 2 * i;
		second.port = PORT + 2 * i + 1;
		ms = reused_after(NET, &first, &second, &self->base.pair, atoi(delay));
		ASSERT_LE(0, ms) TH_LOG("%s", why());
		TH_LOG("taken again after %d ms", ms);
	}
	if (!atoi(delay))
		return;
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse_delay", "3000"));
	first.port = PORT + 10;
	second.port = PORT + 11;
	ms = reused_after(NET, &first, &second, &self->base.pair, 3000);
	ASSERT_LE(0, ms) TH_LOG("%s", why());
	TH_LOG("taken again after %d ms, with tcp_tw_reuse_delay 3000", ms);
}

/*
 * 25: a server that closes first has its port in TIME_WAIT by the thousand.
 * That is no room of the connections it opens itself, but counts against
 * tcp_max_tw_buckets.
 */
TEST_F_TIMEOUT(room, server_closes_first, SECONDS)
{
	const unsigned int many = 3000 / slowness(), limit = 1000 / slowness();
	struct target back = { .family = variant->family, .host = variant->client, .port = PORT };
	struct pair *p = &self->base.pair;
	uint64_t overflow, later, minis;
	struct counters c;
	struct room room;
	char text[16];
	unsigned int i;

	/* Its port is in the range, and taken by the listener, once. */
	CHECK(range_set(SERVER, PORT - 10, PORT + 9));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_max_tw_buckets", "100000"));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_syn_retries", "20"));
	CHECK(pair_listen(NET, p));
	for (i = 0; i < many; i++) {
		p->from = 10000 + i;
		CHECK(pair_open(NET, p));
		CHECK(pair_to_server_time_wait(p));
	}
	CHECK(sockstat(SERVER, "tw", &minis));
	TH_LOG("%ju of %u in TIME_WAIT", (uintmax_t)minis, many);
	ASSERT_LT(limit, minis);
	CHECK(cli_read(SERVER, &c));
	ASSERT_EQ(100000, c.limit);
	/* Further ones have none as long as it is reached. */
	snprintf(text, sizeof(text), "%u", limit);
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_max_tw_buckets", text));
	CHECK(nstat(SERVER, "TcpExtTCPTimeWaitOverflow", &overflow));
	for (i = 0; i < 10; i++) {
		p->from = 10000 + many + i;
		CHECK(pair_open(NET, p));
		CHECK(pair_to_server_time_wait(p));
	}
	ASSERT_TRUE(WAIT_FOR(!nstat(SERVER, "TcpExtTCPTimeWaitOverflow", &later) &&
			     later == overflow + 10, PATIENCE_MS))
		TH_LOG("%ju overflows", (uintmax_t)(later - overflow));
	CHECK(cli_read(SERVER, &c));
	ASSERT_EQ(limit, c.limit);
	ASSERT_EQ(10, c.overflow);
	CHECK(run(SERVER, "tcpstate-cli -j dest | grep -qx '\\[\\]'"));
	CHECK(wire(SERVER, LOSE));
	CHECK(room_is_true(SERVER, &back, CROWD, 20 - 1, 0));
	CHECK(sockstat(SERVER, "tw", &minis));
	ASSERT_LT(0, minis);	/* all the while */
	/* Nor do those that it closed cost the clients any. */
	CHECK(wire(CLIENT, LOSE));
	ROOM(TARGET, PORTS);
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(0, room.time_wait + room.outside);
}

/* How `tcpstate-cli check @arguments` ends. */
static int check(const struct ns *ns, const char *arguments)
{
	return run_status(ns, "tcpstate-cli check %s", arguments);
}

static const char *const verdicts[] = {
	"TCPSTATE OK: ", "TCPSTATE WARNING: ", "TCPSTATE CRITICAL: ", "TCPSTATE UNKNOWN: ",
};

#define CHECKED(status, arguments) do {						\
	ASSERT_EQ(status, check(CLIENT, arguments)) TH_LOG("%s", output());	\
	ASSERT_EQ(output(), strstr(output(), verdicts[status]))			\
		TH_LOG("%s", output());						\
} while (0)

/* The Monitoring Plugin, by what it ends with. */
TEST_F_TIMEOUT(room, check, SECONDS)
{
	struct target other = *TARGET, third = *TARGET;
	char dest[64], elsewhere[64], nowhere[64];

	other.port = PORT + 1;
	third.port = PORT + 2;
	snprintf(dest, sizeof(dest), "--port-room 50:75 --dest '%s:%u'", variant->server, PORT);
	snprintf(elsewhere, sizeof(elsewhere), "--port-room 50:75 --dest '%s:%u'",
		 variant->server, PORT + 1);
	snprintf(nowhere, sizeof(nowhere), "--port-room 50:75 --dest '%s:%u'",
		 variant->server, PORT + 2);
	CHECK(wire(CLIENT, LOSE));
	CHECKED(0, "--port-room 50:75");
	CHECKED(0, nowhere);
	ASSERT_EQ(10, open_until_refused(CLIENT, &other, CROWD, 10));
	ASSERT_EQ(49, open_until_refused(CLIENT, TARGET, CROWD, 49));
	CHECKED(0, "--port-room 50:75");
	CHECKED(0, dest);
	ASSERT_EQ(1, open_until_refused(CLIENT, TARGET, CROWD, 1));
	CHECKED(1, "--port-room 50:75");
	CHECKED(1, dest);
	CHECKED(0, elsewhere);
	CHECKED(0, nowhere);
	ASSERT_EQ(25, open_until_refused(CLIENT, TARGET, CROWD, 25));
	CHECKED(2, "--port-room 50:75");
	CHECKED(2, dest);
	ASSERT_NE(NULL, strstr(output(), "port_room=75.0%;50;75;0;100 used=75;;;0;100"))
		TH_LOG("%s", output());
	CHECKED(0, elsewhere);
	CHECKED(0, "--port-room 90:95");
	/* A refusal is critical, whatever the thresholds; not elsewhere. */
	ASSERT_EQ(25, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
	ASSERT_TRUE(WAIT_FOR(check(CLIENT, "--port-room 100:100") == 2 &&
			     strstr(output(), "connect() refused 1 x"), PATIENCE_MS))
		TH_LOG("%s", output());
	CHECKED(0, elsewhere);
	/* What it is not asked rightly it cannot know; nor without the module. */
	CHECKED(3, "--port-room 75:50");
	CHECKED(3, "--port-room");
	CHECKED(3, "--dest 10.9.0.2");
	CHECK(module_unload());
	CHECKED(3, "--port-room 50:75");
	CHECKED(3, dest);
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	/* And where it may follow no more destinations, of none that it does not. */
	CHECK(module_load("max_destinations_netns=2"));
	CHECKED(2, dest);
	CHECKED(0, elsewhere);
	ASSERT_EQ(1, open_until_refused(CLIENT, &third, CROWD, 1));
	CHECKED(3, nowhere);
	CHECKED(2, dest);
}

/* Has @is the value of @should, give or take @percent? */
static bool about(double is, double should, double percent)
{
	return is >= should * (100 - percent) / 100 && is <= should * (100 + percent) / 100;
}

/*
 * Is @rate, in a second, that of @n since @begun, give or take 5 %? It was told
 * between the times @asked and @answered: it may take a while to get there.
 */
static bool rate_of(double rate, unsigned int n, uint64_t begun, uint64_t asked,
		    uint64_t answered)
{
	return rate >= n * 1000. / (answered - begun) * .95 &&
	       rate <= n * 1000. / (asked - begun) * 1.05;
}

/* Open connections at an even pace, by what @open does, for @ms. How many there were. */
#define AT_PACE(per_second, ms, open) ({						\
	uint64_t __since = now_ms(), __now;						\
	unsigned int __n = 0;								\
	while ((__now = now_ms()) < __since + (ms)) {					\
		if (__n * 1000ull >= (__now - __since) * (per_second)) {		\
			usleep(1000);							\
			continue;							\
		}									\
		open;									\
		__n++;									\
	}										\
	__n;										\
})

/* When it is full is when it was said that it would be. */
TEST_F_TIMEOUT(dest, forecast, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT };
	uint64_t asked, answered, begun;
	struct room room;
	unsigned int n;

	CHECK(range_set(CLIENT, LOW, LOW + 799));
	CHECK(wire(CLIENT, LOSE));
	begun = now_ms();
	AT_PACE(100, 3000, ASSERT_EQ(1, open_until_refused(CLIENT, &target, CROWD, 1)));
	asked = now_ms();
	CHECK(room_read(CLIENT, &target, &room));
	answered = now_ms();
	TH_LOG("%.1f opened per second, full in %.1f s", room.open_rate, room.eta_s);
	ASSERT_TRUE(rate_of(room.open_rate, room.used, begun, asked, answered));
	ASSERT_TRUE(about(room.eta_s, (room.capacity - room.used) / room.open_rate, 5));
	ASSERT_LT(room.sustainable_rate, 0);	/* as none has ended */
	n = 0;
	AT_PACE(100, PATIENCE_MS, {
		if (open_until_refused(CLIENT, &target, CROWD, 1) != 1)
			break;
		n++;
	});
	ASSERT_EQ(800, room.used + n);
	TH_LOG("it was full after %.1f s", (now_ms() - asked) / 1000.);
	ASSERT_TRUE(about((now_ms() - asked) / 1000., room.eta_s, 20));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(0, room.eta_s);
}

/* Minutes ahead, too: what is told at once is when connect() is refused. */
TEST_F_TIMEOUT(dest, minutes_ahead, 600)
{
	const unsigned int ports = 2400 / slowness(), a_second = 10;
	struct target target = { .family = IPV6, .port = PORT };
	struct rlimit many = { 4000, 4000 };
	struct room room;
	uint64_t asked;
	double took;

	setrlimit(RLIMIT_NOFILE, &many);
	CHECK(range_set(CLIENT, 20000, 20000 + ports - 1));
	CHECK(wire(CLIENT, LOSE));
	AT_PACE(a_second, 3000, ASSERT_EQ(1, open_until_refused(CLIENT, &target, CROWD, 1)));
	asked = now_ms();
	CHECK(room_read(CLIENT, &target, &room));
	AT_PACE(a_second, 2000 * ports / a_second, {
		int n = open_until_refused(CLIENT, &target, CROWD, 1);

		ASSERT_LE(0, n) TH_LOG("%s", why());
		if (!n)
			break;
	});
	took = (now_ms() - asked) / 1000.;
	TH_LOG("after 3 s: full in %.1f s; connect() was refused after %.1f s", room.eta_s, took);
	ASSERT_TRUE(about(took, room.eta_s, 10));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(ports, room.used);
	ASSERT_EQ(1, room.failures);
}

/*
 * With TIME_WAIT: for a minute no faster than ports come back, then faster. What is told
 * then is when connect() is refused.
 */
TEST_F_TIMEOUT(dest, forecast_in_time_wait, SECONDS)
{
	const unsigned int ports = 2000 / slowness();
	const unsigned int slow = 20 / slowness(), fast = 50 / slowness();
	struct target target = { .family = IPV4, .port = PORT };
	struct pair *p = &self->base.pair;
	bool refused = false;
	uint64_t asked;
	struct room room;
	double took;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "4096"));
	CHECK(range_set(CLIENT, 20000, 20000 + ports - 1));
	AT_PACE(slow, 60000, {
		CHECK(pair_open(NET, p));
		CHECK(pair_to_time_wait(p));
	});
	CHECK(room_read(CLIENT, &target, &room));
	TH_LOG("%.1f opened per second, %ju of %ju used, full in %.1f s", room.open_rate, room.used,
	       room.capacity, room.eta_s);
	ASSERT_LT(room.eta_s, 0);
	/* Until the rate is that of these alone. */
	AT_PACE(fast, 11000, {
		CHECK(pair_open(NET, p));
		CHECK(pair_to_time_wait(p));
	});
	asked = now_ms();
	CHECK(room_read(CLIENT, &target, &room));
	AT_PACE(fast, PATIENCE_MS, {
		int err;

		p->client = target_socket(CLIENT, &target);
		err = target_dial_blocking(p->client, &target);
		if (err == EADDRNOTAVAIL) {
			refused = true;
			break;
		}
		ASSERT_EQ(0, err);
		p->server = tcp_accept(p->listener);
		ASSERT_LE(0, p->server) TH_LOG("%s", why());
		CHECK(pair_to_time_wait(p));
	});
	took = (now_ms() - asked) / 1000.;
	TH_LOG("%.1f opened per second, %ju of %ju used, full in %.1f s; "
	       "connect() was refused after %.1f s", room.open_rate, room.used, room.capacity,
	       room.eta_s, took);
	ASSERT_TRUE(refused);
	ASSERT_TRUE(about(took, room.eta_s, 10));
}

/* A rate that can go on for ever is never full; the most that can is told. */
TEST_F_TIMEOUT(dest, sustainable, SECONDS)
{
	struct target still = { .family = IPV4, .port = PORT };
	struct target target = { .family = IPV4, .port = PORT + 1 };
	uint64_t begun, asked, answered;
	struct room room;
	unsigned int n;

	/* Into TIME_WAIT, which lasts for 60 s: 100 ports are 1.67 per second. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	self->base.pair.port = target.port;
	begun = now_ms();
	n = AT_PACE(10, 3000, {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	});
	asked = now_ms();
	CHECK(room_read(CLIENT, &target, &room));
	answered = now_ms();
	TH_LOG("%.1f opened per second, %.2f sustainable, full in %.1f s", room.open_rate,
	       room.sustainable_rate, room.eta_s);
	ASSERT_EQ(n, room.time_wait);
	ASSERT_TRUE(rate_of(room.open_rate, n, begun, asked, answered));
	ASSERT_TRUE(about(room.sustainable_rate, PORTS / 60., 5));
	ASSERT_TRUE(about(room.eta_s, (PORTS - n) / room.open_rate, 15));
	/* With ports for 60 s of it, it never is. */
	CHECK(range_set(CLIENT, LOW, LOW + 60 * 10 * 2 - 1));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_LT(room.eta_s, 0);
	ASSERT_TRUE(about(room.sustainable_rate, 20, 5));
	CHECK(run(CLIENT, "tcpstate-cli -j dest | "
		  "jq -ec '.[0] | .sustainable and .eta_s == null'"));
	CHECK(run(CLIENT, "tcpstate-cli dest | grep -qw never"));
	/* Nor is it, for longer than TIME_WAIT lasts: 600 at once, for which a
	 * machine with small tables has a limit of its own.
	 */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "4096"));
	AT_PACE(10, 130000, {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	});
	CHECK(room_read(CLIENT, &target, &room));
	TH_LOG("after 130 s more: %ju of %ju used, %.1f opened per second, %.2f sustainable",
	       room.used, room.capacity, room.open_rate, room.sustainable_rate);
	ASSERT_EQ(0, room.failures);
	ASSERT_TRUE(about(room.used, 60 * room.open_rate, 10));
	ASSERT_TRUE(about(room.sustainable_rate, 20, 5));
	ASSERT_LT(room.eta_s, 0);

	/* Ended without TIME_WAIT: what a port is held for is next to nothing. */
	CHECK(wire(CLIENT, LOSE));
	begun = now_ms();
	n = AT_PACE(50, 3000, {
		ASSERT_EQ(1, open_until_refused(CLIENT, &still, CROWD, 1));
		CHECK(close_reset(&CROWD->fds[--CROWD->n]));
	});
	asked = now_ms();
	CHECK(room_read(CLIENT, &still, &room));
	answered = now_ms();
	TH_LOG("%.1f opened per second, %.2f sustainable", room.open_rate, room.sustainable_rate);
	ASSERT_TRUE(rate_of(room.open_rate, n, begun, asked, answered));
	ASSERT_LT(room.eta_s, 0);
	ASSERT_GT(room.sustainable_rate, 100 * room.open_rate);
}

/* One connection more: 0, or connect()'s errno; -1 if anything else failed. */
static int pair_try(const struct net *net, const struct target *target, struct pair *p)
{
	int err;

	if (p->listener < 0 && pair_listen(net, p))
		return -1;
	p->client = target_socket(&net->client, target);
	err = p->client < 0 ? -1 : target_dial_blocking(p->client, target);
	if (err) {
		close_fd(&p->client);
		return err;
	}
	p->server = tcp_accept(p->listener);
	return p->server < 0 ? -1 : 0;
}

/*
 * Where connect() takes again what is in TIME_WAIT, a port is held for a second:
 * what would use the range up within five seconds, were it for 60, goes on.
 */
TEST_F_TIMEOUT(dest, sustainable_by_reuse, SECONDS)
{
	const unsigned int ports = 100 / slowness(), a_second = 20 / slowness();
	struct target target = { .family = IPV4, .port = PORT };
	struct room room;
	char delay[16];

	CHECK(range_set(CLIENT, LOW, LOW + ports - 1));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	AT_PACE(a_second, 15000, {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	});
	CHECK(room_read(CLIENT, &target, &room));
	TH_LOG("%ju opened by %u ports, %.1f per second, %.1f sustainable",
	       (uintmax_t)room.opens, ports, room.open_rate, room.sustainable_rate);
	ASSERT_LT(ports, room.opens);
	ASSERT_EQ(0, room.failures);
	ASSERT_TRUE(about(room.sustainable_rate, ports, 10));
	ASSERT_LT(room.eta_s, 0);
	if (!sysctl_get(CLIENT, "net/ipv4/tcp_tw_reuse_delay", delay, sizeof(delay))) {
		CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse_delay", "2500"));
		CHECK(room_read(CLIENT, &target, &room));
		ASSERT_TRUE(about(room.sustainable_rate, ports / 2.5, 10));
	}
	/* Without that, the whole minute counts. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_TRUE(about(room.sustainable_rate, ports / 60., 10));
}

/* Where every other connection stays, these alone fill the room, when it was said. */
TEST_F_TIMEOUT(dest, forecast_by_reuse, SECONDS)
{
	const unsigned int a_second = slowness() > 1 ? 4 : 10, ports = 40 * a_second;
	struct target target = { .family = IPV4, .port = PORT };
	struct pair *p = &self->base.pair;
	struct room room = { };
	int turn, err = 0;
	uint64_t asked;
	double took;

	CHECK(range_set(CLIENT, LOW, LOW + ports - 1));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	for (turn = 0; turn < 2; turn++) {
		asked = now_ms();
		if (turn)
			CHECK(room_read(CLIENT, &target, &room));
		AT_PACE(a_second, turn ? 80000 : 12000, {
			err = pair_try(NET, &target, p);
			if (err)
				break;
			CHECK(pair_to_time_wait(p));
			err = pair_try(NET, &target, p);
			if (err)
				break;
			CHECK(crowd_add(CROWD, p->client));
			CHECK(crowd_add(CROWD, p->server));
			p->client = -1;
			p->server = -1;
		});
		ASSERT_EQ(turn ? EADDRNOTAVAIL : 0, err) TH_LOG("%s", why());
	}
	took = (now_ms() - asked) / 1000.;
	TH_LOG("%.1f opened per second, %ju of %ju used, of which %ju reusable, full in %.1f s; "
	       "connect() was refused after %.1f s", room.open_rate, (uintmax_t)room.used,
	       (uintmax_t)room.capacity, (uintmax_t)room.reusable, room.eta_s, took);
	ASSERT_TRUE(about(took, room.eta_s, 10));
}

/* A peer that does not close: what is in FIN_WAIT2 holds its port for tcp_fin_timeout. */
TEST_F_TIMEOUT(dest, sustainable_in_fin_wait2, SECONDS)
{
	const unsigned int a_second = slowness() > 1 ? 2 : 5, timeout = 10;
	struct target target = { .family = IPV4, .port = PORT };
	struct pair *p = &self->base.pair;
	struct room room;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fin_timeout", "10"));
	AT_PACE(a_second, 25000, {
		CHECK(pair_open(NET, p));
		CHECK(crowd_add(CROWD, p->server));
		p->server = -1;
		close_fd(&p->client);
	});
	CHECK(room_read(CLIENT, &target, &room));
	TH_LOG("%.1f opened per second, %ju used, %.2f sustainable", room.open_rate,
	       (uintmax_t)room.used, room.sustainable_rate);
	ASSERT_EQ(0, room.time_wait);
	ASSERT_TRUE(about(room.used, timeout * room.open_rate, 15));
	ASSERT_TRUE(about(room.sustainable_rate, PORTS / (double)timeout, 15));
	ASSERT_LT(room.eta_s, 0);
}

/* What holds ports that are in the range no more says nothing of those in it. */
TEST_F_TIMEOUT(dest, sustainable_in_range, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT };
	const unsigned int before = 300 / slowness();
	struct room room;
	unsigned int n;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "4096"));
	CHECK(range_set(CLIENT, LOW + 1000, LOW + 1999));
	CHECK(make_time_wait(NET, &target, &self->base.pair, before));
	CHECK(range_set(CLIENT, LOW, HIGH));
	/* Past what the rate is of. */
	sleep(15);
	n = AT_PACE(10, 3000, {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
	});
	CHECK(room_read(CLIENT, &target, &room));
	TH_LOG("%ju used, %ju outside; %.1f opened per second, %.2f sustainable, full in %.1f s",
	       room.used, room.outside, room.open_rate, room.sustainable_rate, room.eta_s);
	ASSERT_EQ(before, room.outside);
	ASSERT_EQ(n, room.used);
	ASSERT_EQ(before + n, room.time_wait);
	ASSERT_TRUE(about(room.sustainable_rate, PORTS / 60., 5));
	ASSERT_TRUE(about(room.eta_s, (PORTS - n) / room.open_rate, 15));
}

/* A load that is over has no rate any more, whether it is asked for meanwhile or not. */
TEST_F_TIMEOUT(dest, load_is_over, SECONDS)
{
	struct target asked = { .family = IPV4, .port = PORT };
	struct target not = { .family = IPV4, .port = PORT + 1 };
	struct room room[2], then;
	unsigned int i;

	CHECK(range_set(CLIENT, LOW, LOW + 999));
	CHECK(wire(CLIENT, LOSE));
	AT_PACE(20, 12000, {
		ASSERT_EQ(1, open_until_refused(CLIENT, &asked, CROWD, 1));
		ASSERT_EQ(1, open_until_refused(CLIENT, &not, CROWD, 1));
	});
	CHECK(room_read(CLIENT, &asked, &room[0]));
	CHECK(room_read(CLIENT, &not, &room[1]));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(about(room[i].open_rate, 20, 10));
		ASSERT_TRUE(about(room[i].eta_s, (1000 - room[i].used) / 20., 10));
	}
	for (i = 0; i < 25; i++) {
		sleep(1);
		CHECK(room_read(CLIENT, &asked, &then));
	}
	for (i = 0; i < 2; i++) {
		CHECK(room_read(CLIENT, i ? &not : &asked, &then));
		TH_LOG("%s meanwhile: %.2f opened per second, then %.2f, full in %.1f s",
		       i ? "not asked for" : "asked for", room[i].open_rate, then.open_rate,
		       then.eta_s);
		EXPECT_LT(then.open_rate, room[i].open_rate * .05);
		EXPECT_LT(then.eta_s, 0);
	}
}

/* 18: all of them ESTABLISHED: just as exhausted; a port given back is room again. */
TEST_F_TIMEOUT(room, established, SECONDS)
{
	struct room room;
	int i, fd;

	CHECK(pair_listen(NET, &self->base.pair));
	for (i = 0; i < PORTS; i++) {
		fd = target_connect(CLIENT, TARGET);
		ASSERT_GE(fd, 0) TH_LOG("%s", why());
		CHECK(crowd_add(CROWD, fd));
	}
	ASSERT_EQ(0, open_until_refused(CLIENT, TARGET, CROWD, 1));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(PORTS, room.used);
	ASSERT_EQ(0, room.time_wait);
	ASSERT_EQ(1, room.failures);
	for (i = 0; i < 10; i++)
		CHECK(close_reset(&CROWD->fds[i]));
	CHECK(room_read(CLIENT, TARGET, &room));
	ASSERT_EQ(PORTS - 10, room.used);
	ASSERT_EQ(10, open_until_refused(CLIENT, TARGET, CROWD, PORTS));
}

/*
 * A namespace may be given the number of one that has died, whose destinations
 * are still kept: none of them is shown as its own.
 */
TEST_F_TIMEOUT(dest, number_used_again, SECONDS)
{
	struct target target = { .family = IPV4, .local = true, .port = PORT };
	uint64_t start = now_ms(), numbers[256];
	unsigned int n, i;
	bool again = false;
	struct room room;
	struct pair p;
	struct ns ns;
	size_t rooms;

	for (n = 0; !again && n < ARRAY_SIZE(numbers) && now_ms() - start < PATIENCE_MS; n++) {
		CHECK(ns_new(&ns, NULL));
		for (i = 0; i < n; i++)
			again = again || numbers[i] == ns.ino;
		numbers[n] = ns.ino;
		CHECK(rooms_read(&ns, &target, &room, &rooms));
		ASSERT_EQ(0, rooms);
		pair_init(&p, IPV4, PORT);
		CHECK(pair_open_local(&ns, &p));
		CHECK(room_read(&ns, &target, &room));
		ASSERT_EQ(1, room.used);
		pair_close(&p);
		ns_drop(&ns);
		nap(start);
	}
	ASSERT_TRUE(again);
}

/*
 * The overview has the fullest destinations: which, in what order, and how many
 * ports are used, is what ss counts. Nobody answers, but for the first.
 */
TEST_F_TIMEOUT(dest, fullest_in_overview, SECONDS)
{
	static const struct {
		enum family family;
		unsigned int port, conns;
	} to[] = {
		{ IPV4, PORT + 1, 3 }, { IPV6, PORT + 1, 17 }, { IPV4, PORT + 2, 11 },
		{ MAPPED, PORT + 3, 5 }, { IPV6, PORT + 2, 1 }, { IPV4, PORT + 4, 8 },
	};
	struct pair *p = &self->base.pair;
	unsigned int i;
	char expected[512];

	/* In TIME_WAIT, ESTABLISHED and CLOSE_WAIT: 14 are used. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "0"));
	for (i = 0; i < 13; i++) {
		CHECK(pair_open(NET, p));
		if (i < 4) {
			CHECK(pair_to_time_wait(p));
			continue;
		}
		CHECK(crowd_add(CROWD, p->client));
		p->client = -1;
		if (i < 8)
			CHECK(close_acknowledged(&p->server));
		else
			CHECK(crowd_add(CROWD, p->server));
		p->server = -1;
	}
	CHECK(pair_open(NET, p));
	CHECK(wire(CLIENT, LOSE));
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		struct target target = { .family = to[i].family, .port = to[i].port };

		ASSERT_EQ(to[i].conns,
			  open_until_refused(CLIENT, &target, CROWD, to[i].conns));
	}
	CHECK(run(CLIENT, "ss -Htan state connected | "
		  "awk '{ if (sub(/^\\[::ffff:/, \"\", $5)) sub(/]/, \"\", $5); n[$5]++ } "
		  "END { for (to in n) print to, n[to] }' | sort -k 2,2nr | head -n 5"));
	snprintf(expected, sizeof(expected), "%s", output());
	ASSERT_STREQ("[fd09::2]:7001 17\n10.9.0.2:7000 14\n10.9.0.2:7002 11\n"
		     "10.9.0.2:7004 8\n10.9.0.2:7003 5\n", expected);
	CHECK(run(CLIENT, "tcpstate-cli | "
		  "awk 'on && NF { print $1, $4 } $1 == \"DESTINATION\" { on = 1 }'"));
	ASSERT_STREQ(expected, output());
	CHECK(run(CLIENT, "tcpstate-cli -j | jq -r '.dest[] | "
		  "(if .family == \"ipv6\" then \"[\" + .daddr + \"]\" else .daddr end) + "
		  "\":\\(.dport) \\(.used)\"'"));
	ASSERT_STREQ(expected, output());
}

/* A process that is not root sees the numbers, and no process. */
TEST_F_TIMEOUT(dest, unprivileged, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT };
	struct room room;

	CHECK(wire(CLIENT, LOSE));
	ROOM(&target, PORTS);
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ((uint64_t)getpid(), room.failed_pid);
	ASSERT_EQ(0, room.failed_uid);
	ASSERT_STREQ("dest", room.failed_comm);
	CHECK(run(CLIENT, "setpriv --reuid 65534 --clear-groups tcpstate-cli -j dest | "
		  "grep -q '\"used\": *%u'", PORTS));
	ASSERT_NE(0, run_status(CLIENT, "setpriv --reuid 65534 --clear-groups "
				"tcpstate-cli -j dest | grep -q '\"pid\"'"));
	CHECK(run(CLIENT, "setpriv --reuid 65534 --clear-groups tcpstate-cli -j dest | "
		  "jq -e '.[0] | .last_failure == null and .last_failure_hidden'"));
	CHECK(run(CLIENT, "setpriv --reuid 65534 --clear-groups tcpstate-cli dest | "
		  "grep -q '^Who was refused last is not for you to see'"));
	CHECK(run(CLIENT, "setpriv --reuid 65534 --clear-groups tcpstate-cli port summary | "
		  "grep -q '^connect().*, last a process that is not for you to see$'"));
}

TEST_HARNESS_MAIN
