/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_WORDS_H
#define TCPSTATE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/tcpstate.h>

/* States are numbered 1..STATE_MAX. */
#define STATE_MAX TCPSTATE_STATE_NEW_SYN_RECV

/* A set of states has this for each. */
#define STATE_BIT(state) (1U << (state))

#define STATES ((2U << STATE_MAX) - 2)

/* What is in the two others is no connection yet, and has no record. */
#define CONN_STATES (STATES & ~(STATE_BIT(TCPSTATE_STATE_CLOSE) | \
				STATE_BIT(TCPSTATE_STATE_NEW_SYN_RECV)))

const char *state_name(unsigned int state);
unsigned int state_parse(const char *word);
int state_unknown(const char *word, uint32_t states);

const char *word_nearest(const char *word, const char *const *words, size_t n);
bool word_duration(const char *word, uint64_t *ms);
bool word_seconds(const char *word, uint64_t *seconds);
bool word_thresholds(const char *word, bool (*parse)(const char *, uint64_t *),
		     uint64_t *warning, uint64_t *critical);
bool word_hex(const char *word, uint64_t *value);
bool word_percent(const char *word, uint64_t *value);
bool word_number(const char *word, uint64_t min, uint64_t max, uint64_t *value);

#endif
