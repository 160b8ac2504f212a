/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_CGROUP_H
#define TCPSTATE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

const char *cgroup_path(uint64_t id);
bool cgroup_parse(const char *word, uint64_t *id);

#endif
