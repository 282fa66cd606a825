//! What the stories of pre-flight share: faults of every kind, and the check portion by portion.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidings::audience::suppression::Kind;
use tidings::base::address::EmailAddress;
use tidings::campaigns::test_mail::{self, TestMail};
use tidings::campaigns::{CampaignError, preflight as check};
use tidings::delivery::ledger::{claim, lease, look};
use tidings::delivery::pump::letter::Letters;
use tidings::jobs::App;
use tidings::people::stop::{self, Source, Whom};

use crate::support::story::{Story, WEEKLY};

/// Ten minutes before the campaign's hour.
pub(crate) const IN_THE_LEAD: &str = "2026-01-13T08:50:00Z";
/// The campaign's hour.
pub(crate) const START: &str = "2026-01-13T09:00:00Z";

/// Makes the address of a subscriber one that cannot be mailed, as no command would.
pub(crate) async fn spoil_address(story: &Story, id: i64) {
    story.tamper(&format!("UPDATE subscribers SET address = 'no address at all' WHERE id = {id}")).await;
}

/// Makes a tip say something that pre-flight refuses.
pub(crate) async fn tip_that_fails(story: &Story, tip: i64) {
    words(story, tip, "Look after the kettle, dear {{name}}.").await;
}

/// Gives a tip these words, behind the back of `tip edit`.
pub(crate) async fn words(story: &Story, tip: i64, markdown: &str) {
    let quoted = markdown.replace('\'', "''");
    story.tamper(&format!("UPDATE tip_revisions SET markdown = '{quoted}' WHERE tip_id = {tip}")).await;
}

/// What `campaign preflight --json` would print at the story's clock.
pub(crate) async fn preflight(story: &Story) -> Value {
    let letters = Arc::new(Letters::new(story.jobs(Vec::new()).setup.clone()));
    let found = check::rehearse(&mut *story.conn().await, &letters, WEEKLY, story.app.now(), |_, _| {}).await.expect("a rehearsal");
    serde_json::to_value(&found).expect("JSON")
}

/// Queues a test mail at the story's clock.
pub(crate) async fn send_test(story: &Story, to: &str, subscriber: Option<i64>) -> Result<TestMail, CampaignError> {
    let to = EmailAddress::parse(to).expect("an address");
    test_mail::send(&mut *story.conn().await, &story.app.keyring, WEEKLY, &to, subscriber, story.app.now()).await
}

/// An operator suppresses an address.
pub(crate) async fn suppress(story: &Story, address: &str) {
    let address = EmailAddress::parse(address).expect("an address");
    let (pool, keyring, whom) = (&story.app.db.pool, &story.app.keyring, Whom::Address(&address));
    stop::suppress(pool, keyring, whom, Kind::Manual, "a test", Source::Operator, story.app.now()).await.expect("a stop");
}

/// The kinds that block.
pub(crate) fn blocking(found: &Value) -> Vec<String> {
    let findings = found["findings"].as_array().expect("findings");
    findings.iter().filter(|finding| finding["severity"] == "blocking").map(|f| f["kind"].as_str().expect("a kind").to_owned()).collect()
}

/// The reason of the edition that pre-flight holds.
pub(crate) async fn held(story: &Story) -> String {
    let mut held = story.texts("SELECT reason FROM editions WHERE state = 'held' AND reason LIKE 'pre-flight found %'").await;
    assert_eq!(held.len(), 1, "one edition is held: {:?}", story.texts("SELECT state FROM editions").await);
    held.remove(0)
}

/// Looks at the next mails of the only edition, as many as the time allows; whether nothing is left.
pub(crate) async fn check_one_portion(story: &Story, app: &App) -> bool {
    let letters = Arc::new(Letters::new(app.setup.clone()));
    let edition = story.number("SELECT id FROM editions").await;
    check::check_portion(&mut *story.conn().await, &letters, edition, story.app.now()).await.expect("a portion")
}

/// Claims what may leave, by a worker of its own that then does nothing; how many.
pub(crate) async fn claim(story: &Story, limit: i64) -> usize {
    let mut conn = story.conn().await;
    look::start_due(&mut conn, story.app.now()).await.expect("started");
    let worker = lease::register(&mut conn, "idle").await.expect("a worker");
    let edition = story.number("SELECT id FROM editions").await;
    claim::edition(&mut conn, worker, (edition, claim::Place::START), story.app.now(), limit).await.expect("a claim").taken.len()
}

/// Buries the workers of [`claim`].
pub(crate) async fn worker_is_gone(story: &Story) {
    story.tamper("UPDATE workers SET seen_at = seen_at - interval '1 day' WHERE name = 'idle'").await;
    lease::bury(&mut *story.conn().await, Duration::from_secs(30), story.app.now()).await.expect("a burial");
}
