//! Words of a file, counted piece by piece. Nothing here knows of a host.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// At most `count` pieces of so many bytes, none of them empty: from and to.
pub(crate) fn pieces(size: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
    let count = count.min(size);
    (0..count).map(move |number| (size * number / count, size * (number + 1) / count))
}

/// Where the first word begins that does not begin before the block, whose first byte lies before the piece.
pub(crate) fn first_word(block: &[u8]) -> usize {
    block.iter().position(|&byte| is_space(byte)).unwrap_or(block.len())
}

/// How much of a block holds whole words that begin before `limit`; nothing where a single word fills it. The `last` block ends
/// with the file.
pub(crate) fn whole_words(block: &[u8], limit: u64, last: bool) -> Option<usize> {
    let mut end = block.len();
    if !last {
        end = block.iter().rposition(|&byte| is_space(byte)).map_or(0, |at| at + 1);
    }
    if limit < end as u64 {
        // The word that goes on beyond the limit is the last.
        end = limit as usize;
        while end < block.len() && !is_space(block[end - 1]) {
            end += 1;
        }
    }
    (end > 0).then_some(end)
}

/// How often each word occurs, in lower case as far as ASCII goes. Bytes that are no UTF-8 become U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(crate) fn add(&mut self, block: &[u8]) {
        for word in block.split(|&byte| is_space(byte)).filter(|word| !word.is_empty()) {
            let word = word.to_ascii_lowercase();
            *self.0.entry(String::from_utf8_lossy(&word).into_owned()).or_default() += 1;
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn distinct(&self) -> usize {
        self.0.len()
    }

    /// The words of which a part was no UTF-8.
    pub(crate) fn replaced(&self) -> usize {
        self.0.keys().filter(|word| word.contains(char::REPLACEMENT_CHARACTER)).count()
    }

    /// The words that occur most, those that occur alike in the order of their bytes.
    pub(crate) fn top(&self, most: usize) -> Vec<(String, u64)> {
        let mut words: Vec<_> = self.0.iter().map(|(word, &times)| (word.clone(), times)).collect();
        words.sort_by_key(|&(_, times)| Reverse(times));
        words.truncate(most);
        words
    }
}

/// White space of ASCII, with the vertical tab that Rust's own function leaves out.
const fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_file_and_none_is_empty() {
        for (size, count) in [(0, 4), (1, 4), (3, 4), (10, 3), (u32::MAX.into(), 1000)] {
            let parts: Vec<_> = pieces(size, count).collect();
            assert!(parts.iter().all(|(from, to)| from < to), "{size} in {count}");
            assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0), "{size} in {count}");
            assert_eq!(parts.last().map_or(0, |&(_, to)| to), size);
        }
    }

    /// Counts a text in so many pieces, in blocks of so many bytes.
    fn count(text: &[u8], parts: u64, block: usize) -> Counts {
        let mut counts = Counts::default();
        for (from, to) in pieces(text.len() as u64, parts) {
            let read = |at: u64| &text[at as usize..text.len().min(at as usize + block)];
            let mut at = if from == 0 { 0 } else { from - 1 + first_word(read(from - 1)) as u64 };
            while at < to {
                let block = read(at);
                let whole = whole_words(block, to - at, at as usize + block.len() == text.len()).unwrap_or(block.len());
                counts.add(&block[..whole]);
                at += whole as u64;
            }
        }
        counts
    }

    #[test]
    fn no_cut_loses_or_doubles_a_word() {
        let text = b"The quick\tbrown  fox\r\njumps over the\x0blazy dog. THE end";
        let whole = count(text, 1, 1 << 10);
        assert_eq!((whole.total(), whole.top(1)), (11, vec![("the".to_owned(), 3)]));
        for parts in 1..text.len() as u64 + 2 {
            for block in [8, 16, 100] {
                assert_eq!(count(text, parts, block), whole, "{parts} pieces in blocks of {block}");
            }
        }
    }

    #[test]
    fn what_is_no_utf8_is_replaced_and_counted() {
        let counts = count(b"caf\xff fine caf\xff \xe2\x82", 1, 100);
        assert_eq!((counts.total(), counts.distinct(), counts.replaced()), (4, 3, 2));
    }

    #[test]
    fn words_that_occur_alike_are_in_order() {
        let top = count(b"b a c b a", 1, 100).top(3);
        assert_eq!(top, [("a".to_owned(), 2), ("b".to_owned(), 2), ("c".to_owned(), 1)]);
    }
}
