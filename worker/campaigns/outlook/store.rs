//! What the outlook reads: a subscriber's row, her standing, what she was given and what waits for her.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::PgConnection;
use std::collections::HashSet;

use super::Person;
use crate::base::time::{civil_from_db, from_db, to_db};
use crate::campaigns::edition::Occurrence;
use crate::campaigns::own_time::OwnTime;

/// A subscriber who is not erased.
pub(super) async fn person(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Person>> {
    let row = sqlx::query!(
        "SELECT zone, weekday, hour, stage_date, paused_until,
            (SELECT x.kind FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL ORDER BY x.id LIMIT 1) AS suppressed
        FROM subscribers s WHERE id = $1 AND erased_at IS NULL",
        id
    );
    let person = row.fetch_optional(conn).await?.map(|row| Person {
        id,
        own: OwnTime::of_row(row.zone.as_deref(), row.weekday, row.hour),
        zone: row.zone,
        stage_date: row.stage_date.map(civil_from_db),
        paused_until: row.paused_until.map(from_db),
        suppressed: row.suppressed,
    });
    Ok(person)
}

/// How she stands with a campaign's topic.
pub(super) struct Standing {
    pub(super) topic_name: String,
    pub(super) standing: String,
}

/// Her standing with a topic; none: she never had to do with it.
pub(super) async fn standing(conn: &mut PgConnection, subscriber_id: i64, topic_id: i64) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as!(
        Standing,
        "SELECT t.name AS topic_name, n.standing FROM subscriptions n JOIN topics t ON t.id = n.topic_id WHERE n.subscriber_id = $1 AND n.topic_id = $2",
        subscriber_id,
        topic_id
    )
    .fetch_optional(conn)
    .await
}

/// The segments of a series that she was given or is about to be; what her pause will free is not among them.
pub(super) async fn given(conn: &mut PgConnection, person: &Person, series_id: i64) -> sqlx::Result<HashSet<i64>> {
    let given = sqlx::query_scalar!(
        r#"SELECT had.segment_id AS "segment_id!"
        FROM (SELECT segment_id, segment_id AS given_id FROM segments_given WHERE subscriber_id = $1
            UNION ALL SELECT segment_id, of_segment_id FROM segments_inherited WHERE subscriber_id = $1) had
        JOIN tips t ON t.segment_id = had.segment_id
        WHERE t.series_id = $2 AND NOT EXISTS (
            SELECT FROM deliveries d WHERE d.subscriber_id = $1 AND d.segment_id = had.given_id
                AND d.state IN ('queued', 'deferred') AND greatest(d.due_at, d.ready_at) < $3)"#,
        person.id,
        series_id,
        person.paused_until.map(to_db)
    );
    Ok(given.fetch_all(conn).await?.into_iter().collect())
}

/// A tip that is planned for her and not handed over.
pub(super) struct Waiting {
    pub(super) subject: Option<String>,
    pub(super) due_at: Timestamp,
}

/// The first tip of a series that waits for her and that her pause will let go.
pub(super) async fn waiting(conn: &mut PgConnection, person: &Person, series_id: i64, now: Timestamp) -> sqlx::Result<Option<Waiting>> {
    let row = sqlx::query!(
        r#"SELECT r.subject AS "subject?", greatest(d.due_at, d.ready_at, $4) AS "due_at!"
        FROM deliveries d LEFT JOIN tip_revisions r ON r.id = d.tip_revision_id LEFT JOIN editions e ON e.id = d.edition_id
        WHERE d.subscriber_id = $1 AND d.series_id = $2 AND d.state IN ('queued', 'claimed', 'deferred', 'handing_over')
            AND coalesce(e.state NOT IN ('held', 'paused'), true) AND greatest(d.due_at, d.ready_at, $4) >= coalesce($3, '-infinity'::timestamptz)
        ORDER BY d.due_at, d.id LIMIT 1"#,
        person.id,
        series_id,
        person.paused_until.map(to_db),
        to_db(now)
    );
    Ok(row.fetch_optional(conn).await?.map(|row| Waiting { subject: row.subject, due_at: from_db(row.due_at) }))
}

/// When a tip of a series was last handed over to her.
pub(super) async fn last_handed_over(conn: &mut PgConnection, subscriber_id: i64, series_id: i64) -> sqlx::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        "SELECT max(handing_over_at) FROM deliveries WHERE subscriber_id = $1 AND series_id = $2 AND state IN ('handing_over', 'sent', 'unconfirmed')",
        subscriber_id,
        series_id
    );
    Ok(at.fetch_one(conn).await?.map(from_db))
}

/// The occurrences of editions whose planning has not come to her yet.
pub(super) async fn days_to_be_planned(conn: &mut PgConnection, subscriber_id: i64, campaign_id: i64) -> sqlx::Result<Vec<Date>> {
    let occurrences = sqlx::query_scalar!(
        "SELECT occurrence FROM editions WHERE campaign_id = $1 AND planned IS NULL AND planned_up_to < $2 AND state IN ('planning', 'running')
        ORDER BY starts_at, id",
        campaign_id,
        subscriber_id
    );
    let day = |text: &String| match Occurrence::parse(text) {
        Some(Occurrence::Day(day)) => Some(day),
        _ => None,
    };
    Ok(occurrences.fetch_all(conn).await?.iter().filter_map(day).collect())
}

/// The subject of a revision.
pub(super) async fn subject(conn: &mut PgConnection, revision_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT subject FROM tip_revisions WHERE id = $1", revision_id).fetch_optional(conn).await
}
