//! Waking workers: the name of the queue, the coarse jobs it carries, and `enqueue`, which any floor may call inside its
//! own transaction so that work and wake-up commit together.
//!
//! A job only says "look there". It may run twice, late or on two machines; what is to be done stands in our tables.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

/// The queue of all jobs.
pub const QUEUE: &str = "tidings";

/// What a worker is woken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "job")]
pub enum Job {
    /// A tick: open what is due, start, expire, settle dead workers, finish.
    Sweep,
    /// Plan this edition to its end.
    PlanEdition {
        /// The edition.
        edition_id: i64,
    },
    /// Deliveries may be due: look.
    Send,
    /// A relay said that the address of this delivery does not exist: stop mailing it.
    SuppressRefused {
        /// The period of the delivery, `YYYY-MM-DD`.
        period: jiff::civil::Date,
        /// Its id.
        delivery_id: i64,
    },
    /// Seats of this program may be free, or somebody may be able to take one: look.
    AdvanceWaitlist {
        /// The program.
        program_id: i64,
    },
    /// Feeds of the settings are due: bring in what is new.
    ImportFeeds,
    /// Delete ended jobs and workers long unseen.
    Prune,
    /// Make the partitions of this month and the next.
    Partitions,
}

/// Enqueues a job in the caller's transaction.
pub async fn enqueue(conn: &mut PgConnection, job: &Job) -> sqlx::Result<()> {
    insert(conn, job, None).await
}

/// Enqueues a job unless one with the same `key` was ever enqueued and not yet pruned.
///
/// Our own INSERT, because apalis' one raises 23505 for a second key and so ends the caller's transaction.
pub async fn enqueue_once(conn: &mut PgConnection, job: &Job, key: &str) -> sqlx::Result<()> {
    insert(conn, job, Some(key)).await
}

async fn insert(conn: &mut PgConnection, job: &Job, key: Option<&str>) -> sqlx::Result<()> {
    let payload = serde_json::to_vec(job).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    sqlx::query(
        "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key)
         VALUES (apalis.generate_ulid(), $1, $2, 'Pending', 0, 5, now(), 0, ''::hstore, $3)
         ON CONFLICT (job_type, idempotency_key) DO NOTHING",
    )
    .bind(QUEUE)
    .bind(payload)
    .bind(key)
    .execute(conn)
    .await?;
    Ok(())
}
