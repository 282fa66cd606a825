//! `tidings campaign list` and `show`: what there is, and how one stands.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::super::table::table;
use super::{next, pretty, say};
use crate::campaigns::states::{CampaignState, FirstTip, Late};
use crate::campaigns::store::{self, Campaign, Provisions};

pub(super) async fn list(conn: &mut PgConnection, as_json: bool) -> anyhow::Result<()> {
    let campaigns = store::all(conn).await?;
    if as_json {
        return pretty(&campaigns.iter().map(json).collect::<Vec<_>>());
    }
    if campaigns.is_empty() {
        return say(
            "No campaigns yet: `tidings campaign create weekly NAME --series S --at \"Tue 09:00\" --zone Europe/London` makes one.",
        );
    }
    let mut table = table(["campaign", "state", "series", "rule", "zone", "next edition"]);
    for campaign in &campaigns {
        let next = campaign.next.map_or_else(|| "-".to_owned(), |next| next.occurrence.to_string());
        let zone = zone(campaign);
        table.add_row([campaign.name.as_str(), campaign.state.as_str(), &campaign.series, campaign.rule_text(), &zone, &next]);
    }
    say(&table.to_string())
}

pub(super) async fn show(conn: &mut PgConnection, name: &str, as_json: bool) -> anyhow::Result<()> {
    let campaign = store::find(conn, name).await?;
    let provisions = store::provisions(conn, &campaign).await?;
    if as_json {
        let mut value = json(&campaign);
        value["approved_tips"] = json!(provisions.approved_tips);
        value["subscribers"] = json!(provisions.subscribers);
        value["weeks_of_tips_left"] = json!(provisions.weeks_left());
        return pretty(&value);
    }
    let mut table = table(["campaign", &campaign.name]);
    let state = match (&campaign.reason, campaign.state) {
        (Some(reason), CampaignState::Paused) => format!("paused: {reason}"),
        _ => campaign.state.to_string(),
    };
    table.add_row(["state", &state]);
    table.add_row(["series", &campaign.series]);
    table.add_row(["rule", &format!("{}, {}", campaign.rule_text(), zone(&campaign))]);
    table.add_row(["next edition", next::words(&campaign)?.as_deref().unwrap_or("none")]);
    table.add_row(["when late", &late(&campaign)]);
    table.add_row(["first tip", first_tip(&campaign)]);
    table.add_row(["subscribers", &provisions.subscribers.to_string()]);
    table.add_row(["tips", &tips(&provisions)]);
    say(&table.to_string())
}

/// A campaign as JSON.
pub(super) fn json(campaign: &Campaign) -> Value {
    json!({
        "campaign": campaign.name, "state": campaign.state, "reason": campaign.reason, "series": campaign.series,
        "at": campaign.at, "cron": campaign.cron, "zone": campaign.zone, "subscriber_zone": campaign.subscriber_zone,
        "late": campaign.late, "first_tip": campaign.first_tip, "tolerance_seconds": campaign.tolerance.as_secs(), "deadline_seconds": campaign.deadline.as_secs(),
        "next_edition": campaign.next.map(|next| next.occurrence), "next_planned_from": campaign.next.map(|next| next.run_at),
        "created_at": campaign.created_at,
    })
}

fn zone(campaign: &Campaign) -> String {
    match campaign.subscriber_zone {
        true => format!("each subscriber's zone, else {}", campaign.zone),
        false => campaign.zone.clone(),
    }
}

fn first_tip(campaign: &Campaign) -> &'static str {
    match campaign.first_tip {
        FirstTip::AtOnce => "with the welcome, as soon as she confirms",
        FirstTip::Next => "on the next regular day",
    }
}

fn late(campaign: &Campaign) -> String {
    let what = match campaign.late {
        Late::Fire => "sent all the same",
        Late::Skip => "skipped",
        Late::Ask => "held until you release or skip it",
    };
    format!("by more than {:#}: {what}; each mail is tried for {:#}", campaign.tolerance, campaign.deadline)
}

fn tips(provisions: &Provisions) -> String {
    let Provisions { approved_tips, furthest, .. } = provisions;
    match (approved_tips, provisions.weeks_left()) {
        (0, _) => "none is approved yet".to_owned(),
        (_, 0) => format!("{approved_tips} approved; those furthest on have had all of them and wait for more"),
        (_, weeks) if *furthest == 0 => format!("{approved_tips} approved, for {weeks} editions"),
        (_, weeks) => {
            format!("{approved_tips} approved; those furthest on have had {furthest}, so there are tips for {weeks} more editions")
        }
    }
}
