/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_PROCESS_H
#define TCPSTATE_PROCESS_H

#include "out.h"

struct nlattr;

#define COMM_MAX 64
#define PROCESS_TEXT_MAX 128

/* A process, as far as the reader may know it. */
struct process {
	bool present, gone;
	bool hidden;			/* there is one, not for the reader */
	struct number pid, uid, cgroup, age_ms;
	char comm[COMM_MAX];		/* empty: not known */
};

int process_read(struct process *process, struct nlattr *nest);
void process_print(const char *key, const struct process *process);
void process_owner_print(const char *key, const struct process *process);
const char *process_text(char *buf, const struct process *process);
const char *process_deed_text(char *buf, const struct process *process);
const char *process_or_hidden(const char *text, bool hidden);

#endif
