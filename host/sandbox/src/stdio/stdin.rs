//! Standard input: some bytes, or a file or artifact, which is read piece by piece as the guest reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bulkhead_engine::attempt::{AttemptHost, FileSource};
use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use crate::outcome::Stop;

/// What is read of a file at once, in bytes.
const PIECE: usize = 256 << 10;

/// What standard input gives.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// These bytes.
    Bytes(Bytes),
    /// The content of a file or an artifact.
    File { of: FileSource, name: String },
}

/// Standard input. All handles share one position.
#[derive(Clone)]
pub(crate) struct Stdin {
    host: Option<AttemptHost>,
    file: Option<(FileSource, String)>,
    place: Arc<Mutex<Place>>,
}

struct Place {
    /// What was read and the guest did not take yet.
    piece: Bytes,
    /// Where the next piece begins.
    offset: u64,
    ended: bool,
    failed: Option<String>,
}

impl Stdin {
    pub(crate) fn new(host: Option<AttemptHost>, input: Input) -> Self {
        let (piece, file) = match input {
            Input::Bytes(bytes) => (bytes, None),
            Input::File { of, name } => (Bytes::new(), Some((of, name))),
        };
        let place = Place { piece, offset: 0, ended: file.is_none(), failed: None };
        Self { host, file, place: Arc::new(Mutex::new(place)) }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        // WASI 0.2 does not ask for it.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut place = self.place();
        if let Some(reason) = place.failed.take() {
            return Err(StreamError::Trap(Stop::Host(reason).into()));
        }
        if place.piece.is_empty() && place.ended {
            return Err(StreamError::Closed);
        }
        let size = size.min(place.piece.len());
        Ok(place.piece.split_to(size))
    }
}

#[async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        let (Some(host), Some((of, name))) = (&self.host, &self.file) else { return };
        let offset = {
            let place = self.place();
            if !place.piece.is_empty() || place.ended || place.failed.is_some() {
                return;
            }
            place.offset
        };
        let read = host.read_file(of, name, offset, PIECE).await;
        let mut place = self.place();
        match read {
            Ok(piece) => {
                place.ended = piece.is_empty();
                place.offset += piece.len() as u64;
                place.piece = piece;
            }
            Err(error) => place.failed = Some(format!("its standard input could not be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_read_to_their_end_by_all_handles_together() {
        let stdin = Stdin::new(None, Input::Bytes(Bytes::from_static(b"hello")));
        let (mut one, mut other) = (stdin.p2_stream(), stdin.p2_stream());
        one.ready().await;
        assert_eq!(&one.read(2).unwrap()[..], b"he");
        assert_eq!(&other.read(10).unwrap()[..], b"llo");
        assert!(matches!(one.read(1), Err(StreamError::Closed)));
    }
}
