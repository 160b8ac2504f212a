// SPDX-License-Identifier: GPL-2.0
/*
 * What a reader may be told of processes, and in whose numbers.
 *
 * It takes CAP_NET_ADMIN in the user namespace of the network namespace. Who
 * has it there only is told of the processes that exist in his pid namespace,
 * living or dead, and of no other.
 */
#include <linux/cred.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/uidgid.h>
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
	reader->cgroups = current->nsproxy->cgroup_ns ==
			  init_task.nsproxy->cgroup_ns;
}

/**
 * tcpstate_reader_pid() - the pid of an owner
 * @reader: in whose namespace
 * @owner: the owner
 *
 * Return: the pid, which may be another's by now if the process has exited; 0
 * if it is not there.
 */
u32 tcpstate_reader_pid(const struct tcpstate_reader *reader,
			const struct tcpstate_owner *owner)
{
	return pid_nr_ns(owner->tgid, reader->pid_ns);
}

/**
 * tcpstate_reader_uid() - the user of an owner
 * @reader: in whose namespace
 * @owner: the owner
 * @uid: set to the user
 *
 * Return: whether that user is there.
 */
bool tcpstate_reader_uid(const struct tcpstate_reader *reader,
			 const struct tcpstate_owner *owner, u32 *uid)
{
	*uid = from_kuid(reader->user_ns, owner->uid);
	return *uid != (uid_t)-1;
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

/**
 * tcpstate_reader_sees() - may an owner be told?
 * @reader: to whom
 * @owner: the owner
 *
 * Return: whether it may.
 */
bool tcpstate_reader_sees(const struct tcpstate_reader *reader,
			  const struct tcpstate_owner *owner)
{
	return reader->capable &&
	       (reader->machine || tcpstate_reader_pid(reader, owner));
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
	u32 pid = tcpstate_reader_pid(reader, owner), uid;
	u64 cgroup = tcpstate_reader_cgroup(reader, owner);
	void *nest = at;

	at = tcpstate_attr_nest_start(at, attr);
	if (pid)
		at = tcpstate_attr_u32(at, TCPSTATE_A_PROCESS_PID, pid);
	at = tcpstate_attr_put(at, TCPSTATE_A_PROCESS_COMM, owner->comm,
			       strnlen(owner->comm, TASK_COMM_LEN - 1) + 1);
	if (tcpstate_reader_uid(reader, owner, &uid))
		at = tcpstate_attr_u32(at, TCPSTATE_A_PROCESS_UID, uid);
	if (cgroup)
		at = tcpstate_attr_u64(at, TCPSTATE_A_PROCESS_CGROUP, cgroup,
				       TCPSTATE_A_PROCESS_PAD);
	if (!pid_has_task(owner->tgid, PIDTYPE_TGID))
		at = tcpstate_attr_flag(at, TCPSTATE_A_PROCESS_GONE);
	tcpstate_attr_nest_end(at, nest);
	return at;
}
