// SPDX-License-Identifier: GPL-2.0
/* tcpstate-cli: the options, and the table of objects. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "netns.h"
#include "orphans.h"
#include "out.h"
#include "words.h"

#define NAME "tcpstate-cli"

/* The first is shown when no object is named. */
static const struct command *const commands[] = {
	&overview_command,
	&state_command,
	&dest_command,
	&port_command,
	&conn_command,
	&owner_command,
	&close_command,
	&monitor_command,
	&check_command,
	&config_command,
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

/* The options of objects are numbered from here on. */
#define OWN_OPTION 256
#define OWN_OPTIONS (ARRAY_SIZE(commands) * COMMAND_OPTIONS)

struct options {
	unsigned int out_flags;
	const char *netns;
	bool all_netns;
	bool help;
	bool version;
	const char *own[COMMAND_OPTIONS];	/* of @own_of */
	const struct command *own_of;
};

static void print_option(const struct opt *opt)
{
	char names[32];

	snprintf(names, sizeof(names), "-%c, --%s %s", opt->letter, opt->name,
		 opt->argument ? opt->argument : "");
	printf("  %-20s  %s\n", names, opt->help);
}

static void print_names(char *buf, size_t size, const struct filter *filter,
			const char *before)
{
	snprintf(buf, size, "%s%s%s%s", before, filter->name ? filter->name : "",
		 filter->name && filter->argument ? " " : "",
		 filter->argument ? filter->argument : "");
}

/* Words that do not fit go to a new line, below the first one. */
static void print_words(const struct filter *filter, const char *before,
			int begin, int *at)
{
	const char *open, *close;
	char names[64];

	for (; filter && filter->help; filter++) {
		print_names(names, sizeof(names), filter, before);
		open = filter->alternative ? " | " : " [";
		close = filter[1].help && filter[1].alternative ? "" : "]";
		if (*at + strlen(open) + strlen(names) + strlen(close) > 80) {
			printf("\n%*s", begin, "");
			*at = begin;
		}
		*at += printf("%s%s%s", open, names, close);
	}
}

static void print_synopsis(const struct command *command)
{
	int at = printf("Usage: " NAME " [OPTION]... %s",
			command->name ? command->name : "");
	int begin = at;

	print_words(command->filters, "", begin, &at);
	print_words(command->options, "--", begin, &at);
}

static void print_usage(void)
{
	unsigned int i;

	printf("Usage: " NAME " [OPTION]... [OBJECT [FILTER]...]\n\n"
	       "Where every TCP connection of this network namespace stands, and what ports\n"
	       "they leave.\n\n"
	       "Objects ('" NAME " OBJECT -h' tells what each takes):\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s  %s\n",
		       commands[i]->name ? commands[i]->name : "(none)",
		       commands[i]->summary);
	printf("\nOptions:\n");
	for (i = 0; i < ARRAY_SIZE(opts); i++)
		print_option(&opts[i]);
	printf("\nExit status: 0 done, 1 a negative answer, 2 usage, 3 module or permission;\n"
	       "of 'check' 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n");
}

static void print_table(const char *title, const struct filter *filter,
			const char *before)
{
	char names[64];

	if (!filter || !filter->help)
		return;
	printf("\n%s:\n", title);
	for (; filter->help; filter++) {
		print_names(names, sizeof(names), filter, before);
		printf("  %-20s  %s\n", names, filter->help);
	}
}

static void print_command_usage(const struct command *command)
{
	print_synopsis(command);
	printf("\n\n%c%s.\n", command->summary[0] & ~0x20,
	       command->summary + 1);
	if (command->notes)
		printf("%s\n", command->notes);
	print_table("Filters", command->filters, "");
	print_table("Keys", command->keys, "");
	print_table("Options", command->options, "--");
	printf("\n'" NAME " -h' shows the %soptions.\n",
	       command->options ? "other " : "");
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

static int unknown_option(const struct command *command, const char *word)
{
	const char *names[ARRAY_SIZE(opts) + COMMAND_OPTIONS], *near;
	const struct filter *own = command ? command->options : NULL;
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opts); i++)
		names[i] = opts[i].name;
	for (; own && own->help; own++)
		names[i++] = own->name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="),
		 word + 2);
	near = word_nearest(name, names, i);
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

/* An object's own option, by its number; NULL: it is none. */
static const struct filter *own_option(int number,
				       const struct command **command)
{
	unsigned int own = number - OWN_OPTION;

	if (number < OWN_OPTION)
		return NULL;
	*command = commands[own / COMMAND_OPTIONS];
	return &(*command)->options[own % COMMAND_OPTIONS];
}

static int report_misuse(const struct misuse *misuse,
			 const struct command *command)
{
	const struct opt *opt = find_option(misuse->letter);
	const struct filter *own = own_option(misuse->letter, &command);
	const char *argument = own ? own->argument : opt ? opt->argument : NULL;
	const char *name = own ? own->name : opt ? opt->name : NULL;

	if (name && misuse->found == ':')
		return out_fail(OUT_USAGE, "option '--%s' needs a %s", name,
				argument);
	if (name)
		return out_fail(OUT_USAGE, "option '--%s' takes no argument",
				name);
	if (misuse->letter)
		return out_fail(OUT_USAGE,
				"unknown option '-%c': '" NAME " -h' shows those there are",
				misuse->letter);
	return unknown_option(command, misuse->word);
}

/* What ends connections is written out: half a word may be a slip. */
static bool is_half_a_word(int letter, const char *word)
{
	const struct command *command;
	const struct filter *own = own_option(letter, &command);

	return own && !own->argument && strcmp(word + 2, own->name);
}

static void set_option(struct options *options, int letter)
{
	if (letter >= OWN_OPTION) {
		own_option(letter, &options->own_of);
		options->own[(letter - OWN_OPTION) % COMMAND_OPTIONS] =
			optarg ? optarg : "";
		return;
	}
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
	struct option longopts[ARRAY_SIZE(opts) + OWN_OPTIONS + 1] = { 0 };
	char letters[2 * ARRAY_SIZE(opts) + 2] = ":";
	char *p = letters + 1;
	unsigned int i, c, n = ARRAY_SIZE(opts);
	const struct filter *own;
	const char *word;
	int letter;
	bool half;

	for (i = 0; i < ARRAY_SIZE(opts); i++) {
		longopts[i].name = opts[i].name;
		longopts[i].has_arg = opts[i].argument ? required_argument :
							 no_argument;
		longopts[i].val = opts[i].letter;
		*p++ = opts[i].letter;
		if (opts[i].argument)
			*p++ = ':';
	}
	for (c = 0; c < ARRAY_SIZE(commands); c++) {
		own = commands[c]->options;
		for (i = 0; own && own[i].help; i++, n++) {
			longopts[n].name = own[i].name;
			longopts[n].has_arg = own[i].argument ?
					      required_argument : no_argument;
			longopts[n].val = OWN_OPTION + c * COMMAND_OPTIONS + i;
		}
	}
	opterr = 0;
	while ((letter = getopt_long(argc, argv, letters, longopts,
				     NULL)) != -1) {
		word = argv[optind - 1];
		half = is_half_a_word(letter, word);
		if (letter != '?' && letter != ':' && !half) {
			set_option(options, letter);
		} else if (!misuse->found) {
			misuse->found = letter;
			misuse->letter = half ? 0 : optopt;
			misuse->word = word;
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

static int run(int argc, char **argv, const struct options *options,
	       const struct command *command)
{
	struct request request = { .all_netns = options->all_netns };
	int code;

	if (options->version)
		return print_version();
	if (!command)
		return unknown_object(argv[0]);
	if (options->help) {
		if (argc)
			print_command_usage(command);
		else
			print_usage();
		return OUT_DONE;
	}
	if (options->own_of && options->own_of != command)
		return out_fail(OUT_USAGE,
				"that option is one of '%s': '" NAME " %s -h' tells more",
				options->own_of->name, options->own_of->name);
	if (argc) {
		request.argc = argc - 1;
		request.argv = argv + 1;
	}
	memcpy(request.options, options->own, sizeof(request.options));
	if (options->netns && options->all_netns)
		return out_fail(OUT_USAGE,
				"-n and -a exclude each other: one network namespace, or all");
	if (command->machine_wide)
		orphans_read();
	if (options->netns) {
		code = netns_enter(options->netns);
		if (code)
			return code;
	}
	return command->run(&request);
}

/* How wide the terminal is, or is said to be; 0: there is none. */
static unsigned int screen_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && word_number(columns, 1, 10000, &width))
		return width;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

/*
 * What is opened first gets the number of a stream that is closed, and is then
 * written to as if it were that. Nothing can be written to these.
 */
static void occupy_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	const struct command *command = commands[0];
	struct options options = { 0 };
	struct misuse misuse = { 0 };
	int code, err;

	occupy_streams();
	parse_options(argc, argv, &options, &misuse);
	argc -= optind;
	argv += optind;
	if (!(no_colour && *no_colour) && isatty(STDOUT_FILENO) &&
	    !(term && !strcmp(term, "dumb")))
		options.out_flags |= OUT_COLOUR;
	out_begin(stdout, options.out_flags);
	out_width(screen_width());
	if (argc)
		command = find_command(argv[0]);
	if (command && command->plugin)
		out_plugin(command->plugin);
	if (misuse.found)
		code = report_misuse(&misuse, command);
	else
		code = run(argc, argv, &options, command);
	err = out_end();
	/* A reader that has seen enough is no error. */
	if (err && err != EPIPE)
		code = out_fail(OUT_FAILED, "cannot write the answer: %s",
				strerror(err));
	return code;
}
