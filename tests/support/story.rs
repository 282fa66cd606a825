//! What the stories of the send path begin with, and the sums that they must end with.
//!
//! A [`Story`] is a [`TestApp`] with a series of tips, subscribers and a weekly campaign. It is sent either here, with a
//! clock turned by hand ([`Story::jobs`]), or by the real binary as processes of its own ([`Story::worker`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};
use tidings::base::clock::Clock;
use tidings::base::database;
use tidings::campaigns::campaign::{self, NewWeekly};
use tidings::campaigns::states::{FirstTip, Late};
use tidings::campaigns::{due, edition};
use tidings::delivery::pump::Outlet;
use tidings::delivery::relay::{MemoryBox, Relay, RelayUrl};
use tidings::jobs::{self, App};
use tokio::sync::watch;

use super::{Served, TestApp, Worker};

/// The campaign, the series and so the topic of every story.
pub(crate) const WEEKLY: &str = "weekly";

const THINGS: [&str; 12] = [
    "kettle",
    "bread board",
    "window",
    "garden hose",
    "wool blanket",
    "oak table",
    "door hinge",
    "bicycle chain",
    "rain barrel",
    "oven",
    "lamp",
    "staircase",
];

/// An application with a series, subscribers and a campaign.
pub(crate) struct Story {
    /// The application beneath.
    pub(crate) app: TestApp,
    settings: Vec<(String, String)>,
    workers: AtomicUsize,
}

impl Story {
    /// A story that begins on a Monday morning, a day and three hours before the campaign's hour.
    pub(crate) async fn new() -> Story {
        Story::with(&[]).await
    }

    /// The same with settings of its own, by their names in the environment.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Story {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        let borrowed = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
        let app = TestApp::with("2026-01-12T06:00:00Z", &borrowed).await;
        Story { app, settings, workers: AtomicUsize::new(0) }
    }

    /// Everything: `tips` tips, `subscribers` subscribers and the campaign, Tuesdays at nine in London.
    pub(crate) async fn ready(tips: usize, subscribers: usize) -> Story {
        let story = Story::new().await;
        story.tips(tips).await;
        story.subscribers(subscribers).await;
        story.campaign(Late::Ask).await;
        story
    }

    /// Makes the empty database at `url` the story's.
    pub(crate) async fn move_to(&mut self, url: &str) {
        self.app.db = database::connect(url, 5).await.expect("a database");
        self.set("DATABASE_URL", url);
    }

    /// Adds a setting for the processes that are started from now on.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// An article of `n` sections, imported by the real binary, its tips approved.
    pub(crate) async fn tips(&self, n: usize) {
        let path = self.app.folder().join("care.md");
        fs::write(&path, article(n)).expect("an article");
        self.tidings(&["import", "article", &path.display().to_string(), "--series", WEEKLY, "--approve"]).await;
        let approved = self.number("SELECT count(*) FROM tips WHERE state = 'approved'").await;
        assert_eq!(approved, n as i64, "each section is a tip");
    }

    /// `n` subscribers, `person-1@example.org` and so on, imported by the real binary.
    pub(crate) async fn subscribers(&self, n: usize) {
        let path = self.app.folder().join("subscribers.csv");
        let rows = (1..=n).fold("email,name\n".to_owned(), |mut rows, i| {
            let _ = writeln!(rows, "person-{i}@example.org,Person {i}");
            rows
        });
        fs::write(&path, rows).expect("a file");
        self.tidings(&["import", "subscribers", &path.display().to_string(), "--topic", WEEKLY, "--confirmed-because", "a test"]).await;
        assert_eq!(self.number("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, n as i64);
    }

    /// The campaign, made at the story's clock.
    pub(crate) async fn campaign(&self, late: Late) {
        let new = NewWeekly {
            name: WEEKLY,
            series: WEEKLY,
            at: Some("Tue 09:00"),
            cron: None,
            zone: "Europe/London",
            subscriber_zone: false,
            late,
            tolerance: SignedDuration::from_hours(6),
            deadline: SignedDuration::from_hours(48),
            first_tip: FirstTip::Next,
        };
        campaign::create(&mut *self.conn().await, new, self.app.now()).await.expect("a campaign");
    }

    /// Adds an edition that is due at this instant, at the story's clock.
    pub(crate) async fn run_edition(&self) {
        edition::run(&mut *self.conn().await, WEEKLY, true, self.app.now()).await.expect("an edition");
    }

    /// Plans what the clock has made due, as the worker's tick does, and sends nothing.
    pub(crate) async fn plan(&self) {
        let mut conn = self.conn().await;
        due::open_due(&mut conn, self.app.now()).await.expect("open editions");
        for edition in due::plannable(&mut conn).await.expect("editions") {
            while !tidings::campaigns::planning::plan_slice(&mut conn, edition, self.app.now()).await.expect("a slice").done {}
        }
    }

    /// Runs the real binary; its standard output, when it ended well.
    pub(crate) async fn tidings(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "tidings {} failed: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs the real binary; what it said when it did not end well.
    pub(crate) async fn tidings_refuses(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "tidings {} ended well", arguments.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts `tidings worker` as a process of its own.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Worker {
        let number = self.workers.fetch_add(1, Ordering::Relaxed);
        let mut command = self.command();
        command.arg("worker").args(arguments);
        Worker::start(command, self.app.folder().join(format!("worker-{number}.log")))
    }

    /// Starts any other command as a process of its own, with what it says on standard error kept like a worker's log.
    pub(crate) fn start(&self, arguments: &[&str]) -> Worker {
        let number = self.workers.fetch_add(1, Ordering::Relaxed);
        let mut command = self.command();
        command.args(arguments);
        Worker::start(command, self.app.folder().join(format!("process-{number}.log")))
    }

    /// Starts `tidings serve` as a process of its own, on a port of its own.
    pub(crate) async fn serve(&self) -> Served {
        let mut command = self.command();
        command.arg("serve").env("PORT", "0");
        Served::start(command, self.app.folder().join("serve.log")).await
    }

    /// Runs the real binary, however it ends; its standard output and what it said on standard error.
    pub(crate) async fn both(&self, arguments: &[&str]) -> (String, String) {
        let output = self.output(arguments).await;
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs the real binary, and gives what it said on standard error.
    pub(crate) async fn aside(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "tidings {} failed: {said}", arguments.join(" "));
        said
    }

    /// The application for [`Story::run_until_idle`], with these relays.
    pub(crate) fn jobs(&self, outlets: Vec<Outlet>) -> Arc<App> {
        self.jobs_with_clock(outlets, Arc::new(self.app.clock.clone()))
    }

    /// The same with a clock of its own.
    pub(crate) fn jobs_with_clock(&self, outlets: Vec<Outlet>, clock: Arc<dyn Clock>) -> Arc<App> {
        let config = Arc::new(self.app.config.clone());
        let outlets = outlets.into_iter().map(Arc::new).collect();
        let app = App::with_outlets(config, self.app.db.clone(), self.app.keyring.clone(), clock, [7; 32], outlets);
        Arc::new(app.expect("settings that suffice"))
    }

    /// Works for `time`, then dies.
    pub(crate) async fn work_and_die(&self, outlets: Vec<Outlet>, time: Duration) {
        // It lives so long.
        self.work_until(outlets, async move { tokio::time::sleep(time).await }).await;
    }

    /// Works until `death`, or nothing is left to do: nothing is given back, no lease is ended, and what was under way stays where it was.
    /// What the server had begun for it is over when this returns.
    pub(crate) async fn work_until(&self, outlets: Vec<Outlet>, death: impl Future<Output = ()> + Send + 'static) {
        let (config, keyring, clock) = (self.app.config.clone(), self.app.keyring.clone(), self.app.clock.clone());
        let url = self.app.database_url().to_owned();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let db = database::connect(&url, 5).await.expect("a database");
                let outlets = outlets.into_iter().map(Arc::new).collect();
                let app =
                    App::with_outlets(Arc::new(config), db, keyring, Arc::new(clock), [7; 32], outlets).expect("settings that suffice");
                let (_stop, told) = watch::channel(false);
                // It ends with its runtime, as a process does with its last breath.
                tokio::select! {
                    _ = jobs::run_until_idle(Arc::new(app), told) => {}
                    () = death => {}
                }
            });
            runtime.shutdown_background();
        };
        tokio::task::spawn_blocking(life).await.expect("no panic");
        self.until_the_server_rests().await;
    }

    // A statement whose asker is gone is still executed, and committed.
    async fn until_the_server_rests(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'";
        let rests = async {
            while self.number(busy).await > 0 {
                // Between two looks: the server tells nobody.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rests).await.expect("the server comes to rest");
    }

    /// Works until nothing is due.
    pub(crate) async fn run_until_idle(&self, app: &Arc<App>) {
        let (_stop, told) = watch::channel(false);
        let work = tokio::time::timeout(Duration::from_secs(60), jobs::run_until_idle(app.clone(), told));
        work.await.expect("idle within a minute").expect("work that ends well");
    }

    /// The campaign's editions as `campaign report --json` gives them, the latest last.
    pub(crate) async fn editions(&self) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.tidings(&["campaign", "report", WEEKLY, "--json"]).await).expect("JSON");
        let editions = report["editions"].as_array().expect("editions").clone();
        editions.iter().for_each(assert_adds_up);
        editions
    }

    /// The latest edition in the report, which adds up.
    pub(crate) async fn report(&self) -> Value {
        self.editions().await.pop().expect("an edition")
    }

    /// The campaign's state in the report.
    pub(crate) async fn campaign_state(&self) -> String {
        let report: Value = serde_json::from_str(&self.tidings(&["campaign", "report", WEEKLY, "--json"]).await).expect("JSON");
        report["state"].as_str().expect("a state").to_owned()
    }

    /// The deliveries of the latest edition as `campaign report --deliveries --json` gives them.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let lines = self.tidings(&["campaign", "report", WEEKLY, "--deliveries", "--json"]).await;
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Asserts that the latest edition is over and that nobody of its `planned` recipients was lost or mailed twice:
    /// the ledger agrees with the relay's log, given as Message-ID and recipient of each mail that the relay has.
    pub(crate) async fn assert_agrees_with(&self, log: &[(String, String)], planned: usize) -> Value {
        let edition = self.report().await;
        assert_eq!((edition["planned"].as_u64(), edition["to_do"].as_u64()), (Some(planned as u64), Some(0)), "{edition}");
        let deliveries = self.deliveries().await;
        assert_eq!(deliveries.len(), planned, "a line for each recipient");
        let in_state = |state: &str| -> BTreeMap<&str, &str> {
            deliveries.iter().filter(|d| d["state"] == state).map(|d| (text(d, "message_id"), text(d, "email"))).collect()
        };
        let (sent, unconfirmed) = (in_state("sent"), in_state("unconfirmed"));
        let twice = log.iter().map(|(id, _)| id).collect::<Vec<_>>();
        let once = twice.iter().collect::<BTreeSet<_>>();
        assert_eq!(once.len(), twice.len(), "no mail was accepted twice");
        let known: BTreeMap<&str, &str> =
            log.iter().map(|(id, to)| (id.as_str(), to.as_str())).filter(|(id, _)| !unconfirmed.contains_key(id)).collect();
        assert_eq!(sent, known, "`sent` is the relay's log less the unconfirmed by name");
        edition
    }

    /// A number out of the database.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *self.conn().await).await.expect("a number")
    }

    /// A column of text out of the database.
    pub(crate) async fn texts(&self, statement: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut *self.conn().await).await.expect("texts")
    }

    /// A statement that changes what no command changes.
    pub(crate) async fn tamper(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *self.conn().await).await.expect("a statement");
    }

    /// A connection to the story's database.
    pub(crate) async fn conn(&self) -> PoolConnection<Postgres> {
        self.app.db.pool.acquire().await.expect("a connection")
    }

    /// The path of a file in the story's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.app.folder().join(name)
    }

    /// Turns the clock to `instant`.
    pub(crate) fn turn_to(&self, instant: &str) {
        self.app.clock.set(instant.parse::<Timestamp>().expect("an instant"));
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.app.process();
        command.envs(self.settings.iter().map(|(key, value)| (key, value)));
        command
    }

    // Without blocking, because the relay of a story may answer on this very thread.
    async fn output(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::from(self.command());
        command.args(arguments).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        output.unwrap_or_else(|_| panic!("tidings {} did not end", arguments.join(" "))).expect("the binary")
    }
}

/// A memory relay with so many connections.
pub(crate) fn memory(mails: &MemoryBox, connections: u16) -> Outlet {
    Outlet::new("main", Relay::memory(mails), connections)
}

/// A relay at `url` with so many connections.
pub(crate) fn smtp(url: &str, connections: u16) -> Outlet {
    let relay = Relay::new(&RelayUrl::parse(url).expect("a URL"), "worker.example.org").expect("a relay");
    Outlet::new("main", relay, connections)
}

/// Message-ID and recipient of each mail in `mails`.
pub(crate) fn log_of(mails: &MemoryBox) -> Vec<(String, String)> {
    mails.handed().into_iter().map(|mail| (mail.message_id, mail.to)).collect()
}

/// A count of an edition's report.
pub(crate) fn count(edition: &Value, state: &str) -> u64 {
    edition[state].as_u64().unwrap_or_else(|| panic!("`{state}` is counted in {edition}"))
}

/// A text of a line of JSON.
pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_else(|| panic!("`{field}` is a text in {line}"))
}

/// Asserts that what an edition planned is the sum of what became of it, and that each reason is counted.
pub(crate) fn assert_adds_up(edition: &Value) {
    let became: u64 = ["sent", "failed", "skipped", "unconfirmed", "cancelled", "to_do"].iter().map(|state| count(edition, state)).sum();
    if let Some(planned) = edition["planned"].as_u64() {
        assert_eq!(planned, became, "{edition}");
    }
    let reasons: u64 = edition["reasons"].as_object().expect("reasons").values().map(|n| n.as_u64().expect("a count")).sum();
    let with_reason: u64 = ["failed", "skipped", "unconfirmed", "cancelled"].iter().map(|state| count(edition, state)).sum();
    assert!(reasons >= with_reason, "every one that was not sent has a reason: {edition}");
}

fn article(sections: usize) -> String {
    assert!(sections <= THINGS.len(), "there are {} things to write about", THINGS.len());
    let mut article = "---\ntitle: Caring for what is in the house\nurl: https://example.org/care\ndate: 2026-01-05\n---\n\n".to_owned();
    article.push_str("What is looked after lasts, and little of it takes long. This page goes through the house thing by thing.\n");
    for thing in &THINGS[..sections] {
        let _ = write!(
            article,
            "\n## How to look after the {thing}\n\nThe {thing} is used every day and seldom looked at. Once in a month, wipe it with a soft cloth and a \
             little warm water, let it dry in the open air, and see whether anything has come loose or grown thin.\n\nWhat is worn at the edge of the \
             {thing} can mostly be mended at home with patience and a simple tool. What squeaks wants a drop of oil, and what has cracked is better \
             taken to somebody who knows the {thing} well before it breaks for good.\n"
        );
    }
    article
}
