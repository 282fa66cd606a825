//! Sifting: which blocks are no part of any tip, and why.
//!
//! Owns the rules that look at more than one line: contents, lists of links, references, the end of the page. What it
//! leaves undecided is the article's text. Called by `segment`; the signs themselves stand in `signs` and `headings`.

use super::document::{Block, Document, Format, Kind};
use super::headings::{self, Role};
use super::{cards, openings, references, sentences, signs, words};
use std::collections::HashMap;

/// What becomes of a block that is not simply text of the article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Left out, with the reason.
    Left(&'static str),
    /// A source: left out of the tips, kept with the article.
    Reference,
    /// Related reading of the section that it stands in.
    Related,
}

/// The fate of each block; nothing for text that is still to be put into sections.
pub(crate) type Fates = Vec<Option<Fate>>;

/// Settles every block that shows by itself or by its place that it is no text of a tip.
pub(crate) fn sift(document: &Document, fates: &mut Fates) {
    let blocks = &document.blocks;
    let sources: Vec<bool> = blocks.iter().map(is_source).collect();
    settle_kinds(blocks, fates);
    settle_related(blocks, fates);
    settle_page_parts(document, fates);
    for index in cards::fields(blocks) {
        fates[index].get_or_insert(Fate::Left("recipe card"));
    }
    settle_contents(document, fates);
    settle_links(blocks, fates);
    settle_sections(document, &sources, fates);
    settle_loose_references(document, &sources, fates);
    settle_end(blocks, fates);
}

/// Lines such as "Woman with back pain31" that stand elsewhere without the number, and those lines themselves: captions
/// with the count of a share button. They are settled first, since a title could be taken for one of them.
pub(crate) fn settle_captions(document: &Document, fates: &mut Fates) {
    if document.format != Format::Text {
        return;
    }
    let short = || document.blocks.iter().enumerate().filter(|(_, block)| block.words <= 16);
    let mut lines: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, block) in short() {
        lines.entry(block.text.as_str()).or_default().push(index);
    }
    for (index, block) in short() {
        let bare = block.text.trim_end_matches(|c: char| c.is_ascii_digit());
        let glued = bare.len() < block.text.len() && bare.ends_with(char::is_alphabetic);
        if let Some(twins) = lines.get(bare).filter(|_| glued) {
            fates[index] = Some(Fate::Left("caption"));
            twins.iter().for_each(|twin| fates[*twin] = Some(Fate::Left("caption")));
        }
    }
}

fn settle_kinds(blocks: &[Block], fates: &mut Fates) {
    for (index, block) in blocks.iter().enumerate() {
        let fate = match block.kind {
            Kind::Image => Fate::Left("image"),
            Kind::Break => Fate::Left("line between parts"),
            Kind::Html if block.text.starts_with(['{', ':']) || block.text.starts_with("import ") || block.text.starts_with("export ") => {
                Fate::Left("mark of the site's generator")
            }
            Kind::Html => Fate::Left("HTML of the page"),
            Kind::Footnote { .. } => Fate::Reference,
            _ => continue,
        };
        fates[index].get_or_insert(fate);
    }
}

fn settle_related(blocks: &[Block], fates: &mut Fates) {
    for (index, block) in blocks.iter().enumerate() {
        if fates[index].is_some() || !block.is_paragraph() {
            continue;
        }
        // The teaser of another article, with its title above it.
        if block.words <= 30 && openings::is_teaser(&block.text) {
            let titled = index > 0 && blocks[index - 1].level().is_some();
            let first = if titled { index - 1 } else { index };
            fates[first..=index].iter_mut().for_each(|fate| *fate = fate.or(Some(Fate::Left("pointer to another page"))));
            continue;
        }
        if openings::points_elsewhere(&block.text, block.words) {
            let linked = block.links.iter().any(|link| link.url.contains("://"));
            fates[index] = Some(if linked { Fate::Related } else { Fate::Left("pointer to another page") });
            continue;
        }
        let Some(rest) = signs::related(&block.text) else { continue };
        if !rest.is_empty() {
            fates[index] = Some(Fate::Related);
        } else if blocks
            .get(index + 1)
            .is_some_and(|next| !next.items.is_empty() && (is_link_list(next) || next.words <= next.items.len() * 12))
        {
            fates[index] = Some(Fate::Related);
            fates[index + 1] = Some(Fate::Related);
        }
    }
}

fn settle_page_parts(document: &Document, fates: &mut Fates) {
    for (index, block) in document.blocks.iter().enumerate() {
        if fates[index].is_some() || block.words > 130 {
            continue;
        }
        // A heading that the author marked as one is no caption.
        let line = block.is_paragraph() || (block.level().is_some() && document.format == Format::Text);
        let after_image = index > 0 && document.blocks[index - 1].kind == Kind::Image;
        let part = match block.kind {
            Kind::Paragraph { emphasised: true, .. } if after_image && block.words <= 25 => Some("caption"),
            Kind::Quote if block.words <= 40 => signs::page_part(&block.text, block.words).filter(|part| *part == "sign-up box"),
            Kind::List { .. } if block.items.iter().all(|item| signs::page_part(item, words::count(item)).is_some()) => {
                Some("navigation or sharing")
            }
            _ if line => signs::page_part(&block.text, block.words),
            _ => None,
        };
        fates[index] = part.map(Fate::Left);
    }
}

/// A list whose items are the headings of the article.
fn settle_contents(document: &Document, fates: &mut Fates) {
    let blocks = &document.blocks;
    let mut last_place: HashMap<String, usize> = HashMap::new();
    let mut headings = 0;
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.level().is_some()) {
        headings += 1;
        last_place.insert(words::key(headings::bare(&block.text)), index);
    }
    // Most items are longer than any heading with its number, and are not worth a closer look.
    let longest = blocks.iter().filter(|block| block.level().is_some()).map(|block| block.text.len()).max().unwrap_or(0) + 24;
    let is_heading = |text: &str, after: usize| {
        text.len() <= longest && last_place.get(&words::key(headings::bare(text))).is_some_and(|place| *place > after)
    };
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.items.len() >= 2) {
        let anchors = block.links.len() >= 2
            && block.links.iter().all(|link| link.url.starts_with('#'))
            // Each link has its answer beside it: these are questions that a page unfolds.
            && link_words(block) * 2 >= block.words;
        let listed = block.items.iter().all(|item| item.lines().all(|line| is_heading(line, index)));
        if fates[index].is_none() && (anchors || listed) {
            fates[index] = Some(Fate::Left("table of contents"));
        }
    }
    if document.format == Format::Text && last_place.len() < headings {
        let repeated: Vec<bool> =
            blocks.iter().enumerate().map(|(i, b)| b.level().is_some() && fates[i].is_none() && is_heading(&b.text, i)).collect();
        for (index, _) in repeated.iter().enumerate().filter(|(_, again)| **again) {
            let neighbour = (index > 0 && repeated[index - 1]) || repeated.get(index + 1) == Some(&true);
            if neighbour {
                fates[index] = Some(Fate::Left("table of contents"));
            }
        }
    }
}

/// Lists and paragraphs that hold links and nothing else.
fn settle_links(blocks: &[Block], fates: &mut Fates) {
    for (index, block) in blocks.iter().enumerate() {
        if fates[index].is_some() {
            continue;
        }
        let alone = block.is_paragraph()
            && !block.links.is_empty()
            && block.words <= 20
            && link_words(block) >= block.words
            && !block.links[0].text.starts_with("http");
        if alone {
            fates[index] = Some(Fate::Left("link by itself"));
        } else if is_link_list(block) {
            fates[index] = Some(Fate::Left("list of links"));
            let lead_in = index > 0 && fates[index - 1].is_none() && blocks[index - 1].is_paragraph() && is_lead_in(&blocks[index - 1]);
            if lead_in {
                fates[index - 1] = Some(Fate::Left("list of links"));
            }
        }
    }
}

/// One sentence that ends with a colon: it only leads to what stands below it.
pub(super) fn is_lead_in(block: &Block) -> bool {
    let sentences = || sentences::sentences(&block.text.replace('\n', " ")).count();
    block.is_paragraph() && block.text.ends_with(':') && block.words <= 40 && sentences() == 1
}

fn is_link_list(block: &Block) -> bool {
    block.items.len() >= 2 && block.links.len() >= block.items.len() && link_words(block) >= block.words
}

fn link_words(block: &Block) -> usize {
    block.links.iter().map(|link| words::count(&link.text)).sum()
}

/// Sections that their heading shows to be no text: sources, other pages, the end of the page.
fn settle_sections(document: &Document, sources: &[bool], fates: &mut Fates) {
    let blocks = &document.blocks;
    let mut open: Option<Open> = None;
    let mut seen_body = false;
    for index in 0..blocks.len() {
        if let Some(level) = blocks[index].level().filter(|_| fates[index].is_none()) {
            let role = headings::role(&blocks[index].text);
            let below = below(document, sources, fates, index, level);
            // So many words no box has: the article goes on under it.
            if below.own >= 120 && signs::asks_for_address(&blocks[index].text.to_lowercase()) {
                fates[index] = Some(Fate::Left("sign-up box"));
                continue;
            }
            open = next_open(open, role, level, &below, document.format);
            seen_body |= open.is_none() && below.prose >= 20;
        }
        let Some(current) = &open else { continue };
        let page = signs::page_part(&blocks[index].text, blocks[index].words);
        let fate = match (fates[index], current.role) {
            (Some(_), _) => continue,
            (None, Role::References) if sources[index] || !is_prose(&blocks[index]) => Fate::Reference,
            (None, Role::References) => Fate::Left(end_reason(&blocks[index])),
            (None, _) if blocks[index].level().is_none() && seen_body && signs::is_about_publisher(&blocks[index].text) => {
                Fate::Left("line about the publisher")
            }
            (None, Role::Page(reason)) => Fate::Left(page.unwrap_or(reason)),
            (None, _) => Fate::Left(page.unwrap_or("list of other pages")),
        };
        fates[index] = Some(fate);
    }
}

#[derive(Clone, Copy)]
struct Open {
    role: Role,
    level: u8,
}

/// What stands under a heading, up to the next one of its level.
#[derive(Default)]
struct Below {
    /// Words down to the next heading of its level.
    prose: usize,
    /// Words down to the next heading of any level.
    own: usize,
    /// Whether a paragraph stands there that is more than a line.
    told: bool,
}

fn below(document: &Document, sources: &[bool], fates: &Fates, at: usize, level: u8) -> Below {
    let mut below = Below::default();
    let mut inside = false;
    for (index, block) in document.blocks.iter().enumerate().skip(at + 1) {
        if block.level().is_some_and(|other| other <= level) || below.prose > 400 {
            break;
        }
        inside |= block.level().is_some();
        if fates[index].is_none() && block.level().is_none() && !sources[index] {
            let words = block.words.saturating_sub(link_words(block));
            below.prose += words;
            below.own += if inside { 0 } else { words };
            below.told |= block.items.is_empty() && words > 12;
        }
    }
    below
}

/// Whether a heading opens a part that is left out, goes on with one, or returns to the article.
fn next_open(open: Option<Open>, role: Role, level: u8, below: &Below, format: Format) -> Option<Open> {
    let inside = open.is_some_and(|open| format.marks_headings() && level > open.level);
    match role {
        // A page's lists hold no running text; a section that does only has such a name.
        Role::Page("list of other pages" | "navigation or sharing" | "table of contents") if below.own >= 60 => None,
        Role::References | Role::Page(_) => Some(Open { role, level }),
        Role::Links if below.prose < 60 || below.prose < 150 && !below.told => Some(Open { role, level }),
        _ if inside => open,
        // After the end of the article a few words under a line are a teaser or the page's foot, not a section.
        _ if format == Format::Text && below.prose < 40 => open,
        _ => None,
    }
}

fn is_source(block: &Block) -> bool {
    if block.items.is_empty() {
        return references::is_reference(&block.text);
    }
    let sources = block.items.iter().filter(|item| references::is_reference(item)).count();
    sources * 2 > block.items.len()
}

fn is_prose(block: &Block) -> bool {
    block.is_paragraph() && block.words >= 15 && words::prose_share(&words::tokens(&block.text)) >= 8
}

fn end_reason(block: &Block) -> &'static str {
    if let Some(part) = signs::page_part(&block.text, block.words) {
        return part;
    }
    if signs::is_about_publisher(&block.text) { "line about the publisher" } else { "after the end of the article" }
}

/// Sources without a heading over them: a run of two or more, in the last part of the article.
fn settle_loose_references(document: &Document, is_source: &[bool], fates: &mut Fates) {
    let blocks = &document.blocks;
    let is_text = |i: usize, b: &Block| b.is_paragraph() && b.words >= 12 && !is_source[i] && !references::may_be_reference(&b.text);
    let is_heading = |b: &Block| b.level().is_some() && document.format.marks_headings();
    let last_text = blocks.iter().enumerate().rev().find(|(i, b)| fates[*i].is_none() && (is_text(*i, b) || is_heading(b)));
    let start = last_text.map_or(0, |(index, _)| index + 1);
    let can_hold =
        |block: &Block| block.is_paragraph() || !block.items.is_empty() || (block.level().is_some() && document.format == Format::Text);
    let open: Vec<usize> = (start..blocks.len()).filter(|i| fates[*i].is_none()).collect();
    let sources: Vec<usize> = open.iter().copied().filter(|i| is_source[*i] && can_hold(&blocks[*i])).collect();
    let (Some(first), Some(last)) = (sources.first(), sources.last()) else { return };
    // A section with nothing else needs more than two to be taken for a list of sources.
    let under_heading =
        blocks[..*first].iter().zip(fates.iter()).rev().find(|(_, fate)| fate.is_none()).is_some_and(|(block, _)| block.level().is_some());
    let least = if under_heading { 3 } else { 2 };
    if sources.len() < least && blocks[*first].items.len() < least {
        return;
    }
    for index in open.into_iter().filter(|i| i >= first && i <= last) {
        if can_hold(&blocks[index]) && (is_source[index] || references::may_be_reference(&blocks[index].text)) {
            fates[index] = Some(Fate::Reference);
        }
    }
}

/// A line about the publisher between other parts of the page's end, and a closing "In conclusion, …".
fn settle_end(blocks: &[Block], fates: &mut Fates) {
    let mut page_below = false;
    for index in (0..blocks.len()).rev() {
        match fates[index] {
            Some(Fate::Related) => break,
            Some(_) => {
                page_below |= matches!(
                    fates[index],
                    Some(Fate::Left("sign-up box" | "copyright line" | "navigation or sharing" | "list of other pages"))
                )
            }
            None if page_below && is_page_foot(blocks, fates, index) => fates[index] = Some(Fate::Left("line about the publisher")),
            None => {
                let opening = blocks[index].text.get(..16).unwrap_or_default().to_lowercase();
                let sums_up = ["in conclusion", "to conclude", "in summary", "to sum up", "to summarize", "to summarise"]
                    .iter()
                    .any(|start| opening.starts_with(start));
                let alone = index == 0 || blocks[index - 1].level().is_some();
                if sums_up && blocks[index].is_paragraph() && !alone {
                    fates[index] = Some(Fate::Left("conclusion"));
                }
                break;
            }
        }
    }
}

fn is_page_foot(blocks: &[Block], fates: &Fates, index: usize) -> bool {
    let block = &blocks[index];
    let page_above = index > 0 && matches!(fates[index - 1], Some(Fate::Left(_) | Fate::Reference));
    page_above && block.is_paragraph() && block.words <= 60 && signs::is_about_publisher(&block.text)
}
