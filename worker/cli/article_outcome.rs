//! What storing an article came to, or would come to: done, told to an operator, and as JSON.
//!
//! Called by the commands that import articles.

use super::Context;
use super::table::{count, table};
use crate::content::{
    Article,
    store::{self, Imported, Kind, Line, Report},
};
use secrecy::ExposeSecret;
use serde::Serialize;

/// What became of an article, for JSON.
#[derive(Serialize)]
pub(super) struct Outcome {
    /// What the article is called within the series.
    article: String,
    series: String,
    /// stored, unchanged or revised.
    outcome: &'static str,
    /// How many tips there are.
    tips: usize,
    #[serde(flatten)]
    report: Option<Report>,
}

/// How an article is imported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// What is new or changed is approved at once.
    pub(super) approve: bool,
    /// Nothing is stored: what would come of it is told.
    pub(super) dry_run: bool,
    /// Nothing is told in words.
    pub(super) silent: bool,
}

/// Stores an article in a transaction of its own and tells what came of it; nothing for a dry run without a database.
pub(super) async fn import(ctx: &Context, series: &str, article: &Article, source: &[u8], way: Way) -> anyhow::Result<Option<Outcome>> {
    if way.dry_run && ctx.config.database.url.expose_secret().is_empty() {
        return Ok(None);
    }
    let mut transaction = ctx.db().await?.pool.begin().await?;
    let imported = match way.dry_run {
        true => store::preview(&mut transaction, series, article, way.approve).await?,
        false => store::import(&mut transaction, series, article, source, way.approve, ctx.clock.now()).await?,
    };
    transaction.commit().await?;
    if !way.silent {
        println!("{}", told(article, series, &imported, way));
    }
    Ok(Some(outcome(article, series, imported)))
}

fn outcome(article: &Article, series: &str, imported: Imported) -> Outcome {
    let (outcome, report) = match imported {
        Imported::Stored { .. } => ("stored", None),
        Imported::Unchanged { .. } => ("unchanged", None),
        Imported::Revised(report) => ("revised", Some(report)),
    };
    Outcome { article: article.slug.clone(), series: series.to_owned(), outcome, tips: article.tips.len(), report }
}

pub(super) fn told(article: &Article, series: &str, imported: &Imported, way: Way) -> String {
    let title = &article.title;
    match imported {
        Imported::Stored { tips } if way.dry_run => {
            format!("“{title}” would be new in the series `{series}`: {} at its end.", count(*tips, "tip"))
        }
        Imported::Stored { tips } if way.approve => {
            format!("“{title}”: {} added to the series `{series}` and approved.", count(*tips, "tip"))
        }
        Imported::Stored { tips } => {
            let (drafts, them) = if *tips == 1 { ("a draft", "it") } else { ("drafts", "them") };
            format!(
                "“{title}”: {} added to the series `{series}` as {drafts}; look at {them} with `tidings tip list`, approve {them} with `tidings tip approve`.",
                count(*tips, "tip")
            )
        }
        Imported::Unchanged { drafts } => {
            let hint = if *drafts > 0 {
                format!(" ({} still waiting to be approved: `tidings tip approve`)", count(*drafts, "draft"))
            } else {
                String::new()
            };
            let change = if way.dry_run { "would change" } else { "changed" };
            format!("“{title}” is already imported into the series `{series}`; nothing {change}{hint}.")
        }
        Imported::Revised(report) => revised(title, series, report, way.dry_run),
    }
}

/// The counts, a line for each segment that is not as it was, and what the source changed.
fn revised(title: &str, series: &str, report: &Report, dry_run: bool) -> String {
    let counts = report.counts;
    let kinds = [
        (counts.unchanged, "unchanged"),
        (counts.changed, "changed"),
        (counts.split, "split off"),
        (counts.merged, "merged"),
        (counts.vanished, "vanished"),
        (counts.new, "new"),
    ];
    let kinds: Vec<String> = kinds.iter().filter(|(number, _)| *number > 0).map(|(number, kind)| format!("{number} {kind}")).collect();
    let verb = if dry_run { "would be revised" } else { "is revised" };
    let mut out = format!("“{title}” {verb} in the series `{series}`: {}.\n", kinds.join(", "));
    let mut lines = table(["Segment", "Tip", "What became of it", "State"]);
    let news: Vec<&Line> = report.segments.iter().filter(|line| line.kind != Kind::Unchanged || line.back).collect();
    for line in &news {
        lines.add_row([line.name.clone(), line.tip.map_or("-".to_owned(), |id| id.to_string()), became(line), line.state.clone()]);
    }
    super::import_article::fit(&mut lines);
    out.push_str(&format!("{lines}\n"));
    for line in news.iter().filter(|line| line.diff.as_ref().is_some_and(|diff| !diff.is_empty())) {
        let tip = line.tip.map_or(String::new(), |id| format!("tip {id}, "));
        out.push_str(&format!("\n{tip}“{}”:\n{}", line.name, line.diff.as_deref().unwrap_or_default()));
    }
    if !dry_run && news.iter().any(|line| line.state == "draft" && line.kind != Kind::Vanished) {
        out.push_str(
            "\nDrafts are not sent: `tidings tip diff ID` shows what differs from what was approved, `tidings tip approve` approves.",
        );
    }
    out
}

fn became(line: &Line) -> String {
    let ids = line.overlaps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let overlaps = if ids.is_empty() { String::new() } else { format!(", overlaps tip {ids}") };
    let what = match line.kind {
        Kind::Unchanged => "unchanged",
        Kind::Changed => line.cause().unwrap_or("changed"),
        Kind::Split => "split off",
        Kind::Merged => return format!("merged into tip {ids}"),
        Kind::Vanished => "no longer in the article",
        Kind::New => "new",
    };
    format!("{what}{}{overlaps}", if line.back { ", back in the article" } else { "" })
}
