#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# As failslab.sh, but something else complains before the slab has done.
echo "KTAP version 1"
echo "1..1"
for line in "kmem_cache_create(vmtest) failed with error -12" "Call Trace:" "BUG: said amid what the slab says" "</TASK>"; do
	echo "$line" >/dev/kmsg
done
echo "ok 1 said"
