// SPDX-License-Identifier: GPL-2.0
/* Addresses and ports, as they are typed, told by the kernel, and printed. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <netlink/attr.h>

#include "address.h"
#include "words.h"

#define MAPPED_BITS 96

static unsigned int family_bits(const struct address *address)
{
	return address->family == AF_INET ? 32 : 128;
}

/* An IPv4 address in IPv6's clothes is an IPv4 address. */
static bool unmap(struct address *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (address->family != AF_INET6 ||
	    memcmp(address->bytes, mapped, sizeof(mapped)))
		return false;
	address->family = AF_INET;
	memmove(address->bytes, address->bytes + 12, 4);
	memset(address->bytes + 4, 0, 12);
	return true;
}

/* "10.0.0.1", "2001:db8::1" or "[2001:db8::1]", of so many characters. */
static bool parse(const char *word, size_t len, struct address *address,
		  bool *mapped)
{
	char buf[ADDRESS_MAX];

	if (len >= 2 && word[0] == '[' && word[len - 1] == ']') {
		word++;
		len -= 2;
	}
	if (len >= sizeof(buf))
		return false;
	memcpy(buf, word, len);
	buf[len] = '\0';
	memset(address, 0, sizeof(*address));
	address->family = strchr(buf, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(address->family, buf, address->bytes) != 1)
		return false;
	*mapped = unmap(address);
	return true;
}

/**
 * address_parse() - an address as it was typed
 * @word: of either family
 * @address: set to it
 *
 * Return: false when it is none.
 */
bool address_parse(const char *word, struct address *address)
{
	bool mapped;

	return parse(word, strlen(word), address, &mapped);
}

/**
 * prefix_parse() - addresses as they were typed
 * @word: one, or one with "/" and how many of its bits matter
 * @prefix: set to it
 *
 * Return: false when it is none.
 */
bool prefix_parse(const char *word, struct prefix *prefix)
{
	const char *slash = strchr(word, '/');
	size_t len = slash ? (size_t)(slash - word) : strlen(word);
	uint64_t bits, least;
	bool mapped;

	if (!parse(word, len, &prefix->address, &mapped))
		return false;
	least = mapped ? MAPPED_BITS : 0;
	prefix->bits = family_bits(&prefix->address);
	if (!slash)
		return true;
	if (!word_number(slash + 1, least, least + prefix->bits, &bits))
		return false;
	prefix->bits = bits - least;
	return true;
}

/**
 * endpoint_parse() - an address with a port as they were typed
 * @word: "10.0.0.1:80" or "[2001:db8::1]:80"
 * @address: set to the address
 * @port: set to the port
 *
 * Return: false when it is none.
 */
bool endpoint_parse(const char *word, struct address *address, uint64_t *port)
{
	const char *colon = strrchr(word, ':');
	bool mapped;

	/* Without brackets nobody knows where an IPv6 address ends. */
	if (!colon || (word[0] != '[' && strchr(word, ':') != colon) ||
	    (word[0] == '[' && colon[-1] != ']'))
		return false;
	return parse(word, colon - word, address, &mapped) &&
	       word_number(colon + 1, 1, 65535, port);
}

/**
 * prefix_holds() - is an address one of these?
 * @prefix: these
 * @address: the address
 *
 * Return: true if so.
 */
bool prefix_holds(const struct prefix *prefix, const struct address *address)
{
	unsigned int whole = prefix->bits / 8, rest = prefix->bits % 8;
	const unsigned char *a = prefix->address.bytes, *b = address->bytes;

	if (prefix->address.family != address->family || memcmp(a, b, whole))
		return false;
	return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

/**
 * address_plain() - what a socket's address stands for
 * @address: the address
 *
 * Return: it, as an IPv4 address if it is a mapped one.
 */
struct address address_plain(const struct address *address)
{
	struct address plain = *address;

	unmap(&plain);
	return plain;
}

/**
 * address_same() - are these one?
 * @a: an address
 * @b: another
 *
 * Return: true if so.
 */
bool address_same(const struct address *a, const struct address *b)
{
	return a->family == b->family &&
	       !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/**
 * address_read_raw() - a socket's address as the kernel tells it
 * @address: set to it; a mapped one stays one
 * @attr: of 4 or 16 bytes; NULL: not known
 *
 * Return: 0, or a negative value when it is none.
 */
int address_read_raw(struct address *address, const struct nlattr *attr)
{
	memset(address, 0, sizeof(*address));
	if (!attr)
		return 0;
	if (nla_len(attr) != 4 && nla_len(attr) != 16)
		return -1;
	address->family = nla_len(attr) == 4 ? AF_INET : AF_INET6;
	memcpy(address->bytes, nla_data(attr), nla_len(attr));
	return 0;
}

/**
 * address_read() - an address as the kernel tells it
 * @address: set to it
 * @attr: of 4 or 16 bytes; NULL: not known
 *
 * Return: 0, or a negative value when it is none.
 */
int address_read(struct address *address, const struct nlattr *attr)
{
	int err = address_read_raw(address, attr);

	unmap(address);
	return err;
}

/**
 * address_family() - the family of an address
 * @address: the address
 *
 * Return: its name, or NULL when the address is not known.
 */
const char *address_family(const struct address *address)
{
	if (!address->family)
		return NULL;
	return address->family == AF_INET ? "ipv4" : "ipv6";
}

/**
 * address_text() - an address to print
 * @buf: at least ADDRESS_MAX bytes
 * @address: the address
 *
 * Return: @buf, or NULL when it is not known.
 */
const char *address_text(char *buf, const struct address *address)
{
	char digits[OUT_NUMBER_MAX], *p = buf;
	int i;

	if (!address->family)
		return NULL;
	for (i = 0; address->family == AF_INET && i < 4; i++) {
		if (i)
			*p++ = '.';
		p = stpcpy(p, out_digits(digits, address->bytes[i]));
	}
	return p != buf ? buf : inet_ntop(address->family, address->bytes, buf, ADDRESS_MAX);
}

/**
 * endpoint_text() - an address with a port to print
 * @buf: at least ENDPOINT_MAX bytes
 * @address: the address
 * @port: the port
 *
 * Return: @buf.
 */
const char *endpoint_text(char *buf, const struct address *address,
			  struct number port)
{
	bool brackets = address->family == AF_INET6;
	char host[ADDRESS_MAX], digits[OUT_NUMBER_MAX], *p = buf;
	const char *text = address_text(host, address);

	if (brackets)
		*p++ = '[';
	p = stpcpy(p, text ? text : "*");
	if (brackets)
		*p++ = ']';
	*p++ = ':';
	stpcpy(p, port.known ? out_digits(digits, port.value) : "*");
	return buf;
}
