// SPDX-License-Identifier: GPL-2.0
/*
 * The conversation with the module: one generic netlink socket.
 *
 * libnl 3.7 leaves the kernel's sentences (extended acks) alone, and the error
 * that ends a dump, so both are read here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <linux/tcpstate.h>

#include "nl.h"

/* A namespace is one message of a few kilobytes; dumps are 32 KiB at most. */
#define BUFFER_SIZE 65536

#define DUMP_TRIES 5

#define NOT_LOADED \
	"the tcpstate module is not loaded: load it with 'modprobe tcpstate' as root"

static struct nl_sock *sock;
static int family;
static struct nl_sock *ear;	/* for the group of alerts */
static bool asked_all_netns;	/* by the request made last */

struct exchange {
	const struct module_reader *reader;
	bool done;
	bool bad;
	bool no_memory;
	int error;		/* errno, as the kernel gave it */
	char sentence[256];	/* the kernel's, if there was one */
};

/**
 * module_open() - open the socket and find the module
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int module_open(void)
{
	int err, on = 1;

	sock = nl_socket_alloc();
	if (!sock)
		return out_fail(OUT_FAILED, "out of memory");
	err = genl_connect(sock);
	if (err)
		return out_fail(OUT_FAILED,
				"cannot open a generic netlink socket: %s",
				nl_geterror(err));
	nl_socket_set_msg_buf_size(sock, BUFFER_SIZE);
	/* Without these two the kernel only says less. */
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on,
		   sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on,
		   sizeof(on));
	family = genl_ctrl_resolve(sock, TCPSTATE_FAMILY_NAME);
	if (family == -NLE_OBJ_NOTFOUND)
		return out_fail(OUT_FAILED, NOT_LOADED);
	if (family < 0)
		return out_fail(OUT_FAILED,
				"cannot ask the kernel for the tcpstate module: %s",
				nl_geterror(family));
	return OUT_DONE;
}

/**
 * module_close() - close the socket, and that which listens
 */
void module_close(void)
{
	nl_socket_free(ear);
	nl_socket_free(sock);
	ear = NULL;
	sock = NULL;
}

/* Which group tells that a family goes away; as in the kernel's genetlink.c. */
#define CTRL_GROUP GENL_ID_CTRL

/**
 * module_listen() - join the group of alerts
 * @all_netns: of all network namespaces, instead of our own
 *
 * After module_open(); what has been sent since waits for module_hear().
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int module_listen(bool all_netns)
{
	int group, err, on = 1;

	group = genl_ctrl_resolve_grp(sock, TCPSTATE_FAMILY_NAME,
				      TCPSTATE_MCGRP_ALERTS);
	if (group < 0)
		return module_mismatch();
	ear = nl_socket_alloc();
	if (!ear)
		return out_fail(OUT_FAILED, "out of memory");
	err = genl_connect(ear);
	/* The kernel lets hear of other namespaces whom it lets ask, and no others. */
	if (!err && all_netns &&
	    setsockopt(nl_socket_get_fd(ear), SOL_NETLINK,
		       NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)))
		return out_fail(OUT_FAILED,
				"no permission to hear all network namespaces: it needs CAP_NET_BROADCAST, run it as root");
	if (!err)
		err = nl_socket_add_memberships(ear, group, CTRL_GROUP, 0);
	if (err)
		return out_fail(OUT_FAILED, "cannot listen to the alerts: %s",
				nl_geterror(err));
	return OUT_DONE;
}

/**
 * module_listen_fd() - what to wait for
 *
 * Return: a descriptor that is readable when module_hear() has something.
 */
int module_listen_fd(void)
{
	return nl_socket_get_fd(ear);
}

static bool is_end(struct nlmsghdr *nlh)
{
	struct nlattr *name;

	if (nlh->nlmsg_type != GENL_ID_CTRL || !genlmsg_valid_hdr(nlh, 0) ||
	    genlmsg_hdr(nlh)->cmd != CTRL_CMD_DELFAMILY)
		return false;
	name = nla_find(genlmsg_attrdata(genlmsg_hdr(nlh), 0),
			genlmsg_attrlen(genlmsg_hdr(nlh), 0),
			CTRL_ATTR_FAMILY_NAME);
	return name && !nla_strcmp(name, TCPSTATE_FAMILY_NAME);
}

/**
 * module_hear() - take one packet, without waiting for it
 * @reader: what to do with the messages in it
 *
 * Return: what came of it.
 */
enum heard module_hear(const struct module_reader *reader)
{
	static unsigned char buf[BUFFER_SIZE];
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct sockaddr_nl from = { 0 };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t got = recvmsg(module_listen_fd(), &msg, MSG_DONTWAIT);
	int len = got;

	if (got < 0 && errno == ENOBUFS)
		return HEARD_LOSS;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return HEARD_NOTHING;
	if (got < 0) {
		out_fail(OUT_FAILED, "cannot listen to the alerts: %s",
			 strerror(errno));
		return HEARD_ERROR;
	}
	/* Others can send to our port, but they are not the kernel. */
	if (from.nl_pid)
		return HEARD_SOMETHING;
	for (; nlmsg_ok(nlh, len); nlh = nlmsg_next(nlh, &len)) {
		if (is_end(nlh))
			return HEARD_END;
		if (nlh->nlmsg_type != family || !genlmsg_valid_hdr(nlh, 0) ||
		    genlmsg_hdr(nlh)->cmd != TCPSTATE_CMD_ALERT_NTF)
			continue;
		if (reader->message(genlmsg_attrdata(genlmsg_hdr(nlh), 0),
				    genlmsg_attrlen(genlmsg_hdr(nlh), 0),
				    reader->arg)) {
			module_mismatch();
			return HEARD_ERROR;
		}
	}
	return HEARD_SOMETHING;
}

static struct nl_msg *make(uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0,
				 flags, cmd, TCPSTATE_FAMILY_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/**
 * module_request() - a request to the module
 * @cmd: of enum TCPSTATE_CMD_*
 * @all_netns: ask for all network namespaces
 *
 * Return: the message, for attributes to be put in and module_ask() to send.
 */
struct nl_msg *module_request(uint8_t cmd, bool all_netns)
{
	asked_all_netns = all_netns;
	return make(cmd, all_netns ? NLM_F_DUMP : NLM_F_ACK);
}

/**
 * module_dump() - a request to the module for many of something
 * @cmd: of enum TCPSTATE_CMD_*
 * @all_netns: ask for those of all network namespaces
 * @all_netns_attr: the attribute that says so
 *
 * Return: the message, for attributes to be put in and module_ask() to send.
 */
struct nl_msg *module_dump(uint8_t cmd, bool all_netns, int all_netns_attr)
{
	struct nl_msg *msg = make(cmd, NLM_F_DUMP);

	asked_all_netns = all_netns;
	if (msg && all_netns)
		nla_put_flag(msg, all_netns_attr);
	return msg;
}

/**
 * module_mismatch() - say that the answer is not one we know
 *
 * Return: OUT_FAILED.
 */
int module_mismatch(void)
{
	return out_fail(OUT_FAILED,
			"the tcpstate module loaded is of another version than this tcpstate-cli (%s): install both from one release",
			VERSION);
}

static void read_sentence(struct exchange *ex, struct nlattr *attrs, int len)
{
	struct nlattr *attr = nla_find(attrs, len, NLMSGERR_ATTR_MSG);

	if (attr)
		nla_strlcpy(ex->sentence, attr, sizeof(ex->sentence));
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct exchange *ex = arg;
	int err = -EBADMSG;

	if (nlh->nlmsg_type == family && genlmsg_valid_hdr(nlh, 0))
		err = ex->reader->message(genlmsg_attrdata(genlmsg_hdr(nlh), 0),
					  genlmsg_attrlen(genlmsg_hdr(nlh), 0),
					  ex->reader->arg);
	if (err == -ENOMEM)
		ex->no_memory = true;
	else if (err)
		ex->bad = true;
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct exchange *ex = arg;

	(void)msg;
	ex->done = true;
	return NL_STOP;
}

/* The end of a dump: an int, negative if it failed, then perhaps a sentence. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	int *error = nlmsg_data(nlh), len = nlmsg_datalen(nlh);
	struct exchange *ex = arg;

	ex->done = true;
	if (len < (int)sizeof(*error) || *error >= 0)
		return NL_STOP;
	ex->error = -*error;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		read_sentence(ex, (struct nlattr *)(error + 1),
			      len - (int)sizeof(*error));
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *nlerr, void *arg)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)((char *)nlerr - NLMSG_HDRLEN);
	int skip = sizeof(*nlerr), len = nlmsg_datalen(nlh);
	struct exchange *ex = arg;

	(void)from;
	ex->done = true;
	ex->error = -nlerr->error;
	/* Our request comes back in between, unless the kernel left it out. */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) &&
	    nlerr->msg.nlmsg_len > NLMSG_HDRLEN)
		skip += NLMSG_ALIGN(nlerr->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS && skip > 0 && skip < len)
		read_sentence(ex, (struct nlattr *)((char *)nlerr + skip),
			      len - skip);
	return NL_STOP;
}

/* A value that will not do is the caller's mistake, whoever finds it. */
static bool is_usage(const struct exchange *ex, uint8_t cmd)
{
	return cmd == TCPSTATE_CMD_CONFIG &&
	       (ex->error == EINVAL || ex->error == ERANGE);
}

static int refused(const struct exchange *ex, uint8_t cmd)
{
	if (ex->error == ENOENT && !*ex->sentence)
		return out_fail(OUT_FAILED, NOT_LOADED);
	if (ex->error == EOPNOTSUPP && !*ex->sentence)
		return module_mismatch();
	if (ex->error != EPERM && ex->error != EACCES)
		return out_fail(is_usage(ex, cmd) ? OUT_USAGE : OUT_FAILED,
				"the tcpstate module says no: %s (%s)",
				*ex->sentence ? ex->sentence : "no reason given",
				strerror(ex->error));
	if (*ex->sentence)
		return out_fail(OUT_FAILED, "no permission: %s", ex->sentence);
	if (asked_all_netns)
		return out_fail(OUT_FAILED,
				"no permission to see all network namespaces: run it as root in the initial one");
	if (cmd == TCPSTATE_CMD_CONFIG)
		return out_fail(OUT_FAILED,
				"no permission to change thresholds here: it needs CAP_NET_ADMIN, run it as root");
	if (cmd == TCPSTATE_CMD_AUDIT)
		return out_fail(OUT_FAILED,
				"no permission to audit this network namespace: it needs CAP_NET_ADMIN, run it as root");
	return out_fail(OUT_FAILED, "no permission: run it as root");
}

static int receive(struct exchange *ex)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	bool interrupted = false;
	int err = 0;

	if (!cb)
		return -NLE_NOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, ex);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, ex);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, ex);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, ex);
	while (!ex->done) {
		err = nl_recvmsgs(sock, cb);
		if (err == -NLE_DUMP_INTR)
			interrupted = true;
		else if (err < 0 && !ex->done)
			break;
	}
	nl_cb_put(cb);
	if (ex->done)
		return interrupted && !ex->error ? -NLE_DUMP_INTR : 0;
	return err;
}

/**
 * module_ask() - send a request and read the whole answer
 * @msg: from module_request(), freed here; NULL is reported as lack of memory
 * @reader: what to do with it
 *
 * A dump during which something changed is asked for again.
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int module_ask(struct nl_msg *msg, const struct module_reader *reader)
{
	struct exchange ex = { .reader = reader };
	uint8_t cmd;
	int i, err;

	if (!msg)
		return out_fail(OUT_FAILED, "out of memory");
	cmd = genlmsg_hdr(nlmsg_hdr(msg))->cmd;
	for (i = 0; i < DUMP_TRIES; i++) {
		nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
		err = nl_send_auto(sock, msg);
		if (err >= 0)
			err = receive(&ex);
		if (err != -NLE_DUMP_INTR)
			break;
		ex = (struct exchange){ .reader = reader };
		reader->restart(reader->arg);
	}
	nlmsg_free(msg);
	if (err == -NLE_DUMP_INTR)
		return out_fail(OUT_FAILED,
				"what was to be listed changed all through %d attempts: try again",
				DUMP_TRIES);
	if (err < 0)
		return out_fail(OUT_FAILED,
				"the conversation with the tcpstate module failed: %s",
				nl_geterror(err));
	if (ex.error)
		return refused(&ex, cmd);
	if (ex.no_memory)
		return out_fail(OUT_FAILED, "out of memory");
	if (ex.bad)
		return module_mismatch();
	return OUT_DONE;
}

/**
 * attr_number() - the number in an attribute
 * @attr: a u64 whose length has been checked, or NULL
 *
 * Return: the number, not known when @attr is NULL.
 */
struct number attr_number(const struct nlattr *attr)
{
	return attr ? number_known(nla_get_u64(attr)) : number_unknown();
}

/**
 * attr_u32() - the number in an attribute
 * @attr: a u32 whose length has been checked, or NULL
 *
 * Return: the number, not known when @attr is NULL.
 */
struct number attr_u32(const struct nlattr *attr)
{
	return attr ? number_known(nla_get_u32(attr)) : number_unknown();
}

/**
 * attr_u16() - the number in an attribute
 * @attr: a u16 whose length has been checked, or NULL
 *
 * Return: the number, not known when @attr is NULL.
 */
struct number attr_u16(const struct nlattr *attr)
{
	return attr ? number_known(nla_get_u16(attr)) : number_unknown();
}
