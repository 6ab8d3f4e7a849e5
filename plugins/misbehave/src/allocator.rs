//! The function through which the host allocates in the guest: it can be armed to never return.
//!
//! It replaces the C library's `cabi_realloc`, which is weak.

#![expect(unsafe_code, reason = "a fault that safe code cannot commit")]

use std::alloc::{self, Layout};
use std::sync::atomic::{AtomicBool, Ordering};

static ARMED: AtomicBool = AtomicBool::new(false);

/// From now on the host's next allocation here never returns.
pub(crate) fn arm() {
    ARMED.store(true, Ordering::Relaxed);
}

/// # Safety
/// Only the host calls it, as the canonical ABI says: a null pointer allocates, another one was returned from here.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "cabi_realloc"))]
#[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "only a host calls it"))]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, new_size: usize) -> *mut u8 {
    while ARMED.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
    if new_size == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    // SAFETY: sizes and alignment come from the canonical ABI, which keeps to the rules of Layout and realloc.
    let new = unsafe {
        if old_size == 0 {
            alloc::alloc(Layout::from_size_align_unchecked(new_size, align))
        } else {
            alloc::realloc(old, Layout::from_size_align_unchecked(old_size, align), new_size)
        }
    };
    assert!(!new.is_null(), "no memory for what the host hands over");
    new
}
