//! One DKIM-Signature header. mail-auth's own `sign` takes its t= from the system's clock; here the time is passed in.

use super::DkimError;
use jiff::Timestamp;
use mail_auth::{
    common::{
        crypto::SigningKey,
        headers::{HeaderStream, HeaderWriter, Writable, Writer},
    },
    dkim::{DkimSigner, Done, Signature, canonicalize::CanonicalHeaders},
};

/// The header, with its line break, for a mail whose lines end in CR LF.
pub(super) fn header<K: SigningKey>(signer: &DkimSigner<K, Done>, message: &[u8], now: Timestamp) -> Result<Vec<u8>, DkimError> {
    let (_, headers, signed, body) = signer.template.canonicalize(Lines::of(message));
    let mut signature = signer.template.clone();
    signature.t = u64::try_from(now.as_second()).unwrap_or_default();
    signature.h = signed;
    signature.bh = signer.key.hash(body).as_ref().to_vec();
    let b = signer.key.sign(ToSign { headers, signature: &signature }).map_err(|e| DkimError::Sign(e.to_string()))?;
    signature.b = b;
    let mut header = Vec::with_capacity(1024);
    signature.write_header(&mut header);
    Ok(header)
}

struct ToSign<'a> {
    headers: CanonicalHeaders<'a>,
    signature: &'a Signature,
}

impl Writable for ToSign<'_> {
    fn write(self, writer: &mut impl Writer) {
        self.headers.write(writer);
        self.signature.write(writer, false);
    }
}

/// A mail as mail-auth reads it: headers one by one, folded lines together, then the body.
struct Lines<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Lines<'a> {
    fn of(message: &'a [u8]) -> Self {
        let end = message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message.len(), |at| at + 2);
        Self { head: &message[..end], body: message.get(end + 2..).unwrap_or_default() }
    }
}

impl<'a> HeaderStream<'a> for Lines<'a> {
    fn next_header(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.head.iter().position(|b| *b == b':')?;
        let folded = |at: &usize| matches!(self.head.get(at + 1), Some(b' ' | b'\t'));
        let end = (colon..self.head.len()).find(|at| self.head[*at] == b'\n' && !folded(at)).map_or(self.head.len(), |at| at + 1);
        let (header, rest) = self.head.split_at(end);
        self.head = rest;
        Some((&header[..colon], &header[colon + 1..]))
    }

    fn body(&mut self) -> &'a [u8] {
        self.body
    }
}
