//! `tidings subscriber edit`: a person's particulars and her pause, changed on her behalf by the same functions as on her page.

use super::{super::Context, find, read};
use crate::people::preferences::{self, Change, Source, weekday_name};
use anyhow::{Context as _, bail, ensure};
use serde_json::json;

/// Whose particulars to change, and to what; what is not named stays.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Her address
    email: String,
    /// How she is called; "" for no name
    #[arg(long)]
    name: Option<String>,
    /// Her time zone, an IANA name such as Europe/London; "" for the campaign's
    #[arg(long)]
    zone: Option<String>,
    /// Her own day, such as Tue; "" for the letter's own. A letter comes in the week that begins with its own day and time
    #[arg(long, value_name = "DAY")]
    weekday: Option<String>,
    /// Her own hour, 0 to 23, on the clocks of her zone or else the campaign's; "" for the letter's own time
    #[arg(long)]
    hour: Option<String>,
    /// The date that stage windows are counted from, YYYY-MM-DD; "" for none
    #[arg(long, value_name = "DATE")]
    stage_date: Option<String>,
    /// Send her nothing of a topic for so many weeks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=52), conflicts_with = "resume")]
    pause_weeks: Option<i64>,
    /// End her pause now
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Changes them.
pub(in crate::cli) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let address = read(&args.email)?;
    let changes = changes(args).with_context(|| format!("`{}` was not changed", args.email))?;
    let db = ctx.db().await?;
    let id = find(ctx, &db, &address).await?;
    let changed = preferences::change(&db.pool, id, &changes, Source::Operator, ctx.clock.now()).await?;
    let email = address.as_given();
    match (args.json, changed.as_slice()) {
        (true, changed) => println!("{}", json!({ "email": email, "changed": changed })),
        (false, []) => println!("{email}: it stood like that already; nothing was changed."),
        (false, changed) => println!("{email}: changed {}.", changed.join(", ")),
    }
    Ok(())
}

fn changes(args: &Args) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    changes.extend(args.name.as_deref().map(Change::name).transpose()?);
    changes.extend(args.zone.as_deref().map(Change::zone).transpose()?);
    changes.extend(args.weekday.as_deref().map(weekday).transpose()?);
    changes.extend(args.hour.as_deref().map(hour).transpose()?);
    changes.extend(args.stage_date.as_deref().map(Change::stage_date).transpose()?);
    changes.extend(args.pause_weeks.map(Change::Pause));
    changes.extend(args.resume.then_some(Change::Resume));
    ensure!(!changes.is_empty(), "say what to change: --name, --zone, --weekday, --hour, --stage-date, --pause-weeks or --resume");
    Ok(changes)
}

fn weekday(text: &str) -> anyhow::Result<Change> {
    let wanted = text.trim().to_lowercase();
    let named = |day: &i16| wanted.len() >= 3 && weekday_name(*day).is_some_and(|name| name.to_lowercase().starts_with(&wanted));
    match (wanted.as_str(), (1..=7).find(named)) {
        ("", _) => Ok(Change::Weekday(None)),
        (_, Some(day)) => Ok(Change::Weekday(Some(day))),
        _ => bail!("`{text}` is no day: expected one such as `Tue`, or \"\" for the letter's own"),
    }
}

fn hour(text: &str) -> anyhow::Result<Change> {
    match (text.trim(), text.trim().parse::<i16>()) {
        ("", _) => Ok(Change::Hour(None)),
        (_, Ok(hour)) if (0..24).contains(&hour) => Ok(Change::Hour(Some(hour))),
        _ => bail!("`{text}` is no hour: expected 0 to 23, or \"\" for the letter's own time"),
    }
}
