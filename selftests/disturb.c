// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disturb.h"

struct tally {
	uint64_t done[DISTURBERS];
	char trouble[300];
};

static const char *const names[DISTURBERS] = { "answers", "half-read dumps", "dead namespaces" };

/* A command that asks: it is answered, or told that there is no module. */
static int ask(struct tally *t)
{
	static unsigned int turn;
	static const char *const commands[] = {
		"tcpstate-cli -j -a state", "tcpstate-cli state", "tcpstate-cli -a audit",
	};
	const char *command = commands[turn++ % 3];
	int status = run_status(NULL, "%s", command);

	if (!status)
		t->done[DISTURB_ASK]++;
	return status == 0 || status == 3 ? 0 :
	       fail("'%s' ended with %d: %.200s", command, status, output());
}

static int send_request(int fd, int type, int cmd, int flags, const char *name)
{
	struct {
		struct nlmsghdr nlh;
		struct genlmsghdr genl;
		struct nlattr nla;
		char name[GENL_NAMSIZ];
	} r = {
		.nlh = { .nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN), .nlmsg_type = type,
			 .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = 1 },
		.genl = { .cmd = cmd, .version = 1 },
		.nla = { .nla_type = CTRL_ATTR_FAMILY_NAME },
	};

	if (name) {
		snprintf(r.name, sizeof(r.name), "%s", name);
		r.nla.nla_len = NLA_HDRLEN + strlen(name) + 1;
		r.nlh.nlmsg_len += NLA_ALIGN(r.nla.nla_len);
	}
	return send(fd, &r, r.nlh.nlmsg_len, 0) < 0 ? -1 : 0;
}

/* The family's number, which is another one after each load; 0 while there is none. */
static int family(int fd)
{
	char buffer[8192], *at, *end;
	struct nlmsghdr *nlh = (void *)buffer;
	ssize_t n;

	if (send_request(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, TCPSTATE_FAMILY_NAME))
		return 0;
	n = recv(fd, buffer, sizeof(buffer), 0);
	if (n < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN) || nlh->nlmsg_type != GENL_ID_CTRL)
		return 0;
	end = buffer + n;
	for (at = (char *)NLMSG_DATA(nlh) + GENL_HDRLEN; at + NLA_HDRLEN < end;) {
		const struct nlattr *nla = (void *)at;

		if (nla->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(const uint16_t *)(nla + 1);
		at += NLA_ALIGN(nla->nla_len);
	}
	return 0;
}

/* Read the first part of a dump, stay a moment, leave the rest. */
static int half_read(struct tally *t)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char buffer[4096];
	int fd, id;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		return fail("netlink: %m");
	id = family(fd);
	if (id && !send_request(fd, id, TCPSTATE_CMD_STATE_GET, NLM_F_DUMP, NULL) &&
	    recv(fd, buffer, sizeof(buffer), 0) > (ssize_t)NLMSG_LENGTH(GENL_HDRLEN)) {
		t->done[DISTURB_HALF_READ]++;
		nap(now_ms());
	}
	close(fd);
	return 0;
}

/* A namespace that dies with one connection established and one in TIME_WAIT. */
static int die(struct tally *t)
{
	struct pair p, q;
	struct ns ns;

	pair_init(&p, IPV4, PORT);
	pair_init(&q, IPV6, PORT + 1);
	if (ns_new(&ns, NULL) || pair_open_local(&ns, &p) || pair_open_local(&ns, &q) ||
	    pair_to_time_wait(&p))
		return -1;
	/* The namespace first, then what is in it. */
	ns_drop(&ns);
	pair_close(&p);
	pair_close(&q);
	t->done[DISTURB_DIE]++;
	return 0;
}

static void disturb(int what, struct tally *t)
{
	static int (*const how[DISTURBERS])(struct tally *t) = { ask, half_read, die };

	/* A moment for the others between two turns. */
	while (!how[what](t))
		poll(NULL, 0, 20);
	snprintf(t->trouble, sizeof(t->trouble), "%s: %.250s", names[what], why());
	_exit(1);
}

int disturb_start(struct disturb *d)
{
	int i;

	memset(d, 0, sizeof(*d));
	d->tally = mmap(NULL, sizeof(*d->tally), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->tally == MAP_FAILED)
		return fail("mmap: %m");
	fflush(NULL);
	for (i = 0; i < DISTURBERS; i++) {
		d->pid[i] = fork();
		if (d->pid[i] < 0)
			return fail("fork: %m");
		if (!d->pid[i])
			disturb(i, d->tally);
	}
	return 0;
}

uint64_t disturb_done(const struct disturb *d, int what)
{
	return __atomic_load_n(&d->tally->done[what], __ATOMIC_RELAXED);
}

int disturb_check(const struct disturb *d)
{
	return *d->tally->trouble ? fail("%s", d->tally->trouble) : 0;
}

void disturb_stop(struct disturb *d)
{
	int i;

	for (i = 0; i < DISTURBERS; i++) {
		if (d->pid[i] <= 0)
			continue;
		kill(d->pid[i], SIGKILL);
		wait_for_exit(d->pid[i]);
		d->pid[i] = 0;
	}
}
