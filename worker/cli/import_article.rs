//! `tidings import article PATH…`: articles become draft tips of a series.

use super::Context;
use super::article_outcome::{self, Outcome, Way};
use super::refusals::{self, Refused};
use super::table::{count, plural, table};
use crate::content::{self, Article, Format, Found, Hints, Settings};
use anyhow::{Context as _, bail, ensure};
use std::io::Read as _;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 13] = ["md", "markdown", "mdown", "mkd", "mdx", "txt", "text", "html", "htm", "xhtml", "xml", "rss", "atom"];

/// What to import, where to, and how.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Articles in Markdown, plain text or HTML, exports of WordPress (WXR), RSS and Atom: files, folders (with all below them), or - for
    /// standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The series that gets the tips; made when it is new [default: the front matter's `series`, else tips]
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// The article's address, for "read more"; wins over the front matter and over what a page says
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The form of the articles
    #[arg(long, value_enum, default_value_t = Form::Auto)]
    format: Form,
    /// Approve the tips at once, so that they are sent without another look
    #[arg(long)]
    approve: bool,
    /// Show the tips, what is left out and, if a database is named, what would become of those that are there; stores nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    /// Tell it from the text
    Auto,
    /// Markdown, with YAML or TOML front matter or none
    Markdown,
    /// Plain text without mark-up
    Text,
    /// An HTML page, or a fragment of one
    Html,
    /// An export of WordPress (WXR)
    Wordpress,
    /// RSS or Atom with full content
    Feed,
}

impl Form {
    fn format(self) -> Option<Format> {
        match self {
            Form::Auto => None,
            Form::Markdown => Some(Format::Markdown),
            Form::Text => Some(Format::Text),
            Form::Html => Some(Format::Html),
            Form::Wordpress => Some(Format::WordPress),
            Form::Feed => Some(Format::Feed),
        }
    }
}

/// The JSON of an import.
#[derive(serde::Serialize)]
struct Output<'a> {
    articles: &'a [Article],
    /// What became of each; empty for a dry run without a database.
    outcomes: &'a [Outcome],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    set_aside: &'a [SetAside],
    /// What became no tips, and why.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused: &'a [Refused],
}

/// An item of an export that is no published article.
#[derive(serde::Serialize)]
struct SetAside {
    name: String,
    reason: String,
}

/// What became of the inputs.
#[derive(Default)]
struct Told {
    outcomes: Vec<Outcome>,
    articles: Vec<Article>,
    set_aside: Vec<SetAside>,
    failures: Vec<(String, anyhow::Error)>,
}

/// Imports every article in its own transaction; those that fail are named, and the others are stored.
pub(super) async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    if let Some(url) = &args.url {
        content::read::check_url(url).map_err(anyhow::Error::msg).context("--url")?;
    }
    let files = files(&args.paths)?;
    ensure!(
        args.url.is_none() || files.len() == 1,
        "--url is the address of one article, and {} were given: import them one by one, or write `url` into their front matter",
        files.len()
    );
    let mut told = Told::default();
    for file in &files {
        if let Err(error) = take_in(&args, ctx, file, &mut told).await {
            told.failures.push((file.display().to_string(), error));
        }
    }
    finish(&args, told)
}

/// Says what was set aside and what failed; a lone failure is the answer of the command.
fn finish(args: &Args, mut told: Told) -> anyhow::Result<()> {
    let failed = told.failures.len();
    let all = failed + told.articles.len();
    if all == 1 && failed == 1 && told.set_aside.is_empty() {
        return Err(told.failures.remove(0).1);
    }
    let refused: Vec<Refused> = told.failures.iter().map(|(name, error)| Refused::because(name, error)).collect();
    refusals::lines(&refused).iter().for_each(|line| eprintln!("tidings: {line}"));
    if args.json {
        let Told { outcomes, articles, set_aside, .. } = &told;
        println!("{}", serde_json::to_string(&Output { articles, outcomes, set_aside, refused: &refused })?);
    } else {
        told.set_aside.iter().for_each(|aside| println!("Left aside: {}: {}.", aside.name, aside.reason));
    }
    match failed {
        0 => Ok(()),
        _ => bail!(
            "{failed} of {} could not be imported; {} {}",
            count(all, "article"),
            plural(told.articles.len(), "was", "were"),
            if args.dry_run { "read" } else { "imported" }
        ),
    }
}

/// Takes in what a file holds: one article, or as many as an export or a feed has.
async fn take_in(args: &Args, ctx: &Context, file: &Path, told: &mut Told) -> anyhow::Result<()> {
    let bytes = read(file)?;
    let hints = Hints { name: file.display().to_string(), url: args.url.clone() };
    let found = content::articles(&bytes, args.format.format(), &hints, &Settings::default())?;
    ensure!(
        args.url.is_none() || found.len() == 1,
        "--url is the address of one article, and `{}` holds {}: leave it out, each has its own",
        file.display(),
        found.len()
    );
    for one in found {
        if let Some(reason) = one.set_aside() {
            told.set_aside.push(SetAside { name: one.name.clone(), reason: reason.to_owned() });
            continue;
        }
        let name = one.name.clone();
        match store_found(args, ctx, one).await {
            Ok((article, outcome)) => {
                told.articles.push(article);
                told.outcomes.extend(outcome);
            }
            Err(error) => told.failures.push((name, error)),
        }
    }
    Ok(())
}

/// Shows an article, or stores it in a transaction of its own.
async fn store_found(args: &Args, ctx: &Context, found: Found) -> anyhow::Result<(Article, Option<Outcome>)> {
    let article = found.article?;
    if args.dry_run && !args.json {
        show(&article);
    }
    let series = args.series.clone().or_else(|| article.series.clone()).unwrap_or_else(|| "tips".to_owned());
    ensure!(!series.trim().is_empty(), "the series has no name: give one with --series, or leave it out");
    let way = Way { approve: args.approve, dry_run: args.dry_run, silent: args.json };
    let outcome = article_outcome::import(ctx, series.trim(), &article, &found.source, way).await?;
    Ok((article, outcome))
}

/// The files of the arguments; a folder gives the articles below it, sorted by name.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            below(path, &mut files)?;
            ensure!(
                files.len() > before,
                "folder `{}` holds no article: files that end in .md, .markdown, .mdx, .txt, .html, .xml, .rss or .atom were looked for",
                path.display()
            );
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("folder `{}` cannot be read", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if hidden || path.is_symlink() && path.is_dir() {
            continue;
        }
        if path.is_dir() {
            below(&path, files)?;
        } else if ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("article `{}` cannot be read", file.display()))
}

pub(super) fn show(article: &Article) {
    let about = [article.date.map(|date| date.to_string()), article.author.clone(), article.url.clone()];
    println!("{}", article.title);
    println!("{}\n", about.into_iter().flatten().chain([format!("read as {}", article.format)]).collect::<Vec<_>>().join(" · "));
    let mut tips = table(["#", "Subject", "Preheader", "Words", "Refs", "Related"]);
    for (index, tip) in article.tips.iter().enumerate() {
        let (references, related) = (tip.references.len().to_string(), tip.related.len().to_string());
        tips.add_row([
            (index + 1).to_string(),
            tip.subject.clone(),
            shortened(&tip.preheader, 120),
            tip.words.to_string(),
            references,
            related,
        ]);
    }
    fit(&mut tips);
    println!("{tips}");
    println!("{}, {} in the article's list.\n", count(article.tips.len(), "tip"), count(article.references.len(), "reference"));
    let mut left_out = table(["Left out", "Reason"]);
    for left in &article.left_out {
        left_out.add_row([shortened(&left.text, 90), left.reason.clone()]);
    }
    if !article.left_out.is_empty() {
        fit(&mut left_out);
        println!("{left_out}\n");
    }
}

fn shortened(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Without a terminal there is no width to fit; lines that a page can show do.
pub(super) fn fit(table: &mut comfy_table::Table) {
    if !table.is_tty() {
        table.set_width(120);
    }
}
