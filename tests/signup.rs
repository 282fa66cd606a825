//! Signing up: what is asked, confirmed and refused, what becomes of it with time, and what a stranger cannot do.

mod arrival;
mod first_tip;
mod leaving;
mod limits;
mod story;

use jiff::SignedDuration;
use ring::rand::SystemRandom;
use tidings::audience::suppression::Kind;
use tidings::people::arrival::Arrival;
use tidings::people::stop::{self, Scope, Source, Whom};
use tidings::signup::keys::{self, Found, Scope as KeyScope};
use tidings::signup::{self, Answer, Form, PendingState};

use crate::support::TestApp;
use story::{Story, form, host};

#[tokio::test]
async fn who_signs_up_is_asked_and_subscribed_to_nothing_yet() {
    let story = Story::new().await;
    let form =
        Form { name: "Ana".into(), zone: "europe/madrid".into(), stage_date: "2025-11-01".into(), ..form("Ana@example.org", &["back"]) };
    assert_eq!(story.ask_with(&form, host(1)).await, Answer::Taken);
    assert_eq!(story.standings().await, ["1 back unconfirmed"]);
    assert_eq!(story.texts("SELECT concat_ws(' ', address, name, zone, stage_date) FROM subscribers").await, ["Ana@example.org"]);
    let words = "I want Example Press to send me “Back care” by email. I can stop this at any time with the link in every mail.";
    assert_eq!(
        story.texts("SELECT concat_ws('|', act, wording, source, length(origin_hash)) FROM consents").await,
        [format!("asked|{words}|page|32")]
    );
    let context =
        story.texts("SELECT context::text FROM deliveries WHERE basis = 'confirmation' AND valid_until = '2026-01-19T06:00:00Z'").await;
    let context: serde_json::Value = serde_json::from_str(&context[0]).expect("JSON");
    assert_eq!(
        context,
        serde_json::json!({ "signup": 1, "topics": ["Back care"], "programs": [], "wording": words, "expires": "2026-01-19T06:00:00Z", "zone": "Europe/Madrid" })
    );
    let pending = signup::pending(&story.app.db.pool, 1, story.app.now()).await.expect("an answer").expect("a sign-up");
    assert_eq!(
        (pending.state, pending.topics, pending.wording),
        (PendingState::Open, vec!["Back care".to_owned()], Some(words.to_owned()))
    );
    assert!(signup::pending(&story.app.db.pool, 2, story.app.now()).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_further_wish_adds_to_the_open_one_and_is_mailed_when_the_limit_allows() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.ask("ana@example.org", &["sleep"]).await;
    assert_eq!(story.mails().await, ["confirmation: queued"]);
    assert_eq!(story.texts("SELECT topics::text FROM signups").await, ["{2,1}"]);
    assert_eq!(story.texts("SELECT topic_id::text FROM consents ORDER BY id").await, ["1", "2"]);
    story.days(2);
    story.ask("ana@example.org", &["sleep"]).await;
    let (said, until) =
        ("SELECT context->>'topics' FROM deliveries ORDER BY id", "SELECT (expires_at = '2026-01-21T06:00:00Z')::text FROM signups");
    assert_eq!(story.texts(said).await, ["[\"Back care\"]", "[\"Back care\", \"Sleep\"]"]);
    assert_eq!(story.texts(until).await, ["true"], "the second mail's link works for seven days again");
}

#[tokio::test]
async fn somebody_who_is_subscribed_to_all_of_it_is_mailed_her_link_under_the_same_limits() {
    let story = Story::new().await;
    story.subscribed("ana@example.org", 1).await;
    for _ in 0..5 {
        assert_eq!(story.ask("ANA@example.org", &["back"]).await, Answer::Taken);
        story.link("ana@example.org").await;
    }
    assert_eq!(story.mails().await, ["preferences_link: queued"]);
    assert_eq!(story.number("SELECT count(*) FROM signups").await, 0);
    assert_eq!(story.texts("SELECT owner FROM transactional").await, ["link:1:2026-01-12T06:00:00Z"]);
}

#[tokio::test]
async fn a_strangers_sign_up_changes_nothing_about_a_person() {
    let story = Story::new().await;
    story.subscribed("ana@example.org", 1).await;
    story.run("UPDATE subscribers SET name = 'Ana', zone = 'Europe/London'").await;
    let before = story.texts("SELECT s::text FROM subscribers s UNION ALL SELECT s::text FROM subscriptions s WHERE topic_id = 1").await;
    let prank = Form {
        name: "Nobody".into(),
        zone: "Asia/Tokyo".into(),
        stage_date: "2001-01-01".into(),
        ..form("ana@example.org", &["back", "sleep"])
    };
    story.ask_with(&prank, host(1)).await;
    let after = story.texts("SELECT s::text FROM subscribers s UNION ALL SELECT s::text FROM subscriptions s WHERE topic_id = 1").await;
    assert_eq!(before, after);
    assert_eq!(story.standings().await, ["1 back confirmed", "1 sleep unconfirmed"]);
    let refused = story.refuse().await;
    assert_eq!(refused, Arrival { state: PendingState::Refused, changed: true, subscriber_id: 1, suppressed: false });
    assert_eq!(story.number("SELECT count(*) FROM suppressions").await, 0, "a prank does not end her letters");
    assert_eq!(story.mails().await, ["confirmation: cancelled: refused"]);
}

#[tokio::test]
async fn whoever_lost_the_link_is_asked_again_or_mailed_or_nobody() {
    let story = Story::new().await;
    story.link("nobody@example.org").await;
    assert_eq!(story.number("SELECT count(*) FROM subscribers").await, 0);
    story.ask("ana@example.org", &["back"]).await;
    story.days(1);
    story.link("ana@example.org").await;
    assert_eq!(story.mails().await, ["confirmation: queued", "confirmation: queued"]);
}

#[tokio::test]
async fn a_suppressed_address_is_answered_alike_and_the_ledger_says_why_nothing_came() {
    let story = Story::new().await;
    for (n, kind) in [Kind::HardBounce, Kind::Complaint, Kind::Manual].into_iter().enumerate() {
        let email = format!("p{n}@example.org");
        let address = tidings::base::address::EmailAddress::parse(&email).expect("an address");
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        stop::suppress(pool, keyring, Whom::Address(&address), kind, "why", Source::Operator, now).await.expect("a stop");
        assert_eq!(story.ask(&email, &["back"]).await, Answer::Taken);
    }
    assert!(story.send().await.is_empty());
    let skipped = ["hard_bounce", "complaint", "manual"].map(|kind| format!("confirmation: skipped: suppressed: {kind}"));
    assert_eq!(story.mails().await, skipped);
    let pending = signup::pending(&story.app.db.pool, 1, story.app.now()).await.expect("an answer").expect("a sign-up");
    assert!(pending.suppressed);
}

#[tokio::test]
async fn one_reminder_goes_after_two_days_and_never_another() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.send().await;
    story.app.wait(SignedDuration::from_hours(48) - SignedDuration::from_secs(1));
    story.tend().await;
    assert_eq!(story.mails().await.len(), 1);
    story.app.wait(SignedDuration::from_secs(1));
    futures_util::future::join_all((0..5).map(|_| story.tend())).await;
    assert_eq!(story.mails().await, ["confirmation: sent", "reminder: queued"]);
    story.days(3);
    story.tend().await;
    assert_eq!(story.mails().await.len(), 2);
}

#[tokio::test]
async fn nobody_is_reminded_who_asked_again_or_was_never_reached() {
    let story = Story::new().await;
    story.ask("again@example.org", &["back"]).await;
    story.send().await;
    story.ask("unreached@example.org", &["back"]).await;
    story.days(1);
    story.ask("again@example.org", &["back"]).await;
    story.days(2);
    story.tend().await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE template = 'reminder'").await, 0);
}

#[tokio::test]
async fn a_link_works_for_seven_days_and_then_a_new_sign_up_begins() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.days(7);
    let late = story.confirm().await;
    assert_eq!((late.state, late.changed), (PendingState::Expired, false));
    assert_eq!(story.standings().await, ["1 back unconfirmed"]);
    story.ask("ana@example.org", &["sleep"]).await;
    assert_eq!(story.texts("SELECT concat_ws(' ', topics::text, outcome) FROM signups ORDER BY id").await, ["{1} expired", "{2}"]);
    assert_eq!(story.confirm().await.state, PendingState::Confirmed);
    assert_eq!(story.standings().await, ["1 back unconfirmed", "1 sleep confirmed"]);
}

#[tokio::test]
async fn what_is_over_is_closed_and_its_mails_do_not_leave() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.days(7);
    story.tend().await;
    assert_eq!(story.texts("SELECT outcome FROM signups").await, ["expired"]);
    assert_eq!(story.mails().await, ["confirmation: cancelled: the sign-up expired"]);
}

#[tokio::test]
async fn what_nobody_confirmed_is_forgotten_after_thirty_days() {
    let story = Story::new().await;
    story.subscribed("known@example.org", 1).await;
    for email in ["ana@example.org", "known@example.org"] {
        let told = Form { name: "Ana".into(), stage_date: "2025-11-01".into(), ..form(email, &["sleep"]) };
        story.ask_with(&told, host(1)).await;
    }
    story
        .run("INSERT INTO subscriber_events (subscriber_id, at, what, source, before, after) VALUES (2, now(), 'name', 'page', 'A', 'Ana')")
        .await;
    story.run("INSERT INTO consents (subscriber_id, topic_id, act, wording, source, at) VALUES (2, 2, 'withdrawn', 'Ana called', 'operator', now())").await;
    story.days(30);
    story.tend().await;
    assert_eq!(story.texts("SELECT concat_ws(' ', what, before, after) FROM subscriber_events WHERE subscriber_id = 2").await, ["name"]);
    assert_eq!(
        story
            .texts("SELECT concat_ws(' ', act, wording LIKE '%Ana%', origin_hash) FROM consents WHERE subscriber_id = 2 ORDER BY id")
            .await,
        ["asked f", "withdrawn"]
    );
    assert_eq!(
        story.texts("SELECT concat_ws(' ', outcome, wording, name, zone, stage_date, origin_hash) FROM signups").await,
        ["expired", "expired"]
    );
    assert_eq!(story.texts("SELECT address FROM subscribers WHERE erased_at IS NULL").await, ["known@example.org"]);
    assert_eq!(story.texts("SELECT concat_ws(' ', address, address_key, name) FROM subscribers WHERE id = 2").await, [""]);
    assert_eq!(story.number("SELECT count(*) FROM suppressions").await, 0);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE context IS NOT NULL").await, 0);
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.confirm().await.subscriber_id, 3, "she begins anew");
}

#[tokio::test]
async fn whoever_an_operator_imported_is_not_forgotten_with_a_strangers_sign_up() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["sleep"]).await;
    story.run("INSERT INTO subscriptions VALUES (1, 1, 'unconfirmed', now())").await;
    story.days(31);
    story.tend().await;
    assert_eq!(story.texts("SELECT address FROM subscribers").await, ["ana@example.org"]);
}

#[tokio::test]
async fn the_words_and_the_hashed_origin_are_the_consent_of_whoever_confirms() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back", "sleep"]).await;
    story.app.wait(SignedDuration::from_hours(1));
    story.confirm().await;
    let acts = story.texts("SELECT concat_ws(' ', act, topic_id, source, wording LIKE '%“Back care” and “Sleep”%', length(origin_hash), (at AT TIME ZONE 'UTC')::time) FROM consents ORDER BY id").await;
    assert_eq!(
        acts,
        ["asked 1 page t 32 06:00:00", "asked 2 page t 32 06:00:00", "confirmed 1 page t 32 07:00:00", "confirmed 2 page t 32 07:00:00"]
    );
}

#[tokio::test]
async fn a_key_is_found_by_its_secret_until_it_is_revoked() {
    let app = TestApp::new().await;
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    let secret = keys::create(&mut conn, "site", KeyScope::Subscribe, &SystemRandom::new(), app.now()).await.expect("a key");
    assert!(secret.starts_with("tidings_") && secret.len() == 51, "{secret}");
    assert_eq!(keys::find(&mut conn, &secret, KeyScope::Subscribe, app.now()).await.expect("an answer"), Some(1));
    assert_eq!(keys::find(&mut conn, &format!("{secret}x"), KeyScope::Subscribe, app.now()).await.expect("an answer"), None);
    let again = keys::create(&mut conn, "site", KeyScope::Subscribe, &SystemRandom::new(), app.now()).await;
    assert!(matches!(again, Err(keys::KeyError::NameTaken(_))));
    assert!(keys::revoke(&mut conn, "site", app.now()).await.expect("an answer"));
    assert!(!keys::revoke(&mut conn, "site", app.now()).await.expect("an answer"));
    assert_eq!(keys::look_up(&mut conn, &secret, KeyScope::Subscribe, app.now()).await.expect("an answer"), Found::Nothing);
    assert!(matches!(keys::revoke(&mut conn, "other", app.now()).await, Err(keys::KeyError::Unknown(_))));
    let kept: String = sqlx::query_scalar("SELECT string_agg(k::text, '') FROM api_keys k").fetch_one(&mut *conn).await.expect("rows");
    assert!(!kept.contains(&secret["tidings_".len()..]), "the secret is not kept");
}

#[tokio::test]
async fn operators_make_keys_and_describe_topics_at_the_command_line() {
    let story = Story::new().await;
    let run = |arguments: &[&str]| {
        let output = story.app.binary().args(arguments).output().expect("the binary");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (_, said) = run(&["key", "create", "site", "--scope", "subscribe", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("tidings_")), "{said}");
    assert!(run(&["key", "list"]).1.contains("subscribe"));
    assert!(run(&["key", "revoke", "site"]).1.contains("is revoked"));
    assert!(!run(&["key", "create", "site", "--scope", "everything"]).0);
    assert!(run(&["topic", "edit", "back", "--description", "One exercise a week.", "--closed"]).0);
    let (_, listed) = run(&["topic", "list", "--json"]);
    let topics: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&topics[0]["description"], &topics[0]["open"]), (&"One exercise a week.".into(), &false.into()));
    assert!(
        !run(&["topic", "edit", "back"]).0
            && !run(&["topic", "edit", "back", "--name", ""]).0
            && !run(&["topic", "edit", "backs", "--open"]).0
    );
    assert_eq!(
        story.texts("SELECT act || ': ' || detail FROM operator_acts ORDER BY id").await,
        ["key created: site: subscribe", "key revoked: site", "topic edited: description: One exercise a week.; closed",]
    );
    let open = story.open().await;
    assert_eq!(open.iter().map(|topic| topic.slug.as_str()).collect::<Vec<_>>(), ["sleep"], "what is closed is not offered");
}

#[tokio::test]
async fn leaving_one_topic_keeps_a_stranger_from_bringing_it_back() {
    let story = Story::new().await;
    let ana = story.subscribed("ana@example.org", 1).await;
    story.leave(ana, Scope::Topic(1)).await;
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.standings().await, ["1 back unsubscribed"]);
    story.confirm().await;
    assert_eq!(story.standings().await, ["1 back confirmed"], "but she herself does");
}

#[tokio::test]
async fn a_stranger_adds_to_an_open_sign_up_and_rewrites_nothing_of_it() {
    let story = Story::new().await;
    let hers = Form { name: "Ana".into(), ..form("ana@example.org", &["back"]) };
    story.ask_with(&hers, host(1)).await;
    let (before, seen) = (story.texts("SELECT origin_hash::text FROM signups").await, story.seen().await);
    let strange = Form { name: "Nobody".into(), stage_date: "2001-01-01".into(), ..form("ana@example.org", &["back"]) };
    story.ask_with(&strange, host(2)).await;
    assert_eq!(story.texts("SELECT concat_ws(' ', name, stage_date, source) FROM signups").await, ["Ana 2001-01-01 page"]);
    assert_eq!(story.texts("SELECT origin_hash::text FROM signups").await, before);
    let arrival = story.confirm_what(&seen).await;
    assert_eq!((arrival.state, arrival.changed), (PendingState::Open, false), "that date is not what she saw");
    assert_eq!(story.standings().await, ["1 back unconfirmed"]);
    assert_eq!(story.confirm().await.state, PendingState::Confirmed, "now she saw it");
}

#[tokio::test]
async fn a_link_that_nothing_may_be_mailed_for_spends_nothing_of_the_address() {
    for kind in [Kind::UnsubscribeAll, Kind::Complaint] {
        let story = Story::new().await;
        story.subscribed("ana@example.org", 1).await;
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        stop::suppress(pool, keyring, Whom::Subscriber(1), kind, "why", Source::Page, now).await.expect("a stop");
        assert_eq!(story.link("ana@example.org").await, Answer::Taken);
        assert!(story.mails().await.is_empty());
        assert_eq!(story.number("SELECT count(*) FROM asked_mails").await, 0);
    }
}

#[tokio::test]
async fn a_sign_up_whose_link_was_prolonged_is_open_as_long_as_its_mail_says() {
    let story = Story::with(&[("TIDINGS_SIGNUP__KEEP_UNCONFIRMED", "8d")]).await;
    story.ask("ana@example.org", &["back"]).await;
    story.days(5);
    story.ask("ana@example.org", &["back"]).await;
    story.days(4);
    story.tend().await;
    assert_eq!(story.confirm().await.state, PendingState::Confirmed);
}

#[tokio::test]
async fn what_expires_waits_for_whoever_holds_her_row_and_then_looks_again() {
    let story = Story::new().await;
    story.ask("ana@example.org", &["back"]).await;
    story.days(7);
    let mut asking = story.app.db.pool.begin().await.expect("a transaction");
    signup::store::lock(&mut asking, 1).await.expect("her row");
    let prolonged = async {
        until_somebody_waits(&story).await;
        let later = story.app.now() + SignedDuration::from_hours(24);
        signup::store::prolong(&mut asking, 1, later).await.expect("an answer");
        asking.commit().await.expect("a commit");
    };
    futures_util::future::join(story.tend(), prolonged).await;
    assert_eq!(story.number("SELECT count(*) FROM signups WHERE outcome IS NULL").await, 1);
}

async fn until_somebody_waits(story: &Story) {
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    while story.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}
