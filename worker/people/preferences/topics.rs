//! Which topics a person reads, as she ticks them on her page: her own act, confirmed at once, since she came by her link.
//!
//! Leaving a topic goes through the stop. Whoever left everything or is suppressed joins nothing here.

use super::{PreferencesError, Source, store};
use crate::{
    audience::{consent::Act, store as audience},
    base::keys::Keyring,
    people::stop::{self, Scope, StopError},
    signup::wording,
};
use jiff::Timestamp;
use sqlx::PgPool;
use std::collections::BTreeSet;

/// A topic on her page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub id: i64,
    /// As people read it.
    pub name: String,
    /// What it is about; may be empty.
    pub description: String,
    /// Whether she is subscribed.
    pub subscribed: bool,
}

/// What came of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chosen {
    /// Topics that she is subscribed to now and was not.
    pub joined: usize,
    /// Topics that she left.
    pub left: usize,
}

/// The exact words beside the button, for the topics that a page shows.
pub fn words(publisher: &str, shown: &[&Choice]) -> String {
    match shown {
        [one] => wording(publisher, &[&one.name]),
        _ => wording(publisher, &[]),
    }
}

/// Makes the topics that she was `shown` those that she `wants`; others are not touched. The `words` that stood beside the
/// button are kept with each that she joins. Done in the database before it returns.
pub async fn choose(
    pool: &PgPool,
    keyring: &Keyring,
    words: &str,
    subscriber_id: i64,
    shown: &BTreeSet<i64>,
    wants: &BTreeSet<i64>,
    now: Timestamp,
) -> Result<Chosen, PreferencesError> {
    let joined = join(pool, words, subscriber_id, &shown.intersection(wants).copied().collect::<Vec<_>>(), now).await?;
    let mut left = 0;
    for topic_id in shown.difference(wants) {
        let stopped = stop::unsubscribe(pool, keyring, subscriber_id, Scope::Topic(*topic_id), Source::Page, now).await;
        left += usize::from(stopped.map_err(of_stop)?.changed);
    }
    Ok(Chosen { joined, left })
}

async fn join(pool: &PgPool, words: &str, subscriber_id: i64, topics: &[i64], now: Timestamp) -> Result<usize, PreferencesError> {
    let mut tx = pool.begin().await?;
    // Her row is held, as by the stop: leaving everything in another window at the same moment comes before or after.
    if store::lock_particulars(&mut tx, subscriber_id).await?.is_none() {
        return Err(PreferencesError::NoSubscriber(subscriber_id));
    }
    let joined = store::join_topics(&mut tx, subscriber_id, topics, now).await?;
    for topic_id in &joined {
        audience::insert_consents(&mut tx, &[subscriber_id], Some(*topic_id), Act::Confirmed, Source::Page, Some(words), now).await?;
    }
    tx.commit().await?;
    Ok(joined.len())
}

fn of_stop(error: StopError) -> PreferencesError {
    match error {
        StopError::NoSubscriber(id) => PreferencesError::NoSubscriber(id),
        StopError::Database(error) => PreferencesError::Database(error),
    }
}
