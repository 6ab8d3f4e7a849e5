#!/usr/bin/env bash
# Brings the programs that tests of registries and signatures start into target/test-tools/bin: a real registry (docker-registry) and
# minisign, from Debian's packages, which are unpacked there and not installed. Nothing is done where they are there already.
#
# Where CI=true they must come; elsewhere it is said when they don't, and their tests say that they are left out.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$root/target/test-tools
packages=(docker-registry minisign libsodium23)
programs=(docker-registry minisign)

missing() {
  if [ "${CI:-}" = true ]; then
    echo "test-tools: $1" >&2
    exit 1
  fi
  echo "test-tools: LEFT OUT: $1"
  exit 0
}

is_there() {
  local program
  for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || [ -x "$dir/bin/$program" ] || return 1
  done
}

is_there && exit 0
command -v apt-get >/dev/null || missing "install ${programs[*]}: they come by themselves on Debian only"
rm -rf "$dir"
mkdir -p "$dir/packages" "$dir/bin"
download() { (cd "$dir/packages" && apt-get download -qq "${packages[@]}" 2>/dev/null); }
download || { apt-get update -qq >/dev/null 2>&1 && download; } || missing "apt-get can't download ${packages[*]}"
for package in "$dir"/packages/*.deb; do dpkg -x "$package" "$dir"; done
rm -rf "$dir/packages"
libraries=$(dirname "$(find "$dir/usr/lib" -name 'libsodium.so.*' -print -quit)")
for program in "${programs[@]}"; do
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$dir/usr/bin/$program" >"$dir/bin/$program"
  chmod +x "$dir/bin/$program"
done
is_there || missing "the packages ${packages[*]} lack ${programs[*]}"
echo "test-tools: ${programs[*]}"
