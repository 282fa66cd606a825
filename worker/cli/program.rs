//! `tidings program`: the things with a waitlist.

use super::{
    Context,
    ask::ask,
    moment::{instant, shown},
    table::table,
};
use crate::waitlist::{
    opening,
    program::{self, Particulars, Program},
    states::AfterExpiry,
};
use anyhow::{bail, ensure};
use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use std::io::IsTerminal;

/// What to do with programs.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a program that people can wait for
    Create {
        /// Its name in addresses and commands: small letters, digits, hyphens
        slug: String,
        /// Its name, as people read it
        #[arg(long)]
        name: String,
        #[command(flatten)]
        terms: Terms,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all programs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one program and its openings
    Show {
        /// Its slug
        slug: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a program; a changed end or start holds for open offers too
    Edit {
        /// Its slug
        slug: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        terms: Terms,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Close a program: nobody can join, its openings close, open offers are revoked
    Close {
        /// Its slug
        slug: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a program is made of; what is left out stays as it is.
#[derive(clap::Args)]
pub(super) struct Terms {
    /// What it is, in a sentence or two
    #[arg(long, value_name = "WORDS")]
    description: Option<String>,
    /// What follows an offer that ran out: back (of the line), keep (the place), out:N (after N of them)
    #[arg(long, value_name = "RULE")]
    after_expiry: Option<AfterExpiry>,
    /// Told to whoever accepted a seat
    #[arg(long, value_name = "WORDS")]
    next_text: Option<String>,
    /// Where she goes on, https; empty: nowhere
    #[arg(long, value_name = "URL")]
    next_link: Option<String>,
    /// No offer outlives this time, such as "2026-12-01 09:00"; "none": no end
    #[arg(long, value_name = "TIME")]
    enrolment_ends: Option<String>,
    /// When the program starts: no offer outlives that either; "none": not known
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// The IANA zone of these times
    #[arg(long, default_value = "UTC")]
    zone: String,
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let conn = &mut *db.pool.acquire().await?;
    let now = ctx.clock.now();
    match command {
        Command::Create { slug, name, terms, json } => {
            let made = program::create(conn, &slug, &terms.over(new(&name), now)?, now).await?;
            let sentence =
                format!("Program `{slug}` is open: people can join its waitlist. `tidings opening create {slug} …` offers seats.");
            answer(&made, json, &sentence)
        }
        Command::List { json } => list(conn, json).await,
        Command::Show { slug, json } => show(conn, &slug, json).await,
        Command::Edit { slug, name, terms, json } => {
            let mut particulars = program::find(conn, &slug).await?.particulars();
            ensure!(name.is_some() || terms.say_something(), "nothing to change was said: `tidings program edit --help` lists what can be");
            particulars.name = name.unwrap_or(particulars.name);
            let edited = program::edit(conn, &slug, &terms.over(particulars, now)?, now).await?;
            answer(&edited, json, &format!("Program `{slug}` is changed."))
        }
        Command::Close { slug, yes, json } => {
            program::find(conn, &slug).await?;
            if !yes && std::io::stdin().is_terminal() && !ask(&format!("Close program `{slug}` and revoke its open offers?"))? {
                bail!("program `{slug}` was left as it is");
            }
            let closed = program::close(conn, &slug, now).await?;
            answer(&closed, json, &format!("Program `{slug}` is closed. Those who wait keep their places; accepted seats stay."))
        }
    }
}

impl Terms {
    fn say_something(&self) -> bool {
        let texts = [&self.description, &self.next_text, &self.next_link, &self.enrolment_ends, &self.starts];
        self.after_expiry.is_some() || texts.iter().any(|text| text.is_some())
    }

    fn over(&self, mut particulars: Particulars, now: Timestamp) -> anyhow::Result<Particulars> {
        let time = |text: &Option<String>, before| match text.as_deref() {
            None => Ok(before),
            Some("none") => Ok(None),
            Some(text) => {
                let at = instant(text, &self.zone)?;
                ensure!(
                    at > now,
                    "`{text}` is past, and would end every offer now: `tidings program close` does that and tells the people"
                );
                Ok(Some(at))
            }
        };
        particulars.enrolment_ends_at = time(&self.enrolment_ends, particulars.enrolment_ends_at)?;
        particulars.starts_at = time(&self.starts, particulars.starts_at)?;
        particulars.after_expiry = self.after_expiry.unwrap_or(particulars.after_expiry);
        if let Some(words) = &self.description {
            particulars.description.clone_from(words);
        }
        if let Some(words) = &self.next_text {
            particulars.next_text.clone_from(words);
        }
        if let Some(link) = &self.next_link {
            particulars.next_link = Some(link.clone()).filter(|link| !link.is_empty());
        }
        ensure!(particulars.description.len() <= 10_000, "the description is longer than 10,000 octets: put it on a page and link to that");
        Ok(particulars)
    }
}

fn new(name: &str) -> Particulars {
    Particulars {
        name: name.to_owned(),
        description: String::new(),
        after_expiry: AfterExpiry::Back,
        next_text: String::new(),
        next_link: None,
        enrolment_ends_at: None,
        starts_at: None,
    }
}

fn answer(program: &Program, json: bool, sentence: &str) -> anyhow::Result<()> {
    match json {
        true => println!("{}", serde_json::to_string_pretty(program)?),
        false => println!("{sentence}"),
    }
    Ok(())
}

async fn list(conn: &mut PgConnection, json: bool) -> anyhow::Result<()> {
    let programs = program::list(conn).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&programs)?);
        return Ok(());
    }
    let mut table = table(["Program", "Name", "State", "After a missed offer"]);
    for program in &programs {
        table.add_row([program.slug.as_str(), &program.name, program.state.as_str(), &program.after_expiry.to_string()]);
    }
    match programs.is_empty() {
        true => println!("There is no program: `tidings program create SLUG --name NAME` makes one."),
        false => println!("{table}"),
    }
    Ok(())
}

async fn show(conn: &mut PgConnection, slug: &str, json: bool) -> anyhow::Result<()> {
    let program = program::find(conn, slug).await?;
    let openings = opening::of_program(conn, program.id).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&json!({ "program": program, "openings": openings }))?);
        return Ok(());
    }
    println!("{} ({}), {}; after a missed offer: {}", program.name, program.slug, program.state, program.after_expiry);
    for (what, at) in [("Enrolment ends", program.enrolment_ends_at), ("Starts", program.starts_at)] {
        if let Some(at) = at {
            println!("{what}: {}", shown(at, "UTC"));
        }
    }
    let mut table = table(["Opening", "Mode", "Seats", "State", "Opens", "Ends"]);
    for opening in &openings {
        let ends = opening.over_at.map_or_else(String::new, |at| shown(at, &opening.zone));
        let (number, seats) = (opening.number.to_string(), opening.seats.to_string());
        table.add_row([
            number.as_str(),
            opening.mode.as_str(),
            &seats,
            opening.state.as_str(),
            &shown(opening.opens_at, &opening.zone),
            &ends,
        ]);
    }
    match openings.is_empty() {
        true => println!("It has no opening yet: `tidings opening create {slug} …` makes one."),
        false => println!("{table}"),
    }
    Ok(())
}
