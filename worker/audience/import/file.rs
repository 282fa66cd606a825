//! A file of people: opened once to see how it is written, then read row by row as often as it is needed.
//!
//! Owns the way from bytes to a valid person or a refusal with its line. Called by `import` and `preview`.

use super::{
    ImportError, Map, Options,
    columns::Columns,
    decode::Decoded,
    detect::{self, Layout},
};
use crate::audience::{
    csv::{Row, RowError, Rows},
    subscriber::NewSubscriber,
};
use std::io::{Read, Seek};

/// A file whose header was understood.
pub struct Table<R> {
    source: R,
    name: String,
    map: Map,
    columns: Columns,
    layout: Layout,
    hash: ring::digest::Context,
}

impl<R: Read + Seek> Table<R> {
    /// Reads a file once to its end; `name` is what it is remembered by.
    pub fn open(mut source: R, name: &str, map: Map) -> Result<Self, ImportError> {
        let at_start = |source| ImportError::Read { line: 1, source };
        source.rewind().map_err(at_start)?;
        let (encoding, hash) = detect::encoding(&mut source).map_err(at_start)?;
        let layout = detect::layout(&mut source, encoding, &map).map_err(at_start)?;
        let mut rows = rows(&mut source, layout)?;
        let header = read_header(next(&mut rows, 1)?)?;
        let columns = Columns::read(&header, &map).map_err(ImportError::Header)?;
        Ok(Self { source, name: name.to_owned(), map, columns, layout, hash })
    }

    /// How it is written.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The names of its columns that are not read.
    pub fn unread_columns(&self) -> &[String] {
        self.columns.unread()
    }

    /// The name that it is remembered by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 over the file and over how it is to be taken: the same again is the same import.
    pub(super) fn identity(&self, options: &Options<'_>) -> Vec<u8> {
        let mut hash = self.hash.clone();
        let topic = options.topic.map(|topic| topic.id);
        hash.update(format!("\0{}\0{topic:?}\0{:?}", self.map.identity(), options.because).as_bytes());
        hash.finish().as_ref().to_vec()
    }

    /// Its people, from the first row on.
    pub(super) fn people(&mut self) -> Result<People<'_, R>, ImportError> {
        let mut rows = rows(&mut self.source, self.layout)?;
        let header = next(&mut rows, 1)?;
        Ok(People { rows, columns: &self.columns, line: header.map_or(1, |row| row.line) })
    }
}

/// A row of the file.
pub(super) struct Person {
    /// Where it begins.
    pub(super) line: u64,
    /// Whom it is about, or why it is refused.
    pub(super) read: Result<NewSubscriber, String>,
}

/// The rows of a file, one by one.
pub(super) struct People<'t, R: Read> {
    rows: Rows<Decoded<&'t mut R>>,
    columns: &'t Columns,
    line: u64,
}

impl<R: Read> People<'_, R> {
    /// The next row, or `None` at the end of the file.
    pub(super) fn next_person(&mut self) -> Result<Option<Person>, ImportError> {
        let Some(Row { line, fields }) = next(&mut self.rows, self.line + 1)? else { return Ok(None) };
        self.line = line;
        let read = fields.map_err(|error| error.to_string()).and_then(|fields| self.columns.person(&fields));
        Ok(Some(Person { line, read }))
    }

    /// The next rows, `most` of them unless the file ends.
    pub(super) fn next_batch(&mut self, most: usize) -> Result<Vec<Person>, ImportError> {
        let mut batch = Vec::new();
        while batch.len() < most {
            match self.next_person()? {
                Some(person) => batch.push(person),
                None => break,
            }
        }
        Ok(batch)
    }

    /// How many bytes of the file were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.rows.source().bytes_read()
    }
}

fn rows<R: Read + Seek>(source: &mut R, layout: Layout) -> Result<Rows<Decoded<&mut R>>, ImportError> {
    source.rewind().map_err(|source| ImportError::Read { line: 1, source })?;
    let mut rows = Rows::new(Decoded::new(source, layout.encoding), layout.delimiter);
    if layout.names_delimiter {
        next(&mut rows, 1)?;
    }
    Ok(rows)
}

fn next<R: Read>(rows: &mut Rows<Decoded<R>>, line: u64) -> Result<Option<Row>, ImportError> {
    rows.next_row().map_err(|source| ImportError::Read { line, source })
}

fn read_header(row: Option<Row>) -> Result<Vec<String>, ImportError> {
    let why = match row.map(|row| row.fields) {
        Some(Ok(names)) => return Ok(names),
        None => "the file is empty".to_owned(),
        Some(Err(RowError::Encoding(_) | RowError::Nul)) => "it is no text; save the file as CSV in UTF-8".to_owned(),
        Some(Err(error)) => error.to_string(),
    };
    Err(ImportError::Header(why))
}
