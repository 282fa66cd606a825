//! Mails that answer one person's act: a confirmation, a welcome, her preferences link, an offer. No edition; each is unique by
//! its owner and its kind, by constraint, and goes before all tips.
//!
//! The floors above insert them in the transaction of the act itself, so that both stand or neither does; the pump makes the mail
//! from the template's name and the frozen context.

use super::Key;
use crate::base::{
    time::{civil_to_db, period_of, to_db},
    wake::{self, Job},
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// Why a mail may be sent: which check of standing and suppression the claim and the mark apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// She is subscribed to the topic.
    Topic,
    /// She, or somebody in her name, asked for it: goes to those who left everything too.
    Confirmation,
    /// She waits for a seat.
    Waitlist,
    /// She asked for her own link.
    Preferences,
}

impl Basis {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Confirmation => "confirmation",
            Self::Waitlist => "waitlist",
            Self::Preferences => "preferences",
        }
    }
}

/// The tip that such a mail carries, if it carries one.
#[derive(Debug, Clone, Copy)]
pub struct Tip {
    /// The series that it is of.
    pub series_id: i64,
    /// Its segment: the caller inserts (subscriber, segment) into what she was given.
    pub segment_id: i64,
    /// The revision that is sent.
    pub revision_id: i64,
}

/// A mail to be sent.
#[derive(Debug)]
pub struct Transactional<'a> {
    /// Whose act it answers, e.g. `signup:41`.
    pub owner: &'a str,
    /// Which mail of this owner.
    pub kind: &'a str,
    /// To whom.
    pub subscriber_id: i64,
    /// Why it may be sent.
    pub basis: Basis,
    /// The topic, where the basis is one.
    pub topic_id: Option<i64>,
    /// The tip, where it carries one.
    pub tip: Option<Tip>,
    /// The template.
    pub template: &'a str,
    /// What the template is filled with, frozen; no address and no token stands in it.
    pub context: serde_json::Value,
    /// When it may go.
    pub due_at: Timestamp,
    /// Until when it is worth sending.
    pub valid_until: Timestamp,
}

/// Inserts the mail in the caller's transaction and wakes a worker; `None` when this owner had a mail of this kind before.
pub async fn enqueue(conn: &mut PgConnection, mail: &Transactional<'_>, now: Timestamp) -> sqlx::Result<Option<Key>> {
    let period = period_of(now);
    sqlx::query!("SELECT ensure_deliveries_partition($1)", civil_to_db(period)).fetch_one(&mut *conn).await?;
    let id = sqlx::query_scalar!(
        r#"WITH mine AS (
            INSERT INTO transactional (owner, kind, period, delivery_id) VALUES ($1, $2, $3, nextval('delivery_ids'))
            ON CONFLICT DO NOTHING RETURNING delivery_id)
        INSERT INTO deliveries (period, id, subscriber_id, basis, topic_id, series_id, segment_id, tip_revision_id, template, context,
            due_at, ready_at, valid_until, state)
        SELECT $3, delivery_id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, 'queued' FROM mine
        RETURNING id"#,
        mail.owner,
        mail.kind,
        civil_to_db(period),
        mail.subscriber_id,
        mail.basis.as_str(),
        mail.topic_id,
        mail.tip.map(|tip| tip.series_id),
        mail.tip.map(|tip| tip.segment_id),
        mail.tip.map(|tip| tip.revision_id),
        mail.template,
        mail.context,
        to_db(mail.due_at),
        to_db(mail.valid_until),
    )
    .fetch_optional(&mut *conn)
    .await?;
    if id.is_some() {
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(id.map(|id| Key { period, id }))
}

/// Cancels what of an owner's mails is not marked yet, in the transaction that makes them pointless; how many. One that is being
/// handed over at this moment is not tried again.
pub async fn cancel(conn: &mut PgConnection, owner: &str, reason: &str, now: Timestamp) -> sqlx::Result<u64> {
    cancel_all(conn, &[owner.to_owned()], reason, now).await
}

/// Inserts many mails at once, in their order, as [`enqueue`] does one; how many. Each pair of owner and kind stands in `mails` once.
pub async fn enqueue_all(conn: &mut PgConnection, mails: &[Transactional<'_>], now: Timestamp) -> sqlx::Result<u64> {
    if mails.is_empty() {
        return Ok(0);
    }
    let period = civil_to_db(period_of(now));
    sqlx::query!("SELECT ensure_deliveries_partition($1)", period).fetch_one(&mut *conn).await?;
    let tip = |number: fn(Tip) -> i64| mails.iter().map(|mail| mail.tip.map(number)).collect::<Vec<_>>();
    let done = sqlx::query!(
        "WITH wanted AS (
            SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
                $10::text[], $11::jsonb[], $12::timestamptz[], $13::timestamptz[]) WITH ORDINALITY
                AS w (owner, kind, subscriber_id, basis, topic_id, series_id, segment_id, tip_revision_id, template, context, due_at, valid_until, n)
        ), mine AS (
            INSERT INTO transactional (owner, kind, period, delivery_id)
            SELECT owner, kind, $1, nextval('delivery_ids') FROM (SELECT * FROM wanted ORDER BY n) w
            ON CONFLICT DO NOTHING RETURNING owner, kind, delivery_id)
        INSERT INTO deliveries (period, id, subscriber_id, basis, topic_id, series_id, segment_id, tip_revision_id, template, context,
            due_at, ready_at, valid_until, state)
        SELECT $1, m.delivery_id, w.subscriber_id, w.basis, w.topic_id, w.series_id, w.segment_id, w.tip_revision_id, w.template, w.context,
            w.due_at, w.due_at, w.valid_until, 'queued'
        FROM mine m JOIN wanted w ON w.owner = m.owner AND w.kind = m.kind",
        period,
        &mails.iter().map(|mail| mail.owner.to_owned()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.kind.to_owned()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.subscriber_id).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.basis.as_str().to_owned()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.topic_id).collect::<Vec<_>>() as &[Option<i64>],
        &tip(|tip| tip.series_id) as &[Option<i64>],
        &tip(|tip| tip.segment_id) as &[Option<i64>],
        &tip(|tip| tip.revision_id) as &[Option<i64>],
        &mails.iter().map(|mail| mail.template.to_owned()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.context.clone()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| to_db(mail.due_at)).collect::<Vec<_>>(),
        &mails.iter().map(|mail| to_db(mail.valid_until)).collect::<Vec<_>>(),
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() > 0 {
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(done.rows_affected())
}

/// Cancels what of many owners' mails is not marked yet, as [`cancel`] does for one; how many.
pub async fn cancel_all(conn: &mut PgConnection, owners: &[String], reason: &str, now: Timestamp) -> sqlx::Result<u64> {
    // Held first: what is being marked or recorded at this moment is looked at as it is afterwards.
    sqlx::query!(
        "SELECT d.id FROM transactional t JOIN deliveries d ON d.period = t.period AND d.id = t.delivery_id
        WHERE t.owner = ANY($1) AND d.state IN ('queued', 'claimed', 'deferred', 'handing_over', 'unconfirmed')
        ORDER BY d.period, d.id FOR NO KEY UPDATE OF d",
        owners
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE deliveries d SET valid_until = $2 FROM transactional t
        WHERE t.owner = ANY($1) AND d.period = t.period AND d.id = t.delivery_id AND d.state IN ('handing_over', 'unconfirmed') AND d.valid_until > $2",
        owners,
        to_db(now),
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "UPDATE deliveries d SET state = 'cancelled', reason = $2, ready_at = NULL, finished_at = $3 FROM transactional t
        WHERE t.owner = ANY($1) AND d.period = t.period AND d.id = t.delivery_id AND d.state IN ('queued', 'claimed', 'deferred')",
        owners,
        reason,
        to_db(now),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What is otherwise now in a mail that was inserted before.
#[derive(Debug)]
pub struct Change {
    /// Whose mail.
    pub owner: String,
    /// Which of them.
    pub kind: &'static str,
    /// The fields of its context that are others now.
    pub context: serde_json::Value,
    /// When it may go, if that is another time.
    pub due_at: Option<Timestamp>,
    /// Until when it is worth sending.
    pub valid_until: Timestamp,
}

/// Changes mails that are not marked yet, in the transaction that makes them untrue; how many. One that a worker holds may be
/// written already: it is queued again, and that worker's mark is refused.
pub async fn change_all(conn: &mut PgConnection, changes: &[Change]) -> sqlx::Result<u64> {
    let owners: Vec<String> = changes.iter().map(|change| change.owner.clone()).collect();
    let kinds: Vec<String> = changes.iter().map(|change| change.kind.to_owned()).collect();
    // Held first: what is being marked at this moment is looked at as it is afterwards.
    sqlx::query!(
        "SELECT d.id FROM unnest($1::text[], $2::text[]) AS c (owner, kind) JOIN transactional t ON t.owner = c.owner AND t.kind = c.kind
        JOIN deliveries d ON d.period = t.period AND d.id = t.delivery_id
        WHERE d.state IN ('queued', 'claimed', 'deferred') ORDER BY d.period, d.id FOR NO KEY UPDATE OF d",
        &owners,
        &kinds
    )
    .fetch_all(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "UPDATE deliveries d SET context = d.context || c.context, due_at = coalesce(c.due_at, d.due_at), valid_until = c.valid_until,
            state = CASE d.state WHEN 'claimed' THEN 'queued' ELSE d.state END,
            ready_at = CASE d.state WHEN 'deferred' THEN d.ready_at ELSE coalesce(c.due_at, d.due_at) END
        FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::timestamptz[]) AS c (owner, kind, context, due_at, valid_until)
        JOIN transactional t ON t.owner = c.owner AND t.kind = c.kind
        WHERE d.period = t.period AND d.id = t.delivery_id AND d.state IN ('queued', 'claimed', 'deferred')",
        &owners,
        &kinds,
        &changes.iter().map(|change| change.context.clone()).collect::<Vec<_>>(),
        &changes.iter().map(|change| change.due_at.map(to_db)).collect::<Vec<_>>() as &[Option<chrono::DateTime<chrono::Utc>>],
        &changes.iter().map(|change| to_db(change.valid_until)).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
