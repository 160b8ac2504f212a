// SPDX-License-Identifier: GPL-2.0
/*
 * Scenarios 1 to 15: connections over IPv4, IPv6 and mapped addresses are
 * taken through their lives one state at a time. At each stop ss must show
 * what the scenario says, in both namespaces, and tcpstate what ss shows; at
 * the end the transitions must be exactly those that the scenario makes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <json-c/json.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "listing.h"
#include "util.h"

#define SECONDS	120

FIXTURE(states) {
	struct rig rig;
	struct pair pairs[FAMILIES];
};

FIXTURE_SETUP(states)
{
	int f;

	for (f = IPV4; f < FAMILIES; f++)
		pair_init(&self->pairs[f], f, PORT + f);
	CHECK(rig_up(&self->rig, NULL));
}

FIXTURE_TEARDOWN(states)
{
	int f;

	for (f = IPV4; f < FAMILIES; f++)
		pair_close(&self->pairs[f]);
	EXPECT_OK(rig_down_alerted(&self->rig));
}

#define NET	(&self->rig.net)
#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)

/* Every scenario is gone through by a connection of each family, all at once. */
#define EACH_OF(of, p)	for (struct pair *(p) = (of); (p) < (of) + FAMILIES; (p)++)
#define EACH(p)			EACH_OF(self->pairs, p)

/* What either namespace holds now, of each family. */
#define STEP(client_has, server_has) do {			\
	CHECK(step(CLIENT, EACH_FAMILY, client_has));		\
	CHECK(step(SERVER, EACH_FAMILY, server_has));		\
} while (0)

#define OPEN()	EACH(each) CHECK(pair_open(NET, each))

/* What a connection does at its two ends before it closes. */
#define OPENED		"CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 "
#define LISTENED	"CLOSE>LISTEN=1 "
#define ACCEPTED	"CLOSE>SYN_RECV=1 SYN_RECV>ESTABLISHED=1 "
/* The active close and the passive one, whole. */
#define CLOSED_FIRST	"ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1 "
#define CLOSED_SECOND	"ESTABLISHED>CLOSE_WAIT=1 CLOSE_WAIT>LAST_ACK=1 LAST_ACK>CLOSE=1 "

#define EDGES(ns, moves)	CHECK(edges(ns, FAMILIES, moves))

/* 1: every state of an ordinary close, the sockets held until the end. */
TEST_F_TIMEOUT(states, active_close, SECONDS)
{
	STEP("", "");
	EACH(p)
		CHECK(pair_listen(NET, p));
	STEP("", "LISTEN=1");
	OPEN();
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(wire(CLIENT, LOSE));
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(wire(CLIENT, PASS));
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(wire(SERVER, LOSE));
	EACH(p)
		close_fd(&p->server);
	STEP("FIN_WAIT2=1", "LISTEN=1 LAST_ACK=1");
	CHECK(wire(SERVER, PASS));
	STEP("TIME_WAIT=1", "LISTEN=1");
	EACH(p) {
		close_fd(&p->client);
		close_fd(&p->listener);
	}
	STEP("TIME_WAIT=1", "");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND "LISTEN>CLOSE=1");
}

/* Three orphans or more, of a limit of which they are half: told, listed, and judged. */
static int orphans_are_told(void)
{
	char limit[32];
	int rc;

	if (sysctl_get(NULL, "net/ipv4/tcp_max_orphans", limit, sizeof(limit)))
		return -1;
	/* sockstat and tcpstate-cli look one after the other: until they agree */
	rc = run(NULL, "for i in $(seq 100); do "
		 "n=$(sed -n 's/^TCP:.* orphan \\([0-9]*\\) .*/\\1/p' /proc/net/sockstat); "
		 "[ $n -ge 3 ] && echo $((2 * n)) >/proc/sys/net/ipv4/tcp_max_orphans && "
		 "tcpstate-cli -j state | "
		 "grep \"\\\"orphans\\\":{\\\"count\\\":$n,\\\"limit\\\":$((2 * n))}\" && "
		 "[ $(tcpstate-cli -aj conn orphan | grep -o '\"cookie\"' | wc -l) = $n ] && "
		 "{ tcpstate-cli check --orphans 40:60; [ $? = 1 ]; } && "
		 "{ tcpstate-cli check --orphans 40:50; [ $? = 2 ]; } && "
		 "tcpstate-cli check --orphans 60:70 && exit 0; sleep 0.1; done; exit 1");
	return sysctl_set(NULL, "net/ipv4/tcp_max_orphans", limit) || rc ? -1 : 0;
}

/* 1: the same by close(): FIN_WAIT2 is a mini-socket's. */
TEST_F_TIMEOUT(states, active_close_orphan, SECONDS)
{
	OPEN();
	CHECK(wire(CLIENT, LOSE));
	EACH(p)
		close_fd(&p->client);
	STEP("FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(orphans_are_told());
	CHECK(wire(CLIENT, PASS));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(run(CLIENT, "tcpstate-cli conn orphan | grep -qx 'no such connection'"));
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* 2: FIN and ACK in one segment; Linux passes through FIN_WAIT2 all the same. */
TEST_F_TIMEOUT(states, fin_and_ack_in_one, SECONDS)
{
	OPEN();
	CHECK(wire(SERVER, LOSE));
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT1=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->server);
	STEP("FIN_WAIT1=1", "LISTEN=1 LAST_ACK=1");
	CHECK(wire(SERVER, PASS));
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* What is sent meanwhile at both ends crosses; what answers it will not get there. */
static int wires(const struct net *net, enum wire how)
{
	return wire(&net->client, how) || wire(&net->server, how) ? -1 : 0;
}

static int fins_cross(const struct net *net, struct pair pairs[])
{
	if (wires(net, DELAY))
		return -1;
	EACH_OF(pairs, p) {
		shutdown(p->client, SHUT_WR);
		shutdown(p->server, SHUT_WR);
	}
	return wires(net, HOLD);
}

/* 3: the FINs cross: CLOSING on both sides, TIME_WAIT on both. */
TEST_F_TIMEOUT(states, closing, SECONDS)
{
	OPEN();
	CHECK(fins_cross(NET, self->pairs));
	STEP("CLOSING=1", "LISTEN=1 CLOSING=1");
	CHECK(wire(CLIENT, PASS));
	CHECK(wire(SERVER, PASS));
	STEP("TIME_WAIT=1", "LISTEN=1 TIME_WAIT=1");
	EDGES(CLIENT, OPENED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>CLOSING=1 CLOSING>TIME_WAIT=1");
	EDGES(SERVER, LISTENED ACCEPTED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>CLOSING=1 "
	      "CLOSING>TIME_WAIT=1");
}

/* 4: a half-closed connection carries data for as long as it takes. */
TEST_F_TIMEOUT(states, half_close, SECONDS)
{
	size_t n;

	OPEN();
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p) {
		CHECK(send_bytes(p->server, 30000));
		CHECK(wait_readable(p->client, 30000));
	}
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	EACH(p) {
		CHECK(read_to_end(p->client, &n));
		ASSERT_EQ(30000, n);
	}
	EDGES(CLIENT, OPENED CLOSED_FIRST);
}

/* A full FIN_WAIT2 that becomes a mini-socket has not entered it again, and is as old. */
TEST_F_TIMEOUT(states, fin_wait2_handed_over, SECONDS)
{
	struct counters full, mini, after;
	uint64_t closed;

	OPEN();
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	ASSERT_TRUE(WAIT_FOR(!cli_read(CLIENT, &full) &&
			     full.oldest_ms[ST_FIN_WAIT2] >= 500, PATIENCE_MS));
	EACH(p)
		close_fd(&p->client);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(cli_read(CLIENT, &mini));
	ASSERT_GE(mini.oldest_ms[ST_FIN_WAIT2], full.oldest_ms[ST_FIN_WAIT2]);
	closed = now_ms();
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	/* TIME_WAIT is entered, and its age begins anew. */
	CHECK(cli_read(CLIENT, &after));
	ASSERT_LE(after.oldest_ms[ST_TIME_WAIT], now_ms() - closed + 1);
	ASSERT_GE(after.dwell_max_ms[ST_FIN_WAIT2], mini.oldest_ms[ST_FIN_WAIT2]);
	EDGES(CLIENT, OPENED CLOSED_FIRST);
}

/* 5: the closer has gone, the peer never closes: tcp_fin_timeout ends it. */
TEST_F_TIMEOUT(states, fin_wait2_orphan, SECONDS)
{
	struct counters c;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fin_timeout", "8"));
	OPEN();
	EACH(p)
		CHECK(close_acknowledged(&p->client));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	STEP("", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(cli_read(CLIENT, &c));
	ASSERT_GE(c.dwell_max_ms[ST_FIN_WAIT2], 7500);
	ASSERT_EQ(0, c.expired);
	/* The peer's FIN meets nobody any more. */
	EACH(p)
		close_fd(&p->server);
	STEP("", "LISTEN=1");
	EDGES(CLIENT, OPENED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>CLOSE=1");
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* 5: beyond 60 s the full socket waits for what is more, the mini-socket for the rest. */
TEST_F_TIMEOUT(states, fin_wait2_orphan_long, SECONDS)
{
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fin_timeout", "68"));
	OPEN();
	EACH(p)
		close_fd(&p->client);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
}

/* 5: more orphans than tcp_max_orphans: a close skips the rest of its way. */
TEST_F_TIMEOUT(states, orphan_limit, SECONDS)
{
	struct { int client, server; } many[120];
	uint64_t inuse, orphaned = 0;
	struct table left;
	char expected[256];
	unsigned int i;
	char limit[32];

	for (i = 0; i < ARRAY_SIZE(many); i++) {
		struct pair *p = &self->pairs[i % FAMILIES];

		CHECK(pair_open(NET, p));
		many[i].client = p->client;
		many[i].server = p->server;
	}
	CHECK(wire(CLIENT, LOSE));
	CHECK(sysctl_get(NULL, "net/ipv4/tcp_max_orphans", limit, sizeof(limit)));
	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", "0"));
	/* The limit is held against a number that the kernel refreshes now and then. */
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		CHECK(send_bytes(many[i].client, 1));
		close(many[i].client);
		orphaned = sockstat(CLIENT, "inuse", &inuse) ? 0 : inuse;
		if (orphaned < ARRAY_SIZE(many))
			break;
		nap(now_ms());
	}
	CHECK(sysctl_set(NULL, "net/ipv4/tcp_max_orphans", limit));
	ASSERT_LT(i, ARRAY_SIZE(many)) TH_LOG("no close was cut short");
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	/* As many ends from FIN_WAIT1 as ss misses; no packet has come through. */
	CHECK(ss_read(CLIENT, &left));
	snprintf(expected, sizeof(expected), "CLOSE>SYN_SENT=120 SYN_SENT>ESTABLISHED=120 "
		 "ESTABLISHED>FIN_WAIT1=%u FIN_WAIT1>CLOSE=%ju", i + 1,
		 (uintmax_t)(ARRAY_SIZE(many) - in_any(&left)));
	CHECK(edges(CLIENT, 1, expected));
	CHECK(edges(SERVER, 1, "CLOSE>LISTEN=3 CLOSE>SYN_RECV=120 SYN_RECV>ESTABLISHED=120"));
	CHECK(wire(CLIENT, PASS));
	for (i = 0; i < ARRAY_SIZE(many); i++)
		close(many[i].server);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
}

/* An orphan in FIN_WAIT2 that gets data answers with a RST and is gone. */
TEST_F_TIMEOUT(states, data_after_close, SECONDS)
{
	OPEN();
	EACH(p)
		CHECK(close_acknowledged(&p->client));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		CHECK(send_bytes(p->server, 1));
	STEP("", "LISTEN=1");
	EDGES(CLIENT, OPENED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>CLOSE=1");
	EDGES(SERVER, LISTENED ACCEPTED "ESTABLISHED>CLOSE_WAIT=1 CLOSE_WAIT>CLOSE=1");
}

/* 6: the peer has gone, data and FIN are never acknowledged. */
TEST_F_TIMEOUT(states, fin_wait1_peer_gone, SECONDS)
{
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_orphan_retries", "3"));
	OPEN();
	CHECK(wire(CLIENT, LOSE));
	EACH(p) {
		CHECK(send_bytes(p->client, 1000));
		close_fd(&p->client);
	}
	STEP("FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1");
	STEP("", "LISTEN=1 ESTABLISHED=1");
	EDGES(CLIENT, OPENED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>CLOSE=1");
}

/* 6: the peer is there but does not read: its window is closed. */
TEST_F_TIMEOUT(states, fin_wait1_window_closed, SECONDS)
{
	static const char zeros[16384];
	size_t all[FAMILIES] = { }, n;
	ssize_t sent;

	EACH(p) {
		CHECK(pair_listen(NET, p));
		CHECK(set_option(p->listener, SOL_SOCKET, SO_RCVBUF, 4096));
	}
	OPEN();
	/* More than such a buffer takes: the FIN is behind it. */
	EACH(p) {
		CHECK(set_nonblocking(p->client, true));
		while ((sent = send(p->client, zeros, sizeof(zeros), 0)) > 0)
			all[p->family] += sent;
		ASSERT_GE(all[p->family], sizeof(zeros));
		close_fd(&p->client);
	}
	STEP("FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1");
	EACH(p) {
		CHECK(read_to_end(p->server, &n));
		ASSERT_EQ(all[p->family], n);
	}
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
}

/* The shortest and the longest that is left of a TIME_WAIT of any family. */
static int time_wait_left(const struct ns *ns, uint64_t *least, uint64_t *most)
{
	struct conn_list list;
	size_t i, n = 0;

	if (ss_list(ns, &list))
		return -1;
	*least = UINT64_MAX;
	*most = 0;
	for (i = 0; i < list.n; i++) {
		uint64_t left = list.conn[i].timeout_ms;

		if (list.conn[i].state != ST_TIME_WAIT)
			continue;
		n++;
		*least = left < *least ? left : *least;
		*most = left > *most ? left : *most;
	}
	conn_list_free(&list);
	return n == FAMILIES ? 0 : fail("%zu in TIME_WAIT", n);
}

/* 7: the last ACK is lost for a while; the re-armed TIME_WAIT is still the same. */
TEST_F_TIMEOUT(states, last_ack_retransmits, SECONDS)
{
	uint64_t before, now, least, most, later;

	OPEN();
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(wire(CLIENT, LOSE));
	CHECK(nstat(SERVER, "TcpRetransSegs", &before));
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1 LAST_ACK=1");
	ASSERT_TRUE(WAIT_FOR(!nstat(SERVER, "TcpRetransSegs", &now) &&
			     now >= before + 2 * FAMILIES, PATIENCE_MS));
	/* Each of them starts its wait again: there is more left of it than there was. */
	ASSERT_TRUE(WAIT_FOR(!time_wait_left(CLIENT, &least, &most) && most <= 57000,
			     PATIENCE_MS));
	ASSERT_TRUE(WAIT_FOR(!time_wait_left(CLIENT, &least, &later) && least > most,
			     PATIENCE_MS)) TH_LOG("%ju ms left, %ju before", (uintmax_t)least,
						  (uintmax_t)most);
	STEP("TIME_WAIT=1", "LISTEN=1 LAST_ACK=1");
	CHECK(wire(CLIENT, PASS));
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* 8: the last ACK is lost for good. */
TEST_F_TIMEOUT(states, last_ack_times_out, SECONDS)
{
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_orphan_retries", "3"));
	OPEN();
	EACH(p)
		shutdown(p->client, SHUT_WR);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(wire(CLIENT, LOSE));
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1 LAST_ACK=1");
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

static int reset_by_linger(struct pair *p)
{
	return close_reset(&p->client);
}

static int reset_by_unread(struct pair *p)
{
	if (send_bytes(p->server, 100) || wait_readable(p->client, 100))
		return -1;
	close_fd(&p->client);
	return 0;
}

static int reset_by_kill(struct pair *p)
{
	pid_t pid;

	if (send_bytes(p->server, 100) || wait_readable(p->client, 100))
		return -1;
	return hand_to_child(&p->client, &pid) ? -1 : end_child(pid, SIGKILL);
}

/* 9: a RST instead of a FIN: no TIME_WAIT anywhere. */
TEST_F_TIMEOUT(states, reset, SECONDS)
{
	static int (*const by[])(struct pair *p) = {
		reset_by_linger, reset_by_unread, reset_by_kill,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(by); i++) {
		OPEN();
		STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
		EACH(p)
			CHECK(by[i](p));
		STEP("", "LISTEN=1");
		EACH(p)
			close_fd(&p->server);
	}
	EDGES(CLIENT, "CLOSE>SYN_SENT=3 SYN_SENT>ESTABLISHED=3 ESTABLISHED>CLOSE=3");
	EDGES(SERVER, LISTENED "CLOSE>SYN_RECV=3 SYN_RECV>ESTABLISHED=3 ESTABLISHED>CLOSE=3");
}

/* 9: a RST in the middle of the teardown: TCP_LINGER2 below 0. */
TEST_F_TIMEOUT(states, reset_in_fin_wait2, SECONDS)
{
	OPEN();
	EACH(p) {
		CHECK(set_option(p->client, IPPROTO_TCP, TCP_LINGER2, -1));
		shutdown(p->client, SHUT_WR);
	}
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->client);
	STEP("", "LISTEN=1");
	EDGES(CLIENT, OPENED "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>CLOSE=1");
	EDGES(SERVER, LISTENED ACCEPTED "ESTABLISHED>CLOSE_WAIT=1 CLOSE_WAIT>CLOSE=1");
}

/* 9, 14: a killed process that has read all it got closes like any other. */
TEST_F_TIMEOUT(states, killed_process, SECONDS)
{
	pid_t pid[FAMILIES];

	OPEN();
	EACH(p)
		CHECK(hand_to_child(&p->client, &pid[p->family]));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(wire(CLIENT, LOSE));
	EACH(p)
		CHECK(end_child(pid[p->family], SIGKILL));
	STEP("FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(wire(CLIENT, PASS));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p) {
		CHECK(hand_to_child(&p->server, &pid[p->family]));
		CHECK(end_child(pid[p->family], SIGKILL));
	}
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* The number that the next byte of @fd has, its FIN if there is none. */
static int next_sequence(int fd, uint32_t *seq)
{
	socklen_t len = sizeof(*seq);

	if (set_option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) ||
	    set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE))
		return -1;
	if (getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, &len))
		return fail("TCP_QUEUE_SEQ: %m");
	return set_option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

static uint32_t sum16(const void *data, size_t n, uint32_t sum)
{
	const uint16_t *word = data;

	for (; n > 1; n -= 2)
		sum += *word++;
	return sum;
}

/* A RST from the server's @sport to the client's @dport, with that number. */
static int send_reset(const struct ns *server, enum family family, uint16_t sport,
		      uint16_t dport, uint32_t seq)
{
	enum family on_wire = family == MAPPED ? IPV4 : family;
	struct tcphdr th = {
		.source = htons(sport), .dest = htons(dport), .seq = htonl(seq),
		.doff = sizeof(th) / 4, .rst = 1,
	};
	struct sockaddr_storage from, to;
	socklen_t len = client_address(&to, on_wire, 0);
	uint32_t sum;
	ssize_t sent;
	int fd;

	server_address(&from, on_wire, 0);
	sum = htons(IPPROTO_TCP) + htons(sizeof(th));
	if (on_wire == IPV4) {
		sum = sum16(&((struct sockaddr_in *)&from)->sin_addr, 4, sum);
		sum = sum16(&((struct sockaddr_in *)&to)->sin_addr, 4, sum);
	} else {
		sum = sum16(&((struct sockaddr_in6 *)&from)->sin6_addr, 16, sum);
		sum = sum16(&((struct sockaddr_in6 *)&to)->sin6_addr, 16, sum);
	}
	sum = sum16(&th, sizeof(th), sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	th.check = ~sum;
	fd = ns_socket(server, domain_of(on_wire), SOCK_RAW, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	sent = sendto(fd, &th, sizeof(th), 0, (struct sockaddr *)&to, len);
	if (sent != sizeof(th))
		fail("sendto: %m");
	close(fd);
	return sent == sizeof(th) ? 0 : -1;
}

/* 10: a RST in its window ends TIME_WAIT, unless RFC 1337 is heeded. */
TEST_F_TIMEOUT(states, time_wait_reset, SECONDS)
{
	uint32_t seq[FAMILIES];
	int port[FAMILIES];
	struct counters c;

	OPEN();
	EACH(p) {
		port[p->family] = local_port(p->client);
		shutdown(p->client, SHUT_WR);
	}
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p) {
		CHECK(next_sequence(p->server, &seq[p->family]));
		close_fd(&p->server);
		close_fd(&p->client);
	}
	STEP("TIME_WAIT=1", "LISTEN=1");
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_rfc1337", "1"));
	EACH(p)
		CHECK(send_reset(SERVER, p->family, p->port, port[p->family],
				 seq[p->family] + 1));
	STEP("TIME_WAIT=1", "LISTEN=1");
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_rfc1337", "0"));
	EACH(p)
		CHECK(send_reset(SERVER, p->family, p->port, port[p->family],
				 seq[p->family] + 1));
	STEP("", "LISTEN=1");
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(FAMILIES, c.killed);
	EDGES(CLIENT, OPENED CLOSED_FIRST "TIME_WAIT>CLOSE=1");
}

/* 10: the server closed first; a new SYN on the same ports takes its TIME_WAIT's place. */
TEST_F_TIMEOUT(states, time_wait_new_syn, SECONDS)
{
	struct counters c;

	EACH(p)
		p->from = CLIENT_PORT + p->family;
	OPEN();
	EACH(p)
		shutdown(p->server, SHUT_WR);
	STEP("CLOSE_WAIT=1", "LISTEN=1 FIN_WAIT2=1");
	EACH(p) {
		close_fd(&p->client);
		close_fd(&p->server);
	}
	STEP("", "LISTEN=1 TIME_WAIT=1");
	OPEN();
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(cli_read(SERVER, &c));
	ASSERT_EQ(FAMILIES, c.killed);
	EDGES(SERVER, LISTENED "CLOSE>SYN_RECV=2 SYN_RECV>ESTABLISHED=2 " CLOSED_FIRST
	      "TIME_WAIT>CLOSE=1");
}

/* 10: connect() takes the only port of the range again, from its TIME_WAIT. */
TEST_F_TIMEOUT(states, time_wait_recycled, SECONDS)
{
	uint64_t before, after, refused = 0, since;
	struct counters c;
	char expected[512];

	CHECK(sysctl_set(CLIENT, "net/ipv4/ip_local_port_range", "40000 40000"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_tw_reuse", "1"));
	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &before));
	OPEN();
	EACH(p)
		CHECK(pair_to_time_wait(p));
	STEP("TIME_WAIT=1", "LISTEN=1");
	/* Not before its last time stamp is more than a second old. */
	since = now_ms();
	EACH(p) {
		while (pair_open(NET, p)) {
			ASSERT_LT(now_ms(), since + PATIENCE_MS) TH_LOG("%s", why());
			refused++;
			nap(since);
		}
	}
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &after));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(before + FAMILIES, after);
	ASSERT_EQ(FAMILIES, c.recycled);
	snprintf(expected, sizeof(expected), "CLOSE>SYN_SENT=%ju SYN_SENT>CLOSE=%ju "
		 "SYN_SENT>ESTABLISHED=6 ESTABLISHED>FIN_WAIT1=3 FIN_WAIT1>FIN_WAIT2=3 "
		 "FIN_WAIT2>TIME_WAIT=3 TIME_WAIT>CLOSE=3",
		 (uintmax_t)refused + 6, (uintmax_t)refused);
	CHECK(edges(CLIENT, 1, expected));
}

/* 10: a port bound explicitly is taken again at once. */
TEST_F_TIMEOUT(states, time_wait_recycled_bound, SECONDS)
{
	uint64_t before, after;
	struct counters c;

	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &before));
	EACH(p)
		p->from = CLIENT_PORT + p->family;
	OPEN();
	EACH(p)
		CHECK(pair_to_time_wait(p));
	STEP("TIME_WAIT=1", "LISTEN=1");
	OPEN();
	/* Before ss is asked: that no record is left of them is for it to find. */
	CHECK(audit(CLIENT));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &after));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(before + FAMILIES, after);
	ASSERT_EQ(FAMILIES, c.recycled);
	EDGES(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>ESTABLISHED=2 " CLOSED_FIRST
	      "TIME_WAIT>CLOSE=1");
}

/*
 * 10: so is that of a FIN_WAIT2 of a mini-socket, which is no TIME_WAIT's end. The server
 * knows nothing of it: it tells the new SYN that its old connection is alive, and is told
 * by a RST that it is not.
 */
TEST_F_TIMEOUT(states, fin_wait2_recycled_bound, SECONDS)
{
	uint64_t before, after;
	int old[FAMILIES];
	struct counters c;

	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &before));
	EACH(p)
		p->from = CLIENT_PORT + p->family;
	OPEN();
	EACH(p) {
		CHECK(close_acknowledged(&p->client));
		old[p->family] = p->server;
	}
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	OPEN();
	CHECK(audit(CLIENT));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(nstat(CLIENT, "TcpExtTWRecycled", &after));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(before + FAMILIES, after);
	ASSERT_EQ(0, c.expired + c.recycled + c.killed);
	EDGES(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>ESTABLISHED=2 ESTABLISHED>FIN_WAIT1=1 "
	      "FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>CLOSE=1");
	EDGES(SERVER, LISTENED "CLOSE>SYN_RECV=2 SYN_RECV>ESTABLISHED=2 "
	      "ESTABLISHED>CLOSE_WAIT=1 CLOSE_WAIT>CLOSE=1");
	EACH(p)
		close_fd(&old[p->family]);
}

/* At tcp_max_tw_buckets sockets skip TIME_WAIT, and are counted as such. */
TEST_F_TIMEOUT(states, time_wait_overflow, SECONDS)
{
	uint64_t before, after;
	struct counters c;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "1"));
	CHECK(nstat(CLIENT, "TcpExtTCPTimeWaitOverflow", &before));
	OPEN();
	EACH(p)
		CHECK(pair_to_time_wait(p));
	CHECK(step(CLIENT, ANY, "TIME_WAIT=1"));
	CHECK(nstat(CLIENT, "TcpExtTCPTimeWaitOverflow", &after));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(2, after - before);
	ASSERT_EQ(2, c.overflow);
	ASSERT_EQ(1, c.limit);
	CHECK(edges(CLIENT, 1, "CLOSE>SYN_SENT=3 SYN_SENT>ESTABLISHED=3 ESTABLISHED>FIN_WAIT1=3 "
		    "FIN_WAIT1>FIN_WAIT2=3 FIN_WAIT2>TIME_WAIT=1 FIN_WAIT2>CLOSE=2"));
}

/* What was so before the module came is not counted: overflows are since load. */
TEST_F_TIMEOUT(states, time_wait_overflow_before_load, SECONDS)
{
	uint64_t begun, loaded, after;
	struct counters c;

	CHECK(module_unload());
	CHECK(nstat(CLIENT, "TcpExtTCPTimeWaitOverflow", &begun));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_max_tw_buckets", "1"));
	OPEN();
	EACH(p)
		CHECK(pair_to_time_wait(p));
	CHECK(ss_shows(CLIENT, ANY, "TIME_WAIT=1"));
	CHECK(nstat(CLIENT, "TcpExtTCPTimeWaitOverflow", &loaded));
	ASSERT_EQ(2, loaded - begun);
	CHECK(ns_note_seed(CLIENT));
	CHECK(ns_note_seed(SERVER));
	CHECK(module_load(NULL));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(0, c.overflow);
	ASSERT_EQ(0, c.expired + c.recycled + c.killed);
	OPEN();
	EACH(p)
		CHECK(pair_to_time_wait(p));
	CHECK(step(CLIENT, ANY, "TIME_WAIT=1"));
	CHECK(nstat(CLIENT, "TcpExtTCPTimeWaitOverflow", &after));
	ASSERT_EQ(FAMILIES, after - loaded);
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(FAMILIES, c.overflow);
	/* The one that was there ends as any other does. */
	ASSERT_TRUE(WAIT_FOR(!run(CLIENT, "! ss -Htan state time-wait | grep -q ."),
			     60000 + PATIENCE_MS));
	CHECK(step(CLIENT, ANY, ""));
	CHECK(cli_read(CLIENT, &c));
	ASSERT_EQ(1, c.expired);
	ASSERT_EQ(FAMILIES, c.overflow);
}

/* 11: the server never closes: CLOSE_WAIT grows old. */
TEST_F_TIMEOUT(states, close_wait, SECONDS)
{
	uint64_t start = now_ms(), end = 1024;
	struct counters young, old, after;
	int i;

	OPEN();
	EACH(p)
		CHECK(close_acknowledged(&p->client));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(cli_read(SERVER, &young));
	ASSERT_TRUE(WAIT_FOR(!cli_read(SERVER, &old) && old.oldest_ms[ST_CLOSE_WAIT] >=
			     young.oldest_ms[ST_CLOSE_WAIT] + 1000, PATIENCE_MS));
	ASSERT_LE(old.oldest_ms[ST_CLOSE_WAIT], now_ms() - start);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	/*
	 * One stays longer than the others: their median is the next power of
	 * two (in ms) after what those stayed.
	 */
	CHECK(cli_read(SERVER, &young));
	for (i = 1; i < FAMILIES; i++)
		close_fd(&self->pairs[i].server);
	while (end < now_ms() - start)
		end *= 2;
	ASSERT_TRUE(WAIT_FOR(!cli_read(SERVER, &old) &&
			     old.oldest_ms[ST_CLOSE_WAIT] >= end + 100, PATIENCE_MS));
	close_fd(&self->pairs[0].server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	CHECK(cli_read(SERVER, &after));
	ASSERT_GE(after.dwell_max_ms[ST_CLOSE_WAIT], old.oldest_ms[ST_CLOSE_WAIT]);
	ASSERT_GE(after.dwell_p50_ms[ST_CLOSE_WAIT], young.oldest_ms[ST_CLOSE_WAIT]);
	ASSERT_LE(after.dwell_p50_ms[ST_CLOSE_WAIT], end);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

/* A connection whose server's end stays in CLOSE_WAIT, by the clock of who sees to it. */
struct stay {
	struct pair pair;
	uint64_t begins_after, begun_by, ends_after, ended_by;
	uint64_t least, most;		/* it has been as long as that */
};

/* The @i-th of them. */
static int stay_begin(const struct net *net, struct stay stays[], unsigned int i,
		      const struct pair listening[FAMILIES])
{
	struct stay *stay = &stays[i];
	struct pair *p = &stay->pair;

	*p = listening[i % FAMILIES];
	if (pair_open(net, p))
		return -1;
	stay->begins_after = now_ms();
	if (shutdown(p->client, SHUT_WR))
		return fail("shutdown: %m");
	if (!WAIT_FOR(tcp_state(p->server) == ST_CLOSE_WAIT, PATIENCE_MS))
		return fail("a FIN did not come");
	stay->begun_by = now_ms();
	return 0;
}

static void stay_end(struct stay *stay, uint64_t ms)
{
	WAIT_FOR(now_ms() - stay->begun_by >= ms, 2 * ms);
	stay->ends_after = now_ms();
	close_fd(&stay->pair.server);
	stay->ended_by = now_ms();
	close_fd(&stay->pair.client);
	/* What the kernel's clock and ours round off, and a time that is a little old. */
	stay->least = stay->ends_after - stay->begun_by - 2;
	stay->most = stay->ended_by - stay->begins_after + 2;
}

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The end of the bucket that holds it: the buckets double in width. */
static uint64_t bucket_end(uint64_t ms)
{
	uint64_t end = 1;

	while (end <= ms)
		end *= 2;
	return end;
}

/*
 * A percentile is the end of the bucket that holds it, by the nearest rank. 100
 * connections, so that each falls on the last that has stayed so long: 50 are the
 * half of them, 90 and 99 likewise.
 */
TEST_F_TIMEOUT(states, times_spent, SECONDS)
{
	enum { STAYS = 100, GROUPS = 4 };
	static const struct {
		unsigned int last, ms;	/* numbers up to @last are to stay for @ms */
	} groups[GROUPS] = { { 50, 20 }, { 90, 150 }, { 99, 700 }, { 100, 2500 } };
	struct stay *stays = calloc(STAYS, sizeof(*stays));
	uint64_t least[STAYS], most[STAYS], told[GROUPS];
	unsigned int i, g;
	struct counters c;

	EACH(p)
		CHECK(pair_listen(NET, p));
	for (i = STAYS; i-- > groups[0].last;)
		CHECK(stay_begin(NET, stays, i, self->pairs));
	for (g = 1; g < GROUPS - 1; g++)
		for (i = groups[g].last; i-- > groups[g - 1].last;)
			stay_end(&stays[i], groups[g].ms);
	for (i = 0; i < groups[0].last; i++) {
		CHECK(stay_begin(NET, stays, i, self->pairs));
		stay_end(&stays[i], groups[0].ms);
	}
	stay_end(&stays[STAYS - 1], groups[GROUPS - 1].ms);
	CHECK(ss_shows(SERVER, EACH_FAMILY, "LISTEN=1"));
	CHECK(cli_read(SERVER, &c));
	told[0] = c.dwell_p50_ms[ST_CLOSE_WAIT];
	told[1] = c.dwell_p90_ms[ST_CLOSE_WAIT];
	told[2] = c.dwell_p99_ms[ST_CLOSE_WAIT];
	told[3] = c.dwell_max_ms[ST_CLOSE_WAIT];

	for (i = 0; i < STAYS; i++) {
		least[i] = stays[i].least;
		most[i] = stays[i].most;
	}
	qsort(least, STAYS, sizeof(*least), by_length);
	qsort(most, STAYS, sizeof(*most), by_length);
	for (g = 0; g < GROUPS - 1; g++) {
		i = groups[g].last - 1;
		TH_LOG("number %u stayed for %ju to %ju ms: told %ju ms", i + 1,
		       (uintmax_t)least[i], (uintmax_t)most[i], (uintmax_t)told[g]);
		ASSERT_LE(bucket_end(least[i]), told[g]);
		ASSERT_GE(bucket_end(most[i]), told[g]);
		/* Where it is in time, that leaves one bucket, and the next is another. */
		if (slowness() > 1)
			continue;
		ASSERT_EQ(bucket_end(groups[g].ms), told[g]);
		ASSERT_LT(most[i], least[i + 1]);
	}
	TH_LOG("the longest stayed for %ju to %ju ms: told %ju ms", (uintmax_t)least[STAYS - 1],
	       (uintmax_t)most[STAYS - 1], (uintmax_t)told[GROUPS - 1]);
	ASSERT_LE(least[STAYS - 1], told[GROUPS - 1]);
	ASSERT_GE(most[STAYS - 1], told[GROUPS - 1]);
	CHECK(edges(SERVER, 1, "CLOSE>LISTEN=3 CLOSE>SYN_RECV=100 SYN_RECV>ESTABLISHED=100 "
		    "ESTABLISHED>CLOSE_WAIT=100 CLOSE_WAIT>LAST_ACK=100 LAST_ACK>CLOSE=100"));
	free(stays);
}

/* 12: CLOSE_WAIT that no process has yet: one is accepted late, one never. */
TEST_F_TIMEOUT(states, close_wait_unaccepted, SECONDS)
{
	int i, fd;

	EACH(p) {
		CHECK(pair_listen(NET, p));
		for (i = 0; i < 2; i++) {
			fd = tcp_connect(CLIENT, p->family, p->port, 0);
			ASSERT_GE(fd, 0) TH_LOG("%s", why());
			CHECK(close_acknowledged(&fd));
		}
	}
	STEP("FIN_WAIT2=2m", "LISTEN=1 CLOSE_WAIT=2");
	EACH(p) {
		p->server = tcp_accept(p->listener);
		ASSERT_GE(p->server, 0) TH_LOG("%s", why());
	}
	STEP("FIN_WAIT2=2m", "LISTEN=1 CLOSE_WAIT=2");
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1 FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->listener);
	STEP("TIME_WAIT=1", "");
	EDGES(SERVER, LISTENED "LISTEN>CLOSE=1 CLOSE>SYN_RECV=2 SYN_RECV>ESTABLISHED=2 "
	      "ESTABLISHED>CLOSE_WAIT=2 CLOSE_WAIT>LAST_ACK=1 LAST_ACK>CLOSE=1 "
	      "CLOSE_WAIT>CLOSE=1");
}

/* 13: nobody answers: given up by the caller, and by the kernel. */
TEST_F_TIMEOUT(states, syn_sent, SECONDS)
{
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_syn_retries", "2"));
	CHECK(wire(CLIENT, LOSE));
	EACH(p)
		CHECK(pair_dial(NET, p));
	STEP("SYN_SENT=1", "");
	EACH(p)
		close_fd(&p->client);
	STEP("", "");
	EACH(p)
		CHECK(pair_dial(NET, p));
	STEP("SYN_SENT=1", "");
	STEP("", "");
	EDGES(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>CLOSE=2");
}

/* 13: nobody listens. */
TEST_F_TIMEOUT(states, refused, SECONDS)
{
	EACH(p)
		ASSERT_LT(tcp_connect(CLIENT, p->family, p->port, 0), 0);
	STEP("", "");
	EDGES(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>CLOSE=1");
	EDGES(SERVER, "");
}

/* 13: a request whose SYN+ACK is lost: answered late, and never. */
TEST_F_TIMEOUT(states, syn_recv, SECONDS)
{
	int more[2 * FAMILIES], n = 0, i;

	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_synack_retries", "2"));
	EACH(p)
		CHECK(pair_listen(NET, p));
	CHECK(wire(SERVER, LOSE));
	EACH(p)
		CHECK(pair_dial(NET, p));
	STEP("SYN_SENT=1", "LISTEN=1 NEW_SYN_RECV=1");
	CHECK(wire(SERVER, PASS));
	EACH(p)
		CHECK(tcp_finish_dial(p->client));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EACH(p)
		CHECK(close_acknowledged(&p->client));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(wire(SERVER, LOSE));
	EACH(p) {
		for (i = 0; i < 2; i++) {
			CHECK(pair_dial(NET, p));
			more[n++] = p->client;
		}
		CHECK(pair_dial(NET, p));
	}
	STEP("FIN_WAIT2=1m SYN_SENT=3", "LISTEN=1 CLOSE_WAIT=1 NEW_SYN_RECV=3");
	EACH(p)
		close_fd(&p->client);
	for (i = 0; i < n; i++)
		close(more[i]);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1 NEW_SYN_RECV=3");
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EDGES(SERVER, LISTENED ACCEPTED "ESTABLISHED>CLOSE_WAIT=1");
}

/*
 * 13: a request that outlives its listener is in no queue: ss shows it, until its SYN+ACK
 * were to be sent again, and tcpstate does not.
 */
TEST_F_TIMEOUT(states, syn_recv_without_listener, SECONDS)
{
	uint64_t before, now;
	struct counters c;
	struct verdict v;

	EACH(p)
		CHECK(pair_listen(NET, p));
	CHECK(nstat(SERVER, "TcpRetransSegs", &before));
	CHECK(wire(SERVER, LOSE));
	EACH(p)
		CHECK(pair_dial(NET, p));
	STEP("SYN_SENT=1", "LISTEN=1 NEW_SYN_RECV=1");
	/* A SYN that comes again would end it. */
	EACH(p)
		close_fd(&p->client);
	/* Each time it waits for twice as long: now for four seconds. */
	ASSERT_TRUE(WAIT_FOR(!nstat(SERVER, "TcpRetransSegs", &now) &&
			     now >= before + 2 * FAMILIES, PATIENCE_MS));
	STEP("", "LISTEN=1 NEW_SYN_RECV=1");
	EACH(p)
		close_fd(&p->listener);
	CHECK(ss_shows(SERVER, EACH_FAMILY, "NEW_SYN_RECV=1"));
	CHECK(cli_read(SERVER, &c));
	CHECK(cli_audit(SERVER, &v));
	/* It was there all the time. */
	CHECK(ss_shows(SERVER, EACH_FAMILY, "NEW_SYN_RECV=1"));
	ASSERT_EQ(0, in_any(&c.now));
	ASSERT_TRUE(v.exact);
	ASSERT_EQ(0, v.counted + v.walked);
	STEP("", "");
	EDGES(SERVER, LISTENED "LISTEN>CLOSE=1");
}

/* The two ends of a connection that has no listener. */
static int both_bound(const struct net *net, struct pair pairs[])
{
	struct sockaddr_storage sa;
	socklen_t len;

	EACH_OF(pairs, p) {
		p->client = tcp_socket(&net->client, p->family);
		p->server = tcp_socket(&net->server, p->family);
		if (p->client < 0 || p->server < 0 || set_nonblocking(p->client, true) ||
		    set_nonblocking(p->server, true))
			return -1;
		len = client_address(&sa, p->family, CLIENT_PORT + p->family);
		if (bind(p->client, (struct sockaddr *)&sa, len))
			return fail("bind: %m");
		len = server_address(&sa, p->family, p->port);
		if (bind(p->server, (struct sockaddr *)&sa, len))
			return fail("bind: %m");
	}
	return 0;
}

static int syns_cross(const struct net *net, struct pair pairs[])
{
	struct sockaddr_storage sa;
	socklen_t len;

	if (wires(net, DELAY))
		return -1;
	EACH_OF(pairs, p) {
		len = server_address(&sa, p->family, p->port);
		if (!connect(p->client, (struct sockaddr *)&sa, len))
			return fail("connected at once");
		len = client_address(&sa, p->family, CLIENT_PORT + p->family);
		if (!connect(p->server, (struct sockaddr *)&sa, len))
			return fail("connected at once");
	}
	return wires(net, HOLD);
}

/* 13: both sides open at once, and meet in SYN_RECV. */
TEST_F_TIMEOUT(states, simultaneous_open, SECONDS)
{
	CHECK(both_bound(NET, self->pairs));
	STEP("", "");
	CHECK(syns_cross(NET, self->pairs));
	STEP("SYN_RECV=1", "SYN_RECV=1");
	CHECK(wires(NET, PASS));
	STEP("ESTABLISHED=1", "ESTABLISHED=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>SYN_RECV=1 SYN_RECV>ESTABLISHED=1");
	EDGES(SERVER, "CLOSE>SYN_SENT=1 SYN_SENT>SYN_RECV=1 SYN_RECV>ESTABLISHED=1");
}

/* Ways into a state that SOCK_DESTROY is to end. */
static int stay_open(const struct net *net, struct pair pairs[])
{
	EACH_OF(pairs, p)
		if (pair_open(net, p))
			return -1;
	return 0;
}

static int half_closed(const struct net *net, struct pair pairs[])
{
	if (stay_open(net, pairs))
		return -1;
	EACH_OF(pairs, p)
		shutdown(p->client, SHUT_WR);
	return 0;
}

static int client_closed(const struct net *net, struct pair pairs[])
{
	if (stay_open(net, pairs))
		return -1;
	EACH_OF(pairs, p)
		if (close_acknowledged(&p->client))
			return -1;
	return 0;
}

static int both_closed(const struct net *net, struct pair pairs[])
{
	if (stay_open(net, pairs))
		return -1;
	EACH_OF(pairs, p)
		if (pair_to_time_wait(p))
			return -1;
	return 0;
}

static int last_ack_lost(const struct net *net, struct pair pairs[])
{
	if (half_closed(net, pairs) ||
	    ss_shows(&net->client, EACH_FAMILY, "FIN_WAIT2=1") || wire(&net->server, LOSE))
		return -1;
	EACH_OF(pairs, p)
		shutdown(p->server, SHUT_WR);
	return 0;
}

static int fin_lost(const struct net *net, struct pair pairs[])
{
	if (stay_open(net, pairs) || wire(&net->client, LOSE))
		return -1;
	EACH_OF(pairs, p)
		shutdown(p->client, SHUT_WR);
	return 0;
}

static int unanswered(const struct net *net, struct pair pairs[])
{
	if (wire(&net->server, LOSE))
		return -1;
	EACH_OF(pairs, p)
		if (pair_listen(net, p) || pair_dial(net, p))
			return -1;
	return 0;
}

static int unanswered_for_good(const struct net *net, struct pair pairs[])
{
	if (unanswered(net, pairs) ||
	    ss_shows(&net->server, EACH_FAMILY, "LISTEN=1 NEW_SYN_RECV=1"))
		return -1;
	return wire(&net->client, LOSE);
}

/* Each but the first in namespaces of its own. */
static int reach(struct net *net, unsigned int i,
		 int (*how)(const struct net *net, struct pair pairs[]), struct pair pairs[])
{
	if (i) {
		net_drop(net);
		if (net_new(net))
			return -1;
	}
	return how(net, pairs);
}

static int both_opening(const struct net *net, struct pair pairs[])
{
	return both_bound(net, pairs) || syns_cross(net, pairs) ? -1 : 0;
}

static int both_closing(const struct net *net, struct pair pairs[])
{
	return stay_open(net, pairs) || fins_cross(net, pairs) ? -1 : 0;
}

static int both_left(const struct net *net, struct pair pairs[])
{
	if (both_closing(net, pairs) ||
	    ss_shows(&net->client, EACH_FAMILY, "CLOSING=1"))
		return -1;
	EACH_OF(pairs, p)
		close_fd(&p->client);
	return 0;
}

static const struct destroyed {
	int (*reach)(const struct net *net, struct pair pairs[]);
	const char *client, *server;		/* before */
	bool at_server;				/* whose socket is destroyed */
	const char *state;			/* ss's word */
	const char *client_after, *server_after;
	bool mini;				/* 5.10 cannot destroy these */
	bool request;				/* has no record: 'close' has no say */
} destroyed[] = {
	{ stay_open, "ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1",
	  false, "established", "", "LISTEN=1", false, false },
	{ fin_lost, "FIN_WAIT1=1", "LISTEN=1 ESTABLISHED=1",
	  false, "fin-wait-1", "", "LISTEN=1 ESTABLISHED=1", false, false },
	{ half_closed, "FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1",
	  false, "fin-wait-2", "", "LISTEN=1", false, false },
	{ client_closed, "FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1",
	  false, "fin-wait-2", "", "LISTEN=1 CLOSE_WAIT=1", true, false },
	{ both_closed, "TIME_WAIT=1", "LISTEN=1",
	  false, "time-wait", "", "LISTEN=1", true, false },
	{ client_closed, "FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1",
	  true, "close-wait", "", "LISTEN=1", false, false },
	{ last_ack_lost, "FIN_WAIT2=1", "LISTEN=1 LAST_ACK=1",
	  true, "last-ack", "FIN_WAIT2=1", "LISTEN=1", false, false },
	{ unanswered, "SYN_SENT=1", "LISTEN=1 NEW_SYN_RECV=1",
	  false, "syn-sent", "", "LISTEN=1 NEW_SYN_RECV=1", false, false },
	{ unanswered_for_good, "SYN_SENT=1", "LISTEN=1 NEW_SYN_RECV=1",
	  true, "syn-recv", "SYN_SENT=1", "LISTEN=1", false, true },
	{ both_opening, "SYN_RECV=1", "SYN_RECV=1",
	  false, "syn-recv", "", "SYN_RECV=1", false, false },
	{ both_closing, "CLOSING=1", "LISTEN=1 CLOSING=1",
	  false, "closing", "", "LISTEN=1 CLOSING=1", false, false },
	{ stay_open, "ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1",
	  true, "listening", "ESTABLISHED=1", "ESTABLISHED=1", false, false },
};

/* 14: SOCK_DESTROY ends sockets in any state. */
TEST_F_TIMEOUT(states, sock_destroy, 300)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(destroyed); i++) {
		const struct destroyed *d = &destroyed[i];
		bool spared = d->mini && !ksft_min_kernel_version(6, 1);

		TH_LOG("%s", d->state);
		CHECK(reach(NET, i, d->reach, self->pairs));
		STEP(d->client, d->server);
		CHECK(run(d->at_server ? SERVER : CLIENT, "ss -HtnK state %s", d->state));
		STEP(spared ? d->client : d->client_after, spared ? d->server : d->server_after);
		if (d->reach == both_closed && !spared) {
			struct counters c;

			CHECK(cli_read(CLIENT, &c));
			ASSERT_EQ(FAMILIES, c.killed);
		}
		EACH(p)
			pair_close(p);
	}
	CHECK(audit_all());
}

/* What 'close' says of each of them. */
struct fates {
	int status;
	size_t n, gone, reasons, ipv4, mapped;
};

static int close_by_command(const struct ns *ns, const char *state, struct fates *fates)
{
	struct json_object *list, *o;
	char arguments[64];
	int rc = 0;
	size_t i;

	memset(fates, 0, sizeof(*fates));
	snprintf(arguments, sizeof(arguments), "-j close state %s --yes", state);
	list = cli_json(ns, arguments, &fates->status);
	if (!list)
		return -1;
	if (!json_object_is_type(list, json_type_array))
		rc = fail("'%s': %s", arguments, output());
	else
		fates->n = json_object_array_length(list);
	for (i = 0; i < fates->n; i++) {
		struct json_object *row = json_object_array_get_idx(list, i);

		if (json_object_object_get_ex(row, "gone", &o))
			fates->gone += json_object_get_boolean(o);
		if (json_object_object_get_ex(row, "reason", &o) && o)
			fates->reasons++;
		if (json_object_object_get_ex(row, "family", &o))
			fates->ipv4 += !strcmp(json_object_get_string(o), "ipv4");
		if (json_object_object_get_ex(row, "saddr", &o))
			fates->mapped += !strncmp(json_object_get_string(o), "::ffff:", 7);
	}
	json_object_put(list);
	return rc;
}

/* 14: so does 'close', and tells of each connection what ss says. */
TEST_F_TIMEOUT(states, closed_by_command, 300)
{
	struct fates fates;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(destroyed); i++) {
		const struct destroyed *d = &destroyed[i];
		bool spared = d->request || (d->mini && !ksft_min_kernel_version(6, 1));
		bool listens = !strcmp(d->state, "listening");

		TH_LOG("%s", d->state);
		CHECK(reach(NET, i, d->reach, self->pairs));
		STEP(d->client, d->server);
		CHECK(close_by_command(d->at_server ? SERVER : CLIENT,
				       listens ? "listen" : d->state, &fates));
		EXPECT_EQ(d->request ? 0 : FAMILIES, fates.n);
		EXPECT_EQ(spared ? 0 : FAMILIES, fates.gone);
		EXPECT_EQ(fates.n - fates.gone, fates.reasons);
		EXPECT_EQ(fates.n != fates.gone, fates.status);
		EXPECT_EQ(d->request ? 0 : 1, fates.ipv4);
		/* A listener has the address that it was bound to. */
		EXPECT_EQ(d->request || listens ? 0 : 1, fates.mapped);
		STEP(spared ? d->client : d->client_after, spared ? d->server : d->server_after);
		EACH(p)
			pair_close(p);
	}
	/* An orphan some kernels do not end, and say that they have. */
	CHECK(reach(NET, i, both_left, self->pairs));
	STEP("CLOSING=1", "LISTEN=1 CLOSING=1");
	CHECK(close_by_command(CLIENT, "closing", &fates));
	TH_LOG("orphans in CLOSING: %zu of %zu gone", fates.gone, fates.n);
	EXPECT_EQ(FAMILIES, fates.n);
	EXPECT_TRUE(fates.gone == 0 || fates.gone == FAMILIES);
	EXPECT_EQ(FAMILIES - fates.gone, fates.reasons);
	EXPECT_EQ(fates.gone != FAMILIES, fates.status);
	STEP(fates.gone ? "" : "CLOSING=1", "LISTEN=1 CLOSING=1");
	CHECK(audit_all());
}

/* 15: a socket belongs to the namespace it was made in, wherever its process goes. */
TEST_F_TIMEOUT(states, moved_process, SECONDS)
{
	OPEN();
	CHECK(ns_enter(SERVER));
	EACH(p)
		shutdown(p->client, SHUT_WR);
	CHECK(ns_leave());
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(ns_enter(CLIENT));
	EACH(p)
		close_fd(&p->server);
	CHECK(ns_leave());
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, OPENED CLOSED_FIRST);
	EDGES(SERVER, LISTENED ACCEPTED CLOSED_SECOND);
}

TEST_HARNESS_MAIN
