//! An import taken back: what it changed is as it was, and what people did themselves since stands.

use std::net::{IpAddr, Ipv4Addr};

use jiff::SignedDuration;
use tidings::audience::topic::Topic;
use tidings::people::arrival;
use tidings::people::stop::{self, Scope, Source};
use tidings::people::unimport::{self, Left, UndoError, Undone};
use tidings::signup::{self, Answer, Desk, Form, Origin, Request};

use super::{contents, import, run, standings, texts, topic};
use crate::support::TestApp;
use crate::support::story::Story;

#[tokio::test]
async fn an_undone_import_leaves_everything_as_it_was_but_for_what_people_did_since() {
    let app = TestApp::new().await;
    let (back, sleep) = (topic(&app, "Back care").await, topic(&app, "Sleep").await);
    import(&app, Some(&back), None, "email\nasked@example.org\n").await.expect("an import");
    import(&app, Some(&back), Some("a card"), "email\nknown@example.org\n").await.expect("an import");
    app.wait(SignedDuration::from_hours(1));
    let file = "email,name,zone\nasked@example.org,Ada,\nknown@example.org,Kai,Europe/London\nnew@example.org,Nell,\n\
                left@example.org,Lea,\nboth@example.org,Bo,\nmoved@example.org,Mo,\n";
    let imported = import(&app, Some(&back), Some("a form"), file).await.expect("an import");
    app.wait(SignedDuration::from_hours(1));
    let left = id(&app, "left@example.org").await;
    stop::unsubscribe(&app.db.pool, &app.keyring, left, Scope::Topic(back.id), Source::Page, app.now()).await.expect("a stop");
    import(&app, Some(&sleep), Some("a card"), "email\nboth@example.org\n").await.expect("an import");
    run(&app, "INSERT INTO subscriber_events (subscriber_id, at, what, source, before, after) SELECT id, '2026-01-12T09:00:00Z', 'name', 'page', 'Mo', 'Maud' FROM subscribers WHERE address LIKE 'moved%'").await;
    run(&app, "UPDATE subscribers SET name = 'Maud' WHERE address LIKE 'moved%'").await;

    let (undone, who) = undo(&app, imported.id).await.expect("an undoing");
    assert_eq!(undone, Undone { undone: 5, removed: 1, left: 1, skipped: 0 });
    assert_eq!(who, [Left { email: Some("left@example.org".to_owned()), reason: "unsubscribed on 2026-01-12".to_owned() }]);
    assert_eq!(
        standings(&app).await,
        ["asked@example.org unconfirmed", "known@example.org confirmed", "both@example.org confirmed", "left@example.org unsubscribed"]
    );
    let particulars =
        texts(&app, "SELECT concat_ws(' ', address, name, zone) FROM subscribers WHERE address IS NOT NULL ORDER BY id").await;
    assert_eq!(particulars, ["asked@example.org", "known@example.org", "both@example.org", "left@example.org", "moved@example.org Maud"]);
    let withdrawn = texts(&app, "SELECT count(*)::text FROM consents WHERE act = 'withdrawn' AND source = 'import'").await;
    assert_eq!(withdrawn, ["4"], "of those whom it had confirmed and who had not left");
    assert_eq!(texts(&app, "SELECT kind FROM suppressions").await, [""; 0], "nobody is suppressed");
    let history = "SELECT concat_ws(' ', c.act, c.wording) FROM subscribers s JOIN consents c ON c.subscriber_id = s.id WHERE s.erased_at IS NOT NULL ORDER BY c.id";
    assert_eq!(texts(&app, history).await, ["confirmed", "withdrawn"], "the acts stay, the evidence about her goes");
    assert!(matches!(undo(&app, imported.id).await, Err(UndoError::Already(_))));
    assert!(matches!(undo(&app, 99).await, Err(UndoError::Unknown(99))));

    let again = import(&app, Some(&back), Some("a form"), file).await.expect("an import");
    assert_eq!((again.counts.new, again.counts.changed, again.counts.unchanged, again.counts.left_alone), (1, 4, 0, 1));
}

#[tokio::test]
async fn an_undoing_that_broke_off_goes_on_and_an_import_that_broke_off_can_be_undone() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    let before = contents(&app).await;
    let file: String = "email,name\n".to_owned() + &(0..2_500).map(|n| format!("p{n}@example.org,P{n}\n")).collect::<String>();
    let imported = import(&app, Some(&back), Some("a card"), file.clone()).await.expect("an import");
    // As a kill after the first batch leaves it, and a kill after the first portion.
    run(&app, "UPDATE imports SET finished_at = NULL, rows_done = 2000").await;
    run(&app, "UPDATE imports SET undoing_at = now()").await;
    let error = import(&app, Some(&back), Some("a card"), file.clone()).await.expect_err("it is being undone").to_string();
    assert!(error.contains("`tidings import undo 1` finishes that"), "{error}");
    let (undone, _) = undo(&app, imported.id).await.expect("an undoing");
    assert_eq!((undone.undone, undone.removed), (2_500, 2_500));
    assert_eq!((standings(&app).await, texts(&app, "SELECT address FROM subscribers WHERE address IS NOT NULL").await), (before, vec![]));
    let again = import(&app, Some(&back), Some("a card"), file).await.expect("an import");
    assert_ne!(again.id, imported.id, "it is an import of its own");
    assert_eq!(again.counts.new, 2_500);
}

#[tokio::test]
async fn what_waits_on_the_word_of_an_import_is_skipped_when_it_is_undone() {
    let story = Story::ready(2, 20).await;
    story.turn_to("2026-01-13T08:40:00Z");
    story.plan().await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, 20);
    let said = story.tidings(&["import", "undo", "1", "--yes"]).await;
    assert_eq!(
        said,
        "Import 1: undone for 20 people, of whom 20 are subscribers no more; 0 acted themselves since and were left. 20 waiting mails were skipped.\n"
    );
    assert_eq!(story.texts("SELECT DISTINCT state || ': ' || reason FROM deliveries").await, ["skipped: suppressed: erased"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0);
    let refused = story.tidings_refuses(&["import", "undo", "1"]).await;
    assert!(refused.contains("undone already"), "{refused}");
}

#[tokio::test]
async fn what_she_typed_and_confirmed_herself_stays_when_an_import_is_undone() {
    let app = TestApp::new().await;
    let (back, sleep) = (topic(&app, "Back care").await, topic(&app, "Sleep").await);
    ask(&app, &sleep, "before@example.org", "Bea", 1).await;
    app.wait(SignedDuration::from_hours(1));
    let file = "email,name,zone\nbefore@example.org,B,Europe/London\nafter@example.org,A,Europe/London\n";
    let imported = import(&app, Some(&back), None, file).await.expect("an import");
    app.wait(SignedDuration::from_hours(1));
    ask(&app, &sleep, "after@example.org", "Ada", 2).await;
    for id in [1, 2] {
        let seen = tidings::signup::pending(&app.db.pool, id, app.now()).await.expect("an answer").expect("a sign-up").seen;
        arrival::confirm(&app.db.pool, &app.keyring, id, &seen, app.now()).await.expect("an answer").expect("a sign-up");
    }
    let events =
        texts(&app, "SELECT concat_ws(' ', what, source, before, after) FROM subscriber_events WHERE source <> 'import' ORDER BY id").await;
    assert_eq!(events, ["name page B Bea", "name page A Ada"]);
    let (undone, _) = undo(&app, imported.id).await.expect("an undoing");
    assert_eq!((undone.undone, undone.removed), (2, 0));
    let left = texts(&app, "SELECT concat_ws(' ', address, name, zone) FROM subscribers ORDER BY address").await;
    assert_eq!(left, ["after@example.org Ada", "before@example.org Bea"]);
}

async fn ask(app: &TestApp, topic: &Topic, email: &str, name: &str, host: u8) {
    let rules = &app.config.signup;
    let desk = Desk { pool: &app.db.pool, keyring: &app.keyring, rules, publisher: "Example Press" };
    let open = signup::open_topics(&mut app.db.pool.acquire().await.expect("a connection")).await.expect("topics");
    let form = Form { email: email.to_owned(), name: name.to_owned(), topics: vec![topic.slug.clone()], ..Form::default() };
    let request = Request::read(&form, &open, rules).expect("a form that is well");
    let origin = Origin::Host(IpAddr::V4(Ipv4Addr::new(10, host, 0, 1)));
    assert_eq!(signup::subscribe(&desk, &request, origin, app.now()).await.expect("an answer"), Answer::Taken);
}

async fn undo(app: &TestApp, import_id: i64) -> Result<(Undone, Vec<Left>), UndoError> {
    let mut left = Vec::new();
    let undone = unimport::undo(&app.db.pool, import_id, app.now(), |person| left.push(person.clone())).await?;
    Ok((undone, left))
}

async fn id(app: &TestApp, email: &str) -> i64 {
    sqlx::query_scalar("SELECT id FROM subscribers WHERE address = $1").bind(email).fetch_one(&app.db.pool).await.expect("a subscriber")
}
