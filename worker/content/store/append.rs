//! New segments at the end of a series, each with its tip and the tip's first revision.
//!
//! Called by `import` for a new article and by `reimport` for what an article has gained; `revise_tips` writes what it has changed.

use super::super::compose::{Article, Tip};
use crate::base::time::to_db;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Where segments are added, out of which revision, and how.
pub(super) struct Home {
    pub(super) series_id: i64,
    pub(super) article_id: i64,
    pub(super) revision_id: i64,
    pub(super) now: Timestamp,
}

/// A segment that was added, and its tip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    pub(super) segment_id: i64,
    pub(super) tip_id: i64,
}

/// Adds the tips at these places of the article, which stand in order; approved, or drafts.
pub(super) async fn append(
    conn: &mut PgConnection,
    home: &Home,
    article: &Article,
    places: &[usize],
    approved: impl Fn(usize) -> bool,
) -> sqlx::Result<Vec<Added>> {
    let segments = insert_segments(conn, home, article, places).await?;
    let approved: Vec<bool> = places.iter().map(|place| approved(*place)).collect();
    let tips = insert_tips(conn, home, article, &segments, &approved).await?;
    let revised: Vec<(i64, &Tip)> = tips.iter().copied().zip(places.iter().map(|place| &article.tips[*place])).collect();
    revise_tips(conn, home.revision_id, &revised, home.now).await?;
    Ok(segments.into_iter().zip(tips).map(|(segment_id, tip_id)| Added { segment_id, tip_id }).collect())
}

async fn insert_segments(conn: &mut PgConnection, home: &Home, article: &Article, places: &[usize]) -> sqlx::Result<Vec<i64>> {
    let row = |place: &usize| {
        let tip = &article.tips[*place];
        json!({ "position": place + 1, "path": tip.heading_path, "fingerprint": tip.fingerprint })
    };
    let mut ids = sqlx::query_scalar!(
        "INSERT INTO segments (article_id, position, heading_path, fingerprint, article_revision_id, created_at)
         SELECT $1, r.position, ARRAY(SELECT jsonb_array_elements_text(r.path)), r.fingerprint, $2, $3
         FROM jsonb_to_recordset($4) AS r (position int, path jsonb, fingerprint text) ORDER BY r.position RETURNING id",
        home.article_id,
        home.revision_id,
        to_db(home.now),
        places.iter().map(row).collect::<Value>()
    )
    .fetch_all(conn)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

async fn insert_tips(
    conn: &mut PgConnection,
    home: &Home,
    article: &Article,
    segments: &[i64],
    approved: &[bool],
) -> sqlx::Result<Vec<i64>> {
    let mut ids = sqlx::query_scalar!(
        "INSERT INTO tips (series_id, segment_id, position, state, stage_from, stage_to, tags, created_at)
         SELECT $1, s.id, s.n + (SELECT coalesce(max(position), 0) FROM tips WHERE series_id = $1),
            CASE WHEN s.approved THEN 'approved' ELSE 'draft' END, $4, $5, $6, $7
         FROM unnest($2::bigint[], $3::boolean[]) WITH ORDINALITY AS s (id, approved, n) ORDER BY s.n RETURNING id",
        home.series_id,
        segments,
        approved,
        article.weeks.map(|weeks| weeks.from),
        article.weeks.map(|weeks| weeks.to),
        &article.tags,
        to_db(home.now)
    )
    .fetch_all(conn)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

/// Gives each of these tips a new revision with the words of the article.
pub(super) async fn revise_tips(conn: &mut PgConnection, revision_id: i64, revised: &[(i64, &Tip)], now: Timestamp) -> sqlx::Result<()> {
    let row = |(id, tip): &(i64, &Tip)| {
        let related: Vec<Value> = tip.related.iter().map(|related| json!({ "text": related.text, "url": related.url })).collect();
        json!({
            "tip_id": id, "subject": tip.subject, "preheader": tip.preheader, "markdown": tip.markdown,
            "section_url": tip.section_url, "related": related, "sources": tip.references,
        })
    };
    sqlx::query!(
        "WITH added AS (
            INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, section_url, related, sources, article_revision_id, because, created_at)
            SELECT r.tip_id, (SELECT coalesce(max(number), 0) + 1 FROM tip_revisions o WHERE o.tip_id = r.tip_id), r.subject, r.preheader, r.markdown,
                r.section_url, r.related, r.sources, $1, 'import', $2
            FROM jsonb_to_recordset($3) AS r (tip_id bigint, subject text, preheader text, markdown text, section_url text, related jsonb, sources jsonb)
            ORDER BY r.tip_id RETURNING id, tip_id)
         UPDATE tips SET revision_id = added.id FROM added WHERE tips.id = added.tip_id",
        revision_id,
        to_db(now),
        revised.iter().map(row).collect::<Value>()
    )
    .execute(conn)
    .await?;
    Ok(())
}
