//! A mail as it goes over the wire: headers and a multipart/alternative body (RFC 5322, 2045-2047, 2369, 2919, 8058).
//!
//! Owns what stands in a mail's headers and how its parts are encoded. The pump calls [`build`] with what `render` made;
//! `dkim` signs the result. The same parts always give the same bytes: boundaries come from the Message-ID.
//! Every line ends in CR LF and has at most 78 octets, bar an address or a link that cannot be folded.

mod encode;
#[cfg(test)]
mod tests;

use crate::base::address::{AddressError, EmailAddress};
use encode::{body, cleaned, words};
use jiff::{Timestamp, tz::TimeZone};
use mail_builder::headers::{Header, address::Address, raw::Raw, text::Text};
use ring::digest;
use std::borrow::Cow;

/// The longest line that SMTP carries, without its CR LF (RFC 5321, 4.5.3.1.6).
const MAX_LINE: usize = 998;

/// A sender: a name to show and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name to show.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

/// What a mail is made of.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// With its angle brackets.
    pub message_id: &'a str,
    /// The Date header, in UTC.
    pub date: Timestamp,
    /// The From header.
    pub from: &'a Mailbox,
    /// The one recipient.
    pub to: &'a EmailAddress,
    /// The recipient's name.
    pub to_name: Option<&'a str>,
    /// One line; control characters become spaces.
    pub subject: &'a str,
    /// The text part.
    pub text: &'a str,
    /// The HTML part.
    pub html: &'a str,
    /// What makes it a mail to many; `None`: transactional.
    pub list: Option<ListHeaders<'a>>,
    /// Whether an act of somebody's caused it and nobody wrote it: out-of-office programs leave it alone then (RFC 3834, 5).
    pub auto_submitted: bool,
    /// BCP 47 tag of the mail's language.
    pub language: Option<&'a str>,
}

/// The headers of a mail to many.
#[derive(Debug, Clone, Copy)]
pub struct ListHeaders<'a> {
    /// The whole List-Id without its brackets, constant for the topic, e.g. `7f3a91.news.example.org`; it names no slug. A waitlist
    /// has none.
    pub id: Option<&'a str>,
    /// The https link of the one-click unsubscribe (RFC 8058); http only to a loopback host.
    pub unsubscribe: &'a str,
}

/// Why no mail can be made of the parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The Message-ID has not the form of one.
    #[error("`{0}` is no Message-ID: expected <name@domain> of visible ASCII characters")]
    MessageId(String),
    /// The List-Id has not the form of one.
    #[error("`{0}` is no List-Id: expected labels of letters, digits and - with dots between them, at most 255 characters")]
    ListId(String),
    /// The unsubscribe link cannot stand in a header.
    #[error("the unsubscribe link must begin with https:// and have visible ASCII characters only, at most {MAX_LINE}: set site.url")]
    Unsubscribe,
    /// The language tag has not the form of one.
    #[error("`{0}` is no language tag: expected letters, digits and -, as in en-GB: set site.language")]
    Language(String),
    /// The text part is empty.
    #[error("the text part is empty: every mail has one")]
    NoText,
}

/// Whether a mail to this address needs SMTPUTF8 (RFC 6531): its local part is not ASCII.
pub fn needs_smtputf8(address: &EmailAddress) -> bool {
    !address.local_part().is_ascii()
}

/// The mail, ready to be signed and handed over.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>, MessageError> {
    check(parts)?;
    let boundary = boundary(parts.message_id);
    let mut out = Vec::with_capacity(2048 + parts.text.len() * 5 / 4 + parts.html.len() * 5 / 4);
    header(&mut out, "From", mailbox(parts.from.name.as_deref(), &parts.from.address));
    header(&mut out, "To", mailbox(parts.to_name, parts.to));
    header(&mut out, "Subject", Value::text(parts.subject));
    header(&mut out, "Date", Value::raw(date(parts.date)));
    header(&mut out, "Message-ID", Value::raw(parts.message_id));
    if let Some(list) = &parts.list {
        if let Some(id) = list.id {
            header(&mut out, "List-Id", Value::raw(format!("<{id}>")));
        }
        header(&mut out, "List-Unsubscribe", Value::raw(format!("<{}>", list.unsubscribe)));
        header(&mut out, "List-Unsubscribe-Post", Value::raw("List-Unsubscribe=One-Click"));
    }
    if parts.auto_submitted {
        header(&mut out, "Auto-Submitted", Value::raw("auto-generated"));
    }
    if let Some(language) = parts.language {
        header(&mut out, "Content-Language", Value::raw(language));
    }
    header(&mut out, "MIME-Version", Value::raw("1.0"));
    push(&mut out, &["Content-Type: multipart/alternative;\r\n boundary=\"", &boundary, "\"\r\n"]);
    for (kind, content) in [("plain", parts.text), ("html", parts.html)] {
        push(&mut out, &["\r\n--", &boundary, "\r\nContent-Type: text/", kind, "; charset=utf-8\r\n"]);
        body(&mut out, content);
    }
    push(&mut out, &["\r\n--", &boundary, "--\r\n"]);
    Ok(out)
}

impl Mailbox {
    /// Reads `Name <address>`, `"Name" <address>` or an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let Some((name, rest)) = text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) else {
            return Ok(Self { name: None, address: EmailAddress::parse(text)? });
        };
        let name = name.trim();
        let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name).replace("\\\"", "\"");
        Ok(Self { name: Some(name).filter(|n| !n.is_empty()), address: EmailAddress::parse(rest)? })
    }
}

fn check(parts: &Parts<'_>) -> Result<(), MessageError> {
    if !is_message_id(parts.message_id) {
        return Err(MessageError::MessageId(parts.message_id.to_owned()));
    }
    if let Some(list) = &parts.list {
        if let Some(id) = list.id.filter(|id| !is_list_id(id)) {
            return Err(MessageError::ListId(id.to_owned()));
        }
        if !is_unsubscribe_link(list.unsubscribe) {
            return Err(MessageError::Unsubscribe);
        }
    }
    if let Some(language) = parts.language.filter(|l| !is_language(l)) {
        return Err(MessageError::Language(language.to_owned()));
    }
    match parts.text.trim().is_empty() {
        true => Err(MessageError::NoText),
        false => Ok(()),
    }
}

fn is_message_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|i| i.strip_suffix('>'));
    let sound = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:\"@".contains(&b));
    id.len() <= 250 && inner.and_then(|i| i.split_once('@')).is_some_and(|(left, right)| sound(left) && sound(right))
}

fn is_list_id(id: &str) -> bool {
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    id.len() <= 255 && id.contains('.') && id.split('.').all(label)
}

fn is_unsubscribe_link(link: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|host| link.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '/'])));
    let visible = link.bytes().all(|b| b.is_ascii_graphic() && !b"<>,".contains(&b));
    (link.starts_with("https://") || loopback) && visible && link.len() + "List-Unsubscribe: <>".len() <= MAX_LINE
}

fn is_language(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

// `=_` can stand neither in quoted-printable nor in base64, so no part can contain the boundary (RFC 2045, 6.7).
fn boundary(message_id: &str) -> String {
    let hash = digest::digest(&digest::SHA256, message_id.as_bytes());
    let hex: String = hash.as_ref()[..12].iter().map(|b| format!("{b:02x}")).collect();
    format!("=_{hex}")
}

fn date(date: Timestamp) -> String {
    // Years beyond 9999 have no form in RFC 5322; no clock of ours shows one.
    jiff::fmt::rfc2822::to_string(&date.to_zoned(TimeZone::UTC)).unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

fn mailbox<'a>(name: Option<&'a str>, address: &EmailAddress) -> Value<'a> {
    let name = name.map(cleaned).filter(|name| !name.is_empty());
    match name {
        Some(name) if name.contains("=?") && name.is_ascii() => Value::Raw(Raw::new(format!("{} <{}>", words(&name), address.envelope()))),
        name => Value::Address(Address::new_address(name, address.envelope())),
    }
}

enum Value<'a> {
    Address(Address<'a>),
    Text(Text<'a>),
    Raw(Raw<'a>),
}

impl<'a> Value<'a> {
    fn raw(value: impl Into<Cow<'a, str>>) -> Self {
        Self::Raw(Raw::new(value))
    }

    // What looks like an encoded word and is none must be encoded, or readers would show something else.
    fn text(value: &'a str) -> Self {
        let value = cleaned(value);
        match value.contains("=?") && value.is_ascii() {
            true => Self::raw(words(&value)),
            false => Self::Text(Text::new(value)),
        }
    }
}

fn header(out: &mut Vec<u8>, name: &str, value: Value<'_>) {
    push(out, &[name, ": "]);
    let column = name.len() + 2;
    match value {
        Value::Address(value) => value.write_header(out, column),
        Value::Text(value) => value.write_header(out, column),
        Value::Raw(value) => value.write_header(out, column),
    }
}

fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}
