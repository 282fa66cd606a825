//! What is forecast is what is planned: whole populations by chance, week by week, by tip and by reason; and nothing is written.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tidings::campaigns::forecast::{Forecast, forecast};
use tidings::campaigns::states::FirstTip;

use super::story::{NAME, Story, at};

/// What became of an edition: how many were planned, and how many got each tip or were skipped for each reason.
type Outcome = (i64, BTreeMap<String, i64>);

async fn reckon(story: &Story, weeks: u16) -> Forecast {
    let conn = story.app.db.pool.acquire().await.expect("a connection").detach();
    forecast(conn, NAME, weeks, story.app.now(), |_, _| ()).await.expect("a forecast")
}

fn told(found: &Forecast) -> BTreeMap<String, Outcome> {
    let weeks = found.editions.iter().map(|week| {
        assert!(week.adds_up(), "{week:?}");
        let tips = week.tips.iter().map(|tip| (format!("tip {}", tip.tip), tip.recipients));
        (week.edition.to_string(), (week.planned, tips.chain(week.skipped.clone()).collect()))
    });
    weeks.collect()
}

async fn became(story: &Story, occurrence: &str) -> Outcome {
    let rows = story
        .texts(&format!(
            "SELECT count(*) || '|' || CASE WHEN d.state = 'skipped' THEN d.reason ELSE 'tip ' || d.segment_id END
            FROM deliveries d JOIN editions e ON e.id = d.edition_id WHERE e.occurrence = '{occurrence}'
            GROUP BY CASE WHEN d.state = 'skipped' THEN d.reason ELSE 'tip ' || d.segment_id END"
        ))
        .await;
    let rows = rows.iter().filter_map(|row| row.split_once('|')).map(|(count, what)| (what.to_owned(), count.parse().expect("a count")));
    (story.edition(occurrence).await.counts.planned.expect("planned"), rows.collect())
}

/// Turns the clock from one due time to the next, sweeping and sending at each, until `end`.
async fn live_until(story: &Story, end: Timestamp) {
    loop {
        story.sweep().await;
        story.send().await;
        let next = story
            .texts(
                "SELECT to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM (
                    SELECT min(ready_at) AS at FROM deliveries WHERE ready_at IS NOT NULL
                    UNION ALL SELECT next_run_at FROM campaigns WHERE state IN ('scheduled', 'running')) t",
            )
            .await;
        let next = at(&next[0]).max(story.app.now() + SignedDuration::from_mins(1));
        if next >= end {
            break;
        }
        story.app.clock.set(next);
    }
    story.app.clock.set(end);
    story.sweep().await;
    story.send().await;
}

/// Tips with and without windows, and people of whom chance says what they are, want and had.
async fn populate(story: &Story, dice: &mut ChaCha8Rng, tips: u32, people: i64) {
    let mut roll = |sides: u32| i64::from(dice.next_u32() % sides);
    for tip in 1..=tips {
        if roll(3) == 0 {
            let from = roll(8);
            story.run(&format!("UPDATE tips SET stage_from = {from}, stage_to = {} WHERE id = {tip}", from + 1 + roll(6))).await;
        }
    }
    story.add_people(usize::try_from(people).expect("a number")).await;
    let zones = ["Pacific/Auckland", "Asia/Kolkata", "America/New_York", "America/Santiago", "Mars/Olympus"];
    let mut sql = String::new();
    for id in 1..=people {
        let mut set = |what: String| sql.push_str(&format!("UPDATE subscribers SET {what} WHERE id = {id};"));
        match roll(3) {
            0 => set(format!("zone = '{}'", zones[roll(5) as usize])),
            1 => set(format!("weekday = {}, hour = {}", 1 + roll(7), roll(24))),
            _ => {}
        }
        match roll(4) {
            0 => set(format!("stage_date = date '2026-03-01' - {}", roll(80))),
            1 => set(format!("paused_until = timestamptz '2026-03-01' + make_interval(hours => {})", roll(24 * 30))),
            _ => {}
        }
        for tip in 1..=tips {
            if roll(4) == 0 {
                sql.push_str(&format!("INSERT INTO segments_given VALUES ({id}, {tip});"));
            }
        }
        match roll(12) {
            0 => sql.push_str(&format!("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = {id};")),
            1 => sql.push_str(&format!(
                "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES (sha256('{id}'), 'k', {id}, 'manual', 'why', now());"
            )),
            _ => {}
        }
    }
    story.run(&sql).await;
}

async fn compare(seed: u64, subscriber_zone: bool, cron: Option<&'static str>, begun: bool) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let story = Story::new(8).await;
    story.run("UPDATE series SET created_at = '2026-01-01'").await;
    story.app.clock.set(at("2026-03-02T06:00:00Z"));
    populate(&story, &mut dice, 8, 150).await;
    story
        .schedule_with(|new| {
            new.subscriber_zone = subscriber_zone;
            (new.at, new.cron) = if cron.is_some() { (None, cron) } else { (new.at, None) };
            new.first_tip = FirstTip::AtOnce;
        })
        .await;
    if begun {
        // In the middle of an edition: some were sent, some wait, some of these will pause beyond their time.
        live_until(&story, at("2026-03-05T12:00:00Z")).await;
        story.run("UPDATE subscribers SET paused_until = timestamptz '2026-03-20' WHERE id % 9 = 0").await;
    }
    let before = story.texts("SELECT (SELECT count(*) FROM editions) || ' ' || (SELECT count(*) FROM deliveries) || ' ' || (SELECT count(*) FROM segments_given)").await;
    let wanted = reckon(&story, 4).await;
    let after = story.texts("SELECT (SELECT count(*) FROM editions) || ' ' || (SELECT count(*) FROM deliveries) || ' ' || (SELECT count(*) FROM segments_given)").await;
    assert_eq!(before, after, "nothing is written");
    let wanted = told(&wanted);
    assert!(wanted.len() >= 4, "{wanted:?}");
    live_until(&story, at("2026-04-14T12:00:00Z")).await;
    for (edition, outcome) in wanted {
        assert_eq!(outcome, became(&story, &edition).await, "seed {seed}, edition {edition}");
    }
}

#[tokio::test]
async fn what_is_forecast_is_what_is_planned_and_sent_tip_by_tip_and_reason_by_reason() {
    // The clocks change in Europe, America and Chile within these weeks.
    for seed in 0..4 {
        compare(seed, seed % 2 == 0, None, seed > 1).await;
    }
}

#[tokio::test]
async fn it_holds_for_a_rule_that_fires_oftener_than_a_series_may_be_sent() {
    compare(11, false, Some("0 9 * * 1,2,4"), false).await;
    compare(12, false, Some("0 9 * * 1,2,4"), true).await;
}

#[tokio::test]
async fn who_runs_out_and_who_comes_back_are_told_with_their_week() {
    let story = Story::new(2).await;
    story.add_person("Ana", "").await;
    story.add_person("Bea", "paused_until = '2026-01-20T10:00:00Z'").await;
    story.schedule().await;
    let found = reckon(&story, 6).await;
    let weeks: Vec<_> = found.editions.iter().map(|week| (week.with_a_tip(), week.run_out, week.come_back)).collect();
    assert_eq!(weeks, [(1, 0, 0), (1, 0, 0), (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0)]);
    assert_eq!(found.editions[2].skipped, BTreeMap::from([("no tip left".to_owned(), 1)]));
}

#[tokio::test]
async fn it_begins_with_what_is_due_and_ends_with_the_campaign() {
    let story = Story::new(3).await;
    story.add_people(10).await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-28T12:00:00Z"));
    let found = reckon(&story, 2).await;
    let days: Vec<String> = found.editions.iter().map(|week| week.edition.to_string()).collect();
    assert_eq!(days, ["2026-01-27", "2026-02-03"], "of those missed only the newest is taken up");
    tidings::campaigns::campaign::cancel(&mut *story.conn().await, NAME, story.app.now()).await.expect("cancelled");
    assert!(reckon(&story, 2).await.editions.is_empty());
}

#[tokio::test]
async fn a_forecast_waits_for_nobody_and_nobody_for_it() {
    let story = Story::new(3).await;
    story.add_people(20).await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-13T08:40:00Z"));
    let mut conn = story.conn().await;
    let mut held = sqlx::Connection::begin(&mut *conn).await.expect("a transaction");
    sqlx::query("LOCK TABLE editions, deliveries, segments_given IN EXCLUSIVE MODE").execute(&mut *held).await.expect("locks");
    let found = reckon(&story, 3).await;
    held.rollback().await.expect("let go");
    assert_eq!(found.editions.iter().map(tidings::campaigns::forecast::Week::with_a_tip).collect::<Vec<_>>(), [20, 20, 20]);
}

#[tokio::test]
async fn whoever_was_just_welcomed_with_a_tip_is_passed_over_by_the_next_edition() {
    let story = Story::new(3).await;
    let ana = story.add_person("Ana", "").await;
    story.schedule_with(|new| new.first_tip = FirstTip::AtOnce).await;
    tidings::campaigns::first_tip::give(&mut *story.conn().await, ana, &[1], story.app.now()).await.expect("her first tip");
    let found = told(&reckon(&story, 2).await);
    assert_eq!(found["2026-01-13"], (1, BTreeMap::from([("tip within 72 hours".to_owned(), 1)])));
    assert_eq!(found["2026-01-20"], (1, BTreeMap::from([("tip 2".to_owned(), 1)])));
}

#[tokio::test]
async fn the_terminal_tells_it_as_a_table_and_as_json() {
    let story = Story::new(2).await;
    story.add_people(7).await;
    story.schedule().await;
    let tidings = |arguments: &[&str]| {
        let done = story.app.binary().args(["campaign", "forecast", NAME]).args(arguments).assert().success();
        String::from_utf8(done.get_output().stdout.clone()).expect("text")
    };
    let found: serde_json::Value = serde_json::from_str(&tidings(&["--json"])).expect("JSON");
    let weeks = found["editions"].as_array().expect("editions");
    assert_eq!(weeks.len(), 12);
    assert_eq!(
        (&weeks[0]["planned"], &weeks[0]["tips"][0]["subject"], &weeks[0]["tips"][0]["recipients"]),
        (&7.into(), &"Tip 1".into(), &7.into())
    );
    // By the real clock the first of them is one that was missed, and may be too near to the second.
    assert_eq!((&weeks[11]["skipped"]["no tip left"], &weeks[11]["run_out"]), (&7.into(), &0.into()));
    assert_eq!(weeks.iter().filter_map(|week| week["run_out"].as_i64()).sum::<i64>(), 7);
    let table = tidings(&["--weeks", "4"]);
    assert!(
        table.contains("1: 7") && table.contains("7 no tip left") && table.contains("Have no tip left for the first time: 7 on "),
        "{table}"
    );
}
