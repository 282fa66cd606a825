//! `tidings feed list`: the feeds of the settings and those brought in by hand, and how each fares.

use super::{
    Context,
    table::{count, minute, table},
};
use crate::{
    base::fetch,
    content::feeds::{self, Standing},
};
use jiff::Timestamp;
use serde::Serialize;

/// What to do with feeds.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List feeds: when each was looked at, how it went, when it is looked at next
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// A feed in the list.
#[derive(Serialize)]
struct Line<'a> {
    /// Its name in the settings; none: it was brought in by hand.
    name: Option<&'a str>,
    cron: Option<&'a str>,
    zone: Option<&'a str>,
    #[serde(flatten)]
    standing: Standing,
}

/// Runs it.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::List { json } = command;
    let known = feeds::list(&mut *ctx.db().await?.pool.acquire().await?).await?;
    let lines = lines(ctx, known);
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(());
    }
    if lines.is_empty() {
        println!("No feeds yet: `tidings import feed URL` brings one in, [feeds.NAME] in the settings does so on a cron line.");
        return Ok(());
    }
    let mut table = table(["Feed", "Series", "Cron", "Looked at (UTC)", "Next (UTC)", "Articles", "State"]);
    for line in &lines {
        let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), minute);
        let cron = line.cron.zip(line.zone).map_or_else(|| "by hand".to_owned(), |(cron, zone)| format!("{cron} {zone}"));
        let of = &line.standing;
        let series = if of.series.is_empty() { "tips" } else { &of.series };
        table.add_row([
            line.name.map_or_else(|| of.url.clone(), |name| format!("{name}: {}", of.url)),
            series.to_owned(),
            cron,
            at(of.tried_at),
            at(of.next_run_at),
            of.items.to_string(),
            state(of),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Every feed of the settings in the order of the names, also one that no worker has seen yet; then the others.
fn lines(ctx: &Context, mut known: Vec<Standing>) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (name, feed) in &ctx.config.feeds {
        let url = fetch::address(&feed.url).map_or_else(|_| feed.url.clone(), String::from);
        let series = feed.series.trim().to_owned();
        let place = known.iter().position(|standing| standing.url == url && standing.series == series);
        let standing = place.map(|place| known.remove(place)).unwrap_or(Standing { url, series, ..Standing::default() });
        lines.push(Line { name: Some(name), cron: Some(&feed.cron), zone: Some(&feed.zone), standing });
    }
    // One that was taken out of the settings is looked at no more.
    let by_hand = known.into_iter().map(|standing| Standing { next_run_at: None, ..standing });
    lines.extend(by_hand.map(|standing| Line { name: None, cron: None, zone: None, standing }));
    lines
}

fn state(of: &Standing) -> String {
    match (&of.error, of.refused.first()) {
        (Some(error), _) => {
            format!("failed {}: {error}", if of.failures == 1 { "once".to_owned() } else { format!("{} times", of.failures) })
        }
        (None, Some(first)) => format!("{} not imported, e.g. {}: {}", count(of.refused.len(), "article"), first.item, first.why),
        (None, None) if of.tried_at.is_none() => "not looked at yet".to_owned(),
        (None, None) => "in order".to_owned(),
    }
}
