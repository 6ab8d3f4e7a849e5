//! Standard output and standard error: what a guest writes there becomes log lines.
//!
//! A line ends at a line break, or where it reaches [`MAX_LINE`]: the rest is a line of its own. Nothing is left out. While the
//! log's buffer is full the stream takes no more, so the guest waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_core::log::{Level, Source};
use bulkhead_engine::attempt::{AttemptHost, LogQuotaPassed};
use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::outcome::Stop;

/// What one write may carry, in bytes.
const MAX_WRITE: usize = 16 << 10;
/// The longest line, in bytes.
const MAX_LINE: usize = 32 << 10;
/// What is kept of standard error's end, for the message of a failure.
const LAST_WORDS: usize = 8 << 10;

/// The standard streams of one attempt.
#[derive(Default)]
pub(crate) struct Stdio {
    /// Absent while a plugin describes itself: its lines then go nowhere.
    host: Option<AttemptHost>,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last_words: VecDeque<u8>,
    /// Whole lines that the log had no room for.
    waiting: VecDeque<(Source, Arc<str>)>,
    refused: Option<LogQuotaPassed>,
}

impl Stdio {
    pub(crate) fn new(host: Option<AttemptHost>) -> Arc<Self> {
        Arc::new(Self { host, lines: Mutex::default() })
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

    fn accept(&self, lines: &mut Lines, source: Source, line: &str) {
        let Some(host) = &self.host else { return };
        if lines.waiting.is_empty() {
            match host.try_log(level(source), source, line, None) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    lines.refused = Some(error);
                    return;
                }
            }
        }
        lines.waiting.push_back((source, line.into()));
    }

    async fn drain(&self) {
        let Some(host) = &self.host else { return };
        loop {
            let Some((source, line)) = self.lock().waiting.front().cloned() else { return };
            if let Err(error) = host.log(level(source), source, &line, None).await {
                self.lock().refused = Some(error);
            }
            self.lock().waiting.pop_front();
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
        match lines.refused {
            Some(refused) => Err(StreamError::Trap(Stop::Log(refused).into())),
            None if lines.waiting.is_empty() => Ok(MAX_WRITE),
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
        let stdio = Stdio::new(None);
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
        let stdio = Stdio::new(None);
        for _ in 0..10 {
            stdio.write(Source::Stdout, &[b'x'; MAX_WRITE]);
            assert!(stdio.lock().stdout.len() < MAX_LINE);
        }
    }
}
