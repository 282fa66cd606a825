//! `tidings pace`: how fast each relay and each provider of recipients is given mail, what is used of it, and what backs off.

use super::{
    Context,
    table::{minute, table},
};
use crate::delivery::pace::standing::{self, Standing};

/// How to show it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    let mut conn = ctx.db().await?.pool.acquire().await?;
    let all = standing::list(&mut conn, &ctx.config, ctx.clock.now()).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if !all.iter().any(Standing::is_limited) {
        println!(
            "Nothing is limited and nothing backs off: `rate`, `connections` and `warm_up` under [relays.NAME] and [pace.NAME] limit."
        );
        return Ok(());
    }
    let mut table = table(["Pace", "Rate", "Window", "Plan", "At once", "State"]);
    for one in all.iter().filter(|one| one.is_limited()) {
        table.add_row([named(one), rate(one), window(one), plan(one), at_once(one), state(one)]);
    }
    println!("{table}");
    Ok(())
}

fn named(of: &Standing) -> String {
    match (of.kind, of.name.as_str()) {
        ("relay", name) => format!("relay {name}"),
        ("group", "default") => "each other domain".to_owned(),
        (_, name) => name.to_owned(),
    }
}

fn rate(of: &Standing) -> String {
    let none = || "-".to_owned();
    match &of.backing_off {
        Some(slowed) => format!("{} of {}", slowed.rate, of.rate.as_ref().unwrap_or(&slowed.whole)),
        None => of.rate.clone().unwrap_or_else(none),
    }
}

fn window(of: &Standing) -> String {
    // What others used counts for none of them.
    if named(of) == "each other domain" {
        return "-".to_owned();
    }
    of.window.as_ref().map_or_else(|| "-".to_owned(), |window| format!("{} of {} in {} s", window.taken, window.limit, window.seconds))
}

fn plan(of: &Standing) -> String {
    of.warm_up.as_ref().map_or_else(|| "-".to_owned(), |plan| format!("day {} of {}: {} of {}", plan.day, plan.of, plan.taken, plan.limit))
}

fn at_once(of: &Standing) -> String {
    of.connections.as_ref().map_or_else(|| "-".to_owned(), |connections| format!("{} of {}", connections.held, connections.limit))
}

fn state(of: &Standing) -> String {
    match (&of.backing_off, of.waits_until) {
        (Some(slowed), _) => format!("backs off since {} (UTC), because {}", minute(slowed.since), slowed.because),
        (None, Some(until)) => format!("mails wait, the last ones until {} (UTC)", minute(until)),
        (None, None) => "in order".to_owned(),
    }
}
