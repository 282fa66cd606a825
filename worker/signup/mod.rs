//! Signing up: a wish is taken, a mail asks whether it was hers, and a click confirms it (double opt-in).
//!
//! Owns the tables signups, asked_mails, request_counts and api_keys. It stands above the ledger, into which it inserts its mails;
//! the pages, the API and the jobs call it, and `people::arrival` when somebody confirms. In reading order: `request` reads what
//! was typed in, `words` has what is agreed to, `limits` says whether it may cause a mail, `subscribe` takes it, `tend` reminds of it and forgets it,
//! `leave` ends it when she leaves.

pub mod ask;
mod disposable;
pub mod keys;
mod leave;
pub mod limits;
pub mod mails;
mod pending;
mod request;
pub mod store;
mod subscribe;
pub mod tend;
mod words;

pub use leave::{leave, leave_waitlist};
pub use limits::{Answer, Origin};
pub use pending::{Pending, PendingState, pending};
pub use request::{FieldError, Form, OpenTopic, Request, open_topics};
pub use store::ProgramName;
pub use subscribe::{Wanted, ask_for, find_or_create, mail_link, subscribe};
pub use words::{waiting, wording};

use crate::base::{config, keys::Keyring};
use sqlx::PgPool;

/// What a sign-up is taken with.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// The database.
    pub pool: &'a PgPool,
    /// Hashes addresses, of mail and of requests.
    pub keyring: &'a Keyring,
    /// Limits and times.
    pub rules: &'a config::Signup,
    /// The publisher's name, which stands in the words agreed to.
    pub publisher: &'a str,
}
