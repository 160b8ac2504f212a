#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# prepare.sh [-n|-c] [KERNEL...]: fill the cache with what building and testing on
# each KERNEL needs, once: a build tree of its Debian release,
# its packaged kernel (or one built from Debian's source: debug, kcsan), the
# guest's root image, and some files of the kernel's source. Nothing is installed
# on this machine but the tools to do so. Without a KERNEL: all that are packaged.
#
#   -n	only say which entries of the cache are missing
#   -c	then remove from the cache what this checkout does not use
#
# The cache is $TCPSTATE_CACHE (default ~/.cache/tcpstate). Entries appear in
# it complete or not at all; several runs at once wait for each other.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Everything this needs of the host, as "command package".
host_tools() {
	cat <<-'END'
	qemu-system-x86_64 qemu-system-x86
	mmdebstrap mmdebstrap
	mksquashfs squashfs-tools
	cpio cpio
	xz xz-utils
	unzstd zstd
	/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
	/usr/share/distro-info/debian.csv distro-info-data
	modprobe kmod
	make make
	unshare util-linux
	mount mount
	cmp diffutils
	END
}

# locked NAME WHAT: have the lock NAME of the cache, for WHAT, from here until fd 9 is
# closed, and say that another has it as long as it does.
locked() {
	local start=$SECONDS

	mkdir -p "$cache"
	exec 9>"$cache/.lock-$1"
	! flock -n 9 || return 0
	say "$2: waiting for another prepare.sh to finish it"
	until flock -w 10 9; do
		say "$2: waiting ... $((SECONDS - start)) s"
	done
}

# Into the caller's missing: the packages of what this needs and does not find.
find_missing() {
	local what package

	missing=()
	while read -r what package; do
		[[ -e $what ]] || PATH=$PATH:/usr/sbin:/sbin command -v "$what" >/dev/null ||
			missing+=("$package")
	done < <(host_tools)
}

install_host_tools() {
	local missing sudo=()

	find_missing
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "this needs the packages (by their Debian names): ${missing[*]}; install them and run it again"
	((EUID == 0)) || sudo=(sudo -n)
	locked apt "packages of this machine"
	# the other one may have installed them, or some of them
	find_missing
	if ((${#missing[@]})); then
		say "installing on this machine, by apt: ${missing[*]}"
		step "apt-get update" "$cache/apt.log" "${sudo[@]}" apt-get update
		# A machine just booted may be updating itself (unattended-upgrades).
		step "apt-get install" "$cache/apt.log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"
	fi
	exec 9>&-
}

# The sources.list lines for a suite, from the mirrors this machine's own apt
# uses. None found (not a Debian machine): print nothing, and mmdebstrap takes
# its default mirror.
debian_sources() {
	local suite=$1 uri label main='' security=''

	# shellcheck disable=SC2016
	while IFS='|' read -r uri label; do
		case $label in
		Debian) main=${main:-$uri} ;;
		Debian-Security) security=${security:-$uri} ;;
		esac
	done < <(apt-get indextargets --format '$(REPO_URI)|$(LABEL)' 'Created-By: Packages' \
		'Origin: Debian' 2>/dev/null || :)
	[[ $main ]] || return 0
	echo "deb $main $suite main"
	if [[ $security && $suite != forky ]]; then
		echo "deb $security $suite-security main"
	fi
}

# The host's way out, when its apt has a proxy.
apt_options() {
	apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy' | sed 's/^/--aptopt=/' || :
}

bootstrap() {
	local suite=$1 sources options
	shift

	mapfile -t sources < <(debian_sources "$suite")
	mapfile -t options < <(apt_options)
	((EUID)) || export TMPDIR=$cache
	in_own_mounts mmdebstrap --variant=apt --format=tar "${options[@]}" \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Languages "none"' \
		--aptopt='Acquire::Retries "3"' \
		--aptopt='APT::Sandbox::User "root"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		"$@" "$suite" - "${sources[@]}"
}

# As root, mmdebstrap mounts into the tree it makes: nobody else need see that,
# and it must not outlive it.
in_own_mounts() {
	if ((EUID)); then
		"$@"
	else
		unshare --mount --propagation private "$@"
	fi
}

# Inside mmdebstrap, on the new tree: the headers of the newest packaged kernel
# of each series, and the packages of its image beside them, not installed. rt is
# the 6.1 that has PREEMPT_RT.
fetch_kernels() {
	local root=$1 series image version parts numbers flavour
	shift

	export -n APT_CONFIG
	for series; do
		numbers=$series flavour=amd64
		[[ $series != rt ]] || numbers=6.1 flavour=rt-amd64
		image=$(chroot "$root" apt-cache search --names-only \
			"^linux-image-${numbers//./\\.}\\.[^-]*(-[0-9]+)?-$flavour\$" |
			cut -d' ' -f1 | sort -V | tail -n1)
		[[ $image ]] || { echo "no linux-image of $series in this release" >&2; return 1; }
		version=${image#linux-image-}
		echo "linux $series is $version"
		chroot "$root" apt-get install -y --no-install-recommends "linux-headers-$version"
		mkdir -p "$root/kernels/$series"
		echo "$version" >"$root/kernels/$series/version"
		parts=$(chroot "$root" apt-cache depends --recurse --important "$image" |
			grep -E "^linux-(image|binary|modules|base)-${version//+/\\+}\$" | sort -u | tr '\n' ' ')
		# shellcheck disable=SC2086
		chroot "$root" sh -ec "cd /kernels/$series && apt-get download $parts"
	done
}

make_tree() {
	local dir=$1 suite=$2 hook

	hook=$(mktemp)
	chmod 755 "$hook"
	{ echo 'set -eu'; declare -f fetch_kernels; echo 'fetch_kernels "$@"'; } >"$hook"
	# shellcheck disable=SC2046
	bootstrap "$suite" --include="$(tree_packages "$suite")" \
		--customize-hook="bash $hook \"\$1\" $(kernels_of "$suite")" |
		tar -x -C "$dir" --no-same-owner --exclude='./dev/*'
	rm -f "$hook"
	# places for in_tree to bind to; a shell in there needs /dev/null
	mkdir -p "$dir/src" "$dir/out" "$dir/linux"
	((EUID)) || mknod -m 666 "$dir/dev/null" c 1 3
	[[ -s $dir/kernels/${3%% *}/version ]]
}

# The ELF file inside a bzImage (see the kernel's Documentation/arch/x86/boot.rst):
# QEMU can start it, and the guest need not spend four seconds on unpacking.
unpack_kernel() {
	local image=$1 setup offset length

	setup=$(od -An -t u1 -j $((0x1f1)) -N 1 "$image")
	offset=$(od -An -t u4 -j $((0x248)) -N 4 "$image")
	length=$(od -An -t u4 -j $((0x24c)) -N 4 "$image")
	# the payload's last four bytes are its size when unpacked
	dd if="$image" of="$image.payload" bs=1M iflag=skip_bytes,count_bytes status=none \
		skip=$(((setup + 1) * 512 + offset)) count=$((length - 4))
	case $(od -An -t x1 -N 4 "$image.payload") in
	' fd 37 7a 58') xz -dc <"$image.payload" ;;
	' 28 b5 2f fd') unzstd -qc <"$image.payload" ;;
	*) echo "$image is packed in a way unknown here" >&2; return 1 ;;
	esac
}

make_kernel() {
	local dir=$1 series=$2 tree version root mods m

	tree=$(tree_path "$(suite_of "$series")")
	version=$(<"$tree/kernels/$series/version")
	root=$dir/root
	mkdir "$root"
	for m in "$tree/kernels/$series"/*.deb; do
		dpkg-deb -x "$m" "$root"
	done
	[[ -d $root/lib/modules ]] || ln -s usr/lib "$root/lib"
	mods=$root/lib/modules/$version
	[[ -e $mods/vmlinuz ]] || mv "$root/boot/vmlinuz-$version" "$mods/vmlinuz"
	unpack_kernel "$mods/vmlinuz" >"$dir/vmlinux"
	echo "$version" >"$dir/version"

	# only the modules a guest can use, unpacked, so that insmod need not
	mkdir -p "$dir/keep/lib/modules/$version/kernel"
	cp "$mods"/modules.builtin* "$mods/modules.order" "$dir/keep/lib/modules/$version/"
	while read -r m; do
		# shellcheck disable=SC2086
		(cd "$mods/kernel" && for f in $m; do
			[[ ! -e $f ]] || cp -r --parents "$f" "$dir/keep/lib/modules/$version/kernel/"
		done)
	done < <(guest_modules)
	mods=$dir/keep/lib/modules/$version
	rm -rf "$mods"/kernel/net/{bluetooth,mac80211,wireless,nfc,ieee802154,mac802154,batman-adv,can,rds,tipc,ceph,smc}
	find "$mods" -name '*.ko.xz' -exec xz -d {} +
	find "$mods" -name '*.ko.zst' -exec unzstd -q --rm {} +
	PATH=$PATH:/usr/sbin:/sbin
	depmod -b "$dir/keep" "$version"
	mksquashfs "$mods" "$dir/modules.sqfs" -all-root -noappend -no-progress -comp lz4 >/dev/null

	make_initramfs "$dir" "$version"
	rm -rf --one-file-system "$dir/root" "$dir/keep"
}

# The initramfs: busybox, a list of modules, and them.
make_initramfs() {
	local dir=$1 version=$2 line list=() m

	mkdir -p "$dir/ir/bin" "$dir/ir/modules"
	busybox_of_guest >"$dir/ir/bin/busybox"
	chmod 755 "$dir/ir/bin/busybox"
	install -m 755 "$vm_dir/initramfs-init" "$dir/ir/init"
	for m in $boot_modules; do
		while read -r line; do
			[[ $line == insmod\ * ]] || continue
			line=${line#insmod }
			line=${line%% *}
			[[ " ${list[*]} " == *" ${line##*/} "* ]] && continue
			list+=("${line##*/}")
			cp "$line" "$dir/ir/modules/"
		done < <(modprobe -d "$dir/keep" -S "$version" --show-depends "$m")
	done
	((${#list[@]} == 0)) || printf '%s\n' "${list[@]}" >"$dir/ir/modules/list"
	: >>"$dir/ir/modules/list"
	(cd "$dir/ir" && find . | cpio --quiet -o -H newc -R 0:0) >"$dir/initramfs.cpio"
	rm -rf --one-file-system "$dir/ir"
}

# Debian's source of the kernel, packed, and a tree to build it in.
make_source() {
	local dir=$1

	bootstrap bookworm --include="$(source_packages)" |
		tar -x -C "$dir" --no-same-owner --exclude='./dev/*'
	mkdir -p "$dir/src" "$dir/out" "$dir/linux"
	((EUID)) || mknod -m 666 "$dir/dev/null" c 1 3
	chroot_version "$dir" >"$dir/version"
	[[ -s $dir/version && -s $dir/usr/src/linux-source-6.12.tar.xz ]]
}

chroot_version() {
	dpkg-query --admindir="$1/var/lib/dpkg" -f '${Version}\n' -W linux-source-6.12
}

# Build the kernel KERNEL of config/: allnoconfig and the fragments, every line
# of which must have its effect.
make_built_kernel() {
	local dir=$1 kernel=$2 source version missing o
	local flags=(UBSAN_SANITIZE=n)	# the module is what it watches

	source=$(source_path)
	# KCSAN looks at one access in some, wherever it is: all of its time is to
	# go into the module, and the files that write what the module reads.
	if [[ $kernel == kcsan ]]; then
		flags+=(KCSAN_SANITIZE=n)
		for o in tcp_minisocks inet_timewait_sock inet_connection_sock ipv6_sockglue; do
			flags+=("KCSAN_SANITIZE_$o.o=y")
		done
	fi
	mkdir -p "$dir/src" "$dir/build" "$dir/headers" "$dir/keep"
	echo "unpacking the source"
	tar -x -C "$dir/src" --strip-components=1 --wildcards \
		--exclude='*/Documentation/*/*' --exclude='*/arch/[a-tv-w]*/*.[chS]' --exclude='*/dts/*' \
		--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/wireless/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]' \
		-f "$source/usr/src/linux-source-6.12.tar.xz"
	# None of these reads or writes memory of the module's on its behalf, as lists,
	# locks, RCU, timers, ftrace and netlink do: unwatched they are built, and run,
	# in less time.
	find "$dir/src"/{arch/x86/*/,block,crypto,drivers,fs,init,io_uring,ipc,mm,net,security} \
		"$dir/src"/kernel/{bpf,cgroup,dma,entry,events,futex,irq,module,power,printk,sched} \
		-name Makefile ! -path '*/net/core/*' ! -path '*/net/netlink/*' \
		-exec sed -i '1i KASAN_SANITIZE := n' {} +
	# What is not watched still orders memory for what is: a lock given back by
	# code whose barriers KCSAN does not see would look like no barrier at all.
	sed -i '1i KCSAN_INSTRUMENT_BARRIERS := y' \
		"$dir/src"/{kernel,kernel/locking,kernel/rcu,kernel/time,lib}/Makefile \
		"$dir/src"/net/{core,ipv4,ipv6,netlink}/Makefile
	sed -i '1i KCSAN_INSTRUMENT_BARRIERS_lockdep.o := n' "$dir/src/kernel/locking/Makefile"
	cat "$vm_dir/config/common.config" "$vm_dir/config/$kernel.config" >"$dir/build/fragment"
	in_tree "$source" "$dir/src=/src" "$dir/build=/out" -- \
		make -C /src O=/out KCONFIG_ALLCONFIG=/out/fragment allnoconfig
	missing=$(grep -E '^(CONFIG_|# CONFIG_)' "$dir/build/fragment" | sort -u |
		grep -vxFf "$dir/build/.config" || :)
	[[ ! $missing ]] || { echo "the configuration has not taken:" "$missing" >&2; return 1; }
	in_tree "$source" "$dir/src=/src" "$dir/build=/out" -- \
		make -C /src O=/out -j"$(nproc)" KBUILD_BUILD_USER=tcpstate KBUILD_BUILD_HOST=vm \
		"${flags[@]}" vmlinux modules
	# shellcheck disable=SC2016 # these are make's
	in_tree "$source" "$dir/src=/src" "$dir/build=/out" "$dir/headers=/linux" -- \
		make -s -C /src O=/out run-command \
		KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build /linux'
	in_tree "$source" "$dir/src=/src" "$dir/build=/out" "$dir/keep=/linux" -- \
		make -s -C /src O=/out INSTALL_MOD_PATH=/linux modules_install
	version=$(<"$dir/build/include/config/kernel.release")
	echo "$version" >"$dir/version"
	mv "$dir/build/vmlinux" "$dir/vmlinux"
	PATH=$PATH:/usr/sbin:/sbin
	rm -f "$dir/keep/lib/modules/$version/build"
	depmod -b "$dir/keep" "$version"
	mksquashfs "$dir/keep/lib/modules/$version" "$dir/modules.sqfs" -all-root -noappend \
		-no-progress -comp lz4 >/dev/null
	make_initramfs "$dir" "$version"
	rm -rf --one-file-system "$dir/src" "$dir/build" "$dir/keep"
}

busybox_of_guest() {
	cat "$(guest_path)/busybox"
}

make_guest() {
	local dir=$1

	# shellcheck disable=SC2016
	bootstrap bookworm --variant=essential --include="$(guest_packages)" \
		--customize-hook='echo tcpstate-vm >"$1/etc/hostname"' \
		--customize-hook='echo "127.0.0.1 localhost tcpstate-vm" >"$1/etc/hosts"' \
		--customize-hook='rm -f "$1/etc/resolv.conf"' >"$dir/root.tar"
	tar -x -O -f "$dir/root.tar" ./bin/busybox >"$dir/busybox" 2>/dev/null ||
		tar -x -O -f "$dir/root.tar" ./usr/bin/busybox >"$dir/busybox"
	mksquashfs - "$dir/root.sqfs" -tar -noappend -no-progress -comp lz4 <"$dir/root.tar" >/dev/null
	rm -f "$dir/root.tar"
}

make_linux() {
	local dir=$1 tree files tar

	tree=$(tree_path bookworm)
	mapfile -t files < <(linux_files | sed 's,^,linux-source-6.12/,')
	tar=$(ls /usr/src/linux-source-6.12.tar.xz 2>/dev/null || :)
	if [[ ! $tar ]]; then
		echo "downloading linux-source-6.12"
		bootstrap bookworm --variant=extract --include=linux-source-6.12 |
			tar -x -C "$dir" --wildcards './usr/src/*.tar.xz'
		tar=$dir/usr/src/linux-source-6.12.tar.xz
	fi
	tar -x -C "$dir" --strip-components=1 -f "$tar" "${files[@]}"
	rm -rf --one-file-system "${dir:?}/usr"
	[[ -s $dir/tools/testing/selftests/kselftest.h && -s $dir/scripts/checkpatch.pl ]]
}

tmp=

clean_up() {
	step_stop
	[[ -z $tmp ]] || rm -rf --one-file-system "$tmp"
}

# ensure PATH WHAT KIND ARGS...: make the entry PATH with make_KIND unless there.
ensure() {
	local path=$1 what=$2 kind=$3 name=${1##*/}
	shift 3

	[[ ! -d $path ]] || return 0
	if ((dry)); then
		echo "missing $path ($what)"
		return 0
	fi
	mkdir -p "$cache/log"
	locked "${name%-*}" "$what"
	if [[ ! -d $path ]]; then
		rm -rf --one-file-system "$cache/.tmp-${name%-*}".*
		tmp=$(mktemp -d "$cache/.tmp-${name%-*}.XXXXXX")
		chmod 755 "$tmp"
		step "$what" "$cache/log/$name.log" "make_$kind" "$tmp" "$@"
		mv -T "$tmp" "$path"
		tmp=
	fi
	exec 9>&-
}

# Entries of other recipes than today's.
prune() {
	local used path k

	used=" $(guest_path) $(linux_path) $(source_path)"
	for k in "${all_kernels[@]}" "${built_kernels[@]}" "${refused_kernels[@]}"; do
		used+=" $(tree_path "$(suite_of "$k")") $(kernel_path "$k")"
	done
	for path in "$cache"/{tree,kernel,guest,linux,source}-*; do
		if [[ -d $path && "$used " != *" $path "* ]]; then
			say "removing $path"
			rm -rf --one-file-system "$path"
		fi
	done
}

dry=0 clean=0
case ${1-} in
-n) dry=1 ;;
-c) clean=1 ;;
-*)
	usage
	exit 2
	;;
esac
[[ ${1-} != -* ]] || shift
kernels=("$@")
((${#kernels[@]})) || kernels=("${all_kernels[@]}")
for k in "${kernels[@]}"; do
	suite_of "$k" >/dev/null
done
[[ $(uname -m) == x86_64 ]] || die "the virtual machines here are x86-64, as is all they are built with"

trap clean_up EXIT
trap 'exit 130' INT TERM HUP
((dry)) || install_host_tools
ensure "$(tree_path bookworm)" "build tree of bookworm" tree bookworm "$(kernels_of bookworm)"
ensure "$(guest_path)" "guest image" guest
for k in "${kernels[@]}"; do
	suite=$(suite_of "$k")
	ensure "$(tree_path "$suite")" "build tree of $suite" tree "$suite" "$(kernels_of "$suite")"
	if is_built "$k"; then
		ensure "$(source_path)" "source of the kernel $k" source
		ensure "$(kernel_path "$k")" "kernel $k, built here (some minutes)" built_kernel "$k"
	else
		ensure "$(kernel_path "$k")" "kernel $k for the guest" kernel "$k"
	fi
done
ensure "$(linux_path)" "files of the kernel source" linux
((clean == 0)) || prune
