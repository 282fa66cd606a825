//! To a topic: once to everyone who is subscribed, as a mail of that topic, with sums that add up.

use tidings::campaigns::{campaign, edition};
use tidings::people::stop::{self, Scope, Source};

use super::stage::{NEWS, broadcast, planned, post, subscribed};
use crate::support::story::{count, log_of};

#[tokio::test]
async fn everyone_who_is_subscribed_gets_it_once_as_a_mail_of_the_topic() {
    let story = subscribed(30).await;
    // The first pauses, the second has left, the third never confirmed, the fourth must not be mailed.
    story.tamper("UPDATE subscribers SET paused_until = '2026-02-01' WHERE id = 1").await;
    story.tamper("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 2").await;
    story.tamper("UPDATE subscriptions SET standing = 'unconfirmed' WHERE subscriber_id = 3").await;
    story
        .tamper(
            "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
            VALUES (decode(repeat('00', 32), 'hex'), 'k', 4, 'manual', 'a test', now())",
        )
        .await;
    let (mails, app) = post(&story, 4);
    broadcast(&story, "topic:weekly").await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 27).await;
    assert_eq!((count(&edition, "sent"), edition["reasons"]["subscriber_paused"].as_u64()), (26, Some(1)), "{edition}");
    assert_eq!(story.campaign_state().await, "finished");

    let mail = mails.handed().into_iter().find(|mail| mail.to == "person-7@example.org").expect("her mail");
    let mail = String::from_utf8(mail.message).expect("ASCII");
    for sign in
        ["Subject: We move house", "List-Id: <", "List-Unsubscribe-Post: List-Unsubscribe=One-Click", "/preferences/", "round the corner"]
    {
        assert!(mail.contains(sign), "{sign}: {mail}");
    }
    assert!(!mail.contains("Auto-Submitted") && !mail.contains("/waitlist/"), "{mail}");

    story.app.wait(jiff::SignedDuration::from_hours(200));
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 26, "it goes out once");
    let again = edition::run(&mut *story.conn().await, NEWS, true, story.app.now()).await.expect_err("a refusal").to_string();
    assert!(again.contains("goes out once"), "{again}");
    let over = campaign::cancel(&mut *story.conn().await, NEWS, story.app.now()).await.expect_err("a refusal").to_string();
    assert!(over.contains("is finished: there is nothing to cancel"), "{over}");
}

#[tokio::test]
async fn who_leaves_after_it_was_planned_gets_nothing_and_an_undo_brings_it_back() {
    let story = subscribed(5).await;
    let (mails, app) = post(&story, 2);
    broadcast(&story, "topic:weekly").await;
    planned(&story).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    let topic = story.number("SELECT id FROM topics").await;
    stop::unsubscribe(pool, keyring, 1, Scope::Topic(topic), Source::OneClick, now).await.expect("a stop");
    stop::unsubscribe(pool, keyring, 2, Scope::Everything, Source::OneClick, now).await.expect("a stop");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 5).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "skipped")), (3, 2), "{edition}");
    assert_eq!(story.campaign_state().await, "finished");

    stop::undo(pool, 1, topic, now).await.expect("an undo");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 5).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "skipped")), (4, 1), "{edition}");
    assert_eq!(story.campaign_state().await, "finished", "with its edition it went on, and was finished again");
}
