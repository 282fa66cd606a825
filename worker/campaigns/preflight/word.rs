//! An operator's word about an edition that pre-flight holds: send it whatever was found, or look again after the cause was corrected.
//!
//! Looking again plans anew as well when nothing of the edition has been tried yet, so that it has the tips, the words and the people of
//! now. `edition::release` and the command line call it; the caller holds the campaign's row.

use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

use super::store;
use crate::base::time::to_db;
use crate::base::wake::{self, Job};
use crate::campaigns::CampaignError;
use crate::campaigns::campaign::refused;
use crate::campaigns::replan::replan_withdrawn;
use crate::campaigns::states::CampaignState;
use crate::campaigns::store as campaigns;

/// Lets the editions of a campaign that are held by findings go all the same, tolerance and deadline anew; gives their occurrences.
/// A mail that cannot be made fails by itself.
pub async fn accept(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<Vec<String>, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = campaigns::lock(&mut tx, name).await?;
    if campaign.state == CampaignState::Paused {
        return Err(refused(&campaign, "resume it first: `tidings campaign resume`"));
    }
    if unmade(&mut tx, campaign.id).await? {
        let why = "not one mail of its held edition could be made where it was checked, so none was looked at: `tidings campaign release` has a \
            worker check it that can use its templates";
        return Err(refused(&campaign, why));
    }
    let accepted = sqlx::query_scalar!(
        "UPDATE editions SET state = resume_to, resume_to = NULL, reason = NULL, anew_at = $2, accepted_at = $2, cleared_up_to = checked_up_to
        WHERE campaign_id = $1 AND state = 'held' AND edition_blocked(id) RETURNING occurrence",
        campaign.id,
        to_db(now)
    )
    .fetch_all(&mut *tx)
    .await?;
    if accepted.is_empty() {
        return Err(CampaignError::NothingFound(name.to_owned()));
    }
    campaigns::record_act(&mut tx, "accept", &campaign, Some(&accepted.join(", ")), now).await?;
    wake::enqueue(&mut tx, &Job::Sweep).await?;
    wake::enqueue(&mut tx, &Job::Send).await?;
    tx.commit().await?;
    Ok(accepted)
}

// Whether mails were passed over because a binary cannot use their templates: what nobody looked at is not to be accepted.
async fn unmade(conn: &mut PgConnection, campaign_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM preflight_findings f JOIN editions e ON e.id = f.edition_id
            WHERE e.campaign_id = $1 AND e.state = 'held' AND f.kind = 'templates') AS "unmade!""#,
        campaign_id
    )
    .fetch_one(conn)
    .await
}

/// Has the editions of a campaign that findings hold checked anew, planned anew if nothing of them was tried; gives their occurrences.
pub(in crate::campaigns) async fn check_again(conn: &mut PgConnection, campaign_id: i64, now: Timestamp) -> sqlx::Result<Vec<String>> {
    let held = sqlx::query!(
        "SELECT id, occurrence FROM editions WHERE campaign_id = $1 AND state = 'held' AND edition_blocked(id) ORDER BY id FOR NO KEY UPDATE",
        campaign_id
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut occurrences = Vec::new();
    for edition in held {
        begin_anew(conn, edition.id, now).await?;
        sqlx::query!(
            "UPDATE editions SET state = CASE WHEN starts_at <= $2 THEN 'running' WHEN planned IS NULL THEN 'planning' ELSE 'scheduled' END,
                resume_to = NULL, reason = NULL, anew_at = $2
            WHERE id = $1",
            edition.id,
            to_db(now)
        )
        .execute(&mut *conn)
        .await?;
        wake::enqueue(conn, &Job::PlanEdition { edition_id: edition.id }).await?;
        occurrences.push(edition.occurrence);
    }
    Ok(occurrences)
}

/// Takes back what is planned of an edition, or at least gives its mails the words and the approved tips of now, and forgets what was found. The caller
/// holds the edition's row.
pub(super) async fn begin_anew(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<()> {
    match store::tried(conn, edition_id).await? {
        true => {
            renew_words(conn, edition_id).await?;
            replan_withdrawn(conn, edition_id, now).await?;
        }
        false => unplan(conn, edition_id, now).await?,
    }
    store::forget(conn, edition_id).await
}

// Whoever left and may take it back keeps her row, and is counted already; planning passes over it.
async fn unplan(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let kept = may_come_back(conn, edition_id, now).await?;
    sqlx::query!(
        "WITH gone AS (
            DELETE FROM deliveries d USING editions e
            WHERE e.id = $1 AND d.period = e.period AND d.edition_id = e.id AND d.id <> ALL($2::bigint[])
            RETURNING d.subscriber_id, d.segment_id, d.state)
        DELETE FROM segments_given g USING gone
        WHERE gone.state = 'queued' AND g.subscriber_id = gone.subscriber_id AND g.segment_id = gone.segment_id",
        edition_id,
        &kept
    )
    .execute(&mut *conn)
    .await?;
    renew_kept_words(conn, edition_id).await?;
    sqlx::query!("DELETE FROM edition_line WHERE edition_id = $1", edition_id).execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE editions SET planned = NULL, counted = cardinality($2::bigint[]), planned_up_to = 0, template_version = NULL WHERE id = $1",
        edition_id,
        &kept
    )
    .execute(conn)
    .await
    .map(drop)
}

// What a stop skipped that stands, and that `people::stop`'s undo would queue again. Not with a tip that is approved no more: it is not
// to be sent. Whoever came back already is planned like everybody.
async fn may_come_back(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT d.id FROM editions e JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id
        JOIN delivery_refusals r ON r.period = d.period AND r.id = d.id
        WHERE e.id = $1 AND d.state = 'skipped' AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all') AND d.finished_at > $2
            AND r.refusal IS NOT NULL AND r.refusal <> 'suppressed: erased'
            AND (d.segment_id IS NULL OR EXISTS (SELECT FROM tips t WHERE t.segment_id = d.segment_id AND t.state = 'approved'))
        ORDER BY d.id FOR UPDATE OF d",
        edition_id,
        to_db(now - store::COMES_BACK)
    )
    .fetch_all(conn)
    .await
}

// Their segments are free, so nobody inherits anything by the words that they had.
async fn renew_kept_words(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE deliveries d SET tip_revision_id = t.revision_id FROM editions e, tips t
        WHERE e.id = $1 AND d.period = e.period AND d.edition_id = e.id
            AND t.segment_id = d.segment_id AND t.state = 'approved' AND t.revision_id <> d.tip_revision_id",
        edition_id
    )
    .execute(conn)
    .await
    .map(drop)
}

// Not of a tip that an import found to share words with another after its words were written: who inherits what was reckoned by those.
async fn renew_words(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE deliveries d SET tip_revision_id = t.revision_id FROM editions e, tips t
        WHERE e.id = $1 AND d.period = e.period AND d.edition_id = e.id AND d.ready_at IS NOT NULL AND d.attempts = 0
            AND t.segment_id = d.segment_id AND t.state = 'approved' AND t.revision_id <> d.tip_revision_id
            AND NOT EXISTS (
                SELECT FROM segment_overlaps o JOIN tip_revisions r ON r.id = d.tip_revision_id
                WHERE d.segment_id IN (o.segment_id, o.of_segment_id) AND o.since > r.created_at)",
        edition_id
    )
    .execute(conn)
    .await
    .map(drop)
}
