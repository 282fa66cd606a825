//! The rows that every act on the waitlist begins with, and the lock before all of them.
//!
//! Order of locks: the program's row (shared; alone for whoever adds or changes an opening's terms), its openings by their ids,
//! then entries, offers and deliveries. A subscriber's row may be held before all of these, never after them.

use super::{
    WaitlistError,
    states::{EntryState, OfferState},
};
use crate::base::{
    database::is_to_be_retried,
    time::{from_db, to_db},
    wake::{self, Job},
};
use jiff::Timestamp;
use sqlx::PgConnection;

/// Does an act again that met another in a deadlock and was taken back whole; the one place for all acts on a waitlist.
macro_rules! retried {
    ($act:expr) => {{
        let mut races = 0;
        loop {
            match $act.await {
                Err(error) if $crate::waitlist::store::lost_a_race(&error, &mut races) => {}
                done => break done,
            }
        }
    }};
}
pub(super) use retried;

/// Whether an act is to be done again because it met another; after a few times it is told.
pub(super) fn lost_a_race(error: &WaitlistError, races: &mut u32) -> bool {
    *races += 1;
    matches!(error, WaitlistError::Database(error) if is_to_be_retried(error)) && *races <= 5
}

/// Locks the openings of a program, all of them and always in the same order: seats are given, taken and freed by one at a time.
pub(super) async fn hold(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<()> {
    // No opening comes in between, since adding one takes this row alone.
    sqlx::query!("SELECT id FROM programs WHERE id = $1 FOR KEY SHARE", program_id).fetch_optional(&mut *conn).await?;
    hold_openings(conn, program_id).await
}

/// The same for whoever adds an opening or changes the terms of all.
pub(super) async fn hold_alone(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM programs WHERE id = $1 FOR UPDATE", program_id).fetch_optional(&mut *conn).await?;
    hold_openings(conn, program_id).await
}

async fn hold_openings(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM openings WHERE program_id = $1 ORDER BY id FOR NO KEY UPDATE", program_id).fetch_all(conn).await.map(drop)
}

/// An entry as an act finds it.
#[derive(Debug, Clone)]
pub(super) struct EntryRow {
    pub(super) id: i64,
    pub(super) program_id: i64,
    pub(super) subscriber_id: i64,
    pub(super) state: EntryState,
    /// Her open offer, or the one whose seat she has.
    pub(super) offer_id: Option<i64>,
}

pub(super) async fn entry(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<EntryRow>> {
    sqlx::query_as!(
        EntryRow,
        r#"SELECT e.id, e.program_id, e.subscriber_id, e.state AS "state: EntryState",
            (SELECT f.id FROM offers f WHERE f.entry_id = e.id AND (f.state = 'open' OR f.state = 'accepted' AND f.given_back_at IS NULL)) AS offer_id
        FROM entries e WHERE e.id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// An offer as an act finds it.
#[derive(Debug, Clone)]
pub(super) struct OfferRow {
    pub(super) id: i64,
    pub(super) program_id: i64,
    pub(super) opening_id: i64,
    pub(super) entry_id: i64,
    pub(super) state: OfferState,
    pub(super) reserving: bool,
    pub(super) reason: Option<String>,
    pub(super) given_back: bool,
}

pub(super) async fn offer(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<OfferRow>> {
    sqlx::query_as!(
        OfferRow,
        r#"SELECT id, program_id, opening_id, entry_id, state AS "state: OfferState", reserving, reason, given_back_at IS NOT NULL AS "given_back!"
        FROM offers WHERE id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Who did something.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    Person,
    Operator,
    Rule,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Operator => "operator",
            Self::Rule => "rule",
        }
    }
}

/// One thing that happened to an entry.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) entry_id: i64,
    pub(super) offer_id: Option<i64>,
    pub(super) what: &'static str,
    pub(super) by: By,
    pub(super) reason: Option<&'a str>,
    pub(super) priority: Option<i16>,
}

impl<'a> Event<'a> {
    pub(super) fn new(entry_id: i64, what: &'static str, by: By) -> Event<'a> {
        Event { entry_id, offer_id: None, what, by, reason: None, priority: None }
    }
}

pub(super) async fn record(conn: &mut PgConnection, events: &[Event<'_>], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO entry_events (entry_id, offer_id, what, by, reason, priority, at)
        SELECT entry_id, offer_id, what, by, reason, priority, $7 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::smallint[])
            WITH ORDINALITY AS e (entry_id, offer_id, what, by, reason, priority, n) ORDER BY n",
        &events.iter().map(|e| e.entry_id).collect::<Vec<_>>(),
        &events.iter().map(|e| e.offer_id).collect::<Vec<_>>() as &[Option<i64>],
        &events.iter().map(|e| e.what.to_owned()).collect::<Vec<_>>(),
        &events.iter().map(|e| e.by.as_str().to_owned()).collect::<Vec<_>>(),
        &events.iter().map(|e| e.reason.map(str::to_owned)).collect::<Vec<_>>() as &[Option<String>],
        &events.iter().map(|e| e.priority).collect::<Vec<_>>() as &[Option<i16>],
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// The last place in the line: now, or behind whoever stands there by a clock that was ahead.
pub(super) async fn end_of_line(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<Timestamp> {
    let last = sqlx::query_scalar!("SELECT max(joined_at) FROM entries WHERE program_id = $1", program_id).fetch_one(conn).await?;
    Ok(last.map(from_db).map_or(now, |last| last.max(now)))
}

/// Full is an opening whose seats are all accepted, open one that has others; when it was full first is kept.
pub(super) async fn restate(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE openings o SET state = s.state, filled_at = CASE WHEN s.state = 'full' AND o.seats > 0 THEN coalesce(o.filled_at, $2) ELSE o.filled_at END FROM (
            SELECT o.id, CASE WHEN o.mode <> 'notify-all' AND o.seats <=
                (SELECT count(*) FROM offers f WHERE f.opening_id = o.id AND f.state = 'accepted' AND f.given_back_at IS NULL)
                THEN 'full' ELSE 'open' END AS state
            FROM openings o WHERE o.program_id = $1 AND o.state IN ('open', 'full')) s
        WHERE o.id = s.id AND o.state <> s.state",
        program_id,
        to_db(now)
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Has a worker look whether a seat of the program can be offered, once this transaction stands.
pub(super) async fn wake(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<()> {
    wake::enqueue(conn, &Job::AdvanceWaitlist { program_id }).await
}

/// A reason that says something.
pub(super) fn given(reason: &str) -> Result<&str, WaitlistError> {
    match reason.trim() {
        "" => Err(WaitlistError::NoReason),
        reason => Ok(reason),
    }
}
