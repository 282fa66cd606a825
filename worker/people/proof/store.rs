//! The SQL behind the proof: the consents, and of the sign-ups what the consents do not say.

use super::ProvedAct;
use crate::base::time::from_db;
use sqlx::PgConnection;

/// Topic, standing and act, by topic and time; what concerned everything comes last.
pub(super) async fn acts(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<(Option<String>, Option<String>, ProvedAct)>> {
    let rows = sqlx::query!(
        r#"WITH acts AS (
            SELECT topic_id, program_id, act, source, encode(origin_hash, 'hex') AS origin, wording, at, id FROM consents WHERE subscriber_id = $1
            UNION ALL
            SELECT t, NULL, 'asked', s.source, encode(s.origin_hash, 'hex'), s.wording, s.asked_at, 0
            FROM signups s CROSS JOIN unnest(s.topics) AS t
            WHERE s.subscriber_id = $1 AND NOT EXISTS (
                SELECT FROM consents c WHERE c.subscriber_id = $1 AND c.topic_id = t AND c.act = 'asked' AND c.at = s.asked_at)
            UNION ALL
            SELECT t, NULL, s.outcome, s.source, NULL, NULL, s.closed_at, 0
            FROM signups s CROSS JOIN unnest(s.topics) AS t WHERE s.subscriber_id = $1 AND s.outcome IN ('refused', 'expired')
            UNION ALL
            SELECT NULL, g, s.outcome, s.source, NULL, NULL, s.closed_at, 0
            FROM signups s CROSS JOIN unnest(s.programs) AS g WHERE s.subscriber_id = $1 AND s.outcome IN ('refused', 'expired'))
        SELECT coalesce(t.name, 'The waitlist of ' || w.name) AS topic, coalesce(p.standing, (
                SELECT e.state FROM entries e WHERE e.subscriber_id = $1 AND e.program_id = a.program_id ORDER BY e.id DESC LIMIT 1)) AS standing, a.act AS "act!", a.source AS "source!", a.origin, a.wording, a.at AS "at!"
        FROM acts a LEFT JOIN topics t ON t.id = a.topic_id LEFT JOIN programs w ON w.id = a.program_id
        LEFT JOIN subscriptions p ON p.subscriber_id = $1 AND p.topic_id = a.topic_id
        ORDER BY a.topic_id IS NULL, a.program_id IS NULL, t.name, w.name, a.at, a.id"#,
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
