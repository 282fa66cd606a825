//! `tidings campaign report`: counts that add up, as a table or JSON, and the deliveries of one edition, line by line.

use std::io::{BufWriter, ErrorKind, Write};

use anyhow::{Context as _, ensure};
use comfy_table::CellAlignment;
use sqlx::PgConnection;

use super::super::{Context, relay, table::table};
use super::{next, pretty, say, typed};
use crate::campaigns::preflight::FOUND;
use crate::campaigns::report::{self, DeliveryLine, EditionReport, Report};
use crate::campaigns::states::{CampaignState, EditionState};
use crate::delivery::{ledger::outages, message::Mailbox};

/// Deliveries read at once.
const PAGE: i64 = 5_000;

/// Which campaign, and what of it.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Its name
    name: String,
    /// Only this edition: its local date, or the instant of a run
    #[arg(long, value_name = "OCCURRENCE")]
    edition: Option<String>,
    /// List every delivery of that edition, or of the latest
    #[arg(long)]
    deliveries: bool,
    /// Print JSON; with --deliveries one line for each
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(conn: &mut PgConnection, args: &Args, ctx: &Context, label: &str) -> anyhow::Result<()> {
    if args.deliveries {
        return deliveries(conn, args, ctx, label).await;
    }
    let report = report::report(conn, &args.name, args.edition.as_deref()).await?;
    if args.json {
        return pretty(&report);
    }
    print(&report)?;
    let waits = report.editions.iter().any(|edition| edition.state == EditionState::Running);
    let down = if waits { outages::now(conn).await? } else { Vec::new() };
    relay::sentences(&down).iter().try_for_each(|sentence| say(sentence))
}

async fn deliveries(conn: &mut PgConnection, args: &Args, ctx: &Context, label: &str) -> anyhow::Result<()> {
    let Some(edition) = report::find_edition(conn, &args.name, args.edition.as_deref()).await? else { return Ok(()) };
    let from = Mailbox::parse(&ctx.config.mail.from).context("mail.from is part of every Message-ID")?;
    ensure!(
        edition.details_kept,
        "the deliveries of edition {} are no longer kept (retention.deliveries): `tidings campaign report {}` has the counts",
        edition.edition,
        typed(&args.name)
    );
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut after = Some(0);
    while let Some(last) = after {
        let page = report::deliveries(conn, &edition, last, PAGE, (label, from.address.domain())).await?;
        after = page.last().map(|line| line.subscriber_id);
        for line in page {
            if let Err(error) = write(&mut out, &line, args.json) {
                return gone(error);
            }
        }
    }
    match out.flush() {
        Err(error) => gone(error),
        Ok(()) => Ok(()),
    }
}

fn write(out: &mut impl Write, line: &DeliveryLine, json: bool) -> std::io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from)?;
        return writeln!(out);
    }
    let email = line.email.as_deref().unwrap_or("(erased)");
    writeln!(out, "{:<12} {:<24} {email}", line.state, line.reason.as_deref().unwrap_or("-"))
}

// Whoever reads may stop, as `head` does.
fn gone(error: std::io::Error) -> anyhow::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) }
}

fn print(report: &Report) -> anyhow::Result<()> {
    say(&standing(report))?;
    if report.editions.is_empty() {
        return say(&format!("It has no editions yet: `tidings campaign next {}` shows when the first is due.", typed(&report.campaign)));
    }
    let mut table = table(["edition", "state", "planned", "sent", "failed", "skipped", "unconfirmed", "cancelled", "to do"]);
    for column in 2..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for edition in &report.editions {
        let counts = &edition.counts;
        let planned = counts.planned.map_or_else(|| format!("{} so far", edition.counted), |planned| planned.to_string());
        let numbers = [counts.sent, counts.failed, counts.skipped, counts.unconfirmed, counts.cancelled, counts.to_do];
        let row = [edition.edition.clone(), edition.state.to_string(), planned].into_iter().chain(numbers.map(|number| number.to_string()));
        table.add_row(row);
    }
    say(&table.to_string())?;
    report.editions.iter().flat_map(|edition| notes(&report.campaign, edition)).try_for_each(|note| say(&note))
}

fn standing(report: &Report) -> String {
    let name = &report.campaign;
    match (&report.reason, report.state) {
        (Some(reason), CampaignState::Paused) => {
            format!("Campaign `{name}` is paused: {reason}. `tidings campaign resume {}` lets it go on.", typed(name))
        }
        _ => format!("Campaign `{name}` is {}.", report.state),
    }
}

// What the numbers alone do not say: the reasons, and what is for the operator to do.
fn notes(name: &str, edition: &EditionReport) -> Vec<String> {
    let (counts, mut notes) = (&edition.counts, Vec::new());
    if !counts.reasons.is_empty() {
        let reasons: Vec<String> = counts.reasons.iter().map(|(reason, count)| format!("{count} {}", reason.replace('_', " "))).collect();
        notes.push(reasons.join(", "));
    }
    let reason = edition.reason.as_deref().unwrap_or_default();
    match edition.state {
        EditionState::Held if reason.starts_with(FOUND) => notes.push(format!("held: {reason}")),
        EditionState::Held => {
            notes.push(format!(
                "held: {reason}. `tidings campaign release {0}` sends it, `tidings campaign skip {0}` leaves out what is late",
                typed(name)
            ));
        }
        EditionState::Skipped => notes.push(reason.to_owned()),
        EditionState::Scheduled | EditionState::Planning => notes.push(format!("first mail due {} UTC", next::utc(edition.starts_at))),
        _ => {}
    }
    if !edition.details_kept {
        notes.push("who got it is no longer kept (retention.deliveries), the counts are".to_owned());
    } else if counts.unconfirmed > 0 {
        notes.push("`tidings delivery list --state unconfirmed` shows those of which the relay's answer is unknown".to_owned());
    }
    if !counts.add_up_to(counts.planned.unwrap_or(edition.counted)) {
        notes.push(format!(
            "THE NUMBERS DO NOT ADD UP to {}: this is a fault of Tidings, please report it",
            counts.planned.unwrap_or(edition.counted)
        ));
    }
    notes.into_iter().map(|note| format!("{}: {note}", edition.edition)).collect()
}
