//! The machine, the commit and the day, without which a figure says little.

use std::process::Command;

use serde::Serialize;
use tidings::base::clock::{Clock, SystemClock};

/// Where and when the figures were made.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    gibibytes: u64,
    kernel: String,
    commit: String,
    day: String,
    profile: &'static str,
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Machine { processor, cores, gibibytes, kernel, commit, day, profile } = self;
        write!(f, "{processor}, {cores} cores, {gibibytes} GiB, Linux {kernel}; commit {commit}, {day}, {profile} build")
    }
}

/// This machine, today.
pub(crate) fn describe() -> Machine {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    Machine {
        processor: processor.trim_start_matches([' ', '\t', ':']).to_owned(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        gibibytes: kibibytes.div_ceil(1 << 20),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        commit: commit(),
        day: SystemClock.now().strftime("%Y-%m-%d").to_string(),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
    }
}

fn commit() -> String {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=9"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output
        .ok()
        .filter(|o| o.status.success())
        .map_or_else(|| "unknown".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}
