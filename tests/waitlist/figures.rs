//! What the waitlist costs when many wait: 100,000 entries, 1,000 seats, in times that were promised.

use std::time::Duration;

use tidings::waitlist::line;
use tidings::waitlist::opening;
use tokio::time::Instant;

use super::stage::{HOUR, SLUG, Stage};

#[tokio::test]
async fn a_thousand_offers_to_a_line_of_a_hundred_thousand_and_a_place_in_it_come_in_the_promised_time() {
    let stage = Stage::new().await;
    let many = format!(
        "WITH people AS (INSERT INTO subscribers (address, address_key, created_at)
            SELECT 'p' || n || '@example.org', 'p' || n || '@example.org', now() FROM generate_series(1, 100000) n RETURNING id)
        INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at, confirmed_at, priority)
        SELECT {}, id, CASE WHEN id % 50 = 7 THEN 'unconfirmed' ELSE 'waiting' END, joined_at, joined_at,
            CASE WHEN id % 50 = 7 THEN NULL ELSE joined_at END, (id % 1000 = 0)::integer
        FROM people, LATERAL (SELECT timestamptz '2026-01-01' + id * interval '7 seconds' AS joined_at) j",
        stage.program_id
    );
    stage.run(&many).await.expect("a long line");
    stage
        .run(
            "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
        SELECT decode(lpad(to_hex(id), 64, '0'), 'hex'), 'k', id, 'manual', 'a test', now() FROM subscribers WHERE id % 40 = 3",
        )
        .await
        .expect("suppressions");
    stage.open(0).await;

    let last = stage.number("SELECT id FROM entries WHERE state = 'waiting' AND priority = 0 ORDER BY joined_at DESC LIMIT 1").await;
    let mut conn = stage.conn().await;
    let waiting = stage.number("SELECT count(*) FROM entries WHERE state = 'waiting'").await;
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(line::place(&mut conn, last).await.expect("a place"), Some(waiting), "the last of all");
        quickest = quickest.min(began.elapsed());
    }
    assert!(quickest < Duration::from_millis(10), "a place took {quickest:?}");

    let began = Instant::now();
    let given = opening::change_seats(&mut conn, SLUG, None, 1_000, stage.now()).await.expect("offers").given;
    let giving = began.elapsed();
    assert_eq!(given, 1_000);
    assert!(giving < Duration::from_secs(2), "giving took {giving:?}");

    // All of them run out at once: they are settled, and given to the next, by whoever comes first.
    stage.post().await;
    stage.app.wait(HOUR * 48);
    let began = Instant::now();
    let given = stage.advance().await;
    let passing_on = began.elapsed();
    assert_eq!(given, 1_000);
    assert!(passing_on < Duration::from_secs(4), "passing a thousand seats on took {passing_on:?}");
    assert_eq!(
        stage.number("SELECT sum(waiting)::bigint FROM line_counts").await,
        stage.number("SELECT count(*) FROM entries WHERE state = 'waiting'").await
    );
    eprintln!("a place {quickest:?}, a thousand offers {giving:?}, passing a thousand seats on {passing_on:?}");
}
