//! `tidings keys list|new`: the keys that sign links and hash addresses. Only their ids are ever printed.

use super::{
    Context,
    table::{minute, table},
};
use crate::base::keys::{Keyring, record, record::UsedKey};
use serde_json::json;

/// What to do with the keys.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the keys that this database was ever used with, and those of the key file
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a key and make it the current one; links and suppressions made with older ones go on working
    New {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<()> {
    match *command {
        Command::List { json } => list(ctx, json).await,
        Command::New { json } => new(ctx, json).await,
    }
}

async fn list(ctx: &Context, json: bool) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let used = record::list(&mut *db.pool.acquire().await?).await?;
    let unused = unused(&keyring, &used);
    if json {
        println!("{}", serde_json::to_string_pretty(&json!({ "keys": used, "never_used": unused }))?);
        return Ok(());
    }
    let mut table = table(["Key", "Since (UTC)", "", "Suppressions"]);
    for key in &used {
        let current = if key.current { "current" } else { "" };
        table.add_row([key.id.as_str(), &minute(key.since), current, &key.suppressions.to_string()]);
    }
    println!("{table}");
    println!("They stand in {}.", ctx.config.key_file()?.display());
    if !unused.is_empty() {
        println!("It also holds {}, with which this database was never used.", unused.join(", "));
    }
    Ok(())
}

fn unused<'k>(keyring: &'k Keyring, used: &[UsedKey]) -> Vec<&'k str> {
    keyring.ids().filter(|id| !used.iter().any(|key| key.id == *id)).collect()
}

async fn new(ctx: &Context, json: bool) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let file = ctx.config.key_file()?;
    let id = record::add(&db.pool, &file, &ring::rand::SystemRandom::new()).await?;
    if json {
        println!("{}", json!({ "key": id, "file": file.display().to_string() }));
        return Ok(());
    }
    println!("Key {id} is the current one from now on; it stands in {} with the older ones.", file.display());
    println!("Copy that file to every host and keep a copy of it, then start all processes anew, those that serve the pages first:");
    println!("one that still runs goes on with the key it knows, and takes no link that was signed with the new one.");
    Ok(())
}
