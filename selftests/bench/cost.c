// SPDX-License-Identifier: GPL-2.0
/*
 * cost RUNS COMMAND [ARGUMENT...]: what a whole command takes, from before its
 * process is made until it is reaped, its output thrown away. Prints
 *
 *	BEST WORST CPU
 *
 * nanoseconds of CLOCK_MONOTONIC (see bench.h), and the CPU time of the run that
 * took least of that: a command that sleeps is judged by it. A run that fails
 * fails it all.
 */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

static long long cpu_of(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000LL +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000LL;
}

int main(int argc, char **argv)
{
	long long best = LLONG_MAX, worst = 0, cpu = LLONG_MAX;
	posix_spawn_file_actions_t actions;
	long runs, i;

	if (argc < 3)
		errx(2, "usage: cost RUNS COMMAND [ARGUMENT...]");
	runs = number(argv[1]);
	if (posix_spawn_file_actions_init(&actions) ||
	    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO,
					     "/dev/null", O_WRONLY, 0))
		errx(1, "out of memory");
	for (i = 0; i < runs; i++) {
		long long begin = now(), took;
		struct rusage usage;
		int status;
		pid_t pid;

		errno = posix_spawn(&pid, argv[2], &actions, NULL, argv + 2,
				    environ);
		if (errno)
			err(1, "cannot run %s", argv[2]);
		if (wait4(pid, &status, 0, &usage) != pid)
			err(1, "cannot wait");
		took = now() - begin;
		if (status)
			errx(1, "%s failed (wait status 0x%x)", argv[2], status);
		if (took < best)
			best = took;
		if (took > worst)
			worst = took;
		if (cpu_of(&usage) < cpu)
			cpu = cpu_of(&usage);
	}
	printf("%lld %lld %lld\n", best, worst, cpu);
	return 0;
}
