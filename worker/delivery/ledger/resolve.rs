//! The operator's word about a delivery that is unconfirmed, and the list of those that need one.

use super::super::Key;
use crate::base::time::{civil_from_db, civil_to_db, from_db, to_db};
use jiff::Timestamp;
use sqlx::{Acquire, PgConnection};

/// What an operator says of an unconfirmed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It arrived.
    Sent,
    /// It did not, and shall not be sent.
    Failed,
    /// Hand it over once more; at most once in a delivery's life.
    Again,
}

/// Why a resolution was refused.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such delivery.
    #[error("there is no delivery {0}: `tidings delivery list --state unconfirmed` shows those that wait for a word")]
    Unknown(i64),
    /// It is not unconfirmed.
    #[error("delivery {id} is {state}, and only an unconfirmed one can be resolved")]
    NotUnconfirmed {
        /// Its id.
        id: i64,
        /// Its state.
        state: String,
    },
    /// It was sent again once already.
    #[error("delivery {0} was handed over again once already; say `sent` or `failed`")]
    RepeatedAlready(i64),
    /// Its edition is over by an operator's word.
    #[error("the edition of delivery {id} is {state}: say `sent` or `failed`")]
    EditionOver {
        /// Its id.
        id: i64,
        /// The edition's state.
        state: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Resolves the unconfirmed delivery `id` and records that an operator did.
pub async fn resolve(conn: &mut PgConnection, id: i64, resolution: Resolution, now: Timestamp) -> Result<(), ResolveError> {
    let mut tx = conn.begin().await?;
    let row = sqlx::query!("SELECT period, edition_id FROM deliveries WHERE id = $1", id).fetch_optional(&mut *tx).await?;
    let Some(found) = row else { return Err(ResolveError::Unknown(id)) };
    // The campaign, the edition, the row: the order in which everyone locks.
    let edition = match found.edition_id {
        Some(edition) => Some(lock_edition(&mut tx, edition).await?),
        None => None,
    };
    let row = sqlx::query!("SELECT state, repeated_at FROM deliveries WHERE period = $1 AND id = $2 FOR NO KEY UPDATE", found.period, id)
        .fetch_one(&mut *tx)
        .await?;
    if row.state != "unconfirmed" {
        return Err(ResolveError::NotUnconfirmed { id, state: row.state });
    }
    let key = Key { period: civil_from_db(found.period), id };
    match resolution {
        Resolution::Sent => end(&mut tx, key, "sent", now).await?,
        Resolution::Failed => end(&mut tx, key, "failed", now).await?,
        Resolution::Again => {
            if row.repeated_at.is_some() {
                return Err(ResolveError::RepeatedAlready(id));
            }
            if let Some(state) = edition.filter(|s| matches!(s.as_str(), "cancelled" | "skipped")) {
                return Err(ResolveError::EditionOver { id, state });
            }
            again(&mut tx, key, found.edition_id, now).await?;
        }
    }
    sqlx::query!(
        "INSERT INTO operator_acts (at, act, subject, subject_id, detail) VALUES ($1, 'resolve', 'delivery', $2, $3)",
        to_db(now),
        id,
        format!("{resolution:?}").to_lowercase()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

// Its state, or its campaign's where that is over.
async fn lock_edition(conn: &mut PgConnection, id: i64) -> sqlx::Result<String> {
    let campaign =
        sqlx::query_scalar!("SELECT state FROM campaigns WHERE id = (SELECT campaign_id FROM editions WHERE id = $1) FOR SHARE", id)
            .fetch_one(&mut *conn)
            .await?;
    let edition = sqlx::query_scalar!("SELECT state FROM editions WHERE id = $1 FOR NO KEY UPDATE", id).fetch_one(conn).await?;
    Ok(if campaign == "cancelled" { campaign } else { edition })
}

async fn end(conn: &mut PgConnection, key: Key, state: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH ended AS (
            UPDATE deliveries SET state = $3, reason = CASE $3 WHEN 'failed' THEN 'failed by an operator''s word' ELSE 'sent by an operator''s word' END,
                finished_at = $4
            WHERE period = $1 AND id = $2 RETURNING state, subscriber_id, segment_id
        )
        DELETE FROM segments_given g USING ended
        WHERE ended.state = 'failed' AND g.subscriber_id = ended.subscriber_id AND g.segment_id = ended.segment_id",
        civil_to_db(key.period),
        key.id,
        state,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(())
}

// Time starts anew for it: its edition may be long past its deadline, and the operator wants it sent now.
async fn again(conn: &mut PgConnection, key: Key, edition_id: Option<i64>, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE deliveries SET state = 'queued', reason = NULL, due_at = $3, ready_at = $3, repeated_at = $3, finished_at = NULL, handing_over_at = NULL,
            valid_until = greatest(valid_until, CASE WHEN valid_until IS NOT NULL THEN $3::timestamptz + interval '1 day' END)
        WHERE period = $1 AND id = $2",
        civil_to_db(key.period),
        key.id,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    if let Some(edition) = edition_id {
        sqlx::query!(
            "UPDATE editions e SET finished_at = NULL,
                state = CASE c.state WHEN 'paused' THEN 'paused' ELSE 'running' END,
                resume_to = CASE c.state WHEN 'paused' THEN 'running' END,
                reason = CASE c.state WHEN 'paused' THEN c.reason END
            FROM campaigns c WHERE c.id = e.campaign_id AND e.id = $1 AND e.state = 'finished'",
            edition
        )
        .execute(&mut *conn)
        .await?;
    }
    crate::base::wake::enqueue(conn, &crate::base::wake::Job::Send).await
}

/// One line of the list of deliveries.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub key: Key,
    /// Its state.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Where it goes; none for an erased person.
    pub address: Option<String>,
    /// The campaign and the occurrence of its edition.
    pub edition: Option<String>,
    /// The last mark.
    pub handing_over_at: Option<Timestamp>,
    /// What the relay said last.
    pub reply: Option<String>,
}

/// The deliveries in `state` (all, when none is named), the latest first, at most `limit`.
pub async fn list(conn: &mut PgConnection, state: Option<&str>, limit: i64) -> sqlx::Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"SELECT d.period, d.id, d.state, d.reason, d.handing_over_at, d.reply, coalesce(s.address, d.address) AS address,
            c.name || ' ' || e.occurrence AS edition
        FROM deliveries d LEFT JOIN subscribers s ON s.id = d.subscriber_id LEFT JOIN editions e ON e.id = d.edition_id
        LEFT JOIN campaigns c ON c.id = e.campaign_id
        WHERE $1::text IS NULL OR d.state = $1 ORDER BY d.period DESC, d.id DESC LIMIT $2"#,
        state,
        limit
    )
    .fetch_all(conn)
    .await?;
    let lines = rows.into_iter().map(|r| Line {
        key: Key { period: civil_from_db(r.period), id: r.id },
        state: r.state,
        reason: r.reason,
        address: r.address,
        edition: r.edition,
        handing_over_at: r.handing_over_at.map(from_db),
        reply: r.reply,
    });
    Ok(lines.collect())
}
