//! Which faults are run in full, and with which numbers; `--short` divides them.

use std::future::Future;
use std::time::Duration;

use crate::lab::outages::Cut;
use crate::lab::reference::Design;
use crate::lab::{Outcome, answers, imports, kills, leaving, outages, patience, poison, reference, refusals, times};

type Run = Box<dyn FnOnce() -> Outcome + Send>;

struct Fault {
    name: &'static str,
    // Waits for deadlines of minutes and needs no quiet: run beside the others of its kind.
    patient: bool,
    run: Run,
}

/// Runs the faults in `wanted`, or all, one after the other.
pub(crate) async fn run(wanted: &[&str], short: bool) -> Vec<Outcome> {
    let is_wanted = |fault: &Fault| wanted.is_empty() || wanted.contains(&fault.name);
    let (patient, others): (Vec<Fault>, Vec<Fault>) = all(short).into_iter().filter(is_wanted).partition(|fault| fault.patient);
    let mut outcomes = Vec::new();
    for fault in others {
        outcomes.push(one(fault).await);
    }
    outcomes.extend(futures_util::future::join_all(patient.into_iter().map(one)).await);
    outcomes.sort_by_key(|outcome| (outcome.reference, outcome.fault[1..].parse::<u32>().unwrap_or(0)));
    outcomes
}

// In a thread and a runtime of its own, which take the relay along at the end. A scene that falls over is a line of the table too.
async fn one(fault: Fault) -> Outcome {
    eprintln!("{} …", fault.name);
    let outcome = tokio::task::spawn_blocking(fault.run).await.unwrap_or_else(|panic| {
        let said = panic.into_panic();
        let said = said.downcast_ref::<String>().cloned().or_else(|| said.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        let broken = vec![said.unwrap_or_default()];
        Outcome { fault: fault.name.to_owned(), what: "the scene itself".to_owned(), broken, ..Outcome::default() }
    });
    eprintln!("{} {}: {} ({:.0} s)", fault.name, outcome.what, outcome.verdict(), outcome.seconds);
    outcome
}

fn runs<F: Future<Output = Outcome> + 'static>(scene: impl FnOnce() -> F + Send + 'static) -> Run {
    Box::new(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(scene())
    })
}

fn quick<F: Future<Output = Outcome> + 'static>(name: &'static str, scene: impl FnOnce() -> F + Send + 'static) -> Fault {
    Fault { name, patient: false, run: runs(scene) }
}

fn patient<F: Future<Output = Outcome> + 'static>(name: &'static str, scene: impl FnOnce() -> F + Send + 'static) -> Fault {
    Fault { name, patient: true, run: runs(scene) }
}

fn all(short: bool) -> Vec<Fault> {
    // A tenth, with what is left of it large enough to be hit in the middle.
    let n = move |full: usize| if short { (full / 10).max(1) } else { full };
    let seconds = move |full: u64| Duration::from_secs(if short { (full / 10).max(3) } else { full });
    let mut all = vec![
        quick("F1", move || kills::at_random_moments(n(100), n(10_000))),
        quick("F1", move || reference::killed(Design::CheckpointAtFetch, n(100), n(10_000))),
        quick("F1", move || reference::killed(Design::ResendWhatWasSending, n(100), n(10_000))),
        quick("F2", move || kills::one_of_four(Duration::from_secs(2), n(10_000), 40)),
        quick("F3", move || kills::asked_to_end(n(10), n(5_000))),
        quick("F4", move || kills::halted(n(10), n(10_000))),
        quick("F5", move || outages::killed(n(20), n(10_000))),
        quick("F6", move || outages::cut_off(Cut::Refused, seconds(60), n(5_000))),
        quick("F6", move || outages::cut_off(Cut::Swallowed, seconds(60), n(5_000))),
        quick("F6", move || outages::cut_off(Cut::Frozen, seconds(60), n(5_000))),
        quick("F7", move || outages::disk_full(seconds(60), n(5_000))),
        quick("F8", move || answers::breaks_off(n(500), n(10_000), true)),
        quick("F8", move || answers::breaks_off(n(500), n(10_000), false)),
        quick("F9", move || answers::takes_without_a_word(n(100), n(5_000))),
        quick("F10", move || patience::tarpit(if short { 1 } else { 5 }, if short { 4_000 } else { 12_000 })),
        quick("F12", move || refusals::of_every_tenth(n(5_000))),
        quick("F12", move || refusals::of_who_we_are(n(5_000), !short)),
        quick("F13", move || times::changes_of_the_clocks(if short { 52 } else { 156 })),
        quick("F13", move || times::a_wrong_clock(2)),
        quick("F13", move || times::a_wrong_clock(-2)),
        quick("F14", move || times::four_schedulers(n(20), n(1_000))),
        quick("F15", move || leaving::in_the_middle(n(1_000), n(10_000))),
        quick("F16", move || imports::killed_half_way(n(10_000_000), 1)),
        quick("F17", move || poison::subscribers(1, n(1_000))),
        quick("F17", move || poison::tip(n(1_000))),
    ];
    if !short {
        all.push(patient("F9", move || answers::answers_too_late(3, 500)));
        all.push(patient("F10", move || patience::silent(3, 500)));
        all.push(patient("F11", move || patience::puts_off(Duration::from_secs(600), 3_000)));
    }
    all
}
