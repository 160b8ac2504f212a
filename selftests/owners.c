// SPDX-License-Identifier: GPL-2.0
/*
 * Whose connections they are: who opened, accepted and closed them, and what
 * processes made that are long gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listing.h"
#include "room.h"
#include "traffic.h"
#include "util.h"

#define SECONDS		600
#define CGROUPS		"/tmp/tcpstate-cgroups"
#define SOMEBODY	1000
#define NOBODY		65534

FIXTURE(owners) {
	struct rig rig;
	const struct ns *ns;
	int fd;
};

FIXTURE_SETUP(owners)
{
	CHECK(rig_up(&self->rig, NULL));
	self->ns = &self->rig.net.client;
	/* Small tables have small limits. */
	CHECK(sysctl_set(self->ns, "net/ipv4/tcp_max_tw_buckets", "65536"));
	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", "65536"));
	self->fd = socket_for(self->ns);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(owners)
{
	close(self->fd);
	/* A namespace of an earlier test may still be there, full of TIME_WAIT. */
	EXPECT_OK(rig_down_alerted(&self->rig));
}

/* --- processes of a name, that do as they are told --- */

#define QUIT	'q'

struct actor {
	pid_t pid;
	int tell, hear;		/* a byte says what to do, or that it is done */
};

/* Of the child: do one thing; what @what stands for is the test's affair. */
typedef int (*act_t)(int what, void *arg);

static void act_out(const char *comm, int hear, int tell, act_t act, void *arg)
{
	char what;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, comm);
	while (read(hear, &what, 1) == 1 && what != QUIT) {
		char done = act(what, arg) ? 'n' : 'y';

		if (write(tell, &done, 1) != 1)
			break;
	}
	_exit(0);
}

/* With this pid, if it is not 0. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1,
	};

	return pid ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
}

static int actor_start_as(struct actor *a, pid_t pid, const char *comm, act_t act, void *arg)
{
	int there[2], back[2];

	if (pipe(there) || pipe(back))
		return fail("pipe: %m");
	fflush(NULL);
	a->pid = fork_as(pid);
	if (a->pid < 0)
		return fail("fork: %m");
	if (!a->pid) {
		close(there[1]);
		close(back[0]);
		act_out(comm, there[0], back[1], act, arg);
	}
	close(there[0]);
	close(back[1]);
	a->tell = there[1];
	a->hear = back[0];
	return 0;
}

static int actor_start(struct actor *a, const char *comm, act_t act, void *arg)
{
	return actor_start_as(a, 0, comm, act, arg);
}

static int actor_begin(struct actor *a, char what)
{
	return write(a->tell, &what, 1) == 1 ? 0 : fail("an actor is gone");
}

static int actor_wait(struct actor *a)
{
	char done;

	if (read(a->hear, &done, 1) != 1)
		return fail("an actor died");
	return done == 'y' ? 0 : fail("an actor failed");
}

static int actor_do(struct actor *a, char what)
{
	return actor_begin(a, what) || actor_wait(a) ? -1 : 0;
}

/* It exits, and with it go the files it has open. */
static int actor_end(struct actor *a)
{
	int rc = actor_begin(a, QUIT);

	close(a->tell);
	close(a->hear);
	return rc || wait_for_exit(a->pid) ? fail("an actor ended badly") : 0;
}

/* --- what the listing says --- */

static int find(int fd, struct conn_filter filter, struct told_conn *conn)
{
	struct conn_list list;
	int rc = 0;

	if (conn_list(fd, &filter, &list))
		return -1;
	if (list.error)
		rc = fail("error %d: %s", list.error, list.sentence);
	else if (list.n != 1)
		rc = fail("%zu connections where one was expected", list.n);
	else
		*conn = list.conn[0];
	conn_list_free(&list);
	return rc;
}

/* What is on its way to a state gets there by itself. */
static int find_soon(int fd, struct conn_filter filter, struct told_conn *conn)
{
	return WAIT_FOR(!find(fd, filter, conn), PATIENCE_MS) ? 0 : -1;
}

#define FIND(conn, ...)	CHECK(find_soon(self->fd, (struct conn_filter){ __VA_ARGS__ }, conn))
#define IS(process, PID, COMM) do {					\
	EXPECT_TRUE((process).told);					\
	EXPECT_EQ((uint32_t)(PID), (process).pid);			\
	EXPECT_STREQ(COMM, (process).comm);				\
} while (0)

static const struct told_owner *row_of_comm(const struct owner_list *list, const char *comm)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!strcmp(list->owner[i].comm, comm))
			return &list->owner[i];
	return NULL;
}

/* --- who made these? --- */

/* Fewer where a TIME_WAIT, which takes a minute, is over before so many are made. */
static const struct program {
	const char *comm, *cgroup;
	uid_t uid;
	unsigned int connections;
} programs[] = {
	{ "mill", CGROUPS "/one", 0, 9000 },
	{ "press", CGROUPS "/two", SOMEBODY, 7000 },
	{ "kiln", CGROUPS "/three", 0, 4000 },
};

#define PROGRAMS	(sizeof(programs) / sizeof(*programs))

struct made {
	const struct ns *ns;
	const struct program *program;
	unsigned int connections;
	int listener;
	uint16_t port;
};

static int enter_cgroup(const char *path)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	return file_write(file, "0");
}

static int make_time_waits(int what, void *arg)
{
	struct made *m = arg;
	unsigned int i;
	size_t n;

	(void)what;
	if (ns_enter(m->ns) || enter_cgroup(m->program->cgroup) || setuid(m->program->uid))
		return -1;
	prctl(PR_SET_NAME, m->program->comm);
	for (i = 0; i < m->connections; i++) {
		struct sockaddr_storage sa;
		socklen_t len = local_address(&sa, i % FAMILIES, m->port);
		int client = socket(sa.ss_family, SOCK_STREAM, 0), server;

		if (client < 0 || connect(client, (struct sockaddr *)&sa, len))
			return -1;
		server = accept(m->listener, NULL, NULL);
		if (server < 0)
			return -1;
		close(client);
		/* Not both at once. */
		if (read_to_end(server, &n))
			return -1;
		close(server);
	}
	return 0;
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

static int cgroup_make(const char *path)
{
	return mkdir(path, 0755) ? fail("%s: %m", path) : 0;
}

static int cgroups_up(void)
{
	mkdir(CGROUPS, 0755);
	return mount("none", CGROUPS, "cgroup2", 0, NULL) ? fail("cgroup2: %m") : 0;
}

/* Of those that one of the programs has made. */
static int time_waits(const struct ns *ns, uint16_t port, uint64_t *n)
{
	if (run(ns, "ss -Htn state time-wait dport = :%u | wc -l", port))
		return -1;
	*n = atoi(output());
	return 0;
}

/* No more than ss has shown before, no fewer than it shows afterwards. */
#define AS_MANY(before, now, after) do {				\
	EXPECT_GE(before, now);						\
	EXPECT_LE(after, now);						\
} while (0)

static uint64_t held(int fd, struct conn_filter filter)
{
	struct conn_list list;
	uint64_t n;

	filter.states = 1 << ST_TIME_WAIT;
	if (conn_list(fd, &filter, &list) || list.error)
		return -1;
	n = list.n;
	conn_list_free(&list);
	return n;
}

TEST_F_TIMEOUT(owners, three_programs, SECONDS)
{
	const struct told_owner *row;
	struct actor actor[PROGRAMS];
	struct made made[PROGRAMS];
	struct owner_list list;
	uint64_t total = 0, somebody = 0, before, after, held_now = 0;
	uint64_t had[PROGRAMS], has[PROGRAMS], by_uid[2] = { };
	struct owner_list by[BY_CGROUP + 1];
	unsigned int i, j, found;

	CHECK(cgroups_up());
	CHECK(traffic_settings(self->ns));
	/* Each lasts for its minute. */
	CHECK(sysctl_set(self->ns, "net/ipv4/tcp_tw_reuse", "0"));
	for (i = 0; i < PROGRAMS; i++) {
		CHECK(cgroup_make(programs[i].cgroup));
		made[i] = (struct made){
			.ns = self->ns,
			.program = &programs[i],
			.connections = 1 + (programs[i].connections - 1) / slowness(),
			.listener = tcp_listen(self->ns, IPV6, PORT + i),
			.port = PORT + i,
		};
		ASSERT_LE(0, made[i].listener);
		CHECK(actor_start(&actor[i], "starter", make_time_waits, &made[i]));
		total += made[i].connections;
		somebody += programs[i].uid ? made[i].connections : 0;
	}
	for (i = 0; i < PROGRAMS; i++)
		CHECK(actor_begin(&actor[i], 0));
	for (i = 0; i < PROGRAMS; i++)
		CHECK(actor_wait(&actor[i]));
	for (i = 0; i < PROGRAMS; i++)
		CHECK(actor_end(&actor[i]));
	EXPECT_LE(20000 / slowness(), total);

	for (i = 0; i < PROGRAMS; i++)
		CHECK(time_waits(self->ns, PORT + i, &had[i]));
	CHECK(sockstat(self->ns, "tw", &before));
	for (i = BY_COMM; i <= BY_CGROUP; i++) {
		CHECK(owner_list(self->fd, i, &by[i]));
		ASSERT_EQ(0, by[i].error);
	}
	CHECK(sockstat(self->ns, "tw", &after));
	for (i = 0; i < PROGRAMS; i++) {
		CHECK(time_waits(self->ns, PORT + i, &has[i]));
		TH_LOG("%s: ss had %ju in TIME_WAIT, has %ju", programs[i].comm,
		       (uintmax_t)had[i], (uintmax_t)has[i]);
		EXPECT_LT(0, has[i]);
	}
	list = by[BY_COMM];
	for (j = 0; j < list.n; j++)
		held_now += list.owner[j].time_wait;
	EXPECT_GE(before, held_now);
	EXPECT_LE(after, held_now);
	EXPECT_LT(total / 2, held_now);
	for (i = 0; i < PROGRAMS; i++) {
		row = row_of_comm(&list, programs[i].comm);
		ASSERT_NE(NULL, row);
		EXPECT_EQ(made[i].connections, row->time_wait_made);
		EXPECT_EQ(made[i].connections, row->close_wait_made);
		EXPECT_EQ(0, row->close_wait);
		EXPECT_TRUE(row->gone);
		EXPECT_LT(0, row->time_wait_rate);
		AS_MANY(had[i], row->time_wait, has[i]);
		/* Some may have ended since. */
		EXPECT_LE(held(self->fd, (struct conn_filter){ .comm = programs[i].comm }),
			  row->time_wait);
		EXPECT_GE(row->time_wait_made, row->time_wait);
		TH_LOG("%s: %ju in TIME_WAIT, %ju made, %ju.%03ju/s", row->comm,
		       (uintmax_t)row->time_wait, (uintmax_t)row->time_wait_made,
		       (uintmax_t)row->time_wait_rate / 1000,
		       (uintmax_t)row->time_wait_rate % 1000);
	}
	owner_list_free(&list);

	list = by[BY_PID];
	for (i = 0; i < PROGRAMS; i++) {
		for (j = 0, found = 0; j < list.n; j++) {
			row = &list.owner[j];
			if (row->pid != (uint32_t)actor[i].pid)
				continue;
			found++;
			EXPECT_STREQ(programs[i].comm, row->comm);
			EXPECT_EQ(made[i].connections, row->time_wait_made);
			AS_MANY(had[i], row->time_wait, has[i]);
			EXPECT_TRUE(row->gone);
		}
		EXPECT_EQ(1, found);
	}
	owner_list_free(&list);

	list = by[BY_UID];
	for (j = 0, found = 0; j < list.n; j++) {
		row = &list.owner[j];
		if (row->uid != 0 && row->uid != SOMEBODY)
			continue;
		found++;
		EXPECT_EQ(row->uid ? somebody : total - somebody, row->time_wait_made);
		by_uid[!!row->uid] = row->time_wait;
	}
	EXPECT_EQ(2, found);
	AS_MANY(had[0] + had[2], by_uid[0], has[0] + has[2]);
	AS_MANY(had[1], by_uid[1], has[1]);
	owner_list_free(&list);

	list = by[BY_CGROUP];
	for (i = 0; i < PROGRAMS; i++) {
		for (j = 0, found = 0; j < list.n; j++) {
			row = &list.owner[j];
			if (row->cgroup != inode_of(programs[i].cgroup))
				continue;
			found++;
			EXPECT_EQ(made[i].connections, row->time_wait_made);
			AS_MANY(had[i], row->time_wait, has[i]);
		}
		EXPECT_EQ(1, found);
	}
	owner_list_free(&list);

	/* So does the command. */
	for (i = 0; i < PROGRAMS; i++) {
		CHECK(run(self->ns, "tcpstate-cli -j owner by comm | "
			  "jq -e 'map(select(.key == \"%s\")) | length == 1 and "
			  ".[0].time_wait_made == %u and .[0].gone'",
			  programs[i].comm, made[i].connections));
		CHECK(run(self->ns, "tcpstate-cli -j owner by pid | "
			  "jq -e 'map(select(.key == %d)) | length == 1 and "
			  ".[0].time_wait_made == %u and .[0].comm == \"%s\"'",
			  actor[i].pid, made[i].connections, programs[i].comm));
		CHECK(run(self->ns, "tcpstate-cli -j owner by cgroup | "
			  "jq -e 'map(select(.cgroup_id == %ju)) | length == 1 and "
			  ".[0].time_wait_made == %u'", (uintmax_t)inode_of(programs[i].cgroup),
			  made[i].connections));
	}
	CHECK(run(self->ns, "tcpstate-cli -j owner by uid | "
		  "jq -e 'map(select(.key == %d).time_wait_made) == [%ju] and "
		  "map(select(.key == 0).time_wait_made) == [%ju]'", SOMEBODY,
		  (uintmax_t)somebody, (uintmax_t)(total - somebody)));

	for (i = 0; i < PROGRAMS; i++) {
		close(made[i].listener);
		EXPECT_EQ(0, rmdir(programs[i].cgroup)) TH_LOG("%m");
	}
	EXPECT_EQ(0, umount(CGROUPS));
}

/* --- what do they hold? --- */

/* One of two that hold the ends of the same connections. */
struct part {
	const struct ns *ns;
	const char *cgroup;
	uid_t uid;
	int listener;
	bool accepts;
};

/* 0: get to be who it is; or accept so many, or open them and shut them down. */
static int take_part(int what, void *arg)
{
	struct sockaddr_storage sa;
	struct part *part = arg;

	if (!what)
		return ns_enter(part->ns) || enter_cgroup(part->cgroup) || setuid(part->uid);
	while (what--) {
		socklen_t len = local_address(&sa, what % FAMILIES, PORT);
		int fd = part->accepts ? accept(part->listener, NULL, NULL) :
					 socket(sa.ss_family, SOCK_STREAM, 0);

		if (fd < 0 || (!part->accepts && (connect(fd, (struct sockaddr *)&sa, len) ||
						  shutdown(fd, SHUT_WR))))
			return -1;
	}
	return 0;
}

/* The one of that process, of its user, of its cgroup. */
static const struct told_owner *row_of(const struct owner_list *list, int by,
				       const struct actor *a, const struct part *part,
				       const char *comm)
{
	const struct told_owner *row;
	size_t i;

	if (by == BY_COMM)
		return row_of_comm(list, comm);
	for (i = 0; i < list->n; i++) {
		row = &list->owner[i];
		if (by == BY_PID ? row->pid == (uint32_t)a->pid :
		    by == BY_UID ? row->uid == part->uid :
				   row->cgroup == inode_of(part->cgroup))
			return row;
	}
	return NULL;
}

/* CLOSE_WAIT, how much of it is of late, the oldest, and FIN_WAIT2: by every key. */
TEST_F_TIMEOUT(owners, held_by_each_key, SECONDS)
{
	enum { KEEPER, CALLER, EARLY = 6, LATE = 3 };
	static const char *const comms[] = { "keeper", "caller" };
	static const char *const keys[] = { "", "comm", "pid", "uid", "cgroup" };
	struct part part[] = {
		{ .ns = self->ns, .cgroup = programs[0].cgroup, .accepts = true },
		{ .ns = self->ns, .cgroup = programs[1].cgroup, .uid = SOMEBODY },
	};
	int listener = tcp_listen(self->ns, IPV6, PORT), by, i;
	const struct told_owner *row[2];
	uint64_t from, to, asked, told;
	struct owner_list list;
	struct actor a[2];

	ASSERT_LE(0, listener);
	CHECK(cgroups_up());
	for (i = KEEPER; i <= CALLER; i++) {
		part[i].listener = listener;
		CHECK(cgroup_make(part[i].cgroup));
		CHECK(actor_start(&a[i], comms[i], take_part, &part[i]));
		CHECK(actor_do(&a[i], 0));
	}
	from = now_ms();
	CHECK(actor_do(&a[CALLER], EARLY));
	CHECK(actor_do(&a[KEEPER], EARLY));
	CHECK(ss_shows(self->ns, ANY, "LISTEN=1 CLOSE_WAIT=6 FIN_WAIT2=6"));
	to = now_ms();
	/* Of these none is of the last minute any more. */
	while (now_ms() < to + 61000)
		nap(to);
	CHECK(actor_do(&a[CALLER], LATE));
	CHECK(actor_do(&a[KEEPER], LATE));
	CHECK(ss_shows(self->ns, ANY, "LISTEN=1 CLOSE_WAIT=9 FIN_WAIT2=9"));
	for (by = BY_COMM; by <= BY_CGROUP; by++) {
		asked = now_ms();
		CHECK(owner_list(self->fd, by, &list));
		told = now_ms();
		for (i = KEEPER; i <= CALLER; i++) {
			row[i] = row_of(&list, by, &a[i], &part[i], comms[i]);
			ASSERT_NE(NULL, row[i]) TH_LOG("%s by %s", comms[i], keys[by]);
			EXPECT_EQ(EARLY + LATE, row[i]->connections);
			EXPECT_FALSE(row[i]->gone);
		}
		EXPECT_EQ(EARLY + LATE, row[KEEPER]->close_wait);
		EXPECT_EQ(EARLY + LATE, row[KEEPER]->close_wait_made);
		EXPECT_EQ(LATE, row[KEEPER]->close_wait_recent);
		EXPECT_LE(asked - to, row[KEEPER]->oldest_ms + 1);
		EXPECT_GE(told - from + 1, row[KEEPER]->oldest_ms);
		EXPECT_EQ(0, row[KEEPER]->fin_wait2);
		EXPECT_EQ(EARLY + LATE, row[CALLER]->fin_wait2);
		EXPECT_EQ(0, row[CALLER]->close_wait + row[CALLER]->close_wait_recent +
			  row[CALLER]->close_wait_made + row[CALLER]->oldest_ms);
		owner_list_free(&list);
		CHECK(run(self->ns, "tcpstate-cli -j owner by %s | jq -e 'map([.close_wait, "
			  ".close_wait_recent, .close_wait_made, .fin_wait2, "
			  ".oldest_close_wait_ms > 61000]) | sort == "
			  "[[0, 0, 0, 9, false], [9, 3, 9, 0, true]]'", keys[by]));
	}
	for (i = KEEPER; i <= CALLER; i++) {
		CHECK(actor_end(&a[i]));
		EXPECT_EQ(0, rmdir(part[i].cgroup)) TH_LOG("%m");
	}
	EXPECT_EQ(0, umount(CGROUPS));
	close(listener);
}

/* Where an owner connects to, and what it has there. */
TEST_F_TIMEOUT(owners, destinations, SECONDS)
{
	enum { TIMED, WAITING, ALIVE, KINDS };
	static const int n[FAMILIES][KINDS] = { { 2, 0, 0 }, { 0, 3, 0 }, { 1, 1, 2 } };
	struct pair p[FAMILIES][KINDS][3];
	int listener[FAMILIES], f, k, i;

	for (f = IPV4; f < FAMILIES; f++) {
		listener[f] = tcp_listen(self->ns, f, PORT + f);
		ASSERT_LE(0, listener[f]);
		for (k = TIMED; k < KINDS; k++) {
			for (i = 0; i < n[f][k]; i++) {
				struct pair *one = &p[f][k][i];

				pair_init(one, f, PORT + f);
				one->listener = listener[f];
				CHECK(pair_open_local(self->ns, one));
				if (k == TIMED)
					CHECK(pair_to_time_wait(one));
				if (k == WAITING)
					shutdown(one->server, SHUT_WR);
			}
		}
	}
	CHECK(ss_shows(self->ns, ANY,
		       "LISTEN=3 TIME_WAIT=3m CLOSE_WAIT=4 FIN_WAIT2=4 ESTABLISHED=4"));
	CHECK(run(self->ns, "tcpstate-cli -j owner comm owners | jq -e 'map(.destinations[] | "
		  "[.daddr, .dport, .connections, .time_wait, .close_wait]) | sort_by(.[1]) == "
		  "[[\"127.0.0.1\", %d, 2, 2, 0], [\"::1\", %d, 3, 0, 3], "
		  "[\"127.0.0.1\", %d, 4, 1, 1]]'", PORT, PORT + IPV6, PORT + MAPPED));
	for (f = IPV4; f < FAMILIES; f++) {
		for (k = TIMED; k < KINDS; k++) {
			for (i = 0; i < n[f][k]; i++) {
				close_fd(&p[f][k][i].client);
				close_fd(&p[f][k][i].server);
			}
		}
		close(listener[f]);
	}
}

/* --- how fast? --- */

/* So many, one in so many milliseconds. */
struct pace {
	const struct ns *ns;
	unsigned int period, count;
};

static int keep_pace(int what, void *arg)
{
	const struct pace *pace = (const struct pace *)arg + what;
	uint64_t start = now_ms(), due, now;
	struct pair p;
	unsigned int i;
	int rc = 0;

	pair_init(&p, IPV4, PORT + what);
	for (i = 0; i < pace->count && !rc; i++) {
		rc = pair_open_local(pace->ns, &p) || pair_to_time_wait(&p) ? -1 : 0;
		due = start + (i + 1) * pace->period;
		now = now_ms();
		if (now < due)
			usleep((due - now) * 1000);
	}
	pair_close(&p);
	return rc;
}

/* A rate is that of late: of the second pace nothing of the first is left. */
TEST_F_TIMEOUT(owners, rate, SECONDS)
{
	struct pace pace[] = { { self->ns, 10, 1200 }, { self->ns, 40, 600 } };
	const struct told_owner *row;
	struct owner_list list;
	struct actor actor;
	uint64_t start, took, rate;
	int i;

	CHECK(traffic_settings(self->ns));
	CHECK(actor_start(&actor, "metronome", keep_pace, pace));
	for (i = 0; i < 2; i++) {
		start = now_ms();
		CHECK(actor_do(&actor, i));
		took = now_ms() - start;
		CHECK(owner_list(self->fd, BY_COMM, &list));
		row = row_of_comm(&list, "metronome");
		ASSERT_NE(NULL, row);
		/* Both are per 1000 seconds. */
		rate = pace[i].count * 1000000ULL / took;
		EXPECT_LE(rate * 95 / 100, row->time_wait_rate);
		EXPECT_GE(rate * 105 / 100, row->time_wait_rate);
		TH_LOG("%u in %ju ms are %ju.%03ju/s, %ju.%03ju/s told", pace[i].count,
		       (uintmax_t)took, (uintmax_t)rate / 1000, (uintmax_t)rate % 1000,
		       (uintmax_t)row->time_wait_rate / 1000,
		       (uintmax_t)row->time_wait_rate % 1000);
		owner_list_free(&list);
	}
	CHECK(actor_end(&actor));
}

/* --- who accepted it? --- */

struct server {
	int listener, fd;
	unsigned int names;	/* that it has gone by */
};

static int serve(int what, void *arg)
{
	struct server *s = arg;
	char name[16];
	size_t n;

	switch (what) {
	case 'l':
		return listen(s->listener, 16);
	case 'a':
		s->fd = tcp_accept(s->listener);
		return s->fd < 0 ? -1 : 0;
	case 'r':
		return read_to_end(s->fd, &n);
	case 's':
		return shutdown(s->fd, SHUT_WR);
	case 'c':
		close_fd(&s->fd);
		return 0;
	case 'n':
		snprintf(name, sizeof(name), "past%04u", s->names++);
		return prctl(PR_SET_NAME, name);
	}
	return -1;
}

TEST_F_TIMEOUT(owners, prefork, SECONDS)
{
	struct server server = { .fd = -1 };
	struct actor child[2];
	struct told_conn c;
	int client[3], i;

	server.listener = tcp_listen(self->ns, IPV4, PORT);
	ASSERT_LE(0, server.listener);
	FIND(&c, .states = 1 << ST_LISTEN);
	IS(c.owner, getpid(), "owners");
	CHECK(actor_start(&child[0], "first", serve, &server));
	CHECK(actor_start(&child[1], "second", serve, &server));
	for (i = 0; i < 3; i++) {
		client[i] = tcp_connect_local(self->ns, IPV4, PORT);
		ASSERT_LE(0, client[i]);
		FIND(&c, .dport = local_port(client[i]));
		EXPECT_TRUE(c.unaccepted);
		EXPECT_EQ(0, c.inode);
		IS(c.owner, getpid(), "owners");
		if (i == 2)
			break;
		CHECK(actor_do(&child[i], 'a'));
		FIND(&c, .dport = local_port(client[i]));
		EXPECT_FALSE(c.unaccepted);
		EXPECT_NE(0, c.inode);
		IS(c.owner, child[i].pid, i ? "second" : "first");
	}

	/* Closed by the client before anybody accepted it. */
	FIND(&c, .dport = local_port(client[2]));
	shutdown(client[2], SHUT_WR);
	FIND(&c, .states = 1 << ST_CLOSE_WAIT);
	EXPECT_TRUE(c.unaccepted);
	IS(c.owner, getpid(), "owners");
	CHECK(actor_do(&child[0], 'a'));
	FIND(&c, .states = 1 << ST_CLOSE_WAIT);
	EXPECT_FALSE(c.unaccepted);
	IS(c.owner, child[0].pid, "first");

	/* The owner is kept by the mini-socket, and when the process is gone. */
	CHECK(actor_do(&child[1], 'c'));
	FIND(&c, .sport = PORT, .states = 1 << ST_FIN_WAIT2);
	EXPECT_TRUE(c.mini);
	EXPECT_FALSE(c.owner.gone);
	EXPECT_FALSE(c.closer.told);
	IS(c.owner, child[1].pid, "second");
	CHECK(actor_end(&child[1]));
	close(client[1]);
	FIND(&c, .sport = PORT, .states = 1 << ST_TIME_WAIT);
	EXPECT_TRUE(c.owner.gone);
	IS(c.owner, child[1].pid, "second");
	CHECK(actor_end(&child[0]));
	close(client[0]);
	close(client[2]);
	close(server.listener);
}

TEST_F_TIMEOUT(owners, reuseport, SECONDS)
{
	struct server server[2];
	struct actor child[2];
	int client[8], i, n[2] = { };
	struct told_conn c;

	for (i = 0; i < 2; i++) {
		server[i].fd = -1;
		server[i].listener = tcp_socket(self->ns, IPV4);
		ASSERT_LE(0, server[i].listener);
		CHECK(set_option(server[i].listener, SOL_SOCKET, SO_REUSEPORT, 1));
	}
	for (i = 0; i < 2; i++) {
		struct sockaddr_storage sa;
		socklen_t len = local_address(&sa, IPV4, PORT);

		ASSERT_EQ(0, bind(server[i].listener, (struct sockaddr *)&sa, len));
		CHECK(set_nonblocking(server[i].listener, true));
		CHECK(actor_start(&child[i], i ? "second" : "first", serve, &server[i]));
		CHECK(actor_do(&child[i], 'l'));
	}
	for (i = 0; i < 8; i++) {
		client[i] = tcp_connect_local(self->ns, IPV4, PORT);
		ASSERT_LE(0, client[i]);
		/* In the queue of one of them, and in which is not known. */
		FIND(&c, .dport = local_port(client[i]));
		EXPECT_TRUE(c.unaccepted);
		EXPECT_FALSE(c.owner.told);
	}
	for (i = 0; i < 2; i++)
		while (!actor_do(&child[i], 'a'))
			n[i]++;
	EXPECT_EQ(8, n[0] + n[1]);
	for (i = 0; i < 8; i++) {
		FIND(&c, .dport = local_port(client[i]));
		if (c.owner.pid == (uint32_t)child[0].pid) {
			IS(c.owner, child[0].pid, "first");
			n[0]--;
		} else {
			IS(c.owner, child[1].pid, "second");
			n[1]--;
		}
	}
	EXPECT_EQ(0, n[0]);
	EXPECT_EQ(0, n[1]);
	for (i = 0; i < 8; i++)
		close(client[i]);
	for (i = 0; i < 2; i++) {
		CHECK(actor_end(&child[i]));
		close(server[i].listener);
	}
}

/* Two listeners of one process: what waits in the queue of either is its. */
TEST_F_TIMEOUT(owners, reuseport_of_one, SECONDS)
{
	int i, client, listener[2];
	struct told_conn c;

	for (i = 0; i < 2; i++) {
		struct sockaddr_storage sa;
		socklen_t len = local_address(&sa, IPV6, PORT);

		listener[i] = tcp_socket(self->ns, IPV6);
		ASSERT_LE(0, listener[i]);
		CHECK(set_option(listener[i], SOL_SOCKET, SO_REUSEPORT, 1));
		ASSERT_EQ(0, bind(listener[i], (struct sockaddr *)&sa, len));
		ASSERT_EQ(0, listen(listener[i], 16));
	}
	client = tcp_connect_local(self->ns, IPV6, PORT);
	ASSERT_LE(0, client);
	FIND(&c, .dport = local_port(client));
	EXPECT_TRUE(c.unaccepted);
	IS(c.owner, getpid(), "owners");
	close(client);
	for (i = 0; i < 2; i++)
		close(listener[i]);
}

/* To be named @comm, and to listen; behind @device, if it is not NULL. */
static int listen_as(const struct ns *ns, const char *comm, enum family family, const char *host4,
		     const char *host6, const char *device)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family, host4, host6, PORT);
	int fd = tcp_socket(ns, family);

	prctl(PR_SET_NAME, comm);
	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
	    (device &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device))) ||
	    bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 16))
		return fail("listen: %m");
	return fd;
}

/* Of two listeners on a port it is that of the address, as for the kernel. */
TEST_F_TIMEOUT(owners, which_listener, SECONDS)
{
	static const struct {
		enum family family, any;
	} cases[] = { { IPV4, IPV4 }, { IPV6, IPV6 }, { MAPPED, IPV6 } };
	int any, exact, client;
	struct told_conn c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		any = listen_as(self->ns, "any", cases[i].any, "0.0.0.0", "::", NULL);
		ASSERT_LE(0, any) TH_LOG("%s", why());
		exact = listen_as(self->ns, "exact", cases[i].family, "127.0.0.1", "::1", NULL);
		ASSERT_LE(0, exact) TH_LOG("%s", why());
		prctl(PR_SET_NAME, "owners");
		client = tcp_connect_local(self->ns, cases[i].family, PORT);
		ASSERT_LE(0, client) TH_LOG("%s", why());
		FIND(&c, .dport = local_port(client));
		EXPECT_TRUE(c.unaccepted);
		IS(c.owner, getpid(), "exact");
		close(client);
		close(exact);
		client = tcp_connect_local(self->ns, cases[i].family, PORT);
		ASSERT_LE(0, client) TH_LOG("%s", why());
		FIND(&c, .dport = local_port(client));
		EXPECT_TRUE(c.unaccepted);
		IS(c.owner, getpid(), "any");
		close(client);
		close(any);
	}
}

/* Of two behind different devices it is that of the device it came in by. */
TEST_F_TIMEOUT(owners, listener_of_device, SECONDS)
{
	static const char *const devices[][2] = { { "lo", "other" }, { "other", "lo" } };
	struct told_conn c;
	int fd[2], client;
	size_t i, j, f;

	CHECK(run(self->ns, "ip link add other type dummy && ip link set other up"));
	for (f = IPV4; f <= IPV6; f++) {
		for (i = 0; i < ARRAY_SIZE(devices); i++) {
			/* Whichever the kernel has first in its table. */
			for (j = 0; j < 2; j++) {
				fd[j] = listen_as(self->ns, devices[i][j], f, "0.0.0.0", "::",
						  devices[i][j]);
				ASSERT_LE(0, fd[j]) TH_LOG("%s", why());
			}
			prctl(PR_SET_NAME, "owners");
			client = tcp_connect_local(self->ns, f, PORT);
			ASSERT_LE(0, client) TH_LOG("%s", why());
			FIND(&c, .dport = local_port(client));
			EXPECT_TRUE(c.unaccepted);
			IS(c.owner, getpid(), "lo");
			close(client);
			close(fd[0]);
			close(fd[1]);
		}
	}
}

/* --- nobody's --- */

/*
 * What a network file system has: the process that has it opened, accepted and closed
 * does none of this for itself.
 */
TEST_F_TIMEOUT(owners, of_the_kernel, SECONDS)
{
	struct conn_list list;
	struct told_conn c;
	size_t i;

	CHECK(run(self->ns, "insmod /tcpstate/ksocket.ko port=%d", PORT));
	CHECK(step(self->ns, ONLY_V4, "LISTEN=1 ESTABLISHED=2"));
	/* Three sockets, and no process has one of them. */
	CHECK(run(self->ns, "ss -Htanpe | awk '/users:/ { exit 1 } END { exit NR != 3 }'"));
	CHECK(conn_list(self->fd, &(struct conn_filter){ }, &list));
	ASSERT_EQ(3, list.n);
	for (i = 0; i < list.n; i++) {
		EXPECT_FALSE(list.conn[i].owner.told);
		EXPECT_FALSE(list.conn[i].hidden);
		EXPECT_FALSE(list.conn[i].unaccepted);
	}
	conn_list_free(&list);
	CHECK(run(self->ns, "tcpstate-cli -j conn | "
		  "jq -e 'map(.owner == null and .holders == []) == [true, true, true]'"));
	CHECK(run(self->ns, "tcpstate-cli conn | grep -c 'no process has it' | grep -qx 3"));
	CHECK(run(self->ns, "tcpstate-cli -j owner by pid | jq -e 'all(.comm == null)'"));
	/* They are not orphans, which have been closed. */
	CHECK(run(self->ns, "tcpstate-cli -j conn orphan | jq -e '. == []'"));
	CHECK(run(NULL, "rmmod ksocket"));
	FIND(&c, .states = 1 << ST_TIME_WAIT);
	EXPECT_FALSE(c.owner.told);
	EXPECT_FALSE(c.closer.told);
	EXPECT_FALSE(c.hidden);
}

/* --- who closed it? --- */

TEST_F_TIMEOUT(owners, closed_by_another, SECONDS)
{
	struct server server;
	struct actor child;
	struct told_conn c;
	int client;

	server.listener = tcp_listen(self->ns, IPV6, PORT);
	ASSERT_LE(0, server.listener);
	client = tcp_connect_local(self->ns, IPV6, PORT);
	ASSERT_LE(0, client);
	server.fd = tcp_accept(server.listener);
	ASSERT_LE(0, server.fd);
	/* The child holds the only copy of what its parent accepted. */
	CHECK(actor_start(&child, "heir", serve, &server));
	close_fd(&server.fd);
	FIND(&c, .sport = PORT, .states = 1 << ST_ESTABLISHED);
	IS(c.owner, getpid(), "owners");
	EXPECT_FALSE(c.closer.told);
	CHECK(actor_do(&child, 's'));
	FIND(&c, .sport = PORT, .states = 1 << ST_FIN_WAIT2);
	EXPECT_FALSE(c.mini);
	IS(c.owner, getpid(), "owners");
	IS(c.closer, child.pid, "heir");
	/* The last of the FINs: the mini-socket knows both. */
	shutdown(client, SHUT_WR);
	FIND(&c, .sport = PORT, .states = 1 << ST_TIME_WAIT);
	IS(c.owner, getpid(), "owners");
	IS(c.closer, child.pid, "heir");
	CHECK(actor_end(&child));
	FIND(&c, .sport = PORT, .states = 1 << ST_TIME_WAIT);
	EXPECT_TRUE(c.closer.gone);
	EXPECT_FALSE(c.owner.gone);
	close(client);
	close(server.listener);
}

struct passing {
	int socket[2], fd;
};

static int send_fd(int through, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(through, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int through)
{
	char data[1], space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { data, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	int fd;

	if (recvmsg(through, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int take_fd(int what, void *arg)
{
	struct passing *p = arg;

	if (what == 't') {
		p->fd = receive_fd(p->socket[1]);
		return p->fd < 0 ? -1 : 0;
	}
	return close(p->fd);
}

TEST_F_TIMEOUT(owners, passed_on, SECONDS)
{
	struct passing p;
	struct actor other;
	int listener, server, client;
	struct told_conn c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, p.socket));
	CHECK(actor_start(&other, "other", take_fd, &p));
	listener = tcp_listen(self->ns, IPV4, PORT);
	ASSERT_LE(0, listener);
	client = tcp_connect_local(self->ns, IPV4, PORT);
	server = tcp_accept(listener);
	ASSERT_LE(0, server);
	ASSERT_EQ(0, send_fd(p.socket[0], client));
	close(client);
	CHECK(actor_do(&other, 't'));
	FIND(&c, .dport = PORT, .states = 1 << ST_ESTABLISHED);
	IS(c.owner, getpid(), "owners");
	EXPECT_FALSE(c.closer.told);
	CHECK(actor_do(&other, 'c'));
	FIND(&c, .dport = PORT, .states = 1 << ST_FIN_WAIT2);
	IS(c.owner, getpid(), "owners");
	IS(c.closer, other.pid, "other");
	close(server);
	CHECK(actor_end(&other));
	close(listener);
}

/* --- what kind of process was it? --- */

struct dialler {
	const struct ns *ns;
	uint16_t port;
	int fd;
};

static int dial(int what, void *arg)
{
	struct dialler *d = arg;

	if (what == 'c')
		return close(d->fd);
	if (what == 'n')
		return prctl(PR_SET_NAME, "renamed");
	d->fd = tcp_connect_local(d->ns, IPV4, d->port);
	return d->fd < 0 ? -1 : 0;
}

static void *dial_in_thread(void *arg)
{
	prctl(PR_SET_NAME, "a-thread");
	return dial('d', arg) ? "it failed" : NULL;
}

static int thread(int what, void *arg)
{
	pthread_t id;
	void *failed;

	(void)what;
	return pthread_create(&id, NULL, dial_in_thread, arg) || pthread_join(id, &failed) ||
	       failed ? -1 : 0;
}

TEST_F_TIMEOUT(owners, threads_and_names, SECONDS)
{
	struct dialler d = { self->ns, PORT, -1 };
	int listener = tcp_listen(self->ns, IPV4, PORT), server;
	struct actor a;
	struct told_conn c;

	ASSERT_LE(0, listener);
	CHECK(actor_start(&a, "leader", thread, &d));
	CHECK(actor_do(&a, 'd'));
	server = tcp_accept(listener);
	FIND(&c, .dport = PORT);
	IS(c.owner, a.pid, "leader");
	CHECK(actor_end(&a));
	FIND(&c, .dport = PORT);
	IS(c.owner, a.pid, "leader");
	EXPECT_TRUE(c.owner.gone);
	EXPECT_FALSE(c.closer.told);
	close(server);
	FIND(&c, .dport = PORT, .states = 1 << ST_TIME_WAIT);
	IS(c.owner, a.pid, "leader");

	/* What it did under one name stays under that. */
	CHECK(actor_start(&a, "before", dial, &d));
	CHECK(actor_do(&a, 'd'));
	server = tcp_accept(listener);
	CHECK(actor_do(&a, 'n'));
	FIND(&c, .dport = PORT, .states = 1 << ST_ESTABLISHED);
	IS(c.owner, a.pid, "before");
	CHECK(actor_do(&a, 'c'));
	FIND(&c, .dport = PORT, .states = 1 << ST_FIN_WAIT2);
	IS(c.owner, a.pid, "before");
	EXPECT_FALSE(c.closer.told);
	close(server);
	CHECK(actor_end(&a));
	close(listener);
}

#define NAMES	3000
#define SAMPLE	200

/* Instructions where the clock counts them, as it does here (see settings). */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* A process that goes by many names makes no name dearer than the one before. */
TEST_F_TIMEOUT(owners, many_names, SECONDS)
{
	unsigned int names = NAMES / slowness(), i;
	uint64_t began = 0, first = 0;
	struct told_conn c;
	char name[16];
	int fd;

	for (i = 0; i <= names; i++) {
		if (i == SAMPLE)
			first = now_ns() - began;
		if (!i || i == names - SAMPLE)
			began = now_ns();
		snprintf(name, sizeof(name), "name %u", i);
		prctl(PR_SET_NAME, name);
		fd = tcp_socket(self->ns, IPV4);
		ASSERT_EQ(0, listen(fd, 1));
		if (i < names)
			close(fd);
	}
	began = now_ns() - began;
	TH_LOG("%u names: %ju instructions for the first %u, %ju for the last", names,
	       (uintmax_t)first, SAMPLE, (uintmax_t)began);
	EXPECT_LT(began, first + first / 2);
	FIND(&c, .states = 1 << ST_LISTEN);
	IS(c.owner, getpid(), name);
	close(fd);
}

static int dial_over_wire(int what, void *arg)
{
	struct dialler *d = arg;

	(void)what;
	d->fd = tcp_connect(d->ns, IPV6, d->port, 0);
	return d->fd < 0 ? -1 : 0;
}

/* What 'owner' tells of the connections of those called @comm. */
static bool owner_has(int fd, const char *comm, uint64_t connections, uint64_t fin_wait2,
		      bool gone)
{
	const struct told_owner *row;
	struct owner_list list;
	bool is;

	if (owner_list(fd, BY_COMM, &list))
		return false;
	row = row_of_comm(&list, comm);
	is = row && row->connections == connections && row->fin_wait2 == fin_wait2 &&
	     row->gone == gone;
	owner_list_free(&list);
	return is;
}

/* Who exits while his connection goes on. */
static int killed(struct actor *a)
{
	close(a->tell);
	close(a->hear);
	return end_child(a->pid, SIGKILL);
}

/*
 * The process is killed and the peer does not close: an orphan in FIN_WAIT2, at first
 * the full socket, as the time-out is longer than a mini-socket lasts, then that.
 */
TEST_F_TIMEOUT(owners, left_in_fin_wait2, SECONDS)
{
	const struct net *net = &self->rig.net;
	struct dialler d = { &net->client, PORT, -1 };
	int listener = tcp_listen(&net->server, IPV6, PORT), server;
	struct actor victim;
	struct told_conn c;

	ASSERT_LE(0, listener);
	CHECK(sysctl_set(&net->client, "net/ipv4/tcp_fin_timeout", "80"));
	CHECK(actor_start(&victim, "victim", dial_over_wire, &d));
	CHECK(actor_do(&victim, 'd'));
	server = tcp_accept(listener);
	ASSERT_LE(0, server);
	EXPECT_TRUE(owner_has(self->fd, "victim", 1, 0, false));
	CHECK(killed(&victim));
	CHECK(ss_shows(&net->client, ANY, "FIN_WAIT2=1"));
	FIND(&c, .states = 1 << ST_FIN_WAIT2);
	IS(c.owner, victim.pid, "victim");
	EXPECT_TRUE(c.owner.gone);
	EXPECT_FALSE(c.mini);
	EXPECT_EQ(0, c.inode);
	EXPECT_TRUE(owner_has(self->fd, "victim", 1, 1, true));
	CHECK(run(self->ns, "tcpstate-cli -j conn orphan | "
		  "jq -e 'map(.owner.comm) == [\"victim\"] and .[0].owner.gone'"));
	ASSERT_TRUE(WAIT_FOR(!find(self->fd, (struct conn_filter){ .states = 1 << ST_FIN_WAIT2 },
				   &c) && c.mini, 30000 + PATIENCE_MS));
	CHECK(ss_shows(&net->client, ANY, "FIN_WAIT2=1m"));
	IS(c.owner, victim.pid, "victim");
	EXPECT_TRUE(c.owner.gone);
	EXPECT_TRUE(owner_has(self->fd, "victim", 1, 1, true));
	/* The peer closes: it is his TIME_WAIT now. */
	close(server);
	FIND(&c, .states = 1 << ST_TIME_WAIT);
	IS(c.owner, victim.pid, "victim");
	EXPECT_TRUE(owner_has(self->fd, "victim", 1, 0, true));
	close(listener);
}

/* SOCK_DESTROY ends what a living process holds: it is there still, with nothing. */
TEST_F_TIMEOUT(owners, destroyed, SECONDS)
{
	const struct net *net = &self->rig.net;
	struct dialler d = { &net->client, PORT, -1 };
	int listener = tcp_listen(&net->server, IPV6, PORT), server;
	struct actor target;
	struct told_conn c;

	ASSERT_LE(0, listener);
	CHECK(actor_start(&target, "target", dial_over_wire, &d));
	CHECK(actor_do(&target, 'd'));
	server = tcp_accept(listener);
	ASSERT_LE(0, server);
	FIND(&c, .states = 1 << ST_ESTABLISHED);
	IS(c.owner, target.pid, "target");
	EXPECT_TRUE(owner_has(self->fd, "target", 1, 0, false));
	CHECK(run(self->ns, "ss -HtnK state established"));
	CHECK(ss_shows(&net->client, ANY, ""));
	EXPECT_NE(0, find(self->fd, (struct conn_filter){ .comm = "target" }, &c));
	EXPECT_FALSE(owner_has(self->fd, "target", 1, 0, false));
	CHECK(actor_end(&target));
	close(server);
	close(listener);
}

/* Its process is gone, its peer out of reach: it lingers, and has an owner. */
TEST_F_TIMEOUT(owners, lingering, SECONDS)
{
	static const char *const comms[] = { "finwait1", "lastack" };
	static const int states[] = { ST_FIN_WAIT1, ST_LAST_ACK };
	const struct net *net = &self->rig.net;
	struct dialler d = { &net->client, PORT, -1 };
	int listener = tcp_listen(&net->server, IPV6, PORT), server[2], i;
	struct actor a[2];
	struct told_conn c;
	struct table ss;

	ASSERT_LE(0, listener);
	for (i = 0; i < 2; i++) {
		CHECK(actor_start(&a[i], comms[i], dial_over_wire, &d));
		CHECK(actor_do(&a[i], 'd'));
		server[i] = tcp_accept(listener);
		ASSERT_LE(0, server[i]);
	}
	close_fd(&server[1]);
	FIND(&c, .states = 1 << ST_CLOSE_WAIT);
	IS(c.owner, a[1].pid, "lastack");
	CHECK(wire(&net->client, LOSE));
	for (i = 0; i < 2; i++) {
		CHECK(actor_end(&a[i]));
		FIND(&c, .states = 1 << states[i]);
		IS(c.owner, a[i].pid, comms[i]);
		EXPECT_TRUE(c.owner.gone);
		EXPECT_FALSE(c.closer.told);
		EXPECT_EQ(0, c.inode);
		EXPECT_TRUE(owner_has(self->fd, comms[i], 1, 0, true));
	}
	/* SOCK_DESTROY ends them, but on older kernels, which say so and do not. */
	CHECK(run(self->ns, "ss -K dport = :%d", PORT));
	CHECK(ss_read(self->ns, &ss));
	CHECK(same_as_ss(self->ns));
	TH_LOG("ss shows %ju of them afterwards", (uintmax_t)in_any(&ss));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(in_state(&ss, states[i]),
			  owner_has(self->fd, comms[i], 1, 0, true));
	CHECK(wire(&net->client, PASS));
	close(server[0]);
	close(listener);
}

/* A pid that has been given to somebody else. */
TEST_F_TIMEOUT(owners, pid_reuse, SECONDS)
{
	struct dialler d = { self->ns, PORT, -1 };
	int listener = tcp_listen(self->ns, IPV4, PORT), server;
	struct actor first, second;
	struct owner_list list;
	struct told_conn c;
	unsigned int gone = 0, living = 0;
	size_t i;

	ASSERT_LE(0, listener);
	CHECK(actor_start(&first, "first", dial, &d));
	CHECK(actor_do(&first, 'd'));
	server = tcp_accept(listener);
	CHECK(actor_do(&first, 'c'));
	close(server);
	CHECK(actor_end(&first));
	/* As long as it is nobody else's, what it left is told by it. */
	FIND(&c, .pid = first.pid);
	IS(c.owner, first.pid, "first");
	CHECK(actor_start_as(&second, first.pid, "second", dial, &d));
	ASSERT_EQ(first.pid, second.pid);
	CHECK(actor_do(&second, 'd'));
	server = tcp_accept(listener);
	FIND(&c, .pid = second.pid);
	IS(c.owner, second.pid, "second");
	EXPECT_EQ(ST_ESTABLISHED, c.state);
	CHECK(run(self->ns, "tcpstate-cli -j conn pid %d | "
		  "jq -e 'map(.owner.comm) == [\"second\"]'", second.pid));
	/* The other one's has not gone. */
	FIND(&c, .comm = "first");
	EXPECT_EQ(ST_TIME_WAIT, c.state);
	CHECK(owner_list(self->fd, BY_PID, &list));
	for (i = 0; i < list.n; i++) {
		const struct told_owner *row = &list.owner[i];

		if (row->pid != (uint32_t)first.pid)
			continue;
		EXPECT_STREQ(row->gone ? "first" : "second", row->comm);
		EXPECT_EQ(row->gone, row->time_wait_made);
		gone += row->gone;
		living += !row->gone;
	}
	EXPECT_EQ(1, gone);
	EXPECT_EQ(1, living);
	owner_list_free(&list);
	close(server);
	CHECK(actor_end(&second));
	close(listener);
}

static int by_pid(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

/* Exited, but with a mini-socket each: all of them are still told by pid. They wait
 * for their peers, who close when all are there: a kernel that looks takes longer to
 * make so many processes than TIME_WAIT lasts.
 */
TEST_F_TIMEOUT(owners, exited_but_named, SECONDS)
{
	enum { PROCESSES = 700 };
	struct dialler d = { self->ns, PORT, -1 };
	int listener = tcp_listen(self->ns, IPV4, PORT), servers[PROCESSES], i;
	uint32_t made[PROCESSES], told[PROCESSES];
	struct conn_list list;
	struct actor child;

	ASSERT_LE(0, listener);
	CHECK(sysctl_set(self->ns, "net/ipv4/tcp_fin_timeout", "600"));
	for (i = 0; i < PROCESSES; i++) {
		CHECK(actor_start(&child, "dialler", dial, &d));
		CHECK(actor_do(&child, 'd'));
		servers[i] = tcp_accept(listener);
		ASSERT_LE(0, servers[i]);
		CHECK(actor_end(&child));
		made[i] = child.pid;
	}
	for (i = 0; i < PROCESSES; i++)
		close(servers[i]);
	CHECK(conn_list(self->fd, &(struct conn_filter){ .states = 1 << ST_TIME_WAIT }, &list));
	ASSERT_EQ(PROCESSES, list.n);
	for (i = 0; i < PROCESSES; i++) {
		EXPECT_STREQ("dialler", list.conn[i].owner.comm);
		EXPECT_TRUE(list.conn[i].owner.gone);
		told[i] = list.conn[i].owner.pid;
	}
	qsort(made, PROCESSES, sizeof(*made), by_pid);
	qsort(told, PROCESSES, sizeof(*told), by_pid);
	EXPECT_EQ(0, memcmp(made, told, sizeof(made)));
	conn_list_free(&list);
	close(listener);
}

/* More processes than are kept apart when they have gone: none of it is lost. */
TEST_F_TIMEOUT(owners, history, SECONDS)
{
	enum { PROCESSES = 700 };
	const struct told_owner *row;
	struct server server = { };
	struct owner_list list;
	struct actor child;
	size_t with_pid = 0, j;
	int client, i;

	server.listener = tcp_listen(self->ns, IPV4, PORT);
	ASSERT_LE(0, server.listener);
	for (i = 0; i < PROCESSES; i++) {
		CHECK(actor_start(&child, "ephemeral", serve, &server));
		client = tcp_connect_local(self->ns, IPV4, PORT);
		ASSERT_LE(0, client);
		CHECK(actor_do(&child, 'a'));
		close(client);
		CHECK(actor_do(&child, 'r'));
		CHECK(actor_end(&child));
	}
	CHECK(owner_list(self->fd, BY_COMM, &list));
	row = row_of_comm(&list, "ephemeral");
	ASSERT_NE(NULL, row);
	EXPECT_EQ(PROCESSES, row->close_wait_made);
	EXPECT_EQ(0, row->close_wait);
	EXPECT_TRUE(row->gone);
	row = row_of_comm(&list, "owners");
	ASSERT_NE(NULL, row);
	EXPECT_EQ(PROCESSES, row->time_wait_made);
	EXPECT_FALSE(row->gone);
	owner_list_free(&list);
	CHECK(owner_list(self->fd, BY_PID, &list));
	for (j = 0; j < list.n; j++)
		with_pid += list.owner[j].pid != (uint32_t)-1;
	EXPECT_GT(PROCESSES / 2, with_pid);
	TH_LOG("%zu of %u processes still told apart", with_pid, PROCESSES);
	owner_list_free(&list);
	close(server.listener);
}

/* Of more histories than are kept the first are given up; the sum stays right. */
TEST_F_TIMEOUT(owners, forgotten_history, SECONDS)
{
	/* The others are there when it is found that these have exited. */
	enum { ALIASES = 1600, EXITED = 1100, KEPT = 1024 };
	uint64_t made = 0, kept = 0, dropped = 0;
	struct server server = { };
	struct owner_list list;
	struct actor child;
	int client, i;
	size_t j;

	server.listener = tcp_listen(self->ns, IPV4, PORT);
	ASSERT_LE(0, server.listener);
	for (i = 0; i < ALIASES; i++) {
		if (i == 0 || i == EXITED) {
			server.names = i;
			CHECK(actor_start(&child, "past", serve, &server));
		}
		CHECK(actor_do(&child, 'n'));
		client = tcp_connect_local(self->ns, IPV4, PORT);
		ASSERT_LE(0, client);
		CHECK(actor_do(&child, 'a'));
		close(client);
		CHECK(actor_do(&child, 'r'));
		CHECK(actor_do(&child, 'c'));
		if (i == EXITED - 1 || i == ALIASES - 1)
			CHECK(actor_end(&child));
	}
	CHECK(owner_list(self->fd, BY_COMM, &list));
	for (j = 0; j < list.n; j++) {
		made += list.owner[j].close_wait_made;
		dropped += list.owner[j].dropped;
		kept += !strncmp(list.owner[j].comm, "past", 4);
	}
	TH_LOG("%ju of %u kept", (uintmax_t)kept, ALIASES);
	EXPECT_LE(KEPT, kept);
	EXPECT_LE(EXITED - KEPT, dropped);
	EXPECT_EQ(ALIASES, made);
	EXPECT_EQ(ALIASES, kept + dropped);
	EXPECT_EQ(NULL, row_of_comm(&list, "past0000"));
	EXPECT_NE(NULL, row_of_comm(&list, "past1099"));
	EXPECT_NE(NULL, row_of_comm(&list, "past1599"));
	owner_list_free(&list);
	close(server.listener);
}

/*
 * A process opens a connection in @ns, a new one, which is in TIME_WAIT when it has
 * exited. *told: whether that is told to be its; *dropped: who was no owner for want of
 * room.
 */
static int open_in_new(struct ns *ns, bool *told, uint64_t *dropped)
{
	struct dialler d = { ns, PORT, -1 };
	int listener, server, fd, rc;
	struct owner_list list;
	struct actor child;
	size_t i;

	if (ns_new(ns, NULL))
		return -1;
	listener = tcp_listen(ns, IPV4, PORT);
	if (listener < 0 || actor_start(&child, "opener", dial, &d) || actor_do(&child, 'd'))
		return -1;
	server = tcp_accept(listener);
	if (actor_do(&child, 'c') || close(server) || actor_end(&child) || close(listener) ||
	    ss_shows(ns, ANY, "TIME_WAIT=1m"))
		return -1;
	fd = socket_for(ns);
	rc = owner_list(fd, BY_COMM, &list);
	close(fd);
	if (rc)
		return -1;
	*told = row_of_comm(&list, "opener");
	for (i = 0, *dropped = 0; i < list.n; i++)
		*dropped += list.owner[i].dropped;
	owner_list_free(&list);
	return 0;
}

/*
 * More of them than can be told apart, in namespaces that die with all that is left
 * there: then there is room again.
 */
TEST_F_TIMEOUT(owners, namespaces_die, SECONDS)
{
	enum { NAMESPACES = 40, OWNERS_MAX = 16 };
	unsigned int told = 0, i;
	struct ns ns[NAMESPACES];
	uint64_t dropped;
	bool is_told;

	CHECK(module_unload());
	CHECK(ns_note_seed(&self->rig.net.client));
	CHECK(ns_note_seed(&self->rig.net.server));
	CHECK(module_load("max_owners=16"));
	for (i = 0; i < NAMESPACES; i++) {
		CHECK(open_in_new(&ns[i], &is_told, &dropped));
		EXPECT_EQ(!is_told, !!dropped);
		told += is_told;
	}
	TH_LOG("%u of %u told", told, NAMESPACES);
	EXPECT_LT(0, told);
	EXPECT_LE(told, OWNERS_MAX);
	for (i = 0; i < NAMESPACES; i++)
		ns_drop(&ns[i]);
	/* What has died goes by and by. */
	ASSERT_TRUE(WAIT_FOR(({
		CHECK(open_in_new(&ns[0], &is_told, &dropped));
		ns_drop(&ns[0]);
		is_told && !dropped; }), PATIENCE_MS));
	ASSERT_TRUE(WAIT_FOR(!run_status(NULL, "tcpstate-cli -aj owner by comm | "
					 "jq -e 'all(.key != \"opener\")'"), PATIENCE_MS))
		TH_LOG("%s", output());
}

/* Both ends of what a process leaves half-closed. */
static int leave_half(int what, void *arg)
{
	static struct pair p;

	(void)what;
	pair_init(&p, IPV4, PORT);
	if (pair_open_local(arg, &p) || shutdown(p.client, SHUT_WR))
		return -1;
	/* Its own copy. */
	ns_drop(arg);
	return 0;
}

/* A leak that is told of, whose process dies, and with it the namespace. */
TEST_F_TIMEOUT(owners, leak_dies, SECONDS)
{
	struct actor leaky;
	struct ns ns;

	CHECK(ns_new(&ns, NULL));
	CHECK(run(&ns, "tcpstate-cli config set close-wait-warning 1"));
	CHECK(actor_start(&leaky, "leaky", leave_half, &ns));
	CHECK(actor_do(&leaky, 'l'));
	ASSERT_TRUE(WAIT_FOR(!run_status(&ns, "tcpstate-cli -j | grep -q close-wait-leak"),
			     PATIENCE_MS));
	CHECK(run(NULL, "tcpstate-cli -aj check | jq -e '.findings | map(select("
		  "(.text | test(\"^oldest CLOSE_WAIT .* leaky\\\\[%d\\\\]\")) and "
		  ".netns == \"net:[%ju]\")) | length == 1'", leaky.pid, (uintmax_t)ns.ino));
	/* Its sockets hold it still, and nothing else does. */
	ns_drop(&ns);
	CHECK(run(NULL, "tcpstate-cli -aj conn state close-wait | "
		  "jq -e 'map([.owner.comm, .netns]) == [[\"leaky\", \"net:[%ju]\"]]'",
		  (uintmax_t)ns.ino));
	CHECK(killed(&leaky));
	ASSERT_TRUE(WAIT_FOR(!run_status(NULL, "! tcpstate-cli -aj state | grep -F 'net:[%ju]'",
					 (uintmax_t)ns.ino), 60000 + PATIENCE_MS))
		TH_LOG("%s", output());
	CHECK(run(NULL, "for what in '' conn check 'owner by pid' dest; do "
		  "tcpstate-cli -aj $what; done | { ! grep -E 'leaky|net:.%ju'; }",
		  (uintmax_t)ns.ino));
}

/* --- who may know? --- */

#define OUTSIDER	"outsider"

/* Everything that names a process; a monitor tells what is in force, and goes on. */
static const char *const names_processes[] = {
	"tcpstate-cli -j", "tcpstate-cli -j conn", "tcpstate-cli -j dest",
	"tcpstate-cli -j port summary", "tcpstate-cli -j owner", "tcpstate-cli -j owner by pid",
	"tcpstate-cli -j check", "timeout 5 tcpstate-cli -j monitor",
};

/* Of check, as much as there is to warn of; of timeout. */
static bool has_told(int status)
{
	return (status >= 0 && status <= 2) || status == 124;
}

/* Does what a command has said have that, an extended regular expression? */
static bool said(const char *expression)
{
	regex_t regex;
	bool is;

	if (regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB))
		abort();
	is = !regexec(&regex, output(), 0, NULL, 0);
	regfree(&regex);
	return is;
}

/* What names the process outside: who may not know has no cgroup, whosever it is. */
struct names {
	char pid[32], in_words[32];
	const char *comm, *cgroup, *path;
};

static struct names names_of(pid_t pid)
{
	struct names names = {
		.comm = OUTSIDER, .cgroup = "\"cgroup_id\":[0-9]", .path = "\"cgroup\":\"/",
	};

	snprintf(names.pid, sizeof(names.pid), "\"(pid|key)\":%d[,}]", pid);
	snprintf(names.in_words, sizeof(names.in_words), OUTSIDER "\\[%d\\]", pid);
	return names;
}

/* Is the process @pid outside named, wherever it could be? */
static int outsider_named(const struct ns *ns, pid_t pid, bool expected)
{
	const struct names names = names_of(pid);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names_processes); i++) {
		const char *command = names_processes[i];

		if (!has_told(run_status(ns, "%s", command)))
			return fail("'%s': %s", command, output());
		if (said(names.comm) != expected ||
		    (!expected && (said(names.pid) || said(names.cgroup) || said(names.path))))
			return fail("'%s' says: %s", command, output());
	}
	if (!expected)
		return 0;
	/* Who may know is told all of it, so that it would have been seen. */
	if (run(ns, "tcpstate-cli -j conn") || !said(names.pid) || !said(names.cgroup) ||
	    !said(names.path))
		return fail("'conn' does not say all: %s", output());
	return !has_told(run_status(ns, "tcpstate-cli -j check")) || !said(names.in_words) ?
	       fail("'check' does not say all: %s", output()) : 0;
}

/* In namespaces of its own: what it does itself it sees, in its own numbers;
 * of a process outside that made a socket here, only that there is one.
 */
static int look_inside(pid_t outsider)
{
	struct sockaddr_storage sa;
	socklen_t len = local_address(&sa, IPV4, PORT);
	int fd = socket_for(NULL), own = socket(AF_INET, SOCK_STREAM, 0);
	struct conn_filter mine = { .sport = PORT };
	struct conn_filter other = { .sport = PORT + 1, .states = 1 << ST_LISTEN };
	struct owner_list list;
	struct told_conn conn;

	if (fd < 0)
		return -1;
	if (bind(own, (struct sockaddr *)&sa, len) || listen(own, 16))
		return fail("listen: %m");
	if (find(fd, mine, &conn))
		return -1;
	if (!conn.owner.told || conn.owner.pid != (uint32_t)getpid() || conn.owner.uid ||
	    conn.owner.cgroup)
		return fail("own: told %d pid %u uid %u cgroup %ju", conn.owner.told,
			    conn.owner.pid, conn.owner.uid, (uintmax_t)conn.owner.cgroup);
	if (find(fd, other, &conn))
		return -1;
	if (conn.owner.told || !conn.hidden)
		return fail("a process outside is told of: pid %u, %s", conn.owner.pid,
			    conn.owner.comm);
	if (owner_list(fd, BY_CGROUP, &list))
		return -1;
	if (list.error != EPERM || list.n || !strstr(list.sentence, "initial cgroup namespace"))
		return fail("asked by cgroup: error %d, %zu told: %s", list.error, list.n,
			    list.sentence);
	owner_list_free(&list);
	return outsider_named(NULL, outsider, false);
}

/* What the process outside does in @ns for which it would be named: it leaves a
 * connection in CLOSE_WAIT, and finds no port to connect from, nor one to bind.
 */
static int outsider_acts(const struct ns *ns, int sockets[], size_t n)
{
	struct sockaddr_storage sa;
	socklen_t len = local_address(&sa, IPV4, 0);
	int client, fd;
	size_t i;

	memset(sockets, -1, n * sizeof(*sockets));
	if (run(ns, "ip link set lo up; tcpstate-cli config set close-wait-warning 1"))
		return -1;
	sockets[0] = tcp_listen(ns, IPV4, PORT + 1);
	client = tcp_connect_local(ns, IPV4, PORT + 1);
	sockets[1] = tcp_accept(sockets[0]);
	close(client);
	if (range_set(ns, 40000, 40001))
		return -1;
	for (i = 2; i < n; i++) {
		sockets[i] = tcp_connect_local(ns, IPV4, PORT + 1);
		if (sockets[i] < 0)
			break;
	}
	fd = tcp_socket(ns, IPV4);
	if (i != 4 || bind(fd, (struct sockaddr *)&sa, len) != -1 || errno != EADDRINUSE)
		return fail("%zu connections over 2 ports, then bind: %m", i - 2);
	close(fd);
	return WAIT_FOR(!run_status(ns, "tcpstate-cli -j | grep -q close-wait-leak"), PATIENCE_MS) ?
	       0 : fail("no leak: %s", output());
}

FIXTURE(userns) {
	struct rig rig;
	struct ns ns;
	int there[2], back[2];
	pid_t pid;
};

/* Who @uid is outside is root inside. */
FIXTURE_VARIANT(userns) {
	unsigned int uid;
	int unshare;
};

FIXTURE_VARIANT_ADD(userns, own_pids) { .unshare = CLONE_NEWPID };
FIXTURE_VARIANT_ADD(userns, of_root) { .unshare = 0 };
FIXTURE_VARIANT_ADD(userns, of_somebody) { .uid = SOMEBODY };

FIXTURE_SETUP(userns)
{
	char byte, path[64], map[32];
	pid_t outsider = getpid();

	CHECK(rig_up(&self->rig, NULL));
	ASSERT_EQ(0, pipe(self->there));
	ASSERT_EQ(0, pipe(self->back));
	fflush(NULL);
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		prctl(PR_SET_NAME, "insider");
		snprintf(map, sizeof(map), "0 %u 1", variant->uid);
		/* Who has changed his user cannot write to his own /proc. */
		if (setresuid(variant->uid, variant->uid, variant->uid) ||
		    prctl(PR_SET_DUMPABLE, 1) ||
		    unshare(CLONE_NEWUSER | CLONE_NEWNET | variant->unshare) ||
		    file_write("/proc/self/uid_map", map))
			_exit(1);
		if (!fork()) {
			/* Until the other one has done what it does here. */
			int rc = write(self->back[1], "", 1) == 1 &&
				 read(self->there[0], &byte, 1) == 1 ?
				 look_inside(outsider) : -1;

			dprintf(self->back[1], "%s", rc ? why() : "good");
			_exit(0);
		}
		wait(NULL);
		_exit(0);
	}
	ASSERT_EQ(1, read(self->back[0], &byte, 1));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", self->pid);
	CHECK(ns_open(&self->ns, path));
}

FIXTURE_TEARDOWN(userns)
{
	ns_drop(&self->ns);
	EXPECT_OK(rig_down_alerted(&self->rig));
}

TEST_F_TIMEOUT(userns, sees_its_own, SECONDS)
{
	char text[512] = "";
	int sockets[5];
	size_t i;

	prctl(PR_SET_NAME, OUTSIDER);
	CHECK(outsider_acts(&self->ns, sockets, ARRAY_SIZE(sockets)));
	CHECK(outsider_named(&self->ns, getpid(), true));
	ASSERT_EQ(1, write(self->there[1], "", 1));
	ASSERT_LT(0, read(self->back[0], text, sizeof(text) - 1));
	EXPECT_STREQ("good", text);
	EXPECT_EQ(0, wait_for_exit(self->pid));
	for (i = 0; i < ARRAY_SIZE(sockets); i++)
		close(sockets[i]);
}

/* --- who sees other numbers --- */

/* Root still, but in a namespace of pids, or of cgroups, of its own. */
struct looker {
	const struct ns *ns;
	int unshare;
	pid_t outsider;		/* as it is called outside */
};

/* Who is there is told by name, but has a pid only if it is one of here. */
static int look_without_pids(const struct looker *looker, int fd, const struct told_conn *own,
			     const struct told_conn *other)
{
	struct owner_list list;
	bool named = false;
	size_t i;

	if (own->owner.pid != (uint32_t)getpid() || !own->owner.cgroup)
		return fail("own: pid %u, cgroup %ju", own->owner.pid,
			    (uintmax_t)own->owner.cgroup);
	if (other->owner.pid != (uint32_t)-1 || !other->owner.cgroup)
		return fail("other: pid %u, cgroup %ju", other->owner.pid,
			    (uintmax_t)other->owner.cgroup);
	if (owner_list(fd, BY_PID, &list))
		return -1;
	for (i = 0; i < list.n; i++)
		named |= !strcmp(list.owner[i].comm, OUTSIDER) &&
			 list.owner[i].pid == (uint32_t)-1 && !list.owner[i].hidden &&
			 list.owner[i].close_wait == 1;
	owner_list_free(&list);
	if (!named)
		return fail("by pid it is not there");
	return run(looker->ns, "tcpstate-cli -j owner by pid | jq -e 'any(.key == null and "
		   ".comm == \"" OUTSIDER "\" and .close_wait == 1)'");
}

/* Pids are those of outside, but no cgroup is told, nor may be asked for. */
static int look_without_cgroups(const struct looker *looker, int fd, const struct told_conn *own,
				const struct told_conn *other)
{
	const struct conn_filter of_cgroup = { .cgroup = 1 };
	struct owner_list list;
	struct conn_list conns;

	if (own->owner.pid != (uint32_t)getpid() || own->owner.cgroup ||
	    other->owner.pid != (uint32_t)looker->outsider || other->owner.cgroup)
		return fail("own: pid %u, cgroup %ju; other: pid %u, cgroup %ju", own->owner.pid,
			    (uintmax_t)own->owner.cgroup, other->owner.pid,
			    (uintmax_t)other->owner.cgroup);
	if (owner_list(fd, BY_CGROUP, &list))
		return -1;
	if (list.error != EPERM || list.n || !strstr(list.sentence, "initial cgroup namespace"))
		return fail("by cgroup: error %d, %zu told: %s", list.error, list.n,
			    list.sentence);
	owner_list_free(&list);
	if (conn_list(fd, &of_cgroup, &conns))
		return -1;
	if (conns.error != EPERM || conns.n)
		return fail("of a cgroup: error %d, %zu told", conns.error, conns.n);
	conn_list_free(&conns);
	return run(looker->ns, "tcpstate-cli -j conn | jq -e 'length > 0 and "
		   "all(.owner.cgroup == null and .owner.cgroup_id == null)'");
}

static int look(const struct looker *looker)
{
	const struct conn_filter of_own = { .sport = PORT };
	const struct conn_filter of_other = { .sport = PORT + 1, .states = 1 << ST_LISTEN };
	struct told_conn own, other;
	int fd, listener;

	fd = socket_for(looker->ns);
	listener = listen_as(looker->ns, "insider", IPV4, "127.0.0.1", "::1", NULL);
	if (fd < 0 || listener < 0 || find(fd, of_own, &own) || find(fd, of_other, &other))
		return -1;
	if (strcmp(own.owner.comm, "insider") || own.hidden ||
	    strcmp(other.owner.comm, OUTSIDER) || other.hidden || own.owner.uid ||
	    other.owner.uid)
		return fail("own: '%s', other: '%s'", own.owner.comm, other.owner.comm);
	return looker->unshare == CLONE_NEWPID ?
	       look_without_pids(looker, fd, &own, &other) :
	       look_without_cgroups(looker, fd, &own, &other);
}

/* In a child of who has left: that is in the new namespace of pids. */
static int look_from(const struct looker *looker)
{
	char text[512] = "";
	int says[2];
	pid_t pid;

	if (pipe(says))
		return fail("pipe: %m");
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (unshare(looker->unshare))
			dprintf(says[1], "unshare: %m");
		else if (!fork())
			dprintf(says[1], "%s", look(looker) ? why() : "good");
		else
			wait(NULL);
		_exit(0);
	}
	close(says[1]);
	wait_for_exit(pid);
	if (read(says[0], text, sizeof(text) - 1) <= 0)
		return fail("nothing seen");
	close(says[0]);
	return strcmp(text, "good") ? fail("%s", text) : 0;
}

TEST_F_TIMEOUT(owners, other_namespaces, SECONDS)
{
	static const int kinds[] = { CLONE_NEWPID, CLONE_NEWCGROUP };
	int sockets[5];
	size_t i;

	prctl(PR_SET_NAME, OUTSIDER);
	CHECK(outsider_acts(self->ns, sockets, ARRAY_SIZE(sockets)));
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		CHECK(look_from(&(struct looker){ self->ns, kinds[i], getpid() }));
	for (i = 0; i < ARRAY_SIZE(sockets); i++)
		close(sockets[i]);
}

TEST_F_TIMEOUT(owners, unprivileged, SECONDS)
{
	struct owner_list list;
	int by, fd;

	ASSERT_EQ(0, ns_enter(self->ns));
	ASSERT_EQ(0, seteuid(NOBODY));
	fd = socket_for(NULL);
	for (by = BY_COMM; by <= BY_CGROUP; by++) {
		CHECK(owner_list(fd, by, &list));
		EXPECT_EQ(EPERM, list.error);
		EXPECT_NE(NULL, strstr(list.sentence, "CAP_NET_ADMIN"));
		EXPECT_EQ(0, list.n);
		owner_list_free(&list);
	}
	ASSERT_EQ(0, seteuid(0));
	CHECK(ns_leave());
	close(fd);
}

TEST_HARNESS_MAIN
