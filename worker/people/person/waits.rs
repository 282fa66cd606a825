//! A person's entries on waitlists, with what happened to them and the offers that were made to her.
//!
//! Read only, and of others it tells nothing. Called by `person` and `proof`, and through `person` by `export`.

use crate::base::time::from_db;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

/// One entry, over or not.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Its number.
    pub entry: i64,
    /// The program's name.
    pub program: String,
    /// unconfirmed, waiting, offered, seated, withdrawn or removed.
    pub state: String,
    /// When she first asked.
    pub asked_at: Timestamp,
    /// Since when she stands where she stands in the line.
    pub joined_at: Timestamp,
    /// When she confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// Her priority; 0 is everybody's.
    pub priority: i16,
    /// Offers that she let run out.
    pub misses: i16,
    /// Why nothing is offered to her, apart from a suppression.
    pub barred: Option<String>,
    /// Since when.
    pub barred_at: Option<Timestamp>,
    /// The offers that were made to her, the oldest first.
    pub offers: Vec<OfferMade>,
    /// What happened, the oldest first.
    pub events: Vec<EntryEvent>,
}

/// An offer of a seat.
#[derive(Debug, Serialize)]
pub struct OfferMade {
    /// Its number.
    pub offer: i64,
    /// The number of the opening.
    pub opening: i32,
    /// open, accepted, declined, expired or revoked.
    pub state: String,
    /// When it was made.
    pub offered_at: Timestamp,
    /// When its mail was first handed over.
    pub handed_over_at: Option<Timestamp>,
    /// When its time ran out, or will.
    pub expires_at: Option<Timestamp>,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// Why, where it was taken back.
    pub reason: Option<String>,
    /// When she gave the seat back.
    pub given_back_at: Option<Timestamp>,
    /// It held a seat for her: in a last call none does.
    pub reserving: bool,
    /// An operator gave it, out of turn.
    pub by_hand: bool,
    /// Her place in the line when it was made.
    pub rank: i32,
    /// How many before her got none.
    pub passed_over_in_all: i32,
}

/// Something that happened to an entry.
#[derive(Debug, Serialize)]
pub struct EntryEvent {
    /// When.
    pub at: Timestamp,
    /// joined, confirmed, offered, accepted and so on.
    pub what: String,
    /// person, operator or rule.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// The offer that it is about.
    pub offer: Option<i64>,
    /// The priority that she was given.
    pub priority: Option<i16>,
}

/// Her entries, the oldest first.
pub(in crate::people) async fn of(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Vec<Waiting>> {
    let mut entries = entries(conn, subscriber_id).await?;
    for entry in &mut entries {
        entry.offers = offers(conn, entry.entry).await?;
        entry.events = events(conn, entry.entry).await?;
    }
    Ok(entries)
}

async fn entries(conn: &mut PgConnection, subscriber_id: i64) -> sqlx::Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "SELECT e.id, p.name, e.state, e.asked_at, e.joined_at, e.confirmed_at, e.closed_at, e.priority, e.misses, e.barred, e.barred_at
         FROM entries e JOIN programs p ON p.id = e.program_id WHERE e.subscriber_id = $1 ORDER BY e.id",
        subscriber_id
    )
    .fetch_all(conn)
    .await?;
    let entry = rows.into_iter().map(|r| Waiting {
        entry: r.id,
        program: r.name,
        state: r.state,
        asked_at: from_db(r.asked_at),
        joined_at: from_db(r.joined_at),
        confirmed_at: r.confirmed_at.map(from_db),
        closed_at: r.closed_at.map(from_db),
        priority: r.priority,
        misses: r.misses,
        barred: r.barred,
        barred_at: r.barred_at.map(from_db),
        offers: Vec::new(),
        events: Vec::new(),
    });
    Ok(entry.collect())
}

async fn offers(conn: &mut PgConnection, entry_id: i64) -> sqlx::Result<Vec<OfferMade>> {
    let rows = sqlx::query!(
        "SELECT f.id, o.number, f.state, f.offered_at, t.handed_over_at, t.expires_at, f.closed_at, f.reason, f.given_back_at, f.reserving,
            f.by_hand, f.rank, f.passed_over_in_all
         FROM offers f JOIN openings o ON o.id = f.opening_id JOIN offer_terms t ON t.offer_id = f.id WHERE f.entry_id = $1 ORDER BY f.id",
        entry_id
    )
    .fetch_all(conn)
    .await?;
    let offer = rows.into_iter().map(|r| OfferMade {
        offer: r.id,
        opening: r.number,
        state: r.state,
        offered_at: from_db(r.offered_at),
        handed_over_at: r.handed_over_at.map(from_db),
        expires_at: r.expires_at.map(from_db),
        closed_at: r.closed_at.map(from_db),
        reason: r.reason,
        given_back_at: r.given_back_at.map(from_db),
        reserving: r.reserving,
        by_hand: r.by_hand,
        rank: r.rank,
        passed_over_in_all: r.passed_over_in_all,
    });
    Ok(offer.collect())
}

async fn events(conn: &mut PgConnection, entry_id: i64) -> sqlx::Result<Vec<EntryEvent>> {
    let rows = sqlx::query!("SELECT at, what, by, reason, offer_id, priority FROM entry_events WHERE entry_id = $1 ORDER BY id", entry_id)
        .fetch_all(conn)
        .await?;
    let event = rows.into_iter().map(|r| EntryEvent {
        at: from_db(r.at),
        what: r.what,
        by: r.by,
        reason: r.reason,
        offer: r.offer_id,
        priority: r.priority,
    });
    Ok(event.collect())
}
