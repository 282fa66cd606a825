//! Feeds of the settings: when some are due, one worker is woken, and it brings them in one after the other.
//!
//! When each is due, and that it is brought in by one worker, is settled in the table (`content::feeds::schedule`). In a process one
//! job at a time is at it, so that slow servers hold up no other job.

use super::App;
use crate::{
    base::{
        config::Config,
        fetch::Bounds,
        wake::{self, Job},
    },
    content::feeds::{
        Brought, FeedError, Means,
        schedule::{self, Planned},
    },
};
use jiff::Timestamp;
use tokio::sync::Mutex;

/// The feeds of the settings, and whose turn it is to look at them.
#[derive(Debug)]
pub(super) struct Rota {
    planned: Vec<Planned>,
    turn: Mutex<()>,
}

impl Rota {
    pub(super) fn new(config: &Config) -> Self {
        Self { planned: schedule::planned(&config.feeds), turn: Mutex::new(()) }
    }
}

/// Wakes a worker if feeds are due.
pub(super) async fn wake(app: &App, now: Timestamp) -> anyhow::Result<()> {
    if app.rota.planned.is_empty() {
        return Ok(());
    }
    let mut conn = app.setup.db.pool.acquire().await?;
    if !schedule::due(&mut conn, &app.rota.planned, now).await?.is_empty() {
        // Once a minute, as the lines of cron go.
        wake::enqueue_once(&mut conn, &Job::ImportFeeds, &format!("feeds:{}", now.as_second() / 60)).await?;
    }
    Ok(())
}

/// Brings in every feed that is due. What fails is written down, told, and tried again later.
pub(super) async fn bring_in(app: &App) -> anyhow::Result<()> {
    // Whoever is at it already finds what is due by now, or the next sweep does.
    let Ok(_turn) = app.rota.turn.try_lock() else { return Ok(()) };
    let bounds = Bounds::of(&app.config);
    let means = Means { pool: &app.setup.db.pool, bounds: &bounds, reach: &app.reach };
    let now = app.setup.clock.now();
    let due = schedule::due(&mut *means.pool.acquire().await?, &app.rota.planned, now).await?;
    for planned in due {
        match schedule::run(&means, planned, app.setup.clock.now()).await? {
            Some(result) => tell(&planned.name, &result),
            None => tracing::debug!(feed = planned.name, "another worker is at it"),
        }
    }
    Ok(())
}

fn tell(name: &str, result: &Result<Brought, FeedError>) {
    match result {
        Ok(Brought::Unchanged(_)) => tracing::debug!(feed = name, "a feed is unchanged"),
        Ok(Brought::Items(items)) => {
            let refused = items.iter().filter(|item| item.refused().is_some()).count();
            tracing::info!(feed = name, articles = items.len(), refused, "a feed was brought in");
        }
        Err(error) => {
            tracing::warn!(feed = name, %error, "a feed could not be brought in; `tidings feed list` says when it is tried again")
        }
    }
}
