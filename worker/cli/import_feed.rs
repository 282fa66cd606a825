//! `tidings import feed URL|PATH`: what is new or changed in a feed becomes draft tips.

use super::{
    Context,
    article_outcome::{self, Way},
    import_article,
    refusals::{self, Refused},
    table::count,
};
use crate::{
    base::fetch::{self, Bounds, Fetched, reach::Reach},
    content::{
        Article,
        feeds::{self, Brought, Feed, Item, Means, NotTaken, Refusal, Taken, Target},
        store::{Imported, Report},
    },
};
use anyhow::{bail, ensure};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Serialize;

/// What to bring in, where to, and how.
#[derive(clap::Args)]
pub(super) struct Args {
    /// RSS, Atom, or an export of WordPress: an https address, a file, or - for standard input
    #[arg(value_name = "URL|PATH")]
    source: String,
    /// The series that gets the tips; made when it is new [default: that of this address in the settings, else tips]
    #[arg(long, value_name = "NAME")]
    series: Option<String>,
    /// Approve new tips at once, so that they are sent without another look
    #[arg(long)]
    approve: bool,
    /// Show what would be done, and store nothing; without a database it shows the tips alone
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The JSON of an import.
#[derive(Serialize)]
struct Output<'a> {
    unchanged: bool,
    items: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    item: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten)]
    report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    article: Option<&'a Article>,
}

/// Brings in a feed; articles that fail are named, and the others are stored.
pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    ensure!(args.series.as_deref().is_none_or(|name| !name.trim().is_empty()), "the series has no name: give one, or leave --series out");
    let brought = match is_address(&args.source) {
        true => from_address(args, ctx, fetch::address(&args.source)?).await?,
        false => {
            let bytes = import_article::read(args.source.as_ref())?;
            Brought::Items(from_bytes(args, ctx, &args.source, bytes, args.series.as_deref()).await?)
        }
    };
    tell(args, &brought)
}

// `http:` and the like are answered with a sentence, and not looked for as files.
fn is_address(source: &str) -> bool {
    source.contains("://")
}

async fn from_address(args: &Args, ctx: &Context, url: Url) -> anyhow::Result<Brought> {
    let (bounds, reach) = (Bounds::of(&ctx.config), Reach::public());
    let series = args.series.clone().or_else(|| configured(ctx, &url));
    if args.dry_run {
        let Fetched::New(bytes, _) = fetch::fetch(&url, None, &bounds, &reach).await? else {
            bail!("`{}` answered that nothing has changed, though nothing was said to be known", fetch::shown(&url))
        };
        return Ok(Brought::Items(from_bytes(args, ctx, &fetch::shown(&url), bytes, series.as_deref()).await?));
    }
    let db = ctx.db().await?;
    let means = Means { pool: &db.pool, bounds: &bounds, reach: &reach };
    Ok(feeds::bring_in(&means, &Feed { url, series, approve: args.approve }, ctx.clock.now()).await?)
}

// Without it a feed of the settings that is brought in by hand would come a second time, into another series.
fn configured(ctx: &Context, url: &Url) -> Option<String> {
    let same = |feed: &&crate::base::config::Feed| fetch::address(&feed.url).is_ok_and(|other| other == *url);
    let series = ctx.config.feeds.values().find(same)?.series.trim();
    Some(series.to_owned()).filter(|series| !series.is_empty())
}

async fn from_bytes(args: &Args, ctx: &Context, name: &str, bytes: Vec<u8>, series: Option<&str>) -> anyhow::Result<Vec<Item>> {
    let found = feeds::read(name, bytes).await?;
    // Without a database there is nothing to compare with.
    let db = match args.dry_run && ctx.config.database.url.expose_secret().is_empty() {
        true => None,
        false => Some(ctx.db().await?),
    };
    let target = match &db {
        None => Target::Nowhere,
        Some(db) if args.dry_run => Target::Rehearsal(&db.pool, args.approve),
        Some(db) => Target::Store(&db.pool, args.approve),
    };
    Ok(feeds::import(target, found, series, ctx.clock.now()).await?)
}

fn tell(args: &Args, brought: &Brought) -> anyhow::Result<()> {
    let items = match brought {
        Brought::Unchanged(refused) => return tell_unchanged(args, refused),
        Brought::Items(items) => items,
    };
    if args.json {
        let output = Output { unchanged: false, items: items.iter().map(|item| line(item, args.dry_run)).collect() };
        println!("{}", serde_json::to_string(&output)?);
    } else {
        items.iter().for_each(|item| show(args, item));
        println!("{}", summary(args, items));
    }
    let refused: Vec<Refused> = items.iter().filter_map(|item| Some(as_refused(&item.name, item.refused()?))).collect();
    refusals::lines(&refused).iter().for_each(|line| eprintln!("tidings: {line}"));
    let refused = refused.len();
    ensure!(refused == 0, "{refused} of {} could not be {}", count(items.len(), "article"), if args.dry_run { "read" } else { "imported" });
    Ok(())
}

fn as_refused(name: &str, why: &NotTaken) -> Refused {
    let looked_for = match why {
        NotTaken::Content(error) => refusals::looked_for(error),
        _ => None,
    };
    Refused { name: name.to_owned(), reason: format!("{name}: {why}"), looked_for }
}

fn tell_unchanged(args: &Args, refused: &[Refusal]) -> anyhow::Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(&Output { unchanged: true, items: Vec::new() })?);
        return Ok(());
    }
    println!("The feed is the one that was brought in before; nothing changed.");
    for refusal in refused {
        println!("Not among the tips: {}: {}", refusal.item, refusal.why);
    }
    Ok(())
}

fn line(item: &Item, with_article: bool) -> Line<'_> {
    let (taken, why) = (item.taken.as_ref().ok(), item.taken.as_ref().err().map(ToString::to_string));
    Line {
        item: &item.name,
        series: taken.map(|taken| taken.series.as_str()),
        outcome: outcome(item),
        why,
        report: taken.and_then(report),
        article: taken.map(|taken| &taken.article).filter(|_| with_article),
    }
}

fn outcome(item: &Item) -> &'static str {
    match &item.taken {
        Ok(Taken { imported: None, .. }) => "read",
        Ok(Taken { imported: Some(Imported::Stored { .. }), .. }) => "new",
        Ok(Taken { imported: Some(Imported::Unchanged { .. }), .. }) => "unchanged",
        Ok(Taken { imported: Some(Imported::Revised(_)), .. }) => "changed",
        Err(NotTaken::SetAside(_)) => "set aside",
        Err(_) => "refused",
    }
}

fn report(taken: &Taken) -> Option<&Report> {
    match &taken.imported {
        Some(Imported::Revised(report)) => Some(report),
        _ => None,
    }
}

fn show(args: &Args, item: &Item) {
    let Ok(taken) = &item.taken else { return };
    match &taken.imported {
        None => import_article::show(&taken.article),
        Some(Imported::Unchanged { .. }) => {}
        Some(imported) => {
            let way = Way { approve: args.approve, dry_run: args.dry_run, silent: false };
            println!("{}", article_outcome::told(&taken.article, &taken.series, imported, way));
        }
    }
}

fn summary(args: &Args, items: &[Item]) -> String {
    let of = |wanted: &str| items.iter().filter(|item| outcome(item) == wanted).count();
    let kinds = ["new", "changed", "unchanged", "read", "set aside", "refused"];
    let counts: Vec<String> =
        kinds.iter().map(|kind| (of(kind), kind)).filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let stored = if args.dry_run { "; nothing was stored" } else { "" };
    format!("{} in the feed{counts}{stored}.", count(items.len(), "article"))
}
