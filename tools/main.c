// SPDX-License-Identifier: GPL-2.0
/* tcpstate-cli: the options, and the table of objects. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "netns.h"
#include "out.h"
#include "words.h"

#define NAME "tcpstate-cli"
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The first is shown when no object is named. */
static const struct command *const commands[] = {
	&overview_command,
	&state_command,
	&audit_command,
};

static const struct opt {
	char letter;
	const char *name;
	const char *argument;
	const char *help;
} opts[] = {
	{ 'j', "json", NULL, "JSON instead of text" },
	{ 'p', "pretty", NULL, "JSON with line breaks" },
	{ 'n', "netns", "NAME", "in this network namespace, by name or path" },
	{ 'a', "all-netns", NULL, "in all network namespaces" },
	{ 'h', "help", NULL, "this help; after an object, its own" },
	{ 'V', "version", NULL, "print the version" },
};

struct options {
	unsigned int out_flags;
	const char *netns;
	bool all_netns;
	bool help;
	bool version;
};

static void print_option(const struct opt *opt)
{
	char names[32];

	snprintf(names, sizeof(names), "-%c, --%s %s", opt->letter, opt->name,
		 opt->argument ? opt->argument : "");
	printf("  %-20s  %s\n", names, opt->help);
}

static void print_synopsis(char *buf, size_t size, const struct command *command)
{
	const struct filter *filter;
	size_t len;

	len = snprintf(buf, size, "%s", command->name ? command->name : "");
	for (filter = command->filters; filter->argument; filter++)
		len += snprintf(buf + len, size - len, " [%s%s%s]",
				filter->name ? filter->name : "",
				filter->name ? " " : "", filter->argument);
}

static void print_usage(void)
{
	char synopsis[128];
	unsigned int i;

	printf("Usage: " NAME " [OPTION]... [OBJECT [FILTER]...]\n\n"
	       "Where every TCP connection of this network namespace stands.\n\n"
	       "Objects:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		print_synopsis(synopsis, sizeof(synopsis), commands[i]);
		printf("  %-20s  %s\n", commands[i]->name ? synopsis : "(none)",
		       commands[i]->summary);
	}
	printf("\nOptions:\n");
	for (i = 0; i < ARRAY_SIZE(opts); i++)
		print_option(&opts[i]);
	printf("\nExit status: 0 done, 1 a negative answer, 2 usage, 3 module or permission.\n");
}

static void print_command_usage(const struct command *command)
{
	const struct filter *filter;
	char synopsis[128], names[32];

	print_synopsis(synopsis, sizeof(synopsis), command);
	printf("Usage: " NAME " [OPTION]... %s\n\n%c%s.\n", synopsis,
	       command->summary[0] & ~0x20, command->summary + 1);
	if (command->filters->argument)
		printf("\nFilters:\n");
	for (filter = command->filters; filter->argument; filter++) {
		snprintf(names, sizeof(names), "%s%s%s",
			 filter->name ? filter->name : "",
			 filter->name ? " " : "", filter->argument);
		printf("  %-20s  %s\n", names, filter->help);
	}
	printf("\n'" NAME " -h' shows the options.\n");
}

static const struct command *find_command(const char *name)
{
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int unknown_object(const char *word)
{
	const char *names[ARRAY_SIZE(commands)], *near;
	char list[256] = "";
	unsigned int i;
	size_t len = 0;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		names[i] = commands[i]->name;
		if (i)
			len += snprintf(list + len, sizeof(list) - len, "%s%s",
					len ? ", " : "", names[i]);
	}
	near = word_nearest(word, names, ARRAY_SIZE(names));
	if (near)
		return out_fail(OUT_USAGE,
				"unknown object '%s': did you mean '%s'?", word,
				near);
	return out_fail(OUT_USAGE, "unknown object '%s': the objects are %s",
			word, list);
}

static const struct opt *find_option(int letter)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opts); i++)
		if (opts[i].letter == letter)
			return &opts[i];
	return NULL;
}

static int unknown_option(const char *word)
{
	const char *names[ARRAY_SIZE(opts)], *near;
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opts); i++)
		names[i] = opts[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="),
		 word + 2);
	near = word_nearest(name, names, ARRAY_SIZE(names));
	if (near)
		return out_fail(OUT_USAGE,
				"unknown option '--%s': did you mean '--%s'?",
				name, near);
	return out_fail(OUT_USAGE,
			"unknown option '--%s': '" NAME " -h' shows those there are",
			name);
}

/* What getopt_long() could not make sense of. */
struct misuse {
	int found;		/* '?', ':' or 0 */
	int letter;
	const char *word;
};

static int report_misuse(const struct misuse *misuse)
{
	const struct opt *opt = find_option(misuse->letter);

	if (opt && misuse->found == ':')
		return out_fail(OUT_USAGE, "option '--%s' needs a %s",
				opt->name, opt->argument);
	if (opt)
		return out_fail(OUT_USAGE, "option '--%s' takes no argument",
				opt->name);
	if (misuse->letter)
		return out_fail(OUT_USAGE,
				"unknown option '-%c': '" NAME " -h' shows those there are",
				misuse->letter);
	return unknown_option(misuse->word);
}

static void set_option(struct options *options, int letter)
{
	switch (letter) {
	case 'j':
		options->out_flags |= OUT_JSON;
		break;
	case 'p':
		options->out_flags |= OUT_JSON | OUT_PRETTY;
		break;
	case 'n':
		options->netns = optarg;
		break;
	case 'a':
		options->all_netns = true;
		break;
	case 'h':
		options->help = true;
		break;
	case 'V':
		options->version = true;
		break;
	}
}

/* Errors wait until all options are known: -j says how to report them. */
static void parse_options(int argc, char **argv, struct options *options,
			  struct misuse *misuse)
{
	struct option longopts[ARRAY_SIZE(opts) + 1] = { 0 };
	char letters[2 * ARRAY_SIZE(opts) + 2] = ":";
	char *p = letters + 1;
	unsigned int i;
	int letter;

	for (i = 0; i < ARRAY_SIZE(opts); i++) {
		longopts[i].name = opts[i].name;
		longopts[i].has_arg = opts[i].argument ? required_argument :
							 no_argument;
		longopts[i].val = opts[i].letter;
		*p++ = opts[i].letter;
		if (opts[i].argument)
			*p++ = ':';
	}
	opterr = 0;
	while ((letter = getopt_long(argc, argv, letters, longopts,
				     NULL)) != -1) {
		if (letter != '?' && letter != ':') {
			set_option(options, letter);
		} else if (!misuse->found) {
			misuse->found = letter;
			misuse->letter = optopt;
			misuse->word = argv[optind - 1];
		}
	}
}

static int print_version(void)
{
	FILE *file = fopen("/sys/module/tcpstate/version", "re");
	char module[64];
	bool known = false;

	if (file) {
		known = fgets(module, sizeof(module), file);
		fclose(file);
	}
	out_object_open(NULL);
	out_string("version", NAME " %s\n", VERSION);
	if (known) {
		module[strcspn(module, "\n")] = '\0';
		out_string("module", "tcpstate module %s\n", module);
	} else {
		out_null("module", NULL);
	}
	out_object_close();
	return OUT_DONE;
}

static int run(int argc, char **argv, const struct options *options)
{
	const struct command *command = commands[0];
	struct request request = { .all_netns = options->all_netns };
	int code;

	if (options->version)
		return print_version();
	if (argc) {
		command = find_command(argv[0]);
		if (!command)
			return unknown_object(argv[0]);
		request.argc = argc - 1;
		request.argv = argv + 1;
	}
	if (options->help) {
		if (argc)
			print_command_usage(command);
		else
			print_usage();
		return OUT_DONE;
	}
	if (options->netns && options->all_netns)
		return out_fail(OUT_USAGE,
				"-n and -a exclude each other: one network namespace, or all");
	if (options->netns) {
		code = netns_enter(options->netns);
		if (code)
			return code;
	}
	return command->run(&request);
}

int main(int argc, char **argv)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct options options = { 0 };
	struct misuse misuse = { 0 };
	int code, err;

	parse_options(argc, argv, &options, &misuse);
	if (!(no_colour && *no_colour) && isatty(STDOUT_FILENO) &&
	    !(term && !strcmp(term, "dumb")))
		options.out_flags |= OUT_COLOUR;
	out_begin(stdout, options.out_flags);
	if (misuse.found)
		return report_misuse(&misuse);
	code = run(argc - optind, argv + optind, &options);
	err = out_end();
	/* A reader that has seen enough is no error. */
	if (err && err != EPIPE)
		code = out_fail(OUT_FAILED, "cannot write the answer: %s",
				strerror(err));
	return code;
}
