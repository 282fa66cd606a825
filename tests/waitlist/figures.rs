//! What the waitlist costs when many wait: 100,000 entries, 1,000 seats, in times that were promised.

use std::time::Duration;

use tidings::waitlist::offer::{Acceptance, Refusal};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::states::Mode;
use tidings::waitlist::{entry, line, offer, report};
use tokio::time::Instant;

use super::stage::{HOUR, SLUG, Stage, new_opening};

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
    stage.post().await;
    a_thousand_open_offers_keep_nobody_waiting(&stage).await;
}

/// What every look costs, what an operator asks for, what a person waits for.
async fn a_thousand_open_offers_keep_nobody_waiting(stage: &Stage) {
    let mut conn = stage.conn().await;
    let now = stage.now();
    let first = stage.number("SELECT min(id) FROM offers WHERE state = 'open'").await;
    let program_id = stage.program_id;
    opening::change_seats(&mut conn, SLUG, None, 1, now).await.expect("a seat");
    within("a look", 300, opening::due(&mut conn, now)).await.expect("programs");
    stage.advance().await;
    within("a look when all is done", 300, opening::due(&mut conn, now)).await.expect("programs");
    within("an acceptance", 500, offer::accept(&mut conn, first, now)).await.expect("an answer");
    within("a refusal", 500, offer::decline(&mut conn, first + 1, now)).await.expect("an answer");
    within("a report", 3_000, report::report(&mut conn, SLUG, None, now)).await.expect("a report");
    within("a hundred of the line", 2_000, entry::list(&mut conn, program_id, None, 100)).await.expect("a list");
    within("the whole line", 6_000, entry::list(&mut conn, program_id, None, i64::MAX)).await.expect("a list");
    let another = NewOpening { seats: 100, ..new_opening(now) };
    within("a dry run", 3_000, opening::preview(&mut conn, SLUG, &another, now)).await.expect("a selection");
}

async fn within<T>(what: &str, milliseconds: u64, doing: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = doing.await;
    let took = began.elapsed();
    eprintln!("{what} {took:?}");
    assert!(took < Duration::from_millis(milliseconds), "{what} took {took:?}");
    done
}

#[tokio::test]
async fn an_answer_in_a_last_call_to_ninety_thousand_comes_at_once() {
    let stage = Stage::new().await;
    stage.run("SELECT ensure_deliveries_partition('2026-01-01')").await.expect("a partition");
    stage.open_as(NewOpening { seats: 90_000, mode: Mode::LastCall, ..new_opening(stage.now()) }).await;
    let (program, now) = (stage.program_id, stage.now());
    for statement in [
        format!(
            "WITH people AS (INSERT INTO subscribers (address, address_key, created_at)
                SELECT 'p' || n || '@example.org', 'p' || n || '@example.org', now() FROM generate_series(1, 90000) n RETURNING id)
            INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at, confirmed_at)
            SELECT {program}, id, 'offered', '{now}', '{now}', '{now}' FROM people"
        ),
        format!(
            "INSERT INTO offers (program_id, opening_id, entry_id, reserving, by_hand, offered_at, rank, passed_over, passed_over_in_all)
            SELECT {program}, (SELECT id FROM openings), id, false, false, '{now}', 1, '[]', 0 FROM entries"
        ),
        format!(
            "INSERT INTO transactional (owner, kind, period, delivery_id, handed_over_at)
            SELECT 'offer:' || id, 'offer', '2026-01-01', nextval('delivery_ids'), '{now}' FROM offers"
        ),
        format!(
            "INSERT INTO deliveries (period, id, subscriber_id, basis, template, context, due_at, handing_over_at, finished_at, valid_until, state)
            SELECT t.period, t.delivery_id, e.subscriber_id, 'waitlist', 'offer', '{{}}', '{now}', '{now}', '{now}', '{now}', 'sent'
            FROM transactional t JOIN offers f ON 'offer:' || f.id = t.owner JOIN entries e ON e.id = f.entry_id"
        ),
        "ANALYZE".to_owned(),
    ] {
        stage.run(&statement).await.expect("a last call to many");
    }
    let mut conn = stage.conn().await;
    let mut quickest = [Duration::MAX; 2];
    for offer_id in (1_000..91_000).step_by(9_000) {
        let began = Instant::now();
        match offer_id % 2_000 {
            0 => assert_eq!(offer::decline(&mut conn, offer_id - 900, now).await.expect("an answer"), Refusal::Declined),
            _ => assert_eq!(offer::accept(&mut conn, offer_id - 900, now).await.expect("an answer"), Acceptance::Accepted),
        }
        let slot = &mut quickest[usize::from(offer_id % 2_000 == 0)];
        *slot = began.elapsed().min(*slot);
    }
    eprintln!("of 90,000 open offers one is accepted in {:?} and one declined in {:?}", quickest[0], quickest[1]);
    assert!(quickest.iter().all(|time| *time < Duration::from_millis(100)), "{quickest:?}");
}
