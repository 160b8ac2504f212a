#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# plant.sh [BUG...]: plant a bug of each kind (default: all) in a copy of the
# sources, run a test on the kernel that is to see it, and check that the test
# fails for that reason. Prints KTAP, with the line that caught the bug; the last
# line is '# N passed, N failed'. 'plant.sh -l' lists the bugs.
#
# A bug is a change to one file of module/, made by sed; it must change something.
# Nothing of it is ever in the checkout.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=vm/common.sh
. "$here/vm/common.sh"

bugs=(leak sleep rcu use-after-free unchecked inversion race lost-end)

# bug NAME: set what it is (what), what is changed (file, edit), and who is to see
# it (kernel, test and its arguments) in which words (caught): they are sought in
# the test's own lines, the reasons for its failure and the console's lines.
bug() {
	kernel=debug test=seed arguments=''
	case $1 in
	leak)
		what="what a CPU counted is not freed with its namespace"
		file=netns.c edit='/^\t*kfree(block);$/d'
		caught='memory leak: [0-9+ ]+ objects'
		;;
	sleep)
		what="the probe allocates memory as if it could sleep"
		file=conn.c edit='/^\ttcpstate_probe_enter();$/a kfree(kmalloc(32, GFP_KERNEL));'
		caught='BUG: sleeping function called from invalid context'
		;;
	rcu)
		what="a namespace's data is looked up without rcu_read_lock_sched()"
		file=netlink.c edit='/^\trcu_read_\(un\)\?lock_sched();$/d'
		caught='WARNING: suspicious RCU usage'
		;;
	use-after-free)
		what="a record ends, and stays in its list of ages"
		file=conn.c edit='s/^\t\twas = conn_close_listed(conn, was);$/\t\t;/
			s/= conn_unlist(conn);/= state == TCP_CLOSE ? READ_ONCE(conn->status) : conn_unlist(conn);/'
		caught='BUG: KASAN: slab-use-after-free in .*\[tcpstate\]'
		;;
	unchecked)
		what="an allocation is taken to have succeeded"
		test=failslab arguments='-r failslab.netlink'
		file=netlink.c edit='s/^\tif (!counts)$/\tif (0)/'
		caught='BUG: kernel NULL pointer dereference|KASAN: null-ptr-deref in'
		;;
	inversion)
		what="a bucket's lock is taken inside that of a list of ages"
		file=conn.c edit='/^\ttcpstate_chain_lock(&ages->newest, TCPSTATE_CHAIN_AGE);$/a \
			tcpstate_chain_lock(conn_table, TCPSTATE_CHAIN_BUCKET); \
			tcpstate_chain_unlock(conn_table, TCPSTATE_CHAIN_BUCKET);'
		caught='WARNING: possible circular locking dependency detected'
		;;
	lost-end)
		what="nobody hears of a mini-socket's end"
		kernel=6.1 test=states arguments='-r states.time_wait_recycled_bound'
		file=probe.c edit='/^\t\ttcpstate_conn_freed((void \*)tcpstate_ftrace_arg(regs, 0));$/s/tcp.*/;/'
		caught='audit ended with 1: .*"stale": *[1-9]'
		;;
	race)
		what="all CPUs count in one variable"
		kernel=kcsan test=races
		file=conn.c edit='/^\ttcpstate_probe_enter();$/a { static unsigned long n; n++; }'
		caught='BUG: KCSAN: data-race in .*tcpstate_conn_event'
		;;
	*) die "there is no bug '$1'; there are: ${bugs[*]}" ;;
	esac
}

case ${1-} in
-l)
	for b in "${bugs[@]}"; do
		bug "$b"
		printf '%-15s %s (%s, %s)\n' "$b" "$what" "$kernel" "$test"
	done
	exit
	;;
-*)
	usage
	exit 2
	;;
esac
chosen=("$@")
((${#chosen[@]})) || chosen=("${bugs[@]}")
for b in "${chosen[@]}"; do
	bug "$b"
done

copy=$build/plant/tree
n=0 bad=0
echo "KTAP version 1"
echo "1..${#chosen[@]}"
for b in "${chosen[@]}"; do
	n=$((n + 1))
	bug "$b"
	rm -rf --one-file-system "$copy"
	mkdir -p "$copy"
	(cd "$top" && cp -pr --parents Kbuild module tools selftests Documentation/netlink "$copy")
	sed -i "$edit" "$copy/module/$file"
	if cmp -s "$top/module/$file" "$copy/module/$file"; then
		echo "# there is nothing in module/$file to which '$edit' applies"
		echo "not ok $n $b: $what"
		bad=$((bad + 1))
		continue
	fi
	log=$build/plant/$b.log status=0
	TCPSTATE_BUILD=$build/plant/build "$copy/selftests/vm/run.sh" -k "$kernel" \
		${arguments:+-a "$arguments"} "$test" >"$log" 2>&1 || status=$?
	line=$(grep -m 1 -E "^ *# .*($caught)" "$log" || :)
	if ((status)) && [[ $line ]] && grep -q "^not ok 1 $test" "$log"; then
		sed -E 's/^[ #]*(.{1,200}).*/# \1/' <<<"$line"
		echo "ok $n $b: $what: caught by $test on $kernel"
	else
		tail -n 40 "$log" | sed 's/^/#   /'
		echo "# nothing says '$caught'; all of it is in $log"
		echo "not ok $n $b: $what"
		bad=$((bad + 1))
	fi
done
echo "# $((n - bad)) passed, $bad failed"
((bad == 0))
