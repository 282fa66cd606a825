//! What stands within a paragraph: words, spans, links, citations, line breaks.
//!
//! Owns the spaces (a page has them anywhere, Markdown only between words) and what cannot be written as Markdown: a span
//! whose marks would not be read as marks loses them. Called by `flow` and `table`.

use super::flow::{Flow, Place};
use crate::content::{address, citations, markup};
use comrak::arena_tree::NodeEdge;
use comrak::nodes::{AstNode, NodeCode, NodeLink, NodeValue};

/// What was written of a line so far.
#[derive(Default)]
struct Line {
    /// The last character; nothing at the beginning.
    last: Option<char>,
    /// The word that it ends.
    word: String,
    /// Whether a space is due before the next character.
    space: bool,
    /// Whether a span or a line has just begun, where no space may stand.
    fresh: bool,
    /// All on one line, as in a heading or a cell.
    flat: bool,
    strong: bool,
    emphasised: bool,
    struck: bool,
    linked: bool,
    images: Vec<String>,
}

impl<'a> Flow<'_, '_, 'a> {
    /// Neighbours within a line as a paragraph, and their images beside it.
    pub(super) fn paragraph(&mut self, run: &[usize], place: Place<'a>) {
        if run.is_empty() {
            return;
        }
        let paragraph = self.node(NodeValue::Paragraph);
        let images = self.line(run, paragraph, place.link, false);
        if paragraph.first_child().is_none() {
            return self.images(&images, place);
        }
        // An image that stands first has its caption under it.
        let leads = run
            .iter()
            .find(|node| self.page.name(**node) == "img" || !self.page.text(**node).is_empty())
            .is_some_and(|node| self.page.text(*node).is_empty());
        if leads {
            self.images(&images, place);
        }
        self.add(paragraph, place);
        if !leads {
            self.images(&images, place);
        }
    }

    /// Images by their words; those without any are decoration.
    pub(super) fn images(&mut self, images: &[String], place: Place<'a>) {
        for alternative in images {
            if !self.is_top(place) {
                self.aside(alternative.clone(), "image");
                continue;
            }
            let (paragraph, image) = (
                self.node(NodeValue::Paragraph),
                self.node(NodeValue::Image(Box::new(NodeLink { url: String::new(), title: String::new() }))),
            );
            image.append(self.node(NodeValue::Text(alternative.clone().into())));
            paragraph.append(image);
            self.add(paragraph, place);
        }
    }

    /// Writes nodes into a paragraph, a heading or a cell; gives the words of their images.
    pub(super) fn line(&mut self, run: &[usize], into: &'a AstNode<'a>, link: Option<usize>, flat: bool) -> Vec<String> {
        let strong = matches!(into.data().value, NodeValue::Strong);
        let mut line = Line { flat, strong, ..Line::default() };
        let whole =
            link.and_then(|link| self.target(link)).map(|url| self.node(NodeValue::Link(Box::new(NodeLink { url, title: String::new() }))));
        line.linked = whole.is_some();
        let inner = whole.unwrap_or(into);
        for node in run {
            self.inline(*node, inner, &mut line);
        }
        if let Some(whole) = whole.filter(|whole| whole.first_child().is_some()) {
            into.append(whole);
        }
        settle_spans(into);
        while let Some(last) = into.last_child().filter(|last| matches!(last.data().value, NodeValue::LineBreak)) {
            last.detach();
        }
        line.images
    }

    fn inline(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        if let Some(reason) = self.left[node] {
            return self.leave(node, reason);
        }
        match self.page.name(node) {
            "" => self.words(self.page.nodes[node].text, into, line),
            "br" if line.flat => line.space = line.last.is_some(),
            "br" if line.last.is_some() => {
                into.append(self.node(NodeValue::LineBreak));
                (line.space, line.fresh, line.last) = (false, true, Some('\n'));
            }
            "br" => {}
            "img" => self.image(node, into, line),
            _ if !self.has_text(node) => self.inner(node, into, line),
            "a" => self.link(node, into, line),
            "b" | "strong" => self.strong(node, into, line),
            "span" if is_bold(self.page.attribute(node, "style")) => self.strong(node, into, line),
            "i" | "em" if !line.emphasised => {
                line.emphasised = true;
                self.span(node, NodeValue::Emph, into, line);
                line.emphasised = false;
            }
            "s" | "del" | "strike" if !line.struck => {
                line.struck = true;
                self.span(node, NodeValue::Strikethrough, into, line);
                line.struck = false;
            }
            "code" | "kbd" | "samp" | "tt"
                if !self.page.below(node).any(|at| self.left[at].is_some() || matches!(self.page.name(at), "a" | "img")) =>
            {
                self.code_span(node, into, line)
            }
            "sup" => self.raised(node, into, line),
            "q" => {
                self.words("“", into, line);
                self.inner(node, into, line);
                self.words("”", into, line);
            }
            "rt" => {
                self.words("(", into, line);
                self.inner(node, into, line);
                self.words(")", into, line);
            }
            name => {
                let apart = super::page::is_block(name);
                line.space |= apart && line.last.is_some();
                self.inner(node, into, line);
                line.space |= apart && line.last.is_some();
            }
        }
    }

    fn inner(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        for child in self.page.children(node) {
            self.inline(child, into, line);
        }
    }

    /// Whether a word of it stays in the line.
    fn has_text(&self, node: usize) -> bool {
        let mut at = node + 1;
        while at < self.page.nodes[node].end {
            if self.left[at].is_some() {
                at = self.page.nodes[at].end;
                continue;
            }
            if !self.page.nodes[at].text.trim().is_empty() {
                return true;
            }
            at += 1;
        }
        false
    }

    fn words(&self, text: &str, into: &'a AstNode<'a>, line: &mut Line) {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_whitespace() {
                line.word.clear();
                line.space |= line.last.is_some() && !line.fresh;
                continue;
            }
            if std::mem::take(&mut line.space) {
                out.push(' ');
            }
            out.push(c);
            line.word.push(c);
            (line.last, line.fresh) = (Some(c), false);
        }
        if !out.is_empty() {
            into.append(self.node(NodeValue::Text(out.into())));
        }
    }

    fn strong(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        if line.strong {
            return self.inner(node, into, line);
        }
        line.strong = true;
        self.span(node, NodeValue::Strong, into, line);
        line.strong = false;
    }

    /// A span; the space that it begins with stands before it.
    fn span(&mut self, node: usize, value: NodeValue, into: &'a AstNode<'a>, line: &mut Line) {
        let first = self.page.below(node).map(|at| self.page.nodes[at].text).find(|text| !text.is_empty());
        line.space |= line.last.is_some() && !line.fresh && first.is_some_and(|text| text.starts_with(char::is_whitespace));
        if std::mem::take(&mut line.space) {
            into.append(self.node(NodeValue::Text(" ".into())));
        }
        let span = self.node(value);
        line.fresh = true;
        self.inner(node, span, line);
        if span.first_child().is_some() {
            into.append(span);
        }
    }

    fn code_span(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        let text = self.page.below(node).map(|at| self.page.nodes[at].text).collect::<String>();
        let opens_with_space = text.starts_with(char::is_whitespace);
        // Two runs of backticks would be read as one.
        line.space |= line.last == Some('`') || line.last.is_some() && !line.fresh && opens_with_space;
        if std::mem::take(&mut line.space) {
            into.append(self.node(NodeValue::Text(" ".into())));
        }
        let literal = text.split_whitespace().collect::<Vec<_>>().join(" ");
        into.append(self.node(NodeValue::Code(NodeCode { num_backticks: 1, literal })));
        (line.last, line.fresh) = (Some('`'), false);
        line.space = text.ends_with(char::is_whitespace);
    }

    fn link(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        let here = self.page.attribute(node, "href").is_some_and(|href| href.contains('#'));
        if let Some(labels) = Some(self.page.text(node)).filter(|_| here).and_then(|text| group(&text)) {
            return self.words(&format!("[{labels}]"), into, line);
        }
        match self.target(node).filter(|_| !line.linked) {
            Some(url) => {
                line.linked = true;
                self.span(node, NodeValue::Link(Box::new(NodeLink { url, title: String::new() })), into, line);
                line.linked = false;
            }
            None => self.inner(node, into, line),
        }
    }

    /// Where a link leads; a place on the page itself stays a `#place`, and is none where the page has no address.
    fn target(&self, link: usize) -> Option<String> {
        let href = self.page.attribute(link, "href")?;
        if href.starts_with('#') {
            return (href.len() > 1 && self.base.is_some()).then(|| href.to_owned());
        }
        let whole = address::join(self.base, href).filter(|whole| markup::leads_somewhere(whole))?;
        let own = self.base.map(|base| base.split('#').next().unwrap_or(base));
        match whole.split_once('#') {
            Some((page, place)) if Some(page) == own && !place.is_empty() => Some(format!("#{place}")),
            _ => Some(whole),
        }
    }

    /// A raised number is a citation if it leads to a source, or could; otherwise it stays raised.
    fn raised(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        let Some(labels) = group(&self.page.text(node)) else { return self.inner(node, into, line) };
        let leads = self.page.below(node).any(|at| self.page.attribute(at, "href").is_some_and(|href| href.contains('#')));
        let power = line.last.is_some_and(|last| last.is_ascii_digit()) || UNITS.contains(&line.word.as_str());
        if leads || (self.sources && !power) {
            line.space = false;
            return self.words(&format!("[{labels}]"), into, line);
        }
        if self.page.below(node).any(|at| self.page.name(at) == "a") {
            return self.inner(node, into, line);
        }
        let raised: String =
            labels.chars().map(|c| c.to_digit(10).and_then(|d| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(d as usize)).unwrap_or(c)).collect();
        self.words(&raised, into, line);
    }

    /// An image within a line stands beside it, but for a sign or a formula.
    fn image(&mut self, node: usize, into: &'a AstNode<'a>, line: &mut Line) {
        let Some(alternative) = self.page.attribute(node, "alt") else { return };
        let class = self.page.attribute(node, "class").unwrap_or_default();
        let sign = !alternative.chars().any(char::is_alphanumeric) && alternative.chars().count() <= 4;
        let formula = ["latex", "math", "tex", "mwe-math"]
            .iter()
            .any(|word| class.split(['-', ' ', '_']).any(|part| part.eq_ignore_ascii_case(word)));
        if sign || formula {
            self.words(alternative, into, line);
        } else if alternative.chars().any(char::is_alphanumeric) {
            line.images.push(alternative.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}

/// Words that are squared and cubed.
const UNITS: [&str; 8] = ["m", "cm", "mm", "km", "ft", "in", "yd", "mi"];

/// `[3]`, `(3)` and `3` as the group of labels.
fn group(text: &str) -> Option<String> {
    let bare = text.trim().trim_matches(['[', ']', '(', ')']).trim();
    citations::group(bare).map(str::to_owned)
}

fn is_bold(style: Option<&str>) -> bool {
    style.is_some_and(|style| {
        let style = style.to_ascii_lowercase().replace(' ', "");
        ["font-weight:bold", "font-weight:700", "font-weight:600", "font-weight:800"].iter().any(|bold| style.contains(bold))
    })
}

/// Takes the marks off spans where Markdown would not read them as marks: a word character right outside and a sign right inside,
/// or another span right before it.
fn settle_spans<'a>(root: &'a AstNode<'a>) {
    let spans: Vec<&'a AstNode<'a>> =
        root.descendants().filter(|node| is_span(node) || matches!(node.data().value, NodeValue::Link(_))).collect();
    for span in spans.into_iter().rev() {
        let is_break = |node: &&'a AstNode<'a>| matches!(node.data().value, NodeValue::LineBreak);
        while let Some(first) = span.first_child().filter(is_break) {
            span.insert_before(first);
        }
        while let Some(last) = span.last_child().filter(is_break) {
            span.insert_after(last);
        }
    }
    let spans: Vec<&'a AstNode<'a>> = root.descendants().skip(1).filter(|node| is_span(node)).collect();
    spans.into_iter().filter(|span| meets_other(span)).for_each(unwrap);
    let edges: Vec<NodeEdge<&'a AstNode<'a>>> = root.traverse().collect();
    for (index, edge) in edges.iter().enumerate() {
        let NodeEdge::Start(span) = edge else { continue };
        if !is_span(span) {
            continue;
        }
        let end = edges[index..]
            .iter()
            .position(|edge| matches!(edge, NodeEdge::End(other) if other.same_node(span)))
            .map_or(index, |at| index + at);
        let own = written_mark(span);
        let before_of = |end: usize| edges[..end].iter().rev().find_map(|edge| character(edge, own, true));
        let from = |start: usize| edges[start..].iter().find_map(|edge| character(edge, own, false));
        let (before, first, last, after) = (before_of(index), from(index + 1), before_of(end), from(end + 1));
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if (is_word(before) && !is_word(first)) || (is_word(after) && !is_word(last)) {
            unwrap(span);
        }
    }
}

/// Whether its marks stand right behind those of another span, or begin or end together with those of the one around it.
fn meets_other(span: &AstNode<'_>) -> bool {
    let around = span.parent().is_some_and(|parent| written_mark(parent).is_some() && written_mark(parent) == written_mark(span));
    let in_part = span.previous_sibling().is_none() != span.next_sibling().is_none();
    span.previous_sibling().is_some_and(is_span) || (around && in_part)
}

/// Puts the children of a span in its place.
fn unwrap<'a>(span: &'a AstNode<'a>) {
    while let Some(child) = span.first_child() {
        span.insert_before(child);
    }
    span.detach();
}

fn is_span<'a>(node: &'a AstNode<'a>) -> bool {
    matches!(node.data().value, NodeValue::Strong | NodeValue::Emph | NodeValue::Strikethrough)
}

/// The sign that a span's marks are made of; nothing for one that has lost them.
fn written_mark(node: &AstNode<'_>) -> Option<char> {
    match node.data().value {
        _ if node.first_child().is_none() => None,
        NodeValue::Strong | NodeValue::Emph => Some('*'),
        NodeValue::Strikethrough => Some('~'),
        _ => None,
    }
}

/// The character that is written where an edge stands; nothing for one that writes none, or only more of the `own` marks.
fn character<'a>(edge: &NodeEdge<&'a AstNode<'a>>, own: Option<char>, from_right: bool) -> Option<char> {
    let (NodeEdge::Start(node) | NodeEdge::End(node)) = edge;
    if is_span(node) {
        // The parser looks past the marks of what is struck out.
        return written_mark(node).filter(|mark| Some(*mark) != own && *mark != '~');
    }
    if matches!(edge, NodeEdge::End(_)) {
        return matches!(node.data().value, NodeValue::Link(_)).then_some(')');
    }
    match &node.data().value {
        NodeValue::Text(text) if from_right => text.chars().next_back(),
        NodeValue::Text(text) => text.chars().next(),
        NodeValue::Code(_) => Some('`'),
        NodeValue::LineBreak => Some(' '),
        NodeValue::Link(_) => Some('['),
        _ => None,
    }
}
