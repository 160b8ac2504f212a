#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shell.sh [KERNEL]: build, boot a virtual machine and give a root shell in it,
# on this terminal, with the module loaded (/tcpstate/tcpstate.ko) and the CLI
# and the selftests (/tcpstate/selftests) there. Leave it with 'exit', or end
# the machine with Ctrl-A x. SMP and MEM in the environment set its size.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kernel=${1:-6.1}
suite_of "$kernel" >/dev/null
files=() vars=()
"$vm_dir/build.sh" "$kernel"
work=$(mktemp -d "${TMPDIR:-/tmp}/tcpstate-vm.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
size=$(stty size 2>/dev/null || echo 50 120)
vars=("LINES=${size% *}" "COLUMNS=${size#* }" "TERM=${TERM:-linux}")
pack "$kernel" "$work" "mode=shell"
qemu_command "$kernel" "$work/initrd" "${SMP:-2}" "${MEM:-1024}" parallel "quiet loglevel=4 ${APPEND-}"
say "booting $kernel; 'exit' or Ctrl-A x leaves it"
"${qemu_cmd[@]}" -serial mon:stdio
