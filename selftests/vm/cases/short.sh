#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It ends well before its plan is done.
echo "KTAP version 1"
echo "1..3"
echo "ok 1 first"
