/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TCPSTATE_H
#define _TCPSTATE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/list_bl.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/tcp_states.h>
#include <asm/local64.h>

#include "uapi/linux/tcpstate.h"

/**
 * DOC: data and locking
 *
 * One record (struct tcpstate_conn) per connection, found by the address of
 * the kernel object that stands for it: the socket, later its mini-socket.
 *
 * Who may change a record: a socket's events are serialized by the socket's
 * own lock, and so is the hand-over; a mini-socket's are not, and are by the
 * lock of the record's bucket. That is the record's owner. Two others touch
 * it: a walk stamps it, and ages are settled into lists by whoever comes by.
 * All that any two of them change is in tcpstate_conn.status, one word, moved
 * on by cmpxchg().
 *
 * These locks, in the order in which they nest, are all innermost to the
 * kernel's own and taken with interrupts off:
 *
 *   bucket	the bit lock of a chain of the record table: adding to and
 *		removing from it, and mini-sockets' events. Sockets' events read
 *		the chain without it; what they do not find so, they look for
 *		again with it, unless the chain is empty.
 *   shared	tcpstate_netns.shared_lock: the block that CPUs without one of
 *		their own share; taken only when memory was short.
 *   dest	the bit lock of a chain of the table of destinations: adding to
 *		and removing from it. It is read without.
 *   peers	the bit lock of one shard of a destination: which records are
 *		attached to it, and what is counted of them.
 *   process	tcpstate_process.lock: who did something last.
 *   owner	owner.c's lock: its table, and the owners of each namespace. The
 *		table is read without.
 *   age	the bit lock of one namespace's, CPU's and state's list of ages.
 *
 * What lockdep is to know of the bit locks is in chain.h.
 *
 * A destination is freed by dest.c's sweep alone, with tcpstate_dest_mutex held
 * and after a grace period: who holds that mutex, or is in an RCU read side, may
 * look at any. The mutex also guards what process context knows of namespaces
 * and destinations: rooms, thresholds and alerts. tcpstate_netns_mutex nests in
 * it.
 *
 * An owner that a record names stays, and so does one whose process lives. What
 * is left is dropped by owner.c's work item, with tcpstate_owner_mutex held, or
 * with its namespace, and freed after a grace period. That mutex nests in
 * tcpstate_dest_mutex.
 *
 * Counters are per namespace and CPU, written by that CPU alone, and added up
 * by readers. Walking the kernel's tables nests the bucket lock in theirs
 * (ehash, lhash2).
 *
 * A record may be given to another connection under a reader of its chain,
 * and only makes that reader look again under the lock; its memory is not
 * given back before a grace period has passed (see stock.h). A record holds a slot of its
 * namespace, and the namespace's data lives for a grace period after the last
 * slot and reference are back: TCP purges the mini-sockets of a dying namespace
 * after our exit.
 *
 * What is read without the lock, or beside the handler, that writes it:
 *
 *   conn.status: its owner, a walk and who empties an inbox move it on by
 *	cmpxchg(), which fails if what they have read is old. Stored as a whole
 *	only where nobody else has the record: conn_fill(), conn_close_listed().
 *	Who just looks gets the state before or after a move under way.
 *   conn.obj: written while the record is in no chain: with the bucket lock it
 *	stays. conn_find() reads it without, for the object's own event, which
 *	nothing else that changes it runs beside. tcpstate_conn_owner() and
 *	use_conn() read it again behind smp_rmb(). That pairs with the cmpxchg()
 *	of status, which stands between its change and what is changed next: the
 *	record's owner, the socket's port. tcpstate_conn_requests() has the lock
 *	of the list of ages, which a record leaves before its listener is freed.
 *   conn.home: written by the owner, in no inbox and no list. With the bucket
 *	lock only its netns is read, the same in every block it may be.
 *   conn.since: written by the owner before the cmpxchg() of status. Who has
 *	the lock of the bucket, the shard or the list of ages may read it that
 *	much early: of a record that is about to leave its state and the list.
 *	Where it was the oldest, and has come out of its inbox only just then,
 *	the oldest seems to be of now, and what is behind it is found by a look
 *	that comes a warning's time later.
 *   conn.owner: written before the record is in its chain, and by
 *	conn_accept(), whose smp_store_release() has the entry in
 *	tcpstate_owners[] come first. tcpstate_owner_holder() and tidy_conn()
 *	read it with the bucket lock, tcpstate_conn_owner() with none: see obj.
 *   conn.closer: written by tcpstate_owner_close(), read by line_fill() and
 *	tidy_conn() with the bucket lock. An old one is 0: not known yet.
 *   conn.epoch: written by tcpstate_conn_see() with the bucket lock, and by
 *	conn_move_slow() off the chain; so conn_match() reads it beside neither.
 *   conn_epoch: written under walk.c's mutex, read by conn_move_slow(). By an
 *	old one the record may be unmatched, in this walk alone: an audit that
 *	rechecks goes on to the next.
 *   cpu.moved and the other counters: smp_rmb() of tcpstate_count_sum() pairs
 *	with the cmpxchg() of status between two moves of one record.
 *   cpu.inbox: inbox_add() has cmpxchg() check the first that it has read, and
 *	tcpstate_conn_settle() takes all with xchg(). inbox_count is written by
 *	both and may lose some: it only says when to settle.
 *   cpu.spare_max: netns_dying() and tcpstate_netns_block_add() close it,
 *	slot_put() and tcpstate_netns_slot_drain() read it, interrupts off. By
 *	an old one a slot goes into the stock, which netns_del() collects a
 *	grace period later.
 *   netns.cpus: an entry is written once, by its CPU. smp_store_release() of
 *	tcpstate_netns_block_add() pairs with smp_load_acquire() of count.c. Who
 *	finds NULL misses what has just been counted for the first time.
 *   netns.dying: netns_dying() writes it and reads cpus, and
 *	tcpstate_netns_block_add() the reverse, with smp_mb() between: one of
 *	them closes the block. By an old one sweep_bucket() or kept() leaves a
 *	destination to the next sweep.
 *   netns.thresholds: written under tcpstate_dest_mutex, read without by
 *	leak_check(), tcpstate_alert_room_floor() and fill_config().
 *	tcpstate_alert_thresholds_set() has all looked at afterwards; a
 *	destination made meanwhile is left to the sweep.
 *   netns.time_wait_limit, time_wait_trigger, dest.trigger: written by
 *	look_time_wait() and look_dest() under tcpstate_dest_mutex, read by
 *	count_mini() and attach_to(). An old one is a look too many, or one that
 *	the next mini-socket, the next connection or the sweep makes up for.
 *   netns.alert_seq: written under tcpstate_dest_mutex before the message is
 *	sent; what fill_config() does not count yet is still to be heard.
 *   netns.owner_count: written under owner.c's lock; survey_rows() makes room
 *	by it, with some to spare, and fills no more than that.
 *   pernet.netns: smp_store_release() of netns_add() pairs with
 *	smp_load_acquire() of tcpstate_netns_peek(). Who still finds it after
 *	netns_dying() is done before netns_del(): a grace period lies between.
 *   pernet.known: written by netns_add() after netns. By an old one
 *	tcpstate_netns_early() notes a namespace for nothing.
 *   dest.mark_due: written by mark() under mark_lock, read by mark_due(), and
 *	by mark() once more with the lock.
 *   shards[].opens, early: written under the shard's lock;
 *	tcpstate_dest_opens() and early_ends() add up what each was a moment
 *	ago.
 *   watch.flags: changed by atomic operations on a bit; kept() reads all of
 *	them. Beside it only DUE can be set, without tcpstate_dest_mutex, by
 *	what is attached: take_out() asks once more when nothing can be.
 *   process.when: written by tcpstate_process_note() with the lock, read without by
 *	refused_lately(), of alert.c and of dest.c, and tcpstate_alert_read(). A
 *	minute is the least that counts; and who has just been refused has it
 *	looked at again (tcpstate_alert_refused()).
 *   refusals.since, seen: written under tcpstate_dest_mutex by
 *	refusals_update(), read without by spell_goes_on(): by old ones a look is
 *	due once more.
 *   owner.past: written under owner.c's lock and tcpstate_owner_mutex, and who
 *	reads it has one of these. owner.unnamed: under that mutex alone.
 *   tcpstate_owners[]: written under owner.c's lock. smp_store_release() of
 *	owner_new() pairs with READ_ONCE() of tcpstate_owner_of(), on which what
 *	is read of the owner depends. The entry of a number that a record has
 *	does not change, and is read plainly by tcpstate_owner_account().
 *   tcpstate_owner_last: written by its CPU, and by owner_unlast() with
 *	cmpxchg(). Who read it before that has preemption off, and the owner is
 *	freed a grace period later. Who has exited is not put there again.
 *   tcpstate_leak_inbox_max: written by tcpstate_leak_arm() and leak_check(),
 *	read by inbox_add() and tcpstate_leak_unarmed() with preemption off. The
 *	synchronize_rcu() of leak_check() waits for who takes the timer for
 *	armed by an old one: what he has put into CLOSE_WAIT is seen then.
 *   probe_live: tcpstate_probe_start() waits for who has read the old one, and
 *	tcpstate_probe_exit() for every handler.
 *   fail_adds, fail_percpu: written by sysfs as it likes, counted down by
 *	cmpxchg() in tcpstate_fail(). A test sets them beforehand.
 *   chains (chain.h): next and the head are read without the lock, pprev is
 *	not. A node is whole when smp_store_release() of the head shows it; that
 *	pairs with rcu_dereference_raw(). One that is taken off still leads on.
 *
 * What is read of the kernel's without its lock:
 *
 *   sk_state: inet_sk_state_store(), the socket locked, after its event; read
 *	by inet_sk_state_load(). tcpstate_conn_see() says which it can be.
 *	Whether it is TIME_WAIT, a mini-socket, does not change.
 *   tw_substate: tcp_timewait_state_process(), before its event: mini_state()
 *	may be ahead of the record, with the event still to come.
 *   tw_ts_recent_stamp, tw_entry_stamp: tcp_timewait_state_process().
 *	tcp_twsk_unique() takes no lock to decide by them either.
 *   tw_timer.expires: mod_timer(), with the lock of its base, before the timer
 *	is pending for the first time (tcpstate_tw_left()).
 *   sk_family: do_ipv6_setsockopt(), the socket locked and ESTABLISHED, before
 *	its event. conn_check_family() then corrects what was read before; so
 *	does the next move where that event is not seen (FAMILY_UNSEEN). The
 *	addresses of one family stand for those of the other then, mapped.
 *   sk_num: inet_bind_hash() and inet_put_port(), with the bind bucket's lock.
 *	It is 0 or the port: before connect() has chosen and after it is given
 *	back none is held. inet_sport: likewise; inet_csk_listen_start() writes
 *	it after its event. inet_csk_clone_lock() does, both and sk_dport, which
 *	is 0 until then, and clears a flag of sk_flags that is not asked for.
 *   sk_dport, sk_daddr, sk_rcv_saddr and those of IPv6: connect(), before its
 *	event; tcp_v4_syn_recv_sock() and its twin, up to 6.12 after that of the
 *	clone; disconnect(), after the record has ended. line_fill() and
 *	listens_for() may read half an address: of SYN_RECV, for a moment, or of
 *	a listener that goes.
 *   sk_nulls_node.pprev: the chain's lock. NULL or not is what question() and
 *	walk_chain() ask: whether the socket has left its chain.
 *   sk_socket: sock_graft() and sock_orphan(), with sk_callback_lock. It is
 *	NULL or a socket whose inode is freed by RCU. sock_orphan() sets
 *	SOCK_DEAD first, so that an orphan does not seem to wait in a queue.
 *   sk_bound_dev_if: setsockopt(), the socket locked: what it was a moment ago.
 *   fastreuse, fastreuseport: bind(), with the bucket's lock; the bucket stays
 *	while the socket is bound. A bind() under way counts or does not.
 *   group_leader: of current, who alone changes it, in exec (de_thread()).
 *   comm: __set_task_comm(), with task_lock(). At worst an owner, or who was
 *	refused, has a mixture of two names.
 *   net_statistics: this_cpu_inc(), each CPU's own. That of a moment ago.
 *   nmissed: pre_handler_kretprobe(), by any CPU; it may lose some.
 *   cgroups: of current; freed by RCU. That of a moment ago.
 *   sysctl_*: a word each, written by /proc; the kernel takes no lock either.
 *   net.list.next: setup_net(). NULL, and an old NULL, is one in the making.
 *   jiffies: the tick; an old one is a tick.
 */

/* A mini-socket in FIN_WAIT2. Records never are requests, so their number is
 * free; everywhere outside it reads as FIN_WAIT2.
 */
#define TCPSTATE_FIN_WAIT2_MINI	12
#define TCPSTATE_STATES		13
#define TCPSTATE_STATES_POW2	16	/* so that a row is found by a shift */

/* Every way a record can go, by its own state. CLOSE is no record. */
#define TCPSTATE_EDGES(E)						\
	E(CLOSE, SYN_SENT)						\
	E(CLOSE, SYN_RECV)						\
	E(CLOSE, LISTEN)						\
	E(CLOSE, ESTABLISHED)						\
	E(CLOSE, FIN_WAIT1)						\
	E(CLOSE, FIN_WAIT2)						\
	E(CLOSE, FIN_WAIT2_MINI)					\
	E(CLOSE, TIME_WAIT)						\
	E(CLOSE, CLOSE_WAIT)						\
	E(CLOSE, LAST_ACK)						\
	E(CLOSE, CLOSING)						\
	E(SYN_SENT, ESTABLISHED)					\
	E(SYN_SENT, SYN_RECV)						\
	E(SYN_SENT, CLOSE)						\
	E(SYN_RECV, ESTABLISHED)					\
	E(SYN_RECV, FIN_WAIT1)						\
	E(SYN_RECV, CLOSE_WAIT)						\
	E(SYN_RECV, CLOSE)						\
	E(ESTABLISHED, FIN_WAIT1)					\
	E(ESTABLISHED, CLOSE_WAIT)					\
	E(ESTABLISHED, CLOSE)						\
	E(FIN_WAIT1, FIN_WAIT2)						\
	E(FIN_WAIT1, CLOSING)						\
	E(FIN_WAIT1, CLOSE)						\
	E(FIN_WAIT2, FIN_WAIT2_MINI)					\
	E(FIN_WAIT2, TIME_WAIT)						\
	E(FIN_WAIT2, CLOSE)						\
	E(FIN_WAIT2_MINI, TIME_WAIT)					\
	E(FIN_WAIT2_MINI, CLOSE)					\
	E(TIME_WAIT, CLOSE)						\
	E(CLOSE_WAIT, LAST_ACK)						\
	E(CLOSE_WAIT, CLOSE)						\
	E(LAST_ACK, CLOSE)						\
	E(LISTEN, CLOSE)						\
	E(CLOSING, TIME_WAIT)						\
	E(CLOSING, CLOSE)

#define TCPSTATE_EDGE_ENUM(from, to)	TCPSTATE_EDGE_##from##_##to,
enum tcpstate_edge {
	TCPSTATE_EDGE_ILLEGAL,
	TCPSTATE_EDGES(TCPSTATE_EDGE_ENUM)
	TCPSTATE_EDGE_COUNT
};

/* What is counted of a move: its edge, by family. */
#define TCPSTATE_MOVE(edge, family)	((edge) * TCPSTATE_FAMILIES + (family))
#define TCPSTATE_MOVES			TCPSTATE_MOVE(TCPSTATE_EDGE_COUNT, 0)

/* Why a TIME_WAIT ended; the order of what the counters are shown in. */
enum tcpstate_end {
	TCPSTATE_END_EXPIRED,
	TCPSTATE_END_RECYCLED,
	TCPSTATE_END_KILLED,
	TCPSTATE_END_COUNT
};

/* States in which the oldest can be asked for, and LISTEN for its requests. */
enum tcpstate_age {
	TCPSTATE_AGE_NONE = -1,
	TCPSTATE_AGE_FIN_WAIT1,
	TCPSTATE_AGE_FIN_WAIT2,		/* full and mini */
	TCPSTATE_AGE_TIME_WAIT,
	TCPSTATE_AGE_CLOSE_WAIT,
	TCPSTATE_AGE_LAST_ACK,
	TCPSTATE_AGE_CLOSING,
	TCPSTATE_AGE_LISTEN,
	TCPSTATE_AGE_COUNT
};

enum tcpstate_family {
	TCPSTATE_IPV4,
	TCPSTATE_IPV6,
	TCPSTATE_FAMILIES
};

/* Ports there are. */
#define TCPSTATE_PORTS		65536

/* Thresholds of a namespace, in the order of the attributes of config. */
enum tcpstate_threshold {
	TCPSTATE_PORT_ROOM_WARNING,
	TCPSTATE_PORT_ROOM_CRITICAL,
	TCPSTATE_TIME_WAIT_WARNING,
	TCPSTATE_TIME_WAIT_CRITICAL,
	TCPSTATE_CLOSE_WAIT_WARNING,
	TCPSTATE_CLOSE_WAIT_CRITICAL,
	TCPSTATE_THRESHOLDS
};

struct inet_timewait_sock;
struct net;
struct sk_buff;
struct sock;
struct tcpstate_dest;
struct tcpstate_netns;
struct tcpstate_owner;
struct tcpstate_reader;
struct user_namespace;

/**
 * struct tcpstate_process - who did something last
 * @lock: guards the others
 * @pid: a reference on it; NULL as long as nobody did it
 * @user_ns: the one it was in, a reference; NULL likewise
 * @uid: whose it was
 * @when: nanoseconds of CLOCK_MONOTONIC
 * @comm: its name
 */
struct tcpstate_process {
	raw_spinlock_t	lock;
	struct pid	*pid;
	struct user_namespace *user_ns;
	kuid_t		uid;
	u64		when;
	char		comm[TASK_COMM_LEN];
};

/**
 * struct tcpstate_refusals - calls that got no port
 * @count: how many
 * @told: how many of them messages stand for; under tcpstate_dest_mutex
 * @told_at: jiffies of the last message; likewise
 * @logged: how many of them lines in the log stand for; likewise
 * @logged_at: jiffies of the last line; likewise
 * @since: when the spell began which the last look has seen, nanoseconds of
 *	CLOCK_MONOTONIC; 0 before there was one
 * @seen: when the last was that it has seen, likewise
 * @last: who was refused last
 */
struct tcpstate_refusals {
	atomic64_t		count;
	u64			told;
	unsigned long		told_at;
	u64			logged;
	unsigned long		logged_at;
	u64			since;
	u64			seen;
	struct tcpstate_process	last;
};

/**
 * struct tcpstate_level - an alert that rises and clears with a number
 * @severity: enum tcpstate_severity, in force
 * @since: when it came into force, nanoseconds of CLOCK_MONOTONIC
 */
struct tcpstate_level {
	u8	severity;
	u64	since;
};

/* 10, 100, 1,000 and 10,000 seconds. */
#define TCPSTATE_LEAK_SPANS	4

/**
 * struct tcpstate_leak_span - whether a leak grows, over some time
 * @marks: the last two times that were looked at, the later first: @over of the
 *	warning and @oldest
 * @marked_at: jiffies of the later
 * @trend: enum tcpstate_trend as it was then
 */
struct tcpstate_leak_span {
	struct {
		u32		over;
		u64		oldest;
	} marks[2];
	unsigned long		marked_at;
	u8			trend;
};

/**
 * struct tcpstate_leak - what is in CLOSE_WAIT for too long
 * @level: the alert
 * @over: connections that are, by the threshold of the warning, of the critical
 * @unaccepted: those of them that nobody has accepted
 * @oldest: when the oldest entered it, nanoseconds of CLOCK_MONOTONIC
 * @process: its owner
 * @sport: its local port
 * @trend: enum tcpstate_trend: whether there were more, or fewer, a while ago
 * @said: trends that the log has been told of, a bit mask
 * @spans: what @trend comes from
 *
 * As the last look found it; all under tcpstate_dest_mutex.
 */
struct tcpstate_leak {
	struct tcpstate_level	level;
	u32			over[TCPSTATE_SEVERITY_CRITICAL];
	u32			unaccepted[TCPSTATE_SEVERITY_CRITICAL];
	u64			oldest;
	struct tcpstate_process	process;
	u16			sport;
	u8			trend;
	u8			said;
	struct tcpstate_leak_span spans[TCPSTATE_LEAK_SPANS];
};

/**
 * struct tcpstate_watch - something that alerts may be about
 * @due: in the queue of what is to be looked at now
 * @watched: among what is looked at every second; under tcpstate_dest_mutex
 * @flags: TCPSTATE_WATCH_*
 * @id: increases in the order in which they began to be watched; likewise
 * @look: looks at it, sends what there is to be sent, and says whether to look
 *	again in a second; constant
 */
struct tcpstate_watch {
	struct llist_node	due;
	struct list_head	watched;
	unsigned long		flags;
	u64			id;
	bool			(*look)(struct tcpstate_watch *watch,
					struct net *net);
};

/* Bits of tcpstate_watch.flags. */
#define TCPSTATE_WATCH_DUE	0	/* in the queue, or about to be looked at */
#define TCPSTATE_WATCH_WATCHED	1	/* a second from now it will be */
#define TCPSTATE_WATCH_NETNS	2	/* a namespace's, a destination's if not */

/**
 * struct tcpstate_ages - records in the order in which they entered a state
 * @newest: first of the list, and the lock of the list
 * @oldest: last of the list, NULL when it is empty
 */
struct tcpstate_ages {
	struct hlist_bl_head	newest;
	struct tcpstate_conn	*oldest;
};

/**
 * struct tcpstate_cpu - what one CPU counted for one namespace
 * @netns: the namespace; constant
 * @cpu: which CPU; -1 for the block that is shared; constant
 * @spare: record slots this CPU may still give out; written with interrupts
 *	off by its CPU (under shared_lock in the shared block)
 * @spare_max: so many it may have; -1 once the namespace is dying
 * @inbox: records that entered a state of teardown here and are in no list of
 *	ages yet: most of them have left it by the time somebody asks
 * @inbox_count: about how many
 * @moved: moves of records, by TCPSTATE_MOVE(); written as @spare is
 * @seeded: records added by a walk, by family and state
 * @dwell: those that left a state, by log2 of the milliseconds they spent there
 *	and by state
 * @dwell_max: the longest of them, nanoseconds
 * @end: how TIME_WAIT ended, where it ended early
 * @ages: records that entered a state on this CPU
 */
struct tcpstate_cpu {
	struct tcpstate_netns	*netns;
	int			cpu;
	int			spare;
	int			spare_max;
	struct llist_head	inbox;
	unsigned int		inbox_count;
	local64_t		moved[TCPSTATE_MOVES];
	local64_t		seeded[TCPSTATE_STATES][TCPSTATE_FAMILIES];
	local64_t		dwell[TCPSTATE_DWELL_BUCKETS][TCPSTATE_STATES];
	local64_t		dwell_max[TCPSTATE_STATES];
	local64_t		end[TCPSTATE_END_COUNT];
	struct tcpstate_ages	ages[TCPSTATE_AGE_COUNT];
};

/* Records attached to a destination are spread over so many lists. */
#define TCPSTATE_SHARDS		4
/* The age of the older mark, at which a new one is set: the rate of opens is
 * that of the last one or two of these.
 */
#define TCPSTATE_MARK_PERIOD	(5 * HZ)

/**
 * struct tcpstate_shard - some of the records attached to a destination
 * @conns: the records, and the lock of all this
 * @opens: how many have been opened
 * @early: how many of them ended without TIME_WAIT
 */
struct tcpstate_shard {
	struct hlist_bl_head	conns;
	u64			opens;
	u64			early;
} __aligned(32);	/* so that it is found by a shift */

/**
 * struct tcpstate_dest_key - what a destination is found by, with its namespace
 * @addr: local and remote address; both are in the first if they are IPv4's,
 *	and then the others are 0
 * @rest: the address family, the remote port and the bound device
 */
struct tcpstate_dest_key {
	u64	addr[4];
	u64	rest;
};

/* The remote port is in network byte order, the device its index or 0. */
#define TCPSTATE_KEY_FAMILY	GENMASK_ULL(15, 0)
#define TCPSTATE_KEY_PORT	GENMASK_ULL(31, 16)
#define TCPSTATE_KEY_DEVICE	GENMASK_ULL(63, 32)

/**
 * struct tcpstate_dest_mark - what was counted at some time
 * @at: nanoseconds of CLOCK_MONOTONIC; 0 if never
 * @opens: opened by then
 * @early: ended without TIME_WAIT by then
 * @held: connections not in TIME_WAIT then
 */
struct tcpstate_dest_mark {
	u64	at;
	u64	opens;
	u64	early;
	s32	held;
};

/**
 * struct tcpstate_dest - a destination
 * @node: in the chain of its bucket
 * @netns: its namespace; a reference
 * @key: what it is found by, with @netns
 * @conns: records attached; negative once it is about to be freed
 * @trigger: so many records are worth a look
 * @time_wait: records in TIME_WAIT
 * @mark_due: jiffies at which the next mark is to be set
 * @shards: the records
 * @mark_lock: guards @marks
 * @marks: the older and the newer one
 * @id: falls along each chain
 * @idle: nothing was attached at the last sweep; under tcpstate_dest_mutex
 * @refused: connect() calls for which no port could be chosen
 * @own_range_refused: of sockets with a range of their own
 * @watch: what alerts about it hang on
 * @room_alert: port-room; under tcpstate_dest_mutex
 * @seen: numbers of the last look; likewise
 * @rcu: frees it
 */
struct tcpstate_dest {
	struct hlist_bl_node		node;
	struct tcpstate_netns		*netns;
	struct tcpstate_dest_key	key;
	atomic_t			conns;
	u32				trigger;
	atomic_t			time_wait;
	unsigned long			mark_due;
	struct tcpstate_shard		shards[TCPSTATE_SHARDS];
	raw_spinlock_t			mark_lock;
	struct tcpstate_dest_mark	marks[2];
	u64				id;
	bool				idle;
	struct tcpstate_refusals	refused;
	atomic64_t			own_range_refused;
	struct tcpstate_watch		watch;
	struct tcpstate_level		room_alert;
	struct {
		u32			used;
		u32			reusable;
		u32			capacity;
		u64			eta_ms;
	} seen;
	struct rcu_head			rcu;
};

/**
 * struct tcpstate_netns - one network namespace
 * @net: the namespace; valid while this is on the list of namespaces
 * @list: on the list of namespaces; under tcpstate_netns_mutex
 * @id: increases in the order of creation; the cursor of dumps
 * @cpus: each CPU's block, NULL until it first counts here
 * @shared_lock: guards @shared
 * @shared: stands in for a block that could not be allocated
 * @slots: records and the slots CPUs hold in stock; one more until exit
 * @dying: exit has begun: slots go straight back to @slots
 * @untracked: records that could not be added since load
 * @inexact: of these, how many no audit has made good
 * @found_late: objects the second walk or an audit found without a record
 * @overflow_base: TCPTimeWaitOverflow when following began
 * @since: when following began, nanoseconds of CLOCK_MONOTONIC
 * @ino: inode number of @net
 * @refs: destinations and whoever works on it; one more while there are slots
 * @dests: destinations now
 * @dests_dropped: connections that could not be given one
 * @others: what these are attached to; in no table, and never looked at
 * @connect_refused: connect() calls for which no port could be chosen
 * @connect_last: whose was the last of them
 * @own_range_refused: of sockets with a range of their own
 * @bind_refused: bind() calls to port 0 likewise
 * @own_range_bind_refused: likewise of sockets with a range of their own
 * @time_wait_limit: tcp_max_tw_buckets when @time_wait_trigger was set
 * @time_wait_trigger: so many mini-sockets are worth a look
 * @thresholds: by enum tcpstate_threshold; written under tcpstate_dest_mutex
 * @watch: what alerts about the namespace as a whole hang on
 * @time_wait_alert: time-wait-limit; under tcpstate_dest_mutex
 * @leak: close-wait-leak
 * @alert_seq: messages sent; under tcpstate_dest_mutex
 * @rooms: what has been read of ports, by l3mdev; under tcpstate_dest_mutex
 * @log: keeps alerts from flooding the log
 * @owners: processes with connections here; under owner.c's lock
 * @owner_count: how many; likewise
 * @past_count: how many of them are histories; likewise
 * @owners_dropped: connections whose owner could not be kept since load
 * @rcu: frees it after the last handler that may still see it
 */
struct tcpstate_netns {
	struct net		*net;
	struct list_head	list;
	u64			id;
	struct tcpstate_cpu	*__percpu *cpus;
	raw_spinlock_t		shared_lock;
	atomic_t		slots;
	bool			dying;
	atomic64_t		untracked;
	atomic64_t		inexact;
	atomic64_t		found_late;
	u64			overflow_base;
	u64			since;
	unsigned int		ino;
	refcount_t		refs;
	atomic_t		dests;
	atomic64_t		dests_dropped;
	struct tcpstate_dest	others;
	atomic64_t		connect_refused;
	struct tcpstate_process	connect_last;
	atomic64_t		own_range_refused;
	struct tcpstate_refusals bind_refused;
	atomic64_t		own_range_bind_refused;
	u32			time_wait_limit;
	u32			time_wait_trigger;
	u32			thresholds[TCPSTATE_THRESHOLDS];
	struct tcpstate_watch	watch;
	struct tcpstate_level	time_wait_alert;
	struct tcpstate_leak	leak;
	u64			alert_seq;
	struct list_head	rooms;
	struct ratelimit_state	log;
	struct hlist_head	owners;
	unsigned int		owner_count;
	unsigned int		past_count;
	atomic64_t		owners_dropped;
	struct rcu_head		rcu;
	struct tcpstate_cpu	shared;
};

/* tcpstate_conn.status */
#define TCPSTATE_CONN_STATE	0x0000000f	/* TCP_* or _FIN_WAIT2_MINI */
#define TCPSTATE_CONN_IPV6	0x00000010
#define TCPSTATE_CONN_SEEDED	0x00000020	/* a walk added it in this state */
#define TCPSTATE_CONN_LISTED	0x00000040	/* in home->ages[] of its state */
#define TCPSTATE_CONN_INBOX	0x00000080	/* in home->inbox, or being put */
#define TCPSTATE_CONN_END	0x00000300	/* enum tcpstate_end, if it ends */
#define TCPSTATE_CONN_CLOSED	0x00000400	/* set by the common way into a
						 * state that close() leads to
						 */
#define TCPSTATE_CONN_UNMATCHED	0x00ff0000	/* walks of the present audit
						 * that met no object for it
						 */

/**
 * struct tcpstate_conn - one connection
 * @node: in the chain of its bucket
 * @obj: struct sock or struct inet_timewait_sock that stands for it; NULL
 *	from its end on
 * @home: the block in whose inbox or lists it is; if in none, the block of
 *	the CPU of its last move
 * @since: when it entered its state, nanoseconds of CLOCK_MONOTONIC; when it
 *	was found, if it is SEEDED. Written by the owner while it is on no list.
 * @age: in home->ages[]
 * @inbox: in home->inbox, or among the free records of a chunk
 * @unchosen: in SYN_SENT, what tells whether connect() has chosen a port; see
 *	dest.c. Nothing is in a list or an inbox then.
 * @status: TCPSTATE_CONN_*; see DOC: data and locking
 * @epoch: the last walk that met its object, or was under way when it was
 *	handed over in FIN_WAIT2; whatever was there before, in one that has moved
 *	since that walk began
 * @dest: what it is an outgoing connection to; NULL if it is none. Written
 *	before it is in the chain and at its end.
 * @peer: in the shard of @dest
 * @owner: who opened or accepted it; a listener's, who called listen(). It is
 *	told by number, as @closer is: 0 if not known, or if it is the kernel.
 *	Both are written by the record's owner.
 * @closer: who closed it, if that was not @owner
 * @generation: of a mini-socket, the listing that had last begun when it took
 *	the record over; 0 if it did not
 */
struct tcpstate_conn {
	struct hlist_bl_node		node;
	const void			*obj;
	struct tcpstate_cpu		*home;
	u64				since;
	union {
		struct hlist_bl_node	age;
		struct llist_node	inbox;
		u32			unchosen;
	};
	u32				status;
	u32				epoch;
	struct tcpstate_dest		*dest;
	struct hlist_bl_node		peer;
	u16				owner;
	u16				closer;
	u32				generation;
};

/* Ports that are held for longer than so many seconds are not looked for. */
#define TCPSTATE_HOLD_SECONDS	62

/**
 * struct tcpstate_dest_use - what connections to a destination hold
 * @capacity: ports that connect() could ever get
 * @used: ports of these that are held
 * @used_by_others: of these, ports that only others' connections hold
 * @reusable: of these, ports that connect() could take again now
 * @outside: connections whose port is none of these
 * @time_wait: connections in TIME_WAIT
 * @back: used ports, not reusable, that will be available, by seconds from now
 * @rate: opens per 1000 seconds
 * @rate_known: that it is known
 * @sustainable: opens per 1000 seconds that the capacity bears; U64_MAX: not
 *	known
 * @eta_ms: until it is full; U64_MAX: never, or not known
 */
struct tcpstate_dest_use {
	u32	capacity;
	u32	used;
	u32	used_by_others;
	u32	reusable;
	u32	outside;
	u32	time_wait;
	u32	back[TCPSTATE_HOLD_SECONDS];
	u64	rate;
	bool	rate_known;
	u64	sustainable;
	u64	eta_ms;
};

/* Of a socket, what the kernel writes plainly beside this; above is told where it
 * does, and why whatever is read is good.
 */
#define tcpstate_read_racy(x)	data_race(READ_ONCE(x))

/**
 * struct tcpstate_room - the ports of a range, for one l3mdev
 * @list: in tcpstate_netns.rooms
 * @l3mdev: for sockets of this VRF; 0 for those of none
 * @read_at: when reading all this began, nanoseconds of CLOCK_MONOTONIC
 * @low: ip_local_port_range
 * @high: likewise
 * @reserved: of the range, in ip_local_reserved_ports
 * @blocked: of the rest, taken by bind()
 * @capacity: what is left
 * @inside: by port: is it one of those left?
 * @taken: by port: has it been met? For tcpstate_dest_use()
 */
struct tcpstate_room {
	struct list_head	list;
	int			l3mdev;
	u64			read_at;
	u32			low;
	u32			high;
	u32			reserved;
	u32			blocked;
	u32			capacity;
	DECLARE_BITMAP(inside, TCPSTATE_PORTS);
	DECLARE_BITMAP(taken, TCPSTATE_PORTS);
};

/**
 * struct tcpstate_port - what holds a local port
 * @sockets: connections and listeners
 * @time_wait: of these, in TIME_WAIT
 * @close_wait: of these, in CLOSE_WAIT
 * @listen: of these, listeners
 */
struct tcpstate_port {
	u32	sockets;
	u32	time_wait;
	u32	close_wait;
	u32	listen;
};

/**
 * struct tcpstate_counts - one namespace's counters, added up
 * @sockets: how many now, by state and family; NEW_SYN_RECV is not in it
 * @requests: NEW_SYN_RECV now, by family
 * @entered: entries since load, by state
 * @edge: moves by edge
 * @dwell: those that left a state, by state and by log2 of the milliseconds
 * @dwell_max: see &struct tcpstate_cpu
 * @end: likewise
 * @oldest: when the oldest entered its state, ns; 0 where there is none
 * @oldest_seeded: whether that is only when a walk found it
 * @events: grows with every change of a record
 */
struct tcpstate_counts {
	u64	sockets[TCPSTATE_STATES][TCPSTATE_FAMILIES];
	u64	requests[TCPSTATE_FAMILIES];
	u64	entered[TCPSTATE_STATES];
	u64	edge[TCPSTATE_EDGE_COUNT];
	u64	dwell[TCPSTATE_STATES][TCPSTATE_DWELL_BUCKETS];
	u64	dwell_max[TCPSTATE_STATES];
	u64	end[TCPSTATE_END_COUNT];
	u64	oldest[TCPSTATE_AGE_COUNT];
	bool	oldest_seeded[TCPSTATE_AGE_COUNT];
	u64	events;
};

/**
 * struct tcpstate_audit - what an audit found
 * @exact: no mismatch persisted
 * @walks: how many walks it took
 * @missing: objects that had no record and were given one
 * @missing_now: objects that could not be given one
 * @stale: records that no walk could match
 * @counted: the counters, by state of enum tcpstate_state
 * @walked: objects met by the last walk, by the same
 */
struct tcpstate_audit {
	bool	exact;
	u32	walks;
	u64	missing;
	u64	missing_now;
	u64	stale;
	u64	counted[TCPSTATE_STATES];
	u64	walked[TCPSTATE_STATES];
};

/* What tcpstate_conn_see() says of an object. */
enum tcpstate_seen {
	TCPSTATE_SEEN_MATCH,	/* known, in this state */
	TCPSTATE_SEEN_DIFFERS,	/* known, in another state */
	TCPSTATE_SEEN_SUSPECT,	/* no record: it may just have handed it over */
	TCPSTATE_SEEN_UNKNOWN,	/* no record, and none to give it */
	TCPSTATE_SEEN_ADDED,	/* had no record, has one now */
	TCPSTATE_SEEN_REFUSED,	/* has no record: a cap is reached */
};

/* Called with the lock of the bucket and interrupts off. */
typedef void (*tcpstate_conn_visit_t)(struct tcpstate_conn *conn, void *arg);

/**
 * tcpstate_fail() - is an allocation to fail, for a test?
 * @left: a parameter of the module's: how many still are
 *
 * Return: whether it is one of them.
 */
static inline bool tcpstate_fail(unsigned int *left)
{
	unsigned int n = READ_ONCE(*left);

	while (unlikely(n))
		if (try_cmpxchg(left, &n, n - 1))
			return true;
	return false;
}

/* conn.c: records */
int tcpstate_conn_init(void);
void tcpstate_conn_exit(void);
struct tcpstate_conn *tcpstate_conn_alloc(gfp_t gfp);
void tcpstate_conn_free(struct tcpstate_conn *conn);
void tcpstate_conn_event(void *data, const struct sock *sk, const int oldstate,
			 const int newstate);
void tcpstate_conn_freed(const struct inet_timewait_sock *tw);
void tcpstate_conn_set_family(const struct sock *sk);
void tcpstate_conn_handover(const struct inet_timewait_sock *tw,
			    const struct sock *sk);
void tcpstate_conn_set_mini(const struct inet_timewait_sock *tw);
void tcpstate_conn_end_mini(const struct inet_timewait_sock *tw,
			    enum tcpstate_end end);
enum tcpstate_seen tcpstate_conn_see(const struct sock *sk, u32 epoch,
				     struct tcpstate_conn **fresh, bool locked);
u32 tcpstate_conn_epoch_next(void);
u64 tcpstate_conn_unmatched(const struct tcpstate_netns *netns, u32 epoch,
			    u8 walks);
void tcpstate_conn_accept(const struct sock *sk);
u16 tcpstate_conn_owner(const struct sock *sk);
u32 tcpstate_conn_generation_next(void);
bool tcpstate_conn_handed_over_since(const struct tcpstate_conn *conn,
				     u32 generation);
bool tcpstate_conn_next(unsigned long *bucket);
void tcpstate_conn_visit(unsigned long bucket, tcpstate_conn_visit_t visit,
			 void *arg);
void tcpstate_conn_visit_object(const void *obj, tcpstate_conn_visit_t visit,
				void *arg);
void tcpstate_conn_settle(struct tcpstate_cpu *block);
void tcpstate_conn_requests(struct tcpstate_cpu *block, u64 requests[]);
void tcpstate_conn_flush(void);
void tcpstate_conn_walk(const struct tcpstate_netns *netns,
			void (*visit)(int state, const struct sock *sk,
				      void *arg),
			void *arg);

/* count.c: what is counted of records, and how it is added up */

/* Rows by the low byte of a status. Records that are SEEDED or LISTED have rows
 * of their own, all empty: nothing common happens to them.
 */
#define TCPSTATE_MOVE_ROWS	256

/**
 * struct tcpstate_move - what becomes of a record that enters a state
 * @count: the index in tcpstate_cpu.moved; 0: TCP makes no such move
 * @change: what changes of its status: the state; TCPSTATE_CONN_INBOX if the new
 *	one has a list of ages and it is in no inbox yet; TCPSTATE_CONN_CLOSED if
 *	it is close() that leads there
 */
struct tcpstate_move {
	u16	count;
	u16	change;
};

extern const struct tcpstate_move
tcpstate_count_moves[TCPSTATE_MOVE_ROWS][TCPSTATE_STATES_POW2];

/**
 * tcpstate_count_move_of() - look up a move of a record, whatever record it is
 * @status: the record's, before it
 * @to: the state it enters
 *
 * Return: what becomes of it.
 */
static inline const struct tcpstate_move *
tcpstate_count_move_of(u32 status, unsigned int to)
{
	return &tcpstate_count_moves[status & (TCPSTATE_CONN_STATE |
					       TCPSTATE_CONN_IPV6)][to];
}

void tcpstate_count_illegal(struct tcpstate_cpu *here, u32 status,
			    unsigned int to);
void tcpstate_count_sum(struct tcpstate_netns *netns,
			struct tcpstate_counts *sum);
void tcpstate_count_edge(unsigned int edge, int *from, int *to);
u64 tcpstate_count_oldest(struct tcpstate_netns *netns, enum tcpstate_age age);

/* netns.c: namespaces, their memory and their caps */
extern struct mutex tcpstate_netns_mutex;
extern unsigned int tcpstate_netns_id;
extern int tcpstate_netns_batch;

/**
 * struct tcpstate_pernet - what hangs in struct net
 * @netns: the namespace, while its connections are followed
 * @kept: the same until its exit has ended
 * @known: our set-up of it has run
 */
struct tcpstate_pernet {
	struct tcpstate_netns	*netns;
	struct tcpstate_netns	*kept;
	bool			known;
};

void tcpstate_netns_early(const struct net *net);

static __always_inline struct tcpstate_pernet *
tcpstate_pernet_of(const struct net *net)
{
	struct net_generic *gen;

	/* A namespace under construction may have a table older than us:
	 * net_generic() would read past its end. Tables are replaced, and the
	 * old one freed after a grace period, when a module registers.
	 */
	gen = rcu_dereference_sched(net->gen);
	return likely(tcpstate_netns_id < gen->s.len) ?
	       gen->ptr[tcpstate_netns_id] : NULL;
}

/**
 * tcpstate_netns_peek() - what is kept of a namespace
 * @net: the namespace
 *
 * Context: preemption off.
 * Return: it, or NULL: ask tcpstate_netns_of().
 */
static __always_inline struct tcpstate_netns *
tcpstate_netns_peek(const struct net *net)
{
	struct tcpstate_pernet *pernet = tcpstate_pernet_of(net);

	/* Pairs with the smp_store_release() of netns_add(). */
	return likely(pernet) ? smp_load_acquire(&pernet->netns) : NULL;
}

/**
 * tcpstate_netns_of() - what is kept of a namespace in which something happens
 * @net: the namespace
 *
 * Context: preemption off.
 * Return: it, or NULL: the namespace is being set up (its sockets so far are
 * added once it is) or taken down, or there was no memory for it.
 */
static inline struct tcpstate_netns *tcpstate_netns_of(const struct net *net)
{
	struct tcpstate_netns *netns = tcpstate_netns_peek(net);
	struct tcpstate_pernet *pernet;

	if (likely(netns))
		return netns;
	pernet = tcpstate_pernet_of(net);
	if (!pernet || !READ_ONCE(pernet->known))
		tcpstate_netns_early(net);
	return NULL;
}

int tcpstate_netns_init(void);
void tcpstate_netns_exit(void);
struct tcpstate_netns *tcpstate_netns_next(u64 id);
struct tcpstate_cpu *tcpstate_netns_block_add(struct tcpstate_netns *netns);
bool tcpstate_netns_slot_refill(struct tcpstate_cpu *here);
void tcpstate_netns_slot_drain(struct tcpstate_cpu *here);
void tcpstate_netns_slots_put(struct tcpstate_netns *netns, int count);
void tcpstate_netns_put(struct tcpstate_netns *netns);
struct net *tcpstate_netns_get_net(struct tcpstate_netns *netns);
void tcpstate_netns_untracked(struct tcpstate_netns *netns);
u64 tcpstate_netns_slots_max(void);
u64 tcpstate_netns_overflow(const struct net *net);

/* dest.c: destinations */
extern struct mutex tcpstate_dest_mutex;

void tcpstate_dest_netns_init(struct tcpstate_netns *netns);
int tcpstate_dest_init(void);
void tcpstate_dest_stop(void);
void tcpstate_dest_exit(void);
void tcpstate_dest_open(struct tcpstate_netns *netns,
			struct tcpstate_conn *conn, const struct sock *sk);
void tcpstate_dest_attach(struct tcpstate_netns *netns,
			  struct tcpstate_conn *conn, const struct sock *obj,
			  const struct sock *sk, int state);
void tcpstate_dest_detach(struct tcpstate_conn *conn, int state);
void tcpstate_dest_refuse(struct tcpstate_conn *conn, const struct sock *sk);
struct tcpstate_dest *
tcpstate_dest_find(const struct tcpstate_netns *netns,
		   const struct tcpstate_dest_key *key);
struct tcpstate_dest *tcpstate_dest_next(unsigned long *bucket, u64 *id);
int tcpstate_dest_use(struct tcpstate_dest *dest, struct net *net,
		      u64 since, struct tcpstate_dest_use *use);
u32 tcpstate_dest_conns(const struct tcpstate_dest *dest, struct net *net);
u64 tcpstate_dest_opens(struct tcpstate_dest *dest);
u64 tcpstate_dest_max(const struct tcpstate_netns *netns);

/* port.c: local ports, and what connect() could get of them */
struct tcpstate_room *tcpstate_port_room(struct tcpstate_netns *netns,
					 struct net *net, int ifindex,
					 u64 since);
void tcpstate_port_rooms_free(struct tcpstate_netns *netns, u64 before);
struct tcpstate_port *tcpstate_port_table(const struct tcpstate_netns *netns);
void tcpstate_port_one(const struct tcpstate_netns *netns, u16 number,
		       struct tcpstate_port *port);
void tcpstate_port_refuse(const struct sock *sk);

/* alert.c: thresholds, edges and who is told */

/**
 * struct tcpstate_alert - what there is to say of an alert
 * @event: what it is about
 * @severity: how bad it is; clear, if it is over
 * @since: since when, nanoseconds of CLOCK_MONOTONIC
 * @netns: the namespace
 * @dest: the destination, or NULL
 * @used: of the destination; mini-sockets, for time-wait-limit
 * @reusable: of the destination
 * @capacity: of the destination; the limit, for time-wait-limit; 0: none
 * @count: refusals this stands for; 0: none
 * @total: refusals since load
 * @threshold: that was crossed; 0: none
 * @eta_ms: until it is full; U64_MAX: never, or not known
 * @process: who did it, or NULL
 * @leak: what else there is to say of close-wait-leak, or NULL
 */
struct tcpstate_alert {
	enum tcpstate_event		event;
	enum tcpstate_severity		severity;
	u64				since;
	struct tcpstate_netns		*netns;
	struct tcpstate_dest		*dest;
	u64				used;
	u64				reusable;
	u64				capacity;
	u64				count;
	u64				total;
	u32				threshold;
	u64				eta_ms;
	struct tcpstate_process		*process;
	const struct tcpstate_leak	*leak;
};

int tcpstate_alert_init(void);
void tcpstate_alert_stop(void);
void tcpstate_alert_exit(void);
void tcpstate_alert_netns_init(struct tcpstate_netns *netns,
			       const struct net *net);
void tcpstate_alert_dest_init(struct tcpstate_dest *dest);
void tcpstate_alert_due(struct tcpstate_watch *watch);
void tcpstate_alert_refused(struct tcpstate_watch *watch,
			    const struct tcpstate_refusals *refusals);
void tcpstate_alert_forget(struct tcpstate_watch *watch);
u32 tcpstate_alert_room_floor(const struct tcpstate_netns *netns, u32 ports);
const char *tcpstate_alert_thresholds_bad(const u32 *thresholds);
void tcpstate_alert_thresholds_set(struct tcpstate_netns *netns,
				   const u32 *thresholds);
u32 tcpstate_alert_default(enum tcpstate_threshold threshold);
struct tcpstate_watch *tcpstate_alert_next(struct tcpstate_watch *watch);
struct tcpstate_netns *tcpstate_alert_netns(struct tcpstate_watch *watch);
bool tcpstate_alert_read(struct tcpstate_watch *watch,
			 enum tcpstate_event event,
			 struct tcpstate_alert *alert);

/* process.c: who did something */
void tcpstate_process_note(struct tcpstate_process *process);
void tcpstate_process_set(struct tcpstate_process *process,
			  const struct tcpstate_owner *owner, u64 when);
bool tcpstate_process_get(struct tcpstate_process *process,
			  struct tcpstate_process *copy);
void tcpstate_process_put(struct tcpstate_process *process);
int tcpstate_process_put_attr(struct sk_buff *skb, int attr,
			      struct tcpstate_process *process,
			      const struct tcpstate_reader *reader);

/* probe.c: the kernel's events */
int tcpstate_probe_init(void);
int tcpstate_probe_start(void);
void tcpstate_probe_exit(void);
bool tcpstate_probe_bind(u64 *missed);

/* walk.c: the kernel's tables */
void tcpstate_walk_seed(void);
void tcpstate_walk_seed_netns(struct tcpstate_netns *netns);
void tcpstate_walk_exit(void);
int tcpstate_walk_audit(struct tcpstate_netns *netns, u32 rechecks, bool wait,
			struct tcpstate_audit *audit);

/* netlink.c, nl-*.c: answers and messages */
int tcpstate_netlink_init(void);
void tcpstate_netlink_exit(void);
bool tcpstate_netlink_alert(struct net *net,
			    const struct tcpstate_alert *alert);

#endif /* _TCPSTATE_H */
