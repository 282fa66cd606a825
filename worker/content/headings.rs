//! Headings: what they say about the section under them.
//!
//! Owns how a heading is read: its number, its label, what it is (by the vocabulary of `roles`), and whether it only makes
//! sense with a neighbour ("The remedy"). Called by `sift`, `sections` and `subject`.

use super::{roles, signs, vocabulary, words};

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
    let key = unnumbered(key.strip_prefix("the ").unwrap_or(&key));
    if let Some(role) = roles::exact(key).or_else(|| roles::all_of(key)) {
        return role;
    }
    if let Some((label, _)) = heading.split_once(": ") {
        let label = words::key(bare(label));
        match roles::exact(&label) {
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
    if count > 7 { Role::Body } else { roles::by_opening(key, count).unwrap_or(Role::Body) }
}

/// "1 introduction" without the number of the section.
fn unnumbered(key: &str) -> &str {
    let rest = key.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(' ');
    rest.filter(|rest| key.starts_with(|c: char| c.is_ascii_digit()) && roles::exact(rest).is_some()).unwrap_or(key)
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
