//! F10 and F11: a relay that is slow on one connection or never answers, and one that puts mails off.
//!
//! What waits for the deadline of RFC 5321 or for a back-off takes its minutes: they cannot be hurried with the real binary.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Outcome;
use super::answers::retry;
use super::scene::{Scene, end_in_order, far_away};
use crate::support::relay::manners::{Tally, number};
use crate::support::relay::{Act, Point};

/// The first back-off is the shortest that Tidings knows.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// No connection.
const NONE: usize = usize::MAX;

/// F10: one of ten connections gets a byte a second; the others keep their rate. So many rounds with it and without, in turn.
pub(crate) async fn tarpit(rounds: usize, recipients: usize) -> Outcome {
    const TIME: Duration = Duration::from_secs(8);
    let mut scene = Scene::empty(far_away(40)).await;
    scene.story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", "10");
    scene.story.set("TIDINGS_DELIVERY__LEASE", "30s");
    scene.fill(recipients).await;
    let mut worker = scene.story.worker(&[]);
    scene.until_more(100).await;
    let (mut ratios, tally) = (Vec::new(), Tally::default());
    for _ in 0..rounds {
        scene.relay.behave_well();
        let free = ended_within(&scene, TIME, NONE).await as f64 / 10.0;
        let caught = catch_one(&scene, &tally);
        scene.until_more(10).await;
        let others = ended_within(&scene, TIME, caught.load(Ordering::Relaxed)).await as f64 / 9.0;
        ratios.push(others / free);
    }
    scene.relay.behave_well();
    let left = recipients - scene.relay.sums().0;
    scene.finish().await;
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let what = "tarpit: a byte a second on 1 of 10 connections".to_owned();
    let mut outcome = scene.outcome("F10", what, rounds, 0).await;
    outcome.claim(median >= 0.9, format!("the others kept {median:.2} of their rate"));
    outcome.claim(left > 0, "it was over before the last round");
    outcome.remark = format!("the other 9 kept {median:.2} of their rate (median of {rounds})");
    end_in_order(&mut worker).await;
    outcome
}

// From now on the first connection that begins a mail gets a byte a second; its number.
fn catch_one(scene: &Scene, tally: &Tally) -> Arc<AtomicUsize> {
    let caught = Arc::new(AtomicUsize::new(NONE));
    let (shared, tally) = (caught.clone(), tally.clone());
    scene.relay.behave(move |seen| {
        if seen.point == Point::Mail {
            // Err: one is caught already.
            let _ = shared.compare_exchange(NONE, seen.connection, Ordering::Relaxed, Ordering::Relaxed);
        }
        match shared.load(Ordering::Relaxed) == seen.connection {
            true => tally.note(Act::Trickle(Duration::from_secs(1))),
            false => Act::Go,
        }
    });
    caught
}

// How many bodies ended in the time from now on, on other connections than this.
async fn ended_within(scene: &Scene, time: Duration, but: usize) -> usize {
    let began = Instant::now();
    // The length of the measurement.
    tokio::time::sleep(time).await;
    let within =
        |body: &crate::support::relay::Body| body.connection != but && body.ended.is_some_and(|at| at >= began && at < began + time);
    scene.relay.bodies().iter().filter(|body| within(body)).count()
}

/// F10: no answer after the dot of so many mails; their connections move on at the deadline of ten minutes.
pub(crate) async fn silent(times: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    let tally = Tally::default();
    let (counted, every) = (tally.clone(), recipients / times);
    scene.relay.behave(move |seen| match (seen.point, number(seen.recipient)) {
        (Point::Dot, n) if n % every == 0 => counted.note(Act::Silence),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    let begun = Instant::now();
    let mut worker = scene.story.worker(&["--until-idle"]);
    assert!(worker.ends_within(Duration::from_secs(25 * 60)).await.success(), "{}", worker.said());
    let took = begun.elapsed();
    let mut ended: Vec<Instant> = scene.relay.bodies().iter().filter_map(|body| body.ended).collect();
    ended.sort();
    let nine_tenths = ended[ended.len() * 9 / 10] - begun;
    let mut outcome = scene.outcome("F10", "no answer after the dot, ever".to_owned(), tally.count(), tally.count()).await;
    outcome.claim(outcome.unconfirmed == tally.count(), format!("{} are held", outcome.unconfirmed));
    outcome.claim(nine_tenths < Duration::from_secs(60), format!("nine tenths took {nine_tenths:?}"));
    outcome.remark = format!("nine tenths gone after {:.0} s; moved on after {:.0} s", nine_tenths.as_secs_f64(), took.as_secs_f64());
    outcome
}

/// F11: of three who are written to one is greylisted; of another third every 20th try gets 452; the last third gets 451 for `time`.
pub(crate) async fn puts_off(time: Duration, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    scene.story.set("TIDINGS_DELIVERY__FIRST_RETRY", "1m");
    let (tally, tries) = (Tally::default(), AtomicUsize::new(0));
    let (counted, begun) = (tally.clone(), Instant::now());
    scene.relay.behave(move |seen| match (seen.point, number(seen.recipient) % 3) {
        (Point::Rcpt, 0) if seen.before == 0 => counted.note("450 4.7.1 greylisted, come back".into()),
        (Point::Rcpt, 1) if tries.fetch_add(1, Ordering::Relaxed) % 20 == 19 => counted.note("452 4.2.2 mailbox full".into()),
        (Point::Rcpt, 2) if begun.elapsed() < time => counted.note("451 4.3.0 try later".into()),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    scene.finish().await;
    retry(&scene, time * 3 + Duration::from_secs(240)).await;
    let tries = scene.relay.tries();
    let waits = tries.values().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
    let shortest = waits.min().unwrap_or_default();
    let most = tries.values().map(Vec::len).max().unwrap_or_default();
    let what = format!("450 at the first try, 452 for every 20th, 451 for {} s", time.as_secs());
    let mut outcome = scene.outcome("F11", what, tally.count(), 0).await;
    outcome.claim(outcome.sent == recipients, format!("{} were delivered", outcome.sent));
    outcome.claim(shortest >= FIRST_RETRY, format!("one was tried again after {shortest:?}"));
    outcome.remark = format!("shortest wait {:.0} s, at most {most} tries", shortest.as_secs_f64());
    outcome
}
