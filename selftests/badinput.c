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

/* One attribute at most; its length is told as @size says unless @lie is set. */
static const struct netlink_case {
	const char *name;
	int cmd, flags, attr, size;
	uint32_t value;
	int lie;
	bool nobody, inside;
	int error;
	const char *says;
} netlink_cases[] = {
	{ "good state-get", .cmd = GET },
	{ "good state-get of one", .cmd = GET, 0, ONLY, 4, 6 },
	{ "good dump", .cmd = GET, DUMP },
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
	uint32_t data[2] = { c->value };
	struct answer a;
	char buffer[512];
	struct nlmsghdr *nlh;
	int rc;

	nlh = request(buffer, family_id, c->cmd, TCPSTATE_FAMILY_VERSION, c->flags);
	if (c->attr)
		put(nlh, c->attr, c->lie ? c->lie : NLA_HDRLEN + c->size, data, c->size);
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

TEST_HARNESS_MAIN
