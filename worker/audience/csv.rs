//! Rows out of a CSV file (RFC 4180) that may be hostile or broken: pure, streamed, and never fatal but for reading itself.
//!
//! Strict on purpose: a quote that is opened and never closed must cost its own line and not the rest of the file, so a row
//! that does not come out whole is refused by its line and reading goes on with the next one. The csv crate holds all that
//! follows such a quote as one field, whatever its length, and so does not fit here. Called by `import`.

use std::io::{self, BufRead, Read};

/// The longest row that is taken, in bytes; more than this is never held of one row.
pub const MAX_ROW: usize = 64 * 1024;

mod cell;

pub use cell::{cell, restored};

/// A row of the file and the number of its first line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it begins.
    pub line: u64,
    /// Its fields, or why it cannot be taken.
    pub fields: Result<Vec<String>, RowError>,
}

/// Why a row cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Longer than [`MAX_ROW`].
    #[error("the row is longer than {MAX_ROW} bytes")]
    TooLong,
    /// Not valid text.
    #[error("it is no text in the file's encoding (byte {0} of the row): save the file as UTF-8")]
    Encoding(usize),
    /// Holds U+0000, which no text in the database can.
    #[error("it holds a NUL byte")]
    Nul,
    /// A quoted field has no end.
    #[error("a quotation mark is opened and not closed")]
    OpenQuote,
    /// A quoted field goes on behind its end.
    #[error("text follows a closing quotation mark (a quotation mark inside a field is written twice)")]
    AfterQuote,
}

/// Reads rows one by one; blank lines are passed over, a byte order mark is dropped.
#[derive(Debug)]
pub struct Rows<R> {
    source: R,
    delimiter: u8,
    // Whole lines taken back because the row that they were thought to belong to was refused.
    ahead: Vec<u8>,
    line: u64,
}

impl<R: BufRead> Rows<R> {
    /// Rows of `source`, whose fields are separated by `delimiter`.
    pub fn new(source: R, delimiter: u8) -> Self {
        Self { source, delimiter, ahead: Vec::new(), line: 0 }
    }

    /// What the rows are read from.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// The next row, or `None` at the end of the file.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        loop {
            let mut row = Vec::new();
            let whole = self.take_line(&mut row)?;
            if self.line == 0 && row.starts_with(b"\xef\xbb\xbf") {
                row.drain(..3);
            }
            self.line += 1;
            let line = self.line;
            if !whole {
                self.skip_line()?;
            }
            if !whole || without_line_end(&row).len() > MAX_ROW {
                return Ok(Some(Row { line, fields: Err(RowError::TooLong) }));
            }
            if row.is_empty() {
                return Ok(None);
            }
            if !without_line_end(&row).is_empty() {
                return Ok(Some(Row { line, fields: self.complete(row)? }));
            }
        }
    }

    // A quoted field may hold line ends: lines are added until the row is whole, cannot become so, or is too long.
    fn complete(&mut self, mut row: Vec<u8>) -> io::Result<Result<Vec<String>, RowError>> {
        let first_line = row.len();
        let mut splitter = Splitter { delimiter: self.delimiter, state: State::Start, at: 0, ends: Vec::new() };
        let mut fed = 0;
        loop {
            match splitter.feed(&row[fed..]) {
                Fed::Whole => {
                    self.line += row[first_line..].iter().filter(|b| **b == b'\n').count() as u64;
                    return Ok(splitter.fields(without_line_end(&row)));
                }
                Fed::Broken(error) => return Ok(Err(self.take_back(&row[first_line..], error))),
                Fed::Open => {}
            }
            fed = row.len();
            let whole = self.take_line(&mut row)?;
            if !whole || row.len() == fed {
                return Ok(Err(self.take_back(&row[first_line..], RowError::OpenQuote)));
            }
        }
    }

    fn take_back(&mut self, lines: &[u8], error: RowError) -> RowError {
        self.ahead.splice(..0, lines.iter().copied());
        error
    }

    // Adds a line with its end to `row`; false when the row would become longer than MAX_ROW, the rest then stays unread.
    fn take_line(&mut self, row: &mut Vec<u8>) -> io::Result<bool> {
        let room = (MAX_ROW + 2).saturating_sub(row.len());
        let before = row.len();
        let taken = match self.ahead.iter().position(|b| *b == b'\n') {
            Some(end) => end + 1,
            None => self.ahead.len(),
        };
        row.extend(self.ahead.drain(..taken.min(room)));
        if row.len() - before < room && !row[before..].ends_with(b"\n") {
            let left = room - (row.len() - before);
            self.source.by_ref().take(left as u64).read_until(b'\n', row)?;
        }
        Ok(row[before..].ends_with(b"\n") || row.len() - before < room)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        if let Some(end) = self.ahead.iter().position(|b| *b == b'\n') {
            self.ahead.drain(..=end);
            return Ok(());
        }
        self.ahead.clear();
        self.source.skip_until(b'\n')?;
        Ok(())
    }
}

enum Fed {
    Whole,
    Open,
    Broken(RowError),
}

// Where the fields of a row end, found in one pass even when the row comes line by line.
struct Splitter {
    delimiter: u8,
    state: State,
    at: usize,
    ends: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    QuoteInQuoted,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8]) -> Fed {
        for (offset, byte) in bytes.iter().enumerate() {
            self.state = match (self.state, byte) {
                (State::Start, b'"') | (State::QuoteInQuoted, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::QuoteInQuoted,
                (State::Quoted, _) => State::Quoted,
                (State::Start | State::Plain | State::QuoteInQuoted, byte) if *byte == self.delimiter => {
                    self.ends.push(self.at + offset);
                    State::Start
                }
                (State::QuoteInQuoted, b'\r' | b'\n') => State::QuoteInQuoted,
                (State::QuoteInQuoted, _) => return Fed::Broken(RowError::AfterQuote),
                (State::Start | State::Plain, _) => State::Plain,
            };
        }
        self.at += bytes.len();
        if self.state == State::Quoted { Fed::Open } else { Fed::Whole }
    }

    fn fields(mut self, row: &[u8]) -> Result<Vec<String>, RowError> {
        if row.contains(&0) {
            return Err(RowError::Nul);
        }
        let row = std::str::from_utf8(row).map_err(|e| RowError::Encoding(e.valid_up_to() + 1))?;
        self.ends.push(row.len());
        let mut start = 0;
        let fields = self.ends.iter().map(|end| {
            let field = &row[start..*end];
            start = end + 1;
            unquoted(field)
        });
        Ok(fields.collect())
    }
}

fn unquoted(field: &str) -> String {
    match field.strip_prefix('"').and_then(|f| f.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cfg(test)]
mod tests;
