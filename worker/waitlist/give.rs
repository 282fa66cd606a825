//! Giving offers: the rows, the entries that they move, the mails, and the reminders once their clocks run.
//!
//! Called by `opening::advance` for those who are next, and by `offer::give` for one by hand. The caller holds the program's
//! openings and has settled them.

use super::{
    line::{self, Candidate, Reach},
    mail::{self, Kind, Mail, OFFERS_FOR},
    opening::{self, Opening},
    states::{Mode, OpeningState},
    store::{self, By, Event},
};
use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::HashMap;

/// So many offers are given in one transaction; the next follows at once.
pub(super) const AT_ONCE: i64 = 1_000;

/// Offers the free seats of every open opening of a program, in the order of their numbers; how many, and whether more are to be given.
pub(super) async fn give(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<(u64, bool)> {
    let (mut given, mut more) = (0, false);
    for opening in opening::of_program(conn, program_id).await? {
        let mut seats = free_seats(conn, &opening).await?.min(AT_ONCE);
        if let Some(until) = if seats > 0 { halted_until(conn, opening.id).await? } else { None } {
            seats = probe(program_id, &opening, until, now);
        }
        if seats <= 0 {
            continue;
        }
        let selection = line::select(conn, program_id, opening.id, seats, Reach::Offered).await?;
        more |= selection.offered.len() as i64 == AT_ONCE;
        given += selection.offered.len() as u64;
        insert(conn, &opening, &selection.offered, None, now).await?;
    }
    remind(conn, program_id, now).await?;
    Ok((given, more))
}

/// Until when an opening offers nothing by itself, because the mails of its last offers did not leave; none: it goes on.
pub(super) async fn halted_until(conn: &mut PgConnection, opening_id: i64) -> sqlx::Result<Option<Timestamp>> {
    let until = sqlx::query_scalar!("SELECT opening_halted_until($1)", opening_id).fetch_one(conn).await?;
    Ok(until.map(from_db))
}

// One offer is tried when the hour has come.
fn probe(program_id: i64, opening: &Opening, until: Timestamp, now: Timestamp) -> i64 {
    let tried = i64::from(until <= now);
    let number = opening.number;
    tracing::warn!(program = program_id, opening = number, %until, tried, "the mails of the last offers of an opening did not leave: one an hour is tried");
    tried
}

/// How many offers an opening can give now. A last call gives everyone one, as long as a seat is left.
pub(super) async fn free_seats(conn: &mut PgConnection, opening: &Opening) -> sqlx::Result<i64> {
    if !matches!(opening.state, OpeningState::Open | OpeningState::Full) || opening.mode == Mode::NotifyAll {
        return Ok(0);
    }
    let free = i64::from(opening.seats) - taken(conn, opening.id).await?;
    Ok(if opening.mode == Mode::LastCall && free > 0 { i64::MAX } else { free })
}

/// The seats of an opening that are accepted, or held by open offers.
pub(super) async fn taken(conn: &mut PgConnection, opening_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM offers
        WHERE opening_id = $1 AND given_back_at IS NULL AND (state = 'accepted' OR state = 'open' AND reserving)"#,
        opening_id
    )
    .fetch_one(conn)
    .await
}

/// Writes the offers and their mails; the offers' numbers. `by_hand` is an operator's reason.
pub(super) async fn insert(
    conn: &mut PgConnection,
    opening: &Opening,
    candidates: &[Candidate],
    by_hand: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<Vec<i64>> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let offers = insert_offers(conn, opening, candidates, by_hand.is_some(), now).await?;
    let entries: Vec<i64> = candidates.iter().map(|c| c.entry_id).collect();
    sqlx::query!("UPDATE entries SET state = 'offered', barred = NULL, barred_at = NULL, barred_in = NULL WHERE id = ANY($1)", &entries)
        .execute(&mut *conn)
        .await?;
    let by = if by_hand.is_some() { By::Operator } else { By::Rule };
    let event =
        |(entry_id, offer_id): (&i64, &i64)| Event { offer_id: Some(*offer_id), reason: by_hand, ..Event::new(*entry_id, "offered", by) };
    store::record(conn, &entries.iter().zip(&offers).map(event).collect::<Vec<_>>(), now).await?;
    let worth_sending = opening.over_at.map_or(now + OFFERS_FOR, |end| end.min(now + OFFERS_FOR));
    let letter = |(entry_id, offer_id): (&i64, &i64)| Mail {
        kind: Kind::Offer,
        entry_id: *entry_id,
        offer_id: Some(*offer_id),
        more: json!({ "mode": opening.mode, "offer_for_seconds": opening.offer_for.as_secs(), "ends": opening.over_at }),
        due_at: now,
        valid_until: worth_sending,
    };
    mail::send(conn, entries.iter().zip(&offers).map(letter).collect(), now).await?;
    Ok(offers)
}

async fn insert_offers(
    conn: &mut PgConnection,
    opening: &Opening,
    candidates: &[Candidate],
    by_hand: bool,
    now: Timestamp,
) -> sqlx::Result<Vec<i64>> {
    let rows = sqlx::query!(
        "INSERT INTO offers (program_id, opening_id, entry_id, reserving, by_hand, offered_at, rank, passed_over, passed_over_in_all)
        SELECT $1, $2, entry_id, $3, $4, $5, rank, passed_over, in_all
        FROM unnest($6::bigint[], $7::integer[], $8::jsonb[], $9::integer[]) WITH ORDINALITY AS c (entry_id, rank, passed_over, in_all, n) ORDER BY n
        RETURNING id, entry_id",
        opening.program_id,
        opening.id,
        opening.mode == Mode::Offers,
        by_hand,
        to_db(now),
        &candidates.iter().map(|c| c.entry_id).collect::<Vec<_>>(),
        &candidates.iter().map(|c| c.rank).collect::<Vec<_>>(),
        &candidates.iter().map(|c| json!(c.passed_over)).collect::<Vec<_>>(),
        &candidates.iter().map(|c| c.passed_over_in_all).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    let by_entry: HashMap<i64, i64> = rows.into_iter().map(|row| (row.entry_id, row.id)).collect();
    Ok(candidates.iter().filter_map(|c| by_entry.get(&c.entry_id).copied()).collect())
}

// Once the offer's clock runs: when to remind is known only then. An offer shorter than the time before its end has none.
async fn remind(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"SELECT t.offer_id AS "offer_id!", t.entry_id AS "entry_id!", t.expires_at AS "expires_at!", o.mode, o.remind_before_seconds
        FROM offer_terms t JOIN openings o ON o.id = t.opening_id
        WHERE t.program_id = $1 AND t.state = 'open' AND t.over_at > $2 AND o.remind_before_seconds > 0
            AND t.expires_at - make_interval(secs => o.remind_before_seconds) > t.handed_over_at AND t.reminded IS NULL
        ORDER BY t.offer_id"#,
        program_id,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let letters = rows.into_iter().map(|row| {
        let expires = from_db(row.expires_at);
        Mail {
            kind: Kind::Reminder,
            entry_id: row.entry_id,
            offer_id: Some(row.offer_id),
            more: json!({ "mode": row.mode, "expires": expires }),
            due_at: expires - jiff::SignedDuration::from_secs(row.remind_before_seconds.into()),
            valid_until: expires,
        }
    });
    mail::send(conn, letters.collect(), now).await
}
