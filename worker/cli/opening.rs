//! `tidings opening`: seats of a program, and what became of them.

use super::{
    Context,
    ask::ask,
    moment::{instant, lasting, left, shown},
    table::table,
};
use crate::campaigns::{self, broadcast};
use crate::waitlist::{
    entry,
    line::Selection,
    opening::{self, NewOpening},
    program,
    report::{self, Report},
    states::{AfterExpiry, Mode, OpeningState},
};
use anyhow::bail;
use jiff::SignedDuration;
use sqlx::PgConnection;
use std::io::IsTerminal;

/// What to do with openings.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Open seats of a program; it fills by itself
    Create(Create),
    /// Add seats, or take some away; more are offered at once, fewer take no offer back
    Seats {
        /// The program
        program: String,
        /// How many, such as +5 or -2
        #[arg(allow_hyphen_values = true, value_name = "±N", value_parser = how_many)]
        by: i32,
        /// The opening; the latest, when it is left out
        #[arg(long, value_name = "NUMBER")]
        opening: Option<i32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Close an opening: open offers are revoked and these people told; accepted seats stay
    Close {
        /// The program
        program: String,
        /// The opening; the latest, when it is left out
        #[arg(long, value_name = "NUMBER")]
        opening: Option<i32>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count what became of the seats and the offers
    Report {
        /// The program
        program: String,
        /// The opening; the latest, when it is left out
        #[arg(long, value_name = "NUMBER")]
        opening: Option<i32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A new opening.
#[derive(clap::Args)]
pub(super) struct Create {
    /// The program
    program: String,
    /// Its seats
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    seats: i32,
    /// When it opens, such as "2026-12-01 09:00"
    #[arg(long, value_name = "TIME")]
    opens: String,
    /// When it ends; the program's own end of enrolment and its start end it too
    #[arg(long, value_name = "TIME")]
    ends: Option<String>,
    /// The IANA zone of these times
    #[arg(long)]
    zone: String,
    /// How long an offer holds, from the hand-over of its mail
    #[arg(long, value_name = "TIME", value_parser = lasting)]
    offer_for: SignedDuration,
    /// How long before an offer ends a reminder goes; 0h: none
    #[arg(long, value_name = "TIME", value_parser = lasting, default_value = "12h")]
    remind_before: SignedDuration,
    /// offers: a seat is held for each; notify-all: everyone is told at once; last-call: offers that hold no seat, first come
    #[arg(long, default_value = "offers")]
    mode: Mode,
    /// What follows an offer that ran out, if not what the program says: back, keep, out:N
    #[arg(long, value_name = "RULE")]
    after_expiry: Option<AfterExpiry>,
    /// Its number; the next, when it is left out. The same number twice makes one opening
    #[arg(long)]
    number: Option<i32>,
    /// Print who would be offered a seat now, and who would be passed over; write nothing
    #[arg(long)]
    dry_run: bool,
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
        Command::Create(new) => create(conn, &new, ctx).await,
        Command::Seats { program, by, opening, json } => {
            let seats = opening::change_seats(conn, &program, opening, by, now).await?;
            if json {
                return pretty(&seats);
            }
            println!("Seats now: {}; offers given at once: {}.", seats.seats, seats.given);
            if seats.excess > 0 {
                println!(
                    "Taken or held above these: {}. Nothing is taken back; each that becomes free is offered to nobody until they fit.",
                    seats.excess
                );
            }
            Ok(())
        }
        Command::Close { program, opening, yes, json } => {
            let found = opening::find(conn, &program, opening).await?;
            let question = format!("Close opening {} of `{program}` and revoke its open offers?", found.number);
            if !yes && std::io::stdin().is_terminal() && !ask(&question)? {
                bail!("opening {} was left as it is", found.number);
            }
            let closed = opening::close(conn, &program, Some(found.number), now).await?;
            if json {
                return pretty(&closed);
            }
            println!("Opening {} of `{program}` is closed.", closed.number);
            Ok(())
        }
        Command::Report { program, opening, json } => {
            let report = report::report(conn, &program, opening, now).await?;
            let told = told(conn, report.opening.id).await?;
            if json {
                let mut value = serde_json::to_value(&report)?;
                value["broadcast"] = serde_json::to_value(&told)?;
                return pretty(&value);
            }
            print_report(&report)?;
            if let Some(told) = &told {
                print_told(told);
            }
            Ok(())
        }
    }
}

async fn create(conn: &mut PgConnection, args: &Create, ctx: &Context) -> anyhow::Result<()> {
    let new = NewOpening {
        number: args.number,
        mode: args.mode,
        seats: args.seats,
        opens_at: instant(&args.opens, &args.zone)?,
        ends_at: args.ends.as_deref().map(|text| instant(text, &args.zone)).transpose()?,
        zone: args.zone.clone(),
        offer_for: args.offer_for,
        remind_before: args.remind_before,
        after_expiry: args.after_expiry,
    };
    let now = ctx.clock.now();
    if args.dry_run {
        let selection = opening::preview(conn, &args.program, &new, now).await?;
        return if args.json { pretty(&selection) } else { print_selection(conn, &selection, args).await };
    }
    let (opening, made) = opening::create(conn, &args.program, &new, now).await?;
    if args.json {
        return pretty(&opening);
    }
    let (number, program) = (opening.number, &args.program);
    if !made {
        println!("Opening {number} of `{program}` exists already, the very same; nothing was changed.");
        return Ok(());
    }
    let at = shown(opening.opens_at, &opening.zone);
    match opening.state {
        OpeningState::Scheduled => println!("Opening {number} of `{program}` is scheduled; it opens {at}."),
        state => {
            let report = report::report(conn, program, Some(number), now).await?;
            println!("Opening {number} of `{program}` is {state} since {at}; offers given at once: {}.", report.offers);
        }
    }
    let terms = program::find(conn, program).await?;
    if opening.mode == Mode::NotifyAll && terms.next_link.is_none() && terms.next_text.trim().is_empty() {
        eprintln!(
            "Note: the mail says that it is open, and not how to get a seat: `tidings program edit {program} --next-link URL` or --next-text."
        );
    }
    Ok(())
}

async fn print_selection(conn: &mut PgConnection, selection: &Selection, args: &Create) -> anyhow::Result<()> {
    let everyone = selection.offered.iter().map(|candidate| candidate.entry_id).chain(selection.passed_over.iter().map(|p| p.entry_id));
    let addresses = entry::addresses(conn, &everyone.collect::<Vec<_>>()).await?;
    let address = |entry_id: i64| addresses.get(&entry_id).cloned().unwrap_or_else(|| "(erased)".to_owned());
    let mut offered = table(["", "Entry", "Address", "Place"]);
    for (index, candidate) in selection.offered.iter().enumerate() {
        let id = candidate.entry_id;
        offered.add_row([(index + 1).to_string(), id.to_string(), address(id), candidate.rank.to_string()]);
    }
    let what = if args.mode == Mode::NotifyAll { "told that it is open" } else { "offered a seat" };
    match selection.offered.len() {
        0 => println!("Nobody would be {what}."),
        _ => println!("If it began now, these would be {what}, in this order:\n{offered}"),
    }
    let left = usize::try_from(args.seats).unwrap_or(0).saturating_sub(selection.offered.len());
    if args.mode == Mode::Offers && left > 0 {
        println!("Seats that nobody could be offered: {left}.");
    }
    if !selection.passed_over.is_empty() {
        let mut passed = table(["Entry", "Address", "Why"]);
        for person in &selection.passed_over {
            passed.add_row([person.entry_id.to_string(), address(person.entry_id), person.why.clone()]);
        }
        println!("These would be passed over:\n{passed}");
    }
    println!("Nothing was written.");
    Ok(())
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    let opening = &report.opening;
    println!("Opening {} of `{}` ({}): {}", opening.number, report.program, opening.mode, opening.state);
    println!(
        "Seats: {} = {} accepted + {} held + {} free{}",
        opening.seats,
        report.accepted,
        report.held,
        report.free,
        if report.excess > 0 { format!(" - {} in excess", report.excess) } else { String::new() }
    );
    println!(
        "Offers: {} = {} open + {} accepted + {} given back + {} declined + {} expired + {} revoked",
        report.offers, report.open, report.accepted, report.given_back, report.declined, report.expired, report.revoked
    );
    println!("The line: {} waiting, {} passed over, {} unconfirmed", report.waiting, report.passed_over, report.unconfirmed);
    if let Some(part) = report.conversion {
        println!("Conversion: {:.0} % of the offers that were answered or ran out", part * 100.0);
    }
    if let Some(seconds) = report.seconds_to_fill {
        println!("Full after {}", left(seconds));
    }
    if let Some(until) = report.halted_until {
        println!(
            "Halted: the mails of its last offers did not leave. One is tried after {}; `tidings delivery list --state failed` says why, and\n\
             `tidings offer give` tries one now. Once one leaves, the opening goes on, and those who were passed over keep their turn.",
            shown(until, &opening.zone)
        );
    }
    if report.open_offers.is_empty() {
        return Ok(());
    }
    let mut open = table(["Open offer", "Entry", "Holds until", "Left"]);
    for offer in &report.open_offers {
        let until = offer.expires_at.map_or_else(|| "its mail has not left".to_owned(), |at| shown(at, &opening.zone));
        let left = offer.seconds_left.map_or_else(String::new, left);
        open.add_row([offer.offer.to_string(), offer.entry.to_string(), until, left]);
    }
    println!("{open}");
    Ok(())
}

fn how_many(text: &str) -> Result<i32, String> {
    // Without its sign it might be meant as the seats that there are to be.
    let number = text.trim().strip_prefix(['+', '-']).and_then(|_| text.trim().parse().ok()).filter(|by| *by != 0);
    number.ok_or_else(|| format!("`{}` is no change of seats: expected e.g. `+5` or `-2`", text.escape_debug()))
}

// The campaign that told everyone at once, where the opening is of that mode and has opened.
async fn told(conn: &mut PgConnection, opening_id: i64) -> anyhow::Result<Option<campaigns::report::Report>> {
    match broadcast::of_opening(conn, opening_id).await? {
        Some(name) => Ok(Some(campaigns::report::report(conn, &name, None).await?)),
        None => Ok(None),
    }
}

fn print_told(told: &campaigns::report::Report) {
    println!("Everyone is told by campaign `{}`, which is {}", told.campaign, told.state);
    for edition in &told.editions {
        let counts = &edition.counts;
        println!(
            "Mails: {} = {} sent + {} failed + {} skipped + {} unconfirmed + {} cancelled + {} to do",
            counts.planned.unwrap_or(edition.counted),
            counts.sent,
            counts.failed,
            counts.skipped,
            counts.unconfirmed,
            counts.cancelled,
            counts.to_do
        );
    }
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
