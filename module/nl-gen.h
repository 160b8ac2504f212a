/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/tcpstate.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_TCPSTATE_GEN_H
#define _LINUX_TCPSTATE_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include "uapi/linux/tcpstate.h"

extern const struct nla_policy tcpstate_state_get_nl_policy[TCPSTATE_A_COUNTERS_ONLY + 1];

extern const struct nla_policy tcpstate_audit_nl_policy[TCPSTATE_A_AUDIT_RECHECKS + 1];

extern const struct nla_policy tcpstate_dest_get_nl_policy[TCPSTATE_A_DEST_DPORT + 1];

extern const struct nla_policy tcpstate_port_get_nl_policy[TCPSTATE_A_PORT_PORT + 1];

extern const struct nla_policy tcpstate_port_summary_get_nl_policy[TCPSTATE_A_PORT_SUMMARY_WALK + 1];

extern const struct nla_policy tcpstate_config_nl_policy[TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL + 1];

extern const struct nla_policy tcpstate_alert_get_nl_policy[TCPSTATE_A_ALERT_EVENT + 1];

extern const struct nla_policy tcpstate_conn_get_nl_policy[TCPSTATE_A_CONN_COOKIE + 1];

extern const struct nla_policy tcpstate_owner_get_nl_policy[TCPSTATE_A_OWNER_CGROUP + 1];

/* Ops table for tcpstate */
extern const struct genl_ops tcpstate_nl_ops[9];
extern const struct genl_multicast_group tcpstate_nl_mcgrps[1];

int tcpstate_nl_state_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_state_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int tcpstate_nl_audit_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_audit_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int tcpstate_nl_dest_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_dest_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int tcpstate_nl_port_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_port_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int tcpstate_nl_port_summary_get_doit(struct sk_buff *skb,
				      struct genl_info *info);
int tcpstate_nl_port_summary_get_dumpit(struct sk_buff *skb,
					struct netlink_callback *cb);
int tcpstate_nl_config_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_config_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int tcpstate_nl_alert_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_alert_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int tcpstate_nl_conn_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_conn_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int tcpstate_nl_owner_get_doit(struct sk_buff *skb, struct genl_info *info);
int tcpstate_nl_owner_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);

enum {
	TCPSTATE_NLGRP_ALERTS,
};

#endif /* _LINUX_TCPSTATE_GEN_H */
