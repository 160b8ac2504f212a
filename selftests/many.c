// SPDX-License-Identifier: GPL-2.0
/*
 * Many destinations: the fullest are those that ss counts, the caps hold, what
 * one namespace opens does not cost another its counts, and what is not used any
 * more is forgotten.
 */
#define _GNU_SOURCE
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"

#define SECONDS	900
#define TOP	10

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

/* @each connections to destination number @n. */
static int open_to(const struct ns *ns, unsigned int n, unsigned int each, struct crowd *crowd)
{
	char host[20];
	struct target target = { .family = IPV4, .host = host, .port = PORT, .deferred = true };

	snprintf(host, sizeof(host), "127.%u.%u.%u", 1 + n / 65536, n / 256 % 256, n % 256);
	return open_until_refused(ns, &target, crowd, each) == (int)each ? 0 : -1;
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

/* 10,000 destinations, ten of them fuller than the others. */
TEST_F_TIMEOUT(many, top, SECONDS)
{
	char announced[1024], counted[1024];
	struct summary summary;
	unsigned int i;

	CHECK(cheap_connections(CLIENT));
	for (i = 0; i < 10000; i++)
		CHECK(open_to(CLIENT, i, i % 1000 == 7 ? 2 + i / 1000 : 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(10000, summary.destinations);
	ASSERT_EQ(0, summary.destinations_dropped);
	CHECK(top(CLIENT, announced, sizeof(announced)));
	CHECK(run(CLIENT, "ss -Htn state syn-sent | awk '{ sub(/:[0-9]*$/, \"\", $4); n[$4]++ } "
		  "END { for (d in n) print n[d], d }' | sort -k1,1nr | head -n %u | tr '\\n' ' '",
		  TOP));
	snprintf(counted, sizeof(counted), "%s", output());
	ASSERT_STREQ(counted, announced);
	/* All of them, once each. */
	CHECK(run(CLIENT, "tcpstate-cli -j dest | grep -o '\"daddr\": *\"[0-9.]*\"' | sort | "
		  "uniq -c | awk '$1 != 1 { exit 1 } END { exit NR != 10000 }'"));
	CHECK(same_as_ss(CLIENT));
}

/*
 * One namespace at its cap, and beyond by far: the others do not notice.
 * MANY_FLOOD=1000000 in the environment makes it that far.
 */
TEST_F_TIMEOUT(many, caps, SECONDS)
{
	unsigned int flood = atoi(from_env("MANY_FLOOD", "10000")), i;
	struct crowd brief = { };
	struct summary summary;

	CHECK(cheap_connections(CLIENT));
	CHECK(cheap_connections(SERVER));
	for (i = 0; i < 13000; i++)
		CHECK(open_to(CLIENT, i, 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(12000, summary.destinations_max);
	ASSERT_EQ(12000, summary.destinations);
	ASSERT_EQ(1000, summary.destinations_dropped);
	for (i = 0; i < flood; i++) {
		CHECK(open_to(CLIENT, 13000 + i, 1, &brief));
		close(brief.fds[--brief.n]);
	}
	crowd_close(&brief);
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(12000, summary.destinations);
	ASSERT_EQ(1000 + flood, summary.destinations_dropped);
	for (i = 0; i < 500; i++)
		CHECK(open_to(SERVER, i, 2, CROWD));
	CHECK(summary_read(SERVER, &summary));
	ASSERT_EQ(500, summary.destinations);
	ASSERT_EQ(0, summary.destinations_dropped);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));

	/* What is over is forgotten, and makes room. */
	crowd_close(CROWD);
	ASSERT_TRUE(WAIT_FOR(!summary_read(CLIENT, &summary) && !summary.destinations, 40000));
	ASSERT_TRUE(WAIT_FOR(!summary_read(SERVER, &summary) && !summary.destinations, 40000));
	CHECK(open_to(CLIENT, 20000, 1, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(1, summary.destinations);
}

/* A refusal keeps its destination for longer. */
TEST_F_TIMEOUT(many, refused_is_kept, SECONDS)
{
	struct target target = { .family = IPV4, .port = PORT, .deferred = true }, other = target;
	struct room room;
	size_t n;

	other.port++;
	CHECK(range_set(CLIENT, 40000, 40001));
	CHECK(cheap_connections(CLIENT));
	ASSERT_EQ(2, open_until_refused(CLIENT, &target, CROWD, 3));
	ASSERT_EQ(1, open_until_refused(CLIENT, &other, CROWD, 1));
	crowd_close(CROWD);
	ASSERT_TRUE(WAIT_FOR(!rooms_read(CLIENT, &other, &room, &n) && !n, 60000));
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_EQ(0, room.used);
	ASSERT_EQ(1, room.failures);
}

TEST_HARNESS_MAIN
