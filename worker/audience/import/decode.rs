//! The bytes of a file as UTF-8, whatever it was written in: streamed, a block at a time.
//!
//! What is no text in the file's encoding becomes a byte that is no UTF-8, so that the row that holds it is refused by its line
//! like any other. Called by `file` and `detect`.

use super::detect::Encoding;
use encoding_rs::{Decoder, DecoderResult};
use std::io::{self, BufRead, Read};

const BLOCK: usize = 64 * 1024;
/// Occurs nowhere in UTF-8.
const NO_TEXT: u8 = 0xff;

/// A reader of UTF-8 over a reader of anything.
pub(super) struct Decoded<R> {
    source: R,
    decoder: Option<Decoder>,
    raw: Block,
    text: Block,
    ended: bool,
    bytes: u64,
}

struct Block {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl<R: Read> Decoded<R> {
    /// Reads `source` as written in `encoding`; a byte order mark stays, as U+FEFF.
    pub(super) fn new(source: R, encoding: Encoding) -> Self {
        let decoder = encoding.foreign().map(|foreign| foreign.new_decoder_without_bom_handling());
        Self { source, decoder, raw: Block::new(), text: Block::new(), ended: false, bytes: 0 }
    }

    /// How many bytes of the source were read so far: for a progress bar.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes
    }

    fn read_raw(&mut self) -> io::Result<()> {
        let read = loop {
            match self.source.read(&mut self.raw.bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.raw.from = 0;
        self.raw.to = read;
        self.bytes += read as u64;
        self.ended = read == 0;
        Ok(())
    }

    fn decode(&mut self) {
        let Some(decoder) = &mut self.decoder else {
            std::mem::swap(&mut self.raw, &mut self.text);
            self.raw.from = self.raw.to;
            return;
        };
        // One place is kept free for the byte that is no text.
        let room = self.text.bytes.len() - 1;
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(self.raw.rest(), &mut self.text.bytes[..room], self.ended);
        self.raw.from += read;
        self.text.from = 0;
        self.text.to = written;
        match result {
            DecoderResult::Malformed(..) => {
                self.text.bytes[written] = NO_TEXT;
                self.text.to += 1;
            }
            // The end is said once; a decoder must not be asked again after it.
            DecoderResult::InputEmpty if self.ended => self.decoder = None,
            DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
        }
    }
}

impl<R: Read> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.text.rest().is_empty() {
            if self.raw.rest().is_empty() && !self.ended {
                self.read_raw()?;
            }
            if self.ended && self.raw.rest().is_empty() && self.decoder.is_none() {
                break;
            }
            self.decode();
        }
        Ok(self.text.rest())
    }

    fn consume(&mut self, amount: usize) {
        self.text.from += amount;
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let read = ready.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl Block {
    fn new() -> Self {
        Self { bytes: vec![0; BLOCK].into_boxed_slice(), from: 0, to: 0 }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }
}
