//! What is deleted when its time has come: deliveries of months too old to be kept, versions of templates that no edition has, and in the queue's tables, which nothing else prunes,
//! ended jobs older than a while, then workers unseen for a day that no job names.

use super::App;
use crate::{
    campaigns::retention,
    delivery::{pace, versions},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgPool, postgres::types::PgInterval};
use std::time::Duration;

/// Deletes all of it.
pub(super) async fn prune(app: &App, now: Timestamp) -> anyhow::Result<()> {
    let pool = &app.setup.db.pool;
    queue(pool, app.config.jobs.keep_jobs).await?;
    let keep = SignedDuration::try_from(app.config.retention.deliveries)?;
    for month in retention::forget(&mut *pool.acquire().await?, keep, now).await? {
        tracing::info!(%month, "the deliveries of a month are no longer kept, only their counts");
    }
    pace::store::prune(&mut *pool.acquire().await?, now).await?;
    versions::store::prune(&mut *pool.acquire().await?, now).await?;
    Ok(())
}

// In portions, so that no lock is held long.
async fn queue(pool: &PgPool, keep: Duration) -> sqlx::Result<()> {
    let keep = PgInterval { months: 0, days: 0, microseconds: i64::try_from(keep.as_micros()).unwrap_or(i64::MAX) };
    loop {
        let deleted = sqlx::query(
            "DELETE FROM apalis.jobs WHERE id IN (
                SELECT id FROM apalis.jobs
                WHERE (status IN ('Done', 'Killed') OR (status = 'Failed' AND attempts >= max_attempts)) AND run_at < now() - $1::interval
                LIMIT 5000)",
        )
        .bind(keep)
        .execute(pool)
        .await?;
        if deleted.rows_affected() < 5000 {
            break;
        }
    }
    sqlx::query(
        "DELETE FROM apalis.workers w WHERE last_seen < now() - interval '1 day' AND NOT EXISTS (SELECT FROM apalis.jobs WHERE lock_by = w.id)",
    )
    .execute(pool)
    .await?;
    Ok(())
}
