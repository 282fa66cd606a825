//! "The program is open", to everyone at once (rule 19): one broadcast to all who wait, once, in order, whoever looks and however often.

use jiff::SignedDuration;
use serde_json::Value;
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::states::Mode;
use tidings::waitlist::{entry, program};

use super::stage::{SLUG, leaves, people, post, recipients, waiting};
use crate::support::story::{Story, count};

const CAMPAIGN: &str = "course-1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_19_two_workers_tell_everyone_once_in_order_when_it_opens() {
    let story = waiting(12).await;
    story.tamper("UPDATE entries SET priority = 1 WHERE id = 12").await;
    story.tamper("UPDATE entries SET state = 'unconfirmed', confirmed_at = NULL WHERE id = 4").await;
    open(&story, "2026-01-12T09:00:00Z").await;
    let ((mails, app), (others, other)) = (post(&story, 1), post(&story, 1));
    tokio::join!(story.run_until_idle(&app), story.run_until_idle(&other));
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 0, "its hour is to come");
    // Up to its hour anybody can come in.
    story.turn_to("2026-01-12T08:59:59Z");
    entry::confirm(&mut *story.conn().await, 4, story.app.now()).await.expect("a confirmation");
    let foreseen = foreseen(&story).await;
    story.turn_to("2026-01-12T09:00:00Z");
    tokio::join!(story.run_until_idle(&app), story.run_until_idle(&other));
    story.run_until_idle(&app).await;

    let told = [recipients(&mails), recipients(&others)].concat().into_iter().filter(|to| to != "wait-4@example.org").collect::<Vec<_>>();
    let mut sorted = told.clone();
    sorted.sort();
    let mut all = people((1..=12).filter(|n| *n != 4));
    all.sort();
    assert_eq!(sorted, all, "everyone once");
    let order = "SELECT string_agg(subscriber_id::text, ' ' ORDER BY id) FROM deliveries WHERE template = 'broadcast'";
    assert_eq!(story.texts(order).await, ["12 1 2 3 4 5 6 7 8 9 10 11"]);
    assert_eq!(foreseen, [12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "as the waitlist itself reckons it");
    let report = report(&story).await;
    assert_eq!(
        (&report["state"], &report["broadcast"]["campaign"], &report["broadcast"]["state"]),
        (&"open".into(), &CAMPAIGN.into(), &"finished".into()),
        "{report}"
    );
    let edition = &report["broadcast"]["editions"][0];
    assert_eq!((edition["planned"].as_u64(), count(edition, "sent")), (Some(12), 12), "{report}");
    let shown = story.tidings(&["opening", "report", SLUG]).await;
    assert!(shown.contains("campaign `course-1`, which is finished") && shown.contains("Mails: 12 = 12 sent"), "{shown}");

    let mail = mails.handed().into_iter().chain(others.handed()).find(|mail| mail.to == "wait-1@example.org").expect("her mail");
    let mail = String::from_utf8(mail.message).expect("ASCII").replace("=\r\n", "");
    for sign in [
        "Subject: The autumn course is open",
        "whoever comes first has one",
        "Bring a mat.",
        "https://example.org/next",
        "/waitlist/course/",
    ] {
        assert!(mail.contains(sign), "{sign}: {mail}");
    }
    story.app.wait(SignedDuration::from_hours(100));
    story.run_until_idle(&app).await;
    assert_eq!(story.number("SELECT count(*) FROM editions").await, 1);
    assert_eq!(story.number("SELECT count(*) FROM entries WHERE state = 'waiting'").await, 12, "everybody keeps her place");
}

#[tokio::test]
async fn an_opening_that_a_job_opened_and_a_crash_left_is_told_of_by_whoever_looks_next() {
    let story = waiting(3).await;
    open(&story, "2026-01-12T09:00:00Z").await;
    story.turn_to("2026-01-12T09:00:00Z");
    // The job that was woken opens it; the process that did it is gone before anything else.
    opening::advance(&mut *story.conn().await, 1, story.app.now()).await.expect("an advance");
    leaves(&story, 2).await;
    assert_eq!(story.texts("SELECT state FROM openings").await, ["open"]);
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 0);
    let (mails, app) = post(&story, 1);
    story.run_until_idle(&app).await;
    assert_eq!(recipients(&mails), people([1, 3]));
}

#[tokio::test]
async fn an_opening_that_is_closed_before_its_hour_tells_nobody_and_one_that_is_closed_later_tells_nobody_more() {
    let story = waiting(3).await;
    let (mails, app) = post(&story, 1);
    open(&story, "2026-01-12T09:00:00Z").await;
    opening::close(&mut *story.conn().await, SLUG, None, story.app.now()).await.expect("closed");
    story.turn_to("2026-01-12T10:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 0);

    open(&story, "2026-01-12T10:00:00Z").await;
    super::stage::planned_opening(&story).await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'queued'").await, 3);
    program::close(&mut *story.conn().await, SLUG, story.app.now()).await.expect("closed");
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0);
    let edition = report(&story).await["broadcast"]["editions"][0].clone();
    assert_eq!((count(&edition, "skipped"), edition["reasons"]["the opening is closed"].as_u64()), (3, Some(3)), "{edition}");
}

#[tokio::test]
async fn what_has_ended_by_the_clock_is_not_told_of_any_more() {
    let story = waiting(3).await;
    let (mails, app) = post(&story, 1);
    let ends_at = Some("2026-01-12T12:00:00Z".parse().expect("an instant"));
    let new = NewOpening { ends_at, ..new_opening("2026-01-12T06:00:00Z") };
    opening::create(&mut *story.conn().await, SLUG, &new, story.app.now()).await.expect("an opening");
    super::stage::planned_opening(&story).await;
    story.turn_to("2026-01-12T12:00:00Z");
    // Not swept yet: the claim looks at the clock itself.
    story.tamper("UPDATE openings SET state = 'open', closed_at = NULL, closed_because = NULL").await;
    let worker = tidings::delivery::ledger::lease::register(&mut *story.conn().await, "worker").await.expect("a worker");
    let claim = tidings::delivery::ledger::claim::edition(
        &mut *story.conn().await,
        worker,
        (1, tidings::delivery::ledger::claim::Place::START),
        story.app.now(),
        10,
    )
    .await
    .expect("a claim");
    assert_eq!((claim.taken.len(), claim.ended), (0, 3));
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0);
}

async fn foreseen(story: &Story) -> Vec<i64> {
    let mut conn = story.conn().await;
    let opening = opening::find(&mut conn, SLUG, None).await.expect("an opening");
    opening::recipients(&mut conn, &opening).await.expect("those who wait")
}

async fn open(story: &Story, opens_at: &str) {
    opening::create(&mut *story.conn().await, SLUG, &new_opening(opens_at), story.app.now()).await.expect("an opening");
}

fn new_opening(opens_at: &str) -> NewOpening {
    NewOpening {
        number: None,
        mode: Mode::NotifyAll,
        seats: 0,
        opens_at: opens_at.parse().expect("an instant"),
        ends_at: None,
        zone: "Europe/London".to_owned(),
        offer_for: SignedDuration::from_hours(48),
        remind_before: SignedDuration::ZERO,
        after_expiry: None,
    }
}

async fn report(story: &Story) -> Value {
    serde_json::from_str(&story.tidings(&["opening", "report", SLUG, "--json"]).await).expect("JSON")
}
