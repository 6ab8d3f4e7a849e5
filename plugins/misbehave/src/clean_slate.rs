//! Whether an instance is as fresh as it should be: nothing that an earlier one left is seen here.

#![cfg_attr(target_arch = "wasm32", expect(unsafe_code, reason = "it looks at memory that nobody has given it yet"))]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;

/// What each instance leaves behind.
const DIRT: u8 = 0xD1;
/// The memory that is taken fresh from the host, inspected and soiled.
const FRESH_PAGES: usize = 16;
const PAGE: usize = 64 * 1024;

static CALLS: AtomicU32 = AtomicU32::new(0);
static LEFT: Mutex<[u8; 4096]> = Mutex::new([0; 4096]);

/// Reports what it found; fails if anything but a clean slate. Then leaves as much dirt as it can.
pub(crate) fn inspect_and_soil() -> Result<Value, Error> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut left = LEFT.lock().expect("no other thread");
    let dirty_statics = left.iter().filter(|byte| **byte != 0).count();
    left.fill(DIRT);

    let fresh = fresh_memory(FRESH_PAGES)?;
    let dirty_memory = fresh.iter().filter(|byte| **byte != 0).count();
    fresh.fill(DIRT);

    let heap = vec![DIRT; 1 << 20];
    std::mem::forget(heap);

    if calls != 1 || dirty_statics != 0 || dirty_memory != 0 {
        return Err(Error::fatal(format_args!(
            "no clean slate: call {calls} of this instance, {dirty_statics} dirty bytes in its statics, {dirty_memory} in new memory"
        )));
    }
    info!("a clean slate", calls = calls, dirty_statics = dirty_statics, dirty_memory = dirty_memory);
    Ok(json!({ "calls": calls, "dirty_statics": dirty_statics, "dirty_memory": dirty_memory }))
}

#[cfg(target_arch = "wasm32")]
fn fresh_memory(pages: usize) -> Result<&'static mut [u8], Error> {
    match core::arch::wasm32::memory_grow::<0>(pages) {
        usize::MAX => Err(Error::fatal("no memory to inspect")),
        // SAFETY: these pages were just added to the memory, and are nobody else's.
        old => Ok(unsafe { std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut(old * PAGE), pages * PAGE) }),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn fresh_memory(pages: usize) -> Result<&'static mut [u8], Error> {
    Ok(vec![0; pages * PAGE].leak())
}
