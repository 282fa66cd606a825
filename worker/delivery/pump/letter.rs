//! From a claimed delivery to the bytes of its mail: its tip, its broadcast or its notice, rendered for one person, built, signed.
//!
//! What does not change between mails (a tip's revision, a topic, a broadcast) is read and made ready once and kept. A delivery whose mail
//! cannot be made ends with the reason; no other is touched.

mod test_mail;

use super::{
    super::{
        ledger::{
            claim::Claimed,
            contents::{self, Topic},
        },
        message::{self, ListHeaders, Parts},
        message_id,
        render::{
            Because, Broadcast, Button, Entry, Foot, Links, Notice, ReadyTip, RenderError, Rendered, Templates, WeeklyTip, check::Wanted,
            may_link,
        },
        versions::VersionError,
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
    topics: Kept<Topic>,
    /// By the versions of their templates.
    dresses: RwLock<HashMap<String, Arc<Dress>>>,
    /// By their editions.
    dressed: Kept<Dress>,
    /// By their editions.
    broadcasts: Kept<ReadyBroadcast>,
}

type Kept<T> = RwLock<HashMap<i64, Arc<T>>>;

/// More revisions than a year of weekly tips of many series; then all are read anew.
const KEPT: usize = 1000;

/// More versions of the templates than the editions of a day have; then all are asked for anew.
const DRESSES: usize = 8;

/// A version of the templates, and the tips that were made ready with it.
#[derive(Debug)]
struct Dress {
    templates: Arc<Templates>,
    tips: Kept<ReadyTip>,
}

impl Letters {
    /// Makes letters for `setup`'s publisher.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, topics: Kept::default(), dresses: RwLock::default(), dressed: Kept::default(), broadcasts: Kept::default() }
    }

    /// The mail of a delivery.
    pub async fn make(&self, claimed: &Claimed) -> Result<Letter, LetterError> {
        let mut letter = match claimed.subscriber_id {
            Some(_) => self.draft(claimed, &self.shared(claimed).await?)?.letter,
            None => self.test(claimed).await?,
        };
        if let Some(signer) = &self.setup.signer {
            letter.bytes = signer.sign(&letter.bytes, self.setup.clock.now()).map_err(anyhow::Error::from)?;
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
        Ok(Shared { templates: dress.templates.clone(), words, topic })
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

    /// The newest templates are those of an edition that stands in the database for no other connection.
    pub fn know_edition(&self, edition_id: i64) {
        keep_shared(&self.dressed, edition_id, self.dress_of(self.setup.templates.newest()));
    }

    /// Keeps the words of an edition that stands in the database for no other connection.
    pub fn know_broadcast(&self, edition_id: i64, read: contents::Broadcast) -> Result<(), RenderError> {
        let text = self.setup.templates.newest().ready_tip(&read.text)?;
        keep(&self.broadcasts, edition_id, ReadyBroadcast { text, program: read.program });
        Ok(())
    }

    /// Whether mails are signed.
    pub fn signs(&self) -> bool {
        self.setup.signer.is_some()
    }

    /// Whether its links begin with an address that a mail may link to.
    pub fn is_reachable(&self) -> bool {
        may_link(&self.setup.site_url)
    }

    fn make_tip(&self, claimed: &Claimed, shared: &Shared, tip: &ReadyTip) -> anyhow::Result<Made> {
        let way_out = self.way_out(claimed, shared)?;
        let links = self.links(claimed, Some(&way_out), None);
        let mail = WeeklyTip {
            tip,
            topic: &way_out.topic.name,
            name: claimed.name.as_deref(),
            preferences_url: &links.preferences,
            unsubscribe_url: &way_out.url,
        };
        let rendered = shared.templates.render_weekly_tip(&mail)?;
        Ok(Made { rendered, foot: Foot::Topic, links, button: None, names: true, leaves_waitlist: false, auto_submitted: false })
    }

    fn make_broadcast(&self, claimed: &Claimed, shared: &Shared, broadcast: &ReadyBroadcast) -> anyhow::Result<Made> {
        let way_out = match &broadcast.program {
            None => Some(self.way_out(claimed, shared)?),
            Some(_) => None,
        };
        let place = match (&broadcast.program, claimed.subscriber_id) {
            (Some(_), None) => Some(links::inert(&self.setup, claimed.key.id)),
            (Some((_, slug)), Some(_)) => Some(links::entry(&self.setup, slug, entry(claimed)?)),
            (None, _) => None,
        };
        let links = self.links(claimed, way_out.as_ref(), place);
        let because = match (&way_out, &broadcast.program, &links.entry) {
            (Some(way_out), ..) => Because::Topic { name: &way_out.topic.name, unsubscribe_url: &way_out.url },
            (None, Some((program, _)), Some(entry_url)) => Because::Waitlist { program, entry_url },
            _ => anyhow::bail!("this broadcast goes to nobody"),
        };
        let mail = Broadcast { text: &broadcast.text, because, name: claimed.name.as_deref(), preferences_url: &links.preferences };
        let rendered = shared.templates.render_broadcast(&mail)?;
        // Without a List-Id it would be answered by those who are out of their office.
        let to_waitlist = way_out.is_none();
        let foot = if to_waitlist { Foot::Waitlist } else { Foot::Topic };
        Ok(Made { rendered, foot, links, button: None, names: true, leaves_waitlist: to_waitlist, auto_submitted: to_waitlist })
    }

    fn make_notice(&self, claimed: &Claimed, shared: &Shared) -> anyhow::Result<Made> {
        let frozen = claimed.context.as_ref().unwrap_or(&serde_json::Value::Null);
        let notice = Notice::read(&claimed.template, frozen)?;
        let way_out = match notice.foot() {
            Foot::Topic => Some(self.way_out(claimed, shared)?),
            Foot::Unproven | Foot::Person | Foot::Waitlist => None,
        };
        let entry_url = notice.entry().map(|Entry { slug, entry }| links::entry(&self.setup, slug, entry));
        let own = self.links(claimed, way_out.as_ref(), entry_url);
        let button = match notice.button() {
            Button::Confirm { signup } => links::confirm(&self.setup, signup),
            Button::Preferences => own.preferences.clone(),
            Button::Entry(Entry { slug, entry }) => links::entry(&self.setup, slug, entry),
            Button::Offer { offer } => links::offer(&self.setup, offer),
            Button::Program { slug } => links::program(&self.setup, slug),
        };
        // What a stranger may have caused greets nobody by name.
        let names = notice.foot() != Foot::Unproven;
        let name = claimed.name.as_deref().filter(|_| names);
        let preferences = Some(own.preferences.as_str());
        let links = Links { button: &button, preferences, unsubscribe: own.unsubscribe.as_deref(), entry: own.entry.as_deref() };
        // Its mark is still to come, unless there was one: what it promises ends no later than what the mark begins.
        let from = claimed.handed_over_at.unwrap_or_else(|| self.setup.clock.now());
        let rendered = shared.templates.render_notice(&notice, name, &links, from)?;
        let foot = notice.foot();
        Ok(Made { rendered, foot, links: own, button: Some(button), names, leaves_waitlist: false, auto_submitted: true })
    }

    fn build(&self, claimed: &Claimed, shared: &Shared, mut made: Made) -> anyhow::Result<Draft> {
        let setup = &*self.setup;
        if claimed.subscriber_id.is_none() {
            made.rendered.subject.insert_str(0, "[Test] ");
        }
        let to = EmailAddress::parse(&claimed.address).context("the address of this subscriber is none")?;
        let domain = setup.from.address.domain();
        let message_id = message_id(claimed.key, &setup.db.label, domain);
        let topic = shared.topic.as_ref().filter(|_| made.links.unsubscribe.is_some());
        let list_id = topic.map(|topic| format!("{}.{domain}", topic.list_label));
        let waitlist = made.links.entry.as_deref().filter(|_| made.leaves_waitlist);
        let unsubscribe = made.links.unsubscribe.as_deref().or(waitlist);
        let list = unsubscribe.map(|unsubscribe| ListHeaders { id: list_id.as_deref(), unsubscribe });
        let bytes = message::build(&Parts {
            message_id: &message_id,
            date: setup.clock.now(),
            from: &setup.from,
            to: &to,
            to_name: claimed.name.as_deref().filter(|_| made.names),
            subject: &made.rendered.subject,
            text: &made.rendered.text,
            html: &made.rendered.html,
            list,
            auto_submitted: made.auto_submitted,
            language: Some(&setup.templates.site().lang),
        })?;
        let letter = Letter { to, message_id, bytes };
        let postal_address = setup.templates.site().postal_address.clone();
        Ok(Draft { letter, rendered: made.rendered, foot: made.foot, button: made.button, links: made.links, postal_address })
    }

    fn links(&self, claimed: &Claimed, way_out: Option<&WayOut>, entry: Option<String>) -> OwnLinks {
        let preferences = match claimed.subscriber_id {
            Some(subscriber_id) => links::preferences(&self.setup, subscriber_id),
            None => links::inert(&self.setup, claimed.key.id),
        };
        OwnLinks { preferences, unsubscribe: way_out.map(|way_out| way_out.url.clone()), entry }
    }

    fn way_out(&self, claimed: &Claimed, shared: &Shared) -> anyhow::Result<WayOut> {
        let topic_id = claimed.topic_id.context("this delivery has no topic")?;
        let topic = shared.topic.clone().context("this delivery has no topic")?;
        let url = match claimed.subscriber_id {
            Some(subscriber_id) => links::unsubscribe(&self.setup, subscriber_id, topic_id),
            None => links::inert(&self.setup, claimed.key.id),
        };
        Ok(WayOut { url, topic })
    }

    // What its edition began with; what belongs to none is made with the newest. Asked for once in an edition, not for each mail.
    async fn dress(&self, claimed: &Claimed) -> Result<Arc<Dress>, LetterError> {
        let Some(edition_id) = claimed.edition_id else { return Ok(self.dress_of(self.setup.templates.newest())) };
        if let Some(dress) = kept(&self.dressed, edition_id) {
            return Ok(dress);
        }
        let mut conn = self.setup.db.pool.acquire().await?;
        let templates = self.setup.templates.of_edition(&mut conn, edition_id, self.setup.clock.now()).await?;
        Ok(keep_shared(&self.dressed, edition_id, self.dress_of(templates)))
    }

    fn dress_of(&self, templates: Arc<Templates>) -> Arc<Dress> {
        let version = templates.files().version();
        if let Some(dress) = self.dresses.read().expect("no holder panics").get(version) {
            return dress.clone();
        }
        let mut dresses = self.dresses.write().expect("no holder panics");
        if dresses.len() >= DRESSES {
            dresses.clear();
            self.dressed.write().expect("no holder panics").clear();
        }
        let new = || Arc::new(Dress { templates: templates.clone(), tips: Kept::default() });
        dresses.entry(version.to_owned()).or_insert_with(new).clone()
    }

    async fn tip(&self, dress: &Dress, revision: i64) -> Result<Arc<ReadyTip>, LetterError> {
        if let Some(tip) = kept(&dress.tips, revision) {
            return Ok(tip);
        }
        let text = contents::tip(&mut *self.setup.db.pool.acquire().await?, revision).await?;
        Ok(keep(&dress.tips, revision, dress.templates.ready_tip(&text).map_err(anyhow::Error::from)?))
    }

    async fn broadcast(&self, dress: &Dress, claimed: &Claimed) -> Result<Arc<ReadyBroadcast>, LetterError> {
        if let Some(broadcast) = claimed.edition_id.and_then(|edition_id| kept(&self.broadcasts, edition_id)) {
            return Ok(broadcast);
        }
        let mut conn = self.setup.db.pool.acquire().await?;
        let read = match claimed.edition_id {
            Some(edition_id) => contents::broadcast(&mut conn, edition_id).await?,
            None => contents::broadcast_of(&mut conn, frozen(claimed, "campaign").context("this delivery has no edition")?).await?,
        };
        let text = dress.templates.ready_tip(&read.text).map_err(anyhow::Error::from)?;
        let ready = ReadyBroadcast { text, program: read.program };
        Ok(match claimed.edition_id {
            Some(edition_id) => keep(&self.broadcasts, edition_id, ready),
            None => Arc::new(ready),
        })
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

/// What many mails share.
#[derive(Debug, Clone)]
pub struct Shared {
    templates: Arc<Templates>,
    words: Words,
    topic: Option<Arc<Topic>>,
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

/// One person's own links.
#[derive(Debug)]
struct OwnLinks {
    preferences: String,
    unsubscribe: Option<String>,
    entry: Option<String>,
}

/// A rendered mail, and what its headers say.
struct Made {
    rendered: Rendered,
    foot: Foot,
    links: OwnLinks,
    button: Option<String>,
    /// Whether it may name her.
    names: bool,
    /// The page of her place is where a letter to everybody who waits is left by one click.
    leaves_waitlist: bool,
    auto_submitted: bool,
}

// The entry by which she waits is all that the delivery of a broadcast freezes.
fn entry(claimed: &Claimed) -> anyhow::Result<i64> {
    frozen(claimed, "entry").context("this delivery names no entry")
}

fn frozen(claimed: &Claimed, what: &str) -> Option<i64> {
    claimed.context.as_ref().and_then(|context| context.get(what)).and_then(serde_json::Value::as_i64)
}

// A panic over one mail is the end of that delivery, not of the pump.
fn unharmed<T>(make: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err(anyhow::anyhow!("the making of this mail panicked")))
}

fn kept<T>(kept: &Kept<T>, id: i64) -> Option<Arc<T>> {
    kept.read().expect("no holder panics").get(&id).cloned()
}

fn keep<T>(kept: &Kept<T>, id: i64, thing: T) -> Arc<T> {
    keep_shared(kept, id, Arc::new(thing))
}

fn keep_shared<T>(kept: &Kept<T>, id: i64, thing: Arc<T>) -> Arc<T> {
    let mut kept = kept.write().expect("no holder panics");
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(id, thing.clone());
    thing
}
