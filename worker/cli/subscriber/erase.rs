//! `tidings subscriber erase`: forgets a person, after asking.

use super::{
    super::{Context, ask::ask},
    find, read,
};
use crate::{audience::consent::Source, people::erase};
use anyhow::ensure;
use serde_json::json;
use std::io::IsTerminal;

/// Whom to forget.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Her address
    email: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Erases her.
pub(in crate::cli) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let address = read(&args.email)?;
    let email = address.as_given();
    let db = ctx.db().await?;
    let id = find(ctx, &db, &address).await?;
    let question =
        format!("Forget {email} for good? What is kept is a keyed hash, so that the address is not mailed again, and the counts.");
    if !args.yes && std::io::stdin().is_terminal() {
        ensure!(ask(&question)?, "{email} was not erased");
    }
    let keyring = ctx.keyring(&db).await?;
    let erased = erase::erase(&db.pool, &keyring, id, Source::Operator, ctx.clock.now()).await?;
    match (args.json, erased.skipped) {
        (true, skipped) => println!("{}", json!({ "email": email, "erased": erased.changed, "skipped": skipped })),
        (false, 0) => println!("{email} is erased. The address is suppressed by its keyed hash."),
        (false, n) => {
            println!("{email} is erased; deliveries that waited and are skipped: {n}. The address is suppressed by its keyed hash.")
        }
    }
    Ok(())
}
