//! The forecast: who will get which tip in the coming weeks, who gets none and why, if nothing is added and nobody changes anything.
//!
//! Planning itself runs, edition after edition, on tables of its own (`shadow`) that stand before the ledger's for this one session, in
//! transactions that may write nowhere else: what is told is what the statement of planning does. Slice by slice, so that a million
//! subscribers need no memory, and nobody waits for it. The command line calls it.

mod shadow;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::CampaignError;
use super::planning::SLICE;
use super::recipients::{count_subscribed, subscribed};
use super::states::CampaignState;
use super::store::{self, Campaign, Weekly};
use super::weekly::{Edition, EditionRow, write};
use crate::base::time::{civil_to_db, to_db};

/// What comes of a weekly campaign, as things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The campaign's name.
    pub campaign: String,
    /// Where it stands; a paused one is reckoned as if it went on now.
    pub state: CampaignState,
    /// Its editions to come, the first one first.
    pub editions: Vec<Week>,
}

/// An edition that is to come. Always: planned = those with a tip + those skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Its occurrence.
    pub edition: Date,
    /// When its first delivery is due.
    pub starts_at: Timestamp,
    /// Its recipients, counted apart from what becomes of them.
    pub planned: i64,
    /// Who gets which tip, in the order of the series.
    pub tips: Vec<TipCount>,
    /// How many get none, by the reason.
    pub skipped: BTreeMap<String, i64>,
    /// How many have no tip left for the first time in this forecast; in its first edition also those who had none left before.
    pub run_out: i64,
    /// How many were skipped in the edition before because they paused, and are not any more.
    pub come_back: i64,
}

/// How many get a tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TipCount {
    /// Its id.
    pub tip: i64,
    /// Its position in the series.
    pub position: i32,
    /// Its subject.
    pub subject: String,
    /// How many get it.
    pub recipients: i64,
}

impl Week {
    /// How many get a tip.
    pub fn with_a_tip(&self) -> i64 {
        self.tips.iter().map(|tip| tip.recipients).sum()
    }

    /// Whether its recipients are those with a tip and those skipped.
    pub fn adds_up(&self) -> bool {
        self.planned == self.with_a_tip() + self.skipped.values().sum::<i64>()
    }
}

/// Reckons the editions of `weeks` weeks, from the next one on; `told` hears now and then how many of all subscribers are reckoned.
///
/// The connection is given away, because its session sees other tables than the ledger's from then on.
pub async fn forecast(
    mut conn: PgConnection,
    name: &str,
    weeks: u16,
    now: Timestamp,
    mut told: impl FnMut(i64, i64),
) -> Result<Forecast, CampaignError> {
    let campaign = store::find(&mut conn, name).await?;
    let Some(weekly) = campaign.weekly() else { return Err(CampaignError::Once(campaign.name)) };
    let coming = coming(&mut conn, &campaign, weekly, weeks, now).await?;
    let mut found = Found::new(coming.iter().filter(|coming| coming.ours).map(|coming| coming.edition.id));
    let all = shadow::subscribers(&mut conn, weekly.topic_id).await?;
    shadow::raise(&mut conn).await?;
    let (mut cursor, mut reckoned) = (0, 0);
    loop {
        let ids = slice(&mut conn, weekly, &coming, cursor, now, &mut found).await?;
        let Some(last) = ids.last() else { break };
        (cursor, reckoned) = (*last, reckoned + ids.len() as i64);
        told(reckoned, all);
        if (ids.len() as i64) < SLICE {
            break;
        }
    }
    let tips = shadow::tips(&mut conn, weekly.series_id).await?;
    conn.close().await?;
    let ours = coming.into_iter().filter(|coming| coming.ours);
    let editions = ours.map(|coming| found.week(&coming, &tips)).collect();
    Ok(Forecast { campaign: campaign.name, state: campaign.state, editions })
}

/// An edition that is reckoned though there is none yet, or not yet a planned one.
struct Coming {
    day: Date,
    campaign_id: i64,
    opens_at: Timestamp,
    edition: Edition,
    /// It is the campaign's that was asked for, and counted.
    ours: bool,
}

// The editions of all campaigns that give tips of this series, in the order in which they are planned.
async fn coming(
    conn: &mut PgConnection,
    campaign: &Campaign,
    weekly: &Weekly,
    weeks: u16,
    now: Timestamp,
) -> Result<Vec<Coming>, CampaignError> {
    let Some(first) = first_day(campaign, now)? else { return Ok(Vec::new()) };
    let end = first.saturating_add(Span::new().weeks(weeks));
    let mut coming = Vec::new();
    for other in store::all(conn).await? {
        let Some(its) = other.weekly().filter(|its| its.series_id == weekly.series_id) else { continue };
        let ours = other.id == campaign.id;
        if !ours && !matches!(other.state, CampaignState::Scheduled | CampaignState::Running) {
            continue;
        }
        let schedule = other.schedule()?;
        let days = std::iter::successors(first_day(&other, now)?, |day| schedule.rule.next_after(*day)).take_while(|day| *day < end);
        for day in days {
            let edition = row(&other, its, day, schedule.starts_at(day)).read()?;
            coming.push(Coming { day, campaign_id: other.id, opens_at: schedule.opens_at(day), edition, ours });
        }
    }
    coming.sort_by_key(|coming| (coming.opens_at, coming.campaign_id));
    let count = coming.len() as i64;
    // Below all ids of the ledger, and rising in time.
    (-count..0).zip(&mut coming).for_each(|(id, coming)| coming.edition.id = id);
    Ok(coming)
}

// After a downtime only the newest occurrence is taken up.
fn first_day(campaign: &Campaign, now: Timestamp) -> Result<Option<Date>, CampaignError> {
    let Some(next) = campaign.next.filter(|_| campaign.state != CampaignState::Cancelled) else { return Ok(None) };
    let schedule = campaign.schedule()?;
    let due = |day: &Date| schedule.opens_at(*day) <= now;
    let missed = std::iter::successors(Some(next.occurrence), |day| schedule.rule.next_after(*day)).take_while(due).last();
    Ok(missed.or(Some(next.occurrence)))
}

fn row(campaign: &Campaign, weekly: &Weekly, day: Date, starts_at: Timestamp) -> EditionRow {
    EditionRow {
        id: 0,
        period: civil_to_db(day.first_of_month()),
        occurrence: day.to_string(),
        by_operator: false,
        running: false,
        starts_at: to_db(starts_at),
        counted: 0,
        planned_up_to: 0,
        topic_id: weekly.topic_id,
        series_id: weekly.series_id,
        at: weekly.at.clone(),
        cron: weekly.cron.clone(),
        zone: campaign.zone.clone(),
        subscriber_zone: weekly.subscriber_zone,
    }
}

// All that comes for the subscribers after the cursor, by one snapshot of the ledger; who they are.
async fn slice(
    conn: &mut PgConnection,
    weekly: &Weekly,
    coming: &[Coming],
    cursor: i64,
    now: Timestamp,
    found: &mut Found,
) -> sqlx::Result<Vec<i64>> {
    // The server itself refuses every write that is not to a table of this session.
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let ids = subscribed(&mut tx, weekly.topic_id, cursor).await?;
    let Some(last) = ids.last() else { return Ok(ids) };
    let planned = count_subscribed(&mut tx, weekly.topic_id, (cursor, *last), &[]).await?;
    let from = coming.first().map_or(now, |first| first.edition.times.starts_at.min(now));
    shadow::load(&mut tx, weekly.series_id, &ids, (from, now)).await?;
    shadow::hand_over(&mut tx, Some(now), now).await?;
    for open in shadow::unplanned(&mut tx).await? {
        let rest = &ids[ids.partition_point(|id| *id <= open.cursor)..];
        if !rest.is_empty() {
            write(&mut tx, &open, rest, now).await?;
        }
    }
    for one in coming {
        shadow::hand_over(&mut tx, Some(one.opens_at), now).await?;
        shadow::add_edition(&mut tx, one.campaign_id, &one.edition, one.day).await?;
        write(&mut tx, &one.edition, &ids, now).await?;
    }
    shadow::hand_over(&mut tx, None, now).await?;
    found.add(planned, shadow::count(&mut tx).await?);
    // Empties the tables of the session, as they were made to be.
    tx.commit().await?;
    Ok(ids)
}

/// What was counted so far, by edition.
struct Found {
    planned: i64,
    rows: BTreeMap<i64, Vec<shadow::Count>>,
}

impl Found {
    fn new(editions: impl Iterator<Item = i64>) -> Self {
        Self { planned: 0, rows: editions.map(|id| (id, Vec::new())).collect() }
    }

    fn add(&mut self, planned: i64, counts: Vec<shadow::Count>) {
        self.planned += planned;
        for count in counts {
            let Some(rows) = self.rows.get_mut(&count.edition_id) else { continue };
            let same = rows.iter_mut().find(|row| (row.segment_id, &row.reason) == (count.segment_id, &count.reason));
            match same {
                Some(row) => row.add(&count),
                None => rows.push(count),
            }
        }
    }

    fn week(&self, coming: &Coming, tips: &BTreeMap<i64, TipCount>) -> Week {
        let rows = self.rows.get(&coming.edition.id).map_or(&[][..], Vec::as_slice);
        let mut given: Vec<TipCount> =
            rows.iter().filter_map(|row| Some(TipCount { recipients: row.count, ..tips.get(&row.segment_id?)?.clone() })).collect();
        given.sort_by_key(|tip| tip.position);
        Week {
            edition: coming.day,
            starts_at: coming.edition.times.starts_at,
            planned: self.planned,
            tips: given,
            skipped: rows.iter().filter_map(|row| Some((row.reason.clone()?, row.count))).collect(),
            run_out: rows.iter().map(|row| row.run_out).sum(),
            come_back: rows.iter().map(|row| row.come_back).sum(),
        }
    }
}
