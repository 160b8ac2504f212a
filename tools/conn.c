// SPDX-License-Identifier: GPL-2.0
/* conn: connections, how long they have been in their state, and whose they are. */
#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/tcpstate.h>

#include "cgroup.h"
#include "command.h"
#include "config.h"
#include "conn.h"
#include "dest.h"
#include "holder.h"
#include "netns.h"
#include "nl.h"
#include "state.h"
#include "words.h"

/*
 * The states that a teardown may be stuck in; and those that an orphan may be in:
 * close() leaves none in another.
 */
#define TEARDOWN_STATES (STATE_BIT(TCPSTATE_STATE_FIN_WAIT1) | \
			 STATE_BIT(TCPSTATE_STATE_FIN_WAIT2) | \
			 STATE_BIT(TCPSTATE_STATE_LAST_ACK) | \
			 STATE_BIT(TCPSTATE_STATE_CLOSING))

static uint64_t value_of(const struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static int read_one(struct conn *conn, struct nlattr **tb)
{
	conn->netns_ino = value_of(tb[TCPSTATE_A_CONN_NETNS_INO]);
	conn->cookie = value_of(tb[TCPSTATE_A_CONN_COOKIE]);
	conn->inode = value_of(tb[TCPSTATE_A_CONN_INODE]);
	conn->state = nla_get_u32(tb[TCPSTATE_A_CONN_STATE]);
	conn->family = nla_get_u32(tb[TCPSTATE_A_CONN_FAMILY]);
	conn->ifindex = attr_u32(tb[TCPSTATE_A_CONN_IFINDEX]).value;
	conn->sport = attr_u16(tb[TCPSTATE_A_CONN_SPORT]).value;
	conn->dport = attr_u16(tb[TCPSTATE_A_CONN_DPORT]).value;
	conn->mini = tb[TCPSTATE_A_CONN_MINI];
	conn->late = false;
	conn->at_least = tb[TCPSTATE_A_CONN_AGE_AT_LEAST];
	conn->unaccepted = tb[TCPSTATE_A_CONN_UNACCEPTED];
	conn->hidden = tb[TCPSTATE_A_CONN_OWNER_HIDDEN];
	conn->age_ms = attr_number(tb[TCPSTATE_A_CONN_AGE_MS]);
	conn->timeout_ms = attr_number(tb[TCPSTATE_A_CONN_TIMEOUT_MS]);
	if (!conn->state || conn->state > STATE_MAX)
		return -1;
	return address_read_raw(&conn->saddr, tb[TCPSTATE_A_CONN_SADDR]) ?:
	       address_read_raw(&conn->daddr, tb[TCPSTATE_A_CONN_DADDR]) ?:
	       process_read(&conn->owner, tb[TCPSTATE_A_CONN_OWNER]) ?:
	       process_read(&conn->closer, tb[TCPSTATE_A_CONN_CLOSER]);
}

/**
 * conn_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct conn_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int conn_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_CONN_MAX + 1] = {
		[TCPSTATE_A_CONN_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_CONN_COOKIE] = { .type = NLA_U64 },
		[TCPSTATE_A_CONN_STATE] = { .type = NLA_U32 },
		[TCPSTATE_A_CONN_FAMILY] = { .type = NLA_U32 },
		[TCPSTATE_A_CONN_IFINDEX] = { .type = NLA_U32 },
		[TCPSTATE_A_CONN_SPORT] = { .type = NLA_U16 },
		[TCPSTATE_A_CONN_DPORT] = { .type = NLA_U16 },
		[TCPSTATE_A_CONN_AGE_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_CONN_TIMEOUT_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_CONN_INODE] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_CONN_MAX + 1];
	struct conn_list *all = list;
	struct conn *conn;
	size_t size;

	if (nla_parse(tb, TCPSTATE_A_CONN_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_CONN_NETNS_INO] || !tb[TCPSTATE_A_CONN_COOKIE] ||
	    !tb[TCPSTATE_A_CONN_STATE] || !tb[TCPSTATE_A_CONN_FAMILY])
		return -1;
	if (all->n == all->size) {
		size = all->size ? 2 * all->size : 64;
		conn = realloc(all->items, size * sizeof(*conn));
		if (!conn)
			return -ENOMEM;
		all->items = conn;
		all->size = size;
	}
	conn = &all->items[all->n];
	if (read_one(conn, tb))
		return -1;
	all->n++;
	return 0;
}

/**
 * conn_forget() - empty a list
 * @list: a struct conn_list
 */
void conn_forget(void *list)
{
	struct conn_list *all = list;

	free(all->items);
	memset(all, 0, sizeof(*all));
}

/**
 * conn_same() - are these one?
 * @a: a connection
 * @b: another
 *
 * A socket that is used again after its connection has left a mini-socket behind
 * has the cookie of that.
 *
 * Return: true if so, whatever their states.
 */
bool conn_same(const struct conn *a, const struct conn *b)
{
	return a->cookie == b->cookie && a->netns_ino == b->netns_ino &&
	       a->sport == b->sport && a->dport == b->dport &&
	       address_same(&a->saddr, &b->saddr) &&
	       address_same(&a->daddr, &b->daddr);
}

/**
 * conn_hidden() - how many have an owner that we are not told
 * @list: of these
 *
 * Return: the number.
 */
size_t conn_hidden(const struct conn_list *list)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		n += list->items[i].hidden;
	return n;
}

static void put_filter(struct nl_msg *msg, const struct conn_filter *filter)
{
	const struct address *daddr = &filter->daddr.address;

	if (filter->states)
		nla_put_u32(msg, TCPSTATE_A_CONN_STATES, filter->states);
	if (filter->older_ms.known)
		nla_put_u64(msg, TCPSTATE_A_CONN_OLDER_MS,
			    filter->older_ms.value);
	if (filter->by_daddr) {
		nla_put(msg, TCPSTATE_A_CONN_DADDR,
			daddr->family == AF_INET ? 4 : 16, daddr->bytes);
		nla_put_u8(msg, TCPSTATE_A_CONN_DADDR_PREFIX,
			   filter->daddr.bits);
	}
	if (filter->sport.known)
		nla_put_u16(msg, TCPSTATE_A_CONN_SPORT, filter->sport.value);
	if (filter->dport.known)
		nla_put_u16(msg, TCPSTATE_A_CONN_DPORT, filter->dport.value);
	if (filter->pid.known)
		nla_put_u32(msg, TCPSTATE_A_CONN_PID, filter->pid.value);
	if (filter->uid.known)
		nla_put_u32(msg, TCPSTATE_A_CONN_UID, filter->uid.value);
	if (filter->cgroup.known)
		nla_put_u64(msg, TCPSTATE_A_CONN_CGROUP, filter->cgroup.value);
	if (filter->cookie.known)
		nla_put_u64(msg, TCPSTATE_A_CONN_COOKIE, filter->cookie.value);
	if (filter->comm)
		nla_put_string(msg, TCPSTATE_A_CONN_COMM, filter->comm);
	if (filter->top)
		nla_put_u32(msg, TCPSTATE_A_CONN_TOP, filter->top);
}

static int ask(bool all_netns, const struct conn_filter *filter,
	       struct conn_list *list)
{
	struct module_reader reader = {
		.message = conn_read,
		.restart = conn_forget,
		.arg = list,
	};
	struct nl_msg *msg;

	msg = module_dump(TCPSTATE_CMD_CONN_GET, all_netns,
			  TCPSTATE_A_CONN_ALL_NETNS);
	if (msg)
		put_filter(msg, filter);
	return module_ask(msg, &reader);
}

static const struct counters *counters_of(const struct counters_list *counters,
					  const struct conn *conn)
{
	size_t i;

	for (i = 0; i < counters->n; i++)
		if (counters->items[i].netns_ino.value == conn->netns_ino)
			return &counters->items[i];
	return NULL;
}

/* As /proc/net/sockstat counts them. */
static bool is_orphan(const struct conn *conn)
{
	return !conn->inode && !conn->mini && !conn->unaccepted;
}

static bool is_stuck(const struct counters_list *counters,
		     const struct conn *conn)
{
	const struct counters *own = counters_of(counters, conn);
	const struct state_row *row;
	struct number limit;

	/* Without a file, or as a mini-socket, it ends by itself. */
	if (!own ||
	    (conn->state == TCPSTATE_STATE_FIN_WAIT2 && !conn->inode))
		return false;
	row = &own->rows[conn->state];
	limit = is_orphan(conn) ? row->stuck_orphan_after_ms :
				  row->stuck_after_ms;
	return limit.known && conn->age_ms.known &&
	       conn->age_ms.value > limit.value;
}

static int by_age(const void *one, const void *other)
{
	const struct conn *a = one, *b = other;

	if (a->age_ms.value != b->age_ms.value)
		return a->age_ms.value < b->age_ms.value ? 1 : -1;
	return 0;
}

static uint64_t lesser(uint64_t least, struct number limit)
{
	return limit.known && limit.value < least ? limit.value : least;
}

/* Each state of each namespace has its limit: the least of them. */
static uint64_t least_limit(const struct counters_list *counters)
{
	uint64_t least = UINT64_MAX;
	const struct state_row *row;
	unsigned int state;
	size_t i;

	for (i = 0; i < counters->n; i++) {
		for (state = 1; state <= STATE_MAX; state++) {
			row = &counters->items[i].rows[state];
			least = lesser(least, row->stuck_after_ms);
			least = lesser(least, row->stuck_orphan_after_ms);
		}
	}
	return least;
}

/* What may be stuck is older than the least of the limits. */
static int narrow(bool all_netns, struct conn_filter *filter,
		  struct counters_list *counters)
{
	uint64_t least;
	int code;

	code = counters_get(all_netns, counters);
	if (code)
		return code;
	least = least_limit(counters);
	if (least == UINT64_MAX)
		return module_mismatch();
	if (!filter->older_ms.known || filter->older_ms.value < least)
		filter->older_ms = number_known(least);
	return OUT_DONE;
}

/* Whether it is one is for us to see: those that may be are looked through. */
static int get_teardowns(bool all_netns, struct conn_filter filter,
			 struct conn_list *list)
{
	struct counters_list counters = { 0 };
	uint64_t top = filter.top;
	const struct conn *conn;
	size_t i, n = 0;
	int code = OUT_DONE;

	filter.top = 0;
	filter.states = (filter.states ? filter.states : TEARDOWN_STATES) &
			TEARDOWN_STATES;
	if (filter.stuck)
		code = narrow(all_netns, &filter, &counters);
	if (!code && filter.states)
		code = ask(all_netns, &filter, list);
	for (i = 0; !code && i < list->n; i++) {
		conn = &list->items[i];
		if ((!filter.stuck || is_stuck(&counters, conn)) &&
		    (!filter.orphan || is_orphan(conn)))
			list->items[n++] = *conn;
	}
	list->n = n;
	if (n)
		qsort(list->items, n, sizeof(*list->items), by_age);
	if (top && n > top)
		list->n = top;
	counters_forget(&counters);
	return code;
}

/**
 * conn_get() - ask the module
 * @all_netns: of all network namespaces, instead of our own
 * @filter: which ones
 * @list: empty; the answer, to be freed by conn_forget() either way; the oldest
 *   first if there is a top
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int conn_get(bool all_netns, const struct conn_filter *filter,
	     struct conn_list *list)
{
	return filter->stuck || filter->orphan ?
	       get_teardowns(all_netns, *filter, list) :
	       ask(all_netns, filter, list);
}

/**
 * conn_judge() - find out which have been in CLOSE_WAIT for too long
 * @all_netns: as they were asked for
 * @list: the connections
 *
 * For the text; by the thresholds of their network namespaces.
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int conn_judge(bool all_netns, struct conn_list *list)
{
	struct config_list config = { 0 };
	struct conn *conn;
	bool any = false;
	size_t i;
	int code;

	for (i = 0; i < list->n && !any; i++)
		any = list->items[i].state == TCPSTATE_STATE_CLOSE_WAIT;
	if (!any || out_is_json())
		return OUT_DONE;
	code = config_get(all_netns, &config);
	for (i = 0; !code && i < list->n; i++) {
		conn = &list->items[i];
		conn->late = conn->state == TCPSTATE_STATE_CLOSE_WAIT &&
			     conn->age_ms.known && conn->age_ms.value >=
			     config_leak_ms(&config, conn->netns_ino);
	}
	config_forget(&config);
	return code;
}

/**
 * conn_source_text() - the local end of a connection to print
 * @buf: at least ENDPOINT_MAX bytes
 * @conn: the connection
 *
 * Return: @buf, with the device where it is bound to one.
 */
const char *conn_source_text(char *buf, const struct conn *conn)
{
	const struct dest_key key = {
		.netns_ino = number_known(conn->netns_ino),
		.ifindex = { .value = conn->ifindex, .known = conn->ifindex },
		.saddr = conn->saddr,
	};
	char from[ENDPOINT_MAX];

	if (!conn->ifindex)
		return endpoint_text(buf, &conn->saddr,
				     number_known(conn->sport));
	snprintf(buf, ENDPOINT_MAX, conn->saddr.family == AF_INET6 ?
		 "[%.85s]:%u" : "%.85s:%u", dest_from_text(from, &key),
		 conn->sport);
	return buf;
}

/**
 * conn_target_text() - the remote end of a connection to print
 * @buf: at least ENDPOINT_MAX bytes
 * @conn: the connection
 *
 * Return: @buf, or NULL: a listener has none.
 */
const char *conn_target_text(char *buf, const struct conn *conn)
{
	if (conn->state == TCPSTATE_STATE_LISTEN)
		return NULL;
	return endpoint_text(buf, &conn->daddr, number_known(conn->dport));
}

#define NOTE_MAX 256

struct note {
	char text[NOTE_MAX];
	size_t len;
};

/* What does not fit is left out. */
static void note_text(struct note *note, const char *words)
{
	size_t len = strlen(words);

	if (len >= NOTE_MAX - note->len)
		len = NOTE_MAX - 1 - note->len;
	memcpy(note->text + note->len, words, len);
	note->len += len;
	note->text[note->len] = '\0';
}

static void note(struct note *note, const char *words)
{
	if (note->len)
		note_text(note, ", ");
	note_text(note, words);
}

/* The first two of them, where they are not the owner, or that is not known. */
static void note_holders(const struct conn *conn, struct note *text,
			 const struct holder *holders, size_t n)
{
	char who[2][PROCESS_TEXT_MAX] = { "" };
	const char *comm;
	size_t i;

	/* The pid of who has exited may be another's by now. */
	for (i = 0; i < n; i++)
		if (conn->owner.pid.known && !conn->owner.gone &&
		    conn->owner.pid.value == holders[i].pid)
			return;
	for (i = 0; i < n && i < 2; i++) {
		comm = holder_comm(holders[i].pid);
		snprintf(who[i], sizeof(who[i]), "%s[%u]", comm ? comm : "?",
			 holders[i].pid);
	}
	if (n > 2)
		snprintf(who[1], sizeof(who[1]), "%zu more", n - 1);
	note(text, conn->owner.present ? "now held by " : "held by ");
	note_text(text, who[0]);
	note_text(text, n > 1 ? " and " : "");
	note_text(text, who[1]);
}

/* Who has its file now. */
static void print_holders(const struct conn *conn, struct note *text)
{
	const struct holder *holders;
	size_t i, n = 0;

	holders = conn->inode ? holders_of(conn->inode, &n) : NULL;
	if (conn->inode && !n && !holders_complete()) {
		out_null("holders", NULL);
		return;
	}
	out_array_open("holders");
	for (i = 0; i < n; i++) {
		out_object_open(NULL);
		out_number("pid", NULL, number_known(holders[i].pid));
		out_string("comm", NULL, holder_comm(holders[i].pid));
		out_object_close();
	}
	out_array_close();
	if (out_is_json())
		return;
	if (n)
		note_holders(conn, text, holders, n);
	else if (!conn->mini && !conn->unaccepted &&
		 conn->state != TCPSTATE_STATE_SYN_RECV)
		note(text, "no process has it");
}

static void print_note(const struct conn *conn)
{
	char who[PROCESS_TEXT_MAX];
	struct note text;

	text.len = 0;
	*text.text = '\0';
	if (conn->unaccepted)
		note(&text, "never accepted");
	if (conn->owner.gone)
		note(&text, "exited");
	if (process_text(who, &conn->closer)) {
		note(&text, "closed by ");
		note_text(&text, who);
	}
	print_holders(conn, &text);
	if (conn->state == TCPSTATE_STATE_FIN_WAIT2 && conn->inode)
		note(&text, "half-closed");
	out_words("%s", text.text);
}

/**
 * conn_print_key() - print what makes a connection
 * @conn: the connection; its state and its two ends are cells
 */
void conn_print_key(const struct conn *conn)
{
	char buf[ENDPOINT_MAX];

	/* Of what is in the JSON only, much is not even looked up for the text:
	 * lists are long.
	 */
	if (!out_is_json()) {
		out_words("%s", state_name(conn->state));
		out_words("%s", conn_source_text(buf, conn));
		out_words("%s", conn_target_text(buf, conn));
		return;
	}
	out_string("netns", NULL, netns_name(conn->netns_ino));
	out_number("cookie", NULL, number_known(conn->cookie));
	out_string("state", NULL, state_name(conn->state));
	out_bool("mini", NULL, NULL, conn->mini);
	out_string("family", NULL, conn->family == AF_INET ? "ipv4" : "ipv6");
	out_string("saddr", NULL, address_text(buf, &conn->saddr));
	out_number("sport", NULL, number_known(conn->sport));
	out_string("daddr", NULL, address_text(buf, &conn->daddr));
	out_number("dport", NULL, number_known(conn->dport));
	out_number("ifindex", NULL, conn->ifindex ?
		   number_known(conn->ifindex) : number_unknown());
}

/**
 * conn_print_owner() - print whose a connection is
 * @conn: the connection; its owner is a cell
 */
void conn_print_owner(const struct conn *conn)
{
	char who[PROCESS_TEXT_MAX];

	process_owner_print("owner", &conn->owner);
	process_owner_print("closer", &conn->closer);
	out_bool("unaccepted", NULL, NULL, conn->unaccepted);
	out_bool("owner_hidden", NULL, NULL, conn->hidden);
	out_words("%s", process_text(who, &conn->owner));
}

/* As ss -e prints it. */
static const char *cookie_text(char *buf, uint64_t cookie)
{
	char *p = buf + OUT_NUMBER_MAX;

	*--p = '\0';
	do {
		*--p = "0123456789abcdef"[cookie % 16];
		cookie /= 16;
	} while (cookie);
	*--p = ':';
	*--p = 'k';
	*--p = 's';
	return p;
}

static void print_row(const struct conn *conn, bool all_netns)
{
	char buf[OUT_NUMBER_MAX];
	struct number cgroup = conn->owner.cgroup;

	out_row_open(true, conn->late ? OUT_WARN : OUT_PLAIN);
	conn_print_key(conn);
	out_age("age_ms", conn->at_least ? "> %s" : "%s", conn->age_ms);
	out_bool("age_at_least", NULL, NULL, conn->at_least);
	conn_print_owner(conn);
	out_age("timeout_ms", "%s", conn->timeout_ms);
	print_note(conn);
	out_number("inode", NULL, conn->inode ?
		   number_known(conn->inode) : number_unknown());
	if (!out_is_json()) {
		out_number(NULL, "%s", conn->owner.uid);
		out_string(NULL, "%s", cgroup.known ?
			   cgroup_path(cgroup.value) : NULL);
		out_words("%s", cookie_text(buf, conn->cookie));
	}
	if (all_netns)
		out_words("%s", netns_name(conn->netns_ino));
	out_row_close();
}

/**
 * conn_print() - print connections
 * @list: in this order
 * @all_netns: tell the network namespace of each
 */
void conn_print(const struct conn_list *list, bool all_netns)
{
	/* In the order in which they go below for want of room. */
	static const struct out_column columns[] = {
		{ .heading = "STATE", .left = true },
		{ .heading = "LOCAL", .left = true },
		{ .heading = "REMOTE", .left = true },
		{ .heading = "AGE" },
		{ .heading = "OWNER", .left = true },
		{ .heading = "LEFT" },
		{ .heading = "NOTE", .left = true },
		{ .heading = "UID" },
		{ .heading = "CGROUP", .left = true },
		{ .heading = "COOKIE", .left = true },
		{ .heading = "NETNS", .left = true },
	};
	size_t i;

	out_table_open(NULL, columns, ARRAY_SIZE(columns) - !all_netns, NULL);
	for (i = 0; i < list->n; i++)
		print_row(&list->items[i], all_netns);
	out_table_close();
}

/**
 * conn_print_one() - print a connection, in the JSON only
 * @key: JSON key
 * @conn: the connection; NULL: there is none
 */
void conn_print_one(const char *key, const struct conn *conn)
{
	if (!conn) {
		out_null(key, NULL);
		return;
	}
	out_mute(true);
	out_object_open(key);
	conn_print_key(conn);
	out_age("age_ms", NULL, conn->age_ms);
	out_bool("age_at_least", NULL, NULL, conn->at_least);
	conn_print_owner(conn);
	out_object_close();
	out_mute(false);
}

/**
 * uid_parse() - a user as it was typed
 * @word: name or number
 * @uid: set to the number
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int uid_parse(const char *word, uint64_t *uid)
{
	const struct passwd *user;

	if (word_number(word, 0, UINT32_MAX - 1, uid))
		return OUT_DONE;
	user = getpwnam(word);
	if (!user)
		return out_fail(OUT_USAGE,
				"no user '%s' here: 'uid' needs a name or a number",
				word);
	*uid = user->pw_uid;
	return OUT_DONE;
}

static int take_states(const char *value, uint32_t *states)
{
	char word[24];
	unsigned int state;
	size_t len;

	for (;; value += len + 1) {
		len = strcspn(value, ",");
		snprintf(word, sizeof(word), "%.*s", (int)len, value);
		state = len < sizeof(word) ? state_parse(word) : 0;
		if (!state)
			return state_unknown(word, CONN_STATES);
		if (!(STATE_BIT(state) & CONN_STATES))
			return out_fail(OUT_USAGE,
					"what is in %s is no connection yet and has no record: 'ss -tan' lists it",
					state_name(state));
		*states |= STATE_BIT(state);
		if (!value[len])
			return OUT_DONE;
	}
}

static int take_port(const char *name, const char *value, struct number *port)
{
	uint64_t number;

	if (!word_number(value, 1, 65535, &number))
		return out_fail(OUT_USAGE,
				"'%s' is no port: '%s' needs a number from 1 to 65535",
				value, name);
	*port = number_known(number);
	return OUT_DONE;
}

/* Behind "sk:" or "0x"; a decimal number without either. */
static bool parse_cookie(const char *word, uint64_t *cookie)
{
	if (!strncmp(word, "sk:", 3))
		return word_hex(word + 3, cookie) && *cookie;
	if (!strncmp(word, "0x", 2))
		return word_hex(word + 2, cookie) && *cookie;
	return word_number(word, 1, UINT64_MAX, cookie);
}

static int take_cookie(const char *value, struct number *cookie)
{
	uint64_t number;

	if (!parse_cookie(value, &number))
		return out_fail(OUT_USAGE,
				"'%s' is no cookie: 'cookie' needs one such as sk:1a, as 'ss -e' prints it, or a number",
				value);
	*cookie = number_known(number);
	return OUT_DONE;
}

/**
 * conn_take() - take a filter of CONN_FILTERS
 * @which: its index
 * @value: its argument
 * @filter: a struct conn_filter
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int conn_take(unsigned int which, const char *value, void *filter)
{
	struct conn_filter *wanted = filter;
	uint64_t number;
	int code;

	switch (which) {
	case CONN_BY_STATE:
		return take_states(value, &wanted->states);
	case CONN_BY_OLDER:
		if (!word_duration(value, &number))
			return out_fail(OUT_USAGE,
					"'%s' is no duration: 'older' needs one such as 500ms, 90s, 10m or 2h",
					value);
		wanted->older_ms = number_known(number);
		break;
	case CONN_BY_STUCK:
		wanted->stuck = true;
		break;
	case CONN_BY_ORPHAN:
		wanted->orphan = true;
		break;
	case CONN_BY_SPORT:
		return take_port("sport", value, &wanted->sport);
	case CONN_BY_DPORT:
		return take_port("dport", value, &wanted->dport);
	case CONN_BY_DST:
		wanted->by_daddr = prefix_parse(value, &wanted->daddr);
		if (!wanted->by_daddr)
			return out_fail(OUT_USAGE,
					"'%s' is no address: 'dst' needs one such as 10.0.0.1 or 2001:db8::/32",
					value);
		break;
	case CONN_BY_PID:
		if (!word_number(value, 1, INT32_MAX, &number))
			return out_fail(OUT_USAGE,
					"'%s' is no process: 'pid' needs a number from 1 on; 'comm' takes a name",
					value);
		wanted->pid = number_known(number);
		break;
	case CONN_BY_COMM:
		/* The kernel keeps no more of it. */
		if (!*value || strlen(value) > 15)
			return out_fail(OUT_USAGE,
					"'%s' will not do: a process's name has 1 to 15 characters",
					value);
		wanted->comm = value;
		break;
	case CONN_BY_UID:
		code = uid_parse(value, &number);
		if (code)
			return code;
		wanted->uid = number_known(number);
		break;
	case CONN_BY_CGROUP:
		if (!cgroup_parse(value, &number))
			return out_fail(OUT_USAGE,
					"no cgroup '%s': 'cgroup' needs a path such as /system.slice/nginx.service, or an id",
					value);
		wanted->cgroup = number_known(number);
		break;
	case CONN_BY_COOKIE:
		return take_cookie(value, &wanted->cookie);
	case CONN_BY_TOP:
		if (!word_number(value, 1, TCPSTATE_TOP_MAX, &wanted->top))
			return out_fail(OUT_USAGE,
					"'%s' will not do: 'top' needs a number from 1 to %u",
					value, TCPSTATE_TOP_MAX);
		break;
	}
	return OUT_DONE;
}

static void print_hidden(size_t n)
{
	if (n)
		out_text("\nThe owners of %zu are not for you to see: run it as root.\n",
			 n);
}

static int run(const struct request *request)
{
	struct conn_filter filter = { 0 };
	struct filter_reader reader = { .take = conn_take, .arg = &filter };
	struct conn_list list = { 0 };
	int code;

	code = command_filters(&conn_command, request, &reader);
	if (code)
		return code;
	code = module_open() ?: conn_get(request->all_netns, &filter, &list) ?:
	       conn_judge(request->all_netns, &list);
	module_close();
	if (!code) {
		if (!list.n)
			out_text("%s\n", request->argc ? "no such connection" :
							 "no connections");
		out_mute(!list.n);
		conn_print(&list, request->all_netns);
		print_hidden(conn_hidden(&list));
		out_mute(false);
	}
	conn_forget(&list);
	return code;
}

const struct command conn_command = {
	.name = "conn",
	.summary = "connections: their state, for how long, and whose they are",
	.notes = "Whose a connection is: who opened or accepted it. Who holds it now, where that\n"
		 "is another, is in its NOTE.",
	.filters = (const struct filter[]){ CONN_FILTERS, { 0 } },
	.run = run,
};
