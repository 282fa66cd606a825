//! Importing an article again: its segments keep their identity, and what became of each is reported.
//!
//! `look` reads what is there and asks `revise` what became of it; `write` does it. What the words are matched with is the import
//! before, not an operator's edit; the edit stays in the tip's history. Called by `import`, which holds the series.

use super::super::compose::{Article, Tip};
use super::super::revise::{self, Found, Known, Missing, Revision, Text};
use super::append::{Added, Home, append, revise_tips};
use super::import::{ImportError, Imported, KnownArticle, insert_revision, touch};
use super::overlaps::{Overlap, inherit};
use super::report::{Kind, Line, Report};
use crate::base::time::to_db;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// What is stored of an article, and what became of it.
pub(super) struct Looked {
    segments: Vec<Stored>,
    revision: Revision,
    /// A tip for each that the source has changed or added is approved at once, unless there is something to look at.
    approve: bool,
}

/// A segment with its tip.
struct Stored {
    id: i64,
    position: i32,
    heading_path: Vec<String>,
    fingerprint: String,
    vanished: bool,
    merged_into: Option<i64>,
    tip_id: i64,
    state: String,
    edited: bool,
    /// Approved with the words of the source, and with nothing to say about it.
    settled: bool,
    // As it was imported last.
    subject: String,
    preheader: String,
    markdown: String,
}

/// Reads what is stored of an article, and says what became of it.
pub(super) async fn look(conn: &mut PgConnection, known: &KnownArticle, article: &Article, approve: bool) -> sqlx::Result<Looked> {
    let segments = sqlx::query_as!(
        Stored,
        r#"SELECT s.id, s.position, s.heading_path, s.fingerprint, s.vanished_at IS NOT NULL AS "vanished!", s.merged_into,
            t.id AS tip_id, t.state, c.because = 'edit' AS "edited!",
            t.state = 'approved' AND c.because <> 'edit' AND t.note IS NULL AND t.approved_revision_id IS NULL
                AND NOT EXISTS (SELECT FROM segment_overlaps o WHERE o.segment_id = s.id) AS "settled!", i.subject, i.preheader, i.markdown
        FROM segments s JOIN tips t ON t.segment_id = s.id JOIN tip_revisions c ON c.id = t.revision_id
        CROSS JOIN LATERAL (
            SELECT r.subject, r.preheader, r.markdown FROM tip_revisions r WHERE r.tip_id = t.id
            ORDER BY r.because = 'import' DESC, r.number DESC LIMIT 1) i
        WHERE s.article_id = $1 ORDER BY s.position, s.id"#,
        known.id
    )
    .fetch_all(conn)
    .await?;
    let before: Vec<Known<'_>> = segments.iter().map(Stored::known).collect();
    let revision = revise::revise(&before, &article.tips);
    Ok(Looked { segments, revision, approve })
}

/// Holds the tips of an article against edits.
pub(super) async fn hold(conn: &mut PgConnection, known: &KnownArticle) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT t.id FROM tips t JOIN segments s ON s.id = t.segment_id WHERE s.article_id = $1 ORDER BY t.id FOR UPDATE OF t",
        known.id
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

impl Stored {
    fn known(&self) -> Known<'_> {
        Known {
            heading_path: &self.heading_path,
            fingerprint: &self.fingerprint,
            subject: &self.subject,
            markdown: &self.markdown,
            vanished: self.vanished,
            retired: self.state == "retired",
        }
    }

    fn text(&self) -> Text<'_> {
        Text { subject: &self.subject, preheader: &self.preheader, markdown: &self.markdown }
    }

    /// Not where, or not called, or not written as it was.
    fn differs(&self, place: usize, tip: &Tip) -> bool {
        self.vanished || self.position != position(place) || self.heading_path != tip.heading_path || self.fingerprint != tip.fingerprint
    }
}

impl Looked {
    /// A slug is a weaker sign than an address: with other words under it, the article is another one, whatever its headings are.
    pub(super) fn check(&self, known: &KnownArticle, series: &str, article: &Article) -> Result<(), ImportError> {
        let moved = known.url.as_ref().zip(article.url.as_ref()).is_some_and(|(old, new)| old != new);
        let kept = |(found, tip): (&Found, &Tip)| {
            let akin = |k: usize| !moved && revise::akin(&self.segments[k].markdown, &tip.markdown);
            found.inherits.is_some_and(|k| !found.changed || akin(k))
        };
        match known.by_url || self.revision.found.iter().zip(&article.tips).any(kept) {
            true => Ok(()),
            false => Err(ImportError::OtherArticle { series: series.to_owned(), slug: article.slug.clone() }),
        }
    }

    /// What the import comes to.
    pub(super) fn outcome(&self, article: &Article) -> Imported {
        let report = self.report(article);
        match report.is_unchanged() {
            true => Imported::Unchanged { drafts: report.segments.iter().filter(|line| line.state == "draft").count() },
            false => Imported::Revised(report),
        }
    }

    fn report(&self, article: &Article) -> Report {
        let found = self.revision.found.iter().zip(&article.tips).map(|(found, tip)| self.line_of(found, tip));
        let missing = self.revision.missing.iter().map(|missing| self.line_of_missing(missing));
        Report::of(found.chain(missing).collect())
    }

    fn line_of(&self, found: &Found, tip: &Tip) -> Line {
        let heir = found.inherits.map(|k| &self.segments[k]);
        let kind = match (heir, found.revised()) {
            (Some(_), false) => Kind::Unchanged,
            (Some(_), true) => Kind::Changed,
            (None, _) if found.overlaps.is_empty() => Kind::New,
            (None, _) => Kind::Split,
        };
        let text = Text { subject: &tip.subject, preheader: &tip.preheader, markdown: &tip.markdown };
        Line {
            kind,
            tip: heir.map(|heir| heir.tip_id),
            name: tip.heading_path.last().unwrap_or(&tip.subject).clone(),
            state: self.state_of(found).to_owned(),
            overlaps: found.overlaps.iter().map(|k| self.segments[*k].tip_id).collect(),
            edited: heir.is_some_and(|heir| heir.edited) && found.revised(),
            back: heir.is_some_and(|heir| heir.vanished),
            diff: heir.filter(|_| found.revised()).map(|heir| revise::diff(heir.text(), text)),
        }
    }

    fn line_of_missing(&self, missing: &Missing) -> Line {
        let stored = &self.segments[missing.known];
        let home = missing.merged_into.and_then(|f| self.revision.found[f].inherits).map(|k| &self.segments[k]);
        let state = if home.is_some() && stored.state == "approved" { "draft" } else { &stored.state };
        Line {
            kind: if home.is_some() { Kind::Merged } else { Kind::Vanished },
            tip: Some(stored.tip_id),
            name: stored.heading_path.last().unwrap_or(&stored.subject).clone(),
            state: state.to_owned(),
            overlaps: home.map(|home| home.tip_id).into_iter().collect(),
            edited: false,
            back: false,
            diff: None,
        }
    }

    /// What was kept back, edited or overlaps another is looked at before its new words are sent, however the import was asked for.
    fn state_of(&self, found: &Found) -> &str {
        let before = found.inherits.map(|k| &self.segments[k]);
        match before {
            Some(stored) if stored.state == "retired" || !found.revised() => &stored.state,
            _ if self.approve && found.overlaps.is_empty() && before.is_none_or(|stored| stored.settled) => "approved",
            _ => "draft",
        }
    }
}

/// Does what was found, and says so.
pub(super) async fn write(
    conn: &mut PgConnection,
    known: &KnownArticle,
    article: &Article,
    source: &[u8],
    looked: Looked,
    now: Timestamp,
) -> sqlx::Result<Imported> {
    let mut outcome = looked.outcome(article);
    let same = same_source(conn, known, article, source).await?;
    let kept: Vec<(usize, &Stored)> =
        looked.revision.found.iter().enumerate().filter_map(|(place, found)| Some((place, &looked.segments[found.inherits?]))).collect();
    if same.is_some()
        && matches!(outcome, Imported::Unchanged { .. })
        && !kept.iter().any(|(place, s)| s.differs(*place, &article.tips[*place]))
    {
        return Ok(outcome);
    }
    let revision_id = match same {
        Some(revision_id) => revision_id,
        None => insert_revision(conn, known.id, article, source, now).await?,
    };
    keep(conn, revision_id, article, &kept).await?;
    if let Imported::Revised(report) = &mut outcome {
        change(conn, revision_id, article, &looked, report, now).await?;
        let home = Home { series_id: known.series_id, article_id: known.id, revision_id, now };
        let added = add(conn, &home, article, &looked).await?;
        added.iter().for_each(|(place, added)| report.segments[*place].tip = Some(added.tip_id));
        inherit(conn, &overlaps(&looked, &added), now).await?;
        let gone: Vec<i64> = looked.revision.missing.iter().map(|missing| looked.segments[missing.known].id).collect();
        flag(conn, &gone, &homes(&looked), now).await?;
    }
    touch(conn, known.series_id, now).await?;
    Ok(outcome)
}

/// The revision imported last, when it was made of these very bytes.
async fn same_source(conn: &mut PgConnection, known: &KnownArticle, article: &Article, source: &[u8]) -> sqlx::Result<Option<i64>> {
    if article.url.is_some() && article.url != known.url {
        return Ok(None);
    }
    sqlx::query_scalar!(
        "SELECT r.id FROM articles a JOIN article_revisions r ON r.id = a.revision_id WHERE a.id = $1 AND r.fingerprint = encode(sha256($2), 'hex')",
        known.id,
        source
    )
    .fetch_optional(conn)
    .await
}

/// Writes down where each segment stands now, how it is called, and what its words are.
async fn keep(conn: &mut PgConnection, revision_id: i64, article: &Article, kept: &[(usize, &Stored)]) -> sqlx::Result<()> {
    let row = |(place, stored): &(usize, &Stored)| {
        let tip = &article.tips[*place];
        json!({ "id": stored.id, "position": place + 1, "path": tip.heading_path, "fingerprint": tip.fingerprint })
    };
    sqlx::query!(
        "UPDATE segments s SET position = r.position, heading_path = ARRAY(SELECT jsonb_array_elements_text(r.path)), fingerprint = r.fingerprint,
            article_revision_id = $1, vanished_at = NULL, merged_into = NULL
        FROM jsonb_to_recordset($2) AS r (id bigint, position int, path jsonb, fingerprint text) WHERE s.id = r.id",
        revision_id,
        kept.iter().map(row).collect::<Value>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the tips of changed segments the new words, and their states; what was approved stays to be read.
async fn change(
    conn: &mut PgConnection,
    revision_id: i64,
    article: &Article,
    looked: &Looked,
    report: &Report,
    now: Timestamp,
) -> sqlx::Result<()> {
    let touched = report.segments.iter().filter(|line| matches!(line.kind, Kind::Changed | Kind::Merged));
    let rows = touched.map(|line| json!({ "id": line.tip, "state": line.state, "note": line.cause() }));
    sqlx::query!(
        "UPDATE tips t SET state = r.state, note = CASE WHEN r.state <> 'approved' THEN coalesce(r.note, t.note) END,
            approved_revision_id = CASE WHEN r.state = 'approved' THEN NULL WHEN t.state = 'approved' THEN t.revision_id ELSE t.approved_revision_id END
        FROM jsonb_to_recordset($1) AS r (id bigint, state text, note text) WHERE t.id = r.id",
        rows.collect::<Value>()
    )
    .execute(&mut *conn)
    .await?;
    let found = looked.revision.found.iter().zip(&article.tips).filter(|(found, _)| found.revised());
    let revised: Vec<(i64, &Tip)> = found.filter_map(|(found, tip)| Some((looked.segments[found.inherits?].tip_id, tip))).collect();
    revise_tips(conn, revision_id, &revised, now).await
}

/// Adds what is new at the end of the series; what is there for the first time comes with its place in the article.
async fn add(conn: &mut PgConnection, home: &Home, article: &Article, looked: &Looked) -> sqlx::Result<Vec<(usize, Added)>> {
    let found = &looked.revision.found;
    let places: Vec<usize> = (0..found.len()).filter(|place| found[*place].inherits.is_none()).collect();
    let approved = |place: usize| looked.state_of(&found[place]) == "approved";
    let added = append(conn, home, article, &places, approved).await?;
    Ok(places.into_iter().zip(added).collect())
}

/// Which segments have words of which others, by their ids.
fn overlaps(looked: &Looked, added: &[(usize, Added)]) -> Vec<Overlap> {
    let id = |k: usize| looked.segments[k].id;
    let mut all = Vec::new();
    for (place, found) in looked.revision.found.iter().enumerate() {
        let own = found.inherits.map(id).or_else(|| added.iter().find(|(other, _)| *other == place).map(|(_, added)| added.segment_id));
        let Some(segment_id) = own else { continue };
        all.extend(found.overlaps.iter().map(|k| Overlap { segment_id, of_segment_id: id(*k) }));
        // While its words stood in another one, they were sent with that.
        let back = found.inherits.and_then(|k| looked.segments[k].merged_into);
        all.extend(back.map(|of_segment_id| Overlap { segment_id, of_segment_id }));
    }
    all.extend(homes(looked).into_iter().map(|(segment_id, of_segment_id)| Overlap { segment_id, of_segment_id }));
    all
}

/// The segments that went into others, with those.
fn homes(looked: &Looked) -> Vec<(i64, i64)> {
    let home = |missing: &Missing| looked.revision.found[missing.merged_into?].inherits;
    let merged = looked.revision.missing.iter().filter_map(|missing| Some((missing.known, home(missing)?)));
    merged.map(|(gone, home)| (looked.segments[gone].id, looked.segments[home].id)).collect()
}

async fn flag(conn: &mut PgConnection, gone: &[i64], homes: &[(i64, i64)], now: Timestamp) -> sqlx::Result<()> {
    let (merged, into): (Vec<i64>, Vec<i64>) = homes.iter().copied().unzip();
    sqlx::query!(
        "UPDATE segments s SET vanished_at = $2,
            merged_into = (SELECT h.home FROM unnest($3::bigint[], $4::bigint[]) AS h (id, home) WHERE h.id = s.id)
        WHERE s.id = ANY($1)",
        gone,
        to_db(now),
        &merged,
        &into
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn position(place: usize) -> i32 {
    i32::try_from(place + 1).unwrap_or(i32::MAX)
}
