//! Every recipient is in exactly one state, whatever happens in whatever order: random walks of planning, sending, failing,
//! putting off, stopping, taking back, pausing, resuming, cancelling and dying, with the sums taken after every step.
//!
//! The sums come out of SQL of their own and out of the report, and both must say the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use sqlx::Row;
use tidings::base::time::to_db;
use tidings::campaigns::states::{CampaignState, Late};
use tidings::campaigns::{CampaignError, campaign, due, edition, planning, preflight, report};
use tidings::delivery::Key;
use tidings::delivery::ledger::claim::{self, Claimed};
use tidings::delivery::ledger::mark::{self, Ending, Mark, Record};
use tidings::delivery::ledger::resolve::{Resolution, resolve};
use tidings::delivery::ledger::{lease, look};
use tidings::delivery::pump::letter::Letters;
use tidings::delivery::relay::{Answer, Handed, MemoryBox};
use tidings::delivery::reply::Phase;
use tidings::people::stop::{self, Scope, Source};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::story::{Story, WEEKLY, memory};

const LEASE: Duration = Duration::from_secs(3_600);
const PEOPLE: usize = 12;
/// What the walks have to come through, or they show little.
const STATES: [&str; 14] = [
    "sent",
    "failed",
    "skipped",
    "unconfirmed",
    "cancelled",
    "queued",
    "claimed",
    "handing_over",
    "deferred",
    "edition running",
    "edition held",
    "edition paused",
    "edition finished",
    "edition cancelled",
];

#[tokio::test]
async fn the_sums_hold_after_every_step_of_a_random_walk_on_the_ledger() {
    let (mut walks, mut seen) = (0, BTreeSet::new());
    while walks < 8 || (walks < 40 && !STATES.iter().all(|state| seen.contains(*state))) {
        let mut walk = Walk::new(walks).await;
        for number in 0..80 {
            let step = walk.step().await;
            assert_sums(&walk.story, &format!("walk {walks}, step {number}: {step}")).await;
            seen.extend(walk.states().await);
        }
        walk.end().await;
        walks += 1;
    }
    let unseen: Vec<&str> = STATES.into_iter().filter(|state| !seen.contains(*state)).collect();
    assert!(unseen.is_empty(), "{walks} walks never came to {unseen:?}");
}

#[tokio::test]
async fn the_sums_hold_when_the_pump_itself_is_killed_again_and_again() {
    let story = Story::new().await;
    story.tips(6).await;
    story.subscribers(120).await;
    story.campaign(Late::Fire).await;
    let mut dice = story.app.dice("the pump");
    let mails = MemoryBox::default();
    let death = Arc::new(Death::default());
    be_unreliable(&mails, story.app.dice("the relay"), death.clone());
    let begun = Instant::now();
    let in_doubt = "SELECT count(*) FROM deliveries WHERE reason LIKE 'the worker ended before%'";
    for round in 0..60 {
        // Long enough, and until a death came between a mark and its answer: on a busy machine that takes some more of them.
        let enough = round >= 12 || begun.elapsed() > Duration::from_secs(12);
        if enough && story.number(in_doubt).await > 0 {
            break;
        }
        story.app.wait(SignedDuration::from_mins(if round % 3 == 0 { 60 * 24 * 4 } else { 8 }));
        if round % 3 == 0 {
            story.run_edition().await;
        }
        death.at.store(dice.random_range(1..60), Ordering::Relaxed);
        let death = death.clone();
        // Or within this time, in planning or a look at the mails, wherever it is then.
        let soon = Duration::from_millis(dice.random_range(500..3_000));
        story.work_until(vec![memory(&mails, 4)], async move { drop(tokio::time::timeout(soon, death.now.notified()).await) }).await;
        assert_sums(&story, &format!("round {round}")).await;
        // The lease of the dead runs out.
        story.tamper("UPDATE workers SET seen_at = seen_at - interval '1 day'").await;
        lease::bury(&mut *story.conn().await, LEASE, story.app.now()).await.expect("buried");
        assert_sums(&story, &format!("round {round}, buried")).await;
    }
    mails.answer_with(|_| Answer::Accept);
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.run_until_idle(&app).await;
    assert_sums(&story, "the end").await;
    assert!(story.number(in_doubt).await > 0, "some of the deaths left a mail in doubt");
    let mut ids: Vec<String> = mails.handed().into_iter().map(|mail| mail.message_id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "nothing is sent twice");
}

/// The pump dies in the middle of a hand-over, counted from the beginning of its life.
#[derive(Default)]
struct Death {
    at: AtomicUsize,
    now: Notify,
}

fn be_unreliable(mails: &MemoryBox, mut dice: ChaCha8Rng, death: Arc<Death>) {
    mails.answer_with(move |_: &Handed| {
        // A relay takes some time, so that several mails are under way at once when it fails.
        std::thread::sleep(Duration::from_millis(1));
        if death.at.fetch_sub(1, Ordering::Relaxed) == 1 {
            death.now.notify_one();
        }
        match dice.random_range(0..20) {
            0 => Answer::Reply(Phase::Rcpt, "550 5.2.1 switched off".to_owned()),
            1 | 2 => Answer::Reply(Phase::Mail, "450 4.2.0 later".to_owned()),
            3 => Answer::LoseBeforeBody,
            4 => Answer::LoseAfterBody(true),
            5 => Answer::LoseAfterBody(false),
            _ => Answer::Accept,
        }
    });
}

/// A campaign with a few dozen people, and one or two workers in whose hands things are.
struct Walk {
    story: Story,
    letters: Arc<Letters>,
    dice: ChaCha8Rng,
    topic: i64,
    people: Vec<i64>,
    worker: i64,
    writer: mark::Writer,
    held: Vec<Held>,
}

/// A delivery in the worker's hands.
struct Held {
    claimed: Claimed,
    marked: Option<i32>,
}

impl Held {
    fn mark(&self) -> Mark {
        Mark { key: self.claimed.key, fence: self.claimed.fence }
    }

    fn record(&self, fence: i32, ending: Ending) -> Record {
        let reason = (!matches!(ending, Ending::Sent | Ending::NotBegun)).then(|| "as it happened".to_owned());
        Record { key: self.claimed.key, edition_id: self.claimed.edition_id, fence, ending, reason, reply: None, pause: None }
    }
}

impl Walk {
    async fn new(number: usize) -> Walk {
        let story = Story::new().await;
        seed(&story).await;
        story.campaign(Late::Ask).await;
        let worker = lease::register(&mut *story.conn().await, "walker").await.expect("a worker");
        let topic = story.number("SELECT id FROM topics").await;
        let people =
            sqlx::query_scalar("SELECT id FROM subscribers ORDER BY id").fetch_all(&mut *story.conn().await).await.expect("people");
        let letters = Arc::new(Letters::new(story.jobs(Vec::new()).setup.clone()));
        if number % 2 == 1 {
            story.tamper("UPDATE subscribers SET address = 'no address at all' WHERE id = (SELECT max(id) FROM subscribers)").await;
        }
        match number % 3 {
            0 => story.run_edition().await,
            1 => story.app.wait(SignedDuration::from_hours(27)),
            // Too late for the campaign's hour: that edition will be held.
            _ => story.app.wait(SignedDuration::from_hours(34)),
        }
        story.plan().await;
        let dice = story.app.dice(&format!("walk {number}"));
        Walk { story, letters, dice, topic, people, worker, writer: mark::Writer::new(worker, LEASE), held: Vec::new() }
    }

    async fn step(&mut self) -> &'static str {
        match self.dice.random_range(0..40) {
            0 | 1 => self.open().await,
            2..=5 => self.plan().await,
            6..=12 => self.claim().await,
            13..=18 => self.mark().await,
            19..=24 => self.record().await,
            25 | 26 => self.leave().await,
            27 => self.take_back().await,
            28 => self.pause().await,
            29..=31 => self.resume().await,
            32 => self.decide().await,
            33 => self.die().await,
            34 => self.resolve().await,
            35 => self.sweep().await,
            36 | 37 => self.wait(),
            38 => self.send_all().await,
            _ => self.cancel().await,
        }
    }

    async fn open(&mut self) -> &'static str {
        // Refused while it is paused or over, or within the same second.
        let _ = edition::run(&mut *self.story.conn().await, WEEKLY, true, self.story.app.now()).await;
        "an edition is run"
    }

    async fn plan(&mut self) -> &'static str {
        let mut conn = self.story.conn().await;
        due::open_due(&mut conn, self.story.app.now()).await.expect("open editions");
        if let Some(edition) = due::plannable(&mut conn).await.expect("editions").choose(&mut self.dice) {
            planning::plan_slice(&mut conn, *edition, self.story.app.now()).await.expect("a slice");
        }
        for edition in preflight::unchecked(&mut conn).await.expect("editions") {
            preflight::check_portion(&mut conn, &self.letters, edition, self.story.app.now()).await.expect("a portion");
        }
        "a slice is planned"
    }

    async fn claim(&mut self) -> &'static str {
        let mut conn = self.story.conn().await;
        let now = self.story.app.now();
        look::start_due(&mut conn, now).await.expect("started");
        let due = look::editions_due(&mut conn, now).await.expect("editions");
        if let Some(edition) = due.choose(&mut self.dice) {
            let limit = self.dice.random_range(1..15);
            let claim = claim::edition(&mut conn, self.worker, (edition.id, edition.first), now, limit).await.expect("a claim");
            self.held.extend(claim.taken.into_iter().map(|claimed| Held { claimed, marked: None }));
        }
        "some are claimed"
    }

    async fn mark(&mut self) -> &'static str {
        let wanted: Vec<Mark> = self.some(|held| held.marked.is_none()).into_iter().map(Held::mark).collect();
        let marked = self.write(&[], &wanted).await;
        let refused: Vec<Mark> = wanted.iter().filter(|mark| !marked.contains_key(&mark.key)).copied().collect();
        mark::take_back(&mut *self.story.conn().await, self.worker, &refused).await.expect("taken back");
        self.held.retain(|held| refused.iter().all(|mark| mark.key != held.claimed.key));
        for held in &mut self.held {
            held.marked = marked.get(&held.claimed.key).copied().or(held.marked);
        }
        "some are marked"
    }

    async fn record(&mut self) -> &'static str {
        let now = self.story.app.now();
        let keys: Vec<Key> = self.some(|_| true).iter().map(|held| held.claimed.key).collect();
        let mut records = Vec::new();
        for held in self.held.iter().filter(|held| keys.contains(&held.claimed.key)) {
            records.push(ending(held, now, &mut self.dice));
        }
        self.write(&records, &[]).await;
        self.held.retain(|held| !keys.contains(&held.claimed.key));
        "some have ended"
    }

    async fn send_all(&mut self) -> &'static str {
        for _ in 0..10 {
            self.claim().await;
            let wanted: Vec<Mark> = self.held.iter().filter(|held| held.marked.is_none()).map(Held::mark).collect();
            let marked = self.write(&[], &wanted).await;
            let sent: Vec<Record> =
                self.held.drain(..).filter_map(|held| Some(held.record(*marked.get(&held.claimed.key)?, Ending::Sent))).collect();
            self.write(&sent, &[]).await;
            mark::take_back(&mut *self.story.conn().await, self.worker, &wanted).await.expect("taken back");
        }
        self.sweep().await;
        "all is sent"
    }

    async fn leave(&mut self) -> &'static str {
        let scope = if self.dice.random_bool(0.3) { Scope::Everything } else { Scope::Topic(self.topic) };
        let person = *self.people.choose(&mut self.dice).expect("people");
        let (pool, keyring) = (&self.story.app.db.pool, &self.story.app.keyring);
        stop::unsubscribe(pool, keyring, person, scope, Source::Page, self.story.app.now()).await.expect("a stop");
        "somebody leaves"
    }

    async fn take_back(&mut self) -> &'static str {
        for _ in 0..10 {
            let person = *self.people.choose(&mut self.dice).expect("people");
            stop::undo(&self.story.app.db.pool, person, self.topic, self.story.app.now()).await.expect("an answer");
        }
        "some take it back"
    }

    async fn pause(&mut self) -> &'static str {
        // Refused when it is paused or over.
        let _ = campaign::pause(&mut *self.story.conn().await, WEEKLY, "a test", self.story.app.now()).await;
        "the campaign is paused"
    }

    async fn resume(&mut self) -> &'static str {
        let _ = campaign::resume(&mut *self.story.conn().await, WEEKLY, self.story.app.now()).await;
        "the campaign is resumed"
    }

    async fn decide(&mut self) -> &'static str {
        let mut conn = self.story.conn().await;
        // Refused when nothing is held.
        let _ = match self.dice.random_range(0..3) {
            0 => edition::release(&mut conn, WEEKLY, self.story.app.now()).await,
            1 => edition::skip(&mut conn, WEEKLY, self.story.app.now()).await,
            _ => preflight::accept(&mut conn, WEEKLY, self.story.app.now()).await,
        };
        "what is held is released, skipped or accepted"
    }

    /// The worker dies; now and then its last results arrive late.
    async fn die(&mut self) -> &'static str {
        self.story.tamper("UPDATE workers SET seen_at = seen_at - interval '2 hours'").await;
        lease::bury(&mut *self.story.conn().await, LEASE, self.story.app.now()).await.expect("buried");
        assert_sums(&self.story, "buried").await;
        if self.dice.random_bool(0.5) {
            self.record().await;
        }
        self.held.clear();
        self.worker = lease::register(&mut *self.story.conn().await, "walker").await.expect("a worker");
        self.writer = mark::Writer::new(self.worker, LEASE);
        "the worker dies"
    }

    async fn resolve(&mut self) -> &'static str {
        let unconfirmed: Vec<i64> = sqlx::query_scalar("SELECT id FROM deliveries WHERE state = 'unconfirmed'")
            .fetch_all(&mut *self.story.conn().await)
            .await
            .expect("ids");
        if let Some(id) = unconfirmed.choose(&mut self.dice) {
            let word = *[Resolution::Sent, Resolution::Failed, Resolution::Again].choose(&mut self.dice).expect("a word");
            // Refused the second time, and when the edition is over.
            let _ = resolve(&mut *self.story.conn().await, *id, word, self.story.app.now()).await;
        }
        "an operator says what became of one"
    }

    async fn sweep(&mut self) -> &'static str {
        let mut conn = self.story.conn().await;
        due::start_due(&mut conn, self.story.app.now()).await.expect("started");
        due::finish(&mut conn, self.story.app.now()).await.expect("finished");
        "what is done is finished"
    }

    fn wait(&mut self) -> &'static str {
        let minutes = *[2, 20, 60, 60 * 5, 60 * 5, 60 * 24 * 3].choose(&mut self.dice).expect("a time");
        self.story.app.wait(SignedDuration::from_mins(minutes));
        "time passes"
    }

    async fn cancel(&mut self) -> &'static str {
        if self.dice.random_bool(0.5) {
            match campaign::cancel(&mut *self.story.conn().await, WEEKLY, self.story.app.now()).await {
                Ok(_) | Err(CampaignError::State { state: CampaignState::Cancelled, .. }) => {}
                Err(error) => panic!("it is not cancelled: {error}"),
            }
        }
        "the campaign may be cancelled"
    }

    async fn write(&mut self, records: &[Record], marks: &[Mark]) -> std::collections::HashMap<Key, i32> {
        self.writer.write(&mut *self.story.conn().await, self.story.app.now(), records, marks).await.expect("written")
    }

    fn some(&mut self, fit: impl Fn(&Held) -> bool) -> Vec<&Held> {
        let share = self.dice.random_range(0.2..1.0);
        let dice = &mut self.dice;
        self.held.iter().filter(|held| fit(held) && dice.random_bool(share)).collect()
    }

    async fn states(&self) -> Vec<String> {
        self.story.texts("SELECT DISTINCT state FROM deliveries UNION SELECT 'edition ' || state FROM editions").await
    }

    async fn end(self) {
        lease::leave(&mut *self.story.conn().await, self.worker, self.story.app.now()).await.expect("an end in order");
        assert_sums(&self.story, "the end").await;
    }
}

fn ending(held: &Held, now: jiff::Timestamp, dice: &mut ChaCha8Rng) -> Record {
    let ending = match (held.marked, dice.random_range(0..10)) {
        (None, 0) => Ending::Failed { refused_address: false },
        (None, _) => Ending::NotBegun,
        (Some(_), 0) => Ending::NotBegun,
        (Some(_), 1) => Ending::Unconfirmed,
        (Some(_), 2) => Ending::Failed { refused_address: dice.random_bool(0.5) },
        (Some(_), 3 | 4) => {
            Ending::Deferred { until: now + SignedDuration::from_mins(dice.random_range(1..300)), counted: dice.random_bool(0.8) }
        }
        (Some(_), _) => Ending::Sent,
    };
    let pause = (dice.random_range(0..60) == 0).then(|| "the relay refused us".to_owned());
    Record { pause, ..held.record(held.marked.unwrap_or(held.claimed.fence), ending) }
}

/// The sums of every edition by SQL of their own, and the report's.
async fn assert_sums(story: &Story, when: &str) {
    let mut conn = story.conn().await;
    let rows = sqlx::query(
        "SELECT e.occurrence, e.state, e.counted, e.planned, count(d.id) AS rows,
            count(*) FILTER (WHERE d.state IN ('queued', 'claimed', 'handing_over', 'deferred')) AS to_do,
            count(*) FILTER (WHERE d.state = 'sent') AS sent, count(*) FILTER (WHERE d.state = 'failed') AS failed,
            count(*) FILTER (WHERE d.state = 'skipped') AS skipped, count(*) FILTER (WHERE d.state = 'unconfirmed') AS unconfirmed,
            count(*) FILTER (WHERE d.state = 'cancelled') AS cancelled
        FROM editions e LEFT JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id GROUP BY e.id, e.period ORDER BY e.starts_at, e.id",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("sums");
    let report = report::report(&mut conn, WEEKLY, None).await.expect("a report");
    let report = serde_json::to_value(&report).expect("JSON");
    let said = report["editions"].as_array().expect("editions");
    assert_eq!(said.len(), rows.len(), "{when}");
    for row in &rows {
        let occurrence: &str = row.get("occurrence");
        let number = |column: &str| row.get::<i64, _>(column);
        let parts = ["sent", "failed", "skipped", "unconfirmed", "cancelled", "to_do"];
        let sum: i64 = parts.iter().map(|part| number(part)).sum();
        assert_eq!((number("counted"), number("rows")), (sum, sum), "{when}: edition {occurrence}");
        let planned = row.get::<Option<i64>, _>("planned");
        assert!(planned.is_none_or(|planned| planned == sum), "{when}: edition {occurrence} planned {planned:?} of {sum}");
        assert!(
            row.get::<&str, _>("state") != "finished" || number("to_do") == 0,
            "{when}: edition {occurrence} is finished with work to do"
        );
        let edition =
            said.iter().find(|edition| edition["edition"] == occurrence).unwrap_or_else(|| panic!("{when}: {occurrence} is in the report"));
        assert_eq!(edition["planned"].as_i64(), planned, "{when}");
        assert!(parts.iter().all(|part| edition[*part].as_i64() == Some(number(part))), "{when}: {edition}");
    }
    // Who is to get, got or may have got a segment is known to have it, once; and nobody else is.
    let given = "SELECT count(*) FROM (
        (SELECT subscriber_id, segment_id FROM deliveries WHERE segment_id IS NOT NULL AND state NOT IN ('failed', 'skipped', 'cancelled')
         EXCEPT ALL SELECT subscriber_id, segment_id FROM segments_given)
        UNION ALL
        (SELECT subscriber_id, segment_id FROM segments_given
         EXCEPT ALL SELECT subscriber_id, segment_id FROM deliveries WHERE state NOT IN ('failed', 'skipped', 'cancelled'))) AS apart";
    let apart: i64 = sqlx::query_scalar(given).fetch_one(&mut *conn).await.expect("a count");
    assert_eq!(apart, 0, "{when}: segments given and deliveries do not agree");
}

/// The people and the tips of a walk, by SQL: each walk has a database of its own, and there are many walks.
async fn seed(story: &Story) {
    let now = to_db(story.app.now());
    for statement in [
        "INSERT INTO topics (slug, name) VALUES ('weekly', 'weekly')",
        "INSERT INTO series (name, topic_id, created_at) SELECT 'weekly', id, now() FROM topics",
        "INSERT INTO articles (series_id, slug, created_at) SELECT id, 'care', now() FROM series",
        "INSERT INTO article_revisions (article_id, number, title, format, source, fingerprint, imported_at) SELECT id, 1, 'Care', 'markdown', '', '', now() FROM articles",
        "INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at)
         SELECT article_id, n, '{Care}', n::text, id, now() FROM article_revisions, generate_series(1, 8) AS n",
        "INSERT INTO tips (series_id, segment_id, position, state, created_at) SELECT 1, id, position, 'approved', now() FROM segments",
        "INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, because, created_at) SELECT id, 1, 'Care', 'With care', 'Care', 'import', now() FROM tips",
        "UPDATE tips SET revision_id = tip_revisions.id FROM tip_revisions WHERE tip_id = tips.id",
    ] {
        story.tamper(statement).await;
    }
    sqlx::query("INSERT INTO subscribers (address, address_key, created_at) SELECT a, a, $1 FROM (SELECT 'person-' || n || '@example.org' AS a FROM generate_series(1, $2) AS n) AS x")
        .bind(now)
        .bind(PEOPLE as i32)
        .execute(&mut *story.conn().await)
        .await
        .expect("people");
    story.tamper("INSERT INTO subscriptions SELECT s.id, t.id, 'confirmed', s.created_at FROM subscribers s, topics t").await;
    story.tamper("INSERT INTO consents (subscriber_id, topic_id, act, source, at) SELECT s.id, t.id, 'confirmed', 'import', s.created_at FROM subscribers s, topics t").await;
}
