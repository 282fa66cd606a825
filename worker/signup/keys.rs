//! Operators' keys for the API. A secret is shown once, when it is made; the database has its hash alone.
//!
//! A secret is 256 random bits, so that a plain SHA-256 hides it and the look-up by hash gives nothing away by its time. The command
//! line makes, lists and revokes keys; the API finds them.

use crate::{
    audience::store::insert_operator_act,
    base::{
        database::violated,
        time::{from_db, to_db},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{digest, rand::SecureRandom};
use serde::Serialize;
use sqlx::{Acquire, PgConnection};

/// Every secret begins with it, so that a person and a scanner of sources know what they found.
const PREFIX: &str = "tidings_";

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Hand in sign-ups.
    Subscribe,
}

impl Scope {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
        }
    }
}

/// A key as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct ApiKey {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scope: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is of no use.
    pub revoked_at: Option<Timestamp>,
}

/// Why a key could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name cannot be used.
    #[error("`{0}` cannot name a key: expected 1 to 100 characters without line breaks, not beginning with `-`")]
    Name(String),
    /// The name is in use.
    #[error("there is a key `{0}` already: choose another name; that of a revoked key is not used again either")]
    NameTaken(String),
    /// No key bears the name.
    #[error("there is no key `{0}`: `tidings key list` shows those that there are")]
    Unknown(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: no key was made")]
    Random,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a presented secret is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The key of this id, which may do it.
    Key(i64),
    /// A key, but not for this.
    WrongScope,
    /// No key, or a revoked one.
    Nothing,
}

/// Makes a key and gives its secret, which cannot be had again.
pub async fn create(
    conn: &mut PgConnection,
    name: &str,
    scope: Scope,
    random: &dyn SecureRandom,
    now: Timestamp,
) -> Result<String, KeyError> {
    let plain = name.trim() == name && !name.starts_with('-') && !name.chars().any(char::is_control);
    if !plain || !(1..=100).contains(&name.chars().count()) {
        return Err(KeyError::Name(name.to_owned()));
    }
    let mut bytes = [0u8; 32];
    random.fill(&mut bytes).map_err(|_| KeyError::Random)?;
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&secret);
    let mut tx = conn.begin().await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO api_keys (name, scope, secret_hash, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
        name,
        scope.as_str(),
        hash.as_ref(),
        to_db(now)
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(|error| match violated(&error) {
        Some("api_keys_name_key") => KeyError::NameTaken(name.to_owned()),
        _ => error.into(),
    })?;
    insert_operator_act(&mut tx, "key created", "key", Some(id), &format!("{name}: {}", scope.as_str()), now).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Looks a presented secret up, for something that needs `scope`.
pub async fn look_up(conn: &mut PgConnection, secret: &str, scope: Scope, now: Timestamp) -> sqlx::Result<Found> {
    let hash = hash(secret);
    let row = sqlx::query!("SELECT id, scope, last_used_at FROM api_keys WHERE secret_hash = $1 AND revoked_at IS NULL", hash.as_ref());
    let Some(key) = row.fetch_optional(&mut *conn).await? else { return Ok(Found::Nothing) };
    if key.scope != scope.as_str() {
        return Ok(Found::WrongScope);
    }
    // To the hour, so that a busy key does not write a row with each request.
    let stale = key.last_used_at.is_none_or(|at| from_db(at) <= now - jiff::SignedDuration::from_hours(1));
    if stale {
        sqlx::query!("UPDATE api_keys SET last_used_at = $2 WHERE id = $1", key.id, to_db(now)).execute(conn).await?;
    }
    Ok(Found::Key(key.id))
}

/// The id of the key with this secret, if it may do what needs `scope`.
pub async fn find(conn: &mut PgConnection, secret: &str, scope: Scope, now: Timestamp) -> sqlx::Result<Option<i64>> {
    Ok(match look_up(conn, secret, scope, now).await? {
        Found::Key(id) => Some(id),
        Found::WrongScope | Found::Nothing => None,
    })
}

/// All keys, the oldest first.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<ApiKey>> {
    let rows = sqlx::query!("SELECT name, scope, created_at, last_used_at, revoked_at FROM api_keys ORDER BY id").fetch_all(conn).await?;
    let key = rows.into_iter().map(|row| ApiKey {
        name: row.name,
        scope: row.scope,
        created_at: from_db(row.created_at),
        last_used_at: row.last_used_at.map(from_db),
        revoked_at: row.revoked_at.map(from_db),
    });
    Ok(key.collect())
}

/// Makes a key useless from now on; false when it was already.
pub async fn revoke(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<bool, KeyError> {
    let mut tx = conn.begin().await?;
    let key = sqlx::query!("SELECT id, revoked_at FROM api_keys WHERE name = $1 FOR UPDATE", name).fetch_optional(&mut *tx).await?;
    let Some(key) = key else { return Err(KeyError::Unknown(name.to_owned())) };
    if key.revoked_at.is_some() {
        return Ok(false);
    }
    sqlx::query!("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", key.id, to_db(now)).execute(&mut *tx).await?;
    insert_operator_act(&mut tx, "key revoked", "key", Some(key.id), name, now).await?;
    tx.commit().await?;
    Ok(true)
}

fn hash(secret: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, secret.as_bytes())
}
