//! The waitlist in memory, as the rules say it: no lock, no SQL, one list for each thing.

mod ending;
mod giving;

use jiff::Timestamp;
use tidings::waitlist::states::{AfterExpiry, Mode};

use super::acts::{Act, Opens, PEOPLE, Post};
use super::things::{Entry, Is, Offer, Opening, Stage, Stands};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const NEVER: i64 = i64::MAX;

#[derive(Clone)]
pub(super) struct Model {
    now: i64,
    rule: AfterExpiry,
    enrolment_ends: i64,
    closed: bool,
    entries: Vec<Entry>,
    offers: Vec<Offer>,
    openings: Vec<Opening>,
    suppressed: [bool; PEOPLE],
    lifted: [Option<i64>; PEOPLE],
    erased: [bool; PEOPLE],
}

impl Model {
    pub(super) fn new(now: Timestamp, rule: AfterExpiry) -> Model {
        Model {
            now: now.as_microsecond(),
            rule,
            enrolment_ends: NEVER,
            closed: false,
            entries: Vec::new(),
            offers: Vec::new(),
            openings: Vec::new(),
            suppressed: [false; PEOPLE],
            lifted: [None; PEOPLE],
            erased: [false; PEOPLE],
        }
    }

    pub(super) fn act(&mut self, act: &Act) {
        let before = self.clone();
        // An act that is refused takes back what was settled on its way.
        if self.does(act).is_none() {
            *self = before;
        }
    }

    // None: refused.
    fn does(&mut self, act: &Act) -> Option<()> {
        match *act {
            Act::Wait(minutes) => self.now += minutes * MINUTE,
            Act::Join(p) => self.join(p),
            Act::Confirm(p) => {
                let entry = self.latest(p).filter(|e| self.entries[*e].stands == Stands::Unconfirmed)?;
                self.entries[entry].stands = Stands::Waiting;
            }
            Act::Forget => {
                let now = self.now;
                let forgotten = |e: &&mut Entry| e.stands == Stands::Unconfirmed && e.asked <= now;
                self.entries.iter_mut().filter(forgotten).for_each(|e| e.stands = Stands::Removed);
            }
            Act::Post(post) => self.post(post),
            Act::Suppress(p) => self.suppress(p)?,
            Act::Lift(p) => {
                self.latest(p).filter(|_| self.suppressed[p])?;
                self.suppressed[p] = false;
                self.lifted[p] = self.lifted[p].max(Some(self.now));
            }
            Act::Advance => {
                self.settle();
                self.give();
            }
            Act::Accept(p) => self.accept(p)?,
            Act::Decline(p) => {
                let offer = self.latest_offer(p)?;
                self.settle_own(p);
                if self.offers[offer].is == Is::Open {
                    self.end(offer, Is::Declined, "-", Stands::Withdrawn, None);
                }
            }
            Act::GiveBack(p) => {
                let offer = self.latest_offer(p)?;
                self.settle_own(p);
                if self.offers[offer].is == Is::Accepted {
                    self.leave(p, Stands::Withdrawn, Is::Declined, "");
                }
            }
            Act::Withdraw(p) => self.leave(p, Stands::Withdrawn, Is::Declined, "she left the waitlist"),
            Act::Remove(p) => self.leave(p, Stands::Removed, Is::Revoked, "a test"),
            Act::Erase(p) => {
                self.latest(p)?;
                self.leave(p, Stands::Withdrawn, Is::Revoked, "erased");
                self.erased[p] = true;
                self.forget(p);
            }
            _ => self.operates(act)?,
        }
        Some(())
    }

    fn operates(&mut self, act: &Act) -> Option<()> {
        match *act {
            Act::Open(opens) => self.open(opens)?,
            Act::Seats(by) => self.change_seats(by)?,
            Act::CloseOpening => self.close_last()?,
            Act::CloseProgram => {
                self.settle();
                (0..self.openings.len()).for_each(|opening| self.close(opening, "the program was closed"));
                self.closed = true;
            }
            Act::Rule(rule) => {
                self.settle();
                self.rule = rule;
            }
            Act::Enrolment(hours) => {
                self.settle();
                self.enrolment_ends = hours.map_or(NEVER, |hours| self.now + hours * HOUR);
                self.end_anew();
            }
            Act::Revoke(p) => {
                let offer = self.latest_offer(p)?;
                self.settle_own(p);
                (self.offers[offer].is == Is::Open).then_some(())?;
                self.end(offer, Is::Revoked, "a test", Stands::Waiting, Some("revoked"));
            }
            Act::Readmit(p) => {
                let entry = self.latest(p)?;
                self.settle_own(p);
                self.entries[entry].bar = None;
            }
            Act::Prioritise(p, priority) => {
                let entry = self.latest(p)?;
                self.settle();
                self.live(p)?;
                self.entries[entry].priority = priority;
            }
            Act::Give(p) => self.give_by_hand(p)?,
            _ => unreachable!("what people, time and the post do is done above"),
        }
        Some(())
    }

    fn latest(&self, person: usize) -> Option<usize> {
        self.entries.iter().rposition(|e| e.person == person)
    }

    fn live(&self, person: usize) -> Option<usize> {
        self.latest(person).filter(|e| !matches!(self.entries[*e].stands, Stands::Withdrawn | Stands::Removed))
    }

    fn latest_offer(&self, person: usize) -> Option<usize> {
        let entry = self.latest(person)?;
        self.offers.iter().rposition(|o| o.entry == entry)
    }

    fn open_offer(&self, person: usize) -> Option<usize> {
        self.offers.iter().position(|o| o.is == Is::Open && self.entries[o.entry].person == person)
    }

    fn end_of_line(&self) -> i64 {
        self.entries.iter().map(|e| e.since).max().unwrap_or(self.now).max(self.now)
    }

    fn join(&mut self, person: usize) {
        if self.live(person).is_none() && !self.erased[person] && !self.closed {
            let (since, asked) = (self.end_of_line(), self.now);
            self.entries.push(Entry { person, stands: Stands::Unconfirmed, priority: 0, asked, since, misses: 0, bar: None });
        }
    }

    fn suppress(&mut self, person: usize) -> Option<()> {
        self.latest(person).filter(|_| !self.suppressed[person])?;
        self.suppressed[person] = true;
        self.settle_own(person);
        Some(())
    }

    fn open(&mut self, opens: Opens) -> Option<()> {
        (!self.closed).then_some(())?;
        let begins = self.now + opens.in_minutes * MINUTE;
        let ends = opens.for_hours.map_or(NEVER, |hours| begins + hours * HOUR);
        // Nobody could take a seat any more.
        (self.enrolment_ends > begins).then_some(())?;
        let Opens { seats, mode, rule, .. } = opens;
        self.openings.push(Opening { seats, mode, begins, ends, rule, begun: false, closed: false, reduced: false });
        self.settle();
        self.give();
        Some(())
    }

    fn post(&mut self, post: Post) {
        let (now, to) = (self.now, |p: usize| self.latest_offer(p));
        let other = match post {
            Post::Goes => None,
            Post::Bounces(p) | Post::Refused(p) | Post::Deferred(p) | Post::Unanswered(p) => to(p),
        };
        for index in 0..self.offers.len() {
            let lapses = self.lapses(index);
            let offer = &mut self.offers[index];
            let mail = &mut offer.mail;
            if !matches!(mail.stage, Stage::Queued | Stage::Deferred) || mail.ready > now {
                continue;
            }
            if lapses <= now || mail.worth_until <= now {
                mail.stage = if lapses > now && mail.tried { Stage::Failed(mail.code, false) } else { Stage::Skipped };
                continue;
            }
            let in_doubt = offer.handed_over;
            offer.handed_over = offer.handed_over.or(Some(now));
            let what = if other == Some(index) { post } else { Post::Goes };
            mail.tried |= what != Post::Goes;
            match what {
                Post::Goes => mail.stage = Stage::Sent,
                Post::Bounces(_) => mail.stage = Stage::Failed(550, true),
                Post::Refused(_) => mail.stage = Stage::Failed(554, false),
                Post::Deferred(_) => {
                    (mail.stage, mail.code, mail.ready) = (Stage::Deferred, 450, now + 5 * MINUTE);
                    // It was not taken, so no clock runs.
                    offer.handed_over = in_doubt;
                }
                Post::Unanswered(_) if mail.repeated => mail.stage = Stage::Unconfirmed,
                Post::Unanswered(_) => (mail.stage, mail.repeated, mail.ready) = (Stage::Queued, true, now),
            }
        }
    }

    fn end(&mut self, index: usize, is: Is, reason: &'static str, stands: Stands, bar: Option<&'static str>) {
        let (now, offer) = (self.now, &mut self.offers[index]);
        (offer.is, offer.reason, offer.closed) = (is, reason, Some(now));
        if matches!(offer.mail.stage, Stage::Queued | Stage::Deferred) {
            offer.mail.stage = Stage::Cancelled;
        }
        let entry = &mut self.entries[offer.entry];
        entry.stands = stands;
        entry.bar = bar.map(|why| (why, now, offer.opening));
    }

    /// Why offers of hers were revoked may say who she is.
    fn forget(&mut self, person: usize) {
        let entries = &self.entries;
        let hers = self.offers.iter_mut().filter(|offer| entries[offer.entry].person == person);
        // That a mail did not leave is kept.
        let said = |offer: &&mut Offer| offer.is == Is::Revoked && !["erased", "undeliverable"].contains(&offer.reason);
        hers.filter(said).for_each(|offer| offer.reason = "(erased)");
    }

    fn change_seats(&mut self, by: i32) -> Option<()> {
        self.settle();
        let opening = self.openings.last_mut().filter(|opening| !opening.closed && opening.seats + by >= 0)?;
        opening.seats += by;
        opening.reduced |= by < 0;
        self.give();
        Some(())
    }

    fn close_last(&mut self) -> Option<()> {
        self.settle();
        let last = self.openings.len() - 1;
        (!self.openings[last].closed).then(|| self.close(last, "the opening was closed"))
    }

    fn close(&mut self, opening: usize, why: &'static str) {
        if self.openings[opening].closed {
            return;
        }
        for index in 0..self.offers.len() {
            if self.offers[index].opening == opening && self.offers[index].is == Is::Open {
                self.end(index, Is::Revoked, why, Stands::Waiting, None);
                self.offers[index].mails.push("closed");
            }
        }
        self.openings[opening].closed = true;
    }

    fn accept(&mut self, person: usize) -> Option<()> {
        let offer = self.latest_offer(person)?;
        self.settle_own(person);
        let opening = self.offers[offer].opening;
        let last_call = self.openings[opening].mode == Mode::LastCall;
        let too_late = last_call && self.taken(opening) >= self.openings[opening].seats;
        if self.offers[offer].is == Is::Open && !too_late {
            self.end(offer, Is::Accepted, "-", Stands::Seated, None);
            self.offers[offer].mails.push("accepted");
        }
        Some(())
    }

    fn leave(&mut self, person: usize, stands: Stands, is: Is, reason: &'static str) {
        let Some(e) = self.latest(person) else { return };
        self.settle_own(person);
        match self.entries[e].stands {
            Stands::Withdrawn | Stands::Removed => return,
            Stands::Offered => {
                let index = self.open_offer(person).expect("an open offer");
                self.end(index, is, reason, stands, None);
            }
            Stands::Seated => {
                let seat = self.offers.iter().position(|o| o.entry == e && o.is == Is::Accepted && !o.given_back).expect("a seat");
                self.offers[seat].given_back = true;
            }
            _ => {}
        }
        self.entries[e].stands = stands;
        self.entries[e].bar = None;
    }

    /// The openings that lost seats, by number: these may have more taken than they have.
    pub(super) fn seats_taken_away(&self) -> Vec<i32> {
        (1..).zip(&self.openings).filter(|(_, opening)| opening.reduced).map(|(number, _)| number).collect()
    }

    pub(super) fn state(&self) -> String {
        let openings = (1..).zip(&self.openings).map(|(number, opening)| self.opening_line(number, opening));
        let entries = self.entries.iter().map(Entry::line);
        let offers = self.offers.iter().map(|offer| offer.line(self.entries[offer.entry].person));
        let lines: Vec<String> = openings.chain(entries).chain(offers).collect();
        let waiting = (0..PEOPLE).filter_map(|p| self.latest(p).filter(|e| self.entries[*e].stands == Stands::Waiting));
        let places: Vec<String> = waiting.map(|e| self.rank(e).to_string()).collect();
        format!("{}\nthose who wait stand at {}", lines.join("\n"), places.join(" "))
    }

    fn opening_line(&self, number: usize, opening: &Opening) -> String {
        let accepted = self.offers.iter().filter(|o| o.opening + 1 == number && o.is == Is::Accepted && !o.given_back).count() as i32;
        let state = match () {
            () if opening.closed => "closed",
            () if !opening.begun => "scheduled",
            () if opening.mode != Mode::NotifyAll && accepted >= opening.seats => "full",
            () => "open",
        };
        format!("opening {number}: {state}, {} seats", opening.seats)
    }
}
