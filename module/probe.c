// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's events, turned into calls on records.
 *
 * A socket's states come from the tracepoint sock:inet_sock_set_state, whose
 * handler is conn.c's. It is not exported and is found by name. It never shows
 * TIME_WAIT: that is the state of another object, the mini-socket, whose birth,
 * change, early end and end are four functions hooked by ftrace. All of them lie
 * across file boundaries from their callers, so that no compiler inlines them.
 *
 * bind() to port 0 that finds no port changes no state: only the value that
 * inet_csk_get_port() returns tells, to a return probe. It may miss a call,
 * and counts those.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <trace/events/sock.h>

#include "compat.h"
#include "tcpstate.h"

#define STATE_TRACEPOINT	"inet_sock_set_state"
#define FILTER_FREE_TRIES	100

static struct tracepoint *state_tracepoint;
static bool state_attached;
/* Not a static key, which would be one more thing that is patched, while all CPUs
 * run it.
 */
static bool probe_live __read_mostly;

/* Pairs with the WRITE_ONCE() of those who then wait for all handlers. */
static __always_inline bool probe_is_live(void)
{
	return likely(READ_ONCE(probe_live));
}

static void hook_born(unsigned long ip, unsigned long parent_ip,
		      struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	const struct inet_timewait_sock *tw =
		(void *)tcpstate_ftrace_arg(regs, 0);
	const struct sock *sk = (void *)tcpstate_ftrace_arg(regs, 1);

	if (probe_is_live() && sk->sk_protocol == IPPROTO_TCP)
		tcpstate_conn_handover(tw, sk);
}

static void hook_scheduled(unsigned long ip, unsigned long parent_ip,
			   struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	bool rearm = tcpstate_ftrace_arg(regs, 2);

	/* Armed for the first time it is at its birth, which is seen above. */
	if (probe_is_live() && rearm)
		tcpstate_conn_set_mini((void *)tcpstate_ftrace_arg(regs, 0));
}

static void hook_ended_early(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	const struct inet_timewait_sock *tw =
		(void *)tcpstate_ftrace_arg(regs, 0);

	/* connect() takes it off its chain before it ends it; nobody else
	 * does (__inet_check_established() and its IPv6 twin).
	 */
	if (probe_is_live())
		tcpstate_conn_end_mini(tw, hlist_nulls_unhashed_lockless(&tw->tw_node) ?
				       TCPSTATE_END_RECYCLED :
				       TCPSTATE_END_KILLED);
}

static void hook_freed(unsigned long ip, unsigned long parent_ip,
		       struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	if (probe_is_live())
		tcpstate_conn_freed((void *)tcpstate_ftrace_arg(regs, 0));
}

/* accept() gives a connection its file, here. */
static void hook_accepted(unsigned long ip, unsigned long parent_ip,
			  struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	const struct sock *sk = (void *)tcpstate_ftrace_arg(regs, 0);

	if (probe_is_live() && sk->sk_protocol == IPPROTO_TCP)
		tcpstate_conn_accept(sk);
}

#if IS_BUILTIN(CONFIG_IPV6)
/* setsockopt(IPV6_ADDRFORM) makes an IPv6 socket an IPv4 one without a change
 * of state, and then cleans up after what it was. Every other IPv6 socket gets
 * here at its very end, still one.
 */
static void hook_family(unsigned long ip, unsigned long parent_ip,
			struct ftrace_ops *ops, tcpstate_ftrace_regs *regs)
{
	const struct sock *sk = (void *)tcpstate_ftrace_arg(regs, 0);

	if (probe_is_live() && sk->sk_family == AF_INET &&
	    sk->sk_protocol == IPPROTO_TCP)
		tcpstate_conn_set_family(sk);
}
#endif

/* Those that modules may call are told by their address: to look for a name
 * among all functions that can be traced takes ftrace some 90 million
 * instructions. The address is NULL where a kernel does not export it.
 */
typeof(TCPSTATE_HASHDANCE) TCPSTATE_HASHDANCE __weak;
typeof(__inet_twsk_schedule) __inet_twsk_schedule __weak;
typeof(inet_twsk_deschedule_put) inet_twsk_deschedule_put __weak;
typeof(tcp_twsk_destructor) tcp_twsk_destructor __weak;
typeof(security_sock_graft) security_sock_graft __weak;
#if IS_BUILTIN(CONFIG_IPV6)
typeof(inet6_cleanup_sock) inet6_cleanup_sock __weak;
#endif

#define HOOKED(func)	.name = __stringify(func), .function = (func)

static struct hook {
	const char		*name;
	void			*function;
	struct ftrace_ops	ops;
} hooks[] = {
	{
		HOOKED(TCPSTATE_HASHDANCE),
		.ops = { .func = hook_born, .flags = TCPSTATE_FTRACE_FLAGS },
	}, {
		HOOKED(__inet_twsk_schedule),
		.ops = { .func = hook_scheduled, .flags = TCPSTATE_FTRACE_FLAGS },
	}, {
		HOOKED(inet_twsk_deschedule_put),
		.ops = { .func = hook_ended_early, .flags = TCPSTATE_FTRACE_FLAGS },
	}, {
		HOOKED(tcp_twsk_destructor),
		.ops = { .func = hook_freed, .flags = TCPSTATE_FTRACE_FLAGS },
	}, {
		HOOKED(security_sock_graft),
		.ops = { .func = hook_accepted, .flags = TCPSTATE_FTRACE_FLAGS },
	},
#if IS_BUILTIN(CONFIG_IPV6)
	{
		HOOKED(inet6_cleanup_sock),
		.ops = { .func = hook_family, .flags = TCPSTATE_FTRACE_FLAGS },
	},
#endif
};

/* Calls of it that may be under way at once. */
#define BIND_MAXACTIVE	64

struct bind_call {
	const struct sock	*sk;
};

/* A call that asks for a port of its own is none of ours. */
static int bind_enter(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct bind_call *call = (void *)instance->data;

	call->sk = (void *)regs_get_kernel_argument(regs, 0);
	if (!probe_is_live() ||
	    (unsigned short)regs_get_kernel_argument(regs, 1) ||
	    call->sk->sk_protocol != IPPROTO_TCP)
		return 1;
	return 0;
}

static int bind_return(struct kretprobe_instance *instance,
		       struct pt_regs *regs)
{
	const struct bind_call *call = (void *)instance->data;

	if ((int)regs_return_value(regs))
		tcpstate_port_refuse(call->sk);
	return 0;
}

static struct kretprobe bind_probe = {
	.kp.symbol_name	= "inet_csk_get_port",
	.entry_handler	= bind_enter,
	.handler	= bind_return,
	.data_size	= sizeof(struct bind_call),
	.maxactive	= BIND_MAXACTIVE,
};

static bool bind_probed;

/* Not to see these is no reason not to load: that they are not seen is shown. */
static void bind_attach(void)
{
	int err;

	tcpstate_check_prototype(inet_csk_get_port, tcpstate_get_port_t);
	err = register_kretprobe(&bind_probe);
	bind_probed = !err;
	if (err)
		pr_notice("cannot probe %s() (error %d): bind() calls that find no port are not counted\n",
			  bind_probe.kp.symbol_name, err);
}

static void bind_detach(void)
{
	if (bind_probed)
		unregister_kretprobe(&bind_probe);
}

/**
 * tcpstate_probe_bind() - are bind() calls that find no port seen?
 * @missed: set to how many calls could not be seen
 *
 * Return: whether they are.
 */
bool tcpstate_probe_bind(u64 *missed)
{
	/* Counted by each CPU as it comes, and shown only. */
	*missed = data_race(bind_probe.nmissed + bind_probe.kp.nmissed);
	return bind_probed;
}

/* ftrace_free_filter() is not exported everywhere. This allocates, and if that
 * fails the filter stays, and would be lost with the module.
 */
static void hook_filter_free(struct hook *hook)
{
	int tries = FILTER_FREE_TRIES;

	while (ftrace_set_filter(&hook->ops, NULL, 0, 1) == -ENOMEM && --tries)
		cond_resched();
}

static void hook_detach(struct hook *hook)
{
	unregister_ftrace_function(&hook->ops);
	hook_filter_free(hook);
}

/* By name ftrace does not tell that it had no memory for the function's entry.
 * What it leaves then is an empty filter, which every function passes; that is
 * always the same one.
 */
static int hook_filter_by_name(struct hook *hook)
{
	struct ftrace_ops *ops = &hook->ops;
	const void *empty;
	int err;

	err = ftrace_set_filter(ops, NULL, 0, 1);
	if (err)
		return err;
	empty = (__force void *)ops->func_hash->filter_hash;
	err = ftrace_set_filter(ops, (unsigned char *)hook->name,
				strlen(hook->name), 1);
	if (!err && (__force void *)ops->func_hash->filter_hash == empty)
		err = -ENOMEM;
	return err;
}

static int hook_attach(struct hook *hook)
{
	int err;

	if (hook->function)
		err = ftrace_set_filter_ip(&hook->ops,
					   (unsigned long)hook->function, 0, 1);
	else
		err = hook_filter_by_name(hook);
	if (err == -ENOMEM) {
		pr_err("no memory to hook %s(): refusing to load\n", hook->name);
		return err;
	}
	if (err) {
		pr_err("this kernel has no function %s() to hook: refusing to load\n",
		       hook->name);
		return err;
	}
	err = register_ftrace_function(&hook->ops);
	if (err) {
		hook_filter_free(hook);
		if (err == -EBUSY)
			pr_err("cannot hook %s(): set kernel.ftrace_enabled to 1 and load again\n",
			       hook->name);
		else
			pr_err("cannot hook %s() (error %d): refusing to load\n",
			       hook->name, err);
	}
	return err;
}

static void tracepoint_match(struct tracepoint *tp, void *found)
{
	if (!strcmp(tp->name, STATE_TRACEPOINT))
		*(struct tracepoint **)found = tp;
}

static int state_find(void)
{
	check_trace_callback_type_inet_sock_set_state(tcpstate_conn_event);

	for_each_kernel_tracepoint(tracepoint_match, &state_tracepoint);
	if (!state_tracepoint) {
		pr_err("no tracepoint sock:%s in this kernel: refusing to load\n",
		       STATE_TRACEPOINT);
		return -ENOENT;
	}
	return 0;
}

static int state_attach(void)
{
	int err;

	err = tracepoint_probe_register(state_tracepoint, tcpstate_conn_event,
					NULL);
	if (err)
		pr_err("cannot attach to sock:%s (error %d): refusing to load\n",
		       STATE_TRACEPOINT, err);
	state_attached = !err;
	return err;
}

static void state_detach(void)
{
	if (!state_attached)
		return;
	tracepoint_probe_unregister(state_tracepoint, tcpstate_conn_event, NULL);
	tracepoint_synchronize_unregister();
}

/**
 * tcpstate_probe_init() - attach every hook but the tracepoint, all of them idle
 *
 * Return: 0, or a negative error after a sentence in the log.
 */
int tcpstate_probe_init(void)
{
	int err, i;

	tcpstate_check_prototype(TCPSTATE_HASHDANCE, tcpstate_hashdance_t);
	tcpstate_check_prototype(__inet_twsk_schedule, tcpstate_twsk_schedule_t);
	tcpstate_check_prototype(inet_twsk_deschedule_put, tcpstate_twsk_put_t);
	tcpstate_check_prototype(tcp_twsk_destructor, tcpstate_sock_t);
	tcpstate_check_prototype(security_sock_graft, tcpstate_graft_t);
#if IS_BUILTIN(CONFIG_IPV6)
	tcpstate_check_prototype(inet6_cleanup_sock, tcpstate_sock_t);
#endif

	err = state_find();
	if (err)
		return err;
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = hook_attach(&hooks[i]);
		if (err)
			goto err_detach;
	}
	bind_attach();
	return 0;

err_detach:
	while (--i >= 0)
		hook_detach(&hooks[i]);
	return err;
}

/**
 * tcpstate_probe_start() - let the hooks act, and attach the tracepoint
 *
 * That is the last, so that its handler need not ask whether the others act:
 * what they do without it is to add, and to take away again, the records of
 * mini-sockets whose sockets have none.
 *
 * Afterwards no event that found a hook idle, or none, is still to take effect: a
 * walk may begin.
 *
 * Context: process context. Sleeps.
 * Return: 0; or a negative error after a sentence in the log, and then
 * tcpstate_probe_exit() is to be called all the same.
 */
int tcpstate_probe_start(void)
{
	int err;

	WRITE_ONCE(probe_live, true);
	err = state_attach();
	if (err)
		return err;
	tcpstate_synchronize_hooks();
	return 0;
}

/**
 * tcpstate_probe_exit() - detach every hook; none runs any more afterwards
 *
 * Context: process context. Sleeps.
 */
void tcpstate_probe_exit(void)
{
	int i = ARRAY_SIZE(hooks);

	WRITE_ONCE(probe_live, false);
	state_detach();
	bind_detach();
	while (--i >= 0)
		hook_detach(&hooks[i]);
}
