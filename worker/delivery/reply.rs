//! What a relay's reply means for a delivery, and how much of it may be kept.
//!
//! Pure functions, no I/O: [`outcome`] turns a reply in a phase of the conversation into an [`Outcome`], and [`recorded`]
//! makes the text for the ledger, without the recipient. `relay` calls both for every reply; the pump acts on the outcome.
//! Codes: RFC 5321 4.2, enhanced codes: RFC 3463, 2034, 7372.

mod blank;
#[cfg(test)]
mod tests;

use crate::base::address::EmailAddress;
use std::fmt;

/// The longest text of a reply that is kept, in characters, its code included.
pub const KEPT: usize = 500;

/// Where in the conversation a reply was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The greeting.
    Connect,
    /// EHLO and STARTTLS.
    Hello,
    /// AUTH.
    Auth,
    /// MAIL FROM, and RSET before it.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The body and its final dot.
    Body,
}

/// A reply as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text after them; lines joined by a space.
    pub text: String,
}

/// What a conversation did to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// 2yz to the body: sent.
    Accepted,
    /// 4yz: try again later. Counts as an attempt.
    Deferred,
    /// 5yz: never again.
    Failed {
        /// The address does not exist: it is suppressed as a hard bounce.
        refused_address: bool,
    },
    /// Our login, or our domain's SPF, DKIM or DMARC, was refused: nobody's bounce, the campaign pauses, no attempt is counted.
    AuthenticationRefused,
    /// 421, or the connection was lost before the body began: connect anew and try again without counting an attempt.
    Reconnect,
    /// The mark grew too old before the body began; the connection was closed. No attempt is counted.
    GivenUp,
    /// The body began, and no answer came: the delivery is unconfirmed.
    NoAnswer,
}

/// An enhanced status code (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedCode {
    /// 2, 4 or 5; always the reply code's first digit (RFC 2034, 4).
    pub class: u8,
    /// What it is about: 1 addressing, 7 security and policy, …
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

/// A reply as the ledger keeps it: the recipient blanked, control characters out, cut to [`KEPT`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyText {
    /// The three digits.
    pub code: u16,
    /// The enhanced code, where there is a sound one.
    pub enhanced: Option<EnhancedCode>,
    /// The text after the three digits.
    pub text: String,
}

/// What a reply in a phase means; `None`: positive, the conversation goes on.
pub fn outcome(phase: Phase, reply: &Reply) -> Option<Outcome> {
    match reply.code / 100 {
        2 if phase == Phase::Body => Some(Outcome::Accepted),
        // Nothing but 2yz ends a body well; what else this may be, it is no answer.
        1 | 3 if phase == Phase::Body => Some(Outcome::NoAnswer),
        2 | 3 => None,
        4 | 5 => Some(refusal(phase, reply)),
        _ if phase == Phase::Body => Some(Outcome::NoAnswer),
        _ => Some(Outcome::Reconnect),
    }
}

/// Whether a temporary refusal tells of the relay as a whole, and not of this one recipient.
///
/// To RCPT hardly any does: greylisting and full mailboxes are answered there, each about somebody (RFC 3463, 3.4: x.3.1 to x.3.5 are the
/// mail system's own state). Before it and after it the relay speaks of itself, unless the code names an address, a mailbox or a policy.
pub fn is_about_the_relay(phase: Phase, reply: &ReplyText) -> bool {
    match (phase, reply.enhanced) {
        (Phase::Rcpt, Some(EnhancedCode { subject: 3, detail: 1.., .. })) => true,
        (Phase::Rcpt, _) => false,
        (Phase::Data | Phase::Body, Some(EnhancedCode { subject: 1 | 2 | 7, .. })) => false,
        _ => true,
    }
}

/// The reply as it may be kept.
pub fn recorded(reply: &Reply, recipient: &EmailAddress) -> ReplyText {
    ReplyText { code: reply.code, enhanced: reply.enhanced(), text: blank::kept(&reply.text, Some(recipient), KEPT - 4) }
}

/// The reply as it may be logged where there is no recipient yet: at the greeting, EHLO and AUTH.
pub fn recorded_without_recipient(reply: &Reply) -> ReplyText {
    ReplyText { code: reply.code, enhanced: reply.enhanced(), text: blank::kept(&reply.text, None, KEPT - 4) }
}

fn refusal(phase: Phase, reply: &Reply) -> Outcome {
    let permanent = reply.code >= 500;
    if refuses_authentication(phase, reply) {
        return Outcome::AuthenticationRefused;
    }
    match phase {
        _ if reply.code == 421 => Outcome::Reconnect,
        // Before MAIL no reply is about a recipient: the relay is unwell, the delivery is not.
        Phase::Connect | Phase::Hello | Phase::Auth => Outcome::Reconnect,
        _ if !permanent => Outcome::Deferred,
        _ => Outcome::Failed { refused_address: phase == Phase::Rcpt && refuses_address(reply) },
    }
}

// Only codes that say so beyond doubt: 5.1.1 no such mailbox, 5.1.2 no such domain, 5.1.3 bad syntax, 5.1.10 null MX.
fn refuses_address(reply: &Reply) -> bool {
    matches!(reply.enhanced(), Some(EnhancedCode { class: 5, subject: 1, detail: 1 | 2 | 3 | 10 }))
}

/// Permanent refusals of who we are. A temporary one (4.7.z: a DNS error in somebody's SPF check, RFC 7372 3.4; Gmail's
/// rate limits for unauthenticated mail) is deferred like any 4yz, lest one receiver's hiccup stop a campaign.
fn refuses_authentication(phase: Phase, reply: &Reply) -> bool {
    if reply.code < 500 {
        return false;
    }
    // RFC 4954, 6: 530 authentication required, 534 mechanism too weak, 535 credentials invalid, 538 encryption required.
    if matches!(reply.code, 530 | 534 | 535 | 538) || phase == Phase::Auth {
        return true;
    }
    let Some(EnhancedCode { subject: 7, detail, .. }) = reply.enhanced() else { return false };
    // 8, 9, 11, 13, 14: RFC 4954 and 5248, our login. 20-27: RFC 7372 and 7505, DKIM, SPF, reverse DNS, several, null MX of
    // the sender. 29, 30: RFC 8617 ARC and RFC 8689; Gmail's missing TLS and missing DKIM. 32: Gmail, From not aligned.
    // 57, 60: Exchange, client not authenticated, or may not send as this sender. 509, 515: Microsoft, DMARC and the
    // level wanted of bulk senders. 28 (mail flood) is about the amount and stays a plain failure.
    matches!(detail, 8 | 9 | 11 | 13 | 14 | 20..=27 | 29 | 30 | 32 | 57 | 60 | 509 | 515)
}

impl Reply {
    /// The enhanced code, if the text begins with one whose class agrees with the reply code.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        // Some gateways write `#5.1.0`.
        let word = self.text.split_whitespace().next()?.trim_start_matches('#');
        let code = EnhancedCode::parse(word)?;
        (u16::from(code.class) == self.code / 100).then_some(code)
    }
}

impl EnhancedCode {
    /// Reads `5.1.1`; `None` for anything else.
    pub fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let (subject, detail) = (digits(parts.next()?)?, digits(parts.next()?)?);
        parts.next().is_none().then_some(Self { class, subject, detail })
    }
}

fn digits(part: &str) -> Option<u16> {
    let sound = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| part.parse().ok()).flatten()
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Display for ReplyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the greeting",
            Self::Hello => "EHLO",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Body => "the body",
        })
    }
}
