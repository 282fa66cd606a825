//! The ledger and the pump: from a queued row to the relay's answer, at most once.
//!
//! A delivery's life, one line for each way on:
//!
//! ```text
//! queued, deferred -> claimed        a worker took it (ledger::claim); standing and suppression are checked
//! claimed -> handing_over            the mark, committed before the envelope leaves (ledger::mark); checked again
//! handing_over -> sent               the relay answered 250 to the body
//!              -> deferred           4yz: again after a wait, until the deadline
//!              -> failed             5yz
//!              -> queued             the body was not begun
//!              -> unconfirmed        no answer after the body began, or the worker died (ledger::lease)
//! queued, claimed, deferred -> skipped | cancelled     a stop, a pause of hers, too late, the campaign cancelled
//! unconfirmed -> sent | failed | queued                a late answer, or an operator (ledger::resolve); one that answers a
//!                                                      person's act is queued once by itself (ledger::repeat)
//! ```
//!
//! What is to be sent, and to whom, is inserted by the floors above; nothing here knows of campaigns.

pub mod dkim;
pub mod ledger;
pub mod message;
pub mod pace;
pub mod pump;
pub mod relay;
pub mod render;
pub mod reply;
pub mod transactional;
pub mod versions;

use jiff::civil::Date;

/// The name of a delivery: its partition and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The first day of the month of its edition.
    pub period: Date,
    /// Unique over all periods.
    pub id: i64,
}

/// The Message-ID of a delivery, with its brackets (RFC 5322, 3.6.4): the same in every attempt.
///
/// `label` is the installation's ([`crate::base::database::Db`]), `domain` that of the sender.
pub fn message_id(key: Key, label: &str, domain: &str) -> String {
    format!("<{:04}{:02}.{}.{label}@{domain}>", key.period.year(), key.period.month(), key.id)
}
