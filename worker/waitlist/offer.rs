//! One offer: accepted or declined by whom it was made to, given by hand or revoked by an operator.
//!
//! Accept against expiry: both happen under the lock of the program's openings, and by the offer's own clock; one wins, and the
//! other is told which. Pages and command line call it.

use super::{
    WaitlistError,
    close::{self, Closing, Ending},
    entry::{self, Leaving},
    give, line, opening, settle,
    states::{EntryState, Mode, OfferState, OpeningState},
    store::{self, OfferRow, retried},
};
use crate::{
    audience::store as audience,
    base::{
        acts,
        time::{from_db, to_db},
    },
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Acquire, PgConnection};

/// What an acceptance came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// The seat is hers.
    Accepted,
    /// It was hers before.
    AlreadyAccepted,
    /// A last call whose seats are all taken now; one may become free.
    Full,
    /// The offer is over.
    Over(Over),
}

/// What declining came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The seat goes on, and she is out of the line.
    Declined,
    /// She had accepted: giving the seat back is another act.
    Accepted,
    /// The offer is over.
    Over(Over),
}

/// How an offer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Declined.
    Declined,
    /// Its time ran out.
    Expired,
    /// Taken back.
    Revoked {
        /// Why.
        reason: String,
    },
    /// Accepted, and the seat given back.
    GivenBack,
}

/// An offer as her page shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Offer {
    /// Its number.
    pub id: i64,
    /// Its entry.
    pub entry_id: i64,
    /// The program, as people read it,
    pub program: String,
    /// and in addresses.
    pub slug: String,
    /// The opening's number.
    pub opening: i32,
    /// How that fills.
    pub mode: Mode,
    /// What the offer is now, by its clock.
    pub state: OfferState,
    /// Why it was revoked; of a declined one, that she left the waitlist.
    pub reason: Option<String>,
    /// Until when it holds; none while its mail was not handed over.
    pub expires_at: Option<Timestamp>,
    /// When the enrolment ends.
    pub ends_at: Option<Timestamp>,
    /// The seat was given back.
    pub given_back: bool,
    /// Where her entry stands.
    pub entry: EntryState,
    /// Her zone, or the opening's.
    pub zone: String,
}

/// Accepts an offer for whom it was made to.
pub async fn accept(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<Acceptance, WaitlistError> {
    retried!(accept_once(conn, offer_id, now))
}

async fn accept_once(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<Acceptance, WaitlistError> {
    let mut tx = conn.begin().await?;
    let offer = hold(&mut tx, offer_id, now).await?;
    let acceptance = match answer(&offer) {
        Some(answer) => answer,
        None => take(&mut tx, &offer, now).await?,
    };
    // What was settled on the way stands, whoever won.
    tx.commit().await?;
    Ok(acceptance)
}

/// Declines an offer: the seat goes to the next, and she is out of the line.
pub async fn decline(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<Refusal, WaitlistError> {
    retried!(decline_once(conn, offer_id, now))
}

async fn decline_once(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<Refusal, WaitlistError> {
    let mut tx = conn.begin().await?;
    let offer = hold(&mut tx, offer_id, now).await?;
    let refusal = match (offer.state, over(&offer)) {
        (OfferState::Open, _) => {
            end(&mut tx, &offer, Ending::Declined, now).await?;
            Refusal::Declined
        }
        (_, Some(over)) => Refusal::Over(over),
        (_, None) => Refusal::Accepted,
    };
    tx.commit().await?;
    Ok(refusal)
}

/// Gives an accepted seat back: exactly one becomes free, and she is out of the line; false when it was not hers any more.
pub async fn give_back(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<bool, WaitlistError> {
    retried!(give_back_once(conn, offer_id, now))
}

async fn give_back_once(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<bool, WaitlistError> {
    let offer = find(conn, offer_id).await?;
    let mut tx = conn.begin().await?;
    let row = entry::hold(&mut tx, offer.entry_id, now).await?;
    let hers = row.state == EntryState::Seated && row.offer_id == Some(offer_id);
    let freed = hers && entry::leave(&mut tx, &row, Leaving::Withdrew, now).await?.freed;
    tx.commit().await?;
    Ok(freed)
}

/// Takes an open offer back at an operator's word: her place is kept, and nothing is offered to her until an operator acts.
pub async fn revoke(conn: &mut PgConnection, offer_id: i64, reason: &str, now: Timestamp) -> Result<(), WaitlistError> {
    retried!(revoke_once(conn, offer_id, reason, now))
}

async fn revoke_once(conn: &mut PgConnection, offer_id: i64, reason: &str, now: Timestamp) -> Result<(), WaitlistError> {
    let reason = store::given(reason)?;
    let mut tx = conn.begin().await?;
    let offer = hold(&mut tx, offer_id, now).await?;
    if offer.state != OfferState::Open {
        return Err(WaitlistError::Offer { id: offer_id, state: offer.state });
    }
    end(&mut tx, &offer, Ending::Operator(reason.to_owned()), now).await?;
    acts::record(&mut tx, "revoke", "offer", Some(offer_id), reason, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives somebody a free seat out of her turn. All else is checked as always: she waits, can be mailed, and a seat is free.
pub async fn give(
    conn: &mut PgConnection,
    slug: &str,
    number: Option<i32>,
    entry_id: i64,
    reason: &str,
    now: Timestamp,
) -> Result<i64, WaitlistError> {
    retried!(give_once(conn, slug, number, entry_id, reason, now))
}

async fn give_once(
    conn: &mut PgConnection,
    slug: &str,
    number: Option<i32>,
    entry_id: i64,
    reason: &str,
    now: Timestamp,
) -> Result<i64, WaitlistError> {
    let reason = store::given(reason)?;
    let mut tx = conn.begin().await?;
    let opening = opening::find(&mut tx, slug, number).await?;
    let entry = entry::hold_all(&mut tx, entry_id, now).await?;
    let opening = opening::find(&mut tx, slug, Some(opening.number)).await?;
    if entry.program_id != opening.program_id {
        return Err(WaitlistError::NotEligible { id: entry_id, why: format!("she waits for another program than {slug}") });
    }
    if !matches!(opening.state, OpeningState::Open | OpeningState::Full) || opening.mode == Mode::NotifyAll {
        let hint = "offers are given in an open opening that holds seats, or in a last call";
        return Err(WaitlistError::Opening { number: opening.number, state: opening.state, hint });
    }
    if entry.state != EntryState::Waiting {
        return Err(WaitlistError::Entry { id: entry_id, state: entry.state, hint: "only somebody who waits can be offered a seat" });
    }
    if let Some(kind) = audience::live_suppressions_of_subscribers(&mut tx, &[entry.subscriber_id]).await?.first().map(|s| s.kind) {
        return Err(WaitlistError::NotEligible { id: entry_id, why: format!("suppressed: {}", kind.as_str()) });
    }
    if give::free_seats(&mut tx, &opening).await? <= 0 {
        return Err(WaitlistError::NoSeat { number: opening.number, seats: opening.seats });
    }
    let candidate = line::out_of_turn(&mut tx, opening.program_id, opening.id, entry_id).await?;
    let offers = give::insert(&mut tx, &opening, &[candidate], Some(reason), now).await?;
    let offer_id = offers.first().copied().ok_or(sqlx::Error::RowNotFound)?;
    acts::record(&mut tx, "give", "offer", Some(offer_id), reason, now).await?;
    tx.commit().await?;
    Ok(offer_id)
}

/// An offer as it stands at this instant, swept or not.
pub async fn show(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<Offer, WaitlistError> {
    let row = sqlx::query!(
        r#"SELECT f.id, f.entry_id, p.name, p.slug, o.number, o.mode AS "mode: Mode",
            CASE WHEN f.state = 'open' AND t.over_at <= $2 THEN t.then ELSE f.state END AS "state!: OfferState",
            coalesce(f.reason, 'undeliverable: ' || t.undeliverable, 'suppressed: ' || t.suppressed) AS reason,
            t.expires_at, t.ends_at, f.given_back_at IS NOT NULL AS "given_back!", e.state AS "entry: EntryState", coalesce(s.zone, o.zone) AS "zone!"
        FROM offers f JOIN offer_terms t ON t.offer_id = f.id JOIN openings o ON o.id = f.opening_id JOIN programs p ON p.id = f.program_id
        JOIN entries e ON e.id = f.entry_id JOIN subscribers s ON s.id = e.subscriber_id WHERE f.id = $1"#,
        offer_id,
        to_db(now)
    )
    .fetch_optional(conn)
    .await?
    .ok_or(WaitlistError::Unknown { what: "offer", id: offer_id })?;
    Ok(Offer {
        id: row.id,
        entry_id: row.entry_id,
        program: row.name,
        slug: row.slug,
        opening: row.number,
        mode: row.mode,
        state: row.state,
        reason: row.reason.filter(|_| matches!(row.state, OfferState::Revoked | OfferState::Declined)),
        expires_at: row.expires_at.map(from_db),
        ends_at: row.ends_at.map(from_db),
        given_back: row.given_back,
        entry: row.entry,
        zone: row.zone,
    })
}

async fn find(conn: &mut PgConnection, offer_id: i64) -> Result<OfferRow, WaitlistError> {
    store::offer(conn, offer_id).await?.ok_or(WaitlistError::Unknown { what: "offer", id: offer_id })
}

async fn hold(conn: &mut PgConnection, offer_id: i64, now: Timestamp) -> Result<OfferRow, WaitlistError> {
    let offer = find(conn, offer_id).await?;
    store::hold(conn, offer.program_id).await?;
    settle::settle_own(conn, offer.program_id, offer.entry_id, now).await?;
    find(conn, offer_id).await
}

// What is answered to whoever would accept an offer that is not open; none: it is.
fn answer(offer: &OfferRow) -> Option<Acceptance> {
    match (offer.state, over(offer)) {
        (OfferState::Open, _) => None,
        (_, Some(over)) => Some(Acceptance::Over(over)),
        (_, None) => Some(Acceptance::AlreadyAccepted),
    }
}

// An offer that holds a seat brings it along; in a last call one must be free.
async fn take(conn: &mut PgConnection, offer: &OfferRow, now: Timestamp) -> Result<Acceptance, WaitlistError> {
    let row = sqlx::query!(
        "SELECT o.seats, p.next_text, p.next_link FROM openings o JOIN programs p ON p.id = o.program_id WHERE o.id = $1",
        offer.opening_id
    )
    .fetch_one(&mut *conn)
    .await?;
    if !offer.reserving && give::taken(conn, offer.opening_id).await? >= i64::from(row.seats) {
        return Ok(Acceptance::Full);
    }
    match end(conn, offer, Ending::Accepted { next_text: row.next_text, next_link: row.next_link }, now).await {
        Ok(()) => {}
        // Its mail came back since it was looked at: no lock keeps the pump from recording that.
        Err(sqlx::Error::RowNotFound) => {
            settle::settle_own(conn, offer.program_id, offer.entry_id, now).await?;
            return Ok(answer(&find(conn, offer.id).await?).ok_or(sqlx::Error::RowNotFound)?);
        }
        Err(error) => return Err(error.into()),
    }
    store::restate(conn, offer.program_id, now).await?;
    Ok(Acceptance::Accepted)
}

async fn end(conn: &mut PgConnection, offer: &OfferRow, ending: Ending, now: Timestamp) -> sqlx::Result<()> {
    close::close(conn, offer.program_id, &[Closing { offer_id: offer.id, entry_id: offer.entry_id, ending }], now).await
}

fn over(offer: &OfferRow) -> Option<Over> {
    match offer.state {
        OfferState::Accepted if offer.given_back => Some(Over::GivenBack),
        OfferState::Open | OfferState::Accepted => None,
        OfferState::Declined => Some(Over::Declined),
        OfferState::Expired => Some(Over::Expired),
        OfferState::Revoked => Some(Over::Revoked { reason: offer.reason.clone().unwrap_or_default() }),
    }
}
