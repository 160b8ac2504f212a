/* SPDX-License-Identifier: GPL-2.0 */
/* What the module may say: answers to feed to the CLI without a kernel. */
#ifndef TCPSTATE_TESTS_REPLY_H
#define TCPSTATE_TESTS_REPLY_H

#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Attributes one after another, as in a message. */
struct reply {
	int len;
	unsigned char data[128 * 1024];
};

void reply_put(struct reply *reply, int type, const void *data, int len);
void reply_put_u8(struct reply *reply, int type, uint8_t value);
void reply_put_u32(struct reply *reply, int type, uint32_t value);
void reply_put_u64(struct reply *reply, int type, uint64_t value);
int reply_nest(struct reply *reply, int type);
void reply_nest_end(struct reply *reply, int start);

void reply_state(struct reply *reply, const char *scene, uint64_t ino);
void reply_audit(struct reply *reply, const char *scene, uint64_t ino);

#endif
