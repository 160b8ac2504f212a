// SPDX-License-Identifier: GPL-2.0
/*
 * Local ports: connect() and bind() calls that are refused one are told from
 * all those that fail for another reason, and what holds each port is what ss
 * shows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "room.h"

#define SECONDS	240
#define LOW	40000
#define HIGH	40019
#define PORTS	(HIGH - LOW + 1)

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

FIXTURE(ports) {
	struct room_rig base;
};

FIXTURE_SETUP(ports)
{
	CHECK(room_up(&self->base, NULL));
	CHECK(range_set(CLIENT, LOW, HIGH));
}

FIXTURE_TEARDOWN(ports)
{
	EXPECT_OK(room_down(&self->base));
}

static const struct target target = { .family = IPV4, .port = PORT };

/* connect() of @fd, blocking, as the caller's errno. */
static int dial_blocking(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = server_address(&sa, IPV4, PORT);

	set_nonblocking(fd, false);
	return connect(fd, (struct sockaddr *)&sa, len) ? errno : 0;
}

static int disconnect(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	return connect(fd, &sa, sizeof(sa)) ? fail("AF_UNSPEC: %m") : 0;
}

static int failures_are(const struct ns *ns, uint64_t expected)
{
	struct summary summary;
	struct room room;

	if (room_read(ns, &target, &room) || summary_read(ns, &summary))
		return -1;
	return room.failures == expected && summary.connect_failures == expected ? 0 :
	       fail("%ju and %ju failures where %ju are right", room.failures,
		    summary.connect_failures, expected);
}

/* Every way in which the last port can be missed counts, once. */
TEST_F_TIMEOUT(ports, refused_a_port, SECONDS)
{
	uint64_t refused = 1;
	int used, fd, on = 1;

	CHECK(wire(CLIENT, LOSE));
	/* A socket that had a port before, and keeps its number. */
	used = target_socket(CLIENT, &target);
	ASSERT_EQ(0, target_dial(used, &target));
	CHECK(disconnect(used));
	ASSERT_EQ(PORTS, open_until_refused(CLIENT, &target, CROWD, PORTS + 1));
	CHECK(failures_are(CLIENT, refused));

	ASSERT_EQ(EADDRNOTAVAIL, target_dial(used, &target));
	CHECK(failures_are(CLIENT, ++refused));
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(used));
	CHECK(failures_are(CLIENT, ++refused));
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(used));
	CHECK(failures_are(CLIENT, ++refused));
	close(used);

	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(fd));
	CHECK(failures_are(CLIENT, ++refused));
	close(fd);

	/* With TCP fast open the port is chosen by connect(), too. */
	fd = target_socket(CLIENT, &target);
	CHECK(set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
	ASSERT_EQ(EADDRNOTAVAIL, target_dial(fd, &target));
	CHECK(failures_are(CLIENT, ++refused));
	close(fd);

	/* An address bound to without a port. */
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(0, setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)));
	{
		struct sockaddr_storage sa;
		socklen_t len = client_address(&sa, IPV4, 0);

		ASSERT_EQ(0, bind(fd, (struct sockaddr *)&sa, len));
	}
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(fd));
	CHECK(failures_are(CLIENT, ++refused));
	close(fd);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Everything else that fails does not, be there a port or be there none. */
TEST_F_TIMEOUT(ports, refused_otherwise, SECONDS)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct sockaddr_storage sa;
	int fd, other, i;
	socklen_t len;

	/* Refused by the peer: blocking, non-blocking, a reused descriptor. */
	fd = target_socket(CLIENT, &target);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(ECONNREFUSED, dial_blocking(fd));
	close(fd);
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(0, target_dial(fd, &target));
	ASSERT_NE(0, tcp_finish_dial(fd));
	close(fd);

	CHECK(wire(CLIENT, LOSE));
	/* Interrupted, closed, aborted, disconnected while connecting. */
	sigaction(SIGALRM, &action, NULL);
	fd = target_socket(CLIENT, &target);
	{
		struct timeval none = { };

		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	}
	alarm(1);
	ASSERT_EQ(EINTR, dial_blocking(fd));
	close(fd);
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(0, target_dial(fd, &target));
	CHECK(disconnect(fd));
	ASSERT_EQ(0, target_dial(fd, &target));
	CHECK(close_reset(&fd));
	/* Given up by the kernel, at a socket used before. */
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_syn_retries", "1"));
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(ETIMEDOUT, dial_blocking(fd));
	ASSERT_EQ(ETIMEDOUT, dial_blocking(fd));
	close(fd);
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_syn_retries", "20"));
	/* A deferred TCP fast open that is closed before it has sent. */
	fd = target_socket(CLIENT, &target);
	CHECK(set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
	ASSERT_EQ(0, target_dial(fd, &target));
	close(fd);
	/* The tuple of a bound port is taken. */
	fd = tcp_dial(CLIENT, IPV4, PORT, 50000);
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	other = tcp_socket(CLIENT, IPV4);
	len = client_address(&sa, IPV4, 50000);
	ASSERT_EQ(0, bind(other, (struct sockaddr *)&sa, len));
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(other));
	ASSERT_EQ(EADDRNOTAVAIL, dial_blocking(other));
	close(other);
	CHECK(failures_are(CLIENT, 0));

	/* No route, and an address that is nobody's. */
	CHECK(run(CLIENT, "ip route add unreachable 10.9.0.2/32"));
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(EHOSTUNREACH, dial_blocking(fd));
	close(fd);
	CHECK(run(CLIENT, "ip route del unreachable 10.9.0.2/32"));
	CHECK(failures_are(CLIENT, 0));
	CHECK(same_as_ss(CLIENT));
}

/* A packet filter that answers at once, within connect(). */
TEST_F_TIMEOUT(ports, refused_by_filter, SECONDS)
{
	int fd;

	if (run(CLIENT, "nft add table ip t && nft 'add chain ip t out { type filter hook output "
		"priority 0; }' && nft add rule ip t out tcp dport %u reject with tcp reset", PORT))
		SKIP(return, "no nft: %s", why());
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(ECONNREFUSED, dial_blocking(fd));
	ASSERT_EQ(ECONNREFUSED, dial_blocking(fd));
	close(fd);
	CHECK(run(CLIENT, "nft flush chain ip t out && nft add rule ip t out tcp dport %u drop",
		  PORT));
	fd = target_socket(CLIENT, &target);
	ASSERT_EQ(0, target_dial(fd, &target));
	close(fd);
	CHECK(failures_are(CLIENT, 0));
}

/* A socket's own range says nothing of the others' room. */
TEST_F_TIMEOUT(ports, own_range, SECONDS)
{
	/* One port; it only counts within the namespace's range. */
	uint32_t own = (uint32_t)(LOW + 5) << 16 | (LOW + 5);
	struct summary summary;
	struct room room;
	int fd, i, refused = 0;

	CHECK(wire(CLIENT, LOSE));
	for (i = 0; i < 4; i++) {
		fd = target_socket(CLIENT, &target);
		if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &own, sizeof(own)))
			SKIP(return, "no IP_LOCAL_PORT_RANGE");
		refused += target_dial(fd, &target) == EADDRNOTAVAIL;
		CHECK(crowd_add(CROWD, fd));
	}
	ASSERT_EQ(3, refused);
	CHECK(room_read(CLIENT, &target, &room));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(3, room.own_range_failures);
	ASSERT_EQ(3, summary.own_range_failures);
	ASSERT_EQ(0, room.failures);
	ASSERT_EQ(1, room.used);
	ASSERT_EQ(PORTS, room.capacity);
}

/* Who was refused last: also after it is gone, then without its pid. */
TEST_F_TIMEOUT(ports, named, SECONDS)
{
	struct room room;
	int status;
	pid_t pid;

	CHECK(wire(CLIENT, LOSE));
	ASSERT_EQ(PORTS, open_until_refused(CLIENT, &target, CROWD, PORTS));
	pid = fork();
	if (!pid) {
		int fd = target_socket(CLIENT, &target);

		prctl(PR_SET_NAME, "somebody");
		if (setresuid(1234, 1234, 1234))
			_exit(2);
		_exit(target_dial(fd, &target) == EADDRNOTAVAIL ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	CHECK(room_read(CLIENT, &target, &room));
	ASSERT_STREQ("somebody", room.failed_comm);
	ASSERT_EQ(1234, room.failed_uid);
	ASSERT_EQ(1, room.failures);
}

static int bind_to(const struct ns *ns, unsigned int port, bool reuse, struct crowd *crowd)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, IPV4, "0.0.0.0", "::", port);
	int fd = tcp_socket(ns, IPV4);

	if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, reuse) || crowd_add(crowd, fd))
		return -1;
	return bind(fd, (struct sockaddr *)&sa, len) ? errno : 0;
}

/* 19: bind() to port 0 that finds none, and those that fail otherwise. */
TEST_F_TIMEOUT(ports, bind_refused, SECONDS)
{
	struct summary summary;
	int fd, i;

	for (i = 0; i < PORTS; i++)
		ASSERT_EQ(0, bind_to(CLIENT, 0, false, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(0, summary.bind_failures);
	ASSERT_EQ(PORTS, summary.bind_blocked);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(EADDRINUSE, bind_to(CLIENT, 0, false, CROWD));
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(5, summary.bind_failures);
	/* A port asked for by number is another matter. */
	ASSERT_EQ(EADDRINUSE, bind_to(CLIENT, LOW + 1, false, CROWD));
	ASSERT_EQ(EADDRINUSE, bind_to(CLIENT, LOW + 1, true, CROWD));
	/* listen() of an unbound socket looks for a port like bind() to 0. */
	fd = tcp_socket(CLIENT, IPV4);
	CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0));
	ASSERT_NE(0, listen(fd, 1));
	close(fd);
	CHECK(summary_read(CLIENT, &summary));
	ASSERT_EQ(6, summary.bind_failures);
	ASSERT_EQ(0, summary.bind_missed);
	ASSERT_EQ(0, summary.connect_failures);
	CHECK(summary_read(SERVER, &summary));
	ASSERT_EQ(0, summary.bind_failures);
	/* Every port is taken from every connect(). */
	CHECK(wire(CLIENT, LOSE));
	ASSERT_EQ(0, open_until_refused(CLIENT, &target, CROWD, 1));
	CHECK(failures_are(CLIENT, 1));
}

struct use {
	unsigned int sockets, time_wait, close_wait, listen;
};

static unsigned int number_of(struct json_object *row, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(row, key, &o) && o ? json_object_get_int(o) : 0;
}

static int port_uses(const struct ns *ns, struct use *table)
{
	struct json_object *list;
	size_t i;
	int status;

	list = cli_json(ns, "-j port", &status);
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);

		table[number_of(row, "port") & 65535] = (struct use){
			.sockets = number_of(row, "sockets"),
			.time_wait = number_of(row, "time_wait"),
			.close_wait = number_of(row, "close_wait"),
			.listen = number_of(row, "listen"),
		};
	}
	json_object_put(list);
	return status ? fail("tcpstate-cli port ended with %d", status) : 0;
}

static int ss_uses(const struct ns *ns, struct use *table)
{
	char *copy, *line, *next, state[32], local[80];
	unsigned int n = 0;

	if (run(ns, "ss -Htan | awk '{ print $1, $4 }'"))
		return -1;
	copy = strdup(output());
	for (line = strtok_r(copy, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		struct use *use;

		if (sscanf(line, "%31s %79s", state, local) != 2)
			continue;
		use = &table[atoi(strrchr(local, ':') + 1) & 65535];
		use->sockets++;
		use->time_wait += !strcmp(state, "TIME-WAIT");
		use->close_wait += !strcmp(state, "CLOSE-WAIT");
		use->listen += !strcmp(state, "LISTEN");
		n++;
	}
	free(copy);
	return n;
}

static int uses_as_ss(const struct ns *ns)
{
	struct use *cli = calloc(2 * 65536, sizeof(*cli)), *ss = cli + 65536;
	int rc = 0, i;

	if (port_uses(ns, cli) || ss_uses(ns, ss) < 0)
		rc = -1;
	for (i = 0; i < 65536 && !rc; i++)
		if (memcmp(&cli[i], &ss[i], sizeof(*cli)))
			rc = fail("port %d: %u/%u/%u/%u where ss has %u/%u/%u/%u", i,
				  cli[i].sockets, cli[i].time_wait, cli[i].close_wait,
				  cli[i].listen, ss[i].sockets, ss[i].time_wait,
				  ss[i].close_wait, ss[i].listen);
	free(cli);
	return rc;
}

/* 25, 26: what holds a port is what ss shows; the server's own costs no room. */
TEST_F_TIMEOUT(ports, as_ss, SECONDS)
{
	struct summary summary;
	struct pair other;
	size_t n;
	int i, fd;

	CHECK(pair_listen(NET, &self->base.pair));
	for (i = 0; i < 4; i++) {
		CHECK(pair_open(NET, &self->base.pair));
		CHECK(pair_to_time_wait(&self->base.pair));
		/* The server closes first. */
		CHECK(pair_open(NET, &self->base.pair));
		shutdown(self->base.pair.server, SHUT_WR);
		CHECK(read_to_end(self->base.pair.client, &n));
		close_fd(&self->base.pair.client);
		close_fd(&self->base.pair.server);
	}
	CHECK(pair_open(NET, &self->base.pair));
	close_fd(&self->base.pair.client);
	pair_init(&other, IPV6, PORT + 1);
	CHECK(pair_open(NET, &other));
	fd = target_connect(CLIENT, &target);
	ASSERT_GE(fd, 0) TH_LOG("%s", why());
	CHECK(crowd_add(CROWD, fd));
	ASSERT_TRUE(WAIT_FOR(!uses_as_ss(CLIENT), PATIENCE_MS)) TH_LOG("%s", why());
	ASSERT_TRUE(WAIT_FOR(!uses_as_ss(SERVER), PATIENCE_MS)) TH_LOG("%s", why());
	CHECK(run(SERVER, "tcpstate-cli -j dest | grep -qx '\\[\\]'"));
	CHECK(summary_read(SERVER, &summary));
	ASSERT_EQ(2, summary.in_use);
	ASSERT_EQ(0, summary.destinations);
	pair_close(&other);
}

/* 20: a client's bound port in TIME_WAIT cannot be bound again without SO_REUSEADDR. */
TEST_F_TIMEOUT(ports, bound_client_again, SECONDS)
{
	struct use *table = calloc(65536, sizeof(*table));

	self->base.pair.from = 12345;
	CHECK(pair_open(NET, &self->base.pair));
	CHECK(pair_to_time_wait(&self->base.pair));
	CHECK(port_uses(CLIENT, table));
	ASSERT_EQ(1, table[12345].sockets);
	ASSERT_EQ(1, table[12345].time_wait);
	ASSERT_EQ(EADDRINUSE, bind_to(CLIENT, 12345, false, CROWD));
	ASSERT_EQ(0, bind_to(CLIENT, 12345, true, CROWD));
	free(table);
}

/* 21: a server that closed first cannot be started again without it, can with it. */
TEST_F_TIMEOUT(ports, server_again, SECONDS)
{
	struct use *table = calloc(65536, sizeof(*table));
	size_t n;

	CHECK(pair_open(NET, &self->base.pair));
	shutdown(self->base.pair.server, SHUT_WR);
	CHECK(read_to_end(self->base.pair.client, &n));
	close_fd(&self->base.pair.client);
	pair_close(&self->base.pair);
	ASSERT_TRUE(WAIT_FOR(!port_uses(SERVER, table) && table[PORT].time_wait == 1 &&
			     table[PORT].sockets == 1, PATIENCE_MS));
	ASSERT_EQ(EADDRINUSE, bind_to(SERVER, PORT, false, CROWD));
	ASSERT_EQ(0, bind_to(SERVER, PORT, true, CROWD));
	free(table);
}

TEST_HARNESS_MAIN
