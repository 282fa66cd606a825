//! A test mail and a stop at the same moment: whichever comes first, nothing is left to be sent, and of an erased person no address.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tidings::people::erase;
use tidings::people::stop::Source;

use super::stage::{send_test, suppress};
use crate::support::story::Story;

const TO: &str = "look@example.com";
const HERS: &str = "person-2@example.org";

#[tokio::test]
async fn a_stop_takes_the_tests_of_an_address_in_their_order() {
    let story = two_tests().await;
    // As they lie in the table, the second is the first; and the planner knows that reading all of it is the shortest way.
    story.tamper("UPDATE deliveries SET worker_id = 7 WHERE id = (SELECT min(id) FROM deliveries)").await;
    story.tamper("ANALYZE deliveries").await;
    let mut other = story.app.db.pool.begin().await.expect("a transaction");
    take(&mut other, "min(id)").await.expect("the first");
    let meanwhile = async {
        until_waiting(&story, 1).await;
        take(&mut other, "max(id)").await.expect("the second, which nobody has");
        other.commit().await.expect("a commit");
    };
    tokio::join!(suppress(&story, TO), meanwhile);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'skipped'").await, 2);
}

#[tokio::test]
async fn a_stop_of_an_address_of_nobody_is_tried_again_when_it_lost_against_another_transaction() {
    let story = two_tests().await;
    let mut other = story.app.db.pool.begin().await.expect("a transaction");
    // So that the stop is the one that gives way.
    sqlx::raw_sql("SET LOCAL deadlock_timeout = '30s'").execute(&mut *other).await.expect("a setting");
    take(&mut other, "max(id)").await.expect("the second");
    let meanwhile = async {
        until_waiting(&story, 1).await;
        let first = "SELECT FROM deliveries WHERE id = (SELECT min(id) FROM deliveries) FOR UPDATE";
        sqlx::query(first).execute(&mut *other).await.expect("the first, once the stop let go");
        other.commit().await.expect("a commit");
    };
    tokio::join!(suppress(&story, TO), meanwhile);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'skipped'").await, 2);
}

#[tokio::test]
async fn of_a_test_that_is_being_queued_an_erasure_leaves_no_address() {
    let story = Story::ready(1, 2).await;
    // The test stands already, uncommitted, and waits to record the act.
    let held = hold(&story, "operator_acts").await;
    let asked = async { send_test(&story, HERS, None).await.map(drop) };
    let erased = async {
        until_waiting(&story, 1).await;
        tokio::join!(erase(&story), let_go(&story, held));
    };
    let (queued, ()) = tokio::join!(asked, erased);
    queued.expect("queued");
    assert_eq!(story.texts("SELECT state || ' ' || address FROM deliveries").await, ["skipped <address>"]);
}

#[tokio::test]
async fn a_test_that_is_asked_for_while_she_is_erased_is_refused() {
    let story = Story::ready(1, 2).await;
    // Everything of hers is blanked already, uncommitted, and the erasure waits to record itself.
    let held = hold(&story, "subscriber_events").await;
    let asked = async {
        until_waiting(&story, 1).await;
        let (asked, ()) = tokio::join!(send_test(&story, "Person-2@Example.org", None), let_go(&story, held));
        asked
    };
    let ((), asked) = tokio::join!(erase(&story), asked);
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await, 0);
    let refused = asked.expect_err("she was erased").to_string();
    assert!(refused.contains("not even a test: suppressed, erased"), "{refused}");
}

async fn erase(story: &Story) {
    erase::erase(&story.app.db.pool, &story.app.keyring, 2, Source::Page, story.app.now()).await.expect("an erasure");
}

// Keeps everybody from writing to a table.
async fn hold(story: &Story, table: &str) -> Transaction<'static, Postgres> {
    let mut held = story.app.db.pool.begin().await.expect("a transaction");
    let statement = format!("LOCK TABLE {table} IN SHARE MODE");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *held).await.expect("a lock");
    held
}

// Once a second one waits; or after a while, which is no fault of who need not wait.
async fn let_go(story: &Story, held: Transaction<'static, Postgres>) {
    let _ = tokio::time::timeout(Duration::from_secs(2), until_waiting(story, 2)).await;
    held.commit().await.expect("a commit");
}

async fn two_tests() -> Story {
    let story = Story::ready(1, 1).await;
    send_test(&story, TO, None).await.expect("queued");
    send_test(&story, "LOOK@example.com", None).await.expect("queued");
    story
}

async fn take(tx: &mut Transaction<'static, Postgres>, which: &str) -> sqlx::Result<()> {
    let statement = format!("SELECT FROM deliveries WHERE id = (SELECT {which} FROM deliveries) FOR UPDATE NOWAIT");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut **tx).await.map(drop)
}

async fn until_waiting(story: &Story, how_many: i64) {
    while waiting(story).await < how_many {
        tokio::task::yield_now().await;
    }
}

async fn waiting(story: &Story) -> i64 {
    story.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").await
}
