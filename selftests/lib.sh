# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests that are scripts share: KTAP, the module, the kernel's log.
# Sourced. What a test leaves to be undone it registers with at_exit.

set -u

TCPSTATE_KO=${TCPSTATE_KO:-/tcpstate/tcpstate.ko}
ktap_results=0
ktap_failed=0
ktap_planned=0
undo=()

plan() {
	ktap_planned=$1
	echo "TAP version 13"
	echo "1..$1"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

note() {
	echo "# $*"
}

pass() {
	ktap_results=$((ktap_results + 1))
	echo "ok $ktap_results $*"
}

fail() {
	ktap_results=$((ktap_results + 1))
	ktap_failed=$((ktap_failed + 1))
	echo "not ok $ktap_results $*"
}

# check WHAT COMMAND...: a result by whether COMMAND succeeds; what it prints is shown if not.
check() {
	local what=$1 said line
	shift

	if said=$("$@" 2>&1); then
		pass "$what"
	else
		fail "$what"
		while read -r line; do
			note "  $line"
		done <<<"$said"
	fi
}

# same WHAT WANTED GOT
same() {
	if [[ -n $2 && $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1"
		note "  wanted '$2', got '$3'"
	fi
}

at_exit() {
	undo+=("$1")
}

# Undo in the opposite order; a test that stopped halfway has failed.
finish() {
	local status=$? i

	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		eval "${undo[i]}"
	done
	if ((status == 0 && (ktap_failed || ktap_results != ktap_planned || ktap_planned == 0))); then
		status=1
	fi
	exit "$status"
}
trap finish EXIT

# wait_for SECONDS COMMAND...: until COMMAND succeeds.
wait_for() {
	local until=$((SECONDS + $1))
	shift

	until "$@"; do
		((SECONDS < until)) || return 1
	done
}

module_load() {
	insmod "$TCPSTATE_KO" "$@" && [[ -d /sys/module/tcpstate ]]
}

module_unload() {
	rmmod tcpstate
}

# log_begin; ...; log_clean: the kernel has complained of nothing in between.
log_begin() {
	log_mark="tcpstate selftest ${0##*/} $$ $RANDOM"
	echo "$log_mark" >/dev/kmsg
}

log_clean() {
	! dmesg | sed "1,/$log_mark/d" | grep -E 'WARNING:|BUG:|Oops|Call Trace|general protection|soft lockup|stall'
}

# ss's number of sockets in a state (ss's name) inside a namespace ('' for this one).
ss_count() {
	local ns=$1 state=$2

	${ns:+ip netns exec "$ns"} ss -Htan state "$state" | wc -l
}
