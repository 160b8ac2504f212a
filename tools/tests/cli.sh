#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cli.sh DIR [update]: run DIR/tcpstate-cli and DIR/tcpstate-cli-fake (which has
# a stand-in for the kernel, see fake-kernel.c) and compare what they say with
# the transcripts in expect/. With "update" write the transcripts anew; look at
# what has changed before keeping it.
set -u

dir=$(cd "${1:?usage: cli.sh DIR [update]}" && pwd) || exit 1
update=${2-}
expect=$(cd "$(dirname "$0")" && pwd)/expect
cli=$dir/tcpstate-cli
fake=$dir/tcpstate-cli-fake
work=$(mktemp -d) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
cd "$work" || exit 1
unset NO_COLOR TERM COLUMNS FAKE_HEAR FAKE_FORCE FAKE_ASKED FAKE_STRICT

tests=0
failed=0

# result NAME STATUS: a line of KTAP.
result() {
	tests=$((tests + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $tests $1"
	else
		echo "not ok $tests $1"
		failed=$((failed + 1))
	fi
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests $1 # SKIP $2"
}

# ask SCENE ARG...: append to the transcript what the CLI says.
ask() {
	local scene=$1 code
	shift
	{
		echo "\$ FAKE=$scene ${FAKE_FORCE:+FAKE_FORCE=$FAKE_FORCE }${FAKE_HEAR:+FAKE_HEAR=$FAKE_HEAR }${FAKE_STRICT:+FAKE_STRICT=$FAKE_STRICT }${COLUMNS:+COLUMNS=$COLUMNS }tcpstate-cli $*"
		FAKE=$scene "$fake" "$@" >out 2>err </dev/null
		code=$?
		sed -E "s/20[0-9]{2}-[0-9]{2}-[0-9]{2}([ T])[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3}Z)?/DATE\\1TIME\\2/;
			s/(DATE.TIME)\.[0-9]{3}/\\1.MMM/; s/\b$FAKE_CGROUP\b/CGROUP/g" out
		sed "s/\b$FAKE_CGROUP\b/CGROUP/g; s/^/stderr: /" err
		echo "exit $code"
		echo
	} >>transcript
}

# compare NAME: the transcript so far is as it should be.
compare() {
	if [ -n "$update" ]; then
		cp transcript "$expect/$1.txt"
	fi
	diff -u "$expect/$1.txt" transcript >difference
	result "$1" $?
	sed 's/^/# /' difference
	: >transcript
}

# What /proc has for all network namespaces.
mkdir -p proc/net proc/sys/net/ipv4
printf 'sockets: used 200\nTCP: inuse 5 orphan 61 tw 9 alloc 7 mem 1\n' >proc/net/sockstat
echo 8192 >proc/sys/net/ipv4/tcp_max_orphans

# Who has which socket open, and a cgroup.
for file in 4711/fd/7:50001 4711/fd/8:50001 4711/fd/9:50004 1/fd/12:50003 \
	4800/fd/0:50002 4801/fd/0:50002 4711/fd/10:50003; do
	mkdir -p "proc/${file%/*}"
	ln -s "socket:[${file#*:}]" "proc/${file%:*}"
done
ln -s /dev/null proc/4711/fd/0
echo nginx >proc/4711/comm
echo init >proc/1/comm
echo sftp-server >proc/4800/comm
mkdir -p cgroup/web.slice/nginx.service
FAKE_CGROUP=$(stat -c %i cgroup/web.slice/nginx.service)
export FAKE_CGROUP

echo "KTAP version 1"
: >transcript

FAKE_FORCE=bcf ask busy
FAKE_FORCE=abcdefghi ask calm
FAKE_FORCE=j ask busy
ask unprivileged
ask inexact
ask quiet
ask busy -a
awk '!/^stderr|^\$/ && length > 80 { print "# too wide: " $0; bad = 1 }
	END { exit bad }' transcript
result "the overview fits into 80 columns" $?
FAKE_FORCE=bcf ask busy -j
compare overview

ask busy state
ask busy state time-wait
ask busy state established
ask busy state CloseWait
ask quiet state
ask inexact state
ask older state
ask huge state
ask newer state Fin-Wait-2
ask orphan state fin-wait-1
ask patient state fin-wait-1
ask patient state close-wait
compare state

ask busy -j state
ask busy state -p time_wait
ask quiet --json state
ask older -j state
ask huge -j state close
ask busy -aj state closing
ask busy -ap state closing
compare json

ask busy audit
ask quiet audit rechecks 0
ask moved audit
ask inexact audit
ask moved -j audit
ask inexact audit -p
ask busy -a audit
ask last-inexact -a audit
ask last-inexact -aj audit rechecks 10
compare audit

ask busy dest
ask busy dest top 2
ask busy dest dport 443
ask busy dest dst 10.0.0.0/8 top 1
ask busy dest dst 2001:db8:3::17
ask busy dest dst 10.9.9.9
COLUMNS=80 ask busy dest
COLUMNS=40 ask busy dest top 1
COLUMNS=1 ask busy dest top 1
ask quiet dest
ask older dest top 1
ask unprivileged dest top 1
ask hostile dest top 1
ask hostile -j dest top 1
ask busy -p dest top 2
ask quiet -j dest
ask busy -a dest top 3
ask busy -aj dest dport 8080
compare dest

ask busy port
ask busy port 8000
ask busy port 9
ask quiet port
ask busy -a port 8000
ask busy -a port 9
ask busy -aj port 9
ask busy -j port
ask quiet -j port
ask busy -aj port
ask busy port summary
ask quiet port summary
ask older port summary
ask capped port summary
ask unprivileged port summary
ask busy -j port summary
ask busy -a port summary
ask busy -aj port summary
compare port

ask busy conn
ask quiet conn
ask quiet conn state close-wait
ask busy conn top 1
ask busy conn state fin-wait-1,FIN_WAIT2
ask busy conn stuck
ask busy conn stuck top 1
ask busy conn orphan
ask busy conn orphan top 1
ask busy conn orphan stuck
ask busy conn orphan state last-ack,closing
ask busy conn orphan state close-wait
ask busy -a conn orphan top 3
ask busy -a conn state time-wait,close-wait
COLUMNS=80 ask busy conn top 3
ask unprivileged conn
ask pid-reused conn state close-wait,fin-wait-2
ask hostile conn top 1
ask hostile -j conn top 1
ask older conn top 2
ask state-13 conn
ask busy -j conn
ask quiet -j conn
ask busy -p conn top 1
ask busy -aj conn top 1
ask eperm conn pid 1
export FAKE_ASKED=1
ask quiet conn state close-wait,LISTEN older 90s sport 80 dport 443 dst 10.0.0.0/8
ask quiet conn dst 2001:db8::/32 pid 12 comm nginx uid 33 cookie sk:1a top 1000
ask quiet conn cgroup /web.slice/nginx.service cookie 0x1A
ask quiet conn cgroup /
sed -i "s/asked: 15=$(stat -c %i cgroup) /asked: 15=ROOT /" transcript
ask quiet conn cgroup web.slice/nginx.service/ cookie 26 older 500ms uid root
ask busy conn stuck sport 8080 older 1d
ask quiet conn orphan older 1m dport 80
ask quiet conn orphan state fin-wait-2,time-wait
unset FAKE_ASKED
compare conn

ask busy owner
ask busy owner by comm
ask busy owner by pid
ask busy owner by uid
ask busy owner by cgroup
ask quiet owner
ask older owner by pid
ask busy owner comm nginx
ask busy owner pid 4712
ask busy owner uid 4000000000
ask busy owner cgroup /web.slice/nginx.service
ask busy owner comm nobody
ask busy -a owner comm curl
COLUMNS=80 ask busy owner
ask eperm owner
ask busy -j owner
ask busy -j owner by pid
ask busy -j owner by cgroup
ask busy -p owner comm curl
ask quiet -j owner
compare owner

ask busy close state close-wait
ask busy close sport 8080
ask busy close sport 8080 --yes
ask busy --yes close state listen
ask busy close --yes state time-wait,close-wait
ask busy close --yes stuck
ask busy close --yes orphan
ask quiet close --yes state close-wait
ask quiet -j close state close-wait
ask close-old close --yes dport 8080
ask close-stubborn close --yes state close-wait
ask close-blind close --yes state close-wait
ask close-refused close --yes state close-wait
ask busy -j close --yes state time-wait
ask close-stubborn -j close --yes state fin-wait-1
ask busy -j close state time-wait
export FAKE_ASKED=1
ask busy close --yes sport 8080 older 1s pid 4711
ask busy close --yes state listen,time-wait,established,fin-wait-2,fin-wait-1
ask close-old close --yes dport 8080 state time-wait,close-wait,fin-wait-1
ask close-stubborn close --yes cookie sk:1a03
unset FAKE_ASKED
ask busy close
ask busy close --yes
ask busy close top 3 --yes
ask busy close cgroup "" --yes
ask busy close cgroup . --yes
ask busy close cgroup .. --yes
ask busy close cgroup /web.slice/.. --yes
ask busy close cgroup web.slice/../web.slice --yes
ask busy owner cgroup ""
ask busy close state close-wait --ye
ask busy close --y state close-wait
ask busy close --yes=no state close-wait
ask busy -a close state close-wait --yes
ask busy close -h
compare close

ask busy config
ask busy config set port-room-warning 70
ask busy config set port-room-warning 70% close-wait-critical 10m
ask busy -j config
ask busy -ap config
ask busy config set
ask busy config sett port-room-warning 70
ask busy config set port-room-warnin 70
ask busy config set nonsense 70
ask busy config set port-room-warning
ask busy config set port-room-warning 101
ask busy config set port-room-warning 0
ask busy config set close-wait-warning 100ms
ask busy config set close-wait-warning 1999ms
ask busy config set close-wait-warning 2000ms
ask busy config set close-wait-warning 1w
ask busy config set time-wait-warning 1 time-wait-warning 2
ask busy -a config set port-room-warning 70
ask refused config set port-room-warning 96
ask refused-value config set port-room-warning 96
ask refused-value -j config set port-room-warning 96
ask eperm config set port-room-warning 96
compare config

FAKE_HEAR=-abcdefghi ask busy monitor
FAKE_HEAR=-abcdefghi ask busy -j monitor
FAKE_FORCE=hf FAKE_HEAR=-d ask busy monitor
FAKE_FORCE=a FAKE_HEAR=-a-b-b ask busy monitor
FAKE_FORCE=h,c,c FAKE_HEAR=-c-c ask busy monitor
FAKE_FORCE=h,bf FAKE_HEAR=-ao-d ask busy monitor
FAKE_FORCE=h,bf FAKE_HEAR=-aoao--d ask busy -j monitor
FAKE_FORCE=h,bf FAKE_HEAR=-ao-d ask older monitor
FAKE_FORCE=h FAKE_HEAR=-bd ask busy -a monitor
FAKE_HEAR=-fgnfnj-d ask busy monitor
FAKE_FORCE=h,f FAKE_HEAR=-afnao-- ask busy -a monitor
FAKE_FORCE=h,f FAKE_HEAR=-abfno-- ask busy monitor
FAKE_FORCE=h FAKE_HEAR=-u ask busy monitor
FAKE_FORCE=cj FAKE_HEAR=-d ask unprivileged monitor
FAKE_FORCE=cj FAKE_HEAR=-d ask unprivileged -j monitor
FAKE_HEAR=-u ask busy -j monitor
FAKE_FORCE=k,k FAKE_HEAR=-jl ask busy monitor
FAKE_FORCE=,g FAKE_HEAR=-gj ask busy -j monitor
ask unloaded monitor
ask eperm-all -a monitor
ask busy monitor all
compare monitor

FAKE_FORCE=hc ask busy check
FAKE_FORCE=c ask busy check --dest 10.0.3.17:8080 --port-room 80:97
FAKE_FORCE=c ask busy check --dest 10.0.3.18:5432 --port-room 80:97
ask busy check
ask quiet check
ask calm check
ask busy check --port-room 50:100 --dest 10.0.3.17:8080
ask calm check --dest 127.0.0.1:11211
ask calm check --port-room 3:4
ask busy check --dest 10.0.3.18:5432 --port-room 80:95
ask busy check --dest '[2001:db8:3::17]:443' --port-room 80:95
ask busy check --dest 10.9.9.9:80
ask busy check --orphans 1:2
ask busy check --orphans 0:2
ask busy check --orphans 0:0
ask busy check --time-wait 40:50
ask busy check --time-wait 80:95 --orphans 80:95
ask busy check --close-wait-age 60s:10m
ask busy check --close-wait-age 2h:3h --close-wait 10:20
ask busy check --close-wait 10:17
ask unprivileged check --close-wait-age 1m:1h
FAKE_FORCE=cj ask unprivileged check --port-room 80:95
ask quiet check --close-wait-age 60:600 --close-wait 1:1
ask busy -a check --close-wait-age 60:600
ask older check --close-wait-age 60:600
ask busy check --close-wait-age 10m:60s
ask busy check --close-wait-age 500ms:900ms
ask busy check --close-wait-age 80%:95%
ask busy check --close-wait 10
ask capped check --dest 10.0.3.18:5432
ask capped check --port-room 80:95
ask older check --port-room 80:95
ask hostile check --port-room 80:95
ask busy -p check
ask busy -a check
FAKE_FORCE=h,e ask busy -a check
FAKE_STRICT=1 ask calm -a check
FAKE_STRICT=1 ask calm -aj check
FAKE_STRICT=1 ask calm -a check --port-room 80:95
FAKE_STRICT=1 ask calm -a check --dest 127.0.0.1:11211
FAKE_STRICT=1 ask calm check
ask bind-unseen port summary
ask bind-unseen check
ask bind-unseen check --port-room 80:95
FAKE_FORCE=e ask quiet check
FAKE_FORCE=e ask quiet check --port-room 80:95
ask no-time-wait check --time-wait 0:0
ask no-time-wait state time-wait
ask first-no-time-wait -a check --time-wait 10:95
ask first-no-time-wait check --time-wait 10:95
ask inexact check --close-wait 100:200
ask inexact check --dest 10.0.3.18:5432
ask inexact check --time-wait 10:95
ask inexact check --orphans 80:95
ask unloaded check
ask unloaded -j check
ask refused -a check
ask busy check --port-room
ask busy check --port-room 95:80
ask busy check --dest 10.0.0.1
ask busy check --orphans x:y
ask busy check --orphan 1:2 nonsense
ask busy check --port-rom 1:2
ask busy check -n nowhere
ask busy -j check --frobnicate
rm -r proc/sys
ask busy check --orphans 80:95
ask busy check --orphans 80:95 --time-wait 1:2
ask calm check
ask quiet state
rm -r proc
ask quiet state
compare check

ask unloaded
ask unloaded -j state
ask gone state
ask forbidden state
ask unknown-command audit
ask eperm state
ask eperm audit
ask eperm -a state
ask refused state
ask refused -j audit
ask refused -a state
ask refused -aj audit
ask refused-capped state
ask no-answer state
ask no-answer audit
ask no-netns state
ask no-states state
ask short-number state
ask short-histogram -j state
ask state-13 state
ask older audit
ask huge-message state
ask interrupted -a state close
ask always-interrupted -a
compare refusals

ask busy stat
ask busy nonsense
ask busy -j stat
ask busy ""
ask busy state time_wiat
ask busy state estab
ask busy state foo
ask busy state time-wait close
ask busy audit recheck 3
ask busy audit rechecks
ask busy audit rechecks 11
ask busy audit rechecks -- -1
ask busy audit rechecks x
ask busy audit rechecks 1 rechecks 2
ask busy audit time-wait
ask busy -x
ask busy --jsn
ask busy --frobnicate
ask busy --json=yes
ask busy -n
ask busy --netns
ask busy state --jsonn -j
ask busy -a -n blue
ask busy dest tpo 3
ask busy dest top
ask busy dest top 0
ask busy dest top x
ask busy dest top 1 top 2
ask busy dest dst nowhere
ask busy dest dst 10.0.0.0/33
ask busy dest dport 65536
ask busy port 65536
ask busy port sumary
ask busy port summary 80
ask busy port 80 81
ask busy conn state close-wiat
ask busy conn state close-wait,
ask busy conn state close
ask busy conn state new-syn-recv
ask busy conn older
ask busy conn older 1w
ask busy conn top 1001
ask busy conn sport 0
ask busy conn dport x
ask busy conn dst nowhere
ask busy conn pid nginx
ask busy conn comm 0123456789abcdef
ask busy conn uid no-such-user
ask busy conn cgroup /nowhere
ask busy conn cookie nothing
for cookie in sk:-1 sk:0 0 sk: 'sk: 1a' sk:0x1a sk:sk:1a 0x 1a sk:10000000000000000; do
	ask busy conn cookie "$cookie"
done
ask busy conn clsoe-wait
ask busy owner by name
ask busy owner by cgruop
ask busy owner by pid comm nginx
ask busy owner comm nginx pid 3
ask busy owner nginx
ask busy conn --yes
ask busy dest --port-room 1:2
ask busy state --yes
ask busy -h
ask busy dest -h
ask busy port -h
ask busy conn -h
ask busy owner -h
ask busy monitor -h
ask busy config -h
ask busy check -h
ask busy state --help
ask busy audit -h
ask busy stat -h
awk '/^\$/ { help = / (-h|--help)$/ }
	help && !/^stderr|^\$/ && length > 80 { print "# too wide: " $0; bad = 1 }
	END { exit bad }' transcript
result "the help fits into 80 columns" $?
compare usage

mkdir netns
: >netns/blue
: >netns/green
FAKE_INO=$(stat -c %i netns/blue)
export FAKE_INO
FAKE=busy "$fake" state close >out 2>&1
head -n 1 out | grep -q '^blue: '
result "a namespace is called by its name" $?
: >netns/.later
FAKE_INO=$(stat -c %i netns/.later) FAKE_HEAR=-a-Nb ask busy -a monitor
sed -i 's/net:\[[0-9]*\]/net:[INODE]/' transcript
rm netns/later
unset FAKE_INO
ask busy state close
ask busy -n blu
ask busy -n blue
ask busy -j -n nowhere
ask busy -n /nowhere
ask busy -n ..
ask busy -n ""
rm -r netns
ask busy -n blue
compare namespaces

# missing_in FILE: the objects, filters and options of the usage that FILE lacks.
missing_in() {
	local word
	FAKE=busy "$fake" -h | awk '
		/^Objects/ { objects = 1 }
		/^Options/ { objects = 0 }
		objects && /^  [a-z]/ { print $1 }
		!objects && /^  -/ { sub(",", "", $1); print $1; print $2 }' >words
	grep -v '^-' words >objects
	while read -r word; do
		FAKE=busy "$fake" "$word" -h | awk '/^  [a-z-]/ { print $1 }' >>words
	done <objects
	[ "$(wc -l <words)" -ge 25 ] || echo "# too few words"
	while read -r word; do
		grep -qwe "$word" "$1" || echo "# $1 lacks $word"
	done <words
}

# In the manual an option is a macro: ".It Fl j , -json".
sed 's/^\.It Fl \([a-zA-Z]\) , \(-[a-z-]*\)/-\1 -\2/; s/^\.It Fl -/--/' "$expect/../../tcpstate-cli.8" >manual
missing_in manual >missing
cat missing
! [ -s missing ]
result "the manual knows all objects, filters and options" $?
missing_in "$expect/../../tcpstate-cli.bash" >missing
cat missing
! [ -s missing ]
result "so does the completion" $?

# tab WORD...: append to the transcript what a TAB behind these offers.
tab() {
	local COMP_WORDS=(tcpstate-cli "$@") COMP_CWORD=$# COMPREPLY=()
	_tcpstate_cli tcpstate-cli "${*: -1}" "${COMP_WORDS[$# - 1]}"
	{
		echo "\$ tcpstate-cli $*<TAB>"
		((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
		echo
	} >>transcript
}

# shellcheck source=../tcpstate-cli.bash disable=SC1091
. "$expect/../../tcpstate-cli.bash"
tab ""
tab c
tab -j ""
tab -n x st
tab state ""
tab state -j fin-
tab -a state -j time
tab state time-wait ""
tab port -j ""
tab port 80 ""
tab conn ""
tab conn -a o
tab conn state close-
tab conn state ""
tab conn state time-wait,fin-wait
tab conn state TIME_WAIT,CLOSE_WAIT,
tab conn state -j new
tab conn older ""
tab close stuck -
tab close --yes state l
tab check --close-wait-age ""
tab check --
tab config ""
tab config set time
tab config -p set port-room-warning ""
tab config set port-room-warning 80 port-room-c
tab owner -j ""
tab owner by ""
tab audit ""
tab audit rechecks 1
tab audit rechecks 1 ""
compare completion

"$cli" -V | grep -q '^tcpstate-cli [0-9]' &&
	"$cli" -jV | grep -q '^{"version":"[0-9.]*","module":'
result "the version" $?

"$cli" state >out 2>err
case $? in
0) ! [ -s err ] ;;
3) grep -q "^tcpstate-cli: " err && ! [ -s out ] ;;
*) false ;;
esac
result "the real kernel answers, or there is a sentence" $?

FAKE=busy "$fake" state 2>err >/dev/full
[ $? -eq 3 ] && grep -q 'cannot write the answer: No space left' err
result "a full disk is reported" $?

FAKE=busy "$fake" -h 2>err >/dev/full
[ $? -eq 3 ] && grep -q 'cannot write' err
result "so it is for the help" $?

for object in state monitor; do
	FAKE=busy FAKE_HEAR=-a "$fake" $object 2>err <&- >&-
	[ $? -eq 3 ] && grep -q 'cannot write the answer: Bad file descriptor' err
	result "so is an output that is closed, of $object" $?
done
FAKE=unloaded "$fake" state >out <&- 2>&-
[ $? -eq 3 ] && ! [ -s out ]
result "nor does an error go elsewhere than to its stream" $?

# The reader is gone before a byte is written, and SIGPIPE is ignored.
mkfifo fifo
: <fifo &
exec 3>fifo
wait $!
(
	trap '' PIPE
	FAKE=busy exec "$fake" state 2>err >&3
)
code=$?
exec 3>&-
[ $code -eq 0 ] && ! [ -s err ]
result "a closed pipe ends it quietly" $?

# monitor: each of these ends it, and none is an error.
for how in INT TERM; do
	mkfifo edges
	FAKE=busy FAKE_HEAR=-a. "$fake" monitor >edges 2>err &
	pid=$!
	exec 3<edges
	head -n 1 <&3 >out
	kill -$how $pid
	wait $pid
	code=$?
	exec 3<&-
	rm edges
	[ $code -eq 0 ] && grep -q port-room out && ! [ -s err ]
	result "SIG$how ends the monitor" $?
done

mkfifo edges
FAKE=busy FAKE_HEAR=-a. "$fake" monitor >edges 2>err &
pid=$!
head -n 1 <edges >out
wait $pid
code=$?
rm edges
[ $code -eq 0 ] && grep -q port-room out && ! [ -s err ]
result "so does nobody to read it" $?

# The pipe is full and nobody reads: a signal still ends it.
mkfifo edges
FAKE=busy FAKE_HEAR=-$(printf 'ad%.0s' {1..999}). "$fake" -j monitor >edges 2>err &
pid=$!
exec 3<edges
sleep 1
kill -TERM $pid
wait $pid
code=$?
exec 3<&-
rm edges
[ $code -eq 0 ] && ! [ -s err ]
result "so does a signal while nobody reads" $?

if command -v script >/dev/null; then
	FAKE=busy script -qec "$fake" /dev/null </dev/null >out 2>&1
	grep -q $'\033\\[1mSTATE' out
	result "colours on a terminal" $?

	FAKE=busy NO_COLOR=1 script -qec "$fake" /dev/null </dev/null >out 2>&1
	grep -q STATE out && ! grep -q $'\033' out
	result "no colours with NO_COLOR" $?

	FAKE=slow script -qec "$fake audit >/dev/null" /dev/null </dev/null \
		>out 2>&1
	grep -q 'tables: 2 s' out
	result "a sign of life on a terminal" $?
else
	for name in "colours on a terminal" "no colours with NO_COLOR" \
		"a sign of life on a terminal"; do
		skip "$name" "script(1) is not here"
	done
fi
FAKE=slow "$fake" audit >/dev/null 2>err && ! [ -s err ]
result "none elsewhere" $?

echo "1..$tests"
echo "# $failed of $tests failed"
[ "$failed" -eq 0 ]
