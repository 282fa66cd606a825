//! A first tip that is in doubt, or whose campaign ends, before it is over.

use super::story::Story;
use jiff::SignedDuration;
use tidings::campaigns::{campaign, states::FirstTip};
use tidings::delivery::ledger::resolve::{self, Resolution};

#[tokio::test]
async fn a_first_tip_that_waits_ends_with_its_campaign_and_the_welcome_does_not() {
    let story = Story::new().await;
    story.campaign(FirstTip::AtOnce).await;
    story.ask("ana@example.org", &["back"]).await;
    story.confirm().await;
    let mut conn = story.app.db.pool.acquire().await.expect("a connection");
    assert_eq!(campaign::cancel(&mut conn, "tips", story.app.now()).await.expect("an end"), 1);
    assert_eq!(story.mails().await[1..], ["weekly_tip: cancelled: campaign cancelled", "welcome: queued"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0);
}

#[tokio::test]
async fn a_first_tip_in_doubt_can_be_sent_again_days_later_and_is_never_given_anew_by_an_edition() {
    let story = Story::new().await;
    story.campaign(FirstTip::AtOnce).await;
    story.ask("ana@example.org", &["back"]).await;
    story.confirm().await;
    story
        .run("UPDATE deliveries SET state = 'unconfirmed', reason = 'no answer', ready_at = NULL, handing_over_at = due_at, finished_at = due_at, attempts = 1 WHERE template = 'weekly_tip'")
        .await;
    story.days(5);
    let id = story.number("SELECT id FROM deliveries WHERE template = 'weekly_tip'").await;
    let mut conn = story.app.db.pool.acquire().await.expect("a connection");
    resolve::resolve(&mut conn, id, Resolution::Again, story.app.now()).await.expect("again");
    story.app.wait(SignedDuration::from_secs(1));
    assert_eq!(story.send().await.len(), 1, "its time starts anew");
    // Had she left meanwhile, the tip would be skipped: but it may have come the first time.
    story.run("UPDATE deliveries SET state = 'queued', ready_at = due_at, finished_at = NULL WHERE template = 'weekly_tip'").await;
    story.leave(1, tidings::people::stop::Scope::Topic(1)).await;
    assert_eq!(story.texts("SELECT reason FROM deliveries WHERE template = 'weekly_tip'").await, ["unsubscribed"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1, "she is not given it again");
}
