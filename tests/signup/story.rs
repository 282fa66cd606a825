//! The story that the tests of signing up begin with: a publisher with two topics, a series of tips, and whoever comes along.

use std::net::{IpAddr, Ipv4Addr};

use jiff::SignedDuration;
use sqlx::AssertSqlSafe;
use tidings::audience::subscriber::NewSubscriber;
use tidings::audience::subscription;
use tidings::audience::topic::Topic;
use tidings::base::address::EmailAddress;
use tidings::campaigns::campaign::{self, NewWeekly};
use tidings::campaigns::states::{FirstTip, Late};
use tidings::campaigns::{due, planning};
use tidings::delivery::Key;
use tidings::delivery::ledger::{claim, lease};
use tidings::people::arrival::{self, Arrival};
use tidings::people::stop::{self, Scope, Source};
use tidings::signup::{self, Answer, Desk, Form, OpenTopic, Origin, Request};

use crate::support::{TestApp, let_pass};

const TWO_TOPICS: &str = "INSERT INTO topics (slug, name) VALUES ('back', 'Back care'), ('sleep', 'Sleep')";

/// Three approved tips of the first topic, the second for weeks 6 to 12 only.
const TIPS: &str = "INSERT INTO series (name, topic_id, created_at) VALUES ('Back care', 1, now());
    INSERT INTO articles (series_id, slug, created_at) VALUES (1, 'back', now());
    INSERT INTO article_revisions (article_id, number, title, format, source, fingerprint, imported_at) VALUES (1, 1, 'Back', 'text', '', 'f', now());
    INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at)
        SELECT 1, n, '{}', n::text, 1, now() FROM generate_series(1, 3) n;
    INSERT INTO tips (series_id, segment_id, position, state, stage_from, stage_to, created_at)
        SELECT 1, n, n, 'approved', CASE n WHEN 1 THEN 6 END, CASE n WHEN 1 THEN 12 END, now() FROM generate_series(1, 3) n;
    INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, because, created_at)
        SELECT n, 1, 'Tip ' || n, '', 'Words.', 'import', now() FROM generate_series(1, 3) n;
    UPDATE tips SET revision_id = id;";

pub(super) struct Story {
    pub(super) app: TestApp,
}

impl Story {
    /// Limits so high that only those of the address are met.
    pub(super) async fn new() -> Self {
        let none = ["HOST", "NETWORK", "KEY", "ALL"].map(|place| format!("TIDINGS_SIGNUP__{place}_PER_HOUR"));
        Self::with(&none.each_ref().map(|name| (name.as_str(), "1000000"))).await
    }

    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        let story = Self { app: TestApp::with("2026-01-12T06:00:00Z", settings).await };
        story.run(TWO_TOPICS).await;
        story
    }

    pub(super) fn desk(&self) -> Desk<'_> {
        Desk { pool: &self.app.db.pool, keyring: &self.app.keyring, rules: &self.app.config.signup, publisher: "Example Press" }
    }

    pub(super) async fn open(&self) -> Vec<OpenTopic> {
        signup::open_topics(&mut self.app.db.pool.acquire().await.expect("a connection")).await.expect("topics")
    }

    pub(super) async fn request(&self, form: &Form) -> Request {
        Request::read(form, &self.open().await, &self.app.config.signup).expect("a form")
    }

    /// Somebody asks for topics by their slugs, from a host of her own.
    pub(super) async fn ask(&self, email: &str, topics: &[&str]) -> Answer {
        self.ask_with(&form(email, topics), host(1)).await
    }

    pub(super) async fn ask_with(&self, form: &Form, origin: Origin) -> Answer {
        signup::subscribe(&self.desk(), &self.request(form).await, origin, self.app.now()).await.expect("an answer")
    }

    pub(super) async fn link(&self, email: &str) -> Answer {
        let address = EmailAddress::parse(email).expect("an address");
        signup::mail_link(&self.desk(), &address, host(1), self.app.now()).await.expect("an answer")
    }

    /// The last sign-up is confirmed.
    pub(super) async fn confirm(&self) -> Arrival {
        let seen = self.seen().await;
        self.confirm_what(&seen).await
    }

    /// The last sign-up is confirmed by somebody who saw this.
    pub(super) async fn confirm_what(&self, seen: &str) -> Arrival {
        let id = self.last_signup().await;
        arrival::confirm(&self.app.db.pool, &self.app.keyring, id, seen, self.app.now()).await.expect("an answer").expect("a sign-up")
    }

    /// What the page of the last sign-up shows, as a digest.
    pub(super) async fn seen(&self) -> String {
        let id = self.last_signup().await;
        signup::pending(&self.app.db.pool, id, self.app.now()).await.expect("an answer").expect("a sign-up").seen
    }

    /// The last sign-up was not hers.
    pub(super) async fn refuse(&self) -> Arrival {
        let id = self.last_signup().await;
        arrival::refuse(&self.app.db.pool, &self.app.keyring, id, self.app.now()).await.expect("an answer").expect("a sign-up")
    }

    pub(super) async fn last_signup(&self) -> i64 {
        self.number("SELECT max(id) FROM signups").await
    }

    /// Somebody is subscribed to a topic because an operator says so.
    pub(super) async fn subscribed(&self, email: &str, topic_id: i64) -> i64 {
        let topic = Topic { id: topic_id, slug: String::new(), name: "a topic".into() };
        let person = NewSubscriber::read(email, "", "", "").expect("a person");
        subscription::add(&self.app.db.pool, &self.app.keyring, &topic, person, "a test", self.app.now()).await.expect("an answer");
        self.number("SELECT max(id) FROM subscribers").await
    }

    pub(super) async fn leave(&self, person: i64, scope: Scope) {
        stop::unsubscribe(&self.app.db.pool, &self.app.keyring, person, scope, Source::Page, self.app.now()).await.expect("a stop");
    }

    /// A weekly campaign of the first topic, Tuesdays at nine in London, with three tips.
    pub(super) async fn campaign(&self, first_tip: FirstTip) {
        self.run(TIPS).await;
        let new = NewWeekly {
            name: "tips",
            series: "Back care",
            at: Some("Tue 09:00"),
            cron: None,
            zone: "Europe/London",
            subscriber_zone: true,
            late: Late::Ask,
            tolerance: SignedDuration::from_hours(6),
            deadline: SignedDuration::from_hours(48),
            first_tip,
        };
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        campaign::create(&mut conn, new, self.app.now()).await.expect("a campaign");
    }

    /// What a worker would hand over now: it claims what is due, and it is taken for sent.
    pub(super) async fn send(&self) -> Vec<Key> {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        let worker = lease::register(&mut conn, "worker").await.expect("a worker");
        let claim = claim::transactional(&mut conn, worker, self.app.now(), 10_000).await.expect("a claim");
        drop(conn);
        let now = self.app.now();
        self.run(&format!(
            "UPDATE deliveries SET state = 'sent', handing_over_at = '{now}', finished_at = '{now}' WHERE state = 'claimed'"
        ))
        .await;
        self.run(&format!("UPDATE transactional t SET handed_over_at = '{now}' FROM deliveries d WHERE d.id = t.delivery_id AND d.state = 'sent' AND t.handed_over_at IS NULL")).await;
        claim.taken.into_iter().map(|claimed| claimed.key).collect()
    }

    /// Plans what the clock has made due, as the worker's tick does.
    pub(super) async fn plan(&self) {
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        due::open_due(&mut conn, self.app.now()).await.expect("open editions");
        for edition in due::plannable(&mut conn).await.expect("editions") {
            while !planning::plan_slice(&mut conn, edition, self.app.now()).await.expect("a slice").done {}
        }
    }

    /// A worker claims what is due of an edition that has started.
    pub(super) async fn claim_edition(&self, id: i64) {
        self.run("UPDATE editions SET state = 'running'").await;
        // The last zone of the earth, so that everybody is due.
        let later = self.app.now() + SignedDuration::from_hours(3);
        let mut conn = self.app.db.pool.acquire().await.expect("a connection");
        let worker = lease::register(&mut conn, "worker").await.expect("a worker");
        let_pass(&mut conn).await;
        let claim = claim::edition(&mut conn, worker, (id, claim::Place::START), later, 100).await.expect("a claim");
        assert!(claim.taken.is_empty() && !claim.held, "{claim:?}");
    }

    /// What time does: a sweep and the daily pruning.
    pub(super) async fn tend(&self) {
        signup::tend::sweep(&self.desk(), self.app.now()).await.expect("a sweep");
        signup::tend::prune(&self.desk(), self.app.now()).await.expect("a pruning");
    }

    pub(super) fn days(&self, days: i64) {
        self.app.wait(SignedDuration::from_hours(24 * days));
    }

    /// Template and state of every delivery, in their order.
    pub(super) async fn mails(&self) -> Vec<String> {
        self.texts("SELECT concat_ws(': ', template, state, reason) FROM deliveries ORDER BY id").await
    }

    /// Every standing, by person and topic.
    pub(super) async fn standings(&self) -> Vec<String> {
        self.texts("SELECT subscriber_id || ' ' || slug || ' ' || standing FROM subscriptions JOIN topics ON id = topic_id ORDER BY 1")
            .await
    }

    pub(super) async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.app.db.pool).await.expect("a statement");
    }

    pub(super) async fn texts(&self, statement: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_all(&self.app.db.pool).await.expect("texts")
    }

    pub(super) async fn number(&self, statement: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&self.app.db.pool).await.expect("a number")
    }
}

/// A form with an address and slugs of topics.
pub(super) fn form(email: &str, topics: &[&str]) -> Form {
    Form { email: email.into(), topics: topics.iter().map(|&slug| slug.to_owned()).collect(), ..Form::default() }
}

/// One of many hosts, each in a network of its own.
pub(super) fn host(n: u32) -> Origin {
    Origin::Host(IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + n * 256)))
}
