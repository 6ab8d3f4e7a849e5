#!/usr/bin/env bash
# Refreshes plugins/sdk/src/bindings.rs after a change of wit/.
#   usage: gen-bindings.sh [--check]
# With --check it changes nothing and fails if the checked-in file is not what wit/ gives. Needs no wasm target: the generator
# runs on this machine, with the machine's own compiler.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
wit=$root/wit/0.1.0
bindings=$root/plugins/sdk/src/bindings.rs

fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
(cd "$root/plugins" && CARGO_TARGET_DIR=${BINDGEN_TARGET_DIR:-$root/target/plugins-host} \
  cargo run --quiet --locked --package bulkhead-bindgen -- "$wit" "$fresh")

if [ "${1:-}" = --check ]; then
  if ! diff -u "$bindings" "$fresh"; then
    echo "plugins/sdk/src/bindings.rs is not what wit/ gives: run 'make bindings'" >&2
    exit 1
  fi
  echo "bindings are fresh"
else
  install -m 644 "$fresh" "$bindings"
  echo "wrote ${bindings#"$root"/}"
fi
