/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_VERDICT_H
#define TCPSTATE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"

/* What a Monitoring Plugin exits with. */
enum status { OK, WARNING, CRITICAL, UNKNOWN };

struct thresholds {
	uint64_t warning, critical;
};

bool verdict_worse(enum status a, enum status b);
enum status verdict_judge(uint64_t value, const struct thresholds *at);
enum status verdict_judge_share(uint64_t part, uint64_t whole,
				const struct thresholds *at);

__printf(3, 4) void verdict_find(enum status status, struct number netns_ino,
				 const char *format, ...);
void verdict_share(const char *label, struct number tenths,
		   const struct thresholds *at);
void verdict_count(const char *label, struct number value, struct number max);
void verdict_value(const char *label, const char *unit, struct number value,
		   const struct thresholds *at);
void verdict_total(const char *label, uint64_t value);

enum status verdict_print(bool all_netns);

#endif
