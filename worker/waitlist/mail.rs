//! The mails of the waitlist: their kinds, and the frozen contexts that their templates are filled with.
//!
//! No address and no token stands in a context: the pump makes links out of the numbers of entry and offer. Each is unique by
//! its owner and kind, and is inserted in the transaction of the act that it tells of.
//!
//! | template, kind | owner | besides program, slug, entry and zone |
//! | --- | --- | --- |
//! | `joined` | `entry:ID` | place |
//! | `offer` | `offer:ID` | offer, opening, mode, offer_for_seconds, ends (the enrolment's end, or null) |
//! | `offer_reminder` | `offer:ID` | offer, opening, mode, expires |
//! | `expired` | `offer:ID` | offer, opening, then: `back`, `keep` or `removed` |
//! | `accepted` | `offer:ID` | offer, opening, next_text, next_link (or null) |
//! | `closed` | `offer:ID` | offer, opening |
//!
//! An offer's mail prints min(first mark, or rendering where there was none, + offer_for_seconds, ends), cut to the minute: a
//! later attempt must not print a later time than the clock of the offer knows.

use crate::{
    base::time::from_db,
    delivery::transactional::{self, Basis, Change, Transactional},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::HashMap;

/// How long an answer is worth sending: what happened, and what happens next.
const ANSWERS_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the mail of an offer is tried; then the offer is revoked, and the seat goes on.
pub(super) const OFFERS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What a mail tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Joined,
    Offer,
    Reminder,
    Expired,
    Accepted,
    Closed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Offer => "offer",
            Self::Reminder => "offer_reminder",
            Self::Expired => "expired",
            Self::Accepted => "accepted",
            Self::Closed => "closed",
        }
    }
}

/// A mail to be sent; `more` is what its context has besides the program, the entry and the zone.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) kind: Kind,
    pub(super) entry_id: i64,
    pub(super) offer_id: Option<i64>,
    pub(super) more: Value,
    pub(super) due_at: Timestamp,
    pub(super) valid_until: Timestamp,
}

impl Mail {
    /// One that answers what has just happened.
    pub(super) fn answer(kind: Kind, entry_id: i64, offer_id: Option<i64>, more: Value, now: Timestamp) -> Mail {
        Mail { kind, entry_id, offer_id, more, due_at: now, valid_until: now + ANSWERS_FOR }
    }
}

/// The owner of an offer's mails.
pub(super) fn owner(offer_id: i64) -> String {
    format!("offer:{offer_id}")
}

/// Inserts the mails, in their order.
pub(super) async fn send(conn: &mut PgConnection, mails: Vec<Mail>, now: Timestamp) -> sqlx::Result<()> {
    if mails.is_empty() {
        return Ok(());
    }
    let known = known(conn, &mails).await?;
    let made: Vec<_> = mails.into_iter().filter_map(|mail| made(mail, &known)).collect();
    let mails: Vec<_> = made
        .iter()
        .map(|(owner, subscriber_id, context, mail)| Transactional {
            owner,
            kind: mail.kind.as_str(),
            subscriber_id: *subscriber_id,
            basis: Basis::Waitlist,
            topic_id: None,
            tip: None,
            template: mail.kind.as_str(),
            context: context.clone(),
            due_at: mail.due_at,
            valid_until: mail.valid_until,
        })
        .collect();
    transactional::enqueue_all(conn, &mails, now).await.map(drop)
}

/// Puts right what unmarked mails of a program's open offers say of their ends, after its terms changed.
pub(super) async fn tell_new_ends(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"SELECT t.offer_id AS "offer_id!", t.offered_at AS "offered_at!", t.ends_at, t.expires_at, o.remind_before_seconds
        FROM offer_terms t JOIN openings o ON o.id = t.opening_id WHERE t.program_id = $1 AND t.state = 'open' ORDER BY t.offer_id"#,
        program_id
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes = rows.iter().flat_map(|row| {
        let (ends, worth_sending) = (row.ends_at.map(from_db), from_db(row.offered_at) + OFFERS_FOR);
        let valid_until = ends.map_or(worth_sending, |end| end.min(worth_sending));
        let offer =
            Change { owner: owner(row.offer_id), kind: Kind::Offer.as_str(), context: json!({ "ends": ends }), due_at: None, valid_until };
        let reminder = row.expires_at.map(from_db).map(|expires| Change {
            owner: owner(row.offer_id),
            kind: Kind::Reminder.as_str(),
            context: json!({ "expires": expires }),
            due_at: Some(now.max(expires - SignedDuration::from_secs(row.remind_before_seconds.into()))),
            valid_until: expires,
        });
        std::iter::once(offer).chain(reminder)
    });
    transactional::change_all(conn, &changes.collect::<Vec<_>>()).await.map(drop)
}

fn made(mail: Mail, known: &HashMap<i64, Known>) -> Option<(String, i64, Value, Mail)> {
    let about = known.get(&mail.entry_id)?;
    let owner = mail.offer_id.map_or_else(|| format!("entry:{}", mail.entry_id), owner);
    let mut context = json!({ "program": about.program, "slug": about.slug, "entry": mail.entry_id, "zone": about.zone });
    let fields = context.as_object_mut().expect("an object, by the line above");
    fields.extend(mail.offer_id.map(|id| ("offer".to_owned(), json!(id))));
    fields.extend(about.opening.map(|number| ("opening".to_owned(), json!(number))));
    fields.extend(mail.more.as_object().cloned().unwrap_or_default());
    Some((owner, about.subscriber_id, context, mail))
}

struct Known {
    subscriber_id: i64,
    zone: Option<String>,
    program: String,
    slug: String,
    opening: Option<i32>,
}

async fn known(conn: &mut PgConnection, mails: &[Mail]) -> sqlx::Result<HashMap<i64, Known>> {
    let entries: Vec<i64> = mails.iter().map(|mail| mail.entry_id).collect();
    let offers: Vec<i64> = mails.iter().filter_map(|mail| mail.offer_id).collect();
    // Nothing is written to somebody who was erased.
    let rows = sqlx::query!(
        r#"SELECT e.id, e.subscriber_id, coalesce(s.zone, o.zone) AS zone, p.name, p.slug, o.number AS "number?"
        FROM entries e JOIN programs p ON p.id = e.program_id JOIN subscribers s ON s.id = e.subscriber_id
        LEFT JOIN offers f ON f.entry_id = e.id AND f.id = ANY($2) LEFT JOIN openings o ON o.id = f.opening_id
        WHERE e.id = ANY($1) AND s.erased_at IS NULL"#,
        &entries,
        &offers
    )
    .fetch_all(conn)
    .await?;
    let known = rows.into_iter().map(|row| {
        (row.id, Known { subscriber_id: row.subscriber_id, zone: row.zone, program: row.name, slug: row.slug, opening: row.number })
    });
    Ok(known.collect())
}
