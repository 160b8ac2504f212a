#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The kernel tells of a race of its own, and then of one of ours.
echo "KTAP version 1"
echo "1..1"
line="=================================================================="
for race in "kernel_one / kernel_other" "tcpstate_one [tcpstate] / kernel_other"; do
	for l in "$line" "BUG: KCSAN: data-race in $race" "$line"; do
		echo "$l" >/dev/kmsg
	done
done
echo "ok 1 said"
