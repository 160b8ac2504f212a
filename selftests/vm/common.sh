# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the harness scripts share: where things are, what each entry of the
# cache holds, and how a step that takes a while tells of itself. Sourced.
#
# An entry of the cache is a directory NAME-KEY, where KEY is a hash of the
# recipe that made it. Changing a recipe here makes a new entry; nothing is
# ever changed in place.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$vm_dir/../.." && pwd)
cache=${TCPSTATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tcpstate}
build=${TCPSTATE_BUILD:-$top/build}
all_kernels=(5.10 6.1 6.12 7.2)
# Debian's 6.1 with PREEMPT_RT, on which the module must refuse to be loaded.
refused_kernels=(rt)
# Built here, from Debian's source and the files of config/.
built_kernels=(debug kcsan)

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# What a script's head says of its use.
usage() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

# The Debian release whose kernel (and compiler) KERNEL is.
suite_of() {
	case $1 in
	5.10) echo bullseye ;;
	6.1 | 6.12 | rt | debug | kcsan) echo bookworm ;;
	7.2) echo forky ;;
	*) die "no kernel '$1' here: use one of ${all_kernels[*]} ${built_kernels[*]} ${refused_kernels[*]}" ;;
	esac
}

is_built() {
	[[ " ${built_kernels[*]} " == *" $1 "* ]]
}

kernels_of() {
	case $1 in
	bullseye) echo 5.10 ;;
	bookworm) echo 6.1 6.12 rt ;;
	forky) echo 7.2 ;;
	esac
}

# floor_copy DIR: make DIR what the module of selftests/bench/floor is built in.
floor_copy() {
	rm -rf --one-file-system "$1"
	mkdir -p "$1/selftests/bench"
	cp "$top/Kbuild" "$1/Kbuild.tcpstate"
	cp -r "$top/module" "$1/"
	cp -r "$top/selftests/bench/floor" "$1/selftests/bench/"
	cp "$top/selftests/bench/floor/Kbuild" "$1/"
}

# How many times longer than in a packaged kernel things may take in this one.
slowness_of() {
	case $1 in
	debug) echo 6 ;;
	kcsan) echo 12 ;;	# it waits on purpose
	*) echo 1 ;;
	esac
}

# Packages of a build tree. The CLI, the selftests and the static checks are
# built in bookworm's, the module in that of its kernel.
tree_packages() {
	local list=(make gcc libc6-dev kmod)

	if [[ $1 == bookworm ]]; then
		list+=(pkg-config libnl-3-dev libnl-genl-3-dev libjson-c-dev
			sparse perl python3-yaml python3-jsonschema shellcheck
			mandoc)
	fi
	local IFS=,
	echo "${list[*]}"
}

# Packages of the tree that kernels are built in. It has a compiler of its own:
# the same release's, and so the same as the one that builds the module.
source_packages() {
	echo make,gcc,libc6-dev,libelf-dev,flex,bison,bc,perl,kmod,xz-utils,linux-source-6.12
}

guest_packages() {
	local list=(busybox-static mount kmod procps psmisc less net-tools iproute2 iputils-ping
		nftables ethtool tcpdump conntrack socat curl strace jq
		nginx-light apache2-utils wrk bpftrace python3 python3-yaml
		python3-jsonschema libnl-3-200 libnl-genl-3-200 libjson-c5
		libasan8 libubsan1 openssl bash-completion)
	local IFS=,
	echo "${list[*]}"
}

# Files taken out of the kernel's source for the selftests and the checks.
linux_files() {
	cat <<-'END'
	COPYING
	MAINTAINERS
	LICENSES
	Documentation/netlink
	Documentation/dev-tools/checkpatch.rst
	include/uapi/linux
	scripts/checkpatch.pl
	scripts/spelling.txt
	scripts/const_structs.checkpatch
	scripts/spdxcheck.py
	scripts/kernel-doc
	tools/net/ynl
	tools/testing/selftests/kselftest.h
	tools/testing/selftests/kselftest_harness.h
	tools/testing/selftests/kselftest
	tools/testing/selftests/lib.mk
	tools/testing/selftests/net/lib.sh
	tools/testing/selftests/net/lib
	END
}

# Kernel modules kept for the guest, as paths under kernel/.
guest_modules() {
	cat <<-'END'
	net
	lib
	crypto
	arch
	kernel
	fs/squashfs
	fs/overlayfs
	fs/fuse
	drivers/virtio
	drivers/block/virtio_blk.*
	drivers/block/loop.*
	drivers/char/virtio_console.*
	drivers/char/hw_random/virtio-rng.*
	drivers/net/*.ko*
	drivers/net/bonding
	drivers/net/ipvlan
	drivers/net/netdevsim
	drivers/net/vxlan
	END
}

# Modules the initramfs loads to reach the root image and the second port.
boot_modules="virtio_pci virtio_blk virtio_console squashfs overlay"

hash_of() {
	sha256sum | cut -c1-12
}

# Each recipe is a function make_KIND in prepare.sh; its text is in the key.
recipe() {
	sed -n "/^make_$1()/,/^}/p" "$vm_dir/prepare.sh"
}

tree_path() {
	local key

	key=$({ recipe tree; sed -n '/^fetch_kernels()/,/^}/p' "$vm_dir/prepare.sh"
		tree_packages "$1"; kernels_of "$1"; } | hash_of)
	echo "$cache/tree-$1-$key"
}

source_path() {
	local key

	key=$({ recipe source; source_packages; } | hash_of)
	echo "$cache/source-6.12-$key"
}

# A kernel that is built here is another one with every version of the source.
built_kernel_path() {
	local key

	key=$({ recipe built_kernel; recipe initramfs; source_path
		cat "$(source_path)/version" "$vm_dir/initramfs-init" \
			"$vm_dir/config/common.config" "$vm_dir/config/$1.config"; } 2>/dev/null | hash_of)
	echo "$cache/kernel-$1-$key"
}

# The headers to build a module with, as seen inside the kernel's tree, and
# what must be bound there for that.
headers_of() {
	if is_built "$1"; then
		echo /linux
	else
		echo "/lib/modules/$(<"$(kernel_path "$1")/version")/build"
	fi
}

headers_bind() {
	! is_built "$1" || echo "-$(kernel_path "$1")/headers=/linux"
}

kernel_path() {
	local key tree

	if is_built "$1"; then
		built_kernel_path "$1"
		return
	fi
	tree=$(tree_path "$(suite_of "$1")")
	key=$({ recipe kernel; recipe initramfs; echo "$tree $boot_modules"; guest_modules
		cat "$vm_dir/initramfs-init"; } | hash_of)
	echo "$cache/kernel-$1-$key"
}

guest_path() {
	local key

	key=$({ recipe guest; guest_packages; } | hash_of)
	echo "$cache/guest-$key"
}

linux_path() {
	local key

	key=$({ recipe linux; linux_files; } | hash_of)
	echo "$cache/linux-6.12-$key"
}

step_pid=

step_stop() {
	[[ -z $step_pid ]] || kill -TERM -- "-$step_pid" 2>/dev/null || :
}

# step WHAT LOG COMMAND...: run COMMAND, its output into LOG, telling every ten
# seconds that it still runs.
step() {
	local what=$1 log=$2 start=$SECONDS told=$SECONDS rc=0
	shift 2

	say "$what ..."
	set -m
	(set -e; "$@") </dev/null >"$log" 2>&1 &
	step_pid=$!
	set +m
	while kill -0 "$step_pid" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS - told >= 10)); then
			told=$SECONDS
			say "$what ... $((SECONDS - start)) s"
		fi
	done
	wait "$step_pid" || rc=$?
	step_pid=
	if ((rc)); then
		tail -n 25 "$log" >&2
		die "$what failed after $((SECONDS - start)) s; all of it is in $log"
	fi
	say "$what: done in $((SECONDS - start)) s"
}

# Run COMMAND where mounting harms nobody: a mount namespace of its own.
in_mount_namespace() {
	if ((EUID)); then
		unshare --user --map-root-user --mount "$@"
	else
		unshare --mount --propagation private "$@"
	fi
}

# in_tree TREE [HOST=PATH]... -- COMMAND...: run COMMAND inside a build tree,
# with /proc and the given directories bound there; a HOST beginning with '-' is read-only.
in_tree() {
	# shellcheck disable=SC2016
	in_mount_namespace bash -euc '
		tree=$1
		shift
		mount --bind "$tree" "$tree"
		mount --rbind /proc "$tree/proc"
		while [[ $1 != -- ]]; do
			host=${1%%=*} path=$tree${1#*=}
			mount --bind "${host#-}" "$path"
			[[ $host != -* ]] || mount -o remount,bind,ro "$path"
			shift
		done
		shift
		exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root LC_ALL=C.UTF-8 "$@"
	' in_tree "$@"
}

# What pack brings besides: FILE=PATH, NAME=VALUE.
files=()
vars=()

# pack KERNEL DIR RUN TEST...: make DIR/initrd: the kernel's initramfs, and over
# it what this run brings: module, CLI, selftests, the files and variables asked
# for in files and vars, and /tcpstate/run (see guest-init).
pack() {
	local k=$1 dir=$2 run=$3 stage=$2/stage/payload src=$build/guest/src f
	shift 3

	rm -rf --one-file-system "$dir/stage"
	mkdir -p "$stage/tcpstate/selftests" "$stage/usr/bin" "$stage/tcpstate/Documentation/netlink"
	install -m 755 "$vm_dir/guest-init" "$stage/tcpstate/guest-init"
	{
		echo "$run"
		printf 'tests=('
		(($# == 0)) || printf '%q ' "$@"
		echo ')'
		((${#vars[@]} == 0)) || printf 'export %q\n' "${vars[@]}"
	} >"$stage/tcpstate/run"
	[[ ! -e $build/$k/tcpstate.ko ]] || cp "$build/$k/tcpstate.ko" "$stage/tcpstate/"
	[[ ! -e $build/$k/ksocket.ko ]] || cp "$build/$k/ksocket.ko" "$stage/tcpstate/"
	[[ ! -e $src/tools/tcpstate-cli ]] || cp "$src/tools/tcpstate-cli" "$stage/usr/bin/"
	[[ ! -e $src/tools/tcpstate-cli.bash ]] || cp "$src/tools/tcpstate-cli.bash" "$stage/tcpstate/"
	[[ ! -d $src/selftests ]] || cp -r "$src/selftests" "$stage/tcpstate/"
	find "$stage/tcpstate/selftests" \( -name '*.[cho]' -o -name '*.d' -o -name Makefile \) -delete
	# ynl and what it reads, laid out as in the kernel's tree
	mkdir -p "$stage/tcpstate/tools/net"
	cp -r "$(linux_path)/tools/net/ynl" "$stage/tcpstate/tools/net/"
	cp "$(linux_path)"/Documentation/netlink/*.yaml "$stage/tcpstate/Documentation/netlink/"
	[[ ! -d $src/Documentation/netlink/specs ]] ||
		cp -r "$src/Documentation/netlink/specs" "$stage/tcpstate/Documentation/netlink/"
	for f in "${files[@]}"; do
		mkdir -p "$stage/$(dirname "${f#*=}")"
		cp -r "${f%%=*}" "$stage/${f#*=}"
	done
	(cd "$dir/stage" && find payload | cpio --quiet -o -H newc -R 0:0) |
		cat "$(kernel_path "$k")/initramfs.cpio" - >"$dir/initrd"
	rm -rf --one-file-system "$dir/stage"
}

# qemu_command KERNEL INITRD SMP MEM MODE APPEND: set qemu_cmd; the modes are told
# in run.sh. A warning ends the machine, but where data races are told of: most of
# them are the kernel's own.
#
# What QEMU has translated it finds again by where the code is in memory and at which
# address it runs: with programs at the same addresses each time, starting one costs
# half as much. SMAP, AVX, ERMS (REP MOVSB goes byte by byte) and the mitigations are
# most of what is left to be saved, and no test is about them. Where instructions are
# counted to be compared, all of it is as on any machine.
qemu_command() {
	local dir accel cpu="max,-smap,-avx,-avx2,-erms" thread=multi mem=$4 panic=1
	local more="norandmaps mitigations=off"

	dir=$(kernel_path "$1")
	[[ $1 != kcsan ]] || panic=0
	if is_built "$1"; then
		# what looks keeps books of its own
		((mem >= 2048)) || mem=2048
		# the firmware's program that tells of interrupts is given up after
		# half a minute there: its MP table does, and without that there is
		# one CPU; a scan for leaks is no lock-up, however long it takes
		more+=" pci=noacpi watchdog_thresh=60"
	fi
	# One access in 500 or so is watched, for a little longer than by default;
	# and the walks' tables are small, or all of that would go into them.
	[[ $1 != kcsan ]] || more+=" thash_entries=256 kcsan.skip_watch=500 kcsan.udelay_task=150 kcsan.udelay_interrupt=150"
	[[ $5 != turns ]] || thread=single
	if [[ $5 == measure ]]; then
		cpu=max
		more=${more#norandmaps mitigations=off}
	fi
	if [[ $5 == icount || $5 == measure ]]; then
		accel=(-accel tcg -icount "shift=0,sleep=off" -cpu "$cpu" -smp 1)
	elif [[ -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
		accel=(-accel kvm -cpu host -smp "$3")
	else
		accel=(-accel "tcg,thread=$thread" -cpu "$cpu" -smp "$3")
	fi
	# shellcheck disable=SC2034
	qemu_cmd=(qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none
		-machine pc "${accel[@]}" -m "$mem" -nic none
		-kernel "$dir/vmlinux" -initrd "$2"
		-append "console=ttyS0 panic=-1 panic_on_warn=$panic oops=panic log_buf_len=4M random.trust_cpu=1 $more $6"
		-drive "file=$(guest_path)/root.sqfs,format=raw,if=virtio,readonly=on"
		-drive "file=$dir/modules.sqfs,format=raw,if=virtio,readonly=on")
}
