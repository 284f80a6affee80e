# Needs Debian 12, Rust, gcc, make and git. The tests and the demo run `make setup`, which installs the rest.
export LC_ALL := C.UTF-8

.PHONY: help setup demo demo-svg test test-long test-next test-newest test-arm test-reproducible test-package sanitize sanitize-vm fuzz soak bench package lint

help:
	@echo "make demo        runs the service of examples/hello under a temporary systemd (root or sudo)"
	@echo "make demo-svg    makes docs/demo.svg, the picture of the demo's terminal (root or sudo)"
	@echo "make test        the tests; the live tests run under a real systemd (root or sudo)"
	@echo "make test-long   the tests that take long: floods, load, many restarts, projects that depend on this one"
	@echo "make test-package  the tests of the package, on a Debian 12 without Rust in ~/.cache (root or sudo)"
	@echo "make test-next   all tests except those of the core, on a Debian 13 in ~/.cache (root or sudo)"
	@echo "make test-newest the same on Debian sid; run it before every release"
	@echo "make test-arm    the tests of the application, on a Debian 13 for arm64 with QEMU (root or sudo)"
	@echo "make test-reproducible  builds the package in two folders, and fails if the results differ"
	@echo "make sanitize    the tests of the Rust core under the thread sanitizer"
	@echo "make sanitize-vm the tests in tests/erlang, with the library under the address sanitizer"
	@echo "make fuzz        fuzzes each protocol of the core for FUZZ_SECONDS (600), two at a time on two cores"
	@echo "make soak        runs a service under all loads at once, for SOAK_SECONDS (300) after 120 s (root or sudo)"
	@echo "make bench       compares this library with the hex package and with C: a table and plots (root or sudo)"
	@echo "make bench BENCH=quick   the same for the hot paths only, in a minute"
	@echo "make package     builds the package, with the native library for TARGETS, or for all targets"
	@echo "make lint        formatters, clippy, compiler warnings, Dialyzer, documentation, spelling"

setup:
	@tests/setup

demo: setup
	@cd examples/hello && MIX_ENV=prod mix release --overwrite --quiet
	@tests/as_root examples/hello/demo || \
		{ test $$? = 77 && echo "demo: booting a systemd needs root, or sudo" && exit 1; }

demo-svg: setup
	@tests/setup virtualenv virtualenv
	@tests/demo_svg >docs/demo.svg

test: setup
	@tests/run

test-long: setup
	@tests/run long

test-package: setup
	@tests/setup virtualenv virtualenv
	@tests/run package

test-next: setup
	@tests/setup virtualenv virtualenv
	@tests/run next

test-newest: setup
	@tests/setup virtualenv virtualenv
	@tests/run newest

test-reproducible:
	@tests/setup virtualenv virtualenv
	@tests/reproducible

test-arm: setup
	@tests/setup virtualenv virtualenv
	@tests/run arm

sanitize: setup
	@tests/run sanitize

sanitize-vm: setup
	@tests/run sanitize_vm

fuzz: setup
	@tests/fuzz/run $(or $(FUZZ_SECONDS),600)

soak: setup
	@rebar3 compile
	@tests/in_lab soak env SOAK_SECONDS=$(or $(SOAK_SECONDS),300) mix test

package:
	@tests/setup virtualenv virtualenv
	@native/package.sh $(TARGETS)

# BENCH="--check --rounds 5" fails if a limit is missed.
bench:
	@tests/setup gnuplot-nox gnuplot
	@rebar3 compile
	@tests/in_lab bench mix run -e 'Bench.main(System.argv())' -- $(BENCH)

lint: setup
	@tests/setup codespell codespell
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
	mix format --check-formatted
	MIX_ENV=lint mix compile --force --warnings-as-errors
	rebar3 as test compile
	rebar3 dialyzer
	tests/dialyzer
	rebar3 edoc
	tests/words
