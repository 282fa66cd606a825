//! The story that the tests of leaving begin with.

use jiff::{Timestamp, civil::Date};
use sqlx::query_scalar;
use tidings::audience::subscriber::NewSubscriber;
use tidings::audience::subscription::{self, Outcome};
use tidings::audience::topic::Topic;
use tidings::base::time::{civil_to_db, to_db};
use tidings::delivery::Key;
use tidings::delivery::ledger::{claim, lease, mark};
use tidings::people::stop::{self, Scope, Source, Standing, Stopped, Undone};

use super::LEASE;
use crate::support::{TestApp, let_pass};

/// An edition of a weekly campaign that is due on Tuesday at nine, and two people who are subscribed to its topic.
pub(super) struct Story {
    pub(super) app: TestApp,
    pub(super) back: Topic,
    pub(super) sleep: Topic,
    pub(super) ana: i64,
    pub(super) bea: i64,
    pub(super) period: Date,
}

impl Story {
    pub(super) async fn new() -> Self {
        let app = TestApp::at("2026-01-13T09:00:00Z").await;
        let topic = |id, slug: &str, name: &str| Topic { id, slug: slug.to_owned(), name: name.to_owned() };
        let (back, sleep) = (topic(1, "back", "Back care"), topic(2, "sleep", "Sleep"));
        let mut story = Self { app, back, sleep, ana: 0, bea: 0, period: jiff::civil::date(2026, 1, 1) };
        for statement in [
            "INSERT INTO topics (slug, name) VALUES ('back', 'Back care'), ('sleep', 'Sleep')",
            "INSERT INTO campaigns (name, kind, state, topic_id, starts_at, zone, tolerance_seconds, deadline_seconds, created_at)
             VALUES ('tips', 'broadcast', 'running', 1, now(), 'UTC', 21600, 172800, now())",
            "INSERT INTO editions (period, campaign_id, occurrence, state, starts_at, late, tolerance_seconds, deadline_seconds, created_at)
             VALUES ('2026-01-01', 1, '2026-01-13', 'running', '2026-01-13T09:00:00Z', 'ask', 21600, 172800, now())",
            "SELECT ensure_deliveries_partition('2026-01-01')",
            "INSERT INTO workers (name) VALUES ('another')",
        ] {
            story.run(statement).await;
        }
        story.ana = story.add("ana@example.org", &story.back).await;
        story.bea = story.add("bea@example.org", &story.back).await;
        story
    }

    pub(super) async fn add(&self, email: &str, topic: &Topic) -> i64 {
        let person = NewSubscriber::read(email, "", "", "").expect("a person");
        let outcome =
            subscription::add(&self.app.db.pool, &self.app.keyring, topic, person, "a test", self.app.now()).await.expect("an answer");
        let Outcome::Added(id) = outcome else { panic!("{email} was not added: {outcome:?}") };
        id
    }

    pub(super) async fn delivery(&self, person: i64, topic: i64, basis: &'static str, state: &'static str) -> Key {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        insert_delivery(&mut conn, self, person, topic, basis, state).await
    }

    pub(super) async fn leave(&self, person: i64, scope: Scope) -> Stopped {
        stop::unsubscribe(&self.app.db.pool, &self.app.keyring, person, scope, Source::Page, self.app.now()).await.expect("a stop")
    }

    pub(super) async fn undo(&self) -> Undone {
        stop::undo(&self.app.db.pool, self.ana, 1, self.app.now()).await.expect("an answer")
    }

    pub(super) async fn standing(&self, person: i64, topic: &Topic) -> Standing {
        stop::standing(&self.app.db.pool, person, topic.id, self.app.now()).await.expect("an answer").expect("a person and a topic")
    }

    pub(super) async fn worker(&self) -> i64 {
        lease::register(&mut self.app.db.pool.acquire().await.expect("a connection"), "worker").await.expect("a worker")
    }

    pub(super) async fn claim(&self, worker: i64) -> Vec<claim::Claimed> {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        let_pass(&mut conn).await;
        claim::edition(&mut conn, worker, (1, claim::Place::START), self.app.now(), 100).await.expect("a claim").taken
    }

    pub(super) async fn mark(&self, worker: i64, marks: &[mark::Mark]) -> bool {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        !mark::Writer::new(worker, LEASE).write(&mut conn, self.app.now(), &[], marks).await.expect("marks").is_empty()
    }

    pub(super) async fn give_back(&self, worker: i64) {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        lease::leave(&mut conn, worker, self.app.now()).await.expect("a leave");
    }

    pub(super) async fn state(&self, key: Key) -> String {
        query_scalar("SELECT state FROM deliveries WHERE id = $1").bind(key.id).fetch_one(&self.app.db.pool).await.expect("a state")
    }

    pub(super) async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.db.pool).await.expect(statement);
    }

    pub(super) async fn texts(&self, statement: &'static str) -> Vec<String> {
        query_scalar(statement).fetch_all(&self.app.db.pool).await.expect(statement)
    }
}

// Outside an edition (one person has one delivery of each) unless it is her first of the topic; its segment bears its number.
pub(super) async fn insert_delivery(
    conn: &mut sqlx::PgConnection,
    story: &Story,
    person: i64,
    topic: i64,
    basis: &str,
    state: &str,
) -> Key {
    let now: Timestamp = story.app.now();
    let statement = "INSERT INTO deliveries (period, edition_id, subscriber_id, topic_id, segment_id, due_at, ready_at, handing_over_at, worker_id, attempts,
            basis, template, state, reason)
        SELECT $1, CASE WHEN $5 = 'topic' AND NOT EXISTS (SELECT FROM deliveries WHERE subscriber_id = $2 AND edition_id = 1) THEN 1 END, $2, $3,
            0, $4, CASE WHEN $6 IN ('queued', 'deferred') THEN $4 END,
            CASE WHEN $6 IN ('handing_over', 'sent', 'unconfirmed') THEN $4 END,
            CASE WHEN $6 IN ('claimed', 'handing_over', 'sent', 'unconfirmed') THEN 1 END, ($6 IN ('deferred', 'failed', 'sent', 'unconfirmed'))::integer,
            $5, 'weekly_tip', $6, CASE WHEN $6 IN ('deferred', 'failed', 'unconfirmed') THEN 'x' END
        RETURNING id";
    let id: i64 = query_scalar(statement)
        .bind(civil_to_db(story.period))
        .bind(person)
        .bind(topic)
        .bind(to_db(now))
        .bind(basis)
        .bind(state)
        .fetch_one(&mut *conn)
        .await
        .expect("a delivery");
    sqlx::query("UPDATE deliveries SET segment_id = id WHERE id = $1").bind(id).execute(&mut *conn).await.expect("a segment");
    sqlx::query("INSERT INTO segments_given VALUES ($1, $2)").bind(person).bind(id).execute(&mut *conn).await.expect("a segment");
    Key { period: story.period, id }
}

pub(super) async fn subscription_to(story: &Story, person: i64, topic: &Topic) {
    sqlx::query("INSERT INTO subscriptions VALUES ($1, $2, 'confirmed', now())")
        .bind(person)
        .bind(topic.id)
        .execute(&story.app.db.pool)
        .await
        .expect("a subscription");
}
