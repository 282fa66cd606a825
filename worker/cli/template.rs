//! `tidings template list|copy|check`: where each file of the templates comes from, a start for templates of one's own, and what is
//! wrong with them.

mod check;

use super::{Context, table::table};
use crate::delivery::render::{
    Files, Origin,
    files::{built_in, templates},
    folder,
};
use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// What to do with the templates.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List every template and file with where it comes from: the binary, or templates.folder
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Write built-in files into templates.folder, to be edited there; delete what you do not change
    Copy {
        /// Templates as `template list` names them, `layout` for what they share, or `all`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Write over files that are there already
        #[arg(long)]
        force: bool,
    },
    /// Render every template with every sample and check what comes out; ends with 1 when there is a finding
    Check {
        /// Also write the mails to this folder
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(super) fn run(command: &Command, ctx: &Context) -> anyhow::Result<()> {
    match command {
        Command::List { json } => list(ctx, *json),
        Command::Copy { names, force } => copy(ctx, names, *force),
        Command::Check { out, json } => check::run(ctx, out.as_deref(), *json),
    }
}

/// The files of the settings.
fn files(ctx: &Context) -> anyhow::Result<Files> {
    Ok(match ctx.config.templates.folder() {
        Some(folder) => folder::read(folder)?,
        None => Files::built_in(),
    })
}

fn list(ctx: &Context, json: bool) -> anyhow::Result<()> {
    let files = files(ctx)?;
    let rows: Vec<(&str, &str, String)> = files.parts().map(|(part, _)| row(&files, part)).collect();
    if json {
        let rows: Vec<_> = rows.iter().map(|(name, file, from)| json!({ "template": name, "file": file, "from": from })).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let mut table = table(["Template", "File", "From"]);
    let mut before = "";
    for (name, file, from) in &rows {
        // A template's name stands beside its first file alone.
        table.add_row([if *name == before { "" } else { name }, file, from]);
        before = name;
    }
    println!("{table}");
    Ok(())
}

fn row<'a>(files: &Files, part: &'a str) -> (&'a str, &'a str, String) {
    let (name, file) = part.split_once('/').unwrap_or((part, ""));
    let from = match files.origin(part) {
        Some(Origin::Folder(_)) => files.place(part, None).file,
        _ => "built-in".to_owned(),
    };
    (name, file, from)
}

fn copy(ctx: &Context, names: &[String], force: bool) -> anyhow::Result<()> {
    let folder = ctx.config.templates.folder();
    let folder =
        folder.context("no folder is named: set templates.folder (TIDINGS_TEMPLATES__FOLDER) to where your templates are to be")?;
    let parts = named(names)?;
    let there: Vec<String> =
        parts.iter().map(|part| path(folder, part)).filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    ensure!(there.is_empty() || force, "these are there already, and nothing was written (--force writes over them): {}", there.join(", "));
    for part in &parts {
        let path = path(folder, part);
        write(&path, built_in(part).unwrap_or_default()).with_context(|| format!("`{}` cannot be written", path.display()))?;
        println!("{}", path.display());
    }
    eprintln!("Edit them, delete what you leave as it is, and look with `tidings template check`.");
    Ok(())
}

fn named(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let known = templates();
    let mut parts = Vec::new();
    for name in names {
        match known.iter().find(|(of, _)| of == name) {
            Some((_, of)) => parts.extend(of),
            None if name == "all" => parts.extend(known.iter().flat_map(|(_, of)| of)),
            None => {
                let all: Vec<&str> = known.iter().map(|(of, _)| *of).collect();
                bail!("there is no template `{name}`: expected all, or some of {}", all.join(", "));
            }
        }
    }
    Ok(parts)
}

fn path(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}.hbs"))
}

// What stands there is replaced and not written into: it may be a link to somewhere else.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}
