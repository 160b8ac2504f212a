#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftest.sh [KERNEL...]: test the harness itself. Runs the programs of cases/,
# of which each goes wrong in its own way, and checks that run.sh says of each
# what it should. Default: 6.1. Takes about 90 s for each kernel.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kernels=("$@")
((${#kernels[@]})) || kernels=(6.1)

# case, and what must be said of it: its line's beginning, and a reason.
expected=(
	"pass|ok|"
	"skip|ok|# SKIP no such thing here"
	"fail|not ok|it ended with status 1"
	"silent|not ok|it has no plan"
	"short|not ok|it planned 3 results and gave 1"
	"empty|not ok|it has no plan"
	"liar|not ok|1 of its results are 'not ok'"
	"overflow|not ok|the kernel's log has overflowed"
	"panic|not ok|Kernel panic - not syncing: sysrq triggered crash"
	"warn|not ok|Kernel panic - not syncing: .*panic_on_warn set"
	"oops|not ok|Kernel panic - not syncing: Fatal exception"
	"dirty|not ok|kernel log: .*BUG: said by vmtest"
	"cleared|not ok|kernel log: .*BUG: said by vmtest"
	"races|not ok|kernel log: .*BUG: KCSAN: data-race in tcpstate_one"
	"refused|not ok|kernel log: .*Call Trace:"
	"failslab|ok|"
	"failslab-bug|not ok|kernel log: .*BUG: said amid what the slab says"
	"failslab-cut|not ok|kernel log: .*Call Trace:"
	"hang|not ok|it was not done after 4 s"
	"stray|ok|"
	"alone|ok|"
	"lockup|not ok|the machine hangs"
	"pass|ok|"
)

n=0 bad=0
result() {
	local ok=$1 what=$2

	n=$((n + 1))
	if ((ok)); then
		echo "ok $n $what"
	else
		echo "not ok $n $what"
		bad=$((bad + 1))
	fi
}

# run_cases STATUS OPTION... CASE...: run.sh must end with STATUS.
run_cases() {
	local want=$1 status=0
	shift

	"$vm_dir/run.sh" -k "$k" -n -f "$mod/vmtest.ko=/tcpstate/vmtest.ko" "$@" >"$out" 2>&1 || status=$?
	sed 's/^/#   /' "$out"
	result $((status == want)) "$k: run.sh ends with $want"
}

echo "KTAP version 1"
echo "1..$((${#kernels[@]} * (${#expected[@]} * 2 + 12)))"
for k in "${kernels[@]}"; do
	"$vm_dir/build.sh" "$k"
	mod=$build/$k/vmtest
	mkdir -p "$mod"
	cp "$vm_dir"/cases/kmod/* "$mod/"
	version=$(<"$(kernel_path "$k")/version")
	in_tree "$(tree_path "$(suite_of "$k")")" "$mod=/src" -- \
		make -s -C "/lib/modules/$version/build" M=/src modules >"$mod.log" 2>&1 ||
		{ cat "$mod.log" >&2; die "vmtest does not build"; }
	out=$build/$k/vm-selftest.out

	cases=()
	for e in "${expected[@]}"; do
		cases+=("vm/cases/${e%%|*}.sh")
	done
	run_cases 1 "${cases[@]}"
	i=0
	for e in "${expected[@]}"; do
		IFS='|' read -r name verdict why <<<"$e"
		i=$((i + 1))
		line=$(grep -E "^(not )?ok $i vm/cases/$name.sh" "$out" || :)
		[[ $line == "$verdict $i "* ]] && ok=1 || ok=0
		result "$ok" "$k: $name is '$verdict'"
		grep -qE "^(# vm/cases/$name.sh: |ok $i .*)$why" "$out" && ok=1 || ok=0
		result "$ok" "$k: $name: '$why' is said"
	done
	grep -qx '# 5 passed, 17 failed, 1 skipped' "$out" && ok=1 || ok=0
	result "$ok" "$k: the summary counts them"
	! sed -n '/ok .*cleared.sh$/,/ok .*races.sh$/p' "$out" | grep -q kernel_one && ok=1 || ok=0
	result "$ok" "$k: a race of the kernel's own is not what is shown"
	run_cases 0 vm/cases/pass.sh vm/cases/skip.sh
	for e in 'second: to see it named' 'third: for another reason' 'fourth: said before it'; do
		grep -qx "# skipped: vm/cases/pass.sh: $e" "$out" && ok=1 || ok=0
		result "$ok" "$k: a skipped result is named, with its reason: $e"
	done
	run_cases 1 -A 'rdinit=/none root=/dev/none' vm/cases/pass.sh
	grep -q '^not ok 1 vm/cases/pass.sh' "$out" && ok=1 || ok=0
	result "$ok" "$k: a machine that does not boot fails its tests"
	run_cases 0 -i -s 1 vm/cases/pass.sh
	run_cases 1 vm/cases/late.sh
	grep -q "^# the kernel's log is dirty after vm/cases/late.sh: .*BUG: said by vmtest" "$out" && ok=1 || ok=0
	result "$ok" "$k: what came after the last test is seen"
done
echo "# $((n - bad)) passed, $bad failed"
((bad == 0))
