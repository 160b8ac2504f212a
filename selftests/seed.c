// SPDX-License-Identifier: GPL-2.0
/* Loading where there already is a connection in every state. */
#define _GNU_SOURCE
#include <unistd.h>

#include "every.h"
#include "kselftest_harness.h"
#include "util.h"

FIXTURE(seed) {
	struct kmsg log;
	struct net net;
	struct every every[FAMILIES];
};

FIXTURE_SETUP(seed)
{
	CHECK(kmsg_open(&self->log));
	if (module_loaded())
		CHECK(module_unload());
	CHECK(net_new(&self->net));
}

FIXTURE_TEARDOWN(seed)
{
	if (module_loaded())
		EXPECT_OK(module_unload());
	net_drop(&self->net);
	EXPECT_OK(kmsg_check(&self->log));
}

#define CLIENT	(&self->net.client)
#define SERVER	(&self->net.server)

TEST_F_TIMEOUT(seed, every_state, 300)
{
	struct ns gone[2];
	struct counters c;
	int i;

	CHECK(every_state_reach(&self->net, self->every));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load(NULL));
	CHECK(step(CLIENT, EACH_FAMILY, EVERY_CLIENT));
	CHECK(step(SERVER, EACH_FAMILY, EVERY_SERVER));
	CHECK(audit_all());
	/* How long they have been there is not known, and none of it is counted. */
	CHECK(cli_read(CLIENT, &c));
	for (i = 1; i < NSTATES; i++) {
		EXPECT_EQ(0, c.dwell_max_ms[i])
			TH_LOG("%s", state_name[i]);
	}
	/* Everything goes on to its end. */
	CHECK(wire(SERVER, PASS));
	CHECK(step(SERVER, EACH_FAMILY,
		   "LISTEN=1 ESTABLISHED=3 CLOSE_WAIT=3 TIME_WAIT=1 FIN_WAIT2=1"));
	/* What stays unanswered is not to be repeated for minutes. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_orphan_retries", "1"));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_orphan_retries", "1"));
	every_state_close(self->every);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	CHECK(audit_all());
	gone[0] = *CLIENT;
	gone[1] = *SERVER;
	net_drop(&self->net);
	CHECK(ns_gone(gone, 2));
	CHECK(audit_all());
}

TEST_HARNESS_MAIN
