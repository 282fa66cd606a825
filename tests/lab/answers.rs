//! F8 and F9: a relay that breaks off at every point in every way, says 421, takes a mail without a word, or answers too late.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use super::Outcome;
use super::scene::{Scene, end_in_order, far_away};
use crate::support::relay::manners::{Tally, number};
use crate::support::relay::{Act, Offer, Point};

/// F8: about `faults` times it breaks off, at each of the eight points in each way, or says 421 and goes.
pub(crate) async fn breaks_off(faults: usize, recipients: usize, pipelining: bool) -> Outcome {
    let mut scene = Scene::empty(Offer { pipelining, ..far_away(2) }).await;
    scene.story.set("TIDINGS_DELIVERY__FIRST_RETRY", "1m");
    let (all, in_body) = (Tally::default(), Tally::default());
    let dice = Mutex::new(scene.story.app.dice("where it breaks off"));
    // Four points come with every mail, and the rarer ones of a session as often as sessions end.
    let chance = faults as f64 / recipients as f64 / 5.0;
    let (counted, counted_in_body) = (all.clone(), in_body.clone());
    let done = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = done.clone();
    scene.relay.behave(move |seen| {
        let mut dice = dice.lock().expect("no holder panics");
        let rare = matches!(seen.point, Point::Greeting | Point::Hello | Point::Quit);
        if !Point::EIGHT.contains(&seen.point) || counted.count() >= faults || !dice.random_bool(if rare { 0.1 } else { chance }) {
            return Act::Go;
        }
        let ways = [Act::Drop, Act::HalfClose, Act::Abort, Act::SayAndDrop("421 4.3.2 going down".into())];
        let act = ways.choose(&mut *dice).expect("a way").clone();
        noted.lock().expect("no holder panics").insert(format!("{:?} {act:?}", seen.point));
        if seen.point.is_in_the_body() && (seen.point == Point::MidBody || !matches!(act, Act::SayAndDrop(_))) {
            counted_in_body.note(Act::Go);
        }
        counted.note(act)
    });
    scene.fill(recipients).await;
    scene.finish().await;
    scene.relay.behave_well();
    retry(&scene, Duration::from_secs(150)).await;
    let bound = in_body.count();
    let what = format!("the relay breaks off or says 421 at 8 points, pipelining {}", if pipelining { "on" } else { "off" });
    let mut outcome = scene.outcome("F8", what, all.count(), bound).await;
    outcome
        .claim(outcome.unconfirmed <= bound && outcome.to_do == 0, format!("{bound} bodies were cut off, and {} are to do", outcome.to_do));
    let ways = done.lock().expect("no holder panics").len();
    outcome.remark = format!("{ways} of 32 pairs of point and way; {bound} cut off in the body");
    outcome
}

/// F9: it takes so many mails and drops or resets the connection before its 250 can be read.
pub(crate) async fn takes_without_a_word(times: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    let tally = Tally::default();
    let (counted, every) = (tally.clone(), recipients / times);
    scene.relay.behave(move |seen| match (seen.point, number(seen.recipient)) {
        (Point::Dot, n) if n % every == 0 => counted.note(if n % 2 == 0 { Act::TakeAndDrop } else { Act::TakeAndAbort }),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    scene.finish().await;
    held(&scene, "the relay takes the mail and drops before its 250 is read", tally.count()).await
}

/// F9: it answers the dot of so many mails a minute later than anybody waits (RFC 5321: 10 minutes).
pub(crate) async fn answers_too_late(times: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    let tally = Tally::default();
    let (counted, every) = (tally.clone(), recipients / times);
    scene.relay.behave(move |seen| match (seen.point, number(seen.recipient)) {
        (Point::Dot, n) if n % every == 0 => counted.note(Act::Wait(Duration::from_secs(11 * 60))),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    let mut worker = scene.story.worker(&["--until-idle"]);
    assert!(worker.ends_within(Duration::from_secs(25 * 60)).await.success(), "{}", worker.said());
    held(&scene, "the relay takes the mail and answers after the deadline (10 minutes)", tally.count()).await
}

// Each is in doubt, and none is sent again.
async fn held(scene: &Scene, what: &str, injected: usize) -> Outcome {
    let mut outcome = scene.outcome("F9", what.to_owned(), injected, injected).await;
    outcome.claim(outcome.unconfirmed == injected, format!("{} are held", outcome.unconfirmed));
    outcome
}

/// Works until nothing waits for a retry any more, or for so long.
pub(crate) async fn retry(scene: &Scene, patience: Duration) {
    let waiting = || scene.story.number("SELECT count(*) FROM deliveries WHERE state IN ('queued', 'claimed', 'handing_over', 'deferred')");
    // A worker that is asked to end before it has begun is ended by the signal itself.
    if waiting().await == 0 {
        return;
    }
    let begun = Instant::now();
    let mut worker = scene.story.worker(&[]);
    while waiting().await > 0 && begun.elapsed() < patience {
        // Between two looks: the real binary's back-off is the machine's time, and cannot be hurried.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    end_in_order(&mut worker).await;
}
