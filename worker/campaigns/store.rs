//! Campaigns in the database: one row each, found by the exact name, with the schedule that its columns spell.
//!
//! Owns the SQL that reads and inserts campaigns; moves of state stand with what causes them. Every function takes the
//! caller's connection, so that the caller owns the transaction.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

use super::CampaignError;
use super::schedule::{Rule, Schedule};
use super::states::{CampaignState, FirstTip, Late};
use crate::base::acts;
use crate::base::database::violated;
use crate::base::time::{civil_from_db, civil_to_db, from_db, to_db};
use crate::base::zone;

/// A campaign as it stands.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its id.
    pub id: i64,
    /// What operators call it.
    pub name: String,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it is paused.
    pub reason: Option<String>,
    /// Whose subscribers it goes to.
    pub topic_id: i64,
    /// The series that its subscribers walk through.
    pub series_id: i64,
    /// The series' name.
    pub series: String,
    /// The weekly rule, such as `Tue 09:00`; or
    pub at: Option<String>,
    /// the rule as a cron line.
    pub cron: Option<String>,
    /// The IANA name of the zone that its editions are dated in.
    pub zone: String,
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
    /// The next edition by the rule, if there is to be one.
    pub next: Option<Next>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The next edition by the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The campaign's local date.
    pub occurrence: Date,
    /// When its planning opens.
    pub run_at: Timestamp,
}

impl Campaign {
    /// Its rule in its zone.
    pub fn schedule(&self) -> Result<Schedule, CampaignError> {
        let rule = match (&self.at, &self.cron) {
            (Some(at), None) => Rule::at(at)?,
            (None, Some(line)) => Rule::cron(line)?,
            _ => return Err(CampaignError::OneRule),
        };
        Ok(Schedule { rule, zone: zone::find(&self.zone)?, subscriber_zone: self.subscriber_zone })
    }

    /// Its rule as it was given.
    pub fn rule_text(&self) -> &str {
        self.at.as_deref().or(self.cron.as_deref()).unwrap_or_default()
    }
}

/// The campaign of exactly this name.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Campaign, CampaignError> {
    match select(conn, Some(name), false).await?.pop() {
        Some(campaign) => Ok(campaign),
        None => Err(unknown(conn, name).await?),
    }
}

/// The same, its row locked until the caller's transaction ends.
pub async fn lock(conn: &mut PgConnection, name: &str) -> Result<Campaign, CampaignError> {
    match select(conn, Some(name), true).await?.pop() {
        Some(campaign) => Ok(campaign),
        None => Err(unknown(conn, name).await?),
    }
}

/// All campaigns, by name.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Campaign>> {
    select(conn, None, false).await
}

/// The series of this name, and its topic.
pub async fn series(conn: &mut PgConnection, name: &str) -> Result<(i64, i64), CampaignError> {
    let found = sqlx::query!("SELECT id, topic_id FROM series WHERE name = $1", name).fetch_optional(&mut *conn).await?;
    match found {
        Some(series) => Ok((series.id, series.topic_id)),
        None => {
            let existing = sqlx::query_scalar!("SELECT name FROM series ORDER BY name LIMIT 20").fetch_all(conn).await?;
            Err(CampaignError::UnknownSeries { name: name.to_owned(), existing })
        }
    }
}

/// What a campaign has to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provisions {
    /// Tips of its series that are approved.
    pub approved_tips: i64,
    /// Confirmed subscribers of its topic.
    pub subscribers: i64,
    /// The most of those tips that any of them was given.
    pub furthest: i64,
}

impl Provisions {
    /// For how many more editions there is a tip for everyone; stage windows are not looked at.
    pub fn weeks_left(&self) -> i64 {
        (self.approved_tips - self.furthest).max(0)
    }
}

/// What `campaign` has to go on with.
pub async fn provisions(conn: &mut PgConnection, campaign: &Campaign) -> sqlx::Result<Provisions> {
    sqlx::query_as!(
        Provisions,
        r#"SELECT
            (SELECT count(*) FROM tips WHERE series_id = $1 AND state = 'approved') AS "approved_tips!",
            (SELECT count(*) FROM subscriptions WHERE topic_id = $2 AND standing = 'confirmed') AS "subscribers!",
            coalesce((
                SELECT count(*) FROM segments_given g JOIN tips t ON t.segment_id = g.segment_id AND t.series_id = $1 AND t.state = 'approved'
                JOIN subscriptions n ON n.subscriber_id = g.subscriber_id AND n.topic_id = $2 AND n.standing = 'confirmed'
                GROUP BY g.subscriber_id ORDER BY 1 DESC LIMIT 1), 0) AS "furthest!""#,
        campaign.series_id,
        campaign.topic_id
    )
    .fetch_one(conn)
    .await
}

/// Inserts a weekly campaign, and gives its id; the one given is ignored.
pub async fn insert(conn: &mut PgConnection, campaign: &Campaign) -> Result<i64, CampaignError> {
    let inserted = sqlx::query_scalar!(
        "INSERT INTO campaigns (name, kind, state, topic_id, series_id, at, cron, zone, subscriber_zone, late, tolerance_seconds,
            deadline_seconds, next_occurrence, next_run_at, created_at, first_tip)
        VALUES ($1, 'weekly', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING id",
        campaign.name,
        campaign.state.as_str(),
        campaign.topic_id,
        campaign.series_id,
        campaign.at,
        campaign.cron,
        campaign.zone,
        campaign.subscriber_zone,
        campaign.late.as_str(),
        seconds(campaign.tolerance),
        seconds(campaign.deadline),
        campaign.next.map(|next| civil_to_db(next.occurrence)),
        campaign.next.map(|next| to_db(next.run_at)),
        to_db(campaign.created_at),
        campaign.first_tip.as_str()
    );
    inserted.fetch_one(conn).await.map_err(|error| match violated(&error) {
        Some("campaigns_name_key") => CampaignError::NameTaken(campaign.name.clone()),
        _ => error.into(),
    })
}

/// Records what an operator did to a campaign, in the caller's transaction.
pub async fn record_act(conn: &mut PgConnection, act: &str, campaign: &Campaign, detail: Option<&str>, now: Timestamp) -> sqlx::Result<()> {
    acts::record(conn, act, "campaign", Some(campaign.id), detail, now).await
}

/// A duration as the schema takes it, in whole seconds.
pub fn seconds(duration: SignedDuration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

// A weekly campaign always has a series, as the schema holds; the other kinds are not read here.
async fn select(conn: &mut PgConnection, name: Option<&str>, lock: bool) -> sqlx::Result<Vec<Campaign>> {
    if lock {
        sqlx::query!("SELECT FROM campaigns WHERE name = $1 FOR UPDATE", name).fetch_optional(&mut *conn).await?;
    }
    let rows = sqlx::query!(
        r#"SELECT c.id, c.name, c.state AS "state: CampaignState", c.reason, c.topic_id, s.id AS series_id, s.name AS series, c.at, c.cron, c.zone,
            c.subscriber_zone, c.late AS "late: Late", c.tolerance_seconds, c.deadline_seconds, c.next_occurrence, c.next_run_at, c.created_at,
            c.first_tip AS "first_tip: FirstTip"
        FROM campaigns c JOIN series s ON s.id = c.series_id
        WHERE c.kind = 'weekly' AND ($1::text IS NULL OR c.name = $1) ORDER BY c.name"#,
        name
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Campaign {
            id: row.id,
            name: row.name,
            state: row.state,
            reason: row.reason,
            topic_id: row.topic_id,
            series_id: row.series_id,
            series: row.series,
            at: row.at,
            cron: row.cron,
            zone: row.zone,
            subscriber_zone: row.subscriber_zone,
            late: row.late,
            tolerance: SignedDuration::from_secs(row.tolerance_seconds.into()),
            deadline: SignedDuration::from_secs(row.deadline_seconds.into()),
            first_tip: row.first_tip,
            next: row.next_occurrence.zip(row.next_run_at).map(|(day, at)| Next { occurrence: civil_from_db(day), run_at: from_db(at) }),
            created_at: from_db(row.created_at),
        })
        .collect())
}

async fn unknown(conn: &mut PgConnection, name: &str) -> sqlx::Result<CampaignError> {
    let existing = sqlx::query_scalar!("SELECT name FROM campaigns ORDER BY name LIMIT 20").fetch_all(conn).await?;
    Ok(CampaignError::Unknown { name: name.to_owned(), existing })
}
