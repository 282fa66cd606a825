//! The SQL of arriving: what becomes of a person's standing when she confirms. Her row is held by the caller.

use crate::{
    audience::suppression,
    base::{
        keys::Keyring,
        time::{civil_to_db, period_of, to_db},
    },
    signup::store::Signup,
};
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool};

/// Makes the partition of this month, so that no transaction that writes has to.
pub(super) async fn ensure_partition(pool: &PgPool, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(period_of(now))).fetch_one(pool).await.map(drop)
}

/// Whether she is confirmed with any topic or waits, was offered or has a seat somewhere, and has not left everything.
pub(super) async fn is_known(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT (EXISTS (SELECT FROM subscriptions WHERE subscriber_id = $1 AND standing = 'confirmed')
                OR EXISTS (SELECT FROM entries WHERE subscriber_id = $1 AND state IN ('waiting', 'offered', 'seated')))
            AND NOT EXISTS (SELECT FROM suppressions WHERE subscriber_id = $1 AND lifted_at IS NULL) AS "known!""#,
        subscriber_id
    )
    .fetch_one(conn)
    .await
}

/// Takes over what the form says of her. Of somebody whose address was proven before only what is not known: the form may have been
/// filled in by anyone.
pub(super) async fn fill_in(conn: &mut PgConnection, signup: &Signup, proven: bool) -> sqlx::Result<()> {
    insert_events(conn, signup, proven).await?;
    sqlx::query!(
        "UPDATE subscribers SET
            name = CASE WHEN $5 THEN coalesce(name, $2) ELSE coalesce($2, name) END,
            zone = CASE WHEN $5 THEN coalesce(zone, $3) ELSE coalesce($3, zone) END,
            stage_date = CASE WHEN $5 THEN coalesce(stage_date, $4) ELSE coalesce($4, stage_date) END
         WHERE id = $1",
        signup.subscriber_id,
        signup.name,
        signup.zone,
        signup.stage_date.map(civil_to_db),
        proven
    )
    .execute(conn)
    .await
    .map(drop)
}

// What is about to change, before it does. It is dated when she typed it; whoever undoes an import goes by when she confirmed.
async fn insert_events(conn: &mut PgConnection, signup: &Signup, proven: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subscriber_events (subscriber_id, at, what, source, before, after)
         SELECT s.id, $6, v.what, 'page', v.before, v.after FROM subscribers s CROSS JOIN LATERAL (VALUES
            ('name', s.name, $2), ('zone', s.zone, $3), ('stage date', s.stage_date::text, $4::date::text)) AS v (what, before, after)
         WHERE s.id = $1 AND v.after IS NOT NULL AND v.after IS DISTINCT FROM v.before AND NOT ($5 AND v.before IS NOT NULL)",
        signup.subscriber_id,
        signup.name,
        signup.zone,
        signup.stage_date.map(civil_to_db),
        proven,
        to_db(signup.asked_at)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Lifts that she left everything or was erased; how many of these stood.
pub(super) async fn lift_what_she_left(
    conn: &mut PgConnection,
    keyring: &Keyring,
    key: &str,
    subscriber_id: i64,
    now: Timestamp,
) -> sqlx::Result<u64> {
    // By her number too: a row may bear the hash of a key that is no longer in the key file.
    let done = sqlx::query!(
        "UPDATE suppressions SET lifted_at = $3, lifted_reason = 'she confirmed a sign-up'
         WHERE (address_hash = ANY($1) OR subscriber_id = $2) AND lifted_at IS NULL AND kind IN ('unsubscribe_all', 'erased')",
        &suppression::hashes(keyring, key),
        subscriber_id,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// She had left everything: what she does not ask for now does not come back with what she asks for.
pub(super) async fn leave_other_topics(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subscriptions SET standing = 'unsubscribed', changed_at = $3
         WHERE subscriber_id = $1 AND standing = 'confirmed' AND topic_id <> ALL($2)",
        subscriber_id,
        topics,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Confirms her subscriptions to these topics, also those that she had ended.
pub(super) async fn confirm(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subscriptions AS n (subscriber_id, topic_id, standing, changed_at)
         SELECT $1, topic_id, 'confirmed', $3 FROM unnest($2::bigint[]) AS topic_id ORDER BY topic_id
         ON CONFLICT (subscriber_id, topic_id) DO UPDATE SET standing = 'confirmed', changed_at = excluded.changed_at
            WHERE n.standing <> 'confirmed'",
        subscriber_id,
        topics,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}
