//! Segments that have words of others: whoever was given the one is not given the other.
//!
//! Owns segment_overlaps and segments_inherited. They are written once, by the import that found the overlap, and not looked up when an
//! edition is planned: who is given the new words later gets both tips, who had the old ones has had both. A row is inherited also from a
//! mail that only waits, since that goes out with its old words; if it is taken back, the schema takes away what was inherited from it.

use super::record;
use super::tips::{TipError, known_series, lock};
use crate::base::time::to_db;
use jiff::Timestamp;
use sqlx::PgConnection;

/// A segment that has words which another one had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlap {
    pub(super) segment_id: i64,
    pub(super) of_segment_id: i64,
}

/// Remembers overlaps, and gives each segment the recipients of the other. What those inherited themselves hangs on what they were given.
pub(super) async fn inherit(conn: &mut PgConnection, overlaps: &[Overlap], now: Timestamp) -> sqlx::Result<()> {
    if overlaps.is_empty() {
        return Ok(());
    }
    let (segments, of): (Vec<i64>, Vec<i64>) = overlaps.iter().map(|overlap| (overlap.segment_id, overlap.of_segment_id)).unzip();
    sqlx::query!(
        "INSERT INTO segment_overlaps (segment_id, of_segment_id, since) SELECT segment_id, of_segment_id, $3
        FROM unnest($1::bigint[], $2::bigint[]) AS o (segment_id, of_segment_id) ON CONFLICT (segment_id, of_segment_id) DO UPDATE SET since = excluded.since",
        &segments,
        &of,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO segments_inherited (subscriber_id, segment_id, of_segment_id)
        SELECT had.subscriber_id, o.segment_id, had.given_id
        FROM (SELECT subscriber_id, segment_id, segment_id AS given_id FROM segments_given WHERE segment_id = ANY($2)
            UNION ALL SELECT subscriber_id, segment_id, of_segment_id FROM segments_inherited WHERE segment_id = ANY($2)) had
        JOIN unnest($1::bigint[], $2::bigint[]) AS o (segment_id, of_segment_id) ON had.segment_id = o.of_segment_id
        WHERE o.segment_id <> had.given_id ORDER BY had.subscriber_id ON CONFLICT DO NOTHING",
        &segments,
        &of
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A draft whose words stand in another tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// The draft.
    pub id: i64,
    /// The tip that has its words now.
    pub into: i64,
}

/// The drafts that [`super::drafts`] leaves out.
pub async fn merged_drafts(conn: &mut PgConnection, series: Option<&str>) -> Result<Vec<Merged>, TipError> {
    let series = known_series(conn, series).await?;
    let merged = sqlx::query_as!(
        Merged,
        "SELECT t.id, home.id AS into FROM tips t JOIN segments s ON s.id = t.segment_id JOIN tips home ON home.segment_id = s.merged_into
        WHERE t.state = 'draft' AND ($1::bigint IS NULL OR t.series_id = $1) ORDER BY t.series_id, t.position",
        series
    );
    Ok(merged.fetch_all(conn).await?)
}

/// Makes tips that overlap others tips like any other: they go to whoever was not given them themselves. How many more people that is.
pub async fn declare_new(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> Result<u64, TipError> {
    lock(conn, ids).await?;
    let apart = sqlx::query_scalar!(
        "SELECT t.id FROM tips t JOIN segments s ON s.id = t.segment_id WHERE t.id = ANY($1) AND s.merged_into IS NULL
            AND NOT EXISTS (SELECT FROM segment_overlaps o WHERE o.segment_id = s.id) ORDER BY t.id LIMIT 1",
        ids
    );
    if let Some(id) = apart.fetch_optional(&mut *conn).await? {
        return Err(TipError::NoOverlap(id));
    }
    let segments = sqlx::query_scalar!("SELECT segment_id FROM tips WHERE id = ANY($1)", ids).fetch_all(&mut *conn).await?;
    sqlx::query!("UPDATE segments SET merged_into = NULL WHERE id = ANY($1)", &segments).execute(&mut *conn).await?;
    sqlx::query!("DELETE FROM segment_overlaps WHERE segment_id = ANY($1)", &segments).execute(&mut *conn).await?;
    let freed = sqlx::query_scalar!(
        r#"WITH freed AS (DELETE FROM segments_inherited WHERE segment_id = ANY($1) RETURNING subscriber_id, segment_id)
        SELECT count(*) AS "count!" FROM (SELECT subscriber_id, segment_id FROM freed
            EXCEPT SELECT subscriber_id, segment_id FROM segments_given WHERE segment_id = ANY($1)) AS more"#,
        &segments
    )
    .fetch_one(&mut *conn)
    .await?
    .unsigned_abs();
    record(conn, "new", ids, &format!("{freed} recipients freed"), now).await?;
    Ok(freed)
}
