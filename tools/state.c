// SPDX-License-Identifier: GPL-2.0
/* state: how many in each state, how many ever, and for how long. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "command.h"
#include "config.h"
#include "conn.h"
#include "netns.h"
#include "nl.h"
#include "orphans.h"
#include "state.h"

/* More buckets than a u64 of milliseconds has bits mean nothing. */
#define BUCKETS_MAX 64

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/*
 * The bucket holds what stayed from 2^(n-1) to 2^n ms, so the quantile is at
 * most its end, and never above the longest stay seen; the last bucket has no
 * other end.
 */
static struct number quantile(const uint64_t *buckets, unsigned int n,
			      uint64_t total, unsigned int percent,
			      struct number max)
{
	unsigned int above = 100 - percent, i;
	uint64_t rank, sum = 0, end;

	/* total * percent / 100, rounded up, and safe for any total */
	rank = total - (total / 100 * above + total % 100 * above / 100);
	for (i = 0; i < n - 1; i++) {
		sum = add_saturated(sum, buckets[i]);
		if (sum >= rank)
			break;
	}
	if (i == n - 1 || __builtin_mul_overflow(1ULL << i, 1000, &end))
		return max;
	if (max.known && max.value < end)
		return max;
	return number_known(end);
}

static int read_stay(struct stay *stay, const struct nlattr *dwell,
		     const struct nlattr *max)
{
	unsigned int i, n = nla_len(dwell) / sizeof(uint64_t);
	uint64_t buckets[BUCKETS_MAX], total = 0;

	if (!n || n > BUCKETS_MAX || nla_len(dwell) % sizeof(uint64_t))
		return -1;
	memcpy(buckets, nla_data(dwell), n * sizeof(uint64_t));
	for (i = 0; i < n; i++)
		total = add_saturated(total, buckets[i]);
	if (!total)
		return 0;
	stay->max = attr_number(max);
	stay->p50 = quantile(buckets, n, total, 50, stay->max);
	stay->p90 = quantile(buckets, n, total, 90, stay->max);
	stay->p99 = quantile(buckets, n, total, 99, stay->max);
	return 0;
}

static int read_row(struct counters *counters, struct nlattr *nest)
{
	static struct nla_policy policy[TCPSTATE_A_STATE_ENTRY_MAX + 1] = {
		[TCPSTATE_A_STATE_ENTRY_STATE] = { .type = NLA_U32 },
		[TCPSTATE_A_STATE_ENTRY_SOCKETS] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_IPV4] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_IPV6] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_MINI] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_ENTERED] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_OLDEST_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_OLDEST_AT_LEAST] = { .type = NLA_FLAG },
		[TCPSTATE_A_STATE_ENTRY_DWELL] = { .type = NLA_UNSPEC },
		[TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_STUCK_AFTER_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_STATE_ENTRY_STUCK_ORPHAN_AFTER_MS] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_STATE_ENTRY_MAX + 1];
	struct state_row *row;
	unsigned int state;

	if (nla_parse_nested(tb, TCPSTATE_A_STATE_ENTRY_MAX, nest, policy) ||
	    !tb[TCPSTATE_A_STATE_ENTRY_STATE])
		return -1;
	state = nla_get_u32(tb[TCPSTATE_A_STATE_ENTRY_STATE]);
	if (!state || state > STATE_MAX)
		return -1;
	row = &counters->rows[state];
	row->present = true;
	row->sockets = attr_number(tb[TCPSTATE_A_STATE_ENTRY_SOCKETS]);
	row->ipv4 = attr_number(tb[TCPSTATE_A_STATE_ENTRY_IPV4]);
	row->ipv6 = attr_number(tb[TCPSTATE_A_STATE_ENTRY_IPV6]);
	row->mini = attr_number(tb[TCPSTATE_A_STATE_ENTRY_MINI]);
	row->entered = attr_number(tb[TCPSTATE_A_STATE_ENTRY_ENTERED]);
	row->oldest_ms = attr_number(tb[TCPSTATE_A_STATE_ENTRY_OLDEST_MS]);
	row->oldest_at_least = tb[TCPSTATE_A_STATE_ENTRY_OLDEST_AT_LEAST];
	row->stuck_after_ms =
		attr_number(tb[TCPSTATE_A_STATE_ENTRY_STUCK_AFTER_MS]);
	row->stuck_orphan_after_ms =
		attr_number(tb[TCPSTATE_A_STATE_ENTRY_STUCK_ORPHAN_AFTER_MS]);
	if (!tb[TCPSTATE_A_STATE_ENTRY_DWELL])
		return 0;
	return read_stay(&row->stay, tb[TCPSTATE_A_STATE_ENTRY_DWELL],
			 tb[TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US]);
}

static int read_transition(struct counters *counters, struct nlattr *nest)
{
	static struct nla_policy policy[TCPSTATE_A_TRANSITION_ENTRY_MAX + 1] = {
		[TCPSTATE_A_TRANSITION_ENTRY_FROM] = { .type = NLA_U32 },
		[TCPSTATE_A_TRANSITION_ENTRY_TO] = { .type = NLA_U32 },
		[TCPSTATE_A_TRANSITION_ENTRY_COUNT] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_TRANSITION_ENTRY_MAX + 1];
	struct transition *transition;
	unsigned int from, to;

	if (nla_parse_nested(tb, TCPSTATE_A_TRANSITION_ENTRY_MAX, nest,
			     policy) ||
	    !tb[TCPSTATE_A_TRANSITION_ENTRY_FROM] ||
	    !tb[TCPSTATE_A_TRANSITION_ENTRY_TO])
		return -1;
	from = nla_get_u32(tb[TCPSTATE_A_TRANSITION_ENTRY_FROM]);
	to = nla_get_u32(tb[TCPSTATE_A_TRANSITION_ENTRY_TO]);
	if (!from || from > STATE_MAX || !to || to > STATE_MAX)
		return -1;
	transition = &counters->transitions[counters->n_transitions++];
	transition->from = from;
	transition->to = to;
	transition->count = attr_number(tb[TCPSTATE_A_TRANSITION_ENTRY_COUNT]);
	return 0;
}

static int read_time_wait(struct counters *counters, struct nlattr *nest)
{
	static struct nla_policy policy[TCPSTATE_A_TIME_WAIT_ENTRY_MAX + 1] = {
		[TCPSTATE_A_TIME_WAIT_ENTRY_LIMIT] = { .type = NLA_U64 },
		[TCPSTATE_A_TIME_WAIT_ENTRY_OVERFLOW] = { .type = NLA_U64 },
		[TCPSTATE_A_TIME_WAIT_ENTRY_EXPIRED] = { .type = NLA_U64 },
		[TCPSTATE_A_TIME_WAIT_ENTRY_RECYCLED] = { .type = NLA_U64 },
		[TCPSTATE_A_TIME_WAIT_ENTRY_KILLED] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_TIME_WAIT_ENTRY_MAX + 1];

	if (nla_parse_nested(tb, TCPSTATE_A_TIME_WAIT_ENTRY_MAX, nest, policy))
		return -1;
	counters->limit = attr_number(tb[TCPSTATE_A_TIME_WAIT_ENTRY_LIMIT]);
	counters->overflow = attr_number(tb[TCPSTATE_A_TIME_WAIT_ENTRY_OVERFLOW]);
	counters->expired = attr_number(tb[TCPSTATE_A_TIME_WAIT_ENTRY_EXPIRED]);
	counters->recycled = attr_number(tb[TCPSTATE_A_TIME_WAIT_ENTRY_RECYCLED]);
	counters->killed = attr_number(tb[TCPSTATE_A_TIME_WAIT_ENTRY_KILLED]);
	return 0;
}

static int read_nests(struct counters *counters, struct nlattr *attrs, int len)
{
	size_t n = counters->n_transitions;
	struct nlattr *attr;
	void *transitions;
	int rem, err;

	nla_for_each_attr(attr, attrs, len, rem)
		if (nla_type(attr) == TCPSTATE_A_COUNTERS_TRANSITION)
			n++;
	if (n) {
		transitions = realloc(counters->transitions,
				      n * sizeof(struct transition));
		if (!transitions)
			return -ENOMEM;
		counters->transitions = transitions;
	}
	nla_for_each_attr(attr, attrs, len, rem) {
		switch (nla_type(attr)) {
		case TCPSTATE_A_COUNTERS_STATE:
			err = read_row(counters, attr);
			break;
		case TCPSTATE_A_COUNTERS_TRANSITION:
			err = read_transition(counters, attr);
			break;
		case TCPSTATE_A_COUNTERS_TIME_WAIT:
			err = read_time_wait(counters, attr);
			break;
		default:
			err = 0;
		}
		if (err)
			return err;
	}
	return 0;
}

/* A dump may take several messages for one namespace, one after another. */
static struct counters *counters_of(struct counters_list *list,
				    struct number netns_ino)
{
	struct counters *counters;

	if (list->n && list->items[list->n - 1].netns_ino.value ==
		       netns_ino.value)
		return &list->items[list->n - 1];
	counters = realloc(list->items, (list->n + 1) * sizeof(*counters));
	if (!counters)
		return NULL;
	list->items = counters;
	counters += list->n++;
	memset(counters, 0, sizeof(*counters));
	counters->netns_ino = netns_ino;
	counters->leak_ms = LEAK_MS;
	return counters;
}

static void take(struct number *number, const struct nlattr *attr)
{
	if (attr)
		*number = attr_number(attr);
}

/**
 * counters_read() - read one message into a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct counters_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int counters_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_COUNTERS_MAX + 1] = {
		[TCPSTATE_A_COUNTERS_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_AGE_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_UNTRACKED] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_INEXACT] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_FOUND_LATE] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_CONNECTIONS] = { .type = NLA_U64 },
		[TCPSTATE_A_COUNTERS_CONNECTIONS_MAX] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_COUNTERS_MAX + 1];
	struct counters *counters;

	if (nla_parse(tb, TCPSTATE_A_COUNTERS_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_COUNTERS_NETNS_INO])
		return -1;
	counters = counters_of(list,
			       attr_number(tb[TCPSTATE_A_COUNTERS_NETNS_INO]));
	if (!counters)
		return -ENOMEM;
	take(&counters->age_ms, tb[TCPSTATE_A_COUNTERS_AGE_MS]);
	take(&counters->untracked, tb[TCPSTATE_A_COUNTERS_UNTRACKED]);
	take(&counters->inexact, tb[TCPSTATE_A_COUNTERS_INEXACT]);
	take(&counters->found_late, tb[TCPSTATE_A_COUNTERS_FOUND_LATE]);
	take(&counters->connections, tb[TCPSTATE_A_COUNTERS_CONNECTIONS]);
	take(&counters->connections_max,
	     tb[TCPSTATE_A_COUNTERS_CONNECTIONS_MAX]);
	return read_nests(counters, attrs, len);
}

/* Every state, of at least one namespace? */
static bool is_complete(const struct counters_list *list)
{
	unsigned int state;
	size_t i;

	for (i = 0; i < list->n; i++)
		for (state = 1; state <= STATE_MAX; state++)
			if (!list->items[i].rows[state].present)
				return false;
	return list->n;
}

/**
 * counters_forget() - empty a list
 * @list: a struct counters_list
 */
void counters_forget(void *list)
{
	struct counters_list *all = list;

	while (all->n)
		free(all->items[--all->n].transitions);
	free(all->items);
	all->items = NULL;
}

/**
 * counters_get() - ask the module, which has been opened
 * @all_netns: of all network namespaces, instead of our own
 * @list: empty; the answer, to be freed by counters_forget() either way
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int counters_get(bool all_netns, struct counters_list *list)
{
	struct module_reader reader = {
		.message = counters_read,
		.restart = counters_forget,
		.arg = list,
	};
	int code;

	code = module_ask(module_request(TCPSTATE_CMD_STATE_GET, all_netns),
			  &reader);
	if (!code && !is_complete(list))
		code = module_mismatch();
	return code;
}

/**
 * counters_judge() - ask for the thresholds that the text goes by
 * @all_netns: as the counters were asked for
 * @list: the counters
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int counters_judge(bool all_netns, struct counters_list *list)
{
	struct config_list config = { 0 };
	bool any = false;
	size_t i;
	int code;

	for (i = 0; i < list->n; i++)
		any |= list->items[i].rows[TCPSTATE_STATE_CLOSE_WAIT].oldest_ms.known;
	if (!any || out_is_json())
		return OUT_DONE;
	code = config_get(all_netns, &config);
	for (i = 0; !code && i < list->n; i++)
		list->items[i].leak_ms =
			config_leak_ms(&config, list->items[i].netns_ino.value);
	config_forget(&config);
	return code;
}

/* Text */

static void print_row(const struct counters *counters, unsigned int state,
		      bool brief)
{
	const struct state_row *row = &counters->rows[state];
	const char *stay = brief ? NULL : "%s";

	out_row_open(true, row->sockets.known && !row->sockets.value ?
		     OUT_FAINT : OUT_PLAIN);
	out_string("state", "%s", state_name(state));
	out_count("sockets", "%s", row->sockets);
	out_count("ipv4", "%s", row->ipv4);
	out_count("ipv6", "%s", row->ipv6);
	out_count("mini", "%s", row->mini);
	out_count("entered", "%s", row->entered);
	out_age("oldest_ms", row->oldest_at_least ? "> %s" : "%s",
		row->oldest_ms);
	if (row->oldest_ms.known)
		out_bool("oldest_at_least", NULL, NULL, row->oldest_at_least);
	else
		out_null("oldest_at_least", NULL);
	out_age("stuck_after_ms", NULL, row->stuck_after_ms);
	out_age("stuck_orphan_after_ms", NULL, row->stuck_orphan_after_ms);
	out_object_open("dwell_ms");
	out_stay("p50", stay, row->stay.p50);
	out_stay("p90", stay, row->stay.p90);
	out_stay("p99", stay, row->stay.p99);
	out_stay("max", stay, row->stay.max);
	out_object_close();
	out_row_close();
}

static void print_states(const struct counters *counters, unsigned int only,
			 bool brief)
{
	static const struct out_column columns[] = {
		{ .heading = "STATE", .left = true },
		{ .heading = "SOCKETS" },
		{ .heading = "IPV4" },
		{ .heading = "IPV6" },
		{ .heading = "MINI" },
		{ .heading = "ENTERED" },
		{ .heading = "OLDEST" },
		{ .heading = "P50", .block = 1 },
		{ .heading = "P90", .block = 1 },
		{ .heading = "P99", .block = 1 },
		{ .heading = "MAX", .block = 1 },
	};
	static const char *const titles[OUT_BLOCKS] = {
		[1] = "Time spent in a state by those that left it, at most:",
	};
	unsigned int state;

	out_table_open("states", columns, brief ? 7 : 11, titles);
	for (state = 1; state <= STATE_MAX; state++)
		if (!only || state == only)
			print_row(counters, state, brief);
	out_table_close();
}

static bool is_shown(const struct transition *transition, unsigned int only)
{
	return !only || transition->from == only || transition->to == only;
}

static void print_transitions(const struct counters *counters,
			      unsigned int only, bool brief)
{
	static const struct out_column columns[] = {
		{ .heading = "FROM", .left = true },
		{ .heading = "TO", .left = true },
		{ .heading = "COUNT" },
	};
	const struct transition *transition;
	bool any = false;
	size_t i;

	for (i = 0; i < counters->n_transitions; i++)
		any |= is_shown(&counters->transitions[i], only) &&
		       number_positive(counters->transitions[i].count);
	out_mute(brief || !any);
	out_text("\nTransitions (from CLOSE: created; to CLOSE: ended):\n");
	out_table_open("transitions", columns, 3, NULL);
	for (i = 0; i < counters->n_transitions; i++) {
		transition = &counters->transitions[i];
		if (!is_shown(transition, only))
			continue;
		out_row_open(number_positive(transition->count), OUT_PLAIN);
		out_string("from", "%s", state_name(transition->from));
		out_string("to", "%s", state_name(transition->to));
		out_count("count", "%s", transition->count);
		out_row_close();
	}
	out_table_close();
	out_mute(false);
}

/**
 * counters_minis() - how many mini-sockets there are
 * @counters: of this network namespace
 *
 * Return: those in either of their two states, as the limit counts them.
 */
uint64_t counters_minis(const struct counters *counters)
{
	return add_saturated(counters->rows[TCPSTATE_STATE_TIME_WAIT].mini.value,
			     counters->rows[TCPSTATE_STATE_FIN_WAIT2].mini.value);
}

static void print_limit(const struct counters *counters)
{
	const struct state_row *rows = counters->rows;
	struct number tw = rows[TCPSTATE_STATE_TIME_WAIT].mini;
	struct number fw2 = rows[TCPSTATE_STATE_FIN_WAIT2].mini;
	uint64_t minis = counters_minis(counters);
	uint64_t limit = counters->limit.value;
	char buf[OUT_NUMBER_MAX], share[OUT_NUMBER_MAX];

	out_text("mini-sockets    ");
	if (tw.known && fw2.known)
		out_text("%s of ", out_grouped(buf, minis));
	out_count("limit", "at most %s", counters->limit);
	if (tw.known && fw2.known && limit)
		out_text(" (%s)", out_share(share, minis, limit));
	out_text("\n");
}

static void print_time_wait(const struct counters *counters, unsigned int only)
{
	out_mute((only && only != TCPSTATE_STATE_TIME_WAIT) ||
		 (!counters->limit.known && !counters->expired.known));
	out_object_open("time_wait");
	print_limit(counters);
	out_text("TIME_WAIT ends  ");
	out_count("expired", "%s expired", counters->expired);
	out_count("recycled", ", %s recycled by connect()", counters->recycled);
	out_count("killed", ", %s killed early\n", counters->killed);
	out_remark("overflow", OUT_WARN,
		   "no TIME_WAIT    %s closed without one: at the limit, or no memory\n",
		   counters->overflow);
	out_object_close();
	out_mute(false);
}

/*
 * How long the oldest of a state may be there, and of what that is the limit; NULL
 * where it is no longer than that. Whether a process still holds it is not known:
 * of what has been in the teardown for so long mostly none does, and the limit of
 * an orphan is mostly the lesser.
 */
static const char *stuck_limit(const struct state_row *row, unsigned int state,
			       uint64_t *limit)
{
	struct number held = row->stuck_after_ms;
	struct number orphan = row->stuck_orphan_after_ms;
	uint64_t age = row->oldest_ms.value;

	if (!held.known || !row->oldest_ms.known)
		return NULL;
	*limit = held.value;
	if (state == TCPSTATE_STATE_FIN_WAIT2)
		return age > *limit ?
		       "the limit but for what a process holds half-closed" :
		       NULL;
	if (!orphan.known)
		orphan = held;
	if (age > held.value && age > orphan.value) {
		*limit = held.value > orphan.value ? held.value : orphan.value;
		return "the limit";
	}
	if (age > held.value)
		return "the limit but for an orphan";
	*limit = orphan.value;
	return age > *limit ? "an orphan's limit" : NULL;
}

/* What is longer in a state than the limits on its retransmissions explain. */
static void print_stuck(const struct counters *counters, unsigned int only)
{
	char age[OUT_NUMBER_MAX], buf[OUT_NUMBER_MAX];
	const struct state_row *row;
	unsigned int state, n = 0;
	const char *of;
	uint64_t limit;

	for (state = 1; state <= STATE_MAX; state++) {
		row = &counters->rows[state];
		of = only && state != only ? NULL :
		     stuck_limit(row, state, &limit);
		if (!of)
			continue;
		out_style(OUT_WARN);
		out_text("%-16s%s: oldest %s%s, when %s is %s\n",
			 n++ ? "" : "stuck", state_name(state),
			 row->oldest_at_least ? "> " : "",
			 out_ms(age, row->oldest_ms.value),
			 out_ms(buf, limit), of);
		out_style(OUT_PLAIN);
	}
	if (n)
		out_text("%-16s'tcpstate-cli conn stuck' lists those that are\n",
			 "");
}

/* Whose the oldest is, and where it comes from. */
static void print_close_wait_owner(const struct conn *conn)
{
	char who[PROCESS_TEXT_MAX], peer[ENDPOINT_MAX];

	out_text("%-16s", "");
	if (process_text(who, &conn->owner))
		out_words("%s, ", who);
	else
		out_text("%s, ", conn->hidden ? "somebody else's" :
						"nobody known");
	out_text("port %u, peer ", conn->sport);
	out_words("%s", conn_target_text(peer, conn));
	out_text("%s\n", conn->unaccepted ? ", never accepted" : "");
}

/* An application that has not closed what its peer has closed long ago. */
static void print_close_wait(const struct counters *counters)
{
	const struct state_row *row = &counters->rows[TCPSTATE_STATE_CLOSE_WAIT];
	const struct conn *oldest = counters->oldest_close_wait;
	char count[OUT_NUMBER_MAX], age[OUT_NUMBER_MAX];
	bool late = row->oldest_ms.known &&
		    row->oldest_ms.value >= counters->leak_ms;

	if (!number_positive(row->sockets) || !row->oldest_ms.known ||
	    (!late && !oldest))
		return;
	out_style(late ? OUT_WARN : OUT_PLAIN);
	out_text("CLOSE_WAIT      %s, oldest %s%s",
		 out_grouped(count, row->sockets.value),
		 row->oldest_at_least ? "> " : "",
		 out_ms(age, row->oldest_ms.value));
	if (late)
		out_text(": the application has not closed %s",
			 row->sockets.value == 1 ? "it" : "them");
	out_text("\n");
	if (oldest)
		print_close_wait_owner(oldest);
	out_style(OUT_PLAIN);
}

static void print_exactness(const struct counters *counters)
{
	struct number inexact = counters->inexact;

	out_text("counters        ");
	if (!inexact.known) {
		out_text("-\n");
	} else {
		out_style(inexact.value ? OUT_BAD : OUT_GOOD);
		out_text("%s", inexact.value ? "NOT exact" : "exact");
		out_style(OUT_PLAIN);
		out_text("\n");
	}
	out_remark("inexact", OUT_BAD,
		   "WARNING: connections missing here: up to %s; 'tcpstate-cli audit' finds them\n",
		   inexact);
	out_remark("untracked", OUT_WARN,
		   "WARNING: no record for a connection since load: %s x (no memory, or at cap)\n",
		   counters->untracked);
	out_remark("found_late", OUT_WARN,
		   "WARNING: connections whose record came late: %s; please report this\n",
		   counters->found_late);
}

/**
 * counters_print() - print the counters of one network namespace
 * @counters: what to print
 * @key: the JSON key of the object, or NULL
 * @only: the one state asked for, or 0
 * @brief: leave out of the text what does not belong on the first screen
 */
void counters_print(const struct counters *counters, const char *key,
		    unsigned int only, bool brief)
{
	out_object_open(key);
	out_style(OUT_STRONG);
	out_string("netns", "%s", netns_name(counters->netns_ino.value));
	out_style(OUT_PLAIN);
	out_count("netns_inode", NULL, counters->netns_ino);
	out_count("connections", !counters->connections.known ? NULL :
		  counters->connections.value == 1 ? ": %s connection" :
						     ": %s connections",
		  counters->connections);
	out_count("connections_max", counters->connections_max.known ?
		  " (cap %s)" : NULL, counters->connections_max);
	out_age("age_ms", counters->age_ms.known ? ", followed for %s" : NULL,
		counters->age_ms);
	out_text("\n\n");
	print_states(counters, only, brief);
	print_transitions(counters, only, brief);
	out_text("\n");
	print_time_wait(counters, only);
	if (!only || only == TCPSTATE_STATE_CLOSE_WAIT)
		print_close_wait(counters);
	print_stuck(counters, only);
	if (!only)
		orphans_print();
	print_exactness(counters);
	out_object_close();
}

static int run(const struct request *request)
{
	struct counters_list list = { 0 };
	unsigned int only = 0;
	size_t i;
	int code;

	if (request->argc) {
		only = state_parse(request->argv[0]);
		if (!only)
			return state_unknown(request->argv[0], STATES);
	}
	if (request->argc > 1)
		return command_unknown_filter(&state_command, request->argv[1]);
	code = module_open() ?: counters_get(request->all_netns, &list) ?:
	       counters_judge(request->all_netns, &list);
	module_close();
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < list.n; i++) {
			if (i)
				out_text("\n");
			counters_print(&list.items[i], NULL, only, false);
		}
		if (request->all_netns)
			out_array_close();
	}
	counters_forget(&list);
	return code;
}

const struct command state_command = {
	.name = "state",
	.summary = "per state: sockets now, entered since load, time spent",
	.filters = (const struct filter[]){
		{ .argument = "STATE", .help = "only this one, as TIME_WAIT or time-wait" },
		{ 0 }
	},
	.machine_wide = true,
	.run = run,
};
