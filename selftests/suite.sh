#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh [-H] -k "KERNEL..." [TEST...]: run the TESTs (default: all that
# selftests/Makefile names) on each KERNEL, and add up. Prints what run.sh
# prints, then a line for each kernel, one for each thing that was skipped, and
# as the last line 'N passed, N failed' (', N skipped' when any were). Exits 0
# only if nothing failed and every test was heard of.
#
#   -H	then test the harness itself, on the first of the KERNELs

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

kernels=() harness=0
while getopts Hk: opt; do
	case $opt in
	H) harness=1 ;;
	k) read -r -a kernels <<<"$OPTARG" ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
((${#kernels[@]})) || usage

tests=("$@")
if ((${#tests[@]} == 0)); then
	# the list of tests is that of the Makefile which builds them
	# shellcheck disable=SC2016
	read -r -a tests < <(make -s -C "$here" --no-print-directory --eval \
		'list: ; @echo $(programs) $(scripts)' list)
	((${#tests[@]})) || { echo "suite.sh: selftests/Makefile names no tests" >&2; exit 1; }
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tcpstate-suite.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

passed=0 failed=0 skipped=0 report=() skips=()

# add NAME EXPECTED STATUS OUTPUT: take in what a run said. EXPECTED results
# must be accounted for; 0 asks only for some.
add() {
	local name=$1 expected=$2 status=$3 out=$4 p=0 f=0 s=0 why='' line

	line=$(grep -E '^# [0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1 || :)
	if [[ $line =~ ^#\ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]; then
		p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]} s=${BASH_REMATCH[4]:-0}
		if ((p + f + s < expected)); then
			why="only $((p + f + s)) of $expected tests were heard of"
			f=$((f + expected - p - f - s))
		elif ((status && f == 0)); then
			why="the run ended with status $status"
			f=1
		elif ((p + f + s == 0)); then
			why="no test was run"
			f=1
		fi
	else
		why="the run ended with status $status and no result"
		f=$((expected ? expected : 1))
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	report+=("$(printf '%-15s  %d passed, %d failed%s  (%d s)%s' "$name" "$p" "$f" \
		"$( ((s == 0)) || echo ", $s skipped")" "$((SECONDS - start))" "${why:+: $why}")")
	while read -r line; do
		skips+=("skipped on $name: $line")
	done < <(sed -n 's/^# skipped: //p' "$out")
}

for k in "${kernels[@]}"; do
	start=$SECONDS
	echo "== kernel $k: ${tests[*]}"
	status=0
	"$here/vm/run.sh" -k "$k" "${tests[@]}" | tee "$work/out" || status=${PIPESTATUS[0]}
	version=$(sed -n 's/^# \([0-9][^ ]*\): booted.*/\1/p' "$work/out" | head -n 1)
	add "${version:-$k}" "${#tests[@]}" "$status" "$work/out"
done
if ((harness)); then
	start=$SECONDS
	echo "== harness, on kernel ${kernels[0]}"
	status=0
	"$here/vm/selftest.sh" "${kernels[0]}" | tee "$work/out" || status=${PIPESTATUS[0]}
	add harness 0 "$status" "$work/out"
fi

echo
printf '%s\n' "${report[@]}" "${skips[@]}"
total="$passed passed, $failed failed"
((skipped == 0)) || total+=", $skipped skipped"
echo "$total"
((failed == 0))
