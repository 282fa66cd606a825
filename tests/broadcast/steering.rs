//! What operators and clocks do to a broadcast: the same as to weekly tips, by the same code.

use jiff::SignedDuration;
use tidings::campaigns::states::{CampaignState, Late};
use tidings::campaigns::{campaign, due, edition, store};
use tidings::delivery::relay::Answer;
use tidings::delivery::reply::Phase;

use super::stage::{NEWS, broadcast, broadcast_at, people, planned, post, recipients, subscribed, waiting};
use crate::support::story::{count, log_of};

const TUESDAY: &str = "2026-01-13T09:00:00Z";

#[tokio::test]
async fn one_that_is_to_go_out_later_is_planned_half_an_hour_before_and_sent_at_its_time() {
    let story = waiting(3).await;
    let (mails, app) = post(&story, 1);
    let made = broadcast_at(&story, "waitlist:course", Some(TUESDAY), Late::Ask).await;
    assert_eq!(made.next.expect("an edition").run_at.to_string(), "2026-01-13T08:30:00Z");
    story.turn_to("2026-01-13T08:29:59Z");
    story.run_until_idle(&app).await;
    assert_eq!(story.editions().await.len(), 0);
    story.turn_to("2026-01-13T08:30:00Z");
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_eq!(
        (&edition["edition"], &edition["state"], count(&edition, "to_do")),
        (&"2026-01-13".into(), &"scheduled".into(), 3),
        "{edition}"
    );
    story.turn_to(TUESDAY);
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people(1..=3));
    assert_eq!(story.campaign_state().await, "finished");
}

#[tokio::test]
async fn a_paused_one_goes_on_where_it_was_and_a_cancelled_one_ends() {
    let story = subscribed(40).await;
    let (mails, app) = post(&story, 1);
    broadcast(&story, "topic:weekly").await;
    planned(&story).await;
    campaign::pause(&mut *story.conn().await, NEWS, "a wrong word", story.app.now()).await.expect("paused");
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0);
    let resumed = campaign::resume(&mut *story.conn().await, NEWS, story.app.now()).await.expect("resumed");
    assert_eq!(resumed.state, CampaignState::Running);
    // The relay puts all but three off; what waits then ends with the campaign.
    let mut taken = 0;
    mails.answer_with(move |_| {
        taken += 1;
        if taken <= 3 { Answer::Accept } else { Answer::Reply(Phase::Rcpt, "450 4.7.1 later".to_owned()) }
    });
    story.run_until_idle(&app).await;
    assert_eq!(campaign::cancel(&mut *story.conn().await, NEWS, story.app.now()).await.expect("cancelled"), 37);
    let edition = story.assert_agrees_with(&log_of(&mails), 40).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "cancelled"), &edition["state"]), (3, 37, &"cancelled".into()), "{edition}");
    story.app.wait(SignedDuration::from_hours(1));
    story.run_until_idle(&app).await;
    assert_eq!((mails.handed().len(), story.campaign_state().await.as_str()), (3, "cancelled"));
}

#[tokio::test]
async fn one_that_was_cancelled_while_it_was_planned_leaves_nothing_of_the_line() {
    let story = waiting(5_100).await;
    broadcast(&story, "waitlist:course").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    let edition = due::open_due(&mut conn, now).await.expect("open")[0];
    assert!(!tidings::campaigns::planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done);
    assert_eq!(campaign::cancel(&mut conn, NEWS, now).await.expect("cancelled"), 5_000);
    assert!(tidings::campaigns::planning::plan_slice(&mut conn, edition, now).await.expect("nothing").done);
    assert_eq!(story.number("SELECT count(*) FROM edition_line").await, 0);
    let edition = story.report().await;
    assert_eq!((edition["planned"].as_u64(), count(&edition, "cancelled")), (Some(5_000), 5_000), "{edition}");
}

#[tokio::test]
async fn one_whose_hour_passed_while_it_was_paused_goes_out_when_it_is_resumed() {
    let story = waiting(2).await;
    let (mails, app) = post(&story, 1);
    broadcast_at(&story, "waitlist:course", Some(TUESDAY), Late::Ask).await;
    campaign::pause(&mut *story.conn().await, NEWS, "wait", story.app.now()).await.expect("paused");
    story.turn_to("2026-01-14T12:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(story.editions().await.len(), 0);
    campaign::resume(&mut *story.conn().await, NEWS, story.app.now()).await.expect("resumed");
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([1, 2]));
}

#[tokio::test]
async fn one_that_is_late_asks_and_is_released_or_skipped() {
    for release in [true, false] {
        let story = waiting(4).await;
        let (mails, app) = post(&story, 1);
        broadcast_at(&story, "waitlist:course", Some(TUESDAY), Late::Ask).await;
        story.turn_to("2026-01-13T16:00:00Z");
        story.run_until_idle(&app).await;
        assert_eq!((&story.report().await["state"], mails.handed().len()), (&"held".into(), 0));
        let mut conn = story.conn().await;
        match release {
            true => edition::release(&mut conn, NEWS, story.app.now()).await.expect("released"),
            false => edition::skip(&mut conn, NEWS, story.app.now()).await.expect("skipped"),
        };
        story.run_until_idle(&app).await;
        let edition = story.assert_agrees_with(&log_of(&mails), 4).await;
        let state = if release { "sent" } else { "skipped" };
        assert_eq!(count(&edition, state), 4, "{edition}");
        assert_eq!(story.campaign_state().await, "finished");
    }
}

#[tokio::test]
async fn the_first_twenty_are_a_trial() {
    let story = subscribed(60).await;
    let (mails, app) = post(&story, 4);
    mails.answer_with(|_| Answer::Reply(Phase::Rcpt, "550 5.7.26 not authenticated".to_owned()));
    broadcast(&story, "topic:weekly").await;
    story.run_until_idle(&app).await;
    let paused = store::find(&mut *story.conn().await, NEWS).await.expect("a campaign");
    assert_eq!((paused.state, mails.handed().len()), (CampaignState::Paused, 0));
    assert!(story.number("SELECT count(*) FROM deliveries WHERE state = 'deferred'").await <= 20);
    mails.answer_with(|_| Answer::Accept);
    campaign::resume(&mut *story.conn().await, NEWS, story.app.now()).await.expect("resumed");
    story.app.wait(SignedDuration::from_hours(1));
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 60).await;
    assert_eq!(mails.handed().len(), 60);
}
