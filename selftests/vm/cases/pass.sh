#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A test like any other: it must pass, and find the module not loaded.
echo "KTAP version 1"
echo "1..4"
[[ ! -d /sys/module/tcpstate ]] || { echo "not ok 1 not loaded"; exit 1; }
echo "ok 1 not loaded"
echo "ok 2 second # SKIP to see it named"
echo "ok 3 third # SKIP for another reason"
echo "# SKIP said before it"
echo "ok 4 fourth # SKIP"
