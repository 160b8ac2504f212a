// SPDX-License-Identifier: GPL-2.0
/*
 * close: a way out. It is the kernel that ends connections, by its SOCK_DESTROY:
 * the peer gets a reset, and the process an error (ECONNABORTED). Its word is
 * not taken for it, as some versions say so and leave the connection there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/tcpstate.h>

#include "command.h"
#include "conn.h"
#include "diag.h"
#include "nl.h"
#include "words.h"

/* What is ended may take a moment to be gone: others may be looking at it. */
#define LOOKS 10
#define LOOK_MS 20

/* So many are looked for one by one: it is the listing that costs. */
#define FEW 4

#define LISTENERS STATE_BIT(TCPSTATE_STATE_LISTEN)
#define TIME_WAIT STATE_BIT(TCPSTATE_STATE_TIME_WAIT)
#define MINI_STATES (TIME_WAIT | STATE_BIT(TCPSTATE_STATE_FIN_WAIT2))

/* As in the table of options below. */
enum { YES };

struct fate {
	int error;		/* negative errno; 0: the kernel says it is done */
	bool gone;
};

static int by_cookie(const void *one, const void *other)
{
	const struct conn *a = one, *b = other;

	return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

/* In a list that is sorted by cookie. */
static bool is_there(const struct conn_list *list, const struct conn *conn)
{
	size_t low = 0, high = list->n, at;

	while (low < high) {
		at = (low + high) / 2;
		if (list->items[at].cookie < conn->cookie)
			low = at + 1;
		else
			high = at;
	}
	for (; low < list->n && list->items[low].cookie == conn->cookie; low++)
		if (conn_same(&list->items[low], conn) &&
		    list->items[low].mini == conn->mini)
			return true;
	return false;
}

/*
 * The states that they may be in meanwhile, as each may have got into another
 * before it could be ended. But what is full comes not into TIME_WAIT, nothing
 * becomes a listener, and a mini-socket is in one of two states.
 */
static uint32_t states_of(const struct conn_list *list,
			  const struct fate *fates)
{
	const struct conn *conn;
	uint32_t states = 0;
	size_t i;

	for (i = 0; i < list->n; i++) {
		conn = &list->items[i];
		if (fates[i].gone)
			continue;
		if (conn->mini)
			states |= MINI_STATES;
		else if (conn->state == TCPSTATE_STATE_LISTEN)
			states |= LISTENERS;
		else
			states |= STATES & ~(LISTENERS | TIME_WAIT);
	}
	return states;
}

static void compare(const struct conn_list *now, const struct conn_list *list,
		    struct fate *fates)
{
	size_t i;

	if (now->n)
		qsort(now->items, now->n, sizeof(*now->items), by_cookie);
	for (i = 0; i < list->n; i++)
		if (!fates[i].gone)
			fates[i].gone = !is_there(now, &list->items[i]);
}

/* Among all that what does not change in a connection lets pass. */
static int look_for_all(const struct conn_filter *asked,
			const struct conn_list *list, struct fate *fates)
{
	const struct conn_filter filter = {
		.states = states_of(list, fates),
		.by_daddr = asked->by_daddr,
		.daddr = asked->daddr,
		.sport = asked->sport,
		.dport = asked->dport,
		.cookie = asked->cookie,
	};
	struct conn_list now = { 0 };
	int code;

	code = conn_get(false, &filter, &now);
	if (!code)
		compare(&now, list, fates);
	conn_forget(&now);
	return code;
}

static int look_for_each(const struct conn_list *list, struct fate *fates)
{
	struct conn_filter filter = { 0 };
	struct conn_list now = { 0 };
	size_t i;
	int code = OUT_DONE;

	for (i = 0; !code && i < list->n; i++) {
		if (fates[i].gone)
			continue;
		filter.cookie = number_known(list->items[i].cookie);
		code = conn_get(false, &filter, &now);
		if (!code)
			fates[i].gone = !is_there(&now, &list->items[i]);
		conn_forget(&now);
	}
	return code;
}

/* Which of them are gone; *left is set to how many are not. */
static int look(const struct conn_filter *asked, const struct conn_list *list,
		struct fate *fates, size_t *left)
{
	size_t i;
	int code;

	code = *left > FEW ? look_for_all(asked, list, fates) :
			     look_for_each(list, fates);
	*left = 0;
	for (i = 0; i < list->n; i++)
		*left += !fates[i].gone;
	return code;
}

static int end_all(const struct conn_list *list, struct fate *fates)
{
	size_t i;
	int code;

	code = diag_open();
	for (i = 0; !code && i < list->n; i++) {
		fates[i].error = diag_destroy(&list->items[i]);
		if (fates[i].error == -EPERM)
			code = out_fail(OUT_FAILED,
					"no permission to end connections: it needs CAP_NET_ADMIN, run it as root");
	}
	diag_close();
	return code;
}

/* Why it is still there. */
static const char *reason(const struct conn *conn, const struct fate *fate)
{
	if (fate->gone)
		return NULL;
	if (fate->error == -EOPNOTSUPP && conn->mini)
		return "this kernel cannot end mini-sockets (Linux 6.1 and later can)";
	if (fate->error == -EOPNOTSUPP)
		return "this kernel cannot end connections (it lacks CONFIG_INET_DIAG_DESTROY)";
	if (fate->error == -ENOENT)
		return "the kernel does not find it ('modprobe tcp_diag' if it finds none)";
	if (fate->error)
		return strerror(-fate->error);
	if (!conn->inode && !conn->mini)
		return "the kernel says it is done, but does not end what no process has";
	return "the kernel says it is done";
}

static void print_fates(const struct conn_list *list, const struct fate *fates)
{
	static const struct out_column columns[] = {
		{ .heading = "STATE", .left = true },
		{ .heading = "LOCAL", .left = true },
		{ .heading = "REMOTE", .left = true },
		{ .heading = "OWNER", .left = true },
		{ .heading = "RESULT", .left = true },
	};
	const struct conn *conn;
	const char *why;
	size_t i;

	out_table_open(NULL, columns, ARRAY_SIZE(columns), NULL);
	for (i = 0; i < list->n; i++) {
		conn = &list->items[i];
		why = reason(conn, &fates[i]);
		out_row_open(true, why ? OUT_WARN : OUT_PLAIN);
		conn_print_key(conn);
		conn_print_owner(conn);
		out_bool("gone", NULL, NULL, fates[i].gone);
		out_string("reason", NULL, why);
		if (why)
			out_words("still there: %s", why);
		else
			out_text("gone");
		out_row_close();
	}
	out_table_close();
}

static int end_and_tell(const struct conn_filter *filter,
			const struct conn_list *list)
{
	const struct timespec moment = { .tv_nsec = LOOK_MS * 1000000L };
	struct fate *fates = calloc(list->n, sizeof(*fates));
	char gone[OUT_NUMBER_MAX], still[OUT_NUMBER_MAX];
	size_t left = list->n;
	int code, i;

	if (!fates)
		return out_fail(OUT_FAILED, "out of memory");
	code = end_all(list, fates);
	for (i = 0; !code && left && i < LOOKS; i++) {
		if (i)
			nanosleep(&moment, NULL);
		code = look(filter, list, fates, &left);
	}
	if (!code) {
		print_fates(list, fates);
		out_text("\n%s gone, %s still there\n",
			 out_grouped(gone, list->n - left),
			 out_grouped(still, left));
		if (left)
			code = OUT_NEGATIVE;
	}
	free(fates);
	return code;
}

static void only_show(const struct conn_list *list)
{
	char n[OUT_NUMBER_MAX];

	conn_print(list, false);
	out_text("\n%s would be ended: with --yes %s.\n",
		 list->n == 1 ? "This one" : out_grouped(n, list->n),
		 list->n == 1 ? "it is" : "they are");
}

static bool is_filtered(const struct conn_filter *filter)
{
	return filter->states || filter->stuck || filter->orphan ||
	       filter->by_daddr || filter->older_ms.known || filter->sport.known ||
	       filter->dport.known || filter->pid.known || filter->uid.known ||
	       filter->cgroup.known || filter->cookie.known || filter->comm;
}

static int run(const struct request *request)
{
	struct conn_filter filter = { 0 };
	struct filter_reader reader = { .take = conn_take, .arg = &filter };
	struct conn_list list = { 0 };
	int code;

	code = command_filters(&close_command, request, &reader);
	if (code)
		return code;
	if (request->all_netns)
		return out_fail(OUT_USAGE,
				"connections are ended in one network namespace at a time: name it with -n");
	if (!is_filtered(&filter))
		return out_fail(OUT_USAGE,
				"which connections? 'close' needs a filter such as 'state close-wait' ('tcpstate-cli close -h' shows them)");
	/* Listeners are no connections, unless one says so. */
	if (!filter.states && !filter.stuck && !filter.orphan)
		filter.states = STATES & ~LISTENERS;
	code = module_open() ?: conn_get(false, &filter, &list) ?:
	       (request->options[YES] ? OUT_DONE : conn_judge(false, &list));
	if (!code && !list.n) {
		out_text("no such connection\n");
		out_mute(true);
		conn_print(&list, false);
		out_mute(false);
	} else if (!code && !request->options[YES]) {
		only_show(&list);
	} else if (!code) {
		code = end_and_tell(&filter, &list);
	}
	module_close();
	conn_forget(&list);
	return code;
}

const struct command close_command = {
	.name = "close",
	.summary = "end connections, by the kernel's SOCK_DESTROY",
	.notes = "The peer of each gets a reset, and the process an error. Listeners are spared,\n"
		 "unless 'state' names LISTEN. Who opened or accepted a connection need not be\n"
		 "who holds it now: that is in the NOTE of what is shown without --yes.",
	.filters = (const struct filter[]){ CONN_FILTERS, { 0 } },
	.options = (const struct filter[]){
		[YES] = { .name = "yes",
			  .help = "end them; without it they are only shown" },
		{ 0 }
	},
	.run = run,
};
