// SPDX-License-Identifier: GPL-2.0
/*
 * Text and JSON from one call per value (see out.h).
 *
 * JSON is built as a json-c tree and printed when it is complete; the elements
 * of an array at the top are printed and freed one by one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "out.h"

#define DEPTH_MAX 8

/* A cell is a piece of @table.text. */
struct cell {
	size_t at;
	unsigned int len;
	unsigned int width;	/* on the screen */
	bool unknown;
};

static struct {
	FILE *stream;
	unsigned int flags;
	unsigned int width;		/* of the screen; 0: without an end */
	const char *plugin;
	enum out_style style;
	bool muted;

	struct json_object *stack[DEPTH_MAX];
	unsigned int depth;
	unsigned int elements;		/* printed of an array at the top */

	const struct out_column *columns;
	const char *const *titles;
	unsigned int n_columns;
	bool in_row;
	bool row_hidden;
	unsigned int row_cells;
	enum out_style *rows;
	struct cell *cells;
	size_t n_rows, n_cells, rows_size, cells_size;
	char *text;
	size_t text_len, text_size;
	char *line;			/* of a table, on its way out */
	size_t line_len, line_size;
} out;

static void *grow(void *array, size_t *size, size_t need, size_t item)
{
	size_t new_size = *size ? *size : 64;

	if (need <= *size)
		return array;
	while (new_size < need)
		new_size *= 2;
	array = realloc(array, new_size * item);
	if (!array) {
		fputs("tcpstate-cli: out of memory\n", stderr);
		exit(OUT_FAILED);
	}
	*size = new_size;
	return array;
}

/**
 * out_begin() - start an answer
 * @stream: where it goes
 * @flags: of enum out_flags
 */
void out_begin(FILE *stream, unsigned int flags)
{
	if (flags & OUT_PRETTY)
		flags |= OUT_JSON;
	out.stream = stream;
	out.flags = flags;
	out.style = OUT_PLAIN;
	out.muted = false;
	out.depth = 0;
	out.elements = 0;
}

/**
 * out_width() - how wide tables may be
 * @columns: what does not fit goes below; 0: all does
 */
void out_width(unsigned int columns)
{
	out.width = columns;
}

/**
 * out_plugin() - from here on, say what fails as a Monitoring Plugin does
 * @name: what its line begins with
 *
 * That is on stdout, and always with the exit code for "unknown".
 */
void out_plugin(const char *name)
{
	out.plugin = name;
}

/**
 * out_is_json() - JSON or text?
 *
 * Return: true if it is JSON.
 */
bool out_is_json(void)
{
	return out.flags & OUT_JSON;
}

/**
 * out_flush() - hand over what has been printed so far
 *
 * Return: 0, or an errno value when not all of it could be written.
 */
int out_flush(void)
{
	errno = 0;
	if (fflush(out.stream) || ferror(out.stream))
		return errno ? errno : EIO;
	return 0;
}

/**
 * out_discard() - forget what could not be handed over
 *
 * Nothing is left then that could keep the process from ending.
 */
void out_discard(void)
{
	__fpurge(out.stream);
	clearerr(out.stream);
}

/**
 * out_end() - finish an answer
 *
 * Return: 0, or an errno value when not all of it could be written.
 */
int out_end(void)
{
	int err = out_flush();

	free(out.rows);
	free(out.cells);
	free(out.text);
	out.rows = NULL;
	out.cells = NULL;
	out.text = NULL;
	out.rows_size = 0;
	out.cells_size = 0;
	out.text_size = 0;
	return err;
}

/*
 * Names come from elsewhere: in text nothing that moves the cursor, in JSON
 * nothing that is not UTF-8.
 */
static size_t utf8_len(const unsigned char *s)
{
	size_t i, len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static bool is_control(const char *s)
{
	unsigned char c = s[0], d = s[1];

	return c < ' ' || c == 0x7f || (c == 0xc2 && d >= 0x80 && d < 0xa0);
}

/* What most names are: letters of ASCII, and nothing to be replaced. */
static bool is_clean(const char *value)
{
	const unsigned char *c = (const unsigned char *)value;

	while (*c >= ' ' && *c < 0x7f)
		c++;
	return !*c;
}

static char *clean(const char *value, bool for_text)
{
	char *copy = NULL, *p;
	size_t size = 0, len;

	copy = grow(copy, &size, 3 * strlen(value) + 1, 1);
	for (p = copy; *value; value += len) {
		len = utf8_len((const unsigned char *)value);
		if (for_text && is_control(value)) {
			*p++ = '?';
		} else if (!len) {
			len = 1;
			if (for_text) {
				*p++ = '?';
			} else {
				memcpy(p, "\xef\xbf\xbd", 3);
				p += 3;
			}
		} else {
			memcpy(p, value, len);
			p += len;
		}
	}
	*p = '\0';
	return copy;
}

/* JSON */

/*
 * JSON may have DEL and U+0080 to U+009F as they are, and json-c writes them so;
 * a terminal would obey them. Only a string can have them in it.
 */
static void json_put(const char *json, FILE *stream)
{
	size_t len;

	for (;;) {
		len = strcspn(json, "\x7f\xc2");
		fwrite(json, 1, len, stream);
		json += len;
		if (!*json)
			break;
		if (!is_control(json))
			fputc(*json, stream);
		else if (*json == 0x7f)
			fputs("\\u007f", stream);
		else
			fprintf(stream, "\\u%04x", (unsigned char)*++json);
		json++;
	}
}

static void json_print(struct json_object *object, FILE *stream, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	json_put(json_object_to_json_string_ext(object, flags), stream);
}

static void json_add(const char *key, struct json_object *value)
{
	struct json_object *top = out.stack[out.depth - 1];

	if (json_object_is_type(top, json_type_array))
		json_object_array_add(top, value);
	else
		/* Keys are literals, and no object is given one twice. */
		json_object_object_add_ex(top, key, value,
					  JSON_C_OBJECT_ADD_KEY_IS_NEW |
					  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

static void json_open(const char *key, struct json_object *value)
{
	/* What is in an array at the top is printed and freed on its own. */
	if (out.depth > 1 ||
	    (out.depth && json_object_is_type(out.stack[0], json_type_object)))
		json_add(key, value);
	out.stack[out.depth++] = value;
	if (out.depth == 1 && json_object_is_type(value, json_type_array))
		fputc('[', out.stream);
}

static void json_close(void)
{
	struct json_object *value = out.stack[--out.depth];
	bool pretty = out.flags & OUT_PRETTY;

	if (!out.depth) {
		if (json_object_is_type(value, json_type_array))
			fputs(pretty && out.elements ? "\n]" : "]", out.stream);
		else
			json_print(value, out.stream, pretty);
		fputc('\n', out.stream);
		json_object_put(value);
	} else if (out.depth == 1 &&
		   json_object_is_type(out.stack[0], json_type_array)) {
		if (out.elements++)
			fputc(',', out.stream);
		if (pretty)
			fputc('\n', out.stream);
		json_print(value, out.stream, pretty);
		json_object_put(value);
	}
}

/**
 * out_object_open() - begin an object
 * @key: its key in the object around it, NULL in an array or at the top
 */
void out_object_open(const char *key)
{
	if (out_is_json())
		json_open(key, json_object_new_object());
}

/**
 * out_object_close() - end the object opened last
 */
void out_object_close(void)
{
	if (out_is_json())
		json_close();
}

/**
 * out_array_open() - begin an array
 * @key: its key in the object around it, NULL in an array or at the top
 */
void out_array_open(const char *key)
{
	if (out_is_json())
		json_open(key, json_object_new_array());
}

/**
 * out_array_close() - end the array opened last
 */
void out_array_close(void)
{
	if (out_is_json())
		json_close();
}

/* Text */

static const char *style_start(enum out_style style)
{
	static const char *const start[] = {
		[OUT_PLAIN] = "",
		[OUT_STRONG] = "\033[1m",
		[OUT_FAINT] = "\033[2m",
		[OUT_GOOD] = "\033[32m",
		[OUT_WARN] = "\033[1;33m",
		[OUT_BAD] = "\033[1;31m",
	};

	return out.flags & OUT_COLOUR ? start[style] : "";
}

static const char *style_end(enum out_style style)
{
	return out.flags & OUT_COLOUR && style != OUT_PLAIN ? "\033[0m" : "";
}

/**
 * out_style() - how the text from here on looks, where there are colours
 * @style: until the next call; OUT_PLAIN ends it
 */
void out_style(enum out_style style)
{
	if (out_is_json() || out.muted)
		return;
	fputs(style_end(out.style), out.stream);
	fputs(style_start(style), out.stream);
	out.style = style;
}

static unsigned int screen_width(const char *s, unsigned int len)
{
	unsigned int width = 0;

	while (len--)
		if ((*s++ & 0xc0) != 0x80)
			width++;
	return width;
}

/**
 * out_mute() - from here on, values are in the JSON only
 * @mute: false ends it
 */
void out_mute(bool mute)
{
	out.muted = mute;
}

static void cell_add(const char *format, const char *value, bool unknown)
{
	size_t len = strlen(value), before, after;
	const char *rest;
	struct cell *cell;
	char *p;

	if (out.row_hidden || out.muted || out.row_cells == out.n_columns)
		return;
	rest = strcmp(format, "%s") ? strstr(format, "%s") : format;
	before = rest - format;
	after = strlen(rest + 2);
	if (unknown) {
		before = 0;
		after = 0;
	}
	out.cells = grow(out.cells, &out.cells_size, out.n_cells + 1,
			 sizeof(*out.cells));
	out.text = grow(out.text, &out.text_size,
			out.text_len + before + len + after, 1);
	p = out.text + out.text_len;
	memcpy(p, format, before);
	memcpy(p + before, value, len);
	memcpy(p + before + len, rest + 2, after);
	cell = &out.cells[out.n_cells++];
	cell->at = out.text_len;
	cell->len = before + len + after;
	cell->width = screen_width(p, cell->len);
	cell->unknown = unknown;
	out.text_len += cell->len;
	out.row_cells++;
}

static void text_put(const char *format, const char *value, bool unknown)
{
	const char *rest;

	if (!format || out.muted)
		return;
	if (out.in_row) {
		cell_add(format, value, unknown);
		return;
	}
	rest = strstr(format, "%s");
	fwrite(format, 1, rest - format, out.stream);
	fputs(value, out.stream);
	fputs(rest + 2, out.stream);
}

/**
 * out_text() - what is said in the text only
 * @format: as printf; in a row it is a cell; nothing from elsewhere, which may
 *   move the cursor
 */
void out_text(const char *format, ...)
{
	char buf[256];
	va_list args;

	if (out_is_json() || out.muted)
		return;
	va_start(args, format);
	if (out.in_row) {
		vsnprintf(buf, sizeof(buf), format, args);
		cell_add("%s", buf, false);
	} else {
		vfprintf(out.stream, format, args);
	}
	va_end(args);
}

/**
 * out_table_open() - begin an array of objects that is a table in text
 * @key: its key in the object around it, NULL in an array or at the top
 * @columns: the columns, in the order in which each row gives its cells
 * @n_columns: how many
 * @titles: a line above each block but the first, indexed by block; or NULL
 */
void out_table_open(const char *key, const struct out_column *columns,
		    unsigned int n_columns, const char *const *titles)
{
	out_array_open(key);
	out.columns = columns;
	out.n_columns = n_columns;
	out.titles = titles;
	out.n_rows = 0;
	out.n_cells = 0;
	out.text_len = 0;
}

/**
 * out_row_open() - begin a row
 * @in_text: false when it is in the JSON only
 * @style: of the line
 */
void out_row_open(bool in_text, enum out_style style)
{
	out_object_open(NULL);
	if (out_is_json())
		return;
	out.in_row = true;
	out.row_hidden = !in_text;
	out.row_cells = 0;
	if (!in_text)
		return;
	out.rows = grow(out.rows, &out.rows_size, out.n_rows + 1,
			sizeof(*out.rows));
	out.rows[out.n_rows++] = style;
}

/**
 * out_row_close() - end a row
 */
void out_row_close(void)
{
	out_object_close();
	if (out_is_json())
		return;
	while (!out.row_hidden && !out.muted && out.row_cells < out.n_columns)
		cell_add("%s", "-", true);
	out.in_row = false;
}

static bool row_in_block(const struct cell *cells, unsigned int block)
{
	unsigned int i;

	if (!block)
		return true;
	for (i = 1; i < out.n_columns; i++)
		if (out.columns[i].block == block && !cells[i].unknown)
			return true;
	return false;
}

/* To the line: @blanks of them, and then @text. */
static void put_piece(unsigned int blanks, const char *text, size_t len)
{
	char *end;

	out.line = grow(out.line, &out.line_size, out.line_len + blanks + len,
			1);
	end = out.line + out.line_len;
	memset(end, ' ', blanks);
	memcpy(end + blanks, text, len);
	out.line_len += blanks + len;
}

static void put_style(const char *style)
{
	if (*style)
		put_piece(0, style, strlen(style));
}

static void put_line(void)
{
	put_piece(0, "\n", 1);
	fwrite(out.line, 1, out.line_len, out.stream);
	out.line_len = 0;
}

/* Blanks wait for what they separate, so that no line ends with any. */
static void put_cell(unsigned int column, const char *text, unsigned int len,
		     unsigned int pad, unsigned int *blanks)
{
	if (column)
		*blanks += 2;
	if (!out.columns[column].left)
		*blanks += pad;
	if (!len) {
		*blanks += out.columns[column].left ? pad : 0;
		return;
	}
	put_piece(*blanks, text, len);
	*blanks = out.columns[column].left ? pad : 0;
}

/*
 * The columns from @from on that fit beside the first one; at least one of
 * them. Return the one to go on with.
 */
static unsigned int fit_columns(unsigned int from, unsigned int block,
				const unsigned int *width, bool *shown)
{
	unsigned int i, total = width[0], n = 0;

	memset(shown, 0, out.n_columns * sizeof(*shown));
	shown[0] = true;
	for (i = from; i < out.n_columns; i++) {
		if (out.columns[i].block != block)
			continue;
		total += 2 + width[i];
		if (out.width && total > out.width && n)
			break;
		shown[i] = true;
		n++;
	}
	return i;
}

static void print_columns(unsigned int block, const unsigned int *width,
			  const bool *shown)
{
	const struct cell *cells;
	unsigned int i, blanks = 0;
	const char *heading;
	size_t row;

	put_style(style_start(OUT_STRONG));
	for (i = 0; i < out.n_columns; i++) {
		heading = out.columns[i].heading;
		if (shown[i])
			put_cell(i, heading, strlen(heading),
				 width[i] - strlen(heading), &blanks);
	}
	put_style(style_end(OUT_STRONG));
	put_line();
	for (row = 0; row < out.n_rows; row++) {
		cells = &out.cells[row * out.n_columns];
		if (!row_in_block(cells, block))
			continue;
		blanks = 0;
		put_style(style_start(out.rows[row]));
		for (i = 0; i < out.n_columns; i++)
			if (shown[i])
				put_cell(i, out.text + cells[i].at,
					 cells[i].len,
					 width[i] - cells[i].width, &blanks);
		put_style(style_end(out.rows[row]));
		put_line();
	}
}

static void print_block(unsigned int block)
{
	unsigned int i, next = 1, parts = 0, width[out.n_columns];
	const struct cell *cells;
	bool shown[out.n_columns];
	size_t row, rows = 0;

	for (i = 0; i < out.n_columns; i++)
		width[i] = strlen(out.columns[i].heading);
	for (row = 0; row < out.n_rows; row++) {
		cells = &out.cells[row * out.n_columns];
		if (!row_in_block(cells, block))
			continue;
		rows++;
		for (i = 0; i < out.n_columns; i++)
			if (cells[i].width > width[i])
				width[i] = cells[i].width;
	}
	if (block && !rows)
		return;
	if (block)
		fputc('\n', out.stream);
	if (block && out.titles)
		fprintf(out.stream, "%s\n", out.titles[block]);
	do {
		if (parts++)
			fputc('\n', out.stream);
		next = fit_columns(next, block, width, shown);
		print_columns(block, width, shown);
	} while (next < out.n_columns);
}

/**
 * out_table_close() - end a table; this is where its text is printed
 */
void out_table_close(void)
{
	unsigned int i, block, blocks = 1;

	out_array_close();
	if (out_is_json() || out.muted)
		return;
	for (i = 0; i < out.n_columns; i++)
		if (out.columns[i].block >= blocks)
			blocks = out.columns[i].block + 1;
	for (block = 0; block < blocks; block++)
		print_block(block);
}

/* Values */

/**
 * out_string() - a string
 * @key: JSON key
 * @format: text around it, with one %s, or NULL
 * @value: the string, or NULL when it is not known
 */
void out_string(const char *key, const char *format, const char *value)
{
	char *copy;

	if (!value) {
		out_null(key, format);
		return;
	}
	if (!out_is_json() && (!format || out.muted))
		return;
	copy = is_clean(value) ? NULL : clean(value, !out_is_json());
	if (copy)
		value = copy;
	if (out_is_json())
		json_add(key, json_object_new_string(value));
	else
		text_put(format, value, false);
	free(copy);
}

/**
 * out_words() - words from elsewhere that are in the text only
 * @format: text around them, with one %s, or NULL
 * @value: the words
 */
void out_words(const char *format, const char *value)
{
	if (!out_is_json() && format)
		out_string(NULL, format, value);
}

/**
 * out_bool() - true or false
 * @key: JSON key
 * @yes: what the text says when it is true, or NULL
 * @no: what the text says when it is false, or NULL
 * @value: which
 */
void out_bool(const char *key, const char *yes, const char *no, bool value)
{
	const char *word = value ? yes : no;

	if (out_is_json())
		json_add(key, json_object_new_boolean(value));
	else if (word)
		text_put("%s", word, false);
}

/**
 * out_null() - a value that is not known
 * @key: JSON key
 * @format: text around it, with one %s, or NULL
 */
void out_null(const char *key, const char *format)
{
	if (out_is_json())
		json_add(key, NULL);
	else
		text_put(format, "-", true);
}

/**
 * out_count() - a whole number
 * @key: JSON key
 * @format: text around it, with one %s, or NULL
 * @value: the number
 */
void out_count(const char *key, const char *format, struct number value)
{
	char buf[OUT_NUMBER_MAX];

	if (!value.known)
		out_null(key, format);
	else if (out_is_json())
		json_add(key, json_object_new_uint64(value.value));
	else if (format)
		text_put(format, out_grouped(buf, value.value), false);
}

/**
 * out_number() - a whole number that is a name, such as a port or a pid
 * @key: JSON key
 * @format: text around it, with one %s, or NULL
 * @value: the number
 */
void out_number(const char *key, const char *format, struct number value)
{
	char buf[OUT_NUMBER_MAX];

	if (!value.known || out_is_json())
		out_count(key, format, value);
	else if (format)
		text_put(format, out_digits(buf, value.value), false);
}

/* value / 10^digits, without the error of a double in between. */
static void json_add_decimal(const char *key, uint64_t value,
			     unsigned int digits)
{
	unsigned int i, unit = 1;
	char buf[OUT_NUMBER_MAX];
	int len;

	for (i = 0; i < digits; i++)
		unit *= 10;
	if (!(value % unit)) {
		json_add(key, json_object_new_uint64(value / unit));
		return;
	}
	len = snprintf(buf, sizeof(buf), "%llu.%0*u",
		       (unsigned long long)value / unit, digits,
		       (unsigned int)(value % unit));
	while (buf[len - 1] == '0')
		buf[--len] = '\0';
	json_add(key, json_object_new_double_s((double)value / unit, buf));
}

/**
 * out_percent() - a share
 * @key: JSON key, of percent with one decimal
 * @format: text around it, with one %s, or NULL
 * @tenths: tenths of a percent; the text is rounded down
 */
void out_percent(const char *key, const char *format, struct number tenths)
{
	char buf[OUT_NUMBER_MAX];

	if (!tenths.known) {
		out_null(key, format);
	} else if (out_is_json()) {
		json_add_decimal(key, tenths.value, 1);
	} else if (format) {
		snprintf(buf, sizeof(buf), "%llu %%",
			 (unsigned long long)tenths.value / 10);
		text_put(format, buf, false);
	}
}

/**
 * out_rate() - how often something happens
 * @key: JSON key, of times per second
 * @format: text around it, with one %s, or NULL
 * @per_1000s: times per 1000 seconds
 */
void out_rate(const char *key, const char *format, struct number per_1000s)
{
	char number[OUT_NUMBER_MAX], buf[OUT_NUMBER_MAX + 2];
	uint64_t value = per_1000s.value;

	if (!per_1000s.known) {
		out_null(key, format);
	} else if (out_is_json()) {
		json_add_decimal(key, value, 3);
	} else if (format) {
		if (value && value < 10000)
			snprintf(buf, sizeof(buf), "%llu.%llu/s",
				 (unsigned long long)value / 1000,
				 (unsigned long long)value % 1000 / 100);
		else
			snprintf(buf, sizeof(buf), "%s/s",
				 out_grouped(number, value / 1000));
		text_put(format, buf, false);
	}
}

/**
 * out_remark() - a number that the text mentions only when it is not 0
 * @key: JSON key
 * @style: of the text
 * @format: text around it, with one %s
 * @value: the number
 */
void out_remark(const char *key, enum out_style style, const char *format,
		struct number value)
{
	if (!number_positive(value)) {
		out_count(key, NULL, value);
		return;
	}
	out_style(style);
	out_count(key, format, value);
	out_style(OUT_PLAIN);
}

/**
 * out_age() - how old something is
 * @key: JSON key
 * @format: text around it, with one %s, or NULL
 * @ms: milliseconds; the text is rounded down
 */
void out_age(const char *key, const char *format, struct number ms)
{
	char buf[OUT_NUMBER_MAX];

	if (!ms.known)
		out_null(key, format);
	else if (out_is_json())
		json_add(key, json_object_new_uint64(ms.value));
	else if (format)
		text_put(format, out_ms(buf, ms.value), false);
}

/**
 * out_seconds() - how long something takes
 * @key: JSON key, of seconds
 * @format: text around it, with one %s, or NULL
 * @ms: milliseconds; the text is rounded down
 */
void out_seconds(const char *key, const char *format, struct number ms)
{
	if (ms.known && out_is_json())
		json_add_decimal(key, ms.value, 3);
	else
		out_age(key, format, ms);
}

/**
 * out_stay() - how long something stayed, at most
 * @key: JSON key, of milliseconds
 * @format: text around it, with one %s, or NULL
 * @us: microseconds; the text is rounded up
 */
void out_stay(const char *key, const char *format, struct number us)
{
	char buf[OUT_NUMBER_MAX];

	if (!us.known)
		out_null(key, format);
	else if (out_is_json())
		json_add_decimal(key, us.value, 3);
	else if (format)
		text_put(format, out_duration(buf, us.value, true), false);
}

/**
 * out_share() - how much of it
 * @buf: at least OUT_NUMBER_MAX bytes
 * @part: how much
 * @whole: of how much
 *
 * Return: @buf, percent, rounded down, so that 100 is all of it.
 */
const char *out_share(char *buf, uint64_t part, uint64_t whole)
{
	uint64_t percent = 100;

	if (whole && __builtin_mul_overflow(part, 100, &percent))
		percent = part / (whole / 100 ?: 1);
	else if (whole)
		percent /= whole;
	snprintf(buf, OUT_NUMBER_MAX, "%llu %%", (unsigned long long)percent);
	return buf;
}

/**
 * out_digits() - a number
 * @buf: at least OUT_NUMBER_MAX bytes
 * @value: the number
 *
 * Return: the text, somewhere in @buf. Lists are long, and this is cheap.
 */
const char *out_digits(char *buf, uint64_t value)
{
	char *p = buf + OUT_NUMBER_MAX;

	*--p = '\0';
	do {
		*--p = '0' + value % 10;
		value /= 10;
	} while (value);
	return p;
}

/**
 * out_grouped() - a number with its thousands separated
 * @buf: at least OUT_NUMBER_MAX bytes
 * @value: the number
 *
 * Return: the text, somewhere in @buf.
 */
const char *out_grouped(char *buf, uint64_t value)
{
	char *p = buf + OUT_NUMBER_MAX;
	unsigned int digits = 0;

	*--p = '\0';
	do {
		if (digits && digits % 3 == 0)
			*--p = ',';
		*--p = '0' + value % 10;
		value /= 10;
		digits++;
	} while (value);
	return p;
}

/**
 * out_duration() - a duration for a person
 * @buf: at least OUT_NUMBER_MAX bytes
 * @us: microseconds
 * @round_up: to the unit printed, instead of down
 *
 * Return: @buf.
 */
const char *out_duration(char *buf, uint64_t us, bool round_up)
{
	static const struct {
		uint64_t below;		/* us */
		uint64_t unit;		/* the smallest part printed, us */
		unsigned int minor;	/* of which so many are a larger part */
		const char *between, *after;
	} steps[] = {
		{ 1000ULL, 1ULL, 1, "", " us" },
		{ 10000ULL, 100ULL, 10, ".", " ms" },
		{ 1000000ULL, 1000ULL, 1, "", " ms" },
		{ 60000000ULL, 100000ULL, 10, ".", " s" },
		{ 3600000000ULL, 1000000ULL, 60, " m ", " s" },
		{ 86400000000ULL, 60000000ULL, 60, " h ", " m" },
		{ UINT64_MAX, 3600000000ULL, 24, " d ", " h" },
	};
	char digits[OUT_NUMBER_MAX], *p;
	unsigned int i, minor;
	uint64_t units;

	for (i = 0; ; i++) {
		units = us / steps[i].unit;
		if (round_up && us % steps[i].unit)
			units++;
		if (steps[i].below == UINT64_MAX ||
		    units < steps[i].below / steps[i].unit)
			break;
	}
	minor = units % steps[i].minor;
	p = stpcpy(buf, out_digits(digits, units / steps[i].minor));
	p = stpcpy(p, steps[i].between);
	if (steps[i].minor > 10 && minor < 10)
		*p++ = '0';
	if (steps[i].minor > 1)
		p = stpcpy(p, out_digits(digits, minor));
	stpcpy(p, steps[i].after);
	return buf;
}

/**
 * out_ms() - a duration for a person
 * @buf: at least OUT_NUMBER_MAX bytes
 * @ms: milliseconds; rounded down to the unit printed
 *
 * Return: @buf.
 */
const char *out_ms(char *buf, uint64_t ms)
{
	uint64_t us;

	if (__builtin_mul_overflow(ms, 1000, &us))
		us = UINT64_MAX;
	return out_duration(buf, us, false);
}

/**
 * out_fail() - say why it cannot be done, on stderr
 * @code: the exit code that goes with it
 * @format: one sentence that says what to do, as printf
 *
 * Return: @code; of a plugin (see out_plugin()) OUT_FAILED.
 */
int out_fail(enum out_exit code, const char *format, ...)
{
	FILE *stream = out.plugin ? out.stream : stderr;
	struct json_object *object;
	char buf[1024];
	va_list args;
	char *text;

	va_start(args, format);
	vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	text = clean(buf, !out_is_json());
	if (out.plugin)
		code = OUT_FAILED;
	if (out_is_json()) {
		object = json_object_new_object();
		if (out.plugin)
			json_object_object_add(object, "status",
					       json_object_new_string("UNKNOWN"));
		json_object_object_add(object, "error",
				       json_object_new_string(text));
		json_print(object, stream, false);
		fputc('\n', stream);
		json_object_put(object);
	} else if (out.plugin) {
		fprintf(stream, "%s UNKNOWN: %s\n", out.plugin, text);
	} else {
		fprintf(stderr, "tcpstate-cli: %s\n", text);
	}
	free(text);
	return code;
}
