//! What the database knows of the keys: which one is current, and every one that it was ever used with.
//!
//! `cli` and the demo open their keys here. A running process goes on with the keys that it started with.

use super::{KeyError, Keyring, Recorded, file};
use crate::base::time::from_db;
use jiff::Timestamp;
use ring::rand::SecureRandom;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use std::path::Path;

/// A key that the database was used with.
#[derive(Debug, Serialize)]
pub struct UsedKey {
    /// Its id.
    pub id: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it signs and hashes now.
    pub current: bool,
    /// How many suppressions that stand are known by a hash under it.
    pub suppressions: i64,
}

/// The keys of the file at `path`, agreed with the database: made and recorded on first use, refused when one is missing.
pub async fn open(pool: &PgPool, path: &Path, random: &dyn SecureRandom) -> Result<Keyring, KeyError> {
    let mut conn = pool.acquire().await?;
    let recorded = recorded(&mut conn).await?;
    let keyring = Keyring::open(path, &recorded, random)?;
    if recorded.current.is_some() {
        return Ok(keyring);
    }
    sqlx::query!(
        "WITH first AS (UPDATE installation SET current_key_id = $1 WHERE current_key_id IS NULL RETURNING current_key_id)
         INSERT INTO used_keys (key_id) SELECT current_key_id FROM first ON CONFLICT DO NOTHING",
        keyring.current_id(),
    )
    .execute(&mut *conn)
    .await?;
    // Another process may have given this database its first key at the same moment.
    let agreed = self::recorded(&mut conn).await?;
    Keyring::open(path, &agreed, random)
}

/// Adds a key to the file, makes it the current one and gives its id. What older keys signed and hashed goes on working.
pub async fn add(pool: &PgPool, path: &Path, random: &dyn SecureRandom) -> Result<String, KeyError> {
    open(pool, path, random).await?;
    let mut tx = pool.begin().await?;
    // Two at once would each write the file without the other's key.
    sqlx::query!("SELECT only_row FROM installation FOR UPDATE").fetch_one(&mut *tx).await?;
    // In the file before it is in the database: a key that is recorded and nowhere to be found would refuse every start.
    let id = file::add(path, random)?;
    sqlx::query!("INSERT INTO used_keys (key_id) VALUES ($1)", id).execute(&mut *tx).await?;
    sqlx::query!("UPDATE installation SET current_key_id = $1", id).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(id)
}

/// The keys that the database was ever used with, the oldest first.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<UsedKey>> {
    let rows = sqlx::query!(
        r#"SELECT k.key_id, k.first_used, k.key_id IS NOT DISTINCT FROM i.current_key_id AS "current!",
            (SELECT count(*) FROM suppressions s WHERE s.key_id = k.key_id AND s.lifted_at IS NULL) AS "suppressions!"
           FROM used_keys k CROSS JOIN installation i ORDER BY k.first_used, k.key_id"#
    )
    .fetch_all(conn)
    .await?;
    let key = rows.into_iter().map(|row| UsedKey {
        id: row.key_id,
        since: from_db(row.first_used),
        current: row.current,
        suppressions: row.suppressions,
    });
    Ok(key.collect())
}

async fn recorded(conn: &mut PgConnection) -> sqlx::Result<Recorded> {
    let current = sqlx::query_scalar!("SELECT current_key_id FROM installation").fetch_one(&mut *conn).await?;
    let used = sqlx::query_scalar!("SELECT key_id FROM used_keys ORDER BY first_used DESC, key_id").fetch_all(conn).await?;
    Ok(Recorded { current, used })
}
