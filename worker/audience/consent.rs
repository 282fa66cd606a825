//! The recorded acts of consent: what was agreed to or withdrawn, when, from where, in which words.
//!
//! Rows are only ever added (a trigger refuses the rest), so the table proves a standing and dates a withdrawal.
//! Written by `subscription` and by `people::stop`.

use super::store;
use jiff::Timestamp;
use sqlx::PgConnection;

/// Where an act or a stop came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An operator at the command line.
    Operator,
    /// A file that an operator imported.
    Import,
    /// A page of ours.
    Page,
    /// A request with an operator's key.
    Api,
    /// The button of a mail program (RFC 8058).
    OneClick,
    /// A relay that refused the address.
    Relay,
}

impl Source {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Import => "import",
            Self::Page => "page",
            Self::Api => "api",
            Self::OneClick => "one_click",
            Self::Relay => "relay",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Somebody wants it in her name.
    Asked,
    /// The subscription is wanted, and that is sure.
    Confirmed,
    /// It is not wanted any more.
    Withdrawn,
    /// The withdrawal was undone.
    Restored,
}

impl Act {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Restored => "restored",
        }
    }
}

/// Why a subscription counts as confirmed without a click: where it was confirmed, in an operator's words.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Who vouches.
    pub source: Source,
    /// The words.
    pub because: &'a str,
}

/// Records one person's act; `topic_id` none means everything.
pub async fn record(
    conn: &mut PgConnection,
    subscriber_id: i64,
    topic_id: Option<i64>,
    act: Act,
    source: Source,
    now: Timestamp,
) -> sqlx::Result<()> {
    store::insert_consents(conn, &[subscriber_id], topic_id, act, source, None, now).await
}
