//! From a claimed delivery to the bytes of its mail: its tip, its broadcast or its notice, rendered for one person, built, signed.
//!
//! What does not change between mails is `kept`; `made` makes one person's mail out of it, `test_mail` one for an operator. A delivery
//! whose mail cannot be made ends with the reason; no other is touched.

mod kept;
mod made;
mod test_mail;

use super::{
    super::{
        ledger::{claim::Claimed, contents::Topic},
        render::{Foot, ReadyTip, Rendered, Templates, check::Wanted, may_link},
        versions::VersionError,
    },
    Setup,
};
use crate::base::address::EmailAddress;
use anyhow::Context;
use jiff::Timestamp;
use kept::{Kept, ReadyBroadcast};
use made::OwnLinks;
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
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
    /// Its edition began with templates that this binary cannot use: no fault of this mail.
    #[error("{0}")]
    Templates(String),
}

impl From<VersionError> for LetterError {
    fn from(error: VersionError) -> Self {
        match error {
            VersionError::Database(error) => error.into(),
            other => Self::Templates(other.to_string()),
        }
    }
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
    kept: Kept,
}

impl Letters {
    /// Makes letters for `setup`'s publisher.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, kept: Kept::default() }
    }

    /// Reads what a delivery's mail is made of; nothing after this needs the database.
    pub async fn ready<'a>(&self, claimed: &'a Claimed) -> Result<Ready<'a>, LetterError> {
        let claimed = match claimed.subscriber_id {
            Some(_) => Cow::Borrowed(claimed),
            None => Cow::Owned(Box::pin(self.of_test(claimed)).await?),
        };
        let shared = self.shared(&claimed).await?;
        Ok(Ready { claimed, shared })
    }

    /// The mail of a delivery, signed.
    pub fn make(&self, ready: &Ready<'_>) -> anyhow::Result<Letter> {
        let mut letter = self.draft(&ready.claimed, &ready.shared)?.letter;
        if let Some(signer) = &self.setup.signer {
            letter.bytes = unharmed(|| Ok(signer.sign(&letter.bytes, self.setup.clock.now())?))?;
        }
        Ok(letter)
    }

    /// What the mail of a delivery shares with others: read and made ready once, and kept.
    pub async fn shared(&self, claimed: &Claimed) -> Result<Shared, LetterError> {
        let dress = self.dress(claimed).await?;
        let words = match claimed.template.as_str() {
            "weekly_tip" => Words::Tip(self.tip(&dress, claimed.tip_revision_id.context("this delivery has no tip")?).await?),
            "broadcast" => Words::Broadcast(self.broadcast(&dress, claimed).await?),
            _ => Words::Notice,
        };
        let topic = match claimed.topic_id {
            Some(topic_id) => Some(self.topic(topic_id).await?),
            None => None,
        };
        Ok(Shared { templates: dress.templates.clone(), words, topic, at: self.setup.clock.now() })
    }

    /// The mail of a delivery without its signature, and what must be found in it. Never panics; needs no database.
    pub fn draft(&self, claimed: &Claimed, shared: &Shared) -> anyhow::Result<Draft> {
        unharmed(|| {
            let made = match &shared.words {
                Words::Tip(tip) => self.make_tip(claimed, shared, tip)?,
                Words::Broadcast(broadcast) => self.make_broadcast(claimed, shared, broadcast)?,
                Words::Notice => self.make_notice(claimed, shared)?,
            };
            self.build(claimed, shared, made)
        })
    }

    /// Whether mails are signed.
    pub fn signs(&self) -> bool {
        self.setup.signer.is_some()
    }

    /// Whether its links begin with an address that a mail may link to.
    pub fn is_reachable(&self) -> bool {
        may_link(&self.setup.site_url)
    }
}

/// A delivery, with all that its mail is made of.
#[derive(Debug)]
pub struct Ready<'a> {
    claimed: Cow<'a, Claimed>,
    shared: Shared,
}

/// What many mails share.
#[derive(Debug, Clone)]
pub struct Shared {
    templates: Arc<Templates>,
    words: Words,
    topic: Option<Arc<Topic>>,
    /// When it was put together: before its mail is marked, so that no mail promises more than its mark begins.
    at: Timestamp,
}

impl Shared {
    /// The addresses that its words link to and a mail may not.
    pub fn lost_links(&self) -> &[String] {
        match &self.words {
            Words::Tip(tip) => tip.lost_links(),
            Words::Broadcast(broadcast) => broadcast.text.lost_links(),
            Words::Notice => &[],
        }
    }
}

#[derive(Debug, Clone)]
enum Words {
    Tip(Arc<ReadyTip>),
    Broadcast(Arc<ReadyBroadcast>),
    Notice,
}

/// A mail that was made and not signed, and what must be found in it.
#[derive(Debug)]
pub struct Draft {
    /// The mail.
    pub letter: Letter,
    /// What it says.
    pub rendered: Rendered,
    foot: Foot,
    button: Option<String>,
    links: OwnLinks,
    postal_address: String,
}

impl Draft {
    /// What must be found in it.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            foot: self.foot,
            button_url: self.button.as_deref(),
            preferences_url: &self.links.preferences,
            unsubscribe_url: self.links.unsubscribe.as_deref().unwrap_or_default(),
            entry_url: self.links.entry.as_deref().unwrap_or_default(),
            postal_address: &self.postal_address,
        }
    }
}

fn frozen(claimed: &Claimed, what: &str) -> Option<i64> {
    claimed.context.as_ref().and_then(|context| context.get(what)).and_then(serde_json::Value::as_i64)
}

// A panic over one mail is the end of that delivery, not of the pump.
fn unharmed<T>(make: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err(anyhow::anyhow!("the making of this mail panicked")))
}
