#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo: nginx and a client that opens a connection for every request, and a
# server that forgets to close; what tcpstate-cli says of them before, during
# and after, next to what ss counts. Run in the virtual machine by 'make demo'.
# Exits 0 only if the two agreed whenever nothing moved and each audit was exact.
#
# vm-smp: 2
# vm-timeout: 240

set -euo pipefail
cd "$(dirname "$0")/demo"

REQUESTS=4000	# of ab, for each of IPv4 and IPv6
VISITORS=12	# of the leaky server, for each of IPv4 and IPv6
LEAKY_PORT=8000

bad=0
pids=()
nginx=

clean_up() {
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || :
	[[ ! $nginx ]] || nginx -c "$PWD/nginx.conf" -s quit 2>/dev/null || :
}
trap clean_up EXIT

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
			say "While it runs:"
			show tcpstate-cli
			say "And is that right, with connections coming and going?"
			audit
			echo
		fi
		wait "$client" || { wrong "ab failed"; cat /tmp/ab.log; }
		grep -E '^(Complete requests|Failed requests|Requests per second)' /tmp/ab.log
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

run_out() {
	local begin ours theirs

	title "TIME_WAIT runs out"
	say "It lasts 60 s; no sysctl shortens it. One line every 5 s (ss is asked first, so" \
		"while they end it can show some more):"
	printf '\n%8s %20s %10s\n' AFTER 'TIME_WAIT: tcpstate' ss
	begin=$(ms)
	while :; do
		theirs=$(ss_counts | count TIME_WAIT)
		ours=$(our_counts | count TIME_WAIT)
		printf '%6d s %20d %10d\n' $((($(ms) - begin) / 1000)) "$ours" "$theirs"
		((ours + theirs)) || break
		if (($(ms) - begin > 120000)); then
			wrong "after 120 s some are left"
			break
		fi
		sleep 5
	done
	show tcpstate-cli
	compare
	show tcpstate-cli state time-wait
}

finish() {
	title "The audit"
	say "tcpstate-cli answers from counters. An audit compares them with a walk of" \
		"the kernel's own tables, both ways."
	audit
}

say "tcpstate on Linux $(uname -r), $(nproc) CPUs. This takes about two minutes."
start_servers
run_client
leak
run_out
finish
title "Done"
if ((bad)); then
	say "Something was not as it should be; see the lines that begin with ***."
else
	say "At every stop tcpstate and ss agreed, and each audit was exact."
	say "'make vm' gives you a shell in such a machine; 'make test' runs the tests."
fi
((bad == 0))
