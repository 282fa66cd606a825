//! The table feeds: the version of each that was brought in, and how it fared.

use super::{Feed, Item};
use crate::base::{
    fetch::Version,
    time::{from_db, to_db},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

/// An article of a feed that could not be stored, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its title or address.
    pub item: String,
    /// The reason, in a sentence.
    pub why: String,
}

/// What is known of a feed that was looked at before.
pub(super) struct Known {
    pub(super) version: Option<Version>,
    pub(super) refused: Vec<Refusal>,
}

/// How a feed fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its address.
    pub url: String,
    /// Its series; none: the one that each article names, else `tips`.
    pub series: Option<String>,
    /// The last try.
    pub tried_at: Option<Timestamp>,
    /// The last try that brought it in or found it unchanged.
    pub succeeded_at: Option<Timestamp>,
    /// How many articles it held.
    pub items: i32,
    /// Those that could not be stored.
    pub refused: Vec<Refusal>,
    /// How many tries in a row failed.
    pub failures: i32,
    /// What the last of them met.
    pub error: Option<String>,
    /// It was looked at on a cron line once, so it stood in the settings.
    #[serde(skip)]
    pub planned: bool,
    /// When it is looked at next, if it stands in the settings.
    pub next_run_at: Option<Timestamp>,
}

pub(super) async fn known(conn: &mut PgConnection, feed: &Feed) -> sqlx::Result<Option<Known>> {
    let (url, series) = key(feed);
    let row = sqlx::query!(
        r#"SELECT version_from, etag, last_modified, refused AS "refused: Json<Vec<Refusal>>" FROM feeds WHERE url = $1 AND series = $2"#,
        url,
        series
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Known {
        version: row.version_from.map(|from| Version { from, etag: row.etag, last_modified: row.last_modified }),
        refused: row.refused.0,
    }))
}

/// Its articles were stored, or named with why not. Without a version it is fetched whole the next time.
pub(super) async fn brought(
    conn: &mut PgConnection,
    feed: &Feed,
    version: &Option<Version>,
    items: &[Item],
    now: Timestamp,
) -> sqlx::Result<()> {
    let (url, series) = key(feed);
    let refused: Vec<Refusal> = items.iter().filter_map(refusal).collect();
    sqlx::query!(
        "INSERT INTO feeds AS f (url, series, version_from, etag, last_modified, tried_at, succeeded_at, items, refused)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)
         ON CONFLICT (url, series) DO UPDATE SET
             version_from = excluded.version_from, etag = excluded.etag, last_modified = excluded.last_modified,
             tried_at = excluded.tried_at, succeeded_at = excluded.succeeded_at, items = excluded.items, refused = excluded.refused,
             failures = 0, error = NULL",
        url,
        series,
        version.as_ref().map(|version| version.from.as_str()),
        version.as_ref().and_then(|version| version.etag.as_deref()),
        version.as_ref().and_then(|version| version.last_modified.as_deref()),
        to_db(now),
        i32::try_from(items.len()).unwrap_or(i32::MAX),
        Json(refused) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It is the version that is known.
pub(super) async fn unchanged(conn: &mut PgConnection, feed: &Feed, now: Timestamp) -> sqlx::Result<()> {
    let (url, series) = key(feed);
    sqlx::query!(
        "UPDATE feeds SET tried_at = $3, succeeded_at = $3, failures = 0, error = NULL WHERE url = $1 AND series = $2",
        url,
        series,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It could not be brought in.
pub(super) async fn failed(conn: &mut PgConnection, feed: &Feed, error: &str, now: Timestamp) -> sqlx::Result<()> {
    let (url, series) = key(feed);
    sqlx::query!(
        "INSERT INTO feeds AS f (url, series, tried_at, failures, error) VALUES ($1, $2, $3, 1, $4)
         ON CONFLICT (url, series) DO UPDATE SET tried_at = excluded.tried_at, failures = f.failures + 1, error = excluded.error",
        url,
        series,
        to_db(now),
        storable(error)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every feed that was ever looked at or stands in the settings, by its address.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Standing>> {
    let rows = sqlx::query!(
        r#"SELECT url, series, tried_at, succeeded_at, items, refused AS "refused: Json<Vec<Refusal>>", failures, error, schedule, next_run_at
         FROM feeds ORDER BY url, series"#
    )
    .fetch_all(conn)
    .await?;
    let standing = rows.into_iter().map(|row| Standing {
        url: row.url,
        series: Some(row.series).filter(|series| !series.is_empty()),
        tried_at: row.tried_at.map(from_db),
        succeeded_at: row.succeeded_at.map(from_db),
        items: row.items,
        refused: row.refused.0,
        failures: row.failures,
        error: row.error,
        planned: row.schedule.is_some(),
        next_run_at: row.next_run_at.map(from_db),
    });
    Ok(standing.collect())
}

/// Forgets a feed: which version of it was brought in, and how it fared. Its articles and tips stay.
pub async fn forget(conn: &mut PgConnection, url: &str, series: Option<&str>) -> sqlx::Result<bool> {
    let forgotten = sqlx::query!("DELETE FROM feeds WHERE url = $1 AND series = $2", url, series.unwrap_or_default()).execute(conn).await?;
    Ok(forgotten.rows_affected() > 0)
}

fn key(feed: &Feed) -> (&str, &str) {
    (feed.url.as_str(), feed.series.as_deref().map(str::trim).unwrap_or_default())
}

fn refusal(item: &Item) -> Option<Refusal> {
    let why = item.refused()?;
    Some(Refusal { item: storable(&item.name), why: storable(&why.to_string()) })
}

// Postgres takes no zero bytes, and a feed's words may hold any.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}
