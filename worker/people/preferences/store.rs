//! The SQL of preferences: a person's row, the events about it, and the topics on her page.

use super::{Choice, Event, Particulars, Preferences, Source};
use crate::{
    base::{
        address::EmailAddress,
        time::{civil_from_db, civil_to_db, from_db, to_db},
    },
    people::stop::UNDO,
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// All of a person's page but her waitlists and what is said about changes; none: there is no such person, or she was erased.
pub(super) async fn preferences(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<Option<Preferences>> {
    let row = sqlx::query!(
        r#"SELECT s.address AS "address!", s.name, s.zone, s.weekday, s.hour, s.stage_date, s.language, s.paused_until,
            EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL AND x.kind = 'unsubscribe_all') AS "everything!",
            EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL AND x.kind <> 'unsubscribe_all') AS "suppressed!",
            (SELECT max(c.at) FROM consents c WHERE c.subscriber_id = s.id AND c.topic_id IS NULL AND c.program_id IS NULL AND c.act = 'withdrawn' AND c.at > $2) AS left_at
        FROM subscribers s WHERE s.id = $1 AND s.erased_at IS NULL"#,
        subscriber_id,
        to_db(now - UNDO)
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(None) };
    Ok(Some(Preferences {
        masked_address: EmailAddress::parse(&row.address).map(|address| address.to_string()).unwrap_or_default(),
        particulars: Particulars {
            name: row.name,
            zone: row.zone,
            weekday: row.weekday,
            hour: row.hour,
            stage_date: row.stage_date.map(civil_from_db),
            language: row.language,
            paused_until: row.paused_until.map(from_db),
        },
        topics: choices(conn, subscriber_id, now).await?,
        waitlists: Vec::new(),
        everything: row.everything,
        undo_until: row.left_at.filter(|_| row.everything).map(|at| from_db(at) + UNDO),
        suppressed: row.suppressed,
    }))
}

/// Holds a person's row, as the stop does, and reads it; none: there is no such person, or she was erased.
pub(super) async fn lock_particulars(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Option<Particulars>> {
    let row = sqlx::query!(
        "SELECT name, zone, weekday, hour, stage_date, language, paused_until FROM subscribers WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE",
        subscriber_id
    );
    let particulars = row.fetch_optional(conn).await?.map(|row| Particulars {
        name: row.name,
        zone: row.zone,
        weekday: row.weekday,
        hour: row.hour,
        stage_date: row.stage_date.map(civil_from_db),
        language: row.language,
        paused_until: row.paused_until.map(from_db),
    });
    Ok(particulars)
}

/// Writes a person's row, which the caller holds.
pub(super) async fn write_particulars(conn: &mut PgConnection, subscriber_id: i64, to: &Particulars) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subscribers SET name = $2, zone = $3, weekday = $4, hour = $5, stage_date = $6, language = $7, paused_until = $8 WHERE id = $1",
        subscriber_id,
        to.name,
        to.zone,
        to.weekday,
        to.hour,
        to.stage_date.map(civil_to_db),
        to.language,
        to.paused_until.map(to_db)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Records a change.
pub(super) async fn insert_event(
    conn: &mut PgConnection,
    subscriber_id: i64,
    event: &Event,
    source: Source,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subscriber_events (subscriber_id, at, what, source, before, after) VALUES ($1, $2, $3, $4, $5, $6)",
        subscriber_id,
        to_db(now),
        event.what,
        source.as_str(),
        event.before,
        event.after
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Subscribes a person, whose row the caller holds, to those of the topics that are offered and that she is not subscribed to;
/// their ids come back. Nobody who is suppressed or left everything is subscribed to anything.
pub(super) async fn join_topics(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64], now: Timestamp) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO subscriptions (subscriber_id, topic_id, standing, changed_at)
        SELECT $1, t.id, 'confirmed', $3 FROM topics t
        WHERE t.id = ANY($2) AND (t.open OR EXISTS (
                SELECT FROM subscriptions o WHERE o.subscriber_id = $1 AND o.topic_id = t.id AND o.standing <> 'unconfirmed' AND o.changed_at > $4))
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = $1 AND x.lifted_at IS NULL)
        ORDER BY t.id
        ON CONFLICT (subscriber_id, topic_id) DO UPDATE SET standing = 'confirmed', changed_at = excluded.changed_at
            WHERE subscriptions.standing <> 'confirmed'
        RETURNING topic_id",
        subscriber_id,
        topics,
        to_db(now),
        to_db(now - UNDO)
    )
    .fetch_all(conn)
    .await
}

// The topics that are offered to everyone, those that she has, and those that she left so lately that it may have been a mistake.
async fn choices(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<Vec<Choice>> {
    sqlx::query_as!(
        Choice,
        r#"SELECT t.id, t.name, t.description, coalesce(n.standing = 'confirmed', false) AS "subscribed!"
        FROM topics t LEFT JOIN subscriptions n ON n.topic_id = t.id AND n.subscriber_id = $1
        WHERE t.open OR n.standing = 'confirmed' OR (n.standing = 'unsubscribed' AND n.changed_at > $2) ORDER BY t.name, t.id"#,
        subscriber_id,
        to_db(now - UNDO)
    )
    .fetch_all(conn)
    .await
}
