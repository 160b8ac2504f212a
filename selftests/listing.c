// SPDX-License-Identifier: GPL-2.0
/* Listings by netlink and tcpstate-cli, and the same by ss. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "linux/tcpstate.h"
#include "listing.h"

#define ATTRS	64

static_assert(TCPSTATE_A_OWNER_MAX < ATTRS && TCPSTATE_A_PROCESS_MAX < ATTRS &&
	      TCPSTATE_A_ALERT_MAX < ATTRS, "ATTRS");

/* --- netlink --- */

int socket_for(const struct ns *ns)
{
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = ns ? ns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) :
		      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (fd < 0)
		return fail("socket: %m");
	if (set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1) ||
	    set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1))
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static struct nlmsghdr *request(void *buffer, int type, int cmd, int flags)
{
	struct nlmsghdr *nlh = buffer;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);

	memset(buffer, 0, 512);
	nlh->nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	genl->cmd = cmd;
	genl->version = 1;
	return nlh;
}

static void put(struct nlmsghdr *nlh, int type, const void *data, size_t size)
{
	struct nlattr *nla = (void *)((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));

	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + size;
	memcpy(nla + 1, data, size);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + NLA_ALIGN(nla->nla_len);
}

static void parse(const struct nlattr **attrs, const void *data, size_t left)
{
	const struct nlattr *nla = data;

	memset(attrs, 0, ATTRS * sizeof(*attrs));
	while (left >= NLA_HDRLEN && nla->nla_len >= NLA_HDRLEN && nla->nla_len <= left) {
		size_t len = NLA_ALIGN(nla->nla_len);

		if ((nla->nla_type & NLA_TYPE_MASK) < ATTRS)
			attrs[nla->nla_type & NLA_TYPE_MASK] = nla;
		if (len > left)
			break;
		left -= len;
		nla = (const void *)((const char *)nla + len);
	}
}

static size_t size_of(const struct nlattr *nla)
{
	return nla->nla_len - NLA_HDRLEN;
}

static uint64_t number(const struct nlattr *nla, uint64_t otherwise)
{
	uint64_t value = 0;

	if (!nla)
		return otherwise;
	memcpy(&value, nla + 1, size_of(nla));
	return value;
}

static void text(char *to, size_t size, const struct nlattr *nla)
{
	if (nla)
		snprintf(to, size, "%.*s", (int)size_of(nla), (const char *)(nla + 1));
}

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* Of the latest answer. */
static unsigned int reads;
static uint64_t asked_us, told_us;

/* Call @take with the attributes of every message of the answer. */
static int ask(int fd, struct nlmsghdr *nlh,
	       int (*take)(const struct nlattr **attrs, void *arg), void *arg,
	       int *error, char *sentence, size_t size)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const struct nlattr *attrs[ATTRS];
	static char buffer[1 << 16];

	*error = 0;
	*sentence = 0;
	reads = 0;
	asked_us = now_us();
	if (sendto(fd, nlh, nlh->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return fail("sendto: %m");
	for (;;) {
		int n = recv(fd, buffer, sizeof(buffer), 0);

		if (n < 0)
			return fail("no answer: %m");
		told_us = now_us();
		reads++;
		for (nlh = (void *)buffer; NLMSG_OK(nlh, (unsigned int)n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			int skip = nlh->nlmsg_type == NLMSG_ERROR ? sizeof(struct nlmsgerr) :
								    sizeof(int);

			if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
				*error = -*(int *)NLMSG_DATA(nlh);
				if (nlh->nlmsg_flags & NLM_F_ACK_TLVS) {
					parse(attrs, (char *)NLMSG_DATA(nlh) + skip,
					      NLMSG_PAYLOAD(nlh, skip));
					text(sentence, size, attrs[NLMSGERR_ATTR_MSG]);
				}
				return 0;
			}
			parse(attrs, (char *)NLMSG_DATA(nlh) + GENL_HDRLEN,
			      NLMSG_PAYLOAD(nlh, GENL_HDRLEN));
			if (take(attrs, arg))
				return -1;
		}
	}
}

static int take_family(const struct nlattr **attrs, void *arg)
{
	*(int *)arg = number(attrs[CTRL_ATTR_FAMILY_ID], 0);
	return 0;
}

/* Its number changes when the module is loaded again. */
static int family_of(int fd)
{
	char buffer[512], sentence[256];
	struct nlmsghdr *nlh = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	int family = 0, error;

	put(nlh, CTRL_ATTR_FAMILY_NAME, TCPSTATE_FAMILY_NAME, sizeof(TCPSTATE_FAMILY_NAME));
	if (ask(fd, nlh, take_family, &family, &error, sentence, sizeof(sentence)))
		return -1;
	/* The answer comes first, then the acknowledgment. */
	return family ? family : fail("no family " TCPSTATE_FAMILY_NAME);
}

static void *grown(void *array, size_t n, size_t size)
{
	/* Grows at the powers of two. */
	return n & (n - 1) ? array : realloc(array, (n ? 2 * n : 1) * size);
}

static void take_process(struct told_process *process, const struct nlattr *nest)
{
	const struct nlattr *attrs[ATTRS];

	process->pid = -1;
	process->uid = -1;
	if (!nest)
		return;
	parse(attrs, nest + 1, size_of(nest));
	process->hidden = attrs[TCPSTATE_A_PROCESS_HIDDEN];
	if (process->hidden)
		return;
	process->told = true;
	process->gone = attrs[TCPSTATE_A_PROCESS_GONE];
	process->pid = number(attrs[TCPSTATE_A_PROCESS_PID], -1);
	process->uid = number(attrs[TCPSTATE_A_PROCESS_UID], -1);
	process->cgroup = number(attrs[TCPSTATE_A_PROCESS_CGROUP], 0);
	text(process->comm, sizeof(process->comm), attrs[TCPSTATE_A_PROCESS_COMM]);
}

static void take_address(struct in6_addr *addr, const struct nlattr *nla)
{
	memset(addr, 0, sizeof(*addr));
	if (!nla)
		return;
	if (size_of(nla) == 16) {
		memcpy(addr, nla + 1, 16);
		return;
	}
	addr->s6_addr[10] = 0xff;
	addr->s6_addr[11] = 0xff;
	memcpy(&addr->s6_addr[12], nla + 1, 4);
}

static int take_conn(const struct nlattr **attrs, void *arg)
{
	struct conn_list *list = arg;
	struct told_conn *conn;

	list->conn = grown(list->conn, list->n, sizeof(*conn));
	if (!list->conn)
		return fail("no memory");
	conn = &list->conn[list->n++];
	memset(conn, 0, sizeof(*conn));
	conn->netns = number(attrs[TCPSTATE_A_CONN_NETNS_INO], 0);
	conn->cookie = number(attrs[TCPSTATE_A_CONN_COOKIE], 0);
	conn->state = number(attrs[TCPSTATE_A_CONN_STATE], 0);
	conn->family = number(attrs[TCPSTATE_A_CONN_FAMILY], 0);
	conn->sport = number(attrs[TCPSTATE_A_CONN_SPORT], 0);
	conn->dport = number(attrs[TCPSTATE_A_CONN_DPORT], 0);
	conn->age_ms = number(attrs[TCPSTATE_A_CONN_AGE_MS], 0);
	conn->timeout_ms = number(attrs[TCPSTATE_A_CONN_TIMEOUT_MS], 0);
	conn->inode = number(attrs[TCPSTATE_A_CONN_INODE], 0);
	conn->mini = attrs[TCPSTATE_A_CONN_MINI];
	conn->at_least = attrs[TCPSTATE_A_CONN_AGE_AT_LEAST];
	conn->unaccepted = attrs[TCPSTATE_A_CONN_UNACCEPTED];
	conn->hidden = attrs[TCPSTATE_A_CONN_OWNER_HIDDEN];
	take_address(&conn->saddr, attrs[TCPSTATE_A_CONN_SADDR]);
	take_address(&conn->daddr, attrs[TCPSTATE_A_CONN_DADDR]);
	take_process(&conn->owner, attrs[TCPSTATE_A_CONN_OWNER]);
	take_process(&conn->closer, attrs[TCPSTATE_A_CONN_CLOSER]);
	return 0;
}

static int put_daddr(struct nlmsghdr *nlh, const char *daddr)
{
	char copy[64], addr[16], *slash;
	uint8_t prefix;
	bool is6;

	snprintf(copy, sizeof(copy), "%s", daddr);
	slash = strchr(copy, '/');
	if (slash) {
		*slash = 0;
		prefix = atoi(slash + 1);
		put(nlh, TCPSTATE_A_CONN_DADDR_PREFIX, &prefix, sizeof(prefix));
	}
	is6 = strchr(copy, ':');
	if (inet_pton(is6 ? AF_INET6 : AF_INET, copy, addr) != 1)
		return fail("no address: %s", daddr);
	put(nlh, TCPSTATE_A_CONN_DADDR, addr, is6 ? 16 : 4);
	return 0;
}

int conn_list(int fd, const struct conn_filter *f, struct conn_list *list)
{
	char buffer[512];
	struct nlmsghdr *nlh;
	int family = family_of(fd), rc;

	memset(list, 0, sizeof(*list));
	if (family < 0)
		return -1;
	nlh = request(buffer, family, TCPSTATE_CMD_CONN_GET, NLM_F_DUMP);
	if (f->all)
		put(nlh, TCPSTATE_A_CONN_ALL_NETNS, NULL, 0);
	if (f->top)
		put(nlh, TCPSTATE_A_CONN_TOP, &f->top, sizeof(f->top));
	if (f->states)
		put(nlh, TCPSTATE_A_CONN_STATES, &f->states, sizeof(f->states));
	if (f->older_ms)
		put(nlh, TCPSTATE_A_CONN_OLDER_MS, &f->older_ms, sizeof(f->older_ms));
	if (f->sport)
		put(nlh, TCPSTATE_A_CONN_SPORT, &f->sport, sizeof(f->sport));
	if (f->dport)
		put(nlh, TCPSTATE_A_CONN_DPORT, &f->dport, sizeof(f->dport));
	if (f->pid)
		put(nlh, TCPSTATE_A_CONN_PID, &f->pid, sizeof(f->pid));
	if (f->by_uid)
		put(nlh, TCPSTATE_A_CONN_UID, &f->uid, sizeof(f->uid));
	if (f->comm)
		put(nlh, TCPSTATE_A_CONN_COMM, f->comm, strlen(f->comm) + 1);
	if (f->cgroup)
		put(nlh, TCPSTATE_A_CONN_CGROUP, &f->cgroup, sizeof(f->cgroup));
	if (f->cookie)
		put(nlh, TCPSTATE_A_CONN_COOKIE, &f->cookie, sizeof(f->cookie));
	if (f->daddr && put_daddr(nlh, f->daddr))
		return -1;
	rc = ask(fd, nlh, take_conn, list, &list->error, list->sentence,
		 sizeof(list->sentence));
	list->reads = reads;
	list->asked_us = asked_us;
	list->told_us = told_us;
	return rc;
}

void conn_list_free(struct conn_list *list)
{
	free(list->conn);
	memset(list, 0, sizeof(*list));
}

static int take_owner(const struct nlattr **attrs, void *arg)
{
	struct owner_list *list = arg;
	struct told_owner *owner;

	list->owner = grown(list->owner, list->n, sizeof(*owner));
	if (!list->owner)
		return fail("no memory");
	owner = &list->owner[list->n++];
	memset(owner, 0, sizeof(*owner));
	owner->netns = number(attrs[TCPSTATE_A_OWNER_NETNS_INO], 0);
	owner->pid = number(attrs[TCPSTATE_A_OWNER_PID], -1);
	owner->uid = number(attrs[TCPSTATE_A_OWNER_UID], -1);
	owner->cgroup = number(attrs[TCPSTATE_A_OWNER_CGROUP], 0);
	text(owner->comm, sizeof(owner->comm), attrs[TCPSTATE_A_OWNER_COMM]);
	owner->gone = attrs[TCPSTATE_A_OWNER_GONE];
	owner->connections = number(attrs[TCPSTATE_A_OWNER_CONNECTIONS], 0);
	owner->time_wait = number(attrs[TCPSTATE_A_OWNER_TIME_WAIT], 0);
	owner->time_wait_made = number(attrs[TCPSTATE_A_OWNER_TIME_WAIT_MADE], 0);
	owner->fin_wait2 = number(attrs[TCPSTATE_A_OWNER_FIN_WAIT2], 0);
	owner->close_wait = number(attrs[TCPSTATE_A_OWNER_CLOSE_WAIT], 0);
	owner->close_wait_made = number(attrs[TCPSTATE_A_OWNER_CLOSE_WAIT_MADE], 0);
	owner->oldest_ms = number(attrs[TCPSTATE_A_OWNER_OLDEST_CLOSE_WAIT_MS], 0);
	owner->time_wait_rate = number(attrs[TCPSTATE_A_OWNER_TIME_WAIT_RATE], 0);
	owner->close_wait_recent = number(attrs[TCPSTATE_A_OWNER_CLOSE_WAIT_RECENT], 0);
	owner->hidden = number(attrs[TCPSTATE_A_OWNER_HIDDEN], 0);
	owner->dropped = number(attrs[TCPSTATE_A_OWNER_DROPPED], 0);
	return 0;
}

int owner_list(int fd, int by, struct owner_list *list)
{
	char buffer[512];
	uint32_t key = by;
	struct nlmsghdr *nlh;
	int family = family_of(fd);

	memset(list, 0, sizeof(*list));
	if (family < 0)
		return -1;
	nlh = request(buffer, family, TCPSTATE_CMD_OWNER_GET, NLM_F_DUMP);
	put(nlh, TCPSTATE_A_OWNER_BY, &key, sizeof(key));
	return ask(fd, nlh, take_owner, list, &list->error, list->sentence,
		   sizeof(list->sentence));
}

void owner_list_free(struct owner_list *list)
{
	free(list->owner);
	memset(list, 0, sizeof(*list));
}

static int take_group(const struct nlattr **attrs, void *arg)
{
	const struct nlattr *groups[ATTRS], *group[ATTRS];
	int i;

	if (!attrs[CTRL_ATTR_MCAST_GROUPS])
		return 0;
	parse(groups, attrs[CTRL_ATTR_MCAST_GROUPS] + 1, size_of(attrs[CTRL_ATTR_MCAST_GROUPS]));
	for (i = 0; i < ATTRS; i++) {
		if (!groups[i])
			continue;
		parse(group, groups[i] + 1, size_of(groups[i]));
		*(int *)arg = number(group[CTRL_ATTR_MCAST_GRP_ID], 0);
	}
	return 0;
}

int alerts_subscribe(int fd)
{
	char buffer[512], sentence[256];
	struct nlmsghdr *nlh = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	int group = 0, error;

	put(nlh, CTRL_ATTR_FAMILY_NAME, TCPSTATE_FAMILY_NAME, sizeof(TCPSTATE_FAMILY_NAME));
	if (ask(fd, nlh, take_group, &group, &error, sentence, sizeof(sentence)))
		return -1;
	return group ? set_option(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group) :
		       fail("no multicast group");
}

static int take_alert(const struct nlattr **attrs, void *arg)
{
	struct told_alert *alert = arg;

	memset(alert, 0, sizeof(*alert));
	alert->event = number(attrs[TCPSTATE_A_ALERT_EVENT], 0);
	alert->severity = number(attrs[TCPSTATE_A_ALERT_SEVERITY], -1);
	alert->threshold = number(attrs[TCPSTATE_A_ALERT_THRESHOLD], 0);
	alert->trend = number(attrs[TCPSTATE_A_ALERT_TREND], 0);
	alert->sport = number(attrs[TCPSTATE_A_ALERT_SPORT], 0);
	alert->count = number(attrs[TCPSTATE_A_ALERT_COUNT], 0);
	alert->unaccepted = number(attrs[TCPSTATE_A_ALERT_UNACCEPTED], 0);
	alert->oldest_ms = number(attrs[TCPSTATE_A_ALERT_OLDEST_MS], 0);
	take_process(&alert->process, attrs[TCPSTATE_A_ALERT_PROCESS]);
	return 0;
}

int alert_next(int fd, struct told_alert *alert, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	const struct nlattr *attrs[ATTRS];
	static char buffer[1 << 16];
	struct nlmsghdr *nlh = (void *)buffer;
	int n;

	if (poll(&poller, 1, ms) != 1)
		return fail("no alert in %d ms", ms);
	n = recv(fd, buffer, sizeof(buffer), 0);
	if (n < 0 || !NLMSG_OK(nlh, (unsigned int)n))
		return fail("no message: %m");
	parse(attrs, (char *)NLMSG_DATA(nlh) + GENL_HDRLEN, NLMSG_PAYLOAD(nlh, GENL_HDRLEN));
	return take_alert(attrs, alert);
}

/* One answer and its acknowledgment. */
static int simple(int fd, struct nlmsghdr *nlh, struct told_alert *alert)
{
	struct told_alert ignored;
	char sentence[256];
	int error;

	if (ask(fd, nlh, take_alert, alert ? alert : &ignored, &error, sentence,
		sizeof(sentence)))
		return -1;
	return error ? fail("error %d: %s", error, sentence) : 0;
}

int alert_get(int fd, uint32_t event, struct told_alert *alert)
{
	char buffer[512];
	struct nlmsghdr *nlh;
	int family = family_of(fd);

	if (family < 0)
		return -1;
	nlh = request(buffer, family, TCPSTATE_CMD_ALERT_GET, NLM_F_ACK);
	put(nlh, TCPSTATE_A_ALERT_EVENT, &event, sizeof(event));
	return simple(fd, nlh, alert);
}

int config_set(int fd, int attr, uint32_t value, int attr2, uint32_t value2)
{
	char buffer[512];
	struct nlmsghdr *nlh;
	int family = family_of(fd);

	if (family < 0)
		return -1;
	nlh = request(buffer, family, TCPSTATE_CMD_CONFIG, NLM_F_ACK);
	put(nlh, attr, &value, sizeof(value));
	put(nlh, attr2, &value2, sizeof(value2));
	return simple(fd, nlh, NULL);
}

/* --- ss --- */

/* As ss names them; SYN-RECV may be a request, and UNCONN is what is only bound. */
static const struct {
	const char *name;
	int state;
} ss_states[] = {
	{ "ESTAB", ST_ESTABLISHED }, { "SYN-SENT", ST_SYN_SENT }, { "FIN-WAIT-1", ST_FIN_WAIT1 },
	{ "FIN-WAIT-2", ST_FIN_WAIT2 }, { "TIME-WAIT", ST_TIME_WAIT },
	{ "CLOSE-WAIT", ST_CLOSE_WAIT }, { "LAST-ACK", ST_LAST_ACK }, { "LISTEN", ST_LISTEN },
	{ "CLOSING", ST_CLOSING }, { "SYN-RECV", ST_SYN_RECV }, { "UNCONN", ST_CLOSE },
};

static int parse_address(const char *from, uint32_t *family, struct in6_addr *addr)
{
	char mapped[64];

	*family = strchr(from, ':') ? AF_INET6 : AF_INET;
	snprintf(mapped, sizeof(mapped), "%s%s", *family == AF_INET ? "::ffff:" : "", from);
	return inet_pton(AF_INET6, mapped, addr) == 1 ? 0 : fail("no address: '%s'", from);
}

/* "ADDRESS[%DEVICE]:PORT" */
static int parse_end(char *from, uint32_t *family, struct in6_addr *addr, uint16_t *port)
{
	char *colon = strrchr(from, ':'), *percent;

	if (!colon)
		return fail("ss: no port in '%s'", from);
	*colon = 0;
	*port = atoi(colon + 1);
	percent = strchr(from, '%');
	if (percent)
		*percent = 0;
	if (*from == '[')
		from++;
	from[strcspn(from, "]")] = 0;
	if (!strcmp(from, "*")) {
		*family = AF_INET6;
		memset(addr, 0, sizeof(*addr));
		return 0;
	}
	return parse_address(from, family, addr);
}

#define MINI_TIMER	"timer:(timewait,"

/* "1min", "1min1sec", "57sec", "9.876ms", "876ms": what ss leaves out is less than 1 s. */
static uint64_t parse_time(const char *text)
{
	uint64_t ms = 0, n;
	char *end;

	for (; *text >= '0' && *text <= '9'; text = end + strspn(end, "minsec.")) {
		n = strtoull(text, &end, 10);
		ms += n * (!strncmp(end, "min", 3) ? 60000 : !strncmp(end, "ms", 2) ? 1 : 1000);
	}
	return ms;
}

static int parse_line(char *line, struct conn_list *list)
{
	char *word[6], *rest = line, *extra;
	struct told_conn *conn;
	unsigned int i;

	extra = strstr(line, " sk:");
	if (!extra)
		return fail("ss: no cookie in '%s'", line);
	list->conn = grown(list->conn, list->n, sizeof(*conn));
	if (!list->conn)
		return fail("no memory");
	conn = &list->conn[list->n];
	memset(conn, 0, sizeof(*conn));
	conn->cookie = strtoull(extra + 4, NULL, 16);
	extra = strstr(line, " ino:");
	if (extra)
		conn->inode = strtoull(extra + 5, NULL, 10);
	extra = strstr(line, MINI_TIMER);
	if (extra) {
		conn->mini = true;
		conn->timeout_ms = parse_time(extra + strlen(MINI_TIMER));
	}
	for (i = 0; i < 5; i++) {
		word[i] = strtok_r(rest, " ", &rest);
		if (!word[i])
			return fail("ss: a short line");
	}
	for (i = 0; i < sizeof(ss_states) / sizeof(*ss_states); i++)
		if (!strcmp(word[0], ss_states[i].name))
			conn->state = ss_states[i].state;
	if (!conn->state)
		return fail("ss: what state is '%s'?", word[0]);
	if (parse_end(word[3], &conn->family, &conn->saddr, &conn->sport) ||
	    parse_end(word[4], &conn->family, &conn->daddr, &conn->dport))
		return -1;
	list->n++;
	return 0;
}

int ss_list(const struct ns *ns, struct conn_list *list)
{
	char line[1024];
	int rc = 0;
	FILE *from;
	pid_t pid;

	memset(list, 0, sizeof(*list));
	pid = command_start(ns, "ss -H -tanoe", &from);
	if (pid < 0)
		return -1;
	while (fgets(line, sizeof(line), from)) {
		line[strcspn(line, "\n")] = 0;
		if (!rc)
			rc = parse_line(line, list);
	}
	return command_end(pid, from) ? fail("ss failed") : rc;
}

/* --- tcpstate-cli --- */

/* As a number, whatever it is; 0 where there is none. */
static uint64_t number_in(struct json_object *row, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(row, key, &o) ? json_object_get_uint64(o) : 0;
}

static const char *string_in(struct json_object *row, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(row, key, &o) && o ? json_object_get_string(o) : "";
}

static int conn_of_row(struct json_object *row, struct told_conn *conn)
{
	const char *state = string_in(row, "state");
	uint32_t family;
	int s;

	memset(conn, 0, sizeof(*conn));
	for (s = 1; s < NSTATES; s++)
		if (!strcmp(state, state_name[s]))
			conn->state = s;
	conn->cookie = number_in(row, "cookie");
	conn->inode = number_in(row, "inode");
	conn->sport = number_in(row, "sport");
	conn->dport = number_in(row, "dport");
	conn->mini = number_in(row, "mini");
	if (!conn->state || !conn->cookie ||
	    parse_address(string_in(row, "daddr"), &family, &conn->daddr) ||
	    parse_address(string_in(row, "saddr"), &conn->family, &conn->saddr) ||
	    strcmp(string_in(row, "family"), conn->family == AF_INET ? "ipv4" : "ipv6"))
		return fail("'conn' has the row %s", json_object_to_json_string(row));
	return 0;
}

int cli_list(const struct ns *ns, struct conn_list *list)
{
	struct json_object *rows;
	int status, rc = 0;
	size_t i;

	memset(list, 0, sizeof(*list));
	rows = cli_json(ns, "-j conn", &status);
	if (!rows)
		return -1;
	if (status || !json_object_is_type(rows, json_type_array))
		rc = fail("'conn' ended with %d: %.300s", status, output());
	for (i = 0; !rc && i < json_object_array_length(rows); i++) {
		list->conn = grown(list->conn, list->n, sizeof(*list->conn));
		if (!list->conn)
			return fail("no memory");
		rc = conn_of_row(json_object_array_get_idx(rows, i), &list->conn[list->n++]);
	}
	json_object_put(rows);
	return rc;
}

/* --- sets of connections --- */

static int compare(const void *a, const void *b)
{
	const struct told_conn *x = a, *y = b;
	int rc;

	if (x->cookie != y->cookie)
		return x->cookie < y->cookie ? -1 : 1;
	if (x->sport != y->sport)
		return x->sport < y->sport ? -1 : 1;
	if (x->dport != y->dport)
		return x->dport < y->dport ? -1 : 1;
	rc = memcmp(&x->daddr, &y->daddr, sizeof(x->daddr));
	return rc ? rc : memcmp(&x->saddr, &y->saddr, sizeof(x->saddr));
}

void conn_list_sort(struct conn_list *list)
{
	qsort(list->conn, list->n, sizeof(*list->conn), compare);
}

const struct told_conn *conn_list_find(const struct conn_list *list, const struct told_conn *conn)
{
	return bsearch(conn, list->conn, list->n, sizeof(*list->conn), compare);
}

static int complain(const char *what, const struct told_conn *c)
{
	char saddr[64], daddr[64];

	inet_ntop(AF_INET6, &c->saddr, saddr, sizeof(saddr));
	inet_ntop(AF_INET6, &c->daddr, daddr, sizeof(daddr));
	return fail("%s: sk:%jx %s %s%s:%u %s:%u", what, (uintmax_t)c->cookie,
		    state_name[c->state], c->mini ? "(mini) " : "", saddr, c->sport, daddr,
		    c->dport);
}

int conn_list_unique(const struct conn_list *list)
{
	size_t i;

	for (i = 1; i < list->n; i++)
		if (!compare(&list->conn[i - 1], &list->conn[i]))
			return complain("listed twice", &list->conn[i]);
	return 0;
}

static bool alike(const struct told_conn *a, const struct told_conn *b)
{
	return a->state == b->state && a->mini == b->mini && a->family == b->family &&
	       a->inode == b->inode;
}

/* Requests and what is only bound have no record, but ss shows them. */
static bool may_be_without(const struct told_conn *c)
{
	return c->state == ST_SYN_RECV || c->state == ST_CLOSE;
}

size_t conns_only_in(const struct conn_list *ss, const struct conn_list *ours, int state)
{
	size_t i, n = 0;

	for (i = 0; i < ss->n; i++)
		n += ss->conn[i].state == (uint32_t)state && !conn_list_find(ours, &ss->conn[i]);
	return n;
}

int same_conns(const struct conn_list *before, const struct conn_list *ours,
	       const struct conn_list *after)
{
	const struct told_conn *a, *b, *c;
	size_t i;

	if (conn_list_unique(ours))
		return -1;
	for (i = 0; i < ours->n; i++) {
		b = &ours->conn[i];
		a = conn_list_find(before, b);
		c = conn_list_find(after, b);
		if (!a && !c)
			return complain("ss does not show", b);
		if (!(a && alike(a, b)) && !(c && alike(c, b)))
			return complain("ss shows otherwise", b);
	}
	for (i = 0; i < before->n; i++) {
		a = &before->conn[i];
		if (!may_be_without(a) && conn_list_find(after, a) && !conn_list_find(ours, a))
			return complain("only ss shows", a);
	}
	return 0;
}

/* --- who holds them --- */

struct holder_list {
	struct told_holder *holder;
	size_t n;
};

static int add_holder(struct holder_list *list, uint64_t inode, uint32_t pid, const char *comm)
{
	struct told_holder *holder;

	list->holder = grown(list->holder, list->n, sizeof(*holder));
	if (!list->holder)
		return fail("no memory");
	holder = &list->holder[list->n++];
	memset(holder, 0, sizeof(*holder));
	holder->inode = inode;
	holder->pid = pid;
	snprintf(holder->comm, sizeof(holder->comm), "%s", comm);
	return 0;
}

/* users:(("COMM",pid=PID,fd=FD),...) ... ino:INODE */
static int holders_of_line(const char *line, struct holder_list *list)
{
	const char *inode = strstr(line, " ino:"), *user = strstr(line, "users:((");
	unsigned int pid;
	char comm[16];

	for (; inode && user; user = strstr(user + 1, "(\"")) {
		if (*user == 'u')
			continue;
		if (sscanf(user, "(\"%15[^\"]\",pid=%u", comm, &pid) != 2)
			return fail("ss: whose is '%s'?", line);
		if (add_holder(list, strtoull(inode + 5, NULL, 10), pid, comm))
			return -1;
	}
	return 0;
}

static int ss_holders(const struct ns *ns, const char *state, uint16_t port,
		      struct holder_list *list)
{
	char line[4096];
	int rc = 0;
	FILE *from;
	pid_t pid;

	snprintf(line, sizeof(line), "ss -Htanpe state %s sport = :%u", state, port);
	pid = command_start(ns, line, &from);
	if (pid < 0)
		return -1;
	while (fgets(line, sizeof(line), from))
		if (!rc)
			rc = holders_of_line(line, list);
	return command_end(pid, from) ? fail("ss failed") : rc;
}

static int holders_of_row(struct json_object *row, struct holder_list *list)
{
	struct json_object *inode, *holders, *pid, *comm;
	size_t i;

	if (!json_object_object_get_ex(row, "inode", &inode) ||
	    !json_object_object_get_ex(row, "holders", &holders) || !holders)
		return fail("'conn' does not tell who holds it");
	for (i = 0; i < json_object_array_length(holders); i++) {
		struct json_object *one = json_object_array_get_idx(holders, i);

		if (!json_object_object_get_ex(one, "pid", &pid) ||
		    !json_object_object_get_ex(one, "comm", &comm) || !comm)
			return fail("'conn' tells of a holder without a name");
		if (add_holder(list, json_object_get_uint64(inode), json_object_get_int(pid),
			       json_object_get_string(comm)))
			return -1;
	}
	return 0;
}

static int cli_holders(const struct ns *ns, const char *state, uint16_t port,
		       struct holder_list *list)
{
	struct json_object *rows;
	char arguments[128];
	int status, rc = 0;
	size_t i;

	snprintf(arguments, sizeof(arguments), "-j conn state %s sport %u", state, port);
	rows = cli_json(ns, arguments, &status);
	if (!rows)
		return -1;
	if (status)
		rc = fail("'%s' ended with %d", arguments, status);
	for (i = 0; !rc && i < json_object_array_length(rows); i++)
		rc = holders_of_row(json_object_array_get_idx(rows, i), list);
	json_object_put(rows);
	return rc;
}

static int compare_holders(const void *a, const void *b)
{
	const struct told_holder *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Sorted; one process may have it open more than once, which ss shows. */
static void once_each(struct holder_list *list)
{
	size_t i, n = 0;

	if (list->n)
		qsort(list->holder, list->n, sizeof(*list->holder), compare_holders);
	for (i = 0; i < list->n; i++)
		if (!n || compare_holders(&list->holder[n - 1], &list->holder[i]))
			list->holder[n++] = list->holder[i];
	list->n = n;
}

int same_holders(const struct ns *ns, const char *state, uint16_t port, size_t *n)
{
	struct holder_list ss = { }, ours = { };
	size_t i;
	int rc;

	rc = ss_holders(ns, state, port, &ss) || cli_holders(ns, state, port, &ours) ? -1 : 0;
	once_each(&ss);
	once_each(&ours);
	for (i = 0; !rc && i < ss.n && i < ours.n; i++) {
		const struct told_holder *a = &ss.holder[i], *b = &ours.holder[i];

		if (compare_holders(a, b) || strcmp(a->comm, b->comm))
			rc = fail("ss: %ju by %s[%u]; conn: %ju by %s[%u]", (uintmax_t)a->inode,
				  a->comm, a->pid, (uintmax_t)b->inode, b->comm, b->pid);
	}
	if (!rc && ss.n != ours.n)
		rc = fail("ss shows %zu that hold one, conn %zu", ss.n, ours.n);
	*n = ss.n;
	free(ss.holder);
	free(ours.holder);
	return rc;
}
