// SPDX-License-Identifier: GPL-2.0
/* The room that tcpstate announces, and the room that connect() finds. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "room.h"

static socklen_t target_address(struct sockaddr_storage *sa, const struct target *target)
{
	if (target->host)
		return address(sa, target->family, target->host, target->host, target->port);
	return target->local ? local_address(sa, target->family, target->port) :
			       server_address(sa, target->family, target->port);
}

/* As tcpstate shows it: a mapped address is an IPv4 address. */
static const char *target_text(const struct target *target)
{
	if (target->host)
		return target->host;
	if (target->family != IPV6)
		return target->local ? "127.0.0.1" : "10.9.0.2";
	return target->local ? "::1" : "fd09::2";
}

static uint64_t value(struct json_object *from, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(from, key, &o) && o ? json_object_get_uint64(o) :
							       UINT64_MAX;
}

static double real(struct json_object *from, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(from, key, &o) && o ? json_object_get_double(o) : -1;
}

static void text(struct json_object *from, const char *key, char *to, size_t size)
{
	struct json_object *o;

	snprintf(to, size, "%s", json_object_object_get_ex(from, key, &o) && o ?
		 json_object_get_string(o) : "");
}

/* A process that was refused; a pid that is not told is UINT64_MAX. */
static void process_from(struct json_object *from, const char *key, uint64_t *pid, uint64_t *uid,
			 char *comm, size_t size)
{
	struct json_object *o;

	if (!json_object_object_get_ex(from, key, &o) || !o)
		return;
	*pid = value(o, "pid");
	*uid = value(o, "uid");
	text(o, "comm", comm, size);
}

static void room_from(struct json_object *o, struct room *room)
{
	*room = (struct room){
		.used = value(o, "used"),
		.capacity = value(o, "capacity"),
		.reusable = value(o, "reusable"),
		.outside = value(o, "outside"),
		.time_wait = value(o, "time_wait"),
		.opens = value(o, "opens"),
		.failures = value(o, "connect_failures"),
		.own_range_failures = value(o, "own_range_failures"),
		.eta_s = real(o, "eta_s"),
		.open_rate = real(o, "open_rate"),
		.sustainable_rate = real(o, "sustainable_rate"),
	};
	text(o, "severity", room->severity, sizeof(room->severity));
	process_from(o, "last_failure", &room->failed_pid, &room->failed_uid, room->failed_comm,
		     sizeof(room->failed_comm));
}

/* Is that the destination @target, of those with its remote address and port? */
static bool is_of(struct json_object *o, const struct target *target)
{
	char device[32], source[64];

	text(o, "device", device, sizeof(device));
	text(o, "saddr", source, sizeof(source));
	return !strcmp(device, target->device ? target->device : "") &&
	       (!target->source || !strcmp(source, target->source));
}

int rooms_read(const struct ns *ns, const struct target *target, struct room *room, size_t *n)
{
	struct json_object *list, *o;
	char arguments[128];
	int status;
	size_t i;

	snprintf(arguments, sizeof(arguments), "-j dest dst %s dport %u", target_text(target),
		 target->port);
	list = cli_json(ns, arguments, &status);
	if (!list)
		return -1;
	if (status || !json_object_is_type(list, json_type_array)) {
		fail("'tcpstate-cli %s' ended with %d: %s", arguments, status, output());
		json_object_put(list);
		return -1;
	}
	*n = 0;
	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (is_of(o, target) && !(*n)++)
			room_from(o, room);
	}
	json_object_put(list);
	return 0;
}

int room_read(const struct ns *ns, const struct target *target, struct room *room)
{
	size_t n;

	if (rooms_read(ns, target, room, &n))
		return -1;
	return n == 1 ? 0 : fail("%zu destinations are %s port %u", n, target_text(target),
				 target->port);
}

int summary_read(const struct ns *ns, struct summary *summary)
{
	struct json_object *o;
	int status;

	o = cli_json(ns, "-j port summary", &status);
	if (!o)
		return -1;
	*summary = (struct summary){
		.low = value(o, "low"),
		.high = value(o, "high"),
		.reserved = value(o, "reserved"),
		.bind_blocked = value(o, "bind_blocked"),
		.in_use = value(o, "in_use"),
		.connect_failures = value(o, "connect_failures"),
		.own_range_failures = value(o, "own_range_failures"),
		.bind_failures = value(o, "bind_failures"),
		.bind_missed = value(o, "bind_missed"),
		.destinations = value(o, "destinations"),
		.destinations_max = value(o, "destinations_max"),
		.destinations_dropped = value(o, "destinations_dropped"),
		.without_destination = value(o, "without_destination"),
		.own_range_bind_failures = value(o, "own_range_bind_failures"),
	};
	process_from(o, "last_bind_failure", &summary->bind_pid, &summary->bind_uid,
		     summary->bind_comm, sizeof(summary->bind_comm));
	process_from(o, "last_connect_failure", &summary->connect_pid, &summary->connect_uid,
		     summary->connect_comm, sizeof(summary->connect_comm));
	json_object_put(o);
	return status ? fail("tcpstate-cli port summary ended with %d", status) : 0;
}

int monitor_listens(pid_t pid)
{
	if (!WAIT_FOR(!run_status(NULL, "grep -q '^SigCgt:.*[1-9a-f]' /proc/%d/status && "
				  "ls -l /proc/%d/fd | grep -q socket", pid, pid),
		      PATIENCE_MS))
		return fail("the monitor does not start");
	return 0;
}

int range_set(const struct ns *ns, unsigned int low, unsigned int high)
{
	char range[32];

	snprintf(range, sizeof(range), "%u %u", low, high);
	return sysctl_set(ns, "net/ipv4/ip_local_port_range", range);
}

int cheap_connections(const struct ns *ns)
{
	/* As a client, and without a cookie. */
	return sysctl_set(ns, "net/ipv4/tcp_fastopen", "5");
}

/* Bind to an address, and leave the port to connect(). */
static int bind_source(int fd, const struct target *target)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, target->family, target->source, target->source, 0);

	if (set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1))
		return -1;
	return bind(fd, (struct sockaddr *)&sa, len) ? fail("bind to %s: %m", target->source) : 0;
}

/* Where we are. */
static int socket_here(const struct target *target)
{
	int fd = socket(domain_of(target->family), SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail("socket: %m");
	if (target->deferred && set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1))
		goto out;
	if (target->device &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, target->device, strlen(target->device))) {
		fail("SO_BINDTODEVICE %s: %m", target->device);
		goto out;
	}
	if (target->source && bind_source(fd, target))
		goto out;
	return fd;
out:
	close(fd);
	return -1;
}

int target_socket(const struct ns *ns, const struct target *target)
{
	int fd = ns_enter(ns) ? -1 : socket_here(target);

	if (ns_leave() && fd >= 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int target_dial(int fd, const struct target *target)
{
	struct sockaddr_storage sa;
	socklen_t len = target_address(&sa, target);

	if (!target->deferred && set_nonblocking(fd, true))
		return errno;
	return !connect(fd, (struct sockaddr *)&sa, len) || errno == EINPROGRESS ? 0 : errno;
}

int target_dial_blocking(int fd, const struct target *target)
{
	struct sockaddr_storage sa;
	socklen_t len = target_address(&sa, target);

	if (set_nonblocking(fd, false))
		return errno;
	return connect(fd, (struct sockaddr *)&sa, len) ? errno : 0;
}

int target_connect(const struct ns *ns, const struct target *target)
{
	int fd = target_socket(ns, target), err;

	if (fd < 0)
		return -1;
	err = target_dial_blocking(fd, target);
	if (err) {
		close(fd);
		return fail("connect: %s", strerror(err));
	}
	return fd;
}

int crowd_add(struct crowd *crowd, int fd)
{
	if (crowd->n == crowd->size) {
		crowd->size = crowd->size ? 2 * crowd->size : 64;
		crowd->fds = realloc(crowd->fds, crowd->size * sizeof(*crowd->fds));
		if (!crowd->fds)
			return fail("no memory");
	}
	crowd->fds[crowd->n++] = fd;
	return 0;
}

void crowd_close(struct crowd *crowd)
{
	while (crowd->n)
		close(crowd->fds[--crowd->n]);
	free(crowd->fds);
	crowd->fds = NULL;
	crowd->size = 0;
}

static int open_here(const struct target *target, struct crowd *crowd, unsigned int max)
{
	unsigned int n;
	int fd, err;

	for (n = 0; n < max; n++) {
		fd = socket_here(target);
		if (fd < 0 || crowd_add(crowd, fd))
			return -1;
		err = target_dial(fd, target);
		if (err == EADDRNOTAVAIL)
			break;
		if (err)
			return fail("connect number %u: %s", n, strerror(err));
	}
	return n;
}

int open_until_refused(const struct ns *ns, const struct target *target, struct crowd *crowd,
		       unsigned int max)
{
	int n = ns_enter(ns) ? -1 : open_here(target, crowd, max);

	return ns_leave() ? -1 : n;
}

int room_up(struct room_rig *r, const char *parameters)
{
	pair_init(&r->pair, IPV4, PORT);
	if (rig_up(&r->rig, parameters))
		return -1;
	return sysctl_set(&r->rig.net.client, "net/ipv4/tcp_syn_retries", "20");
}

int room_down(struct room_rig *r)
{
	crowd_close(&r->crowd);
	pair_close(&r->pair);
	return rig_down_alerted(&r->rig);
}
