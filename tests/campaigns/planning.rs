//! Who gets what: the next tip in order, her stage, her pause, the 72 hours, and nobody in silence.

use tidings::campaigns::{due, planning};

use super::story::{Story, at};

const FIRST: &str = "2026-01-13";
const SECOND: &str = "2026-01-20";

#[tokio::test]
async fn each_subscriber_walks_through_the_series_and_goes_on_when_tips_are_added() {
    let story = Story::new(2).await;
    story.add_person("Ana", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.add_person("Bea", "").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: sent 1"]);
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(SECOND).await, ["Ana: sent 2", "Bea: sent 1"]);
    story.sweep_at("2026-01-27T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome("2026-01-27").await, ["Ana: skipped no tip left", "Bea: sent 2"]);
    story.add_tips(1).await;
    story.sweep_at("2026-02-03T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome("2026-02-03").await, ["Ana: sent 3", "Bea: sent 3"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 6);
}

#[tokio::test]
async fn only_those_who_may_get_the_topic_are_recipients() {
    let story = Story::new(3).await;
    let mut ids = Vec::new();
    for name in ["confirmed", "unconfirmed", "unsubscribed", "elsewhere", "suppressed", "lifted", "erased"] {
        ids.push(story.add_person(name, "").await);
    }
    story.run(&format!("UPDATE subscriptions SET standing = 'unconfirmed' WHERE subscriber_id = {}", ids[1])).await;
    story.run(&format!("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = {}", ids[2])).await;
    story.run(&format!("UPDATE subscriptions SET topic_id = 2 WHERE subscriber_id = {}", ids[3])).await;
    let suppress = |id: i64, kind: &str| {
        format!(
            "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES (sha256('{id}{kind}'), 'k', {id}, '{kind}', 'why', now())"
        )
    };
    for kind in ["hard_bounce", "manual"] {
        story.run(&suppress(ids[4], kind)).await;
        story.run(&suppress(ids[5], kind)).await;
    }
    story.run(&format!("UPDATE suppressions SET lifted_at = now(), lifted_reason = 'why' WHERE subscriber_id = {}", ids[5])).await;
    story.run(&format!("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now() WHERE id = {}", ids[6])).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    assert_eq!(story.outcome(FIRST).await, ["confirmed: queued 1", "lifted: queued 1"]);
    assert_eq!(story.edition(FIRST).await.counts.planned, Some(2));
}

#[tokio::test]
async fn only_approved_tips_are_given_in_the_order_of_the_series_whatever_their_age() {
    let story = Story::new(5).await;
    story.run("UPDATE tips SET state = 'draft' WHERE id = 4; UPDATE tips SET state = 'retired' WHERE id = 5").await;
    story.run("UPDATE tips SET position = 10 - id WHERE id < 4").await;
    story.add_person("Ana", "").await;
    story.schedule().await;
    for (day, outcome) in
        [(FIRST, "Ana: sent 3"), (SECOND, "Ana: sent 2"), ("2026-01-27", "Ana: sent 1"), ("2026-02-03", "Ana: skipped no tip left")]
    {
        story.sweep_at(&format!("{day}T09:00:00Z")).await;
        story.send().await;
        assert_eq!(story.outcome(day).await, [outcome]);
    }
}

#[tokio::test]
async fn a_tip_with_a_stage_window_is_passed_over_until_it_holds_and_stays_open() {
    let story = Story::new(3).await;
    story
        .run("UPDATE tips SET stage_from = 6, stage_to = 12 WHERE id = 1; UPDATE tips SET stage_from = 0, stage_to = 1 WHERE id = 3")
        .await;
    // On 13 January they are: without a date, not yet there, a day short of six weeks, six weeks, twelve weeks.
    for (name, date) in [
        ("a nobody", "NULL"),
        ("b coming", "'2026-01-14'"),
        ("c 5 weeks", "'2025-12-03'"),
        ("d 6 weeks", "'2025-12-02'"),
        ("e 12 weeks", "'2025-10-21'"),
    ] {
        story.add_person(name, &format!("stage_date = {date}")).await;
    }
    story.add_person("f newborn", "stage_date = '2026-01-13'").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    assert_eq!(
        story.outcome(FIRST).await,
        ["a nobody: sent 2", "b coming: sent 2", "c 5 weeks: sent 2", "d 6 weeks: sent 1", "e 12 weeks: sent 2", "f newborn: sent 2"]
    );
    story.sweep_at("2026-01-20T09:00:00Z").await;
    assert_eq!(
        story.outcome(SECOND).await,
        [
            "a nobody: skipped no tip in her stage",
            "b coming: queued 3",
            "c 5 weeks: queued 1",
            "d 6 weeks: queued 2",
            "e 12 weeks: skipped no tip in her stage",
            "f newborn: skipped no tip in her stage",
        ]
    );
}

#[tokio::test]
async fn her_stage_is_counted_on_her_own_calendar() {
    let story = Story::new(1).await;
    story.run("UPDATE tips SET stage_from = 1, stage_to = 2").await;
    // Nine in the evening in London is the next morning in Auckland.
    story.add_person("Auckland", "stage_date = '2026-01-07', zone = 'Pacific/Auckland'").await;
    story.add_person("London", "stage_date = '2026-01-07'").await;
    story.schedule_with(|new| new.at = Some("Tue 21:00")).await;
    story.sweep_at("2026-01-13T21:00:00Z").await;
    assert_eq!(story.outcome(FIRST).await, ["Auckland: queued 1", "London: skipped no tip in her stage"]);
}

#[tokio::test]
async fn who_paused_is_skipped_until_the_day_she_named() {
    let story = Story::new(3).await;
    story.add_person("Ana", "paused_until = '2026-01-13 09:00:00Z'").await;
    story.add_person("Bea", "paused_until = '2026-01-13 09:00:01Z'").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: skipped subscriber_paused"]);
}

#[tokio::test]
async fn no_two_tips_of_a_series_within_72_hours_but_for_an_operators_run() {
    let story = Story::new(5).await;
    story.add_person("Ana", "").await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-11T09:00:01Z"));
    let run = story.run_edition().await;
    assert_eq!(run, "2026-01-11T09:00:01Z");
    story.send().await;
    story.add_person("Bea", "").await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: skipped tip within 72 hours", "Bea: sent 1"]);
    let run = story.run_edition().await;
    assert_eq!(story.outcome(&run).await, ["Ana: queued 2", "Bea: queued 2"]);
    story.send().await;
    story.sweep_at("2026-01-20T09:00:00Z").await;
    assert_eq!(story.outcome(SECOND).await, ["Ana: queued 3", "Bea: queued 3"]);
}

#[tokio::test]
async fn two_runs_of_one_day_are_two_editions_with_two_tips() {
    let story = Story::new(5).await;
    story.add_people(3).await;
    story.schedule().await;
    let first = story.run_edition().await;
    story.app.wait(jiff::SignedDuration::from_mins(1));
    let second = story.run_edition().await;
    story.send().await;
    assert_ne!(first, second);
    for (occurrence, tip) in [(first, 1), (second, 2)] {
        let given = format!(
            "SELECT DISTINCT segment_id FROM deliveries d JOIN editions e ON e.id = d.edition_id WHERE occurrence = '{occurrence}'"
        );
        assert_eq!(story.numbers(&given).await, [tip]);
        assert_eq!(story.edition(&occurrence).await.counts.sent, 3);
    }
}

#[tokio::test]
async fn with_the_subscribers_zones_each_is_due_at_nine_on_her_own_wall() {
    let story = Story::new(3).await;
    for (name, zone) in [
        ("Auckland", "'Pacific/Auckland'"),
        ("Honolulu", "'Pacific/Honolulu'"),
        ("Kolkata", "'Asia/Kolkata'"),
        ("nowhere", "NULL"),
        ("unknown", "'Mars/Olympus'"),
    ] {
        story.add_person(name, &format!("zone = {zone}")).await;
    }
    story.schedule_with(|new| new.subscriber_zone = true).await;
    story.sweep_at("2026-01-12T18:29:59Z").await;
    assert_eq!(story.number("SELECT count(*) FROM editions").await, 0, "planning opens 30 minutes before the earliest zone");
    story.sweep_at("2026-01-12T18:30:00Z").await;
    let due = story.texts("SELECT s.name || ' ' || to_char(due_at AT TIME ZONE 'UTC', 'DD HH24:MI') FROM deliveries d JOIN subscribers s ON s.id = subscriber_id ORDER BY s.name").await;
    assert_eq!(due, ["Auckland 12 20:00", "Honolulu 13 19:00", "Kolkata 13 03:30", "nowhere 13 09:00", "unknown 13 09:00"]);
    assert_eq!(story.states().await[FIRST], "scheduled");
    story.sweep_at("2026-01-12T19:00:00Z").await;
    assert_eq!(story.states().await[FIRST], "running");
    for (instant, sent) in [
        ("2026-01-12T19:59:59Z", 0),
        ("2026-01-12T20:00:00Z", 1),
        ("2026-01-13T09:00:00Z", 4),
        ("2026-01-13T18:59:59Z", 4),
        ("2026-01-13T19:00:00Z", 5),
    ] {
        story.app.clock.set(at(instant));
        story.send().await;
        assert_eq!(story.edition(FIRST).await.counts.sent, sent, "{instant}");
    }
    assert_eq!(story.states().await[FIRST], "finished");
}

#[tokio::test]
async fn slices_are_safe_to_repeat_and_count_everyone_once() {
    let story = Story::new(2).await;
    story.add_people(12_345).await;
    story.run("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id % 7 = 0").await;
    story.run("UPDATE subscribers SET paused_until = 'infinity' WHERE id % 5 = 0").await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-13T08:31:00Z"));
    let (mut conn, now) = (story.conn().await, story.app.now());
    let editions = due::open_due(&mut conn, now).await.expect("an edition");
    let mut slices = 0;
    loop {
        // Two workers plan at once: one of them finds the edition taken, or the next slice.
        let mut other = story.conn().await;
        let (one, two) =
            tokio::join!(planning::plan_slice(&mut conn, editions[0], now), planning::plan_slice(&mut other, editions[0], now));
        slices += 1;
        let report = story.edition(FIRST).await;
        assert!(report.counts.add_up_to(report.counted), "{report:?}");
        let planned = report.counts.planned.is_some();
        assert!(one.expect("a slice").done || two.expect("a slice").done || !planned);
        if planned {
            break;
        }
        assert!(slices < 100);
    }
    let report = story.edition(FIRST).await;
    let wanted = story.number("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await;
    assert_eq!(report.counts.planned, Some(wanted));
    assert!(report.counts.add_up_to(wanted), "{report:?}");
    assert_eq!(
        report.counts.reasons["subscriber_paused"],
        story.number("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed' AND subscriber_id % 5 = 0").await
    );
    assert!(planning::plan_slice(&mut conn, editions[0], now).await.expect("nothing to do").done);
    assert_eq!(story.edition(FIRST).await.counts, report.counts);
}

#[tokio::test]
async fn two_editions_planned_at_once_never_give_a_subscriber_the_same_tip() {
    let story = Story::new(4).await;
    story.add_people(6_000).await;
    story.schedule().await;
    let mut conn = story.conn().await;
    for _ in 0..3 {
        tidings::campaigns::edition::run(&mut conn, super::story::NAME, true, story.app.now()).await.expect("an edition");
        story.app.wait(jiff::SignedDuration::from_secs(1));
    }
    let editions = due::plannable(&mut conn).await.expect("editions");
    assert_eq!(editions.len(), 3);
    let now = story.app.now();
    let plan = async |edition| {
        let mut conn = story.conn().await;
        while !planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done {}
    };
    tokio::join!(plan(editions[0]), plan(editions[1]), plan(editions[2]));
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, 18_000);
    assert_eq!(story.number("SELECT count(DISTINCT (subscriber_id, segment_id)) FROM deliveries").await, 18_000);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 18_000);
}

#[tokio::test]
async fn an_edition_for_nobody_and_a_series_without_tips_end_in_order() {
    let story = Story::new(0).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    assert_eq!(story.states().await[FIRST], "finished");
    story.add_person("Ana", "").await;
    story.sweep_at("2026-01-20T09:00:00Z").await;
    assert_eq!(story.outcome(SECOND).await, ["Ana: skipped no tip left"]);
    assert_eq!(story.states().await[SECOND], "finished");
}
