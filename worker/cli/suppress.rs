//! `tidings suppress add|list|remove`: addresses that must not be mailed.

use super::{
    Context,
    table::{Array, count, day, table, unless_unread},
};
use crate::{
    audience::{
        listing,
        suppression::{self, Kind},
    },
    base::address::EmailAddress,
    people::stop::{self, Source, Whom},
};
use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use sqlx::PgConnection;

const PAGE: i64 = 1_000;

/// What to do with suppressions.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Stop all mail to an address, a subscriber's or not; what waits to be sent to it is skipped
    Add {
        /// The address
        email: String,
        /// Why
        #[arg(long, value_name = "WORDS", default_value = "an operator decided")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the suppressions that stand
    List {
        /// How many the table shows; 0: all
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print all of them as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Lift what an operator may lift: a hard bounce, a complaint, a manual suppression
    Remove {
        /// The address
        email: String,
        /// Why: it is recorded
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    match command {
        Command::Add { email, reason, json } => add(ctx, &read(&email)?, &reason, json).await,
        Command::List { limit, json } => list(ctx, limit, json).await,
        Command::Remove { email, reason, json } => remove(ctx, &read(&email)?, &reason, json).await,
    }
}

async fn add(ctx: &Context, address: &EmailAddress, reason: &str, json: bool) -> anyhow::Result<()> {
    ensure!(!reason.trim().is_empty(), "the reason is empty: leave --reason out, or say why");
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let whom = Whom::Address(address);
    let stopped = stop::suppress(&db.pool, &keyring, whom, Kind::Manual, reason, Source::Operator, ctx.clock.now()).await?;
    let email = address.as_given();
    match (json, stopped.changed) {
        (true, _) => println!("{}", json!({ "email": email, "suppressed": stopped.changed, "skipped": stopped.skipped })),
        (false, true) if stopped.skipped > 0 => {
            println!("{email} is suppressed; deliveries that waited and are skipped: {}.", stopped.skipped)
        }
        (false, true) => println!("{email} is suppressed."),
        (false, false) => println!("{email} is suppressed already; nothing was changed."),
    }
    Ok(())
}

async fn remove(ctx: &Context, address: &EmailAddress, reason: &str, json: bool) -> anyhow::Result<()> {
    ensure!(!reason.trim().is_empty(), "the reason is empty: say why the address may be mailed again");
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let mut tx = db.pool.begin().await?;
    let removed = suppression::remove(&mut tx, &keyring, address, reason, ctx.clock.now()).await?;
    tx.commit().await?;
    let email = address.as_given();
    let names = |kinds: &[Kind]| kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>();
    match (removed.lifted.as_slice(), removed.left.as_slice()) {
        ([], []) => bail!("{email} is not suppressed"),
        ([], left) => bail!("{email} stays suppressed ({}): only she can lift that, by signing up again", names(left).join(", ")),
        _ => {}
    }
    if json {
        println!("{}", json!({ "email": email, "lifted": names(&removed.lifted), "left": names(&removed.left) }));
        return Ok(());
    }
    println!("{email}: {} lifted. What was skipped meanwhile stays skipped.", names(&removed.lifted).join(", "));
    if !removed.left.is_empty() {
        println!("It stays suppressed ({}): only she can lift that, by signing up again.", names(&removed.left).join(", "));
    }
    Ok(())
}

async fn list(ctx: &Context, limit: u32, json: bool) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let mut conn = db.pool.acquire().await?;
    if json {
        return unless_unread(list_json(&mut conn).await);
    }
    let total = listing::count_suppressions(&mut conn).await?;
    let listed = listing::suppressions(&mut conn, 0, if limit == 0 { i64::MAX } else { i64::from(limit) }).await?;
    let mut table = table(["Address", "Kind", "Reason", "Since"]);
    for suppression in &listed {
        let address = suppression.email.as_deref().unwrap_or("(no subscriber's)");
        table.add_row([address, suppression.kind.as_str(), suppression.reason.as_str(), &day(suppression.since)]);
    }
    if !listed.is_empty() {
        println!("{table}");
    }
    match listed.len() as i64 {
        shown if shown < total => println!("{shown} of {total} suppressions; --limit 0 shows all."),
        _ => println!("{}.", count(total, "suppression")),
    }
    Ok(())
}

async fn list_json(conn: &mut PgConnection) -> anyhow::Result<()> {
    let (mut array, mut after) = (Array::new(), Some(0));
    while let Some(last) = after {
        let page = listing::suppressions(conn, last, PAGE).await?;
        after = page.last().map(|suppression| suppression.id);
        page.iter().try_for_each(|suppression| array.push(suppression))?;
    }
    Ok(array.end()?)
}

fn read(email: &str) -> anyhow::Result<EmailAddress> {
    EmailAddress::parse(email).with_context(|| format!("`{email}`"))
}
