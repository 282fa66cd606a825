//! What a crash leaves of a waitlist: workers killed between any two steps, wake-ups that are lost, a clock that is wrong, a
//! database that goes away. The opening fills as if nothing had been.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use tidings::base::clock::{Clock, SystemClock};
use tidings::base::postgres::{EmbeddedPostgres, Options};
use tidings::base::wake::Job;
use tidings::delivery::relay::MemoryBox;
use tidings::jobs;
use tidings::waitlist::states::AfterExpiry;
use tidings::waitlist::{offer, opening};
use tokio::sync::watch;

use super::fire::{Fire, now};
use super::stage::SLUG;
use crate::support::door::Door;
use crate::support::relay::{FaultyRelay, Offer};
use crate::support::story::memory;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifteen_kills_at_random_moments_lose_no_seat_and_give_none_twice() {
    let seed = std::env::var("TIDINGS_SEED").unwrap_or_else(|_| "1".to_owned());
    eprintln!("run again with TIDINGS_SEED={seed}");
    let fire = Fire::new(AfterExpiry::Back, slow_relay().await).await;
    fire.people(60).await;
    fire.open(10).await;
    let mut dice = fire.story.app.dice(&format!("{seed} kills"));
    for _ in 0..15 {
        let (before, open) =
            (fire.relay.bodies().len(), fire.numbers("SELECT entry_id FROM offers WHERE state = 'open' ORDER BY id").await);
        // Some let their offers run out, some decline: there is something to settle, to give and to mail.
        for entry_id in open.iter().take(dice.random_range(1..6)) {
            fire.pass(*entry_id, 60).await;
        }
        if let Some(entry_id) = open.last() {
            decline(&fire, *entry_id).await;
        }
        let worker = fire.story.worker(&[]);
        let more = dice.random_range(0..6);
        until("the worker does something", || more == 0 || fire.relay.bodies().len() >= before + more || worker.said().contains("pump"))
            .await;
        // The kill falls at a moment of the dice, between any two steps: that is what is tested.
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..400))).await;
        worker.kill();
    }
    finish(&fire).await;
    assert_eq!(fire.story.number("SELECT count(*) FROM offers WHERE state = 'accepted'").await, 10, "every seat found somebody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_that_was_lost_is_made_good_by_the_next_look() {
    let fire = Fire::new(AfterExpiry::Back, FaultyRelay::start().await).await;
    fire.people(5).await;
    fire.open(2).await;
    let worker = fire.story.worker(&[]);
    until("both offers are mailed", || fire.relay.accepted().len() == 2).await;
    worker.halt();
    let offered = fire.numbers("SELECT entry_id FROM offers ORDER BY id").await;
    decline(&fire, offered[0]).await;
    fire.pass(offered[1], 60).await;
    let lost = "DELETE FROM apalis.jobs WHERE convert_from(job, 'UTF8') LIKE '%advance_waitlist%'";
    assert!(fire.story.number(&format!("WITH lost AS ({lost} RETURNING 1) SELECT count(*) FROM lost")).await > 0);
    worker.go_on();
    // One mail says that the offer ran out, two offer the seats to the next.
    until("the next ones are offered the seats", || fire.relay.accepted().len() == 5).await;
    assert_eq!(fire.numbers("SELECT e.subscriber_id FROM offers f JOIN entries e ON e.id = f.entry_id ORDER BY f.id").await, [1, 2, 3, 4]);
    worker.kill();
    finish(&fire).await;
}

#[tokio::test]
async fn a_worker_whose_clock_is_two_hours_off_ends_no_offer_and_begins_no_opening() {
    for hours in [2, -2] {
        let fire = Fire::new(AfterExpiry::Back, FaultyRelay::start().await).await;
        fire.people(4).await;
        fire.open(1).await;
        fire.story.tamper("UPDATE transactional SET handed_over_at = now() WHERE kind = 'offer'").await;
        fire.story.tamper("UPDATE openings SET seats = 2").await;
        let app =
            fire.story.jobs_with_clock(vec![memory(&MemoryBox::default(), 1)], std::sync::Arc::new(Off(SignedDuration::from_hours(hours))));
        let job = Job::AdvanceWaitlist { program_id: fire.program_id };
        let said = jobs::handle(&app, job.clone()).await.expect_err("it refuses");
        assert!(format!("{said:#}").contains("clock is"), "{said:#}");
        // As a process, which is woken before it has looked at its clock.
        tidings::base::wake::enqueue(&mut *fire.story.conn().await, &job).await.expect("a wake-up");
        let (_stop, told) = watch::channel(false);
        let life = tokio::time::timeout(Duration::from_secs(20), jobs::run(app, told)).await.expect("it ends by itself");
        life.expect_err("it refuses");
        let stands = fire.story.texts("SELECT state FROM offers").await;
        assert_eq!(stands, ["open"], "nothing ran out and nothing was given by the clock that is {hours} hours off");
        // One whose clock is right sees to it.
        let given = opening::advance(&mut *fire.story.conn().await, fire.program_id, now()).await.expect("an advance").given;
        assert_eq!(given, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_goes_on_when_postgres_was_away_in_its_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode 755");
    let folder = folder.path().join("postgres");
    let mut server = EmbeddedPostgres::start(&folder, &Options::default()).await.expect("a server");
    server.ensure_database("tidings").await.expect("a database");
    let mut door = Door::new().await;
    door.open(address(&server)).await;
    let mut fire = Fire::new(AfterExpiry::Back, slow_relay().await).await;
    fire.story.move_to(&server.url("tidings").replace(&address(&server).to_string(), &door.address().to_string())).await;
    fire.begin(AfterExpiry::Back).await;
    fire.people(300).await;
    fire.open(150).await;
    let (first, second) = (fire.story.worker(&[]), fire.story.worker(&[]));
    until("some offers are mailed", || fire.relay.accepted().len() >= 30).await;
    door.shut().await;
    server.stop().await;
    server = EmbeddedPostgres::start(&folder, &Options::default()).await.expect("the server again");
    door.open(address(&server)).await;
    until("the mails go on by themselves", || fire.relay.accepted().len() >= 150).await;
    for entry_id in fire.numbers("SELECT entry_id FROM offers WHERE state = 'open' ORDER BY id LIMIT 40").await {
        decline(&fire, entry_id).await;
    }
    until("the seats that became free are offered", || fire.relay.accepted().len() >= 190).await;
    for mut worker in [first, second] {
        worker.terminate();
        assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
    }
    finish(&fire).await;
    assert_eq!(opening::find(&mut *fire.story.conn().await, SLUG, None).await.expect("an opening").state.as_str(), "full");
    server.stop().await;
}

async fn decline(fire: &Fire, entry_id: i64) {
    let open = format!("SELECT coalesce(max(id), 0) FROM offers WHERE entry_id = {entry_id} AND state = 'open'");
    let offer_id = fire.story.number(&open).await;
    if offer_id > 0 {
        offer::decline(&mut *fire.story.conn().await, offer_id, now()).await.expect("an answer");
    }
}

/// Fills the opening with a worker that nobody disturbs, and looks at all of it.
async fn finish(fire: &Fire) {
    let newest = "SELECT coalesce(max(id), 0) FROM workers";
    let before = fire.story.number(newest).await;
    let mut worker = fire.story.worker(&[]);
    fire.fill().await;
    while fire.story.number(newest).await == before {
        // Between two looks: one that has not begun its work does not hear that it is to end either.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.terminate();
    // One that had nothing to do may be asked before it listens to that.
    worker.ends_within(Duration::from_secs(60)).await;
    let mut last = fire.story.worker(&["--until-idle"]);
    assert!(last.ends_within(Duration::from_secs(120)).await.success(), "{}", last.said());
    fire.assert_true().await;
}

async fn slow_relay() -> FaultyRelay {
    FaultyRelay::with(Offer { latency: Duration::from_millis(4), ..Offer::default() }).await
}

fn address(server: &EmbeddedPostgres) -> std::net::SocketAddr {
    let url = server.url("postgres");
    let host = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a host").0;
    host.parse().expect("an address")
}

/// The machine's clock, so much off.
#[derive(Debug)]
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + self.0
    }
}
