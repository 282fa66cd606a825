//! F15: people leave while their edition is planned and sent: from the answer on nobody who left is marked, and in the relay's
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

use super::Outcome;
use super::scene::{Scene, end_in_order, far_away};
use crate::support::story::WEEKLY;
use crate::support::until;

/// A body to somebody who left may begin so long after the answer, and no later.
const PROMISED: Duration = Duration::from_secs(10);

/// Someone who left, and when she was told so.
struct Left {
    address: String,
    answered: Instant,
    answered_at: jiff::Timestamp,
}

/// F15: of `recipients` so many leave, a quarter at once, which is while the edition is planned, the others all through the sending.
pub(crate) async fn in_the_middle(leaving: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(8)).await;
    scene.story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", "8");
    scene.story.set("TIDINGS_DELIVERY__LEASE", "30s");
    scene.people(recipients).await;
    scene.campaign(WEEKLY).await;
    let mut worker = scene.story.worker(&[]);
    let people = everybody(&scene, leaving).await;
    scene.story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
    let left = leave(&scene, people, recipients).await;
    scene.finish().await;
    end_in_order(&mut worker).await;
    scene.recipients = planned(&scene).await;
    let what = format!("{leaving} of {recipients} leave while the edition is planned and sent");
    let mut outcome = scene.outcome("F15", what, leaving, 0).await;
    let late = left_and_mailed_late(&scene, &left, &mut outcome).await;
    let uncounted = recipients - outcome.planned;
    outcome.claim(outcome.skipped + uncounted >= leaving / 10, "nearly all had their mails before they left");
    outcome.claim(outcome.sent > recipients - leaving, "nobody had her mail before she left");
    outcome.remark = format!("{uncounted} left before they were counted; the latest body began {} ms after the answer", late.as_millis());
    outcome
}

// Those of whom the edition has a row; who left before she was counted is no recipient.
async fn planned(scene: &Scene) -> std::collections::BTreeSet<String> {
    let counted = scene.story.number("SELECT planned FROM editions").await;
    let rows = scene.story.texts("SELECT s.address FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id").await;
    assert_eq!(counted, rows.len() as i64, "counted apart from the rows");
    rows.into_iter().collect()
}

async fn everybody(scene: &Scene, leaving: usize) -> Vec<(i64, String)> {
    let mut conn = scene.story.conn().await;
    let rows = sqlx::query("SELECT id, address FROM subscribers ORDER BY id").fetch_all(&mut *conn).await.expect("people");
    let mut people: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    people.shuffle(&mut scene.story.app.dice("who leaves"));
    people.truncate(leaving);
    people
}

async fn leave(scene: &Scene, people: Vec<(i64, String)>, recipients: usize) -> Vec<Left> {
    let mut dice = scene.story.app.dice("how they leave");
    let topic: i64 = scene.story.number("SELECT id FROM topics").await;
    let (all, at_once) = (people.len(), people.len() / 4);
    let mut left = Vec::new();
    for (number, (id, address)) in people.into_iter().enumerate() {
        let sent = number.saturating_sub(at_once) * (recipients - recipients / 6 - all / 2) / (all - at_once);
        until("as many are sent as wanted", || scene.relay.begun() >= sent).await;
        let scope = if dice.random_bool(0.5) { Scope::Everything } else { Scope::Topic(topic) };
        let (pool, keyring, now) = (&scene.story.app.db.pool, &scene.story.app.keyring, SystemClock.now());
        stop::unsubscribe(pool, keyring, id, scope, Source::OneClick, now).await.expect("a stop");
        left.push(Left { address, answered: Instant::now(), answered_at: SystemClock.now() });
    }
    left
}

// The latest body to somebody who had left, after her answer.
async fn left_and_mailed_late(scene: &Scene, left: &[Left], outcome: &mut Outcome) -> Duration {
    let marked = "SELECT s.address, d.handing_over_at FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
        WHERE d.handing_over_at IS NOT NULL";
    let mut conn = scene.story.conn().await;
    let rows = sqlx::query(marked).fetch_all(&mut *conn).await.expect("marks");
    let marks: HashMap<String, jiff::Timestamp> = rows.iter().map(|row| (row.get(0), from_db(row.get(1)))).collect();
    let bodies: HashMap<String, Instant> = scene.relay.bodies().into_iter().map(|body| (body.recipient, body.began)).collect();
    let mut latest = Duration::ZERO;
    for Left { address, answered, answered_at } in left {
        let (marked, began) = (marks.get(address), bodies.get(address));
        outcome.claim(marked.is_none_or(|marked| marked <= answered_at), "somebody was marked after the answer");
        outcome.claim(marked.is_some() == began.is_some(), "marked and mailed do not go together");
        latest = latest.max(began.and_then(|began| began.checked_duration_since(*answered)).unwrap_or_default());
    }
    outcome.claim(latest <= PROMISED, format!("a body began {latest:?} after the answer"));
    latest
}
