// SPDX-License-Identifier: GPL-2.0
/* Processes that the module names. */
#include <string.h>

#include <netlink/attr.h>

#include <linux/tcpstate.h>

#include "cgroup.h"
#include "nl.h"
#include "process.h"

/**
 * process_read() - a process as the kernel tells it
 * @process: set to it
 * @nest: NULL: it does not
 *
 * Return: 0, or a negative value when it makes no sense.
 */
int process_read(struct process *process, struct nlattr *nest)
{
	static struct nla_policy policy[TCPSTATE_A_PROCESS_MAX + 1] = {
		[TCPSTATE_A_PROCESS_PID] = { .type = NLA_U32 },
		[TCPSTATE_A_PROCESS_COMM] = { .type = NLA_STRING },
		[TCPSTATE_A_PROCESS_UID] = { .type = NLA_U32 },
		[TCPSTATE_A_PROCESS_AGE_MS] = { .type = NLA_U64 },
		[TCPSTATE_A_PROCESS_CGROUP] = { .type = NLA_U64 },
	};
	struct nlattr *tb[TCPSTATE_A_PROCESS_MAX + 1];

	memset(process, 0, sizeof(*process));
	if (!nest)
		return 0;
	if (nla_parse_nested(tb, TCPSTATE_A_PROCESS_MAX, nest, policy))
		return -1;
	process->hidden = tb[TCPSTATE_A_PROCESS_HIDDEN];
	if (process->hidden)
		return 0;
	process->present = true;
	process->gone = tb[TCPSTATE_A_PROCESS_GONE];
	process->pid = attr_u32(tb[TCPSTATE_A_PROCESS_PID]);
	process->uid = attr_u32(tb[TCPSTATE_A_PROCESS_UID]);
	process->cgroup = attr_number(tb[TCPSTATE_A_PROCESS_CGROUP]);
	process->age_ms = attr_number(tb[TCPSTATE_A_PROCESS_AGE_MS]);
	if (tb[TCPSTATE_A_PROCESS_COMM])
		nla_strlcpy(process->comm, tb[TCPSTATE_A_PROCESS_COMM],
			    sizeof(process->comm));
	return 0;
}

/**
 * process_text() - a process to print
 * @buf: at least PROCESS_TEXT_MAX bytes
 * @process: the process
 *
 * Return: @buf, such as "nginx[1234]", or NULL when nothing is known of it.
 */
const char *process_text(char *buf, const struct process *process)
{
	const char *comm = *process->comm ? process->comm : "?";
	char digits[OUT_NUMBER_MAX];

	if (!process->present)
		return NULL;
	if (process->pid.known)
		stpcpy(stpcpy(stpcpy(stpcpy(buf, comm), "["),
			      out_digits(digits, process->pid.value)), "]");
	else if (*process->comm)
		snprintf(buf, PROCESS_TEXT_MAX, "%s", comm);
	else
		return NULL;
	return buf;
}

/**
 * process_deed_text() - a process and how long ago it did something
 * @buf: at least PROCESS_TEXT_MAX bytes
 * @process: the process
 *
 * Return: @buf, such as "nginx[1234], 3.2 s ago", or NULL when neither is known.
 */
const char *process_deed_text(char *buf, const struct process *process)
{
	const char *text = process_text(buf, process);
	char age[OUT_NUMBER_MAX];
	size_t len;

	if (!process->age_ms.known)
		return text;
	len = text ? strlen(buf) : 0;
	snprintf(buf + len, PROCESS_TEXT_MAX - len, "%s%s ago",
		 text ? ", " : "", out_ms(age, process->age_ms.value));
	return buf;
}

/**
 * process_or_hidden() - say that there is a process which we are not told
 * @text: what can be said of it; NULL: nothing
 * @hidden: that is for want of permission
 *
 * Return: @text, or where it is NULL what takes its place in a sentence, if
 * anything does.
 */
const char *process_or_hidden(const char *text, bool hidden)
{
	return text || !hidden ? text : "a process that is not for you to see";
}

/**
 * process_print() - print a process, in the JSON only
 * @key: JSON key
 * @process: the process
 */
void process_print(const char *key, const struct process *process)
{
	if (!process->present) {
		out_null(key, NULL);
		return;
	}
	out_object_open(key);
	out_number("pid", NULL, process->pid);
	out_string("comm", NULL, *process->comm ? process->comm : NULL);
	out_number("uid", NULL, process->uid);
	out_age("age_ms", NULL, process->age_ms);
	out_bool("gone", NULL, NULL, process->gone);
	out_object_close();
}

/**
 * process_owner_print() - print whose a connection is, in the JSON only
 * @key: JSON key
 * @process: the process
 */
void process_owner_print(const char *key, const struct process *process)
{
	struct number cgroup = process->cgroup;

	if (!out_is_json())
		return;
	if (!process->present) {
		out_null(key, NULL);
		return;
	}
	out_object_open(key);
	out_number("pid", NULL, process->pid);
	out_string("comm", NULL, *process->comm ? process->comm : NULL);
	out_number("uid", NULL, process->uid);
	out_string("cgroup", NULL,
		   cgroup.known ? cgroup_path(cgroup.value) : NULL);
	out_number("cgroup_id", NULL, cgroup);
	out_bool("gone", NULL, NULL, process->gone);
	out_object_close();
}
