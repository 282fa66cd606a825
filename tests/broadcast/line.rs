//! To a waitlist: in the order of the line, to whoever waits when it is planned and has not left when it is sent.

use std::sync::Arc;

use tidings::campaigns::{due, planning};
use tidings::delivery::ledger::mark::{self, Mark};
use tidings::delivery::ledger::{claim, lease, line};
use tidings::delivery::relay::Answer;
use tidings::people::stop::{self, Scope, Source};

use tidings::waitlist::entry;

use super::stage::{broadcast, leaves, people, planned, post, recipients, waiting};
use crate::support::story::{count, log_of};

#[tokio::test]
async fn those_who_wait_get_it_in_the_order_of_the_line_and_nobody_else() {
    let story = waiting(12).await;
    // 9 was moved up, 3 to the back; 5 must not be mailed, 6 has not confirmed, 7 has a seat, 8 has left.
    story.tamper("UPDATE entries SET priority = 5 WHERE id = 9").await;
    story.tamper("UPDATE entries SET joined_at = '2026-01-02' WHERE id = 3").await;
    story
        .tamper(
            "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at)
            VALUES (decode(repeat('00', 32), 'hex'), 'k', 5, 'hard_bounce', 'a test', now())",
        )
        .await;
    story.tamper("UPDATE entries SET state = 'unconfirmed', confirmed_at = NULL WHERE id = 6").await;
    story.tamper("UPDATE entries SET state = 'seated' WHERE id = 7").await;
    story.tamper("UPDATE entries SET state = 'withdrawn', closed_at = now() WHERE id = 8").await;
    let (mails, app) = post(&story, 1);
    broadcast(&story, "waitlist:course").await;
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([9, 1, 2, 4, 10, 11, 12, 3]));
    let edition = story.assert_agrees_with(&log_of(&mails), 8).await;
    assert_eq!((&edition["state"], count(&edition, "sent")), (&"finished".into(), 8), "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM edition_line").await, 0, "what was written down of the line goes with its use");

    let mail = String::from_utf8(mails.handed().remove(0).message).expect("ASCII").replace("=\r\n", "");
    assert!(mail.contains("https://tips.example.org/waitlist/course/") && mail.contains("/preferences/"), "{mail}");
    assert!(mail.contains("you joined the waitlist of The autumn course"), "{mail}");
    assert!(
        mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click") && !mail.contains("List-Id") && !mail.contains("/u/"),
        "{mail}"
    );
}

#[tokio::test]
async fn the_line_is_followed_as_it_stood_when_planning_began() {
    let story = waiting(5_100).await;
    broadcast(&story, "waitlist:course").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    let edition = due::open_due(&mut conn, now).await.expect("open")[0];
    assert!(!planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done);
    // Between two slices the last comes to the front and the first goes to the back.
    story.tamper("UPDATE entries SET priority = 9 WHERE id = 5100").await;
    story.tamper("UPDATE entries SET joined_at = now() WHERE id = 1").await;
    assert!(planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done);
    let sums = "SELECT counted - (SELECT count(DISTINCT subscriber_id) FROM deliveries) FROM editions WHERE planned = 5100";
    assert_eq!(story.number(sums).await, 0, "nobody twice, nobody left out");
    assert_eq!(
        story.number("SELECT count(*) FROM deliveries d JOIN deliveries e ON e.id > d.id AND e.subscriber_id < d.subscriber_id").await,
        0
    );
    story.tamper("UPDATE deliveries SET state = 'cancelled', reason = 'a test', ready_at = NULL").await;
}

#[tokio::test]
async fn who_leaves_the_waitlist_at_any_step_is_not_marked_any_more() {
    let story = waiting(8).await;
    broadcast(&story, "waitlist:course").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    let edition = planned(&story).await;
    let worker = lease::register(&mut conn, "worker").await.expect("a worker");
    leaves(&story, 1).await; // queued
    let claimed = claim::edition(&mut conn, worker, (edition, claim::Place::START), now, 3).await.expect("a claim").taken;
    assert_eq!(claimed.iter().map(|c| c.subscriber_id).collect::<Vec<_>>(), [Some(2), Some(3), Some(4)]);
    leaves(&story, 2).await; // claimed
    // Past the sweep, as if the row had been written a moment later: the mark itself looks.
    story.tamper("UPDATE entries SET state = 'removed', closed_at = now() WHERE id = 3").await;
    story.tamper("UPDATE entries SET state = 'removed', closed_at = now() WHERE id = 5").await;
    let marks: Vec<_> = claimed.iter().map(|c| Mark { key: c.key, fence: c.fence }).collect();
    let marked = mark::Writer::new(worker, std::time::Duration::from_secs(60)).write(&mut conn, now, &[], &marks).await.expect("marks");
    assert_eq!(marked.keys().map(|key| key.id).collect::<Vec<_>>(), [claimed[2].key.id]);
    leaves(&story, 4).await; // on its way: it may still arrive
    lease::leave(&mut conn, worker, now).await.expect("the end of the worker");
    drop(conn);
    let (mails, app) = post(&story, 1);
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([6, 7, 8]));
    let edition = story.report().await;
    assert_eq!((count(&edition, "skipped"), count(&edition, "unconfirmed"), count(&edition, "to_do")), (4, 1, 0), "{edition}");
    assert_eq!(edition["reasons"]["left the waitlist"], 4, "{edition}");
}

#[tokio::test]
async fn who_leaves_while_her_row_is_being_written_waits_for_it_and_skips_it() {
    let story = waiting(2).await;
    broadcast(&story, "waitlist:course").await;
    let (mut conn, now) = (story.conn().await, story.app.now());
    due::open_due(&mut conn, now).await.expect("open");
    // A slice that is written and not committed: the leaving cannot see its rows.
    let mut slice = story.app.db.pool.begin().await.expect("a transaction");
    line::hold(&mut slice, 1).await.expect("the line");
    sqlx::raw_sql(
        "SELECT ensure_deliveries_partition('2026-01-01');
        INSERT INTO deliveries (period, edition_id, subscriber_id, due_at, ready_at, basis, template, state, context)
        SELECT '2026-01-01', 1, subscriber_id, now(), now(), 'waitlist', 'broadcast', 'queued', jsonb_build_object('entry', id) FROM entries",
    )
    .execute(&mut *slice)
    .await
    .expect("rows");
    let mut other = story.conn().await;
    let leaving = tokio::spawn(async move { entry::withdraw(&mut other, 1, now).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while !leaving.is_finished() && story.number(waits).await == 0 {
        tokio::task::yield_now().await;
    }
    slice.commit().await.expect("a commit");
    assert!(leaving.await.expect("no panic").expect("a withdrawal").changed);
    let states = "SELECT subscriber_id || ' ' || state || coalesce(' ' || reason, '') FROM deliveries ORDER BY id";
    assert_eq!(story.texts(states).await, ["1 skipped left the waitlist", "2 queued"]);
}

#[tokio::test]
async fn a_stop_reaches_it_and_an_undo_brings_it_back() {
    let story = waiting(3).await;
    broadcast(&story, "waitlist:course").await;
    planned(&story).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    stop::unsubscribe(pool, keyring, 2, Scope::Everything, Source::Page, now).await.expect("a stop");
    let (mails, app) = post(&story, 1);
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([1, 3]));
    stop::undo(pool, 2, 1, now).await.expect("an undo");
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([1, 3, 2]));
    story.assert_agrees_with(&log_of(&mails), 3).await;
}

#[tokio::test]
async fn what_is_in_doubt_waits_for_an_operator_as_a_tip_does() {
    let story = waiting(3).await;
    let (mails, app) = post(&story, 1);
    mails.answer_with(|mail| if mail.to == "wait-2@example.org" { Answer::LoseAfterBody(true) } else { Answer::Accept });
    broadcast(&story, "waitlist:course").await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 3).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "unconfirmed")), (2, 1), "{edition}");
    assert_eq!(recipients(&mails), people([1, 2, 3]), "and nobody got a second copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_left_while_it_was_planned_and_sent_is_marked_after_the_answer() {
    const PEOPLE: usize = 2_000;
    let story = Arc::new(waiting(PEOPLE).await);
    broadcast(&story, "waitlist:course").await;
    let (mails, app) = post(&story, 8);
    let leaving = tokio::spawn({
        let (story, mails) = (story.clone(), mails.clone());
        async move {
            let mut left = Vec::new();
            for n in 0..60_usize {
                // A third while it is planned, the others all through the sending: those at the end of the line, and some before.
                let sent = n.saturating_sub(20) * 40;
                crate::support::until("as many are sent", || mails.handed().len() >= sent).await;
                let entry = (n * 911) % PEOPLE + 1;
                leaves(&story, entry as i64).await;
                let state: Option<String> = sqlx::query_scalar("SELECT state FROM deliveries WHERE subscriber_id = $1")
                    .bind(entry as i64)
                    .fetch_optional(&mut *story.conn().await)
                    .await
                    .expect("her delivery");
                left.push((entry, state));
            }
            left
        }
    });
    story.run_until_idle(&app).await;
    let left = leaving.await.expect("no panic");
    let got: std::collections::HashSet<String> = recipients(&mails).into_iter().collect();
    assert_eq!(got.len(), mails.handed().len(), "once for each person");
    let mut spared = 0;
    for (entry, state) in &left {
        let mailed = got.contains(&format!("wait-{entry}@example.org"));
        let was_on_its_way = matches!(state.as_deref(), Some("handing_over" | "sent"));
        assert_eq!(mailed, was_on_its_way, "entry {entry} was {state:?} when she had left");
        assert_ne!(state.as_deref(), Some("claimed"), "entry {entry} could still be marked");
        spared += usize::from(!mailed);
    }
    assert!((10..60).contains(&spared), "{spared} were spared: the moments were not spread");
    let edition = story.report().await;
    assert_eq!(count(&edition, "sent") as usize, got.len(), "{edition}");
    assert_eq!((count(&edition, "to_do"), &edition["state"]), (0, &"finished".into()), "{edition}");
}
