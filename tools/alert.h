/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_ALERT_H
#define TCPSTATE_ALERT_H

#include <stdbool.h>
#include <stddef.h>

#include "dest.h"
#include "out.h"
#include "process.h"

struct nlattr;

/* No event of the module's, but one of those who listen: messages were lost. */
#define ALERT_LOST 0

/* An edge, or an alert in force. */
struct alert {
	struct dest_key key;		/* without addresses, of the namespace */
	struct number event, severity, seq, age_ms;
	struct number used, reusable, capacity, count, total;
	struct number threshold, eta_ms;
	struct number oldest_ms, sport, unaccepted, trend;	/* of a leak */
	struct process process;
	size_t place;			/* in the list, as it was read */
};

struct alert_list {
	struct alert *items;
	size_t n, size;
};

int alert_read(struct nlattr *attrs, int len, void *list);
void alert_forget(void *list);
void alert_sort(struct alert_list *list);
int alert_get(bool all_netns, struct alert_list *list);
bool alert_same(const struct alert *a, const struct alert *b);
bool alert_add(struct alert_list *list, const struct alert *alert);

const char *alert_event(const struct alert *alert);
void alert_print(const struct alert *alert, bool all_netns);
void alert_print_all(const struct alert_list *list, struct number netns_ino);

#endif
