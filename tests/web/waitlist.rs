//! The page of a program and its form, the same for programs over the API, and the confirmation that comes of it.

use super::desk::{ANA, Desk, HOST, Reply, urlencoded};
use crate::waitlist::stage::new_opening;
use jiff::SignedDuration;
use tidings::{
    audience::suppression::Kind,
    base::address::EmailAddress,
    people::stop::{self, Scope, Source, Whom},
    waitlist::{
        entry, offer,
        opening::{self, NewOpening},
        program,
    },
};

const PATH: &str = "/waitlist/course";
const API: &str = "/api/v1/waitlist/course";

/// People of every standing, each with an address that says which.
const EVERYONE: [&str; 12] = [
    "new",
    "unconfirmed",
    "waiting",
    "offered",
    "seated",
    "withdrawn",
    "removed",
    "everything",
    "hard_bounce",
    "complaint",
    "manual",
    "subscriber",
];

#[tokio::test]
async fn the_answer_is_the_same_for_every_address_on_the_page_and_of_the_api() {
    for api in [false, true] {
        let desk = Desk::with(&[("TIDINGS_SIGNUP__HOST_PER_HOUR", "100")]).await;
        people(&desk).await;
        let key = desk.key("shop").await;
        let ask = async |email: &str| match api {
            true => desk.call_at(API, &key, &format!(r#"{{"email": "{email}"}}"#)).await,
            false => desk.join(email).await,
        };
        let mut answers = Vec::new();
        for who in EVERYONE {
            answers.push((who, ask(&format!("{who}@example.org")).await));
        }
        all_alike(&answers, if api { (202, "{\"taken\":true}") } else { (200, "Look into your inbox") });
        for (who, mails) in [
            ("new", &["confirmation"][..]),
            ("waiting", &["confirmation", "joined", "preferences_link"]),
            ("everything", &["confirmation", "joined", "confirmation"]),
            ("withdrawn", &["confirmation", "joined", "confirmation"]),
            ("subscriber", &["confirmation"]),
        ] {
            assert_eq!(desk.mails(&format!("{who}@example.org")).await, mails, "{who}");
        }
        let mut conn = desk.conn().await;
        program::close(&mut conn, "course", desk.app.now()).await.unwrap();
        let before = desk.fingerprint().await;
        let mut answers = Vec::new();
        for who in EVERYONE {
            let mut answer = ask(&format!("{who}@example.org")).await;
            // What she typed is nowhere on the page of a closed waitlist, and its form is gone.
            answer.body = answer.body.replace("<", "\n<");
            answers.push((who, answer));
        }
        all_alike(&answers, if api { (409, "nobody can join") } else { (200, "nobody can join") });
        assert_eq!(desk.fingerprint().await, before);
    }
}

#[tokio::test]
async fn the_page_says_what_the_program_is_how_its_line_stands_and_what_is_agreed_to() {
    let desk = Desk::new().await;
    let id = desk.program().await;
    desk.run("UPDATE programs SET name = 'Course <b>', description = E'Ten evenings & a book.\\n\\nIn <Exampleton>.', starts_at = '2026-03-01T12:00:00Z'").await;
    let page = desk.get(PATH).await;
    assert_eq!(page.status, 200);
    for part in [
        "<h1>Course &#60;b&#62;</h1>",
        "<p>Ten evenings &#38; a book.</p>",
        "<p>In &#60;Exampleton&#62;.</p>",
        "It starts on 1 March 2026.",
        "Nobody waits at the moment. The day of the next opening is not set yet.",
        "I want to be put on the waitlist of “Course &#60;b&#62;”, and Example Press may write to me",
        "<optgroup label=\"Asia\">",
        "data-guess",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("; script-src 'self'; ")));
    desk.run("UPDATE programs SET name = 'Course'").await;
    for n in 0..2 {
        desk.waits(&format!("person-{n}@example.org")).await;
    }
    assert!(desk.get(PATH).await.body.contains("2 people wait at the moment."));
    let open = |at: SignedDuration| NewOpening { opens_at: desk.app.now() + at, ..new_opening(desk.app.now()) };
    let mut conn = desk.conn().await;
    opening::create(&mut conn, "course", &open(SignedDuration::from_hours(24)), desk.app.now()).await.unwrap();
    assert!(desk.get(PATH).await.body.contains("The next seats are offered from Tuesday, 13 January 2026, 06:00 (Europe/London time) on"));
    desk.app.wait(SignedDuration::from_hours(24));
    assert!(desk.get(PATH).await.body.contains("Seats are being offered now"), "whether or not a sweep has been there");
    opening::advance(&mut conn, id, desk.app.now()).await.unwrap();
    let first = desk.count("SELECT max(id) FROM offers").await;
    offer::accept(&mut conn, first, desk.app.now()).await.unwrap();
    let full = desk.get(PATH).await.body;
    assert!(full.contains("every seat is taken") && full.contains("One person waits"), "{full}");
    program::close(&mut conn, "course", desk.app.now()).await.unwrap();
    let closed = desk.get(PATH).await;
    assert!(closed.status == 200 && closed.body.contains("The waitlist is closed") && !closed.body.contains("<form"), "{}", closed.body);
}

#[tokio::test]
async fn a_program_that_there_is_not_has_the_page_that_there_is_not() {
    let desk = Desk::new().await;
    desk.program().await;
    let known = desk.get("/nowhere").await;
    assert_eq!(known.status, 404);
    for slug in ["none", "Course", "course%20", "%ff", "%00", "..%2fsubscribe"] {
        let path = format!("/waitlist/{slug}");
        assert_eq!(desk.get(&path).await.seen(), known.seen(), "{slug}");
        assert_eq!(desk.post(&path, &[("email", ANA), ("stamp", &desk.stamp())]).await.seen(), known.seen(), "{slug}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM subscribers").await, 0);
}

#[tokio::test]
async fn a_form_from_elsewhere_too_soon_or_filled_in_by_a_program_is_met_as_on_the_sign_up_page() {
    let desk = Desk::new().await;
    desk.program().await;
    let before = desk.fingerprint().await;
    let by_program = desk.post(PATH, &[("email", "bea@example.org"), ("website", "https://example.com"), ("stamp", &desk.stamp())]).await;
    assert_eq!(desk.fingerprint().await, before);
    let stamp = desk.get(PATH).await.hidden().into_iter().find(|(name, _)| name == "stamp").expect("a stamp").1;
    let plain = [
        ("email", ANA),
        ("name", "\"><script>alert(1)</script>"),
        ("zone", "Europe/Lisbon"),
        ("topics", "back"),
        ("stamp", stamp.as_str()),
    ];
    let page = desk.post(PATH, &plain).await;
    assert!(page.status == 200 && page.body.contains("One more step") && !page.body.contains("<script>"), "{}", page.body);
    assert!(
        page.body.contains("I want to be put on the waitlist of “The autumn course”") && page.body.contains("Join the waitlist</button>")
    );
    let carried = page.hidden();
    let names: Vec<&str> = carried.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["stamp", "email", "name", "zone"]);
    let elsewhere = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    let posted = urlencoded(&[("email", ANA), ("stamp", &desk.stamp())]);
    assert!(desk.ask("POST", PATH, HOST, &elsewhere, posted).await.body.contains("One more step"));
    assert_eq!(desk.fingerprint().await, before);
    desk.app.wait(SignedDuration::from_secs(3));
    let pairs: Vec<_> = carried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(desk.post(PATH, &pairs).await.seen(), by_program.seen());
    assert_eq!(desk.mails(ANA).await, ["confirmation"]);
    assert_eq!(desk.count("SELECT count(*) FROM signups WHERE zone = 'Europe/Lisbon' AND topics = '{}'").await, 1);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_beside_its_field_and_nothing_is_lost() {
    let desk = Desk::new().await;
    desk.program().await;
    let stamp = desk.stamp();
    let before = desk.fingerprint().await;
    for (field, mut fields) in [
        ("email", vec![("email", "nobody")]),
        ("email", vec![]),
        ("name", vec![("email", ANA), ("name", "A\u{7}na")]),
        ("zone", vec![("email", ANA), ("zone", "Europe/Lodnon")]),
    ] {
        fields.push(("stamp", &stamp));
        let page = desk.post(PATH, &fields).await;
        assert_eq!(page.status, 422, "{fields:?}");
        for part in
            [format!("<a href=\"#{field}\">"), format!("id=\"{field}-problem\""), format!("id=\"{field}\""), "role=\"alert\"".to_owned()]
        {
            assert!(page.body.contains(&part), "{part}: {}", page.body);
        }
        assert!(!page.body.contains("<script"));
    }
    let page = desk.post(PATH, &[("email", "no<b>ody"), ("name", "Ana"), ("zone", "US/Pacific"), ("stamp", &stamp)]).await;
    for kept in ["value=\"no&#60;b&#62;ody\"", "value=\"Ana\"", "value=\"US/Pacific\" selected"] {
        assert!(page.body.contains(kept), "{kept} is not in {}", page.body);
    }
    for (kind, body) in [("application/json", "{}"), ("application/x-www-form-urlencoded", &"x=1&".repeat(6_000))] {
        assert_eq!(desk.ask("POST", PATH, HOST, &[("content-type", kind)], body.to_owned()).await.status, 400);
    }
    assert_eq!(desk.fingerprint().await, before);
}

#[tokio::test]
async fn the_api_asks_for_a_key_first_then_for_a_program_then_for_the_fields() {
    let desk = Desk::new().await;
    desk.program().await;
    let key = desk.key("shop").await;
    let before = desk.fingerprint().await;
    assert_eq!(desk.ask("POST", API, HOST, &[], "{}").await.status, 401);
    assert_eq!(desk.ask("POST", "/api/v1/waitlist/none", HOST, &[], "{}").await.status, 401);
    assert_eq!(desk.call_at("/api/v1/waitlist/none", &key, r#"{"email": "ana@example.org"}"#).await.status, 404);
    assert_eq!(desk.call_at("/api/v1/waitlist/%ff", &key, "{}").await.status, 404);
    for (body, field) in [
        (r#"{}"#, "email"),
        (r#"{"email": "nobody"}"#, "email"),
        (r#"{"email": 7}"#, "email"),
        (r#"{"email": "ana@example.org", "zone": "Nowhere/Land"}"#, "zone"),
        (r#"{"email": "ana@example.org", "topics": ["back"]}"#, "topics"),
        (r#"{"email": "ana@example.org", "name": "a\u0000b"}"#, "name"),
    ] {
        let answer = desk.call_at(API, &key, body).await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, told["error"]["field"].as_str()), (422, Some(field)), "{body}: {told}");
    }
    assert_eq!(desk.ask("GET", API, HOST, &[("authorization", &format!("Bearer {key}"))], "").await.status, 405);
    desk.run("UPDATE api_keys SET last_used_at = NULL").await;
    assert_eq!(desk.fingerprint().await, before);
    let answer = desk.call_at(API, &key, r#"{"email": "ana@example.org", "name": "Ana", "zone": "europe/lisbon"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, "{\"taken\":true}\n"));
    assert_eq!(desk.count("SELECT count(*) FROM signups WHERE source = 'api' AND zone = 'Europe/Lisbon' AND name = 'Ana'").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM entries WHERE state = 'unconfirmed'").await, 1);
}

#[tokio::test]
async fn the_confirmation_page_asks_for_what_was_asked_and_then_says_where_she_stands() {
    let desk = Desk::new().await;
    desk.program().await;
    desk.join(ANA).await;
    let link = desk.confirm_link().await;
    let page = desk.get(&link).await;
    for part in [
        "Is it you who wants to wait for a seat?",
        "asked Example Press to put you on the waitlist of “The autumn course”",
        "Yes, put me on the waitlist",
        "This was not me",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(!page.body.contains("/waitlist/course/"), "the address is not proven to be hers yet");
    for _ in 0..2 {
        let done = desk.confirm(&link).await;
        assert!(
            done.body.contains("You are number 1 of 1 on the waitlist of “The autumn course”, since 12 January 2026."),
            "{}",
            done.body
        );
        assert!(done.body.contains("Your address is confirmed") && done.body.contains(&desk.place(1)), "{}", done.body);
    }
    entry::withdraw(&mut *desk.conn().await, 1, desk.app.now()).await.unwrap();
    assert!(desk.get(&link).await.body.contains("You are not on the waitlist of “The autumn course”"));
    // Letters and a waitlist together.
    desk.app.wait(SignedDuration::from_hours(48));
    desk.join("bea@example.org").await;
    desk.sign_up("bea@example.org").await;
    let link = desk.confirm_link().await;
    let page = desk.get(&link).await;
    assert!(
        page.body.contains("Yes, that was me") && page.body.contains("“Back care”, and to be put on the waitlist of “The autumn course”."),
        "{}",
        page.body
    );
    let done = desk.confirm(&link).await.body;
    assert!(
        done.contains("you get “Back care”") && done.contains("You are number 1 of 1") && done.contains("A welcome is on its way"),
        "{done}"
    );
    // Refused, and too old.
    desk.join("cleo@example.org").await;
    let refused = desk.post(&desk.confirm_link().await, &[("act", "refuse")]).await;
    assert!(
        refused.body.contains("You will not be put on the waitlist") && refused.body.contains("cannot be signed up"),
        "{}",
        refused.body
    );
    desk.join("dora@example.org").await;
    desk.app.wait(SignedDuration::from_hours(7 * 24));
    let old = desk.get(&desk.confirm_link().await).await.body;
    assert!(
        old.contains("This link is too old") && old.contains("href=\"/waitlist/course\"") && !old.contains("href=\"/subscribe\""),
        "{old}"
    );
}

fn all_alike(answers: &[(&str, Reply)], (status, part): (u16, &str)) {
    assert_eq!(answers.len(), EVERYONE.len());
    for (who, answer) in answers {
        assert!(answer.status == status && answer.body.contains(part), "{who}: {}", answer.body);
        assert_eq!(answer.seen(), answers[0].1.seen(), "{who} is told apart from {}", answers[0].0);
    }
}

/// Everybody but the new one, and the limits as if nobody had asked for anything.
async fn people(desk: &Desk) {
    let (pool, keyring) = (&desk.app.db.pool, &desk.app.keyring);
    let program = desk.program().await;
    for who in ["seated", "offered", "waiting", "withdrawn", "removed", "everything"] {
        let entry_id = desk.waits(&format!("{who}@example.org")).await;
        let (mut conn, now) = (desk.conn().await, desk.app.now());
        match who {
            "seated" => {
                desk.open(2).await;
                offer::accept(&mut conn, 1, now).await.map(drop).expect("an answer");
            }
            "offered" => opening::advance(&mut conn, program, now).await.map(drop).expect("an answer"),
            "withdrawn" => entry::withdraw(&mut conn, entry_id, now).await.map(drop).expect("an answer"),
            "removed" => entry::remove(&mut conn, entry_id, "a test", now).await.map(drop).expect("an answer"),
            "everything" => {
                let subscriber = desk.count("SELECT max(id) FROM subscribers").await;
                stop::unsubscribe(pool, keyring, subscriber, Scope::Everything, Source::Page, now).await.map(drop).expect("an answer");
            }
            _ => {}
        }
        desk.app.wait(SignedDuration::from_hours(1));
    }
    desk.join("unconfirmed@example.org").await;
    for kind in ["hard_bounce", "complaint", "manual"] {
        let address = EmailAddress::parse(&format!("{kind}@example.org")).expect("an answer");
        let kind = Kind::parse(kind).expect("one of ours");
        stop::suppress(pool, keyring, Whom::Address(&address), kind, "a test", Source::Operator, desk.app.now()).await.expect("an answer");
    }
    desk.run(
        "INSERT INTO subscribers (address, address_key, created_at) VALUES ('subscriber@example.org', 'subscriber@example.org', now())",
    )
    .await;
    desk.run("INSERT INTO subscriptions SELECT max(id), 1, 'confirmed', now() FROM subscribers").await;
    desk.run("DELETE FROM asked_mails").await;
    desk.run("DELETE FROM request_counts").await;
    let states = "SELECT count(DISTINCT state) FROM entries";
    assert_eq!(desk.count(states).await, 6, "one of each");
}
