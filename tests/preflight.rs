//! Pre-flight: every mail is made and looked at before the first one goes, what blocks holds the edition, and one poisoned subscriber
//! stops nobody else once an operator said so.

mod anew;
mod at_once;
mod comes_back;
mod kinds;
mod racing;
mod stage;
mod test_mails;
mod tried;

use stage::{IN_THE_LEAD, START, blocking, held, preflight, spoil_address, tip_that_fails};

use tidings::campaigns::states::Late;
use tidings::campaigns::{campaign, edition, preflight as check};
use tidings::delivery::relay::MemoryBox;

use crate::broadcast::stage::{broadcast_at, subscribed, waiting};
use crate::support::story::{Story, WEEKLY, assert_adds_up, count, log_of, memory};

#[tokio::test]
async fn an_edition_is_checked_in_its_lead_and_its_first_mail_leaves_at_its_hour() {
    let story = Story::ready(1, 30).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    let checked = "SELECT count(*) FROM editions WHERE state = 'scheduled' AND checked_at IS NOT NULL AND checked = 30
        AND cleared_up_to = (SELECT max(id) FROM deliveries)";
    assert_eq!((story.number(checked).await, mails.handed().len()), (1, 0));
    story.turn_to(START);
    story.run_until_idle(&app).await;
    assert_eq!(story.assert_agrees_with(&log_of(&mails), 30).await["state"], "finished");
    let shown = story.tidings(&["campaign", "show", WEEKLY]).await;
    assert!(shown.contains("30 mails were looked at; nothing blocks") && shown.contains("unsigned"), "{shown}");
}

#[tokio::test]
async fn one_poisoned_subscriber_holds_the_edition_until_it_is_accepted_and_then_fails_alone() {
    let story = Story::ready(1, 40).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    spoil_address(&story, 17).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    story.turn_to(START);
    story.run_until_idle(&app).await;

    let reason = held(&story).await;
    assert!(reason.contains("bad address (1)") && reason.contains("tidings campaign preflight"), "{reason}");
    assert_eq!(mails.handed().len(), 0);
    let found = preflight(&story).await;
    assert_eq!(blocking(&found), ["bad_address"], "{found}");
    let (printed, said) = story.both(&["campaign", "preflight", WEEKLY]).await;
    assert!(printed.contains("BLOCKING  bad address (1 recipient)") && printed.contains("40 mails made and looked at"), "{printed}");
    let example = &found["findings"][0]["examples"][0];
    assert_eq!((example["address"].as_str(), example["subscriber"].as_i64()), (Some("n***"), Some(17)), "{example}");
    assert!(said.contains("tidings campaign accept weekly"), "{said}");
    let report = story.tidings(&["campaign", "report", WEEKLY]).await;
    assert!(report.contains("held: pre-flight found bad address (1)") && report.contains("`accept`"), "{report}");
    let shown = story.tidings(&["campaign", "show", WEEKLY]).await;
    assert!(shown.contains("BLOCKING") && !shown.contains("no address at all"), "{shown}");

    let said = story.tidings(&["campaign", "accept", WEEKLY]).await;
    assert!(said.contains("Accepted 2026-01-13"), "{said}");
    // The binary's clock is the world's, and the story's stands still.
    story.tamper("UPDATE editions SET anew_at = starts_at").await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 40).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed"), edition["state"].as_str()), (39, 1, Some("finished")), "{edition}");
    assert!(edition["reasons"].to_string().contains("the address of this subscriber is none"), "{edition}");
    assert!(story.tidings_refuses(&["campaign", "accept", WEEKLY]).await.contains("no edition that pre-flight holds"));
}

#[tokio::test]
async fn once_the_cause_is_corrected_release_checks_again_and_the_mails_of_now_leave() {
    let story = Story::ready(2, 12).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    tip_that_fails(&story, 1).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    assert!(held(&story).await.contains("placeholder (12)"));
    let skipped = edition::skip(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect_err("nothing is late");
    assert!(skipped.to_string().contains("not for being late"), "{skipped}");

    // Released as it is, it is held again.
    assert!(story.tidings(&["campaign", "release", WEEKLY]).await.contains("checks it again"));
    story.tamper("UPDATE editions SET anew_at = NULL, state = 'planning'").await;
    story.run_until_idle(&app).await;
    held(&story).await;

    // Retired, so that the next tip takes its place; preflight knows before anything is released.
    story.tidings(&["tip", "retire", "1"]).await;
    let found = preflight(&story).await;
    assert_eq!((blocking(&found).len(), found["checked"].as_i64()), (0, Some(12)), "{found}");
    held(&story).await;
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.run_until_idle(&app).await;
    assert_eq!(story.number("SELECT count(*) FROM editions WHERE state = 'scheduled' AND checked_at IS NOT NULL").await, 1);
    story.turn_to(START);
    story.run_until_idle(&app).await;
    assert_eq!(count(&story.assert_agrees_with(&log_of(&mails), 12).await, "sent"), 12);
    let given = "SELECT count(*) FROM segments_given g JOIN tips t USING (segment_id) WHERE t.id = 2";
    assert_eq!((story.number(given).await, story.number("SELECT count(*) FROM segments_given").await), (12, 12));
}

#[tokio::test]
async fn what_was_sent_of_it_already_stays_and_the_rest_gets_the_corrected_words() {
    let story = Story::ready(1, 30).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    // Some are gone when somebody's mail, planned anew, is found to be at fault.
    story.turn_to(START);
    story
        .tamper(
            "UPDATE deliveries SET ready_at = ready_at + interval '1 hour', due_at = due_at + interval '1 hour' WHERE subscriber_id > 10",
        )
        .await;
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 10);
    spoil_address(&story, 20).await;
    story
        .tamper("UPDATE editions SET checked_at = NULL, cleared_up_to = 0, checked_up_to = (SELECT min(id) FROM deliveries WHERE subscriber_id > 10) - 1")
        .await;
    story.turn_to("2026-01-13T10:00:00Z");
    story.run_until_idle(&app).await;
    held(&story).await;
    story.tamper("UPDATE subscribers SET address = address_key WHERE id = 20").await;
    story.tidings(&["tip", "edit", "1", "--subject", "A better subject"]).await;
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 30).await;
    let better = mails.handed().iter().filter(|mail| String::from_utf8_lossy(&mail.message).contains("Subject: A better subject")).count();
    assert_eq!(better, 20);
}

#[tokio::test]
async fn without_a_lead_each_slice_leaves_once_it_is_checked_and_what_blocks_stops_the_rest() {
    let story = Story::ready(1, 1_500).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.run_edition().await;
    story.plan().await;
    // A portion is checked and leaves before the next one was looked at.
    assert!(!stage::check_one_portion(&story, &app).await);
    let claimed = stage::claim(&story, 5_000).await;
    assert!((1..=20).contains(&claimed), "the opening's twenty: {claimed}");
    assert_eq!(
        story.number("SELECT count(*) FROM editions WHERE checked_at IS NULL AND checked BETWEEN 50 AND 1000 AND state = 'running'").await,
        1
    );
    // A later portion has a fault: nothing leaves any more, and the edition is held once all was looked at.
    spoil_address(&story, 1_400).await;
    while !stage::check_one_portion(&story, &app).await {}
    assert_eq!(stage::claim(&story, 5_000).await, 0);
    held(&story).await;
    check::accept(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("accepted");
    stage::worker_is_gone(&story).await;
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 1_500).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed")), (1_499, 1), "{edition}");
}

#[tokio::test]
async fn a_broadcast_is_checked_too() {
    of_a_broadcast(subscribed(5).await, "topic:weekly").await;
}

#[tokio::test]
async fn a_broadcast_to_a_waitlist_is_checked_too() {
    of_a_broadcast(waiting(5).await, "waitlist:course").await;
}

async fn of_a_broadcast(story: Story, to: &str) {
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    spoil_address(&story, 2).await;
    broadcast_at(&story, to, Some(START), Late::Ask).await;
    let found = preflight(&story).await;
    assert_eq!((blocking(&found), found["recipients"].as_i64(), found["state"].is_null()), (vec!["bad_address".to_owned()], Some(5), true));
    assert_eq!(story.number("SELECT count(*) FROM editions").await, 0, "nothing was changed");
    story.turn_to(START);
    story.run_until_idle(&app).await;
    assert!(held(&story).await.contains("bad address (1)"));
    check::accept(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("accepted");
    story.run_until_idle(&app).await;
    assert_eq!(count(&story.report().await, "sent"), 4);
    assert_eq!(story.campaign_state().await, "finished");
}

#[tokio::test]
async fn a_cancelled_edition_stays_so_whatever_its_check_finds_later() {
    let story = Story::ready(1, 5).await;
    let app = story.jobs(Vec::new());
    spoil_address(&story, 3).await;
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    campaign::cancel(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("cancelled");
    assert!(stage::check_one_portion(&story, &app).await);
    let edition = story.report().await;
    assert_eq!((edition["state"].as_str(), count(&edition, "cancelled")), (Some("cancelled"), 5), "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM preflight_findings").await, 0);
}

#[tokio::test]
async fn one_that_is_late_and_one_that_is_held_by_findings_are_told_apart() {
    let story = Story::new().await;
    story.tips(1).await;
    story.subscribers(3).await;
    story.campaign(Late::Ask).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    story.turn_to("2026-01-13T16:00:00Z");
    story.run_until_idle(&app).await;
    let report = story.tidings(&["campaign", "report", WEEKLY]).await;
    assert!(report.contains("late by more than 6h") && report.contains("leaves out what is late"), "{report}");
    assert!(story.tidings_refuses(&["campaign", "accept", WEEKLY]).await.contains("no edition that pre-flight holds"));
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 3);
    assert_adds_up(&story.report().await);
}

#[tokio::test]
async fn a_mail_that_is_planned_anew_waits_for_its_own_check() {
    let story = Story::ready(1, 6).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    let mut tx = story.app.db.pool.begin().await.expect("a transaction");
    assert_eq!(tidings::campaigns::replan::replan(&mut tx, 4, story.app.now()).await.expect("replanned"), 1);
    tx.commit().await.expect("a commit");
    let above =
        "SELECT count(*) FROM editions e JOIN deliveries d ON d.edition_id = e.id WHERE e.checked_at IS NULL AND d.id > e.cleared_up_to";
    assert_eq!(story.number(above).await, 1);
    story.run_until_idle(&app).await;
    assert_eq!(story.number(above).await, 0);
    story.turn_to(START);
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 6).await;
}
