//! Plain text out of comrak's tree: paragraphs wrapped, lists and tables readable, no address lost.

use comrak::nodes::{AstNode, ListType, NodeValue};
use unicode_segmentation::UnicodeSegmentation;

const WIDTH: usize = 72;
/// Deeper nesting is written flat: a mail 72 columns wide cannot show it, and the stack is not endless.
const DEEPEST: usize = 12;

/// Writes a tree as plain text, ending with a line break unless empty.
pub(super) fn write<'a>(root: &'a AstNode<'a>) -> String {
    let mut lines = Vec::new();
    blocks(root, "", 0, &mut lines);
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" }
}

fn blocks<'a>(parent: &'a AstNode<'a>, indent: &str, depth: usize, lines: &mut Vec<String>) {
    for node in parent.children() {
        block(node, indent, depth, lines);
    }
}

fn block<'a>(node: &'a AstNode<'a>, indent: &str, depth: usize, lines: &mut Vec<String>) {
    if depth > DEEPEST {
        wrap(&inline(node), indent, indent, lines);
        return;
    }
    match &node.data().value {
        NodeValue::Heading(_) => wrap(&inline(node), indent, indent, lines),
        NodeValue::Paragraph => wrap(&inline(node), indent, indent, lines),
        NodeValue::BlockQuote => {
            let inner = format!("{indent}> ");
            blocks(node, &inner, depth + 1, lines);
            drop_gap(lines);
        }
        NodeValue::List(list) => {
            items(node, indent, depth, (list.list_type == ListType::Ordered).then_some(list.start), list.tight, lines);
        }
        NodeValue::CodeBlock(code) => lines.extend(code.literal.lines().map(|line| format!("{indent}    {line}"))),
        NodeValue::Table(_) => table(node, indent, lines),
        NodeValue::ThematicBreak => lines.push(format!("{indent}* * *")),
        _ => blocks(node, indent, depth + 1, lines),
    }
    lines.push(String::new());
}

fn items<'a>(list: &'a AstNode<'a>, indent: &str, depth: usize, start: Option<usize>, tight: bool, lines: &mut Vec<String>) {
    for (index, item) in list.children().enumerate() {
        let mark = start.map_or("- ".to_owned(), |first| format!("{}. ", first + index));
        let inner = format!("{indent}{}", " ".repeat(mark.len()));
        let at = lines.len();
        blocks(item, &inner, depth + 1, lines);
        if tight {
            drop_gap(lines);
        }
        if let Some(first) = lines.get_mut(at) {
            let text = first.strip_prefix(&inner).unwrap_or(first).to_owned();
            *first = format!("{indent}{mark}{text}");
        }
    }
    drop_gap(lines);
}

fn drop_gap(lines: &mut Vec<String>) {
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
}

/// A table with narrow cells is set in columns; any other has a line for each cell, under the name of its column.
fn table<'a>(node: &'a AstNode<'a>, indent: &str, lines: &mut Vec<String>) {
    let rows: Vec<Vec<String>> = node.children().map(|row| row.children().map(inline).collect()).collect();
    let Some((names, body)) = rows.split_first() else { return };
    let widths: Vec<usize> =
        (0..names.len()).map(|i| rows.iter().filter_map(|row| row.get(i)).map(|cell| columns(cell)).max().unwrap_or(0)).collect();
    if widths.iter().sum::<usize>() + widths.len() * 2 + indent.len() <= WIDTH {
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - columns(cell))));
            lines.push(format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned());
            if index == 0 {
                lines.push(format!("{indent}{}", widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ")));
            }
        }
        return;
    }
    for row in body {
        for (index, (name, cell)) in names.iter().zip(row).enumerate() {
            let (first, rest) =
                if index == 0 { (format!("{indent}- "), format!("{indent}  ")) } else { (format!("{indent}  "), format!("{indent}    ")) };
            wrap(&format!("{name}: {cell}"), &first, &rest, lines);
        }
    }
}

/// The words of a tree, each link followed by its address.
fn inline<'a>(node: &'a AstNode<'a>) -> String {
    use comrak::arena_tree::NodeEdge;
    let mut out = String::new();
    let mut links: Vec<usize> = Vec::new();
    for edge in node.traverse() {
        match edge {
            NodeEdge::Start(inner) => match &inner.data().value {
                NodeValue::Text(text) => out.push_str(text),
                NodeValue::Code(code) => out.push_str(&code.literal),
                NodeValue::SoftBreak => out.push(' '),
                NodeValue::LineBreak => out.push('\n'),
                NodeValue::Link(_) => links.push(out.len()),
                NodeValue::Paragraph | NodeValue::Item(_) if !out.is_empty() => out.push(' '),
                _ => {}
            },
            NodeEdge::End(inner) => {
                if let NodeValue::Link(link) = &inner.data().value
                    && let Some(from) = links.pop()
                {
                    let shown = out[from..].trim();
                    let bare = link.url.trim_start_matches("mailto:");
                    if shown != link.url && shown != bare && link.url != format!("http://{shown}") {
                        out.push_str(&format!(" ({})", link.url));
                    }
                }
            }
        }
    }
    out
}

/// Fills lines of 72 columns; a longer word (an address) stands alone on its line, unbroken.
fn wrap(text: &str, first: &str, rest: &str, lines: &mut Vec<String>) {
    let mut indent = first;
    for part in text.split('\n') {
        let mut line = String::new();
        for word in part.split_whitespace() {
            if !line.is_empty() && columns(indent) + columns(&line) + 1 + columns(word) > WIDTH {
                lines.push(format!("{indent}{line}"));
                indent = rest;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(format!("{indent}{line}"));
            indent = rest;
        }
    }
}

fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).count() }
}
