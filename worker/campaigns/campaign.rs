//! A campaign's own life: created, paused, resumed, each by an operator and each recorded; `cancel` is its end.
//!
//! Pausing and resuming move the campaign and its open editions in one transaction. The command line calls them.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection};

use super::schedule::{Rule, Schedule};
use super::states::{CampaignState, FirstTip, Late};
use super::store::{self, Campaign, Next, Weekly, What};
use super::{CampaignError, broadcast, due};
use crate::base::time::to_db;
use crate::base::wake::{self, Job};
use crate::base::zone;

pub use super::cancel::cancel;

/// What a new weekly campaign is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewWeekly<'a> {
    /// What operators will call it.
    pub name: &'a str,
    /// The series' name.
    pub series: &'a str,
    /// A weekday and a time, such as `Tue 09:00`; or
    pub at: Option<&'a str>,
    /// a cron line that fires at most once a day.
    pub cron: Option<&'a str>,
    /// An IANA zone.
    pub zone: &'a str,
    /// Each subscriber is due at the rule's time in her own zone.
    pub subscriber_zone: bool,
    /// What is done with deliveries that are late.
    pub late: Late,
    /// How late a delivery may be.
    pub tolerance: SignedDuration,
    /// How long after it was due a delivery is tried.
    pub deadline: SignedDuration,
    /// When somebody who has just confirmed gets her first tip.
    pub first_tip: FirstTip,
}

/// Makes a weekly campaign and schedules its first edition: the first that starts after `now`.
pub async fn create(conn: &mut PgConnection, new: NewWeekly<'_>, now: Timestamp) -> Result<Campaign, CampaignError> {
    let mut tx = conn.begin().await?;
    let name = valid_name(new.name)?;
    let schedule = schedule(&new)?;
    let (series_id, topic_id) = store::series(&mut tx, new.series).await?;
    let first = schedule.first_after(now).ok_or_else(|| CampaignError::NoNext(name.to_owned()))?;
    let mut campaign = Campaign {
        id: 0,
        name: name.to_owned(),
        state: CampaignState::Scheduled,
        reason: None,
        zone: schedule.zone.iana_name().unwrap_or(new.zone).to_owned(),
        late: new.late,
        tolerance: new.tolerance,
        deadline: new.deadline,
        next: Some(Next { occurrence: first, run_at: schedule.opens_at(first) }),
        created_at: now,
        what: What::Weekly(Weekly {
            topic_id,
            series_id,
            series: new.series.to_owned(),
            at: new.at.map(str::to_owned),
            cron: new.cron.map(str::to_owned),
            subscriber_zone: new.subscriber_zone,
            first_tip: new.first_tip,
        }),
    };
    campaign.id = store::insert(&mut tx, &campaign).await?;
    store::record_act(&mut tx, "create", &campaign, None, now).await?;
    tx.commit().await?;
    Ok(campaign)
}

/// Stops a campaign until it is resumed; what is in flight finishes.
pub async fn pause(conn: &mut PgConnection, name: &str, reason: &str, now: Timestamp) -> Result<Campaign, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = store::lock(&mut tx, name).await?;
    match campaign.state {
        CampaignState::Scheduled | CampaignState::Running => {}
        CampaignState::Paused => return Err(refused(&campaign, "`tidings campaign resume` lets it go on")),
        _ => return Err(refused(&campaign, "there is nothing to pause")),
    }
    pause_rows(&mut tx, campaign.id, reason).await?;
    store::record_act(&mut tx, "pause", &campaign, Some(reason), now).await?;
    tx.commit().await?;
    store::find(conn, name).await
}

/// Lets a paused campaign go on, its editions with tolerance and deadline anew. Of the editions whose time came while
/// it was paused the newest is taken up, the older ones are recorded as skipped.
pub async fn resume(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<Campaign, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = store::lock(&mut tx, name).await?;
    // A relay that refused us pauses an edition alone, until a worker comes to pause its campaign too.
    let editions = resume_editions(&mut tx, campaign.id, now).await?;
    match campaign.state {
        CampaignState::Paused => {}
        CampaignState::Scheduled | CampaignState::Running if editions > 0 => {}
        _ => return Err(refused(&campaign, "only a paused campaign can be resumed")),
    }
    sqlx::query!(
        "UPDATE campaigns SET reason = NULL, state = CASE
            WHEN EXISTS (SELECT FROM editions WHERE campaign_id = $1 AND state <> 'skipped') THEN 'running' ELSE 'scheduled' END
        WHERE id = $1",
        campaign.id
    )
    .execute(&mut *tx)
    .await?;
    match &campaign.what {
        What::Weekly(_) => due::skip_missed(&mut tx, &campaign, "missed while the campaign was paused", now).await.map(drop)?,
        What::Broadcast(_) => broadcast::put_off(&mut tx, campaign.id, now).await?,
    }
    store::record_act(&mut tx, "resume", &campaign, None, now).await?;
    wake::enqueue(&mut tx, &Job::Sweep).await?;
    tx.commit().await?;
    store::find(conn, name).await
}

pub(super) fn refused(campaign: &Campaign, hint: &'static str) -> CampaignError {
    CampaignError::State { name: campaign.name.clone(), state: campaign.state, hint }
}

/// Pauses a campaign whose row the caller holds, and its open editions.
pub(super) async fn pause_rows(conn: &mut PgConnection, campaign_id: i64, reason: &str) -> sqlx::Result<()> {
    sqlx::query!("UPDATE campaigns SET state = 'paused', reason = $2 WHERE id = $1", campaign_id, reason).execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE editions SET state = 'paused', resume_to = state, reason = $2
        WHERE campaign_id = $1 AND state IN ('planning', 'scheduled', 'running')",
        campaign_id,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

// What was due to start meanwhile starts now; a slice of it then leaves as soon as it is planned.
async fn resume_editions(conn: &mut PgConnection, campaign_id: i64, now: Timestamp) -> sqlx::Result<u64> {
    let resumed = sqlx::query!(
        "UPDATE editions SET state = CASE WHEN starts_at <= $2 THEN 'running' ELSE resume_to END, resume_to = NULL, reason = NULL, anew_at = $2
        WHERE campaign_id = $1 AND state = 'paused'",
        campaign_id,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(resumed.rows_affected())
}

pub(super) fn valid_name(name: &str) -> Result<&str, CampaignError> {
    let length = name.chars().count();
    let plain = name.trim() == name && !name.starts_with('-') && !name.chars().any(char::is_control);
    if plain && (1..=100).contains(&length) { Ok(name) } else { Err(CampaignError::Name(name.to_owned())) }
}

fn schedule(new: &NewWeekly<'_>) -> Result<Schedule, CampaignError> {
    let rule = match (new.at, new.cron) {
        (Some(at), None) => Rule::at(at)?,
        (None, Some(line)) => Rule::cron(line)?,
        _ => return Err(CampaignError::OneRule),
    };
    Ok(Schedule { rule, zone: zone::find(new.zone)?, subscriber_zone: new.subscriber_zone })
}
