/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_OWNER_H
#define _TCPSTATE_OWNER_H

#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <net/sock.h>

#include "tcpstate.h"

/* The rate is looked at once in so many, and not more often than this. */
#define TCPSTATE_MADE_STEP	64
#define TCPSTATE_MADE_INTERVAL	(4 * HZ)

/**
 * struct tcpstate_mark - a point on the way of a counter
 * @when: jiffies
 * @count: what the counter said
 */
struct tcpstate_mark {
	unsigned long	when;
	u64		count;
};

/**
 * struct tcpstate_holding - what an owner holds, as one walk found it
 * @connections: in any state but LISTEN
 * @time_wait: of these, in TIME_WAIT
 * @fin_wait2: in FIN_WAIT2, mini-sockets included
 * @close_wait: in CLOSE_WAIT
 * @unaccepted: of those, not accepted yet
 * @recent: of those in CLOSE_WAIT, there for less than a minute
 * @oldest: when the oldest of those entered it, ns; 0 where there is none
 */
struct tcpstate_holding {
	u32	connections;
	u32	time_wait;
	u32	fin_wait2;
	u32	close_wait;
	u32	unaccepted;
	u32	recent;
	u64	oldest;
};

/**
 * struct tcpstate_owner - a process, as it was when it opened or accepted
 * @tgid: the process: its number is not given to another while this is held,
 *	or rather, that other one has another struct pid. Constant, as all up to
 *	@order is.
 * @netns: in which the connections are
 * @cgroup: id in the default hierarchy
 * @user_ns: the user namespace it was in; a reference
 * @task_comm: the name of the leader of its threads, as the kernel keeps it:
 *	before 5.17 something may be left behind its end
 * @uid: effective
 * @id: by which records name it; never 0. Given again when it is dropped.
 * @comm: the name
 * @comm_words: the same, to compare
 * @order: increases in the order in which they are made
 * @past: a history: what processes of one name, user and cgroup made that
 *	have exited and hold nothing any more; @tgid is one of theirs
 * @unnamed: its process has exited, and no record has been found that names
 *	it; under owner.c's mutex
 * @made: entries into TIME_WAIT since it is known
 * @marks: how many these were, some time ago and a shorter time ago; under
 *	owner.c's lock
 * @closed: connections that have left CLOSE_WAIT since it is known
 * @holding: the result of the last walk; under owner.c's mutex
 * @node: in the table, by @tgid; a history, by the rest of its key
 * @list: on the list of its namespace; under owner.c's lock
 * @rcu: frees it after the last handler that may still see it
 */
struct tcpstate_owner {
	struct pid			*tgid;
	struct tcpstate_netns		*netns;
	u64				cgroup;
	struct user_namespace		*user_ns;
	char				task_comm[TASK_COMM_LEN];
	kuid_t				uid;
	u16				id;
	union {
		char			comm[TASK_COMM_LEN];
		u64			comm_words[TASK_COMM_LEN / sizeof(u64)];
	};
	u64				order;
	bool				past;
	bool				unnamed;
	/* Written all the time, what is above is read. */
	atomic64_t			made ____cacheline_aligned_in_smp;
	struct tcpstate_mark		marks[2];
	atomic64_t			closed;
	struct tcpstate_holding		holding;
	struct hlist_node		node;
	struct hlist_node		list;
	struct rcu_head			rcu;
};

extern struct mutex tcpstate_owner_mutex;
extern struct tcpstate_owner **tcpstate_owners __read_mostly;
DECLARE_PER_CPU(struct tcpstate_owner *, tcpstate_owner_last);

int tcpstate_owner_init(void);
void tcpstate_owner_exit(void);
u16 tcpstate_owner_look_up(struct tcpstate_netns *netns, const struct sock *sk);
struct tcpstate_owner *tcpstate_owner_holder(const struct tcpstate_conn *conn,
					     bool *unaccepted);
void tcpstate_owner_close(struct tcpstate_conn *conn, const struct sock *sk);
void tcpstate_owner_mark(struct tcpstate_owner *owner);
u64 tcpstate_owner_rate(const struct tcpstate_owner *owner);
void tcpstate_owner_forget(struct tcpstate_netns *netns);

/* The owner of a number, which a record has that keeps it; or in an RCU read
 * side. NULL of 0.
 */
static __always_inline struct tcpstate_owner *tcpstate_owner_of(u16 id)
{
	return id ? READ_ONCE(tcpstate_owners[id]) : NULL;
}

/* Whose account an event of @conn goes on: nobody's, if there is no owner. By
 * the record's owner.
 */
static __always_inline struct tcpstate_owner *
tcpstate_owner_account(const struct tcpstate_conn *conn)
{
	return tcpstate_owners[conn->owner];
}

/* The process that runs. */
static __always_inline struct pid *tcpstate_owner_tgid(void)
{
	return READ_ONCE(current->group_leader)->thread_pid;
}

/* Its cgroup, which cannot be freed while preemption is off. */
static __always_inline u64 tcpstate_owner_cgroup(void)
{
#ifdef CONFIG_CGROUPS
	return cgroup_id(rcu_dereference_raw(current->cgroups)->dfl_cgrp);
#else
	return 0;
#endif
}

/* Is it this one, by name, user (and whose) and cgroup, too? */
static __always_inline bool
tcpstate_owner_is_current(const struct tcpstate_owner *owner,
			  const struct tcpstate_netns *netns)
{
	const struct task_struct *leader = READ_ONCE(current->group_leader);

	if (owner->tgid != leader->thread_pid || owner->netns != netns ||
	    !uid_eq(owner->uid, current_euid()) ||
	    owner->user_ns != current_user_ns() ||
	    owner->cgroup != tcpstate_owner_cgroup())
		return false;
	/* Without the lock of who may be changing the name just then: at worst
	 * it is a mixture of both.
	 */
	return data_race(!memcmp(owner->task_comm, leader->comm, sizeof(u64)) &&
			 !memcmp(owner->task_comm + sizeof(u64),
				 leader->comm + sizeof(u64), sizeof(u64)));
}

/**
 * tcpstate_owner_get() - who is doing this
 * @netns: the namespace of the socket
 * @sk: the socket it is done to
 *
 * Mostly he who did so last on this CPU.
 *
 * Context: process context, preemption off.
 * Return: the owner's number; 0 in a kernel thread, for a socket of the
 * kernel's own, at the cap and without memory.
 */
static __always_inline u16 tcpstate_owner_get(struct tcpstate_netns *netns,
					      const struct sock *sk)
{
	const struct tcpstate_owner *last = this_cpu_read(tcpstate_owner_last);

	if (likely(!sk->sk_kern_sock && tcpstate_owner_is_current(last, netns)))
		return last->id;
	return tcpstate_owner_look_up(netns, sk);
}

/* A connection of @owner's enters TIME_WAIT. */
static __always_inline void tcpstate_owner_made(struct tcpstate_owner *owner)
{
	if (unlikely(!(atomic64_inc_return(&owner->made) %
		       TCPSTATE_MADE_STEP)))
		tcpstate_owner_mark(owner);
}

#endif /* _TCPSTATE_OWNER_H */
