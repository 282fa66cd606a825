//! Which relays are out, as each worker sees it: written by the pump when that changes, read by whoever shows it.

use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use sqlx::PgConnection;

/// A relay that a worker gives no mail to now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Outage {
    /// Its name in the settings.
    pub relay: String,
    /// The worker's name.
    pub worker: String,
    /// What is wrong, in a sentence.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Says that `relay` is out for `worker`, and why; no reason: it is up again.
pub async fn tell(conn: &mut PgConnection, worker: i64, relay: &str, reason: Option<&str>, now: Timestamp) -> sqlx::Result<()> {
    match reason {
        None => sqlx::query!("DELETE FROM relay_outages WHERE worker_id = $1 AND relay = $2", worker, relay).execute(conn).await,
        Some(reason) => {
            sqlx::query!(
                "INSERT INTO relay_outages (worker_id, relay, reason, since) VALUES ($1, $2, $3, $4)
                ON CONFLICT (worker_id, relay) DO UPDATE SET reason = excluded.reason",
                worker,
                relay,
                reason.replace('\0', ""),
                to_db(now)
            )
            .execute(conn)
            .await
        }
    }
    .map(drop)
}

/// What is out for the workers that are there, by relay, the longest first.
pub async fn now(conn: &mut PgConnection) -> sqlx::Result<Vec<Outage>> {
    let rows = sqlx::query!(
        "SELECT o.relay, w.name, o.reason, o.since FROM relay_outages o JOIN workers w ON w.id = o.worker_id
        WHERE w.gone_at IS NULL AND w.seen_at > clock_timestamp() - interval '1 minute' ORDER BY o.relay, o.since, w.id"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Outage { relay: row.relay, worker: row.name, reason: row.reason, since: from_db(row.since) }).collect())
}
