// SPDX-License-Identifier: GPL-2.0
/*
 * populate N [DESTINATIONS]: leave N mini-sockets in TIME_WAIT, spread over the
 * destinations 127.1.0.1, 127.1.0.2, ... so that no port is searched for long.
 */
#include <stdio.h>

#include "bench.h"

#define DESTINATIONS	250
#define TELL_EVERY	50000

int main(int argc, char **argv)
{
	union address addr;
	int fd = listener(&addr, INADDR_ANY);
	long n, i, destinations = DESTINATIONS;

	if (argc != 2 && argc != 3)
		errx(2, "usage: populate N [DESTINATIONS]");
	n = number(argv[1]);
	if (argc == 3)
		destinations = number(argv[2]);
	for (i = 0; i < n; i++) {
		addr.ipv4.sin_addr.s_addr = htonl(0x7f010001 + i % destinations);
		connection(fd, &addr);
		if (i && i % TELL_EVERY == 0) {
			printf("progress %ld of %ld connections made and closed\n",
			       i, n);
			fflush(stdout);
		}
	}
	return 0;
}
