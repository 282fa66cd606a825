//! Planning a weekly edition: who gets which tip, and when, slice by slice.
//!
//! Owns the one statement that chooses each recipient's next tip and writes her delivery (`weekly/plan.sql`), and the
//! cursor that makes a slice safe to repeat. The worker calls `plan_slice` until it says that the edition is done.

pub(super) mod fit;
mod times;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::edition::Occurrence;
use super::schedule::{Rule, Schedule};
use crate::base::database::{is_to_be_retried, violated};
use crate::base::time::{from_db, to_db};
use crate::base::wake::{self, Job};
use crate::base::zone;
use crate::delivery::ledger::claim::BETWEEN_TIPS;
use fit::{Fits, Tip, fits};
pub(super) use times::Times;

/// Subscriptions that a slice looks at.
const SLICE: i64 = 5_000;
/// So many new deliveries make the planner's statistics useless until they are taken anew.
const BULK: i64 = 20_000;
/// A slice that lost against another transaction is tried again so often.
const TRIES: usize = 20;
/// After so many of them people's changes wait until the slice is written.
const PATIENCE: usize = 3;

/// How far the planning of an edition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Nothing is left to plan here: the edition is planned, or waits for an operator, or another worker plans it.
    pub done: bool,
    /// Recipients counted so far.
    pub counted: i64,
}

/// Plans the next slice of an edition in a transaction of its own; `conn` must be in none.
///
/// Every recipient in the slice gets a row: queued with her next tip, or skipped with the reason.
pub async fn plan_slice(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Progress> {
    // Apart from the slice: attaching a partition waits for transactions that write.
    sqlx::query!("SELECT ensure_deliveries_partition(period) FROM editions WHERE id = $1", edition_id).fetch_optional(&mut *conn).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match try_slice(conn, edition_id, tries > PATIENCE, now).await {
            Err(error) if tries < TRIES && lost(&error) => tracing::debug!(edition_id, %error, "a slice is planned again"),
            Ok(progress) if progress.done && progress.counted >= BULK => {
                analyze(conn, edition_id).await?;
                return Ok(progress);
            }
            outcome => return outcome,
        }
    }
}

/// An edition as its planning needs it.
pub(super) struct Edition {
    pub(super) id: i64,
    period: chrono::NaiveDate,
    by_operator: bool,
    pub(super) running: bool,
    topic_id: i64,
    series_id: i64,
    pub(super) counted: i64,
    pub(super) cursor: i64,
    pub(super) times: Times,
}

/// The columns of an edition and its campaign that an [`Edition`] is read from.
pub(super) struct EditionRow {
    pub(super) id: i64,
    pub(super) period: chrono::NaiveDate,
    pub(super) occurrence: String,
    pub(super) by_operator: bool,
    pub(super) running: bool,
    pub(super) starts_at: chrono::DateTime<chrono::Utc>,
    pub(super) counted: i64,
    pub(super) planned_up_to: i64,
    pub(super) topic_id: i64,
    pub(super) series_id: i64,
    pub(super) at: Option<String>,
    pub(super) cron: Option<String>,
    pub(super) zone: String,
    pub(super) subscriber_zone: bool,
}

impl EditionRow {
    pub(super) fn read(self) -> sqlx::Result<Edition> {
        let zone = zone::find(&self.zone).map_err(unreadable)?;
        let by_rule = match Occurrence::parse(&self.occurrence) {
            Some(Occurrence::Day(day)) => {
                let rule = rule(self.at.as_deref(), self.cron.as_deref())?;
                Some((day, Schedule { rule, zone: zone.clone(), subscriber_zone: self.subscriber_zone }))
            }
            _ => None,
        };
        Ok(Edition {
            id: self.id,
            period: self.period,
            by_operator: self.by_operator,
            running: self.running,
            topic_id: self.topic_id,
            series_id: self.series_id,
            counted: self.counted,
            cursor: self.planned_up_to,
            times: Times { starts_at: from_db(self.starts_at), zone, by_rule, not_before: None },
        })
    }
}

async fn analyze(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<()> {
    let partition =
        sqlx::query_scalar!(r#"SELECT 'deliveries_' || to_char(period, 'YYYYMM') AS "name!" FROM editions WHERE id = $1"#, edition_id);
    let partition = partition.fetch_one(&mut *conn).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {partition}, segments_given"))).execute(conn).await?;
    Ok(())
}

/// Another edition of the series may give a subscriber the tip that was chosen for her here: chosen anew, it is the next.
pub fn lost(error: &sqlx::Error) -> bool {
    is_to_be_retried(error) || violated(error) == Some("segments_given_key")
}

async fn try_slice(conn: &mut PgConnection, edition_id: i64, alone: bool, now: Timestamp) -> sqlx::Result<Progress> {
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    if alone {
        // Every change of what a person prefers writes there. The lock goes before the first snapshot, which then sees them all.
        sqlx::raw_sql("LOCK TABLE subscriber_events IN SHARE MODE").execute(&mut *tx).await?;
    }
    // Planned for the slice at hand: a plan for any slice, made before there are statistics, can be quadratic.
    sqlx::raw_sql("SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let Some(edition) = lock(&mut tx, edition_id).await? else {
        return Ok(Progress { done: true, counted: 0 });
    };
    let ids = sqlx::query_scalar!(
        "SELECT subscriber_id FROM subscriptions WHERE topic_id = $1 AND standing = 'confirmed' AND subscriber_id > $2
        ORDER BY subscriber_id LIMIT $3",
        edition.topic_id,
        edition.cursor,
        SLICE
    );
    let ids = ids.fetch_all(&mut *tx).await?;
    let last = ids.last().copied().unwrap_or(edition.cursor);
    let counted = edition.counted + count(&mut tx, &edition, last).await?;
    if !ids.is_empty() {
        write(&mut tx, &edition, &ids, now).await?;
    }
    let done = (ids.len() as i64) < SLICE;
    advance(&mut tx, &edition, counted, last, done).await?;
    tx.commit().await?;
    Ok(Progress { done, counted })
}

// Skips an edition that another worker is planning at this moment: two would only wait for each other.
async fn lock(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Option<Edition>> {
    // Planners are kept apart by a lock of their own: the row is held by claims of the opening too, which are waited for.
    let mine = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtext('tidings.plan'), ($1::bigint % 2147483647)::integer) AS "mine!""#,
        edition_id
    );
    if !mine.fetch_one(&mut *conn).await? {
        return Ok(None);
    }
    let row = sqlx::query_as!(
        EditionRow,
        r#"SELECT e.id, e.period, e.occurrence, e.by_operator, e.state = 'running' AS "running!", e.starts_at, e.counted, e.planned_up_to,
            c.topic_id, c.series_id AS "series_id!", c.at, c.cron, c.zone, c.subscriber_zone
        FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE e.id = $1 AND e.planned IS NULL AND e.state IN ('planning', 'running') AND c.kind = 'weekly'
        FOR NO KEY UPDATE OF e"#,
        edition_id
    );
    row.fetch_optional(conn).await?.map(EditionRow::read).transpose()
}

fn rule(at: Option<&str>, cron: Option<&str>) -> sqlx::Result<Rule> {
    at.map_or_else(|| Rule::cron(cron.unwrap_or_default()), Rule::at).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

// By the filter alone and apart from the rows that are written: `planned` must be able to show that one is missing.
async fn count(conn: &mut PgConnection, edition: &Edition, last: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscriptions n JOIN subscribers s ON s.id = n.subscriber_id
        WHERE n.topic_id = $1 AND n.standing = 'confirmed' AND n.subscriber_id > $2 AND n.subscriber_id <= $3
            -- Said of both tables: the planner does not infer it, and reads all subscribers for each slice otherwise.
            AND s.id > $2 AND s.id <= $3 AND s.erased_at IS NULL
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL)"#,
        edition.topic_id,
        edition.cursor,
        last
    )
    .fetch_one(conn)
    .await
}

/// Writes a delivery for each recipient among `ids`, which are confirmed subscribers of the edition's topic in order; how many.
pub(super) async fn write(conn: &mut PgConnection, edition: &Edition, ids: &[i64], now: Timestamp) -> sqlx::Result<usize> {
    let tips = approved_tips(conn, edition.series_id).await?;
    let Fits { edges, masks } = fits(&tips);
    let (segments, revisions): (Vec<i64>, Vec<i64>) = tips.iter().map(|tip| (tip.segment_id, tip.revision_id)).unzip();
    let times = edition.times.columns(conn, ids).await?;
    let (recent, recent_periods) = recent_editions(conn, edition).await?;
    let written = sqlx::query_file_scalar!(
        "worker/campaigns/weekly/plan.sql",
        edition.period,
        edition.id,
        edition.topic_id,
        edition.series_id,
        ids,
        &segments,
        &revisions,
        &edges,
        &masks,
        &times.zones,
        &times.weekdays,
        &times.hours,
        &times.due_at,
        &times.due_on,
        &recent,
        &recent_periods,
        BETWEEN_TIPS.as_secs_f64(),
        to_db(now)
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(written).unwrap_or(0))
}

/// The approved tips of a series in its order.
pub(super) async fn approved_tips(conn: &mut PgConnection, series_id: i64) -> sqlx::Result<Vec<Tip>> {
    let rows = sqlx::query!(
        r#"SELECT segment_id, revision_id AS "revision_id!", stage_from, stage_to FROM tips
        WHERE series_id = $1 AND state = 'approved' AND revision_id IS NOT NULL ORDER BY position"#,
        series_id
    )
    .fetch_all(conn)
    .await?;
    let tip = |segment_id, revision_id, from: Option<i32>, to: Option<i32>| Tip { segment_id, revision_id, window: from.zip(to) };
    Ok(rows.into_iter().map(|row| tip(row.segment_id, row.revision_id, row.stage_from, row.stage_to)).collect())
}

// The other editions of the series that may have handed a tip over within 72 hours of anyone's due time here: those
// still open, and those that ended later than that. An operator's edition goes past that rule.
async fn recent_editions(conn: &mut PgConnection, edition: &Edition) -> sqlx::Result<(Vec<i64>, Vec<chrono::NaiveDate>)> {
    if edition.by_operator {
        return Ok((Vec::new(), Vec::new()));
    }
    let margin = SignedDuration::from_hours(1);
    let rows = sqlx::query!(
        "SELECT e.id, e.period FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE c.series_id = $1 AND e.id <> $2 AND e.state <> 'skipped' AND coalesce(e.finished_at, 'infinity') > $3",
        edition.series_id,
        edition.id,
        to_db(edition.times.starts_at - BETWEEN_TIPS - margin)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.period)).unzip())
}

async fn advance(conn: &mut PgConnection, edition: &Edition, counted: i64, cursor: i64, done: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE editions SET counted = $2, planned_up_to = $3, planned = CASE WHEN $4 THEN $2::bigint END,
            state = CASE WHEN $4 AND state = 'planning' THEN 'scheduled' ELSE state END
        WHERE id = $1",
        edition.id,
        counted,
        cursor,
        done
    )
    .execute(&mut *conn)
    .await?;
    if edition.running {
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(())
}
