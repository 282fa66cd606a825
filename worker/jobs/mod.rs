//! Waking the workers: apalis carries a few coarse jobs, cron lines drive the fixed ticks, and a worker process is all of it
//! together with the pump.
//!
//! `queue` wires apalis and supervises it, `tick` enqueues what the clock demands, `process` is a worker's life; each job has a
//! small function here or a file of its own. A job may run twice, late or in two places: what is to be done stands in our tables.

mod process;
mod prune;
mod queue;
mod sweep;
mod tick;

pub use process::{run, run_until_idle};
pub use sweep::sweep;

use crate::{
    base::{config::Config, wake::Job},
    campaigns,
    delivery::pump::{Bell, Setup},
    people,
};
use std::sync::Arc;

/// What the jobs and the pump of one process share.
#[derive(Debug, Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The pump's surroundings: database, clock, keys, relays.
    pub setup: Arc<Setup>,
    /// Wakes the pump's feeder.
    pub bell: Bell,
}

/// Does one job. Errors are for the log: what a job leaves undone, the next sweep finds again.
pub async fn handle(app: &App, job: Job) -> anyhow::Result<()> {
    let now = app.setup.clock.now();
    let pool = &app.setup.db.pool;
    match job {
        Job::Sweep => sweep(app).await?,
        Job::PlanEdition { edition_id } => sweep::plan(app, edition_id).await?,
        Job::Send => app.bell.ring(),
        Job::SuppressRefused { period, delivery_id } => {
            people::stop::refused(pool, &app.setup.keyring, period, delivery_id, now).await?;
        }
        Job::PauseCampaign { edition_id, reason } => campaigns::pause_for(pool, edition_id, &reason, now).await?,
        Job::Prune => prune::prune(pool, app.config.jobs.keep_jobs).await?,
        Job::Partitions => sweep::partitions(app).await?,
    }
    Ok(())
}
