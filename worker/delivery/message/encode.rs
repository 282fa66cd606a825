//! How texts become mail-safe: clean header values, encoded words, and bodies in quoted-printable or base64.
//!
//! Called by `message` only. The library encodes; what is decided here is what it is given.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_builder::encoders::{Base64Encoder, QuotedPrintableEncoder};
use std::borrow::Cow;

/// Octets of text in one encoded word: 60 of base64 and 12 around them, of at most 75 (RFC 2047, 2).
const WORD: usize = 45;

/// A header's value on one line: control characters and line separators become spaces, and spaces are single.
pub(super) fn cleaned(value: &str) -> Cow<'_, str> {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let clean = value.trim() == value && !value.contains("  ") && !value.contains(|c: char| c != ' ' && blank(c));
    match clean {
        true => Cow::Borrowed(value),
        false => Cow::Owned(value.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")),
    }
}

/// ASCII text as encoded words, to be folded between them.
pub(super) fn words(ascii: &str) -> String {
    let words: Vec<String> = ascii.as_bytes().chunks(WORD).map(|piece| format!("=?utf-8?B?{}?=", STANDARD.encode(piece))).collect();
    words.join(" ")
}

/// The Content-Transfer-Encoding header, the empty line and the encoded text: whichever encoding is shorter.
pub(super) fn body(out: &mut Vec<u8>, text: &str) {
    let text = with_crlf(text);
    let escaped = escapes(&text);
    if text.len() + 2 * escaped <= text.len() * 4 / 3 + 4 {
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(text.as_bytes(), out);
    } else {
        out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        Base64Encoder::new().wrap_lines().encode_into(text.as_bytes(), out);
    }
}

// How many octets quoted-printable writes as three. Counted in octets, at most 255 of them, so that sixteen and more are looked at at once.
fn escapes(text: &str) -> usize {
    let of_some = |octets: &[u8]| octets.iter().fold(0, |n: u8, b| n + u8::from((*b >= 127) | (*b == b'=')));
    text.as_bytes().chunks(255).map(|octets| usize::from(of_some(octets))).sum()
}

// Lines that end in LF or a lone CR get CR LF, the text ends in a line break, and control characters go: they have no
// place in a text (RFC 2045, 2.7, 2.8 and 6.7).
fn with_crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32 + 2);
    if is_clean(text) {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain((!text.is_empty() && !text.ends_with('\n')).then_some(text.len())) {
            lines.extend([&text[begin..end], "\r\n"]);
            begin = end + 1;
        }
        return lines;
    }
    for line in text.split_terminator('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        for piece in line.split('\r') {
            match piece.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
                true => lines.extend(piece.chars().filter(|c| *c == '\t' || !c.is_control())),
                false => lines.push_str(piece),
            }
            lines.push_str("\r\n");
        }
    }
    lines
}

// Without a branch in the loop: it goes over every byte of every mail, and so sixteen or more of them at once.
fn is_clean(text: &str) -> bool {
    text.bytes().fold(true, |clean, b| clean & ((b >= b' ') | (b == b'\n') | (b == b'\t')) & (b != 0x7f))
}
