#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmemleak scans with the module just loaded, after use, and after it is gone;
# and with namespaces that have died meanwhile. (After every test the harness
# has it scan, too: with the module unloaded.)

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

kmemleak=/sys/kernel/debug/kmemleak
[[ -e $kmemleak ]] || skip_all "this kernel does not look for leaks: use KERNEL=debug"

# Nothing is unreferenced. What a first scan finds may be on its way somewhere;
# an object is considered when it is five seconds old.
no_leaks() {
	echo scan >$kmemleak || return
	sleep 6
	echo scan >$kmemleak
	[[ $(<$kmemleak) ]] || return 0
	echo scan >$kmemleak
	[[ -z $(<$kmemleak) ]] || { cat $kmemleak; return 1; }
}

# connections NS N: N connections inside NS, of which every other one is
# closed by each side.
connections() {
	ip netns exec "$1" python3 - "$2" <<-'END_OF_PYTHON'
	import socket, sys
	listener = socket.create_server(("", 7000), family=socket.AF_INET6, backlog=100,
	                                dualstack_ipv6=True)
	for i in range(int(sys.argv[1])):
	    client = socket.create_connection(("127.0.0.1" if i % 2 else "::1", 7000))
	    server, _ = listener.accept()
	    first, second = (client, server) if i % 3 else (server, client)
	    first.shutdown(socket.SHUT_WR)
	    second.recv(1)
	    second.close()
	    first.close()
	END_OF_PYTHON
}

# What there are rooms, refusals, alerts and owners of: inside NS four ports, all of
# them used towards one destination, a connect() that gets none, and a connection
# that is not closed until the alert has been raised. Every command is asked
# meanwhile; one reader is killed while it reads, and one that waits for alerts.
everything() {
	local monitor client

	ip netns exec "$1" tcpstate-cli config set close-wait-warning 1 || return
	ip netns exec "$1" sysctl -qw net.ipv4.ip_local_port_range='40000 40003' || return
	ip netns exec "$1" tcpstate-cli monitor >/tmp/kmemleak.monitor &
	monitor=$!
	ip netns exec "$1" python3 - >/tmp/kmemleak.client <<-'END_OF_PYTHON' &
	import errno, signal, socket
	listener = socket.create_server(("127.0.0.1", 7001), backlog=100)
	clients = [socket.create_connection(("127.0.0.1", 7001)) for i in range(4)]
	servers = [listener.accept()[0] for i in range(3)]
	try:
	    socket.create_connection(("127.0.0.1", 7001))
	except OSError as e:
	    assert e.errno == errno.EADDRNOTAVAIL
	    print("refused", flush=True)
	clients[0].shutdown(socket.SHUT_WR)
	clients[3].shutdown(socket.SHUT_WR)
	signal.pause()
	END_OF_PYTHON
	client=$!
	# shellcheck disable=SC2016 # $c and $0 are the other shell's
	wait_for 60 grep -q refused /tmp/kmemleak.client &&
		wait_for 60 grep -q close-wait-leak /tmp/kmemleak.monitor &&
		wait_for 60 grep -q port-exhausted /tmp/kmemleak.monitor &&
		ip netns exec "$1" sh -ec 'tcpstate-cli
			for c in state dest "dest top 1" port "port 7001" "port summary" conn \
				"conn top 2" "conn stuck" "conn state close-wait older 1" owner \
				"owner by cgroup" "owner pid $0" config audit; do
				tcpstate-cli $c
				timeout -s KILL 0.01 tcpstate-cli $c || :
			done >/dev/null
			tcpstate-cli check || :
			tcpstate-cli close state close-wait --yes' "$client"
	local status=$?
	kill -KILL $monitor $client
	wait $monitor $client 2>/dev/null
	return $status
}

use() {
	local i

	for i in 1 2 3 4; do
		ip netns add "kmemleak-$i" || return
		ip -n "kmemleak-$i" link set lo up
		connections "kmemleak-$i" 100 || return
		ip netns exec "kmemleak-$i" tcpstate-cli state || return
	done
	everything kmemleak-1 && everything kmemleak-3 || return
	tcpstate-cli -a state && tcpstate-cli -a audit || return
	for i in 1 2; do
		ip netns delete "kmemleak-$i"
	done
}

plan 7
# shellcheck disable=SC2016 # for later
at_exit 'for ns in 1 2 3 4; do ip netns delete kmemleak-$ns 2>/dev/null; done'
echo clear >$kmemleak
log_begin
check "it loads" module_load
check "nothing is lost while it is loaded" no_leaks
check "it is used" use
check "nothing is lost after use" no_leaks
check "it unloads" module_unload
check "nothing is lost after it is gone" no_leaks
check "the kernel's log is clean" log_clean
