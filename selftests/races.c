// SPDX-License-Identifier: GPL-2.0
/*
 * All that the module does at once, on several CPUs, for the kernels that look:
 * connections from several processes of which half are closed by another one,
 * counters read and records audited meanwhile, namespaces that come and die, and one
 * that has too few ports and something in CLOSE_WAIT.
 * Loaded once only: that is for what sees races to spend its time on.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "disturb.h"
#include "traffic.h"
#include "util.h"

#define NAMESPACES	2
#define DESTINATIONS	50
#define WINDOW		20
#define AUDITS		10
#define SECONDS		300

FIXTURE(races) {
	struct kmsg log;
	struct ns ns[NAMESPACES];
	struct traffic traffic;
	struct disturb disturb;
};

FIXTURE_SETUP(races)
{
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(module_load(NULL));
	CHECK(traffic_up(&self->traffic, self->ns, NAMESPACES, DESTINATIONS, WINDOW));
	CHECK(disturb_start(&self->disturb));
}

FIXTURE_TEARDOWN(races)
{
	struct kmsg_allowed allowed[] = {
		{ .words = " connect() refused, last of " },
		{ .words = " in CLOSE_WAIT for more than 1 s" },
		{ .words = "tcpstate: netns " },
	};

	disturb_stop(&self->disturb);
	EXPECT_OK(traffic_down(&self->traffic, self->ns, NAMESPACES));
	EXPECT_OK(kmsg_check_allowing(&self->log, allowed, ARRAY_SIZE(allowed)));
	EXPECT_NE(0, allowed[0].seen);
	EXPECT_NE(0, allowed[1].seen);
}

TEST_F_TIMEOUT(races, all_at_once, SECONDS)
{
	uint64_t start = now_ms();
	unsigned int i;

	for (i = 0; i < AUDITS; i++) {
		uint64_t before = traffic_done(&self->traffic);

		CHECK(audit_all());
		CHECK(disturb_check(&self->disturb));
		ASSERT_TRUE(WAIT_FOR(traffic_done(&self->traffic) > before + 50, PATIENCE_MS));
	}
	/* Each command and each dump got its turn. */
	ASSERT_TRUE(WAIT_FOR(!disturb_all_done(&self->disturb), PATIENCE_MS)) TH_LOG("%s", why());
	/* And so did what is told of by itself. */
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "dmesg | grep -q ' in CLOSE_WAIT for more than 1 s'"),
			     PATIENCE_MS));
	CHECK(disturb_check(&self->disturb));
	TH_LOG("%ju connections, %ju answers, %ju half-read dumps, %ju dead namespaces",
	       (uintmax_t)traffic_done(&self->traffic),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_ASK),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_HALF_READ),
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_DIE));
	TH_LOG("%ju refused connect(), %ju ms",
	       (uintmax_t)disturb_done(&self->disturb, DISTURB_STARVE),
	       (uintmax_t)(now_ms() - start));
	disturb_stop(&self->disturb);
	CHECK(traffic_stop(&self->traffic));
	for (i = 0; i < NAMESPACES; i++)
		CHECK(paused_as_ss(&self->ns[i]));
	CHECK(audit_all());
}

TEST_HARNESS_MAIN
