//! What time and the post end in the model, and what follows for those who had an offer, for the line and for the opening.

use std::cmp::Reverse;

use tidings::waitlist::states::{AfterExpiry, Mode};

use super::super::things::{Follows, Is, Offer, Over, Stage, Stands};
use super::{HOUR, Model};

impl Model {
    pub(super) fn end_of(&self, opening: usize) -> i64 {
        self.openings[opening].ends.min(self.enrolment_ends)
    }

    pub(super) fn lapses(&self, index: usize) -> i64 {
        let offer = &self.offers[index];
        offer.handed_over.map_or(offer.offered + 24 * HOUR, |at| at + 48 * HOUR).min(self.end_of(offer.opening))
    }

    /// What an open offer is when it is over, and since when.
    fn over(&self, index: usize) -> Option<(i64, Over)> {
        let offer = &self.offers[index];
        let lapses = self.lapses(index);
        // No relay ever took it, as far as is known.
        let unsent = !offer.mail.repeated && matches!(offer.mail.stage, Stage::Queued | Stage::Deferred | Stage::Skipped);
        match offer.mail.stage {
            _ if offer.is != Is::Open => None,
            _ if self.suppressed[self.entries[offer.entry].person] => Some((i64::MIN, Over::Suppressed)),
            Stage::Failed(_, true) => Some((i64::MIN, Over::NoAddress)),
            Stage::Failed(code, _) if !offer.mail.repeated || code >= 500 => Some((i64::MIN, Over::NotSent)),
            _ if lapses > self.now => None,
            _ if offer.handed_over.is_none() || unsent => Some((lapses, Over::NotSent)),
            _ => Some((lapses, Over::Missed)),
        }
    }

    /// What time and the post have ended.
    pub(super) fn settle(&mut self) {
        let mut over: Vec<_> = (0..self.offers.len()).filter_map(|index| self.over(index).map(|(at, how)| (at, index, how))).collect();
        over.sort_by_key(|(at, index, _)| (*at, *index));
        let mut last = i64::MIN;
        for (at, index, how) in over {
            self.is_over(at, index, how, &mut last);
        }
        self.readmit();
        for index in 0..self.openings.len() {
            let over = self.end_of(index) <= self.now;
            let opening = &mut self.openings[index];
            opening.closed |= over;
            opening.begun |= opening.begins <= self.now;
        }
    }

    /// Her own offer alone, unless she goes to the back of the line.
    pub(super) fn settle_own(&mut self, person: usize) {
        let Some(index) = self.open_offer(person) else { return };
        let Some((at, how)) = self.over(index) else { return };
        match how {
            Over::Missed if self.follows(index) == Follows::Back => self.settle(),
            _ => self.is_over(at, index, how, &mut 0),
        }
    }

    fn follows(&self, index: usize) -> Follows {
        let Offer { entry, opening, .. } = self.offers[index];
        let opening = &self.openings[opening];
        match opening.rule.unwrap_or(self.rule) {
            _ if opening.mode == Mode::LastCall => Follows::Nothing,
            AfterExpiry::Keep => Follows::Keep,
            AfterExpiry::Out(most) if self.entries[entry].misses + 1 >= most => Follows::Out,
            _ => Follows::Back,
        }
    }

    // The line ends with who went there last.
    fn is_over(&mut self, at: i64, index: usize, how: Over, last: &mut i64) {
        let follows = self.follows(index);
        match how {
            Over::Suppressed => self.end(index, Is::Revoked, "suppressed", Stands::Waiting, None),
            Over::NoAddress => self.end(index, Is::Revoked, "undeliverable", Stands::Waiting, Some("undeliverable")),
            Over::NotSent => self.end(index, Is::Revoked, "undeliverable", Stands::Waiting, Some("not sent")),
            Over::Missed if follows == Follows::Out => self.end(index, Is::Expired, "-", Stands::Removed, None),
            Over::Missed => self.end(index, Is::Expired, "-", Stands::Waiting, None),
        }
        let entry = &mut self.entries[self.offers[index].entry];
        if how != Over::Missed || follows == Follows::Nothing {
            return;
        }
        entry.misses += 1;
        if follows == Follows::Back {
            *last = (*last).max(at) + 1;
            (entry.since, entry.priority) = (*last, entry.priority.min(0));
        }
        self.offers[index].mails.push("expired");
    }

    fn taken_after(&self, opening: usize, since: i64) -> Option<i64> {
        let taken = |o: &&Offer| match o.mail.stage {
            Stage::Sent | Stage::Unconfirmed => true,
            Stage::Queued | Stage::Deferred => o.mail.repeated,
            _ => false,
        };
        let offers = self.offers.iter().filter(|o| o.opening == opening && o.closed.is_none_or(|at| at > since));
        offers.filter(taken).filter_map(|o| o.handed_over).filter(|at| *at > since).max()
    }

    /// Whose mail did not leave has her turn again once another of that opening did; not after three.
    fn readmit(&mut self) {
        let unsent = |e: usize, opening: usize| {
            self.offers
                .iter()
                .filter(|o| o.entry == e && o.opening == opening && o.is == Is::Revoked && o.reason == "undeliverable")
                .count()
        };
        let mut barred = Vec::new();
        for (e, entry) in self.entries.iter().enumerate() {
            if let Some(("not sent", at, opening)) = entry.bar
                && self.openings[opening].begun
                && !self.openings[opening].closed
                && unsent(e, opening) < 3
            {
                barred.push((e, at, opening));
            }
        }
        for (e, at, opening) in &barred {
            let since = barred.iter().filter(|(_, _, other)| other == opening).map(|(_, at, _)| *at).min().expect("herself");
            if self.taken_after(*opening, since).is_some_and(|taken| taken > *at) {
                self.entries[*e].bar = None;
            }
        }
    }

    /// Until when an opening offers nothing, if its last ten offers were not sent and none was since.
    pub(super) fn halted_until(&self, opening: usize) -> Option<i64> {
        let mut ended: Vec<_> = self.offers.iter().enumerate().filter(|(_, o)| o.opening == opening && o.closed.is_some()).collect();
        ended.sort_by_key(|(index, o)| (Reverse(o.closed), Reverse(*index)));
        ended.truncate(10);
        let unsent = ended.iter().all(|(_, o)| o.is == Is::Revoked && o.reason == "undeliverable");
        let first = ended.last().filter(|_| ended.len() == 10 && unsent)?.1.closed?;
        if self.taken_after(opening, first - 1).is_some() {
            return None;
        }
        let offered = self.offers.iter().filter(|o| o.opening == opening).map(|o| o.offered).max()?;
        Some(offered.max(ended[0].1.closed?) + HOUR)
    }

    /// After the end of the enrolment was moved: what it cuts off is closed, and the others' mails know it.
    pub(super) fn end_anew(&mut self) {
        for opening in (0..self.openings.len()).filter(|o| self.end_of(*o) <= self.now).collect::<Vec<_>>() {
            self.close(opening, "its end was brought forward");
        }
        for index in 0..self.offers.len() {
            let end = self.end_of(self.offers[index].opening);
            let offer = &mut self.offers[index];
            if offer.is == Is::Open && matches!(offer.mail.stage, Stage::Queued | Stage::Deferred) {
                offer.mail.worth_until = end.min(offer.offered + 24 * HOUR);
            }
        }
    }
}
