//! Subscribers as a CSV file: a page at a time, so that a million need no memory, and safe to be opened in a spreadsheet.
//!
//! `csv::cell` says how a cell is written; the import takes exactly that back. Called by `tidings export subscribers`.

use super::{
    csv::cell,
    listing::{self, ListedSubscriber},
};
use sqlx::PgConnection;
use std::io::{self, Write};

const PAGE: i64 = 1_000;

const COLUMNS: [&str; 11] =
    ["email", "name", "zone", "stage_date", "weekday", "hour", "language", "paused_until", "topics", "suppressed", "since"];

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nobody takes it.
    #[error("the file could not be written: {0}")]
    Write(#[from] io::Error),
    /// The database failed.
    #[error("the subscribers could not be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes those of a topic, or all; how many.
pub async fn subscribers(conn: &mut PgConnection, topic_id: Option<i64>, out: &mut impl Write) -> Result<u64, ExportError> {
    let (mut written, mut after) = (0, Some(0));
    write_row(out, &COLUMNS.map(str::to_owned))?;
    while let Some(last) = after {
        let page = listing::subscribers(conn, topic_id, last, PAGE).await?;
        after = page.last().map(|person| person.id);
        for person in &page {
            write_row(out, &row(person))?;
            written += 1;
        }
    }
    Ok(written)
}

/// Writes one row, with the line end of RFC 4180.
pub fn write_row(out: &mut impl Write, texts: &[String]) -> io::Result<()> {
    let cells: Vec<_> = texts.iter().map(|text| cell(text)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

fn row(person: &ListedSubscriber) -> [String; COLUMNS.len()] {
    let text = |value: Option<String>| value.unwrap_or_default();
    let topics: Vec<String> = person.topics.iter().map(|topic| format!("{} ({})", topic.topic, topic.standing)).collect();
    [
        person.email.clone(),
        text(person.name.clone()),
        text(person.zone.clone()),
        text(person.stage_date.map(|date| date.to_string())),
        text(person.weekday.map(|day| day.to_string())),
        text(person.hour.map(|hour| hour.to_string())),
        text(person.language.clone()),
        text(person.paused_until.map(|at| at.to_string())),
        topics.join("; "),
        person.suppressed.join("; "),
        person.since.to_string(),
    ]
}
