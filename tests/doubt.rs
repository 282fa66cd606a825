//! What only a look at the database's locks can show: a claim whose answer was lost, a burial in the middle of a claim, and
//! a transaction that its owner will never end.

use std::time::Duration;

use sqlx::Connection;
use tidings::base::database;
use tidings::delivery::ledger::{claim, lease};
use tidings::delivery::relay::MemoryBox;
use tidings::jobs;
use tokio::sync::watch;

use crate::support::let_pass;
use crate::support::story::{Story, log_of, memory};

const LEASE: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_a_claim_took_whose_answer_was_lost_is_given_back_and_sent() {
    let story = Story::ready(1, 10).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    let (stop, told) = watch::channel(false);
    let life = tokio::spawn(jobs::run(app.clone(), told));
    until(&story, "SELECT count(*) FROM workers", 1).await;

    // The worker's row is held, so that its next claim waits; then that claim's connection is ended, as if between the
    // commit and its answer: what it took is claimed.
    let mut hold = story.app.db.pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM workers FOR UPDATE").execute(&mut *hold).await.expect("the row");
    story.run_edition().await;
    story.plan().await;
    let waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR KEY SHARE%' AND datname = current_database()";
    until(&story, &format!("SELECT count(*) {waiting}"), 1).await;
    story.tamper(&format!("SELECT pg_terminate_backend(pid) {waiting}")).await;
    story.tamper("UPDATE deliveries SET state = 'claimed', ready_at = NULL, worker_id = (SELECT id FROM workers)").await;
    hold.commit().await.expect("a commit");

    until(&story, "SELECT count(*) FROM deliveries WHERE state = 'sent'", 10).await;
    assert_eq!(story.number("SELECT count(*) FROM workers").await, 2, "the worker started anew");
    stop.send(true).expect("a worker that listens");
    life.await.expect("no panic").expect("an end in order");
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 10).await;
}

#[tokio::test]
async fn a_burial_passes_over_a_claim_that_is_under_way_and_comes_back_for_what_it_took() {
    let story = Story::ready(1, 10).await;
    story.run_edition().await;
    story.plan().await;
    let mut dying = story.conn().await;
    let_pass(&mut dying).await;
    let worker = lease::register(&mut dying, "dying").await.expect("a worker");
    story.tamper("UPDATE workers SET seen_at = seen_at - interval '1 day'").await;

    // The edition is held by somebody else, so that the claim stops in its middle.
    let mut hold = story.app.db.pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM editions FOR UPDATE").execute(&mut *hold).await.expect("the row");
    let (now, edition) = (story.app.now(), story.number("SELECT id FROM editions").await);
    let claiming = tokio::spawn(async move { claim::edition(&mut dying, worker, (edition, claim::Place::START), now, 5).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until(&story, waiting, 1).await;
    let bury = async || lease::bury(&mut *story.conn().await, LEASE, now).await.expect("a burial");
    assert_eq!(bury().await, 0, "what a claim under way takes would be in nobody's hands");
    hold.commit().await.expect("a commit");

    assert_eq!(claiming.await.expect("no panic").expect("a claim").taken.len(), 5);
    assert_eq!(bury().await, 1);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, 10);
    let late = claim::edition(&mut *story.conn().await, worker, (edition, claim::Place::START), now, 5).await.expect("an answer");
    assert!(late.taken.is_empty(), "one that is gone claims nothing more");
}

#[tokio::test]
async fn a_transaction_that_its_owner_left_open_is_ended_and_its_rows_are_free() {
    let story = Story::new().await;
    let mut frozen = story.conn().await;
    database::let_go_when_frozen(&mut frozen, Duration::from_millis(200)).await.expect("set");
    let mut left_open = frozen.begin().await.expect("a transaction");
    sqlx::query("UPDATE installation SET label = 'frozen'").execute(&mut *left_open).await.expect("the row");
    let other = sqlx::query("UPDATE installation SET label = label").execute(&story.app.db.pool);
    tokio::time::timeout(Duration::from_secs(10), other).await.expect("no waiting").expect("the row");
    assert_eq!(story.number("SELECT count(*) FROM installation WHERE label = 'frozen'").await, 0);
    let pool: String =
        sqlx::query_scalar("SHOW idle_in_transaction_session_timeout").fetch_one(&story.app.db.pool).await.expect("the setting");
    assert_eq!(pool, "10s", "every connection of the pool lets go");
}

async fn until(story: &Story, statement: &str, wanted: i64) {
    let waiting = async {
        while story.number(statement).await != wanted {
            // Between two looks at the database, which tells nobody of what it waits for; the time-out below is the limit.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("in vain: {statement}"));
}
