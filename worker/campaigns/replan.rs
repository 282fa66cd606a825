//! Moving a subscriber within the editions that are under way, after she changed her zone, day, hour or stage date.
//!
//! What is planned for her and not yet marked is taken back and planned anew by planning's own statement, so that both ways
//! of writing a delivery can never differ; what would have been due before is due now. `people::preferences` calls it in the
//! transaction of the change itself.

use jiff::Timestamp;
use sqlx::PgConnection;

use super::planning::SLICE;
use super::weekly::{Edition, EditionRow, hold_all_series, hold_series, write};
use crate::base::time::to_db;
use crate::base::wake::{self, Job};

pub use super::planning::lost;

/// Plans a subscriber's waiting deliveries anew; gives how many. The caller holds her row, and tries again when [`lost`] says so.
///
/// Campaigns are held first, so that no edition is opened meanwhile, then their editions: a planner that began before the
/// change is either waited for, or made to begin anew. Then their series, before anything is taken back: an import that copies what she
/// was given must see her with it or without it, and not wait for what waits for it.
pub async fn replan(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<usize> {
    if !may_be_mailed(conn, subscriber_id).await? {
        return Ok(0); // The stop's sweep ends what waits for her; a row that is taken back here would not be written again.
    }
    let editions = hold_editions(conn, subscriber_id).await?;
    hold_all_series(conn, editions.iter().map(|edition| edition.series_id).collect()).await?;
    let ids: Vec<i64> = editions.iter().map(|edition| edition.id).collect();
    let taken = take_back(conn, subscriber_id, &ids, now).await?;
    let mut written = 0;
    for mut edition in editions {
        if taken.contains(&edition.id) {
            edition.times.not_before = Some(now);
            written += write(conn, &edition, &[subscriber_id], now).await?;
        }
    }
    if written != taken.len() {
        let text = format!(
            "subscriber {subscriber_id}: {} deliveries were taken back to be planned anew, and {written} were written",
            taken.len()
        );
        return Err(sqlx::Error::Protocol(text));
    }
    if written > 0 {
        have_checked(conn, &taken).await?;
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(written)
}

/// Plans anew whoever waits in an edition for a tip that is approved no more, of an edition that keeps the rest of its plan; how many.
/// The caller holds the edition's row, and has all of it checked again.
pub(super) async fn replan_withdrawn(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<usize> {
    let Some(mut edition) = editions(conn, &[edition_id]).await?.pop() else { return Ok(0) };
    hold_series(conn, edition.series_id).await?;
    let taken = take_back_withdrawn(conn, edition_id).await?;
    edition.times.not_before = Some(now);
    for ids in taken.chunks(SLICE as usize) {
        let written = write(conn, &edition, ids, now).await?;
        if written != ids.len() {
            let text =
                format!("edition {edition_id}: {} deliveries were taken back to be planned anew, and {written} were written", ids.len());
            return Err(sqlx::Error::Protocol(text));
        }
    }
    Ok(taken.len())
}

// What was written is above what was checked: it waits for its own check, and nothing else does.
async fn have_checked(conn: &mut PgConnection, editions: &[i64]) -> sqlx::Result<()> {
    for edition_id in
        sqlx::query_scalar!("UPDATE editions SET checked_at = NULL WHERE id = ANY($1) AND checked_at IS NOT NULL RETURNING id", editions)
            .fetch_all(&mut *conn)
            .await?
    {
        wake::enqueue(conn, &Job::PlanEdition { edition_id }).await?;
    }
    Ok(())
}

async fn may_be_mailed(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM subscribers WHERE id = $1 AND erased_at IS NULL)
            AND NOT EXISTS (SELECT FROM suppressions WHERE subscriber_id = $1 AND lifted_at IS NULL) AS "may!""#,
        subscriber_id
    )
    .fetch_one(conn)
    .await
}

// The open editions of her topics, in the order in which they began. Those whose planning is yet to come to her are written to: a planner
// whose snapshot is older than that has to begin its slice anew, and then sees what she changed.
async fn hold_editions(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Vec<Edition>> {
    sqlx::query!(
        "SELECT c.id FROM campaigns c JOIN subscriptions n ON n.topic_id = c.topic_id
        WHERE n.subscriber_id = $1 AND n.standing = 'confirmed' AND c.kind = 'weekly' AND c.state <> 'cancelled' ORDER BY c.id FOR SHARE OF c",
        subscriber_id
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids = sqlx::query_scalar!(
        "SELECT e.id FROM editions e JOIN campaigns c ON c.id = e.campaign_id JOIN subscriptions n ON n.topic_id = c.topic_id
        WHERE n.subscriber_id = $1 AND n.standing = 'confirmed' AND c.kind = 'weekly' AND e.state NOT IN ('finished', 'skipped', 'cancelled')
        ORDER BY e.id FOR NO KEY UPDATE OF e",
        subscriber_id
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE editions SET planned_up_to = planned_up_to WHERE id = ANY($1) AND planned IS NULL AND planned_up_to < $2",
        &ids,
        subscriber_id
    )
    .execute(&mut *conn)
    .await?;
    editions(conn, &ids).await
}

async fn editions(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<Edition>> {
    let rows = sqlx::query_as!(
        EditionRow,
        r#"SELECT e.id, e.period, e.occurrence, e.by_operator, e.state = 'running' AS "running!", e.starts_at, e.counted, e.planned_up_to,
            c.topic_id AS "topic_id!", c.series_id AS "series_id!", c.at, c.cron, c.zone, c.subscriber_zone
        FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE e.id = ANY($1) AND c.kind = 'weekly' ORDER BY e.starts_at, e.id"#,
        ids
    );
    rows.fetch_all(conn).await?.into_iter().map(EditionRow::read).collect()
}

// Of those who may still be mailed: the sweep of a stop ends what waits for the others. Their segments are free again.
async fn take_back_withdrawn(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"WITH held AS (
            SELECT d.period, d.id FROM editions e
            JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id
            JOIN subscriptions n ON n.subscriber_id = d.subscriber_id AND n.topic_id = d.topic_id AND n.standing = 'confirmed'
            WHERE e.id = $1 AND d.state = 'queued' AND d.attempts = 0 AND d.repeated_at IS NULL
                AND NOT EXISTS (SELECT FROM tips t WHERE t.segment_id = d.segment_id AND t.state = 'approved')
                AND NOT EXISTS (SELECT FROM suppressions u WHERE u.subscriber_id = d.subscriber_id AND u.lifted_at IS NULL)
            ORDER BY d.id FOR UPDATE OF d
        ), gone AS (
            DELETE FROM deliveries d USING held WHERE d.period = held.period AND d.id = held.id RETURNING d.subscriber_id, d.segment_id
        ), freed AS (
            DELETE FROM segments_given g USING gone WHERE g.subscriber_id = gone.subscriber_id AND g.segment_id = gone.segment_id
        )
        SELECT subscriber_id AS "subscriber_id!" FROM gone ORDER BY subscriber_id"#,
        edition_id
    )
    .fetch_all(conn)
    .await
}

// What waits for her and was never tried, and what planning skipped for a cause that may be gone before its time has come. The
// editions of the rows come back, each held by the caller; their segments are free again.
async fn take_back(conn: &mut PgConnection, subscriber_id: i64, editions: &[i64], now: Timestamp) -> sqlx::Result<Vec<i64>> {
    let held = sqlx::query!(
        "SELECT d.period, d.id FROM deliveries d JOIN editions e ON e.id = d.edition_id AND e.period = d.period
        WHERE d.subscriber_id = $1 AND d.edition_id = ANY($2) AND d.attempts = 0 AND d.repeated_at IS NULL
            AND (d.state IN ('queued', 'claimed')
                OR (d.state = 'skipped' AND d.reason IN ('no tip in her stage', 'tip within 72 hours', 'subscriber_paused') AND d.due_at > $3))
        ORDER BY d.period, d.id FOR UPDATE OF d",
        subscriber_id,
        editions,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let (periods, ids): (Vec<chrono::NaiveDate>, Vec<i64>) = held.into_iter().map(|row| (row.period, row.id)).unzip();
    sqlx::query_scalar!(
        r#"WITH gone AS (
            DELETE FROM deliveries d USING unnest($2::date[], $3::bigint[]) AS w (period, id)
            WHERE d.period = w.period AND d.id = w.id RETURNING d.edition_id, d.segment_id, d.state
        ), freed AS (
            DELETE FROM segments_given g USING gone WHERE g.subscriber_id = $1 AND g.segment_id = gone.segment_id AND gone.state <> 'skipped'
        )
        SELECT edition_id AS "edition_id!" FROM gone"#,
        subscriber_id,
        &periods,
        &ids
    )
    .fetch_all(conn)
    .await
}
