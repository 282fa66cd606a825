//! What a relay that refuses, or a post that stands still, does to those who wait.

use tidings::waitlist::report::{self, Report};
use tidings::waitlist::{offer, opening};

use crate::waitlist::stage::{HOUR, SLUG, Stage, no_such_mailbox};

#[tokio::test]
async fn only_a_refusal_of_the_address_itself_bars_somebody_for_good() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(1).await;
    stage.post_in_vain().await;
    stage.advance().await;
    stage.bounce(stage.offer_of(entries[1]).await).await;
    stage.advance().await;
    let barred = "SELECT string_agg(coalesce(barred, '-'), ', ' ORDER BY id) FROM entries";
    assert_eq!(stage.text(barred).await, "not sent, undeliverable, -, -");
    assert_eq!(stage.offered().await, [entries[2]]);
    // A mail of the opening leaves: what kept the first one's from leaving is gone.
    stage.app.wait(HOUR);
    stage.post().await;
    stage.decline(entries[2]).await;
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[0]], "she has her turn, before those behind her");
    assert_eq!(
        stage.text("SELECT by || ': ' || reason FROM entry_events WHERE what = 'readmitted'").await,
        "rule: mails of this opening leave again"
    );
}

#[tokio::test]
async fn an_outage_of_a_day_costs_nobody_her_turn() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(2).await;
    // Nothing leaves for a day.
    stage.app.wait(HOUR * 24);
    stage.advance().await;
    assert_eq!(stage.states(&entries).await, ["waiting", "waiting", "offered", "offered"], "their seats go on");
    stage.app.wait(HOUR);
    stage.post().await;
    assert_eq!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap(), [stage.program_id]);
    stage.decline(entries[2]).await;
    stage.advance().await;
    assert_eq!(stage.states(&entries).await, ["offered", "waiting", "withdrawn", "offered"]);
}

#[tokio::test]
async fn whose_mails_alone_are_refused_again_and_again_is_tried_three_times_in_an_opening() {
    let (stage, entries) = Stage::with(6).await;
    stage.open(1).await;
    let mut tried = 0;
    for _ in 0..10 {
        let hers = stage.offered().await == [entries[0]];
        tried += i32::from(hers);
        stage.app.wait(HOUR / 60);
        match hers {
            true => stage.post_in_vain().await,
            false => {
                stage.post().await;
                let offered = stage.offered().await;
                if let Some(entry_id) = offered.first() {
                    stage.decline(*entry_id).await;
                }
            }
        }
        stage.advance().await;
    }
    assert_eq!(tried, 3);
    assert!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap().is_empty(), "and then nothing is left to do");
}

#[tokio::test]
async fn one_fault_of_a_relay_does_not_burn_the_whole_line() {
    let (stage, entries) = Stage::with(30).await;
    stage.open(1).await;
    for _ in 0..20 {
        stage.post_in_vain().await;
        stage.advance().await;
    }
    assert_eq!(stage.number("SELECT count(*) FROM offers").await, 10, "ten mails in a row did not leave");
    assert!(stage.offered().await.is_empty());
    let until = figures(&stage).await.halted_until.expect("halted");
    assert_eq!(until, stage.now() + HOUR);
    assert!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap().is_empty(), "no sweep comes back every second");

    // An hour later one is tried.
    stage.app.wait(HOUR);
    assert_eq!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap(), [stage.program_id]);
    opening::change_seats(&mut *stage.conn().await, SLUG, None, 4, stage.now()).await.unwrap();
    assert_eq!(stage.offered().await, [entries[10]], "and one alone, however many seats are free");
    assert_eq!(stage.advance().await, 0);
    stage.post_in_vain().await;
    assert_eq!(stage.advance().await, 0);
    stage.app.wait(HOUR);
    assert_eq!(stage.advance().await, 1);
    // It leaves: the opening goes on at once, with those whose turn it was.
    stage.post().await;
    assert_eq!(figures(&stage).await.halted_until, None);
    assert_eq!(stage.advance().await, 4);
    assert_eq!(stage.offered().await, [entries[11], entries[0], entries[1], entries[2], entries[3]]);
}

#[tokio::test]
async fn an_operator_need_not_wait_for_the_hour() {
    let (stage, entries) = Stage::with(14).await;
    stage.open(1).await;
    for _ in 0..10 {
        stage.post_with(|_| no_such_mailbox()).await;
        stage.advance().await;
    }
    assert!(figures(&stage).await.halted_until.is_some());
    offer::give(&mut *stage.conn().await, SLUG, None, entries[12], "the relay is well again", stage.now()).await.unwrap();
    stage.post().await;
    stage.decline(entries[12]).await;
    assert_eq!(stage.advance().await, 1);
    assert_eq!(stage.offered().await, [entries[10]]);
}

async fn figures(stage: &Stage) -> Report {
    report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.expect("a report")
}
