//! Coming back after a downtime: what is late asks, fires or is skipped, and a schedule that was missed never bursts.
//!
//! With a clock turned by hand; the worker is told to work when the story says that the machine is up again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidings::campaigns::states::Late;
use tidings::campaigns::{campaign, edition};
use tidings::delivery::relay::{Answer, MemoryBox};
use tidings::delivery::reply::Phase;
use tidings::jobs::App;

use crate::support::story::{Story, WEEKLY, count, log_of, memory};

#[tokio::test]
async fn an_edition_that_is_seven_hours_late_is_held_and_released_by_an_operator() {
    let (story, mails, app) = down_until("2026-01-13T16:00:00Z", Late::Ask).await;
    let edition = story.report().await;
    assert_eq!((&edition["edition"], &edition["state"], count(&edition, "to_do")), (&"2026-01-13".into(), &"held".into(), 30), "{edition}");
    assert_eq!(mails.handed().len(), 0);
    let shown = story.tidings(&["campaign", "report", WEEKLY]).await;
    assert!(shown.contains("release") && shown.contains("skip"), "the report names the way on:\n{shown}");

    // Held is not waited for, and not forgotten: released two days later, its deadline begins anew.
    story.app.wait(SignedDuration::from_hours(50));
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0);
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
    assert_eq!((&edition["state"], count(&edition, "sent")), (&"finished".into(), 30), "{edition}");
}

#[tokio::test]
async fn an_edition_that_is_late_is_skipped_by_an_operator_with_the_reason_in_each_row() {
    let (story, mails, app) = down_until("2026-01-13T16:00:00Z", Late::Ask).await;
    edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("skipped");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&[], 30).await;
    assert_eq!((count(&edition, "skipped"), edition["reasons"]["too late"].as_u64()), (30, Some(30)), "{edition}");
    assert_eq!(mails.handed().len(), 0);
    next_week_goes_out(&story, &mails, &app).await;
    assert_eq!(story.number("SELECT count(DISTINCT segment_id) FROM deliveries WHERE state = 'sent'").await, 1);
    let first = "SELECT count(*) FROM deliveries d JOIN tips t ON t.segment_id = d.segment_id WHERE d.state = 'sent' AND t.position = 1";
    assert_eq!(story.number(first).await, 30, "the tip that was skipped comes next");
}

#[tokio::test]
async fn a_campaign_that_fires_when_late_sends_and_one_that_skips_skips() {
    for (late, state) in [(Late::Fire, "sent"), (Late::Skip, "skipped")] {
        let (story, mails, app) = down_until("2026-01-13T16:00:00Z", late).await;
        let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
        assert_eq!(count(&edition, state), 30, "{edition}");
        next_week_goes_out(&story, &mails, &app).await;
    }
}

#[tokio::test]
async fn six_hours_are_not_late() {
    let (story, mails, _) = down_until("2026-01-13T15:00:00Z", Late::Ask).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
    assert_eq!(count(&edition, "sent"), 30, "{edition}");
}

#[tokio::test]
async fn after_four_weeks_off_only_the_newest_edition_is_taken_up() {
    let (story, mails, _) = down_until("2026-02-10T09:30:00Z", Late::Ask).await;
    let log = log_of(&mails);
    assert_eq!(log.len(), 30, "one mail for each person and not five");
    let editions = story.editions().await;
    let shown: Vec<(&str, &str)> = editions.iter().map(|e| (field(e, "edition"), field(e, "state"))).collect();
    assert_eq!(
        shown,
        [
            ("2026-01-13", "skipped"),
            ("2026-01-20", "skipped"),
            ("2026-01-27", "skipped"),
            ("2026-02-03", "skipped"),
            ("2026-02-10", "finished"),
        ]
    );
    story.assert_agrees_with(&log, 30).await;
}

#[tokio::test]
async fn what_was_tried_before_the_downtime_is_not_late_and_what_was_not_is_held() {
    let story = Story::ready(2, 30).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    // The relay puts off ten of them; then the campaign is paused before the others are due in their turn.
    mails.answer_with(|mail| match mail.to.as_str() {
        to if to.starts_with("person-1") => Answer::Reply(Phase::Rcpt, "451 4.3.0 later".to_owned()),
        _ => Answer::Accept,
    });
    story.turn_to("2026-01-13T09:00:00Z");
    story.plan().await;
    story.tamper("UPDATE deliveries SET due_at = due_at + interval '10 minutes', ready_at = ready_at + interval '10 minutes' WHERE subscriber_id > 20").await;
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_eq!((count(&edition, "sent"), count(&edition, "to_do")), (9, 21), "{edition}");

    story.turn_to("2026-01-13T17:00:00Z");
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "sent"), count(&edition, "to_do")), (&"held".into(), 9, 21), "{edition}");
    edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("skipped");
    mails.answer_with(|_| Answer::Accept);
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
    assert_eq!((count(&edition, "sent"), edition["reasons"]["too late"].as_u64()), (20, Some(10)), "{edition}");
}

#[tokio::test]
async fn an_edition_paused_over_its_hour_starts_anew_when_it_is_resumed() {
    let story = Story::ready(2, 30).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.turn_to("2026-01-13T08:45:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(story.report().await["state"], "scheduled");
    campaign::pause(&mut *story.conn().await, WEEKLY, "a mistake in the tip", story.app.now()).await.expect("paused");
    story.turn_to("2026-01-16T09:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!((story.report().await["state"].as_str(), mails.handed().len()), (Some("paused"), 0));
    campaign::resume(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("resumed");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
    assert_eq!(count(&edition, "sent"), 30, "{edition}");
}

/// Thirty people whose worker comes up at `instant`, having been off since before the first edition, and works.
async fn down_until(instant: &str, late: Late) -> (Story, MemoryBox, Arc<App>) {
    let story = Story::new().await;
    story.tips(2).await;
    story.subscribers(30).await;
    story.campaign(late).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 3)]);
    story.turn_to(instant);
    story.run_until_idle(&app).await;
    (story, mails, app)
}

async fn next_week_goes_out(story: &Story, mails: &MemoryBox, app: &Arc<App>) {
    mails.clear();
    let next: Timestamp = "2026-01-20T09:00:00Z".parse().expect("an instant");
    story.app.clock.set(next);
    story.run_until_idle(app).await;
    let edition = story.assert_agrees_with(&log_of(mails), 30).await;
    assert_eq!((field(&edition, "edition"), count(&edition, "sent")), ("2026-01-20", 30), "{edition}");
}

fn field<'a>(edition: &'a Value, name: &str) -> &'a str {
    edition[name].as_str().expect("a text")
}
