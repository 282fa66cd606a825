//! What the clock does to campaigns: opens the editions that are due, starts them, and finishes what is done.
//!
//! The worker's sweep calls `open_due`, `start_due` and `finish`, in any order, on any number of machines at once; each
//! claims its rows, and (campaign, occurrence) is unique as the last guard. None may run inside another transaction.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::{Acquire, PgConnection};

use super::CampaignError;
use super::campaign::pause_rows;
use super::cancel::cancel_deliveries;
use super::edition::{self, NewEdition};
use super::states::EditionState;
use super::store::{self, Campaign, What};
use crate::base::time::{civil_to_db, period_of, to_db};
use crate::base::wake::{self, Job};

const MISSED: &str = "missed while nothing was running";

/// Opens the edition of every campaign whose planning is due, and gives their ids; each is to be planned.
///
/// After a downtime only the newest occurrence is taken up; the older ones are recorded as skipped.
pub async fn open_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<Vec<i64>> {
    let names = sqlx::query_scalar!(
        "SELECT name FROM campaigns WHERE next_run_at <= $1 AND state IN ('scheduled', 'running') ORDER BY next_run_at, id",
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    ensure_partitions(conn, now).await?;
    let mut opened = Vec::new();
    for name in names {
        match open(conn, &name, now).await {
            Ok(edition) => opened.extend(edition),
            Err(CampaignError::Database(error)) => return Err(error),
            // One campaign that cannot be read keeps no other from being opened.
            Err(error) => tracing::error!(campaign = name, %error, "the campaign's next edition could not be opened"),
        }
    }
    Ok(opened)
}

/// The editions whose planning is not at its end, the earliest first.
pub async fn plannable(conn: &mut PgConnection) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!("SELECT id FROM editions WHERE state IN ('planning', 'running') AND planned IS NULL ORDER BY starts_at, id")
        .fetch_all(conn)
        .await
}

/// Whether an edition is to be opened, planned, checked or started now.
pub async fn anything_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM campaigns WHERE next_run_at <= $1 AND state IN ('scheduled', 'running'))
            OR EXISTS (SELECT FROM editions WHERE state IN ('planning', 'running') AND planned IS NULL)
            OR EXISTS (SELECT FROM editions WHERE state IN ('planning', 'scheduled', 'running') AND checked_at IS NULL)
            OR EXISTS (SELECT FROM editions WHERE state IN ('planning', 'scheduled') AND starts_at <= $1) AS "due!""#,
        to_db(now)
    )
    .fetch_one(conn)
    .await
}

/// Starts the editions whose time has come, though their planning may go on, and pauses the campaigns of editions that
/// the ledger paused because the relay refused us. Gives the ids of the started.
pub async fn start_due(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<Vec<i64>> {
    follow_pauses(&mut *conn).await?;
    let mut tx = conn.begin().await?;
    let started = sqlx::query_scalar!(
        "UPDATE editions SET state = 'running' WHERE state IN ('planning', 'scheduled') AND starts_at <= $1 RETURNING id",
        to_db(now)
    )
    .fetch_all(&mut *tx)
    .await?;
    if !started.is_empty() {
        wake::enqueue(&mut tx, &Job::Send).await?;
    }
    tx.commit().await?;
    Ok(started)
}

/// Finishes the running editions of which nothing is left to do, and ends what is left of cancelled ones. Gives the ids
/// of the finished.
pub async fn finish(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<Vec<i64>> {
    end_the_cancelled(conn, now).await?;
    let candidates = sqlx::query_scalar!(
        // A scalar, which is probed for each edition: an EXISTS may become a join that reads everything that is ready.
        "SELECT id FROM editions e WHERE state = 'running' AND planned IS NOT NULL AND checked_at IS NOT NULL AND (
            SELECT d.id FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND d.ready_at IS NOT NULL LIMIT 1) IS NULL
        ORDER BY id"
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut finished = Vec::new();
    for edition_id in candidates {
        if finish_one(conn, edition_id, now).await? {
            finished.push(edition_id);
        }
    }
    follow_editions(conn).await?;
    Ok(finished)
}

/// Records the occurrences that were missed before the newest as skipped editions, and moves the campaign on to that.
/// The caller holds the campaign's row.
pub(super) async fn skip_missed(
    conn: &mut PgConnection,
    campaign: &Campaign,
    reason: &str,
    now: Timestamp,
) -> Result<Option<Due>, CampaignError> {
    let Some(next) = campaign.next else { return Ok(None) };
    let schedule = campaign.schedule()?;
    let mut newest = next.occurrence;
    if schedule.opens_at(newest) > now {
        return Ok(None);
    }
    loop {
        let following = schedule.rule.next_after(newest);
        match following {
            Some(day) if schedule.opens_at(day) <= now => {
                let skipped = NewEdition {
                    state: EditionState::Skipped,
                    reason: Some(reason),
                    ..NewEdition::of_rule(newest, schedule.starts_at(newest))
                };
                edition::insert(conn, campaign, &skipped, now).await?;
                newest = day;
            }
            _ => {
                schedule_next(conn, campaign.id, Some((newest, schedule.opens_at(newest)))).await?;
                let following = following.map(|day| (day, schedule.opens_at(day)));
                return Ok(Some(Due { occurrence: newest, starts_at: schedule.starts_at(newest), following }));
            }
        }
    }
}

/// The occurrence that is to be taken up, and the one after it.
pub(super) struct Due {
    occurrence: Date,
    starts_at: Timestamp,
    following: Option<(Date, Timestamp)>,
}

async fn open(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<Option<i64>, CampaignError> {
    let mut tx = conn.begin().await?;
    let mine = sqlx::query_scalar!(
        "SELECT id FROM campaigns WHERE name = $1 AND next_run_at <= $2 AND state IN ('scheduled', 'running') FOR UPDATE SKIP LOCKED",
        name,
        to_db(now)
    )
    .fetch_optional(&mut *tx)
    .await?;
    if mine.is_none() {
        return Ok(None);
    }
    let campaign = store::find(&mut tx, name).await?;
    let due = match (&campaign.what, campaign.next) {
        (What::Weekly(_), _) => skip_missed(&mut tx, &campaign, MISSED, now).await?,
        (What::Broadcast(broadcast), next) => {
            next.map(|next| Due { occurrence: next.occurrence, starts_at: broadcast.starts_at, following: None })
        }
    };
    let Some(due) = due else { return Ok(None) };
    let state = if now < due.starts_at { EditionState::Planning } else { EditionState::Running };
    let opened = NewEdition { state, ..NewEdition::of_rule(due.occurrence, due.starts_at) };
    let opened = edition::insert(&mut tx, &campaign, &opened, now).await?;
    schedule_next(&mut tx, campaign.id, due.following).await?;
    sqlx::query!("UPDATE campaigns SET state = 'running' WHERE id = $1", campaign.id).execute(&mut *tx).await?;
    if let Some(edition_id) = opened {
        wake::enqueue(&mut tx, &Job::PlanEdition { edition_id }).await?;
    }
    tx.commit().await?;
    Ok(opened)
}

async fn schedule_next(conn: &mut PgConnection, campaign_id: i64, next: Option<(Date, Timestamp)>) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE campaigns SET next_occurrence = $2, next_run_at = $3 WHERE id = $1",
        campaign_id,
        next.map(|(day, _)| civil_to_db(day)),
        next.map(|(_, opens_at)| to_db(opens_at))
    )
    .execute(conn)
    .await?;
    Ok(())
}

// Apart from any transaction that writes: attaching a partition waits for those.
async fn ensure_partitions(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let month = civil_to_db(period_of(now));
    sqlx::query!("SELECT ensure_deliveries_partition($1), ensure_deliveries_partition(($1::date + interval '1 month')::date)", month)
        .fetch_one(conn)
        .await?;
    Ok(())
}

async fn follow_pauses(conn: &mut PgConnection) -> sqlx::Result<()> {
    let campaigns = sqlx::query!(
        "SELECT DISTINCT c.id, c.name FROM campaigns c JOIN editions e ON e.campaign_id = c.id
        WHERE e.state = 'paused' AND c.state IN ('scheduled', 'running')"
    );
    for campaign in campaigns.fetch_all(&mut *conn).await? {
        if let Some(reason) = follow_pause(conn, campaign.id).await? {
            tracing::error!(campaign = campaign.name, reason, "the campaign is paused: resume it when what the reason names is mended");
        }
    }
    Ok(())
}

// The row of the campaign is held before its editions are looked at: an operator may be resuming them.
async fn follow_pause(conn: &mut PgConnection, campaign_id: i64) -> sqlx::Result<Option<String>> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SELECT id FROM campaigns WHERE id = $1 FOR UPDATE", campaign_id).fetch_one(&mut *tx).await?;
    let reason = sqlx::query_scalar!(
        r#"SELECT coalesce(e.reason, 'an edition was paused') AS "reason!" FROM editions e JOIN campaigns c ON c.id = e.campaign_id
        WHERE c.id = $1 AND e.state = 'paused' AND c.state IN ('scheduled', 'running') ORDER BY e.id DESC LIMIT 1"#,
        campaign_id
    );
    let reason = reason.fetch_optional(&mut *tx).await?;
    if let Some(reason) = &reason {
        pause_rows(&mut tx, campaign_id, reason).await?;
    }
    tx.commit().await?;
    Ok(reason)
}

// What goes out once is over with its edition, and goes on with it when an undo or an operator queues a delivery of it again.
async fn follow_editions(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE campaigns c SET state = s.state FROM (
            SELECT id, CASE WHEN EXISTS (SELECT FROM editions e WHERE e.campaign_id = campaigns.id AND e.state NOT IN ('finished', 'skipped', 'cancelled'))
                THEN 'running' ELSE 'finished' END AS state
            FROM campaigns WHERE kind <> 'weekly' AND next_run_at IS NULL AND state IN ('running', 'finished')) s
        WHERE c.id = s.id AND c.state IN ('running', 'finished') AND c.state <> s.state"
    )
    .execute(conn)
    .await
    .map(drop)
}

// The edition's row is locked first: an undo or an operator who queues a delivery again locks it too, so that neither
// misses the other. A row that is held is waited for: whoever holds it may have looked before the last delivery ended, or may not end well.
async fn finish_one(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let mut tx = conn.begin().await?;
    let locked = sqlx::query_scalar!(
        "SELECT period FROM editions WHERE id = $1 AND state = 'running' AND planned IS NOT NULL AND checked_at IS NOT NULL FOR NO KEY UPDATE",
        edition_id
    );
    let Some(period) = locked.fetch_optional(&mut *tx).await? else { return Ok(false) };
    let finished = sqlx::query!(
        "UPDATE editions SET state = 'finished', finished_at = $3 WHERE id = $2 AND NOT EXISTS (
            SELECT FROM deliveries WHERE period = $1 AND edition_id = $2 AND state IN ('queued', 'claimed', 'handing_over', 'deferred'))",
        period,
        edition_id,
        to_db(now)
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(finished.rows_affected() == 1)
}

// A delivery that was being handed over when its campaign was cancelled may come back deferred or queued.
async fn end_the_cancelled(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let left = sqlx::query_scalar!(
        "SELECT id FROM editions e WHERE state = 'cancelled' AND (
            SELECT d.id FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND d.ready_at IS NOT NULL LIMIT 1) IS NOT NULL"
    )
    .fetch_all(&mut *conn)
    .await?;
    for edition_id in left {
        cancel_deliveries(conn, edition_id, now).await?;
    }
    Ok(())
}
