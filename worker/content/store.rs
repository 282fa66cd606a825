//! Articles, segments and tips in Postgres.
//!
//! Owns the tables series, articles, article_revisions, segments, segment_overlaps, segments_inherited, tips and tip_revisions (and makes a
//! series' topic with it). Free functions over the caller's transaction. Called by `cli` and `demo`; campaigns read the tables.

mod append;
mod import;
mod overlaps;
mod reimport;
mod report;
mod tips;

pub use import::{ImportError, Imported, import, preview};
pub use overlaps::{Merged, declare_new, merged_drafts};
pub use report::{Counts, Kind, Line, Report};
pub use tips::{Edit, Place, TipError, TipRow, TipText, approve, drafts, edit, list, move_to, retire, show, show_revision};

use crate::base::time::to_db;
use jiff::Timestamp;
use sqlx::PgConnection;

/// The id of a series, or nothing when there is none of this name.
pub async fn find_series(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM series WHERE lower(name) = lower($1) ORDER BY name = $1 DESC LIMIT 1", name)
        .fetch_optional(conn)
        .await
}

/// The id of a series, locked against others who would add to it; it is made, with its topic, when it is new.
pub async fn series(conn: &mut PgConnection, name: &str, now: Timestamp) -> Result<i64, ImportError> {
    if find_series(conn, name).await?.is_none() {
        let topic = topic(conn, name, now).await?;
        sqlx::query!("INSERT INTO series (name, topic_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", name, topic, to_db(now))
            .execute(&mut *conn)
            .await?;
    }
    let held = sqlx::query_scalar!("SELECT id FROM series WHERE lower(name) = lower($1) ORDER BY name = $1 DESC LIMIT 1 FOR UPDATE", name);
    match held.fetch_optional(&mut *conn).await? {
        Some(id) => Ok(id),
        None => Err(clash(conn, name).await?.unwrap_or_else(|| sqlx::Error::RowNotFound.into())),
    }
}

/// Why a new series cannot bear a name: its topic would be that of another series.
async fn clash(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<ImportError>> {
    let other = sqlx::query_scalar!("SELECT s.name FROM series s JOIN topics t ON t.id = s.topic_id WHERE t.slug = $1", topic_slug(name))
        .fetch_optional(conn)
        .await?;
    Ok(other.map(|other| ImportError::SeriesName { name: name.to_owned(), other }))
}

fn topic_slug(name: &str) -> String {
    let slug = super::compose::hyphenated(name);
    if slug.is_empty() { name.to_owned() } else { slug }
}

/// The topic that bears the series' name.
async fn topic(conn: &mut PgConnection, name: &str, now: Timestamp) -> sqlx::Result<i64> {
    let slug = topic_slug(name);
    sqlx::query!("INSERT INTO topics (slug, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", slug, name, to_db(now))
        .execute(&mut *conn)
        .await?;
    sqlx::query_scalar!("SELECT id FROM topics WHERE slug = $1", slug).fetch_one(conn).await
}

/// Writes down what an operator did to tips.
async fn record(conn: &mut PgConnection, act: &str, ids: &[i64], detail: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO operator_acts (at, act, subject, subject_id, detail) SELECT $1, $2, 'tip', id, $4 FROM unnest($3::bigint[]) AS id",
        to_db(now),
        act,
        ids,
        detail
    )
    .execute(conn)
    .await?;
    Ok(())
}
