//! What comes back or goes on is looked at like everything else: after an undo, after an operator's word, after a portion that was cut.

use std::sync::Arc;
use std::time::Duration;

use tidings::audience::suppression::Kind;
use tidings::campaigns::{edition, preflight as check};
use tidings::delivery::pump::letter::Letters;
use tidings::delivery::relay::MemoryBox;
use tidings::people::stop::{self, Scope, Source, Undone};

use super::stage::{self, IN_THE_LEAD, START, held, spoil_address};
use crate::support::story::{Story, WEEKLY, count, log_of, memory};

const CHECKED: &str = "SELECT checked FROM editions";

#[tokio::test]
async fn a_mail_that_an_undo_brings_back_was_looked_at_while_it_was_skipped() {
    for scope in [Scope::Topic(1), Scope::Everything] {
        let story = Story::ready(1, 5).await;
        let mails = MemoryBox::default();
        let app = story.jobs(vec![memory(&mails, 1)]);
        story.turn_to(IN_THE_LEAD);
        story.plan().await;
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        assert_eq!(stop::unsubscribe(pool, keyring, 3, scope, Source::Page, now).await.expect("a stop").skipped, 1);
        spoil_address(&story, 3).await;
        assert!(stage::check_one_portion(&story, &app).await);
        assert_eq!(story.number(CHECKED).await, 5);
        let undone = stop::undo(pool, 3, 1, now).await.expect("undone");
        assert_eq!(undone, Undone::Lifted { scope, queued: 1 });
        assert!(held(&story).await.contains("bad address (1)"));
        story.turn_to(START);
        story.run_until_idle(&app).await;
        assert_eq!(mails.handed().len(), 0);
    }
}

#[tokio::test]
async fn what_another_stop_ended_is_not_looked_at() {
    let story = Story::ready(1, 5).await;
    let app = story.jobs(Vec::new());
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    let (pool, keyring, whom) = (&story.app.db.pool, &story.app.keyring, stop::Whom::Subscriber(3));
    stop::suppress(pool, keyring, whom, Kind::Complaint, "a test", Source::Operator, story.app.now()).await.expect("a stop");
    spoil_address(&story, 3).await;
    assert!(stage::check_one_portion(&story, &app).await);
    assert_eq!(story.number("SELECT checked FROM editions WHERE state = 'scheduled' AND checked_at IS NOT NULL").await, 4);
}

#[tokio::test]
async fn a_portion_that_takes_too_long_is_written_down_as_far_as_it_came() {
    let story = Story::ready(1, 120).await;
    let app = story.jobs(Vec::new());
    spoil_address(&story, 110).await;
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    let letters = Arc::new(Letters::new(app.setup.clone()));
    let edition = story.number("SELECT id FROM editions").await;
    let mut came_to = Vec::new();
    for _ in 0..3 {
        let mut conn = story.conn().await;
        let done = check::check_for(&mut conn, &letters, edition, Duration::ZERO, story.app.now()).await.expect("a portion");
        came_to.push((done, story.number(CHECKED).await));
    }
    assert_eq!(came_to, [(false, 50), (false, 100), (true, 120)]);
    assert!(held(&story).await.contains("bad address (1)"));
}

#[tokio::test]
async fn a_portion_that_was_begun_before_an_operators_word_is_forgotten() {
    let story = Story::ready(1, 5).await;
    let app = story.jobs(Vec::new());
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    // Its words cannot be read: the portion waits with what it has.
    let mut other = story.app.db.pool.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE tip_revisions IN ACCESS EXCLUSIVE MODE").execute(&mut *other).await.expect("a lock");
    let word = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tip_revisions'::regclass";
        while story.number(waits).await == 0 {
            tokio::task::yield_now().await;
        }
        sqlx::query("UPDATE editions SET anew_at = starts_at").execute(&mut *other).await.expect("a word");
        other.commit().await.expect("a commit");
    };
    let (done, ()) = tokio::join!(stage::check_one_portion(&story, &app), word);
    assert!(done);
    assert_eq!(story.number(CHECKED).await, 0);
    assert!(stage::check_one_portion(&story, &app).await);
    assert_eq!(story.number(CHECKED).await, 5);
}

#[tokio::test]
async fn whoever_was_passed_over_once_is_checked_again_with_her_next_tip() {
    let story = Story::ready(2, 4).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    spoil_address(&story, 2).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    held(&story).await;
    check::accept(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("accepted");
    story.turn_to(START);
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 4).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed")), (3, 1), "{edition}");
    mails.clear();
    story.turn_to("2026-01-20T08:50:00Z");
    story.run_until_idle(&app).await;
    assert!(held(&story).await.contains("bad address (1)"));
    story.turn_to("2026-01-20T09:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0);
}

#[tokio::test]
async fn an_edition_that_is_blocked_and_late_is_skipped() {
    let story = Story::ready(1, 6).await;
    let app = story.jobs(Vec::new());
    spoil_address(&story, 2).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    held(&story).await;
    story.turn_to("2026-01-13T16:00:00Z");
    // Half of it is due later: that stays held by what was found.
    story
        .tamper(
            "UPDATE deliveries SET due_at = due_at + interval '5 hours', ready_at = ready_at + interval '5 hours' WHERE subscriber_id > 3",
        )
        .await;
    edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("skipped");
    let report = story.report().await;
    assert_eq!((count(&report, "skipped"), count(&report, "to_do")), (3, 3), "{report}");
    assert!(held(&story).await.contains("bad address (1)"));
    let again = edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect_err("nothing is late");
    assert!(again.to_string().contains("not for being late"), "{again}");
    story.turn_to("2026-01-13T21:00:00Z");
    edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("skipped");
    let report = story.report().await;
    assert_eq!((count(&report, "skipped"), report["state"].as_str()), (6, Some("skipped")), "{report}");
}
