/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one file in which kernel versions are named. Everything else is written
 * for the newest kernel; what an older one lacks is filled in here.
 */
#ifndef _TCPSTATE_COMPAT_H
#define _TCPSTATE_COMPAT_H

#include <linux/build_bug.h>
#include <linux/ftrace.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/version.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/tcp.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "tcpstate supports Linux 5.10 and later"
#endif

/* See tcpstate_synchronize_hooks(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 18, 0) && defined(CONFIG_PREEMPTION)
#error "tcpstate needs Linux 5.18 or later where the kernel is preemptible (CONFIG_PREEMPTION)"
#endif

#ifndef CONFIG_DYNAMIC_FTRACE_WITH_REGS
#ifndef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#error "tcpstate needs CONFIG_DYNAMIC_FTRACE_WITH_ARGS or _REGS to follow mini-sockets"
#endif
#endif

#ifndef CONFIG_SECURITY_NETWORK
#error "tcpstate needs CONFIG_SECURITY_NETWORK to see who accepts a connection"
#endif

/* ftrace: how a callback is called, and how it reads the arguments. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
typedef struct ftrace_regs tcpstate_ftrace_regs;
#define TCPSTATE_FTRACE_FLAGS	FTRACE_OPS_FL_PERMANENT
#define tcpstate_ftrace_arg(fregs, n)	ftrace_regs_get_argument(fregs, n)
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0) && \
	defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS)
/*
 * ftrace_get_regs() returns NULL unless every register was asked for, but
 * those of the arguments are saved all the same, at half the cost.
 */
typedef struct ftrace_regs tcpstate_ftrace_regs;
#define TCPSTATE_FTRACE_FLAGS	FTRACE_OPS_FL_PERMANENT
#define tcpstate_ftrace_arg(fregs, n) \
	regs_get_kernel_argument(&(fregs)->regs, n)
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
typedef struct ftrace_regs tcpstate_ftrace_regs;
#define TCPSTATE_FTRACE_FLAGS	(FTRACE_OPS_FL_PERMANENT | \
				 FTRACE_OPS_FL_SAVE_REGS)
#define tcpstate_ftrace_arg(fregs, n) \
	regs_get_kernel_argument(ftrace_get_regs(fregs), n)
#else
/*
 * The bit of FTRACE_OPS_FL_RECURSION means its opposite here; none of the
 * hooked functions is reached from its own handler, so neither is needed.
 */
typedef struct pt_regs tcpstate_ftrace_regs;
#define TCPSTATE_FTRACE_FLAGS	(FTRACE_OPS_FL_PERMANENT | \
				 FTRACE_OPS_FL_SAVE_REGS)
#define tcpstate_ftrace_arg(regs, n)	regs_get_kernel_argument(regs, n)
#endif

/*
 * Probes of a tracepoint run with preemption off, until tracepoints began to
 * be protected by SRCU.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define tcpstate_probe_enter()	preempt_disable_notrace()
#define tcpstate_probe_leave()	preempt_enable_notrace()
#else
#define tcpstate_probe_enter()	do { } while (0)
#define tcpstate_probe_leave()	do { } while (0)
#endif

/*
 * The functions hooked by name. A prototype that is not what the handlers in
 * probe.c read the arguments by must not build.
 *
 * TCPSTATE_MINI_UNCOUNTED: how many mini-sockets there will be more than
 * tcpstate_minis() says where one is born. It is counted when its timer starts:
 * within that function, or before it.
 */
#ifdef TCPSTATE_HAVE_HASHDANCE_SCHEDULE
#define TCPSTATE_MINI_UNCOUNTED	1
#define TCPSTATE_HASHDANCE	inet_twsk_hashdance_schedule
typedef void (*tcpstate_hashdance_t)(struct inet_timewait_sock *tw,
				     struct sock *sk,
				     struct inet_hashinfo *hashinfo, int timeo);
#else
#define TCPSTATE_MINI_UNCOUNTED	0
#define TCPSTATE_HASHDANCE	inet_twsk_hashdance
typedef void (*tcpstate_hashdance_t)(struct inet_timewait_sock *tw,
				     struct sock *sk,
				     struct inet_hashinfo *hashinfo);
#endif
typedef void (*tcpstate_twsk_schedule_t)(struct inet_timewait_sock *tw,
					 int timeo, bool rearm);
typedef void (*tcpstate_twsk_put_t)(struct inet_timewait_sock *tw);
typedef void (*tcpstate_sock_t)(struct sock *sk);
typedef void (*tcpstate_graft_t)(struct sock *sk, struct socket *parent);
typedef int (*tcpstate_get_port_t)(struct sock *sk, unsigned short snum);

#define tcpstate_check_prototype(func, type)				\
	static_assert(__same_type(&(func), (type)NULL),			\
		      "the prototype of " __stringify(func)		\
		      "() is not what tcpstate expects: this kernel is not supported")

/**
 * tcpstate_net_made() - is a namespace's set-up over?
 * @net: the namespace
 *
 * It is put on the list of all only after that (setup_net()), and is zeroed
 * before; net_initialized(), which says the same, is of 6.12.
 *
 * Return: whether it is.
 */
static inline bool tcpstate_net_made(const struct net *net)
{
	return READ_ONCE(net->list.next);
}

/* Listeners: the second listening table, and how a socket hangs in it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
#define tcpstate_lhash2_for_each(sk, node, bucket)	\
	sk_nulls_for_each(sk, node, &(bucket)->nulls_head)
#define tcpstate_lhash2_for_each_rcu(sk, node, bucket)	\
	sk_nulls_for_each_rcu(sk, node, &(bucket)->nulls_head)
#define TCPSTATE_LHASH2_NODE	struct hlist_nulls_node
#else
/* struct sock is the first member of struct inet_connection_sock. */
#define tcpstate_lhash2_for_each(sk, node, bucket)			\
	for ((node) = (bucket)->head.first;				\
	     (node) && ({ (sk) = (struct sock *)hlist_entry(node,	\
				struct inet_connection_sock,		\
				icsk_listen_portaddr_node); 1; });	\
	     (node) = (node)->next)
#define tcpstate_lhash2_for_each_rcu(sk, node, bucket)			\
	for ((node) = rcu_dereference(hlist_first_rcu(&(bucket)->head)); \
	     (node) && ({ (sk) = (struct sock *)hlist_entry(node,	\
				struct inet_connection_sock,		\
				icsk_listen_portaddr_node); 1; });	\
	     (node) = rcu_dereference(hlist_next_rcu(node)))
#define TCPSTATE_LHASH2_NODE	struct hlist_node
#endif

/*
 * tcpstate_synchronize_hooks() - wait for every task that is between a hook
 *	and what the hook announces
 *
 * The tracepoint fires before the state is stored, possibly in preemptible
 * code. Before 5.18 synchronize_rcu_tasks() is not exported: synchronize_rcu()
 * waits for the same only where the kernel does not preempt itself, as Debian
 * builds those. Where it does, the module does not build: a walk could find a
 * state that a task, preempted before the hooks acted, is about to change.
 */
static inline void tcpstate_synchronize_hooks(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	synchronize_rcu_tasks();
#endif
	synchronize_rcu();
}

/*
 * tcpstate_connect_bound() - has connect() chosen the port of a connection?
 * @sk: socket or mini-socket, bound, and staying so
 *
 * Newer kernels say so. In older ones the bind bucket does: connect() only takes
 * a port of a bucket that connect() has made, and bind() leaves its mark.
 */
static inline bool tcpstate_connect_bound(const struct sock *sk)
{
	bool mini = inet_sk_state_load(sk) == TCP_TIME_WAIT;
#ifdef SOCK_CONNECT_BIND
	if (mini)
		return inet_twsk(sk)->tw_connect_bind;
	/* SO_SNDBUF changes another bit of them, where @sk is not locked. */
	return data_race(sk->sk_userlocks & SOCK_CONNECT_BIND);
#else
	const struct inet_bind_bucket *tb =
		mini ? inet_twsk(sk)->tw_tb : inet_csk(sk)->icsk_bind_hash;

	return tb && READ_ONCE(tb->fastreuse) < 0 &&
	       READ_ONCE(tb->fastreuseport) < 0;
#endif
}

/* Has the socket an IP_LOCAL_PORT_RANGE of its own? */
static inline bool tcpstate_own_port_range(const struct sock *sk)
{
#ifdef TCPSTATE_HAVE_OWN_PORT_RANGE
	/* A number on some kernels, a struct on others. */
	return memchr_inv(&inet_sk(sk)->local_port_range, 0,
			  sizeof(inet_sk(sk)->local_port_range));
#else
	return false;
#endif
}

/* What tcp_max_tw_buckets is compared with. */
static inline unsigned int tcpstate_minis(const struct net *net)
{
#ifdef TCPSTATE_HAVE_TW_REFCOUNT
	return refcount_read(&net->ipv4.tcp_death_row.tw_refcount) - 1;
#else
	return atomic_read(&net->ipv4.tcp_death_row.tw_count);
#endif
}

/* How long a mini-socket has left, in jiffies. Its timer tells once it is pending:
 * that is a moment after it has taken the record over.
 */
static inline unsigned long
tcpstate_tw_left(const struct inet_timewait_sock *tw)
{
	long left = READ_ONCE(tw->tw_timer.expires) - jiffies;

	return timer_pending(&tw->tw_timer) ? max(left, 0L) : 0;
}

static inline u32 tcpstate_tw_stamp(const struct inet_timewait_sock *tw)
{
	return READ_ONCE(tcp_twsk((const struct sock *)tw)->tw_ts_recent_stamp);
}

/* How long after it was entered connect() may take a TIME_WAIT again. */
static inline u32 tcpstate_reuse_delay_ms(const struct net *net)
{
#ifdef TCPSTATE_HAVE_TW_REUSE_DELAY
	return READ_ONCE(net->ipv4.sysctl_tcp_tw_reuse_delay);
#else
	return MSEC_PER_SEC;
#endif
}

/*
 * tcpstate_tw_reusable_in() - when connect() may take a TIME_WAIT again
 * @tw: it has a time stamp, and tcp_tw_reuse is on for it
 * @net: its namespace
 *
 * As tcp_twsk_unique() decides. Milliseconds, 0 for now.
 */
static inline u32 tcpstate_tw_reusable_in(const struct inet_timewait_sock *tw,
					  const struct net *net)
{
#ifdef TCPSTATE_HAVE_TW_REUSE_DELAY
	u32 from = READ_ONCE(tw->tw_entry_stamp) + tcpstate_reuse_delay_ms(net);
	u32 now = tcp_clock_ms();

	return time_after32(now, from) ? 0 : from - now + 1;
#else
	/* Whole seconds. */
	return time_after32(ktime_get_seconds(), tcpstate_tw_stamp(tw)) ?
	       0 : MSEC_PER_SEC;
#endif
}

#endif /* _TCPSTATE_COMPAT_H */
