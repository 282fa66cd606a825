//! The waitlist's mails, from the act to the inbox: what they carry, until when an offer holds, and what is not sent any more.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidings::base::clock::{Clock, ManualClock};
use tidings::base::token::{self, Purpose};
use tidings::delivery::Key;
use tidings::delivery::ledger::mark::{self, Ending, Mark, Record};
use tidings::delivery::ledger::{claim, lease};
use tidings::delivery::relay::MemoryBox;
use tidings::jobs::{self, App};
use tidings::people::stop::{self, Scope, Source};
use tidings::waitlist::offer::Acceptance;
use tidings::waitlist::opening::NewOpening;
use tidings::waitlist::states::{AfterExpiry, Mode};
use tidings::waitlist::{entry, offer, opening, program};
use tokio::sync::watch;

use super::stage::{HOUR, SLUG, Stage, new_opening, particulars, unanswered};
use crate::notices::mail::Mail;
use crate::support::story::{Story, memory};

const LEASE: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn each_mail_carries_her_page_and_her_preferences_and_is_no_mail_of_a_list() {
    let (stage, entries) = Stage::with(3).await;
    stage.run("UPDATE subscribers SET name = 'Ana'").await.unwrap();
    let mails = MemoryBox::default();
    stage.deliver(&mails).await;
    let opening = stage.open(2).await;
    stage.deliver(&mails).await;
    stage.accept(entries[0]).await;
    stage.app.wait(HOUR * 36);
    stage.advance().await;
    stage.deliver(&mails).await;
    stage.app.wait(HOUR * 12);
    stage.advance().await;
    stage.deliver(&mails).await;
    opening::close(&mut *stage.conn().await, SLUG, Some(opening.number), stage.now()).await.unwrap();
    stage.deliver(&mails).await;

    let subjects = mails.handed().iter().map(|mail| (mail.to.clone(), Mail::read(&mail.message).subject())).collect::<Vec<_>>();
    let of = |n: usize, words: &str| subjects.iter().filter(|(to, s)| *to == format!("person-{n}@example.org") && s == words).count();
    for (n, words) in [
        (0, "You are on the waitlist of The autumn course"),
        (0, "A seat in The autumn course is held for you"),
        (0, "You have a seat in The autumn course"),
        (1, "Your seat in The autumn course still waits for your answer"),
        (1, "Your offer of a seat in The autumn course has ended"),
        (2, "A seat in The autumn course is held for you"),
        (2, "The enrolment of The autumn course was closed"),
    ] {
        assert_eq!(of(n, words), 1, "{words}: {subjects:?}");
    }
    assert_eq!(subjects.len(), 3 + 3 + 1 + 1 + 1 + 1, "and nothing else: {subjects:?}");
    for mail in mails.handed() {
        stage.assert_carries_her_links(&mail.to, &Mail::read(&mail.message)).await;
    }
    let frozen = stage.text("SELECT string_agg(context::text, ' ') FROM deliveries").await;
    assert!(!frozen.contains('@') && !frozen.contains("tips.example.org"), "{frozen}");
    let accepted =
        mails.handed().into_iter().map(|mail| Mail::read(&mail.message)).find(|mail| mail.subject().starts_with("You have a seat"));
    let accepted = accepted.expect("she accepted");
    assert!(accepted.text.contains("Bring a mat.") && accepted.links("https://example.org/next").len() == 1, "{}", accepted.text);
}

#[tokio::test]
async fn what_follows_an_offer_that_ran_out_is_what_the_program_says() {
    for (rule, words, button) in [
        (AfterExpiry::Back, "now at the end of the line", "See your place"),
        (AfterExpiry::Keep, "your place is kept", "See your place"),
        (AfterExpiry::Out(1), "you are not on it any more", "Join again: https://tips.example.org/waitlist/course "),
    ] {
        let (stage, _) = Stage::with(1).await;
        stage.edit(|program| program.after_expiry = rule).await;
        stage.open(1).await;
        let mails = MemoryBox::default();
        stage.deliver(&mails).await;
        mails.clear();
        stage.app.wait(HOUR * 48);
        stage.advance().await;
        stage.deliver(&mails).await;
        let expired = Mail::read(&mails.handed()[0].message);
        assert!(expired.text.contains(words) && expired.text.contains(button), "{rule}: {}", expired.text);
    }
}

#[tokio::test]
async fn an_offer_says_until_when_and_never_later_than_its_clock() {
    for (begins, zone, hours, ends, said) in [
        ("2026-01-12T06:00:59.999Z", "Europe/London", 48, None, "Wednesday 14 January 2026, 06:00 (Europe/London time)"),
        ("2026-01-12T06:01:00Z", "Europe/London", 48, None, "Wednesday 14 January 2026, 06:01 (Europe/London time)"),
        ("2026-01-12T06:00:59Z", "Asia/Kathmandu", 1, None, "Monday 12 January 2026, 12:45 (Asia/Kathmandu time)"),
        ("2026-01-12T06:00:00Z", "", 48, Some("2026-01-13T18:30:45Z"), "Tuesday 13 January 2026, 18:30 (Europe/London time)"),
        ("2026-03-28T12:00:30Z", "Europe/London", 24, None, "Sunday 29 March 2026, 13:00 (Europe/London time)"),
        ("2026-10-24T00:30:30Z", "Europe/London", 24, None, "Sunday 25 October 2026, 01:30 (Europe/London time, UTC+01:00)"),
    ] {
        let stage = Stage::new().await;
        let entry_id = stage.waits(0).await;
        stage.run(&format!("UPDATE subscribers SET zone = nullif('{zone}', '')")).await.unwrap();
        stage.app.clock.set(begins.parse().unwrap());
        let ends_at: Option<Timestamp> = ends.map(|end: &str| end.parse().unwrap());
        stage.edit(|program| program.enrolment_ends_at = ends_at).await;
        stage.open_as(NewOpening { offer_for: HOUR * hours, remind_before: SignedDuration::ZERO, ..new_opening(stage.now()) }).await;
        let mails = MemoryBox::default();
        stage.deliver(&mails).await;
        let offer = Mail::read(&mails.handed().last().expect("an offer").message);
        assert!(offer.text.contains(&format!("until {said}.")), "{begins} {zone}: {}", offer.text);
        let shown = offer::show(&mut *stage.conn().await, stage.offer_of(entry_id).await, stage.now()).await.unwrap();
        let truth = shown.expires_at.expect("its clock runs");
        stage.app.clock.set(truth - SignedDuration::from_micros(1));
        assert_eq!(stage.accept(entry_id).await, Acceptance::Accepted, "to the last moment that the mail names");
        stage.discard().await;
    }
}

#[tokio::test]
async fn an_offer_that_is_handed_over_again_says_the_same_however_late_it_comes() {
    let (stage, _) = Stage::with(1).await;
    stage.app.clock.set("2026-01-12T06:30:59Z".parse().unwrap());
    stage.open(1).await;
    // Somebody marks it and dies; what became of that mail nobody knows.
    let dying = stage.hands_over("offer").await;
    stage.app.wait(HOUR * 3);
    stage.record(&dying, Ending::Unconfirmed).await;
    let mails = MemoryBox::default();
    stage.deliver(&mails).await;
    let again = mails.handed().into_iter().map(|mail| Mail::read(&mail.message)).find(|mail| mail.subject().starts_with("A seat"));
    let again = again.expect("it is handed over once more");
    assert!(again.text.contains("until Wednesday 14 January 2026, 06:30 (Europe/London time)."), "{}", again.text);
    assert_eq!(stage.number("SELECT count(*) FROM deliveries WHERE repeated_at IS NOT NULL AND state = 'sent'").await, 1);
}

#[tokio::test]
async fn while_the_clock_runs_between_the_making_of_an_offer_and_its_mark_the_mail_is_never_later_than_the_truth() {
    for second in [0, 35, 45, 55] {
        let (stage, _) = Stage::with(1).await;
        stage.app.clock.set(format!("2026-01-12T06:30:{second:02}Z").parse().unwrap());
        stage.open(1).await;
        let mails = MemoryBox::default();
        stage.deliver_by(&mails, Arc::new(Running(stage.app.clock.clone()))).await;
        let offer = mails.handed().into_iter().map(|mail| Mail::read(&mail.message)).find(|mail| mail.subject().starts_with("A seat"));
        let text = offer.expect("an offer").text;
        let said = text.split("until ").nth(1).and_then(|rest| rest.split(" (").next()).expect("a moment").to_owned();
        // In January London's clock is UTC.
        let said = Timestamp::strptime("%A %d %B %Y, %H:%M %z", format!("{said} +0000")).expect("a moment");
        let truth: String =
            stage.text("SELECT to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM offer_terms").await;
        let truth: Timestamp = truth.parse().expect("an instant");
        assert!(said <= truth && truth < said + SignedDuration::from_mins(3), "{said} of {truth}");
    }
}

#[tokio::test]
async fn of_an_offer_that_is_over_no_mail_is_marked_whether_or_not_anybody_has_noticed() {
    let (stage, entries) = Stage::with(4).await;
    let hour = NewOpening { seats: 4, offer_for: HOUR, remind_before: SignedDuration::ZERO, ..new_opening(stage.now()) };
    stage.post().await;
    stage.open_as(hour).await;
    let offers = stage.numbers("SELECT id FROM offers ORDER BY entry_id").await;
    // All four are in a worker's hands, not marked yet.
    let (worker, held) = stage.claims().await;
    assert_eq!(held.len(), 4);
    stage.decline(entries[0]).await;
    offer::revoke(&mut *stage.conn().await, offers[1], "a test", stage.now()).await.unwrap();
    stage.suppress(entries[2]).await;
    let marked = stage.marks(worker, &held).await;
    assert_eq!(marked.len(), 1, "only the last one's offer stands");
    for (offer_id, state) in offers.iter().zip(["cancelled", "cancelled", "cancelled", "handing_over"]) {
        assert_eq!(stage.mail(&format!("offer:{offer_id}"), "offer").await, state);
    }

    // No answer comes: the offer's clock runs on, and nobody settles.
    let last = Held { worker, key: *marked.keys().next().unwrap(), fence: *marked.values().next().unwrap() };
    stage.record(&last, Ending::Unconfirmed).await;
    stage.app.wait(HOUR);
    let (_, held) = stage.claims().await;
    assert!(held.is_empty(), "the claim has noticed");
    let row = format!("SELECT d.state || ' ' || d.reason FROM deliveries d WHERE d.id = {}", last.key.id);
    assert_eq!(stage.text(&row).await, "skipped expired");
    assert_eq!(stage.accept(entries[3]).await, Acceptance::Over(offer::Over::Expired), "it may have come the first time");
}

#[tokio::test]
async fn the_mark_looks_at_the_clock_of_the_offer_once_more() {
    let (stage, _) = Stage::with(1).await;
    stage.post().await;
    stage.open_as(NewOpening { offer_for: HOUR, remind_before: HOUR / 4, ..new_opening(stage.now()) }).await;
    stage.post_with(|_| unanswered()).await;
    stage.app.wait(HOUR / 2);
    let (worker, held) = stage.claims().await;
    assert_eq!(held.len(), 1, "half of its hour is left");
    stage.app.wait(HOUR / 2);
    assert!(stage.marks(worker, &held).await.is_empty());
    assert_eq!(stage.text("SELECT state || ' ' || reason FROM deliveries WHERE template = 'offer'").await, "skipped expired");
}

#[tokio::test]
async fn what_a_suppressed_person_was_to_be_told_is_not_marked() {
    let (stage, entries) = Stage::with(1).await;
    let (worker, held) = stage.claims().await;
    assert_eq!(held.len(), 1, "that she is on the waitlist");
    stage.suppress(entries[0]).await;
    assert!(stage.marks(worker, &held).await.is_empty());
    assert_eq!(stage.text("SELECT state || ' ' || reason FROM deliveries").await, "skipped suppressed: manual");
}

#[tokio::test]
async fn an_offer_that_was_answered_while_its_mail_was_under_way_is_not_sent_again() {
    for stops in [false, true] {
        let (stage, entries) = Stage::with(1).await;
        stage.post().await;
        stage.open(1).await;
        let under_way = stage.hands_over("offer").await;
        match stops {
            false => assert_eq!(stage.accept(entries[0]).await, Acceptance::Accepted),
            true => {
                let (pool, keyring, ana) = (&stage.app.db.pool, &stage.app.keyring, stage.person(0).await);
                stop::unsubscribe(pool, keyring, ana, Scope::Everything, Source::Page, stage.now()).await.map(drop).unwrap();
            }
        }
        // No answer of the relay's was read.
        stage.record(&under_way, Ending::Unconfirmed).await;
        let mails = MemoryBox::default();
        stage.deliver(&mails).await;
        let subjects: Vec<_> = mails.handed().iter().map(|mail| Mail::read(&mail.message).subject()).collect();
        assert_eq!(subjects, if stops { vec![] } else { vec!["You have a seat in The autumn course".to_owned()] });
        assert_eq!(stage.text("SELECT state FROM deliveries WHERE template = 'offer'").await, "unconfirmed");
    }
}

#[tokio::test]
async fn whoever_leaves_hears_no_more_of_what_was_before() {
    let (stage, entries) = Stage::with(1).await;
    stage.open(1).await;
    stage.post().await;
    stage.app.wait(HOUR * 49);
    stage.advance().await;
    let offer_id = stage.numbers("SELECT min(id) FROM offers").await[0];
    assert_eq!(stage.mail(&format!("offer:{offer_id}"), "expired").await, "queued");
    stage.withdraw(entries[0]).await;
    assert_eq!(stage.mail(&format!("offer:{offer_id}"), "expired").await, "cancelled", "her place at the end of the line is gone");
    let mails = MemoryBox::default();
    stage.deliver(&mails).await;
    assert!(mails.handed().is_empty());
}

#[tokio::test]
async fn a_last_call_says_that_no_seat_is_held() {
    let (stage, _) = Stage::with(2).await;
    stage.post().await;
    stage.open_as(NewOpening { mode: Mode::LastCall, ..new_opening(stage.now()) }).await;
    let mails = MemoryBox::default();
    stage.deliver(&mails).await;
    stage.app.wait(HOUR * 36);
    stage.advance().await;
    stage.deliver(&mails).await;
    let texts: Vec<_> = mails.handed().iter().map(|mail| Mail::read(&mail.message).text).collect();
    assert_eq!(texts.len(), 4, "the call and its reminder, to each");
    assert!(texts.iter().all(|text| text.contains("No seat is held for you: whoever accepts first gets one.")), "{texts:?}");
}

#[tokio::test]
async fn an_offer_goes_before_all_tips_that_are_due() {
    let story = Story::ready(1, 40).await;
    story.run_edition().await;
    story.plan().await;
    let now = story.app.now();
    let mut conn = story.conn().await;
    let program = program::create(&mut conn, SLUG, &particulars(), now).await.unwrap();
    let entry_id = entry::join(&mut conn, program.id, 40, now).await.unwrap().entry_id;
    entry::confirm(&mut conn, entry_id, now).await.unwrap();
    opening::create(&mut conn, SLUG, &new_opening(now), now).await.unwrap();
    drop(conn);
    let mails = MemoryBox::default();
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    let handed = mails.handed();
    assert_eq!(handed.len(), 42);
    let first: Vec<_> = handed[..2].iter().map(|mail| Mail::read(&mail.message).subject()).collect();
    assert_eq!(first, ["You are on the waitlist of The autumn course", "A seat in The autumn course is held for you"]);
}

/// A mail in a worker's hands.
struct Held {
    worker: i64,
    key: Key,
    fence: i32,
}

impl Stage {
    /// Sends what is due, as a worker does, to `mails`.
    async fn deliver(&self, mails: &MemoryBox) {
        self.deliver_by(mails, Arc::new(self.app.clock.clone())).await;
    }

    async fn deliver_by(&self, mails: &MemoryBox, clock: Arc<dyn Clock>) {
        let (config, keyring) = (Arc::new(self.app.config.clone()), self.app.keyring.clone());
        let outlets = vec![Arc::new(memory(mails, 1))];
        let app = App::with_outlets(config, self.app.db.clone(), keyring, clock, [7; 32], outlets).expect("settings that suffice");
        let (_stop, told) = watch::channel(false);
        let work = tokio::time::timeout(Duration::from_secs(60), jobs::run_until_idle(Arc::new(app), told));
        work.await.expect("idle within a minute").expect("work that ends well");
    }

    /// A worker that claims what is due.
    async fn claims(&self) -> (i64, Vec<claim::Claimed>) {
        let mut conn = self.conn().await;
        let worker = lease::register(&mut conn, "claiming").await.expect("a worker");
        (worker, claim::transactional(&mut conn, worker, self.now(), 100).await.expect("a claim").taken)
    }

    async fn marks(&self, worker: i64, held: &[claim::Claimed]) -> std::collections::HashMap<Key, i32> {
        let marks: Vec<_> = held.iter().map(|claimed| Mark { key: claimed.key, fence: claimed.fence }).collect();
        mark::Writer::new(worker, LEASE).write(&mut *self.conn().await, self.now(), &[], &marks).await.expect("marks")
    }

    /// A worker that has marked the one due mail of this template.
    async fn hands_over(&self, template: &str) -> Held {
        let (worker, held) = self.claims().await;
        let (ours, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|claimed| claimed.template == template);
        for claimed in self.marks(worker, &others).await {
            self.record(&Held { worker, key: claimed.0, fence: claimed.1 }, Ending::Sent).await;
        }
        let marked = self.marks(worker, &ours).await;
        assert_eq!(marked.len(), 1, "one mail of `{template}` is due");
        let (key, fence) = marked.into_iter().next().expect("one");
        Held { worker, key, fence }
    }

    async fn record(&self, held: &Held, ending: Ending) {
        let reason = (ending != Ending::Sent).then(|| "no answer after the body began".to_owned());
        let record = Record { key: held.key, edition_id: None, fence: held.fence, ending, reason, reply: None, pause: None };
        mark::Writer::new(held.worker, LEASE).write(&mut *self.conn().await, self.now(), &[record], &[]).await.expect("a record");
    }

    /// Ends what is left to send.
    async fn discard(&self) {
        self.deliver(&MemoryBox::default()).await;
    }

    async fn assert_carries_her_links(&self, to: &str, mail: &Mail) {
        let subject = mail.subject();
        for absent in ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"] {
            assert_eq!(mail.header(absent), None, "{subject}");
        }
        assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated".to_owned()));
        assert!(mail.text.contains("Hello Ana,"), "{}", mail.text);
        let hers = async |what: &str| {
            self.number(&format!("SELECT {what} FROM entries e JOIN subscribers s ON s.id = e.subscriber_id WHERE s.address = '{to}'"))
                .await
        };
        let read = |beginning: &str, purpose| {
            let links = mail.links(beginning);
            assert!(links.len() <= 1, "{subject}: {links:?}");
            links.first().map(|link| token::verify_id(&self.app.keyring, purpose, &link[beginning.len()..]).expect("a token of ours"))
        };
        assert_eq!(read("https://tips.example.org/waitlist/course/", Purpose::Entry), Some(hers("e.id").await), "{subject}");
        assert_eq!(read("https://tips.example.org/preferences/", Purpose::Preferences), Some(hers("s.id").await), "{subject}");
        let offers = subject.starts_with("A seat") || subject.starts_with("Your seat");
        let hers = hers("(SELECT max(id) FROM offers f WHERE f.entry_id = e.id)").await;
        assert_eq!(read("https://tips.example.org/offers/", Purpose::Offer), offers.then_some(hers), "{subject}");
    }
}

/// A clock on which some seconds pass between any two looks.
#[derive(Debug)]
struct Running(ManualClock);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        self.0.advance(SignedDuration::from_secs(2));
        self.0.now()
    }

    fn is_manual(&self) -> bool {
        true
    }
}
