/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_OWNER_H
#define _TCPSTATE_OWNER_H

#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uidgid.h>

#include "leak.h"
#include "tcpstate.h"

/* What is counted as made by an owner. */
enum tcpstate_made {
	TCPSTATE_MADE_TIME_WAIT,
	TCPSTATE_MADE_CLOSE_WAIT,
	TCPSTATE_MADE_COUNT
};

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
 * struct tcpstate_made_count - a counter, and how fast it goes
 * @count: since the owner is known
 * @marks: the mark before the last one and the last one; under owner.c's lock
 */
struct tcpstate_made_count {
	atomic64_t		count;
	struct tcpstate_mark	marks[2];
};

/**
 * struct tcpstate_holding - what an owner holds, as one walk found it
 * @connections: in any state but LISTEN
 * @time_wait: of these, in TIME_WAIT
 * @fin_wait2: in FIN_WAIT2, mini-sockets included
 * @close_wait: in CLOSE_WAIT
 * @oldest: when the oldest of those entered it, ns; 0 where there is none
 */
struct tcpstate_holding {
	u32	connections;
	u32	time_wait;
	u32	fin_wait2;
	u32	close_wait;
	u64	oldest;
};

/**
 * struct tcpstate_owner - a process, as it was when it opened or accepted
 * @node: in the table, by @tgid; a history, by the rest of its key
 * @list: on the list of its namespace; under owner.c's lock
 * @netns: in which the connections are; constant, as all up to @id is
 * @tgid: the process: its number is not given to another while this is held,
 *	or rather, that other one has another struct pid
 * @uid: effective
 * @cgroup: id in the default hierarchy
 * @comm: of the leader of its threads
 * @comm_words: the same, to compare
 * @id: by which records name it; never 0. Given again when it is dropped.
 * @order: increases in the order in which they are made
 * @past: a history: what processes of one name, user and cgroup made that
 *	have exited and hold nothing any more; @tgid is one of theirs
 * @refs: records that name it; negative when it is on its way out
 * @made: what it made since it is known
 * @holding: the result of the last walk; under owner.c's mutex
 * @rcu: frees it after the last handler that may still see it
 */
struct tcpstate_owner {
	struct hlist_node		node;
	struct hlist_node		list;
	struct tcpstate_netns		*netns;
	struct pid			*tgid;
	kuid_t				uid;
	u64				cgroup;
	union {
		char			comm[TASK_COMM_LEN];
		u64			comm_words[TASK_COMM_LEN / sizeof(u64)];
	};
	u16				id;
	bool				past;
	atomic_t			refs;
	u64				order;
	struct tcpstate_made_count	made[TCPSTATE_MADE_COUNT];
	struct tcpstate_holding		holding;
	struct rcu_head			rcu;
};

extern struct mutex tcpstate_owner_mutex;
extern struct tcpstate_owner **tcpstate_owners __read_mostly;

int tcpstate_owner_init(void);
void tcpstate_owner_exit(void);
u16 tcpstate_owner_get(struct tcpstate_netns *netns, const struct sock *sk);
struct tcpstate_owner *tcpstate_owner_holder(const struct tcpstate_conn *conn,
					     bool *unaccepted);
void tcpstate_owner_event_slow(struct tcpstate_conn *conn,
			       const struct sock *sk, int state);
void tcpstate_owner_mark(struct tcpstate_owner *owner, enum tcpstate_made what);
u64 tcpstate_owner_rate(const struct tcpstate_owner *owner,
			enum tcpstate_made what);
void tcpstate_owner_forget(struct tcpstate_netns *netns);

/* The owner of a number, which a record has that keeps it; or in an RCU read
 * side. NULL of 0.
 */
static __always_inline struct tcpstate_owner *tcpstate_owner_of(u16 id)
{
	return READ_ONCE(tcpstate_owners[id]);
}

static inline void tcpstate_owner_put(struct tcpstate_owner *owner)
{
	/* What nobody names stays in the table until tidied up. */
	atomic_dec(&owner->refs);
}

/* Count it; return whether it is time for tcpstate_owner_mark(). */
static __always_inline bool
tcpstate_owner_count(struct tcpstate_owner *owner, enum tcpstate_made what)
{
	return owner && unlikely(!(atomic64_inc_return(&owner->made[what].count) %
				   TCPSTATE_MADE_STEP));
}

static __always_inline void tcpstate_owner_made(struct tcpstate_owner *owner,
						enum tcpstate_made what)
{
	if (tcpstate_owner_count(owner, what))
		tcpstate_owner_mark(owner, what);
}

/* The socket of @conn is about to enter @state. By its owner, preemption off.
 *
 * Return: whether that is for tcpstate_owner_event_slow() to look at, too.
 */
static __always_inline bool tcpstate_owner_event(struct tcpstate_conn *conn,
						 int state)
{
	struct tcpstate_owner *owner;

	if (likely(!(BIT(state) & (BIT(TCP_FIN_WAIT1) | BIT(TCP_CLOSE_WAIT) |
				   BIT(TCP_LAST_ACK)))))
		return false;
	owner = tcpstate_owner_of(conn->owner);
	if (state == TCP_CLOSE_WAIT)
		return tcpstate_owner_count(owner, TCPSTATE_MADE_CLOSE_WAIT) ||
		       tcpstate_leak_unarmed();
	return unlikely(!owner || owner->tgid != task_tgid(current));
}

/* The end of @conn: it names nobody any more. */
static __always_inline void tcpstate_owner_leave(struct tcpstate_conn *conn)
{
	if (conn->owner)
		tcpstate_owner_put(tcpstate_owner_of(conn->owner));
	if (unlikely(conn->closer))
		tcpstate_owner_put(tcpstate_owner_of(conn->closer));
}

#endif /* _TCPSTATE_OWNER_H */
