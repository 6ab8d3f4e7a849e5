//! Streams over a file. Nothing of them waits.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::content::Content;

/// What one read or write carries at most, in bytes.
pub(super) const MAX_TRANSFER: usize = 64 << 10;

/// Reads from a place on.
pub(super) struct Reader {
    pub(super) content: Arc<Content>,
    pub(super) position: u64,
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.content.read(self.position, size.min(MAX_TRANSFER));
        if bytes.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        self.position += bytes.len() as u64;
        Ok(bytes.into())
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

/// Writes from a place on, or at the end.
pub(super) struct Writer {
    pub(super) content: Arc<Content>,
    /// Absent where it appends.
    pub(super) position: Option<u64>,
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_TRANSFER {
            return Err(StreamError::trap("more was written than the stream had room for"));
        }
        let written = match &mut self.position {
            Some(position) => self.content.write(*position, &bytes).inspect(|&written| *position += written as u64),
            None => self.content.append(&bytes),
        };
        match written {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err(StreamError::LastOperationFailed(ErrorCode::InsufficientSpace.into())),
            Err(code) => Err(StreamError::LastOperationFailed(code.into())),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_TRANSFER)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}
