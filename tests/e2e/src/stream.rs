//! A reader of server-sent events, as slow as a test wants it.

use std::collections::VecDeque;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamEvent {
    /// Its `id`.
    pub id: Option<String>,
    /// Its `event`; `message` where it has none.
    pub name: String,
    /// Its `data`.
    pub data: Value,
}

/// A stream of events that is being read.
pub struct EventStream {
    chunks: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: Vec<u8>,
    event: StreamEvent,
    data: String,
    events: VecDeque<StreamEvent>,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let chunks = response.bytes_stream().boxed();
        Self { chunks, rest: Vec::new(), event: StreamEvent::default(), data: String::new(), events: VecDeque::new() }
    }

    /// The next event; none where the stream has ended.
    ///
    /// # Panics
    /// Where an event's data is no JSON.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let chunk = self.chunks.next().await?.ok()?;
            self.rest.extend_from_slice(&chunk);
            let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
                continue;
            };
            let rest = self.rest.split_off(end + 1);
            let whole = std::mem::replace(&mut self.rest, rest);
            let whole = std::str::from_utf8(&whole).expect("a stream is UTF-8");
            whole.lines().for_each(|line| self.take(line));
        }
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
            if !data.is_empty() {
                let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("`{data}` is no JSON: {error}"));
                let name = if event.name.is_empty() { "message".to_owned() } else { event.name };
                self.events.push_back(StreamEvent { data, name, ..event });
            }
            return;
        }
        match line.split_once(": ") {
            Some(("id", id)) => self.event.id = Some(id.to_owned()),
            Some(("event", name)) => self.event.name = name.to_owned(),
            Some(("data", data)) => self.data.push_str(data),
            // A heartbeat, or what a later version may add.
            _ => {}
        }
    }

    /// The numbers of all lines from here to the run's end.
    ///
    /// # Panics
    /// Where the stream breaks off before the run has ended.
    pub async fn lines_to_end(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(event) = self.next().await {
            match event.name.as_str() {
                "message" => lines.push(event.data),
                "end" => return lines,
                _ => {}
            }
        }
        panic!("the stream broke off after {} lines", lines.len());
    }
}
