//! A program's end that an operator brings forward, and openings that would be over when they begin.

use jiff::{SignedDuration, Timestamp};
use tidings::waitlist::offer::{Acceptance, Over};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::{WaitlistError, report};

use crate::waitlist::stage::{HOUR, SLUG, Stage, new_opening};

#[tokio::test]
async fn an_end_that_was_brought_forward_is_no_offer_that_she_missed() {
    let (stage, entries) = Stage::with(3).await;
    stage.open(2).await;
    stage.post().await;
    stage.app.wait(HOUR);
    let end = stage.now();
    stage.edit(|program| program.enrolment_ends_at = Some(end)).await;
    assert_eq!(stage.states(&entries).await, ["waiting", "waiting", "waiting"]);
    assert_eq!(stage.number("SELECT sum(misses)::bigint FROM entries").await, 0);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Revoked { reason: "its end was brought forward".to_owned() }));
    assert_eq!(stage.mail(&format!("offer:{}", stage.offer_of(entries[1]).await), "closed").await, "queued", "and she is told");
    assert_eq!(stage.text("SELECT state || ': ' || closed_because FROM openings").await, "closed: its end was brought forward");
    let act = stage.text("SELECT detail FROM operator_acts WHERE act = 'edit'").await;
    assert_eq!(act, format!("course: end of enrolment none -> {end}"));
}

#[tokio::test]
async fn no_mail_that_is_still_to_leave_prints_an_end_that_is_later_than_the_truth() {
    let (stage, entries) = Stage::with(2).await;
    stage.post().await;
    stage.open(2).await;
    let (first, second) = (stage.offer_of(entries[0]).await, stage.offer_of(entries[1]).await);
    stage.post_with(|offer| if offer == Some(first) { Default::default() } else { crate::waitlist::stage::lost() }).await;
    stage.advance().await;
    let handed_over = stage.now();
    // A worker has made the second one's mail already.
    let held = stage.claim().await;
    assert_eq!(held.len(), 1);
    let end = stage.now() + HOUR * 20;
    stage.edit(|program| program.starts_at = Some(end)).await;
    assert!(stage.mark(&held).await.is_empty(), "what it made says too much");
    let said = async |offer_id: i64, kind: &str, field: &str| {
        let read = format!(
            "SELECT d.context->>'{field}' FROM transactional t JOIN deliveries d ON d.id = t.delivery_id WHERE t.owner = 'offer:{offer_id}' AND t.kind = '{kind}'"
        );
        stage.text(&read).await.parse::<Timestamp>().expect("an instant")
    };
    assert_eq!(said(second, "offer", "ends").await, end);
    assert_eq!(said(first, "offer_reminder", "expires").await, end);
    let due = stage.text("SELECT (due_at AT TIME ZONE 'UTC')::text FROM deliveries WHERE template = 'offer_reminder'").await;
    assert_eq!(due.replace(' ', "T") + "Z", (handed_over + HOUR * 8).to_string(), "and it goes as long before the end as it was to");
    let valid = format!("SELECT count(*) FROM deliveries WHERE template LIKE 'offer%' AND state = 'queued' AND valid_until = '{end}'");
    assert_eq!(stage.number(&valid).await, 2);
    stage.post().await;
    assert_eq!(stage.mail(&format!("offer:{second}"), "offer").await, "sent", "it is made anew");
}

#[tokio::test]
async fn an_opening_that_would_be_over_when_it_begins_is_refused() {
    let (stage, _) = Stage::with(1).await;
    let now = stage.now();
    let refused = async |new: &NewOpening| {
        let created = opening::create(&mut *stage.conn().await, SLUG, new, now).await;
        let previewed = opening::preview(&mut *stage.conn().await, SLUG, new, now).await;
        assert!(matches!(created, Err(WaitlistError::Invalid(_))) && matches!(previewed, Err(WaitlistError::Invalid(_))));
    };
    refused(&NewOpening { opens_at: now - HOUR, ends_at: Some(now), ..new_opening(now) }).await;
    stage.edit(|program| program.enrolment_ends_at = Some(now + HOUR)).await;
    refused(&NewOpening { opens_at: now + HOUR, ..new_opening(now) }).await;
    stage.edit(|program| (program.enrolment_ends_at, program.starts_at) = (None, Some(now - HOUR))).await;
    refused(&new_opening(now)).await;
    assert_eq!(stage.number("SELECT count(*) FROM openings").await, 0);
}

#[tokio::test]
async fn the_time_to_fill_is_that_of_the_first_instant_at_which_every_seat_was_taken() {
    let (stage, entries) = Stage::with(3).await;
    stage.open(2).await;
    let filled = async || report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap().seconds_to_fill;
    stage.app.wait(SignedDuration::from_secs(100));
    stage.accept(entries[0]).await;
    assert_eq!(filled().await, None);
    stage.app.wait(SignedDuration::from_secs(100));
    stage.accept(entries[1]).await;
    assert_eq!(filled().await, Some(200));
    stage.app.wait(HOUR);
    stage.withdraw(entries[0]).await;
    stage.advance().await;
    stage.accept(entries[2]).await;
    assert_eq!(filled().await, Some(200), "a seat that was given back and taken again fills nothing anew");
}
