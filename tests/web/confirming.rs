//! The page behind a confirmation's link: what each of its buttons does, how often, and that looking does nothing.

use super::desk::{ANA, Desk, HOST};
use jiff::SignedDuration;
use tidings::base::token::{self, Purpose, UnsubscribeToken};

#[tokio::test]
async fn the_page_shows_what_would_be_confirmed_and_a_press_confirms_it_once() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    let page = desk.get(&link).await;
    assert!(
        page.body.contains("I want Example Press to send me “Back care” by email") && page.body.contains("This was not me"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("href=\"/preferences/"), "the address is not proven to be hers yet");
    for _ in 0..2 {
        let done = desk.confirm(&link).await;
        assert!(done.status == 200 && done.body.contains("You are subscribed") && done.body.contains("role=\"status\""), "{}", done.body);
    }
    let seen = desk.get(&link).await;
    assert!(seen.body.contains("You are subscribed") && seen.body.contains("href=\"/preferences/"), "{}", seen.body);
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM consents WHERE act = 'confirmed'").await, 1);
    assert_eq!(desk.mails(ANA).await, ["confirmation", "welcome"]);
    let late = desk.post(&link, &[("act", "refuse")]).await;
    assert!(late.body.contains("You are subscribed"));
    assert_eq!(desk.count("SELECT count(*) FROM suppressions").await, 0);
}

#[tokio::test]
async fn whoever_says_that_it_was_not_her_is_left_alone() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    for _ in 0..2 {
        let done = desk.post(&link, &[("act", "refuse")]).await;
        assert!(
            done.status == 200 && done.body.contains("You will not be subscribed") && done.body.contains("cannot be signed up"),
            "{}",
            done.body
        );
    }
    assert!(desk.confirm(&link).await.body.contains("You will not be subscribed"));
    assert_eq!(desk.count("SELECT count(*) FROM suppressions WHERE kind = 'manual' AND lifted_at IS NULL").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 0);
}

#[tokio::test]
async fn a_link_that_is_too_old_says_so_and_confirms_nothing() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    desk.app.wait(SignedDuration::from_hours(7 * 24));
    for page in [desk.get(&link).await, desk.confirm(&link).await] {
        assert!(
            page.status == 200 && page.body.contains("This link is too old") && page.body.contains("href=\"/subscribe\""),
            "{}",
            page.body
        );
    }
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 0);
}

#[tokio::test]
async fn a_suppressed_person_who_confirms_is_told_that_nothing_comes() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    desk.run(
        "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
        SELECT decode(repeat('ab', 32), 'hex'), 'test', id, 'hard_bounce', 'refused', now() FROM subscribers",
    )
    .await;
    assert!(desk.get(&link).await.body.contains("nothing would be sent to you"));
    assert!(desk.confirm(&link).await.body.contains("so nothing is sent to you at present"));
}

#[tokio::test]
async fn a_page_that_was_opened_before_somebody_added_to_the_sign_up_confirms_nothing() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    let opened = desk.get(&link).await.hidden();
    let opened: Vec<(&str, &str)> =
        opened.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|field| field.1 != "refuse").collect();
    let more = [("email", ANA), ("choice", "shown"), ("topics", "sleep"), ("name", "Somebody <else>"), ("stamp", &desk.stamp())];
    desk.post("/subscribe", &more).await;
    let page = desk.post(&link, &opened).await;
    for words in ["has changed since you opened this page", "“Back care” and “Sleep”", "Name: Somebody &#60;else&#62;", "Yes, subscribe me"]
    {
        assert!(page.status == 200 && page.body.contains(words), "{words} in {}", page.body);
    }
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 0);
    assert!(desk.confirm(&link).await.body.contains("You are subscribed"));
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 2);
}

#[tokio::test]
async fn a_body_that_is_none_of_its_buttons_changes_nothing() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let link = desk.confirm_link().await;
    let before = desk.fingerprint().await;
    for fields in [&[][..], &[("act", "")], &[("act", "confirm")], &[("act", "yes")], &[("List-Unsubscribe", "One-Click")]] {
        assert_eq!(desk.post(&link, fields).await.status, 400, "{fields:?}");
    }
    let json = desk.ask("POST", &link, HOST, &[("content-type", "application/json")], "{\"act\":\"confirm\"}").await;
    assert_eq!(json.status, 400);
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn a_link_of_another_purpose_or_key_gets_the_one_page_for_invalid_links() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let known = desk.get("/u/x").await;
    assert_eq!(known.status, 404);
    let id = desk.count("SELECT max(id) FROM signups").await;
    let before = desk.fingerprint().await;
    for token in [
        "x".to_owned(),
        token::of_id(&desk.app.keyring, Purpose::Preferences, id),
        token::of_id(&desk.app.keyring, Purpose::Confirm, id + 1),
        token::of_id(&tidings::base::keys::Keyring::of_secret([9; 32]), Purpose::Confirm, id),
        "%ff".to_owned(),
    ] {
        let path = format!("/confirm/{token}");
        assert_eq!(desk.get(&path).await.seen(), known.seen(), "{token}");
        assert_eq!(desk.post(&path, &[("act", "confirm"), ("seen", "x")]).await.seen(), known.seen(), "{token}");
    }
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn looking_at_any_page_changes_nothing() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let confirm = desk.confirm_link().await;
    let leave = format!("/u/{}", token::unsubscribe(&desk.app.keyring, UnsubscribeToken { subscriber_id: 1, topic_id: 1 }));
    let preferences = format!("/preferences/{}", token::of_id(&desk.app.keyring, Purpose::Preferences, 1));
    let key = format!("Bearer {}", desk.key("shop").await);
    let before = desk.fingerprint().await;
    let paths =
        ["/", "/subscribe", "/subscribe?email=bea@example.org", &confirm, "/preferences", &preferences, &leave, "/api/v1/subscriptions"];
    let plain = ["/style.css", "/zone.js", "/logo", "/robots.txt", "/healthz", "/readyz", "/metrics", "/nowhere"];
    for path in paths.into_iter().chain(plain) {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"] {
            let body = format!("email=bea@example.org&act=confirm&stamp={}", desk.stamp());
            let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", key.as_str())];
            let answer = desk.ask(method, path, HOST, &headers, body).await;
            assert!(answer.status < 500, "{method} {path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
        }
    }
    assert_eq!(desk.fingerprint().await, before);
    // The fingerprint sees what a press changes.
    desk.confirm(&confirm).await;
    assert_ne!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn every_page_forbids_what_it_does_not_need() {
    let desk = Desk::new().await;
    desk.sign_up(ANA).await;
    let confirm = desk.confirm_link().await;
    for path in ["/", "/subscribe", &confirm, "/preferences", "/nowhere", "/zone.js"] {
        let answer = desk.get(path).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; ") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.ends_with("form-action 'self'; base-uri 'none'; frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("script-src"), path == "/subscribe", "{path}: {policy}");
        assert_eq!(answer.body.contains("<script"), path == "/subscribe", "{path}");
        assert!(answer.header("permissions-policy").is_some_and(|policy| policy.contains("geolocation=()")), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert_eq!(answer.header("cache-control"), Some(if path == "/zone.js" { "public, max-age=3600" } else { "no-store" }), "{path}");
    }
}
