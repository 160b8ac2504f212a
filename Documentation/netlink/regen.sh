#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Generate the UAPI header, the policies and the protocol reference from
# specs/tcpstate.yaml with the kernel's own generators.
#
# usage: regen.sh KERNEL-SOURCE [OUTPUT-DIR]
#
# OUTPUT-DIR defaults to the top of this tree; `make check` gives another one
# and compares.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
src=$(cd "${1:?usage: regen.sh KERNEL-SOURCE [OUTPUT-DIR]}" && pwd)
out=${2:-$top}

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# The generators look for the schemas beside the specs, and walk up from the
# spec until they meet a file MAINTAINERS.
mkdir -p "$work/Documentation/netlink/specs"
touch "$work/MAINTAINERS"
cp "$src"/Documentation/netlink/*.yaml "$work/Documentation/netlink/"
cp "$here/specs/tcpstate.yaml" "$work/Documentation/netlink/specs/"
cd "$work"

spec=Documentation/netlink/specs/tcpstate.yaml
gen() {
	/usr/bin/python3 "$src/tools/net/ynl/ynl-gen-c.py" --spec "$spec" "$@"
}

mkdir -p "$out/module/uapi/linux" "$out/Documentation/netlink"
gen --mode uapi --header -o uapi.h
gen --mode kernel --header -o nl-gen.h
gen --mode kernel --source -o nl-gen.c
/usr/bin/python3 "$src/tools/net/ynl/ynl-gen-rst.py" -i "$spec" -o tcpstate.rst

# The generator means the table of groups for a family in the same file.
sed -i 's/^static \(const struct genl_multicast_group tcpstate_nl_mcgrps\)\[\]/\1[1]/' nl-gen.c
sed -i '/^extern const struct genl_ops /a extern const struct genl_multicast_group tcpstate_nl_mcgrps[1];' nl-gen.h

cp uapi.h "$out/module/uapi/linux/tcpstate.h"
# In the kernel tree the UAPI header is <uapi/linux/tcpstate.h>; here it is
# found beside the module.
sed 's|<uapi/linux/tcpstate.h>|"uapi/linux/tcpstate.h"|' nl-gen.h >"$out/module/nl-gen.h"
sed 's|<uapi/linux/tcpstate.h>|"uapi/linux/tcpstate.h"|' nl-gen.c >"$out/module/nl-gen.c"
cp tcpstate.rst "$out/Documentation/netlink/tcpstate.rst"
