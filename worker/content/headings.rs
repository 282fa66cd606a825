//! Headings: what they say about the section under them.
//!
//! Owns the vocabulary of sections: introductions and conclusions, lists of sources, ends of pages, and headings that
//! only make sense with a neighbour ("The remedy"). Called by `sift`, `sections` and `subject`.

use super::{signs, vocabulary, words};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a section is, by its heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A section of the article.
    Body,
    /// What leads in; no tip.
    Introduction,
    /// What sums up; no tip.
    Conclusion,
    /// The list of sources.
    References,
    /// Other pages.
    Links,
    /// Part of the page, not of the article, with the reason to give.
    Page(&'static str),
}

/// The role of a section by its heading.
pub(crate) fn role(heading: &str) -> Role {
    let key = words::key(bare(heading));
    let key = key.strip_prefix("the ").unwrap_or(&key);
    if let Some(role) = EXACT.get(key) {
        return *role;
    }
    if let Some((label, _)) = heading.split_once(": ") {
        let label = words::key(bare(label));
        match EXACT.get(label.as_str()) {
            Some(Role::Conclusion) => return Role::Conclusion,
            Some(Role::Introduction) if label.starts_with("intro") => return Role::Introduction,
            _ => {}
        }
    }
    let count = words::count(key);
    if count <= 4 && key.ends_with(" disclaimer") {
        return Role::Page("publisher's notice");
    }
    if count <= 14 && signs::asks_for_address(key) {
        return Role::Page("sign-up box");
    }
    if count > 7 {
        return Role::Body;
    }
    let opening = OPENINGS.iter().find(|(opening, most, _)| count <= *most && key.starts_with(opening));
    opening.map_or(Role::Body, |(_, _, role)| *role)
}

/// A heading without its number ("3.", "Step 3:", "#3 -") and without a colon at its end.
pub(crate) fn bare(heading: &str) -> &str {
    let is_sign =
        |c: char| !c.is_ascii() && !c.is_alphanumeric() && !matches!(c, '“' | '‘' | '«' | '„' | '¿' | '¡' | '€' | '£' | '…') || c == ' ';
    let unsigned = heading.trim().trim_start_matches(is_sign);
    let heading = if unsigned.is_empty() { heading.trim() } else { unsigned };
    if !heading.bytes().any(|b| b.is_ascii_digit()) {
        let text = heading.trim_end_matches([':', '.', ' ']);
        return if text.is_empty() { heading } else { text };
    }
    let unnumbered = after_number(heading.trim_start_matches('#')).unwrap_or(heading);
    let unlabelled = unnumbered.split_once([':', '–', '—', '-']).filter(|(label, rest)| is_count_label(label) && !rest.trim().is_empty());
    let text = unlabelled.map_or(unnumbered, |(_, rest)| rest);
    let text = text.trim().trim_end_matches([':', '.', ' ']);
    if text.is_empty() { heading } else { text }
}

fn after_number(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text[digits..]
        .strip_prefix(['.', ')', ':'])
        .or_else(|| text[digits..].strip_prefix(" -").or_else(|| text[digits..].strip_prefix(" –")))?;
    ((1..=3).contains(&digits) && rest.starts_with([' ', '\u{a0}'])).then(|| rest.trim_start())
}

/// "Step 3", "Tip #4", "Day 2", "Reason 5".
fn is_count_label(label: &str) -> bool {
    if label.len() > 20 {
        return false;
    }
    let tokens = words::tokens(label);
    let kinds = [
        "step", "tip", "day", "week", "part", "number", "no", "chapter", "habit", "rule", "idea", "way", "section", "lesson", "reason",
        "exercise", "strategy",
    ];
    matches!(&tokens[..], [kind, number] if kinds.contains(&kind.as_str()) && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The label of a heading and what follows it: ("cause", "Gallstones") of "The cause: Gallstones", ("remedy", "") of
/// "The remedy". Numbers in the label are dropped ("Myth 2: …" is "myth").
pub(crate) fn label(heading: &str) -> Option<(String, &str)> {
    let heading = bare(heading);
    let (label, rest) =
        heading.split_once(": ").or_else(|| heading.split_once(" – ").or_else(|| heading.split_once(" — "))).unwrap_or((heading, ""));
    let tokens: Vec<String> = words::tokens(label);
    let kept: Vec<&str> = tokens
        .iter()
        .map(String::as_str)
        .filter(|t| !matches!(*t, "the" | "a" | "an" | "our" | "possible" | "common" | "likely") && !t.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    (kept.len() <= 6 && !kept.is_empty()).then(|| (kept.join(" "), rest.trim()))
}

/// Whether the label opens a pair: what is wrong, asked or believed.
pub(crate) fn opens_pair(label: &str) -> bool {
    [
        "cause",
        "reason",
        "culprit",
        "problem",
        "issue",
        "myth",
        "question",
        "mistake",
        "symptom",
        "challenge",
        "claim",
        "scenario",
        "trigger",
        "error",
        "trap",
        "belief",
        "misconception",
        "q",
        "complaint",
        "sign",
        "worry",
        "what you hear",
        "situation",
    ]
    .contains(&label)
}

/// Whether the label closes a pair: what helps, what is true.
pub(crate) fn closes_pair(label: &str) -> bool {
    [
        "remedy",
        "fix",
        "solution",
        "treatment",
        "cure",
        "fact",
        "truth",
        "reality",
        "answer",
        "what to do",
        "what helps",
        "what you can do",
        "how to fix it",
        "how to treat it",
        "what to do about it",
        "what to do instead",
        "do this instead",
        "try this",
        "try this instead",
        "how to avoid it",
        "how to prevent it",
        "how to help",
        "what can help",
        "better",
        "instead",
        "response",
        "relief",
        "how to solve it",
        "what really happens",
        "what evidence says",
        "a",
        "advice",
        "action",
        "how to respond",
    ]
    .contains(&label)
}

/// Whether a heading says nothing without the one above or before it: only general words, or a pronoun that points
/// to something outside.
pub(crate) fn is_dependent(heading: &str) -> bool {
    let tokens = words::tokens(bare(heading));
    let telling = tokens.iter().filter(|t| !words::is_empty_word(t) && !vocabulary::is_general(t)).count();
    let points = tokens.iter().skip(1).any(|t| matches!(t.as_str(), "it" | "this" | "that" | "them" | "these" | "those"));
    telling == 0 || (points && telling <= 1)
}

static EXACT: LazyLock<HashMap<&str, Role>> = LazyLock::new(|| {
    let lists: [(Role, &[&str]); 12] = [
        (Role::Introduction, &INTRODUCTIONS),
        (Role::Conclusion, &CONCLUSIONS),
        (Role::References, &REFERENCES),
        (Role::Links, &LINKS),
        (Role::Page("list of other pages"), &OTHER_PAGES),
        (
            Role::Page("box about the author"),
            &["author", "authors", "about me", "our authors", "contributors", "our experts", "meet the author"],
        ),
        (Role::Page("line about the publisher"), &["about us", "who we are", "our mission", "our story", "about our company"]),
        (
            Role::Page("contact details"),
            &["contact", "contact us", "get in touch", "contact details", "contact information", "how to contact us"],
        ),
        (Role::Page("comments"), &["comments", "reader comments", "discussion", "responses"]),
        (Role::Page("navigation or sharing"), &NAVIGATION),
        (
            Role::Page("table of contents"),
            &["contents", "table of contents", "in this article", "on this page", "jump to", "what's in this article", "article contents"],
        ),
        (Role::Page("publisher's notice"), &NOTICES),
    ];
    lists.iter().flat_map(|(role, keys)| keys.iter().map(|key| (*key, *role))).collect()
});

/// How a heading opens, and how many words it may have to be taken for what it says.
const OPENINGS: [(&str, usize, Role); 31] = [
    ("in conclusion", 7, Role::Conclusion),
    ("key takeaway", 7, Role::Conclusion),
    ("final thought", 7, Role::Conclusion),
    ("bottom line", 7, Role::Conclusion),
    ("you may also", 7, Role::Links),
    ("you might also", 7, Role::Links),
    ("more articles", 7, Role::Links),
    ("more from ", 7, Role::Links),
    ("more stories", 7, Role::Links),
    ("related ", 3, Role::Links),
    ("about the author", 5, Role::Page("box about the author")),
    ("about the writer", 5, Role::Page("box about the author")),
    ("meet the author", 5, Role::Page("box about the author")),
    ("author bio", 5, Role::Page("box about the author")),
    ("leave a reply", 5, Role::Page("comments")),
    ("leave a comment", 5, Role::Page("comments")),
    ("post a comment", 5, Role::Page("comments")),
    ("join the conversation", 5, Role::Page("comments")),
    ("join the discussion", 5, Role::Page("comments")),
    ("subscribe", 5, Role::Page("sign-up box")),
    ("sign up", 5, Role::Page("sign-up box")),
    ("join our ", 5, Role::Page("sign-up box")),
    ("get our ", 5, Role::Page("sign-up box")),
    ("book your ", 7, Role::Page("sign-up box")),
    ("contact us", 5, Role::Page("contact details")),
    ("get in touch", 6, Role::Page("contact details")),
    ("ready to get", 7, Role::Page("sign-up box")),
    ("ready to start", 7, Role::Page("sign-up box")),
    ("stay in touch", 5, Role::Page("sign-up box")),
    ("share this", 5, Role::Page("navigation or sharing")),
    ("share on", 5, Role::Page("navigation or sharing")),
];
const INTRODUCTIONS: [&str; 20] = [
    "introduction",
    "intro",
    "overview",
    "foreword",
    "preface",
    "before we begin",
    "about this article",
    "about this guide",
    "about this post",
    "what's this post about",
    "what is this post about",
    "what this article covers",
    "in this guide",
    "in this post",
    "what you'll learn",
    "what you will learn",
    "what you'll learn in this article",
    "what we'll cover",
    "learning objectives",
    "abstract",
];
const CONCLUSIONS: [&str; 35] = [
    "conclusion",
    "conclusions",
    "summary",
    "in summary",
    "bottom line",
    "takeaway",
    "takeaways",
    "key takeaways",
    "key points",
    "final thoughts",
    "final word",
    "final words",
    "closing thoughts",
    "in short",
    "in brief",
    "to sum up",
    "wrapping up",
    "wrap up",
    "recap",
    "last word",
    "quick summary",
    "in a nutshell",
    "tl dr",
    "at a glance",
    "main points",
    "upshot",
    "summing up",
    "closing",
    "closing remarks",
    "closing words",
    "concluding remarks",
    "final remarks",
    "parting thoughts",
    "parting words",
    "in closing",
];
const REFERENCES: [&str; 19] = [
    "references",
    "reference",
    "sources",
    "source",
    "bibliography",
    "citations",
    "works cited",
    "literature",
    "reference list",
    "footnotes",
    "endnotes",
    "notes and references",
    "sources and references",
    "references and sources",
    "article sources",
    "literature cited",
    "list of references",
    "scientific references",
    "medical references",
];
const LINKS: [&str; 20] = [
    "further reading",
    "related",
    "related articles",
    "related posts",
    "related reading",
    "related content",
    "read more",
    "read next",
    "see also",
    "recommended reading",
    "more reading",
    "additional reading",
    "keep reading",
    "learn more",
    "useful links",
    "external links",
    "links",
    "more information",
    "up next",
    "resources",
];
const OTHER_PAGES: [&str; 17] = [
    "recent posts",
    "recent articles",
    "latest posts",
    "latest articles",
    "popular posts",
    "popular articles",
    "trending",
    "trending now",
    "most read",
    "most popular",
    "archives",
    "categories",
    "tags",
    "recommended",
    "latest news",
    "recommended for you",
    "editor's picks",
];
const NAVIGATION: [&str; 12] = [
    "share",
    "follow us",
    "connect with us",
    "navigation",
    "menu",
    "footer",
    "site map",
    "sitemap",
    "quick links",
    "legal",
    "privacy policy",
    "newsletter",
];
const NOTICES: [&str; 12] = [
    "disclaimer",
    "medical disclaimer",
    "disclosure",
    "editorial policy",
    "affiliate disclosure",
    "acknowledgements",
    "acknowledgments",
    "conflict of interest",
    "conflicts of interest",
    "funding",
    "copyright",
    "disclosures",
];
