//! `log`: lines, without a hop where the buffer has room.

use std::borrow::Cow;

use bulkhead_core::log::{Level, Source};

use crate::bindings::bulkhead::plugin::log;
use crate::json;
use crate::outcome::Stop;
use crate::state::State;

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String, fields: String) -> wasmtime::Result<()> {
        self.count_call()?;
        let Some(host) = &self.host else { return Ok(()) };
        let fields = acceptable(&fields, host.step().limits.log_line_bytes);
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let fields = fields.as_deref();
        if !host.try_log(level, Source::Plugin, &message, fields).map_err(Stop::Log)? {
            host.log(level, Source::Plugin, &message, fields).await.map_err(Stop::Log)?;
        }
        Ok(())
    }
}

/// The fields of a line, if it has any. A line is never lost for its fields: where they are no JSON object, or longer than a
/// message may be, a remark takes their place.
fn acceptable(fields: &str, longest: u64) -> Option<Cow<'_, str>> {
    if fields.is_empty() {
        return None;
    }
    if fields.len() as u64 > longest {
        return Some(format!("{{\"fields_too_long\":{}}}", fields.len()).into());
    }
    Some(match json::check_object(fields) {
        Ok(()) => Cow::Borrowed(fields),
        Err(error) => serde_json::json!({ "fields_invalid": error.to_string() }).to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_no_object_are_replaced_by_a_remark() {
        assert_eq!(acceptable("", 64), None);
        assert_eq!(acceptable("{\"a\":1}", 64).as_deref(), Some("{\"a\":1}"));
        assert!(acceptable("[1]", 64).unwrap().starts_with("{\"fields_invalid\":"));
        assert_eq!(acceptable("{\"a\":1}", 3).as_deref(), Some("{\"fields_too_long\":7}"));
    }
}
