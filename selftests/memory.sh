#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The memory that the module takes, against its budget: for each connection, and
# for each network namespace on a machine with 16 CPUs.
#
# Measured is what is given back when the module is unloaded. Lines
# "# value NAME NUMBER..." are for bench/bench.sh.
#
# Memory per CPU is taken for those, too, that could be plugged in; but 6.12 and
# later do not believe that these four could become 16. bench.sh has all 16.
#
# vm-smp: 4,maxcpus=16

# shellcheck disable=SC2119 # modules are loaded without parameters
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

connections=14000
record_max=128
namespaces=150
namespace_max=16384

# What CPUs keep in stock of a slab counts as allocated: make them give it back.
shrink() {
	local cache

	for cache; do
		[[ -L $cache || ! -e $cache ]] || echo 1 >"$cache/shrink"
	done
}

# Bytes of memory in use, of the kinds that a module takes, by the page. Each CPU
# keeps back, for a second, what it has counted: up to 120 pages on four.
pages() {
	shrink /sys/kernel/slab/*
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/^(SUnreclaim|VmallocUsed|Percpu):/ { sum += $2 * 1024 }
		END { printf "%.0f\n", sum }' /proc/meminfo
}

# The same by the object, where pages are shared with others: of slabs what is
# allocated, and no blocks larger than slabs have.
objects() {
	shrink /sys/kernel/slab/{kmalloc-[0-9]*,tcpstate*}
	awk 'FILENAME == "/proc/slabinfo" { if (/^(kmalloc-[0-9]|tcpstate)/) sum += $2 * $4; next }
		/^(VmallocUsed|Percpu):/ { sum += $2 * 1024 }
		END { printf "%.0f\n", sum }' /proc/slabinfo /proc/meminfo
}

# steady BY: what BY says when it has said so twice, to a byte for each record:
# what is freed takes a while.
steady() {
	local now last=-1 diff

	for _ in {1..8}; do
		now=$("$1") diff=$((now - last))
		((${diff#-} > connections * 2)) || break
		last=$now
		sleep 0.2
	done
	echo "$now"
}

# held BY COMMAND...: the median of what three loads took, in units of what
# COMMAND, run after each of them, says: others take and give back memory, too.
held() {
	local by=$1 before units
	shift

	for _ in 1 2 3; do
		module_load && units=$("$@") || return
		before=$(steady "$by")
		module_unload || return
		echo $(((before - $(steady "$by")) / units))
	done | sort -n | sed -n 2p
}

# Notes how many records there are, and what the slab they are in takes for each.
with_records() {
	local n

	n=$(tcpstate-cli -j state | jq '[.states[].sockets] | add')
	echo "$n" >"$tmp/records"
	awk -v n="$n" -v page="$(getconf PAGESIZE)" \
		'$1 == "tcpstate_conn" { printf "%.0f\n", $6 * $15 * page / n }' \
		/proc/slabinfo >"$tmp/slab"
	echo 1
}

# The index of records has eight buckets of a pointer for each of the kernel's.
index_bytes() {
	dmesg | sed -n 's/.*TCP established hash table entries: \([0-9]*\).*/\1/p' |
		awk 'NR == 1 { print $1 * 8 * 8 }'
}

alone() {
	[[ $(tcpstate-cli -j -a state | jq length) == 1 ]]
}

with_use() {
	local word

	echo use >&"$to"
	read -r word <&"$from"
	[[ $word == used ]] && echo 1
}

within() {
	echo "$1 bytes, and $2 are granted"
	(($1 > 0 && $1 <= $2))
}

plan 5
log_begin
tmp=$(mktemp -d)
at_exit "rm -rf $tmp"
at_exit '[[ ! -d /sys/module/tcpstate ]] || module_unload'
possible=$(awk -F - '{ print $NF + 1 }' /sys/devices/system/cpu/possible)

# what a first load leaves behind is not to be measured
module_load && wait_for 60 alone && module_unload
none=$(held objects echo 1)
empty=$(held pages echo 1)
coproc keeper { exec bench/namespaces $namespaces; }
# the descriptors of a coprocess are not there in a subshell; copies are
exec {from}<&"${keeper[0]}" {to}>&"${keeper[1]}"
read -r ready <&"$from"
idle=$((($(held objects echo 1) - none) / namespaces))
used=$((($(held objects with_use) - none) / namespaces))
same "there were $namespaces namespaces" ready "$ready"
check "an idle namespace on a machine with $possible CPUs: $idle bytes" within $idle $namespace_max
note "and for each CPU that was active in it: $(((used - idle) / $(nproc))) bytes"

# once it is reaped bash forgets its number
# shellcheck disable=SC2154 # coproc sets it
keeper_pid=$keeper_PID
kill "$keeper_pid"
wait "$keeper_pid"
module_load && wait_for 60 alone && module_unload
coproc holder { exec bench/hold $connections; }
# shellcheck disable=SC2154
read -r ready <&"${holder[0]}"
same "there were $connections connections, two records each" ready "$ready"
full=$(held pages with_records)
records=$(<"$tmp/records") slab=$(<"$tmp/slab") index=$(index_bytes)
record=$(((full - empty + index) / records))
note "the module with nothing to count: $empty bytes, of which the index $index"
check "a record, with all that comes with it, and its share of the index: $record bytes" \
	within "$record" $record_max
note "of which pages of slab tcpstate_conn: $slab bytes"

note "value cpus $possible $(nproc)"
note "value namespace $namespaces $idle $used"
note "value connection $((connections * 2)) $record $slab"
check "the kernel complained of nothing" log_clean
