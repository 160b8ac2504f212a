#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh [-W] KERNEL...: build, with the compiler and the headers of each
# KERNEL's own Debian release, build/KERNEL/tcpstate.ko and ksocket.ko; and, once, the CLI and
# the selftests in build/guest/. Only what changed is built again.
#
#   -W	compile the module, and those of selftests/ (bench/floor, ksocket), anew in
#	build/KERNEL/check* with W=1 (and sparse, where the release is bookworm), and
#	fail if that prints any warning
#
# The Makefiles in tools/, selftests/ and selftests/bench/ are run on a copy,
# inside the bookworm tree, with KSRC=/linux, where the files of the kernel's
# source listed in common.sh are, and KSELFTEST to its selftests.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# copy_changed DIR NAME...: bring DIR up to date with the checkout's NAMEs
# (files or directories); a file keeps its time unless its content changed, and
# what is gone from the checkout goes.
copy_changed() {
	local dir=$1 f
	shift

	mkdir -p "$dir"
	(cd "$top" && find "$@" -path 'selftests/vm/*' ! -path 'selftests/vm/cases*' -prune -o \
		-type f ! -name '.*.sw?' ! -name '*.o' ! -name '*~' -print |
		sort) >"$dir/.files.new"
	while read -r f; do
		if ! cmp -s "$top/$f" "$dir/$f"; then
			mkdir -p "$(dirname "$dir/$f")"
			cp "$top/$f" "$dir/$f"
		fi
		if [[ -x $top/$f && ! -x $dir/$f ]]; then
			chmod +x "$dir/$f"
		fi
	done <"$dir/.files.new"
	if [[ -e $dir/.files ]]; then
		comm -23 "$dir/.files" "$dir/.files.new" | while read -r f; do
			rm -f "$dir/$f"
		done
	fi
	mv "$dir/.files.new" "$dir/.files"
}

# Name files as they are in the checkout, not as in the tree.
relate() {
	sed -u -E -e "/^Skipping BTF generation for/d" -e "s,(^|[ '\"(])/src/,\1,g"
}

build_module() {
	local k=$1 tree version bind dir=$build/$1 rc=0

	tree=$(tree_path "$(suite_of "$k")")
	version=$(<"$(kernel_path "$k")/version")
	copy_changed "$dir/src" Kbuild module
	mapfile -t bind < <(headers_bind "$k")
	in_tree "$tree" "$dir/src=/src" "${bind[@]}" -- \
		make -s -j"$(nproc)" -C "$(headers_of "$k")" M=/src modules 2>&1 |
		relate >"$dir/module.log" || rc=$?
	cat "$dir/module.log" >&2
	((rc == 0)) || die "the module does not build for $k ($version)"
	cmp -s "$dir/src/tcpstate.ko" "$dir/tcpstate.ko" || cp "$dir/src/tcpstate.ko" "$dir/tcpstate.ko"
}

# The module that owners loads beside ours.
build_ksocket() {
	local k=$1 tree bind dir=$build/$1 rc=0

	tree=$(tree_path "$(suite_of "$k")")
	copy_changed "$dir/ksocket" selftests/ksocket
	mapfile -t bind < <(headers_bind "$k")
	in_tree "$tree" "$dir/ksocket=/src" "${bind[@]}" -- \
		make -s -C "$(headers_of "$k")" M=/src/selftests/ksocket modules 2>&1 |
		relate >"$dir/ksocket.log" || rc=$?
	cat "$dir/ksocket.log" >&2
	((rc == 0)) || die "selftests/ksocket does not build for $k"
	mv "$dir/ksocket/selftests/ksocket/ksocket.ko" "$dir/"
}

# check_made KERNEL DIR: compile what has been put into DIR.
check_made() {
	local k=$1 tree version bind dir=$2 sparse=() suite rc=0

	suite=$(suite_of "$k")
	tree=$(tree_path "$suite")
	version=$(<"$(kernel_path "$k")/version")
	[[ $suite != bookworm ]] || sparse=(C=2 "CHECK=sparse")
	mapfile -t bind < <(headers_bind "$k")
	in_tree "$tree" "$dir=/src" "${bind[@]}" -- make -s -j"$(nproc)" -C "$(headers_of "$k")" \
		M=/src W=1 "${sparse[@]}" modules 2>&1 | relate >"$dir.log" || rc=$?
	cat "$dir.log" >&2
	if ((rc)) || grep -qE 'warning|error|WARNING|ERROR' "$dir.log"; then
		die "the module is not free of warnings on $k ($version)"
	fi
}

check_module() {
	local dir=$build/$1/check

	rm -rf --one-file-system "$dir"
	copy_changed "$dir" Kbuild module
	check_made "$1" "$dir"
	floor_copy "$dir-floor"
	check_made "$1" "$dir-floor"
	rm -rf --one-file-system "$dir-ksocket"
	cp -r "$top/selftests/ksocket" "$dir-ksocket"
	check_made "$1" "$dir-ksocket"
}

# The CLI and the selftests: one build serves every kernel.
build_guest() {
	local dir=$build/guest tree linux part from=()

	for part in tools selftests module/uapi Documentation/netlink/specs; do
		[[ ! -d $top/$part ]] || from+=("$part")
	done
	((${#from[@]})) || return 0
	copy_changed "$dir/src" "${from[@]}"
	tree=$(tree_path bookworm)
	linux=$(linux_path)
	for part in tools selftests selftests/bench; do
		[[ -e $dir/src/$part/Makefile ]] || continue
		in_tree "$tree" "$dir/src=/src" "-$linux=/linux" -- \
			make -s -j"$(nproc)" -C "/src/$part" KSRC=/linux \
			KSELFTEST=/linux/tools/testing/selftests 2>&1 | relate >&2 ||
			die "$part/ does not build"
	done
}

# build_locked: what several runs in one checkout must not do at once.
locked() {
	mkdir -p "$build/$1"
	(
		flock 9
		shift
		"$@"
	) 9>"$build/$1/.lock"
}

check=0 bad=0
if [[ ${1-} == -W ]]; then
	check=1
	shift
fi
if (($# == 0)) || [[ $1 == -* ]]; then
	usage
	exit 2
fi
"$vm_dir/prepare.sh" "$@"
for k; do
	if ((check)); then
		# every kernel has its say: the status is looked at afterwards
		set +e
		(set -e; locked "$k" check_module "$k")
		bad=$((bad + $?))
		set -e
	elif [[ -e $top/Kbuild ]]; then
		locked "$k" build_module "$k"
		[[ ! -e $top/selftests/ksocket ]] || locked "$k" build_ksocket "$k"
	else
		say "Kbuild is not there yet: no module for $k"
	fi
done
((check)) || locked guest build_guest
((bad == 0))
