//! Retention: deliveries older than they are to be kept go, month by month, and their counts stay with their editions.
//!
//! A month is one partition, so that it is dropped and not deleted row by row; it goes only as a whole. What a subscriber was given
//! (`segments_given`) stays, since no segment is given twice. Called by the job `prune`; `report` reads the counts.

use crate::base::time::{civil_to_db, period_of};
use jiff::{SignedDuration, Timestamp, civil::Date};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// How long sending may have to wait for the month to be taken out of the table, and taking it out for what is sending.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// What Postgres answers when that time is up.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Forgets the deliveries of the months that ended longer than `keep` ago and in which nothing is open; gives these months.
pub async fn forget(conn: &mut PgConnection, keep: SignedDuration, now: Timestamp) -> sqlx::Result<Vec<Date>> {
    let oldest_kept = now.checked_sub(keep).map_or(Date::MIN, period_of);
    let mut forgotten = Vec::new();
    for month in months(conn).await?.into_iter().filter(|month| *month < oldest_kept) {
        match forget_month(conn, month).await {
            Ok(true) => forgotten.push(month),
            Ok(false) => {}
            Err(error) if timed_out(&error) => {
                tracing::info!(%month, "deliveries too old to be kept stay until the next time: they are being read")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}

async fn forget_month(conn: &mut PgConnection, month: Date) -> sqlx::Result<bool> {
    let mut tx = conn.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidings.retention'))").execute(&mut *tx).await?;
    if !months(&mut tx).await?.contains(&month) || is_open(&mut tx, month).await? {
        return Ok(false);
    }
    keep_counts(&mut tx, month).await?;
    forget_owners(&mut tx, month).await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
    let name = partition(month);
    for statement in [format!("ALTER TABLE deliveries DETACH PARTITION {name}"), format!("DROP TABLE {name}")] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

// Whoever changes a delivery of an edition that is over, as an operator's word does, holds the edition: nothing changes from here on.
async fn is_open(conn: &mut PgConnection, month: Date) -> sqlx::Result<bool> {
    let states = sqlx::query_scalar!("SELECT state FROM editions WHERE period = $1 ORDER BY id FOR NO KEY UPDATE", civil_to_db(month))
        .fetch_all(&mut *conn)
        .await?;
    if states.iter().any(|state| !matches!(state.as_str(), "finished" | "skipped" | "cancelled")) {
        return Ok(true);
    }
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM deliveries WHERE period = $1 AND state IN ('queued', 'claimed', 'handing_over', 'deferred')) AS "open!""#,
        civil_to_db(month),
    )
    .fetch_one(conn)
    .await
}

// Of the reasons those that are ours; of what relays said the code alone: their words may name people, and erasing looks only at
// what knows whose it is.
async fn keep_counts(conn: &mut PgConnection, month: Date) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO edition_counts (edition_id, state, reason, deliveries)
         SELECT edition_id, state, CASE WHEN state IN ('skipped', 'cancelled') THEN coalesce(reason, '') WHEN state = 'sent' THEN ''
            ELSE coalesce(enhanced_code, reply_code::text, '') END, count(*) FROM deliveries
         WHERE period = $1 AND edition_id IS NOT NULL GROUP BY 1, 2, 3",
        civil_to_db(month),
    )
    .execute(conn)
    .await
    .map(drop)
}

// Which mails an owner had goes with them where it can ask for none again: a link that was asked for once, a sign-up that is
// closed. The others stay, since they keep a mail from being sent twice.
async fn forget_owners(conn: &mut PgConnection, month: Date) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM transactional t WHERE t.period = $1 AND (t.owner LIKE 'link:%' OR (t.owner LIKE 'signup:%' AND NOT EXISTS (
            SELECT FROM signups s WHERE 'signup:' || s.id = t.owner AND s.outcome IS NULL)))",
        civil_to_db(month),
    )
    .execute(conn)
    .await
    .map(drop)
}

// The months that have a partition, the oldest first.
async fn months(conn: &mut PgConnection) -> sqlx::Result<Vec<Date>> {
    let names = sqlx::query_scalar!(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'deliveries'::regclass ORDER BY 1"
    )
    .fetch_all(conn)
    .await?;
    Ok(names.iter().filter_map(|name| month(name)).collect())
}

fn partition(month: Date) -> String {
    format!("deliveries_{:04}{:02}", month.year(), month.month())
}

fn month(partition: &str) -> Option<Date> {
    let (year, month) = partition.strip_prefix("deliveries_")?.split_at_checked(4)?;
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

fn timed_out(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == LOCK_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_month_is_read_from_the_name_of_its_partition_and_nothing_else_is() {
        assert_eq!(month(&partition(date(2026, 1, 1))), Some(date(2026, 1, 1)));
        for other in ["deliveries", "deliveries_", "deliveries_202613", "deliveries_2026xx", "editions_202601"] {
            assert_eq!(month(other), None, "{other}");
        }
    }
}
