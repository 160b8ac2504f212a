/* SPDX-License-Identifier: GPL-2.0 */
/* A connection, or more, in each of the states that a socket can be in. */
#ifndef TCPSTATE_SELFTESTS_EVERY_H
#define TCPSTATE_SELFTESTS_EVERY_H

#include "util.h"

enum {
	EVERY_ALIVE,
	EVERY_CROSSED,		/* CLOSING, then TIME_WAIT at the server */
	EVERY_FULL,		/* FIN_WAIT2 of a socket */
	EVERY_HALF,		/* FIN_WAIT1 */
	EVERY_MINI,		/* FIN_WAIT2 of a mini-socket */
	EVERY_TIMED,		/* TIME_WAIT */
	EVERY_PASSIVE,		/* CLOSE_WAIT at the client */
	EVERY_LASTACK,
	EVERY_REQUEST,		/* NEW_SYN_RECV */
	EVERY_FASTOPEN,		/* SYN_RECV of a socket */
	EVERY_PAIRS
};

struct every {
	struct pair pair[EVERY_PAIRS];
};

/* What is there then, of each family. */
#define EVERY_CLIENT	"ESTABLISHED=1 SYN_SENT=2 FIN_WAIT1=1 FIN_WAIT2=2 FIN_WAIT2=1m "	\
			"TIME_WAIT=1 CLOSING=1 CLOSE_WAIT=1"
#define EVERY_SERVER	"LISTEN=1 ESTABLISHED=1 SYN_RECV=1 NEW_SYN_RECV=1 CLOSE_WAIT=3 "	\
			"LAST_ACK=1 FIN_WAIT2=1 TIME_WAIT=1"

/*
 * Of each family, at its place in @every. Nothing moves for a while afterwards:
 * what could, waits for an answer that is lost.
 */
int every_state_reach(const struct net *net, struct every every[FAMILIES]);
void every_state_close(struct every every[FAMILIES]);

/* Without a cookie, by what listens from then on; only the client's half, and some bytes. */
int fast_open_settings(const struct net *net);
int fast_open(const struct net *net, struct pair *p);

#endif
