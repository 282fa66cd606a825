//! An edition of which some mails are gone when something is found: it keeps its templates, and of its plan what can be kept.

use tidings::campaigns::edition;
use tidings::delivery::relay::MemoryBox;

use super::stage::{IN_THE_LEAD, START, held, preflight, spoil_address};
use crate::support::story::{Story, WEEKLY, log_of, memory};

#[tokio::test]
async fn the_rest_of_it_gets_another_tip_for_one_that_was_retired_and_is_told_what_helps() {
    let story = Story::ready(2, 30).await;
    let mails = MemoryBox::default();
    let app = story.jobs(vec![memory(&mails, 2)]);
    story.turn_to(IN_THE_LEAD);
    story.run_until_idle(&app).await;
    story.turn_to(START);
    story
        .tamper(
            "UPDATE deliveries SET ready_at = ready_at + interval '1 hour', due_at = due_at + interval '1 hour' WHERE subscriber_id > 10",
        )
        .await;
    story.run_until_idle(&app).await;
    assert_eq!(mails.handed().len(), 10);
    spoil_address(&story, 20).await;
    story
        .tamper("UPDATE editions SET checked_at = NULL, cleared_up_to = 0, checked_up_to = (SELECT min(id) FROM deliveries WHERE subscriber_id > 10) - 1")
        .await;
    story.turn_to("2026-01-13T10:00:00Z");
    story.run_until_idle(&app).await;
    let reason = held(&story).await;
    assert!(
        reason.contains("keeps the templates that it began with") && reason.contains("`accept`") && reason.contains("`cancel`"),
        "{reason}"
    );
    let (_, said) = story.both(&["campaign", "preflight", WEEKLY]).await;
    assert!(said.contains("keeps the templates") && said.contains("tidings campaign cancel weekly"), "{said}");

    story.tamper("UPDATE subscribers SET address = address_key WHERE id = 20").await;
    story.tidings(&["tip", "retire", "1"]).await;
    assert_eq!(preflight(&story).await["keeps_templates"], true);
    edition::release(&mut *story.conn().await, WEEKLY, story.app.now()).await.expect("released");
    let given = "SELECT count(*) FROM segments_given g JOIN tips t USING (segment_id) WHERE t.id = ";
    assert_eq!((story.number(&format!("{given}1")).await, story.number(&format!("{given}2")).await), (10, 20));
    story.run_until_idle(&app).await;
    story.assert_agrees_with(&log_of(&mails), 30).await;
}
