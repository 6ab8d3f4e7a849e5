//! Standard output and standard error: what a guest writes there becomes log lines.
//!
//! A line ends at a line break, or where it reaches [`MAX_LINE`]: the rest is a line of its own. Nothing is left out. While the
//! log's buffer is full the stream takes no more, so the guest waits. A line that is a JSON object with a message, as structured
//! loggers write it, becomes one with level and fields.
//!
//! Of a [command](crate::command), standard output is kept as well, or goes to an artifact instead of the log.

mod line;
mod stdin;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::log::{Level, Source};
use bulkhead_engine::attempt::{AttemptHost, FileError};
use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

pub(crate) use self::stdin::{Input, Stdin};
use crate::outcome::Stop;

/// What one write may carry, in bytes.
const MAX_WRITE: usize = 16 << 10;
/// The longest line, in bytes.
const MAX_LINE: usize = 32 << 10;
/// What is kept of standard error's end, for the message of a failure.
const LAST_WORDS: usize = 8 << 10;
/// What waits for an artifact before the guest does, in bytes: no more than one write of an artifact carries.
const MAX_DRAFT: usize = 256 << 10;

/// What becomes of standard output.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kept {
    /// It is logged and forgotten.
    #[default]
    Nothing,
    /// It is logged, and its end is kept: so many bytes at least.
    End { most: usize },
    /// It goes to an artifact, and not to the log.
    Artifact { name: String },
}

/// The standard streams of one attempt.
#[derive(Default)]
pub(crate) struct Stdio {
    /// Absent while a plugin describes itself: its lines then go nowhere.
    host: Option<AttemptHost>,
    stdout: Kept,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last_words: VecDeque<u8>,
    /// Whole lines that the log had no room for.
    waiting: VecDeque<(Source, Arc<str>)>,
    /// What is kept of standard output.
    kept: Vec<u8>,
    /// Its start was let go.
    cut: bool,
    /// What an artifact has not taken yet.
    draft: Vec<u8>,
    /// How much it has taken.
    written: u64,
    /// Why the guest is to end.
    stop: Option<Stop>,
}

impl Stdio {
    pub(crate) fn new(host: Option<AttemptHost>, stdout: Kept) -> Arc<Self> {
        Arc::new(Self { host, stdout, lines: Mutex::default() })
    }

    pub(crate) fn stdout(self: &Arc<Self>) -> Stream {
        Stream { stdio: Arc::clone(self), source: Source::Stdout }
    }

    pub(crate) fn stderr(self: &Arc<Self>) -> Stream {
        Stream { stdio: Arc::clone(self), source: Source::Stderr }
    }

    /// The end of what was written to standard error.
    pub(crate) fn last_words(&self) -> String {
        String::from_utf8_lossy(self.lock().last_words.make_contiguous()).into_owned()
    }

    /// What is kept of standard output, and whether its start is missing.
    pub(crate) fn kept(&self) -> (String, bool) {
        let lines = self.lock();
        (String::from_utf8_lossy(&lines.kept).into_owned(), lines.cut)
    }

    /// The artifact that standard output went to, and its size in bytes.
    pub(crate) fn artifact(&self) -> Option<(&str, u64)> {
        match &self.stdout {
            Kept::Artifact { name } => Some((name, self.lock().written)),
            _ => None,
        }
    }

    /// Refuses to go on where a limit was passed.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.lock().stop.clone().map_or(Ok(()), Err)
    }

    /// Logs lines that have no line break, and what waits. For when the guest has ended.
    pub(crate) async fn finish(&self) {
        {
            let mut lines = self.lock();
            for source in [Source::Stdout, Source::Stderr] {
                let rest = std::mem::take(lines.partial(source));
                if !rest.is_empty() {
                    lines.waiting.push_back((source, String::from_utf8_lossy(&rest).into()));
                }
            }
        }
        self.drain().await;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, source: Source, bytes: &[u8]) {
        let mut lines = self.lock();
        if source == Source::Stderr {
            lines.last_words.extend(bytes);
            let excess = lines.last_words.len().saturating_sub(LAST_WORDS);
            lines.last_words.drain(..excess);
        } else {
            match &self.stdout {
                Kept::Nothing => {}
                &Kept::End { most } => lines.keep(bytes, most),
                Kept::Artifact { .. } => {
                    lines.draft.extend_from_slice(bytes);
                    return;
                }
            }
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let partial = lines.partial(source);
            partial.extend_from_slice(text);
            if ended || partial.len() >= MAX_LINE {
                let mut line = std::mem::take(partial);
                if ended && line.last() == Some(&b'\r') {
                    line.pop();
                }
                let line = String::from_utf8_lossy(&line);
                self.accept(&mut lines, source, &line);
            }
        }
    }

    fn accept(&self, lines: &mut Lines, source: Source, text: &str) {
        let Some(host) = &self.host else { return };
        if lines.waiting.is_empty() {
            let line = Logged::of(host, source, text);
            match host.try_log(line.level, source, &line.message, line.fields.as_deref()) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    lines.stop = Some(Stop::Log(error));
                    return;
                }
            }
        }
        lines.waiting.push_back((source, text.into()));
    }

    async fn drain(&self) {
        let Some(host) = &self.host else { return };
        loop {
            let Some((source, text)) = self.lock().waiting.front().cloned() else { break };
            let line = Logged::of(host, source, &text);
            if let Err(error) = host.log(line.level, source, &line.message, line.fields.as_deref()).await {
                self.lock().stop = Some(Stop::Log(error));
            }
            self.lock().waiting.pop_front();
        }
        if let Kept::Artifact { name } = &self.stdout {
            let draft = std::mem::take(&mut self.lock().draft);
            let written = draft.len() as u64;
            if written > 0 {
                match host.write_artifact(name, draft.into()).await {
                    Ok(()) => self.lock().written += written,
                    Err(FileError::Quota { limit }) => self.lock().stop = Some(Stop::Artifacts { limit }),
                    Err(error) => self.lock().stop = Some(Stop::Host(format!("artifact `{name}`: {error}"))),
                }
            }
        }
    }
}

/// A line as the log takes it.
struct Logged<'a> {
    level: Level,
    message: Cow<'a, str>,
    fields: Option<String>,
}

impl<'a> Logged<'a> {
    fn of(host: &AttemptHost, source: Source, text: &'a str) -> Self {
        let longest = host.step().limits.log_line_bytes;
        match line::parse(text).filter(|line| line.fields.as_ref().is_none_or(|fields| fields.len() as u64 <= longest)) {
            Some(line::Structured { level: of_line, message, fields }) => {
                Self { level: of_line.unwrap_or(level(source)), message: message.into(), fields }
            }
            None => Self { level: level(source), message: text.into(), fields: None },
        }
    }
}

impl Lines {
    const fn partial(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Stderr => &mut self.stderr,
            _ => &mut self.stdout,
        }
    }

    /// Keeps the end of standard output. What is let go is let go in large pieces.
    fn keep(&mut self, bytes: &[u8], most: usize) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > most.saturating_mul(2).max(MAX_WRITE) {
            let excess = self.kept.len() - most;
            // From the next whole line on.
            let start = self.kept[excess..].iter().position(|&byte| byte == b'\n').map_or(excess, |end| excess + end + 1);
            self.kept.drain(..start);
            self.cut = true;
        }
    }
}

const fn level(source: Source) -> Level {
    match source {
        Source::Stderr => Level::Warn,
        _ => Level::Info,
    }
}

/// One handle of a standard stream.
#[derive(Clone)]
pub(crate) struct Stream {
    stdio: Arc<Stdio>,
    source: Source,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // WASI 0.2 does not ask for it.
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.check_write()? {
            return Err(StreamError::trap("more was written than the stream had room for"));
        }
        self.stdio.write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let lines = self.stdio.lock();
        match &lines.stop {
            Some(stop) => Err(StreamError::Trap(stop.clone().into())),
            None if lines.waiting.is_empty() && lines.draft.len() + MAX_WRITE <= MAX_DRAFT => Ok(MAX_WRITE),
            None => Ok(0),
        }
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {
        self.stdio.drain().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_bounded() {
        let stdio = Stdio::new(None, Kept::Nothing);
        for _ in 0..10 {
            stdio.write(Source::Stderr, &[b'x'; MAX_WRITE]);
        }
        stdio.write(Source::Stderr, b"the end");
        let last_words = stdio.last_words();
        assert_eq!(last_words.len(), LAST_WORDS);
        assert!(last_words.ends_with("the end"));
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let stdio = Stdio::new(None, Kept::Nothing);
        for _ in 0..10 {
            stdio.write(Source::Stdout, &[b'x'; MAX_WRITE]);
            assert!(stdio.lock().stdout.len() < MAX_LINE);
        }
    }

    #[test]
    fn the_end_of_standard_output_is_kept_in_whole_lines() {
        let stdio = Stdio::new(None, Kept::End { most: 20_000 });
        stdio.write(Source::Stdout, b"short\n");
        assert_eq!(stdio.kept(), ("short\n".to_owned(), false));
        for number in 0..10_000 {
            stdio.write(Source::Stdout, format!("line {number}\n").as_bytes());
        }
        let (text, cut) = stdio.kept();
        assert!(cut && text.starts_with("line ") && text.ends_with("line 9999\n"), "{}", &text[..40]);
        assert!((19_000..=40_000).contains(&text.len()), "{}", text.len());
    }
}
