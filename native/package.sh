#!/bin/bash
# Makes the package as it is published: _build/package/systemd-VERSION, with a native library for each TARGET, and
# the same as a .tar.gz. package.sh [TARGET...]
#
# Zig links for any machine, and for glibc 2.17. Rust's own library is built for it as well, small, and without what prints
# backtraces, which would be half of the size, and places in the source.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! rustup component add rust-src >/dev/null 2>&1; then
    echo "package: rustup can't install the source of Rust's library" >&2
    exit 1
fi
if ! [ -x _build/zig/bin/cargo-zigbuild ]; then
    echo "package: installing cargo-zigbuild into _build/zig" >&2
    virtualenv --quiet _build/zig
    _build/zig/bin/pip install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
fi

# What a stable compiler takes with RUSTC_BOOTSTRAP only: -Zbuild-std.
build() {
    local flags=-Zlocation-detail=none with_libc=$1
    case $1 in
        *-musl) flags+=' -Ctarget-feature=-crt-static' ;;
        *-gnu) with_libc=$1.2.17 ;;
    esac
    PATH=$PWD/_build/zig/bin:$PATH RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" \
        cargo zigbuild --quiet --release --locked --package systemd_nif --target "$with_libc" \
        -Zbuild-std=std,panic_unwind -Zbuild-std-features=optimize_for_size --target-dir target/package
}

[ $# -gt 0 ] || set -- {x86_64,aarch64}-unknown-linux-{gnu,musl}
version=$(sed -n 's/.*{vsn, "\(.*\)"}.*/\1/p' erlang/systemd.app.src)
package=_build/package/systemd-$version
rm -rf "$package" "$package.tar.gz"
mkdir -p "$package/priv/native"
mix compile
cp -R --parents doc/chunks "$package"
mix run --no-compile --no-start -e 'Enum.each(Mix.Project.config()[:package][:files], &IO.puts/1)' |
    xargs git ls-files -z -- | xargs -0 cp --parents -t "$package"
for target in "$@"; do
    echo "package: $target" >&2
    build "$target"
    mkdir "$package/priv/native/$target"
    cp "target/package/$target/release/libsystemd_nif.so" "$package/priv/native/$target/systemd_nif-$version.so"
done
(cd "$package/priv/native" && sha256sum */*.so >SHA256SUMS)
tar -czf "$package.tar.gz" -C _build/package "systemd-$version"
ls -l "$package"/priv/native/*/*.so
