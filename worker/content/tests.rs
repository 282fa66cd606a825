//! What holds for every article: no input panics, no block is lost or doubled, and reading the outcome again changes
//! nothing.

use super::compose::Article;
use super::document::Document;
use super::segment::{Segmented, Settings, segment};
use super::{Format, Hints, compose, markdown_to_html, markdown_to_text, markup, prepare, read};
use proptest::prelude::*;

mod leaks;
mod shapes;

fn hints(name: &str) -> Hints {
    Hints { name: name.to_owned(), url: None }
}

fn outcome(text: &str, format: Option<Format>) -> Option<(Document, Segmented, Article)> {
    let document = read::read(text.as_bytes(), format, &hints("article")).ok()?;
    let segmented = segment(&document, &Settings::default()).ok()?;
    let article = compose::compose(&document, &segmented);
    Some((document, segmented, article))
}

/// The tips as an article again: a section for each.
fn put_together(article: &Article) -> String {
    let mut text = format!("# {}\n\n", markup::escape(&article.title, true));
    for tip in &article.tips {
        text += &format!("## {}\n\n{}\n\n", markup::escape(&tip.subject, true), tip.markdown);
    }
    if !article.references.is_empty() {
        text += "## References\n\n";
    }
    for (index, reference) in article.references.iter().enumerate() {
        text += &format!("{}. {}\n", index + 1, markup::escape(reference, true));
    }
    text
}

fn check_accounting(document: &Document, segmented: &Segmented) -> Result<(), TestCaseError> {
    let mut times = vec![0; document.blocks.len()];
    let placed = segmented.segments.iter().flat_map(|segment| segment.blocks.iter().copied());
    placed.chain(segmented.left_out.iter().filter_map(|left| left.block)).for_each(|block| times[block] += 1);
    for (index, times) in times.iter().enumerate() {
        prop_assert_eq!(*times, 1, "block {} ({:?}) stands {} times", index, document.blocks[index], times);
    }
    Ok(())
}

fn check_tips(article: &Article) -> Result<(), TestCaseError> {
    for tip in &article.tips {
        prop_assert!((1..=78).contains(&tip.subject.chars().count()), "subject {:?}", tip.subject);
        prop_assert!(!tip.markdown.trim().is_empty());
        prop_assert!(!tip.markdown.contains('\0'));
    }
    Ok(())
}

fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "heat",
        "Rest",
        "helps",
        "the",
        "back.",
        "of",
        "Pain",
        "and",
        "sleep",
        "Dr.",
        "[1]",
        "[2, 3]",
        "*often*",
        "**never**",
        "a_b",
        "e.g.",
        "`code [^1]`",
        "5)",
        "1.",
        "-",
        "#",
        "<b>x</b>",
        "[link](mailto:desk@example.org)",
        "![alt](x.png)",
        "you",
        "it",
        "is",
        "(Example, 2020)",
        "“so”",
        "naïve",
        "日本",
        "&amp;",
        "!",
        "~~no~~",
        "|",
        "\\",
        ":",
    ]);
    prop::collection::vec(words, 1..30).prop_map(|words| words.join(" "))
}

fn heading() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "The cause: Heat",
            "The remedy",
            "Symptoms",
            "Treatment",
            "Introduction",
            "Conclusion",
            "References",
            "Recent posts",
            "How it works",
            "Massage",
            "1. First thing",
            "Why?",
            "Step 2: Go",
            "About the author",
        ])
        .prop_map(str::to_owned),
        line(),
    ]
}

fn block() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(line(), 1..4).prop_map(|lines| lines.join("\n")),
        3 => (1..5_usize, heading()).prop_map(|(level, text)| format!("{} {text}", "#".repeat(level))),
        1 => (prop::sample::select(vec!["-", "*", "1.", "7)"]), prop::collection::vec(line(), 1..5)).prop_map(|(mark, lines)| lines.iter().map(|line| format!("{mark} {line}")).collect::<Vec<_>>().join("\n")),
        1 => prop::collection::vec(line(), 1..3).prop_map(|lines| format!("> {}", lines.join("\n> "))),
        1 => prop::sample::select(vec![
            "| a | b |\n| --- | --- |\n| 1 | 2 |", "---", "```\nlet x = [^1];\n```", "    indented [^0-9]", "<div>html</div>", "<!-- note -->", "![only](image.png)", "Related: Something else",
            "**Related:** [x](https://example.org/x)", "Sign up for our newsletter.", "[^1]: A note, 2020.", "By Example Desk", "May 4, 2020", "- [a](https://example.org/a)\n- [b](https://example.org/b)", "Steps:", "You find *more* in [what we wrote](https://example.org/a) about it.",
        ]).prop_map(str::to_owned),
    ]
}

fn article() -> impl Strategy<Value = String> {
    prop::collection::vec(block(), 1..40).prop_map(|blocks| blocks.join("\n\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = prepare(&bytes, None, &hints("a"), &Settings::default());
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,600}", format in prop::sample::select(vec![None, Some(Format::Markdown), Some(Format::Text), Some(Format::Html), Some(Format::WordPress), Some(Format::Feed)])) {
        if let Some((document, segmented, article)) = outcome(&text, format) {
            check_accounting(&document, &segmented)?;
            check_tips(&article)?;
        }
    }

    #[test]
    fn every_block_ends_in_one_tip_or_left_out(text in article(), format in prop::sample::select(vec![Format::Markdown, Format::Text])) {
        if let Some((document, segmented, article)) = outcome(&text, Some(format)) {
            check_accounting(&document, &segmented)?;
            check_tips(&article)?;
        }
    }

    #[test]
    fn reading_the_tips_again_gives_the_same_bodies(text in article(), format in prop::sample::select(vec![Format::Markdown, Format::Text])) {
        if let Some((_, _, article)) = outcome(&text, Some(format)) {
            let again = put_together(&article);
            let bodies = |article: &Article| article.tips.iter().map(|tip| tip.markdown.clone()).collect::<Vec<_>>();
            let second = outcome(&again, Some(Format::Markdown)).map(|(_, _, article)| bodies(&article));
            prop_assert_eq!(second, Some(bodies(&article)), "read again:\n{}", again);
        }
    }

    #[test]
    fn presenting_never_panics_and_lets_no_html_through(text in prop_oneof![article(), "(?s).{0,300}".boxed()]) {
        let html = markdown_to_html(&text);
        prop_assert!(!html.contains("<img") && !html.contains("<div") && !html.contains("<script"));
        let _ = markdown_to_text(&text);
    }
}

#[test]
fn subsections_that_say_nothing_alone_join_the_heading_above_them() {
    let text = "# Stretches for a stiff neck\n\n## Chin tuck\n\n### How to do it\n\nSit tall and draw the chin back for five seconds, ten times.\n\n### Why it works\n\nIt wakes the muscles at the front of the neck, which tire over a screen.\n\n\
        ## Shoulder rolls\n\n### How to do it\n\nLift both shoulders, roll them back and let them drop, ten times.\n\n### Why it works\n\nSlow movement brings blood to a muscle that holds tension all day long.\n";
    let (_, _, article) = outcome(text, Some(Format::Markdown)).expect("it has sections");
    let subjects: Vec<&str> = article.tips.iter().map(|tip| tip.subject.as_str()).collect();
    assert_eq!(subjects, ["Chin tuck", "Shoulder rolls"]);
    assert!(article.tips.iter().all(|tip| tip.markdown.contains("#### Why it works")));
}
