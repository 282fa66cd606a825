//! `tidings relay list`: the relays of the settings, what each is for, and where workers find it out.

use super::{
    Context,
    table::{minute, table},
};
use crate::{
    base::config::Relay,
    delivery::ledger::outages::{self, Outage},
};
use serde::Serialize;

/// What to do with relays.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List relays: what each is for, and which workers get no mail through to it, and why
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// A relay in the list.
#[derive(Serialize)]
struct Line<'a> {
    relay: &'a str,
    priority: u16,
    weight: u16,
    connections: u16,
    topics: &'a [String],
    transactional: bool,
    only: bool,
    fall_back: bool,
    /// Whether no worker finds it out.
    up: bool,
    outages: Vec<&'a Outage>,
}

/// Runs it.
pub(super) async fn run(command: Command, ctx: &Context) -> anyhow::Result<()> {
    let Command::List { json } = command;
    let out = outages::now(&mut *ctx.db().await?.pool.acquire().await?).await?;
    let lines: Vec<Line<'_>> = ctx.config.relays.iter().map(|(name, relay)| line(name, relay, &out)).collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(());
    }
    if lines.is_empty() {
        println!("No relays yet: TIDINGS_RELAYS__MAIN__URL, or [relays.main] in the settings, names the first.");
        return Ok(());
    }
    let mut table = table(["relay", "priority", "weight", "connections", "for", "state"]);
    for line in &lines {
        let numbers = [line.priority, line.weight, line.connections].map(|number| number.to_string());
        table.add_row([&[line.relay.to_owned()], &numbers[..], &[mail(line), state(line)]].concat());
    }
    println!("{table}");
    Ok(())
}

fn line<'a>(name: &'a str, relay: &'a Relay, out: &'a [Outage]) -> Line<'a> {
    let outages: Vec<&Outage> = out.iter().filter(|outage| outage.relay == name).collect();
    Line {
        relay: name,
        priority: relay.priority,
        weight: relay.weight,
        connections: relay.connections,
        topics: &relay.topics,
        transactional: relay.transactional,
        only: relay.only,
        fall_back: relay.fall_back,
        up: outages.is_empty(),
        outages,
    }
}

fn mail(line: &Line<'_>) -> String {
    let pinned: Vec<&str> = line.topics.iter().map(String::as_str).chain(line.transactional.then_some("transactional mail")).collect();
    match (pinned.is_empty(), line.only) {
        (true, _) => "any mail".to_owned(),
        (false, true) => format!("only {}", pinned.join(", ")),
        (false, false) => format!("{}; any other mail", pinned.join(", ")),
    }
}

fn state(line: &Line<'_>) -> String {
    let Some(first) = line.outages.first() else { return "up".to_owned() };
    let others = match line.outages.len() {
        1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    format!("down since {} UTC for {}{others}: {}", minute(first.since), first.worker, first.reason)
}

/// A sentence for each relay that is down, for whoever waits for mail to leave.
pub(super) fn sentences(out: &[Outage]) -> Vec<String> {
    let sentence = |outage: &Outage| {
        let Outage { relay, reason, since, .. } = outage;
        format!("relay `{relay}` is down since {} UTC ({reason}): what only it takes waits, and goes on by itself", minute(*since))
    };
    // Sorted by relay: of each the one that was found out first.
    out.chunk_by(|one, other| one.relay == other.relay).map(|of_one| sentence(&of_one[0])).collect()
}
