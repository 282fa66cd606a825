//! Cutting an over-long part between its paragraphs.
//!
//! Owns where a cut may be: never inside a block (a list, a table, a quotation, a paragraph), never between a lead-in
//! and its list, a heading and its text, or two halves of a sentence. Called by `segment`.

use super::document::{Block, Document, Kind};
use super::sections::Part;
use super::segment::Settings;
use super::sift::{Fate, Fates};
use super::{headings, openings, signs, words};

/// A part as it will be a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    /// The headings above it and its own.
    pub path: Vec<usize>,
    /// Which piece of its part it is, when nothing else tells the pieces apart.
    pub number: Option<(usize, usize)>,
    /// Its blocks in order: inner headings, text, related lines.
    pub body: Vec<usize>,
    /// Blocks that it accounts for besides.
    pub owned: Vec<usize>,
    /// The headings of the short sections that it was joined of.
    pub names: Vec<usize>,
}

/// Cuts a part into pieces of at most `most_words`, where a cut is allowed.
pub(super) fn cut(document: &Document, fates: &Fates, part: &Part, settings: &Settings) -> Vec<Cut> {
    let (body, mut owned) = lay_out(document, part);
    let most = if part.whole { settings.most_words * 2 } else { settings.most_words };
    let runs = if part.words <= most { vec![body] } else { runs(document, fates, &body, settings) };
    let count = runs.len();
    let told = told(document, &runs, part.main);
    let pieces = runs.into_iter().enumerate().map(|(index, mut body)| {
        let mut path = part.path.clone();
        let mut mine = std::mem::take(&mut owned);
        let (name, number) = if index == 0 { (None, None) } else { told[index] };
        path.extend(name);
        if name.is_some() && body.first() == name.as_ref() {
            mine.push(body.remove(0));
        }
        Cut {
            path,
            number: number.or((index > 0 && name.is_none()).then_some((index + 1, count))),
            body,
            owned: mine,
            names: if count > 1 || part.names.len() < 2 { Vec::new() } else { part.names.clone() },
        }
    });
    pieces.collect()
}

/// The name of each piece and its place among those that bear it: that of the heading which opens it, or which stood last above it.
fn told(document: &Document, runs: &[Vec<usize>], main: Option<usize>) -> Vec<Told> {
    let key = |block: usize| words::key(headings::bare(&document.blocks[block].text));
    let whole = main.map(key);
    let mut last: Option<usize> = None;
    let mut found: Vec<Told> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let names = || run.iter().copied().filter(|block| names(&document.blocks[*block]) && whole != Some(key(*block)));
        let opens = names().next().filter(|first| index > 0 && run.first() == Some(first));
        found.push((opens.or(last), None));
        last = names().next_back().or(last);
    }
    for index in 1..found.len() {
        let same = |other: &Told| other.0 == found[index].0;
        let before = found[1..index].iter().rev().take_while(|other| same(other)).count();
        let after = found[index + 1..].iter().take_while(|other| same(other)).count();
        if found[index].0.is_some() && before + after > 0 {
            found[index].1 = (before > 0).then_some((before + 1, before + 1 + after));
        }
    }
    found
}

/// The heading that names a piece, and which of how many pieces of that name it is.
type Told = (Option<usize>, Option<(usize, usize)>);

/// The blocks of a part in order; its own heading is not shown again when it would open the body.
fn lay_out(document: &Document, part: &Part) -> (Vec<usize>, Vec<usize>) {
    let (mut body, mut owned) = (Vec::new(), part.owned.clone());
    for piece in &part.pieces {
        match piece.heading {
            Some(heading) if body.is_empty() && part.main == Some(heading) && part.names.len() < 2 => owned.push(heading),
            Some(heading) if body.is_empty() && part.names.len() < 2 && says_again(document, part.main, heading) => owned.push(heading),
            Some(heading) => body.push(heading),
            None => {}
        }
        body.extend(&piece.blocks);
    }
    (body, owned)
}

/// Whether a heading right below a section's own says the same: pages do so above the section's first part.
fn says_again(document: &Document, main: Option<usize>, heading: usize) -> bool {
    let Some(main) = main.map(|main| &document.blocks[main]) else { return false };
    let heading = &document.blocks[heading];
    let key = |block: &Block| words::key(headings::bare(&block.text));
    // The inner headings of a tip stand deeper, so that a tip read again stays as it is.
    main.level().map(|level| level + 1) == heading.level() && key(main) == key(heading)
}

/// Closes a run when it has its share of the words, or when the next stretch would make it too long.
fn runs(document: &Document, fates: &Fates, body: &[usize], settings: &Settings) -> Vec<Vec<usize>> {
    let stretches = stretches(document, fates, body);
    let total: usize = stretches.iter().map(|(_, words)| words).sum();
    let share = total.div_ceil(total.div_ceil(settings.most_words).max(1));
    let mut runs: Vec<(Vec<usize>, usize)> = Vec::new();
    for (blocks, words) in stretches {
        let first = &document.blocks[blocks[0]];
        let opens = names(first);
        // A piece that begins with "However" or "This" begins in the middle of a thought.
        let bound = first.is_paragraph() && openings::goes_on(&first.text);
        match runs.last_mut() {
            Some((run, so_far))
                if !closes(*so_far, words, share, opens, settings) || bound && *so_far + words <= settings.most_words * 4 / 3 =>
            {
                run.extend(blocks);
                *so_far += words;
            }
            _ => runs.push((blocks, words)),
        }
    }
    if runs.len() > 1 && runs.last().is_some_and(|(_, words)| *words < settings.least_words) {
        let (tail, words) = runs.pop().unwrap_or_default();
        if let Some((run, so_far)) = runs.last_mut() {
            run.extend(tail);
            *so_far += words;
        }
    }
    runs.into_iter().map(|(run, _)| run).collect()
}

fn closes(so_far: usize, next: usize, share: usize, opens: bool, settings: &Settings) -> bool {
    if so_far < settings.least_words {
        return false;
    }
    // A little early before a heading is better than a heading in the middle.
    let near = opens && (so_far + settings.least_words >= share || so_far * 2 >= share);
    so_far + next > settings.most_words || so_far >= share || near
}

/// Runs of blocks that no cut may part, with their words.
fn stretches(document: &Document, fates: &Fates, body: &[usize]) -> Vec<(Vec<usize>, usize)> {
    let mut stretches: Vec<(Vec<usize>, usize)> = Vec::new();
    let mut bound = false;
    for (position, index) in body.iter().enumerate() {
        let block = &document.blocks[*index];
        let related = fates[*index] == Some(Fate::Related);
        // Headings do not count, as they do not when short sections are joined.
        let words = if related || block.level().is_some() { 0 } else { block.words };
        match stretches.last_mut() {
            Some((blocks, so_far)) if bound || related || continues(document, body, position) => {
                blocks.push(*index);
                *so_far += words;
            }
            _ => stretches.push((vec![*index], words)),
        }
        bound = block.level().is_some() || block.is_paragraph() && (block.text.ends_with([':', ',', ';']) || asks(block));
    }
    stretches
}

/// Whether a block says what stands below it: a heading, or a line in bold that has the shape of one.
fn names(block: &Block) -> bool {
    let bold = matches!(block.kind, Kind::Paragraph { strong: true, .. });
    block.level().is_some() || bold && block.links.is_empty() && block.words <= 14 && signs::is_heading_shaped(&block.text)
}

/// A line in bold, or a question by itself: what follows answers it.
fn asks(block: &Block) -> bool {
    let bold = matches!(block.kind, Kind::Paragraph { strong: true, .. });
    let asked = block.text.ends_with('?') && (block.text.starts_with("Q") || !block.text.contains(". "));
    (bold || asked) && block.words <= 40
}

/// Whether a block goes on with the sentence before it, or is the list that explains it.
fn continues(document: &Document, body: &[usize], position: usize) -> bool {
    let (Some(before), block) = (position.checked_sub(1).map(|p| &document.blocks[body[p]]), &document.blocks[body[position]]) else {
        return false;
    };
    let lower = block.text.chars().next().is_some_and(char::is_lowercase);
    let unfinished = before.is_paragraph() && !before.text.ends_with(['.', '!', '?', '”', '"', ')', '’', '…', ']', '*']);
    let same_list = matches!((&before.kind, &block.kind), (Kind::List { .. }, Kind::List { start: Some(first) }) if *first > 1);
    (lower && block.is_paragraph()) || (unfinished && block.level().is_none()) || same_list
}
