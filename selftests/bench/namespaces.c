// SPDX-License-Identifier: GPL-2.0
/*
 * namespaces N: make N network namespaces, their loopback up, and keep them.
 * Says "ready", then does what it reads: "use" makes a connection in each
 * namespace on each CPU, reset at once so that nothing of it stays, and says
 * "used"; the end of the input ends the namespaces.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "bench.h"

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		err(1, "cannot set lo up");
	close(fd);
}

static void use(void)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	long cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	union address addr;
	int fd = listener(&addr, INADDR_LOOPBACK);

	for (cpu = 0; cpu < cpus; cpu++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			err(1, "cannot run on CPU %ld", cpu);
		if (client < 0 ||
		    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset,
			       sizeof(reset)) ||
		    connect(client, &addr.any, address_len(&addr)))
			err(1, "cannot connect");
		server = accept(fd, NULL, NULL);
		if (server < 0)
			err(1, "cannot accept");
		close(client);
		close(server);
	}
	close(fd);
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[16];
	long n, i;
	int *fds;

	if (argc != 2)
		errx(2, "usage: namespaces N");
	n = number(argv[1]);
	fds = calloc(n, sizeof(*fds));
	if (!fds)
		errx(1, "out of memory");
	for (i = 0; i < n; i++) {
		if (unshare(CLONE_NEWNET))
			err(1, "cannot make a network namespace");
		loopback_up();
		fds[i] = open("/proc/self/ns/net", O_RDONLY);
		if (fds[i] < 0)
			err(1, "cannot keep a network namespace");
	}
	say("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "use\n"))
			errx(2, "unknown command %s", line);
		for (i = 0; i < n; i++) {
			if (setns(fds[i], CLONE_NEWNET))
				err(1, "cannot go to a network namespace");
			use();
		}
		say("used");
	}
	return 0;
}
