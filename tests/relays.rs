//! Several relays: weights, priorities, pins, one that goes down and comes back; and what pauses a campaign or holds a worker back.
//!
//! Each story closes with the ledger against the logs of all relays.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidings::base::clock::{Clock, SystemClock};
use tidings::campaigns::campaign;
use tidings::delivery::pump::Outlet;
use tidings::delivery::relay::{Answer, MemoryBox, Relay};
use tidings::delivery::reply::Phase;
use tidings::delivery::transactional::{self, Basis, Transactional};
use tidings::jobs::App;
use tokio::time::Instant;

use crate::support::door::Door;
use crate::support::relay::{Act, FaultyRelay, Offer, Point};
use crate::support::story::{Story, WEEKLY, count, log_of, smtp};
use crate::support::{Worker, until};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_thousand_mails_go_to_two_relays_by_their_weights() {
    let story = Story::ready(1, 1_000).await;
    let (heavy, light) = (MemoryBox::default(), MemoryBox::default());
    let outlets = vec![Outlet { weight: 3, ..to("heavy", &heavy, 4) }, to("light", &light, 4)];
    story.run_edition().await;
    story.run_until_idle(&story.jobs(outlets)).await;
    story.assert_agrees_with(&both(&log_of(&heavy), &log_of(&light)), 1_000).await;
    let share = heavy.handed().len();
    assert!((675..=825).contains(&share), "three quarters: {share}");
}

#[tokio::test]
async fn a_relay_that_hardly_takes_anything_keeps_no_other_of_its_priority_waiting() {
    let story = Story::ready(1, 1_500).await;
    let quick = FaultyRelay::start().await;
    let slow = FaultyRelay::start().await;
    slow.behave(|seen| if seen.point == Point::Dot { Act::Wait(Duration::from_millis(700)) } else { Act::Go });
    let outlets = vec![named("quick", smtp(&quick.url(), 4)), named("slow", smtp(&slow.url(), 2))];
    story.run_edition().await;
    let begun = Instant::now();
    story.run_until_idle(&story.jobs(outlets)).await;
    story.assert_agrees_with(&both(&quick.accepted(), &slow.accepted()), 1_500).await;
    // By their weights alone it would have had 750, for four minutes.
    assert!(slow.sums().0 < 300 && begun.elapsed() < Duration::from_secs(55), "{} in {:?}", slow.sums().0, begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_by_takes_over_while_the_first_relay_is_down_and_hands_back() {
    let (first, second) = (near().await, near().await);
    let mut door = Door::new().await;
    door.open(first.address).await;
    let mut story = Story::new().await;
    story.app.may_leave_work();
    for (key, value) in [
        ("TIDINGS_RELAYS__FIRST__URL", format!("smtp://{}?tls=none", door.address())),
        ("TIDINGS_RELAYS__SECOND__URL", second.url()),
        ("TIDINGS_RELAYS__SECOND__PRIORITY", "1".to_owned()),
        ("TIDINGS_RELAYS__FIRST__CONNECTIONS", "3".to_owned()),
        ("TIDINGS_RELAYS__SECOND__CONNECTIONS", "3".to_owned()),
    ] {
        story.set(key, &value);
    }
    begin(&story, 2_500).await;
    let mut worker = story.worker(&[]);
    until("the first relay has some", || first.sums().0 >= 300).await;
    assert_eq!(second.bodies().len(), 0, "the second stands by");
    door.shut().await;
    until("the second takes over", || second.sums().0 >= 300).await;
    let shown = story.tidings(&["relay", "list"]).await;
    assert!(shown.contains("down since") && shown.contains("first") && shown.contains("cannot be reached"), "{shown}");
    let listed: Value = serde_json::from_str(&story.tidings(&["relay", "list", "--json"]).await).expect("JSON");
    assert_eq!((&listed[0]["up"], &listed[1]["up"]), (&json!(false), &json!(true)), "{listed}");
    let shown = story.tidings(&["campaign", "show", WEEKLY]).await;
    assert!(shown.contains("`first` is down"), "{shown}");
    let before = first.sums().0;
    door.open(first.address).await;
    until("the first is used again", || first.sums().0 >= before + 300).await;
    let edition = finished(&story).await;
    let doubted = count(&edition, "unconfirmed");
    story.assert_agrees_with(&both(&first.accepted(), &second.accepted()), 2_500).await;
    assert!(doubted <= 3 && count(&edition, "sent") + doubted == 2_500, "{edition}");
    let said = worker.said();
    let times = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    assert_eq!((times("tried again until it answers"), times("the relay answers again")), (1, 1), "{said}");
    assert!(story.tidings(&["relay", "list"]).await.matches("down since").next().is_none());
    end(&mut worker).await;
}

#[tokio::test]
async fn a_pinned_topic_waits_for_its_relay_and_the_others_mail_goes_on() {
    let story = Story::ready(2, 40).await;
    let slug = story.texts("SELECT slug FROM topics").await.remove(0);
    let (own, other) = (FaultyRelay::start().await, MemoryBox::default());
    let mut door = Door::new().await;
    let pinned = |fall_back| {
        let own = smtp(&format!("smtp://{}?tls=none", door.address()), 2);
        vec![Outlet { topics: vec![slug.clone()], fall_back, ..named("own", own) }, to("other", &other, 2)]
    };
    let (waiting, falling_back) = (pinned(false), pinned(true));
    story.run_edition().await;
    let app = story.jobs(waiting);
    let working = tokio::spawn(run(app));
    notice(&story, "waits", &story.app.now()).await;
    until("the notice is mailed through the other", || other.handed().len() == 1).await;
    until_down(&story).await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE edition_id IS NOT NULL AND state = 'sent'").await, 0);
    door.open(own.address).await;
    working.await.expect("no panic");
    story.assert_agrees_with(&own.accepted(), 40).await;
    assert_eq!(other.handed().len(), 1, "nothing of the topic");

    door.shut().await;
    other.clear();
    story.app.wait(SignedDuration::from_hours(24 * 7));
    story.run_edition().await;
    story.run_until_idle(&story.jobs(falling_back)).await;
    story.assert_agrees_with(&log_of(&other), 40).await;
    assert_eq!(own.bodies().len(), 40, "those of the week before");
}

#[tokio::test]
async fn a_relay_that_refuses_our_login_is_passed_by_while_another_takes_the_mail() {
    let story = Story::ready(1, 60).await;
    let strict = FaultyRelay::with(Offer { login: Some(("sender", "right")), ..Offer::default() }).await;
    let open = FaultyRelay::start().await;
    let wrong = smtp(&strict.url().replace("smtp://", "smtp://sender:wrong@"), 3);
    story.run_edition().await;
    story.run_until_idle(&story.jobs(vec![named("strict", wrong), named("open", smtp(&open.url(), 3))])).await;
    let edition = story.assert_agrees_with(&open.accepted(), 60).await;
    assert_eq!((count(&edition, "sent"), strict.bodies().len()), (60, 0), "{edition}");
}

#[tokio::test]
async fn a_relay_that_says_it_takes_nothing_gets_one_mail_at_a_time_until_it_does() {
    let story = Story::ready(1, 200).await;
    let relay = FaultyRelay::start().await;
    relay.behave(|seen| if seen.point == Point::Dot { Act::from("452 4.3.1 no space left") } else { Act::Go });
    story.run_edition().await;
    let working = tokio::spawn(run(story.jobs(vec![smtp(&relay.url(), 4)])));
    until_down(&story).await;
    let tried = relay.bodies().len();
    assert!((20..=45).contains(&tried), "half of the last twenty or more: {tried}");
    until("it was tried again", || relay.bodies().len() > tried).await;
    let shown = story.tidings(&["campaign", "report", WEEKLY]).await;
    assert!(shown.contains("`main` is down") && shown.contains("452 4.3.1"), "{shown}");
    relay.behave_well();
    working.await.expect("no panic");
    let edition = story.report().await;
    let deferred = relay.bodies().len() - relay.sums().0;
    assert_eq!(count(&edition, "sent") as usize, 200 - deferred, "each that it took first is put off, the others went: {edition}");
    assert!(deferred < 60, "{deferred}");
    story.app.wait(SignedDuration::from_hours(5));
    story.run_until_idle(&story.jobs(vec![smtp(&relay.url(), 4)])).await;
    story.assert_agrees_with(&relay.accepted(), 200).await;
}

#[tokio::test]
async fn an_edition_that_fails_too_often_is_paused_says_why_and_goes_on_when_it_is_resumed() {
    let story = Story::ready(1, 600).await;
    let mails = MemoryBox::default();
    mails.answer_with(|mail| match mail.to.contains('3') {
        true => Answer::Reply(Phase::Rcpt, "550 5.7.1 we do not want this".to_owned()),
        false => Answer::Accept,
    });
    let app = story.jobs(vec![to("main", &mails, 4)]);
    story.run_edition().await;
    story.run_until_idle(&app).await;
    // The campaign follows its edition with the next sweep.
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    let (failed, sent) = (count(&edition, "failed"), count(&edition, "sent"));
    assert!(edition["state"] == "paused" && (100..400).contains(&(failed + sent)), "{edition}");
    for shown in [story.tidings(&["campaign", "show", WEEKLY]).await, story.tidings(&["campaign", "list"]).await] {
        let shown = shown.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).collect::<Vec<_>>().join(" ");
        assert!(shown.contains("campaign resume") && shown.contains("delivery.failure_rate") && shown.contains("5.7.1"), "{shown}");
    }
    mails.answer_with(|_| Answer::Accept);
    campaign::resume(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("resumed");
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 600).await;
    assert_eq!((count(&edition, "failed"), count(&edition, "sent")), (failed, 600 - failed), "{edition}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_is_asked_for_less_at_once_and_said_so() {
    let relay = FaultyRelay::start().await;
    let mut story = Story::new().await;
    story.app.may_leave_work();
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    story.set("TIDINGS_DELIVERY__SLOW_DATABASE", "200ms");
    begin(&story, 400).await;
    story.tamper("CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$").await;
    story.tamper("CREATE TRIGGER slowly AFTER UPDATE ON deliveries FOR EACH STATEMENT EXECUTE FUNCTION slowly()").await;
    let mut worker = story.worker(&[]);
    until("it says that the database is slow", || worker.said().contains("the database is slow")).await;
    story.tamper("DROP TRIGGER slowly ON deliveries").await;
    until("it says that it is quick again", || worker.said().contains("the database is quick again")).await;
    let edition = finished(&story).await;
    story.assert_agrees_with(&relay.accepted(), 400).await;
    assert_eq!(count(&edition, "sent"), 400, "{edition}");
    end(&mut worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_somebody_waits_for_leaves_within_two_seconds_in_the_middle_of_a_big_edition() {
    let relay = FaultyRelay::with(Offer { latency: Duration::from_millis(50), ..Offer::default() }).await;
    let mut story = Story::new().await;
    story.app.may_leave_work();
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    begin(&story, 3_000).await;
    let mut worker = story.worker(&[]);
    until("the edition is under way", || relay.sums().0 >= 60).await;
    let to = story.texts("SELECT address FROM subscribers ORDER BY id LIMIT 1").await.remove(0);
    let mut took = Vec::new();
    for i in 0..10 {
        let before = notices(&relay, &to);
        let committed = Instant::now();
        notice(&story, &format!("number {i}"), &SystemClock.now()).await;
        until("it is handed over", || notices(&relay, &to) > before).await;
        took.push(committed.elapsed());
    }
    let sent = relay.sums().0;
    assert!(sent < 3_000, "the edition was under way all the time: {sent}");
    assert!(took.iter().all(|took| *took <= Duration::from_secs(2)), "{took:?}");
    worker.terminate();
    assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_worker_at_once() {
    let relay = FaultyRelay::start().await;
    relay.behave(|seen| if seen.point == Point::Dot { Act::Silence } else { Act::Go });
    let mut story = Story::new().await;
    story.app.may_leave_work();
    story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
    begin(&story, 30).await;
    let mut worker = story.worker(&[]);
    until("a body is on its way", || !relay.bodies().is_empty()).await;
    worker.terminate();
    until("it says that it ends", || worker.said().contains("a second signal ends at once")).await;
    assert!(!worker.has_ended(), "what is in flight may finish");
    let asked = Instant::now();
    worker.terminate();
    let status = worker.ends_within(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(130), "{}", worker.said());
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
}

/// A memory relay by its name.
fn to(name: &str, mails: &MemoryBox, connections: u16) -> Outlet {
    Outlet::new(name, Relay::memory(mails), connections)
}

fn named(name: &str, outlet: Outlet) -> Outlet {
    Outlet { name: name.to_owned(), ..outlet }
}

fn both(one: &[(String, String)], other: &[(String, String)]) -> Vec<(String, String)> {
    [one, other].concat()
}

/// A relay a few milliseconds away.
async fn near() -> FaultyRelay {
    FaultyRelay::with(Offer { latency: Duration::from_millis(4), ..Offer::default() }).await
}

/// An edition that is due now, for processes.
async fn begin(story: &Story, recipients: usize) {
    story.tips(1).await;
    story.subscribers(recipients).await;
    story.tidings(&["campaign", "create", "weekly", WEEKLY, "--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"]).await;
    story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
}

/// The report of the edition when it is finished.
async fn finished(story: &Story) -> Value {
    let ends = async {
        loop {
            let edition = story.report().await;
            if edition["state"] == "finished" {
                return edition;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ends).await.expect("the edition ends")
}

async fn end(worker: &mut Worker) {
    worker.terminate();
    assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
}

async fn run(app: Arc<App>) {
    let (_stop, told) = tokio::sync::watch::channel(false);
    let work = tokio::time::timeout(PATIENCE, tidings::jobs::run_until_idle(app, told));
    work.await.expect("idle within a minute").expect("work that ends well");
}

/// Until a worker has told that a relay is out.
async fn until_down(story: &Story) {
    let told = async { while story.number("SELECT count(*) FROM relay_outages").await == 0 {} };
    tokio::time::timeout(PATIENCE, told).await.expect("a worker tells that a relay is out");
}

/// A mail to the first subscriber that belongs to no edition, committed when this returns.
async fn notice(story: &Story, owner: &str, now: &jiff::Timestamp) {
    let subscriber_id = story.number("SELECT min(id) FROM subscribers").await;
    let mail = Transactional {
        owner,
        kind: "preferences_link",
        subscriber_id,
        basis: Basis::Preferences,
        topic_id: None,
        tip: None,
        template: "preferences_link",
        context: json!({}),
        due_at: *now,
        valid_until: *now + SignedDuration::from_hours(48),
    };
    transactional::enqueue(&mut *story.conn().await, &mail, *now).await.expect("a row").expect("the first of its owner");
}

// She has one tip; whatever else she gets is a notice.
fn notices(relay: &FaultyRelay, address: &str) -> usize {
    relay.accepted().iter().filter(|(_, to)| to == address).count()
}
