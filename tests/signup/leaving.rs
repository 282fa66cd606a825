//! Leaving while a sign-up waits: nothing that it asked for is asked about, reminded of or confirmed.

use jiff::SignedDuration;
use tidings::audience::suppression::Kind;
use tidings::people::stop::{self, Scope, Source, Whom};
use tidings::signup::PendingState;

use super::story::Story;

const SIGNUPS: &str = "SELECT concat_ws(' ', topics::text, outcome) FROM signups ORDER BY id";

#[tokio::test]
async fn who_leaves_everything_is_neither_asked_nor_reminded() {
    for sent in [false, true] {
        let story = Story::new().await;
        story.ask("ana@example.org", &["back"]).await;
        if sent {
            story.send().await;
        }
        story.leave(1, Scope::Everything).await;
        assert_eq!(story.texts(SIGNUPS).await, ["{1} refused"]);
        story.days(2);
        story.tend().await;
        let mail = if sent { "confirmation: sent" } else { "confirmation: cancelled: she left" };
        assert_eq!(story.mails().await, [mail]);
        assert_eq!(story.confirm().await.state, PendingState::Refused);
        story.ask("ana@example.org", &["back"]).await;
        assert_eq!(story.send().await.len(), 1, "what she asks for after it is a sign-up like any other");
        assert_eq!(story.confirm().await.state, PendingState::Confirmed);
    }
}

#[tokio::test]
async fn what_an_operator_asked_for_never_goes_to_somebody_who_left_everything() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.run("UPDATE signups SET source = 'import'").await;
    story.leave(1, Scope::Everything).await;
    assert!(story.send().await.is_empty());
    assert_eq!(story.mails().await, ["confirmation: cancelled: she left"]);
}

#[tokio::test]
async fn a_suppression_ends_what_waits_to_be_confirmed() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    stop::suppress(pool, keyring, Whom::Subscriber(1), Kind::Complaint, "why", Source::Operator, now).await.expect("a stop");
    assert_eq!(story.texts(SIGNUPS).await, ["{1} refused"]);
    assert_eq!(story.mails().await, ["confirmation: cancelled: she left"]);
}

#[tokio::test]
async fn a_topic_that_she_leaves_is_taken_out_and_the_last_one_ends_the_sign_up() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back", "sleep"]).await;
    story.leave(1, Scope::Topic(1)).await;
    assert_eq!(story.texts(SIGNUPS).await, ["{2}"]);
    let words = story.texts("SELECT wording FROM signups").await;
    assert!(words[0].starts_with("I want Example Press to send me “Sleep” by email."), "{words:?}");
    assert_eq!(story.mails().await, ["confirmation: queued"]);
    story.leave(1, Scope::Topic(2)).await;
    assert_eq!(story.texts(SIGNUPS).await, ["{2} refused"]);
    assert_eq!(story.mails().await, ["confirmation: cancelled: she left"]);
}

#[tokio::test]
async fn nobody_is_reminded_who_left_or_was_suppressed_after_she_asked_even_if_it_was_lifted() {
    for leaving in [
        "INSERT INTO consents (subscriber_id, topic_id, act, source, at) VALUES (1, 1, 'withdrawn', 'page', '2026-01-12T07:00:00Z')",
        "INSERT INTO consents (subscriber_id, act, source, at) VALUES (1, 'withdrawn', 'page', '2026-01-12T07:00:00Z')",
        "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at, lifted_at, lifted_reason)
         VALUES (decode(repeat('ab', 32), 'hex'), 'test', 1, 'complaint', 'why', '2026-01-12T07:00:00Z', '2026-01-12T08:00:00Z', 'why not')",
    ] {
        let story = Story::new().await;
        story.ask("ana@example.org", &["back"]).await;
        story.send().await;
        story.run(leaving).await;
        story.app.wait(SignedDuration::from_hours(48));
        story.tend().await;
        assert_eq!(story.mails().await, ["confirmation: sent"], "{leaving}");
    }
}
