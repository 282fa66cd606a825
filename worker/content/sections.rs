//! Sections: which text stands under which heading, and which sections belong together.
//!
//! Owns the joining: a section that only makes sense with its neighbour joins it, a lone short one joins the next.
//! Called by `segment`, after `sift` has settled what is no text.

use super::document::Document;
use super::headings::{self, Role};
use super::segment::Settings;
use super::sift::{Fate, Fates};
use super::words;
use std::collections::{HashMap, VecDeque};

/// One or more sections that make one segment (before an over-long one is cut).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// The block of the heading that says what it is about; nothing for an article without sections.
    pub main: Option<usize>,
    /// The headings above it and its own, highest first.
    pub path: Vec<usize>,
    /// The level of its first heading.
    pub level: u8,
    /// What it is made of, in order.
    pub pieces: Vec<Piece>,
    /// Headings above it that have no text of their own and that it accounts for.
    pub owned: Vec<usize>,
    /// Words of its text, without headings.
    pub words: usize,
}

/// A heading (if it is to be shown) and the text under it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub heading: Option<usize>,
    pub blocks: Vec<usize>,
    pub words: usize,
}

struct Section {
    heading: usize,
    level: u8,
    path: Vec<usize>,
    blocks: Vec<usize>,
    words: usize,
}

/// The parts of an article in order. Introductions, conclusions and empty headings are settled as left out.
pub(super) fn parts(document: &Document, fates: &mut Fates, settings: &Settings) -> Vec<Part> {
    let mut sections = split(document, fates);
    settle_roles(document, &mut sections, fates);
    let parts = gather(document, sections, fates);
    let mut parts = join_dependent(document, parts);
    // Only now: a heading without text of its own may lead sections that have just joined it.
    parts.iter_mut().for_each(|part| prune(document, part, fates));
    parts.retain(|part| !part.pieces.is_empty());
    loop {
        let before = parts.len();
        let least = least_here(&parts_words(&parts, settings), settings);
        parts = join_short(parts, least);
        if parts.len() == before {
            return parts;
        }
    }
}

/// The words of each part as it will be after cutting.
fn parts_words(parts: &[Part], settings: &Settings) -> Vec<usize> {
    let pieces = |words: usize| words.div_ceil(settings.most_words).max(1);
    parts.iter().flat_map(|part| std::iter::repeat_n(part.words / pieces(part.words), pieces(part.words))).collect()
}

/// A section is only short beside longer ones: in a list of ten short tips each stands by itself.
fn least_here(words: &[usize], settings: &Settings) -> usize {
    let mut words = words.to_vec();
    words.sort_unstable();
    let median = words.get(words.len() / 2).copied().unwrap_or(0);
    settings.least_words.min(median * 6 / 10)
}

/// Cuts the undecided blocks at their headings; what stands before the first heading is the introduction.
fn split(document: &Document, fates: &Fates) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, block) in document.blocks.iter().enumerate() {
        if let (Some(level), None) = (block.level(), fates[index]) {
            let mut path: Vec<usize> = sections.last().map(|last| last.path.clone()).unwrap_or_default();
            path.retain(|above| document.blocks[*above].level().is_some_and(|other| other < level));
            path.push(index);
            sections.push(Section { heading: index, level, path, blocks: Vec::new(), words: 0 });
        } else if let Some(section) = sections.last_mut() {
            match fates[index] {
                None => {
                    section.blocks.push(index);
                    section.words += block.words;
                }
                Some(Fate::Related) => section.blocks.push(index),
                Some(_) => {}
            }
        }
    }
    sections
}

/// Leaves out the introduction, conclusions with all below them, and headings without text.
fn settle_roles(document: &Document, sections: &mut Vec<Section>, fates: &mut Fates) {
    let first = sections.first().map_or(0, |section| section.heading);
    let body_follows = !sections.is_empty();
    for fate in fates.iter_mut().take(if body_follows { first } else { 0 }) {
        match fate {
            None => *fate = Some(Fate::Left("introduction")),
            Some(Fate::Related) => *fate = Some(Fate::Left("related reading of the whole article")),
            Some(_) => {}
        }
    }
    let mut closed: Option<u8> = None;
    sections.retain(|section| {
        let role = headings::role(&document.blocks[section.heading].text);
        closed = match (closed, role) {
            (Some(level), _) if section.level > level => Some(level),
            (_, Role::Conclusion) => Some(section.level),
            _ => None,
        };
        let reason = match role {
            _ if closed.is_some() => "conclusion",
            Role::Introduction => "introduction",
            _ => return true,
        };
        for index in std::iter::once(&section.heading).chain(&section.blocks) {
            fates[*index] = Some(Fate::Left(reason));
        }
        false
    });
}

/// Makes a part of each section of the two highest levels; deeper ones are pieces of the one above them.
fn gather(document: &Document, sections: Vec<Section>, fates: &mut Fates) -> Vec<Part> {
    let top = sections
        .iter()
        .filter(|section| section.words > 0)
        .map(|section| section.path.iter().filter_map(|i| document.blocks[*i].level()).min().unwrap_or(section.level))
        .min()
        .unwrap_or(1);
    let mut parts: Vec<Part> = Vec::new();
    let mut waiting: Vec<usize> = Vec::new();
    let count = sections.len();
    let levels: Vec<u8> = sections.iter().map(|section| section.level).collect();
    let dependents: Vec<bool> = sections.iter().map(|section| headings::is_dependent(&document.blocks[section.heading].text)).collect();
    for (position, section) in sections.into_iter().enumerate() {
        let inner = section.level > top + 1 && parts.last().is_some_and(|part| is_under(part, &section));
        if inner && let Some(part) = parts.last_mut() {
            part.words += section.words;
            part.pieces.push(Piece { heading: Some(section.heading), blocks: section.blocks, words: section.words });
            continue;
        }
        let child_below = position + 1 < count && levels[position + 1] > section.level;
        let leads = child_below && section.level == top && (dependents[position + 1] || levels[position + 1] > top + 1);
        let leads = leads || child_below && section.level > top;
        if section.blocks.is_empty() && !leads {
            if child_below {
                waiting.push(section.heading);
            } else {
                fates[section.heading] = Some(Fate::Left("heading without text"));
            }
            continue;
        }
        parts.push(part(section, std::mem::take(&mut waiting)));
    }
    for heading in waiting {
        fates[heading] = Some(Fate::Left("heading without text"));
    }
    parts
}

/// Settles inner headings with no words under them, and all of a part that holds none.
fn prune(document: &Document, part: &mut Part, fates: &mut Fates) {
    let mut empty = |headings: &[usize]| headings.iter().for_each(|heading| fates[*heading] = Some(Fate::Left("heading without text")));
    let pieces = std::mem::take(&mut part.pieces);
    if part.words == 0 {
        empty(&part.owned);
        empty(&pieces.iter().filter_map(|piece| piece.heading).collect::<Vec<_>>());
        return;
    }
    let level = |piece: &Piece| piece.heading.and_then(|heading| document.blocks[heading].level()).unwrap_or(0);
    let levels: Vec<u8> = pieces.iter().map(level).collect();
    for (place, piece) in pieces.into_iter().enumerate() {
        let leads = levels.get(place + 1).is_some_and(|next| *next > levels[place]);
        match part.pieces.last_mut() {
            Some(before) if piece.words == 0 && !leads => {
                empty(&piece.heading.into_iter().collect::<Vec<_>>());
                before.blocks.extend(piece.blocks);
            }
            _ => part.pieces.push(piece),
        }
    }
}

fn part(section: Section, owned: Vec<usize>) -> Part {
    let piece = Piece { heading: Some(section.heading), blocks: section.blocks, words: section.words };
    Part { main: Some(section.heading), path: section.path, level: section.level, words: section.words, pieces: vec![piece], owned }
}

/// Whether a section stands under the same heading as the part, or under the part itself.
fn is_under(part: &Part, section: &Section) -> bool {
    let shared = part.path.iter().zip(&section.path).take_while(|(a, b)| a == b).count();
    shared + 1 >= part.path.len() && shared > 0
}

/// Joins sections whose heading only makes sense with the one above or before it.
fn join_dependent(document: &Document, parts: Vec<Part>) -> Vec<Part> {
    let keys: Vec<(u8, String)> = parts.iter().map(|part| (part.level, heading_key(document, part))).collect();
    let mut times: HashMap<&(u8, String), usize> = HashMap::new();
    for key in &keys {
        *times.entry(key).or_insert(0) += 1;
    }
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    let mut last = 0;
    for (place, part) in parts.into_iter().enumerate() {
        let same = keys[last] == keys[place];
        match joined.last_mut() {
            Some(before) if depends(document, before, &part, times[&keys[place]], same) => absorb(before, part),
            _ => {
                joined.push(part);
                last = place;
            }
        }
    }
    joined
}

fn heading_key(document: &Document, part: &Part) -> String {
    part.main.map(|main| words::key(headings::bare(&document.blocks[main].text))).unwrap_or_default()
}

/// `repeated` is how often the part's heading stands on its level, `same` whether it is that of the one before.
fn depends(document: &Document, before: &Part, part: &Part, repeated: usize, same: bool) -> bool {
    let (Some(before_main), Some(main)) = (before.main, part.main) else { return false };
    let heading = &document.blocks[main].text;
    let dependent = headings::is_dependent(heading);
    if part.path.contains(&before_main) {
        return dependent || repeated > 1;
    }
    let same_place = part.level == before.level && part.path[..part.path.len() - 1] == before.path[..before.path.len() - 1];
    if !same_place || same {
        return false;
    }
    let closes = headings::label(heading).is_some_and(|(label, _)| headings::closes_pair(&label));
    let opened = || headings::label(&document.blocks[before_main].text).is_some_and(|(label, _)| headings::opens_pair(&label));
    (closes && opened()) || (repeated > 1 && (dependent || closes)) || (repeated > 2 && words::count(heading) <= 4)
}

fn absorb(before: &mut Part, part: Part) {
    before.words += part.words;
    before.pieces.extend(part.pieces);
    before.owned.extend(part.owned);
}

/// Joins short parts: with the next of their place, else with the one before, else with whatever is next.
fn join_short(parts: Vec<Part>, least: usize) -> Vec<Part> {
    let mut done: Vec<Part> = Vec::with_capacity(parts.len());
    let mut rest: VecDeque<Part> = parts.into();
    while let Some(part) = rest.pop_front() {
        if part.words >= least {
            done.push(part);
            continue;
        }
        let next = rest.pop_front();
        match (done.last_mut(), next) {
            // The joined one is looked at again, in case it is still short.
            (_, Some(next)) if follows(&part, &next) => rest.push_front(forward(part, next)),
            (Some(before), next) if next.is_none() || same_parent(before, &part) => {
                absorb(before, part);
                if let Some(next) = next {
                    rest.push_front(next);
                }
            }
            (_, Some(next)) => rest.push_front(forward(part, next)),
            (_, None) => done.push(part),
        }
    }
    done
}

/// Whether the next part stands beside this one or under it.
fn follows(part: &Part, next: &Part) -> bool {
    part.main.is_some_and(|main| next.path.contains(&main)) || (next.level == part.level && same_parent(part, next))
}

fn same_parent(before: &Part, part: &Part) -> bool {
    let parent = &part.path[..part.path.len().saturating_sub(1)];
    before.path.starts_with(parent)
}

/// Joins a short part to the next one; the longer of the two says what it is about. A short lead-in above its own
/// subsection gives up its heading.
fn forward(mut part: Part, mut next: Part) -> Part {
    let leads_in = part.main.is_some_and(|main| next.path.contains(&main));
    if leads_in {
        part.owned.extend(part.pieces.iter_mut().filter_map(|piece| piece.heading.take()));
        part.owned.extend(next.pieces.first_mut().and_then(|piece| piece.heading.take()).filter(|heading| next.main == Some(*heading)));
    }
    if next.words > part.words || leads_in {
        part.main = next.main;
        part.path = next.path;
    }
    part.words += next.words;
    part.pieces.extend(next.pieces);
    part.owned.extend(next.owned);
    part
}
