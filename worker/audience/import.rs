//! A file of subscribers into a topic: streamed, in batches that commit one by one, safe to run again after a crash.
//!
//! Bad rows are refused by line and the rest goes on; who left or is suppressed is reported and left alone. The careful
//! import with mapping, preview and undo comes on top of this. Called by `tidings import subscribers`.

use super::{
    consent::{Evidence, Source},
    csv::{Row, RowError, Rows},
    store,
    subscriber::NewSubscriber,
    subscription::{self, Outcome},
    topic::Topic,
};
use crate::base::keys::Keyring;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgPool;
use std::io::BufRead;

/// Rows written in one transaction: enough that the round trips do not count, few enough that nobody waits for it long.
const BATCH: u64 = 2_000;

const COLUMNS: [&str; 4] = ["email", "name", "zone", "stage_date"];

/// What came of an import. `rows` is the sum of the four that follow it.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Rows of the file, without the header and blank lines.
    pub rows: u64,
    /// Subscribed now, and not before.
    pub added: u64,
    /// Subscribed already, or further up in the same file.
    pub unchanged: u64,
    /// Rows that cannot be taken.
    pub refused: Vec<Remark>,
    /// People who left or are suppressed: nothing about them was changed.
    pub left_alone: Vec<Remark>,
    /// Columns of the file that were not read.
    pub unknown_columns: Vec<String>,
}

/// A line of the file and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Counted from 1, the header's included.
    pub line: u64,
    /// In words.
    pub reason: String,
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Without a header nobody knows what a column means.
    #[error("the first line must name the columns email, name, zone and stage_date (email at least): {0}")]
    Header(String),
    /// The file could not be read on.
    #[error("line {line} could not be read: {source}; what came before it is imported, and running the same again changes nothing twice")]
    Read {
        /// The line.
        line: u64,
        /// The system's word.
        source: std::io::Error,
    },
    /// The database failed.
    #[error(
        "the rows up to line {line} could not be written: {source}; what came before them is imported, and running the same again changes nothing twice"
    )]
    Database {
        /// The last line of the batch.
        line: u64,
        /// Its word.
        source: sqlx::Error,
    },
}

/// Imports a file; `because` says how these people confirmed. `progress` hears the bytes read so far after each batch.
pub async fn import(
    pool: &PgPool,
    keyring: &Keyring,
    file: impl BufRead,
    topic: &Topic,
    because: &str,
    now: Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<Imported, ImportError> {
    let mut rows = Rows::new(file);
    let columns = Columns::read(next(&mut rows, 1)?)?;
    let into = Target { pool, keyring, topic, evidence: Evidence { source: Source::Import, because }, now };
    into.record_act().await.map_err(|source| ImportError::Database { line: 1, source })?;
    let mut imported = Imported { unknown_columns: columns.unknown.clone(), ..Imported::default() };
    let (mut batch, mut line) = (Vec::new(), 1);
    while let Some(row) = next(&mut rows, line + 1)? {
        line = row.line;
        imported.rows += 1;
        match columns.person(row) {
            Ok(person) => batch.push((line, person)),
            Err(reason) => imported.refused.push(Remark { line, reason }),
        }
        if imported.rows.is_multiple_of(BATCH) {
            into.write(&mut batch, line, &mut imported).await?;
            progress(rows.bytes_read());
        }
    }
    into.write(&mut batch, line, &mut imported).await?;
    Ok(imported)
}

impl Imported {
    fn count(&mut self, line: u64, outcome: Outcome) {
        match outcome {
            Outcome::Added(_) => self.added += 1,
            Outcome::Unchanged(_) => self.unchanged += 1,
            Outcome::Unsubscribed(at) => self.left_alone.push(Remark { line, reason: format!("unsubscribed on {}", at.strftime("%F")) }),
            Outcome::Suppressed(s) => {
                let reason = format!("suppressed since {}: {} ({})", s.at.strftime("%F"), s.kind.as_str(), s.reason);
                self.left_alone.push(Remark { line, reason });
            }
        }
    }
}

struct Target<'a> {
    pool: &'a PgPool,
    keyring: &'a Keyring,
    topic: &'a Topic,
    evidence: Evidence<'a>,
    now: Timestamp,
}

impl Target<'_> {
    async fn write(&self, batch: &mut Vec<(u64, NewSubscriber)>, line: u64, imported: &mut Imported) -> Result<(), ImportError> {
        let (lines, people): (Vec<u64>, Vec<NewSubscriber>) = batch.drain(..).unzip();
        let outcomes = self.confirm(&people).await.map_err(|source| ImportError::Database { line, source })?;
        lines.into_iter().zip(outcomes).for_each(|(line, outcome)| imported.count(line, outcome));
        Ok(())
    }

    async fn confirm(&self, people: &[NewSubscriber]) -> sqlx::Result<Vec<Outcome>> {
        let mut tx = self.pool.begin().await?;
        let outcomes = subscription::confirm(&mut tx, self.keyring, self.topic.id, people, self.evidence, self.now).await?;
        tx.commit().await?;
        Ok(outcomes)
    }

    async fn record_act(&self) -> sqlx::Result<()> {
        let mut conn = self.pool.acquire().await?;
        let because = self.evidence.because;
        store::insert_operator_act(&mut conn, "import of subscribers", "topic", Some(self.topic.id), because, self.now).await
    }
}

fn next<R: BufRead>(rows: &mut Rows<R>, line: u64) -> Result<Option<Row>, ImportError> {
    rows.next_row().map_err(|source| ImportError::Read { line, source })
}

// Where in a row each column stands.
struct Columns {
    at: [Option<usize>; COLUMNS.len()],
    count: usize,
    unknown: Vec<String>,
}

impl Columns {
    fn read(header: Option<Row>) -> Result<Self, ImportError> {
        let wrong = |why: String| Err(ImportError::Header(why));
        let names = match header.map(|row| row.fields) {
            None => return wrong("the file is empty".to_owned()),
            Some(Err(RowError::Encoding(_) | RowError::Nul)) => {
                return wrong("it is no text in UTF-8; save the file as CSV in UTF-8".to_owned());
            }
            Some(Err(error)) => return wrong(error.to_string()),
            Some(Ok(names)) => names,
        };
        let mut columns = Self { at: [None; COLUMNS.len()], count: names.len(), unknown: Vec::new() };
        for (index, name) in names.iter().enumerate() {
            match COLUMNS.iter().position(|c| name.trim().eq_ignore_ascii_case(c)) {
                Some(column) if columns.at[column].is_some() => return wrong(format!("`{}` stands there twice", COLUMNS[column])),
                Some(column) => columns.at[column] = Some(index),
                None => columns.unknown.push(name.trim().chars().take(60).collect()),
            }
        }
        match columns.at[0] {
            Some(_) => Ok(columns),
            None if names.len() == 1 && names[0].contains([';', '\t']) => wrong("columns must be separated by commas".to_owned()),
            None if names.iter().any(|n| n.contains('@')) => wrong("it is a row of people".to_owned()),
            None => {
                wrong(format!("`email` is not among {}", columns.unknown.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")))
            }
        }
    }

    fn person(&self, row: Row) -> Result<NewSubscriber, String> {
        let fields = row.fields.map_err(|e| e.to_string())?;
        if fields.len() != self.count {
            return Err(format!("it has {} fields where the header has {}", fields.len(), self.count));
        }
        let field = |column: usize| self.at[column].map_or("", |at| fields[at].as_str());
        NewSubscriber::read(field(0), field(1), field(2), field(3)).map_err(|e| e.to_string())
    }
}
