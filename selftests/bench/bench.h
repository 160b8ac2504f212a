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

/* Where a listener is, over IPv4 or IPv6. */
union address {
	struct sockaddr		any;
	struct sockaddr_in	ipv4;
	struct sockaddr_in6	ipv6;
};

static inline socklen_t address_len(const union address *addr)
{
	return addr->any.sa_family == AF_INET6 ? sizeof(addr->ipv6) :
						 sizeof(addr->ipv4);
}

/* A listener on @addr, on a port that is free. */
static inline int listener_at(union address *addr)
{
	socklen_t len = address_len(addr);
	int fd = socket(addr->any.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, &addr->any, len) ||
	    listen(fd, 128) || getsockname(fd, &addr->any, &len))
		err(1, "cannot listen");
	return fd;
}

/* The same on @host, of IPv4. */
static inline int listener(union address *addr, in_addr_t host)
{
	*addr = (union address) {
		.ipv4 = {
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(host),
		},
	};
	return listener_at(addr);
}

/* A socket that is connected to @addr. */
static inline int connect_to(const union address *addr)
{
	int fd = socket(addr->any.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, &addr->any, address_len(addr)))
		err(1, "cannot connect");
	return fd;
}

static inline int accept_from(int fd)
{
	int end = accept(fd, NULL, NULL);

	if (end < 0)
		err(1, "cannot accept");
	return end;
}

/* One connection to the listener @fd at @addr: both of its ends. */
static inline void connection_open(int fd, const union address *addr,
				   int end[2])
{
	end[0] = connect_to(addr);
	end[1] = accept_from(fd);
}

/* The same, closed by the client first: 11 transitions, and a mini-socket that stays. */
static inline void connection(int fd, const union address *addr)
{
	int end[2];

	connection_open(fd, addr, end);
	close(end[0]);
	close(end[1]);
}

#endif
