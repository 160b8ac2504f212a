/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_BENCH_H
#define TCPSTATE_BENCH_H

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * CLOCK_MONOTONIC in nanoseconds. Where the machine counts time in instructions
 * (qemu -icount shift=0), differences are instructions.
 */
static inline long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline long number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text || value < 1)
		errx(2, "'%s' is not a number above 0", text);
	return value;
}

/* A listener on @host, on a port that is free. */
static inline int listener(struct sockaddr_in *addr, in_addr_t host)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(host);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, len) ||
	    listen(fd, 128) || getsockname(fd, (struct sockaddr *)addr, &len))
		err(1, "cannot listen");
	return fd;
}

/* One connection to the listener @fd at @addr: both of its ends. */
static inline void connection_open(int fd, const struct sockaddr_in *addr,
				   int end[2])
{
	end[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (end[0] < 0 || connect(end[0], (const struct sockaddr *)addr,
				  sizeof(*addr)))
		err(1, "cannot connect");
	end[1] = accept(fd, NULL, NULL);
	if (end[1] < 0)
		err(1, "cannot accept");
}

/* The same, closed by the client first: 11 transitions, and a mini-socket that stays. */
static inline void connection(int fd, const struct sockaddr_in *addr)
{
	int end[2];

	connection_open(fd, addr, end);
	close(end[0]);
	close(end[1]);
}

#endif
