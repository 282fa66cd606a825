//! The pump: one for each worker process. It claims what is due, marks each delivery and makes its mail, hands it over and records
//! the answer.
//!
//! Tasks, each a file: `feeder` claims, and its `router` puts what it claimed into the bounded `lane` of an outlet; one `connection` for
//! each SMTP session takes from its lane, has it marked, makes the mail (`letter`) and hands it over; `scribe` writes all their marks and
//! results in shared commits; `lease` keeps the worker alive in the database. They end together: in order when told to, at once when the lease is
//! lost. `health` says whether a relay is fit to be given mail, `failures` whether an edition is, `pressure` how quick the database is.

mod connection;
mod failures;
mod feeder;
mod health;
mod lane;
mod lease;
pub mod letter;
mod line;
mod links;
mod outlet;
mod pacing;
mod pressure;
mod router;
mod scribe;

pub use outlet::Outlet;

use super::{dkim::Signer, message::Mailbox, pace::Pace, versions::Versions};
use crate::base::{address::EmailAddress, clock::Clock, config::Delivery, database::Db, keys::Keyring};
use rand_chacha::ChaCha8Rng;
use sqlx::PgConnection;
use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

/// What a pump needs to know; built once for each process.
#[derive(Debug)]
pub struct Setup {
    /// The database.
    pub db: Db,
    /// The present instant.
    pub clock: Arc<dyn Clock>,
    /// Seals the links of mails.
    pub keyring: Keyring,
    /// Times and sizes.
    pub delivery: Delivery,
    /// Where links begin: `https://…` without a slash at the end.
    pub site_url: String,
    /// The From of every mail.
    pub from: Mailbox,
    /// The envelope's sender.
    pub return_path: EmailAddress,
    /// The versions of the templates.
    pub templates: Versions,
    /// Signs mails; none: unsigned.
    pub signer: Option<Signer>,
    /// The relays and how many connections each gets.
    pub outlets: Vec<Arc<Outlet>>,
    /// How fast they and the providers of recipients are given mail.
    pub pace: Pace,
    /// Where the chance in back-off comes from.
    pub random: Mutex<ChaCha8Rng>,
    /// This host and process, for the list of workers.
    pub name: String,
}

/// Wakes the feeder, from jobs and tests: "look, something may be due".
#[derive(Debug, Default, Clone)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    async fn heard(&self) {
        self.0.notified().await;
    }
}

/// Why a pump ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// Another worker took this one for dead; it must start as another.
    #[error("this worker could not renew its lease and was taken for dead")]
    LeaseLost,
    /// The clocks disagree.
    #[error("this host's clock is {0:#} away from the database's: no mail is sent before they agree within 30 s")]
    ClocksApart(jiff::SignedDuration),
    /// The database could not be reached at the start.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's answer to a claim was lost.
    #[error("the answer to a claim was lost: what it may have taken is given back")]
    ClaimInDoubt,
    /// A task of the pump panicked.
    #[error("a part of the pump failed: {0}")]
    Part(#[from] tokio::task::JoinError),
}

/// Refuses when this host's clock is not the database's: what is due must not be judged by it.
pub async fn check_clocks(setup: &Setup, conn: &mut PgConnection) -> Result<(), PumpError> {
    lease::check_clocks(setup, conn).await
}

/// How long hand-overs under way may take when the worker is told to end.
const DRAIN: Duration = Duration::from_secs(15);
/// How long the pace's permits may take to be given back.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// How long their results may take to be written after that.
const WRITE_OUT: Duration = Duration::from_secs(8);

/// Runs until `stop` says true, then lets what is in flight finish and gives back the rest.
pub async fn run(setup: Arc<Setup>, bell: Bell, mut stop: watch::Receiver<bool>) -> Result<(), PumpError> {
    let worker = lease::enter(&setup).await?;
    let lease = lease::Lease::new(worker, setup.delivery.lease);
    setup.pace.begin(worker);
    let (hungry, recorded) = (Arc::new(AtomicBool::new(false)), Bell::default());
    let pressure = pressure::Pressure::new(usize::from(setup.delivery.claim), setup.delivery.slow_database);
    // Ends the feeder and the connections; the scribe and the lease outlive them, to write what they leave.
    let (halt, halted) = watch::channel(false);

    let surroundings = scribe::Surroundings { bell: recorded.clone(), hungry: hungry.clone(), pressure: pressure.clone() };
    let (scribe, mut scribing) = scribe::start(setup.clone(), lease.clone(), surroundings);
    let mut keeping = tokio::spawn(lease::keep(setup.clone(), lease.clone()));
    let room = Arc::new(Notify::new());
    let router = router::Router::new(&setup.outlets, setup.delivery.claim, &room);
    let letters = Arc::new(letter::Letters::new(setup.clone()));
    let mut parts: JoinSet<()> = JoinSet::new();
    let pacing = tokio::spawn(pacing::keep(setup.clone(), halted.clone()));
    for lane in router.lanes() {
        for number in 0..lane.outlet.connections {
            parts.spawn(connection::run(setup.clone(), lane.clone(), number, letters.clone(), scribe.clone(), halted.clone()));
        }
    }
    let setup_of_feeder = setup.clone();
    let feeder =
        feeder::Feeder { setup: setup_of_feeder, lease: lease.clone(), router, scribe, pressure, room, bell, recorded, hungry, halted };
    parts.spawn(feeder::run(feeder));

    let ended = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(()),
        () = lease.lost() => Err(PumpError::LeaseLost),
        // Only the feeder ends by itself, and the connections then have nothing more to take.
        Some(part) = parts.join_next() => Err(part.map_or_else(PumpError::Part, |()| PumpError::ClaimInDoubt)),
        Err(panic) = &mut scribing => Err(PumpError::Part(panic)),
        Err(panic) = &mut keeping => Err(PumpError::Part(panic)),
    };
    let _ = halt.send(true);
    // What is being handed over may finish; a relay that takes longer leaves its delivery unconfirmed.
    let drained = tokio::time::timeout(DRAIN, async { while parts.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        parts.shutdown().await;
    }
    if !scribing.is_finished() && tokio::time::timeout(WRITE_OUT, scribing).await.is_err() {
        tracing::error!("the database did not take the last results: their deliveries become unconfirmed");
    }
    keeping.abort();
    // It gives back what was not used; without that the next workers have a little less today.
    let _ = tokio::time::timeout(GIVE_BACK, pacing).await;
    lease::leave(&setup, worker).await;
    ended
}
