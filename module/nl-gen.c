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

/* Ops table for tcpstate */
const struct genl_ops tcpstate_nl_ops[2] = {
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
};
