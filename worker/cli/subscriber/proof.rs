//! `tidings subscriber proof`: the history of one person's consent, as a text or JSON.

use super::{super::Context, find, read};
use crate::people::proof;

/// Whose consent to prove.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Her address
    email: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub(in crate::cli) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let address = read(&args.email)?;
    let db = ctx.db().await?;
    let id = find(ctx, &db, &address).await?;
    let proof = proof::find(&mut *db.pool.acquire().await?, id).await?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&proof)?),
        false => print!("{}", proof.text(address.as_given(), &ctx.config.site.name, ctx.clock.now())),
    }
    Ok(())
}
