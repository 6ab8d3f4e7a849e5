//! Sitemaps: lists of a site's pages, and lists of such lists. XML or plain text, gzip or not.

use std::collections::{HashSet, VecDeque};
use std::io::Read;

use bulkhead_plugin::prelude::*;
use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use url::Url;

use crate::body;
use crate::fetch::{Deadline, FetchError, Web};

/// The largest sitemap that is read, in bytes, as it comes and decompressed. The protocol's own limit is 50 MiB, which would not
/// fit into a plugin's usual memory.
const MAX_BYTES: u64 = 16 << 20;
/// Sitemaps that are read of a host.
const MAX_SITEMAPS: usize = 200;

/// What a sitemap lists.
#[derive(Debug, PartialEq)]
enum Entry {
    Page(String),
    Sitemap(String),
}

/// Reads a host's sitemaps, those that its robots.txt names or else `/sitemap.xml`, and gives each page's address to `found`.
/// What cannot be read is logged and left out: a sitemap is a help, not a promise.
pub(crate) fn read(
    web: &impl Web,
    host: &Url,
    named: &[Url],
    deadline: impl Fn() -> Deadline,
    mut found: impl FnMut(Url) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut waiting: VecDeque<Url> = named.iter().cloned().collect();
    if waiting.is_empty() {
        waiting.push_back(host.join("/sitemap.xml").or_fatal()?);
    }
    let mut seen: HashSet<Url> = waiting.iter().cloned().collect();
    let mut read = 0;
    while let Some(url) = waiting.pop_front() {
        read += 1;
        if read > MAX_SITEMAPS {
            web.warn(format_args!("{} sitemaps of {host} are left out", waiting.len() + 1));
            return Ok(());
        }
        let text = match fetch(web, &url, deadline()) {
            Ok(text) => text,
            Err(why) => {
                web.warn(format_args!("the sitemap {url} is left out: {why}"));
                continue;
            }
        };
        let (mut pages, mut failure) = (Vec::new(), None);
        let parsed = parse(&text, |entry| match entry {
            Entry::Page(text) => pages.extend(url.join(&text).ok()),
            Entry::Sitemap(text) => {
                if let Ok(next) = url.join(&text)
                    && seen.len() < MAX_SITEMAPS * 2
                    && seen.insert(next.clone())
                {
                    waiting.push_back(next);
                }
            }
        });
        for page in pages {
            if let Err(error) = found(page) {
                failure.get_or_insert(error);
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if let Err(why) = parsed {
            web.warn(format_args!("the sitemap {url} is not read to its end: {why}"));
        }
    }
    Ok(())
}

fn fetch(web: &impl Web, url: &Url, deadline: Deadline) -> Result<Vec<u8>, String> {
    let answer = web.get(url, deadline).map_err(|error: FetchError| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("it answers {}", answer.status));
    }
    let text = body::read(answer, MAX_BYTES, deadline).map_err(|error| format!("{error:?}"))?;
    if !text.starts_with(b"\x1f\x8b") {
        return Ok(text);
    }
    let mut plain = Vec::new();
    let unpacked = MultiGzDecoder::new(&text[..]).take(MAX_BYTES + 1).read_to_end(&mut plain);
    match unpacked {
        Ok(_) if plain.len() as u64 > MAX_BYTES => Err(format!("it has more than {MAX_BYTES} bytes")),
        Ok(_) => Ok(plain),
        Err(error) => Err(error.to_string()),
    }
}

/// Gives each entry to `each`. The error says where the text stops to be a sitemap.
fn parse(text: &[u8], mut each: impl FnMut(Entry)) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        text.lines().map(str::trim).filter(|line| line.starts_with("http")).for_each(|line| each(Entry::Page(line.into())));
        return Ok(());
    }
    let mut reader = Reader::from_str(text);
    let (mut in_index, mut loc) = (false, None::<String>);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => match start.local_name().as_ref() {
                "sitemap" => in_index = true,
                "url" => in_index = false,
                // `image:loc` and its like are no pages.
                "loc" if start.name().prefix().is_none() => loc = Some(String::new()),
                _ => {}
            },
            Event::Text(piece) => {
                if let Some(loc) = &mut loc {
                    loc.push_str(&piece);
                }
            }
            Event::CData(piece) => {
                if let Some(loc) = &mut loc {
                    loc.push_str(&piece);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(loc) = &mut loc {
                    match reference.resolve_char_ref() {
                        Ok(Some(character)) => loc.push(character),
                        _ => loc.push_str(resolve_predefined_entity(&reference).unwrap_or_default()),
                    }
                }
            }
            Event::End(_) => {
                if let Some(address) = loc.take().map(|loc| loc.trim().to_owned()).filter(|loc| !loc.is_empty()) {
                    each(if in_index { Entry::Sitemap(address) } else { Entry::Page(address) });
                }
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::fetch::tests::{Site, reply};

    fn entries(text: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        let _ = parse(text.as_bytes(), |entry| entries.push(entry));
        entries
    }

    #[test]
    fn xml_and_text_are_read() {
        let page = |url: &str| Entry::Page(url.into());
        assert_eq!(
            entries(
                "\u{feff}<?xml version='1.0'?><urlset xmlns='x' xmlns:image='y'><url><loc> http://a/?x=1&amp;y=&#50; </loc>\
                 <image:image><image:loc>http://a/i.png</image:loc></image:image></url><url><loc><![CDATA[http://a/b]]></loc></url>\
                 <url><loc/></url></urlset>"
            ),
            [page("http://a/?x=1&y=2"), page("http://a/b")]
        );
        assert_eq!(entries("http://a/1\r\n\nhttps://a/2\nrubbish"), [page("http://a/1"), page("https://a/2")]);
        assert_eq!(entries("<sitemapindex><sitemap><loc>http://a/m</loc></sitemap>"), [Entry::Sitemap("http://a/m".into())]);
        assert_eq!(entries("<urlset><url><loc>http://a/1</loc></url><url></broken"), [page("http://a/1")]);
    }

    #[test]
    fn an_index_leads_to_its_sitemaps_once_each() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"<urlset><url><loc>/two</loc></url></urlset>").unwrap();
        let site = Site::new([
            (
                "http://a.org/sitemap.xml",
                reply(
                    200,
                    "text/xml",
                    "<sitemapindex><sitemap><loc>/sitemap.xml</loc></sitemap><sitemap><loc>http://a.org/1.xml</loc></sitemap>\
                     <sitemap><loc>http://a.org/2.xml.gz</loc></sitemap><sitemap><loc>/lost.xml</loc></sitemap></sitemapindex>",
                ),
            ),
            ("http://a.org/1.xml", reply(200, "text/xml", "<urlset><url><loc>http://a.org/one</loc></url></urlset>")),
            ("http://a.org/2.xml.gz", reply(200, "application/gzip", gzip.finish().unwrap())),
        ]);
        let texts: Vec<_> = ["http://a.org/1.xml", "http://a.org/2.xml.gz"].map(|url| Url::parse(url).unwrap()).into();
        let mut pages = Vec::new();
        let deadline = || Deadline::after(Duration::from_secs(60));
        read(&site, &Url::parse("http://a.org/x").unwrap(), &texts, deadline, |url| {
            pages.push(url.to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(pages, ["http://a.org/one", "http://a.org/two"]);
    }
}
