//! Killed on the way: the real binary, in planning and in sending, and each person is mailed once.

use std::time::Duration;

use rand::RngExt;
use tidings::campaigns::{due, planning};

use super::stage::{broadcast, make_program};
use crate::support::relay::{FaultyRelay, Offer};
use crate::support::story::{Story, count};
use crate::support::until;

const CONNECTIONS: u64 = 5;
const PEOPLE: usize = 2_000;
/// More than a slice of the planning.
const MORE_THAN_A_SLICE: usize = 5_300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_killed_in_planning_and_in_sending_lose_nobody_and_mail_nobody_twice() {
    let relay = FaultyRelay::with(Offer { latency: Duration::from_millis(1), ..Offer::default() }).await;
    let mut story = Story::new().await;
    story.app.may_leave_work();
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", &CONNECTIONS.to_string());
    story.set("TIDINGS_DELIVERY__LEASE", "2s");
    story.set("TIDINGS_DELIVERY__CLAIM", "20");
    make_program(&story, PEOPLE).await;
    let text = story.file("news.md");
    std::fs::write(&text, "From May on you find us round the corner.\n").expect("a file");
    let text = text.display().to_string();
    story
        .tidings(&[
            "campaign",
            "create",
            "broadcast",
            super::stage::NEWS,
            "--subject",
            "We move",
            "--body",
            &text,
            "--to",
            "waitlist:course",
        ])
        .await;

    // One worker is killed as soon as there is an edition, which is while it is planned; then some in the middle of sending.
    let planner = story.worker(&[]);
    let mut looks = 0;
    while story.number("SELECT count(*) FROM editions").await == 0 {
        // Another process: it tells nothing by itself. A minute is the limit.
        tokio::time::sleep(Duration::from_millis(5)).await;
        looks += 1;
        assert!(looks < 12_000, "no edition was opened: {}", planner.said());
    }
    planner.kill();
    let mut dice = story.app.dice("broadcast kills");
    for _ in 0..4 {
        let worker = story.worker(&[]);
        let before = relay.bodies().len();
        let more = dice.random_range(1..120);
        until("some more mails are sent", || relay.bodies().len() >= before + more).await;
        worker.kill();
    }
    let mut last = story.worker(&["--until-idle"]);
    assert!(last.ends_within(Duration::from_secs(90)).await.success(), "{}", last.said());
    let edition = story.assert_agrees_with(&relay.accepted(), PEOPLE).await;
    assert_eq!(edition["state"], "finished", "{edition}");
    assert_eq!(count(&edition, "sent") + count(&edition, "unconfirmed"), PEOPLE as u64, "nobody is lost: {edition}");
    assert!(count(&edition, "unconfirmed") <= 4 * CONNECTIONS, "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM edition_line").await, 0);
}

#[tokio::test]
async fn a_slice_that_never_came_to_its_commit_is_planned_again_from_the_same_line() {
    let story = super::stage::waiting(MORE_THAN_A_SLICE).await;
    broadcast(&story, "waitlist:course").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    let edition = due::open_due(&mut conn, now).await.expect("open")[0];
    // The statement that ends the slice fails, as a connection does that is lost before it.
    story.tamper("ALTER TABLE editions ADD CONSTRAINT lost CHECK (counted = 0) NOT VALID").await;
    planning::plan_slice(&mut conn, edition, now).await.expect_err("no slice");
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await + story.number("SELECT count(*) FROM edition_line").await, 0);
    story.tamper("ALTER TABLE editions DROP CONSTRAINT lost").await;
    while !planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done {}
    assert_eq!(story.number("SELECT planned FROM editions").await, MORE_THAN_A_SLICE as i64);
    assert_eq!(story.number("SELECT count(DISTINCT subscriber_id) FROM deliveries").await, MORE_THAN_A_SLICE as i64);
}
