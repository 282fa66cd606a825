//! The SQL of undoing an import: what is known of a portion's people, and what is changed about them, in whole portions.
//!
//! Rows are locked in this order: the import's, the subscribers', sign-ups, deliveries.

use super::{Back, Plan};
use crate::{
    audience::{
        consent::{Act, Source},
        store as audience,
    },
    base::time::{from_db, to_db},
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// An import that is to be undone.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) id: i64,
    pub(super) topic_id: Option<i64>,
    pub(super) because: Option<String>,
    pub(super) started_at: Timestamp,
    pub(super) is_undone: bool,
}

impl Import {
    /// The standing that it gave.
    pub(super) fn aim(&self) -> Option<&'static str> {
        self.topic_id.map(|_| if self.because.is_some() { "confirmed" } else { "unconfirmed" })
    }
}

/// What is known of a person whom an import changed.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) subscriber_id: i64,
    pub(super) created: bool,
    pub(super) standing_before: Option<String>,
    pub(super) filled: Vec<String>,
    pub(super) email: Option<String>,
    pub(super) is_erased: bool,
    pub(super) standing: Option<String>,
    pub(super) changed_at: Option<Timestamp>,
    /// She did something about the topic, or about everything, since.
    pub(super) acted: bool,
    /// There is more to her than this import.
    pub(super) has_more: bool,
    /// What of her particulars was changed since.
    pub(super) touched: Vec<String>,
}

/// The import of this number.
pub(super) async fn import(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Import>> {
    let row =
        sqlx::query!("SELECT id, topic_id, because, started_at, undone_at FROM imports WHERE id = $1", id).fetch_optional(conn).await?;
    Ok(row.map(|row| Import {
        id: row.id,
        topic_id: row.topic_id,
        because: row.because,
        started_at: from_db(row.started_at),
        is_undone: row.undone_at.is_some(),
    }))
}

/// Begins; false when it was begun before. A batch that is being written is waited for, and is the last.
pub(super) async fn begin(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let begun =
        sqlx::query!("UPDATE imports SET undoing_at = $2, ask_per_hour = NULL WHERE id = $1 AND undoing_at IS NULL", id, to_db(now));
    Ok(begun.execute(conn).await?.rows_affected() == 1)
}

/// Records that all is undone.
pub(super) async fn end(conn: &mut PgConnection, id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("UPDATE imports SET undone_at = $2 WHERE id = $1 AND undone_at IS NULL", id, to_db(now)).execute(conn).await.map(drop)
}

/// How many changes are not undone.
pub(super) async fn count(conn: &mut PgConnection, id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM import_changes WHERE import_id = $1 AND undo IS NULL"#, id)
        .fetch_one(conn)
        .await
}

/// The next people.
pub(super) async fn next(conn: &mut PgConnection, import_id: i64, after: i64, most: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT subscriber_id FROM import_changes WHERE import_id = $1 AND subscriber_id > $2 AND undo IS NULL ORDER BY subscriber_id LIMIT $3",
        import_id,
        after,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Holds their rows, so that no act of theirs comes in between.
pub(super) async fn lock(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM subscribers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", ids).fetch_all(conn).await.map(drop)
}

/// What is known of those of them whom nobody else has dealt with meanwhile.
pub(super) async fn facts(conn: &mut PgConnection, import: &Import, ids: &[i64]) -> sqlx::Result<Vec<Facts>> {
    let rows = sqlx::query!(
        r#"SELECT c.subscriber_id, c.created, c.standing_before, c.filled, s.address, s.erased_at, p.standing AS "standing?", p.changed_at AS "changed_at?",
            EXISTS (SELECT FROM consents k WHERE k.subscriber_id = c.subscriber_id AND k.source <> 'import' AND k.at >= $4
                AND (k.topic_id = $3 OR k.topic_id IS NULL AND k.program_id IS NULL)) AS "acted!",
            EXISTS (SELECT FROM consents k WHERE k.subscriber_id = c.subscriber_id AND k.source <> 'import')
                OR EXISTS (SELECT FROM subscriptions o WHERE o.subscriber_id = c.subscriber_id AND o.topic_id IS DISTINCT FROM $3)
                OR EXISTS (SELECT FROM signups g WHERE g.subscriber_id = c.subscriber_id AND g.source <> 'import')
                OR EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = c.subscriber_id AND x.lifted_at IS NULL)
                OR EXISTS (SELECT FROM subscriber_events e WHERE e.subscriber_id = c.subscriber_id AND e.source <> 'import')
                OR EXISTS (SELECT FROM deliveries d WHERE d.subscriber_id = c.subscriber_id AND d.handing_over_at IS NOT NULL) AS "has_more!",
            -- What a sign-up said of her is dated when it was typed, and counts since it was confirmed.
            ARRAY(SELECT DISTINCT e.what FROM subscriber_events e
                WHERE e.subscriber_id = c.subscriber_id AND e.source <> 'import' AND (e.at >= $4
                    OR EXISTS (SELECT FROM signups g WHERE g.subscriber_id = c.subscriber_id AND g.asked_at = e.at
                        AND g.outcome = 'confirmed' AND g.closed_at >= $4))) AS "touched!"
           FROM import_changes c JOIN subscribers s ON s.id = c.subscriber_id
           LEFT JOIN subscriptions p ON p.subscriber_id = c.subscriber_id AND p.topic_id = $3
           WHERE c.import_id = $1 AND c.subscriber_id = ANY($2) AND c.undo IS NULL ORDER BY c.subscriber_id"#,
        import.id,
        ids,
        import.topic_id,
        to_db(import.started_at),
    )
    .fetch_all(conn)
    .await?;
    let facts = rows.into_iter().map(|row| Facts {
        subscriber_id: row.subscriber_id,
        created: row.created,
        standing_before: row.standing_before,
        filled: row.filled,
        is_erased: row.erased_at.is_some(),
        email: row.address,
        standing: row.standing,
        changed_at: row.changed_at.map(from_db),
        acted: row.acted,
        has_more: row.has_more,
        touched: row.touched,
    });
    Ok(facts.collect())
}

/// Changes what was planned.
pub(super) async fn apply(conn: &mut PgConnection, import: &Import, plans: &[Plan], now: Timestamp) -> sqlx::Result<()> {
    let with =
        |wanted: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| wanted(plan)).map(|plan| plan.subscriber_id).collect::<Vec<i64>>();
    let ended = with(&|plan| plan.standing == Back::ToNone);
    let unconfirmed = with(&|plan| plan.standing == Back::ToUnconfirmed);
    end_subscriptions(conn, import.topic_id, &ended, &unconfirmed, now).await?;
    let back = [ended, unconfirmed].concat();
    if import.because.is_some() {
        audience::insert_consents(conn, &back, import.topic_id, Act::Withdrawn, Source::Import, None, now).await?;
    }
    close_signups(conn, &back, now).await?;
    let stays = |what: &'static str| with(&|plan| !plan.remove && plan.emptied.iter().any(|emptied| emptied == what));
    empty(conn, &stays("name"), &stays("zone"), &stays("stage_date"), now).await?;
    remove(conn, &with(&|plan| plan.remove), now).await
}

async fn end_subscriptions(
    conn: &mut PgConnection,
    topic_id: Option<i64>,
    ended: &[i64],
    unconfirmed: &[i64],
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM subscriptions WHERE topic_id = $1 AND subscriber_id = ANY($2)", topic_id, ended).execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE subscriptions SET standing = 'unconfirmed', changed_at = $3 WHERE topic_id = $1 AND subscriber_id = ANY($2)",
        topic_id,
        unconfirmed,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

// What was asked of them on the word of an import.
async fn close_signups(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH closed AS (
            UPDATE signups SET outcome = 'expired', closed_at = $2
            WHERE subscriber_id = ANY($1) AND outcome IS NULL AND source = 'import' RETURNING id)
         UPDATE deliveries d SET state = 'cancelled', reason = 'the import was undone', ready_at = NULL, finished_at = $2
         FROM closed JOIN transactional t ON t.owner = 'signup:' || closed.id
         WHERE d.period = t.period AND d.id = t.delivery_id AND d.state IN ('queued', 'claimed', 'deferred')",
        ids,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn empty(conn: &mut PgConnection, names: &[i64], zones: &[i64], stage_dates: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subscriber_events (subscriber_id, at, what, source, before)
         SELECT id, $4::timestamptz, 'name', 'import', name FROM subscribers WHERE id = ANY($1) AND name IS NOT NULL
         UNION ALL SELECT id, $4, 'zone', 'import', zone FROM subscribers WHERE id = ANY($2) AND zone IS NOT NULL
         UNION ALL SELECT id, $4, 'stage date', 'import', stage_date::text FROM subscribers WHERE id = ANY($3) AND stage_date IS NOT NULL",
        names,
        zones,
        stage_dates,
        to_db(now),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE subscribers SET name = CASE WHEN id <> ALL($1) THEN name END, zone = CASE WHEN id <> ALL($2) THEN zone END,
            stage_date = CASE WHEN id <> ALL($3) THEN stage_date END
         WHERE id = ANY($1) OR id = ANY($2) OR id = ANY($3)",
        names,
        zones,
        stage_dates,
    )
    .execute(conn)
    .await
    .map(drop)
}

// Nothing is suppressed: she never asked to be forgotten, and may sign up or be imported again.
async fn remove(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE subscribers SET address = NULL, address_key = NULL, name = NULL, zone = NULL, stage_date = NULL, language = NULL,
            paused_until = NULL, weekday = NULL, hour = NULL, erased_at = $2
         WHERE id = ANY($1) AND erased_at IS NULL",
        ids,
        to_db(now),
    )
    .execute(&mut *conn)
    .await?;
    audience::blank_history(conn, ids).await
}

/// Records what became of each change.
pub(super) async fn mark(conn: &mut PgConnection, import_id: i64, plans: &[Plan]) -> sqlx::Result<()> {
    let ids: Vec<i64> = plans.iter().map(|plan| plan.subscriber_id).collect();
    let outcomes: Vec<&str> = plans.iter().map(|plan| if plan.left.is_some() { "left" } else { "undone" }).collect();
    sqlx::query!(
        "UPDATE import_changes c SET undo = p.outcome FROM unnest($2::bigint[], $3::text[]) AS p (id, outcome)
         WHERE c.import_id = $1 AND c.subscriber_id = p.id",
        import_id,
        &ids,
        &outcomes as &[&str],
    )
    .execute(conn)
    .await
    .map(drop)
}
