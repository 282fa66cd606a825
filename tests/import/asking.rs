//! Those who came in unconfirmed are asked, once each, at a limited rate, under the limits of their addresses.

use jiff::SignedDuration;
use tidings::people::unimport;
use tidings::signup::ask::{self, AskError};
use tidings::signup::{Desk, tend};

use super::{import, run, suppress, texts, topic};
use crate::support::TestApp;

#[tokio::test]
async fn each_is_asked_once_at_the_rate_that_was_said_and_nobody_who_left_or_is_suppressed() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    suppress(&app, "p3@example.org").await;
    let imported = import(&app, Some(&back), None, people(10)).await.expect("an import");
    assert_eq!((imported.counts.new, imported.counts.left_alone), (9, 1));
    suppress(&app, "p4@example.org").await;
    run(
        &app,
        "UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = (SELECT id FROM subscribers WHERE address LIKE 'p5%')",
    )
    .await;
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    let preview = ask::preview(&mut conn, imported.id, 60, app.now()).await.expect("a preview");
    assert_eq!((preview.people, asked(&app).await), (7, 0));
    let asking = ask::begin(&mut conn, imported.id, 60, app.now()).await.expect("an asking");
    assert_eq!((asking.people, asking.until), (7, app.now() + SignedDuration::from_mins(6)));
    for asked_by_then in [1, 2, 3] {
        sweep(&app).await;
        sweep(&app).await;
        assert_eq!(asked(&app).await, asked_by_then, "one a minute, however often the sweep comes");
        app.wait(SignedDuration::from_mins(1));
    }
    // The worker was away: it makes up for a minute, and no more.
    app.wait(SignedDuration::from_hours(5));
    sweep(&app).await;
    assert_eq!(asked(&app).await, 5);
    for _ in 0..5 {
        app.wait(SignedDuration::from_mins(1));
        sweep(&app).await;
    }
    assert_eq!(asked(&app).await, 7);
    let mails = texts(&app, "SELECT DISTINCT concat_ws(' ', basis, template, context->'topics') FROM deliveries").await;
    assert_eq!(mails, [r#"confirmation confirmation ["Back care"]"#]);
    assert_eq!(texts(&app, "SELECT id::text FROM imports WHERE ask_per_hour IS NOT NULL").await, [""; 0], "it is over");

    let again = ask::begin(&mut conn, imported.id, 60, app.now()).await.expect("an asking");
    app.wait(SignedDuration::from_hours(24 * 9));
    sweep(&app).await;
    assert_eq!((again.people, asked(&app).await), (0, 7), "nobody is asked twice, though her link is no longer of use");
}

#[tokio::test]
async fn the_limits_of_an_address_hold_and_an_undoing_ends_the_asking() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    let imported = import(&app, Some(&back), None, people(4)).await.expect("an import");
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    ask::begin(&mut conn, imported.id, 3_600, app.now()).await.expect("an asking");
    // One whose address had a mail an hour ago.
    tidings::signup::limits::may_mail(&mut conn, &app.keyring, &app.config.signup, "p0@example.org", app.now()).await.expect("an answer");
    app.wait(SignedDuration::from_secs(1));
    sweep(&app).await;
    let open = "SELECT s.address FROM signups g JOIN subscribers s ON s.id = g.subscriber_id WHERE g.outcome IS NULL ORDER BY 1";
    let asked = ["p1@example.org", "p2@example.org"];
    assert_eq!(texts(&app, open).await, asked, "one at once and one a second later; whoever had a mail today is passed over");
    let undone = unimport::undo(&app.db.pool, imported.id, app.now(), |_| {}).await.expect("an undoing");
    assert_eq!((undone.undone, undone.removed), (4, 4));
    app.wait(SignedDuration::from_mins(10));
    sweep(&app).await;
    let mails = texts(&app, "SELECT state || ': ' || reason FROM deliveries").await;
    assert_eq!(mails, ["cancelled: the import was undone"; 2]);
    assert_eq!(texts(&app, open).await, [""; 0]);
    assert!(matches!(ask::begin(&mut conn, imported.id, 60, app.now()).await, Err(AskError::NotFinished(_))));
    assert!(matches!(ask::begin(&mut conn, 77, 60, app.now()).await, Err(AskError::Unknown(77))));
}

#[tokio::test]
async fn whoever_was_asked_and_did_not_answer_stays_the_operators() {
    let app = TestApp::new().await;
    let back = topic(&app, "Back care").await;
    let imported = import(&app, Some(&back), None, people(1)).await.expect("an import");
    let mut conn = app.db.pool.acquire().await.expect("a connection");
    ask::begin(&mut conn, imported.id, 60, app.now()).await.expect("an asking");
    sweep(&app).await;
    app.wait(SignedDuration::from_hours(24 * 31));
    sweep(&app).await;
    let desk = Desk { pool: &app.db.pool, keyring: &app.keyring, rules: &app.config.signup, publisher: "Example Press" };
    tend::prune(&desk, app.now()).await.expect("a pruning");
    assert_eq!(texts(&app, "SELECT concat_ws(' ', outcome, wording) FROM signups").await, ["expired"], "the sign-up is forgotten");
    assert_eq!(texts(&app, "SELECT address FROM subscribers").await, ["p0@example.org"]);
}

fn people(n: u32) -> String {
    "email\n".to_owned() + &(0..n).map(|n| format!("p{n}@example.org\n")).collect::<String>()
}

async fn sweep(app: &TestApp) {
    let desk = Desk { pool: &app.db.pool, keyring: &app.keyring, rules: &app.config.signup, publisher: "Example Press" };
    tend::sweep(&desk, app.now()).await.expect("a sweep");
}

async fn asked(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM transactional WHERE kind = 'confirmation'").fetch_one(&app.db.pool).await.expect("a count")
}
