/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_NETNS_H
#define TCPSTATE_NETNS_H

#include <stdint.h>

int netns_enter(const char *name);
const char *netns_name(uint64_t ino);
void netns_forget(void);

#endif
