//! `tidings worker`: plans what is due and sends it, until told to end or until nothing is left.

use super::{Context, app};
use crate::jobs;

/// How long to work.
#[derive(clap::Args)]
pub(super) struct Args {
    /// End with 0 when nothing is due, claimed or being handed over; deferred mails and held or paused editions are not waited for
    #[arg(long)]
    until_idle: bool,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let app = app::app(ctx, db).await?;
    let stop = app::stop_signal()?;
    match args.until_idle {
        true => jobs::run_until_idle(app, stop).await,
        false => jobs::run(app, stop).await,
    }
}
