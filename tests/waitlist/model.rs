//! Random schedules against Postgres and against a plain model in memory: the same outcome after every step.
//!
//! A failure shrinks to a short story. `TIDINGS_SCHEDULES` sets how many are run; few in an ordinary test run.

use std::cmp::Reverse;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::program;
use tidings::waitlist::states::AfterExpiry;
use tidings::waitlist::{entry, line, offer};

use super::stage::{Stage, new_opening, particulars};

const PEOPLE: usize = 7;
const MINUTE: i64 = 60_000_000;

#[test]
fn every_schedule_of_acts_ends_as_the_model_says() {
    let schedules = std::env::var("TIDINGS_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let stage = runtime.block_on(Stage::new());
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: schedules, failure_persistence: None, max_shrink_iters: 400, ..Config::default() });
    let acts = prop::collection::vec(act(), 30..80);
    let outcome = runner.run(&(policy(), 0i32..5, ends(), acts), |(policy, seats, ends, acts)| {
        number.set(number.get() + 1);
        runtime.block_on(run(&stage, number.get(), policy, seats, ends, &acts)).map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(async {
        assert_went_everywhere(&stage).await;
        drop(stage);
    });
}

/// Schedules that never came to an offer would agree too.
async fn assert_went_everywhere(stage: &Stage) {
    let ends = "SELECT DISTINCT CASE WHEN given_back_at IS NOT NULL THEN 'given back' ELSE state END || coalesce(': ' || split_part(reason, ':', 1), '') FROM offers";
    let came: Vec<String> = sqlx::query_scalar(ends).fetch_all(&mut *stage.conn().await).await.expect("ends of offers");
    for end in [
        "open",
        "accepted",
        "given back",
        "declined",
        "declined: she left the waitlist",
        "expired",
        "revoked: undeliverable",
        "revoked: suppressed",
        "revoked: a test",
        "revoked: erased",
        "revoked: the opening was closed",
    ] {
        assert!(came.iter().any(|one| one == end), "no schedule came to an offer that is {end}: {came:?}");
    }
}

/// Something that somebody does, or time.
#[derive(Clone, PartialEq)]
enum Act {
    Join(usize),
    Confirm(usize),
    Accept(usize),
    Decline(usize),
    Withdraw(usize),
    Revoke(usize),
    Give(usize),
    Remove(usize),
    Readmit(usize),
    Prioritise(usize, i16),
    Suppress(usize),
    Lift(usize),
    Erase(usize),
    /// Due mails are handed over; the one to this person, if any, bounces.
    Post(Option<usize>),
    Seats(i32),
    CloseOpening,
    Open(i32),
    Wait(i64),
    Advance,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Join(p) => write!(f, "person {p} joins"),
            Act::Confirm(p) => write!(f, "person {p} confirms"),
            Act::Accept(p) => write!(f, "person {p} accepts"),
            Act::Decline(p) => write!(f, "person {p} declines"),
            Act::Withdraw(p) => write!(f, "person {p} withdraws"),
            Act::Revoke(p) => write!(f, "the offer of person {p} is revoked"),
            Act::Give(p) => write!(f, "person {p} is given an offer by hand"),
            Act::Remove(p) => write!(f, "person {p} is removed"),
            Act::Readmit(p) => write!(f, "person {p} is readmitted"),
            Act::Prioritise(p, priority) => write!(f, "person {p} gets priority {priority}"),
            Act::Suppress(p) => write!(f, "person {p} is suppressed"),
            Act::Lift(p) => write!(f, "what stands against person {p} is lifted"),
            Act::Erase(p) => write!(f, "person {p} is erased"),
            Act::Post(None) => write!(f, "the post goes"),
            Act::Post(Some(p)) => write!(f, "the post goes, and the mail to person {p} bounces"),
            Act::Seats(by) => write!(f, "{by:+} seats"),
            Act::CloseOpening => write!(f, "the opening is closed"),
            Act::Open(seats) => write!(f, "another opening of {seats} seats"),
            Act::Wait(minutes) => write!(f, "the clock goes {minutes:+} minutes"),
            Act::Advance => write!(f, "a worker looks"),
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..PEOPLE;
    prop_oneof![
        8 => who.clone().prop_map(Act::Join),
        8 => who.clone().prop_map(Act::Confirm),
        8 => who.clone().prop_map(Act::Accept),
        5 => who.clone().prop_map(Act::Decline),
        3 => who.clone().prop_map(Act::Withdraw),
        3 => who.clone().prop_map(Act::Revoke),
        2 => who.clone().prop_map(Act::Give),
        1 => who.clone().prop_map(Act::Remove),
        2 => who.clone().prop_map(Act::Readmit),
        2 => (who.clone(), -1i16..3).prop_map(|(p, priority)| Act::Prioritise(p, priority)),
        3 => who.clone().prop_map(Act::Suppress),
        2 => who.clone().prop_map(Act::Lift),
        1 => who.clone().prop_map(Act::Erase),
        8 => Just(Act::Post(None)),
        3 => who.prop_map(|p| Act::Post(Some(p))),
        3 => (-2i32..4).prop_map(Act::Seats),
        1 => Just(Act::CloseOpening),
        1 => (0i32..4).prop_map(Act::Open),
        6 => prop_oneof![Just(0i64), 1i64..120, Just(24 * 60), Just(48 * 60), 1i64..4_000, -300i64..0].prop_map(Act::Wait),
        14 => Just(Act::Advance),
    ]
}

fn policy() -> impl Strategy<Value = AfterExpiry> {
    prop_oneof![Just(AfterExpiry::Back), Just(AfterExpiry::Keep), Just(AfterExpiry::Out(2))]
}

fn ends() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 1 => (30i64..200).prop_map(Some)]
}

async fn run(stage: &Stage, number: usize, policy: AfterExpiry, seats: i32, ends: Option<i64>, acts: &[Act]) -> Result<(), String> {
    // Every schedule begins at the same hour: else the clock would run through years, and each month is a partition.
    stage.app.clock.set("2026-01-12T06:00:00Z".parse().expect("an instant"));
    let real = Real::new(stage, number, policy).await;
    let mut model = Model::new(stage.now(), policy);
    let ends = ends.map(|hours| micros(stage.now()) + hours * 60 * MINUTE);
    real.open(seats, ends).await;
    model.open(seats, ends);
    let mut told = Vec::new();
    // Most wait from the beginning, so that there is somebody to offer seats to.
    let beginning: Vec<Act> = (0..PEOPLE - 2).flat_map(|p| [Act::Join(p), Act::Confirm(p)]).collect();
    for act in beginning.iter().chain(acts) {
        told.push(format!("{act:?}"));
        model.act(act);
        real.act(act).await;
        let (ours, theirs) = (model.state(), real.state().await);
        if ours != theirs {
            return Err(format!("after:\n  {}\nthe model says\n{ours}\nand Postgres\n{theirs}", told.join("\n  ")));
        }
        real.assert_within_seats(model.excess()).await?;
    }
    Ok(())
}

fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The people of one schedule, a program of their own.
struct Real<'a> {
    stage: &'a Stage,
    slug: String,
    program_id: i64,
    people: Vec<i64>,
}

impl Real<'_> {
    async fn new(stage: &Stage, number: usize, policy: AfterExpiry) -> Real<'_> {
        let slug = format!("program-{number}");
        let terms = program::Particulars { after_expiry: policy, ..particulars() };
        let program = program::create(&mut *stage.conn().await, &slug, &terms, stage.now()).await.expect("a program");
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(stage.person(number * 1_000 + n).await);
        }
        Real { stage, slug, program_id: program.id, people }
    }

    async fn open(&self, seats: i32, ends: Option<i64>) {
        let now = self.stage.now();
        let ends_at = ends.map(|end| Timestamp::from_microsecond(end).expect("an instant"));
        let new = NewOpening { seats, ends_at, ..new_opening(now) };
        opening::create(&mut *self.stage.conn().await, &self.slug, &new, now).await.expect("an opening");
    }

    async fn entry(&self, person: usize) -> Option<i64> {
        let id = self
            .stage
            .number(&format!(
                "SELECT coalesce(max(id), 0) FROM entries WHERE program_id = {} AND subscriber_id = {}",
                self.program_id, self.people[person]
            ))
            .await;
        (id > 0).then_some(id)
    }

    // Whether an act is refused is seen in what it leaves, which is compared after it.
    async fn act(&self, act: &Act) {
        let (stage, now) = (self.stage, self.stage.now());
        let mut conn = stage.conn().await;
        let person = match *act {
            Act::Join(p) | Act::Confirm(p) | Act::Accept(p) | Act::Decline(p) | Act::Withdraw(p) | Act::Revoke(p) | Act::Give(p) => Some(p),
            Act::Remove(p) | Act::Readmit(p) | Act::Prioritise(p, _) | Act::Suppress(p) | Act::Lift(p) | Act::Erase(p) => Some(p),
            _ => None,
        };
        let entry_id = match person {
            Some(p) => self.entry(p).await.unwrap_or(0),
            None => 0,
        };
        let offer_id = stage.offer_of(entry_id).await;
        match *act {
            Act::Join(p) => {
                if stage.number(&format!("SELECT count(*) FROM subscribers WHERE id = {} AND erased_at IS NULL", self.people[p])).await == 1
                {
                    entry::join(&mut conn, self.program_id, self.people[p], now).await.map(drop).expect("an entry");
                }
            }
            Act::Open(seats) => self.open(seats, None).await,
            Act::Seats(by) => drop(opening::change_seats(&mut conn, &self.slug, None, by, now).await),
            Act::CloseOpening => drop(opening::close(&mut conn, &self.slug, None, now).await),
            Act::Advance => opening::advance(&mut conn, self.program_id, now).await.map(drop).expect("an advance"),
            Act::Wait(minutes) => stage.app.wait(SignedDuration::from_mins(minutes)),
            Act::Post(bounces) => {
                let bounced = match bounces {
                    Some(p) => stage.offer_of(self.entry(p).await.unwrap_or(0)).await,
                    None => 0,
                };
                stage.bounce(bounced).await;
            }
            _ if entry_id == 0 => {}
            Act::Confirm(_) => entry::confirm(&mut conn, entry_id, now).await.map(drop).expect("an answer"),
            Act::Withdraw(_) => entry::withdraw(&mut conn, entry_id, now).await.map(drop).expect("an answer"),
            Act::Remove(_) => entry::remove(&mut conn, entry_id, "a test", now).await.map(drop).expect("an answer"),
            Act::Readmit(_) => entry::readmit(&mut conn, entry_id, "a test", now).await.map(drop).expect("an answer"),
            Act::Prioritise(_, priority) => drop(entry::prioritise(&mut conn, entry_id, priority, "a test", now).await),
            Act::Give(_) => drop(offer::give(&mut conn, &self.slug, None, entry_id, "a test", now).await),
            Act::Suppress(_) => {
                if stage.number(&format!("SELECT count(*) FROM suppressions s JOIN entries e USING (subscriber_id) WHERE e.id = {entry_id} AND lifted_at IS NULL")).await == 0 {
                    stage.suppress(entry_id).await;
                }
            }
            Act::Lift(_) => stage.lift(entry_id).await,
            Act::Erase(p) => {
                let subscriber_id = self.people[p];
                entry::on_erased(&mut conn, subscriber_id, now).await.expect("an erasure");
                let erase =
                    format!("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE id = {subscriber_id}");
                stage.run(&erase).await.expect("an erasure");
            }
            _ if offer_id == 0 => {}
            Act::Accept(_) => offer::accept(&mut conn, offer_id, now).await.map(drop).expect("an answer"),
            Act::Decline(_) => offer::decline(&mut conn, offer_id, now).await.map(drop).expect("an answer"),
            Act::Revoke(_) => drop(offer::revoke(&mut conn, offer_id, "a test", now).await),
        }
    }

    async fn state(&self) -> String {
        let id = self.program_id;
        let read = format!(
            "SELECT coalesce(string_agg(line, E'\\n' ORDER BY kind, n), '') FROM (
                SELECT 1 AS kind, o.number::bigint AS n, format('opening %s: %s, %s seats', o.number, o.state, o.seats) AS line
                FROM openings o WHERE o.program_id = {id}
                UNION ALL SELECT 2, e.id, format('entry of %s: %s, priority %s, since %s, misses %s, %s', array_position(ARRAY{people:?}::bigint[], e.subscriber_id) - 1,
                    e.state, e.priority, (extract(epoch FROM e.joined_at) * 1000000)::bigint, e.misses, coalesce(e.barred, 'free'))
                FROM entries e WHERE e.program_id = {id}
                UNION ALL SELECT 3, f.id, format('offer to %s in %s: %s%s, %s, rank %s', array_position(ARRAY{people:?}::bigint[], e.subscriber_id) - 1, o.number,
                    f.state, CASE WHEN f.given_back_at IS NOT NULL THEN ' and given back' ELSE '' END, coalesce(split_part(f.reason, ':', 1), '-'), f.rank)
                FROM offers f JOIN entries e ON e.id = f.entry_id JOIN openings o ON o.id = f.opening_id WHERE f.program_id = {id}) l",
            people = self.people
        );
        let mut state = self.stage.text(&read).await;
        let mut conn = self.stage.conn().await;
        for p in 0..PEOPLE {
            if let Some(entry_id) = self.entry(p).await
                && let Some(place) = line::place(&mut conn, entry_id).await.expect("a place")
            {
                state += &format!("\nperson {p} stands at {place}");
            }
        }
        state
    }

    async fn assert_within_seats(&self, excess: bool) -> Result<(), String> {
        let over = self
            .stage
            .number(&format!(
                "SELECT count(*) FROM openings o WHERE program_id = {} AND seats < (SELECT count(*) FROM offers f
                WHERE f.opening_id = o.id AND f.given_back_at IS NULL AND f.state IN ('accepted', 'open'))",
                self.program_id
            ))
            .await;
        if over > 0 && !excess { Err("more seats are taken than there are, and none were taken away".to_owned()) } else { Ok(()) }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stands {
    Unconfirmed,
    Waiting,
    Offered,
    Seated,
    Withdrawn,
    Removed,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Is {
    Open,
    Accepted,
    Declined,
    Expired,
    Revoked,
}

#[derive(Clone, Copy, PartialEq)]
enum Mail {
    Queued,
    Sent,
    Bounced,
    TooLate,
    Cancelled,
}

/// Why nothing is offered to somebody: the word, since when, in which opening.
type Bar = Option<(&'static str, i64, usize)>;

struct Entry {
    person: usize,
    stands: Stands,
    priority: i16,
    since: i64,
    misses: i16,
    bar: Bar,
}

struct Offer {
    entry: usize,
    opening: usize,
    is: Is,
    reason: &'static str,
    given_back: bool,
    offered: i64,
    handed_over: Option<i64>,
    mail: Mail,
    rank: usize,
}

struct Opening {
    seats: i32,
    closed: bool,
    ends: Option<i64>,
    reduced: bool,
}

/// What settling may change, for an act that is refused after it.
struct Snapshot {
    entries: Vec<(Stands, i64, i16, Bar)>,
    offers: Vec<(Is, &'static str, Mail)>,
    closed: Vec<bool>,
}

/// The waitlist in memory, as the rules say it.
struct Model {
    now: i64,
    policy: AfterExpiry,
    entries: Vec<Entry>,
    offers: Vec<Offer>,
    openings: Vec<Opening>,
    suppressed: [bool; PEOPLE],
    lifted: [Option<i64>; PEOPLE],
    erased: [bool; PEOPLE],
}

impl Model {
    fn new(now: Timestamp, policy: AfterExpiry) -> Model {
        let (entries, offers, openings) = (Vec::new(), Vec::new(), Vec::new());
        let now = micros(now);
        Model { now, policy, entries, offers, openings, suppressed: [false; PEOPLE], lifted: [None; PEOPLE], erased: [false; PEOPLE] }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Wait(minutes) => self.now += minutes * MINUTE,
            Act::Join(p) => self.join(p),
            Act::Open(seats) => self.open(seats, None),
            Act::Post(bounces) => self.post(bounces),
            Act::Confirm(p) => {
                if let Some(e) = self.latest(p).filter(|e| self.entries[*e].stands == Stands::Unconfirmed) {
                    self.entries[e].stands = Stands::Waiting;
                }
            }
            Act::Suppress(p) => {
                if self.latest(p).is_some() && !self.suppressed[p] {
                    self.suppressed[p] = true;
                    if self.open_offer(p).is_some() {
                        self.settle();
                    }
                }
            }
            Act::Lift(p) => {
                if self.latest(p).is_some() && self.suppressed[p] {
                    self.suppressed[p] = false;
                    self.lifted[p] = self.lifted[p].max(Some(self.now));
                }
            }
            Act::Advance => {
                self.settle();
                self.give();
            }
            Act::Seats(by) => self.change_seats(by),
            Act::CloseOpening => self.close_opening(),
            Act::Accept(p) => self.answer(p, Is::Accepted, "-", Stands::Seated),
            Act::Decline(p) => self.answer(p, Is::Declined, "-", Stands::Withdrawn),
            Act::Revoke(p) => self.revoke(p),
            Act::Withdraw(p) => self.leave(p, Stands::Withdrawn, Is::Declined, "she left the waitlist"),
            Act::Remove(p) => self.leave(p, Stands::Removed, Is::Revoked, "a test"),
            Act::Erase(p) => {
                if self.latest(p).is_some() {
                    self.leave(p, Stands::Withdrawn, Is::Revoked, "erased");
                    self.erased[p] = true;
                }
            }
            Act::Readmit(p) => {
                if let Some(e) = self.latest(p) {
                    self.settle();
                    self.entries[e].bar = None;
                }
            }
            Act::Prioritise(p, priority) => self.prioritise(p, priority),
            Act::Give(p) => self.give_by_hand(p),
        }
    }

    fn latest(&self, person: usize) -> Option<usize> {
        self.entries.iter().rposition(|e| e.person == person)
    }

    fn live(&self, person: usize) -> Option<usize> {
        self.latest(person).filter(|e| !matches!(self.entries[*e].stands, Stands::Withdrawn | Stands::Removed))
    }

    fn open_offer(&self, person: usize) -> Option<usize> {
        self.offers.iter().position(|o| o.is == Is::Open && self.entries[o.entry].person == person)
    }

    fn end_of_line(&self) -> i64 {
        self.entries.iter().map(|e| e.since).max().unwrap_or(self.now).max(self.now)
    }

    fn join(&mut self, person: usize) {
        if self.live(person).is_none() && !self.erased[person] {
            let since = self.end_of_line();
            self.entries.push(Entry { person, stands: Stands::Unconfirmed, priority: 0, since, misses: 0, bar: None });
        }
    }

    fn open(&mut self, seats: i32, ends: Option<i64>) {
        self.openings.push(Opening { seats, closed: false, ends, reduced: false });
        self.settle();
        self.give();
    }

    fn post(&mut self, bounces: Option<usize>) {
        let bounced = bounces.and_then(|p| self.latest(p)).and_then(|e| self.offers.iter().rposition(|o| o.entry == e));
        for index in 0..self.offers.len() {
            let end = self.openings[self.offers[index].opening].ends;
            let offer = &mut self.offers[index];
            if offer.mail != Mail::Queued || offer.offered > self.now {
                continue;
            }
            let worth_sending = end.map_or(i64::MAX, |end| end).min(offer.offered + 24 * 60 * MINUTE);
            if worth_sending <= self.now {
                offer.mail = Mail::TooLate;
            } else {
                offer.handed_over = Some(self.now);
                offer.mail = if bounced == Some(index) { Mail::Bounced } else { Mail::Sent };
            }
        }
    }

    /// What time and the post have ended.
    fn settle(&mut self) {
        let mut behind = None;
        for index in 0..self.offers.len() {
            let (offer, now) = (&self.offers[index], self.now);
            if offer.is != Is::Open {
                continue;
            }
            let (e, end) = (offer.entry, self.openings[offer.opening].ends.unwrap_or(i64::MAX));
            let lapses = offer.handed_over.map_or(offer.offered + 24 * 60 * MINUTE, |at| at + 48 * 60 * MINUTE).min(end);
            if self.suppressed[self.entries[e].person] {
                self.end(index, Is::Revoked, "suppressed", Stands::Waiting, None);
            } else if offer.mail == Mail::Bounced {
                self.end(index, Is::Revoked, "undeliverable", Stands::Waiting, Some("undeliverable"));
            } else if lapses <= now && offer.handed_over.is_none() {
                self.end(index, Is::Revoked, "undeliverable", Stands::Waiting, Some("not sent"));
            } else if lapses <= now {
                self.entries[e].misses += 1;
                let out = matches!(self.policy, AfterExpiry::Out(most) if self.entries[e].misses >= most);
                self.end(index, Is::Expired, "-", if out { Stands::Removed } else { Stands::Waiting }, None);
                if !out && self.policy != AfterExpiry::Keep {
                    let place = *behind.get_or_insert_with(|| self.end_of_line() + 1);
                    self.entries[e].since = place;
                }
            }
        }
        for opening in &mut self.openings {
            opening.closed |= opening.ends.is_some_and(|end| end <= self.now);
        }
    }

    fn end(&mut self, index: usize, is: Is, reason: &'static str, stands: Stands, bar: Option<&'static str>) {
        let (now, offer) = (self.now, &mut self.offers[index]);
        (offer.is, offer.reason) = (is, reason);
        if offer.mail == Mail::Queued {
            offer.mail = Mail::Cancelled;
        }
        let entry = &mut self.entries[offer.entry];
        entry.stands = stands;
        entry.bar = bar.map(|why| (why, now, offer.opening));
    }

    fn order(&self, e: usize) -> (Reverse<i16>, i64, usize) {
        (Reverse(self.entries[e].priority), self.entries[e].since, e)
    }

    fn rank(&self, e: usize) -> usize {
        let before = |other: &usize| self.entries[*other].stands == Stands::Waiting && self.order(*other) < self.order(e);
        (0..self.entries.len()).filter(before).count() + 1
    }

    fn eligible(&self, e: usize, opening: usize) -> bool {
        let entry = &self.entries[e];
        let barred = match entry.bar {
            Some(("revoked", ..)) => true,
            Some(("not sent", _, inside)) => inside == opening,
            Some((_, at, _)) => self.lifted[entry.person].is_none_or(|lifted| lifted < at),
            None => false,
        };
        let had =
            self.policy == AfterExpiry::Keep && self.offers.iter().any(|o| o.entry == e && o.opening == opening && o.is == Is::Expired);
        entry.stands == Stands::Waiting && !self.suppressed[entry.person] && !barred && !had
    }

    fn taken(&self, opening: usize) -> i32 {
        let takes = |o: &&Offer| o.opening == opening && (o.is == Is::Open || o.is == Is::Accepted && !o.given_back);
        self.offers.iter().filter(takes).count() as i32
    }

    fn give(&mut self) {
        for opening in 0..self.openings.len() {
            if self.openings[opening].closed {
                continue;
            }
            let free = self.openings[opening].seats - self.taken(opening);
            let mut line: Vec<usize> = (0..self.entries.len()).filter(|e| self.eligible(*e, opening)).collect();
            line.sort_by_key(|e| self.order(*e));
            let chosen: Vec<(usize, usize)> = line.into_iter().take(free.max(0) as usize).map(|e| (e, self.rank(e))).collect();
            for (entry, rank) in chosen {
                self.offer(entry, opening, rank);
            }
        }
    }

    fn offer(&mut self, entry: usize, opening: usize, rank: usize) {
        let offered = self.now;
        self.offers.push(Offer {
            entry,
            opening,
            is: Is::Open,
            reason: "-",
            given_back: false,
            offered,
            handed_over: None,
            mail: Mail::Queued,
            rank,
        });
        self.entries[entry].stands = Stands::Offered;
        self.entries[entry].bar = None;
    }

    fn give_by_hand(&mut self, person: usize) {
        let Some(e) = self.latest(person) else { return };
        let opening = self.openings.len() - 1;
        let before = self.snapshot();
        self.settle();
        let free = self.openings[opening].seats > self.taken(opening);
        if self.entries[e].stands == Stands::Waiting && !self.suppressed[person] && !self.openings[opening].closed && free {
            let rank = self.rank(e);
            self.offer(e, opening, rank);
        } else {
            // A refusal takes back what was settled on the way.
            self.restore(before);
        }
    }

    fn change_seats(&mut self, by: i32) {
        let before = self.snapshot();
        self.settle();
        let opening = self.openings.last_mut().expect("an opening");
        if opening.closed || opening.seats + by < 0 {
            return self.restore(before);
        }
        opening.seats += by;
        opening.reduced |= by < 0;
        self.give();
    }

    fn close_opening(&mut self) {
        let before = self.snapshot();
        self.settle();
        let last = self.openings.len() - 1;
        if self.openings[last].closed {
            return self.restore(before);
        }
        for index in 0..self.offers.len() {
            if self.offers[index].opening == last && self.offers[index].is == Is::Open {
                self.end(index, Is::Revoked, "the opening was closed", Stands::Waiting, None);
            }
        }
        self.openings[last].closed = true;
    }

    fn answer(&mut self, person: usize, is: Is, reason: &'static str, stands: Stands) {
        let Some(latest) = self.latest(person).and_then(|e| self.offers.iter().rposition(|o| o.entry == e)) else { return };
        self.settle();
        if self.offers[latest].is == Is::Open {
            self.end(latest, is, reason, stands, None);
        }
    }

    fn revoke(&mut self, person: usize) {
        let Some(latest) = self.latest(person).and_then(|e| self.offers.iter().rposition(|o| o.entry == e)) else { return };
        let before = self.snapshot();
        self.settle();
        match self.offers[latest].is {
            Is::Open => self.end(latest, Is::Revoked, "a test", Stands::Waiting, Some("revoked")),
            _ => self.restore(before),
        }
    }

    fn leave(&mut self, person: usize, stands: Stands, is: Is, reason: &'static str) {
        let Some(e) = self.latest(person) else { return };
        self.settle();
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

    fn prioritise(&mut self, person: usize, priority: i16) {
        let Some(e) = self.latest(person) else { return };
        let before = self.snapshot();
        self.settle();
        match self.entries[e].stands {
            Stands::Withdrawn | Stands::Removed => self.restore(before),
            _ => self.entries[e].priority = priority,
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            entries: self.entries.iter().map(|e| (e.stands, e.since, e.misses, e.bar)).collect(),
            offers: self.offers.iter().map(|o| (o.is, o.reason, o.mail)).collect(),
            closed: self.openings.iter().map(|o| o.closed).collect(),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        for (e, was) in self.entries.iter_mut().zip(snapshot.entries) {
            (e.stands, e.since, e.misses, e.bar) = was;
        }
        for (o, was) in self.offers.iter_mut().zip(snapshot.offers) {
            (o.is, o.reason, o.mail) = was;
        }
        for (o, was) in self.openings.iter_mut().zip(snapshot.closed) {
            o.closed = was;
        }
    }

    fn excess(&self) -> bool {
        self.openings.iter().any(|opening| opening.reduced)
    }

    fn state(&self) -> String {
        let mut lines = Vec::new();
        for (index, opening) in self.openings.iter().enumerate() {
            let accepted = self.offers.iter().filter(|o| o.opening == index && o.is == Is::Accepted && !o.given_back).count() as i32;
            let state = match () {
                () if opening.closed => "closed",
                () if accepted >= opening.seats => "full",
                () => "open",
            };
            lines.push(format!("opening {}: {state}, {} seats", index + 1, opening.seats));
        }
        for entry in &self.entries {
            let stands = format!("{:?}", entry.stands).to_lowercase();
            let bar = entry.bar.map_or("free", |(why, ..)| why);
            let line = format!("priority {}, since {}, misses {}, {bar}", entry.priority, entry.since, entry.misses);
            lines.push(format!("entry of {}: {stands}, {line}", entry.person));
        }
        for offer in &self.offers {
            let back = if offer.given_back { " and given back" } else { "" };
            let is = format!("{:?}", offer.is).to_lowercase();
            let to = self.entries[offer.entry].person;
            lines.push(format!("offer to {to} in {}: {is}{back}, {}, rank {}", offer.opening + 1, offer.reason, offer.rank));
        }
        for person in 0..PEOPLE {
            if let Some(e) = self.latest(person).filter(|e| self.entries[*e].stands == Stands::Waiting) {
                lines.push(format!("person {person} stands at {}", self.rank(e)));
            }
        }
        lines.join("\n")
    }
}
