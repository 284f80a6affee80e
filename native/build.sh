#!/bin/sh
# Puts the native library into priv/. Mix and rebar3 both run this. It uses the first of these that is available: the
# file in SYSTEMD_NIF_PATH, the package's prebuilt library, a library that cargo builds.
set -eu
cd "$(dirname "$0")/.."

# A cross build sets TARGET_OS, TARGET_ARCH and TARGET_ABI: the names are those of Nerves and rustler_precompiled.
os=${TARGET_OS:-$(uname -s | tr A-Z a-z)}

# On other systems the application does nothing, and needs no native library.
[ "$os" = linux ] || exit 0

# Renames the file into place, because a running VM may have the old one mapped.
use() {
    if ! cmp -s "$1" priv/systemd_nif.so; then
        mkdir -p priv
        cp "$1" "priv/systemd_nif.so.$$"
        mv "priv/systemd_nif.so.$$" priv/systemd_nif.so
    fi
    exit 0
}

if [ -n "${SYSTEMD_NIF_PATH-}" ]; then
    [ ! -f "$SYSTEMD_NIF_PATH" ] || use "$SYSTEMD_NIF_PATH"
    echo "systemd: SYSTEMD_NIF_PATH is $SYSTEMD_NIF_PATH, but that file does not exist. It must be an absolute path." >&2
    exit 1
fi

version=$(sed -n 's/.*{vsn, "\(.*\)"}.*/\1/p' erlang/systemd.app.src)

libc() {
    case $(getconf GNU_LIBC_VERSION 2>&1; ldd --version 2>&1) in
        *musl*) echo musl ;;
        *glibc* | *GLIBC* | *"GNU libc"*) echo gnu ;;
        *)  # Small images have neither program.
            if ls /lib/ld-musl-*.so.1; then echo musl
            elif ls /lib*/ld-linux*.so.*; then echo gnu
            else echo unknown
            fi 2>/dev/null | tail -n 1 ;;
    esac
}

# uname reports the machine of the kernel. A 32-bit system on a 64-bit kernel gets a suffix, so that it matches no
# 64-bit library.
machine() {
    [ "$(getconf LONG_BIT 2>/dev/null)" != 32 ] || bits=.32
    echo "$(uname -m)${bits-}"
}

cross=
if [ -n "${TARGET_ARCH-}${TARGET_ABI-}" ]; then
    target=${TARGET_ARCH:-$(machine)}-unknown-linux-${TARGET_ABI:-$(libc)}
    cross="--target $target"
else
    target=${CARGO_BUILD_TARGET:-$(machine)-unknown-linux-$(libc)}
fi
prebuilt=$target/systemd_nif-$version.so

# Prints why the prebuilt library can't be used, or nothing if it can.
misfit() {
    if ! cd native/prebuilt 2>/dev/null; then
        echo "this is a source checkout, which has no prebuilt libraries."
    elif [ ! -d "$target" ]; then
        echo "the package has no library for $target, only for $(echo *-linux-*)."
    elif [ ! -f "$prebuilt" ]; then
        echo "the package is version $version, but contains $(echo "$target"/*). Download it again."
    elif ! grep -F "  $prebuilt" SHA256SUMS | sha256sum -c >/dev/null 2>&1; then
        echo "native/prebuilt/$prebuilt does not match native/prebuilt/SHA256SUMS. Download the package again."
    fi
}

misfit=$(misfit)
[ -n "$misfit" ] || use "native/prebuilt/$prebuilt"

if command -v cargo >/dev/null; then
    [ ! -d native/prebuilt ] || echo "systemd: cargo builds the native library, because $misfit" >&2
    # On musl, Rust links the C library statically by default, and then it can't build a shared library.
    case $target in *musl*) export RUSTFLAGS="${RUSTFLAGS-} -C target-feature=-crt-static" ;; esac
    # cargo prints the library's path, because that depends on the target in cargo's configuration.
    if built=$(cargo build --quiet --release --locked --package systemd_nif $cross \
        --target-dir "${CARGO_TARGET_DIR:-target}" --message-format json-render-diagnostics); then
        built=$(printf '%s\n' "$built" | sed -n 's|.*"\([^"]*/libsystemd_nif\.so\)".*|\1|p' | tail -n 1)
        [ -z "$built" ] || use "$built"
    fi
    build="cargo failed, see above. It needs Rust 1.91 or later and a C linker."
else
    build="there is no cargo in PATH. Install Rust 1.91 or later, see https://rustup.rs."
fi

cat >&2 <<TEXT
systemd: no library is named: SYSTEMD_NIF_PATH is not set. Set it to the absolute path of a library.
systemd: no library is prebuilt: $misfit
systemd: no library can be built: $build
TEXT
exit 1
