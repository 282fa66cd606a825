//! A notice whose answer was lost is handed over once more by itself, and no third time; a tip and what came too late are not.

use std::time::Duration;

use serde_json::json;
use tidings::delivery::Key;
use tidings::delivery::ledger::claim;
use tidings::delivery::ledger::lease;
use tidings::delivery::ledger::mark::{self, Ending, Mark, Record};
use tidings::delivery::relay::Answer;
use tidings::delivery::transactional::Basis;

use super::{Scene, confirmation};

const LEASE: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_confirmation_without_an_answer_is_handed_over_once_more_and_never_a_third_time() {
    let scene = Scene::new().await;
    scene.answer_with(Answer::LoseAfterBody(true));
    let key = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    let first_at = scene.story.app.now();
    scene.work().await;

    let ids: Vec<String> = scene.mails.handed().into_iter().map(|mail| mail.message_id).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "twice, under one Message-ID: {ids:?}");
    let (state, reason) = scene.state(key).await;
    assert_eq!((state.as_str(), reason.contains("no answer after the body began")), ("unconfirmed", true), "{reason}");
    assert_eq!(scene.count(key, "attempts = 2 AND repeated_at IS NOT NULL").await, 1);
    scene.story.app.wait(jiff::SignedDuration::from_hours(1));
    scene.work().await;
    assert_eq!(scene.mails.handed().len(), 2);
    let marks = format!("SELECT count(*) FROM transactional WHERE delivery_id = {} AND handed_over_at = '{first_at}'", key.id);
    assert_eq!(scene.story.number(&marks).await, 1, "its owner reads the first hand-over");
    let refused = scene.story.tidings_refuses(&["delivery", "resolve", &key.id.to_string(), "again"]).await;
    assert!(refused.contains("once already"), "{refused}");
}

#[tokio::test]
async fn each_mail_of_a_waitlist_without_an_answer_is_handed_over_once_more_and_not_twice_and_says_the_same() {
    for (template, more) in [
        ("joined", json!({ "place": 7 })),
        ("offer", json!({ "mode": "offers", "offer_for_seconds": 3600, "ends": null })),
        ("offer_reminder", json!({ "mode": "offers", "expires": "2026-01-14T09:00:00Z" })),
        ("expired", json!({ "then": "back" })),
        ("accepted", json!({ "next_text": "Come.", "next_link": null })),
        ("closed", json!({})),
    ] {
        let scene = Scene::new().await;
        scene.answer_with(Answer::LoseAfterBody(true));
        let mut frozen = json!({ "program": "Autumn course", "slug": "course", "entry": 41, "zone": null, "offer": 43, "opening": 1 });
        frozen.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let key = scene.enqueue(template, Basis::Waitlist, frozen, &scene.later(48)).await;
        scene.work().await;
        scene.story.app.wait(jiff::SignedDuration::from_hours(1));
        scene.work().await;
        let handed = scene.mails.handed();
        assert!(handed.len() == 2 && handed[0].message_id == handed[1].message_id, "{template}: {}", handed.len());
        let [first, second] = [0, 1].map(|n| super::mail::Mail::read(&handed[n].message));
        assert_eq!((first.subject(), first.text, first.html), (second.subject(), second.text, second.html));
        assert_eq!((scene.state(key).await.0.as_str(), scene.count(key, "attempts = 2").await), ("unconfirmed", 1), "{template}");
    }
}

#[tokio::test]
async fn a_second_hand_over_that_is_answered_ends_it_well() {
    for (template, basis, context) in
        [("preferences_link", Basis::Preferences, json!({})), ("confirmation", Basis::Waitlist, confirmation())]
    {
        let scene = Scene::new().await;
        let mut lost = false;
        scene.mails.answer_with(move |_| match std::mem::replace(&mut lost, true) {
            false => Answer::LoseAfterBody(false),
            true => Answer::Accept,
        });
        let key = scene.enqueue(template, basis, context, &scene.later(48)).await;
        scene.work().await;
        assert_eq!((scene.state(key).await.0.as_str(), scene.mails.handed().len()), ("sent", 1), "{basis:?}");
        assert_eq!(scene.count(key, "repeated_at IS NOT NULL AND reason IS NULL").await, 1, "{basis:?}");
    }
}

#[tokio::test]
async fn a_welcome_and_a_tip_wait_for_an_operators_word() {
    let scene = Scene::new().await;
    scene.answer_with(Answer::LoseAfterBody(true));
    let key = scene.enqueue("welcome", Basis::Topic, json!({ "topics": ["Back care"] }), &scene.later(48)).await;
    scene.work().await;
    assert_eq!((scene.state(key).await.0.as_str(), scene.mails.handed().len()), ("unconfirmed", 1));
    assert_eq!(scene.count(key, "repeated_at IS NULL").await, 1);
}

#[tokio::test]
async fn what_a_dead_worker_was_handing_over_is_repeated_once_by_its_basis() {
    let scene = Scene::new().await;
    let asked = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    let welcome = scene.enqueue("welcome", Basis::Topic, json!({ "topics": ["Back care"] }), &scene.later(48)).await;
    scene.die_handing_over(2).await;
    assert_eq!((scene.state(asked).await.0.as_str(), scene.state(welcome).await.0.as_str()), ("queued", "unconfirmed"));
    assert_eq!(scene.count(asked, "repeated_at IS NOT NULL AND finished_at IS NULL AND attempts = 1").await, 1);

    scene.die_handing_over(1).await;
    assert_eq!(scene.state(asked).await.0, "unconfirmed", "once is once, whoever died");
    scene.work().await;
    assert!(scene.mails.handed().is_empty());
}

#[tokio::test]
async fn what_is_no_longer_worth_sending_is_not_repeated() {
    let scene = Scene::new().await;
    let key = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    let (worker, fence) = scene.begin_hand_over(key).await;
    scene.story.app.wait(jiff::SignedDuration::from_hours(48));
    scene.record(worker, key, fence, Ending::Unconfirmed).await;
    assert_eq!(scene.state(key).await.0, "unconfirmed");

    let died = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    scene.begin_hand_over(died).await;
    scene.story.app.wait(jiff::SignedDuration::from_hours(48));
    scene.bury().await;
    assert_eq!(scene.state(died).await.0, "unconfirmed");
    assert_eq!(scene.story.number("SELECT count(*) FROM deliveries WHERE repeated_at IS NOT NULL").await, 0);
    scene.work().await;
    assert!(scene.mails.handed().is_empty());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_second_hand_over_makes_it_needless() {
    let scene = Scene::new().await;
    let key = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    let (worker, fence) = scene.begin_hand_over(key).await;
    scene.bury().await;
    assert_eq!(scene.state(key).await.0, "queued");
    scene.record(worker, key, fence, Ending::Sent).await;
    assert_eq!(scene.state(key).await.0, "sent");
    scene.work().await;
    assert!(scene.mails.handed().is_empty(), "it is not mailed twice");
}

#[tokio::test]
async fn an_answer_that_comes_after_an_operators_word_makes_that_needless_too() {
    let scene = Scene::new().await;
    let key = scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    let (worker, fence) = scene.begin_hand_over(key).await;
    scene.story.app.wait(jiff::SignedDuration::from_hours(48));
    scene.bury().await;
    assert_eq!(scene.state(key).await.0, "unconfirmed");
    scene.story.tidings(&["delivery", "resolve", &key.id.to_string(), "again"]).await;
    assert_eq!(scene.state(key).await.0, "queued");
    // The worker was halted and not dead, and reads the relay's answer now.
    scene.record(worker, key, fence, Ending::Sent).await;
    assert_eq!(scene.state(key).await.0, "sent");
    scene.work().await;
    assert!(scene.mails.handed().is_empty(), "it is not mailed twice");
}

impl Scene {
    async fn count(&self, key: Key, condition: &str) -> i64 {
        self.story.number(&format!("SELECT count(*) FROM deliveries WHERE id = {} AND {condition}", key.id)).await
    }

    /// Claims and marks everything that is due, and dies.
    async fn die_handing_over(&self, due: usize) {
        let mut conn = self.story.conn().await;
        let worker = lease::register(&mut conn, "dying").await.expect("a worker");
        let now = self.story.app.now();
        let taken = claim::transactional(&mut conn, worker, now, 10).await.expect("a claim").taken;
        let marks: Vec<Mark> = taken.iter().map(|claimed| Mark { key: claimed.key, fence: claimed.fence }).collect();
        assert_eq!(mark::Writer::new(worker, LEASE).write(&mut conn, now, &[], &marks).await.expect("marks").len(), due);
        self.bury().await;
    }

    /// A worker that claims and marks `key`: who it is, and the fence of its answer.
    async fn begin_hand_over(&self, key: Key) -> (i64, i32) {
        let mut conn = self.story.conn().await;
        let worker = lease::register(&mut conn, "handing over").await.expect("a worker");
        let now = self.story.app.now();
        let taken = claim::transactional(&mut conn, worker, now, 10).await.expect("a claim").taken;
        let marks = [Mark { key, fence: taken.iter().find(|claimed| claimed.key == key).expect("it is due").fence }];
        (worker, mark::Writer::new(worker, LEASE).write(&mut conn, now, &[], &marks).await.expect("a mark")[&key])
    }

    async fn bury(&self) {
        self.story.tamper("UPDATE workers SET seen_at = seen_at - interval '1 day' WHERE gone_at IS NULL").await;
        lease::bury(&mut *self.story.conn().await, LEASE, self.story.app.now()).await.expect("a burial");
    }

    async fn record(&self, worker: i64, key: Key, fence: i32, ending: Ending) {
        let reason = (ending == Ending::Unconfirmed).then(|| "no answer after the body began".to_owned());
        let record = Record { key, edition_id: None, fence, ending, reason, reply: None, pause: None };
        let now = self.story.app.now();
        mark::Writer::new(worker, LEASE).write(&mut *self.story.conn().await, now, &[record], &[]).await.expect("a record");
    }
}
