//! Storing an imported article: its source, its segments and a draft (or approved) tip of each.
//!
//! Owns what an import may come to. An article is known again by its address within the series, then by its slug; then `reimport` keeps
//! what was there. The row of the series is locked all the while: two imports of one article make one set of tips, and no edition is
//! planned in between.

use super::super::compose::Article;
use super::append::{Home, append};
use super::reimport;
use super::report::Report;
use crate::base::time::{civil_to_db, to_db};
use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;

/// The series is held while they are compared with those of last time.
const MOST_TIPS: usize = 2_000;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum Imported {
    /// The article is new: so many tips were added at the end of the series.
    Stored { tips: usize },
    /// It was imported before and gives the same segments: no tip was changed. So many of its tips are drafts.
    Unchanged { drafts: usize },
    /// It was imported before and has changed.
    Revised(Report),
}

/// Why an article was not stored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum ImportError {
    /// Another article bears its slug.
    #[error(
        "the series `{series}` has another article called `{slug}`: no section of it is in this one. Nothing was stored. \
         If this is another article, give it a `slug` of its own in its front matter; if it is the same one, moved or rewritten, \
         import it with the `url` that it was imported with"
    )]
    OtherArticle { series: String, slug: String },
    /// The name of a new series, of which another one is written nearly so.
    #[error("the name `{name}` is too like that of the series `{other}`: use that one, or give this one another name")]
    SeriesName { name: String, other: String },
    /// More tips than one article has.
    #[error(
        "the article gives {tips} tips, and at most {MOST_TIPS} of one article are stored, one a week for forty years: it may be many articles in \
         one file; cut it up, and import each by itself"
    )]
    TooLong { tips: usize },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Stores an article with its tips in a series, which is made when it is new. The caller's transaction makes it all or nothing.
///
/// With `approve` what is new or changed is approved at once, but for what overlaps another tip, was edited, or was a draft.
pub async fn import(
    conn: &mut PgConnection,
    series: &str,
    article: &Article,
    source: &[u8],
    approve: bool,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    check_length(article)?;
    let series_id = super::series(conn, series, now).await?;
    if let Some(known) = known(conn, series_id, article).await? {
        reimport::hold(conn, &known).await?;
        let looked = reimport::look(conn, &known, article, approve).await?;
        looked.check(&known, series, article)?;
        return Ok(reimport::write(conn, &known, article, source, looked, now).await?);
    }
    let article_id = insert_article(conn, series_id, article, now).await?;
    let revision_id = insert_revision(conn, article_id, article, source, now).await?;
    let all: Vec<usize> = (0..article.tips.len()).collect();
    append(conn, &Home { series_id, article_id, revision_id, now }, article, &all, |_| approve).await?;
    touch(conn, series_id, now).await?;
    Ok(Imported::Stored { tips: article.tips.len() })
}

/// What [`import`] would do now; changes nothing.
pub async fn preview(conn: &mut PgConnection, series: &str, article: &Article, approve: bool) -> Result<Imported, ImportError> {
    check_length(article)?;
    let known = match super::find_series(conn, series).await? {
        Some(series_id) => known(conn, series_id, article).await?,
        None => match super::clash(conn, series).await? {
            Some(clash) => return Err(clash),
            None => None,
        },
    };
    let Some(known) = known else { return Ok(Imported::Stored { tips: article.tips.len() }) };
    let looked = reimport::look(conn, &known, article, approve).await?;
    looked.check(&known, series, article)?;
    Ok(looked.outcome(article))
}

fn check_length(article: &Article) -> Result<(), ImportError> {
    match article.tips.len() {
        0..=MOST_TIPS => Ok(()),
        tips => Err(ImportError::TooLong { tips }),
    }
}

/// An article that was imported before.
pub(super) struct KnownArticle {
    pub(super) id: i64,
    pub(super) series_id: i64,
    pub(super) url: Option<String>,
    /// Its address is the one given, not only its slug.
    pub(super) by_url: bool,
}

async fn known(conn: &mut PgConnection, series_id: i64, article: &Article) -> sqlx::Result<Option<KnownArticle>> {
    sqlx::query_as!(
        KnownArticle,
        r#"SELECT id, series_id, url, coalesce(url = $3, false) AS "by_url!" FROM articles
         WHERE series_id = $1 AND (slug = $2 OR url = $3) ORDER BY 4 DESC LIMIT 1"#,
        series_id,
        article.slug,
        article.url
    )
    .fetch_optional(conn)
    .await
}

async fn insert_article(conn: &mut PgConnection, series_id: i64, article: &Article, now: Timestamp) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "INSERT INTO articles (series_id, slug, url, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
        series_id,
        article.slug,
        article.url,
        to_db(now)
    )
    .fetch_one(conn)
    .await
}

/// Adds a revision of an article, and makes it the one that was imported last.
pub(super) async fn insert_revision(
    conn: &mut PgConnection,
    article_id: i64,
    article: &Article,
    source: &[u8],
    now: Timestamp,
) -> sqlx::Result<i64> {
    let revision_id = sqlx::query_scalar!(
        "INSERT INTO article_revisions (article_id, number, title, author, published_on, format, source, fingerprint, sources, left_out, imported_at)
         VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM article_revisions WHERE article_id = $1), $2, $3, $4, $5, $6, encode(sha256($6), 'hex'), $7, $8, $9)
         RETURNING id",
        article_id,
        article.title,
        article.author,
        article.date.map(civil_to_db),
        article.format,
        source,
        json!(article.references),
        json!(article.left_out),
        to_db(now)
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!("UPDATE articles SET revision_id = $2, url = coalesce($3, url) WHERE id = $1", article_id, revision_id, article.url)
        .execute(conn)
        .await?;
    Ok(revision_id)
}

/// Tells planners that look at the series meanwhile that its tips are others now.
pub(super) async fn touch(conn: &mut PgConnection, series_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("UPDATE series SET imported_at = $2 WHERE id = $1", series_id, to_db(now)).execute(conn).await?;
    Ok(())
}
