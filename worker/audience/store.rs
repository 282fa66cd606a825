//! The SQL that changes the audience: free functions on the caller's connection, so that the caller owns the transaction.
//!
//! Everything for many people at once goes through arrays, in the order of a unique key, so that two imports at a time
//! wait for each other and never deadlock. Called by this module and by `people`.

use super::{
    consent::{Act, Source},
    subscriber::NewSubscriber,
    suppression::{Kind, Suppression},
    topic::{ListedTopic, Topic},
};
use crate::base::{
    acts,
    address::KEY_VERSION,
    time::{civil_to_db, from_db, to_db},
};
use chrono::{DateTime, NaiveDate, Utc};
use jiff::Timestamp;
use sqlx::PgConnection;

/// Held to the end of the transaction by whoever adds subscribers.
pub async fn lock_audience_shared(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared(hashtext('tidings.audience'))").execute(conn).await.map(drop)
}

/// Held by whoever suppresses an address without subscriber: nobody is being added meanwhile.
pub async fn lock_audience_alone(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidings.audience'))").execute(conn).await.map(drop)
}

/// All topics, by name.
pub async fn topics(conn: &mut PgConnection) -> sqlx::Result<Vec<Topic>> {
    sqlx::query_as!(Topic, "SELECT id, slug, name FROM topics ORDER BY name").fetch_all(conn).await
}

/// All topics with what is said of them and how many are confirmed, by name.
pub async fn listed_topics(conn: &mut PgConnection) -> sqlx::Result<Vec<ListedTopic>> {
    sqlx::query_as!(
        ListedTopic,
        r#"SELECT slug, name, description, open,
            (SELECT count(*) FROM subscriptions s WHERE s.topic_id = t.id AND s.standing = 'confirmed') AS "confirmed!"
           FROM topics t ORDER BY name, id"#
    )
    .fetch_all(conn)
    .await
}

/// Changes what is given of a topic; false when it is so already.
pub async fn edit_topic(
    conn: &mut PgConnection,
    id: i64,
    name: Option<&str>,
    description: Option<&str>,
    open: Option<bool>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE topics SET name = coalesce($2, name), description = coalesce($3, description), open = coalesce($4, open)
         WHERE id = $1 AND (name, description, open) IS DISTINCT FROM (coalesce($2, name), coalesce($3, description), coalesce($4, open))",
        id,
        name,
        description,
        open
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Adds those of the people who are not there; the ids and keys of the new ones come back.
pub async fn insert_subscribers(conn: &mut PgConnection, people: &[&NewSubscriber], now: Timestamp) -> sqlx::Result<Vec<(i64, String)>> {
    let addresses: Vec<String> = people.iter().map(|p| p.address.as_given().to_owned()).collect();
    let keys: Vec<String> = people.iter().map(|p| p.address.key().to_owned()).collect();
    let (names, zones, dates) = particulars(people.iter().copied());
    let rows = sqlx::query!(
        r#"INSERT INTO subscribers (address, address_key, key_version, name, zone, stage_date, created_at)
           SELECT address, key, $6, name, zone, stage_date, $7
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[]) AS p (address, key, name, zone, stage_date)
           ORDER BY key
           ON CONFLICT (address_key) DO NOTHING
           RETURNING id, address_key AS "address_key!""#,
        &addresses,
        &keys,
        &names as &[Option<String>],
        &zones as &[Option<String>],
        &dates as &[Option<NaiveDate>],
        KEY_VERSION,
        to_db(now),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.address_key)).collect())
}

/// Writes what was not known of people who were subscribers before.
pub async fn fill_in_subscribers(conn: &mut PgConnection, people: &[(i64, &NewSubscriber)]) -> sqlx::Result<()> {
    let ids: Vec<i64> = people.iter().map(|(id, _)| *id).collect();
    let (names, zones, dates) = particulars(people.iter().map(|(_, p)| *p));
    sqlx::query!(
        "WITH given AS (
            SELECT s.id, p.name, p.zone, p.stage_date
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::date[]) AS p (id, name, zone, stage_date)
            JOIN subscribers s USING (id)
            WHERE (s.name IS NULL AND p.name IS NOT NULL) OR (s.zone IS NULL AND p.zone IS NOT NULL)
               OR (s.stage_date IS NULL AND p.stage_date IS NOT NULL)
            ORDER BY s.id FOR NO KEY UPDATE OF s)
         UPDATE subscribers s SET name = coalesce(s.name, given.name), zone = coalesce(s.zone, given.zone),
            stage_date = coalesce(s.stage_date, given.stage_date)
         FROM given WHERE s.id = given.id",
        &ids,
        &names as &[Option<String>],
        &zones as &[Option<String>],
        &dates as &[Option<NaiveDate>],
    )
    .execute(conn)
    .await
    .map(drop)
}

type Particulars = (Vec<Option<String>>, Vec<Option<String>>, Vec<Option<NaiveDate>>);

fn particulars<'p>(people: impl Iterator<Item = &'p NewSubscriber>) -> Particulars {
    let mut columns = Particulars::default();
    for person in people {
        columns.0.push(person.name.clone());
        columns.1.push(person.zone.clone());
        columns.2.push(person.stage_date.map(civil_to_db));
    }
    columns
}

/// Those of the keys that are subscribers', with their ids.
pub async fn subscribers_by_key(conn: &mut PgConnection, keys: &[&str]) -> sqlx::Result<Vec<(String, i64)>> {
    let rows =
        sqlx::query!(r#"SELECT id, address_key AS "address_key!" FROM subscribers WHERE address_key = ANY($1::text[])"#, keys as &[&str],)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| (row.address_key, row.id)).collect())
}

/// Confirms subscriptions that are new or unconfirmed; their subscribers' ids come back. One who left stays as she is.
pub async fn confirm_subscriptions(conn: &mut PgConnection, topic_id: i64, ids: &[i64], now: Timestamp) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO subscriptions (subscriber_id, topic_id, standing, changed_at)
         SELECT id, $1, 'confirmed', $3 FROM unnest($2::bigint[]) AS id ORDER BY id
         ON CONFLICT (subscriber_id, topic_id) DO UPDATE SET standing = 'confirmed', changed_at = excluded.changed_at
            WHERE subscriptions.standing = 'unconfirmed'
         RETURNING subscriber_id",
        topic_id,
        ids,
        to_db(now),
    )
    .fetch_all(conn)
    .await
}

/// Those who left the topic, and when.
pub async fn unsubscribed(conn: &mut PgConnection, topic_id: i64, ids: &[i64]) -> sqlx::Result<Vec<(i64, Timestamp)>> {
    let rows = sqlx::query!(
        "SELECT subscriber_id, changed_at FROM subscriptions
         WHERE topic_id = $1 AND subscriber_id = ANY($2) AND standing = 'unsubscribed'",
        topic_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.subscriber_id, from_db(row.changed_at))).collect())
}

/// Records the same act of several people.
pub async fn insert_consents(
    conn: &mut PgConnection,
    ids: &[i64],
    topic_id: Option<i64>,
    act: Act,
    source: Source,
    wording: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO consents (subscriber_id, topic_id, act, wording, source, at)
         SELECT id, $2, $3, $4, $5, $6 FROM unnest($1::bigint[]) AS id",
        ids,
        topic_id,
        act.as_str(),
        wording,
        source.as_str(),
        to_db(now),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Records what an operator did.
pub async fn insert_operator_act(
    conn: &mut PgConnection,
    act: &str,
    subject: &str,
    subject_id: Option<i64>,
    detail: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    acts::record(conn, act, subject, subject_id, detail, now).await
}

struct SuppressionRow {
    id: i64,
    address_hash: Vec<u8>,
    subscriber_id: Option<i64>,
    kind: String,
    reason: String,
    at: DateTime<Utc>,
    lifted_at: Option<DateTime<Utc>>,
    lifted_reason: Option<String>,
}

impl SuppressionRow {
    fn read(self) -> sqlx::Result<Suppression> {
        let kind =
            Kind::parse(&self.kind).ok_or_else(|| sqlx::Error::Decode(format!("unknown kind of suppression `{}`", self.kind).into()))?;
        let lifted = self.lifted_at.map(|at| (from_db(at), self.lifted_reason.unwrap_or_default()));
        Ok(Suppression { id: self.id, subscriber_id: self.subscriber_id, kind, reason: self.reason, at: from_db(self.at), lifted })
    }
}

/// What stands against addresses, by their hashes.
pub async fn live_suppressions(conn: &mut PgConnection, hashes: &[Vec<u8>]) -> sqlx::Result<Vec<(Vec<u8>, Suppression)>> {
    let rows = sqlx::query_as!(
        SuppressionRow,
        "SELECT id, address_hash, subscriber_id, kind, reason, at, lifted_at, lifted_reason FROM suppressions
         WHERE address_hash = ANY($1) AND lifted_at IS NULL ORDER BY at, id",
        hashes,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.address_hash.clone(), row.read()?))).collect()
}

/// What stands against subscribers.
pub async fn live_suppressions_of_subscribers(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<Suppression>> {
    let rows = sqlx::query_as!(
        SuppressionRow,
        "SELECT id, address_hash, subscriber_id, kind, reason, at, lifted_at, lifted_reason FROM suppressions
         WHERE subscriber_id = ANY($1) AND lifted_at IS NULL ORDER BY at, id",
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(SuppressionRow::read).collect()
}

/// All that was ever recorded against one address, given its hashes under every key.
pub async fn suppressions_of_address(conn: &mut PgConnection, hashes: &[Vec<u8>]) -> sqlx::Result<Vec<Suppression>> {
    let rows = sqlx::query_as!(
        SuppressionRow,
        "SELECT id, address_hash, subscriber_id, kind, reason, at, lifted_at, lifted_reason FROM suppressions
         WHERE address_hash = ANY($1) ORDER BY at, id",
        hashes,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(SuppressionRow::read).collect()
}

/// Whether whoever has an address left a topic.
pub async fn has_left(conn: &mut PgConnection, address_key: &str, topic_id: Option<i64>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM subscribers s JOIN subscriptions n ON n.subscriber_id = s.id
            WHERE s.address_key = $1 AND n.topic_id = $2 AND n.standing = 'unsubscribed') AS "left!""#,
        address_key,
        topic_id
    )
    .fetch_one(conn)
    .await
}

/// Inserts a suppression and gives its id; none when another transaction was first.
pub async fn insert_suppression(
    conn: &mut PgConnection,
    key_id: &str,
    hash: &[u8],
    subscriber_id: Option<i64>,
    kind: Kind,
    reason: &str,
    now: Timestamp,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO suppressions (address_hash, key_id, subscriber_id, kind, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (address_hash, key_id, kind) WHERE lifted_at IS NULL DO NOTHING RETURNING id",
        hash,
        key_id,
        subscriber_id,
        kind.as_str(),
        reason,
        to_db(now),
    )
    .fetch_optional(conn)
    .await
}

/// Fills in whose the suppressed addresses are; hashes and ids go in pairs. What hangs on the blank row of somebody who was
/// erased goes over to her new one.
pub async fn link_suppressions(conn: &mut PgConnection, hashes: &[Vec<u8>], ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE suppressions s SET subscriber_id = p.id FROM unnest($1::bytea[], $2::bigint[]) AS p (hash, id)
         WHERE s.address_hash = p.hash AND s.lifted_at IS NULL AND (s.subscriber_id IS NULL
            OR EXISTS (SELECT FROM subscribers o WHERE o.id = s.subscriber_id AND o.erased_at IS NOT NULL))",
        hashes,
        ids,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Makes one suppression a subscriber's; false when it is lifted, or somebody's who was not erased.
pub async fn link_suppression(conn: &mut PgConnection, id: i64, subscriber_id: i64) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE suppressions s SET subscriber_id = $2 WHERE s.id = $1 AND s.lifted_at IS NULL AND (s.subscriber_id IS NULL
            OR EXISTS (SELECT FROM subscribers o WHERE o.id = s.subscriber_id AND o.erased_at IS NOT NULL))",
        id,
        subscriber_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lifts one suppression; false when it was lifted already.
pub async fn lift_suppression(conn: &mut PgConnection, id: i64, reason: &str, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE suppressions SET lifted_at = $2, lifted_reason = $3 WHERE id = $1 AND lifted_at IS NULL",
        id,
        to_db(now),
        reason,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Of people whose rows are blanked: consents keep act, time, topic and source, and words that are ours; evidence that somebody
/// gave about them goes, and so do where they asked from and the values of their changes.
pub async fn blank_history(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("SET LOCAL tidings.erasing = 'on'").execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE consents SET origin_hash = NULL, wording = CASE WHEN source NOT IN ('operator', 'import') THEN wording END
         WHERE subscriber_id = ANY($1) AND (origin_hash IS NOT NULL OR wording IS NOT NULL)",
        ids,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE subscriber_events SET before = NULL, after = NULL WHERE subscriber_id = ANY($1) AND (before IS NOT NULL OR after IS NOT NULL)",
        ids,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query("SET LOCAL tidings.erasing = 'off'").execute(conn).await.map(drop)
}
