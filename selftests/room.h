/* SPDX-License-Identifier: GPL-2.0 */
/* The room that tcpstate announces, and the room that connect() finds. */
#ifndef TCPSTATE_SELFTESTS_ROOM_H
#define TCPSTATE_SELFTESTS_ROOM_H

#include "util.h"

/* Where connections go: a port of the server's, or of loopback. */
struct target {
	enum family family;
	bool local;
	const char *host;	/* another address than these, if not NULL */
	uint16_t port;
	const char *device;	/* that the sockets are bound to, or NULL */
	const char *source;	/* the local address that they are bound to, likewise */
	/*
	 * TCP fast open puts off even the SYN: a connection has its port, and
	 * costs nothing more. Needs cheap_connections().
	 */
	bool deferred;
};

int cheap_connections(const struct ns *ns);

/* What `tcpstate-cli -j dest` says of one destination. */
struct room {
	uint64_t used, capacity, reusable, outside, time_wait, opens;
	uint64_t failures, own_range_failures, failed_pid, failed_uid;
	double eta_s;		/* below 0: never, or not known */
	double open_rate, sustainable_rate;	/* per second; below 0: not known */
	char failed_comm[32], severity[16];
};

/* The destinations that are @target; *n how many, the first of them in *room. */
int rooms_read(const struct ns *ns, const struct target *target, struct room *room, size_t *n);
/* The same where there is to be one. */
int room_read(const struct ns *ns, const struct target *target, struct room *room);

/* What `tcpstate-cli -j port summary` says. */
struct summary {
	uint64_t low, high, reserved, bind_blocked, in_use, connect_failures;
	uint64_t own_range_failures, bind_failures, bind_missed;
	uint64_t destinations, destinations_max, destinations_dropped;
	uint64_t without_destination, own_range_bind_failures;
	uint64_t bind_pid, bind_uid;	/* who was refused last */
	char bind_comm[32];
	uint64_t connect_pid, connect_uid;
	char connect_comm[32];
};

int summary_read(const struct ns *ns, struct summary *summary);

/* Wait until the `tcpstate-cli monitor` that is process @pid listens. */
int monitor_listens(pid_t pid);

int range_set(const struct ns *ns, unsigned int low, unsigned int high);

/* An unbound socket of @target's family, bound to its device. */
int target_socket(const struct ns *ns, const struct target *target);
/* connect() without waiting: 0, or its errno. */
int target_dial(int fd, const struct target *target);
/* The same, waiting for the answer. */
int target_dial_blocking(int fd, const struct target *target);
/* A new socket, and wait for the answer. */
int target_connect(const struct ns *ns, const struct target *target);

/* Sockets, to be closed all at once. */
struct crowd {
	int *fds;
	unsigned int n, size;
};

int crowd_add(struct crowd *crowd, int fd);
void crowd_close(struct crowd *crowd);

/* What tests of room begin with: two namespaces with nothing in them. */
struct room_rig {
	struct rig rig;
	struct crowd crowd;
	struct pair pair;	/* IPv4, to PORT */
};

/* Load the module with @parameters; what is not answered is not given up. */
int room_up(struct room_rig *r, const char *parameters);
int room_down(struct room_rig *r);

/* Of a fixture that has one, and calls it base. */
#define NET	(&self->base.rig.net)
#define CLIENT	(&self->base.rig.net.client)
#define SERVER	(&self->base.rig.net.server)
#define CROWD	(&self->base.crowd)

/*
 * Open connections until the kernel has no port left, but not more than @max;
 * return how many succeeded, -1 if one failed for another reason. They are not
 * waited for: they stay in SYN_SENT if nobody answers.
 */
int open_until_refused(const struct ns *ns, const struct target *target, struct crowd *crowd,
		       unsigned int max);

#endif
