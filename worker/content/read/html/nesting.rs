//! How deep the elements of a page are nested, told before it is parsed.
//!
//! The parser looks up its stack of open elements for nearly every tag, so that a page of nothing but openings would cost time
//! by the square. Called by `page`.

use std::collections::HashMap;

/// The deepest nesting that is read: no page that was written for readers comes near it.
pub(super) const DEEPEST: usize = 256;

/// Whether more elements than `DEEPEST` are open at once. Those that close by themselves are not counted.
pub(super) fn is_too_deep(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut open: HashMap<&[u8], usize> = HashMap::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|b| *b == b'<') {
        at += found + 1;
        let rest = &bytes[at..];
        if rest.starts_with(b"!--") {
            at += text[at..].find("-->").map_or(rest.len(), |end| end + 3);
            continue;
        }
        let closing = rest.first() == Some(&b'/');
        let name = name(&rest[usize::from(closing)..]);
        if name.is_empty() {
            continue;
        }
        let end = tag_end(rest);
        if is_raw(name) && !closing {
            at += end;
            at += raw_end(&text[at..], name);
            continue;
        }
        let count = open.entry(lower(name)).or_default();
        if closing {
            depth -= usize::from(*count > 0);
            *count = count.saturating_sub(1);
        } else if !(closes_itself(lower(name)) || rest[..end].ends_with(b"/>") && is_foreign(lower(name))) {
            *count += 1;
            depth += 1;
        }
        if depth > DEEPEST {
            return true;
        }
        at += end;
    }
    false
}

fn name(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':')).count();
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) { &bytes[..length] } else { &[] }
}

/// The known name in lower case; others stand as they are written.
fn lower(name: &[u8]) -> &[u8] {
    KNOWN.iter().map(|known| known.as_bytes()).find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name)
}

/// Where a tag ends; a `>` in quotes does not end it.
fn tag_end(bytes: &[u8]) -> usize {
    let mut quote = None;
    for (index, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return index + 1,
            (None, b'"' | b'\'') if index > 0 && matches!(bytes[index - 1], b'=' | b' ') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    bytes.len()
}

fn is_raw(name: &[u8]) -> bool {
    RAW.iter().any(|raw| raw.as_bytes().eq_ignore_ascii_case(name))
}

/// Where the text of a script or the like ends.
fn raw_end(text: &str, name: &[u8]) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = text[at..].find("</") {
        at += found;
        let after = &bytes[at + 2..];
        if after.len() >= name.len() && after[..name.len()].eq_ignore_ascii_case(name) {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

fn closes_itself(name: &[u8]) -> bool {
    VOID.iter().any(|void| void.as_bytes() == name)
}

fn is_foreign(name: &[u8]) -> bool {
    !KNOWN.iter().any(|known| known.as_bytes() == name)
}

const RAW: [&str; 5] = ["script", "style", "textarea", "title", "noscript"];

/// Elements without an end tag, and those whose end tag may be left out because the next one closes them.
const VOID: [&str; 33] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr", "p", "li", "dt", "dd",
    "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option", "optgroup", "a", "html", "head", "body", "rt", "rp",
];

const KNOWN: [&str; 83] = [
    "div",
    "span",
    "p",
    "a",
    "li",
    "ul",
    "ol",
    "td",
    "tr",
    "th",
    "table",
    "tbody",
    "thead",
    "tfoot",
    "col",
    "colgroup",
    "br",
    "img",
    "hr",
    "input",
    "link",
    "meta",
    "base",
    "area",
    "embed",
    "param",
    "source",
    "track",
    "wbr",
    "dt",
    "dd",
    "dl",
    "option",
    "optgroup",
    "select",
    "html",
    "head",
    "body",
    "rt",
    "rp",
    "ruby",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "nav",
    "aside",
    "figure",
    "figcaption",
    "blockquote",
    "pre",
    "code",
    "b",
    "i",
    "em",
    "strong",
    "u",
    "s",
    "small",
    "big",
    "font",
    "center",
    "sup",
    "sub",
    "form",
    "button",
    "label",
    "fieldset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "svg",
    "math",
    "details",
    "summary",
    "object",
    "picture",
    "iframe",
    "address",
];
