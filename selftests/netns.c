// SPDX-License-Identifier: GPL-2.0
/*
 * Namespaces: each sees itself, the initial one sees all, and none that dies
 * leaves anything behind, whatever is in it when it does.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "util.h"

#define SECONDS	240

FIXTURE(netns) {
	struct rig rig;
	struct ns home, named;
	struct pair p, q, r;
	char name[32];
};

FIXTURE_SETUP(netns)
{
	char path[64];

	pair_init(&self->p, IPV4, PORT);
	pair_init(&self->q, IPV6, PORT + 1);
	pair_init(&self->r, MAPPED, PORT);
	self->named.fd = -1;
	snprintf(self->name, sizeof(self->name), "tcpstate-%d", getpid());
	snprintf(path, sizeof(path), "/run/netns/%s", self->name);
	CHECK(ns_open(&self->home, "/proc/self/ns/net"));
	CHECK(rig_up(&self->rig, NULL));
	CHECK(run(NULL, "ip netns add %s", self->name));
	CHECK(ns_open(&self->named, path));
	CHECK(run(&self->named, "ip link set lo up"));
}

FIXTURE_TEARDOWN(netns)
{
	pair_close(&self->p);
	pair_close(&self->q);
	pair_close(&self->r);
	EXPECT_OK(audit(&self->named));
	EXPECT_OK(run(NULL, "ip netns delete %s", self->name));
	ns_drop(&self->named);
	EXPECT_OK(rig_down(&self->rig));
}

#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)
#define NAMED	(&self->named)

/* Something different in each of the three. */
static int populate(struct net *net, struct ns *named, struct pair *p, struct pair *q,
		    struct pair *r)
{
	if (pair_open(net, p) || pair_to_time_wait(p) || pair_open(net, p) || pair_open(net, q))
		return -1;
	if (close_acknowledged(&q->client) || pair_open_local(named, r))
		return -1;
	return step(&net->client, ANY, "ESTABLISHED=1 TIME_WAIT=1 FIN_WAIT2=1m") ||
	       step(&net->server, ANY, "LISTEN=2 ESTABLISHED=1 CLOSE_WAIT=1") ||
	       step(named, ONLY_V6, "LISTEN=1 ESTABLISHED=2") ? -1 : 0;
}

TEST_F_TIMEOUT(netns, each_sees_itself, SECONDS)
{
	struct counters inside, by_name, by_path;
	char options[64];

	CHECK(populate(&self->rig.net, NAMED, &self->p, &self->q, &self->r));
	CHECK(step(&self->home, ANY, ""));
	CHECK(cli_read(NAMED, &inside));
	ASSERT_STREQ(self->name, inside.netns);
	snprintf(options, sizeof(options), "-n %s", self->name);
	CHECK(cli_read_with(NULL, options, &by_name));
	snprintf(options, sizeof(options), "--netns /proc/%d/fd/%d", getpid(), CLIENT->fd);
	CHECK(cli_read_with(NULL, options, &by_path));
	ASSERT_EQ(0, memcmp(&inside.now, &by_name.now, sizeof(inside.now)));
	ASSERT_EQ(NAMED->ino, by_name.ino);
	ASSERT_STREQ(self->name, by_name.netns);
	ASSERT_EQ(CLIENT->ino, by_path.ino);
	ASSERT_EQ(3, in_any(&by_path.now));
}

TEST_F_TIMEOUT(netns, one_sees_all, SECONDS)
{
	const struct ns *const ours[] = { CLIENT, SERVER, NAMED, &self->home };
	uint64_t shown = 0, there = 0;
	struct counters *list;
	struct table ss;
	size_t n, i;

	CHECK(populate(&self->rig.net, NAMED, &self->p, &self->q, &self->r));
	CHECK(cli_read_all(&list, &n));
	/* Others may be listed: dead ones that orphans of an earlier test keep. */
	for (i = 0; i < ARRAY_SIZE(ours); i++) {
		CHECK(listed_as_ss(list, n, ours[i]));
		shown += in_any(&counters_of(list, n, ours[i])->now);
		CHECK(ss_read(ours[i], &ss));
		there += in_any(&ss);
	}
	free(list);
	ASSERT_EQ(there, shown);
	ASSERT_EQ(10, there);
	CHECK(audit_all());
}

/* Nothing but the initial namespace, and there but the privileged, sees all. */
TEST_F_TIMEOUT(netns, others_do_not_see_all, SECONDS)
{
	ASSERT_EQ(3, run_status(CLIENT, "tcpstate-cli -a state"));
	ASSERT_EQ(3, run_status(CLIENT, "tcpstate-cli -a audit"));
	ASSERT_EQ(3, run_status(NULL, "setpriv --reuid 65534 tcpstate-cli -a state"));
	ASSERT_EQ(0, run_status(NULL, "setpriv --reuid 65534 tcpstate-cli state"))
		TH_LOG("%s", output());
}

/* What a namespace can have in it when it dies: minis of either kind, orphans, requests. */
static int fill(struct net *net, enum family family)
{
	struct pair p;
	int rc;

	pair_init(&p, family, PORT);
	rc = pair_open(net, &p) || pair_to_time_wait(&p) || pair_open(net, &p) ||
	     close_acknowledged(&p.client) ||
	     step(&net->client, ANY, "TIME_WAIT=1 FIN_WAIT2=1m") ||
	     step(&net->server, ANY, "LISTEN=1 CLOSE_WAIT=1") ||
	     sysctl_set(&net->server, "net/ipv4/tcp_orphan_retries", "1") ||
	     wire(&net->server, LOSE) || pair_dial(net, &p) ||
	     step(&net->server, ANY, "LISTEN=1 CLOSE_WAIT=1 NEW_SYN_RECV=1");
	/* A FIN that is never acknowledged keeps the namespace for a while. */
	pair_close(&p);
	return rc ? -1 : 0;
}

TEST_F_TIMEOUT(netns, death_with_connections, SECONDS)
{
	struct ns dead[2 * FAMILIES];
	struct counters *list;
	struct net net;
	int f, count = 0, i;
	size_t n;

	/* What is left of the tests before. */
	CHECK(none_open());
	CHECK(module_unload());
	CHECK(module_load(FEW_CONNECTIONS));
	for (f = IPV4; f < FAMILIES; f++) {
		CHECK(net_new(&net));
		CHECK(fill(&net, f));
		CHECK(audit(&net.client));
		CHECK(audit(&net.server));
		dead[count++] = net.client;
		dead[count++] = net.server;
		CHECK(cli_read_all(&list, &n));
		for (i = count - 2; i < count; i++)
			EXPECT_NE(NULL, counters_of(list, n, &dead[i]));
		free(list);
		net_drop(&net);
	}
	CHECK(ns_gone(dead, count));
	CHECK(audit_all());
	CHECK(none_left_behind(0));
}

/* The module goes, and comes again, while a namespace is dying. */
TEST_F_TIMEOUT(netns, death_while_unloading, SECONDS)
{
	struct net net;
	int f;

	for (f = IPV4; f < FAMILIES; f++) {
		CHECK(net_new(&net));
		CHECK(fill(&net, f));
		net_drop(&net);
		CHECK(module_unload());
		CHECK(module_load(NULL));
		CHECK(audit_all());
	}
}

#define LIVES	30
#define PAIRS	40

/* The first of each family has the listener of the others. */
static int open_local(const struct ns *ns, struct pair p[], int n)
{
	int i;

	for (i = 0; i < n; i++) {
		pair_init(&p[i], i % FAMILIES, PORT + i % FAMILIES);
		if (i >= FAMILIES)
			p[i].listener = p[i - FAMILIES].listener;
		if (pair_open_local(ns, &p[i]))
			return -1;
	}
	return 0;
}

static void close_local(struct pair p[], int n)
{
	int i;

	for (i = 0; i < n; i++) {
		close_fd(&p[i].client);
		close_fd(&p[i].server);
		if (i < FAMILIES)
			close_fd(&p[i].listener);
	}
}

/*
 * What was in namespaces that are dead, and what their CPUs had in stock, counts
 * against no cap any more: else there would be nothing left of this one.
 */
TEST_F_TIMEOUT(netns, death_gives_back, SECONDS)
{
	struct pair p[PAIRS];
	struct counters c;
	struct ns ns;
	int life, i;

	CHECK(module_unload());
	CHECK(module_load("max_connections=200 max_connections_netns=100"));
	for (life = 0; life < LIVES; life++) {
		CHECK(ns_new(&ns, NULL));
		CHECK(open_local(&ns, p, PAIRS * 3 / 4));
		for (i = 0; i < PAIRS * 3 / 4; i += 2)
			CHECK(pair_to_time_wait(&p[i]));
		ns_drop(&ns);
		close_local(p, PAIRS * 3 / 4);
		CHECK(ns_gone(&ns, 1));
	}
	CHECK(ns_new(&ns, NULL));
	CHECK(open_local(&ns, p, PAIRS));
	CHECK(cli_read(&ns, &c));
	EXPECT_EQ(0, c.untracked) TH_LOG("after %d namespaces", life);
	EXPECT_OK(step(&ns, ANY, "LISTEN=3 ESTABLISHED=80"));
	EXPECT_OK(audit(&ns));
	close_local(p, PAIRS);
	ns_drop(&ns);
}

/* Nobody is in the namespace any more and it has no name: its sockets keep it. */
TEST_F_TIMEOUT(netns, kept_by_its_sockets, SECONDS)
{
	struct counters *list;
	struct ns gone;
	size_t n;

	CHECK(ns_new(&gone, NULL));
	CHECK(pair_open_local(&gone, &self->q));
	CHECK(step(&gone, ONLY_V6, "LISTEN=1 ESTABLISHED=2"));
	ns_drop(&gone);
	CHECK(cli_read_all(&list, &n));
	ASSERT_NE(NULL, counters_of(list, n, &gone)) TH_LOG("%s", why());
	ASSERT_EQ(2, in_state(&counters_of(list, n, &gone)->now, ST_ESTABLISHED));
	free(list);
	CHECK(pair_to_time_wait(&self->q));
	CHECK(cli_read_all(&list, &n));
	ASSERT_NE(NULL, counters_of(list, n, &gone)) TH_LOG("%s", why());
	ASSERT_EQ(1, in_state(&counters_of(list, n, &gone)->now, ST_TIME_WAIT));
	ASSERT_EQ(1, in_state(&counters_of(list, n, &gone)->now, ST_LISTEN));
	free(list);
	close_fd(&self->q.listener);
	CHECK(ns_gone(&gone, 1));
}

/* A process accepts and closes in namespaces that its sockets are not of. */
TEST_F_TIMEOUT(netns, moved_process, SECONDS)
{
	struct pair *p = &self->p, *q = &self->q;

	CHECK(pair_listen(&self->rig.net, p));
	CHECK(pair_listen(&self->rig.net, q));
	CHECK(pair_dial(&self->rig.net, p));
	CHECK(pair_dial(&self->rig.net, q));
	CHECK(ns_enter(NAMED));
	p->server = tcp_accept(p->listener);
	q->server = tcp_accept(q->listener);
	ASSERT_GE(p->server, 0) TH_LOG("%s", why());
	ASSERT_GE(q->server, 0) TH_LOG("%s", why());
	CHECK(step(CLIENT, BOTH, "ESTABLISHED=1"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 ESTABLISHED=1"));
	CHECK(step(NAMED, BOTH, ""));
	CHECK(ns_enter(NAMED));
	CHECK(close_acknowledged(&p->server));
	CHECK(close_acknowledged(&q->server));
	CHECK(ns_leave());
	CHECK(step(CLIENT, BOTH, "CLOSE_WAIT=1"));
	CHECK(step(SERVER, BOTH, "LISTEN=1 FIN_WAIT2=1m"));
	CHECK(ns_enter(SERVER));
	close_fd(&p->client);
	close_fd(&q->client);
	CHECK(ns_leave());
	CHECK(step(CLIENT, BOTH, ""));
	CHECK(step(SERVER, BOTH, "LISTEN=1 TIME_WAIT=1"));
	CHECK(step(NAMED, BOTH, ""));
}

/* Namespaces that are older than the module, with and without connections. */
TEST_F_TIMEOUT(netns, older_than_the_module, SECONDS)
{
	CHECK(module_unload());
	CHECK(pair_open(&self->rig.net, &self->p));
	CHECK(pair_open(&self->rig.net, &self->q));
	CHECK(pair_to_time_wait(&self->p));
	CHECK(pair_to_time_wait(&self->q));
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load(NULL));
	CHECK(step(CLIENT, BOTH, "TIME_WAIT=1"));
	CHECK(step(SERVER, BOTH, "LISTEN=1"));
	CHECK(step(NAMED, ANY, ""));
	CHECK(pair_open_local(NAMED, &self->r));
	CHECK(step(NAMED, ONLY_V6, "LISTEN=1 ESTABLISHED=2"));
}

#define KERNEL_PORT	(PORT + 100)

/*
 * Sockets that the kernel has made in a namespace before it is ours, and ends, with what
 * came to them, when it is ours no more. They keep no namespace alive.
 */
TEST_F_TIMEOUT(netns, sockets_of_its_first_moment, SECONDS)
{
	struct pair *pairs[] = { &self->p, &self->q };
	struct ns early;
	size_t i;

	CHECK(none_open());
	CHECK(module_unload());
	CHECK(run(NULL, "insmod /tcpstate/ksocket.ko everywhere=1 port=%d", KERNEL_PORT));
	CHECK(ns_note_seed(NAMED));
	CHECK(module_load(FEW_CONNECTIONS));
	CHECK(step(NAMED, BOTH, "LISTEN=1"));
	CHECK(ns_new(&early, NULL));
	early.seed[ST_LISTEN] = ARRAY_SIZE(pairs);
	CHECK(step(&early, BOTH, "LISTEN=1"));
	CHECK(audit(&early));
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		pairs[i]->client = tcp_connect_local(&early, pairs[i]->family, KERNEL_PORT + i);
		ASSERT_GE(pairs[i]->client, 0) TH_LOG("%s", why());
	}
	CHECK(step(&early, BOTH, "LISTEN=1 ESTABLISHED=2"));
	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		CHECK(close_acknowledged(&pairs[i]->client));
	CHECK(step(&early, BOTH, "LISTEN=1 CLOSE_WAIT=1 FIN_WAIT2=1m"));
	CHECK(edges(&early, ARRAY_SIZE(pairs), "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 "
		    "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 CLOSE>SYN_RECV=1 "
		    "SYN_RECV>ESTABLISHED=1 ESTABLISHED>CLOSE_WAIT=1"));
	CHECK(audit_all());
	ns_drop(&early);
	CHECK(ns_gone(&early, 1));
	CHECK(audit_all());
	CHECK(run(NULL, "rmmod ksocket"));
	CHECK(step(NAMED, ANY, ""));
	/* Four others had two listeners each. */
	CHECK(none_left_behind(4 * 2));
}

TEST_HARNESS_MAIN
