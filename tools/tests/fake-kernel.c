// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the kernel behind a generic netlink socket, linked into
 * tcpstate-cli in place of libc's socket calls. FAKE names the scene:
 *
 * unloaded         there is no such family
 * gone             it goes away between two requests
 * unknown-command  an older module that does not know what is asked for
 * eperm            refused without a sentence
 * refused          refused with a sentence; refused-capped: and our request not
 *                  sent back
 * interrupted      the first dump is interrupted; always-interrupted: every one
 * forbidden        there are no sockets for us
 * no-answer        nothing but an acknowledgment
 * slow             takes 3.5 s
 * last-inexact     an audit of three namespaces, the last of them not exact
 * huge-message     larger than the CLI's buffer
 *
 * all others are scenes of reply.c, FAKE_INO the inode of the namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>

#include "reply.h"

#define FAMILY_ID 0x2a
#define NO_FD (-2)

static int fake_fd = NO_FD;
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

static void one(const struct nlmsghdr *request, int flags, int n)
{
	const struct genlmsghdr *genl = (void *)(request + 1);
	static struct reply reply;

	reply.len = 0;
	if (genl->cmd == TCPSTATE_CMD_STATE_GET)
		reply_state(&reply, getenv("FAKE"), inode(n));
	else
		reply_audit(&reply, n == 2 && scene_is("last-inexact") ?
			    "inexact" : getenv("FAKE"), inode(n));
	if (scene_is("huge-message"))
		reply_put(&reply, 200, queue, 65000);
	answer(request, FAMILY_ID, genl->cmd, flags, &reply);
}

static void every_netns(const struct nlmsghdr *request)
{
	int i, flags = NLM_F_MULTI;

	if (scene_is("refused")) {
		done(request, EPERM, "all namespaces need CAP_NET_ADMIN in the initial one");
		return;
	}
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
	} else if (scene_is("refused-capped")) {
		error(request, EINVAL, "this namespace is going away", true);
	} else {
		one(request, 0, 0);
		packet_end();
		if (request->nlmsg_flags & NLM_F_ACK)
			error(request, 0, NULL, true);
	}
}

int socket(int domain, int type, int protocol)
{
	if (domain != AF_NETLINK || protocol != NETLINK_GENERIC)
		abort();
	(void)type;
	if (scene_is("forbidden")) {
		errno = EPERM;
		return -1;
	}
	fake_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fake_fd;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return 0;
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return fd == fake_fd ? 0 : -1;
}

int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_nl *nl = (struct sockaddr_nl *)addr;

	memset(nl, 0, sizeof(*nl));
	nl->nl_family = AF_NETLINK;
	nl->nl_pid = getpid();
	*len = sizeof(*nl);
	return fd == fake_fd ? 0 : -1;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct nlmsghdr *request = msg->msg_iov[0].iov_base;

	(void)flags;
	if (fd != fake_fd)
		abort();
	head = 0;
	tail = 0;
	memset(queue_len, 0, sizeof(queue_len));
	if (request->nlmsg_type == GENL_ID_CTRL)
		get_family(request);
	else
		ask(request);
	return msg->msg_iov[0].iov_len;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl *nl = msg->msg_name;
	size_t len;

	if (fd != fake_fd)
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
