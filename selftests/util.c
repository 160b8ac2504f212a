// SPDX-License-Identifier: GPL-2.0
/* Namespaces, commands, the module and the kernel's log. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
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

#include "kselftest.h"
#include "kselftest.h"
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

unsigned int slowness(void)
{
	int n = atoi(from_env("TCPSTATE_SLOW", "1"));

	return n > 1 ? n : 1;
}

/* kselftest_harness.h's time-out of a test. */
unsigned int __real_alarm(unsigned int seconds);

unsigned int __wrap_alarm(unsigned int seconds)
{
	return __real_alarm(seconds * slowness());
}

/*
 * The longer something takes already, the less a look at it every few
 * milliseconds will tell, and looking costs time of its own.
 */
void nap(uint64_t since)
{
	uint64_t ms = 2 + (now_ms() - since) / 8;

	poll(NULL, 0, ms < 500 ? ms : 500);
}

/* --- namespaces --- */

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

/* --- commands and settings --- */

static char *text;
static size_t text_size;

const char *output(void)
{
	return text ? text : "";
}

/* A shell costs as much as the command: have one only if the command needs it. */
static void execute(const char *command)
{
	char *argv[64], *copy = strdup(command), *save, *word;
	int n = 0;

	if (strpbrk(command, "'\"$&|;<>*?()\\\n"))
		execl("/bin/sh", "sh", "-c", command, NULL);
	for (word = strtok_r(copy, " ", &save); word && n < 63;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	execvp(argv[0], argv);
}

static pid_t start(const struct ns *ns, const char *command, bool errors, FILE **from)
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

pid_t command_start(const struct ns *ns, const char *command, FILE **from)
{
	return start(ns, command, false, from);
}

int wait_for_exit(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("waitpid: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int command_end(pid_t pid, FILE *from)
{
	fclose(from);
	return wait_for_exit(pid);
}

static int run_command(const struct ns *ns, const char *command)
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
	return command_end(pid, from);
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

const char *from_env(const char *name, const char *otherwise)
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
	"Kernel panic", "KASAN", "UBSAN", "Objects remaining",
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
		/* Of which are ours, and of leaks, the guest tells when we are done. */
		for (i = 0; i < ARRAY_SIZE(ills) && !strstr(line, "BUG: KCSAN:"); i++)
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
