# SPDX-License-Identifier: GPL-2.0
#
# 'make help' tells the targets. What is built for this machine is put in
# build/host and build/tools, what is built for the virtual machines beside
# it; the sources are left alone.

all: cli module ## build the module for the running kernel, and tcpstate-cli

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
RELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(RELEASE)/build
PREFIX ?= /usr
DKMS ?= $(shell PATH=$$PATH:/usr/sbin command -v dkms)

build := $(or $(TCPSTATE_BUILD),$(CURDIR)/build)
host := $(build)/host/$(RELEASE)
vm := selftests/vm

# The kernels that 'make test' and 'make test-all' stand for.
KERNELS_TEST := 6.1 6.12
KERNELS_ALL := 5.10 6.1 6.12 7.2 rt debug kcsan
demo_kernel := $(or $(KERNEL),6.12)

module_files := Kbuild $(wildcard module/*.[ch] module/uapi/linux/*.h)
tools_make := $(MAKE) -C tools O=$(build)/tools VERSION=$(VERSION)

cli:
	@pkg-config --exists libnl-genl-3.0 json-c 2>/dev/null || { \
		echo "tcpstate-cli needs the packages pkg-config, libnl-genl-3-dev and libjson-c-dev (by their Debian names)" >&2; \
		exit 1; }
	+@$(tools_make) --no-print-directory -s
	@echo "built $(patsubst $(CURDIR)/%,%,$(build)/tools/tcpstate-cli)"

module:
	@[ -e $(KDIR)/Makefile ] || { \
		echo "no headers of the kernel $(RELEASE) in $(KDIR):" >&2; \
		echo "install linux-headers-$(RELEASE) (Debian, Ubuntu; elsewhere kernel-devel or the like)" >&2; \
		echo "'make demo' and 'make test' do not need them: they bring their own kernels" >&2; \
		exit 1; }
	@mkdir -p $(host)
	@cp -up --parents $(module_files) $(host)
	+@$(MAKE) -C $(KDIR) M=$(host) --no-print-directory modules
	@echo "built $(patsubst $(CURDIR)/%,%,$(host)/tcpstate.ko)"

demo: ## show it on real traffic, in a virtual machine (3 minutes)
	@echo "Building, and booting a virtual machine with Linux $(demo_kernel) ..."
	@$(vm)/run.sh -k $(demo_kernel) -r demo.sh

test: ## run the tests on kernels 6.1 and 6.12, what takes long on one of them; or on KERNEL=; TESTS= picks some
	@selftests/suite.sh $(if $(KERNEL),,-q) $(if $(JOBS),-j $(JOBS)) -k "$(or $(KERNEL),$(KERNELS_TEST))" $(TESTS)

test-all: ## run the tests on every supported kernel and on those that look for bugs, and those of the harness, and the demo
	@selftests/suite.sh -H -P $(if $(JOBS),-j $(JOBS)) -k "$(or $(KERNEL),$(KERNELS_ALL))" $(TESTS)

plant: ## plant a bug of each kind, or BUG=, in a copy of the sources, and see it caught
	@selftests/plant.sh $(BUG)

bench: ## measure what it costs, in instructions, and write it to build/bench.json, too
	@mkdir -p $(build)
	@selftests/bench/bench.sh $(if $(KERNEL),-k $(KERNEL)) -j $(build)/bench.json

check: ## run the static checks; STEPS= picks some
	@selftests/check/check.sh $(STEPS)

vm: ## give a root shell in a virtual machine, with the module loaded; KERNEL= picks its kernel
	@$(vm)/shell.sh $(or $(KERNEL),6.1)

clean: ## remove what was built (not the cache in ~/.cache/tcpstate)
	rm -rf --one-file-system $(build)

modules_dir := $(DESTDIR)/lib/modules/$(RELEASE)/updates
dkms_name := tcpstate/$(VERSION)
dkms_source := /usr/src/tcpstate-$(VERSION)

install: ## install module, CLI, manual page and completion; DESTDIR= and PREFIX= are honoured
	+@$(tools_make) --no-print-directory -s install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
ifneq ($(and $(DKMS),$(if $(DESTDIR),,here)),)
	@$(MAKE) --no-print-directory -s uninstall-dkms
	@mkdir -p $(dkms_source)
	@cp -p --parents dkms.conf LICENSE $(module_files) $(dkms_source)
	$(DKMS) install --force -k $(RELEASE) $(dkms_name)
else
	@[ -e $(host)/tcpstate.ko ] || { echo "run 'make' first" >&2; exit 1; }
	install -D -m 644 $(host)/tcpstate.ko $(modules_dir)/tcpstate.ko
	strip --strip-debug $(modules_dir)/tcpstate.ko
	$(if $(DESTDIR),,depmod -a $(RELEASE))
endif

uninstall: ## undo 'make install'
	+@$(tools_make) --no-print-directory -s uninstall DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	@if [ -z "$(DESTDIR)" ] && [ -d /sys/module/tcpstate ]; then rmmod tcpstate; fi
ifneq ($(and $(DKMS),$(if $(DESTDIR),,here)),)
	@$(MAKE) --no-print-directory -s uninstall-dkms
endif
	rm -f $(modules_dir)/tcpstate.ko
	$(if $(DESTDIR),,depmod -a $(RELEASE))

uninstall-dkms:
	@if $(DKMS) status $(dkms_name) | grep -q .; then $(DKMS) remove $(dkms_name) --all; fi
	@rm -rf --one-file-system $(dkms_source)

help: ## print this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r target what; do printf 'make %-10s %s\n' "$$target" "$$what"; done

.PHONY: all cli module demo test test-all plant bench check vm clean install uninstall uninstall-dkms help
