//! The SQL of sign-ups: free functions on the caller's connection, so that the caller owns the transaction.
//!
//! Rows are locked in this order: the subscriber's, the sign-up's, then deliveries. Called by this module and by `people::arrival`,
//! which confirms.

use super::PendingState;
use crate::base::time::{civil_from_db, civil_to_db, from_db, to_db};
use jiff::{Timestamp, civil::Date};
use ring::digest;
use sqlx::PgConnection;

/// A sign-up as it stands in the database.
#[derive(Debug, Clone)]
pub struct Signup {
    /// Its id.
    pub id: i64,
    /// Whose it is.
    pub subscriber_id: i64,
    /// The ids of its topics, in order.
    pub topics: Vec<i64>,
    /// The ids of the programs whose waitlist it asks for, in order.
    pub programs: Vec<i64>,
    /// The exact words agreed to; none once it is forgotten.
    pub wording: Option<String>,
    /// How she is called, as the form says.
    pub name: Option<String>,
    /// Her zone, as the form says.
    pub zone: Option<String>,
    /// Her stage date, as the form says.
    pub stage_date: Option<Date>,
    /// page, api or import.
    pub source: String,
    /// Keyed hash of where the request came from.
    pub origin_hash: Option<Vec<u8>>,
    /// When it was first asked for.
    pub asked_at: Timestamp,
    /// Until when its link works.
    pub expires_at: Timestamp,
    /// How it ended.
    pub outcome: Option<String>,
}

impl Signup {
    /// Where it stands at `now`; one that nobody has closed yet is over when its time is.
    pub fn state(&self, now: Timestamp) -> PendingState {
        match self.outcome.as_deref() {
            Some("confirmed") => PendingState::Confirmed,
            Some("refused") => PendingState::Refused,
            None if now < self.expires_at => PendingState::Open,
            _ => PendingState::Expired,
        }
    }

    /// A digest of what its page shows of it: whoever confirms sends back that of the page that she saw.
    pub fn digest(&self) -> String {
        let date = self.stage_date.map(|date| date.to_string());
        let shown = serde_json::json!([self.topics, self.programs, self.wording, self.name, date]).to_string();
        let hash = digest::digest(&digest::SHA256, shown.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The owner of its mails in the ledger.
    pub fn owner(&self) -> String {
        format!("signup:{}", self.id)
    }
}

/// A topic by its id and name.
#[derive(Debug, Clone)]
pub struct TopicName {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// A program by its id and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramName {
    /// Its id.
    pub id: i64,
    /// Its name in addresses of pages.
    pub slug: String,
    /// As people read it.
    pub name: String,
}

/// The names of what a sign-up asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of its topics.
    pub topics: Vec<String>,
    /// Of the programs whose waitlist it asks for.
    pub programs: Vec<String>,
}

/// The sign-up of this number.
pub async fn signup(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Signup>> {
    read(conn, Some(id), None).await
}

/// The one open sign-up of a subscriber, whose row the caller holds; its time may be over.
pub async fn open_signup(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Option<Signup>> {
    read(conn, None, Some(subscriber_id)).await
}

async fn read(conn: &mut PgConnection, id: Option<i64>, open_of: Option<i64>) -> sqlx::Result<Option<Signup>> {
    let row = sqlx::query!(
        "SELECT id, subscriber_id, topics, programs, wording, name, zone, stage_date, source, origin_hash, asked_at, expires_at, outcome
         FROM signups WHERE id = $1 OR (subscriber_id = $2 AND outcome IS NULL)",
        id,
        open_of
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Signup {
        id: row.id,
        subscriber_id: row.subscriber_id,
        topics: row.topics,
        programs: row.programs,
        wording: row.wording,
        name: row.name,
        zone: row.zone,
        stage_date: row.stage_date.map(civil_from_db),
        source: row.source,
        origin_hash: row.origin_hash,
        asked_at: from_db(row.asked_at),
        expires_at: from_db(row.expires_at),
        outcome: row.outcome,
    }))
}

/// What is asked for in a sign-up.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The ids of topics.
    pub topics: &'a [i64],
    /// The ids of programs whose waitlist is asked for.
    pub programs: &'a [i64],
    /// The exact words agreed to.
    pub wording: &'a str,
    /// How she is called.
    pub name: Option<&'a str>,
    /// Her zone.
    pub zone: Option<&'a str>,
    /// Her stage date.
    pub stage_date: Option<Date>,
    /// page, api or import.
    pub source: &'a str,
    /// Keyed hash of where the request came from.
    pub origin_hash: Option<&'a [u8]>,
}

/// Opens a sign-up for a subscriber who has no open one, and gives its id.
pub async fn open(
    conn: &mut PgConnection,
    subscriber_id: i64,
    wish: &Wish<'_>,
    now: Timestamp,
    expires_at: Timestamp,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "INSERT INTO signups (subscriber_id, topics, programs, wording, name, zone, stage_date, source, origin_hash, asked_at, expires_at)
         VALUES ($1, $2, $11, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        subscriber_id,
        wish.topics,
        wish.wording,
        wish.name,
        wish.zone,
        wish.stage_date.map(civil_to_db),
        wish.source,
        wish.origin_hash,
        to_db(now),
        to_db(expires_at),
        wish.programs
    )
    .fetch_one(conn)
    .await
}

/// Gives an open sign-up these topics, programs and words. Particulars are filled in where there are none, and where it came from stays:
/// whoever typed the address first may be herself, and whoever did after may be anyone.
pub async fn extend(conn: &mut PgConnection, id: i64, wish: &Wish<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE signups SET topics = $2, programs = $7, wording = $3, name = coalesce(name, $4), zone = coalesce(zone, $5),
            stage_date = coalesce(stage_date, $6)
         WHERE id = $1 AND outcome IS NULL",
        id,
        wish.topics,
        wish.wording,
        wish.name,
        wish.zone,
        wish.stage_date.map(civil_to_db),
        wish.programs
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Lets the link of an open sign-up work for longer.
pub async fn prolong(conn: &mut PgConnection, id: i64, expires_at: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("UPDATE signups SET expires_at = $2 WHERE id = $1 AND outcome IS NULL", id, to_db(expires_at))
        .execute(conn)
        .await
        .map(drop)
}

/// Leaves an open sign-up these topics, programs and words only.
pub async fn narrow(conn: &mut PgConnection, id: i64, topics: &[i64], programs: &[i64], wording: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE signups SET topics = $2, programs = $3, wording = $4 WHERE id = $1 AND outcome IS NULL",
        id,
        topics,
        programs,
        wording
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Closes an open sign-up as confirmed, refused or expired; false when it is closed already.
pub async fn close(conn: &mut PgConnection, id: i64, outcome: &str, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query!("UPDATE signups SET outcome = $2, closed_at = $3 WHERE id = $1 AND outcome IS NULL", id, outcome, to_db(now));
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

/// Whether she was suppressed, or left one of its topics or everything, after she last asked for anything.
pub async fn left_since(conn: &mut PgConnection, signup: &Signup) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"WITH last AS (
            SELECT greatest($2::timestamptz, (SELECT max(at) FROM consents WHERE subscriber_id = $1 AND act = 'asked')) AS ask)
        SELECT EXISTS (SELECT FROM suppressions x, last WHERE x.subscriber_id = $1 AND x.at > last.ask)
            OR EXISTS (SELECT FROM consents c, last WHERE c.subscriber_id = $1 AND c.act = 'withdrawn' AND c.at > last.ask
                AND (c.topic_id IS NULL AND c.program_id IS NULL OR c.topic_id = ANY($3))) AS "left!""#,
        signup.subscriber_id,
        to_db(signup.asked_at),
        &signup.topics
    )
    .fetch_one(conn)
    .await
}

/// The topics of these ids, by name.
pub async fn topics(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<TopicName>> {
    sqlx::query_as!(TopicName, "SELECT id, name FROM topics WHERE id = ANY($1) ORDER BY name, id", ids).fetch_all(conn).await
}

/// The programs of these ids, by name.
pub async fn programs(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<ProgramName>> {
    sqlx::query_as!(ProgramName, "SELECT id, slug, name FROM programs WHERE id = ANY($1) ORDER BY name, id", ids).fetch_all(conn).await
}

/// What these topics and programs are called, as the words and the mails name them.
pub async fn names(conn: &mut PgConnection, topics_of: &[i64], programs_of: &[i64]) -> sqlx::Result<Names> {
    let topics = topics(conn, topics_of).await?.into_iter().map(|topic| topic.name).collect();
    let programs = programs(conn, programs_of).await?.into_iter().map(|program| program.name).collect();
    Ok(Names { topics, programs })
}

/// Whether a hard bounce, a complaint or an operator's suppression stands against a subscriber.
pub async fn is_suppressed(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM suppressions WHERE subscriber_id = $1 AND lifted_at IS NULL
            AND kind IN ('hard_bounce', 'complaint', 'manual')) AS "suppressed!""#,
        subscriber_id
    )
    .fetch_one(conn)
    .await
}

/// Whether anything at all stands against a subscriber: she left everything, or her address is suppressed.
pub async fn is_stopped(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM suppressions WHERE subscriber_id = $1 AND lifted_at IS NULL) AS "stopped!""#,
        subscriber_id
    )
    .fetch_one(conn)
    .await
}

/// Holds the row of the subscriber with this key and gives her id.
pub async fn lock_by_key(conn: &mut PgConnection, key: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM subscribers WHERE address_key = $1 FOR NO KEY UPDATE", key).fetch_optional(conn).await
}

/// Holds a subscriber's row and gives her key; none inside when she is erased.
pub async fn lock(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT address_key FROM subscribers WHERE id = $1 FOR NO KEY UPDATE", subscriber_id).fetch_one(conn).await
}

/// How a person stands with what she asks for.
#[derive(Debug)]
pub struct Standing {
    /// Those of the topics that she is confirmed with.
    pub confirmed: Vec<i64>,
    /// She is confirmed with some topic, or left one, or confirmed a place on a waitlist: the address was proven to be hers.
    pub proven: bool,
    /// She left everything, or her address was erased before.
    pub left: bool,
}

/// How a person stands with `topics`.
pub async fn standing(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64]) -> sqlx::Result<Standing> {
    sqlx::query_as!(
        Standing,
        r#"SELECT
            array(SELECT topic_id FROM subscriptions WHERE subscriber_id = $1 AND standing = 'confirmed' AND topic_id = ANY($2)) AS "confirmed!",
            EXISTS (SELECT FROM subscriptions WHERE subscriber_id = $1 AND standing <> 'unconfirmed')
                OR EXISTS (SELECT FROM entries WHERE subscriber_id = $1 AND confirmed_at IS NOT NULL) AS "proven!",
            EXISTS (SELECT FROM suppressions WHERE subscriber_id = $1 AND lifted_at IS NULL
                AND kind IN ('unsubscribe_all', 'erased')) AS "left!""#,
        subscriber_id,
        topics
    )
    .fetch_one(conn)
    .await
}

/// Adds subscriptions that are unconfirmed yet; what stands already is not touched.
pub async fn add_unconfirmed(conn: &mut PgConnection, subscriber_id: i64, topics: &[i64], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subscriptions (subscriber_id, topic_id, standing, changed_at)
         SELECT $1, topic_id, 'unconfirmed', $3 FROM unnest($2::bigint[]) AS topic_id ORDER BY topic_id ON CONFLICT DO NOTHING",
        subscriber_id,
        topics,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Records an act about all that is wished for, with the words and the hashed origin.
pub async fn insert_consents(
    conn: &mut PgConnection,
    subscriber_id: i64,
    act: crate::audience::consent::Act,
    wish: &Wish<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO consents (subscriber_id, topic_id, program_id, act, wording, source, origin_hash, at)
         SELECT $1, topic_id, program_id, $4, $5, $6, $7, $8 FROM (
            SELECT topic_id, NULL::bigint AS program_id, n FROM unnest($2::bigint[]) WITH ORDINALITY AS t (topic_id, n)
            UNION ALL SELECT NULL, program_id, n FROM unnest($3::bigint[]) WITH ORDINALITY AS p (program_id, n)) w
         ORDER BY topic_id IS NULL, n",
        subscriber_id,
        wish.topics,
        wish.programs,
        act.as_str(),
        wish.wording,
        wish.source,
        wish.origin_hash,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Drops what a sign-up said of her particulars: they stand with her now.
pub async fn forget_particulars(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE signups SET name = NULL, zone = NULL, stage_date = NULL WHERE id = $1", id).execute(conn).await.map(drop)
}
