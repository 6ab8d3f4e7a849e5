//! The web console: files that are part of the binary. The page asks the API like any other client, so it may do what its token
//! may, and these files tell nobody anything.
//!
//! A debug build reads the files from the source tree, so whoever works on the console needs no build, only a reload.

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use crate::cursor::base64url;
use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// Where the files are served. The page names them below `/console/~EDITION/`, which changes with any of them: so a browser that has
/// them asks for none again.
const FILES: &str = "/console/";
/// What stands before an edition.
const EDITION: char = '~';
/// The page's path among the files.
const PAGE: &str = "index.html";

#[derive(RustEmbed)]
#[folder = "console"]
struct Files;

/// The addresses of the page: it shows what the address names.
pub(crate) const PAGES: &[&str] = &[
    "/",
    "/runs",
    "/runs/{id}",
    "/definitions",
    "/definitions/{id}",
    "/plugins",
    "/plugins/{name}",
    "/schedules",
    "/schedules/{id}",
    "/dead-letters",
    "/dead-letters/{id}",
    "/artifacts",
    "/settings",
];

/// The address of a file.
pub(crate) const FILE: &str = "/console/{*file}";

/// The routes of the page and its files.
pub(crate) fn routes() -> Router<ApiState> {
    PAGES.iter().fold(Router::new().route(FILE, get(file)), |router, path| router.route(path, get(page)))
}

async fn page(headers: HeaderMap) -> Response {
    let text = page_text(&edition(true));
    let policy = policy(import_map(&text));
    answer(PAGE, text.into_bytes(), &policy, false, &headers).unwrap_or_else(IntoResponse::into_response)
}

async fn file(request: Request) -> Response {
    let path = request.uri().path().strip_prefix(FILES).unwrap_or_default();
    // Another edition's file has another content: a page of it gets what there is, and does not keep it.
    let (path, lasts) = match path.strip_prefix(EDITION).and_then(|path| path.split_once('/')) {
        Some((named, path)) => (path, named == edition(false)),
        None => (path, false),
    };
    let file = Files::get(path).ok_or_else(|| missing(path));
    let answer = file.and_then(|file| answer(path, file.data.into_owned(), &policy(None), lasts, request.headers()));
    answer.unwrap_or_else(IntoResponse::into_response)
}

fn missing(path: &str) -> ApiError {
    ApiError::new(ProblemKind::UnknownRoute, format!("the console has no file `{path}`"))
}

/// A name for what all files hold; of what they held when a page was last asked for, unless it is to be looked at anew.
fn edition(anew: bool) -> String {
    static KNOWN: Mutex<Option<String>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // The files of a release are part of it. Those of a debug build change while it runs.
    if known.is_none() || anew && cfg!(debug_assertions) {
        let mut hasher = Sha256::new();
        for path in Files::iter() {
            let file = Files::get(&path).map(|file| file.metadata.sha256_hash()).unwrap_or_default();
            hasher.update(path.as_bytes());
            hasher.update(file);
        }
        *known = Some(base64url(&hasher.finalize()[..12]));
    }
    known.clone().unwrap_or_default()
}

/// The page, which names the files of an edition.
fn page_text(edition: &str) -> String {
    let page = Files::get(PAGE).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
    page.replace(&format!("\"{FILES}"), &format!("\"{FILES}{EDITION}{edition}/"))
}

fn answer(path: &str, content: Vec<u8>, policy: &str, lasts: bool, headers: &HeaderMap) -> ApiResult<Response> {
    let media_type = media_type(path).ok_or_else(|| missing(path))?;
    let tag = format!("\"{}\"", base64url(&Sha256::digest(&content)));
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let cache = if lasts { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if same { axum::http::StatusCode::NOT_MODIFIED.into_response() } else { content.into_response() };
    let answered = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, cache),
        (header::ETAG, &tag),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            answered.insert(name, value);
        }
    }
    Ok(response)
}

/// What the page may do: use its own files only, and the one import map that it has in itself.
fn policy(map: Option<&str>) -> String {
    let map = map.map(|map| {
        let digest = base64url(&Sha256::digest(map)).replace('-', "+").replace('_', "/");
        format!(" 'sha256-{digest}='")
    });
    format!(
        "default-src 'none'; script-src 'self'{}; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types console",
        map.unwrap_or_default()
    )
}

fn import_map(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<script type=\"importmap\">")?;
    rest.split_once("</script>").map(|(map, _)| map)
}

fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_media_type_and_the_page_a_map() {
        for path in Files::iter() {
            assert!(media_type(&path).is_some(), "{path}");
        }
        let page = page_text("e");
        let map: serde_json::Value = serde_json::from_str(import_map(&page).unwrap()).unwrap();
        for target in map["imports"].as_object().unwrap().values() {
            let target = target.as_str().unwrap().strip_prefix("/console/~e/").unwrap();
            assert!(Files::get(target).is_some(), "{target}");
        }
        assert!(policy(import_map(&page)).contains("script-src 'self' 'sha256-"));
        assert!(!page.contains("\"/console/lib"), "every file is named with its edition");
    }
}
