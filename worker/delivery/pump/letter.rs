//! From a claimed delivery to the bytes of its mail: its tip, its broadcast or its notice, rendered for one person, built, signed.
//!
//! What does not change between mails (a tip's revision, a topic, a broadcast) is read and made ready once and kept. A delivery whose mail
//! cannot be made ends with the reason; no other is touched.

use super::{
    super::{
        ledger::{
            claim::Claimed,
            contents::{self, Topic},
        },
        message::{self, ListHeaders, Parts},
        message_id,
        render::{Because, Broadcast, Button, Entry, Foot, Links, Notice, ReadyTip, Rendered, WeeklyTip},
    },
    Setup, links,
};
use crate::base::address::EmailAddress;
use anyhow::Context;
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
    /// By their editions.
    broadcasts: Kept<ReadyBroadcast>,
}

type Kept<T> = RwLock<HashMap<i64, Arc<T>>>;

/// More revisions than a year of weekly tips of many series; then all are read anew.
const KEPT: usize = 1000;

impl Letters {
    /// Makes letters for `setup`'s publisher.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, tips: Kept::default(), topics: Kept::default(), broadcasts: Kept::default() }
    }

    /// The mail of a delivery.
    pub async fn make(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        match claimed.template.as_str() {
            "weekly_tip" => self.make_tip(claimed).await,
            "broadcast" => self.make_broadcast(claimed).await,
            template => self.make_notice(claimed, template).await,
        }
    }

    async fn make_tip(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        let revision = claimed.tip_revision_id.context("this delivery has no tip")?;
        let (tip, way_out) = (self.tip(revision).await?, self.way_out(claimed).await?);
        unharmed(|| {
            let preferences_url = links::preferences(&self.setup, subscriber(claimed)?);
            let mail = WeeklyTip {
                tip: &tip,
                topic: &way_out.topic.name,
                name: claimed.name.as_deref(),
                preferences_url: &preferences_url,
                unsubscribe_url: &way_out.url,
            };
            let rendered = self.setup.templates.render_weekly_tip(&mail)?;
            self.finish(
                claimed,
                &Made { rendered, to_name: claimed.name.as_deref(), way_out: Some(&way_out), leave_waitlist: None, auto_submitted: false },
            )
        })
    }

    async fn make_broadcast(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        let broadcast = self.broadcast(claimed.edition_id.context("this delivery has no edition")?).await?;
        let way_out = match &broadcast.program {
            None => Some(self.way_out(claimed).await?),
            Some(_) => None,
        };
        unharmed(|| {
            let preferences_url = links::preferences(&self.setup, subscriber(claimed)?);
            let place =
                broadcast.program.as_ref().map(|(program, slug)| anyhow::Ok((program, links::entry(&self.setup, slug, entry(claimed)?))));
            let place = place.transpose()?;
            let because = match (&way_out, &place) {
                (Some(way_out), _) => Because::Topic { name: &way_out.topic.name, unsubscribe_url: &way_out.url },
                (None, Some((program, entry_url))) => Because::Waitlist { program, entry_url },
                (None, None) => anyhow::bail!("this broadcast goes to nobody"),
            };
            let (name, leave_waitlist) = (claimed.name.as_deref(), place.as_ref().map(|(_, url)| url.as_str()));
            let mail = Broadcast { text: &broadcast.text, because, name, preferences_url: &preferences_url };
            let rendered = self.setup.templates.render_broadcast(&mail)?;
            // Without a List-Id it would be answered by those who are out of their office.
            let auto_submitted = way_out.is_none();
            self.finish(claimed, &Made { rendered, to_name: name, way_out: way_out.as_ref(), leave_waitlist, auto_submitted })
        })
    }

    async fn make_notice(&self, claimed: &Claimed, template: &str) -> Result<Letter, LetterError> {
        let frozen = claimed.context.as_ref().unwrap_or(&serde_json::Value::Null);
        let notice = Notice::read(template, frozen).map_err(anyhow::Error::from)?;
        let way_out = match notice.foot() {
            Foot::Topic => Some(self.way_out(claimed).await?),
            Foot::Unproven | Foot::Person | Foot::Waitlist => None,
        };
        unharmed(|| {
            let preferences_url = links::preferences(&self.setup, subscriber(claimed)?);
            let entry_url = notice.entry().map(|Entry { slug, entry }| links::entry(&self.setup, slug, entry));
            let button = match notice.button() {
                Button::Confirm { signup } => links::confirm(&self.setup, signup),
                Button::Preferences => preferences_url.clone(),
                Button::Entry(Entry { slug, entry }) => links::entry(&self.setup, slug, entry),
                Button::Offer { offer } => links::offer(&self.setup, offer),
                Button::Program { slug } => links::program(&self.setup, slug),
            };
            // What a stranger may have caused greets nobody by name.
            let name = claimed.name.as_deref().filter(|_| notice.foot() != Foot::Unproven);
            let unsubscribe = way_out.as_ref().map(|way_out| way_out.url.as_str());
            let links = Links { button: &button, preferences: Some(&preferences_url), unsubscribe, entry: entry_url.as_deref() };
            // Its mark is still to come, unless there was one: what it promises ends no later than what the mark begins.
            let from = claimed.handed_over_at.unwrap_or_else(|| self.setup.clock.now());
            let rendered = self.setup.templates.render_notice(&notice, name, &links, from)?;
            self.finish(claimed, &Made { rendered, to_name: name, way_out: way_out.as_ref(), leave_waitlist: None, auto_submitted: true })
        })
    }

    fn finish(&self, claimed: &Claimed, made: &Made<'_>) -> anyhow::Result<Letter> {
        let setup = &*self.setup;
        let to = EmailAddress::parse(&claimed.address).context("the address of this subscriber is none")?;
        let domain = setup.from.address.domain();
        let message_id = message_id(claimed.key, &setup.db.label, domain);
        let list_id = made.way_out.map(|way_out| format!("{}.{domain}", way_out.topic.list_label));
        let unsubscribe = made.way_out.map(|way_out| way_out.url.as_str()).or(made.leave_waitlist);
        let list = unsubscribe.map(|unsubscribe| ListHeaders { id: list_id.as_deref(), unsubscribe });
        let mut bytes = message::build(&Parts {
            message_id: &message_id,
            date: setup.clock.now(),
            from: &setup.from,
            to: &to,
            to_name: made.to_name,
            subject: &made.rendered.subject,
            text: &made.rendered.text,
            html: &made.rendered.html,
            list,
            auto_submitted: made.auto_submitted,
            language: Some(&setup.templates.site().lang),
        })?;
        if let Some(signer) = &setup.signer {
            bytes = signer.sign(&bytes, setup.clock.now())?;
        }
        Ok(Letter { to, message_id, bytes })
    }

    async fn way_out(&self, claimed: &Claimed) -> Result<WayOut, LetterError> {
        let topic_id = claimed.topic_id.context("this delivery has no topic")?;
        let topic = self.topic(topic_id).await?;
        Ok(WayOut { url: links::unsubscribe(&self.setup, subscriber(claimed)?, topic_id), topic })
    }

    async fn tip(&self, revision: i64) -> Result<Arc<ReadyTip>, LetterError> {
        if let Some(tip) = kept(&self.tips, revision) {
            return Ok(tip);
        }
        let text = contents::tip(&mut *self.setup.db.pool.acquire().await?, revision).await?;
        Ok(keep(&self.tips, revision, self.setup.templates.ready_tip(&text).map_err(anyhow::Error::from)?))
    }

    async fn broadcast(&self, edition_id: i64) -> Result<Arc<ReadyBroadcast>, LetterError> {
        if let Some(broadcast) = kept(&self.broadcasts, edition_id) {
            return Ok(broadcast);
        }
        let read = contents::broadcast(&mut *self.setup.db.pool.acquire().await?, edition_id).await?;
        let text = self.setup.templates.ready_tip(&read.text).map_err(anyhow::Error::from)?;
        Ok(keep(&self.broadcasts, edition_id, ReadyBroadcast { text, program: read.program }))
    }

    async fn topic(&self, id: i64) -> Result<Arc<Topic>, LetterError> {
        if let Some(topic) = kept(&self.topics, id) {
            return Ok(topic);
        }
        let topic = contents::topic(&mut *self.setup.db.pool.acquire().await?, id).await?;
        Ok(keep(&self.topics, id, topic))
    }
}

/// A broadcast, rendered as far as all its mails share it.
#[derive(Debug)]
struct ReadyBroadcast {
    text: ReadyTip,
    program: Option<(String, String)>,
}

/// A topic, and one person's link out of it.
struct WayOut {
    topic: Arc<Topic>,
    url: String,
}

/// A rendered mail, and what its headers say.
struct Made<'a> {
    rendered: Rendered,
    to_name: Option<&'a str>,
    way_out: Option<&'a WayOut>,
    /// The page on which somebody who waits is out by one click; of a letter to everybody.
    leave_waitlist: Option<&'a str>,
    auto_submitted: bool,
}

fn subscriber(claimed: &Claimed) -> anyhow::Result<i64> {
    claimed.subscriber_id.context("this delivery has no subscriber")
}

// The entry by which she waits is all that the delivery of a broadcast freezes.
fn entry(claimed: &Claimed) -> anyhow::Result<i64> {
    let frozen = claimed.context.as_ref().and_then(|context| context.get("entry"));
    frozen.and_then(serde_json::Value::as_i64).context("this delivery names no entry")
}

// A panic over one mail is the end of that delivery, not of the pump.
fn unharmed(make: impl FnOnce() -> anyhow::Result<Letter>) -> Result<Letter, LetterError> {
    let made = catch_unwind(AssertUnwindSafe(make));
    Ok(made.unwrap_or_else(|_| Err(anyhow::anyhow!("the making of this mail panicked")))?)
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
