#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# It says nothing and ends well.
exit 0
