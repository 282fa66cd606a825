//! The SQL behind the proof: the consents, and of the sign-ups what the consents do not say.

use super::ProvedAct;
use crate::base::time::from_db;
use sqlx::PgConnection;

/// Topic, standing and act, by topic and time; what concerned everything comes last.
pub(super) async fn acts(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<(Option<String>, Option<String>, ProvedAct)>> {
    let rows = sqlx::query!(
        r#"WITH acts AS (
            SELECT topic_id, act, source, encode(origin_hash, 'hex') AS origin, wording, at, id FROM consents WHERE subscriber_id = $1
            UNION ALL
            SELECT t, 'asked', s.source, encode(s.origin_hash, 'hex'), s.wording, s.asked_at, 0
            FROM signups s CROSS JOIN unnest(s.topics) AS t
            WHERE s.subscriber_id = $1 AND NOT EXISTS (
                SELECT FROM consents c WHERE c.subscriber_id = $1 AND c.topic_id = t AND c.act = 'asked' AND c.at = s.asked_at)
            UNION ALL
            SELECT t, s.outcome, s.source, NULL, NULL, s.closed_at, 0
            FROM signups s CROSS JOIN unnest(s.topics) AS t WHERE s.subscriber_id = $1 AND s.outcome IN ('refused', 'expired'))
        SELECT t.name AS "topic?", p.standing AS "standing?", a.act AS "act!", a.source AS "source!", a.origin, a.wording, a.at AS "at!"
        FROM acts a LEFT JOIN topics t ON t.id = a.topic_id
        LEFT JOIN subscriptions p ON p.subscriber_id = $1 AND p.topic_id = a.topic_id
        ORDER BY t.name NULLS LAST, a.at, a.id"#,
        id,
    )
    .fetch_all(conn)
    .await?;
    let act = rows.into_iter().map(|r| {
        let act = ProvedAct { at: from_db(r.at), act: r.act, source: r.source, origin: r.origin, wording: r.wording };
        (r.topic, r.standing, act)
    });
    Ok(act.collect())
}
