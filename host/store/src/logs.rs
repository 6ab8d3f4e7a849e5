//! Log chunks: the lines that one batch added to a run, as one value under the number of the first.
//!
//! A chunk begins with what filters need (how many lines, which levels, which steps); then come segments, each of one
//! attempt's consecutive lines with a header of its own, so that whoever looks for another task, step or level skips without
//! reading lines. Numbers are little-endian; there is no compression: a line is copied once on its way in, once on its way out.

use bulkhead_core::id::StepIndex;
use bulkhead_core::log::{Level, Line, Source};
use bulkhead_core::time::Timestamp;
use bulkhead_engine::store::LogRecord;
use regex::bytes::Regex;

use crate::kv::{Fault, Tx};

const VERSION: u8 = 1;
/// version, count, level mask, number of steps or [`MANY_STEPS`].
const HEADER: usize = 1 + 4 + 1 + 1;
/// Steps that a chunk's header lists.
const MOST_STEPS: usize = 16;
/// Stands for a list of steps that would be longer.
const MANY_STEPS: u8 = u8::MAX;
/// step, task, attempt, attempt line, step seq, count, level mask, bytes.
const SEGMENT: usize = 2 + 4 + 4 + 8 + 8 + 4 + 1 + 4;
/// at, level and source, message length, fields length plus one.
const LINE: usize = 8 + 1 + 4 + 4;

/// Bytes after which a chunk ends: what a reader in its middle looks at for nothing.
const FULL_BYTES: usize = 128 * 1024;
/// Lines after which a chunk ends.
const FULL_LINES: u32 = 2_048;

/// Whose lines follow, and their first numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) step: StepIndex,
    pub(crate) task: u32,
    pub(crate) attempt: u32,
    pub(crate) attempt_line: u64,
    pub(crate) step_seq: u64,
}

/// A chunk that is being written.
#[derive(Debug)]
pub(crate) struct ChunkBuilder {
    first: u64,
    count: u32,
    levels: u8,
    steps: Vec<StepIndex>,
    many_steps: bool,
    body: Vec<u8>,
}

impl ChunkBuilder {
    pub(crate) fn new(first: u64) -> Self {
        Self { first, count: 0, levels: 0, steps: Vec::new(), many_steps: false, body: Vec::new() }
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.first
    }

    /// The number after its last line.
    pub(crate) fn next_seq(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.body.len() >= FULL_BYTES || self.count >= FULL_LINES
    }

    /// Appends lines of one segment until the chunk is full; says how many. At least one.
    pub(crate) fn append(&mut self, segment: Segment, lines: &[Line]) -> usize {
        let header = self.body.len();
        self.body.resize(header + SEGMENT, 0);
        let (mut levels, mut count) = (0, 0u32);
        for line in lines {
            put_line(&mut self.body, line);
            levels |= 1 << line.level as u8;
            count += 1;
            self.count += 1;
            if self.is_full() {
                break;
            }
        }
        let bytes = self.body.len() - header - SEGMENT;
        let mut writer = &mut self.body[header..header + SEGMENT];
        for field in [
            &segment.step.0.to_le_bytes()[..],
            &segment.task.to_le_bytes(),
            &segment.attempt.to_le_bytes(),
            &segment.attempt_line.to_le_bytes(),
            &segment.step_seq.to_le_bytes(),
            &count.to_le_bytes(),
            &[levels],
            &(bytes as u32).to_le_bytes(),
        ] {
            let (here, rest) = std::mem::take(&mut writer).split_at_mut(field.len());
            here.copy_from_slice(field);
            writer = rest;
        }
        self.levels |= levels;
        if !self.many_steps && !self.steps.contains(&segment.step) {
            self.many_steps = self.steps.len() == MOST_STEPS;
            self.steps.push(segment.step);
        }
        count as usize
    }

    /// The chunk as it is stored.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEADER + 2 * MOST_STEPS + self.body.len());
        value.push(VERSION);
        value.extend(self.count.to_le_bytes());
        value.push(self.levels);
        if self.many_steps {
            value.push(MANY_STEPS);
        } else {
            value.push(self.steps.len() as u8);
            value.extend(self.steps.iter().flat_map(|step| step.0.to_le_bytes()));
        }
        value.extend_from_slice(&self.body);
        value
    }
}

fn put_line(body: &mut Vec<u8>, line: &Line) {
    let fields = line.fields.as_deref();
    let mut fixed = [0; LINE];
    fixed[..8].copy_from_slice(&line.at.as_micros().to_le_bytes());
    fixed[8] = (line.level as u8) << 4 | line.source as u8;
    fixed[9..13].copy_from_slice(&(line.message.len() as u32).to_le_bytes());
    fixed[13..].copy_from_slice(&fields.map_or(0, |fields| fields.len() as u32 + 1).to_le_bytes());
    body.reserve(LINE + line.message.len() + fields.map_or(0, str::len));
    body.extend_from_slice(&fixed);
    body.extend_from_slice(line.message.as_bytes());
    body.extend_from_slice(fields.unwrap_or_default().as_bytes());
}

/// Which lines of a chunk are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) after: u64,
    pub(crate) before: Option<u64>,
    pub(crate) level: Option<Level>,
    pub(crate) step: Option<StepIndex>,
    pub(crate) task: Option<u32>,
    pub(crate) text: Option<Regex>,
}

impl Wanted {
    /// Whether none of the lines from `first` to `last` has a number that is wanted.
    fn is_outside(&self, first: u64, last: u64) -> bool {
        last <= self.after || self.before.is_some_and(|before| first >= before)
    }

    /// Whether bytes hold the text. Over a segment's raw lines it may say yes for bytes that are no text of a line, never no for one.
    fn may_hold(&self, bytes: &[u8]) -> bool {
        self.text.as_ref().is_none_or(|text| text.is_match(bytes))
    }

    /// The levels that are wanted, as a mask.
    fn levels(&self) -> u8 {
        self.level.map_or(u8::MAX, |least| u8::MAX << least as u8)
    }
}

/// Reads little-endian fields off a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Tx<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(len).ok_or_else(|| damaged("is cut short"))?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Tx<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("is cut short"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn byte(&mut self) -> Tx<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Tx<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Tx<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Tx<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self, len: u32) -> Tx<Box<str>> {
        std::str::from_utf8(self.bytes(len as usize)?).map(Box::from).map_err(|_| damaged("holds no text"))
    }
}

fn damaged(what: &str) -> Fault {
    Fault::Corrupt(format!("a log chunk {what}"))
}

/// Hands the wanted lines of a chunk that begins with line `first` to `found`, until it says `false`. Returns the number of the
/// chunk's last line.
pub(crate) fn read(first: u64, value: &[u8], wanted: &Wanted, found: &mut dyn FnMut(LogRecord) -> bool) -> Tx<u64> {
    let mut reader = Reader(value);
    match reader.byte()? {
        VERSION => {}
        version => return Err(damaged(&format!("has format {version}, this program reads {VERSION}"))),
    }
    let (count, levels, steps) = (reader.u32()?, reader.byte()?, reader.byte()?);
    let last = first + u64::from(count) - 1;
    if wanted.is_outside(first, last) || levels & wanted.levels() == 0 {
        return Ok(last);
    }
    if steps != MANY_STEPS {
        let mut any = wanted.step.is_none();
        for _ in 0..steps {
            any |= wanted.step == Some(StepIndex(reader.u16()?));
        }
        if !any {
            return Ok(last);
        }
    }
    let mut seq = first;
    while !reader.0.is_empty() {
        let segment = Segment {
            step: StepIndex(reader.u16()?),
            task: reader.u32()?,
            attempt: reader.u32()?,
            attempt_line: reader.u64()?,
            step_seq: reader.u64()?,
        };
        let (count, levels, bytes) = (reader.u32()?, reader.byte()?, reader.u32()?);
        let lines = reader.bytes(bytes as usize)?;
        let after = seq + u64::from(count);
        let skip = wanted.is_outside(seq, after - 1)
            || levels & wanted.levels() == 0
            || wanted.step.is_some_and(|step| step != segment.step)
            || wanted.task.is_some_and(|task| task != segment.task)
            || !wanted.may_hold(lines);
        if !skip && !read_segment(seq, segment, lines, wanted, found)? {
            return Ok(last);
        }
        seq = after;
    }
    if seq != last + 1 {
        return Err(damaged("miscounts its lines"));
    }
    Ok(last)
}

fn read_segment(
    first: u64,
    segment: Segment,
    lines: &[u8],
    wanted: &Wanted,
    found: &mut dyn FnMut(LogRecord) -> bool,
) -> Tx<bool> {
    let mut reader = Reader(lines);
    let mut seq = first;
    while !reader.0.is_empty() {
        let (at, kind, message, fields) = (reader.u64()?, reader.byte()?, reader.u32()?, reader.u32()?);
        let level = *Level::ALL.get(usize::from(kind >> 4)).ok_or_else(|| damaged("holds an unknown level"))?;
        let fields_len = fields.saturating_sub(1);
        let text = reader.0.get(..message as usize + fields_len as usize).ok_or_else(|| damaged("is cut short"))?;
        let (said, beside) = text.split_at(message as usize);
        let skip = wanted.is_outside(seq, seq)
            || wanted.level.is_some_and(|least| level < least)
            || !(wanted.may_hold(said) || (fields > 0 && wanted.may_hold(beside)));
        if skip {
            reader.0 = &reader.0[text.len()..];
        } else {
            let offset = seq - first;
            let record = LogRecord {
                seq,
                step_seq: segment.step_seq + offset,
                step: segment.step,
                task: segment.task,
                attempt: segment.attempt,
                attempt_line: segment.attempt_line + offset,
                at: Timestamp::from_micros(at),
                level,
                source: source_of(kind & 0xf)?,
                message: reader.text(message)?,
                fields: if fields == 0 { None } else { Some(reader.text(fields_len)?) },
            };
            if !found(record) {
                return Ok(false);
            }
        }
        seq += 1;
    }
    Ok(true)
}

fn source_of(code: u8) -> Tx<Source> {
    [Source::Plugin, Source::Stdout, Source::Stderr, Source::Host]
        .into_iter()
        .find(|source| *source as u8 == code)
        .ok_or_else(|| damaged("holds an unknown source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, message: &str) -> Line {
        Line { at: Timestamp::from_micros(5), level, source: Source::Stderr, message: message.into(), fields: Some("{}".into()) }
    }

    fn segment(step: u16, task: u32) -> Segment {
        Segment { step: StepIndex(step), task, attempt: 2, attempt_line: 7, step_seq: 30 }
    }

    fn chunk() -> Vec<u8> {
        let mut builder = ChunkBuilder::new(11);
        assert_eq!(builder.append(segment(0, 1), &[line(Level::Info, "a"), line(Level::Error, "b")]), 2);
        assert_eq!(builder.append(segment(3, 9), &[line(Level::Debug, "c")]), 1);
        assert_eq!(builder.next_seq(), 14);
        builder.finish()
    }

    fn found(wanted: Wanted) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let last = read(11, &chunk(), &wanted, &mut |record| {
            found.push((record.seq, record.message.to_string()));
            true
        });
        assert_eq!(last.unwrap(), 13);
        found
    }

    #[test]
    fn lines_come_back_with_their_numbers() {
        let mut records = Vec::new();
        read(11, &chunk(), &Wanted::default(), &mut |record| {
            records.push(record);
            true
        })
        .unwrap();
        let expected = LogRecord {
            seq: 12,
            step_seq: 31,
            step: StepIndex(0),
            task: 1,
            attempt: 2,
            attempt_line: 8,
            at: Timestamp::from_micros(5),
            level: Level::Error,
            source: Source::Stderr,
            message: "b".into(),
            fields: Some("{}".into()),
        };
        assert_eq!((records.len(), &records[1]), (3, &expected));
    }

    #[test]
    fn filters_find_what_they_say() {
        assert_eq!(found(Wanted { after: 12, ..Wanted::default() }), [(13, "c".into())]);
        assert_eq!(found(Wanted { level: Some(Level::Warn), ..Wanted::default() }), [(12, "b".into())]);
        assert_eq!(found(Wanted { step: Some(StepIndex(3)), ..Wanted::default() }), [(13, "c".into())]);
        assert_eq!(found(Wanted { step: Some(StepIndex(1)), ..Wanted::default() }), []);
        assert_eq!(found(Wanted { task: Some(1), ..Wanted::default() }).len(), 2);
        assert_eq!(found(Wanted { before: Some(12), ..Wanted::default() }), [(11, "a".into())]);
        let text = |text: &str| Some(Regex::new(&format!("(?i){}", regex::escape(text))).unwrap());
        assert_eq!(found(Wanted { text: text("B"), ..Wanted::default() }), [(12, "b".into())]);
        assert_eq!(found(Wanted { text: text("{}"), ..Wanted::default() }).len(), 3);
        assert_eq!(found(Wanted { text: text("bc"), ..Wanted::default() }), []);
    }

    #[test]
    fn a_full_chunk_takes_no_more_lines() {
        let mut builder = ChunkBuilder::new(1);
        let lines = vec![line(Level::Info, "x"); 5_000];
        assert_eq!(builder.append(segment(0, 1), &lines), FULL_LINES as usize);
        assert!(builder.is_full());
    }

    #[test]
    fn a_cut_chunk_is_damaged_and_not_a_panic() {
        let whole = chunk();
        for len in 0..whole.len() {
            let _ = read(11, &whole[..len], &Wanted::default(), &mut |_| true);
        }
        assert!(matches!(read(11, &whole[..20], &Wanted::default(), &mut |_| true), Err(Fault::Corrupt(_))));
    }
}
