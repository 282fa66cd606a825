//! What operators did: every act that changes what is sent or to whom, with the words that were given for it.
//!
//! Owns the table operator_acts. Whoever does the act records it in the same transaction.

use super::time::to_db;
use jiff::Timestamp;
use sqlx::PgConnection;

/// Records what an operator did, to what kind of thing (`campaign`, `subscriber`, …) and to which.
pub async fn record<'a>(
    conn: &mut PgConnection,
    act: &str,
    subject: &str,
    subject_id: Option<i64>,
    detail: impl Into<Option<&'a str>>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO operator_acts (at, act, subject, subject_id, detail) VALUES ($1, $2, $3, $4, $5)",
        to_db(now),
        act,
        subject,
        subject_id,
        detail.into(),
    )
    .execute(conn)
    .await
    .map(drop)
}
