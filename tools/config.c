// SPDX-License-Identifier: GPL-2.0
/* config: the thresholds of a network namespace's alerts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcpstate.h>

#include "command.h"
#include "config.h"
#include "netns.h"
#include "nl.h"
#include "words.h"

enum unit { PERCENT, SECONDS };

static const struct filter words[CONFIG_KEYS + 1] = {
	[CONFIG_PORT_ROOM_WARNING] = { .name = "port-room-warning",
		.help = "percent taken of a destination's ports (80 unless set)" },
	[CONFIG_PORT_ROOM_CRITICAL] = { .name = "port-room-critical",
		.help = "the same (95)" },
	[CONFIG_TIME_WAIT_WARNING] = { .name = "time-wait-warning",
		.help = "mini-sockets, percent of tcp_max_tw_buckets (80)" },
	[CONFIG_TIME_WAIT_CRITICAL] = { .name = "time-wait-critical",
		.help = "the same (95)" },
	[CONFIG_CLOSE_WAIT_WARNING] = { .name = "close-wait-warning",
		.help = "time in CLOSE_WAIT, in seconds or as 10m (60)" },
	[CONFIG_CLOSE_WAIT_CRITICAL] = { .name = "close-wait-critical",
		.help = "the same (600)" },
};

static const struct key {
	const char *json;
	int attr;
	enum unit unit;
	const char *format;
} keys[CONFIG_KEYS] = {
	[CONFIG_PORT_ROOM_WARNING] = {
		"port_room_warning",
		TCPSTATE_A_CONFIG_PORT_ROOM_WARNING, PERCENT,
		"port-room-warning    %s % of a destination's capacity, without what is reusable\n"
	},
	[CONFIG_PORT_ROOM_CRITICAL] = {
		"port_room_critical",
		TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL, PERCENT,
		"port-room-critical   %s %\n"
	},
	[CONFIG_TIME_WAIT_WARNING] = {
		"time_wait_warning",
		TCPSTATE_A_CONFIG_TIME_WAIT_WARNING, PERCENT,
		"time-wait-warning    %s % of net.ipv4.tcp_max_tw_buckets\n"
	},
	[CONFIG_TIME_WAIT_CRITICAL] = {
		"time_wait_critical",
		TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL, PERCENT,
		"time-wait-critical   %s %\n"
	},
	[CONFIG_CLOSE_WAIT_WARNING] = {
		"close_wait_warning",
		TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING, SECONDS,
		"close-wait-warning   %s s in CLOSE_WAIT\n"
	},
	[CONFIG_CLOSE_WAIT_CRITICAL] = {
		"close_wait_critical",
		TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL, SECONDS,
		"close-wait-critical  %s s\n"
	},
};

/**
 * config_read() - read one message and append it to a list
 * @attrs: its attributes
 * @len: their length
 * @list: a struct config_list
 *
 * Return: 0, or a negative value when they make no sense.
 */
int config_read(struct nlattr *attrs, int len, void *list)
{
	static struct nla_policy policy[TCPSTATE_A_CONFIG_MAX + 1] = {
		[TCPSTATE_A_CONFIG_NETNS_INO] = { .type = NLA_U64 },
		[TCPSTATE_A_CONFIG_PORT_ROOM_WARNING] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_TIME_WAIT_WARNING] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL] = { .type = NLA_U32 },
		[TCPSTATE_A_CONFIG_ALERT_SEQ] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_CONFIG_MAX + 1];
	struct config_list *all = list;
	struct config *config;
	unsigned int i;

	if (nla_parse(tb, TCPSTATE_A_CONFIG_MAX, attrs, len, policy) ||
	    !tb[TCPSTATE_A_CONFIG_NETNS_INO])
		return -1;
	config = realloc(all->items, (all->n + 1) * sizeof(*config));
	if (!config)
		return -ENOMEM;
	all->items = config;
	config += all->n++;
	memset(config, 0, sizeof(*config));
	config->netns_ino = attr_number(tb[TCPSTATE_A_CONFIG_NETNS_INO]);
	for (i = 0; i < CONFIG_KEYS; i++)
		config->values[i] = attr_u32(tb[keys[i].attr]);
	config->alert_seq = attr_number(tb[TCPSTATE_A_CONFIG_ALERT_SEQ]);
	return 0;
}

/**
 * config_forget() - empty a list
 * @list: a struct config_list
 */
void config_forget(void *list)
{
	struct config_list *all = list;

	free(all->items);
	all->items = NULL;
	all->n = 0;
}

static int ask(struct nl_msg *msg, struct config_list *list)
{
	struct module_reader reader = {
		.message = config_read,
		.restart = config_forget,
		.arg = list,
	};
	int code = module_ask(msg, &reader);

	if (!code && !list->n)
		code = module_mismatch();
	return code;
}

/**
 * config_get() - ask the module
 * @all_netns: of all network namespaces, instead of our own
 * @list: empty; the answer, to be freed by config_forget() either way
 *
 * Return: OUT_DONE, or the exit code after saying what is wrong.
 */
int config_get(bool all_netns, struct config_list *list)
{
	return ask(module_request(TCPSTATE_CMD_CONFIG, all_netns), list);
}

/**
 * config_leak_ms() - from when on a stay in CLOSE_WAIT is worth a word
 * @list: the thresholds
 * @netns_ino: in this network namespace, which may have come since
 *
 * Return: the time, milliseconds.
 */
uint64_t config_leak_ms(const struct config_list *list, uint64_t netns_ino)
{
	const struct config *config;
	size_t i;

	for (i = 0; i < list->n; i++) {
		config = &list->items[i];
		if (config->netns_ino.value == netns_ino &&
		    config->values[CONFIG_CLOSE_WAIT_WARNING].known)
			return config->values[CONFIG_CLOSE_WAIT_WARNING].value *
			       1000;
	}
	return LEAK_MS;
}

/**
 * config_print() - print the thresholds of one network namespace
 * @config: what to print
 */
void config_print(const struct config *config)
{
	unsigned int i;

	out_object_open(NULL);
	out_style(OUT_STRONG);
	out_string("netns", "%s\n\n", netns_name(config->netns_ino.value));
	out_style(OUT_PLAIN);
	for (i = 0; i < CONFIG_KEYS; i++)
		out_count(keys[i].json, keys[i].format, config->values[i]);
	out_object_close();
}

static const char *key_name(const struct key *key)
{
	return words[key - keys].name;
}

static const struct key *find_key(const char *word)
{
	const char *names[CONFIG_KEYS], *near;
	unsigned int i;

	for (i = 0; i < CONFIG_KEYS; i++) {
		names[i] = key_name(&keys[i]);
		if (!strcmp(names[i], word) || !strcmp(keys[i].json, word))
			return &keys[i];
	}
	near = word_nearest(word, names, CONFIG_KEYS);
	if (near)
		out_fail(OUT_USAGE, "unknown key '%s': did you mean '%s'?",
			 word, near);
	else
		out_fail(OUT_USAGE,
			 "unknown key '%s': 'tcpstate-cli config' shows those there are",
			 word);
	return NULL;
}

static bool parse_value(const struct key *key, const char *word, uint64_t *value)
{
	if (key->unit == PERCENT)
		return word_percent(word, value) && *value;
	return word_seconds(word, value) && *value && *value <= UINT32_MAX;
}

static int bad_value(const struct key *key, const char *word)
{
	if (key->unit == PERCENT)
		return out_fail(OUT_USAGE,
				"'%s' will not do: %s needs a percentage from 1 to 100",
				word, key_name(key));
	return out_fail(OUT_USAGE,
			"'%s' will not do: %s needs a duration in whole seconds, such as 90s or 10m",
			word, key_name(key));
}

/* KEY VALUE, as often as there are any. */
static int put_values(struct nl_msg *msg, int argc, char **argv)
{
	const struct key *key;
	uint64_t value;
	int i;

	if (!argc)
		return out_fail(OUT_USAGE,
				"a key and a value are missing: 'tcpstate-cli config' shows the keys");
	for (i = 0; i < argc; i += 2) {
		key = find_key(argv[i]);
		if (!key)
			return OUT_USAGE;
		if (i + 1 == argc)
			return out_fail(OUT_USAGE, "'%s' needs a value",
					argv[i]);
		if (!parse_value(key, argv[i + 1], &value))
			return bad_value(key, argv[i + 1]);
		if (nlmsg_find_attr(nlmsg_hdr(msg), GENL_HDRLEN, key->attr))
			return out_fail(OUT_USAGE,
					"'%s' is there twice: once is enough",
					argv[i]);
		nla_put_u32(msg, key->attr, value);
	}
	return OUT_DONE;
}

static int change(const struct request *request, struct config_list *list)
{
	struct nl_msg *msg;
	int code;

	if (request->all_netns)
		return out_fail(OUT_USAGE,
				"thresholds are set in one network namespace at a time: name it with -n");
	msg = module_request(TCPSTATE_CMD_CONFIG, false);
	if (!msg)
		return ask(NULL, list);
	code = put_values(msg, request->argc - 1, request->argv + 1);
	if (!code)
		return ask(msg, list);
	nlmsg_free(msg);
	return code;
}

static int run(const struct request *request)
{
	struct config_list list = { 0 };
	const char *word = request->argc ? request->argv[0] : NULL;
	size_t i;
	int code;

	if (word && strcmp(word, "set"))
		return command_unknown_filter(&config_command, word);
	code = module_open();
	if (!code)
		code = word ? change(request, &list) :
			      config_get(request->all_netns, &list);
	module_close();
	if (!code) {
		if (request->all_netns)
			out_array_open(NULL);
		for (i = 0; i < list.n; i++) {
			if (i)
				out_text("\n");
			config_print(&list.items[i]);
		}
		if (request->all_netns)
			out_array_close();
	}
	config_forget(&list);
	return code;
}

const struct command config_command = {
	.name = "config",
	.summary = "the thresholds of the alerts: show them, or set some",
	.filters = (const struct filter[]){
		{ .name = "set", .argument = "KEY VALUE ...",
		  .help = "change thresholds, as in 'set port-room-warning 70'" },
		{ 0 }
	},
	.keys = words,
	.run = run,
};
