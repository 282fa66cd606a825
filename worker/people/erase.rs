//! Erasing: what is kept of a person afterwards is an id, what became of each delivery, and the keyed hash that keeps her from being
//! mailed again by a later import. No sum changes.
//!
//! It is a stop, and goes as the others do: one commit that every later claim and mark sees, here with all the blanking, then the sweep
//! of what waits. One that was killed in between leaves nothing that a claim would not skip. Called by the preferences page and the
//! command line. What a table gains about a person is to be added in `store` and in `export`.

mod store;
mod words;

use super::stop::{self, StopError};
use crate::{
    audience::{
        consent::{self, Act, Source},
        store as audience,
        suppression::{self, Kind},
    },
    base::{address::EmailAddress, keys::Keyring},
    waitlist::entry,
};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};
use words::Words;

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// False when she was erased already.
    pub changed: bool,
    /// Deliveries that were waiting and are skipped now.
    pub skipped: u64,
}

/// Forgets a subscriber; what waits to be sent to her is skipped before this returns. A second call changes nothing.
pub async fn erase(pool: &PgPool, keyring: &Keyring, subscriber_id: i64, source: Source, now: Timestamp) -> Result<Erased, StopError> {
    let mut races = 0;
    let changed = loop {
        match forget(pool, keyring, subscriber_id, source, now).await {
            Err(error) if stop::lost_a_race(&error, &mut races) => {}
            result => break result?,
        }
    };
    let skipped = stop::sweep(pool, subscriber_id, now).await?;
    // What was being written when she was forgotten.
    store::blank_contexts(&mut *pool.acquire().await?, subscriber_id).await?;
    Ok(Erased { changed, skipped })
}

async fn forget(pool: &PgPool, keyring: &Keyring, id: i64, source: Source, now: Timestamp) -> Result<bool, StopError> {
    let mut tx = pool.begin().await?;
    // Nobody is added meanwhile, so that an import under way sees her either whole or suppressed.
    audience::lock_audience_alone(&mut tx).await?;
    let Some(person) = store::lock(&mut tx, id).await? else { return Err(StopError::NoSubscriber(id)) };
    let Some(address) = person.address else { return Ok(false) };
    let address = EmailAddress::parse(&address).map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    // Before anything is blanked: her seat on a waitlist, or the offer of one, goes to the next.
    entry::on_erased(&mut tx, id, now).await?;
    stop_for_good(&mut tx, keyring, id, &address, source, now).await?;
    // What is claimed of them was made with her address already.
    stop::skip_tests(&mut tx, address.key(), None, now).await?;
    blank(&mut tx, keyring, id, &Words::of(&address, person.name.as_deref()), &address).await?;
    store::blank_subscriber(&mut tx, id, now).await?;
    store::insert_event(&mut tx, id, source.as_str(), now).await?;
    if source == Source::Operator {
        audience::insert_operator_act(&mut tx, "subscriber erased", "subscriber", Some(id), "", now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn stop_for_good(
    conn: &mut PgConnection,
    keyring: &Keyring,
    id: i64,
    address: &EmailAddress,
    source: Source,
    now: Timestamp,
) -> sqlx::Result<()> {
    let reason = format!("she was erased ({})", source.as_str());
    // Of no subscriber: it is to be linked to the row of whoever comes with this address again.
    suppression::insert(conn, keyring, address.key(), None, Kind::Erased, &reason, now).await?;
    store::end_subscriptions(conn, id, now).await?;
    consent::record(conn, id, None, Act::Withdrawn, source, now).await
}

async fn blank(conn: &mut PgConnection, keyring: &Keyring, id: i64, words: &Words, address: &EmailAddress) -> sqlx::Result<()> {
    let hashes = suppression::hashes(keyring, address.key());
    // Before the suppressions lose her id, since the operators' acts about them are found by it.
    store::blank_operator_acts(conn, id, &hashes, words).await?;
    store::blank_suppressions(conn, id, &hashes, words).await?;
    store::blank_deliveries(conn, id, address, words).await?;
    store::blank_contexts(conn, id).await?;
    store::blank_history(conn, id, words).await?;
    store::blank_signups(conn, id).await?;
    store::blank_others(conn, words).await
}
