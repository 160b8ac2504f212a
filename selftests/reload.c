// SPDX-License-Identifier: GPL-2.0
/*
 * The module goes and comes again a hundred times while everything that can be
 * under way is: connections, commands, dumps that their readers leave half read,
 * namespaces that die with connections in them, and one that has too few ports.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "kselftest_harness.h"
#include "disturb.h"
#include "traffic.h"
#include "util.h"

#define LOADS	100
#define SECONDS	900

static const struct traffic_spec busy = {
	.ends = END_ANY, .destinations = 50, .window = 20, .ipv6_every = 3,
};

FIXTURE(reload) {
	struct kmsg log;
	struct ns ns;
	struct traffic traffic;
	struct disturb disturb;
};

FIXTURE_SETUP(reload)
{
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(traffic_init(&self->traffic));
	CHECK(ns_new(&self->ns, NULL));
	CHECK(traffic_settings(&self->ns));
	CHECK(traffic_add(&self->traffic, &self->ns, PORT, &busy));
	CHECK(disturb_start(&self->disturb));
}

FIXTURE_TEARDOWN(reload)
{
	struct kmsg_allowed allowed = { .words = "tcpstate: netns " };

	disturb_stop(&self->disturb);
	if (self->traffic.workers)
		EXPECT_OK(traffic_stop(&self->traffic));
	ns_drop(&self->ns);
	if (module_loaded())
		EXPECT_OK(module_unload());
	EXPECT_OK(kmsg_check_allowing(&self->log, &allowed, 1));
}

TEST_F_TIMEOUT(reload, a_hundred_times, SECONDS)
{
	uint64_t start = now_ms();
	bool chunks = false;
	unsigned int load;
	int i;

	for (load = 1; load <= LOADS; load++) {
		uint64_t before = traffic_done(&self->traffic);

		/* Where KASAN looks, at single records and at what they else come in. */
		CHECK(module_load(chunks && load % 2 == 0 ? "chunks=1" : NULL));
		chunks = !access("/sys/module/tcpstate/parameters/chunks", F_OK);
		/* Now and then it goes before anything has happened. */
		if (load % 4)
			ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > before + load % 40,
					     PATIENCE_MS));
		if (load % 10 == 0) {
			CHECK(audit_all());
			TH_LOG("%u loads, %ju connections, %ju ms", load,
			       (uintmax_t)traffic_done(&self->traffic),
			       (uintmax_t)(now_ms() - start));
		}
		CHECK(module_unload());
		CHECK(disturb_check(&self->disturb));
	}
	/* Each of them did get its turn. */
	for (i = 0; i < DISTURBERS; i++)
		EXPECT_LT(LOADS / 10, disturb_done(&self->disturb, i));
	EXPECT_OK(disturb_all_done(&self->disturb));
	TH_LOG("%ju answers, %ju half-read dumps, %ju dead namespaces, %ju refused connect()",
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_ASK),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_HALF_READ),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_DIE),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_STARVE));
	CHECK(module_load(NULL));
	CHECK(audit_all());
}

TEST_HARNESS_MAIN
