/* SPDX-License-Identifier: GPL-2.0 */
/* What the module may say: answers to feed to the CLI without a kernel. */
#ifndef TCPSTATE_TESTS_REPLY_H
#define TCPSTATE_TESTS_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Attributes one after another, as in a message. */
struct reply {
	int len;
	unsigned char data[128 * 1024];
};

void reply_put(struct reply *reply, int type, const void *data, int len);
void reply_put_u16(struct reply *reply, int type, uint16_t value);
void reply_put_u8(struct reply *reply, int type, uint8_t value);
void reply_put_u32(struct reply *reply, int type, uint32_t value);
void reply_put_u64(struct reply *reply, int type, uint64_t value);
int reply_nest(struct reply *reply, int type);
void reply_nest_end(struct reply *reply, int start);

void reply_state(struct reply *reply, const char *scene, uint64_t ino);
void reply_audit(struct reply *reply, const char *scene, uint64_t ino);
bool reply_dest(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i);
bool reply_conn(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i, uint32_t states);
uint64_t reply_conn_cookie(unsigned int i);
bool reply_conn_is_mini(uint64_t cookie);
bool reply_owner(struct reply *reply, const char *scene, uint64_t ino,
		 unsigned int i, uint32_t by);
bool reply_port(struct reply *reply, const char *scene, uint64_t ino,
		unsigned int i);
void reply_port_summary(struct reply *reply, const char *scene, uint64_t ino);
void reply_config(struct reply *reply, const char *scene, uint64_t ino,
		  const uint32_t *values, uint64_t seq);
bool reply_alert(struct reply *reply, const char *scene, uint64_t ino,
		 unsigned int i, uint64_t seq);

#define REPLY_CONFIG_KEYS 6

#endif
