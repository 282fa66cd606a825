//! What became of an opening: seats, offers by their state, the line, and how fast it filled; sums that add up.
//!
//! Reads only, out of one snapshot and by the clock of each offer, so that an offer that ran out counts so, swept or not.
//! `seats = accepted + held + free - excess`, and `offers = open + accepted + given back + declined + expired + revoked`.

use super::{
    WaitlistError,
    close::{Closing, Ending, Then},
    give,
    opening::{self, Opening},
    settle::{self, Whose},
    states::{EntryState, Mode},
};
use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use std::collections::HashSet;

/// The figures of an opening.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The program.
    pub program: String,
    /// The opening.
    #[serde(flatten)]
    pub opening: Opening,
    /// Every offer that was ever made in it.
    pub offers: i64,
    /// Seats that are accepted now.
    pub accepted: i64,
    /// Offers that wait for an answer.
    pub open: i64,
    /// Seats that these hold: all of them, but in a last call none.
    pub held: i64,
    /// Seats that neither are accepted nor held.
    pub free: i64,
    /// Seats accepted or held above those that there are, after a reduction.
    pub excess: i64,
    /// Accepted, and given back.
    pub given_back: i64,
    /// Offers that were declined.
    pub declined: i64,
    /// Offers that ran out.
    pub expired: i64,
    /// Offers that were revoked.
    pub revoked: i64,
    /// People who wait and can be offered a seat.
    pub waiting: i64,
    /// People who wait and are passed over.
    pub passed_over: i64,
    /// People who have not confirmed.
    pub unconfirmed: i64,
    /// Of the offers that were answered or ran out, the part that was accepted; none while there is none.
    pub conversion: Option<f64>,
    /// Seconds from the opening to the first instant at which every seat was accepted; none if it never was full.
    pub seconds_to_fill: Option<i64>,
    /// The mails of the last offers did not leave, and until then no other is tried; none: all is well.
    pub halted_until: Option<Timestamp>,
    /// The open offers, the one that ends first before the others.
    pub open_offers: Vec<OpenOffer>,
}

/// An offer that waits for an answer.
#[derive(Debug, Clone, Serialize)]
pub struct OpenOffer {
    /// Its number.
    pub offer: i64,
    /// Whose.
    pub entry: i64,
    /// Until when it holds; none while its mail was not handed over.
    pub expires_at: Option<Timestamp>,
    /// The time left, in seconds.
    pub seconds_left: Option<i64>,
}

/// The report of an opening, or of the program's latest.
pub async fn report(conn: &mut PgConnection, slug: &str, number: Option<i32>, now: Timestamp) -> Result<Report, WaitlistError> {
    let mut tx = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let opening = opening::find(&mut tx, slug, number).await?;
    let offers = offers(&mut tx, opening.id, now).await?;
    let line = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE state = 'waiting' AND passed_over IS NULL) AS "waiting!",
            count(*) FILTER (WHERE state = 'waiting' AND passed_over IS NOT NULL) AS "passed_over!", count(*) FILTER (WHERE state = 'unconfirmed') AS "unconfirmed!"
        FROM opening_line WHERE opening_id = $1 AND program_id = $2"#,
        opening.id,
        opening.program_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let over = settle::over(&mut tx, opening.program_id, Whose::All, now).await?;
    let unswept = Unswept::of(&over, &open_in(&mut tx, opening.id).await?);
    let halted_until = give::halted_until(&mut tx, opening.id).await?;
    let open_offers = open_offers(&mut tx, opening.id, now).await?;
    tx.commit().await?;
    let seats = i64::from(opening.seats);
    let held = if opening.mode == Mode::Offers { offers.open } else { 0 };
    let ended = offers.accepted + offers.given_back + offers.declined + offers.expired;
    Ok(Report {
        program: slug.to_owned(),
        offers: ended + offers.open + offers.revoked,
        accepted: offers.accepted,
        open: offers.open,
        held,
        free: (seats - offers.accepted - held).max(0),
        excess: (offers.accepted + held - seats).max(0),
        given_back: offers.given_back,
        declined: offers.declined,
        expired: offers.expired,
        revoked: offers.revoked,
        waiting: line.waiting + unswept.waiting,
        passed_over: line.passed_over + unswept.passed_over,
        unconfirmed: line.unconfirmed,
        conversion: (ended > 0).then(|| (offers.accepted + offers.given_back) as f64 / ended as f64),
        seconds_to_fill: opening.filled_at.map(|at| at.as_second() - opening.opens_at.as_second()),
        halted_until,
        open_offers,
        opening,
    })
}

/// Those whose offers are over, though nobody has written it down: they are in the line again.
#[derive(Default)]
struct Unswept {
    waiting: i64,
    passed_over: i64,
}

impl Unswept {
    // `here` are the open offers of this opening: what ended in another does not bar her from this one.
    fn of(over: &[Closing], here: &HashSet<i64>) -> Unswept {
        let mut unswept = Unswept::default();
        for closing in over.iter().filter(|closing| closing.ending.entry_state() == EntryState::Waiting) {
            let passed_over = match &closing.ending {
                Ending::Expired(Then::Keep | Then::LastCall) | Ending::NotSent | Ending::Undeliverable(_) => {
                    here.contains(&closing.offer_id)
                }
                ending => !matches!(ending, Ending::Expired(_)),
            };
            *(if passed_over { &mut unswept.passed_over } else { &mut unswept.waiting }) += 1;
        }
        unswept
    }
}

async fn open_in(conn: &mut PgConnection, opening_id: i64) -> sqlx::Result<HashSet<i64>> {
    let ids = sqlx::query_scalar!("SELECT id FROM offers WHERE opening_id = $1 AND state = 'open'", opening_id).fetch_all(conn).await?;
    Ok(ids.into_iter().collect())
}

struct Offers {
    open: i64,
    accepted: i64,
    given_back: i64,
    declined: i64,
    expired: i64,
    revoked: i64,
}

async fn offers(conn: &mut PgConnection, opening_id: i64, now: Timestamp) -> sqlx::Result<Offers> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE now_is = 'open') AS "open!", count(*) FILTER (WHERE now_is = 'accepted' AND given_back_at IS NULL) AS "accepted!",
            count(*) FILTER (WHERE given_back_at IS NOT NULL) AS "given_back!", count(*) FILTER (WHERE now_is = 'declined') AS "declined!",
            count(*) FILTER (WHERE now_is = 'expired') AS "expired!", count(*) FILTER (WHERE now_is = 'revoked') AS "revoked!"
        FROM (SELECT CASE WHEN f.state = 'open' AND t.over_at <= $2 THEN t.then ELSE f.state END AS now_is, f.given_back_at
            FROM offers f JOIN offer_terms t ON t.offer_id = f.id WHERE f.opening_id = $1) o"#,
        opening_id,
        to_db(now)
    )
    .fetch_one(conn)
    .await?;
    Ok(Offers {
        open: row.open,
        accepted: row.accepted,
        given_back: row.given_back,
        declined: row.declined,
        expired: row.expired,
        revoked: row.revoked,
    })
}

async fn open_offers(conn: &mut PgConnection, opening_id: i64, now: Timestamp) -> sqlx::Result<Vec<OpenOffer>> {
    let rows = sqlx::query!(
        r#"SELECT offer_id AS "offer_id!", entry_id AS "entry_id!", expires_at FROM offer_terms
        WHERE opening_id = $1 AND state = 'open' AND over_at > $2 ORDER BY expires_at NULLS LAST, offer_id"#,
        opening_id,
        to_db(now)
    )
    .fetch_all(conn)
    .await?;
    let open = rows.into_iter().map(|row| {
        let expires_at = row.expires_at.map(from_db);
        let seconds_left = expires_at.map(|at| at.as_second() - now.as_second());
        OpenOffer { offer: row.offer_id, entry: row.entry_id, expires_at, seconds_left }
    });
    Ok(open.collect())
}
