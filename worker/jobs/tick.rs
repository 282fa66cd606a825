//! The fixed ticks: cron lines of the settings, in UTC, each enqueuing a job once whatever the number of processes.

use super::App;
use crate::base::wake::{self, Job};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// Enqueues at every tick, until dropped.
pub(super) async fn run(app: Arc<App>) {
    let jobs = &app.config.jobs;
    tokio::join!(
        every(&app, &jobs.sweep, "sweep", Job::Sweep),
        every(&app, &jobs.prune, "prune", Job::Prune),
        every(&app, &jobs.partitions, "partitions", Job::Partitions),
    );
}

async fn every(app: &App, line: &str, name: &str, job: Job) {
    let schedule: cron::Schedule = line.parse().expect("the settings were checked when they were read");
    loop {
        let now = app.setup.clock.now();
        let Some(next) = next_after(&schedule, now) else { return };
        let wait = Duration::try_from(next.duration_since(now)).unwrap_or(Duration::from_secs(1));
        // Until the instant that the cron line names.
        tokio::time::sleep(wait).await;
        if let Err(error) = enqueue(app, &job, &format!("{name}:{next}")).await {
            tracing::debug!(%error, name, "a tick could not be enqueued; the next one will be");
        }
    }
}

async fn enqueue(app: &App, job: &Job, key: &str) -> sqlx::Result<()> {
    let mut conn = app.setup.db.pool.acquire().await?;
    wake::enqueue_once(&mut conn, job, key).await
}

fn next_after(schedule: &cron::Schedule, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.after(&crate::base::time::to_db(now)).next()?;
    Some(crate::base::time::from_db(next))
}
