// SPDX-License-Identifier: GPL-2.0
/*
 * Who did something last, and how that is told: to a reader who may see the
 * process, in the numbers of his namespaces.
 */
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>
#include <net/netlink.h>

#include "owner.h"
#include "reader.h"
#include "tcpstate.h"

/**
 * tcpstate_process_note() - the running process did it
 * @process: where that is kept
 *
 * Context: process context; interrupts may be off.
 */
void tcpstate_process_note(struct tcpstate_process *process)
{
	struct user_namespace *user_ns = get_user_ns(current_user_ns());
	struct pid *pid = get_pid(task_tgid(current));
	unsigned long flags;

	raw_spin_lock_irqsave(&process->lock, flags);
	swap(process->pid, pid);
	swap(process->user_ns, user_ns);
	process->uid = current_euid();	/* as an owner's */
	/* Pairs with the READ_ONCE()s of who has not the lock: refused_lately(). */
	WRITE_ONCE(process->when, ktime_get_ns());
	/* It may be changing its name this moment: at worst it is a mixture of
	 * both.
	 */
	data_race(strscpy_pad(process->comm, current->group_leader->comm,
			      sizeof(process->comm)));
	raw_spin_unlock_irqrestore(&process->lock, flags);
	put_pid(pid);
	put_user_ns(user_ns);
}

/**
 * tcpstate_process_set() - an owner did it
 * @process: where that is kept
 * @owner: the owner, held; NULL if nobody is known
 * @when: when it did, nanoseconds of CLOCK_MONOTONIC
 *
 * Context: process context.
 */
void tcpstate_process_set(struct tcpstate_process *process,
			  const struct tcpstate_owner *owner, u64 when)
{
	struct user_namespace *user_ns = owner ? get_user_ns(owner->user_ns) :
						 NULL;
	struct pid *pid = owner ? get_pid(owner->tgid) : NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&process->lock, flags);
	swap(process->pid, pid);
	swap(process->user_ns, user_ns);
	process->when = when;
	if (owner) {
		process->uid = owner->uid;
		memcpy(process->comm, owner->comm, sizeof(process->comm));
	}
	raw_spin_unlock_irqrestore(&process->lock, flags);
	put_pid(pid);
	put_user_ns(user_ns);
}

/**
 * tcpstate_process_get() - who did it
 * @process: where that is kept
 * @copy: filled in, to be given back with tcpstate_process_put()
 *
 * Return: whether anybody did it.
 */
bool tcpstate_process_get(struct tcpstate_process *process,
			  struct tcpstate_process *copy)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&process->lock, flags);
	copy->pid = get_pid(process->pid);
	copy->user_ns = process->user_ns ? get_user_ns(process->user_ns) : NULL;
	copy->uid = process->uid;
	copy->when = process->when;
	memcpy(copy->comm, process->comm, sizeof(copy->comm));
	raw_spin_unlock_irqrestore(&process->lock, flags);
	return copy->pid;
}

/**
 * tcpstate_process_put() - give back what is held of who did it
 * @process: where that is kept, or a copy; not used any more
 *
 * Context: any.
 */
void tcpstate_process_put(struct tcpstate_process *process)
{
	put_pid(process->pid);
	put_user_ns(process->user_ns);
}

/**
 * tcpstate_process_put_attr() - tell who did it
 * @skb: the message
 * @attr: the attribute that is a process
 * @process: where that is kept
 * @reader: whom to tell, if he may see the process, or else that there is one;
 *	NULL: nobody
 *
 * Context: process context.
 * Return: 0, or -EMSGSIZE.
 */
int tcpstate_process_put_attr(struct sk_buff *skb, int attr,
			      struct tcpstate_process *process,
			      const struct tcpstate_reader *reader)
{
	struct tcpstate_process copy;
	struct nlattr *nest;
	uid_t uid = -1;
	u32 pid = 0;
	bool known, seen, gone = false;

	if (!reader)
		return 0;
	known = tcpstate_process_get(process, &copy);
	seen = known && tcpstate_reader_sees(reader, copy.pid, copy.user_ns);
	if (seen) {
		pid = tcpstate_reader_pid(reader, copy.pid);
		uid = tcpstate_reader_uid(reader, copy.uid);
		/* Then its pid may be another's by now. */
		gone = !pid_has_task(copy.pid, PIDTYPE_TGID);
	}
	tcpstate_process_put(&copy);
	if (!known)
		return 0;

	nest = nla_nest_start(skb, attr);
	if (!nest)
		return -EMSGSIZE;
	if (!seen) {
		if (nla_put_flag(skb, TCPSTATE_A_PROCESS_HIDDEN)) {
			nla_nest_cancel(skb, nest);
			return -EMSGSIZE;
		}
		nla_nest_end(skb, nest);
		return 0;
	}
	if ((pid && nla_put_u32(skb, TCPSTATE_A_PROCESS_PID, pid)) ||
	    nla_put_string(skb, TCPSTATE_A_PROCESS_COMM, copy.comm) ||
	    (uid != (uid_t)-1 &&
	     nla_put_u32(skb, TCPSTATE_A_PROCESS_UID, uid)) ||
	    (gone && nla_put_flag(skb, TCPSTATE_A_PROCESS_GONE)) ||
	    nla_put_u64_64bit(skb, TCPSTATE_A_PROCESS_AGE_MS,
			      div_u64(ktime_get_ns() - copy.when, NSEC_PER_MSEC),
			      TCPSTATE_A_PROCESS_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}
