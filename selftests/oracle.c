// SPDX-License-Identifier: GPL-2.0
/* Two readings of the same sockets: the kernel's own tools, and tcpstate. */
#define _GNU_SOURCE
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

const char *const state_name[NSTATES] = {
	[ST_ESTABLISHED] = "ESTABLISHED", [ST_SYN_SENT] = "SYN_SENT",
	[ST_SYN_RECV] = "SYN_RECV", [ST_FIN_WAIT1] = "FIN_WAIT1",
	[ST_FIN_WAIT2] = "FIN_WAIT2", [ST_TIME_WAIT] = "TIME_WAIT",
	[ST_CLOSE] = "CLOSE", [ST_CLOSE_WAIT] = "CLOSE_WAIT",
	[ST_LAST_ACK] = "LAST_ACK", [ST_LISTEN] = "LISTEN",
	[ST_CLOSING] = "CLOSING", [ST_NEW_SYN_RECV] = "NEW_SYN_RECV",
};

static const char *const ss_name[NSTATES] = {
	[ST_ESTABLISHED] = "ESTAB", [ST_SYN_SENT] = "SYN-SENT",
	[ST_SYN_RECV] = "SYN-RECV", [ST_FIN_WAIT1] = "FIN-WAIT-1",
	[ST_FIN_WAIT2] = "FIN-WAIT-2", [ST_TIME_WAIT] = "TIME-WAIT",
	[ST_CLOSE] = "UNCONN", [ST_CLOSE_WAIT] = "CLOSE-WAIT",
	[ST_LAST_ACK] = "LAST-ACK", [ST_LISTEN] = "LISTEN",
	[ST_CLOSING] = "CLOSING",
};

/* The moves a connection can make; CLOSE is before its birth and after its end. */
static const bool legal[NSTATES][NSTATES] = {
	[ST_CLOSE] = { [ST_SYN_SENT] = 1, [ST_SYN_RECV] = 1, [ST_LISTEN] = 1 },
	[ST_SYN_SENT] = { [ST_ESTABLISHED] = 1, [ST_SYN_RECV] = 1, [ST_CLOSE] = 1 },
	[ST_SYN_RECV] = { [ST_ESTABLISHED] = 1, [ST_FIN_WAIT1] = 1,
			  [ST_CLOSE_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_ESTABLISHED] = { [ST_FIN_WAIT1] = 1, [ST_CLOSE_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_FIN_WAIT1] = { [ST_FIN_WAIT2] = 1, [ST_CLOSING] = 1, [ST_CLOSE] = 1 },
	[ST_FIN_WAIT2] = { [ST_TIME_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_CLOSING] = { [ST_TIME_WAIT] = 1, [ST_CLOSE] = 1 },
	[ST_TIME_WAIT] = { [ST_CLOSE] = 1 },
	[ST_CLOSE_WAIT] = { [ST_LAST_ACK] = 1, [ST_CLOSE] = 1 },
	[ST_LAST_ACK] = { [ST_CLOSE] = 1 },
	[ST_LISTEN] = { [ST_CLOSE] = 1 },
};

static int state_by(const char *const names[], const char *name, size_t len)
{
	int s;

	for (s = 1; s < NSTATES; s++)
		if (names[s] && strlen(names[s]) == len && !strncmp(names[s], name, len))
			return s;
	return 0;
}

uint64_t in_state(const struct table *t, int state)
{
	return t->n[state][V4] + t->n[state][V6];
}

uint64_t in_any(const struct table *t)
{
	uint64_t n = 0;
	int s;

	for (s = 1; s < NSTATES; s++)
		n += in_state(t, s);
	return n;
}

int sockstat(const struct ns *ns, const char *key, uint64_t *value)
{
	char line[256], word[32];
	FILE *f;
	int rc = -1;

	if (ns_enter(ns))
		return -1;
	snprintf(word, sizeof(word), " %s ", key);
	f = fopen("/proc/net/sockstat", "re");
	while (f && rc && fgets(line, sizeof(line), f)) {
		const char *at = strncmp(line, "TCP:", 4) ? NULL : strstr(line, word);

		if (at) {
			*value = strtoull(at + strlen(word), NULL, 10);
			rc = 0;
		}
	}
	if (f)
		fclose(f);
	if (rc)
		fail("no TCP %s in /proc/net/sockstat", key);
	return ns_leave() ? -1 : rc;
}

/*
 * The family is told from the local address: ss writes IPv6 in brackets, and
 * "*" for the any-address of a socket that serves both.
 */
int ss_read_held(const struct ns *ns, struct table *t, uint64_t *held, uint64_t *unheld)
{
	char line[1024], local[256], *ino;
	int status, s, bad = 0;
	FILE *from;
	pid_t pid;

	memset(t, 0, sizeof(*t));
	if (held) {
		*held = 0;
		*unheld = 0;
	}
	pid = command_start(ns, held ? "ss -Htaneo" : "ss -Htan", &from);
	if (pid < 0)
		return -1;
	while (fgets(line, sizeof(line), from)) {
		s = state_by(ss_name, line, strcspn(line, " \t\n"));
		if (s && sscanf(line, "%*s %*s %*s %255s", local) == 1)
			t->n[s][isdigit((unsigned char)local[0]) ? V4 : V6]++;
		else
			bad = fail("ss says: %s", line);
		if (!held || s != ST_FIN_WAIT2 || strstr(line, "timer:(timewait"))
			continue;
		ino = strstr(line, " ino:");
		if (!ino)
			bad = fail("ss tells no inode: %s", line);
		else if (ino[5] == '0')
			++*unheld;
		else
			++*held;
	}
	status = command_end(pid, from);
	if (status)
		return fail("ss ended with %d", status);
	return bad ? bad : sockstat(ns, "tw", &t->mini);
}

int ss_read(const struct ns *ns, struct table *t)
{
	return ss_read_held(ns, t, NULL, NULL);
}

int nstat(const struct ns *ns, const char *name, uint64_t *value)
{
	const char *at;

	if (run(ns, "nstat -asz %s", name))
		return -1;
	at = strstr(output(), name);
	if (!at)
		return fail("nstat does not know %s", name);
	*value = strtoull(at + strlen(name), NULL, 10);
	return 0;
}

/* --- what tcpstate-cli prints --- */

static int number(struct json_object *from, const char *key, uint64_t *value)
{
	struct json_object *o;

	if (!json_object_object_get_ex(from, key, &o) ||
	    !json_object_is_type(o, json_type_int))
		return fail("tcpstate-cli: no number '%s' in %.300s", key,
			    json_object_to_json_string(from));
	*value = json_object_get_uint64(o);
	return 0;
}

static int state_of(struct json_object *from, const char *key)
{
	struct json_object *o;
	const char *name;
	int s;

	if (!json_object_object_get_ex(from, key, &o))
		return fail("tcpstate-cli: no '%s'", key);
	name = json_object_get_string(o);
	s = name ? state_by(state_name, name, strlen(name)) : 0;
	return s ? s : fail("tcpstate-cli: '%s' is no state", name ? name : "null");
}

static struct json_object *list_of(struct json_object *from, const char *key)
{
	struct json_object *o;

	if (json_object_object_get_ex(from, key, &o) &&
	    json_object_is_type(o, json_type_array))
		return o;
	fail("tcpstate-cli: no array '%s'", key);
	return NULL;
}

static int read_state(struct json_object *row, struct counters *c, unsigned int *seen)
{
	struct json_object *dwell, *o;
	uint64_t sockets;
	int s = state_of(row, "state");

	if (s < 0)
		return -1;
	*seen |= 1u << s;
	if (number(row, "sockets", &sockets) || number(row, "mini", &c->minis[s]) ||
	    number(row, "ipv4", &c->now.n[s][V4]) || number(row, "ipv6", &c->now.n[s][V6]))
		return -1;
	if (sockets != in_state(&c->now, s))
		return fail("%s: %ju sockets, but %ju ipv4 and %ju ipv6", state_name[s],
			    (uintmax_t)sockets, (uintmax_t)c->now.n[s][V4],
			    (uintmax_t)c->now.n[s][V6]);
	c->now.mini += c->minis[s];
	if (s != ST_NEW_SYN_RECV && s != ST_CLOSE && number(row, "entered", &c->entered[s]))
		return -1;
	if (json_object_object_get_ex(row, "oldest_ms", &dwell))
		c->oldest_ms[s] = json_object_get_uint64(dwell);
	if (json_object_object_get_ex(row, "stuck_after_ms", &o))
		c->stuck_after_ms[s] = json_object_get_uint64(o);
	/* null where nothing left the state yet */
	if (json_object_object_get_ex(row, "dwell_ms", &dwell) && dwell) {
		if (json_object_object_get_ex(dwell, "p50", &o))
			c->dwell_p50_ms[s] = json_object_get_double(o);
		if (json_object_object_get_ex(dwell, "p90", &o))
			c->dwell_p90_ms[s] = json_object_get_double(o);
		if (json_object_object_get_ex(dwell, "p99", &o))
			c->dwell_p99_ms[s] = json_object_get_double(o);
		if (json_object_object_get_ex(dwell, "max", &o))
			c->dwell_max_ms[s] = json_object_get_double(o);
	}
	return 0;
}

static int read_counters(struct json_object *from, struct counters *c)
{
	struct json_object *list, *tw, *o;
	unsigned int seen = 0;
	size_t i;

	memset(c, 0, sizeof(*c));
	if (!json_object_object_get_ex(from, "netns", &o))
		return fail("tcpstate-cli: no 'netns'");
	snprintf(c->netns, sizeof(c->netns), "%s", json_object_get_string(o));
	if (number(from, "netns_inode", &c->ino))
		return -1;
	list = list_of(from, "states");
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++)
		if (read_state(json_object_array_get_idx(list, i), c, &seen))
			return -1;
	if (seen != (1u << NSTATES) - 2)
		return fail("tcpstate-cli does not show all states, but 0x%x", seen);
	list = list_of(from, "transitions");
	if (!list)
		return -1;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		int a = state_of(row, "from"), b = state_of(row, "to");

		if (a < 0 || b < 0 || number(row, "count", &c->edge[a][b]))
			return -1;
	}
	if (!json_object_object_get_ex(from, "time_wait", &tw))
		return fail("tcpstate-cli: no 'time_wait'");
	if (number(tw, "limit", &c->limit) || number(tw, "overflow", &c->overflow) ||
	    number(tw, "expired", &c->expired) || number(tw, "recycled", &c->recycled) ||
	    number(tw, "killed", &c->killed))
		return -1;
	return number(from, "untracked", &c->untracked) || number(from, "inexact", &c->inexact);
}

static const char *cli(void)
{
	return from_env("TCPSTATE_CLI", "tcpstate-cli");
}

struct json_object *cli_json(const struct ns *ns, const char *arguments, int *status)
{
	struct json_object *o;

	*status = run_status(ns, "%s %s", cli(), arguments);
	o = json_tokener_parse(output());
	if (!o)
		fail("'%s %s' ended with %d: %s", cli(), arguments, *status, output());
	return o;
}

int cli_read_with(const struct ns *ns, const char *options, struct counters *c)
{
	struct json_object *o;
	char arguments[256];
	int status, rc;

	snprintf(arguments, sizeof(arguments), "-j %s state", options);
	o = cli_json(ns, arguments, &status);
	if (!o)
		return -1;
	rc = status ? fail("tcpstate-cli state ended with %d", status) : read_counters(o, c);
	json_object_put(o);
	return rc;
}

int cli_read(const struct ns *ns, struct counters *c)
{
	if (cli_read_with(ns, "", c))
		return -1;
	if (ns && c->ino != ns->ino)
		return fail("asked in namespace %ju, answered for %ju", (uintmax_t)ns->ino,
			    (uintmax_t)c->ino);
	return 0;
}

int cli_read_all(struct counters **list, size_t *n)
{
	struct json_object *o;
	int status, rc = 0;

	*list = NULL;
	*n = 0;
	o = cli_json(NULL, "-j -a state", &status);
	if (!o)
		return -1;
	if (status || !json_object_is_type(o, json_type_array))
		rc = fail("'tcpstate-cli -j -a state' ended with %d and printed no array", status);
	if (!rc) {
		size_t i;

		*n = json_object_array_length(o);
		*list = calloc(*n ? *n : 1, sizeof(**list));
		for (i = 0; i < *n && !rc; i++)
			rc = read_counters(json_object_array_get_idx(o, i), &(*list)[i]);
	}
	json_object_put(o);
	return rc;
}

const struct counters *counters_of(const struct counters *list, size_t n,
				   const struct ns *ns)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i].ino == ns->ino)
			return &list[i];
	fail("namespace %ju is not among those shown", (uintmax_t)ns->ino);
	return NULL;
}

static int read_verdict(struct json_object *o, struct verdict *v)
{
	struct json_object *list = list_of(o, "states"), *exact;
	size_t i, n;

	if (!list)
		return -1;
	n = json_object_array_length(list);
	if (!n || !json_object_object_get_ex(o, "exact", &exact) ||
	    !json_object_is_type(exact, json_type_boolean))
		return fail("tcpstate-cli audit printed no states, or not whether it is exact");
	v->exact = json_object_get_boolean(exact);
	for (i = 0; i < n; i++) {
		struct json_object *row = json_object_array_get_idx(list, i);
		uint64_t counted, walked;

		if (state_of(row, "state") < 0 || number(row, "counted", &counted) ||
		    number(row, "walked", &walked))
			return -1;
		v->counted += counted;
		v->walked += walked;
	}
	return number(o, "missing", &v->missing) || number(o, "missing_now", &v->missing_now) ||
	       number(o, "stale", &v->stale) ? -1 : 0;
}

int cli_audit(const struct ns *ns, struct verdict *v)
{
	struct json_object *o;
	int rc;

	memset(v, 0, sizeof(*v));
	o = cli_json(ns, "-j audit", &v->status);
	if (!o)
		return -1;
	rc = read_verdict(o, v);
	json_object_put(o);
	return rc;
}

static int is_good(const struct verdict *v)
{
	if (v->status || !v->exact || v->missing || v->missing_now || v->stale)
		return fail("audit ended with %d: %s", v->status, output());
	return 0;
}

int audit(const struct ns *ns)
{
	struct verdict v;

	return cli_audit(ns, &v) ? -1 : is_good(&v);
}

int audit_all(void)
{
	struct json_object *o;
	struct verdict v = { };
	size_t i, n = 0;
	int rc = 0;

	o = cli_json(NULL, "-j -a audit", &v.status);
	if (!o)
		return -1;
	if (json_object_is_type(o, json_type_array))
		n = json_object_array_length(o);
	for (i = 0; i < n && !rc; i++)
		rc = read_verdict(json_object_array_get_idx(o, i), &v) || is_good(&v) ? -1 : 0;
	json_object_put(o);
	return n ? rc : fail("'tcpstate-cli -j -a audit' printed no namespace");
}

int balanced(const struct ns *ns, const struct counters *c)
{
	int s, to;

	for (s = 1; s < NSTATES; s++) {
		uint64_t in = 0, out = 0;

		for (to = 1; to < NSTATES; to++) {
			out += c->edge[s][to];
			in += c->edge[to][s];
			if (c->edge[s][to] && !legal[s][to] &&
			    !(s == ST_CLOSE && ns && ns->late_adds))
				return fail("%ju moves %s>%s, which no connection makes",
					    (uintmax_t)c->edge[s][to], state_name[s],
					    state_name[to]);
		}
		if (s == ST_CLOSE || s == ST_NEW_SYN_RECV) {
			if (s == ST_CLOSE && in_state(&c->now, s))
				return fail("sockets in CLOSE");
			continue;
		}
		if (c->entered[s] != in)
			return fail("%s: entered %ju, transitions into it %ju", state_name[s],
				    (uintmax_t)c->entered[s], (uintmax_t)in);
		/* What ss called SYN-RECV before may have been requests. */
		if (ns && (ns->seed_unknown || (s == ST_SYN_RECV && ns->seed[s])))
			continue;
		if ((ns ? ns->seed[s] : 0) + in - out != in_state(&c->now, s))
			return fail("%s: %ju there at load, %ju entered, %ju left, %ju there",
				    state_name[s], (uintmax_t)(ns ? ns->seed[s] : 0),
				    (uintmax_t)in, (uintmax_t)out,
				    (uintmax_t)in_state(&c->now, s));
	}
	if (c->edge[ST_TIME_WAIT][ST_CLOSE] != c->expired + c->recycled + c->killed)
		return fail("%ju left TIME_WAIT, but %ju expired, %ju were recycled, %ju killed",
			    (uintmax_t)c->edge[ST_TIME_WAIT][ST_CLOSE], (uintmax_t)c->expired,
			    (uintmax_t)c->recycled, (uintmax_t)c->killed);
	return 0;
}

/* Requests as ss shows them. */
struct table table_as_ss(const struct table *t)
{
	struct table f = *t;
	int v;

	for (v = 0; v < NFAMILIES; v++) {
		f.n[ST_SYN_RECV][v] += f.n[ST_NEW_SYN_RECV][v];
		f.n[ST_NEW_SYN_RECV][v] = 0;
	}
	return f;
}

static void describe(char *into, size_t size, const struct table *t)
{
	size_t used = 0;
	int s;

	into[0] = '\0';
	for (s = 1; s < NSTATES && used < size; s++)
		if (in_state(t, s))
			used += snprintf(into + used, size - used, "%s=%ju+%ju ", state_name[s],
					 (uintmax_t)t->n[s][V4], (uintmax_t)t->n[s][V6]);
	if (used < size)
		snprintf(into + used, size - used, "mini=%ju", (uintmax_t)t->mini);
}

struct expectation {
	const char *text;
	struct table t;
	uint64_t minis[NSTATES];
	enum columns columns;
	bool whatever;			/* only what ss says counts */
};

/* Per column, how often an expectation is to be met. */
static const unsigned int factors[][NFAMILIES] = {
	[ONLY_V4] = { 1, 0 },
	[ONLY_V6] = { 0, 1 },
	[BOTH] = { 1, 1 },
	[EACH_FAMILY] = { 1, 2 },
	[ANY] = { 1, 0 },
};

static int expectation_parse(struct expectation *e, enum columns columns, const char *from)
{
	const unsigned int *factor = factors[columns];
	const char *at = from;

	memset(e, 0, sizeof(*e));
	e->text = from;
	e->columns = columns;
	for (;;) {
		uint64_t n, all;
		char *end;
		size_t len;
		int s;

		at += strspn(at, " ");
		if (!*at)
			return 0;
		len = strcspn(at, "=");
		s = state_by(state_name, at, len);
		if (!s || at[len] != '=')
			return fail("cannot read the expectation '%s'", from);
		n = strtoull(at + len + 1, &end, 10);
		e->t.n[s][V4] += n * factor[V4];
		e->t.n[s][V6] += n * factor[V6];
		all = n * (factor[V4] + factor[V6]);
		if (*end == 'm' || s == ST_TIME_WAIT) {
			e->minis[s] += all;
			e->t.mini += all;
		}
		at = end + (*end == 'm');
	}
}

/* Does ss show what is expected? */
static bool as_expected(const struct table *ss, const struct expectation *e)
{
	struct table f = table_as_ss(&e->t);
	int s;

	if (e->whatever)
		return true;
	for (s = 1; s < NSTATES; s++) {
		/* A request is IPv4's even where its listener is IPv6's. */
		bool apart = e->columns != ANY &&
			     !(s == ST_SYN_RECV && in_state(&e->t, ST_NEW_SYN_RECV));

		if (in_state(ss, s) != in_state(&f, s) ||
		    (apart && ss->n[s][V4] != f.n[s][V4]))
			return false;
	}
	return ss->mini == e->t.mini;
}

static bool same_table(const struct table *a, const struct table *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static int as_ss(const struct ns *ns, const struct expectation *e, const struct table *ss,
		 const struct counters *c)
{
	struct table ours = table_as_ss(&c->now);
	char want[512], got[512];
	int s;

	describe(want, sizeof(want), ss);
	describe(got, sizeof(got), &c->now);
	if (!same_table(&ours, ss))
		return fail("ss has '%s', tcpstate '%s'", want, got);
	for (s = 1; s < NSTATES && !e->whatever; s++) {
		if (in_state(&c->now, s) != in_state(&e->t, s) || c->minis[s] != e->minis[s])
			return fail("expected '%s', tcpstate has '%s' (%ju mini %s)", e->text,
				    got, (uintmax_t)c->minis[s], state_name[s]);
	}
	if (c->untracked != (ns ? ns->untracked : 0) || c->inexact)
		return fail("%ju untracked, %ju inexact", (uintmax_t)c->untracked,
			    (uintmax_t)c->inexact);
	return balanced(ns, c);
}

/* Can a mini-socket that somebody still holds be all that they differ in? */
static bool differ_in_minis(const struct table *ss, const struct counters *c)
{
	struct table ours = table_as_ss(&c->now);
	int s, f;

	for (s = 1; s < NSTATES; s++)
		for (f = 0; f < NFAMILIES; f++)
			if (s != ST_FIN_WAIT2 && s != ST_TIME_WAIT &&
			    ours.n[s][f] != ss->n[s][f])
				return false;
	return true;
}

/*
 * ss may take its time until it shows what is expected. From then on, and for
 * as long as it keeps showing it, tcpstate may not: only a reader that still
 * holds a mini-socket can make it lag. Where they differ in anything else,
 * which may be something that happened between the two readings, they do so
 * once.
 */
#define LAG_MS	(2000 * slowness())

/* For who reads of a failure: which sockets there are, and what they wait for. */
static int failed_with(const struct ns *ns)
{
	char line[512];
	FILE *from;
	pid_t pid;

	pid = command_start(ns, "ss -Htano | head -n 40", &from);
	if (pid < 0)
		return -1;
	while (fgets(line, sizeof(line), from))
		fprintf(stderr, "# ss: %s", line);
	command_end(pid, from);
	return -1;
}

static int agree(const struct ns *ns, const struct expectation *e)
{
	uint64_t start = now_ms(), differs_since = 0;
	struct table ss, last;
	struct counters c;
	char got[512];

	for (;; nap(start)) {
		if (ss_read(ns, &ss))
			return -1;
		if (differs_since && !same_table(&ss, &last))
			differs_since = 0;
		if (!as_expected(&ss, e)) {
			describe(got, sizeof(got), &ss);
			fail("expected '%s', ss has '%s'", e->text, got);
		} else {
			if (cli_read(ns, &c))
				return -1;
			if (!as_ss(ns, e, &ss, &c))
				return 0;
			if (!differs_since)
				differs_since = now_ms();
			else if (now_ms() - differs_since > LAG_MS ||
				 !differ_in_minis(&ss, &c))
				return failed_with(ns);
			last = ss;
		}
		if (now_ms() - start > PATIENCE_MS)
			return failed_with(ns);
	}
}

int listed_as_ss(const struct counters *list, size_t n, const struct ns *ns)
{
	struct expectation e = { .text = "what ss has", .whatever = true };
	const struct counters *c = counters_of(list, n, ns);
	struct table ss;

	return !c || ss_read(ns, &ss) ? -1 : as_ss(ns, &e, &ss, c);
}

static bool none_is_open(void)
{
	struct counters *list;
	size_t n, i;
	int rc = cli_read_all(&list, &n);

	for (i = 0; i < n && !rc; i++)
		if (in_any(&list[i].now))
			rc = fail("%ju are open in %s", (uintmax_t)in_any(&list[i].now),
				  list[i].netns);
	free(list);
	return !rc;
}

int none_open(void)
{
	return WAIT_FOR(none_is_open(), 2 * PATIENCE_MS) ? 0 : -1;
}

static bool none_shown(const struct ns dead[], int count)
{
	struct counters *list;
	size_t n;
	int i, rc = cli_read_all(&list, &n);

	for (i = 0; i < count && !rc; i++)
		if (counters_of(list, n, &dead[i]))
			rc = fail("a dead namespace is still shown, the %dth of %d", i + 1, count);
	if (!rc && !n)
		rc = fail("no namespace is shown at all");
	free(list);
	return !rc;
}

/*
 * One that dies is shown no more before TCP ends what is in it. The kernel takes
 * them down by batches, one after the other: of one made afterwards the turn
 * comes when that is done.
 */
int ns_gone(const struct ns dead[], int count)
{
	struct ns later;

	if (!WAIT_FOR(none_shown(dead, count), 2 * PATIENCE_MS) || ns_new(&later, NULL))
		return -1;
	ns_drop(&later);
	return WAIT_FOR(none_shown(&later, 1), 2 * PATIENCE_MS) ? 0 : -1;
}

static int have_a_few(const struct ns *ns, int fd[FEW_OF_ONE], unsigned int n)
{
	struct counters c;
	unsigned int i;

	for (i = 0; i < n; i++) {
		fd[i] = tcp_listen(ns, IPV4, PORT + i);
		if (fd[i] < 0)
			return -1;
	}
	if (cli_read(ns, &c))
		return -1;
	if (c.untracked || in_state(&c.now, ST_LISTEN) != n)
		return fail("only %ju of %u sockets are counted: others take up room",
			    (uintmax_t)in_state(&c.now, ST_LISTEN), n);
	return 0;
}

int none_left_behind(unsigned int kept)
{
	int fd[2][FEW_OF_ONE], i, j, rc = 0;
	struct ns ns[2];

	memset(fd, -1, sizeof(fd));
	for (i = 0; i < 2 && !rc; i++) {
		rc = ns_new(&ns[i], NULL);
		if (!rc)
			rc = have_a_few(&ns[i], fd[i], i ? FEW_OF_ONE - kept : FEW_OF_ONE);
		ns_drop(&ns[i]);
	}
	for (i = 0; i < 2; i++)
		for (j = 0; j < FEW_OF_ONE; j++)
			close_fd(&fd[i][j]);
	return rc ? rc : ns_gone(ns, 2);
}

int step(const struct ns *ns, enum columns columns, const char *expected)
{
	struct expectation e;

	return expectation_parse(&e, columns, expected) ? -1 : agree(ns, &e);
}

int ss_shows(const struct ns *ns, enum columns columns, const char *expected)
{
	struct expectation e;
	struct table ss;
	char got[512];

	if (expectation_parse(&e, columns, expected))
		return -1;
	if (WAIT_FOR(ss_read(ns, &ss) || as_expected(&ss, &e), PATIENCE_MS))
		return as_expected(&ss, &e) ? 0 : -1;
	describe(got, sizeof(got), &ss);
	fail("expected '%s', ss has '%s'", expected, got);
	return failed_with(ns);
}

int same_as_ss(const struct ns *ns)
{
	struct expectation e = { .text = "what ss has", .whatever = true };

	return agree(ns, &e);
}

int ns_note_seed(struct ns *ns)
{
	struct table t;
	int s;

	if (ss_read(ns, &t))
		return -1;
	for (s = 1; s < NSTATES; s++)
		ns->seed[s] = in_state(&t, s);
	return 0;
}

int edges(const struct ns *ns, unsigned int times, const char *expected)
{
	uint64_t want[NSTATES][NSTATES] = { };
	struct counters c;
	const char *at = expected;
	int a, b, rc = 0;

	for (;;) {
		size_t la, lb;
		char *end;

		at += strspn(at, " ");
		if (!*at)
			break;
		la = strcspn(at, ">");
		lb = at[la] ? strcspn(at + la + 1, "=") : 0;
		a = state_by(state_name, at, la);
		b = lb ? state_by(state_name, at + la + 1, lb) : 0;
		if (!a || !b || at[la + 1 + lb] != '=')
			return fail("cannot read the expectation '%s'", expected);
		want[a][b] += times * strtoull(at + la + lb + 2, &end, 10);
		at = end;
	}
	if (cli_read(ns, &c))
		return -1;
	for (a = 1; a < NSTATES; a++)
		for (b = 1; b < NSTATES; b++)
			if (c.edge[a][b] != want[a][b])
				rc = fail("expected %ju moves %s>%s, counted %ju",
					  (uintmax_t)want[a][b], state_name[a], state_name[b],
					  (uintmax_t)c.edge[a][b]);
	return rc ? rc : balanced(ns, &c);
}
