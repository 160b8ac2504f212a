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

FIXTURE(awkward) {
	struct rig rig;
	struct pair p;
	int col;
};

FIXTURE_VARIANT(awkward) {
	enum family family;
};

FIXTURE_VARIANT_ADD(awkward, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(awkward, ipv6) { .family = IPV6 };

FIXTURE_SETUP(awkward)
{
	self->p = NO_PAIR;
	self->col = column(variant->family);
	CHECK(rig_up(&self->rig, NULL));
}

FIXTURE_TEARDOWN(awkward)
{
	pair_close(&self->p);
	EXPECT_OK(rig_down(&self->rig));
}

#define CLIENT	(&self->rig.net.client)
#define SERVER	(&self->rig.net.server)

#define STEP(client_has, server_has) do {			\
	CHECK(step(CLIENT, self->col, client_has));		\
	CHECK(step(SERVER, self->col, server_has));		\
} while (0)

#define OPEN()	CHECK(pair_open(&self->rig.net, variant->family, &self->p))

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
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, variant->family, PORT), size;
	uint64_t first = 0, cookie;
	char expected[64];
	size_t n;
	int i;

	OPEN();
	size = sizeof(first);
	ASSERT_EQ(0, getsockopt(self->p.client, SOL_SOCKET, SO_COOKIE, &first, &size));
	for (i = 1; i <= ROUNDS; i++) {
		shutdown(self->p.client, SHUT_WR);
		CHECK(read_to_end(self->p.server, &n));
		close_fd(&self->p.server);
		CHECK(read_to_end(self->p.client, &n));
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d", i);
		STEP(expected, "LISTEN=1");
		ASSERT_EQ(0, connect(self->p.client, &unspec, sizeof(unspec)));
		STEP(expected, "LISTEN=1");
		ASSERT_EQ(0, connect(self->p.client, (struct sockaddr *)&to, len));
		self->p.server = tcp_accept(self->p.listener);
		ASSERT_GE(self->p.server, 0) TH_LOG("%s", why());
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d ESTABLISHED=1", i);
		STEP(expected, "LISTEN=1 ESTABLISHED=1");
		size = sizeof(cookie);
		ASSERT_EQ(0, getsockopt(self->p.client, SOL_SOCKET, SO_COOKIE, &cookie, &size));
		ASSERT_EQ(first, cookie);
		ASSERT_EQ(i + 1, with_cookie(CLIENT, cookie)) TH_LOG("%s", output());
	}
	close_fd(&self->p.server);
	STEP("TIME_WAIT=5 CLOSE_WAIT=1", "LISTEN=1 FIN_WAIT2=1m");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=6 SYN_SENT>ESTABLISHED=6 ESTABLISHED>FIN_WAIT1=5 "
		    "FIN_WAIT1>FIN_WAIT2=5 FIN_WAIT2>TIME_WAIT=5 ESTABLISHED>CLOSE_WAIT=1"));
}

/* 28: AF_UNSPEC on a live connection resets it. */
TEST_F_TIMEOUT(awkward, disconnects_alive, SECONDS)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	OPEN();
	ASSERT_EQ(0, connect(self->p.client, &unspec, sizeof(unspec)));
	STEP("", "LISTEN=1");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 ESTABLISHED>CLOSE=1"));
}

static int listen_shared(const struct ns *ns, enum family family)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family, "0.0.0.0", "::", PORT);
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
	struct table ss;
	int group[4], clients[24];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(group); i++) {
		group[i] = listen_shared(SERVER, variant->family);
		ASSERT_GE(group[i], 0) TH_LOG("%s", why());
	}
	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = tcp_connect(CLIENT, variant->family, PORT, 0);
		ASSERT_GE(clients[i], 0) TH_LOG("%s", why());
	}
	STEP("ESTABLISHED=24", "LISTEN=4 ESTABLISHED=24");
	close(group[0]);
	close(group[2]);
	CHECK(same_as_ss(SERVER));
	CHECK(same_as_ss(CLIENT));
	CHECK(ss_read(SERVER, &ss));
	ASSERT_EQ(2, in_state(&ss, ST_LISTEN));
	ASSERT_LT(in_state(&ss, ST_ESTABLISHED), 24);
	group[0] = listen_shared(SERVER, variant->family);
	group[2] = listen_shared(SERVER, variant->family);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	for (i = 0; i < ARRAY_SIZE(group); i++)
		close(group[i]);
	STEP("", "");
}

/* 29: a listener closed and opened again; the connections it made live on. */
TEST_F_TIMEOUT(awkward, listener_reopened, SECONDS)
{
	char expected[64];
	int i, fds[2 * ROUNDS];

	for (i = 0; i < ROUNDS; i++) {
		OPEN();
		fds[2 * i] = self->p.client;
		fds[2 * i + 1] = self->p.server;
		self->p.client = -1;
		self->p.server = -1;
		close_fd(&self->p.listener);
		snprintf(expected, sizeof(expected), "ESTABLISHED=%d", i + 1);
		STEP(expected, expected);
	}
	for (i = 0; i < 2 * ROUNDS; i++)
		close(fds[i]);
	CHECK(edges(SERVER, "CLOSE>LISTEN=5 LISTEN>CLOSE=5 CLOSE>SYN_RECV=5 "
		    "SYN_RECV>ESTABLISHED=5 ESTABLISHED>CLOSE_WAIT=5 CLOSE_WAIT>LAST_ACK=5 "
		    "LAST_ACK>CLOSE=5"));
}

/* 30: with syncookies there is no request, and a connection all the same. */
TEST_F_TIMEOUT(awkward, syncookies, SECONDS)
{
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_syncookies", "2"));
	self->p.listener = tcp_listen(SERVER, variant->family, PORT);
	CHECK(wire(SERVER, LOSE));
	self->p.client = tcp_dial(CLIENT, variant->family, PORT, 0);
	STEP("SYN_SENT=1", "LISTEN=1");
	CHECK(wire(SERVER, PASS));
	CHECK(tcp_finish_dial(self->p.client));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	close_fd(&self->p.client);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	CHECK(edges(SERVER, "CLOSE>LISTEN=1 CLOSE>SYN_RECV=1 SYN_RECV>ESTABLISHED=1 "
		    "ESTABLISHED>CLOSE_WAIT=1"));
}

#define TFO_CLIENT	"5"		/* on, without a cookie */
#define TFO_SERVER	"1538"		/* on for every listener, without a cookie */

/* 30: with TCP fast open the server's connection is a socket while in SYN_RECV. */
TEST_F_TIMEOUT(awkward, fast_open, SECONDS)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, variant->family, PORT);
	char bytes[10];

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fastopen", TFO_CLIENT));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_fastopen", TFO_SERVER));
	self->p.listener = tcp_listen(SERVER, variant->family, PORT);
	CHECK(wire(SERVER, LOSE));
	self->p.client = tcp_socket(CLIENT, variant->family);
	CHECK(set_nonblocking(self->p.client, true));
	sendto(self->p.client, "0123456789", 10, MSG_FASTOPEN, (struct sockaddr *)&to, len);
	STEP("SYN_SENT=1", "LISTEN=1 SYN_RECV=1");
	self->p.server = tcp_accept(self->p.listener);
	ASSERT_EQ(10, recv(self->p.server, bytes, sizeof(bytes), 0));
	STEP("SYN_SENT=1", "LISTEN=1 SYN_RECV=1");
	CHECK(wire(SERVER, PASS));
	CHECK(tcp_finish_dial(self->p.client));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1"));
	CHECK(edges(SERVER, "CLOSE>LISTEN=1 CLOSE>SYN_RECV=1 SYN_RECV>ESTABLISHED=1"));
}

/* 30: the same, closed by the server before the handshake is done. */
TEST_F_TIMEOUT(awkward, fast_open_closed_early, SECONDS)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, variant->family, PORT);
	char bytes[10];
	size_t n;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fastopen", TFO_CLIENT));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_fastopen", TFO_SERVER));
	self->p.listener = tcp_listen(SERVER, variant->family, PORT);
	CHECK(wire(SERVER, LOSE));
	self->p.client = tcp_socket(CLIENT, variant->family);
	CHECK(set_nonblocking(self->p.client, true));
	sendto(self->p.client, "0123456789", 10, MSG_FASTOPEN, (struct sockaddr *)&to, len);
	STEP("SYN_SENT=1", "LISTEN=1 SYN_RECV=1");
	self->p.server = tcp_accept(self->p.listener);
	ASSERT_EQ(10, recv(self->p.server, bytes, sizeof(bytes), 0));
	close_fd(&self->p.server);
	CHECK(same_as_ss(SERVER));
	CHECK(wire(SERVER, PASS));
	CHECK(tcp_finish_dial(self->p.client));
	CHECK(set_nonblocking(self->p.client, false));
	CHECK(read_to_end(self->p.client, &n));
	close_fd(&self->p.client);
	STEP("", "LISTEN=1 TIME_WAIT=1");
}

/* 30: a deferred fast open has its state before anything is sent. */
TEST_F_TIMEOUT(awkward, fast_open_deferred, SECONDS)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, variant->family, PORT);
	int i;

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_fastopen", TFO_CLIENT));
	CHECK(sysctl_set(SERVER, "net/ipv4/tcp_fastopen", TFO_SERVER));
	self->p.listener = tcp_listen(SERVER, variant->family, PORT);
	for (i = 0; i < 2; i++) {
		close_fd(&self->p.client);
		STEP("", "LISTEN=1");
		self->p.client = tcp_socket(CLIENT, variant->family);
		CHECK(set_option(self->p.client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
		ASSERT_EQ(0, connect(self->p.client, (struct sockaddr *)&to, len));
		STEP("SYN_SENT=1", "LISTEN=1");
	}
	CHECK(send_bytes(self->p.client, 10));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>CLOSE=1 SYN_SENT>ESTABLISHED=1"));
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
	struct sockaddr_storage from, to;
	socklen_t len;
	uint32_t seq[2];

	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_timestamps", "0"));
	CHECK(sysctl_set(CLIENT, "net/ipv4/tcp_window_scaling", "0"));
	OPEN();
	len = client_address(&from, variant->family, local_port(self->p.client));
	server_address(&to, variant->family, PORT);
	CHECK(set_option(self->p.client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
	CHECK(queue_sequences(self->p.client, seq, false));
	close_fd(&self->p.client);
	STEP("", "LISTEN=1 ESTABLISHED=1");
	self->p.client = tcp_socket(CLIENT, variant->family);
	CHECK(set_option(self->p.client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
	CHECK(queue_sequences(self->p.client, seq, true));
	ASSERT_EQ(0, bind(self->p.client, (struct sockaddr *)&from, len));
	ASSERT_EQ(0, connect(self->p.client, (struct sockaddr *)&to, len));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(set_option(self->p.client, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF));
	CHECK(pair_to_time_wait(&self->p));
	STEP("TIME_WAIT=1", "LISTEN=1");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=2 SYN_SENT>ESTABLISHED=2 ESTABLISHED>CLOSE=1 "
		    "ESTABLISHED>FIN_WAIT1=1 FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1"));
}

static bool nothing_open(const struct ns *ns)
{
	struct table t;

	return !ss_read(ns, &t) && in_any(&t) == in_state(&t, ST_LISTEN) +
						 in_state(&t, ST_TIME_WAIT);
}

/* 30: of MPTCP the subflows are TCP's, and are what counts. */
TEST_F_TIMEOUT(awkward, mptcp, SECONDS)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int probe = socket(domain_of(variant->family), SOCK_STREAM, IPPROTO_MPTCP);
	char bytes[10];

	if (probe < 0)
		SKIP(return, "this kernel has no MPTCP here: %s", strerror(errno));
	close(probe);
	CHECK(sysctl_set(CLIENT, "net/mptcp/enabled", "1"));
	CHECK(sysctl_set(SERVER, "net/mptcp/enabled", "1"));
	self->p.listener = ns_socket(SERVER, domain_of(variant->family), SOCK_STREAM,
				     IPPROTO_MPTCP);
	len = server_address(&sa, variant->family, PORT);
	ASSERT_EQ(0, bind(self->p.listener, (struct sockaddr *)&sa, len));
	ASSERT_EQ(0, listen(self->p.listener, 16));
	STEP("", "LISTEN=1");
	self->p.client = ns_socket(CLIENT, domain_of(variant->family), SOCK_STREAM,
				   IPPROTO_MPTCP);
	STEP("", "LISTEN=1");
	ASSERT_EQ(0, connect(self->p.client, (struct sockaddr *)&sa, len));
	self->p.server = tcp_accept(self->p.listener);
	ASSERT_GE(self->p.server, 0) TH_LOG("%s", why());
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(send_bytes(self->p.client, 10));
	ASSERT_EQ(10, recv(self->p.server, bytes, sizeof(bytes), MSG_WAITALL));
	CHECK(send_bytes(self->p.server, 10));
	ASSERT_EQ(10, recv(self->p.client, bytes, sizeof(bytes), MSG_WAITALL));
	close_fd(&self->p.client);
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	close_fd(&self->p.server);
	ASSERT_TRUE(WAIT_FOR(nothing_open(CLIENT) && nothing_open(SERVER), 2 * PATIENCE_MS));
	CHECK(same_as_ss(CLIENT));
	CHECK(same_as_ss(SERVER));
	close_fd(&self->p.listener);
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
	if (setsockopt(self->p.client, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		SKIP(return, "this kernel has no tls: %s", strerror(errno));
	ASSERT_EQ(0, setsockopt(self->p.client, SOL_TLS, TLS_TX, &key, sizeof(key)));
	STEP("ESTABLISHED=1", "LISTEN=1 ESTABLISHED=1");
	CHECK(send_bytes(self->p.client, 1000));
	shutdown(self->p.client, SHUT_WR);
	CHECK(read_to_end(self->p.server, &n));
	ASSERT_GT(n, 1000);
	STEP("FIN_WAIT2=1", "LISTEN=1 CLOSE_WAIT=1");
	close_fd(&self->p.client);
	STEP("FIN_WAIT2=1m", "LISTEN=1 CLOSE_WAIT=1");
	close_fd(&self->p.server);
	STEP("TIME_WAIT=1", "LISTEN=1");
	CHECK(edges(CLIENT, "CLOSE>SYN_SENT=1 SYN_SENT>ESTABLISHED=1 ESTABLISHED>FIN_WAIT1=1 "
		    "FIN_WAIT1>FIN_WAIT2=1 FIN_WAIT2>TIME_WAIT=1"));
}

/* A listener, a connection and both its ends, of a protocol that is not TCP. */
static int foreign_pair(const struct net *net, enum family family, int type, int protocol,
			struct pair *p)
{
	struct sockaddr_storage sa;
	socklen_t len = server_address(&sa, family, PORT);
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };

	p->listener = ns_socket(&net->server, domain_of(family), type, protocol);
	p->client = ns_socket(&net->client, domain_of(family), type, protocol);
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

/* 30: SCTP comes through the same tracepoint and is none of ours. */
TEST_F_TIMEOUT(awkward, sctp, SECONDS)
{
	int probe = socket(domain_of(variant->family), SOCK_STREAM, IPPROTO_SCTP);
	char bytes[10];

	if (probe < 0)
		SKIP(return, "this kernel has no SCTP: %s", strerror(errno));
	close(probe);
	CHECK(foreign_pair(&self->rig.net, variant->family, SOCK_STREAM, IPPROTO_SCTP,
			   &self->p));
	CHECK(send_bytes(self->p.client, 10));
	ASSERT_EQ(10, recv(self->p.server, bytes, sizeof(bytes), 0));
	STEP("", "");
	pair_close(&self->p);
	STEP("", "");
	CHECK(edges(CLIENT, ""));
	CHECK(edges(SERVER, ""));
}

static bool dccp_time_wait(const struct ns *a, const struct ns *b)
{
	return !run(a, "ss -Hdan state time-wait | grep -q .") ||
	       !run(b, "ss -Hdan state time-wait | grep -q .");
}

/* 30: DCCP has mini-sockets in TIME_WAIT too, made by the functions that are hooked. */
TEST_F_TIMEOUT(awkward, dccp, SECONDS)
{
	int probe;

	/* Debian keeps it from being loaded by itself. */
	run_status(NULL, "modprobe -a dccp_ipv4 dccp_ipv6 dccp_diag");
	probe = socket(domain_of(variant->family), SOCK_DCCP, IPPROTO_DCCP);
	if (probe < 0)
		SKIP(return, "this kernel has no DCCP: %s", strerror(errno));
	close(probe);
	CHECK(foreign_pair(&self->rig.net, variant->family, SOCK_DCCP, IPPROTO_DCCP, &self->p));
	CHECK(run(CLIENT, "ss -Hdan state established | grep -q ."));
	STEP("", "");
	close_fd(&self->p.server);
	close_fd(&self->p.client);
	ASSERT_TRUE(WAIT_FOR(dccp_time_wait(CLIENT, SERVER), PATIENCE_MS));
	STEP("", "");
	CHECK(edges(CLIENT, ""));
	CHECK(edges(SERVER, ""));
}

/* 31: connections bound to a device, and to a VRF. */
TEST_F_TIMEOUT(awkward, bound_to_device, SECONDS)
{
	static const char *const devices[] = { "wire", "vrf0" };
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, variant->family, PORT);
	char expected[64];
	unsigned int i;

	self->p.listener = tcp_listen(SERVER, variant->family, PORT);
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		if (i)
			CHECK(run(CLIENT, "ip link add vrf0 type vrf table 10 && "
				  "ip link set vrf0 up && ip link set wire master vrf0 && "
				  "ip addr replace 10.9.0.1/24 dev wire && "
				  "ip addr replace fd09::1/64 dev wire nodad"));
		self->p.client = tcp_socket(CLIENT, variant->family);
		ASSERT_EQ(0, setsockopt(self->p.client, SOL_SOCKET, SO_BINDTODEVICE, devices[i],
					strlen(devices[i])));
		ASSERT_EQ(0, connect(self->p.client, (struct sockaddr *)&to, len))
			TH_LOG("%s: %s", devices[i], strerror(errno));
		self->p.server = tcp_accept(self->p.listener);
		snprintf(expected, sizeof(expected), "ESTABLISHED=1 TIME_WAIT=%d", i);
		STEP(expected, "LISTEN=1 ESTABLISHED=1");
		CHECK(pair_to_time_wait(&self->p));
		snprintf(expected, sizeof(expected), "TIME_WAIT=%d", i + 1);
		STEP(expected, "LISTEN=1");
	}
}

/* So many whole lives, each through TIME_WAIT. */
static int live(const struct net *net, enum family family, struct pair *p, int times)
{
	while (times--)
		if (pair_open(net, family, p) || pair_to_time_wait(p))
			return -1;
	return 0;
}

#define LIVED(n)	"CLOSE>SYN_SENT=" #n " SYN_SENT>ESTABLISHED=" #n		\
			" ESTABLISHED>FIN_WAIT1=" #n " FIN_WAIT1>FIN_WAIT2=" #n		\
			" FIN_WAIT2>TIME_WAIT=" #n

/* 32: sysctl kernel.ftrace_enabled=0, whether or not the kernel lets it happen. */
TEST_F_TIMEOUT(awkward, ftrace_switched_off, SECONDS)
{
	int off, on;

	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	off = sysctl_set(NULL, "kernel/ftrace_enabled", "0");
	TH_LOG("%s", off ? why() : "ftrace is off");
	CHECK(live(&self->rig.net, variant->family, &self->p, 5) ||
	      step(CLIENT, self->col, "TIME_WAIT=10"));
	on = sysctl_set(NULL, "kernel/ftrace_enabled", "1");
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	STEP("TIME_WAIT=15", "LISTEN=1");
	CHECK(edges(CLIENT, LIVED(15)));
	ASSERT_EQ(0, on) TH_LOG("%s", why());
}

#define TRACEFS	"/sys/kernel/tracing/"

/* 32: the function tracer on the very functions that are hooked. */
TEST_F_TIMEOUT(awkward, function_tracer, SECONDS)
{
	CHECK(run(NULL, "mountpoint -q " TRACEFS " || mount -t tracefs tracefs " TRACEFS));
	CHECK(run(NULL, "echo 'tcp_* *inet_twsk_*' > " TRACEFS "set_ftrace_filter"));
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	CHECK(file_write(TRACEFS "current_tracer", "function"));
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	CHECK(run(NULL, "grep -q tcp_time_wait " TRACEFS "trace"));
	CHECK(file_write(TRACEFS "current_tracer", "nop"));
	CHECK(run(NULL, "echo > " TRACEFS "set_ftrace_filter"));
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	STEP("TIME_WAIT=15", "LISTEN=1");
	CHECK(edges(CLIENT, LIVED(15)));
}

#define BPF_OUTPUT	"/tmp/tcpstate-bpftrace"

/* 32: bpftrace on the same tracepoint and functions. */
TEST_F_TIMEOUT(awkward, bpftrace, SECONDS)
{
	if (!have_command("bpftrace"))
		SKIP(return, "bpftrace is not installed");
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	CHECK(run(NULL, "exec 3>&-; bpftrace -e 'tracepoint:sock:inet_sock_set_state "
		  "{ @state = count(); } "
		  "kprobe:inet_twsk_hashdance*,kprobe:__inet_twsk_schedule,"
		  "kprobe:tcp_twsk_destructor { @mini = count(); } "
		  "interval:ms:200 { printf(\"ready\\n\"); }' > " BPF_OUTPUT " 2>&1 & "
		  "echo $! > " BPF_OUTPUT ".pid"));
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "grep -q ready " BPF_OUTPUT), 3 * PATIENCE_MS)) {
		run(NULL, "cat " BPF_OUTPUT);
		TH_LOG("%s", output());
	}
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	CHECK(run(NULL, "kill -INT $(cat " BPF_OUTPUT ".pid)"));
	ASSERT_TRUE(WAIT_FOR(!run(NULL, "grep -q '@mini: [1-9]' " BPF_OUTPUT " && "
				  "grep -q '@state: [1-9]' " BPF_OUTPUT), PATIENCE_MS)) {
		run(NULL, "cat " BPF_OUTPUT);
		TH_LOG("%s", output());
	}
	CHECK(live(&self->rig.net, variant->family, &self->p, 5));
	STEP("TIME_WAIT=15", "LISTEN=1");
	CHECK(edges(CLIENT, LIVED(15)));
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
	CHECK(ns_new(&parent, NULL));
	CHECK(sysctl_set(&parent, "net/ipv4/tcp_child_ehash_entries", "64"));
	for (i = 0; i < 3; i++) {
		CHECK(ns_new(&child, &parent));
		CHECK(sysctl_get(&child, "net/ipv4/tcp_ehash_entries", entries,
				 sizeof(entries)));
		ASSERT_STREQ("64", entries);
		CHECK(pair_open_local(&child, variant->family, PORT, &self->p));
		CHECK(pair_to_time_wait(&self->p));
		CHECK(pair_open_local(&child, variant->family, PORT, &self->p));
		CHECK(step(&child, self->col, "LISTEN=1 ESTABLISHED=2 TIME_WAIT=1"));
		CHECK(audit(&child));
		/* Seeding and audit walk it where it is. */
		CHECK(ns_note_seed(&child));
		CHECK(module_unload());
		CHECK(module_load(NULL));
		CHECK(step(&child, self->col, "LISTEN=1 ESTABLISHED=2 TIME_WAIT=1"));
		CHECK(pair_to_time_wait(&self->p));
		CHECK(step(&child, self->col, "LISTEN=1 TIME_WAIT=2"));
		pair_close(&self->p);
		ASSERT_TRUE(listed(&child)) TH_LOG("%s", why());
		ns_drop(&child);
		ASSERT_TRUE(WAIT_FOR(!listed(&child), PATIENCE_MS));
		CHECK(run(NULL, "tcpstate-cli -a audit"));
	}
	ns_drop(&parent);
}

/* IPV6_ADDRFORM: a socket of one family becomes one of the other. */
FIXTURE(changes_family) {
	struct rig rig;
	struct pair p;
};

FIXTURE_SETUP(changes_family)
{
	self->p = NO_PAIR;
	CHECK(rig_up(&self->rig, NULL));
}

FIXTURE_TEARDOWN(changes_family)
{
	pair_close(&self->p);
	EXPECT_OK(rig_down(&self->rig));
}

TEST_F_TIMEOUT(changes_family, addrform, SECONDS)
{
	CHECK(pair_open(&self->rig.net, MAPPED, &self->p));
	CHECK(step(CLIENT, V6, "ESTABLISHED=1"));
	CHECK(set_option(self->p.client, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET));
	CHECK(step(CLIENT, V4, "ESTABLISHED=1"));
	CHECK(pair_to_time_wait(&self->p));
	CHECK(step(CLIENT, V4, "TIME_WAIT=1"));
	CHECK(step(SERVER, V6, "LISTEN=1"));
}

TEST_HARNESS_MAIN
