//! The wiring of apalis, with its known traps closed, and its supervision: a restart of Postgres ends an apalis worker, so
//! another one is started under a new name.

use super::App;
use crate::base::{
    database,
    wake::{Job, QUEUE},
};
use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use std::{sync::Arc, time::Duration};

/// Jobs done at once; a fetched batch must never be larger, or its heartbeats stop and jobs run twice.
const CONCURRENCY: usize = 4;
const BATCH: usize = 4;
const _: () = assert!(BATCH <= CONCURRENCY);

/// Works off the queue until dropped.
pub(super) async fn run(app: Arc<App>, boot: String) {
    let mut wait = Duration::from_millis(200);
    let mut quickly = 0;
    for start in 0_u64.. {
        // A worker under its old name would leave its orphans running for ever.
        let name = format!("{boot}-{start}");
        let began = tokio::time::Instant::now();
        if let Err(error) = work(app.clone(), &name).await {
            quickly += 1;
            // As after a restart of the database; one that goes on ending has another cause.
            match quickly {
                5 => tracing::warn!(%error, "the queue's worker ends again and again: jobs wait"),
                _ => tracing::debug!(%error, "the queue's worker ended"),
            }
        }
        if began.elapsed() > Duration::from_secs(60) {
            (wait, quickly) = (Duration::from_millis(200), 0);
        }
        // Back-off before the queue's worker is started anew.
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

async fn work(app: Arc<App>, name: &str) -> Result<(), BoxDynError> {
    let config = Config::default().queue(QUEUE).batch_size(BATCH).heartbeat_interval(Duration::from_secs(5)).missed_heartbeats(6);
    let backend =
        PostgresStorage::<Job>::new(&app.setup.db.pool).with_config(config).with_pubsub().poll_with_interval(Duration::from_secs(1));
    let worker = WorkerBuilder::new(name).backend(backend).data(app).concurrency(CONCURRENCY).build(handle);
    worker.run().await?;
    Ok(())
}

// Jobs end well whatever happens: apalis retries a plain error at once and leaves a panicking job running for ever. What was
// not done is found again by the next sweep, or by this job's own second wake-up.
async fn handle(job: Job, app: Data<Arc<App>>) -> Result<(), BoxDynError> {
    let app = Arc::clone(&app);
    let (name, found_again) = (format!("{job:?}"), !insists(&job));
    match tokio::spawn(insist(app, job)).await {
        Ok(Ok(())) => {}
        // Whoever speaks of outages says it, once.
        Ok(Err(error)) if found_again && error.chain().filter_map(|cause| cause.downcast_ref()).any(database::is_out_of_reach) => {
            tracing::warn!(job = name, error = format!("{error:#}"), "a job is done again when the database answers");
        }
        Ok(Err(error)) => tracing::error!(job = name, error = format!("{error:#}"), "a job failed"),
        Err(panic) => tracing::error!(job = name, %panic, "a job panicked"),
    }
    Ok(())
}

// What no sweep would find again is tried for a while: a refused address that is not suppressed is mailed next week.
fn insists(job: &Job) -> bool {
    matches!(job, Job::SuppressRefused { .. })
}

async fn insist(app: Arc<App>, job: Job) -> anyhow::Result<()> {
    let insists = insists(&job);
    let mut wait = Duration::from_millis(200);
    loop {
        match super::handle(&app, job.clone()).await {
            Err(error) if insists && wait < Duration::from_secs(60) => {
                tracing::debug!(%error, "a job is tried again");
                // Back-off before a job that must not be lost is tried again; the queue itself would try at once.
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            done => return done,
        }
    }
}

/// Whether jobs wait, or are being done under a name that begins with `boot`.
pub(super) async fn is_empty(app: &App, boot: &str) -> sqlx::Result<bool> {
    let waiting: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM apalis.jobs WHERE job_type = $1
            AND (status = 'Pending' OR (status IN ('Queued', 'Running') AND starts_with(lock_by, $2))))",
    )
    .bind(QUEUE)
    .bind(boot)
    .fetch_one(&app.setup.db.pool)
    .await?;
    Ok(!waiting)
}
