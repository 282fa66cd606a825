//! The table: what was run, on which machine, at which commit, and what came of it; as Markdown for people, as JSON for programs.

use std::fs;
use std::process::Command;

use serde_json::json;
use tidings::base::clock::{Clock, SystemClock};

use crate::lab::Outcome;

/// As a table for a page of Markdown.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let mut lines = vec![
        format!("{}, {}, {}, commit {}", day(), machine(), profile(), commit()),
        String::new(),
        "| # | fault | injected | planned | sent | failed | lost | twice | unconfirmed (at most) | s | verdict |".to_owned(),
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |".to_owned(),
    ];
    lines.extend(outcomes.iter().map(line));
    lines.join("\n")
}

/// As JSON.
pub(crate) fn json(outcomes: &[Outcome]) -> String {
    let faults: Vec<_> = outcomes.iter().map(Outcome::json).collect();
    let all = json!({ "day": day(), "machine": machine(), "profile": profile(), "commit": commit(), "faults": faults });
    format!("{all:#}")
}

fn line(outcome: &Outcome) -> String {
    let Outcome { fault, what, injected, planned, sent, failed, lost, twice, seconds, .. } = outcome;
    let doubt = format!("{} ({})", outcome.unconfirmed, outcome.in_doubt_at_most);
    let remark = if outcome.remark.is_empty() || outcome.skipped_run { String::new() } else { format!("; {}", outcome.remark) };
    let verdict = format!("{}{remark}", outcome.verdict()).replace('|', "/").replace('\n', " ");
    match outcome.reference {
        true => format!("| | {what} | {injected} | {planned} | {sent} | | **{lost}** | **{twice}** | | {seconds:.0} | {verdict} |"),
        false => format!(
            "| {fault} | {what} | {injected} | {planned} | {sent} | {failed} | {lost} | {twice} | {doubt} | {seconds:.0} | {verdict} |"
        ),
    }
}

fn day() -> String {
    SystemClock.now().strftime("%Y-%m-%d").to_string()
}

fn machine() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map_or("", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores{}{model}", if model.is_empty() { "" } else { " of " })
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev profile" } else { "release profile" }
}

fn commit() -> String {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    git.ok()
        .filter(|output| output.status.success())
        .map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
