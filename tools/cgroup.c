// SPDX-License-Identifier: GPL-2.0
/*
 * Cgroups of the default hierarchy: their ids, which are the inode numbers of
 * their directories, and their paths.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "cgroup.h"
#include "out.h"
#include "words.h"

#ifdef CGROUP_DIR
/* Of a test: no file system of the kernel's. */
#define IS_CGROUP2(fs) ((void)(fs), true)
#else
#define CGROUP_DIR "/sys/fs/cgroup"
#define IS_CGROUP2(fs) ((fs)->f_type == CGROUP2_SUPER_MAGIC)
#endif

/* Deeper than anybody nests them. */
#define LEVELS 64

static struct entry {
	uint64_t id;
	char *path;
} *entries;
static size_t n_entries, entries_size;
static bool read_all;

/* Where the default hierarchy is mounted; NULL: nowhere that we know. */
static const char *mount_point(void)
{
	static const char *const places[] = {
		CGROUP_DIR, CGROUP_DIR "/unified",
	};
	struct statfs fs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!statfs(places[i], &fs) && IS_CGROUP2(&fs))
			return places[i];
	return NULL;
}

static void add(uint64_t id, const char *path)
{
	size_t size = entries_size ? 2 * entries_size : 64;
	struct entry *new;

	if (n_entries == entries_size) {
		new = realloc(entries, size * sizeof(*new));
		if (!new)
			return;
		entries = new;
		entries_size = size;
	}
	entries[n_entries].id = id;
	entries[n_entries].path = strdup(path);
	if (entries[n_entries].path)
		n_entries++;
}

/* What is below the directory that @path is of, from @root on. */
static void read_tree(char *path, size_t root, unsigned int levels)
{
	size_t len = strlen(path);
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return;
	if (!fstat(dirfd(dir), &st))
		add(st.st_ino, len == root ? "/" : path + root);
	while (levels && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") ||
		    len + 1 + strlen(entry->d_name) >= PATH_MAX)
			continue;
		path[len] = '/';
		stpcpy(path + len + 1, entry->d_name);
		read_tree(path, root, levels - 1);
	}
	path[len] = '\0';
	closedir(dir);
}

static int by_id(const void *one, const void *other)
{
	const struct entry *a = one, *b = other;

	return a->id < b->id ? -1 : a->id > b->id;
}

/**
 * cgroup_path() - where a cgroup is
 * @id: its id
 *
 * Return: its path in the hierarchy, or NULL when it is not there any more, or
 * not for us to see.
 */
const char *cgroup_path(uint64_t id)
{
	const char *at = read_all ? NULL : mount_point();
	struct entry key = { .id = id }, *entry;
	char path[PATH_MAX];

	if (at) {
		stpcpy(path, at);
		read_tree(path, strlen(path), LEVELS);
		qsort(entries, n_entries, sizeof(*entries), by_id);
	}
	read_all = true;
	entry = n_entries ? bsearch(&key, entries, n_entries, sizeof(*entries),
				    by_id) : NULL;
	return entry ? entry->path : NULL;
}

/*
 * Whose connections are ended is told by this word: what has lost its end, such
 * as a variable that is empty, is not the root, and nothing leads above it.
 */
static bool is_path(const char *word)
{
	size_t len;

	if (!*word)
		return false;
	for (;; word += len + 1) {
		len = strcspn(word, "/");
		if (len && strspn(word, ".") == len && len <= 2)
			return false;
		if (!word[len])
			return true;
	}
}

/**
 * cgroup_parse() - a cgroup as it was typed
 * @word: its path in the hierarchy, or in the file system, without "." and "..";
 *   or its id; the root is "/"
 * @id: set to its id
 *
 * Return: false when there is no such cgroup.
 */
bool cgroup_parse(const char *word, uint64_t *id)
{
	const char *at = mount_point();
	char path[PATH_MAX];
	struct stat st;
	size_t len;

	if (word_number(word, 1, UINT64_MAX, id))
		return true;
	if (!at || !is_path(word))
		return false;
	len = strlen(at);
	if (!strncmp(word, at, len) && (!word[len] || word[len] == '/'))
		word += len;
	if (snprintf(path, sizeof(path), "%s/%s", at, word) >=
	    (int)sizeof(path) || stat(path, &st) || !S_ISDIR(st.st_mode))
		return false;
	*id = st.st_ino;
	return true;
}
