//! Campaigns in the database: one row each, found by the exact name, with the schedule that its columns spell.
//!
//! Owns the SQL that reads and inserts campaigns; moves of state stand with what causes them. Every function takes the
//! caller's connection, so that the caller owns the transaction.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;

use super::CampaignError;
use super::recipients::Recipients;
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
    /// The IANA name of the zone that its editions are dated in.
    pub zone: String,
    /// What is done with deliveries that are late.
    pub late: Late,
    /// How late a delivery may be.
    pub tolerance: SignedDuration,
    /// How long after it was due a delivery is tried.
    pub deadline: SignedDuration,
    /// The next edition, if there is to be one.
    pub next: Option<Next>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it sends, and to whom.
    pub what: What,
}

/// What a campaign sends.
#[derive(Debug, Clone)]
pub enum What {
    /// One tip of a series a week.
    Weekly(Weekly),
    /// One mail to everyone, once.
    Broadcast(Broadcast),
}

/// A series, walked through week by week.
#[derive(Debug, Clone)]
pub struct Weekly {
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
    /// Each subscriber is due at the rule's time in her own zone.
    pub subscriber_zone: bool,
    /// When somebody who has just confirmed gets her first tip.
    pub first_tip: FirstTip,
}

/// A mail that was written once for all, and goes out once.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// Whom it goes to.
    pub recipients: Recipients,
    /// That topic's or program's slug.
    pub slug: String,
    /// When it goes out.
    pub starts_at: Timestamp,
    /// The subject of its mail.
    pub subject: String,
}

/// The next edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The campaign's local date.
    pub occurrence: Date,
    /// When its planning opens.
    pub run_at: Timestamp,
}

impl Campaign {
    /// The weekly campaign that it is, if it is one.
    pub fn weekly(&self) -> Option<&Weekly> {
        match &self.what {
            What::Weekly(weekly) => Some(weekly),
            What::Broadcast(_) => None,
        }
    }

    /// Its rule in its zone; an error where it has none.
    pub fn schedule(&self) -> Result<Schedule, CampaignError> {
        let weekly = self.weekly().ok_or_else(|| CampaignError::Once(self.name.clone()))?;
        let rule = match (&weekly.at, &weekly.cron) {
            (Some(at), None) => Rule::at(at)?,
            (None, Some(line)) => Rule::cron(line)?,
            _ => return Err(CampaignError::OneRule),
        };
        Ok(Schedule { rule, zone: zone::find(&self.zone)?, subscriber_zone: weekly.subscriber_zone })
    }

    /// Weekly, a broadcast, or the news of an opening.
    pub fn kind(&self) -> &'static str {
        match &self.what {
            What::Weekly(_) => "weekly",
            What::Broadcast(Broadcast { recipients: Recipients::Opening { .. }, .. }) => "opening",
            What::Broadcast(_) => "broadcast",
        }
    }
}

impl Weekly {
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

/// What a weekly campaign has to go on with.
pub async fn provisions(conn: &mut PgConnection, weekly: &Weekly) -> sqlx::Result<Provisions> {
    sqlx::query_as!(
        Provisions,
        r#"SELECT
            (SELECT count(*) FROM tips WHERE series_id = $1 AND state = 'approved') AS "approved_tips!",
            (SELECT count(*) FROM subscriptions WHERE topic_id = $2 AND standing = 'confirmed') AS "subscribers!",
            coalesce((
                SELECT count(*) FROM (SELECT subscriber_id, segment_id FROM segments_given
                    UNION ALL SELECT DISTINCT subscriber_id, segment_id FROM segments_inherited i WHERE NOT EXISTS (
                        SELECT FROM segments_given g WHERE g.subscriber_id = i.subscriber_id AND g.segment_id = i.segment_id)) g
                JOIN tips t ON t.segment_id = g.segment_id AND t.series_id = $1 AND t.state = 'approved'
                JOIN subscriptions n ON n.subscriber_id = g.subscriber_id AND n.topic_id = $2 AND n.standing = 'confirmed'
                GROUP BY g.subscriber_id ORDER BY 1 DESC LIMIT 1), 0) AS "furthest!""#,
        weekly.series_id,
        weekly.topic_id
    )
    .fetch_one(conn)
    .await
}

/// The other weekly campaigns of a series that are not over, by their names.
pub async fn others_of_series(conn: &mut PgConnection, series_id: i64, but: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT name FROM campaigns WHERE series_id = $1 AND id <> $2 AND state NOT IN ('finished', 'cancelled') ORDER BY name",
        series_id,
        but
    )
    .fetch_all(conn)
    .await
}

/// Inserts a campaign, and gives its id; the one given is ignored.
pub async fn insert(conn: &mut PgConnection, campaign: &Campaign) -> Result<i64, CampaignError> {
    let (weekly, recipients, starts_at) = match &campaign.what {
        What::Weekly(weekly) => (Some(weekly), Recipients::Topic(weekly.topic_id), None),
        What::Broadcast(broadcast) => (None, broadcast.recipients, Some(to_db(broadcast.starts_at))),
    };
    let inserted = sqlx::query_scalar!(
        "INSERT INTO campaigns (name, kind, state, topic_id, series_id, at, cron, zone, subscriber_zone, late, tolerance_seconds,
            deadline_seconds, next_occurrence, next_run_at, created_at, first_tip, program_id, opening_id, starts_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING id",
        campaign.name,
        campaign.kind(),
        campaign.state.as_str(),
        recipients.topic_id(),
        weekly.map(|weekly| weekly.series_id),
        weekly.and_then(|weekly| weekly.at.as_deref()),
        weekly.and_then(|weekly| weekly.cron.as_deref()),
        campaign.zone,
        weekly.is_some_and(|weekly| weekly.subscriber_zone),
        campaign.late.as_str(),
        seconds(campaign.tolerance),
        seconds(campaign.deadline),
        campaign.next.map(|next| civil_to_db(next.occurrence)),
        campaign.next.map(|next| to_db(next.run_at)),
        to_db(campaign.created_at),
        weekly.map_or(FirstTip::Next, |weekly| weekly.first_tip).as_str(),
        recipients.program_id(),
        recipients.opening_id(),
        starts_at
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

async fn select(conn: &mut PgConnection, name: Option<&str>, lock: bool) -> sqlx::Result<Vec<Campaign>> {
    if lock {
        sqlx::query!("SELECT FROM campaigns WHERE name = $1 FOR UPDATE", name).fetch_optional(&mut *conn).await?;
    }
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.id, c.name, c.state AS "state: CampaignState", c.reason, c.topic_id, c.series_id, s.name AS "series?", c.at, c.cron, c.zone,
            c.subscriber_zone, c.late AS "late: Late", c.tolerance_seconds, c.deadline_seconds, c.next_occurrence, c.next_run_at, c.created_at,
            c.first_tip AS "first_tip: FirstTip", c.program_id, c.opening_id, c.starts_at, coalesce(p.slug, t.slug) AS "slug!", b.subject AS "subject?"
        FROM campaigns c LEFT JOIN series s ON s.id = c.series_id LEFT JOIN topics t ON t.id = c.topic_id LEFT JOIN programs p ON p.id = c.program_id
        LEFT JOIN broadcasts b ON b.campaign_id = c.id
        WHERE $1::text IS NULL OR c.name = $1 ORDER BY c.name"#,
        name
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

struct Row {
    id: i64,
    name: String,
    state: CampaignState,
    reason: Option<String>,
    topic_id: Option<i64>,
    series_id: Option<i64>,
    series: Option<String>,
    at: Option<String>,
    cron: Option<String>,
    zone: String,
    subscriber_zone: bool,
    late: Late,
    tolerance_seconds: i32,
    deadline_seconds: i32,
    next_occurrence: Option<chrono::NaiveDate>,
    next_run_at: Option<chrono::DateTime<chrono::Utc>>,
    created_at: chrono::DateTime<chrono::Utc>,
    first_tip: FirstTip,
    program_id: Option<i64>,
    opening_id: Option<i64>,
    starts_at: Option<chrono::DateTime<chrono::Utc>>,
    slug: String,
    subject: Option<String>,
}

impl Row {
    // The schema holds that a weekly campaign has a topic and a series, and any other an instant.
    fn read(self) -> sqlx::Result<Campaign> {
        let what = match (self.starts_at, self.topic_id, self.series_id) {
            (None, Some(topic_id), Some(series_id)) => What::Weekly(Weekly {
                topic_id,
                series_id,
                series: self.series.unwrap_or_default(),
                at: self.at,
                cron: self.cron,
                subscriber_zone: self.subscriber_zone,
                first_tip: self.first_tip,
            }),
            (Some(starts_at), topic_id, _) => What::Broadcast(Broadcast {
                recipients: Recipients::of_row(topic_id, self.program_id, self.opening_id).ok_or(sqlx::Error::RowNotFound)?,
                slug: self.slug,
                starts_at: from_db(starts_at),
                subject: self.subject.unwrap_or_default(),
            }),
            _ => return Err(sqlx::Error::RowNotFound),
        };
        Ok(Campaign {
            id: self.id,
            name: self.name,
            state: self.state,
            reason: self.reason,
            zone: self.zone,
            late: self.late,
            tolerance: SignedDuration::from_secs(self.tolerance_seconds.into()),
            deadline: SignedDuration::from_secs(self.deadline_seconds.into()),
            next: self.next_occurrence.zip(self.next_run_at).map(|(day, at)| Next { occurrence: civil_from_db(day), run_at: from_db(at) }),
            created_at: from_db(self.created_at),
            what,
        })
    }
}

async fn unknown(conn: &mut PgConnection, name: &str) -> sqlx::Result<CampaignError> {
    let existing = sqlx::query_scalar!("SELECT name FROM campaigns ORDER BY name LIMIT 20").fetch_all(conn).await?;
    Ok(CampaignError::Unknown { name: name.to_owned(), existing })
}
