#!/usr/bin/env bash
# Makes a Rust sysroot for WASI guests out of Debian bookworm's packages, for machines whose rustup cannot fetch targets.
#   usage: guest-sysroot.sh DIRECTORY [TARGET]        (TARGET: wasm32-wasip2, the default, or wasm32-wasip1)
# Then:    RUSTC=DIRECTORY/bin/rustc cargo build --release --target TARGET        (no -Z flags, no RUSTFLAGS)
# It takes the compiler and the standard library's source from Debian (rustc-web, rust-web-src), the C library from a newer
# suite of the machine's own mirror (fetched, not installed), and the linkers from the machine's rustup toolchain.
# Needs root only if one of the packages is missing. Does nothing if DIRECTORY is up to date.
set -euo pipefail

fail() { echo "guest-sysroot: $*" >&2; exit 1; }

dir=$(realpath -m "${1:?usage: guest-sysroot.sh DIRECTORY [TARGET]}")
target=${2:-wasm32-wasip2}
packages=(rustc-web rust-web-src wasi-libc)

# --- Debian's packages -------------------------------------------------------------------------------------------------------
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if ((${#missing[@]})); then
  [ "$(id -u)" = 0 ] || fail "install first: apt-get install --no-install-recommends ${missing[*]}"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

rustc=/usr/bin/rustc
[ -x "$rustc" ] || fail "no $rustc, although rustc-web is installed"
host=$("$rustc" -vV | sed -n 's/^host: //p')
version=$("$rustc" -vV | sed -n 's/^release: //p')
stamp="$version $target $(dpkg-query -W -f='${Version} ' "${packages[@]}")"
if [ "$(cat "$dir/.stamp-$target" 2>/dev/null)" = "$stamp" ]; then
  echo "guest sysroot is up to date: $stamp"
  exit 0
fi

# --- linkers: the rustup toolchain's -----------------------------------------------------------------------------------------
# Debian's own rustc must not be the one that is asked; rustup's comes first in PATH wherever rustup is set up.
tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
for tool in rust-lld wasm-component-ld; do
  [ -x "$tools/$tool" ] || fail "no $tool in $tools: a rustup toolchain must come before /usr/bin in PATH"
done
lib=$dir/lib/rustlib
mkdir -p "$dir/bin" "$lib/$host/bin" "$lib/$target/lib/self-contained"
ln -sfn "$("$rustc" --print sysroot)/lib/rustlib/$host/lib" "$lib/$host/lib"
for tool in rust-lld wasm-component-ld; do
  ln -sf "$tools/$tool" "$lib/$host/bin/$tool"
done
printf '#!/bin/sh\nexec %s --sysroot "%s" "$@"\n' "$rustc" "$dir" >"$dir/bin/rustc"
chmod +x "$dir/bin/rustc"

# --- C library ---------------------------------------------------------------------------------------------------------------
# std 1.96 wants pthread_create, _detach and _join, chmod, fchmod and realpath. Bookworm's wasi-libc (2022) has none of them and
# no wasip2, trixie's (2024) lacks the pthread ones, forky's (2026-04) has everything.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Unpacks wasi-libc of a suite into $work/unpacked, through an apt set-up of its own that knows nothing but that suite.
unpack_libc_of() {
  rm -rf "${work:?}"/*
  mkdir -p "$work"/{parts,lists/partial,archives/partial}
  awk 'BEGIN{RS="";ORS="\n\n"} !/-security/' /etc/apt/sources.list.d/debian.sources |
    sed -E "s/^Suites:.*/Suites: $1/" >"$work/parts/suite.sources"
  local options=(
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" -o Dir::State::lists="$work/lists"
    -o Dir::Cache::archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none
  )
  apt-get "${options[@]}" update -q >/dev/null 2>&1 &&
    (cd "$work" && apt-get "${options[@]}" download -q wasi-libc >/dev/null 2>&1 && dpkg-deb -x wasi-libc_*.deb unpacked)
}

self_contained=$lib/$target/lib/self-contained
libc=
for suite in ${GUEST_LIBC_SUITES:-forky trixie}; do
  unpack_libc_of "$suite" || continue
  for folder in "$target" wasm32-wasi; do
    [ "$folder" = "$target" ] || [ "$target" = wasm32-wasip1 ] || continue
    [ -e "$work/unpacked/usr/lib/$folder/libc.a" ] || continue
    cp "$work/unpacked/usr/lib/$folder"/{crt1-command.o,crt1-reactor.o,libc.a} "$self_contained/"
    libc="$suite $(cd "$work" && ls wasi-libc_*.deb)"
    break 2
  done
done
if [ -z "$libc" ]; then
  [ "$target" = wasm32-wasip1 ] || fail "no wasi-libc for $target in any of: ${GUEST_LIBC_SUITES:-forky trixie}"
  cp /usr/lib/wasm32-wasi/{crt1-command.o,crt1-reactor.o,libc.a} "$self_contained/"
  libc="the installed wasi-libc"
fi
echo "wasi-libc: $libc"

# --- standard library --------------------------------------------------------------------------------------------------------
build=$dir/build-$target
rm -rf "$build"
mkdir -p "$build/src"
: >"$build/src/lib.rs"
cat >"$build/Cargo.toml" <<'MANIFEST'
[package]
name = "empty"
version = "0.0.0"
edition = "2021"
[workspace]
[profile.release]
opt-level = "s"
panic = "abort"
codegen-units = 1
MANIFEST
# Only this one build needs unstable features: it makes what rustup would have fetched.
(cd "$build" && env -u RUSTC_WRAPPER -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTC="$rustc" CARGO_TARGET_DIR="$build/target" \
  RUSTFLAGS="-Cembed-bitcode=yes -Clink-self-contained=no" \
  cargo build -q --release --target "$target" -Zbuild-std=std,panic_abort)
find "$lib/$target/lib" -maxdepth 1 -name '*.rlib' -delete
for rlib in "$build/target/$target"/release/deps/*.rlib; do
  case $rlib in */libempty-*) ;; *) cp "$rlib" "$lib/$target/lib/" ;; esac
done
rm -rf "$build"

echo "$stamp" >"$dir/.stamp-$target"
echo "guest sysroot is ready: $stamp"
