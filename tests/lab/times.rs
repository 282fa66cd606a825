//! F13 and F14: changes of the clocks over years, a worker whose clock is wrong, and several schedulers at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use tidings::base::clock::{Clock, SystemClock};
use tidings::campaigns::campaign::{self, NewWeekly};
use tidings::campaigns::states::{FirstTip, Late};
use tidings::delivery::relay::MemoryBox;
use tidings::jobs;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Outcome;
use super::scene::{Scene, end_in_order, far_away};
use crate::support::story::{Story, WEEKLY, memory};
use crate::support::until;

const ZONES: [&str; 2] = ["America/New_York", "Europe/Berlin"];

/// F13: every Tuesday at nine in New York and in Berlin, for so many weeks, planned by a clock that is turned by hand.
pub(crate) async fn changes_of_the_clocks(weeks: usize) -> Outcome {
    let began = Instant::now();
    let story = Story::new().await;
    story.tips(2).await;
    story.subscribers(3).await;
    let mut campaigns = Vec::new();
    for zone in ZONES {
        let new = NewWeekly {
            name: zone,
            series: WEEKLY,
            at: Some("Tue 09:00"),
            cron: None,
            zone,
            subscriber_zone: false,
            late: Late::Ask,
            tolerance: SignedDuration::from_hours(6),
            deadline: SignedDuration::from_hours(48),
            first_tip: FirstTip::Next,
        };
        campaign::create(&mut *story.conn().await, new, story.app.now()).await.expect("a campaign");
        campaigns.push((zone, TimeZone::get(zone).expect("a zone")));
    }
    let days: Vec<DateTime> = date(2026, 1, 13).series(7.days()).take(weeks).map(|day| day.at(9, 0, 0, 0)).collect();
    for day in &days {
        let mut instants: Vec<Timestamp> = campaigns.iter().map(|(_, zone)| at(zone, *day)).collect();
        instants.sort();
        for instant in instants {
            story.app.clock.set(instant);
            story.plan().await;
        }
    }
    let what = format!("daylight saving: {weeks} weeks in New York and Berlin");
    let mut outcome = Outcome { fault: "F13".to_owned(), what, ..Outcome::default() };
    for (name, zone) in &campaigns {
        let wanted: Vec<String> = days.iter().map(|day| at(zone, *day).to_string()).collect();
        let starts = format!(
            "SELECT to_char(e.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
            FROM editions e JOIN campaigns c ON c.id = e.campaign_id WHERE c.name = '{name}' ORDER BY e.starts_at"
        );
        let found = story.texts(&starts).await;
        outcome.claim(found == wanted, format!("{name} has {} editions in {} weeks, or not at nine", found.len(), wanted.len()));
        outcome.injected += days.windows(2).filter(|pair| zone.to_offset(at(zone, pair[0])) != zone.to_offset(at(zone, pair[1]))).count();
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.remark = format!("{} editions, one each week at nine, with the clock turned by hand", 2 * weeks);
    outcome
}

fn at(zone: &TimeZone, day: DateTime) -> Timestamp {
    zone.to_timestamp(day).expect("no gap at nine")
}

/// F13: a worker whose clock is so many hours off ends by itself, says so and has sent nothing.
pub(crate) async fn a_wrong_clock(hours: i64) -> Outcome {
    let began = Instant::now();
    let story = Story::with(&[("TIDINGS_DELIVERY__LEASE", "2s")]).await;
    story.tips(1).await;
    story.subscribers(5).await;
    story.app.clock.set(SystemClock.now());
    story.campaign(Late::Fire).await;
    story.run_edition().await;
    let mails = MemoryBox::default();
    let app = story.jobs_with_clock(vec![memory(&mails, 2)], Arc::new(Off(SignedDuration::from_hours(hours))));
    // The rule's own edition is due in an hour: to a clock that is fast it is an hour late.
    story.tamper("UPDATE campaigns SET next_run_at = now() + interval '1 hour'").await;
    let (_stop, told) = watch::channel(false);
    let mut outcome =
        Outcome { fault: "F13".to_owned(), what: format!("a worker's clock {hours:+} h off"), injected: 1, ..Outcome::default() };
    for until_idle in [false, true] {
        let (app, told) = (app.clone(), told.clone());
        let life = async move { if until_idle { jobs::run_until_idle(app, told).await } else { jobs::run(app, told).await } };
        let said = tokio::time::timeout(Duration::from_secs(20), life).await.expect("it ends by itself");
        outcome.claim(said.as_ref().is_err_and(|said| format!("{said:#}").contains("clock is")), format!("it said {said:?}"));
    }
    let edition = story.report().await;
    outcome.claim(edition["sent"] == 0 && mails.handed().is_empty(), format!("it sent: {edition}"));
    outcome.claim(story.number("SELECT count(*) FROM editions").await == 1, "it opened an edition by its own time");
    outcome.claim(story.number("SELECT count(*) FROM workers WHERE gone_at IS NULL").await == 0, "it is still a worker");
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.remark = "refused, and said so".to_owned();
    outcome
}

/// F14: four workers are started at once on so many campaigns that are all due; each has one edition, and nobody two mails.
pub(crate) async fn four_schedulers(campaigns: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(1)).await;
    scene.people(recipients).await;
    // A minute ago in this week: the command would wait for the next week's, so it is told that this one's is still to come.
    let due = (SystemClock.now() - SignedDuration::from_mins(1)).to_zoned(TimeZone::UTC);
    let hour = due.strftime("%a %H:%M").to_string();
    for number in 1..=campaigns {
        let name = format!("weekly {number}");
        scene.story.tidings(&["campaign", "create", "weekly", &name, "--series", WEEKLY, "--at", &hour, "--zone", "UTC"]).await;
    }
    let began = Instant::now();
    scene.story.tamper(&format!("UPDATE campaigns SET next_run_at = now(), next_occurrence = '{}'", due.date())).await;
    let mut workers: Vec<_> = (0..4).map(|_| scene.story.worker(&[])).collect();
    // Of a series nobody gets two tips within 72 hours: one of the campaigns mails her, and the others' rows say why they do not.
    until("everybody has her mail", || scene.relay.begun() >= recipients).await;
    scene.finish().await;
    for worker in &mut workers {
        end_in_order(worker).await;
    }
    let editions = scene.story.number("SELECT count(*) FROM editions").await;
    let each = scene.story.number("SELECT count(*) FROM (SELECT FROM editions GROUP BY campaign_id HAVING count(*) = 1) AS single").await;
    let log = scene.relay.accepted();
    let mailed: BTreeSet<&str> = log.iter().map(|(_, to)| to.as_str()).collect();
    let what = format!("4 schedulers at once, {campaigns} campaigns due at the same instant");
    let mut outcome = Outcome { fault: "F14".to_owned(), what, injected: campaigns, planned: recipients, ..Outcome::default() };
    (outcome.sent, outcome.twice, outcome.lost) = (mailed.len(), log.len() - mailed.len(), recipients - mailed.len());
    outcome.claim((editions, each) == (campaigns as i64, campaigns as i64), format!("{editions} editions of {campaigns} campaigns"));
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.remark = format!("{editions} editions");
    outcome
}

/// The machine's clock, so much off.
#[derive(Debug)]
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}
