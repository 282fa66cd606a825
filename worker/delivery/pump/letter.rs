//! From a claimed delivery to the bytes of its mail: what the tip says, rendered for one person, built, signed.
//!
//! What does not change between mails (a tip's revision, a topic) is read and made ready once and kept.

use super::{
    super::{
        ledger::{
            claim::Claimed,
            contents::{self, Topic},
        },
        message::{self, ListHeaders, Parts},
        message_id,
        render::{ReadyTip, WeeklyTip},
    },
    Setup,
};
use crate::base::{
    address::EmailAddress,
    token::{self, UnsubscribeToken},
};
use anyhow::{Context, ensure};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, RwLock},
};

/// A mail, ready to be handed over.
#[derive(Debug)]
pub struct Letter {
    /// The recipient.
    pub to: EmailAddress,
    /// With its angle brackets.
    pub message_id: String,
    /// The message, signed.
    pub bytes: Vec<u8>,
}

/// Why there is no letter.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The database did not answer: nobody's fault, to be tried again.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// This mail cannot be made, however often it is tried: the end of its delivery.
    #[error("{0:#}")]
    Unmakeable(#[from] anyhow::Error),
}

impl From<sqlx::Error> for LetterError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // What is not there, or not readable, will not be at the next try either.
            sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Unmakeable(error.into()),
            other => Self::Database(other),
        }
    }
}

/// Makes letters, and keeps what many of them share.
#[derive(Debug)]
pub struct Letters {
    setup: Arc<Setup>,
    tips: Kept<ReadyTip>,
    topics: Kept<Topic>,
}

type Kept<T> = RwLock<HashMap<i64, Arc<T>>>;

/// More revisions than a year of weekly tips of many series; then all are read anew.
const KEPT: usize = 1000;

impl Letters {
    /// Makes letters for `setup`'s publisher.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, tips: Kept::default(), topics: Kept::default() }
    }

    /// The mail of a delivery.
    pub async fn make(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        let revision = claimed.tip_revision_id.context("this delivery has no tip")?;
        let topic_id = claimed.topic_id.context("this delivery has no topic")?;
        let (tip, topic) = (self.tip(revision).await?, self.topic(topic_id).await?);
        // A panic over one mail is the end of that delivery, not of the pump.
        let made = catch_unwind(AssertUnwindSafe(|| self.weekly_tip(claimed, topic_id, &tip, &topic)));
        Ok(made.unwrap_or_else(|_| Err(anyhow::anyhow!("the making of this mail panicked")))?)
    }

    fn weekly_tip(&self, claimed: &Claimed, topic_id: i64, tip: &ReadyTip, topic: &Topic) -> anyhow::Result<Letter> {
        ensure!(claimed.template == "weekly_tip", "there is no template `{}`", claimed.template);
        let to = EmailAddress::parse(&claimed.address).context("the address of this subscriber is none")?;
        let subscriber_id = claimed.subscriber_id.context("this delivery has no subscriber")?;
        let setup = &*self.setup;
        let token = token::unsubscribe(&setup.keyring, UnsubscribeToken { subscriber_id, topic_id });
        let unsubscribe_url = format!("{}/u/{token}", setup.site_url);
        let mail = WeeklyTip { tip, topic: &topic.name, name: claimed.name.as_deref(), unsubscribe_url: &unsubscribe_url };
        let rendered = setup.templates.render_weekly_tip(&mail)?;
        let domain = setup.from.address.domain();
        let message_id = message_id(claimed.key, &setup.db.label, domain);
        let mut bytes = message::build(&Parts {
            message_id: &message_id,
            date: setup.clock.now(),
            from: &setup.from,
            to: &to,
            to_name: claimed.name.as_deref(),
            subject: &rendered.subject,
            text: &rendered.text,
            html: &rendered.html,
            list: Some(ListHeaders { id: &format!("{}.{domain}", topic.list_label), unsubscribe: &unsubscribe_url }),
            language: Some(&setup.templates.site().lang),
        })?;
        if let Some(signer) = &setup.signer {
            bytes = signer.sign(&bytes, setup.clock.now())?;
        }
        Ok(Letter { to, message_id, bytes })
    }

    async fn tip(&self, revision: i64) -> Result<Arc<ReadyTip>, LetterError> {
        if let Some(tip) = kept(&self.tips, revision) {
            return Ok(tip);
        }
        let text = contents::tip(&mut *self.setup.db.pool.acquire().await?, revision).await?;
        Ok(keep(&self.tips, revision, self.setup.templates.ready_tip(&text).map_err(anyhow::Error::from)?))
    }

    async fn topic(&self, id: i64) -> Result<Arc<Topic>, LetterError> {
        if let Some(topic) = kept(&self.topics, id) {
            return Ok(topic);
        }
        let topic = contents::topic(&mut *self.setup.db.pool.acquire().await?, id).await?;
        Ok(keep(&self.topics, id, topic))
    }
}

fn kept<T>(kept: &Kept<T>, id: i64) -> Option<Arc<T>> {
    kept.read().expect("no holder panics").get(&id).cloned()
}

fn keep<T>(kept: &Kept<T>, id: i64, thing: T) -> Arc<T> {
    let mut kept = kept.write().expect("no holder panics");
    if kept.len() >= KEPT {
        kept.clear();
    }
    let thing = Arc::new(thing);
    kept.insert(id, thing.clone());
    thing
}
