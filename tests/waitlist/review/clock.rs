//! When an offer's clock starts, and what its mail may still do when it is over.

use jiff::SignedDuration;
use tidings::delivery::ledger::resolve::{self, Resolution};
use tidings::waitlist::offer::{Acceptance, Over, Refusal};
use tidings::waitlist::opening::NewOpening;
use tidings::waitlist::{offer, report};

use crate::waitlist::stage::{HOUR, SLUG, Stage, lost, new_opening, put_off, unanswered};

#[tokio::test]
async fn the_clock_of_an_offer_does_not_start_at_a_mark_whose_mail_was_certainly_not_taken() {
    for how in ["lost", "taken back", "put off"] {
        let (stage, entries) = short(1).await;
        let under_way = stage.under_way().await;
        match how {
            "lost" => stage.comes_of(&under_way, |_| lost()).await,
            "taken back" => stage.take_back(&under_way).await,
            _ => stage.comes_of(&under_way, |_| put_off(stage.now() + HOUR)).await,
        }
        let shown = offer::show(&mut *stage.conn().await, stage.offer_of(entries[0]).await, stage.now()).await.unwrap();
        assert_eq!(shown.expires_at, None, "{how}");
        // The relay is down for longer than an offer holds.
        stage.app.wait(SignedDuration::from_mins(90));
        stage.post().await;
        stage.app.wait(SignedDuration::from_mins(59));
        assert_eq!(stage.accept(entries[0]).await, Acceptance::Accepted, "{how}");
    }
}

#[tokio::test]
async fn a_hand_over_in_doubt_keeps_the_clock_whatever_becomes_of_the_second() {
    let (stage, entries) = short(1).await;
    stage.post_with(|_| unanswered()).await;
    stage.app.wait(SignedDuration::from_mins(10));
    let again = stage.under_way().await;
    stage.comes_of(&again, |_| put_off(stage.now() + HOUR / 4)).await;
    stage.app.wait(HOUR / 4);
    let again = stage.under_way().await;
    stage.take_back(&again).await;
    stage.app.wait(SignedDuration::from_mins(35));
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Expired), "the first may have come");
    assert_eq!(stage.number("SELECT misses::bigint FROM entries").await, 1);
}

#[tokio::test]
async fn a_mail_that_is_to_be_repeated_is_not_when_the_offer_ran_out_meanwhile() {
    let (stage, entries) = short(2).await;
    stage.post_with(|_| unanswered()).await;
    // Nobody works for longer than the offer holds, and nobody has settled anything when the mail is claimed.
    stage.app.wait(HOUR * 2);
    assert!(stage.under_way().await.is_empty());
    assert_eq!(stage.mail(&format!("offer:{}", stage.offer_of(entries[0]).await), "offer").await, "skipped");
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[1]]);
}

#[tokio::test]
async fn a_mail_that_was_put_off_beyond_the_end_of_its_offer_is_not_marked() {
    let (stage, entries) = short(1).await;
    stage.post_with(|_| unanswered()).await;
    stage.post_with(|_| put_off(stage.now() + SignedDuration::from_mins(61))).await;
    stage.app.wait(SignedDuration::from_mins(61));
    assert!(stage.under_way().await.is_empty());
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Expired));
}

#[tokio::test]
async fn an_offer_that_is_over_is_not_mailed_again_though_an_operator_or_an_undo_queues_it() {
    let (stage, entries) = short(1).await;
    stage.post_with(|_| unanswered()).await;
    let under_way = stage.under_way().await;
    // While it is under way she declines: it is worth sending no more.
    assert_eq!(stage.decline(entries[0]).await, Refusal::Declined);
    let now = stage.now();
    let worth = format!("SELECT (valid_until <= '{now}')::integer::bigint FROM deliveries WHERE template = 'offer'");
    assert_eq!(stage.number(&worth).await, 1);
    stage.comes_of(&under_way, |_| unanswered()).await;
    assert_eq!(stage.mail(&format!("offer:{}", stage.offer_of(entries[0]).await), "offer").await, "unconfirmed");
    let id = under_way[0].0.key.id;
    // As if nobody had repeated it by itself.
    stage.run("UPDATE deliveries SET repeated_at = NULL WHERE template = 'offer'").await.unwrap();
    resolve::resolve(&mut *stage.conn().await, id, Resolution::Again, stage.now()).await.unwrap();
    assert!(stage.under_way().await.is_empty(), "`again` gives it a day more, and the offer is closed");
    stage
        .run("UPDATE deliveries SET state = 'queued', ready_at = due_at, reason = NULL, finished_at = NULL WHERE template = 'offer'")
        .await
        .unwrap();
    assert!(stage.under_way().await.is_empty(), "however it came to be queued");
    assert_eq!(stage.text("SELECT state || ': ' || reason FROM deliveries WHERE template = 'offer'").await, "skipped: expired");
}

#[tokio::test]
async fn an_operator_who_knows_that_an_offer_did_not_arrive_frees_its_seat() {
    let (stage, entries) = Stage::with(2).await;
    stage.post().await;
    stage.open(1).await;
    stage.post_with(|_| unanswered()).await;
    let again = stage.under_way().await;
    stage.comes_of(&again, |_| unanswered()).await;
    assert_eq!(stage.advance().await, 0, "it may have come");
    resolve::resolve(&mut *stage.conn().await, again[0].0.key.id, Resolution::Failed, stage.now()).await.unwrap();
    assert_eq!(stage.advance().await, 1);
    assert_eq!(stage.offered().await, [entries[1]]);
}

#[tokio::test]
async fn the_report_counts_whoever_let_her_offer_run_out_in_the_line_though_nobody_swept() {
    let (stage, _) = Stage::with(3).await;
    stage.open(1).await;
    stage.post().await;
    stage.app.wait(HOUR * 48);
    let figures = async || report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    let before = figures().await;
    assert_eq!((before.waiting, before.open, before.free), (3, 0, 1));
    stage.advance().await;
    let after = figures().await;
    assert_eq!((after.waiting, after.open, after.free), (2, 1, 0));
}

/// An opening with one seat and offers of an hour, for so many people; all but the offer's mail has left.
async fn short(people: usize) -> (Stage, Vec<i64>) {
    let (stage, entries) = Stage::with(people).await;
    stage.post().await;
    stage.open_as(NewOpening { offer_for: HOUR, remind_before: SignedDuration::ZERO, ..new_opening(stage.now()) }).await;
    (stage, entries)
}
