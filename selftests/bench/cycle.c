// SPDX-License-Identifier: GPL-2.0
/*
 * cycle CYCLES ROUNDS [end|ipv6|apart|mean]: the cost of a connection over loopback,
 * from its socket() to the second close(). Prints
 *
 *	BEST WORST END
 *
 * nanoseconds (see bench.h) per connection, of the cheapest and of the dearest
 * round of CYCLES connections. END is 0 unless asked for:
 *
 *	end	END is what the end of its TIME_WAIT takes by itself. That happens
 *		in interrupts, for all of them at once, a minute later: the program
 *		waits until shortly before, then does nothing but look at the clock,
 *		and adds up the time that is missing there.
 *	ipv6	over IPv6
 *	apart	client and server are two processes, and the CPU changes between
 *		them within each connection: the client, once it has shut down its
 *		side, waits for the server to close.
 *	mean	END is the mean of all rounds: what is done beside the connections
 *		now and then is in that, but not in the cheapest. The first round,
 *		before them, is not counted.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bench.h"

#define SECOND		1000000000LL
/* Just less than the shortest time a TIME_WAIT lasts, ... */
#define TIME_WAIT_MIN	(59 * SECOND + SECOND * 9 / 10)
/* ... and more than the longest: the timer wheel is coarse. */
#define TIME_WAIT_MAX	(66 * SECOND)
/* A tick takes some tens of thousands. */
#define GAP_MIN		200000

/* How many sockets /proc/net/sockstat says are in TIME_WAIT. */
static long time_wait(void)
{
	static int fd = -1;
	char text[512], *tw;
	ssize_t len;

	if (fd < 0)
		fd = open("/proc/net/sockstat", O_RDONLY | O_CLOEXEC);
	len = pread(fd, text, sizeof(text) - 1, 0);
	if (len < 0)
		err(1, "cannot read /proc/net/sockstat");
	text[len] = 0;
	tw = strstr(text, " tw ");
	if (!tw)
		errx(1, "/proc/net/sockstat does not say how many are in TIME_WAIT");
	return atol(tw + 4);
}

/* The time taken from us until every TIME_WAIT is over, per each. What is taken
 * while none ends is for something else: the module has a look at its destinations
 * every ten seconds, however many connections there are.
 */
static long long ends(long long first)
{
	long long until = first + TIME_WAIT_MIN, last, next, taken = 0;
	struct timespec ts = { until / SECOND, until % SECOND };
	long count = time_wait(), there = count, left;

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	if (time_wait() != count)
		errx(1, "TIME_WAIT ended early");
	last = now();
	while ((next = now()) < first + TIME_WAIT_MAX) {
		long long gap = next - last;

		last = next;
		if (gap < GAP_MIN)
			continue;
		left = time_wait();
		if (left < there)
			taken += gap;
		if (!left)
			return taken / count;
		there = left;
		last = now();
	}
	errx(1, "TIME_WAIT does not end");
}

/* What the server of two processes does: it closes what the client has shut down,
 * until it is killed.
 */
static void serve(int fd)
{
	char byte;
	int end;

	for (;;) {
		end = accept_from(fd);
		if (read(end, &byte, sizeof(byte)))
			errx(1, "the client has not closed");
		close(end);
	}
}

/* Its client's part of a connection. */
static void connection_apart(const union address *addr)
{
	int fd = connect_to(addr);
	char byte;

	if (shutdown(fd, SHUT_WR) || read(fd, &byte, sizeof(byte)))
		err(1, "the server has not closed");
	close(fd);
}

int main(int argc, char **argv)
{
	long long best = LLONG_MAX, worst = 0, first = now(), sum = 0, last = 0;
	const char *how = argc == 4 ? argv[3] : "";
	bool end = !strcmp(how, "end"), ipv6 = !strcmp(how, "ipv6"),
	     apart = !strcmp(how, "apart"), mean = !strcmp(how, "mean");
	union address addr = {
		.ipv6 = {
			.sin6_family = AF_INET6,
			.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		},
	};
	long cycles, rounds, round, i;
	pid_t server = 0;
	int fd;

	if (argc < 3 || argc > 4 ||
	    (*how && !end && !ipv6 && !apart && !mean))
		errx(2, "usage: cycle CYCLES ROUNDS [end|ipv6|apart|mean]");
	cycles = number(argv[1]);
	rounds = number(argv[2]);
	if (mean)
		rounds++;
	fd = ipv6 ? listener_at(&addr) : listener(&addr, INADDR_LOOPBACK);
	if (apart) {
		server = fork();
		if (server < 0)
			err(1, "cannot fork");
		if (!server)
			serve(fd);
	}
	for (round = 0; round < rounds; round++) {
		long long begin = now(), took;

		for (i = 0; i < cycles; i++) {
			if (apart)
				connection_apart(&addr);
			else
				connection(fd, &addr);
		}
		took = (now() - begin) / cycles;
		if (mean && !round)
			continue;
		sum += took;
		if (took < best)
			best = took;
		if (took > worst)
			worst = took;
	}
	if (apart && (kill(server, SIGKILL) || waitpid(server, NULL, 0) < 0))
		err(1, "the server has ended");
	if (end)
		last = ends(first);
	else if (mean)
		last = sum / (rounds - 1);
	printf("%lld %lld %lld\n", best, worst, last);
	return 0;
}
