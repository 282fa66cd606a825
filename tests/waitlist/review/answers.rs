//! Answers that meet others: a deadlock, a bounce at the same moment, a sweep in which something else fails.

use tidings::jobs;
use tidings::waitlist::offer::{Acceptance, Over};
use tidings::waitlist::opening::NewOpening;
use tidings::waitlist::program;
use tidings::waitlist::states::AfterExpiry;

use crate::support::story::Story;
use crate::waitlist::stage::{HOUR, SLUG, Stage, new_opening, particulars};

#[tokio::test]
async fn an_act_that_met_another_in_a_deadlock_is_done_again() {
    let (stage, entries) = Stage::with(2).await;
    stage.open(2).await;
    for statement in [
        "CREATE SEQUENCE tries",
        "CREATE FUNCTION meets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') % 2 = 1 THEN RAISE EXCEPTION 'met another' USING ERRCODE = 'deadlock_detected'; END IF;
            RETURN NEW; END $$",
        "CREATE TRIGGER meets BEFORE UPDATE ON offers FOR EACH ROW EXECUTE FUNCTION meets()",
    ] {
        stage.run(statement).await.unwrap();
    }
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Accepted);
    assert!(stage.withdraw(entries[0]).await.freed);
    program::close(&mut *stage.conn().await, SLUG, stage.now()).await.unwrap();
    assert_eq!(stage.states(&entries).await, ["withdrawn", "waiting"]);
}

#[tokio::test]
async fn a_mail_that_fails_between_two_looks_at_its_offer_is_an_answer_and_no_error() {
    let (stage, entries) = Stage::with(1).await;
    stage.open(1).await;
    // The first look finds it well; from the second on its mail has come back.
    for statement in [
        "CREATE SEQUENCE looks",
        "ALTER VIEW offer_terms RENAME TO true_terms",
        "CREATE VIEW offer_terms AS SELECT t.offer_id, t.program_id, t.opening_id, t.entry_id, t.subscriber_id, t.state, t.reserving, t.offered_at,
            t.handed_over_at, t.ends_at, t.expires_at, CASE WHEN l.failed THEN '-infinity' ELSE t.over_at END AS over_at, t.then,
            CASE WHEN l.failed THEN '554 refused' END AS undeliverable, t.suppressed, t.no_address, t.reminded
        FROM true_terms t CROSS JOIN LATERAL (SELECT nextval('looks') + 0 * t.offer_id > 1 AS failed OFFSET 0) l",
    ] {
        stage.run(statement).await.unwrap();
    }
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Revoked { reason: "undeliverable: 554 refused".to_owned() }));
    assert!(stage.number("SELECT last_value FROM looks").await > 1);
}

#[tokio::test]
async fn an_answer_looks_at_her_own_offer_alone() {
    let (stage, entries) = Stage::with(3).await;
    stage.edit(|program| program.after_expiry = AfterExpiry::Keep).await;
    stage.open(3).await;
    stage.post().await;
    stage.app.wait(HOUR * 48);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Expired));
    assert_eq!(stage.states(&entries).await, ["waiting", "offered", "offered"], "the others are settled by whoever gives the next offer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_fails_in_a_sweep_the_waitlists_are_tended() {
    let mut story = Story::new().await;
    story.app.may_leave_work();
    let now = story.app.now();
    let mut conn = story.conn().await;
    program::create(&mut conn, SLUG, &particulars(), now).await.unwrap();
    let new = NewOpening { opens_at: now + HOUR, ..new_opening(now) };
    tidings::waitlist::opening::create(&mut conn, SLUG, &new, now).await.unwrap();
    drop(conn);
    story.app.wait(HOUR);
    story.tamper("ALTER TABLE campaigns RENAME TO gone").await;
    story.tamper("ALTER TABLE asked_mails RENAME TO gone_too").await;
    let failed = jobs::sweep(&story.jobs(vec![])).await.unwrap_err();
    assert!(format!("{failed:#}").contains("campaigns"), "{failed:#}");
    assert_eq!(story.texts("SELECT state FROM openings").await, ["open"]);
}
