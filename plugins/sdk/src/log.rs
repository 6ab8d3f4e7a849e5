//! The plugin's log: [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error).
//!
//! A line is a text with structured fields. Fields are named after the text and may be used in it; anything that serde can
//! write is a value. Positional arguments work as in [`format!`], with the fields after a semicolon:
//!
//! ```no_run
//! # use bulkhead_plugin::{info, warn};
//! # let (url, status) = ("/", 200);
//! info!("started");
//! info!("crawled {url}", depth = 3, status = status);
//! info!("{pages} pages left", pages = 17);
//! warn!("{} answered {}", url, status; url = url, retry = true);
//! ```
//!
//! The host numbers each line and stores it before anybody sees it. Writing waits while the host's buffer is full; lines past the
//! step's quota are counted and suppressed.

use std::fmt;

use serde::Serialize;

use crate::bindings::bulkhead::plugin::log as host;
pub use crate::bindings::bulkhead::plugin::log::Level;

/// Writes one line without fields. The macros call it.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    write_text(level, message, "");
}

/// Writes one line with fields. The macros call it.
pub fn write_with(level: Level, message: fmt::Arguments<'_>, fields: Fields) {
    write_text(level, message, &fields.finish());
}

fn write_text(level: Level, message: fmt::Arguments<'_>, fields: &str) {
    match message.as_str() {
        Some(text) => host::write(level, text, fields),
        None => host::write(level, &message.to_string(), fields),
    }
}

/// A line's structured fields: a JSON object in the making.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    object: Vec<u8>,
}

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Fields::default()
    }

    /// Adds a field. A value that cannot be written as JSON (a map whose keys are no text, for instance) becomes null.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.object.push(if self.object.is_empty() { b'{' } else { b',' });
        self.append(name);
        self.object.push(b':');
        self.append(value);
        self
    }

    fn append(&mut self, value: &(impl Serialize + ?Sized)) {
        let before = self.object.len();
        if serde_json::to_writer(&mut self.object, value).is_err() {
            self.object.truncate(before);
            self.object.extend_from_slice(b"null");
        }
    }

    fn finish(mut self) -> String {
        if !self.object.is_empty() {
            self.object.push(b'}');
        }
        String::from_utf8(self.object).expect("serde_json writes UTF-8")
    }
}

/// Writes a line at a [`Level`](crate::log::Level): `log!(level, "text", field = value)`. See the [module](mod@crate::log).
#[macro_export]
macro_rules! log {
    ($level:expr, $text:literal $(,)?) => {
        $crate::log::write($level, ::std::format_args!($text))
    };
    ($level:expr, $text:literal $(, $field:ident = $value:expr)+ $(,)?) => {
        match ($(&$value,)+) {
            #[allow(unused_variables, reason = "a field need not occur in the text")]
            ($($field,)+) => $crate::log::write_with(
                $level,
                ::std::format_args!($text),
                $crate::log::Fields::new()$(.with(::std::stringify!($field), $field))+,
            ),
        }
    };
    ($level:expr, $text:literal $(, $argument:expr)+ $(,)?) => {
        $crate::log::write($level, ::std::format_args!($text $(, $argument)+))
    };
    ($level:expr, $text:literal $(, $argument:expr)*; $($field:ident = $value:expr),+ $(,)?) => {
        $crate::log::write_with(
            $level,
            ::std::format_args!($text $(, $argument)*),
            $crate::log::Fields::new()$(.with(::std::stringify!($field), &$value))+,
        )
    };
}

/// Writes a line for whoever debugs the plugin. See the [module](mod@crate::log).
#[macro_export]
macro_rules! debug { ($($line:tt)+) => { $crate::log!($crate::log::Level::Debug, $($line)+) }; }

/// Writes a line that says what happened. See the [module](mod@crate::log).
#[macro_export]
macro_rules! info { ($($line:tt)+) => { $crate::log!($crate::log::Level::Info, $($line)+) }; }

/// Writes a line about what may need a look. See the [module](mod@crate::log).
#[macro_export]
macro_rules! warn { ($($line:tt)+) => { $crate::log!($crate::log::Level::Warn, $($line)+) }; }

/// Writes a line about what went wrong. See the [module](mod@crate::log).
#[macro_export]
macro_rules! error { ($($line:tt)+) => { $crate::log!($crate::log::Level::Error, $($line)+) }; }

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn no_fields_are_the_empty_string() {
        assert_eq!(Fields::new().finish(), "");
    }

    #[test]
    fn fields_are_one_json_object() {
        let fields = Fields::new().with("depth", &3).with("url", "a \"b\"").with("seen", &[true, false]);
        assert_eq!(fields.finish(), r#"{"depth":3,"url":"a \"b\"","seen":[true,false]}"#);
    }

    #[test]
    fn what_is_no_json_becomes_null() {
        let map = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert_eq!(Fields::new().with("map", &map).with("more", &1).finish(), r#"{"map":null,"more":1}"#);
    }
}
