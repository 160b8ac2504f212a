// SPDX-License-Identifier: GPL-2.0
/*
 * Many destinations: the fullest are those that ss counts, the caps hold, what
 * one namespace opens does not cost another its counts, and what is not used any
 * more is forgotten.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <json-c/json.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"

#define SECONDS	900
#define TOP	10
/* No orphan lasts for longer. */
#define ORPHANS_MS	300000
/* The address of number @n: 127.1.0.0 and on. */
#define DESTINATION(n)	(0x7f010000 + (n))

FIXTURE(many) {
	struct room_rig base;
};

FIXTURE_SETUP(many)
{
	struct rlimit many = { 60000, 60000 };

	setrlimit(RLIMIT_NOFILE, &many);
	CHECK(room_up(&self->base, "max_destinations=24000"));
}

FIXTURE_TEARDOWN(many)
{
	EXPECT_OK(room_down(&self->base));
}

/* @each connections to destination number @n; in IPv6 it is behind the wire. */
static int open_in(const struct ns *ns, enum family family, unsigned int n, unsigned int each,
		   struct crowd *crowd)
{
	struct in_addr addr = { htonl(DESTINATION(n)) };
	char host[INET6_ADDRSTRLEN];
	struct target target = { .family = family, .host = host, .port = PORT, .deferred = true };

	if (family == IPV6)
		snprintf(host, sizeof(host), "fd09::7f01:%x", n);
	else
		inet_ntop(AF_INET, &addr, host, sizeof(host));
	return open_until_refused(ns, &target, crowd, each) == (int)each ? 0 : -1;
}

static int open_to(const struct ns *ns, unsigned int n, unsigned int each, struct crowd *crowd)
{
	return open_in(ns, IPV4, n, each, crowd);
}

/* @n connections from @ns, each to a destination of its own, and each over at once. */
static int flood(const struct ns *ns, unsigned int first, unsigned int n)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd, rc = ns_enter(ns);
	unsigned int i;

	for (i = 0; i < n && !rc; i++) {
		sa.sin_addr.s_addr = htonl(DESTINATION(first + i));
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1) ||
		    connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
			rc = fail("connection %u of the flood: %m", i);
		close(fd);
	}
	return ns_leave() ? -1 : rc;
}

/* "10 127.1.0.7 9 127.1.0.3 ...": used and address of the fullest. */
static int top(const struct ns *ns, char *all, size_t size)
{
	struct json_object *list, *row, *o;
	size_t i, len = 0;
	int status;

	list = cli_json(ns, "-j dest top 10", &status);
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++) {
		row = json_object_array_get_idx(list, i);
		json_object_object_get_ex(row, "used", &o);
		len += snprintf(all + len, size - len, "%d ", json_object_get_int(o));
		json_object_object_get_ex(row, "daddr", &o);
		len += snprintf(all + len, size - len, "%s ", json_object_get_string(o));
	}
	json_object_put(list);
	return status ? fail("tcpstate-cli dest top ended with %d", status) : 0;
}

/* 10,000 destinations, ten of them fuller than the others; every other one in IPv6. */
TEST_F_TIMEOUT(many, top, SECONDS)
{
	char announced[1024], counted[1024];
	struct summary summary;
	unsigned int i;

	CHECK(cheap_connections(CLIENT));
	for (i = 0; i < 10000; i++)
		CHECK(open_in(CLIENT, (i + i / 1000) % 2 ? IPV6 : IPV4, i,
			      i % 1000 == 7 ? 2 + i / 1000 : 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(10000, summary.destinations);
	ASSERT_EQ(0, summary.destinations_dropped);
	CHECK(top(CLIENT, announced, sizeof(announced)));
	CHECK(run(CLIENT, "ss -Htn state syn-sent | awk '{ sub(/:[0-9]*$/, \"\", $4); "
		  "gsub(/[][]/, \"\", $4); n[$4]++ } END { for (d in n) print n[d], d }' | "
		  "sort -k1,1nr | head -n %u | tr '\\n' ' '",
		  TOP));
	snprintf(counted, sizeof(counted), "%s", output());
	ASSERT_STREQ(counted, announced);
	/* All of them, once each. */
	CHECK(run(CLIENT, "tcpstate-cli -j dest | grep -o '\"daddr\": *\"[0-9a-f.:]*\"' | sort | "
		  "uniq -c | awk '$1 != 1 { exit 1 } END { exit NR != 10000 }'"));
	CHECK(same_as_ss(CLIENT));
}

/*
 * One namespace at its cap, and beyond by far: the others do not notice. By how far
 * MANY_FLOOD in the environment says; by less where a test is to be quick.
 */
TEST_F_TIMEOUT(many, caps, SECONDS)
{
	unsigned int flooded, i;
	struct summary summary;

	flooded = atoi(from_env("MANY_FLOOD", *from_env("TCPSTATE_QUICK", "") ?
				"10000" : "1000000"));
	CHECK(cheap_connections(CLIENT));
	CHECK(cheap_connections(SERVER));
	for (i = 0; i < 500; i++)
		CHECK(open_to(SERVER, i, 1, CROWD));
	CHECK(same_as_ss(SERVER));
	for (i = 0; i < 13000; i++)
		CHECK(open_to(CLIENT, i, 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(12000, summary.destinations_max);
	ASSERT_EQ(12000, summary.destinations);
	ASSERT_EQ(1000, summary.destinations_dropped);
	ASSERT_EQ(1000, summary.without_destination);
	CHECK(flood(CLIENT, 13000, flooded));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(12000, summary.destinations);
	ASSERT_EQ(1000 + flooded, summary.destinations_dropped);
	TH_LOG("%u connections to as many destinations over the cap", flooded);
	for (i = 0; i < 500; i++)
		CHECK(open_to(SERVER, i, 1, CROWD));
	CHECK(summary_read(SERVER, &summary));
	ASSERT_EQ(500, summary.destinations);
	ASSERT_EQ(0, summary.destinations_dropped);
	ASSERT_EQ(0, summary.without_destination);
	/* Each of those before the flood and after it, where it went. */
	CHECK(run(SERVER, "tcpstate-cli -j dest | jq -ec 'length == 500 and "
		  "(map(.daddr) | unique | length) == 500 and all(.used == 2 and .opens == 2)'"));
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));

	/* What is over is forgotten, and makes room. */
	crowd_close(CROWD);
	ASSERT_TRUE(WAIT_FOR(!summary_read(CLIENT, &summary) && !summary.without_destination,
			     40000));
	ASSERT_TRUE(WAIT_FOR(!summary_read(CLIENT, &summary) && !summary.destinations, 40000));
	ASSERT_TRUE(WAIT_FOR(!summary_read(SERVER, &summary) && !summary.destinations, 40000));
	CHECK(open_to(CLIENT, 20000, 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(1, summary.destinations);
}

FIXTURE(few) {
	struct room_rig base;
	struct ns third;
};

FIXTURE_SETUP(few)
{
	/* Half of these for any one namespace. */
	CHECK(room_up(&self->base, "max_destinations=4"));
	CHECK(ns_new(&self->third, NULL));
}

FIXTURE_TEARDOWN(few)
{
	crowd_close(CROWD);
	ns_drop(&self->third);
	EXPECT_OK(room_down(&self->base));
}

/* What others have used up is missing here: that is told, and check cannot know. */
TEST_F_TIMEOUT(few, cap_of_all, SECONDS)
{
	const struct ns *ns[] = { CLIENT, SERVER, &self->third };
	struct summary summary;
	unsigned int i;

	/* Those that an earlier test's orphans have, which were found at load. */
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "all=$(tcpstate-cli -aj dest); echo \"$all\"; "
				  "[ \"$all\" = '[]' ]"), ORPHANS_MS))
		TH_LOG("%s", output());
	for (i = 0; i < ARRAY_SIZE(ns); i++)
		CHECK(cheap_connections(ns[i]));
	CHECK(open_to(CLIENT, 0, 1, CROWD));
	CHECK(open_to(CLIENT, 1, 1, CROWD));
	CHECK(open_to(SERVER, 0, 1, CROWD));
	CHECK(summary_read(&self->third, &summary));
	CHECK(run(NULL, "tcpstate-cli -a dest"));
	ASSERT_EQ(1, summary.destinations_max) TH_LOG("of all there are\n%s", output());
	ASSERT_EQ(0, run_status(&self->third, "tcpstate-cli check --port-room 80:95"));
	CHECK(open_to(SERVER, 1, 1, CROWD));
	CHECK(open_to(&self->third, 0, 1, CROWD));
	CHECK(summary_read(&self->third, &summary));
	EXPECT_EQ(0, summary.destinations_max);
	EXPECT_EQ(0, summary.destinations);
	EXPECT_EQ(1, summary.destinations_dropped);
	EXPECT_EQ(1, summary.without_destination);
	EXPECT_EQ(3, run_status(&self->third, "tcpstate-cli check --port-room 80:95"));
	EXPECT_NE(NULL, strstr(output(), "UNKNOWN")) TH_LOG("%s", output());
	crowd_close(CROWD);
	EXPECT_TRUE(WAIT_FOR(!run_status(&self->third, "tcpstate-cli check --port-room 80:95"),
			     40000));
	CHECK(summary_read(&self->third, &summary));
	EXPECT_EQ(1, summary.destinations_dropped);
	EXPECT_EQ(0, summary.without_destination);
}

/* A refusal keeps its destination for longer. */
TEST_F_TIMEOUT(many, refused_is_kept, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT, .deferred = true }, other;
	struct room room;
	uint64_t start;
	size_t n;
	int f;

	CHECK(range_set(CLIENT, 40000, 40001));
	CHECK(cheap_connections(CLIENT));
	other = target;
	other.port++;
	for (f = IPV4; f <= IPV6; f++) {
		target.family = f;
		other.family = f;
		ASSERT_EQ(2, open_until_refused(CLIENT, &target, CROWD, 3));
		ASSERT_EQ(1, open_until_refused(CLIENT, &other, CROWD, 1));
	}
	crowd_close(CROWD);
	for (f = IPV4; f <= IPV6; f++) {
		target.family = f;
		other.family = f;
		ASSERT_TRUE(WAIT_FOR(!rooms_read(CLIENT, &other, &room, &n) && !n, 60000));
		CHECK(room_read(CLIENT, &target, &room));
		ASSERT_EQ(0, room.used);
		ASSERT_EQ(1, room.failures);
	}
	/* For ten minutes. */
	start = now_ms();
	while (now_ms() < start + 550000) {
		for (f = IPV4; f <= IPV6; f++) {
			target.family = f;
			CHECK(room_read(CLIENT, &target, &room));
		}
		usleep(10000000);
	}
	for (f = IPV4; f <= IPV6; f++) {
		target.family = f;
		ASSERT_TRUE(WAIT_FOR(!rooms_read(CLIENT, &target, &room, &n) && !n, 100000));
		TH_LOG("forgotten after %ju s more", (uintmax_t)(now_ms() - start) / 1000);
	}
}

TEST_HARNESS_MAIN
