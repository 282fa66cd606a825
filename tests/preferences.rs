//! What a person prefers and what follows from it: her pause, her own day and hour, a move in the middle of an edition, and that
//! nobody is lost or doubled by it.

mod moving;
mod outlook;
mod races;

use crate::campaigns::story::{Story, at};
use tidings::people::preferences::{self, Change, Source};

const FIRST: &str = "2026-01-13";
const SECOND: &str = "2026-01-20";

async fn change(story: &Story, subscriber: i64, changes: &[Change]) -> Vec<&'static str> {
    preferences::change(&story.app.db.pool, subscriber, changes, Source::Page, story.app.now()).await.expect("a change")
}

/// When each delivery of an edition is due, by the name of its subscriber: `Ana 13 09:00`.
async fn due(story: &Story, occurrence: &str) -> Vec<String> {
    story
        .texts(&format!(
            "SELECT s.name || ' ' || to_char(due_at AT TIME ZONE 'UTC', 'DD HH24:MI') FROM deliveries d JOIN subscribers s ON s.id = subscriber_id
            JOIN editions e ON e.id = d.edition_id WHERE e.occurrence = '{occurrence}' ORDER BY s.name"
        ))
        .await
}

/// Events about all people, in their order.
async fn events(story: &Story) -> Vec<String> {
    story
        .texts("SELECT concat_ws(' | ', what, source, coalesce(before, '-'), coalesce(after, '-')) FROM subscriber_events ORDER BY id")
        .await
}

#[tokio::test]
async fn every_change_is_an_event_and_what_stands_already_is_none() {
    let story = Story::new(1).await;
    let ana = story.add_person("Ana", "").await;
    let all = [
        Change::name("Ana Lind").unwrap(),
        Change::zone("europe/berlin").unwrap(),
        Change::Weekday(Some(2)),
        Change::Hour(Some(7)),
        Change::stage_date("2026-01-02").unwrap(),
        Change::Language(Some("de".to_owned())),
        Change::Pause(2),
    ];
    assert_eq!(change(&story, ana, &all).await.len(), 6);
    assert!(change(&story, ana, &all).await.is_empty(), "the same again is no change");
    let other = [Change::Hour(None), Change::Resume, Change::StageDate(None)];
    assert_eq!(change(&story, ana, &other).await, ["weekday and hour", "stage date", "pause"]);
    assert_eq!(
        events(&story).await,
        [
            "name | page | Ana | Ana Lind",
            "zone | page | - | Europe/Berlin",
            "weekday and hour | page | - | Tuesday 07:00",
            "stage date | page | - | 2026-01-02",
            "language | page | - | de",
            "pause | page | - | 2026-01-26T06:00:00Z",
            "weekday and hour | page | Tuesday 07:00 | Tuesday",
            "stage date | page | 2026-01-02 | -",
            "pause | page | 2026-01-26T06:00:00Z | -",
        ]
    );
    assert!(story.app.db.pool.acquire().await.is_ok());
    story.run("UPDATE subscribers SET address = NULL, address_key = NULL, erased_at = now()").await;
    let gone = preferences::change(&story.app.db.pool, ana, &all, Source::Page, story.app.now()).await;
    assert_eq!(gone.unwrap_err().to_string(), "there is no subscriber 1");
    assert!(preferences::of(&mut *story.conn().await, ana, story.app.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn who_pauses_is_passed_over_and_goes_on_by_herself_where_she_was() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    story.add_person("Bea", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T08:30:00Z").await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: queued 1"]);
    change(&story, ana, &[Change::Pause(1)]).await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: skipped 1 subscriber_paused", "Bea: sent 1"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1, "what she was not sent is free");
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(SECOND).await, ["Ana: sent 1", "Bea: sent 2"]);
    for day in [FIRST, SECOND] {
        assert_eq!(story.states().await[day], "finished");
        assert!(story.edition(day).await.counts.add_up_to(2));
    }
}

#[tokio::test]
async fn a_pause_stops_what_a_worker_has_claimed_already() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let claimed = story.claim(10).await;
    assert_eq!(claimed.len(), 1);
    change(&story, ana, &[Change::Pause(8)]).await;
    assert!(story.mark(claimed).await.is_empty());
    story.sweep().await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: skipped 1 subscriber_paused"]);
    assert_eq!(story.states().await[FIRST], "finished");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0);
}

#[tokio::test]
async fn resuming_before_the_hour_lets_the_letter_go_whoever_was_first_the_pause_or_the_planner() {
    let story = Story::new(4).await;
    let ana = story.add_person("Ana", "").await;
    let bea = story.add_person("Bea", "paused_until = '2026-02-01'").await;
    let eve = story.add_person("Eve", "paused_until = '2026-02-01'").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T08:30:00Z").await;
    change(&story, ana, &[Change::Pause(1)]).await;
    assert_eq!(story.outcome(FIRST).await, ["Ana: queued 1", "Bea: skipped subscriber_paused", "Eve: skipped subscriber_paused"]);
    change(&story, ana, &[Change::Resume]).await;
    change(&story, bea, &[Change::Resume]).await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    change(&story, eve, &[Change::Resume]).await;
    story.send().await;
    assert_eq!(
        story.outcome(FIRST).await,
        ["Ana: sent 1", "Bea: sent 1", "Eve: skipped subscriber_paused"],
        "Eve came too late for this one"
    );
    assert!(story.edition(FIRST).await.counts.add_up_to(3));
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome(SECOND).await, ["Ana: sent 2", "Bea: sent 2", "Eve: sent 1"]);
}

#[tokio::test]
async fn each_is_due_on_her_own_day_and_hour_and_the_edition_waits_for_the_last() {
    let story = Story::new(4).await;
    for (name, set) in [
        ("a plain", ""),
        ("b evening", "hour = 18"),
        ("c friday", "weekday = 5"),
        ("d before", "weekday = 2, hour = 8"),
        ("e monday 7 in Tokyo", "weekday = 1, hour = 7, zone = 'Asia/Tokyo'"),
    ] {
        story.add_person(name, set).await;
    }
    story.schedule().await;
    story.sweep_at("2026-01-13T08:30:00Z").await;
    assert_eq!(
        due(&story, FIRST).await,
        ["a plain 13 09:00", "b evening 13 18:00", "c friday 16 09:00", "d before 20 08:00", "e monday 7 in Tokyo 18 22:00"]
    );
    let mut sent = Vec::new();
    for instant in ["13T09:00", "13T18:00", "16T09:00", "18T22:00", "20T08:00"] {
        story.sweep_at(&format!("2026-01-{instant}:00Z")).await;
        story.send().await;
        sent.push(story.edition(FIRST).await.counts.sent);
    }
    assert_eq!(sent, [1, 2, 3, 4, 5]);
    assert_eq!(story.states().await[FIRST], "finished");
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(
        story.outcome(SECOND).await,
        ["a plain: sent 2", "b evening: queued 2", "c friday: queued 2", "d before: queued 2", "e monday 7 in Tokyo: queued 2"]
    );
    for instant in ["20T18:00", "23T09:00", "25T22:00", "27T08:00"] {
        story.sweep_at(&format!("2026-01-{instant}:00Z")).await;
        story.send().await;
    }
    assert_eq!((story.edition(SECOND).await.counts.sent, story.states().await[SECOND].as_str()), (5, "finished"));
}

#[tokio::test]
async fn two_editions_under_way_at_once_give_nobody_a_tip_twice_or_two_within_72_hours() {
    let story = Story::new(6).await;
    let ana = story.add_person("Ana", "weekday = 2, hour = 8").await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    // The letter of the first edition is deferred by its relay, and the second edition is planned meanwhile.
    story.app.clock.set(at("2026-01-20T08:00:00Z"));
    let until = at("2026-01-20T10:00:00Z");
    let marked = story.mark(story.claim(10).await).await;
    story.record(&marked, tidings::delivery::ledger::mark::Ending::Deferred { until, counted: true }).await;
    story.sweep_at("2026-01-20T09:00:00Z").await;
    assert_eq!(
        (story.outcome(FIRST).await, story.outcome(SECOND).await),
        (vec!["Ana: deferred 1 the relay's word".to_owned()], vec!["Ana: queued 2".to_owned()])
    );
    story.app.clock.set(until);
    story.send().await;
    // She wants the next one on Thursday: two days after this one.
    change(&story, ana, &[Change::Weekday(Some(4))]).await;
    assert_eq!(due(&story, SECOND).await, ["Ana 22 08:00"]);
    story.sweep_at("2026-01-22T08:00:00Z").await;
    story.send().await;
    assert_eq!(
        (story.outcome(FIRST).await, story.outcome(SECOND).await),
        (vec!["Ana: sent 1".to_owned()], vec!["Ana: skipped tip within 72 hours".to_owned()])
    );
    story.sweep_at("2026-01-29T08:00:00Z").await;
    story.send().await;
    assert_eq!(story.outcome("2026-01-27").await, ["Ana: sent 2"]);
}

#[tokio::test]
async fn an_operator_changes_the_same_things_by_the_same_functions() {
    let story = crate::support::story::Story::new().await;
    story.tips(1).await;
    story.subscribers(1).await;
    let edit = ["subscriber", "edit", "person-1@example.org"];
    let all = [
        &edit[..],
        &[
            "--name",
            "Ana",
            "--zone",
            "europe/berlin",
            "--weekday",
            "fri",
            "--hour",
            "7",
            "--stage-date",
            "2026-01-02",
            "--pause-weeks",
            "2",
        ],
    ];
    assert_eq!(story.tidings(&all.concat()).await, "person-1@example.org: changed name, zone, weekday and hour, stage date, pause.\n");
    let again = [&edit[..], &["--weekday", "Friday", "--json"]];
    assert_eq!(story.tidings(&again.concat()).await, "{\"changed\":[],\"email\":\"person-1@example.org\"}\n");
    assert_eq!(
        story.tidings(&[&edit[..], &["--resume", "--hour", ""]].concat()).await,
        "person-1@example.org: changed weekday and hour, pause.\n"
    );
    for (wrong, word) in [
        (&["--weekday", "someday"][..], "such as `Tue`"),
        (&["--hour", "25"], "0 to 23"),
        (&["--zone", "Berlin"], "Europe/Berlin"),
        (&[], "say what to change"),
    ] {
        let said = story.tidings_refuses(&[&edit[..], wrong].concat()).await;
        assert!(said.contains(word), "{said}");
    }
    assert!(story.tidings_refuses(&["subscriber", "edit", "nobody@example.org", "--resume"]).await.contains("is no subscriber"));
    assert_eq!(story.number("SELECT count(*) FROM subscriber_events WHERE source = 'operator'").await, 7);
    assert_eq!(story.number("SELECT count(*) FROM operator_acts WHERE act = 'subscriber edited'").await, 7);
}
