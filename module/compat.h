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
#include <linux/version.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/tcp.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "tcpstate supports Linux 5.10 and later"
#endif

#ifndef CONFIG_DYNAMIC_FTRACE_WITH_REGS
#ifndef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#error "tcpstate needs CONFIG_DYNAMIC_FTRACE_WITH_ARGS or _REGS to follow mini-sockets"
#endif
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
 */
#ifdef TCPSTATE_HAVE_HASHDANCE_SCHEDULE
#define TCPSTATE_HASHDANCE	inet_twsk_hashdance_schedule
typedef void (*tcpstate_hashdance_t)(struct inet_timewait_sock *tw,
				     struct sock *sk,
				     struct inet_hashinfo *hashinfo, int timeo);
#else
#define TCPSTATE_HASHDANCE	inet_twsk_hashdance
typedef void (*tcpstate_hashdance_t)(struct inet_timewait_sock *tw,
				     struct sock *sk,
				     struct inet_hashinfo *hashinfo);
#endif
typedef void (*tcpstate_twsk_schedule_t)(struct inet_timewait_sock *tw,
					 int timeo, bool rearm);
typedef void (*tcpstate_twsk_put_t)(struct inet_timewait_sock *tw);
typedef void (*tcpstate_sock_t)(struct sock *sk);

#define tcpstate_check_prototype(func, type)				\
	BUILD_BUG_ON_MSG(!__same_type(&(func), (type)NULL),		\
			 "the prototype of " #func			\
			 "() is not what tcpstate expects: this kernel is not supported")

/* Listeners: the second listening table, and how a socket hangs in it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
#define tcpstate_lhash2_for_each(sk, node, bucket)	\
	sk_nulls_for_each(sk, node, &(bucket)->nulls_head)
#define TCPSTATE_LHASH2_NODE	struct hlist_nulls_node
#else
/* struct sock is the first member of struct inet_connection_sock. */
#define tcpstate_lhash2_for_each(sk, node, bucket)			\
	for ((node) = (bucket)->head.first;				\
	     (node) && ({ (sk) = (struct sock *)hlist_entry(node,	\
				struct inet_connection_sock,		\
				icsk_listen_portaddr_node); 1; });	\
	     (node) = (node)->next)
#define TCPSTATE_LHASH2_NODE	struct hlist_node
#endif

/*
 * tcpstate_synchronize_hooks() - wait for every task that is between a hook
 *	and what the hook announces
 *
 * The tracepoint fires before the state is stored, possibly in preemptible
 * code. Before 5.18 synchronize_rcu_tasks() is not exported; those kernels
 * as Debian builds them do not preempt the kernel, so that synchronize_rcu()
 * waits for the same.
 */
static inline void tcpstate_synchronize_hooks(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	synchronize_rcu_tasks();
#endif
	synchronize_rcu();
}

#endif /* _TCPSTATE_COMPAT_H */
