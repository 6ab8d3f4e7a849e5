//! The network, as the host grants it.

use std::fmt;
use std::time::Duration;

use bulkhead_plugin::prelude::*;
use url::Url;

use crate::config::Settings;
use crate::fetch::{Answer, Deadline, FetchError, Web};

pub(crate) struct Net<'a> {
    user_agent: &'a str,
}

impl<'a> Net<'a> {
    pub(crate) fn new(settings: &'a Settings<'_>) -> Self {
        Net { user_agent: &settings.config.user_agent }
    }
}

impl Web for Net<'_> {
    fn get(&self, _: &Url, _: Deadline) -> Result<Answer, FetchError> {
        Err(FetchError::Failed(self.user_agent.into()))
    }

    fn pause(&self, delay: Duration) -> Result<(), Error> {
        Ok(sleep(delay)?)
    }

    fn warn(&self, text: fmt::Arguments<'_>) {
        warn!("{text}");
    }
}
