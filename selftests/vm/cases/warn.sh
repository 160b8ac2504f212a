#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It makes the kernel warn.
echo "KTAP version 1"
echo "1..1"
insmod /tcpstate/vmtest.ko what=warn
echo "ok 1 still here"
