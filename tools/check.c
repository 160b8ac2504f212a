// SPDX-License-Identifier: GPL-2.0
/*
 * check: a Monitoring Plugin. One line, the verdict as the exit code, and
 * performance data as label=value;warn;crit;min;max after a "|".
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "alert.h"
#include "command.h"
#include "config.h"
#include "conn.h"
#include "dest.h"
#include "netns.h"
#include "nl.h"
#include "orphans.h"
#include "port.h"
#include "state.h"
#include "words.h"

/* Of tcp_max_orphans, when nobody says otherwise. */
#define ORPHANS_WARNING 80
#define ORPHANS_CRITICAL 95

enum { OK, WARNING, CRITICAL, UNKNOWN };

static const char *const status_names[] = {
	[OK] = "OK", [WARNING] = "WARNING", [CRITICAL] = "CRITICAL",
	[UNKNOWN] = "UNKNOWN",
};

struct thresholds {
	uint64_t warning, critical;
};

/* As in the table of options below. */
enum { PORT_ROOM, DEST, ORPHANS, TIME_WAIT, CLOSE_WAIT_AGE, CLOSE_WAIT };

#define FINDINGS_MAX 8
#define MEASURES_MAX 16
#define TEXT_MAX 512

/* What has been found out. */
static struct {
	struct {
		int status;
		char text[TEXT_MAX];
	} findings[FINDINGS_MAX];
	unsigned int n_findings;

	struct measure {
		const char *label;
		const char *unit;
		bool share;			/* in tenths of a percent */
		struct number value;
		struct number warning, critical, max;
	} measures[MEASURES_MAX];
	unsigned int n_measures;
} found;

__printf(2, 3) static void find(int status, const char *format, ...)
{
	char *text = found.findings[found.n_findings].text;
	va_list args;

	va_start(args, format);
	found.findings[found.n_findings++].status = status;
	vsnprintf(text, TEXT_MAX, format, args);
	va_end(args);
	/* Performance data begins where a name may not say so. */
	for (; *text; text++)
		if (*text == '|')
			*text = '?';
}

static void measure_percent(const char *label, struct number tenths,
			    const struct thresholds *at)
{
	found.measures[found.n_measures++] = (struct measure){
		.label = label, .unit = "%", .share = true, .value = tenths,
		.warning = number_known(at->warning),
		.critical = number_known(at->critical),
		.max = number_known(100),
	};
}

static void measure_count(const char *label, struct number value,
			  struct number max)
{
	found.measures[found.n_measures++] = (struct measure){
		.label = label, .unit = "", .value = value, .max = max,
	};
}

/* Against thresholds of its own unit; NULL: there are none. */
static void measure_plain(const char *label, const char *unit, uint64_t value,
			  const struct thresholds *at)
{
	struct measure *measure = &found.measures[found.n_measures++];

	*measure = (struct measure){
		.label = label, .unit = unit, .value = number_known(value),
	};
	if (!at)
		return;
	measure->warning = number_known(at->warning);
	measure->critical = number_known(at->critical);
}

/* Of what has happened so far: "c" for a counter. */
static void measure_total(const char *label, uint64_t value)
{
	found.measures[found.n_measures++] = (struct measure){
		.label = label, .unit = "c", .value = number_known(value),
	};
}

/* part of whole, against thresholds in percent. */
static int judge(uint64_t part, uint64_t whole, const struct thresholds *at)
{
	unsigned __int128 percent = (unsigned __int128)part * 100;

	if (percent >= (unsigned __int128)whole * at->critical)
		return CRITICAL;
	return percent >= (unsigned __int128)whole * at->warning ? WARNING : OK;
}

static struct number tenths_of(uint64_t part, uint64_t whole)
{
	unsigned __int128 thousand = (unsigned __int128)part * 1000;

	return number_known(whole ? thousand / whole : 1000);
}

/* A connect() that is being refused is worse than any percentage. */
static int check_refusals(bool all_netns, const struct dest_filter *filter)
{
	char key[DEST_KEY_TEXT_MAX], who[PROCESS_TEXT_MAX], n[OUT_NUMBER_MAX];
	struct alert_list list = { 0 };
	const struct alert *alert, *worst = NULL;
	const char *text;
	size_t i;
	int code;

	code = alert_get(all_netns, &list);
	for (i = 0; !code && i < list.n; i++) {
		alert = &list.items[i];
		if (alert->event.value == TCPSTATE_EVENT_PORT_EXHAUSTED &&
		    dest_wanted(filter, &alert->key) &&
		    (!worst || alert->total.value > worst->total.value))
			worst = alert;
	}
	if (worst) {
		text = process_deed_text(who, &worst->process);
		find(CRITICAL, "%s: connect() refused %s x%s%s",
		     dest_key_text(key, &worst->key),
		     out_grouped(n, worst->total.value), text ? ", last " : "",
		     text ? text : "");
	}
	alert_forget(&list);
	return code;
}

/* The module follows no more destinations than it may. */
static int check_destinations(bool all_netns, bool all)
{
	struct port_summary_list list = { 0 };
	const struct port_summary *sum;
	uint64_t failures = 0;
	char max[OUT_NUMBER_MAX];
	size_t i;
	int code;

	code = port_summary_get(all_netns, false, &list);
	for (i = 0; !code && i < list.n; i++) {
		sum = &list.items[i];
		failures += sum->failures.value;
		if (!number_positive(sum->destinations_dropped) ||
		    !sum->destinations.known || !sum->destinations_max.known ||
		    sum->destinations.value < sum->destinations_max.value)
			continue;
		find(UNKNOWN, "%s: more destinations than the %s that are followed",
		     netns_name(sum->netns_ino.value),
		     out_grouped(max, sum->destinations_max.value));
		break;
	}
	if (!code && all)
		measure_total("refused", failures);
	port_summary_forget(&list);
	return code;
}

static void find_room(const struct dest *dest, const struct thresholds *at)
{
	char key[DEST_KEY_TEXT_MAX], taken[OUT_NUMBER_MAX], of[OUT_NUMBER_MAX];
	char share[OUT_NUMBER_MAX], eta[OUT_NUMBER_MAX];

	find(judge(dest_taken(dest), dest->capacity.value, at),
	     "%s: %s of %s ports taken (%s)%s%s",
	     dest_key_text(key, &dest->key),
	     out_grouped(taken, dest_taken(dest)),
	     out_grouped(of, dest->capacity.value),
	     out_share(share, dest_taken(dest), dest->capacity.value),
	     number_positive(dest->eta_ms) ? ", full in " : "",
	     number_positive(dest->eta_ms) ?
	     out_ms(eta, dest->eta_ms.value) : "");
	measure_percent("port_room", dest_full_tenths(dest), at);
	measure_count("used", dest->used, dest->capacity);
	measure_count("reusable", dest->reusable, dest->used);
}

static int check_port_room(bool all_netns, const struct thresholds *at,
			   struct dest_filter *filter)
{
	struct dest_list list = { 0 };
	uint64_t failures = 0;
	size_t i;
	int code;

	/* The fullest is the first; of one destination, there are few. */
	filter->top = filter->by_daddr ? 0 : 1;
	code = dest_get(all_netns, filter, &list);
	if (!code && list.n && dest_room_known(&list.items[0])) {
		find_room(&list.items[0], at);
	} else if (!code && list.n) {
		find(UNKNOWN, "how many ports are taken is not known");
	} else if (!code) {
		find(OK, filter->by_daddr ? "no connection to it" :
		     "no destinations");
		measure_percent("port_room", number_known(0), at);
	}
	for (i = 0; i < list.n; i++)
		failures += list.items[i].failures.value;
	if (!code && filter->by_daddr)
		measure_total("refused", failures);
	dest_forget(&list);
	return code ?: check_refusals(all_netns, filter) ?:
	       check_destinations(all_netns, !filter->by_daddr);
}

static int check_time_wait(bool all_netns, const struct thresholds *at)
{
	struct counters_list list = { 0 };
	const struct counters *worst = NULL, *counters;
	char count[OUT_NUMBER_MAX], limit[OUT_NUMBER_MAX];
	char share[OUT_NUMBER_MAX];
	uint64_t minis = 0, these;
	size_t i;
	int code;

	code = counters_get(all_netns, &list);
	for (i = 0; !code && i < list.n; i++) {
		counters = &list.items[i];
		these = counters_minis(counters);
		if (!counters->limit.known)
			continue;
		if (worst && (long double)these * worst->limit.value <=
			     (long double)minis * counters->limit.value)
			continue;
		worst = counters;
		minis = these;
	}
	if (worst) {
		find(judge(minis, worst->limit.value, at),
		     "%s of at most %s mini-sockets (%s)",
		     out_grouped(count, minis),
		     out_grouped(limit, worst->limit.value),
		     out_share(share, minis, worst->limit.value));
		measure_percent("time_wait_limit",
				tenths_of(minis, worst->limit.value), at);
		measure_count("mini_sockets", number_known(minis),
			      worst->limit);
	} else if (!code) {
		find(UNKNOWN, "the limit on mini-sockets is not known");
	}
	counters_forget(&list);
	return code;
}

/* Against thresholds as they are. */
static int judge_plain(uint64_t value, const struct thresholds *at)
{
	return value >= at->critical ? CRITICAL :
	       value >= at->warning ? WARNING : OK;
}

/* Whose the oldest is, as far as we may know. */
static int name_close_wait(bool all_netns, char *buf, size_t size)
{
	const struct conn_filter filter = {
		.states = STATE_BIT(TCPSTATE_STATE_CLOSE_WAIT),
		.top = 1,
	};
	struct conn_list list = { 0 };
	char who[PROCESS_TEXT_MAX];
	const struct conn *conn;
	const char *text;
	int code;

	*buf = '\0';
	code = conn_get(all_netns, &filter, &list);
	if (!code && list.n) {
		conn = &list.items[0];
		text = process_text(who, &conn->owner);
		snprintf(buf, size, "%s%s on port %u%s", text ? ", of " : "",
			 text ? text : "", conn->sport, conn->unaccepted ?
			 ", never accepted" : "");
	}
	conn_forget(&list);
	return code;
}

/* The oldest of all, in seconds. */
static int check_close_wait_age(bool all_netns, const struct thresholds *at)
{
	char age[OUT_NUMBER_MAX], who[PROCESS_TEXT_MAX + 64];
	struct counters_list list = { 0 };
	const struct state_row *row;
	uint64_t oldest = 0;
	bool any = false, known = true;
	size_t i;
	int code;

	code = counters_get(all_netns, &list);
	for (i = 0; !code && i < list.n; i++) {
		row = &list.items[i].rows[TCPSTATE_STATE_CLOSE_WAIT];
		any |= row->oldest_ms.known;
		known &= row->oldest_ms.known || !row->sockets.value;
		if (row->oldest_ms.known && row->oldest_ms.value > oldest)
			oldest = row->oldest_ms.value;
	}
	counters_forget(&list);
	if (!code && any)
		code = name_close_wait(all_netns, who, sizeof(who));
	if (code)
		return code;
	if (any)
		find(judge_plain(oldest / 1000, at), "oldest CLOSE_WAIT %s%s",
		     out_ms(age, oldest), who);
	else if (!known)
		find(UNKNOWN, "the age of the oldest CLOSE_WAIT is not known");
	else
		find(OK, "nothing in CLOSE_WAIT");
	measure_plain("close_wait_age", "s", oldest / 1000, at);
	return OUT_DONE;
}

/* In the namespace that has most; without thresholds it is only told. */
static int check_close_wait(bool all_netns, const struct thresholds *at)
{
	struct counters_list list = { 0 };
	char count[OUT_NUMBER_MAX];
	uint64_t most = 0, these;
	size_t i;
	int code;

	code = counters_get(all_netns, &list);
	for (i = 0; !code && i < list.n; i++) {
		these = list.items[i].rows[TCPSTATE_STATE_CLOSE_WAIT].sockets.value;
		if (these > most)
			most = these;
	}
	counters_forget(&list);
	if (code)
		return code;
	if (at)
		find(judge_plain(most, at), "%s in CLOSE_WAIT",
		     out_grouped(count, most));
	measure_plain("close_wait", "", most, at);
	return OUT_DONE;
}

static void check_orphans(const struct thresholds *at)
{
	const struct orphans *orphans = orphans_get();
	uint64_t count = orphans->count.value, limit = orphans->limit.value;
	char number[OUT_NUMBER_MAX], max[OUT_NUMBER_MAX];
	char share[OUT_NUMBER_MAX];

	if (!orphans->count.known || !orphans->limit.known) {
		find(UNKNOWN, "/proc/%s cannot be read here, but in the initial network namespace",
		     orphans->count.known ? "sys/net/ipv4/tcp_max_orphans" :
					    "net/sockstat");
		return;
	}
	find(judge(count, limit, at), "%s of at most %s orphans (%s)",
	     out_grouped(number, count), out_grouped(max, limit),
	     out_share(share, count, limit));
	measure_percent("orphans_limit", tenths_of(count, limit), at);
	measure_count("orphans", orphans->count, orphans->limit);
}

/* As the conventions have it: what is known to be bad goes before doubt. */
static int verdict(void)
{
	static const int rank[] = {
		[OK] = 0, [UNKNOWN] = 1, [WARNING] = 2, [CRITICAL] = 3,
	};
	unsigned int i;
	int worst = OK;

	for (i = 0; i < found.n_findings; i++)
		if (rank[found.findings[i].status] > rank[worst])
			worst = found.findings[i].status;
	return worst;
}

static void put_number(char *buf, size_t size, struct number number,
		       bool in_tenths)
{
	if (!number.known)
		*buf = '\0';
	else if (in_tenths)
		snprintf(buf, size, "%llu.%llu",
			 (unsigned long long)number.value / 10,
			 (unsigned long long)number.value % 10);
	else
		snprintf(buf, size, "%llu", (unsigned long long)number.value);
}

static void print_measure(const struct measure *measure)
{
	char value[OUT_NUMBER_MAX], warning[OUT_NUMBER_MAX];
	char critical[OUT_NUMBER_MAX], max[OUT_NUMBER_MAX];

	put_number(value, sizeof(value), measure->value, measure->share);
	put_number(warning, sizeof(warning), measure->warning, false);
	put_number(critical, sizeof(critical), measure->critical, false);
	put_number(max, sizeof(max), measure->max, false);
	out_object_open(NULL);
	out_string("label", " %s=", measure->label);
	if (measure->share)
		out_percent("value", NULL, measure->value);
	else
		out_count("value", NULL, measure->value);
	out_text("%s", *value ? value : "U");
	out_string("unit", "%s", measure->unit);
	out_count("warning", NULL, measure->warning);
	out_count("critical", NULL, measure->critical);
	out_count("max", NULL, measure->max);
	out_text(";%s;%s;0;%s", warning, critical, max);
	out_object_close();
}

/* What is bad, or if nothing is, all. */
static void print_verdict(int status)
{
	unsigned int i;
	bool any = false;

	out_object_open(NULL);
	out_string("status", "TCPSTATE %s: ", status_names[status]);
	out_array_open("findings");
	for (i = 0; i < found.n_findings; i++) {
		out_object_open(NULL);
		out_string("status", NULL,
			   status_names[found.findings[i].status]);
		out_string("text", NULL, found.findings[i].text);
		out_object_close();
		if (status != OK && found.findings[i].status == OK)
			continue;
		out_text("%s", any ? "; " : "");
		out_words("%s", found.findings[i].text);
		any = true;
	}
	out_array_close();
	out_text("%s", found.n_measures ? " |" : "");
	out_array_open("perfdata");
	for (i = 0; i < found.n_measures; i++)
		print_measure(&found.measures[i]);
	out_array_close();
	out_text("\n");
	out_object_close();
}

struct wishes {
	bool given;
	struct thresholds at;
};

static int parse_thresholds(const struct request *request, unsigned int option,
			    struct wishes *wishes)
{
	const char *word = request->options[option];

	if (!word)
		return OUT_DONE;
	wishes->given = true;
	if (word_thresholds(word, word_percent, &wishes->at.warning,
			    &wishes->at.critical))
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
			    struct wishes *age, struct wishes *count)
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

/* Those of the namespace that asks, where none are given. */
static int default_thresholds(struct wishes *port_room,
			      struct wishes *time_wait, struct wishes *age)
{
	struct config_list list = { 0 };
	const struct number *values;
	unsigned int i;
	int code;

	code = config_get(false, &list);
	for (i = 0; !code && i < CONFIG_KEYS; i++)
		if (!list.items[0].values[i].known)
			code = module_mismatch();
	if (!code) {
		values = list.items[0].values;
		if (!port_room->given) {
			port_room->at.warning =
				values[CONFIG_PORT_ROOM_WARNING].value;
			port_room->at.critical =
				values[CONFIG_PORT_ROOM_CRITICAL].value;
		}
		if (!time_wait->given) {
			time_wait->at.warning =
				values[CONFIG_TIME_WAIT_WARNING].value;
			time_wait->at.critical =
				values[CONFIG_TIME_WAIT_CRITICAL].value;
		}
		if (!age->given) {
			age->at.warning =
				values[CONFIG_CLOSE_WAIT_WARNING].value;
			age->at.critical =
				values[CONFIG_CLOSE_WAIT_CRITICAL].value;
		}
	}
	config_forget(&list);
	return code;
}

static int run(const struct request *request)
{
	struct wishes port_room = { 0 }, time_wait = { 0 }, orphans = { 0 };
	struct wishes age = { 0 }, close_wait = { 0 };
	struct dest_filter filter = { 0 };
	const char *dest = request->options[DEST];
	bool all_netns = request->all_netns, all;
	int code;

	if (request->argc)
		return command_unknown_filter(&check_command, request->argv[0]);
	code = parse_thresholds(request, PORT_ROOM, &port_room) ?:
	       parse_thresholds(request, ORPHANS, &orphans) ?:
	       parse_thresholds(request, TIME_WAIT, &time_wait) ?:
	       parse_close_wait(request, &age, &close_wait);
	if (!code && dest)
		code = parse_dest(dest, &filter);
	if (code)
		return code;

	all = !port_room.given && !time_wait.given && !orphans.given &&
	      !age.given && !close_wait.given && !dest;
	if (!orphans.given)
		orphans.at = (struct thresholds){ ORPHANS_WARNING,
						  ORPHANS_CRITICAL };
	code = module_open();
	if (!code && (all || (dest && !port_room.given)))
		code = default_thresholds(&port_room, &time_wait, &age);
	if (!code && (all || port_room.given || dest))
		code = check_port_room(all_netns, &port_room.at, &filter);
	if (!code && (all || time_wait.given))
		code = check_time_wait(all_netns, &time_wait.at);
	if (!code && (all || age.given))
		code = check_close_wait_age(all_netns, &age.at);
	if (!code && (all || close_wait.given))
		code = check_close_wait(all_netns, all ? NULL : &close_wait.at);
	module_close();
	if (code)
		return code;
	/* A container is not told the machine's limit: no fault of its own. */
	if (orphans.given || (all && orphans_get()->limit.known))
		check_orphans(&orphans.at);
	code = verdict();
	print_verdict(code);
	return code;
}

const struct command check_command = {
	.name = "check",
	.summary = "a Monitoring Plugin: OK, WARNING, CRITICAL or UNKNOWN, with perfdata",
	.filters = (const struct filter[]){ { 0 } },
	.options = (const struct filter[]){
		[PORT_ROOM] = { .name = "port-room", .argument = "W:C",
				.help = "percent taken of the fullest destination's ports" },
		[DEST] = { .name = "dest", .argument = "ADDR:PORT",
			   .help = "the port room of this destination only" },
		[ORPHANS] = { .name = "orphans", .argument = "W:C",
			      .help = "percent of net.ipv4.tcp_max_orphans, of the whole machine" },
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
