# Everything from one place; Meson and Ninja do the work. `make help` says what there is.
# Missing Debian packages are installed by name (tools/packages.txt); nothing is ever downloaded otherwise.

.DEFAULT_GOAL := build
.PHONY: build run test test-tailnet bench bench-wg bench-link bench-policy fuzz lint fmt install dist deb clean help

# Calls across files are inlined; not by clang, which needs a plug-in of the linker that may be missing.
LTO := $(if $(findstring clang,$(CC)),,-Db_lto=true)

build/build.ninja:
	@tools/deps build
	@meson setup build --wrap-mode=nodownload -Dtests=false $(LTO) $(MESON_ARGS) >/dev/null

build: build/build.ninja   ## build the program: build/sekisho
	@tools/deps build
	@ninja -C build

run: build                 ## set up where there is no config yet, start the gateway, print calls to paste
	@tools/run $(ARGS)

test:                      ## unit tests, corpus replays and end-to-end stories, under the sanitizers
	@tools/deps build test package
	@tools/test

test-tailnet: build        ## the gateway on a real tailnet: tailscaled and headscale, built once as Go modules (needs Go)
	@tools/tailnet-programs build/tailnet-programs
	@SEKISHO=build/sekisho SEKISHO_BUILD=build tests/e2e/run -k deploy/tailnet_real

bench: build               ## measure side by side with nginx and HAProxy (docs/performance.md)
	@tools/deps bench test
	@bench/run

bench-wg: build            ## measure tunnels beside wireguard-go (docs/performance.md; root)
	@tools/deps bench test
	@bench/wg $(ARGS)

bench-link: build        ## measure links beside ssh -R, frp and chisel (docs/performance.md; root)
	@tools/deps bench test
	@bench/link $(ARGS)

bench-policy: build        ## measure the policy engine (docs/performance.md)
	@ninja -C build --quiet bench-policy
	@build/bench-policy

fuzz:                      ## fuzz each parser for FUZZ_SECONDS (60), or only TARGET
	@tools/deps build test fuzz
	@tools/fuzz

lint:                      ## floors, layout, static analysis, house rules
	@tools/deps build test lint
	@tools/rooms
	@tools/lint

fmt:                       ## lay out the C sources
	@tools/deps lint
	@find src tests fuzz tools bench -name '*.[ch]' -print0 2>/dev/null | xargs -0 clang-format -i

install: build             ## install program, manual page and completions (DESTDIR and PREFIX are honoured)
	@meson configure build --prefix=$(or $(PREFIX),/usr/local)
	@meson install -C build

dist: build                ## a release archive with install.sh in it, and its SHA-256, in dist/
	@tools/package dist build dist

deb: build                 ## the Debian package, in dist/
	@tools/deps build package
	@tools/package deb build dist

clean:                     ## remove what was built
	@rm -rf build build-asan build-installed build-fuzz dist

help:
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
	    printf '  make %-8s %s\n' "$$name" "$$text"; done
