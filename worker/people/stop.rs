//! The stop: the one function behind every unsubscribe and every suppression, and its undoing for 30 minutes.
//!
//! Two commits, then the answer. The first changes the standing or records the suppression, so that every claim and mark
//! from then on sees it; the second sweeps that person's deliveries that wait to be sent. With one commit, rows of an
//! edition that is being planned slip through; with two, a crash in between is caught at the claim. Called by the pages,
//! the command line and the job after a refused address. A second call of any of them changes nothing.

mod store;

use crate::{
    audience::{
        consent::{self, Act},
        store as audience,
        suppression::{self, Kind},
    },
    base::{
        acts,
        address::EmailAddress,
        database::is_to_be_retried,
        keys::Keyring,
        wake::{self, Job},
    },
    signup,
    waitlist::entry,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use sqlx::{PgConnection, PgPool};

pub use crate::audience::consent::Source;
pub(super) use store::{skip_tests, skip_what_is_stopped};

/// How long a person can take back that she left.
pub const UNDO: SignedDuration = SignedDuration::from_mins(30);

/// Hosts' clocks may be so far apart: what a claim skipped on another host may bear a time before the leaving's.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(1);

const RETRIES: usize = 5;

/// What a person leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One topic; nothing else is touched.
    Topic(i64),
    /// All mail but a confirmation that she asks for herself.
    Everything,
}

/// Whose mails are to end.
#[derive(Debug, Clone, Copy)]
pub enum Whom<'a> {
    /// A subscriber's.
    Subscriber(i64),
    /// Of whoever has this address, now or later.
    Address(&'a EmailAddress),
}

/// What a stop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// False when it stood already.
    pub changed: bool,
    /// Deliveries that were waiting and are skipped now.
    pub skipped: u64,
}

/// What came of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// The last stop is lifted.
    Lifted {
        /// What she had left.
        scope: Scope,
        /// Deliveries that this stop had skipped and that are queued again.
        queued: u64,
    },
    /// There is no stop of the last 30 minutes that stands.
    Nothing,
}

/// How a person stands with a topic now, for her page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The topic, as people read it.
    pub topic_name: String,
    /// Whether she is subscribed to the topic, whatever stands against her address.
    pub subscribed: bool,
    /// Whether she left everything.
    pub everything: bool,
    /// Whether her address is suppressed for another cause: a refused address, a complaint, an operator, an erasure.
    pub suppressed: bool,
    /// Until when her last leaving can be taken back, if it can.
    pub undo_until: Option<Timestamp>,
}

/// Why a stop could not be answered; nothing may be promised then, and it is to be asked for again.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The number names nobody.
    #[error("there is no subscriber {0}")]
    NoSubscriber(i64),
    /// The database failed.
    #[error("the stop could not be written: {0}")]
    Database(#[from] sqlx::Error),
}

/// Ends a subscription, or all of them; what waits to be sent is skipped before this returns.
pub async fn unsubscribe(
    pool: &PgPool,
    keyring: &Keyring,
    subscriber_id: i64,
    scope: Scope,
    source: Source,
    now: Timestamp,
) -> Result<Stopped, StopError> {
    let mut races = 0;
    let changed = loop {
        match unsubscribe_once(pool, keyring, subscriber_id, scope, source, now).await {
            Err(error) if lost_a_race(&error, &mut races) => {}
            result => break result?,
        }
    };
    Ok(Stopped { changed, skipped: sweep(pool, subscriber_id, now).await? })
}

// The first commit of a leaving; true when it did not stand already.
async fn unsubscribe_once(
    pool: &PgPool,
    keyring: &Keyring,
    subscriber_id: i64,
    scope: Scope,
    source: Source,
    now: Timestamp,
) -> Result<bool, StopError> {
    let mut tx = pool.begin().await?;
    let address_key = lock(&mut tx, subscriber_id).await?;
    let (changed, topic_id) = match (scope, address_key) {
        (Scope::Topic(topic_id), _) => (store::leave_topic(&mut tx, subscriber_id, topic_id, now).await?, Some(topic_id)),
        (Scope::Everything, Some(key)) => {
            let reason = format!("she left everything ({})", source.as_str());
            (suppression::insert(&mut tx, keyring, &key, Some(subscriber_id), Kind::UnsubscribeAll, &reason, now).await?.is_some(), None)
        }
        // An erased person is suppressed already, and her address is known no more.
        (Scope::Everything, None) => (false, None),
    };
    if changed {
        consent::record(&mut tx, subscriber_id, topic_id, Act::Withdrawn, source, now).await?;
    }
    // Whether or not it stood: what she has asked for since she left before ends too.
    signup::leave(&mut tx, subscriber_id, topic_id, now).await?;
    if changed && scope == Scope::Everything {
        entry::on_suppressed(&mut tx, subscriber_id, now).await?;
    }
    tx.commit().await?;
    Ok(changed)
}

/// Suppresses an address, whether or not it is a subscriber's; what waits to be sent to it is skipped before this returns.
pub async fn suppress(
    pool: &PgPool,
    keyring: &Keyring,
    whom: Whom<'_>,
    kind: Kind,
    reason: &str,
    source: Source,
    now: Timestamp,
) -> Result<Stopped, StopError> {
    let mut races = 0;
    let (added, subscriber_id) = loop {
        match suppress_once(pool, keyring, whom, kind, reason, source, now).await {
            Err(error) if lost_a_race(&error, &mut races) => {}
            result => break result?,
        }
    };
    let skipped = match (subscriber_id, whom) {
        (Some(id), _) => sweep(pool, id, now).await?,
        (None, Whom::Address(address)) => sweep_tests(pool, address.key(), now).await?,
        (None, Whom::Subscriber(_)) => 0,
    };
    Ok(Stopped { changed: added, skipped })
}

// The first commit of a suppression: whether it did not stand already, and whose address it is.
async fn suppress_once(
    pool: &PgPool,
    keyring: &Keyring,
    whom: Whom<'_>,
    kind: Kind,
    reason: &str,
    source: Source,
    now: Timestamp,
) -> Result<(bool, Option<i64>), StopError> {
    let mut tx = pool.begin().await?;
    let (subscriber_id, key) = match whom {
        Whom::Subscriber(id) => (Some(id), lock(&mut tx, id).await?),
        Whom::Address(address) => (lock_by_address(&mut tx, address).await?, Some(address.key().to_owned())),
    };
    let added = match &key {
        Some(key) => suppression::insert(&mut tx, keyring, key, subscriber_id, kind, reason, now).await?,
        None => None, // erased, and so suppressed already
    };
    if added.is_some() && source == Source::Operator {
        acts::record(&mut tx, "suppression added", "suppression", added, reason, now).await?;
    }
    if let (Some(id), Some(_)) = (subscriber_id, added) {
        signup::leave(&mut tx, id, None, now).await?;
        entry::on_suppressed(&mut tx, id, now).await?;
    }
    tx.commit().await?;
    Ok((added.is_some(), subscriber_id))
}

/// After a relay said that the address of a delivery does not exist: suppresses it as a hard bounce.
///
/// A repeat of the job, perhaps after an operator lifted the suppression, changes nothing: a hard bounce that was recorded
/// since the refusal was this one.
pub async fn refused(pool: &PgPool, keyring: &Keyring, period: Date, delivery_id: i64, now: Timestamp) -> Result<Stopped, StopError> {
    let mut conn = pool.acquire().await?;
    let Some(refusal) = store::refusal(&mut conn, period, delivery_id).await? else {
        return Ok(Stopped { changed: false, skipped: 0 });
    };
    drop(conn);
    if refusal.recorded {
        return Ok(Stopped { changed: false, skipped: sweep(pool, refusal.subscriber_id, now).await? });
    }
    let reason = format!("refused by the relay ({})", refusal.code);
    suppress(pool, keyring, Whom::Subscriber(refusal.subscriber_id), Kind::HardBounce, &reason, Source::Relay, now).await
}

/// Takes back the last leaving (of this topic, or of everything) if it is not older than [`UNDO`]. Deliveries that it
/// skipped are queued again before their deadline, unless something else stands against them.
pub async fn undo(pool: &PgPool, subscriber_id: i64, topic_id: i64, now: Timestamp) -> Result<Undone, StopError> {
    let mut races = 0;
    loop {
        match undo_once(pool, subscriber_id, topic_id, now).await {
            Err(error) if lost_a_race(&error, &mut races) => {}
            result => return result,
        }
    }
}

/// How a person stands with a topic, or `None` when there is no such person or topic.
pub async fn standing(pool: &PgPool, subscriber_id: i64, topic_id: i64, now: Timestamp) -> sqlx::Result<Option<Standing>> {
    let mut conn = pool.acquire().await?;
    let Some(mut standing) = store::standing(&mut conn, subscriber_id, topic_id).await? else { return Ok(None) };
    let left = store::last_leaving(&mut conn, subscriber_id, topic_id, now - UNDO).await?;
    standing.undo_until = left.map(|left| left.at + UNDO);
    Ok(Some(standing))
}

async fn lock(conn: &mut PgConnection, subscriber_id: i64) -> Result<Option<String>, StopError> {
    store::lock_subscriber(conn, subscriber_id).await?.ok_or(StopError::NoSubscriber(subscriber_id))
}

// Of an address without subscriber nobody may become one until the suppression is committed, or she would miss it.
async fn lock_by_address(conn: &mut PgConnection, address: &EmailAddress) -> Result<Option<i64>, StopError> {
    let mut found = subscriber(conn, address).await?;
    if found.is_none() {
        audience::lock_audience_alone(conn).await?;
        found = subscriber(conn, address).await?;
    }
    if let Some(id) = found {
        lock(conn, id).await?;
    }
    Ok(found)
}

async fn subscriber(conn: &mut PgConnection, address: &EmailAddress) -> sqlx::Result<Option<i64>> {
    Ok(audience::subscribers_by_key(conn, &[address.key()]).await?.pop().map(|(_, id)| id))
}

async fn undo_once(pool: &PgPool, subscriber_id: i64, topic_id: i64, now: Timestamp) -> Result<Undone, StopError> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, subscriber_id).await?;
    let Some(left) = store::last_leaving(&mut tx, subscriber_id, topic_id, now - UNDO).await? else {
        return Ok(Undone::Nothing);
    };
    let topic_id = match left.scope {
        Scope::Topic(topic_id) => {
            store::return_to_topic(&mut tx, subscriber_id, topic_id, now).await?;
            Some(topic_id)
        }
        Scope::Everything => {
            store::lift_unsubscribe_all(&mut tx, subscriber_id, now).await?;
            None
        }
    };
    consent::record(&mut tx, subscriber_id, topic_id, Act::Restored, Source::Page, now).await?;
    let queued = queue_again(&mut tx, subscriber_id, left.at - CLOCKS_APART, now).await?;
    tx.commit().await?;
    Ok(Undone::Lifted { scope: left.scope, queued })
}

// The second commit. It looks at what stands when it runs: an undo that came in between is not overruled, and what an
// interrupted stop left behind is swept along. Marks that were committed before it are on their way and stay.
pub(super) async fn sweep(pool: &PgPool, subscriber_id: i64, now: Timestamp) -> Result<u64, StopError> {
    let mut races = 0;
    loop {
        match sweep_once(pool, subscriber_id, now).await {
            Err(error) if lost_a_race(&error, &mut races) => {}
            result => return result,
        }
    }
}

// The second commit where the address is nobody's: only tests go there.
async fn sweep_tests(pool: &PgPool, key: &str, now: Timestamp) -> Result<u64, StopError> {
    let mut races = 0;
    loop {
        let skipped = store::skip_tests(&mut *pool.acquire().await?, key, None, now).await;
        match skipped.map_err(StopError::from) {
            Err(error) if lost_a_race(&error, &mut races) => {}
            result => return result,
        }
    }
}

async fn sweep_once(pool: &PgPool, subscriber_id: i64, now: Timestamp) -> Result<u64, StopError> {
    let mut tx = pool.begin().await?;
    let key = lock(&mut tx, subscriber_id).await?;
    let mut skipped = skip_what_is_stopped(&mut tx, &[subscriber_id], now).await?;
    if let Some(key) = key {
        skipped += store::skip_tests(&mut tx, &key, Some(subscriber_id), now).await?;
    }
    tx.commit().await?;
    Ok(skipped)
}

async fn queue_again(conn: &mut PgConnection, subscriber_id: i64, since: Timestamp, now: Timestamp) -> sqlx::Result<u64> {
    store::go_by_indexes(conn).await?;
    // One that finishes meanwhile waits and then sees the rows.
    store::lock_editions_skipped_in(conn, subscriber_id, since).await?;
    store::hold_series_skipped_in(conn, subscriber_id, since).await?;
    let editions = store::queue_again(conn, subscriber_id, since, now).await?;
    if !editions.is_empty() {
        store::run_on(conn, &editions).await?;
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(editions.len() as u64)
}

// A stop must not fail because a planner or a worker held the same rows in another order. (Loops and no closure that
// is run again: the future of an async closure is not known to be Send, and pages and jobs run on any thread.)
pub(super) fn lost_a_race(error: &StopError, races: &mut usize) -> bool {
    *races += 1;
    *races <= RETRIES && matches!(error, StopError::Database(error) if is_to_be_retried(error))
}
