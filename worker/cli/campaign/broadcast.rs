//! `tidings campaign create broadcast`: one mail to everyone of a topic or of a waitlist, tried first if wanted.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::PgConnection;

use super::super::{Context, ask::ask, moment::instant, table::plural};
use super::{answer, next, pretty, say, show, typed};
use crate::campaigns::broadcast::{self, NewBroadcast, Preview, Terms, To};
use crate::content::letter;
use crate::delivery::{
    render::{Templates, may_link, samples},
    versions::Versions,
};

/// A new broadcast.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name
    name: String,
    /// The subject of the mail
    #[arg(long)]
    subject: String,
    /// The line that an inbox shows beside the subject; the text's beginning, when it is left out
    #[arg(long, value_name = "WORDS")]
    preheader: Option<String>,
    /// The file with the text, in Markdown as tips have it; - for standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// Whom it goes to: topic:NAME, or waitlist:PROGRAM for those who wait, in the order of the line
    #[arg(long, value_name = "RECIPIENTS")]
    to: To,
    /// When, such as "2026-12-01 09:00"; at once, when it is left out
    #[arg(long, value_name = "TIME", requires = "zone")]
    at: Option<String>,
    /// The IANA zone of that time
    #[arg(long)]
    zone: Option<String>,
    /// What is done with what is late by more than its tolerance: hold it and ask, skip it, or fire it all the same
    #[arg(long, value_parser = ["ask", "skip", "fire"], default_value = "ask")]
    late: String,
    /// Print who would get it, who would not and why, and the mail; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before it goes out at once
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn create(conn: &mut PgConnection, args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let now = ctx.clock.now();
    let file = args.body.display().to_string();
    let letter = letter::read(&args.subject, args.preheader.as_deref(), &read(&args.body)?, &file, may_link)?;
    let zone = args.zone.as_deref().unwrap_or("UTC");
    let new = NewBroadcast {
        name: &args.name,
        to: &args.to,
        letter: &letter,
        at: args.at.as_deref().map(|at| instant(at, zone)).transpose()?,
        zone,
        terms: Terms {
            late: super::late(&args.late),
            tolerance: SignedDuration::try_from(ctx.config.delivery.tolerance)?,
            deadline: SignedDuration::try_from(ctx.config.delivery.deadline)?,
        },
    };
    let templates = Versions::of(&ctx.config)?.newest();
    if args.dry_run {
        let preview = broadcast::preview(conn, &templates, new, now).await?;
        let preview = at_site(preview, &ctx.config.site.url);
        return if args.json { pretty(&as_json(&preview)) } else { print(&preview, ctx) };
    }
    sure(conn, args, &templates, new, now).await?;
    let made = broadcast::create(conn, &templates, new, now).await?;
    let when = match new.at {
        None => format!(" It goes out now; `tidings campaign report {}` counts.", typed(&made.name)),
        Some(_) => next::sentence(&made)?,
    };
    answer(args.json, show::json(&made), &format!("Campaign `{}` is scheduled.{when}", made.name))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("standard input could not be read")?;
        return Ok(text);
    }
    std::fs::read(path).with_context(|| format!("`{}` cannot be read: expected a file with the text of the mail", path.display()))
}

async fn sure(conn: &mut PgConnection, args: &Args, templates: &Templates, new: NewBroadcast<'_>, now: Timestamp) -> anyhow::Result<()> {
    if args.yes || new.at.is_some() || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let recipients = broadcast::preview(conn, templates, new, now).await?.tally.recipients;
    if !ask(&format!("Send “{}” to {} now?", new.letter.subject, plural(recipients, "person", "people")))? {
        bail!("nothing was sent");
    }
    Ok(())
}

// The links of a preview lead nowhere, but where the publisher's begin is to be seen.
fn at_site(mut preview: Preview, site_url: &str) -> Preview {
    if !site_url.is_empty() {
        preview.mail.text = preview.mail.text.replace(samples::SITE_URL, site_url.trim_end_matches('/'));
    }
    preview
}

fn as_json(preview: &Preview) -> serde_json::Value {
    json!({
        "recipients": preview.tally.recipients, "skipped": preview.tally.skipped, "left_out": preview.tally.left_out,
        "first": preview.tally.first, "subject": preview.mail.subject, "text": preview.mail.text,
    })
}

fn print(preview: &Preview, ctx: &Context) -> anyhow::Result<()> {
    let tally = &preview.tally;
    say(&format!("Recipients: {}", tally.recipients))?;
    for (reason, count) in &tally.skipped {
        say(&format!("  {count} of them would be skipped: {}", reason.replace('_', " ")))?;
    }
    for (reason, count) in &tally.left_out {
        say(&format!("Left out: {count} {}", reason.replace('_', " ")))?;
    }
    if !tally.first.is_empty() {
        say(&format!("The first: {}", tally.first.join(", ")))?;
    }
    say(&format!("\nSubject: {}\n\n{}", preview.mail.subject, preview.mail.text.trim_end()))?;
    if let Err(missing) = ctx.config.ready_to_send() {
        let begin =
            if ctx.config.site.url.is_empty() { format!("; its links begin with {} here", samples::SITE_URL) } else { String::new() };
        say(&format!("\nNote: {missing}{begin}."))?;
    }
    say("\nNothing was written.")
}
