//! What is counted, and what counting comes to: an implementation of its own, to compare with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A text of about so many bytes, the same each time: words of a small vocabulary, some of them not ASCII.
pub(crate) fn generated(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 16);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while text.len() < bytes {
        // A xorshift generator, squared so that some words are frequent.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let rank = (state % 50) * (state / 50 % 50);
        let word = match rank % 7 {
            0 => format!("Wörter{rank}"),
            1 => format!("SHOUT{rank}"),
            _ => format!("word{rank}"),
        };
        text.extend_from_slice(word.as_bytes());
        text.extend_from_slice(match state % 11 {
            0 => b"\n",
            1 => b" \t ",
            2 => b"\r\n",
            _ => b" ",
        });
    }
    text
}

/// The output of a task that counts all of a text.
pub(crate) fn counted(text: &[u8], top: usize) -> Value {
    let mut counts = BTreeMap::<String, u64>::new();
    for word in text.split(|byte| matches!(byte, b' ' | 9..=13)).filter(|word| !word.is_empty()) {
        *counts.entry(String::from_utf8_lossy(&word.to_ascii_lowercase()).into_owned()).or_default() += 1;
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(one.1).then(one.0.as_bytes().cmp(other.0.as_bytes())));
    json!({
        "bytes": text.len(),
        "words": counts.values().sum::<u64>(),
        "distinct": counts.len(),
        "top": sorted.iter().take(top).map(|(word, times)| json!([word, times])).collect::<Vec<_>>(),
    })
}
