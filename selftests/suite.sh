#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# suite.sh [-H] [-P] [-q] [-l] [-j N] -k "KERNEL..." [TEST...]: run the TESTs (default: all that
# selftests/Makefile names) on each KERNEL, and add up. Prints what run.sh
# prints, then a table of the single results, test by kernel, a line for each
# kernel, one for each thing that was skipped or is to be noted, what the tests that
# failed said, and as the last line 'N passed, N failed' (', N skipped' when any were).
# Exits 0 only if nothing failed and every test was heard of.
#
#   -H	test the harness itself, too, on the first of the KERNELs, and 'make demo'
#   -P	plant bugs, too, and check that they are caught (plant.sh)
#   -q	what takes long on one of the kernels only, that which settings names, and
#	with smaller numbers in some (TCPSTATE_QUICK in their environment)
#   -l	only name the tests that would be run, one a line
#   -j N	run on N kernels at a time (default: as many as there are CPUs); with
#	more than one, each line begins with its kernel

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

kernels=() harness=0 plants=0 quick=0 jobs=$(nproc) everything=0 list=0
while getopts HPqlj:k: opt; do
	case $opt in
	H) harness=1 ;;
	P) plants=1 ;;
	q) quick=1 ;;
	l) list=1 ;;
	j) jobs=$OPTARG ;;
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
		'list: ; @echo $(programs) $(scripts)' list 2>/dev/null)
	((${#tests[@]})) || { echo "suite.sh: selftests/Makefile names no tests" >&2; exit 1; }
	everything=1
fi

# setting TEST NAME: what settings says of it.
setting() {
	awk -v t="$1" -v name="$2=" '$1 == t { for (i = 2; i <= NF; i++)
		if (index($i, name) == 1) print substr($i, length(name) + 1) }' "$here/settings"
}

# tests_of KERNEL: of the whole suite, what is for that kernel, and for rt only what
# says so; what was asked for by name is run wherever it was.
tests_of() {
	local t for_kernels quick_on

	for t in "${tests[@]}"; do
		for_kernels=$(setting "$t" kernels)
		[[ $for_kernels || $1 == rt ]] || for_kernels=$1
		quick_on=$(setting "$t" quick)
		((quick == 0)) || for_kernels=${quick_on:-$for_kernels}
		if ((everything == 0)) || [[ ",$for_kernels," == *",$1,"* ]]; then
			echo "$t"
		fi
	done
}

if ((list)); then
	for k in "${kernels[@]}"; do
		tests_of "$k"
	done
	exit
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tcpstate-suite.XXXXXX")
declare -A counts=() runs=() shown=() began=() ended=() lasted=()

stop() {
	trap - EXIT
	((${#runs[@]} == 0)) || kill "${runs[@]}" 2>/dev/null || :
	wait
	rm -rf --one-file-system "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# start NAME COMMAND...: in the background, its output shown as it comes.
start() {
	local name=$1 prefix=''
	shift

	((jobs == 1 || ${#counts[@]} + harness + plants == 1)) || prefix="[$name] "
	began[$name]=$SECONDS
	# here already for tail, which may be the first to come
	: >"$work/$name"
	"$@" >>"$work/$name" 2>&1 &
	runs[$name]=$!
	tail -s 0.2 -n +1 --pid=$! -f "$work/$name" 2>/dev/null | sed -u "s/^/$prefix/" &
	shown[$name]=$!
}

# Wait until fewer than $1 runs are under way, and note how they ended.
wait_below() {
	local name

	while ((${#runs[@]} >= $1)); do
		for name in "${!runs[@]}"; do
			! kill -0 "${runs[$name]}" 2>/dev/null || continue
			ended[$name]=0
			wait "${runs[$name]}" || ended[$name]=$?
			lasted[$name]=$((SECONDS - began[$name]))
			unset "runs[$name]"
			wait "${shown[$name]}" || :
		done
		sleep 0.2
	done
}

passed=0 failed=0 skipped=0 report=() skips=() notes=()

# add NAME EXPECTED WHAT: take in what the run NAME said, of WHAT. EXPECTED
# results must be accounted for; 0 asks only for some.
add() {
	local name=$1 expected=$2 what=$3 out=$work/$1 status=${ended[$1]} p=0 f=0 s=0 why='' line

	line=$(grep -E '^# [0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1 || :)
	if [[ $line =~ ^#\ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]; then
		p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]} s=${BASH_REMATCH[4]:-0}
		if ((p + f + s < expected)); then
			why="only $((p + f + s)) of $expected tests were heard of"
			f=$((expected - p - s))
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
	report+=("$(printf '%-22s %d passed, %d failed%s  (%d s)%s' "$what" "$p" "$f" \
		"$( ((s == 0)) || echo ", $s skipped")" "${lasted[$name]}" "${why:+: $why}")")
	while read -r line; do
		skips+=("skipped on $what: $line")
	done < <(sed -n 's/^# skipped: //p' "$out")
	while read -r line; do
		notes+=("note on $what: $line")
	done < <(sed -n 's/^# note: //p' "$out")
}

# The demo prints no KTAP: it has passed if it ended with 0, having said what it says
# at its end when all was as it should be.
demo_verdict() {
	local ok=1

	grep -q '^At every stop tcpstate and ss agreed' "$work/demo" || ended[demo]=$((ended[demo] ? ended[demo] : 1))
	((ended[demo] == 0)) || ok=0
	echo "# results: demo: $ok passed, $((!ok)) failed, 0 skipped
# $ok passed, $((!ok)) failed" >>"$work/demo"
}

# Per test and kernel how many of its results passed, failed and were skipped.
table() {
	local t k cell

	printf '%-14s' 'pass/fail/skip'
	printf '%12s' "${kernels[@]}"
	echo
	for t in "${tests[@]}"; do
		printf '%-14s' "$t"
		for k in "${kernels[@]}"; do
			cell=$(sed -nE "s,^# results: $t: ([0-9]+) passed\, ([0-9]+) failed\, ([0-9]+) skipped.*,\1/\2/\3,p" \
				"$work/$k" | tail -n 1)
			printf '%12s' "${cell:--}"
		done
		echo
	done
}

echo "# kernels ${kernels[*]}, tests ${tests[*]}"
for k in "${kernels[@]}"; do
	mapfile -t for_this < <(tests_of "$k")
	counts[$k]=${#for_this[@]}
done
# Those that look for bugs take by far the longest, so they are begun first.
first=() others=()
for k in "${kernels[@]}"; do
	case $k in
	debug | kcsan) first+=("$k") ;;
	*) others+=("$k") ;;
	esac
done
less=()
((quick == 0)) || less=(-e TCPSTATE_QUICK=1)
for k in "${first[@]}" "${others[@]}"; do
	wait_below "$jobs"
	mapfile -t for_this < <(tests_of "$k")
	start "$k" "$here/vm/run.sh" -k "$k" "${less[@]}" "${for_this[@]}"
done
if ((harness)); then
	wait_below "$jobs"
	start harness "$here/vm/selftest.sh" "${kernels[0]}"
	wait_below "$jobs"
	# as who types it has it: without what this make was told
	start demo env -u MAKEFLAGS -u KERNEL make --no-print-directory -C "$here/.." demo
fi
if ((plants)); then
	wait_below "$jobs"
	start plants "$here/plant.sh"
fi
wait_below 1

for k in "${kernels[@]}"; do
	version=$(sed -n 's/^# \([0-9][^ ]*\): booted.*/\1/p' "$work/$k" | head -n 1)
	add "$k" "${counts[$k]}" "${version:-$k}"
done
if ((harness)); then
	add harness 0 harness
	demo_verdict
	add demo 1 demo
fi
((plants == 0)) || add plants 0 "planted bugs"

# failures NAME: what the tests of that run that failed said, once more: whoever
# looks at the end of a long log finds it there. The last 40 lines of each but for
# those of what passed.
failures() {
	awk -v what="$1" '
		/^# results: / {
			split($0, part, /: |, /)
			if (part[4] + 0 > 0) {
				print "failed on " what ": " part[2]
				for (i = n > 40 ? n - 40 : 0; i < n; i++)
					print "    " line[i]
			}
			n = 0
			next
		}
		!/^ *(ok |# +(RUN|OK) )/ && !/^ *(TAP|KTAP) version/ { sub(/^ +/, ""); line[n++] = $0 }
	' "$work/$1"
}

echo
table
echo
printf '%s\n' "${report[@]}"
((${#skips[@]} == 0)) || printf '%s\n' "${skips[@]}"
((${#notes[@]} == 0)) || printf '%s\n' "${notes[@]}"
for k in "${!ended[@]}"; do
	((ended[$k] == 0)) || failures "$k"
done
total="$passed passed, $failed failed"
((skipped == 0)) || total+=", $skipped skipped"
echo "$total"
((failed == 0))
