//! What the model's waitlist is made of, and how each thing is told, to be compared with what stands in Postgres.

use tidings::waitlist::states::{AfterExpiry, Mode};

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stands {
    Unconfirmed,
    Waiting,
    Offered,
    Seated,
    Withdrawn,
    Removed,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Is {
    Open,
    Accepted,
    Declined,
    Expired,
    Revoked,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stage {
    Queued,
    Deferred,
    Sent,
    /// With the code of the last reply, and whether it was about the address.
    Failed(u16, bool),
    Skipped,
    Unconfirmed,
    Cancelled,
}

/// The mail of an offer.
#[derive(Clone)]
pub(super) struct Mail {
    pub(super) stage: Stage,
    pub(super) ready: i64,
    pub(super) worth_until: i64,
    pub(super) tried: bool,
    pub(super) code: u16,
    pub(super) repeated: bool,
}

/// How an offer is over.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Over {
    Suppressed,
    NoAddress,
    NotSent,
    Missed,
}

/// What follows a missed one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Follows {
    Nothing,
    Keep,
    Out,
    Back,
}

/// Why nothing is offered to somebody: the word, since when, in which opening.
pub(super) type Bar = Option<(&'static str, i64, usize)>;

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) person: usize,
    pub(super) stands: Stands,
    pub(super) priority: i16,
    pub(super) asked: i64,
    pub(super) since: i64,
    pub(super) misses: i16,
    pub(super) bar: Bar,
}

#[derive(Clone)]
pub(super) struct Offer {
    pub(super) entry: usize,
    pub(super) opening: usize,
    pub(super) is: Is,
    pub(super) reason: &'static str,
    pub(super) given_back: bool,
    pub(super) offered: i64,
    pub(super) closed: Option<i64>,
    pub(super) handed_over: Option<i64>,
    pub(super) mail: Mail,
    /// The kinds of its mails.
    pub(super) mails: Vec<&'static str>,
    pub(super) rank: usize,
    pub(super) passed_over: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Opening {
    pub(super) seats: i32,
    pub(super) mode: Mode,
    pub(super) begins: i64,
    pub(super) ends: i64,
    pub(super) rule: Option<AfterExpiry>,
    pub(super) begun: bool,
    pub(super) closed: bool,
    pub(super) reduced: bool,
}

impl Entry {
    pub(super) fn line(&self) -> String {
        let stands = format!("{:?}", self.stands).to_lowercase();
        let bar = self.bar.map_or("free", |(why, ..)| why);
        let Entry { person, priority, since, misses, .. } = self;
        format!("entry of {person}: {stands}, priority {priority}, since {since}, misses {misses}, {bar}")
    }
}

impl Offer {
    pub(super) fn line(&self, to: usize) -> String {
        let back = if self.given_back { " and given back" } else { "" };
        let is = format!("{:?}", self.is).to_lowercase();
        let mail = match self.mail.stage {
            Stage::Failed(..) => "failed".to_owned(),
            stage => format!("{stage:?}").to_lowercase(),
        };
        let mut mails = self.mails.clone();
        mails.sort_unstable();
        let passed = format!("passed over {}: {}", self.passed_over.len(), self.passed_over.join(", "));
        let Offer { opening, reason, rank, .. } = self;
        format!("offer to {to} in {}: {is}{back}, {reason}, rank {rank}, mail {mail} ({}), {passed}", opening + 1, mails.join(" "))
    }
}
