//! The back of the line, and what keeps people out of it.

use jiff::SignedDuration;
use tidings::waitlist::states::AfterExpiry;
use tidings::waitlist::{entry, line};

use crate::waitlist::stage::{HOUR, Stage};

#[tokio::test]
async fn the_back_of_the_line_takes_a_priority_away_and_lets_no_newcomer_pass() {
    let (stage, entries) = Stage::with(3).await;
    entry::prioritise(&mut *stage.conn().await, entries[1], -5, "she asked to be last", stage.now()).await.unwrap();
    entry::prioritise(&mut *stage.conn().await, entries[0], 3, "she is ill", stage.now()).await.unwrap();
    stage.open(1).await;
    stage.post().await;
    stage.app.wait(HOUR * 48);
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[2]]);
    let place = async |entry_id| line::place(&mut *stage.conn().await, entry_id).await.unwrap();
    let newcomer = stage.waits(7).await;
    let places = (place(entries[0]).await, place(newcomer).await, place(entries[1]).await);
    assert_eq!(places, (Some(1), Some(2), Some(3)), "last stands who asked to be last");
    let event = "SELECT by || ' ' || priority || ': ' || reason FROM entry_events WHERE what = 'prioritised' ORDER BY id DESC LIMIT 1";
    assert_eq!(stage.text(event).await, "rule 0: let her offer run out");
}

#[tokio::test]
async fn who_goes_back_stands_where_she_would_stand_had_a_sweep_run_at_that_instant() {
    let mut lines = Vec::new();
    for sweeps in [true, false] {
        let (stage, entries) = Stage::with(4).await;
        stage.edit(|program| program.after_expiry = AfterExpiry::Back).await;
        stage.open(2).await;
        // The later offer runs out first.
        let later = stage.offer_of(entries[1]).await;
        stage.post_with(|offer| if offer == Some(later) { Default::default() } else { crate::waitlist::stage::lost() }).await;
        stage.app.wait(HOUR);
        stage.post().await;
        stage.app.wait(HOUR * 47);
        if sweeps {
            stage.advance().await;
        }
        stage.app.wait(SignedDuration::from_mins(30));
        let between = stage.waits(7).await;
        stage.app.wait(SignedDuration::from_mins(30));
        if sweeps {
            stage.advance().await;
        }
        stage.app.wait(HOUR);
        let after = stage.waits(8).await;
        stage.advance().await;
        let by_turn = stage.numbers("SELECT id FROM entries WHERE state = 'waiting' ORDER BY -priority, joined_at, id").await;
        assert_eq!(by_turn, [entries[1], between, entries[0], after], "sweeps: {sweeps}");
        lines.push(stage.text("SELECT string_agg(joined_at::text, ' ' ORDER BY id) FROM entries").await);
    }
    assert_eq!(lines[0], lines[1], "no result depends on when a sweep ran");
}

#[tokio::test]
async fn entries_are_never_deleted_since_the_line_would_be_counted_wrong() {
    let (stage, _) = Stage::with(2).await;
    for statement in ["DELETE FROM entry_events", "DELETE FROM entries", "TRUNCATE entries CASCADE"] {
        assert!(stage.run(statement).await.is_err(), "{statement}");
    }
    assert_eq!(stage.number("SELECT sum(waiting)::bigint FROM line_counts").await, 2);
}
