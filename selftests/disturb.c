// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disturb.h"

/* Those that ask, and those that set. */
static const struct {
	const char *line;
	/* What else but 0 is an answer, and what none; 3 is that there is no module. */
	unsigned char answers[2], none;
} commands[] = {
	{ .line = "tcpstate-cli -j -a state" },
	{ .line = "tcpstate-cli state" },
	{ .line = "tcpstate-cli -a audit" },
	{ .line = "tcpstate-cli" },
	{ .line = "tcpstate-cli -a conn" },
	{ .line = "tcpstate-cli -a conn top 10" },
	{ .line = "tcpstate-cli -j -a conn stuck" },
	{ .line = "tcpstate-cli -a conn pid 1" },
	{ .line = "tcpstate-cli -a owner" },
	{ .line = "tcpstate-cli -j -a owner by pid" },
	{ .line = "tcpstate-cli owner comm sh" },
	{ .line = "tcpstate-cli -a dest" },
	{ .line = "tcpstate-cli -a port" },
	{ .line = "tcpstate-cli port 7000" },
	{ .line = "tcpstate-cli -a port summary" },
	{ .line = "tcpstate-cli config" },
	{ .line = "tcpstate-cli config set close-wait-warning 60" },
	{ .line = "tcpstate-cli -a check", .answers = { 1, 2 } },
	/*
	 * It ends with 3 when the module goes, too; with 130 where the signal comes
	 * before it is heeded.
	 */
	{ .line = "timeout --preserve-status -s INT ${TCPSTATE_SLOW:-1} tcpstate-cli -a monitor",
	  .answers = { 3 }, .none = 130 },
};

#define COMMANDS	(sizeof(commands) / sizeof(*commands))

/* Dumps that take more than one message. */
static const struct {
	int cmd, all_netns, by;
} dumps[] = {
	{ .cmd = TCPSTATE_CMD_STATE_GET },
	{ .cmd = TCPSTATE_CMD_CONN_GET, .all_netns = TCPSTATE_A_CONN_ALL_NETNS },
	{ .cmd = TCPSTATE_CMD_OWNER_GET, .all_netns = TCPSTATE_A_OWNER_ALL_NETNS,
	  .by = TCPSTATE_A_OWNER_BY },
	{ .cmd = TCPSTATE_CMD_DEST_GET, .all_netns = TCPSTATE_A_DEST_ALL_NETNS },
	{ .cmd = TCPSTATE_CMD_PORT_GET, .all_netns = TCPSTATE_A_PORT_ALL_NETNS },
};

#define DUMPS		(sizeof(dumps) / sizeof(*dumps))

struct tally {
	uint64_t done[DISTURBERS];
	uint64_t answered[COMMANDS], half_read[DUMPS];
	char trouble[300];
};

static const char *const names[DISTURBERS] = {
	"answers", "half-read dumps", "dead namespaces", "refused connect()",
};

/* A command that asks: it is answered, or told that there is no module. */
static int ask(struct tally *t)
{
	static unsigned int turn;
	unsigned int i = turn % COMMANDS;
	int status = run_status(NULL, "%s", commands[i].line);

	if (!status || status == commands[i].answers[0] || status == commands[i].answers[1]) {
		t->done[DISTURB_ASK]++;
		t->answered[i]++;
		turn++;
		return 0;
	}
	/* Once more, or what follows the monitor would always find the module gone. */
	return status == 3 || status == commands[i].none ? 0 :
	       fail("'%s' ended with %d: %.200s", commands[i].line, status, output());
}

void request_begin(struct request *r, int type, int cmd, int flags)
{
	memset(r, 0, sizeof(*r));
	r->nlh = (struct nlmsghdr){
		.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN), .nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = 1,
	};
	r->genl.cmd = cmd;
	r->genl.version = 1;
}

void request_put(struct request *r, int type, const void *data, size_t size)
{
	struct nlattr *nla = (void *)((char *)r + r->nlh.nlmsg_len);

	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + size;
	memcpy(nla + 1, data, size);
	r->nlh.nlmsg_len += NLA_ALIGN(nla->nla_len);
}

int request_send(int fd, const struct request *r)
{
	return send(fd, r, r->nlh.nlmsg_len, 0) < 0 ? -1 : 0;
}

int request_family(int fd)
{
	char buffer[8192], *at, *end;
	struct nlmsghdr *nlh = (void *)buffer;
	struct request r;
	ssize_t n;

	request_begin(&r, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	request_put(&r, CTRL_ATTR_FAMILY_NAME, TCPSTATE_FAMILY_NAME, sizeof(TCPSTATE_FAMILY_NAME));
	if (request_send(fd, &r))
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

static int send_dump(int fd, int id, unsigned int i)
{
	uint32_t by = TCPSTATE_OWNER_KEY_PID;
	struct request r;

	request_begin(&r, id, dumps[i].cmd, NLM_F_DUMP);
	if (dumps[i].all_netns)
		request_put(&r, dumps[i].all_netns, "", 0);
	if (dumps[i].by)
		request_put(&r, dumps[i].by, &by, sizeof(by));
	return request_send(fd, &r);
}

/* Read the first part of a dump, stay a moment, leave the rest. */
static int half_read(struct tally *t)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	static unsigned int turn;
	unsigned int i = turn++ % DUMPS;
	struct nlmsghdr *nlh;
	char buffer[4096];
	ssize_t n;
	int fd, id;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		return fail("netlink: %m");
	id = request_family(fd);
	nlh = (void *)buffer;
	n = !id || send_dump(fd, id, i) ? -1 : recv(fd, buffer, sizeof(buffer), 0);
	/* An error, or a module that is on its way, is no part of a dump. */
	if (n > (ssize_t)NLMSG_LENGTH(GENL_HDRLEN) && nlh->nlmsg_type == id) {
		t->done[DISTURB_HALF_READ]++;
		t->half_read[i]++;
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

#define STARVED_RANGE	"40000 40003"
#define STARVED_PORTS	4
#define LEAK_MS		3000

/* A namespace with these ports only; a time-out of 1 s where there is a module to take it. */
static int starve_begin(struct ns *ns, struct pair leaks[2])
{
	int status;

	pair_init(&leaks[0], IPV4, PORT);
	pair_init(&leaks[1], IPV6, PORT + 1);
	if (ns_new(ns, NULL) ||
	    sysctl_set(ns, "net/ipv4/ip_local_port_range", STARVED_RANGE))
		return -1;
	status = run_status(ns, "tcpstate-cli config set close-wait-warning 1");
	return status && status != 3 ? fail("config set: %s", output()) : 0;
}

/* Connect to one destination until a port is refused; then reset them all. */
static int starve_once(const struct ns *ns, const struct pair *leak, bool *refused)
{
	int client[STARVED_PORTS + 1], server[STARVED_PORTS + 1], n = 0, rc = 0;
	struct sockaddr_storage sa;
	socklen_t len = local_address(&sa, leak->family, leak->port);

	*refused = false;
	while (!rc && !*refused && n <= STARVED_PORTS) {
		client[n] = tcp_socket(ns, leak->family);
		if (client[n] < 0)
			return -1;
		if (!connect(client[n], (struct sockaddr *)&sa, len)) {
			server[n] = tcp_accept(leak->listener);
			rc = server[n] < 0 ? -1 : 0;
			n++;
			continue;
		}
		*refused = errno == EADDRNOTAVAIL;
		rc = *refused ? 0 : fail("connect: %m");
		close(client[n]);
	}
	while (n--) {
		rc = close_reset(&client[n]) || rc ? -1 : 0;
		close_fd(&server[n]);
	}
	return rc;
}

/*
 * connect() that finds no port, and a connection that is left in CLOSE_WAIT for
 * three times as long as the threshold.
 */
static int starve(struct tally *t)
{
	static struct ns ns = { .fd = -1 };
	static struct pair leaks[2];
	static unsigned int turn;
	static uint64_t since;
	struct pair *leak;
	bool refused;

	if (ns.fd < 0 && starve_begin(&ns, leaks))
		return -1;
	leak = &leaks[turn % 2];
	if (leak->client < 0) {
		if (pair_open_local(&ns, leak) || shutdown(leak->client, SHUT_WR))
			return -1;
		since = now_ms();
	}
	if (starve_once(&ns, leak, &refused))
		return -1;
	t->done[DISTURB_STARVE] += refused;
	if (now_ms() < since + LEAK_MS)
		return 0;
	if (close_reset(&leak->server))
		return -1;
	close_fd(&leak->client);
	turn++;
	return 0;
}

static void disturb(int what, struct tally *t)
{
	static int (*const how[DISTURBERS])(struct tally *t) = { ask, half_read, die, starve };

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

int disturb_all_done(const struct disturb *d)
{
	unsigned int i;

	for (i = 0; i < COMMANDS; i++)
		if (!__atomic_load_n(&d->tally->answered[i], __ATOMIC_RELAXED))
			return fail("'%s' was never answered", commands[i].line);
	for (i = 0; i < DUMPS; i++)
		if (!__atomic_load_n(&d->tally->half_read[i], __ATOMIC_RELAXED))
			return fail("no dump of command %d was half read", dumps[i].cmd);
	return 0;
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
