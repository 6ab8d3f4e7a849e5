#!/usr/bin/env bash
# Brings the programs that tests of registries and signatures start into target/test-tools/bin: a real registry (docker-registry),
# minisign and skopeo from Debian's packages, which are unpacked there and not installed, and wkg, which is built (about two minutes on
# two cores). Nothing is done where they are there already.
#
# Where CI=true they must come; elsewhere it is said when they don't, and their tests say that they are left out.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$root/target/test-tools
# Each with the libraries that a small machine lacks.
packages=(docker-registry minisign libsodium23 skopeo libgpgme11 libassuan0 libdevmapper1.02.1)
programs=(docker-registry minisign skopeo)
wkg=0.16.1

missing() {
  echo "test-tools: LEFT OUT: $1" >&2
  [ "${CI:-}" != true ]
}

is_there() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || [ -x "$dir/bin/$program" ] || return 1
  done
}

from_debian() {
  command -v apt-get >/dev/null || { missing "install ${programs[*]}: they come by themselves on Debian only"; return; }
  rm -rf "$dir/debian"
  mkdir -p "$dir/debian/packages" "$dir/bin"
  download() { (cd "$dir/debian/packages" && apt-get download -qq "${packages[@]}" 2>/dev/null); }
  download || { apt-get update -qq >/dev/null 2>&1 && download; } || { missing "apt-get can't download ${packages[*]}"; return; }
  local package program libraries
  for package in "$dir"/debian/packages/*.deb; do dpkg -x "$package" "$dir/debian"; done
  rm -rf "$dir/debian/packages"
  libraries=$(find "$dir/debian" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
  for program in "${programs[@]}"; do
    rm -f "$dir/bin/$program"
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$dir/debian/usr/bin/$program" >"$dir/bin/$program"
    chmod +x "$dir/bin/$program"
  done
  is_there "${programs[@]}" || missing "the packages ${packages[*]} lack ${programs[*]}"
}

# Unoptimised: it moves some files, and is built in half the time.
from_crates() {
  CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --locked --debug --no-default-features --root "$dir" \
    --target-dir "$dir/build" wkg --version "=$wkg" || missing "cargo can't install wkg $wkg"
  rm -rf "$dir/build"
}

is_there "${programs[@]}" || from_debian
is_there wkg || from_crates
echo "test-tools: ${programs[*]} wkg"
