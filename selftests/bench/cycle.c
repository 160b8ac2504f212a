// SPDX-License-Identifier: GPL-2.0
/*
 * cycle CYCLES ROUNDS [end]: the cost of a connection over loopback, from its
 * socket() to the second close(). Prints
 *
 *	BEST WORST END
 *
 * nanoseconds (see bench.h) per connection, of the cheapest and of the dearest
 * round of CYCLES connections. With "end", END is what the end of its TIME_WAIT
 * takes by itself, else 0. That happens in interrupts, for all of them at once, a
 * minute later: the program waits until shortly before, then does nothing but
 * look at the clock, and adds up the time that is missing there.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

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

int main(int argc, char **argv)
{
	long long best = LLONG_MAX, worst = 0, first = now();
	struct sockaddr_in addr;
	int fd = listener(&addr, INADDR_LOOPBACK);
	long cycles, rounds, i;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "end")))
		errx(2, "usage: cycle CYCLES ROUNDS [end]");
	cycles = number(argv[1]);
	for (rounds = number(argv[2]); rounds; rounds--) {
		long long begin = now(), took;

		for (i = 0; i < cycles; i++)
			connection(fd, &addr);
		took = (now() - begin) / cycles;
		if (took < best)
			best = took;
		if (took > worst)
			worst = took;
	}
	printf("%lld %lld %lld\n", best, worst, argc == 4 ? ends(first) : 0);
	return 0;
}
