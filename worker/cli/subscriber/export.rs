//! `tidings subscriber export`: everything that is kept about one person, as JSON.

use super::{super::Context, find, read};
use crate::people::export;

/// Whose data to print.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Her address
    email: String,
    /// It is JSON with or without this
    #[arg(long, hide = true)]
    json: bool,
}

/// Prints it.
pub(in crate::cli) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let address = read(&args.email)?;
    let db = ctx.db().await?;
    let id = find(ctx, &db, &address).await?;
    let keyring = ctx.keyring(&db).await?;
    let everything = export::person(&mut *db.pool.acquire().await?, &keyring, id).await?;
    println!("{}", serde_json::to_string_pretty(&everything)?);
    Ok(())
}
