//! `tidings opening`: seats of a program, and what became of them.

use super::{
    Context,
    ask::ask,
    moment::{instant, lasting, left, shown},
    table::table,
};
use crate::waitlist::{
    line::Selection,
    opening::{self, NewOpening},
    report::{self, Report},
    states::{AfterExpiry, Mode},
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
        #[arg(allow_hyphen_values = true, value_name = "±N")]
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
    #[arg(long)]
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
            println!("{} seats now; offers given at once: {}.", seats.seats, seats.given);
            if seats.excess > 0 {
                println!("{} more are taken or held than there are: nothing is taken back, they drain.", seats.excess);
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
            if json { pretty(&report) } else { print_report(&report) }
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
        return if args.json { pretty(&selection) } else { print_selection(&selection) };
    }
    let (opening, made) = opening::create(conn, &args.program, &new, now).await?;
    if args.json {
        return pretty(&opening);
    }
    let (number, program) = (opening.number, &args.program);
    match made {
        true => println!("Opening {number} of `{program}` is {}; it opens {}.", opening.state, shown(opening.opens_at, &opening.zone)),
        false => println!("Opening {number} of `{program}` exists already, the very same; nothing was changed."),
    }
    Ok(())
}

fn print_selection(selection: &Selection) -> anyhow::Result<()> {
    let mut offered = table(["", "Entry", "Place"]);
    for (index, candidate) in selection.offered.iter().enumerate() {
        offered.add_row([(index + 1).to_string(), candidate.entry_id.to_string(), candidate.rank.to_string()]);
    }
    match selection.offered.is_empty() {
        true => println!("Nobody would be offered a seat."),
        false => println!("These would be offered a seat, in this order:\n{offered}"),
    }
    if !selection.passed_over.is_empty() {
        let mut passed = table(["Entry", "Why"]);
        for person in &selection.passed_over {
            passed.add_row([person.entry_id.to_string(), person.why.clone()]);
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

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
