//! What there is to do: the editions that may send, and whether nothing is left.

use super::claim::Place;
use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use sqlx::{Connection, PgConnection};

/// Editions whose time has come are running from now on, though their planning may go on.
pub async fn start_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<u64> {
    let started =
        sqlx::query!("UPDATE editions SET state = 'running' WHERE state IN ('planning', 'scheduled') AND starts_at <= $1", to_db(now))
            .execute(conn)
            .await?;
    Ok(started.rows_affected())
}

/// An edition that has something to send.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// Its id.
    pub id: i64,
    /// The topic of its mails, if they have one.
    pub topic_id: Option<i64>,
    /// Where the first of them stands.
    pub first: Place,
}

/// The running editions with deliveries that are due now, the earliest first.
pub async fn editions_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        // In the order of the claim's index: an EXISTS may walk over everything that was sent.
        r#"SELECT e.id, d.topic_id, d.ready_at AS "ready_at!", d.id AS first FROM editions e CROSS JOIN LATERAL (
            SELECT d.topic_id, d.ready_at, d.id FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND d.ready_at IS NOT NULL
            ORDER BY d.ready_at, d.id LIMIT 1) d
        WHERE e.state = 'running' AND d.ready_at <= $1 ORDER BY e.starts_at, e.id"#,
        to_db(now)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { id: row.id, topic_id: row.topic_id, first: Place { ready_at: from_db(row.ready_at), id: row.first } })
        .collect())
}

/// Those of the `slugs` that are topics, by their ids.
pub async fn topics(conn: &mut PgConnection, slugs: &[String]) -> sqlx::Result<Vec<(i64, String)>> {
    let rows = sqlx::query!("SELECT id, slug FROM topics WHERE slug = ANY($1)", slugs).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.slug)).collect())
}

/// Whether a worker was seen within the last minute, by the database's clock.
pub async fn is_a_worker_there(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM workers WHERE gone_at IS NULL AND seen_at > clock_timestamp() - interval '1 minute') AS "there!""#
    )
    .fetch_one(conn)
    .await
}

/// Whether a transactional delivery is due now.
pub async fn transactional_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM deliveries WHERE edition_id IS NULL AND ready_at <= $1) AS "due!""#, to_db(now))
        .fetch_one(conn)
        .await
}

/// Whether something is due, whatever else is under way.
pub async fn is_busy(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<bool> {
    Ok(transactional_due(conn, now).await? || !editions_due(conn, now).await?.is_empty())
}

/// Whether nothing is due in a running edition and nothing is claimed or being handed over, by anyone.
pub async fn is_idle(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<bool> {
    // By one snapshot: a delivery that is given back between two looks would be in neither.
    let conn = &mut *conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    if is_busy(conn, now).await? {
        return Ok(false);
    }
    // The scan is of whole partitions, so it comes last: only when all else says that there is nothing.
    let held = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM deliveries WHERE state IN ('claimed', 'handing_over') AND period >= oldest_open_period($1)) AS "held!""#, to_db(now))
        .fetch_one(conn)
        .await?;
    Ok(!held)
}
