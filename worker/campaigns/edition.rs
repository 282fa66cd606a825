//! One dated sending of a campaign: inserted by the clock or by an operator, held ones released or skipped.
//!
//! Owns the rows of editions and the operator's acts about them. Who gets what in an edition is `weekly`'s, and what
//! becomes of each delivery is the ledger's.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection};

use super::CampaignError;
use super::campaign::refused;
use super::preflight;
use super::states::{CampaignState, EditionState};
use super::store::{self, Campaign, seconds};
use crate::base::time::{civil_from_db, civil_to_db, to_db};
use crate::base::wake::{self, Job};
use crate::delivery::ledger::claim::skip_late;

const LATELY: SignedDuration = SignedDuration::from_hours(6 * 24);

/// An edition to be inserted.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEdition<'a> {
    pub(super) occurrence: Occurrence,
    pub(super) state: EditionState,
    pub(super) reason: Option<&'a str>,
    pub(super) starts_at: Timestamp,
}

/// What an edition is known by within its campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// By the rule: the campaign's local date.
    Day(Date),
    /// Run by an operator: the instant, to the second.
    Run(Timestamp),
}

impl NewEdition<'_> {
    /// The rule's edition of `day`.
    pub(super) fn of_rule(day: Date, starts_at: Timestamp) -> Self {
        NewEdition { occurrence: Occurrence::Day(day), state: EditionState::Planning, reason: None, starts_at }
    }
}

impl Occurrence {
    /// Reads a local date or an instant in any offset.
    pub fn parse(text: &str) -> Option<Occurrence> {
        let run = || text.parse().ok().map(Occurrence::run_at);
        text.parse().ok().filter(|_| text.len() == 10).map(Occurrence::Day).or_else(run)
    }

    fn run_at(now: Timestamp) -> Occurrence {
        Occurrence::Run(Timestamp::from_second(now.as_second()).unwrap_or(now))
    }

    fn day(self) -> Date {
        match self {
            Occurrence::Day(day) => day,
            Occurrence::Run(at) => at.to_zoned(TimeZone::UTC).date(),
        }
    }
}

impl std::fmt::Display for Occurrence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Occurrence::Day(day) => day.fmt(f),
            Occurrence::Run(at) => at.fmt(f),
        }
    }
}

/// Adds one edition that is due at this instant, by an operator's act, and gives its occurrence.
///
/// `sure`: it was said that it may follow on an edition of the last six days. Only the rule of 72 hours is passed over.
pub async fn run(conn: &mut PgConnection, name: &str, sure: bool, now: Timestamp) -> Result<Occurrence, CampaignError> {
    let mut tx = conn.begin().await?;
    let added = add_run(&mut tx, name, sure, now).await;
    // A transaction that is only dropped keeps its locks as long as the connection rests: while the operator is asked.
    if added.is_ok() {
        tx.commit().await?
    } else {
        tx.rollback().await?
    }
    added
}

/// Lets the held editions of a campaign go, tolerance and deadline anew; gives their occurrences. Those that pre-flight held are
/// checked again first.
pub async fn release(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<Vec<String>, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = lock_held(&mut tx, name).await?;
    let checked_again = preflight::check_again(&mut tx, campaign.id, now).await?;
    let released = sqlx::query_scalar!(
        "UPDATE editions SET state = resume_to, resume_to = NULL, reason = NULL, anew_at = $2
        WHERE campaign_id = $1 AND state = 'held' RETURNING occurrence",
        campaign.id,
        to_db(now)
    )
    .fetch_all(&mut *tx)
    .await?;
    let occurrences = checked_again.into_iter().chain(released).collect();
    tell(tx, &campaign, "release", occurrences, now).await
}

/// Ends what is late in the held editions of a campaign as skipped "too late" and lets the rest go on, also what is yet
/// to be planned; gives their occurrences. What findings hold stays held, but for what is late of it.
pub async fn skip(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<Vec<String>, CampaignError> {
    let mut tx = conn.begin().await?;
    let campaign = lock_held(&mut tx, name).await?;
    let held = sqlx::query!(
        r#"SELECT id, period, occurrence, edition_blocked(id) AS "blocked!" FROM editions
        WHERE campaign_id = $1 AND state = 'held' ORDER BY id FOR NO KEY UPDATE"#,
        campaign.id
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut occurrences = Vec::new();
    for edition in held {
        if skip_all_late(&mut tx, edition.id, civil_from_db(edition.period), now).await? == 0 && edition.blocked {
            continue;
        }
        let findings = match edition.blocked {
            true => Some(preflight::held_because(&mut tx, edition.id).await?),
            false => None,
        };
        go_on_after_skip(&mut tx, edition.id, findings, now).await?;
        occurrences.push(edition.occurrence);
    }
    if occurrences.is_empty() {
        tx.rollback().await?;
        return Err(CampaignError::HeldByFindings(campaign.name));
    }
    tell(tx, &campaign, "skip", occurrences, now).await
}

/// Inserts an edition unless there is one of its occurrence; gives its id.
pub(super) async fn insert(
    conn: &mut PgConnection,
    campaign: &Campaign,
    new: &NewEdition<'_>,
    now: Timestamp,
) -> sqlx::Result<Option<i64>> {
    let skipped = new.state == EditionState::Skipped;
    sqlx::query_scalar!(
        "INSERT INTO editions (period, campaign_id, occurrence, by_operator, state, reason, starts_at, planned, late, tolerance_seconds,
            deadline_seconds, created_at, finished_at, checked_up_to)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce(pg_sequence_last_value('delivery_ids'), 0))
        ON CONFLICT (campaign_id, occurrence) DO NOTHING RETURNING id",
        civil_to_db(new.occurrence.day().first_of_month()),
        campaign.id,
        new.occurrence.to_string(),
        matches!(new.occurrence, Occurrence::Run(_)),
        new.state.as_str(),
        new.reason,
        to_db(new.starts_at),
        skipped.then_some(0),
        campaign.late.as_str(),
        seconds(campaign.tolerance),
        seconds(campaign.deadline),
        to_db(now),
        skipped.then(|| to_db(now))
    )
    .fetch_optional(conn)
    .await
}

async fn add_run(conn: &mut PgConnection, name: &str, sure: bool, now: Timestamp) -> Result<Occurrence, CampaignError> {
    let campaign = store::lock(&mut *conn, name).await?;
    if campaign.weekly().is_none() {
        return Err(CampaignError::Once(campaign.name));
    }
    match campaign.state {
        CampaignState::Scheduled | CampaignState::Running => {}
        CampaignState::Paused => return Err(refused(&campaign, "resume it first: `tidings campaign resume`")),
        _ => return Err(refused(&campaign, "nothing more can be sent of it")),
    }
    if let (false, Some(edition)) = (sure, ran_lately(&mut *conn, campaign.id, now).await?) {
        return Err(CampaignError::RanLately { name: name.to_owned(), edition });
    }
    let (occurrence, edition_id) = insert_run(&mut *conn, &campaign, now).await?;
    sqlx::query!("UPDATE campaigns SET state = 'running' WHERE id = $1", campaign.id).execute(&mut *conn).await?;
    store::record_act(&mut *conn, "run", &campaign, Some(&occurrence.to_string()), now).await?;
    wake::enqueue(conn, &Job::PlanEdition { edition_id }).await?;
    Ok(occurrence)
}

// Two runs of one second are two editions: the later one bears the next second that is free, and is due all the same.
async fn insert_run(conn: &mut PgConnection, campaign: &Campaign, now: Timestamp) -> sqlx::Result<(Occurrence, i64)> {
    let mut named_after = now;
    loop {
        let occurrence = Occurrence::run_at(named_after);
        let edition = NewEdition { occurrence, state: EditionState::Running, reason: None, starts_at: now };
        if let Some(edition_id) = insert(&mut *conn, campaign, &edition, now).await? {
            return Ok((occurrence, edition_id));
        }
        named_after += SignedDuration::from_secs(1);
    }
}

async fn ran_lately(conn: &mut PgConnection, campaign_id: i64, now: Timestamp) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT occurrence FROM editions WHERE campaign_id = $1 AND starts_at > $2 AND state NOT IN ('skipped', 'cancelled')
        ORDER BY starts_at DESC, id DESC LIMIT 1",
        campaign_id,
        to_db(now - LATELY)
    )
    .fetch_optional(conn)
    .await
}

async fn lock_held(conn: &mut PgConnection, name: &str) -> Result<Campaign, CampaignError> {
    let campaign = store::lock(&mut *conn, name).await?;
    let held =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM editions WHERE campaign_id = $1 AND state = 'held') AS "held!""#, campaign.id)
            .fetch_one(conn)
            .await?;
    match (held, campaign.state) {
        (false, _) => Err(CampaignError::NothingHeld(name.to_owned())),
        (true, CampaignState::Paused) => Err(refused(&campaign, "resume it first: `tidings campaign resume`")),
        (true, _) => Ok(campaign),
    }
}

async fn skip_all_late(conn: &mut PgConnection, edition_id: i64, period: Date, now: Timestamp) -> sqlx::Result<usize> {
    let mut ended = 0;
    loop {
        match skip_late(&mut *conn, edition_id, period, now).await? {
            0 => return Ok(ended),
            more => ended += more,
        }
    }
}

// From here on its late deliveries are skipped as the ledger meets them, so that what is yet to be planned holds it no
// second time. An edition of which nothing was sent and nothing is left was skipped as a whole. What was found in all of it, and
// blocks, holds what is left of it; a check that is under way comes to that by itself.
async fn go_on_after_skip(conn: &mut PgConnection, edition_id: i64, findings: Option<String>, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH whole AS (
            SELECT e.planned IS NOT NULL AND NOT EXISTS (
                SELECT FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND d.state NOT IN ('skipped', 'failed', 'cancelled')
            ) AS skipped, $3::text IS NOT NULL AND e.checked_at IS NOT NULL AS found FROM editions e WHERE e.id = $1
        )
        UPDATE editions SET late = 'skip',
            resume_to = CASE WHEN whole.found AND NOT whole.skipped THEN resume_to END,
            state = CASE WHEN whole.skipped THEN 'skipped' WHEN whole.found THEN 'held' ELSE resume_to END,
            reason = CASE WHEN whole.skipped THEN 'too late' WHEN whole.found THEN $3 END,
            finished_at = CASE WHEN whole.skipped THEN $2::timestamptz END
        FROM whole WHERE id = $1",
        edition_id,
        to_db(now),
        findings
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn tell(
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    campaign: &Campaign,
    act: &str,
    occurrences: Vec<String>,
    now: Timestamp,
) -> Result<Vec<String>, CampaignError> {
    store::record_act(&mut tx, act, campaign, Some(&occurrences.join(", ")), now).await?;
    wake::enqueue(&mut tx, &Job::Sweep).await?;
    wake::enqueue(&mut tx, &Job::Send).await?;
    tx.commit().await?;
    Ok(occurrences)
}
