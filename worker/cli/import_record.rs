//! `tidings import list|undo|ask`: what was imported, taking it back, and asking those who came in unconfirmed.

use super::{
    Context,
    table::{minute, plural, table},
};
use crate::{
    audience::import::record,
    people::unimport::{self, Left},
    signup::ask,
};
use anyhow::ensure;
use indicatif::ProgressBar;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// How the list is printed.
#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the imports, the latest first.
pub(super) async fn list(args: &ListArgs, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let imports = record::list(&mut *db.pool.acquire().await?).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&imports)?);
        return Ok(());
    }
    let mut table =
        table(["Import", "Began (UTC)", "File", "Topic", "State", "Rows", "New", "Changed", "Refused", "Left alone", "Confirmed because"]);
    for import in &imports {
        table.add_row([
            import.id.to_string(),
            minute(import.started_at),
            import.file.clone(),
            import.topic.clone().unwrap_or_default(),
            import.state.to_owned(),
            import.counts.rows.to_string(),
            import.counts.new.to_string(),
            import.counts.changed.to_string(),
            import.counts.refused.to_string(),
            import.counts.left_alone.to_string(),
            import.because.clone().unwrap_or_else(|| "(unconfirmed)".to_owned()),
        ]);
    }
    match imports.len() {
        0 => println!("No imports."),
        _ => println!("{table}"),
    }
    Ok(())
}

/// Which import to take back.
#[derive(clap::Args)]
pub(super) struct UndoArgs {
    /// Its number, of `tidings import list`
    import: i64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes an import back; what people did themselves since stands.
pub(super) async fn undo(args: &UndoArgs, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let people = unimport::changes(&db.pool, args.import).await?;
    ensure!(args.yes || agreed(args.import, people)?, "nothing was undone");
    let bar = ProgressBar::new_spinner();
    let mut left = Vec::new();
    let hear = |person: &Left| match args.json {
        true => left.push(person.clone()),
        false => bar.suspend(|| eprintln!("{}: left: {}", person.email.as_deref().unwrap_or("(erased)"), person.reason)),
    };
    let undone = unimport::undo(&db.pool, args.import, ctx.clock.now(), hear).await?;
    bar.finish_and_clear();
    if args.json {
        println!(
            "{}",
            json!({ "import": args.import, "undone": undone.undone, "removed": undone.removed, "skipped": undone.skipped, "left": left })
        );
        return Ok(());
    }
    println!(
        "Import {}: undone for {}, of whom {} no more; {} left. {} skipped.",
        args.import,
        plural(undone.undone, "person", "people"),
        plural(undone.removed, "is a subscriber", "are subscribers"),
        plural(undone.left, "acted herself since and was", "acted themselves since and were"),
        plural(undone.skipped, "waiting mail was", "waiting mails were")
    );
    Ok(())
}

fn agreed(import: i64, people: i64) -> anyhow::Result<bool> {
    let people = plural(people, "person", "people");
    ensure!(io::stdin().is_terminal(), "undoing import {import} changes what is known of {people}: say --yes if you want that");
    print!("Undo import {import}, which changed {people}? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whom to ask, and how fast.
#[derive(clap::Args)]
pub(super) struct AskArgs {
    /// The import's number, of `tidings import list`
    import: i64,
    /// How many are asked in an hour
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_hour: u32,
    /// Show how many would be asked, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Has the worker ask those who came in unconfirmed.
pub(super) async fn ask(args: &AskArgs, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let (mut conn, now) = (db.pool.acquire().await?, ctx.clock.now());
    let asking = match args.dry_run {
        true => ask::preview(&mut conn, args.import, args.per_hour, now).await?,
        false => ask::begin(&mut conn, args.import, args.per_hour, now).await?,
    };
    let (people, until) = (asking.people, asking.until);
    match (args.json, args.dry_run) {
        (true, dry_run) => println!("{}", json!({ "import": args.import, "people": people, "until": until, "dry_run": dry_run })),
        (false, true) => println!(
            "{} would be asked until {} (UTC). Nothing was changed: this was a dry run.",
            plural(people, "person", "people"),
            minute(until)
        ),
        (false, false) => println!(
            "{} being asked, {} an hour, until {} (UTC) if a worker runs; `tidings import undo {}` ends that.",
            plural(people, "person is", "people are"),
            args.per_hour,
            minute(until),
            args.import
        ),
    }
    Ok(())
}
