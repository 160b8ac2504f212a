#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo: nginx and a client that opens a connection for every request, a
# server that forgets to close, and a client that runs out of ports; what
# tcpstate-cli says of them before, during and after, next to what ss counts and
# what the clients say. Run in the virtual machine by 'make demo'. Exits 0 only
# if tcpstate and ss agreed whenever nothing moved, each audit was exact, and the
# ports ran out when they were said to.
#
# Its clock counts instructions, so that the machine below can be as slow as it
# likes: a second with nothing to do passes at once.
#
# vm-mode: icount
# vm-timeout: 1500

set -euo pipefail
cd "$(dirname "$0")/demo"

REQUESTS=1000	# of ab, for each of IPv4 and IPv6
VISITORS=12	# of the leaky server, for each of IPv4 and IPv6
LEAKY_PORT=8000
BACKEND=10.0.3.17	# of the client that runs out of ports, which is at
CLIENT=10.0.1.4
MANY=30000		# its requests: more than there are ports

export COLUMNS=80
bad=0
pids=()
nginx=
monitor=

clean_up() {
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || :
	[[ ! $monitor ]] || kill "$monitor" 2>/dev/null || :
	kill -KILL "$spinner" 2>/dev/null || :
	[[ ! $nginx ]] || nginx -c "$PWD/nginx.conf" -s quit 2>/dev/null || :
}
trap clean_up EXIT

# With nothing to run the clock leaps to the next timer, even when what is waited
# for is the host's disk. This keeps it from doing so, when all else waits.
chrt --idle 0 bash -c 'while :; do :; done' &
spinner=$!

title() {
	printf '\n=== %s %s\n' "$*" "$(printf '%*s' $((75 - ${#1})) '' | tr ' ' =)"
}

say() {
	printf '\n'
	printf '%s\n' "$*" | fold -s -w 78 | sed 's/ *$//'
}

# What somebody would type, and its output.
show() {
	printf '\n# %s\n' "$*"
	"$@"
}

wrong() {
	printf '*** %s\n' "$*"
	bad=1
}

# What ss and tcpstate-cli say of each state, as lines "STATE SOCKETS" for those
# that have any, under the kernel's names. To ss a request is a SYN-RECV.
ss_counts() {
	ss -Htan >/tmp/ss
	awk '{
		sub("ESTAB", "ESTABLISHED", $1); sub("FIN-WAIT-", "FIN_WAIT", $1)
		gsub("-", "_", $1); n[$1]++
	} END { for (s in n) if (s != "UNCONN") print s, n[s] }' /tmp/ss | sort
}

our_counts() {
	tcpstate-cli -j state >/tmp/ours
	jq -r '.states[] | "\(.state) \(.sockets)"' /tmp/ours | awk '{
		sub("NEW_SYN_RECV", "SYN_RECV"); n[$1] += $2
	} END { for (s in n) if (n[s]) print s, n[s] }' | sort
}

# One state out of such lines.
count() {
	awk -v s="$1" '$1 == s { n = $2 } END { print n + 0 }'
}

ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# Milliseconds that a command takes.
took() {
	local begin

	begin=$(ms)
	"$@" >/dev/null
	echo $(($(ms) - begin))
}

# Read both until nothing moved in between, and lay them side by side.
compare() {
	local try before after ours state differed=0

	for ((try = 0; try < 20; try++)); do
		before=$(ss_counts)
		ours=$(our_counts)
		after=$(ss_counts)
		if [[ $before == "$after" ]]; then
			[[ $ours != "$before" ]] || break
			# once could be a connection that came and went
			((++differed < 3)) || break
		fi
		sleep 0.2
	done
	printf '\n%-14s %10s %10s\n' STATE tcpstate ss
	cut -d' ' -f1 <<<"$ours"$'\n'"$before" | sort -u | while read -r state; do
		printf '%-14s %10d %10d\n' "$state" "$(count "$state" <<<"$ours")" \
			"$(count "$state" <<<"$before")"
	done
	printf '%-14s %10d %10d\n' 'every other' 0 0
	if [[ $before != "$after" ]]; then
		wrong "the machine did not come to rest: nothing to compare"
	elif [[ $ours != "$before" ]]; then
		wrong "they differ"
	else
		echo "The same. tcpstate-cli took $(took tcpstate-cli -j state) ms to say so, ss $(took ss -Htan) ms."
	fi
}

# An audit must find nothing.
audit() {
	show tcpstate-cli audit || wrong "the audit is not exact"
}

start_servers() {
	title "A web server, and one that forgets to close"
	ip link set lo up
	# a machine as small as this would keep 4096 mini-sockets and no more
	sysctl -q net.ipv4.tcp_max_tw_buckets=65536
	# not 127.0.0.1, where TIME_WAIT is reusable after a second
	ip addr add "$CLIENT/32" dev lo
	ip route add local "$BACKEND" dev lo src "$CLIENT"
	mkdir -p /var/lib/nginx /var/log/nginx
	nginx -c "$PWD/nginx.conf"
	nginx=yes
	./leaky.py "$LEAKY_PORT" &
	pids+=($!)
	until (($(ss -Htln "sport = :$LEAKY_PORT" | wc -l) == 2)); do
		sleep 0.1
	done
	say "nginx listens on port 80, leaky.py on port $LEAKY_PORT, each in IPv4 and IPv6." \
		"They were there before the module: loading it finds them."
	show insmod /tcpstate/tcpstate.ko
	show tcpstate-cli
	compare
}

run_client() {
	local url client

	title "A connection for every request"
	say "ab, without keep-alive: $REQUESTS requests in IPv4, then as many in IPv6." \
		"nginx closes each connection first, so its end goes through TIME_WAIT."
	for url in http://127.0.0.1/ 'http://[::1]/'; do
		printf '\n# ab -n %d -c 8 %s\n' "$REQUESTS" "$url"
		ab -q -n "$REQUESTS" -c 8 "$url" >/tmp/ab.log 2>&1 &
		client=$!
		if [[ $url == *::1* ]]; then
			# until a good part of the requests are under way
			until (($(ss -Htan6 state time-wait | wc -l) > 200)) || ! kill -0 "$client"; do
				sleep 0.1
			done
			say "While it runs, held for a moment so that ss sees the same:"
			printf '\n# kill -STOP %d\n' "$client"
			kill -STOP "$client"
			show tcpstate-cli
			compare
			printf '\n# kill -CONT %d\n' "$client"
			kill -CONT "$client"
			say "And is that right, with connections coming and going?"
			audit
			echo
		fi
		wait "$client" || { wrong "ab failed"; cat /tmp/ab.log; }
		grep -E '^(Complete|Failed) requests' /tmp/ab.log
	done
	say "Now that nothing moves:"
	compare
}

leak() {
	local i host

	title "The server that forgets to close"
	say "curl asks leaky.py for a page $((2 * VISITORS)) times and closes; leaky.py does not:" \
		"its ends stay in CLOSE_WAIT, and curl's in FIN_WAIT2 with no process left."
	for ((i = 0; i < VISITORS; i++)); do
		for host in 127.0.0.1 '[::1]'; do
			curl -s -o /dev/null "http://$host:$LEAKY_PORT/" || wrong "curl failed"
		done
	done
	show tcpstate-cli
	compare
	say "No setting of the kernel's ends a CLOSE_WAIT. Ending the program does:"
	printf '\n# kill %d\n' "${pids[0]}"
	kill "${pids[0]}"
	wait "${pids[0]}" 2>/dev/null || :
	pids=()
	show tcpstate-cli state close-wait
}

# One number of the destination that is used up; 0 when it is not there.
dest() {
	tcpstate-cli -j dest dst "$BACKEND" dport 80 | jq "(.[0] // {}).$1 // 0"
}

# A line of the table, every few seconds; what the monitor says goes in between.
progress() {
	local numbers

	numbers=$(tcpstate-cli -j dest dst "$BACKEND" dport 80 |
		jq -r '(.[0] // {}) | "\(.used // 0) \(.capacity // 0) \(.full_pct // 0) \(.time_wait // 0) \(
			if .full_pct == 100 then "now" elif .eta_s then "\(.eta_s | floor) s" else "-" end)"')
	read -r used capacity full time_wait full_in <<<"$numbers"
	printf '%5d s %8d %8d %6.1f %% %10d %10s\n' $((($(ms) - begin) / 1000)) "$used" "$capacity" \
		"$full" "$time_wait" "$full_in"
}

head_line() {
	printf '\n%7s %8s %8s %8s %10s %10s\n' AFTER USED OF FULL TIME_WAIT 'FULL IN'
}

exhaust() {
	local begin client used=0 capacity=0 full=0 time_wait=0 full_in='' opened

	title "Out of ports"
	say "A client without keep-alive asks a backend for $MANY pages, as fast as it can." \
		"It closes each connection first, so its port stays in TIME_WAIT for 60 s." \
		"(Most of its sockets are told which port to try: connect() would look at 14,000" \
		"taken ones for each. The last of them look themselves, and are refused.)" \
		"'tcpstate-cli monitor' runs beside it; its lines begin with '>'."
	# see client.py; before Linux 6.3 it cannot be told
	python3 -c 'import socket; socket.socket().setsockopt(0, 51, bytes(4))' 2>/dev/null ||
		sysctl -q net.ipv4.ip_local_port_range="32768 36767"
	show sysctl net.ipv4.ip_local_port_range
	: >/tmp/monitor.log
	tcpstate-cli monitor > >(while read -r line; do
		echo "$line" >>/tmp/monitor.log
		fold -s -w 76 <<<"$line" | sed 's/^/> /'
	done) &
	monitor=$!
	printf '\n# ./client.py %s 80 %d &\n' "$BACKEND" "$MANY"
	./client.py "$BACKEND" 80 "$MANY" >/tmp/client.log 2>&1 &
	client=$!
	begin=$(ms)
	head_line
	while kill -0 "$client" 2>/dev/null; do
		progress
		[[ ! -s /tmp/client.log ]] || break
		sleep 1
	done
	sleep 1
	progress
	say "Now the client has nothing to connect with. It says, and so does any other:"
	printf '\n'
	cat /tmp/client.log
	printf '\n# ab -n 1 http://%s/\n' "$BACKEND"
	{ ab -q -n 1 "http://$BACKEND/" 2>&1 || :; } | grep apr_ ||
		wrong "ab has got a port"
	say "ss says:"
	show ss -s
	say "tcpstate says:"
	show tcpstate-cli dest dst "$BACKEND"
	printf '\n# dmesg | grep tcpstate: | tail -n 1\n'
	dmesg | grep tcpstate: | tail -n 1 | fold -s -w 78
	printf '\n# tcpstate-cli check --dest %s:80\n' "$BACKEND"
	tcpstate-cli check --dest "$BACKEND:80" >/tmp/check && wrong "check does not know"
	fold -s -w 78 /tmp/check
	wait "$client" && wrong "the client was not refused"
	opened=$(sed -n 's/.* \([0-9]*\) connections opened.*/\1/p' /tmp/client.log)
	say "The client was given $opened ports; tcpstate had said that there were $capacity."
	((opened == capacity)) || wrong "that is not the same"
	(($(dest connect_failures) > 0)) || wrong "no refusal was counted"
}

# While TIME_WAIT runs out there is time for an audit.
run_out() {
	local begin used capacity full time_wait full_in

	say "Its TIME_WAITs last 60 s; no sysctl shortens that: tcp_fin_timeout is another" \
		"state's. Until they end:"
	begin=$(ms)
	head_line
	kill -STOP "$spinner"
	while :; do
		progress
		((used > 0)) || break
		if (($(ms) - begin > 100000)); then
			wrong "after 100 s some are left"
			break
		fi
		sleep 6
	done
	kill -CONT "$spinner"
}

# What the monitor has said of ports, in short; refusals are told every second.
said() {
	awk '$4 ~ /^port-/ { print $3, $4 }' /tmp/monitor.log | uniq | paste -sd, - |
		sed 's/\(,critical port-exhausted\)\(,clear port-room\)\1/\1\2/'
}

keep_alive() {
	local opens refused alerts

	title "The same with keep-alive"
	opens=$(dest opens)
	refused=$(dest connect_failures)
	alerts=$(said)
	[[ $alerts == "warning port-room,critical port-room,critical port-exhausted,clear port-room" ]] ||
		wrong "the monitor has said: $alerts"
	printf '\n# ./client.py %s 80 %d keep-alive\n' "$BACKEND" "$MANY"
	./client.py "$BACKEND" 80 "$MANY" keep-alive || wrong "the client was refused"
	show tcpstate-cli dest dst "$BACKEND"
	say "The same $MANY pages took $(($(dest opens) - opens)) connections, and the monitor had" \
		"nothing to say."
	(($(dest connect_failures) == refused)) || wrong "something was refused"
	[[ $(said) == "$alerts" ]] || wrong "it has said: $(said)"
	kill "$monitor" 2>/dev/null || wrong "the monitor has ended"
	wait "$monitor" || wrong "the monitor failed"
	monitor=
}

finish() {
	title "The audit"
	say "tcpstate-cli answers from counters. An audit compares them with a walk of" \
		"the kernel's own tables, both ways."
	audit
}

say "tcpstate on Linux $(uname -r). This takes less than three minutes of yours; this" \
	"machine's clock counts instructions, so its minutes are others."
start_servers
run_client
leak
exhaust
run_out
keep_alive
finish
title "Done"
if ((bad)); then
	say "Something was not as it should be; see the lines that begin with ***."
else
	say "At every stop tcpstate and ss agreed, each audit was exact, and the ports ran" \
		"out when tcpstate had said they would."
	say "'make vm' gives you a shell in such a machine; 'make test' runs the tests."
fi
((bad == 0))
