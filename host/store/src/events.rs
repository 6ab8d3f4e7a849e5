//! Event chunks: what one batch recorded is one value, under the number of its first event.

use std::ops::ControlFlow;

use bulkhead_core::event::{Event, EventRecord};
use bulkhead_core::id::RunId;
use bulkhead_core::time::Timestamp;

use crate::keys::{self, Fields, KeyRange};
use crate::kv::{Direction, Fault, KvRead, Tree, Tx};

/// The most events in a chunk: a reader in its middle decodes at most so many for nothing.
pub(crate) const MOST_PER_CHUNK: usize = 256;

const VERSION: u8 = 1;

fn damaged(error: impl std::fmt::Display) -> Fault {
    Fault::Corrupt(format!("an event chunk: {error}"))
}

/// Encodes the events of one moment.
pub(crate) fn encode(at: Timestamp, events: &[(Option<RunId>, Event)]) -> Tx<Vec<u8>> {
    let bytes = vec![VERSION];
    postcard::to_extend(&(at, events), bytes).map_err(damaged)
}

/// Decodes the chunk that begins with event `first`.
pub(crate) fn decode(first: u64, bytes: &[u8]) -> Tx<Vec<EventRecord>> {
    let Some((&VERSION, body)) = bytes.split_first() else { return Err(damaged("another format")) };
    let (at, events): (Timestamp, Vec<(Option<RunId>, Event)>) = postcard::from_bytes(body).map_err(damaged)?;
    Ok((first..).zip(events).map(|(seq, (run, event))| EventRecord { seq, at, run, event }).collect())
}

/// When the events of a chunk happened.
pub(crate) fn decode_at(bytes: &[u8]) -> Tx<Timestamp> {
    let Some((&VERSION, body)) = bytes.split_first() else { return Err(damaged("another format")) };
    postcard::take_from_bytes(body).map(|(at, _)| at).map_err(damaged)
}

/// The number of the first event that is kept; 1 where there is none yet.
pub(crate) fn first_kept(kv: &dyn KvRead) -> Tx<u64> {
    Ok(first_of(kv, &KeyRange::all(Tree::Events))?.unwrap_or(1))
}

/// The number that the chunk after the one at `first` begins with.
pub(crate) fn chunk_after(kv: &dyn KvRead, first: u64) -> Tx<Option<u64>> {
    first_of(kv, &keys::event_chunk(first).after_within(&keys::events()))
}

fn first_of(kv: &dyn KvRead, range: &KeyRange) -> Tx<Option<u64>> {
    let mut first = None;
    kv.scan(range, Direction::Forward, &mut |key, _| {
        first = Some(Fields::of(key, 0).seq()?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// Events after number `after`, at most `limit`.
pub(crate) fn read(kv: &dyn KvRead, after: u64, limit: usize) -> Tx<Vec<EventRecord>> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let all = keys::events();
    // The chunk that holds `after + 1` is the last one that begins at or before it.
    let mut start = keys::event_chunk(after.saturating_add(1));
    kv.scan(&keys::event_chunk(after.saturating_add(2)).before_within(&all), Direction::Backward, &mut |key, _| {
        start = keys::event_chunk(Fields::of(key, 0).seq()?);
        Ok(ControlFlow::Break(()))
    })?;
    kv.scan(&start.onward_within(&all), Direction::Forward, &mut |key, value| {
        let events = decode(Fields::of(key, 0).seq()?, value)?;
        found.extend(events.into_iter().filter(|event| event.seq > after).take(limit - found.len()));
        Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}
