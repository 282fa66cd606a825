//! How like two texts are: the runs of five words that they share.
//!
//! Pure. Case, punctuation, mark-up and citation marks do not count.

use crate::content::{citations, words};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words in a run.
const RUN: usize = 5;

/// The runs of a text, each once, as sorted hashes.
#[derive(Debug, Clone, Default)]
pub(super) struct Shingles(Vec<u64>);

impl Shingles {
    /// Those of a body; one that is shorter than a run is a run by itself.
    pub(super) fn of(markdown: &str) -> Self {
        let tokens = words::tokens(&citations::without_marks(markdown));
        let mut runs: Vec<u64> = match tokens.len() {
            0 => Vec::new(),
            1..RUN => vec![hash(&tokens)],
            _ => tokens.windows(RUN).map(hash).collect(),
        };
        runs.sort_unstable();
        runs.dedup();
        Self(runs)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How much of this one is in the other, from 0 to 1.
    pub(super) fn share_in(&self, other: &Self) -> f64 {
        part(self.shared(other), self.0.len())
    }

    fn shared(&self, other: &Self) -> usize {
        let (mut these, mut those) = (self.0.iter().peekable(), other.0.iter().peekable());
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

/// The texts that share runs with another, in order, and how many each.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) with: Vec<usize>,
    runs: Vec<usize>,
}

impl Index {
    pub(super) fn of(texts: &[Shingles]) -> Self {
        let mut having: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, text) in texts.iter().enumerate() {
            text.0.iter().for_each(|run| having.entry(*run).or_default().push(place));
        }
        Self { texts: texts.len(), having }
    }

    pub(super) fn shared(&self, text: &Shingles) -> Shared {
        let mut counts = vec![0; self.texts];
        text.0.iter().filter_map(|run| self.having.get(run)).flatten().for_each(|place| counts[*place] += 1);
        let (with, runs) = counts.into_iter().enumerate().filter(|(_, runs)| *runs > 0).unzip();
        Shared { with, runs }
    }
}

impl Shared {
    /// How many runs are shared with this one.
    pub(super) fn count(&self, place: usize) -> usize {
        self.with.binary_search(&place).map_or(0, |at| self.runs[at])
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
