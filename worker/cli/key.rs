//! `tidings key create|list|revoke`: operators' keys for the API.

use super::{
    Context,
    table::{minute, table},
};
use crate::signup::keys::{self, Scope};
use serde_json::json;

/// What to do with keys of the API.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a key; its secret is printed once and cannot be had again
    Create {
        /// What you will know it by
        name: String,
        /// What it may do: hand in sign-ups
        #[arg(long, value_parser = ["subscribe"])]
        scope: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys; secrets are not kept
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a key useless from now on
    Revoke {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let conn = &mut *ctx.db().await?.pool.acquire().await?;
    let now = ctx.clock.now();
    match command {
        // The command line lets no other scope through.
        Command::Create { name, scope: _, json } => {
            let secret = keys::create(conn, &name, Scope::Subscribe, &ring::rand::SystemRandom::new(), now).await?;
            if json {
                println!("{}", json!({ "key": name, "scope": Scope::Subscribe, "secret": secret }));
            } else {
                println!("{secret}");
                eprintln!("Key `{name}` may hand in sign-ups. Its secret is shown this once: keep it where your site keeps its secrets.");
            }
        }
        Command::List { json } => list(&keys::list(conn).await?, json)?,
        Command::Revoke { name, json } => {
            let changed = keys::revoke(conn, &name, now).await?;
            match (json, changed) {
                (true, _) => println!("{}", json!({ "key": name, "revoked": changed })),
                (false, true) => println!("Key `{name}` is revoked: requests with it are refused from now on."),
                (false, false) => println!("Key `{name}` was revoked already; nothing was changed."),
            }
        }
    }
    Ok(())
}

fn list(keys: &[keys::ApiKey], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(keys)?);
        return Ok(());
    }
    if keys.is_empty() {
        println!("No keys yet: `tidings key create NAME --scope subscribe` makes one.");
        return Ok(());
    }
    let mut table = table(["Key", "Scope", "Created (UTC)", "Last used (UTC)", "Revoked (UTC)"]);
    for key in keys {
        let at = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), minute);
        table.add_row([key.name.as_str(), &key.scope, &minute(key.created_at), &at(key.last_used_at), &at(key.revoked_at)]);
    }
    println!("{table}");
    Ok(())
}
