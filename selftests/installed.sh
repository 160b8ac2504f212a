#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module in its place on a server, as 'make install' puts it: the kernel loads
# it when somebody asks for it, any user; with what modprobe.d says of thresholds,
# unless that says that it is loaded by hand.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

modules=/lib/modules/$(uname -r)
options=/etc/modprobe.d/tcpstate.conf
[[ -e $modules/modules.builtin ]] || skip_all "this kernel has no modules that could be found"

nobody() {
	setpriv --reuid 65534 --clear-groups --bounding-set -all --inh-caps -all "$@"
}

loaded() {
	[[ -d /sys/module/tcpstate ]]
}

plan 11
log_begin
at_exit "umount $modules"
at_exit "rm -f $options"
mkdir -p /run/modules/{upper,work}
mount -t overlay overlay -o "lowerdir=$modules,upperdir=/run/modules/upper,workdir=/run/modules/work" \
	"$modules" || exit
install -D -m 644 "$TCPSTATE_KO" "$modules/updates/tcpstate.ko"
check "depmod takes it in" depmod -a
echo "blacklist tcpstate" >$options
said=$(nobody tcpstate-cli state 2>&1)
same "blacklisted, it is not loaded for whoever asks" 3 $?
check "and how to load it is told" grep -q "modprobe tcpstate" <<<"$said"
echo "options tcpstate port_room_warning=33 close_wait_warning=7" >$options
check "it is not loaded" eval '! loaded'
said=$(nobody tcpstate-cli -j state)
same "a user who has no privilege asks, and is answered" 0 $?
check "for the kernel has loaded it" loaded
same "it counts since then" "true" "$(jq '.age_ms < 60000' <<<"$said")"
same "with the thresholds of modprobe.d" "33 95 7" \
	"$(nobody tcpstate-cli -j config | jq -r '"\(.port_room_warning) \(.port_room_critical) \(.close_wait_warning)"')"
check "an audit is exact" tcpstate-cli audit
check "modprobe -r takes it away" modprobe -r tcpstate
check "the kernel's log is clean" log_clean
