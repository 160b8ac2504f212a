#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It leaves processes behind; they are not the next test's.
echo "KTAP version 1"
echo "1..1"
setsid sleep 1000 &
(setsid bash -c "while :; do :; done" &)
echo "ok 1 left"
