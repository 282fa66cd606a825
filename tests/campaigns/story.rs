//! What the stories of campaigns begin with: a series with approved tips, people subscribed to it, and a worker that
//! hands over whatever it can claim, through the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};
use tidings::campaigns::campaign::{self, NewWeekly};
use tidings::campaigns::report::{self, EditionReport};
use tidings::campaigns::states::{FirstTip, Late};
use tidings::campaigns::store::Campaign;
use tidings::campaigns::{due, edition, planning};
use tidings::delivery::ledger::claim::Claimed;
use tidings::delivery::ledger::mark::{self, Ending, Mark, Record};
use tidings::delivery::ledger::{claim, lease};

use crate::support::{TestApp, let_pass};

/// The campaign of most stories.
pub(crate) const NAME: &str = "weekly tips";
const LEASE: Duration = Duration::from_secs(3_600);

/// A series, its readers and a worker.
pub(crate) struct Story {
    /// The application.
    pub(crate) app: TestApp,
    /// The worker's boot id.
    pub(crate) worker: i64,
}

impl Story {
    /// A series of `tips` approved tips and nobody subscribed, at a Monday morning.
    pub(crate) async fn new(tips: i32) -> Story {
        let app = TestApp::new().await;
        let worker = lease::register(&mut app.db.pool.acquire().await.expect("a connection"), "worker").await.expect("a worker");
        let story = Story { app, worker };
        story
            .run(
                "INSERT INTO topics (slug, name) VALUES ('tips', 'Tips'), ('news', 'News');
                INSERT INTO series (name, topic_id, created_at) VALUES ('Tips', 1, now());
                INSERT INTO articles (series_id, slug, created_at) VALUES (1, 'article', now());
                INSERT INTO article_revisions (article_id, number, title, format, source, fingerprint, imported_at)
                    VALUES (1, 1, 'Article', 'markdown', '', '', now())",
            )
            .await;
        story.add_tips(tips).await;
        story
    }

    /// Appends approved tips; tip n is segment n is revision n.
    pub(crate) async fn add_tips(&self, tips: i32) {
        for _ in 0..tips {
            self.run(
                "WITH s AS (INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at)
                        VALUES (1, 1, '{}', '', 1, now()) RETURNING id)
                INSERT INTO tips (series_id, segment_id, position, state, created_at) SELECT 1, id, id, 'approved', now() FROM s;
                INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, because, created_at)
                    SELECT id, 1, 'Tip ' || id, '', 'x', 'import', now() FROM tips WHERE revision_id IS NULL;
                UPDATE tips SET revision_id = r.id FROM tip_revisions r WHERE r.tip_id = tips.id AND tips.revision_id IS NULL",
            )
            .await;
        }
    }

    /// Adds confirmed subscribers of the series' topic.
    pub(crate) async fn add_people(&self, people: usize) {
        self.run(&format!(
            "WITH s AS (INSERT INTO subscribers (address, address_key, created_at)
                SELECT a, a, now() FROM (SELECT gen_random_uuid() || '@example.org' AS a FROM generate_series(1, {people})) x RETURNING id)
            INSERT INTO subscriptions SELECT id, 1, 'confirmed', now() FROM s"
        ))
        .await;
    }

    /// Adds one, with what is to be set of her row.
    pub(crate) async fn add_person(&self, name: &str, set: &str) -> i64 {
        self.add_people(1).await;
        let id = self.number("SELECT max(id) FROM subscribers").await;
        let set = if set.is_empty() { String::new() } else { format!(", {set}") };
        self.run(&format!("UPDATE subscribers SET name = '{name}'{set} WHERE id = {id}")).await;
        id
    }

    /// The weekly campaign of Tuesdays at nine in London.
    pub(crate) async fn schedule(&self) -> Campaign {
        self.schedule_with(|_| {}).await
    }

    /// The same, otherwise.
    pub(crate) async fn schedule_with(&self, change: impl FnOnce(&mut NewWeekly<'static>)) -> Campaign {
        let mut new = new_weekly();
        change(&mut new);
        campaign::create(&mut *self.conn().await, new, self.app.now()).await.expect("a campaign")
    }

    /// What a worker's sweep does: opens, starts, plans to the end, finishes.
    pub(crate) async fn sweep(&self) {
        let (mut conn, now) = (self.conn().await, self.app.now());
        due::open_due(&mut conn, now).await.expect("open");
        due::start_due(&mut conn, now).await.expect("start");
        for edition in due::plannable(&mut conn).await.expect("plannable") {
            while !planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done {}
        }
        let_pass(&mut conn).await;
        due::finish(&mut conn, now).await.expect("finish");
    }

    /// Turns the clock to `instant` and sweeps.
    pub(crate) async fn sweep_at(&self, instant: &str) {
        self.app.clock.set(at(instant));
        self.sweep().await;
    }

    /// An edition by an operator, planned.
    pub(crate) async fn run_edition(&self) -> String {
        let occurrence = edition::run(&mut *self.conn().await, NAME, true, self.app.now()).await.expect("an edition").to_string();
        self.sweep().await;
        occurrence
    }

    /// Claims up to `limit` deliveries of the running editions.
    pub(crate) async fn claim(&self, limit: i64) -> Vec<Claimed> {
        let (mut conn, mut taken) = (self.conn().await, Vec::new());
        for edition in self.numbers("SELECT id FROM editions WHERE state = 'running' ORDER BY id").await {
            let claim =
                claim::edition(&mut conn, self.worker, (edition, claim::Place::START), self.app.now(), limit).await.expect("a claim");
            taken.extend(claim.taken);
        }
        taken
    }

    /// Marks what was claimed; gives what may be handed over, with its fence.
    pub(crate) async fn mark(&self, claimed: Vec<Claimed>) -> Vec<(Claimed, i32)> {
        let marks: Vec<Mark> = claimed.iter().map(|c| Mark { key: c.key, fence: c.fence }).collect();
        let fences =
            mark::Writer::new(self.worker, LEASE).write(&mut *self.conn().await, self.app.now(), &[], &marks).await.expect("marks");
        claimed.into_iter().filter_map(|c| fences.get(&c.key).map(|fence| (c, *fence))).collect()
    }

    /// Records how they ended.
    pub(crate) async fn record(&self, marked: &[(Claimed, i32)], ending: Ending) {
        let reason = (!matches!(ending, Ending::Sent | Ending::NotBegun)).then(|| "the relay's word".to_owned());
        let record = |(claimed, fence): &(Claimed, i32)| Record {
            key: claimed.key,
            edition_id: claimed.edition_id,
            fence: *fence,
            ending,
            reason: reason.clone(),
            reply: None,
            pause: None,
        };
        let records: Vec<Record> = marked.iter().map(record).collect();
        mark::Writer::new(self.worker, LEASE).write(&mut *self.conn().await, self.app.now(), &records, &[]).await.expect("records");
    }

    /// Sends all that is due, and finishes.
    pub(crate) async fn send(&self) {
        loop {
            let marked = self.mark(self.claim(500).await).await;
            if marked.is_empty() {
                break;
            }
            self.record(&marked, Ending::Sent).await;
        }
        self.sweep().await;
    }

    /// The report of one edition, by its occurrence.
    pub(crate) async fn edition(&self, occurrence: &str) -> EditionReport {
        let mut report = report::report(&mut *self.conn().await, NAME, Some(occurrence)).await.expect("a report");
        report.editions.pop().expect("an edition")
    }

    /// Who got or will get what of an edition: `name: state tip reason`, by name.
    pub(crate) async fn outcome(&self, occurrence: &str) -> Vec<String> {
        self.texts(&format!(
            "SELECT concat_ws(' ', s.name || ':', d.state, d.segment_id, d.reason) FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
            JOIN editions e ON e.id = d.edition_id WHERE e.occurrence = '{occurrence}' ORDER BY s.name"
        ))
        .await
    }

    /// The states of all editions, by occurrence.
    pub(crate) async fn states(&self) -> BTreeMap<String, String> {
        let pairs = self.texts("SELECT occurrence || ' ' || state FROM editions").await;
        pairs.iter().filter_map(|pair| pair.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// A connection of its own.
    pub(crate) async fn conn(&self) -> PoolConnection<Postgres> {
        self.app.db.pool.acquire().await.expect("a connection")
    }

    /// Runs statements.
    pub(crate) async fn run(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.app.db.pool).await.expect("a statement");
    }

    /// A column of texts.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&self.app.db.pool).await.expect("rows")
    }

    /// A column of numbers.
    pub(crate) async fn numbers(&self, query: &str) -> Vec<i64> {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&self.app.db.pool).await.expect("rows")
    }

    /// One number.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.numbers(query).await[0]
    }
}

/// Tuesdays at nine in London.
pub(crate) fn new_weekly() -> NewWeekly<'static> {
    NewWeekly {
        name: NAME,
        series: "Tips",
        at: Some("Tue 09:00"),
        cron: None,
        zone: "Europe/London",
        subscriber_zone: false,
        late: Late::Ask,
        tolerance: SignedDuration::from_hours(6),
        deadline: SignedDuration::from_hours(48),
        first_tip: FirstTip::Next,
    }
}

/// An instant.
pub(crate) fn at(instant: &str) -> Timestamp {
    instant.parse().expect("an instant")
}
