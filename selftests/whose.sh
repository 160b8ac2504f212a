#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm-timeout: 600
#
# Whose sockets, as tcpstate-cli tells it of real programs: a threaded server that
# never closes, nginx whose client does not read, a connection handed to another
# process; compared with ss and with the clock. And what 'close' ends.

cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

ns=tcpstate-$$-$RANDOM
work=$(mktemp -d) || exit 1
at_exit "rm -rf --one-file-system $work"
at_exit "ip netns del $ns 2>/dev/null"

inside() {
	ip netns exec "$ns" "$@"
}

cli() {
	tcpstate-cli -n "$ns" "$@"
}

# start NAME ROLE ARG...: leaves its first line in $said, its pid in $pid, and is in
# the control group $into, if any; tell NAME LINE; finish_it NAME.
declare -A input output pids
into=
start() {
	local name=$1
	shift
	mkfifo "$work/$name.in" "$work/$name.out"
	(
		[[ ! $into ]] || echo "$BASHPID" >"$into/cgroup.procs"
		exec ip netns exec "$ns" ./whose.py "$@"
	) <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" &
	pid=$!
	pids[$name]=$pid
	exec {fd_in}>"$work/$name.in" {fd_out}<"$work/$name.out"
	input[$name]=$fd_in output[$name]=$fd_out
	read -r -t 60 said <&"$fd_out" || note "$name: $(<"$work/$name.err")"
}

tell() {
	echo "$2" >&"${input[$1]}"
	read -r -t 60 said <&"${output[$1]}"
}

finish_it() {
	echo quit >&"${input[$1]}"
	wait "${pids[$1]}"
}

# count FILTER...: connections that match.
count() {
	cli -j conn "$@" | jq length
}

# What somebody would see, for the log.
show() {
	local line

	COLUMNS=80 cli "$@" | while IFS= read -r line; do
		note "$line"
	done
}

# counts N FILTER...
counts() {
	local n=$1
	shift

	[[ $(count "$@") -eq $n ]]
}

now() {
	local up

	read -r up _ </proc/uptime
	echo "$up"
}

# aged FROM TO JQ ARG...: of what tcpstate-cli says of ARGs, the least and the most of
# the ages that JQ finds (ms) are those of what happened between FROM and TO (seconds of
# uptime). It is asked until what these leave open, and how long asking took, is less than
# 5 % of the age.
aged() {
	local from=$1 to=$2 ages=$3 before after said
	local until=$((SECONDS + 100 * (2 + ${TCPSTATE_SLOW:-1})))
	shift 3

	while :; do
		before=$(now)
		said=$(cli -j "$@")
		after=$(now)
		! awk -v from="$from" -v to="$to" -v before="$before" -v after="$after" \
			'BEGIN { exit !(to - from + after - before <= (before - to) * 0.05) }' || break
		((SECONDS < until)) && continue
		note "happened $from to $to, asked $before to $after: not known to 5 %"
		return 1
	done
	ages=$(jq "[$ages] | min, max" <<<"$said" | paste -sd ' ')
	note "ages $ages ms, happened $from to $to, asked $before to $after"
	# the clock's hundredths
	awk -v ages="$ages" -v from="$from" -v to="$to" -v before="$before" -v after="$after" 'BEGIN {
		split(ages, a, " ")
		exit !(a[1] / 1000 >= before - to - 0.02 && a[2] / 1000 <= after - from + 0.02)
	}'
}

plan 63
check "the module loads" module_load
at_exit module_unload
log_begin
ip netns add "$ns"
inside ip link set lo up
inside ip addr add 10.77.0.1/32 dev lo
inside ip addr add 10.77.0.2/32 dev lo
# Where the last ACK comes while close() has the socket it waits in FIN_WAIT2 itself, and
# ends with a RST then, and the other end's CLOSE_WAIT with it; not so beyond 60 s.
inside sysctl -qw net.ipv4.tcp_fin_timeout=600

# --- a threaded server that never closes ---

cgroup=$(sed -n 's/^0:://p' /proc/self/cgroup)/leaky.service
into=/sys/fs/cgroup$cgroup
mkdir "$into" || exit 1
at_exit "rmdir $into 2>/dev/null"
inode=$(stat -c %i "$into")
start leaky leaky 8001
home=$into into=
same "a threaded server is there" ready "$said"
leaky=$pid
cli config set close-wait-warning 2s close-wait-critical 600s >/dev/null
tcpstate-cli -n "$ns" -j monitor >"$work/monitor" 2>&1 &
monitor=$!
said=$(inside ./whose.py poke 8001 20)
from=$(jq '.[0]' <<<"$said") to=$(jq '.[1]' <<<"$said")
check "what it does not close is in CLOSE_WAIT" \
	wait_for 30 counts 20 state close-wait
same "each is told with the server's pid, name and port" \
	'[{"pid":'"$leaky"',"comm":"leaky","sport":8001,"n":20}]' \
	"$(cli -j conn state close-wait | jq -c 'group_by([.owner.pid, .owner.comm, .sport]) |
		map({ pid: .[0].owner.pid, comm: .[0].owner.comm, sport: .[0].sport, n: length })')"
check "the alert is raised" wait_for 30 grep -q '"severity":"warning"' "$work/monitor"
same "and names it" "close-wait-leak leaky $leaky 8001" \
	"$(grep warning "$work/monitor" | head -n 1 |
		jq -r '"\(.event) \(.process.comm) \(.process.pid) \(.sport)"')"
check "their ages are right within 5 %" aged "$from" "$to" '.[].age_ms' conn state close-wait
same "so is what owner tells" "leaky 20 20" "$(cli -j owner comm leaky |
	jq -r '.[] | "\(.key) \(.close_wait) \(.close_wait_made)"')"
check "and the age of the oldest, within 5 %" aged "$from" "$to" '.[].oldest_close_wait_ms' \
	owner comm leaky
same "of the other end FIN_WAIT2, as many as ss shows" \
	"20 $(inside ss -Htn state fin-wait-2 | wc -l)" \
	"$(cli -j owner comm poke | jq '.[].fin_wait2') $(cli -j owner by pid |
		jq 'map(select(.comm == "poke").fin_wait2) | add')"
same "and who they came from" "poke 20 127.0.0.1 8001 20 true" "$(cli -j owner comm poke |
	jq -r '.[] | "\(.key) \(.connections) \(.destinations[0] | "\(.daddr) \(.dport) \(.connections)") \(.gone)"')"
same "by cgroup, with its path" "20 20 $inode" "$(cli -j owner by cgroup |
	jq -r --arg path "$cgroup" '.[] | select(.key == $path) | "\(.close_wait) \(.close_wait_made) \(.cgroup_id)"')"
same "so does the listing, and finds them by it" "20 [\"$cgroup\"] 20" \
	"$(count cgroup "$cgroup" state close-wait) $(cli -j conn state close-wait | jq -c 'map(.owner.cgroup) | unique'
	) $(count cgroup "$inode" state close-wait)"
show conn state close-wait top 2
show owner
show owner by cgroup
show owner comm poke
same "the overview names it" "leaky[$leaky], port 8001" \
	"$(cli | sed -n '/^CLOSE_WAIT  *20, oldest/{n;s/^ *//;s/, peer.*//p}')"
said=$(cli check --close-wait-age 1s:1h)
same "check: WARNING" 1 $?
check "and names it" grep -q "oldest CLOSE_WAIT .*, of leaky\[$leaky\] on port 8001, peer [^ ]*:[0-9]* | close_wait_age=" <<<"$said"
said=$(cli check --close-wait-age 1h:2h --close-wait 5:20)
same "check: CRITICAL by number" 2 $?
said=$(cli check --close-wait 21:22)
same "check: OK" 0 $?

said=$(tcpstate-cli -a check --close-wait-age 1s:1h)
same "check -a: WARNING" 1 $?
check "and names the namespace" grep -q "^TCPSTATE WARNING: $ns: oldest CLOSE_WAIT " <<<"$said"
same "which is judged by its own thresholds" "WARNING $ns" "$(tcpstate-cli -aj check |
	jq -r '.findings[] | select(.text | startswith("oldest")) | "\(.status) \(.netns)"')"
said=$(cli close state close-wait --ye 2>&1)
same "half a --yes ends nothing" "2 20" "$? $(count state close-wait)"
said=$(cli close cgroup "" --yes 2>&1)
same "nor does a cgroup without a name" "2 20" "$? $(count state close-wait)"

# --- to an unprivileged user ---

unprivileged() {
	inside setpriv --reuid 65534 --clear-groups --bounding-set -all --inh-caps -all tcpstate-cli "$@"
}
# what is in force, and a while to tell it
unprivileged_monitor() {
	inside timeout 10 setpriv --reuid 65534 --clear-groups --bounding-set -all --inh-caps -all \
		tcpstate-cli "$@" monitor
}
unprivileged_monitor >"$work/hidden" &
text=$!
unprivileged_monitor -j >"$work/hidden.json"
wait "$text"
same "an unprivileged user sees no owner and no holder" "20 true null null" \
	"$(unprivileged -j conn state close-wait | jq -r '"\(length) \(map(.owner_hidden) | all) \(map(.owner) | unique[]) \(
		map(.holders) | unique[])"')"
same "nor does anything else name the process" "0" "$({
	unprivileged
	unprivileged -j
	for object in state dest port "port summary" conn "conn top 5" config check; do
		# shellcheck disable=SC2086 # words
		unprivileged $object
		# shellcheck disable=SC2086 # words
		unprivileged -j $object
	done
	cat "$work/hidden" "$work/hidden.json"
} 2>&1 | grep -cE "leaky|\"pid\": *$leaky|\[$leaky\]")"
same "though the alert is told to him" "close-wait-leak null true" \
	"$(jq -r 'select(.event == "close-wait-leak") | "\(.event) \(.process) \(.process_hidden)"' "$work/hidden.json")"
same "with whose it is left out, and a sentence" 1 \
	"$(grep -c 'close-wait-leak  20 in CLOSE_WAIT for too long, the oldest for .* on port [0-9]*, of a process that is not for you to see' "$work/hidden")"
said=$(unprivileged check --close-wait-age 1s:1h)
same "so it is in the one line of check, which is a WARNING still" "1 1" "$? $(wc -l <<<"$said")"
check "before its performance data" grep -qE \
	'^TCPSTATE WARNING: oldest CLOSE_WAIT .*, of a process that is not for you to see on port 8001, peer [^ ]+:[0-9]+ \| close_wait_age=[0-9]+s;1;3600;0;$' <<<"$said"
check "conn says of how many he is not told" grep -q '^The owners of 20 are not for you to see' <(unprivileged conn state close-wait)
said=$(unprivileged owner 2>&1)
same "of owners he is told nothing" "3 tcpstate-cli: no permission: to be told of processes needs CAP_NET_ADMIN" "$? $said"
said=$(unprivileged close state close-wait --yes 2>&1)
same "nor can he end anything" "3 tcpstate-cli: no permission to end connections: it needs CAP_NET_ADMIN, run it as root" "$? $said"

# --- a way out ---

said=$(cli close state close-wait)
same "without --yes nothing is ended" "0 20" "$? $(count state close-wait)"
said=$(cli -j close state close-wait --yes)
same "with it, what was asked for" "0 20 true" "$? $(jq -r '"\(length) \(map(.gone) | all)"' <<<"$said")"
same "and ss has none left" 0 "$(ss_count "$ns" close-wait)"
check "then the alert clears" wait_for 30 grep -q '"severity":"clear"' "$work/monitor"
kill "$monitor"
wait "$monitor"
# where making them takes long, it is told in between that they become more
same "it was raised and cleared once" "warning clear" \
	"$(jq -r 'select(.event == "close-wait-leak" and
		(.severity == "clear" or .trend == "steady")) | .severity' "$work/monitor" | paste -sd ' ')"
finish_it leaky
rmdir "$home"
same "what a cgroup that is gone has made is told by its id" "null 20" "$(cli -j owner by cgroup |
	jq -r --argjson id "$inode" '.[] | select(.cgroup_id == $id) | "\(.key) \(.close_wait_made)"')"

# --- the same by IPv6, and by IPv6's sockets to mapped addresses ---

mkdir "$home" || exit 1
start leaky6 leaky 8008 1
leaky6=$pid
said=$(echo "$BASHPID" >"$home/cgroup.procs" && exec ip netns exec "$ns" ./whose.py poke 8008 20 1)
poke=$(jq '.[2]' <<<"$said")
check "by IPv6 it is in CLOSE_WAIT, too" \
	wait_for 30 counts 20 sport 8008 state close-wait
same "each is told with the server's pid and name, and its address" \
	"[[\"::1\",$leaky6,\"leaky6\",10],[\"::ffff:127.0.0.1\",$leaky6,\"leaky6\",10]]" \
	"$(cli -j conn sport 8008 state close-wait | jq -c 'group_by([.saddr, .owner.pid, .owner.comm]) |
		map([.[0].saddr, .[0].owner.pid, .[0].owner.comm, length])')"
for key in "comm poke6" "pid $poke" "uid 0" "cgroup $cgroup"; do
	# shellcheck disable=SC2086 # words
	same "where they came from by ${key%% *}: destinations, of either" \
		'[["127.0.0.1",10],["::1",10]]' \
		"$(cli -j owner $key | jq -c 'map(.destinations[] | select(.dport == 8008) |
			[.daddr, .connections]) | sort')"
done
show owner comm poke6
finish_it leaky6
rmdir "$home"

# --- nginx, whose client does not read ---

cat >"$work/nginx.conf" <<-END
	daemon off;
	worker_processes 1;
	pid $work/nginx.pid;
	error_log $work/nginx.log;
	events { }
	http {
		access_log off;
		# where this is slow it may take longer than a minute
		send_timeout 3600;
		proxy_max_temp_file_size 0;
		proxy_buffers 2 4k;
		proxy_busy_buffers_size 4k;
		client_body_temp_path $work/body;
		proxy_temp_path $work/proxy;
		fastcgi_temp_path $work/fastcgi;
		uwsgi_temp_path $work/uwsgi;
		scgi_temp_path $work/scgi;
		server {
			listen 127.0.0.1:8002 sndbuf=4k;
			location / { proxy_pass http://127.0.0.1:8003; }
		}
	}
END
start upstream upstream 8003 60000
ip netns exec "$ns" nginx -c "$work/nginx.conf" &
nginx=$!
wait_for 30 counts 1 sport 8002 state listen
start stalled stalled 8002
from=$(jq .asked <<<"$said")
check "nginx does not close its upstream connection" \
	wait_for 30 counts 1 dport 8003 state close-wait
to=$(now)
worker=$(pgrep -P "$nginx")
same "it is told with the worker's pid and name" "$worker nginx" \
	"$(cli -j conn dport 8003 state close-wait | jq -r '.[] | "\(.owner.pid) \(.owner.comm)"')"
check "with its age, within 5 %" aged "$from" "$to" '.[].age_ms' conn dport 8003 state close-wait
show conn dport 8003
tell stalled read
check "once its client reads it closes" \
	wait_for 30 counts 0 dport 8003 state close-wait
finish_it stalled
finish_it upstream
kill "$nginx"
wait "$nginx"

# --- handed to another process ---

start passes passes 8004
same "who accepted it is the owner, who has it now is told beside" \
	"$(jq -c '[.parent, [.child]]' <<<"$said")" \
	"$(cli -j conn sport 8004 state established | jq -c '.[] | [.owner.pid, [.holders[].pid]]')"
check "and in words" grep -q "now held by receives\[$(jq .child <<<"$said")\]" <(cli conn sport 8004 state established)
show conn sport 8004
# By inode, as ss -p; the processes of ss in ascending order.
same "everybody's holders are those of ss -p" \
	"$(inside ss -Htanpe 2>/dev/null | sed -n 's/.*ino:\([1-9][0-9]*\) .*/\1 &/p' | while read -r ino line; do
		echo "$ino $(grep -o 'pid=[0-9]*' <<<"$line" | cut -d= -f2 | sort -nu | paste -sd ' ')"
	done | sed 's/ *$//' | sort)" \
	"$(cli -j conn | jq -r '.[] | select(.inode) | "\(.inode) \([.holders[].pid] | sort | map(tostring) | join(" "))"' |
		sed 's/ *$//' | sort)"
finish_it passes

# --- which states can be ended ---

start states states 8005
cli -j close sport 8005 --yes >"$work/fates"
code=$?
cli -j close dport 8005 --yes >>"$work/fates"
code+=" $?"
jq -r '.[] | "\(.state) \(if .mini then "mini" else "full" end) gone=\(.gone) \(.reason)"' "$work/fates" |
	sort | while read -r line; do
	note "$line"
done
same "all full sockets are gone" true \
	"$(jq -s 'add | map(select(.mini | not) | .gone) | all' "$work/fates")"
same "the listener is there still" 1 "$(count sport 8005 state listen)"
if [[ $(uname -r) == 5.10.* ]]; then
	same "TIME_WAIT cannot be ended here, and that is said" \
		"false this kernel cannot end mini-sockets (Linux 6.1 and later can)" \
		"$(jq -r '.[] | select(.state == "TIME_WAIT") | "\(.gone) \(.reason)"' "$work/fates")"
else
	same "so is TIME_WAIT" true "$(jq -r '.[] | select(.state == "TIME_WAIT") | .gone' "$work/fates")"
fi
finish_it states

# Orphans, which nobody acknowledges anything of any more.
start lost states 8007
inside tc qdisc replace dev lo root blackhole
tell lost leave
stuck() {
	inside ss -Htan state "$1" '( sport = :8007 or dport = :8007 )' | wc -l
}
same "what it closes then stays where it is, ss says" "2 1" "$(stuck fin-wait-1) $(stuck last-ack)"
same "so does the listing, and whose that is" \
	'[["FIN_WAIT1","holds",2],["LAST_ACK","holds",1]]' \
	"$(cli -j conn comm holds state fin-wait1,last-ack |
		jq -c 'group_by(.state) | map([.[0].state, .[0].owner.comm, length])')"
show conn comm holds
cli -j close comm holds state fin-wait1,last-ack --yes >"$work/fates"
code=$?
left=$(($(stuck fin-wait-1) + $(stuck last-ack)))
jq -r '.[] | "\(.state) gone=\(.gone) \(.reason)"' "$work/fates" | while read -r line; do
	note "$line"
done
same "of each close tells what ss then says" "$left $((left > 0))" \
	"$(jq 'map(select(.gone | not)) | length' "$work/fates") $code"
check "and if it is still there, why" jq -e 'length == 3 and all(.gone or (.reason | length > 0))' "$work/fates"
inside tc qdisc del dev lo root
finish_it lost

# --- MPTCP, and what the kernel opens itself ---

second_subflow() {
	cli -j conn dport 8006 | jq -e 'any(.saddr == "10.77.0.2")' >/dev/null
}

if [[ $(inside sysctl -n net.mptcp.enabled 2>/dev/null) == 1 ]] &&
	inside ip mptcp limits set subflow 2 add_addr_accepted 2 &&
	inside ip mptcp endpoint add 10.77.0.2 dev lo subflow; then
	start mptcp mptcp 8006
	same "an MPTCP connection is its process's where that opened it" "$pid" \
		"$(cli -j conn dport 8006 | jq -r '.[] | select(.saddr == "10.77.0.1") | .owner.pid')"
	# accept() gives files to subflows without saying so: who has it now is known.
	same "where it accepted it that has it, and is not known to own it" "[null,[$pid]]" \
		"$(cli -j conn sport 8006 | jq -c '.[] | select(.daddr == "10.77.0.1") |
			[.owner, [.holders[].pid]]')"
	same "but it is the owner of what came there by plain TCP" "[[$pid,false,[$pid]],[$pid,false,[$pid]]]" \
		"$(cli -j conn | jq -c 'map(select(.saddr == "127.0.0.1" or .daddr == "127.0.0.1") |
			select(.sport == 8006 or .dport == 8006) | [.owner.pid, .unaccepted, [.holders[].pid]])')"
	wait_for 10 second_subflow
	same "a subflow that the kernel opened is nobody's" "null" \
		"$(cli -j conn dport 8006 | jq -c '.[] | select(.saddr == "10.77.0.2") | .owner')"
	finish_it mptcp
else
	pass "an MPTCP connection is its process's where that opened it # SKIP no MPTCP here"
	pass "where it accepted it that has it, and is not known to own it # SKIP no MPTCP here"
	pass "but it is the owner of what came there by plain TCP # SKIP no MPTCP here"
	pass "a subflow that the kernel opened is nobody's # SKIP no MPTCP here"
fi

check "the kernel's log is clean" log_clean
