//! Too much of something that is allowed.

use std::io::Write;

use bulkhead_plugin::bindings::bulkhead::plugin::log;
use bulkhead_plugin::json::{Value, json};
use bulkhead_plugin::prelude::*;

use crate::mode::Mode;

/// Tasks that the bomb asks for in each call.
const BOMB_TASKS: u64 = 100;

/// Host calls for ever.
pub(crate) fn host_calls_for_ever() -> ! {
    loop {
        std::hint::black_box(status::cancelled());
    }
}

/// Log lines for ever.
pub(crate) fn log_for_ever() -> ! {
    let mut line: u64 = 0;
    loop {
        line += 1;
        info!("flood line {line}", line = line);
    }
}

/// Many log lines.
pub(crate) fn log_lines(count: u32) -> Result<Value, Error> {
    for line in 1..=count {
        info!("flood line {line}", line = line);
    }
    Ok(json!({ "written": count }))
}

/// Lines on standard error for ever.
pub(crate) fn stderr_for_ever() -> ! {
    let mut stderr = std::io::stderr();
    let mut line: u64 = 0;
    loop {
        line += 1;
        // A host that takes no more is asked again: this is a flood.
        let _ = stderr.write_all(format!("flood line {line} on standard error\n").as_bytes());
    }
}

/// An artifact without end.
pub(crate) fn artifact_for_ever() -> Result<Value, Error> {
    let mut flood = artifacts::create("flood.bin")?;
    // Not on the stack, which has no more room than that.
    let piece = vec![7; 64 << 10];
    loop {
        flood.write_all(&piece)?;
    }
}

/// One log line of so many bytes.
pub(crate) fn line_of(bytes: usize) -> Result<Value, Error> {
    // Without the macros, which would make a second copy of it.
    log::write(log::Level::Info, &"x".repeat(bytes), "");
    Ok(json!({ "written": bytes }))
}

/// Markup, escapes of terminals, and characters that reorder or hide what follows.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)> & \"quotes\" \u{1b}[31mred\u{1b}[0m \
    \u{1b}]8;;javascript:alert(1)\u{7}link \u{1b}[2J\u{202e}reversed\u{2066}\u{0}";

/// Lines that mean harm to whoever shows them.
pub(crate) fn hostile_lines() -> Result<Value, Error> {
    log::write(log::Level::Info, HOSTILE, &json!({ "<b>": HOSTILE }).to_string());
    log::write(log::Level::Warn, "\u{1b}[1;38;5;208morange\u{1b}[0m \u{200b}hidden\u{200b} \r\n second line", "");
    log::write(log::Level::Error, &"x".repeat(1 << 20), "");
    status::progress(1, 2);
    status::message(HOSTILE);
    Ok(json!({ "<b>": HOSTILE }))
}

/// New tasks for ever, through refusals, too.
pub(crate) fn spawn_bomb(key: &str) -> ! {
    let mut fragment: u64 = 0;
    let mut refused = false;
    loop {
        let fragments = fragment + 1..=fragment + BOMB_TASKS;
        if let Err(error) = spawn(fragments.map(|fragment| (format!("{key}/fragment-{fragment}"), Mode::Nothing)))
            && !refused
        {
            refused = true;
            warn!("refused, going on: {error}");
        }
        fragment += BOMB_TASKS;
    }
}
