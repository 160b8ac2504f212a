// SPDX-License-Identifier: GPL-2.0
/* What all objects do alike with their words. */
#include <string.h>

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
	     filter->help && n < FILTERS_MAX; filter++)
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

/**
 * command_filters() - read the words that follow an object
 * @command: the object
 * @request: with the words
 * @reader: takes them, one filter after another; each once at most
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int command_filters(const struct command *command,
		    const struct request *request,
		    const struct filter_reader *reader)
{
	const struct filter *filters = command->filters;
	bool given[FILTERS_MAX] = { false };
	unsigned int f, alone;
	const char *word;
	int i = 0, code;

	while (i < request->argc) {
		word = request->argv[i++];
		alone = FILTERS_MAX;
		for (f = 0; filters[f].help; f++) {
			if (!filters[f].name)
				alone = f;
			else if (!strcmp(filters[f].name, word))
				break;
		}
		if (!filters[f].help && (alone == FILTERS_MAX || given[alone]))
			return command_unknown_filter(command, word);
		if (!filters[f].help) {
			f = alone;
		} else if (filters[f].argument) {
			if (i == request->argc)
				return out_fail(OUT_USAGE, "'%s' needs %s: %s",
						word, filters[f].argument,
						filters[f].help);
			word = request->argv[i++];
		}
		if (given[f])
			return out_fail(OUT_USAGE, "'%s' is there twice: once is enough",
					filters[f].name);
		given[f] = true;
		code = reader->take(f, word, reader->arg);
		if (code)
			return code;
	}
	return OUT_DONE;
}
