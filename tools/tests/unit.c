// SPDX-License-Identifier: GPL-2.0
/* The parts of tcpstate-cli by themselves; what the module says, and nonsense. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/netlink.h>
#include <linux/tcpstate.h>

#include "address.h"
#include "alert.h"
#include "audit.h"
#include "config.h"
#include "dest.h"
#include "out.h"
#include "port.h"
#include "reply.h"
#include "state.h"
#include "words.h"

static unsigned int tests, failures;
static bool ok = true;

/* A test is a number of expectations, and a line of KTAP when it ends. */
__printf(2, 3) static void expect(bool that, const char *format, ...)
{
	va_list args;

	if (that)
		return;
	ok = false;
	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static void test_end(const char *name)
{
	printf("%sok %u %s\n", ok ? "" : "not ", ++tests, name);
	if (!ok)
		failures++;
	ok = true;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void test_states(void)
{
	static const struct {
		const char *word;
		unsigned int state;
	} samples[] = {
		{ "TIME_WAIT", 6 }, { "time-wait", 6 }, { "timewait", 6 },
		{ "Time_Wait", 6 }, { "TIMEWAIT", 6 }, { "fin-wait-1", 4 },
		{ "FIN_WAIT2", 5 }, { "established", 1 }, { "new_syn_recv", 12 },
		{ "syn-recv", 3 }, { "close", 7 }, { "close-wait", 8 },
		{ "closing", 11 }, { "", 0 }, { "TIME", 0 }, { "TIME_WAITS", 0 },
		{ "-", 0 }, { "6", 0 }, { "close wait", 0 },
	};
	unsigned int i, state;

	for (i = 0; i < ARRAY_SIZE(samples); i++)
		expect(state_parse(samples[i].word) == samples[i].state,
		       "'%s' is read as %u", samples[i].word,
		       state_parse(samples[i].word));
	for (state = 1; state <= STATE_MAX; state++)
		expect(state_parse(state_name(state)) == state,
		       "%s is not itself", state_name(state));
	test_end("states in every spelling");
}

static void test_nearest(void)
{
	static const char *const words[] = {
		NULL, "state", "audit", "owner", "check", "monitor",
	};
	static const struct {
		const char *word, *nearest;
	} samples[] = {
		{ "stat", "state" }, { "states", "state" }, { "staet", "state" },
		{ "STATE", "state" }, { "audti", "audit" }, { "mon", "monitor" },
		{ "ch", "check" }, { "chekc", "check" }, { "x", NULL },
		{ "", NULL }, { "zzzzz", NULL }, { "m", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
	};
	const char *nearest;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		nearest = word_nearest(samples[i].word, words, ARRAY_SIZE(words));
		expect(same(nearest, samples[i].nearest),
		       "nearest to '%s' is '%s'", samples[i].word,
		       nearest ? nearest : "(none)");
	}
	test_end("the nearest word");
}

static void test_numbers(void)
{
	static const struct {
		const char *word;
		bool valid;
		uint64_t value;
	} samples[] = {
		{ "0", true, 0 }, { "10", true, 10 }, { "007", true, 7 },
		{ "11", false, 0 }, { "-1", false, 0 }, { "+1", false, 0 },
		{ "", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 },
		{ "1x", false, 0 }, { "0x1", false, 0 },
		{ "18446744073709551617", false, 0 },
	}, hex[] = {
		{ "1a", true, 0x1a }, { "1A", true, 0x1a }, { "0", true, 0 },
		{ "ffffffffffffffff", true, UINT64_MAX },
		{ "00000000000000001", false, 0 },
		{ "10000000000000000", false, 0 }, { "-1", false, 0 },
		{ "+1", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 },
		{ "0x1a", false, 0 }, { "", false, 0 }, { "g", false, 0 },
	};
	uint64_t value;
	unsigned int i;
	bool valid;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		value = 0;
		valid = word_number(samples[i].word, 0, 10, &value);
		expect(valid == samples[i].valid && value == samples[i].value,
		       "'%s' is read as %s%llu", samples[i].word,
		       valid ? "" : "invalid, ", (unsigned long long)value);
	}
	expect(!word_number("3", 4, 5, &value), "3 is not between 4 and 5");
	for (i = 0; i < ARRAY_SIZE(hex); i++) {
		value = 0;
		valid = word_hex(hex[i].word, &value);
		expect(valid == hex[i].valid && value == hex[i].value,
		       "'%s' is read as %s%llx", hex[i].word,
		       valid ? "" : "invalid, ", (unsigned long long)value);
	}
	test_end("numbers as typed");
}

static void test_thresholds(void)
{
	static const struct {
		const char *word;
		bool valid;
		uint64_t warning, critical;
	} samples[] = {
		{ "80:95", true, 80, 95 }, { "0:0", true, 0, 0 },
		{ "80%:95%", true, 80, 95 }, { "100:100", true, 100, 100 },
		{ "95:80", false, 0, 0 }, { "80", false, 0, 0 },
		{ "80:", false, 0, 0 }, { ":95", false, 0, 0 },
		{ "", false, 0, 0 }, { ":", false, 0, 0 },
		{ "80:101", false, 0, 0 }, { "80:95:99", false, 0, 0 },
		{ "80%%:95", false, 0, 0 }, { "%:%", false, 0, 0 },
		{ "000000000000000000000000000000000000080:95", false, 0, 0 },
	};
	static const struct {
		const char *word;
		bool valid;
		uint64_t ms;
	} durations[] = {
		{ "0", true, 0 }, { "90", true, 90000 }, { "90s", true, 90000 },
		{ "1500ms", true, 1500 }, { "2000ms", true, 2000 },
		{ "10m", true, 600000 },
		{ "10min", true, 600000 }, { "2h", true, 7200000 },
		{ "3d", true, 259200000 }, { "", false, 0 }, { "s", false, 0 },
		{ "-1s", false, 0 }, { "1.5s", false, 0 }, { "1 s", false, 0 },
		{ "1w", false, 0 }, { "18446744073709551615", false, 0 },
		{ "99999999999999999999999999999", false, 0 },
	};
	uint64_t warning, critical;
	bool valid, whole;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		warning = 0;
		critical = 0;
		valid = word_thresholds(samples[i].word, word_percent, &warning,
					&critical);
		expect(valid == samples[i].valid &&
		       (!valid || (warning == samples[i].warning &&
				   critical == samples[i].critical)),
		       "'%s' is read as %d, %llu, %llu", samples[i].word, valid,
		       (unsigned long long)warning,
		       (unsigned long long)critical);
	}
	for (i = 0; i < ARRAY_SIZE(durations); i++) {
		warning = 0;
		valid = word_duration(durations[i].word, &warning);
		expect(valid == durations[i].valid &&
		       (!valid || warning == durations[i].ms),
		       "'%s' is read as %d, %llu ms", durations[i].word, valid,
		       (unsigned long long)warning);
		whole = word_seconds(durations[i].word, &warning);
		expect(whole == (valid && !(durations[i].ms % 1000)) &&
		       (!whole || warning == durations[i].ms / 1000),
		       "'%s' is read as %d, %llu s", durations[i].word, whole,
		       (unsigned long long)warning);
	}
	test_end("thresholds and durations as typed");
}

static void test_addresses(void)
{
	static const struct {
		const char *word, *text;	/* text NULL: it is none */
	} samples[] = {
		{ "10.0.0.1", "10.0.0.1" }, { "2001:DB8::0:1", "2001:db8::1" },
		{ "[::1]", "::1" }, { "::ffff:10.0.0.1", "10.0.0.1" },
		{ "[::ffff:0a00:0001]", "10.0.0.1" }, { "::", "::" },
		{ "", NULL }, { "10.0.0", NULL }, { "10.0.0.256", NULL },
		{ "[::1", NULL }, { "::1]", NULL }, { "[]", NULL },
		{ "localhost", NULL }, { "10.0.0.1 ", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "00000000000000000000000000000000000000000000000000000000000000000000", NULL },
	};
	static const struct {
		const char *prefix, *address;
		bool valid, holds;
	} prefixes[] = {
		{ "10.0.0.0/8", "10.255.0.1", true, true },
		{ "10.0.0.0/8", "11.0.0.1", true, false },
		{ "10.0.0.1", "10.0.0.1", true, true },
		{ "10.0.0.1", "10.0.0.2", true, false },
		{ "10.0.0.128/25", "10.0.0.255", true, true },
		{ "10.0.0.128/25", "10.0.0.127", true, false },
		{ "0.0.0.0/0", "1.2.3.4", true, true },
		{ "0.0.0.0/0", "::1", true, false },
		{ "::/0", "2001:db8::1", true, true },
		{ "2001:db8::/33", "2001:db8:7fff::", true, true },
		{ "2001:db8::/33", "2001:db8:8000::", true, false },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true, true },
		{ "::ffff:10.0.0.0/95", "10.1.2.3", false, false },
		{ "10.0.0.0/33", "10.0.0.0", false, false },
		{ "::/129", "::", false, false },
		{ "10.0.0.0/", "10.0.0.0", false, false },
		{ "/8", "10.0.0.0", false, false },
		{ "10.0.0.0/8/8", "10.0.0.0", false, false },
	};
	static const struct {
		const char *word, *text;
	} endpoints[] = {
		{ "10.0.0.1:80", "10.0.0.1:80" },
		{ "[2001:db8::1]:65535", "[2001:db8::1]:65535" },
		{ "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
		{ "10.0.0.1", NULL }, { "10.0.0.1:0", NULL },
		{ "10.0.0.1:65536", NULL }, { "2001:db8::1:80", NULL },
		{ "[2001:db8::1]", NULL }, { ":80", NULL }, { "", NULL },
		{ ":", NULL }, { "[::1]80", NULL }, { "10.0.0.1:", NULL },
	};
	char buf[ENDPOINT_MAX];
	struct address address;
	struct prefix prefix;
	unsigned int i;
	uint64_t port;
	bool valid;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		valid = address_parse(samples[i].word, &address);
		expect(same(valid ? address_text(buf, &address) : NULL,
			    samples[i].text), "'%s' is read as %s",
		       samples[i].word, valid ? buf : "none");
	}
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		valid = prefix_parse(prefixes[i].prefix, &prefix);
		expect(valid == prefixes[i].valid, "'%s' is %s",
		       prefixes[i].prefix, valid ? "taken" : "refused");
		address_parse(prefixes[i].address, &address);
		expect(!valid || prefix_holds(&prefix, &address) ==
				 prefixes[i].holds,
		       "'%s' and %s", prefixes[i].prefix, prefixes[i].address);
	}
	for (i = 0; i < ARRAY_SIZE(endpoints); i++) {
		valid = endpoint_parse(endpoints[i].word, &address, &port);
		expect(same(valid ? endpoint_text(buf, &address,
						  number_known(port)) : NULL,
			    endpoints[i].text), "'%s' is read as %s",
		       endpoints[i].word, valid ? buf : "none");
	}
	test_end("addresses in every spelling");
}

static void test_grouped(void)
{
	static const struct {
		uint64_t value;
		const char *text;
	} samples[] = {
		{ 0, "0" }, { 7, "7" }, { 999, "999" }, { 1000, "1,000" },
		{ 65536, "65,536" }, { 1000000, "1,000,000" },
		{ UINT64_MAX, "18,446,744,073,709,551,615" },
	};
	char buf[OUT_NUMBER_MAX];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++)
		expect(same(out_grouped(buf, samples[i].value), samples[i].text),
		       "%s is printed as %s", samples[i].text,
		       out_grouped(buf, samples[i].value));
	test_end("thousands");
}

static void test_durations(void)
{
	static const struct {
		uint64_t us;
		const char *down, *up;
	} samples[] = {
		{ 0, "0 us", "0 us" },
		{ 213, "213 us", "213 us" },
		{ 1000, "1.0 ms", "1.0 ms" },
		{ 1001, "1.0 ms", "1.1 ms" },
		{ 9999, "9.9 ms", "10 ms" },
		{ 213000, "213 ms", "213 ms" },
		{ 999999, "999 ms", "1.0 s" },
		{ 59949999, "59.9 s", "1 m 00 s" },
		{ 63000000, "1 m 03 s", "1 m 03 s" },
		{ 63000001, "1 m 03 s", "1 m 04 s" },
		{ 3599999999, "59 m 59 s", "1 h 00 m" },
		{ 7999000000, "2 h 13 m", "2 h 14 m" },
		{ 273600000000, "3 d 04 h", "3 d 04 h" },
		{ UINT64_MAX, "213503982 d 08 h", "213503982 d 09 h" },
	};
	char buf[OUT_NUMBER_MAX];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		out_duration(buf, samples[i].us, false);
		expect(same(buf, samples[i].down), "%llu us is printed as %s",
		       (unsigned long long)samples[i].us, buf);
		out_duration(buf, samples[i].us, true);
		expect(same(buf, samples[i].up), "%llu us rounds up to %s",
		       (unsigned long long)samples[i].us, buf);
	}
	test_end("durations");
}

static char *printed;
static size_t printed_len;
static FILE *stream;

static void print_begin(unsigned int flags)
{
	free(printed);
	stream = open_memstream(&printed, &printed_len);
	if (!stream)
		abort();
	out_begin(stream, flags);
}

static const char *print_end(void)
{
	if (out_end())
		abort();
	fclose(stream);
	return printed;
}

/* The same calls for text and JSON. */
static void print_values(const char *name)
{
	static const struct out_column columns[] = {
		{ .heading = "NAME", .left = true },
		{ .heading = "N" },
		{ .heading = "TOOK", .block = 1 },
		{ .heading = "NOTE", .left = true },
	};
	static const char *const titles[OUT_BLOCKS] = { [1] = "Time:" };
	struct number unknown = { .known = false };

	out_object_open(NULL);
	out_string("name", "name %s", name);
	out_count("n", ", %s of them", number_known(1234567));
	out_count("hidden", NULL, number_known(1));
	out_bool("good", " (good)", " (bad)", false);
	out_text("\n");
	out_string("none", "none is %s\n", NULL);
	out_mute(true);
	out_age("muted_ms", "muted %s", number_known(1));
	out_mute(false);
	out_table_open("rows", columns, ARRAY_SIZE(columns), titles);
	out_row_open(true, OUT_PLAIN);
	out_string("name", "%s", name);
	out_count("n", "%s", number_known(1));
	out_stay("ms", "%s", number_known(213));
	out_text("%s", "");
	out_row_close();
	out_row_open(true, OUT_WARN);
	out_string("name", "%s", "a");
	out_count("n", "> %s", unknown);
	out_stay("ms", "%s", unknown);
	out_text("note");
	out_row_close();
	out_row_open(false, OUT_PLAIN);
	out_string("name", "%s", "in JSON only");
	out_row_close();
	out_table_close();
	out_object_close();
}

static void test_output(void)
{
	static const char text[] =
		"name b?[2J?c, 1,234,567 of them (bad)\n"
		"none is -\n"
		"NAME     N  NOTE\n"
		"b?[2J?c  1\n"
		"a        -  note\n"
		"\n"
		"Time:\n"
		"NAME       TOOK\n"
		"b?[2J?c  213 us\n";
	static const char json[] =
		"{\n"
		"  \"name\": \"b\\u001b\xef\xbf\xbd\xc3\xa4/\",\n"
		"  \"n\": 1234567,\n"
		"  \"hidden\": 1,\n"
		"  \"good\": false,\n"
		"  \"none\": null,\n"
		"  \"muted_ms\": 1,\n"
		"  \"rows\": [\n"
		"    {\n"
		"      \"name\": \"b\\u001b\xef\xbf\xbd\xc3\xa4/\",\n"
		"      \"n\": 1,\n"
		"      \"ms\": 0.213\n"
		"    },\n"
		"    {\n"
		"      \"name\": \"a\",\n"
		"      \"n\": null,\n"
		"      \"ms\": null\n"
		"    },\n"
		"    {\n"
		"      \"name\": \"in JSON only\"\n"
		"    }\n"
		"  ]\n"
		"}\n";

	print_begin(0);
	print_values("b\033[2J\nc");
	expect(same(print_end(), text), "text:\n%s", printed);
	print_begin(OUT_PRETTY);
	print_values("b\033\xff\xc3\xa4/");
	expect(same(print_end(), json), "JSON: %s", printed);
	print_begin(OUT_COLOUR);
	print_values("b");
	expect(strstr(print_end(), "\033[1;33ma"), "no colour: %s", printed);
	test_end("text and JSON from one call");
}

/* Each by itself, so that nothing else in it has it looked at closely. */
static void test_names(void)
{
	static const struct {
		const char *name, *text, *json;
	} samples[] = {
		{ "nginx", "nginx", "nginx" },
		{ "\xc3\xa4", "\xc3\xa4", "\xc3\xa4" },
		{ "\xff", "?", "\xef\xbf\xbd" },
		{ "a\xc3", "a?", "a\xef\xbf\xbd" },
		{ "\033[2J", "?[2J", "\\u001b[2J" },
		{ "a\x7f", "a?", "a\\u007f" },
		{ "\xc2\x9b[J\xc2\x80", "?[J?", "\\u009b[J\\u0080" },
		{ "\xc2\xa0\xc2\xbf", "\xc2\xa0\xc2\xbf", "\xc2\xa0\xc2\xbf" },
		{ "\xed\xa0\x80", "???",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};
	char expected[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		print_begin(0);
		out_string("n", "%s", samples[i].name);
		expect(same(print_end(), samples[i].text), "name %u is printed as %s",
		       i, printed);
		print_begin(OUT_JSON);
		out_object_open(NULL);
		out_string("n", NULL, samples[i].name);
		out_object_close();
		snprintf(expected, sizeof(expected), "{\"n\":\"%s\"}\n",
			 samples[i].json);
		expect(same(print_end(), expected), "name %u is printed as %s",
		       i, printed);
	}
	test_end("names that are not plain letters");
}

static void test_top_arrays(void)
{
	int i;

	print_begin(OUT_JSON);
	out_array_open(NULL);
	out_array_close();
	expect(same(print_end(), "[]\n"), "empty: %s", printed);
	print_begin(OUT_JSON);
	out_array_open(NULL);
	for (i = 0; i < 2; i++) {
		out_object_open(NULL);
		out_object_open("in");
		out_count("i", NULL, number_known(i));
		out_object_close();
		out_object_close();
	}
	out_array_close();
	expect(same(print_end(), "[{\"in\":{\"i\":0}},{\"in\":{\"i\":1}}]\n"),
	       "two: %s", printed);
	test_end("arrays at the top");
}

/* Numbers that are no plain counts, in text and JSON. */
static void test_units(void)
{
	static const struct {
		void (*print)(const char *key, const char *format,
			      struct number number);
		uint64_t value;
		const char *text, *json;
	} samples[] = {
		{ out_percent, 0, "0 %", "0" },
		{ out_percent, 999, "99 %", "99.9" },
		{ out_percent, 1000, "100 %", "100" },
		{ out_rate, 0, "0/s", "0" },
		{ out_rate, 1, "0.0/s", "0.001" },
		{ out_rate, 700, "0.7/s", "0.7" },
		{ out_rate, 9999, "9.9/s", "9.999" },
		{ out_rate, 470533, "470/s", "470.533" },
		{ out_rate, 1470533000, "1,470,533/s", "1470533" },
		{ out_seconds, 0, "0 us", "0" },
		{ out_seconds, 1900, "1.9 s", "1.9" },
		{ out_seconds, 252300, "4 m 12 s", "252.3" },
		{ out_seconds, UINT64_MAX, "213503982 d 08 h",
		  "18446744073709551.615" },
		{ out_number, 32768, "32768", "32768" },
		{ out_age, UINT64_MAX, "213503982 d 08 h",
		  "18446744073709551615" },
	};
	char expected[64], buf[OUT_NUMBER_MAX];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		print_begin(0);
		samples[i].print("n", "%s", number_known(samples[i].value));
		expect(same(print_end(), samples[i].text), "%s is printed as %s",
		       samples[i].text, printed);
		print_begin(OUT_JSON);
		out_object_open(NULL);
		samples[i].print("n", "%s", number_known(samples[i].value));
		samples[i].print("u", "%s", number_unknown());
		out_object_close();
		snprintf(expected, sizeof(expected), "{\"n\":%s,\"u\":null}\n",
			 samples[i].json);
		expect(same(print_end(), expected), "%s is printed as %s",
		       expected, printed);
	}
	expect(same(out_share(buf, 28231, 28232), "99 %"), "share %s", buf);
	expect(same(out_share(buf, 0, 0), "100 %"), "of nothing %s", buf);
	expect(same(out_share(buf, UINT64_MAX, UINT64_MAX), "100 %"),
	       "of all there is %s", buf);
	test_end("percentages, rates and seconds");
}

/* What does not fit goes below, with the first column again. */
static void test_narrow(void)
{
	static const struct out_column columns[] = {
		{ .heading = "NAME", .left = true }, { .heading = "A" },
		{ .heading = "B" }, { .heading = "LONG HEADING" },
		{ .heading = "D" },
	};
	static const char text[] =
		"NAME    A    B\n"
		"name  123  123\n"
		"\n"
		"NAME  LONG HEADING\n"
		"name           123\n"
		"\n"
		"NAME    D\n"
		"name  123\n";
	int i;

	print_begin(0);
	out_width(15);
	out_table_open(NULL, columns, ARRAY_SIZE(columns), NULL);
	out_row_open(true, OUT_PLAIN);
	out_words("%s", "name");
	for (i = 0; i < 4; i++)
		out_count(NULL, "%s", number_known(123));
	out_row_close();
	out_table_close();
	out_width(0);
	expect(same(print_end(), text), "%s", printed);
	test_end("a table on a narrow screen");
}

static void test_stay_json(void)
{
	static const struct {
		uint64_t us;
		const char *json;
	} samples[] = {
		{ 0, "[{\"t\":0}]\n" }, { 1, "[{\"t\":0.001}]\n" },
		{ 213, "[{\"t\":0.213}]\n" }, { 1500, "[{\"t\":1.5}]\n" },
		{ 64000, "[{\"t\":64}]\n" },
		{ UINT64_MAX, "[{\"t\":18446744073709551.615}]\n" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		print_begin(OUT_JSON);
		out_array_open(NULL);
		out_object_open(NULL);
		out_stay("t", NULL, number_known(samples[i].us));
		out_object_close();
		out_array_close();
		expect(same(print_end(), samples[i].json), "%llu us: %s",
		       (unsigned long long)samples[i].us, printed);
	}
	test_end("milliseconds in JSON, to the microsecond");
}

static struct reply reply;

static int read_state(struct counters_list *list)
{
	return counters_read((struct nlattr *)reply.data, reply.len, list);
}

/* One row with this histogram; max_us of UINT64_MAX leaves the maximum out. */
static struct stay stay_of(const uint64_t *buckets, int n, uint64_t max_us)
{
	struct counters_list list = { 0 };
	struct stay stay;
	int nest;

	reply.len = 0;
	reply_put_u64(&reply, TCPSTATE_A_COUNTERS_NETNS_INO, 1);
	nest = reply_nest(&reply, TCPSTATE_A_COUNTERS_STATE);
	reply_put_u32(&reply, TCPSTATE_A_STATE_ENTRY_STATE, 1);
	reply_put(&reply, TCPSTATE_A_STATE_ENTRY_DWELL, buckets, n * 8);
	if (max_us != UINT64_MAX)
		reply_put_u64(&reply, TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US,
			      max_us);
	reply_nest_end(&reply, nest);
	expect(!read_state(&list), "a histogram of %d is refused", n);
	stay = list.items[0].rows[1].stay;
	counters_forget(&list);
	return stay;
}

static void expect_number(const char *what, struct number number,
			  uint64_t value)
{
	expect(number.known && number.value == value, "%s is %s%llu", what,
	       number.known ? "" : "unknown, ",
	       (unsigned long long)number.value);
}

static void test_quantiles(void)
{
	uint64_t buckets[TCPSTATE_DWELL_BUCKETS] = { 0 };
	uint64_t many[64] = { [63] = 1 };
	struct stay stay;

	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 0);
	expect(!stay.p50.known && !stay.max.known, "of none");
	buckets[0] = 1;
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 213);
	expect_number("p50 of one", stay.p50, 213);
	expect_number("p99 of one", stay.p99, 213);
	expect_number("max of one", stay.max, 213);

	/* 100 stays: 50 below 1 ms, 40 of 2 to 4 ms, 9 of 32 to 64, 1 longer */
	buckets[0] = 50;
	buckets[2] = 40;
	buckets[6] = 9;
	buckets[10] = 1;
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 700000);
	expect_number("p50", stay.p50, 1000);
	expect_number("p90", stay.p90, 4000);
	expect_number("p99", stay.p99, 64000);
	expect_number("max", stay.max, 700000);
	buckets[0] = 49;
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 700000);
	expect_number("p50 of 99", stay.p50, 4000);
	expect_number("p99 of 99", stay.p99, 700000);

	/* The last bucket ends at the maximum, or nobody knows where. */
	memset(buckets, 0, sizeof(buckets));
	buckets[TCPSTATE_DWELL_BUCKETS - 1] = 5;
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 9000000000);
	expect_number("p50 in the last", stay.p50, 9000000000);
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, UINT64_MAX);
	expect(!stay.p50.known && !stay.max.known, "the last without maximum");
	buckets[1] = 95;
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, UINT64_MAX);
	expect_number("p90 without maximum", stay.p90, 2000);

	/* Sums that do not fit, and as many buckets as there can be. */
	memset(buckets, 0xff, sizeof(buckets));
	stay = stay_of(buckets, TCPSTATE_DWELL_BUCKETS, 1);
	expect_number("p99 of too many", stay.p99, 1);
	stay = stay_of(many, 64, 77);
	expect_number("p50 of 64 buckets", stay.p50, 77);
	test_end("quantiles are at most the bucket's end and the maximum");
}

static int print_all(const struct counters_list *list, unsigned int flags,
		     bool brief)
{
	json_object *object;
	size_t i;

	print_begin(flags);
	if (list->n != 1)
		out_array_open(NULL);
	for (i = 0; i < list->n; i++)
		counters_print(&list->items[i], NULL, 0, brief);
	if (list->n != 1)
		out_array_close();
	print_end();
	if (!(flags & OUT_JSON))
		return 0;
	object = json_tokener_parse(printed);
	if (!object)
		return -1;
	json_object_put(object);
	return 0;
}

static void print_counters(const void *list)
{
	const struct counters_list *counters = list;

	counters_print(&counters->items[0], NULL, 0, false);
}

static void print_audit(const void *list)
{
	const struct audit_list *audits = list;

	audit_print(&audits->items[0]);
}

static void print_dests(const void *list)
{
	dest_print(list, number_unknown(), NULL, false);
}

static void print_ports(const void *list)
{
	port_print(list, true);
}

static void print_summary(const void *list)
{
	const struct port_summary_list *sums = list;

	port_summary_print(&sums->items[0]);
}

static void print_config(const void *list)
{
	const struct config_list *configs = list;

	config_print(&configs->items[0]);
}

static void print_alert(const void *list)
{
	const struct alert_list *alerts = list;

	out_object_open(NULL);
	alert_print(&alerts->items[0], true);
	alert_print_all(alerts, alerts->items[0].key.netns_ino);
	out_object_close();
}

static void fill_counters(void)
{
	reply_state(&reply, "busy", 4026531840);
}

static void fill_audit(void)
{
	reply_audit(&reply, "moved", 4026531840);
}

static void fill_dest(void)
{
	reply_dest(&reply, "busy", 4026531840, 2);
}

static void fill_port(void)
{
	reply_port(&reply, "busy", 4026531840, 1);
}

static void fill_summary(void)
{
	reply_port_summary(&reply, "busy", 4026531840);
}

static void fill_config(void)
{
	static const uint32_t values[] = { 80, 95, 80, 95, 60, 600 };

	reply_config(&reply, "busy", 4026531840, values, 7);
}

static void fill_alert(void)
{
	reply_alert(&reply, "busy", 4026531840, 2, 0);
}

/* What the module answers with, and what we make of it. */
static const struct kind {
	const char *cut, *garbled;
	void (*fill)(void);
	int (*read)(struct nlattr *attrs, int len, void *list);
	void (*print)(const void *list);
	void (*forget)(void *list);
} kinds[] = {
	{ "counters cut short", "counters garbled", fill_counters,
	  counters_read, print_counters, counters_forget },
	{ "an audit cut short", "an audit garbled", fill_audit, audit_read,
	  print_audit, audit_forget },
	{ "a destination cut short", "a destination garbled", fill_dest,
	  dest_read, print_dests, dest_forget },
	{ "a port cut short", "a port garbled", fill_port, port_read,
	  print_ports, port_forget },
	{ "a range cut short", "a range garbled", fill_summary,
	  port_summary_read, print_summary, port_summary_forget },
	{ "thresholds cut short", "thresholds garbled", fill_config,
	  config_read, print_config, config_forget },
	{ "an alert cut short", "an alert garbled", fill_alert, alert_read,
	  print_alert, alert_forget },
};

/* Large enough for the list of any kind, and aligned for it. */
union any_list {
	struct counters_list counters;
	struct audit_list audits;
	struct dest_list dests;
	struct port_list ports;
	struct port_summary_list sums;
	struct config_list configs;
	struct alert_list alerts;
};

static void fill(const struct kind *kind)
{
	memset(&reply, 0, sizeof(reply));
	kind->fill();
}

/* Read it, and if it makes sense print it in both ways. */
static bool feed(const struct kind *kind)
{
	union any_list list;
	json_object *object;
	bool good;

	memset(&list, 0, sizeof(list));
	good = !kind->read((struct nlattr *)reply.data, reply.len, &list);
	if (good) {
		print_begin(0);
		kind->print(&list);
		print_end();
		print_begin(OUT_JSON);
		kind->print(&list);
		object = json_tokener_parse(print_end());
		expect(object, "not JSON: %s", printed);
		json_object_put(object);
	}
	kind->forget(&list);
	return good;
}

static void expect_keys(json_object *object, const char *keys)
{
	char *copy = strdup(keys), *key, *rest = copy;

	while (copy && (key = strsep(&rest, " ")))
		expect(json_object_object_get_ex(object, key, NULL),
		       "there is no \"%s\"", key);
	free(copy);
}

/* The keys that others build on. */
static void test_keys(void)
{
	struct counters_list list = { 0 };
	struct audit_list audits = { 0 };
	json_object *object, *row;

	fill(&kinds[0]);
	read_state(&list);
	expect(!print_all(&list, OUT_JSON, true), "not JSON: %s", printed);
	object = json_tokener_parse(printed);
	expect_keys(object, "netns states transitions time_wait untracked inexact");
	expect_keys(json_object_object_get(object, "time_wait"),
		    "limit overflow expired recycled killed");
	row = json_object_array_get_idx(json_object_object_get(object,
							       "transitions"), 0);
	expect_keys(row, "from to count");
	row = json_object_array_get_idx(json_object_object_get(object, "states"),
					11);
	expect_keys(row, "state sockets ipv4 ipv6 mini entered oldest_ms dwell_ms");
	expect_keys(json_object_object_get(row, "dwell_ms"), "p50 p90 p99 max");
	expect(same(json_object_get_string(json_object_object_get(row, "state")),
		    "NEW_SYN_RECV"), "the last state is another");
	expect(!json_object_object_get(row, "entered"),
	       "NEW_SYN_RECV has a history");
	json_object_put(object);
	counters_forget(&list);

	fill(&kinds[1]);
	audit_read((struct nlattr *)reply.data, reply.len, &audits);
	print_begin(OUT_JSON);
	audit_print(&audits.items[0]);
	object = json_tokener_parse(print_end());
	expect_keys(object, "netns exact walks missing missing_now stale states");
	row = json_object_array_get_idx(json_object_object_get(object, "states"),
					0);
	expect_keys(row, "state counted walked");
	json_object_put(object);
	audit_forget(&audits);
	test_end("the keys of the contract");
}

/* The keys of all that has come with ports. */
static void test_port_keys(void)
{
	static const struct {
		unsigned int kind;
		const char *keys, *nest, *nested;
	} samples[] = {
		{ 2, "netns family saddr daddr dport ifindex device severity",
		  "last_failure", "pid comm age_ms" },
		{ 2, "used time_wait reusable capacity used_pct full_pct outside",
		  NULL, NULL },
		{ 2, "opens open_rate sustainable_rate sustainable eta_s connect_failures",
		  NULL, NULL },
		{ 3, "port sockets time_wait close_wait listen", NULL, NULL },
		{ 4, "low high reserved bind_blocked in_use bind_failures",
		  "last_bind_failure", "pid comm age_ms" },
		{ 5, "netns port_room_warning close_wait_critical", NULL, NULL },
		{ 6, "event severity netns daddr used capacity count total",
		  "process", "pid comm age_ms" },
	};
	const struct kind *kind;
	json_object *top, *object;
	union any_list list;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		kind = &kinds[samples[i].kind];
		memset(&list, 0, sizeof(list));
		fill(kind);
		kind->read((struct nlattr *)reply.data, reply.len, &list);
		print_begin(OUT_JSON);
		kind->print(&list);
		top = json_tokener_parse(print_end());
		object = json_object_is_type(top, json_type_array) ?
			 json_object_array_get_idx(top, 0) : top;
		expect_keys(object, samples[i].keys);
		if (samples[i].nest)
			expect_keys(json_object_object_get(object,
							   samples[i].nest),
				    samples[i].nested);
		json_object_put(top);
		kind->forget(&list);
	}
	test_end("the keys of what has to do with ports");
}

/*
 * Cut short at every length, into memory of just that length, so that a
 * sanitizer sees a read beyond it.
 */
static void test_cut(const struct kind *kind)
{
	union any_list list;
	int len, full, err;
	void *copy;

	memset(&list, 0, sizeof(list));
	fill(kind);
	full = reply.len;
	for (len = 0; len < full; len++) {
		copy = malloc(len ? len : 1);
		if (!copy)
			abort();
		memcpy(copy, reply.data, len);
		err = kind->read(copy, len, &list);
		expect(err || len >= 12, "%d bytes are read as an answer", len);
		kind->forget(&list);
		free(copy);
	}
	test_end(kind->cut);
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

static void test_garbled(const struct kind *kind)
{
	unsigned int i, rounds = 12000, flips, accepted = 0;

	for (i = 0; i < rounds; i++) {
		fill(kind);
		for (flips = 1 + random_below(6); flips; flips--)
			reply.data[random_below(reply.len)] = random_below(256);
		accepted += feed(kind);
	}
	expect(accepted && accepted < rounds, "%u of %u accepted", accepted,
	       rounds);
	test_end(kind->garbled);
}

static void test_refused(void)
{
	static const struct {
		const char *scene;
		bool refused;
	} samples[] = {
		{ "busy", false }, { "quiet", false }, { "older", false },
		{ "newer", false }, { "huge", false }, { "no-netns", true },
		{ "short-number", true }, { "short-histogram", true },
		{ "state-13", true },
	};
	struct counters_list list = { 0 };
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		reply.len = 0;
		reply_state(&reply, samples[i].scene, 1);
		err = read_state(&list);
		expect(!err == !samples[i].refused, "'%s' is %s",
		       samples[i].scene, err ? "refused" : "accepted");
		counters_forget(&list);
	}
	test_end("what is malformed is refused, what is unknown is passed over");
}

static void test_zero_length(void)
{
	struct counters_list list = { 0 };
	int type;

	for (type = 0; type <= TCPSTATE_A_COUNTERS_MAX; type++) {
		if (type == TCPSTATE_A_COUNTERS_PAD ||
		    type == TCPSTATE_A_COUNTERS_ONLY || !type ||
		    type == TCPSTATE_A_COUNTERS_TIME_WAIT)
			continue;
		reply.len = 0;
		reply_put_u64(&reply, TCPSTATE_A_COUNTERS_NETNS_INO, 1);
		reply_put(&reply, type, NULL, 0);
		expect(read_state(&list), "an empty attribute %d is accepted",
		       type);
		counters_forget(&list);
	}
	expect(counters_read(NULL, 0, &list), "nothing is accepted");
	test_end("empty attributes are refused");
}

static void test_parts(void)
{
	struct counters_list list = { 0 };

	reply.len = 0;
	reply_state(&reply, "states-only", 1);
	expect(!read_state(&list), "the first part is refused");
	reply.len = 0;
	reply_state(&reply, "rest-only", 1);
	expect(!read_state(&list), "the second part is refused");
	reply.len = 0;
	reply_state(&reply, "busy", 2);
	expect(!read_state(&list), "the next namespace is refused");
	expect(list.n == 2, "%zu namespaces", list.n);
	expect(list.items[0].rows[6].sockets.value == 27904, "first part lost");
	expect(list.items[0].n_transitions == 15, "second part lost");
	expect_number("limit", list.items[0].limit, 65536);
	counters_forget(&list);
	test_end("a namespace in two messages is one");
}

int main(void)
{
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%zu\n", 19 + 2 * ARRAY_SIZE(kinds));
	test_states();
	test_nearest();
	test_numbers();
	test_thresholds();
	test_addresses();
	test_grouped();
	test_durations();
	test_output();
	test_names();
	test_top_arrays();
	test_units();
	test_narrow();
	test_stay_json();
	test_quantiles();
	test_refused();
	test_zero_length();
	test_parts();
	test_keys();
	test_port_keys();
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		test_cut(&kinds[i]);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		test_garbled(&kinds[i]);
	free(printed);
	printf("# %u of %u failed\n", failures, tests);
	return failures ? 1 : 0;
}
