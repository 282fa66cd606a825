//! What became of a campaign's editions: counts that add up, with reasons, and every delivery of one edition.
//!
//! Reads only. `planned` comes from the planning's own count, the rest from the rows of the ledger, or from the counts that are left
//! of them, all out of one snapshot. The command line prints it, as tables or as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::CampaignError;
use super::edition::Occurrence;
use super::states::{CampaignState, EditionState};
use super::store;
use crate::base::time::{civil_from_db, civil_to_db, from_db};
use crate::delivery::{Key, message_id};

/// A campaign's editions, the latest last.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The campaign's name.
    pub campaign: String,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it is paused.
    #[serde(skip)]
    pub reason: Option<String>,
    /// Its editions.
    pub editions: Vec<EditionReport>,
}

/// An edition's counts. Once planned: planned = sent + failed + skipped + unconfirmed + cancelled + to do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Recipients that the filter found; null while they are still being counted.
    pub planned: Option<i64>,
    /// The relay answered 250.
    pub sent: i64,
    /// Refused, or given up.
    pub failed: i64,
    /// Not sent, for a reason of ours.
    pub skipped: i64,
    /// No answer came after the body had begun.
    pub unconfirmed: i64,
    /// Ended with the campaign.
    pub cancelled: i64,
    /// Queued, claimed, being handed over, or deferred.
    pub to_do: i64,
    /// How many bear each reason.
    pub reasons: BTreeMap<String, i64>,
}

/// One edition.
#[derive(Debug, Serialize)]
pub struct EditionReport {
    /// Its occurrence.
    pub edition: String,
    /// Where it stands.
    pub state: EditionState,
    /// What became of its deliveries.
    #[serde(flatten)]
    pub counts: Counts,
    /// False when its deliveries were too old to be kept: the counts are what is left of them.
    pub details_kept: bool,
    /// Why it is held, paused or skipped.
    #[serde(skip)]
    pub reason: Option<String>,
    /// Recipients counted so far; `planned` is its final value.
    #[serde(skip)]
    pub counted: i64,
    /// When its first delivery is due.
    #[serde(skip)]
    pub starts_at: Timestamp,
    /// Its row.
    #[serde(skip)]
    pub key: EditionKey,
}

/// An edition's row, for its deliveries.
#[derive(Debug, Clone)]
pub struct EditionKey {
    /// Its occurrence.
    pub edition: String,
    /// Whether its deliveries are still kept.
    pub details_kept: bool,
    /// The first day of its month.
    pub period: Date,
    /// Its id.
    pub id: i64,
}

/// One delivery of an edition.
#[derive(Debug, Serialize)]
pub struct DeliveryLine {
    /// Whose; the next page begins after her.
    #[serde(skip)]
    pub subscriber_id: i64,
    /// Where it goes, in the spelling given; null for an erased person.
    pub email: Option<String>,
    /// Its state.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Its Message-ID, with the brackets.
    pub message_id: String,
    /// The last mark, if it was ever handed over.
    pub handing_over_at: Option<Timestamp>,
}

impl Counts {
    /// Whether they add up to `total`.
    pub fn add_up_to(&self, total: i64) -> bool {
        self.sent + self.failed + self.skipped + self.unconfirmed + self.cancelled + self.to_do == total
    }

    fn add(&mut self, state: &str, reason: Option<String>, count: i64) {
        let place = match state {
            "sent" => &mut self.sent,
            "failed" => &mut self.failed,
            "skipped" => &mut self.skipped,
            "unconfirmed" => &mut self.unconfirmed,
            "cancelled" => &mut self.cancelled,
            _ => &mut self.to_do,
        };
        *place += count;
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += count;
        }
    }
}

/// The editions of a campaign, or the one of `edition`: a local date, or the instant of a run.
pub async fn report(conn: &mut PgConnection, name: &str, edition: Option<&str>) -> Result<Report, CampaignError> {
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let campaign = store::find(&mut tx, name).await?;
    let mut editions = editions(&mut tx, campaign.id, edition).await?;
    if let (Some(edition), true) = (edition, editions.is_empty()) {
        return Err(unknown_edition(&mut tx, campaign.id, name, edition).await?);
    }
    count(&mut tx, &mut editions).await?;
    tx.commit().await?;
    Ok(Report { campaign: campaign.name, state: campaign.state, reason: campaign.reason, editions })
}

/// The edition of `occurrence`, or the latest; none when there is none at all.
pub async fn find_edition(conn: &mut PgConnection, name: &str, occurrence: Option<&str>) -> Result<Option<EditionKey>, CampaignError> {
    let campaign = store::find(&mut *conn, name).await?;
    let editions = editions(&mut *conn, campaign.id, occurrence).await?;
    match (editions.last(), occurrence) {
        (None, Some(edition)) => Err(unknown_edition(conn, campaign.id, name, edition).await?),
        (latest, _) => Ok(latest.map(|edition| edition.key.clone())),
    }
}

/// Deliveries of an edition in the order of their subscribers, at most `limit` from the one after `after` on.
///
/// Page by page, because one statement for all of them would keep its snapshot until a slow reader is done, and the ledger could not
/// be vacuumed meanwhile. `label` is the installation's, `domain` the sender's: both are part of the Message-ID.
pub async fn deliveries(
    conn: &mut PgConnection,
    edition: &EditionKey,
    after: i64,
    limit: i64,
    (label, domain): (&str, &str),
) -> sqlx::Result<Vec<DeliveryLine>> {
    let rows = sqlx::query!(
        r#"SELECT d.id, d.subscriber_id AS "subscriber_id!", s.address, d.state, d.reason, d.handing_over_at
        FROM deliveries d LEFT JOIN subscribers s ON s.id = d.subscriber_id
        WHERE d.period = $1 AND d.edition_id = $2 AND d.subscriber_id > $3 ORDER BY d.subscriber_id LIMIT $4"#,
        civil_to_db(edition.period),
        edition.id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let line = rows.into_iter().map(|row| DeliveryLine {
        subscriber_id: row.subscriber_id,
        email: row.address,
        state: row.state,
        reason: row.reason,
        message_id: message_id(Key { period: edition.period, id: row.id }, label, domain),
        handing_over_at: row.handing_over_at.map(from_db),
    });
    Ok(line.collect())
}

async fn editions(conn: &mut PgConnection, campaign_id: i64, occurrence: Option<&str>) -> sqlx::Result<Vec<EditionReport>> {
    let occurrence = occurrence.map(|text| Occurrence::parse(text).map_or_else(|| text.to_owned(), |occurrence| occurrence.to_string()));
    let rows = sqlx::query!(
        r#"SELECT id, period, occurrence, state AS "state: EditionState", reason, starts_at, counted, planned,
            NOT EXISTS (SELECT FROM edition_counts c WHERE c.edition_id = editions.id) AS "details_kept!" FROM editions
        WHERE campaign_id = $1 AND ($2::text IS NULL OR occurrence = $2) ORDER BY starts_at, id"#,
        campaign_id,
        occurrence
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| EditionReport {
            edition: row.occurrence.clone(),
            state: row.state,
            counts: Counts { planned: row.planned, ..Counts::default() },
            details_kept: row.details_kept,
            reason: row.reason,
            counted: row.counted,
            starts_at: from_db(row.starts_at),
            key: EditionKey { edition: row.occurrence, details_kept: row.details_kept, period: civil_from_db(row.period), id: row.id },
        })
        .collect())
}

// All editions in one statement: those of a month lie in one partition, which is read once.
async fn count(conn: &mut PgConnection, editions: &mut [EditionReport]) -> sqlx::Result<()> {
    let (periods, ids): (Vec<_>, Vec<_>) = editions.iter().map(|edition| (civil_to_db(edition.key.period), edition.key.id)).unzip();
    let rows = sqlx::query!(
        r#"SELECT edition_id AS "edition_id!", state AS "state!", reason, count(*) AS "count!" FROM deliveries
        WHERE period = ANY($1) AND edition_id = ANY($2) GROUP BY edition_id, state, reason
        UNION ALL SELECT edition_id, state, nullif(reason, ''), deliveries FROM edition_counts WHERE edition_id = ANY($2)"#,
        &periods,
        &ids
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(edition) = editions.iter_mut().find(|edition| edition.key.id == row.edition_id) {
            edition.counts.add(&row.state, row.reason, row.count);
        }
    }
    Ok(())
}

async fn unknown_edition(conn: &mut PgConnection, campaign_id: i64, name: &str, edition: &str) -> sqlx::Result<CampaignError> {
    let existing =
        sqlx::query_scalar!("SELECT occurrence FROM editions WHERE campaign_id = $1 ORDER BY starts_at DESC, id DESC LIMIT 8", campaign_id)
            .fetch_all(conn)
            .await?;
    Ok(CampaignError::UnknownEdition { name: name.to_owned(), edition: edition.to_owned(), existing })
}
