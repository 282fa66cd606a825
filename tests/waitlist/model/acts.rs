//! What happens in a schedule: something that somebody does, the post, or time.

use std::fmt;

use proptest::prelude::*;
use tidings::waitlist::states::{AfterExpiry, Mode};

pub(super) const PEOPLE: usize = 7;

#[derive(Clone, PartialEq)]
pub(super) enum Act {
    Join(usize),
    Confirm(usize),
    Accept(usize),
    Decline(usize),
    GiveBack(usize),
    Withdraw(usize),
    Revoke(usize),
    Give(usize),
    Remove(usize),
    Readmit(usize),
    Prioritise(usize, i16),
    Suppress(usize),
    Lift(usize),
    Erase(usize),
    Post(Post),
    Seats(i32),
    CloseOpening,
    CloseProgram,
    Open(Opens),
    /// The program's rule after a missed offer.
    Rule(AfterExpiry),
    /// The enrolment ends in so many hours; or it has no end.
    Enrolment(Option<i64>),
    /// Whoever has not confirmed is forgotten.
    Forget,
    Wait(i64),
    Advance,
}

/// Due mails are handed over; what comes of the offer to one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Post {
    Goes,
    Bounces(usize),
    Refused(usize),
    Deferred(usize),
    Unanswered(usize),
}

/// An opening; its times in minutes and hours from now.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Opens {
    pub(super) seats: i32,
    pub(super) mode: Mode,
    pub(super) in_minutes: i64,
    pub(super) for_hours: Option<i64>,
    pub(super) rule: Option<AfterExpiry>,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Join(p) => write!(f, "person {p} joins"),
            Act::Confirm(p) => write!(f, "person {p} confirms"),
            Act::Accept(p) => write!(f, "person {p} accepts"),
            Act::Decline(p) => write!(f, "person {p} declines"),
            Act::GiveBack(p) => write!(f, "person {p} gives her seat back"),
            Act::Withdraw(p) => write!(f, "person {p} withdraws"),
            Act::Revoke(p) => write!(f, "the offer of person {p} is revoked"),
            Act::Give(p) => write!(f, "person {p} is given an offer by hand"),
            Act::Remove(p) => write!(f, "person {p} is removed"),
            Act::Readmit(p) => write!(f, "person {p} is readmitted"),
            Act::Prioritise(p, priority) => write!(f, "person {p} gets priority {priority}"),
            Act::Suppress(p) => write!(f, "person {p} is suppressed"),
            Act::Lift(p) => write!(f, "what stands against person {p} is lifted"),
            Act::Erase(p) => write!(f, "person {p} is erased"),
            Act::Post(Post::Goes) => write!(f, "the post goes"),
            Act::Post(Post::Bounces(p)) => write!(f, "the post goes, and the offer to person {p} bounces"),
            Act::Post(Post::Refused(p)) => write!(f, "the post goes, and the offer to person {p} is refused for what it is"),
            Act::Post(Post::Deferred(p)) => write!(f, "the post goes, and the offer to person {p} is to be tried again"),
            Act::Post(Post::Unanswered(p)) => write!(f, "the post goes, and no answer comes for the offer to person {p}"),
            Act::Seats(by) => write!(f, "{by:+} seats"),
            Act::CloseOpening => write!(f, "the opening is closed"),
            Act::CloseProgram => write!(f, "the program is closed"),
            Act::Open(opens) => write!(f, "{opens:?}"),
            Act::Rule(rule) => write!(f, "after a missed offer from now on: {rule}"),
            Act::Enrolment(None) => write!(f, "the enrolment has no end"),
            Act::Enrolment(Some(hours)) => write!(f, "the enrolment ends in {hours} hours"),
            Act::Forget => write!(f, "whoever has not confirmed is forgotten"),
            Act::Wait(minutes) => write!(f, "the clock goes {minutes:+} minutes"),
            Act::Advance => write!(f, "a worker looks"),
        }
    }
}

impl fmt::Debug for Opens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an opening ({}) of {} seats", self.mode, self.seats)?;
        if self.in_minutes > 0 {
            write!(f, ", in {} minutes", self.in_minutes)?;
        }
        if let Some(hours) = self.for_hours {
            write!(f, ", for {hours} hours")?;
        }
        self.rule.map_or(Ok(()), |rule| write!(f, ", after a missed offer: {rule}"))
    }
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    let who = 0..PEOPLE;
    let people = prop_oneof![
        8 => who.clone().prop_map(Act::Join),
        8 => who.clone().prop_map(Act::Confirm),
        9 => who.clone().prop_map(Act::Accept),
        5 => who.clone().prop_map(Act::Decline),
        2 => who.clone().prop_map(Act::GiveBack),
        3 => who.clone().prop_map(Act::Withdraw),
        4 => who.clone().prop_map(Act::Suppress),
        3 => who.clone().prop_map(Act::Lift),
        2 => who.clone().prop_map(Act::Erase),
    ];
    let operator = prop_oneof![
        3 => who.clone().prop_map(Act::Revoke),
        3 => who.clone().prop_map(Act::Give),
        1 => who.clone().prop_map(Act::Remove),
        2 => who.clone().prop_map(Act::Readmit),
        3 => (who.clone(), -1i16..3).prop_map(|(p, priority)| Act::Prioritise(p, priority)),
        4 => (-2i32..4).prop_map(Act::Seats),
        1 => Just(Act::CloseOpening),
        2 => opens().prop_map(Act::Open),
        1 => policy().prop_map(Act::Rule),
        2 => prop_oneof![2 => Just(None), 1 => (-3i64..1).prop_map(Some), 4 => (1i64..80).prop_map(Some)].prop_map(Act::Enrolment),
    ];
    let post = prop_oneof![
        8 => Just(Post::Goes),
        2 => who.clone().prop_map(Post::Bounces),
        3 => who.clone().prop_map(Post::Refused),
        2 => who.clone().prop_map(Post::Deferred),
        2 => who.prop_map(Post::Unanswered),
    ];
    let time = prop_oneof![Just(0i64), 1i64..120, Just(24 * 60), Just(48 * 60), 1i64..4_000, -300i64..0];
    prop_oneof![
        400 => people,
        200 => operator,
        130 => post.prop_map(Act::Post),
        110 => time.prop_map(Act::Wait),
        150 => Just(Act::Advance),
        5 => Just(Act::Forget),
        2 => Just(Act::CloseProgram),
    ]
}

pub(super) fn policy() -> impl Strategy<Value = AfterExpiry> {
    prop_oneof![Just(AfterExpiry::Back), Just(AfterExpiry::Keep), Just(AfterExpiry::Out(2))]
}

pub(super) fn opens() -> impl Strategy<Value = Opens> {
    let mode = prop_oneof![7 => Just(Mode::Offers), 3 => Just(Mode::LastCall), 1 => Just(Mode::NotifyAll)];
    let when = prop_oneof![3 => Just(0i64), 1 => 1i64..600];
    let how_long = prop_oneof![2 => Just(None), 1 => (30i64..200).prop_map(Some)];
    (0i32..5, mode, when, how_long, prop_oneof![3 => Just(None), 1 => policy().prop_map(Some)])
        .prop_map(|(seats, mode, in_minutes, for_hours, rule)| Opens { seats, mode, in_minutes, for_hours, rule })
}
