#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The storm on four CPUs that run at once and workers that never rest: what
# happens while the module is loaded happens on other CPUs that moment.
#
# Loading it patches the functions that it hooks, and under QEMU's emulation no
# other CPU must run what is being patched (see mode turns in vm/run.sh). So two
# others hook all of them first, in the same ways, and stay: then the module is
# one more on a list, and nothing is patched. The list is that of the kernel:
# what is hooked while the module is loaded.

set -u
tracing=/sys/kernel/tracing
if [[ ! -e $tracing/enabled_functions || ! -e $tracing/kprobe_events ]]; then
	echo "1..0 # SKIP this kernel does not tell which functions are hooked"
	exit 4
fi

fail_all() {
	echo "1..1"
	echo "# $*"
	echo "not ok 1 storm"
	exit 1
}

hooked() {
	awk '{ print $1 }' $tracing/enabled_functions | sort -u
}

instances=()
undo() {
	local i

	echo 0 >$tracing/events/kprobes/enable
	for i in "${instances[@]}"; do
		echo nop >"$i/current_tracer"
		echo 0 >"$i/events/sock/inet_sock_set_state/enable"
		rmdir "$i"
	done
	echo >$tracing/kprobe_events
}

before=$(hooked)
insmod "${TCPSTATE_KO:-/tcpstate/tcpstate.ko}" || fail_all "the module does not load"
mapfile -t hooks < <(comm -13 <(echo "$before") <(hooked))
rmmod tcpstate || fail_all "the module does not unload"
((${#hooks[@]} > 5)) || fail_all "only ${#hooks[@]} functions are hooked: ${hooks[*]}"

trap undo EXIT
for i in 1 2; do
	instance=$tracing/instances/smp$i
	mkdir "$instance" || fail_all "no instance of the tracer"
	instances+=("$instance")
	echo 0 >"$instance/tracing_on"
	printf '%s\n' "${hooks[@]}" >"$instance/set_ftrace_filter"
	echo function >"$instance/current_tracer" || fail_all "no function tracer"
	echo 1 >"$instance/events/sock/inet_sock_set_state/enable"
done
echo 0 >$tracing/tracing_on
for hook in "${hooks[@]}"; do
	echo "p:smp_$hook $hook" >>$tracing/kprobe_events || fail_all "no probe of $hook"
done
echo 1 >$tracing/events/kprobes/enable || fail_all "the probes do not go in"
echo "# hooked before the module: ${hooks[*]}"
loads=20
[[ ! ${TCPSTATE_QUICK-} ]] || loads=8
STORM_LOADS=${STORM_LOADS:-$loads} STORM_REST_US=0 ./storm "$@"
