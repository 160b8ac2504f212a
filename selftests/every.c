// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sys/socket.h>

#include "every.h"

int fast_open_settings(const struct net *net)
{
	return sysctl_set(&net->client, "net/ipv4/tcp_fastopen", "5") ||
	       sysctl_set(&net->server, "net/ipv4/tcp_fastopen", "1538") ? -1 : 0;
}

int fast_open(const struct net *net, struct pair *p)
{
	struct sockaddr_storage to;
	socklen_t len = server_address(&to, p->family, p->port);

	p->client = tcp_socket(&net->client, p->family);
	if (p->client < 0 || set_nonblocking(p->client, true))
		return -1;
	sendto(p->client, "0123456789", 10, MSG_FASTOPEN, (struct sockaddr *)&to, len);
	return 0;
}

/* What needs nothing to be lost. */
static int begin(const struct net *net, struct every *e, enum family family)
{
	struct pair *p = e->pair;
	int i;

	for (i = 0; i < EVERY_PAIRS; i++)
		pair_init(&p[i], family, PORT + family);
	if (pair_listen(net, &p[0]))
		return -1;
	for (i = 0; i < EVERY_PAIRS; i++) {
		p[i].listener = p[0].listener;
		if (i != EVERY_REQUEST && i != EVERY_FASTOPEN && pair_open(net, &p[i]))
			return -1;
	}
	if (pair_to_time_wait(&p[EVERY_TIMED]))
		return -1;
	shutdown(p[EVERY_FULL].client, SHUT_WR);
	shutdown(p[EVERY_LASTACK].client, SHUT_WR);
	shutdown(p[EVERY_PASSIVE].server, SHUT_WR);
	return close_acknowledged(&p[EVERY_MINI].client);
}

int every_state_reach(const struct net *net, struct every every[FAMILIES])
{
	int f;

	if (fast_open_settings(net))
		return -1;
	for (f = 0; f < FAMILIES; f++)
		if (begin(net, &every[f], f))
			return -1;
	if (ss_shows(&net->client, EACH_FAMILY, "ESTABLISHED=3 FIN_WAIT2=2 FIN_WAIT2=1m "
		     "TIME_WAIT=1 CLOSE_WAIT=1"))
		return -1;
	/* FINs that cross; their acknowledgements are held. */
	if (wire(&net->client, DELAY) || wire(&net->server, DELAY))
		return -1;
	for (f = 0; f < FAMILIES; f++) {
		shutdown(every[f].pair[EVERY_CROSSED].client, SHUT_WR);
		shutdown(every[f].pair[EVERY_CROSSED].server, SHUT_WR);
	}
	if (wire(&net->client, HOLD) || wire(&net->server, HOLD) ||
	    ss_shows(&net->client, EACH_FAMILY, "ESTABLISHED=2 FIN_WAIT2=2 FIN_WAIT2=1m "
		     "TIME_WAIT=1 CLOSE_WAIT=1 CLOSING=1"))
		return -1;
	/* From here on what the server says is lost. */
	if (wire(&net->server, LOSE) || wire(&net->client, PASS))
		return -1;
	for (f = 0; f < FAMILIES; f++) {
		struct pair *p = every[f].pair;

		shutdown(p[EVERY_HALF].client, SHUT_WR);
		shutdown(p[EVERY_LASTACK].server, SHUT_WR);
		if (pair_dial(net, &p[EVERY_REQUEST]) || fast_open(net, &p[EVERY_FASTOPEN]))
			return -1;
	}
	return ss_shows(&net->client, EACH_FAMILY, EVERY_CLIENT) ||
	       ss_shows(&net->server, EACH_FAMILY, EVERY_SERVER) ? -1 : 0;
}

void every_state_close(struct every every[FAMILIES])
{
	int f, i;

	for (f = 0; f < FAMILIES; f++) {
		for (i = 0; i < EVERY_PAIRS; i++) {
			close_fd(&every[f].pair[i].client);
			close_fd(&every[f].pair[i].server);
		}
		close_fd(&every[f].pair[0].listener);
	}
}
