// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the kernel behind a netlink socket, linked into
 * tcpstate-cli in place of libc's socket calls. FAKE names the scene:
 *
 * unloaded         there is no such family
 * gone             it goes away between two requests
 * unknown-command  an older module that does not know what is asked for
 * eperm            refused without a sentence; eperm-all: to listen to all
 * refused          refused with a sentence; refused-capped: and our request not
 *                  sent back
 * refused-value    a threshold is refused with a sentence
 * interrupted      the first dump is interrupted; always-interrupted: every one
 * forbidden        there are no sockets for us
 * no-answer        nothing but an acknowledgment
 * slow             takes 3.5 s
 * close-refused    we may not end connections
 * close-old        mini-sockets cannot be ended
 * close-stubborn   it is said to be done, and is not
 * close-blind      no connection is found by sock_diag
 * last-inexact     an audit of three namespaces, the last of them not exact
 * first-no-time-wait  the limit of the first of three namespaces is 0
 * huge-message     larger than the CLI's buffer
 * patient          an orphan has half an hour, and what is in CLOSE_WAIT 8000 s
 *
 * all others are scenes of reply.c, FAKE_INO the inode of the namespace,
 * FAKE_CGROUP that of the cgroup; with FAKE_STRICT all namespaces but the first
 * have thresholds of their own. With FAKE_ASKED the attributes of each request
 * for connections are told on stderr.
 *
 * What a listener hears is the script in FAKE_HEAR, a letter for each recvmsg():
 * a to i an alert of reply.c, - nothing, o that messages did not fit (of which
 * three are lost), u that the module is unloaded, . nothing from then on; at
 * its end comes a SIGTERM. On the way an n ends the namespace and gives its inode
 * to a new one, and an N names it: netns/.later is netns/later from then on.
 * FAKE_FORCE are the alerts in force, by the same letters, each time we are
 * asked up to the next comma.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcpstate.h>

#include "reply.h"

#define FAMILY_ID 0x2a
#define GROUP_ID 0x77
#define NO_FD (-2)

static int fake_fd = NO_FD;
static int ear_fd = NO_FD;	/* the second one that is opened */
static int diag_fd = NO_FD;
static uint64_t ended[16];	/* cookies */
static unsigned int n_ended;
static unsigned char queue[8][160 * 1024];
static int queue_len[8];
static unsigned int head, tail;
static int dumps;

static bool scene_is(const char *name)
{
	const char *scene = getenv("FAKE");

	return scene && !strcmp(scene, name);
}

static struct nlmsghdr *message(const struct nlmsghdr *request, int type,
				int flags, const void *data, int len)
{
	struct nlmsghdr *nlh;

	if (tail == 8)
		abort();
	nlh = (struct nlmsghdr *)(queue[tail] + queue_len[tail]);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	nlh->nlmsg_seq = request->nlmsg_seq;
	nlh->nlmsg_pid = request->nlmsg_pid;
	nlh->nlmsg_len = NLMSG_HDRLEN + len;
	memcpy(nlh + 1, data, len);
	queue_len[tail] += NLMSG_ALIGN(nlh->nlmsg_len);
	return nlh;
}

static void packet_end(void)
{
	tail++;
}

static void append(struct nlmsghdr *nlh, const void *data, int len)
{
	memcpy((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len), data, len);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + len;
	queue_len[tail] = (unsigned char *)nlh - queue[tail] +
			  NLMSG_ALIGN(nlh->nlmsg_len);
}

static void error(const struct nlmsghdr *request, int err, const char *sentence,
		  bool capped)
{
	struct nlmsgerr nlerr = { .error = -err, .msg = *request };
	static struct reply tlvs;
	struct nlmsghdr *nlh;

	tlvs.len = 0;
	if (sentence)
		reply_put(&tlvs, NLMSGERR_ATTR_MSG, sentence,
			  strlen(sentence) + 1);
	nlh = message(request, NLMSG_ERROR,
		      (sentence ? NLM_F_ACK_TLVS : 0) |
		      (capped ? NLM_F_CAPPED : 0), &nlerr, sizeof(nlerr));
	if (!capped)
		append(nlh, request + 1, request->nlmsg_len - NLMSG_HDRLEN);
	if (sentence)
		append(nlh, tlvs.data, tlvs.len);
	packet_end();
}

static void done(const struct nlmsghdr *request, int err, const char *sentence)
{
	static struct reply tlvs;
	struct nlmsghdr *nlh;

	err = -err;
	tlvs.len = 0;
	nlh = message(request, NLMSG_DONE,
		      NLM_F_MULTI | (sentence ? NLM_F_ACK_TLVS : 0), &err,
		      sizeof(err));
	if (sentence) {
		reply_put(&tlvs, NLMSGERR_ATTR_MSG, sentence,
			  strlen(sentence) + 1);
		append(nlh, tlvs.data, tlvs.len);
	}
	packet_end();
}

static void answer(const struct nlmsghdr *request, int type, int cmd, int flags,
		   const struct reply *reply)
{
	struct genlmsghdr genl = { .cmd = cmd, .version = 1 };
	struct nlmsghdr *nlh;

	nlh = message(request, type, flags, &genl, sizeof(genl));
	append(nlh, reply->data, reply->len);
}

static void get_family(const struct nlmsghdr *request)
{
	static struct reply reply;
	int groups, group;
	uint16_t id = FAMILY_ID;

	if (scene_is("unloaded")) {
		error(request, ENOENT, NULL, true);
		return;
	}
	reply.len = 0;
	reply_put(&reply, CTRL_ATTR_FAMILY_NAME, "tcpstate", 9);
	reply_put(&reply, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
	reply_put_u32(&reply, CTRL_ATTR_VERSION, 1);
	reply_put_u32(&reply, CTRL_ATTR_HDRSIZE, 0);
	reply_put_u32(&reply, CTRL_ATTR_MAXATTR, 1);
	groups = reply_nest(&reply, CTRL_ATTR_MCAST_GROUPS);
	group = reply_nest(&reply, 1);
	reply_put_u32(&reply, CTRL_ATTR_MCAST_GRP_ID, GROUP_ID);
	reply_put(&reply, CTRL_ATTR_MCAST_GRP_NAME, TCPSTATE_MCGRP_ALERTS,
		  sizeof(TCPSTATE_MCGRP_ALERTS));
	reply_nest_end(&reply, group);
	reply_nest_end(&reply, groups);
	answer(request, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, 0, &reply);
	packet_end();
	if (request->nlmsg_flags & NLM_F_ACK)
		error(request, 0, NULL, true);
}

static uint64_t inode(int n)
{
	const char *ino = getenv("FAKE_INO");

	return (ino ? strtoull(ino, NULL, 10) : 4026531840) + n;
}

static uint32_t thresholds[REPLY_CONFIG_KEYS] = { 80, 95, 80, 95, 60, 600 };
static const uint32_t strict[REPLY_CONFIG_KEYS] = { 2, 3, 41, 42, 1, 7000 };
static uint64_t seq = 4;	/* of the alert that was sent last */

static const struct nlattr *find(const struct nlmsghdr *request, int type)
{
	const unsigned char *at = (void *)request + NLMSG_HDRLEN + GENL_HDRLEN;
	const unsigned char *end = (void *)request + request->nlmsg_len;
	const struct nlattr *attr;

	for (; at < end; at += NLA_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)at;
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr;
	}
	return NULL;
}

static uint32_t value_of(const struct nlattr *attr)
{
	uint32_t value = 0;

	memcpy(&value, (const char *)attr + NLA_HDRLEN,
	       attr->nla_len - NLA_HDRLEN);
	return value;
}

static void configure(const struct nlmsghdr *request, struct reply *reply, int n)
{
	const struct nlattr *attr;
	int i;

	if (scene_is("patient"))
		thresholds[REPLY_CONFIG_KEYS - 2] = 8000;
	for (i = 0; i < REPLY_CONFIG_KEYS; i++) {
		attr = find(request, TCPSTATE_A_CONFIG_PORT_ROOM_WARNING + i);
		if (attr)
			thresholds[i] = value_of(attr);
	}
	reply_config(reply, getenv("FAKE"), inode(n), n && getenv("FAKE_STRICT") ?
		     strict : thresholds, seq);
}

/* The port asked for, in use or not. */
static void one_port(const struct nlmsghdr *request, struct reply *reply)
{
	const struct nlattr *attr = find(request, TCPSTATE_A_PORT_PORT);

	if (value_of(attr) == 8000) {
		reply_port(reply, getenv("FAKE"), inode(0), 1);
		return;
	}
	reply_put_u64(reply, TCPSTATE_A_PORT_NETNS_INO, inode(0));
	reply_put_u16(reply, TCPSTATE_A_PORT_PORT, value_of(attr));
	reply_put_u32(reply, TCPSTATE_A_PORT_SOCKETS, 0);
}

static void one(const struct nlmsghdr *request, int flags, int n)
{
	const struct genlmsghdr *genl = (void *)(request + 1);
	static struct reply reply;

	reply.len = 0;
	switch (genl->cmd) {
	case TCPSTATE_CMD_STATE_GET:
		reply_state(&reply, !n && scene_is("first-no-time-wait") ?
			    "no-time-wait" : getenv("FAKE"), inode(n));
		break;
	case TCPSTATE_CMD_AUDIT:
		reply_audit(&reply, n == 2 && scene_is("last-inexact") ?
			    "inexact" : getenv("FAKE"), inode(n));
		break;
	case TCPSTATE_CMD_PORT_SUMMARY_GET:
		reply_port_summary(&reply, getenv("FAKE"), inode(n));
		break;
	case TCPSTATE_CMD_CONFIG:
		configure(request, &reply, n);
		break;
	case TCPSTATE_CMD_PORT_GET:
		one_port(request, &reply);
		break;
	}
	if (scene_is("huge-message"))
		reply_put(&reply, 200, queue, 65000);
	answer(request, FAMILY_ID, genl->cmd, flags, &reply);
}

/* The alerts in force now: a letter of FAKE_FORCE each, or none. */
static bool in_force(struct reply *reply, int n, unsigned int i)
{
	static const char *force;
	bool any;

	if (!force)
		force = getenv("FAKE_FORCE") ?: "";
	any = force[i] && force[i] != ',';
	if (!any) {
		force += i + (force[i] == ',');
		return false;
	}
	return reply_alert(reply, getenv("FAKE"), inode(n), force[i] - 'a', 0);
}

static void tell_asked(const struct nlmsghdr *request)
{
	const unsigned char *at = (void *)request + NLMSG_HDRLEN + GENL_HDRLEN;
	const unsigned char *end = (void *)request + request->nlmsg_len;
	const struct nlattr *attr;
	uint64_t value;
	int len;

	for (; at < end; at += NLA_ALIGN(attr->nla_len)) {
		attr = (const struct nlattr *)at;
		len = attr->nla_len - NLA_HDRLEN;
		value = 0;
		memcpy(&value, at + NLA_HDRLEN, len < 8 ? len : 8);
		fprintf(stderr, "asked: %u=%llu (%d)\n",
			attr->nla_type & NLA_TYPE_MASK,
			(unsigned long long)value, len);
	}
}

static bool has_ended(uint64_t cookie)
{
	unsigned int i;

	for (i = 0; i < n_ended; i++)
		if (ended[i] == cookie)
			return true;
	return false;
}

/* One that is still there; the oldest is the first of them. */
static bool one_conn(const struct nlmsghdr *request, struct reply *reply, int n,
		     unsigned int i)
{
	const struct nlattr *states = find(request, TCPSTATE_A_CONN_STATES);
	const struct nlattr *top = find(request, TCPSTATE_A_CONN_TOP);
	const struct nlattr *cookie = find(request, TCPSTATE_A_CONN_COOKIE);
	uint64_t wanted;
	bool more;

	if (top && i >= value_of(top))
		return false;
	if (has_ended(reply_conn_cookie(i)))
		return true;
	more = reply_conn(reply, getenv("FAKE"), inode(n), i,
			  states ? value_of(states) : UINT32_MAX);
	if (cookie)
		memcpy(&wanted, (const char *)cookie + NLA_HDRLEN,
		       sizeof(wanted));
	if (cookie && wanted != reply_conn_cookie(i))
		reply->len = 0;
	return more;
}

/* Those of one namespace, or all where there are several in each. */
static void some(const struct nlmsghdr *request, int n)
{
	const struct genlmsghdr *genl = (void *)(request + 1);
	const char *scene = getenv("FAKE");
	static struct reply reply;
	bool more = true;
	unsigned int i;

	if (genl->cmd == TCPSTATE_CMD_CONN_GET && getenv("FAKE_ASKED"))
		tell_asked(request);
	for (i = 0; more; i++) {
		reply.len = 0;
		if (genl->cmd == TCPSTATE_CMD_DEST_GET)
			more = reply_dest(&reply, scene, inode(n), i);
		else if (genl->cmd == TCPSTATE_CMD_PORT_GET)
			more = reply_port(&reply, scene, inode(n), i);
		else if (genl->cmd == TCPSTATE_CMD_CONN_GET)
			more = one_conn(request, &reply, n, i);
		else if (genl->cmd == TCPSTATE_CMD_OWNER_GET)
			more = reply_owner(&reply, scene, inode(n), i,
					   value_of(find(request,
							 TCPSTATE_A_OWNER_BY)));
		else
			more = in_force(&reply, n, i);
		if (more && reply.len)
			answer(request, FAMILY_ID, genl->cmd, NLM_F_MULTI,
			       &reply);
	}
}

/* Those that are dumped for one namespace, unless asked for all. */
static bool many(const struct nlmsghdr *request)
{
	const struct genlmsghdr *genl = (void *)(request + 1);
	int all, n;

	switch (genl->cmd) {
	case TCPSTATE_CMD_DEST_GET:
		all = TCPSTATE_A_DEST_ALL_NETNS;
		break;
	case TCPSTATE_CMD_PORT_GET:
		all = TCPSTATE_A_PORT_ALL_NETNS;
		break;
	case TCPSTATE_CMD_CONN_GET:
		all = TCPSTATE_A_CONN_ALL_NETNS;
		break;
	case TCPSTATE_CMD_OWNER_GET:
		all = TCPSTATE_A_OWNER_ALL_NETNS;
		break;
	case TCPSTATE_CMD_ALERT_GET:
		all = TCPSTATE_A_ALERT_ALL_NETNS;
		break;
	default:
		return false;
	}
	for (n = 0; n < (find(request, all) ? 2 : 1); n++)
		some(request, n);
	if (queue_len[tail])
		packet_end();
	done(request, 0, NULL);
	return true;
}

static void every_netns(const struct nlmsghdr *request)
{
	int i, flags = NLM_F_MULTI;

	if (scene_is("refused")) {
		done(request, EPERM, "all namespaces need CAP_NET_ADMIN in the initial one");
		return;
	}
	if (many(request))
		return;
	dumps++;
	if (scene_is("always-interrupted") ||
	    (scene_is("interrupted") && dumps == 1))
		flags |= NLM_F_DUMP_INTR;
	for (i = 0; i < 3; i++)
		one(request, flags, i);
	packet_end();
	done(request, 0, NULL);
}

static void ask(const struct nlmsghdr *request)
{
	bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	if (scene_is("slow"))
		usleep(3500000);
	if (scene_is("gone")) {
		error(request, ENOENT, NULL, true);
	} else if (scene_is("unknown-command")) {
		error(request, EOPNOTSUPP, NULL, true);
	} else if (scene_is("eperm")) {
		error(request, EPERM, NULL, true);
	} else if (scene_is("no-answer")) {
		error(request, 0, NULL, true);
	} else if (dump) {
		every_netns(request);
	} else if (scene_is("refused")) {
		error(request, EPERM, "only root may know", false);
	} else if (scene_is("refused-value")) {
		error(request, EINVAL, "a warning must not be above its critical",
		      false);
	} else if (scene_is("refused-capped")) {
		error(request, EINVAL, "this namespace is going away", true);
	} else {
		one(request, 0, 0);
		packet_end();
		if (request->nlmsg_flags & NLM_F_ACK)
			error(request, 0, NULL, true);
	}
}

static int destroy(uint64_t cookie)
{
	if (scene_is("close-refused"))
		return -EPERM;
	if (scene_is("close-old") && reply_conn_is_mini(cookie))
		return -EOPNOTSUPP;
	if (scene_is("close-blind"))
		return -ENOENT;
	if (!scene_is("close-stubborn"))
		ended[n_ended++] = cookie;
	return 0;
}

static void diagnose(const struct nlmsghdr *request)
{
	const struct inet_diag_req_v2 *wanted = (void *)(request + 1);

	if (request->nlmsg_type != SOCK_DESTROY ||
	    wanted->sdiag_protocol != IPPROTO_TCP)
		abort();
	error(request, -destroy((uint64_t)wanted->id.idiag_cookie[1] << 32 |
			       wanted->id.idiag_cookie[0]), NULL, true);
}

int socket(int domain, int type, int protocol)
{
	if (domain != AF_NETLINK ||
	    (protocol != NETLINK_GENERIC && protocol != NETLINK_SOCK_DIAG))
		abort();
	(void)type;
	if (protocol == NETLINK_SOCK_DIAG) {
		diag_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		return diag_fd;
	}
	if (scene_is("forbidden")) {
		errno = EPERM;
		return -1;
	}
	if (fake_fd == NO_FD) {
		fake_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		return fake_fd;
	}
	ear_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return ear_fd;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)value;
	(void)len;
	if (level == SOL_NETLINK && name == NETLINK_LISTEN_ALL_NSID &&
	    scene_is("eperm-all")) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return fd == fake_fd || fd == ear_fd || fd == diag_fd ? 0 : -1;
}

int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_nl *nl = (struct sockaddr_nl *)addr;

	memset(nl, 0, sizeof(*nl));
	nl->nl_family = AF_NETLINK;
	nl->nl_pid = getpid();
	*len = sizeof(*nl);
	return fd == fake_fd || fd == ear_fd || fd == diag_fd ? 0 : -1;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct nlmsghdr *request = msg->msg_iov[0].iov_base;

	(void)flags;
	if (fd != fake_fd && fd != diag_fd)
		abort();
	head = 0;
	tail = 0;
	memset(queue_len, 0, sizeof(queue_len));
	if (fd == diag_fd)
		diagnose(request);
	else if (request->nlmsg_type == GENL_ID_CTRL)
		get_family(request);
	else
		ask(request);
	return msg->msg_iov[0].iov_len;
}

/* What a listener hears next. */
static ssize_t hear(struct msghdr *msg)
{
	struct nlmsghdr *nlh = msg->msg_iov[0].iov_base;
	struct genlmsghdr *genl = (struct genlmsghdr *)(nlh + 1);
	static const char *script;
	static struct reply reply;

	if (!script)
		script = getenv("FAKE_HEAR") ?: "";
	for (; *script == 'n' || *script == 'N'; script++) {
		if (*script == 'n')
			seq = 0;
		else if (rename("netns/.later", "netns/later"))
			abort();
	}
	if (*script == '.') {
		usleep(50000);
		errno = EAGAIN;
		return -1;
	}
	if (!*script || *script == '-' || *script == 'o') {
		errno = *script == 'o' ? ENOBUFS : EAGAIN;
		if (*script == 'o')
			seq += 3;
		if (!*script)
			raise(SIGTERM);
		else
			script++;
		return -1;
	}
	reply.len = 0;
	memset(nlh, 0, NLMSG_HDRLEN + GENL_HDRLEN);
	nlh->nlmsg_type = FAMILY_ID;
	genl->cmd = TCPSTATE_CMD_ALERT_NTF;
	if (*script == 'u') {
		nlh->nlmsg_type = GENL_ID_CTRL;
		genl->cmd = CTRL_CMD_DELFAMILY;
		reply_put(&reply, CTRL_ATTR_FAMILY_NAME, "tcpstate", 9);
	} else {
		reply_alert(&reply, getenv("FAKE"), inode(0), *script - 'a',
			    ++seq);
	}
	script++;
	memcpy(genl + 1, reply.data, reply.len);
	nlh->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + reply.len;
	return nlh->nlmsg_len;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl *nl = msg->msg_name;
	size_t len;

	if (fd == ear_fd)
		return hear(msg);
	if (fd != fake_fd && fd != diag_fd)
		abort();
	if (head == tail) {
		/* The CLI waits for what never comes. */
		fprintf(stderr, "fake-kernel: nothing to receive\n");
		abort();
	}
	memset(nl, 0, sizeof(*nl));
	nl->nl_family = AF_NETLINK;
	msg->msg_namelen = sizeof(*nl);
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	len = queue_len[head];
	if (len > msg->msg_iov[0].iov_len) {
		len = msg->msg_iov[0].iov_len;
		msg->msg_flags |= MSG_TRUNC;
	}
	memcpy(msg->msg_iov[0].iov_base, queue[head], len);
	if (!(flags & MSG_PEEK))
		head++;
	return len;
}
