//! F17: subscribers and a tip that no mail can be made of: each a recorded failure, and everybody else has hers.

use super::Outcome;
use super::scene::{Scene, far_away};
use crate::support::story::{WEEKLY, count};

/// F17: so many subscribers whose rows hold what no mail can carry, among all the others.
pub(crate) async fn subscribers(poisoned: usize, recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(1)).await;
    scene.people(recipients).await;
    scene.campaign(WEEKLY).await;
    let spoil = format!("UPDATE subscribers SET address = 'no address ' || id WHERE id % ({recipients} / {poisoned}) = 0");
    scene.story.tamper(&spoil).await;
    // Names that a template might take for its own language, or that would end a header.
    scene.story.tamper("UPDATE subscribers SET name = '{{{{raw}}}} {{lookup this \"keys\"}} <script>' WHERE id % 7 = 0").await;
    scene.recipients = scene.story.texts("SELECT address FROM subscribers").await.into_iter().collect();
    scene.story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
    accepted_and_sent(&scene, "subscribers without an address", poisoned, poisoned).await
}

/// F17: a tip that half of the recipients are to get and that no mail can be made of.
pub(crate) async fn tip(recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(1)).await;
    scene.people(recipients).await;
    scene.campaign(WEEKLY).await;
    let first = "SELECT s.id, t.segment_id FROM subscribers s, tips t WHERE s.id % 2 = 0 AND t.position = 1";
    scene.story.tamper(&format!("INSERT INTO segments_given {first}")).await;
    let poison = "repeat('far too long ', 20000)";
    let second = "tips.revision_id = tip_revisions.id AND tips.position = 2";
    scene.story.tamper(&format!("UPDATE tip_revisions SET markdown = {poison} FROM tips WHERE {second}")).await;
    scene.story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
    accepted_and_sent(&scene, "a tip that no mail can be made of", 1, recipients / 2).await
}

// What blocks holds the edition; an operator who accepts it all the same has so many failures and nothing else.
async fn accepted_and_sent(scene: &Scene, what: &str, injected: usize, failures: usize) -> Outcome {
    scene.finish().await;
    let held = scene.story.report().await;
    scene.story.tidings(&["campaign", "accept", WEEKLY]).await;
    scene.finish().await;
    let mut outcome = scene.outcome("F17", what.to_owned(), injected, 0).await;
    outcome.claim(held["state"] == "held" && count(&held, "sent") == 0, format!("it was not held before: {held}"));
    outcome.claim(outcome.failed == failures, format!("{} failed", outcome.failed));
    let reasons = "SELECT count(*) FROM deliveries WHERE state = 'failed' AND reason LIKE 'render error: %'";
    let recorded = scene.story.number(reasons).await;
    outcome.claim(recorded == failures as i64, format!("{recorded} have their reason"));
    outcome.remark = "held at first; then recorded failures".to_owned();
    outcome
}
