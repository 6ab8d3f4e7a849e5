use super::*;

fn parsed_for(html: &str, tags: &[(&str, &str)]) -> Page {
    let tags: Vec<_> = tags.iter().map(|(name, selector)| (*name, selector.parse().unwrap())).collect();
    parse(html, &Wanted { tags: &tags, text_bytes: 200, user_agent: "bulkhead-crawler/1.0" }).unwrap()
}

fn parsed(html: &str) -> Page {
    parsed_for(html, &[])
}

fn hrefs(html: &str) -> Vec<String> {
    parsed(html).links.into_iter().map(|link| link.href).collect()
}

#[test]
fn a_page_says_what_it_is() {
    let page = parsed(
        "<!DOCTYPE html><html lang=en-GB><head><title> Fish &amp;\n chips </title><base href='/b/'><base href='/c/'>\
         <meta name=Description content='Salt &lt;&#39;n&#x27;&gt; vinegar'><meta property=og:title content=OG>\
         <meta name=viewport content=x><link rel='stylesheet' href=s.css><link rel='x CANONICAL' href='/canon?a=1&amp;b=2'></head>\
         <body><h1>Top <em>one</em></h1><p>Some<b>bold</b> text<p>next</p>after<script>var x = '<a href=no>'</script>\
         <style>p{}</style><h2 id=x>Sub&nbsp;two</h2><svg><title>not this</title></svg></body></html>",
    );
    assert_eq!(page.title.as_deref(), Some("Fish & chips"));
    assert_eq!(page.language.as_deref(), Some("en-GB"));
    assert_eq!(page.base.as_deref(), Some("/b/"));
    assert_eq!(page.canonical.as_deref(), Some("/canon?a=1&b=2"));
    assert_eq!(page.metadata["description"], "Salt <'n'> vinegar");
    assert_eq!(page.metadata["og:title"], "OG");
    assert_eq!(page.metadata.len(), 2);
    let headings: Vec<_> = page.headings.iter().map(|heading| (heading.level, heading.text.as_str())).collect();
    assert_eq!(headings, [(1, "Top one"), (2, "Sub two")]);
    assert_eq!(page.text, "Top one Somebold text next after Sub two not this");
    assert_eq!(page.links, []);
}

#[test]
fn links_are_what_leads_a_reader_on() {
    let links = hrefs(
        "<a href=one>1</a><A HREF='two&amp;x=1&copy=2'>2</A><a name=x>no</a><map><area href=three></map><iframe src=four></iframe>\
         <frameset><frame src=five></frameset><a\nhref = \"six\"\n>6</a><img src=no><form action=no></form><!-- <a href=no> -->\
         <textarea><a href=no></textarea><a href>empty</a><a href=last",
    );
    assert_eq!(links, ["one", "two&x=1&copy=2", "three", "four", "five", "six", ""]);
}

#[test]
fn templates_are_no_part_of_a_page_and_noscript_is() {
    let page = parsed(
        "<template><a href=no><p>no<template></template></p></template><noscript><iframe src='toc.html'></noscript>yes<a href=x>",
    );
    assert_eq!(page.links.iter().map(|link| link.href.as_str()).collect::<Vec<_>>(), ["x", "toc.html"]);
    assert_eq!(page.text, "yes");
}

#[test]
fn nofollow_is_heard_on_links_and_pages() {
    let page = parsed("<a rel='noopener NoFollow' href=a><a rel=nofollowed href=b>");
    assert_eq!(page.links.iter().map(|link| link.nofollow).collect::<Vec<_>>(), [true, false]);
    for (html, nofollow, noindex) in [
        ("<meta name=robots content='NOINDEX, nofollow'>", true, true),
        ("<meta name=Robots content=none>", true, true),
        ("<meta name=bulkhead-crawler content=nofollow>", true, false),
        ("<meta name=otherbot content=nofollow>", false, false),
        ("<meta name=robots content='index,follow'>", false, false),
    ] {
        let page = parsed(html);
        assert_eq!((page.nofollow, page.noindex), (nofollow, noindex), "{html}");
    }
}

#[test]
fn a_refresh_is_followed() {
    for (content, target) in [
        ("0;URL=../next.html", Some("../next.html")),
        ("5; url = 'a b'", Some("a b")),
        ("0, next", Some("next")),
        ("0;url=&quot;q&quot; rest", Some("q")),
        ("30", None),
        ("", None),
        ("0; urlé", Some("urlé")),
    ] {
        let page = parsed(&format!("<meta http-equiv=Refresh content=\"{content}\">"));
        assert_eq!(page.refresh.as_deref(), target, "{content}");
    }
}

#[test]
fn output_tags_take_texts_of_selected_elements() {
    let page = parsed_for(
        "<ul class=nav><li>one</li><li>two &amp; <b>three</b></ul><p class='x y'>para <script>no()</script></p>\
         <script type='application/ld+json'>{\"a\": \"&amp;\"}</script>",
        &[("items", "ul.nav > li"), ("y", "p.y"), ("data", "script[type=\"application/ld+json\"]"), ("none", "h7")],
    );
    assert_eq!(page.tags["items"], ["one", "two & three"]);
    assert_eq!(page.tags["y"], ["para"]);
    assert_eq!(page.tags["data"], ["{\"a\": \"&amp;\"}"]);
    assert_eq!(page.tags["none"], [""; 0]);
}

#[test]
fn text_is_cut_at_its_limit_and_says_so() {
    let page = parsed(&format!("<p>{}</p>", "é ".repeat(100)));
    assert!(page.text.len() <= 200 && page.text_cut, "{}", page.text.len());
    assert!(!parsed("<p>short</p>").text_cut);
    assert_eq!(parsed(&"<h1>x</h1>".repeat(1_000)).headings.len(), MAX_HEADINGS);
}

#[test]
fn too_many_links_are_cut_and_say_so() {
    let page = parsed(&"<a href=x>".repeat(MAX_LINKS + 1));
    assert_eq!((page.links.len(), page.links_cut), (MAX_LINKS, true));
}

#[test]
fn disorder_is_parsed_all_the_same() {
    for html in
        ["", "<", "<a", "<a href='", "</p></div>", "<!--", "<![CDATA[", "<title>", "<table><a href=x><tr></table>", "\0<a\0>"]
    {
        parsed(html);
    }
    assert_eq!(hrefs("<p><table><tr><a href=x></b></i><li></p><a href=y>"), ["x", "y"]);
    assert_eq!(hrefs("<select><div><a href=x></select></div><a href=y>"), ["x", "y"]);
}

#[test]
fn depth_costs_no_stack_and_bounded_memory() {
    // A tree would be 200,000 levels deep.
    let html = format!("{}<a href=deep>{}", "<b>".repeat(200_000), "</b>".repeat(200_000));
    match parse(&html, &Wanted { tags: &[], text_bytes: 10, user_agent: "x" }) {
        Ok(page) => assert_eq!(page.links.len(), 1),
        Err(why) => assert!(why.contains("memory"), "{why}"),
    }
}
