//! Leaving: what a stop ends, what it leaves alone, what takes it back, and that nothing slips through it.

mod moments;
mod story;

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use rand_chacha::rand_core::Rng;
use sqlx::query_scalar;
use tidings::audience::suppression::{self, Kind};
use tidings::base::address::EmailAddress;
use tidings::delivery::Key;
use tidings::delivery::ledger::mark;
use tidings::people::stop::{self, Scope, Source, Standing, StopError, Stopped, Undone, Whom};

use story::{Story, insert_delivery, subscription_to};

const LEASE: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_person_who_left_is_not_mailed_even_if_her_mail_was_queued() {
    let mut story = Story::new().await;
    story.app.may_leave_work();
    for state in ["queued", "claimed", "deferred", "handing_over", "sent", "failed", "unconfirmed"] {
        story.delivery(story.ana, story.back.id, "topic", state).await;
    }
    let other = story.delivery(story.bea, story.back.id, "topic", "queued").await;
    let stopped = story.leave(story.ana, Scope::Topic(story.back.id)).await;
    assert_eq!(stopped, Stopped { changed: true, skipped: 3 });
    let rows = story.texts("SELECT concat_ws(' ', state, reason, ready_at, finished_at AT TIME ZONE 'UTC', worker_id IS NOT NULL) FROM deliveries WHERE subscriber_id = 1 ORDER BY id").await;
    assert_eq!(
        rows,
        [
            "skipped unsubscribed 2026-01-13 09:00:00 f",
            "skipped unsubscribed 2026-01-13 09:00:00 t",
            "skipped unsubscribed 2026-01-13 09:00:00 f",
            "handing_over t",
            "sent t",
            "failed x f",
            "unconfirmed x t",
        ]
    );
    assert_eq!(
        story.texts("SELECT segment_id::text FROM segments_given WHERE subscriber_id = 1 ORDER BY 1").await,
        ["4", "5", "6", "7"],
        "only what was skipped is free again"
    );
    assert_eq!(story.state(other).await, "queued");
    assert_eq!(
        story.texts("SELECT concat_ws(' ', act, topic_id, source) FROM consents WHERE act <> 'confirmed'").await,
        ["withdrawn 1 page"]
    );
}

#[tokio::test]
async fn what_each_stop_blocks_depends_on_why_a_mail_is_sent() {
    let everything_but_her_own_confirmation = ["confirmation: queued", "preferences: skipped", "topic: skipped", "waitlist: skipped"];
    let everything = ["confirmation: skipped", "preferences: skipped", "topic: skipped", "waitlist: skipped"];
    let the_topic = ["confirmation: queued", "preferences: queued", "topic: skipped", "waitlist: queued"];
    let story = Story::new().await;
    for (n, (kind, expected)) in [
        (None, the_topic),
        (Some(Kind::UnsubscribeAll), everything_but_her_own_confirmation),
        (Some(Kind::HardBounce), everything),
        (Some(Kind::Complaint), everything),
        (Some(Kind::Manual), everything),
    ]
    .into_iter()
    .enumerate()
    {
        let person = story.add(&format!("p{n}@example.org"), &story.back).await;
        for basis in ["confirmation", "preferences", "topic", "waitlist"] {
            story.delivery(person, story.back.id, basis, "queued").await;
        }
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        let stopped = match kind {
            None => story.leave(person, Scope::Topic(story.back.id)).await,
            Some(Kind::UnsubscribeAll) => story.leave(person, Scope::Everything).await,
            Some(kind) => stop::suppress(pool, keyring, Whom::Subscriber(person), kind, "why", Source::Relay, now).await.expect("a stop"),
        };
        assert_eq!(stopped.skipped as usize, expected.iter().filter(|e| e.ends_with("skipped")).count());
        let rows = sqlx::query_scalar::<_, String>("SELECT basis || ': ' || state FROM deliveries WHERE subscriber_id = $1 ORDER BY basis");
        assert_eq!(rows.bind(person).fetch_all(pool).await.expect("rows"), expected, "{kind:?}");
    }
    let reasons = story.texts("SELECT DISTINCT reason FROM deliveries WHERE state = 'skipped' ORDER BY 1").await;
    assert_eq!(
        reasons,
        ["suppressed: complaint", "suppressed: hard_bounce", "suppressed: manual", "suppressed: unsubscribe_all", "unsubscribed"]
    );
}

#[tokio::test]
async fn leaving_one_topic_touches_no_other() {
    let story = Story::new().await;
    subscription_to(&story, story.ana, &story.sleep).await;
    let kept = story.delivery(story.ana, story.sleep.id, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(story.back.id)).await;
    assert_eq!(story.state(kept).await, "queued");
    assert!(story.standing(story.ana, &story.sleep).await.subscribed);
    let standing = story.standing(story.ana, &story.back).await;
    let until = Some(story.app.now() + stop::UNDO);
    assert_eq!(
        standing,
        Standing { topic_name: "Back care".into(), subscribed: false, everything: false, suppressed: false, undo_until: until }
    );
}

#[tokio::test]
async fn clicking_twenty_times_at_once_is_leaving_once() {
    let story = Story::new().await;
    story.delivery(story.ana, story.back.id, "topic", "queued").await;
    let clicks =
        join_all((0..20).map(|n| story.leave(story.ana, if n % 2 == 0 { Scope::Topic(story.back.id) } else { Scope::Everything }))).await;
    assert_eq!(clicks.iter().filter(|s| s.changed).count(), 2);
    assert_eq!(clicks.iter().map(|s| s.skipped).sum::<u64>(), 1);
    assert_eq!(
        story.texts("SELECT coalesce(topic_id::text, 'everything') FROM consents WHERE act = 'withdrawn' ORDER BY 1").await,
        ["1", "everything"]
    );
    assert_eq!(story.texts("SELECT kind FROM suppressions").await, ["unsubscribe_all"]);
}

#[tokio::test]
async fn leaving_is_taken_back_for_thirty_minutes_with_what_it_skipped() {
    for scope in [Scope::Topic(1), Scope::Everything] {
        let story = Story::new().await;
        let (queued, deferred) =
            (story.delivery(story.ana, 1, "topic", "queued").await, story.delivery(story.ana, 1, "topic", "deferred").await);
        story.leave(story.ana, scope).await;
        story.run("UPDATE editions SET state = 'finished', planned = counted, finished_at = now()").await;
        story.app.wait(SignedDuration::from_mins(30) - SignedDuration::from_secs(1));
        assert_eq!(story.undo().await, Undone::Lifted { scope, queued: 2 });
        assert_eq!((story.state(queued).await, story.state(deferred).await), ("queued".into(), "queued".into()));
        let again = story
            .texts("SELECT concat_ws(' ', (ready_at AT TIME ZONE 'UTC')::time, reason, finished_at, worker_id) FROM deliveries ORDER BY id")
            .await;
        assert_eq!(again, ["09:00:00", "09:34:59"], "what a relay had asked to wait waits a little");
        assert_eq!(story.texts("SELECT segment_id::text FROM segments_given ORDER BY 1").await, ["1", "2"]);
        assert_eq!(story.texts("SELECT state || ' ' || (finished_at IS NULL) FROM editions").await, ["running true"]);
        let standing = story.standing(story.ana, &story.back).await;
        assert!(standing.subscribed && !standing.everything && standing.undo_until.is_none(), "{standing:?}");
        assert_eq!(story.undo().await, Undone::Nothing, "once");
        assert_eq!(
            story.texts("SELECT act FROM consents WHERE subscriber_id = 1 ORDER BY id").await,
            ["confirmed", "withdrawn", "restored"]
        );
    }
}

#[tokio::test]
async fn after_thirty_minutes_leaving_stays() {
    let story = Story::new().await;
    let skipped = story.delivery(story.ana, 1, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(1)).await;
    story.app.wait(stop::UNDO);
    assert_eq!(story.standing(story.ana, &story.back).await.undo_until, None);
    assert_eq!(story.undo().await, Undone::Nothing);
    assert_eq!(story.state(skipped).await, "skipped");
    assert_eq!(story.leave(story.ana, Scope::Topic(1)).await, Stopped { changed: false, skipped: 0 }, "a second click is no new leaving");
    assert_eq!(story.undo().await, Undone::Nothing);
}

#[tokio::test]
async fn the_last_leaving_is_taken_back_first_and_what_else_stands_goes_on_standing() {
    let story = Story::new().await;
    let (back, waitlist) =
        (story.delivery(story.ana, 1, "topic", "queued").await, story.delivery(story.ana, 1, "waitlist", "queued").await);
    story.leave(story.ana, Scope::Topic(1)).await;
    story.app.wait(SignedDuration::from_mins(10));
    story.leave(story.ana, Scope::Everything).await;
    assert_eq!((story.state(back).await, story.state(waitlist).await), ("skipped".into(), "skipped".into()));
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Everything, queued: 1 });
    assert_eq!((story.state(back).await, story.state(waitlist).await), ("skipped".into(), "queued".into()));
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 1 });
    assert_eq!(story.state(back).await, "queued");
}

#[tokio::test]
async fn taking_it_back_lifts_no_suppression_of_another_kind() {
    let story = Story::new().await;
    let skipped = story.delivery(story.ana, 1, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(1)).await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    stop::suppress(pool, keyring, Whom::Subscriber(story.ana), Kind::Complaint, "why", Source::Relay, now).await.expect("a stop");
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 0 });
    assert_eq!(story.state(skipped).await, "skipped");
    assert!(story.standing(story.ana, &story.back).await.suppressed);
}

#[tokio::test]
async fn what_may_not_be_sent_any_more_stays_skipped_when_leaving_is_taken_back() {
    let story = Story::new().await;
    let taken = story.delivery(story.ana, 1, "topic", "queued").await;
    let kept = story.delivery(story.ana, 1, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(1)).await;
    story.run("INSERT INTO segments_given SELECT subscriber_id, segment_id FROM deliveries ORDER BY id LIMIT 1").await;
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 1 });
    assert_eq!((story.state(taken).await, story.state(kept).await), ("skipped".into(), "queued".into()), "the segment was given meanwhile");

    for end in [
        "UPDATE editions SET state = 'cancelled'",
        "UPDATE editions SET state = 'skipped', reason = 'an operator'",
        "WITH e AS (UPDATE editions SET state = 'finished', planned = counted) UPDATE campaigns SET state = 'cancelled'",
        "UPDATE deliveries SET due_at = due_at - interval '48 hours' WHERE state = 'skipped'",
    ] {
        let story = Story::new().await;
        let late = story.delivery(story.ana, 1, "topic", "queued").await;
        story.leave(story.ana, Scope::Topic(1)).await;
        story.run(end).await;
        assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 0 }, "{end}");
        assert_eq!(story.state(late).await, "skipped");
        assert_eq!(story.texts("SELECT segment_id::text FROM segments_given").await, [""; 0]);
    }
    let story = Story::new().await;
    story.delivery(story.ana, 1, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(1)).await;
    story.run("UPDATE deliveries SET due_at = due_at - interval '48 hours'").await;
    story.run("UPDATE editions SET anew_at = '2026-01-13T08:00:00Z'").await;
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 1 }, "the deadline was started anew");
}

#[tokio::test]
async fn what_is_queued_again_waits_where_its_campaign_is_paused() {
    let story = Story::new().await;
    story.delivery(story.ana, 1, "topic", "queued").await;
    story.leave(story.ana, Scope::Topic(1)).await;
    story.run("UPDATE editions SET state = 'finished', planned = counted, finished_at = now()").await;
    story.run("UPDATE campaigns SET state = 'paused', reason = 'an operator'").await;
    assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 1 });
    let edition = story.texts("SELECT concat_ws(' ', state, resume_to, reason, finished_at) FROM editions").await;
    assert_eq!(edition, ["paused running an operator"]);
}

#[tokio::test]
async fn one_who_had_only_asked_is_not_made_confirmed_by_taking_back() {
    let story = Story::new().await;
    story.run("INSERT INTO subscribers (address, address_key, created_at) VALUES ('n@example.org', 'n@example.org', now())").await;
    story.run("INSERT INTO subscriptions SELECT max(id), 1, 'unconfirmed', now() FROM subscribers").await;
    story
        .run("INSERT INTO consents (subscriber_id, topic_id, act, source, at) SELECT max(id), 1, 'asked', 'page', now() FROM subscribers")
        .await;
    let new: i64 = query_scalar("SELECT max(id) FROM subscribers").fetch_one(&story.app.db.pool).await.expect("an id");
    story.leave(new, Scope::Topic(1)).await;
    assert!(matches!(stop::undo(&story.app.db.pool, new, 1, story.app.now()).await, Ok(Undone::Lifted { .. })));
    assert!(!story.standing(new, &story.back).await.subscribed);
    assert_eq!(story.texts("SELECT standing FROM subscriptions ORDER BY subscriber_id DESC LIMIT 1").await, ["unconfirmed"]);
}

#[tokio::test]
async fn a_number_that_names_nobody_is_an_error() {
    let story = Story::new().await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    let nobody = stop::unsubscribe(pool, keyring, 4711, Scope::Everything, Source::Page, now).await;
    assert!(matches!(nobody, Err(StopError::NoSubscriber(4711))), "{nobody:?}");
    assert_eq!(stop::standing(pool, 4711, 1, now).await.expect("an answer"), None);
    assert_eq!(stop::standing(pool, story.ana, 4711, now).await.expect("an answer"), None);
}

#[tokio::test]
async fn an_erased_person_is_answered_like_any_other() {
    let story = Story::new().await;
    story.run("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE id = 1").await;
    for scope in [Scope::Everything, Scope::Topic(1)] {
        story.leave(story.ana, scope).await;
    }
    assert!(!story.standing(story.ana, &story.back).await.subscribed);
}

#[tokio::test]
async fn a_stop_that_was_interrupted_between_its_commits_is_caught_at_the_claim() {
    let story = Story::new().await;
    let waiting = story.delivery(story.ana, 1, "topic", "queued").await;
    let other = story.delivery(story.bea, 1, "topic", "queued").await;
    story.run("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 1").await;
    let worker = story.worker().await;
    let claimed = story.claim(worker).await;
    assert_eq!(claimed.iter().map(|c| c.key).collect::<Vec<_>>(), [other]);
    assert_eq!(story.texts("SELECT state || ' ' || reason FROM deliveries WHERE subscriber_id = 1").await, ["skipped unsubscribed"]);
    assert_eq!(story.texts("SELECT segment_id::text FROM segments_given WHERE subscriber_id = 1").await, [""; 0]);
    story.give_back(worker).await;

    story.run("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 2").await;
    let again = story.leave(story.bea, Scope::Topic(1)).await;
    assert_eq!(again, Stopped { changed: false, skipped: 1 }, "asking again sweeps what an interrupted stop left");
    assert_eq!(story.state(waiting).await, "skipped");
}

#[tokio::test]
async fn rows_of_a_slice_that_commits_after_the_stop_are_not_sent() {
    let story = Story::new().await;
    let mut slice = story.app.db.pool.begin().await.expect("a transaction");
    sqlx::query("SELECT count(*) FROM subscriptions").execute(&mut *slice).await.expect("a snapshot");
    let planned = insert_delivery(&mut slice, &story, story.ana, 1, "topic", "queued").await;
    assert_eq!(story.leave(story.ana, Scope::Topic(1)).await.skipped, 0);
    slice.commit().await.expect("a commit");
    let worker = story.worker().await;
    assert!(story.claim(worker).await.is_empty());
    assert_eq!(story.state(planned).await, "skipped");
}

#[tokio::test]
async fn no_mark_is_made_after_the_answer_to_a_stop() {
    let story = Story::new().await;
    story.run("UPDATE editions SET accepted = 20").await;
    let worker = story.worker().await;
    let mut dice = story.app.dice("no mark after the answer");
    let people = join_all((0..60).map(async |n| story.add(&format!("p{n}@example.org"), &story.back).await)).await;
    for person in &people {
        story.delivery(*person, 1, "topic", "queued").await;
    }
    let held = story.claim(worker).await;
    assert_eq!(held.len(), 60);
    let races = held.iter().map(|claimed| (claimed, dice.next_u32() % 3, dice.next_u32() % 2 == 0)).collect::<Vec<_>>();
    join_all(races.into_iter().map(async |(claimed, head_start, everything)| {
        let person = claimed.subscriber_id.expect("a subscriber");
        let marks = [mark::Mark { key: claimed.key, fence: claimed.fence }];
        let marking = async {
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            story.mark(worker, &marks).await
        };
        let scope = if everything { Scope::Everything } else { Scope::Topic(1) };
        let (marked, stopped) = tokio::join!(marking, story.leave(person, scope));
        let state = story.state(claimed.key).await;
        match marked {
            true => assert_eq!((state.as_str(), stopped.skipped), ("handing_over", 0)),
            false => assert_eq!(state, "skipped"),
        }
        assert!(!story.mark(worker, &marks).await, "no mark after the answer");
    }))
    .await;
    let sums = "SELECT (SELECT count(*) FROM segments_given) = (SELECT count(*) FROM deliveries WHERE state = 'handing_over')";
    assert!(
        query_scalar::<_, bool>(sums).fetch_one(&story.app.db.pool).await.expect("an answer"),
        "segments are given where a mail is on its way, and only there"
    );
    story.give_back(worker).await;
}

#[tokio::test]
async fn what_is_committed_while_a_mark_or_a_result_waits_for_its_row_counts() {
    let story = Story::new().await;
    story.run("UPDATE editions SET accepted = 20").await;
    let (eva, ida) = (story.add("eva@example.org", &story.back).await, story.add("ida@example.org", &story.back).await);
    let people = [story.ana, story.bea, eva, ida];
    for person in people {
        story.delivery(person, 1, "topic", "queued").await;
    }
    let worker = story.worker().await;
    let held = story.claim(worker).await;
    let marks: Vec<_> = held.iter().map(|claimed| mark::Mark { key: claimed.key, fence: claimed.fence }).collect();
    let mut writer = mark::Writer::new(worker, LEASE);
    let mut conn = story.app.db.pool.acquire().await.expect("a connection");
    let now = story.app.now();

    let other = story.app.db.pool.begin().await.expect("a transaction");
    let skipped = "UPDATE deliveries SET state = 'skipped', reason = 'unsubscribed' WHERE subscriber_id = (SELECT min(subscriber_id) FROM deliveries)";
    let touched = "UPDATE deliveries SET put_off_until = now() WHERE state = 'claimed'";
    let paused = "UPDATE subscribers SET paused_until = '2100-01-01' WHERE address = 'eva@example.org'";
    let marked = after(&story, other, &[skipped, touched, paused], writer.write(&mut conn, now, &[], &marks)).await.expect("marks");
    assert_eq!(marked.len(), 2, "those to whom nothing was done but a touch of their rows");
    assert_eq!(
        story.texts("SELECT state FROM deliveries ORDER BY subscriber_id").await,
        ["skipped", "handing_over", "skipped", "handing_over"]
    );

    let sent = |key: &Key| {
        let (fence, edition_id, ending) = (marked[key], Some(1), mark::Ending::Sent);
        mark::Record { key: *key, edition_id, fence, ending, reason: None, reply: None, pause: None }
    };
    let keys: Vec<_> = marked.keys().collect();
    writer.write(&mut conn, now, &[sent(keys[0])], &[]).await.expect("the longer way, on which it learns that the opening is over");
    let other = story.app.db.pool.begin().await.expect("a transaction");
    let touched = "UPDATE deliveries SET put_off_until = now() WHERE state = 'handing_over'";
    after(&story, other, &[touched], writer.write(&mut conn, now, &[sent(keys[1])], &[])).await.expect("a result");
    assert_eq!(
        story.texts("SELECT state || ' ' || attempts FROM deliveries ORDER BY subscriber_id").await,
        ["skipped 0", "sent 1", "skipped 0", "sent 1"]
    );
}

// What comes of `work`, which has to wait for rows that `other` changed and then committed.
async fn after<T>(
    story: &Story,
    mut other: sqlx::Transaction<'_, sqlx::Postgres>,
    changes: &[&'static str],
    work: impl Future<Output = T>,
) -> T {
    for &change in changes {
        sqlx::query(change).execute(&mut *other).await.expect(change);
    }
    let commit = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while query_scalar::<_, i64>(waits).fetch_one(&story.app.db.pool).await.expect("a number") == 0 {
            tokio::task::yield_now().await;
        }
        other.commit().await.expect("a commit");
    };
    tokio::join!(work, commit).0
}

#[tokio::test]
async fn a_refused_address_is_suppressed_once_and_stays_lifted_when_its_job_comes_again() {
    let story = Story::new().await;
    let (pool, keyring) = (&story.app.db.pool, &story.app.keyring);
    let refused = story.delivery(story.ana, 1, "topic", "failed").await;
    let waiting = story.delivery(story.ana, 1, "waitlist", "queued").await;
    story.run("UPDATE deliveries SET enhanced_code = '5.1.1', finished_at = '2026-01-13T09:00:00Z' WHERE state = 'failed'").await;
    let job = || stop::refused(pool, keyring, refused.period, refused.id, story.app.now());
    assert_eq!(job().await.expect("a stop"), Stopped { changed: true, skipped: 1 });
    assert_eq!(story.state(waiting).await, "skipped");
    assert_eq!(story.texts("SELECT kind || ': ' || reason FROM suppressions").await, ["hard_bounce: refused by the relay (5.1.1)"]);
    let mut conn = pool.acquire().await.expect("a connection");
    let ana = EmailAddress::parse("ana@example.org").expect("an address");
    let lifted = suppression::remove(&mut conn, keyring, &ana, "the mailbox is back", story.app.now()).await.expect("an answer");
    assert_eq!((lifted.lifted, lifted.left), (vec![Kind::HardBounce], vec![]));
    assert!(!job().await.expect("an answer").changed, "a repeat of the job suppresses nobody anew");
    let unknown = stop::refused(pool, keyring, waiting.period, waiting.id, story.app.now()).await.expect("an answer");
    assert!(!unknown.changed, "a delivery that did not fail is no refusal");
}

#[tokio::test]
async fn an_operator_lifts_what_an_operator_may_lift_and_nothing_else() {
    let story = Story::new().await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    for kind in Kind::ALL {
        stop::suppress(pool, keyring, Whom::Subscriber(story.ana), kind, "why", Source::Operator, now).await.expect("a stop");
    }
    let mut conn = pool.acquire().await.expect("a connection");
    let ana = EmailAddress::parse("ANA@example.org").expect("an address");
    let removed = suppression::remove(&mut conn, keyring, &ana, "a talk on the phone", now).await.expect("an answer");
    assert_eq!(removed.lifted, [Kind::HardBounce, Kind::Complaint, Kind::Manual]);
    assert_eq!(removed.left, [Kind::UnsubscribeAll, Kind::Erased]);
    let acts = story.texts("SELECT act || ': ' || detail FROM operator_acts WHERE act = 'suppression lifted'").await;
    assert_eq!(acts, ["suppression lifted: a talk on the phone"; 3]);
}

#[tokio::test]
async fn a_suppression_knows_an_address_by_its_hash_alone_until_it_is_lifted() {
    let story = Story::new().await;
    let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
    let address = EmailAddress::parse("nobody@example.org").expect("an address");
    for changed in [true, false] {
        let stopped =
            stop::suppress(pool, keyring, Whom::Address(&address), Kind::Manual, "why", Source::Operator, now).await.expect("a stop");
        assert_eq!(stopped, Stopped { changed, skipped: 0 });
    }
    let row = story.texts("SELECT suppressions::text FROM suppressions").await.remove(0);
    assert!(!row.contains("nobody"), "{row}");
    let mut conn = pool.acquire().await.expect("a connection");
    suppression::remove(&mut conn, keyring, &address, "why not", now).await.expect("an answer");
    story.add("nobody@example.org", &story.back).await;
}

#[tokio::test]
async fn a_stop_has_its_effect_though_the_suppression_of_the_address_hangs_on_nobody() {
    let story = Story::new().await;
    for whose in ["NULL", "an erased row"] {
        story.leave(story.ana, Scope::Everything).await;
        match whose {
            "NULL" => story.run("UPDATE suppressions SET subscriber_id = NULL").await,
            _ => {
                story.run("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE id = 2").await;
                story.run("UPDATE suppressions SET subscriber_id = 2").await;
            }
        }
        let queued = story.delivery(story.ana, story.back.id, "topic", "queued").await;
        let stopped = story.leave(story.ana, Scope::Everything).await;
        assert_eq!(stopped, Stopped { changed: true, skipped: 1 }, "{whose}");
        assert_eq!(story.state(queued).await, "skipped");
        assert!(story.standing(story.ana, &story.back).await.everything);
        assert!(story.claim(story.worker().await).await.is_empty());
        assert_eq!(story.texts("SELECT kind || ' ' || subscriber_id FROM suppressions").await, ["unsubscribe_all 1"]);
        assert!(!story.leave(story.ana, Scope::Everything).await.changed, "once");
        story.run("DELETE FROM suppressions").await;
    }
}

#[tokio::test]
async fn whoever_was_never_confirmed_comes_back_unconfirmed() {
    let story = Story::new().await;
    subscription_to(&story, story.ana, &story.sleep).await;
    story.run("UPDATE subscriptions SET standing = 'unconfirmed' WHERE topic_id = 2").await;
    for _ in 0..2 {
        story.leave(story.ana, Scope::Topic(2)).await;
        let undone = stop::undo(&story.app.db.pool, story.ana, 2, story.app.now()).await.expect("an answer");
        assert_eq!(undone, Undone::Lifted { scope: Scope::Topic(2), queued: 0 });
        assert_eq!(story.texts("SELECT standing FROM subscriptions WHERE topic_id = 2").await, ["unconfirmed"]);
        story.app.wait(SignedDuration::from_mins(1));
    }
    for _ in 0..2 {
        story.leave(story.ana, Scope::Topic(1)).await;
        assert_eq!(story.undo().await, Undone::Lifted { scope: Scope::Topic(1), queued: 0 });
        assert!(story.standing(story.ana, &story.back).await.subscribed);
        story.app.wait(SignedDuration::from_mins(1));
    }
}
