//! Joining: which parts of an article belong together.
//!
//! Owns the rules by which a part that only makes sense with its neighbour joins it, and a lone short one joins the next. Called by
//! `sections`.

use super::document::{Document, Kind};
use super::headings;
use super::sections::Part;
use super::segment::Settings;
use super::{openings, words};
use std::collections::{HashMap, VecDeque};

/// The words of each part as it will be after cutting.
pub(super) fn parts_words(parts: &[Part], settings: &Settings) -> Vec<usize> {
    let pieces = |words: usize| words.div_ceil(settings.most_words).max(1);
    parts.iter().flat_map(|part| std::iter::repeat_n(part.words / pieces(part.words), pieces(part.words))).collect()
}

/// A section is only short beside longer ones: in a list of ten short tips each stands by itself.
pub(super) fn least_here(words: &[usize], settings: &Settings) -> usize {
    let mut words = words.to_vec();
    words.sort_unstable();
    let median = words.get(words.len() / 2).copied().unwrap_or(0);
    settings.least_words.min(median * 6 / 10)
}

/// A section that goes on with the one before it ("However, …") joins it.
pub(super) fn join_continuing(document: &Document, parts: Vec<Part>, settings: &Settings) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        let first = part.pieces.first().and_then(|piece| piece.blocks.first()).map(|index| &document.blocks[*index]);
        let goes_on = first.is_some_and(|block| block.is_paragraph() && openings::contradicts(&block.text));
        match joined.last_mut() {
            Some(before) if goes_on && same_parent(before, &part) && before.words + part.words <= settings.most_words => {
                before.names.extend(part.names.iter().copied().filter(|name| !part.path.contains(name) || !before.path.is_empty()));
                absorb(before, part);
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// Joins sections whose heading only makes sense with the one above or before it.
pub(super) fn join_dependent(document: &Document, parts: Vec<Part>, settings: &Settings) -> Vec<Part> {
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
            Some(before)
                if depends(document, before, &part, times[&keys[place]], same) || is_shown_by(document, before, &part, settings) =>
            {
                absorb(before, part)
            }
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

/// Whether a part is nothing but a table or code, which the section above it speaks of.
fn is_shown_by(document: &Document, before: &Part, part: &Part, settings: &Settings) -> bool {
    let under = before.main.is_some_and(|main| part.path.contains(&main));
    let mut blocks = part.pieces.iter().flat_map(|piece| &piece.blocks).map(|index| &document.blocks[*index]);
    let mut shown = || blocks.all(|block| matches!(block.kind, Kind::Table | Kind::Code) || block.kind == Kind::Quote && block.words <= 30);
    under && before.words + part.words <= settings.most_words && shown()
}

fn absorb(before: &mut Part, part: Part) {
    before.words += part.words;
    before.pieces.extend(part.pieces);
    before.owned.extend(part.owned);
}

/// Joins short parts: with the next of their place, else with the one before, else with whatever is next.
pub(super) fn join_short(parts: Vec<Part>, least: usize) -> Vec<Part> {
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
                if !before.main.is_some_and(|main| part.path.contains(&main)) {
                    before.names.extend(&part.names);
                }
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
    match leads_in {
        true => part.names = std::mem::take(&mut next.names),
        false => part.names.append(&mut next.names),
    }
    part.whole |= next.whole;
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
