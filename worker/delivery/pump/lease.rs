//! Keeping this worker alive in the database, and knowing when it must not mark any more.

use super::{
    super::ledger::lease,
    PumpError, Setup,
    line::{Line, within},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The lease of this worker: when it was renewed last, by the monotonic clock, and whether it is lost.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) worker: i64,
    length: Duration,
    renewed: Arc<Mutex<Instant>>,
    lost: watch::Sender<bool>,
}

impl Lease {
    pub(super) fn new(worker: i64, length: Duration) -> Self {
        Self { worker, length, renewed: Arc::new(Mutex::new(Instant::now())), lost: watch::Sender::new(false) }
    }

    /// Whether marks may be made: the last renewal began less than two thirds of a lease ago.
    pub(super) fn is_fresh(&self) -> bool {
        !*self.lost.borrow() && self.renewed.lock().expect("no holder panics").elapsed() < self.length * 2 / 3
    }

    /// Whether it is lost for good.
    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Ends when the lease is lost.
    pub(super) async fn lost(&self) {
        // Err: the sender is held by self, so it cannot come.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// A mark older than this, counted from before its commit, is not begun: 10 s or a third of the lease.
    pub(super) fn body_begins_within(&self) -> Duration {
        (self.length / 3).min(Duration::from_secs(10))
    }

    /// The whole length.
    pub(super) fn length(&self) -> Duration {
        self.length
    }
}

/// Enters the worker, unless the clocks are too far apart.
pub(super) async fn enter(setup: &Setup) -> Result<i64, PumpError> {
    let mut conn = setup.db.pool.acquire().await?;
    let worker = lease::register(&mut conn, &setup.name).await?;
    if let Err(error) = check_clocks(setup, &mut conn).await {
        lease::leave(&mut conn, worker, setup.clock.now()).await?;
        return Err(error);
    }
    Ok(worker)
}

/// Renews six times in a lease, until aborted.
pub(super) async fn keep(setup: Arc<Setup>, held: Lease) {
    let mut line = Line::new();
    let mut ticks = tokio::time::interval(held.length / 6);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let (began, asked_at) = (Instant::now(), setup.clock.now());
        match renew(&setup, &mut line, held.worker).await {
            Ok(renewal) if !renewal.present => {
                tracing::error!("this worker was taken for dead: it stops and starts anew");
                held.lost.send_replace(true);
                return;
            }
            Ok(renewal) => {
                setup.pace.heard(renewal.troubled);
                match agree(&setup, asked_at, renewal.database_now) {
                    Ok(()) => *held.renewed.lock().expect("no holder panics") = began,
                    Err(error) => tracing::error!("{error}"),
                }
            }
            Err(error) => {
                line.cut();
                tracing::debug!(%error, "the lease could not be renewed");
            }
        }
    }
}

/// Refuses when this host's clock is not the database's.
pub(super) async fn check_clocks(setup: &Setup, conn: &mut PgConnection) -> Result<(), PumpError> {
    let asked_at = setup.clock.now();
    let database_now = lease::database_now(conn).await?;
    agree(setup, asked_at, database_now)
}

/// Gives back what is left, when that can be done; else the lease runs out by itself.
pub(super) async fn leave(setup: &Setup, worker: i64) {
    let now = setup.clock.now();
    let left = within(async {
        let mut conn = setup.db.pool.acquire().await?;
        lease::leave(&mut conn, worker, now).await
    });
    if let Err(error) = left.await {
        tracing::warn!(%error, "this worker could not say that it ends: what it held is settled when its lease runs out");
    }
}

async fn renew(setup: &Setup, line: &mut Line, worker: i64) -> sqlx::Result<lease::Renewal> {
    let conn = line.get(setup).await?;
    within(lease::renew(conn, worker)).await
}

// The database was asked between two instants of ours, which may lie far from each other when this process was halted or the
// answer was slow: that alone is no difference of clocks.
fn agree(setup: &Setup, asked_at: Timestamp, database_now: Timestamp) -> Result<(), PumpError> {
    let (before, after) = (asked_at.duration_since(database_now), setup.clock.now().duration_since(database_now));
    let apart = if before > SignedDuration::ZERO { before } else { after.min(SignedDuration::ZERO) };
    match setup.clock.is_manual() || apart.abs() <= lease::CLOCKS_APART {
        true => Ok(()),
        false => Err(PumpError::ClocksApart(apart)),
    }
}
