//! A test mail: marked, inert, counted nowhere, and not for whoever said stop.

use tidings::delivery::relay::MemoryBox;

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
    assert_eq!(story.texts("SELECT reason FROM deliveries WHERE basis = 'test'").await, ["render error: the address said stop"]);
}
