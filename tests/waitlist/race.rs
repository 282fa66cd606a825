//! Two hundred people, twenty seats, eight worker processes: people join, accept, decline, let offers run out and withdraw at
//! random moments, an operator changes seats, workers are killed and others started. Every commit is judged where it happens.
//!
//! `TIDINGS_SEED` chooses another course of it; a failure prints the seed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use tidings::audience::suppression::Kind;
use tidings::base::address::EmailAddress;
use tidings::people::stop::{self, Source, Whom};
use tidings::waitlist::states::{AfterExpiry, EntryState};
use tidings::waitlist::{WaitlistError, entry, offer, opening};

use super::fire::{Fire, now};
use super::stage::SLUG;
use crate::support::Worker;
use crate::support::relay::{Act, FaultyRelay, Offer, Point};

const PEOPLE: usize = 200;
const SEATS: i32 = 20;
const WORKERS: usize = 8;
const HANDS: usize = 6;
/// What people do in all; the operator and the killing go on as long.
const ACTS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_and_eight_workers_that_are_killed_share_twenty_seats_fairly() {
    let seed = std::env::var("TIDINGS_SEED").unwrap_or_else(|_| "1".to_owned());
    eprintln!("run again with TIDINGS_SEED={seed}");
    let relay = FaultyRelay::with(Offer { latency: Duration::from_millis(2), ..Offer::default() }).await;
    relay.behave(|seen| match seen.recipient.trim_start_matches("person-").split('@').next().and_then(|n| n.parse::<u32>().ok()) {
        Some(n) if seen.point == Point::Rcpt && n % 29 == 0 => Act::Say("550 5.1.1 no such person".into()),
        Some(n) if seen.point == Point::Rcpt && n % 31 == 0 => Act::Say("550 5.7.1 refused".into()),
        _ => Act::Go,
    });
    let fire = Fire::new(AfterExpiry::Out(3), relay).await;
    fire.people(PEOPLE).await;
    fire.open(SEATS).await;
    let dice = |name: &str| fire.story.app.dice(&format!("{seed} {name}"));

    let done = AtomicUsize::new(0);
    let hands = (0..HANDS).map(|n| people(&fire, dice(&format!("person {n}")), &done));
    let (_, workers, ()) = tokio::join!(join_all(hands), workers(&fire, dice("workers"), &done), operator(&fire, dice("operator"), &done));
    fire.fill().await;
    end(&fire, workers).await;
    fire.assert_true().await;
    assert_was_a_race(&fire).await;
}

/// At random moments one of them does what she may do.
async fn people(fire: &Fire, mut dice: ChaCha8Rng, done: &AtomicUsize) {
    while done.fetch_add(1, Ordering::Relaxed) < ACTS {
        // Half of them are people whom something was offered: there is most to do.
        let offered = fire.numbers("SELECT subscriber_id FROM entries WHERE state IN ('offered', 'seated')").await;
        let anybody = dice.random_range(1..=PEOPLE as i64);
        let n = if dice.random_bool(0.5) { offered.choose(&mut dice).copied().unwrap_or(anybody) } else { anybody };
        person(fire, &mut dice, n).await.unwrap_or_else(|error| panic!("person {n}: {error}"));
        // The next one comes a little later, at a moment of the dice.
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..25))).await;
    }
}

async fn person(fire: &Fire, dice: &mut ChaCha8Rng, n: i64) -> Result<(), WaitlistError> {
    let mut conn = fire.story.conn().await;
    let joined = entry::join(&mut conn, fire.program_id, n, now()).await?;
    let open = format!("SELECT coalesce(max(id), 0) FROM offers WHERE entry_id = {} AND state = 'open'", joined.entry_id);
    match (joined.state, dice.random_range(0..100)) {
        (EntryState::Unconfirmed, 0..85) => drop(entry::confirm(&mut conn, joined.entry_id, now()).await?),
        (EntryState::Unconfirmed | EntryState::Waiting, 95..) => drop(entry::withdraw(&mut conn, joined.entry_id, now()).await?),
        (EntryState::Seated, 0..30) => drop(entry::withdraw(&mut conn, joined.entry_id, now()).await?),
        (EntryState::Offered, luck) => match (fire.story.number(&open).await, luck) {
            (0, _) => {}
            (id, 0..30) => drop(offer::accept(&mut conn, id, now()).await?),
            (id, 30..45) => drop(offer::decline(&mut conn, id, now()).await?),
            (_, 45..50) => drop(entry::withdraw(&mut conn, joined.entry_id, now()).await?),
            (_, 50..60) => fire.pass(joined.entry_id, 41).await,
            // She answers at the very instant at which it runs out.
            (id, 60..80) => {
                fire.pass(joined.entry_id, 60).await;
                drop(offer::accept(&mut conn, id, now()).await?);
            }
            _ => fire.pass(joined.entry_id, 60).await,
        },
        _ => {}
    }
    Ok(())
}

/// Adds seats and takes them away, revokes, gives by hand, moves people, suppresses them and lifts that again.
async fn operator(fire: &Fire, mut dice: ChaCha8Rng, done: &AtomicUsize) {
    while done.load(Ordering::Relaxed) < ACTS {
        let mut conn = fire.story.conn().await;
        let entries = fire.numbers("SELECT id FROM entries WHERE state IN ('waiting', 'offered')").await;
        let offers = fire.numbers("SELECT id FROM offers WHERE state = 'open'").await;
        let entry_id = entries.choose(&mut dice).copied().unwrap_or(0);
        let n = dice.random_range(1..=PEOPLE);
        let address = EmailAddress::parse(&format!("person-{n}@example.org")).expect("an address");
        match dice.random_range(0..8) {
            0 | 1 => or_refused(opening::change_seats(&mut conn, SLUG, None, dice.random_range(-3..4), now()).await),
            2 => or_refused(offer::revoke(&mut conn, offers.choose(&mut dice).copied().unwrap_or(0), "a test", now()).await),
            3 => or_refused(offer::give(&mut conn, SLUG, None, entry_id, "a test", now()).await),
            4 => or_refused(entry::prioritise(&mut conn, entry_id, dice.random_range(-1..3), "a test", now()).await),
            5 => or_refused(entry::readmit(&mut conn, entry_id, "a test", now()).await),
            6 => {
                let (pool, keyring) = (&fire.story.app.db.pool, &fire.story.app.keyring);
                stop::suppress(pool, keyring, Whom::Address(&address), Kind::Manual, "a test", Source::Operator, now()).await.expect("a stop");
            }
            _ => fire.story.tamper("UPDATE suppressions SET lifted_at = clock_timestamp(), lifted_reason = 'a test' WHERE lifted_at IS NULL AND id % 2 = 0").await,
        }
        // The operator's next act.
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..120))).await;
    }
}

// The seat was gone, or she was; but the database never fails an act.
fn or_refused<T>(done: Result<T, WaitlistError>) {
    if let Err(WaitlistError::Database(error)) = done {
        panic!("an operator's act failed: {error}");
    }
}

/// Kills one of them now and then, and starts another.
async fn workers(fire: &Fire, mut dice: ChaCha8Rng, done: &AtomicUsize) -> Vec<Worker> {
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| fire.story.worker(&[])).collect();
    while done.load(Ordering::Relaxed) < ACTS {
        // The kill falls at a moment of the dice, between any two steps: that is what is tested.
        tokio::time::sleep(Duration::from_millis(dice.random_range(1_000..2_500))).await;
        workers.swap_remove(dice.random_range(0..workers.len())).kill();
        workers.push(fire.story.worker(&[]));
    }
    workers
}

async fn end(fire: &Fire, workers: Vec<Worker>) {
    for worker in &workers {
        worker.terminate();
    }
    for mut worker in workers {
        // One that was started last may be asked before it listens to that.
        worker.ends_within(Duration::from_secs(60)).await;
        assert!(!worker.said().contains("could not be advanced"), "{}", worker.said());
    }
    let mut last = fire.story.worker(&["--until-idle"]);
    assert!(last.ends_within(Duration::from_secs(120)).await.success(), "{}", last.said());
}

/// A race in which nothing happened would be won by everybody.
async fn assert_was_a_race(fire: &Fire) {
    let mut came = Vec::new();
    for (what, least) in [("accepted", 20), ("declined", 8), ("expired", 8), ("revoked", 3)] {
        let number = fire.story.number(&format!("SELECT count(*) FROM offers WHERE state = '{what}'")).await;
        assert!(number >= least, "only {number} offers are {what}");
        came.push(format!("{number} {what}"));
    }
    let repeated = fire.story.number("SELECT count(*) FROM deliveries WHERE repeated_at IS NOT NULL").await;
    eprintln!("{ACTS} acts of people; offers {}; mails {}, handed over once more {repeated}", came.join(", "), fire.relay.accepted().len());
}
