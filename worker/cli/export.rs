//! `tidings export subscribers`: everybody as a CSV file that a spreadsheet opens and that the import takes back.

use super::{
    Context,
    table::{count, unless_unread},
};
use crate::audience::{
    export::{self, ExportError},
    topic,
};
use anyhow::Context as _;
use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// What to export.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Export subscribers as CSV (UTF-8, commas). A cell that a spreadsheet would run as a formula (it begins with = + - @, a tab
    /// or a carriage return) has an apostrophe before it; `tidings import subscribers` takes that off again
    Subscribers(Args),
}

/// Whom to export, and where to.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only those who have or had to do with this topic, by name or slug
    #[arg(long)]
    topic: Option<String>,
    /// A new file for it; without one it goes to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Exports.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::Subscribers(args) = command;
    let db = ctx.db().await?;
    let mut conn = db.pool.acquire().await?;
    let topic_id = match &args.topic {
        Some(topic) => Some(topic::find(&mut conn, topic).await?.id),
        None => None,
    };
    let Some(path) = &args.out else {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = export::subscribers(&mut conn, topic_id, &mut out).await;
        let ended = written.and_then(|_| Ok(out.flush()?));
        return unless_unread(ended.map_err(|error| match error {
            ExportError::Write(error) => error.into(),
            other => other.into(),
        }));
    };
    // Whoever may read it can read all addresses, and a file that is there is not overwritten.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut out = BufWriter::new(file.with_context(|| format!("`{}` cannot be made", path.display()))?);
    let written = export::subscribers(&mut conn, topic_id, &mut out).await?;
    out.flush()?;
    println!("{} in `{}`.", count(written, "subscriber"), path.display());
    Ok(())
}
