// SPDX-License-Identifier: GPL-2.0
/*
 * Alerts: edges with hysteresis, and refusals, told once.
 *
 * A probe only puts what may deserve a look into a queue, where a number has
 * reached a trigger or a call has been refused. A work item looks: it reads
 * what is exact, sends what there is to send, and sets the next trigger. What
 * is near a threshold or has an alert in force is looked at again every second;
 * without such there is no timer. (A warning at the very first TIME_WAIT or so
 * is always near.)
 *
 * An alert rises through every threshold on its way, and clears when its number
 * is well below the first one. It does not step down: what has been critical
 * is so until it clears. Refusals do not clear, but are in force for a minute.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitfield.h>
#include <linux/inet.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/workqueue.h>
#include <net/ip.h>

#include "compat.h"
#include "leak.h"
#include "tcpstate.h"

#define LOOK_PERIOD	HZ
/* For how long a refusal is in force, and how often one line tells of them. */
#define REFUSED_PERIOD	(60 * HZ)
/* An alert clears so many percent below its warning, or at half of it. */
#define CLEAR_BELOW	10
/* As long as it is not known what bind() has taken of the range, the first
 * look at a destination is at this part of its warning.
 */
#define FLOOR_PART	8

static uint defaults[TCPSTATE_THRESHOLDS] = {
	[TCPSTATE_PORT_ROOM_WARNING]	= 80,
	[TCPSTATE_PORT_ROOM_CRITICAL]	= 95,
	[TCPSTATE_TIME_WAIT_WARNING]	= 80,
	[TCPSTATE_TIME_WAIT_CRITICAL]	= 95,
	[TCPSTATE_CLOSE_WAIT_WARNING]	= 60,
	[TCPSTATE_CLOSE_WAIT_CRITICAL]	= 600,
};
module_param_named(port_room_warning, defaults[TCPSTATE_PORT_ROOM_WARNING],
		   uint, 0444);
MODULE_PARM_DESC(port_room_warning, "Percent of a destination's ports in use, default of each namespace (80)");
module_param_named(port_room_critical, defaults[TCPSTATE_PORT_ROOM_CRITICAL],
		   uint, 0444);
MODULE_PARM_DESC(port_room_critical, "Likewise (95)");
module_param_named(time_wait_warning, defaults[TCPSTATE_TIME_WAIT_WARNING],
		   uint, 0444);
MODULE_PARM_DESC(time_wait_warning, "Percent of tcp_max_tw_buckets, default of each namespace (80)");
module_param_named(time_wait_critical, defaults[TCPSTATE_TIME_WAIT_CRITICAL],
		   uint, 0444);
MODULE_PARM_DESC(time_wait_critical, "Likewise (95)");
module_param_named(close_wait_warning, defaults[TCPSTATE_CLOSE_WAIT_WARNING],
		   uint, 0444);
MODULE_PARM_DESC(close_wait_warning, "Seconds in CLOSE_WAIT, default of each namespace (60)");
module_param_named(close_wait_critical, defaults[TCPSTATE_CLOSE_WAIT_CRITICAL],
		   uint, 0444);
MODULE_PARM_DESC(close_wait_critical, "Likewise (600)");

static LLIST_HEAD(alert_due);
static LIST_HEAD(alert_watched);	/* by id; under tcpstate_dest_mutex */
static u64 alert_last_id;		/* likewise */
static bool alert_stopped;		/* likewise */
/* What there is of ports must have been read since, for this look; likewise. Not
 * since a moment ago: where reading takes longer than that, it would be done for
 * each destination.
 */
static u64 look_since;

static void look_now(struct work_struct *work);
static void look_again(struct work_struct *work);
static DECLARE_WORK(now_work, look_now);
static DECLARE_DELAYED_WORK(again_work, look_again);

/**
 * tcpstate_alert_default() - a threshold of a namespace that is made
 * @threshold: which
 *
 * Return: its value, in its own unit.
 */
u32 tcpstate_alert_default(enum tcpstate_threshold threshold)
{
	return defaults[threshold];
}

/**
 * tcpstate_alert_thresholds_bad() - check thresholds before they are set
 * @thresholds: by enum tcpstate_threshold
 *
 * Return: a sentence on what is wrong with them, or NULL.
 */
const char *tcpstate_alert_thresholds_bad(const u32 *thresholds)
{
	int i;

	for (i = 0; i < TCPSTATE_THRESHOLDS; i++) {
		if (!thresholds[i])
			return "a threshold of 0 would always be reached";
		if (i < TCPSTATE_CLOSE_WAIT_WARNING && thresholds[i] > 100)
			return "a percentage is 100 at most";
	}
	for (i = 0; i < TCPSTATE_THRESHOLDS; i += 2)
		if (thresholds[i] > thresholds[i + 1])
			return "a warning must not be above its critical";
	return NULL;
}

/**
 * tcpstate_alert_thresholds_set() - set the thresholds of a namespace
 * @netns: the namespace
 * @thresholds: by enum tcpstate_threshold, checked
 *
 * What they are about is looked at right away.
 *
 * Context: process context, tcpstate_dest_mutex held.
 */
void tcpstate_alert_thresholds_set(struct tcpstate_netns *netns,
				   const u32 *thresholds)
{
	struct tcpstate_dest *dest;
	unsigned long bucket = 0;
	u64 id = 0;
	int i;

	for (i = 0; i < TCPSTATE_THRESHOLDS; i++)
		WRITE_ONCE(netns->thresholds[i], thresholds[i]);
	tcpstate_alert_due(&netns->watch);
	tcpstate_leak_check();
	while ((dest = tcpstate_dest_next(&bucket, &id)))
		if (dest->netns == netns)
			tcpstate_alert_due(&dest->watch);
}

/**
 * tcpstate_alert_netns() - whose namespace something that is watched is
 * @watch: it
 *
 * Return: the namespace.
 */
struct tcpstate_netns *tcpstate_alert_netns(struct tcpstate_watch *watch)
{
	if (test_bit(TCPSTATE_WATCH_NETNS, &watch->flags))
		return container_of(watch, struct tcpstate_netns, watch);
	return container_of(watch, struct tcpstate_dest, watch)->netns;
}

/* A destination stays as long as any of its flags is set; a namespace is
 * referenced for as long.
 */
static void watch_get(struct tcpstate_watch *watch)
{
	if (test_bit(TCPSTATE_WATCH_NETNS, &watch->flags))
		refcount_inc(&tcpstate_alert_netns(watch)->refs);
}

static void watch_put(struct tcpstate_watch *watch)
{
	if (test_bit(TCPSTATE_WATCH_NETNS, &watch->flags))
		tcpstate_netns_put(tcpstate_alert_netns(watch));
}

/**
 * tcpstate_alert_due() - something deserves a look now
 * @watch: what hangs on it
 *
 * Context: any below hard interrupt, what @watch is of being held or in use.
 */
void tcpstate_alert_due(struct tcpstate_watch *watch)
{
	if (test_bit(TCPSTATE_WATCH_DUE, &watch->flags) ||
	    test_and_set_bit(TCPSTATE_WATCH_DUE, &watch->flags))
		return;
	watch_get(watch);
	llist_add(&watch->due, &alert_due);
	schedule_work(&now_work);
}

/* Of those of one spell no two in a row are further apart. */
static u64 spell_ns(void)
{
	return jiffies_to_nsecs(REFUSED_PERIOD);
}

/* Is a refusal at @when of the spell that the last look has seen? */
static bool spell_goes_on(const struct tcpstate_refusals *refusals, u64 when)
{
	return READ_ONCE(refusals->since) &&
	       (s64)(when - READ_ONCE(refusals->seen)) < (s64)spell_ns();
}

/**
 * tcpstate_alert_refused() - a call has been refused
 * @watch: what hangs on who is told of it
 * @refusals: among these
 *
 * Context: as tcpstate_alert_due().
 */
void tcpstate_alert_refused(struct tcpstate_watch *watch,
			    const struct tcpstate_refusals *refusals)
{
	smp_mb__after_atomic();	/* it has been counted; pairs with look_at() */
	/* The first is told at once. The others wait for the next look, where
	 * there is one every second: looking is not to be most of what is done.
	 */
	if (!test_bit(TCPSTATE_WATCH_WATCHED, &watch->flags) ||
	    !spell_goes_on(refusals, READ_ONCE(refusals->last.when)))
		tcpstate_alert_due(watch);
}

/* Where a destination is, for the log. */
static void dest_print(const struct tcpstate_dest *dest, char *text,
		       size_t size)
{
	const struct tcpstate_dest_key *key = &dest->key;
	u16 port = ntohs((__force __be16)FIELD_GET(TCPSTATE_KEY_PORT,
						   key->rest));
	u32 device = FIELD_GET(TCPSTATE_KEY_DEVICE, key->rest);
	int len;

	if (FIELD_GET(TCPSTATE_KEY_FAMILY, key->rest) == AF_INET)
		len = scnprintf(text, size, "from %pI4 to %pI4:%u",
				(u8 *)key->addr, (u8 *)key->addr + 4, port);
	else
		len = scnprintf(text, size, "from %pI6c to [%pI6c]:%u",
				&key->addr[0], &key->addr[2], port);
	if (device)
		scnprintf(text + len, size - len, " by device %u", device);
}

static void log_level(const struct tcpstate_alert *alert)
{
	static const char *const severities[] = {
		[TCPSTATE_SEVERITY_CLEAR] = "clear",
		[TCPSTATE_SEVERITY_WARNING] = "warning",
		[TCPSTATE_SEVERITY_CRITICAL] = "critical",
	};
	unsigned int percent = alert->capacity ?
		div64_u64(100 * (alert->used - alert->reusable),
			  alert->capacity) : 0;
	char what[128] = "in TIME_WAIT, of tcp_max_tw_buckets", eta[32] = "";
	const char *severity = severities[alert->severity];

	if (!__ratelimit(&alert->netns->log))
		return;
	if (alert->dest)
		dest_print(alert->dest, what, sizeof(what));
	if (alert->severity && alert->eta_ms && alert->eta_ms != U64_MAX)
		scnprintf(eta, sizeof(eta), ", full in %llu s",
			  div_u64(alert->eta_ms, MSEC_PER_SEC));
	if (!alert->severity)
		pr_info("netns %u: clear: %s %llu of %llu (%u %%) %s\n",
			alert->netns->ino, alert->dest ? "ports" : "sockets",
			alert->used - alert->reusable, alert->capacity, percent,
			what);
	else
		pr_warn("netns %u: %s: %s %llu of %llu (%u %%) %s%s\n",
			alert->netns->ino, severity,
			alert->dest ? "ports" : "sockets",
			alert->used - alert->reusable, alert->capacity, percent,
			what, eta);
}

static void log_refused(const struct tcpstate_alert *alert)
{
	struct tcpstate_process process;
	char what[128] = "";

	if (!tcpstate_process_get(alert->process, &process))
		return;
	if (alert->dest) {
		dest_print(alert->dest, what, sizeof(what));
		pr_warn("netns %u: no port left %s: %llu connect() refused, last of %s[%d]; %llu of %llu ports in use, %u of them in TIME_WAIT, %llu reusable\n",
			alert->netns->ino, what, alert->count, process.comm,
			pid_nr(process.pid), alert->used, alert->capacity,
			max(atomic_read(&alert->dest->time_wait), 0),
			alert->reusable);
	} else {
		pr_warn("netns %u: no port left to bind: %llu bind() to port 0 refused, last of %s[%d]\n",
			alert->netns->ino, alert->count, process.comm,
			pid_nr(process.pid));
	}
	tcpstate_process_put(&process);
}

/* @level becomes @severity, at @threshold. What cannot be told for want of
 * memory has not happened yet: the next look is soon.
 */
static bool level_set(struct net *net, struct tcpstate_level *level,
		      struct tcpstate_alert *alert, u8 severity, u32 threshold)
{
	alert->threshold = threshold;
	alert->severity = severity;
	if (!tcpstate_netlink_alert(net, alert))
		return false;
	level->since = ktime_get_ns();
	level->severity = severity;
	log_level(alert);
	return true;
}

/* Let @level follow @value of @whole, whose thresholds, in percent, are @at;
 * say every edge. Return the number at which the next one is.
 */
static u64 level_update(struct net *net, struct tcpstate_level *level,
			struct tcpstate_alert *alert, u64 value, u64 whole,
			const u32 *at)
{
	u32 clear = at[0] > CLEAR_BELOW ? at[0] - CLEAR_BELOW : at[0] / 2;

	while (level->severity < TCPSTATE_SEVERITY_CRITICAL &&
	       value * 100 >= whole * READ_ONCE(at[level->severity]))
		if (!level_set(net, level, alert, level->severity + 1,
			       at[level->severity]))
			break;
	if (level->severity && value * 100 <= whole * clear)
		level_set(net, level, alert, TCPSTATE_SEVERITY_CLEAR, clear);
	if (level->severity == TCPSTATE_SEVERITY_CRITICAL)
		return U64_MAX;
	return div_u64(whole * at[level->severity] + 99, 100);
}

static bool refused_lately(const struct tcpstate_refusals *refusals)
{
	return atomic64_read(&refusals->count) &&
	       ktime_get_ns() - READ_ONCE(refusals->last.when) < spell_ns();
}

/* When the spell began that the last refusal is of: if it began after the last
 * look, the last is all that is known of it.
 */
static u64 refused_since(const struct tcpstate_refusals *refusals)
{
	u64 when = READ_ONCE(refusals->last.when);

	return spell_goes_on(refusals, when) ? refusals->since : when;
}

/* Say how many of @count have been refused since it was said last. Return
 * whether to look again. A line that the limit on lines holds back is not waited
 * for longer than there would be news in it.
 */
static bool refusals_update(struct net *net, struct tcpstate_refusals *refusals,
			    struct tcpstate_alert *alert, u64 count)
{
	alert->severity = TCPSTATE_SEVERITY_CRITICAL;
	alert->total = count;
	alert->process = &refusals->last;
	if (count) {
		u64 when = READ_ONCE(refusals->last.when);

		/* Pair with the READ_ONCE()s of spell_goes_on(). */
		if (!spell_goes_on(refusals, when))
			WRITE_ONCE(refusals->since, when);
		WRITE_ONCE(refusals->seen, when);
	}
	if (count != refusals->told &&
	    (!refusals->told ||
	     time_after_eq(jiffies, refusals->told_at + HZ))) {
		alert->count = count - refusals->told;
		if (tcpstate_netlink_alert(net, alert)) {
			refusals->told = count;
			refusals->told_at = jiffies;
		}
	}
	if (count != refusals->logged &&
	    (!refusals->logged ||
	     time_after_eq(jiffies, refusals->logged_at + REFUSED_PERIOD))) {
		alert->count = count - refusals->logged;
		if (__ratelimit(&alert->netns->log)) {
			log_refused(alert);
			refusals->logged = count;
			refusals->logged_at = jiffies;
		}
	}
	if (refused_lately(refusals))
		return true;
	refusals->logged = count;
	return count != refusals->told;
}

/* The numbers of the last look at @dest. */
static void seen_read(struct tcpstate_alert *alert,
		      const struct tcpstate_dest *dest)
{
	alert->used = dest->seen.used;
	alert->reusable = dest->seen.reusable;
	alert->capacity = dest->seen.capacity;
}

static bool look_dest(struct tcpstate_watch *watch, struct net *net)
{
	struct tcpstate_dest *dest = container_of(watch, struct tcpstate_dest,
						  watch);
	const u32 *at = &dest->netns->thresholds[TCPSTATE_PORT_ROOM_WARNING];
	u32 device = FIELD_GET(TCPSTATE_KEY_DEVICE, dest->key.rest);
	/* Read before the room: who was refused met it full, and so do we. */
	u64 refused = atomic64_read(&dest->refused.count);
	u32 own = max(atomic_read(&dest->conns), 0);
	u32 conns = tcpstate_dest_conns(dest, net), busy = 0;
	struct tcpstate_alert alert = {
		.event = TCPSTATE_EVENT_PORT_ROOM,
		.netns = dest->netns,
		.dest = dest,
		.eta_ms = U64_MAX,
	};
	struct tcpstate_dest_use use;
	struct tcpstate_room *room;
	bool near;
	u64 next;

	room = tcpstate_port_room(dest->netns, net, device, look_since);
	if (!room)
		return true;
	/* Those in use are not more than there are connections. Where there are
	 * no ports, none can become fewer: there are refusals alone.
	 */
	next = room->capacity ?
	       div_u64((u64)room->capacity * at[0] + 99, 100) : U64_MAX;
	near = conns >= next;
	if (near || refused != dest->refused.told ||
	    dest->room_alert.severity) {
		if (tcpstate_dest_use(dest, net, room->read_at, &use))
			return true;
		busy = use.used - use.reusable;
		dest->seen.used = use.used;
		dest->seen.reusable = use.reusable;
		dest->seen.capacity = use.capacity;
		dest->seen.eta_ms = use.eta_ms;
		alert.eta_ms = use.eta_ms;
		seen_read(&alert, dest);
		if (use.capacity)
			next = level_update(net, &dest->room_alert, &alert,
					    busy, use.capacity, at);
		else if (dest->room_alert.severity && !own)
			level_set(net, &dest->room_alert, &alert,
				  TCPSTATE_SEVERITY_CLEAR, at[0]);
		/* Those that take no port of these are not in its way. */
		if (next != U64_MAX)
			next += conns - min(conns, busy);
	} else {
		seen_read(&alert, dest);
	}
	/* What the others have more the sweep will see. */
	if (next != U64_MAX)
		next -= min_t(u64, next, conns - min(conns, own));
	WRITE_ONCE(dest->trigger, min_t(u64, max(next, 1ULL), U32_MAX));

	alert.event = TCPSTATE_EVENT_PORT_EXHAUSTED;
	alert.threshold = 0;
	return refusals_update(net, &dest->refused, &alert, refused) || near ||
	       dest->room_alert.severity;
}

static void time_wait_numbers(const struct net *net,
			      struct tcpstate_alert *alert)
{
	alert->event = TCPSTATE_EVENT_TIME_WAIT_LIMIT;
	alert->used = tcpstate_minis(net);
	/* The kernel compares it as one without a sign: -1 is no limit. */
	alert->capacity =
		(u32)READ_ONCE(net->ipv4.tcp_death_row.sysctl_max_tw_buckets);
}

/* One may be on its way on each CPU. */
static unsigned int uncounted_minis(void)
{
	return TCPSTATE_MINI_UNCOUNTED * num_online_cpus();
}

/* What a birth compares with counts itself, and none of the others (count_mini()). */
static u32 trigger_for(u64 minis)
{
	unsigned int others = TCPSTATE_MINI_UNCOUNTED * (num_online_cpus() - 1);

	return max_t(s64, min_t(u64, minis, U32_MAX) - others, 1);
}

static bool look_time_wait(struct tcpstate_netns *netns, struct net *net)
{
	const u32 *at = &netns->thresholds[TCPSTATE_TIME_WAIT_WARNING];
	struct tcpstate_alert alert = {
		.netns = netns,
		.eta_ms = U64_MAX,
	};
	u64 next = U64_MAX, first;

	time_wait_numbers(net, &alert);
	first = div_u64(alert.capacity * at[0] + 99, 100);
	if (alert.capacity)
		next = level_update(net, &netns->time_wait_alert, &alert,
				    alert.used, alert.capacity, at);
	WRITE_ONCE(netns->time_wait_limit, alert.capacity);
	WRITE_ONCE(netns->time_wait_trigger, trigger_for(next));
	/* Those that it was due for may not have been counted yet. */
	return netns->time_wait_alert.severity ||
	       (alert.capacity && alert.used + uncounted_minis() >= first);
}

static bool look_bind(struct tcpstate_netns *netns, struct net *net)
{
	struct tcpstate_alert alert = {
		.event = TCPSTATE_EVENT_BIND_EXHAUSTED,
		.netns = netns,
		.eta_ms = U64_MAX,
	};

	return refusals_update(net, &netns->bind_refused, &alert,
			       atomic64_read(&netns->bind_refused.count));
}

static bool look_netns(struct tcpstate_watch *watch, struct net *net)
{
	struct tcpstate_netns *netns = container_of(watch, struct tcpstate_netns,
						    watch);
	bool again = look_time_wait(netns, net);

	again |= look_bind(netns, net);
	return tcpstate_leak_look(netns, net) || again;
}

/**
 * tcpstate_alert_read() - is an alert in force?
 * @watch: what it would hang on, watched
 * @event: which alert
 * @alert: filled in with what the last look has found, if it is
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: whether it is.
 */
bool tcpstate_alert_read(struct tcpstate_watch *watch,
			 enum tcpstate_event event,
			 struct tcpstate_alert *alert)
{
	bool of_netns = test_bit(TCPSTATE_WATCH_NETNS, &watch->flags);
	struct tcpstate_netns *netns = tcpstate_alert_netns(watch);
	struct tcpstate_refusals *refusals = NULL;
	struct tcpstate_level *level = NULL;
	struct tcpstate_dest *dest = NULL;

	memset(alert, 0, sizeof(*alert));
	if (!of_netns)
		dest = container_of(watch, struct tcpstate_dest, watch);
	alert->event = event;
	alert->netns = netns;
	alert->dest = dest;
	alert->eta_ms = U64_MAX;
	if (dest) {
		seen_read(alert, dest);
		alert->eta_ms = dest->seen.eta_ms;
	}

	if (event == TCPSTATE_EVENT_PORT_ROOM && dest)
		level = &dest->room_alert;
	else if (event == TCPSTATE_EVENT_PORT_EXHAUSTED && dest)
		refusals = &dest->refused;
	else if (event == TCPSTATE_EVENT_TIME_WAIT_LIMIT && !dest)
		level = &netns->time_wait_alert;
	else if (event == TCPSTATE_EVENT_CLOSE_WAIT_LEAK && !dest)
		level = &netns->leak.level;
	else if (event == TCPSTATE_EVENT_BIND_EXHAUSTED && !dest)
		refusals = &netns->bind_refused;

	if (level && level->severity) {
		if (level == &netns->leak.level)
			tcpstate_leak_fill(netns, alert);
		alert->severity = level->severity;
		alert->since = level->since;
		return true;
	}
	if (refusals && refused_lately(refusals)) {
		alert->severity = TCPSTATE_SEVERITY_CRITICAL;
		alert->since = refused_since(refusals);
		alert->total = atomic64_read(&refusals->count);
		alert->process = &refusals->last;
		return true;
	}
	return false;
}

/**
 * tcpstate_alert_next() - the next of all that is watched
 * @watch: the one before; NULL for the first
 *
 * Context: process context, tcpstate_dest_mutex held all along. May sleep: they
 * can be many.
 * Return: it, or NULL after the last.
 */
struct tcpstate_watch *tcpstate_alert_next(struct tcpstate_watch *watch)
{
	lockdep_assert_held(&tcpstate_dest_mutex);
	cond_resched();
	if (!watch)
		return list_first_entry_or_null(&alert_watched,
						struct tcpstate_watch, watched);
	return list_is_last(&watch->watched, &alert_watched) ? NULL :
	       list_next_entry(watch, watched);
}

/**
 * tcpstate_alert_forget() - nothing hangs on it any more
 * @watch: it, not due
 *
 * Context: process context, tcpstate_dest_mutex held.
 */
void tcpstate_alert_forget(struct tcpstate_watch *watch)
{
	lockdep_assert_held(&tcpstate_dest_mutex);
	if (!test_and_clear_bit(TCPSTATE_WATCH_WATCHED, &watch->flags))
		return;
	list_del(&watch->watched);
	watch_put(watch);
}

static bool untold(struct tcpstate_watch *watch)
{
	const struct tcpstate_refusals *refusals =
		test_bit(TCPSTATE_WATCH_NETNS, &watch->flags) ?
		&tcpstate_alert_netns(watch)->bind_refused :
		&container_of(watch, struct tcpstate_dest, watch)->refused;

	return atomic64_read(&refusals->count) != refusals->told;
}

/* The caller holds what @watch is of. */
static void look_at(struct tcpstate_watch *watch)
{
	struct net *net = alert_stopped ? NULL :
		tcpstate_netns_get_net(tcpstate_alert_netns(watch));
	bool again = false;

	if (net) {
		again = watch->look(watch, net);
		put_net(net);
	}
	if (!again) {
		tcpstate_alert_forget(watch);
		/* Who was refused since the look began relied on another one.
		 * Pairs with tcpstate_alert_refused().
		 */
		smp_mb();
		if (net && untold(watch))
			tcpstate_alert_due(watch);
	} else if (!test_and_set_bit(TCPSTATE_WATCH_WATCHED, &watch->flags)) {
		watch_get(watch);
		watch->id = ++alert_last_id;
		list_add_tail(&watch->watched, &alert_watched);
	}
	cond_resched();
}

static void look_now(struct work_struct *work)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&alert_due));
	struct tcpstate_watch *watch, *next;

	mutex_lock(&tcpstate_dest_mutex);
	look_since = ktime_get_ns() - jiffies_to_nsecs(LOOK_PERIOD - 1);
	llist_for_each_entry_safe(watch, next, first, due) {
		/* From here on what happens makes it due once more. It stays:
		 * what frees it waits for the mutex, or for the reference.
		 */
		clear_bit(TCPSTATE_WATCH_DUE, &watch->flags);
		smp_mb__after_atomic();	/* before what is looked at is read */
		look_at(watch);
		watch_put(watch);
	}
	if (!list_empty(&alert_watched))
		schedule_delayed_work(&again_work, LOOK_PERIOD);
	mutex_unlock(&tcpstate_dest_mutex);
}

static void look_again(struct work_struct *work)
{
	struct tcpstate_watch *watch, *next;
	unsigned long begin;

	mutex_lock(&tcpstate_dest_mutex);
	begin = jiffies;
	look_since = ktime_get_ns() - jiffies_to_nsecs(LOOK_PERIOD - 1);
	list_for_each_entry_safe(watch, next, &alert_watched, watched) {
		watch_get(watch);
		look_at(watch);
		watch_put(watch);
	}
	/* Looking is never most of what a CPU does. */
	if (!list_empty(&alert_watched))
		schedule_delayed_work(&again_work, LOOK_PERIOD +
				      8 * (jiffies - begin));
	mutex_unlock(&tcpstate_dest_mutex);
}

/**
 * tcpstate_alert_room_floor() - how many connections are worth a first look
 * @netns: the namespace
 * @ports: in its range
 *
 * Return: how many.
 */
u32 tcpstate_alert_room_floor(const struct tcpstate_netns *netns, u32 ports)
{
	u32 warning = READ_ONCE(netns->thresholds[TCPSTATE_PORT_ROOM_WARNING]);

	return max(ports * warning / (100 * FLOOR_PART), 1U);
}

/**
 * tcpstate_alert_dest_init() - prepare a destination for alerts
 * @dest: the destination, all of it 0 that is about alerts
 */
void tcpstate_alert_dest_init(struct tcpstate_dest *dest)
{
	dest->watch.look = look_dest;
}

/**
 * tcpstate_alert_netns_init() - prepare a namespace for alerts
 * @netns: the namespace, all of it 0 that is about alerts
 * @net: the same
 */
void tcpstate_alert_netns_init(struct tcpstate_netns *netns,
			       const struct net *net)
{
	struct tcpstate_alert alert;

	memcpy(netns->thresholds, defaults, sizeof(defaults));
	netns->watch.look = look_netns;
	__set_bit(TCPSTATE_WATCH_NETNS, &netns->watch.flags);
	raw_spin_lock_init(&netns->connect_last.lock);
	raw_spin_lock_init(&netns->bind_refused.last.lock);
	raw_spin_lock_init(&netns->leak.process.lock);
	ratelimit_state_init(&netns->log, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_set_flags(&netns->log, RATELIMIT_MSG_ON_RELEASE);
	time_wait_numbers(net, &alert);
	netns->time_wait_limit = alert.capacity;
	netns->time_wait_trigger = trigger_for(div_u64(alert.capacity *
			netns->thresholds[TCPSTATE_TIME_WAIT_WARNING] + 99, 100));
}

/**
 * tcpstate_alert_init() - check the thresholds given as module parameters
 *
 * Return: 0, or -EINVAL after a sentence in the log.
 */
int tcpstate_alert_init(void)
{
	const char *bad = tcpstate_alert_thresholds_bad(defaults);

	if (!bad)
		return 0;
	pr_err("%s: refusing to load\n", bad);
	return -EINVAL;
}

/**
 * tcpstate_alert_stop() - nothing is looked at closely any more
 *
 * While the hooks go, objects may end of which the records are not told.
 *
 * Context: process context, the hooks still there.
 */
void tcpstate_alert_stop(void)
{
	mutex_lock(&tcpstate_dest_mutex);
	alert_stopped = true;
	mutex_unlock(&tcpstate_dest_mutex);
}

/**
 * tcpstate_alert_exit() - nothing is looked at any more afterwards
 *
 * Context: process context, every hook and every record gone.
 */
void tcpstate_alert_exit(void)
{
	struct tcpstate_watch *watch, *next;

	tcpstate_leak_exit();
	cancel_work_sync(&now_work);
	cancel_delayed_work_sync(&again_work);
	/* These two may have had it look once more, and there is nothing. */
	tcpstate_leak_exit();
	mutex_lock(&tcpstate_dest_mutex);
	llist_for_each_entry_safe(watch, next, llist_del_all(&alert_due), due)
		watch_put(watch);
	list_for_each_entry_safe(watch, next, &alert_watched, watched)
		tcpstate_alert_forget(watch);
	mutex_unlock(&tcpstate_dest_mutex);
}
