//! How like two texts are: the runs of five words that they share.
//!
//! Pure. Case, punctuation, mark-up and citation marks do not count.

use crate::content::{citations, words};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words in a run.
const RUN: usize = 5;

/// The runs of a text as hashes: each once, sorted, and all as they stand in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shingles {
    sorted: Vec<u64>,
    standing: Vec<u64>,
    words: usize,
}

impl Shingles {
    /// Those of a body; one that is shorter than a run is a run by itself.
    pub(super) fn of(markdown: &str) -> Self {
        let tokens = words::tokens(&citations::without_marks(markdown));
        let standing: Vec<u64> = match tokens.len() {
            0 => Vec::new(),
            1..RUN => vec![hash(&tokens)],
            _ => tokens.windows(RUN).map(hash).collect(),
        };
        let mut sorted = standing.clone();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted, standing, words: tokens.len() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// How many words there are.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// How much of this one is in the other, from 0 to 1.
    pub(super) fn share_in(&self, other: &Self) -> f64 {
        part(self.shared(other), self.sorted.len())
    }

    /// How many of its runs are in both of two others.
    pub(super) fn shared_by(&self, one: &Self, other: &Self) -> usize {
        let has = |text: &Self, run: &u64| text.sorted.binary_search(run).is_ok();
        self.sorted.iter().filter(|run| has(one, run) && has(other, run)).count()
    }

    fn shared(&self, other: &Self) -> usize {
        let (mut these, mut those) = (self.sorted.iter().peekable(), other.sorted.iter().peekable());
        let mut shared = 0;
        while let (Some(this), Some(that)) = (these.peek(), those.peek()) {
            let order = this.cmp(that);
            shared += usize::from(order.is_eq());
            if order.is_le() {
                these.next();
            }
            if order.is_ge() {
                those.next();
            }
        }
        shared
    }
}

/// Which of many texts have each run, so that a text is compared only with those that share one with it.
pub(super) struct Index {
    texts: usize,
    having: HashMap<u64, Vec<usize>>,
}

/// The texts that share runs with another, in order, how many each, and how many of its words stand in those.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) with: Vec<usize>,
    runs: Vec<usize>,
    words: Vec<usize>,
}

impl Index {
    pub(super) fn of(texts: &[Shingles]) -> Self {
        let mut having: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, text) in texts.iter().enumerate() {
            text.sorted.iter().for_each(|run| having.entry(*run).or_default().push(place));
        }
        Self { texts: texts.len(), having }
    }

    pub(super) fn shared(&self, text: &Shingles) -> Shared {
        let mut counts = vec![0; self.texts];
        text.sorted.iter().filter_map(|run| self.having.get(run)).flatten().for_each(|place| counts[*place] += 1);
        let with: Vec<usize> = (0..self.texts).filter(|place| counts[*place] > 0).collect();
        let covered = self.covered(text);
        let (runs, words) = with.iter().map(|place| (counts[*place], covered[*place])).unzip();
        Shared { with, runs, words }
    }

    /// How many words of a text stand in runs that each of the others has too.
    fn covered(&self, text: &Shingles) -> Vec<usize> {
        let length = text.words.min(RUN);
        let (mut covered, mut ends) = (vec![0; self.texts], vec![0; self.texts]);
        for (at, run) in text.standing.iter().enumerate() {
            for place in self.having.get(run).into_iter().flatten() {
                covered[*place] += at + length - ends[*place].max(at);
                ends[*place] = at + length;
            }
        }
        covered
    }
}

impl Shared {
    /// How many runs are shared with this one.
    pub(super) fn count(&self, place: usize) -> usize {
        self.with.binary_search(&place).map_or(0, |at| self.runs[at])
    }

    /// How many words stand in runs that are shared with this one.
    pub(super) fn words(&self, place: usize) -> usize {
        self.with.binary_search(&place).map_or(0, |at| self.words[at])
    }
}

fn hash(run: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish()
}

/// The share that some are of all.
pub(super) fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}
