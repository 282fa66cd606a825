//! `tidings feed list|forget`: the feeds of the settings, those that left them and those brought in by hand, and how each fares.

use super::{
    Context,
    import_article::fit,
    table::{count, minute, table},
};
use crate::{
    base::fetch,
    content::feeds::{self, Standing},
};
use anyhow::{bail, ensure};
use comfy_table::{ColumnConstraint, Table};
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
    /// Forget a feed that is not in the settings, so that it is listed no more; its tips stay
    Forget {
        /// Its address
        url: String,
        /// Only with this series [default: with all]
        #[arg(long, value_name = "NAME")]
        series: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Why a feed is in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Settings,
    /// It stood in them once.
    NotInTheSettings,
    ByHand,
}

/// A feed in the list.
#[derive(Serialize)]
struct Line<'a> {
    /// Its name in the settings.
    name: Option<&'a str>,
    kept: Kept,
    cron: Option<&'a str>,
    zone: Option<&'a str>,
    #[serde(flatten)]
    standing: Standing,
}

/// Runs one of them.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let conn = &mut *ctx.db().await?.pool.acquire().await?;
    let known = feeds::list(conn).await?;
    let lines = lines(ctx, known);
    match command {
        Command::List { json } => list(&lines, json),
        Command::Forget { url, series, json } => {
            let url = fetch::address(&url).map_or(url, String::from);
            let chosen = chosen(&lines, &url, series.as_deref().map(str::trim))?;
            for line in &chosen {
                feeds::forget(conn, &line.standing.url, line.standing.series.as_deref()).await?;
            }
            match json {
                true => println!("{}", serde_json::to_string_pretty(&chosen)?),
                false => println!("The feed `{url}` is forgotten; its articles and tips stay."),
            }
            Ok(())
        }
    }
}

fn list(lines: &[Line<'_>], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(lines)?);
    } else if lines.is_empty() {
        println!("No feeds yet: `tidings import feed URL` brings one in, [feeds.NAME] in the settings does so on a cron line.");
    } else {
        let mut shown = shown(lines);
        fit(&mut shown);
        println!("{shown}");
    }
    Ok(())
}

/// Those of an address that may be forgotten.
fn chosen<'a, 'b>(lines: &'b [Line<'a>], url: &str, series: Option<&str>) -> anyhow::Result<Vec<&'b Line<'a>>> {
    let named = |line: &&Line<'_>| line.standing.url == url && series.is_none_or(|series| into(&line.standing) == series);
    let all: Vec<_> = lines.iter().filter(named).collect();
    ensure!(!all.is_empty(), "no feed `{url}` is known here: `tidings feed list` shows the addresses");
    let chosen: Vec<_> = all.iter().copied().filter(|line| line.kept != Kept::Settings).collect();
    match (chosen.is_empty(), all.first().and_then(|line| line.name)) {
        (true, Some(name)) => bail!("the feed `{url}` is in the settings: take [feeds.{name}] out of them first"),
        _ => Ok(chosen),
    }
}

/// Every feed of the settings in the order of the names, also one that no worker has seen yet; then the others.
fn lines(ctx: &Context, mut known: Vec<Standing>) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (name, feed) in &ctx.config.feeds {
        let url = fetch::address(&feed.url).map_or_else(|_| feed.url.clone(), String::from);
        let series = Some(feed.series.trim().to_owned()).filter(|series| !series.is_empty());
        let place = known.iter().position(|standing| standing.url == url && standing.series == series);
        let standing = place.map(|place| known.remove(place)).unwrap_or(Standing { url, series, ..Standing::default() });
        lines.push(Line { name: Some(name), kept: Kept::Settings, cron: Some(&feed.cron), zone: Some(&feed.zone), standing });
    }
    lines.extend(known.into_iter().map(|standing| {
        let kept = if standing.planned { Kept::NotInTheSettings } else { Kept::ByHand };
        // No worker looks at it any more.
        Line { name: None, kept, cron: None, zone: None, standing: Standing { next_run_at: None, ..standing } }
    }));
    lines
}

/// Three columns, whose cells have a line for each thing to know, so that it can be read on a narrow terminal.
fn shown(lines: &[Line<'_>]) -> Table {
    let mut shown = table(["Feed", "Looked at (UTC)", "State"]);
    for line in lines {
        let of = &line.standing;
        let name = line.name.map_or_else(String::new, |name| format!("{name}\n"));
        let at = |name: &str, at: Option<Timestamp>| at.map(|at| format!("{name} {}\n", minute(at)));
        let last = at("last", of.tried_at).unwrap_or_else(|| "never\n".to_owned());
        let next = match (line.kept, line.cron) {
            (Kept::Settings, Some(cron)) => {
                format!("{}{cron}\n{}", at("next", of.next_run_at).unwrap_or_default(), line.zone.unwrap_or_default())
            }
            (Kept::NotInTheSettings, _) => "not in the settings".to_owned(),
            _ => "by hand".to_owned(),
        };
        let held = of.succeeded_at.map_or_else(String::new, |_| format!("{} ", count(of.items, "article")));
        shown.add_row([format!("{name}{}", of.url), format!("{last}{next}"), format!("{}\n{held}into `{}`", state(of), into(of))]);
    }
    // A time that is cut in two is none.
    if let Some(times) = shown.column_mut(1) {
        times.set_constraint(ColumnConstraint::ContentWidth);
    }
    shown
}

fn into(of: &Standing) -> &str {
    of.series.as_deref().unwrap_or("tips")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_shows_whole_times_and_no_line_that_is_longer() {
        let at = |text: &str| Some(text.parse().expect("an instant"));
        let standing = Standing {
            url: "https://blog.example.org/with/a/long/path/to/its/feed.xml".to_owned(),
            tried_at: at("2026-01-05T06:30:00Z"),
            next_run_at: at("2026-01-06T06:30:00Z"),
            failures: 3,
            error: Some("the server was asked for the feed and answered 503 Service Unavailable".to_owned()),
            ..Standing::default()
        };
        let (cron, zone) = (Some("30 6 * * 1-5"), Some("Europe/London"));
        let line = Line { name: Some("blog"), kept: Kept::Settings, cron, zone, standing };
        let mut shown = shown(&[line]);
        let shown = shown.set_width(60).to_string();
        assert!(
            shown.contains("last 2026-01-05 06:30") && shown.contains("next 2026-01-06 06:30") && shown.contains("30 6 * * 1-5"),
            "{shown}"
        );
        assert!(shown.lines().all(|line| line.trim_end().chars().count() <= 60), "{shown}");
        assert!(shown.lines().count() < 16, "{shown}");
    }
}
