#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A test like any other: it must pass, and find the module not loaded.
echo "KTAP version 1"
echo "1..2"
[[ ! -d /sys/module/tcpstate ]] || { echo "not ok 1 not loaded"; exit 1; }
echo "ok 1 not loaded"
echo "ok 2 second # SKIP to see it named"
