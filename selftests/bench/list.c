// SPDX-License-Identifier: GPL-2.0
/*
 * list: ask the module for every connection, and read its answer without making
 * anything of it: what a listing takes before somebody prints it. Prints how
 * many were told.
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>
#include <stdio.h>

#include "bench.h"

#define ROOM 65536

static char buf[ROOM];

static void ask(int fd, int type, int flags, int cmd, const char *name)
{
	struct {
		struct nlmsghdr nlh;
		struct genlmsghdr genl;
		struct nlattr attr;
		char name[GENL_NAMSIZ];
	} request = {
		.nlh = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags,
			 .nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN },
		.genl = { .cmd = cmd, .version = 1 },
	};

	if (name) {
		request.attr.nla_type = CTRL_ATTR_FAMILY_NAME;
		request.attr.nla_len = NLA_HDRLEN + strlen(name) + 1;
		memcpy(request.name, name, strlen(name) + 1);
		request.nlh.nlmsg_len += NLA_ALIGN(request.attr.nla_len);
	}
	if (send(fd, &request, request.nlh.nlmsg_len, 0) < 0)
		err(1, "cannot ask");
}

static int family(int fd)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
	ssize_t len;
	int at;

	ask(fd, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, TCPSTATE_FAMILY_NAME);
	len = recv(fd, buf, sizeof(buf), 0);
	if (len < 0 || nlh->nlmsg_type == NLMSG_ERROR)
		errx(1, "tcpstate is not loaded");
	for (at = NLMSG_HDRLEN + GENL_HDRLEN; at < len;) {
		struct nlattr *attr = (struct nlattr *)(buf + at);

		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(unsigned short *)(buf + at + NLA_HDRLEN);
		at += NLA_ALIGN(attr->nla_len);
	}
	errx(1, "tcpstate has no number");
}

int main(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	unsigned long told = 0;
	int type;

	if (fd < 0)
		err(1, "cannot open a netlink socket");
	type = family(fd);
	ask(fd, type, NLM_F_DUMP, TCPSTATE_CMD_CONN_GET, NULL);
	for (;;) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
		int len = recv(fd, buf, sizeof(buf), 0);

		if (len < 0)
			err(1, "no answer");
		for (; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
			if (nlh->nlmsg_type == NLMSG_ERROR)
				errx(1, "refused");
			if (nlh->nlmsg_type == NLMSG_DONE) {
				printf("%lu\n", told);
				return 0;
			}
			told++;
		}
	}
}
