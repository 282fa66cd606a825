//! Tables: those that hold data become tables, those that only lay out a page are gone through cell by cell.
//!
//! Called by `flow`.

use super::flow::{Flow, Place, heading_level};
use comrak::nodes::{AstNode, NodeTable, NodeValue, TableAlignment};

/// More columns are no table that a mail could show.
const MOST_COLUMNS: usize = 40;

/// Whether a table holds data: two rows and two columns or more, and in its cells words, not parts of a page.
pub(super) fn is_data(flow: &Flow<'_, '_, '_>, table: usize) -> bool {
    let page = flow.page;
    let rows = rows(flow, table);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let marked = |at: usize| matches!(page.attribute(at, "role"), Some("presentation" | "none"));
    let whole = page
        .below(table)
        .all(|at| !matches!(page.name(at), "table" | "pre" | "blockquote" | "article" | "section") && heading_level(page, at).is_none());
    let longest = rows.iter().flatten().map(|cell| page.text(*cell).len()).max().unwrap_or(0);
    rows.len() >= 2 && (2..=MOST_COLUMNS).contains(&columns) && whole && !marked(table) && longest <= 1_500
}

/// Writes a table; the first row is its head.
pub(super) fn table<'a>(flow: &mut Flow<'_, '_, 'a>, table: usize, place: Place<'a>) {
    let page = flow.page;
    for node in page.below(table) {
        if page.name(node) == "caption" && page.nodes[node].parent == table {
            match flow.left[node] {
                Some(reason) => flow.leave(node, reason),
                None => flow.flow(node, place),
            }
        }
    }
    let rows = rows(flow, table);
    let wide = |row: &[usize]| row.iter().map(|cell| span(flow, *cell)).sum::<usize>().min(MOST_COLUMNS);
    let columns = rows.iter().map(|row| wide(row)).max().unwrap_or(0);
    let written = flow.node(NodeValue::Table(Box::new(NodeTable {
        alignments: vec![TableAlignment::None; columns],
        num_columns: columns,
        num_rows: rows.len(),
        num_nonempty_cells: 0,
    })));
    for row in page.below(table).filter(|node| page.name(*node) == "tr") {
        if let Some(reason) = flow.left[row] {
            flow.leave(row, reason);
        }
    }
    for (index, cells) in rows.iter().enumerate() {
        let row = flow.node(NodeValue::TableRow(index == 0));
        for cell in cells {
            let cells_wide = span(flow, *cell);
            row.append(written_cell(flow, *cell, place));
            (1..cells_wide).for_each(|_| row.append(flow.node(NodeValue::TableCell)));
        }
        (row.children().count()..columns).for_each(|_| row.append(flow.node(NodeValue::TableCell)));
        // A row that is wider than the table by its spans loses empty cells only.
        while row.children().count() > columns && row.last_child().is_some_and(|cell| cell.first_child().is_none()) {
            row.last_child().into_iter().for_each(AstNode::detach);
        }
        written.append(row);
    }
    let empty = written.descendants().all(|node| !matches!(node.data().value, NodeValue::Text(_) | NodeValue::Code(_)));
    if !empty {
        flow.add(written, place);
    }
}

fn written_cell<'a>(flow: &mut Flow<'_, '_, 'a>, cell: usize, place: Place<'a>) -> &'a AstNode<'a> {
    let written = flow.node(NodeValue::TableCell);
    let images = match flow.left[cell] {
        Some(reason) => {
            flow.leave(cell, reason);
            Vec::new()
        }
        None => flow.line(&[cell], written, place.link, true),
    };
    images.into_iter().for_each(|image| flow.aside(image, "image"));
    written
}

/// The cells of each row of this table, without those of tables in it.
fn rows(flow: &Flow<'_, '_, '_>, table: usize) -> Vec<Vec<usize>> {
    let page = flow.page;
    let mut rows = Vec::new();
    for node in page.below(table).filter(|node| page.name(*node) == "tr") {
        if page.ancestors(node).find(|at| page.name(*at) == "table") == Some(table) {
            let cells: Vec<usize> = page.children(node).filter(|cell| matches!(page.name(*cell), "td" | "th")).collect();
            if !cells.is_empty() && flow.left[node].is_none() {
                rows.push(cells);
            }
        }
    }
    rows
}

fn span(flow: &Flow<'_, '_, '_>, cell: usize) -> usize {
    flow.page.attribute(cell, "colspan").and_then(|span| span.parse().ok()).unwrap_or(1).clamp(1, 20)
}
