//! Parts of a page that are not its article, as their elements say: by tag, by role, by class and id, by being hidden.
//!
//! The vocabulary of class names stands in `names`. Whether a part is believed (it may hold the article itself) is settled in
//! `main_text`. Called by `main_text`.

use super::flow::holders_of_blocks;
use super::names::{EXACT, NAMES};
use super::page::Page;
use crate::content::words;

/// Why each node says that it is no part of the article; `words` are the visible words of each.
pub(super) fn reasons(page: &Page<'_>, words: &[usize]) -> Vec<Option<&'static str>> {
    let mut left: Vec<_> = (0..page.nodes.len()).map(|node| reason(page, node, words[node])).collect();
    keep_words_of_sentences(page, &mut left);
    left
}

/// A name is no reason to take words out of a sentence: within a line only what has the line for itself is a part of the page.
fn keep_words_of_sentences(page: &Page<'_>, left: &mut [Option<&'static str>]) {
    let lines = lines(page);
    let mut out = vec![false; page.nodes.len()];
    let mut others = vec![0; page.nodes.len()];
    for node in 1..page.nodes.len() {
        out[node] = out[page.nodes[node].parent] || left[node].is_some();
        if !out[node] {
            others[lines[node]] += words::count(page.nodes[node].text);
        }
    }
    for node in 1..page.nodes.len() {
        if lines[node] > 0 && others[lines[node]] > 0 && left[node].is_some_and(|reason| is_word_like(page, node, reason)) {
            left[node] = None;
        }
    }
}

/// For each node that stands within a line the first node of that line; zero for the others.
fn lines(page: &Page<'_>) -> Vec<usize> {
    let has_block = holders_of_blocks(page);
    let mut lines = vec![0; page.nodes.len()];
    // The first node of the line that each element's children are in; zero when a block came last.
    let mut last = vec![0; page.nodes.len()];
    for node in 1..page.nodes.len() {
        let parent = page.nodes[node].parent;
        if has_block[node] {
            last[parent] = 0;
            continue;
        }
        lines[node] = match (lines[parent], last[parent]) {
            (0, 0) => node,
            (0, line) | (line, _) => line,
        };
        last[parent] = lines[node];
    }
    lines
}

/// Whether it marks up words, and was told by a name that words may bear: nobody gives them that of what a browser does not show.
fn is_word_like(page: &Page<'_>, node: usize, reason: &str) -> bool {
    let marks_words = matches!(
        page.name(node),
        "a" | "abbr"
            | "acronym"
            | "b"
            | "bdi"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "data"
            | "del"
            | "dfn"
            | "em"
            | "font"
            | "i"
            | "ins"
            | "kbd"
            | "mark"
            | "q"
            | "s"
            | "samp"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "time"
            | "tt"
            | "u"
            | "var"
    );
    // A raised number whose note shows up when it is pointed at: the note is not there to be read.
    let of_note = reason == "tooltip" && page.name(node) == "sup";
    marks_words && !of_note && !matches!(reason, "hidden on the page" | "mark of a link" | "edit link" | "shortcode" | "line numbers")
}

/// Why an element says that it is no part of the article; nothing when it does not say so.
fn reason(page: &Page<'_>, node: usize, words: usize) -> Option<&'static str> {
    if page.nodes[node].element.is_none() || matches!(page.name(node), "html" | "body") {
        return None;
    }
    if is_hidden(page, node) {
        return Some("hidden on the page");
    }
    by_tag(page, node).or_else(|| by_role(page, node)).or_else(|| by_name(page, node, words))
}

/// Whether it is kept out even if it holds much of the page's text.
pub(super) fn is_certain(reason: &str) -> bool {
    matches!(reason, "navigation" | "caption" | "comments" | "related posts" | "cookie notice")
}

fn is_hidden(page: &Page<'_>, node: usize) -> bool {
    let style = page.attribute(node, "style").unwrap_or_default().to_ascii_lowercase().replace(' ', "");
    let collapsed = style.contains("display:none") || style.contains("visibility:hidden") || page.attribute_is_there(node, "hidden");
    // What opens on a click is closed at first, and is text all the same.
    if collapsed {
        return !around(page, node)
            .any(|name| ["accordion", "collapse", "faq", "tab", "toggle", "answer", "expand"].iter().any(|w| name.contains(w)));
    }
    let closed = page.name(node) == "dialog" && !page.attribute_is_there(node, "open");
    closed || page.attribute(node, "aria-modal") == Some("true")
}

/// The class names and ids of an element and of the two above it.
fn around<'p>(page: &'p Page<'_>, node: usize) -> impl Iterator<Item = String> + 'p {
    std::iter::once(node).chain(page.ancestors(node).take(2)).map(|at| named(page, at).to_ascii_lowercase())
}

fn named(page: &Page<'_>, node: usize) -> String {
    format!("{} {}", page.attribute(node, "class").unwrap_or_default(), page.attribute(node, "id").unwrap_or_default())
}

fn by_tag(page: &Page<'_>, node: usize) -> Option<&'static str> {
    match page.name(node) {
        "nav" => Some("navigation"),
        "figcaption" => Some("caption"),
        "form" | "select" | "textarea" | "input" | "fieldset" | "search" => Some("form"),
        "button" => (!is_question(page, node)).then_some("button"),
        "footer" if page.ancestors(node).any(|at| page.name(at) == "blockquote") || holds_notes(page, node) => None,
        "footer" => Some("page footer"),
        "aside" if is_callout(page, node) || holds_notes(page, node) => None,
        "aside" => Some("aside"),
        "dialog" => Some("pop-up"),
        "a" => (page.attribute_is_there(node, "href") && is_mark(page, node)).then_some("mark of a link"),
        _ => None,
    }
}

/// A question that opens its answer, or the text of a heading.
fn is_question(page: &Page<'_>, node: usize) -> bool {
    let in_heading = page.ancestors(node).take(3).any(|at| super::flow::heading_level(page, at).is_some());
    let opens = page.attribute_is_there(node, "aria-expanded") || page.attribute_is_there(node, "aria-controls");
    in_heading || opens && page.text(node).trim_end().ends_with('?')
}

/// "#", "¶", "↩" and the like, which carry no word, and "Permalink".
fn is_mark(page: &Page<'_>, node: usize) -> bool {
    let text = page.text(node);
    let text = text.trim();
    let wordless = !text.is_empty() && !text.chars().any(char::is_alphanumeric);
    wordless
        || ["permalink", "link to this heading", "link to this section", "direct link to", "anchor link"]
            .iter()
            .any(|mark| text.len() < 120 && text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)))
}

fn is_callout(page: &Page<'_>, node: usize) -> bool {
    let named = named(page, node).to_ascii_lowercase();
    ["note", "callout", "admonition", "tip", "warning", "important", "takeaway", "highlight", "example"]
        .iter()
        .any(|word| named.contains(word))
}

fn holds_notes(page: &Page<'_>, node: usize) -> bool {
    let named = named(page, node).to_ascii_lowercase();
    ["footnote", "endnote", "reference", "citation", "bibliography", "sources"].iter().any(|word| named.contains(word))
}

fn by_role(page: &Page<'_>, node: usize) -> Option<&'static str> {
    match page.attribute(node, "role")? {
        "navigation" | "menu" | "menubar" | "tablist" | "toolbar" => Some("navigation"),
        "banner" => Some("page header"),
        "contentinfo" => Some("page footer"),
        "complementary" => (!is_callout(page, node)).then_some("aside"),
        "search" => Some("form"),
        "dialog" | "alertdialog" => Some("pop-up"),
        "doc-toc" => Some("table of contents"),
        _ => None,
    }
}

/// By the words of its class names and its id, each name by itself.
fn by_name(page: &Page<'_>, node: usize, words: usize) -> Option<&'static str> {
    let inline = !super::page::is_block(page.name(node));
    let named = named(page, node);
    let names: Vec<&str> = named.split_ascii_whitespace().collect();
    // WordPress writes the tags and categories of a post into its classes.
    if names.iter().any(|name| matches!(*name, "hentry" | "type-post" | "type-page" | "status-publish")) {
        return None;
    }
    names.iter().find_map(|name| of_name(&spelled(name), name, words, inline))
}

/// `postShare-buttons` as " post share buttons ".
fn spelled(name: &str) -> String {
    let mut out = String::from(" ");
    let mut small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && small {
            out.push(' ');
        }
        small = c.is_ascii_lowercase();
        out.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
    }
    out.push(' ');
    if out.contains("  ") { format!(" {} ", out.split_whitespace().collect::<Vec<_>>().join(" ")) } else { out }
}

fn of_name(spelled: &str, name: &str, words: usize, inline: bool) -> Option<&'static str> {
    // Names of a design system that say how a thing looks, not what it is.
    let looks =
        ["has ", "is ", "wp block ", "elementor widget wrap", "js ", "with ", "no "].iter().any(|start| spelled[1..].starts_with(start));
    let found = NAMES.iter().find(|(phrases, most, _)| words <= *most && phrases.iter().any(|phrase| spelled.contains(phrase)));
    if let Some((_, _, reason)) = found.filter(|_| !looks || spelled.contains(" share ") || spelled.contains(" newsletter ")) {
        return Some(reason);
    }
    let exact = EXACT.iter().find(|(names, _)| names.contains(&name.to_ascii_lowercase().as_str()));
    exact.map(|(_, reason)| *reason).filter(|reason| !inline || *reason != "sidebar")
}
