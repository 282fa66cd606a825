//! Storing an imported article: its source, its segments and a draft (or approved) tip of each.
//!
//! Owns the rule that importing an article again never makes a segment a second time: an unchanged one stores nothing,
//! a changed one is refused with what differs.

use super::super::compose::Article;
use crate::base::time::{civil_to_db, to_db};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum Imported {
    /// The article is new: so many tips were added at the end of the series.
    Stored { tips: usize },
    /// It was imported before and gives the same segments: nothing was changed. So many of its tips are drafts.
    Unchanged { drafts: usize },
}

/// Why an article was not stored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum ImportError {
    /// The article is there with other segments.
    #[error(
        "the series `{series}` has article `{slug}` already, and it has changed since: {differences}. Nothing was stored: importing a changed article again comes with a later version. \
         If this is another article, give it a `slug` of its own in its front matter; to change a tip now, use `tidings tip edit`"
    )]
    Changed { series: String, slug: String, differences: String },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Stores an article with its tips in a series, which is made when it is new. The caller's transaction makes it all or nothing.
pub async fn import(
    conn: &mut PgConnection,
    series: &str,
    article: &Article,
    source: &[u8],
    approve: bool,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let series_id = super::series(conn, series, now).await?;
    if let Some(article_id) = existing(conn, series_id, article).await? {
        return compare(conn, series, article_id, article).await;
    }
    let (article_id, revision_id) = insert_article(conn, series_id, article, source, now).await?;
    insert_segments(conn, article_id, revision_id, article, now).await?;
    insert_tips(conn, series_id, article_id, article, approve, now).await?;
    insert_revisions(conn, article_id, revision_id, article, now).await?;
    Ok(Imported::Stored { tips: article.tips.len() })
}

async fn existing(conn: &mut PgConnection, series_id: i64, article: &Article) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "SELECT id FROM articles WHERE series_id = $1 AND (slug = $2 OR url = $3) ORDER BY url IS NOT DISTINCT FROM $3 DESC LIMIT 1",
        series_id,
        article.slug,
        article.url
    )
    .fetch_optional(conn)
    .await
}

/// Unchanged when every segment is there with its fingerprint, in the same order.
async fn compare(conn: &mut PgConnection, series: &str, article_id: i64, article: &Article) -> Result<Imported, ImportError> {
    let stored = sqlx::query!(
        "SELECT s.fingerprint, s.heading_path, t.state = 'draft' AS \"draft!\" FROM segments s JOIN tips t ON t.segment_id = s.id WHERE s.article_id = $1 ORDER BY s.position",
        article_id
    )
    .fetch_all(conn)
    .await?;
    let known = stored.iter().map(|row| (row.fingerprint.as_str(), row.heading_path.as_slice()));
    let found: Vec<(&str, &[String])> = article.tips.iter().map(|tip| (tip.fingerprint.as_str(), tip.heading_path.as_slice())).collect();
    match differences(&known.collect::<Vec<_>>(), &found) {
        None => Ok(Imported::Unchanged { drafts: stored.iter().filter(|row| row.draft).count() }),
        Some(differences) => Err(ImportError::Changed { series: series.to_owned(), slug: article.slug.clone(), differences }),
    }
}

/// Which segments differ, in words; nothing when the fingerprints are the same in the same order.
fn differences(known: &[(&str, &[String])], found: &[(&str, &[String])]) -> Option<String> {
    if known.iter().map(|(print, _)| print).eq(found.iter().map(|(print, _)| print)) {
        return None;
    }
    let name = |path: &[String]| format!("“{}”", path.last().map_or("the whole article", String::as_str));
    let not_in = |some: &[(&str, &[String])], others: &[(&str, &[String])]| -> Vec<Vec<String>> {
        let prints: std::collections::HashSet<&str> = others.iter().map(|(print, _)| *print).collect();
        some.iter().filter(|(print, _)| !prints.contains(print)).map(|(_, path)| path.to_vec()).collect()
    };
    let (fresh, gone) = (not_in(found, known), not_in(known, found));
    let mut told = Vec::new();
    for path in fresh.iter().take(10) {
        told.push(format!("{} is {}", name(path), if gone.contains(path) { "changed" } else { "new" }));
    }
    told.extend(gone.iter().filter(|path| !fresh.contains(path)).take(10).map(|path| format!("{} is gone", name(path))));
    if told.is_empty() {
        told.push("its sections are in another order".to_owned());
    }
    Some(told.join(", "))
}

async fn insert_article(
    conn: &mut PgConnection,
    series_id: i64,
    article: &Article,
    source: &[u8],
    now: Timestamp,
) -> sqlx::Result<(i64, i64)> {
    let article_id = sqlx::query_scalar!(
        "INSERT INTO articles (series_id, slug, url, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
        series_id,
        article.slug,
        article.url,
        to_db(now)
    )
    .fetch_one(&mut *conn)
    .await?;
    let revision_id = sqlx::query_scalar!(
        "INSERT INTO article_revisions (article_id, number, title, author, published_on, format, source, fingerprint, sources, left_out, imported_at)
         VALUES ($1, 1, $2, $3, $4, $5, $6, encode(sha256($6), 'hex'), $7, $8, $9) RETURNING id",
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
    sqlx::query!("UPDATE articles SET revision_id = $2 WHERE id = $1", article_id, revision_id).execute(conn).await?;
    Ok((article_id, revision_id))
}

async fn insert_segments(
    conn: &mut PgConnection,
    article_id: i64,
    revision_id: i64,
    article: &Article,
    now: Timestamp,
) -> sqlx::Result<()> {
    let rows: Vec<Value> = article
        .tips
        .iter()
        .enumerate()
        .map(|(i, tip)| json!({ "position": i + 1, "path": tip.heading_path, "fingerprint": tip.fingerprint }))
        .collect();
    sqlx::query!(
        "INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at)
         SELECT $1, r.position, ARRAY(SELECT jsonb_array_elements_text(r.path)), r.fingerprint, $2, $3
         FROM jsonb_to_recordset($4) AS r (position int, path jsonb, fingerprint text) ORDER BY r.position",
        article_id,
        revision_id,
        to_db(now),
        Value::Array(rows)
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_tips(
    conn: &mut PgConnection,
    series_id: i64,
    article_id: i64,
    article: &Article,
    approve: bool,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO tips (series_id, segment_id, position, state, stage_from, stage_to, tags, created_at)
         SELECT $1, s.id, s.position + (SELECT coalesce(max(position), 0) FROM tips WHERE series_id = $1), $3, $4, $5, $6, $7
         FROM segments s WHERE s.article_id = $2 ORDER BY s.position",
        series_id,
        article_id,
        if approve { "approved" } else { "draft" },
        article.weeks.map(|weeks| weeks.from),
        article.weeks.map(|weeks| weeks.to),
        &article.tags,
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_revisions(
    conn: &mut PgConnection,
    article_id: i64,
    revision_id: i64,
    article: &Article,
    now: Timestamp,
) -> sqlx::Result<()> {
    let rows: Vec<Value> = article
        .tips
        .iter()
        .enumerate()
        .map(|(i, tip)| {
            let related: Vec<Value> = tip.related.iter().map(|related| json!({ "text": related.text, "url": related.url })).collect();
            json!({
                "position": i + 1, "subject": tip.subject, "preheader": tip.preheader, "markdown": tip.markdown,
                "section_url": tip.section_url, "related": related, "sources": tip.references,
            })
        })
        .collect();
    sqlx::query!(
        "INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, section_url, related, sources, article_revision_id, because, created_at)
         SELECT t.id, 1, r.subject, r.preheader, r.markdown, r.section_url, r.related, r.sources, $2, 'import', $3
         FROM jsonb_to_recordset($4) AS r (position int, subject text, preheader text, markdown text, section_url text, related jsonb, sources jsonb)
         JOIN segments s ON s.article_id = $1 AND s.position = r.position
         JOIN tips t ON t.segment_id = s.id ORDER BY r.position",
        article_id,
        revision_id,
        to_db(now),
        Value::Array(rows)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE tips t SET revision_id = r.id FROM tip_revisions r JOIN tips o ON o.id = r.tip_id JOIN segments s ON s.id = o.segment_id
         WHERE t.id = r.tip_id AND s.article_id = $1 AND r.number = 1",
        article_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn what_differs_is_named_by_its_heading() {
        let (heat, ice) = (["Heat".to_owned()], ["Ice".to_owned()]);
        let known: [(&str, &[String]); 2] = [("a", &heat), ("b", &ice)];
        assert_eq!(differences(&known, &known), None);
        assert_eq!(differences(&known, &[("a", &heat), ("c", &ice)]).as_deref(), Some("“Ice” is changed"));
        assert_eq!(differences(&known, &[("a", &heat)]).as_deref(), Some("“Ice” is gone"));
        assert_eq!(differences(&known[..1], &known).as_deref(), Some("“Ice” is new"));
        assert_eq!(differences(&known, &[("b", &ice), ("a", &heat)]).as_deref(), Some("its sections are in another order"));
    }
}
