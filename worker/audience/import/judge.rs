//! What a row would change about the person whom it names: pure, the same for the preview and for the import itself.
//!
//! Whoever left or is suppressed is left alone; what is known is kept, what is not is filled in. Several rows about one person are
//! judged one after the other, each against what the earlier ones made of her.

use super::Options;
use crate::audience::subscriber::NewSubscriber;
use crate::base::address::EmailAddress;
use jiff::civil::Date;
use serde::Serialize;

/// How a person stands with the topic of the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Unconfirmed,
    Confirmed,
}

impl Standing {
    /// As the database has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Confirmed => "confirmed",
        }
    }

    /// What an import makes of the people in it; none: it has no topic.
    pub(super) fn aimed_at(options: &Options<'_>) -> Option<Self> {
        options.topic.map(|_| if options.because.is_some() { Self::Confirmed } else { Self::Unconfirmed })
    }
}

/// What is known of an address.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether it is a subscriber's.
    pub(super) exists: bool,
    /// How she is called.
    pub(super) name: Option<String>,
    /// Her time zone.
    pub(super) zone: Option<String>,
    /// The date that stage windows are counted from.
    pub(super) stage_date: Option<Date>,
    /// How she stands with the topic.
    pub(super) standing: Option<Standing>,
    /// Why nothing about her may change.
    pub(super) against: Option<String>,
}

/// A person of a batch: as she was found, and as the rows about her have made her so far.
#[derive(Debug)]
pub(super) struct Entry {
    /// Her id, if she was a subscriber.
    pub(super) id: Option<i64>,
    /// Her address in the spelling of the first row.
    pub(super) address: EmailAddress,
    /// As she was found.
    pub(super) before: Known,
    /// As she is to be.
    pub(super) now: Known,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    New,
    Changed,
    Unchanged,
    LeftAlone(String),
}

/// Something that a row changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: name, zone, stage_date or subscription.
    pub what: &'static str,
    /// What was known before.
    pub before: Option<String>,
    /// What is known then.
    pub after: String,
}

/// A row's outcome, with what it changes.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) differences: Vec<Difference>,
    /// The row says something else than is known.
    pub(super) kept: bool,
}

/// Judges a row, and makes of `known` what she is after it.
pub(super) fn judge(person: &NewSubscriber, known: &mut Known, aim: Option<Standing>) -> Judged {
    if let Some(reason) = &known.against {
        return Judged { outcome: Outcome::LeftAlone(reason.clone()), differences: Vec::new(), kept: false };
    }
    let (mut differences, mut kept) = (Vec::new(), false);
    kept |= fill("name", &mut known.name, person.name.as_ref(), &mut differences);
    kept |= fill("zone", &mut known.zone, person.zone.as_ref(), &mut differences);
    kept |= fill("stage_date", &mut known.stage_date, person.stage_date.as_ref(), &mut differences);
    if let Some(aim) = aim.filter(|aim| known.standing.is_none_or(|now| now == Standing::Unconfirmed && *aim == Standing::Confirmed)) {
        let before = known.standing.replace(aim).map(|before| before.as_str().to_owned());
        differences.push(Difference { what: "subscription", before, after: aim.as_str().to_owned() });
    }
    let outcome = match (std::mem::replace(&mut known.exists, true), differences.is_empty()) {
        (false, _) => Outcome::New,
        (true, true) => Outcome::Unchanged,
        (true, false) => Outcome::Changed,
    };
    Judged { outcome, differences, kept }
}

// True when something else is known already.
fn fill<T: Clone + PartialEq + ToString>(
    what: &'static str,
    known: &mut Option<T>,
    given: Option<&T>,
    differences: &mut Vec<Difference>,
) -> bool {
    match (&known, given) {
        (None, Some(given)) => {
            differences.push(Difference { what, before: None, after: given.to_string() });
            *known = Some(given.clone());
            false
        }
        (Some(known), Some(given)) => known != given,
        (_, None) => false,
    }
}

impl Entry {
    /// Whether she is a subscriber because of this batch.
    pub(super) fn is_new(&self) -> bool {
        self.now.exists && !self.before.exists
    }

    /// Whether her standing with the topic is another now.
    pub(super) fn stands_anew(&self) -> bool {
        self.now.standing != self.before.standing
    }

    /// The particulars that were not known before, with their values.
    pub(super) fn filled(&self) -> Vec<(&'static str, String)> {
        let mut filled = Vec::new();
        let mut look = |what, before: bool, now: Option<String>| {
            if let Some(now) = now.filter(|_| !before) {
                filled.push((what, now));
            }
        };
        look("name", self.before.name.is_some(), self.now.name.clone());
        look("zone", self.before.zone.is_some(), self.now.zone.clone());
        look("stage_date", self.before.stage_date.is_some(), self.now.stage_date.map(|date| date.to_string()));
        filled
    }

    /// All that is known of her now.
    pub(super) fn person(&self) -> NewSubscriber {
        let Known { name, zone, stage_date, .. } = &self.now;
        NewSubscriber { address: self.address.clone(), name: name.clone(), zone: zone.clone(), stage_date: *stage_date }
    }
}
