// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once: each path is walked with its first allocation
 * failing, then its second, until none is left to fail. What fails is chosen by
 * the call trace: in the kernels this runs on there is no other module, so
 * whatever has the modules' part of the address space in it is done for ours.
 *
 * Each time what was asked for is done or refused with an error, nothing is
 * left behind, and what is counted is what ss shows, but for as many as are
 * said to be inexact; an audit makes that good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "linux/tcpstate.h"
#include "disturb.h"
#include "listing.h"
#include "room.h"

#define SECONDS		1500
#define DEBUGFS		"/sys/kernel/debug/"
#define KMEMLEAK	DEBUGFS "kmemleak"
#define SLABS		"/sys/kernel/slab/"
#define RECORDS		"tcpstate_conn"
#define DESTINATIONS	"tcpstate_dest"
#define PARAMETERS	"/sys/module/tcpstate/parameters/"
#define FAIL_ADDS	PARAMETERS "fail_adds"
#define FAIL_PERCPU	PARAMETERS "fail_percpu"
#define FOR_EVER	"1000000"
#define PAIRS		3
/* What there is in a namespace at most: both ends of each, and listeners. */
#define OBJECTS		(3 * PAIRS)
/* Connections whose records do not fit into one chunk; few are enough where
 * each record is allocated by itself.
 */
#define MANY		40
#define FEW		4
/* Records that are allocated at a time where each is by itself: only if none of them
 * can be had does a connection have none.
 */
#define SINGLES		2
/* What there is of batch_open_leaky(), and how often it is counted without a record:
 * none has more events.
 */
#define LEAKY		5
#define LEAKY_EVENTS	(4 * LEAKY)
/* More than any path makes. */
#define FAILURES	1000000000
/* Where x86-64 has its modules, when the kernel is not moved about. */
#define MODULES_BEGIN	0xffffffffa0000000
#define MODULES_END	0xffffffffff000000

static const char *const kinds[] = { "failslab", "fail_page_alloc" };
/* Of each at most: pages, or a small object, and then what vmalloc() has to note. */
static const unsigned int kvmalloc_times[] = { 2, 1 };

/* Each record by itself, and in chunks, as where KASAN does not look; the same with none
 * found at load.
 */
static const char *const modes[] = { NULL, "chunks=1" };
static const char *const empty_modes[] = { "fail_adds=" FOR_EVER, "chunks=1 fail_adds=" FOR_EVER };

static int debugfs_set(const char *kind, const char *file, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, file);
	snprintf(text, sizeof(text), "%ld", value);
	return file_write(path, text);
}

static long debugfs_get(const char *kind, const char *file)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return strtol(text, NULL, 0);
}

static int address_set(const char *kind, const char *file, uint64_t address)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, file);
	snprintf(text, sizeof(text), "0x%jx", (uintmax_t)address);
	return file_write(path, text);
}

/* A function of the kernel's: where it begins, and where the next one does. A
 * module's are in no order.
 */
static int function_at(const char *name, uint64_t *begin, uint64_t *end)
{
	char line[512], symbol[256];
	FILE *f = fopen("/proc/kallsyms", "re");
	uintmax_t at;

	*begin = 0;
	*end = UINT64_MAX;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%jx %*c %255s", &at, symbol) == 2 && !strcmp(symbol, name))
			*begin = at;
	if (f && *begin)
		rewind(f);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%jx", &at) == 1 && at > *begin && at < *end)
			*end = at;
	if (f)
		fclose(f);
	return *begin ? 0 : fail("no function %s()", name);
}

/* What @function allocates does not fail. */
static int reject(const char *kind, const char *function)
{
	uint64_t begin, end;

	return function_at(function, &begin, &end) ||
	       address_set(kind, "reject-start", begin) ||
	       address_set(kind, "reject-end", end) ? -1 : 0;
}

#define KMEMLEAK_NOTES	"__alloc_object"

/* Only what is done for the module fails, and only when a test says so; not what
 * kmemleak notes of it, which nobody would miss.
 */
static int choose(const char *kind)
{
	if (reject(kind, KMEMLEAK_NOTES) || address_set(kind, "require-start", MODULES_BEGIN) ||
	    address_set(kind, "require-end", MODULES_END))
		return -1;
	return debugfs_set(kind, "probability", 0) || debugfs_set(kind, "verbose", 0) ||
	       debugfs_set(kind, "task-filter", 0) ||
	       debugfs_set(kind, "stacktrace-depth", 32) ||
	       debugfs_set(kind, "ignore-gfp-wait", 0) ? -1 : 0;
}

/* The next @nth allocation for the module by this task fails. */
static int nth_fd = -1;

static int arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	if (nth_fd < 0)
		nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	return pwrite(nth_fd, text, n, 0) == n ? 0 : fail("fail-nth: %m");
}

/* Did one fail since? */
static bool disarm(void)
{
	char text[16] = "";
	bool failed;

	failed = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && !strtoul(text, NULL, 10);
	return arm(0) ? false : failed;
}

/* The next but @skip allocation of a kind fails, whoever makes it, and so do as
 * many as make @times; @unit is the size of each one.
 */
static int arm_any(const char *kind, unsigned int skip, unsigned int unit, unsigned int times)
{
	return debugfs_set(kind, "space", (long)skip * unit + 1) ||
	       debugfs_set(kind, "times", times) ||
	       debugfs_set(kind, "probability", 100) ? -1 : 0;
}

/* How many did not fail? */
static unsigned int disarm_any(const char *kind)
{
	unsigned int left = debugfs_get(kind, "times");

	debugfs_set(kind, "probability", 0);
	return left;
}

/* The same of the objects of one of the module's slabs. */
static long object_size(const char *slab)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), SLABS "%s/object_size", slab);
	fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return strtol(text, NULL, 10);
}

static int arm_slab(const char *slab, unsigned int skip, unsigned int times)
{
	char path[128];

	snprintf(path, sizeof(path), SLABS "%s/failslab", slab);
	return file_write(path, "1") || debugfs_set("failslab", "cache-filter", 1) ||
	       arm_any("failslab", skip, object_size(slab), times) ? -1 : 0;
}

/* How many of @times failed? */
static unsigned int disarm_slab(unsigned int times)
{
	unsigned int failed = times - disarm_any("failslab");

	return debugfs_set("failslab", "cache-filter", 0) ? 0 : failed;
}

/* The next @nth allocation for the module by this task fails, and those with which
 * kvmalloc() would have it from vmalloc() all the same; no more, or there would be none
 * either to undo what has been done. One is spared, as in 'unload'.
 */
static int arm_kvmalloc(unsigned int nth)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (reject(kinds[i], "__disarm_kprobe_ftrace") ||
		    debugfs_set(kinds[i], "task-filter", 1) ||
		    arm_any(kinds[i], 0, 0, kvmalloc_times[i]))
			return -1;
	return file_write("/proc/self/make-it-fail", "1") || arm(nth) ? -1 : 0;
}

/* How many did? */
static unsigned int disarm_kvmalloc(void)
{
	unsigned int i, failed = 0;

	disarm();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		failed += kvmalloc_times[i] - disarm_any(kinds[i]);
		debugfs_set(kinds[i], "task-filter", 0);
		reject(kinds[i], KMEMLEAK_NOTES);
	}
	return failed;
}

/* Its sockets may be older than the module, or have been without a record. */
static void uncertain(struct ns *ns)
{
	ns->seed_unknown = true;
	ns->late_adds = true;
}

/* Shut one end down: it stays in FIN_WAIT2, as a full socket, and the other in CLOSE_WAIT. */
static int shutdown_first(int first, int second)
{
	if (shutdown(first, SHUT_WR))
		return fail("shutdown: %m");
	return WAIT_FOR(tcp_state(first) == ST_FIN_WAIT2 && tcp_state(second) == ST_CLOSE_WAIT,
			PATIENCE_MS) ? 0 : fail("they are not in FIN_WAIT2 and CLOSE_WAIT");
}

FIXTURE(failslab) {
	struct net net;
	struct pair p[PAIRS];
	const char *path;
	unsigned int failed;
};

FIXTURE_SETUP(failslab)
{
	unsigned int i;
	cpu_set_t one;

	if (access(DEBUGFS "failslab/require-start", F_OK))
		SKIP(return, "this kernel lets no allocation fail: use KERNEL=debug");
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		CHECK(choose(kinds[i]));
	CHECK(debugfs_set("failslab", "cache-filter", 0));
	CHECK(debugfs_set("fail_page_alloc", "min-order", 0));
	/* Those of vmalloc(), too. */
	CHECK(debugfs_set("fail_page_alloc", "ignore-gfp-highmem", 0));
	if (module_loaded())
		CHECK(module_unload());
	/* What one CPU stocks up on, the other does not have. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	CHECK(net_new(&self->net));
	uncertain(&self->net.client);
	uncertain(&self->net.server);
	for (i = 0; i < PAIRS; i++) {
		pair_init(&self->p[i], i % 2 ? IPV6 : IPV4, PORT + i % 2);
		if (i > 1)
			self->p[i].listener = self->p[i % 2].listener;
		CHECK(pair_open(&self->net, &self->p[i]));
	}
	CHECK(pair_to_time_wait(&self->p[0]));
	/* Of which a walk has to ask its socket, with its lock. */
	CHECK(shutdown_first(self->p[1].client, self->p[1].server));
}

FIXTURE_TEARDOWN(failslab)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_OK(debugfs_set(kinds[i], "probability", 0));
		EXPECT_OK(debugfs_set(kinds[i], "task-filter", 0));
	}
	EXPECT_OK(debugfs_set("failslab", "cache-filter", 0));
	net_drop(&self->net);
	if (module_loaded())
		EXPECT_OK(module_unload());
	EXPECT_NE(0, self->failed);
	printf("# %-30s %3u allocations failed\n", self->path, self->failed);
	fflush(stdout);
}

/* Without memory a namespace may be one that is not followed, and says so. */
static bool refused(const struct ns *ns)
{
	struct counters c;

	return cli_read(ns, &c) && strstr(output(), "is not followed");
}

/* What is said of @ns is true, no more than @most events have found no memory for a
 * record, and an audit says how many connections are missing, and makes that good.
 */
static int honest(struct ns *ns, uint64_t most)
{
	struct counters c;
	struct verdict v;
	struct table before, after, last;
	uint64_t missing;

	/* Nothing is opened meanwhile, but a TIME_WAIT may end. */
	if (ss_read(ns, &before) || cli_read(ns, &c) || ss_read(ns, &after))
		return -1;
	if (in_any(&c.now) > in_any(&before) || in_any(&c.now) + c.inexact < in_any(&after))
		return fail("%ju counted, %ju inexact, but %ju in ss", (uintmax_t)in_any(&c.now),
			    (uintmax_t)c.inexact, (uintmax_t)in_any(&after));
	if (c.untracked > most || c.inexact > most)
		return fail("%ju untracked, %ju inexact, but no more than %ju failed",
			    (uintmax_t)c.untracked, (uintmax_t)c.inexact, (uintmax_t)most);
	if (cli_audit(ns, &v) || ss_read(ns, &last))
		return -1;
	missing = v.missing + v.missing_now;
	if (missing > c.inexact || in_any(&c.now) + missing < in_any(&last))
		return fail("%ju counted, %ju inexact, %ju missing, but %ju in ss",
			    (uintmax_t)in_any(&c.now), (uintmax_t)c.inexact,
			    (uintmax_t)missing, (uintmax_t)in_any(&last));
	if (v.exact && !c.untracked)
		return 0;
	if (ns)
		ns->untracked = c.untracked;
	return audit(ns) || same_as_ss(ns) ? -1 : 0;
}

static bool all_as_ss(const struct net *net)
{
	struct counters *list;
	bool same;
	size_t n;

	if (cli_read_all(&list, &n))
		return false;
	same = !listed_as_ss(list, n, &net->client) && !listed_as_ss(list, n, &net->server);
	while (n--)
		same = same && !list[n].untracked;
	free(list);
	return same;
}

/* The same where what failed may have been what following @ns takes. */
static int honest_if_followed(struct ns *ns, uint64_t most)
{
	return refused(ns) ? 0 : honest(ns, most);
}

/* In every namespace, each by @judge; most often all is just as it should be. */
static int all_by(struct net *net, int (*judge)(struct ns *ns, uint64_t most), uint64_t most)
{
	if (all_as_ss(net))
		return audit_all();
	return judge(NULL, most) || judge(&net->client, most) || judge(&net->server, most) ?
	       -1 : 0;
}

/* Where nothing has failed that they have a need of. */
static int all_honest(struct net *net)
{
	return all_by(net, honest, 0);
}

/* Nothing of a module that is not there is left. */
static int nothing_left(void)
{
	if (module_loaded())
		return fail("it is loaded");
	if (!access(SLABS RECORDS, F_OK) || !access(SLABS DESTINATIONS, F_OK))
		return fail("it has left a slab");
	if (run_status(NULL, "grep . /sys/kernel/tracing/enabled_functions") != 1)
		return fail("it has left hooks: %s", output());
	return 0;
}

/* Load with the @nth allocation failing, and if @twice what vmalloc() would do in its
 * place; *failed: how many did.
 */
static int load_failing(unsigned int nth, bool twice, struct net *net, unsigned int *failed,
			bool *loaded)
{
	int fd, err;

	fd = open(from_env("TCPSTATE_KO", "/tcpstate/tcpstate.ko"), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (twice ? arm_kvmalloc(nth) : arm(nth)))
		return fail("cannot begin to load: %m");
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	*failed = twice ? disarm_kvmalloc() : disarm();
	*loaded = !err;
	close(fd);
	if (err == ENOMEM && *failed)
		return nothing_left();
	if (err)
		return fail("loading ended with error %d", err);
	return all_by(net, *failed ? honest_if_followed : honest, *failed) || module_unload() ||
	       nothing_left() ? -1 : 0;
}

/* What has a second way to get memory is not refused by one failure. So where it loads
 * all the same, the second way fails, too: each step is refused once.
 */
TEST_F_TIMEOUT(failslab, load, SECONDS)
{
	unsigned int nth = 0, failed, more, survived = 0, refused = 0;
	bool loaded;

	self->path = "load and seed";
	do {
		CHECK(load_failing(++nth, false, &self->net, &failed, &loaded));
		self->failed += failed;
		if (failed && loaded) {
			CHECK(load_failing(nth, true, &self->net, &more, &loaded));
			self->failed += more;
			survived++;
			refused += !loaded;
		}
		if (nth % 20 == 0)
			TH_LOG("%u so far", nth);
	} while (failed);
	TH_LOG("%u, of which %u alone let it load; with the next %u did not", nth - 1, survived,
	       refused);
	ASSERT_LT(0, refused);
}

/* A namespace is made whether or not it can be followed. */
static int namespace_failing(unsigned int nth, bool *failed)
{
	int (*judge)(struct ns *ns, uint64_t most);
	struct ns ns;
	struct pair p;
	int rc;

	if (arm(nth))
		return -1;
	rc = unshare(CLONE_NEWNET);
	*failed = disarm();
	if (rc)
		return fail("no namespace: %m");
	judge = *failed ? honest_if_followed : honest;
	pair_init(&p, IPV4, PORT);
	rc = ns_open(&ns, "/proc/self/ns/net");
	uncertain(&ns);
	rc = rc || run(&ns, "ip link set lo up") || ns_leave() ||
	     pair_open_local(&ns, &p) || judge(&ns, 0) || pair_to_time_wait(&p) || judge(&ns, 0);
	pair_close(&p);
	ns_drop(&ns);
	return rc ? -1 : 0;
}

TEST_F_TIMEOUT(failslab, namespace, SECONDS)
{
	bool failed;

	self->path = "a new namespace";
	CHECK(module_load(NULL));
	for (;;) {
		CHECK(namespace_failing(self->failed + 1, &failed));
		if (!failed)
			break;
		self->failed++;
	}
	CHECK(all_honest(&self->net));
}

static int percpu_all_failed(void)
{
	char left[16] = "";
	int fd = open(FAIL_PERCPU, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, left, sizeof(left) - 1) <= 0 || atoi(left))
		return fail("%s is still %s", FAIL_PERCPU, left);
	return close(fd);
}

/* A namespace whose pointers to what its CPUs count cannot be had. */
static int namespace_without_percpu(void)
{
	struct pair p;
	struct ns ns;
	int rc;

	pair_init(&p, IPV4, PORT);
	if (file_write(FAIL_PERCPU, "1") || ns_new(&ns, NULL))
		return -1;
	rc = percpu_all_failed() || pair_open_local(&ns, &p) || pair_to_time_wait(&p);
	if (!rc && !refused(&ns))
		rc = fail("a namespace without memory per CPU is followed");
	pair_close(&p);
	ns_drop(&ns);
	return rc ? -1 : 0;
}

TEST_F_TIMEOUT(failslab, percpu, SECONDS)
{
	char parameters[32];
	int i;

	self->path = "memory per CPU";
	/* At load: for the first namespaces, in the end for all. */
	for (i = 1; i <= 3; i++) {
		snprintf(parameters, sizeof(parameters), "fail_percpu=%d", i);
		CHECK(module_load(parameters));
		CHECK(percpu_all_failed());
		CHECK(all_by(&self->net, honest_if_followed, 0));
		CHECK(namespace_without_percpu());
		self->failed += i + 1;
		CHECK(module_unload());
		CHECK(nothing_left());
	}
}

/* Connections in a namespace of their own. */
struct batch {
	struct ns ns;
	struct pair p[MANY];
	int n;
};

static int batch_fill(struct batch *batch, int n)
{
	for (batch->n = 0; batch->n < n; batch->n++) {
		struct pair *p = &batch->p[batch->n];

		pair_init(p, IPV4, PORT);
		if (batch->n)
			p->listener = batch->p[0].listener;
		if (pair_open_local(&batch->ns, p))
			return -1;
	}
	return 0;
}

/* With a range of local ports, if @high is not 0. */
static int batch_open(struct batch *batch, int n, unsigned int low, unsigned int high)
{
	if (ns_new(&batch->ns, NULL) || (high && range_set(&batch->ns, low, high)))
		return -1;
	uncertain(&batch->ns);
	return batch_fill(batch, n);
}

/* One in TIME_WAIT later on, and one that its peer has closed, with an owner. */
static int batch_open_leaky(struct batch *batch)
{
	return batch_open(batch, 2, 0, 0) ||
	       shutdown_first(batch->p[0].client, batch->p[0].server) ? -1 : 0;
}

/* What was counted of them is true by @judge, with @most failures, and so is what is
 * when they have ended.
 */
static int batch_close_by(struct batch *batch, int (*judge)(struct ns *ns, uint64_t most),
			  uint64_t most)
{
	int i;

	if (judge(&batch->ns, most))
		return -1;
	for (i = 0; i < batch->n; i++) {
		if (i)
			batch->p[i].listener = -1;
		if (i % 2 && pair_to_time_wait(&batch->p[i]))
			return -1;
		pair_close(&batch->p[i]);
	}
	if (judge(&batch->ns, most))
		return -1;
	ns_drop(&batch->ns);
	return 0;
}

static int batch_close(struct batch *batch, uint64_t most)
{
	return batch_close_by(batch, honest, most);
}

/* In process context and in softirqs. */
TEST_F_TIMEOUT(failslab, records, SECONDS)
{
	unsigned int skip = 0, failed;
	struct batch batch;
	uint64_t untracked = 0;

	self->path = "records";
	CHECK(module_load(NULL));
	do {
		CHECK(arm_slab(RECORDS, skip++, SINGLES));
		CHECK(batch_open(&batch, FEW, 0, 0));
		failed = disarm_slab(SINGLES);
		CHECK(batch_close(&batch, failed / SINGLES));
		self->failed += failed;
		untracked += batch.ns.untracked;
	} while (failed);
	ASSERT_LT(0, untracked);
	CHECK(all_honest(&self->net));
}

/* What is left in stock is less than they need. */
TEST_F_TIMEOUT(failslab, chunks, SECONDS)
{
	struct batch batch;
	uint64_t untracked = 0;
	bool failed;

	self->path = "chunks of records";
	do {
		CHECK(module_load("chunks=1"));
		CHECK(arm_slab(RECORDS, self->failed, 1));
		CHECK(batch_open(&batch, MANY, 0, 0));
		failed = disarm_slab(1);
		CHECK(batch_close(&batch, failed));
		CHECK(module_unload());
		self->failed += failed;
		untracked += batch.ns.untracked;
	} while (failed);
	ASSERT_EQ(self->failed, untracked);
}

/* The slabs' pages, be it for what following the namespace takes; without one of the size
 * that it likes best a slab asks for a smaller.
 */
TEST_F_TIMEOUT(failslab, pages, SECONDS)
{
	unsigned int i, skip, failed;
	struct batch batch;

	self->path = "pages";
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		skip = 0;
		do {
			CHECK(module_load(modes[i]));
			CHECK(arm_any("fail_page_alloc", skip++, 1, 2));
			CHECK(batch_open(&batch, MANY, 0, 0));
			failed = 2 - disarm_any("fail_page_alloc");
			CHECK(batch_close_by(&batch, failed ? honest_if_followed : honest,
					     failed));
			CHECK(module_unload());
			self->failed += failed;
		} while (failed);
	}
}

/* How many have no record? */
static int without(const struct net *net, uint64_t *n)
{
	const struct ns *const ns[] = { NULL, &net->client, &net->server };
	struct counters c;
	struct table ss;
	unsigned int i;

	*n = 0;
	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		if (ss_read(ns[i], &ss) || cli_read(ns[i], &c))
			return -1;
		*n += in_any(&ss) - in_any(&c.now);
	}
	return 0;
}

/* Has the walk been that comes a second after a load? */
static bool walked(const struct kmsg *log)
{
	char record[8192];
	ssize_t n;

	do {
		n = read(log->fd, record, sizeof(record) - 1);
		if (n > 0) {
			record[n] = '\0';
			if (strstr(record, " missed at load"))
				return true;
		}
	} while (n > 0 || (n < 0 && errno == EPIPE));
	return false;
}

/* Load, and wait for the second walk to be over. */
static int load_and_walk(const char *parameters)
{
	struct kmsg log;

	if (kmsg_open(&log) || module_load(parameters))
		return -1;
	if (!WAIT_FOR(walked(&log), PATIENCE_MS))
		return fail("there was no second walk");
	return close(log.fd);
}

/* The second walk after load, in a kworker, finds everything without a record. */
static int second_walk_failing(const char *parameters, unsigned int skip, struct net *net,
			       unsigned int *failed, uint64_t *missing)
{
	struct kmsg log;
	uint64_t left;

	if (kmsg_open(&log) || module_load(parameters) || arm_slab(RECORDS, skip, SINGLES) ||
	    file_write(FAIL_ADDS, "0"))
		return -1;
	if (!WAIT_FOR(walked(&log), PATIENCE_MS))
		return fail("there was no second walk");
	close(log.fd);
	*failed = disarm_slab(SINGLES);
	if (without(net, &left))
		return -1;
	if (left && !*failed)
		return fail("the second walk came too soon");
	*missing += left;
	return all_by(net, honest, OBJECTS) || module_unload() ? -1 : 0;
}

TEST_F_TIMEOUT(failslab, second_walk, SECONDS)
{
	unsigned int i, skip, failed = 0;
	uint64_t missing;

	self->path = "the second walk";
	for (i = 0; i < ARRAY_SIZE(empty_modes); i++) {
		missing = 0;
		skip = 0;
		do {
			CHECK(second_walk_failing(empty_modes[i], skip++, &self->net, &failed,
						  &missing));
			self->failed += failed;
		} while (failed);
		ASSERT_LT(0, missing);
	}
}

/* With no memory for any record but the first @skip: an audit says how many are missing. */
static int audit_armed(const struct ns *ns, uint64_t *missing)
{
	struct table before, after;
	struct counters c;
	struct verdict v;

	if (cli_read(ns, &c) || ss_read(ns, &before) || cli_audit(ns, &v) || ss_read(ns, &after))
		return -1;
	if (v.missing || v.exact != !v.missing_now || c.untracked < v.missing_now ||
	    v.counted + v.missing_now > in_any(&before) ||
	    v.counted + v.missing_now < in_any(&after))
		return fail("of %ju %ju were untracked; the audit: %s", (uintmax_t)in_any(&after),
			    (uintmax_t)c.untracked, output());
	*missing += v.missing_now;
	return 0;
}

static int load_without_records(const char *parameters, unsigned int skip, unsigned int size,
				struct net *net, unsigned int *failed, uint64_t *missing)
{
	if (debugfs_set("failslab", "cache-filter", 1) ||
	    arm_any("failslab", skip, size, FAILURES) || load_and_walk(parameters))
		return -1;
	if (audit_armed(NULL, missing) || audit_armed(&net->client, missing) ||
	    audit_armed(&net->server, missing))
		return -1;
	*failed = disarm_slab(FAILURES);
	return all_by(net, honest, OBJECTS) || module_unload() || nothing_left() ? -1 : 0;
}

/* None but the first few at load: the machine is booted with slab_debug=A,tcpstate_conn,
 * or the slab would not be one of those that fail from its beginning.
 */
TEST_F_TIMEOUT(failslab, load_without_records, SECONDS)
{
	unsigned int i, skip, size, failed;
	uint64_t missing;

	self->path = "records at load, all at once";
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		CHECK(module_load(modes[i]));
		CHECK(run(NULL, "grep -qx 1 " SLABS RECORDS "/failslab"));
		size = object_size(RECORDS);
		CHECK(module_unload());
		missing = 0;
		skip = 0;
		do {
			CHECK(load_without_records(modes[i], skip, size, &self->net, &failed,
						   &missing));
			skip = skip ? 2 * skip : 1;
		} while (failed);
		ASSERT_LT(0, missing);
		self->failed += missing;
	}
}

/* The first event on a CPU in a namespace: without memory that shares a block
 * with others, and all that is counted there stays exact.
 */
TEST_F_TIMEOUT(failslab, block, SECONDS)
{
	struct pair p;
	struct ns ns;
	int i;

	self->path = "a CPU's block";
	CHECK(module_load("chunks=1"));
	pair_init(&p, IPV4, PORT + 5);
	CHECK(pair_open(&self->net, &p));	/* stocks up on a chunk of records */
	pair_close(&p);
	for (i = 0; i < 3; i++) {
		CHECK(ns_new(&ns, NULL));
		CHECK(debugfs_set("failslab", "space", 0));
		CHECK(debugfs_set("failslab", "times", i + 1));
		CHECK(debugfs_set("failslab", "probability", 100));
		pair_init(&p, i, PORT);
		CHECK(pair_open_local(&ns, &p));
		self->failed += i + 1 - debugfs_get("failslab", "times");
		CHECK(debugfs_set("failslab", "probability", 0));
		CHECK(audit(&ns));
		CHECK(step(&ns, ANY, "LISTEN=1 ESTABLISHED=2"));
		CHECK(pair_to_time_wait(&p));
		CHECK(step(&ns, ANY, "LISTEN=1 TIME_WAIT=1"));
		CHECK(audit(&ns));
		pair_close(&p);
		ns_drop(&ns);
	}
	ASSERT_GE(self->failed, 3);
}

/* Destinations: what is connected to one that cannot be had is none of any, and
 * is counted all the same.
 */
static int destinations_failing(unsigned int skip, bool *failed)
{
	static const struct target targets[] = {
		{ .family = IPV4, .local = true, .port = PORT },
		{ .family = IPV6, .local = true, .port = PORT + 1 },
	};
	struct batch batch = { .n = 4 };
	struct summary summary;
	uint64_t attached = 0;
	unsigned int i;

	if (ns_new(&batch.ns, NULL) || arm_slab(DESTINATIONS, skip, 1))
		return -1;
	uncertain(&batch.ns);
	for (i = 0; i < 4; i++) {
		pair_init(&batch.p[i], targets[i / 2].family, targets[i / 2].port);
		if (i % 2)
			batch.p[i].listener = batch.p[i - 1].listener;
		if (pair_open_local(&batch.ns, &batch.p[i]))
			return -1;
	}
	*failed = disarm_slab(1);
	if (summary_read(&batch.ns, &summary))
		return -1;
	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		struct room room;

		if (room_read(&batch.ns, &targets[i], &room))
			return -1;
		attached += room.used;
	}
	if (summary.destinations_dropped != *failed || attached + *failed != 4)
		return fail("%ju destinations dropped, but %ju of 4 connections have one",
			    (uintmax_t)summary.destinations_dropped, (uintmax_t)attached);
	close_fd(&batch.p[2].listener);
	return audit(&batch.ns) || batch_close(&batch, 0) ? -1 : 0;
}

TEST_F_TIMEOUT(failslab, destinations, SECONDS)
{
	bool failed;

	self->path = "destinations";
	CHECK(module_load(NULL));
	/* As it was booted, records would fail, too. */
	CHECK(file_write(SLABS RECORDS "/failslab", "0"));
	do {
		CHECK(destinations_failing(self->failed, &failed));
		self->failed += failed;
	} while (failed);
}

/* A process that opens its first connection with the @nth allocation failing. */
static pid_t newcomer(const struct ns *ns, unsigned int nth, bool *failed)
{
	int report[2];
	pid_t pid;

	if (pipe(report))
		return fail("pipe: %m");
	fflush(NULL);
	pid = fork();
	if (!pid) {
		int fd = -1;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		nth_fd = -1;
		/* All that it needs but the connection itself is there before. */
		if (!arm(0) && !arm(nth))
			fd = tcp_connect_local(ns, IPV4, PORT);
		*failed = disarm();
		if (fd < 0 || write(report[1], failed, sizeof(*failed)) != sizeof(*failed))
			_exit(1);
		for (;;)
			pause();
	}
	close(report[1]);
	if (pid > 0 && read(report[0], failed, sizeof(*failed)) != sizeof(*failed)) {
		end_child(pid, SIGKILL);
		pid = fail("it could not connect");
	}
	close(report[0]);
	return pid;
}

/* Its connection is its own, or, without memory, nobody's, and that is counted. */
static int owner_failing(unsigned int nth, bool *failed, unsigned int *dropped)
{
	uint64_t own = 0, none = 0;
	struct owner_list list;
	struct counters c;
	struct pair p;
	struct ns ns;
	pid_t pid;
	size_t i;
	int fd;

	pair_init(&p, IPV4, PORT);
	if (ns_new(&ns, NULL))
		return -1;
	uncertain(&ns);
	p.listener = tcp_listen(&ns, IPV4, PORT);
	fd = socket_for(&ns);
	if (p.listener < 0 || fd < 0)
		return -1;
	pid = newcomer(&ns, nth, failed);
	if (pid < 0)
		return -1;
	p.server = tcp_accept(p.listener);
	if (p.server < 0 || cli_read(&ns, &c) || owner_list(fd, BY_PID, &list))
		return -1;
	for (i = 0; i < list.n; i++) {
		if (list.owner[i].pid == (uint32_t)pid)
			own += list.owner[i].connections;
		none += list.owner[i].dropped;
	}
	owner_list_free(&list);
	close(fd);
	*dropped += none;
	if (own + none + c.inexact < 1 || own > 1 || (!*failed && own + none != 1))
		return fail("of the one connection %ju are its own, %ju owners dropped",
			    (uintmax_t)own, (uintmax_t)none);
	if (end_child(pid, SIGKILL) || honest(&ns, *failed))
		return -1;
	pair_close(&p);
	if (honest(&ns, *failed))
		return -1;
	ns_drop(&ns);
	return 0;
}

TEST_F_TIMEOUT(failslab, owners, SECONDS)
{
	unsigned int dropped = 0;
	bool failed;

	self->path = "owners";
	CHECK(module_load(NULL));
	do {
		CHECK(owner_failing(self->failed + 1, &failed, &dropped));
		self->failed += failed;
	} while (failed);
	ASSERT_LT(0, dropped);
	CHECK(all_honest(&self->net));
}

/* The last line of what a monitor has said is of @severity. */
static bool heard(FILE *from, char *line, size_t size, const char *severity)
{
	char text[64];

	clearerr(from);
	while (fgets(line, size, from))
		;
	snprintf(text, sizeof(text), "\"severity\":\"%s\"", severity);
	return strstr(line, text);
}

static int room_warning(const struct ns *ns, unsigned int percent)
{
	return run(ns, "tcpstate-cli config set port-room-warning %u", percent);
}

/* A warning comes and goes; @skip bytes on, an allocation fails that is made to
 * tell so. An edge that cannot be told is told a little later. It is a new
 * namespace each time, as its number is allocated only once.
 */
static int alert_failing(unsigned int skip, bool *failed)
{
	char said[4096] = "";
	struct batch batch;
	FILE *from;
	pid_t pid;
	bool told;

	if (batch_open(&batch, FEW, 40000, 40009))
		return -1;
	pid = command_start(&batch.ns, "tcpstate-cli -j monitor", &from);
	if (pid < 0 || set_nonblocking(fileno(from), true) || monitor_listens(pid))
		return -1;
	if (arm_any("failslab", skip, 1, 1) || room_warning(&batch.ns, 30))
		return -1;
	told = WAIT_FOR(heard(from, said, sizeof(said), "warning"), PATIENCE_MS);
	*failed = !disarm_any("failslab");
	if (!told || room_warning(&batch.ns, 90) ||
	    !WAIT_FOR(heard(from, said, sizeof(said), "clear"), PATIENCE_MS))
		return fail("no %s was told; the last was: %s", told ? "end" : "warning", said);
	kill(pid, SIGTERM);
	return command_end(pid, from) || batch_close(&batch, 0) ? -1 : 0;
}

#define ALERT_STEP	100	/* less than what is allocated at a time */

TEST_F_TIMEOUT(failslab, alerts, SECONDS)
{
	uint64_t begin, end;
	bool failed;

	self->path = "alerts";
	CHECK(module_load(NULL));
	CHECK(function_at("tcpstate_netlink_alert", &begin, &end));
	CHECK(address_set("failslab", "require-start", begin));
	CHECK(address_set("failslab", "require-end", end));
	do {
		CHECK(alert_failing(self->failed * ALERT_STEP, &failed));
		self->failed += failed;
	} while (failed);
	CHECK(all_honest(&self->net));
}

/* How many pages have not been had. */
static unsigned int pages_failed(void)
{
	return FAILURES - debugfs_get("fail_page_alloc", "times");
}

/* A look that has no memory for what it reads of the ports is not the last. */
TEST_F_TIMEOUT(failslab, looks, SECONDS)
{
	struct batch batch, first;

	self->path = "looks";
	CHECK(module_load(NULL));
	CHECK(batch_open(&first, FEW, 0, 0));	/* stocks up on records */
	CHECK(batch_open(&batch, 0, 40000, 40000 + FEW));
	CHECK(arm_any("fail_page_alloc", 0, 1, FAILURES));
	CHECK(batch_fill(&batch, FEW));			/* 80 % */
	/* Each fails to get a block, and then a page of another. */
	ASSERT_TRUE(WAIT_FOR(pages_failed() >= 3 * FEW, PATIENCE_MS));
	self->failed = FAILURES - disarm_any("fail_page_alloc");
	ASSERT_TRUE(WAIT_FOR(!run_status(&batch.ns, "tcpstate-cli | grep -q port-room"),
			     PATIENCE_MS));
	CHECK(batch_close(&batch, self->failed));
	CHECK(batch_close(&first, 0));
	CHECK(all_honest(&self->net));
}

/* Commands that allocate something, to be run in a namespace of its own or, with
 * -a, in the initial one.
 */
static const char *const commands[] = {
	"tcpstate-cli", "tcpstate-cli state", "tcpstate-cli -a state", "tcpstate-cli audit",
	"tcpstate-cli -a audit", "tcpstate-cli dest", "tcpstate-cli -a dest top 5",
	"tcpstate-cli port", "tcpstate-cli -a port", "tcpstate-cli port 7000",
	"tcpstate-cli port summary", "tcpstate-cli -a port summary", "tcpstate-cli config",
	"tcpstate-cli config set port-room-warning 79", "tcpstate-cli check",
	"tcpstate-cli conn", "tcpstate-cli -a conn", "tcpstate-cli conn top 2",
	"tcpstate-cli conn state close-wait", "tcpstate-cli conn stuck", "tcpstate-cli owner",
	"tcpstate-cli -a owner by pid", "tcpstate-cli owner by uid",
	"tcpstate-cli owner by cgroup", "tcpstate-cli owner comm failslab",
	"tcpstate-cli close state close-wait",
};

/* What tells of connections does not leave out this one, or whose it is. */
static const struct {
	const char *command, *word;
} words[] = {
	{ "tcpstate-cli conn", "CLOSE_WAIT" }, { "tcpstate-cli -a conn", "CLOSE_WAIT" },
	{ "tcpstate-cli conn top 2", "failslab[" },
	{ "tcpstate-cli conn state close-wait", "failslab[" },
	{ "tcpstate-cli owner", "failslab" }, { "tcpstate-cli -a owner by pid", "failslab" },
	{ "tcpstate-cli owner comm failslab", "failslab" },
	{ "tcpstate-cli close state close-wait", "CLOSE_WAIT" },
};

static char said[65536];

/* Run a command in a shell; what it prints is in said[]. */
static pid_t command_run(const struct ns *ns, const char *shell, const char *command, FILE **from)
{
	char line[256];
	size_t n;
	pid_t pid;

	snprintf(line, sizeof(line), "%s exec %s 2>&1", shell, command);
	pid = command_start(strstr(command, " -a ") ? NULL : ns, line, from);
	if (pid < 0)
		return -1;
	n = fread(said, 1, sizeof(said) - 1, *from);
	said[n] = '\0';
	while (fgetc(*from) != EOF)
		;
	return pid;
}

/* It has ended with @status: it is done, be it with a negative answer, and then
 * tells of every namespace that it was asked for; or it has printed a sentence
 * that says why not, which it may only if something @failed.
 */
static int command_judge(const char *command, int status, bool failed, const struct ns *ns,
			 const struct net *net)
{
	char own[32], client[32];
	unsigned int i;

	if (status > 2 && failed && strchr(said, ' '))
		return 0;
	snprintf(own, sizeof(own), "net:[%ju]", (uintmax_t)ns->ino);
	snprintf(client, sizeof(client), "net:[%ju]", (uintmax_t)net->client.ino);
	if (status < 0 || status > (strstr(command, "check") ? 2 : 1) ||
	    (strstr(command, " -a ") && (!strstr(said, own) || !strstr(said, client))))
		return fail("'%s' ended with %d: %s", command, status, said);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(command, words[i].command) && !strstr(said, words[i].word))
			return fail("'%s' does not tell of %s: %s", command, words[i].word, said);
	return 0;
}

/* Run one with the @nth allocation failing that is made for it. */
static int command_failing(const struct ns *ns, const struct net *net, const char *command,
			   unsigned int nth, bool *failed)
{
	char text[64], path[64];
	siginfo_t info;
	FILE *from;
	pid_t pid;
	int fd;

	snprintf(text, sizeof(text), "echo %u >/proc/self/fail-nth;", nth);
	pid = command_run(ns, text, command, &from);
	if (pid < 0)
		return -1;
	/* Its /proc is there until it is waited for. */
	if (waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		return fail("waitid: %m");
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	memset(text, 0, sizeof(text));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return fail("%s: %m", path);
	close(fd);
	*failed = !strtoul(text, NULL, 10);
	return command_judge(command, command_end(pid, from), *failed, ns, net);
}

/* Each time in a namespace of which nothing has been read. */
TEST_F_TIMEOUT(failslab, netlink, SECONDS)
{
	struct batch batch;
	unsigned int i, nth;
	bool failed;

	self->path = "netlink";
	CHECK(module_load(NULL));
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		for (nth = 1; ; nth++) {
			CHECK(batch_open_leaky(&batch));
			CHECK(command_failing(&batch.ns, &self->net, commands[i], nth, &failed));
			CHECK(batch_close(&batch, 0));
			if (!failed)
				break;
			self->failed++;
		}
		ASSERT_GT(nth, 1) TH_LOG("nothing of '%s' failed", commands[i]);
		TH_LOG("%s: %u", commands[i], nth - 1);
	}
	CHECK(all_honest(&self->net));
}

/* Ask for one object by its key, as the CLI never does: 0, or what error was answered. */
static int object_ask(int fd, int id, int cmd, const struct told_conn *conn)
{
	uint32_t family = AF_INET, by = TCPSTATE_OWNER_KEY_PID, pid = getpid();
	uint32_t event = TCPSTATE_EVENT_PORT_ROOM;
	struct nlmsghdr *nlh;
	struct request r;
	char answer[8192];
	bool told = false;
	int error;

	request_begin(&r, id, cmd, NLM_F_ACK);
	if (cmd == TCPSTATE_CMD_CONN_GET) {
		request_put(&r, TCPSTATE_A_CONN_COOKIE, &conn->cookie, sizeof(conn->cookie));
	} else if (cmd == TCPSTATE_CMD_OWNER_GET) {
		request_put(&r, TCPSTATE_A_OWNER_BY, &by, sizeof(by));
		request_put(&r, TCPSTATE_A_OWNER_PID, &pid, sizeof(pid));
	} else if (cmd == TCPSTATE_CMD_DEST_GET) {
		request_put(&r, TCPSTATE_A_DEST_FAMILY, &family, sizeof(family));
		request_put(&r, TCPSTATE_A_DEST_SADDR, &conn->saddr.s6_addr[12], 4);
		request_put(&r, TCPSTATE_A_DEST_DADDR, &conn->daddr.s6_addr[12], 4);
		request_put(&r, TCPSTATE_A_DEST_DPORT, &conn->dport, sizeof(conn->dport));
	} else {
		request_put(&r, TCPSTATE_A_ALERT_EVENT, &event, sizeof(event));
	}
	if (request_send(fd, &r))
		return fail("send: %m");
	for (;;) {
		int n = recv(fd, answer, sizeof(answer), 0);

		if (n < 0)
			return fail("no answer: %m");
		for (nlh = (void *)answer; NLMSG_OK(nlh, (unsigned int)n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			told |= nlh->nlmsg_type == id;
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			error = -*(int *)NLMSG_DATA(nlh);
			return error || told ? error : ENODATA;
		}
	}
}

TEST_F_TIMEOUT(failslab, netlink_objects, SECONDS)
{
	static const int commands[] = {
		TCPSTATE_CMD_CONN_GET, TCPSTATE_CMD_OWNER_GET, TCPSTATE_CMD_DEST_GET,
		TCPSTATE_CMD_ALERT_GET,
	};
	const struct conn_filter filter = { .dport = PORT };
	unsigned int i, nth, refused;
	struct told_alert alert;
	struct conn_list list;
	struct batch batch;
	int fd, id, err;
	bool failed;

	self->path = "netlink, one object";
	CHECK(module_load(NULL));
	CHECK(batch_open(&batch, FEW, 40000, 40009));
	CHECK(room_warning(&batch.ns, 30));
	fd = socket_for(&batch.ns);
	ASSERT_LE(0, fd);
	id = request_family(fd);
	ASSERT_LT(0, id);
	ASSERT_TRUE(WAIT_FOR(!alert_get(fd, TCPSTATE_EVENT_PORT_ROOM, &alert), PATIENCE_MS));
	CHECK(conn_list(fd, &filter, &list));
	ASSERT_EQ(FEW, list.n);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		refused = 0;
		nth = 0;
		do {
			CHECK(arm(++nth));
			err = object_ask(fd, id, commands[i], list.conn);
			failed = disarm();
			if (err == ENOMEM && failed)
				refused++;
			else
				ASSERT_EQ(0, err) TH_LOG("command %d: %s", commands[i], why());
			self->failed += failed;
		} while (failed);
		ASSERT_LT(0, refused);
	}
	conn_list_free(&list);
	close(fd);
	CHECK(batch_close(&batch, 0));
	CHECK(all_honest(&self->net));
}

/* What is large has a second way to get memory: from some page on all fail. */
static int command_without_pages(const struct ns *ns, const struct net *net, const char *command,
				 unsigned int pages, unsigned int *failed)
{
	FILE *from;
	pid_t pid;
	int status;

	if (arm_any("fail_page_alloc", pages, 1, FAILURES))
		return -1;
	pid = command_run(ns, "", command, &from);
	if (pid < 0)
		return -1;
	status = command_end(pid, from);
	*failed = FAILURES - disarm_any("fail_page_alloc");
	return command_judge(command, status, *failed, ns, net);
}

#define PAGES_STEP	64	/* less than a table of ports is long */

TEST_F_TIMEOUT(failslab, netlink_pages, SECONDS)
{
	unsigned int i, pages, failed, all;
	struct batch batch;

	self->path = "netlink, all pages";
	CHECK(module_load(NULL));
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		all = 0;
		for (pages = 0; ; pages += PAGES_STEP) {
			CHECK(batch_open_leaky(&batch));
			CHECK(command_without_pages(&batch.ns, &self->net, commands[i], pages,
						    &failed));
			CHECK(batch_close(&batch, 0));
			if (!failed)
				break;
			all += failed;
		}
		self->failed += all;
		TH_LOG("%s: %u", commands[i], all);
	}
	CHECK(all_honest(&self->net));
}

/* All that an audit is to add. */
static int batch_open_missing(struct batch *batch)
{
	return file_write(FAIL_ADDS, FOR_EVER) || batch_open_leaky(batch) ||
	       file_write(FAIL_ADDS, "0") ? -1 : 0;
}

static int audit_failing(unsigned int nth, const struct net *net, bool *failed)
{
	struct batch batch;

	if (batch_open_missing(&batch) ||
	    command_failing(&batch.ns, net, "tcpstate-cli audit", nth, failed))
		return -1;
	return batch_close(&batch, LEAKY_EVENTS);
}

TEST_F_TIMEOUT(failslab, audit_adds, SECONDS)
{
	bool failed;

	self->path = "an audit that adds";
	CHECK(module_load(NULL));
	do {
		CHECK(audit_failing(self->failed + 1, &self->net, &failed));
		self->failed += failed;
	} while (failed);
	CHECK(all_honest(&self->net));
}

/* With none but the first @skip records: what it cannot add it says. */
static int audit_without_records(const char *parameters, unsigned int skip, unsigned int *failed,
				 uint64_t *missing)
{
	struct batch batch;
	struct verdict v;

	/* What is in stock would be had. */
	if (load_and_walk(parameters) || batch_open_missing(&batch) ||
	    arm_slab(RECORDS, skip, FAILURES) || cli_audit(&batch.ns, &v))
		return -1;
	*failed = disarm_slab(FAILURES);
	if (v.missing + v.missing_now != LEAKY || (v.missing_now && !*failed))
		return fail("of %d missing the audit says: %s", LEAKY, output());
	*missing += v.missing_now;
	return batch_close(&batch, LEAKY_EVENTS) || module_unload() ? -1 : 0;
}

TEST_F_TIMEOUT(failslab, audit_adds_few, SECONDS)
{
	unsigned int i, skip, failed = 0;
	uint64_t missing;

	self->path = "an audit that adds, all at once";
	for (i = 0; i < ARRAY_SIZE(empty_modes); i++) {
		missing = 0;
		skip = 0;
		do {
			CHECK(audit_without_records(empty_modes[i], skip, &failed, &missing));
			skip = skip ? 2 * skip : 1;
		} while (failed);
		ASSERT_LT(0, missing);
		self->failed += missing;
	}
}

#define LEAK_AGE_MS	6000	/* of what kmemleak may call one, and a little more */

/* Has all of this left memory that nobody refers to? An object is called a leak that two
 * scans have met unchanged, and only if a third one has met it, too, is it one. What the
 * slab itself loses does not count: the name of a cache whose creation is refused.
 */
static int no_leaks(void)
{
	static const char begin[] = "unreferenced object", lost[] = "sysfs_slab_add";
	static char report[1 << 20];
	uint64_t since = now_ms();
	char *at, *next;
	size_t n;
	FILE *f;

	if (file_write(KMEMLEAK, "scan"))
		return -1;
	while (now_ms() < since + LEAK_AGE_MS)
		nap(now_ms());
	if (file_write(KMEMLEAK, "scan") || file_write(KMEMLEAK, "scan"))
		return -1;
	f = fopen(KMEMLEAK, "re");
	if (!f)
		return fail(KMEMLEAK ": %m");
	n = fread(report, 1, sizeof(report) - 1, f);
	report[n] = '\0';
	fclose(f);
	for (at = strstr(report, begin); at; at = next) {
		next = strstr(at + 1, begin);
		n = next ? (size_t)(next - at) : strlen(at);
		if (!memmem(at, n, lost, strlen(lost)))
			return fail("memory leak: %.*s", (int)n, at);
	}
	return 0;
}

/* It cannot be refused. One allocation is spared: where kprobes cannot disarm one
 * for want of memory, the kernel warns, and nobody can take it away any more. In
 * its stead what kmemleak notes fails, too, for which it has a reserve; should that
 * not do, it looks no more, so this is the last, and what the others have left it looks
 * for before.
 */
TEST_F_TIMEOUT(failslab, unload, SECONDS)
{
	bool failed;

	self->path = "unload";
	CHECK(no_leaks());
	CHECK(reject("failslab", "__disarm_kprobe_ftrace"));
	for (;;) {
		CHECK(module_load(NULL));
		CHECK(arm(self->failed + 1));
		ASSERT_EQ(0, syscall(SYS_delete_module, "tcpstate", 0));
		failed = disarm();
		CHECK(nothing_left());
		if (!failed)
			break;
		self->failed++;
	}
}

TEST_HARNESS_MAIN
