//! How like two texts are: the runs of five words that they share.
//!
//! Pure. Case, punctuation, mark-up and citation marks do not count.

use crate::content::{citations, words};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words in a run.
const RUN: usize = 5;

/// The runs of a text, each once, as sorted hashes.
#[derive(Debug, Clone)]
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

    /// What both share of what either has, from 0 to 1.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        let shared = self.shared(other);
        part(shared, self.0.len() + other.0.len() - shared)
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

fn hash(run: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish()
}

fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}
