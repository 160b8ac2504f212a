/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TCPSTATE_NL_H
#define TCPSTATE_NL_H

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "out.h"

/**
 * struct module_reader - what to do with the messages of an answer
 * @message: reads one, given its attributes; returns 0, or a negative value
 *   when they make no sense
 * @restart: forgets what was read so far, because the answer starts again
 * @arg: passed to both
 */
struct module_reader {
	int (*message)(struct nlattr *attrs, int len, void *arg);
	void (*restart)(void *arg);
	void *arg;
};

int module_open(void);
void module_close(void);
struct nl_msg *module_request(uint8_t cmd, bool all_netns);
struct nl_msg *module_dump(uint8_t cmd, bool all_netns, int all_netns_attr);
int module_ask(struct nl_msg *msg, const struct module_reader *reader);

/* What came of listening. */
enum heard {
	HEARD_SOMETHING,
	HEARD_NOTHING,		/* there is nothing to hear now */
	HEARD_LOSS,		/* what there was did not fit into the socket */
	HEARD_END,		/* the module has been unloaded */
	HEARD_ERROR,		/* said so */
};

int module_listen(bool all_netns);
int module_listen_fd(void);
enum heard module_hear(const struct module_reader *reader);

int module_mismatch(void);

struct number attr_u16(const struct nlattr *attr);
struct number attr_u32(const struct nlattr *attr);
struct number attr_number(const struct nlattr *attr);

#endif
