//! Changes at the very moment of planning and claiming: nobody is lost, nobody has two, and the last word holds.

use super::FIRST;
use crate::campaigns::story::{NAME, Story};
use futures_util::future::join_all;
use rand_chacha::rand_core::Rng;
use tidings::campaigns::{due, edition, planning};
use tidings::people::preferences::{self, Change, Source};

const PEOPLE: i64 = 12_000;

#[tokio::test]
async fn changes_while_an_edition_is_planned_lose_nobody_and_the_last_word_holds() {
    let story = Story::new(3).await;
    story.add_people(PEOPLE as usize).await;
    story.schedule().await;
    story.app.clock.set("2026-01-13T08:31:00Z".parse().unwrap());
    let now = story.app.now();
    let editions = due::open_due(&mut *story.conn().await, now).await.unwrap();
    let plan = async {
        let mut conn = story.conn().await;
        while !planning::plan_slice(&mut conn, editions[0], now).await.unwrap().done {}
    };
    let mut dice = story.app.dice("changes while planning");
    let wanted: Vec<(i64, i16)> = (0..400).map(|_| (1 + i64::from(dice.next_u32()) % PEOPLE, 1 + (dice.next_u32() % 7) as i16)).collect();
    let pool = &story.app.db.pool;
    let changes = join_all(wanted.chunks(100).map(|some| async move {
        for (person, weekday) in some {
            preferences::change(pool, *person, &[Change::Weekday(Some(*weekday))], Source::Page, now).await.unwrap();
        }
    }));
    tokio::join!(plan, changes);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, PEOPLE);
    assert_eq!(story.number("SELECT count(DISTINCT subscriber_id) FROM deliveries").await, PEOPLE);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, PEOPLE);
    assert_eq!(story.edition(FIRST).await.counts.planned, Some(PEOPLE));
    let elsewhere = "SELECT count(*) FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
        WHERE extract(isodow FROM d.due_at AT TIME ZONE 'Europe/London') <> coalesce(s.weekday, 2)";
    assert_eq!(story.number(elsewhere).await, 0, "everyone is due on the day that she said last");
    assert!(story.number("SELECT count(*) FROM subscribers WHERE weekday IS NOT NULL").await > 350);
}

#[tokio::test]
async fn changes_while_workers_claim_and_hand_over_send_to_nobody_twice_and_leave_nobody_out() {
    let story = Story::new(3).await;
    story.add_people(600).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let now = story.app.now();
    let pool = &story.app.db.pool;
    let send = async || {
        let mut empty = 0;
        while empty < 3 {
            let claimed = story.claim(15).await;
            empty = if claimed.is_empty() { empty + 1 } else { 0 };
            let marked = story.mark(claimed).await;
            story.record(&marked, tidings::delivery::ledger::mark::Ending::Sent).await;
        }
    };
    // To and fro: at the end everyone wants the letter's own day again, which is now.
    let changes = join_all((0..4).map(|part| async move {
        for person in (1..=600).filter(|person| person % 4 == part) {
            for weekday in [Some(4), None] {
                preferences::change(pool, person, &[Change::Weekday(weekday)], Source::Page, now).await.unwrap();
            }
        }
    }));
    tokio::join!(send(), send(), changes);
    story.send().await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'sent'").await, 600);
    assert_eq!(story.number("SELECT count(DISTINCT subscriber_id) FROM deliveries WHERE state = 'sent'").await, 600);
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await, 600);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 600);
    assert_eq!(story.states().await[FIRST], "finished");
}

#[tokio::test]
async fn a_change_waits_for_an_edition_that_is_being_opened() {
    let story = Story::new(3).await;
    let ana = story.add_person("Ana", "").await;
    story.schedule().await;
    for round in 0..10 {
        let (now, pool) = (story.app.now(), &story.app.db.pool);
        let weekday = if round % 2 == 0 { Some(5) } else { None };
        let open = async {
            let mut conn = story.conn().await;
            edition::run(&mut conn, NAME, true, now).await.unwrap();
            for edition in due::plannable(&mut conn).await.unwrap() {
                while !planning::plan_slice(&mut conn, edition, now).await.unwrap().done {}
            }
        };
        let wanted = [Change::Weekday(weekday)];
        let changed = preferences::change(pool, ana, &wanted, Source::Page, now);
        let (_, changed) = tokio::join!(open, changed);
        assert_eq!(changed.unwrap(), ["weekday and hour"]);
        story.app.wait(jiff::SignedDuration::from_secs(2));
    }
    story.sweep().await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await, 10);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, 3, "three tips, each once");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 3);
    tidings::campaigns::campaign::cancel(&mut *story.conn().await, NAME, story.app.now()).await.unwrap();
}
