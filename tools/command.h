/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_COMMAND_H
#define TCPSTATE_COMMAND_H

#include <stdbool.h>

/**
 * struct filter - a word that an object takes
 * @name: the word, or NULL when the argument stands alone
 * @argument: what follows it, as usage shows it
 * @help: what it does
 */
struct filter {
	const char *name;
	const char *argument;
	const char *help;
};

/**
 * struct request - what was asked for
 * @all_netns: of all network namespaces
 * @argc: how many words follow the object
 * @argv: these words
 */
struct request {
	bool all_netns;
	int argc;
	char **argv;
};

/**
 * struct command - an object
 * @name: its name; NULL for what is shown without one
 * @summary: what it shows, one line
 * @filters: what it takes, up to one without an argument
 * @run: parses the filters, asks, and prints; returns an exit code
 */
struct command {
	const char *name;
	const char *summary;
	const struct filter *filters;
	int (*run)(const struct request *request);
};

extern const struct command overview_command;
extern const struct command state_command;
extern const struct command audit_command;

int command_unknown_filter(const struct command *command, const char *word);

#endif
