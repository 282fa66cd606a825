//! `tidings tip list|show|diff|approve|edit|new|retire|move`: the tips of a series.

use super::Context;
use super::table::{count, table};
use crate::content::{
    StageWindow, revise,
    store::{self, Edit, Merged, Place, TipText},
};
use anyhow::{Context as _, bail, ensure};
use sqlx::{Postgres, Transaction};
use std::fs;
use std::path::PathBuf;

/// What to do with tips.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List tips in the order in which they are sent
    List {
        /// Only those of this series
        #[arg(long, value_name = "NAME")]
        series: Option<String>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a tip with its text and where it comes from
    Show {
        /// Its id
        id: i64,
        /// Another revision than the one that is sent now, by its number
        #[arg(long, value_name = "N")]
        revision: Option<i32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between two revisions of a tip, sentence by sentence
    Diff {
        /// Its id
        id: i64,
        /// The older one [default: the one approved before an import changed it, else the one before --to]
        #[arg(long, value_name = "N")]
        from: Option<i32>,
        /// The newer one [default: the one that is sent now]
        #[arg(long, value_name = "N")]
        to: Option<i32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve tips: only approved ones are sent
    Approve {
        /// Their ids
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<i64>,
        /// All drafts
        #[arg(long)]
        all: bool,
        /// With --all: only those of this series
        #[arg(long, value_name = "NAME", requires = "all")]
        series: Option<String>,
    },
    /// Edit a tip; without options its subject, preheader and text open in $VISUAL or $EDITOR
    Edit {
        /// Its id
        id: i64,
        /// The weeks since a subscriber's stage date in which it fits, FROM..TO (TO no more), or none
        #[arg(long, value_name = "FROM..TO", value_parser = weeks)]
        weeks: Option<Weeks>,
        /// A new subject, at most 78 characters
        #[arg(long)]
        subject: Option<String>,
    },
    /// Say that tips which overlap others are new: they go also to those who had the others
    New {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Retire tips: nobody gets them any more
    Retire {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Move a tip to another place of its series
    Move {
        /// Its id
        id: i64,
        #[command(flatten)]
        place: To,
    },
}

/// Where to move a tip.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct To {
    /// Just before this tip
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// Just after this tip
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// To this place, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
}

/// A stage window as it is given, or `none`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weeks(Option<StageWindow>);

fn weeks(text: &str) -> Result<Weeks, String> {
    if text == "none" { Ok(Weeks(None)) } else { text.parse().map(|window| Weeks(Some(window))) }
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let mut transaction = db.pool.begin().await?;
    let now = ctx.clock.now();
    match command {
        Command::List { series, json } => return list(&mut transaction, series.as_deref(), json).await,
        Command::Show { id, revision, json } => return show(&text(&mut transaction, id, revision).await?, json),
        Command::Diff { id, from, to, json } => return diff(&mut transaction, id, from, to, json).await,
        Command::Approve { ids, all, series } => {
            let ids = if all { store::drafts(&mut transaction, series.as_deref()).await? } else { ids };
            let merged = if all { store::merged_drafts(&mut transaction, series.as_deref()).await? } else { Vec::new() };
            let changed = store::approve(&mut transaction, &ids, now).await?;
            println!("{}", told(&ids, changed.len(), "approved"));
            if !merged.is_empty() {
                println!("{}", told_merged(&merged));
            }
        }
        Command::Retire { ids } => {
            let changed = store::retire(&mut transaction, &ids, now).await?;
            println!("{}", told(&ids, changed.len(), "retired"));
        }
        Command::New { ids } => {
            let freed = store::declare_new(&mut transaction, &ids, now).await?;
            println!("{}", told_new(ids.len(), freed));
        }
        Command::Edit { id, weeks, subject } => return edit(transaction, ctx, id, weeks, subject).await,
        Command::Move { id, place } => {
            let position = store::move_to(&mut transaction, id, place.into(), now).await?;
            println!("Tip {id} is now at place {position} of its series.");
        }
    }
    transaction.commit().await?;
    Ok(())
}

impl From<To> for Place {
    fn from(to: To) -> Place {
        match to {
            To { before: Some(id), .. } => Place::Before(id),
            To { after: Some(id), .. } => Place::After(id),
            To { to, .. } => Place::At(to.map_or(1, |place| place as usize)),
        }
    }
}

async fn list(transaction: &mut Transaction<'static, Postgres>, series: Option<&str>, json: bool) -> anyhow::Result<()> {
    let tips = store::list(transaction, series).await?;
    if json {
        println!("{}", serde_json::to_string(&tips)?);
        return Ok(());
    }
    if tips.is_empty() {
        println!("There are no tips yet: `tidings import article PATH` makes some.");
        return Ok(());
    }
    let mut shown = table(["Id", "Series", "#", "State", "Subject", "Weeks", "Article"]);
    for tip in tips {
        let state = tip.note.map_or(tip.state.clone(), |note| format!("{} ({note})", tip.state));
        shown.add_row([
            tip.id.to_string(),
            tip.series,
            tip.position.to_string(),
            state,
            tip.subject,
            tip.weeks.unwrap_or_default(),
            tip.article,
        ]);
    }
    println!("{shown}");
    Ok(())
}

async fn text(transaction: &mut Transaction<'static, Postgres>, id: i64, revision: Option<i32>) -> anyhow::Result<TipText> {
    Ok(match revision {
        Some(number) => store::show_revision(transaction, id, number).await?,
        None => store::show(transaction, id).await?,
    })
}

/// The JSON of a diff.
#[derive(serde::Serialize)]
struct Difference {
    id: i64,
    from: i32,
    to: i32,
    /// A unified diff with a line for each sentence.
    diff: String,
}

async fn diff(
    transaction: &mut Transaction<'static, Postgres>,
    id: i64,
    from: Option<i32>,
    to: Option<i32>,
    json: bool,
) -> anyhow::Result<()> {
    let newer = text(transaction, id, to).await?;
    let from = from.or(newer.approved_revision.filter(|_| to.is_none())).unwrap_or(newer.revision - 1);
    ensure!(from >= 1, "tip {id} has one revision only: there is nothing to compare it with");
    let older = store::show_revision(transaction, id, from).await?;
    let diff = revise::diff(words(&older), words(&newer));
    if json {
        println!("{}", serde_json::to_string(&Difference { id, from, to: newer.revision, diff })?);
    } else if diff.is_empty() {
        println!("The revisions {from} and {} of tip {id} say the same.", newer.revision);
    } else {
        println!("Tip {id}, from revision {from} ({}) to {} ({}):\n{}", older.because, newer.revision, newer.because, diff.trim_end());
    }
    Ok(())
}

fn words(tip: &TipText) -> revise::Text<'_> {
    revise::Text { subject: &tip.row.subject, preheader: &tip.preheader, markdown: &tip.markdown }
}

fn told_new(tips: usize, freed: u64) -> String {
    let (tips, go) = if tips == 1 { ("The tip is", "goes") } else { ("The tips are", "go") };
    let people = count(freed, "subscriber");
    format!("{tips} new, and {go} also to {people} who had the words of another one; drafts still wait for `tidings tip approve`.")
}

/// Which drafts stay drafts, and what can be done with them.
fn told_merged(merged: &[Merged]) -> String {
    let into = merged.iter().map(|merged| format!("tip {} into tip {}", merged.id, merged.into)).collect::<Vec<_>>().join(", ");
    let ids = merged.iter().map(|merged| merged.id.to_string()).collect::<Vec<_>>().join(" ");
    let (stay, them, are) = match merged.len() {
        1 => ("1 draft was left as it is: its section went into another one, which has its words now".to_owned(), "it", "it is"),
        many => (
            format!("{many} drafts were left as they are: their sections went into others, which have their words now"),
            "them",
            "they are",
        ),
    };
    format!(
        "{stay} ({into}). Retire {them} with `tidings tip retire {ids}`; if {are} to be sent besides, say `tidings tip new {ids}` and approve {them}."
    )
}

fn show(tip: &TipText, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(tip)?);
        return Ok(());
    }
    let row = &tip.row;
    println!("Tip {}, {}, place {} of the series `{}`", row.id, row.state, row.position, row.series);
    println!("Subject:    {}\nPreheader:  {}", row.subject, tip.preheader);
    println!("From:       {}", std::iter::once(&row.article).chain(&tip.heading_path).cloned().collect::<Vec<_>>().join(" > "));
    let lines = [
        ("Dated", tip.article_date.map(|date| date.to_string())),
        ("Read more", tip.section_url.clone()),
        ("Weeks", row.weeks.clone()),
        ("Note", row.note.clone()),
    ];
    for (name, value) in lines.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        println!("{:<11} {value}", format!("{name}:"));
    }
    let approved = tip.approved_revision.map_or(String::new(), |number| format!("; {number} was approved: `tidings tip diff {}`", row.id));
    println!("Revision:   {} ({}, {}{approved})\n\n{}", tip.revision, tip.because, tip.revised_at, tip.markdown);
    print_list("Related", tip.related.iter().map(ToString::to_string));
    print_list("References", tip.references.iter().cloned());
    Ok(())
}

fn print_list(name: &str, entries: impl Iterator<Item = String>) {
    for (index, entry) in entries.enumerate() {
        if index == 0 {
            println!("\n{name}:");
        }
        println!("{}. {entry}", index + 1);
    }
}

fn told(ids: &[i64], changed: usize, state: &str) -> String {
    match (ids.len(), changed) {
        (0, _) => "There are no drafts to approve; nothing was changed.".to_owned(),
        (asked, changed) if asked == changed => format!("{changed} {} {state}.", if changed == 1 { "tip is" } else { "tips are" }),
        (asked, changed) => format!("{changed} of {asked} tips changed; the others were {state} already."),
    }
}

async fn edit(
    mut transaction: Transaction<'static, Postgres>,
    ctx: &Context,
    id: i64,
    weeks: Option<Weeks>,
    subject: Option<String>,
) -> anyhow::Result<()> {
    let by_option = weeks.is_some() || subject.is_some();
    let mut change = Edit { subject, weeks: weeks.map(|weeks| weeks.0), ..Edit::default() };
    let mut draft = None;
    if !by_option {
        let tip = store::show(&mut transaction, id).await?;
        // An editor may stay open for hours: no transaction does.
        transaction.rollback().await?;
        let file = write_draft(&tip)?;
        change = Edit { revision: Some(tip.revision), ..read_draft(&file, &tip)? };
        draft = Some(file);
        transaction = ctx.db().await?.pool.begin().await?;
    }
    let kept = |file: &PathBuf| format!("your text is kept in {}", file.display());
    let stored = store::edit(&mut transaction, id, &change, ctx.clock.now()).await;
    let revision = match (stored, &draft) {
        (Err(error), Some(file)) => return Err(error).with_context(|| kept(file)),
        (stored, _) => stored?,
    };
    transaction.commit().await?;
    if let Some(file) = draft {
        fs::remove_file(file)?;
    }
    match revision {
        Some(revision) => println!("Tip {id} has a new revision, {revision}; mails already sent keep pointing at the one they carried."),
        None if change.weeks.is_some() => println!("Tip {id} has a new stage window."),
        None => println!("Tip {id} stays as it is: nothing was changed."),
    }
    Ok(())
}

/// Writes the tip into a file of its own and opens it in the operator's editor.
fn write_draft(tip: &TipText) -> anyhow::Result<PathBuf> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty()));
    let Some(editor) = editor else {
        bail!("no editor is named: set VISUAL or EDITOR, e.g. EDITOR=nano, or use --subject or --weeks");
    };
    let file = std::env::temp_dir().join(format!("tidings-tip-{}-{}.md", tip.row.id, std::process::id()));
    fs::write(&file, format!("Subject: {}\nPreheader: {}\n\n{}\n", tip.row.subject, tip.preheader, tip.markdown))
        .with_context(|| format!("`{}` cannot be written", file.display()))?;
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(&file)
        .status()
        .with_context(|| format!("the editor `{editor}` could not be started"))?;
    ensure!(status.success(), "the editor `{editor}` ended with {status}; nothing was changed, and the text is kept in {}", file.display());
    Ok(file)
}

fn read_draft(file: &PathBuf, tip: &TipText) -> anyhow::Result<Edit> {
    let text = fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    parse_draft(&text).with_context(|| format!("tip {} was not changed; your text is kept in {}", tip.row.id, file.display()))
}

fn parse_draft(text: &str) -> anyhow::Result<Edit> {
    let mut rest = text;
    let mut take = |name: &str| -> anyhow::Result<String> {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let value = line.strip_prefix(name).and_then(|value| value.strip_prefix(':'));
        let value = value.with_context(|| {
            format!("the line `{name}: …` is missing: the text begins with `Subject:`, then `Preheader:`, then an empty line and the body")
        })?;
        rest = after;
        Ok(value.trim().to_owned())
    };
    let (subject, preheader) = (take("Subject")?, take("Preheader")?);
    Ok(Edit { subject: Some(subject), preheader: Some(preheader), markdown: Some(rest.trim().to_owned()), ..Edit::default() })
}

#[cfg(test)]
mod tests {
    use super::parse_draft;

    #[test]
    fn a_draft_gives_subject_preheader_and_body() {
        let edit = parse_draft("Subject: Warm first\nPreheader: Heat helps: a little.\n\nHeat helps.\n\n- a\n").expect("it is complete");
        assert_eq!(edit.subject.as_deref(), Some("Warm first"));
        assert_eq!(edit.preheader.as_deref(), Some("Heat helps: a little."));
        assert_eq!(edit.markdown.as_deref(), Some("Heat helps.\n\n- a"));
    }

    #[test]
    fn a_draft_without_its_first_lines_is_refused() {
        let error = parse_draft("Heat helps.\n").expect_err("there is no subject");
        assert!(error.to_string().contains("`Subject: …` is missing"));
    }
}
