//! A test mail: marked, inert, counted nowhere, and not for whoever said stop.

use std::time::Duration;

use tidings::audience::suppression::Kind;
use tidings::base::database;
use tidings::delivery::ledger::{claim, lease, mark};
use tidings::delivery::pump::letter::Letters;
use tidings::delivery::relay::MemoryBox;
use tidings::people::erase;
use tidings::people::stop::{self, Scope, Source, Whom};

use super::stage::{IN_THE_LEAD, START, send_test, suppress};
use crate::support::story::{Story, WEEKLY, log_of, memory};

#[tokio::test]
async fn a_test_mail_is_marked_and_counted_nowhere() {
    let story = Story::ready(2, 3).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    send_test(&story, "Look@example.com", None).await.expect("queued");
    story.run_until_idle(&app).await;
    let sent = mails.handed();
    assert_eq!(sent.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["Look@example.com"]);
    let mail = String::from_utf8(sent[0].message.clone()).expect("ASCII");
    assert!(mail.contains("Subject: [Test] ") && mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{mail}");
    assert_eq!(story.editions().await.len(), 0);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 0);
    mails.clear();
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    story.turn_to(START);
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 3).await;
}

#[tokio::test]
async fn it_is_made_as_a_subscriber_would_get_it_next_with_no_link_of_hers() {
    let story = Story::ready(2, 3).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    story.tamper("UPDATE subscribers SET name = 'Marguerite' WHERE id = 2").await;
    story.tamper("INSERT INTO segments_given SELECT 2, segment_id FROM tips WHERE id = 1").await;
    assert_eq!(send_test(&story, "look@example.com", Some(2)).await.expect("queued").tip, Some(2));
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1, "she was given nothing");
    assert_eq!(story.number("SELECT count(*) FROM editions").await, 0);
    story.run_until_idle(&app).await;
    let mail = String::from_utf8(mails.handed()[0].message.clone()).expect("ASCII");
    assert!(mail.contains("Marguerite") && !mail.contains("/preferences/"), "{mail}");
    let kept = story.texts("SELECT context::text FROM deliveries WHERE basis = 'test'").await;
    assert!(!kept[0].contains("Marguerite"), "{kept:?}");
}

#[tokio::test]
async fn its_links_change_nothing() {
    let story = Story::ready(1, 1).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    send_test(&story, "look@example.com", Some(1)).await.expect("queued");
    story.run_until_idle(&app).await;
    let mail = String::from_utf8(mails.handed()[0].message.clone()).expect("ASCII").replace("\r\n ", "").replace("=\r\n", "");
    let token =
        mail.split("https://tips.example.org/u/").nth(1).and_then(|rest| rest.split(['>', '"', '\r']).next()).expect("a link").to_owned();
    let keyring = &story.app.keyring;
    assert!(tidings::base::token::verify_unsubscribe(keyring, &token).is_none());
    assert!(tidings::base::token::verify_id(keyring, tidings::base::token::Purpose::Test, &token).is_some(), "{token}");
}

#[tokio::test]
async fn who_said_stop_gets_no_test_either() {
    let story = Story::ready(1, 2).await;
    suppress(&story, "look@example.com").await;
    let refused = async |to: &str| send_test(&story, to, None).await.expect_err("a stop").to_string();
    assert!(refused("LOOK@example.com").await.contains("not mailed, not even a test: suppressed, manual"));
    story.tamper("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 2").await;
    assert!(refused("person-2@example.org").await.contains("unsubscribed from its topic"));
    assert_eq!(story.number("SELECT count(*) FROM deliveries").await, 0);
}

#[tokio::test]
async fn the_command_says_what_it_queued_and_whether_a_worker_is_there() {
    let story = Story::ready(1, 1).await;
    let test = |more: &[&'static str]| [&["campaign", "test", WEEKLY, "--to"], more].concat();
    let said = story.tidings(&test(&["look@example.com", "--as", "person-1@example.org"])).await;
    assert!(said.contains("“[Test] ") && said.contains("no worker is running"), "{said}");
    assert!(story.tidings_refuses(&test(&["no address"])).await.contains("no address"));
    assert!(story.tidings_refuses(&test(&["look@example.com", "--as", "7"])).await.contains("there is no subscriber 7"));
    story.tamper("UPDATE tips SET state = 'draft'").await;
    assert!(story.tidings_refuses(&test(&["look@example.com"])).await.contains("no tip of its series is approved"));
}

#[tokio::test]
async fn a_stop_between_the_queue_and_the_hand_over_holds() {
    let story = Story::ready(1, 1).await;
    let mails = MemoryBox::default();
    send_test(&story, "look@example.com", None).await.expect("queued");
    suppress(&story, "look@example.com").await;
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    assert_eq!(mails.handed().len(), 0);
    assert_eq!(story.texts("SELECT reason FROM deliveries WHERE basis = 'test'").await, ["the address said stop"]);
}

#[tokio::test]
async fn no_stop_lets_a_test_be_marked_that_was_claimed_before() {
    for kind in ["topic", "everything", "complaint", "erasure"] {
        let mut story = Story::ready(1, 2).await;
        story.app.may_leave_work();
        send_test(&story, "Person-2@Example.org", None).await.expect("queued");
        send_test(&story, "person-1@example.org", None).await.expect("queued");
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        let mut conn = story.conn().await;
        let worker = lease::register(&mut conn, "one").await.expect("a worker");
        let taken = claim::transactional(&mut conn, worker, now, 10).await.expect("a claim").taken;
        match kind {
            "topic" => stop::unsubscribe(pool, keyring, 2, Scope::Topic(1), Source::Page, now).await.map(drop),
            "everything" => stop::unsubscribe(pool, keyring, 2, Scope::Everything, Source::Page, now).await.map(drop),
            "complaint" => {
                let whom = Whom::Subscriber(2);
                stop::suppress(pool, keyring, whom, Kind::Complaint, "a test", Source::Operator, now).await.map(drop)
            }
            _ => erase::erase(pool, keyring, 2, Source::Operator, now).await.map(drop),
        }
        .expect("a stop");
        let marks: Vec<mark::Mark> = taken.iter().map(|mail| mark::Mark { key: mail.key, fence: mail.fence }).collect();
        let hour = Duration::from_secs(3_600);
        let marked = mark::Writer::new(worker, hour).write(&mut conn, now, &[], &marks).await.expect("marks");
        assert_eq!((taken.len(), marked.len()), (2, 1), "{kind}");
        let rows = story.texts("SELECT concat_ws(' ', state, reason) FROM deliveries ORDER BY id").await;
        assert_eq!(rows, ["skipped the address said stop", "handing_over"], "{kind}");
    }
}

#[tokio::test]
async fn who_left_its_topic_since_it_was_queued_gets_none() {
    let story = Story::ready(1, 2).await;
    let mails = MemoryBox::default();
    send_test(&story, "person-2@example.org", None).await.expect("queued");
    // As it is between the two commits of a leaving.
    story.tamper("UPDATE subscriptions SET standing = 'unsubscribed' WHERE subscriber_id = 2").await;
    story.run_until_idle(&story.jobs(vec![memory(&mails, 1)])).await;
    assert_eq!(mails.handed().len(), 0);
    assert_eq!(story.texts("SELECT reason FROM deliveries WHERE basis = 'test'").await, ["render error: the address said stop"]);
}

#[tokio::test]
async fn a_test_is_made_with_one_connection_to_the_database() {
    let mut story = Story::ready(1, 1).await;
    story.app.may_leave_work();
    send_test(&story, "look@example.com", Some(1)).await.expect("queued");
    let taken = {
        let mut conn = story.conn().await;
        let worker = lease::register(&mut conn, "one").await.expect("a worker");
        claim::transactional(&mut conn, worker, story.app.now(), 10).await.expect("a claim").taken
    };
    let url = story.app.database_url().to_owned();
    story.app.db = database::connect(&url, 1).await.expect("a database");
    let letters = Letters::new(story.jobs(Vec::new()).setup.clone());
    let ready = tokio::time::timeout(Duration::from_secs(20), letters.ready(&taken[0])).await.expect("no wait");
    let made = letters.make(&ready.expect("all that it is made of"));
    assert!(String::from_utf8_lossy(&made.expect("a mail").bytes).contains("Subject: [Test] "));
}
