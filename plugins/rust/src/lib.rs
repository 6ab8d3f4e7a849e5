//! Counts the words of a file that the run was started with, a piece a task.

mod drill;
mod words;

use std::io::{Read, Seek, SeekFrom};

use bulkhead_plugin::artifacts::{ArtifactError, Reader, Source};
use bulkhead_plugin::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use drill::Drill;
use words::{Counts, first_word, pieces, whole_words};

/// What is read at once, in bytes; a longer word is cut there.
const BLOCK: u64 = 256 << 10;

struct Words;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// The run's file whose words are counted.
    file: String,
    /// The tasks that share it.
    #[schemars(range(min = 1, max = 1000))]
    pieces: u64,
    /// The words that are listed.
    #[schemars(range(max = 100))]
    top: usize,
    /// What each task does wrong, to see what comes of it.
    drill: Drill,
}

impl Default for Config {
    fn default() -> Self {
        Config { file: "text".into(), pieces: 4, top: 10, drill: Drill::None }
    }
}

/// A task's input: a part of the file, in bytes.
#[derive(Serialize, Deserialize)]
struct Piece {
    from: u64,
    to: u64,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    at: u64,
    counts: Counts,
}

#[derive(Serialize)]
struct Output {
    bytes: u64,
    words: u64,
    distinct: usize,
    top: Vec<(String, u64)>,
}

impl Plugin for Words {
    const NAME: &'static str = "rust";
    const SUMMARY: &'static str = "Counts the words of a file, a piece a task; written in Rust.";
    type Config = Config;
    type Input = Piece;
    type Output = Output;

    fn plan(step: &Step<Config>) -> Result<(), Error> {
        let size = open(&step.config.file)?.size();
        let parts: Vec<_> = pieces(size, step.config.pieces).collect();
        let tasks = parts.iter().zip(1..).map(|(&(from, to), number)| (format!("piece-{number}"), Piece { from, to }));
        spawn(tasks)?;
        info!("planned", pieces = parts.len(), bytes = size);
        Ok(())
    }

    fn run(step: &Step<Config>, task: Task<Piece>) -> Result<Output, Error> {
        let Piece { from, to } = task.input;
        status::progress(0, to - from);
        step.config.drill.go()?;
        let mut file = open(&step.config.file)?;
        let mut counts = Counts::default();
        let mut at = from;
        if let Some(kept) = checkpoint::load::<Checkpoint>()? {
            (at, counts) = (kept.at, kept.counts);
            info!("going on from a checkpoint", at = at);
        } else if from > 0 {
            at = from - 1 + first_word(&read(&mut file, from - 1)?) as u64;
        }
        while at < to {
            if status::cancelled() {
                return Err(Error::fatal(format_args!("cancelled at byte {at}")));
            }
            let block = read(&mut file, at)?;
            let last = at + block.len() as u64 == file.size();
            let whole = whole_words(&block, to - at, last).unwrap_or_else(|| {
                warn!("a word is longer than a block", at = at, block = BLOCK);
                block.len()
            });
            counts.add(&block[..whole]);
            at += whole as u64;
            status::progress(at.min(to) - from, to - from);
            checkpoint::save(&Checkpoint { at, counts: counts.clone() })?;
            debug!("block counted", at = at, words = counts.total());
            if step.config.drill == Drill::Retry && step.attempt == 1 {
                return Err(Error::new("the drill: the first attempt fails").retryable());
            }
        }
        match counts.replaced() {
            0 => {}
            replaced => warn!("not all of it is UTF-8", replaced = replaced),
        }
        info!("counted", words = counts.total(), distinct = counts.distinct());
        let top = counts.top(step.config.top);
        Ok(Output { bytes: to - from, words: counts.total(), distinct: counts.distinct(), top })
    }
}

fn open(name: &str) -> Result<Reader, Error> {
    artifacts::open(Source::File, name).map_err(|error| match error {
        ArtifactError::NotFound(_) => {
            Error::fatal(format_args!("the run has no file `{name}`: start it with --file {name}=PATH"))
        }
        error => error.into(),
    })
}

/// A block of the file from a place on.
fn read(file: &mut Reader, at: u64) -> Result<Vec<u8>, Error> {
    file.seek(SeekFrom::Start(at))?;
    let mut block = Vec::new();
    file.take(BLOCK).read_to_end(&mut block)?;
    Ok(block)
}

export_plugin!(Words);
