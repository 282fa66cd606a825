//! Revising: which segments of an article imported again are those of last time.
//!
//! Owns the rules by which a segment keeps its identity: the same words, then the same headings, then likeness, then the best part of
//! what was split or merged; one to one, best first. Whoever was given a segment is not given its words under another name, so it says
//! too which segments overlap. Pure; called by `store`.

mod diff;
mod shingles;

pub use diff::{Text, diff};

use super::compose::Tip;
use super::words;
use shingles::Shingles;

/// From this share of its words on a text is like another, or a part of it.
const ENOUGH: f64 = 0.5;

/// A segment as it was imported last.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The headings above its section and its own.
    pub heading_path: &'a [String],
    /// The hash of its words.
    pub fingerprint: &'a str,
    /// The body that the import made of it, which no edit changes.
    pub markdown: &'a str,
    /// The article did not have it last time.
    pub vanished: bool,
}

/// What became of an article's segments; numbers are places in the slices given to [`revise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// For each tip found, in its order.
    pub found: Vec<Found>,
    /// What was there last time and is not now.
    pub missing: Vec<Missing>,
}

/// A tip found in the article.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The segment whose identity it keeps; none: it is a segment of its own.
    pub inherits: Option<usize>,
    /// Its words are not those of that segment.
    pub changed: bool,
    /// Other segments whose words of last time it has.
    pub overlaps: Vec<usize>,
}

/// A segment that the article has no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The segment.
    pub known: usize,
    /// The tip found that has its words now.
    pub merged_into: Option<usize>,
}

/// Says which of the tips found are which of the segments known.
pub fn revise(known: &[Known<'_>], found: &[Tip]) -> Revision {
    let texts = Texts::new(known, found);
    let same_words = |k: usize, f: usize| known[k].fingerprint == found[f].fingerprint;
    let same_path = |k: usize, f: usize| path(known[k].heading_path) == path(&found[f].heading_path);
    let mut heirs = vec![None; found.len()];
    // Of equal words those under equal headings go together; a segment that is still there goes before one that had vanished.
    let standing = |k: usize| if known[k].vanished { 0.0 } else { 0.25 };
    pair(&mut heirs, known.len(), |k, f| same_words(k, f).then(|| f64::from(u8::from(same_path(k, f))) + standing(k)));
    pair(&mut heirs, known.len(), |k, f| same_path(k, f).then(|| texts.likeness(k, f)));
    pair(&mut heirs, known.len(), |k, f| Some(texts.likeness(k, f)).filter(|likeness| *likeness >= ENOUGH));
    pair(&mut heirs, known.len(), |k, f| texts.shares_enough(k, f).then(|| texts.likeness(k, f)));

    let found = heirs.iter().enumerate().map(|(f, heir)| {
        let changed = heir.is_some_and(|k| !same_words(k, f));
        let fresh = changed || heir.is_none();
        Found { inherits: *heir, changed, overlaps: if fresh { texts.overlaps(f, *heir) } else { Vec::new() } }
    });
    let mut found: Vec<Found> = found.collect();
    let gone = (0..known.len()).filter(|k| !known[*k].vanished && !heirs.contains(&Some(*k)));
    let missing: Vec<Missing> = gone.map(|k| Missing { known: k, merged_into: texts.home_of(k, &found) }).collect();
    for Missing { known, merged_into } in &missing {
        let overlaps = merged_into.map(|f| &mut found[f].overlaps);
        overlaps.filter(|overlaps| !overlaps.contains(known)).into_iter().for_each(|overlaps| overlaps.push(*known));
    }
    Revision { found, missing }
}

/// Headings that differ in case and punctuation only are the same.
fn path(headings: &[String]) -> Vec<String> {
    headings.iter().map(|heading| words::key(heading)).collect()
}

/// Pairs what is open on both sides and has a rank, best first; equal ranks in the order of the article.
fn pair(heirs: &mut [Option<usize>], known: usize, rank: impl Fn(usize, usize) -> Option<f64>) {
    let mut taken: Vec<bool> = (0..known).map(|k| heirs.contains(&Some(k))).collect();
    let open = (0..heirs.len()).filter(|f| heirs[*f].is_none());
    let pairs = open.flat_map(|f| (0..known).map(move |k| (k, f))).filter(|(k, _)| !taken[*k]);
    let mut ranked: Vec<(f64, usize, usize)> = pairs.filter_map(|(k, f)| rank(k, f).map(|rank| (rank, k, f))).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, k, f) in ranked {
        if !taken[k] && heirs[f].is_none() {
            taken[k] = true;
            heirs[f] = Some(k);
        }
    }
}

/// The words on both sides.
struct Texts {
    known: Vec<Shingles>,
    found: Vec<Shingles>,
}

impl Texts {
    fn new(known: &[Known<'_>], found: &[Tip]) -> Self {
        Self {
            known: known.iter().map(|segment| Shingles::of(segment.markdown)).collect(),
            found: found.iter().map(|tip| Shingles::of(&tip.markdown)).collect(),
        }
    }

    fn likeness(&self, k: usize, f: usize) -> f64 {
        self.known[k].likeness(&self.found[f])
    }

    /// One is in good part in the other: a piece of what was split, or the whole that a piece went into.
    fn shares_enough(&self, k: usize, f: usize) -> bool {
        self.known[k].share_in(&self.found[f]) >= ENOUGH || self.found[f].share_in(&self.known[k]) >= ENOUGH
    }

    /// The segments that a tip has most of its words from, but for those with which its own segment shared them already.
    fn overlaps(&self, f: usize, heir: Option<usize>) -> Vec<usize> {
        let before = |k: usize| heir.is_some_and(|heir| self.known[heir].share_in(&self.known[k]) >= ENOUGH);
        (0..self.known.len()).filter(|k| heir != Some(*k) && self.found[f].share_in(&self.known[*k]) >= ENOUGH && !before(*k)).collect()
    }

    /// The changed tip that has most of the words of a segment which is gone, and did not have them before.
    fn home_of(&self, k: usize, found: &[Found]) -> Option<usize> {
        let share = |f: usize| self.known[k].share_in(&self.found[f]);
        let before = |heir: usize| self.known[k].share_in(&self.known[heir]) >= ENOUGH;
        let homes = (0..found.len()).filter(|f| found[*f].changed && share(*f) >= ENOUGH && !found[*f].inherits.is_some_and(before));
        homes.max_by(|a, b| share(*a).total_cmp(&share(*b)).then(b.cmp(a)))
    }
}

#[cfg(test)]
mod tests;
