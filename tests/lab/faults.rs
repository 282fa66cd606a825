//! `cargo bench --bench faults [-- F1 F5 … --short --json]`: every fault in full, and the table that comes of it.
//!
//! The scenes are those of the stories, with larger numbers. What waits for deadlines of minutes runs side by side at the end.

#[path = "mod.rs"]
mod lab;
#[path = "../support/mod.rs"]
mod support;

mod plan;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if lab::reference::work_if_this_is_one().await {
            return ExitCode::SUCCESS;
        }
        // Cargo adds `--bench`.
        let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let asked = |flag: &str| words.iter().any(|word| word == flag);
        let wanted: Vec<&str> = words.iter().filter(|word| !word.starts_with("--")).map(String::as_str).collect();
        let outcomes = plan::run(&wanted, asked("--short")).await;
        match asked("--json") {
            true => println!("{}", table::json(&outcomes)),
            false => println!("{}", table::markdown(&outcomes)),
        }
        match outcomes.iter().all(|outcome| outcome.holds() || outcome.reference || outcome.skipped_run) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    })
}
