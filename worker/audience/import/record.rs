//! What was imported, as an operator lists it.
//!
//! Read only. Called by `tidings import list`.

use super::Counts;
use crate::base::time::from_db;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, types::Json};

/// An import in the list.
#[derive(Debug, Serialize)]
pub struct ImportRecord {
    /// Its number.
    #[serde(rename = "import")]
    pub id: i64,
    /// The file's name.
    pub file: String,
    /// The topic's name; none: particulars alone were taken.
    pub topic: Option<String>,
    /// How these people confirmed; none: they came in unconfirmed.
    pub because: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// under way, finished, being undone or undone. One that broke off is under way until it is run again.
    pub state: &'static str,
    /// How many confirmations an hour are being asked for; none: none are.
    pub ask_per_hour: Option<i32>,
    /// What became of its rows.
    #[serde(flatten)]
    pub counts: Counts,
}

/// All imports, the latest first.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<ImportRecord>> {
    let rows = sqlx::query!(
        r#"SELECT i.id, i.file_name, t.name AS "topic?", i.because, i.started_at, i.finished_at, i.undoing_at, i.undone_at, i.ask_per_hour,
            i.counts AS "counts: Json<Counts>"
           FROM imports i LEFT JOIN topics t ON t.id = i.topic_id ORDER BY i.id DESC"#,
    )
    .fetch_all(conn)
    .await?;
    let records = rows.into_iter().map(|row| ImportRecord {
        id: row.id,
        file: row.file_name,
        topic: row.topic,
        because: row.because,
        started_at: from_db(row.started_at),
        state: match (row.undone_at, row.undoing_at, row.finished_at) {
            (Some(_), ..) => "undone",
            (None, Some(_), _) => "being undone",
            (None, None, Some(_)) => "finished",
            (None, None, None) => "under way",
        },
        ask_per_hour: row.ask_per_hour,
        counts: row.counts.0,
    });
    Ok(records.collect())
}
