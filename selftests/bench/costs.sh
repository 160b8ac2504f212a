#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# costs.sh: what bench.sh runs in a machine that counts time in instructions.
# Its output is for bench.sh: lines "progress TEXT", and "value NAME NUMBER...".
#
# What is read from a disk comes with a wait of unknown length: every program
# is run once before it is measured. Waiting otherwise costs nothing here: while
# nothing runs, the clock jumps to the next timer.
#
# BENCH_SIZES: among how many sockets in TIME_WAIT the rest is measured; without
# any, only a connection among none is.
#
# vm-mode: measure
# vm-mem: 4096
# vm-timeout: 3600

set -euo pipefail
cd "$(dirname "$0")"

sizes=${BENCH_SIZES-}
rounds=${BENCH_ROUNDS-6}
cycles=1000
# Rounds of so many to a destination near its threshold, and one before them: a second's
# worth, as the module looks at it every second; and fewer than half of the range, or
# connect() would look at all of that half before it takes one of the other.
near="1500 7"

progress() { echo "progress $*"; }
value() { echo "value $*"; }

time_wait() {
	awk '$1 == "TCP:" { for (i = 2; i < NF; i++) if ($i == "tw") print $(i + 1) }' \
		/proc/net/sockstat
}

# Every measurement begins with no TIME_WAIT.
wait_empty() {
	while (($(time_wait) > 0)); do
		sleep 1
	done
}

# load SIZE [PARAMETER...]: load the module, and wait until it has looked at every
# socket once more, which it does a second later and tells in the log. load-said is
# what it said before.
load() {
	local size=$1
	shift

	dmesg -C
	value load "$size" "$(time_wait)" "$(./cost 1 "$insmod" /tcpstate/tcpstate.ko "$@")"
	value load-said "$size" "$(dmesg |
		sed -n 's/.*: \([0-9]*\) connections found at load, in \([0-9]*\) ms/\1 \2/p')"
	until dmesg | grep -q 'had been missed at load'; do
		sleep 1
	done
}

# Bytes that an object of a slab takes, with what is left over of its pages. The
# slab may be one for several kinds of objects, and its line in slabinfo another's.
slab_bytes() {
	local slab=/sys/kernel/slab/$1

	echo $((($(getconf PAGESIZE) << $(<"$slab/order")) / $(<"$slab/objs_per_slab")))
}

# Bytes of memory taken by what a module allocates, and by the module.
kernel_memory() {
	cat /proc/sys/vm/stat_refresh
	awk '/^(SUnreclaim|VmallocUsed|Percpu):/ { sum += $2 }
		END { printf "%.0f\n", sum * 1024 }' /proc/meminfo
}

# measure NAME SIZE RUNS COMMAND...: a value line with the sockets there were.
measure() {
	local name=$1 size=$2 runs=$3 cost
	shift 3

	cost=$(./cost "$runs" "$@")
	value "command.$name" "$size" "$(time_wait)" "$runs" "$cost"
}

# cycle_near loaded|bare: the cheapest round, and as "second" the mean of them all.
cycle_near() {
	local best worst mean

	# shellcheck disable=SC2086
	read -r best worst mean < <(./cycle $near mean)
	value "cycle.near.$1" "$best $worst 0"
	value "cycle.second.$1" "$mean $mean 0"
}

# A connection to a destination whose warning is at the first percent, while somebody
# listens to alerts, and reads them afterwards: that is not the module's. In the first
# round it reaches the threshold, which is told; after that it is near it.
near_threshold() {
	local log=/run/monitor.log monitor i

	load 0 port_room_warning=1 >/dev/null
	"$cli" -j monitor >$log &
	monitor=$!
	# a member of a group of generic netlink's
	until awk '$2 == 16 && $4 ~ /[1-9a-f]/ { n++ } END { exit !n }' /proc/net/netlink; do
		sleep 0.1
	done
	kill -STOP $monitor
	cycle_near loaded
	kill -CONT $monitor
	for ((i = 0; i < 100; i++)); do
		! grep -q '"port-room"' $log || break
		sleep 0.1
	done
	kill $monitor
	wait $monitor || :
	if ((i == 100)); then
		echo "no alert was told: the destination was not near its threshold"
		exit 1
	fi
	rmmod tcpstate
}

# The mean of some rounds, each to a destination of its own that has too few for a look.
# The cheapest of three would depend on how many slabs the kernel had to make in it,
# for its own sockets: they take as much as a tenth of what is measured.
among_mean() {
	local sum=0 n=4 i cost

	for ((i = 0; i < n; i++)); do
		read -r cost _ < <(./cycle $cycles 1)
		sum=$((sum + cost))
	done
	echo $((sum / n))
}

# A connection among as many as there are; without the module before and after, since
# what it costs changes as memory and ports are used.
among() {
	local size=$1 there before loaded after

	progress "$size sockets in TIME_WAIT: a connection among them"
	there=$(time_wait)
	before=$(among_mean)
	load "$size" >/dev/null
	loaded=$(among_mean)
	rmmod tcpstate
	after=$(among_mean)
	# unless they began to end in between: that would be measured too
	if (($(time_wait) == there + 12 * cycles)); then
		value among.bare "$size $(((before + after) / 2)) 0 0"
		value among.loaded "$size $loaded 0 0"
	else
		progress "the $size did not last long enough for that: not measured"
	fi
}

# bpftrace runs a command once all is attached, and prints its counts when that
# has ended.
cycle_watched() {
	local log=/run/bpftrace.log cost

	bpftrace -e "$1" -c "$PWD/cycle $cycles 3" >$log 2>&1 || :
	cost=$(grep -xE '[0-9]+ [0-9]+ [0-9]+' $log || :)
	if [[ $cost ]] && grep -q '^@' $log; then
		value cycle.bpftrace "$cost"
	else
		progress "bpftrace does not work here: not measured"
	fi
}

true=$(type -P true) cat=$(type -P cat) ss=$(type -P ss)
netstat=$(type -P netstat) insmod=$(type -P insmod)
cli=$(type -P tcpstate-cli)

value release "$(uname -r)"
sysctl -q net.ipv4.tcp_max_tw_buckets=1000000
sysctl -q net.netfilter.nf_conntrack_max=0 2>/dev/null || :

progress "every program once, so that it is in memory"
insmod /tcpstate/tcpstate.ko
for command in "$true" "$cat /proc/net/sockstat" "$cat /proc/net/tcp" "$ss -s" \
	"$ss -Htan state time-wait" "$netstat -ant" "$cli" "$cli state" "$cli conn" "$cli owner" \
	"$cli audit"; do
	# shellcheck disable=SC2086
	./cost 1 $command >/dev/null
done
./cycle 10 1 >/dev/null
./populate 10
rmmod tcpstate
kernel_memory >/dev/null
dmesg | tail -n 1 | jq -R . >/dev/null

transitions='tracepoint:sock:inet_sock_set_state { @[args->oldstate, args->newstate] = count(); }'
if [[ ! -e /sys/kernel/btf/vmlinux ]]; then
	# no types to read the arguments by
	transitions='tracepoint:sock:inet_sock_set_state { @ = count(); }'
fi
if [[ ${BENCH_BPFTRACE-1} == 1 ]]; then
	bpftrace -e 'BEGIN { exit() }' >/dev/null 2>&1 || :
fi

for ((round = 1; round <= rounds; round++)); do
	progress "a connection without, with the hooks alone, with the module: $round of $rounds"
	# the ends are waited for twice: they are the same to a few instructions
	ends=()
	((round > 2)) || ends=(end)
	wait_empty
	value cycle.bare "$(./cycle $cycles 3 "${ends[@]}")"
	wait_empty
	insmod /tcpstate/tcpstate-floor.ko
	value cycle.floor "$(./cycle $cycles 3 "${ends[@]}")"
	rmmod tcpstate_floor
	wait_empty
	load 0
	value cycle.loaded "$(./cycle $cycles 3 "${ends[@]}")"
	rmmod tcpstate
done
for round in 1 2; do
	progress "a connection over IPv6, between processes, near a threshold: $round of 2"
	for how in ipv6 apart; do
		wait_empty
		value cycle.$how.bare "$(./cycle $cycles 3 $how)"
		wait_empty
		load 0 >/dev/null
		value cycle.$how.loaded "$(./cycle $cycles 3 $how)"
		rmmod tcpstate
	done
	wait_empty
	cycle_near bare
	wait_empty
	near_threshold
done
if [[ ${BENCH_BPFTRACE-1} == 1 ]]; then
	progress "a connection while bpftrace counts"
	wait_empty
	cycle_watched "$transitions"
fi

for size in $sizes; do
	progress "$size sockets in TIME_WAIT: making them"
	wait_empty
	load 0 >/dev/null
	# connect() would take up one that is a second old
	sysctl -q net.ipv4.tcp_tw_reuse=0
	./populate "$size"
	sysctl -q net.ipv4.tcp_tw_reuse=2

	progress "$size sockets in TIME_WAIT: asking tcpstate-cli"
	measure true "$size" 5 "$true"
	measure state "$size" 5 "$cli" state
	measure state-json "$size" 5 "$cli" -j state
	measure screen "$size" 3 "$cli"
	measure dest-top "$size" 3 "$cli" dest top 10
	measure port-summary "$size" 3 "$cli" port summary
	# what is in proportion is measured once where there is much of it
	if ((size < 100000)); then
		measure list "$size" 2 ./list
		measure conn "$size" 2 "$cli" conn state time-wait
		measure conn-json "$size" 2 "$cli" -j conn state time-wait
	fi
	measure conn-top "$size" 2 "$cli" conn top 10
	measure owner "$size" 2 "$cli" owner
	counted=$("$cli" -j state |
		jq '.states[] | select(.state == "TIME_WAIT").sockets')
	there=$(time_wait)
	value counted "$size" "$there" "$counted"
	if ((counted != there)); then
		echo "tcpstate-cli counts $counted sockets in TIME_WAIT, and there are $there"
		exit 1
	fi

	progress "$size sockets in TIME_WAIT: loading the module, and an audit"
	for _ in 1 2 3; do
		rmmod tcpstate
		before=$(kernel_memory)
		load "$size"
		value load-memory "$size" "$(time_wait)" "$(($(kernel_memory) - before))"
	done
	value slab "$size" "$(time_wait)" "$(awk '$1 == "tcpstate_conn" {
		print $2, $4, $15, $6 }' /proc/slabinfo)" "$(getconf PAGESIZE)"
	measure audit "$size" 3 "$cli" audit
	rmmod tcpstate

	progress "$size sockets in TIME_WAIT: asking the others"
	measure sockstat "$size" 3 "$cat" /proc/net/sockstat
	measure ss-summary "$size" 3 "$ss" -s
	# their cost is in proportion: once will do where it is large
	runs=3
	((size < 100000)) || runs=1
	measure proc-net-tcp "$size" $runs "$cat" /proc/net/tcp
	measure ss-list "$size" $runs "$ss" -Htan state time-wait
	measure netstat "$size" $runs "$netstat" -ant
	among "$size"
done

if [[ $sizes ]]; then
	destinations=10000
	progress "$destinations destinations"
	wait_empty
	load 0 >/dev/null
	./populate $destinations $destinations
	value dests "$("$cli" -j port summary | jq .destinations)" "$(slab_bytes tcpstate_dest)"
	value dests.top "$(./cost 3 "$cli" dest top 10)"
	value dests.one "$(./cost 3 "$cli" dest dst 127.1.0.77)"
	value dests.all "$(./cost 3 "$cli" -j dest)"
	rmmod tcpstate
fi
read -r uptime _ </proc/uptime
progress "done, after $uptime s of the machine's own time"
