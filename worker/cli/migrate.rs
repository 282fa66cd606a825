//! `tidings migrate`: the schema up to date, before a deploy or by hand.

use super::Context;

/// Connecting migrates; this says so.
pub(crate) async fn run(ctx: &Context) -> anyhow::Result<()> {
    ctx.db().await?;
    println!("The database's schema is up to date.");
    Ok(())
}
