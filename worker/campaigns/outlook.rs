//! Where a subscriber is in each series, and what comes next and when: for herself on her pages, and for operators who ask.
//!
//! A delivery that waits for her is told as it stands; what is not planned yet is reckoned by the same rules as planning:
//! her own time, the next approved tip in order that fits her stage, her pause and the 72 hours. It changes nothing.

mod store;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::PgConnection;

use super::own_time::OwnTime;
use super::schedule::Schedule;
use super::states::CampaignState;
use super::store::{Campaign, Weekly, all};
use super::weekly::fit::Tip;
use super::weekly::{Times, approved_tips};
use crate::delivery::ledger::claim::BETWEEN_TIPS;
use store::Standing;

/// Weeks that are looked ahead for a letter that will go to her: longer than the longest pause.
const LOOK_AHEAD: usize = 60;

/// How far she has come with one campaign, and what is to come.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Coming {
    /// The campaign.
    pub campaign: String,
    /// What she is subscribed to.
    pub topic_name: String,
    /// The series that she walks through.
    pub series: String,
    /// Tips of it that she was given or is about to be.
    pub had: i64,
    /// Tips of it that are approved now.
    pub approved: i64,
    /// The subject of her next tip, if one is known.
    pub next_subject: Option<String>,
    /// When it is due.
    pub next_at: Option<Timestamp>,
    /// The zone of her clock by this campaign.
    pub zone: String,
    /// Why nothing comes.
    pub why_not: Option<String>,
}

/// What comes to a subscriber by each weekly campaign of the topics that she is subscribed to, by the campaign's name.
pub async fn next_for(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<Vec<Coming>> {
    let Some(person) = store::person(conn, subscriber_id).await? else { return Ok(Vec::new()) };
    let mut coming = Vec::new();
    for campaign in all(conn).await?.into_iter().filter(|campaign| campaign.state != CampaignState::Cancelled) {
        // A broadcast is no step of a walk: what it says is known when it comes.
        let Some(weekly) = campaign.weekly() else { continue };
        if let Some(standing) = store::standing(conn, subscriber_id, weekly.topic_id).await? {
            coming.push(of_campaign(conn, &person, &campaign, weekly, standing, now).await?);
        }
    }
    Ok(coming)
}

/// What the reckoning needs of a subscriber.
struct Person {
    id: i64,
    zone: Option<String>,
    own: OwnTime,
    stage_date: Option<Date>,
    paused_until: Option<Timestamp>,
    suppressed: Option<String>,
}

async fn of_campaign(
    conn: &mut PgConnection,
    person: &Person,
    campaign: &Campaign,
    weekly: &Weekly,
    standing: Standing,
    now: Timestamp,
) -> sqlx::Result<Coming> {
    let tips = approved_tips(conn, weekly.series_id).await?;
    let given = store::given(conn, person, weekly.series_id).await?;
    let mut coming = Coming {
        campaign: campaign.name.clone(),
        topic_name: standing.topic_name,
        series: weekly.series.clone(),
        had: given.len() as i64,
        approved: tips.len() as i64,
        next_subject: None,
        next_at: None,
        zone: person.zone.clone().filter(|_| person.own.zone.is_some()).unwrap_or_else(|| campaign.zone.clone()),
        why_not: None,
    };
    if let Some(reason) = &person.suppressed {
        coming.why_not = Some(format!("suppressed: {reason}"));
    } else if standing.standing != "confirmed" {
        coming.why_not = Some(standing.standing);
    } else if campaign.state == CampaignState::Paused {
        coming.why_not = Some("the campaign is paused".to_owned());
    } else if let Some(waiting) = store::waiting(conn, person, weekly.series_id, now).await? {
        (coming.next_subject, coming.next_at) = (waiting.subject, Some(waiting.due_at));
    } else {
        let left: Vec<Tip> = tips.into_iter().filter(|tip| !given.contains(&tip.segment_id)).collect();
        match reckon(conn, person, (campaign, weekly), &left, now).await? {
            Ok((revision_id, at)) => {
                (coming.next_subject, coming.next_at) = (store::subject(conn, revision_id).await?, Some(at));
            }
            Err(reason) => coming.why_not = Some(reason.to_owned()),
        }
    }
    Ok(coming)
}

// The first occurrence, of those still to be planned for her, by which she will get something: what, and when.
async fn reckon(
    conn: &mut PgConnection,
    person: &Person,
    (campaign, weekly): (&Campaign, &Weekly),
    left: &[Tip],
    now: Timestamp,
) -> sqlx::Result<Result<(i64, Timestamp), &'static str>> {
    if left.is_empty() {
        return Ok(Err("no tip left"));
    }
    let Ok(schedule) = campaign.schedule() else { return Ok(Err("the campaign's rule cannot be read")) };
    let handed = store::last_handed_over(conn, person.id, weekly.series_id).await?;
    let mut days = store::days_to_be_planned(conn, person.id, campaign.id).await?;
    let first = campaign.next.map(|next| next.occurrence);
    days.extend(std::iter::successors(first, |day| schedule.rule.next_after(*day)).take(LOOK_AHEAD));
    let mut passed_over = false;
    for day in days {
        let (due_at, due_on) = times(&schedule, day, now).of(&person.own);
        let paused = person.paused_until.is_some_and(|until| until > due_at);
        if paused || handed.is_some_and(|at| at > due_at - BETWEEN_TIPS) {
            continue;
        }
        match left.iter().find(|tip| tip.holds_at(person.stage_date.map(|stage| age(stage, due_on)))) {
            Some(tip) => return Ok(Ok((tip.revision_id, due_at))),
            None => passed_over = true,
        }
    }
    Ok(Err(if passed_over { "no tip in her stage" } else { "no edition is to come" }))
}

fn times(schedule: &Schedule, day: Date, now: Timestamp) -> Times {
    let zone: TimeZone = schedule.zone.clone();
    Times { starts_at: schedule.starts_at(day), zone, by_rule: Some((day, schedule.clone())), not_before: Some(now) }
}

fn age(stage: Date, on: Date) -> i64 {
    on.duration_since(stage).as_hours() / 24
}
