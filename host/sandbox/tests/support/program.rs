//! Small WASI programs, written by hand against the older WASI, as compilers for `wasm32-wasip1` write them.

use bytes::Bytes;

use super::component::assemble;

/// Copies standard input to standard output and ends with `status`, by returning from `_start` where that is 0.
pub(crate) fn copy(status: u8) -> Bytes {
    program(&format!(
        r#"
  (func (export "_start")
    (local $got i32)
    (loop $more
      ;; One buffer at 1024, described at 0.
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 60000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $got (i32.load (i32.const 8)))
      (call $write (i32.const 1) (i32.const 1024) (local.get $got))
      (br_if $more (local.get $got)))
    (if (i32.const {status}) (then (call $proc_exit (i32.const {status})))))"#
    ))
}

/// Writes its arguments and its environment to standard output, each ended by a zero byte.
pub(crate) fn arguments() -> Bytes {
    program(
        r#"
  (func (export "_start")
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 1024) (i32.const 4096)))
    (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 4)))
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 1024) (i32.const 4096)))
    (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 4))))"#,
    )
}

/// Says something on standard error and ends with a status.
pub(crate) fn failing(words: &str, status: u8) -> Bytes {
    program(&format!(
        r#"
  (data (i32.const 1024) "{words}")
  (func (export "_start")
    (call $write (i32.const 2) (i32.const 1024) (i32.const {}))
    (call $proc_exit (i32.const {status})))"#,
        words.replace("\\n", "\n").len()
    ))
}

/// Does nothing but `body`.
pub(crate) fn doing(body: &str) -> Bytes {
    program(&format!("(func (export \"_start\") {body})"))
}

fn program(items: &str) -> Bytes {
    assemble(&format!(
        r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (func $write (param $fd i32) (param $from i32) (param $len i32)
    (loop $more
      (if (i32.eqz (local.get $len)) (then (return)))
      (i32.store (i32.const 16) (local.get $from))
      (i32.store (i32.const 20) (local.get $len))
      (if (call $fd_write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))
      (local.set $from (i32.add (local.get $from) (i32.load (i32.const 24))))
      (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 24))))
      (br $more)))
{items})"#
    ))
}
