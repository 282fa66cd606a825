//! How fast relays and providers of recipients are given mail: two workers share one limit, who has to wait keeps nobody else waiting and
//! makes no edition late, and answers that put mails off slow a group down until it is quiet again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidings::campaigns::states::Late;
use tidings::delivery::ledger::{claim, lease};
use tidings::delivery::pace::{Admission, Mail, Pace, Pass};
use tidings::delivery::relay::{Answer, MemoryBox};
use tidings::delivery::reply::Phase;

use crate::support::relay::FaultyRelay;
use crate::support::story::{Story, WEEKLY, count, log_of, memory};
use crate::support::until;

/// The provider with a pace.
const BIG: &str = "big.example.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_give_a_group_twenty_a_second_between_them_and_all_others_at_once() {
    let relay = FaultyRelay::start().await;
    let mut story = Story::new().await;
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    story.set("TIDINGS_PACE__BIG__DOMAINS", BIG);
    story.set("TIDINGS_PACE__BIG__RATE", "20/s");
    people(&story, &[(BIG, 160), ("example.org", 300)]).await;
    story.tidings(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
    let mut workers = [story.worker(&[]), story.worker(&[])];
    until("all mails are sent", || relay.sums().0 == 460).await;
    let shown: Value = serde_json::from_str(&story.tidings(&["pace", "--json"]).await).expect("JSON");
    for worker in &mut workers {
        worker.terminate();
        assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
    }
    let edition = story.assert_agrees_with(&relay.accepted(), 460).await;
    assert_eq!((count(&edition, "sent"), relay.sums().1), (460, 0), "{edition}");

    let bodies = relay.bodies();
    let (big, others): (Vec<_>, Vec<_>) = bodies.iter().partition(|body| body.recipient.contains(BIG));
    let first = bodies.first().expect("a mail").began;
    let times: Vec<f64> = big.iter().map(|body| body.began.duration_since(first).as_secs_f64()).collect();
    for (n, from) in times.iter().enumerate() {
        // What a window allows, at its end, and the next one's at its beginning; a hand-over may come a little late.
        let within = times[n..].iter().take_while(|time| **time < from + 0.9).count();
        assert!(within <= 40, "{within} in a second from {from}: {times:?}");
        assert!(n as f64 <= 20.0 * (from + 2.0), "{n} by {from}: {times:?}");
    }
    let last = |bodies: &[&crate::support::relay::Body]| bodies.iter().map(|body| body.began.duration_since(first)).max().expect("a mail");
    assert!(last(&big) > Duration::from_millis(6_500), "{times:?}");
    assert!(last(&others) * 2 < last(&big), "the others wait for nobody: {:?} of {:?}", last(&others), last(&big));
    // A fence counts claims and marks: one mark, and about two claims.
    let claims = "SELECT (10 * avg(d.fence - 1))::bigint FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id WHERE s.address LIKE '%@big.%'";
    let claims = story.number(claims).await;
    assert!(claims <= 25, "each of them was claimed {claims} / 10 times");
    let big = shown.as_array().expect("an array").iter().find(|pace| pace["name"] == "big").expect("the group").clone();
    assert_eq!((&big["rate"], &big["window"]["limit"]), (&"20/s".into(), &20.into()), "{big}");
}

#[tokio::test]
async fn what_one_worker_took_is_not_there_for_the_other_until_the_next_window() {
    let stage = Stage::with(&[("TIDINGS_PACE__BIG__RATE", "20/s")]).await;
    let (one, other) = (stage.worker().await, stage.worker().await);
    let now = stage.story.app.now();
    let (went, slots) = stage.go(&one, 15, now).await;
    assert_eq!((went.len(), slots.len()), (15, 0));
    let (went, slots) = stage.go(&other, 30, now).await;
    assert_eq!((went.len(), slots.len()), (5, 25));
    assert_eq!((slots[0], slots[20], slots[24]), (now + ms(1_000), now + ms(2_000), now + ms(2_200)));
    let (went, slots) = stage.go(&one, 10, now + ms(900)).await;
    assert_eq!((went.len(), slots[0]), (0, now + ms(2_250)), "who comes later waits behind those who came before");
    // One that answers a person's act is not kept, and counted.
    let urgent = Mail { address: "ana@big.example.com", urgent: true };
    assert!(matches!(one.admit("main", urgent, now), Admission::Go(_)));
    let (went, _) = stage.go(&one, 30, now + ms(1_000)).await;
    assert_eq!(went.len(), 19);
    assert!(matches!(one.admit("main", Mail { address: "ana@example.org", urgent: false }, now), Admission::Go(_)));
    assert_eq!(stage.story.number("SELECT count(*) FROM paces").await, 1);
}

#[tokio::test]
async fn hand_overs_at_the_same_time_are_shared_and_those_of_a_worker_that_is_gone_are_free() {
    let stage = Stage::with(&[("TIDINGS_PACE__BIG__CONNECTIONS", "3")]).await;
    let (one, other) = (stage.worker().await, stage.worker().await);
    let now = stage.story.app.now();
    let (mut held, slots) = stage.go(&one, 5, now).await;
    assert_eq!((held.len(), slots.len()), (3, 2));
    assert_eq!(stage.go(&other, 2, now).await.0.len(), 0, "all three are the other's");
    held.truncate(1);
    assert_eq!(stage.go(&other, 2, now + ms(100)).await.0.len(), 0, "it keeps them for a moment, for its next mails");
    let later = now + ms(3_000);
    let chores = one.chores(false, later).expect("it holds more than it needs");
    one.tend(&mut *stage.story.conn().await, chores, later, Some(later)).await.expect("given back");
    let (held_by_other, _) = stage.go(&other, 5, later).await;
    assert_eq!(held_by_other.len(), 2);
    drop(held);
    let gone = stage.story.number("SELECT min(id) FROM workers").await;
    lease::leave(&mut *stage.story.conn().await, gone, later).await.expect("left");
    assert_eq!(stage.go(&other, 5, later + ms(100)).await.0.len(), 1, "with the two that it has, all three");
}

#[tokio::test]
async fn whoever_the_pace_keeps_makes_no_edition_late_and_at_the_deadline_the_reason_names_it() {
    let story = Story::with(&[("TIDINGS_PACE__BIG__DOMAINS", BIG), ("TIDINGS_PACE__BIG__RATE", "10/d")]).await;
    people(&story, &[(BIG, 35), ("example.org", 10)]).await;
    story.campaign(Late::Ask).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.turn_to("2026-01-13T09:00:00Z");
    let mut sent = Vec::new();
    for hours in (0..48).step_by(3) {
        story.run_until_idle(&app).await;
        sent.push(mails.handed().len());
        if hours == 15 {
            // One that had its turn comes back without a word of the relay's, long after it was due.
            let given_back = "UPDATE deliveries SET ready_at = due_at WHERE id = (
                SELECT id FROM deliveries WHERE state = 'queued' AND put_off_until IS NOT NULL ORDER BY ready_at LIMIT 1)";
            story.tamper(given_back).await;
        }
        story.app.wait(SignedDuration::from_hours(3));
        if hours == 6 {
            let (id, period) = (story.number("SELECT max(id) FROM editions").await, "2026-01-01".parse().expect("a date"));
            let skipped = claim::skip_late(&mut *story.conn().await, id, period, story.app.now()).await.expect("looked");
            assert_eq!(skipped, 0, "who waits for the pace is not late");
            let waits = "SELECT count(*) FROM deliveries WHERE state = 'queued' AND attempts = 0 AND reason = 'pace: big'";
            assert_eq!(story.number(waits).await, 25);
        }
    }
    // At midnight a day begins, and what waits goes one by one; at nine of the third day their time is over.
    assert_eq!((sent[0], sent[4], sent[5], sent[12]), (20, 20, 21, 29), "ten on each day, and the others at once: {sent:?}");
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    let went = mails.handed().len() as u64;
    assert_eq!((&edition["state"], count(&edition, "sent")), (&"finished".into(), went), "{edition}");
    assert!((33..=35).contains(&went), "{edition}");
    assert_eq!(edition["reasons"]["expired (pace: big)"].as_u64(), Some(45 - went), "{edition}");
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await as u64, went, "their tip is theirs again");
}

#[tokio::test]
async fn a_relay_that_is_to_be_warmed_up_gets_the_mails_of_its_plan_and_no_more() {
    let story = Story::with(&[
        ("TIDINGS_DELIVERY__PRETEND", "true"),
        ("TIDINGS_RELAYS__MAIN__URL", "memory:"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP", "12,20"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP_FROM", "2026-01-13"),
    ])
    .await;
    people(&story, &[("example.org", 60)]).await;
    story.campaign(Late::Ask).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.turn_to("2026-01-13T09:00:00Z");
    let mut sent = Vec::new();
    for _ in 0..16 {
        story.run_until_idle(&app).await;
        sent.push(mails.handed().len());
        story.app.wait(SignedDuration::from_hours(3));
    }
    // On the second day they come one after the other, so that at noon half of them are gone; then the plan is over.
    assert_eq!((sent[0], sent[4], sent[5], sent[9], sent[12]), (12, 12, 13, 23, 30), "{sent:?}");
    let edition = story.assert_agrees_with(&log_of(&mails), 60).await;
    assert_eq!(count(&edition, "sent"), 60, "{edition}");
}

#[tokio::test]
async fn a_group_that_puts_mails_off_is_slowed_down_for_all_and_comes_back_when_it_is_quiet() {
    let story = Story::with(&[("TIDINGS_PACE__BIG__DOMAINS", BIG)]).await;
    people(&story, &[(BIG, 60), ("example.org", 60)]).await;
    story.campaign(Late::Ask).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.turn_to("2026-01-13T09:00:00Z");
    story.run_until_idle(&app).await;
    assert_eq!(
        (mails.handed().len(), story.number("SELECT count(*) FROM paces").await),
        (120, 0),
        "nothing is limited, nothing is written"
    );

    mails.answer_with(|mail| match mail.to.ends_with(BIG) {
        true => Answer::Reply(Phase::Rcpt, "451 4.7.500 Server busy".to_owned()),
        false => Answer::Accept,
    });
    story.turn_to("2026-01-20T09:00:00Z");
    story.run_until_idle(&app).await;
    let troubles = "SELECT pace || ' ' || (slowed_to * 2 <= whole) || ' ' || because FROM pace_troubles";
    let because = story.texts(troubles).await;
    assert_eq!(because.len(), 1, "{because:?}");
    assert!(because[0].starts_with("group:big true ") && because[0].contains("451 4.7.500 Server busy"), "{because:?}");
    assert!(app.setup.pace.is_on(), "from now on its mails need permits");

    mails.answer_with(|_| Answer::Accept);
    // Another worker knows of it by the renewal of its lease.
    let other = story.jobs(vec![memory(&mails, 4)]);
    other.setup.pace.heard(true);
    let now = story.app.now() + SignedDuration::from_mins(2);
    other.setup.pace.learn(&mut *story.conn().await, now).await.expect("learned");
    assert!(other.setup.pace.is_on());
    for _ in 0..40 {
        story.app.wait(SignedDuration::from_mins(1));
        story.run_until_idle(&app).await;
    }
    assert_eq!(story.number("SELECT count(*) FROM pace_troubles").await, 0, "quiet for long enough");
    assert!(!app.setup.pace.is_on());
    let edition = story.assert_agrees_with(&log_of(&mails).split_off(120), 120).await;
    assert_eq!((count(&edition, "sent"), &edition["state"]), (120, &"finished".into()), "{edition}");
}

#[tokio::test]
async fn an_operator_sees_every_limit_and_why_a_group_is_slower() {
    let story = Story::with(&[]).await;
    assert!(story.tidings(&["pace"]).await.starts_with("Nothing is limited and nothing backs off"));
    let mut story = story;
    for (key, value) in [
        ("TIDINGS_RELAYS__MAIN__URL", "smtp://relay.example.org"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP", "500,1000"),
        ("TIDINGS_RELAYS__MAIN__WARM_UP_FROM", "2999-12-01"),
        ("TIDINGS_PACE__GMAIL__RATE", "20/s"),
        ("TIDINGS_PACE__GMAIL__CONNECTIONS", "6"),
        ("TIDINGS_PACE__DEFAULT__RATE", "60/m"),
    ] {
        story.set(key, value);
    }
    let slowed =
        "INSERT INTO pace_troubles VALUES ('group:gmail', now(), now(), 1728000, 864000, '12 of the last 50 answers put a mail off')";
    story.tamper(slowed).await;
    let shown = story.tidings(&["pace"]).await;
    for part in ["relay main", "day 1 of 2: 0 of 500", "10/s of 20/s", "0 of 6", "12 of the last 50", "each other domain", "60/m"] {
        let words = part.split(' ').all(|word| shown.contains(word));
        assert!(words, "`{part}` in\n{shown}");
    }
    let shown: Value = serde_json::from_str(&story.tidings(&["pace", "--json"]).await).expect("JSON");
    let gmail = shown.as_array().expect("an array").iter().find(|pace| pace["name"] == "gmail").expect("gmail").clone();
    assert_eq!((&gmail["window"]["limit"], &gmail["backing_off"]["rate"]), (&10.into(), &"10/s".into()), "{gmail}");
}

/// Two workers' paces on one database.
struct Stage {
    story: Story,
}

impl Stage {
    async fn with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = [("TIDINGS_PACE__BIG__DOMAINS", BIG)].into_iter().chain(settings.iter().copied()).collect();
        Self { story: Story::with(&settings).await }
    }

    async fn worker(&self) -> Pace {
        let pace = Pace::new(&self.story.app.config);
        pace.begin(lease::register(&mut *self.story.conn().await, "a worker").await.expect("a worker"));
        pace
    }

    /// So many mails to the provider: leave for some, slots for the others.
    async fn go(&self, pace: &Pace, mails: usize, now: Timestamp) -> (Vec<Pass>, Vec<Timestamp>) {
        let mail = Mail { address: "ana@big.example.com", urgent: false };
        let all = std::iter::repeat_n(mail, mails);
        pace.prepare(&mut *self.story.conn().await, &["main"], all, now, Some(now)).await.expect("asked");
        let (mut went, mut slots) = (Vec::new(), Vec::new());
        for _ in 0..mails {
            match pace.admit("main", mail, now) {
                Admission::Go(pass) => went.push(pass),
                Admission::Later(slot, reason) => {
                    assert_eq!(reason, "pace: big");
                    slots.push(slot);
                }
            }
        }
        (went, slots)
    }
}

fn ms(milliseconds: i64) -> SignedDuration {
    SignedDuration::from_millis(milliseconds)
}

/// Subscribers at these domains, and two tips for them.
async fn people(story: &Story, domains: &[(&str, usize)]) {
    story.tips(3).await;
    let rows: String =
        domains.iter().flat_map(|(domain, many)| (1..=*many).map(move |n| format!("person-{n}@{domain},Person {n}\n"))).collect();
    let path = story.file("people.csv");
    std::fs::write(&path, format!("email,name\n{rows}")).expect("a file");
    story.tidings(&["import", "subscribers", &path.display().to_string(), "--topic", WEEKLY, "--confirmed-because", "a test"]).await;
}
