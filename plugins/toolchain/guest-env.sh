# Sourced by build.sh, in plugins/: finds a compiler for guests and exports what cargo needs. Bash.
# shellcheck shell=bash
#
# GUEST_TOOLCHAIN chooses it:
#   rustup   the machine's toolchain, whose wasm32-wasip2 target is added if it is missing
#   debian   a sysroot made from Debian's packages by guest-sysroot.sh, in GUEST_SYSROOT (default: target/guest-sysroot)
#   auto     the machine's toolchain if it has the target; else rustup if it can add it; else Debian. The default.

guest_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
guest_target=wasm32-wasip2

guest_target_installed() {
  local libdir
  libdir=$(rustc --print target-libdir --target "$guest_target" 2>/dev/null) || return 1
  compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

guest_on_debian() { [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

guest_use_debian() {
  guest_on_debian || { echo "GUEST_TOOLCHAIN=debian needs Debian 12" >&2; return 1; }
  local sysroot=${GUEST_SYSROOT:-$guest_root/target/guest-sysroot}
  "$guest_root/plugins/toolchain/guest-sysroot.sh" "$sysroot" "$guest_target"
  RUSTC=$(realpath "$sysroot")/bin/rustc
  export RUSTC
  echo "guest toolchain: Debian's rustc"
}

guest_use_rustup() {
  guest_target_installed || rustup target add "$guest_target" || return 1
  echo "guest toolchain: rustup's $guest_target"
}

guest_nothing_left() {
  cat >&2 <<TEXT
No compiler for $guest_target. Do one of:
  rustup target add $guest_target                     (any system with rustup and access to its servers)
  apt-get install rustc-web rust-web-src wasi-libc      (Debian 12, as root), then again with GUEST_TOOLCHAIN=debian
TEXT
  return 1
}

guest_select_toolchain() {
  case ${GUEST_TOOLCHAIN:-auto} in
    rustup) guest_use_rustup || guest_nothing_left ;;
    debian) guest_use_debian ;;
    auto)
      if guest_target_installed || { command -v rustup >/dev/null && rustup target add "$guest_target"; }; then
        echo "guest toolchain: rustup's $guest_target"
      elif guest_on_debian; then
        guest_use_debian
      else
        guest_nothing_left
      fi
      ;;
    *)
      echo "GUEST_TOOLCHAIN is '$GUEST_TOOLCHAIN': choose auto, rustup or debian" >&2
      return 1
      ;;
  esac
}

guest_select_toolchain
# A target directory of its own: another compiler than the host's, and no lock that a running host build holds.
export CARGO_TARGET_DIR=${GUEST_TARGET_DIR:-$guest_root/target/guests}
# Flags of the environment would replace those of plugins/.cargo/config.toml, the stack's size among them.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS
