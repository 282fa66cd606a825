//! Confirming and refusing, once and again, and what each stop has to say to it.

use jiff::SignedDuration;
use tidings::audience::suppression::{self, Kind};
use tidings::base::address::EmailAddress;
use tidings::campaigns::states::FirstTip;
use tidings::people::arrival::Arrival;
use tidings::people::stop::{self, Scope, Source, Whom};
use tidings::signup::{Form, PendingState};

use super::story::{Story, form, host};

fn confirmed(changed: bool) -> Arrival {
    Arrival { state: PendingState::Confirmed, changed, subscriber_id: 1, suppressed: false }
}

#[tokio::test]
async fn confirming_twice_is_confirming_once() {
    let story = Story::new().await;
    let told =
        Form { name: "Ana".into(), zone: "Europe/Madrid".into(), stage_date: "2025-11-01".into(), ..form("ana@example.org", &["back"]) };
    story.ask_with(&told, host(1)).await;
    let both = futures_util::future::join(story.confirm(), story.confirm()).await;
    assert_eq!([both.0, both.1].iter().filter(|arrival| arrival.changed).count(), 1);
    assert_eq!(story.confirm().await, confirmed(false));
    assert_eq!(story.standings().await, ["1 back confirmed"]);
    assert_eq!(story.mails().await, ["confirmation: cancelled: confirmed", "welcome: queued"]);
    assert_eq!(story.texts("SELECT concat_ws(' ', name, zone, stage_date) FROM subscribers").await, ["Ana Europe/Madrid 2025-11-01"]);
    assert_eq!(story.number("SELECT count(*) FROM consents WHERE act = 'confirmed'").await, 1);
    story.send().await;
    assert_eq!(story.mails().await[1], "welcome: sent");
}

#[tokio::test]
async fn what_the_form_says_never_overwrites_what_is_known_of_a_subscriber() {
    let story = Story::new().await;
    story.subscribed("ana@example.org", 1).await;
    story.run("UPDATE subscribers SET name = 'Ana'").await;
    let told = Form { name: "Nobody".into(), zone: "Europe/Madrid".into(), ..form("ana@example.org", &["sleep"]) };
    story.ask_with(&told, host(1)).await;
    story.confirm().await;
    assert_eq!(story.texts("SELECT concat_ws(' ', name, zone) FROM subscribers").await, ["Ana Europe/Madrid"]);
}

#[tokio::test]
async fn who_says_that_it_was_not_her_is_suppressed_and_cannot_be_signed_up_again() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    let refused = story.refuse().await;
    assert_eq!(refused, Arrival { state: PendingState::Refused, changed: true, subscriber_id: 1, suppressed: true });
    assert_eq!(story.refuse().await, Arrival { changed: false, ..refused }, "twice is once");
    assert_eq!(story.confirm().await, Arrival { changed: false, ..refused }, "and it stays so");
    assert_eq!(story.standings().await, ["1 back unconfirmed"]);
    assert_eq!(story.texts("SELECT kind || ': ' || reason FROM suppressions").await, ["manual: she said that a sign-up was not hers"]);
    story.days(2);
    story.ask("ana@example.org", &["back"]).await;
    assert!(story.send().await.is_empty());
    assert_eq!(story.mails().await[1], "confirmation: skipped: suppressed: manual");
    let address = EmailAddress::parse("ana@example.org").expect("an address");
    let mut conn = story.app.db.pool.acquire().await.expect("a connection");
    suppression::remove(&mut conn, &story.app.keyring, &address, "she wrote to us", story.app.now()).await.expect("an answer");
    drop(conn);
    assert_eq!(story.confirm().await.state, PendingState::Confirmed, "an operator lifts it with a reason");
}

#[tokio::test]
async fn refusing_after_confirming_changes_nothing() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.confirm().await;
    assert_eq!(story.refuse().await, confirmed(false));
    assert_eq!(story.standings().await, ["1 back confirmed"]);
    assert_eq!(story.number("SELECT count(*) FROM suppressions").await, 0);
}

#[tokio::test]
async fn somebody_who_left_everything_comes_back_by_confirming_to_what_she_asked_for() {
    let story = Story::new().await;
    let ana = story.subscribed("ana@example.org", 1).await;
    story.run("INSERT INTO subscriptions VALUES (1, 2, 'confirmed', now())").await;
    story.leave(ana, Scope::Everything).await;
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.send().await.len(), 1, "the confirmation that she asked for goes to her");
    assert_eq!(story.confirm().await, confirmed(true));
    assert_eq!(story.standings().await, ["1 back confirmed", "1 sleep unsubscribed"], "nothing comes back that she did not ask for");
    assert_eq!(story.texts("SELECT kind || ': ' || lifted_reason FROM suppressions").await, ["unsubscribe_all: she confirmed a sign-up"]);
    assert_eq!(story.send().await.len(), 1, "and the welcome");
}

#[tokio::test]
async fn somebody_who_was_erased_comes_back_as_somebody_new() {
    let story = Story::new().await;
    let ana = story.subscribed("ana@example.org", 1).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    stop::suppress(pool, keyring, Whom::Subscriber(ana), Kind::Erased, "erased", Source::Operator, now).await.expect("a stop");
    story.run("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now()").await;
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.texts("SELECT subscriber_id::text FROM suppressions").await, ["2"]);
    assert_eq!(story.send().await.len(), 1);
    assert_eq!(story.confirm().await, Arrival { subscriber_id: 2, ..confirmed(true) });
    assert_eq!(story.number("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL").await, 0);
    assert_eq!(story.send().await.len(), 1);
}

#[tokio::test]
async fn whose_address_bounced_or_who_complained_is_not_mailed_whatever_she_confirms() {
    for kind in [Kind::HardBounce, Kind::Complaint, Kind::Manual] {
        let story = Story::new().await;
        story.campaign(FirstTip::AtOnce).await;
        let address = EmailAddress::parse("ana@example.org").expect("an address");
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        stop::suppress(pool, keyring, Whom::Address(&address), kind, "why", Source::Relay, now).await.expect("a stop");
        story.ask("ana@example.org", &["back"]).await;
        assert_eq!(story.confirm().await, Arrival { suppressed: true, ..confirmed(true) });
        assert_eq!(story.standings().await, ["1 back confirmed"]);
        assert!(story.send().await.is_empty());
        assert_eq!(story.mails().await[1..], [format!("welcome: skipped: suppressed: {}", kind.as_str())], "no tip either");
        assert_eq!(story.number("SELECT count(*) FROM suppressions WHERE lifted_at IS NULL").await, 1);
    }
}

#[tokio::test]
async fn the_first_tip_comes_at_once_where_the_campaign_says_so() {
    let story = Story::new().await;
    story.campaign(FirstTip::AtOnce).await;
    story.ask("ana@example.org", &["back", "sleep"]).await;
    story.confirm().await;
    assert_eq!(story.mails().await[1..], ["weekly_tip: queued", "welcome: queued"]);
    assert_eq!(story.texts("SELECT segment_id::text FROM segments_given").await, ["2"], "the first tip is for weeks that are not hers");
    let welcome = story.texts("SELECT context::text FROM deliveries WHERE template = 'welcome'").await;
    let welcome: serde_json::Value = serde_json::from_str(&welcome[0]).expect("JSON");
    assert_eq!(
        welcome,
        serde_json::json!({ "topics": ["Back care", "Sleep"], "coming": [{ "topic": "Back care", "at": null, "zone": null }] })
    );
    assert_eq!(story.send().await.len(), 2);
    // Monday morning: Tuesday's edition is within 72 hours.
    story.app.wait(SignedDuration::from_hours(27));
    story.plan().await;
    assert_eq!(story.texts("SELECT concat_ws(' ', edition_id, state) FROM deliveries WHERE edition_id IS NOT NULL").await, ["1 queued"]);
    story.claim_edition(1).await;
    let regular = "SELECT concat_ws(' ', state, reason) FROM deliveries WHERE edition_id IS NOT NULL";
    assert_eq!(story.texts(regular).await, ["skipped tip within 72 hours"]);
    assert_eq!(story.texts("SELECT segment_id::text FROM segments_given").await, ["2"]);
}

#[tokio::test]
async fn the_first_tip_fits_her_stage_and_is_given_once_in_a_life() {
    let story = Story::new().await;
    story.campaign(FirstTip::AtOnce).await;
    let told = Form { stage_date: "2025-12-01".into(), ..form("ana@example.org", &["back"]) };
    story.ask_with(&told, host(1)).await;
    story.confirm().await;
    assert_eq!(story.texts("SELECT segment_id::text FROM segments_given").await, ["1"]);
    story.send().await;
    story.days(10);
    story.leave(1, Scope::Topic(1)).await;
    story.ask("ana@example.org", &["back"]).await;
    story.confirm().await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE template = 'weekly_tip'").await, 1);
}

#[tokio::test]
async fn the_first_tip_comes_on_the_next_regular_day_where_the_campaign_says_so() {
    let story = Story::new().await;
    story.campaign(FirstTip::Next).await;
    story.ask_with(&Form { zone: "America/New_York".into(), ..form("ana@example.org", &["back"]) }, host(1)).await;
    story.confirm().await;
    assert_eq!(story.mails().await[1..], ["welcome: queued"]);
    let coming = story.texts("SELECT context->>'coming' FROM deliveries WHERE template = 'welcome'").await;
    let coming: serde_json::Value = serde_json::from_str(&coming[0]).expect("JSON");
    assert_eq!(coming, serde_json::json!([{ "topic": "Back care", "at": "2026-01-13T14:00:00Z", "zone": "America/New_York" }]));
}
