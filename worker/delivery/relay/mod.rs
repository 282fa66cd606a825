//! Relays: where mails are handed over, and the sessions that do it.
//!
//! Owns connections, TLS, logins, deadlines and the SMTP conversation. The pump opens a [`Session`] with [`Relay::connect`],
//! one task for each, and calls [`Session::hand_over`] once for each mark. A session is not to be cancelled in the middle:
//! one that was, or that lost its place, refuses to be used again. `directory:` and `memory:` relays mail nobody.

mod directory;
mod memory;
mod smtp;
mod starttls;
mod tls;
mod url;
mod wire;

pub use directory::Directory;
pub use memory::{Answer, Handed, MemoryBox};
pub use smtp::{Deadlines, SmtpSession};
pub use url::{RelayUrl, RelayUrlError, Tls};

use super::reply::{Outcome, Phase, ReplyText};
pub use crate::base::trust::Roots;
use crate::base::{address::EmailAddress, trust::NoRoots};
use std::{path::PathBuf, time::Duration};
use tokio::time::Instant;

/// A relay, ready to be connected to.
#[derive(Debug, Clone)]
pub struct Relay {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Smtp(Box<smtp::Endpoint>),
    Directory(PathBuf),
    Memory(MemoryBox),
}

/// An open session: one mail at a time.
#[derive(Debug)]
pub enum Session {
    /// A connection to an SMTP server.
    Smtp(Box<SmtpSession>),
    /// A folder that gets .eml files.
    Directory(Directory),
    /// A list in memory, for tests.
    Memory(MemoryBox),
}

/// Who sends to whom, and which mail it is.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The return path.
    pub from: &'a EmailAddress,
    /// The one recipient.
    pub to: &'a EmailAddress,
    /// With its angle brackets; names the file of a `directory:` relay.
    pub message_id: &'a str,
}

/// How a hand-over ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// What it means for the delivery.
    pub outcome: Outcome,
    /// The reply that decided, the recipient blanked; `None`: it ended without one.
    pub reply: Option<ReplyText>,
    /// Where in the conversation it ended.
    pub phase: Phase,
    /// Whether the first byte of the body may have left.
    pub body_begun: bool,
    /// Whether the session takes another mail; if not, drop it.
    pub session_usable: bool,
    /// What went wrong where no reply decided, without any address.
    pub trouble: Option<String>,
}

/// Why a relay cannot be set up; its configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The URL is wrong.
    #[error(transparent)]
    Url(#[from] RelayUrlError),
    /// This machine trusts nobody, so the relay's certificate cannot be checked.
    #[error(transparent)]
    NoRoots(#[from] NoRoots),
    /// The host name cannot stand in a certificate.
    #[error("`{0}` is not a host name or an IP address that TLS can check")]
    HostName(String),
}

/// Why no session could be opened. No delivery is at fault: all go back to queued without an attempt counted.
#[derive(Debug, thiserror::Error)]
#[error("relay {relay} {fault}")]
pub struct ConnectError {
    /// Host and port, or the folder.
    pub relay: String,
    /// What went wrong.
    pub fault: Fault,
}

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("did not answer {0} within {s} s", s = .1.as_secs())]
    TimedOut(Phase, Duration),
    /// The connection ended or made no sense.
    #[error("broke off at {0}: {1}")]
    Broken(Phase, String),
    /// It said no, for now or for good.
    #[error("refused the connection at {0}: {1}")]
    Refused(Phase, ReplyText),
    /// It refused our login: the campaign pauses.
    #[error("refused the login: {0}; check user and password in its URL")]
    AuthenticationRefused(ReplyText),
    /// It offers no way of logging in that we speak.
    #[error("offers neither AUTH PLAIN nor AUTH LOGIN: its URL has a user, but this server takes none")]
    AuthenticationNotOffered,
    /// It does not speak TLS, and we may not do without.
    #[error("does not offer STARTTLS: write ?tls=none in its URL if mails and password may go unencrypted")]
    TlsNotOffered,
    /// TLS was spoken and failed.
    #[error("failed at TLS: {0}; where its certificate is self-made, let this machine trust it, or write ?tls=none in the URL")]
    Tls(String),
    /// The folder of a `directory:` relay.
    #[error("cannot be written: {0}")]
    Folder(String),
}

impl Relay {
    /// A relay for a URL; `hello` is the name given in EHLO.
    pub fn new(url: &RelayUrl, hello: &str) -> Result<Self, RelayError> {
        Self::with(url, hello, Deadlines::default(), &Roots::OfThisMachine)
    }

    /// The same with deadlines and trusted authorities of one's own.
    pub fn with(url: &RelayUrl, hello: &str, deadlines: Deadlines, roots: &Roots) -> Result<Self, RelayError> {
        let kind = match url {
            RelayUrl::Smtp(server) => Kind::Smtp(Box::new(smtp::Endpoint::new(server, hello, deadlines, roots)?)),
            RelayUrl::Directory(path) => Kind::Directory(path.clone()),
            RelayUrl::Memory => Kind::Memory(MemoryBox::default()),
        };
        Ok(Self { kind })
    }

    /// A `memory:` relay over a box that the caller keeps.
    pub fn memory(mails: &MemoryBox) -> Self {
        Self { kind: Kind::Memory(mails.clone()) }
    }

    /// Opens a session: connects, greets, encrypts and logs in as the URL says.
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        match &self.kind {
            // Boxed, for it is large, and would make whoever connects now and then as large at all times.
            Kind::Smtp(endpoint) => Ok(Session::Smtp(Box::new(Box::pin(SmtpSession::open(endpoint)).await?))),
            Kind::Directory(path) => Directory::open(path).await.map(Session::Directory),
            Kind::Memory(mails) => Ok(Session::Memory(mails.clone())),
        }
    }
}

impl Session {
    /// Hands over one mail. The caller's mark is already committed; if the body cannot begin before `begin_body_before`,
    /// the connection is closed and the outcome is [`Outcome::GivenUp`].
    pub async fn hand_over(&mut self, envelope: &Envelope<'_>, message: Vec<u8>, begin_body_before: Instant) -> HandOver {
        match self {
            Self::Smtp(session) => session.hand_over(envelope, message, begin_body_before).await,
            Self::Directory(folder) => folder.hand_over(envelope, &message, begin_body_before).await,
            Self::Memory(mails) => mails.hand_over(envelope, &message, begin_body_before),
        }
    }

    /// Says goodbye. Whatever comes of it changes nothing that was answered.
    pub async fn quit(self) {
        if let Self::Smtp(session) = self {
            session.quit().await;
        }
    }
}

impl HandOver {
    fn without_reply(outcome: Outcome, phase: Phase, trouble: impl Into<String>) -> Self {
        let body_begun = outcome == Outcome::NoAnswer;
        Self { outcome, reply: None, phase, body_begun, session_usable: false, trouble: Some(trouble.into()) }
    }

    fn given_up(phase: Phase) -> Self {
        Self::without_reply(Outcome::GivenUp, phase, "the relay was too slow: the mark grew old before the body began")
    }

    /// The reason in a sentence, for the ledger and the operator; it names no address.
    pub fn reason(&self) -> String {
        match (&self.reply, &self.trouble) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(trouble)) => trouble.clone(),
            (None, None) => format!("ended at {}", self.phase),
        }
    }
}

impl ConnectError {
    /// Whether our login was refused, so that trying again helps nobody until an operator acts.
    pub fn is_authentication(&self) -> bool {
        matches!(self.fault, Fault::AuthenticationRefused(_) | Fault::AuthenticationNotOffered)
    }
}
