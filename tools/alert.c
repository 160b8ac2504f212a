// SPDX-License-Identifier: GPL-2.0
/* Alerts: edges as they come, and those in force. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/tcpstate.h>

#include "alert.h"
#include "netns.h"
#include "nl.h"

/*
 * What an event is called, and what the text says of the numbers that may come
 * with it; those without words are in the JSON only.
 */
static const struct wording {
	const char *name;
	const char *capacity, *reusable, *count, *total, *eta, *who;
	bool taken;
} wordings[] = {
	[ALERT_LOST] = {
		.name = "lost",
		.count = "messages that did not fit into the socket: %s",
	},
	[TCPSTATE_EVENT_PORT_ROOM] = {
		.name = "port-room", .taken = true,
		.capacity = " of %s ports taken",
		.reusable = ", %s more reusable", .eta = ", full in %s",
	},
	[TCPSTATE_EVENT_PORT_EXHAUSTED] = {
		.name = "port-exhausted",
		.count = "no port left: connect() refused %s x",
		.total = ", %s x in all", .who = ", last %s",
	},
	[TCPSTATE_EVENT_BIND_EXHAUSTED] = {
		.name = "bind-exhausted",
		.count = "no port left: bind() refused %s x",
		.total = ", %s x since load", .who = ", last %s",
	},
	[TCPSTATE_EVENT_TIME_WAIT_LIMIT] = {
		.name = "time-wait-limit", .taken = true,
		.capacity = " of %s mini-sockets",
	},
	[TCPSTATE_EVENT_CLOSE_WAIT_LEAK] = {
		.name = "close-wait-leak",
		.count = "%s in CLOSE_WAIT for too long",
	},
};

/* An event that we do not know has but its number. */
static const struct wording *wording_of(const struct alert *alert)
{
	static const struct wording other;

	if (alert->event.value >= ARRAY_SIZE(wordings))
		return &other;
	return &wordings[alert->event.value];
}

static int read_one(struct alert *alert, struct nlattr *attrs, int len)
{
	static struct nla_policy policy[TCPSTATE_A_ALERT_MAX + 1] = {
		[TCPSTATE_A_ALERT_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_SEQ] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_EVENT] = { .type = NLA_U32 },
		[TCPSTATE_A_ALERT_SEVERITY] = { .type = NLA_U32 },
		[TCPSTATE_A_ALERT_AGE_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_IFINDEX] = { .type = NLA_U32 },
		[TCPSTATE_A_ALERT_DPORT] = { .type = NLA_U16 },
		[TCPSTATE_A_ALERT_USED] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_REUSABLE] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_CAPACITY] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_COUNT] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_TOTAL] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_THRESHOLD] = { .type = NLA_U32 },
		[TCPSTATE_A_ALERT_ETA_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_OLDEST_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_SPORT] = { .type = NLA_U16 },
		[TCPSTATE_A_ALERT_UNACCEPTED] = { .type = NLA_U64 },
		[TCPSTATE_A_ALERT_TREND] = { .type = NLA_U32 },
	};
	struct nlattr *tb[TCPSTATE_A_ALERT_MAX + 1];

	if (nla_parse(tb, TCPSTATE_A_ALERT_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_ALERT_NETNS_INO] || !tb[TCPSTATE_A_ALERT_EVENT] ||
	    !tb[TCPSTATE_A_ALERT_SEVERITY])
		return -1;
	memset(alert, 0, sizeof(*alert));
	alert->key.netns_ino = attr_number(tb[TCPSTATE_A_ALERT_NETNS_INO]);
	alert->key.ifindex = attr_u32(tb[TCPSTATE_A_ALERT_IFINDEX]);
	alert->key.dport = attr_u16(tb[TCPSTATE_A_ALERT_DPORT]);
	if (address_read(&alert->key.saddr, tb[TCPSTATE_A_ALERT_SADDR]) ||
	    address_read(&alert->key.daddr, tb[TCPSTATE_A_ALERT_DADDR]))
		return -1;
	alert->event = attr_u32(tb[TCPSTATE_A_ALERT_EVENT]);
	alert->severity = attr_u32(tb[TCPSTATE_A_ALERT_SEVERITY]);
	alert->seq = attr_number(tb[TCPSTATE_A_ALERT_SEQ]);
	alert->age_ms = attr_number(tb[TCPSTATE_A_ALERT_AGE_MS]);
	alert->used = attr_number(tb[TCPSTATE_A_ALERT_USED]);
	alert->reusable = attr_number(tb[TCPSTATE_A_ALERT_REUSABLE]);
	alert->capacity = attr_number(tb[TCPSTATE_A_ALERT_CAPACITY]);
	alert->count = attr_number(tb[TCPSTATE_A_ALERT_COUNT]);
	alert->total = attr_number(tb[TCPSTATE_A_ALERT_TOTAL]);
	alert->threshold = attr_u32(tb[TCPSTATE_A_ALERT_THRESHOLD]);
	alert->eta_ms = attr_number(tb[TCPSTATE_A_ALERT_ETA_MS]);
	alert->oldest_ms = attr_number(tb[TCPSTATE_A_ALERT_OLDEST_MS]);
	alert->sport = attr_u16(tb[TCPSTATE_A_ALERT_SPORT]);
	alert->unaccepted = attr_number(tb[TCPSTATE_A_ALERT_UNACCEPTED]);
	alert->trend = attr_u32(tb[TCPSTATE_A_ALERT_TREND]);
	return process_read(&alert->process, tb[TCPSTATE_A_ALERT_PROCESS]);
}

/**
 * alert_add() - append to a list
 * @list: the list
 * @alert: what is copied to it
 *
 * Return: false when there is no memory.
 */
bool alert_add(struct alert_list *list, const struct alert *alert)
{
	size_t size = list->size ? 2 * list->size : 16;
	struct alert *items;

	if (list->n == list->size) {
		items = realloc(list->items, size * sizeof(*items));
		if (!items)
			return false;
		list->items = items;
		list->size = size;
	}
	list->items[list->n++] = *alert;
	return true;
}

/**
 * alert_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct alert_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int alert_read(struct nlattr *attrs, int len, void *list)
{
	struct alert alert;

	if (read_one(&alert, attrs, len))
		return -1;
	return alert_add(list, &alert) ? 0 : -ENOMEM;
}

/**
 * alert_forget() - empty a list
 * @list: a struct alert_list
 */
void alert_forget(void *list)
{
	struct alert_list *all = list;

	free(all->items);
	memset(all, 0, sizeof(*all));
}

/**
 * alert_get() - ask the module which alerts are in force
 * @all_netns: of all network namespaces, instead of our own
 * @list: empty; the answer, to be freed by alert_forget() either way
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int alert_get(bool all_netns, struct alert_list *list)
{
	struct module_reader reader = {
		.message = alert_read,
		.restart = alert_forget,
		.arg = list,
	};

	return module_ask(module_dump(TCPSTATE_CMD_ALERT_GET, all_netns,
				      TCPSTATE_A_ALERT_ALL_NETNS), &reader);
}

/* The worst first; of those, what is in force since last; else as they came. */
static int by_severity(const void *one, const void *other)
{
	const struct alert *a = one, *b = other;

	if (a->severity.value != b->severity.value)
		return a->severity.value < b->severity.value ? 1 : -1;
	if (a->age_ms.value != b->age_ms.value)
		return a->age_ms.value > b->age_ms.value ? 1 : -1;
	return a->place > b->place ? 1 : -1;
}

/**
 * alert_sort() - bring alerts in the order in which they are worth being read
 * @list: the list
 *
 * Where there is no room for all, what is worse must not be hidden by what has
 * only been there for longer.
 */
void alert_sort(struct alert_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		list->items[i].place = i;
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_severity);
}

static bool same_number(struct number a, struct number b)
{
	return a.known == b.known && a.value == b.value;
}

/**
 * alert_same() - are these about the same?
 * @a: an alert
 * @b: another
 *
 * Return: true if so, whatever their severity.
 */
bool alert_same(const struct alert *a, const struct alert *b)
{
	return same_number(a->event, b->event) &&
	       same_number(a->key.netns_ino, b->key.netns_ino) &&
	       same_number(a->key.dport, b->key.dport) &&
	       same_number(a->key.ifindex, b->key.ifindex) &&
	       address_same(&a->key.daddr, &b->key.daddr) &&
	       address_same(&a->key.saddr, &b->key.saddr);
}

/**
 * alert_event() - what an alert is about
 * @alert: the alert
 *
 * Return: its name, or NULL when we do not know it.
 */
const char *alert_event(const struct alert *alert)
{
	return wording_of(alert)->name;
}

static void print_key(const struct alert *alert)
{
	out_string("event", NULL, alert_event(alert));
	out_string("severity", NULL, dest_severity(alert->severity));
	out_string("netns", NULL, netns_name(alert->key.netns_ino.value));
	dest_key_print(&alert->key);
}

static uint64_t taken(const struct alert *alert)
{
	uint64_t used = alert->used.value, reusable = alert->reusable.value;

	return used > reusable ? used - reusable : 0;
}

/*
 * A leak that grows and a handler that is late are different things. It is known
 * whose the oldest is, and not whose the others are.
 */
static void print_leak(const struct alert *alert, const char *who, bool brief)
{
	static const char *const names[] = {
		[TCPSTATE_TREND_STEADY] = "steady",
		[TCPSTATE_TREND_GROWING] = "growing",
		[TCPSTATE_TREND_RECOVERING] = "recovering",
	};
	static const char *const sentences[] = {
		[TCPSTATE_TREND_STEADY] = "",
		[TCPSTATE_TREND_GROWING] = ", ever more, and the oldest stays: it leaks",
		[TCPSTATE_TREND_RECOVERING] = ", fewer than before: it is late, but closes them",
	};
	/* When it is over these are of the last one that was too old. */
	bool known = alert->event.value == TCPSTATE_EVENT_CLOSE_WAIT_LEAK &&
		     alert->severity.value != TCPSTATE_SEVERITY_CLEAR;
	bool trend = alert->trend.known &&
		     alert->trend.value < ARRAY_SIZE(names);
	bool leak = known && !brief;

	out_age("oldest_close_wait_ms", leak && alert->oldest_ms.known ?
		", the oldest for %s" : NULL, alert->oldest_ms);
	out_number("sport", leak && alert->sport.known ? " on port %s" : NULL,
		   alert->sport);
	if (leak && who)
		out_words(", of %s", who);
	out_count("unaccepted", leak && number_positive(alert->unaccepted) ?
		  "; %s never accepted: the accept queue is not being drained" :
		  NULL, alert->unaccepted);
	out_string("trend", NULL, trend ? names[alert->trend.value] : NULL);
	if (leak && trend)
		out_text("%s", sentences[alert->trend.value]);
	else if (known && trend && alert->trend.value)
		out_text(", %s", alert->trend.value ==
			 TCPSTATE_TREND_GROWING ? "growing" : "fewer");
}

static void print_count(const struct alert *alert, const struct wording *say,
			bool brief)
{
	const char *format = alert->count.known ? say->count : NULL;

	if (alert->event.value == TCPSTATE_EVENT_CLOSE_WAIT_LEAK) {
		if (brief)
			format = "%s unclosed";
		/* When it is over, the number is of what was. */
		if (!alert->severity.value) {
			format = NULL;
			out_text("nothing in CLOSE_WAIT for too long any more");
		}
	}
	out_count("count", format, alert->count);
}

/* Briefly, the numbers of a destination are left to the table of these. */
static void print_numbers(const struct alert *alert, bool brief)
{
	static const struct wording silent;
	const struct wording *say = brief && alert->key.daddr.family ?
				    &silent : wording_of(alert);
	char share[OUT_NUMBER_MAX], buf[PROCESS_TEXT_MAX];
	const char *who = process_or_hidden(process_text(buf, &alert->process),
					    alert->process.hidden);

	/* What a threshold is about, and the percentage of. */
	out_count("used", NULL, alert->used);
	if (say->taken && alert->used.known)
		out_text("%s", out_grouped(share, taken(alert)));
	out_count("capacity", alert->capacity.known ? say->capacity : NULL,
		  alert->capacity);
	if (say->taken && alert->used.known && alert->capacity.known)
		out_text(" (%s)", out_share(share, taken(alert),
					    alert->capacity.value));
	out_count("reusable", number_positive(alert->reusable) ?
		  say->reusable : NULL, alert->reusable);
	print_count(alert, say, brief);
	out_count("total", alert->total.known && !brief ? say->total : NULL,
		  alert->total);
	out_count("threshold", NULL, alert->threshold);
	out_seconds("eta_s", alert->eta_ms.known && alert->severity.value ?
		    say->eta : NULL, alert->eta_ms);
	process_print("process", &alert->process);
	out_bool("process_hidden", NULL, NULL, alert->process.hidden);
	if (!brief && say->who && who)
		out_words(say->who, who);
	print_leak(alert, who, brief);
}

/**
 * alert_print() - print an alert on the line that has been begun
 * @alert: the alert
 * @all_netns: tell in the text, too, of which network namespace
 */
void alert_print(const struct alert *alert, bool all_netns)
{
	const char *severity = dest_severity(alert->severity);
	const char *event = alert_event(alert);
	char buf[DEST_KEY_TEXT_MAX];

	out_words(all_netns ? "%s  " : NULL,
		  netns_name(alert->key.netns_ino.value));
	print_key(alert);
	out_style(severity && !alert->severity.value ? OUT_GOOD :
		  dest_style(alert->severity));
	out_text("%-8s", severity ? severity : "?");
	out_style(OUT_PLAIN);
	out_text("  %-15s  %s", event ? event : "?", event ? "" :
		 "an event that this tcpstate-cli does not know");
	if (alert->key.daddr.family)
		out_words(alert->used.known || alert->count.known ? "%s: " :
			  "%s", dest_key_text(buf, &alert->key));
	print_numbers(alert, false);
	out_age("age_ms", alert->age_ms.known ? ", for %s" : NULL,
		alert->age_ms);
}

/* So many lines of the first screen are for alerts. */
#define LINES 5

/**
 * alert_print_all() - print alerts in force, briefly
 * @list: which
 * @netns_ino: only those of this network namespace
 */
void alert_print_all(const struct alert_list *list, struct number netns_ino)
{
	char buf[DEST_KEY_TEXT_MAX];
	const struct alert *alert;
	const char *event;
	unsigned int n = 0;
	size_t i;

	out_array_open("alerts");
	for (i = 0; i < list->n; i++) {
		alert = &list->items[i];
		if (alert->key.netns_ino.value != netns_ino.value)
			continue;
		event = alert_event(alert);
		out_mute(n >= LINES);
		out_text(n++ ? "                " : "alerts          ");
		out_object_open(NULL);
		print_key(alert);
		out_style(dest_style(alert->severity));
		out_words("%s", dest_severity(alert->severity));
		out_style(OUT_PLAIN);
		out_words(" %s: ", event);
		if (alert->key.daddr.family)
			out_words("%s", dest_key_text(buf, &alert->key));
		print_numbers(alert, true);
		out_age("age_ms", alert->age_ms.known ? ", for %s" : NULL,
			alert->age_ms);
		out_object_close();
		out_text("\n");
	}
	out_mute(false);
	out_array_close();
	if (!n)
		out_text("alerts          none in force\n");
	else if (n > LINES)
		out_text("                and %u more, which 'tcpstate-cli monitor' begins with\n",
			 n - LINES);
}
