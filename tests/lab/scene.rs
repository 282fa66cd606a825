//! A scene: an edition that is due now, its recipients, a relay that misbehaves, and the real binary as processes.
//!
//! Every fault begins with one and ends with its sums.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Outcome;
use crate::support::relay::{FaultyRelay, Offer};
use crate::support::server::Server;
use crate::support::story::{Story, WEEKLY};
use crate::support::{Worker, until};

/// The connections of each worker.
pub(crate) const CONNECTIONS: usize = 5;
/// A worker unseen for that long is taken for dead.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// How long the slowest part of a scene may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The scene.
pub(crate) struct Scene {
    /// The application beneath.
    pub(crate) story: Story,
    /// Where the mails go.
    pub(crate) relay: FaultyRelay,
    /// Who is to be mailed: counted apart from the ledger.
    pub(crate) recipients: BTreeSet<String>,
    began: Instant,
}

impl Scene {
    /// An edition for so many, at a relay that can do what `offer` says.
    pub(crate) async fn begin(offer: Offer, recipients: usize) -> Scene {
        let mut scene = Scene::empty(offer).await;
        scene.fill(recipients).await;
        scene
    }

    /// The same on a server of its own.
    pub(crate) async fn begin_on(server: &Server, offer: Offer, recipients: usize) -> Scene {
        let mut scene = Scene::empty(offer).await;
        scene.story.move_to(server.url()).await;
        scene.fill(recipients).await;
        scene
    }

    /// A scene without recipients and edition, for a fault that makes its own; `fill` does the rest.
    pub(crate) async fn empty(offer: Offer) -> Scene {
        let relay = FaultyRelay::with(offer).await;
        let mut story = Story::new().await;
        // The workers are killed: that deliveries are left in their hands is for the sums to judge.
        story.app.may_leave_work();
        story.set("TIDINGS_RELAYS__MAIN__URL", &relay.url());
        story.set("TIDINGS_RELAYS__MAIN__CONNECTIONS", &CONNECTIONS.to_string());
        story.set("TIDINGS_DELIVERY__LEASE", &format!("{}s", LEASE.as_secs()));
        Scene { story, relay, recipients: BTreeSet::new(), began: Instant::now() }
    }

    /// Adds tips, subscribers and an edition that is due now.
    pub(crate) async fn fill(&mut self, recipients: usize) {
        self.people(recipients).await;
        self.campaign(WEEKLY).await;
        self.story.tidings(&["campaign", "run", WEEKLY, "--yes"]).await;
        self.began = Instant::now();
    }

    /// Adds tips and subscribers.
    pub(crate) async fn people(&mut self, recipients: usize) {
        self.story.tips(2).await;
        self.story.subscribers(recipients).await;
        self.recipients = (1..=recipients).map(|n| format!("person-{n}@example.org")).collect();
    }

    /// Adds a weekly campaign.
    pub(crate) async fn campaign(&self, name: &str) {
        let rule = ["--series", WEEKLY, "--at", "Tue 09:00", "--zone", "Europe/London"];
        self.story.tidings(&[&["campaign", "create", "weekly", name], &rule[..]].concat()).await;
    }

    /// Waits until so many bodies were begun since now.
    pub(crate) async fn until_more(&self, bodies: usize) {
        let before = self.relay.begun();
        until("some more mails are sent", || self.relay.begun() >= before + bodies).await;
    }

    /// Works until nothing is left.
    pub(crate) async fn finish(&self) {
        let mut worker = self.story.worker(&["--until-idle"]);
        assert!(worker.ends_within(PATIENCE).await.success(), "{}", worker.said());
    }

    /// What came of it: closes with the sums of the last edition.
    pub(crate) async fn outcome(&self, fault: &str, what: String, injected: usize, in_doubt_at_most: usize) -> Outcome {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut outcome = Outcome { fault: fault.to_owned(), what, injected, in_doubt_at_most, seconds, ..Outcome::default() };
        outcome.count(&self.recipients, &self.story.deliveries().await, &self.relay.accepted());
        let edition = self.story.report().await;
        let planned = edition["planned"].as_u64();
        outcome.claim(planned == Some(outcome.planned as u64), format!("{planned:?} were planned"));
        outcome.claim(edition["sent"].as_u64() == Some(outcome.sent as u64), format!("the report says that {} were sent", edition["sent"]));
        outcome
    }
}

/// A relay as far away as another country, so that something is on its way at any moment.
pub(crate) fn far_away(milliseconds: u64) -> Offer {
    Offer { latency: Duration::from_millis(milliseconds), ..Offer::default() }
}

/// Asks a worker to end, and waits until it has.
pub(crate) async fn end_in_order(worker: &mut Worker) {
    worker.terminate();
    assert!(worker.ends_within(Duration::from_secs(30)).await.success(), "{}", worker.said());
}
