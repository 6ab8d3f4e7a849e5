//! Faults of the machine: traps, loops, stacks, memory, and text that is none.

#![expect(unsafe_code, reason = "faults that safe code cannot commit")]
// On the machine that runs lints and tests there is no wasm: what is wrong there stays unbuilt or never runs.
#![cfg_attr(not(target_arch = "wasm32"), allow(unreachable_code, reason = "stands in for wasm instructions"))]

use std::hint::black_box;
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use bulkhead_plugin::bindings::bulkhead::plugin::log;
use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;

use crate::allocator;

/// Instructions that Rust does not emit; `build.rs` writes them.
#[cfg(target_arch = "wasm32")]
mod instructions {
    unsafe extern "C" {
        /// `i32.div_s`.
        pub(super) safe fn misbehave_divide(dividend: i32, divisor: i32) -> i32;
        /// `table.grow` of the function table with null: the old size, or -1.
        pub(super) safe fn misbehave_grow_table(elements: u32) -> i32;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod instructions {
    pub(super) fn misbehave_divide(dividend: i32, divisor: i32) -> i32 {
        dividend / divisor
    }

    pub(super) fn misbehave_grow_table(_elements: u32) -> i32 {
        -1
    }
}

pub(crate) fn unreachable() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

pub(crate) fn out_of_bounds() -> Result<Value, Error> {
    let behind_the_end = black_box(0xFFFF_FF00_usize) as *const u8;
    // SAFETY: none. The address is outside of any memory that a host grants, and reading there traps.
    let byte = unsafe { behind_the_end.read_volatile() };
    Ok(json!({ "read": byte }))
}

pub(crate) fn divide_by_zero() -> Result<Value, Error> {
    Ok(json!(instructions::misbehave_divide(black_box(1), black_box(0))))
}

pub(crate) fn float_to_integer() -> Result<Value, Error> {
    // SAFETY: none. NaN is no integer, and converting it traps.
    let number: i32 = unsafe { black_box(f32::NAN).to_int_unchecked() };
    Ok(json!(black_box(number)))
}

pub(crate) fn null_function() -> Result<Value, Error> {
    // SAFETY: none. The function table's element 0 is null, and calling it traps.
    let function: extern "C" fn() -> u32 = unsafe { mem::transmute(black_box(0_usize)) };
    Ok(json!(function()))
}

pub(crate) fn wrong_function() -> Result<Value, Error> {
    extern "C" fn one_parameter(number: u32) -> u32 {
        black_box(number)
    }
    let right: extern "C" fn(u32) -> u32 = black_box(one_parameter);
    // SAFETY: none. The type is another, and calling it traps.
    let wrong: extern "C" fn(f64, f64) -> f64 = unsafe { mem::transmute(right) };
    Ok(json!(wrong(1.0, 2.0)))
}

pub(crate) fn endless_loop() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

pub(crate) fn endless_loop_in_host_call() -> Result<Value, Error> {
    checkpoint::save_bytes(b"bait")?;
    allocator::arm();
    // The host allocates room for what it returns: there it never gets out of.
    let bait = checkpoint::load_bytes()?;
    Ok(json!({ "got": bait.map(|bytes| bytes.len()) }))
}

pub(crate) fn memory_hog() -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(vec![black_box(0xA5); 1 << 20]);
        black_box(&hoard);
    }
}

pub(crate) fn gigantic_allocation() -> Result<Value, Error> {
    let memory = vec![black_box(1_u8); 1 << 30];
    Ok(json!({ "got": black_box(&memory).len() }))
}

#[expect(unconditional_recursion, reason = "the fault")]
pub(crate) fn stack_overflow() -> Result<Value, Error> {
    // An array that is pointed to lives on the shadow stack.
    fn descend(depth: u64) -> u64 {
        let mut frame = [depth; 32];
        black_box(&mut frame);
        frame[0] + descend(depth + 1)
    }
    Ok(json!(descend(black_box(0))))
}

pub(crate) fn native_stack_overflow() -> Result<Value, Error> {
    static BOTTOM: AtomicU32 = AtomicU32::new(u32::MAX);
    // Nothing here has an address, so all of it lives in locals; the rotation keeps the compiler from making it a loop.
    #[inline(never)]
    fn descend(depth: u32) -> u32 {
        if depth == BOTTOM.load(Ordering::Relaxed) { depth } else { descend(depth + 1).rotate_left(1) ^ depth }
    }
    Ok(json!(descend(black_box(0))))
}

pub(crate) fn table_growth() -> ! {
    let mut grown: u64 = 0;
    loop {
        // Refused memory ends in a panic of Rust's own; so does this.
        assert!(instructions::misbehave_grow_table(1_000) >= 0, "the function table grew by {grown} elements, and no further");
        grown += 1_000;
    }
}

/// Uses a capability that no definition grants.
pub(crate) fn network() -> Result<Value, Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let connection = TcpStream::connect(address)?;
    Ok(json!({ "connected": connection.peer_addr()?.to_string() }))
}

pub(crate) fn invalid_utf8() -> Result<Value, Error> {
    let bytes = black_box(b"half a letter: \xC3(, none at all: \xFF".as_slice());
    // SAFETY: none. The host must check, and does not take it.
    log::write(log::Level::Info, unsafe { std::str::from_utf8_unchecked(bytes) }, "");
    Ok(json!("the host took a text that is not UTF-8"))
}

pub(crate) fn invalid_fields() -> Result<Value, Error> {
    log::write(log::Level::Info, "a line with fields that are no JSON", r#"{"open": "#);
    log::write(log::Level::Info, "a line with fields that are no object", "[1, 2, 3]");
    Ok(json!({ "written": 2 }))
}
