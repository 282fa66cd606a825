//! Makes many mails, each as it would be handed over but unsigned, and looks at every one of them, on all cores.
//!
//! Owns the tally of what is found: by kind how many recipients, and up to three examples. What mails share is read and made ready
//! first; then no thread needs the database. Called with portions of a bounded size.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context as _;

use super::kind::Kind;
use crate::delivery::ledger::claim::Claimed;
use crate::delivery::pump::letter::{LetterError, Letters, Shared};
use crate::delivery::render::check;

/// So many examples are kept of each kind.
const EXAMPLES: usize = 3;
/// An example's sentence is cut after so many characters.
const LONGEST: usize = 300;

/// What was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Mails that were looked at.
    pub(super) checked: i64,
    /// What was found in them.
    pub(super) found: BTreeMap<Kind, Found>,
}

/// What was found of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// In how many mails.
    pub(super) recipients: i64,
    /// The first of them.
    pub(super) examples: Vec<Example>,
}

/// One mail in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Example {
    pub(super) subscriber_id: Option<i64>,
    pub(super) tip_revision_id: Option<i64>,
    /// What is wrong in it.
    pub(super) says: String,
}

impl Tally {
    /// Adds a finding about the edition as a whole.
    pub(super) fn of_edition(&mut self, kind: Kind) {
        self.found.entry(kind).or_default();
    }

    /// Adds what was found elsewhere, after this.
    pub(super) fn add(&mut self, other: Tally) {
        self.checked += other.checked;
        for (kind, found) in other.found {
            let mine = self.found.entry(kind).or_default();
            mine.recipients += found.recipients;
            found.examples.into_iter().for_each(|example| mine.keep(example));
        }
    }

    // A mail counts once for each kind, however often it is at fault.
    fn note(&mut self, mail: &Claimed, faults: Vec<(Kind, String)>) {
        self.checked += 1;
        let mut kinds = Vec::new();
        for (kind, says) in faults {
            if kinds.contains(&kind) {
                continue;
            }
            kinds.push(kind);
            let found = self.found.entry(kind).or_default();
            found.recipients += 1;
            let says = says.chars().take(LONGEST).collect();
            found.keep(Example { subscriber_id: mail.subscriber_id, tip_revision_id: mail.tip_revision_id, says });
        }
    }
}

impl Found {
    fn keep(&mut self, example: Example) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }
}

/// Makes and looks at every one of `mails`, which are of one edition; an error only when the database fails.
pub(super) async fn inspect(letters: &Arc<Letters>, mails: Vec<Claimed>) -> anyhow::Result<Tally> {
    let threads = available_parallelism().map_or(1, usize::from).min(mails.len().max(1));
    let mut ready = Vec::with_capacity(mails.len());
    let mut unusable = None;
    for mail in mails {
        let shared = match shared(letters, &mail, &unusable).await {
            Ok(shared) => Ok(shared),
            Err(LetterError::Unmakeable(error)) => Err((Kind::of_error(&error), error.to_string())),
            Err(LetterError::Database(error)) => return Err(error.into()),
            Err(LetterError::Templates(why)) => Err((Kind::Templates, unusable.insert(why).clone())),
        };
        ready.push((mail, shared));
    }
    let share = ready.len().div_ceil(threads);
    let mut looking = Vec::new();
    while !ready.is_empty() {
        let part: Vec<Ready> = ready.drain(..share.min(ready.len())).collect();
        let letters = letters.clone();
        looking.push(tokio::task::spawn_blocking(move || look_at_all(&letters, &part)));
    }
    let mut tally = Tally::default();
    for part in looking {
        tally.add(part.await.context("a thread of the pre-flight failed")?);
    }
    Ok(tally)
}

// One version for all of them: what cannot be used is not asked for again.
async fn shared(letters: &Letters, mail: &Claimed, unusable: &Option<String>) -> Result<Shared, LetterError> {
    match unusable {
        Some(why) => Err(LetterError::Templates(why.clone())),
        None => letters.shared(mail).await,
    }
}

type Ready = (Claimed, Result<Shared, (Kind, String)>);

fn look_at_all(letters: &Letters, mails: &[Ready]) -> Tally {
    let mut tally = Tally::default();
    for (mail, shared) in mails {
        let faults = match shared {
            Ok(shared) => catch_unwind(AssertUnwindSafe(|| look_at(letters, mail, shared)))
                .unwrap_or_else(|_| vec![(Kind::Unmakeable, "the check of this mail panicked".to_owned())]),
            Err(fault) => vec![fault.clone()],
        };
        tally.note(mail, faults);
    }
    tally
}

fn look_at(letters: &Letters, mail: &Claimed, shared: &Shared) -> Vec<(Kind, String)> {
    match letters.draft(mail, shared) {
        Ok(draft) => {
            let faults = check::faults(&draft.rendered, &draft.wanted());
            let lost = shared.lost_links().iter().map(|url| check::Fault::of_link(url));
            lost.chain(faults).map(|fault| (Kind::Mail(fault.kind), fault.says)).collect()
        }
        // The outermost words alone: what lies beneath may quote her address.
        Err(error) => vec![(Kind::of_error(&error), error.to_string())],
    }
}
