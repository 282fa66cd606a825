//! Who is next in the model, who is passed over and why, and what an offer begins with.

use std::cmp::Reverse;

use tidings::waitlist::states::{AfterExpiry, Mode};

use super::super::things::{Is, Mail, Offer, Stage, Stands};
use super::{HOUR, Model};

impl Model {
    fn order(&self, e: usize) -> (Reverse<i16>, i64, usize) {
        (Reverse(self.entries[e].priority), self.entries[e].since, e)
    }

    pub(super) fn rank(&self, e: usize) -> usize {
        let before = |other: &usize| self.entries[*other].stands == Stands::Waiting && self.order(*other) < self.order(e);
        (0..self.entries.len()).filter(before).count() + 1
    }

    /// Why somebody in the line is passed over in an opening.
    fn against(&self, e: usize, opening: usize) -> Option<&'static str> {
        let entry = &self.entries[e];
        let had = |is: Option<Is>| self.offers.iter().any(|o| o.entry == e && o.opening == opening && is.is_none_or(|is| o.is == is));
        let keep = self.openings[opening].rule.unwrap_or(self.rule) == AfterExpiry::Keep;
        match entry.bar {
            _ if entry.stands == Stands::Unconfirmed => Some("unconfirmed"),
            _ if self.suppressed[entry.person] => Some("suppressed: manual"),
            Some(("revoked", ..)) => Some("an operator revoked her offer"),
            Some(("not sent", _, inside)) if inside == opening => Some("her offer in this opening was not sent"),
            Some(("undeliverable", at, _)) if self.lifted[entry.person].is_none_or(|lifted| lifted < at) => {
                Some("her offer could not be delivered")
            }
            _ if keep && had(Some(Is::Expired)) => Some("let her offer in this opening run out"),
            _ if self.openings[opening].mode == Mode::LastCall && had(None) => Some("had this last call already"),
            _ => None,
        }
    }

    fn line(&self) -> Vec<usize> {
        let mut line: Vec<usize> =
            (0..self.entries.len()).filter(|e| matches!(self.entries[*e].stands, Stands::Unconfirmed | Stands::Waiting)).collect();
        line.sort_by_key(|e| self.order(*e));
        line
    }

    pub(super) fn taken(&self, opening: usize) -> i32 {
        let holds = self.openings[opening].mode == Mode::Offers;
        let takes = |o: &&Offer| o.opening == opening && (o.is == Is::Open && holds || o.is == Is::Accepted && !o.given_back);
        self.offers.iter().filter(takes).count() as i32
    }

    pub(super) fn free(&self, opening: usize) -> usize {
        let open = &self.openings[opening];
        if open.closed || !open.begun || open.mode == Mode::NotifyAll {
            return 0;
        }
        match (open.seats - self.taken(opening)).max(0) as usize {
            free if free > 0 && open.mode == Mode::LastCall => usize::MAX,
            free => free,
        }
    }

    pub(super) fn give(&mut self) {
        for opening in 0..self.openings.len() {
            let mut chosen = Vec::new();
            let mut passed = Vec::new();
            for e in self.line() {
                match self.against(e, opening) {
                    Some(why) => passed.push(format!("{} {why}", self.entries[e].person)),
                    None => chosen.push((e, self.rank(e), passed.clone())),
                }
            }
            let seats = match self.halted_until(opening) {
                Some(until) => self.free(opening).min(usize::from(until <= self.now)),
                None => self.free(opening),
            };
            for (entry, rank, passed) in chosen.into_iter().take(seats) {
                self.offer(entry, opening, rank, passed);
            }
        }
        self.remind();
    }

    fn remind(&mut self) {
        for index in 0..self.offers.len() {
            let end = self.end_of(self.offers[index].opening);
            let offer = &mut self.offers[index];
            let Some(handed_over) = offer.handed_over.filter(|_| offer.is == Is::Open) else { continue };
            let ends = (handed_over + 48 * HOUR).min(end);
            // Settled, or given in this very act.
            let came_back = matches!(offer.mail.stage, Stage::Failed(code, _) if !offer.mail.repeated || code >= 500);
            if !came_back && ends > self.now && ends - 12 * HOUR > handed_over && !offer.mails.contains(&"offer_reminder") {
                offer.mails.push("offer_reminder");
            }
        }
    }

    fn offer(&mut self, entry: usize, opening: usize, rank: usize, passed_over: Vec<String>) {
        let offered = self.now;
        let worth_until = self.end_of(opening).min(offered + 24 * HOUR);
        self.offers.push(Offer {
            entry,
            opening,
            is: Is::Open,
            reason: "-",
            given_back: false,
            offered,
            closed: None,
            handed_over: None,
            mail: Mail { stage: Stage::Queued, ready: offered, worth_until, tried: false, code: 0, repeated: false },
            mails: vec!["offer"],
            rank,
            passed_over,
        });
        self.entries[entry].stands = Stands::Offered;
        self.entries[entry].bar = None;
    }

    pub(super) fn give_by_hand(&mut self, person: usize) -> Option<()> {
        let entry = self.latest(person)?;
        self.settle();
        let opening = self.openings.len() - 1;
        let waits = self.entries[entry].stands == Stands::Waiting && !self.suppressed[person];
        (waits && self.free(opening) > 0).then_some(())?;
        let before = self.line().into_iter().take_while(|e| *e != entry);
        let why = |e: usize| self.against(e, opening).unwrap_or("an operator gave this offer by hand");
        let passed = before.map(|e| format!("{} {}", self.entries[e].person, why(e))).collect();
        self.offer(entry, opening, self.rank(entry), passed);
        Some(())
    }
}
