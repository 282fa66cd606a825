//! All that is known of one person, for an operator who asks why she did or did not get a mail.
//!
//! Read only. Called by `tidings subscriber show` and, with everything that there is, by `export`.

pub(super) mod store;
pub(super) mod waits;

use crate::{
    audience::suppression,
    base::{address::EmailAddress, keys::Keyring},
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use sqlx::PgConnection;
use waits::Waiting;

/// What is known of an address.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The whole address: hers if she is a subscriber, else the one that was asked for.
    pub email: String,
    /// Her own particulars, if she is a subscriber.
    pub subscriber: Option<Particulars>,
    /// Her standing with each topic.
    pub topics: Vec<TopicStanding>,
    /// Her entries on waitlists, the oldest first.
    pub waitlists: Vec<Waiting>,
    /// What she agreed to and withdrew, the oldest first.
    pub consents: Vec<ConsentAct>,
    /// What stands or stood against the address, the oldest first.
    pub suppressions: Vec<SuppressionRecord>,
    /// The latest deliveries to her, the latest first.
    pub deliveries: Vec<DeliveryRecord>,
}

/// A subscriber's particulars.
#[derive(Debug, Serialize)]
pub struct Particulars {
    /// Her id.
    pub id: i64,
    /// How she is called.
    pub name: Option<String>,
    /// Her time zone; none: the campaign's.
    pub zone: Option<String>,
    /// The date that stage windows are counted from.
    pub stage_date: Option<Date>,
    /// The language that she wants, a BCP 47 tag; none: the publisher's.
    pub language: Option<String>,
    /// Her own day, 1 = Monday; none: the campaign's.
    pub weekday: Option<i16>,
    /// Her own hour on her clock; none: the campaign's.
    pub hour: Option<i16>,
    /// Until when she paused all mail.
    pub paused_until: Option<Timestamp>,
    /// When she was added.
    pub since: Timestamp,
}

/// How she stands with one topic.
#[derive(Debug, Serialize)]
pub struct TopicStanding {
    /// Its name.
    pub topic: String,
    /// unconfirmed, confirmed or unsubscribed.
    pub standing: String,
    /// Since when.
    pub since: Timestamp,
}

/// An act of consent.
#[derive(Debug, Serialize)]
pub struct ConsentAct {
    /// When.
    pub at: Timestamp,
    /// asked, confirmed, withdrawn or restored.
    pub act: String,
    /// The topic; none: everything.
    pub topic: Option<String>,
    /// Where it came from.
    pub source: String,
    /// The words agreed to, or the evidence given.
    pub wording: Option<String>,
}

/// A suppression, standing or lifted.
#[derive(Debug, Serialize)]
pub struct SuppressionRecord {
    /// hard_bounce, complaint, unsubscribe_all, manual or erased.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if it was lifted.
    pub lifted_at: Option<Timestamp>,
    /// Why it was lifted.
    pub lifted_reason: Option<String>,
}

/// A delivery to her.
#[derive(Debug, Serialize)]
pub struct DeliveryRecord {
    /// When it was or is due.
    pub due_at: Timestamp,
    /// Which mail it is: weekly_tip, confirmation, welcome and so on.
    pub mail: String,
    /// Why it may be sent: topic, confirmation, preferences, waitlist.
    pub basis: String,
    /// The campaign and the edition, unless it was of none.
    pub campaign: Option<String>,
    /// The edition's date or instant.
    pub edition: Option<String>,
    /// The subject of the tip that it carries.
    pub subject: Option<String>,
    /// Its state.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// What the relay said.
    pub reply: Option<String>,
    /// Conversations about it that ended with an answer, or in doubt.
    pub attempts: i16,
    /// When it was last handed over.
    pub handing_over_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Gathers what is known of an address, with the latest `deliveries`; `None` when nothing is.
pub async fn find(conn: &mut PgConnection, keyring: &Keyring, address: &EmailAddress, deliveries: i64) -> sqlx::Result<Option<Person>> {
    if let Some((email, particulars)) = store::particulars(conn, address.key()).await? {
        return gather(conn, keyring, email, particulars, deliveries).await.map(Some);
    }
    let suppressions = suppressions(conn, keyring, address).await?;
    Ok((!suppressions.is_empty()).then(|| unknown(address, suppressions)))
}

/// The same of a subscriber, by her id; `None` when there is none, or when she was erased.
pub async fn of_subscriber(conn: &mut PgConnection, keyring: &Keyring, id: i64, deliveries: i64) -> sqlx::Result<Option<Person>> {
    let Some(key) = store::key(conn, id).await? else { return Ok(None) };
    match store::particulars(conn, &key).await? {
        Some((email, particulars)) => gather(conn, keyring, email, particulars, deliveries).await.map(Some),
        None => Ok(None),
    }
}

async fn gather(
    conn: &mut PgConnection,
    keyring: &Keyring,
    email: String,
    particulars: Particulars,
    deliveries: i64,
) -> sqlx::Result<Person> {
    let id = particulars.id;
    let address = EmailAddress::parse(&email).map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    Ok(Person {
        subscriber: Some(particulars),
        topics: store::topics(conn, id).await?,
        waitlists: waits::of(conn, id).await?,
        consents: store::consents(conn, id).await?,
        suppressions: suppressions(conn, keyring, &address).await?,
        deliveries: store::deliveries(conn, id, deliveries).await?,
        email,
    })
}

async fn suppressions(conn: &mut PgConnection, keyring: &Keyring, address: &EmailAddress) -> sqlx::Result<Vec<SuppressionRecord>> {
    Ok(suppression::history(conn, keyring, address).await?.into_iter().map(record).collect())
}

fn unknown(address: &EmailAddress, suppressions: Vec<SuppressionRecord>) -> Person {
    Person {
        email: address.as_given().to_owned(),
        subscriber: None,
        topics: Vec::new(),
        waitlists: Vec::new(),
        consents: Vec::new(),
        suppressions,
        deliveries: Vec::new(),
    }
}

fn record(suppression: suppression::Suppression) -> SuppressionRecord {
    let (lifted_at, lifted_reason) = suppression.lifted.unzip();
    let kind = suppression.kind.as_str().to_owned();
    SuppressionRecord { kind, reason: suppression.reason, since: suppression.at, lifted_at, lifted_reason }
}
