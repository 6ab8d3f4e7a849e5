//! Working plugins, made wrong.

use std::ops::Range;

use bulkhead_torture::Dice;
use wasmparser::{Operator, Parser, Payload};

/// The most instructions that one mutation changes.
const MOST_CHANGES: u64 = 24;

/// Bytes changed, cut off, doubled, or left out.
pub(crate) fn noise(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let length = bytes.len() as u64;
    let from = dice.below(length) as usize;
    let to = (from + dice.below(4_096) as usize).min(bytes.len());
    match dice.below(5) {
        0 => bytes.truncate(from),
        1 => drop(bytes.splice(from..from, sound[from..to].iter().copied())),
        2 => drop(bytes.drain(from..to)),
        _ => {
            for _ in 0..=dice.below(20) {
                bytes[dice.below(length) as usize] = dice.below(256) as u8;
            }
        }
    }
    bytes
}

/// Sections of the whole swapped, doubled, left out or cut, with lengths that are right.
pub(crate) fn sections(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut sections = outer_sections(sound);
    for _ in 0..=dice.below(3) {
        let count = sections.len() as u64;
        let (one, other) = (dice.below(count) as usize, dice.below(count) as usize);
        match dice.below(4) {
            0 => sections.swap(one, other),
            1 => sections.insert(one, sections[other].clone()),
            2 if count > 1 => drop(sections.remove(one)),
            _ => {
                let content = &mut sections[one].1;
                content.truncate(dice.below(content.len() as u64 + 1) as usize);
            }
        }
    }
    let mut bytes = sound[..8].to_vec();
    for (id, content) in sections {
        bytes.push(id);
        leb128(content.len(), &mut bytes);
        bytes.extend(content);
    }
    bytes
}

/// The sections of a component or module, not those of what is nested in it.
fn outer_sections(binary: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut sections, mut at) = (Vec::new(), 8);
    while at < binary.len() {
        let id = binary[at];
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            length |= usize::from(binary[at] & 0x7f) << shift;
            shift += 7;
            if binary[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1;
        sections.push((id, binary[at..at + length].to_vec()));
        at += length;
    }
    sections
}

fn leb128(mut number: usize, bytes: &mut Vec<u8>) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return;
        }
    }
}

/// Instructions of its functions changed for others that take and give the same, and take as many bytes: it stays valid, at any
/// depth of nesting.
pub(crate) fn instructions(sound: &[u8], dice: &mut Dice) -> Vec<u8> {
    let places = places(sound);
    let mut bytes = sound.to_vec();
    if places.is_empty() {
        return bytes;
    }
    for _ in 0..=dice.below(MOST_CHANGES) {
        let (at, change) = &places[dice.below(places.len() as u64) as usize];
        match change {
            Change::Opcode(others) => bytes[*at] = others.start + dice.below(u64::from(others.end - others.start)) as u8,
            Change::Number(length) => {
                // A signed LEB128 number of the same length: the continuation bits stay. Of a full length the last byte's
                // other bits are the sign's, and stay, too.
                for byte in &mut bytes[*at..*at + (*length).min(4)] {
                    *byte = *byte & 0x80 | dice.below(128) as u8;
                }
            }
        }
    }
    bytes
}

/// What can be changed at a place.
enum Change {
    /// The opcode, for one of these.
    Opcode(Range<u8>),
    /// A constant of so many bytes.
    Number(usize),
}

/// Where a binary has instructions that can be changed.
fn places(binary: &[u8]) -> Vec<(usize, Change)> {
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(binary) {
        let Ok(Payload::CodeSectionEntry(body)) = payload else { continue };
        let Ok(operators) = body.get_operators_reader() else { continue };
        let mut operators: Vec<_> = operators.into_iter_with_offsets().flatten().collect();
        let end = body.range().end;
        let ends = operators.iter().skip(1).map(|(_, at)| *at).chain([end]).collect::<Vec<_>>();
        places.extend(operators.drain(..).zip(ends).filter_map(|((operator, at), end)| {
            let opcode = binary[at];
            // The opcodes are grouped by what they take and give.
            let group = |range: Range<u8>| range.contains(&opcode).then_some((at, Change::Opcode(range)));
            match operator {
                Operator::I32Const { .. } | Operator::I64Const { .. } => Some((at + 1, Change::Number(end - at - 1))),
                // Comparisons, then arithmetic, of two i32 and of two i64.
                _ => [0x46..0x50, 0x51..0x5b, 0x6a..0x79, 0x7c..0x8b].into_iter().find_map(group),
            }
        }));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_and_written_as_they_are() {
        let sound = std::fs::read(bulkhead_e2e::plugins().join("noop.wasm")).expect("the no-op plugin");
        let mut bytes = sound[..8].to_vec();
        for (id, content) in outer_sections(&sound) {
            bytes.push(id);
            leb128(content.len(), &mut bytes);
            bytes.extend(content);
        }
        assert_eq!(bytes.len(), sound.len());
    }

    #[test]
    fn changed_instructions_leave_a_plugin_valid_and_another_one() {
        let sound = std::fs::read(bulkhead_e2e::plugins().join("noop.wasm")).expect("the no-op plugin");
        for seed in 0..50 {
            let mutated = instructions(&sound, &mut Dice::of(seed));
            assert_ne!(mutated, sound, "seed {seed}");
            let valid = wasmparser::Validator::new().validate_all(&mutated);
            assert!(valid.is_ok(), "seed {seed}: {:?}", valid.err());
        }
    }
}
