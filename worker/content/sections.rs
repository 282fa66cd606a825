//! Sections: which text stands under which heading, and which sections belong together.
//!
//! Owns the joining: a section that only makes sense with its neighbour joins it, a lone short one joins the next.
//! Called by `segment`, after `sift` has settled what is no text.

use super::document::{Block, Document, Kind};
use super::headings::{self, Role};
use super::segment::Settings;
use super::sift::{self, Fate, Fates};
use super::{joining, wholes};

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
    /// The headings of the sections that were joined because each was short, when none of them stands above the others.
    pub names: Vec<usize>,
    /// Whether its sections make one whole, which is only cut when it is far too long.
    pub whole: bool,
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
    let opening = opening(document, &sections, fates);
    if opening.is_none() {
        settle_introduction(&sections, fates);
    }
    settle_roles(document, &mut sections, fates);
    let mut parts = gather(document, sections, fates);
    parts.splice(0..0, opening);
    let parts = wholes::join(document, parts, settings);
    let mut parts = joining::join_dependent(document, parts, settings);
    settle_lead_ins(document, &mut parts, fates);
    // Only now: a heading without text of its own may lead sections that have just joined it.
    parts.iter_mut().for_each(|part| prune(document, part, fates));
    parts.retain(|part| !part.pieces.is_empty());
    parts = joining::join_continuing(document, parts, settings);
    loop {
        let before = parts.len();
        let shortened = settle_loose_ends(document, &mut parts, fates);
        let least = joining::least_here(&joining::parts_words(&parts, settings), settings);
        parts = joining::join_short(parts, least);
        // Without a scrap another part may be short beside the others.
        if parts.len() == before {
            settle_scraps(&mut parts, fates);
        }
        if parts.len() == before && !shortened {
            break;
        }
    }
    parts.iter_mut().for_each(|part| show_headings(document, part, fates));
    parts
}

/// A heading without text of its own that does not stand above the whole part is shown where it stood, if one below it has text.
fn show_headings(document: &Document, part: &mut Part, fates: &mut Fates) {
    let (above, lost): (Vec<usize>, Vec<usize>) = part.owned.iter().partition(|heading| part.path.contains(heading));
    part.owned = above;
    for heading in lost {
        let first = |piece: &Piece| piece.heading.or(piece.blocks.first().copied()).unwrap_or(usize::MAX);
        let place = part.pieces.iter().position(|piece| first(piece) > heading).unwrap_or(part.pieces.len());
        part.pieces.insert(place, Piece { heading: Some(heading), blocks: Vec::new(), words: 0 });
    }
    let level = |piece: &Piece| piece.heading.and_then(|heading| document.blocks[heading].level()).unwrap_or(0);
    for place in (1..part.pieces.len()).rev() {
        let leads = part.pieces.get(place + 1).is_some_and(|next| level(next) > level(&part.pieces[place]));
        if is_bare(&part.pieces[place], fates) && !leads {
            let piece = part.pieces.remove(place);
            piece.heading.into_iter().for_each(|heading| fates[heading] = Some(Fate::Left("heading without text")));
            part.pieces[place - 1].blocks.extend(piece.blocks);
        }
    }
}

/// An opening that takes a good part of the article is no introduction: it is the article's first part.
fn opening(document: &Document, sections: &[Section], fates: &Fates) -> Option<Part> {
    let first = sections.first()?.heading;
    let is_text = |index: &usize| matches!(fates[*index], None | Some(Fate::Related));
    let blocks: Vec<usize> = (0..first).filter(is_text).collect();
    let words = blocks.iter().filter(|index| fates[**index].is_none()).map(|index| document.blocks[*index].words).sum();
    let below: usize = sections.iter().map(|section| section.words).sum();
    (words > LONGEST_OPENING && words * 3 > below).then(|| Part {
        main: None,
        path: Vec::new(),
        level: 1,
        pieces: vec![Piece { heading: None, blocks, words }],
        owned: Vec::new(),
        words,
        names: Vec::new(),
        whole: false,
    })
}

const LONGEST_OPENING: usize = 150;
/// Fewer words than this say nothing, whatever stands above them.
const FEWEST_WORDS: usize = 8;

/// "There are three:" as the last words of a tip leads to sections that are other tips.
fn settle_lead_ins(document: &Document, parts: &mut Vec<Part>, fates: &mut Fates) {
    for at in 1..parts.len() {
        let (before, after) = parts.split_at_mut(at);
        let (Some(part), Some(next)) = (before.last_mut(), after.first_mut()) else { continue };
        let leads = part.main.is_some_and(|main| next.path.contains(&main));
        let taken = leads && take_lead_in(document, part, fates, leads_below);
        if taken && part.words == 0 && part.pieces.iter().all(|piece| piece.blocks.is_empty()) {
            next.owned.append(&mut part.owned);
            next.owned.extend(part.pieces.drain(..).filter_map(|piece| piece.heading));
        }
    }
    parts.retain(|part| !part.pieces.is_empty());
}

/// Takes off what leads to nothing at the end of parts that hold more; says whether there was any.
pub(super) fn settle_loose_ends(document: &Document, parts: &mut [Part], fates: &mut Fates) -> bool {
    let mut found = false;
    for part in parts.iter_mut().filter(|part| part.pieces.iter().map(|piece| piece.blocks.len()).sum::<usize>() > 1) {
        found |= take_lead_in(document, part, fates, leads_nowhere);
    }
    found
}

/// Takes off the last words of a part when they only lead to what is not in it.
fn take_lead_in(document: &Document, part: &mut Part, fates: &mut Fates, reason: fn(&Block) -> Option<&'static str>) -> bool {
    let Some(piece) = part.pieces.last_mut() else { return false };
    let Some(at) = piece.blocks.iter().rposition(|index| fates[*index].is_none()) else { return false };
    let block = &document.blocks[piece.blocks[at]];
    let reason = reason(block);
    if let Some(reason) = reason {
        let last = piece.blocks.remove(at);
        piece.words -= block.words;
        part.words -= block.words;
        fates[last] = Some(Fate::Left(reason));
    }
    reason.is_some()
}

fn leads_below(block: &Block) -> Option<&'static str> {
    (block.is_paragraph() && block.text.ends_with(':') && block.words <= 30).then_some("lead-in to the sections below it")
}

fn leads_nowhere(block: &Block) -> Option<&'static str> {
    let asks = matches!(block.kind, Kind::Paragraph { strong: true, .. }) && block.words <= 14 && block.text.ends_with('?');
    (asks || sift::is_lead_in(block)).then_some("lead-in to what was left out")
}

/// A part with next to no words is no tip.
fn settle_scraps(parts: &mut Vec<Part>, fates: &mut Fates) {
    parts.retain(|part| {
        let enough = part.words >= FEWEST_WORDS;
        if !enough {
            let headings = part.pieces.iter().filter_map(|piece| piece.heading).chain(part.owned.iter().copied());
            let blocks = part.pieces.iter().flat_map(|piece| piece.blocks.iter().copied());
            headings.chain(blocks).for_each(|index| fates[index] = Some(Fate::Left("too short for a tip")));
        }
        enough
    });
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

/// Leaves out what stands above the first heading.
fn settle_introduction(sections: &[Section], fates: &mut Fates) {
    let first = sections.first().map_or(0, |section| section.heading);
    for fate in fates.iter_mut().take(first) {
        match fate {
            None => *fate = Some(Fate::Left("introduction")),
            Some(Fate::Related) => *fate = Some(Fate::Left("related reading of the whole article")),
            Some(_) => {}
        }
    }
}

/// Leaves out sections that lead in, and conclusions with all below them.
fn settle_roles(document: &Document, sections: &mut Vec<Section>, fates: &mut Fates) {
    let top = top_level(document, sections);
    let mut closed: Option<u8> = None;
    let mut seen_body = false;
    sections.retain(|section| {
        let role = headings::role(&document.blocks[section.heading].text);
        // Inside of another section "Summary" and "Overview" are about that section.
        let own = section.level <= top || section.path.len() == 1;
        closed = match (closed, role) {
            (Some(level), _) if section.level > level => Some(level),
            (_, Role::Conclusion) if own => Some(section.level),
            _ => None,
        };
        let reason = match role {
            _ if closed.is_some() => "conclusion",
            Role::Introduction if own && !seen_body => "introduction",
            _ => {
                seen_body |= section.words > 0;
                return true;
            }
        };
        for index in std::iter::once(&section.heading).chain(&section.blocks) {
            fates[*index] = Some(Fate::Left(reason));
        }
        false
    });
}

/// The level of the highest heading that has text under it or below.
fn top_level(document: &Document, sections: &[Section]) -> u8 {
    let told = sections.iter().filter(|section| section.words > 0);
    told.filter_map(|section| section.path.iter().filter_map(|i| document.blocks[*i].level()).min()).min().unwrap_or(1)
}

/// Makes a part of each section of the two highest levels; deeper ones are pieces of the one above them.
fn gather(document: &Document, sections: Vec<Section>, fates: &mut Fates) -> Vec<Part> {
    let top = top_level(document, &sections);
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
    let empty = |headings: &[usize], fates: &mut Fates| {
        headings.iter().for_each(|heading| fates[*heading] = Some(Fate::Left("heading without text")))
    };
    let pieces = std::mem::take(&mut part.pieces);
    if part.words == 0 {
        empty(&part.owned, fates);
        empty(&pieces.iter().filter_map(|piece| piece.heading).collect::<Vec<_>>(), fates);
        return;
    }
    let level = |piece: &Piece| piece.heading.and_then(|heading| document.blocks[heading].level()).unwrap_or(0);
    let levels: Vec<u8> = pieces.iter().map(level).collect();
    for (place, piece) in pieces.into_iter().enumerate() {
        let leads = levels.get(place + 1).is_some_and(|next| *next > levels[place]);
        match part.pieces.last_mut() {
            Some(before) if is_bare(&piece, fates) && !leads => {
                empty(&piece.heading.into_iter().collect::<Vec<_>>(), fates);
                before.blocks.extend(piece.blocks);
            }
            _ => part.pieces.push(piece),
        }
    }
}

/// Whether nothing but related reading stands under a heading.
fn is_bare(piece: &Piece, fates: &Fates) -> bool {
    piece.blocks.iter().all(|index| fates[*index] == Some(Fate::Related))
}

fn part(section: Section, owned: Vec<usize>) -> Part {
    let piece = Piece { heading: Some(section.heading), blocks: section.blocks, words: section.words };
    Part {
        main: Some(section.heading),
        names: vec![section.heading],
        path: section.path,
        level: section.level,
        words: section.words,
        pieces: vec![piece],
        owned,
        whole: false,
    }
}

/// Whether a section stands under the same heading as the part, or under the part itself.
fn is_under(part: &Part, section: &Section) -> bool {
    let shared = part.path.iter().zip(&section.path).take_while(|(a, b)| a == b).count();
    shared + 1 >= part.path.len() && shared > 0
}
