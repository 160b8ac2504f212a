# SPDX-License-Identifier: GPL-2.0
#
# awk -v kernel=KERNEL -v json=FILE -f report.awk VALUES: the table and the JSON
# of what was measured. Exits 1 if a budget is missed.
#
# A command whose cost is to be shown at each number of sockets is a measure line
# in costs.sh and a command_row() here; what has a budget is a figure().

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

# One figure; BUDGET is "" where there is none.
function figure(name, title, value, unit, budget, format,    met, shown) {
	shown = sprintf(format, value)
	if (unit == "instructions" || unit == "bytes") shown = commas(value)
	met = value <= budget
	figures = figures sprintf("%s    {\"name\": \"%s\", \"value\": %s, \"unit\": \"%s\"", \
		figures == "" ? "" : ",\n", name, sprintf(unit == "percent" || unit == "ratio" ? "%.3f" : "%.0f", value), unit)
	if (budget != "") {
		figures = figures sprintf(", \"budget\": %s, \"met\": %s", budget, met ? "true" : "false")
		if (!met) missed++
	}
	figures = figures "}"
	rows = rows sprintf("  %-62s %11s %10s  %s\n", title, shown, budget == "" ? "" : \
		unit == "instructions" || unit == "bytes" ? commas(budget) : sprintf(format, budget), \
		budget == "" ? "" : met ? "ok" : "MISSED")
}

function cycle_row(title, name,    over) {
	if (!(name in least)) return
	over = name == "cycle.bare" ? "" : sprintf("%+.2f %%", (least[name] / least["cycle.bare"] - 1) * 100)
	printf "  %-46s %13s %10s %11s\n", title, commas(least[name]), spread(name), over
	cycles = cycles sprintf("%s    {\"watcher\": \"%s\", \"instructions\": %.0f, \"worst\": %.0f", \
		cycles == "" ? "" : ",\n", title, least[name], most[name])
	if ((name ".end") in least) cycles = cycles sprintf(", \"end_of_time_wait\": %.0f", least[name ".end"])
	cycles = cycles "}"
}

function command_row(title, name,    i, line, any) {
	line = sprintf("  %-33s", title)
	for (i = 1; i <= sizes; i++) {
		if (!((name, size[i]) in cost)) {
			line = line sprintf(" %12s", "-")
			continue
		}
		any = 1
		line = line sprintf(" %12s", short(cost[name, size[i]]))
		queries = queries sprintf("%s    {\"command\": \"%s\", \"sockets\": %.0f, \"instructions\": %.0f, \"worst\": %.0f, \"runs\": %d}", \
			queries == "" ? "" : ",\n", title, there[name, size[i]], cost[name, size[i]], dear[name, size[i]], runs[name, size[i]])
	}
	if (any) print line
}

function each(name) {
	return (cost[name, size[2]] - cost[name, small]) / (there[name, size[2]] - there[name, small])
}

function rate_row(title, name) {
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
	if (!($2 in seen)) { seen[$2] = 1; size[++sizes] = $2 }
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
	if (release == "") exit 1
	big = size[sizes]
	small = size[1]
	printf "\nWhat tcpstate costs on Linux %s, in instructions, but where said otherwise.\n", release
	print "Measured in a virtual machine whose clock counts them (QEMU TCG, -icount shift=0), so that"
	print "nothing else that the host does is in it. The cheapest of several runs; spread: how much"
	print "dearer the dearest of them was."
	printf "\n%-48s %13s %10s %11s\n", "A CONNECTION OVER LOOPBACK, FROM SOCKET TO CLOSE", "instructions", "spread", "over bare"
	cycle_row("nothing loaded", "cycle.bare")
	cycle_row("its hooks, with handlers that only count", "cycle.floor")
	cycle_row("tcpstate", "cycle.loaded")
	cycle_row("bpftrace, one count() per transition", "cycle.bpftrace")
	if ("cycle.bare.end" in least && "cycle.loaded.end" in least) {
		bare_end = least["cycle.bare.end"]
		loaded_end = least["cycle.loaded.end"]
		printf "  %-46s %13s %10s\n", "the end of its TIME_WAIT, nothing loaded", commas(bare_end), spread("cycle.bare.end")
		if ("cycle.floor.end" in least)
			printf "  %-46s %13s %10s %11s\n", "the end of its TIME_WAIT, the hooks", commas(least["cycle.floor.end"]), \
				spread("cycle.floor.end"), "+" commas(least["cycle.floor.end"] - bare_end)
		printf "  %-46s %13s %10s %11s\n", "the end of its TIME_WAIT, tcpstate", commas(loaded_end), spread("cycle.loaded.end"), \
			"+" commas(loaded_end - bare_end)
	}
	for (i = 1; i <= sizes; i++) {
		without = "among.bare." size[i]
		with = "among.loaded." size[i]
		if (!(without in least) || !(with in least)) continue
		printf "  %-46s %13s\n", "among " commas(size[i]) " in TIME_WAIT, nothing loaded", commas(least[without])
		printf "  %-46s %13s %10s %11s\n", "among " commas(size[i]) " in TIME_WAIT, tcpstate", commas(least[with]), "", \
			sprintf("%+.2f %%", (least[with] / least[without] - 1) * 100)
		among = among sprintf("%s    {\"time_wait\": %d, \"bare\": %.0f, \"tcpstate\": %.0f}", \
			among == "" ? "" : ",\n", size[i], least[without], least[with])
	}
	if (sizes) {
		printf "\n%-35s", "SOCKETS IN TIME_WAIT"
		for (i = 1; i <= sizes; i++) printf " %12s", commas(size[i])
		print ""
		command_row("true", "true")
		command_row("tcpstate-cli state", "state")
		command_row("tcpstate-cli -j state", "state-json")
		command_row("tcpstate-cli dest top 10, of 250", "dest-top")
		command_row("tcpstate-cli port summary", "port-summary")
		command_row("cat /proc/net/sockstat", "sockstat")
		command_row("ss -s", "ss-summary")
		command_row("cat /proc/net/tcp", "proc-net-tcp")
		command_row("ss -Htan state time-wait", "ss-list")
		command_row("netstat -ant", "netstat")
		command_row("conn-get, only read", "list")
		command_row("tcpstate-cli conn (TIME_WAIT)", "conn")
		command_row("tcpstate-cli -j conn (TIME_WAIT)", "conn-json")
		command_row("tcpstate-cli conn top 10", "conn-top")
		command_row("tcpstate-cli owner", "owner")
		command_row("tcpstate-cli audit", "audit")
		for (i = 1; i <= sizes; i++)
			if (least["there." size[i]] != size[i] || most["there." size[i]] != size[i])
				printf "  (instead of %s there were %s to %s when that was measured)\n", commas(size[i]), \
					commas(least["there." size[i]]), commas(most["there." size[i]])
		n = loaded[big]
	}

	if (("cycle.bare" in least) && ("cycle.loaded" in least)) {
		over = least["cycle.loaded"] - least["cycle.bare"]
		figure("cycle_overhead", "a connection, over bare", over / least["cycle.bare"] * 100, "percent", 2.0, "%+.2f %%")
		# The budget is for the cycle, which ends with the second close().
		if (loaded_end)
			figure("life_overhead", "the same to the end of its TIME_WAIT", \
				(over + loaded_end - bare_end) / (least["cycle.bare"] + bare_end) * 100, "percent", "", "%+.2f %%")
	}
	if (sizes) {
		for (i = 1; i <= sizes; i++)
			if (("state", size[i]) in cost)
				figure("state_" size[i], "tcpstate-cli state, at " commas(size[i]) " sockets", cost["state", size[i]], \
					"instructions", 3000000, "%s")
		if (sizes > 1 && (("state", big) in cost))
			figure("state_growth", "tcpstate-cli state, at " commas(big) " over at " commas(small), \
				cost["state", big] / cost["state", small], "ratio", 1.05, "%.3f x")
		if (("load." big) in least) {
			figure("load_per_socket", "loading, for each of " commas(n) " sockets found", \
				(least["load." big] - least["load.0"]) / n, "instructions", 2000, "%s")
			figure("load_empty", "loading where there are none: hooking functions, in the main", least["load.0"], "instructions", "", "%s")
			figure("load_walk", "the walk over " commas(n) " sockets", least["load-ms." big] * 1e6, "instructions", "", "%s")
		}
		if (("load-memory." big) in least) {
			figure("memory_per_connection", "memory per connection: all of the module's, for " commas(resident[big]), \
				least["load-memory." big] / resident[big], "bytes", 128, "%s")
			figure("record", "of which records (pages of slab tcpstate_conn)", slab[big], "bytes", "", "%s")
		}
		# What each one more costs, by the two smaller numbers of sockets.
		if (sizes > 1 && (("conn", size[2]) in cost)) {
			figure("conn_told", "listing connections, for each, told and read", each("list"), "instructions", 4000, "%s")
			figure("conn_per_line", "tcpstate-cli conn, for each, with its text", each("conn"), "instructions", "", "%s")
			figure("conn_json_per_line", "tcpstate-cli -j conn, for each", each("conn-json"), "instructions", "", "%s")
		}
		if (sizes > 1 && (("ss-list", size[2]) in cost))
			figure("ss_per_line", "ss -Htan state time-wait, for each", each("ss-list"), "instructions", "", "%s")
		if (("audit", big) in cost)
			figure("audit_per_socket", "tcpstate-cli audit, per socket at " commas(big), \
				cost["audit", big] / there["audit", big], "instructions", "", "%s")
	}
	if (dests) {
		figure("dest_top", "tcpstate-cli dest top 10, of " commas(dests) " destinations", least["dests.top"], "instructions", "", "%s")
		figure("dest_one", "tcpstate-cli dest dst ADDRESS, of as many", least["dests.one"], "instructions", "", "%s")
		figure("dest_all", "tcpstate-cli -j dest, all of them, for each", least["dests.all"] / dests, "instructions", "", "%s")
		figure("dest_memory", "memory of a destination (pages of slab tcpstate_dest)", dest_bytes, "bytes", "", "%s")
	}
	if (few)
		figure("memory_per_connection_" few, "the same for " commas(few) " on " possible " CPUs", few_bytes, "bytes", 128, "%s")
	if (idle) {
		figure("namespace_idle", "memory of an idle namespace, " possible " CPUs", idle, "bytes", 16384, "%s")
		figure("namespace_cpu", "and for each CPU that was active in it", (used - idle) / online, "bytes", "", "%s")
	}
	if ("rate.one" in rate_with) {
		printf "\n%-48s %13s %10s %11s\n", "CONNECTIONS A SECOND, " rate_cpus " CPUs AT ONCE", "without", "with", "difference"
		rate_row("all to one destination", "rate.one")
		rate_row("each to another destination", "rate.many")
		print "  (medians of " rate_rounds " turns each, in real time: they depend on what the host does)"
	}
	printf "\n%-64s %11s %10s\n%s", "FIGURES", "measured", "budget", rows
	if (missed) printf "\n%d of the budgets missed.\n", missed
	else print "\nEvery budget is met."
	printf "{\n  \"kernel\": \"%s\",\n  \"release\": \"%s\",\n  \"figures\": [\n%s\n  ],\n  \"cycles\": [\n%s\n  ],\n  \"cycles_among\": [\n%s\n  ],\n  \"queries\": [\n%s\n  ],\n  \"rates\": [\n%s\n  ]\n}\n", \
		kernel, release, figures, cycles, among, queries, rates >json
	exit missed ? 1 : 0
}
