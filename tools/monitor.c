// SPDX-License-Identifier: GPL-2.0
/*
 * monitor: alerts as they happen, one line each.
 *
 * What is in force is known at any time: it is asked for at the start and after
 * a loss, and kept up to date by the edges in between. So a line is printed for
 * each change, heard of or not. How many messages were lost is told by their
 * numbers, which the module counts for each namespace; a number that has been
 * there is one of another namespace, with the inode of one that has ended.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcpstate.h>

#include "alert.h"
#include "command.h"
#include "config.h"
#include "netns.h"
#include "nl.h"

/* Messages taken at once. */
#define BATCH 256

/* The number of the message that comes next from a namespace. */
struct next {
	uint64_t netns_ino, seq;
	bool told;		/* when asked, and not by the one before it */
};

static struct monitor {
	bool all_netns;
	struct alert_list in_force;
	struct next *next;
	size_t n_next;
	int code;		/* to end with */
	bool over;
} monitor;

static int wake[2] = { -1, -1 };

static void on_signal(int signal)
{
	int err = errno;

	(void)signal;
	if (write(wake[1], "", 1) < 0)
		errno = err;
	errno = err;
}

/* Without SA_RESTART, so that a write to a full pipe ends, too. */
static int catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (pipe(wake))
		return out_fail(OUT_FAILED, "cannot make a pipe: %s",
				strerror(errno));
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	return OUT_DONE;
}

static void end(int code)
{
	monitor.code = code;
	monitor.over = true;
}

/* Whoever reads is to have it now; when nobody does any more, that is all. */
static void flush(void)
{
	int err = out_flush();

	if (!err)
		return;
	out_discard();
	if (err == EPIPE || err == EINTR)
		end(OUT_DONE);
	else
		end(out_fail(OUT_FAILED, "cannot write the answer: %s",
			     strerror(err)));
}

static void print_time(void)
{
	struct timespec now;
	struct tm tm;
	char buf[64];
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out_is_json()) {
		len = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S",
			       gmtime_r(&now.tv_sec, &tm));
		snprintf(buf + len, sizeof(buf) - len, ".%03uZ",
			 (unsigned int)(now.tv_nsec / 1000000));
	} else {
		strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S",
			 localtime_r(&now.tv_sec, &tm));
	}
	out_string("time", "%s  ", buf);
}

/* An edge was heard of; else it is what asking showed to have changed. */
static void print_alert(const struct alert *alert, bool edge)
{
	out_object_open(NULL);
	print_time();
	alert_print(alert, monitor.all_netns);
	out_bool("edge", NULL, NULL, edge);
	out_object_close();
	out_text("\n");
	flush();
}

static void print_loss(uint64_t netns_ino, uint64_t count)
{
	const struct alert loss = {
		.key.netns_ino = number_known(netns_ino),
		.event = number_known(ALERT_LOST),
		.severity = number_known(TCPSTATE_SEVERITY_WARNING),
		.count = number_known(count),
	};

	print_alert(&loss, true);
}

static struct alert *find(const struct alert *alert)
{
	size_t i;

	for (i = 0; i < monitor.in_force.n; i++)
		if (alert_same(&monitor.in_force.items[i], alert))
			return &monitor.in_force.items[i];
	return NULL;
}

static void forget(struct alert *alert)
{
	*alert = monitor.in_force.items[--monitor.in_force.n];
}

static struct next *find_next(uint64_t netns_ino)
{
	size_t i;

	for (i = 0; i < monitor.n_next; i++)
		if (monitor.next[i].netns_ino == netns_ino)
			return &monitor.next[i];
	return NULL;
}

static struct next *add_next(uint64_t netns_ino, uint64_t seq)
{
	size_t size = (monitor.n_next + 1) * sizeof(struct next);
	struct next *next = realloc(monitor.next, size);

	if (!next)
		return NULL;
	monitor.next = next;
	next += monitor.n_next++;
	*next = (struct next){ .netns_ino = netns_ino, .seq = seq, .told = true };
	return next;
}

/*
 * A namespace ends without a word, and its inode number is the next one's: that
 * counts its messages from 1 on again, and nothing of the old is in force in it.
 */
static void renew(struct next *next)
{
	size_t i = 0;

	next->seq = 1;
	next->told = false;
	while (i < monitor.in_force.n)
		if (monitor.in_force.items[i].key.netns_ino.value ==
		    next->netns_ino)
			forget(&monitor.in_force.items[i]);
		else
			i++;
}

/* The module numbers a message before it sends it, so one may be on its way. */
static bool is_late(const struct next *next, uint64_t seq)
{
	return next->told && seq + 1 == next->seq;
}

/*
 * This is the number of the message that comes next, or of one that has come
 * (@heard): those before it that were not heard of are lost.
 */
static void count_seq(uint64_t netns_ino, uint64_t seq, bool heard)
{
	struct next *next = find_next(netns_ino) ?: add_next(netns_ino, seq);

	if (!next)
		return;
	if (heard && seq < next->seq && !is_late(next, seq))
		renew(next);
	if (seq > next->seq)
		print_loss(netns_ino, seq - next->seq);
	if (seq + heard > next->seq) {
		next->seq = seq + heard;
		next->told = !heard;
	}
}

/* What is told is never less than what has been heard of one namespace. */
static void notice_new(const struct config_list *told)
{
	struct next *next;
	size_t i;

	for (i = 0; i < told->n; i++) {
		next = find_next(told->items[i].netns_ino.value);
		if (next && told->items[i].alert_seq.known &&
		    told->items[i].alert_seq.value + 1 < next->seq)
			renew(next);
	}
}

/* Whether it changes anything to what is in force. */
static bool is_news(const struct alert *alert)
{
	struct alert *old = find(alert);
	bool clear = alert->severity.value == TCPSTATE_SEVERITY_CLEAR;

	if (old && old->severity.value == alert->severity.value &&
	    (old->trend.value == alert->trend.value ||
	     alert->trend.value == TCPSTATE_TREND_STEADY))
		return false;
	if (old && clear)
		forget(old);
	else if (old)
		*old = *alert;
	else if (!clear)
		alert_add(&monitor.in_force, alert);
	return true;
}

/* Each message of these tells of refusals of its own. */
static bool is_count(const struct alert *alert)
{
	return alert->event.value == TCPSTATE_EVENT_PORT_EXHAUSTED ||
	       alert->event.value == TCPSTATE_EVENT_BIND_EXHAUSTED;
}

/* Is it a process's doing? */
static bool is_someones(const struct alert *alert)
{
	return is_count(alert) ||
	       (alert->event.value == TCPSTATE_EVENT_CLOSE_WAIT_LEAK &&
		alert->severity.value != TCPSTATE_SEVERITY_CLEAR);
}

/*
 * A message names no process, as anybody may listen; who was refused last, or
 * leaks, is told to those who may know when they ask. Once for all of a batch.
 */
static void name_processes(struct alert_list *edges)
{
	struct alert_list now = { 0 };
	bool asked = false;
	size_t i, j;

	for (i = 0; i < edges->n && !monitor.over; i++) {
		if (!is_someones(&edges->items[i]))
			continue;
		if (!asked && alert_get(monitor.all_netns, &now))
			end(OUT_FAILED);
		asked = true;
		for (j = 0; j < now.n; j++)
			if (alert_same(&now.items[j], &edges->items[i]))
				edges->items[i].process = now.items[j].process;
	}
	alert_forget(&now);
}

static void take_edges(struct alert_list *edges)
{
	const struct alert *alert;
	size_t i;

	name_processes(edges);
	for (i = 0; i < edges->n && !monitor.over; i++) {
		alert = &edges->items[i];
		if (alert->seq.known)
			count_seq(alert->key.netns_ino.value, alert->seq.value,
				  true);
		if (is_news(alert) || is_count(alert))
			print_alert(alert, true);
	}
	edges->n = 0;
}

static int report_end(void)
{
	return out_fail(OUT_FAILED,
			"the tcpstate module has been unloaded: start this again when it is back");
}

/* Return true when something did not fit. */
static bool hear_all(void)
{
	struct alert_list edges = { 0 };
	struct module_reader reader = { .message = alert_read, .arg = &edges };
	enum heard heard = HEARD_SOMETHING;
	bool loss = false;

	/* Since the last time some may have got a name, or another one. */
	netns_forget();
	while (heard != HEARD_NOTHING && !monitor.over) {
		heard = module_hear(&reader);
		if (heard != HEARD_SOMETHING || edges.n >= BATCH)
			take_edges(&edges);
		if (heard == HEARD_LOSS)
			loss = true;
		else if (heard == HEARD_ERROR)
			end(OUT_FAILED);
		else if (heard == HEARD_END)
			end(report_end());
	}
	alert_forget(&edges);
	return loss;
}

/* Find out what has changed, and tell it. */
static int ask_in_force(void)
{
	struct alert_list now = { 0 };
	struct alert_list *old = &monitor.in_force;
	struct alert clear;
	size_t i, j;
	int code;

	code = alert_get(monitor.all_netns, &now);
	for (i = 0; !code && i < old->n;) {
		for (j = 0; j < now.n; j++)
			if (alert_same(&old->items[i], &now.items[j]))
				break;
		if (j < now.n) {
			i++;
			continue;
		}
		clear = (struct alert){
			.key = old->items[i].key,
			.event = old->items[i].event,
			.severity = number_known(TCPSTATE_SEVERITY_CLEAR),
		};
		forget(&old->items[i]);
		if (!is_count(&clear))
			print_alert(&clear, false);
	}
	for (i = 0; !code && i < now.n; i++)
		if (is_news(&now.items[i]))
			print_alert(&now.items[i], false);
	alert_forget(&now);
	return code;
}

/*
 * All that was sent up to the numbers told now is either in the socket or lost,
 * so after reading the socket the difference is what was lost.
 */
static int catch_up(void)
{
	struct config_list sent = { 0 };
	int code = OUT_DONE;
	bool loss = true;
	size_t i;

	while (!code && loss && !monitor.over) {
		config_forget(&sent);
		code = config_get(monitor.all_netns, &sent);
		notice_new(&sent);
		loss = hear_all();
		for (i = 0; i < sent.n && !monitor.over; i++)
			if (sent.items[i].alert_seq.known)
				count_seq(sent.items[i].netns_ino.value,
					  sent.items[i].alert_seq.value + 1, false);
		if (!code && !monitor.over)
			code = ask_in_force();
	}
	config_forget(&sent);
	return code;
}

static void watch(void)
{
	struct pollfd fds[] = {
		{ .fd = module_listen_fd(), .events = POLLIN },
		{ .fd = wake[0], .events = POLLIN },
		/* Nobody at the other end any more: told without asking. */
		{ .fd = STDOUT_FILENO },
	};
	int code;

	while (!monitor.over) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents || fds[2].revents) {
			end(OUT_DONE);
		} else if (fds[0].revents && hear_all()) {
			code = catch_up();
			if (code)
				end(code);
		}
	}
}

static int run(const struct request *request)
{
	int code;

	if (request->argc)
		return command_unknown_filter(&monitor_command,
					      request->argv[0]);
	monitor.all_netns = request->all_netns;
	code = catch_signals() ?: module_open() ?:
	       module_listen(request->all_netns) ?: catch_up();
	if (!code) {
		watch();
		code = monitor.code;
	}
	module_close();
	alert_forget(&monitor.in_force);
	free(monitor.next);
	return code;
}

const struct command monitor_command = {
	.name = "monitor",
	.summary = "alerts: those in force, then each as it comes and goes",
	.notes = "The events are port-room (a destination's ports are nearly all taken),\n"
		 "port-exhausted and bind-exhausted (a call was refused for want of a port),\n"
		 "time-wait-limit (mini-sockets near tcp_max_tw_buckets), close-wait-leak (an\n"
		 "application does not close), and lost (messages that this reader missed).",
	.filters = (const struct filter[]){ { 0 } },
	.run = run,
};
