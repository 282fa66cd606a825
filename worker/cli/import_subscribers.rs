//! `tidings import subscribers FILE.csv --topic T --confirmed-because "…"`: many people at once.

use super::Context;
use crate::audience::{
    import::{self, Imported, Remark},
    topic,
};
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// What to import, where to, and on whose word.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A CSV file in UTF-8 whose first line names its columns: email, name, zone, stage_date; - reads standard input
    file: PathBuf,
    /// The topic, by name or slug; a series' topic bears the series' name
    #[arg(long)]
    topic: String,
    /// How these people confirmed that they want this, in your words: kept with each as the evidence
    #[arg(long, value_name = "WORDS")]
    confirmed_because: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Imports the file. Bad rows are listed and are no failure; running it again changes nothing.
pub(super) async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let Some(because) = args.confirmed_because.as_deref().map(str::trim).filter(|b| !b.is_empty()) else {
        bail!(
            "say how these people confirmed, e.g. --confirmed-because \"ticked the box of the 2025 sign-up sheet\": it is kept with each of them as the evidence, and without it nobody may be mailed"
        );
    };
    let (file, bytes) = open(&args.file)?;
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let topic = topic::find(&mut *db.pool.acquire().await?, &args.topic).await?;
    let bar = progress_bar(bytes);
    let outcome = import::import(&db.pool, &keyring, file, &topic, because, ctx.clock.now(), |read| bar.set_position(read)).await;
    bar.finish_and_clear();
    let imported = outcome.with_context(|| args.file.display().to_string())?;
    if args.json {
        println!("{}", serde_json::to_string(&imported)?);
    } else {
        print(&imported, &topic.name);
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let about = file.metadata()?;
    if about.is_dir() {
        bail!("`{}` is a folder; a CSV file was expected", path.display());
    }
    Ok((Box::new(BufReader::with_capacity(256 * 1024, file)), about.is_file().then_some(about.len())))
}

// Drawn on standard error, and only where that is a terminal.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    match bytes {
        None => ProgressBar::new_spinner(),
        Some(bytes) => {
            let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left")
                .expect("the template is valid");
            ProgressBar::new(bytes).with_style(style)
        }
    }
}

fn print(imported: &Imported, topic: &str) {
    if !imported.unknown_columns.is_empty() {
        eprintln!("columns that were not read: {}", imported.unknown_columns.join(", "));
    }
    list("refused", &imported.refused);
    list("left alone", &imported.left_alone);
    println!(
        "{} rows: {} added to `{topic}`, {} subscribed already, {} refused, {} left alone.",
        imported.rows,
        imported.added,
        imported.unchanged,
        imported.refused.len(),
        imported.left_alone.len(),
    );
}

fn list(what: &str, remarks: &[Remark]) {
    for remark in remarks {
        eprintln!("line {}: {what}: {}", remark.line, remark.reason);
    }
}
