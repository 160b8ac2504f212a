# SPDX-License-Identifier: GPL-2.0
#
# awk -v kernel=KERNEL -v json=FILE -v wanted="SIZE..." -f report.awk VALUES: the
# table and the JSON of what was measured. Exits 1 if a budget is missed or something is
# missing: without any SIZE only what a connection costs is asked for.
#
# A command whose cost is to be shown at each number of sockets is a measure line
# in costs.sh and a command_row() here; what has a budget is a figure(). report-test.sh
# has a value of each kind.

# 1234567 as 1,234,567
function commas(n,    s, out) {
	s = sprintf("%.0f", n < 0 ? -n : n)
	while (length(s) > 3) {
		out = "," substr(s, length(s) - 2) out
		s = substr(s, 1, length(s) - 3)
	}
	return (n < 0 ? "-" : "") s out
}

# An instruction count with as many digits as mean something.
function short(n) {
	if (n >= 1e10) return sprintf("%.1f G", n / 1e9)
	if (n >= 1e9) return sprintf("%.2f G", n / 1e9)
	if (n >= 1e8) return sprintf("%.0f M", n / 1e6)
	if (n >= 1e7) return sprintf("%.1f M", n / 1e6)
	return sprintf("%.2f M", n / 1e6)
}

# Keep the smallest and the largest seen of NAME.
function keep(name, n) {
	n += 0
	if (!(name in least) || n < least[name]) least[name] = n
	if (!(name in most) || n > most[name]) most[name] = n
}

# How much dearer the dearest round was than the cheapest.
function spread(name) {
	return sprintf("%.1f %%", (most[name] / least[name] - 1) * 100)
}

# One figure; BUDGET is "" where there is none, VALUE where it was not to be had.
function figure(name, title, value, unit, budget, format,    met, verdict, exact, shown) {
	exact = unit == "instructions" || unit == "bytes"
	if (value == "") {
		missing++
		shown = "-"
		verdict = "MISSING"
	} else {
		shown = exact ? commas(value) : sprintf(format, value)
		met = value + 0 <= budget + 0
		verdict = budget == "" ? "" : met ? "ok" : "MISSED"
		if (budget != "" && !met) missed++
	}
	figures = figures sprintf("%s    {\"name\": \"%s\", \"value\": %s, \"unit\": \"%s\"", figures == "" ? "" : ",\n", name, \
		value == "" ? "null" : sprintf(unit == "percent" || unit == "ratio" ? "%.3f" : "%.0f", value), unit)
	if (budget != "") figures = figures sprintf(", \"budget\": %s, \"met\": %s", budget, met ? "true" : "false")
	figures = figures "}"
	rows = rows sprintf("  %-62s %11s %10s  %s\n", title, shown, \
		budget == "" ? "" : exact ? commas(budget) : sprintf(format, budget), verdict)
}

# What is measured only to be compared with, or told beside a figure.
function lost(title) {
	missing++
	printf "  %-46s %13s\n", title, "MISSING"
}

# "" if one of the two is missing. over() is how much more A is, in percent.
function ratio(a, b) { return a == "" || b == "" ? "" : a / b }
function over(a, b) { return a == "" || b == "" ? "" : (a / b - 1) * 100 }
function sum(a, b) { return a == "" || b == "" ? "" : a + b }
function less(a, b) { return a == "" || b == "" ? "" : a - b }
function of(name) { return (name in least) ? least[name] : "" }
function cost_of(name, n) { return ((name, n) in cost) ? cost[name, n] : "" }

# BARE is what it is compared with.
function cycle_row(title, name, bare,    more) {
	if (!(name in least)) {
		lost(title)
		return
	}
	more = name == bare || !(bare in least) ? "" : sprintf("%+.2f %%", over(least[name], least[bare]))
	printf "  %-46s %13s %10s %11s\n", title, commas(least[name]), spread(name), more
	cycles = cycles sprintf("%s    {\"watcher\": \"%s\", \"instructions\": %.0f, \"worst\": %.0f", \
		cycles == "" ? "" : ",\n", title, least[name], most[name])
	if ((name ".end") in least) cycles = cycles sprintf(", \"end_of_time_wait\": %.0f", least[name ".end"])
	cycles = cycles "}"
}

# Where there are more sockets than UPTO, if that is given, it is not measured.
function command_row(title, name, upto,    i, line) {
	line = sprintf("  %-33s", title)
	for (i = 1; i <= sizes; i++) {
		if (!((name, size[i]) in cost)) {
			if (!upto || size[i] <= upto) missing++
			line = line sprintf(" %12s", !upto || size[i] <= upto ? "MISSING" : "-")
			continue
		}
		line = line sprintf(" %12s", short(cost[name, size[i]]))
		queries = queries sprintf("%s    {\"command\": \"%s\", \"sockets\": %.0f, \"instructions\": %.0f, \"worst\": %.0f, \"runs\": %d}", \
			queries == "" ? "" : ",\n", title, there[name, size[i]], cost[name, size[i]], dear[name, size[i]], runs[name, size[i]])
	}
	print line
}

# What each one more costs, by the two smaller numbers of sockets.
function each(name) {
	return ratio(less(cost_of(name, size[2]), cost_of(name, small)), there[name, size[2]] - there[name, small])
}

function rate_row(title, name) {
	if (!(name in rate_with)) {
		lost(title)
		return
	}
	printf "  %-46s %13s %10s %11s\n", title, commas(rate_without[name]), commas(rate_with[name]), \
		sprintf("%+.1f %%", (rate_with[name] / rate_without[name] - 1) * 100)
	rates = rates sprintf("%s    {\"destinations\": \"%s\", \"cpus\": %d, \"turns\": %d, \"without\": %.0f, \"with\": %.0f}", \
		rates == "" ? "" : ",\n", substr(name, 6), rate_cpus, rate_rounds, rate_without[name], rate_with[name])
}

$1 == "release" { release = $2 }

# NAME BEST WORST END
$1 ~ /^cycle\./ {
	keep($1, $2)
	keep($1, $3)
	if ($4) keep($1 ".end", $4)
}

# dests COUNT BYTES-OF-EACH
$1 == "dests" { dests = $2; dest_bytes = $3 }
# dests.QUERY BEST WORST CPU
$1 ~ /^dests\./ { keep($1, $2) }

# among.WATCHER SIZE BEST WORST END
$1 ~ /^among\./ { keep($1 "." $2, $3) }

# NAME SIZE SOCKETS RUNS BEST WORST CPU
$1 ~ /^command\./ {
	name = substr($1, 9)
	cost[name, $2] = $5
	dear[name, $2] = $6
	cpu[name, $2] = $7
	runs[name, $2] = $4
	there[name, $2] = $3
	keep("there." $2, $3)
}

# load SIZE SOCKETS BEST WORST CPU
$1 == "load" { keep("load." $2, $6); loaded[$2] = $3; keep("load-elapsed." $2, $4) }
$1 == "load-said" { found[$2] = $3; keep("load-ms." $2, $4) }
$1 == "load-memory" { keep("load-memory." $2, $4); resident[$2] = $3 }
# slab SIZE SOCKETS ACTIVE OBJSIZE SLABS PAGESPERSLAB PAGESIZE
$1 == "slab" { slab[$2] = $6 * $7 * $8 / $3 }
# cpus POSSIBLE ONLINE
$1 == "cpus" { possible = $2; online = $3 }
# namespace NAMESPACES IDLE USED: bytes
$1 == "namespace" { idle = $3; used = $4 }
# connection RECORDS ALL SLAB: bytes
$1 == "connection" { few = $2; few_bytes = $3 }
# rate.NAME WITHOUT WITH CPUS ROUNDS: connections a second
$1 ~ /^rate\./ {
	rate_without[$1] = $2
	rate_with[$1] = $3
	rate_cpus = $4
	rate_rounds = $5
}

END {
	sizes = split(wanted, size, " ")
	big = size[sizes]
	small = size[1]
	printf "\nWhat tcpstate costs on Linux %s, in instructions, but where said otherwise.\n", release
	print "Measured in a virtual machine whose clock counts them (QEMU TCG, -icount shift=0), so that"
	print "nothing else that the host does is in it. The cheapest of several runs; spread: how much"
	print "dearer the dearest of them was."
	printf "\n%-48s %13s %10s %11s\n", "A CONNECTION OVER LOOPBACK, FROM SOCKET TO CLOSE", "instructions", "spread", "over bare"
	cycle_row("nothing loaded", "cycle.bare", "cycle.bare")
	cycle_row("its hooks, with handlers that only count", "cycle.floor", "cycle.bare")
	cycle_row("tcpstate", "cycle.loaded", "cycle.bare")
	cycle_row("bpftrace, one count() per transition", "cycle.bpftrace", "cycle.bare")
	bare_end = of("cycle.bare.end")
	loaded_end = of("cycle.loaded.end")
	if (bare_end != "" && loaded_end != "") {
		printf "  %-46s %13s %10s\n", "the end of its TIME_WAIT, nothing loaded", commas(bare_end), spread("cycle.bare.end")
		if ("cycle.floor.end" in least)
			printf "  %-46s %13s %10s %11s\n", "the end of its TIME_WAIT, the hooks", commas(least["cycle.floor.end"]), \
				spread("cycle.floor.end"), "+" commas(least["cycle.floor.end"] - bare_end)
		printf "  %-46s %13s %10s %11s\n", "the end of its TIME_WAIT, tcpstate", commas(loaded_end), spread("cycle.loaded.end"), \
			"+" commas(loaded_end - bare_end)
	}
	cycle_row("over IPv6, nothing loaded", "cycle.ipv6.bare", "cycle.ipv6.bare")
	cycle_row("over IPv6, tcpstate", "cycle.ipv6.loaded", "cycle.ipv6.bare")
	cycle_row("between two processes, nothing loaded", "cycle.apart.bare", "cycle.apart.bare")
	cycle_row("between two processes, tcpstate", "cycle.apart.loaded", "cycle.apart.bare")
	cycle_row("near a threshold, nothing loaded", "cycle.near.bare", "cycle.near.bare")
	cycle_row("near a threshold, tcpstate", "cycle.near.loaded", "cycle.near.bare")
	cycle_row("a second of these, nothing loaded", "cycle.second.bare", "cycle.second.bare")
	cycle_row("a second of these, with the look at them", "cycle.second.loaded", "cycle.second.bare")
	for (i = 1; i <= sizes; i++) {
		without = of("among.bare." size[i])
		with = of("among.loaded." size[i])
		# told below, as a figure
		if (without == "" || with == "") continue
		printf "  %-46s %13s\n", "among " commas(size[i]) " in TIME_WAIT, nothing loaded", commas(without)
		printf "  %-46s %13s %10s %11s\n", "among " commas(size[i]) " in TIME_WAIT, tcpstate", commas(with), "", \
			sprintf("%+.2f %%", over(with, without))
		among = among sprintf("%s    {\"time_wait\": %d, \"bare\": %.0f, \"tcpstate\": %.0f}", \
			among == "" ? "" : ",\n", size[i], without, with)
	}
	if (sizes) {
		printf "\n%-35s", "SOCKETS IN TIME_WAIT"
		for (i = 1; i <= sizes; i++) printf " %12s", commas(size[i])
		print ""
		command_row("true", "true")
		command_row("tcpstate-cli state", "state")
		command_row("tcpstate-cli -j state", "state-json")
		command_row("tcpstate-cli, the one screen", "screen")
		command_row("tcpstate-cli dest top 10, of 250", "dest-top")
		command_row("tcpstate-cli port summary", "port-summary")
		command_row("cat /proc/net/sockstat", "sockstat")
		command_row("ss -s", "ss-summary")
		command_row("cat /proc/net/tcp", "proc-net-tcp")
		command_row("ss -Htan state time-wait", "ss-list")
		command_row("netstat -ant", "netstat")
		command_row("conn-get, only read", "list", 100000)
		command_row("tcpstate-cli conn (TIME_WAIT)", "conn", 100000)
		command_row("tcpstate-cli -j conn (TIME_WAIT)", "conn-json", 100000)
		command_row("tcpstate-cli conn top 10", "conn-top")
		command_row("tcpstate-cli owner", "owner")
		command_row("tcpstate-cli audit", "audit")
		for (i = 1; i <= sizes; i++)
			if (of("there." size[i]) != size[i] || most["there." size[i]] != size[i])
				printf "  (instead of %s there were %s to %s when that was measured)\n", commas(size[i]), \
					commas(of("there." size[i])), commas(most["there." size[i]])
	}

	# The budget of a connection is for the cycle, which ends with the second close().
	bare = of("cycle.bare")
	loaded_cycle = of("cycle.loaded")
	figure("cycle_overhead", "a connection, over bare", over(loaded_cycle, bare), "percent", 2.0, "%+.2f %%")
	figure("cycle_ipv6_overhead", "over IPv6", over(of("cycle.ipv6.loaded"), of("cycle.ipv6.bare")), "percent", 2.0, "%+.2f %%")
	figure("cycle_apart_overhead", "between two processes", over(of("cycle.apart.loaded"), of("cycle.apart.bare")), "percent", 2.0, "%+.2f %%")
	figure("cycle_near_overhead", "to a destination near its threshold", over(of("cycle.near.loaded"), of("cycle.near.bare")), \
		"percent", 2.0, "%+.2f %%")
	# In all rounds what is in the cheapest, and the looks: for a second, which is 1e9.
	more = less(of("cycle.near.loaded"), of("cycle.near.bare"))
	looks = less(less(of("cycle.second.loaded"), of("cycle.second.bare")), more)
	figure("look_near", "and the look at it, once a second", ratio(looks == "" ? "" : looks * 1e9, of("cycle.second.loaded")), \
		"instructions", "", "%s")
	for (i = 1; i <= sizes; i++)
		figure("cycle_among_" size[i] "_overhead", "among " commas(size[i]) " in TIME_WAIT", \
			over(of("among.loaded." size[i]), of("among.bare." size[i])), "percent", 2.0, "%+.2f %%")
	figure("life_overhead", "the first to the end of its TIME_WAIT", \
		over(sum(loaded_cycle, loaded_end), sum(bare, bare_end)), "percent", "", "%+.2f %%")
	if (sizes) {
		for (i = 1; i <= sizes; i++)
			figure("state_" size[i], "tcpstate-cli state, at " commas(size[i]) " sockets", cost_of("state", size[i]), \
				"instructions", 3000000, "%s")
		figure("state_growth", "tcpstate-cli state, at " commas(big) " over at " commas(small), \
			ratio(cost_of("state", big), cost_of("state", small)), "ratio", 1.05, "%.3f x")
		figure("load_per_socket", "loading, for each of " commas(loaded[big]) " sockets found", \
			ratio(less(of("load." big), of("load.0")), loaded[big]), "instructions", 2000, "%s")
		figure("load_empty", "loading where there are none: hooking functions, in the main", of("load.0"), "instructions", "", "%s")
		figure("load_walk", "the walk over " commas(loaded[big]) " sockets", \
			(("load-ms." big) in least) ? least["load-ms." big] * 1e6 : "", "instructions", "", "%s")
		figure("memory_per_connection", "memory per connection: all of the module's, for " commas(resident[big]), \
			ratio(of("load-memory." big), resident[big]), "bytes", 128, "%s")
		figure("record", "of which records (pages of slab tcpstate_conn)", slab[big], "bytes", "", "%s")
		figure("conn_told", "listing connections, for each, told and read", each("list"), "instructions", 4000, "%s")
		figure("conn_per_line", "tcpstate-cli conn, for each, with its text", each("conn"), "instructions", "", "%s")
		figure("conn_json_per_line", "tcpstate-cli -j conn, for each", each("conn-json"), "instructions", "", "%s")
		figure("ss_per_line", "ss -Htan state time-wait, for each", each("ss-list"), "instructions", "", "%s")
		figure("audit_per_socket", "tcpstate-cli audit, per socket at " commas(big), \
			ratio(cost_of("audit", big), there["audit", big]), "instructions", "", "%s")
		figure("dest_top", "tcpstate-cli dest top 10, of " commas(dests) " destinations", of("dests.top"), "instructions", "", "%s")
		figure("dest_one", "tcpstate-cli dest dst ADDRESS, of as many", of("dests.one"), "instructions", "", "%s")
		figure("dest_all", "tcpstate-cli -j dest, all of them, for each", ratio(of("dests.all"), dests), "instructions", "", "%s")
		figure("dest_memory", "memory of a destination (pages of slab tcpstate_dest)", dest_bytes, "bytes", "", "%s")
		figure("memory_per_connection_" (few ? few : "few"), "the same for " commas(few) " on " possible " CPUs", few_bytes, "bytes", 128, "%s")
		figure("namespace_idle", "memory of an idle namespace, " possible " CPUs", idle, "bytes", 16384, "%s")
		figure("namespace_cpu", "and for each CPU that was active in it", ratio(less(used, idle), online), "bytes", "", "%s")
		printf "\n%-48s %13s %10s %11s\n", "CONNECTIONS A SECOND, " rate_cpus " CPUs AT ONCE", "without", "with", "difference"
		rate_row("all to one destination", "rate.one")
		rate_row("each to another destination", "rate.many")
		print "  (medians of " rate_rounds " turns each, in real time: they depend on what the host does)"
	}
	printf "\n%-64s %11s %10s\n%s\n", "FIGURES", "measured", "budget", rows
	if (missed) printf "%d of the budgets missed.\n", missed
	if (missing) printf "%d of what was to be measured are MISSING.\n", missing
	if (!missed && !missing) print "Every budget is met."
	printf "{\n  \"kernel\": \"%s\",\n  \"release\": \"%s\",\n  \"figures\": [\n%s\n  ],\n  \"cycles\": [\n%s\n  ],\n  \"cycles_among\": [\n%s\n  ],\n  \"queries\": [\n%s\n  ],\n  \"rates\": [\n%s\n  ]\n}\n", \
		kernel, release, figures, cycles, among, queries, rates >json
	exit missed || missing ? 1 : 0
}
