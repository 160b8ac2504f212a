// SPDX-License-Identifier: GPL-2.0
/*
 * What owners hold and have made, by name, process, user or cgroup.
 *
 * What was made is counted as it is made; what is held now is found by one look
 * at every record. Connections cost nothing for being asked about here, and
 * the answer to every question fits the others: no connection is in two rows or
 * in none.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sort.h>
#include <net/sock.h>

#include "netlink.h"
#include "owner.h"
#include "reader.h"

/* What has been in CLOSE_WAIT for less is told by itself. */
#define RECENT_NS	(60ULL * NSEC_PER_SEC)
/* Owners that may come while rows are made. */
#define ROWS_SPARE	64

enum row_kind {
	ROW_OWNERS,	/* those of one key */
	ROW_PAST,	/* by pid: a history */
	ROW_HIDDEN,	/* those that the reader may not be told */
	ROW_UNKNOWN,	/* connections without a known owner */
};

/* Rows in the order in which they are told. */
struct row_key {
	u64	kind;
	u64	words[2];
};

/**
 * struct row - what the owners of one key hold and have made
 * @key: the key
 * @owner: one of them
 * @owners: how many they are
 * @gone: all of them have exited
 * @held: what they hold
 * @made: entries into TIME_WAIT
 * @rate: and how fast of late
 * @left: into CLOSE_WAIT, as far as they accepted it
 */
struct row {
	struct row_key			key;
	const struct tcpstate_owner	*owner;
	u32				owners;
	bool				gone;
	struct tcpstate_holding		held;
	u64				made;
	u64				rate;
	u64				left;
};

/**
 * struct survey - one look at what is held in a namespace
 * @netns: the namespace
 * @now: when it began
 * @unknown: what is held by nobody known
 * @rows: the result, in order
 * @count: how many
 */
struct survey {
	struct tcpstate_netns	*netns;
	u64			now;
	struct tcpstate_holding	unknown;
	struct row		*rows;
	unsigned int		count;
};

/* Where a dump goes on. */
struct survey_cursor {
	u64		id;
	struct row_key	next;
};

static int key_compare(const struct row_key *a, const struct row_key *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->words[0] != b->words[0])
		return a->words[0] < b->words[0] ? -1 : 1;
	if (a->words[1] != b->words[1])
		return a->words[1] < b->words[1] ? -1 : 1;
	return 0;
}

static int row_compare(const void *a, const void *b)
{
	return key_compare(&((const struct row *)a)->key,
			   &((const struct row *)b)->key);
}

static void holding_add(struct tcpstate_holding *held,
			const struct tcpstate_holding *more)
{
	held->connections += more->connections;
	held->time_wait += more->time_wait;
	held->fin_wait2 += more->fin_wait2;
	held->close_wait += more->close_wait;
	held->unaccepted += more->unaccepted;
	held->recent += more->recent;
	if (more->oldest && (!held->oldest || more->oldest < held->oldest))
		held->oldest = more->oldest;
}

static void survey_conn(struct tcpstate_conn *conn, void *arg)
{
	struct survey *survey = arg;
	struct tcpstate_holding one = { .connections = 1 };
	struct tcpstate_owner *owner;
	bool unaccepted;

	if (READ_ONCE(conn->home)->netns != survey->netns)
		return;
	switch (READ_ONCE(conn->status) & TCPSTATE_CONN_STATE) {
	case TCP_LISTEN:
		return;
	case TCP_TIME_WAIT:
		one.time_wait = 1;
		break;
	case TCP_FIN_WAIT2:
	case TCPSTATE_FIN_WAIT2_MINI:
		one.fin_wait2 = 1;
		break;
	case TCP_CLOSE_WAIT:
		one.close_wait = 1;
		one.oldest = READ_ONCE(conn->since);
		one.recent = one.oldest + RECENT_NS > survey->now;
		break;
	}
	owner = tcpstate_owner_holder(conn, &unaccepted);
	one.unaccepted = one.close_wait && unaccepted;
	holding_add(owner ? &owner->holding : &survey->unknown, &one);
}

/* Owners live on: they are dropped under the mutex, or with their namespace. */
static void survey_walk(struct survey *survey)
{
	struct tcpstate_owner *owner;
	unsigned long bucket;

	lockdep_assert_held(&tcpstate_owner_mutex);
	survey->now = ktime_get_ns();
	rcu_read_lock();
	hlist_for_each_entry_rcu(owner, &survey->netns->owners, list)
		memset(&owner->holding, 0, sizeof(owner->holding));
	rcu_read_unlock();
	for (bucket = 0; tcpstate_conn_next(&bucket); bucket++)
		tcpstate_conn_visit(bucket, survey_conn, survey);
}

static void row_key(struct row_key *key, const struct tcpstate_owner *owner,
		    enum tcpstate_owner_key by,
		    const struct tcpstate_reader *reader)
{
	uid_t uid;

	memset(key, 0, sizeof(*key));
	if (!tcpstate_reader_sees(reader, owner->tgid, owner->user_ns)) {
		key->kind = ROW_HIDDEN;
		return;
	}
	switch (by) {
	case TCPSTATE_OWNER_KEY_COMM:
		key->words[0] = owner->comm_words[0];
		key->words[1] = owner->comm_words[1];
		return;
	case TCPSTATE_OWNER_KEY_PID:
		/* Two processes may have had one pid. */
		key->words[0] = tcpstate_reader_pid(reader, owner->tgid);
		key->words[1] = (unsigned long)owner->tgid;
		if (owner->past) {
			key->kind = ROW_PAST;
			key->words[1] = owner->id;
		}
		return;
	case TCPSTATE_OWNER_KEY_UID:
		uid = tcpstate_reader_uid(reader, owner->uid);
		if (uid != (uid_t)-1)
			key->words[0] = uid;
		else
			key->kind = ROW_HIDDEN;
		return;
	case TCPSTATE_OWNER_KEY_CGROUP:
		key->words[0] = tcpstate_reader_cgroup(reader, owner);
		if (!key->words[0])
			key->kind = ROW_HIDDEN;
		return;
	}
}

static void row_fill(struct row *row, const struct tcpstate_owner *owner)
{
	row->owner = owner;
	row->owners = 1;
	row->gone = owner->past || !pid_has_task(owner->tgid, PIDTYPE_TGID);
	row->held = owner->holding;
	row->made = atomic64_read(&owner->made);
	row->rate = tcpstate_owner_rate(owner);
	row->left = atomic64_read(&owner->closed) + row->held.close_wait -
		    row->held.unaccepted;
}

static void row_add(struct row *row, const struct row *more)
{
	/* The name told by pid is the latest. */
	if (more->owner->order > row->owner->order)
		row->owner = more->owner;
	row->owners += more->owners;
	row->gone &= more->gone;
	holding_add(&row->held, &more->held);
	row->made += more->made;
	row->rate += more->rate;
	row->left += more->left;
}

static bool row_empty(const struct row *row)
{
	return !row->held.connections && !row->made && !row->left;
}

/* One row for each key that holds or has made anything. */
static void survey_merge(struct survey *survey)
{
	struct row *rows = survey->rows;
	unsigned int i, count = 0;

	sort(rows, survey->count, sizeof(*rows), row_compare, NULL);
	for (i = 0; i < survey->count; i++) {
		if (row_empty(&rows[i]))
			continue;
		if (count && !row_compare(&rows[count - 1], &rows[i]))
			row_add(&rows[count - 1], &rows[i]);
		else
			rows[count++] = rows[i];
	}
	survey->count = count;
}

/* What nobody known has made is what is left of all that was made. */
static void survey_rest(struct survey *survey,
			const struct tcpstate_counts *counts)
{
	struct row *row = &survey->rows[survey->count];
	unsigned int i;

	memset(row, 0, sizeof(*row));
	row->key.kind = ROW_UNKNOWN;
	row->held = survey->unknown;
	row->made = counts->entered[TCP_TIME_WAIT];
	row->left = counts->entered[TCP_CLOSE_WAIT];
	for (i = 0; i < survey->count; i++) {
		row->made -= min(row->made, survey->rows[i].made);
		row->left -= min(row->left, survey->rows[i].left);
	}
	survey->count += !row_empty(row) ||
			 atomic64_read(&survey->netns->owners_dropped);
}

static int survey_rows(struct survey *survey, enum tcpstate_owner_key by,
		       const struct tcpstate_reader *reader)
{
	unsigned int room = READ_ONCE(survey->netns->owner_count) + ROWS_SPARE;
	struct tcpstate_owner *owner;
	struct tcpstate_counts *counts;

	counts = kmalloc(sizeof(*counts), GFP_KERNEL);
	survey->rows = kvmalloc_array(room, sizeof(struct row),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!counts || !survey->rows) {
		kfree(counts);
		kvfree(survey->rows);
		return -ENOMEM;
	}
	mutex_lock(&tcpstate_owner_mutex);
	survey_walk(survey);
	tcpstate_count_sum(survey->netns, counts);
	rcu_read_lock();
	hlist_for_each_entry_rcu(owner, &survey->netns->owners, list) {
		struct row *row = &survey->rows[survey->count];

		if (survey->count + 1 == room)
			break;
		row_key(&row->key, owner, by, reader);
		row_fill(row, owner);
		survey->count++;
	}
	rcu_read_unlock();
	survey_merge(survey);
	survey_rest(survey, counts);
	kfree(counts);
	return 0;
}

static void survey_end(struct survey *survey)
{
	mutex_unlock(&tcpstate_owner_mutex);
	kvfree(survey->rows);
}

static int put_key(struct sk_buff *skb, const struct row *row,
		   enum tcpstate_owner_key by)
{
	const struct tcpstate_owner *owner = row->owner;

	switch ((enum row_kind)row->key.kind) {
	case ROW_HIDDEN:
		return tcpstate_put_u64(skb, TCPSTATE_A_OWNER_HIDDEN, row->owners);
	case ROW_UNKNOWN:
		return 0;
	case ROW_PAST:
		return nla_put_string(skb, TCPSTATE_A_OWNER_COMM, owner->comm);
	case ROW_OWNERS:
		break;
	}
	switch (by) {
	case TCPSTATE_OWNER_KEY_PID:
		/* Where it is in no namespace of the reader's, it has none. */
		if (row->key.words[0] &&
		    nla_put_u32(skb, TCPSTATE_A_OWNER_PID, row->key.words[0]))
			return -EMSGSIZE;
		fallthrough;
	case TCPSTATE_OWNER_KEY_COMM:
		return nla_put_string(skb, TCPSTATE_A_OWNER_COMM, owner->comm);
	case TCPSTATE_OWNER_KEY_UID:
		return nla_put_u32(skb, TCPSTATE_A_OWNER_UID,
				   row->key.words[0]);
	case TCPSTATE_OWNER_KEY_CGROUP:
		return tcpstate_put_u64(skb, TCPSTATE_A_OWNER_CGROUP,
			       row->key.words[0]);
	}
	return 0;
}

static int put_row(struct sk_buff *skb, const struct tcpstate_netns *netns,
		   const struct row *row, enum tcpstate_owner_key by)
{
	const struct tcpstate_holding *held = &row->held;
	u64 dropped = row->key.kind == ROW_UNKNOWN ?
		      atomic64_read(&netns->owners_dropped) : 0;

	return tcpstate_put_u64(skb, TCPSTATE_A_OWNER_NETNS_INO, netns->ino) ||
	       put_key(skb, row, by) ||
	       (row->gone && nla_put_flag(skb, TCPSTATE_A_OWNER_GONE)) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_CONNECTIONS,
				held->connections) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_TIME_WAIT,
				held->time_wait) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_TIME_WAIT_MADE,
				row->made) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_FIN_WAIT2,
				held->fin_wait2) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_CLOSE_WAIT,
				held->close_wait) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_CLOSE_WAIT_MADE,
				row->left) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_CLOSE_WAIT_RECENT,
				held->recent) ||
	       (held->oldest &&
		tcpstate_put_u64(skb, TCPSTATE_A_OWNER_OLDEST_CLOSE_WAIT_MS,
				 div_u64(ktime_get_ns() - held->oldest,
					 NSEC_PER_MSEC))) ||
	       tcpstate_put_u64(skb, TCPSTATE_A_OWNER_TIME_WAIT_RATE,
				row->rate) ||
	       (dropped &&
		tcpstate_put_u64(skb, TCPSTATE_A_OWNER_DROPPED, dropped)) ?
	       -EMSGSIZE : 0;
}

static int fill_row(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		    const struct tcpstate_netns *netns, const struct row *row,
		    enum tcpstate_owner_key by)
{
	void *hdr = genlmsg_put(skb, portid, seq, &tcpstate_netlink_family,
				flags, TCPSTATE_CMD_OWNER_GET);

	if (!hdr)
		return -EMSGSIZE;
	if (put_row(skb, netns, row, by)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int may_know(const struct tcpstate_reader *reader,
		    struct netlink_ext_ack *extack)
{
	if (reader->capable)
		return 0;
	NL_SET_ERR_MSG(extack, "to be told of processes needs CAP_NET_ADMIN");
	return -EPERM;
}

/* By what the request wants owners to be told apart. */
static int parse_by(const struct nlattr *attr,
		    const struct tcpstate_reader *reader,
		    enum tcpstate_owner_key *by, struct netlink_ext_ack *extack)
{
	if (!attr) {
		NL_SET_ERR_MSG(extack, "the attribute by is missing");
		return -EINVAL;
	}
	*by = nla_get_u32(attr);
	return *by == TCPSTATE_OWNER_KEY_CGROUP ?
	       tcpstate_reader_knows_cgroups(reader, extack) : 0;
}

/* Is it the row of the key that the request names? */
static bool row_asked(const struct row *row, enum tcpstate_owner_key by,
		      struct nlattr **attrs)
{
	if (row->key.kind != ROW_OWNERS)
		return false;
	switch (by) {
	case TCPSTATE_OWNER_KEY_COMM:
		return attrs[TCPSTATE_A_OWNER_COMM] &&
		       !nla_strcmp(attrs[TCPSTATE_A_OWNER_COMM],
				   row->owner->comm);
	case TCPSTATE_OWNER_KEY_PID:
		return attrs[TCPSTATE_A_OWNER_PID] &&
		       nla_get_u32(attrs[TCPSTATE_A_OWNER_PID]) ==
		       row->key.words[0];
	case TCPSTATE_OWNER_KEY_UID:
		return attrs[TCPSTATE_A_OWNER_UID] &&
		       nla_get_u32(attrs[TCPSTATE_A_OWNER_UID]) ==
		       row->key.words[0];
	case TCPSTATE_OWNER_KEY_CGROUP:
		return attrs[TCPSTATE_A_OWNER_CGROUP] &&
		       nla_get_u64(attrs[TCPSTATE_A_OWNER_CGROUP]) ==
		       row->key.words[0];
	}
	return false;
}

/**
 * tcpstate_nl_owner_get_doit() - what the owners of one key hold
 * @skb: the request
 * @info: its attributes
 *
 * Context: process context. The cost grows with connections.
 * Return: 0, or a negative error after a sentence in extack.
 */
int tcpstate_nl_owner_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct survey survey = { .netns = tcpstate_netlink_own(genl_info_net(info), info->extack) };
	struct tcpstate_reader reader;
	enum tcpstate_owner_key by;
	struct sk_buff *answer;
	unsigned int i;
	int err;

	if (!survey.netns)
		return -ENOMEM;
	err = tcpstate_netlink_refuse(info->nlhdr,
				      BIT_ULL(TCPSTATE_A_OWNER_ALL_NETNS),
				      info->extack);
	if (err)
		return err;
	tcpstate_reader_init(&reader, skb, genl_info_net(info));
	err = may_know(&reader, info->extack);
	if (err)
		return err;
	err = parse_by(info->attrs[TCPSTATE_A_OWNER_BY], &reader, &by,
		       info->extack);
	if (err)
		return err;
	answer = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	err = survey_rows(&survey, by, &reader);
	if (err)
		goto free_answer;
	for (i = 0; i < survey.count; i++)
		if (row_asked(&survey.rows[i], by, info->attrs))
			break;
	if (i < survey.count) {
		err = fill_row(answer, info->snd_portid, info->snd_seq, 0,
			       survey.netns, &survey.rows[i], by);
	} else {
		NL_SET_ERR_MSG(info->extack, "no owner has this key");
		err = -ENOENT;
	}
	survey_end(&survey);
	if (!err)
		return genlmsg_reply(answer, info);
free_answer:
	nlmsg_free(answer);
	return err;
}

/* What is left to tell of one namespace: 0, or -EMSGSIZE with more to come. */
static int dump_netns(struct sk_buff *skb, struct netlink_callback *cb,
		      struct tcpstate_netns *netns, enum tcpstate_owner_key by,
		      const struct tcpstate_reader *reader)
{
	struct survey_cursor *cursor = (void *)cb->ctx;
	struct survey survey = { .netns = netns };
	unsigned int i;
	int err;

	err = survey_rows(&survey, by, reader);
	if (err)
		return err;
	for (i = 0; !err && i < survey.count; i++) {
		if (key_compare(&survey.rows[i].key, &cursor->next) < 0)
			continue;
		cursor->next = survey.rows[i].key;
		err = fill_row(skb, NETLINK_CB(cb->skb).portid,
			       cb->nlh->nlmsg_seq, NLM_F_MULTI, netns,
			       &survey.rows[i], by);
	}
	survey_end(&survey);
	return err;
}

/**
 * tcpstate_nl_owner_get_dumpit() - what owners hold and have made
 * @skb: to be filled
 * @cb: where to go on
 *
 * Each message takes a look at every record of its own.
 *
 * Return: the length of @skb, 0 at the end, or a negative error after a
 * sentence in extack.
 */
int tcpstate_nl_owner_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct survey_cursor *cursor = (void *)cb->ctx;
	struct tcpstate_reader reader;
	enum tcpstate_owner_key by;
	struct tcpstate_netns *netns;
	int err;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));
	err = tcpstate_netlink_refuse(cb->nlh,
				      BIT_ULL(TCPSTATE_A_OWNER_COMM) |
				      BIT_ULL(TCPSTATE_A_OWNER_PID) |
				      BIT_ULL(TCPSTATE_A_OWNER_UID) |
				      BIT_ULL(TCPSTATE_A_OWNER_CGROUP),
				      cb->extack);
	if (err)
		return err;
	tcpstate_reader_init(&reader, cb->skb, sock_net(cb->skb->sk));
	err = may_know(&reader, cb->extack);
	if (err)
		return err;
	err = parse_by(tcpstate_dump_attr(cb, TCPSTATE_A_OWNER_BY), &reader,
		       &by, cb->extack);
	if (err)
		return err;
	if (!tcpstate_dump_attr(cb, TCPSTATE_A_OWNER_ALL_NETNS)) {
		netns = tcpstate_netlink_own(sock_net(cb->skb->sk), cb->extack);
		if (!netns)
			return -ENOMEM;
		if (cursor->id > netns->id)
			return 0;
		err = dump_netns(skb, cb, netns, by, &reader);
		if (!err)
			cursor->id = netns->id + 1;
		return skb->len ? : err;
	}

	err = tcpstate_netlink_may_see_all(cb);
	if (err)
		return err;
	while ((netns = tcpstate_netlink_next(cursor->id))) {
		if (cursor->id != netns->id)
			memset(&cursor->next, 0, sizeof(cursor->next));
		cursor->id = netns->id;
		err = dump_netns(skb, cb, netns, by, &reader);
		put_net(netns->net);
		if (err)
			break;
		memset(&cursor->next, 0, sizeof(cursor->next));
		cursor->id++;
	}
	return skb->len ? : err;
}
