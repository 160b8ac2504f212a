#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# memory.sh: what bench.sh runs in a machine with 16 CPUs: the memory that a
# network namespace costs. Its output is for bench.sh, as that of costs.sh.
#
# The module is loaded with many namespaces there and with one, and the
# difference in what a load takes is theirs alone.
#
# vm-smp: 16
# vm-mem: 2048
# vm-timeout: 600

set -euo pipefail
cd "$(dirname "$0")"

many=400
some=25

progress() { echo "progress $*"; }
value() { echo "value $*"; }

# Bytes of kernel memory in use, of the kinds a module has: what is allocated of
# the slabs, not the pages that hold it, which are shared with others.
kernel_memory() {
	local cache

	# what CPUs keep in stock counts as allocated: make them give it back
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache" 2>/dev/null || :
	done
	awk 'FILENAME == "/proc/slabinfo" { if (/^(kmalloc|tcpstate)/) sum += $2 * $4; next }
		/^(VmallocUsed|Percpu):/ { sum += $2 * 1024 }
		END { printf "%.0f\n", sum }' /proc/slabinfo /proc/meminfo
}

# The memory that is given back when the module goes.
unload() {
	local before

	sleep 0.5
	before=$(kernel_memory)
	rmmod tcpstate
	sleep 0.5
	echo $((before - $(kernel_memory)))
}

# The median of three, each with what COMMAND does after the load: others take
# and give back memory meanwhile.
held() {
	for _ in 1 2 3; do
		insmod /tcpstate/tcpstate.ko
		"$@"
		unload || return
	done | sort -n | sed -n 2p
}

use_namespaces() {
	local word

	echo use >&"$to"
	read -r word <&"$from"
	[[ $word == used ]]
}

# make_namespaces N: have N namespaces, by a process of our own.
make_namespaces() {
	local word

	coproc namespaces { exec ./namespaces "$1"; }
	# the descriptors of a coprocess are not there in a subshell; copies are
	exec {from}<&"${namespaces[0]}" {to}>&"${namespaces[1]}"
	# shellcheck disable=SC2154 # coproc sets it
	pid=$namespaces_PID
	read -r word <&"$from"
	[[ $word == ready ]]
}

end_namespaces() {
	local in=${namespaces[1]}

	exec {in}>&- {to}>&- {from}<&-
	wait "$pid"
}

value cpus "$(nproc)"
progress "the module's memory with no namespace but the first"
insmod /tcpstate/tcpstate.ko
unload >/dev/null
none=$(held true)

progress "the module's memory with $many namespaces that nothing happened in"
make_namespaces $many
idle=$(held true)
value namespace-idle $many "$none" "$idle"
end_namespaces

progress "the module's memory with $some namespaces that every CPU was active in"
make_namespaces $some
used=$(held use_namespaces)
value namespace-used $some "$none" "$used"
end_namespaces
