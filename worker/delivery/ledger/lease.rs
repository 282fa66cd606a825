//! Leases belong to workers, not to rows: a worker renews one row of its own, on the database's clock.
//!
//! Of a worker unseen for a lease the claimed deliveries go back to queued and those being handed over become unconfirmed;
//! of these some are handed over once more by themselves (`repeat`).

use super::{super::Key, repeat};
use crate::base::time::{civil_from_db, from_db, to_db};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection, postgres::types::PgInterval};
use std::time::Duration;

/// Enters a worker and gives its boot id; a restart is another worker.
pub async fn register(conn: &mut PgConnection, name: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!("INSERT INTO workers (name) VALUES ($1) RETURNING id", name).fetch_one(conn).await
}

/// What a renewal said.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// Whether the worker still counts as present; if not, its rows were settled and it must start as another.
    pub present: bool,
    /// The database's clock.
    pub database_now: Timestamp,
    /// Whether a pace backs off, for workers that would not look.
    pub troubled: bool,
}

/// Renews the lease of `worker`.
pub async fn renew(conn: &mut PgConnection, worker: i64) -> sqlx::Result<Renewal> {
    let row = sqlx::query!(
        r#"WITH renewed AS (UPDATE workers SET seen_at = clock_timestamp() WHERE id = $1 AND gone_at IS NULL RETURNING id)
        SELECT EXISTS (SELECT FROM renewed) AS "present!", clock_timestamp() AS "now!", EXISTS (SELECT FROM pace_troubles) AS "troubled!""#,
        worker
    )
    .fetch_one(conn)
    .await?;
    Ok(Renewal { present: row.present, database_now: from_db(row.now), troubled: row.troubled })
}

/// The database's clock.
pub async fn database_now(conn: &mut PgConnection) -> sqlx::Result<Timestamp> {
    Ok(from_db(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(conn).await?))
}

/// Ends a worker in order: what it still held goes back to queued.
pub async fn leave(conn: &mut PgConnection, worker: i64, now: Timestamp) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    // FOR UPDATE waits for a claim of this worker's that is under way, which a plain update would pass.
    sqlx::query!("SELECT id FROM workers WHERE id = $1 FOR UPDATE", worker).fetch_optional(&mut *tx).await?;
    sqlx::query!("UPDATE workers SET gone_at = clock_timestamp() WHERE id = $1 AND gone_at IS NULL", worker).execute(&mut *tx).await?;
    settle(&mut tx, &[worker], now).await?;
    tx.commit().await
}

/// Finds the workers unseen for `lease` and settles what they held; gives how many there were.
pub async fn bury(conn: &mut PgConnection, lease: Duration, now: Timestamp) -> sqlx::Result<usize> {
    let mut tx = conn.begin().await?;
    let lease = PgInterval { months: 0, days: 0, microseconds: i64::try_from(lease.as_micros()).unwrap_or(i64::MAX) };
    let dead = sqlx::query!(
        "WITH dead AS (
            SELECT id FROM workers WHERE gone_at IS NULL AND seen_at < clock_timestamp() - $1::interval FOR UPDATE SKIP LOCKED
        )
        UPDATE workers w SET gone_at = clock_timestamp() FROM dead WHERE w.id = dead.id RETURNING w.id, w.name",
        lease
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<i64> = dead.iter().map(|w| w.id).collect();
    if !ids.is_empty() {
        let unconfirmed = settle(&mut tx, &ids, now).await?;
        let workers: Vec<&str> = dead.iter().map(|w| w.name.as_str()).collect();
        tracing::warn!(workers = workers.join(", "), unconfirmed, "unseen for a lease: what they held was settled");
    }
    tx.commit().await?;
    Ok(ids.len())
}

// No index on worker_id: it would make every mark and record write one. A death is rare, and only open months are read.
async fn settle(conn: &mut PgConnection, workers: &[i64], now: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!(
        "WITH held AS (SELECT period, id FROM deliveries WHERE worker_id = ANY($1) AND state = 'claimed' AND period >= oldest_open_period($2) ORDER BY period, id FOR UPDATE)
        UPDATE deliveries d SET state = 'queued', ready_at = d.due_at, worker_id = NULL FROM held
        WHERE d.period = held.period AND d.id = held.id",
        workers,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM relay_outages WHERE worker_id = ANY($1)", workers).execute(&mut *conn).await?;
    let unconfirmed = sqlx::query!(
        "WITH held AS (SELECT period, id FROM deliveries WHERE worker_id = ANY($1) AND state = 'handing_over' AND period >= oldest_open_period($2) ORDER BY period, id FOR UPDATE)
        UPDATE deliveries d SET state = 'unconfirmed', reason = 'the worker ended before the relay''s answer was recorded', finished_at = $2,
            attempts = d.attempts + 1
        FROM held WHERE d.period = held.period AND d.id = held.id
        RETURNING d.period, d.id",
        workers,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let unconfirmed: Vec<Key> = unconfirmed.into_iter().map(|r| Key { period: civil_from_db(r.period), id: r.id }).collect();
    let repeated = repeat::once(conn, &unconfirmed, now).await?;
    Ok(unconfirmed.len() as u64 - repeated)
}

/// How far two clocks may be apart before a worker refuses to send.
pub const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);
