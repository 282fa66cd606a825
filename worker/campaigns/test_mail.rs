//! One mail of a campaign to any address, to be looked at: marked `[Test]`, with links that do nothing, counted nowhere.
//!
//! It is a delivery with the basis `test`: of no edition and for no subscriber, sent by the ordinary pump. Whose mail it is made as
//! stands in its context by her number alone, so that nothing of her is kept. An operator's act on the command line.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Acquire, PgConnection};

use super::CampaignError;
use super::preflight::opened_for_a_look;
use super::store::{self, Campaign, What};
use super::weekly;
use crate::audience::{store as audience, suppression};
use crate::base::address::EmailAddress;
use crate::base::keys::Keyring;
use crate::base::time::{civil_to_db, period_of, to_db};
use crate::base::wake::{self, Job};

/// How long it is worth sending.
const WORTH: SignedDuration = SignedDuration::from_hours(24);

/// What was queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestMail {
    /// Its delivery.
    pub delivery: i64,
    /// The tip that it carries, where it carries one.
    pub tip: Option<i64>,
    /// Its subject, without the mark.
    pub subject: String,
}

/// Queues a mail of a campaign to `to`: what `subscriber` would get next, or else the first approved tip; or the words of a broadcast.
pub async fn send(
    conn: &mut PgConnection,
    keyring: &Keyring,
    name: &str,
    to: &EmailAddress,
    subscriber: Option<i64>,
    now: Timestamp,
) -> Result<TestMail, CampaignError> {
    let campaign = store::find(&mut *conn, name).await?;
    let contents = contents(&mut *conn, &campaign, subscriber, now).await?;
    // Apart from what is written: attaching a partition waits for transactions that write.
    sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(period_of(now))).fetch_one(&mut *conn).await?;
    let mut tx = conn.begin().await?;
    // An erasure holds this lock alone: one that comes now finds the mail, and one that came before is seen by the next line.
    audience::lock_audience_shared(&mut tx).await?;
    let queued = match refuse_the_stopped(&mut tx, keyring, &campaign, to).await {
        Ok(()) => queue(&mut tx, &campaign, to, subscriber, &contents, now).await,
        Err(error) => Err(error),
    };
    // A transaction that is only dropped keeps its locks as long as the connection rests.
    match &queued {
        Ok(_) => tx.commit().await?,
        Err(_) => tx.rollback().await?,
    }
    Ok(TestMail { delivery: queued?, tip: contents.tip, subject: contents.subject })
}

async fn queue(
    conn: &mut PgConnection,
    campaign: &Campaign,
    to: &EmailAddress,
    subscriber: Option<i64>,
    contents: &Contents,
    now: Timestamp,
) -> Result<i64, CampaignError> {
    let delivery = sqlx::query_scalar!(
        "INSERT INTO deliveries (period, basis, address, topic_id, tip_revision_id, template, context, due_at, ready_at, valid_until, state)
        VALUES ($1, 'test', $2, $3, $4, $5, $6, $7, $7, $8, 'queued') RETURNING id",
        civil_to_db(period_of(now)),
        to.as_given(),
        contents.topic_id,
        contents.revision_id,
        contents.template,
        json!({ "campaign": campaign.id, "as": subscriber }),
        to_db(now),
        to_db(now + WORTH)
    );
    let delivery = delivery.fetch_one(&mut *conn).await?;
    // Masked: the address stands in one place, which an erasure finds.
    store::record_act(conn, "test", campaign, Some(&to.to_string()), now).await?;
    wake::enqueue(conn, &Job::Send).await?;
    Ok(delivery)
}

// A stop holds for tests too, whoever the operator thinks that she writes to.
async fn refuse_the_stopped(
    conn: &mut PgConnection,
    keyring: &Keyring,
    campaign: &Campaign,
    to: &EmailAddress,
) -> Result<(), CampaignError> {
    let topic_id = match &campaign.what {
        What::Weekly(weekly) => Some(weekly.topic_id),
        What::Broadcast(broadcast) => broadcast.recipients.topic_id(),
    };
    match suppression::stopped(conn, keyring, to, topic_id).await? {
        Some(why) => Err(CampaignError::Stopped { address: to.as_given().to_owned(), why }),
        None => Ok(()),
    }
}

struct Contents {
    template: &'static str,
    topic_id: Option<i64>,
    revision_id: Option<i64>,
    tip: Option<i64>,
    subject: String,
}

async fn contents(
    conn: &mut PgConnection,
    campaign: &Campaign,
    subscriber: Option<i64>,
    now: Timestamp,
) -> Result<Contents, CampaignError> {
    let series = match &campaign.what {
        What::Broadcast(broadcast) => {
            let (topic_id, subject) = (broadcast.recipients.topic_id(), broadcast.subject.clone());
            return Ok(Contents { template: "broadcast", topic_id, revision_id: None, tip: None, subject });
        }
        What::Weekly(weekly) => weekly,
    };
    let revision = match subscriber {
        Some(subscriber) => next_of(&mut *conn, campaign, subscriber, now).await?,
        None => {
            let first = weekly::approved_tips(&mut *conn, series.series_id).await?.into_iter().next();
            let none = || CampaignError::NoTestTip { name: campaign.name.clone(), why: "no tip of its series is approved".to_owned() };
            first.ok_or_else(none)?.revision_id
        }
    };
    let tip = sqlx::query!("SELECT tip_id, subject FROM tip_revisions WHERE id = $1", revision).fetch_one(conn).await?;
    let topic_id = Some(series.topic_id);
    Ok(Contents { template: "weekly_tip", topic_id, revision_id: Some(revision), tip: Some(tip.tip_id), subject: tip.subject })
}

// What waits for her, or what planning's own statement would give her in the next edition, which is not written.
async fn next_of(conn: &mut PgConnection, campaign: &Campaign, subscriber: i64, now: Timestamp) -> Result<i64, CampaignError> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT d.tip_revision_id AS "revision!" FROM editions e JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id
        WHERE e.campaign_id = $1 AND d.subscriber_id = $2 AND d.ready_at IS NOT NULL AND d.tip_revision_id IS NOT NULL
        ORDER BY d.due_at LIMIT 1"#,
        campaign.id,
        subscriber
    );
    if let Some(revision) = waiting.fetch_optional(&mut *conn).await? {
        return Ok(revision);
    }
    if let Some(next) = campaign.next {
        let period = civil_to_db(next.occurrence.first_of_month());
        sqlx::query!("SELECT ensure_deliveries_partition($1)", period).fetch_one(&mut *conn).await?;
    }
    let mut tx = conn.begin().await?;
    let edition = opened_for_a_look(&mut tx, campaign, now).await?;
    weekly::plan_one(&mut tx, edition, subscriber, now).await?;
    let row =
        sqlx::query!("SELECT tip_revision_id, reason FROM deliveries WHERE edition_id = $1 AND subscriber_id = $2", edition, subscriber);
    let row = row.fetch_optional(&mut *tx).await?;
    tx.rollback().await?;
    let reason = row.as_ref().and_then(|row| row.reason.clone());
    let why = || reason.map_or_else(|| "she may not be mailed".to_owned(), |reason| reason.replace('_', " "));
    row.and_then(|row| row.tip_revision_id).ok_or_else(|| CampaignError::NoTestTip { name: campaign.name.clone(), why: why() })
}
