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
use shingles::{Index, Shared, Shingles, part};
use std::collections::HashMap;
use std::hash::Hash;

/// From this share of its words on a text is like another, or a part of it.
const ENOUGH: f64 = 0.5;

/// A segment as it was imported last.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The headings above its section and its own.
    pub heading_path: &'a [String],
    /// The hash of its words.
    pub fingerprint: &'a str,
    /// The subject that the import made of it, which no edit changes.
    pub subject: &'a str,
    /// The body that the import made of it, which no edit changes.
    pub markdown: &'a str,
    /// The article did not have it last time.
    pub vanished: bool,
    /// Its tip is sent to nobody.
    pub retired: bool,
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
    /// Its words are, but they are called otherwise: its subject is another one.
    pub renamed: bool,
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

impl Found {
    /// Its tip is not what it was.
    pub fn revised(&self) -> bool {
        self.changed || self.renamed
    }
}

/// Says which of the tips found are which of the segments known.
pub fn revise(known: &[Known<'_>], found: &[Tip]) -> Revision {
    let same_words = |k: usize, f: usize| known[k].fingerprint == found[f].fingerprint;
    let by_words = places(known.iter().map(|segment| segment.fingerprint));
    let paths: Vec<Vec<String>> = known.iter().map(|segment| path(segment.heading_path)).collect();
    let own_paths: Vec<Vec<String>> = found.iter().map(|tip| path(&tip.heading_path)).collect();
    // What has no heading at all has none in common.
    let mut by_path = places(paths.iter().map(Vec::as_slice));
    by_path.remove::<[String]>(&[]);
    let mut heirs = vec![None; found.len()];
    // Of equal words those under equal headings go together; a segment that is still there goes before one that had vanished.
    let standing = |k: usize| if known[k].vanished { 0.0 } else { 0.25 };
    let alike = |k: usize, f: usize| Some(f64::from(u8::from(paths[k] == own_paths[f])) + standing(k));
    pair(&mut heirs, known.len(), |f| at(&by_words, found[f].fingerprint.as_str()), alike);
    let texts = Texts::new(known, found, |f| heirs[f].is_none());
    pair(&mut heirs, known.len(), |f| at(&by_path, own_paths[f].as_slice()), |k, f| Some(texts.likeness(k, f)));
    pair(&mut heirs, known.len(), |f| texts.sharing(f), |k, f| Some(texts.likeness(k, f)).filter(|likeness| *likeness >= ENOUGH));
    pair(&mut heirs, known.len(), |f| texts.sharing(f), |k, f| texts.shares_enough(k, f).then(|| texts.likeness(k, f)));

    let mut stand = vec![None; known.len()];
    heirs.iter().enumerate().filter_map(|(f, heir)| Some((f, (*heir)?))).for_each(|(f, k)| stand[k] = Some(f));
    let found = heirs.iter().enumerate().map(|(f, heir)| {
        let changed = heir.is_some_and(|k| !same_words(k, f));
        let renamed = heir.is_some_and(|k| !changed && known[k].subject != found[f].subject);
        let fresh = changed || heir.is_none();
        Found { inherits: *heir, changed, renamed, overlaps: if fresh { texts.overlaps(f, *heir, &stand) } else { Vec::new() } }
    });
    let mut found: Vec<Found> = found.collect();
    let gone = (0..known.len()).filter(|k| !known[*k].vanished && !heirs.contains(&Some(*k)));
    let missing: Vec<Missing> =
        gone.map(|k| Missing { known: k, merged_into: texts.home_of(k, &found, |heir| known[heir].retired) }).collect();
    for Missing { known, merged_into } in &missing {
        let overlaps = merged_into.map(|f| &mut found[f].overlaps);
        overlaps.filter(|overlaps| !overlaps.contains(known)).into_iter().for_each(|overlaps| overlaps.push(*known));
    }
    Revision { found, missing }
}

/// Whether a body is in good part in the other: its revision, a piece of it, or the whole that it went into.
pub fn akin(one: &str, other: &str) -> bool {
    let (one, other) = (Shingles::of(one), Shingles::of(other));
    one.share_in(&other) >= ENOUGH || other.share_in(&one) >= ENOUGH
}

/// Headings that differ in case and punctuation only are the same.
fn path(headings: &[String]) -> Vec<String> {
    headings.iter().map(|heading| words::key(heading)).collect()
}

/// Where each of these stands.
fn places<T: Eq + Hash>(each: impl Iterator<Item = T>) -> HashMap<T, Vec<usize>> {
    let mut places: HashMap<T, Vec<usize>> = HashMap::new();
    each.enumerate().for_each(|(place, one)| places.entry(one).or_default().push(place));
    places
}

fn at<T: Eq + Hash>(places: &HashMap<T, Vec<usize>>, one: T) -> &[usize] {
    places.get(&one).map_or(&[], Vec::as_slice)
}

/// Pairs what is open on both sides and has a rank, best first; equal ranks in the order of the article.
fn pair<'a>(
    heirs: &mut [Option<usize>],
    known: usize,
    candidates: impl Fn(usize) -> &'a [usize],
    rank: impl Fn(usize, usize) -> Option<f64>,
) {
    let mut taken = vec![false; known];
    heirs.iter().flatten().for_each(|k| taken[*k] = true);
    let mut ranked: Vec<(f64, usize, usize)> = Vec::new();
    for f in (0..heirs.len()).filter(|f| heirs[*f].is_none()) {
        let open = candidates(f).iter().filter(|k| !taken[**k]);
        ranked.extend(open.filter_map(|k| Some((rank(*k, f)?, *k, f))));
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, k, f) in ranked {
        if !taken[k] && heirs[f].is_none() {
            taken[k] = true;
            heirs[f] = Some(k);
        }
    }
}

/// The words on both sides, and how many runs of them are shared: of tips whose words are those of a segment nothing is asked.
struct Texts {
    known: Vec<Shingles>,
    found: Vec<Shingles>,
    shared: Vec<Shared>,
}

impl Texts {
    fn new(known: &[Known<'_>], found: &[Tip], asked: impl Fn(usize) -> bool) -> Self {
        let known: Vec<Shingles> = known.iter().map(|segment| Shingles::of(segment.markdown)).collect();
        let index = Index::of(&known);
        let own = |(f, tip): (usize, &Tip)| if asked(f) { Shingles::of(&tip.markdown) } else { Shingles::default() };
        let found: Vec<Shingles> = found.iter().enumerate().map(own).collect();
        let shared = found.iter().map(|tip| index.shared(tip)).collect();
        Self { known, found, shared }
    }

    /// The segments that share words with a tip.
    fn sharing(&self, f: usize) -> &[usize] {
        &self.shared[f].with
    }

    /// What both share of what either has, from 0 to 1.
    fn likeness(&self, k: usize, f: usize) -> f64 {
        let shared = self.shared[f].count(k);
        part(shared, self.known[k].len() + self.found[f].len() - shared)
    }

    /// How much of a segment is in a tip.
    fn kept(&self, k: usize, f: usize) -> f64 {
        part(self.shared[f].count(k), self.known[k].len())
    }

    /// How many of a tip's words are from a segment. Words and not runs: a word put into a sentence breaks five of them.
    fn taken(&self, k: usize, f: usize) -> f64 {
        part(self.shared[f].words(k), self.found[f].words())
    }

    /// How much of a segment went out of what it is now and into another tip.
    fn moved(&self, k: usize, f: usize, own: Option<usize>) -> f64 {
        let stayed = match own {
            // Nothing was asked of it, so it has all its words still.
            Some(own) if self.found[own].len() == 0 => return 0.0,
            Some(own) => self.known[k].shared_by(&self.found[f], &self.found[own]),
            None => 0,
        };
        part(self.shared[f].count(k) - stayed, self.known[k].len())
    }

    /// One is in good part in the other: a piece of what was split, or the whole that a piece went into.
    fn shares_enough(&self, k: usize, f: usize) -> bool {
        self.kept(k, f) >= ENOUGH || self.taken(k, f) >= ENOUGH
    }

    /// The segments that a tip has most of its words from, or that most of the words of went into it; but for those with which its own
    /// segment shared them already. `stand` says where each segment is now.
    fn overlaps(&self, f: usize, heir: Option<usize>, stand: &[Option<usize>]) -> Vec<usize> {
        let before = |k: usize| heir.is_some_and(|heir| self.known[heir].share_in(&self.known[k]) >= ENOUGH);
        let from = |k: usize| self.taken(k, f) >= ENOUGH || self.kept(k, f) >= ENOUGH && self.moved(k, f, stand[k]) >= ENOUGH;
        self.sharing(f).iter().copied().filter(|k| heir != Some(*k) && from(*k) && !before(*k)).collect()
    }

    /// The changed tip that has most of the words of a segment which is gone, and did not have them before. One that is sent to nobody
    /// is no home: the words would be lost.
    fn home_of(&self, k: usize, found: &[Found], retired: impl Fn(usize) -> bool) -> Option<usize> {
        let before = |heir: usize| retired(heir) || self.known[k].share_in(&self.known[heir]) >= ENOUGH;
        let changed = (0..found.len()).filter(|f| found[*f].changed && self.kept(k, *f) >= ENOUGH);
        let homes = changed.filter(|f| !found[*f].inherits.is_some_and(before));
        homes.max_by(|a, b| self.kept(k, *a).total_cmp(&self.kept(k, *b)).then(b.cmp(a)))
    }
}

#[cfg(test)]
mod tests;
