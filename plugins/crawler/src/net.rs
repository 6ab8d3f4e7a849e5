//! The network, as the host grants it.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use bulkhead_plugin::http::{self, Body, HttpError};
use bulkhead_plugin::prelude::*;
use url::{Position, Url};

use crate::config::Settings;
use crate::fetch::{Answer, Deadline, FetchError, Web};

/// What the crawler likes to get, and what else it takes.
const ACCEPT: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.5";
const ACCEPT_ENCODING: &str = "gzip, deflate";

pub(crate) struct Net<'a> {
    user_agent: &'a str,
}

impl<'a> Net<'a> {
    pub(crate) fn new(settings: &'a Settings<'_>) -> Self {
        Net { user_agent: &settings.config.user_agent }
    }
}

impl Web for Net<'_> {
    fn get(&self, url: &Url, deadline: Deadline) -> Result<Answer, FetchError> {
        let left = deadline.left();
        let request = http::get(&url[..Position::AfterQuery])
            .header("user-agent", self.user_agent)
            .header("accept", ACCEPT)
            .header("accept-encoding", ACCEPT_ENCODING)
            .connect_timeout(left)
            .first_byte_timeout(left)
            .between_bytes_timeout(left);
        let response = request.send().map_err(|error| match error {
            HttpError::Denied => FetchError::Denied(format!("{url}: {error}")),
            error => FetchError::Failed(error.to_string()),
        })?;
        let text = |(name, value): &(String, Vec<u8>)| (name.to_ascii_lowercase(), String::from_utf8_lossy(value).into_owned());
        let headers = response.headers().iter().map(text).collect();
        Ok(Answer { status: response.status(), headers, body: Box::new(Content(response.into_body())) })
    }

    fn pause(&self, delay: Duration) -> Result<(), Error> {
        Ok(sleep(delay)?)
    }

    fn warn(&self, text: fmt::Arguments<'_>) {
        warn!("{text}");
    }
}

/// A body whose time-outs are known as such.
struct Content(Body);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(HttpError::TimedOut(_)) => io::Error::new(io::ErrorKind::TimedOut, error),
            _ => error,
        })
    }
}
