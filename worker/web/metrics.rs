//! `/metrics` for Prometheus: what this process counts as it works, and what the ledger and the queue hold.
//!
//! Owns the recorder that every `metrics::…` call of the process goes to (`start`, called by whatever serves or sends) and
//! the gauges that are read with SQL, kept for a few seconds so that many scrapes cost one reading.

mod pace;

use super::Web;
use crate::base::time::to_db;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::{Connection, PgConnection};
use std::{collections::BTreeMap, sync::OnceLock, time::Duration};
use tokio::sync::Mutex;

/// Every state of a delivery, so that one which no delivery is in shows 0 and does not vanish.
const STATES: [&str; 9] = ["queued", "claimed", "handing_over", "sent", "deferred", "failed", "skipped", "unconfirmed", "cancelled"];

/// Every state of an edition that has not ended.
const EDITION_STATES: [&str; 5] = ["planning", "scheduled", "running", "held", "paused"];

/// Every state of a job of the queue.
const JOB_STATES: [&str; 6] = ["Pending", "Queued", "Running", "Done", "Failed", "Killed"];

/// Seconds; a hand-over takes milliseconds on a near relay and minutes on one that makes us wait.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

const KEPT: SignedDuration = SignedDuration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// When the gauges were read last.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<Timestamp>>);

/// Begins to record, once for a process; before it every count goes nowhere.
pub fn start() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS).expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder could only be a test's own; then ours shows what it is given directly.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

/// `/metrics`
pub(super) async fn show(State(web): State<Web>) -> Response {
    let recorder = start();
    match tokio::time::timeout(PATIENCE, refresh(&web)).await {
        Ok(Ok(())) => metrics::gauge!("tidings_database_up").set(1),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the gauges could not be read");
            metrics::gauge!("tidings_database_up").set(0);
        }
        Err(_) => metrics::gauge!("tidings_database_up").set(0),
    }
    recorder.run_upkeep();
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render()).into_response()
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_gauge!("tidings_database_up", "1 when the gauges below were read from the database just now or some seconds ago");
    describe_gauge!("tidings_deliveries", "Deliveries of this month and the last, by state");
    describe_gauge!("tidings_last_replies", "The same deliveries, by the code of the relay's last answer");
    describe_gauge!("tidings_queue_depth", "Deliveries that are due and wait to be claimed");
    describe_gauge!("tidings_queue_age_seconds", "How long the longest waiting of them has been due");
    describe_gauge!("tidings_editions", "Editions that are not ended, by state");
    describe_gauge!("tidings_jobs", "Jobs of the queue that wakes workers, by state");
    describe_gauge!("tidings_templates_broken", "1 when the folder of templates was changed and cannot be used: the version before is");
    pace::describe();
    describe_gauge!("tidings_workers", "Worker processes that have not ended");
    describe_gauge!("tidings_relay_up", "1 when this process hands mail over to the relay, 0 while it is down and tried again");
    describe_gauge!("tidings_database_slow", "1 while claims or commits of this process take long and it takes fewer mails at once");
    describe_histogram!("tidings_hand_over_seconds", "From the envelope to the relay's answer, in this process");
    describe_counter!("tidings_relay_replies_total", "Answers of relays to this process, by relay and code");
}

async fn refresh(web: &Web) -> sqlx::Result<()> {
    let now = web.clock.now();
    let mut read_at = web.metrics.0.lock().await;
    // A clock that is turned by hand may stand still: then each scrape reads.
    if !web.clock.is_manual() && read_at.is_some_and(|at| now.duration_since(at) < KEPT) {
        return Ok(());
    }
    let mut conn = web.db.pool.acquire().await?;
    read_gauges(&mut conn, now).await?;
    pace::read(&mut conn, &web.config, now).await?;
    *read_at = Some(now);
    Ok(())
}

async fn read_gauges(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    // On a ledger of millions a scrape gives up rather than be a load.
    sqlx::query("SET LOCAL statement_timeout = '4s'").execute(&mut *tx).await?;
    read_deliveries(&mut tx, now).await?;
    read_waiting(&mut tx, now).await?;
    read_work(&mut tx).await?;
    tx.commit().await
}

async fn read_deliveries(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"SELECT state, reply_code, count(*) AS "count!" FROM deliveries
           WHERE period >= date_trunc('month', $1::timestamptz AT TIME ZONE 'UTC')::date - interval '1 month'
           GROUP BY state, reply_code"#,
        to_db(now),
    )
    .fetch_all(conn)
    .await?;
    set_all("tidings_deliveries", &STATES, rows.iter().map(|row| (row.state.as_str(), row.count)));
    let mut replies = BTreeMap::new();
    for row in &rows {
        let code = row.reply_code.map_or("none".to_owned(), |code| code.to_string());
        *replies.entry(code).or_insert(0) += row.count;
    }
    for (code, count) in replies {
        metrics::gauge!("tidings_last_replies", "code" => code).set(count as f64);
    }
    Ok(())
}

async fn read_waiting(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let waiting = sqlx::query!(
        r#"SELECT count(*) AS "depth!", coalesce(extract(epoch FROM $1 - min(d.ready_at)), 0)::float8 AS "age!"
           FROM deliveries d LEFT JOIN editions e ON e.id = d.edition_id AND e.period = d.period
           WHERE d.ready_at <= $1 AND (d.edition_id IS NULL OR e.state = 'running')"#,
        to_db(now),
    )
    .fetch_one(conn)
    .await?;
    metrics::gauge!("tidings_queue_depth").set(waiting.depth as f64);
    metrics::gauge!("tidings_queue_age_seconds").set(waiting.age);
    Ok(())
}

async fn read_work(conn: &mut PgConnection) -> sqlx::Result<()> {
    let editions = sqlx::query!(
        r#"SELECT state, count(*) AS "count!" FROM editions
           WHERE state NOT IN ('finished', 'skipped', 'cancelled') GROUP BY state"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let workers = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM workers WHERE gone_at IS NULL"#).fetch_one(&mut *conn).await?;
    // The queue's tables are made by its own migrations, so this one statement is not checked when compiling.
    let jobs: Vec<(String, i64)> = sqlx::query_as("SELECT status, count(*) FROM apalis.jobs GROUP BY status").fetch_all(conn).await?;
    set_all("tidings_editions", &EDITION_STATES, editions.iter().map(|row| (row.state.as_str(), row.count)));
    set_all("tidings_jobs", &JOB_STATES, jobs.iter().map(|(state, count)| (state.as_str(), *count)));
    metrics::gauge!("tidings_workers").set(workers as f64);
    Ok(())
}

fn set_all<'a>(name: &'static str, states: &[&'static str], found: impl Iterator<Item = (&'a str, i64)> + Clone) {
    for state in states {
        let count: i64 = found.clone().filter(|(known, _)| known == state).map(|(_, count)| count).sum();
        metrics::gauge!(name, "state" => *state).set(count as f64);
    }
}
