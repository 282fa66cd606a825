//! The one way in which offers end: accepted, declined, run out or revoked.
//!
//! In one transaction the offer is closed, its entry goes where the rules send it, its unmarked mails are cancelled, the mail
//! that tells her is written, and the seat that became free wakes whoever offers it next. Called by `settle`, by the acts on
//! entries and offers, and when an opening is closed; all of them hold the program's openings.

use super::{
    mail::{self, Kind, Mail},
    states::{EntryState, OfferState},
    store::{self, By, Event},
};
use crate::{
    base::time::to_db,
    delivery::{ledger, transactional},
};
use chrono::{DateTime, Utc};
use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;

/// How an offer ends.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// She took the seat.
    Accepted { next_text: String, next_link: Option<String> },
    /// She does not want it.
    Declined,
    /// She leaves the waitlist.
    Withdrew,
    /// Its time ran out.
    Expired(Then),
    /// Something stands against mailing her; her place is kept until it is lifted.
    Suppressed(String),
    /// The relay says that there is no such address.
    NoAddress(String),
    /// The mail came back for another cause, or could not be made.
    Undeliverable(String),
    /// The mail was not handed over in time.
    NotSent,
    /// An operator took it back, for this reason.
    Operator(String),
    /// An operator put her out, for this reason.
    Removed(String),
    /// Her data go.
    Erased,
    /// The opening ended before its time.
    Closed(&'static str),
}

/// What follows an offer that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// To the back of the line.
    Back(Place),
    /// She keeps her place.
    Keep,
    /// She missed too many.
    Removed,
    /// Nothing: a last call held no seat for her.
    LastCall,
}

/// The back of the line, when her offer ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Since when she stands there.
    pub(super) since: Timestamp,
    /// The priority that she has there.
    pub(super) priority: i16,
    /// Whether it was higher.
    pub(super) lowered: bool,
}

/// An offer and its end.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) offer_id: i64,
    pub(super) entry_id: i64,
    pub(super) ending: Ending,
}

/// Ends these open offers of one program: all of them, or none and an error.
pub(super) async fn close(conn: &mut PgConnection, program_id: i64, closings: &[Closing], now: Timestamp) -> sqlx::Result<()> {
    if closings.is_empty() {
        return Ok(());
    }
    let owners: Vec<String> = closings.iter().map(|closing| mail::owner(closing.offer_id)).collect();
    if close_offers(conn, closings, now).await? != closings.len() as u64 {
        // They were looked at under the lock that is still held. What the pump records does not wait for it, and ends what was to
        // be accepted; else only a hand that came past it leads here.
        return Err(sqlx::Error::RowNotFound);
    }
    move_entries(conn, closings, now).await?;
    store::record(conn, &closings.iter().flat_map(events).collect::<Vec<_>>(), now).await?;
    transactional::cancel_all(conn, &owners, "the offer is closed", now).await?;
    let out = closings.iter().filter(|closing| !closing.ending.entry_state().is_live()).map(|closing| closing.entry_id).collect::<Vec<_>>();
    ledger::line::leave(conn, program_id, &out, now).await?;
    mail::send(conn, closings.iter().filter_map(|closing| letter(closing, now)).collect(), now).await?;
    if closings.iter().any(|closing| !matches!(closing.ending, Ending::Accepted { .. })) {
        store::wake(conn, program_id).await?;
    }
    Ok(())
}

/// Closes openings before their time: revokes their open offers and tells these people; the seats that were accepted stay so.
pub(super) async fn close_openings(
    conn: &mut PgConnection,
    program_id: i64,
    openings: &[i64],
    because: &'static str,
    now: Timestamp,
) -> sqlx::Result<()> {
    let open = sqlx::query!("SELECT id, entry_id FROM offers WHERE opening_id = ANY($1) AND state = 'open' ORDER BY id", openings)
        .fetch_all(&mut *conn)
        .await?;
    let closings: Vec<_> =
        open.iter().map(|row| Closing { offer_id: row.id, entry_id: row.entry_id, ending: Ending::Closed(because) }).collect();
    close(conn, program_id, &closings, now).await?;
    sqlx::query!(
        "UPDATE openings SET state = 'closed', closed_at = $2, closed_because = $3 WHERE id = ANY($1) AND state <> 'closed'",
        openings,
        to_db(now),
        because
    )
    .execute(conn)
    .await
    .map(drop)
}

impl Closing {
    /// Where she stands now, if she went to the back of the line.
    pub(super) fn back(&self) -> Option<Place> {
        match self.ending {
            Ending::Expired(Then::Back(place)) => Some(place),
            _ => None,
        }
    }
}

impl Ending {
    fn offer_state(&self) -> OfferState {
        match self {
            Self::Accepted { .. } => OfferState::Accepted,
            Self::Declined | Self::Withdrew => OfferState::Declined,
            Self::Expired(_) => OfferState::Expired,
            _ => OfferState::Revoked,
        }
    }

    pub(super) fn entry_state(&self) -> EntryState {
        match self {
            Self::Accepted { .. } => EntryState::Seated,
            Self::Declined | Self::Withdrew | Self::Erased => EntryState::Withdrawn,
            Self::Expired(Then::Removed) | Self::Removed(_) => EntryState::Removed,
            _ => EntryState::Waiting,
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Accepted { .. } | Self::Declined | Self::Expired(_) => None,
            Self::Withdrew => Some("she left the waitlist".to_owned()),
            Self::Suppressed(kind) => Some(format!("suppressed: {kind}")),
            Self::NoAddress(why) | Self::Undeliverable(why) => Some(format!("undeliverable: {why}")),
            Self::NotSent => Some("undeliverable: not handed over in time".to_owned()),
            Self::Operator(reason) | Self::Removed(reason) => Some(reason.clone()),
            Self::Erased => Some("erased".to_owned()),
            Self::Closed(because) => Some((*because).to_owned()),
        }
    }

    /// Why nothing is offered to her by itself any more. One fault of a relay is not to bar a whole line for good.
    pub(super) fn bar(&self) -> Option<&'static str> {
        match self {
            Self::NoAddress(_) => Some("undeliverable"),
            Self::Undeliverable(_) | Self::NotSent => Some("not sent"),
            Self::Operator(_) => Some("revoked"),
            _ => None,
        }
    }

    fn by(&self) -> By {
        match self {
            Self::Accepted { .. } | Self::Declined | Self::Withdrew => By::Person,
            Self::Operator(_) | Self::Removed(_) | Self::Closed(_) => By::Operator,
            _ => By::Rule,
        }
    }
}

// Accept against expiry: an acceptance stands only if the offer's own clock has not run out, whatever was looked at before.
async fn close_offers(conn: &mut PgConnection, closings: &[Closing], now: Timestamp) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE offers f SET state = c.state, closed_at = $4, reason = c.reason
        FROM unnest($1::bigint[], $2::text[], $3::text[]) AS c (id, state, reason)
        WHERE f.id = c.id AND f.state = 'open'
            AND (c.state <> 'accepted' OR (SELECT t.over_at > $4 FROM offer_terms t WHERE t.offer_id = f.id))",
        &closings.iter().map(|c| c.offer_id).collect::<Vec<_>>(),
        &closings.iter().map(|c| c.ending.offer_state().as_str().to_owned()).collect::<Vec<_>>(),
        &closings.iter().map(|c| c.ending.reason()).collect::<Vec<_>>() as &[Option<String>],
        to_db(now)
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

async fn move_entries(conn: &mut PgConnection, closings: &[Closing], now: Timestamp) -> sqlx::Result<()> {
    let missed = |c: &Closing| matches!(c.ending, Ending::Expired(Then::Back(_) | Then::Keep | Then::Removed));
    sqlx::query!(
        "UPDATE entries e SET state = c.state, joined_at = coalesce(c.since, e.joined_at), priority = coalesce(c.priority, e.priority),
            misses = e.misses + c.missed::integer, barred = c.barred, barred_at = CASE WHEN c.barred IS NOT NULL THEN $7::timestamptz END,
            barred_in = CASE WHEN c.barred IS NOT NULL THEN (SELECT opening_id FROM offers f WHERE f.id = c.offer_id) END,
            closed_at = CASE WHEN c.state IN ('withdrawn', 'removed') THEN $7::timestamptz END
        FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::smallint[], $5::boolean[], $6::text[], $8::bigint[])
            AS c (id, state, since, priority, missed, barred, offer_id)
        WHERE e.id = c.id",
        &closings.iter().map(|c| c.entry_id).collect::<Vec<_>>(),
        &closings.iter().map(|c| c.ending.entry_state().as_str().to_owned()).collect::<Vec<_>>(),
        &closings.iter().map(|c| c.back().map(|place| to_db(place.since))).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &closings.iter().map(|c| c.back().map(|place| place.priority)).collect::<Vec<_>>() as &[Option<i16>],
        &closings.iter().map(missed).collect::<Vec<_>>(),
        &closings.iter().map(|c| c.ending.bar().map(str::to_owned)).collect::<Vec<_>>() as &[Option<String>],
        to_db(now),
        &closings.iter().map(|c| c.offer_id).collect::<Vec<_>>()
    )
    .execute(conn)
    .await
    .map(drop)
}

// What became of the offer, and where it led to her leaving, that too.
fn events(closing: &Closing) -> impl Iterator<Item = Event<'_>> {
    let by = closing.ending.by();
    let reason = match &closing.ending {
        Ending::Operator(reason) | Ending::Removed(reason) => Some(reason.as_str()),
        Ending::NoAddress(reason) | Ending::Undeliverable(reason) | Ending::Suppressed(reason) => Some(reason.as_str()),
        Ending::NotSent => Some("not handed over in time"),
        Ending::Closed(because) => Some(*because),
        Ending::Expired(Then::Back(_)) => Some("to the back of the line"),
        Ending::Expired(Then::Keep) => Some("her place is kept"),
        _ => None,
    };
    let offer_id = Some(closing.offer_id);
    let first = Event { offer_id, reason, ..Event::new(closing.entry_id, closing.ending.offer_state().as_str(), by) };
    let second = match closing.ending {
        Ending::Withdrew | Ending::Erased => Some(Event { offer_id, ..Event::new(closing.entry_id, "withdrawn", by) }),
        Ending::Removed(_) => Some(Event { offer_id, reason, ..Event::new(closing.entry_id, "removed", by) }),
        Ending::Expired(Then::Removed) => {
            Some(Event { offer_id, reason: Some("missed too many offers"), ..Event::new(closing.entry_id, "removed", by) })
        }
        // The back of the line is behind every priority: whoever kept hers would be offered the same seat again and again.
        Ending::Expired(Then::Back(Place { priority, lowered: true, .. })) => {
            let reason = Some("let her offer run out");
            Some(Event { offer_id, reason, priority: Some(priority), ..Event::new(closing.entry_id, "prioritised", by) })
        }
        _ => None,
    };
    std::iter::once(first).chain(second)
}

fn letter(closing: &Closing, now: Timestamp) -> Option<Mail> {
    let (kind, more) = match &closing.ending {
        Ending::Accepted { next_text, next_link } => (Kind::Accepted, json!({ "next_text": next_text, "next_link": next_link })),
        Ending::Expired(Then::Back(_)) => (Kind::Expired, json!({ "then": "back" })),
        Ending::Expired(Then::Keep) => (Kind::Expired, json!({ "then": "keep" })),
        Ending::Expired(Then::Removed) => (Kind::Expired, json!({ "then": "removed" })),
        Ending::Closed(_) => (Kind::Closed, json!({})),
        _ => return None,
    };
    Some(Mail::answer(kind, closing.entry_id, Some(closing.offer_id), more, now))
}
