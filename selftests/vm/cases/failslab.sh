#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It has the kernel refused memory, and the slab says so: that is nobody's bug.
echo "KTAP version 1"
echo "1..1"
for line in "kmem_cache_create(vmtest) failed with error -12" "Call Trace:" "<TASK>" "vmtest_init+0x1/0x2" "</TASK>"; do
	echo "$line" >/dev/kmsg
done
echo "ok 1 said"
