//! Subscribers and suppressions as an operator lists them: a page at a time, so that a million fit in any memory.
//!
//! Read only. Called by `tidings subscriber list` and `tidings suppress list`.

use crate::base::time::{civil_from_db, from_db};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

/// A subscriber in the list.
#[derive(Debug, Serialize)]
pub struct ListedSubscriber {
    /// Her id; the list is in its order.
    #[serde(skip)]
    pub id: i64,
    /// The whole address.
    pub email: String,
    /// How she is called.
    pub name: Option<String>,
    /// Her time zone; none: the campaign's.
    pub zone: Option<String>,
    /// The date that stage windows are counted from.
    pub stage_date: Option<Date>,
    /// Her own day for mails, 1 = Monday; none: the campaign's.
    pub weekday: Option<i16>,
    /// Her own hour for mails; none: the campaign's.
    pub hour: Option<i16>,
    /// The language that she asked for.
    pub language: Option<String>,
    /// Until when she paused all mail.
    pub paused_until: Option<Timestamp>,
    /// When she was added.
    pub since: Timestamp,
    /// Her topics, by name.
    pub topics: Vec<ListedTopic>,
    /// The kinds of suppression that stand against her.
    pub suppressed: Vec<String>,
}

/// A topic of a listed subscriber.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedTopic {
    /// Its name.
    pub topic: String,
    /// unconfirmed, confirmed or unsubscribed.
    pub standing: String,
}

/// A suppression in the list.
#[derive(Debug, Serialize)]
pub struct ListedSuppression {
    /// Its id; the list is in its order.
    #[serde(skip)]
    pub id: i64,
    /// The whole address when it is a subscriber's: of others only a keyed hash is known.
    pub email: Option<String>,
    /// hard_bounce, complaint, unsubscribe_all, manual or erased.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// How many there are to list.
pub async fn count_subscribers(conn: &mut PgConnection, topic_id: Option<i64>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscribers p WHERE p.address IS NOT NULL AND ($1::bigint IS NULL OR EXISTS (
            SELECT FROM subscriptions s WHERE s.subscriber_id = p.id AND s.topic_id = $1))"#,
        topic_id,
    )
    .fetch_one(conn)
    .await
}

/// The next subscribers after an id; with a topic, those who have or had to do with it.
pub async fn subscribers(conn: &mut PgConnection, topic_id: Option<i64>, after: i64, limit: i64) -> sqlx::Result<Vec<ListedSubscriber>> {
    let rows = sqlx::query!(
        r#"SELECT p.id, p.address AS "address!", p.name, p.zone, p.stage_date, p.weekday, p.hour, p.language,
            p.paused_until, p.created_at,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('topic', t.name, 'standing', s.standing) ORDER BY t.name), '[]')
                FROM subscriptions s JOIN topics t ON t.id = s.topic_id WHERE s.subscriber_id = p.id) AS "topics!: Json<Vec<ListedTopic>>",
            ARRAY(SELECT DISTINCT x.kind FROM suppressions x WHERE x.subscriber_id = p.id AND x.lifted_at IS NULL ORDER BY x.kind) AS "suppressed!"
           FROM subscribers p
           WHERE p.id > $2 AND p.address IS NOT NULL AND ($1::bigint IS NULL OR EXISTS (
            SELECT FROM subscriptions s WHERE s.subscriber_id = p.id AND s.topic_id = $1))
           ORDER BY p.id LIMIT $3"#,
        topic_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let listed = rows.into_iter().map(|row| ListedSubscriber {
        id: row.id,
        email: row.address,
        name: row.name,
        zone: row.zone,
        stage_date: row.stage_date.map(civil_from_db),
        weekday: row.weekday,
        hour: row.hour,
        language: row.language,
        paused_until: row.paused_until.map(from_db),
        since: from_db(row.created_at),
        topics: row.topics.0,
        suppressed: row.suppressed,
    });
    Ok(listed.collect())
}

/// How many suppressions stand.
pub async fn count_suppressions(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM suppressions WHERE lifted_at IS NULL"#).fetch_one(conn).await
}

/// The next suppressions that stand, after an id.
pub async fn suppressions(conn: &mut PgConnection, after: i64, limit: i64) -> sqlx::Result<Vec<ListedSuppression>> {
    let rows = sqlx::query!(
        r#"SELECT x.id, p.address AS "address?", x.kind, x.reason, x.at
           FROM suppressions x LEFT JOIN subscribers p ON p.id = x.subscriber_id
           WHERE x.id > $1 AND x.lifted_at IS NULL ORDER BY x.id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let listed = rows.into_iter().map(|row| ListedSuppression {
        id: row.id,
        email: row.address,
        kind: row.kind,
        reason: row.reason,
        since: from_db(row.at),
    });
    Ok(listed.collect())
}
