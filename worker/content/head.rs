//! The head of an article: its title, its date, its author, and what stands above them.
//!
//! Owns the choice of the title among the lines of a page. Called by `segment` before anything else looks at the blocks.

use super::document::{Block, Document, Format, Kind};
use super::sift::{Fate, Fates};
use super::{bylines, dates, headings, signs, words};
use jiff::civil::Date;
use std::collections::HashMap;

/// What the head of an article says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    /// The title: of the front matter, of the text, or made of the file's name.
    pub title: String,
    /// The day of publication; the day of the last update when only that is there.
    pub date: Option<Date>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Where the title stands among the blocks.
    pub title_at: Option<usize>,
}

/// Finds the head and settles the blocks that belong to it.
pub(crate) fn find(document: &Document, fates: &mut Fates) -> Head {
    let title_at = match document.format {
        Format::Text => title_of_text(document, fates),
        _ => title_of_markdown(document),
    };
    let (date, author) = metadata(document, fates);
    let shown = title_at.map(|at| without_site(&document.blocks[at].text).to_owned());
    if let Some(at) = title_at {
        fates[at] = Some(Fate::Left("title"));
        settle_above(document, at, fates);
    }
    Head {
        title: document.front.title.clone().or(shown).unwrap_or_else(|| from_name(&document.name)),
        date: document.front.date.or(date),
        author: document.front.author.clone().or(author),
        title_at,
    }
}

/// The first block of running text that is no part of the page: the title stands above it.
fn first_prose(blocks: &[Block]) -> usize {
    let prose = |block: &Block| block.is_paragraph() && block.words >= 25 && signs::page_part(&block.text, block.words).is_none();
    blocks.iter().position(prose).unwrap_or(blocks.len())
}

fn title_of_markdown(document: &Document) -> Option<usize> {
    let blocks = &document.blocks;
    let mut found = blocks.iter().enumerate().filter_map(|(i, b)| b.level().map(|level| (i, level)));
    let ones: Vec<usize> = blocks.iter().enumerate().filter(|(_, b)| b.level() == Some(1)).map(|(i, _)| i).collect();
    if let Some(title) = &document.front.title {
        let same = |i: &usize| words::key(&blocks[*i].text) == words::key(title);
        let head = ones.iter().copied().chain(0..blocks.len().min(4)).find(same);
        return head.or(if ones.len() == 1 && first_heading(blocks) == ones.first().copied() { Some(ones[0]) } else { None });
    }
    if !ones.is_empty() {
        return ones.into_iter().find(|one| headings::role(&blocks[*one].text) == headings::Role::Body);
    }
    if let Some((first, level)) = found.next() {
        let alone = found.all(|(_, other)| other > level);
        let others = blocks.iter().filter(|b| b.level().is_some()).count() > 1;
        if alone && others && headings::role(&blocks[first].text) == headings::Role::Body {
            return Some(first);
        }
    }
    let short = |block: &Block| {
        block.is_paragraph() && signs::is_heading_shaped(&block.text) && signs::page_part(&block.text, block.words).is_none()
    };
    let end = first_prose(blocks).min(first_heading(blocks).unwrap_or(blocks.len()));
    (0..end).find(|i| short(&blocks[*i]))
}

fn first_heading(blocks: &[Block]) -> Option<usize> {
    blocks.iter().position(|block| block.level().is_some())
}

/// A title that does not stand among the first lines is none.
const LAST_LINE_OF_HEAD: usize = 80;

/// Among the short lines above the first running text, the one whose words the article uses most.
fn title_of_text(document: &Document, fates: &Fates) -> Option<usize> {
    let blocks = &document.blocks;
    let end = first_prose(blocks).min(LAST_LINE_OF_HEAD);
    let counts = frequencies(blocks);
    let name: Vec<String> = words::tokens(&from_name(&document.name));
    let candidates: Vec<usize> = (0..end).filter(|i| fates[*i].is_none() && can_be_title(blocks, *i)).collect();
    if let Some(title) = &document.front.title {
        return candidates.into_iter().find(|i| words::key(&blocks[*i].text) == words::key(title));
    }
    let mut best: Option<(f64, usize)> = None;
    for (rank, index) in candidates.into_iter().enumerate() {
        let score = score(blocks, index, &counts, &name) - 0.6 * f64::from(u32::try_from(rank).unwrap_or(u32::MAX));
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, index));
        }
    }
    best.map(|(_, index)| index)
}

fn can_be_title(blocks: &[Block], index: usize) -> bool {
    let block = &blocks[index];
    let line = block.level().is_some() || (block.is_paragraph() && block.words <= 20);
    let boxed = blocks.get(index + 1).is_some_and(|next| matches!(signs::page_part(&next.text, next.words), Some("sign-up box")));
    line && !boxed
        && block.text.chars().any(char::is_alphabetic)
        && !bylines::is_metadata(&block.text)
        && signs::page_part(&block.text, block.words).is_none()
        && matches!(headings::role(&block.text), headings::Role::Body)
}

fn score(blocks: &[Block], index: usize, counts: &HashMap<String, u32>, name: &[String]) -> f64 {
    let block = &blocks[index];
    let mut telling = words::tokens(&block.text);
    telling.retain(|word| !words::is_empty_word(word));
    telling.sort_unstable();
    telling.dedup();
    // Its own line counts once; what the article says again counts more.
    let used: f64 = telling.iter().map(|word| f64::from(counts.get(word).copied().unwrap_or(1).saturating_sub(1).min(9)).sqrt()).sum();
    let named = telling.iter().filter(|word| name.contains(word)).count();
    let dated = blocks.iter().skip(index + 1).take(3).any(|next| bylines::is_metadata(&next.text));
    let underlined = matches!(block.kind, Kind::Heading { level: 1, .. });
    used + f64::from(u32::try_from(named).unwrap_or(0)) + if dated { 1.5 } else { 0.0 } + if underlined { 20.0 } else { 0.0 }
}

/// How often each word stands in the opening of an article; its first 200,000 bytes are enough to tell.
fn frequencies(blocks: &[Block]) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    let mut seen = 0;
    for block in blocks {
        if seen > 200_000 {
            break;
        }
        seen += block.text.len();
        let end = block.text.char_indices().map(|(i, _)| i).nth(100_000).unwrap_or(block.text.len());
        for word in words::tokens(&block.text[..end]) {
            *counts.entry(word).or_insert(0) += 1;
        }
    }
    counts
}

/// Settles lines that hold a date or a byline, and gives what they say.
fn metadata(document: &Document, fates: &mut Fates) -> (Option<Date>, Option<String>) {
    let (mut plain, mut later, mut author) = (None, None, None);
    for (index, block) in document.blocks.iter().enumerate() {
        let short = block.words <= 20 && (block.is_paragraph() || block.level().is_some());
        if !short || !bylines::is_metadata(&block.text) {
            continue;
        }
        let mut reason = "byline";
        for piece in bylines::pieces(&block.text) {
            if let Some(line) = dates::line(piece) {
                let place = if line.later { &mut later } else { &mut plain };
                *place = place.or(line.date);
                reason = "date";
            } else if let Some(name) = bylines::byline(piece).filter(|name| !name.is_empty()) {
                author.get_or_insert_with(|| name.to_owned());
            }
        }
        fates[index] = Some(Fate::Left(reason));
    }
    (plain.or(later), author)
}

/// What stands above the title is page; the title itself may stand there a second time.
fn settle_above(document: &Document, title_at: usize, fates: &mut Fates) {
    let title = words::key(without_site(&document.blocks[title_at].text));
    for (index, block) in document.blocks.iter().enumerate().take(title_at + 4) {
        if fates[index].is_some() || index == title_at {
            continue;
        }
        // In Markdown a later heading with the title's words is a section.
        let section = block.level().is_some() && index > title_at && document.format.marks_headings();
        if section {
            break;
        }
        let again =
            (block.level().is_some() || block.is_paragraph()) && block.words <= 30 && words::key(without_site(&block.text)) == title;
        if again {
            fates[index] = Some(Fate::Left("title"));
        } else if index < title_at {
            let boxed = document
                .blocks
                .get(index + 1)
                .is_some_and(|next| block.level().is_some() && signs::page_part(&next.text, next.words) == Some("sign-up box"));
            let reason = if boxed { "sign-up box" } else { signs::page_part(&block.text, block.words).unwrap_or("above the title") };
            fates[index] = Some(Fate::Left(reason));
        }
    }
}

/// "Title | Site": the part that is the title.
fn without_site(text: &str) -> &str {
    text.split(" | ").max_by_key(|part| part.len()).unwrap_or(text).trim()
}

/// "back-pain.txt" gives "Back pain".
fn from_name(name: &str) -> String {
    let stem = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let text = stem.replace(['-', '_'], " ");
    let mut chars = text.trim().chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Untitled".to_owned(),
    }
}
