// SPDX-License-Identifier: GPL-2.0
/* check: what a Monitoring Plugin looks at; verdict.c has what it says of it. */
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "alert.h"
#include "command.h"
#include "config.h"
#include "conn.h"
#include "dest.h"
#include "nl.h"
#include "orphans.h"
#include "port.h"
#include "state.h"
#include "verdict.h"
#include "words.h"

/* Of tcp_max_orphans, when nobody says otherwise. */
#define ORPHANS_WARNING 80
#define ORPHANS_CRITICAL 95

/* As in the table of options below. */
enum { PORT_ROOM, DEST, ORPHANS, TIME_WAIT, CLOSE_WAIT_AGE, CLOSE_WAIT };

/* Thresholds from the command line, or the namespaces' own. */
struct wish {
	bool given;
	struct thresholds at;
	enum config_key key;		/* of the warning; the critical follows */
};

/* What is asked for once, for all that look at it. */
static struct {
	bool all_netns;
	struct config_list config;
	struct counters_list counters;
} asked;

/* A namespace that has come since they were asked for has those of the first. */
static struct thresholds limits(const struct wish *wish,
				struct number netns_ino)
{
	const struct config *config = asked.config.items;
	size_t i;

	if (wish->given || !config)
		return wish->at;
	for (i = 0; i < asked.config.n; i++)
		if (asked.config.items[i].netns_ino.value == netns_ino.value)
			config = &asked.config.items[i];
	return (struct thresholds){
		.warning = config->values[wish->key].value,
		.critical = config->values[wish->key + 1].value,
	};
}

static struct number tenths_of(uint64_t part, uint64_t whole)
{
	unsigned __int128 thousand = (unsigned __int128)part * 1000;

	return number_known(whole ? thousand / whole : 1000);
}

/* The one of this event that has been refused most. */
static const struct alert *worst_refusal(const struct alert_list *list,
					 uint64_t event,
					 const struct dest_filter *filter)
{
	const struct alert *alert, *worst = NULL;
	size_t i;

	for (i = 0; i < list->n; i++) {
		alert = &list->items[i];
		if (alert->event.value == event &&
		    dest_wanted(filter, &alert->key) &&
		    (!worst || alert->total.value > worst->total.value))
			worst = alert;
	}
	return worst;
}

static void find_refusal(const struct alert *alert, const char *call)
{
	char key[DEST_KEY_TEXT_MAX], who[PROCESS_TEXT_MAX], n[OUT_NUMBER_MAX];
	bool dest = alert->key.daddr.family;
	const char *text = process_or_hidden(process_deed_text(who, &alert->process),
					     alert->process.hidden);

	verdict_find(CRITICAL, alert->key.netns_ino, "%s%s%s refused %s x%s%s",
		     dest ? dest_key_text(key, &alert->key) : "",
		     dest ? ": " : "", call,
		     out_grouped(n, alert->total.value), text ? ", last " : "",
		     text ? text : "");
}

/* A call that is being refused is worse than any percentage. */
static int check_refusals(const struct dest_filter *filter, bool binds)
{
	struct alert_list list = { 0 };
	const struct alert *worst;
	int code;

	code = alert_get(asked.all_netns, &list);
	if (!code) {
		worst = worst_refusal(&list, TCPSTATE_EVENT_PORT_EXHAUSTED,
				      filter);
		if (worst)
			find_refusal(worst, "connect()");
		worst = worst_refusal(&list, TCPSTATE_EVENT_BIND_EXHAUSTED,
				      filter);
		if (worst && binds)
			find_refusal(worst, "bind()");
	}
	alert_forget(&list);
	return code;
}

/* That none was refused is not known where the module could not attach to it. */
static void check_binds(const struct port_summary_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (list->items[i].bind_failures.known)
			continue;
		verdict_find(UNKNOWN, number_unknown(),
			     "bind() calls that are refused are not seen (the kernel's log says why)");
		return;
	}
}

/* What is attached to no destination takes ports that none of them counts. */
static int check_destinations(bool all, bool binds)
{
	struct port_summary_list list = { 0 };
	const struct port_summary *sum;
	uint64_t failures = 0;
	char count[OUT_NUMBER_MAX];
	size_t i;
	int code;

	code = port_summary_get(asked.all_netns, false, &list);
	for (i = 0; !code && i < list.n; i++) {
		sum = &list.items[i];
		failures += sum->failures.value;
		if (!number_positive(sum->without_destination))
			continue;
		verdict_find(UNKNOWN, sum->netns_ino,
			     "%s connections are to destinations for which there was no room",
			     out_grouped(count, sum->without_destination.value));
		break;
	}
	if (!code && all)
		verdict_total("refused", failures);
	if (!code && binds)
		check_binds(&list);
	port_summary_forget(&list);
	return code;
}

static enum status judge_room(const struct dest *dest, const struct wish *wish)
{
	struct thresholds at = limits(wish, dest->key.netns_ino);

	return dest_room_known(dest) ?
	       verdict_judge_share(dest_taken(dest), dest->capacity.value, &at) :
	       UNKNOWN;
}

/* The fullest of those that are worst. */
static const struct dest *worst_dest(const struct dest_list *list,
				     const struct wish *wish)
{
	const struct dest *worst = NULL;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!worst || verdict_worse(judge_room(&list->items[i], wish),
					    judge_room(worst, wish)))
			worst = &list->items[i];
	return worst;
}

static void find_room(const struct dest *dest, const struct wish *wish)
{
	char key[DEST_KEY_TEXT_MAX], taken[OUT_NUMBER_MAX], of[OUT_NUMBER_MAX];
	char share[OUT_NUMBER_MAX], eta[OUT_NUMBER_MAX];
	struct thresholds at = limits(wish, dest->key.netns_ino);

	if (!dest_room_known(dest)) {
		verdict_find(UNKNOWN, dest->key.netns_ino,
			     "how many ports are taken is not known");
		return;
	}
	verdict_find(judge_room(dest, wish), dest->key.netns_ino,
		     "%s: %s of %s ports taken (%s)%s%s",
		     dest_key_text(key, &dest->key),
		     out_grouped(taken, dest_taken(dest)),
		     out_grouped(of, dest->capacity.value),
		     out_share(share, dest_taken(dest), dest->capacity.value),
		     number_positive(dest->eta_ms) ? ", full in " : "",
		     number_positive(dest->eta_ms) ?
		     out_ms(eta, dest->eta_ms.value) : "");
	verdict_share("port_room", dest_full_tenths(dest), &at);
	verdict_count("used", dest->used, dest->capacity);
	verdict_count("reusable", dest->reusable, dest->used);
}

static int check_port_room(const struct wish *wish, struct dest_filter *filter,
			   bool binds)
{
	struct thresholds at = limits(wish, number_unknown());
	struct dest_list list = { 0 };
	const struct dest *worst;
	uint64_t failures = 0;
	size_t i;
	int code;

	/* Of one destination there are few, and with thresholds of each
	 * namespace the fullest of all need not be the worst.
	 */
	filter->top = filter->by_daddr ||
		      (asked.all_netns && !wish->given) ? 0 : 1;
	code = dest_get(asked.all_netns, filter, &list);
	worst = worst_dest(&list, wish);
	if (!code && worst) {
		find_room(worst, wish);
	} else if (!code) {
		verdict_find(OK, number_unknown(), filter->by_daddr ?
			     "no connection to it" : "no destinations");
		verdict_share("port_room", number_known(0), &at);
	}
	for (i = 0; i < list.n; i++)
		failures += list.items[i].failures.value;
	if (!code && filter->by_daddr)
		verdict_total("refused", failures);
	dest_forget(&list);
	return code ?: check_refusals(filter, binds) ?:
	       check_destinations(!filter->by_daddr, binds);
}

static enum status judge_minis(const struct counters *counters,
			       const struct wish *wish)
{
	struct thresholds at = limits(wish, counters->netns_ino);

	return verdict_judge_share(counters_minis(counters),
				   counters->limit.value, &at);
}

/* Is it worse, or if it is as bad, nearer to its limit? */
static bool is_nearer(const struct counters *counters,
		      const struct counters *other, const struct wish *wish)
{
	enum status status = judge_minis(counters, wish);
	enum status than = judge_minis(other, wish);

	if (status != than)
		return verdict_worse(status, than);
	return (long double)counters_minis(counters) * other->limit.value >
	       (long double)counters_minis(other) * counters->limit.value;
}

static void find_minis(const struct counters *counters, const struct wish *wish)
{
	struct thresholds at = limits(wish, counters->netns_ino);
	uint64_t minis = counters_minis(counters);
	uint64_t limit = counters->limit.value;
	char count[OUT_NUMBER_MAX], max[OUT_NUMBER_MAX], share[OUT_NUMBER_MAX];

	verdict_find(judge_minis(counters, wish), counters->netns_ino,
		     "%s of at most %s mini-sockets (%s)",
		     out_grouped(count, minis), out_grouped(max, limit),
		     out_share(share, minis, limit));
	verdict_share("time_wait_limit", tenths_of(minis, limit), &at);
	verdict_count("mini_sockets", number_known(minis), counters->limit);
}

static void check_time_wait(const struct wish *wish)
{
	const struct counters *worst = NULL, *counters;
	bool none_allowed = false;
	size_t i;

	for (i = 0; i < asked.counters.n; i++) {
		counters = &asked.counters.items[i];
		/* Where there may be none, none is too many. */
		none_allowed |= counters->limit.known && !counters->limit.value;
		if (number_positive(counters->limit) &&
		    (!worst || is_nearer(counters, worst, wish)))
			worst = counters;
	}
	if (worst)
		find_minis(worst, wish);
	else if (none_allowed)
		verdict_find(OK, number_unknown(),
			     "no mini-sockets, as net.ipv4.tcp_max_tw_buckets is 0");
	else
		verdict_find(UNKNOWN, number_unknown(),
			     "the limit on mini-sockets is not known");
}

/* Whose the oldest is, as far as we may know, and where it comes from. */
static int name_close_wait(struct number netns_ino, struct number age_ms,
			   char *buf, size_t size)
{
	const struct conn_filter filter = {
		.states = STATE_BIT(TCPSTATE_STATE_CLOSE_WAIT),
		.older_ms = asked.all_netns ? age_ms : number_unknown(),
		.top = asked.all_netns ? 0 : 1,
	};
	const struct conn *conn, *oldest = NULL;
	struct conn_list list = { 0 };
	char who[PROCESS_TEXT_MAX], peer[ENDPOINT_MAX];
	const char *text;
	size_t i;
	int code;

	*buf = '\0';
	code = conn_get(asked.all_netns, &filter, &list);
	for (i = 0; !code && i < list.n; i++) {
		conn = &list.items[i];
		if (conn->netns_ino == netns_ino.value &&
		    (!oldest || conn->age_ms.value > oldest->age_ms.value))
			oldest = conn;
	}
	if (oldest) {
		text = process_or_hidden(process_text(who, &oldest->owner),
					 oldest->hidden);
		snprintf(buf, size, "%s%s on port %u, peer %s%s",
			 text ? ", of " : "", text ? text : "", oldest->sport,
			 conn_target_text(peer, oldest),
			 oldest->unaccepted ? ", never accepted" : "");
	}
	conn_forget(&list);
	return code;
}

static const struct state_row *close_wait_of(const struct counters *counters)
{
	return &counters->rows[TCPSTATE_STATE_CLOSE_WAIT];
}

static enum status judge_age(const struct counters *counters,
			     const struct wish *wish)
{
	struct thresholds at = limits(wish, counters->netns_ino);

	return verdict_judge(close_wait_of(counters)->oldest_ms.value / 1000,
			     &at);
}

/* Is it worse, or if it is as bad, older? */
static bool is_older(const struct counters *counters,
		     const struct counters *other, const struct wish *wish)
{
	enum status status = judge_age(counters, wish);
	enum status than = judge_age(other, wish);

	if (status != than)
		return verdict_worse(status, than);
	return close_wait_of(counters)->oldest_ms.value >
	       close_wait_of(other)->oldest_ms.value;
}

static int find_age(const struct counters *counters, const struct wish *wish)
{
	struct thresholds at = limits(wish, counters->netns_ino);
	struct number oldest = close_wait_of(counters)->oldest_ms;
	char age[OUT_NUMBER_MAX], who[PROCESS_TEXT_MAX + ENDPOINT_MAX + 64];
	int code;

	code = name_close_wait(counters->netns_ino, oldest, who, sizeof(who));
	if (code)
		return code;
	verdict_find(judge_age(counters, wish), counters->netns_ino,
		     "oldest CLOSE_WAIT %s%s", out_ms(age, oldest.value), who);
	verdict_value("close_wait_age", "s", number_known(oldest.value / 1000),
		      &at);
	return OUT_DONE;
}

/* The oldest of all, in seconds. */
static int check_close_wait_age(const struct wish *wish)
{
	struct thresholds at = limits(wish, number_unknown());
	const struct counters *worst = NULL, *counters;
	struct number none = number_known(0);
	size_t i;

	for (i = 0; i < asked.counters.n; i++) {
		counters = &asked.counters.items[i];
		if (!close_wait_of(counters)->oldest_ms.known) {
			none.known &= !close_wait_of(counters)->sockets.value;
			continue;
		}
		if (!worst || is_older(counters, worst, wish))
			worst = counters;
	}
	if (worst)
		return find_age(worst, wish);
	if (none.known)
		verdict_find(OK, number_unknown(), "nothing in CLOSE_WAIT");
	else
		verdict_find(UNKNOWN, number_unknown(),
			     "the age of the oldest CLOSE_WAIT is not known");
	verdict_value("close_wait_age", "s", none, &at);
	return OUT_DONE;
}

/* In the namespace that has most; without thresholds it is only told. */
static void check_close_wait(const struct wish *wish)
{
	const struct counters *most = &asked.counters.items[0], *counters;
	char count[OUT_NUMBER_MAX];
	struct number sockets;
	size_t i;

	for (i = 0; i < asked.counters.n; i++) {
		counters = &asked.counters.items[i];
		if (close_wait_of(counters)->sockets.value >
		    close_wait_of(most)->sockets.value)
			most = counters;
	}
	sockets = close_wait_of(most)->sockets;
	if (wish->given)
		verdict_find(verdict_judge(sockets.value, &wish->at),
			     most->netns_ino, "%s in CLOSE_WAIT",
			     out_grouped(count, sockets.value));
	verdict_value("close_wait", "", sockets,
		      wish->given ? &wish->at : NULL);
}

/* All but the orphans is read from counters, which say themselves what they miss. */
static void check_exact(void)
{
	const struct counters *worst = &asked.counters.items[0], *counters;
	char n[OUT_NUMBER_MAX];
	size_t i;

	for (i = 0; i < asked.counters.n; i++) {
		counters = &asked.counters.items[i];
		if (counters->inexact.value > worst->inexact.value)
			worst = counters;
	}
	if (number_positive(worst->inexact))
		verdict_find(UNKNOWN, worst->netns_ino,
			     "the counters are not exact: up to %s connections are missing ('tcpstate-cli audit' finds them)",
			     out_grouped(n, worst->inexact.value));
}

static void check_orphans(const struct thresholds *at)
{
	const struct orphans *orphans = orphans_get();
	uint64_t count = orphans->count.value, limit = orphans->limit.value;
	char number[OUT_NUMBER_MAX], max[OUT_NUMBER_MAX];
	char share[OUT_NUMBER_MAX];

	if (!orphans->count.known || !orphans->limit.known) {
		verdict_find(UNKNOWN, number_unknown(),
			     "/proc/%s cannot be read here, but in the initial network namespace",
			     orphans->count.known ?
			     "sys/net/ipv4/tcp_max_orphans" : "net/sockstat");
		return;
	}
	verdict_find(verdict_judge_share(count, limit, at), number_unknown(),
		     "%s of at most %s orphans (%s)",
		     out_grouped(number, count), out_grouped(max, limit),
		     out_share(share, count, limit));
	verdict_share("orphans_limit", tenths_of(count, limit), at);
	verdict_count("orphans", orphans->count, orphans->limit);
}

static int parse_thresholds(const struct request *request, unsigned int option,
			    struct wish *wish)
{
	const char *word = request->options[option];

	if (!word)
		return OUT_DONE;
	wish->given = true;
	if (word_thresholds(word, word_percent, &wish->at.warning,
			    &wish->at.critical))
		return OUT_DONE;
	return out_fail(OUT_USAGE,
			"'%s' will not do: '--%s' needs two percentages, the first not above the second, such as 80:95",
			word, check_command.options[option].name);
}

static bool word_count(const char *word, uint64_t *count)
{
	return word_number(word, 0, UINT64_MAX, count);
}

static int parse_close_wait(const struct request *request,
			    struct wish *age, struct wish *count)
{
	const char *word = request->options[CLOSE_WAIT_AGE];

	age->given = word;
	if (word && !word_thresholds(word, word_seconds, &age->at.warning,
				     &age->at.critical))
		return out_fail(OUT_USAGE,
				"'%s' will not do: '--close-wait-age' needs two durations in whole seconds, the first not above the second, such as 60s:10m",
				word);
	word = request->options[CLOSE_WAIT];
	count->given = word;
	if (word && !word_thresholds(word, word_count, &count->at.warning,
				     &count->at.critical))
		return out_fail(OUT_USAGE,
				"'%s' will not do: '--close-wait' needs two numbers, the first not above the second, such as 100:1000",
				word);
	return OUT_DONE;
}

static int parse_dest(const char *word, struct dest_filter *filter)
{
	struct prefix *prefix = &filter->daddr;
	uint64_t port;

	if (!endpoint_parse(word, &prefix->address, &port))
		return out_fail(OUT_USAGE,
				"'%s' will not do: '--dest' needs an address and a port, such as 10.0.0.1:80 or [::1]:80",
				word);
	prefix->bits = prefix->address.family == AF_INET ? 32 : 128;
	filter->by_daddr = true;
	filter->dport = number_known(port);
	return OUT_DONE;
}

/* Those of each namespace, where none are given. */
static int get_config(void)
{
	const struct config *config;
	unsigned int key;
	size_t i;
	int code;

	code = config_get(asked.all_netns, &asked.config);
	for (i = 0; !code && i < asked.config.n; i++) {
		config = &asked.config.items[i];
		for (key = 0; !code && key < CONFIG_KEYS; key++)
			if (!config->values[key].known)
				code = module_mismatch();
	}
	return code;
}

/* What is looked at, and against what. */
struct wishes {
	struct wish port_room, time_wait, orphans, age, close_wait;
	struct dest_filter filter;
	bool all;			/* as none is given */
};

static int parse(const struct request *request, struct wishes *wishes)
{
	const char *dest = request->options[DEST];
	int code;

	code = parse_thresholds(request, PORT_ROOM, &wishes->port_room) ?:
	       parse_thresholds(request, ORPHANS, &wishes->orphans) ?:
	       parse_thresholds(request, TIME_WAIT, &wishes->time_wait) ?:
	       parse_close_wait(request, &wishes->age, &wishes->close_wait);
	if (!code && dest)
		code = parse_dest(dest, &wishes->filter);
	wishes->all = !wishes->port_room.given && !wishes->time_wait.given &&
		      !wishes->orphans.given && !wishes->age.given &&
		      !wishes->close_wait.given && !dest;
	return code;
}

/* All that the module is asked for. */
static int check(struct wishes *wishes)
{
	bool all = wishes->all, dest = wishes->filter.by_daddr;
	bool room = all || wishes->port_room.given || dest;
	int code = OUT_DONE;

	if (all || (dest && !wishes->port_room.given))
		code = get_config();
	if (!code && (room || wishes->time_wait.given || wishes->age.given ||
		      wishes->close_wait.given))
		code = counters_get(asked.all_netns, &asked.counters);
	if (!code && room)
		code = check_port_room(&wishes->port_room, &wishes->filter, all);
	if (!code && (all || wishes->time_wait.given))
		check_time_wait(&wishes->time_wait);
	if (!code && (all || wishes->age.given))
		code = check_close_wait_age(&wishes->age);
	if (!code && (all || wishes->close_wait.given))
		check_close_wait(&wishes->close_wait);
	if (!code && asked.counters.n)
		check_exact();
	return code;
}

static int run(const struct request *request)
{
	struct wishes wishes = {
		.port_room.key = CONFIG_PORT_ROOM_WARNING,
		.time_wait.key = CONFIG_TIME_WAIT_WARNING,
		.age.key = CONFIG_CLOSE_WAIT_WARNING,
		.orphans.at = { ORPHANS_WARNING, ORPHANS_CRITICAL },
	};
	int code;

	if (request->argc)
		return command_unknown_filter(&check_command, request->argv[0]);
	asked.all_netns = request->all_netns;
	code = parse(request, &wishes) ?: module_open() ?: check(&wishes);
	module_close();
	config_forget(&asked.config);
	counters_forget(&asked.counters);
	if (code)
		return code;
	/* A container is not told the machine's limit: no fault of its own. */
	if (wishes.orphans.given ||
	    (wishes.all && orphans_get()->limit.known))
		check_orphans(&wishes.orphans.at);
	return verdict_print(request->all_netns);
}

const struct command check_command = {
	.name = "check",
	.summary = "a Monitoring Plugin: OK, WARNING, CRITICAL or UNKNOWN, with perfdata",
	.notes = "Without options it judges port room, mini-sockets and the age of the oldest in\n"
		 "CLOSE_WAIT by the thresholds of 'config', orphans by 80:95 where their limit can\n"
		 "be read, and connect() and bind() to port 0 by whether one was refused in the\n"
		 "last minute.",
	.filters = (const struct filter[]){ { 0 } },
	.options = (const struct filter[]){
		[PORT_ROOM] = { .name = "port-room", .argument = "W:C",
				.help = "percent taken of the fullest destination's ports" },
		[DEST] = { .name = "dest", .argument = "ADDR:PORT",
			   .help = "the port room of this destination only" },
		[ORPHANS] = { .name = "orphans", .argument = "W:C",
			      .help = "percent of net.ipv4.tcp_max_orphans, machine-wide" },
		[TIME_WAIT] = { .name = "time-wait", .argument = "W:C",
				.help = "percent of net.ipv4.tcp_max_tw_buckets" },
		[CLOSE_WAIT_AGE] = { .name = "close-wait-age", .argument = "W:C",
				     .help = "age of the oldest in CLOSE_WAIT, as 60s:10m" },
		[CLOSE_WAIT] = { .name = "close-wait", .argument = "N:M",
				 .help = "how many are in CLOSE_WAIT" },
		{ 0 }
	},
	.machine_wide = true,
	.plugin = "TCPSTATE",
	.run = run,
};
