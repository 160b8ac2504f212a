#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# As failslab.sh, but the end of it never comes.
echo "KTAP version 1"
echo "1..1"
for line in "vmalloc error: size 4096, said by vmtest" "Call Trace:"; do
	echo "$line" >/dev/kmsg
done
echo "ok 1 said"
