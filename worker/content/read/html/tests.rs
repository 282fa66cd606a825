//! What holds for every page: no word is lost or doubled, no page stops the reader, and what is written is Markdown that reads back
//! as itself.

use super::read;
use crate::content::document::{Document, Kind};
use crate::content::read::{Hints, ReadError, markdown};
use crate::content::words;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn page(html: &str) -> Document {
    read(html, &Hints { name: "page.html".to_owned(), url: None }).expect("the page can be read")
}

fn reasons(document: &Document) -> Vec<(&str, &str)> {
    document.asides.iter().map(|aside| (aside.reason, aside.text.as_str())).collect()
}

/// How often each numbered word stands in a text.
fn numbered<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        for (at, _) in text.match_indices("word") {
            let number: String = text[at + 4..].chars().take_while(char::is_ascii_digit).collect();
            *counts.entry(number).or_insert(0) += 1;
        }
    }
    counts
}

fn span() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "¤ ",
        " ¤",
        "¤. ",
        "(¤)",
        "*¤*",
        "¤|¤",
        "¤_¤ ",
        "`¤`",
        "[¤] ",
        "#¤ ",
        "¤: ",
        "- ¤",
        "¤ &amp; ¤",
        "1. ¤ ",
    ])
    .prop_map(str::to_owned);
    text.prop_recursive(3, 12, 3, |inner| {
        let tag = prop::sample::select(vec![
            "b",
            "i",
            "em",
            "strong",
            "span",
            "a href='/x'",
            "a href='#n'",
            "code",
            "sup",
            "s",
            "u",
            "q",
            "button",
            "span class='sr-only'",
            "span hidden",
            "small",
        ]);
        (tag, prop::collection::vec(inner, 1..3), prop::sample::select(vec!["", " ", "<br>", "<br><br>", "<img src=x>"]))
            .prop_map(|(tag, inner, end)| format!("<{tag}>{}</{}>{end}", inner.concat(), tag.split(' ').next().unwrap_or_default()))
    })
}

fn flow() -> impl Strategy<Value = String> {
    prop::collection::vec(span(), 1..4).prop_map(|spans| spans.concat()).prop_recursive(4, 40, 4, |inner| {
        let block = prop::sample::select(vec![
            "p",
            "div",
            "section",
            "h1",
            "h2",
            "h3",
            "blockquote",
            "pre",
            "figure",
            "figcaption",
            "nav",
            "aside",
            "header",
            "footer",
            "form",
            "details",
            "summary",
            "article",
            "center",
            "div class='related-posts'",
            "div class='share'",
            "div id='comments'",
            "ul",
            "ol",
            "li",
            "dl",
            "dt",
            "dd",
            "div style='display:none'",
            "main",
        ]);
        let list = prop::collection::vec(inner.clone(), 1..4)
            .prop_map(|items| format!("<ul>{}</ul>", items.iter().map(|item| format!("<li>{item}</li>")).collect::<String>()));
        let terms = prop::collection::vec((inner.clone(), inner.clone()), 1..3)
            .prop_map(|pairs| format!("<dl>{}</dl>", pairs.iter().map(|(a, b)| format!("<dt>{a}</dt><dd>{b}</dd>")).collect::<String>()));
        let table = prop::collection::vec(prop::collection::vec(inner.clone(), 1..4), 1..4).prop_map(|rows| {
            let row = |cells: &Vec<String>| format!("<tr>{}</tr>", cells.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>());
            format!("<table>{}</table>", rows.iter().map(row).collect::<String>())
        });
        let folded = (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("<details><summary>{a}</summary>{b}</details>"));
        let any = (block, prop::collection::vec(inner, 1..4))
            .prop_map(|(tag, inner)| format!("<{tag}>{}</{}>", inner.concat(), tag.split(' ').next().unwrap_or_default()));
        prop_oneof![6 => any, 1 => list, 1 => terms, 1 => table, 1 => folded]
    })
}

/// A page whose words are numbered, and how many there are.
fn pages() -> impl Strategy<Value = (String, usize)> {
    prop::collection::vec(flow(), 1..6).prop_map(|parts| {
        let body = parts.join("<script>var unseen = 1;</script>");
        let mut count = 0;
        let text: String = body
            .split('¤')
            .enumerate()
            .map(|(index, part)| {
                if index == 0 {
                    part.to_owned()
                } else {
                    count += 1;
                    format!("word{count}x{part}")
                }
            })
            .collect();
        (
            format!("<html><head><title>unseen</title><style>unseen</style></head><body>{text}<noscript>unseen</noscript></body></html>"),
            count,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_visible_word_is_in_exactly_one_block_or_aside((html, count) in pages()) {
        let document = page(&html);
        let texts = || document.blocks.iter().map(|block| block.text.as_str()).chain(document.asides.iter().map(|aside| aside.text.as_str()));
        let found = numbered(texts());
        for number in 1..=count {
            prop_assert_eq!(found.get(&number.to_string()), Some(&1), "word {} in {}", number, html);
        }
        prop_assert!(texts().all(|text| !text.contains("unseen")), "{}", html);
        prop_assert!(document.asides.iter().all(|aside| !aside.reason.is_empty() && aside.before <= document.blocks.len()));
        let written = document.blocks.iter().filter(|block| !matches!(block.kind, Kind::Image)).map(|block| block.markdown.as_str());
        let in_blocks = numbered(document.blocks.iter().map(|block| block.text.as_str()));
        prop_assert_eq!(numbered(written), in_blocks, "{}", html);
    }

    #[test]
    fn what_is_written_reads_back_as_it_was_written((html, _) in pages()) {
        for block in page(&html).blocks.iter().filter(|block| block.level().is_none()) {
            let again = markdown::blocks(&block.markdown, None);
            let markdown: Vec<&str> = again.iter().map(|block| block.markdown.as_str()).collect();
            prop_assert_eq!(markdown, vec![block.markdown.as_str()], "{}", html);
        }
    }

    #[test]
    fn no_page_stops_the_reader(html in "(?s)(<[a-z/! =\"'-]{0,12}>?|[^<]{0,6}){0,60}") {
        let _ = read(&html, &Hints::default());
    }
}

#[test]
fn hostile_pages_end_in_an_error_or_are_read() {
    let deep = format!("<body>{}x", "<div>".repeat(100_000));
    let bold = format!("<body><p>{}", "<b>x ".repeat(50_000));
    for html in [&deep, &bold] {
        let error = read(html, &Hints { name: "deep.html".to_owned(), url: None }).expect_err("it is too deep");
        assert!(matches!(error, ReadError::Nested { .. }));
        assert!(error.to_string().contains("`deep.html`"));
    }
    let lists = format!("<body><h1>T</h1>{}x", "<ul><li>word ".repeat(120));
    assert_eq!(words::count(&page(&lists).blocks.iter().map(|block| block.text.clone()).collect::<Vec<_>>().join(" ")), 122);
    assert!(page(&"<p>unclosed <i>".repeat(100)).blocks.len() >= 100);
}

#[test]
fn a_title_of_nothing_but_markup_is_read_at_once_wherever_it_stands() {
    let deep = format!("A &amp; B{}", "<b>".repeat(400_000));
    let data = serde_json::json!({"@type": "Article", "headline": deep, "author": deep});
    let document = page(&format!("<script type=\"application/ld+json\">{data}</script><p>x</p>"));
    assert_eq!(document.front.title.as_deref(), Some("A & B"));
    assert_eq!(document.front.author.as_deref(), Some("A & B"));
    let title = deep.replace('&', "&amp;").replace('<', "&lt;");
    let feed = format!(
        "<rss version=\"2.0\"><channel><title>f</title><item><title>{title}</title><description>&lt;p&gt;a&lt;p&gt;b&lt;p&gt;{}</description></item></channel></rss>",
        "word ".repeat(150)
    );
    let items = super::super::feed::items(&feed, "f", None).expect("a feed");
    assert_eq!(items[0].as_ref().expect("an article").title, "A & B");
}

#[test]
fn spans_keep_their_marks_only_where_markdown_reads_them() {
    let document = page(
        "<p>a<b> bold </b>word and<b>in</b>side, <b>Note:</b>glued, <i>x</i><b>y</b>, <b><b>z</b></b>, 10<sup>9</sup>, H<sub>2</sub>O<br>next &lt;tag&gt; *star*</p>",
    );
    assert_eq!(document.blocks[0].markdown, "a **bold** word and**in**side, Note:glued, *x*y, **z**, 10⁹, H2O\\\nnext \\<tag> \\*star\\*");
}

#[test]
fn links_lead_to_whole_addresses() {
    let html = "<head><link rel=canonical href='https://example.org/a/b'></head><body><p><a href='c'>c</a>, <a href='/d#e'>d</a>, <a href='#f'>f</a>, <a href='javascript:x()'>g</a>, <a href='https://example.org/a/b#h'>h</a>";
    let document = page(html);
    assert_eq!(
        document.blocks[0].markdown,
        "[c](https://example.org/a/c), [d](https://example.org/d#e), [f](https://example.org/a/b#f), g, [h](https://example.org/a/b#h)"
    );
}

#[test]
fn links_are_joined_to_the_address_that_is_given_or_said() {
    let body = "<p><a href='../foo/bar'>a</a>, <a href='?a=b'>b</a>, <a href='c#d'>c</a>, <a href='//example.com/e'>d</a></p>";
    let joined =
        "[a](https://example.org/foo/bar), [b](https://example.org/x/y?a=b), [c](https://example.org/x/c#d), [d](https://example.com/e)";
    let given = Hints { name: "page.html".to_owned(), url: Some("https://example.org/x/y".to_owned()) };
    assert_eq!(read(body, &given).expect("it can be read").blocks[0].markdown, joined);
    let said = page(&format!("<head><link rel=canonical href='https://example.org/x/y?z#w'></head><body>{body}"));
    assert_eq!(said.blocks[0].markdown, joined);
}

#[test]
fn a_name_takes_no_word_out_of_a_sentence() {
    let sentence = "Take <span class='tags'>aspirin</span> twice and <b class='share-price'>share</b> it, <em class='related'>not</em> for <a class='comments' href='https://example.org/kids'>small <i class='author'>children</i></a> <mark role='navigation'>ever</mark>.";
    let words = "Take aspirin twice and share it, not for small children ever.";
    for (open, close) in [
        ("<p>", "</p>"),
        ("<div>", "</div>"),
        ("<ul><li>", "</ul>"),
        ("<blockquote>", "</blockquote>"),
        ("<h2>", "</h2>"),
        ("<p>One.</p>", ""),
    ] {
        let document = page(&format!("<h1>Pain</h1>{open}{sentence}{close}<p>More words.</p>"));
        assert!(document.blocks.iter().any(|block| block.text == words), "{open}: {:#?}", document.blocks);
    }
    let cell = page(&format!("<h1>Pain</h1><table><tr><th>Age<th>Dose<tr><td>1<td>{sentence}</table>"));
    assert!(cell.blocks.iter().any(|block| block.kind == Kind::Table && block.text.contains(words)));
}

#[test]
fn a_part_of_the_page_that_has_its_line_for_itself_is_left_out() {
    let document = page(
        "<h1>Pain</h1><p>Take it twice, with water.</p><p><span class='tags'>Health</span></p><div><a class='share' href='https://example.com/s'>Share</a> <a class='share' href='https://example.com/t'>Post</a></div>\
         <span class='byline'>A Name</span><p>Rest <span class='sr-only'>opens elsewhere</span> and sleep.</p><h2>Heat <span class='mw-editsection'>edit</span></h2>",
    );
    let texts: Vec<&str> = document.blocks.iter().map(|block| block.text.as_str()).collect();
    assert_eq!(texts, ["Pain", "Take it twice, with water.", "Rest and sleep.", "Heat"]);
    let found: Vec<&str> = reasons(&document).into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(found, ["tags", "share buttons", "share buttons", "byline", "hidden on the page", "edit link"]);
}

#[test]
fn citations_lead_to_the_list_of_sources() {
    let html = "<h1>T</h1><h2>Rest</h2><p>It helps<sup>1</sup> a lot.<sup><a href='#r2'>[2]</a></sup> More <a href='#r1'>[1]</a> at 5 m<sup>2</sup>.</p><h2>References</h2><ol><li id=r1>One, 2020.</li><li id=r2>Two, 2021.</li></ol>";
    assert_eq!(page(html).blocks[2].markdown, "It helps[^1] a lot.[^2] More [^1] at 5 m².");
}

#[test]
fn tables_that_hold_data_stay_tables_and_others_are_gone_through() {
    let data = page(
        "<h1>T</h1><table><caption>Doses</caption><tr><th>Age</th><th>Dose</th></tr><tr><td>1 | 2</td><td>a<br>b</td></tr><tr><td colspan=2>all</td></tr></table>",
    );
    let table = data.blocks.iter().find(|block| block.kind == Kind::Table).expect("there is a table");
    assert_eq!(table.markdown, "| Age | Dose |\n| --- | --- |\n| 1 \\| 2 | a b |\n| all |  |");
    let layout = page("<h1>T</h1><table><tr><td><h2>Rest</h2><p>Sleep.</p></td><td>Side</td></tr></table>");
    assert!(layout.blocks.iter().any(|block| block.level() == Some(2)) && layout.blocks.iter().all(|block| block.kind != Kind::Table));
}

#[test]
fn a_page_is_left_out_around_its_article() {
    let document = page(include_str!("../../../../tests/fixtures/articles/stiff-neck.html"));
    let front = &document.front;
    assert_eq!(front.title.as_deref(), Some("Three ways to ease a stiff neck"));
    assert_eq!((front.date.map(|date| date.to_string()).as_deref(), front.author.as_deref()), (Some("2024-05-04"), Some("Example Desk")));
    assert_eq!(front.url.as_deref(), Some("https://example.org/neck/"));
    let headings: Vec<&str> = document.blocks.iter().filter(|block| block.level().is_some()).map(|block| block.text.as_str()).collect();
    assert_eq!(headings, ["Warm it", "Move it", "How often?", "Which side first?", "References"]);
    for (reason, part) in [
        ("page header", "Home"),
        ("breadcrumbs", "Health"),
        ("byline", "4 May"),
        ("table of contents", "Warm it"),
        ("caption", "A towel"),
        ("sign-up box", "Get our letter"),
        ("share buttons", "Share"),
        ("author box", "writes about"),
        ("related posts", "Better sleep"),
        ("comments", "Thank you"),
        ("page footer", "Privacy"),
        ("cookie notice", "cookies"),
        ("navigation", "Skip"),
        ("title", "Three ways"),
    ] {
        let found = reasons(&document).iter().any(|(given, text)| *given == reason && text.contains(part));
        assert!(found, "{reason} with {part} in {:#?}", reasons(&document));
    }
    let anchors = document.blocks.iter().filter_map(|block| match &block.kind {
        Kind::Heading { anchor, .. } => Some(anchor.as_deref()),
        _ => None,
    });
    assert_eq!(anchors.collect::<Vec<_>>(), [Some("warm"), Some("move"), None, None, None]);
}
