//! `tidings campaign next`: when the coming editions are, on the campaign's wall clock and in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::json;
use sqlx::PgConnection;

use super::super::table::{count, table};
use super::{pretty, say, typed};
use crate::base::zone;
use crate::campaigns::schedule::Schedule;
use crate::campaigns::states::CampaignState;
use crate::campaigns::store::{self, Campaign, What};

/// Which campaign, and how far ahead.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name
    name: String,
    /// How many weeks ahead
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=520))]
    weeks: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(conn: &mut PgConnection, args: &Args, now: Timestamp) -> anyhow::Result<()> {
    let campaign = store::find(conn, &args.name).await?;
    let Some(weekly) = campaign.weekly() else { return once(&campaign, args.json) };
    let schedule = campaign.schedule()?;
    let days = coming(&campaign, &schedule, args.weeks, now);
    if args.json {
        let editions: Vec<_> = days.iter().map(|day| line_json(&schedule, *day)).collect();
        return pretty(&json!({
            "campaign": campaign.name, "state": campaign.state, "zone": campaign.zone, "subscriber_zone": weekly.subscriber_zone, "editions": editions,
        }));
    }
    let name = campaign.name.as_str();
    match campaign.state {
        CampaignState::Cancelled => return say(&format!("Campaign `{name}` is cancelled: no edition comes.")),
        CampaignState::Paused => {
            say(&format!("Campaign `{name}` is paused; these come if it is resumed: `tidings campaign resume {}`.", typed(name)))?
        }
        _ => {}
    }
    if days.is_empty() {
        return say(&format!("No edition falls into the next {}.{}", count(args.weeks, "week"), sentence(&campaign)?));
    }
    print_table(&campaign, &schedule, &days)
}

fn once(campaign: &Campaign, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let editions: Vec<_> = campaign
            .next
            .iter()
            .map(|next| json!({ "edition": next.occurrence, "utc": starts_at(campaign), "planned_from": next.run_at }))
            .collect();
        return pretty(&json!({ "campaign": campaign.name, "state": campaign.state, "zone": campaign.zone, "editions": editions }));
    }
    let name = campaign.name.as_str();
    match (words(campaign)?, campaign.state) {
        (None, _) => say(&format!(
            "Campaign `{name}` goes out once, and no edition comes any more: `tidings campaign report {}` counts.",
            typed(name)
        )),
        (Some(when), CampaignState::Paused) => say(&format!("Campaign `{name}` is paused; it goes out once, on {when}, if it is resumed.")),
        (Some(when), _) => say(&format!("Campaign `{name}` goes out once, on {when}.")),
    }
}

fn starts_at(campaign: &Campaign) -> Option<Timestamp> {
    match &campaign.what {
        What::Broadcast(broadcast) => Some(broadcast.starts_at),
        What::Weekly(_) => None,
    }
}

/// When the next edition is, in a sentence that follows another; nothing when there is none.
pub(super) fn sentence(campaign: &Campaign) -> anyhow::Result<String> {
    Ok(words(campaign)?.map_or_else(String::new, |when| format!(" Its next edition is that of {when}.")))
}

/// The next edition and when it is.
pub(super) fn words(campaign: &Campaign) -> anyhow::Result<Option<String>> {
    let Some(next) = campaign.next else { return Ok(None) };
    let day = next.occurrence;
    if let Some(starts_at) = starts_at(campaign) {
        return Ok(Some(format!("{day}: {}, {} UTC", local(&starts_at.to_zoned(zone::find(&campaign.zone)?)), utc(starts_at))));
    }
    let schedule = campaign.schedule()?;
    let (first, last) = (utc(schedule.starts_at(day)), utc(schedule.ends_at(day)));
    Ok(Some(match schedule.subscriber_zone {
        false => format!("{day}: {}, {first} UTC", local(&campaign_time(&schedule, day))),
        true => format!("{day}: {} in each subscriber's zone, from {first} to {last} UTC", schedule.rule.time().strftime("%R")),
    }))
}

// The edition that is to open next may have a date that is past, after a downtime; it is still the next.
fn coming(campaign: &Campaign, schedule: &Schedule, weeks: u16, now: Timestamp) -> Vec<Date> {
    let Some(next) = campaign.next else { return Vec::new() };
    let today = now.to_zoned(schedule.zone.clone()).date();
    let end = today.saturating_add(jiff::Span::new().weeks(weeks));
    std::iter::successors(Some(next.occurrence), |day| schedule.rule.next_after(*day)).take_while(|day| *day <= end).collect()
}

fn print_table(campaign: &Campaign, schedule: &Schedule, days: &[Date]) -> anyhow::Result<()> {
    let here = campaign.zone.as_str();
    let mut table = match schedule.subscriber_zone {
        false => table(["edition", here, "UTC", "planned from (UTC)"]),
        true => table(["edition", here, "first (UTC)", "last (UTC)", "planned from (UTC)"]),
    };
    for day in days {
        let (first, last) = (schedule.starts_at(*day), schedule.ends_at(*day));
        let mut row = vec![day.to_string(), local(&campaign_time(schedule, *day)), utc(first)];
        if schedule.subscriber_zone {
            row.push(utc(last));
        }
        row.push(utc(schedule.opens_at(*day)));
        table.add_row(row);
    }
    say(&table.to_string())
}

fn line_json(schedule: &Schedule, day: Date) -> serde_json::Value {
    let (first, last) = (schedule.starts_at(day), schedule.ends_at(day));
    let at = campaign_time(schedule, day);
    json!({
        "edition": day, "local": at.strftime("%FT%T%:z").to_string(), "utc": at.timestamp(),
        "first_due": first, "last_due": last, "planned_from": schedule.opens_at(day),
    })
}

fn campaign_time(schedule: &Schedule, day: Date) -> Zoned {
    schedule.rule.instant(day, &schedule.zone).to_zoned(schedule.zone.clone())
}

pub(super) fn local(at: &Zoned) -> String {
    at.strftime("%a %F %R %Z").to_string()
}

pub(super) fn utc(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%F %R").to_string()
}
