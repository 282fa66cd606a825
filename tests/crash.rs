//! What a crash leaves behind: the real binary killed, halted and asked to end in the middle of its work, its database and
//! its relay taken away. Nobody is lost, nobody gets two copies, and what is in doubt is at most one mail for each connection.
//!
//! Each story closes with the ledger against the relay's own log.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;
use tidings::base::postgres::{EmbeddedPostgres, Options};
use tokio::time::Instant;

use crate::support::door::Door;
use crate::support::relay::{FaultyRelay, Offer};
use crate::support::story::{Story, WEEKLY, count};
use crate::support::{Worker, until};

const CONNECTIONS: u64 = 5;
const LEASE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_one_is_killed_in_the_middle_and_nobody_is_lost_or_mailed_twice() {
    let relay = slow_relay().await;
    let story = begin(relay.address, 2_000).await;
    let (doomed, other) = (story.worker(&[]), story.worker(&[]));
    until("a quarter of the mails is sent", || relay.sums().0 >= 500).await;
    doomed.kill();
    let again = story.worker(&[]);
    let edition = finish(&story, &relay, 2_000).await;
    assert!(count(&edition, "unconfirmed") <= CONNECTIONS, "{edition}");
    for mut worker in [other, again] {
        end_in_order(&mut worker).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_at_random_moments_leave_at_most_one_mail_in_doubt_for_each_connection() {
    let relay = slow_relay().await;
    let mut story = begin(relay.address, 1_000).await;
    // Small claims, so that the dead do not take all that is left with them for the length of their leases.
    story.set("TIDINGS_DELIVERY__CLAIM", "20");
    let mut dice = story.app.dice("ten kills");
    for _ in 0..10 {
        let worker = story.worker(&[]);
        let before = relay.bodies().len();
        let more = dice.random_range(0..90);
        until("some more mails are sent", || relay.bodies().len() >= before + more).await;
        // The kill falls at a moment of the dice, between any two steps: that is what is tested.
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..40))).await;
        worker.kill();
    }
    let edition = finish(&story, &relay, 1_000).await;
    assert!(count(&edition, "unconfirmed") <= 10 * CONNECTIONS, "{edition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_waits_for_a_postgres_that_was_killed_says_so_once_and_goes_on() {
    let relay = slow_relay().await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode 755");
    let folder = folder.path().join("postgres");
    let mut server = EmbeddedPostgres::start(&folder, &Options::default()).await.expect("a server");
    server.ensure_database("tidings").await.expect("a database");
    let mut door = Door::new().await;
    door.open(address(&server)).await;
    let mut story = Story::new().await;
    story.move_to(&server.url("tidings").replace(&address(&server).to_string(), &door.address().to_string())).await;
    ready(&mut story, relay.address, 1_000).await;

    let mut worker = story.worker(&[]);
    for (outage, (mails, gently)) in [(200, false), (600, true)].into_iter().enumerate() {
        until("some more mails are sent", || relay.sums().0 >= mails).await;
        door.shut().await;
        match gently {
            true => server.stop().await,
            false => kill(&server).await,
        }
        until("it says that it waits", || worker.said().matches("does not answer").count() > outage).await;
        server = EmbeddedPostgres::start(&folder, &Options::default()).await.expect("the server again");
        door.open(address(&server)).await;
        let back = Instant::now();
        until("it says that it goes on", || worker.said().matches("goes on").count() > outage).await;
        let known = relay.sums().0;
        until("sending goes on by itself", || relay.sums().0 > known).await;
        assert!(back.elapsed() < Duration::from_secs(30), "it took {:?}", back.elapsed());
    }
    let edition = finish(&story, &relay, 1_000).await;
    assert!(count(&edition, "unconfirmed") <= 2 * CONNECTIONS, "{edition}");
    end_in_order(&mut worker).await;
    let said = worker.said();
    let times = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    assert_eq!((times("ERROR"), times("goes on")), (2, 2), "it says once for each outage that it waits, and that it goes on:\n{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_asked_to_end_leaves_nothing_in_doubt() {
    let relay = slow_relay().await;
    let story = begin(relay.address, 500).await;
    let mut first = story.worker(&[]);
    until("some mails are sent", || relay.sums().0 >= 150).await;
    let asked = Instant::now();
    end_in_order(&mut first).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
    assert!(relay.sums().0 < 500, "it was asked in the middle");
    let now = story.report().await;
    assert_eq!((count(&now, "unconfirmed"), count(&now, "sent")), (0, relay.sums().0 as u64), "{now}");

    let mut second = story.worker(&["--until-idle"]);
    let begun = Instant::now();
    assert!(second.ends_within(PATIENCE).await.success(), "{}", second.said());
    assert!(begun.elapsed() < PATIENCE);
    let edition = sums(&story, &relay, 500).await;
    assert_eq!(count(&edition, "sent"), 500, "{edition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_halted_for_longer_than_its_lease_sends_nothing_twice_when_it_goes_on() {
    let relay = slow_relay().await;
    let story = begin(relay.address, 600).await;
    let mut halted = story.worker(&[]);
    until("some mails are sent", || relay.sums().0 >= 100).await;
    halted.halt();
    let mut other = story.worker(&["--until-idle"]);
    assert!(other.ends_within(PATIENCE).await.success(), "{}", other.said());
    halted.go_on();
    until("it notices that it was taken for dead", || halted.said().contains("taken for dead")).await;
    end_in_order(&mut halted).await;
    let edition = finish(&story, &relay, 600).await;
    assert!(count(&edition, "unconfirmed") <= CONNECTIONS, "{edition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_comes_up_later_gets_every_mail_once() {
    let relay = FaultyRelay::start().await;
    let mut door = Door::new().await;
    let story = begin(door.address(), 200).await;
    let mut worker = story.worker(&["--until-idle"]);
    until("it says that the relay is down", || worker.said().contains("cannot be reached")).await;
    assert!(!worker.has_ended(), "it waits:\n{}", worker.said());
    door.open(relay.address).await;
    assert!(worker.ends_within(PATIENCE).await.success(), "{}", worker.said());
    assert_eq!(worker.said().lines().filter(|line| line.contains("ERROR")).count(), 1, "it says so once:\n{}", worker.said());
    let edition = sums(&story, &relay, 200).await;
    assert_eq!((count(&edition, "sent"), relay.bodies().len()), (200, 200), "{edition}");
}

/// A relay as far away as another country, so that something is on its way at any moment.
async fn slow_relay() -> FaultyRelay {
    FaultyRelay::with(Offer { latency: Duration::from_millis(4), ..Offer::default() }).await
}

/// An edition that is due now, for workers that hand over at `relay`.
async fn begin(relay: SocketAddr, recipients: usize) -> Story {
    let mut story = Story::new().await;
    story.app.may_leave_work();
    ready(&mut story, relay, recipients).await;
    story
}

async fn ready(story: &mut Story, relay: SocketAddr, recipients: usize) {
    story.set("TIDINGS_RELAYS__MAIN__URL", &format!("smtp://{relay}?tls=none"));
    story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", &CONNECTIONS.to_string());
    story.set("TIDINGS_DELIVERY__LEASE", &format!("{}s", LEASE.as_secs()));
    story.tips(2).await;
    story.subscribers(recipients).await;
    story.tidings(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
}

/// Works until nothing is left, and closes with the sums.
async fn finish(story: &Story, relay: &FaultyRelay, recipients: usize) -> Value {
    let mut worker = story.worker(&["--until-idle"]);
    assert!(worker.ends_within(PATIENCE).await.success(), "{}", worker.said());
    sums(story, relay, recipients).await
}

async fn sums(story: &Story, relay: &FaultyRelay, recipients: usize) -> Value {
    let edition = story.assert_agrees_with(&relay.accepted(), recipients).await;
    assert_eq!(edition["state"], "finished", "{edition}");
    assert_eq!(count(&edition, "sent") + count(&edition, "unconfirmed"), recipients as u64, "nobody is lost: {edition}");
    edition
}

async fn end_in_order(worker: &mut Worker) {
    worker.terminate();
    assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
}

fn address(server: &EmbeddedPostgres) -> SocketAddr {
    let url = server.url("postgres");
    let host = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a host").0;
    host.parse().expect("an address")
}

async fn kill(server: &EmbeddedPostgres) {
    let file = std::fs::read_to_string(server.folder().join("data/postmaster.pid")).expect("a running server");
    let pid: i32 = file.lines().next().and_then(|line| line.trim().parse().ok()).expect("its number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("a signal");
}
