//! Who is in a slice of a broadcast, and the rows that are written for them. `planning` calls `slice` until nobody is left.

use chrono::{DateTime, NaiveDate, Utc};
use jiff::Timestamp;
use sqlx::PgConnection;

use crate::base::time::to_db;
use crate::campaigns::planning::{SLICE, Slice};
use crate::campaigns::recipients::{Recipients, count_subscribed, kept, subscribed, write_line};
pub(in crate::campaigns) use crate::delivery::ledger::line::hold as hold_line;

/// Plans the next slice: everyone in it is queued, or skipped with the reason.
pub(in crate::campaigns) async fn slice(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Option<Slice>> {
    let Some(edition) = lock(&mut *conn, edition_id).await? else { return Ok(None) };
    let recipients = Recipients::of_row(edition.topic_id, edition.program_id, edition.opening_id).ok_or(sqlx::Error::RowNotFound)?;
    match recipients {
        Recipients::Topic(topic_id) => of_topic(conn, &edition, topic_id, now).await.map(Some),
        Recipients::Waitlist(program_id) | Recipients::Opening { program_id, .. } => of_line(conn, &edition, program_id).await.map(Some),
    }
}

struct Edition {
    id: i64,
    period: NaiveDate,
    running: bool,
    starts_at: DateTime<Utc>,
    counted: i64,
    planned_up_to: i64,
    topic_id: Option<i64>,
    program_id: Option<i64>,
    opening_id: Option<i64>,
}

async fn lock(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Option<Edition>> {
    sqlx::query_as!(
        Edition,
        r#"SELECT e.id, e.period, e.state = 'running' AS "running!", e.starts_at, e.counted, e.planned_up_to, c.topic_id, c.program_id, c.opening_id
        FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE e.id = $1 AND e.planned IS NULL AND e.state IN ('planning', 'running') FOR NO KEY UPDATE OF e"#,
        edition_id
    )
    .fetch_optional(conn)
    .await
}

async fn of_topic(conn: &mut PgConnection, edition: &Edition, topic_id: i64, now: Timestamp) -> sqlx::Result<Slice> {
    let mut ids = subscribed(&mut *conn, topic_id, edition.planned_up_to).await?;
    let (done, last) = ((ids.len() as i64) < SLICE, ids.last().copied().unwrap_or(edition.planned_up_to));
    let kept = kept(&mut *conn, edition.period, edition.id, (edition.planned_up_to, last)).await?;
    let counted = edition.counted + count_subscribed(&mut *conn, topic_id, (edition.planned_up_to, last), &kept).await?;
    ids.retain(|id| kept.binary_search(id).is_err());
    sqlx::query!(
        "INSERT INTO deliveries (period, edition_id, subscriber_id, topic_id, due_at, ready_at, finished_at, basis, template, state, reason)
        SELECT $1, $2, p.id, $3, $4, CASE WHEN NOT p.paused THEN $4 END, CASE WHEN p.paused THEN $6::timestamptz END, 'topic', 'broadcast',
            CASE WHEN p.paused THEN 'skipped' ELSE 'queued' END, CASE WHEN p.paused THEN 'subscriber_paused' END
        FROM (SELECT s.id, coalesce(s.paused_until > $4, false) AS paused FROM unnest($5::bigint[]) AS slice (id) JOIN subscribers s USING (id)
            WHERE s.erased_at IS NULL AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL)) p
        ORDER BY p.id",
        edition.period,
        edition.id,
        topic_id,
        edition.starts_at,
        &ids,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(Slice { counted, cursor: last, done, running: edition.running })
}

// Rows are numbered in the order of the line, and claimed in the order of their numbers.
async fn of_line(conn: &mut PgConnection, edition: &Edition, program_id: i64) -> sqlx::Result<Slice> {
    if edition.planned_up_to == 0 {
        let kept = kept(&mut *conn, edition.period, edition.id, (0, i64::MAX)).await?;
        write_line(&mut *conn, edition.id, program_id, edition.opening_id, &kept).await?;
    }
    let last = edition.planned_up_to + SLICE;
    let found = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM edition_line WHERE edition_id = $1 AND n > $2 AND n <= $3"#,
        edition.id,
        edition.planned_up_to,
        last
    );
    let found = found.fetch_one(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO deliveries (period, edition_id, subscriber_id, due_at, ready_at, basis, template, state, context)
        SELECT $1, l.edition_id, l.subscriber_id, $3, $3, 'waitlist', 'broadcast', 'queued', jsonb_build_object('entry', l.entry_id)
        FROM edition_line l WHERE l.edition_id = $2 AND l.n > $4 AND l.n <= $5 ORDER BY l.n",
        edition.period,
        edition.id,
        edition.starts_at,
        edition.planned_up_to,
        last
    )
    .execute(&mut *conn)
    .await?;
    let done = found < SLICE;
    if done {
        sqlx::query!("DELETE FROM edition_line WHERE edition_id = $1", edition.id).execute(conn).await?;
    }
    Ok(Slice { counted: edition.counted + found, cursor: last, done, running: edition.running })
}
