// SPDX-License-Identifier: GPL-2.0
/* Without an object: one screen of what matters. */
#include "command.h"
#include "state.h"

static int run(const struct request *request)
{
	struct counters_list list = { 0 };
	size_t i;
	int code;

	code = counters_get(request->all_netns, &list);
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < list.n; i++) {
			if (i)
				out_text("\n");
			out_object_open(NULL);
			counters_print(&list.items[i], "state", 0, true);
			out_object_close();
		}
		if (request->all_netns)
			out_array_close();
	}
	counters_forget(&list);
	return code;
}

const struct command overview_command = {
	.summary = "one screen of what matters",
	.filters = (const struct filter[]){ { 0 } },
	.run = run,
};
