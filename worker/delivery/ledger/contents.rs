//! What a mail is made of besides its row: the revision of the tip that it carries, its topic, or the words of its broadcast.

use super::super::render::{Source, TipText};
use crate::base::time::civil_from_db;
use sqlx::{PgConnection, types::Json};

/// A topic, as a mail names it.
#[derive(Debug)]
pub struct Topic {
    /// What subscribers call it.
    pub name: String,
    /// The label of its List-Id.
    pub list_label: String,
}

/// A revision of a tip, with the title and the date of the article that it was taken from.
pub async fn tip(conn: &mut PgConnection, revision: i64) -> sqlx::Result<TipText> {
    let row = sqlx::query!(
        r#"SELECT r.subject, r.preheader, r.markdown, r.section_url, r.related AS "related: Json<Vec<Source>>",
            r.sources AS "sources: Json<Vec<Source>>", a.title AS "title?", a.published_on
        FROM tip_revisions r LEFT JOIN article_revisions a ON a.id = r.article_revision_id WHERE r.id = $1"#,
        revision
    )
    .fetch_one(conn)
    .await?;
    Ok(TipText {
        subject: row.subject,
        preheader: row.preheader,
        markdown: row.markdown,
        section_url: row.section_url,
        related: row.related.0,
        references: row.sources.0,
        article_title: row.title.unwrap_or_default(),
        article_date: row.published_on.map(civil_from_db),
    })
}

/// A topic.
pub async fn topic(conn: &mut PgConnection, id: i64) -> sqlx::Result<Topic> {
    sqlx::query_as!(Topic, "SELECT name, list_label FROM topics WHERE id = $1", id).fetch_one(conn).await
}

/// What an edition of a broadcast says, and the program whose waitlist it goes to, if it goes to one.
#[derive(Debug)]
pub struct Broadcast {
    /// Its words, as a tip has them.
    pub text: TipText,
    /// As people read the program, and its slug.
    pub program: Option<(String, String)>,
}

/// The broadcast that an edition is of.
pub async fn broadcast(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Broadcast> {
    let campaign = sqlx::query_scalar!("SELECT campaign_id FROM editions WHERE id = $1", edition_id);
    let campaign_id = campaign.fetch_one(&mut *conn).await?;
    broadcast_of(conn, campaign_id).await
}

/// What a campaign says that goes out once.
pub async fn broadcast_of(conn: &mut PgConnection, campaign_id: i64) -> sqlx::Result<Broadcast> {
    let row = sqlx::query!(
        r#"SELECT b.subject, b.preheader, b.markdown, p.name AS "name?", p.slug AS "slug?"
        FROM campaigns c JOIN broadcasts b ON b.campaign_id = c.id LEFT JOIN programs p ON p.id = c.program_id
        WHERE c.id = $1"#,
        campaign_id
    )
    .fetch_one(conn)
    .await?;
    let text = TipText { subject: row.subject, preheader: row.preheader, markdown: row.markdown, ..TipText::default() };
    Ok(Broadcast { text, program: row.name.zip(row.slug) })
}

/// How the subscriber is called as whom a test mail is made, if she gave a name and is still there.
pub async fn name(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Option<String>> {
    let name = sqlx::query_scalar!("SELECT name FROM subscribers WHERE id = $1 AND erased_at IS NULL", subscriber_id);
    Ok(name.fetch_optional(conn).await?.flatten())
}
