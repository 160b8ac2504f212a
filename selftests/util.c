// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

static char sentence[8192];

const char *why(void)
{
	return sentence;
}

int fail(const char *fmt, ...)
{
	char text[sizeof(sentence)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(sentence, text, sizeof(sentence));
	return -1;
}

/* --- time --- */

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Between two looks at a condition. */
void nap(void)
{
	poll(NULL, 0, 2);
}

/* --- namespaces and commands --- */

static int home_fd = -1;

static int home(void)
{
	if (home_fd < 0)
		home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return home_fd;
}

int ns_enter(const struct ns *ns)
{
	if (home() < 0 || setns(ns ? ns->fd : home_fd, CLONE_NEWNET))
		return fail("cannot enter a namespace: %m");
	return 0;
}

int ns_leave(void)
{
	return ns_enter(NULL);
}

int ns_open(struct ns *ns, const char *path)
{
	struct stat st;

	memset(ns, 0, sizeof(*ns));
	ns->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ns->fd < 0 || fstat(ns->fd, &st))
		return fail("cannot open the namespace %s: %m", path);
	ns->ino = st.st_ino;
	return 0;
}

/* Bring lo up where we are. */
static int lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &ifr);

	if (rc)
		fail("cannot bring lo up: %m");
	if (fd >= 0)
		close(fd);
	return rc;
}

int ns_new(struct ns *ns, const struct ns *parent)
{
	ns->fd = -1;
	if (ns_enter(parent))
		return -1;
	if (unshare(CLONE_NEWNET))
		return fail("cannot make a namespace: %m");
	return ns_open(ns, "/proc/self/ns/net") || lo_up() || ns_leave() ? -1 : 0;
}

void ns_drop(struct ns *ns)
{
	if (ns->fd >= 0)
		close(ns->fd);
	ns->fd = -1;
}

int ns_note_seed(struct ns *ns)
{
	struct table t;
	int s;

	if (ss_read(ns, &t))
		return -1;
	for (s = 1; s < NSTATES; s++)
		ns->seed[s] = in_state(&t, s);
	return 0;
}

int ns_socket(const struct ns *ns, int domain, int type, int protocol)
{
	int fd, err;

	if (ns_enter(ns))
		return -1;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	err = errno;
	if (ns_leave())
		return -1;
	errno = err;
	return fd < 0 ? fail("socket(%d, %d, %d): %m", domain, type, protocol) : fd;
}

static char *text;
static size_t text_size;

const char *output(void)
{
	return text ? text : "";
}

/* A shell costs as much as the command: have one only if the command needs it. */
static void execute(char *command)
{
	char *argv[64], *save, *word;
	int n = 0;

	if (strpbrk(command, "'\"$&|;<>*?()\\\n"))
		execl("/bin/sh", "sh", "-c", command, NULL);
	for (word = strtok_r(command, " ", &save); word && n < 63;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	execvp(argv[0], argv);
}

/* Start a command in @ns; its output, errors too if @errors, comes from *from. */
static pid_t start(const struct ns *ns, char *command, bool errors, FILE **from)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return fail("pipe: %m");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail("fork: %m");
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		if (ns && setns(ns->fd, CLONE_NEWNET))
			_exit(126);
		dup2(null, 0);
		dup2(fds[1], 1);
		if (errors)
			dup2(fds[1], 2);
		execute(command);
		_exit(127);
	}
	close(fds[1]);
	*from = fdopen(fds[0], "r");
	return *from ? pid : fail("fdopen: %m");
}

static int finish(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("waitpid: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_command(const struct ns *ns, char *command)
{
	size_t used = 0, n;
	FILE *from;
	pid_t pid;

	pid = start(ns, command, true, &from);
	if (pid < 0)
		return -1;
	do {
		if (used + 4096 > text_size) {
			text_size = used * 2 + 65536;
			text = realloc(text, text_size);
			if (!text)
				abort();
		}
		n = fread(text + used, 1, text_size - used - 1, from);
		used += n;
	} while (n);
	text[used] = '\0';
	fclose(from);
	return finish(pid);
}

int run_status(const struct ns *ns, const char *fmt, ...)
{
	char *command;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		abort();
	va_end(ap);
	status = run_command(ns, command);
	free(command);
	return status;
}

int run(const struct ns *ns, const char *fmt, ...)
{
	char *command;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		abort();
	va_end(ap);
	status = run_command(ns, command);
	if (status > 0)
		status = fail("'%s' ended with %d: %s", command, status, output());
	free(command);
	return status;
}

bool have_command(const char *name)
{
	return run_status(NULL, "command -v %s;", name) == 0;
}

int file_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return fail("%s: %m", path);
	n = write(fd, value, strlen(value));
	if (n != (ssize_t)strlen(value))
		fail("%s: cannot write '%s': %m", path, value);
	close(fd);
	return n == (ssize_t)strlen(value) ? 0 : -1;
}

int sysctl_set(const struct ns *ns, const char *name, const char *value)
{
	char path[256];
	int rc;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	if (ns_enter(ns))
		return -1;
	rc = file_write(path, value);
	return ns_leave() ? -1 : rc;
}

/* The first line of a file of @ns. */
static int first_line(const struct ns *ns, const char *path, char *value, size_t size)
{
	FILE *f;
	int rc;

	if (ns_enter(ns))
		return -1;
	f = fopen(path, "re");
	if (f && fgets(value, size, f)) {
		value[strcspn(value, "\n")] = '\0';
		rc = 0;
	} else {
		rc = fail("cannot read %s", path);
	}
	if (f)
		fclose(f);
	return ns_leave() ? -1 : rc;
}

int sysctl_get(const struct ns *ns, const char *name, char *value, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return first_line(ns, path, value, size);
}

/* --- the module and the kernel log --- */

static const char *from_env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

bool module_loaded(void)
{
	return !access("/sys/module/tcpstate", F_OK);
}

int module_load(const char *parameters)
{
	const char *path = from_env("TCPSTATE_KO", "/tcpstate/tcpstate.ko");
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("%s: %m", path);
	err = syscall(SYS_finit_module, fd, parameters ? parameters : "", 0);
	if (err)
		fail("cannot load %s: %m", path);
	close(fd);
	return err ? -1 : 0;
}

int module_unload(void)
{
	if (!WAIT_FOR(!syscall(SYS_delete_module, "tcpstate", O_NONBLOCK) ||
		      (errno != EAGAIN && errno != EWOULDBLOCK), PATIENCE_MS) ||
	    module_loaded())
		return fail("cannot unload tcpstate: %m");
	return 0;
}

int kmsg_open(struct kmsg *k)
{
	k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd < 0 || lseek(k->fd, 0, SEEK_END) < 0)
		return fail("/dev/kmsg: %m");
	return 0;
}

/* What a kernel that is unwell says. */
static const char *const ills[] = {
	"WARNING:", "BUG:", "Oops", "Call Trace", "general protection",
	"refcount_t", "soft lockup", "hard LOCKUP", "self-detected stall",
	"detected stalls", "possible circular", "possible recursive",
	"inconsistent lock", "suspicious RCU", "unregister_netdevice",
	"Kernel panic", "KASAN", "KCSAN", "UBSAN", "kmemleak:", "Objects remaining",
	"list_add corruption", "list_del corruption", "blocked for more than",
};

static bool is_allowed(const char *line, struct kmsg_allowed *allowed, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strstr(line, allowed[i].words)) {
			allowed[i].seen++;
			return true;
		}
	}
	return false;
}

int kmsg_check_allowing(struct kmsg *k, struct kmsg_allowed *allowed, size_t n_allowed)
{
	char record[8192];
	int rc = 0;

	for (;;) {
		ssize_t n = read(k->fd, record, sizeof(record) - 1);
		const char *line;
		unsigned int i;

		if (n < 0 && errno == EAGAIN)
			return rc;
		if (n < 0 && errno == EPIPE)
			return fail("the kernel log overflowed");
		if (n < 0)
			return fail("/dev/kmsg: %m");
		record[n] = '\0';
		line = strchr(record, ';');
		line = line ? line + 1 : record;
		record[strcspn(record, "\n")] = '\0';
		for (i = 0; i < sizeof(ills) / sizeof(ills[0]); i++)
			if (strstr(line, ills[i]))
				rc = fail("the kernel log has: %s", line);
		if (strncmp(line, "tcpstate:", 9) || strstr(line, "taint") ||
		    strstr(line, "module verification failed") ||
		    is_allowed(line, allowed, n_allowed))
			continue;
		if (atoi(record) % 8 <= 4)
			rc = fail("the kernel log has: %s", line);
	}
}

int kmsg_check(struct kmsg *k)
{
	return kmsg_check_allowing(k, NULL, 0);
}

/* --- readings --- */

const char *const state_name[NSTATES] = {
	[ST_ESTABLISHED] = "ESTABLISHED", [ST_SYN_SENT] = "SYN_SENT",
	[ST_SYN_RECV] = "SYN_RECV", [ST_FIN_WAIT1] = "FIN_WAIT1",
	[ST_FIN_WAIT2] = "FIN_WAIT2", [ST_TIME_WAIT] = "TIME_WAIT",
	[ST_CLOSE] = "CLOSE", [ST_CLOSE_WAIT] = "CLOSE_WAIT",
	[ST_LAST_ACK] = "LAST_ACK", [ST_LISTEN] = "LISTEN",
	[ST_CLOSING] = "CLOSING", [ST_NEW_SYN_RECV] = "NEW_SYN_RECV",
};

static const char *const ss_name[NSTATES] = {
	[ST_ESTABLISHED] = "ESTAB", [ST_SYN_SENT] = "SYN-SENT",
	[ST_SYN_RECV] = "SYN-RECV", [ST_FIN_WAIT1] = "FIN-WAIT-1",
	[ST_FIN_WAIT2] = "FIN-WAIT-2", [ST_TIME_WAIT] = "TIME-WAIT",
	[ST_CLOSE] = "UNCONN", [ST_CLOSE_WAIT] = "CLOSE-WAIT",
	[ST_LAST_ACK] = "LAST-ACK", [ST_LISTEN] = "LISTEN",
	[ST_CLOSING] = "CLOSING",
};

/* The moves a connection can make; CLOSE is before its birth and after its end. */
static const bool legal[NSTATES][NSTATES] = {
	[ST_CLOSE] = { [ST_SYN_SENT] = 1, [ST_SYN_RECV] = 1, [ST_LISTEN] = 1 },
	[ST_SYN_SENT] = { [ST_ESTABLISHED] = 1, [ST_SYN_RECV] = 1, [ST_CLOSE] = 1 },
	[ST_SYN_RECV] = { [ST_ESTABLISHED] = 1, [ST_FIN_WAIT1] = 1,
			  [ST_CLOSE_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_ESTABLISHED] = { [ST_FIN_WAIT1] = 1, [ST_CLOSE_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_FIN_WAIT1] = { [ST_FIN_WAIT2] = 1, [ST_CLOSING] = 1, [ST_CLOSE] = 1 },
	[ST_FIN_WAIT2] = { [ST_TIME_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_CLOSING] = { [ST_TIME_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_TIME_WAIT] = { [ST_CLOSE] = 1 },
	[ST_CLOSE_WAIT] = { [ST_LAST_ACK] = 1, [ST_CLOSE] = 1 },
	[ST_LAST_ACK] = { [ST_CLOSE] = 1 },
	[ST_LISTEN] = { [ST_CLOSE] = 1 },
};

static int state_by(const char *const names[], const char *name, size_t len)
{
	int s;

	for (s = 1; s < NSTATES; s++)
		if (names[s] && strlen(names[s]) == len && !strncmp(names[s], name, len))
			return s;
	return 0;
}

uint64_t in_state(const struct table *t, int state)
{
	return t->n[state][V4] + t->n[state][V6];
}

uint64_t in_any(const struct table *t)
{
	uint64_t n = 0;
	int s;

	for (s = 1; s < NSTATES; s++)
		n += in_state(t, s);
	return n;
}

int sockstat(const struct ns *ns, const char *key, uint64_t *value)
{
	char line[256], word[32];
	FILE *f;
	int rc = -1;

	if (ns_enter(ns))
		return -1;
	snprintf(word, sizeof(word), " %s ", key);
	f = fopen("/proc/net/sockstat", "re");
	while (f && rc && fgets(line, sizeof(line), f)) {
		const char *at = strncmp(line, "TCP:", 4) ? NULL : strstr(line, word);

		if (at) {
			*value = strtoull(at + strlen(word), NULL, 10);
			rc = 0;
		}
	}
	if (f)
		fclose(f);
	if (rc)
		fail("no TCP %s in /proc/net/sockstat", key);
	return ns_leave() ? -1 : rc;
}

/*
 * The family is told from the local address: ss writes IPv6 in brackets, and
 * "*" for the any-address of a socket that serves both.
 */
int ss_read(const struct ns *ns, struct table *t)
{
	char line[1024], local[256];
	int status, s, bad = 0;
	FILE *from;
	pid_t pid;

	memset(t, 0, sizeof(*t));
	pid = start(ns, (char []){ "ss -Htan" }, false, &from);
	if (pid < 0)
		return -1;
	while (fgets(line, sizeof(line), from)) {
		s = state_by(ss_name, line, strcspn(line, " \t\n"));
		if (s && sscanf(line, "%*s %*s %*s %255s", local) == 1)
			t->n[s][isdigit((unsigned char)local[0]) ? V4 : V6]++;
		else
			bad = fail("ss says: %s", line);
	}
	fclose(from);
	status = finish(pid);
	if (status)
		return fail("ss ended with %d", status);
	return bad ? bad : sockstat(ns, "tw", &t->mini);
}

int nstat(const struct ns *ns, const char *name, uint64_t *value)
{
	const char *at;

	if (run(ns, "nstat -asz %s", name))
		return -1;
	at = strstr(output(), name);
	if (!at)
		return fail("nstat does not know %s", name);
	*value = strtoull(at + strlen(name), NULL, 10);
	return 0;
}

/* --- what tcpstate-cli prints --- */

static int number(struct json_object *from, const char *key, uint64_t *value)
{
	struct json_object *o;

	if (!json_object_object_get_ex(from, key, &o) ||
	    !json_object_is_type(o, json_type_int))
		return fail("tcpstate-cli: no number '%s' in %.300s", key,
			    json_object_to_json_string(from));
	*value = json_object_get_uint64(o);
	return 0;
}

static int state_of(struct json_object *from, const char *key)
{
	struct json_object *o;
	const char *name;
	int s;

	if (!json_object_object_get_ex(from, key, &o))
		return fail("tcpstate-cli: no '%s'", key);
	name = json_object_get_string(o);
	s = name ? state_by(state_name, name, strlen(name)) : 0;
	return s ? s : fail("tcpstate-cli: '%s' is no state", name ? name : "null");
}

static struct json_object *list_of(struct json_object *from, const char *key)
{
	struct json_object *o;

	if (json_object_object_get_ex(from, key, &o) &&
	    json_object_is_type(o, json_type_array))
		return o;
	fail("tcpstate-cli: no array '%s'", key);
	return NULL;
}

static int read_state(struct json_object *row, struct counters *c, unsigned int *seen)
{
	struct json_object *dwell;
	uint64_t sockets;
	int s = state_of(row, "state");

	if (s < 0)
		return -1;
	*seen |= 1u << s;
	if (number(row, "sockets", &sockets) || number(row, "mini", &c->minis[s]) ||
	    number(row, "ipv4", &c->now.n[s][V4]) || number(row, "ipv6", &c->now.n[s][V6]))
		return -1;
	if (sockets != in_state(&c->now, s))
		return fail("%s: %ju sockets, but %ju ipv4 and %ju ipv6", state_name[s],
			    (uintmax_t)sockets, (uintmax_t)c->now.n[s][V4],
			    (uintmax_t)c->now.n[s][V6]);
	c->now.mini += c->minis[s];
	if (s != ST_NEW_SYN_RECV && s != ST_CLOSE && number(row, "entered", &c->entered[s]))
		return -1;
	if (json_object_object_get_ex(row, "oldest_ms", &dwell))
		c->oldest_ms[s] = json_object_get_uint64(dwell);
	/* null where nothing left the state yet */
	if (json_object_object_get_ex(row, "dwell_ms", &dwell) && dwell &&
	    json_object_object_get_ex(dwell, "max", &dwell))
		c->dwell_max_ms[s] = json_object_get_double(dwell);
	return 0;
}

static int read_counters(struct json_object *from, struct counters *c)
{
	struct json_object *list, *tw, *o;
	unsigned int seen = 0;
	size_t i;

	memset(c, 0, sizeof(*c));
	if (!json_object_object_get_ex(from, "netns", &o))
		return fail("tcpstate-cli: no 'netns'");
	snprintf(c->netns, sizeof(c->netns), "%s", json_object_get_string(o));
	if (number(from, "netns_inode", &c->ino))
		return -1;
	list = list_of(from, "states");
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++)
		if (read_state(json_object_array_get_idx(list, i), c, &seen))
			return -1;
	if (seen != (1u << NSTATES) - 2)
		return fail("tcpstate-cli does not show all states, but 0x%x", seen);
	list = list_of(from, "transitions");
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		int a = state_of(row, "from"), b = state_of(row, "to");

		if (a < 0 || b < 0 || number(row, "count", &c->edge[a][b]))
			return -1;
	}
	if (!json_object_object_get_ex(from, "time_wait", &tw))
		return fail("tcpstate-cli: no 'time_wait'");
	if (number(tw, "limit", &c->limit) || number(tw, "overflow", &c->overflow) ||
	    number(tw, "expired", &c->expired) || number(tw, "recycled", &c->recycled) ||
	    number(tw, "killed", &c->killed))
		return -1;
	return number(from, "untracked", &c->untracked) || number(from, "inexact", &c->inexact);
}

static const char *cli(void)
{
	return from_env("TCPSTATE_CLI", "tcpstate-cli");
}

static struct json_object *cli_json(const struct ns *ns, const char *arguments, int *status)
{
	struct json_object *o;

	*status = run_status(ns, "%s %s", cli(), arguments);
	o = json_tokener_parse(output());
	if (!o)
		fail("'%s %s' ended with %d: %s", cli(), arguments, *status, output());
	return o;
}

int cli_read_with(const struct ns *ns, const char *options, struct counters *c)
{
	struct json_object *o;
	char arguments[256];
	int status, rc;

	snprintf(arguments, sizeof(arguments), "-j %s state", options);
	o = cli_json(ns, arguments, &status);
	if (!o)
		return -1;
	rc = status ? fail("tcpstate-cli state ended with %d", status) : read_counters(o, c);
	json_object_put(o);
	return rc;
}

int cli_read(const struct ns *ns, struct counters *c)
{
	if (cli_read_with(ns, "", c))
		return -1;
	if (ns && c->ino != ns->ino)
		return fail("asked in namespace %ju, answered for %ju", (uintmax_t)ns->ino,
			    (uintmax_t)c->ino);
	return 0;
}

int cli_read_all(struct counters **list, size_t *n)
{
	struct json_object *o;
	int status, rc = 0;

	*list = NULL;
	*n = 0;
	o = cli_json(NULL, "-j -a state", &status);
	if (!o)
		return -1;
	if (status || !json_object_is_type(o, json_type_array))
		rc = fail("'tcpstate-cli -j -a state' ended with %d and printed no array", status);
	if (!rc) {
		size_t i;

		*n = json_object_array_length(o);
		*list = calloc(*n ? *n : 1, sizeof(**list));
		for (i = 0; i < *n && !rc; i++)
			rc = read_counters(json_object_array_get_idx(o, i), &(*list)[i]);
	}
	json_object_put(o);
	return rc;
}

const struct counters *counters_of(const struct counters *list, size_t n,
				   const struct ns *ns)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i].ino == ns->ino)
			return &list[i];
	fail("namespace %ju is not among those shown", (uintmax_t)ns->ino);
	return NULL;
}

int cli_audit(const struct ns *ns, struct verdict *v)
{
	struct json_object *o, *list, *exact;
	size_t i, n = 0;
	int rc = -1;

	memset(v, 0, sizeof(*v));
	o = cli_json(ns, "-j audit", &v->status);
	if (!o)
		return -1;
	list = list_of(o, "states");
	if (!list)
		goto out;
	n = json_object_array_length(list);
	if (!n || !json_object_object_get_ex(o, "exact", &exact) ||
	    !json_object_is_type(exact, json_type_boolean)) {
		fail("tcpstate-cli audit printed no states, or not whether it is exact");
		goto out;
	}
	v->exact = json_object_get_boolean(exact);
	for (i = 0; i < n; i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		uint64_t counted, walked;

		if (state_of(row, "state") < 0 || number(row, "counted", &counted) ||
		    number(row, "walked", &walked))
			goto out;
		v->counted += counted;
		v->walked += walked;
	}
	if (!number(o, "missing", &v->missing) &&
	    !number(o, "missing_now", &v->missing_now) && !number(o, "stale", &v->stale))
		rc = 0;
out:
	json_object_put(o);
	return rc;
}

int audit(const struct ns *ns)
{
	struct verdict v;

	if (cli_audit(ns, &v))
		return -1;
	if (v.status || !v.exact || v.missing || v.missing_now || v.stale)
		return fail("audit ended with %d: %s", v.status, output());
	return 0;
}

int balanced(const struct ns *ns, const struct counters *c)
{
	int s, to;

	for (s = 1; s < NSTATES; s++) {
		uint64_t in = 0, out = 0;

		for (to = 1; to < NSTATES; to++) {
			out += c->edge[s][to];
			in += c->edge[to][s];
			if (c->edge[s][to] && !legal[s][to] &&
			    !(s == ST_CLOSE && ns && ns->late_adds))
				return fail("%ju moves %s>%s, which no connection makes",
					    (uintmax_t)c->edge[s][to], state_name[s],
					    state_name[to]);
		}
		if (s == ST_CLOSE || s == ST_NEW_SYN_RECV) {
			if (s == ST_CLOSE && in_state(&c->now, s))
				return fail("sockets in CLOSE");
			continue;
		}
		if (c->entered[s] != in)
			return fail("%s: entered %ju, transitions into it %ju", state_name[s],
				    (uintmax_t)c->entered[s], (uintmax_t)in);
		/* What ss called SYN-RECV before may have been requests. */
		if (ns && (ns->seed_unknown || (s == ST_SYN_RECV && ns->seed[s])))
			continue;
		if ((ns ? ns->seed[s] : 0) + in - out != in_state(&c->now, s))
			return fail("%s: %ju there at load, %ju entered, %ju left, %ju there",
				    state_name[s], (uintmax_t)(ns ? ns->seed[s] : 0),
				    (uintmax_t)in, (uintmax_t)out,
				    (uintmax_t)in_state(&c->now, s));
	}
	if (c->edge[ST_TIME_WAIT][ST_CLOSE] != c->expired + c->recycled + c->killed)
		return fail("%ju left TIME_WAIT, but %ju expired, %ju were recycled, %ju killed",
			    (uintmax_t)c->edge[ST_TIME_WAIT][ST_CLOSE], (uintmax_t)c->expired,
			    (uintmax_t)c->recycled, (uintmax_t)c->killed);
	return 0;
}

/* Requests as ss shows them. */
struct table table_as_ss(const struct table *t)
{
	struct table f = *t;
	int v;

	for (v = 0; v < NFAMILIES; v++) {
		f.n[ST_SYN_RECV][v] += f.n[ST_NEW_SYN_RECV][v];
		f.n[ST_NEW_SYN_RECV][v] = 0;
	}
	return f;
}

static void describe(char *into, size_t size, const struct table *t)
{
	size_t used = 0;
	int s;

	into[0] = '\0';
	for (s = 1; s < NSTATES && used < size; s++)
		if (in_state(t, s))
			used += snprintf(into + used, size - used, "%s=%ju+%ju ", state_name[s],
					 (uintmax_t)t->n[s][V4], (uintmax_t)t->n[s][V6]);
	if (used < size)
		snprintf(into + used, size - used, "mini=%ju", (uintmax_t)t->mini);
}

struct expectation {
	const char *text;
	struct table t;
	uint64_t minis[NSTATES];
	bool any;			/* only what ss says counts */
};

static int expectation_parse(struct expectation *e, const char *from)
{
	const char *at = from;

	memset(e, 0, sizeof(*e));
	e->text = from;
	for (;;) {
		uint64_t n;
		char *end;
		size_t len;
		int s;

		at += strspn(at, " ");
		if (!*at)
			return 0;
		len = strcspn(at, "=");
		s = state_by(state_name, at, len);
		if (!s || at[len] != '=')
			return fail("cannot read the expectation '%s'", from);
		n = strtoull(at + len + 1, &end, 10);
		e->t.n[s][V4] += n;
		if (*end == 'm' || s == ST_TIME_WAIT) {
			e->minis[s] += n;
			e->t.mini += n;
		}
		at = end + (*end == 'm');
	}
}

/* Does ss show what is expected? Its families are its own affair. */
static bool as_expected(const struct table *ss, const struct expectation *e, int family)
{
	struct table f = table_as_ss(&e->t);
	int s;

	if (e->any)
		return true;
	for (s = 1; s < NSTATES; s++) {
		if (in_state(ss, s) != in_state(&f, s))
			return false;
		/* A request is IPv4's even where its listener is IPv6's. */
		if (family >= 0 && in_state(&e->t, s) && ss->n[s][!family])
			return false;
	}
	return ss->mini == e->t.mini;
}

static bool same_table(const struct table *a, const struct table *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static int as_ss(const struct ns *ns, const struct expectation *e, const struct table *ss,
		 const struct counters *c)
{
	struct table ours = table_as_ss(&c->now);
	char want[512], got[512];
	int s;

	describe(want, sizeof(want), ss);
	describe(got, sizeof(got), &c->now);
	if (!same_table(&ours, ss))
		return fail("ss has '%s', tcpstate '%s'", want, got);
	for (s = 1; s < NSTATES && !e->any; s++) {
		if (in_state(&c->now, s) != in_state(&e->t, s) || c->minis[s] != e->minis[s])
			return fail("expected '%s', tcpstate has '%s' (%ju mini %s)", e->text,
				    got, (uintmax_t)c->minis[s], state_name[s]);
	}
	if (c->untracked != (ns ? ns->untracked : 0) || c->inexact)
		return fail("%ju untracked, %ju inexact", (uintmax_t)c->untracked,
			    (uintmax_t)c->inexact);
	return balanced(ns, c);
}

/*
 * ss may take its time until it shows what is expected. From then on, and for
 * as long as it keeps showing it, tcpstate may not: only a reader that still
 * holds a mini-socket can make it lag.
 */
#define LAG_MS	2000

static int agree(const struct ns *ns, int family, const struct expectation *e)
{
	uint64_t start = now_ms(), differs_since = 0;
	struct table ss, last;
	struct counters c;
	char got[512];

	for (;; nap()) {
		if (ss_read(ns, &ss))
			return -1;
		if (differs_since && !same_table(&ss, &last))
			differs_since = 0;
		if (!as_expected(&ss, e, family)) {
			describe(got, sizeof(got), &ss);
			fail("expected '%s', ss has '%s'", e->text, got);
		} else {
			if (cli_read(ns, &c))
				return -1;
			if (!as_ss(ns, e, &ss, &c))
				return 0;
			if (!differs_since)
				differs_since = now_ms();
			else if (now_ms() - differs_since > LAG_MS)
				return -1;
			last = ss;
		}
		if (now_ms() - start > PATIENCE_MS)
			return -1;
	}
}

int listed_as_ss(const struct counters *list, size_t n, const struct ns *ns)
{
	struct expectation e = { .text = "what ss has", .any = true };
	const struct counters *c = counters_of(list, n, ns);
	struct table ss;

	return !c || ss_read(ns, &ss) ? -1 : as_ss(ns, &e, &ss, c);
}

int step(const struct ns *ns, int family, const char *expected)
{
	struct expectation e;

	return expectation_parse(&e, expected) ? -1 : agree(ns, family, &e);
}

int ss_shows(const struct ns *ns, int family, const char *expected)
{
	struct expectation e;
	struct table ss;
	char got[512];

	if (expectation_parse(&e, expected))
		return -1;
	if (WAIT_FOR(ss_read(ns, &ss) || as_expected(&ss, &e, family), PATIENCE_MS))
		return as_expected(&ss, &e, family) ? 0 : -1;
	describe(got, sizeof(got), &ss);
	return fail("expected '%s', ss has '%s'", expected, got);
}

int same_as_ss(const struct ns *ns)
{
	struct expectation e = { .text = "what ss has", .any = true };

	return agree(ns, -1, &e);
}

int edges(const struct ns *ns, const char *expected)
{
	uint64_t want[NSTATES][NSTATES] = { };
	struct counters c;
	const char *at = expected;
	int a, b, rc = 0;

	for (;;) {
		size_t la, lb;
		char *end;

		at += strspn(at, " ");
		if (!*at)
			break;
		la = strcspn(at, ">");
		lb = at[la] ? strcspn(at + la + 1, "=") : 0;
		a = state_by(state_name, at, la);
		b = lb ? state_by(state_name, at + la + 1, lb) : 0;
		if (!a || !b || at[la + 1 + lb] != '=')
			return fail("cannot read the expectation '%s'", expected);
		want[a][b] += strtoull(at + la + lb + 2, &end, 10);
		at = end;
	}
	if (cli_read(ns, &c))
		return -1;
	for (a = 1; a < NSTATES; a++)
		for (b = 1; b < NSTATES; b++)
			if (c.edge[a][b] != want[a][b])
				rc = fail("expected %ju moves %s>%s, counted %ju",
					  (uintmax_t)want[a][b], state_name[a], state_name[b],
					  (uintmax_t)c.edge[a][b]);
	return rc ? rc : balanced(ns, &c);
}

/* --- connections --- */

#define CLIENT4	"10.9.0.1"
#define SERVER4	"10.9.0.2"
#define CLIENT6	"fd09::1"
#define SERVER6	"fd09::2"
#define CLIENT_MAC "02:00:00:00:00:01"
#define SERVER_MAC "02:00:00:00:00:02"

/* One end; neighbours are fixed, so that only TCP's own packets can be lost. */
static int end_up(const struct ns *ns, const char *own4, const char *own6,
		  const char *peer4, const char *peer6, const char *mac)
{
	return run(ns, "ip -batch - <<END\n"
		   "addr add %s/24 dev wire\n"
		   "addr add %s/64 dev wire nodad\n"
		   "link set wire up\n"
		   "neigh add %s lladdr %s dev wire nud permanent\n"
		   "neigh add %s lladdr %s dev wire nud permanent\n"
		   "END", own4, own6, peer4, mac, peer6, mac);
}

int net_new(struct net *net)
{
	if (ns_new(&net->client, NULL) || ns_new(&net->server, NULL))
		return -1;
	if (run(&net->client, "ip link add wire address " CLIENT_MAC " type veth "
		"peer name wire address " SERVER_MAC " netns /proc/%d/fd/%d",
		getpid(), net->server.fd))
		return -1;
	if (end_up(&net->client, CLIENT4, CLIENT6, SERVER4, SERVER6, SERVER_MAC) ||
	    end_up(&net->server, SERVER4, SERVER6, CLIENT4, CLIENT6, CLIENT_MAC))
		return -1;
	return 0;
}

void net_drop(struct net *net)
{
	ns_drop(&net->client);
	ns_drop(&net->server);
}

int wire(const struct ns *ns, enum wire how)
{
	static const char *const qdisc[] = {
		[PASS] = "pfifo",
		[LOSE] = "blackhole",
		[DELAY] = "netem delay 3s",
		[HOLD] = "netem delay 200s",
	};

	return run(ns, "tc qdisc replace dev wire root %s", qdisc[how]);
}

int column(enum family family)
{
	return family == IPV4 ? V4 : V6;
}

int domain_of(enum family family)
{
	return family == IPV4 ? AF_INET : AF_INET6;
}

socklen_t address(struct sockaddr_storage *sa, enum family family,
		  const char *host4, const char *host6, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	char mapped[64];

	memset(sa, 0, sizeof(*sa));
	sa->ss_family = domain_of(family);
	if (family == IPV4) {
		in->sin_port = htons(port);
		inet_pton(AF_INET, host4, &in->sin_addr);
		return sizeof(*in);
	}
	snprintf(mapped, sizeof(mapped), "::ffff:%s", host4);
	in6->sin6_port = htons(port);
	inet_pton(AF_INET6, family == MAPPED ? mapped : host6, &in6->sin6_addr);
	return sizeof(*in6);
}

socklen_t server_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, SERVER4, SERVER6, port);
}

socklen_t client_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, CLIENT4, CLIENT6, port);
}

socklen_t local_address(struct sockaddr_storage *sa, enum family family, uint16_t port)
{
	return address(sa, family, "127.0.0.1", "::1", port);
}

int set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		return fail("setsockopt(%d, %d, %d): %m", level, option, value);
	return 0;
}

int set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) ? fail("fcntl: %m") : 0;
}

int tcp_socket(const struct ns *ns, enum family family)
{
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = ns_socket(ns, domain_of(family), SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
		close(fd);
		return fail("setsockopt: %m");
	}
	return fd;
}

int tcp_listen(const struct ns *ns, enum family family, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, family == MAPPED ? IPV6 : family, "0.0.0.0", "::", port);
	int fd = tcp_socket(ns, family);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 4096)) {
		close(fd);
		return fail("cannot listen: %m");
	}
	return fd;
}

int tcp_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? fail("accept: %m") : fd;
}

static int dial(const struct ns *ns, enum family family, const struct sockaddr_storage *to,
		uint16_t from, bool wait)
{
	struct sockaddr_storage sa;
	int fd = tcp_socket(ns, family);
	socklen_t len;

	if (fd < 0)
		return -1;
	len = client_address(&sa, family, from);
	if (from && bind(fd, (struct sockaddr *)&sa, len)) {
		fail("bind: %m");
		goto out;
	}
	if (!wait && set_nonblocking(fd, true))
		goto out;
	if (connect(fd, (const struct sockaddr *)to, len) && (wait || errno != EINPROGRESS)) {
		fail("connect: %m");
		goto out;
	}
	return fd;
out:
	close(fd);
	return -1;
}

int tcp_connect(const struct ns *ns, enum family family, uint16_t port, uint16_t from)
{
	struct sockaddr_storage sa;

	server_address(&sa, family, port);
	return dial(ns, family, &sa, from, true);
}

int tcp_dial(const struct ns *ns, enum family family, uint16_t port, uint16_t from)
{
	struct sockaddr_storage sa;

	server_address(&sa, family, port);
	return dial(ns, family, &sa, from, false);
}

int tcp_connect_local(const struct ns *ns, enum family family, uint16_t port)
{
	struct sockaddr_storage sa;

	local_address(&sa, family, port);
	return dial(ns, family, &sa, 0, true);
}

int tcp_finish_dial(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return fail("nobody answered");
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err)
		return fail("connect: %s", strerror(err));
	return set_nonblocking(fd, false);
}

int local_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return fail("getsockname: %m");
	return ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port :
		     ((struct sockaddr_in6 *)&sa)->sin6_port);
}

int send_bytes(int fd, size_t n)
{
	static const char zeros[65536];

	while (n) {
		ssize_t sent = send(fd, zeros, n < sizeof(zeros) ? n : sizeof(zeros),
				    MSG_NOSIGNAL);

		if (sent <= 0)
			return fail("send: %m");
		n -= sent;
	}
	return 0;
}

int read_to_end(int fd, size_t *n)
{
	char buffer[65536];
	ssize_t got;

	*n = 0;
	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		*n += got;
	return got ? fail("recv: %m") : 0;
}

static int readable(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) ? 0 : n;
}

int wait_readable(int fd, int n)
{
	if (!WAIT_FOR(readable(fd) >= n, PATIENCE_MS))
		return fail("%d of %d bytes came", readable(fd), n);
	return 0;
}

int close_reset(int fd)
{
	struct linger l = { .l_onoff = 1 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) || close(fd))
		return fail("cannot reset: %m");
	return 0;
}

pid_t hand_to_child(int fd)
{
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork: %m");
	if (!pid) {
		close_range(3, fd - 1, 0);
		close_range(fd + 1, ~0U, 0);
		for (;;)
			pause();
	}
	close(fd);
	return pid;
}

int end_child(pid_t pid, int signal)
{
	if (kill(pid, signal))
		return fail("kill: %m");
	return finish(pid) < 0 ? -1 : 0;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int pair_open(const struct net *net, enum family family, struct pair *p)
{
	if (p->listener < 0)
		p->listener = tcp_listen(&net->server, family, PORT);
	if (p->listener < 0)
		return -1;
	p->client = tcp_connect(&net->client, family, PORT, 0);
	if (p->client < 0)
		return -1;
	p->server = tcp_accept(p->listener);
	return p->server < 0 ? -1 : 0;
}

int pair_open_local(const struct ns *ns, enum family family, uint16_t port, struct pair *p)
{
	if (p->listener < 0)
		p->listener = tcp_listen(ns, family, port);
	if (p->listener < 0)
		return -1;
	p->client = tcp_connect_local(ns, family, port);
	if (p->client < 0)
		return -1;
	p->server = tcp_accept(p->listener);
	return p->server < 0 ? -1 : 0;
}

int pair_to_time_wait(struct pair *p)
{
	size_t n;

	if (shutdown(p->client, SHUT_WR))
		return fail("shutdown: %m");
	if (read_to_end(p->server, &n))
		return -1;
	close_fd(&p->server);
	if (read_to_end(p->client, &n))
		return -1;
	close_fd(&p->client);
	return 0;
}

void pair_close(struct pair *p)
{
	close_fd(&p->client);
	close_fd(&p->server);
	close_fd(&p->listener);
}

/* --- what each test stands on --- */

int rig_up(struct rig *rig, const char *parameters)
{
	rig->net.client.fd = -1;
	rig->net.server.fd = -1;
	if (kmsg_open(&rig->log))
		return -1;
	/* Left by a test that was killed at its time limit. */
	if (module_loaded() && module_unload())
		return -1;
	if (module_load(parameters))
		return -1;
	return net_new(&rig->net);
}

int rig_down(struct rig *rig)
{
	int rc = 0;

	if (rig->net.client.fd >= 0 && audit(&rig->net.client))
		rc = -1;
	if (rig->net.server.fd >= 0 && audit(&rig->net.server))
		rc = -1;
	net_drop(&rig->net);
	if (module_unload() || kmsg_check(&rig->log))
		rc = -1;
	return rc;
}
