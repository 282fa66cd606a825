//! Relays that break off, turn us away or never answer, under a whole edition: only what was cut off after its body began is
//! in doubt, and what one connection or one relay suffers holds up nobody else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use tidings::delivery::pump::Outlet;
use tidings::delivery::relay::{Deadlines, Relay, RelayUrl, Roots};
use tokio::time::Instant;

use crate::support::door::Door;
use crate::support::relay::{Act, FaultyRelay, Offer, Point, Seen};
use crate::support::story::{Story, count, smtp};

#[tokio::test]
async fn a_relay_that_breaks_off_anywhere_leaves_in_doubt_only_what_it_began_to_take() {
    for pipelining in [true, false] {
        let story = Story::ready(1, 300).await;
        let relay = FaultyRelay::with(Offer { pipelining, ..Offer::default() }).await;
        let dice = Mutex::new(story.app.dice("where it breaks off"));
        relay.behave(move |seen: &Seen<'_>| {
            let mut dice = dice.lock().expect("no holder panics");
            let ways = [Act::Drop, Act::Abort, Act::SayAndDrop("421 4.3.2 going down".into())];
            match seen.point {
                Point::MidBody => Act::Go,
                _ if dice.random_bool(0.03) => ways.choose(&mut *dice).expect("a way").clone(),
                _ => Act::Go,
            }
        });
        story.run_edition().await;
        story.run_until_idle(&story.jobs(vec![smtp(&relay.url(), 6)])).await;
        let edition = story.assert_agrees_with(&relay.accepted(), 300).await;
        let (sent, unconfirmed) = (count(&edition, "sent"), count(&edition, "unconfirmed"));
        assert!(sent + unconfirmed == 300 && (1..20).contains(&unconfirmed), "{edition}");
        // A 421 in answer to the body is an answer; what was cut off without a word is in doubt, and nothing else is.
        let begun = relay.bodies().iter().map(|body| body.message_id.clone()).collect::<std::collections::BTreeSet<_>>();
        let doubted = story.deliveries().await.into_iter().filter(|d| d["state"] == "unconfirmed");
        assert!(doubted.into_iter().all(|d| begun.contains(d["message_id"].as_str().expect("an id"))), "its body had begun");
        assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE attempts > 1").await, 0, "turning us away is nobody's attempt");
    }
}

#[tokio::test]
async fn a_relay_that_never_answers_a_body_holds_up_one_connection_until_its_deadline() {
    let story = Story::ready(1, 100).await;
    let relay = FaultyRelay::start().await;
    relay.behave(|seen| match (seen.point, seen.recipient) {
        (Point::Dot, "person-30@example.org") => Act::Silence,
        (Point::Rcpt, "person-60@example.org") => Act::Trickle(Duration::from_millis(150)),
        _ => Act::Go,
    });
    let never = Duration::from_secs(6);
    let deadlines = Deadlines { body: never, rcpt: Duration::from_secs(1), ..Deadlines::default() };
    let to = Relay::with(&RelayUrl::parse(&relay.url()).expect("a URL"), "worker.example.org", deadlines, &Roots::OfThisMachine);
    story.run_edition().await;
    let begun = Instant::now();
    story.run_until_idle(&story.jobs(vec![Outlet::new("main", to.expect("a relay"), 4)])).await;
    assert!(begun.elapsed() < 4 * never, "it took {:?}", begun.elapsed());
    let edition = story.report().await;
    assert_eq!(["unconfirmed", "sent", "to_do"].map(|state| count(&edition, state)), [1, 98, 1], "{edition}");
    assert_eq!(
        edition["reasons"].as_object().map(|reasons| reasons.keys().filter(|reason| reason.contains("no answer")).count()),
        Some(1),
        "{edition}"
    );
    // Each try raises the fence twice, at its claim and at its mark.
    let waits = "SELECT state || ', tried ' || fence / 2 || ' times: ' || reason FROM deliveries WHERE state = 'deferred' AND attempts = 0";
    assert_eq!(story.texts(waits).await, ["deferred, tried 4 times: the relay did not answer RCPT in time"], "it is not tried for ever");
    let mut ended: Vec<Instant> = relay.bodies().iter().filter_map(|body| body.ended).collect();
    ended.sort();
    let nine_tenths = ended[ended.len() * 9 / 10] - ended[0];
    assert!(nine_tenths < never, "the others did not wait for it: {nine_tenths:?}");
}

#[tokio::test]
async fn while_one_of_two_relays_is_down_everyone_is_mailed_through_the_other() {
    let story = Story::ready(1, 150).await;
    let relay = FaultyRelay::start().await;
    let nobody = Door::new().await;
    let down = smtp(&format!("smtp://{}?tls=none", nobody.address()), 3);
    story.run_edition().await;
    let begun = Instant::now();
    story.run_until_idle(&story.jobs(vec![down, smtp(&relay.url(), 3)])).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    let edition = story.assert_agrees_with(&relay.accepted(), 150).await;
    assert_eq!(count(&edition, "sent"), 150, "{edition}");
}

#[tokio::test]
async fn a_relay_that_answers_too_late_for_a_mark_gets_no_body_under_it() {
    // A third of this lease is what a mark is good for.
    let story = Story::with(&[("TIDINGS_DELIVERY__LEASE", "3s")]).await;
    story.tips(1).await;
    story.subscribers(12).await;
    story.campaign(Default::default()).await;
    let relay = FaultyRelay::start().await;
    let slow: Arc<Mutex<usize>> = Arc::default();
    let counted = slow.clone();
    relay.behave(move |seen| {
        let mut slow = counted.lock().expect("no holder panics");
        if seen.point == Point::Data && *slow < 3 {
            *slow += 1;
            return Act::Wait(Duration::from_millis(1_500));
        }
        Act::Go
    });
    story.run_edition().await;
    story.run_until_idle(&story.jobs(vec![smtp(&relay.url(), 2)])).await;
    assert_eq!(*slow.lock().expect("no holder panics"), 3);
    let edition = story.assert_agrees_with(&relay.accepted(), 12).await;
    assert_eq!((count(&edition, "sent"), relay.bodies().len()), (12, 12), "{edition}");
    assert_eq!(story.number("SELECT max(attempts)::bigint FROM deliveries").await, 1);
    assert!(story.number("SELECT max(fence)::bigint FROM deliveries").await > 2, "marks were given up and made anew");
}
