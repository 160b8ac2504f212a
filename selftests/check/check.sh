#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [STEP...]: run the static checks (default: all), as many at a time as
# there are CPUs, each one whatever becomes of the others. One line for each; what
# a step complains of follows it. The last line is 'N passed, N failed'; exits 0 only if all passed.
#
# Everything runs inside the build tree of Debian's bookworm, where
# the harness keeps its compilers, with the checkout at /src, read-only, the
# files of the kernel's source at /linux and a place to write at /out. A step
# passes if it ends with 0 and prints nothing.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../vm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/common.sh"
exec </dev/null

out=$build/check

# What tree() needs to be there, once for all steps.
devices=(null zero full tty urandom)
tree_up() {
	local d

	mkdir -p "$out/dev/pts" "$out/tmp"
	ln -sfn pts/ptmx "$out/dev/ptmx"
	ln -sfn /proc/self/fd "$out/dev/fd"
	for d in "${devices[@]}"; do
		: >>"$out/dev/$d"
	done
}

# Run COMMAND in the tree, with the few devices that tests ask for. The tree has
# no mount(8): its terminals are mounted by the system call.
tree() {
	local d binds=()

	for d in "${devices[@]}"; do
		binds+=("/dev/$d=/dev/$d")
	done
	# shellcheck disable=SC2016 # these are Perl's
	in_tree "$(tree_path bookworm)" "-$top=/src" "-$(linux_path)=/linux" "$out=/out" \
		"$out/dev=/dev" "${binds[@]}" -- /usr/bin/perl -e '
			my @pts = ("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620");
			syscall(165, @pts) == 0 or die "no terminals: $!\n";
			chdir("/src") && exec(@ARGV) or die "$ARGV[0]: $!\n";
		' env TMPDIR=/out/tmp "$@"
}

# sources PATTERN DIR...: the files below DIRs whose name fits, as in the checkout.
sources() {
	local pattern=$1
	shift

	(cd "$top" && find "$@" -type f -name "$pattern" ! -name '.*' ! -name '*.mod.c' | sort)
}

# All that is in the repository, or would be: what git does not ignore, or
# without git what does not look built.
all_files() {
	(cd "$top" && { git ls-files --cached --others --exclude-standard 2>/dev/null ||
		find . -path ./build -prune -o -path ./.git -prune -o -type f -printf '%P\n'; } |
		while read -r f; do
			[[ ! -f $f ]] || echo "$f"
		done | sort -u)
}

# What of stdin are scripts for bash or sh.
scripts() {
	while read -r f; do
		if [[ $f == *.sh || $f == *.bash ]] || head -n 1 "$top/$f" | grep -qaE '^#!.*[/ ](ba)?sh'; then
			echo "$f"
		fi
	done
}

# The module, on every kernel: W=1, and sparse where it is to be had.
check_module() {
	"$vm_dir/build.sh" -W "${all_kernels[@]}"
}

# Versions of the kernel are named in one file.
check_versions() {
	! (cd "$top" && grep -rnE 'LINUX_VERSION_CODE|KERNEL_VERSION' Kbuild module --include='*.[ch]' \
		--include=Kbuild | grep -v '^module/compat\.h:')
}

check_kernel-doc() {
	local files

	mapfile -t files < <(sources '*.[ch]' module tools | grep -vE '^module/(uapi/|nl-gen)')
	tree perl /linux/scripts/kernel-doc -Wall -none "${files[@]}"
}

# checkpatch TYPE,... FILE...: run it without these types of complaint.
checkpatch() {
	local ignore=$1
	shift

	tree perl /linux/scripts/checkpatch.pl --no-tree --strict --quiet --terse --show-types \
		--color=never --no-summary --ignore "$ignore" -f "$@"
}

check_checkpatch() {
	local module tools selftests ignore bad=0

	# A list of names for several uses (TCPSTATE_EDGES) has no other shape.
	ignore=COMPLEX_MACRO,MACRO_ARG_REUSE
	mapfile -t module < <(sources '*.[ch]' module |
		grep -vxE 'module/(compat\.h|nl-gen\.[ch])')
	checkpatch "$ignore" "${module[@]}" || bad=1
	# What is generated is as long as its names.
	checkpatch "$ignore,LONG_LINE" module/nl-gen.c module/nl-gen.h || bad=1

	# The one file to compare versions (whose macros are taken for constants)
	# and to give types the name that they have on another kernel.
	ignore+=,LINUX_VERSION_CODE,CONSTANT_COMPARISON,NEW_TYPEDEFS
	checkpatch "$ignore" module/compat.h || bad=1

	# Outside the kernel they are uint32_t.
	ignore=PREFER_KERNEL_TYPES
	mapfile -t tools < <(sources '*.[ch]' tools)
	checkpatch "$ignore" "${tools[@]}" || bad=1

	# Nor is there __printf(); CHECK() ends in kselftest's TH_LOG(), and loops are
	# macros; what a connection is expected to do is told over several lines, and
	# the names of tools in messages are not those of functions; "enum family family".
	ignore+=,PREFER_DEFINED_ATTRIBUTE_MACRO,COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE
	ignore+=,SPLIT_STRING,EMBEDDED_FUNCTION_NAME,REPEATED_WORD
	# kselftest's ASSERT_EQ() is two statements, of which a loop would take one.
	ignore+=,SINGLE_STATEMENT_DO_WHILE_MACRO
	mapfile -t selftests < <(sources '*.[ch]' selftests)
	checkpatch "$ignore" "${selftests[@]}" || bad=1
	((bad == 0))
}

check_shellcheck() {
	local files

	mapfile -t files < <(all_files | scripts)
	tree shellcheck -x "${files[@]}"
}

check_python() {
	local files

	mapfile -t files < <(all_files | grep '\.py$' || :)
	((${#files[@]} == 0)) || tree python3 -W error -c '
import sys
for name in sys.argv[1:]:
    with open(name) as f:
        compile(f.read(), name, "exec")
' "${files[@]}"
}

# What is generated from the netlink specification is what is committed.
check_netlink() {
	local f bad=0

	rm -rf --one-file-system "$out/netlink"
	mkdir "$out/netlink"
	tree Documentation/netlink/regen.sh /linux /out/netlink
	while read -r f; do
		cmp "$top/$f" "$out/netlink/$f" || bad=1
	done < <(cd "$out/netlink" && find . -type f -printf '%P\n' | sort)
	[[ -s $out/netlink/module/uapi/linux/tcpstate.h ]]
	((bad == 0))
}

# Its tests are quiet unless one fails: their output is for the log.
check_tools() {
	tree make -s -C tools O=/out/tools check >"$out/tools.log" 2>&1 ||
		{ cat "$out/tools.log"; return 1; }
}

check_asan() {
	tree make -s -C tools O=/out/tools asan >"$out/asan.log" 2>&1 ||
		{ cat "$out/asan.log"; return 1; }
}

check_selftests() {
	tree make -s -C selftests O=/out/selftests KSELFTEST=/linux/tools/testing/selftests
	tree make -s -C selftests/bench O=/out/bench
}

# The budgets are judged, and what is not measured is missed.
check_bench() {
	tree selftests/bench/report-test.sh
}

# The manual has every key of the JSON and every parameter of the module.
check_manual() {
	local f name manual

	manual=$(tr '_' '-' <"$top/tools/tcpstate-cli.8")
	tree mandoc -T lint -W warning tools/tcpstate-cli.8
	while IFS=: read -r f name; do
		grep -qwe "${name//_/-}" <<<"$manual" ||
			echo "tools/tcpstate-cli.8: nothing on $name, of $f"
	done < <(cd "$top" && {
		grep -oHE '(out_[a-z_]+|process_print|conn_print_one)\("[a-z0-9_]+"' tools/*.c
		grep -oHE '^[[:space:]]+"[a-z_]+",$' tools/config.c
		grep -oHE '^module_param(_named)?\([a-z_]+' module/*.c
	} | sed -E 's/:.*[("\t]([a-z0-9_]+)"?,?$/:\1/' | sort -u)
}

# Where a function that is hooked, or the tracepoint, has another prototype, the
# build stops with an error that names it, for each of them.
check_prototypes() {
	local k dir bind words errors refusals bad=0

	mapfile -t refusals < <(sed -n -e '/^\ttcpstate_check_prototype(/{s///' -e 's/,.*//' \
		-e 's/TCPSTATE_HASHDANCE/inet_twsk_hashdance[a-z_]*/' \
		-e 's/.*/the prototype of &() is not what tcpstate expects/p}' "$top/module/probe.c")
	refusals+=("check_trace_callback_type_inet_sock_set_state. from incompatible pointer type")
	for k in "${all_kernels[@]}"; do
		dir=$out/prototypes/$k
		rm -rf --one-file-system "$dir"
		mkdir -p "$dir"
		cp -r "$top/Kbuild" "$top/module" "$dir"
		sed -i -E 's/^(typedef .*\(\*tcpstate_[a-z_]*_t\)\()/\1void *unexpected, /' \
			"$dir/module/compat.h"
		sed -i 's/const int newstate);$/const long newstate);/' "$dir/module/tcpstate.h"
		mapfile -t bind < <(headers_bind "$k")
		in_tree "$(tree_path "$(suite_of "$k")")" "$dir=/src" "${bind[@]}" -- \
			make -s -C "$(headers_of "$k")" M=/src module/probe.o >"$dir.log" 2>&1 &&
			{ echo "$k: it builds"; bad=1; }
		errors=$(grep -E '(error|warning): ' "$dir.log" || :)
		for words in "${refusals[@]}"; do
			grep -q "error: .*$words" <<<"$errors" ||
				{ echo "$k: no error says '$words'"; bad=1; }
			errors=$(grep -v "$words" <<<"$errors" || :)
		done
		[[ ! $errors ]] || { echo "$k: $errors"; bad=1; }
	done
	((bad == 0))
}

# What README says of a server, below a DESTDIR: 'make', what 'make install' puts
# where, that it runs there, and that 'make uninstall' leaves nothing of it; and with
# DKMS, that what it is given builds by what dkms.conf says. The tree has no DKMS: its
# part is played as it would (it reads dkms.conf so, with these variables set).
check_install() {
	local release prefix root=/out/install/root log=$out/install/log arguments

	release=$(<"$(kernel_path 6.1)/version")
	rm -rf --one-file-system "$out/install/root"
	mkdir -p "$out/install/root"
	for prefix in /usr /usr/local; do
		arguments=(TCPSTATE_BUILD=/out/install/build "RELEASE=$release"
			"DESTDIR=$root" "PREFIX=$prefix")
		# shellcheck disable=SC2016
		tree sh -euc '
			root=$1 prefix=$2 release=$3
			shift 3
			make -j"$(nproc)" "$@"
			make "$@" install
			"$root$prefix/bin/tcpstate-cli" -h
			modinfo -F version "$root/lib/modules/$release/updates/tcpstate.ko"
		' sh "$root" "$prefix" "$release" "${arguments[@]}" >"$log" 2>&1 ||
			{ cat "$log"; return 1; }
		diff -u --label expected --label installed - <(installed) <<-END
		-rw-r--r-- lib/modules/$release/updates/tcpstate.ko
		-rwxr-xr-x ${prefix#/}/bin/tcpstate-cli
		-rw-r--r-- ${prefix#/}/share/bash-completion/completions/tcpstate-cli
		-rw-r--r-- ${prefix#/}/share/man/man8/tcpstate-cli.8
		END
		tree make "${arguments[@]}" uninstall >"$log" 2>&1 || { cat "$log"; return 1; }
		installed
	done
	# shellcheck disable=SC2016
	tree bash -euc '
		release=$1 dkms_tree=$2 kernel_source_dir=/lib/modules/$1/build
		. ./dkms.conf
		given=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build
		set -- TCPSTATE_BUILD=/out/install/build RELEASE="$release" PREFIX="$dkms_tree/usr" \
			DKMS=true dkms_source="$given"
		make "$@" install
		cd "$given"
		. ./dkms.conf
		eval "${MAKE[0]}"
		test "$(modinfo -F version "$BUILT_MODULE_NAME.ko")" = "$PACKAGE_VERSION"
		eval "$CLEAN"
		cd /src
		make "$@" uninstall-dkms
		test ! -e "$given"
	' bash "$release" /out/install/root/dkms >"$log" 2>&1 || { cat "$log"; return 1; }
}

installed() {
	find "$out/install/root" ! -type d -printf '%M %P\n' | sort -k 2
}

# Every file says its licence; the version is the same everywhere; the tests that
# README.md and Documentation point to (`fixture.test`; or a file) are there.
check_house() {
	local f bad=0 version name files

	files=$(all_files)
	while read -r f; do
		[[ $f != LICENSE && $f != tools/tests/expect/* ]] || continue
		if ! head -n 6 "$top/$f" | grep -q 'SPDX-License-Identifier: '; then
			echo "$f: no SPDX-License-Identifier"
			bad=1
		fi
	done <<<"$files"
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
	grep -q "^MODULE_VERSION(\"$version\");" "$top/module/main.c" ||
		{ echo "module/main.c: MODULE_VERSION is not dkms.conf's $version"; bad=1; }
	grep -q "^VERSION ?= $version\$" "$top/tools/Makefile" ||
		{ echo "tools/Makefile: VERSION is not dkms.conf's $version"; bad=1; }
	while IFS=: read -r f name; do
		grep -qE "^TEST_F[A-Z_]*\\(${name%.*}, ${name#*.}[,)]" "$top"/selftests/*.c ||
			grep -qE "(^|/)$name\$" <<<"$files" ||
			{ echo "$f: there is no test $name, and no file"; bad=1; }
	done < <(cd "$top" && find README.md Documentation -name '*.md' -exec \
		grep -oHE "\`[a-z_]+\.[a-z0-9_]+\`" {} + | tr -d '\`' |
		grep -v ':fixture\.test$' | sort -u)
	((bad == 0))
}

all_steps=(module prototypes versions checkpatch kernel-doc netlink tools asan install
	selftests bench manual shellcheck python house)
steps=("$@")
((${#steps[@]})) || steps=("${all_steps[@]}")
for s in "${steps[@]}"; do
	[[ " ${all_steps[*]} " == *" $s "* ]] || die "there is no step '$s'; there are: ${all_steps[*]}"
done

"$vm_dir/prepare.sh" "${all_kernels[@]}"
tree_up
passed=0 failed=0
declare -A step_of=() began=()

# Wait until fewer than $1 steps are under way, and tell how they ended.
wait_below() {
	local pid status s took

	while ((${#step_of[@]} >= $1)); do
		pid='' status=0
		wait -n -p pid "${!step_of[@]}" || status=$?
		s=${step_of[$pid]} took=$((SECONDS - began[$pid]))
		unset "step_of[$pid]"
		if ((status == 0)) && [[ ! -s $out/$s.out ]]; then
			passed=$((passed + 1))
			printf 'check: %-11s clean  (%d s)\n' "$s" "$took"
			continue
		fi
		failed=$((failed + 1))
		printf 'check: %-11s NOT CLEAN  (%d s, status %d)\n' "$s" "$took" "$status"
		head -n 60 "$out/$s.out" | sed 's/^/  /'
		(($(wc -l <"$out/$s.out") <= 60)) || echo "  ... all of it is in $out/$s.out"
	done
}

for s in "${steps[@]}"; do
	wait_below "$(nproc)"
	# in a shell of its own, so that 'set -e' holds inside
	(set -e; "check_$s") >"$out/$s.out" 2>&1 &
	step_of[$!]=$s began[$!]=$SECONDS
done
wait_below 1
echo "$passed passed, $failed failed"
((failed == 0))
