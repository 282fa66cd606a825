//! What a crash leaves behind: the real binary killed, halted and asked to end in the middle of its work, its database and
//! its relay taken away. Nobody is lost, nobody gets two copies, and what is in doubt is at most one mail for each connection.
//!
//! Each story closes with the ledger against the relay's own log.

use std::time::Duration;

use crate::lab::{kills, outages};
use crate::support::door::Door;
use crate::support::relay::FaultyRelay;
use crate::support::story::{Story, WEEKLY, count};
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_at_random_moments_leave_at_most_one_mail_in_doubt_for_each_connection() {
    kills::at_random_moments(10, 1_000).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_workers_one_is_killed_every_second_and_nobody_is_lost_or_mailed_twice() {
    kills::one_of_four(Duration::from_secs(1), 1_000, 40).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_a_postgres_that_was_killed_says_so_once_and_goes_on() {
    outages::killed(2, 1_000).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_asked_to_end_leaves_nothing_in_doubt() {
    kills::asked_to_end(1, 500).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_halted_for_longer_than_its_lease_sends_nothing_twice_when_it_goes_on() {
    kills::halted(1, 600).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_comes_up_later_gets_every_mail_once() {
    let relay = FaultyRelay::start().await;
    let mut door = Door::new().await;
    let mut story = Story::new().await;
    story.set("TIDINGS_RELAYS__MAIN__URL", &format!("smtp://{}?tls=none", door.address()));
    story.tips(1).await;
    story.subscribers(200).await;
    story.tidings(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
    let mut worker = story.worker(&["--until-idle"]);
    until("it says that the relay is down", || worker.said().contains("cannot be reached")).await;
    assert!(!worker.has_ended(), "it waits:\n{}", worker.said());
    door.open(relay.address).await;
    assert!(worker.ends_within(Duration::from_secs(60)).await.success(), "{}", worker.said());
    assert_eq!(worker.said().lines().filter(|line| line.contains("ERROR")).count(), 1, "it says so once:\n{}", worker.said());
    let edition = story.assert_agrees_with(&relay.accepted(), 200).await;
    assert_eq!((count(&edition, "sent"), relay.bodies().len()), (200, 200), "{edition}");
}
