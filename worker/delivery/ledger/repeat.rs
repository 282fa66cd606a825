//! The policy for what is unconfirmed: a mail that answers a person's act is handed over once more by itself, recorded.
//!
//! A second confirmation does no harm, and one that is lost leaves her waiting; a tip or a broadcast waits for an operator's word. Called in the
//! transaction in which a delivery became unconfirmed, by `mark` and by `lease`.

use super::super::Key;
use super::claim::split;
use crate::base::{
    time::{civil_from_db, to_db},
    wake::{self, Job},
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// Queues those of the unconfirmed `keys` again that may be repeated: of a basis that allows it, never repeated before, and
/// worth sending still. The others stay as they are.
pub(super) async fn once(conn: &mut PgConnection, keys: &[Key], now: Timestamp) -> sqlx::Result<u64> {
    if keys.is_empty() {
        return Ok(0);
    }
    let (periods, ids) = split(keys);
    let repeated = sqlx::query!(
        "UPDATE deliveries d SET state = 'queued', reason = d.reason || '; it is handed over once more', ready_at = $3, repeated_at = $3, finished_at = NULL
        FROM unnest($1::date[], $2::bigint[]) AS w (period, id)
        WHERE d.period = w.period AND d.id = w.id AND d.state = 'unconfirmed' AND d.edition_id IS NULL AND d.basis IN ('confirmation', 'waitlist', 'preferences')
            AND d.repeated_at IS NULL AND coalesce(d.valid_until, 'infinity') > $3
        RETURNING d.period, d.id",
        &periods,
        &ids,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in &repeated {
        tracing::warn!(period = %civil_from_db(row.period), delivery = row.id, "no answer to this mail: it is handed over once more");
    }
    if !repeated.is_empty() {
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(repeated.len() as u64)
}
