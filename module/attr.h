/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_ATTR_H
#define _TCPSTATE_ATTR_H

#include <linux/string.h>
#include <net/netlink.h>

/**
 * DOC: attributes by the hundred thousand
 *
 * nla_put() takes some 90 instructions, and a line of a listing has seventeen
 * attributes: more than all else that is done for it. These write where there
 * is known to be room, and return where the next one goes.
 */

static __always_inline void *tcpstate_attr_put(void *at, int type,
					       const void *data, size_t size)
{
	struct nlattr *nla = at;

	nla->nla_type = type;
	nla->nla_len = nla_attr_size(size);
	memcpy(nla + 1, data, size);
	memset((char *)(nla + 1) + size, 0, nla_padlen(size));
	return at + nla_total_size(size);
}

static __always_inline void *tcpstate_attr_u16(void *at, int type, u16 value)
{
	return tcpstate_attr_put(at, type, &value, sizeof(value));
}

static __always_inline void *tcpstate_attr_u32(void *at, int type, u32 value)
{
	return tcpstate_attr_put(at, type, &value, sizeof(value));
}

/* @pad: the attribute that may precede it, so that it is aligned */
static __always_inline void *tcpstate_attr_u64(void *at, int type, u64 value,
					       int pad)
{
	if (!IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) &&
	    IS_ALIGNED((unsigned long)at, 8))
		at = tcpstate_attr_put(at, pad, &value, 0);
	return tcpstate_attr_put(at, type, &value, sizeof(value));
}

static __always_inline void *tcpstate_attr_flag(void *at, int type)
{
	return tcpstate_attr_put(at, type, &type, 0);
}

static __always_inline void *tcpstate_attr_nest_start(void *at, int type)
{
	((struct nlattr *)at)->nla_type = type | NLA_F_NESTED;
	return at + NLA_HDRLEN;
}

static __always_inline void tcpstate_attr_nest_end(void *at, void *nest)
{
	((struct nlattr *)nest)->nla_len = at - nest;
}

#endif /* _TCPSTATE_ATTR_H */
