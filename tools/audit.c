// SPDX-License-Identifier: GPL-2.0
/* audit: the counters against a walk of the kernel's own tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "audit.h"
#include "command.h"
#include "netns.h"
#include "nl.h"
#include "progress.h"

#define RECHECKS 5

static int read_row(struct audit *audit, struct nlattr *nest)
{
	static struct nla_policy policy[TCPSTATE_A_AUDIT_ENTRY_MAX + 1] = {
		[TCPSTATE_A_AUDIT_ENTRY_STATE] = { .type = NLA_U32 },
		[TCPSTATE_A_AUDIT_ENTRY_COUNTED] = { .type = NLA_U64 },
		[TCPSTATE_A_AUDIT_ENTRY_WALKED] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_AUDIT_ENTRY_MAX + 1];
	unsigned int state;

	if (nla_parse_nested(tb, TCPSTATE_A_AUDIT_ENTRY_MAX, nest, policy) ||
	    !tb[TCPSTATE_A_AUDIT_ENTRY_STATE])
		return -1;
	state = nla_get_u32(tb[TCPSTATE_A_AUDIT_ENTRY_STATE]);
	if (!state || state > STATE_MAX)
		return -1;
	audit->rows[state].present = true;
	audit->rows[state].counted =
		attr_number(tb[TCPSTATE_A_AUDIT_ENTRY_COUNTED]);
	audit->rows[state].walked =
		attr_number(tb[TCPSTATE_A_AUDIT_ENTRY_WALKED]);
	return 0;
}

/**
 * audit_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct audit_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int audit_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_AUDIT_MAX + 1] = {
		[TCPSTATE_A_AUDIT_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_AUDIT_EXACT] = { .type = NLA_U8 },
		[TCPSTATE_A_AUDIT_WALKS] = { .type = NLA_U32 },
		[TCPSTATE_A_AUDIT_MISSING] = { .type = NLA_U64 },
		[TCPSTATE_A_AUDIT_MISSING_NOW] = { .type = NLA_U64 },
		[TCPSTATE_A_AUDIT_STALE] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_AUDIT_MAX + 1], *attr;
	struct audit_list *all = list;
	struct audit *audit;
	int rem;

	if (nla_parse(tb, TCPSTATE_A_AUDIT_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_AUDIT_NETNS_INO] || !tb[TCPSTATE_A_AUDIT_EXACT] ||
	    !tb[TCPSTATE_A_AUDIT_STATE])
		return -1;
	audit = realloc(all->items, (all->n + 1) * sizeof(*audit));
	if (!audit)
		return -ENOMEM;
	all->items = audit;
	audit += all->n++;
	memset(audit, 0, sizeof(*audit));
	audit->netns_ino = attr_number(tb[TCPSTATE_A_AUDIT_NETNS_INO]);
	audit->exact = nla_get_u8(tb[TCPSTATE_A_AUDIT_EXACT]);
	if (tb[TCPSTATE_A_AUDIT_WALKS])
		audit->walks =
			number_known(nla_get_u32(tb[TCPSTATE_A_AUDIT_WALKS]));
	audit->missing = attr_number(tb[TCPSTATE_A_AUDIT_MISSING]);
	audit->missing_now = attr_number(tb[TCPSTATE_A_AUDIT_MISSING_NOW]);
	audit->stale = attr_number(tb[TCPSTATE_A_AUDIT_STALE]);
	nla_for_each_attr(attr, attrs, len, rem)
		if (nla_type(attr) == TCPSTATE_A_AUDIT_STATE &&
		    read_row(audit, attr))
			return -1;
	return 0;
}

/**
 * audit_forget() - empty a list
 * @list: a struct audit_list
 */
void audit_forget(void *list)
{
	struct audit_list *all = list;

	free(all->items);
	all->items = NULL;
	all->n = 0;
}

static bool differs(const struct audit_row *row)
{
	return row->counted.known && row->walked.known &&
	       row->counted.value != row->walked.value;
}

static void print_rows(const struct audit *audit)
{
	static const struct out_column columns[] = {
		{ .heading = "STATE", .left = true },
		{ .heading = "COUNTED" },
		{ .heading = "WALKED" },
		{ .heading = "DIFFERENCE" },
	};
	const struct audit_row *row;
	char buf[OUT_NUMBER_MAX];
	unsigned int state;
	bool more;

	out_table_open("states", columns, 4, NULL);
	for (state = 1; state <= STATE_MAX; state++) {
		row = &audit->rows[state];
		if (!row->present)
			continue;
		more = row->counted.value > row->walked.value;
		out_row_open(true, OUT_PLAIN);
		out_string("state", "%s", state_name(state));
		out_count("counted", "%s", row->counted);
		out_count("walked", "%s", row->walked);
		if (differs(row))
			out_text("%c%s", more ? '+' : '-',
				 out_grouped(buf, more ?
				 row->counted.value - row->walked.value :
				 row->walked.value - row->counted.value));
		else
			out_text("%s", "");
		out_row_close();
	}
	out_table_close();
}

static void print_verdict(const struct audit *audit)
{
	uint64_t total = 0;
	char buf[OUT_NUMBER_MAX];
	bool moved = false;
	unsigned int state;

	for (state = 1; state <= STATE_MAX; state++) {
		/* A request is no connection yet. */
		if (state != TCPSTATE_STATE_NEW_SYN_RECV)
			total += audit->rows[state].counted.value;
		moved |= differs(&audit->rows[state]);
	}
	out_style(audit->exact ? OUT_GOOD : OUT_BAD);
	out_bool("exact", "exact", "NOT exact", audit->exact);
	out_style(OUT_PLAIN);
	if (audit->exact && !moved)
		out_text(": %s connections, counted = walked in every state\n",
			 out_grouped(buf, total));
	else if (audit->exact)
		out_text(": %s connections, and not one without its record\n",
			 out_grouped(buf, total));
	else
		out_text(": the counters and the kernel's tables disagree\n");
	out_remark("missing", OUT_WARN,
		   "connections that had no record and have been given one: %s\n",
		   audit->missing);
	out_remark("missing_now", OUT_BAD,
		   "connections that have no record still (no memory, or at the cap): %s\n",
		   audit->missing_now);
	out_remark("stale", OUT_BAD,
		   "records that have no connection, or one in another state: %s\n",
		   audit->stale);
	out_count("walks", audit->walks.known && audit->walks.value > 1 ?
		  "the tables were walked %s times\n" : NULL, audit->walks);
	if (audit->exact && moved)
		out_text("counted and walked differ by what moved in between\n");
}

/**
 * audit_print() - print the audit of one network namespace
 * @audit: what to print
 */
void audit_print(const struct audit *audit)
{
	out_object_open(NULL);
	out_style(OUT_STRONG);
	out_string("netns", "%s: ", netns_name(audit->netns_ino.value));
	out_style(OUT_PLAIN);
	out_count("netns_inode", NULL, audit->netns_ino);
	print_verdict(audit);
	out_text("\n");
	print_rows(audit);
	out_object_close();
}

static int get(bool all_netns, uint32_t rechecks, struct audit_list *list)
{
	struct module_reader reader = {
		.message = audit_read,
		.restart = audit_forget,
		.arg = list,
	};
	struct nl_msg *msg;
	int code;

	code = module_open();
	if (code)
		return code;
	msg = module_request(TCPSTATE_CMD_AUDIT, all_netns);
	if (msg)
		nla_put_u32(msg, TCPSTATE_A_AUDIT_RECHECKS, rechecks);
	progress_start("walking the kernel's tables");
	code = module_ask(msg, &reader);
	progress_stop();
	module_close();
	if (!code && !list->n)
		code = module_mismatch();
	return code;
}

/* There is but one. */
static int take(unsigned int which, const char *value, void *rechecks)
{
	(void)which;
	if (word_number(value, 0, TCPSTATE_RECHECKS_MAX, rechecks))
		return OUT_DONE;
	return out_fail(OUT_USAGE,
			"'%s' will not do: 'rechecks' needs a number from 0 to %d",
			value, TCPSTATE_RECHECKS_MAX);
}

static int run(const struct request *request)
{
	struct audit_list list = { 0 };
	uint64_t rechecks = RECHECKS;
	struct filter_reader reader = { .take = take, .arg = &rechecks };
	bool exact = true;
	size_t i;
	int code;

	code = command_filters(&audit_command, request, &reader);
	if (code)
		return code;
	code = get(request->all_netns, rechecks, &list);
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < list.n; i++) {
			if (i)
				out_text("\n");
			audit_print(&list.items[i]);
			exact &= list.items[i].exact;
		}
		if (request->all_netns)
			out_array_close();
		code = exact ? OUT_DONE : OUT_NEGATIVE;
	}
	audit_forget(&list);
	return code;
}

const struct command audit_command = {
	.name = "audit",
	.summary = "the counters against a walk of the kernel's own tables",
	.filters = (const struct filter[]){
		{ .name = "rechecks", .argument = "N",
		  .help = "look at a mismatch again up to N times (0-10, default 5)" },
		{ 0 }
	},
	.run = run,
};
