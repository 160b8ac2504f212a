// SPDX-License-Identifier: GPL-2.0
/* Network namespaces by name, as ip-netns(8) keeps them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns.h"
#include "out.h"
#include "words.h"

#ifndef NETNS_DIR
#define NETNS_DIR "/run/netns"
#endif

struct netns {
	uint64_t ino;
	char name[];
};

/* Read when the first name is asked for. */
static struct netns **list;
static size_t n_list;
static bool list_read;

/* What was asked for last; NULL: nothing yet. */
static const char *last_name;
static uint64_t last_ino;

static void read_list(void)
{
	struct dirent *entry;
	struct netns *netns;
	struct stat st;
	void *longer;
	size_t size;
	DIR *dir;

	if (list_read)
		return;
	list_read = true;
	dir = opendir(NETNS_DIR);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(dir), entry->d_name, &st, 0))
			continue;
		longer = realloc(list, (n_list + 1) * sizeof(*list));
		if (!longer)
			break;
		list = longer;
		size = strlen(entry->d_name) + 1;
		netns = malloc(sizeof(*netns) + size);
		if (!netns)
			break;
		netns->ino = st.st_ino;
		memcpy(netns->name, entry->d_name, size);
		list[n_list++] = netns;
	}
	closedir(dir);
}

/**
 * netns_forget() - look for the names anew when the next one is asked for
 *
 * To be called between answers: what netns_name() has returned ends here.
 */
void netns_forget(void)
{
	while (n_list)
		free(list[--n_list]);
	free(list);
	list = NULL;
	list_read = false;
	last_name = NULL;
}

/**
 * netns_name() - what to call a network namespace
 * @ino: its inode number
 *
 * Return: its name under /run/netns, or "net:[INO]" (valid until the next
 * call) when it has none.
 */
const char *netns_name(uint64_t ino)
{
	static char buf[32];
	size_t i;

	/* Long lists are mostly of one. */
	if (last_name && last_ino == ino)
		return last_name;
	read_list();
	snprintf(buf, sizeof(buf), "net:[%llu]", (unsigned long long)ino);
	last_name = buf;
	last_ino = ino;
	for (i = 0; i < n_list; i++)
		if (list[i]->ino == ino)
			last_name = list[i]->name;
	return last_name;
}

static int no_such(const char *name)
{
	const char *near = NULL, **names;
	size_t i;

	if (strchr(name, '/'))
		return out_fail(OUT_USAGE,
				"no network namespace at '%s': %s", name,
				strerror(errno));
	read_list();
	names = calloc(n_list + 1, sizeof(*names));
	if (names) {
		for (i = 0; i < n_list; i++)
			names[i] = list[i]->name;
		near = word_nearest(name, names, n_list);
		free(names);
	}
	if (near)
		return out_fail(OUT_USAGE,
				"no network namespace '%s': did you mean '%s'?",
				name, near);
	if (!n_list)
		return out_fail(OUT_USAGE,
				"no network namespace '%s': none has a name here, give a path such as /proc/PID/ns/net",
				name);
	return out_fail(OUT_USAGE,
			"no network namespace '%s': 'ip netns list' shows the names there are, and a path such as /proc/PID/ns/net will do",
			name);
}

/**
 * netns_enter() - go into a network namespace
 * @name: its name under /run/netns, or a path when there is a "/" in it
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int netns_enter(const char *name)
{
	int fd, dir, err;

	if (!*name)
		return out_fail(OUT_USAGE, "-n needs the name of a network namespace");
	if (!strcmp(name, ".") || !strcmp(name, "..")) {
		errno = ENOENT;
		return no_such(name);
	}
	if (strchr(name, '/')) {
		fd = open(name, O_RDONLY | O_CLOEXEC);
	} else {
		dir = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return no_such(name);
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		err = errno;
		close(dir);
		errno = err;
	}
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return out_fail(OUT_FAILED,
				"no permission to open network namespace '%s': run it as root",
				name);
	if (fd < 0)
		return no_such(name);
	err = setns(fd, CLONE_NEWNET) ? errno : 0;
	close(fd);
	if (err == EPERM)
		return out_fail(OUT_FAILED,
				"no permission to enter network namespace '%s': it needs CAP_SYS_ADMIN, run it as root",
				name);
	if (err == EINVAL)
		return out_fail(OUT_USAGE,
				"'%s' is not a network namespace: 'ip netns list' shows those with a name",
				name);
	if (err)
		return out_fail(OUT_FAILED,
				"cannot enter network namespace '%s': %s", name,
				strerror(err));
	return OUT_DONE;
}
