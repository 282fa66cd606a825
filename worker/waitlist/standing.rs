//! How things stand, for the pages: one person with a program, and a program for whoever would join it.
//!
//! Reads only, and by the clock of each offer: one that has run out is shown so, whether or not a sweep has been there. Called by
//! the pages and by `people::preferences`.

use super::{
    WaitlistError, line, opening,
    settle::{Follows, follows},
    states::{EntryState, Mode, OpeningState, ProgramState},
};
use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use sqlx::PgConnection;

/// How a person stands with a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Her entry.
    pub entry_id: i64,
    /// The program.
    pub program_id: i64,
    /// As people read it,
    pub program: String,
    /// and in addresses.
    pub slug: String,
    /// Whether people can join it.
    pub is_open: bool,
    /// Where her entry stands.
    pub state: EntryState,
    /// Her place, where she waits.
    pub place: Option<i64>,
    /// How many wait.
    pub waiting: i64,
    /// Since when she stands where she stands.
    pub since: Timestamp,
    /// Her open offer, or the one whose seat she has.
    pub offer_id: Option<i64>,
    /// Her offer has just ended by itself, and this becomes of her place.
    pub ended: Option<Ended>,
    /// Why she is offered nothing although she waits.
    pub passed_over: Option<PassedOver>,
    /// She was put out because she let offers run out, and not by an operator.
    pub missed: bool,
    /// The entry that she has in the program now, when this one is over.
    pub again: Option<i64>,
    /// Her zone, or that of the program's last opening.
    pub zone: Option<String>,
}

/// What becomes of a place when an offer ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// To the back of the line.
    Back,
    /// It is kept.
    Kept,
    /// Out of the line.
    Out,
}

/// Why somebody who waits is offered nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedOver {
    /// She left everything.
    Left,
    /// Her address is suppressed for another cause.
    Suppressed,
    /// An operator took an offer back.
    Revoked,
    /// The mail of an offer came back.
    Undeliverable,
    /// It could not be sent in time; the next opening sees her again.
    NotSent,
    /// She let an offer of this opening run out, and keeps her place for the next.
    Missed,
    /// A last call is offered to everyone once.
    LastCall,
}

/// The opening that is open, or that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its time has come.
    pub is_open: bool,
    /// Every seat is accepted.
    pub is_full: bool,
    /// How it fills.
    pub mode: Mode,
    /// When it opens.
    pub opens_at: Timestamp,
    /// Its zone.
    pub zone: String,
}

/// How somebody stands with the program of this entry; none when there is no such entry, or she was erased.
pub async fn of_entry(conn: &mut PgConnection, entry_id: i64, now: Timestamp) -> sqlx::Result<Option<Standing>> {
    Ok(read(conn, Some(entry_id), None, now).await?.pop())
}

/// How a person stands with each program in whose line she is or was asked to be.
pub async fn of_person(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<Vec<Standing>> {
    read(conn, None, Some(subscriber_id), now).await
}

/// How many wait for a program.
pub async fn waiting(conn: &mut PgConnection, program_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT coalesce(sum(waiting), 0)::bigint AS "waiting!" FROM line_counts WHERE program_id = $1"#, program_id)
        .fetch_one(conn)
        .await
}

/// The opening of a program that is open, or else the one that comes next; none is planned: none.
pub async fn next(conn: &mut PgConnection, program_id: i64, now: Timestamp) -> sqlx::Result<Option<Next>> {
    let openings = opening::of_program(conn, program_id).await?;
    let live = openings.into_iter().filter(|o| o.state != OpeningState::Closed && o.over_at.is_none_or(|over_at| over_at > now));
    let next = live.map(|o| Next {
        is_open: o.opens_at <= now,
        is_full: o.state == OpeningState::Full,
        mode: o.mode,
        opens_at: o.opens_at,
        zone: o.zone,
    });
    Ok(next.min_by_key(|next| (!next.is_open, next.is_full, next.opens_at)))
}

/// The entry of an offer; none when there is no such offer.
pub async fn entry_of(conn: &mut PgConnection, offer_id: i64) -> Result<i64, WaitlistError> {
    let entry = sqlx::query_scalar!("SELECT entry_id FROM offers WHERE id = $1", offer_id).fetch_optional(conn).await?;
    entry.ok_or(WaitlistError::Unknown { what: "offer", id: offer_id })
}

async fn read(conn: &mut PgConnection, entry_id: Option<i64>, subscriber_id: Option<i64>, now: Timestamp) -> sqlx::Result<Vec<Standing>> {
    let rows = sqlx::query!(
        r#"SELECT e.id, e.program_id, p.name, p.slug, p.state AS "program_state: ProgramState", e.state AS "state: EntryState", e.joined_at, e.misses,
            (SELECT coalesce(sum(c.waiting), 0)::bigint FROM line_counts c WHERE c.program_id = e.program_id) AS "waiting!",
            coalesce(f.offer_id, (SELECT a.id FROM offers a WHERE a.entry_id = e.id AND a.state = 'accepted' AND a.given_back_at IS NULL)) AS offer_id,
            coalesce(f.over_at <= $3, false) AS "is_over!", f.then AS "then?", f.reserving AS "reserving?", f.after_expiry AS "after_expiry?",
            -- By what stands against her, by the opening that is open or comes next, or, without one, by what bars her from all.
            coalesce(
                (SELECT 'suppressed: ' || x.kind FROM suppressions x WHERE x.subscriber_id = e.subscriber_id AND x.lifted_at IS NULL ORDER BY x.id LIMIT 1),
                (SELECT l.passed_over FROM opening_line l JOIN openings o ON o.id = l.opening_id
                    WHERE l.entry_id = e.id AND l.program_id = e.program_id AND l.state = 'waiting' AND o.state <> 'closed' ORDER BY o.number LIMIT 1),
                CASE WHEN e.barred = 'revoked' THEN 'an operator revoked her offer'
                    WHEN e.barred = 'undeliverable' AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = e.subscriber_id
                        AND x.lifted_at >= e.barred_at) THEN 'her offer could not be delivered' END) AS passed_over,
            EXISTS (SELECT FROM entry_events v WHERE v.entry_id = e.id AND v.what = 'removed' AND v.by = 'rule') AS "missed!",
            (SELECT g.id FROM entries g WHERE g.program_id = e.program_id AND g.subscriber_id = e.subscriber_id AND g.id <> e.id
                AND g.state NOT IN ('withdrawn', 'removed')) AS again,
            coalesce(s.zone, (SELECT o.zone FROM openings o WHERE o.program_id = e.program_id ORDER BY o.number DESC LIMIT 1)) AS zone
        FROM entries e JOIN programs p ON p.id = e.program_id JOIN subscribers s ON s.id = e.subscriber_id
        LEFT JOIN LATERAL (SELECT t.offer_id, t.over_at, t.then, t.reserving, coalesce(o.after_expiry, p.after_expiry) AS after_expiry
            FROM offer_terms t JOIN openings o ON o.id = t.opening_id WHERE t.entry_id = e.id AND t.state = 'open') f ON true
        WHERE s.erased_at IS NULL AND (e.id = $1 OR e.subscriber_id = $2 AND e.state NOT IN ('withdrawn', 'removed')) ORDER BY p.name, e.id"#,
        entry_id,
        subscriber_id,
        to_db(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut standings = Vec::new();
    for row in rows {
        let ended = row.is_over.then(|| ended(row.then.as_deref(), row.reserving, row.after_expiry.as_deref(), row.misses));
        standings.push(Standing {
            entry_id: row.id,
            program_id: row.program_id,
            program: row.name,
            slug: row.slug,
            is_open: row.program_state == ProgramState::Open,
            state: row.state,
            place: line::place(conn, row.id).await?,
            waiting: row.waiting,
            since: from_db(row.joined_at),
            offer_id: row.offer_id,
            ended,
            passed_over: row.passed_over.as_deref().and_then(PassedOver::read),
            missed: row.missed,
            again: row.again,
            zone: row.zone,
        });
    }
    Ok(standings)
}

fn ended(then: Option<&str>, reserving: Option<bool>, after_expiry: Option<&str>, misses: i16) -> Ended {
    if then != Some("expired") {
        return Ended::Kept;
    }
    match follows(reserving.unwrap_or(true), after_expiry.unwrap_or_default(), misses) {
        Follows::Back => Ended::Back,
        Follows::Keep | Follows::LastCall => Ended::Kept,
        Follows::Removed => Ended::Out,
    }
}

impl Standing {
    /// Whether she stands in the line: she waits, or does again since her offer has just ended.
    pub fn waits(&self) -> bool {
        self.state == EntryState::Waiting || self.ended.is_some_and(|ended| ended != Ended::Out)
    }
}

impl PassedOver {
    // As the view `opening_line` says it.
    fn read(text: &str) -> Option<Self> {
        match text {
            "suppressed: unsubscribe_all" => Some(Self::Left),
            "an operator revoked her offer" => Some(Self::Revoked),
            "her offer could not be delivered" => Some(Self::Undeliverable),
            "her offer in this opening was not sent" => Some(Self::NotSent),
            "let her offer in this opening run out" => Some(Self::Missed),
            "had this last call already" => Some(Self::LastCall),
            other => other.starts_with("suppressed: ").then_some(Self::Suppressed),
        }
    }
}
