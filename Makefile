# The tests and the demo set up what they need by themselves: Debian 12, Rust, gcc, make and git.
export LC_ALL := C.UTF-8

.PHONY: help setup demo test test-next sanitize lint

help:
	@echo "make demo        the article's service under a throwaway systemd, to watch (root or sudo)"
	@echo "make test        all tests; the live ones against a real systemd (root or sudo)"
	@echo "make test-next   the live ones on Debian 13, whose root it makes in ~/.cache (root or sudo)"
	@echo "make sanitize    the tests of the Rust core under the thread sanitizer"
	@echo "make lint        formatters, clippy, compiler warnings, Dialyzer, documentation"

setup:
	@tests/setup

demo: setup
	@cd examples/hello && MIX_ENV=prod mix release --overwrite --quiet
	@tests/as_root examples/hello/demo || \
		{ test $$? = 77 && echo "demo: a systemd of its own needs root, or sudo" && exit 1; }

test: setup
	@tests/run

test-next: setup
	@tests/run next

sanitize: setup
	@tests/run sanitize

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
	mix format --check-formatted
	MIX_ENV=lint mix compile --force --warnings-as-errors
	rebar3 as test compile
	rebar3 dialyzer
	rebar3 edoc
