//! The routes, one file for each resource.

pub(crate) mod bulk;
pub(crate) mod definitions;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod hooks;
pub(crate) mod letters;
pub(crate) mod logs;
pub(crate) mod orders;
pub(crate) mod outputs;
pub(crate) mod plugins;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod selection;
pub(crate) mod system;
pub(crate) mod tasks;
pub(crate) mod timeline;
pub(crate) mod tokens;
pub(crate) mod trigger;
pub(crate) mod wait;
pub(crate) mod watch;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::model::Page;

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page of what was read with one item more than it may have: the item more says that there is a next page.
pub(crate) fn page<T, U>(mut read: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String, item: impl Fn(&T) -> U) -> Page<U> {
    let more = read.len() > limit;
    read.truncate(limit);
    let next = if more { read.last().map(cursor) } else { None };
    Page { items: read.iter().map(item).collect(), next }
}

/// A quoted entity tag.
pub(crate) fn entity_tag(tag: impl std::fmt::Display) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{tag}\"")).ok()
}
