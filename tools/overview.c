// SPDX-License-Identifier: GPL-2.0
/* Without an object: one screen of what matters. */
#include <stdlib.h>

#include "alert.h"
#include "command.h"
#include "conn.h"
#include "dest.h"
#include "nl.h"
#include "state.h"
#include "words.h"

/* The fullest destinations that a screen has room for. */
#define FULLEST 5

struct overview {
	struct counters_list counters;
	struct dest_list dests;
	struct alert_list alerts;
	struct conn_list close_wait;
};

/* Of each namespace that has any, the oldest; of all, others of it, too. */
static int get_close_wait(bool all_netns, struct overview *overview)
{
	const struct conn_filter filter = {
		.states = STATE_BIT(TCPSTATE_STATE_CLOSE_WAIT),
		.top = all_netns ? 0 : 1,
	};
	struct counters *counters;
	const struct conn *conn;
	uint64_t n = 0;
	size_t i, j;
	int code;

	for (i = 0; i < overview->counters.n; i++)
		n += overview->counters.items[i].rows[TCPSTATE_STATE_CLOSE_WAIT].sockets.value;
	if (!n)
		return OUT_DONE;
	code = conn_get(all_netns, &filter, &overview->close_wait);
	for (i = 0; !code && i < overview->counters.n; i++) {
		counters = &overview->counters.items[i];
		for (j = 0; j < overview->close_wait.n; j++) {
			conn = &overview->close_wait.items[j];
			if (conn->netns_ino == counters->netns_ino.value &&
			    (!counters->oldest_close_wait ||
			     counters->oldest_close_wait->age_ms.value <
			     conn->age_ms.value))
				counters->oldest_close_wait = conn;
		}
	}
	return code;
}

static int get(bool all_netns, struct overview *overview)
{
	struct dest_filter filter = { .top = FULLEST };
	int code;

	/* With more than one namespace, the fullest of each are looked for. */
	if (all_netns)
		filter.top = 0;
	code = module_open() ?:
	       counters_get(all_netns, &overview->counters) ?:
	       counters_judge(all_netns, &overview->counters) ?:
	       get_close_wait(all_netns, overview) ?:
	       dest_get(all_netns, &filter, &overview->dests) ?:
	       alert_get(all_netns, &overview->alerts);
	alert_sort(&overview->alerts);
	return code;
}

/* The first few of a namespace, in the order of the list. */
static void print_fullest(const struct dest_list *all, struct number netns_ino)
{
	struct dest fullest[FULLEST];
	struct dest_list list = { .items = fullest };
	size_t i;

	for (i = 0; i < all->n && list.n < FULLEST; i++)
		if (all->items[i].key.netns_ino.value == netns_ino.value)
			fullest[list.n++] = all->items[i];
	out_mute(!list.n);
	out_text("\n");
	dest_print(&list, netns_ino, "dest", true);
	out_mute(false);
}

static int run(const struct request *request)
{
	struct overview overview = { 0 };
	const struct counters *counters;
	size_t i;
	int code;

	code = get(request->all_netns, &overview);
	module_close();
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < overview.counters.n; i++) {
			counters = &overview.counters.items[i];
			if (i)
				out_text("\n");
			out_object_open(NULL);
			counters_print(counters, "state", 0, true);
			conn_print_one("oldest_close_wait",
				       counters->oldest_close_wait);
			alert_print_all(&overview.alerts, counters->netns_ino);
			print_fullest(&overview.dests, counters->netns_ino);
			out_object_close();
		}
		if (request->all_netns)
			out_array_close();
	}
	counters_forget(&overview.counters);
	dest_forget(&overview.dests);
	alert_forget(&overview.alerts);
	conn_forget(&overview.close_wait);
	return code;
}

const struct command overview_command = {
	.summary = "one screen of what matters",
	.filters = (const struct filter[]){ { 0 } },
	.machine_wide = true,
	.run = run,
};
