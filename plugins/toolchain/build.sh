#!/usr/bin/env bash
# Builds every plugin and copies the finished components to target/plugins/NAME.wasm.
# Environment: GUEST_TOOLCHAIN, GUEST_SYSROOT, GUEST_TARGET_DIR (see guest-env.sh).
set -euo pipefail
# Cargo runs in plugins/, where .cargo/config.toml holds the guests' linker flags.
cd "$(dirname "$0")/.."
# shellcheck source=guest-env.sh
source toolchain/guest-env.sh

# Panic messages name source files: not by where this machine keeps its registry, so that a build has one digest everywhere.
cargo build --release --locked --target "$guest_target" \
  --config "target.$guest_target.rustflags=[\"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=registry\"]"

out=$guest_root/target/plugins
mkdir -p "$out/contract"
for component in "$CARGO_TARGET_DIR/$guest_target"/release/*.wasm; do
  name=${component##*/}
  # One for each version of the contract: for the tests, not for servers.
  if [[ $name =~ ^contract_([0-9]+)_([0-9]+)_([0-9]+)\.wasm$ ]]; then
    name=contract/${BASH_REMATCH[1]}.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}.wasm
  fi
  # Write, then rename: a host that loads plugins meanwhile sees the old file or the new one, never a part.
  cp "$component" "$out/$name.new"
  mv -f "$out/$name.new" "$out/$name"
  printf '%9d bytes  target/plugins/%s\n' "$(stat -c %s "$component")" "$name"
done
