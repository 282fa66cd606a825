//! `tidings import subscribers FILE.csv`: many people at once, looked at first with `--dry-run`.
//!
//! The file may be anything that can be read: what is no file to go back in (a pipe, standard input) is kept aside in one that has
//! no name while it is imported.

use super::{
    Context,
    table::{JsonLines, count, table},
};
use crate::audience::{
    import::{self, Counts, Heard, Imported, Map, Options, Preview, Remark, Said, Table},
    topic::{self, Topic},
};
use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// How many changed people a preview shows.
const SAMPLE: usize = 20;

/// What to import, where to, and on whose word.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A CSV file whose first line names its columns; its delimiter and encoding are found out. - reads standard input
    file: PathBuf,
    /// Which column says what, where its name does not: email=E-mail,name="Full name"; of email, name, first_name, last_name, zone,
    /// stage_date. #2 is the second column
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    map: Vec<String>,
    /// The topic to subscribe them to, by name or slug; without one their particulars alone are taken
    #[arg(long)]
    topic: Option<String>,
    /// How these people confirmed that they want this, in your words: kept with each as the evidence. Without it they come in
    /// unconfirmed and get no mail; `tidings import ask` asks them
    #[arg(long, value_name = "WORDS")]
    confirmed_because: Option<String>,
    /// Show what it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: what is to be said about lines first, then the counts
    #[arg(long)]
    json: bool,
}

/// Imports the file. Bad rows are listed and are no failure; running it again changes nothing.
pub(super) async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let because = args.confirmed_because.as_deref().map(str::trim);
    ensure!(
        because != Some(""),
        "say how these people confirmed, e.g. --confirmed-because \"ticked the box of the 2025 sign-up sheet\": it is kept with each of them as the evidence"
    );
    if because.is_some() && args.topic.is_none() {
        bail!("say what these people confirmed: --topic T");
    }
    let map = Map::read(args.map.iter().map(String::as_str))?;
    let file = open(&args.file)?;
    let bytes = file.metadata()?.len();
    let name = args.file.file_name().map_or("standard input".into(), |name| name.to_string_lossy());
    let mut table = Table::open(file, &name, map).with_context(|| args.file.display().to_string())?;
    let db = ctx.db().await?;
    let keyring = ctx.keyring(&db).await?;
    let topic = match &args.topic {
        Some(wanted) => Some(topic::find(&mut *db.pool.acquire().await?, wanted).await?),
        None => None,
    };
    let options = Options { topic: topic.as_ref(), because };
    let mut listener = Listener::new(&args, bytes)?;
    listener.layout(&table);
    let mut hear = |heard: Heard<'_>| listener.hear(&heard);
    let done = match args.dry_run {
        true => {
            let mut conn = db.pool.acquire().await?;
            Done::Looked(import::preview(&mut conn, &keyring, &mut table, options, SAMPLE, &mut hear).await.with_context(|| named(&args))?)
        }
        false => {
            let outcome = import::import(&db.pool, &keyring, &mut table, options, ctx.clock.now(), &mut hear).await;
            Done::Imported(outcome.with_context(|| named(&args))?)
        }
    };
    listener.end(&done, topic.as_ref(), &table)
}

enum Done {
    Looked(Preview),
    Imported(Imported),
}

fn named(args: &Args) -> String {
    args.file.display().to_string()
}

// What is said while the file is read: lines as they come, so that a million refused rows need no memory.
struct Listener {
    bar: ProgressBar,
    json: Option<JsonLines>,
    failed: Option<io::Error>,
}

impl Listener {
    fn new(args: &Args, bytes: u64) -> io::Result<Self> {
        let json = if args.json { Some(JsonLines::new("lines")?) } else { None };
        Ok(Self { bar: progress_bar(bytes), json, failed: None })
    }

    fn layout(&self, table: &Table<File>) {
        if self.json.is_some() {
            return;
        }
        let layout = table.layout();
        let delimiter = match layout.delimiter {
            b',' => "commas".to_owned(),
            b';' => "semicolons".to_owned(),
            b'\t' => "tabs".to_owned(),
            other => format!("`{}`", char::from(other)),
        };
        eprintln!("read as {}, fields separated by {delimiter}", layout.encoding.name());
        if !table.unread_columns().is_empty() {
            eprintln!("columns that were not read: {}", table.unread_columns().join(", "));
        }
    }

    fn hear(&mut self, heard: &Heard<'_>) {
        match heard {
            Heard::Read(bytes) => self.bar.set_position(*bytes),
            Heard::Line(remark) => {
                let said = match &mut self.json {
                    Some(lines) => lines.push(remark),
                    None => self.bar.suspend(|| say(remark)),
                };
                // Nobody who reads is no reason to stop; it is said at the end.
                self.failed = self.failed.take().or(said.err());
            }
        }
    }

    fn end(self, done: &Done, topic: Option<&Topic>, file: &Table<File>) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        match (self.json, done) {
            (Some(lines), Done::Imported(imported)) => lines.end(&described(imported, file)?)?,
            (Some(lines), Done::Looked(preview)) => lines.end(&described(preview, file)?)?,
            (None, Done::Imported(imported)) => print_imported(imported, topic),
            (None, Done::Looked(preview)) => print_preview(preview, topic),
        }
        Ok(())
    }
}

fn described(done: &impl serde::Serialize, file: &Table<File>) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let mut described = serde_json::Map::new();
    for value in [serde_json::to_value(done)?, serde_json::to_value(file.layout())?] {
        described.extend(value.as_object().cloned().unwrap_or_default());
    }
    described.insert("unread_columns".to_owned(), file.unread_columns().into());
    Ok(described)
}

fn say(remark: &Remark) -> io::Result<()> {
    let outcome = match remark.outcome {
        Said::Refused => "refused",
        Said::LeftAlone => "left alone",
    };
    writeln!(io::stderr(), "line {}: {outcome}: {}", remark.line, remark.reason)
}

fn print_imported(imported: &Imported, topic: Option<&Topic>) {
    if imported.gone_on_after > 0 {
        println!("Gone on with import {} after row {}.", imported.id, imported.gone_on_after);
    }
    println!("{}", summary(&imported.counts, topic));
    println!("This is import {0}; `tidings import undo {0}` takes it back.", imported.id);
}

fn print_preview(preview: &Preview, topic: Option<&Topic>) {
    if !preview.sample.is_empty() {
        let mut table = table(["Line", "Address", "What", "Before", "After"]);
        for person in &preview.sample {
            for change in &person.changes {
                let before = change.before.clone().unwrap_or_default();
                table.add_row([person.line.to_string(), person.email.clone(), change.what.replace('_', " "), before, change.after.clone()]);
            }
        }
        println!("{table}");
        if preview.counts.changed > preview.sample.len() as u64 {
            println!("The first {} of those who would be changed.", preview.sample.len());
        }
    }
    println!("{}", summary(&preview.counts, topic));
    println!("Nothing was changed: this was a dry run.");
}

fn summary(counts: &Counts, topic: Option<&Topic>) -> String {
    let Counts { rows, new, changed, unchanged, refused, left_alone, kept } = counts;
    let into = topic.map_or("no topic".to_owned(), |topic| format!("`{}`", topic.name));
    let mut text = format!(
        "{} into {into}: {new} new, {changed} changed, {unchanged} unchanged, {refused} refused, {left_alone} left alone.",
        count(rows, "row")
    );
    if *kept > 0 {
        text += &format!("\nOf {kept} something else is known than the file says: what is known was kept.");
    }
    text
}

fn open(path: &Path) -> anyhow::Result<File> {
    if path.as_os_str() == "-" {
        return aside(&mut io::stdin());
    }
    let mut file = File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let about = file.metadata()?;
    if about.is_dir() {
        bail!("`{}` is a folder; a CSV file was expected", path.display());
    }
    if about.is_file() { Ok(file) } else { aside(&mut file) }
}

// A copy that nobody else can open and that goes with this process, however it goes.
fn aside(source: &mut impl io::Read) -> anyhow::Result<File> {
    let path = std::env::temp_dir().join(format!("tidings-import-{}", std::process::id()));
    let cannot = || format!("standard input cannot be kept aside in `{}`", path.display());
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).with_context(cannot)?;
    std::fs::remove_file(&path).with_context(cannot)?;
    io::copy(source, &mut file).with_context(cannot)?;
    Ok(file)
}

// Drawn on standard error, and only where that is a terminal.
fn progress_bar(bytes: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left").expect("the template is valid");
    ProgressBar::new(bytes).with_style(style)
}
