//! Presenting: the Markdown of a tip as HTML and as plain text.
//!
//! Owns what may reach a mail: no raw HTML, no images, links to http, https and mailto only. The templates call it.

use super::markup;
use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};

mod plain;

/// The HTML of a tip's Markdown. Headings begin at the third level: the tip's own subject stands above them.
pub fn markdown_to_html(markdown: &str) -> String {
    let mut options = markup::options();
    options.extension.autolink = true;
    let arena = Arena::new();
    let root = parse(&arena, markdown, &options);
    for node in root.descendants() {
        if let NodeValue::Heading(heading) = &mut node.data_mut().value {
            heading.level = if heading.level <= 4 { 3 } else { 4 };
        }
    }
    let mut out = String::new();
    comrak::format_html(root, &options, &mut out).expect("writing to a string cannot fail");
    out
}

/// The plain text of a tip's Markdown, wrapped at 72 columns, with the address of every link.
pub fn markdown_to_text(markdown: &str) -> String {
    let mut options = markup::options();
    options.extension.autolink = true;
    let arena = Arena::new();
    plain::write(parse(&arena, markdown, &options))
}

/// What stands in a text and is not presented as it stands there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The addresses of its links.
    pub(super) links: Vec<String>,
    /// The addresses of its pictures, of which only the alternative text is left.
    pub(super) pictures: Vec<String>,
    /// Raw HTML, which is left out.
    pub(super) html: Option<String>,
}

/// What a Markdown text links to and loads.
pub(super) fn parts(markdown: &str) -> Parts {
    let mut options = markup::options();
    options.extension.autolink = true;
    let arena = Arena::new();
    let mut parts = Parts::default();
    for node in parse_document(&arena, markdown, &options).descendants() {
        match &node.data().value {
            NodeValue::Link(link) => parts.links.push(link.url.clone()),
            NodeValue::Image(picture) => parts.pictures.push(picture.url.clone()),
            NodeValue::HtmlBlock(block) => parts.html = parts.html.take().or(Some(block.literal.clone())),
            NodeValue::HtmlInline(html) if !html.starts_with("<br") => parts.html = parts.html.take().or(Some(html.clone())),
            _ => {}
        }
    }
    parts
}

/// Parses and takes out what no mail may hold.
fn parse<'a>(arena: &'a Arena<'a>, markdown: &str, options: &Options<'_>) -> &'a AstNode<'a> {
    let root = parse_document(arena, markdown, options);
    markup::take_out_scripts(root);
    let nodes: Vec<&'a AstNode<'a>> = root.descendants().collect();
    for node in nodes.into_iter().rev() {
        let value = node.data().value.clone();
        match value {
            NodeValue::HtmlBlock(_) => node.detach(),
            NodeValue::HtmlInline(html) if html.starts_with("<br") => node.data_mut().value = NodeValue::LineBreak,
            NodeValue::HtmlInline(_) => node.detach(),
            NodeValue::Image(_) => replace_by_children(node),
            NodeValue::Link(link) if markup::resolve(&link.url, None).is_none() => replace_by_children(node),
            _ => {}
        }
    }
    root
}

fn replace_by_children<'a>(node: &'a AstNode<'a>) {
    while let Some(child) = node.first_child() {
        node.insert_before(child);
    }
    node.detach();
}
