#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [OPTION...]: what tcpstate costs, measured in virtual machines that
# count time in instructions, against its budgets. Prints a table; exits 1 if a
# budget is missed or a figure cannot be had.
#
#   -k KERNEL	5.10, 6.1 (default), 6.12 or 7.2
#   -j FILE	write the figures to FILE as JSON, too
#   -c		only the cost of a connection: a minute, while at work on it
#   -l DIR	keep the logs in DIR
#
# Documentation of the method is in costs.sh, memory.sh and the programs here.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$here/../vm/run.sh

usage() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

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
trap 'rm -f "$values"' EXIT
failed=0

# measure OPTION... TEST: run it; keep the values it finds, tell of its progress.
measure() {
	local line

	"$run" -r -k "$kernel" "${log[@]}" "$@" | while IFS= read -r line; do
		case $line in
		'value '*) printf '%s\n' "${line#value }" >>"$values" ;;
		'progress '*) printf 'bench: %4d s: %s\n' $SECONDS "${line#progress }" >&2 ;;
		*) printf '%s\n' "$line" >&2 ;;
		esac
	done || failed=1
}

if ((quick)); then
	measure -e BENCH_SIZES= bench/costs.sh
else
	measure bench/costs.sh
	measure -n bench/memory.sh
fi

rc=0
awk -v kernel="$kernel" -v json="$json" -f "$here/report.awk" "$values" || rc=1
if ((failed)); then
	echo "bench: not everything could be measured" >&2
	rc=1
fi
exit $rc
