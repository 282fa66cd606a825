//! Reading plain text without mark-up, such as a page copied out of a browser.
//!
//! Owns the guess which short lines are headings and which are items of a list whose bullets got lost. It leaves
//! nothing out: what is page and not article is found later, by rules that hold for every form. Called by `read`.

use super::Hints;
use super::lines::{Mark, Unit, units};
use crate::content::document::{Block, Document, Format, Front, Kind, Link};
use crate::content::{markup, signs, words};

/// Reads plain text.
pub(super) fn read(text: &str, hints: &Hints) -> Document {
    let units = units(text);
    let mut blocks: Vec<Block> = Vec::new();
    let mut seen_prose = false;
    let mut at = 0;
    while at < units.len() {
        let after_lead_in = blocks.last().is_some_and(|block| block.is_paragraph() && block.text.ends_with(':'));
        let (block, taken) = next(&units[at..], seen_prose, after_lead_in);
        seen_prose |= block.is_paragraph() && block.words >= 25;
        blocks.push(block);
        at += taken;
    }
    Document { name: hints.name.clone(), format: Format::Text, front: Front::default(), blocks, asides: Vec::new() }
}

/// The next block, and how many units it takes.
fn next(units: &[Unit], seen_prose: bool, after_lead_in: bool) -> (Block, usize) {
    let unit = &units[0];
    let taken = match unit.mark {
        Mark::Rule => return (block(Kind::Break, unit.text.clone(), unit.text.clone()), 1),
        Mark::Underlined(level) => return (heading(&unit.text, level), 1),
        Mark::Row(columns) => {
            let rows = units.iter().take_while(|u| u.mark == Mark::Row(columns) && u.group == unit.group).count();
            return if rows > 1 && columns > 1 { (table(&units[..rows]), rows) } else { (paragraph(&unit.text), 1) };
        }
        Mark::Bullet => units.iter().take_while(|u| u.mark == Mark::Bullet).count(),
        Mark::Number(first) => units.iter().enumerate().take_while(|(i, u)| u.mark == Mark::Number(first + i)).count(),
        Mark::None => unmarked_items(units, seen_prose, after_lead_in),
    };
    match unit.mark {
        Mark::Bullet => (list(&units[..taken], None), taken),
        Mark::Number(first) if taken > 1 || after_lead_in => (list(&units[..taken], Some(first)), taken),
        Mark::Number(first) => (lone_number(units, first), 1),
        _ if taken > 0 => (list(&units[..taken], None), taken),
        _ if is_heading(units) => (heading(&unit.text, 2), 1),
        _ => (paragraph(&unit.text), 1),
    }
}

/// A heading is a short line with something to say under it.
fn is_heading(units: &[Unit]) -> bool {
    let text = &units[0].text;
    let below = units.get(1).filter(|next| next.mark == Mark::None && !signs::is_heading_shaped(&next.text));
    let prose_below = below.is_some_and(|next| words::count(&next.text) >= 6);
    if let Some(label) = text.strip_suffix(':') {
        return prose_below && signs::is_heading_shaped(label) && words::count(label) <= 4;
    }
    if text.ends_with('?') {
        let asks = signs::is_heading_shaped(text.trim_end_matches('?')) && words::count(text) >= 3;
        return asks && units.get(1).is_some();
    }
    signs::is_heading_shaped(text)
}

/// One numbered line by itself: a numbered heading if it is short and text follows, else a paragraph.
fn lone_number(units: &[Unit], number: usize) -> Block {
    let text = units[0].text.trim_end_matches('.');
    let prose_below = units.get(1).is_some_and(|next| next.mark != Mark::Rule && words::count(&next.text) >= 6);
    if prose_below && signs::is_heading_shaped(text.trim_end_matches('?')) {
        return heading(&format!("{number}. {text}"), 2);
    }
    paragraph(&format!("{number}. {}", units[0].text))
}

/// Looking further ahead for each line would cost time by the square.
const LONGEST_LIST: usize = 100;

/// How many of the next units are items of a list without bullets: short lines after "…:", or three and more short
/// lines without an empty one between them.
fn unmarked_items(units: &[Unit], seen_prose: bool, after_lead_in: bool) -> usize {
    let short = |u: &Unit| u.mark == Mark::None && words::count(&u.text) <= 25 && signs::related(&u.text).is_none();
    let group = units[0].group;
    let together = units.iter().take(LONGEST_LIST).take_while(|u| u.group == group).count();
    let all_short = units[..together].iter().all(short);
    if after_lead_in && together > 1 && all_short {
        return together;
    }
    let shaped = |u: &Unit| short(u) && signs::is_heading_shaped(&u.text);
    if seen_prose && together >= 3 && units[..together].iter().all(shaped) {
        return together;
    }
    if !after_lead_in {
        return 0;
    }
    let run = units.iter().take(LONGEST_LIST).take_while(|u| shaped(u)).count();
    let prose_follows = units.get(run).is_some_and(|u| u.mark == Mark::None);
    let items = if prose_follows { run.saturating_sub(1) } else { run };
    if items >= 2 { items } else { 0 }
}

fn heading(text: &str, level: u8) -> Block {
    let text = spaced(text.trim_end_matches(':'));
    block(Kind::Heading { level, anchor: None }, markup::keep_sharp(markup::escape(&text, true)), text)
}

fn paragraph(text: &str) -> Block {
    let text = spaced(text);
    block(Kind::Paragraph { strong: false, emphasised: false }, markup::escape(&text, true), text)
}

fn list(units: &[Unit], start: Option<usize>) -> Block {
    let items: Vec<String> = units.iter().map(|unit| spaced(&unit.text)).collect();
    let lines = items.iter().enumerate().map(|(index, item)| match start {
        Some(first) => format!("{}. {}", first + index, markup::escape(item, true)),
        None => format!("- {}", markup::escape(item, true)),
    });
    let markdown = lines.collect::<Vec<_>>().join("\n");
    Block { items: items.clone(), ..block(Kind::List { start }, markdown, items.join("\n")) }
}

fn table(rows: &[Unit]) -> Block {
    let cells = |row: &Unit| -> Vec<String> {
        let cells = row.text.split('\t').map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(|cell| markup::escape(&spaced(cell), false).replace('|', "\\|")).collect()
    };
    let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |", cells(row).join(" | "))).collect();
    lines.insert(1, format!("|{}", " --- |".repeat(cells(&rows[0]).len())));
    let text = rows.iter().map(|row| cells(row).join(" | ")).collect::<Vec<_>>().join("\n");
    block(Kind::Table, lines.join("\n"), text)
}

fn block(kind: Kind, markdown: String, text: String) -> Block {
    Block { words: words::count(&text), links: bare_links(&text), items: Vec::new(), kind, markdown, text }
}

fn spaced(text: &str) -> String {
    let plain = text.is_ascii() && !text.bytes().any(|b| b < b' ') && !text.contains("  ");
    if plain { text.trim().to_owned() } else { markup::clean(text).split_whitespace().collect::<Vec<_>>().join(" ") }
}

fn bare_links(text: &str) -> Vec<Link> {
    if !text.contains("http") {
        return Vec::new();
    }
    let addresses = text.split_whitespace().filter_map(|word| {
        let address = word.trim_start_matches(['(', '<', '[']).trim_end_matches([')', '>', ']', '.', ',', ';']);
        (address.starts_with("http://") || address.starts_with("https://")).then(|| address.to_owned())
    });
    addresses.map(|url| Link { text: url.clone(), url }).collect()
}
