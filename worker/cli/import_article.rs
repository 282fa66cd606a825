//! `tidings import article PATH…`: articles become draft tips of a series.

use super::Context;
use super::table::table;
use crate::content::{
    self, Article, Format, Hints, Settings,
    store::{self, Imported},
};
use anyhow::{Context as _, bail, ensure};
use std::io::Read as _;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 6] = ["md", "markdown", "mdown", "mkd", "txt", "text"];

/// What to import, where to, and how.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Articles in Markdown or plain text: files, folders (with all articles below them), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The series that gets the tips; made when it is new [default: the front matter's `series`, else tips]
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// The article's address, for "read more"; wins over the front matter
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The form of the articles
    #[arg(long, value_enum, default_value_t = Form::Auto)]
    format: Form,
    /// Approve the tips at once, so that they are sent without another look
    #[arg(long)]
    approve: bool,
    /// Show the tips and what is left out, and store nothing; needs no database
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    /// Tell it from the name and the text
    Auto,
    /// Markdown, with YAML or TOML front matter or none
    Markdown,
    /// Plain text without mark-up
    Text,
}

/// The JSON of an import.
#[derive(serde::Serialize)]
struct Output<'a> {
    articles: &'a [Article],
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
    let mut articles = Vec::new();
    let mut failed = 0;
    for file in &files {
        match take_in(&args, ctx, file).await {
            Ok(article) => articles.push(article),
            Err(error) if files.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                eprintln!("tidings: {error:#}");
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&Output { articles: &articles })?);
    }
    match failed {
        0 => Ok(()),
        _ => bail!(
            "{failed} of {} articles could not be imported; {} were {}",
            files.len(),
            articles.len(),
            if args.dry_run { "read" } else { "imported" }
        ),
    }
}

async fn take_in(args: &Args, ctx: &Context, file: &Path) -> anyhow::Result<Article> {
    let bytes = read(file)?;
    let hints = Hints { name: file.display().to_string(), url: args.url.clone() };
    let format = match args.format {
        Form::Auto => None,
        Form::Markdown => Some(Format::Markdown),
        Form::Text => Some(Format::Text),
    };
    let article = content::prepare(&bytes, format, &hints, &Settings::default())?;
    if args.dry_run {
        if !args.json {
            show(&article);
        }
        return Ok(article);
    }
    let series = args.series.clone().or_else(|| article.series.clone()).unwrap_or_else(|| "tips".to_owned());
    ensure!(!series.trim().is_empty(), "the series has no name: give one with --series, or leave it out");
    let imported = store_one(ctx, series.trim(), &article, &bytes, args.approve).await?;
    if !args.json {
        tell(&article, series.trim(), &imported, args.approve);
    }
    Ok(article)
}

async fn store_one(ctx: &Context, series: &str, article: &Article, source: &[u8], approve: bool) -> anyhow::Result<Imported> {
    let db = ctx.db().await?;
    let mut transaction = db.pool.begin().await?;
    let imported = store::import(&mut transaction, series, article, source, approve, ctx.clock.now()).await?;
    transaction.commit().await?;
    Ok(imported)
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
                "folder `{}` holds no article: files that end in .md, .markdown or .txt were looked for",
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

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("article `{}` cannot be read", file.display()))
}

fn show(article: &Article) {
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

fn tell(article: &Article, series: &str, imported: &Imported, approved: bool) {
    match imported {
        Imported::Stored { tips } if approved => {
            println!("“{}”: {} added to the series `{series}` and approved.", article.title, count(*tips, "tip"))
        }
        Imported::Stored { tips } => {
            println!(
                "“{}”: {} added to the series `{series}` as drafts; look at them with `tidings tip list`, approve them with `tidings tip approve`.",
                article.title,
                count(*tips, "tip")
            );
        }
        Imported::Unchanged { drafts } => {
            let hint = if *drafts > 0 {
                format!(" ({} still waiting to be approved: `tidings tip approve`)", count(*drafts, "draft"))
            } else {
                String::new()
            };
            println!("“{}” is already imported into the series `{series}`; nothing changed{hint}.", article.title);
        }
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn shortened(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Without a terminal there is no width to fit; lines that a page can show do.
fn fit(table: &mut comfy_table::Table) {
    if !table.is_tty() {
        table.set_width(120);
    }
}
