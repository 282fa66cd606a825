//! F1 to F4: the worker's process killed at random moments, asked to end, and halted for longer than its lease.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::Outcome;
use super::scene::{CONNECTIONS, LEASE, Scene, end_in_order, far_away};
use crate::support::{Worker, until};

/// Workers that were taken for dead. Only those: whoever ends in order does so when the scene is over.
const BURIED: &str = "SELECT count(*) FROM workers WHERE gone_at IS NOT NULL";

/// F1: one worker at a time, killed so often at moments of the dice.
pub(crate) async fn at_random_moments(kills: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::begin(far_away(4), recipients).await;
    // Small claims, so that the dead do not take all that is left with them for the length of their leases.
    scene.story.set("TIDINGS_DELIVERY__CLAIM", "20");
    kill_at_random(&scene, kills, recipients, || scene.story.worker(&[])).await;
    let left = recipients - scene.relay.sums().0;
    scene.finish().await;
    let what = format!("SIGKILL of the one worker at {kills} random moments");
    let mut outcome = scene.outcome("F1", what, kills, kills * CONNECTIONS).await;
    outcome.claim(left > 0, "it was over before the last kill");
    outcome
}

/// Starts a worker and kills it, so often, at moments of the dice that spread over the mails of all.
pub(super) async fn kill_at_random(scene: &Scene, kills: usize, recipients: usize, start: impl Fn() -> Worker) {
    let mut dice = scene.story.app.dice("random kills");
    for _ in 0..kills {
        let mut worker = start();
        let wanted = scene.relay.begun() + dice.random_range(0..recipients * 3 / 2 / kills);
        until("some more mails are sent", || scene.relay.begun() >= wanted || worker.has_ended()).await;
        // The kill falls at a moment of the dice, between any two steps: that is what is tested.
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..40))).await;
        worker.kill();
    }
}

/// F2: four workers, of which one is killed every so often and replaced, until half a second before the end.
pub(crate) async fn one_of_four(every: Duration, recipients: usize, milliseconds: u64) -> Outcome {
    let scene = Scene::begin(far_away(milliseconds), recipients).await;
    let mut workers: Vec<_> = (0..4).map(|_| scene.story.worker(&[])).collect();
    let mut kills = 0;
    // The mails are looked at in portions first, which no worker would live to end on a machine that is slow enough.
    while scene.story.number("SELECT count(*) FROM editions WHERE checked_at IS NOT NULL").await == 0 {
        // Between two looks at the database, which tells nobody.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while scene.relay.sums().0 < recipients * 9 / 10 {
        workers.remove(0).kill();
        kills += 1;
        workers.push(scene.story.worker(&[]));
        // The fault's own rhythm.
        tokio::time::sleep(every).await;
    }
    scene.finish().await;
    let what = format!("4 workers, one killed every {} s", every.as_secs_f64());
    let mut outcome = scene.outcome("F2", what, kills, kills * CONNECTIONS).await;
    outcome.claim(kills > 0, "none was killed");
    for mut worker in workers {
        end_in_order(&mut worker).await;
    }
    outcome
}

/// F3: asked to end in the middle, so often, each time followed by another worker.
pub(crate) async fn asked_to_end(times: usize, recipients: usize) -> Outcome {
    let scene = Scene::begin(far_away(4), recipients).await;
    let (mut slowest, mut broken) = (Duration::ZERO, Vec::new());
    for _ in 0..times {
        let mut worker = scene.story.worker(&[]);
        scene.until_more(recipients / 3 / times).await;
        let asked = Instant::now();
        end_in_order(&mut worker).await;
        slowest = slowest.max(asked.elapsed());
        let now = scene.story.report().await;
        let sent = scene.relay.sums().0 as u64;
        if (now["unconfirmed"].as_u64(), now["sent"].as_u64()) != (Some(0), Some(sent)) {
            broken.push(format!("the relay had {sent} when the worker was gone, and the report said {now}"));
        }
    }
    let left = recipients - scene.relay.sums().0;
    scene.finish().await;
    let mut outcome = scene.outcome("F3", format!("SIGTERM in the middle, {times} times"), times, 0).await;
    outcome.broken.extend(broken);
    outcome.claim(left > 0, "it was over before it was asked");
    outcome.claim(slowest < Duration::from_secs(30), format!("one took {slowest:?} to end"));
    outcome.remark = format!("gone within {:.1} s", slowest.as_secs_f64());
    outcome
}

/// F4: halted for longer than its lease so often, while another worker does the work, and going on afterwards.
pub(crate) async fn halted(times: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::begin(far_away(20), recipients).await;
    // The sweep buries whoever is taken for dead: each second, and not only every fifth.
    scene.story.set("TIDINGS_JOBS__SWEEP", "* * * * * *");
    let mut halted = scene.story.worker(&[]);
    let mut other = scene.story.worker(&[]);
    scene.until_more(recipients / 20).await;
    let mut longest = Duration::ZERO;
    for round in 1..=times {
        let noticed = halted.said().matches("taken for dead").count();
        halted.halt();
        let began = Instant::now();
        // Longer than its lease, and until the other has seen it.
        while began.elapsed() < LEASE + LEASE || scene.story.number(BURIED).await < round as i64 {
            // Between two looks at the database, which tells nobody.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(began.elapsed() < Duration::from_secs(60), "nobody took the halted worker for dead: {}", other.said());
        }
        longest = longest.max(began.elapsed());
        halted.go_on();
        until("it notices that it was taken for dead", || halted.said().matches("taken for dead").count() > noticed).await;
        // It comes back as another worker, and is to be at work when it is halted again.
        let began = Instant::now();
        while scene.story.number("SELECT count(*) FROM workers WHERE gone_at IS NULL").await < 2 {
            // Between two looks, as above.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(began.elapsed() < Duration::from_secs(60), "the halted worker did not come back: {}", halted.said());
        }
    }
    scene.finish().await;
    let what = format!("SIGSTOP for longer than the lease of {} s, then SIGCONT", LEASE.as_secs());
    let mut outcome = scene.outcome("F4", what, times, times * CONNECTIONS).await;
    outcome.remark = format!("halted for up to {:.1} s", longest.as_secs_f64());
    for worker in [&mut halted, &mut other] {
        end_in_order(worker).await;
    }
    outcome
}
