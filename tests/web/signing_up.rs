//! The sign-up page: what it asks, what it takes, and that its answer says nothing about the address.

use super::desk::{ANA, Desk, Reply};
use jiff::SignedDuration;
use tidings::{
    audience::suppression::Kind,
    base::address::EmailAddress,
    people::stop::{self, Scope, Source, Whom},
};

/// People of every standing, each with an address that says which.
const EVERYONE: [&str; 9] =
    ["new", "unconfirmed", "confirmed", "unsubscribed", "everything", "hard_bounce", "complaint", "manual", "erased"];

#[tokio::test]
async fn the_answer_is_the_same_for_every_address_on_the_page() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__HOST_PER_HOUR", "100")]).await;
    let mut answers = Vec::new();
    people(&desk).await;
    for who in EVERYONE {
        answers.push((who, desk.sign_up(&format!("{who}@example.org")).await));
    }
    all_alike(&answers, 200, "Look into your inbox");
    assert_eq!(desk.mails("new@example.org").await, ["confirmation"]);
    assert_eq!(desk.mails("confirmed@example.org").await, ["preferences_link"]);
    assert_eq!(desk.mails("unsubscribed@example.org").await, ["confirmation"]);
}

#[tokio::test]
async fn the_answer_is_the_same_for_every_address_of_the_api() {
    let desk = Desk::new().await;
    people(&desk).await;
    let key = desk.key("shop").await;
    let mut answers = Vec::new();
    for who in EVERYONE {
        answers.push((who, desk.call(&key, &format!(r#"{{"email": "{who}@example.org", "topics": ["back"]}}"#)).await));
    }
    all_alike(&answers, 202, "{\"taken\":true}");
    assert_eq!(desk.mails("new@example.org").await, ["confirmation"]);
    assert_eq!(desk.mails("confirmed@example.org").await, ["preferences_link"]);
}

#[tokio::test]
async fn the_answer_is_the_same_for_every_address_that_asks_for_its_link() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__HOST_PER_HOUR", "100")]).await;
    people(&desk).await;
    let mut answers = Vec::new();
    for who in EVERYONE {
        let email = format!("{who}@example.org");
        answers.push((who, desk.post("/preferences", &[("email", &email), ("stamp", &desk.stamp())]).await));
    }
    all_alike(&answers, 200, "Look into your inbox");
    assert_eq!(desk.mails("confirmed@example.org").await, ["preferences_link"]);
    assert_eq!(desk.mails("new@example.org").await, [""; 0]);
}

#[tokio::test]
async fn the_form_shows_what_there_is_and_the_words_that_are_agreed_to() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__STAGE_QUESTION", "Your child's birthday, so that tips fit")]).await;
    let page = desk.get("/subscribe").await;
    assert_eq!(page.status, 200);
    for part in [
        "Back care",
        "Once a week, for your back",
        "Sleep",
        "value=\"Europe/London\"",
        "<optgroup label=\"Asia\">",
        "so that tips fit",
        "data-guess",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(page.body.contains(&tidings::signup::wording("Example Press", &[])), "{}", page.body);
    assert!(!page.body.contains(" checked"), "a mark that she did not make herself is no consent");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("; script-src 'self'; ")));
    desk.run("UPDATE topics SET open = false WHERE slug = 'sleep'").await;
    let page = desk.get("/subscribe").await;
    assert!(
        page.body.contains("I want Example Press to send me “Back care” by email") && !page.body.contains("type=\"checkbox\""),
        "{}",
        page.body
    );
    desk.run("UPDATE topics SET open = false").await;
    assert!(desk.get("/subscribe").await.body.contains("Nothing to subscribe to"));
    assert!(desk.sign_up(ANA).await.body.contains("Nothing to subscribe to"));
}

#[tokio::test]
async fn what_she_fills_in_waits_in_the_sign_up() {
    let desk = Desk::new().await;
    let page = desk.get("/subscribe").await;
    desk.app.wait(SignedDuration::from_secs(3));
    let mut fields = page.hidden();
    for (name, value) in
        [("email", "Ana@Example.org"), ("name", "Ana"), ("topics", "back"), ("topics", "sleep"), ("zone", "Europe/Lisbon"), ("website", "")]
    {
        fields.push((name.to_owned(), value.to_owned()));
    }
    let answer = desk.post("/subscribe", &pairs(&fields)).await;
    assert!(answer.body.contains("Look into your inbox"), "{}", answer.body);
    assert!(!answer.body.to_lowercase().contains(ANA));
    let kept: (String, String, i32) =
        sqlx::query_as("SELECT name, zone, cardinality(topics) FROM signups").fetch_one(&desk.app.db.pool).await.unwrap();
    assert_eq!(kept, ("Ana".to_owned(), "Europe/Lisbon".to_owned(), 2));
}

#[tokio::test]
async fn a_form_that_a_program_filled_in_is_thanked_and_nothing_is_done() {
    let desk = Desk::new().await;
    for (path, honest) in [
        ("/subscribe", desk.sign_up(ANA).await),
        ("/preferences", desk.post("/preferences", &[("email", ANA), ("stamp", &desk.stamp())]).await),
    ] {
        let before = desk.fingerprint().await;
        let answer = desk.post(path, &[("email", "bea@example.org"), ("website", "https://example.com"), ("stamp", &desk.stamp())]).await;
        assert_eq!(answer.seen(), honest.seen());
        assert_eq!(desk.fingerprint().await, before);
    }
}

#[tokio::test]
async fn a_form_that_comes_back_too_soon_or_too_late_is_asked_about_once_more() {
    let desk = Desk::new().await;
    for path in ["/subscribe", "/preferences"] {
        let stamp = desk.get(path).await.hidden().into_iter().find(|(name, _)| name == "stamp").expect("a stamp").1;
        let before = desk.fingerprint().await;
        let fields = [("email", ANA), ("stamp", stamp.as_str())];
        for wait in [0, 2] {
            desk.app.wait(SignedDuration::from_secs(wait));
            let answer = desk.post(path, &fields).await;
            assert!(answer.status == 200 && answer.body.contains("One more step"), "{path}: {}", answer.body);
            assert!(answer.hidden().contains(&("stamp".to_owned(), stamp.clone())), "its time goes on");
        }
        assert_eq!(desk.fingerprint().await, before);
        desk.app.wait(SignedDuration::from_secs(1));
        assert!(desk.post(path, &fields).await.body.contains("Look into your inbox"));
        desk.app.wait(SignedDuration::from_hours(24));
        let late = desk.post(path, &fields).await;
        assert!(late.body.contains("One more step"));
        assert!(!late.hidden().contains(&("stamp".to_owned(), stamp)));
    }
}

#[tokio::test]
async fn a_plain_form_on_another_site_needs_one_more_press() {
    let desk = Desk::new().await;
    let before = desk.fingerprint().await;
    let fields =
        [("email", ANA), ("name", "\"><script>alert(1)</script>"), ("topics", "sleep"), ("stamp", "theirs"), ("utm_source", "elsewhere")];
    let page = desk.post("/subscribe", &fields).await;
    assert!(page.status == 200 && page.body.contains("One more step") && !page.body.contains("<script>"), "{}", page.body);
    assert_eq!(page.body.matches("<button").count(), 1);
    assert!(page.body.contains("I want Example Press to send me “Sleep” by email"), "{}", page.body);
    let carried = page.hidden();
    assert!(
        carried.contains(&("name".to_owned(), fields[1].1.to_owned())) && !carried.iter().any(|(name, _)| name == "utm_source"),
        "{carried:?}"
    );
    assert_eq!(desk.fingerprint().await, before);
    let hasty = desk.post("/subscribe", &pairs(&carried)).await;
    assert!(hasty.body.contains("One more step"));
    assert_eq!(desk.fingerprint().await, before);
    desk.app.wait(SignedDuration::from_secs(3));
    assert!(desk.post("/subscribe", &pairs(&hasty.hidden())).await.body.contains("Look into your inbox"));
    assert_eq!(desk.mails(ANA).await, ["confirmation"]);
}

#[tokio::test]
async fn a_form_that_a_page_elsewhere_made_a_browser_post_needs_a_press_whatever_stamp_it_carries() {
    let desk = Desk::new().await;
    let before = desk.fingerprint().await;
    let form = super::desk::urlencoded(&[("email", ANA), ("topics", "sleep"), ("stamp", &desk.stamp())]);
    let post = async |site: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", site)];
        desk.ask("POST", "/subscribe", super::desk::HOST, &headers, form.clone()).await.body
    };
    assert!(post("cross-site").await.contains("One more step"));
    assert_eq!(desk.fingerprint().await, before);
    assert!(post("same-origin").await.contains("Look into your inbox"));
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_beside_its_field_and_nothing_is_lost() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__STAGE_QUESTION", "Since when?")]).await;
    let stamp = desk.stamp();
    let before = desk.fingerprint().await;
    let wrong = [
        ("email", vec![("email", "nobody")]),
        ("email", vec![]),
        ("name", vec![("email", ANA), ("name", "A\u{7}na")]),
        ("topics", vec![("email", ANA), ("choice", "shown")]),
        ("topics", vec![("email", ANA), ("topics", "food")]),
        ("zone", vec![("email", ANA), ("zone", "Europe/Lodnon")]),
        ("stage_date", vec![("email", ANA), ("stage_date", "yesterday")]),
        ("zone", vec![("email", ANA), ("zone", "\0")]),
    ];
    for (field, mut fields) in wrong {
        fields.push(("stamp", &stamp));
        let page = desk.post("/subscribe", &fields).await;
        assert_eq!(page.status, 422, "{fields:?}");
        assert!(page.body.contains(&format!("<a href=\"#{field}\">")), "{fields:?}: {}", page.body);
        assert!(page.body.contains(&format!("id=\"{field}-problem\"")) && page.body.contains(&format!("{field}-problem\"")), "{fields:?}");
        assert!(page.body.contains(&format!("id=\"{field}\"")), "the summary leads to the field");
        assert!(page.body.contains("<title>Please look at this again") && page.body.contains("role=\"alert\""));
        assert!(!page.body.contains("<script"));
    }
    let page = desk
        .post("/subscribe", &[("email", "no<b>ody"), ("name", "Ana"), ("topics", "sleep"), ("zone", "US/Pacific"), ("stamp", &stamp)])
        .await;
    for kept in ["value=\"no&#60;b&#62;ody\"", "value=\"Ana\"", "value=\"sleep\" checked", "value=\"US/Pacific\" selected"] {
        assert!(page.body.contains(kept), "{kept} is not in {}", page.body);
    }
    assert_eq!(desk.post("/preferences", &[("email", "nobody"), ("stamp", &stamp)]).await.status, 422);
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn a_body_that_is_no_form_changes_nothing() {
    let desk = Desk::new().await;
    let before = desk.fingerprint().await;
    let large = format!("email={}", "x".repeat(20_000));
    for path in ["/subscribe", "/preferences"] {
        for (kind, body) in
            [("application/json", "{}"), ("text/plain", "email=ana@example.org"), ("application/x-www-form-urlencoded", large.as_str())]
        {
            let answer = desk.ask("POST", path, super::desk::HOST, &[("content-type", kind)], body.to_owned()).await;
            assert_eq!(answer.status, 400, "{kind}");
            assert!(answer.body.contains("Nothing was changed."));
        }
    }
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn the_first_page_shows_what_there_is_and_where_to_go_on() {
    let desk = Desk::new().await;
    let page = desk.get("/").await;
    for part in ["Letters from Example Press", "Back care", "Once a week, for your back", "href=\"/subscribe\"", "href=\"/preferences\""] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    desk.run("UPDATE topics SET open = false").await;
    assert!(!desk.get("/").await.body.contains("href=\"/subscribe\""));
    let robots = desk.get("/robots.txt").await.body;
    assert!(["/u/", "/confirm/", "/preferences/", "/offers/"].iter().all(|path| robots.contains(&format!("Disallow: {path}\n"))));
}

#[tokio::test]
async fn a_logo_stands_on_every_page_and_comes_from_here() {
    let plain = Desk::new().await;
    assert_eq!(plain.get("/logo").await.status, 404);
    assert!(!plain.get("/").await.header("content-security-policy").unwrap().contains("img-src"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logo");
    std::fs::write(&file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\"/>").unwrap();
    let desk = Desk::with(&[("TIDINGS_SITE__LOGO", file.to_str().unwrap())]).await;
    let page = desk.get("/subscribe").await;
    assert!(page.body.contains("<img src=\"/logo\" alt=\"Example Press\">"));
    assert!(page.header("content-security-policy").unwrap().contains("img-src 'self'; script-src 'self'; "));
    let logo = desk.get("/logo").await;
    assert_eq!(logo.header("content-type"), Some("image/svg+xml"));
    assert_eq!(logo.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(logo.header("content-security-policy"), Some("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"));
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn all_alike(answers: &[(&str, Reply)], status: u16, part: &str) {
    assert_eq!(answers.len(), EVERYONE.len());
    for (who, answer) in answers {
        assert!(answer.status == status && answer.body.contains(part), "{who}: {}", answer.body);
        assert_eq!(answer.seen(), answers[0].1.seen(), "{who} is told apart from {}", answers[0].0);
    }
}

/// Everybody but the new one, and the limits as if nobody had asked for anything.
async fn people(desk: &Desk) {
    let (pool, keyring) = (&desk.app.db.pool, &desk.app.keyring);
    for who in &EVERYONE[2..] {
        let email = format!("{who}@example.org");
        sqlx::query("INSERT INTO subscribers (address, address_key, created_at) VALUES ($1, $1, now())")
            .bind(&email)
            .execute(pool)
            .await
            .expect("it is written");
        let id = desk.count("SELECT max(id) FROM subscribers").await;
        sqlx::query("INSERT INTO subscriptions VALUES ($1, 1, 'confirmed', now())").bind(id).execute(pool).await.expect("it is written");
        let address = EmailAddress::parse(&email).expect("one of ours");
        match *who {
            "confirmed" => {}
            "unsubscribed" => {
                stop::unsubscribe(pool, keyring, id, Scope::Topic(1), Source::Page, desk.app.now()).await.expect("it is written");
            }
            "everything" => {
                stop::unsubscribe(pool, keyring, id, Scope::Everything, Source::Page, desk.app.now()).await.expect("it is written");
            }
            kind => {
                let kind: Kind = Kind::parse(kind).expect("one of ours");
                stop::suppress(pool, keyring, Whom::Address(&address), kind, "a test", Source::Operator, desk.app.now())
                    .await
                    .expect("it is written");
            }
        }
    }
    desk.run("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE address_key = 'erased@example.org'").await;
    desk.sign_up("unconfirmed@example.org").await;
    desk.run("DELETE FROM asked_mails").await;
}
