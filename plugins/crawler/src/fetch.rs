//! What the crawler needs of the network, so that all but one small file of it is tested without one.

use std::fmt;
use std::io::Read;
use std::time::{Duration, Instant};

use bulkhead_plugin::prelude::*;
use url::Url;

/// What the crawler needs of its host.
pub(crate) trait Web {
    /// Asks for one address with GET and gives the answer's head, its body still to be read. Redirects are answers.
    fn get(&self, url: &Url, deadline: Deadline) -> Result<Answer, FetchError>;

    /// Waits before a request, unless the task is to end.
    fn pause(&self, delay: Duration) -> Result<(), Error>;

    /// Says in the log what may need a look.
    fn warn(&self, text: fmt::Arguments<'_>);
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, values as far as they are text.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Box<dyn Read>,
}

impl Answer {
    /// The first header of a name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim())
    }

    /// All headers of a name in lower case.
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.trim())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The definition does not grant the host.
    Denied(String),
    /// Anything that may pass: no connection, a time-out, an answer that is no HTTP.
    Failed(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Denied(why) | FetchError::Failed(why) => f.write_str(why),
        }
    }
}

/// When an exchange has to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Deadline { start: Instant::now(), limit }
    }

    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::io::Cursor;

    use super::*;

    /// A web in memory. What it does not have is 404.
    pub(crate) struct Site {
        replies: HashMap<String, Reply>,
        requests: RefCell<Vec<String>>,
        pauses: RefCell<Vec<Duration>>,
    }

    #[derive(Clone)]
    pub(crate) struct Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    }

    pub(crate) fn reply(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        let reply = Reply { status, headers: Vec::new(), body: body.as_ref().to_vec() };
        if content_type.is_empty() { reply } else { reply.with("content-type", content_type) }
    }

    impl Reply {
        pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
            self.headers.push((name.to_owned(), value.to_owned()));
            self
        }
    }

    impl Site {
        pub(crate) fn new<'a>(replies: impl IntoIterator<Item = (&'a str, Reply)>) -> Self {
            let replies = replies.into_iter().map(|(url, reply)| (url.to_owned(), reply)).collect();
            Site { replies, requests: RefCell::default(), pauses: RefCell::default() }
        }

        /// What was asked for, in order.
        pub(crate) fn requests(&self) -> Vec<String> {
            self.requests.borrow().clone()
        }

        /// How long was waited, each time.
        pub(crate) fn pauses(&self) -> Vec<Duration> {
            self.pauses.borrow().clone()
        }
    }

    impl Web for Site {
        fn get(&self, url: &Url, _: Deadline) -> Result<Answer, FetchError> {
            self.requests.borrow_mut().push(url.to_string());
            match url.host_str() {
                Some("denied.org") => return Err(FetchError::Denied("the host denied.org is denied".into())),
                Some("gone.org") => return Err(FetchError::Failed("no connection to gone.org".into())),
                _ => {}
            }
            let Reply { status, headers, body } = self.replies.get(url.as_str()).cloned().unwrap_or_else(|| reply(404, "", ""));
            Ok(Answer { status, headers, body: Box::new(Cursor::new(body)) })
        }

        fn pause(&self, delay: Duration) -> Result<(), Error> {
            self.pauses.borrow_mut().push(delay);
            Ok(())
        }

        fn warn(&self, text: fmt::Arguments<'_>) {
            println!("{text}");
        }
    }
}
