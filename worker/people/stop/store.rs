//! The SQL of the stop: a person's standing, and her deliveries that wait to be sent.
//!
//! What stands against a delivery, by its basis, says the view `delivery_refusals`, as it does for the ledger's claim and
//! mark. Editions are locked before deliveries, and those in the order of (period, id), as everywhere.

use super::{Scope, Standing};
use crate::base::address::EmailAddress;
use crate::base::time::{civil_to_db, from_db, to_db};
use jiff::{Timestamp, civil::Date};
use sqlx::PgConnection;

/// Holds a subscriber's row, so that her stops and undos go one after the other; her key is none when she is erased.
pub(super) async fn lock_subscriber(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Option<String>>> {
    // NO KEY: planning inserts deliveries that refer to her meanwhile.
    sqlx::query_scalar!("SELECT address_key FROM subscribers WHERE id = $1 FOR NO KEY UPDATE", id).fetch_optional(conn).await
}

/// For the rest of the transaction the planner goes by indexes: a plan that was made and kept while a month's partition was
/// empty would read all of it when it is full.
pub(super) async fn go_by_indexes(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET LOCAL enable_seqscan = off").execute(conn).await.map(drop)
}

/// Ends a subscription; false when it is ended already or never was.
pub(super) async fn leave_topic(conn: &mut PgConnection, subscriber_id: i64, topic_id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE subscriptions SET standing = 'unsubscribed', changed_at = $3
         WHERE subscriber_id = $1 AND topic_id = $2 AND standing <> 'unsubscribed'",
        subscriber_id,
        topic_id,
        to_db(now),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Skips what waits to be sent to these people and is stopped now; its segments become free again, but for what was handed over
/// before and may have come.
pub(in crate::people) async fn skip_what_is_stopped(conn: &mut PgConnection, subscribers: &[i64], now: Timestamp) -> sqlx::Result<u64> {
    go_by_indexes(conn).await?;
    let skipped = sqlx::query_scalar!(
        r#"WITH stopped AS (
            SELECT d.period, d.id, d.subscriber_id, d.segment_id, d.repeated_at, r.refusal
            FROM deliveries d JOIN delivery_refusals r ON r.period = d.period AND r.id = d.id
            WHERE d.subscriber_id = ANY($1) AND d.state IN ('queued', 'claimed', 'deferred') AND r.refusal IS NOT NULL
            ORDER BY d.period, d.id FOR UPDATE OF d),
        freed AS (
            DELETE FROM segments_given g USING stopped
            WHERE g.subscriber_id = stopped.subscriber_id AND g.segment_id = stopped.segment_id AND stopped.repeated_at IS NULL),
        skipped AS (
            UPDATE deliveries d SET state = 'skipped', reason = stopped.refusal, ready_at = NULL, finished_at = $2
            FROM stopped WHERE d.period = stopped.period AND d.id = stopped.id RETURNING d.id)
        SELECT count(*) AS "count!" FROM skipped"#,
        subscribers,
        to_db(now),
    )
    .fetch_one(conn)
    .await?;
    Ok(skipped.unsigned_abs())
}

/// Skips the tests that wait to be sent to an address: those that a subscriber's standing stops now, or all where it is nobody's. They
/// name no subscriber, so the view does not see what stands against them.
pub(in crate::people) async fn skip_tests(
    conn: &mut PgConnection,
    key: &str,
    subscriber_id: Option<i64>,
    now: Timestamp,
) -> sqlx::Result<u64> {
    let tests = sqlx::query!(
        r#"SELECT d.period, d.id, d.address AS "address!" FROM deliveries d
        WHERE d.basis = 'test' AND d.state IN ('queued', 'claimed', 'deferred') AND ($1::bigint IS NULL
            OR EXISTS (SELECT FROM suppressions s WHERE s.subscriber_id = $1 AND s.lifted_at IS NULL)
            OR EXISTS (SELECT FROM subscriptions n WHERE n.subscriber_id = $1 AND n.topic_id = d.topic_id AND n.standing = 'unsubscribed'))"#,
        subscriber_id
    );
    // One address has many spellings, which only reading them brings together.
    let is_hers = |text: &str| EmailAddress::parse(text).is_ok_and(|address| address.key() == key);
    let tests = tests.fetch_all(&mut *conn).await?.into_iter().filter(|test| is_hers(&test.address));
    let (periods, ids): (Vec<chrono::NaiveDate>, Vec<i64>) = tests.map(|test| (test.period, test.id)).unzip();
    if ids.is_empty() {
        return Ok(0);
    }
    let skipped = sqlx::query!(
        "WITH hers AS (
            SELECT d.period, d.id FROM deliveries d JOIN unnest($1::date[], $2::bigint[]) AS w (period, id) USING (period, id)
            WHERE d.basis = 'test' AND d.state IN ('queued', 'claimed', 'deferred') ORDER BY d.period, d.id FOR UPDATE OF d)
        UPDATE deliveries d SET state = 'skipped', reason = 'the address said stop', ready_at = NULL, finished_at = $3
        FROM hers WHERE d.period = hers.period AND d.id = hers.id",
        &periods,
        &ids,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(skipped.rows_affected())
}

/// A leaving that stands.
pub(super) struct Left {
    pub(super) scope: Scope,
    pub(super) at: Timestamp,
}

/// The last leaving after `since`, of this topic or of everything, that still stands; nobody who was erased takes one back.
pub(super) async fn last_leaving(
    conn: &mut PgConnection,
    subscriber_id: i64,
    topic_id: i64,
    since: Timestamp,
) -> sqlx::Result<Option<Left>> {
    let row = sqlx::query!(
        "SELECT c.topic_id, c.at FROM consents c
         WHERE c.subscriber_id = $1 AND c.act = 'withdrawn' AND c.at > $3
           AND NOT EXISTS (SELECT FROM subscribers WHERE id = $1 AND erased_at IS NOT NULL)
           AND (c.topic_id = $2 AND EXISTS (
                SELECT FROM subscriptions s WHERE s.subscriber_id = $1 AND s.topic_id = $2 AND s.standing = 'unsubscribed')
             OR c.topic_id IS NULL AND c.program_id IS NULL AND EXISTS (
                SELECT FROM suppressions s WHERE s.subscriber_id = $1 AND s.kind = 'unsubscribe_all' AND s.lifted_at IS NULL))
           AND NOT EXISTS (
                SELECT FROM consents later WHERE later.subscriber_id = $1 AND later.id > c.id
                  AND later.act <> 'withdrawn' AND later.topic_id IS NOT DISTINCT FROM c.topic_id AND later.program_id IS NULL)
         ORDER BY c.id DESC LIMIT 1",
        subscriber_id,
        topic_id,
        to_db(since),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Left { scope: row.topic_id.map_or(Scope::Everything, Scope::Topic), at: from_db(row.at) }))
}

/// Gives a subscription back the standing that it had before it was ended: confirmed only if the last that was said of it, but
/// for her leaving and returning, is that it is; whoever was imported unconfirmed has said nothing.
pub(super) async fn return_to_topic(conn: &mut PgConnection, subscriber_id: i64, topic_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subscriptions SET changed_at = $3, standing = CASE (
            SELECT c.act FROM consents c WHERE c.subscriber_id = $1 AND c.topic_id = $2
                AND (c.act IN ('asked', 'confirmed') OR c.act = 'withdrawn' AND c.source = 'import') ORDER BY c.id DESC LIMIT 1)
            WHEN 'confirmed' THEN 'confirmed' ELSE 'unconfirmed' END
         WHERE subscriber_id = $1 AND topic_id = $2 AND standing = 'unsubscribed'",
        subscriber_id,
        topic_id,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Lifts the suppression that leaving everything was.
pub(super) async fn lift_unsubscribe_all(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE suppressions SET lifted_at = $2, lifted_reason = 'she took it back'
         WHERE subscriber_id = $1 AND kind = 'unsubscribe_all' AND lifted_at IS NULL",
        subscriber_id,
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Holds the campaigns and editions in which a person was skipped as unsubscribed after `since`, in this order as everywhere.
pub(super) async fn lock_editions_skipped_in(conn: &mut PgConnection, subscriber_id: i64, since: Timestamp) -> sqlx::Result<()> {
    let editions = sqlx::query!(
        "SELECT DISTINCT e.id, e.campaign_id FROM deliveries d JOIN editions e ON e.id = d.edition_id AND e.period = d.period
         WHERE d.subscriber_id = $1 AND d.state = 'skipped' AND d.finished_at >= $2
           AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all')",
        subscriber_id,
        to_db(since),
    )
    .fetch_all(&mut *conn)
    .await?;
    let (editions, campaigns): (Vec<i64>, Vec<i64>) = editions.into_iter().map(|row| (row.id, row.campaign_id)).unzip();
    sqlx::query!("SELECT id FROM campaigns WHERE id = ANY($1) ORDER BY id FOR SHARE", &campaigns).fetch_all(&mut *conn).await?;
    sqlx::query!("SELECT id FROM editions WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", &editions).fetch_all(conn).await.map(drop)
}

/// Keeps imports off the series of what she was skipped in as unsubscribed after `since`: what she is given again must not be missed by one
/// that looks who was given what.
pub(super) async fn hold_series_skipped_in(conn: &mut PgConnection, subscriber_id: i64, since: Timestamp) -> sqlx::Result<()> {
    let series = sqlx::query_scalar!(
        r#"SELECT DISTINCT d.series_id AS "series_id!" FROM deliveries d
         WHERE d.subscriber_id = $1 AND d.state = 'skipped' AND d.finished_at >= $2 AND d.series_id IS NOT NULL
           AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all')"#,
        subscriber_id,
        to_db(since),
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!("SELECT id FROM series WHERE id = ANY($1) ORDER BY id FOR SHARE", &series).fetch_all(conn).await.map(drop)
}

/// Queues again what was skipped as unsubscribed after `since`, may still be sent, is allowed now, and whose segment was
/// not given to her meanwhile. The edition of each comes back.
pub(super) async fn queue_again(
    conn: &mut PgConnection,
    subscriber_id: i64,
    since: Timestamp,
    now: Timestamp,
) -> sqlx::Result<Vec<Option<i64>>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE wanted AS (
            SELECT d.period, d.id, d.segment_id, d.tip_revision_id, d.due_at
            FROM deliveries d JOIN delivery_refusals r ON r.period = d.period AND r.id = d.id
            LEFT JOIN editions e ON e.id = d.edition_id AND e.period = d.period LEFT JOIN campaigns c ON c.id = e.campaign_id
            WHERE d.subscriber_id = $1 AND d.state = 'skipped' AND d.finished_at >= $2
              AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all')
              AND coalesce(e.state NOT IN ('cancelled', 'skipped') AND c.state <> 'cancelled'
                AND greatest(d.due_at, e.anew_at) + make_interval(secs => e.deadline_seconds) > $3, true)
              AND (d.valid_until IS NULL OR d.valid_until > $3)
              AND r.refusal IS NULL
              -- Nor does it have words that she was given meanwhile in another segment.
              AND NOT EXISTS (
                SELECT FROM segments_inherited i JOIN segment_overlaps o ON o.segment_id = i.segment_id
                    JOIN tip_revisions v ON v.id = d.tip_revision_id
                WHERE i.subscriber_id = $1 AND i.segment_id = d.segment_id AND o.since <= v.created_at)
            ORDER BY d.period, d.id FOR UPDATE OF d),
        given AS (
            INSERT INTO segments_given (subscriber_id, segment_id)
            SELECT DISTINCT $1::bigint, segment_id FROM wanted WHERE segment_id IS NOT NULL
            ON CONFLICT DO NOTHING RETURNING segment_id),
        -- An import may have found meanwhile that other segments have words of theirs: she gets those with these mails.
        heirs AS (
            SELECT given.segment_id AS given_id, given.segment_id, min(r.created_at) AS since
            FROM given JOIN wanted USING (segment_id) JOIN tip_revisions r ON r.id = wanted.tip_revision_id GROUP BY given.segment_id
            UNION SELECT heirs.given_id, o.segment_id, o.since
            FROM heirs JOIN segment_overlaps o ON o.of_segment_id = heirs.segment_id AND o.since > heirs.since),
        inherited AS (
            INSERT INTO segments_inherited (subscriber_id, segment_id, of_segment_id)
            SELECT DISTINCT $1::bigint, segment_id, given_id FROM heirs WHERE segment_id <> given_id ON CONFLICT DO NOTHING),
        back AS (
            SELECT DISTINCT ON (coalesce(segment_id, -id)) period, id FROM wanted
            WHERE segment_id IS NULL OR segment_id IN (SELECT segment_id FROM given)
            ORDER BY coalesce(segment_id, -id), due_at, id)
        -- One that was tried before waits a little: its relay had asked for time.
        UPDATE deliveries d SET state = 'queued', reason = NULL, finished_at = NULL, worker_id = NULL,
            ready_at = CASE WHEN d.attempts = 0 THEN d.due_at ELSE greatest(d.due_at, $3 + interval '5 minutes') END
        FROM back WHERE d.period = back.period AND d.id = back.id
        RETURNING d.edition_id"#,
        subscriber_id,
        to_db(since),
        to_db(now),
    )
    .fetch_all(conn)
    .await
}

/// Sets finished editions going again, since they have something to send; those of a paused campaign when it is resumed.
pub(super) async fn run_on(conn: &mut PgConnection, editions: &[Option<i64>]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE editions e SET finished_at = NULL,
            state = CASE c.state WHEN 'paused' THEN 'paused' ELSE 'running' END,
            resume_to = CASE c.state WHEN 'paused' THEN 'running' END,
            reason = CASE c.state WHEN 'paused' THEN c.reason END
         FROM campaigns c WHERE c.id = e.campaign_id AND e.id = ANY($1) AND e.state = 'finished'",
        editions as &[Option<i64>],
    )
    .execute(conn)
    .await
    .map(drop)
}

/// How a person stands with a topic; what can be undone is not looked at.
pub(super) async fn standing(conn: &mut PgConnection, subscriber_id: i64, topic_id: i64) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query!(
        r#"SELECT t.name, coalesce(s.standing = 'confirmed', false) AS "subscribed!",
            EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = $1 AND x.lifted_at IS NULL AND x.kind = 'unsubscribe_all') AS "everything!",
            EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = $1 AND x.lifted_at IS NULL AND x.kind <> 'unsubscribe_all')
                OR p.erased_at IS NOT NULL AS "suppressed!"
           FROM subscribers p CROSS JOIN topics t LEFT JOIN subscriptions s ON s.subscriber_id = p.id AND s.topic_id = t.id
           WHERE p.id = $1 AND t.id = $2"#,
        subscriber_id,
        topic_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Standing {
        topic_name: row.name,
        subscribed: row.subscribed,
        everything: row.everything,
        suppressed: row.suppressed,
        undo_until: None,
    }))
}

/// A refusal of an address, as the ledger recorded it.
pub(super) struct Refusal {
    pub(super) subscriber_id: i64,
    pub(super) code: String,
    /// A hard bounce of hers was recorded since.
    pub(super) recorded: bool,
}

/// The refusal that failed a delivery, unless it is a test's or did not fail.
pub(super) async fn refusal(conn: &mut PgConnection, period: Date, delivery_id: i64) -> sqlx::Result<Option<Refusal>> {
    let row = sqlx::query!(
        r#"SELECT d.subscriber_id AS "subscriber_id!", coalesce(d.enhanced_code, d.reply_code::text, 'no code') AS "code!",
            EXISTS (SELECT FROM suppressions s WHERE s.subscriber_id = d.subscriber_id AND s.kind = 'hard_bounce'
                AND s.at >= coalesce(d.finished_at, d.handing_over_at)) AS "recorded!"
           FROM deliveries d WHERE d.period = $1 AND d.id = $2 AND d.state = 'failed' AND d.subscriber_id IS NOT NULL"#,
        civil_to_db(period),
        delivery_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Refusal { subscriber_id: row.subscriber_id, code: row.code, recorded: row.recorded }))
}
