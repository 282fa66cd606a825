//! The end of a campaign by an operator's word: the campaign and its editions in one transaction, then their deliveries.
//!
//! What was not handed over is ended slice by slice; what a crash leaves of it, and what was in flight and comes back,
//! `due::finish` ends. The command line calls `cancel`.

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

use super::campaign::refused;
use super::states::CampaignState;
use super::{CampaignError, store};
use crate::base::database::is_to_be_retried;
use crate::base::time::to_db;

const SLICE: i64 = 10_000;

/// Ends a campaign and its open editions; gives how many deliveries were cancelled. What is being handed over finishes
/// by itself. Run again after a crash, it goes on where it stopped; where nothing is left of one that was cancelled, it says so.
pub async fn cancel(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<u64, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = store::lock(&mut tx, name).await?;
    if campaign.state == CampaignState::Finished {
        return Err(refused(&campaign, "there is nothing to cancel"));
    }
    if campaign.state != CampaignState::Cancelled {
        sqlx::query!(
            "UPDATE campaigns SET state = 'cancelled', reason = NULL, next_occurrence = NULL, next_run_at = NULL WHERE id = $1",
            campaign.id
        )
        .execute(&mut *tx)
        .await?;
        // Nothing more is planned, so what was counted until now is what was planned.
        sqlx::query!(
            "UPDATE editions SET state = 'cancelled', resume_to = NULL, reason = 'campaign cancelled', planned = counted, finished_at = $2
            WHERE campaign_id = $1 AND state NOT IN ('finished', 'skipped', 'cancelled')",
            campaign.id,
            to_db(now)
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("DELETE FROM edition_line l USING editions e WHERE e.id = l.edition_id AND e.campaign_id = $1", campaign.id)
            .execute(&mut *tx)
            .await?;
        store::record_act(&mut tx, "cancel", &campaign, None, now).await?;
    }
    let open = sqlx::query_scalar!("SELECT id FROM editions WHERE campaign_id = $1 AND state = 'cancelled' ORDER BY id", campaign.id)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let mut cancelled = 0;
    for edition_id in open {
        cancelled += cancel_deliveries(conn, edition_id, now).await?;
    }
    cancelled += cancel_first_tips(conn, campaign.id, now).await?;
    match (campaign.state, cancelled) {
        (CampaignState::Cancelled, 0) => Err(refused(&campaign, "nothing of it is left to cancel")),
        _ => Ok(cancelled),
    }
}

// First tips are of no edition; they end with the last campaign that could have given them.
async fn cancel_first_tips(conn: &mut PgConnection, campaign_id: i64, now: Timestamp) -> sqlx::Result<u64> {
    let waiting = sqlx::query!(
        "SELECT d.period, d.id FROM campaigns c JOIN deliveries d ON d.series_id = c.series_id
        WHERE c.id = $1 AND d.edition_id IS NULL AND d.ready_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM campaigns o WHERE o.series_id = c.series_id AND o.state IN ('scheduled', 'running', 'paused'))
        ORDER BY d.period, d.id",
        campaign_id
    );
    let mut cancelled = 0;
    for delivery in waiting.fetch_all(&mut *conn).await? {
        cancelled += cancel_slice(conn, delivery.period, &[delivery.id], now).await?;
    }
    Ok(cancelled)
}

/// Cancels what was not handed over of a cancelled edition, slice by slice, each a transaction; gives how many.
pub(super) async fn cancel_deliveries(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<u64> {
    let period = sqlx::query_scalar!("SELECT period FROM editions WHERE id = $1 AND state = 'cancelled'", edition_id);
    let Some(period) = period.fetch_optional(&mut *conn).await? else { return Ok(0) };
    let (mut after, mut cancelled) = (0, 0);
    loop {
        let slice = sqlx::query!(
            r#"SELECT id, subscriber_id AS "subscriber_id!" FROM deliveries
            WHERE period = $1 AND edition_id = $2 AND subscriber_id > $3 AND state IN ('queued', 'claimed', 'deferred')
            ORDER BY subscriber_id LIMIT $4"#,
            period,
            edition_id,
            after,
            SLICE
        );
        let slice = slice.fetch_all(&mut *conn).await?;
        let Some(last) = slice.last() else { return Ok(cancelled) };
        let ids: Vec<i64> = slice.iter().map(|delivery| delivery.id).collect();
        cancelled += loop {
            match cancel_slice(conn, period, &ids, now).await {
                Err(error) if is_to_be_retried(&error) => {}
                ended => break ended?,
            }
        };
        after = last.subscriber_id;
    }
}

// In two statements: in one the planner reads all of segments_given for each slice.
async fn cancel_slice(conn: &mut PgConnection, period: chrono::NaiveDate, ids: &[i64], now: Timestamp) -> sqlx::Result<u64> {
    let mut tx = conn.begin().await?;
    let ended = sqlx::query!(
        "WITH open AS (
            SELECT id FROM deliveries WHERE period = $1 AND id = ANY($2) AND state IN ('queued', 'claimed', 'deferred') ORDER BY id FOR UPDATE
        )
        UPDATE deliveries d SET state = 'cancelled', reason = 'campaign cancelled', ready_at = NULL, finished_at = $3
        FROM open WHERE d.period = $1 AND d.id = open.id
        RETURNING d.subscriber_id, d.segment_id",
        period,
        ids,
        to_db(now)
    )
    .fetch_all(&mut *tx)
    .await?;
    let (subscribers, segments): (Vec<i64>, Vec<i64>) =
        ended.iter().filter_map(|delivery| delivery.subscriber_id.zip(delivery.segment_id)).unzip();
    sqlx::query!(
        "DELETE FROM segments_given g USING unnest($1::bigint[], $2::bigint[]) AS ended (subscriber_id, segment_id)
        WHERE g.subscriber_id = ended.subscriber_id AND g.segment_id = ended.segment_id",
        &subscribers,
        &segments
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(ended.len() as u64)
}
