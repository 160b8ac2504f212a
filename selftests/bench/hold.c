// SPDX-License-Identifier: GPL-2.0
/*
 * hold N: have N connections over loopback, both ends of each, until the input
 * ends. Says "ready" when they are there.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "bench.h"

int main(int argc, char **argv)
{
	union address addr;
	struct rlimit limit;
	int fd, end[2];
	long n;

	if (argc != 2)
		errx(2, "usage: hold N");
	n = number(argv[1]);
	limit.rlim_cur = n * 2 + 10;
	limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "cannot have that many files");
	for (fd = listener(&addr, INADDR_LOOPBACK); n; n--)
		connection_open(fd, &addr, end);
	puts("ready");
	fflush(stdout);
	getchar();
	return 0;
}
