/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_HOLDER_H
#define TCPSTATE_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A process that has a socket's file open, now. */
struct holder {
	uint64_t inode;
	uint32_t pid;
};

const struct holder *holders_of(uint64_t inode, size_t *n);
bool holders_complete(void);
const char *holder_comm(uint32_t pid);

#endif
