//! The equation: planned = sent + failed + skipped + unconfirmed + cancelled + to do, after every step of random stories.

use std::time::Duration;

use jiff::SignedDuration;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tidings::campaigns::{campaign, due, edition, report, weekly};
use tidings::delivery::ledger::lease;
use tidings::delivery::ledger::mark::Ending;
use tidings::people::stop::{self, Scope, Source};

use super::story::{NAME, Story};

const STORIES: usize = 6;
const STEPS: usize = 120;
const PEOPLE: usize = 60;

#[tokio::test]
async fn the_numbers_add_up_after_every_step_of_random_stories() {
    for number in 0..STORIES {
        let mut story = Story::new(4).await;
        story.app.may_leave_work();
        story.add_people(PEOPLE).await;
        story.schedule_with(|new| new.subscriber_zone = number % 2 == 1).await;
        let mut dice = story.app.dice(&format!("sums {number}"));
        for step in 0..STEPS {
            let what = take_step(&mut story, &mut dice).await;
            hold(&story, &format!("story {number}, step {step}: {what}")).await;
        }
    }
}

async fn hold(story: &Story, what: &str) {
    let report = report::report(&mut *story.conn().await, NAME, None).await.expect("a report");
    for edition in &report.editions {
        let total = edition.counts.planned.unwrap_or(edition.counted);
        assert!(edition.counts.add_up_to(total), "{what}: {edition:?}");
        assert!(edition.state.as_str() != "finished" || edition.counts.to_do == 0, "{what}: {edition:?}");
    }
    let twice = story.number(
        "SELECT count(*) FROM (SELECT FROM deliveries WHERE state NOT IN ('skipped', 'failed', 'cancelled')
        GROUP BY subscriber_id, segment_id HAVING count(*) > 1) x",
    );
    assert_eq!(twice.await, 0, "{what}: a segment twice for one person");
    let astray = story.number(
        "SELECT count(*) FROM segments_given g FULL JOIN
            (SELECT * FROM deliveries WHERE state NOT IN ('skipped', 'failed', 'cancelled')) d USING (subscriber_id, segment_id)
        WHERE g.subscriber_id IS NULL OR d.id IS NULL",
    );
    assert_eq!(astray.await, 0, "{what}: what was given and what is on its way differ");
}

async fn take_step(story: &mut Story, dice: &mut ChaCha8Rng) -> String {
    let (pool, now) = (story.app.db.pool.clone(), story.app.now());
    let mut conn = story.conn().await;
    let roll = dice.next_u32() % 24;
    match roll {
        0..=3 => {
            story.app.wait(SignedDuration::from_mins(i64::from(dice.next_u32() % (60 * 24))));
            due::open_due(&mut conn, story.app.now()).await.expect("open");
            due::start_due(&mut conn, story.app.now()).await.expect("start");
        }
        4..=6 => {
            for id in due::plannable(&mut conn).await.expect("plannable") {
                weekly::plan_slice(&mut conn, id, now).await.expect("a slice");
            }
        }
        7..=12 => {
            let ending = match roll {
                7..=8 => Ending::Sent,
                9 => Ending::Failed { refused_address: false },
                10 => Ending::Deferred { until: now + SignedDuration::from_mins(7), counted: true },
                11 => Ending::Unconfirmed,
                _ => Ending::NotBegun { until: None },
            };
            let marked = story.mark(story.claim(i64::from(dice.next_u32() % 20)).await).await;
            story.record(&marked, ending).await;
        }
        13 => {
            story.mark(story.claim(3).await).await;
            story.claim(3).await;
        }
        14 => {
            // The worker is killed, found dead, and started again.
            story.run("UPDATE workers SET seen_at = now() - interval '2 hours'").await;
            lease::bury(&mut conn, Duration::from_secs(60), now).await.expect("buried");
            story.worker = lease::register(&mut conn, "worker").await.expect("a worker");
        }
        15..=16 => {
            let who = i64::from(dice.next_u32()) % PEOPLE as i64 + 1;
            let scope = if roll == 15 { Scope::Topic(1) } else { Scope::Everything };
            stop::unsubscribe(&pool, &story.app.keyring, who, scope, Source::Page, now).await.expect("a stop");
            if dice.next_u32().is_multiple_of(2) {
                stop::undo(&pool, who, 1, now).await.expect("an undo");
            }
        }
        17 => drop(campaign::pause(&mut conn, NAME, "why", now).await),
        18..=19 => drop(campaign::resume(&mut conn, NAME, now).await),
        20 => drop(edition::release(&mut conn, NAME, now).await),
        21 => drop(edition::skip(&mut conn, NAME, now).await),
        22 if dice.next_u32().is_multiple_of(3) => drop(edition::run(&mut conn, NAME, true, now).await),
        23 if dice.next_u32().is_multiple_of(40) => drop(campaign::cancel(&mut conn, NAME, now).await),
        _ => drop(due::finish(&mut conn, now).await.expect("finish")),
    }
    format!("roll {roll}")
}
