//! How a file is written: in which encoding, with which delimiter. Found out from the file itself, never asked.
//!
//! A byte order mark decides; without one, zero bytes at every other place say UTF-16. What is not UTF-8 is taken for
//! Windows-1252, unless more of its letters are good UTF-8 than bad: then it is UTF-8 with some bad rows. Called by `file`.

use super::{Map, columns::Columns, decode::Decoded};
use crate::audience::csv::Rows;
use ring::digest::{Context, SHA256};
use serde::Serialize;
use std::io::{self, Read, Seek};

const DELIMITERS: [u8; 4] = *b",;\t|";
/// The delimiter is told by so many rows, and so many bytes of text.
const LOOKED_AT: usize = 20;
const LOOKED_AT_BYTES: u64 = 256 * 1024;
/// Whether a file without a byte order mark is UTF-16 is told by its header, of which so many bytes are enough.
const HEADER: usize = 64;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Encoding {
    /// With or without a byte order mark.
    #[serde(rename = "UTF-8")]
    Utf8,
    /// Little end first, as Windows writes it.
    #[serde(rename = "UTF-16LE")]
    Utf16Le,
    /// Big end first.
    #[serde(rename = "UTF-16BE")]
    Utf16Be,
    /// Western European letters, a byte for each.
    #[serde(rename = "Windows-1252")]
    Windows1252,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Its encoding.
    pub encoding: Encoding,
    /// What stands between two fields.
    #[serde(serialize_with = "as_char")]
    pub delimiter: u8,
    /// Its first line is `sep=;`, as spreadsheets write it, and the header comes after.
    #[serde(skip)]
    pub(super) names_delimiter: bool,
}

impl Encoding {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        self.foreign().map_or("UTF-8", |foreign| foreign.name())
    }

    /// The decoder's side of it; none: it is UTF-8 already.
    pub(super) fn foreign(self) -> Option<&'static encoding_rs::Encoding> {
        match self {
            Self::Utf8 => None,
            Self::Utf16Le => Some(encoding_rs::UTF_16LE),
            Self::Utf16Be => Some(encoding_rs::UTF_16BE),
            Self::Windows1252 => Some(encoding_rs::WINDOWS_1252),
        }
    }
}

/// Reads a file to its end: its encoding, and the context of a SHA-256 over all of it.
pub(super) fn encoding(source: &mut impl Read) -> io::Result<(Encoding, Context)> {
    let (mut hash, mut letters, mut start) = (Context::new(&SHA256), Letters::default(), Vec::new());
    let mut block = vec![0; 64 * 1024];
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&block[..read]);
                letters.count(&block[..read]);
                start.extend(block[..read].iter().take(HEADER - start.len().min(HEADER)));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    letters.end();
    Ok((decide(&start, &letters), hash))
}

/// Finds the delimiter with which the header has a column of addresses and the first rows are as long as the header.
pub(super) fn layout(source: &mut (impl Read + Seek), encoding: Encoding, map: &Map) -> io::Result<Layout> {
    source.rewind()?;
    let mut start = Vec::new();
    Decoded::new(source, encoding).take(LOOKED_AT_BYTES).read_to_end(&mut start)?;
    if let Some(delimiter) = named_delimiter(&start) {
        return Ok(Layout { encoding, delimiter, names_delimiter: true });
    }
    // Of equals the first: the comma.
    let best = DELIMITERS.into_iter().rev().max_by_key(|delimiter| likelihood(&start, *delimiter, map));
    Ok(Layout { encoding, delimiter: best.unwrap_or(b','), names_delimiter: false })
}

fn decide(start: &[u8], letters: &Letters) -> Encoding {
    match start {
        [0xef, 0xbb, 0xbf, ..] => return Encoding::Utf8,
        [0xff, 0xfe, ..] => return Encoding::Utf16Le,
        [0xfe, 0xff, ..] => return Encoding::Utf16Be,
        _ => {}
    }
    let zeros = |at: usize| start.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    match (zeros(0), zeros(1)) {
        (0, odd) if odd * 4 > start.len() => Encoding::Utf16Le,
        (even, 0) if even * 4 > start.len() => Encoding::Utf16Be,
        _ if letters.bad > letters.good => Encoding::Windows1252,
        _ => Encoding::Utf8,
    }
}

fn named_delimiter(start: &[u8]) -> Option<u8> {
    let line = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).split(|byte| *byte == b'\n').next()?;
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if delimiter.is_ascii_punctuation() && *delimiter != b'"' => {
            Some(*delimiter)
        }
        // The tab is white space, and was trimmed.
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] => Some(b'\t'),
        _ => None,
    }
}

fn likelihood(start: &[u8], delimiter: u8, map: &Map) -> (bool, usize, usize) {
    let mut rows = Rows::new(start, delimiter);
    let mut next = || rows.next_row().ok().flatten().and_then(|row| row.fields.ok());
    let Some(header) = next() else { return (false, 0, 0) };
    let as_long = std::iter::from_fn(&mut next).take(LOOKED_AT).filter(|row| row.len() == header.len()).count();
    (Columns::names_addresses(&header, map), if header.len() > 1 { as_long } else { 0 }, header.len())
}

fn as_char<S: serde::Serializer>(byte: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_char(char::from(*byte))
}

// How many letters beyond ASCII are good UTF-8, and how many places are not.
#[derive(Default)]
struct Letters {
    good: u64,
    bad: u64,
    // The beginning of a letter that a block's end cut through.
    cut: Vec<u8>,
}

impl Letters {
    fn count(&mut self, block: &[u8]) {
        let joined = [self.cut.as_slice(), block].concat();
        let (whole, cut) = joined.split_at(joined.len() - cut_at_the_end(&joined));
        self.cut = cut.to_vec();
        for chunk in whole.utf8_chunks() {
            self.good += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count() as u64;
            self.bad += u64::from(!chunk.invalid().is_empty());
        }
    }

    fn end(&mut self) {
        self.bad += u64::from(!self.cut.is_empty());
    }
}

fn cut_at_the_end(block: &[u8]) -> usize {
    let needed = |lead: u8| match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let lead = (1..=block.len().min(3)).find(|back| block[block.len() - back] & 0xc0 != 0x80);
    lead.filter(|back| needed(block[block.len() - back]) > *back).unwrap_or(0)
}
