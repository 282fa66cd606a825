//! How much the pump's statements read: the rows that they are about, however many the month holds beside them.

use std::time::Duration;

use tidings::delivery::relay::{Answer, MemoryBox};
use tidings::delivery::reply::Phase;

use crate::support::story::{Story, count, memory};

/// Deliveries of the same month that are over.
const BESIDE: i64 = 30_000;

#[tokio::test]
async fn what_relays_refuse_put_off_and_lose_costs_no_walk_over_the_month() {
    let story = Story::ready(1, 40).await;
    story.tamper("SELECT ensure_deliveries_partition('2026-01-01')").await;
    story
        .tamper("INSERT INTO subscribers (address, address_key, created_at) VALUES ('other@example.org', 'other@example.org', now())")
        .await;
    story
        .tamper(&format!(
            "INSERT INTO deliveries (period, subscriber_id, basis, template, state, due_at, handing_over_at, finished_at, worker_id, context)
            SELECT '2026-01-01', (SELECT max(id) FROM subscribers), 'preferences', 'preferences_link', 'sent', t, t, t, 1, '{{}}'
            FROM (SELECT timestamptz '2026-01-05' AS t FROM generate_series(1, {BESIDE})) AS long_ago"
        ))
        .await;
    story.tamper("ANALYZE deliveries").await;
    let mails = MemoryBox::default();
    mails.answer_with(|mail| match mail.to.trim_start_matches("person-").split('@').next().and_then(|n| n.parse::<u32>().ok()) {
        Some(n) if n % 8 == 0 => Answer::Reply(Phase::Rcpt, "550 5.2.1 switched off".to_owned()),
        Some(n) if n % 8 == 1 => Answer::Reply(Phase::Mail, "450 4.2.0 later".to_owned()),
        Some(n) if n % 8 == 2 => Answer::LoseAfterBody(true),
        _ => Answer::Accept,
    });
    let app = story.jobs(vec![memory(&mails, 4)]);
    let (before, before_updates) = (read_by_index(&story).await, updated(&story).await);
    story.run_edition().await;
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    let counts = ["sent", "failed", "unconfirmed", "to_do"].map(|state| count(&edition, state));
    assert_eq!(counts, [25, 5, 5, 5], "{edition}");
    // Claimed, marked and recorded, each of them.
    while updated(&story).await < before_updates + 3 * 40 {
        // Postgres tells what a connection did a moment after it ended; the test's own limit is the limit.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = read_by_index(&story).await - before;
    assert!(read < BESIDE / 2, "{read} entries of the month's indexes were read for 40 mails");
}

async fn read_by_index(story: &Story) -> i64 {
    story.number("SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'deliveries_202601'").await
}

async fn updated(story: &Story) -> i64 {
    story.number("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'deliveries_202601'").await
}
