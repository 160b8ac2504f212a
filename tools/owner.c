// SPDX-License-Identifier: GPL-2.0
/* owner: what processes hold and have made, by name, process, user or cgroup. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "cgroup.h"
#include "command.h"
#include "conn.h"
#include "dest.h"
#include "netns.h"
#include "nl.h"
#include "process.h"
#include "words.h"

static const char *const key_names[] = {
	[TCPSTATE_OWNER_KEY_COMM] = "comm",
	[TCPSTATE_OWNER_KEY_PID] = "pid",
	[TCPSTATE_OWNER_KEY_UID] = "uid",
	[TCPSTATE_OWNER_KEY_CGROUP] = "cgroup",
};

/* The owners of one key. */
struct owner {
	struct number netns_ino, pid, uid, cgroup;
	char comm[COMM_MAX];		/* empty: it has none */
	bool gone;
	struct number hidden;		/* known: these, whoever they are */
	struct number connections, time_wait, fin_wait2, close_wait;
	struct number time_wait_made, close_wait_made;
	struct number time_wait_rate;	/* per 1000 s */
	struct number close_wait_recent;
	struct number oldest_ms, dropped;
};

struct owner_list {
	struct owner *items;
	size_t n, size;
};

static int owner_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_OWNER_MAX + 1] = {
		[TCPSTATE_A_OWNER_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_COMM] = { .type = NLA_STRING },
		[TCPSTATE_A_OWNER_PID] = { .type = NLA_U32 },
		[TCPSTATE_A_OWNER_UID] = { .type = NLA_U32 },
		[TCPSTATE_A_OWNER_CGROUP] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_HIDDEN] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_CONNECTIONS] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_TIME_WAIT] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_TIME_WAIT_MADE] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_TIME_WAIT_RATE] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_FIN_WAIT2] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_CLOSE_WAIT] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_CLOSE_WAIT_MADE] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_CLOSE_WAIT_RECENT] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_OLDEST_CLOSE_WAIT_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_OWNER_DROPPED] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_OWNER_MAX + 1];
	struct owner_list *all = list;
	struct owner *owner;
	size_t size;

	if (nla_parse(tb, TCPSTATE_A_OWNER_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_OWNER_NETNS_INO])
		return -1;
	if (all->n == all->size) {
		size = all->size ? 2 * all->size : 16;
		owner = realloc(all->items, size * sizeof(*owner));
		if (!owner)
			return -ENOMEM;
		all->items = owner;
		all->size = size;
	}
	owner = &all->items[all->n++];
	memset(owner, 0, sizeof(*owner));
	owner->netns_ino = attr_number(tb[TCPSTATE_A_OWNER_NETNS_INO]);
	if (tb[TCPSTATE_A_OWNER_COMM])
		nla_strlcpy(owner->comm, tb[TCPSTATE_A_OWNER_COMM],
			    sizeof(owner->comm));
	owner->pid = attr_u32(tb[TCPSTATE_A_OWNER_PID]);
	owner->uid = attr_u32(tb[TCPSTATE_A_OWNER_UID]);
	owner->cgroup = attr_number(tb[TCPSTATE_A_OWNER_CGROUP]);
	owner->gone = tb[TCPSTATE_A_OWNER_GONE];
	owner->hidden = attr_number(tb[TCPSTATE_A_OWNER_HIDDEN]);
	owner->connections = attr_number(tb[TCPSTATE_A_OWNER_CONNECTIONS]);
	owner->time_wait = attr_number(tb[TCPSTATE_A_OWNER_TIME_WAIT]);
	owner->time_wait_made =
		attr_number(tb[TCPSTATE_A_OWNER_TIME_WAIT_MADE]);
	owner->time_wait_rate =
		attr_number(tb[TCPSTATE_A_OWNER_TIME_WAIT_RATE]);
	owner->fin_wait2 = attr_number(tb[TCPSTATE_A_OWNER_FIN_WAIT2]);
	owner->close_wait = attr_number(tb[TCPSTATE_A_OWNER_CLOSE_WAIT]);
	owner->close_wait_made =
		attr_number(tb[TCPSTATE_A_OWNER_CLOSE_WAIT_MADE]);
	owner->close_wait_recent =
		attr_number(tb[TCPSTATE_A_OWNER_CLOSE_WAIT_RECENT]);
	owner->oldest_ms =
		attr_number(tb[TCPSTATE_A_OWNER_OLDEST_CLOSE_WAIT_MS]);
	owner->dropped = attr_number(tb[TCPSTATE_A_OWNER_DROPPED]);
	return 0;
}

static void owner_forget(void *list)
{
	struct owner_list *all = list;

	free(all->items);
	memset(all, 0, sizeof(*all));
}

/* What those have in common that are asked for. */
struct wanted {
	uint32_t by;
	struct conn_filter one;		/* that one only, if @chosen */
	bool chosen;
};

static bool has_key(const struct owner *owner, uint32_t by)
{
	switch (by) {
	case TCPSTATE_OWNER_KEY_PID:
		return owner->pid.known || *owner->comm;
	case TCPSTATE_OWNER_KEY_UID:
		return owner->uid.known;
	case TCPSTATE_OWNER_KEY_CGROUP:
		return owner->cgroup.known;
	}
	return *owner->comm;
}

static bool is_wanted(const struct owner *owner, const struct wanted *wanted)
{
	const struct conn_filter *one = &wanted->one;

	if (!wanted->chosen)
		return true;
	if (one->comm)
		return !strcmp(owner->comm, one->comm);
	if (one->pid.known)
		return owner->pid.known && owner->pid.value == one->pid.value;
	if (one->uid.known)
		return owner->uid.known && owner->uid.value == one->uid.value;
	return owner->cgroup.known && owner->cgroup.value == one->cgroup.value;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

/* Who made most TIME_WAIT first; those without a name last. */
static int by_made(const void *one, const void *other)
{
	const struct owner *a = one, *b = other;
	bool named_a = *a->comm || a->uid.known || a->cgroup.known;
	bool named_b = *b->comm || b->uid.known || b->cgroup.known;

	if (named_a != named_b)
		return named_a ? -1 : 1;
	return compare(a->time_wait_made.value, b->time_wait_made.value) ?:
	       compare(a->close_wait.value, b->close_wait.value) ?:
	       compare(a->connections.value, b->connections.value);
}

static int get(bool all_netns, const struct wanted *wanted,
	       struct owner_list *list)
{
	struct module_reader reader = {
		.message = owner_read,
		.restart = owner_forget,
		.arg = list,
	};
	struct nl_msg *msg;
	size_t i, n = 0;
	int code;

	msg = module_dump(TCPSTATE_CMD_OWNER_GET, all_netns,
			  TCPSTATE_A_OWNER_ALL_NETNS);
	if (msg)
		nla_put_u32(msg, TCPSTATE_A_OWNER_BY, wanted->by);
	code = module_ask(msg, &reader);
	if (code)
		return code;
	for (i = 0; i < list->n; i++)
		if (is_wanted(&list->items[i], wanted))
			list->items[n++] = list->items[i];
	list->n = n;
	if (n)
		qsort(list->items, n, sizeof(*list->items), by_made);
	return OUT_DONE;
}

static const char *user_name(uint64_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? user->pw_name : NULL;
}

/* Whose it is, as far as there is something to call it by. */
static void print_key(const struct owner *owner, uint32_t by)
{
	const char *comm = *owner->comm ? owner->comm : NULL, *text = NULL;
	char buf[COMM_MAX + 32], n[OUT_NUMBER_MAX];
	struct process process = {
		.present = true, .pid = owner->pid,
	};

	out_string("by", NULL, key_names[by]);
	switch (by) {
	case TCPSTATE_OWNER_KEY_COMM:
		out_string("key", NULL, comm);
		text = comm;
		break;
	case TCPSTATE_OWNER_KEY_PID:
		out_number("key", NULL, owner->pid);
		out_string("comm", NULL, comm);
		snprintf(process.comm, sizeof(process.comm), "%s",
			 owner->comm);
		if (owner->pid.known) {
			text = process_text(buf, &process);
		} else if (comm) {
			snprintf(buf, sizeof(buf), "%s, exited", comm);
			text = buf;
		}
		break;
	case TCPSTATE_OWNER_KEY_UID:
		out_number("key", NULL, owner->uid);
		if (owner->uid.known) {
			text = user_name(owner->uid.value);
			snprintf(buf, sizeof(buf), "%llu",
				 (unsigned long long)owner->uid.value);
		}
		out_string("user", NULL, text);
		if (owner->uid.known && !text)
			text = buf;
		break;
	case TCPSTATE_OWNER_KEY_CGROUP:
		if (owner->cgroup.known) {
			text = cgroup_path(owner->cgroup.value);
			snprintf(buf, sizeof(buf), "removed, id %llu",
				 (unsigned long long)owner->cgroup.value);
		}
		out_string("key", NULL, text);
		out_number("cgroup_id", NULL, owner->cgroup);
		if (owner->cgroup.known && !text)
			text = buf;
		break;
	}
	if (owner->hidden.known) {
		snprintf(buf, sizeof(buf), "(%s not to be told)",
			 out_grouped(n, owner->hidden.value));
		text = buf;
	}
	out_words("%s", text ? text : "(not known)");
}

static void print_fields(const struct owner *owner, uint32_t by,
			 bool all_netns)
{
	out_string("netns", NULL, netns_name(owner->netns_ino.value));
	print_key(owner, by);
	out_count("hidden", NULL, owner->hidden);
	out_count("time_wait_made", "%s", owner->time_wait_made);
	out_rate("time_wait_rate", "%s", owner->time_wait_rate);
	out_count("time_wait", "%s", owner->time_wait);
	out_count("close_wait", "%s", owner->close_wait);
	out_count("close_wait_recent", "%s", owner->close_wait_recent);
	out_age("oldest_close_wait_ms", "%s", owner->oldest_ms);
	out_count("fin_wait2", "%s", owner->fin_wait2);
	out_count("connections", "%s", owner->connections);
	out_count("close_wait_made", "%s", owner->close_wait_made);
	out_bool("gone", "exited", "", owner->gone);
	out_count("dropped", NULL, owner->dropped);
	if (all_netns)
		out_words("%s", netns_name(owner->netns_ino.value));
}

static void open_table(const char *key, uint32_t by, bool all_netns)
{
	static struct out_column columns[] = {
		{ .left = true },
		{ .heading = "TIME_WAIT MADE" },
		{ .heading = "RATE" },
		{ .heading = "NOW" },
		{ .heading = "CLOSE_WAIT" },
		{ .heading = "< 1 MIN" },
		{ .heading = "OLDEST" },
		{ .heading = "FIN_WAIT2" },
		{ .heading = "CONNECTIONS" },
		{ .heading = "CLOSE_WAIT MADE" },
		{ .heading = "", .left = true },
		{ .heading = "NETNS", .left = true },
	};
	static const char *const headings[] = {
		[TCPSTATE_OWNER_KEY_COMM] = "COMM",
		[TCPSTATE_OWNER_KEY_PID] = "PROCESS",
		[TCPSTATE_OWNER_KEY_UID] = "USER",
		[TCPSTATE_OWNER_KEY_CGROUP] = "CGROUP",
	};

	columns[0].heading = headings[by];
	out_table_open(key, columns, ARRAY_SIZE(columns) - !all_netns, NULL);
}

/* What a chosen owner's connections hold of a destination. */
struct target {
	const struct dest *dest;
	uint64_t connections, time_wait, close_wait;
};

static int target_compare(const void *one, const void *other)
{
	const struct dest_key *a = &((const struct target *)one)->dest->key;
	const struct dest_key *b = &((const struct target *)other)->dest->key;

	return compare(a->netns_ino.value, b->netns_ino.value) ?:
	       compare(a->dport.value, b->dport.value) ?:
	       compare(a->ifindex.value, b->ifindex.value) ?:
	       a->daddr.family - b->daddr.family ?:
	       memcmp(a->daddr.bytes, b->daddr.bytes, 16) ?:
	       memcmp(a->saddr.bytes, b->saddr.bytes, 16);
}

static int by_held(const void *one, const void *other)
{
	const struct target *a = one, *b = other;

	return compare(a->connections, b->connections);
}

/* The connections of @conns that are outgoing ones, by destination. */
static void count_targets(const struct conn_list *conns,
			  struct target *targets, size_t n)
{
	struct dest dest = { 0 };
	const struct target key = { .dest = &dest };
	const struct conn *conn;
	struct target *target;
	size_t i;

	qsort(targets, n, sizeof(*targets), target_compare);
	for (i = 0; i < conns->n; i++) {
		conn = &conns->items[i];
		dest.key = (struct dest_key){
			.netns_ino = number_known(conn->netns_ino),
			.ifindex = { .value = conn->ifindex },
			.dport = number_known(conn->dport),
			.saddr = address_plain(&conn->saddr),
			.daddr = address_plain(&conn->daddr),
		};
		target = bsearch(&key, targets, n, sizeof(*targets),
				 target_compare);
		if (!target)
			continue;
		target->connections++;
		target->time_wait += conn->state == TCPSTATE_STATE_TIME_WAIT;
		target->close_wait += conn->state == TCPSTATE_STATE_CLOSE_WAIT;
	}
	qsort(targets, n, sizeof(*targets), by_held);
}

static void print_target(const struct target *target)
{
	const struct dest *dest = target->dest;
	char buf[ENDPOINT_MAX];

	out_row_open(true, dest_style(dest->severity));
	dest_key_print(&dest->key);
	out_words("%s", endpoint_text(buf, &dest->key.daddr, dest->key.dport));
	out_count("connections", "%s", number_known(target->connections));
	out_count("time_wait", "%s", number_known(target->time_wait));
	out_count("close_wait", "%s", number_known(target->close_wait));
	out_count("used", "%s", dest->used);
	out_percent("full_pct", "%s", dest_full_tenths(dest));
	out_words("%s", dest_from_text(buf, &dest->key));
	out_row_close();
}

static void print_targets(const struct target *targets, size_t n,
			  struct number netns_ino)
{
	static const struct out_column columns[] = {
		{ .heading = "DESTINATION", .left = true },
		{ .heading = "CONNECTIONS" },
		{ .heading = "TIME_WAIT" },
		{ .heading = "CLOSE_WAIT" },
		{ .heading = "USED BY ALL" },
		{ .heading = "FULL" },
		{ .heading = "FROM", .left = true },
	};
	size_t i, some = 0;

	for (i = 0; i < n; i++)
		some += targets[i].connections &&
			targets[i].dest->key.netns_ino.value == netns_ino.value;
	out_text(some ? "\n" : "\nIt has no outgoing connections.\n");
	out_mute(!some);
	out_table_open("destinations", columns, ARRAY_SIZE(columns), NULL);
	for (i = 0; i < n; i++)
		if (targets[i].connections &&
		    targets[i].dest->key.netns_ino.value == netns_ino.value)
			print_target(&targets[i]);
	out_table_close();
	out_mute(false);
}

/* One owner, and where it connects to. */
static void print_chosen(const struct owner *owner, uint32_t by, bool all_netns,
			 const struct target *targets, size_t n)
{
	if (out_is_json()) {
		out_object_open(NULL);
		print_fields(owner, by, all_netns);
	} else {
		open_table(NULL, by, all_netns);
		out_row_open(true, OUT_PLAIN);
		print_fields(owner, by, all_netns);
		out_row_close();
		out_table_close();
	}
	print_targets(targets, n, owner->netns_ino);
	out_object_close();
}

static int tell_chosen(const struct request *request,
		       const struct wanted *wanted,
		       const struct owner_list *list)
{
	struct dest_filter every = { 0 };
	struct conn_list conns = { 0 };
	struct dest_list dests = { 0 };
	struct target *targets = NULL;
	size_t i;
	int code;

	code = conn_get(request->all_netns, &wanted->one, &conns) ?:
	       dest_get(request->all_netns, &every, &dests);
	if (!code && dests.n) {
		targets = calloc(dests.n, sizeof(*targets));
		if (!targets)
			code = out_fail(OUT_FAILED, "out of memory");
	}
	if (!code) {
		for (i = 0; i < dests.n; i++)
			targets[i].dest = &dests.items[i];
		if (dests.n)
			count_targets(&conns, targets, dests.n);
		out_array_open(NULL);
		for (i = 0; i < list->n; i++) {
			if (i)
				out_text("\n");
			print_chosen(&list->items[i], wanted->by,
				     request->all_netns, targets, dests.n);
		}
		out_array_close();
	}
	free(targets);
	conn_forget(&conns);
	dest_forget(&dests);
	return code;
}

/* In JSON it is a key of the row. */
static void warn_dropped(const struct number dropped)
{
	if (!dropped.value)
		return;
	out_style(OUT_WARN);
	out_text("WARNING: connections without an owner: %llu (no memory, capped, or forgotten)\n",
		 (unsigned long long)dropped.value);
	out_style(OUT_PLAIN);
}

static void tell_all(const struct owner_list *list, uint32_t by, bool all_netns)
{
	size_t i;

	out_mute(!list->n);
	open_table(NULL, by, all_netns);
	for (i = 0; i < list->n; i++) {
		out_row_open(true, has_key(&list->items[i], by) ? OUT_PLAIN :
								  OUT_FAINT);
		print_fields(&list->items[i], by, all_netns);
		out_row_close();
	}
	out_table_close();
	out_mute(false);
	for (i = 0; i < list->n; i++)
		warn_dropped(list->items[i].dropped);
}

/* As in the table of filters below. */
enum { BY, COMM, PID, UID, CGROUP };

static int take_by(const char *value, uint32_t *by)
{
	const char *near;
	uint32_t key;

	for (key = 1; key < ARRAY_SIZE(key_names); key++) {
		if (!strcmp(key_names[key], value)) {
			*by = key;
			return OUT_DONE;
		}
	}
	near = word_nearest(value, key_names, ARRAY_SIZE(key_names));
	if (near)
		return out_fail(OUT_USAGE,
				"owners are not told apart by '%s': did you mean '%s'?",
				value, near);
	return out_fail(OUT_USAGE,
			"owners are not told apart by '%s': 'by' needs comm, pid, uid or cgroup",
			value);
}

static int take(unsigned int which, const char *value, void *arg)
{
	static const struct {
		uint32_t by;
		unsigned int filter;
	} chosen[] = {
		[COMM] = { TCPSTATE_OWNER_KEY_COMM, CONN_BY_COMM },
		[PID] = { TCPSTATE_OWNER_KEY_PID, CONN_BY_PID },
		[UID] = { TCPSTATE_OWNER_KEY_UID, CONN_BY_UID },
		[CGROUP] = { TCPSTATE_OWNER_KEY_CGROUP, CONN_BY_CGROUP },
	};
	struct wanted *wanted = arg;

	if (wanted->by)
		return out_fail(OUT_USAGE,
				"'by', 'comm', 'pid', 'uid' and 'cgroup' exclude each other: give one");
	if (which == BY)
		return take_by(value, &wanted->by);
	wanted->by = chosen[which].by;
	wanted->chosen = true;
	return conn_take(chosen[which].filter, value, &wanted->one);
}

static int run(const struct request *request)
{
	struct wanted wanted = { 0 };
	struct filter_reader reader = { .take = take, .arg = &wanted };
	struct owner_list list = { 0 };
	int code;

	code = command_filters(&owner_command, request, &reader);
	if (code)
		return code;
	if (!wanted.by)
		wanted.by = TCPSTATE_OWNER_KEY_COMM;
	code = module_open() ?: get(request->all_netns, &wanted, &list);
	if (!code && !list.n)
		out_text("%s\n", wanted.chosen ? "no such owner" :
			 "no owners: there has been no connection");
	if (!code && wanted.chosen && list.n)
		code = tell_chosen(request, &wanted, &list);
	else if (!code)
		tell_all(&list, wanted.by, request->all_netns);
	module_close();
	owner_forget(&list);
	return code;
}

const struct command owner_command = {
	.name = "owner",
	.summary = "who makes TIME_WAIT and holds CLOSE_WAIT, by process, user or cgroup",
	.filters = (const struct filter[]){
		[BY] = { .name = "by", .argument = "comm|pid|uid|cgroup",
			 .help = "told apart so (by default by comm)" },
		[COMM] = { .name = "comm", .argument = "NAME",
			   .help = "only processes of this name, and where they connect to",
			   .alternative = true },
		[PID] = { .name = "pid", .argument = "PID",
			  .help = "only this process, likewise",
			  .alternative = true },
		[UID] = { .name = "uid", .argument = "USER",
			  .help = "only this user, likewise",
			  .alternative = true },
		[CGROUP] = { .name = "cgroup", .argument = "PATH",
			     .help = "only this cgroup, likewise",
			     .alternative = true },
		{ 0 }
	},
	.run = run,
};
