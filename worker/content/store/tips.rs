//! Tips as an operator sees and changes them.
//!
//! Owns the rule that a text is never overwritten: an edit adds a revision and moves the tip to it, so that a mail keeps
//! pointing at the words that it carried. An edited tip keeps its identity, its place and its state.

use super::super::compose::Related;
use super::super::document::StageWindow;
use super::record;
use crate::base::time::{civil_from_db, from_db, to_db};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};

/// The longest subject, as the schema has it.
const LONGEST_SUBJECT: usize = 78;

/// A tip in a list.
#[derive(Debug, Clone, Serialize)]
pub struct TipRow {
    /// Its id.
    pub id: i64,
    /// The series that it belongs to.
    pub series: String,
    /// Its place in the series, from 1.
    pub position: i32,
    /// draft, approved or retired.
    pub state: String,
    /// What it is called in an inbox.
    pub subject: String,
    /// The stage window, as FROM..TO.
    pub weeks: Option<String>,
    /// The title of its article.
    pub article: String,
    /// Why it is a draft again, which tips it overlaps, and whether its article has it no longer.
    pub note: Option<String>,
}

/// A tip with its text and where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct TipText {
    /// What the list shows of it.
    #[serde(flatten)]
    pub row: TipRow,
    /// The number of the revision shown: the one that is sent now, unless another one was asked for.
    pub revision: i32,
    /// Of a tip that an import made a draft again: the number of the revision that was approved before.
    pub approved_revision: Option<i32>,
    /// Why that revision was made: import or edit.
    pub because: String,
    /// When it was made.
    pub revised_at: Timestamp,
    /// The line that an inbox shows after the subject.
    pub preheader: String,
    /// Its body.
    pub markdown: String,
    /// Where it stands in the article.
    pub section_url: Option<String>,
    /// Related reading.
    pub related: Vec<Related>,
    /// The references that it cites.
    pub references: Vec<String>,
    /// The headings above its section and its own.
    pub heading_path: Vec<String>,
    /// The date of the article.
    pub article_date: Option<Date>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The fingerprint of its segment.
    pub fingerprint: String,
}

/// What an edit changes; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// A new subject.
    pub subject: Option<String>,
    /// A new preheader.
    pub preheader: Option<String>,
    /// A new body.
    pub markdown: Option<String>,
    /// A new stage window, or none.
    pub weeks: Option<Option<StageWindow>>,
    /// The revision that was edited, which has to be the current one still; none: whichever it is.
    pub revision: Option<i32>,
}

/// Where a tip is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Just before this tip.
    Before(i64),
    /// Just after this tip.
    After(i64),
    /// To this place of its series, from 1.
    At(usize),
}

/// Why a tip could not be changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum TipError {
    /// No such tip.
    #[error("there is no tip {0}: `tidings tip list` shows the ids")]
    Unknown(i64),
    /// No such series.
    #[error("there is no series `{0}`: importing an article with --series makes one")]
    UnknownSeries(String),
    /// No such revision.
    #[error("tip {id} has no revision {number}: `tidings tip show {id}` says which is its latest, and they count from 1")]
    UnknownRevision { id: i64, number: i32 },
    /// A tip whose words stand in another one.
    #[error(
        "tip {id} was not approved: its section went into another one, and tip {into} has its words now. Retire it with `tidings tip retire {id}`, \
         or say `tidings tip new {id}` first if it is to be sent besides"
    )]
    Merged { id: i64, into: i64 },
    /// A tip that overlaps none.
    #[error(
        "tip {0} overlaps no other tip and went into none, so it goes to everyone who was not given it, as it is; nothing was changed. \
         `tidings tip list` says which tips overlap others"
    )]
    NoOverlap(i64),
    /// A tip that has other words by now than those that were edited.
    #[error(
        "tip {id} was not changed: it has a new revision, {current}, since you began with revision {edited}. `tidings tip show {id}` shows it; \
         edit it again"
    )]
    Revised { id: i64, edited: i32, current: i32 },
    /// A tip of another series.
    #[error("tip {other} is not in the series of tip {id}: a tip moves within its own series")]
    OtherSeries { id: i64, other: i64 },
    /// A subject that no mail can carry.
    #[error("a subject has 1 to {LONGEST_SUBJECT} characters on one line; this one has {0}")]
    Subject(usize),
    /// A tip without text.
    #[error("the body is empty: a tip needs some text; to take it out of the series use `tidings tip retire`")]
    EmptyBody,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The tips of a series, or of all, in the order in which they are sent.
pub async fn list(conn: &mut PgConnection, series: Option<&str>) -> Result<Vec<TipRow>, TipError> {
    let series = known_series(conn, series).await?;
    let rows = sqlx::query!(
        r#"SELECT t.id, e.name AS series, t.position, t.state, r.subject, t.stage_from, t.stage_to, a.title AS article, t.note,
            s.vanished_at IS NOT NULL AS "vanished!", ARRAY(
                SELECT x.id FROM segment_overlaps o JOIN tips x ON x.segment_id = o.of_segment_id WHERE o.segment_id = s.id ORDER BY x.id) AS "overlaps!"
         FROM tips t JOIN series e ON e.id = t.series_id JOIN tip_revisions r ON r.id = t.revision_id
         JOIN segments s ON s.id = t.segment_id JOIN article_revisions a ON a.id = s.article_revision_id
         WHERE $1::bigint IS NULL OR t.series_id = $1 ORDER BY e.name, t.position"#,
        series
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| TipRow {
            id: row.id,
            series: row.series,
            position: row.position,
            state: row.state,
            subject: row.subject,
            weeks: weeks(row.stage_from, row.stage_to),
            article: row.article,
            note: note(row.note, &row.overlaps, row.vanished),
        })
        .collect())
}

pub(super) async fn known_series(conn: &mut PgConnection, name: Option<&str>) -> Result<Option<i64>, TipError> {
    let Some(name) = name else { return Ok(None) };
    super::find_series(conn, name).await?.map(Some).ok_or_else(|| TipError::UnknownSeries(name.to_owned()))
}

/// All that there is to say about a tip besides its state.
fn note(stored: Option<String>, overlaps: &[i64], vanished: bool) -> Option<String> {
    let ids = overlaps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let overlaps = (!ids.is_empty()).then(|| format!("overlaps tip{} {ids}", if overlaps.len() == 1 { "" } else { "s" }));
    let told = [stored, overlaps, vanished.then(|| "no longer in the article".to_owned())];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn weeks(from: Option<i32>, to: Option<i32>) -> Option<String> {
    Some(StageWindow { from: from?, to: to? }.to_string())
}

/// A tip with its text.
pub async fn show(conn: &mut PgConnection, id: i64) -> Result<TipText, TipError> {
    read(conn, id, None).await?.ok_or(TipError::Unknown(id))
}

/// A tip with the text of one of its revisions.
pub async fn show_revision(conn: &mut PgConnection, id: i64, number: i32) -> Result<TipText, TipError> {
    match read(conn, id, Some(number)).await? {
        Some(text) => Ok(text),
        None => show(conn, id).await.and(Err(TipError::UnknownRevision { id, number })),
    }
}

async fn read(conn: &mut PgConnection, id: i64, number: Option<i32>) -> sqlx::Result<Option<TipText>> {
    let row = sqlx::query!(
        r#"SELECT t.id, e.name AS series, t.position, t.state, t.stage_from, t.stage_to, t.note, t.tags, r.subject, r.preheader, r.markdown, r.section_url,
            r.related AS "related: Json<Vec<Related>>", r.sources AS "sources: Json<Vec<String>>", r.number, r.because, r.created_at,
            s.heading_path, s.fingerprint, a.title AS article, a.published_on, s.vanished_at IS NOT NULL AS "vanished!",
            (SELECT o.number FROM tip_revisions o WHERE o.id = t.approved_revision_id) AS approved_revision,
            ARRAY(SELECT x.id FROM segment_overlaps o JOIN tips x ON x.segment_id = o.of_segment_id WHERE o.segment_id = s.id ORDER BY x.id) AS "overlaps!"
         FROM tips t JOIN series e ON e.id = t.series_id
         JOIN tip_revisions r ON r.tip_id = t.id AND CASE WHEN $2::integer IS NULL THEN r.id = t.revision_id ELSE r.number = $2 END
         JOIN segments s ON s.id = t.segment_id JOIN article_revisions a ON a.id = s.article_revision_id WHERE t.id = $1"#,
        id,
        number
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(TipText {
        row: TipRow {
            id,
            series: row.series,
            position: row.position,
            state: row.state,
            subject: row.subject,
            weeks: weeks(row.stage_from, row.stage_to),
            article: row.article,
            note: note(row.note, &row.overlaps, row.vanished),
        },
        revision: row.number,
        approved_revision: row.approved_revision,
        because: row.because,
        revised_at: from_db(row.created_at),
        preheader: row.preheader,
        markdown: row.markdown,
        section_url: row.section_url,
        related: row.related.0,
        references: row.sources.0,
        heading_path: row.heading_path,
        article_date: row.published_on.map(civil_from_db),
        tags: row.tags,
        fingerprint: row.fingerprint,
    }))
}

/// The ids of the drafts of a series, or of all, but for those whose words stand in another tip.
pub async fn drafts(conn: &mut PgConnection, series: Option<&str>) -> Result<Vec<i64>, TipError> {
    let series = known_series(conn, series).await?;
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM tips t JOIN segments s ON s.id = t.segment_id
        WHERE t.state = 'draft' AND s.merged_into IS NULL AND ($1::bigint IS NULL OR t.series_id = $1) ORDER BY t.series_id, t.position",
        series
    );
    Ok(ids.fetch_all(conn).await?)
}

/// Approves tips, so that they are sent from now on; gives the ids of those that were not approved before.
pub async fn approve(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> Result<Vec<i64>, TipError> {
    // An import that is at it may be about to merge one of them.
    lock(conn, ids).await?;
    let merged = sqlx::query!(
        "SELECT t.id, home.id AS into FROM tips t JOIN segments s ON s.id = t.segment_id JOIN tips home ON home.segment_id = s.merged_into
        WHERE t.id = ANY($1) ORDER BY t.id LIMIT 1",
        ids
    );
    if let Some(row) = merged.fetch_optional(&mut *conn).await? {
        return Err(TipError::Merged { id: row.id, into: row.into });
    }
    set_state(conn, ids, "approved", "approve", now).await
}

/// Retires tips: they are sent to nobody from now on, and keep their place and history.
pub async fn retire(conn: &mut PgConnection, ids: &[i64], now: Timestamp) -> Result<Vec<i64>, TipError> {
    set_state(conn, ids, "retired", "retire", now).await
}

/// Holds tips, all of which have to be there.
pub(super) async fn lock(conn: &mut PgConnection, ids: &[i64]) -> Result<(), TipError> {
    let known = sqlx::query_scalar!("SELECT id FROM tips WHERE id = ANY($1) ORDER BY id FOR UPDATE", ids).fetch_all(conn).await?;
    match ids.iter().find(|id| known.binary_search(id).is_err()) {
        Some(unknown) => Err(TipError::Unknown(*unknown)),
        None => Ok(()),
    }
}

async fn set_state(conn: &mut PgConnection, ids: &[i64], state: &str, act: &str, now: Timestamp) -> Result<Vec<i64>, TipError> {
    lock(conn, ids).await?;
    let changed = sqlx::query_scalar!(
        "UPDATE tips SET state = $2, note = NULL, approved_revision_id = NULL WHERE id = ANY($1) AND state <> $2 RETURNING id",
        ids,
        state
    )
    .fetch_all(&mut *conn)
    .await?;
    record(conn, act, &changed, state, now).await?;
    Ok(changed)
}

/// Edits a tip. New words make a new revision; gives its number, or nothing when the text stays as it is.
pub async fn edit(conn: &mut PgConnection, id: i64, edit: &Edit, now: Timestamp) -> Result<Option<i32>, TipError> {
    check(edit)?;
    lock(conn, &[id]).await?;
    if let Some(edited) = edit.revision {
        let current = sqlx::query_scalar!("SELECT r.number FROM tips t JOIN tip_revisions r ON r.id = t.revision_id WHERE t.id = $1", id);
        let current = current.fetch_one(&mut *conn).await?;
        if current != edited {
            return Err(TipError::Revised { id, edited, current });
        }
    }
    if let Some(weeks) = edit.weeks {
        let (from, to) = (weeks.map(|weeks| weeks.from), weeks.map(|weeks| weeks.to));
        sqlx::query!("UPDATE tips SET stage_from = $2, stage_to = $3 WHERE id = $1", id, from, to).execute(&mut *conn).await?;
        record(conn, "edit", &[id], &format!("weeks {}", weeks.map_or("none".to_owned(), |weeks| weeks.to_string())), now).await?;
    }
    let number = sqlx::query_scalar!(
        "INSERT INTO tip_revisions (tip_id, number, subject, preheader, markdown, section_url, related, sources, article_revision_id, because, created_at)
         SELECT r.tip_id, (SELECT max(number) FROM tip_revisions WHERE tip_id = $1) + 1, coalesce($2, r.subject), coalesce($3, r.preheader), coalesce($4, r.markdown),
            r.section_url, r.related, r.sources, r.article_revision_id, 'edit', $5
         FROM tip_revisions r JOIN tips t ON t.revision_id = r.id
         WHERE t.id = $1 AND (coalesce($2, r.subject), coalesce($3, r.preheader), coalesce($4, r.markdown)) IS DISTINCT FROM (r.subject, r.preheader, r.markdown)
         RETURNING number",
        id,
        edit.subject.as_deref().map(str::trim),
        edit.preheader.as_deref().map(str::trim),
        edit.markdown.as_deref().map(str::trim_end),
        to_db(now)
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(number) = number {
        sqlx::query!(
            "UPDATE tips SET revision_id = r.id, note = NULL FROM tip_revisions r WHERE tips.id = $1 AND r.tip_id = $1 AND r.number = $2",
            id,
            number
        )
        .execute(&mut *conn)
        .await?;
        record(conn, "edit", &[id], &format!("revision {number}"), now).await?;
    }
    Ok(number)
}

fn check(edit: &Edit) -> Result<(), TipError> {
    if let Some(subject) = edit.subject.as_deref().map(str::trim) {
        let length = subject.chars().count();
        if !(1..=LONGEST_SUBJECT).contains(&length) || subject.chars().any(char::is_control) {
            return Err(TipError::Subject(length));
        }
    }
    match &edit.markdown {
        Some(markdown) if markdown.trim().is_empty() => Err(TipError::EmptyBody),
        _ => Ok(()),
    }
}

/// Moves a tip to another place of its series; gives its new position.
pub async fn move_to(conn: &mut PgConnection, id: i64, place: Place, now: Timestamp) -> Result<usize, TipError> {
    let series = sqlx::query_scalar!("SELECT series_id FROM tips WHERE id = $1", id)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(TipError::Unknown(id))?;
    sqlx::query_scalar!("SELECT id FROM series WHERE id = $1 FOR UPDATE", series).fetch_one(&mut *conn).await?;
    let mut order = sqlx::query_scalar!("SELECT id FROM tips WHERE series_id = $1 ORDER BY position", series).fetch_all(&mut *conn).await?;
    order.retain(|other| *other != id);
    let of = |other: i64| order.iter().position(|tip| *tip == other);
    let at = match place {
        Place::At(position) => position.saturating_sub(1).min(order.len()),
        Place::Before(other) | Place::After(other) if other == id => return Ok(place_of(conn, id).await?),
        Place::Before(other) => of(other).ok_or(TipError::OtherSeries { id, other })?,
        Place::After(other) => of(other).ok_or(TipError::OtherSeries { id, other })? + 1,
    };
    order.insert(at, id);
    sqlx::query!(
        "UPDATE tips t SET position = o.place FROM unnest($1::bigint[]) WITH ORDINALITY AS o (id, place) WHERE t.id = o.id AND t.position <> o.place",
        &order
    )
    .execute(&mut *conn)
    .await?;
    record(conn, "move", &[id], &format!("to {}", at + 1), now).await?;
    Ok(at + 1)
}

async fn place_of(conn: &mut PgConnection, id: i64) -> sqlx::Result<usize> {
    let position = sqlx::query_scalar!("SELECT position FROM tips WHERE id = $1", id).fetch_one(conn).await?;
    Ok(usize::try_from(position).unwrap_or(1))
}
