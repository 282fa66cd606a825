//! A page as one run of nodes, parents before children: what a browser would show, with nothing left to recurse into.
//!
//! Owns the parse (with a limit on nesting, because the parser's cost grows with it) and what counts as visible text.
//! Called by `html`; every other module of it looks at the page through this one.

use super::nesting;
use crate::content::words;
use scraper::{ElementRef, Html, Node as Parsed, node::Element};

/// A node and where its subtree ends.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The element; nothing for a text.
    pub(super) element: Option<&'a Element>,
    /// The text; empty for an element.
    pub(super) text: &'a str,
    /// The node above it; the first node is its own.
    pub(super) parent: usize,
    /// One past the last node of its subtree.
    pub(super) end: usize,
}

/// What a browser would show of a page, in the order of the source.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

/// Parses a page; `Err` is how deep its elements may be nested, when they are nested deeper.
pub(super) fn parse(text: &str) -> Result<Html, usize> {
    if nesting::is_too_deep(text) {
        return Err(nesting::DEEPEST);
    }
    Ok(Html::parse_document(text))
}

impl<'a> Page<'a> {
    /// Lays out the visible nodes of a parsed page. The first is the whole page.
    pub(super) fn of(html: &'a Html) -> Result<Page<'a>, usize> {
        let root: ElementRef<'a> = html.root_element();
        let mut nodes = vec![Node { element: Some(root.value()), text: "", parent: 0, end: 0 }];
        let mut above = vec![0_usize];
        let mut next = root.first_child();
        let mut at = *root;
        loop {
            if let Some(node) = next {
                let parent = *above.last().unwrap_or(&0);
                match node.value() {
                    Parsed::Text(text) => nodes.push(Node { element: None, text, parent, end: nodes.len() + 1 }),
                    Parsed::Element(element) if !is_unseen(element) => {
                        nodes.push(Node { element: Some(element), text: "", parent, end: 0 });
                        above.push(nodes.len() - 1);
                        if above.len() > nesting::DEEPEST + 8 {
                            return Err(nesting::DEEPEST);
                        }
                        (at, next) = (node, node.first_child());
                        continue;
                    }
                    _ => {}
                }
                next = node.next_sibling();
                continue;
            }
            // Everything below `at` is done.
            let done = above.pop().unwrap_or(0);
            nodes[done].end = nodes.len();
            if above.is_empty() {
                return Ok(Page { nodes });
            }
            next = at.next_sibling();
            match at.parent() {
                Some(parent) => at = parent,
                None => return Ok(Page { nodes }),
            }
        }
    }

    /// The children of a node.
    pub(super) fn children(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.nodes[of].end;
        let mut next = of + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self.nodes[child].end;
                child
            })
        })
    }

    /// The nodes of a subtree below its root.
    pub(super) fn below(&self, of: usize) -> std::ops::Range<usize> {
        of + 1..self.nodes[of].end
    }

    /// The name of an element in lower case; empty for a text.
    pub(super) fn name(&self, node: usize) -> &'a str {
        self.nodes[node].element.map_or("", Element::name)
    }

    /// An attribute that is there and not blank.
    pub(super) fn attribute(&self, node: usize, name: &str) -> Option<&'a str> {
        self.nodes[node].element?.attr(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Whether an attribute is there, even without a value.
    pub(super) fn attribute_is_there(&self, node: usize, name: &str) -> bool {
        self.nodes[node].element.is_some_and(|element| element.attr(name).is_some())
    }

    /// Whether one of the space-separated words of an attribute is this one.
    pub(super) fn has_word(&self, node: usize, name: &str, word: &str) -> bool {
        self.attribute(node, name).is_some_and(|value| value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(word)))
    }

    /// The ancestors of a node, nearest first, without the whole page.
    pub(super) fn ancestors(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(of), |at| Some(self.nodes[*at].parent)).skip(1).take_while(|at| *at > 0)
    }

    /// The visible words of a subtree, one line for each block.
    pub(super) fn text(&self, of: usize) -> String {
        self.text_without(of, |_| false)
    }

    /// The same without the subtrees that are to be passed over.
    pub(super) fn text_without(&self, of: usize, passed_over: impl Fn(usize) -> bool) -> String {
        let mut out = String::new();
        let mut gap = "";
        let mut at = of;
        while at < self.nodes[of].end {
            if at > of && passed_over(at) {
                at = self.nodes[at].end;
                gap = if gap.is_empty() { " " } else { gap };
                continue;
            }
            let node = &self.nodes[at];
            if is_block(self.name(at)) || self.name(at) == "br" || self.closes_block_before(at, of) {
                gap = "\n";
            }
            for word in node.text.split_inclusive(char::is_whitespace) {
                let bare = word.trim();
                if !bare.is_empty() {
                    out.push_str(if out.is_empty() { "" } else { gap });
                    out.push_str(bare);
                    gap = "";
                }
                if word.ends_with(char::is_whitespace) && gap.is_empty() {
                    gap = " ";
                }
            }
            at += 1;
        }
        out
    }

    /// Whether the node before this one ended a block.
    fn closes_block_before(&self, at: usize, of: usize) -> bool {
        let parent = self.nodes[at].parent;
        at > of + 1 && parent != at - 1 && {
            let mut before = at - 1;
            while before > of && self.nodes[before].parent != parent {
                before = self.nodes[before].parent;
                if is_block(self.name(before)) {
                    return true;
                }
            }
            is_block(self.name(before))
        }
    }

    /// How many visible words each subtree has.
    pub(super) fn words(&self) -> Vec<usize> {
        self.sums(|node| words::count(self.nodes[node].text))
    }

    /// For each node the sum over its subtree.
    pub(super) fn sums(&self, of: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut sums: Vec<usize> = (0..self.nodes.len()).map(of).collect();
        for node in (1..self.nodes.len()).rev() {
            sums[self.nodes[node].parent] += sums[node];
        }
        sums
    }
}

/// Elements that a browser shows nothing of, or nothing that is text of the page.
fn is_unseen(element: &Element) -> bool {
    matches!(
        element.name(),
        "head"
            | "script"
            | "style"
            | "template"
            | "noscript"
            | "svg"
            | "iframe"
            | "object"
            | "embed"
            | "video"
            | "audio"
            | "canvas"
            | "source"
            | "track"
            | "link"
            | "meta"
            | "title"
            | "base"
            | "annotation"
            | "annotation-xml"
            | "rp"
            | "datalist"
            | "map"
            | "area"
            | "noframes"
            | "noembed"
            | "frameset"
    )
}

/// Elements that begin on a line of their own.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "dir"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hgroup"
            | "hr"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "search"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}
