//! What the stories of the waitlist begin with: a program, people who wait, an opening, and a worker that hands mails over
//! through the ledger as the pump does.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};
use tidings::audience::{store as audience, subscriber::NewSubscriber};
use tidings::delivery::Key;
use tidings::delivery::ledger::mark::{self, Ending, Mark, Record};
use tidings::delivery::ledger::{claim, lease};
use tidings::delivery::reply::{EnhancedCode, ReplyText};
use tidings::waitlist::opening::{self, NewOpening, Opening};
use tidings::waitlist::program::{self, Particulars};
use tidings::waitlist::states::{AfterExpiry, Mode};
use tidings::waitlist::{entry, offer};

use crate::support::TestApp;

/// The program of every story.
pub(crate) const SLUG: &str = "course";
const LEASE: Duration = Duration::from_secs(3_600);

/// An hour.
pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What came of a hand-over; by default the relay took the mail.
#[derive(Clone)]
pub(crate) struct Outcome {
    ending: Ending,
    reason: Option<String>,
    reply: Option<ReplyText>,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome { ending: Ending::Sent, reason: None, reply: None }
    }
}

/// The relay says that there is no such mailbox.
pub(crate) fn no_such_mailbox() -> Outcome {
    said(550, Some([5, 1, 1]), Ending::Failed { refused_address: false }, "550 5.1.1 no such mailbox")
}

/// The relay refused the mail for good, whoever it is to.
pub(crate) fn refused() -> Outcome {
    refused_saying("554 5.7.1 refused")
}

/// The same in these words, code and all.
pub(crate) fn refused_saying(text: &str) -> Outcome {
    said(554, Some([5, 7, 1]), Ending::Failed { refused_address: false }, text)
}

/// The connection was lost before the body.
pub(crate) fn lost() -> Outcome {
    Outcome { ending: Ending::NotBegun, reason: None, reply: None }
}

/// The relay wants it tried again, from then on.
pub(crate) fn put_off(until: Timestamp) -> Outcome {
    said(450, Some([4, 2, 0]), Ending::Deferred { until, counted: true }, "450 4.2.0 later")
}

/// The body was begun, and no answer came.
pub(crate) fn unanswered() -> Outcome {
    Outcome { ending: Ending::Unconfirmed, reason: Some("no answer".to_owned()), reply: None }
}

fn said(code: u16, enhanced: Option<[u16; 3]>, ending: Ending, text: &str) -> Outcome {
    let enhanced = enhanced.map(|[class, subject, detail]| EnhancedCode { class: class as u8, subject, detail });
    let reply = ReplyText { code, enhanced, text: text[4..].to_owned() };
    Outcome { ending, reason: Some(text.to_owned()), reply: Some(reply) }
}

/// A program and a worker.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    pub(crate) program_id: i64,
    worker: i64,
}

impl Stage {
    /// A program that nobody waits for, and no opening.
    pub(crate) async fn new() -> Stage {
        let app = TestApp::new().await;
        let mut conn = app.db.pool.acquire().await.expect("a connection");
        let worker = lease::register(&mut conn, "worker").await.expect("a worker");
        let program = program::create(&mut conn, SLUG, &particulars(), app.now()).await.expect("a program");
        drop(conn);
        Stage { app, program_id: program.id, worker }
    }

    /// The same with `people` who wait, each a second after the one before; their entries, in order.
    pub(crate) async fn with(people: usize) -> (Stage, Vec<i64>) {
        let stage = Stage::new().await;
        let mut entries = Vec::new();
        for n in 0..people {
            entries.push(stage.waits(n).await);
        }
        (stage, entries)
    }

    pub(crate) async fn conn(&self) -> PoolConnection<Postgres> {
        self.app.db.pool.acquire().await.expect("a connection")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app.now()
    }

    /// A subscriber; her number.
    pub(crate) async fn person(&self, n: usize) -> i64 {
        let person = NewSubscriber::read(&format!("person-{n}@example.org"), "", "", "").expect("a person");
        let mut conn = self.conn().await;
        match audience::insert_subscribers(&mut conn, &[&person], self.now()).await.expect("a subscriber").pop() {
            Some((id, _)) => id,
            None => audience::subscribers_by_key(&mut conn, &[person.address.key()]).await.expect("subscribers")[0].1,
        }
    }

    /// Person `n` asks to join, a second after whatever was before.
    pub(crate) async fn joins(&self, n: usize) -> i64 {
        self.app.wait(SignedDuration::from_secs(1));
        let person = self.person(n).await;
        entry::join(&mut *self.conn().await, self.program_id, person, self.now()).await.expect("an entry").entry_id
    }

    /// Person `n` joins and confirms.
    pub(crate) async fn waits(&self, n: usize) -> i64 {
        let entry_id = self.joins(n).await;
        entry::confirm(&mut *self.conn().await, entry_id, self.now()).await.expect("a confirmation");
        entry_id
    }

    /// An opening that begins now, with offers of 48 hours; they are given at once.
    pub(crate) async fn open(&self, seats: i32) -> Opening {
        self.open_as(NewOpening { seats, ..new_opening(self.now()) }).await
    }

    pub(crate) async fn open_as(&self, new: NewOpening) -> Opening {
        opening::create(&mut *self.conn().await, SLUG, &new, self.now()).await.expect("an opening").0
    }

    pub(crate) async fn advance(&self) -> u64 {
        opening::advance(&mut *self.conn().await, self.program_id, self.now()).await.expect("an advance").given
    }

    /// Hands over whatever mail is due; the relay answers 250 to all.
    pub(crate) async fn post(&self) {
        self.post_with(|_| Outcome::default()).await;
    }

    /// The same, with what comes of the mail of each offer.
    pub(crate) async fn post_with(&self, outcome: impl Fn(Option<i64>) -> Outcome) {
        let under_way = self.under_way().await;
        self.comes_of(&under_way, outcome).await;
    }

    /// Marks whatever mail is due; each with its fence and its offer.
    pub(crate) async fn under_way(&self) -> Vec<(Mark, Option<i64>)> {
        let claimed = self.claim().await;
        let owners = self.offers_of(&claimed.iter().map(|c| c.key.id).collect::<Vec<_>>()).await;
        let marked = self.mark(&claimed).await;
        let under_way = claimed.iter().filter_map(|c| {
            let offer = owners.get(&c.key.id).copied();
            marked.get(&c.key).map(|fence| (Mark { key: c.key, fence: *fence }, offer))
        });
        under_way.collect()
    }

    /// Claims whatever mail is due.
    pub(crate) async fn claim(&self) -> Vec<claim::Claimed> {
        claim::transactional(&mut *self.conn().await, self.worker, self.now(), 100_000).await.expect("a claim").taken
    }

    /// Marks what was claimed; what may be handed over, with its fence.
    pub(crate) async fn mark(&self, claimed: &[claim::Claimed]) -> HashMap<Key, i32> {
        let marks: Vec<_> = claimed.iter().map(|c| Mark { key: c.key, fence: c.fence }).collect();
        mark::Writer::new(self.worker, LEASE).write(&mut *self.conn().await, self.now(), &[], &marks).await.expect("marks")
    }

    /// Records what came of mails that were under way.
    pub(crate) async fn comes_of(&self, under_way: &[(Mark, Option<i64>)], outcome: impl Fn(Option<i64>) -> Outcome) {
        let record = |(mark, offer): &(Mark, Option<i64>)| {
            let Outcome { ending, reason, reply } = outcome(*offer);
            Record { key: mark.key, edition_id: None, fence: mark.fence, ending, reason, reply, pause: None }
        };
        let records: Vec<_> = under_way.iter().map(record).collect();
        mark::Writer::new(self.worker, LEASE).write(&mut *self.conn().await, self.now(), &records, &[]).await.expect("records");
    }

    /// Takes mails back whose bodies were not begun, as a connection does that lost its mark.
    pub(crate) async fn take_back(&self, under_way: &[(Mark, Option<i64>)]) {
        let marks: Vec<_> = under_way.iter().map(|(mark, _)| Mark { key: mark.key, fence: mark.fence - 1 }).collect();
        mark::take_back(&mut *self.conn().await, self.worker, &marks).await.expect("a taking back");
    }

    /// The relay says that there is no such mailbox as that of this offer, and takes all others.
    pub(crate) async fn bounce(&self, offer_id: i64) {
        self.post_with(|offer| if offer == Some(offer_id) { no_such_mailbox() } else { Outcome::default() }).await;
    }

    /// The relay refuses whatever mail is due.
    pub(crate) async fn post_in_vain(&self) {
        self.post_with(|_| refused()).await;
    }

    async fn offers_of(&self, deliveries: &[i64]) -> HashMap<i64, i64> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT delivery_id, owner FROM transactional WHERE delivery_id = ANY($1) AND kind = 'offer'")
                .bind(deliveries)
                .fetch_all(&mut *self.conn().await)
                .await
                .expect("owners");
        rows.into_iter().filter_map(|(id, owner)| Some((id, owner.strip_prefix("offer:")?.parse().ok()?))).collect()
    }

    /// The latest offer of an entry.
    pub(crate) async fn offer_of(&self, entry_id: i64) -> i64 {
        self.number(&format!("SELECT coalesce(max(id), 0) FROM offers WHERE entry_id = {entry_id}")).await
    }

    pub(crate) async fn accept(&self, entry_id: i64) -> offer::Acceptance {
        let offer_id = self.offer_of(entry_id).await;
        offer::accept(&mut *self.conn().await, offer_id, self.now()).await.expect("an answer")
    }

    pub(crate) async fn decline(&self, entry_id: i64) -> offer::Refusal {
        let offer_id = self.offer_of(entry_id).await;
        offer::decline(&mut *self.conn().await, offer_id, self.now()).await.expect("an answer")
    }

    pub(crate) async fn withdraw(&self, entry_id: i64) -> entry::Left {
        entry::withdraw(&mut *self.conn().await, entry_id, self.now()).await.expect("a withdrawal")
    }

    /// Suppresses the person behind an entry as `people::stop` does, in one transaction with what follows for the waitlist.
    pub(crate) async fn suppress(&self, entry_id: i64) {
        let mut tx = self.app.db.pool.begin().await.expect("a transaction");
        sqlx::query(
            "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
            SELECT decode(lpad(to_hex(subscriber_id), 64, '0'), 'hex'), 'k', subscriber_id, 'manual', 'a test', $2 FROM entries WHERE id = $1",
        )
        .bind(entry_id)
        .bind(tidings::base::time::to_db(self.now()))
        .execute(&mut *tx)
        .await
        .expect("a suppression");
        let subscriber_id = sqlx::query_scalar("SELECT subscriber_id FROM entries WHERE id = $1").bind(entry_id).fetch_one(&mut *tx).await;
        entry::on_suppressed(&mut tx, subscriber_id.expect("a subscriber"), self.now()).await.expect("what follows");
        tx.commit().await.expect("a commit");
    }

    /// Lifts what stands against the person behind an entry.
    pub(crate) async fn lift(&self, entry_id: i64) {
        sqlx::query(
            "UPDATE suppressions SET lifted_at = $2, lifted_reason = 'a test' WHERE lifted_at IS NULL
            AND subscriber_id = (SELECT subscriber_id FROM entries WHERE id = $1)",
        )
        .bind(entry_id)
        .bind(tidings::base::time::to_db(self.now()))
        .execute(&mut *self.conn().await)
        .await
        .expect("a lifting");
    }

    /// Where an entry stands.
    pub(crate) async fn state(&self, entry_id: i64) -> String {
        self.text(&format!("SELECT state FROM entries WHERE id = {entry_id}")).await
    }

    /// The states of the entries, one after the other.
    pub(crate) async fn states(&self, entries: &[i64]) -> Vec<String> {
        let mut states = Vec::new();
        for id in entries {
            states.push(self.state(*id).await);
        }
        states
    }

    /// The entries with open offers, in the order in which these were made.
    pub(crate) async fn offered(&self) -> Vec<i64> {
        self.numbers("SELECT entry_id FROM offers WHERE state = 'open' ORDER BY id").await
    }

    /// Where the mail of this owner and kind stands; `none` when there is none.
    pub(crate) async fn mail(&self, owner: &str, kind: &str) -> String {
        self.text(&format!(
            "SELECT coalesce((SELECT d.state FROM transactional t JOIN deliveries d ON d.id = t.delivery_id
            WHERE t.owner = '{owner}' AND t.kind = '{kind}'), 'none')"
        ))
        .await
    }

    pub(crate) async fn wakes(&self) -> i64 {
        self.number("SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8') LIKE '%advance_waitlist%'").await
    }

    pub(crate) async fn number(&self, statement: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *self.conn().await).await.expect("a number")
    }

    pub(crate) async fn numbers(&self, statement: &str) -> Vec<i64> {
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut *self.conn().await).await.expect("numbers")
    }

    pub(crate) async fn text(&self, statement: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *self.conn().await).await.expect("a text")
    }

    pub(crate) async fn run(&self, statement: &str) -> Result<u64, sqlx::Error> {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *self.conn().await).await.map(|done| done.rows_affected())
    }

    /// Changes the program's terms.
    pub(crate) async fn edit(&self, change: impl FnOnce(&mut Particulars)) {
        let mut conn = self.conn().await;
        let mut particulars = program::find(&mut conn, SLUG).await.expect("a program").particulars();
        change(&mut particulars);
        program::edit(&mut conn, SLUG, &particulars, self.now()).await.expect("an edit");
    }
}

pub(crate) fn particulars() -> Particulars {
    Particulars {
        name: "The autumn course".to_owned(),
        description: "Ten evenings.".to_owned(),
        after_expiry: AfterExpiry::Back,
        next_text: "Bring a mat.".to_owned(),
        next_link: Some("https://example.org/next".to_owned()),
        enrolment_ends_at: None,
        starts_at: None,
    }
}

pub(crate) fn new_opening(now: Timestamp) -> NewOpening {
    NewOpening {
        number: None,
        mode: Mode::Offers,
        seats: 1,
        opens_at: now,
        ends_at: None,
        zone: "Europe/London".to_owned(),
        offer_for: HOUR * 48,
        remind_before: HOUR * 12,
        after_expiry: None,
    }
}
