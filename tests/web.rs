//! The public pages over a real connection: leaving in every form, taking it back, and what changes nothing.

mod api;
mod confirming;
mod desk;
mod limits;
mod offers;
mod pages;
mod places;
mod preferences;
mod signing_up;
mod waitlist;

use jiff::SignedDuration;
use pages::Pages;
use tidings::base::token::{self, UnsubscribeToken};

const URLENCODED: &str = "application/x-www-form-urlencoded";
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const MULTIPART: &str = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";

#[tokio::test]
async fn looking_at_a_link_changes_nothing() {
    let pages = Pages::new().await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let answer = pages.ask(method, &pages.link, &[], "").await;
        assert_eq!(answer.status, if matches!(method, "GET" | "HEAD") { 200 } else { 405 }, "{method}");
        assert_eq!(pages.standing().await, ("confirmed".to_owned(), 0));
    }
    let page = pages.get(&pages.link).await;
    assert_eq!(page.body.matches("<button").count(), 1);
    assert!(page.body.contains("You are subscribed to “Sleep &#38; &#60;rest&#62;”"), "{}", page.body);
    assert!(!page.body.contains("<script"));
}

#[tokio::test]
async fn one_click_is_done_before_it_is_answered_in_both_forms_and_any_number_of_times() {
    for (kind, body) in [(URLENCODED, ONE_CLICK), ("multipart/form-data; boundary=b", MULTIPART)] {
        let pages = Pages::new().await;
        let delivery = pages.queue().await;
        for _ in 0..3 {
            let answer = pages.post(&pages.link, kind, body).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("location"), None);
            assert_eq!(answer.header("set-cookie"), None);
            assert_eq!(pages.standing().await.0, "unsubscribed");
            assert_eq!(pages.state_of(delivery).await, "skipped");
        }
        assert_eq!(pages.count("SELECT count(*) FROM consents WHERE act = 'withdrawn' AND source = 'one_click'").await, 1);
    }
}

#[tokio::test]
async fn a_link_of_four_hundred_days_ago_still_works() {
    let pages = Pages::new().await;
    pages.app.wait(SignedDuration::from_hours(400 * 24));
    assert_eq!(pages.post(&pages.link, URLENCODED, ONE_CLICK).await.status, 200);
    assert_eq!(pages.standing().await.0, "unsubscribed");
}

#[tokio::test]
async fn a_wrong_body_changes_nothing() {
    let pages = Pages::new().await;
    for (kind, body) in [
        (URLENCODED, ""),
        (URLENCODED, "List-Unsubscribe=Yes"),
        ("application/json", "{}"),
        ("text/plain", ONE_CLICK),
        ("multipart/form-data; boundary=b", ONE_CLICK),
        (URLENCODED, &"x=1&".repeat(20_000)),
    ] {
        let answer = pages.post(&pages.link, kind, body).await;
        assert_eq!(answer.status, 400, "{kind} {}", &body[..body.len().min(40)]);
        assert!(answer.body.contains("Nothing was changed."));
    }
    assert_eq!(pages.standing().await, ("confirmed".to_owned(), 0));
}

#[tokio::test]
async fn leaving_one_topic_can_be_taken_back_for_thirty_minutes() {
    let pages = Pages::new().await;
    let delivery = pages.queue().await;
    let left = pages.post(&pages.link, URLENCODED, "act=leave&from=topic").await;
    assert!(left.body.contains("You have left") && left.body.contains("for 30 more minutes"), "{}", left.body);
    assert_eq!(pages.state_of(delivery).await, "skipped");
    pages.app.wait(SignedDuration::from_mins(29));
    assert!(pages.get(&pages.link).await.body.contains("for one more minute"));
    let back = pages.post(&pages.link, URLENCODED, "act=undo").await;
    assert!(back.body.contains("You are subscribed"), "{}", back.body);
    assert_eq!(pages.standing().await, ("confirmed".to_owned(), 0));
    assert_eq!(pages.state_of(delivery).await, "queued");
    pages.cancel(delivery).await;
}

#[tokio::test]
async fn after_thirty_minutes_the_page_offers_no_undo_and_takes_none() {
    let pages = Pages::new().await;
    pages.post(&pages.link, URLENCODED, "act=leave&from=topic").await;
    pages.app.wait(SignedDuration::from_secs(30 * 60 + 1));
    assert!(!pages.get(&pages.link).await.body.contains("Undo"));
    let answer = pages.post(&pages.link, URLENCODED, "act=undo").await;
    assert!(answer.body.contains("You have left"));
    assert_eq!(pages.standing().await.0, "unsubscribed");
}

#[tokio::test]
async fn leaving_everything_stops_everything_and_can_be_taken_back() {
    let pages = Pages::new().await;
    let left = pages.post(&pages.link, URLENCODED, "act=leave&from=everything").await;
    assert!(left.body.contains("Example Press sends you no letters any more."), "{}", left.body);
    assert_eq!(pages.standing().await, ("confirmed".to_owned(), 1));
    pages.post(&pages.link, URLENCODED, "act=undo").await;
    assert_eq!(pages.standing().await, ("confirmed".to_owned(), 0));
}

#[tokio::test]
async fn after_one_topic_everything_can_still_be_left() {
    let pages = Pages::new().await;
    let left = pages.post(&pages.link, URLENCODED, "act=leave&from=topic").await;
    assert!(left.body.contains("Stop every letter instead"));
    pages.post(&pages.link, URLENCODED, "act=leave&from=everything").await;
    assert_eq!(pages.standing().await, ("unsubscribed".to_owned(), 1));
}

#[tokio::test]
async fn a_suppressed_person_is_told_and_can_leave_all_the_same() {
    let pages = Pages::new().await;
    sqlx::query(
        "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
         VALUES (decode(repeat('ab', 32), 'hex'), 'test', $1, 'hard_bounce', 'refused', now())",
    )
    .bind(pages.subscriber)
    .execute(&pages.app.db.pool)
    .await
    .unwrap();
    let page = pages.get(&pages.link).await;
    assert!(page.body.contains("stopped for another reason") && page.body.contains(">Unsubscribe</button>"), "{}", page.body);
}

#[tokio::test]
async fn every_invalid_link_gets_one_and_the_same_page() {
    let pages = Pages::new().await;
    let token = pages.link.trim_start_matches("/u/").to_owned();
    let stranger = token::unsubscribe(&pages.app.keyring, UnsubscribeToken { subscriber_id: 999_999, topic_id: pages.topic });
    let elsewhere = token::unsubscribe(&pages.app.keyring, UnsubscribeToken { subscriber_id: pages.subscriber, topic_id: 999_999 });
    let other_key = token::unsubscribe(
        &tidings::base::keys::Keyring::of_secret([9; 32]),
        UnsubscribeToken { subscriber_id: pages.subscriber, topic_id: pages.topic },
    );
    let flipped = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    let known = pages.get("/u/x").await;
    assert_eq!(known.status, 404);
    for wrong in [&stranger, &elsewhere, &other_key, &flipped, &token[..20], "%ff", "%00", "..%2f..", &"a".repeat(3000)] {
        let path = format!("/u/{wrong}");
        let (seen, posted) = (pages.get(&path).await, pages.post(&path, URLENCODED, ONE_CLICK).await);
        assert_eq!((seen.status, &seen.body), (known.status, &known.body), "{wrong}");
        assert_eq!((posted.status, &posted.body), (known.status, &known.body), "{wrong}");
    }
    assert_eq!(pages.standing().await, ("confirmed".to_owned(), 0));
}

#[tokio::test]
async fn every_answer_is_strict_about_what_a_page_may_do() {
    let pages = Pages::new().await;
    for path in ["/", &pages.link, "/u/x", "/nowhere", "/healthz", "/readyz", "/metrics", "/style.css"] {
        let answer = pages.get(path).await;
        assert!(
            answer.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'; style-src 'self'")),
            "{path}"
        );
        assert_eq!(answer.header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert_eq!(answer.header("location"), None, "{path}");
    }
    assert_eq!(pages.get(&pages.link).await.header("cache-control").as_deref(), Some("no-store"));
}

#[tokio::test]
async fn any_host_is_answered() {
    let pages = Pages::new().await;
    let answer = pages.ask("GET", "/", &[("Host", "anything.example:99")], "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("Letters from Example Press"));
}

#[tokio::test]
async fn readiness_needs_the_newest_schema() {
    let pages = Pages::new().await;
    assert_eq!(pages.get("/healthz").await.status, 200);
    assert_eq!(pages.get("/readyz").await.status, 200);
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .execute(&pages.app.db.pool)
        .await
        .unwrap();
    let answer = pages.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("tidings migrate"), "{}", answer.body);
    pages.app.db.pool.close().await;
    assert_eq!(pages.get("/readyz").await.status, 503);
    assert_eq!(pages.get("/healthz").await.status, 200);
    let page = pages.get(&pages.link).await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("failed on our side"));
}

#[tokio::test]
async fn metrics_count_the_ledger_by_state() {
    let pages = Pages::new().await;
    let delivery = pages.queue().await;
    let body = pages.get("/metrics").await.body;
    for line in [
        "tidings_database_up 1",
        "tidings_deliveries{state=\"sent\"}",
        "tidings_last_replies{code=\"none\"}",
        "tidings_queue_depth",
        "tidings_jobs{state=\"Pending\"}",
        "tidings_workers 0",
    ] {
        assert!(body.contains(line), "{line} is not in {body}");
    }
    pages.cancel(delivery).await;
}
