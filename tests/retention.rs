//! What is forgotten when its time has come, and what stays: the counts, and that nobody gets a tip twice.

use jiff::SignedDuration;
use tidings::base::wake::Job;
use tidings::campaigns::retention;
use tidings::delivery::relay::MemoryBox;
use tidings::jobs;

use crate::support::story::{Story, WEEKLY, memory};

const JANUARY: &str = "deliveries_202601";
const KEEP: SignedDuration = SignedDuration::from_hours(800 * 24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_deliveries_go_and_the_report_still_adds_up_and_says_so() {
    let story = sent().await;
    let before = story.report().await;
    assert_eq!(before["details_kept"], true, "{before}");
    story.turn_to("2028-04-10T00:00:00Z");
    story.prune().await;
    assert!(story.is_kept().await, "January ended less than 800 days ago");
    story.turn_to("2028-04-12T00:00:00Z");
    story.prune().await;
    assert!(!story.is_kept().await);

    let mut after = story.report().await;
    assert_eq!(after["details_kept"].take(), false, "{after}");
    after["details_kept"] = true.into();
    assert_eq!(after, before, "no count has changed");
    let table = story.tidings(&["campaign", "report", WEEKLY]).await;
    assert!(table.contains("no longer kept") && !table.contains("DO NOT ADD UP"), "{table}");
    let refused = story.tidings_refuses(&["campaign", "report", WEEKLY, "--deliveries"]).await;
    assert!(refused.contains("no longer kept"), "{refused}");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 2, "what was given stays given");
    story.prune().await;
    assert_eq!(story.number("SELECT sum(deliveries)::bigint FROM edition_counts").await, 3, "a second time counts nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_in_which_something_is_open_is_kept_whole() {
    let story = sent().await;
    story.turn_to("2028-04-12T00:00:00Z");
    for (close, open) in [
        (
            "UPDATE editions SET state = 'finished', resume_to = NULL",
            "UPDATE editions SET state = 'held', resume_to = 'running', reason = 'late'",
        ),
        (
            "UPDATE deliveries SET state = 'sent', ready_at = NULL WHERE state = 'deferred'",
            "UPDATE deliveries SET state = 'deferred', ready_at = due_at, reason = 'greylisted' WHERE state = 'sent'",
        ),
    ] {
        story.tamper(open).await;
        story.prune().await;
        assert!(story.is_kept().await, "{open}");
        assert_eq!(story.number("SELECT count(*) FROM edition_counts").await, 0, "and nothing is counted");
        story.tamper(close).await;
    }
    story.prune().await;
    assert!(!story.is_kept().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_mail_from_being_sent_twice_outlives_it() {
    let story = sent().await;
    for (owner, id) in [("signup:41", 900), ("link:1:2026-01-12T06:00:00Z", 901), ("first:1:1", 902)] {
        story
            .tamper(&format!(
                "INSERT INTO deliveries (period, id, subscriber_id, basis, template, due_at, state, handing_over_at)
             VALUES ('2026-01-01', {id}, 1, 'preferences', 'preferences_link', now(), 'sent', now())"
            ))
            .await;
        story
            .tamper(&format!("INSERT INTO transactional (owner, kind, period, delivery_id) VALUES ('{owner}', 'mail', '2026-01-01', {id})"))
            .await;
    }
    story.turn_to("2028-04-12T00:00:00Z");
    story.prune().await;
    assert!(!story.is_kept().await);
    assert_eq!(story.texts("SELECT owner FROM transactional").await, ["first:1:1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_an_old_month_keeps_it_from_being_dropped_and_sending_does_not_wait() {
    let story = sent().await;
    story.turn_to("2028-04-12T00:00:00Z");
    let mut reader = story.conn().await;
    for statement in ["BEGIN", "SELECT count(*) FROM deliveries"] {
        sqlx::query(statement).execute(&mut *reader).await.expect("a statement");
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(retention::forget(&mut *story.conn().await, KEEP, story.app.now()).await.expect("an answer"), []);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "it gives up: {:?}", begun.elapsed());
    assert_eq!(story.number("SELECT count(*) FROM edition_counts").await, 0, "and leaves nothing half done");
    sqlx::query("ROLLBACK").execute(&mut *reader).await.expect("a statement");
    let forgotten = retention::forget(&mut *story.conn().await, KEEP, story.app.now()).await.expect("an answer");
    assert_eq!(forgotten, [jiff::civil::date(2026, 1, 1)]);
}

/// An edition of January 2026: two were sent, one had left.
async fn sent() -> Story {
    let story = Story::ready(2, 3).await;
    story.run_edition().await;
    story.plan().await;
    story.tamper("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 3").await;
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    assert_eq!(mails.handed().len(), 2);
    story
}

impl Story {
    async fn prune(&self) {
        let app = self.jobs(vec![memory(&MemoryBox::default(), 1)]);
        jobs::handle(&app, Job::Prune).await.expect("pruned");
    }

    async fn is_kept(&self) -> bool {
        self.number(&format!("SELECT count(*) FROM pg_class WHERE relname = '{JANUARY}'")).await == 1
    }
}
