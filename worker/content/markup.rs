//! Markdown as the project writes it: one normal form, made by comrak, with no more backslashes than needed.
//!
//! Owns comrak's options and the rewriting of a parsed tree (images become their words, raw HTML goes, links keep only
//! addresses that a mail may carry). Called by the readers and by `present`.

use super::{address, citations};
use comrak::Options;
use comrak::nodes::{Ast, AstNode, ListDelimType, NodeValue};
use std::cell::RefMut;

/// The options by which every article and every tip is parsed and written.
pub(crate) fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.render.prefer_fenced = true;
    options.parse.leave_footnote_definitions = true;
    options
}

/// Writes a parsed block as Markdown, without blank lines around it. `tidy` must have gone over the tree before.
pub(crate) fn write<'a>(node: &'a AstNode<'a>, options: &Options<'_>) -> String {
    let mut out = String::new();
    comrak::format_commonmark(node, options, &mut out).expect("writing to a string cannot fail");
    out.truncate(out.trim_end().len());
    out
}

/// Makes a tree fit for a tip: text escaped our way, images replaced by their words, raw HTML taken out, links
/// resolved against `base` and dropped where they lead nowhere that a mail may link to.
pub(crate) fn tidy<'a>(root: &'a AstNode<'a>, base: Option<&str>) {
    let nodes: Vec<&'a AstNode<'a>> = root.descendants().collect();
    for node in &nodes {
        tidy_citation(node);
    }
    for node in nodes.iter().rev() {
        tidy_structure(node, base);
    }
    for node in &nodes {
        join_text(node);
    }
    for node in &nodes {
        tidy_text(node);
    }
}

/// Takes out what `<script>` and `<style>` hold within a line: Markdown would take it for words. Before `tidy`, which takes out the tags.
pub(crate) fn take_out_scripts<'a>(root: &'a AstNode<'a>) {
    let mut open: Option<(&str, &'a AstNode<'a>)> = None;
    let mut held: Vec<&'a AstNode<'a>> = Vec::new();
    for node in root.descendants().collect::<Vec<_>>() {
        let data = node.data();
        match (&data.value, open) {
            (NodeValue::HtmlInline(html), None) => open = RAW.iter().find(|name| opens(html, name)).map(|name| (*name, node)),
            (NodeValue::HtmlInline(html), Some((name, first))) if opens(html, &format!("/{name}")) => {
                open = None;
                drop(data);
                held.drain(..).for_each(AstNode::detach);
                join_spaces(first, node);
            }
            // Nothing closes it: the words stay.
            (NodeValue::Heading(_), _) => {
                open = None;
                held.clear();
            }
            (_, Some(_)) if node.first_child().is_none() => held.push(node),
            _ => {}
        }
    }
}

/// Leaves one of the two spaces that stand around what was taken out.
fn join_spaces<'a>(first: &'a AstNode<'a>, last: &'a AstNode<'a>) {
    let before = first.previous_sibling().is_none_or(|before| matches!(&before.data().value, NodeValue::Text(text) if text.ends_with(' ')));
    let Some(after) = last.next_sibling().filter(|_| before) else { return };
    if let NodeValue::Text(text) = &mut after.data_mut().value {
        *text = text.trim_start().to_owned().into();
    }
}

/// Elements that hold no text, whatever stands in them.
pub(crate) const RAW: [&str; 2] = ["script", "style"];

/// Whether HTML begins with a tag of this name, and the tag does not close itself.
pub(crate) fn opens(html: &str, name: &str) -> bool {
    let Some(rest) = html.strip_prefix('<') else { return false };
    let named = rest.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name));
    let tag = &html[..html.find('>').unwrap_or(html.len())];
    named && !rest[name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-') && !tag.ends_with('/')
}

/// Citation marks in other dress, `<sup>3</sup>` and `[3](#ref3)`, become `[^3]`.
fn tidy_citation<'a>(node: &'a AstNode<'a>) {
    let text_of = |inner: &'a AstNode<'a>| match &inner.data().value {
        NodeValue::Text(text) => citations::group(text.trim_matches(['[', ']', ' '])).map(str::to_owned),
        _ => None,
    };
    let (inner, whole) = match &node.data().value {
        NodeValue::HtmlInline(html) if html.to_ascii_lowercase().starts_with("<sup") => (node.next_sibling(), false),
        NodeValue::Link(link) if link.url.starts_with('#') => (node.first_child().filter(|c| c.next_sibling().is_none()), true),
        _ => return,
    };
    if let Some((inner, labels)) = inner.and_then(|inner| text_of(inner).map(|labels| (inner, labels))) {
        let target = if whole { node } else { inner };
        if whole {
            inner.detach();
        }
        target.data_mut().value = NodeValue::Raw(format!("[^{labels}]"));
    }
}

fn tidy_structure<'a>(node: &'a AstNode<'a>, base: Option<&str>) {
    let mut data = node.data_mut();
    match &mut data.value {
        NodeValue::HtmlInline(html) if html.to_ascii_lowercase().starts_with("<br") => data.value = NodeValue::LineBreak,
        NodeValue::HtmlInline(_) => detach(node, data),
        NodeValue::HtmlBlock(_) if node.parent().is_some_and(|p| p.parent().is_some()) => detach(node, data),
        NodeValue::Image(_) => unwrap(node, data),
        NodeValue::Link(link) => match resolve(&link.url, base) {
            Some(url) if node.first_child().is_some() => link.url = url,
            Some(_) => detach(node, data),
            None => unwrap(node, data),
        },
        NodeValue::Strong | NodeValue::Emph | NodeValue::Strikethrough if node.first_child().is_none() => detach(node, data),
        NodeValue::FootnoteReference(reference) => data.value = NodeValue::Raw(format!("[^{}]", citations::label(&reference.name))),
        // Lists of nothing inside each other would be read as a line between two parts.
        NodeValue::List(_) | NodeValue::Item(_)
            if node.first_child().is_none() && node.parent().is_some_and(|parent| parent.parent().is_some()) =>
        {
            detach(node, data);
        }
        NodeValue::SoftBreak => data.value = NodeValue::Text(" ".into()),
        NodeValue::List(list) => list.delimiter = ListDelimType::Period,
        NodeValue::Code(code) => code.literal = code.literal.replace(['\n', '\r'], " "),
        _ => {}
    }
}

fn detach<'a>(node: &'a AstNode<'a>, data: RefMut<'_, Ast>) {
    drop(data);
    node.detach();
}

/// Puts a node's children in its place.
fn unwrap<'a>(node: &'a AstNode<'a>, data: RefMut<'_, Ast>) {
    drop(data);
    while let Some(child) = node.first_child() {
        node.insert_before(child);
    }
    node.detach();
}

/// Makes neighbouring texts one, so that what has to be escaped can be seen.
fn join_text<'a>(node: &'a AstNode<'a>) {
    let mut joined = match &node.data().value {
        NodeValue::Text(text) => text.to_string(),
        _ => return,
    };
    let mut grew = false;
    while let Some(next) = node.next_sibling() {
        match &next.data().value {
            NodeValue::Text(more) => joined.push_str(more),
            _ => break,
        }
        grew = true;
        next.detach();
    }
    if grew {
        node.data_mut().value = NodeValue::Text(joined.into());
    }
}

fn tidy_text<'a>(node: &'a AstNode<'a>) {
    let at_start = starts_line(node);
    let inside = node.parent().is_some_and(|parent| is_span(&parent.data().value));
    let mut data = node.data_mut();
    let NodeValue::Text(text) = &data.value else { return };
    let mut text = clean(text);
    if inside && node.previous_sibling().is_none() {
        text = text.trim_start().to_owned();
    }
    if inside && node.next_sibling().is_none() {
        text.truncate(text.trim_end().len());
    }
    let mut markdown = escape(&text, at_start);
    // A "!" before a link would turn the link into an image.
    if markdown.ends_with('!') && node.next_sibling().is_some() {
        markdown.insert(markdown.len() - 1, '\\');
    }
    let ends_heading =
        node.next_sibling().is_none() && node.parent().is_some_and(|parent| matches!(parent.data().value, NodeValue::Heading(_)));
    data.value = NodeValue::Raw(if ends_heading { keep_sharp(markdown) } else { markdown });
}

/// A "#" at the end of a heading would be taken for its closing mark.
pub(crate) fn keep_sharp(mut markdown: String) -> String {
    let escaped = markdown.trim_end_matches('#').bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 && !markdown.ends_with("##");
    if markdown.ends_with('#') && !escaped {
        markdown.insert(markdown.len() - 1, '\\');
    }
    markdown
}

fn is_span(value: &NodeValue) -> bool {
    matches!(value, NodeValue::Strong | NodeValue::Emph | NodeValue::Strikethrough | NodeValue::Link(_))
}

fn starts_line<'a>(node: &'a AstNode<'a>) -> bool {
    let Some(parent) = node.parent() else { return true };
    match node.previous_sibling() {
        None => !is_span(&parent.data().value),
        Some(previous) => matches!(previous.data().value, NodeValue::LineBreak),
    }
}

/// Takes out what a mail cannot show and makes every kind of space the plain one.
pub(crate) fn clean(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|b| b < 0x20) {
        return text.to_owned();
    }
    text.chars()
        .filter_map(|c| match c {
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}' => None,
            c if c.is_whitespace() => Some(' '),
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// Escapes what would be read as mark-up, and nothing else.
pub(crate) fn escape(text: &str, at_start: bool) -> String {
    let bytes = text.as_bytes();
    let special = |b: &u8| matches!(b, b'\\' | b'*' | b'_' | b'`' | b'[' | b']' | b'<' | b'&' | b'~');
    let mut out = String::with_capacity(text.len() + 8);
    let mut from = 0;
    if at_start && let Some(at) = start_mark(text) {
        out.push_str(&text[..at]);
        out.push('\\');
        from = at;
    }
    while let Some(found) = bytes[from..].iter().position(special) {
        let at = from + found;
        out.push_str(&text[from..at]);
        if let Some(labels) = citations::mark(&text[at..]) {
            out.push_str("[^");
            out.push_str(labels);
            out.push(']');
            from = at + labels.len() + 2;
            continue;
        }
        if needs_escape(bytes, at) {
            out.push('\\');
        }
        out.push(char::from(bytes[at]));
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out
}

fn needs_escape(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|i| bytes[i]);
    let after = bytes.get(at + 1).copied();
    match bytes[at] {
        b'_' => !(before.is_some_and(|b| b.is_ascii_alphanumeric()) && after.is_some_and(|b| b.is_ascii_alphanumeric())),
        b'<' => after.is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'!' | b'?')),
        b'&' => after.is_some_and(|b| b.is_ascii_alphabetic() || b == b'#'),
        _ => true,
    }
}

/// Where a line's opening would make it a heading, a list, a quotation or a rule.
fn start_mark(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let next_is_space = |i: usize| bytes.get(i + 1).is_none_or(|b| *b == b' ');
    match bytes.get(digits)? {
        b'.' | b')' if (1..10).contains(&digits) && next_is_space(digits) => Some(digits),
        b'+' if digits == 0 && next_is_space(0) => Some(0),
        b'-' | b'=' | b'#' | b'>' if digits == 0 => Some(0),
        b':' if digits == 0 && matches!(bytes.get(1), Some(b'-')) => Some(0),
        b'|' if digits == 0 => Some(0),
        _ => None,
    }
}

/// An address that a mail may link to: absolute, or made absolute with the article's own.
pub(crate) fn resolve(url: &str, base: Option<&str>) -> Option<String> {
    if leads_somewhere(url) {
        return Some(url.to_owned());
    }
    // A link without an address leads to the article itself, which is what nobody means who writes it.
    let reference = Some(url.trim()).filter(|url| !url.is_empty())?;
    address::join(Some(base?), reference).filter(|whole| leads_somewhere(whole))
}

/// Addresses that a mail may link to.
pub(crate) fn leads_somewhere(url: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|start| url.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start)))
}

/// `clean` for a text of several lines, which keeps its line breaks.
pub(crate) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| clean(line).trim().to_owned()).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn links_are_joined_to_the_address_of_their_article() {
        let base = Some("https://example.org/a/b.html?x=1#top");
        let cases = [
            ("../foo/bar", Some("https://example.org/foo/bar")),
            ("?a=b", Some("https://example.org/a/b.html?a=b")),
            ("c", Some("https://example.org/a/c")),
            ("/c", Some("https://example.org/c")),
            ("//example.com/c", Some("https://example.com/c")),
            ("#c", Some("https://example.org/a/b.html?x=1#c")),
            ("HTTPS://example.com/../c d", Some("HTTPS://example.com/../c d")),
            ("mailto:desk@example.org", Some("mailto:desk@example.org")),
            ("javascript:alert(1)", None),
            ("", None),
        ];
        for (url, whole) in cases {
            assert_eq!(resolve(url, base).as_deref(), whole, "{url}");
        }
        assert_eq!(resolve("../foo", None), None);
        assert_eq!(resolve("#c", Some("no address")), None);
    }
}
