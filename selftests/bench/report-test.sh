#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# report-test.sh: test report.awk. Prints what is wrong; nothing if all is well.
#
# What bench.sh would have measured is made up, one value of each kind. With all of
# it every budget is met; with any one left out the report says what is missing, and
# with one above its budget that it is missed. Neither ends with 0.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

wrong() {
	echo "report.awk: $*"
	bad=1
}

# With -c: BEST WORST END of each.
connection() {
	cat <<-'END'
	release 6.1
	cycle.bare 80000 81000 5000
	cycle.floor 80400 81000 5100
	cycle.loaded 81500 81600 5300
	cycle.bpftrace 92000 92000 0
	END
	local how

	for how in ipv6 apart near second; do
		echo "cycle.$how.bare 90000 91000 0"
		echo "cycle.$how.loaded 91600 92000 0"
	done
}

# And without, for 1000 and 25000 sockets. Of loading the largest is all that is shown.
everything() {
	local n name

	connection
	cat <<-'END'
	load 0 0 4000000 4000000 4000000
	load 25000 25000 19000000 0 19000000
	load-said 25000 25000 20
	load-memory 25000 25000 2750000
	slab 25000 25000 25000 80 490 1 4096
	END
	for n in 1000 25000; do
		echo "among.bare $n 85000 86000 0"
		echo "among.loaded $n 86600 87000 0"
		for name in true state state-json screen dest-top port-summary conn-top owner sockstat \
			ss-summary audit; do
			echo "command.$name $n $n 3 2000000 2000000 2000000"
		done
		for name in list conn conn-json proc-net-tcp ss-list netstat; do
			echo "command.$name $n $n 2 $((1000000 + n * 3000)) 90000000 90000000"
		done
	done
	cat <<-'END'
	dests 10000 512
	dests.top 3000000 3000000 3000000
	dests.one 2000000 2000000 2000000
	dests.all 90000000 90000000 90000000
	cpus 16 4
	namespace 64 5000 20000
	connection 4000 110 90
	rate.one 9000 8900 4 8
	rate.many 9000 8950 4 8
	END
}

# report WANTED STATUS LINE: what it makes of the values on stdin, with these SIZEs
# wanted; as what it has to end, and with a line as what.
report() {
	local status=0

	awk -v kernel=6.1 -v json="$work/json" -v wanted="$1" -f "$here/report.awk" \
		>"$work/said" 2>&1 || status=$?
	((status == $2)) || wrong "$what: it ends with $status"
	grep -q -- "$3" "$work/said" || wrong "$what: nothing says '$3'"
}

# What was written last can be read.
json() {
	python3 -m json.tool "$work/json" >/dev/null || wrong "$what: that is no JSON"
}

# each_missing WANTED: without one value, the next time without another.
each_missing() {
	local n line

	for ((n = 1; n <= $(wc -l <"$work/values"); n++)); do
		line=$(sed -n "${n}p" "$work/values")
		what="without '$line'"
		[[ $line != release* && $line != cycle.floor* ]] || continue
		report "$1" 1 MISSING < <(sed "${n}d" "$work/values")
	done
}

met='^Every budget is met'
connection >"$work/values"
what="the connection"
report '' 0 "$met" <"$work/values"
json
each_missing ''
everything >"$work/values"
what="everything"
report '1000 25000' 0 "$met" <"$work/values"
json
each_missing '1000 25000'
what="nothing"
report '1000 25000' 1 MISSING </dev/null
json

# missed PATTERN LINE: each line that fits and has a value above its budget.
missed() {
	what="with '$2'"
	report '1000 25000' 1 '^1 of the budgets missed' < <(sed "s/^$1.*/$2/" "$work/values")
}
missed 'cycle.loaded' 'cycle.loaded 81700 81700 5300'
missed 'cycle.ipv6.loaded' 'cycle.ipv6.loaded 91900 91900 0'
missed 'cycle.apart.loaded' 'cycle.apart.loaded 91900 91900 0'
missed 'cycle.near.loaded' 'cycle.near.loaded 91900 91900 0'
missed 'among.loaded 1000' 'among.loaded 1000 86800 87000 0'
missed 'among.loaded 25000' 'among.loaded 25000 86800 87000 0'
missed 'command.state 1000' 'command.state 1000 1000 3 3000001 3000001 3000001'
missed 'namespace' 'namespace 64 16385 20000'
missed 'load-memory 25000' 'load-memory 25000 25000 3225000'
((bad == 0))
