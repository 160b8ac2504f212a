// SPDX-License-Identifier: GPL-2.0
/*
 * Thresholds, alerts in force, and messages to the group alerts.
 */
#include <linux/ktime.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "leak.h"
#include "netlink.h"
#include "reader.h"

#define EVENT_LAST	TCPSTATE_EVENT_CLOSE_WAIT_LEAK
/* More than what is said of an alert, or of thresholds, takes. */
#define ALERT_SIZE	512

static const u16 config_attrs[TCPSTATE_THRESHOLDS] = {
	[TCPSTATE_PORT_ROOM_WARNING]	= TCPSTATE_A_CONFIG_PORT_ROOM_WARNING,
	[TCPSTATE_PORT_ROOM_CRITICAL]	= TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL,
	[TCPSTATE_TIME_WAIT_WARNING]	= TCPSTATE_A_CONFIG_TIME_WAIT_WARNING,
	[TCPSTATE_TIME_WAIT_CRITICAL]	= TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL,
	[TCPSTATE_CLOSE_WAIT_WARNING]	= TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING,
	[TCPSTATE_CLOSE_WAIT_CRITICAL]	= TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL,
};

static int fill_config(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		       const struct tcpstate_netns *netns)
{
	void *hdr;
	int i;

	hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family, flags,
			  TCPSTATE_CMD_CONFIG);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_CONFIG_NETNS_INO, netns->ino))
		goto cancel;
	for (i = 0; i < TCPSTATE_THRESHOLDS; i++)
		if (nla_put_u32(skb, config_attrs[i],
				READ_ONCE(netns->thresholds[i])))
			goto cancel;
	if (tcpstate_put_u64(skb, TCPSTATE_A_CONFIG_ALERT_SEQ,
			     READ_ONCE(netns->alert_seq)))
		goto cancel;
	genlmsg_end(skb, hdr);
	return 0;

cancel:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

static int config_set(struct sk_buff *skb, struct genl_info *info,
		      struct tcpstate_netns *netns)
{
	u32 thresholds[TCPSTATE_THRESHOLDS];
	bool changed = false;
	const char *bad;
	int i;

	memcpy(thresholds, netns->thresholds, sizeof(thresholds));
	for (i = 0; i < TCPSTATE_THRESHOLDS; i++) {
		if (!info->attrs[config_attrs[i]])
			continue;
		thresholds[i] = nla_get_u32(info->attrs[config_attrs[i]]);
		changed = true;
	}
	if (!changed)
		return 0;
	if (!netlink_ns_capable(skb, genl_info_net(info)->user_ns,
				CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(info->extack,
			       "to change a threshold needs CAP_NET_ADMIN");
		return -EPERM;
	}
	bad = tcpstate_alert_thresholds_bad(thresholds);
	if (bad) {
		info->extack->_msg = bad;
		return -EINVAL;
	}
	tcpstate_alert_thresholds_set(netns, thresholds);
	return 0;
}

/**
 * tcpstate_nl_config_doit() - set and tell thresholds of the caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_config_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tcpstate_netns *netns =
		tcpstate_netlink_own(genl_info_net(info), info->extack);
	struct sk_buff *answer;
	int err;

	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(ALERT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	mutex_lock(&tcpstate_dest_mutex);
	err = config_set(skb, info, netns);
	mutex_unlock(&tcpstate_dest_mutex);
	if (!err)
		err = fill_config(answer, info->snd_portid, info->snd_seq, 0,
				  netns);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/**
 * struct alert_cursor - where a dump is that goes by numbers
 * @id: of the namespace that was told last; the lowest of what is watched and
 *	still to be told
 * @event: the next to be told of it
 */
struct alert_cursor {
	u64	id;
	u32	event;
};

/**
 * tcpstate_nl_config_dumpit() - the thresholds of every namespace
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_config_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct alert_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_netns *netns;
	u64 attrs = 0;
	int err, i;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	for (i = 0; i < TCPSTATE_THRESHOLDS; i++)
		attrs |= BIT_ULL(config_attrs[i]);
	err = tcpstate_netlink_refuse(cb->nlh, attrs, cb->extack);
	if (!err)
		err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	while ((netns = tcpstate_netlink_next(cursor->id + 1))) {
		err = fill_config(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, NLM_F_MULTI, netns);
		if (!err)
			cursor->id = netns->id;
		put_net(netns->net);
		if (err)
			break;
	}
	return skb->len ? : err;
}

static int put_numbers(struct sk_buff *skb, const struct tcpstate_alert *alert)
{
	return (alert->capacity &&
		(tcpstate_put_u64(skb, TCPSTATE_A_ALERT_USED, alert->used) ||
		 tcpstate_put_u64(skb, TCPSTATE_A_ALERT_CAPACITY,
				  alert->capacity))) ||
	       (alert->capacity && alert->dest &&
		tcpstate_put_u64(skb, TCPSTATE_A_ALERT_REUSABLE,
				 alert->reusable)) ||
	       (alert->count &&
		tcpstate_put_u64(skb, TCPSTATE_A_ALERT_COUNT, alert->count)) ||
	       (alert->total &&
		tcpstate_put_u64(skb, TCPSTATE_A_ALERT_TOTAL, alert->total)) ||
	       (alert->threshold &&
		nla_put_u32(skb, TCPSTATE_A_ALERT_THRESHOLD,
			    alert->threshold)) ||
	       (alert->eta_ms != U64_MAX &&
		tcpstate_put_u64(skb, TCPSTATE_A_ALERT_ETA_MS,
				 alert->eta_ms)) ?
	       -EMSGSIZE : 0;
}

static int put_leak(struct sk_buff *skb, const struct tcpstate_leak *leak)
{
	u64 age = ktime_get_ns() - leak->oldest;

	/* When it is over there is no oldest. */
	if (!leak->level.severity)
		return 0;
	return tcpstate_put_u64(skb, TCPSTATE_A_ALERT_OLDEST_MS,
				div_u64(age, NSEC_PER_MSEC)) ||
	       nla_put_u16(skb, TCPSTATE_A_ALERT_SPORT, leak->sport) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_ALERT_UNACCEPTED,
				tcpstate_leak_in_force(leak, leak->unaccepted)) ||
	       nla_put_u32(skb, TCPSTATE_A_ALERT_TREND, leak->trend) ?
	       -EMSGSIZE : 0;
}

/* @seq is 0 but in a message to the group, which has no @reader. */
static int fill_alert(struct sk_buff *skb, u32 portid, u32 nlseq, int flags,
		      u8 cmd, const struct tcpstate_alert *alert, u64 seq,
		      const struct tcpstate_reader *reader)
{
	static const struct tcpstate_dest_attrs attrs = {
		.family		= TCPSTATE_A_ALERT_FAMILY,
		.ifindex	= TCPSTATE_A_ALERT_IFINDEX,
		.saddr		= TCPSTATE_A_ALERT_SADDR,
		.daddr		= TCPSTATE_A_ALERT_DADDR,
		.dport		= TCPSTATE_A_ALERT_DPORT,
	};
	u64 age = ktime_get_ns() - alert->since;
	void *hdr;

	hdr = genlmsg_put(skb, portid, nlseq, &tcpstate_netlink_family, flags,
			  cmd);
	if (!hdr)
		return -EMSGSIZE;
	if (tcpstate_put_u64(skb, TCPSTATE_A_ALERT_NETNS_INO,
			     alert->netns->ino) ||
	    (seq && tcpstate_put_u64(skb, TCPSTATE_A_ALERT_SEQ, seq)) ||
	    nla_put_u32(skb, TCPSTATE_A_ALERT_EVENT, alert->event) ||
	    nla_put_u32(skb, TCPSTATE_A_ALERT_SEVERITY, alert->severity) ||
	    (!seq && tcpstate_put_u64(skb, TCPSTATE_A_ALERT_AGE_MS,
				      div_u64(age, NSEC_PER_MSEC))) ||
	    (alert->dest && tcpstate_put_dest(skb, alert->dest, &attrs)) ||
	    put_numbers(skb, alert) ||
	    (alert->leak && put_leak(skb, alert->leak)) ||
	    (alert->process &&
	     tcpstate_process_put_attr(skb, TCPSTATE_A_ALERT_PROCESS,
				       alert->process, reader))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * tcpstate_netlink_alert() - send an edge, or refusals, to who listens
 * @net: the namespace, held by the caller
 * @alert: what there is to say
 *
 * Context: process context, tcpstate_dest_mutex held.
 * Return: false without memory: try again.
 */
bool tcpstate_netlink_alert(struct net *net, const struct tcpstate_alert *alert)
{
	struct tcpstate_netns *netns = alert->netns;
	struct sk_buff *skb;

	if (!tcpstate_netlink_open ||
	    !genl_has_listeners(&tcpstate_netlink_family, net,
				TCPSTATE_NLGRP_ALERTS))
		return true;
	/* Who hears all namespaces in the initial one knows them by a number,
	 * and hears nothing of one that has none.
	 */
	if (!net_eq(net, &init_net) &&
	    peernet2id_alloc(&init_net, net, GFP_KERNEL) < 0)
		return false;
	skb = genlmsg_new(ALERT_SIZE, GFP_KERNEL);
	if (!skb)
		return false;
	if (fill_alert(skb, 0, 0, 0, TCPSTATE_CMD_ALERT_NTF, alert,
		       netns->alert_seq + 1, NULL)) {
		nlmsg_free(skb);
		return false;
	}
	WRITE_ONCE(netns->alert_seq, netns->alert_seq + 1);
	/* Who cannot take it is told so by its socket. */
	genlmsg_multicast_netns(&tcpstate_netlink_family, net, skb, 0,
				TCPSTATE_NLGRP_ALERTS, GFP_KERNEL);
	return true;
}

/**
 * tcpstate_nl_alert_get_doit() - the most severe alert of one event, in the
 *	caller's namespace
 * @skb: the request
 * @info: its attributes
 *
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_alert_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct net *net = genl_info_net(info);
	struct tcpstate_alert alert, worst = {};
	struct tcpstate_reader reader;
	struct tcpstate_watch *watch = NULL;
	struct tcpstate_netns *netns;
	enum tcpstate_event event;
	struct sk_buff *answer;
	int err;

	err = tcpstate_netlink_refuse(info->nlhdr,
				      BIT_ULL(TCPSTATE_A_ALERT_ALL_NETNS),
				      info->extack);
	if (err)
		return err;
	if (!info->attrs[TCPSTATE_A_ALERT_EVENT]) {
		NL_SET_ERR_MSG(info->extack, "the attribute event is missing");
		return -EINVAL;
	}
	event = nla_get_u32(info->attrs[TCPSTATE_A_ALERT_EVENT]);
	netns = tcpstate_netlink_own(net, info->extack);
	if (!netns)
		return -ENOMEM;
	answer = genlmsg_new(ALERT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	tcpstate_reader_init(&reader, skb, net);
	mutex_lock(&tcpstate_dest_mutex);
	while ((watch = tcpstate_alert_next(watch))) {
		if (tcpstate_alert_netns(watch) == netns &&
		    tcpstate_alert_read(watch, event, &alert) &&
		    alert.severity > worst.severity)
			worst = alert;
	}
	if (worst.severity) {
		err = fill_alert(answer, info->snd_portid, info->snd_seq, 0,
				 TCPSTATE_CMD_ALERT_GET, &worst, 0, &reader);
	} else {
		NL_SET_ERR_MSG(info->extack, "no such alert is in force");
		err = -ENOENT;
	}
	mutex_unlock(&tcpstate_dest_mutex);
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	return genlmsg_reply(answer, info);
}

/**
 * tcpstate_nl_alert_get_dumpit() - alerts in force
 * @skb: to be filled
 * @cb: where to go on
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_alert_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct nlattr *all = tcpstate_dump_attr(cb, TCPSTATE_A_ALERT_ALL_NETNS);
	struct nlattr *only = tcpstate_dump_attr(cb, TCPSTATE_A_ALERT_EVENT);
	struct alert_cursor *cursor = (void *)cb->ctx;
	struct net *net = sock_net(cb->skb->sk);
	struct tcpstate_netns *netns = NULL;
	struct tcpstate_watch *watch = NULL;
	struct tcpstate_alert alert;
	struct tcpstate_reader reader;
	int err = 0;

	if (all)
		err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	if (!all) {
		netns = tcpstate_netlink_own(net, cb->extack);
		if (!netns)
			return -ENOMEM;
	}
	/* Who may see all is administrator of all. */
	tcpstate_reader_init(&reader, cb->skb, net);

	mutex_lock(&tcpstate_dest_mutex);
	while (!err && (watch = tcpstate_alert_next(watch))) {
		if (watch->id < cursor->id)
			continue;
		/* Unless it is the one that was being told. */
		if (watch->id > cursor->id)
			cursor->event = 0;
		cursor->id = watch->id;
		for (; !err && cursor->event <= EVENT_LAST;
		     cursor->event += !err) {
			if ((netns && tcpstate_alert_netns(watch) != netns) ||
			    (only && nla_get_u32(only) != cursor->event) ||
			    !tcpstate_alert_read(watch, cursor->event, &alert))
				continue;
			err = fill_alert(skb, NETLINK_CB(cb->skb).portid,
					 cb->nlh->nlmsg_seq, NLM_F_MULTI,
					 TCPSTATE_CMD_ALERT_GET, &alert, 0,
					 &reader);
		}
		if (!err) {
			cursor->id = watch->id + 1;
			cursor->event = 0;
		}
	}
	mutex_unlock(&tcpstate_dest_mutex);
	return skb->len ? : err;
}
