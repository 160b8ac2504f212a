/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_OUT_H
#define TCPSTATE_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Text and JSON from one call per value, so that they cannot differ.
 *
 * Each value is given with its JSON key, a text format with one %s in it, and
 * the value. Without a format the value is in the JSON only; out_text() is in
 * the text only, and so is out_words(), for words that come from elsewhere. What
 * is not known is null in JSON and "-" in text. Between
 * out_row_open() and out_row_close() each value with a format is a cell.
 */

/* How a process ends (the outside contract: see tcpstate-cli.8). */
enum out_exit {
	OUT_DONE = 0,
	OUT_NEGATIVE = 1,
	OUT_USAGE = 2,
	OUT_FAILED = 3,
};

enum out_flags {
	OUT_JSON = 1,		/* JSON instead of text */
	OUT_PRETTY = 2,		/* JSON with line breaks */
	OUT_COLOUR = 4,		/* text with colours */
};

enum out_style {
	OUT_PLAIN,
	OUT_STRONG,
	OUT_FAINT,
	OUT_GOOD,
	OUT_WARN,
	OUT_BAD,
};

/* A number that may be unknown. */
struct number {
	uint64_t value;
	bool known;
};

static inline struct number number_known(uint64_t value)
{
	return (struct number){ .value = value, .known = true };
}

static inline struct number number_unknown(void)
{
	return (struct number){ .known = false };
}

static inline bool number_positive(struct number number)
{
	return number.known && number.value;
}

/**
 * struct out_column - One column of a table in text
 * @heading: what is printed above it
 * @block: which of the tables below one another it is in, the first is 0; every
 *   further one repeats the first column, and leaves out what has no values
 * @left: aligned left
 */
struct out_column {
	const char *heading;
	unsigned int block;
	bool left;
};

#define OUT_BLOCKS 2

void out_begin(FILE *stream, unsigned int flags);
void out_width(unsigned int columns);
void out_plugin(const char *name);
int out_flush(void);
void out_discard(void);
int out_end(void);
bool out_is_json(void);

void out_object_open(const char *key);
void out_object_close(void);
void out_array_open(const char *key);
void out_array_close(void);

void out_table_open(const char *key, const struct out_column *columns,
		    unsigned int n_columns, const char *const *titles);
void out_row_open(bool in_text, enum out_style style);
void out_row_close(void);
void out_table_close(void);

void out_string(const char *key, const char *format, const char *value);
void out_bool(const char *key, const char *yes, const char *no, bool value);
void out_count(const char *key, const char *format, struct number value);
void out_number(const char *key, const char *format, struct number value);
void out_percent(const char *key, const char *format, struct number tenths);
void out_rate(const char *key, const char *format, struct number per_1000s);
void out_remark(const char *key, enum out_style style, const char *format,
		struct number value);
void out_age(const char *key, const char *format, struct number ms);
void out_seconds(const char *key, const char *format, struct number ms);
void out_stay(const char *key, const char *format, struct number us);
void out_null(const char *key, const char *format);

void out_mute(bool mute);
void out_style(enum out_style style);
void out_words(const char *format, const char *value);
__printf(1, 2) void out_text(const char *format, ...);
__printf(2, 3) int out_fail(enum out_exit code, const char *format, ...);

#define OUT_NUMBER_MAX 32

const char *out_share(char *buf, uint64_t part, uint64_t whole);
const char *out_digits(char *buf, uint64_t value);
const char *out_grouped(char *buf, uint64_t value);
const char *out_duration(char *buf, uint64_t us, bool round_up);
const char *out_ms(char *buf, uint64_t ms);

#endif
