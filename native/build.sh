#!/bin/sh
# Builds the native library into priv/. Mix and rebar3 both come here.
set -eu
cd "$(dirname "$0")/.."

# Elsewhere the library does nothing, and needs no native part to do it.
[ "$(uname -s)" = Linux ] || exit 0

if ! command -v cargo >/dev/null; then
    cat >&2 <<'TEXT'
systemd: the native library can't be built: there is no cargo in PATH.
Install Rust 1.91 or later (https://rustup.rs), on the machine that builds the release;
the machine that runs it needs none.
TEXT
    exit 1
fi

target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --locked --package systemd_nif --target-dir "$target"

# Renamed into place, because a running VM may have the old one mapped.
built=$target/release/libsystemd_nif.so
if ! cmp -s "$built" priv/systemd_nif.so; then
    mkdir -p priv
    cp "$built" "priv/systemd_nif.so.$$"
    mv "priv/systemd_nif.so.$$" priv/systemd_nif.so
fi
