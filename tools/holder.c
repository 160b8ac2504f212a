// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a socket's file open now: /proc/PID/fd says so, by its inode, to who
 * may look there.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "holder.h"

#ifndef PROC_DIR
#define PROC_DIR "/proc"
#define INITIAL_PID_NS 4026531836u	/* the kernel's PROC_PID_INIT_INO */
#endif

#define COMM_SIZE 32

static struct holder *holders;
static size_t n_holders, holders_size;
static bool have_read, some_hidden;

static void add(uint64_t inode, uint32_t pid)
{
	size_t size = holders_size ? 2 * holders_size : 256;
	struct holder *new;

	if (n_holders == holders_size) {
		new = realloc(holders, size * sizeof(*new));
		if (!new) {
			some_hidden = true;
			return;
		}
		holders = new;
		holders_size = size;
	}
	holders[n_holders++] = (struct holder){ .inode = inode, .pid = pid };
}

static void read_files(int proc, const char *pid)
{
	char path[NAME_MAX + 4], link[64];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		/* It may have exited meanwhile: then it holds nothing. */
		some_hidden |= errno != ENOENT && errno != ESRCH;
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
		if (len <= 8 || memcmp(link, "socket:[", 8))
			continue;
		link[len] = '\0';
		add(strtoull(link + 8, NULL, 10), strtoul(pid, NULL, 10));
	}
	closedir(dir);
}

static int compare(const void *one, const void *other)
{
	const struct holder *a = one, *b = other;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* In another pid namespace than the first there may be processes that /proc does
 * not show: other containers share a network namespace.
 */
static bool in_first_pid_ns(void)
{
#ifdef INITIAL_PID_NS
	struct stat st;

	return !stat(PROC_DIR "/self/ns/pid", &st) && st.st_ino == INITIAL_PID_NS;
#else
	return true;
#endif
}

static void read_processes(void)
{
	DIR *dir = opendir(PROC_DIR);
	struct dirent *entry;
	size_t i, n = 0;
	bool first = false;

	have_read = true;
	if (!dir) {
		some_hidden = true;
		return;
	}
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		first |= !strcmp(entry->d_name, "1");
		read_files(dirfd(dir), entry->d_name);
	}
	closedir(dir);
	/* Mounted with hidepid=2 it has none of others' processes. */
	some_hidden |= !first || !in_first_pid_ns();
	if (n_holders)
		qsort(holders, n_holders, sizeof(*holders), compare);
	/* One process may have it open more than once. */
	for (i = 0; i < n_holders; i++)
		if (!n || compare(&holders[n - 1], &holders[i]))
			holders[n++] = holders[i];
	n_holders = n;
}

/**
 * holders_of() - who has a socket's file open
 * @inode: of the file
 * @n: set to how many they are
 *
 * All processes are looked at once, at the first call.
 *
 * Return: the first of them.
 */
const struct holder *holders_of(uint64_t inode, size_t *n)
{
	size_t low = 0, high, at;

	if (!have_read)
		read_processes();
	high = n_holders;
	while (low < high) {
		at = (low + high) / 2;
		if (holders[at].inode < inode)
			low = at + 1;
		else
			high = at;
	}
	*n = 0;
	while (low + *n < n_holders && holders[low + *n].inode == inode)
		++*n;
	return &holders[low];
}

/**
 * holders_complete() - could every process be looked at?
 *
 * Return: true if so: who is not told by holders_of() does not hold it.
 */
bool holders_complete(void)
{
	return have_read && !some_hidden;
}

static void read_comm(const char *path, char *comm)
{
	ssize_t len = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, comm, COMM_SIZE - 1);
		close(fd);
	}
	comm[len > 0 ? len : 0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

/**
 * holder_comm() - the name of a process
 * @pid: the process
 *
 * Return: its name (valid until the next call), or NULL if it has exited.
 */
const char *holder_comm(uint32_t pid)
{
	static char comm[COMM_SIZE];
	static uint32_t comm_of;	/* there is no process 0 */
	char path[64];

	/* Long lists are mostly of one. */
	if (comm_of != pid) {
		snprintf(path, sizeof(path), PROC_DIR "/%u/comm", pid);
		read_comm(path, comm);
		comm_of = pid;
	}
	return *comm ? comm : NULL;
}
