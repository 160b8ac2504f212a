// SPDX-License-Identifier: GPL-2.0
/* What all objects do alike with their words. */
#include "command.h"
#include "out.h"
#include "words.h"

#define FILTERS_MAX 16

/**
 * command_unknown_filter() - refuse a word that an object does not take
 * @command: the object
 * @word: the word
 *
 * Return: OUT_USAGE.
 */
int command_unknown_filter(const struct command *command, const char *word)
{
	const struct filter *filter;
	const char *names[FILTERS_MAX], *near;
	unsigned int n = 0;

	for (filter = command->filters;
	     filter->argument && n < FILTERS_MAX; filter++)
		names[n++] = filter->name;
	near = word_nearest(word, names, n);
	if (near)
		return out_fail(OUT_USAGE,
				"unknown filter '%s' for %s: did you mean '%s'?",
				word, command->name, near);
	return out_fail(OUT_USAGE,
			"unknown filter '%s' for %s: 'tcpstate-cli %s -h' shows those it takes",
			word, command->name, command->name);
}
