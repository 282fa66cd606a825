//! Reads a caught mail: what the index keeps of it, and what a page shows.
//!
//! Pure; everything in a mail is somebody else's text and leaves here undecorated, to be escaped by the templates.
//! Called by the mailbox and by the inbox.

use std::borrow::Cow;

use jiff::Timestamp;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{Address, Message, MessageParser};

use super::mailbox::{Entry, Envelope};

const PREVIEW: usize = 140;

/// A mail as its page shows it.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The first HTML part.
    pub(super) html: Option<String>,
    /// The first text part.
    pub(super) text: Option<String>,
    /// Names and values in their order, unfolded and otherwise as they came.
    pub(super) headers: Vec<(String, String)>,
    /// The whole, as text.
    pub(super) source: String,
}

/// A stretch of plain text.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) is_link: bool,
}

/// What the index keeps of a mail; number and time are the mailbox's to give.
pub(super) fn entry(envelope: Envelope, mail: &[u8]) -> Entry {
    let message = MessageParser::default().parse(mail);
    let message = message.as_ref();
    Entry {
        id: 0,
        at: Timestamp::UNIX_EPOCH,
        from: envelope.from,
        to: envelope.to,
        subject: message.and_then(Message::subject).unwrap_or_default().to_owned(),
        sender: message.and_then(Message::from).and_then(name).unwrap_or_default(),
        message_id: message.and_then(Message::message_id).map(|id| format!("<{id}>")).unwrap_or_default(),
        preview: message.and_then(preview).unwrap_or_default(),
        size: mail.len() as u64,
    }
}

/// The same for a mail whose envelope was lost: From and To stand in for it.
pub(super) fn entry_without_envelope(mail: &[u8]) -> Entry {
    let message = MessageParser::default().parse_headers(mail);
    let addresses = |field: Option<&Address<'_>>| -> Vec<String> {
        field.map(|field| field.iter().filter_map(|one| one.address().map(str::to_owned)).collect()).unwrap_or_default()
    };
    let from = addresses(message.as_ref().and_then(Message::from)).into_iter().next().unwrap_or_default();
    let to = addresses(message.as_ref().and_then(Message::to));
    entry(Envelope { from, to }, mail)
}

/// The parts of a mail.
pub(super) fn read(mail: &[u8]) -> Reading {
    let source = String::from_utf8_lossy(mail).into_owned();
    let Some(message) = MessageParser::default().parse(mail) else { return Reading { source, ..Reading::default() } };
    let part = |ids: &[u32], html: bool| {
        let parts = ids.iter().filter_map(|id| message.part(*id));
        parts
            .filter(|part| if html { part.is_text_html() } else { part.is_text() && !part.is_text_html() })
            .find_map(|part| part.text_contents())
    };
    Reading {
        html: part(&message.html_body, true).map(str::to_owned),
        text: part(&message.text_body, false).map(str::to_owned),
        headers: message.headers_raw().map(|(name, value)| (name.to_owned(), unfold(value))).collect(),
        source,
    }
}

/// The document for the sandboxed frame: links leave the frame, since pages refuse to be shown in one.
pub(super) fn framed(html: &str) -> String {
    let base = r#"<base target="_blank">"#;
    let lower = html.to_ascii_lowercase();
    let opening = ["<head>", "<head ", "<head\n", "<head\r"].iter().filter_map(|tag| lower.find(tag)).min();
    let head = opening.and_then(|start| lower[start..].find('>').map(|end| start + end + 1));
    match head {
        Some(place) => format!("{}{base}{}", &html[..place], &html[place..]),
        None => format!("{base}{html}"),
    }
}

/// Plain text with its web addresses apart, so that they can be followed.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let end = rest[start..].find(|c: char| c.is_whitespace() || "<>\"".contains(c)).map_or(rest.len(), |end| start + end);
        let link = rest[start..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']);
        pieces.push(Piece { text: rest[..start].to_owned(), is_link: false });
        pieces.push(Piece { text: link.to_owned(), is_link: true });
        rest = &rest[start + link.len()..];
    }
    pieces.push(Piece { text: rest.to_owned(), is_link: false });
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

fn name(address: &Address<'_>) -> Option<String> {
    let first = address.first()?;
    first.name().or(first.address()).map(str::to_owned)
}

fn preview(message: &Message<'_>) -> Option<String> {
    // As mail programs do: the HTML part, where a preheader may stand before all that is seen.
    let html = message.html_part(0).filter(|part| part.is_text_html()).and_then(|part| part.text_contents());
    let text = html.map(|html| Cow::Owned(html_to_text(html))).or_else(|| message.body_text(0))?;
    let unseen = |word: &&str| word.chars().all(is_unseen);
    let words = text.split_whitespace().skip_while(unseen).take_while(|word| !unseen(word)).map(|word| word.trim_matches(is_unseen));
    let line = words.take(PREVIEW / 2).collect::<Vec<_>>().join(" ");
    // Many a text begins with its subject, which stands above the preview already.
    let subject = message.subject().unwrap_or_default().trim();
    let line = line.strip_prefix(subject).unwrap_or(&line).trim_start();
    Some(line.chars().take(PREVIEW).collect())
}

// What fills the line behind a preheader, so that nothing else of the mail is shown after it.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{34f}' | '\u{ad}' | '\u{feff}' | '\u{2060}')
}

fn unfold(value: &str) -> String {
    value.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: Example Press <tips@example.org>\r\nTo: ann@example.com\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n\
        Message-ID: <1@example.org>\r\nX-Long: one\r\n two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello  there\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p hidden>In short: hello &zwnj;</p><p>Hello</p>\r\n\r\n--b--\r\n";

    #[test]
    fn the_index_keeps_what_a_list_shows() {
        let entry = entry_without_envelope(MAIL);
        assert_eq!((entry.subject.as_str(), entry.sender.as_str(), entry.preview.as_str()), ("Café", "Example Press", "In short: hello"));
        assert_eq!(
            (entry.from.as_str(), entry.to.as_slice(), entry.message_id.as_str()),
            ("tips@example.org", &["ann@example.com".to_owned()][..], "<1@example.org>")
        );
    }

    #[test]
    fn both_parts_and_the_headers_are_read() {
        let reading = read(MAIL);
        assert_eq!(reading.html.as_deref().map(str::trim), Some("<p hidden>In short: hello &zwnj;</p><p>Hello</p>"));
        assert_eq!(reading.text.as_deref().map(str::trim), Some("Hello  there"));
        assert!(reading.headers.contains(&("X-Long".into(), "one two".into())), "{:?}", reading.headers);
    }

    #[test]
    fn a_mail_without_html_has_no_html_and_nonsense_is_shown_as_it_is() {
        let reading = read(b"Subject: x\r\n\r\nplain\r\n");
        assert!(reading.html.is_none() && reading.text.is_some_and(|text| text.contains("plain")));
        assert_eq!(read(b"\xff\xfe").source, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn links_leave_the_frame() {
        assert_eq!(framed("<HTML><Head lang=x><title>"), r#"<HTML><Head lang=x><base target="_blank"><title>"#);
        assert_eq!(framed("<p>"), r#"<base target="_blank"><p>"#);
    }

    #[test]
    fn web_addresses_in_plain_text_are_found_without_the_full_stop_after_them() {
        let texts: Vec<(String, bool)> =
            pieces("See https://example.org/a?b=1. (http://example.com/)\n").into_iter().map(|p| (p.text, p.is_link)).collect();
        let expected =
            [("See ", false), ("https://example.org/a?b=1", true), (". (", false), ("http://example.com/", true), (")\n", false)];
        assert_eq!(texts, expected.map(|(text, link)| (text.to_owned(), link)));
        // Nothing after the scheme, and no end of it either.
        assert_eq!(pieces("https://").len(), 1);
    }
}
