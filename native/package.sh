#!/bin/bash
# Builds the package for publication: _build/package/systemd-VERSION, with a native library for each TARGET, and the
# same as a .tar.gz. Usage: package.sh [TARGET...]
#
# The result is the same on any machine and in any folder. It contains no paths of them, and its files have the time
# SOURCE_DATE_EPOCH, or the time of the last commit.
#
# Zig links for any machine, and for glibc 2.17. Rust's standard library is built too: optimized for size, without the
# code that prints backtraces, which would be half of the size, and without source locations.
set -euo pipefail
cd "$(dirname "$0")/.."

# This is not in a rust-toolchain.toml, because that would also apply to users who build this project as a dependency.
export RUSTUP_TOOLCHAIN=1.95.0
if ! rustup toolchain install "$RUSTUP_TOOLCHAIN" --profile minimal --component rust-src --no-self-update >/dev/null 2>&1; then
    echo "package: rustup can't install Rust $RUSTUP_TOOLCHAIN with the source of its standard library (rust-src)" >&2
    exit 1
fi
if ! [ -x _build/zig/bin/cargo-zigbuild ]; then
    echo "package: installing cargo-zigbuild into _build/zig" >&2
    virtualenv --quiet _build/zig
    _build/zig/bin/pip install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
fi

# A stable compiler accepts -Zbuild-std only with RUSTC_BOOTSTRAP.
build() {
    local flags=-Zlocation-detail=none with_libc=$1
    flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$(rustc --print sysroot)=/rust"
    # Frame pointers shorten the unwind tables by more than they add to the code.
    flags+=" --remap-path-prefix=$PWD=/systemd -Cforce-frame-pointers=yes"
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
mkdir -p "$package/native/prebuilt"
mix compile
cp -R --parents doc/chunks "$package"
mix run --no-compile --no-start -e 'Enum.each(Mix.Project.config()[:package][:files], &IO.puts/1)' |
    xargs git ls-files -z -- | xargs -0 cp --parents -t "$package"
for target in "$@"; do
    echo "package: $target" >&2
    build "$target"
    mkdir "$package/native/prebuilt/$target"
    cp "target/package/$target/release/libsystemd_nif.so" "$package/native/prebuilt/$target/systemd_nif-$version.so"
done
(cd "$package/native/prebuilt" && sha256sum */*.so >SHA256SUMS)
tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" -C _build/package -c "systemd-$version" |
    gzip -n >"$package.tar.gz"
(cd _build/package && sha256sum "systemd-$version.tar.gz" >"systemd-$version.tar.gz.sha256")
ls -l "$package"/native/prebuilt/*/*.so
