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
unset NO_COLOR TERM

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
		echo "\$ FAKE=$scene tcpstate-cli $*"
		FAKE=$scene "$fake" "$@" >out 2>err </dev/null
		code=$?
		cat out
		sed 's/^/stderr: /' err
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

echo "KTAP version 1"
: >transcript

ask busy
ask inexact
ask quiet
ask busy -a
awk '!/^stderr|^\$/ && length > 80 { print "# too wide: " $0; bad = 1 }
	END { exit bad }' transcript
result "the overview fits into 80 columns" $?
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
compare state

ask busy -j
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
ask busy audit time-wait
ask busy -x
ask busy --jsn
ask busy --frobnicate
ask busy --json=yes
ask busy -n
ask busy --netns
ask busy state --jsonn -j
ask busy -a -n blue
ask busy -h
ask busy state --help
ask busy audit -h
ask busy stat -h
compare usage

mkdir netns
: >netns/blue
: >netns/green
FAKE_INO=$(stat -c %i netns/blue)
export FAKE_INO
FAKE=busy "$fake" state close >out 2>&1
head -n 1 out | grep -q '^blue: '
result "a namespace is called by its name" $?
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
		objects && /^  [a-z]/ { print $1; if ($2 ~ /^\[[a-z]/) print substr($2, 2) }
		!objects && /^  -/ { sub(",", "", $1); print $1; print $2 }' >words
	[ "$(wc -l <words)" -ge 15 ] || echo "# too few words"
	while read -r word; do
		grep -qwe "$word" "$1" || echo "# $1 lacks $word"
	done <words
}

# In the manual an option is a macro: ".It Fl j , -json".
sed 's/^\.It Fl \([a-zA-Z]\) , \(-[a-z-]*\)/-\1 -\2/' "$expect/../../tcpstate-cli.8" >manual
missing_in manual >missing
cat missing
! [ -s missing ]
result "the manual knows all objects, filters and options" $?
missing_in "$expect/../../tcpstate-cli.bash" >missing
cat missing
! [ -s missing ]
result "so does the completion" $?

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
