/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_READER_H
#define _TCPSTATE_READER_H

#include <linux/types.h>
#include <linux/uidgid.h>

struct net;
struct pid;
struct pid_namespace;
struct sk_buff;
struct tcpstate_owner;
struct user_namespace;

/**
 * struct tcpstate_reader - who asks, and what may be told of processes
 * @pid_ns: in whose numbers
 * @user_ns: likewise
 * @capable: has CAP_NET_ADMIN in the user namespace of the network namespace
 * @machine: has it in the initial one
 * @cgroups: has it in the initial one, and is in the initial cgroup namespace
 */
struct tcpstate_reader {
	struct pid_namespace	*pid_ns;
	struct user_namespace	*user_ns;
	bool			capable;
	bool			machine;
	bool			cgroups;
};

/* At most, what is told of one owner takes. */
#define TCPSTATE_READER_ROOM	96

void tcpstate_reader_init(struct tcpstate_reader *reader,
			  const struct sk_buff *request, const struct net *net);
int tcpstate_reader_knows_cgroups(const struct tcpstate_reader *reader,
				  struct netlink_ext_ack *extack);
u32 tcpstate_reader_pid(const struct tcpstate_reader *reader,
			struct pid *tgid);
uid_t tcpstate_reader_uid(const struct tcpstate_reader *reader, kuid_t kuid);
u64 tcpstate_reader_cgroup(const struct tcpstate_reader *reader,
			   const struct tcpstate_owner *owner);
bool tcpstate_reader_sees(const struct tcpstate_reader *reader,
			  struct pid *tgid,
			  const struct user_namespace *user_ns);
void *tcpstate_reader_put(void *at, int attr,
			  const struct tcpstate_reader *reader,
			  const struct tcpstate_owner *owner);

#endif /* _TCPSTATE_READER_H */
