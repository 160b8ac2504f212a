#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [OPTION...] TEST...: build, boot a virtual machine and run the TESTs
# (programs of selftests/, by name) in it. Prints KTAP, each test's own lines
# indented as they come; exits 0 only if every test ran and passed or said why
# it was skipped, and the kernel's log is clean.
#
#   -k KERNEL	5.10, 6.1 (default), 6.12 or 7.2; one that looks for bugs: debug or
#		kcsan; or rt, with PREEMPT_RT, where the module refuses to be loaded
#   -s N	virtual CPUs (default 2, or what the test asks for)
#   -m MB	memory (default 1024, or what the test asks for)
#   -t SECONDS	time a test may take (default 300, or what the test asks for)
#   -i		one CPU that counts time in instructions: for measuring (mode measure)
#   -A ARGS	add ARGS to the kernel's command line
#   -f FILE=PATH	put FILE into the guest at PATH (repeatable)
#   -e NAME=VALUE	set a variable in the tests' environment (repeatable)
#   -a ARGS	arguments for the tests: '-r states.closing' picks one of states
#   -l DIR	keep the logs in DIR (default build/log/...)
#   -n		do not build first
#   -r		raw: print the one TEST's output as it is, judge by its exit code
#
# A test ends with 0 (passed), 4 (skipped) or anything else (failed), and prints
# KTAP with a plan ("1..N", N > 0) and as many results; anything less is a
# failure. So is a line in the kernel's log that tells of a bug, a panic, a
# machine that hangs, and a machine that ends without its verdict. After these
# the tests that are left run in a new machine.
#
# A test asks for what it needs with "# vm-smp: 4", "# vm-mem: 2048",
# "# vm-timeout: 600", "# vm-append: ARGS" or "# vm-mode: icount" lines in it if it
# is a script, or with a line "NAME smp=4 timeout=600 ..." in selftests/settings.
# The options -s, -m and -t win over that. Tests with the same needs share one
# machine; before each the module is not loaded. The modes are
#
#   parallel	(default) each virtual CPU is a thread
#   turns	the virtual CPUs take turns on one thread: for a test in which the
#		kernel patches code that another CPU runs just then. QEMU before 8.1
#		may translate such a page while it is written, and the guest then
#		traps on a breakpoint that is no longer there ("Oops: int3"). If that
#		happens before the first test, the machine is booted again, and a
#		note says so.
#   icount	one CPU, and the clock counts its instructions: what takes time there
#		does not depend on the host, and waiting takes none
#   measure	as that, on the CPU and with the mitigations that a machine would have:
#		for numbers that are to be compared
#
# In debug and kcsan all times are multiplied by what TCPSTATE_SLOW tells the test.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
exec </dev/null

kernel=6.1 smp='' mem='' limit='' mode='' append='' logdir='' dobuild=1 raw=0
files=() vars=()
while getopts k:s:m:t:iA:f:e:a:l:nrh opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	s) smp=$OPTARG ;;
	m) mem=$OPTARG ;;
	t) limit=$OPTARG ;;
	i) mode=measure ;;
	A) append=$OPTARG ;;
	f) files+=("$OPTARG") ;;
	e) vars+=("$OPTARG") ;;
	a) vars+=("TCPSTATE_ARGS=$OPTARG") ;;
	l) logdir=$OPTARG ;;
	n) dobuild=0 ;;
	r) raw=1 ;;
	*)
		usage
		exit 2
		;;
	esac
done
shift $((OPTIND - 1))
(($#)) || die "name the tests to run; 'run.sh -h' tells more"
((raw == 0 || $# == 1)) || die "-r takes one test"
suite_of "$kernel" >/dev/null
slow=$(slowness_of "$kernel")
vars+=("TCPSTATE_SLOW=$slow")
((dobuild == 0)) || "$vm_dir/build.sh" "$kernel"
programs=$build/guest/src/selftests
for t; do
	[[ -f $programs/$t && -x $programs/$t ]] || die "there is no program '$t' in selftests/"
done
logdir=${logdir:-$build/log/$kernel-$(date +%Y%m%d-%H%M%S)-$$}
mkdir -p "$logdir"
work=$(mktemp -d "${TMPDIR:-/tmp}/tcpstate-vm.XXXXXX")
qemu=

clean_up() {
	[[ -z $qemu ]] || kill -KILL "$qemu" 2>/dev/null || :
	rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# need NAME WHAT DEFAULT: what the test NAME asks for.
need() {
	local value=''

	if [[ -e $top/selftests/settings ]]; then
		value=$(awk -v t="$1" -v w="$2=" '$1 == t {
			for (i = 2; i <= NF; i++) if (index($i, w) == 1) print substr($i, length(w) + 1)
		}' "$top/selftests/settings")
	fi
	if [[ ! $value && $(head -c 2 "$programs/$1" | tr -d '\0') == '#!' ]]; then
		value=$(sed -n "s/^# vm-$2: *//p" "$programs/$1" | head -n 1)
	fi
	echo "${value:-$3}"
}

total=$# count=0 passed=0 failed=0 skipped=0
skips=() notes=() logs=() left=() extra=0 reboots=0

# What booting may take on a machine that has nothing else to do; beyond it there is a
# note.
boot_seconds=15

# Results of the test that runs now.
reset_test() {
	plan='' results=0 bads=() notok=0 skipwhy='' saidwhy='' subskips=() test_start=$SECONDS
}

# One line of a test's output: take its results from it, and show it.
test_line() {
	local line=$1

	if ((raw)); then
		printf '%s\n' "$line"
		return
	fi
	if [[ $line =~ ^1\.\.([0-9]+)(.*#\ *SKIP\ *(.*))? ]]; then
		plan=${BASH_REMATCH[1]}
		skipwhy=${BASH_REMATCH[3]:-$skipwhy}
	elif [[ $line =~ ^(not\ )?ok\ [0-9]+(.*) ]]; then
		results=$((results + 1))
		local what=${BASH_REMATCH[2]} why
		if [[ $what =~ ^(.*)#\ *[Ss][Kk][Ii][Pp]\ *(.*) ]]; then
			why=${BASH_REMATCH[2]:-$saidwhy} saidwhy=''
			skipwhy=${skipwhy:-$why}
			what=$(sed 's/^[ -]*//; s/[ -]*$//' <<<"${BASH_REMATCH[1]}")
			subskips+=("$what: ${why:-no reason given}")
		elif [[ $line == 'not ok'* && ! $what =~ \#\ *(TODO|XFAIL) ]]; then
			notok=$((notok + 1))
		fi
	elif [[ $line =~ ^#?\ *SKIP:?\ +(.*) ]]; then
		saidwhy=${BASH_REMATCH[1]}
		skipwhy=${skipwhy:-$saidwhy}
	fi
	printf '  %s\n' "$line"
}

# finish NAME STATUS: the test's own verdict, by all that is known.
finish() {
	local name=$1 status=$2 s

	count=$((count + 1))
	if [[ $status == 4 && ${#bads[@]} == 0 && $notok == 0 ]]; then
		skipped=$((skipped + 1))
		skips+=("$name: ${skipwhy:-no reason given}")
		((raw)) || echo "# results: $name: 0 passed, 0 failed, 1 skipped, 0 s"
		((raw)) || echo "ok $count $name # SKIP ${skipwhy:-no reason given}"
		return
	fi
	if [[ $status != 0 && ${#bads[@]} == 0 ]]; then
		bads+=("it ended with status $status")
	fi
	if [[ $status == 0 && $raw == 0 ]]; then
		if [[ ! $plan || $plan == 0 ]]; then
			bads+=("it has no plan (1..N): it ran no test")
		elif ((results != plan)); then
			bads+=("it planned $plan results and gave $results")
		fi
		((notok == 0)) || bads+=("$notok of its results are 'not ok', yet it ended with status 0")
	fi
	for s in "${bads[@]}"; do
		echo "# $name: $s"
	done
	if ((${#bads[@]})); then
		failed=$((failed + 1))
		tally "$name" $((notok ? notok : 1))
		((raw)) || echo "not ok $count $name"
		return
	fi
	passed=$((passed + 1))
	for s in "${subskips[@]}"; do
		skips+=("$name: $s")
	done
	tally "$name" 0
	((raw)) || echo "ok $count $name"
}

# tally NAME FAILED: its single results, for suite.sh's table.
tally() {
	((raw)) || echo "# results: $1: $((results - notok - ${#subskips[@]})) passed, $2 failed," \
		"${#subskips[@]} skipped, $((SECONDS - test_start)) s"
}

# Seconds since the time START, with a tenth.
since() {
	local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))

	echo "$((tenths / 10)).$((tenths % 10))"
}

# What the console says, read from stdin, without the reports of data races that are
# the kernel's own.
without_races() {
	awk '
		/BUG: KCSAN:/ { block = ours = ""; inside = 1 }
		!inside { print; next }
		{ block = block $0 "\n"; ours = ours || /\[tcpstate\]/ }
		/ ==========*=\r?$/ {
			if (ours)
				printf "%s", block
			inside = 0
		}
		END {
			if (inside)
				printf "%s", block
		}'
}

# said LOG WORDS: wait until the console, which is slower than the second port, has the
# guest's line WORDS; not for long, as it may be gone.
said() {
	local i

	for ((i = 0; i < 100; i++)); do
		! grep -qa "tcpstate-vm: $2"$'\r*$' "$1" || return 0
		sleep 0.1
	done
}

# show_trouble LOG N: what the console says of what happened in the Nth test: the
# first complaint and its call trace, or else the end of it.
show_trouble() {
	sed "1,/tcpstate-vm: begin $2 /d" "$1" | without_races >"$work/said"
	[[ -s $work/said ]] || cp "$1" "$work/said"
	{
		grep -aE -m 1 -A 60 "$trouble" "$work/said" || tail -n 15 "$work/said"
	} | tr -d '\r' | grep -avE ' R([ABCD]X|[SD]I|[SB]P|[0-9]{2}): |Code:|[CDF]S: |CR[0-9]:|DR[0-9]:|PKRU:|\]  \? |Hardware name|Modules linked' |
		awk '{ print "# console: " $0 } /<.TASK>|end trace|end Kernel panic/ { exit }' | head -n 40
}
trouble='BUG:|WARNING:|Oops|cut here|Kernel panic|rcu.*(stall|detected)|soft lockup|blocked for more'

# vm SMP MEM MODE APPEND LIMIT:NAME...: run the tests in one machine. Leaves
# the tests that did not get their turn in left.
vm() {
	local smp=$1 mem=$2 mode=$3 append=$4 tests=() names=() limits=() t
	local token line='' part='' log begun=0 cpus name='' deadline slack=1 verdict=0 status=-1 why blank=0
	local start=$EPOCHREALTIME booted
	shift 4

	for t; do
		limits+=("${t%%:*}")
		names+=("${t#*:}")
		tests+=("${t#*:} ${t%%:*}")
	done
	token="@@tcpstate-$RANDOM$RANDOM"
	log=$logdir/console-$((${#logs[@]} + 1)).log
	logs+=("$log")
	pack "$kernel" "$work" "token=$token mode=tests clock=$mode" "${tests[@]}"
	rm -f "$work/port"
	mkfifo "$work/port"
	exec 8<>"$work/port"
	qemu_command "$kernel" "$work/initrd" "$smp" "$mem" "$mode" "$append"
	"${qemu_cmd[@]}" -serial "file:$log" -chardev "file,id=port,path=$work/port" \
		-device virtio-serial-pci -device virtserialport,chardev=port,name=tcpstate \
		>"$logdir/qemu.log" 2>&1 8>&- &
	qemu=$!
	[[ $mode != icount && $mode != measure ]] || slack=10
	((slow == 1)) || slack=$((slack * 4))
	deadline=$((SECONDS + 90 * slack))
	reset_test
	while ((verdict == 0)); do
		if ! IFS= read -r -t 1 line <&8; then
			part+=$line
			if ! kill -0 "$qemu" 2>/dev/null; then
				# what was still in the pipe has been read: the read timed out
				break
			fi
			((SECONDS <= deadline)) || break
			continue
		fi
		line=$part$line part=
		case $line in
		"$token boot "*)
			read -r _ _ _ cpus t <<<"$line"
			booted=$(since "$start")
			((raw)) || echo "# $t: booted in $booted s ($cpus CPU, $mem MB${append:+, $append}), log $log"
			if ((raw == 0 && ${booted%.*} >= boot_seconds)); then
				notes+=("it took $booted s from the start of a machine to its first test, more than $boot_seconds")
			fi
			if ((cpus != ${smp%%,*})); then
				echo "# it was to have ${smp%%,*} CPUs"
				extra=$((extra + 1))
			fi
			;;
		"$token begin "*)
			name=${line##* }
			reset_test
			deadline=$((SECONDS + slack * (limits[begun] + 30)))
			begun=$((begun + 1))
			;;
		"$token bad "*) bads+=("${line#* bad }") ;;
		"$token note "*) notes+=("$name: ${line#* note }") ;;
		"$token end "*)
			if [[ ${bads[*]-} == *'kernel log: '* ]]; then
				said "$log" "end $begun"
				show_trouble "$log" "$begun"
			fi
			finish "$name" "${line##* }"
			status=${line##* }
			name=
			deadline=$((SECONDS + 60 * slack))
			;;
		"$token verdict "*)
			said "$log" verdict
			verdict=1
			;;
		'')
			# the line a control line begins with is none of the test's
			((blank == 0)) || test_line ''
			blank=1
			continue
			;;
		*)
			((blank == 0)) || test_line ''
			test_line "$line"
			;;
		esac
		blank=0
		((SECONDS <= deadline)) || break
	done
	why='the machine hangs'
	if ! kill -0 "$qemu" 2>/dev/null; then
		why=$(grep -m 1 -aoE 'Kernel panic.*' "$log" || echo "the machine ended without a verdict")
		[[ -s $log ]] || why="no machine: $(tail -n 1 "$logdir/qemu.log")"
	fi
	kill -KILL "$qemu" 2>/dev/null || :
	wait "$qemu" 2>/dev/null || :
	qemu=
	exec 8>&-
	left=("${@:begun + 1}")
	((verdict)) && return
	if ((begun == 0 && reboots < 2)) && grep -qa 'int3: 0000 ' "$log"; then
		# not the module, which no test has loaded yet: see mode turns
		reboots=$((reboots + 1))
		notes+=("QEMU tripped over code that the booting kernel patched; booted again, log $log")
		return
	fi
	if ((begun == 0)); then
		echo "# $why, before any test, after $(since "$start") s"
		show_trouble "$log" 0
		for t in "${names[@]}"; do
			reset_test
			bads=("$why, before any test")
			finish "$t" 1
		done
		left=()
	elif [[ $name ]]; then
		bads+=("$why")
		show_trouble "$log" "$begun"
		finish "$name" 1
	elif ((${#left[@]} == 0)); then
		# after the last test's end, before the verdict
		echo "# $why, after the last test (status $status)"
		extra=$((extra + 1))
	fi
}

declare -A groups=()
order=()
for t; do
	key="${smp:-$(need "$t" smp 2)} ${mem:-$(need "$t" mem 1024)}"
	m=${mode:-$(need "$t" mode parallel)}
	[[ $m != icount && $m != measure ]] || key="1 ${key#* }"
	key+=" $m $(need "$t" append '') $append"
	[[ ${groups[$key]+x} ]] || order+=("$key")
	groups[$key]+=" $((slow * ${limit:-$(need "$t" timeout 300)})):$t"
done

if ((raw == 0)); then
	echo "KTAP version 1"
	echo "1..$total"
fi
for key in "${order[@]}"; do
	read -r s mb m a <<<"$key"
	read -r -a left <<<"${groups[$key]}"
	while ((${#left[@]})); do
		vm "$s" "$mb" "$m" "$a" "${left[@]}"
	done
done

# What the guest's own look at its log could not see: the time before the first
# test, between two of them and after the last.
for log in "${logs[@]}"; do
	grep -q 'tcpstate-vm: begin 1 ' "$log" || continue
	without_races <"$log" | awk '
		BEGIN { where = "before the first test" }
		/tcpstate-vm: begin / { name = $NF; within = 1 }
		/tcpstate-vm: end / { where = "after " name; within = 0 }
		!within && /BUG:|Oops|Call Trace|cut here/ && !bad++ { print where ": " $0 }' |
		tr -d '\r' >"$work/bad"
	if [[ -s $work/bad ]]; then
		echo "# the kernel's log is dirty $(<"$work/bad")"
		extra=$((extra + 1))
	fi
done
for s in "${skips[@]}"; do
	echo "# skipped: $s"
done
for s in "${notes[@]}"; do
	echo "# note: $s"
done
if ((raw == 0)); then
	echo "# kernel log: ${logs[*]}"
	echo "# $passed passed, $((failed + extra)) failed, $skipped skipped"
elif ((failed + extra)); then
	echo "# kernel log: ${logs[*]}"
fi
((failed + extra == 0 && count == total))
