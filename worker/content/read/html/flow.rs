//! The blocks of a page: its elements become the tree that Markdown is written from.
//!
//! Owns what is a heading, a list, a quotation, code or a question with its answer, and that every visible word goes into exactly
//! one block or one aside. `line` does what stands within a paragraph, `table` tables. Called by `html`.

use super::main_text::Found;
use super::page::{Page, is_block};
use super::table;
use crate::content::document::{Aside, Block};
use crate::content::read::markdown;
use crate::content::{headings, words};
use comrak::Arena;
use comrak::nodes::{Ast, AstNode, LineColumn, ListDelimType, ListType, NodeCodeBlock, NodeHeading, NodeList, NodeValue};
use std::cell::RefCell;

/// What is known while the blocks are made.
pub(super) struct Flow<'p, 'h, 'a> {
    pub(super) page: &'p Page<'h>,
    pub(super) left: &'p [Option<&'static str>],
    pub(super) base: Option<&'p str>,
    /// Whether the article lists its sources, so that a raised number is a citation.
    pub(super) sources: bool,
    pub(super) asides: Vec<Aside>,
    arena: &'a Arena<'a>,
    document: &'a AstNode<'a>,
    /// Whether a node is a block or holds one.
    has_block: Vec<bool>,
    root: usize,
    title: &'p str,
    /// How many blocks there are so far.
    count: usize,
    level: u8,
}

/// Where a block goes to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) into: &'a AstNode<'a>,
    /// The link that all of it stands in.
    pub(super) link: Option<usize>,
    /// How many lists and quotations it stands in.
    depth: usize,
}

/// Lists and quotations inside more than so many others lose their marks, but no word.
const DEEPEST_LIST: usize = 8;

/// The blocks of the article and what else the page shows.
pub(super) fn blocks(page: &Page<'_>, found: &Found, base: Option<&str>, title: &str) -> (Vec<Block>, Vec<Aside>) {
    let arena = Arena::new();
    let document = arena.alloc(AstNode::new(RefCell::new(Ast::new(NodeValue::Document, LineColumn { line: 1, column: 1 }))));
    let sources = page.below(found.root).any(|at| {
        heading_level(page, at).is_some() && headings::role(&page.text(at)) == headings::Role::References
            || matches!(page.name(at), "ol" | "section" | "div")
                && page.attribute(at, "class").is_some_and(|class| class.contains("references") || class.contains("footnotes"))
    });
    let mut flow = Flow {
        page,
        left: &found.left,
        base,
        sources,
        asides: Vec::new(),
        arena: &arena,
        document,
        has_block: holders_of_blocks(page),
        root: found.root,
        title,
        count: 0,
        level: 1,
    };
    flow.around(0);
    let mut asides = flow.asides;
    let written = markdown::written(document, base);
    // A block without a word is none, and moves up what is counted by blocks.
    let mut before = vec![0];
    for block in &written {
        before.push(before.last().unwrap_or(&0) + usize::from(block.is_some()));
    }
    asides.iter_mut().for_each(|aside| aside.before = before[aside.before.min(before.len() - 1)]);
    (written.into_iter().flatten().collect(), asides)
}

/// The level of a heading.
pub(super) fn heading_level(page: &Page<'_>, node: usize) -> Option<u8> {
    match page.name(node).as_bytes() {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ if page.attribute(node, "role") == Some("heading") => {
            page.attribute(node, "aria-level").and_then(|level| level.parse().ok()).filter(|level| (1..=6).contains(level)).or(Some(2))
        }
        _ => None,
    }
}

/// For each node whether it is a block or holds one. A second line break in a row parts two paragraphs.
pub(super) fn holders_of_blocks(page: &Page<'_>) -> Vec<bool> {
    let mut holds = vec![false; page.nodes.len()];
    let mut broken = false;
    for (node, held) in holds.iter_mut().enumerate() {
        let name = page.name(node);
        *held = is_block(name) || heading_level(page, node).is_some() || (name == "br" && broken);
        broken = name == "br" || (broken && page.nodes[node].text.trim().is_empty() && !matches!(name, "img" | "a" | "input"));
    }
    for node in (1..page.nodes.len()).rev() {
        holds[page.nodes[node].parent] |= holds[node];
    }
    holds
}

impl<'a> Flow<'_, '_, 'a> {
    pub(super) fn node(&self, value: NodeValue) -> &'a AstNode<'a> {
        self.arena.alloc(AstNode::new(RefCell::new(Ast::new(value, LineColumn { line: 1, column: 1 }))))
    }

    /// The page around the article, and the article at its place.
    fn around(&mut self, of: usize) {
        if of == self.root {
            return self.flow(of, Place { into: self.document, link: None, depth: 0 });
        }
        let page = self.page;
        let mut run = Vec::new();
        for child in page.children(of) {
            if child <= self.root && self.root < page.nodes[child].end {
                self.outside(&std::mem::take(&mut run));
                self.around(child);
            } else if self.has_block[child] || self.left[child].is_some() {
                self.outside(&std::mem::take(&mut run));
                let parted = self.left[child].is_none()
                    && self.title_reason(child).is_none()
                    && page.below(child).any(|at| self.left[at].is_some() || heading_level(page, at) == Some(1));
                if parted { self.around(child) } else { self.outside(&[child]) }
            } else {
                run.push(child);
            }
        }
        self.outside(&run);
    }

    /// One aside out of neighbours that are no part of the article.
    fn outside(&mut self, run: &[usize]) {
        let Some(first) = run.first() else { return };
        let text = run.iter().map(|node| self.page.text(*node)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        let reason = self.left[*first].or_else(|| self.title_reason(*first)).unwrap_or("outside the article");
        self.aside(text, reason);
    }

    fn title_reason(&self, node: usize) -> Option<&'static str> {
        let level = heading_level(self.page, node)?;
        let text = words::key(&self.page.text(node));
        (level <= 2 && !text.is_empty() && text == words::key(self.title)).then_some("title")
    }

    pub(super) fn aside(&mut self, text: String, reason: &'static str) {
        if text.chars().any(char::is_alphanumeric) {
            self.asides.push(Aside { text, reason, before: self.count });
        }
    }

    pub(super) fn leave(&mut self, node: usize, reason: &'static str) {
        self.aside(self.page.text(node), reason);
    }

    /// Adds a block to its place.
    pub(super) fn add(&mut self, block: &'a AstNode<'a>, place: Place<'a>) {
        place.into.append(block);
        self.count += usize::from(place.into.same_node(self.document));
    }

    pub(super) fn is_top(&self, place: Place<'a>) -> bool {
        place.into.same_node(self.document)
    }

    /// The children of an element.
    pub(super) fn flow(&mut self, of: usize, place: Place<'a>) {
        let page = self.page;
        self.run_through(page.children(of), place);
    }

    /// Siblings: neighbours within a line make a paragraph.
    fn run_through(&mut self, siblings: impl Iterator<Item = usize>, place: Place<'a>) {
        let mut run: Vec<usize> = Vec::new();
        for child in siblings {
            if !self.has_block[child] {
                run.push(child);
                continue;
            }
            self.paragraph(&std::mem::take(&mut run), place);
            match self.left[child] {
                Some(reason) => self.leave(child, reason),
                None => self.block(child, place),
            }
        }
        self.paragraph(&run, place);
    }

    fn block(&mut self, node: usize, place: Place<'a>) {
        if let Some(level) = heading_level(self.page, node) {
            self.level = level;
            return self.heading(node, level, place);
        }
        match self.page.name(node) {
            "ul" | "ol" | "menu" | "dir" if place.depth < DEEPEST_LIST && !self.holds_sections(node) => self.list(node, place),
            "dl" if place.depth < DEEPEST_LIST && !self.holds_sections(node) => self.definitions(node, place),
            "table" if table::is_data(self, node) => table::table(self, node, place),
            "pre" => self.code(node, place),
            // Within a list its paragraphs would run into one another.
            "blockquote" if place.depth == 0 && !self.holds_sections(node) => self.quote(node, place),
            "hr" => self.add(self.node(NodeValue::ThematicBreak), place),
            "details" => self.details(node, place),
            "br" => {}
            "a" => self.flow(node, Place { link: Some(node), ..place }),
            _ => self.flow(node, place),
        }
    }

    /// Headings and tables stand by themselves; what holds them is gone through.
    fn holds_sections(&self, node: usize) -> bool {
        self.holds_headings(node) || self.page.below(node).any(|at| self.page.name(at) == "table" && self.left[at].is_none())
    }

    fn holds_headings(&self, node: usize) -> bool {
        self.page.below(node).any(|at| heading_level(self.page, at).is_some() && self.left[at].is_none())
    }

    fn heading(&mut self, node: usize, level: u8, place: Place<'a>) {
        // Within a list, a quotation or a cell it is a line in bold.
        let top = self.is_top(place);
        let value = if top { NodeValue::Heading(NodeHeading { level, setext: false, closed: false }) } else { NodeValue::Paragraph };
        let heading = self.node(value);
        let inner = if top { heading } else { self.node(NodeValue::Strong) };
        if !top {
            heading.append(inner);
        }
        let images = self.line(&[node], inner, place.link, true);
        if inner.first_child().is_some() {
            if let Some(id) = self.anchor(node).filter(|_| top) {
                heading.append(self.node(NodeValue::HtmlInline(format!("<a id=\"{id}\">"))));
            }
            self.add(heading, place);
        }
        self.images(&images, place);
    }

    /// The id of a heading: its own, that of a link in it, or that of the section that it opens.
    fn anchor(&self, heading: usize) -> Option<String> {
        let page = self.page;
        let own = |node: usize| page.attribute(node, "id").or_else(|| page.attribute(node, "name").filter(|_| page.name(node) == "a"));
        let to_itself = |node: usize| page.attribute(node, "href").and_then(|href| href.strip_prefix('#'));
        let parent = page.nodes[heading].parent;
        let opens = matches!(page.name(parent), "section" | "div")
            && parent != self.root
            && page.children(parent).find(|child| page.nodes[*child].element.is_some()) == Some(heading);
        let found = own(heading)
            .or_else(|| page.below(heading).find_map(own))
            .or_else(|| page.below(heading).find_map(to_itself))
            .or_else(|| opens.then(|| own(parent)).flatten())?;
        (!found.contains(['"', '\'', '<', '>', ' '])).then(|| found.to_owned())
    }

    fn list(&mut self, node: usize, place: Place<'a>) {
        let ordered = self.page.name(node) == "ol";
        let start = self.page.attribute(node, "start").and_then(|start| start.parse().ok()).unwrap_or(1);
        let list = self.list_node(ordered.then_some(start));
        let inside = Place { depth: place.depth + 1, ..place };
        let mut last: Option<&'a AstNode<'a>> = None;
        for child in self.page.children(node) {
            if let Some(reason) = self.left[child] {
                self.leave(child, reason);
                continue;
            }
            let nested = matches!(self.page.name(child), "ul" | "ol");
            let item = match last {
                // A list that stands beside the item that it belongs to.
                Some(last) if nested => last,
                _ => self.node(item_of(list)),
            };
            if nested {
                self.block(child, Place { into: item, ..inside })
            } else {
                self.item(child, Place { into: item, ..inside })
            }
            if item.first_child().is_some() && item.parent().is_none() {
                list.append(item);
                last = Some(item);
            }
        }
        self.finish_list(list, place);
    }

    fn item(&mut self, node: usize, place: Place<'a>) {
        match self.page.name(node) {
            "li" => self.flow(node, place),
            _ if self.has_block[node] => self.block(node, place),
            _ => self.paragraph(&[node], place),
        }
    }

    fn list_node(&self, start: Option<usize>) -> &'a AstNode<'a> {
        self.node(NodeValue::List(NodeList {
            list_type: if start.is_some() { ListType::Ordered } else { ListType::Bullet },
            start: start.unwrap_or(1),
            delimiter: ListDelimType::Period,
            bullet_char: b'-',
            padding: 2,
            ..NodeList::default()
        }))
    }

    fn finish_list(&mut self, list: &'a AstNode<'a>, place: Place<'a>) {
        if list.first_child().is_none() {
            return;
        }
        // Text under a list would be read as the end of its last item, and paragraphs of a quotation as one.
        let is_list = |child: &'a AstNode<'a>| matches!(child.data().value, NodeValue::List(_));
        let opens = |item: &'a AstNode<'a>| {
            item.first_child().is_some_and(|first| is_list(first) || matches!(first.data().value, NodeValue::Paragraph))
        };
        let tight = list.children().all(|item| opens(item) && item.children().skip(1).all(is_list));
        if let NodeValue::List(data) = &mut list.data_mut().value {
            data.tight = tight;
        }
        self.add(list, place);
    }

    /// Terms and what they mean; questions and their answers.
    fn definitions(&mut self, node: usize, place: Place<'a>) {
        let entries: Vec<usize> = self.page.below(node).filter(|at| self.is_entry(*at, node)).collect();
        let known = |node: usize| matches!(self.page.name(node), "dt" | "dd") || self.page.text(node).is_empty();
        let whole = |child: usize| known(child) || self.page.name(child) == "div" && self.page.children(child).all(known);
        if entries.is_empty() || !self.page.children(node).all(whole) {
            return self.flow(node, place);
        }
        let asks = |at: &usize| self.page.name(*at) == "dt" && self.page.text(*at).ends_with('?');
        if self.is_top(place) && entries.iter().any(asks) {
            for entry in entries {
                match self.page.name(entry) {
                    "dt" => self.heading(entry, (self.level + 1).min(6), place),
                    _ => self.flow(entry, place),
                }
            }
            return;
        }
        let list = self.list_node(None);
        for group in entries.chunk_by(|before, next| !(self.page.name(*before) == "dd" && self.page.name(*next) == "dt")) {
            let item = self.node(item_of(list));
            self.definition(group, Place { into: item, depth: place.depth + 1, ..place });
            if item.first_child().is_some() {
                list.append(item);
            }
        }
        self.finish_list(list, place);
    }

    fn is_entry(&self, node: usize, of: usize) -> bool {
        let parent = self.page.nodes[node].parent;
        let grouped = self.page.name(parent) == "div" && self.page.nodes[parent].parent == of;
        matches!(self.page.name(node), "dt" | "dd") && (parent == of || grouped)
    }

    fn definition(&mut self, group: &[usize], place: Place<'a>) {
        for entry in group {
            if let Some(reason) = self.left[*entry] {
                self.leave(*entry, reason);
            } else if self.page.name(*entry) == "dt" && !self.page.text(*entry).is_empty() {
                let (paragraph, strong) = (self.node(NodeValue::Paragraph), self.node(NodeValue::Strong));
                paragraph.append(strong);
                let images = self.line(&[*entry], strong, place.link, true);
                self.images(&images, place);
                if strong.first_child().is_some() {
                    self.add(paragraph, place);
                }
            } else {
                self.flow(*entry, place);
            }
        }
    }

    fn quote(&mut self, node: usize, place: Place<'a>) {
        let quote = self.node(NodeValue::BlockQuote);
        self.flow(node, Place { into: quote, depth: place.depth + 1, ..place });
        if quote.first_child().is_some() {
            self.add(quote, place);
        }
    }

    fn code(&mut self, node: usize, place: Place<'a>) {
        let page = self.page;
        let mut literal = String::new();
        let mut at = node + 1;
        while at < page.nodes[node].end {
            if let Some(reason) = self.left[at] {
                self.leave(at, reason);
                at = page.nodes[at].end;
                continue;
            }
            literal.push_str(if page.name(at) == "br" { "\n" } else { page.nodes[at].text });
            at += 1;
        }
        let literal = literal.trim_start_matches(['\n', '\r']).trim_end();
        if literal.trim().is_empty() {
            return;
        }
        let block = NodeCodeBlock {
            fenced: true,
            fence_char: b'`',
            fence_length: 3,
            literal: format!("{literal}\n"),
            closed: true,
            ..NodeCodeBlock::default()
        };
        self.add(self.node(NodeValue::CodeBlock(Box::new(block))), place);
    }

    /// What opens on a click: a question or a title, and what is said under it.
    fn details(&mut self, node: usize, place: Place<'a>) {
        let plain =
            |flow: &Self, child: usize| flow.page.name(child) == "summary" && flow.left[child].is_none() && !flow.holds_headings(child);
        if !self.is_top(place) {
            return self.flow(node, place);
        }
        let page = self.page;
        let titles: Vec<usize> = page.children(node).filter(|child| plain(self, *child)).collect();
        titles.iter().for_each(|title| self.heading(*title, (self.level + 1).min(6), place));
        self.run_through(page.children(node).filter(|child| !titles.contains(child)), place);
    }
}

/// The item of a list.
fn item_of(list: &AstNode<'_>) -> NodeValue {
    match &list.data().value {
        NodeValue::List(list) => NodeValue::Item(*list),
        other => other.clone(),
    }
}
