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

/// The Content-Transfer-Encoding header, the empty line and the encoded text with a line break at its end: whichever encoding is shorter.
pub(super) fn body(out: &mut Vec<u8>, text: &str) {
    let text = clean(text);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\r\n" };
    let length = text.len() + count(&text, |b| b == b'\n') + end.len();
    let escaped = count(&text, |b| (b >= 127) | (b == b'='));
    if length + 2 * escaped <= length * 4 / 3 + 4 {
        out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(text.as_bytes(), out);
        out.extend_from_slice(end.as_bytes());
    } else {
        out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        Base64Encoder::new().wrap_lines().encode_into((text.replace('\n', "\r\n") + end).as_bytes(), out);
    }
}

// In octets, at most 255 of them, so that sixteen and more are looked at at once.
fn count(text: &str, is_one: impl Fn(u8) -> bool) -> usize {
    let of_some = |octets: &[u8]| octets.iter().fold(0, |n: u8, b| n + u8::from(is_one(*b)));
    text.as_bytes().chunks(255).map(|octets| usize::from(of_some(octets))).sum()
}

// Lines end in LF, and no control characters are left: they have no place in a text (RFC 2045, 2.7, 2.8 and 6.7). As good as every text
// is so already; CR LF is made of it where it is encoded.
fn clean(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let mut lines = String::with_capacity(text.len() + 1);
    for line in text.split_terminator('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        for piece in line.split('\r') {
            lines.extend(piece.chars().filter(|c| *c == '\t' || !c.is_control()));
            lines.push('\n');
        }
    }
    Cow::Owned(lines)
}

// Without a branch in the loop: it goes over every byte of every mail, and so sixteen or more of them at once.
fn is_clean(text: &str) -> bool {
    text.bytes().fold(true, |clean, b| clean & ((b >= b' ') | (b == b'\n') | (b == b'\t')) & (b != 0x7f))
}
