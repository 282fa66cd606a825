//! The SQL of the erasure, table by table. Everything runs in the transaction of `forget`, and what is append-only lets it pass.
//!
//! Texts are read, blanked by `Words` and written back only where something was found: most hold nothing of hers.

use super::words::Words;
use crate::{
    audience::store as audience,
    base::{address::EmailAddress, time::to_db},
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// What identifies her, as long as it is known.
pub(super) struct Known {
    /// None when she was erased.
    pub(super) address: Option<String>,
    pub(super) name: Option<String>,
}

/// Holds her row, as every stop does.
pub(super) async fn lock(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Known>> {
    sqlx::query_as!(Known, "SELECT address, name FROM subscribers WHERE id = $1 FOR NO KEY UPDATE", id).fetch_optional(conn).await
}

/// Ends what she is subscribed to.
pub(super) async fn end_subscriptions(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subscriptions SET standing = 'unsubscribed', changed_at = $2 WHERE subscriber_id = $1 AND standing <> 'unsubscribed'",
        id,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Leaves of her row what the ledger needs: the id.
pub(super) async fn blank_subscriber(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subscribers SET address = NULL, address_key = NULL, name = NULL, zone = NULL, stage_date = NULL, language = NULL,
            paused_until = NULL, weekday = NULL, hour = NULL, erased_at = $2 WHERE id = $1",
        id,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Records the act among her changes.
pub(super) async fn insert_event(conn: &mut PgConnection, id: i64, source: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO subscriber_events (subscriber_id, at, what, source) VALUES ($1, $2, 'erased', $3)", id, to_db(now), source)
        .execute(conn)
        .await
        .map(drop)
}

/// Consents keep act, time, topic and source, and words that are ours; evidence that somebody gave about her goes, and so do the
/// values of her changes.
pub(super) async fn blank_history(conn: &mut PgConnection, id: i64, words: &Words) -> sqlx::Result<()> {
    audience::blank_history(conn, &[id]).await?;
    sqlx::query("SET LOCAL tidings.erasing = 'on'").execute(&mut *conn).await?;
    let rows = sqlx::query!(r#"SELECT id, wording AS "wording!" FROM consents WHERE subscriber_id = $1 AND wording IS NOT NULL"#, id)
        .fetch_all(&mut *conn)
        .await?;
    for (id, text) in rows.into_iter().filter_map(|row| Some((row.id, words.without_her(&row.wording)?))) {
        sqlx::query!("UPDATE consents SET wording = $2 WHERE id = $1", id, text).execute(&mut *conn).await?;
    }
    sqlx::query("SET LOCAL tidings.erasing = 'off'").execute(conn).await.map(drop)
}

/// Sign-ups keep when they were made and how they ended; an open one is closed.
pub(super) async fn blank_signups(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE signups SET wording = NULL, name = NULL, zone = NULL, stage_date = NULL, origin_hash = NULL,
            closed_at = coalesce(closed_at, asked_at), outcome = coalesce(outcome, 'expired') WHERE subscriber_id = $1",
        id,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Frozen contexts go; in texts about a delivery she is blanked. Test deliveries to her address keep everything but that.
pub(super) async fn blank_deliveries(conn: &mut PgConnection, id: i64, address: &EmailAddress, words: &Words) -> sqlx::Result<()> {
    // A plan that was made and kept while a month's partition was empty would read all of it when it is full.
    sqlx::query("SET LOCAL enable_seqscan = off").execute(&mut *conn).await?;
    let rows = sqlx::query!(
        "SELECT period, id, reason, reply FROM deliveries WHERE subscriber_id = $1 AND (reason IS NOT NULL OR reply IS NOT NULL) ORDER BY period, id",
        id,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let blanked = |text: Option<String>| text.as_deref().and_then(|text| words.without_her(text));
        let (reason, reply) = (blanked(row.reason), blanked(row.reply));
        if reason.is_some() || reply.is_some() {
            sqlx::query!(
                "UPDATE deliveries SET reason = coalesce($3, reason), reply = coalesce($4, reply) WHERE period = $1 AND id = $2",
                row.period,
                row.id,
                reason,
                reply,
            )
            .execute(&mut *conn)
            .await?;
        }
    }
    blank_tests(conn, address).await
}

// One address has many spellings, which only reading them brings together.
async fn blank_tests(conn: &mut PgConnection, address: &EmailAddress) -> sqlx::Result<()> {
    let tests = sqlx::query!(
        r#"SELECT period, id, address AS "address!" FROM deliveries
           WHERE basis = 'test' AND address <> '<address>' AND subscriber_id IS NULL ORDER BY period, id"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let is_hers = |text: &str| EmailAddress::parse(text).map_or(text == address.as_given(), |other| other.key() == address.key());
    for test in tests.into_iter().filter(|test| is_hers(&test.address)) {
        sqlx::query!("UPDATE deliveries SET address = '<address>', context = NULL WHERE period = $1 AND id = $2", test.period, test.id)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// The frozen contexts of her mails.
pub(super) async fn blank_contexts(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH hers AS (SELECT period, id FROM deliveries WHERE subscriber_id = $1 AND context IS NOT NULL ORDER BY period, id FOR UPDATE)
         UPDATE deliveries d SET context = NULL FROM hers WHERE d.period = hers.period AND d.id = hers.id",
        id,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Suppressions stay by their hash, of no subscriber, so that they are found again with the address.
pub(super) async fn blank_suppressions(conn: &mut PgConnection, id: i64, hashes: &[Vec<u8>], words: &Words) -> sqlx::Result<()> {
    let rows =
        sqlx::query!("SELECT id, reason, lifted_reason FROM suppressions WHERE subscriber_id = $1 OR address_hash = ANY($2)", id, hashes)
            .fetch_all(&mut *conn)
            .await?;
    for row in rows {
        let reason = words.without_her(&row.reason).unwrap_or(row.reason);
        let lifted: Option<String> = row.lifted_reason.map(|text| words.without_her(&text).unwrap_or(text));
        sqlx::query!(
            "UPDATE suppressions SET subscriber_id = NULL, reason = $2, lifted_reason = $3 WHERE id = $1",
            row.id,
            reason,
            lifted,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// What operators wrote about her loses every word of hers; what they wrote about others, the address and the whole name.
pub(super) async fn blank_operator_acts(conn: &mut PgConnection, id: i64, hashes: &[Vec<u8>], words: &Words) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"SELECT id, detail AS "detail!", (subject = 'subscriber' AND subject_id IS NOT DISTINCT FROM $1)
            OR (subject = 'suppression' AND subject_id IN (SELECT id FROM suppressions WHERE subscriber_id = $1 OR address_hash = ANY($2)))
            OR (subject = 'delivery' AND subject_id IN (SELECT id FROM deliveries WHERE subscriber_id = $1)) AS "hers!"
           FROM operator_acts WHERE detail IS NOT NULL"#,
        id,
        hashes,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let blanked = if row.hers { words.without_her(&row.detail) } else { words.without_whole(&row.detail) };
        if let Some(text) = blanked {
            sqlx::query!("UPDATE operator_acts SET detail = $2 WHERE id = $1", row.id, text).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// Texts of operators that are about nobody in particular.
pub(super) async fn blank_others(conn: &mut PgConnection, words: &Words) -> sqlx::Result<()> {
    for row in sqlx::query!("SELECT id, file_name, because, counts::text AS \"counts!\" FROM imports").fetch_all(&mut *conn).await? {
        let file_name = words.without_whole(&row.file_name);
        let because = row.because.as_deref().and_then(|text| words.without_whole(text));
        let counts = words.without_whole(&row.counts);
        if file_name.is_some() || because.is_some() || counts.is_some() {
            sqlx::query!(
                "UPDATE imports SET file_name = coalesce($2, file_name), because = coalesce($3, because),
                    counts = coalesce($4::text::jsonb, counts) WHERE id = $1",
                row.id,
                file_name,
                because,
                counts,
            )
            .execute(&mut *conn)
            .await?;
        }
    }
    for row in sqlx::query!(r#"SELECT id, reason AS "reason!" FROM campaigns WHERE reason IS NOT NULL"#).fetch_all(&mut *conn).await? {
        if let Some(text) = words.without_whole(&row.reason) {
            sqlx::query!("UPDATE campaigns SET reason = $2 WHERE id = $1", row.id, text).execute(&mut *conn).await?;
        }
    }
    for row in sqlx::query!(r#"SELECT id, reason AS "reason!" FROM editions WHERE reason IS NOT NULL"#).fetch_all(&mut *conn).await? {
        if let Some(text) = words.without_whole(&row.reason) {
            sqlx::query!("UPDATE editions SET reason = $2 WHERE id = $1", row.id, text).execute(&mut *conn).await?;
        }
    }
    sqlx::query("SET LOCAL tidings.erasing = 'on'").execute(&mut *conn).await?;
    blank_other_entries(conn, words).await?;
    sqlx::query("SET LOCAL tidings.erasing = 'off'").execute(conn).await.map(drop)
}

// What an operator wrote about somebody else on a waitlist may name her too.
async fn blank_other_entries(conn: &mut PgConnection, words: &Words) -> sqlx::Result<()> {
    for row in sqlx::query!(r#"SELECT id, reason AS "reason!" FROM entry_events WHERE by = 'operator' AND reason IS NOT NULL"#)
        .fetch_all(&mut *conn)
        .await?
    {
        if let Some(text) = words.without_whole(&row.reason) {
            sqlx::query!("UPDATE entry_events SET reason = $2 WHERE id = $1", row.id, text).execute(&mut *conn).await?;
        }
    }
    for row in sqlx::query!(r#"SELECT id, reason AS "reason!" FROM offers WHERE state = 'revoked' AND reason IS NOT NULL"#)
        .fetch_all(&mut *conn)
        .await?
    {
        if let Some(text) = words.without_whole(&row.reason) {
            sqlx::query!("UPDATE offers SET reason = $2 WHERE id = $1", row.id, text).execute(&mut *conn).await?;
        }
    }
    Ok(())
}
