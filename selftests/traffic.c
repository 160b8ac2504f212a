// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic.h"

struct traffic_shared {
	bool stop;
	unsigned int rest_us;
	struct {
		uint64_t done;
		bool finished;
		char trouble[200];
		/* the listeners of a port, for the workers that share it */
		const struct ns *ns;
		uint16_t port;
		int listener[2];
	} worker[TRAFFIC_WORKERS];
};

/* One connection that a worker holds open. */
struct held {
	int client, server;
	unsigned int end;
};

struct worker {
	const struct traffic_spec *spec;
	struct traffic_shared *shared;
	unsigned int id;
	uint16_t port;
	int *listener;
	struct held held[TRAFFIC_WINDOW];
};

int traffic_settings(const struct ns *ns)
{
	/* No client is to have the port that a worker is about to listen on. */
	return sysctl_set(ns, "net/ipv4/ip_local_reserved_ports", "7000-7199") ||
	       sysctl_set(ns, "net/ipv4/tcp_max_tw_buckets", "1000000") ||
	       sysctl_set(ns, "net/ipv4/ip_local_port_range", "1024 65535") ||
	       sysctl_set(ns, "net/ipv4/tcp_tw_reuse", "1") ? -1 : 0;
}

int traffic_init(struct traffic *t)
{
	memset(t, 0, sizeof(*t));
	t->shared = mmap(NULL, sizeof(*t->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return t->shared == MAP_FAILED ? fail("mmap: %m") : 0;
}

static int trouble(struct worker *w, const char *what)
{
	snprintf(w->shared->worker[w->id].trouble, sizeof(w->shared->worker[0].trouble),
		 "%s: %s", what, strerror(errno));
	return -1;
}

static void reset_fd(int fd)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* Close @first, let the other side see it, close that. */
static void close_in_turn(int first, int second)
{
	char byte;

	close(first);
	if (second >= 0) {
		recv(second, &byte, 1, 0);
		close(second);
	}
}

static void end(struct held *h)
{
	switch (h->client < 0 ? 0 : h->end) {
	case END_CLIENT_FIRST:
	case END_HALF_CLOSED:
		close_in_turn(h->client, h->server);
		break;
	case END_SERVER_FIRST:
		/* The process that accepted closes at once. */
		if (h->server < 0)
			recv(h->client, &(char){ 0 }, 1, 0);
		else
			close(h->server);
		close_in_turn(h->client, -1);
		break;
	case END_RESET:
		reset_fd(h->client);
		if (h->server >= 0)
			close(h->server);
		break;
	}
	h->client = -1;
}

static int begin(struct worker *w, uint64_t i, struct held *h)
{
	const struct traffic_spec *spec = w->spec;
	enum family family = spec->ipv6_every && i % spec->ipv6_every == 0 ? IPV6 : IPV4;
	struct sockaddr_storage sa;
	unsigned int turn = i % 4;
	char host[32];
	socklen_t len;

	do {
		h->end = 1 << turn;
		turn = (turn + 1) % 4;
	} while (!(spec->ends & h->end));
	snprintf(host, sizeof(host), "127.%ju.%ju.1", (uintmax_t)(1 + i / 200 % 200),
		 (uintmax_t)(1 + i % 200));
	if (spec->destinations < 40000)
		snprintf(host, sizeof(host), "127.0.0.%ju",
			 (uintmax_t)(1 + i % (spec->destinations ? spec->destinations : 1)));
	/* In a split worker the second port's connections are closed at once. */
	len = address(&sa, family, host, "::1",
		      w->port + (spec->split && h->end == END_SERVER_FIRST));
	h->server = -1;
	h->client = socket(domain_of(family), SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->client < 0)
		return trouble(w, "socket");
	if (connect(h->client, (struct sockaddr *)&sa, len))
		return trouble(w, "connect");
	if (!spec->split) {
		h->server = accept4(w->listener[0], NULL, NULL, SOCK_CLOEXEC);
		if (h->server < 0)
			return trouble(w, "accept");
	}
	if (h->end == END_HALF_CLOSED)
		shutdown(h->client, SHUT_WR);
	return 0;
}

static void connect_and_close(struct worker *w)
{
	struct traffic_shared *shared = w->shared;
	unsigned int window = w->spec->window ? w->spec->window : 1, rest;
	uint64_t i;

	for (i = 0; i < TRAFFIC_WINDOW; i++)
		w->held[i].client = -1;
	for (i = 0; !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED); i++) {
		struct held *h = &w->held[i % window];

		if (w->spec->limit && i == w->spec->limit)
			break;
		end(h);
		if (begin(w, i, h)) {
			h->client = -1;
			break;
		}
		if (!w->spec->window)
			end(h);
		__atomic_store_n(&shared->worker[w->id].done, i + 1, __ATOMIC_RELAXED);
		rest = __atomic_load_n(&shared->rest_us, __ATOMIC_RELAXED);
		if (rest)
			usleep(rest);
	}
	for (i = 0; i < TRAFFIC_WINDOW; i++)
		end(&w->held[i]);
	shared->worker[w->id].finished = true;
}

/* The accepting half: what comes by the second port is closed at once. */
static void accept_and_close(int listener[2])
{
	struct pollfd p[1 + TRAFFIC_WINDOW * 2];
	unsigned int n = 2, i;

	p[0] = (struct pollfd){ .fd = listener[0], .events = POLLIN };
	p[1] = (struct pollfd){ .fd = listener[1], .events = POLLIN };
	for (;;) {
		poll(p, n, -1);
		for (i = 2; i < n; i++) {
			if (!p[i].revents)
				continue;
			close(p[i].fd);
			p[i--] = p[--n];
		}
		if (p[1].revents)
			close(accept4(listener[1], NULL, NULL, SOCK_CLOEXEC));
		if (p[0].revents && n < 1 + TRAFFIC_WINDOW * 2)
			p[n++] = (struct pollfd){
				.fd = accept4(listener[0], NULL, NULL, SOCK_CLOEXEC),
				.events = POLLIN,
			};
	}
}

static void work(struct worker *w, const struct ns *ns)
{
	pid_t acceptor = 0;

	/* The signal that pauses is for the whole of it. */
	setpgid(0, 0);
	/* Full speed is what is left by those who load and look. */
	if (nice(10) < 0)
		_exit(1);
	if (ns_enter(ns))
		_exit(1);
	if (w->spec->split) {
		acceptor = fork();
		if (!acceptor)
			accept_and_close(w->listener);
	}
	connect_and_close(w);
	if (acceptor > 0) {
		kill(acceptor, SIGKILL);
		waitpid(acceptor, NULL, 0);
	}
	_exit(0);
}

static int listen_for(struct traffic *t, const struct ns *ns, uint16_t port, bool split)
{
	unsigned int id = t->workers, i;
	int *listener = t->shared->worker[id].listener;

	t->shared->worker[id].ns = ns;
	t->shared->worker[id].port = port;
	for (i = 0; i < id; i++) {
		if (t->shared->worker[i].ns == ns && t->shared->worker[i].port == port) {
			memcpy(listener, t->shared->worker[i].listener,
			       sizeof(t->shared->worker[i].listener));
			return 0;
		}
	}
	listener[0] = tcp_listen(ns, IPV6, port);
	listener[1] = split ? tcp_listen(ns, IPV6, port + 1) : -1;
	return listener[0] < 0 || (split && listener[1] < 0) ? -1 : 0;
}

int traffic_add(struct traffic *t, const struct ns *ns, uint16_t port,
		const struct traffic_spec *spec)
{
	struct worker w = {
		.spec = spec, .shared = t->shared, .id = t->workers, .port = port,
		.listener = t->shared->worker[t->workers].listener,
	};
	pid_t pid;

	if (t->workers == TRAFFIC_WORKERS || spec->window > TRAFFIC_WINDOW)
		return fail("too much traffic");
	if (listen_for(t, ns, port, spec->split))
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail("fork: %m");
	if (!pid)
		work(&w, ns);
	setpgid(pid, pid);
	t->pid[t->workers++] = pid;
	return 0;
}

int traffic_add_mixed(struct traffic *t, const struct ns *ns, unsigned int destinations,
		      unsigned int window)
{
	struct traffic_spec spec = {
		.ends = END_ANY, .destinations = destinations, .window = window, .ipv6_every = 3,
	};

	if (traffic_add(t, ns, PORT, &spec))
		return -1;
	spec.split = true;
	return traffic_add(t, ns, PORT + 10, &spec);
}

uint64_t traffic_done(const struct traffic *t)
{
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < t->workers; i++)
		done += __atomic_load_n(&t->shared->worker[i].done, __ATOMIC_RELAXED);
	return done;
}

bool traffic_finished(const struct traffic *t)
{
	unsigned int i;

	for (i = 0; i < t->workers; i++)
		if (!__atomic_load_n(&t->shared->worker[i].finished, __ATOMIC_RELAXED))
			return false;
	return true;
}

static int signal_all(struct traffic *t, int signal)
{
	unsigned int i;

	for (i = 0; i < t->workers; i++)
		if (kill(-t->pid[i], signal))
			return fail("kill: %m");
	return 0;
}

static bool all_stopped(struct traffic *t)
{
	unsigned int i;

	for (i = 0; i < t->workers; i++) {
		siginfo_t info = { };

		if (waitid(P_PID, t->pid[i], &info, WSTOPPED | WNOHANG | WNOWAIT) ||
		    info.si_pid != t->pid[i])
			return false;
	}
	return true;
}

void traffic_rest(struct traffic *t, unsigned int rest_us)
{
	__atomic_store_n(&t->shared->rest_us, rest_us, __ATOMIC_RELAXED);
}

/*
 * What a process has done to a socket may be on its way for a while after it
 * stopped: where CPUs are short ksoftirqd delivers it. None of these states
 * is left once both sides' kernels have answered.
 */
static bool under_way(const struct ns *ns)
{
	return run(ns, "ss -Htan state syn-sent state syn-recv state fin-wait-1 "
		   "state last-ack state closing") || *output();
}

static int come_to_rest(struct traffic *t)
{
	unsigned int i;

	for (i = 0; i < t->workers; i++) {
		const struct ns *ns = t->shared->worker[i].ns;

		/* Those of a namespace follow each other. */
		if (i && ns == t->shared->worker[i - 1].ns)
			continue;
		if (!WAIT_FOR(!under_way(ns), PATIENCE_MS))
			return fail("still under way: %.300s", output());
	}
	return 0;
}

int traffic_pause(struct traffic *t)
{
	if (signal_all(t, SIGSTOP))
		return -1;
	if (!WAIT_FOR(all_stopped(t), PATIENCE_MS))
		return fail("workers do not stop");
	return come_to_rest(t);
}

int traffic_resume(struct traffic *t)
{
	unsigned int i;

	for (i = 0; i < t->workers; i++)
		waitid(P_PID, t->pid[i], &(siginfo_t){ }, WSTOPPED | WNOHANG);
	return signal_all(t, SIGCONT);
}

int traffic_stop(struct traffic *t)
{
	unsigned int i, j;
	int status, rc = 0;

	__atomic_store_n(&t->shared->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < t->workers; i++) {
		while (waitpid(t->pid[i], &status, 0) < 0 && errno == EINTR)
			;
		if (status || *t->shared->worker[i].trouble)
			rc = fail("worker %u ended with %d: %s", i, status,
				  t->shared->worker[i].trouble);
		for (j = 0; j < i; j++)
			if (t->shared->worker[j].listener[0] == t->shared->worker[i].listener[0])
				break;
		if (j == i) {
			close_fd(&t->shared->worker[i].listener[0]);
			close_fd(&t->shared->worker[i].listener[1]);
		}
	}
	if (come_to_rest(t))
		rc = -1;
	t->done = traffic_done(t);
	munmap(t->shared, sizeof(*t->shared));
	t->workers = 0;
	return rc;
}

int traffic_up(struct traffic *t, struct ns ns[], unsigned int count, unsigned int destinations,
	       unsigned int window)
{
	unsigned int i;

	if (traffic_init(t))
		return -1;
	for (i = 0; i < count; i++)
		if (ns_new(&ns[i], NULL) || traffic_settings(&ns[i]) ||
		    traffic_add_mixed(t, &ns[i], destinations, window))
			return -1;
	return 0;
}

int traffic_down(struct traffic *t, struct ns ns[], unsigned int count)
{
	int rc = t->workers ? traffic_stop(t) : 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		ns_drop(&ns[i]);
	return module_loaded() && module_unload() ? -1 : rc;
}

int paused_as_ss(const struct ns *ns)
{
	struct table before, after, ours;
	struct counters c;
	uint64_t held, unheld, full;
	int s, f;

	if (ss_read_held(ns, &before, &held, &unheld) || cli_read(ns, &c) ||
	    sockstat(ns, "tw", &after.mini))
		return -1;
	ours = table_as_ss(&c.now);
	for (s = 1; s < NSTATES; s++) {
		bool ends = s == ST_TIME_WAIT || s == ST_FIN_WAIT2;

		for (f = 0; f < NFAMILIES; f++)
			if (ours.n[s][f] > before.n[s][f] ||
			    (ours.n[s][f] < before.n[s][f] && !ends))
				return fail("%s of IPv%d: ss %ju, tcpstate %ju",
					    state_name[s], f ? 6 : 4,
					    (uintmax_t)before.n[s][f], (uintmax_t)ours.n[s][f]);
	}
	/*
	 * What a process holds in FIN_WAIT2 ends by no timer. (Some that nobody holds
	 * are no mini-sockets yet, and do.)
	 */
	full = in_state(&c.now, ST_FIN_WAIT2) - c.minis[ST_FIN_WAIT2];
	if (full < held || full > held + unheld)
		return fail("full sockets in FIN_WAIT2: ss %ju, and %ju orphans; tcpstate %ju",
			    (uintmax_t)held, (uintmax_t)unheld, (uintmax_t)full);
	if (ours.mini > before.mini || ours.mini < after.mini)
		return fail("mini-sockets: sockstat %ju, tcpstate %ju, sockstat %ju",
			    (uintmax_t)before.mini, (uintmax_t)ours.mini,
			    (uintmax_t)after.mini);
	return 0;
}
