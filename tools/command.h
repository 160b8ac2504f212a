/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_COMMAND_H
#define TCPSTATE_COMMAND_H

#include <stdbool.h>

/**
 * struct filter - a word that an object takes
 * @name: the word, or NULL when the argument stands alone
 * @argument: what follows it, as usage shows it; NULL when nothing does
 * @help: what it does
 * @alternative: excludes the one before it in the table
 */
struct filter {
	const char *name;
	const char *argument;
	const char *help;
	bool alternative;
};

#define COMMAND_OPTIONS 8

/**
 * struct request - what was asked for
 * @all_netns: of all network namespaces
 * @argc: how many words follow the object
 * @argv: these words
 * @options: the arguments of the object's own options, in the order of its
 *   table; NULL where not given
 */
struct request {
	bool all_netns;
	int argc;
	char **argv;
	const char *options[COMMAND_OPTIONS];
};

/**
 * struct command - an object
 * @name: its name; NULL for what is shown without one
 * @summary: what it shows, one line
 * @notes: what else is to be known before it is used, lines; NULL: nothing
 * @filters: what it takes, up to one without help
 * @keys: what a KEY among its filters may be, up to one without help; NULL when
 *   there is no such
 * @options: its own options, up to one without help; NULL when it has none
 * @machine_wide: shows what /proc tells of the whole machine
 * @plugin: as what it speaks to a monitoring system; NULL: it does not
 * @run: parses the filters, asks, and prints; returns an exit code
 */
struct command {
	const char *name;
	const char *summary;
	const char *notes;
	const struct filter *filters;
	const struct filter *keys;
	const struct filter *options;
	bool machine_wide;
	const char *plugin;
	int (*run)(const struct request *request);
};

extern const struct command overview_command;
extern const struct command state_command;
extern const struct command dest_command;
extern const struct command port_command;
extern const struct command conn_command;
extern const struct command owner_command;
extern const struct command close_command;
extern const struct command monitor_command;
extern const struct command check_command;
extern const struct command config_command;
extern const struct command audit_command;

/**
 * struct filter_reader - what to do with the filters of a request
 * @take: takes the filter with this index in the object's table, and its
 *   argument; returns an exit code, not OUT_DONE after saying what is wrong
 * @arg: passed to it
 */
struct filter_reader {
	int (*take)(unsigned int filter, const char *value, void *arg);
	void *arg;
};

int command_filters(const struct command *command,
		    const struct request *request,
		    const struct filter_reader *reader);
int command_unknown_filter(const struct command *command, const char *word);

#endif
