// SPDX-License-Identifier: GPL-2.0
/*
 * Scenarios 28 to 33: sockets that live twice, connections that begin or end
 * in unusual ways, protocols that are not TCP or not only TCP, other users of
 * the same hooks. All of it must be counted as ss counts it.
 */
#define _GNU_SOURCE
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "util.h"

#define SECONDS	180

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

#define BOTH_FAMILIES	2

FIXTURE(awkward) {
	struct rig rig;
	struct pair pairs[BOTH_FAMILIES];
};

FIXTURE_SETUP(awkward)
{
	int f;

	for (f = IPV4; f <= IPV6; f++)
		pair_init(&self->pairs[f], f, PORT + f);
	CHECK(rig_up(&self->rig, NULL));
}

FIXTURE_TEARDOWN(awkward)
{
	int f;

	for (f = IPV4; f <= IPV6; f++)
		pair_close(&self->pairs[f]);
	EXPECT_OK(rig_down(&self->rig));
}

#define NET	(&self->rig.net)
#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)

/* Everything is done by a connection of each family, both at once. */
#define EACH_OF(of, p)	for (struct pair *(p) = (of); (p) < (of) + BOTH_FAMILIES; (p)++)
#define EACH(p)		EACH_OF(self->pairs, p)

#define STEP(client_has, server_has) do {			\
	CHECK(step(CLIENT, BOTH, client_has));			\
	CHECK(step(SERVER, BOTH, server_has));			\
} while (0)

#define OPEN()	EACH(each) CHECK(pair_open(NET, each))

#define EDGES(ns, moves)	CHECK(edges(ns, BOTH_FAMILIES, moves))

#define ROUNDS	5

/* How many sockets ss shows with this cookie. */
static int with_cookie(const struct ns *ns, uint64_t cookie)
{
	char word[32];
	const char *at;
	int n = 0, len;

	len = snprintf(word, sizeof(word), " sk:%jx", (uintmax_t)cookie);
	if (run(ns, "ss -Htane"))
		return -1;
	for (at = output(); (at = strstr(at, word)); at += len)
		n += !isxdigit((unsigned char)at[len]);
	return n;
}

/* 28: one socket, one cookie, a live connection and all its former ones in TIME_WAIT. */
TEST_F_TIMEOUT(awkward, connects_again, SECONDS)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	uint64_t first[BOTH_FAMILIES], cookie;
	struct sockaddr_storage to;
	socklen_t len, size;
	char expected[64];
	size_t n;
	int i;

	OPEN();
	EACH(p) {
		size = sizeof(cookie);
		ASSERT_EQ(0, getsockopt(p->client, SOL_SOCKET, SO_COOKIE, &first[p->family],
					&size));
	}
	for (i = 1; i <= ROUNDS; i++) {
		EACH(p) {
			shutdown(p->client, SHUT_WR);
			CHECK(read_to_end(p->server, &n));
			close_fd(&p->server);
			CHECK(read_to_end(p->client, &n));
		}
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d", i);
		STEP(expected, "LISTEN=1");
		EACH(p) {
			ASSERT_EQ(0, connect(p->client, &unspec, sizeof(unspec)));
			len = server_address(&to, p->family, p->port);
			ASSERT_EQ(0, connect(p->client, (struct sockaddr *)&to, len));
			p->server = tcp_accept(p->listener);
			ASSERT_GE(p->server, 0) TH_LOG("%s", why());
		}
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d ESTABLISHED=1", i);
		STEP(expected, "LISTEN=1 ESTABLISHED=1");
		EACH(p) {
			size = sizeof(cookie);
			ASSERT_EQ(0, getsockopt(p->client, SOL_SOCKET, SO_COOKIE, &cookie, &size));
			ASSERT_EQ(first[p->family], cookie);
			ASSERT_EQ(i + 1, with_cookie(CLIENT, cookie)) TH_LOG("%s", output());
		}
	}
	EACH(p)
		CHECK(close_acknowledged(&p->server));
	STEP("TIME_WAIT=5 CLOSE_WAIT=1", "LISTEN=1 FIN_WAIT2=1m");
	EDGES(CLIENT, "CLOSE>SYN_SENT=6 SYN_SENT>ESTABLISHED=6 ESTABLISHED>FIN_WAIT1=5 "
	      "FIN_WAIT1>FIN_WAIT2=5 FIN_WAIT2>TIME_WAIT=5 ESTABLISHED>CLOSE_WAIT=1");
}

/* 28: AF_UNSPEC on a live connection resets it. */
TEST_F_TIMEOUT(awkward, disconnects_alive, SECONDS)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	OPEN();
	EACH(p)
		ASSERT_EQ(0, connect(p->client, &unspec, sizeof(unspec)));
	STEP("", "LISTEN=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 ESTABLISHED>CLOSE=1");
}

static int listen_shared(const struct ns *ns, enum family family, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family, "0.0.0.0", "::", port);
	int fd = tcp_socket(ns, family);

	if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 64))
		return fail("cannot listen: %m");
	return fd;
}

/* 29: a group of listeners loses two, with what waited in their queues. */
TEST_F_TIMEOUT(awkward, reuseport_group, SECONDS)
{
	int group[BOTH_FAMILIES][4], clients[BOTH_FAMILIES][24];
	struct table ss;
	unsigned int i;

	EACH(p) {
		for (i = 0; i < ARRAY_SIZE(group[0]); i++) {
			group[p->family][i] = listen_shared(SERVER, p->family, p->port);
			ASSERT_GE(group[p->family][i], 0) TH_LOG("%s", why());
		}
		for (i = 0; i < ARRAY_SIZE(clients[0]); i++) {
			clients[p->family][i] = tcp_connect(CLIENT, p->family, p->port, 0);
			ASSERT_GE(clients[p->family][i], 0) TH_LOG("%s", why());
		}
	}
	STEP("ESTABLISHED=24", "LISTEN=4 ESTABLISHED=24");
	EACH(p) {
		close(group[p->family][0]);
		close(group[p->family][2]);
	}
	CHECK(same_as_ss(SERVER));
	CHECK(same_as_ss(CLIENT));
	CHECK(ss_read(SERVER, &ss));
	ASSERT_EQ(2 * 2, in_state(&ss, ST_LISTEN));
	ASSERT_LT(in_state(&ss, ST_ESTABLISHED), 2 * 24);
	EACH(p) {
		group[p->family][0] = listen_shared(SERVER, p->family, p->port);
		group[p->family][2] = listen_shared(SERVER, p->family, p->port);
		for (i = 0; i < ARRAY_SIZE(clients[0]); i++)
			close(clients[p->family][i]);
		for (i = 0; i < ARRAY_SIZE(group[0]); i++)
			close(group[p->family][i]);
	}
	STEP("", "");
}

/* 29: a listener closed and opened again; the connections it made live on. */
TEST_F_TIMEOUT(awkward, listener_reopened, SECONDS)
{
	int i, fds[BOTH_FAMILIES][2 * ROUNDS];
	char expected[64];

	for (i = 0; i < ROUNDS; i++) {
		OPEN();
		EACH(p) {
			fds[p->family][2 * i] = p->client;
			fds[p->family][2 * i + 1] = p->server;
			p->client = -1;
			p->server = -1;
			close_fd(&p->listener);
		}
	}
	snprintf(expected, sizeof(expected), "ESTABLISHED=%d", ROUNDS);
	STEP(expected, expected);
	EACH(p) {
		for (i = 0; i < ROUNDS; i++) {
			size_t n;

			close(fds[p->family][2 * i]);
			CHECK(read_to_end(fds[p->family][2 * i + 1], &n));
			close(fds[p->family][2 * i + 1]);
		}
	}
	STEP("TIME_WAIT=5", "");
	EDGES(SERVER, "CLOSE>LISTEN=5 LISTEN>CLOSE=5 CLOSE>SYN_RECV=5 "
	      "SYN_RECV>ESTABLISHED=5 ESTABLISHED>CLOSE_WAIT=5 CLOSE_WAIT>LAST_ACK=5 "
	      "LAST_ACK>CLOSE=5");
}

/* 30: with syncookies there is no request, and a connection all the same. */
TEST_F_TIMEOUT(awkward, syncookies, SECONDS)
{
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_syncookies", "2"));
	CHECK(wire(SERVER, LOSE));
	EACH(p) {
		CHECK(pair_listen(NET, p));
		CHECK(pair_dial(NET, p));
	}
	STEP("SYN_SENT=1", "LISTEN=1");
	CHECK(wire(SERVER, PASS));
	EACH(p)
		CHECK(tcp_finish_dial(p->client));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EACH(p)
		CHECK(close_acknowledged(&p->client));
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EDGES(SERVER, "CLOSE>LISTEN=1 CLOSE>SYN_RECV=1 SYN_RECV>ESTABLISHED=1 "
	      "ESTABLISHED>CLOSE_WAIT=1");
}

#define TFO_CLIENT	"5"		/* on, without a cookie */
#define TFO_SERVER	"1538"		/* on for every listener, without a cookie */

static int allow_fast_open(const struct net *net)
{
	return sysctl_set(&net->client, "net/ipv4/tcp_fastopen", TFO_CLIENT) ||
	       sysctl_set(&net->server, "net/ipv4/tcp_fastopen", TFO_SERVER) ? -1 : 0;
}

/* Ten bytes in the SYN, taken from the accepted socket; the SYN+ACK is lost. */
static int fast_open(const struct net *net, struct pair *p)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, p->family, p->port);
	char bytes[10];

	if (pair_listen(net, p))
		return -1;
	p->client = tcp_socket(&net->client, p->family);
	if (p->client < 0 || set_nonblocking(p->client, true))
		return -1;
	sendto(p->client, "0123456789", 10, MSG_FASTOPEN, (struct sockaddr *)&to, len);
	p->server = tcp_accept(p->listener);
	if (p->server < 0)
		return -1;
	return recv(p->server, bytes, sizeof(bytes), 0) == 10 ? 0 : fail("recv: %m");
}

/* 30: with TCP fast open the server's connection is a socket while in SYN_RECV. */
TEST_F_TIMEOUT(awkward, fast_open, SECONDS)
{
	CHECK(allow_fast_open(NET));
	CHECK(wire(SERVER, LOSE));
	EACH(p)
		CHECK(fast_open(NET, p));
	STEP("SYN_SENT=1", "LISTEN=1 SYN_RECV=1");
	CHECK(wire(SERVER, PASS));
	EACH(p)
		CHECK(tcp_finish_dial(p->client));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1");
	EDGES(SERVER, "CLOSE>LISTEN=1 CLOSE>SYN_RECV=1 SYN_RECV>ESTABLISHED=1");
}

/* 30: the same, closed by the server before the handshake is done. */
TEST_F_TIMEOUT(awkward, fast_open_closed_early, SECONDS)
{
	size_t n;

	CHECK(allow_fast_open(NET));
	/*
	 * The server's SYN-ACK and its FIN are sent again more than once: what
	 * comes when the client is gone is answered by a RST.
	 */
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_rfc1337", "1"));
	CHECK(wire(SERVER, LOSE));
	EACH(p) {
		CHECK(fast_open(NET, p));
		close_fd(&p->server);
	}
	CHECK(same_as_ss(SERVER));
	CHECK(wire(SERVER, PASS));
	EACH(p) {
		CHECK(tcp_finish_dial(p->client));
		CHECK(read_to_end(p->client, &n));
		close_fd(&p->client);
	}
	STEP("", "LISTEN=1 TIME_WAIT=1");
}

/* 30: a deferred fast open has its state before anything is sent. */
TEST_F_TIMEOUT(awkward, fast_open_deferred, SECONDS)
{
	struct sockaddr_storage to;
	socklen_t len;
	int i;

	CHECK(allow_fast_open(NET));
	EACH(p)
		CHECK(pair_listen(NET, p));
	for (i = 0; i < 2; i++) {
		EACH(p)
			close_fd(&p->client);
		STEP("", "LISTEN=1");
		EACH(p) {
			len = server_address(&to, p->family, p->port);
			p->client = tcp_socket(CLIENT, p->family);
			CHECK(set_option(p->client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
			ASSERT_EQ(0, connect(p->client, (struct sockaddr *)&to, len));
		}
		STEP("SYN_SENT=1", "LISTEN=1");
	}
	EACH(p)
		CHECK(send_bytes(p->client, 10));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>CLOSE=1 SYN_SENT>ESTABLISHED=1");
}

static const int queues[] = { TCP_SEND_QUEUE, TCP_RECV_QUEUE };

static int queue_sequences(int fd, uint32_t seq[2], bool set)
{
	socklen_t len = sizeof(seq[0]);
	int i;

	for (i = 0; i < 2; i++) {
		if (set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queues[i]))
			return -1;
		if (set ? setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq[i], len) :
			  getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq[i], &len))
			return fail("TCP_QUEUE_SEQ: %m");
	}
	return 0;
}

/* 30: a connection taken out of a socket and put into another; no packet tells of it. */
TEST_F_TIMEOUT(awkward, repair, SECONDS)
{
	struct sockaddr_storage from[BOTH_FAMILIES], to;
	uint32_t seq[BOTH_FAMILIES][2];
	socklen_t len;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_timestamps", "0"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_window_scaling", "0"));
	OPEN();
	EACH(p) {
		client_address(&from[p->family], p->family, local_port(p->client));
		CHECK(set_option(p->client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
		CHECK(queue_sequences(p->client, seq[p->family], false));
		close_fd(&p->client);
	}
	STEP("", "LISTEN=1 ESTABLISHED=1");
	EACH(p) {
		len = server_address(&to, p->family, p->port);
		p->client = tcp_socket(CLIENT, p->family);
		CHECK(set_option(p->client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
		CHECK(queue_sequences(p->client, seq[p->family], true));
		ASSERT_EQ(0, bind(p->client, (struct sockaddr *)&from[p->family], len));
		ASSERT_EQ(0, connect(p->client, (struct sockaddr *)&to, len));
	}
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EACH(p) {
		CHECK(set_option(p->client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF));
		CHECK(pair_to_time_wait(p));
	}
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>ESTABLISHED=2 ESTABLISHED>CLOSE=1 "
	      "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1");
}

/* A listener, a connection and both its ends, of a protocol that is not TCP. */
static int foreign_pair(const struct net *net, int type, int protocol, struct pair *p)
{
	struct sockaddr_storage sa;
	socklen_t len = server_address(&sa, p->family, p->port);
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };

	p->listener = ns_socket(&net->server, domain_of(p->family), type, protocol);
	p->client = ns_socket(&net->client, domain_of(p->family), type, protocol);
	if (p->listener < 0 || p->client < 0)
		return -1;
	setsockopt(p->listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(p->client, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (bind(p->listener, (struct sockaddr *)&sa, len) || listen(p->listener, 4))
		return fail("listen: %m");
	if (connect(p->client, (struct sockaddr *)&sa, len))
		return fail("connect: %m");
	p->server = tcp_accept(p->listener);
	return p->server < 0 ? -1 : 0;
}

/* Why this kernel has no such sockets, NULL if it has. */
static const char *lacks(int type, int protocol)
{
	int probe = socket(AF_INET6, type, protocol);

	if (probe < 0)
		return strerror(errno);
	close(probe);
	return NULL;
}

static bool nothing_open(const struct ns *ns)
{
	struct table t;

	return !ss_read(ns, &t) && in_any(&t) == in_state(&t, ST_LISTEN) +
						 in_state(&t, ST_TIME_WAIT);
}

/* 30: of MPTCP the subflows are TCP's, and are what counts; each connection has two. */
TEST_F_TIMEOUT(awkward, mptcp, SECONDS)
{
	const char *lack = lacks(SOCK_STREAM, IPPROTO_MPTCP);
	uint64_t capable, joined, now;
	char bytes[10];

	if (lack)
		SKIP(return, "this kernel has no MPTCP: %s", lack);
	CHECK(sysctl_set(CLIENT, "net/mptcp/enabled", "1"));
	CHECK(sysctl_set(SERVER, "net/mptcp/enabled", "1"));
	/* The second addresses are not to be those of the first subflows. */
	CHECK(run(CLIENT, "ip addr add 10.9.0.3/24 dev wire && "
		  "ip addr add fd09::3/64 dev wire nodad preferred_lft 0 && "
		  "ip mptcp limits set subflow 1 && ip mptcp endpoint add 10.9.0.3 dev wire subflow && "
		  "ip mptcp endpoint add fd09::3 dev wire subflow"));
	CHECK(run(SERVER, "ip mptcp limits set subflow 1"));
	CHECK(nstat(SERVER, "MPTcpExtMPCapableSYNRX", &capable));
	CHECK(nstat(SERVER, "MPTcpExtMPJoinAckRx", &joined));
	EACH(p)
		CHECK(foreign_pair(NET, SOCK_STREAM, IPPROTO_MPTCP, p));
	/* Were it plain TCP, all the rest would be so as well. */
	CHECK(nstat(SERVER, "MPTcpExtMPCapableSYNRX", &now));
	ASSERT_EQ(capable + BOTH_FAMILIES, now);
	EACH(p) {
		CHECK(send_bytes(p->client, 10));
		ASSERT_EQ(10, recv(p->server, bytes, sizeof(bytes), MSG_WAITALL));
		CHECK(send_bytes(p->server, 10));
		ASSERT_EQ(10, recv(p->client, bytes, sizeof(bytes), MSG_WAITALL));
	}
	STEP("ESTABLISHED=2", "LISTEN=1 ESTABLISHED=2");
	CHECK(nstat(SERVER, "MPTcpExtMPJoinAckRx", &now));
	ASSERT_EQ(joined + BOTH_FAMILIES, now);
	EACH(p)
		close_fd(&p->client);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	EACH(p)
		close_fd(&p->server);
	ASSERT_TRUE(WAIT_FOR(nothing_open(CLIENT) && nothing_open(SERVER), 2 * PATIENCE_MS));
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	EACH(p)
		close_fd(&p->listener);
	CHECK(same_as_ss(SERVER));
}

/* 30: kTLS puts itself between the socket and TCP. */
TEST_F_TIMEOUT(awkward, ktls, SECONDS)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
	};
	size_t n;

	OPEN();
	EACH(p) {
		if (setsockopt(p->client, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
			SKIP(return, "this kernel has no tls: %s", strerror(errno));
		ASSERT_EQ(0, setsockopt(p->client, SOL_TLS, TLS_TX, &key, sizeof(key)));
	}
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	EACH(p) {
		CHECK(send_bytes(p->client, 1000));
		shutdown(p->client, SHUT_WR);
		CHECK(read_to_end(p->server, &n));
		ASSERT_GT(n, 1000);
	}
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->client);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	EACH(p)
		close_fd(&p->server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	EDGES(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 ESTABLISHED>FIN_WAIT1=1 "
	      "FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1");
}

/* 30: SCTP comes through the same tracepoint and is none of ours. */
TEST_F_TIMEOUT(awkward, sctp, SECONDS)
{
	const char *lack = lacks(SOCK_STREAM, IPPROTO_SCTP);
	char bytes[10];

	if (lack)
		SKIP(return, "this kernel has no SCTP: %s", lack);
	EACH(p) {
		CHECK(foreign_pair(NET, SOCK_STREAM, IPPROTO_SCTP, p));
		CHECK(send_bytes(p->client, 10));
		ASSERT_EQ(10, recv(p->server, bytes, sizeof(bytes), 0));
	}
	STEP("", "");
	EACH(p)
		pair_close(p);
	STEP("", "");
	EDGES(CLIENT, "");
	EDGES(SERVER, "");
}

/* Has it one in TIME_WAIT, at either end? */
static bool dccp_time_wait(const struct net *net, enum family family)
{
	const int n = family == IPV4 ? 4 : 6;

	return !run(&net->client, "ss -Hdan%d state time-wait | grep -q .", n) ||
	       !run(&net->server, "ss -Hdan%d state time-wait | grep -q .", n);
}

/* 30: DCCP has mini-sockets in TIME_WAIT too, made by the functions that are hooked. */
TEST_F_TIMEOUT(awkward, dccp, SECONDS)
{
	const char *lack;

	/* Debian keeps it from being loaded by itself. */
	run_status(NULL, "modprobe -a dccp_ipv4 dccp_ipv6 dccp_diag");
	lack = lacks(SOCK_DCCP, IPPROTO_DCCP);
	if (lack)
		SKIP(return, "this kernel has no DCCP: %s", lack);
	EACH(p)
		CHECK(foreign_pair(NET, SOCK_DCCP, IPPROTO_DCCP, p));
	/* The client stays in PARTOPEN, which ss has no word for. */
	CHECK(run(SERVER, "ss -Hdan state established | grep -q ."));
	STEP("", "");
	EACH(p) {
		close_fd(&p->server);
		close_fd(&p->client);
	}
	EACH(p)
		ASSERT_TRUE(WAIT_FOR(dccp_time_wait(NET, p->family), PATIENCE_MS));
	STEP("", "");
	EDGES(CLIENT, "");
	EDGES(SERVER, "");
}

/* 31: connections bound to a device, and to a VRF. */
TEST_F_TIMEOUT(awkward, bound_to_device, SECONDS)
{
	static const char *const devices[] = { "wire", "vrf0" };
	struct sockaddr_storage to;
	char expected[64];
	socklen_t len;
	int i;

	EACH(p)
		CHECK(pair_listen(NET, p));
	for (i = 0; i < 2; i++) {
		if (i)
			CHECK(run(CLIENT, "ip link add vrf0 type vrf table 10 && "
				  "ip link set vrf0 up && ip link set wire master vrf0 && "
				  "ip addr replace 10.9.0.1/24 dev wire && "
				  "ip addr replace fd09::1/64 dev wire nodad"));
		EACH(p) {
			len = server_address(&to, p->family, p->port);
			p->client = tcp_socket(CLIENT, p->family);
			ASSERT_EQ(0, setsockopt(p->client, SOL_SOCKET, SO_BINDTODEVICE,
						devices[i], strlen(devices[i])));
			ASSERT_EQ(0, connect(p->client, (struct sockaddr *)&to, len))
				TH_LOG("%s: %s", devices[i], strerror(errno));
			p->server = tcp_accept(p->listener);
		}
		snprintf(expected, sizeof(expected), "ESTABLISHED=1 TIME_WAIT=%d", i);
		STEP(expected, "LISTEN=1 ESTABLISHED=1");
		EACH(p)
			CHECK(pair_to_time_wait(p));
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d", i + 1);
		STEP(expected, "LISTEN=1");
	}
}

/* So many whole lives of each family, through TIME_WAIT. */
static int live(const struct net *net, struct pair pairs[], int times)
{
	while (times--)
		EACH_OF(pairs, p)
			if (pair_open(net, p) || pair_to_time_wait(p))
				return -1;
	return 0;
}

#define LIVE(n)		CHECK(live(NET, self->pairs, n))

/* After five more of them, as ever with the listeners of the first. */
#define LIVED(n) do {					\
	LIVE(5);					\
	STEP("TIME_WAIT=" #n, "LISTEN=1");		\
} while (0)

#define CLIENT_LIVED_15	"CLOSE>SYN_SENT=15 SYN_SENT>ESTABLISHED=15 ESTABLISHED>FIN_WAIT1=15 " \
			"FIN_WAIT1>FIN_WAIT2=15 FIN_WAIT2>TIME_WAIT=15"
#define SERVER_LIVED_15	"CLOSE>LISTEN=1 CLOSE>SYN_RECV=15 SYN_RECV>ESTABLISHED=15 " \
			"ESTABLISHED>CLOSE_WAIT=15 CLOSE_WAIT>LAST_ACK=15 LAST_ACK>CLOSE=15"

#define LIVED_15() do {					\
	EDGES(CLIENT, CLIENT_LIVED_15);			\
	EDGES(SERVER, SERVER_LIVED_15);			\
} while (0)

/* 32: sysctl kernel.ftrace_enabled=0 is refused while the module is there. */
TEST_F_TIMEOUT(awkward, ftrace_switched_off, SECONDS)
{
	int off, on, middle;
	char said[256];

	LIVED(5);
	off = sysctl_set(NULL, "kernel/ftrace_enabled", "0");
	snprintf(said, sizeof(said), "%s", off ? why() : "ftrace is off");
	middle = live(NET, self->pairs, 5) || step(CLIENT, BOTH, "TIME_WAIT=10") ||
		 step(SERVER, BOTH, "LISTEN=1");
	on = sysctl_set(NULL, "kernel/ftrace_enabled", "1");
	ASSERT_NE(NULL, strstr(said, strerror(EBUSY))) TH_LOG("%s", said);
	CHECK(middle);
	CHECK(on);
	LIVED(15);
	LIVED_15();
}

#define TRACEFS	"/sys/kernel/tracing/"

/* 32: the function tracer on the very functions that are hooked. */
TEST_F_TIMEOUT(awkward, function_tracer, SECONDS)
{
	CHECK(run(NULL, "mountpoint -q " TRACEFS " || mount -t tracefs tracefs " TRACEFS));
	CHECK(run(NULL, "echo 'tcp_* *inet_twsk_*' > " TRACEFS "set_ftrace_filter"));
	LIVED(5);
	CHECK(file_write(TRACEFS "current_tracer", "function"));
	LIVED(10);
	CHECK(run(NULL, "grep -q tcp_time_wait " TRACEFS "trace"));
	CHECK(file_write(TRACEFS "current_tracer", "nop"));
	CHECK(run(NULL, "echo > " TRACEFS "set_ftrace_filter"));
	LIVED(15);
	LIVED_15();
}

#define BPF_OUTPUT	"/tmp/tcpstate-bpftrace"
#define BPF_HEADERS	"/tmp/tcpstate-bpftrace-headers"

/* 32: bpftrace on the same tracepoint and functions. */
TEST_F_TIMEOUT(awkward, bpftrace, SECONDS)
{
	const char *options = "";

	if (!have_command("bpftrace"))
		SKIP(return, "bpftrace is not installed");
	if (slowness() > 1)
		SKIP(return, "bpftrace takes many minutes to start in such a kernel");
	/*
	 * Where it cannot read the kernel's BTF, as on 5.10, it wants kernel
	 * headers: for the types of what a tracepoint prints.
	 */
	if (run(NULL, "bpftrace --info 2>&1 | grep -q 'btf: yes'")) {
		CHECK(run(NULL, "mkdir -p " BPF_HEADERS "/linux && "
			  "echo 'typedef unsigned char __u8; typedef unsigned short __u16;' > "
			  BPF_HEADERS "/linux/types.h"));
		options = "-I " BPF_HEADERS;
	}
	/* A wildcard would take another way into the kernel, which 6.12 refuses. */
	CHECK(run(NULL, "f=$(grep -ow 'inet_twsk_hashdance[a-z_]*' /proc/kallsyms | head -n 1); "
		  "exec 3>&-; bpftrace %s -e 'tracepoint:sock:inet_sock_set_state "
		  "{ @state = count(); } "
		  "kprobe:'$f',kprobe:__inet_twsk_schedule,"
		  "kprobe:tcp_twsk_destructor { @mini = count(); } "
		  "interval:ms:200 { printf(\"ready\\n\"); }' > " BPF_OUTPUT " 2>&1 & "
		  "echo $! > " BPF_OUTPUT ".pid", options));
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "grep -q ready " BPF_OUTPUT), 3 * PATIENCE_MS)) {
		run(NULL, "cat " BPF_OUTPUT);
		TH_LOG("%s", output());
	}
	LIVED(5);
	LIVED(10);
	CHECK(run(NULL, "kill -INT $(cat " BPF_OUTPUT ".pid)"));
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "grep -q '@mini: [1-9]' " BPF_OUTPUT " && "
				  "grep -q '@state: [1-9]' " BPF_OUTPUT), PATIENCE_MS)) {
		run(NULL, "cat " BPF_OUTPUT);
		TH_LOG("%s", output());
	}
	LIVED(15);
	LIVED_15();
}

static bool listed(const struct ns *ns)
{
	struct counters *list;
	bool found;
	size_t n;

	found = !cli_read_all(&list, &n) && counters_of(list, n, ns);
	free(list);
	return found;
}

/* 33: a namespace with an established table of its own dies with TIME_WAIT in it. */
TEST_F_TIMEOUT(awkward, own_table, SECONDS)
{
	struct ns parent, child;
	char entries[32];
	int i;

	if (!ksft_min_kernel_version(6, 1))
		SKIP(return, "5.10 has no net.ipv4.tcp_child_ehash_entries");
	CHECK(none_open());
	CHECK(ns_new(&parent, NULL));
	CHECK(sysctl_set(&parent, "net/ipv4/tcp_child_ehash_entries", "64"));
	for (i = 0; i < 3; i++) {
		CHECK(ns_new(&child, &parent));
		CHECK(sysctl_get(&child, "net/ipv4/tcp_ehash_entries", entries,
				 sizeof(entries)));
		ASSERT_STREQ("64", entries);
		EACH(p) {
			CHECK(pair_open_local(&child, p));
			CHECK(pair_to_time_wait(p));
			CHECK(pair_open_local(&child, p));
		}
		CHECK(step(&child, BOTH, "LISTEN=1 ESTABLISHED=2 TIME_WAIT=1"));
		CHECK(audit(&child));
		/* Seeding and audit walk it where it is. */
		CHECK(ns_note_seed(&child));
		CHECK(module_unload());
		CHECK(module_load(FEW_CONNECTIONS));
		CHECK(step(&child, BOTH, "LISTEN=1 ESTABLISHED=2 TIME_WAIT=1"));
		EACH(p)
			CHECK(pair_to_time_wait(p));
		CHECK(step(&child, BOTH, "LISTEN=1 TIME_WAIT=2"));
		EACH(p)
			pair_close(p);
		ASSERT_TRUE(listed(&child)) TH_LOG("%s", why());
		ns_drop(&child);
		CHECK(ns_gone(&child, 1));
		CHECK(audit_all());
		CHECK(none_left_behind(0));
	}
	ns_drop(&parent);
}

/* IPV6_ADDRFORM: a socket of one family becomes one of the other. */
TEST_F_TIMEOUT(awkward, changes_family, SECONDS)
{
	struct pair *p = &self->pairs[IPV6];

	pair_init(p, MAPPED, PORT);
	CHECK(pair_open(NET, p));
	CHECK(step(CLIENT, ONLY_V6, "ESTABLISHED=1"));
	CHECK(set_option(p->client, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET));
	CHECK(step(CLIENT, ONLY_V4, "ESTABLISHED=1"));
	CHECK(pair_to_time_wait(p));
	CHECK(step(CLIENT, ONLY_V4, "TIME_WAIT=1"));
	CHECK(step(SERVER, ONLY_V6, "LISTEN=1"));
}

TEST_HARNESS_MAIN
