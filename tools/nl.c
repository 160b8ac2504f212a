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

struct exchange {
	const struct module_reader *reader;
	bool done;
	bool bad;
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
 * module_close() - close the socket
 */
void module_close(void)
{
	nl_socket_free(sock);
	sock = NULL;
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
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0,
				 all_netns ? NLM_F_DUMP : NLM_F_ACK, cmd,
				 TCPSTATE_FAMILY_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
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

	if (nlh->nlmsg_type != family || !genlmsg_valid_hdr(nlh, 0) ||
	    ex->reader->message(genlmsg_attrdata(genlmsg_hdr(nlh), 0),
				genlmsg_attrlen(genlmsg_hdr(nlh), 0),
				ex->reader->arg))
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

static int refused(const struct exchange *ex, uint8_t cmd, bool all_netns)
{
	if (ex->error == ENOENT && !*ex->sentence)
		return out_fail(OUT_FAILED, NOT_LOADED);
	if (ex->error == EOPNOTSUPP && !*ex->sentence)
		return module_mismatch();
	if (ex->error != EPERM && ex->error != EACCES)
		return out_fail(OUT_FAILED, "the tcpstate module says no: %s (%s)",
				*ex->sentence ? ex->sentence : "no reason given",
				strerror(ex->error));
	if (*ex->sentence)
		return out_fail(OUT_FAILED, "no permission: %s", ex->sentence);
	if (all_netns)
		return out_fail(OUT_FAILED,
				"no permission to see all network namespaces: run it as root in the initial one");
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
	bool dump;
	int i, err;

	if (!msg)
		return out_fail(OUT_FAILED, "out of memory");
	dump = nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP;
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
				"network namespaces came and went all through %d attempts: try again",
				DUMP_TRIES);
	if (err < 0)
		return out_fail(OUT_FAILED,
				"the conversation with the tcpstate module failed: %s",
				nl_geterror(err));
	if (ex.error)
		return refused(&ex, cmd, dump);
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
	if (!attr)
		return (struct number){ .known = false };
	return number_known(nla_get_u64(attr));
}
