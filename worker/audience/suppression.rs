//! Addresses that must not be mailed, known by a keyed hash so that they outlive an erasure.
//!
//! Owns what each kind blocks and what lifts it (product.md, "Stops"). Suppressing is `people::stop::suppress`, which also
//! ends what is under way; an operator lifts here. `suppressions.subscriber_id` is filled whenever both exist: whoever adds
//! subscribers holds the audience lock shared, whoever suppresses an address without one holds it alone.

use super::store;
use crate::base::{acts, address::EmailAddress, keys::Keyring};
use jiff::Timestamp;
use sqlx::PgConnection;

/// Why an address must not be mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A relay said that the address does not exist. Blocks everything; an operator lifts it.
    HardBounce,
    /// She called a mail unwanted. Blocks everything; an operator lifts it with a reason.
    Complaint,
    /// She left everything. Blocks all but a confirmation that she asks for; confirming lifts it.
    UnsubscribeAll,
    /// An operator decided. Blocks everything; an operator lifts it with a reason.
    Manual,
    /// She was erased. Blocks all but a confirmation that she asks for; confirming lifts it.
    Erased,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::HardBounce, Self::Complaint, Self::UnsubscribeAll, Self::Manual, Self::Erased];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::UnsubscribeAll => "unsubscribe_all",
            Self::Manual => "manual",
            Self::Erased => "erased",
        }
    }

    /// Reads the database's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether an operator may lift it; the others are lifted only by her own confirmation.
    pub fn lifted_by_operator(self) -> bool {
        matches!(self, Self::HardBounce | Self::Complaint | Self::Manual)
    }
}

/// A suppression that stands, or stood until it was lifted.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// Its id.
    pub id: i64,
    /// Whose, when the address is a subscriber's.
    pub subscriber_id: Option<i64>,
    /// Why.
    pub kind: Kind,
    /// In words.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when, and why no longer.
    pub lifted: Option<(Timestamp, String)>,
}

/// What became of a wish to lift the suppressions of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// These were lifted.
    pub lifted: Vec<Kind>,
    /// These stand, since only she herself can lift them.
    pub left: Vec<Kind>,
}

/// Everything that was ever recorded against an address, the latest last; lifted ones included.
pub async fn history(conn: &mut PgConnection, keyring: &Keyring, address: &EmailAddress) -> sqlx::Result<Vec<Suppression>> {
    store::suppressions_of_address(conn, &hashes(keyring, address.key())).await
}

/// Why an address is not to be mailed about a topic: what stands against it, or that its owner left the topic.
pub async fn stopped(
    conn: &mut PgConnection,
    keyring: &Keyring,
    address: &EmailAddress,
    topic_id: Option<i64>,
) -> sqlx::Result<Option<String>> {
    if let Some(standing) = history(conn, keyring, address).await?.into_iter().rfind(|s| s.lifted.is_none()) {
        return Ok(Some(format!("suppressed, {}", standing.kind.as_str().replace('_', " "))));
    }
    let left = store::has_left(conn, address.key(), topic_id).await?;
    Ok(left.then(|| "unsubscribed from its topic".to_owned()))
}

/// Records that an address must not be mailed and gives the row's id; none when one of this kind stands against her already.
/// One that stands but hangs on nobody, or on the blank row of somebody who was erased, becomes hers. Part of a stop: the caller holds the subscriber's row, or for an address without subscriber the audience lock.
pub async fn insert(
    conn: &mut PgConnection,
    keyring: &Keyring,
    address_key: &str,
    subscriber_id: Option<i64>,
    kind: Kind,
    reason: &str,
    now: Timestamp,
) -> sqlx::Result<Option<i64>> {
    let standing = store::suppressions_of_address(conn, &hashes(keyring, address_key)).await?;
    let standing: Vec<Suppression> = standing.into_iter().filter(|s| s.kind == kind && s.lifted.is_none()).collect();
    if !standing.is_empty() {
        return link(conn, &standing, subscriber_id).await;
    }
    let (key_id, hash) = keyring.address_hash(address_key);
    store::insert_suppression(conn, &key_id, &hash, subscriber_id, kind, reason, now).await
}

// The ledger looks at whose a suppression is: without this the stop would be answered and have no effect.
async fn link(conn: &mut PgConnection, standing: &[Suppression], subscriber_id: Option<i64>) -> sqlx::Result<Option<i64>> {
    let Some(hers) = subscriber_id.filter(|_| standing.iter().all(|s| s.subscriber_id != subscriber_id)) else { return Ok(None) };
    for suppression in standing {
        if store::link_suppression(conn, suppression.id, hers).await? {
            return Ok(Some(suppression.id));
        }
    }
    Ok(None)
}

/// Lifts, as an operator's act, what an operator may lift.
pub async fn remove(
    conn: &mut PgConnection,
    keyring: &Keyring,
    address: &EmailAddress,
    reason: &str,
    now: Timestamp,
) -> sqlx::Result<Removed> {
    let mut removed = Removed { lifted: Vec::new(), left: Vec::new() };
    for suppression in history(conn, keyring, address).await?.into_iter().filter(|s| s.lifted.is_none()) {
        if !suppression.kind.lifted_by_operator() {
            removed.left.push(suppression.kind);
        } else if store::lift_suppression(conn, suppression.id, reason, now).await? {
            acts::record(conn, "suppression lifted", "suppression", Some(suppression.id), reason, now).await?;
            removed.lifted.push(suppression.kind);
        }
    }
    Ok(removed)
}

/// The hashes of an address under every key: a row may have been made with an older one.
pub fn hashes(keyring: &Keyring, address_key: &str) -> Vec<Vec<u8>> {
    keyring.address_hashes(address_key).into_iter().map(|(_, hash)| hash.to_vec()).collect()
}
