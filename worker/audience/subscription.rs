//! A subscriber's standing with a topic, and the one way in without a click: an operator who vouches for it.
//!
//! `confirm` takes many people at once and serves both `subscriber add` and the import. It never brings back anyone who
//! left or is suppressed: those are reported, and nothing about them changes.

use super::{
    consent::{Act, Evidence, Source},
    store,
    subscriber::NewSubscriber,
    suppression::{self, Suppression},
    topic::Topic,
};
use crate::base::{acts, keys::Keyring};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};
use std::collections::{HashMap, HashSet};

/// What became of one person.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// She is subscribed now, and was not before.
    Added(i64),
    /// She was subscribed already.
    Unchanged(i64),
    /// She left this topic then; nothing was changed.
    Unsubscribed(Timestamp),
    /// Her address is suppressed; nothing was changed.
    Suppressed(Suppression),
}

/// Subscribes people to a topic, confirmed on the evidence given; one outcome for each, in their order.
///
/// All in the caller's transaction, which holds the audience lock (shared) from here to its end.
pub async fn confirm(
    conn: &mut PgConnection,
    keyring: &Keyring,
    topic_id: i64,
    people: &[NewSubscriber],
    evidence: Evidence<'_>,
    now: Timestamp,
) -> sqlx::Result<Vec<Outcome>> {
    store::lock_audience_shared(conn).await?;
    let mut known: HashMap<&str, Outcome> = suppressed_by_address(conn, keyring, people).await?;
    let mut seen = HashSet::new();
    let fresh: Vec<&NewSubscriber> =
        people.iter().filter(|p| !known.contains_key(p.address.key()) && seen.insert(p.address.key())).collect();
    let created = create(conn, keyring, &fresh, now).await?;
    let ids = ids(conn, &fresh).await?;
    let added = subscribe(conn, topic_id, &fresh, &ids, &mut known, now).await?;
    store::insert_consents(conn, &added, Some(topic_id), Act::Confirmed, evidence.source, Some(evidence.because), now).await?;
    fill_in(conn, &fresh, &ids, &added, &created).await?;
    Ok(in_order(people, known))
}

/// Subscribes one person by an operator's act, which is recorded beside the consent.
pub async fn add(
    pool: &PgPool,
    keyring: &Keyring,
    topic: &Topic,
    person: NewSubscriber,
    because: &str,
    now: Timestamp,
) -> sqlx::Result<Outcome> {
    let mut tx = pool.begin().await?;
    let evidence = Evidence { source: Source::Operator, because };
    let outcome = confirm(&mut tx, keyring, topic.id, &[person], evidence, now).await?.remove(0);
    if let Outcome::Added(id) = outcome {
        let detail = format!("{}: {because}", topic.name);
        acts::record(&mut tx, "subscriber added", "subscriber", Some(id), detail.as_str(), now).await?;
    }
    tx.commit().await?;
    Ok(outcome)
}

async fn suppressed_by_address<'p>(
    conn: &mut PgConnection,
    keyring: &Keyring,
    people: &'p [NewSubscriber],
) -> sqlx::Result<HashMap<&'p str, Outcome>> {
    let mut owners = HashMap::new();
    for person in people {
        for hash in suppression::hashes(keyring, person.address.key()) {
            owners.insert(hash, person.address.key());
        }
    }
    let hashes: Vec<Vec<u8>> = owners.keys().cloned().collect();
    let live = store::live_suppressions(conn, &hashes).await?;
    Ok(live.into_iter().map(|(hash, suppression)| (owners[&hash], Outcome::Suppressed(suppression))).collect())
}

async fn create(conn: &mut PgConnection, keyring: &Keyring, people: &[&NewSubscriber], now: Timestamp) -> sqlx::Result<HashSet<i64>> {
    let created = store::insert_subscribers(conn, people, now).await?;
    let (mut hashes, mut owners) = (Vec::new(), Vec::new());
    for (id, key) in &created {
        for hash in suppression::hashes(keyring, key) {
            hashes.push(hash);
            owners.push(*id);
        }
    }
    store::link_suppressions(conn, &hashes, &owners).await?;
    Ok(created.into_iter().map(|(id, _)| id).collect())
}

async fn ids<'p>(conn: &mut PgConnection, people: &[&'p NewSubscriber]) -> sqlx::Result<HashMap<&'p str, i64>> {
    let keys: Vec<&str> = people.iter().map(|p| p.address.key()).collect();
    let mut by_key: HashMap<String, i64> = store::subscribers_by_key(conn, &keys).await?.into_iter().collect();
    Ok(keys.into_iter().filter_map(|key| Some((key, by_key.remove(key)?))).collect())
}

// Writes the subscriptions and fills `known`; the ids of those who were not confirmed before come back.
async fn subscribe<'p>(
    conn: &mut PgConnection,
    topic_id: i64,
    people: &[&'p NewSubscriber],
    ids: &HashMap<&'p str, i64>,
    known: &mut HashMap<&'p str, Outcome>,
    now: Timestamp,
) -> sqlx::Result<Vec<i64>> {
    // A subscriber's suppression is looked up by id too: its hash may be of a key that is no longer in the key file.
    let all: Vec<i64> = ids.values().copied().collect();
    let mut suppressed: HashMap<i64, Suppression> =
        store::live_suppressions_of_subscribers(conn, &all).await?.into_iter().filter_map(|s| Some((s.subscriber_id?, s))).collect();
    let wanted: Vec<i64> = all.into_iter().filter(|id| !suppressed.contains_key(id)).collect();
    let added = store::confirm_subscriptions(conn, topic_id, &wanted, now).await?;
    let added_set: HashSet<i64> = added.iter().copied().collect();
    let left: HashMap<i64, Timestamp> = store::unsubscribed(conn, topic_id, &wanted).await?.into_iter().collect();
    for (key, id) in people.iter().filter_map(|p| Some((p.address.key(), *ids.get(p.address.key())?))) {
        let outcome = match (suppressed.remove(&id), left.get(&id)) {
            (Some(suppression), _) => Outcome::Suppressed(suppression),
            (None, Some(at)) => Outcome::Unsubscribed(*at),
            (None, None) if added_set.contains(&id) => Outcome::Added(id),
            (None, None) => Outcome::Unchanged(id),
        };
        known.insert(key, outcome);
    }
    Ok(added)
}

// Someone who was a subscriber before keeps what is known of her; only what was not known is filled in.
async fn fill_in(
    conn: &mut PgConnection,
    people: &[&NewSubscriber],
    ids: &HashMap<&str, i64>,
    added: &[i64],
    created: &HashSet<i64>,
) -> sqlx::Result<()> {
    let before: HashSet<i64> = added.iter().copied().filter(|id| !created.contains(id)).collect();
    let known: Vec<(i64, &NewSubscriber)> =
        people.iter().filter_map(|p| Some((*ids.get(p.address.key())?, *p))).filter(|(id, _)| before.contains(id)).collect();
    if known.is_empty() { Ok(()) } else { store::fill_in_subscribers(conn, &known).await }
}

// Of several rows about one person the first is what it is; the others change nothing any more.
fn in_order<'p>(people: &'p [NewSubscriber], mut known: HashMap<&'p str, Outcome>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(people.len());
    for person in people {
        let outcome = known[person.address.key()].clone(); // everyone has one: an erasure takes the audience lock alone
        if let Outcome::Added(id) = outcome {
            known.insert(person.address.key(), Outcome::Unchanged(id));
        }
        outcomes.push(outcome);
    }
    outcomes
}
