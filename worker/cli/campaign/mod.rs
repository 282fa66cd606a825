//! `tidings campaign`: create, watch and steer campaigns.
//!
//! Owns the words and tables of the terminal; what is done stands in `campaigns`, and the pages call the same.

mod broadcast;
mod forecast;
mod next;
mod preflight;
mod report;
mod show;
mod test;

use std::io::{IsTerminal, Write};

use anyhow::bail;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Context, ask::ask, table::plural};
use crate::campaigns::preflight::{KEEPS, standing};
use crate::campaigns::states::{FirstTip, Late};
use crate::campaigns::{CampaignError, campaign, edition, store};

/// What to do with campaigns.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a campaign; its first edition is scheduled at once
    #[command(subcommand)]
    Create(Create),
    /// List all campaigns
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one campaign: its rule, its next edition, the tips it has; or what goes out once, to whom and when
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop a campaign until it is resumed; what is in flight finishes
    Pause {
        /// Its name
        name: String,
        /// Why, for those who look later
        #[arg(long, default_value = "an operator said so")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a paused campaign go on
    Resume {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a campaign; what was not handed over is cancelled
    Cancel {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send one edition now, besides those of the rule
    Run {
        /// Its name
        name: String,
        /// Also when it had an edition in the last six days
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make and check every recipient's mail of the next edition, or of the one under way; nothing is sent or changed. Ends with 1
    /// when something blocks, with 0 when there are warnings at most
    Preflight {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send what pre-flight holds, whatever it found; a mail that cannot be made fails by itself
    Accept {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send one of its mails to any address, marked `[Test]`, with links that do nothing; it is counted nowhere
    Test(test::Args),
    /// Send what is held: what was late goes, what pre-flight held is checked again first
    Release {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Leave out what is late of a held edition; the rest goes on
    Skip {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count what became of its editions
    Report(report::Args),
    /// Show when the coming editions are
    Next(next::Args),
    /// Reckon who gets which tip in the coming weeks, who gets none and why
    Forecast(forecast::Args),
}

/// The kinds of campaign.
#[derive(clap::Subcommand)]
pub(super) enum Create {
    /// One tip of a series a week for each subscriber of its topic
    Weekly(Weekly),
    /// One mail to everyone of a topic or of a waitlist, once
    Broadcast(broadcast::Args),
}

/// A new weekly campaign.
#[derive(clap::Args)]
pub(super) struct Weekly {
    /// Its name
    name: String,
    /// The series that its subscribers walk through
    #[arg(long)]
    series: String,
    /// When, such as "Tue 09:00"
    #[arg(long, value_name = "WHEN", required_unless_present = "cron", conflicts_with = "cron")]
    at: Option<String>,
    /// When, as a cron line of five fields in which 1 is Monday, at most once a day
    #[arg(long, value_name = "LINE")]
    cron: Option<String>,
    /// The IANA time zone, such as Europe/London
    #[arg(long)]
    zone: String,
    /// At that time in each subscriber's own zone; --zone is for those without one. A day or an hour that she chose herself goes
    /// before the rule's, with or without this: her letter comes in the week that begins at the rule's time
    #[arg(long)]
    subscriber_zone: bool,
    /// What is done with what is late by more than its tolerance: hold it and ask, skip it, or fire it all the same
    #[arg(long, value_parser = ["ask", "skip", "fire"], default_value = "ask")]
    late: String,
    /// When somebody who has just confirmed gets her first tip: with the welcome, or on the next regular day
    #[arg(long, value_parser = ["at-once", "next"], default_value = "next")]
    first_tip: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let conn = &mut *db.pool.acquire().await?;
    let now = ctx.clock.now();
    match command {
        Command::Create(Create::Weekly(weekly)) => create(conn, &weekly, ctx).await,
        Command::Create(Create::Broadcast(args)) => broadcast::create(conn, &args, ctx).await,
        Command::List { json } => show::list(conn, json).await,
        Command::Show { name, json } => show::show(conn, &name, json).await,
        Command::Pause { name, reason, json } => {
            let paused = campaign::pause(conn, &name, &reason, now).await?;
            let sentence = format!("Campaign `{name}` is paused: {reason}. `tidings campaign resume {}` lets it go on.", typed(&name));
            answer(json, show::json(&paused), &sentence)
        }
        Command::Resume { name, json } => {
            let resumed = campaign::resume(conn, &name, now).await?;
            let sentence = format!("Campaign `{name}` is {} again.{}", resumed.state, next::sentence(&resumed)?);
            answer(json, show::json(&resumed), &sentence)
        }
        Command::Cancel { name, yes, json } => cancel(conn, &name, yes, json, ctx).await,
        Command::Run { name, yes, json } => run_now(conn, &name, yes, json, ctx).await,
        Command::Release { name, json } => {
            let campaign_id = store::find(conn, &name).await?.id;
            let found = standing(conn, &name, campaign_id).await?;
            let found = found.filter(|found| found.state.as_deref() == Some("held") && found.blocking() > 0);
            let released = edition::release(conn, &name, now).await?;
            let then = match found {
                Some(found) if found.keeps_templates => format!("a worker checks it again, {KEEPS}, and sends the rest if nothing blocks"),
                Some(_) => "a worker checks it again, and sends it if nothing blocks".to_owned(),
                None => "a worker sends it".to_owned(),
            };
            let sentence = format!("Released {}: {then}, its tolerance and deadline begin now.", released.join(", "));
            answer(json, json!({ "campaign": name, "released": released }), &sentence)
        }
        Command::Skip { name, json } => {
            let skipped = edition::skip(conn, &name, now).await?;
            let sentence = format!(
                "Left out what was late of {}: `tidings campaign report {}` counts it as skipped, too late.",
                skipped.join(", "),
                typed(&name)
            );
            answer(json, json!({ "campaign": name, "skipped": skipped }), &sentence)
        }
        Command::Preflight { name, json } => preflight::run(conn, &name, json, ctx, &db).await,
        Command::Accept { name, json } => preflight::accept(conn, &name, json, ctx).await,
        Command::Test(args) => test::run(conn, &args, ctx, &db).await,
        Command::Report(args) => report::run(conn, &args, ctx, &db.label).await,
        Command::Next(args) => next::run(conn, &args, now).await,
        Command::Forecast(args) => forecast::run(&db.pool, &args, now).await,
    }
}

async fn create(conn: &mut PgConnection, weekly: &Weekly, ctx: &Context) -> anyhow::Result<()> {
    let new = campaign::NewWeekly {
        name: &weekly.name,
        series: &weekly.series,
        at: weekly.at.as_deref(),
        cron: weekly.cron.as_deref(),
        zone: &weekly.zone,
        subscriber_zone: weekly.subscriber_zone,
        late: late(&weekly.late),
        tolerance: SignedDuration::try_from(ctx.config.delivery.tolerance)?,
        deadline: SignedDuration::try_from(ctx.config.delivery.deadline)?,
        first_tip: if weekly.first_tip == "at-once" { FirstTip::AtOnce } else { FirstTip::Next },
    };
    let made = campaign::create(conn, new, ctx.clock.now()).await?;
    answer(weekly.json, show::json(&made), &format!("Campaign `{}` is scheduled.{}", made.name, next::sentence(&made)?))?;
    match made.weekly() {
        Some(weekly) => warn(conn, made.id, weekly).await,
        None => Ok(()),
    }
}

fn late(word: &str) -> Late {
    match word {
        "fire" => Late::Fire,
        "skip" => Late::Skip,
        _ => Late::Ask,
    }
}

// Nothing here keeps it from being scheduled: tips and subscribers may come before it is due.
async fn warn(conn: &mut PgConnection, id: i64, weekly: &store::Weekly) -> anyhow::Result<()> {
    let provisions = store::provisions(conn, weekly).await?;
    if provisions.approved_tips == 0 {
        eprintln!(
            "Note: no tip of series `{0}` is approved yet: `tidings tip list --series {0}`, then `tidings tip approve`.",
            weekly.series
        );
    }
    if provisions.subscribers == 0 {
        eprintln!("Note: nobody is subscribed to its topic yet: `tidings subscriber add EMAIL --topic {}`.", weekly.series);
    }
    let others = store::others_of_series(conn, weekly.series_id, id).await?;
    if let Some(first) = others.first() {
        eprintln!("{}", beside(&others, first, &weekly.series));
    }
    Ok(())
}

fn beside(others: &[String], first: &str, series: &str) -> String {
    let (campaigns, send) = if others.len() == 1 { ("campaign", "sends") } else { ("campaigns", "send") };
    let names = others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!(
        "Note: {campaigns} {names} {send} the tips of series `{series}` to the same subscribers. Each tip goes once to a person, by \
         whichever campaign comes first, so she is through with them sooner. If that is not meant: `tidings campaign cancel {}`.",
        typed(first)
    )
}

async fn cancel(conn: &mut PgConnection, name: &str, yes: bool, json: bool, ctx: &Context) -> anyhow::Result<()> {
    store::find(conn, name).await?;
    if !yes && std::io::stdin().is_terminal() && !ask(&format!("End campaign `{name}` for good?"))? {
        bail!("campaign `{name}` was left as it is");
    }
    let cancelled = campaign::cancel(conn, name, ctx.clock.now()).await?;
    let deliveries = plural(cancelled, "delivery", "deliveries");
    let sentence = format!("Campaign `{name}` is cancelled, and {deliveries} with it; what is being handed over finishes.");
    answer(json, json!({ "campaign": name, "cancelled": cancelled }), &sentence)
}

async fn run_now(conn: &mut PgConnection, name: &str, yes: bool, json: bool, ctx: &Context) -> anyhow::Result<()> {
    let added = match edition::run(conn, name, yes, ctx.clock.now()).await {
        Err(CampaignError::RanLately { edition, .. }) if std::io::stdin().is_terminal() => {
            if !ask(&format!("Campaign `{name}` had its edition {edition} less than six days ago. Run another now?"))? {
                bail!("no edition was added");
            }
            edition::run(conn, name, true, ctx.clock.now()).await?
        }
        outcome => outcome?,
    };
    let sentence = format!("Edition {added} is due now; a worker plans and sends it. `tidings campaign report {}` counts.", typed(name));
    answer(json, json!({ "campaign": name, "edition": added.to_string() }), &sentence)
}

fn answer(as_json: bool, value: Value, sentence: &str) -> anyhow::Result<()> {
    if as_json { pretty(&value) } else { say(sentence) }
}

/// A name as it is typed after a command.
fn typed(name: &str) -> String {
    let plain = name.chars().all(|character| character.is_alphanumeric() || "-_.".contains(character));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Prints a line; a reader that went away is no error.
fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?)
}
