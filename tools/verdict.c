// SPDX-License-Identifier: GPL-2.0
/*
 * What a Monitoring Plugin says: one line with what was found, and performance
 * data as label=value;warn;crit;min;max after a "|".
 */
#include <stdarg.h>
#include <string.h>

#include "netns.h"
#include "verdict.h"

static const char *const status_names[] = {
	[OK] = "OK", [WARNING] = "WARNING", [CRITICAL] = "CRITICAL",
	[UNKNOWN] = "UNKNOWN",
};

#define FINDINGS_MAX 16
#define MEASURES_MAX 16
#define TEXT_MAX 512

/* What has been found out. */
static struct {
	struct finding {
		enum status status;
		struct number netns_ino;	/* unknown: of none of them */
		char text[TEXT_MAX];
	} findings[FINDINGS_MAX];
	unsigned int n_findings;

	struct measure {
		const char *label;
		const char *unit;
		bool share;			/* in tenths of a percent */
		struct number value;
		struct number warning, critical, max;
	} measures[MEASURES_MAX];
	unsigned int n_measures;
} found;

/**
 * verdict_worse() - is one worse than another?
 * @a: the one
 * @b: the other
 *
 * Return: true if so; doubt is worse than nothing, and better than what is known
 * to be bad.
 */
bool verdict_worse(enum status a, enum status b)
{
	static const int rank[] = {
		[OK] = 0, [UNKNOWN] = 1, [WARNING] = 2, [CRITICAL] = 3,
	};

	return rank[a] > rank[b];
}

/**
 * verdict_judge() - a value against thresholds
 * @value: the value
 * @at: from which on it is bad
 *
 * Return: OK, WARNING or CRITICAL.
 */
enum status verdict_judge(uint64_t value, const struct thresholds *at)
{
	return value >= at->critical ? CRITICAL :
	       value >= at->warning ? WARNING : OK;
}

/**
 * verdict_judge_share() - a share against thresholds in percent
 * @part: how much
 * @whole: of how much
 * @at: from which percentage on it is bad
 *
 * Return: OK, WARNING or CRITICAL.
 */
enum status verdict_judge_share(uint64_t part, uint64_t whole,
				const struct thresholds *at)
{
	unsigned __int128 percent = (unsigned __int128)part * 100;

	if (percent >= (unsigned __int128)whole * at->critical)
		return CRITICAL;
	return percent >= (unsigned __int128)whole * at->warning ? WARNING : OK;
}

/* Performance data begins where a name may not say so. */
static const char *without_bars(char *text)
{
	char *bar;

	while ((bar = strchr(text, '|')))
		*bar = '?';
	return text;
}

/**
 * verdict_find() - add to what has been found
 * @status: how bad it is
 * @netns_ino: of which network namespace; unknown: of none, or of all
 * @format: a few words on it, as printf
 */
void verdict_find(enum status status, struct number netns_ino,
		  const char *format, ...)
{
	struct finding *finding = &found.findings[found.n_findings++];
	va_list args;

	finding->status = status;
	finding->netns_ino = netns_ino;
	va_start(args, format);
	vsnprintf(finding->text, TEXT_MAX, format, args);
	va_end(args);
	without_bars(finding->text);
}

/**
 * verdict_share() - add a percentage to the performance data
 * @label: what it is called
 * @tenths: tenths of a percent
 * @at: its thresholds
 */
void verdict_share(const char *label, struct number tenths,
		   const struct thresholds *at)
{
	found.measures[found.n_measures++] = (struct measure){
		.label = label, .unit = "%", .share = true, .value = tenths,
		.warning = number_known(at->warning),
		.critical = number_known(at->critical),
		.max = number_known(100),
	};
}

/**
 * verdict_count() - add a number to the performance data
 * @label: what it is called
 * @value: the number
 * @max: the most it can be
 */
void verdict_count(const char *label, struct number value, struct number max)
{
	found.measures[found.n_measures++] = (struct measure){
		.label = label, .unit = "", .value = value, .max = max,
	};
}

/**
 * verdict_value() - add a value with a unit to the performance data
 * @label: what it is called
 * @unit: its unit
 * @value: the value
 * @at: its thresholds, of the same unit; NULL: there are none
 */
void verdict_value(const char *label, const char *unit, struct number value,
		   const struct thresholds *at)
{
	struct measure *measure = &found.measures[found.n_measures++];

	*measure = (struct measure){
		.label = label, .unit = unit, .value = value,
	};
	if (!at)
		return;
	measure->warning = number_known(at->warning);
	measure->critical = number_known(at->critical);
}

/**
 * verdict_total() - add to the performance data how often it has happened so far
 * @label: what it is called
 * @value: how often; its unit is "c", of a counter
 */
void verdict_total(const char *label, uint64_t value)
{
	verdict_value(label, "c", number_known(value), NULL);
}

static void put_number(char *buf, size_t size, struct number number,
		       bool in_tenths)
{
	if (!number.known)
		*buf = '\0';
	else if (in_tenths)
		snprintf(buf, size, "%llu.%llu",
			 (unsigned long long)number.value / 10,
			 (unsigned long long)number.value % 10);
	else
		snprintf(buf, size, "%llu", (unsigned long long)number.value);
}

static void print_measure(const struct measure *measure)
{
	char value[OUT_NUMBER_MAX], warning[OUT_NUMBER_MAX];
	char critical[OUT_NUMBER_MAX], max[OUT_NUMBER_MAX];

	put_number(value, sizeof(value), measure->value, measure->share);
	put_number(warning, sizeof(warning), measure->warning, false);
	put_number(critical, sizeof(critical), measure->critical, false);
	put_number(max, sizeof(max), measure->max, false);
	out_object_open(NULL);
	out_string("label", " %s=", measure->label);
	if (measure->share)
		out_percent("value", NULL, measure->value);
	else
		out_count("value", NULL, measure->value);
	out_text("%s", *value ? value : "U");
	out_string("unit", *value ? "%s" : NULL, measure->unit);
	out_count("warning", NULL, measure->warning);
	out_count("critical", NULL, measure->critical);
	out_count("max", NULL, measure->max);
	out_text(";%s;%s;0;%s", warning, critical, max);
	out_object_close();
}

static void print_finding(const struct finding *finding, bool all_netns)
{
	const char *netns = finding->netns_ino.known ?
			    netns_name(finding->netns_ino.value) : NULL;
	char name[TEXT_MAX];

	snprintf(name, sizeof(name), "%s", netns ? netns : "");
	out_object_open(NULL);
	out_string("status", NULL, status_names[finding->status]);
	out_string("netns", NULL, netns);
	out_string("text", NULL, finding->text);
	out_object_close();
	if (netns && all_netns)
		out_words("%s: ", without_bars(name));
	out_words("%s", finding->text);
}

/* As the conventions have it: what is known to be bad goes before doubt. */
static enum status worst(void)
{
	enum status status = OK;
	unsigned int i;

	for (i = 0; i < found.n_findings; i++)
		if (verdict_worse(found.findings[i].status, status))
			status = found.findings[i].status;
	return status;
}

/**
 * verdict_print() - print what has been found
 * @all_netns: tell in the text, too, of which network namespace
 *
 * What is bad, or if nothing is, all.
 *
 * Return: the verdict.
 */
enum status verdict_print(bool all_netns)
{
	enum status status = worst();
	bool any = false;
	unsigned int i;

	out_object_open(NULL);
	out_string("status", "TCPSTATE %s: ", status_names[status]);
	out_array_open("findings");
	for (i = 0; i < found.n_findings; i++) {
		out_mute(status != OK && found.findings[i].status == OK);
		out_text("%s", any ? "; " : "");
		print_finding(&found.findings[i], all_netns);
		any |= status == OK || found.findings[i].status != OK;
	}
	out_mute(false);
	out_array_close();
	out_text("%s", found.n_measures ? " |" : "");
	out_array_open("perfdata");
	for (i = 0; i < found.n_measures; i++)
		print_measure(&found.measures[i]);
	out_array_close();
	out_text("\n");
	out_object_close();
	return status;
}
