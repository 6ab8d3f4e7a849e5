//! The web console: files that are part of the binary. The page asks the API like any other client, so it may do what its token
//! may, and these files tell nobody anything.
//!
//! A debug build reads the files from the source tree, so whoever works on the console needs no build, only a reload.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use serde::Deserialize;
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
/// The module that begins, and the comment of the page that the names of its modules take the place of.
const APP: &str = "app.js";
const MODULES: &str = "    <!-- modules -->\n";

#[derive(RustEmbed)]
#[folder = "console"]
struct Files;

/// What stands before the import map.
const IMPORT_MAP: &str = "<script type=\"importmap\">";
/// How the page names a script that is no module.
const CLASSIC: &str = "<script src=\"/console/";
/// How the page names a style sheet.
const SHEET: &str = "<link rel=\"stylesheet\" href=\"/console/";
/// What shows a run's newest lines before the page's modules are there, and the page that has it.
const FIRST: &str = "log/first.js";
const FIRST_OF: &str = "pages/run.js";

/// The addresses of the page, and the module of what it shows there.
pub(crate) const PAGES: &[(&str, &str)] = &[
    ("/", "pages/overview.js"),
    ("/runs", "pages/runs.js"),
    ("/runs/{id}", FIRST_OF),
    ("/definitions", "pages/definitions.js"),
    ("/definitions/{id}", "pages/definition.js"),
    ("/plugins", "pages/plugins.js"),
    ("/plugins/{name}", "pages/plugin.js"),
    ("/schedules", "pages/schedules.js"),
    ("/schedules/{id}", "pages/schedules.js"),
    ("/dead-letters", "pages/dead-letters.js"),
    ("/dead-letters/{id}", "pages/dead-letters.js"),
    ("/hooks", "pages/hooks.js"),
    ("/hooks/{name}", "pages/hooks.js"),
    ("/artifacts", "pages/artifacts.js"),
    ("/settings", "pages/settings.js"),
];

/// The address of a file.
pub(crate) const FILE: &str = "/console/{*file}";

/// The routes of the page and its files.
pub(crate) fn routes() -> Router<ApiState> {
    PAGES.iter().fold(Router::new().route(FILE, get(file)), |router, &(path, module)| {
        router.route(path, get(async move |headers: HeaderMap| page(module, &headers)))
    })
}

fn page(module: &str, headers: &HeaderMap) -> Response {
    let text = page_text(&edition(true), module);
    let policy = policy(&text);
    answer(PAGE, text.into_bytes(), &policy, false, headers).unwrap_or_else(IntoResponse::into_response)
}

async fn file(request: Request) -> Response {
    let path = request.uri().path().strip_prefix(FILES).unwrap_or_default();
    // Another edition's file has another content: a page of it gets what there is, and does not keep it.
    let (path, lasts) = match path.strip_prefix(EDITION).and_then(|path| path.split_once('/')) {
        Some((named, path)) => (path, named == edition(false)),
        None => (path, false),
    };
    let file = Files::get(path).ok_or_else(|| missing(path));
    let answer = file.and_then(|file| answer(path, file.data.into_owned(), &policy(""), lasts, request.headers()));
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

/// The page, which names the files of an edition. It names every module that it will need first: so the browser asks for all of
/// them at once, instead of for what one imports when it has that one. They wait for what is seen before them. Scripts that are no
/// modules and style sheets are part of the page: they ask for something, or say how everything looks, before there is anything
/// else, and wait for none of the connections that a browser opens.
fn page_text(edition: &str, module: &str) -> String {
    let mut page = text(PAGE);
    for (named, end, inside) in [(CLASSIC, "\"></script>", "script"), (SHEET, "\">", "style")] {
        while let Some((before, rest)) = page.split_once(named)
            && let Some((path, after)) = rest.split_once(end)
        {
            page = format!("{before}<{inside}>{}</{inside}>{after}", text(path));
        }
    }
    let first = if module == FIRST_OF { modules(&[FIRST], &page) } else { Vec::new() };
    let mut named = String::new();
    for module in &first {
        let _ = writeln!(named, "    <link rel=\"modulepreload\" href=\"{FILES}{module}\">");
    }
    for module in modules(&[APP, module], &page).iter().filter(|module| !first.contains(module)) {
        let _ = writeln!(named, "    <link rel=\"modulepreload\" fetchpriority=\"low\" href=\"{FILES}{module}\">");
    }
    let page = page.replace(MODULES, &named);
    ['"', '\'']
        .iter()
        .fold(page, |page, quote| page.replace(&format!("{quote}{FILES}"), &format!("{quote}{FILES}{EDITION}{edition}/")))
}

/// Modules, and all that they import, each once.
fn modules(first: &[&str], page: &str) -> Vec<String> {
    let names = import_map(page).and_then(|map| serde_json::from_str::<ImportMap>(map).ok()).unwrap_or_default().imports;
    let mut modules: Vec<String> = first.iter().map(|&module| module.to_owned()).collect();
    let mut next = 0;
    while let Some(module) = modules.get(next).cloned() {
        next += 1;
        for name in imports(&text(&module)) {
            let path = match names.get(name) {
                Some(address) => address.strip_prefix(FILES).unwrap_or_default().to_owned(),
                None => beside(&module, name),
            };
            if !modules.contains(&path) {
                modules.push(path);
            }
        }
    }
    modules
}

#[derive(Default, Deserialize)]
struct ImportMap {
    imports: BTreeMap<String, String>,
}

/// What a module names in the `import` and `export … from` statements that its formatter lays out. Those of a library, which stand
/// elsewhere, name what the console's own modules name, too.
fn imports(module: &str) -> impl Iterator<Item = &str> {
    module.lines().filter_map(|line| {
        let statement = ["import ", "export ", "} from "].iter().any(|start| line.starts_with(start));
        let (head, name) = line.strip_suffix("';")?.rsplit_once('\'')?;
        (statement && (head.ends_with("from ") || head == "import ")).then_some(name)
    })
}

/// The path that a module means by a relative one.
fn beside(module: &str, name: &str) -> String {
    let mut path: Vec<&str> = module.split('/').collect();
    path.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

/// The text of a file; empty where there is none.
fn text(path: &str) -> String {
    Files::get(path).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default()
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

/// What a page may do: use files of its own, and the scripts, style sheets and import map that it has in itself.
fn policy(page: &str) -> String {
    let (scripts, sheets) = (digests(page, &["<script>", IMPORT_MAP], "</script>"), digests(page, &["<style>"], "</style>"));
    format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{sheets}; img-src 'self' data:; connect-src 'self'; worker-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types console"
    )
}

/// The digests of what stands in a page between one of the starts and the end, as a policy names them.
fn digests(page: &str, starts: &[&str], end: &str) -> String {
    let inside = starts.iter().flat_map(|start| page.split(start).skip(1));
    inside.filter_map(|rest| rest.split_once(end)).fold(String::new(), |mut digests, (inside, _)| {
        let digest = base64url(&Sha256::digest(inside)).replace('-', "+").replace('_', "/");
        let _ = write!(digests, " 'sha256-{digest}='");
        digests
    })
}

fn import_map(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(IMPORT_MAP)?;
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
        let page = page_text("e", "pages/run.js");
        let map: ImportMap = serde_json::from_str(import_map(&page).unwrap()).unwrap();
        for target in map.imports.values() {
            let target = target.strip_prefix("/console/~e/").unwrap();
            assert!(Files::get(target).is_some(), "{target}");
        }
        // Two scripts and the import map; each style sheet.
        let sheets = page.matches("<style>").count();
        assert!(sheets > 3 && !page.contains("rel=\"stylesheet\""), "{sheets} style sheets are in the page");
        assert_eq!(policy(&page).matches("'sha256-").count(), 3 + sheets, "{}", policy(&page));
        assert_eq!(
            page.matches("/console/").count(),
            page.matches("/console/~e/").count(),
            "every file is named with its edition"
        );
        assert_eq!(page.matches("<script").count(), page.matches("</script>").count(), "no script ends early");
        assert_eq!(sheets, page.matches("</style").count(), "no style sheet ends early");
    }

    #[test]
    fn a_page_names_the_modules_that_it_needs_and_no_others() {
        for (path, module) in PAGES {
            let page = page_text("e", module);
            let named: Vec<&str> = page
                .lines()
                .filter(|line| line.contains("modulepreload"))
                .filter_map(|line| line.split_once("/console/~e/")?.1.strip_suffix("\">"))
                .collect();
            assert!(named.contains(module) && named.contains(&APP) && named.contains(&"lib/view.js"), "{path}: {named:?}");
            assert!(named.iter().any(|name| name.ends_with("/preact.mjs")), "{path}: {named:?}");
            for name in &named {
                assert!(Files::get(name).is_some(), "{path} needs {name}, which is not there");
            }
            let charts = named.iter().any(|name| name.ends_with("/uplot.mjs"));
            assert_eq!(charts, *path == "/", "{path}: only the overview has charts");
        }
    }
}
