/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_ADDRESS_H
#define TCPSTATE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "out.h"

struct nlattr;

/* An address; a mapped one is AF_INET. No family: not known. */
struct address {
	int family;
	unsigned char bytes[16];
};

/* All whose first @bits bits are those of @address. */
struct prefix {
	struct address address;
	unsigned int bits;
};

/* "[", the address, "%", a device, "]:", a port */
#define ADDRESS_MAX 64
#define ENDPOINT_MAX 96

bool address_parse(const char *word, struct address *address);
bool prefix_parse(const char *word, struct prefix *prefix);
bool endpoint_parse(const char *word, struct address *address, uint64_t *port);
bool prefix_holds(const struct prefix *prefix, const struct address *address);
struct address address_plain(const struct address *address);
bool address_same(const struct address *a, const struct address *b);
int address_read(struct address *address, const struct nlattr *attr);
int address_read_raw(struct address *address, const struct nlattr *attr);

const char *address_family(const struct address *address);
const char *address_text(char *buf, const struct address *address);
const char *endpoint_text(char *buf, const struct address *address,
			  struct number port);

#endif
