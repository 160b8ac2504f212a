// SPDX-License-Identifier: GPL-2.0
/* The names of the states, and what to make of a mistyped word. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "words.h"

static const char *const state_names[] = {
	[TCPSTATE_STATE_ESTABLISHED] = "ESTABLISHED",
	[TCPSTATE_STATE_SYN_SENT] = "SYN_SENT",
	[TCPSTATE_STATE_SYN_RECV] = "SYN_RECV",
	[TCPSTATE_STATE_FIN_WAIT1] = "FIN_WAIT1",
	[TCPSTATE_STATE_FIN_WAIT2] = "FIN_WAIT2",
	[TCPSTATE_STATE_TIME_WAIT] = "TIME_WAIT",
	[TCPSTATE_STATE_CLOSE] = "CLOSE",
	[TCPSTATE_STATE_CLOSE_WAIT] = "CLOSE_WAIT",
	[TCPSTATE_STATE_LAST_ACK] = "LAST_ACK",
	[TCPSTATE_STATE_LISTEN] = "LISTEN",
	[TCPSTATE_STATE_CLOSING] = "CLOSING",
	[TCPSTATE_STATE_NEW_SYN_RECV] = "NEW_SYN_RECV",
};

/**
 * state_name() - a state as it is printed
 * @state: the kernel's number, 1 to STATE_MAX
 *
 * Return: its name.
 */
const char *state_name(unsigned int state)
{
	return state_names[state];
}

/* TIME_WAIT, time-wait, TimeWait and fin-wait-1 are all meant. */
static bool same_state(const char *name, const char *word)
{
	for (;;) {
		while (*name == '_')
			name++;
		while (*word == '_' || *word == '-')
			word++;
		if (toupper((unsigned char)*word) != *name)
			return false;
		if (!*name)
			return true;
		name++;
		word++;
	}
}

/**
 * state_parse() - a state as it was typed
 * @word: in either case, its parts joined by "_", "-" or nothing
 *
 * Return: the kernel's number, or 0 when there is no such state.
 */
unsigned int state_parse(const char *word)
{
	unsigned int state;

	for (state = 1; state <= STATE_MAX; state++)
		if (same_state(state_names[state], word))
			return state;
	return 0;
}

/**
 * state_unknown() - refuse a word that is no state
 * @word: as it was typed
 * @states: those that would do, more than one
 *
 * Return: OUT_USAGE.
 */
int state_unknown(const char *word, uint32_t states)
{
	const char *names[STATE_MAX], *near;
	char list[STATE_MAX * 16] = "", *end = list;
	unsigned int state, i, n = 0;

	for (state = 1; state <= STATE_MAX; state++)
		if (states & STATE_BIT(state))
			names[n++] = state_names[state];
	near = word_nearest(word, names, n);
	if (near)
		return out_fail(OUT_USAGE,
				"unknown state '%s': did you mean %s?", word,
				near);
	for (i = 0; i < n; i++)
		end = stpcpy(stpcpy(end, !i ? "" : i < n - 1 ? ", " : " and "),
			     names[i]);
	return out_fail(OUT_USAGE,
			"unknown state '%s': the states are %s", word, list);
}

#define WORD_MAX 63

static int fold(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

/* Levenshtein; SIZE_MAX when a word is too long to be a slip. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], la = strlen(a), lb = strlen(b);
	size_t i, j, left_above, above;

	if (la > WORD_MAX || lb > WORD_MAX)
		return SIZE_MAX;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		left_above = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			row[j] = left_above + (fold(a[i - 1]) != fold(b[j - 1]));
			if (above + 1 < row[j])
				row[j] = above + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			left_above = above;
		}
	}
	return row[lb];
}

static bool begins(const char *name, const char *word)
{
	size_t i;

	for (i = 0; word[i]; i++)
		if (fold(name[i]) != fold(word[i]))
			return false;
	return i >= 2;
}

/**
 * word_nearest() - what somebody may have meant
 * @word: as it was typed
 * @words: what there is; entries may be NULL
 * @n: how many
 *
 * Return: the one that needs the fewest letters changed, when at most about a
 * third of them; else one that begins like @word; else NULL.
 */
const char *word_nearest(const char *word, const char *const *words, size_t n)
{
	size_t best_distance = SIZE_MAX, d, len, i;
	const char *best = NULL;

	for (i = 0; i < n; i++) {
		if (!words[i])
			continue;
		d = distance(word, words[i]);
		len = strlen(words[i]);
		if (len < strlen(word))
			len = strlen(word);
		if (d < best_distance && d <= (len + 1) / 3) {
			best_distance = d;
			best = words[i];
		}
	}
	for (i = 0; !best && i < n; i++)
		if (words[i] && begins(words[i], word))
			best = words[i];
	return best;
}

/**
 * word_number() - a whole number as it was typed
 * @word: decimal digits
 * @min: the smallest allowed
 * @max: the largest allowed
 * @value: set to it
 *
 * Return: false when it is not a number, or not within the limits.
 */
bool word_number(const char *word, uint64_t min, uint64_t max, uint64_t *value)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)*word))
		return false;
	errno = 0;
	number = strtoull(word, &end, 10);
	if (errno || *end || number < min || number > max)
		return false;
	*value = number;
	return true;
}

/**
 * word_hex() - a whole number in hexadecimal as it was typed
 * @word: 1 to 16 digits
 * @value: set to it
 *
 * Return: false when it is none.
 */
bool word_hex(const char *word, uint64_t *value)
{
	size_t len = strspn(word, "0123456789abcdefABCDEF");

	if (!len || len > 16 || word[len])
		return false;
	*value = strtoull(word, NULL, 16);
	return true;
}

/**
 * word_percent() - a percentage as it was typed
 * @word: 0 to 100, a "%" after it or not
 * @value: set to it
 *
 * Return: false when it is none.
 */
bool word_percent(const char *word, uint64_t *value)
{
	size_t len = strlen(word);
	char digits[8];

	if (len && word[len - 1] == '%')
		len--;
	if (len >= sizeof(digits))
		return false;
	memcpy(digits, word, len);
	digits[len] = '\0';
	return word_number(digits, 0, 100, value);
}

/**
 * word_duration() - a duration as it was typed
 * @word: a whole number, and ms, s, m, h or d; seconds without one
 * @ms: set to it, in milliseconds
 *
 * Return: false when it is none, or too long.
 */
bool word_duration(const char *word, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 },
		{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};
	size_t len = strspn(word, "0123456789"), i;
	char digits[24];
	uint64_t number;

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, word, len);
	digits[len] = '\0';
	if (!word_number(digits, 0, UINT64_MAX, &number))
		return false;
	for (i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(word + len, units[i].name))
			return !__builtin_mul_overflow(number, units[i].ms, ms);
	return false;
}

/**
 * word_seconds() - a duration as it was typed, where only whole seconds will do
 * @word: as for word_duration()
 * @seconds: set to it
 *
 * Return: false when it is none, or has a fraction of a second.
 */
bool word_seconds(const char *word, uint64_t *seconds)
{
	uint64_t ms;

	if (!word_duration(word, &ms) || ms % 1000)
		return false;
	*seconds = ms / 1000;
	return true;
}

/**
 * word_thresholds() - two thresholds as they were typed
 * @word: WARNING:CRITICAL
 * @parse: reads one
 * @warning: set to the first
 * @critical: set to the second, which is not below it
 *
 * Return: false when they are none.
 */
bool word_thresholds(const char *word, bool (*parse)(const char *, uint64_t *),
		     uint64_t *warning, uint64_t *critical)
{
	const char *colon = strchr(word, ':');
	char first[32];

	if (!colon || colon - word >= (ptrdiff_t)sizeof(first))
		return false;
	memcpy(first, word, colon - word);
	first[colon - word] = '\0';
	return parse(first, warning) && parse(colon + 1, critical) &&
	       *warning <= *critical;
}
