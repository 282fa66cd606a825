//! What a relay can say and what becomes of the mails then: deferred, failed, in doubt, refused as a whole; and what an
//! operator can do meanwhile. With a clock turned by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tidings::campaigns::{campaign, preflight};
use tidings::delivery::relay::{Answer, Handed, MemoryBox};
use tidings::delivery::reply::Phase;
use tidings::jobs::{self, App};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::support::relay::{Act, FaultyRelay, Point, Seen};
use crate::support::story::{Story, WEEKLY, count, log_of, memory, smtp, text};
use crate::support::until;

#[tokio::test]
async fn a_mail_that_the_relay_puts_off_is_sent_at_the_retry_under_the_same_message_id() {
    let story = Story::ready(1, 30).await;
    let (mails, app) = sent_to_memory(&story, 4);
    let tries = tries(&mails, |_, before| if before == 0 { reply(Phase::Rcpt, "450 4.7.1 greylisted, come back") } else { Answer::Accept });
    story.run_edition().await;
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_eq!((count(&edition, "to_do"), count(&edition, "sent")), (30, 0), "{edition}");
    let waits = "SELECT count(*) FROM deliveries WHERE state = 'deferred' AND attempts = 1 AND reply_code = 450 AND enhanced_code = '4.7.1'
        AND ready_at BETWEEN handing_over_at + interval '5 minutes' AND handing_over_at + interval '6 minutes'";
    assert_eq!(story.number(waits).await, 30, "five minutes and up to a fifth more by chance");

    story.app.wait(SignedDuration::from_secs(299));
    story.run_until_idle(&app).await;
    assert_eq!(tries.lock().expect("tries").len(), 30, "nothing is tried before its time");
    story.app.wait(SignedDuration::from_secs(62));
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 30).await;
    assert_eq!((count(&edition, "sent"), &edition["state"]), (30, &"finished".into()), "{edition}");
    let tries = tries.lock().expect("tries");
    assert_eq!(tries.len(), 60);
    let ids: BTreeSet<_> = tries.iter().map(|mail| (&mail.message_id, &mail.to)).collect();
    assert_eq!(ids.len(), 30, "one Message-ID for each person in all attempts");
}

#[tokio::test]
async fn waits_grow_from_try_to_try_and_at_the_deadline_the_mail_fails() {
    let story = Story::ready(1, 3).await;
    let (mails, app) = sent_to_memory(&story, 2);
    let tries = tries(&mails, |_, _| reply(Phase::Body, "451 4.3.0 try later"));
    story.turn_to("2026-01-13T09:00:00Z");
    let mut counts = Vec::new();
    for _ in 0..49 {
        story.run_until_idle(&app).await;
        counts.push(tries.lock().expect("tries").len());
        story.app.wait(SignedDuration::from_hours(1));
    }
    let edition = story.assert_agrees_with(&[], 3).await;
    assert_eq!((count(&edition, "failed"), edition["reasons"]["deadline passed"].as_u64()), (3, Some(3)), "{edition}");
    assert!((30..=54).contains(counts.last().expect("counts")), "10 to 18 tries in two days: {counts:?}");
    assert_eq!(story.texts("SELECT DISTINCT reply FROM deliveries").await, ["451 4.3.0 try later"], "the relay's last word is kept");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0, "the tip is free again");
}

#[tokio::test]
async fn a_refusal_for_good_is_never_retried_and_suppresses_nobody() {
    let story = Story::ready(1, 20).await;
    let (mails, app) = sent_to_memory(&story, 3);
    let tries = tries(&mails, |mail, _| match mail.to.as_str() {
        "person-4@example.org" => reply(Phase::Rcpt, "550 5.2.1 person-4@example.org is switched off"),
        "person-9@example.org" => reply(Phase::Body, "554 5.6.0 we do not like it"),
        _ => Answer::Accept,
    });
    story.run_edition().await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 20).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed")), (18, 2), "{edition}");
    let reasons = story.texts("SELECT reason FROM deliveries WHERE state = 'failed' ORDER BY reason").await;
    assert_eq!(reasons, ["550 5.2.1 <recipient> is switched off", "554 5.6.0 we do not like it"]);
    story.app.wait(SignedDuration::from_hours(5));
    story.run_until_idle(&app).await;
    assert_eq!(tries.lock().expect("tries").len(), 20);
    assert_eq!(story.number("SELECT count(*) FROM suppressions").await, 0);
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_suppressed_and_not_mailed_in_the_next_week() {
    let story = Story::ready(3, 25).await;
    let (mails, app) = sent_to_memory(&story, 3);
    tries(&mails, |mail, _| match mail.to.as_str() {
        "person-7@example.org" => reply(Phase::Rcpt, "550 5.1.1 no such user"),
        _ => Answer::Accept,
    });
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 25).await;
    assert_eq!((&edition["edition"], count(&edition, "failed")), (&"2026-01-13".into(), 1), "{edition}");
    assert_eq!(story.texts("SELECT kind || ': ' || reason FROM suppressions").await, ["hard_bounce: refused by the relay (5.1.1)"]);

    mails.clear();
    story.turn_to("2026-01-20T09:00:00Z");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 24).await;
    assert_eq!((&edition["edition"], count(&edition, "sent")), (&"2026-01-20".into(), 24), "{edition}");
    assert!(mails.handed().iter().all(|mail| mail.to != "person-7@example.org"));
}

#[tokio::test]
async fn a_mail_without_an_answer_waits_for_a_word_and_is_sent_again_at_most_once() {
    let story = Story::ready(1, 12).await;
    let (mails, app) = sent_to_memory(&story, 2);
    let lost = ["person-1@example.org", "person-2@example.org", "person-3@example.org"];
    let tries = tries(&mails, move |mail, _| if lost.contains(&mail.to.as_str()) { Answer::LoseAfterBody(false) } else { Answer::Accept });
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 12).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "unconfirmed")), (9, 3), "{edition}");
    story.app.wait(SignedDuration::from_hours(30));
    story.run_until_idle(&app).await;
    assert_eq!(tries.lock().expect("tries").len(), 12, "nobody sends it again by itself");

    let listed = story.tidings(&["delivery", "list", "--state", "unconfirmed", "--json"]).await;
    let ids: BTreeMap<String, String> = listed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| (text(&line, "email").to_owned(), line["id"].to_string()))
        .collect();
    assert_eq!(ids.keys().collect::<Vec<_>>(), lost);
    story.tidings(&["delivery", "resolve", &ids[lost[0]], "sent"]).await;
    story.tidings(&["delivery", "resolve", &ids[lost[1]], "failed"]).await;
    resolve_again(&story, &ids[lost[2]]).await;
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "to_do")), (&"running".into(), 1), "{edition}");
    story.run_until_idle(&app).await;
    let refused = story.tidings_refuses(&["delivery", "resolve", &ids[lost[2]], "again"]).await;
    assert!(refused.contains("once already"), "{refused}");
    let edition = story.report().await;
    let sums = ["sent", "failed", "unconfirmed"].map(|state| count(&edition, state));
    assert_eq!((sums, &edition["state"]), ([10, 1, 1], &"finished".into()), "{edition}");
    let again: Vec<String> =
        tries.lock().expect("tries").iter().filter(|mail| mail.to == lost[2]).map(|mail| mail.message_id.clone()).collect();
    assert!(again.len() == 2 && again[0] == again[1], "the same Message-ID: {again:?}");
    story.tidings(&["delivery", "resolve", &ids[lost[2]], "failed"]).await;
    let refused = story.tidings_refuses(&["delivery", "resolve", &ids[lost[2]], "sent"]).await;
    assert!(refused.contains("is failed"), "{refused}");
}

#[tokio::test]
async fn a_relay_that_refuses_who_we_are_pauses_the_campaign_and_fails_nobody() {
    let story = Story::ready(1, 100).await;
    let (mails, app) = sent_to_memory(&story, 10);
    let tries = tries(&mails, |_, _| {
        reply(Phase::Rcpt, "550 5.7.515 Access denied, sending domain does not meet the required authentication level")
    });
    story.run_edition().await;
    story.run_until_idle(&app).await;
    until_paused(&story, &app).await;
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "failed"), count(&edition, "to_do")), (&"paused".into(), 0, 100), "{edition}");
    assert!((1..=20).contains(&tries.lock().expect("tries").len()));
    let reason = story.texts("SELECT reason FROM campaigns").await.remove(0);
    assert!(reason.contains("5.7.515") && reason.contains("`main`"), "{reason}");
    assert_eq!(story.number("SELECT max(attempts)::bigint FROM deliveries").await, 0, "no attempt of anyone's is counted");
    assert_eq!(story.number("SELECT count(*) FROM suppressions").await, 0);

    mails.answer_with(|_| Answer::Accept);
    story.app.wait(SignedDuration::from_hours(1));
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 0, "paused is paused");
    campaign::resume(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("resumed");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 100).await;
    assert_eq!(count(&edition, "sent"), 100, "{edition}");
}

#[tokio::test]
async fn a_wrong_password_at_the_relay_pauses_the_campaign_before_any_mail_is_tried() {
    let story = Story::ready(1, 30).await;
    let relay = FaultyRelay::with(crate::support::relay::Offer { login: Some(("sender", "right")), ..Default::default() }).await;
    let app = story.jobs(vec![smtp(&relay.url().replace("smtp://", "smtp://sender:wrong@"), 3)]);
    story.run_edition().await;
    story.run_until_idle(&app).await;
    until_paused(&story, &app).await;
    let edition = story.report().await;
    assert_eq!((&edition["state"], count(&edition, "to_do"), relay.bodies().len()), (&"paused".into(), 30, 0), "{edition}");
    let reason = story.texts("SELECT reason FROM campaigns").await.remove(0);
    assert!(reason.contains("login") && !reason.contains("wrong@"), "{reason}");
    assert!(relay.opened() <= 10, "three connections gave up after {} logins", relay.opened());
}

#[tokio::test]
async fn the_first_twenty_are_a_trial() {
    let story = Story::ready(1, 80).await;
    let relay = FaultyRelay::start().await;
    let answers_after = Duration::from_millis(150);
    relay.behave(move |seen| if seen.point == Point::Dot { Act::Wait(answers_after) } else { Act::Go });
    let app = story.jobs(vec![smtp(&relay.url(), 40)]);
    story.run_edition().await;
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&relay.accepted(), 80).await;
    let bodies = relay.bodies();
    let mut answered: Vec<Instant> = bodies.iter().map(|body| body.ended.expect("a dot") + answers_after).collect();
    answered.sort();
    for (before, body) in bodies.iter().enumerate() {
        let accepted = answered.iter().take_while(|at| **at <= body.began).count();
        assert!(accepted >= 20 || before - accepted < 20, "body {before} began when {accepted} were accepted");
    }
    let widest = bodies
        .iter()
        .map(|body| {
            bodies.iter().filter(|other| other.began <= body.began && other.ended.is_some_and(|at| at + answers_after > body.began)).count()
        })
        .max();
    assert!(widest > Some(20), "after the trial all connections work: {widest:?}");
}

#[tokio::test]
async fn a_tip_and_an_address_that_no_mail_can_be_made_of_fail_alone() {
    let story = Story::ready(2, 40).await;
    // Half of them had the first tip; the second one cannot be mailed.
    story
        .tamper("INSERT INTO segments_given SELECT s.id, t.segment_id FROM subscribers s, tips t WHERE s.id % 2 = 0 AND t.position = 1")
        .await;
    story.tamper("UPDATE tip_revisions SET markdown = repeat('far too long ', 20000) FROM tips WHERE tips.revision_id = tip_revisions.id AND tips.position = 2").await;
    story.tamper("UPDATE subscribers SET address = 'no address' WHERE id = (SELECT min(id) FROM subscribers WHERE id % 2 = 1)").await;
    let (mails, app) = sent_to_memory(&story, 4);
    story.run_edition().await;
    story.run_until_idle(&app).await;
    assert_eq!((&story.report().await["state"], mails.handed().len()), (&"held".into(), 0));
    preflight::accept(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("accepted");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 40).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed")), (19, 21), "{edition}");
    let reasons = story.texts("SELECT DISTINCT reason FROM deliveries WHERE state = 'failed' ORDER BY 1").await;
    assert!(reasons.len() == 2 && reasons.iter().all(|reason| reason.starts_with("render error: ")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("shorten the tip")), "{reasons:?}");
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE state = 'failed' AND handing_over_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn pausing_in_the_middle_stops_and_resuming_goes_on_with_the_rest() {
    let story = Story::ready(1, 300).await;
    let relay = slow().await;
    let app = story.jobs(vec![smtp(&relay.url(), 5)]);
    story.run_edition().await;
    let work = tokio::spawn(work(app.clone()));
    until("some are sent", || relay.sums().0 >= 60).await;
    story.tidings(&["campaign", "pause", WEEKLY]).await;
    work.await.expect("no panic");
    let (edition, sent) = (story.report().await, relay.sums().0);
    assert_eq!(
        (&edition["state"], count(&edition, "sent"), count(&edition, "unconfirmed")),
        (&"paused".into(), sent as u64, 0),
        "{edition}"
    );
    assert!(sent < 300, "the rest waits");
    story.run_until_idle(&app).await;
    assert_eq!(relay.sums().0, sent);
    campaign::resume(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("resumed");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&relay.accepted(), 300).await;
    assert_eq!(count(&edition, "sent"), 300, "{edition}");
}

#[tokio::test]
async fn cancelling_in_the_middle_ends_what_was_not_handed_over() {
    let story = Story::ready(1, 300).await;
    let relay = slow().await;
    let app = story.jobs(vec![smtp(&relay.url(), 5)]);
    story.run_edition().await;
    let work = tokio::spawn(work(app.clone()));
    until("some are sent", || relay.sums().0 >= 60).await;
    story.tidings(&["campaign", "cancel", WEEKLY, "--yes"]).await;
    work.await.expect("no panic");
    let edition = story.assert_agrees_with(&relay.accepted(), 300).await;
    let (sent, cancelled) = (count(&edition, "sent"), count(&edition, "cancelled"));
    assert!(sent >= 60 && cancelled > 100 && sent + cancelled == 300, "{edition}");
    assert_eq!(edition["state"], "cancelled", "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await as u64, sent, "only those who were mailed have had the tip");
}

#[tokio::test]
async fn two_tips_of_a_series_within_72_hours_are_not_sent_but_an_operator_may() {
    let story = Story::ready(4, 10).await;
    let (mails, app) = sent_to_memory(&story, 2);
    story.turn_to("2026-01-12T18:00:00Z");
    story.run_edition().await;
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 10).await;
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_eq!((&edition["edition"], count(&edition, "skipped")), (&"2026-01-13".into(), 10), "{edition}");
    assert_eq!(edition["reasons"]["tip within 72 hours"], 10, "{edition}");
    mails.clear();
    story.app.wait(SignedDuration::from_mins(1));
    story.run_edition().await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 10).await;
    assert_eq!(count(&edition, "sent"), 10, "{edition}");
    let tips = story.number("SELECT count(DISTINCT segment_id) FROM deliveries WHERE state = 'sent'").await;
    assert_eq!(tips, 2, "the skipped edition took no tip from anyone");
}

#[tokio::test]
async fn editions_planned_before_either_was_sent_still_keep_their_72_hours() {
    let story = Story::ready(4, 10).await;
    let (mails, app) = sent_to_memory(&story, 2);
    story.turn_to("2026-01-13T08:45:00Z");
    story.plan().await;
    // Planned, not yet due; now an operator's edition goes out first.
    story.run_edition().await;
    story.run_until_idle(&app).await;
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 10);
    let skipped = story.number("SELECT count(*) FROM deliveries WHERE state = 'skipped' AND reason = 'tip within 72 hours'").await;
    assert_eq!(skipped, 10);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 10, "what was skipped is free again");
}

#[tokio::test]
async fn a_worker_whose_clock_is_two_hours_off_sends_nothing_and_says_so() {
    for hours in [2, -2] {
        crate::lab::times::a_wrong_clock(hours).await.assert_holds();
    }
}

/// A relay as far away as another country.
async fn slow() -> FaultyRelay {
    let relay = FaultyRelay::start().await;
    relay.behave(|seen: &Seen<'_>| if seen.point == Point::Dot { Act::Wait(Duration::from_millis(15)) } else { Act::Go });
    relay
}

fn sent_to_memory(story: &Story, connections: u16) -> (MemoryBox, Arc<App>) {
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, connections)]);
    (mails, app)
}

async fn work(app: Arc<App>) {
    let (_stop, told) = watch::channel(false);
    jobs::run_until_idle(app, told).await.expect("work that ends well");
}

/// Lets the relay answer as `script` says, which is told how often this person was tried before; what it saw.
fn tries(mails: &MemoryBox, script: impl Fn(&Handed, usize) -> Answer + Send + 'static) -> Arc<Mutex<Vec<Handed>>> {
    let seen: Arc<Mutex<Vec<Handed>>> = Arc::default();
    let log = seen.clone();
    mails.answer_with(move |mail| {
        let mut log = log.lock().expect("no holder panics");
        let before = log.iter().filter(|other| other.to == mail.to).count();
        log.push(mail.clone());
        script(mail, before)
    });
    seen
}

fn reply(phase: Phase, line: &str) -> Answer {
    Answer::Reply(phase, line.to_owned())
}

// The command would take the machine's time for now; the story's clock is months away from it.
async fn resolve_again(story: &Story, id: &str) {
    use tidings::delivery::ledger::resolve::{Resolution, resolve};
    resolve(&mut *story.conn().await, id.parse().expect("a number"), Resolution::Again, story.app.now()).await.expect("queued again");
}

// The ledger pauses the edition at once; its campaign follows by a job.
async fn until_paused(story: &Story, app: &Arc<App>) {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    while story.campaign_state().await != "paused" {
        assert!(TURNS.fetch_add(1, Ordering::Relaxed) < 100, "the campaign is not paused");
        story.run_until_idle(app).await;
    }
}
