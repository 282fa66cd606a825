//! What many mails share: versions of the templates, and the tips, broadcasts and topics that were made ready with them.
//!
//! Each is read and made ready once and kept, under the version that it was made with. Full, a shelf is emptied and filled anew.
//!
//! What asks the database is boxed: it is seldom needed, and its future is large. Kept in the futures around it, it was copied about with
//! them, 200 kB for each mail.

use super::{
    super::super::{
        ledger::{
            claim::Claimed,
            contents::{self, Topic},
        },
        render::{ReadyTip, Templates},
    },
    LetterError, Letters, frozen, unharmed,
};
use anyhow::Context;
use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, RwLock},
};

/// More revisions than a year of weekly tips of many series; then all are read anew.
const KEPT: usize = 1000;

/// More versions of the templates than the editions of a day have; then all are asked for anew.
const DRESSES: usize = 8;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    topics: Shelf<i64, Topic>,
    /// By the versions of their templates.
    dresses: Shelf<String, Dress>,
}

/// A version of the templates, and what was made ready with it.
#[derive(Debug)]
pub(super) struct Dress {
    pub(super) templates: Arc<Templates>,
    /// By their revisions.
    tips: Shelf<i64, ReadyTip>,
    /// By their editions.
    broadcasts: Shelf<i64, ReadyBroadcast>,
}

/// A broadcast, rendered as far as all its mails share it.
#[derive(Debug)]
pub(super) struct ReadyBroadcast {
    pub(super) text: ReadyTip,
    pub(super) program: Option<(String, String)>,
}

impl Letters {
    /// The version that is the newest to this process.
    pub fn newest_version(&self) -> String {
        self.setup.templates.newest().files().version().to_owned()
    }

    /// Keeps the words of an edition that stands in the database for no other connection, and has this version. What cannot be made
    /// ready so is no mail either, and is told by each.
    pub async fn know_broadcast(&self, edition_id: i64, version: &str, read: contents::Broadcast) -> Result<(), LetterError> {
        let dress = match self.dress_of(version).await {
            Err(LetterError::Templates(_)) => return Ok(()),
            dress => dress?,
        };
        dress.broadcasts.put(edition_id, KEPT, ready(&dress, read)?);
        Ok(())
    }

    // What its edition began with; what belongs to none is made with the newest. Asked for once in a version, not for each mail.
    pub(super) async fn dress(&self, claimed: &Claimed) -> Result<Arc<Dress>, LetterError> {
        match (&claimed.template_version, claimed.edition_id) {
            (Some(version), _) => self.dress_of(version).await,
            (None, None) => self.dress_of(&self.newest_version()).await,
            (None, Some(edition_id)) => self.dress_of(&Box::pin(self.begin(edition_id)).await?).await,
        }
    }

    async fn begin(&self, edition_id: i64) -> Result<String, LetterError> {
        let mut conn = self.setup.db.pool.acquire().await?;
        Ok(self.setup.templates.begin(&mut conn, edition_id, self.setup.clock.now()).await?)
    }

    async fn dress_of(&self, version: &str) -> Result<Arc<Dress>, LetterError> {
        if let Some(dress) = self.kept.dresses.get(version) {
            return Ok(dress);
        }
        let templates = Box::pin(self.setup.templates.of_version(&self.setup.db.pool, version, self.setup.clock.now())).await?;
        let dress = Dress { templates, tips: Shelf::default(), broadcasts: Shelf::default() };
        Ok(self.kept.dresses.put(version.to_owned(), DRESSES, dress))
    }

    pub(super) async fn tip(&self, dress: &Dress, revision: i64) -> Result<Arc<ReadyTip>, LetterError> {
        if let Some(tip) = dress.tips.get(&revision) {
            return Ok(tip);
        }
        let read = async { contents::tip(&mut *self.setup.db.pool.acquire().await?, revision).await };
        let text = Box::pin(read).await?;
        Ok(dress.tips.put(revision, KEPT, unharmed(|| Ok(dress.templates.ready_tip(&text)?))?))
    }

    pub(super) async fn broadcast(&self, dress: &Dress, claimed: &Claimed) -> Result<Arc<ReadyBroadcast>, LetterError> {
        if let Some(broadcast) = claimed.edition_id.and_then(|edition_id| dress.broadcasts.get(&edition_id)) {
            return Ok(broadcast);
        }
        let ready = ready(dress, Box::pin(self.read_broadcast(claimed)).await?)?;
        Ok(match claimed.edition_id {
            Some(edition_id) => dress.broadcasts.put(edition_id, KEPT, ready),
            None => Arc::new(ready),
        })
    }

    async fn read_broadcast(&self, claimed: &Claimed) -> Result<contents::Broadcast, LetterError> {
        let mut conn = self.setup.db.pool.acquire().await?;
        Ok(match claimed.edition_id {
            Some(edition_id) => contents::broadcast(&mut conn, edition_id).await?,
            None => contents::broadcast_of(&mut conn, frozen(claimed, "campaign").context("this delivery has no edition")?).await?,
        })
    }

    pub(super) async fn topic(&self, id: i64) -> Result<Arc<Topic>, LetterError> {
        if let Some(topic) = self.kept.topics.get(&id) {
            return Ok(topic);
        }
        let read = async { contents::topic(&mut *self.setup.db.pool.acquire().await?, id).await };
        let topic = Box::pin(read).await?;
        Ok(self.kept.topics.put(id, KEPT, topic))
    }
}

fn ready(dress: &Dress, read: contents::Broadcast) -> anyhow::Result<ReadyBroadcast> {
    let text = unharmed(|| Ok(dress.templates.ready_tip(&read.text)?))?;
    Ok(ReadyBroadcast { text, program: read.program })
}

/// Things of one kind by their keys.
#[derive(Debug)]
struct Shelf<K, T>(RwLock<HashMap<K, Arc<T>>>);

impl<K, T> Default for Shelf<K, T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, T> Shelf<K, T> {
    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        self.0.read().expect("no holder panics").get(key).cloned()
    }

    // What somebody else put there meanwhile stays: its things are in use.
    fn put(&self, key: K, room: usize, thing: T) -> Arc<T> {
        let mut shelf = self.0.write().expect("no holder panics");
        if shelf.len() >= room {
            shelf.clear();
        }
        shelf.entry(key).or_insert_with(|| Arc::new(thing)).clone()
    }
}
