#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel with PREEMPT_RT: the module says why it does not run there, stays out,
# and has done nothing to anybody.

# shellcheck disable=SC2119 # modules are loaded without parameters
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

[[ $(cat /sys/kernel/realtime 2>/dev/null) == 1 ]] || skip_all "the kernel has no PREEMPT_RT"

refused() {
	local said

	said=$(module_load 2>&1) && { echo "it was loaded"; return 1; }
	echo "$said"
	[[ $said == *'Operation not supported'* ]]
}

not_there() {
	[[ ! -d /sys/module/tcpstate ]] && ! grep tcpstate /sys/kernel/tracing/enabled_functions
}

cli_says_so() {
	local said status=0

	said=$(tcpstate-cli state 2>&1) || status=$?
	echo "status $status: $said"
	[[ $said == *'the tcpstate module is not loaded'* ]] && ((status == 3))
}

listens() {
	[[ $(ss -Htln sport = :7000) ]]
}

connects() {
	local got=/tmp/refused.got

	socat -u TCP-LISTEN:7000,bind=127.0.0.1 STDOUT >$got &
	wait_for 10 listens && echo hello | socat -u STDIN TCP:127.0.0.1:7000 && wait $! &&
		[[ $(<$got) == hello ]]
}

plan 6
log_begin
check "loading it is refused" refused
same "the log says why" "tcpstate: kernels with PREEMPT_RT are not supported: refusing to load" \
	"$(dmesg | sed "1,/$log_mark/d" | grep -o 'tcpstate: .*' | tail -n 1)"
check "nothing of it is left" not_there
check "tcpstate-cli says that it is not loaded" cli_says_so
check "connections are made as ever" connects
check "the kernel's log is clean" log_clean
