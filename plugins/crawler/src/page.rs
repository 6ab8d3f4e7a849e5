//! What a page says: parsed in one pass by lol_html, a streaming parser without a tree, so that neither depth nor disorder costs
//! memory. Character references are resolved here; the parser leaves them.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use lol_html::html_content::{Element, TextChunk, TextType};
use lol_html::{ElementContentHandlers, HtmlRewriter, MemorySettings, Selector, Settings, doc_text, element, end_tag, text};
use serde::Serialize;

/// Memory of the parser beside the page: open elements, and what it keeps of unfinished tags.
const PARSER_BYTES: usize = 8 << 20;
/// Links of a page that are looked at. More make the page incomplete, which its output says.
const MAX_LINKS: usize = 50_000;
/// Headings that are kept.
const MAX_HEADINGS: usize = 200;
/// Metadata that are kept.
const MAX_METADATA: usize = 64;
/// Elements that are kept of each of `output_tags`.
const MAX_TAGGED: usize = 100;
/// Bytes of a title, a heading, a metadatum.
const SHORT_BYTES: usize = 1_000;
/// Bytes of an element of `output_tags`.
const TAGGED_BYTES: usize = 4_000;

/// Elements whose start and end separate words.
const BLOCKS: &str = "p, div, li, td, th, tr, br, h1, h2, h3, h4, h5, h6, section, article, aside, header, footer, nav, main, ul, \
                      ol, dl, dt, dd, pre, table, summary, details, blockquote, figure, figcaption, option, hr, form";

/// A link as the page has it: not resolved yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) nofollow: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Heading {
    pub(crate) level: u8,
    pub(crate) text: String,
}

/// What a page says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) title: Option<String>,
    pub(crate) language: Option<String>,
    /// The first `base` with an address.
    pub(crate) base: Option<String>,
    pub(crate) canonical: Option<String>,
    /// Where a `meta` element sends its reader on to.
    pub(crate) refresh: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) nofollow: bool,
    pub(crate) noindex: bool,
    pub(crate) headings: Vec<Heading>,
    pub(crate) text: String,
    /// Whether there is more text than was kept.
    pub(crate) text_cut: bool,
    pub(crate) links: Vec<Link>,
    /// Whether there are more links than were kept.
    pub(crate) links_cut: bool,
    pub(crate) tags: BTreeMap<String, Vec<String>>,
}

/// What a page is parsed for.
pub(crate) struct Wanted<'a> {
    /// Name and selector of each of `output_tags`.
    pub(crate) tags: &'a [(&'a str, Selector)],
    /// How much text is kept, in bytes.
    pub(crate) text_bytes: usize,
    /// What the crawler calls itself, for `meta` elements that name it.
    pub(crate) user_agent: &'a str,
}

/// Parses a page. The error says why that can't be done.
pub(crate) fn parse(html: &str, wanted: &Wanted<'_>) -> Result<Page, String> {
    let (mut page, without_scripts) = parse_once(html, wanted)?;
    if !without_scripts.is_empty() {
        // A crawler runs no scripts: what is there for those who don't leads on, too.
        let wanted = Wanted { tags: &[], text_bytes: 0, ..*wanted };
        let (more, _) = parse_once(&without_scripts, &wanted)?;
        more.links.into_iter().for_each(|link| page.link(link.href, link.nofollow));
        page.refresh = page.refresh.or(more.refresh);
    }
    Ok(page)
}

/// Parses a document; and what is in its `noscript` elements, which to the parser is text.
fn parse_once(html: &str, wanted: &Wanted<'_>) -> Result<(Page, String), String> {
    let page = RefCell::new(Page::default());
    let without_scripts = RefCell::new(String::new());
    let (title, heading, body) = (Text::default(), Text::default(), Text::default());
    // How many templates are open: their content is not part of the page.
    let templates = Rc::new(Cell::new(0_u32));
    let tagged: Vec<_> = wanted.tags.iter().map(|_| Tagged::default()).collect();
    // Whether a block began or ended since the last text.
    let gap = Rc::new(Cell::new(false));

    let memory = MemorySettings::new().with_max_allowed_memory_usage(PARSER_BYTES);
    let mut settings = Settings::new().with_memory_settings(memory).with_strict(false);
    settings = settings
        .append_element_content_handler(element!("a, area, iframe, frame, base, link, meta, html", |element: &mut Element| {
            if templates.get() == 0 {
                page.borrow_mut().element(element, wanted.user_agent);
            }
            Ok(())
        }))
        .append_element_content_handler(element!("template", |element: &mut Element| {
            templates.set(templates.get() + 1);
            let templates = templates.clone();
            element.on_end_tag(end_tag!(move |_| {
                templates.set(templates.get().saturating_sub(1));
                Ok(())
            }))
        }))
        .append_element_content_handler(text!("noscript", |chunk: &mut TextChunk| {
            if chunk.text_type() == TextType::RawText && templates.get() == 0 {
                without_scripts.borrow_mut().push_str(chunk.as_str());
            }
            Ok(())
        }))
        .append_element_content_handler(element!("h1, h2, h3, h4, h5, h6", |element: &mut Element| {
            let level = element.tag_name().bytes().last().map_or(0, |digit| digit - b'0');
            page.borrow_mut().headings.push(Heading { level, text: String::new() });
            Ok(())
        }))
        .append_element_content_handler(text!("h1, h2, h3, h4, h5, h6", |chunk: &mut TextChunk| {
            let Page { headings, .. } = &mut *page.borrow_mut();
            if headings.len() > MAX_HEADINGS {
                headings.truncate(MAX_HEADINGS);
            } else if let Some(last) = headings.last_mut() {
                heading.feed(chunk, &mut last.text, SHORT_BYTES);
            }
            Ok(())
        }))
        .append_element_content_handler(text!("title", |chunk: &mut TextChunk| {
            let Page { title: kept, .. } = &mut *page.borrow_mut();
            // An SVG has titles of its own, and they come later.
            if chunk.text_type() == TextType::RCData {
                title.feed(chunk, kept.get_or_insert_default(), SHORT_BYTES);
            }
            Ok(())
        }))
        .append_element_content_handler(element!(BLOCKS, |element: &mut Element| {
            gap.set(true);
            if element.can_have_content() {
                let gap = gap.clone();
                element.on_end_tag(end_tag!(move |_| {
                    gap.set(true);
                    Ok(())
                }))?;
            }
            Ok(())
        }))
        .append_document_content_handler(doc_text!(|chunk: &mut TextChunk| {
            let is_text = matches!(chunk.text_type(), TextType::Data | TextType::PlainText | TextType::CDataSection);
            if !is_text || templates.get() > 0 {
                return Ok(());
            }
            let Page { text: kept, text_cut, .. } = &mut *page.borrow_mut();
            if gap.replace(false) {
                append(kept, " ", wanted.text_bytes);
            }
            *text_cut |= body.feed(chunk, kept, wanted.text_bytes);
            Ok(())
        }));
    for ((_, selector), state) in wanted.tags.iter().zip(&tagged) {
        let handlers = ElementContentHandlers::default()
            .element(|element: &mut Element| {
                state.begin(element);
                Ok(())
            })
            .text(|chunk: &mut TextChunk| {
                state.take(chunk);
                Ok(())
            });
        settings = settings.append_element_content_handler((Cow::Borrowed(selector), handlers));
    }
    let mut parser = HtmlRewriter::new(settings, |_: &[u8]| {});
    parser.write(html.as_bytes()).and_then(|()| parser.end()).map_err(|error| error.to_string())?;

    let mut page = page.into_inner();
    page.tags = wanted.tags.iter().zip(tagged).map(|((name, _), state)| ((*name).to_owned(), state.finish())).collect();
    page.headings.truncate(MAX_HEADINGS);
    for text in page.title.iter_mut().chain([&mut page.text]).chain(page.headings.iter_mut().map(|heading| &mut heading.text)) {
        text.truncate(text.trim_end().len());
    }
    Ok((page, without_scripts.into_inner()))
}

impl Page {
    fn element(&mut self, element: &Element<'_, '_>, user_agent: &str) {
        let attribute = |name: &str| {
            let value = element.get_attribute(name)?;
            Some(htmlize::unescape_attribute(value.as_str()).into_owned())
        };
        let has_word = |list: &str, word: &str| list.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(word));
        match element.tag_name().as_str() {
            "a" | "area" => {
                let nofollow = || attribute("rel").is_some_and(|rel| has_word(&rel, "nofollow"));
                if let Some(href) = attribute("href") {
                    self.link(href, nofollow());
                }
            }
            "iframe" | "frame" => {
                if let Some(src) = attribute("src") {
                    self.link(src, false);
                }
            }
            "base" if self.base.is_none() => self.base = attribute("href"),
            "link" if self.canonical.is_none() && attribute("rel").is_some_and(|rel| has_word(&rel, "canonical")) => {
                self.canonical = attribute("href");
            }
            "html" if self.language.is_none() => self.language = attribute("lang").map(|text| shorten(&text)),
            "meta" => {
                let (name, equiv) = (attribute("name").or_else(|| attribute("property")), attribute("http-equiv"));
                if let Some(content) = attribute("content") {
                    self.meta(name.as_deref(), equiv.as_deref(), &content, user_agent);
                }
            }
            _ => {}
        }
    }

    fn link(&mut self, href: String, nofollow: bool) {
        if self.links.len() < MAX_LINKS {
            self.links.push(Link { href, nofollow });
        } else {
            self.links_cut = true;
        }
    }

    fn meta(&mut self, name: Option<&str>, equiv: Option<&str>, content: &str, user_agent: &str) {
        if equiv.is_some_and(|equiv| equiv.eq_ignore_ascii_case("refresh")) && self.refresh.is_none() {
            self.refresh = refresh_target(content);
        }
        let Some(name) = name.map(|name| name.trim().to_ascii_lowercase()) else { return };
        if name == "robots" || product_of(user_agent).eq_ignore_ascii_case(&name) {
            self.directives(content);
        }
        let kept = matches!(name.as_str(), "description" | "keywords" | "author" | "generator") || name.starts_with("og:");
        if kept && self.metadata.len() < MAX_METADATA {
            self.metadata.entry(shorten(&name)).or_insert_with(|| shorten(content));
        }
    }

    /// What a `robots` element, or a header, says.
    pub(crate) fn directives(&mut self, content: &str) {
        for directive in content.split(',').map(str::trim) {
            let is = |name: &str| directive.eq_ignore_ascii_case(name);
            self.nofollow |= is("nofollow") || is("none");
            self.noindex |= is("noindex") || is("none");
        }
    }
}

/// The product's name, without its version.
pub(crate) fn product_of(user_agent: &str) -> &str {
    user_agent.split(['/', ' ']).next().unwrap_or_default()
}

/// The address of a refresh: `5; url=next.html`.
fn refresh_target(content: &str) -> Option<String> {
    let rest = content.trim_start().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
    let rest = rest.strip_prefix([';', ',']).unwrap_or(rest).trim();
    let named = rest.get(..3).filter(|name| name.eq_ignore_ascii_case("url"));
    let value = named.and_then(|_| rest[3..].trim_start().strip_prefix('=')).unwrap_or(rest).trim();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default(),
        _ => value,
    };
    (!value.is_empty()).then(|| value.to_owned())
}

/// A text node as it comes, in pieces.
#[derive(Default)]
struct Text {
    pieces: RefCell<String>,
}

impl Text {
    /// Takes a piece; with the last one, the whole of the text node, resolved, goes to `kept`, up to `limit` bytes in all.
    /// Whether something was cut off.
    fn feed(&self, chunk: &TextChunk<'_>, kept: &mut String, limit: usize) -> bool {
        let mut pieces = self.pieces.borrow_mut();
        pieces.push_str(chunk.as_str());
        if !chunk.last_in_text_node() {
            return false;
        }
        let text = std::mem::take(&mut *pieces);
        if chunk.text_type().allows_html_entities() {
            append(kept, &htmlize::unescape(text), limit)
        } else {
            append(kept, &text, limit)
        }
    }
}

/// What was found of one of `output_tags`. The text of an element inside another goes to the inner one, and an element whose end
/// tag is left out goes on until that of its parent: the parser has no tree.
#[derive(Default)]
struct Tagged {
    found: RefCell<Vec<String>>,
    text: Text,
    /// Whether what is not for people is wanted: the element itself is a script or a style.
    raw: Cell<bool>,
    full: Cell<bool>,
}

impl Tagged {
    fn begin(&self, element: &Element<'_, '_>) {
        let mut found = self.found.borrow_mut();
        self.full.set(found.len() == MAX_TAGGED);
        if !self.full.get() {
            found.push(String::new());
            self.raw.set(matches!(element.tag_name().as_str(), "script" | "style"));
        }
    }

    fn take(&self, chunk: &TextChunk<'_>) {
        let is_raw = matches!(chunk.text_type(), TextType::ScriptData | TextType::RawText);
        if self.full.get() || is_raw && !self.raw.get() {
            return;
        }
        if let Some(last) = self.found.borrow_mut().last_mut() {
            self.text.feed(chunk, last, TAGGED_BYTES);
        }
    }

    fn finish(self) -> Vec<String> {
        self.found.into_inner().into_iter().map(|text| text.trim_end().to_owned()).collect()
    }
}

/// Appends a text with its white space collapsed, up to `limit` bytes in all; whether something was cut off.
fn append(kept: &mut String, text: &str, limit: usize) -> bool {
    for character in text.chars() {
        let character = if character.is_whitespace() { ' ' } else { character };
        let is_full = kept.len() + character.len_utf8() > limit;
        if character == ' ' && (is_full || kept.is_empty() || kept.ends_with(' ')) {
            continue;
        }
        if is_full {
            return true;
        }
        kept.push(character);
    }
    false
}

fn shorten(text: &str) -> String {
    let mut kept = String::new();
    append(&mut kept, text, SHORT_BYTES);
    kept.truncate(kept.trim_end().len());
    kept
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
