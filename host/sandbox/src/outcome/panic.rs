//! Panics, as a guest's standard error tells them.

/// What both the SDK's panic hook and Rust's own write.
const PANICKED: &str = "panicked at ";

/// The last panic in what a guest wrote to standard error, as `panicked at FILE:LINE:COLUMN: MESSAGE`.
///
/// The SDK writes it so, in one line. Rust's own hook writes `thread 'main' panicked at FILE:LINE:COLUMN:`, the message in the
/// following lines, and a note.
pub(super) fn message(stderr: &str) -> Option<String> {
    let start = stderr.rfind(PANICKED)?;
    let (first, rest) = stderr[start..].split_once('\n').unwrap_or((&stderr[start..], ""));
    let first = first.trim_end();
    if !first.ends_with(':') {
        return Some(first.to_owned());
    }
    let lines: Vec<_> =
        rest.lines().take_while(|line| !line.starts_with("note: ") && !line.starts_with("stack backtrace:")).collect();
    Some(format!("{first} {}", lines.join("\n").trim()))
}

/// Whether a panic is about memory that could not be had.
pub(super) fn is_about_memory(panic: &str) -> bool {
    ["alloc", "memory", "capacity"].iter().any(|word| panic.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdks_line_is_taken_as_it_is() {
        let stderr = "hello\npanicked at src/lib.rs:10:5: the boiler burst\n";
        assert_eq!(message(stderr).unwrap(), "panicked at src/lib.rs:10:5: the boiler burst");
    }

    #[test]
    fn rusts_own_lines_are_joined() {
        let stderr = "\nthread 'main' (1) panicked at src/lib.rs:10:5:\nthe boiler\nburst\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(message(stderr).unwrap(), "panicked at src/lib.rs:10:5: the boiler\nburst");
    }

    #[test]
    fn the_last_panic_counts() {
        let stderr = "panicked at a.rs:1:1: one\npanicked at b.rs:2:2: two\n";
        assert_eq!(message(stderr).unwrap(), "panicked at b.rs:2:2: two");
    }

    #[test]
    fn other_words_are_no_panic() {
        assert_eq!(message("memory allocation of 5 bytes failed\n"), None);
    }
}
