//! Everything that is kept about one person, as JSON for herself: nobody else's data and no key is in it.
//!
//! Read only. Called by "Download my data" on the preferences page and by `tidings subscriber export`. What a table gains about
//! a person is to be added here and in `erase`.

mod store;

use super::person::{self, Person};
use crate::{
    audience::suppression,
    base::{address::EmailAddress, keys::Keyring},
    signup::limits,
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use sqlx::PgConnection;

#[derive(Serialize)]
struct Export {
    #[serde(flatten)]
    person: Person,
    sign_ups: Vec<SignUp>,
    changes: Vec<Change>,
    tips_given: Vec<String>,
    imports: Vec<Import>,
    operator_acts: Vec<OperatorAct>,
    /// Seats that were offered to others while she, before them in the line, got none.
    passed_over: Vec<PassedOver>,
    /// Mails that were sent because somebody typed the address in.
    asked_mails: Vec<Timestamp>,
}

#[derive(Serialize)]
struct SignUp {
    asked_at: Timestamp,
    topics: Vec<String>,
    /// Programs whose waitlist it asked for.
    waitlists: Vec<String>,
    wording: Option<String>,
    name: Option<String>,
    zone: Option<String>,
    stage_date: Option<Date>,
    source: String,
    expires_at: Timestamp,
    outcome: Option<String>,
    closed_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Change {
    at: Timestamp,
    what: String,
    source: String,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Import {
    at: Timestamp,
    topic: Option<String>,
    because: Option<String>,
    created: bool,
    undone_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct OperatorAct {
    at: Timestamp,
    act: String,
    detail: Option<String>,
}

#[derive(Serialize)]
struct PassedOver {
    at: Timestamp,
    program: String,
    opening: i32,
    why: String,
}

/// All that is kept about a subscriber; `RowNotFound` when there is none, or when she was erased.
pub async fn person(conn: &mut PgConnection, keyring: &Keyring, subscriber_id: i64) -> sqlx::Result<serde_json::Value> {
    let person = person::of_subscriber(conn, keyring, subscriber_id, i64::MAX).await?.ok_or(sqlx::Error::RowNotFound)?;
    let address = EmailAddress::parse(&person.email).map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    let hashes = suppression::hashes(keyring, address.key());
    let export = Export {
        person,
        sign_ups: store::sign_ups(conn, subscriber_id).await?,
        changes: store::changes(conn, subscriber_id).await?,
        tips_given: store::tips_given(conn, subscriber_id).await?,
        imports: store::imports(conn, subscriber_id).await?,
        operator_acts: store::operator_acts(conn, subscriber_id, &hashes).await?,
        passed_over: store::passed_over(conn, subscriber_id).await?,
        asked_mails: limits::mailed_at(conn, keyring, address.key()).await?,
    };
    serde_json::to_value(export).map_err(|e| sqlx::Error::Encode(Box::new(e)))
}
