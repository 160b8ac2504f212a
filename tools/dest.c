// SPDX-License-Identifier: GPL-2.0
/* dest: destinations, and how much of the room each has used. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/tcpstate.h>

#include "command.h"
#include "dest.h"
#include "netns.h"
#include "nl.h"
#include "words.h"

static int read_key(struct dest_key *key, struct nlattr **tb)
{
	key->netns_ino = attr_number(tb[TCPSTATE_A_DEST_NETNS_INO]);
	key->ifindex = attr_u32(tb[TCPSTATE_A_DEST_IFINDEX]);
	key->dport = attr_u16(tb[TCPSTATE_A_DEST_DPORT]);
	return address_read(&key->saddr, tb[TCPSTATE_A_DEST_SADDR]) ?:
	       address_read(&key->daddr, tb[TCPSTATE_A_DEST_DADDR]);
}

/**
 * dest_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct dest_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int dest_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_DEST_MAX + 1] = {
		[TCPSTATE_A_DEST_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_IFINDEX] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_DPORT] = { .type = NLA_U16 },
		[TCPSTATE_A_DEST_USED] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_TIME_WAIT] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_REUSABLE] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_CAPACITY] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_OUTSIDE] = { .type = NLA_U32 },
		[TCPSTATE_A_DEST_OPENS] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_CONNECT_FAILURES] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_OWN_RANGE_FAILURES] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_OPEN_RATE] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_SUSTAINABLE_RATE] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_ETA_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_DEST_SEVERITY] = { .type = NLA_U32 },
	};
	struct nlattr *tb[TCPSTATE_A_DEST_MAX + 1];
	struct dest_list *all = list;
	struct dest *dest;
	size_t size;

	if (nla_parse(tb, TCPSTATE_A_DEST_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_DEST_NETNS_INO] || !tb[TCPSTATE_A_DEST_DADDR])
		return -1;
	if (all->n == all->size) {
		size = all->size ? 2 * all->size : 16;
		dest = realloc(all->items, size * sizeof(*dest));
		if (!dest)
			return -ENOMEM;
		all->items = dest;
		all->size = size;
	}
	dest = &all->items[all->n];
	memset(dest, 0, sizeof(*dest));
	if (read_key(&dest->key, tb) ||
	    process_read(&dest->last_failure, tb[TCPSTATE_A_DEST_LAST_FAILURE]))
		return -1;
	dest->used = attr_u32(tb[TCPSTATE_A_DEST_USED]);
	dest->time_wait = attr_u32(tb[TCPSTATE_A_DEST_TIME_WAIT]);
	dest->reusable = attr_u32(tb[TCPSTATE_A_DEST_REUSABLE]);
	dest->capacity = attr_u32(tb[TCPSTATE_A_DEST_CAPACITY]);
	dest->outside = attr_u32(tb[TCPSTATE_A_DEST_OUTSIDE]);
	dest->opens = attr_number(tb[TCPSTATE_A_DEST_OPENS]);
	dest->failures = attr_number(tb[TCPSTATE_A_DEST_CONNECT_FAILURES]);
	dest->own_range_failures =
		attr_number(tb[TCPSTATE_A_DEST_OWN_RANGE_FAILURES]);
	dest->open_rate = attr_number(tb[TCPSTATE_A_DEST_OPEN_RATE]);
	dest->sustainable_rate =
		attr_number(tb[TCPSTATE_A_DEST_SUSTAINABLE_RATE]);
	dest->eta_ms = attr_number(tb[TCPSTATE_A_DEST_ETA_MS]);
	dest->severity = attr_u32(tb[TCPSTATE_A_DEST_SEVERITY]);
	all->n++;
	return 0;
}

/**
 * dest_forget() - empty a list
 * @list: a struct dest_list
 */
void dest_forget(void *list)
{
	struct dest_list *all = list;

	free(all->items);
	memset(all, 0, sizeof(*all));
}

/**
 * dest_room_known() - is it known how full a destination is?
 * @dest: the destination
 *
 * Return: true if so.
 */
bool dest_room_known(const struct dest *dest)
{
	return dest->used.known && dest->capacity.known;
}

/**
 * dest_taken() - how many of its ports connect() cannot get
 * @dest: the destination
 *
 * Return: those used, without the reusable ones.
 */
uint64_t dest_taken(const struct dest *dest)
{
	uint64_t used = dest->used.value, reusable = dest->reusable.value;

	return used > reusable ? used - reusable : 0;
}

/* Rounded down, so that 100 % is all of it; nothing of nothing is all. */
static struct number tenths(struct number part, struct number whole)
{
	if (!part.known || !whole.known)
		return number_unknown();
	return number_known(whole.value ? part.value * 1000 / whole.value :
			    1000);
}

/**
 * dest_full_tenths() - how full a destination is
 * @dest: the destination
 *
 * Return: tenths of a percent of its capacity; what an alert is about.
 */
struct number dest_full_tenths(const struct dest *dest)
{
	struct number taken = { .value = dest_taken(dest),
				.known = dest->used.known };

	return tenths(taken, dest->capacity);
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

/* The fullest first; of those, the one with more used, then more refused. */
static int by_fullness(const void *one, const void *other)
{
	const struct dest *a = one, *b = other;
	uint64_t a_capacity = a->capacity.value, b_capacity = b->capacity.value;

	if (!a_capacity || !b_capacity) {
		if (a_capacity != b_capacity)
			return a_capacity ? 1 : -1;
		return compare(a->failures.value, b->failures.value);
	}
	return compare(dest_taken(a) * b_capacity, dest_taken(b) * a_capacity) ?:
	       compare(a->used.value, b->used.value) ?:
	       compare(a->failures.value, b->failures.value);
}

/**
 * dest_wanted() - is a destination one of these?
 * @filter: these
 * @key: the destination
 *
 * Return: true if so.
 */
bool dest_wanted(const struct dest_filter *filter, const struct dest_key *key)
{
	if (filter->by_daddr && !prefix_holds(&filter->daddr, &key->daddr))
		return false;
	return !filter->dport.known || !key->dport.known ||
	       filter->dport.value == key->dport.value;
}

/**
 * dest_get() - ask the module
 * @all_netns: of all network namespaces, instead of our own
 * @filter: which ones
 * @list: empty; the answer, the fullest first, to be freed by dest_forget()
 *   either way
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int dest_get(bool all_netns, const struct dest_filter *filter,
	     struct dest_list *list)
{
	bool filtered = filter->by_daddr || filter->dport.known;
	struct module_reader reader = {
		.message = dest_read,
		.restart = dest_forget,
		.arg = list,
	};
	struct nl_msg *msg;
	size_t i, n = 0;
	int code;

	msg = module_dump(TCPSTATE_CMD_DEST_GET, all_netns,
			  TCPSTATE_A_DEST_ALL_NETNS);
	/* The module picks the fullest of all; of some, it is for us to do. */
	if (msg && filter->top && !filtered && filter->top <= TCPSTATE_TOP_MAX)
		nla_put_u32(msg, TCPSTATE_A_DEST_TOP, filter->top);
	code = module_ask(msg, &reader);
	if (code)
		return code;
	for (i = 0; i < list->n; i++)
		if (dest_wanted(filter, &list->items[i].key))
			list->items[n++] = list->items[i];
	list->n = n;
	if (n)
		qsort(list->items, n, sizeof(*list->items), by_fullness);
	if (filter->top && list->n > filter->top)
		list->n = filter->top;
	return OUT_DONE;
}

/**
 * dest_severity() - a severity
 * @severity: as the kernel numbers it
 *
 * Return: its name, or NULL when it is not known.
 */
const char *dest_severity(struct number severity)
{
	static const char *const names[] = {
		[TCPSTATE_SEVERITY_CLEAR] = "clear",
		[TCPSTATE_SEVERITY_WARNING] = "warning",
		[TCPSTATE_SEVERITY_CRITICAL] = "critical",
	};

	if (!severity.known || severity.value > TCPSTATE_SEVERITY_CRITICAL)
		return NULL;
	return names[severity.value];
}

/**
 * dest_style() - how what is that severe looks
 * @severity: as the kernel numbers it
 *
 * Return: the style.
 */
enum out_style dest_style(struct number severity)
{
	if (severity.value == TCPSTATE_SEVERITY_CRITICAL)
		return OUT_BAD;
	return severity.value == TCPSTATE_SEVERITY_WARNING ? OUT_WARN :
							     OUT_PLAIN;
}

/* A device has its number in its own namespace, and we know but our own. */
static const char *device_name(const struct dest_key *key, char *buf)
{
	struct stat st;

	if (!stat("/proc/self/ns/net", &st) &&
	    st.st_ino == key->netns_ino.value &&
	    if_indextoname(key->ifindex.value, buf))
		return buf;
	snprintf(buf, IF_NAMESIZE, "if%u", (unsigned int)key->ifindex.value);
	return buf;
}

/**
 * dest_from_text() - where connections to a destination come from
 * @buf: at least ENDPOINT_MAX bytes
 * @key: the destination
 *
 * Return: @buf, the local address, and the device where they are bound to one.
 */
const char *dest_from_text(char *buf, const struct dest_key *key)
{
	char host[ADDRESS_MAX], device[IF_NAMESIZE];
	const char *text = address_text(host, &key->saddr);

	snprintf(buf, ENDPOINT_MAX, "%s%s%s", text ? text : "*",
		 key->ifindex.known ? "%" : "",
		 key->ifindex.known ? device_name(key, device) : "");
	return buf;
}

/**
 * dest_key_text() - a destination to print
 * @buf: at least DEST_KEY_TEXT_MAX bytes
 * @key: the destination
 *
 * Return: @buf, such as "10.0.0.1 > 10.0.0.2:80".
 */
const char *dest_key_text(char *buf, const struct dest_key *key)
{
	char from[ENDPOINT_MAX], to[ENDPOINT_MAX];

	snprintf(buf, DEST_KEY_TEXT_MAX, "%s > %s", dest_from_text(from, key),
		 endpoint_text(to, &key->daddr, key->dport));
	return buf;
}

/**
 * dest_key_print() - print what makes a destination, in the JSON only
 * @key: the destination
 */
void dest_key_print(const struct dest_key *key)
{
	char buf[ADDRESS_MAX], device[IF_NAMESIZE];

	out_string("family", NULL, address_family(&key->daddr));
	out_string("saddr", NULL, address_text(buf, &key->saddr));
	out_string("daddr", NULL, address_text(buf, &key->daddr));
	out_number("dport", NULL, key->dport);
	out_number("ifindex", NULL, key->ifindex);
	out_string("device", NULL, key->ifindex.known && out_is_json() ?
		   device_name(key, device) : NULL);
}

/* Without a trend there is no forecast, which alone is no promise. */
static void print_eta(const struct dest *dest)
{
	struct number full = dest_full_tenths(dest), eta = dest->eta_ms;
	struct number rate = dest->open_rate, most = dest->sustainable_rate;
	bool known = rate.known && (most.known || !rate.value);
	bool sustainable = known && (!rate.value || rate.value <= most.value);
	const char *word = NULL;

	if (full.known && full.value >= 1000) {
		eta = number_known(0);
		word = "now";
	} else if (sustainable && !eta.known) {
		word = "never";
	}
	out_seconds("eta_s", word ? NULL : "%s", eta);
	if (word)
		out_text("%s", word);
	if (known)
		out_bool("sustainable", NULL, NULL, sustainable);
	else
		out_null("sustainable", NULL);
}

static void print_row(const struct dest *dest, bool all_netns, bool brief)
{
	char buf[ENDPOINT_MAX], who[PROCESS_TEXT_MAX];
	struct number severity = dest->severity;
	const char *more = brief ? NULL : "%s";

	out_row_open(true, dest_style(severity));
	out_string("netns", NULL, netns_name(dest->key.netns_ino.value));
	dest_key_print(&dest->key);
	out_words("%s", endpoint_text(buf, &dest->key.daddr, dest->key.dport));
	out_percent("full_pct", "%s", dest_full_tenths(dest));
	out_count("used", "%s", dest->used);
	out_count("capacity", "%s", dest->capacity);
	out_percent("used_pct", NULL, tenths(dest->used, dest->capacity));
	out_count("time_wait", more, dest->time_wait);
	out_count("reusable", more, dest->reusable);
	print_eta(dest);
	out_count("connect_failures", "%s", dest->failures);
	out_words("%s", dest_from_text(buf, &dest->key));
	out_count("opens", more, dest->opens);
	out_rate("open_rate", more, dest->open_rate);
	out_rate("sustainable_rate", more, dest->sustainable_rate);
	out_count("outside", more, dest->outside);
	out_count("own_range_failures", NULL, dest->own_range_failures);
	process_print("last_failure", &dest->last_failure);
	out_bool("last_failure_hidden", NULL, NULL, dest->last_failure.hidden);
	out_words(more, dest->last_failure.hidden ? "hidden" :
			process_deed_text(who, &dest->last_failure));
	out_string("severity", NULL, dest_severity(severity));
	if (all_netns)
		out_words("%s", netns_name(dest->key.netns_ino.value));
	out_row_close();
}

/* In the order in which they go below for want of room. */
static const struct out_column all_columns[] = {
	{ .heading = "DESTINATION", .left = true },
	{ .heading = "FULL" },
	{ .heading = "USED" },
	{ .heading = "OF" },
	{ .heading = "TIME_WAIT" },
	{ .heading = "REUSABLE" },
	{ .heading = "FULL IN" },
	{ .heading = "REFUSED" },
	{ .heading = "FROM", .left = true },
	{ .heading = "OPENED" },
	{ .heading = "RATE" },
	{ .heading = "SUSTAINS" },
	{ .heading = "OUTSIDE" },
	{ .heading = "LAST REFUSED", .left = true },
	{ .heading = "NETNS", .left = true },
};

static const struct out_column brief_columns[] = {
	{ .heading = "DESTINATION", .left = true },
	{ .heading = "FULL" },
	{ .heading = "USED" },
	{ .heading = "OF" },
	{ .heading = "FULL IN" },
	{ .heading = "REFUSED" },
	{ .heading = "FROM", .left = true },
};

/**
 * dest_print() - print destinations
 * @list: in this order
 * @netns_ino: of this network namespace, or of all when not known
 * @key: the JSON key of the array, or NULL
 * @brief: leave out of the text what does not belong on the first screen
 */
void dest_print(const struct dest_list *list, struct number netns_ino,
		const char *key, bool brief)
{
	bool all_netns = !netns_ino.known;
	const struct dest *dest;
	size_t i;

	if (brief)
		out_table_open(key, brief_columns, ARRAY_SIZE(brief_columns),
			       NULL);
	else
		out_table_open(key, all_columns,
			       ARRAY_SIZE(all_columns) - !all_netns, NULL);
	for (i = 0; i < list->n; i++) {
		dest = &list->items[i];
		if (all_netns ||
		    netns_ino.value == dest->key.netns_ino.value)
			print_row(dest, all_netns && !brief, brief);
	}
	out_table_close();
}

/* As in the table of filters below. */
enum { BY_DST, BY_DPORT, BY_TOP };

static int take(unsigned int which, const char *value, void *arg)
{
	struct dest_filter *filter = arg;
	uint64_t port;

	switch (which) {
	case BY_DST:
		filter->by_daddr = prefix_parse(value, &filter->daddr);
		if (!filter->by_daddr)
			return out_fail(OUT_USAGE,
					"'%s' is no address: 'dst' needs one such as 10.0.0.1 or 2001:db8::/32",
					value);
		break;
	case BY_DPORT:
		if (!word_number(value, 1, 65535, &port))
			return out_fail(OUT_USAGE,
					"'%s' is no port: 'dport' needs a number from 1 to 65535",
					value);
		filter->dport = number_known(port);
		break;
	case BY_TOP:
		if (!word_number(value, 1, UINT32_MAX, &filter->top))
			return out_fail(OUT_USAGE,
					"'%s' will not do: 'top' needs a number from 1 on",
					value);
		break;
	}
	return OUT_DONE;
}

static void print_hidden(const struct dest_list *list)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		n += list->items[i].last_failure.hidden;
	if (n)
		out_text("\nWho was refused last is not for you to see: run it as root.\n");
}

static int run(const struct request *request)
{
	struct dest_filter filter = { 0 };
	struct filter_reader reader = { .take = take, .arg = &filter };
	struct dest_list list = { 0 };
	bool some;
	int code;

	code = command_filters(&dest_command, request, &reader);
	if (code)
		return code;
	code = module_open() ?: dest_get(request->all_netns, &filter, &list);
	module_close();
	if (!code) {
		some = filter.by_daddr || filter.dport.known;
		if (!list.n)
			out_text("%s\n", some ? "no such destination" :
				 "no destinations: nothing here has opened a connection of late");
		out_mute(!list.n);
		dest_print(&list, request->all_netns || !list.n ?
			   number_unknown() : list.items[0].key.netns_ino,
			   NULL, false);
		print_hidden(&list);
		out_mute(false);
	}
	dest_forget(&list);
	return code;
}

const struct command dest_command = {
	.name = "dest",
	.summary = "destinations: ports used, room left, who was refused",
	.filters = (const struct filter[]){
		[BY_DST] = { .name = "dst", .argument = "ADDR[/LEN]",
			     .help = "only to these addresses" },
		[BY_DPORT] = { .name = "dport", .argument = "PORT",
			       .help = "only to this port" },
		[BY_TOP] = { .name = "top", .argument = "N",
			     .help = "only the N fullest" },
		{ 0 }
	},
	.run = run,
};
