//! Server-sent events (WHATWG HTML, 9.2): from bytes to events. No I/O.

/// The longest event, in bytes: a log line at its limit with its fields, several times over.
const MAX_EVENT_LEN: usize = 8 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its `id`, where it has one.
    pub(crate) id: Option<String>,
    /// Its `event`; `message` where it has none.
    pub(crate) name: String,
    /// Its `data`, lines joined by newlines.
    pub(crate) data: String,
}

/// An event is longer than any that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {MAX_EVENT_LEN} bytes")]
pub(crate) struct TooLong;

/// Reads events out of chunks of a stream. What a broken connection leaves half-finished is dropped with the parser.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are known to hold no newline.
    searched: usize,
    event: Event,
    has_data: bool,
    last_id: Option<String>,
}

impl Parser {
    /// Adds a chunk and gives the events that it completes.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Event>, TooLong> {
        self.buffer.extend_from_slice(chunk);
        let mut events = Vec::new();
        let mut start = 0;
        while let Some(length) = self.buffer[start.max(self.searched)..].iter().position(|&byte| byte == b'\n') {
            let end = start.max(self.searched) + length;
            let line = self.buffer[start..end].strip_suffix(b"\r").unwrap_or(&self.buffer[start..end]);
            let line = String::from_utf8_lossy(line).into_owned();
            events.extend(self.line(&line));
            start = end + 1;
            self.searched = start;
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        if self.buffer.len() + self.event.data.len() > MAX_EVENT_LEN { Err(TooLong) } else { Ok(events) }
    }

    /// The id to go on after: the last one of what [`Self::feed`] gave.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // What has no data is no event, but its id counts all the same.
            if event.id.is_some() {
                self.last_id.clone_from(&event.id);
            }
            return std::mem::take(&mut self.has_data)
                .then(|| Event { name: if event.name.is_empty() { "message".to_owned() } else { event.name }, ..event });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "event" => self.event.name = value.to_owned(),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            // A comment (its field is empty), `retry`, or what a later version may add.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b":\n\nid: 7\nevent: log\ndata: {\"a\":1}\n\ndata: x\r\ndata: y\r\n\r\nid: 8\n\nid: 9\nda";

    fn event(id: Option<&str>, name: &str, data: &str) -> Event {
        Event { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let expected = [event(Some("7"), "log", "{\"a\":1}"), event(None, "message", "x\ny")];
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = STREAM.chunks(size).flat_map(|chunk| parser.feed(chunk).unwrap_or_default()).collect();
            assert_eq!(events, expected, "in chunks of {size}");
            assert_eq!(parser.last_id(), Some("8"), "in chunks of {size}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        assert!((0..1_000).any(|_| parser.feed(&[b'x'; 64 * 1024]) == Err(TooLong)));
    }
}
