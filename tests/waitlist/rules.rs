//! The rules of the waitlist, one test for each, under its number.

use jiff::SignedDuration;
use serde_json::Value;
use tidings::base::database::violated;
use tidings::waitlist::entry::{self, Confirmed};
use tidings::waitlist::offer::{self, Acceptance, Over, Refusal};
use tidings::waitlist::opening::{self, NewOpening};
use tidings::waitlist::states::{AfterExpiry, EntryState, Mode, OfferState, OpeningState};
use tidings::waitlist::{WaitlistError, line, report};

use super::stage::{HOUR, SLUG, Stage, new_opening};

#[tokio::test]
async fn rule_01_the_order_is_priority_then_joining_and_confirming_late_keeps_the_place() {
    let (stage, _) = Stage::with(0).await;
    let late = stage.joins(0).await;
    let second = stage.waits(1).await;
    let third = stage.waits(2).await;
    let unconfirmed = stage.joins(3).await;
    entry::prioritise(&mut *stage.conn().await, third, 1, "she was promised a seat", stage.now()).await.unwrap();
    let confirmed = entry::confirm(&mut *stage.conn().await, late, stage.now()).await.unwrap();
    assert_eq!(confirmed, Confirmed::Waiting { place: 2 }, "behind the one with priority, before the one who joined later");
    stage.open(4).await;
    assert_eq!(stage.offered().await, [third, late, second]);
    assert_eq!(stage.state(unconfirmed).await, "unconfirmed", "an unconfirmed entry is passed over, though a seat is free");
    assert_eq!(stage.text(&format!("SELECT passed_over::text FROM offers WHERE entry_id = {second}")).await, "[]");
    assert_eq!(entry::forget_unconfirmed(&mut *stage.conn().await, stage.now(), stage.now()).await.unwrap(), 1);
    assert_eq!(stage.state(unconfirmed).await, "removed", "what nobody ever confirmed ends");
}

#[tokio::test]
async fn rule_02_one_live_entry_for_a_person_and_joining_again_keeps_the_place() {
    let (stage, entries) = Stage::with(2).await;
    let subscriber = stage.person(0).await;
    stage.app.wait(HOUR);
    let again = entry::join(&mut *stage.conn().await, stage.program_id, subscriber, stage.now()).await.unwrap();
    assert_eq!((again.entry_id, again.state, again.new), (entries[0], EntryState::Waiting, false));
    assert_eq!(line::place(&mut *stage.conn().await, entries[0]).await.unwrap(), Some(1));
    let twice = stage
        .run(&format!(
            "INSERT INTO entries (program_id, subscriber_id, state, asked_at, joined_at) VALUES ({}, {subscriber}, 'unconfirmed', now(), now())",
            stage.program_id
        ))
        .await;
    assert_eq!(violated(&twice.unwrap_err()), Some("entries_live_key"));
    // Another spelling of an address is the same person; who has left may join again, at the end.
    stage.withdraw(entries[0]).await;
    let anew = stage.waits(0).await;
    assert_ne!(anew, entries[0]);
    assert_eq!(line::place(&mut *stage.conn().await, anew).await.unwrap(), Some(2));
}

#[tokio::test]
async fn rule_03_an_offer_is_a_row_of_its_own_and_its_history_is_never_overwritten() {
    let (stage, entries) = Stage::with(2).await;
    stage.open(1).await;
    assert_eq!(stage.decline(entries[0]).await, Refusal::Declined);
    stage.advance().await;
    assert_eq!(stage.number("SELECT count(*) FROM offers").await, 2);
    for statement in [
        "UPDATE offers SET state = 'accepted' WHERE state = 'declined'",
        "UPDATE offers SET reason = 'another' WHERE state = 'declined'",
        "UPDATE offers SET rank = 9 WHERE state = 'open'",
        "DELETE FROM offers",
    ] {
        assert!(stage.run(statement).await.is_err(), "{statement}");
    }
    assert!(stage.run("UPDATE entry_events SET at = now()").await.is_err());
    assert_eq!(stage.decline(entries[0]).await, Refusal::Over(Over::Declined), "a second click finds the first one's end");
}

#[tokio::test]
async fn rule_04_what_is_free_does_not_depend_on_a_sweep_and_an_offer_not_handed_over_holds_its_seat() {
    let (stage, entries) = Stage::with(3).await;
    stage.open(1).await;
    stage.app.wait(HOUR * 23);
    assert_eq!(stage.advance().await, 0, "her mail has not left, her seat is held");
    stage.post().await;
    stage.app.wait(HOUR * 49);
    // No sweep ran. Whoever asks first finds the offer run out, and the report says so too.
    let figures = report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    assert_eq!((figures.open, figures.expired, figures.free), (0, 1, 1));
    assert_eq!(
        offer::show(&mut *stage.conn().await, stage.offer_of(entries[0]).await, stage.now()).await.unwrap().state,
        OfferState::Expired
    );
    let given = offer::give(&mut *stage.conn().await, SLUG, None, entries[2], "first to ask", stage.now()).await.unwrap();
    assert!(given > 0, "the seat is free for whoever comes first under the lock");
    assert_eq!(stage.states(&entries).await, ["waiting", "waiting", "offered"]);
}

#[tokio::test]
async fn rule_05_offers_are_given_by_one_at_a_time_however_many_workers_are_woken() {
    let (stage, entries) = Stage::with(12).await;
    stage.open_as(NewOpening { seats: 5, opens_at: stage.now() + HOUR, ..new_opening(stage.now()) }).await;
    stage.app.wait(HOUR);
    let (pool, program_id, now) = (stage.app.db.pool.clone(), stage.program_id, stage.now());
    let workers = (0..8).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move { opening::advance(&mut pool.acquire().await.unwrap(), program_id, now).await.unwrap().given })
    });
    let mut given = 0;
    for worker in workers.collect::<Vec<_>>() {
        given += worker.await.unwrap();
    }
    assert_eq!(given, 5);
    assert_eq!(stage.offered().await, entries[..5]);
}

#[tokio::test]
async fn rule_06_it_offers_what_is_free_skips_who_is_not_eligible_and_says_why() {
    let (stage, entries) = Stage::with(3).await;
    let unconfirmed = stage.joins(8).await;
    let last = stage.waits(9).await;
    stage.suppress(entries[1]).await;
    stage.open(3).await;
    assert_eq!(stage.offered().await, [entries[0], entries[2], last]);
    let passed: Value =
        serde_json::from_str(&stage.text(&format!("SELECT passed_over::text FROM offers WHERE entry_id = {last}")).await).unwrap();
    assert_eq!(
        passed,
        serde_json::json!([{ "entry": entries[1], "why": "suppressed: manual" }, { "entry": unconfirmed, "why": "unconfirmed" }])
    );
    // By hand the same is checked: no seat, no eligible person, no second offer.
    let give = async |entry_id| offer::give(&mut *stage.conn().await, SLUG, None, entry_id, "a favour", stage.now()).await.unwrap_err();
    let more = stage.waits(10).await;
    assert!(matches!(give(more).await, WaitlistError::NoSeat { seats: 3, .. }));
    opening::change_seats(&mut *stage.conn().await, SLUG, None, 2, stage.now()).await.unwrap();
    assert!(matches!(give(entries[1]).await, WaitlistError::NotEligible { .. }));
    assert!(matches!(give(entries[0]).await, WaitlistError::Entry { state: EntryState::Offered, .. }));
    assert!(matches!(give(unconfirmed).await, WaitlistError::Entry { state: EntryState::Unconfirmed, .. }));
    let twice = stage
        .run(&format!(
            "INSERT INTO offers (program_id, opening_id, entry_id, reserving, by_hand, offered_at, rank, passed_over, passed_over_in_all)
        SELECT program_id, opening_id, entry_id, true, true, offered_at, 1, '[]', 0 FROM offers WHERE entry_id = {last}"
        ))
        .await;
    assert_eq!(violated(&twice.unwrap_err()), Some("offers_open_key"));
}

#[tokio::test]
async fn rule_07_of_accept_and_expiry_exactly_one_wins_and_the_loser_is_told() {
    let (stage, entries) = Stage::with(2).await;
    stage.open(1).await;
    stage.post().await;
    stage.app.wait(HOUR * 48);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Expired), "at its last instant the offer is over");
    assert_eq!(stage.state(entries[0]).await, "waiting");
    stage.advance().await;
    stage.post().await;
    stage.app.wait(HOUR * 48 - SignedDuration::from_micros(1));
    let (pool, program_id, now) = (stage.app.db.pool.clone(), stage.program_id, stage.now());
    let sweep = tokio::spawn(async move { opening::advance(&mut pool.acquire().await.unwrap(), program_id, now).await.unwrap() });
    assert_eq!(stage.accept(entries[1]).await, Acceptance::Accepted);
    sweep.await.unwrap();
    assert_eq!(stage.accept(entries[1]).await, Acceptance::AlreadyAccepted);
    stage.app.wait(HOUR);
    stage.advance().await;
    assert_eq!(stage.state(entries[1]).await, "seated");
    // Without the lock, the clock in the statement itself decides: what ran out cannot be accepted by any hand that reads the terms.
    assert_eq!(stage.number("SELECT count(*) FROM offers WHERE state = 'accepted'").await, 1);
}

#[tokio::test]
async fn rule_08_whatever_frees_a_seat_wakes_the_next_offer_in_the_same_transaction() {
    let (stage, entries) = Stage::with(8).await;
    stage.open(1).await;
    for (index, what) in ["decline", "withdraw", "revoke", "bounce", "expire", "give back"].into_iter().enumerate() {
        let entry_id = stage.offered().await[0];
        let wakes = stage.wakes().await;
        match what {
            "decline" => assert_eq!(stage.decline(entry_id).await, Refusal::Declined),
            "withdraw" => assert!(stage.withdraw(entry_id).await.freed),
            "revoke" => offer::revoke(&mut *stage.conn().await, stage.offer_of(entry_id).await, "a mistake", stage.now()).await.unwrap(),
            "bounce" => {
                stage.bounce(stage.offer_of(entry_id).await).await;
                assert!(!opening::due(&mut *stage.conn().await, stage.now()).await.unwrap().is_empty(), "the nudge finds it");
            }
            "expire" => {
                stage.post().await;
                stage.app.wait(HOUR * 48);
                assert_eq!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap(), [stage.program_id]);
            }
            _ => {
                assert_eq!(stage.accept(entry_id).await, Acceptance::Accepted);
                assert!(offer::give_back(&mut *stage.conn().await, stage.offer_of(entry_id).await, stage.now()).await.unwrap());
            }
        }
        if !matches!(what, "bounce" | "expire") {
            assert!(stage.wakes().await > wakes, "{what} wakes whoever gives the next offer");
        }
        assert_eq!(stage.advance().await, 1, "after: {what}");
        assert_eq!(stage.offered().await, [entries[index + 1]], "after: {what}");
    }
    assert!(opening::due(&mut *stage.conn().await, stage.now()).await.unwrap().is_empty(), "nothing is left to do");
}

#[tokio::test]
async fn rule_09_after_expiry_the_policy_rules_and_after_a_revoke_no_offer_comes_by_itself() {
    let after = async |policy: AfterExpiry| {
        let (stage, entries) = Stage::with(2).await;
        stage.edit(|particulars| particulars.after_expiry = policy).await;
        stage.open(1).await;
        let mut story = Vec::new();
        for _ in 0..3 {
            story.push(stage.offered().await.first().map(|id| entries.iter().position(|e| e == id).unwrap()));
            stage.post().await;
            stage.app.wait(HOUR * 48);
            stage.advance().await;
        }
        (story, stage.states(&entries).await)
    };
    assert_eq!(after(AfterExpiry::Back).await.0, [Some(0), Some(1), Some(0)], "to the back: both in turn");
    assert_eq!(
        after(AfterExpiry::Keep).await,
        (vec![Some(0), Some(1), None], vec!["waiting".to_owned(); 2]),
        "kept: one offer in an opening"
    );
    assert_eq!(after(AfterExpiry::Out(1)).await, (vec![Some(0), Some(1), None], vec!["removed".to_owned(); 2]));

    let (stage, entries) = Stage::with(3).await;
    stage.open(1).await;
    offer::revoke(&mut *stage.conn().await, stage.offer_of(entries[0]).await, "a mistake", stage.now()).await.unwrap();
    stage.advance().await;
    assert_eq!(stage.states(&entries).await, ["waiting", "offered", "waiting"], "her place is kept, and the seat went on");
    assert_eq!(line::place(&mut *stage.conn().await, entries[0]).await.unwrap(), Some(1));
    stage.suppress(entries[1]).await;
    stage.advance().await;
    assert_eq!(stage.states(&entries).await, ["waiting", "waiting", "offered"]);
    stage.decline(entries[2]).await;
    stage.advance().await;
    assert!(stage.offered().await.is_empty(), "neither of the two is offered anything by itself");
    stage.lift(entries[1]).await;
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[1]], "the cause was lifted");
    opening::close(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    assert!(entry::readmit(&mut *stage.conn().await, entries[0], "it was ours", stage.now()).await.unwrap());
    stage.open(2).await;
    assert_eq!(stage.offered().await, entries[..2], "the next opening, and an operator's act");
}

#[tokio::test]
async fn rule_10_more_seats_give_offers_at_once_fewer_take_none_back_and_closing_tells_the_people() {
    let (stage, entries) = Stage::with(6).await;
    stage.open(2).await;
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Accepted);
    let seats = async |by| opening::change_seats(&mut *stage.conn().await, SLUG, None, by, stage.now()).await.unwrap();
    let more = seats(2).await;
    assert_eq!((more.seats, more.given, more.excess), (4, 2, 0));
    let fewer = seats(-3).await;
    assert_eq!((fewer.seats, fewer.given, fewer.excess), (1, 0, 3));
    assert_eq!(stage.offered().await, entries[1..4], "no offer is taken back in silence");
    let figures = report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    assert_eq!((figures.excess, figures.free), (3, 0));
    assert_eq!(stage.accept(entries[1]).await, Acceptance::Accepted, "what was offered is hers");
    stage.decline(entries[2]).await;
    assert_eq!(stage.advance().await, 0, "the excess drains before anybody is offered anything");
    stage.post().await;
    opening::close(&mut *stage.conn().await, SLUG, None, stage.now()).await.unwrap();
    assert_eq!(stage.states(&entries[..4]).await, ["seated", "seated", "withdrawn", "waiting"]);
    let last = stage.offer_of(entries[3]).await;
    assert_eq!(stage.mail(&format!("offer:{last}"), "closed").await, "queued");
    assert_eq!(stage.accept(entries[3]).await, Acceptance::Over(Over::Revoked { reason: "the opening was closed".to_owned() }));
    let closed = opening::change_seats(&mut *stage.conn().await, SLUG, None, 1, stage.now()).await;
    assert!(matches!(closed, Err(WaitlistError::Opening { state: OpeningState::Closed, .. })));
}

#[tokio::test]
async fn rule_11_no_offer_outlives_the_enrolment_or_the_start_and_a_last_call_holds_no_seat() {
    let (stage, entries) = Stage::with(3).await;
    let end = stage.now() + HOUR * 10;
    stage.edit(|particulars| particulars.enrolment_ends_at = Some(end)).await;
    stage.open(1).await;
    stage.post().await;
    let shown = offer::show(&mut *stage.conn().await, stage.offer_of(entries[0]).await, stage.now()).await.unwrap();
    assert_eq!((shown.expires_at, shown.ends_at), (Some(end), Some(end)));
    stage.edit(|particulars| particulars.starts_at = Some(end - HOUR)).await;
    stage.app.wait(HOUR * 9);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::Expired), "the program has begun");
    assert_eq!(opening::find(&mut *stage.conn().await, SLUG, None).await.unwrap().state, OpeningState::Closed);
    stage.edit(|particulars| (particulars.enrolment_ends_at, particulars.starts_at) = (None, None)).await;

    stage.open_as(NewOpening { mode: Mode::LastCall, ..new_opening(stage.now()) }).await;
    assert_eq!(stage.offered().await.len(), 3, "everyone who waits is called");
    let context = stage.text("SELECT context->>'mode' FROM deliveries WHERE template = 'offer' ORDER BY id DESC LIMIT 1").await;
    assert_eq!(context, "last-call", "and the mail says so");
    assert_eq!(stage.accept(entries[2]).await, Acceptance::Accepted);
    assert_eq!(stage.accept(entries[1]).await, Acceptance::Full, "first come");
    stage.withdraw(entries[2]).await;
    assert_eq!(stage.accept(entries[1]).await, Acceptance::Accepted, "a seat given back is for whoever comes next");
}

#[tokio::test]
async fn rule_12_each_mail_goes_once_and_the_clock_of_an_offer_starts_when_its_mail_is_handed_over() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(1).await;
    let first = stage.offer_of(entries[0]).await;
    stage.app.wait(HOUR * 20);
    stage.post().await;
    let handed_over = stage.now();
    let shown = offer::show(&mut *stage.conn().await, first, stage.now()).await.unwrap();
    assert_eq!(shown.expires_at, Some(handed_over + HOUR * 48), "not from the planning");
    stage.advance().await;
    stage.advance().await;
    assert_eq!(stage.number("SELECT count(*) FROM transactional WHERE owner LIKE 'offer:%'").await, 2, "the offer and its reminder, once");
    let due = stage.text("SELECT (due_at AT TIME ZONE 'UTC')::text FROM deliveries WHERE template = 'offer_reminder'").await;
    assert_eq!(due.replace(' ', "T") + "Z", (handed_over + HOUR * 36).to_string(), "a reminder before it ends");
    // Whatever closes an offer cancels what of its mails is not marked, in the same transaction.
    stage.decline(entries[0]).await;
    assert_eq!(stage.mail(&format!("offer:{first}"), "offer_reminder").await, "cancelled");
    stage.advance().await;
    let second = stage.offer_of(entries[1]).await;
    stage.decline(entries[1]).await;
    assert_eq!(stage.mail(&format!("offer:{second}"), "offer").await, "cancelled", "no mail leaves for an offer that is over");
    // One that is not handed over within a day is revoked, and the seat goes on; a mail that is late is not handed over.
    stage.advance().await;
    let third = stage.offer_of(entries[2]).await;
    stage.app.wait(HOUR * 24);
    stage.post().await;
    assert_eq!(stage.mail(&format!("offer:{third}"), "offer").await, "skipped");
    assert_eq!(
        stage.accept(entries[2]).await,
        Acceptance::Over(Over::Revoked { reason: "undeliverable: not handed over in time".to_owned() })
    );
    stage.advance().await;
    // A bounce: the seat goes on at once.
    let fourth = stage.offer_of(entries[3]).await;
    stage.bounce(fourth).await;
    assert_eq!(
        stage.accept(entries[3]).await,
        Acceptance::Over(Over::Revoked { reason: "undeliverable: 550 5.1.1 no such mailbox".to_owned() })
    );
    assert_eq!(stage.mail(&format!("entry:{}", entries[0]), "joined").await, "sent");
}

#[tokio::test]
async fn rule_13_withdrawing_is_always_possible() {
    let (stage, entries) = Stage::with(3).await;
    let unconfirmed = stage.joins(7).await;
    stage.open(2).await;
    stage.accept(entries[0]).await;
    for (entry_id, frees) in [(unconfirmed, false), (entries[2], false), (entries[1], true), (entries[0], true)] {
        let left = stage.withdraw(entry_id).await;
        assert_eq!((left.changed, left.freed), (true, frees));
        assert_eq!(stage.state(entry_id).await, "withdrawn");
        assert!(!stage.withdraw(entry_id).await.changed, "a second click changes nothing");
    }
    let anew = stage.waits(2).await;
    stage.suppress(anew).await;
    assert!(stage.withdraw(anew).await.changed, "also for whoever must not be mailed");
}

#[tokio::test]
async fn rule_14_the_waitlist_and_the_tips_leave_each_other_alone_and_erasure_withdraws() {
    let (stage, entries) = Stage::with(3).await;
    stage.run("INSERT INTO topics (slug, name) VALUES ('tips', 'Tips')").await.unwrap();
    stage.run("INSERT INTO subscriptions SELECT id, (SELECT id FROM topics), 'confirmed', now() FROM subscribers").await.unwrap();
    stage.run("UPDATE subscriptions SET standing = 'unsubscribed'").await.unwrap();
    stage.open(2).await;
    assert_eq!(stage.offered().await, entries[..2], "who left the tips still waits for a seat");
    stage.run("UPDATE subscriptions SET standing = 'confirmed'").await.unwrap();
    stage.withdraw(entries[0]).await;
    assert_eq!(stage.number("SELECT count(*) FROM subscriptions WHERE standing = 'confirmed'").await, 3);
    entry::prioritise(&mut *stage.conn().await, entries[1], 1, "Ana's sister", stage.now()).await.unwrap();
    let subscriber = stage.person(1).await;
    assert_eq!(entry::on_erased(&mut *stage.conn().await, subscriber, stage.now()).await.unwrap(), 1);
    assert_eq!(stage.state(entries[1]).await, "withdrawn");
    let left = "SELECT (SELECT count(*) FROM entry_events WHERE reason LIKE '%Ana%') + (SELECT count(*) FROM operator_acts WHERE detail LIKE '%Ana%')";
    assert_eq!(stage.number(left).await, 0, "and nothing is said of her any more");
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[2]], "her seat went on");
}

#[tokio::test]
async fn rule_15_an_opening_is_made_once_and_its_dry_run_is_what_then_happens() {
    let (stage, entries) = Stage::with(5).await;
    stage.suppress(entries[0]).await;
    let new = NewOpening { number: Some(7), seats: 2, ..new_opening(stage.now()) };
    let before = stage
        .text("SELECT (SELECT count(*) FROM openings) || ' ' || (SELECT count(*) FROM offers) || ' ' || (SELECT count(*) FROM deliveries)")
        .await;
    let preview = opening::preview(&mut *stage.conn().await, SLUG, &new, stage.now()).await.unwrap();
    let after = stage
        .text("SELECT (SELECT count(*) FROM openings) || ' ' || (SELECT count(*) FROM offers) || ' ' || (SELECT count(*) FROM deliveries)")
        .await;
    assert_eq!(before, after, "a dry run writes nothing");
    let (first, made) = opening::create(&mut *stage.conn().await, SLUG, &new, stage.now()).await.unwrap();
    let (again, made_again) = opening::create(&mut *stage.conn().await, SLUG, &new, stage.now()).await.unwrap();
    assert_eq!((made, made_again, first.id), (true, false, again.id));
    assert_eq!(preview.offered.iter().map(|c| c.entry_id).collect::<Vec<_>>(), stage.offered().await);
    assert_eq!(preview.passed_over.iter().map(|p| (p.entry_id, p.why.as_str())).collect::<Vec<_>>(), [(entries[0], "suppressed: manual")]);
    let other = opening::create(&mut *stage.conn().await, SLUG, &NewOpening { seats: 3, ..new }, stage.now()).await;
    assert!(matches!(other, Err(WaitlistError::NumberTaken { number: 7, differs: "number of seats", .. })));
}

#[tokio::test]
async fn rule_16_a_newcomer_never_passes_those_who_wait_even_when_a_seat_is_free_or_her_clock_is_behind() {
    let (stage, entries) = Stage::with(2).await;
    stage.open(1).await;
    stage.decline(entries[0]).await;
    // A seat is free at this moment, and nobody has been offered it yet; the newcomer's host is an hour behind.
    stage.app.wait(-HOUR);
    let newcomer = stage.waits(5).await;
    assert_eq!(line::place(&mut *stage.conn().await, newcomer).await.unwrap(), Some(2));
    stage.app.wait(HOUR);
    stage.advance().await;
    assert_eq!(stage.offered().await, [entries[1]]);
}

#[tokio::test]
async fn rule_17_giving_back_an_accepted_seat_frees_exactly_one() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(2).await;
    stage.accept(entries[0]).await;
    stage.accept(entries[1]).await;
    assert_eq!(opening::find(&mut *stage.conn().await, SLUG, None).await.unwrap().state, OpeningState::Full);
    let offer_id = stage.offer_of(entries[0]).await;
    let mut freed = 0;
    for _ in 0..3 {
        freed += i32::from(offer::give_back(&mut *stage.conn().await, offer_id, stage.now()).await.unwrap());
    }
    assert_eq!((freed, stage.advance().await), (1, 1));
    assert_eq!(stage.states(&entries).await, ["withdrawn", "seated", "offered", "waiting"]);
    assert_eq!(stage.accept(entries[0]).await, Acceptance::Over(Over::GivenBack));
    assert!(
        !offer::give_back(&mut *stage.conn().await, stage.offer_of(entries[2]).await, stage.now()).await.unwrap(),
        "an open offer is no seat"
    );
}

#[tokio::test]
async fn rule_18_each_offer_keeps_its_rank_and_who_was_passed_over_and_a_priority_needs_a_reason() {
    let (stage, entries) = Stage::with(4).await;
    stage.open(0).await;
    let refused = entry::prioritise(&mut *stage.conn().await, entries[3], 1, "  ", stage.now()).await;
    assert!(matches!(refused, Err(WaitlistError::NoReason)));
    stage.suppress(entries[0]).await;
    opening::change_seats(&mut *stage.conn().await, SLUG, None, 1, stage.now()).await.unwrap();
    opening::change_seats(&mut *stage.conn().await, SLUG, None, 1, stage.now()).await.unwrap();
    stage.decline(entries[1]).await;
    let by_hand = offer::give(&mut *stage.conn().await, SLUG, None, entries[3], "she asked first", stage.now()).await.unwrap();
    let kept = async |entry_id: i64| {
        stage.text(&format!("SELECT rank || ' ' || passed_over_in_all FROM offers WHERE entry_id = {entry_id}")).await
    };
    assert_eq!([kept(entries[1]).await, kept(entries[2]).await, kept(entries[3]).await], ["2 1", "2 1", "2 1"]);
    let event = stage.text(&format!("SELECT by || ': ' || reason FROM entry_events WHERE what = 'offered' AND offer_id = {by_hand}")).await;
    assert_eq!(event, "operator: she asked first");
    entry::prioritise(&mut *stage.conn().await, entries[0], 5, "she is ill", stage.now()).await.unwrap();
    let event = stage.text("SELECT priority || ': ' || reason FROM entry_events WHERE what = 'prioritised'").await;
    assert_eq!(event, "5: she is ill");
    let silent = stage
        .run(&format!(
            "INSERT INTO entry_events (entry_id, at, what, by, priority) VALUES ({}, now(), 'prioritised', 'operator', 1)",
            entries[0]
        ))
        .await;
    assert_eq!(violated(&silent.unwrap_err()), Some("entry_events_prioritised"));
}

#[tokio::test]
async fn rule_19_the_simple_mode_holds_no_seats_and_names_everyone_once_in_order() {
    let (stage, entries) = Stage::with(3).await;
    stage.joins(8).await;
    stage.suppress(entries[1]).await;
    entry::prioritise(&mut *stage.conn().await, entries[2], 1, "a test", stage.now()).await.unwrap();
    let opening = stage.open_as(NewOpening { mode: Mode::NotifyAll, ..new_opening(stage.now()) }).await;
    assert_eq!(opening.state, OpeningState::Open);
    assert_eq!(stage.advance().await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM offers").await, 0, "no seat is held");
    assert_eq!(opening::recipients(&mut *stage.conn().await, &opening).await.unwrap(), [entries[2], entries[0]]);
    let by_hand = offer::give(&mut *stage.conn().await, SLUG, None, entries[0], "a favour", stage.now()).await;
    assert!(matches!(by_hand, Err(WaitlistError::Opening { .. })));
}

#[tokio::test]
async fn rule_20_a_person_sees_her_place_and_the_joining_mail_tells_it() {
    let (stage, entries) = Stage::with(3).await;
    let unconfirmed = stage.joins(8).await;
    let place = async |entry_id| line::place(&mut *stage.conn().await, entry_id).await.unwrap();
    assert_eq!(
        [place(entries[0]).await, place(entries[1]).await, place(entries[2]).await, place(unconfirmed).await],
        [Some(1), Some(2), Some(3), None]
    );
    let context: Value =
        serde_json::from_str(&stage.text("SELECT context::text FROM deliveries WHERE template = 'joined' ORDER BY id DESC LIMIT 1").await)
            .unwrap();
    assert_eq!(
        context,
        serde_json::json!({ "program": "The autumn course", "slug": "course", "entry": entries[2], "zone": null, "place": 3 })
    );
    stage.open(1).await;
    assert_eq!([place(entries[0]).await, place(entries[1]).await], [None, Some(1)], "the line moves up");
    stage.post().await;
    stage.app.wait(HOUR * 48);
    stage.advance().await;
    assert_eq!(place(entries[0]).await, Some(2), "to the back");
}
