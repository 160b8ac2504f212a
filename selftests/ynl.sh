#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel tree's own netlink command line, ynl, drives the family with
# nothing of ours but the specification.

cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

root=${TCPSTATE_ROOT:-/tcpstate}
spec=$root/Documentation/netlink/specs/tcpstate.yaml
cli=$root/tools/net/ynl/cli.py
ns=tcpstate-$$-$RANDOM

[[ -e $cli ]] || skip_all "there is no $cli"

# Checking the specification against its schema takes longer than all else: once will do.
ynl=(python3 "$cli" --spec "$spec" --no-schema --output-json)

inside() {
	ip netns exec "$ns" "$@"
}

list_ops() {
	python3 "$cli" --spec "$spec" --list-ops |
		sed -n 's/^\([a-z-]*\)  *\[ *\([a-z]*\), *\([a-z]*\) *\]$/\1 \2\n\1 \3/p' | sort | paste -sd ' '
}

# Sockets in each state, as tcpstate names them: "STATE COUNT" lines.
by_ss() {
	inside ss -Htan | awk '
		BEGIN {
			name["ESTAB"] = "ESTABLISHED"
			name["FIN-WAIT-1"] = "FIN_WAIT1"
			name["FIN-WAIT-2"] = "FIN_WAIT2"
		}
		{ s = $1 in name ? name[$1] : $1; gsub("-", "_", s); n[s]++ }
		END { for (s in n) print s, n[s] }' | sort
}

# What ynl and tcpstate-cli say, in one form: all but the times, which go on.
of_ynl='def name: ascii_upcase | gsub("-"; "_");
	{
		netns: ."netns-ino",
		states: [.state[] | { state: (.state | name), sockets, ipv4, ipv6, mini, entered }],
		transitions: [.transition[]? | { from: (.from | name), to: (.to | name), count }],
		time_wait: ."time-wait", untracked, inexact
	}'
of_cli='{
		netns: .netns_inode,
		states: [.states[] | { state, sockets, ipv4, ipv6, mini, entered }],
		transitions, time_wait, untracked, inexact
	}'
counts='.states[] | select(.sockets > 0) | "\(.state) \(.sockets)"'

# Ask all while nothing changes: TIME_WAIT may end in between.
read_all() {
	local before

	for _ in 1 2 3 4 5; do
		before=$(by_ss)
		inside "${ynl[@]}" --do state-get >"$tmp/raw" ||
			return 1
		jq -S "$of_ynl" "$tmp/raw" >"$tmp/ynl"
		"${ynl[@]}" --dump state-get >"$tmp/dump" || return 1
		inside tcpstate-cli -j state | jq -S "$of_cli" >"$tmp/cli"
		by_ss >"$tmp/ss"
		[[ $before != "$(<"$tmp/ss")" ]] || return 0
	done
	echo "ss shows something else each time"
	return 1
}

agrees_with_ss() {
	jq -r "$counts" "$tmp/ynl" | sort | diff - "$tmp/ss"
}

# In a dump a namespace may be spread over several messages; merged they are one
# answer. That of our namespace, to be compared with the one it gave itself.
dump_merged() {
	jq -S --argjson ino "$ino" "map(select(.\"netns-ino\" == \$ino)) | add | $of_ynl" "$tmp/dump" |
		diff - "$tmp/ynl"
}

# same_rows OF OP JSON OBJECT ROW: what ynl dumps of our namespace is what tcpstate-cli
# lists, row by row: ROW makes a line of either, with the keys as tcpstate-cli has them.
# OF is "inside", or nothing where only the initial namespace may dump. Between the
# two a TIME_WAIT may end.
same_rows() {
	local of=$1 op=$2 json=$3 object=$4 row=$5

	for _ in 1 2 3; do
		$of "${ynl[@]}" --dump "$op" --json "$json" >"$tmp/dump" || return
		jq -r --argjson ino "$ino" "map(select(.\"netns-ino\" == \$ino) |
			with_entries(.key |= gsub(\"-\"; \"_\"))) | .[] | $row" "$tmp/dump" | sort >"$tmp/ynl.rows"
		# shellcheck disable=SC2086 # several words
		inside tcpstate-cli -j $object | jq -r "[.] | flatten | .[] | $row" | sort >"$tmp/cli.rows"
		[[ -s $tmp/ynl.rows ]] && cmp -s "$tmp/ynl.rows" "$tmp/cli.rows" && return
	done
	diff "$tmp/ynl.rows" "$tmp/cli.rows"
	return 1
}

leak_told() {
	inside tcpstate-cli | grep -q close-wait-leak
}

# The alert of what is in CLOSE_WAIT is cleared and raised again for as long as ynl
# listens, which it does for so many seconds before it looks what has come.
edge_heard() {
	local listener

	inside "${ynl[@]}" --subscribe alerts --sleep $((4 * ${TCPSTATE_SLOW:-1})) >"$tmp/heard" &
	listener=$!
	while kill -0 $listener 2>/dev/null; do
		inside tcpstate-cli config set close-wait-warning 590 || return
		wait_for 60 eval '! leak_told' || return
		inside tcpstate-cli config set close-wait-warning 1 || return
		wait_for 60 leak_told || return
	done
	wait $listener || return
	jq -e '[.[] | select(.name == "alert-ntf") | .msg | select(.event == "close-wait-leak") |
		.severity] | contains(["warning"])' "$tmp/heard" && return
	cat "$tmp/heard"
	return 1
}

# refused SENTENCE COMMAND...: ynl ends with 1 and shows the kernel's sentence.
refused() {
	local sentence=$1 said rc=0
	shift

	said=$("$@" --no-schema 2>&1) || rc=$?
	[[ $rc == 1 && $said == *"'msg': '$sentence'"* ]] && return
	echo "ended with $rc: $said"
	return 1
}

plan 27
log_begin
tmp=$(mktemp -d)
at_exit "rm -rf $tmp"
check "the module loads" module_load
at_exit '[[ ! -d /sys/module/tcpstate ]] || module_unload'
ip netns add "$ns"
at_exit "ip netns delete $ns"
inside ip link set lo up
ino=$(inside stat -L -c %i /proc/self/ns/net)

# Of each family: 3 open, 1 half-closed, 1 that its server did not close, 2 in TIME_WAIT.
coproc sockets {
	exec ip netns exec "$ns" python3 -c '
import socket, sys
keep = []
for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    server = socket.create_server((host, 7000), family=family)
    pairs = []
    for i in range(7):
        client = socket.create_connection((host, 7000))
        pairs.append((client, server.accept()[0]))
    pairs[3][0].shutdown(socket.SHUT_WR)
    pairs[4][0].close()
    for client, accepted in pairs[5:]:
        client.close()
        accepted.recv(1)
        accepted.close()
    keep.append((server, pairs))
print("ready", flush=True)
sys.stdin.read()
'
}
# shellcheck disable=SC2154 # coproc sets it
at_exit "kill $sockets_PID 2>/dev/null"
read -r ready <&"${sockets[0]}"

same "the specification fits its schema, and offers" \
	"$(printf '%s do\n%s dump\n' {alert-get,audit,config,conn-get,dest-get,owner-get,port-get,port-summary-get,state-get}{,} |
		paste -sd ' ')" "$(list_ops)"
same "there are connections to be seen" ready "$ready"
check "state-get is answered" read_all
check "it counts what ss counts" agrees_with_ss
check "it is what tcpstate-cli shows" diff "$tmp/ynl" "$tmp/cli"
same "times of the states left are in its histograms" true "$(jq '
	[.transition[] | { key: .from, value: .count }] as $left | . as $all |
	[.state[] | select(.dwell) | .state as $s | (.dwell | length == 24) and
		(.dwell | add) == ([$left[] | select(.key == $s).value] | add)] | length > 5 and all' "$tmp/raw")"
same "asked for one state, it tells of no other" '["netns-ino","age-ms","state"] ["listen"] 2' "$(
	inside "${ynl[@]}" --do state-get --json '{"only": "listen"}' |
		jq -r '"\(keys_unsorted) \([.state[].state]) \(.state[0].sockets)"')"
check "a dump tells of this namespace the same" dump_merged
same "an audit is exact: it walked what is counted" "1 true true" "$(
	inside "${ynl[@]}" --do audit --json '{"rechecks": 3}' |
		jq -r '"\(.exact) \(.state | all(.walked == .counted)) \(.state | any(.walked > 0))"')"
same "a dump of audits is exact, for each namespace" "[1] true" "$(
	"${ynl[@]}" --dump audit --json '{"rechecks": 3}' |
		jq -r --argjson ino "$ino" '"\(map(.exact) | unique) \(any(."netns-ino" == $ino))"')"
check "conn-get: what it dumps is what tcpstate-cli lists" \
	same_rows inside conn-get '{}' conn \
	'"\(.cookie) \(.state | ascii_upcase | gsub("-"; "_")) \(.sport) \(.dport)"'
check "conn-get: filtered alike" same_rows inside conn-get '{"states": 256, "sport": 7000}' \
	"conn state close-wait sport 7000" '"\(.cookie) \(.dport)"'
same "ss shows as many" "$(inside ss -Htn state close-wait sport = 7000 | wc -l)" "$(wc -l <"$tmp/ynl.rows")"
check "dest-get: likewise" same_rows inside dest-get '{}' dest '"\(.dport) \(.used) \(.capacity) \(.opens)"'
check "port-get: likewise" same_rows inside port-get '{}' port '"\(.port) \(.sockets) \(.close_wait) \(.listen)"'
check "port-summary-get: likewise" same_rows "" port-summary-get '{}' "port summary" \
	'"\(.low) \(.high) \(.destinations) \(.bind_failures)"'
same "what its walk counts, too" \
	"$(inside tcpstate-cli -j port summary | jq -r '"\(.reserved) \(.in_use)"')" "$(
	inside "${ynl[@]}" --do port-summary-get --json '{"walk": true}' | jq -r '"\(.reserved) \(."in-use")"')"
check "owner-get: likewise" same_rows inside owner-get '{"by": "pid"}' "owner by pid" \
	'"\(.pid // .key) \(.connections) \(.close_wait) \(.time_wait_made)"'
ynl_set=$(inside "${ynl[@]}" --do config --json '{"close-wait-critical": 601}' | jq '."close-wait-critical"')
same "config: what ynl sets, it is told" 601 "$ynl_set"
check "config: and so is tcpstate-cli" same_rows "" config '{}' config \
	'"\(.port_room_warning) \(.time_wait_critical) \(.close_wait_warning) \(.close_wait_critical)"'
check "alerts: ynl hears an edge" edge_heard
check "alert-get: what it dumps is what tcpstate-cli shows" same_rows inside alert-get '{}' "" \
	'(.alerts? // [.] | .[] | "\(.event) \(.severity) \(.threshold)")'
check "refused: an audit without its attribute" \
	refused "the attribute rechecks is missing" python3 "$cli" --spec "$spec" --do audit
check "refused: a state that there is none of" \
	refused "integer out of range" python3 "$cli" --spec "$spec" --do state-get --json '{"only": 13}'
check "refused: all namespaces, from within another" \
	refused "all namespaces can be asked for in the initial one only" \
	ip netns exec "$ns" python3 "$cli" --spec "$spec" --dump state-get
check "the kernel complained of nothing" log_clean
