//! A change in the middle of an edition: what is planned and not yet marked follows it, what is marked stays.

use super::{FIRST, change, due};
use crate::campaigns::story::{Story, at};
use tidings::campaigns::campaign;
use tidings::delivery::ledger::mark::Ending;
use tidings::people::preferences::Change;

#[tokio::test]
async fn another_zone_or_hour_moves_what_is_queued_and_past_means_now() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "zone = 'America/Los_Angeles'").await;
    let bea = story.add_person("Bea", "").await;
    story.schedule_with(|new| new.subscriber_zone = true).await;
    story.sweep_at("2026-01-13T07:00:00Z").await;
    assert_eq!(due(&story, FIRST).await, ["Ana 13 17:00", "Bea 13 09:00"]);
    change(&story, ana, &[Change::zone("Europe/Lisbon").unwrap()]).await;
    assert_eq!(due(&story, FIRST).await, ["Ana 13 09:00", "Bea 13 09:00"]);
    change(&story, ana, &[Change::zone("Asia/Tokyo").unwrap()]).await;
    assert_eq!(due(&story, FIRST).await, ["Ana 13 07:00", "Bea 13 09:00"], "nine in Tokyo is past");
    change(&story, bea, &[Change::Hour(Some(20)), Change::Weekday(Some(6))]).await;
    assert_eq!(due(&story, FIRST).await, ["Ana 13 07:00", "Bea 17 20:00"]);
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: queued 1"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 2);
    story.send().await;
    story.sweep_at("2026-01-17T20:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: sent 1", "Bea: sent 1"]);
    let report = story.edition(FIRST).await;
    assert!(report.counts.add_up_to(2) && report.state.as_str() == "finished", "{report:?}");
}

#[tokio::test]
async fn another_stage_date_gives_another_tip_and_brings_back_who_had_none() {
    let story = Story::new(3).await;
    story
        .run("UPDATE tips SET stage_from = 6, stage_to = 12 WHERE id = 1; UPDATE tips SET stage_from = 0, stage_to = 2 WHERE id > 1")
        .await;
    let ana = story.add_person("Ana", "stage_date = '2026-01-10'").await;
    let bea = story.add_person("Bea", "").await;
    let eve = story.add_person("Eve", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T08:30:00Z").await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 2", "Bea: skipped no tip in her stage", "Eve: skipped no tip in her stage"]);
    change(&story, ana, &[Change::stage_date("2025-12-01").unwrap()]).await;
    change(&story, bea, &[Change::stage_date("2025-12-01").unwrap()]).await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: queued 1", "Eve: skipped no tip in her stage"]);
    change(&story, ana, &[Change::stage_date("").unwrap()]).await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: skipped no tip in her stage", "Bea: queued 1", "Eve: skipped no tip in her stage"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1);
    story.sweep_at("2026-01-13T09:00:01Z").await;
    change(&story, eve, &[Change::stage_date("2025-12-01").unwrap()]).await;
    story.send().await;
    assert_eq!(
        story.outcome(FIRST).await,
        ["Ana: skipped no tip in her stage", "Bea: sent 1", "Eve: skipped no tip in her stage"],
        "Eve's time was past"
    );
    assert!(story.edition(FIRST).await.counts.add_up_to(3));
}

#[tokio::test]
async fn what_a_worker_has_claimed_is_moved_and_what_it_has_marked_is_not() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    let bea = story.add_person("Bea", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let (hers, others): (Vec<_>, Vec<_>) = story.claim(10).await.into_iter().partition(|claimed| claimed.subscriber_id == Some(ana));
    let marked = story.mark(others).await;
    for person in [ana, bea] {
        change(&story, person, &[Change::Weekday(Some(3))]).await;
    }
    assert_eq!(due(&story, FIRST).await, ["Ana 14 09:00", "Bea 13 09:00"]);
    assert!(story.mark(hers).await.is_empty(), "the worker that held it cannot hand it over");
    story.record(&marked, Ending::Sent).await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: sent 1"]);
    story.sweep_at("2026-01-14T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: sent 1", "Bea: sent 1"]);
    assert_eq!(story.states().await[FIRST], "finished");
}

#[tokio::test]
async fn what_was_tried_once_or_is_over_stays_as_it_is() {
    let story = Story::new(4).await;
    for name in ["Ana", "Bea", "Eve"] {
        story.add_person(name, "").await;
    }
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let mut marked = story.mark(story.claim(10).await).await;
    marked.sort_by_key(|(claimed, _)| claimed.subscriber_id);
    story.record(&marked[..1], Ending::Deferred { until: at("2026-01-13T09:05:00Z"), counted: true }).await;
    story.record(&marked[1..2], Ending::Failed { refused_address: false }).await;
    story.record(&marked[2..], Ending::Unconfirmed).await;
    let before = story.texts("SELECT d::text FROM deliveries d ORDER BY id").await;
    for person in 1..=3 {
        assert_eq!(change(&story, person, &[Change::Weekday(Some(5)), Change::zone("Asia/Tokyo").unwrap()]).await.len(), 2);
    }
    assert_eq!(story.texts("SELECT d::text FROM deliveries d ORDER BY id").await, before);
    story.app.clock.set(at("2026-01-13T09:05:00Z"));
    story.send().await;
}

#[tokio::test]
async fn who_is_stopped_is_not_planned_anew_and_the_sums_hold() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    let bea = story.add_person("Bea", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T08:30:00Z").await;
    // As after a crash between the two commits of a stop: her standing says no, and her delivery is still there.
    story.run("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 1").await;
    story
        .run("INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES (sha256('2'), 'k', 2, 'complaint', 'why', now())")
        .await;
    for person in [ana, bea] {
        change(&story, person, &[Change::Weekday(Some(5))]).await;
    }
    assert_eq!(due(&story, FIRST).await, ["Ana 13 09:00", "Bea 13 09:00"]);
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: skipped 1 unsubscribed", "Bea: skipped 1 suppressed: complaint"]);
    assert!(story.edition(FIRST).await.counts.add_up_to(2));
}

#[tokio::test]
async fn a_paused_campaign_keeps_what_was_moved_until_it_is_resumed() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    campaign::pause(&mut *story.conn().await, crate::campaigns::story::NAME, "a word", story.app.now()).await.unwrap();
    change(&story, ana, &[Change::Hour(Some(12))]).await;
    assert_eq!(due(&story, FIRST).await, ["Ana 13 12:00"]);
    story.app.clock.set(at("2026-01-13T12:00:00Z"));
    assert!(story.claim(10).await.is_empty());
    campaign::resume(&mut *story.conn().await, crate::campaigns::story::NAME, story.app.now()).await.unwrap();
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: sent 1"]);
}
