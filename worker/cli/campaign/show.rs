//! `tidings campaign list` and `show`: what there is, and how one stands.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::super::{
    moment::shown,
    relay,
    table::{count, plural, table},
};
use super::{next, preflight, pretty, say, typed};
use crate::campaigns::preflight::{Preflight, standing};
use crate::campaigns::states::{CampaignState, FirstTip, Late};
use crate::campaigns::store::{self, Broadcast, Campaign, Provisions, Weekly, What};
use crate::delivery::ledger::outages;

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
    let mut table = table(["campaign", "state", "sends", "when", "zone", "next edition"]);
    for campaign in &campaigns {
        let next = campaign.next.map_or_else(|| "-".to_owned(), |next| next.occurrence.to_string());
        let (sends, when, zone) = match &campaign.what {
            What::Weekly(weekly) => (weekly.series.clone(), weekly.rule_text().to_owned(), zone(campaign, weekly)),
            What::Broadcast(broadcast) => (format!("to {}", recipients(broadcast)), "once".to_owned(), campaign.zone.clone()),
        };
        table.add_row([campaign.name.as_str(), campaign.state.as_str(), &sends, &when, &zone, &next]);
    }
    say(&table.to_string())?;
    campaigns.iter().filter_map(paused).try_for_each(|sentence| say(&sentence))
}

// Why it is paused, and how it goes on.
fn paused(campaign: &Campaign) -> Option<String> {
    let reason = campaign.reason.as_ref().filter(|_| campaign.state == CampaignState::Paused)?;
    let Campaign { name, .. } = campaign;
    Some(format!("Campaign `{name}` is paused: {reason}. `tidings campaign resume {}` lets it go on.", typed(name)))
}

pub(super) async fn show(conn: &mut PgConnection, name: &str, as_json: bool) -> anyhow::Result<()> {
    let campaign = store::find(conn, name).await?;
    let provisions = match campaign.weekly() {
        Some(weekly) => Some(store::provisions(conn, weekly).await?),
        None => None,
    };
    let found = standing(conn, name, campaign.id).await?.filter(|found| !matches!(found.state.as_deref(), Some("skipped" | "cancelled")));
    let down = match campaign.state {
        CampaignState::Scheduled | CampaignState::Running => outages::now(conn).await?,
        _ => Vec::new(),
    };
    if as_json {
        let mut value = json(&campaign);
        if let Some(provisions) = provisions {
            value["approved_tips"] = json!(provisions.approved_tips);
            value["subscribers"] = json!(provisions.subscribers);
            value["weeks_of_tips_left"] = json!(provisions.weeks_left());
        }
        value["preflight"] = json!(found);
        value["relays_down"] = json!(down);
        return pretty(&value);
    }
    let mut table = table(["campaign", &campaign.name]);
    let state = match (&campaign.reason, campaign.state) {
        (Some(reason), CampaignState::Paused) => format!("paused: {reason}"),
        _ => campaign.state.to_string(),
    };
    table.add_row(["state", &state]);
    if campaign.state == CampaignState::Paused {
        table.add_row(["goes on", &format!("with `tidings campaign resume {}`", typed(&campaign.name))]);
    }
    for sentence in relay::sentences(&down) {
        table.add_row(["relays", &sentence]);
    }
    match &campaign.what {
        What::Weekly(weekly) => {
            table.add_row(["series", &weekly.series]);
            table.add_row(["rule", &format!("{}, {}", weekly.rule_text(), zone(&campaign, weekly))]);
            table.add_row(["next edition", next::words(&campaign)?.as_deref().unwrap_or("none")]);
        }
        What::Broadcast(broadcast) => {
            table.add_row(["subject", &broadcast.subject]);
            table.add_row(["recipients", &recipients(broadcast)]);
            table.add_row(["goes out", &format!("once, {}", shown(broadcast.starts_at, &campaign.zone))]);
        }
    }
    table.add_row(["when late", &late(&campaign)]);
    if let (Some(weekly), Some(provisions)) = (campaign.weekly(), provisions) {
        table.add_row(["first tip", first_tip(weekly)]);
        table.add_row(["subscribers", &provisions.subscribers.to_string()]);
        table.add_row(["tips", &tips(&provisions)]);
    }
    if let Some(found) = &found {
        table.add_row(["pre-flight", &checked(found)]);
    }
    say(&table.to_string())
}

fn checked(found: &Preflight) -> String {
    let how_far = match found.done {
        true => format!("edition {}: {} looked at", found.edition, plural(found.checked, "mail was", "mails were")),
        false => format!("edition {}: {} looked at so far", found.edition, plural(found.checked, "mail was", "mails were")),
    };
    let word = match (found.blocking(), found.accepted, found.state.as_deref()) {
        (0, ..) => "nothing blocks",
        (_, true, _) => "accepted as it is",
        (.., Some("held")) => "held: `tidings campaign release` checks again, `accept` sends it all the same",
        _ => "it is not sent as it is",
    };
    let lines = preflight::lines(&found.findings);
    std::iter::once(format!("{how_far}; {word}")).chain(lines).collect::<Vec<_>>().join("\n")
}

/// A campaign as JSON.
pub(super) fn json(campaign: &Campaign) -> Value {
    let mut value = json!({
        "campaign": campaign.name, "kind": campaign.kind(), "state": campaign.state, "reason": campaign.reason, "zone": campaign.zone,
        "late": campaign.late, "tolerance_seconds": campaign.tolerance.as_secs(), "deadline_seconds": campaign.deadline.as_secs(),
        "next_edition": campaign.next.map(|next| next.occurrence), "next_planned_from": campaign.next.map(|next| next.run_at),
        "created_at": campaign.created_at,
    });
    let more = match &campaign.what {
        What::Weekly(weekly) => json!({
            "series": weekly.series, "at": weekly.at, "cron": weekly.cron, "subscriber_zone": weekly.subscriber_zone, "first_tip": weekly.first_tip,
        }),
        What::Broadcast(broadcast) => json!({
            "to": recipients(broadcast), "subject": broadcast.subject, "starts_at": broadcast.starts_at,
        }),
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    value
}

// As they are typed.
fn recipients(broadcast: &Broadcast) -> String {
    format!("{}:{}", broadcast.recipients.kind(), broadcast.slug)
}

fn zone(campaign: &Campaign, weekly: &Weekly) -> String {
    match weekly.subscriber_zone {
        true => format!("each subscriber's zone, else {}", campaign.zone),
        false => campaign.zone.clone(),
    }
}

fn first_tip(weekly: &Weekly) -> &'static str {
    match weekly.first_tip {
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
        (_, weeks) if *furthest == 0 => format!("{approved_tips} approved, for {}", count(weeks, "edition")),
        (_, weeks) => {
            format!(
                "{approved_tips} approved; those furthest on have had {furthest}, so there are tips for {} more",
                count(weeks, "edition")
            )
        }
    }
}
