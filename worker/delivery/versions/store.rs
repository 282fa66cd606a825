//! The versions of templates in the database, and which edition began with which.
//!
//! Written when the planning of an edition begins, read once for each edition by a pump, pruned when no edition refers to them.

use crate::{base::time::to_db, delivery::render::Files};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection, types::Json};
use std::collections::BTreeMap;

/// A version that nothing refers to is kept so long: an edition may be about to.
const UNUSED: SignedDuration = SignedDuration::from_hours(24);

/// The version that an edition began with.
pub async fn of_edition(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT template_version FROM editions WHERE id = $1", edition_id).fetch_one(conn).await
}

/// Lets an edition begin with `files`, unless it has begun; gives the version that it has.
pub async fn begin(conn: &mut PgConnection, edition_id: i64, files: &Files, now: Timestamp) -> sqlx::Result<String> {
    let mut tx = conn.begin().await?;
    keep(&mut tx, files, now).await?;
    sqlx::query!("UPDATE editions SET template_version = $2 WHERE id = $1 AND template_version IS NULL", edition_id, files.version())
        .execute(&mut *tx)
        .await?;
    let version = of_edition(&mut tx, edition_id).await?;
    tx.commit().await?;
    version.ok_or(sqlx::Error::RowNotFound)
}

/// The texts of a version, by their parts.
pub async fn texts(conn: &mut PgConnection, version: &str) -> sqlx::Result<BTreeMap<String, String>> {
    let files =
        sqlx::query_scalar!(r#"SELECT files AS "files: Json<BTreeMap<String, String>>" FROM template_versions WHERE hash = $1"#, version);
    Ok(files.fetch_one(conn).await?.0)
}

/// Forgets which version the editions had of which no delivery is kept, and the versions that no edition has; gives how many of these.
pub async fn prune(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE editions SET template_version = NULL
         WHERE template_version IS NOT NULL AND state IN ('finished', 'skipped', 'cancelled')
            AND to_regclass('deliveries_' || to_char(period, 'YYYYMM')) IS NULL"
    )
    .execute(&mut *conn)
    .await?;
    let pruned = sqlx::query!(
        "DELETE FROM template_versions v WHERE first_seen < $1 AND NOT EXISTS (SELECT FROM editions e WHERE e.template_version = v.hash)",
        to_db(now - UNUSED)
    );
    Ok(pruned.execute(conn).await?.rows_affected())
}

// Its row is held until the edition refers to it. The texts are sent only where they are not there yet.
async fn keep(conn: &mut PgConnection, files: &Files, now: Timestamp) -> sqlx::Result<()> {
    let kept = sqlx::query_scalar!("SELECT hash FROM template_versions WHERE hash = $1 FOR KEY SHARE", files.version());
    if kept.fetch_optional(&mut *conn).await?.is_some() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO template_versions (hash, files, first_seen) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        files.version(),
        Json(files.texts()) as _,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}
