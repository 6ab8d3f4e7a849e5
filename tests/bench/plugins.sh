#!/usr/bin/env bash
# Measures one plugin per language with `bulkhead plugin bench` and prints a table in Markdown.
#   usage: plugins.sh [LANGUAGE]…        (all of them by default)
# The task is the smallest that a plugin has: an empty piece of a file, which it finds, counts, logs and answers with a count. Each
# plugin is measured RUNS times, and of each figure the least is shown: what others do on the machine makes figures larger, never
# smaller. A language that fails is told with what its command said, the others go on, and the exit status is 1.
# Environment: BULKHEAD_BIN (target/debug/bulkhead), RUNS (3), TASKS (500).
set -euo pipefail
cd "$(dirname "$0")/../.."
bulkhead=${BULKHEAD_BIN:-target/debug/bulkhead}
runs=${RUNS:-3} tasks=${TASKS:-500}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
empty=$work/empty
: >"$empty"

declare -A names=([assemblyscript]=AssemblyScript [c]=C [go]=Go [javascript]=JavaScript [python]=Python [rust]=Rust
  [typescript]=TypeScript [zig]=Zig)

# One line of JSON for each run of one plugin, in $work/samples.
measure() {
  local file=target/plugins/languages/$1.wasm
  local args=(--file "text=$empty" --input '{"from": 0, "to": 0}')
  if [ "$1" = rust ]; then file=target/plugins/rust.wasm; fi
  if [ ! -e "$file" ]; then
    echo "$1: $file is missing: run \`make plugins languages\`" >&2
    return 1
  fi
  : >"$work/samples"
  for ((run = 1; run <= runs; run++)); do
    local status=0
    "$bulkhead" plugin bench "$file" "${args[@]}" --tasks "$tasks" --json >"$work/said" 2>"$work/errors" || status=$?
    if [ "$status" -ne 0 ]; then
      echo "$1: run $run of \`$bulkhead plugin bench $file\` ended with $status and said:" >&2
      cat "$work/errors" "$work/said" >&2
      return 1
    fi
    cat "$work/said" >>"$work/samples"
  done
}

echo "| language | size | cold: compiled | warm: compiled before | a task, processor time | memory of an instance |"
echo "|---|---:|---:|---:|---:|---:|"
if [ $# -eq 0 ]; then set -- rust c zig assemblyscript go javascript typescript python; fi
failed=()
for name in "$@"; do
  if [ -z "${names[$name]:-}" ]; then
    echo "there is no $name: choose from ${!names[*]}" >&2
    exit 2
  fi
  if ! measure "$name"; then
    failed+=("$name")
    continue
  fi
  awk -v name="${names[$name]}" '
    # The least of the figures with this path so far, such as `cpu_us.p50`.
    function least(path, parts, text, value) {
      text = $0
      if (split(path, parts, ".") == 2) { text = substr(text, index(text, "\"" parts[1] "\":")); path = parts[2] }
      if (!match(text, "\"" path "\":[0-9]+")) { print "there is no `" path "` in " $0 >"/dev/stderr"; failed = 1; exit 1 }
      value = substr(text, RSTART, RLENGTH); sub(/.*:/, "", value)
      return value + 0
    }
    function keep(path, value) { value = least(path); if (!(path in kept) || value < kept[path]) kept[path] = value }
    function bytes(n) { return n < 1048576 ? sprintf("%d KiB", n / 1024 + 0.5) : sprintf("%.1f MiB", n / 1048576) }
    function time(us) { return us < 1000 ? us " µs" : us < 1000000 ? sprintf("%.1f ms", us / 1000) : sprintf("%.1f s", us / 1000000) }
    { keep("size_bytes"); keep("cold_us"); keep("warm_us"); keep("cpu_us.p50"); keep("peak_memory_bytes") }
    END {
      if (failed) exit 1
      printf "| %s | %s | %s | %s | %s | %s |\n", name, bytes(kept["size_bytes"]), time(kept["cold_us"]), time(kept["warm_us"]), \
        time(kept["cpu_us.p50"]), bytes(kept["peak_memory_bytes"])
    }' "$work/samples" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "not measured: ${failed[*]} (the reasons are above)" >&2
  exit 1
fi
