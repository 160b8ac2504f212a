// SPDX-License-Identifier: GPL-2.0
/*
 * What a reader may be told of processes, and in whose numbers.
 *
 * It takes CAP_NET_ADMIN in the user namespace of the network namespace. Who
 * has it there only is told of the processes of his user namespace, or of one
 * below it, that exist in his pid namespace, living or dead, and of no other;
 * and of no cgroup, whose path would be one of the host's.
 */
#include <linux/cred.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>
#include <net/netlink.h>

#include "attr.h"
#include "owner.h"
#include "reader.h"

/**
 * tcpstate_reader_init() - find out who reads
 * @reader: filled in, good until the caller returns to its user
 * @request: what he sent
 * @net: the namespace it is about
 *
 * Context: process context, the reader's.
 */
void tcpstate_reader_init(struct tcpstate_reader *reader,
			  const struct sk_buff *request, const struct net *net)
{
	reader->pid_ns = task_active_pid_ns(current);
	reader->user_ns = current_user_ns();
	reader->capable = netlink_ns_capable(request, net->user_ns,
					     CAP_NET_ADMIN);
	reader->machine = netlink_ns_capable(request, &init_user_ns,
					     CAP_NET_ADMIN);
	reader->cgroups = reader->machine && current->nsproxy->cgroup_ns ==
					     init_task.nsproxy->cgroup_ns;
}

/**
 * tcpstate_reader_knows_cgroups() - may cgroups be asked for?
 * @reader: who asks
 * @extack: of the request
 *
 * Return: 0, or -EPERM after a sentence in extack.
 */
int tcpstate_reader_knows_cgroups(const struct tcpstate_reader *reader,
				  struct netlink_ext_ack *extack)
{
	if (reader->cgroups)
		return 0;
	NL_SET_ERR_MSG(extack,
		       "cgroups are told of in the initial cgroup namespace only, with CAP_NET_ADMIN in the initial user namespace");
	return -EPERM;
}

/**
 * tcpstate_reader_pid() - the pid of a process
 * @reader: in whose namespace
 * @tgid: the process
 *
 * Return: the pid, which may be another's by now if the process has exited; 0
 * if it is not there.
 */
u32 tcpstate_reader_pid(const struct tcpstate_reader *reader,
			struct pid *tgid)
{
	return pid_nr_ns(tgid, reader->pid_ns);
}

/**
 * tcpstate_reader_uid() - the number of a user
 * @reader: in whose namespace
 * @kuid: the user
 *
 * Return: the number; (uid_t)-1 if that user is not there.
 */
uid_t tcpstate_reader_uid(const struct tcpstate_reader *reader, kuid_t kuid)
{
	return from_kuid(reader->user_ns, kuid);
}

/**
 * tcpstate_reader_cgroup() - the cgroup of an owner
 * @reader: in whose namespace
 * @owner: the owner
 *
 * Return: its id, 0 if it may not be told.
 */
u64 tcpstate_reader_cgroup(const struct tcpstate_reader *reader,
			   const struct tcpstate_owner *owner)
{
	return reader->cgroups ? owner->cgroup : 0;
}

/* Is @child @ancestor, or below it? in_userns() is not exported everywhere. */
static bool is_below(const struct user_namespace *child,
		     const struct user_namespace *ancestor)
{
	while (child->level > ancestor->level)
		child = child->parent;
	return child == ancestor;
}

/**
 * tcpstate_reader_sees() - may a process be told?
 * @reader: to whom
 * @tgid: the process
 * @user_ns: the user namespace it was in
 *
 * Return: whether it may.
 */
bool tcpstate_reader_sees(const struct tcpstate_reader *reader,
			  struct pid *tgid,
			  const struct user_namespace *user_ns)
{
	return reader->capable &&
	       (reader->machine || (is_below(user_ns, reader->user_ns) &&
				    tcpstate_reader_pid(reader, tgid)));
}

/**
 * tcpstate_reader_put() - put what may be told of an owner
 * @at: where to, with room for TCPSTATE_READER_ROOM
 * @attr: as this attribute, a nest of the set process
 * @reader: to whom, who sees the owner
 * @owner: the owner
 *
 * Context: any, the owner held.
 * Return: where the next attribute goes.
 */
void *tcpstate_reader_put(void *at, int attr,
			  const struct tcpstate_reader *reader,
			  const struct tcpstate_owner *owner)
{
	u32 pid = tcpstate_reader_pid(reader, owner->tgid);
	uid_t uid = tcpstate_reader_uid(reader, owner->uid);
	u64 cgroup = tcpstate_reader_cgroup(reader, owner);
	void *nest = at;

	at = tcpstate_attr_nest_start(at, attr);
	if (pid)
		at = tcpstate_attr_u32(at, TCPSTATE_A_PROCESS_PID, pid);
	at = tcpstate_attr_put(at, TCPSTATE_A_PROCESS_COMM, owner->comm,
			       strnlen(owner->comm, TASK_COMM_LEN - 1) + 1);
	if (uid != (uid_t)-1)
		at = tcpstate_attr_u32(at, TCPSTATE_A_PROCESS_UID, uid);
	if (cgroup)
		at = tcpstate_attr_u64(at, TCPSTATE_A_PROCESS_CGROUP, cgroup,
				       TCPSTATE_A_PROCESS_PAD);
	if (!pid_has_task(owner->tgid, PIDTYPE_TGID))
		at = tcpstate_attr_flag(at, TCPSTATE_A_PROCESS_GONE);
	tcpstate_attr_nest_end(at, nest);
	return at;
}
