/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that open and close connections as fast as they can. */
#ifndef TCPSTATE_SELFTESTS_TRAFFIC_H
#define TCPSTATE_SELFTESTS_TRAFFIC_H

#include "util.h"

#define TRAFFIC_WORKERS	16
#define TRAFFIC_WINDOW	64

/* How a connection ends; a worker takes those of its mask in turn. */
enum {
	END_CLIENT_FIRST = 1 << 0,
	END_SERVER_FIRST = 1 << 1,
	END_RESET = 1 << 2,
	END_HALF_CLOSED = 1 << 3,	/* and stays so until it leaves the window */
	END_ANY = 15,
};

struct traffic_spec {
	unsigned int ends;
	unsigned int destinations;	/* addresses under 127/8 that IPv4 goes to */
	unsigned int window;		/* how many each worker keeps open */
	unsigned int ipv6_every;	/* every nth goes to ::1; 0: none */
	bool split;			/* another process accepts */
	uint64_t limit;			/* connections per worker; 0: until stopped */
};

struct traffic {
	struct traffic_shared *shared;
	pid_t pid[TRAFFIC_WORKERS];
	unsigned int workers;
	uint64_t done;		/* connections made, once it is stopped */
};

int traffic_init(struct traffic *t);
/* One more worker, in @ns; workers of the same port share its listener. */
int traffic_add(struct traffic *t, const struct ns *ns, uint16_t port,
		const struct traffic_spec *spec);
/*
 * Two workers in @ns that keep @window connections each to @destinations, and
 * end them in every way: one accepts itself, one has it done.
 */
int traffic_add_mixed(struct traffic *t, const struct ns *ns, unsigned int destinations,
		      unsigned int window);
/* That in each of @count new namespaces, which traffic_down() drops again. */
int traffic_up(struct traffic *t, struct ns ns[], unsigned int count, unsigned int destinations,
	       unsigned int window);
/* Unloads the module, too, if it is there. */
int traffic_down(struct traffic *t, struct ns ns[], unsigned int count);
uint64_t traffic_done(const struct traffic *t);
/* Has every worker reached its limit? */
bool traffic_finished(const struct traffic *t);
/* Let every worker rest so long after each connection; 0: full speed. */
void traffic_rest(struct traffic *t, unsigned int rest_us);
/* Returns when nothing is under way any more; what is open stays so. */
int traffic_pause(struct traffic *t);
int traffic_resume(struct traffic *t);
/*
 * They close what they hold, and nothing is under way any more; fails if any
 * of them had trouble.
 */
int traffic_stop(struct traffic *t);

/* Many ports and buckets, and TIME_WAIT that connect() may take again. */
int traffic_settings(const struct ns *ns);

/*
 * With traffic paused only mini-sockets end, by timers: of all else tcpstate shows
 * what ss does; of those at most what ss has shown before, of either family, and in
 * all at least what the kernel counts after.
 */
int paused_as_ss(const struct ns *ns);

#endif
