//! Where a person is in each series and what comes next: told before it is planned, while it waits and when nothing comes; and
//! what is told is what happens.

use super::{FIRST, SECOND, change, due};
use crate::campaigns::story::Story;
use tidings::campaigns::outlook::{self, Coming};
use tidings::people::preferences::Change;

async fn coming(story: &Story, subscriber: i64) -> Coming {
    let mut all = outlook::next_for(&mut *story.conn().await, subscriber, story.app.now()).await.expect("an outlook");
    assert_eq!(all.len(), 1, "one campaign");
    all.remove(0)
}

fn told(coming: &Coming) -> String {
    let at = coming.next_at.map(|at| at.strftime("%d %H:%M").to_string());
    format!(
        "{} of {}: {} {} {}",
        coming.had,
        coming.approved,
        coming.next_subject.as_deref().unwrap_or("-"),
        at.as_deref().unwrap_or("-"),
        coming.why_not.as_deref().unwrap_or("")
    )
    .trim_end()
    .to_owned()
}

#[tokio::test]
async fn what_is_told_beforehand_is_what_is_planned_and_sent() {
    let story = Story::new(3).await;
    for (name, set) in [
        ("a", ""),
        ("b", "zone = 'Asia/Tokyo', hour = 7"),
        ("c", "weekday = 1, hour = 8"),
        ("d", "stage_date = '2026-01-01'"),
        ("e", "paused_until = '2026-01-13T12:00:00Z'"),
    ] {
        story.add_person(name, set).await;
    }
    story.run("UPDATE tips SET stage_from = 1, stage_to = 2 WHERE id = 1").await;
    story.schedule().await;
    let mut before = Vec::new();
    for person in 1..=5 {
        before.push(told(&coming(&story, person).await));
    }
    assert_eq!(
        before,
        ["0 of 3: Tip 2 13 09:00", "0 of 3: Tip 2 19 22:00", "0 of 3: Tip 2 19 08:00", "0 of 3: Tip 1 13 09:00", "0 of 3: Tip 2 20 09:00"]
    );
    story.sweep_at("2026-01-13T08:30:00Z").await;
    assert_eq!(due(&story, FIRST).await, ["a 13 09:00", "b 19 22:00", "c 19 08:00", "d 13 09:00", "e 13 09:00"]);
    for person in 1..=5 {
        let now = told(&coming(&story, person).await);
        assert_eq!(now.split_once(':').unwrap().1, before[person as usize - 1].split_once(':').unwrap().1, "{person}");
    }
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    assert_eq!(told(&coming(&story, 1).await), "1 of 3: Tip 3 20 09:00");
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(told(&coming(&story, 1).await), "2 of 3: - - no tip in her stage");
    assert_eq!(story.outcome(SECOND).await[4], "e: sent 2");
}

#[tokio::test]
async fn why_nothing_comes_is_told_in_a_word() {
    let story = Story::new(1).await;
    let ana = story.add_person("Ana", "").await;
    story.schedule().await;
    assert_eq!((coming(&story, ana).await.zone.as_str(), coming(&story, ana).await.topic_name.as_str()), ("Europe/London", "Tips"));
    change(&story, ana, &[Change::zone("Asia/Tokyo").unwrap()]).await;
    assert_eq!(coming(&story, ana).await.zone, "Asia/Tokyo");
    story.run("UPDATE campaigns SET state = 'paused', reason = 'a word'").await;
    assert_eq!(coming(&story, ana).await.why_not.as_deref(), Some("the campaign is paused"));
    story.run("UPDATE campaigns SET state = 'scheduled', reason = NULL; UPDATE subscriptions SET standing = 'unsubscribed'").await;
    assert_eq!(coming(&story, ana).await.why_not.as_deref(), Some("unsubscribed"));
    story.run("UPDATE subscriptions SET standing = 'confirmed'; UPDATE tips SET state = 'retired'").await;
    assert_eq!(coming(&story, ana).await.why_not.as_deref(), Some("no tip left"));
    story
        .run("INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES (sha256('1'), 'k', 1, 'manual', 'why', now())")
        .await;
    assert_eq!(coming(&story, ana).await.why_not.as_deref(), Some("suppressed: manual"));
}
