//! A file of subscribers: looked at first, then taken in batches that commit one by one, and undone as a whole if it must be.
//!
//! Bad rows are refused by line and the rest goes on; whoever left or is suppressed is reported and left alone; what is known of
//! a person is never overwritten by a file, only filled in. Killed and run again with the same file and options it goes on where
//! it was. Called by `tidings import subscribers` and the demo; `people::unimport` undoes, `signup::ask` asks for confirmations.

mod columns;
mod decode;
mod detect;
mod file;
mod judge;
mod preview;
pub mod record;
mod store;
mod write;

pub use columns::{Map, MapError};
pub use detect::{Encoding, Layout};
pub use file::Table;
pub use judge::Difference;
pub use preview::{Preview, Sample, preview};

use super::topic::Topic;
use crate::base::keys::Keyring;
use file::Person;
use jiff::Timestamp;
use judge::{Judged, Outcome};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::io::{Read, Seek};

/// Rows written in one transaction: enough that the round trips do not count, few enough that nobody waits for it long.
const BATCH: usize = 2_000;

/// What becomes of the people in a file.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What they subscribe to; none: their particulars alone are taken.
    pub topic: Option<&'a Topic>,
    /// How they confirmed, in an operator's words; none: they come in unconfirmed.
    pub because: Option<&'a str>,
}

/// What came of an import.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    /// Its number, by which it is undone.
    #[serde(rename = "import")]
    pub id: i64,
    /// Rows that an earlier run, which broke off, had done.
    pub gone_on_after: u64,
    /// What became of the rows, those of the earlier run included.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How many rows became what. `rows` is the sum of the five that follow it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows of the file, without the header and blank lines.
    pub rows: u64,
    /// People who were no subscribers before.
    pub new: u64,
    /// Subscribers who are subscribed or confirmed now and were not before, or of whom more is known now.
    pub changed: u64,
    /// Nothing about them is new.
    pub unchanged: u64,
    /// Rows that cannot be taken.
    pub refused: u64,
    /// People who left or are suppressed: nothing about them was changed.
    pub left_alone: u64,
    /// Rows that say something else than is known; what is known was kept.
    pub kept: u64,
}

/// A line of the file and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Counted from 1, the header's included.
    pub line: u64,
    /// What became of it.
    pub outcome: Said,
    /// Why, in words.
    pub reason: String,
}

/// What a remark says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It cannot be taken.
    Refused,
    /// She left or is suppressed.
    LeftAlone,
}

/// What an import tells while it works.
#[derive(Debug)]
pub enum Heard<'a> {
    /// So many bytes of the file were read.
    Read(u64),
    /// There is something to say about a line.
    Line(&'a Remark),
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Without a header nobody knows what a column means.
    #[error("the first line must name the columns (email at least; name, zone and stage_date are read too): {0}")]
    Header(String),
    /// The file could not be read on.
    #[error("line {line} could not be read: {source}; what came before it is imported, and running the same again goes on there")]
    Read {
        /// The line.
        line: u64,
        /// The system's word.
        source: std::io::Error,
    },
    /// The database failed.
    #[error(
        "the rows up to line {line} could not be written: {source}; what came before them is imported, and running the same again goes on there"
    )]
    Database {
        /// The last line of the batch.
        line: u64,
        /// Its word.
        source: sqlx::Error,
    },
    /// Its undoing was begun.
    #[error("import {0} of this file is being undone: `tidings import undo {0}` finishes that, then the file can be imported again")]
    BeingUndone(i64),
    /// Somebody else goes on with it.
    #[error("import {0} of this file is under way in another process: wait for it, then `tidings import list` shows what came of it")]
    Elsewhere(i64),
}

/// Imports a file, or goes on with an import of it that broke off.
pub async fn import<R: Read + Seek>(
    pool: &PgPool,
    keyring: &Keyring,
    table: &mut Table<R>,
    options: Options<'_>,
    now: Timestamp,
    mut hear: impl FnMut(Heard<'_>),
) -> Result<Imported, ImportError> {
    let mut writer = write::Writer::begin(pool, keyring, options, table, now).await?;
    let gone_on_after = writer.counts().rows;
    let mut rows = table.people()?;
    for _ in 0..gone_on_after {
        // What was refused is refused again, so that the list of the lines is whole; the counts have it already.
        if let Some(Person { line, read: Err(reason) }) = rows.next_person()? {
            hear(Heard::Line(&Remark { line, outcome: Said::Refused, reason }));
        }
    }
    loop {
        let batch = rows.next_batch(BATCH)?;
        let is_last = batch.len() < BATCH;
        if !batch.is_empty() {
            let remarks = writer.write(&batch).await?;
            remarks.iter().for_each(|remark| hear(Heard::Line(remark)));
            hear(Heard::Read(rows.bytes_read()));
        }
        if is_last {
            break;
        }
    }
    writer.finish(now).await?;
    Ok(Imported { id: writer.id(), gone_on_after, counts: writer.counts() })
}

impl Counts {
    fn count(&mut self, judged: &Judged) {
        self.rows += 1;
        self.kept += u64::from(judged.kept);
        *match judged.outcome {
            Outcome::New => &mut self.new,
            Outcome::Changed => &mut self.changed,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::LeftAlone(_) => &mut self.left_alone,
        } += 1;
    }

    fn count_refused(&mut self) {
        self.rows += 1;
        self.refused += 1;
    }
}
