#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [OPTION...]: what tcpstate costs, measured in virtual machines,
# against its budgets. Prints a table; exits 1 if a budget is missed or a figure
# cannot be had. Takes six minutes where nothing else is done.
#
#   -k KERNEL	5.10, 6.1 (default), 6.12 or 7.2
#   -j FILE	write the figures to FILE as JSON, too
#   -c		only the cost of a connection: two minutes, while at work on it
#   -l DIR	keep the logs in DIR
#
# How something is measured is told where it is: instructions in costs.sh and
# the programs here, memory in ../memory.sh, the rates of several CPUs in
# ../rate.c. Each prints lines "value NAME NUMBER...", and report.awk makes
# of them all that is shown.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../vm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/common.sh"
here=$top/selftests/bench

# Among how many sockets in TIME_WAIT; with -c among none.
sizes="1000 25000 250000"
kernel=6.1 json=/dev/null quick=0 log=()
while getopts k:j:cl:h opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	j) json=$OPTARG ;;
	c) quick=1 ;;
	l) log=(-l "$OPTARG") ;;
	h)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done
shift $((OPTIND - 1))
if (($#)); then
	usage >&2
	exit 2
fi

values=$(mktemp)
trap 'rm -f "$values" "$values.said"' EXIT
failed=0

progress() {
	printf 'bench: %4d s: %s\n' $SECONDS "$*" >&2
}

# measure OPTION... TEST: run it; keep the values it finds, tell of its progress.
# What else a test has to say is shown if it fails.
measure() {
	local line said=()

	"$vm_dir/run.sh" -n -r -k "$kernel" "${log[@]}" "$@" | {
		while IFS= read -r line; do
			case $line in
			'value '* | '# value '*) printf '%s\n' "${line#*value }" >>"$values" ;;
			'progress '*) progress "${line#progress }" ;;
			*) said+=("$line") ;;
			esac
		done
		printf '%s\n' "${said[@]}" >"$values.said"
	} && return
	cat "$values.said" >&2
	failed=1
}

# The module that has our hooks and nothing behind them.
build_floor() {
	local dir=$build/$kernel/floor version

	version=$(<"$(kernel_path "$kernel")/version")
	floor_copy "$dir"
	in_tree "$(tree_path "$(suite_of "$kernel")")" "$dir=/src" -- \
		make -s -C "/lib/modules/$version/build" M=/src modules >"$dir/log" 2>&1 ||
		{ cat "$dir/log" >&2; die "the floor does not build"; }
}

progress "building"
"$vm_dir/build.sh" "$kernel"
build_floor
floor=(-f "$build/$kernel/floor/tcpstate-floor.ko=/tcpstate/tcpstate-floor.ko")
((quick == 0)) || sizes=
measure "${floor[@]}" -e "BENCH_SIZES=$sizes" bench/costs.sh
if ((quick == 0)); then
	progress "memory, on 16 CPUs"
	measure -s 16 memory.sh
	progress "four CPUs at once, without and with the module"
	measure -e RATE_ROUNDS=8 rate
fi

rc=0
awk -v kernel="$kernel" -v json="$json" -v wanted="$sizes" -f "$here/report.awk" "$values" || rc=1
if ((failed)); then
	echo "bench: not everything could be measured" >&2
	rc=1
fi
exit $rc
