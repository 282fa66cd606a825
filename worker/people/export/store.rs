//! The SQL behind a person's export: what `person` does not show.

use super::{Change, Import, OperatorAct, PassedOver, SignUp};
use crate::base::time::{civil_from_db, from_db};
use sqlx::PgConnection;

/// Her wishes to subscribe, the oldest first.
pub(super) async fn sign_ups(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<SignUp>> {
    let rows = sqlx::query!(
        r#"SELECT s.asked_at, ARRAY(SELECT t.name FROM topics t WHERE t.id = ANY(s.topics) ORDER BY t.name) AS "topics!",
            ARRAY(SELECT p.name FROM programs p WHERE p.id = ANY(s.programs) ORDER BY p.name) AS "programs!", s.wording, s.name, s.zone,
            s.stage_date, s.source, s.expires_at, s.outcome, s.closed_at
           FROM signups s WHERE s.subscriber_id = $1 ORDER BY s.id"#,
        id,
    )
    .fetch_all(conn)
    .await?;
    let sign_up = rows.into_iter().map(|r| SignUp {
        asked_at: from_db(r.asked_at),
        topics: r.topics,
        waitlists: r.programs,
        wording: r.wording,
        name: r.name,
        zone: r.zone,
        stage_date: r.stage_date.map(civil_from_db),
        source: r.source,
        expires_at: from_db(r.expires_at),
        outcome: r.outcome,
        closed_at: r.closed_at.map(from_db),
    });
    Ok(sign_up.collect())
}

/// What she or an operator changed about her, the oldest first.
pub(super) async fn changes(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<Change>> {
    let rows = sqlx::query!("SELECT at, what, source, before, after FROM subscriber_events WHERE subscriber_id = $1 ORDER BY id", id)
        .fetch_all(conn)
        .await?;
    let change = rows.into_iter().map(|r| Change { at: from_db(r.at), what: r.what, source: r.source, before: r.before, after: r.after });
    Ok(change.collect())
}

/// The subjects of the tips that she was given or is about to be: they outlive the deliveries.
pub(super) async fn tips_given(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT r.subject FROM segments_given g JOIN tips t ON t.segment_id = g.segment_id JOIN tip_revisions r ON r.id = t.revision_id
         WHERE g.subscriber_id = $1 ORDER BY t.series_id, t.position",
        id,
    )
    .fetch_all(conn)
    .await
}

/// The imports that she was in. The file's name is the operator's own and may name somebody else.
pub(super) async fn imports(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<Import>> {
    let rows = sqlx::query!(
        r#"SELECT i.started_at, t.name AS "topic?", i.because, c.created, i.undone_at
           FROM import_changes c JOIN imports i ON i.id = c.import_id LEFT JOIN topics t ON t.id = i.topic_id
           WHERE c.subscriber_id = $1 ORDER BY i.id"#,
        id,
    )
    .fetch_all(conn)
    .await?;
    let import = rows.into_iter().map(|r| Import {
        at: from_db(r.started_at),
        topic: r.topic,
        because: r.because,
        created: r.created,
        undone_at: r.undone_at.map(from_db),
    });
    Ok(import.collect())
}

/// What operators did about her and her address, the oldest first.
pub(super) async fn operator_acts(conn: &mut PgConnection, id: i64, hashes: &[Vec<u8>]) -> sqlx::Result<Vec<OperatorAct>> {
    let rows = sqlx::query!(
        "SELECT at, act, detail FROM operator_acts
         WHERE (subject = 'subscriber' AND subject_id = $1)
            OR (subject = 'suppression' AND subject_id IN (SELECT id FROM suppressions WHERE subscriber_id = $1 OR address_hash = ANY($2)))
            OR (subject = 'entry' AND subject_id IN (SELECT id FROM entries WHERE subscriber_id = $1))
            OR (subject = 'offer' AND subject_id IN (SELECT f.id FROM offers f JOIN entries e ON e.id = f.entry_id WHERE e.subscriber_id = $1))
         ORDER BY id",
        id,
        hashes,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| OperatorAct { at: from_db(r.at), act: r.act, detail: r.detail }).collect())
}

/// When and why she was passed over, as the offers that went to others keep it. Whose these are is not hers to know.
pub(super) async fn passed_over(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<PassedOver>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT f.offered_at, p.name, o.number, w ->> 'why' AS "why!"
           FROM entries e JOIN programs p ON p.id = e.program_id JOIN openings o ON o.program_id = e.program_id
           JOIN offers f ON f.opening_id = o.id CROSS JOIN jsonb_array_elements(f.passed_over) AS w
           WHERE e.subscriber_id = $1 AND w -> 'entry' = to_jsonb(e.id) ORDER BY f.offered_at"#,
        id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| PassedOver { at: from_db(r.offered_at), program: r.name, opening: r.number, why: r.why }).collect())
}
