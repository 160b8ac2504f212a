// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/tcpstate.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "nl-gen.h"

#include "uapi/linux/tcpstate.h"

/* TCPSTATE_CMD_STATE_GET - do */
const struct nla_policy tcpstate_state_get_nl_policy[TCPSTATE_A_COUNTERS_ONLY + 1] = {
	[TCPSTATE_A_COUNTERS_ONLY] = NLA_POLICY_RANGE(NLA_U32, 1, 12),
};

/* TCPSTATE_CMD_AUDIT - do */
const struct nla_policy tcpstate_audit_nl_policy[TCPSTATE_A_AUDIT_RECHECKS + 1] = {
	[TCPSTATE_A_AUDIT_RECHECKS] = NLA_POLICY_MAX(NLA_U32, TCPSTATE_RECHECKS_MAX),
};

/* TCPSTATE_CMD_DEST_GET - do */
const struct nla_policy tcpstate_dest_get_nl_policy[TCPSTATE_A_DEST_DPORT + 1] = {
	[TCPSTATE_A_DEST_ALL_NETNS] = { .type = NLA_FLAG, },
	[TCPSTATE_A_DEST_TOP] = NLA_POLICY_RANGE(NLA_U32, 1, TCPSTATE_TOP_MAX),
	[TCPSTATE_A_DEST_FAMILY] = { .type = NLA_U32, },
	[TCPSTATE_A_DEST_IFINDEX] = { .type = NLA_U32, },
	[TCPSTATE_A_DEST_SADDR] = { .type = NLA_BINARY, },
	[TCPSTATE_A_DEST_DADDR] = { .type = NLA_BINARY, },
	[TCPSTATE_A_DEST_DPORT] = { .type = NLA_U16, },
};

/* TCPSTATE_CMD_PORT_GET - do */
const struct nla_policy tcpstate_port_get_nl_policy[TCPSTATE_A_PORT_PORT + 1] = {
	[TCPSTATE_A_PORT_ALL_NETNS] = { .type = NLA_FLAG, },
	[TCPSTATE_A_PORT_PORT] = { .type = NLA_U16, },
};

/* TCPSTATE_CMD_PORT_SUMMARY_GET - do */
const struct nla_policy tcpstate_port_summary_get_nl_policy[TCPSTATE_A_PORT_SUMMARY_WALK + 1] = {
	[TCPSTATE_A_PORT_SUMMARY_WALK] = { .type = NLA_FLAG, },
};

/* TCPSTATE_CMD_CONFIG - do */
const struct nla_policy tcpstate_config_nl_policy[TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL + 1] = {
	[TCPSTATE_A_CONFIG_PORT_ROOM_WARNING] = NLA_POLICY_RANGE(NLA_U32, 1, 100),
	[TCPSTATE_A_CONFIG_PORT_ROOM_CRITICAL] = NLA_POLICY_RANGE(NLA_U32, 1, 100),
	[TCPSTATE_A_CONFIG_TIME_WAIT_WARNING] = NLA_POLICY_RANGE(NLA_U32, 1, 100),
	[TCPSTATE_A_CONFIG_TIME_WAIT_CRITICAL] = NLA_POLICY_RANGE(NLA_U32, 1, 100),
	[TCPSTATE_A_CONFIG_CLOSE_WAIT_WARNING] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* TCPSTATE_CMD_ALERT_GET - do */
const struct nla_policy tcpstate_alert_get_nl_policy[TCPSTATE_A_ALERT_EVENT + 1] = {
	[TCPSTATE_A_ALERT_ALL_NETNS] = { .type = NLA_FLAG, },
	[TCPSTATE_A_ALERT_EVENT] = NLA_POLICY_RANGE(NLA_U32, 1, 5),
};

/* TCPSTATE_CMD_CONN_GET - do */
const struct nla_policy tcpstate_conn_get_nl_policy[TCPSTATE_A_CONN_COOKIE + 1] = {
	[TCPSTATE_A_CONN_ALL_NETNS] = { .type = NLA_FLAG, },
	[TCPSTATE_A_CONN_TOP] = NLA_POLICY_RANGE(NLA_U32, 1, TCPSTATE_TOP_MAX),
	[TCPSTATE_A_CONN_STATES] = NLA_POLICY_RANGE(NLA_U32, 2, 8191),
	[TCPSTATE_A_CONN_OLDER_MS] = { .type = NLA_U64, },
	[TCPSTATE_A_CONN_FAMILY] = { .type = NLA_U32, },
	[TCPSTATE_A_CONN_DADDR] = { .type = NLA_BINARY, },
	[TCPSTATE_A_CONN_DADDR_PREFIX] = NLA_POLICY_MAX(NLA_U8, 128),
	[TCPSTATE_A_CONN_SPORT] = NLA_POLICY_MIN(NLA_U16, 1),
	[TCPSTATE_A_CONN_DPORT] = NLA_POLICY_MIN(NLA_U16, 1),
	[TCPSTATE_A_CONN_PID] = NLA_POLICY_MIN(NLA_U32, 1),
	[TCPSTATE_A_CONN_UID] = { .type = NLA_U32, },
	[TCPSTATE_A_CONN_COMM] = { .type = NLA_NUL_STRING, .len = 15, },
	[TCPSTATE_A_CONN_CGROUP] = NLA_POLICY_MIN(NLA_U64, 1),
	[TCPSTATE_A_CONN_COOKIE] = NLA_POLICY_MIN(NLA_U64, 1),
};

/* TCPSTATE_CMD_OWNER_GET - do */
const struct nla_policy tcpstate_owner_get_nl_policy[TCPSTATE_A_OWNER_CGROUP + 1] = {
	[TCPSTATE_A_OWNER_ALL_NETNS] = { .type = NLA_FLAG, },
	[TCPSTATE_A_OWNER_BY] = NLA_POLICY_RANGE(NLA_U32, 1, 4),
	[TCPSTATE_A_OWNER_COMM] = { .type = NLA_NUL_STRING, .len = 15, },
	[TCPSTATE_A_OWNER_PID] = { .type = NLA_U32, },
	[TCPSTATE_A_OWNER_UID] = { .type = NLA_U32, },
	[TCPSTATE_A_OWNER_CGROUP] = { .type = NLA_U64, },
};

/* Ops table for tcpstate */
const struct genl_ops tcpstate_nl_ops[9] = {
	{
		.cmd		= TCPSTATE_CMD_STATE_GET,
		.doit		= tcpstate_nl_state_get_doit,
		.dumpit		= tcpstate_nl_state_get_dumpit,
		.policy		= tcpstate_state_get_nl_policy,
		.maxattr	= TCPSTATE_A_COUNTERS_ONLY,
	},
	{
		.cmd		= TCPSTATE_CMD_AUDIT,
		.doit		= tcpstate_nl_audit_doit,
		.dumpit		= tcpstate_nl_audit_dumpit,
		.policy		= tcpstate_audit_nl_policy,
		.maxattr	= TCPSTATE_A_AUDIT_RECHECKS,
	},
	{
		.cmd		= TCPSTATE_CMD_DEST_GET,
		.doit		= tcpstate_nl_dest_get_doit,
		.dumpit		= tcpstate_nl_dest_get_dumpit,
		.policy		= tcpstate_dest_get_nl_policy,
		.maxattr	= TCPSTATE_A_DEST_DPORT,
	},
	{
		.cmd		= TCPSTATE_CMD_PORT_GET,
		.doit		= tcpstate_nl_port_get_doit,
		.dumpit		= tcpstate_nl_port_get_dumpit,
		.policy		= tcpstate_port_get_nl_policy,
		.maxattr	= TCPSTATE_A_PORT_PORT,
	},
	{
		.cmd		= TCPSTATE_CMD_PORT_SUMMARY_GET,
		.doit		= tcpstate_nl_port_summary_get_doit,
		.dumpit		= tcpstate_nl_port_summary_get_dumpit,
		.policy		= tcpstate_port_summary_get_nl_policy,
		.maxattr	= TCPSTATE_A_PORT_SUMMARY_WALK,
	},
	{
		.cmd		= TCPSTATE_CMD_CONFIG,
		.doit		= tcpstate_nl_config_doit,
		.dumpit		= tcpstate_nl_config_dumpit,
		.policy		= tcpstate_config_nl_policy,
		.maxattr	= TCPSTATE_A_CONFIG_CLOSE_WAIT_CRITICAL,
	},
	{
		.cmd		= TCPSTATE_CMD_ALERT_GET,
		.doit		= tcpstate_nl_alert_get_doit,
		.dumpit		= tcpstate_nl_alert_get_dumpit,
		.policy		= tcpstate_alert_get_nl_policy,
		.maxattr	= TCPSTATE_A_ALERT_EVENT,
	},
	{
		.cmd		= TCPSTATE_CMD_CONN_GET,
		.doit		= tcpstate_nl_conn_get_doit,
		.dumpit		= tcpstate_nl_conn_get_dumpit,
		.policy		= tcpstate_conn_get_nl_policy,
		.maxattr	= TCPSTATE_A_CONN_COOKIE,
	},
	{
		.cmd		= TCPSTATE_CMD_OWNER_GET,
		.doit		= tcpstate_nl_owner_get_doit,
		.dumpit		= tcpstate_nl_owner_get_dumpit,
		.policy		= tcpstate_owner_get_nl_policy,
		.maxattr	= TCPSTATE_A_OWNER_CGROUP,
	},
};

const struct genl_multicast_group tcpstate_nl_mcgrps[1] = {
	[TCPSTATE_NLGRP_ALERTS] = { "alerts", },
};
