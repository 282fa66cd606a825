//! Entries as operators look for them: the line as a list, an entry by its address, the addresses of entries.
//!
//! Reads only. Called by the command line, through `entry`.

use super::{WaitlistError, states::EntryState};
use crate::base::{address::EmailAddress, time::from_db};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::HashMap;

/// Somebody in a program's line, or who was.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Her entry.
    pub entry: i64,
    /// Her address; none for whoever was erased.
    pub email: Option<String>,
    /// Where it stands.
    pub state: EntryState,
    /// Her place, where she waits; the unconfirmed have none yet.
    pub place: Option<i64>,
    /// Her priority.
    pub priority: i16,
    /// Since when she stands where she stands.
    pub joined_at: Timestamp,
    /// Offers that she let run out.
    pub misses: i16,
    /// Why nothing is offered to her, in the latest opening.
    pub passed_over: Option<String>,
}

/// The entries of a program in the order of the line, those in `state` or all live ones; at most `limit`.
pub async fn list(conn: &mut PgConnection, program_id: i64, state: Option<EntryState>, limit: i64) -> sqlx::Result<Vec<Listed>> {
    let rows = sqlx::query!(
        r#"SELECT e.id, s.address, e.state AS "state: EntryState", e.priority, e.joined_at, e.misses,
            CASE WHEN e.state = 'waiting' THEN row_number() OVER (PARTITION BY e.state = 'waiting' ORDER BY -e.priority, e.joined_at, e.id) END AS place,
            (SELECT l.passed_over FROM opening_line l WHERE l.entry_id = e.id AND l.program_id = e.program_id
                AND l.opening_id = (SELECT o.id FROM openings o WHERE o.program_id = e.program_id ORDER BY o.number DESC LIMIT 1)) AS passed_over
        FROM entries e JOIN subscribers s ON s.id = e.subscriber_id
        WHERE e.program_id = $1 AND ($2::text IS NULL AND e.state NOT IN ('withdrawn', 'removed') OR e.state = $2)
        ORDER BY -e.priority, e.joined_at, e.id LIMIT $3"#,
        program_id,
        state.map(EntryState::as_str),
        limit
    )
    .fetch_all(conn)
    .await?;
    let listed = rows.into_iter().map(|row| Listed {
        entry: row.id,
        email: row.address,
        state: row.state,
        place: row.place,
        priority: row.priority,
        joined_at: from_db(row.joined_at),
        misses: row.misses,
        passed_over: row.passed_over,
    });
    Ok(listed.collect())
}

/// The live entry of an address, in this program or in the only one that she waits for.
pub async fn of_address(conn: &mut PgConnection, address: &EmailAddress, slug: Option<&str>) -> Result<i64, WaitlistError> {
    let mut live = sqlx::query!(
        "SELECT e.id, p.slug FROM entries e JOIN subscribers s ON s.id = e.subscriber_id JOIN programs p ON p.id = e.program_id
        WHERE s.address_key = $1 AND e.state NOT IN ('withdrawn', 'removed') AND ($2::text IS NULL OR p.slug = $2) ORDER BY p.slug",
        address.key(),
        slug
    )
    .fetch_all(conn)
    .await?;
    match (live.pop(), live.is_empty()) {
        (Some(only), true) => Ok(only.id),
        (last, _) => {
            let programs = live.into_iter().chain(last).map(|row| row.slug).collect();
            Err(WaitlistError::NotOne { address: address.as_given().to_owned(), programs })
        }
    }
}

/// The addresses of entries, for whoever shows them to an operator.
pub async fn addresses(conn: &mut PgConnection, entries: &[i64]) -> sqlx::Result<HashMap<i64, String>> {
    let rows = sqlx::query!(
        r#"SELECT e.id, s.address AS "address!" FROM entries e JOIN subscribers s ON s.id = e.subscriber_id WHERE e.id = ANY($1) AND s.address IS NOT NULL"#,
        entries
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.address)).collect())
}
