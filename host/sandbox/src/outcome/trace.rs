//! What a guest's stack tells.

use std::collections::HashMap;

use wasmtime::{Error, WasmBacktrace};

/// The longest backtrace that is kept, in bytes.
const MAX_LEN: usize = 8 << 10;

/// Addresses from here on are below zero for a stack pointer that counts down: 64 MiB of frames.
const BELOW_ZERO: u64 = (1 << 32) - (64 << 20);

/// The same function so often on the stack is recursion, where the address already speaks of an overflow.
const SOME_RECURSION: usize = 3;
/// The same function so often is deep recursion.
const DEEP_RECURSION: usize = 16;

/// The guest's frames, the innermost first, one a line: number, offset in the module, module and function.
pub(super) fn text(trace: &WasmBacktrace) -> String {
    let full = trace.to_string();
    let mut text = String::new();
    for line in full.lines().skip(1).map(str::trim) {
        if text.len() + line.len() >= MAX_LEN {
            text.push('…');
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// Whether an access out of bounds is really an overflow of the stack that Rust, C and Zig keep in linear memory.
///
/// That stack lies at the memory's very start and grows down, so what overflows it wraps round to the end of the 32-bit
/// address space. A wild pointer may point there, too; but it does not come with a function that calls itself.
pub(super) fn is_shadow_stack_overflow(error: &Error) -> bool {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return false };
    let mut calls = HashMap::new();
    let mut recursion = 0;
    for frame in trace.frames() {
        let count = calls.entry((frame.module().name(), frame.func_index())).or_insert(0);
        *count += 1;
        recursion = recursion.max(*count);
    }
    match fault_address(error) {
        Some(address) => address >= BELOW_ZERO && recursion >= SOME_RECURSION,
        // `memory.fill` and `memory.copy` name no address.
        None => recursion >= DEEP_RECURSION,
    }
}

/// What wasmtime says of a memory fault: the address, and the memory's size.
pub(super) fn fault(error: &Error) -> Option<String> {
    error.chain().map(ToString::to_string).find(|text| text.starts_with("memory fault at wasm address 0x"))
}

fn fault_address(error: &Error) -> Option<u64> {
    let fault = fault(error)?;
    let digits = fault.split_once("0x")?.1.split(' ').next()?;
    u64::from_str_radix(digits, 16).ok()
}
