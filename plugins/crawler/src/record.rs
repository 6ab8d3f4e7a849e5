//! A task's output: what is known of an address.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::page::{Heading, Page};

/// What is known of an address.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    /// The address as it was fetched.
    pub(crate) url: String,
    /// What tells it from other pages, where that is not `url`: without the name of an index file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// Links between it and a start address, on the way on which it was found.
    pub(crate) depth: u32,
    /// The answer's status; none where nothing was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(flatten)]
    pub(crate) what: What,
    /// Links that were not followed because the crawl has as many addresses as it may have.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) over_max_pages: usize,
}

/// What an address is.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum What {
    /// A page, parsed.
    Page(Box<PageRecord>),
    /// It leads to another address, which has a record of its own if it was followed.
    Redirect {
        to: String,
        /// Why it was not followed.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_followed: Option<String>,
    },
    /// There is nothing: an answer of 4xx.
    Broken,
    /// Content that is no HTML.
    File {
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// It is there, and not parsed; why.
    Skipped { reason: String },
    /// robots.txt forbids it.
    Disallowed,
}

/// What a page says. Addresses on its own host are written from the path on.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PageRecord {
    charset: &'static str,
    /// The page's size, decompressed.
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canonical: Option<String>,
    /// Where a `meta` element sends its reader on to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_false")]
    noindex: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headings: Vec<Heading>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "is_false")]
    text_cut: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, Vec<String>>,
    /// Links inside of the crawl, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<String>,
    /// Whether the page has more links than were looked at.
    #[serde(skip_serializing_if = "is_false")]
    links_cut: bool,
    /// Links out of the crawl: the first of them, and how many there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) external: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) external_count: usize,
    /// Links that `nofollow` keeps from being followed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) nofollow_count: usize,
    /// Links that robots.txt forbids.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) disallowed_count: usize,
}

impl PageRecord {
    /// A page of so many bytes.
    pub(crate) fn new(charset: &'static str, bytes: usize) -> Self {
        PageRecord { charset, bytes: bytes as u64, ..PageRecord::default() }
    }

    /// Takes over what the page says. Of one that does not want to be indexed, its title and its links are all that is kept.
    pub(crate) fn take(&mut self, page: Page) {
        self.title = page.title;
        self.language = page.language;
        self.noindex = page.noindex;
        self.links_cut = page.links_cut;
        if !page.noindex {
            self.metadata = page.metadata;
            self.headings = page.headings;
            self.text = page.text;
            self.text_cut = page.text_cut;
            self.tags = page.tags;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}
