//! `tidings campaign forecast`: who gets which tip in the coming weeks, when tips run out, and who gets none and why.

use comfy_table::CellAlignment;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::super::table::{count, table};
use super::{next, pretty, say, typed};
use crate::campaigns::forecast::{Forecast, Week, forecast};
use crate::campaigns::recipients;
use crate::campaigns::states::CampaignState;
use crate::campaigns::store::{self, Broadcast, Campaign, What};

/// Tips that are named in a line of the table; there may be as many as the series has.
const NAMED: usize = 8;

/// Which campaign, and how far ahead.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name
    name: String,
    /// How many weeks, from the next edition on
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=104))]
    weeks: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(pool: &PgPool, args: &Args, now: Timestamp) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let campaign = store::find(&mut conn, &args.name).await?;
    if let What::Broadcast(broadcast) = &campaign.what {
        return once(&mut conn, &campaign, broadcast, args.json).await;
    }
    let bar = bar();
    let told = |reckoned: i64, all: i64| {
        bar.set_length(all.unsigned_abs());
        bar.set_position(reckoned.unsigned_abs());
    };
    let found = forecast(conn.detach(), &args.name, args.weeks, now, told).await?;
    bar.finish_and_clear();
    if args.json {
        return pretty(&found);
    }
    print(&found)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {pos} of {len} subscribers").expect("the template is valid");
    ProgressBar::new(1).with_style(style)
}

async fn once(conn: &mut PgConnection, campaign: &Campaign, broadcast: &Broadcast, as_json: bool) -> anyhow::Result<()> {
    let name = campaign.name.as_str();
    let Some(coming) = campaign.next else {
        if as_json {
            return pretty(&json!({ "campaign": name, "state": campaign.state, "editions": [] }));
        }
        return say(&format!(
            "Campaign `{name}` goes out once, and no edition comes any more: `tidings campaign report {}` counts.",
            typed(name)
        ));
    };
    let tally = recipients::tally(conn, broadcast.recipients, broadcast.starts_at, 0).await?;
    if as_json {
        let edition = json!({ "edition": coming.occurrence, "starts_at": broadcast.starts_at, "planned": tally.recipients, "skipped": tally.skipped });
        return pretty(&json!({ "campaign": name, "state": campaign.state, "editions": [edition] }));
    }
    let skipped: i64 = tally.skipped.values().sum();
    let when = next::words(campaign)?.unwrap_or_default();
    let but = if skipped == 0 { String::new() } else { format!(" of {}; {}", tally.recipients, why(&tally.skipped).join(", ")) };
    say(&format!("Campaign `{name}` goes out once, on {when}: to {}{but}.", tally.recipients - skipped))
}

fn print(found: &Forecast) -> anyhow::Result<()> {
    let name = found.campaign.as_str();
    if found.editions.is_empty() {
        return say(&format!("Campaign `{name}` is {}: no edition comes.", found.state));
    }
    if found.state == CampaignState::Paused {
        say(&format!("Campaign `{name}` is paused; this comes if it is resumed now: `tidings campaign resume {}`.", typed(name)))?;
    }
    let mut table = table(["edition", "planned", "with a tip", "which: how many", "none", "why"]);
    for column in [1, 2, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for week in &found.editions {
        table.add_row([
            week.edition.to_string(),
            week.planned.to_string(),
            week.with_a_tip().to_string(),
            which(week),
            (week.planned - week.with_a_tip()).to_string(),
            why(&week.skipped).join(", "),
        ]);
    }
    say(&table.to_string())?;
    notes(found).iter().try_for_each(|note| say(note))
}

fn which(week: &Week) -> String {
    let mut named: Vec<_> = week.tips.iter().collect();
    named.sort_by_key(|tip| -tip.recipients);
    let more = named.split_off(named.len().min(NAMED));
    named.sort_by_key(|tip| tip.position);
    let mut words: Vec<String> = named.iter().map(|tip| format!("{}: {}", tip.position, tip.recipients)).collect();
    if !more.is_empty() {
        words.push(format!("{}: {}", count(more.len(), "other"), more.iter().map(|tip| tip.recipients).sum::<i64>()));
    }
    words.join(", ")
}

fn why(skipped: &std::collections::BTreeMap<String, i64>) -> Vec<String> {
    skipped.iter().map(|(reason, count)| format!("{count} {}", reason.replace('_', " "))).collect()
}

// What the table leaves to be reckoned: when tips run out, and who comes back.
fn notes(found: &Forecast) -> Vec<String> {
    let mut notes = vec!["Tips are named by their position in the series; `--json` names all of them, with their subjects.".to_owned()];
    let out: Vec<String> =
        found.editions.iter().filter(|week| week.run_out > 0).map(|week| format!("{} on {}", week.run_out, week.edition)).collect();
    match out.as_slice() {
        [] if found.editions.iter().all(|week| !week.skipped.contains_key("no tip left")) => {
            notes.push("Nobody runs out of tips.".to_owned())
        }
        [] => notes.push("Whoever has no tip left had none before: import and approve more.".to_owned()),
        out => notes.push(format!("Have no tip left for the first time: {}.", out.join(", "))),
    }
    let back: Vec<String> =
        found.editions.iter().filter(|week| week.come_back > 0).map(|week| format!("{} on {}", week.come_back, week.edition)).collect();
    if !back.is_empty() {
        notes.push(format!("Come back from a pause: {}.", back.join(", ")));
    }
    if found.editions.iter().any(|week| !week.adds_up()) {
        notes.push("THE NUMBERS DO NOT ADD UP: this is a fault of Tidings, please report it".to_owned());
    }
    notes
}
