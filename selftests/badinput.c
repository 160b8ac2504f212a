// SPDX-License-Identifier: GPL-2.0
/*
 * Bad input: to each its sentence and its exit code, on the command line and
 * in netlink; and nothing is changed by any of it.
 */
#define _GNU_SOURCE
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "linux/tcpstate.h"
#include "util.h"

#define SECONDS	240
#define NOBODY	65534

FIXTURE(badinput) {
	struct rig rig;
	struct pair p;
	struct counters before;
};

FIXTURE_SETUP(badinput)
{
	pair_init(&self->p, IPV4, PORT);
	CHECK(rig_up(&self->rig, NULL));
	CHECK(pair_open(&self->rig.net, &self->p));
	CHECK(pair_to_time_wait(&self->p));
	CHECK(pair_open(&self->rig.net, &self->p));
	CHECK(step(&self->rig.net.client, ONLY_V4, "ESTABLISHED=1 TIME_WAIT=1"));
	CHECK(cli_read(&self->rig.net.client, &self->before));
}

FIXTURE_TEARDOWN(badinput)
{
	struct counters after;

	EXPECT_OK(cli_read(&self->rig.net.client, &after));
	EXPECT_EQ(0, memcmp(&after.now, &self->before.now, sizeof(after.now)));
	EXPECT_EQ(0, memcmp(after.entered, self->before.entered, sizeof(after.entered)));
	EXPECT_EQ(0, memcmp(after.edge, self->before.edge, sizeof(after.edge)));
	EXPECT_EQ(0, after.untracked + after.inexact);
	pair_close(&self->p);
	EXPECT_OK(rig_down(&self->rig));
}

/* --- the command line --- */

#define AS_NOBODY	"setpriv --reuid 65534 --regid 65534 --clear-groups "
#define CLI		"tcpstate-cli "

static const struct command_case {
	const char *command;
	int status;
	const char *says;
} command_cases[] = {
	{ CLI "stat", 2, "unknown object 'stat': did you mean 'state'?" },
	{ CLI "frobnicate", 2, "unknown object 'frobnicate': the objects are " },
	{ CLI "''", 2, "unknown object ''" },
	{ CLI "state TIME-WAITS", 2, "did you mean TIME_WAIT?" },
	{ CLI "state BOGUS", 2, "unknown state 'BOGUS': the states are " },
	{ CLI "state LISTEN extra", 2, "extra" },
	{ CLI "audit recheck 3", 2, "rechecks" },
	{ CLI "audit rechecks", 2, "'rechecks' needs N" },
	{ CLI "audit rechecks 11", 2, "'rechecks' needs a number from 0 to 10" },
	{ CLI "audit rechecks -1", 2, "" },
	{ CLI "audit rechecks 1x", 2, "'rechecks' needs a number from 0 to 10" },
	{ CLI "--jsn state", 2, "unknown option '--jsn': did you mean '--json'?" },
	{ CLI "--bogus-option", 2, "unknown option '--bogus-option'" },
	{ CLI "-x", 2, "unknown option '-x'" },
	{ CLI "--json=1", 2, "option '--json' takes no argument" },
	{ CLI "-n", 2, "option '--netns' needs a NAME" },
	{ CLI "-n nosuchns state", 2, "no network namespace 'nosuchns'" },
	{ CLI "-n '' state", 2, "-n needs the name of a network namespace" },
	{ CLI "-n /proc/self/ns/mnt state", 2, "is not a network namespace" },
	{ CLI "-n /nowhere/at/all state", 2, "no network namespace at '/nowhere/at/all'" },
	{ CLI "-n ../netns/x state", 2, "no network namespace" },
	{ CLI "-a -n x state", 2, "exclude each other" },
	{ CLI "-j stat", 2, "\"error\"" },
	{ AS_NOBODY CLI "-a state", 3, "permission" },
	{ AS_NOBODY CLI "-a audit", 3, "permission" },
	{ AS_NOBODY CLI "audit", 3, "permission" },
	{ AS_NOBODY CLI "-n /proc/1/ns/net state", 3, "permission" },
	{ "unshare --user --map-root-user " CLI "-a state", 3, "permission" },
	{ "unshare --user --map-root-user " CLI "audit", 3, "permission" },
	{ "unshare --user --map-root-user --net " CLI "-a state", 3, "permission" },
	{ "unshare --net " CLI "-a state", 3, "permission" },
	{ "unshare --net " CLI "-a audit", 3, "permission" },
};

/* A refusal is one sentence on stderr, and nothing on stdout. */
static int refused(const struct command_case *c)
{
	int status = run_status(NULL, "%s 2>&1 >/dev/null", c->command);

	if (status != c->status || !strstr(output(), c->says) || !*output() ||
	    strchr(output(), '\n') != output() + strlen(output()) - 1)
		return fail("'%s' ended with %d (not %d) and said: %s(not '%s')", c->command,
			    status, c->status, output(), c->says);
	run_status(NULL, "%s 2>/dev/null", c->command);
	return *output() ? fail("'%s' printed: %s", c->command, output()) : 0;
}

TEST_F_TIMEOUT(badinput, command_line, SECONDS)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(command_cases); i++)
		EXPECT_OK(refused(&command_cases[i]));
}

/* What needs no privilege is not refused to those that have none. */
TEST_F_TIMEOUT(badinput, unprivileged_may_read, SECONDS)
{
	static const char *const allowed[] = {
		AS_NOBODY CLI "state",
		AS_NOBODY CLI "-j state LISTEN",
		AS_NOBODY CLI,
		"unshare --user --map-root-user --net " CLI "state",
		"unshare --user --map-root-user --net " CLI "audit",
		"unshare --net " CLI "audit",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		EXPECT_OK(run(NULL, "%s", allowed[i]));
}

TEST_F_TIMEOUT(badinput, no_module, SECONDS)
{
	static const struct command_case cases[] = {
		{ CLI, 3, "module is not loaded" },
		{ CLI "state", 3, "module is not loaded: load it with 'modprobe tcpstate'" },
		{ CLI "-j state", 3, "module is not loaded" },
		{ CLI "audit", 3, "module is not loaded" },
		{ CLI "-a state", 3, "module is not loaded" },
		{ AS_NOBODY CLI "state", 3, "module is not loaded" },
		{ CLI "stat", 2, "unknown object" },
	};
	unsigned int i;

	CHECK(module_unload());
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_OK(refused(&cases[i]));
	/* Not one of them had it loaded; and what it had counted is gone. */
	ASSERT_FALSE(module_loaded());
	CHECK(module_load(NULL));
	CHECK(cli_read(&self->rig.net.client, &self->before));
}

/* --- netlink --- */

struct answer {
	int error;		/* errno, 0 for a good answer */
	char text[256];		/* the kernel's sentence */
};

static int family_id;

static void put(struct nlmsghdr *nlh, int type, int len, const void *data, int size)
{
	struct nlattr *nla = (void *)((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));

	nla->nla_type = type;
	nla->nla_len = len;
	memcpy(nla + 1, data, size);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + NLA_ALIGN(NLA_HDRLEN + size);
}

static void take_text(struct answer *a, const struct nlattr *nla, int left)
{
	while (left >= NLA_HDRLEN && nla->nla_len >= NLA_HDRLEN && nla->nla_len <= left) {
		if (nla->nla_type == NLMSGERR_ATTR_MSG)
			snprintf(a->text, sizeof(a->text), "%.*s", nla->nla_len - NLA_HDRLEN,
				 (const char *)(nla + 1));
		left -= NLA_ALIGN(nla->nla_len);
		nla = (const void *)((const char *)nla + NLA_ALIGN(nla->nla_len));
	}
}

static void take_family(const struct nlmsghdr *nlh, int *family)
{
	const char *at = (const char *)NLMSG_DATA(nlh) + GENL_HDRLEN;
	const char *end = (const char *)nlh + nlh->nlmsg_len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *nla = (const void *)at;

		if (nla->nla_type == CTRL_ATTR_FAMILY_ID)
			*family = *(const uint16_t *)(nla + 1);
		at += NLA_ALIGN(nla->nla_len);
	}
}

/* Read to the end of the answer; if @family is set, take the family's number from it. */
static int receive(int fd, struct answer *a, int *family)
{
	char buffer[65536];

	for (;;) {
		int n = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *nlh;

		if (n < 0)
			return fail("no answer: %m");
		for (nlh = (void *)buffer; NLMSG_OK(nlh, (unsigned int)n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			int *error = NLMSG_DATA(nlh);
			int skip = sizeof(*error);

			if (nlh->nlmsg_type == NLMSG_ERROR) {
				skip = sizeof(struct nlmsgerr);
			} else if (nlh->nlmsg_type != NLMSG_DONE) {
				if (family)
					take_family(nlh, family);
				continue;
			}
			a->error = -*error;
			if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
				take_text(a, (void *)((char *)error + skip),
					  NLMSG_PAYLOAD(nlh, skip));
			return 0;
		}
	}
}

static int ask(const struct ns *ns, struct nlmsghdr *nlh, struct answer *a, int *family)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	int fd, rc;

	memset(a, 0, sizeof(*a));
	/* Nobody could not even enter the namespace that it is in. */
	fd = ns ? ns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) :
		  socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0)
		return fail("socket: %m");
	if (set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1) ||
	    set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (sendto(fd, nlh, nlh->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		rc = fail("sendto: %m");
	else
		rc = receive(fd, a, family);
	close(fd);
	return rc;
}

static struct nlmsghdr *request(void *buffer, int type, int cmd, int version, int flags)
{
	struct nlmsghdr *nlh = buffer;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);

	memset(buffer, 0, 512);
	nlh->nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = 1;
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

static int find_family(void)
{
	struct nlmsghdr *nlh;
	struct answer a;
	char buffer[512];

	nlh = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
	put(nlh, CTRL_ATTR_FAMILY_NAME, NLA_HDRLEN + sizeof(TCPSTATE_FAMILY_NAME),
	    TCPSTATE_FAMILY_NAME, sizeof(TCPSTATE_FAMILY_NAME));
	if (ask(NULL, nlh, &a, &family_id))
		return -1;
	return a.error ? a.error : 0;
}

#define ONLY	TCPSTATE_A_COUNTERS_ONLY
#define AGAIN	TCPSTATE_A_AUDIT_RECHECKS
#define GET	TCPSTATE_CMD_STATE_GET
#define AUDIT	TCPSTATE_CMD_AUDIT
#define DUMP	NLM_F_DUMP

struct attribute {
	int type, size;
	uint32_t value;
};

/*
 * One attribute, and @more up to one without a type; its length is told as @size
 * says unless @lie is set.
 */
struct netlink_case {
	const char *name;
	int cmd, flags, attr, size;
	uint32_t value;
	int lie;
	bool nobody, inside;
	int error;
	const char *says;
	const struct attribute *more;
};

static const struct netlink_case netlink_cases[] = {
	{ "good state-get", .cmd = GET },
	{ "good state-get of one", .cmd = GET, 0, ONLY, 4, 6 },
	{ "good dump", .cmd = GET, DUMP },
	{ "one state in a dump", .cmd = GET, DUMP, ONLY, 4, 6,
	  .error = EINVAL, .says = "a dump does not take this" },
	{ "good audit", .cmd = AUDIT, 0, AGAIN, 4, 3 },
	{ "good audit dump", .cmd = AUDIT, DUMP, AGAIN, 4, 3 },
	{ "good for nobody", .cmd = GET, .nobody = true },
	{ "good inside", .cmd = GET, .inside = true },
	{ "unknown command", .cmd = 99, .error = EOPNOTSUPP },
	{ "no command", .cmd = 0, .error = EOPNOTSUPP },
	{ "unknown attribute", .cmd = GET, 0, 200, 4, 1, .error = EINVAL, .says = "ttribute" },
	{ "unknown attribute in a dump", .cmd = GET, DUMP, 200, 4, 1,
	  .error = EINVAL, .says = "ttribute" },
	{ "attribute of answers", .cmd = GET, 0, TCPSTATE_A_COUNTERS_NETNS_INO, 8, 1,
	  .error = EINVAL, .says = "ttribute" },
	{ "short", .cmd = GET, 0, ONLY, 1, 6, .error = EINVAL, .says = "ttribute" },
	{ "empty", .cmd = GET, 0, ONLY, 0, 6, .error = EINVAL, .says = "ttribute" },
	{ "long", .cmd = GET, 0, ONLY, 8, 6, .error = EINVAL, .says = "ttribute" },
	{ "too small", .cmd = GET, 0, ONLY, 4, 0, .error = ERANGE, .says = "out of range" },
	{ "too large", .cmd = GET, 0, ONLY, 4, 13, .error = ERANGE, .says = "out of range" },
	{ "far too large", .cmd = GET, 0, ONLY, 4, 0xffffffff, .error = ERANGE,
	  .says = "out of range" },
	{ "nested", .cmd = GET, 0, ONLY | NLA_F_NESTED, 4, 6, .error = EINVAL,
	  .says = "NLA_F_NESTED" },
	{ "longer than the message", .cmd = GET, 0, ONLY, 4, 6, .lie = 400, .error = EINVAL,
	  .says = "" },
	{ "shorter than its header", .cmd = GET, 0, ONLY, 4, 6, .lie = 2, .error = EINVAL,
	  .says = "" },
	{ "missing", .cmd = AUDIT, .error = EINVAL, .says = "rechecks is missing" },
	{ "missing in a dump", .cmd = AUDIT, DUMP, .error = EINVAL, .says = "rechecks is missing" },
	{ "too many", .cmd = AUDIT, 0, AGAIN, 4, 11, .error = ERANGE, .says = "out of range" },
	{ "too many in a dump", .cmd = AUDIT, DUMP, AGAIN, 4, 11, .error = ERANGE,
	  .says = "out of range" },
	{ "short in an audit", .cmd = AUDIT, 0, AGAIN, 2, 1, .error = EINVAL, .says = "ttribute" },
	{ "short in an audit dump", .cmd = AUDIT, DUMP, AGAIN, 2, 1, .error = EINVAL,
	  .says = "ttribute" },
	{ "dump by nobody", .cmd = GET, DUMP, .nobody = true, .error = EPERM,
	  .says = "CAP_NET_ADMIN" },
	{ "dump inside", .cmd = GET, DUMP, .inside = true, .error = EPERM, .says = "initial" },
	{ "audit by nobody", .cmd = AUDIT, 0, AGAIN, 4, 1, .nobody = true, .error = EPERM },
	{ "audit dump by nobody", .cmd = AUDIT, DUMP, AGAIN, 4, 1, .nobody = true, .error = EPERM },
	{ "audit dump inside", .cmd = AUDIT, DUMP, AGAIN, 4, 1, .inside = true, .error = EPERM,
	  .says = "initial" },
};

static int ask_case(const struct ns *inside, const struct netlink_case *c)
{
	const struct attribute *more = c->more;
	uint32_t data[8] = { c->value };
	struct answer a;
	char buffer[512];
	struct nlmsghdr *nlh;
	int rc;

	nlh = request(buffer, family_id, c->cmd, TCPSTATE_FAMILY_VERSION, c->flags);
	if (c->attr)
		put(nlh, c->attr, c->lie ? c->lie : NLA_HDRLEN + c->size, data, c->size);
	for (; more && more->type; more++) {
		data[0] = more->value;
		put(nlh, more->type, NLA_HDRLEN + more->size, data, more->size);
	}
	if (c->nobody && seteuid(NOBODY))
		return fail("seteuid: %m");
	rc = c->inside ? ask(inside, nlh, &a, NULL) : ask(NULL, nlh, &a, NULL);
	if (c->nobody && seteuid(0))
		return fail("seteuid: %m");
	if (rc)
		return fail("%s: %s", c->name, why());
	if (a.error != c->error || (c->says && !strstr(a.text, c->says)))
		return fail("%s: error %d (not %d), '%s' (not '%s')", c->name, a.error, c->error,
			    a.text, c->says ? c->says : "");
	/* Where the module or a policy refuses, it says why. */
	if (c->error && c->says && !*a.text)
		return fail("%s: no sentence", c->name);
	return 0;
}

TEST_F_TIMEOUT(badinput, netlink, SECONDS)
{
	unsigned int i;

	ASSERT_EQ(0, find_family());
	ASSERT_NE(0, family_id);
	for (i = 0; i < ARRAY_SIZE(netlink_cases); i++)
		EXPECT_OK(ask_case(&self->rig.net.client, &netlink_cases[i]));
}

/* --- netlink, the other objects --- */

#define DEST	TCPSTATE_CMD_DEST_GET
#define PORTS	TCPSTATE_CMD_PORT_GET
#define SUMMARY	TCPSTATE_CMD_PORT_SUMMARY_GET
#define CONFIG	TCPSTATE_CMD_CONFIG
#define ALERT	TCPSTATE_CMD_ALERT_GET
#define CONN	TCPSTATE_CMD_CONN_GET
#define OWNER	TCPSTATE_CMD_OWNER_GET

static const struct object {
	const char *name;
	int cmd, attr_of_answers;
} objects[] = {
	{ "state-get", GET, TCPSTATE_A_COUNTERS_STATE },
	{ "audit", AUDIT, TCPSTATE_A_AUDIT_EXACT },
	{ "dest-get", DEST, TCPSTATE_A_DEST_USED },
	{ "port-get", PORTS, TCPSTATE_A_PORT_SOCKETS },
	{ "port-summary-get", SUMMARY, TCPSTATE_A_PORT_SUMMARY_LOW },
	{ "config", CONFIG, TCPSTATE_A_CONFIG_ALERT_SEQ },
	{ "alert-get", ALERT, TCPSTATE_A_ALERT_SEVERITY },
	{ "conn-get", CONN, TCPSTATE_A_CONN_SADDR },
	{ "owner-get", OWNER, TCPSTATE_A_OWNER_GONE },
};

/* Every attribute of a request that has a size; a name has one at most. */
enum { FLAG = 0, NAME = 16 };

static const struct sized {
	const char *name;
	int cmd, attr, size;
} sized[] = {
	{ "only", GET, ONLY, 4 },
	{ "rechecks", AUDIT, AGAIN, 4 },
	{ "all-netns of dest-get", DEST, TCPSTATE_A_DEST_ALL_NETNS, FLAG },
	{ "top of dest-get", DEST, TCPSTATE_A_DEST_TOP, 4 },
	{ "family of dest-get", DEST, TCPSTATE_A_DEST_FAMILY, 4 },
	{ "ifindex", DEST, TCPSTATE_A_DEST_IFINDEX, 4 },
	{ "dport of dest-get", DEST, TCPSTATE_A_DEST_DPORT, 2 },
	{ "all-netns of port-get", PORTS, TCPSTATE_A_PORT_ALL_NETNS, FLAG },
	{ "port", PORTS, TCPSTATE_A_PORT_PORT, 2 },
	{ "walk", SUMMARY, TCPSTATE_A_PORT_SUMMARY_WALK, FLAG },
	{ "port-room-warning", CONFIG, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, 4 },
	{ "port-room-critical", CONFIG, TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL, 4 },
	{ "time-wait-warning", CONFIG, TCPSTATE_A_CONFIG_TIME_WAIT_WARNING, 4 },
	{ "time-wait-critical", CONFIG, TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL, 4 },
	{ "close-wait-warning", CONFIG, TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING, 4 },
	{ "close-wait-critical", CONFIG, TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL, 4 },
	{ "all-netns of alert-get", ALERT, TCPSTATE_A_ALERT_ALL_NETNS, FLAG },
	{ "event", ALERT, TCPSTATE_A_ALERT_EVENT, 4 },
	{ "all-netns of conn-get", CONN, TCPSTATE_A_CONN_ALL_NETNS, FLAG },
	{ "top of conn-get", CONN, TCPSTATE_A_CONN_TOP, 4 },
	{ "states", CONN, TCPSTATE_A_CONN_STATES, 4 },
	{ "older-ms", CONN, TCPSTATE_A_CONN_OLDER_MS, 8 },
	{ "family of conn-get", CONN, TCPSTATE_A_CONN_FAMILY, 4 },
	{ "daddr-prefix", CONN, TCPSTATE_A_CONN_DADDR_PREFIX, 1 },
	{ "sport", CONN, TCPSTATE_A_CONN_SPORT, 2 },
	{ "dport of conn-get", CONN, TCPSTATE_A_CONN_DPORT, 2 },
	{ "pid of conn-get", CONN, TCPSTATE_A_CONN_PID, 4 },
	{ "uid of conn-get", CONN, TCPSTATE_A_CONN_UID, 4 },
	{ "comm of conn-get", CONN, TCPSTATE_A_CONN_COMM, NAME },
	{ "cgroup of conn-get", CONN, TCPSTATE_A_CONN_CGROUP, 8 },
	{ "cookie", CONN, TCPSTATE_A_CONN_COOKIE, 8 },
	{ "all-netns of owner-get", OWNER, TCPSTATE_A_OWNER_ALL_NETNS, FLAG },
	{ "by", OWNER, TCPSTATE_A_OWNER_BY, 4 },
	{ "comm of owner-get", OWNER, TCPSTATE_A_OWNER_COMM, NAME },
	{ "pid of owner-get", OWNER, TCPSTATE_A_OWNER_PID, 4 },
	{ "uid of owner-get", OWNER, TCPSTATE_A_OWNER_UID, 4 },
	{ "cgroup of owner-get", OWNER, TCPSTATE_A_OWNER_CGROUP, 8 },
};

#define MORE(...) ((const struct attribute[]){ __VA_ARGS__, { .type = 0 } })
#define FAMILY(n)	{ TCPSTATE_A_DEST_FAMILY, 4, n }
#define FROM(size)	{ TCPSTATE_A_DEST_SADDR, size, 1 }
#define TO(size)	{ TCPSTATE_A_DEST_DADDR, size, 1 }
#define TO_PORT		{ TCPSTATE_A_DEST_DPORT, 2, PORT }

#define NO_DEST		"a destination is family, saddr, daddr, dport"
#define RANGE		"out of range"

static const struct netlink_case object_cases[] = {
	{ "good dest dump", .cmd = DEST, DUMP },
	{ "good top of destinations", .cmd = DEST, DUMP, TCPSTATE_A_DEST_TOP, 4, 3 },
	{ "no destination", .cmd = DEST, .error = EINVAL, .says = NO_DEST },
	{ "a family alone", .cmd = DEST, 0, TCPSTATE_A_DEST_FAMILY, 4, AF_INET,
	  .error = EINVAL, .says = NO_DEST },
	{ "no remote port", .cmd = DEST, .more = MORE(FAMILY(AF_INET), FROM(4), TO(4)),
	  .error = EINVAL, .says = NO_DEST },
	{ "no local address", .cmd = DEST, .more = MORE(FAMILY(AF_INET), TO(4), TO_PORT),
	  .error = EINVAL, .says = NO_DEST },
	{ "no such family", .cmd = DEST, .more = MORE(FAMILY(99), FROM(4), TO(4), TO_PORT),
	  .error = EINVAL, .says = NO_DEST },
	{ "a short address", .cmd = DEST, .more = MORE(FAMILY(AF_INET), FROM(3), TO(4), TO_PORT),
	  .error = EINVAL, .says = NO_DEST },
	{ "an address of the other family", .cmd = DEST,
	  .more = MORE(FAMILY(AF_INET6), FROM(16), TO(4), TO_PORT),
	  .error = EINVAL, .says = NO_DEST },
	{ "an unknown destination", .cmd = DEST,
	  .more = MORE(FAMILY(AF_INET), FROM(4), TO(4), TO_PORT),
	  .error = ENOENT, .says = "no such destination" },
	{ "no top", .cmd = DEST, DUMP, TCPSTATE_A_DEST_TOP, 4, 0, .error = ERANGE, .says = RANGE },
	{ "too much of a top", .cmd = DEST, DUMP, TCPSTATE_A_DEST_TOP, 4, TCPSTATE_TOP_MAX + 1,
	  .error = ERANGE, .says = RANGE },
	{ "all destinations for nobody", .cmd = DEST, DUMP, TCPSTATE_A_DEST_ALL_NETNS,
	  .nobody = true, .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all destinations inside", .cmd = DEST, DUMP, TCPSTATE_A_DEST_ALL_NETNS, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "a destination of another namespace", .cmd = DEST, 0, TCPSTATE_A_DEST_ALL_NETNS,
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "the fullest one destination", .cmd = DEST, 0, TCPSTATE_A_DEST_TOP, 4, 1,
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "destinations of a port", .cmd = DEST, DUMP, TCPSTATE_A_DEST_DPORT, 2, 80,
	  .error = EINVAL, .says = "a dump does not take this" },
	{ "good port-get", .cmd = PORTS, 0, TCPSTATE_A_PORT_PORT, 2, PORT },
	{ "good port dump", .cmd = PORTS, DUMP },
	{ "no port", .cmd = PORTS, .error = EINVAL, .says = "the attribute port is missing" },
	{ "port 0", .cmd = PORTS, 0, TCPSTATE_A_PORT_PORT, 2, 0, .error = EINVAL, .says = "or 0" },
	{ "a port of all namespaces", .cmd = PORTS, 0, TCPSTATE_A_PORT_PORT, 2, PORT,
	  .more = MORE({ TCPSTATE_A_PORT_ALL_NETNS, 0, 0 }),
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "a dump of one port", .cmd = PORTS, DUMP, TCPSTATE_A_PORT_PORT, 2, PORT,
	  .error = EINVAL, .says = "a dump does not take this" },
	{ "all ports for nobody", .cmd = PORTS, DUMP, TCPSTATE_A_PORT_ALL_NETNS, .nobody = true,
	  .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all ports inside", .cmd = PORTS, DUMP, TCPSTATE_A_PORT_ALL_NETNS, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "good summary", .cmd = SUMMARY },
	{ "good summary that walks", .cmd = SUMMARY, 0, TCPSTATE_A_PORT_SUMMARY_WALK },
	{ "all summaries for nobody", .cmd = SUMMARY, DUMP, .nobody = true,
	  .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all summaries inside", .cmd = SUMMARY, DUMP, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "good thresholds", .cmd = CONFIG },
	{ "good thresholds for nobody", .cmd = CONFIG, .nobody = true },
	{ "good threshold", .cmd = CONFIG, 0, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, 4, 80 },
	{ "a threshold of nobody's", .cmd = CONFIG, 0, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, 4, 70,
	  .nobody = true, .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "a threshold of 0", .cmd = CONFIG, 0, TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "more than all", .cmd = CONFIG, 0, TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL, 4, 101,
	  .error = ERANGE, .says = RANGE },
	{ "no age at all", .cmd = CONFIG, 0, TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "a warning above its critical", .cmd = CONFIG, 0,
	  TCPSTATE_A_CONFIG_TIME_WAIT_WARNING, 4, 96,
	  .error = EINVAL, .says = "above its critical" },
	{ "one good threshold and one above its critical", .cmd = CONFIG, 0,
	  TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, 4, 70,
	  .more = MORE({ TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING, 4, 601 }),
	  .error = EINVAL, .says = "above its critical" },
	{ "thresholds set by a dump", .cmd = CONFIG, DUMP, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, 4,
	  70, .error = EINVAL, .says = "a dump does not take this" },
	{ "all thresholds for nobody", .cmd = CONFIG, DUMP, .nobody = true,
	  .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all thresholds inside", .cmd = CONFIG, DUMP, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "good alert dump", .cmd = ALERT, DUMP },
	{ "good alert dump of one event", .cmd = ALERT, DUMP, TCPSTATE_A_ALERT_EVENT, 4, 1 },
	{ "no event", .cmd = ALERT, .error = EINVAL, .says = "the attribute event is missing" },
	{ "event 0", .cmd = ALERT, 0, TCPSTATE_A_ALERT_EVENT, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "an unknown event", .cmd = ALERT, 0, TCPSTATE_A_ALERT_EVENT, 4, 6,
	  .error = ERANGE, .says = RANGE },
	{ "an unknown event in a dump", .cmd = ALERT, DUMP, TCPSTATE_A_ALERT_EVENT, 4, 6,
	  .error = ERANGE, .says = RANGE },
	{ "an alert of all namespaces", .cmd = ALERT, 0, TCPSTATE_A_ALERT_EVENT, 4, 1,
	  .more = MORE({ TCPSTATE_A_ALERT_ALL_NETNS, 0, 0 }),
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "an alert that is not in force", .cmd = ALERT, 0, TCPSTATE_A_ALERT_EVENT, 4, 1,
	  .error = ENOENT, .says = "no such alert is in force" },
	{ "all alerts for nobody", .cmd = ALERT, DUMP, TCPSTATE_A_ALERT_ALL_NETNS, .nobody = true,
	  .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all alerts inside", .cmd = ALERT, DUMP, TCPSTATE_A_ALERT_ALL_NETNS, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "good listing", .cmd = CONN, DUMP },
	{ "good listing for nobody", .cmd = CONN, DUMP, .nobody = true },
	{ "good listing of a network", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR_PREFIX, 1, 8,
	  .more = MORE({ TCPSTATE_A_CONN_DADDR, 4, 10 }) },
	{ "no cookie", .cmd = CONN, .error = EINVAL, .says = "the attribute cookie is missing" },
	/* These are nobody's, not anybody's. */
	{ "cookie 0", .cmd = CONN, 0, TCPSTATE_A_CONN_COOKIE, 8, 0, .inside = true,
	  .error = ERANGE, .says = RANGE },
	{ "from port 0", .cmd = CONN, DUMP, TCPSTATE_A_CONN_SPORT, 2, 0, .inside = true,
	  .error = ERANGE, .says = RANGE },
	{ "to port 0", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DPORT, 2, 0, .inside = true,
	  .error = ERANGE, .says = RANGE },
	{ "pid 0", .cmd = CONN, DUMP, TCPSTATE_A_CONN_PID, 4, 0, .inside = true,
	  .error = ERANGE, .says = RANGE },
	{ "cgroup 0", .cmd = CONN, DUMP, TCPSTATE_A_CONN_CGROUP, 8, 0, .inside = true,
	  .error = ERANGE, .says = RANGE },
	{ "an unknown cookie", .cmd = CONN, 0, TCPSTATE_A_CONN_COOKIE, 8, 0xfffffff,
	  .error = ENOENT, .says = "no connection has this cookie" },
	{ "a cookie of all namespaces", .cmd = CONN, 0, TCPSTATE_A_CONN_COOKIE, 8, 0xfffffff,
	  .more = MORE({ TCPSTATE_A_CONN_ALL_NETNS, 0, 0 }),
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "the oldest with a cookie", .cmd = CONN, 0, TCPSTATE_A_CONN_COOKIE, 8, 0xfffffff,
	  .more = MORE({ TCPSTATE_A_CONN_TOP, 4, 1 }),
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "no state", .cmd = CONN, DUMP, TCPSTATE_A_CONN_STATES, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "an unknown state", .cmd = CONN, DUMP, TCPSTATE_A_CONN_STATES, 4, 1 << 13,
	  .error = ERANGE, .says = RANGE },
	{ "no oldest", .cmd = CONN, DUMP, TCPSTATE_A_CONN_TOP, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "too many oldest", .cmd = CONN, DUMP, TCPSTATE_A_CONN_TOP, 4, TCPSTATE_TOP_MAX + 1,
	  .error = ERANGE, .says = RANGE },
	{ "a prefix without an address", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR_PREFIX, 1, 8,
	  .error = EINVAL, .says = "a prefix needs an address" },
	{ "a long prefix", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR_PREFIX, 1, 33,
	  .more = MORE({ TCPSTATE_A_CONN_DADDR, 4, 10 }),
	  .error = EINVAL, .says = "longer than the address" },
	{ "a longer one", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR_PREFIX, 1, 129,
	  .more = MORE({ TCPSTATE_A_CONN_DADDR, 16, 10 }), .error = ERANGE, .says = RANGE },
	{ "an address of no family", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR, 5, 10,
	  .error = EINVAL, .says = "4 or 16 bytes" },
	{ "an address of nothing", .cmd = CONN, DUMP, TCPSTATE_A_CONN_DADDR, 0, 0,
	  .error = EINVAL, .says = "4 or 16 bytes" },
	{ "a listing by pid for nobody", .cmd = CONN, DUMP, TCPSTATE_A_CONN_PID, 4, 1,
	  .nobody = true, .error = EPERM, .says = "to list by owner needs CAP_NET_ADMIN" },
	{ "all connections for nobody", .cmd = CONN, DUMP, TCPSTATE_A_CONN_ALL_NETNS,
	  .nobody = true, .error = EPERM, .says = "CAP_NET_ADMIN" },
	{ "all connections inside", .cmd = CONN, DUMP, TCPSTATE_A_CONN_ALL_NETNS, .inside = true,
	  .error = EPERM, .says = "initial" },

	{ "good owner dump", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_COMM },
	{ "owners by nothing", .cmd = OWNER,
	  .error = EINVAL, .says = "the attribute by is missing" },
	{ "owners by nothing in a dump", .cmd = OWNER, DUMP, .error = EINVAL,
	  .says = "the attribute by is missing" },
	{ "owners by 0", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, 0,
	  .error = ERANGE, .says = RANGE },
	{ "owners by what is unknown", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, 5,
	  .error = ERANGE, .says = RANGE },
	{ "an owner without its key", .cmd = OWNER, 0, TCPSTATE_A_OWNER_BY, 4,
	  TCPSTATE_OWNER_KEY_PID, .error = ENOENT, .says = "no owner has this key" },
	{ "an unknown owner", .cmd = OWNER, 0, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_PID,
	  .more = MORE({ TCPSTATE_A_OWNER_PID, 4, 0x3fffffff }),
	  .error = ENOENT, .says = "no owner has this key" },
	{ "an owner in all namespaces", .cmd = OWNER, 0, TCPSTATE_A_OWNER_BY, 4,
	  TCPSTATE_OWNER_KEY_PID, .more = MORE({ TCPSTATE_A_OWNER_ALL_NETNS, 0, 0 }),
	  .error = EINVAL, .says = "only a dump takes this" },
	{ "owners of a pid", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_PID,
	  .more = MORE({ TCPSTATE_A_OWNER_PID, 4, 1 }),
	  .error = EINVAL, .says = "a dump does not take this" },
	{ "owners for nobody", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_UID,
	  .nobody = true, .error = EPERM, .says = "needs CAP_NET_ADMIN" },
	{ "an owner for nobody", .cmd = OWNER, 0, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_UID,
	  .nobody = true, .error = EPERM, .says = "needs CAP_NET_ADMIN" },
	{ "all owners inside", .cmd = OWNER, DUMP, TCPSTATE_A_OWNER_BY, 4, TCPSTATE_OWNER_KEY_UID,
	  .more = MORE({ .type = TCPSTATE_A_OWNER_ALL_NETNS }), .inside = true,
	  .error = EPERM, .says = "initial" },
};

/* Asked once and in a dump, @c is refused, with a sentence whatever it is. */
static int refused_both(const char *of, struct netlink_case *c)
{
	char name[80];

	for (c->flags = 0; ; c->flags = DUMP) {
		struct netlink_case both = *c;
		int rc;

		snprintf(name, sizeof(name), "%s, %s%s", of, c->name,
			 c->flags ? ", in a dump" : "");
		both.name = name;
		rc = ask_case(NULL, &both);
		if (rc || c->flags)
			return rc;
	}
}

#define REFUSED(of, what, command, ...)						\
	EXPECT_OK(refused_both(of, &(struct netlink_case){ what, .cmd = (command),	\
						__VA_ARGS__, .says = "ttribute" }))

/* What no object takes: attributes that are unknown, or are for answers. */
TEST_F_TIMEOUT(badinput, netlink_unknown_attributes, SECONDS)
{
	ASSERT_EQ(0, find_family());
	for (const struct object *o = objects; o < objects + ARRAY_SIZE(objects); o++) {
		REFUSED(o->name, "unknown", o->cmd, 0, 200, 4, 1, .error = EINVAL);
		REFUSED(o->name, "of answers", o->cmd, 0, o->attr_of_answers, 4, 1,
			.error = EINVAL);
	}
}

/* An attribute is as long as its type, and no other type. */
TEST_F_TIMEOUT(badinput, netlink_sizes, SECONDS)
{
	ASSERT_EQ(0, find_family());
	for (const struct sized *a = sized; a < sized + ARRAY_SIZE(sized); a++) {
		if (a->size == FLAG) {
			REFUSED(a->name, "a flag with a value", a->cmd, 0, a->attr, 4, 1,
				.error = ERANGE);
		} else if (a->size == NAME) {
			REFUSED(a->name, "empty", a->cmd, 0, a->attr, 0, .error = EINVAL);
			/* Four letters, and no end. */
			REFUSED(a->name, "without an end", a->cmd, 0, a->attr, 4, 0x61616161,
				.error = EINVAL);
			REFUSED(a->name, "long", a->cmd, 0, a->attr, NAME + 4, 0x61616161,
				.error = ERANGE);
		} else {
			REFUSED(a->name, "empty", a->cmd, 0, a->attr, 0, .error = EINVAL);
			REFUSED(a->name, "short", a->cmd, 0, a->attr, a->size - 1, 1,
				.error = EINVAL);
			REFUSED(a->name, "long", a->cmd, 0, a->attr, 2 * a->size, 1,
				.error = EINVAL);
		}
	}
}

TEST_F_TIMEOUT(badinput, netlink_objects, SECONDS)
{
	char before[4096];
	unsigned int i;

	ASSERT_EQ(0, find_family());
	CHECK(run(NULL, CLI "-aj config"));
	snprintf(before, sizeof(before), "%s", output());
	for (i = 0; i < ARRAY_SIZE(object_cases); i++) {
		const struct netlink_case *c = &object_cases[i];

		ASSERT_TRUE(!c->error || c->says) TH_LOG("%s", c->name);
		EXPECT_OK(ask_case(&self->rig.net.client, c));
	}
	CHECK(run(NULL, CLI "-aj config"));
	ASSERT_STREQ(before, output());
}

/* A message that ends within its own header, and one with a tail that is no attribute. */
TEST_F_TIMEOUT(badinput, cut_short, SECONDS)
{
	struct nlmsghdr *nlh;
	struct answer a;
	char buffer[512];

	ASSERT_EQ(0, find_family());
	nlh = request(buffer, family_id, GET, TCPSTATE_FAMILY_VERSION, 0);
	nlh->nlmsg_len = NLMSG_LENGTH(0);
	CHECK(ask(NULL, nlh, &a, NULL));
	EXPECT_EQ(EINVAL, a.error);
	nlh = request(buffer, family_id, GET, TCPSTATE_FAMILY_VERSION, 0);
	nlh->nlmsg_len += 3;
	CHECK(ask(NULL, nlh, &a, NULL));
	EXPECT_EQ(EINVAL, a.error);
}

TEST_F_TIMEOUT(badinput, no_family_without_the_module, SECONDS)
{
	CHECK(module_unload());
	ASSERT_EQ(ENOENT, find_family());
	CHECK(module_load(NULL));
	CHECK(cli_read(&self->rig.net.client, &self->before));
}

/* --- the kernel --- */

#define TRACEFS	"/sys/kernel/tracing/"

/* No function is hooked, no return probe set, nothing of the module's there. */
static bool nothing_left(void)
{
	return !module_loaded() &&
	       !run(NULL, "! grep -E 'inet_twsk|tcp_twsk_destructor|security_sock_graft|"
			  "inet6_cleanup_sock|inet_csk_get_port' " TRACEFS "enabled_functions && "
			  "! grep tcpstate /proc/kallsyms");
}

/* With kernel.ftrace_enabled=0 it is not loaded; the log says why, and what to do. */
TEST_F_TIMEOUT(badinput, ftrace_is_off, SECONDS)
{
	struct kmsg_allowed allowed[] = {
		{ .words = "set kernel.ftrace_enabled to 1 and load again" },
	};
	struct ns *client = &self->rig.net.client, *server = &self->rig.net.server;
	int i, refused = 0;

	CHECK(run(NULL, "mountpoint -q " TRACEFS " || mount -t tracefs tracefs " TRACEFS));
	CHECK(run(NULL, "grep inet_twsk " TRACEFS "enabled_functions && "
			"grep tcpstate_conn /proc/kallsyms"));
	CHECK(module_unload());
	ASSERT_TRUE(WAIT_FOR(nothing_left(), PATIENCE_MS)) TH_LOG("%s", why());
	CHECK(kmsg_check(&self->rig.log));
	CHECK(sysctl_set(NULL, "kernel/ftrace_enabled", "0"));
	for (i = 0; i < 3; i++)
		refused += module_load(NULL) && errno == EBUSY;
	CHECK(sysctl_set(NULL, "kernel/ftrace_enabled", "1"));
	ASSERT_EQ(3, refused);
	CHECK(kmsg_check_allowing(&self->rig.log, allowed, 1));
	ASSERT_EQ(3, allowed[0].seen);
	CHECK(run(NULL, "dmesg | grep 'tcpstate: cannot hook inet_twsk_hashdance[a-z_]*(): "
			"set kernel.ftrace_enabled to 1 and load again$' | tail -n 1"));
	TH_LOG("%.*s", (int)strcspn(output(), "\n"), output());
	ASSERT_NE('\0', *output());
	ASSERT_TRUE(WAIT_FOR(nothing_left(), PATIENCE_MS)) TH_LOG("%s", why());
	ASSERT_EQ(ENOENT, find_family());

	CHECK(ns_note_seed(client));
	CHECK(ns_note_seed(server));
	CHECK(module_load(NULL));
	CHECK(step(client, ONLY_V4, "ESTABLISHED=1 TIME_WAIT=1"));
	CHECK(pair_to_time_wait(&self->p));
	CHECK(step(client, ONLY_V4, "TIME_WAIT=2"));
	CHECK(cli_read(client, &self->before));
}

#define OTHER_KO	"/tmp/tcpstate-other.ko"

/* What is hooked, each by a name that the kernel does not know. */
static const char *const hooked[] = {
	"inet_sock_set_state", "inet_twsk_hashdance", "__inet_twsk_schedule",
	"inet_twsk_deschedule_put", "tcp_twsk_destructor", "security_sock_graft",
	"inet6_cleanup_sock",
};

/*
 * Load a module that asks for another @name, of the same length, in its place:
 * *err is what becomes of that, and output() what the log then says with @words.
 */
static int load_without(const char *name, const char *words, int *err)
{
	const char *ko = from_env("TCPSTATE_KO", "/tcpstate/tcpstate.ko");
	int last = strlen(name) - 1;

	if (run(NULL, "grep -q %s %s && LC_ALL=C sed 's/%s/%.*sX/g' %s >" OTHER_KO, name, ko,
		name, last, name, ko))
		return -1;
	setenv("TCPSTATE_KO", OTHER_KO, 1);
	*err = module_load(NULL);
	setenv("TCPSTATE_KO", ko, 1);
	unlink(OTHER_KO);
	return run(NULL, "dmesg | grep 'tcpstate: .*\\<%.*sX.*%s$' | tail -n 1", last, name,
		   words) || !*output() ? fail("the log does not name %s", name) : 0;
}

/* A kernel without one of them is refused, in a sentence that names it. */
TEST_F_TIMEOUT(badinput, function_missing, SECONDS)
{
	struct kmsg_allowed allowed[] = { { .words = ": refusing to load" } };
	struct ns *client = &self->rig.net.client;
	unsigned int i;
	int err;

	CHECK(run(NULL, "mountpoint -q " TRACEFS " || mount -t tracefs tracefs " TRACEFS));
	CHECK(module_unload());
	CHECK(kmsg_check(&self->rig.log));
	for (i = 0; i < ARRAY_SIZE(hooked); i++) {
		CHECK(load_without(hooked[i], ": refusing to load", &err));
		ASSERT_NE(0, err) TH_LOG("it was loaded without %s", hooked[i]);
		TH_LOG("%.*s", (int)strcspn(output(), "\n"), output());
		ASSERT_TRUE(WAIT_FOR(nothing_left(), PATIENCE_MS)) TH_LOG("%s", why());
		ASSERT_EQ(ENOENT, find_family());
	}
	CHECK(kmsg_check_allowing(&self->rig.log, allowed, 1));
	ASSERT_EQ(ARRAY_SIZE(hooked), allowed[0].seen);

	CHECK(pair_to_time_wait(&self->p));
	CHECK(ns_note_seed(client));
	CHECK(ns_note_seed(&self->rig.net.server));
	CHECK(module_load(NULL));
	CHECK(step(client, ONLY_V4, "TIME_WAIT=2"));
	CHECK(pair_open(&self->rig.net, &self->p));
	CHECK(step(client, ONLY_V4, "ESTABLISHED=1 TIME_WAIT=2"));
	CHECK(cli_read(client, &self->before));
}

/*
 * Without the one that only tells of bind() calls it is loaded all the same; that it
 * does not know of them is logged and shown, and what else it counts is exact.
 */
TEST_F_TIMEOUT(badinput, return_probe_missing, SECONDS)
{
	struct kmsg_allowed allowed[] = { { .words = "are not counted" } };
	struct ns *client = &self->rig.net.client;
	int err;

	CHECK(run(client, CLI "-j port summary | grep '\"bind_failures\":0,'"));
	CHECK(module_unload());
	CHECK(kmsg_check(&self->rig.log));
	CHECK(ns_note_seed(client));
	CHECK(ns_note_seed(&self->rig.net.server));
	CHECK(load_without("inet_csk_get_port",
			   ": bind() calls that find no port are not counted", &err));
	ASSERT_EQ(0, err) TH_LOG("%s", why());
	TH_LOG("%.*s", (int)strcspn(output(), "\n"), output());
	CHECK(kmsg_check_allowing(&self->rig.log, allowed, 1));
	ASSERT_EQ(1, allowed[0].seen);
	CHECK(run(client, CLI "-j port summary | grep '\"bind_failures\":null,' | "
		  "grep '\"connect_failures\":0,'"));
	CHECK(run(client, CLI "port summary | grep '^bind() to 0  *- refused for want of a port'"));
	CHECK(pair_to_time_wait(&self->p));
	CHECK(step(client, ONLY_V4, "TIME_WAIT=2"));
	CHECK(pair_open(&self->rig.net, &self->p));
	CHECK(step(client, ONLY_V4, "ESTABLISHED=1 TIME_WAIT=2"));
	CHECK(step(&self->rig.net.server, ONLY_V4, "LISTEN=1 ESTABLISHED=1"));
	CHECK(cli_read(client, &self->before));
}

TEST_HARNESS_MAIN
