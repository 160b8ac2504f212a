// SPDX-License-Identifier: GPL-2.0
/* Two namespaces with a wire between them, and connections over it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kselftest.h"
#include "util.h"

#define CLIENT4	"10.9.0.1"
#define SERVER4	"10.9.0.2"
#define CLIENT6	"fd09::1"
#define SERVER6	"fd09::2"
#define CLIENT_MAC "02:00:00:00:00:01"
#define SERVER_MAC "02:00:00:00:00:02"

/* One end; neighbours are fixed, so that only TCP's own packets can be lost. */
static int end_up(const struct ns *ns, const char *own4, const char *own6,
		  const char *peer4, const char *peer6, const char *mac)
{
	return run(ns, "ip -batch - <<END\n"
		   "addr add %s/24 dev wire\n"
		   "addr add %s/64 dev wire nodad\n"
		   "link set wire up\n"
		   "neigh add %s lladdr %s dev wire nud permanent\n"
		   "neigh add %s lladdr %s dev wire nud permanent\n"
		   "END", own4, own6, peer4, mac, peer6, mac);
}

int net_new(struct net *net)
{
	if (ns_new(&net->client, NULL) || ns_new(&net->server, NULL))
		return -1;
	if (run(&net->client, "ip link add wire address " CLIENT_MAC " type veth "
		"peer name wire address " SERVER_MAC " netns /proc/%d/fd/%d",
		getpid(), net->server.fd))
		return -1;
	if (end_up(&net->client, CLIENT4, CLIENT6, SERVER4, SERVER6, SERVER_MAC) ||
	    end_up(&net->server, SERVER4, SERVER6, CLIENT4, CLIENT6, CLIENT_MAC))
		return -1;
	return 0;
}

void net_drop(struct net *net)
{
	ns_drop(&net->client);
	ns_drop(&net->server);
}

int wire(const struct ns *ns, enum wire how)
{
	static const char *const qdisc[] = {
		[PASS] = "pfifo",
		[LOSE] = "blackhole",
		[DELAY] = "netem delay 3s",
		[HOLD] = "netem delay 200s",
	};

	return run(ns, "tc qdisc replace dev wire root %s", qdisc[how]);
}

int warm_up(void)
{
	struct net net;
	struct pair p;
	uint64_t n;
	int rc;

	pair_init(&p, IPV4, PORT);
	rc = net_new(&net) || wire(&net.client, LOSE) || wire(&net.client, DELAY) ||
	     wire(&net.client, PASS) || pair_open(&net, &p) ||
	     run(&net.client, "ss -HtnK state time-wait") ||
	     nstat(&net.client, "TcpRetransSegs", &n) ||
	     same_as_ss(&net.client) || audit(&net.client);
	pair_close(&p);
	net_drop(&net);
	return rc ? -1 : 0;
}

int domain_of(enum family family)
{
	return family == IPV4 ? AF_INET : AF_INET6;
}

socklen_t address(struct sockaddr_storage *sa, enum family family,
		  const char *host4, const char *host6, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	char mapped[64];

	memset(sa, 0, sizeof(*sa));
	sa->ss_family = domain_of(family);
	if (family == IPV4) {
		in->sin_port = htons(port);
		inet_pton(AF_INET, host4, &in->sin_addr);
		return sizeof(*in);
	}
	snprintf(mapped, sizeof(mapped), "::ffff:%s", host4);
	in6->sin6_port = htons(port);
	inet_pton(AF_INET6, family == MAPPED ? mapped : host6, &in6->sin6_addr);
	return sizeof(*in6);
}

socklen_t server_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, SERVER4, SERVER6, port);
}

socklen_t client_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, CLIENT4, CLIENT6, port);
}

socklen_t local_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, "127.0.0.1", "::1", port);
}

int set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		return fail("setsockopt(%d, %d, %d): %m", level, option, value);
	return 0;
}

int set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) ? fail("fcntl: %m") : 0;
}

int tcp_socket(const struct ns *ns, enum family family)
{
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = ns_socket(ns, domain_of(family), SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
		close(fd);
		return fail("setsockopt: %m");
	}
	return fd;
}

int tcp_listen(const struct ns *ns, enum family family, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family == MAPPED ? IPV6 : family, "0.0.0.0", "::", port);
	int fd = tcp_socket(ns, family);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 4096)) {
		close(fd);
		return fail("cannot listen: %m");
	}
	return fd;
}

int tcp_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? fail("accept: %m") : fd;
}

static int dial(const struct ns *ns, enum family family, const struct sockaddr_storage *to,
		uint16_t from, bool wait)
{
	struct sockaddr_storage sa;
	int fd = tcp_socket(ns, family);
	socklen_t len;

	if (fd < 0)
		return -1;
	len = client_address(&sa, family, from);
	if (from && bind(fd, (struct sockaddr *)&sa, len)) {
		fail("bind: %m");
		goto out;
	}
	if (!wait && set_nonblocking(fd, true))
		goto out;
	if (connect(fd, (const struct sockaddr *)to, len) && (wait || errno != EINPROGRESS)) {
		fail("connect: %m");
		goto out;
	}
	return fd;
out:
	close(fd);
	return -1;
}

int tcp_connect(const struct ns *ns, enum family family, uint16_t port, uint16_t from)
{
	struct sockaddr_storage sa;

	server_address(&sa, family, port);
	return dial(ns, family, &sa, from, true);
}

int tcp_dial(const struct ns *ns, enum family family, uint16_t port, uint16_t from)
{
	struct sockaddr_storage sa;

	server_address(&sa, family, port);
	return dial(ns, family, &sa, from, false);
}

int tcp_connect_local(const struct ns *ns, enum family family, uint16_t port)
{
	struct sockaddr_storage sa;

	local_address(&sa, family, port);
	return dial(ns, family, &sa, 0, true);
}

int tcp_finish_dial(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return fail("nobody answered");
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err)
		return fail("connect: %s", strerror(err));
	return set_nonblocking(fd, false);
}

int local_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return fail("getsockname: %m");
	return ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port :
		     ((struct sockaddr_in6 *)&sa)->sin6_port);
}

int send_bytes(int fd, size_t n)
{
	static const char zeros[65536];

	while (n) {
		ssize_t sent = send(fd, zeros, n < sizeof(zeros) ? n : sizeof(zeros),
				    MSG_NOSIGNAL);

		if (sent <= 0)
			return fail("send: %m");
		n -= sent;
	}
	return 0;
}

int read_to_end(int fd, size_t *n)
{
	char buffer[65536];
	ssize_t got;

	*n = 0;
	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		*n += got;
	return got ? fail("recv: %m") : 0;
}

static int readable(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) ? 0 : n;
}

int wait_readable(int fd, int n)
{
	if (!WAIT_FOR(readable(fd) >= n, PATIENCE_MS))
		return fail("%d of %d bytes came", readable(fd), n);
	return 0;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? -1 : info.tcpi_state;
}

int close_acknowledged(int *fd)
{
	if (shutdown(*fd, SHUT_WR))
		return fail("shutdown: %m");
	if (!WAIT_FOR(tcp_state(*fd) == TCP_FIN_WAIT2, PATIENCE_MS))
		return fail("a FIN was not acknowledged: state %d", tcp_state(*fd));
	close_fd(fd);
	return 0;
}

int close_reset(int *fd)
{
	struct linger l = { .l_onoff = 1 };

	if (setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)))
		return fail("SO_LINGER: %m");
	close_fd(fd);
	return 0;
}

int hand_to_child(int *fd, pid_t *pid)
{
	*pid = fork();
	if (*pid < 0)
		return fail("fork: %m");
	if (!*pid) {
		close_range(3, *fd - 1, 0);
		close_range(*fd + 1, ~0U, 0);
		for (;;)
			pause();
	}
	close_fd(fd);
	return 0;
}

int end_child(pid_t pid, int signal)
{
	if (kill(pid, signal))
		return fail("kill: %m");
	return wait_for_exit(pid) < 0 ? -1 : 0;
}

void pair_init(struct pair *p, enum family family, uint16_t port)
{
	*p = (struct pair){
		.family = family, .port = port, .listener = -1, .client = -1, .server = -1,
	};
}

int pair_listen(const struct net *net, struct pair *p)
{
	p->listener = tcp_listen(&net->server, p->family, p->port);
	return p->listener < 0 ? -1 : 0;
}

static int pair_accept(struct pair *p)
{
	if (p->client < 0)
		return -1;
	p->server = tcp_accept(p->listener);
	return p->server < 0 ? -1 : 0;
}

int pair_open(const struct net *net, struct pair *p)
{
	if (p->listener < 0 && pair_listen(net, p))
		return -1;
	p->client = tcp_connect(&net->client, p->family, p->port, p->from);
	return pair_accept(p);
}

int pair_dial(const struct net *net, struct pair *p)
{
	p->client = tcp_dial(&net->client, p->family, p->port, p->from);
	return p->client < 0 ? -1 : 0;
}

int pair_open_local(const struct ns *ns, struct pair *p)
{
	if (p->listener < 0)
		p->listener = tcp_listen(ns, p->family, p->port);
	if (p->listener < 0)
		return -1;
	p->client = tcp_connect_local(ns, p->family, p->port);
	return pair_accept(p);
}

int pair_to_time_wait(struct pair *p)
{
	size_t n;

	if (shutdown(p->client, SHUT_WR))
		return fail("shutdown: %m");
	if (read_to_end(p->server, &n))
		return -1;
	close_fd(&p->server);
	if (read_to_end(p->client, &n))
		return -1;
	close_fd(&p->client);
	return 0;
}

int pair_to_server_time_wait(struct pair *p)
{
	size_t n;

	if (shutdown(p->server, SHUT_WR))
		return fail("shutdown: %m");
	if (read_to_end(p->client, &n))
		return -1;
	close_fd(&p->client);
	close_fd(&p->server);
	return 0;
}

void pair_close(struct pair *p)
{
	close_fd(&p->client);
	close_fd(&p->server);
	close_fd(&p->listener);
}

/* --- what each test stands on --- */

int rig_up(struct rig *rig, const char *parameters)
{
	rig->net.client.fd = -1;
	rig->net.server.fd = -1;
	if (kmsg_open(&rig->log))
		return -1;
	/* Left by a test that was killed at its time limit. */
	if (module_loaded() && module_unload())
		return -1;
	if (module_load(parameters))
		return -1;
	return net_new(&rig->net);
}

static int down(struct rig *rig, struct kmsg_allowed *allowed, size_t n)
{
	int rc = 0;

	if (rig->net.client.fd >= 0 && audit(&rig->net.client))
		rc = -1;
	if (rig->net.server.fd >= 0 && audit(&rig->net.server))
		rc = -1;
	net_drop(&rig->net);
	if (module_unload() || kmsg_check_allowing(&rig->log, allowed, n))
		rc = -1;
	return rc;
}

int rig_down(struct rig *rig)
{
	return down(rig, NULL, 0);
}

int rig_down_alerted(struct rig *rig)
{
	struct kmsg_allowed allowed[] = {
		{ .words = "tcpstate: netns " },
		{ .words = "refusing to load" },	/* on purpose */
	};

	return down(rig, allowed, ARRAY_SIZE(allowed));
}
