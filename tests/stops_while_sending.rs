//! People leave while their edition is planned and sent: from the answer on nobody who left is marked, and in the relay's
//! log no body to her begins more than ten seconds later.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use sqlx::Row;
use tidings::base::clock::{Clock, SystemClock};
use tidings::base::time::from_db;
use tidings::people::stop::{self, Scope, Source};
use tokio::time::Instant;

use crate::support::relay::{FaultyRelay, Offer};
use crate::support::story::{Story, WEEKLY, count};
use crate::support::{Worker, until};

const RECIPIENTS: usize = 2_000;
const LEAVING: usize = 200;

/// Someone who left, and when she was told so.
struct Left {
    address: String,
    answered: Instant,
    answered_at: jiff::Timestamp,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_leave_while_their_edition_is_planned_and_sent() {
    let relay = FaultyRelay::with(Offer { latency: Duration::from_millis(8), ..Offer::default() }).await;
    let mut story = Story::new().await;
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", "8");
    story.tips(1).await;
    story.subscribers(RECIPIENTS).await;
    story.tidings(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    let worker = story.worker(&[]);
    story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;

    let left = leave(&story, &relay).await;
    finish(&story, worker).await;

    let edition = story.assert_agrees_with(&relay.accepted(), RECIPIENTS.min(story_planned(&story).await)).await;
    assert_eq!(count(&edition, "unconfirmed"), 0, "{edition}");
    let skipped =
        edition["reasons"]["unsubscribed"].as_u64().unwrap_or(0) + edition["reasons"]["suppressed: unsubscribe_all"].as_u64().unwrap_or(0);
    assert!((20..LEAVING as u64).contains(&skipped), "some left before their mail was marked, and some after: {edition}");
    nobody_is_mailed_after_the_answer(&story, &relay, &left).await;
}

/// Two hundred people leave one after the other: some while the edition is planned, the others all through the sending.
async fn leave(story: &Story, relay: &FaultyRelay) -> Vec<Left> {
    let mut dice = story.app.dice("who leaves");
    let topic: i64 = story.number("SELECT id FROM topics").await;
    let mut people: Vec<(i64, String)> = sqlx::query("SELECT id, address FROM subscribers ORDER BY id")
        .fetch_all(&mut *story.conn().await)
        .await
        .expect("people")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    people.shuffle(&mut dice);
    let mut left = Vec::new();
    for (number, (id, address)) in people.into_iter().take(LEAVING).enumerate() {
        // The first fifty at once, which is while the edition is planned.
        let sent = number.saturating_sub(50) * (RECIPIENTS - 300) / (LEAVING - 50);
        until("as many are sent as wanted", || relay.bodies().len() >= sent).await;
        let scope = if dice.random_bool(0.5) { Scope::Everything } else { Scope::Topic(topic) };
        let now = SystemClock.now();
        stop::unsubscribe(&story.app.db.pool, &story.app.keyring, id, scope, Source::OneClick, now).await.expect("a stop");
        left.push(Left { address, answered: Instant::now(), answered_at: SystemClock.now() });
    }
    left
}

async fn finish(story: &Story, mut worker: Worker) {
    let mut last = story.worker(&["--until-idle"]);
    assert!(last.ends_within(Duration::from_secs(60)).await.success(), "{}", last.said());
    worker.terminate();
    assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
}

async fn nobody_is_mailed_after_the_answer(story: &Story, relay: &FaultyRelay, left: &[Left]) {
    let marks: HashMap<String, jiff::Timestamp> =
        sqlx::query("SELECT s.address, d.handing_over_at FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id WHERE d.handing_over_at IS NOT NULL")
            .fetch_all(&mut *story.conn().await)
            .await
            .expect("marks")
            .iter()
            .map(|row| (row.get(0), from_db(row.get(1))))
            .collect();
    let bodies: HashMap<String, Instant> = relay.bodies().into_iter().map(|body| (body.recipient, body.began)).collect();
    for person in left {
        let marked = marks.get(&person.address);
        assert!(marked.is_none_or(|marked| *marked <= person.answered_at), "{} was marked after the answer", person.address);
        let began = bodies.get(&person.address);
        assert!(
            began.is_none_or(|began| *began <= person.answered + Duration::from_secs(10)),
            "a body to {} began long after the answer",
            person.address
        );
        assert_eq!(marked.is_some(), began.is_some(), "marked and mailed go together for {}", person.address);
    }
}

// Those who left before they were counted are no recipients.
async fn story_planned(story: &Story) -> usize {
    usize::try_from(story.number("SELECT planned FROM editions").await).expect("a count")
}
