//! Who leaves an edition that pre-flight holds, and takes it back before or after it is planned anew: nobody is lost, nobody is there twice.

use tidings::campaigns::edition;
use tidings::campaigns::states::Late;
use tidings::delivery::relay::MemoryBox;
use tidings::people::stop::{self, Scope, Source, Undone};

use super::stage::{IN_THE_LEAD, START, held, spoil_address, tip_that_fails};
use crate::broadcast::stage::{broadcast_at, subscribed, waiting};
use crate::support::story::{Story, WEEKLY, assert_adds_up, count, log_of, memory};

#[tokio::test]
async fn who_left_before_a_release_may_take_it_back_after_it_and_gets_the_words_of_now() {
    for scope in [Scope::Topic(1), Scope::Everything] {
        let story = Story::ready(1, 6).await;
        let mails = MemoryBox::default();
        let app = story.jobs(vec![memory(&mails, 1)]);
        tip_that_fails(&story, 1).await;
        story.turn_to(IN_THE_LEAD);
        story.run_until_idle(&app).await;
        assert!(held(&story).await.contains("placeholder (6)"));
        leave(&story, &[3, 4], scope).await;
        assert_eq!(take_back(&story, 4).await, Undone::Lifted { scope, queued: 1 });
        story.tidings(&["tip", "edit", "1", "--subject", "A better subject"]).await;
        story.tamper("UPDATE tip_revisions SET markdown = 'Look after the kettle.' WHERE id = (SELECT max(id) FROM tip_revisions)").await;
        release(&story).await;
        story.run_until_idle(&app).await;
        let planned = story.report().await;
        assert_adds_up(&planned);
        let numbers = [planned["planned"].as_u64().expect("planned"), count(&planned, "skipped"), count(&planned, "to_do")];
        assert_eq!(numbers, [6, 1, 5], "{planned}");
        assert_eq!(take_back(&story, 3).await, Undone::Lifted { scope, queued: 1 });
        story.turn_to(START);
        story.run_until_idle(&app).await;
        assert_eq!(count(&story.assert_agrees_with(&log_of(&mails), 6).await, "sent"), 6);
        let better =
            mails.handed().iter().filter(|mail| String::from_utf8_lossy(&mail.message).contains("Subject: A better subject")).count();
        assert_eq!((better, story.number("SELECT count(*) FROM segments_given").await), (6, 6));
    }
}

#[tokio::test]
async fn who_comes_back_between_a_release_and_the_planning_has_one_row_and_is_counted_once() {
    let story = Story::ready(1, 6).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    spoil_address(&story, 2).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    held(&story).await;
    leave(&story, &[3, 4, 5], Scope::Topic(1)).await;
    spoil_no_more(&story).await;
    release(&story).await;
    let begun = story.report().await;
    assert_adds_up(&begun);
    assert_eq!((begun["planned"].as_u64(), count(&begun, "skipped")), (None, 3), "{begun}");
    assert_eq!(take_back(&story, 3).await, Undone::Lifted { scope: Scope::Topic(1), queued: 1 });
    // As if she had confirmed anew: what she had left stays left.
    story.tamper("UPDATE subscriptions SET standing = 'confirmed' WHERE subscriber_id = 4").await;
    story.run_until_idle(&app).await;
    story.turn_to(START);
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 6).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "skipped")), (4, 2), "{edition}");
}

#[tokio::test]
async fn a_tip_that_was_retired_meanwhile_comes_back_to_nobody() {
    let story = Story::ready(2, 4).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 1)]);
    tip_that_fails(&story, 1).await;
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    held(&story).await;
    leave(&story, &[3], Scope::Topic(1)).await;
    story.tidings(&["tip", "retire", "1"]).await;
    release(&story).await;
    story.run_until_idle(&app).await;
    assert_eq!(take_back(&story, 3).await, Undone::Lifted { scope: Scope::Topic(1), queued: 0 });
    story.turn_to(START);
    story.run_until_idle(&app).await;
    assert_eq!(count(&story.assert_agrees_with(&log_of(&mails), 3).await, "sent"), 3);
}

#[tokio::test]
async fn the_same_holds_for_a_broadcast() {
    of_a_broadcast(subscribed(5).await, "topic:weekly").await;
}

#[tokio::test]
async fn the_same_holds_for_a_broadcast_to_a_waitlist() {
    of_a_broadcast(waiting(5).await, "waitlist:course").await;
}

// Three leave; one comes back before the release, one before the planning, one after it.
async fn of_a_broadcast(story: Story, to: &str) {
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    spoil_address(&story, 2).await;
    broadcast_at(&story, to, Some(START), Late::Ask).await;
    story.turn_to(START);
    story.run_until_idle(&app).await;
    held(&story).await;
    leave(&story, &[3, 4, 5], Scope::Everything).await;
    let lifted = Undone::Lifted { scope: Scope::Everything, queued: 1 };
    assert_eq!(take_back(&story, 5).await, lifted);
    spoil_no_more(&story).await;
    release(&story).await;
    assert_adds_up(&story.report().await);
    assert_eq!(take_back(&story, 4).await, lifted);
    story.run_until_idle(&app).await;
    let edition = story.report().await;
    assert_adds_up(&edition);
    assert_eq!((count(&edition, "sent"), count(&edition, "skipped")), (4, 1), "{edition}");
    assert_eq!(take_back(&story, 3).await, lifted);
    story.run_until_idle(&app).await;
    assert_eq!(count(&story.assert_agrees_with(&log_of(&mails), 5).await, "sent"), 5);
}

async fn leave(story: &Story, people: &[i64], scope: Scope) {
    for id in people {
        let (pool, keyring, now) = (&story.app.db.pool, &story.app.keyring, story.app.now());
        assert_eq!(stop::unsubscribe(pool, keyring, *id, scope, Source::Page, now).await.expect("a stop").skipped, 1);
    }
}

async fn take_back(story: &Story, id: i64) -> Undone {
    stop::undo(&story.app.db.pool, id, 1, story.app.now()).await.expect("an answer")
}

async fn release(story: &Story) {
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    let lost = "SELECT counted - (SELECT count(*) FROM deliveries WHERE edition_id = editions.id) FROM editions WHERE planned IS NULL";
    assert_eq!(story.number(lost).await, 0, "who keeps her row is counted, and nobody else");
}

async fn spoil_no_more(story: &Story) {
    story.tamper("UPDATE subscribers SET address = address_key WHERE id = 2").await;
}
