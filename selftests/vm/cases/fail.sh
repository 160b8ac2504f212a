#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It fails as a test should.
echo "KTAP version 1"
echo "1..1"
echo "not ok 1 wrong"
exit 1
