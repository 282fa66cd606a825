//! Whoever leaves a waitlist while an edition to it is planned and sent gets nothing of it any more.
//!
//! The planner holds the line of the program shared for each slice, and whoever takes somebody out of it holds it alone until her
//! entry's end is committed. So every row of hers either is there to be skipped, or is written after that: then the claim sees that
//! she left. A mark that was first has committed before the answer. Called by `campaigns` and by `waitlist`.

use crate::base::time::to_db;
use jiff::Timestamp;
use sqlx::PgConnection;

/// Holds the line of a program for a slice of planning, together with other planners. To be called before anything is read.
pub async fn hold(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtext('tidings.line'), ($1::bigint % 2147483647)::integer)", program_id)
        .fetch_one(conn)
        .await
        .map(drop)
}

/// Skips what waits to be sent of editions to a program's waitlist to these people, by the entries that have just ended; how many.
pub async fn leave(conn: &mut PgConnection, program_id: i64, entries: &[i64], now: Timestamp) -> sqlx::Result<u64> {
    if entries.is_empty() {
        return Ok(0);
    }
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('tidings.line'), ($1::bigint % 2147483647)::integer)", program_id)
        .fetch_one(&mut *conn)
        .await?;
    let skipped = sqlx::query!(
        "WITH waiting AS (
            SELECT d.period, d.id FROM entries e JOIN deliveries d ON d.subscriber_id = e.subscriber_id
            WHERE e.id = ANY($1) AND d.basis = 'waitlist' AND d.edition_id IS NOT NULL AND d.context -> 'entry' = to_jsonb(e.id)
                AND d.state IN ('queued', 'claimed', 'deferred') ORDER BY d.period, d.id FOR NO KEY UPDATE OF d)
        UPDATE deliveries d SET state = 'skipped', reason = 'left the waitlist', ready_at = NULL, finished_at = $2
        FROM waiting w WHERE d.period = w.period AND d.id = w.id",
        entries,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(skipped.rows_affected())
}
