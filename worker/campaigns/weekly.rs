//! Planning a weekly edition: who gets which tip, and when.
//!
//! Owns the one statement that chooses each recipient's next tip and writes her delivery (`weekly/plan.sql`). `planning` calls
//! `slice` until nobody is left; `replan` writes single people anew.

pub(super) mod fit;
mod times;

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

use super::edition::Occurrence;
use super::planning::{SLICE, Slice};
use super::recipients::{count_subscribed, kept, subscribed};
use super::schedule::{Rule, Schedule};
use crate::base::time::{from_db, to_db};
use crate::base::zone;
use crate::delivery::ledger::claim::BETWEEN_TIPS;
use fit::{Fits, Tip, fits};
pub(super) use times::Times;

/// Plans the next slice: the recipients after the cursor, each with her next tip or the reason why she gets none.
pub(super) async fn slice(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Option<Slice>> {
    let Some(edition) = lock(&mut *conn, edition_id).await? else { return Ok(None) };
    let mut ids = subscribed(&mut *conn, edition.topic_id, edition.cursor).await?;
    let (done, last) = ((ids.len() as i64) < SLICE, ids.last().copied().unwrap_or(edition.cursor));
    let kept = kept(&mut *conn, edition.period, edition.id, (edition.cursor, last)).await?;
    let counted = edition.counted + count_subscribed(&mut *conn, edition.topic_id, (edition.cursor, last), &kept).await?;
    ids.retain(|id| kept.binary_search(id).is_err());
    if !ids.is_empty() {
        hold_series(conn, edition.series_id).await?;
        write(conn, &edition, &ids, now).await?;
    }
    Ok(Some(Slice { counted, cursor: last, done, running: edition.running }))
}

/// Writes the delivery of one subscriber alone, for a look at what she would get; the caller rolls back.
pub(super) async fn plan_one(conn: &mut PgConnection, edition_id: i64, subscriber_id: i64, now: Timestamp) -> sqlx::Result<()> {
    if let Some(edition) = lock(&mut *conn, edition_id).await? {
        hold_series(conn, edition.series_id).await?;
        write(conn, &edition, &[subscriber_id], now).await?;
    }
    Ok(())
}

/// An edition as its planning needs it.
pub(super) struct Edition {
    pub(super) id: i64,
    period: chrono::NaiveDate,
    by_operator: bool,
    pub(super) running: bool,
    topic_id: i64,
    pub(super) series_id: i64,
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

async fn lock(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Option<Edition>> {
    let row = sqlx::query_as!(
        EditionRow,
        r#"SELECT e.id, e.period, e.occurrence, e.by_operator, e.state = 'running' AS "running!", e.starts_at, e.counted, e.planned_up_to,
            c.topic_id AS "topic_id!", c.series_id AS "series_id!", c.at, c.cron, c.zone, c.subscriber_zone
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

/// Keeps imports off a series until the caller's transaction ends: an import that finds that segments overlap looks who was given
/// which, and must not miss who is being given one now. A caller whose snapshot is older than the last import has to begin anew.
pub(super) async fn hold_series(conn: &mut PgConnection, series_id: i64) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT id FROM series WHERE id = $1 FOR SHARE", series_id).fetch_one(conn).await?;
    Ok(())
}

/// The same of several, always in the same order.
pub(super) async fn hold_all_series(conn: &mut PgConnection, mut series: Vec<i64>) -> sqlx::Result<()> {
    series.sort_unstable();
    series.dedup();
    for series_id in series {
        hold_series(conn, series_id).await?;
    }
    Ok(())
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
