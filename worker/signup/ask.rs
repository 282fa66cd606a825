//! Asking those who were imported unconfirmed, once each and at a limited rate: an operator says so, the sweep does it little by little.
//!
//! Each is a sign-up like any other from then on, under the same limits of her address. Whoever is suppressed, left, or was asked since
//! the import is passed over. An interrupted sweep goes on where it was; undoing the import ends it. The command line calls `begin`.

use super::{
    Desk, mails,
    store::{self, Names, Wish},
    subscribe::expiry,
    words::wording,
};
use crate::base::{
    acts,
    time::{from_db, to_db},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection};

/// So many in one transaction; the next one goes on.
const PORTION: i64 = 100;

/// After a pause of the worker no more are made up for than belong to this time.
const MADE_UP_FOR: SignedDuration = SignedDuration::from_mins(1);

/// What asking comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// How many are to be asked.
    pub people: i64,
    /// When the last of them is, if a worker runs all the time.
    pub until: Timestamp,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No such import.
    #[error("there is no import {0}: `tidings import list` shows those that there are")]
    Unknown(i64),
    /// It subscribed nobody to anything.
    #[error("import {0} had no topic, so there is nothing to confirm: import the file again with --topic T")]
    NoTopic(i64),
    /// It is not all there, or no longer.
    #[error("import {0} is not finished, or was undone: run the import again first")]
    NotFinished(i64),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What asking would come to; nothing is changed.
pub async fn preview(conn: &mut PgConnection, import_id: i64, per_hour: u32, now: Timestamp) -> Result<Asking, AskError> {
    let import = sqlx::query!(
        r#"SELECT topic_id, finished_at IS NOT NULL AND undoing_at IS NULL AS "is_whole!" FROM imports WHERE id = $1"#,
        import_id,
    );
    let import = import.fetch_optional(&mut *conn).await?.ok_or(AskError::Unknown(import_id))?;
    if import.topic_id.is_none() {
        return Err(AskError::NoTopic(import_id));
    }
    if !import.is_whole {
        return Err(AskError::NotFinished(import_id));
    }
    let people = count(conn, import_id).await?;
    let last = SignedDuration::from_secs((people - 1).max(0).saturating_mul(3600) / i64::from(per_hour.max(1)));
    Ok(Asking { people, until: now.checked_add(last).unwrap_or(Timestamp::MAX) })
}

/// Has the sweep ask those of an import who are unconfirmed, so many in an hour. Said again, it goes on at the new rate.
pub async fn begin(conn: &mut PgConnection, import_id: i64, per_hour: u32, now: Timestamp) -> Result<Asking, AskError> {
    let mut tx = conn.begin().await?;
    let asking = preview(&mut tx, import_id, per_hour, now).await?;
    let rate = i32::try_from(per_hour.max(1)).unwrap_or(i32::MAX);
    sqlx::query!(
        "UPDATE imports SET ask_per_hour = $2, ask_after = 0, ask_next_at = greatest(ask_next_at, $3) WHERE id = $1 AND undoing_at IS NULL",
        import_id,
        rate,
        to_db(now),
    )
    .execute(&mut *tx)
    .await?;
    let detail = format!("{} people, {per_hour} an hour", asking.people);
    acts::record(&mut tx, "confirmations asked for", "import", Some(import_id), detail.as_str(), now).await?;
    tx.commit().await?;
    Ok(asking)
}

/// Asks whoever's turn it is by now.
pub async fn sweep(desk: &Desk<'_>, now: Timestamp) -> sqlx::Result<()> {
    let due = sqlx::query_scalar!(
        "SELECT id FROM imports WHERE ask_per_hour IS NOT NULL AND undoing_at IS NULL AND ask_next_at <= $1 ORDER BY id",
        to_db(now),
    )
    .fetch_all(desk.pool)
    .await?;
    for import_id in due {
        while portion(desk, import_id, now).await? {}
    }
    Ok(())
}

// True when there may be more whose turn it is.
async fn portion(desk: &Desk<'_>, import_id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let mut tx = desk.pool.begin().await?;
    let import = sqlx::query!(
        r#"SELECT i.ask_per_hour AS "per_hour!", i.ask_next_at AS "next_at!", i.ask_after, t.id AS topic_id, t.name AS topic
           FROM imports i JOIN topics t ON t.id = i.topic_id
           WHERE i.id = $1 AND i.ask_per_hour IS NOT NULL AND i.undoing_at IS NULL AND i.ask_next_at <= $2
           FOR NO KEY UPDATE OF i SKIP LOCKED"#,
        import_id,
        to_db(now),
    );
    let Some(import) = import.fetch_optional(&mut *tx).await? else { return Ok(false) };
    let each = SignedDuration::from_micros(3_600_000_000 / i64::from(import.per_hour));
    let mut next_at = from_db(import.next_at).max(now - MADE_UP_FOR);
    let turns = (now.as_microsecond() - next_at.as_microsecond()) / (3_600_000_000 / i64::from(import.per_hour)).max(1) + 1;
    let people = waiting(&mut tx, import_id, import.ask_after, turns.min(PORTION)).await?;
    let wording = wording(desk.publisher, &[&import.topic]);
    let wish = Wish {
        topics: &[import.topic_id],
        programs: &[],
        wording: &wording,
        name: None,
        zone: None,
        stage_date: None,
        source: "import",
        origin_hash: None,
    };
    for subscriber_id in &people {
        if ask(&mut tx, desk, import_id, *subscriber_id, &wish, &import.topic, now).await? {
            next_at += each;
        }
    }
    // Whoever could not be mailed takes nobody's turn; at the end of the people it is over.
    let goes_on = people.len() as i64 == turns.min(PORTION);
    sqlx::query!(
        "UPDATE imports SET ask_after = $2, ask_next_at = $3, ask_per_hour = CASE WHEN $4 THEN ask_per_hour END WHERE id = $1",
        import_id,
        people.last().copied().unwrap_or(import.ask_after),
        to_db(next_at),
        goes_on,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(goes_on && next_at <= now)
}

// False when she is not to be asked after all.
async fn ask(
    conn: &mut PgConnection,
    desk: &Desk<'_>,
    import_id: i64,
    subscriber_id: i64,
    wish: &Wish<'_>,
    topic: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let Some(key) = store::lock(conn, subscriber_id).await? else { return Ok(false) };
    // Looked at again, now that nobody else can change it.
    if waiting(conn, import_id, subscriber_id - 1, 1).await? != [subscriber_id] {
        return Ok(false);
    }
    let mut tx = conn.begin().await?;
    let id = store::open(&mut tx, subscriber_id, wish, now, expiry(now, desk.rules.expires)).await?;
    let Some(signup) = store::signup(&mut tx, id).await? else { return Ok(false) };
    let names = Names { topics: vec![topic.to_owned()], programs: Vec::new() };
    if !mails::confirmation(&mut tx, desk, &key, &signup, &names, now).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

async fn count(conn: &mut PgConnection, import_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM import_unasked WHERE import_id = $1"#, import_id).fetch_one(conn).await
}

async fn waiting(conn: &mut PgConnection, import_id: i64, after: i64, most: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"SELECT subscriber_id AS "subscriber_id!" FROM import_unasked WHERE import_id = $1 AND subscriber_id > $2 ORDER BY subscriber_id LIMIT $3"#,
        import_id,
        after,
        most,
    )
    .fetch_all(conn)
    .await
}
