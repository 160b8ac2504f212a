// SPDX-License-Identifier: GPL-2.0
/* sock_diag: by which the kernel itself ends connections, as for 'ss -K'. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "conn.h"
#include "diag.h"
#include "out.h"

static struct nl_sock *sock;

struct answer {
	bool done;
	int error;
};

/**
 * diag_open() - open the socket, in the network namespace that we are in
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int diag_open(void)
{
	int err, on = 1;

	sock = nl_socket_alloc();
	if (!sock)
		return out_fail(OUT_FAILED, "out of memory");
	err = nl_connect(sock, NETLINK_SOCK_DIAG);
	if (err)
		return out_fail(OUT_FAILED, "cannot open a sock_diag socket: %s",
				nl_geterror(err));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on,
		   sizeof(on));
	return OUT_DONE;
}

/**
 * diag_close() - close the socket
 */
void diag_close(void)
{
	nl_socket_free(sock);
	sock = NULL;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct answer *answer = arg;

	(void)msg;
	answer->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *nlerr, void *arg)
{
	struct answer *answer = arg;

	(void)from;
	answer->done = true;
	answer->error = nlerr->error;
	return NL_STOP;
}

static int receive(struct answer *answer)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, answer);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, answer);
	while (!answer->done && err >= 0)
		err = nl_recvmsgs(sock, cb);
	nl_cb_put(cb);
	return answer->done ? answer->error : -EIO;
}

static void put_address(__be32 *to, const struct address *address)
{
	memcpy(to, address->bytes, address->family == AF_INET ? 4 : 16);
}

/**
 * diag_destroy() - have the kernel end a connection
 * @conn: the connection, found again by its addresses and its cookie
 *
 * Return: 0, or the negative errno value that the kernel answered; neither tells
 * whether it is gone.
 */
int diag_destroy(const struct conn *conn)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = conn->family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = 1U << conn->state,
		.id = {
			.idiag_sport = htons(conn->sport),
			.idiag_dport = htons(conn->dport),
			.idiag_if = conn->ifindex,
			.idiag_cookie = { conn->cookie, conn->cookie >> 32 },
		},
	};
	struct answer answer = { 0 };
	struct nl_msg *msg;
	int err;

	put_address(request.id.idiag_src, &conn->saddr);
	put_address(request.id.idiag_dst, &conn->daddr);
	msg = nlmsg_alloc_simple(SOCK_DESTROY, NLM_F_ACK);
	if (!msg)
		return -ENOMEM;
	err = nlmsg_append(msg, &request, sizeof(request), NLMSG_ALIGNTO);
	if (!err)
		err = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	return err < 0 ? -EIO : receive(&answer);
}
