/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_CONFIG_H
#define TCPSTATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "out.h"

struct nlattr;

/* From then on a stay in CLOSE_WAIT is worth a word, where nothing else is known. */
#define LEAK_MS 60000

enum config_key {
	CONFIG_PORT_ROOM_WARNING,
	CONFIG_PORT_ROOM_CRITICAL,
	CONFIG_TIME_WAIT_WARNING,
	CONFIG_TIME_WAIT_CRITICAL,
	CONFIG_CLOSE_WAIT_WARNING,
	CONFIG_CLOSE_WAIT_CRITICAL,
	CONFIG_KEYS
};

/* The thresholds of one network namespace. */
struct config {
	struct number netns_ino, values[CONFIG_KEYS];
	struct number alert_seq;
};

struct config_list {
	struct config *items;
	size_t n;
};

int config_read(struct nlattr *attrs, int len, void *list);
void config_forget(void *list);
int config_get(bool all_netns, struct config_list *list);
uint64_t config_leak_ms(const struct config_list *list, uint64_t netns_ino);
void config_print(const struct config *config);

#endif
