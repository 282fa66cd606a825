//! What one worker holds of a pace: permits until they run out, slots to name, hand-overs under way, and what it heard.
//!
//! Pure memory, behind the lock of [`super::Pace`].

use super::{
    reserve::{Grant, Wish},
    terms::day_of,
    trouble::{Answers, LastMinute},
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Who finds no slot to be told comes again after this time.
const SOON: SignedDuration = SignedDuration::from_secs(1);
/// Nobody comes again sooner: the feeder looks once a second.
const SOONEST: SignedDuration = SignedDuration::from_millis(200);
/// What was not asked for in this time is given back.
const IDLE: SignedDuration = SignedDuration::from_secs(2);

/// A worker's part of a pace.
#[derive(Debug, Default)]
pub(super) struct Local {
    left: u64,
    until: Timestamp,
    of: Date,
    slots: VecDeque<Timestamp>,
    gone: u64,
    /// Hand-overs that this worker may have under way.
    pub(super) held: u32,
    under_way: Arc<AtomicU32>,
    asked_at: Timestamp,
    heard_at: Timestamp,
    answers: Answers,
    minute: LastMinute,
}

/// A hand-over under way; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Local {
    /// Permits that are worth something at `now`.
    pub(super) fn left(&self, now: Timestamp) -> u64 {
        if now < self.until { self.left } else { 0 }
    }

    /// Hand-overs under way.
    pub(super) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Acquire)
    }

    /// Whether there is a permit, and with `connections` a place for one more hand-over.
    pub(super) fn has_room(&self, permits: bool, connections: bool, now: Timestamp) -> bool {
        (!permits || self.left(now) > 0) && (!connections || self.under_way() < self.held)
    }

    /// Takes a permit; if there is none, the mail goes all the same and is accounted for later.
    pub(super) fn take(&mut self, now: Timestamp) {
        match self.left(now) {
            0 => self.gone += 1,
            left => self.left = left - 1,
        }
    }

    /// Begins a hand-over.
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.under_way.clone())
    }

    /// When a mail that finds no room may come again.
    pub(super) fn next_slot(&mut self, now: Timestamp) -> Timestamp {
        let slot = self.slots.pop_front().unwrap_or(now + SOON);
        slot.max(now + SOONEST)
    }

    /// Hears an answer; if too many of the last ones put mails off, how many of how many.
    pub(super) fn hear(&mut self, code: u16, now: Timestamp) -> Option<(u32, u32)> {
        self.heard_at = now;
        self.minute.count(now);
        self.answers.take(code)
    }

    /// Mails a day, at the speed of the last minute.
    pub(super) fn seen(&mut self, now: Timestamp) -> u64 {
        self.minute.per_day(now)
    }

    /// What is to be asked for, for so many mails.
    pub(super) fn wish(&mut self, mails: u64, now: Timestamp) -> Wish {
        self.asked_at = now;
        Wish { mails: mails.saturating_sub(self.left(now)), turned_away: 0, gone: std::mem::take(&mut self.gone), back: self.run_out(now) }
    }

    /// What is to be given back, if nothing was asked for lately; `all`: in any case.
    pub(super) fn give_back(&mut self, all: bool, now: Timestamp) -> Option<Wish> {
        if !all && now.duration_since(self.asked_at) < IDLE {
            return None;
        }
        let back = (self.left > 0).then_some((self.of, self.left));
        self.left = 0;
        let gone = std::mem::take(&mut self.gone);
        let too_many = self.held > self.under_way();
        (back.is_some() || gone > 0 || too_many).then_some(Wish { back, gone, ..Wish::default() })
    }

    /// Whether it may be forgotten.
    pub(super) fn is_idle(&self, since: Timestamp) -> bool {
        self.asked_at.max(self.heard_at) < since && self.under_way() == 0 && self.held == 0 && self.left == 0 && self.gone == 0
    }

    /// Notes what was granted; `now` and `at` are one instant on this host's clock and on the one that granted.
    pub(super) fn note(&mut self, grant: Grant, now: Timestamp, at: Timestamp) {
        let here = |there: Timestamp| now.saturating_add(there.duration_since(at)).unwrap_or(Timestamp::MAX);
        self.left = self.left(now) + grant.mails;
        // What is left of before ends no later than what is new.
        (self.until, self.of) = (here(grant.until), day_of(at));
        self.slots = grant.slots.into_iter().map(here).collect();
    }

    /// What was granted could not be learned.
    pub(super) fn doubt(&mut self, wish: &Wish) {
        self.gone += wish.gone;
    }

    // Permits whose time is over, which count against the day still.
    fn run_out(&mut self, now: Timestamp) -> Option<(Date, u64)> {
        let over = self.left > 0 && now >= self.until;
        over.then(|| (self.of, std::mem::take(&mut self.left)))
    }
}
