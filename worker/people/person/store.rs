//! The SQL behind what is known of one person.

use super::{ConsentAct, DeliveryRecord, Particulars, TopicStanding};
use crate::base::time::{civil_from_db, from_db};
use sqlx::PgConnection;

/// The key of a subscriber's address; none when there is no such subscriber, or when she was erased.
pub(in crate::people) async fn key(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<String>> {
    Ok(sqlx::query_scalar!("SELECT address_key FROM subscribers WHERE id = $1", id).fetch_optional(conn).await?.flatten())
}

/// The address as given and the particulars of the subscriber with this key.
pub(in crate::people) async fn particulars(conn: &mut PgConnection, key: &str) -> sqlx::Result<Option<(String, Particulars)>> {
    let row = sqlx::query!(
        r#"SELECT id, address AS "address!", name, zone, stage_date, language, weekday, hour, paused_until, created_at
           FROM subscribers WHERE address_key = $1"#,
        key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let particulars = Particulars {
            id: row.id,
            name: row.name,
            zone: row.zone,
            stage_date: row.stage_date.map(civil_from_db),
            language: row.language,
            weekday: row.weekday,
            hour: row.hour,
            paused_until: row.paused_until.map(from_db),
            since: from_db(row.created_at),
        };
        (row.address, particulars)
    }))
}

/// Her standing with each topic, by name.
pub(in crate::people) async fn topics(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<TopicStanding>> {
    let rows = sqlx::query!(
        "SELECT t.name, s.standing, s.changed_at FROM subscriptions s JOIN topics t ON t.id = s.topic_id
         WHERE s.subscriber_id = $1 ORDER BY t.name",
        id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| TopicStanding { topic: r.name, standing: r.standing, since: from_db(r.changed_at) }).collect())
}

/// Her acts of consent, the oldest first.
pub(in crate::people) async fn consents(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<ConsentAct>> {
    let rows = sqlx::query!(
        r#"SELECT c.at, c.act, coalesce(t.name, 'waitlist: ' || g.name) AS topic, c.source, c.wording
           FROM consents c LEFT JOIN topics t ON t.id = c.topic_id LEFT JOIN programs g ON g.id = c.program_id WHERE c.subscriber_id = $1 ORDER BY c.id"#,
        id,
    )
    .fetch_all(conn)
    .await?;
    let act = rows.into_iter().map(|r| ConsentAct { at: from_db(r.at), act: r.act, topic: r.topic, source: r.source, wording: r.wording });
    Ok(act.collect())
}

/// The latest deliveries to her, the latest first.
pub(in crate::people) async fn deliveries(conn: &mut PgConnection, id: i64, limit: i64) -> sqlx::Result<Vec<DeliveryRecord>> {
    let rows = sqlx::query!(
        r#"SELECT d.due_at, d.template, d.basis, c.name AS "campaign?", e.occurrence AS "edition?", coalesce(r.subject, b.subject) AS subject, d.state, d.reason,
            d.reply, d.attempts, d.handing_over_at, d.finished_at
           FROM deliveries d
           LEFT JOIN editions e ON e.id = d.edition_id AND e.period = d.period LEFT JOIN campaigns c ON c.id = e.campaign_id
           LEFT JOIN tip_revisions r ON r.id = d.tip_revision_id LEFT JOIN broadcasts b ON b.campaign_id = c.id
           WHERE d.subscriber_id = $1 ORDER BY d.due_at DESC, d.id DESC LIMIT $2"#,
        id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let record = rows.into_iter().map(|r| DeliveryRecord {
        due_at: from_db(r.due_at),
        mail: r.template,
        basis: r.basis,
        campaign: r.campaign,
        edition: r.edition,
        subject: r.subject,
        state: r.state,
        reason: r.reason,
        reply: r.reply,
        attempts: r.attempts,
        handing_over_at: r.handing_over_at.map(from_db),
        finished_at: r.finished_at.map(from_db),
    });
    Ok(record.collect())
}
