//! Two workers at once and a crash in the middle: every mail is looked at once, and counted once.

use std::time::Duration;

use tidings::delivery::relay::MemoryBox;

use super::stage::{self, IN_THE_LEAD, START, held, spoil_address};
use crate::support::story::{Story, count, log_of, memory};

const FOUND: &str =
    "SELECT kind || ' ' || recipients || ' ' || jsonb_array_length(examples) FROM preflight_findings WHERE severity = 'blocking'";

#[tokio::test]
async fn two_workers_look_at_every_mail_once() {
    let story = Story::ready(1, 2_300).await;
    for id in [5, 1_100, 1_101, 2_300] {
        spoil_address(&story, id).await;
    }
    story.turn_to(IN_THE_LEAD);
    story.plan().await;
    let app = story.jobs(Vec::new());
    let both = async || {
        let (one, other) = tokio::join!(stage::check_one_portion(&story, &app), stage::check_one_portion(&story, &app));
        one && other
    };
    while !both().await {}
    assert_eq!(story.texts(FOUND).await, ["bad_address 4 3"]);
    assert_eq!(story.number("SELECT checked FROM editions WHERE state = 'held'").await, 2_300);
}

#[tokio::test]
async fn a_worker_that_dies_in_the_middle_leaves_nothing_half_counted() {
    let story = Story::ready(1, 2_500).await;
    for id in [3, 2_400] {
        spoil_address(&story, id).await;
    }
    story.turn_to(IN_THE_LEAD);
    for time in [150, 300, 450] {
        story.work_and_die(Vec::new(), Duration::from_millis(time)).await;
    }
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 4)]);
    story.run_until_idle(&app).await;
    held(&story).await;
    assert_eq!(story.texts(FOUND).await, ["bad_address 2 2"]);
    assert_eq!(story.number("SELECT checked FROM editions").await, 2_500);
    tidings::campaigns::preflight::accept(&mut *story.conn().await, "weekly", story.app.now()).await.expect("accepted");
    story.turn_to(START);
    story.run_until_idle(&app).await;
    let edition = story.assert_agrees_with(&log_of(&mails), 2_500).await;
    assert_eq!((count(&edition, "sent"), count(&edition, "failed")), (2_498, 2), "{edition}");
}
