//! The tables that a forecast is reckoned on: `editions`, `deliveries`, `segments_given` and `segments_inherited` of one session, which go
//! before the ledger's wherever a statement does not name the schema. So planning's own statement reads and writes them and never knows.
//!
//! Owns their making, what is put into them of the ledger (which is named with its schema here), and the counting.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection};

use super::TipCount;
use crate::base::time::{civil_to_db, to_db};
use crate::campaigns::weekly::{Edition, EditionRow};
use crate::delivery::ledger::claim::BETWEEN_TIPS;

/// The edition that stands for first tips, which belong to none. Those of the ledger are above it, those to come below.
const FIRST_TIPS: i64 = 0;
/// Nobody is due longer after the start of an edition.
const LAST_DUE: SignedDuration = SignedDuration::from_hours(9 * 24);

/// Makes the tables; from here on the session is of no other use.
pub(super) async fn raise(conn: &mut PgConnection) -> sqlx::Result<()> {
    // What was prepared before means the ledger's tables.
    conn.clear_cached_statements().await?;
    sqlx::raw_sql(
        "SET jit = off; SET plan_cache_mode = force_custom_plan; SET temp_buffers = '64MB'; SET work_mem = '32MB';
        CREATE TEMP TABLE editions (LIKE public.editions INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
        CREATE TEMP TABLE deliveries (LIKE public.deliveries INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
        CREATE TEMP TABLE segments_given (LIKE public.segments_given INCLUDING INDEXES) ON COMMIT DELETE ROWS;
        CREATE TEMP TABLE segments_inherited (LIKE public.segments_inherited INCLUDING INDEXES) ON COMMIT DELETE ROWS;
        ALTER TABLE pg_temp.deliveries ALTER COLUMN id SET DEFAULT 0;
        CREATE INDEX ON pg_temp.deliveries (ready_at) WHERE ready_at IS NOT NULL;
        CREATE INDEX ON pg_temp.deliveries (edition_id)",
    )
    .execute(conn)
    .await
    .map(drop)
}

/// How many are to be reckoned.
pub(super) async fn subscribers(conn: &mut PgConnection, topic_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM subscriptions WHERE topic_id = $1 AND standing = 'confirmed'"#, topic_id)
        .fetch_one(conn)
        .await
}

/// Puts in what the ledger knows of a slice: what was given, and which tips wait or were handed over lately.
///
/// `from`: when the first edition to come starts.
pub(super) async fn load(conn: &mut PgConnection, series_id: i64, ids: &[i64], (from, now): (Timestamp, Timestamp)) -> sqlx::Result<()> {
    load_editions(conn, series_id, from).await?;
    load_deliveries(conn, ids, now).await?;
    load_first_tips(conn, series_id, ids, now).await?;
    sqlx::query!(
        "INSERT INTO segments_given (subscriber_id, segment_id)
        SELECT g.subscriber_id, g.segment_id FROM unnest($2::bigint[]) AS slice (id)
        JOIN public.segments_given g ON g.subscriber_id = slice.id JOIN tips t ON t.segment_id = g.segment_id AND t.series_id = $1",
        series_id,
        ids
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO segments_inherited (subscriber_id, segment_id, of_segment_id)
        SELECT i.subscriber_id, i.segment_id, i.of_segment_id FROM unnest($2::bigint[]) AS slice (id)
        JOIN public.segments_inherited i ON i.subscriber_id = slice.id JOIN tips t ON t.segment_id = i.segment_id AND t.series_id = $1",
        series_id,
        ids
    )
    .execute(conn)
    .await
    .map(drop)
}

// Those still open, and those that ended so lately that a tip of theirs keeps the next one back.
async fn load_editions(conn: &mut PgConnection, series_id: i64, from: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH ours AS (SELECT e.* FROM public.editions e JOIN campaigns c ON c.id = e.campaign_id WHERE c.series_id = $1 AND e.state <> 'skipped')
        INSERT INTO editions OVERRIDING SYSTEM VALUE SELECT ours.* FROM ours
        WHERE coalesce(finished_at, 'infinity') > least($2, (SELECT min(starts_at) FROM ours WHERE planned IS NULL)) - make_interval(secs => $3)",
        series_id,
        to_db(from),
        (BETWEEN_TIPS + SignedDuration::from_hours(24)).as_secs_f64()
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn load_deliveries(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO deliveries (period, edition_id, subscriber_id, segment_id, due_at, ready_at, handing_over_at, basis, template, state)
        SELECT d.period, d.edition_id, d.subscriber_id, d.segment_id, d.due_at, CASE WHEN w.waits THEN greatest(d.due_at, d.ready_at, $2) END,
            CASE WHEN NOT w.waits THEN d.handing_over_at END, 'topic', d.template, CASE WHEN w.waits THEN 'queued' ELSE 'sent' END
        FROM editions e JOIN public.deliveries d ON d.period = e.period AND d.edition_id = e.id
        CROSS JOIN LATERAL (SELECT d.state IN ('queued', 'claimed', 'deferred') AS waits) w
        WHERE d.subscriber_id BETWEEN ($1::bigint[])[1] AND ($1::bigint[])[cardinality($1::bigint[])]
            AND d.state IN ('queued', 'claimed', 'deferred', 'handing_over', 'sent', 'unconfirmed')",
        ids,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

// They belong to no edition, but here they stand in one, for planning to see them.
async fn load_first_tips(conn: &mut PgConnection, series_id: i64, ids: &[i64], now: Timestamp) -> sqlx::Result<()> {
    let loaded = sqlx::query!(
        "INSERT INTO deliveries (period, edition_id, subscriber_id, segment_id, due_at, ready_at, handing_over_at, basis, template, state)
        SELECT d.period, $4, d.subscriber_id, d.segment_id, d.due_at, CASE WHEN w.waits THEN greatest(d.due_at, d.ready_at, $3) END,
            CASE WHEN NOT w.waits THEN d.handing_over_at END, 'topic', d.template, CASE WHEN w.waits THEN 'queued' ELSE 'sent' END
        FROM unnest($2::bigint[]) AS slice (id)
        JOIN transactional t ON t.owner = 'first:' || slice.id || ':' || $1::bigint AND t.kind = 'weekly_tip'
        JOIN public.deliveries d ON d.period = t.period AND d.id = t.delivery_id
        CROSS JOIN LATERAL (SELECT d.state IN ('queued', 'claimed', 'deferred') AS waits) w
        WHERE d.state IN ('queued', 'claimed', 'deferred', 'handing_over', 'sent', 'unconfirmed')
            AND coalesce(d.handing_over_at, 'infinity') > $3::timestamptz - make_interval(secs => $5::double precision)",
        series_id,
        ids,
        to_db(now),
        FIRST_TIPS,
        BETWEEN_TIPS.as_secs_f64()
    )
    .execute(&mut *conn)
    .await?;
    if loaded.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO editions (id, period, campaign_id, occurrence, state, starts_at, late, tolerance_seconds, deadline_seconds, created_at)
        OVERRIDING SYSTEM VALUE SELECT d.edition_id, d.period, c.id, '', 'running', $2, 'fire', 0, 1, $2
        FROM (SELECT DISTINCT edition_id, period FROM deliveries WHERE edition_id = $3) d,
            (SELECT id FROM campaigns WHERE series_id = $1 ORDER BY id LIMIT 1) c",
        series_id,
        to_db(now),
        FIRST_TIPS
    )
    .execute(conn)
    .await
    .map(drop)
}

/// The editions whose planning is under way, to be planned to their end.
pub(super) async fn unplanned(conn: &mut PgConnection) -> sqlx::Result<Vec<Edition>> {
    let rows = sqlx::query_as!(
        EditionRow,
        r#"SELECT e.id, e.period, e.occurrence, e.by_operator, e.state = 'running' AS "running!", e.starts_at, e.counted, e.planned_up_to,
            c.topic_id AS "topic_id!", c.series_id AS "series_id!", c.at, c.cron, c.zone, c.subscriber_zone
        FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE e.planned IS NULL AND e.state NOT IN ('finished', 'skipped', 'cancelled') AND e.id > 0 ORDER BY e.starts_at, e.id"#
    );
    rows.fetch_all(conn).await?.into_iter().map(EditionRow::read).collect()
}

/// Adds an edition that is to come, for those after it, which ask what was handed over in it.
pub(super) async fn add_edition(conn: &mut PgConnection, campaign_id: i64, edition: &Edition, day: Date) -> sqlx::Result<()> {
    let starts_at = edition.times.starts_at;
    sqlx::query!(
        "INSERT INTO editions (id, period, campaign_id, occurrence, state, starts_at, finished_at, late, tolerance_seconds, deadline_seconds, created_at)
        OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, 'finished', $5, $6, 'fire', 0, 1, $5)",
        edition.id,
        civil_to_db(day.first_of_month()),
        campaign_id,
        day.to_string(),
        to_db(starts_at),
        to_db(starts_at + LAST_DUE)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Hands over what waits and is due before `until`, in its order, as the claim does: it leaves out whoever is paused or had a tip within
/// 72 hours, and her segment is free again.
pub(super) async fn hand_over(conn: &mut PgConnection, until: Option<Timestamp>, now: Timestamp) -> sqlx::Result<()> {
    // Each time the next of everyone: what she got decides about the one after it.
    while hand_over_next(&mut *conn, until, now).await? > 0 {}
    Ok(())
}

async fn hand_over_next(conn: &mut PgConnection, until: Option<Timestamp>, now: Timestamp) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"WITH next AS MATERIALIZED (
            SELECT DISTINCT ON (subscriber_id) ctid AS place, subscriber_id, edition_id, greatest(ready_at, $2) AS at FROM deliveries
            WHERE ready_at IS NOT NULL AND ready_at < coalesce($1, 'infinity'::timestamptz) ORDER BY subscriber_id, ready_at, edition_id < 0, edition_id
        ), handed AS (
            SELECT subscriber_id, max(handing_over_at) AS at FROM deliveries
            WHERE state = 'sent' AND handing_over_at > (SELECT min(at) FROM next) - make_interval(secs => $3::double precision)
            GROUP BY subscriber_id
        ), judged AS (
            SELECT next.place, next.at, CASE
                WHEN s.paused_until > next.at THEN 'subscriber_paused'
                WHEN handed.at > next.at - make_interval(secs => $3::double precision) AND NOT coalesce(e.by_operator, false) THEN 'tip within 72 hours'
            END AS verdict
            FROM next JOIN subscribers s ON s.id = next.subscriber_id
            LEFT JOIN handed ON handed.subscriber_id = next.subscriber_id LEFT JOIN editions e ON e.id = next.edition_id
        ), moved AS (
            UPDATE deliveries d SET state = CASE WHEN j.verdict IS NULL THEN 'sent' ELSE 'skipped' END, reason = j.verdict, ready_at = NULL,
                handing_over_at = CASE WHEN j.verdict IS NULL THEN j.at END
            FROM judged j WHERE d.ctid = j.place
            RETURNING d.subscriber_id, d.segment_id, d.state
        ), freed AS (
            DELETE FROM segments_given g USING moved
            WHERE moved.state = 'skipped' AND g.subscriber_id = moved.subscriber_id AND g.segment_id = moved.segment_id
        ), disinherited AS (
            DELETE FROM segments_inherited i USING moved
            WHERE moved.state = 'skipped' AND i.subscriber_id = moved.subscriber_id AND i.of_segment_id = moved.segment_id
        )
        SELECT count(*) AS "moved!" FROM moved"#,
        until.map(to_db),
        to_db(now),
        BETWEEN_TIPS.as_secs_f64()
    )
    .fetch_one(conn)
    .await
}

/// So many of an edition get a tip, or none for a reason.
pub(super) struct Count {
    pub(super) edition_id: i64,
    pub(super) segment_id: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) count: i64,
    pub(super) run_out: i64,
    pub(super) come_back: i64,
}

impl Count {
    pub(super) fn add(&mut self, other: &Count) {
        self.count += other.count;
        self.run_out += other.run_out;
        self.come_back += other.come_back;
    }
}

/// Counts what was planned in the editions to come.
pub(super) async fn count(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT edition_id AS "edition_id!", segment_id, reason, count(*) AS "count!",
            count(*) FILTER (WHERE reason = 'no tip left' AND edition_id = first_without) AS "run_out!",
            count(*) FILTER (WHERE paused_before AND reason IS DISTINCT FROM 'subscriber_paused') AS "come_back!"
        FROM (
            SELECT edition_id, CASE WHEN reason IS NULL THEN segment_id END AS segment_id, reason,
                min(edition_id) FILTER (WHERE reason = 'no tip left') OVER (PARTITION BY subscriber_id) AS first_without,
                lag(reason) OVER (PARTITION BY subscriber_id ORDER BY edition_id) = 'subscriber_paused' AS paused_before
            FROM deliveries WHERE edition_id < 0) walked
        GROUP BY edition_id, segment_id, reason"#
    )
    .fetch_all(conn)
    .await
}

/// The approved tips of a series, by their segments.
pub(super) async fn tips(conn: &mut PgConnection, series_id: i64) -> sqlx::Result<BTreeMap<i64, TipCount>> {
    let rows = sqlx::query!(
        "SELECT t.segment_id, t.id, t.position, r.subject FROM tips t JOIN tip_revisions r ON r.id = t.revision_id WHERE t.series_id = $1",
        series_id
    );
    let rows = rows.fetch_all(conn).await?;
    let tip = |id, position, subject| TipCount { tip: id, position, subject, recipients: 0 };
    Ok(rows.into_iter().map(|row| (row.segment_id, tip(row.id, row.position, row.subject))).collect())
}
