# The tests and the demo set up what they need by themselves: Debian 12, Rust, gcc, make and git.
export LC_ALL := C.UTF-8

.PHONY: help setup demo demo-svg test test-long test-next test-newest test-arm test-reproducible test-package sanitize sanitize-vm fuzz soak bench package lint

help:
	@echo "make demo        the article's service under a throwaway systemd, to watch (root or sudo)"
	@echo "make demo-svg    docs/demo.svg, the picture in the README"
	@echo "make test        the tests; the live ones against a real systemd (root or sudo)"
	@echo "make test-long   those that take long: floods, load, many restarts, projects that depend on this one"
	@echo "make test-package  the package on Debian 12 without Rust, whose root it makes in ~/.cache (root or sudo)"
	@echo "make test-next   all but those of the core on Debian 13, whose root it makes there too (root or sudo)"
	@echo "make test-newest the same on Debian sid, before every release"
	@echo "make test-arm    the application on Debian 13 for arm64, by QEMU, with the library of a package (root or sudo)"
	@echo "make test-reproducible  two packages from two folders, which have to be the same"
	@echo "make sanitize    the tests of the Rust core under the thread sanitizer"
	@echo "make sanitize-vm the tests in tests/erlang, the library in their VM under the address sanitizer"
	@echo "make fuzz        the protocols of the core, each for FUZZ_SECONDS (600), two at a time on two cores"
	@echo "make soak        a service under everything at once, for SOAK_SECONDS (300) after 120 (root or sudo)"
	@echo "make bench       beside the hex package and beside C, a table and a plot (root or sudo)"
	@echo "make package     the package as it is published, with the native library for TARGETS, or for all"
	@echo "make lint        formatters, clippy, compiler warnings, Dialyzer, documentation"

setup:
	@tests/setup

demo: setup
	@cd examples/hello && MIX_ENV=prod mix release --overwrite --quiet
	@tests/as_root examples/hello/demo || \
		{ test $$? = 77 && echo "demo: a systemd of its own needs root, or sudo" && exit 1; }

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

# BENCH="--check --rounds 5" fails when a bar is missed.
bench:
	@tests/setup gnuplot-nox gnuplot
	@rebar3 compile
	@tests/in_lab bench mix run -e 'Bench.main(System.argv())' -- $(BENCH)

lint: setup
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
