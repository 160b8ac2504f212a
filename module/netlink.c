// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family, counters and audits. Operations, attributes and
 * policies are generated from Documentation/netlink/specs/tcpstate.yaml.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "netlink.h"

/**
 * struct netlink_cursor - where a dump goes on
 * @id: the lowest id of the next namespace
 * @part: which part of its answer is next
 */
struct netlink_cursor {
	u64		id;
	unsigned int	part;
};

/* So often a mismatch is looked at again, at most, for who does not administer the
 * machine: for 140 ms.
 */
#define RECHECKS_OTHERS	3

/* An answer is more than a dump is sure to have room for in one message. */
enum netlink_part {
	PART_STATES	= BIT(0),
	PART_REST	= BIT(1),
};

#define STATE_SIZE							\
	(nla_total_size(0) + nla_total_size(sizeof(u32)) +		\
	 8 * nla_total_size_64bit(sizeof(u64)) + nla_total_size(0) +	\
	 nla_total_size(TCPSTATE_DWELL_BUCKETS * sizeof(u64)))
#define TRANSITION_SIZE							\
	(nla_total_size(0) + 2 * nla_total_size(sizeof(u32)) +		\
	 nla_total_size_64bit(sizeof(u64)))
#define ANSWER_SIZE							\
	(12 * STATE_SIZE + TCPSTATE_EDGE_COUNT * TRANSITION_SIZE +	\
	 nla_total_size(0) + 12 * nla_total_size_64bit(sizeof(u64)))

static const s8 state_ages[TCP_NEW_SYN_RECV + 1] = {
	[0]		  = TCPSTATE_AGE_NONE,
	[TCP_ESTABLISHED] = TCPSTATE_AGE_NONE,
	[TCP_SYN_SENT]	  = TCPSTATE_AGE_NONE,
	[TCP_SYN_RECV]	  = TCPSTATE_AGE_NONE,
	[TCP_FIN_WAIT1]	  = TCPSTATE_AGE_FIN_WAIT1,
	[TCP_FIN_WAIT2]	  = TCPSTATE_AGE_FIN_WAIT2,
	[TCP_TIME_WAIT]	  = TCPSTATE_AGE_TIME_WAIT,
	[TCP_CLOSE]	  = TCPSTATE_AGE_NONE,
	[TCP_CLOSE_WAIT]  = TCPSTATE_AGE_CLOSE_WAIT,
	[TCP_LAST_ACK]	  = TCPSTATE_AGE_LAST_ACK,
	[TCP_LISTEN]	  = TCPSTATE_AGE_NONE,
	[TCP_CLOSING]	  = TCPSTATE_AGE_CLOSING,
	[TCP_NEW_SYN_RECV] = TCPSTATE_AGE_NONE,
};

static int put_dwell(struct sk_buff *skb, const struct tcpstate_counts *counts,
		     int state)
{
	if (!counts->dwell_max[state] &&
	    !memchr_inv(counts->dwell[state], 0, sizeof(counts->dwell[state])))
		return 0;
	return nla_put(skb, TCPSTATE_A_STATE_ENTRY_DWELL,
		       sizeof(counts->dwell[state]), counts->dwell[state]) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_DWELL_MAX_US,
				div_u64(counts->dwell_max[state], NSEC_PER_USEC)) ?
	       -EMSGSIZE : 0;
}

static int put_oldest(struct sk_buff *skb, const struct tcpstate_counts *counts,
		      int state, u64 now)
{
	int age = state_ages[state];

	if (age == TCPSTATE_AGE_NONE || !counts->oldest[age])
		return 0;
	return tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_OLDEST_MS,
		       div_u64(now - counts->oldest[age], NSEC_PER_MSEC)) ||
	       (counts->oldest_seeded[age] &&
		nla_put_flag(skb, TCPSTATE_A_STATE_ENTRY_OLDEST_AT_LEAST)) ?
	       -EMSGSIZE : 0;
}

/* How long retransmissions go on at most, as tcp_model_timeout() has it for a
 * path of the shortest time-out; the last of them is waited for, too.
 */
static u64 retransmitting_ms(unsigned int times)
{
	unsigned int doublings = ilog2(TCP_RTO_MAX / TCP_RTO_MIN), i;
	u64 sum = 0;

	for (i = 0; i <= times; i++)
		sum += i <= doublings ? (u64)TCP_RTO_MIN << i : TCP_RTO_MAX;
	return jiffies_to_msecs(sum + TCP_RTO_MAX);
}

/* As tcp_orphan_retries() has it. */
static unsigned int orphan_retries(const struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_tcp_orphan_retries) ? : 8;
}

/* What is longer in @state than this is stuck; 0 where nothing is. */
static u64 stuck_after_ms(const struct net *net, int state, bool orphan)
{
	u64 timeout;

	switch (state) {
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
	case TCP_CLOSING:
		return retransmitting_ms(min_t(unsigned int, U8_MAX, orphan ?
				  orphan_retries(net) :
				  READ_ONCE(net->ipv4.sysctl_tcp_retries2)));
	case TCP_FIN_WAIT2:
		timeout = jiffies_to_msecs(READ_ONCE(net->ipv4.sysctl_tcp_fin_timeout));
		/* Its timer may be an eighth late. */
		return timeout + timeout / 8;
	default:
		return 0;
	}
}

static int put_state(struct sk_buff *skb, const struct net *net,
		     const struct tcpstate_counts *counts, int state, u64 now)
{
	u64 stuck_after = stuck_after_ms(net, state, false);
	u64 sockets[TCPSTATE_FAMILIES], mini = 0;
	struct nlattr *nest;
	int family;

	for (family = 0; family < TCPSTATE_FAMILIES; family++) {
		if (state == TCP_NEW_SYN_RECV) {
			sockets[family] = counts->requests[family];
			continue;
		}
		sockets[family] = counts->sockets[state][family];
		if (state == TCP_CLOSE)
			sockets[family] = 0;
		if (state == TCP_TIME_WAIT)
			mini += sockets[family];
		if (state == TCP_FIN_WAIT2) {
			u64 minis =
			     counts->sockets[TCPSTATE_FIN_WAIT2_MINI][family];

			sockets[family] += minis;
			mini += minis;
		}
	}

	nest = nla_nest_start(skb, TCPSTATE_A_COUNTERS_STATE);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, TCPSTATE_A_STATE_ENTRY_STATE, state) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_SOCKETS,
			     sockets[TCPSTATE_IPV4] + sockets[TCPSTATE_IPV6]) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_IPV4, sockets[TCPSTATE_IPV4]) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_IPV6, sockets[TCPSTATE_IPV6]) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_MINI, mini))
		goto cancel;
	if (state != TCP_NEW_SYN_RECV &&
	    (tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_ENTERED,
		     state == TCP_CLOSE ? 0 : counts->entered[state]) ||
	     put_oldest(skb, counts, state, now) ||
	     put_dwell(skb, counts, state) ||
	     (stuck_after &&
	      (tcpstate_put_u64(skb, TCPSTATE_A_STATE_ENTRY_STUCK_AFTER_MS,
				stuck_after) ||
	       tcpstate_put_u64(skb,
				TCPSTATE_A_STATE_ENTRY_STUCK_ORPHAN_AFTER_MS,
				stuck_after_ms(net, state, true))))))
		goto cancel;
	nla_nest_end(skb, nest);
	return 0;

cancel:
	nla_nest_cancel(skb, nest);
	return -EMSGSIZE;
}

/* A mini-socket's FIN_WAIT2 reads as the one state it is to TCP; becoming one
 * is no transition.
 */
static u32 shown(int state)
{
	return state == TCPSTATE_FIN_WAIT2_MINI ? TCP_FIN_WAIT2 : state;
}

static int put_transition(struct sk_buff *skb, u32 from, u32 to, u64 count)
{
	struct nlattr *nest;

	if (!count || from == to)
		return 0;
	nest = nla_nest_start(skb, TCPSTATE_A_COUNTERS_TRANSITION);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, TCPSTATE_A_TRANSITION_ENTRY_FROM, from) ||
	    nla_put_u32(skb, TCPSTATE_A_TRANSITION_ENTRY_TO, to) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_TRANSITION_ENTRY_COUNT, count)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int put_transitions(struct sk_buff *skb,
			   const struct tcpstate_counts *counts)
{
	u64 shown_count[TCP_NEW_SYN_RECV][TCP_NEW_SYN_RECV] = {};
	unsigned int edge;
	int from, to;

	for (edge = 1; edge < TCPSTATE_EDGE_COUNT; edge++) {
		tcpstate_count_edge(edge, &from, &to);
		shown_count[shown(from)][shown(to)] += counts->edge[edge];
	}
	for (from = 1; from < TCP_NEW_SYN_RECV; from++)
		for (to = 1; to < TCP_NEW_SYN_RECV; to++)
			if (put_transition(skb, from, to,
					   shown_count[from][to]))
				return -EMSGSIZE;
	return 0;
}

static int put_time_wait(struct sk_buff *skb,
			 const struct tcpstate_netns *netns,
			 const struct tcpstate_counts *counts)
{
	struct nlattr *nest = nla_nest_start(skb, TCPSTATE_A_COUNTERS_TIME_WAIT);
	const struct net *net = netns->net;

	if (!nest)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_TIME_WAIT_ENTRY_LIMIT,
			     (u32)READ_ONCE(net->ipv4.tcp_death_row.sysctl_max_tw_buckets)) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_TIME_WAIT_ENTRY_OVERFLOW,
			     tcpstate_netns_overflow(net) - netns->overflow_base) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_TIME_WAIT_ENTRY_EXPIRED,
			     counts->end[TCPSTATE_END_EXPIRED]) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_TIME_WAIT_ENTRY_RECYCLED,
			     counts->end[TCPSTATE_END_RECYCLED]) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_TIME_WAIT_ENTRY_KILLED,
			     counts->end[TCPSTATE_END_KILLED])) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static u64 connections(const struct tcpstate_counts *counts)
{
	u64 sum = 0;
	int state;

	for (state = 0; state < TCPSTATE_STATES; state++)
		if (state != TCP_CLOSE)
			sum += counts->sockets[state][TCPSTATE_IPV4] +
			       counts->sockets[state][TCPSTATE_IPV6];
	return sum;
}

static int put_rest(struct sk_buff *skb, const struct tcpstate_netns *netns,
		    const struct tcpstate_counts *counts)
{
	return put_transitions(skb, counts) ||
	       put_time_wait(skb, netns, counts) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_UNTRACKED,
				atomic64_read(&netns->untracked)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_INEXACT,
				atomic64_read(&netns->inexact)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_FOUND_LATE,
				atomic64_read(&netns->found_late)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_CONNECTIONS,
				connections(counts)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_CONNECTIONS_MAX,
				tcpstate_netns_slots_max()) ?
	       -EMSGSIZE : 0;
}

static int fill_counters(struct sk_buff *skb, u32 portid, u32 seq, int flags,
			 struct tcpstate_netns *netns, unsigned int parts,
			 u32 only)
{
	struct tcpstate_counts *counts;
	int err = -EMSGSIZE;
	u64 now;
	u32 state;
	void *hdr;

	counts = kmalloc(sizeof(*counts), GFP_KERNEL);
	if (!counts)
		return -ENOMEM;
	tcpstate_count_sum(netns, counts);
	now = ktime_get_ns();

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_STATE_GET);
	if (!hdr)
		goto out;
	if (tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_NETNS_INO, netns->net->ns.inum) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_COUNTERS_AGE_MS,
			     div_u64(now - netns->since, NSEC_PER_MSEC)))
		goto cancel;
	for (state = 1; state <= TCP_NEW_SYN_RECV; state++)
		if ((parts & PART_STATES) && (!only || only == state) &&
		    put_state(skb, netns->net, counts, state, now))
			goto cancel;
	if ((parts & PART_REST) && !only && put_rest(skb, netns, counts))
		goto cancel;
	genlmsg_end(skb, hdr);
	err = 0;
	goto out;

cancel:
	genlmsg_cancel(skb, hdr);
out:
	kfree(counts);
	return err;
}

/**
 * tcpstate_netlink_own() - the namespace of a request
 * @net: the namespace, held by the request
 * @extack: for a sentence if there is none
 *
 * Return: what is kept of it, living as long as the request; NULL for -ENOMEM.
 */
struct tcpstate_netns *tcpstate_netlink_own(struct net *net,
					    struct netlink_ext_ack *extack)
{
	struct tcpstate_netns *netns;

	rcu_read_lock_sched();
	netns = tcpstate_netns_of(net);
	rcu_read_unlock_sched();
	if (!netns)
		NL_SET_ERR_MSG(extack,
			       "this network namespace is not followed: there was no memory for it");
	return netns;
}

/**
 * tcpstate_nl_state_get_doit() - the counters of the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_state_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tcpstate_netns *netns = tcpstate_netlink_own(genl_info_net(info),
							    info->extack);
	struct sk_buff *answer;
	u32 only = 0;
	int err;

	if (!netns)
		return -ENOMEM;
	if (info->attrs[TCPSTATE_A_COUNTERS_ONLY])
		only = nla_get_u32(info->attrs[TCPSTATE_A_COUNTERS_ONLY]);
	answer = genlmsg_new(ANSWER_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	err = fill_counters(answer, info->snd_portid, info->snd_seq, 0, netns,
			    PART_STATES | PART_REST, only);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/**
 * tcpstate_netlink_refuse() - refuse what would be ignored
 * @nlh: the request, which its policy lets pass: that is one for both kinds
 * @attrs: bits of the attributes that are for the other kind of request
 * @extack: of the request
 *
 * Return: 0, or -EINVAL after a sentence in extack.
 */
int tcpstate_netlink_refuse(const struct nlmsghdr *nlh, u64 attrs,
			    struct netlink_ext_ack *extack)
{
	const struct nlattr *attr;
	int rest;

	nlmsg_for_each_attr(attr, nlh, GENL_HDRLEN, rest) {
		if (!(BIT_ULL(nla_type(attr)) & attrs))
			continue;
		if ((nlh->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
			NL_SET_ERR_MSG_ATTR(extack, attr,
					    "a dump does not take this attribute");
		else
			NL_SET_ERR_MSG_ATTR(extack, attr,
					    "only a dump takes this attribute");
		return -EINVAL;
	}
	return 0;
}

/**
 * tcpstate_netlink_may_see_all() - may namespaces be seen that are not one's
 *	own?
 * @cb: the dump that asks for them
 *
 * Return: 0, or -EPERM after a sentence in extack.
 */
int tcpstate_netlink_may_see_all(struct netlink_callback *cb)
{
	if (!net_eq(sock_net(cb->skb->sk), &init_net)) {
		NL_SET_ERR_MSG(cb->extack,
			       "all namespaces can be asked for in the initial one only");
		return -EPERM;
	}
	if (!netlink_ns_capable(cb->skb, &init_user_ns, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(cb->extack,
			       "all namespaces can be asked for with CAP_NET_ADMIN only");
		return -EPERM;
	}
	return 0;
}

/**
 * tcpstate_netlink_next() - the next namespace of a dump
 * @id: the lowest id that will do
 *
 * Return: it, with a reference on its net to be dropped with put_net(), or
 * NULL after the last.
 */
struct tcpstate_netns *tcpstate_netlink_next(u64 id)
{
	struct tcpstate_netns *netns;

	mutex_lock(&tcpstate_netns_mutex);
	netns = tcpstate_netns_next(id);
	mutex_unlock(&tcpstate_netns_mutex);
	return netns;
}

/**
 * tcpstate_nl_state_get_dumpit() - the counters of every namespace
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_state_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct netlink_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_netns *netns;
	int err;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	err = tcpstate_netlink_refuse(cb->nlh, BIT_ULL(TCPSTATE_A_COUNTERS_ONLY),
				      cb->extack);
	if (!err)
		err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	while ((netns = tcpstate_netlink_next(cursor->id))) {
		if (cursor->id != netns->id)
			cursor->part = 0;
		cursor->id = netns->id;
		if (!cursor->part)
			cursor->part = PART_STATES;
		err = fill_counters(skb, NETLINK_CB(cb->skb).portid,
				    cb->nlh->nlmsg_seq, NLM_F_MULTI, netns,
				    cursor->part, 0);
		put_net(netns->net);
		if (err)
			break;
		if (cursor->part == PART_STATES) {
			cursor->part = PART_REST;
		} else {
			cursor->part = 0;
			cursor->id++;
		}
	}
	return skb->len ? : err;
}

static int fill_audit(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		      const struct tcpstate_netns *netns,
		      const struct tcpstate_audit *audit)
{
	struct nlattr *nest;
	int state;
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_AUDIT);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_NETNS_INO, netns->net->ns.inum) ||
	    nla_put_u8(skb, TCPSTATE_A_AUDIT_EXACT, audit->exact) ||
	    nla_put_u32(skb, TCPSTATE_A_AUDIT_WALKS, audit->walks) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_MISSING, audit->missing) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_MISSING_NOW, audit->missing_now) ||
	    tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_STALE, audit->stale))
		goto cancel;
	for (state = 1; state <= TCP_NEW_SYN_RECV; state++) {
		nest = nla_nest_start(skb, TCPSTATE_A_AUDIT_STATE);
		if (!nest)
			goto cancel;
		if (nla_put_u32(skb, TCPSTATE_A_AUDIT_ENTRY_STATE, state) ||
		    tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_ENTRY_COUNTED,
				     audit->counted[state]) ||
		    tcpstate_put_u64(skb, TCPSTATE_A_AUDIT_ENTRY_WALKED,
				     audit->walked[state]))
			goto cancel;
		nla_nest_end(skb, nest);
	}
	genlmsg_end(skb, hdr);
	return 0;

cancel:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

/**
 * tcpstate_nl_audit_doit() - audit the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_audit_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct tcpstate_audit audit;
	struct tcpstate_netns *netns;
	struct sk_buff *answer;
	u32 rechecks;
	bool machine;
	int err;

	if (!netlink_ns_capable(skb, net->user_ns, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(info->extack, "an audit needs CAP_NET_ADMIN");
		return -EPERM;
	}
	if (!info->attrs[TCPSTATE_A_AUDIT_RECHECKS]) {
		NL_SET_ERR_MSG(info->extack, "the attribute rechecks is missing");
		return -EINVAL;
	}
	netns = tcpstate_netlink_own(net, info->extack);
	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	/* Requests hold up the registration of families, and with it every
	 * other request: only who administers the machine may queue them, or
	 * have them last.
	 */
	machine = netlink_capable(skb, CAP_NET_ADMIN);
	rechecks = nla_get_u32(info->attrs[TCPSTATE_A_AUDIT_RECHECKS]);
	if (!machine)
		rechecks = min_t(u32, rechecks, RECHECKS_OTHERS);
	err = tcpstate_walk_audit(netns, rechecks, machine, &audit);
	if (err == -EBUSY)
		NL_SET_ERR_MSG(info->extack,
			       "another audit is under way: try again");
	if (!err)
		err = fill_audit(answer, info->snd_portid, info->snd_seq, 0,
				 netns, &audit);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/**
 * tcpstate_nl_audit_dumpit() - audit every namespace
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_audit_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct netlink_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_audit audit;
	struct tcpstate_netns *netns;
	struct nlattr *rechecks;
	int err;

	err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	rechecks = tcpstate_dump_attr(cb, TCPSTATE_A_AUDIT_RECHECKS);
	if (!rechecks) {
		NL_SET_ERR_MSG(cb->extack, "the attribute rechecks is missing");
		return -EINVAL;
	}
	/* One a call: a message is begun when there is something to say. */
	netns = tcpstate_netlink_next(cursor->id);
	if (!netns)
		return 0;
	err = tcpstate_walk_audit(netns, nla_get_u32(rechecks), true, &audit);
	if (!err)
		err = fill_audit(skb, NETLINK_CB(cb->skb).portid,
				 cb->nlh->nlmsg_seq, NLM_F_MULTI, netns,
				 &audit);
	cursor->id = netns->id + 1;
	put_net(netns->net);
	return skb->len ? : err;
}

/* The generated table cannot say what is to be called when a dump has ended. */
static struct genl_ops netlink_ops[ARRAY_SIZE(tcpstate_nl_ops)] __ro_after_init;

/* The family is registered; under tcpstate_dest_mutex. */
bool tcpstate_netlink_open;

struct genl_family tcpstate_netlink_family __ro_after_init = {
	.name		= TCPSTATE_FAMILY_NAME,
	.version	= TCPSTATE_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= netlink_ops,
	.n_ops		= ARRAY_SIZE(netlink_ops),
	.mcgrps		= tcpstate_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(tcpstate_nl_mcgrps),
};

/**
 * tcpstate_netlink_init() - open to users
 *
 * Return: 0, or a negative error of genl_register_family().
 */
int __init tcpstate_netlink_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(netlink_ops); i++) {
		netlink_ops[i] = tcpstate_nl_ops[i];
		if (netlink_ops[i].cmd == TCPSTATE_CMD_DEST_GET)
			netlink_ops[i].done = tcpstate_nl_dest_done;
		if (netlink_ops[i].cmd == TCPSTATE_CMD_PORT_GET)
			netlink_ops[i].done = tcpstate_nl_port_done;
	}
	err = genl_register_family(&tcpstate_netlink_family);
	if (err)
		return err;
	mutex_lock(&tcpstate_dest_mutex);
	tcpstate_netlink_open = true;
	mutex_unlock(&tcpstate_dest_mutex);
	return 0;
}

/**
 * tcpstate_netlink_exit() - close; no request is under way afterwards
 */
void tcpstate_netlink_exit(void)
{
	mutex_lock(&tcpstate_dest_mutex);
	tcpstate_netlink_open = false;
	mutex_unlock(&tcpstate_dest_mutex);
	genl_unregister_family(&tcpstate_netlink_family);
}
