// SPDX-License-Identifier: GPL-2.0
/*
 * Orphans: connections that no process holds and that are no mini-sockets yet.
 * Counted for the whole machine; neither the counter nor its limit can be read
 * by a module on every kernel, so both come from /proc. The limit is there in
 * the initial network namespace alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orphans.h"

#ifndef PROC_DIR
#define PROC_DIR "/proc"
#endif

static struct orphans orphans;

static struct number read_number(const char *path, const char *after)
{
	char buf[512], *end;
	const char *from;
	uint64_t value;
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return number_unknown();
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (len <= 0)
		return number_unknown();
	buf[len] = '\0';
	from = strstr(buf, after);
	if (!from)
		return number_unknown();
	from += strlen(after);
	value = strtoull(from, &end, 10);
	return end == from ? number_unknown() : number_known(value);
}

/**
 * orphans_read() - look at /proc
 *
 * To be called before another network namespace is entered.
 */
void orphans_read(void)
{
	orphans.count = read_number(PROC_DIR "/net/sockstat", " orphan ");
	orphans.limit = read_number(PROC_DIR "/sys/net/ipv4/tcp_max_orphans",
				    "");
}

/**
 * orphans_get() - what /proc said
 *
 * Return: how many there are, and how many there may be.
 */
const struct orphans *orphans_get(void)
{
	return &orphans;
}

/**
 * orphans_print() - print how many there are against their limit
 */
void orphans_print(void)
{
	struct number count = orphans.count, limit = orphans.limit;
	bool near = count.known && limit.known &&
		    count.value >= limit.value / 5 * 4;
	char buf[OUT_NUMBER_MAX];

	out_mute(!count.known);
	out_object_open("orphans");
	out_style(near ? OUT_WARN : OUT_PLAIN);
	out_count("count", "orphans         %s", count);
	out_count("limit", limit.known ? " of at most %s" : NULL, limit);
	if (count.known && limit.known)
		out_text(" (%s)", out_share(buf, count.value, limit.value));
	out_text(", of the whole machine\n");
	out_style(OUT_PLAIN);
	out_object_close();
	out_mute(false);
}
