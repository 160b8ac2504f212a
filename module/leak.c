// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that the application does not close: CLOSE_WAIT for too long.
 *
 * The first connection to enter CLOSE_WAIT arms a timer, which looks at the
 * oldest of each namespace and comes again when that could be too old. There is
 * no timer while there is no such connection. What is too old is looked at by
 * alert.c, every second until it is over.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/ratelimit.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "leak.h"
#include "owner.h"
#include "tcpstate.h"

/* The alert clears when the oldest is so much younger than the warning. */
#define CLEAR_PERCENT	90
/* Is it more or less than so long ago? And than ten times as long, and so on: what
 * leaks slowly shows in the longer ones alone.
 */
#define TREND_PERIOD	(10 * HZ)
#define TREND_FACTOR	10
/* The timer comes at least so often. */
#define MAX_PERIOD	(3600 * HZ)

unsigned int tcpstate_leak_inbox_max __read_mostly;

static void leak_check(struct work_struct *work);
static DECLARE_DELAYED_WORK(leak_work, leak_check);

/**
 * tcpstate_leak_arm() - there is a connection in CLOSE_WAIT
 *
 * Context: any below hard interrupt.
 */
void tcpstate_leak_arm(void)
{
	WRITE_ONCE(tcpstate_leak_inbox_max, TCPSTATE_LEAK_INBOX_MAX);
	schedule_delayed_work(&leak_work, HZ);
}

/**
 * tcpstate_leak_check() - have the oldest looked at now
 *
 * Context: any.
 */
void tcpstate_leak_check(void)
{
	/* Not mod_delayed_work(), which wants to be told on which queue. */
	cancel_delayed_work(&leak_work);
	schedule_delayed_work(&leak_work, 0);
}

/* Jiffies until what began at @oldest has lasted @seconds: 0 if it has. */
static unsigned long time_left(u64 oldest, u64 now, u32 seconds)
{
	u64 due = oldest + (u64)seconds * NSEC_PER_SEC;

	return due > now ? nsecs_to_jiffies(due - now) + 1 : 0;
}

static void leak_check(struct work_struct *work)
{
	/* As for a namespace that is made meanwhile. */
	unsigned long next = min_t(u64, MAX_PERIOD, (u64)HZ *
				   tcpstate_alert_default(TCPSTATE_CLOSE_WAIT_WARNING));
	unsigned long left;
	struct tcpstate_netns *netns;
	bool any = false;
	u64 id = 0, oldest;
	u32 warning;

	/* What enters CLOSE_WAIT from here on arms the timer again, and what
	 * was about to has entered it.
	 */
	WRITE_ONCE(tcpstate_leak_inbox_max, 0);
	synchronize_rcu();
	for (;;) {
		mutex_lock(&tcpstate_netns_mutex);
		netns = tcpstate_netns_next(id);
		mutex_unlock(&tcpstate_netns_mutex);
		if (!netns)
			break;
		id = netns->id + 1;
		oldest = tcpstate_count_oldest(netns, TCPSTATE_AGE_CLOSE_WAIT);
		any |= oldest;
		warning = READ_ONCE(netns->thresholds[TCPSTATE_CLOSE_WAIT_WARNING]);
		/* What enters it from now on has that long, and hurries nobody. */
		next = min(next, (unsigned long)warning * HZ);
		if (oldest) {
			left = time_left(oldest, ktime_get_ns(), warning);
			/* While it is looked at, that is not for us to do. */
			if (left)
				next = min(next, left);
			else
				tcpstate_alert_due(&netns->watch);
		}
		put_net(netns->net);
		cond_resched();
	}
	if (!any)
		return;
	WRITE_ONCE(tcpstate_leak_inbox_max, TCPSTATE_LEAK_INBOX_MAX);
	schedule_delayed_work(&leak_work, next);
}

/**
 * struct leak_walk - one look at what is in CLOSE_WAIT
 * @netns: the namespace
 * @before: what entered it before is too old, for a warning, for a critical
 * @over: how many are
 * @unaccepted: how many of these nobody has accepted
 * @oldest: when the oldest entered it; 0 without any
 * @sport: its local port
 * @owner: its owner; good while tcpstate_owner_mutex is held
 */
struct leak_walk {
	const struct tcpstate_netns	*netns;
	u64				before[TCPSTATE_SEVERITY_CRITICAL];
	u32				over[TCPSTATE_SEVERITY_CRITICAL];
	u32				unaccepted[TCPSTATE_SEVERITY_CRITICAL];
	u64				oldest;
	u16				sport;
	struct tcpstate_owner		*owner;
};

static void leak_conn(struct tcpstate_conn *conn, void *arg)
{
	struct leak_walk *walk = arg;
	struct tcpstate_owner *owner;
	u64 since = READ_ONCE(conn->since);
	unsigned int i;
	bool unaccepted;

	if ((READ_ONCE(conn->status) & TCPSTATE_CONN_STATE) != TCP_CLOSE_WAIT ||
	    READ_ONCE(conn->home)->netns != walk->netns)
		return;
	if (since > walk->before[0] && walk->oldest && since >= walk->oldest)
		return;
	owner = tcpstate_owner_holder(conn, &unaccepted);
	for (i = 0; i < ARRAY_SIZE(walk->before); i++) {
		if (since > walk->before[i])
			continue;
		walk->over[i]++;
		walk->unaccepted[i] += unaccepted;
	}
	if (!walk->oldest || since < walk->oldest) {
		const struct sock *sk = conn->obj;

		walk->oldest = since;
		walk->sport = ntohs(inet_sk(sk)->inet_sport);
		walk->owner = owner;
	}
}

static void leak_walk(struct leak_walk *walk, struct tcpstate_leak *leak)
{
	unsigned long bucket;

	mutex_lock(&tcpstate_owner_mutex);
	for (bucket = 0; tcpstate_conn_next(&bucket); bucket++)
		tcpstate_conn_visit(bucket, leak_conn, walk);
	memcpy(leak->over, walk->over, sizeof(leak->over));
	memcpy(leak->unaccepted, walk->unaccepted, sizeof(leak->unaccepted));
	/* When it clears it tells of the last one that was too old. */
	if (walk->over[0]) {
		leak->oldest = walk->oldest;
		leak->sport = walk->sport;
		tcpstate_process_set(&leak->process, walk->owner,
				     walk->oldest);
	}
	mutex_unlock(&tcpstate_owner_mutex);
}

/**
 * tcpstate_leak_in_force() - the number that goes with the severity of an alert
 * @leak: the alert
 * @numbers: that of the warning, and that of the critical
 *
 * Context: tcpstate_dest_mutex held.
 * Return: the latter if it is critical.
 */
u32 tcpstate_leak_in_force(const struct tcpstate_leak *leak,
			   const u32 *numbers)
{
	return numbers[leak->level.severity == TCPSTATE_SEVERITY_CRITICAL];
}

static void log_leak(const struct tcpstate_netns *netns, u32 threshold)
{
	static const char *const trends[] = {
		[TCPSTATE_TREND_STEADY] = "",
		[TCPSTATE_TREND_GROWING] = "; ever more, and the oldest stays: it leaks",
		[TCPSTATE_TREND_RECOVERING] = "; fewer than before: it is late, but closes them",
	};
	const struct tcpstate_leak *leak = &netns->leak;
	struct tcpstate_process process = {};
	char who[48] = "", queue[80] = "";
	u32 unaccepted;

	if (!__ratelimit((struct ratelimit_state *)&netns->log))
		return;
	if (!leak->level.severity) {
		pr_info("netns %u: clear: no connection in CLOSE_WAIT for %u s\n",
			netns->ino, threshold);
		return;
	}
	if (tcpstate_process_get((struct tcpstate_process *)&leak->process,
				 &process))
		scnprintf(who, sizeof(who), ", of %s[%d]", process.comm,
			  pid_nr(process.pid));
	tcpstate_process_put(&process);
	unaccepted = tcpstate_leak_in_force(leak, leak->unaccepted);
	if (unaccepted)
		scnprintf(queue, sizeof(queue),
			  "; %u never accepted: the accept queue is not being drained",
			  unaccepted);
	pr_warn("netns %u: %s: %u in CLOSE_WAIT for more than %u s, the oldest for %llu s on port %u%s%s%s\n",
		netns->ino, leak->level.severity == TCPSTATE_SEVERITY_CRITICAL ?
		"critical" : "warning", tcpstate_leak_in_force(leak, leak->over),
		threshold,
		div_u64(ktime_get_ns() - leak->oldest, NSEC_PER_SEC),
		leak->sport, who, queue, trends[leak->trend]);
}

/**
 * tcpstate_leak_fill() - what the last look at a namespace found
 * @netns: the namespace
 * @alert: filled in
 *
 * Context: process context, tcpstate_dest_mutex held.
 */
void tcpstate_leak_fill(struct tcpstate_netns *netns,
			struct tcpstate_alert *alert)
{
	alert->event = TCPSTATE_EVENT_CLOSE_WAIT_LEAK;
	alert->netns = netns;
	alert->eta_ms = U64_MAX;
	alert->count = tcpstate_leak_in_force(&netns->leak, netns->leak.over);
	alert->process = &netns->leak.process;
	alert->leak = &netns->leak;
}

/* False if it cannot be told for want of memory: then it has not happened yet. */
static bool leak_edge(struct tcpstate_netns *netns, struct net *net,
		      enum tcpstate_severity severity, u32 threshold)
{
	struct tcpstate_alert alert = {
		.severity = severity,
		.threshold = threshold,
	};
	struct tcpstate_level was = netns->leak.level;

	netns->leak.level.severity = severity;
	netns->leak.level.since = ktime_get_ns();
	tcpstate_leak_fill(netns, &alert);
	if (!tcpstate_netlink_alert(net, &alert)) {
		netns->leak.level = was;
		return false;
	}
	log_leak(netns, threshold);
	return true;
}

/* It leaks if there were more each time and the oldest has been there all along: a
 * handler that is late with each has others then. With fewer it has closed some.
 */
static enum tcpstate_trend span_trend(const struct tcpstate_leak_span *span,
				      const struct tcpstate_leak *leak)
{
	u32 over = leak->over[0], before = span->marks[0].over;

	if (over > before && before > span->marks[1].over &&
	    leak->oldest == span->marks[1].oldest)
		return TCPSTATE_TREND_GROWING;
	if (over < before && over <= span->marks[1].over)
		return TCPSTATE_TREND_RECOVERING;
	return TCPSTATE_TREND_STEADY;
}

static void span_mark(struct tcpstate_leak_span *span,
		      const struct tcpstate_leak *leak)
{
	span->marks[1] = span->marks[0];
	span->marks[0].over = leak->over[0];
	span->marks[0].oldest = leak->oldest;
	span->marked_at = jiffies;
}

/* A leak has no trend when it begins. */
static void trend_begin(struct tcpstate_leak *leak)
{
	int i;

	leak->trend = TCPSTATE_TREND_STEADY;
	leak->said = 0;
	for (i = 0; i < TCPSTATE_LEAK_SPANS; i++) {
		span_mark(&leak->spans[i], leak);
		span_mark(&leak->spans[i], leak);
		leak->spans[i].trend = TCPSTATE_TREND_STEADY;
	}
}

/* Growing is more than recovering: a slow leak is one all the same where now and
 * then some are closed. What has changed since the last marks is not waited for.
 */
static enum tcpstate_trend trend_now(struct tcpstate_leak *leak)
{
	enum tcpstate_trend trend = TCPSTATE_TREND_STEADY;
	unsigned long period = TREND_PERIOD;
	struct tcpstate_leak_span *span;
	int i;

	for (i = 0; i < TCPSTATE_LEAK_SPANS; i++, period *= TREND_FACTOR) {
		span = &leak->spans[i];
		if (time_after_eq(jiffies, span->marked_at + period)) {
			span->trend = span_trend(span, leak);
			span_mark(span, leak);
		}
		if (span->trend == TCPSTATE_TREND_GROWING &&
		    leak->over[0] >= span->marks[0].over &&
		    leak->oldest == span->marks[1].oldest)
			return TCPSTATE_TREND_GROWING;
		if (span->trend == TCPSTATE_TREND_RECOVERING &&
		    leak->over[0] <= span->marks[0].over)
			trend = TCPSTATE_TREND_RECOVERING;
	}
	return trend;
}

/* More, or fewer, than a while ago? That changes no severity, but says what the
 * one in force is about.
 */
static void leak_follow(struct tcpstate_netns *netns, struct net *net)
{
	const u32 *at = &netns->thresholds[TCPSTATE_CLOSE_WAIT_WARNING];
	struct tcpstate_leak *leak = &netns->leak;
	enum tcpstate_trend was = leak->trend;
	struct tcpstate_alert alert = {
		.severity = leak->level.severity,
		.threshold = tcpstate_leak_in_force(leak, at),
	};

	leak->trend = trend_now(leak);
	/* Each of the two is said once. */
	if (leak->trend == was || leak->trend == TCPSTATE_TREND_STEADY ||
	    (leak->said & BIT(leak->trend)))
		return;
	tcpstate_leak_fill(netns, &alert);
	if (!tcpstate_netlink_alert(net, &alert))
		return;	/* no memory; who asks is told all the same */
	leak->said |= BIT(leak->trend);
	log_leak(netns, alert.threshold);
}

/**
 * tcpstate_leak_look() - does a namespace leak?
 * @netns: the namespace
 * @net: the same, held by the caller
 *
 * Says every edge. The cost grows with connections, when there is a leak.
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: whether to look again in a second.
 */
bool tcpstate_leak_look(struct tcpstate_netns *netns, struct net *net)
{
	const u32 *at = &netns->thresholds[TCPSTATE_CLOSE_WAIT_WARNING];
	struct tcpstate_leak *leak = &netns->leak;
	u64 now = ktime_get_ns(), oldest;
	struct leak_walk walk = { .netns = netns };
	unsigned int i;
	bool told = true;

	oldest = tcpstate_count_oldest(netns, TCPSTATE_AGE_CLOSE_WAIT);
	if (!leak->level.severity &&
	    (!oldest || time_left(oldest, now, at[0])))
		return false;

	for (i = 0; i < ARRAY_SIZE(walk.before); i++)
		walk.before[i] = now - min_t(u64, now,
					     (u64)at[i] * NSEC_PER_SEC);
	leak_walk(&walk, leak);
	if (!leak->level.severity)
		trend_begin(leak);
	while (told && leak->level.severity < TCPSTATE_SEVERITY_CRITICAL &&
	       walk.oldest &&
	       !time_left(walk.oldest, now, at[leak->level.severity]))
		told = leak_edge(netns, net, leak->level.severity + 1,
				 at[leak->level.severity]);
	if (leak->level.severity &&
	    (!walk.oldest || time_left(walk.oldest, now,
				       (u64)at[0] * CLEAR_PERCENT / 100)) &&
	    leak_edge(netns, net, TCPSTATE_SEVERITY_CLEAR, at[0]))
		tcpstate_leak_check();
	if (leak->level.severity)
		leak_follow(netns, net);
	return !told || leak->level.severity;
}

/**
 * tcpstate_leak_exit() - the timer does not come again
 *
 * Context: process context, every hook gone. Sleeps.
 */
void tcpstate_leak_exit(void)
{
	cancel_delayed_work_sync(&leak_work);
}
