/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_AUDIT_H
#define TCPSTATE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "out.h"
#include "words.h"

struct nlattr;

struct audit_row {
	bool present;
	struct number counted, walked;
};

/* The audit of one network namespace: one message. */
struct audit {
	struct number netns_ino;
	bool exact;
	struct number walks, missing, missing_now, stale;
	struct audit_row rows[STATE_MAX + 1];
};

/* One per network namespace. */
struct audit_list {
	struct audit *items;
	size_t n;
};

int audit_read(struct nlattr *attrs, int len, void *list);
void audit_forget(void *list);
void audit_print(const struct audit *audit);

#endif
