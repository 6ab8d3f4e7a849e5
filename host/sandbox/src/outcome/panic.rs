//! Panics, as a guest's standard error tells them: one way of the contract, and what languages write by themselves.

/// What the SDKs write, and Rust's own hook.
const PANICKED: &str = "panicked at ";

/// The last panic in what a guest wrote to standard error: `panicked at PLACE: MESSAGE` where the place is known, otherwise
/// `panicked: MESSAGE`.
pub(super) fn message(stderr: &str) -> Option<String> {
    let readers = [rust, go, python, zig, assertion];
    readers.into_iter().filter_map(|read| read(stderr)).max_by_key(|(start, _)| *start).map(|(_, message)| message)
}

/// Whether a failure's message is a panic that a language caught, told in the way of the contract.
pub(super) fn is_told(message: &str) -> bool {
    message.starts_with(PANICKED)
}

/// Whether a panic is about memory that could not be had.
pub(super) fn is_about_memory(panic: &str) -> bool {
    let panic = panic.to_ascii_lowercase();
    ["alloc", "memory", "capacity"].iter().any(|word| panic.contains(word))
}

/// Whether a panic is about a file that could not be written; the C library of WASI 0.2 knows no reason for that.
pub(super) fn is_about_files(panic: &str) -> bool {
    let panic = panic.to_ascii_lowercase();
    ["no space left", "i/o error", "enospc"].iter().any(|word| panic.contains(word))
}

/// Whether a panic is how a language ends calls that nest too deep, before its stack ends.
pub(super) fn is_about_the_stack(panic: &str) -> bool {
    let words = ["RecursionError: ", "too much recursion", "Maximum call stack size exceeded", "stack overflow", "stack exceeds"];
    words.iter().any(|words| panic.contains(words))
}

/// Where a panic starts, and what it says.
type Panic = (usize, String);

/// The SDKs write a panic in one line. Rust's own hook writes `thread 'main' panicked at FILE:LINE:COLUMN:`, the message in the
/// following lines, and a note.
fn rust(stderr: &str) -> Option<Panic> {
    let start = stderr.rfind(PANICKED)?;
    let (first, rest) = stderr[start..].split_once('\n').unwrap_or((&stderr[start..], ""));
    let first = first.trim_end();
    if !first.ends_with(':') {
        return Some((start, first.to_owned()));
    }
    let lines: Vec<_> =
        rest.lines().take_while(|line| !line.starts_with("note: ") && !line.starts_with("stack backtrace:")).collect();
    Some((start, format!("{first} {}", lines.join("\n").trim())))
}

/// Go: `panic: MESSAGE` or `fatal error: MESSAGE`, then the goroutines, a line with the function and one with tab, file and line for
/// each frame.
fn go(stderr: &str) -> Option<Panic> {
    let goroutine = stderr.rfind("\ngoroutine ")?;
    let start = ["panic: ", "fatal error: "].iter().filter_map(|word| line_start(&stderr[..goroutine], word)).max()?;
    let message = stderr[start..].lines().next()?.split_once(": ")?.1;
    let mut frames = stderr[goroutine + 1..].lines().skip(1);
    let mut place = None;
    while let (None, Some(function), Some(file)) = (place, frames.next(), frames.next()) {
        if !function.starts_with("panic(") && !function.starts_with("runtime.") {
            place = file.strip_prefix('\t').map(|file| file.split(' ').next().unwrap_or(file));
        }
    }
    Some((start, told(place, message)))
}

/// Python: a traceback with the innermost frame last, as `  File "FILE", line LINE, in FUNCTION`, and then `TYPE: MESSAGE`.
fn python(stderr: &str) -> Option<Panic> {
    let start = line_start(stderr, "Traceback (most recent call last):")?;
    let mut place = None;
    for line in stderr[start..].lines().skip(1) {
        if let Some((file, rest)) = line.strip_prefix("  File \"").and_then(|line| line.split_once("\", line ")) {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            place = Some(format!("{file}:{number}"));
        } else if !line.starts_with(' ') && !line.is_empty() {
            return Some((start, told(place.as_deref(), line)));
        }
    }
    None
}

/// Zig: `thread 1 panic: MESSAGE`; where the place is, only the backtrace tells.
fn zig(stderr: &str) -> Option<Panic> {
    let start = line_start(stderr, "thread ")?;
    let (thread, message) = stderr[start..].lines().next()?.split_once(" panic: ")?;
    thread["thread ".len()..].parse::<u32>().ok()?;
    Some((start, told(None, message)))
}

/// C: `Assertion failed: CONDITION (FILE: FUNCTION: LINE)`.
fn assertion(stderr: &str) -> Option<Panic> {
    let start = line_start(stderr, "Assertion failed: ")?;
    let line = stderr[start..].lines().next()?.strip_prefix("Assertion failed: ")?;
    let (condition, place) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")).unwrap_or((line, ""));
    let mut parts = place.split(": ");
    let place = match (parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(number)) => Some(format!("{file}:{number}")),
        _ => None,
    };
    Some((start, told(place.as_deref(), condition)))
}

fn told(place: Option<&str>, message: &str) -> String {
    match place {
        Some(place) => format!("{PANICKED}{place}: {message}"),
        None => format!("panicked: {message}"),
    }
}

/// Where the last line starts that starts with a word.
fn line_start(text: &str, word: &str) -> Option<usize> {
    let mut end = text.len();
    while let Some(found) = text[..end].rfind(word) {
        if found == 0 || text.as_bytes()[found - 1] == b'\n' {
            return Some(found);
        }
        end = found;
    }
    None
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
    fn gos_goroutines_tell_the_place() {
        let stderr = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\npanic({0x1, 0x2})\n\t\
                      runtime/panic.go:12 +0x3\nmain.boil(...)\n\tboiler/main.go:9 +0x1d\nmain.main()\n\tboiler/main.go:4 +0x2\n";
        assert_eq!(message(stderr).unwrap(), "panicked at boiler/main.go:9: runtime error: index out of range [5] with length 3");
        let fatal =
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\tx.go:4 +0x2\n";
        assert_eq!(message(fatal).unwrap(), "panicked at x.go:4: all goroutines are asleep - deadlock!");
    }

    #[test]
    fn pythons_traceback_tells_the_innermost_place() {
        let stderr = "Traceback (most recent call last):\n  File \"/app.py\", line 3, in run\n    boil()\n  File \"/boiler.py\", line 7, in \
                      boil\n    raise ValueError(\"it burst\")\nValueError: it burst\n";
        assert_eq!(message(stderr).unwrap(), "panicked at /boiler.py:7: ValueError: it burst");
    }

    #[test]
    fn zig_and_c_are_told_by_their_first_line() {
        assert_eq!(message("thread 1 panic: integer overflow\n").unwrap(), "panicked: integer overflow");
        assert_eq!(message("Assertion failed: x > 0 (boiler.c: boil: 12)\n").unwrap(), "panicked at boiler.c:12: x > 0");
    }

    #[test]
    fn the_last_panic_counts() {
        let stderr = "panicked at a.rs:1:1: one\npanicked at b.rs:2:2: two\n";
        assert_eq!(message(stderr).unwrap(), "panicked at b.rs:2:2: two");
        let stderr = "panicked at a.rs:1:1: one\nthread 1 panic: two\n";
        assert_eq!(message(stderr).unwrap(), "panicked: two");
    }

    #[test]
    fn other_words_are_no_panic() {
        for stderr in
            ["memory allocation of 5 bytes failed\n", "panic: no goroutines\n", "thread pool panic: 3\n", "a thread 1 panic: x"]
        {
            assert_eq!(message(stderr), None, "{stderr}");
        }
    }

    #[test]
    fn what_a_panic_is_about_is_told_by_its_words() {
        assert!(is_about_memory("panicked at x.py:1: MemoryError") && !is_about_memory("panicked: the boiler burst"));
        assert!(is_about_the_stack("RecursionError: maximum recursion depth exceeded"));
        assert!(!is_about_the_stack("recursion limit exceeded at line 1"));
    }
}
