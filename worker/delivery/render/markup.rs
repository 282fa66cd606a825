//! What the markup of a template may hold: nothing that is loaded, run or declared, and no more depth than a mail has.
//!
//! Looks at the text of MJML and HTML files as it is written, so that a fault has its line even in a branch that no sample takes;
//! the MJML compiler goes down with the elements on the stack, so their depth is limited before. Called by `compile`.

use super::{error::TemplateError, files::Files, loading};
use std::collections::BTreeSet;

const MAX_DEPTH: usize = 40;

/// Elements that load or run something, ask something, or belong to a form.
const REFUSED: [&str; 30] = [
    "script",
    "iframe",
    "frame",
    "frameset",
    "object",
    "embed",
    "applet",
    "base",
    "link",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "video",
    "audio",
    "source",
    "track",
    "img",
    "picture",
    "svg",
    "math",
    "template",
    "mj-image",
    "mj-carousel",
    "mj-carousel-image",
    "mj-social",
    "mj-navbar",
    "mj-font",
    "mj-html-attributes",
];

/// What is refused wherever it stands, also in words that people read.
const ANYWHERE: [&str; 5] = ["url(", "image-set(", "cross-fade(", "@import", "javascript:"];

/// Elements without an end.
const VOID: [&str; 7] = ["br", "hr", "meta", "wbr", "col", "area", "param"];

/// What is wrong with the markup of `part`, with its lines.
pub(super) fn faults(files: &Files, part: &str, text: &str) -> Vec<TemplateError> {
    let shown = loading::without_placeholders(text);
    // A set: what stands in an element stands in a line too.
    let mut found = in_lines(&shown);
    found.extend(in_sheets(&shown));
    found.extend(in_elements(text));
    found.into_iter().map(|(line, what)| TemplateError::Refused { at: files.place(part, Some(line)), what }).collect()
}

fn in_lines(shown: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (number, line) in (1..).zip(shown.lines()) {
        let (lower, plain) = (line.to_ascii_lowercase(), loading::plain(line));
        let signs = ANYWHERE.into_iter().filter(|sign| lower.contains(sign) || plain.contains(sign));
        found.extend(signs.map(|sign| (number, loading::would_load(&format!("`{sign}`")))));
    }
    found
}

fn in_sheets(shown: &str) -> Vec<(usize, String)> {
    let found = loading::sheets(shown).filter_map(|(at, sheet)| {
        let sign = loading::in_style(sheet)?;
        let below = sheet.lines().position(|line| loading::in_style(line) == Some(sign)).unwrap_or(0);
        // From the sheet's own start, which may be below that of its element.
        let above = shown[..at].matches('\n').count() + shown[at..].split('>').next().unwrap_or("").matches('\n').count();
        Some((above + below + 1, loading::would_load(&format!("`{sign}`"))))
    });
    found.collect()
}

fn in_elements(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut depth, mut at, mut line): (usize, usize, usize) = (0, 0, 1);
    while let Some(start) = text[at..].find('<').map(|found| at + found) {
        line += text[at..start].matches('\n').count();
        let Some(tag) = Tag::read(&text[start..]) else {
            found.push((line, "a `<` begins no element that ends: write &lt; for the sign itself".to_owned()));
            break;
        };
        at = start + tag.length;
        found.extend(tag.refused().map(|why| (line, why)));
        line += text[start..at].matches('\n').count();
        match tag.step {
            Step::In => depth += 1,
            Step::Out => depth = depth.saturating_sub(1),
            Step::None => {}
        }
        if depth > MAX_DEPTH {
            found.push((line, format!("elements stand more than {MAX_DEPTH} deep in each other")));
            break;
        }
    }
    found
}

/// The MJML files that `text` includes: where each tag stands, and its path.
pub(super) fn includes(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("<mj-include").map(|found| at + found) {
        let Some(tag) = Tag::read(&text[start..]) else { break };
        at = start + tag.length;
        let path = attributes(tag.inner).find(|(name, _)| *name == "path").map(|(_, value)| value.to_owned());
        found.push((start..at, path.unwrap_or_default()));
    }
    found
}

enum Step {
    In,
    Out,
    None,
}

struct Tag<'a> {
    name: String,
    inner: &'a str,
    length: usize,
    step: Step,
}

impl<'a> Tag<'a> {
    // At the `<` with which `text` begins, up to the `>` that ends it.
    fn read(text: &'a str) -> Option<Self> {
        if let Some(comment) = text.strip_prefix("<!--") {
            // What a condition encloses is markup for some mail programs.
            let length = if comment.starts_with("[if") { 4 } else { 4 + comment.find("-->")? + 3 };
            return Some(Self { name: "!--".to_owned(), inner: "", length, step: Step::None });
        }
        let length = end(text)?;
        let inner = &text[1..length - 1];
        let closing = inner.starts_with('/');
        let named = inner.trim_start_matches('/');
        let name = named[..named.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(named.len())].to_ascii_lowercase();
        let step = match (closing, inner.ends_with('/') || VOID.contains(&name.as_str())) {
            (true, _) => Step::Out,
            (false, true) => Step::None,
            (false, false) => Step::In,
        };
        Some(Self { name, inner: named, length, step })
    }

    fn refused(&self) -> Option<String> {
        if self.name == "!--" {
            return None;
        }
        if self.name.is_empty() {
            let why = match self.inner.as_bytes().first() {
                // The ends of conditional comments.
                Some(b'!') if self.inner.starts_with("![endif]") => return None,
                Some(b'!' | b'?') => "declarations, entities of your own and instructions are no part of templates",
                _ => "a `<` begins no element: write &lt; for the sign itself",
            };
            return Some(why.to_owned());
        }
        if REFUSED.contains(&self.name.as_str()) {
            return Some(loading::would_load(&format!("`<{}>`", self.name)));
        }
        let shown = loading::without_placeholders(self.inner);
        attributes(&shown).find_map(|(name, value)| loading::by_attribute(&self.name, &name.replace(loading::GAP, ""), value))
    }
}

/// Where the tag ends that `text` begins with, or is within: after the first `>` that is not quoted.
pub(super) fn end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(at + 1),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Names and values of what is written as `name="value"`, as they stand in a tag.
pub(super) fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        loop {
            let equals = rest.find('=')?;
            let name = rest[..equals].trim_end().rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/')).next().unwrap_or("");
            let value = rest[equals + 1..].trim_start();
            let quote = value.chars().next()?;
            let (value, after) = match quote {
                '"' | '\'' => value[1..].split_once(quote)?,
                _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
            };
            rest = after;
            if !name.is_empty() {
                return Some((name, value));
            }
        }
    })
}
