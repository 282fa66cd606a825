//! The line: who is next, who is passed over and why, and at which place somebody stands.
//!
//! One selection serves the giving of offers and the dry run, so that what is printed is what would be done. Order: priority
//! (the higher first), then when she joined, then the number of her entry.

use super::states::EntryState;
use crate::base::time::{from_db, to_db};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use std::{cmp::Reverse, collections::HashSet};

/// An offer keeps so many of those who were passed over by name, and the number of all.
pub const NAMED: usize = 100;

/// Somebody to whom a seat is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Her entry.
    #[serde(rename = "entry")]
    pub entry_id: i64,
    /// Her place in the line, from 1.
    pub rank: i32,
    /// The first of those before her who get none.
    #[serde(skip)]
    pub passed_over: Vec<PassedOver>,
    /// How many these are in all.
    pub passed_over_in_all: i32,
}

/// Somebody who is not offered a seat although she stands before others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Her entry.
    #[serde(rename = "entry")]
    pub entry_id: i64,
    /// Why.
    pub why: String,
}

/// Who would be next in an opening.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// In order.
    pub offered: Vec<Candidate>,
    /// In order: everybody before the last who is offered a seat, or to the end of the line when seats are left.
    pub passed_over: Vec<PassedOver>,
}

/// How far a selection looks for those who are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Up to the last who is offered a seat.
    Offered,
    /// To the end of the line, where seats are left.
    Whole,
}

/// The next `seats` of a program's line for an opening.
pub(super) async fn select(conn: &mut PgConnection, program_id: i64, opening_id: i64, seats: i64, reach: Reach) -> sqlx::Result<Selection> {
    let heads = heads(conn, program_id, opening_id, seats).await?;
    let up_to = match (reach, heads.last()) {
        (Reach::Offered, None) => return Ok(Selection::default()),
        (Reach::Whole, _) if (heads.len() as i64) < seats => None,
        (_, last) => last.map(|head| head.place),
    };
    let chosen: HashSet<i64> = heads.iter().map(|head| head.place.2).collect();
    let mut passed = passed(conn, program_id, opening_id, up_to).await?;
    passed.retain(|one| !chosen.contains(&one.place.2));
    Ok(merge(&heads, &passed))
}

/// One person's place in the line and those before her, for an offer by hand.
pub(super) async fn out_of_turn(conn: &mut PgConnection, program_id: i64, opening_id: i64, entry_id: i64) -> sqlx::Result<Candidate> {
    let row = sqlx::query!("SELECT priority, joined_at FROM entries WHERE id = $1", entry_id).fetch_one(&mut *conn).await?;
    let rank = rank(conn, program_id, Place(Reverse(row.priority), from_db(row.joined_at), entry_id)).await?;
    let before = sqlx::query!(
        r#"SELECT entry_id AS "entry_id!", coalesce(passed_over, 'an operator gave this offer by hand') AS "why!" FROM opening_line
        WHERE opening_id = $1 AND program_id = $2 AND (turn, joined_at, entry_id) < (-$3::smallint, $4, $5) ORDER BY turn, joined_at, entry_id LIMIT $6"#,
        opening_id,
        program_id,
        row.priority,
        row.joined_at,
        entry_id,
        NAMED as i64
    )
    .fetch_all(&mut *conn)
    .await?;
    let unconfirmed = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM entries WHERE program_id = $1 AND state = 'unconfirmed' AND (-priority, joined_at, id) < (-$2::smallint, $3, $4)"#,
        program_id,
        row.priority,
        row.joined_at,
        entry_id
    )
    .fetch_one(conn)
    .await?;
    let passed_over = before.into_iter().map(|row| PassedOver { entry_id: row.entry_id, why: row.why }).collect();
    Ok(Candidate { entry_id, rank: small(rank), passed_over, passed_over_in_all: small(rank - 1 + unconfirmed) })
}

/// At which place of the line somebody who waits stands, from 1; none for whoever does not wait.
pub async fn place(conn: &mut PgConnection, entry_id: i64) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query!(r#"SELECT program_id, priority, joined_at, state AS "state: EntryState" FROM entries WHERE id = $1"#, entry_id)
        .fetch_optional(&mut *conn)
        .await?;
    match row {
        Some(row) if row.state == EntryState::Waiting => {
            Ok(Some(rank(conn, row.program_id, Place(Reverse(row.priority), from_db(row.joined_at), entry_id)).await?))
        }
        _ => Ok(None),
    }
}

/// Ordered as the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Reverse<i16>, Timestamp, i64);

/// No priority is as low.
const BEHIND_ALL: Place = Place(Reverse(-2000), Timestamp::UNIX_EPOCH, 0);

struct Head {
    place: Place,
}

struct Passed {
    place: Place,
    waits: bool,
    why: String,
}

// Whole hours are counted already; only those of her own hour are counted one by one.
async fn rank(conn: &mut PgConnection, program_id: i64, Place(Reverse(priority), joined_at, entry_id): Place) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT 1 + (
            SELECT coalesce(sum(waiting), 0)::bigint FROM line_counts
            WHERE program_id = $1 AND (priority > $2 OR priority = $2 AND hour < joining_hour($3))
        ) + (
            SELECT count(*) FROM entries WHERE program_id = $1 AND state = 'waiting' AND -priority = -$2::smallint
                AND joined_at >= joining_hour($3) AND (joined_at, id) < ($3, $4)
        ) AS "rank!""#,
        program_id,
        priority,
        to_db(joined_at),
        entry_id
    )
    .fetch_one(conn)
    .await
}

async fn heads(conn: &mut PgConnection, program_id: i64, opening_id: i64, seats: i64) -> sqlx::Result<Vec<Head>> {
    let rows = sqlx::query!(
        r#"SELECT entry_id AS "entry_id!", priority AS "priority!", joined_at AS "joined_at!" FROM opening_line
        WHERE opening_id = $1 AND program_id = $2 AND state = 'waiting' AND passed_over IS NULL
        ORDER BY turn, joined_at, entry_id LIMIT $3"#,
        opening_id,
        program_id,
        seats.max(0)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Head { place: Place(Reverse(row.priority), from_db(row.joined_at), row.entry_id) }).collect())
}

// Two ranges of two partial indexes, up to the last who is offered a seat; the chosen are among them. Whoever became able
// between the two statements, as by a suppression that was lifted, is named too: nobody is passed over in silence.
async fn passed(conn: &mut PgConnection, program_id: i64, opening_id: i64, up_to: Option<Place>) -> sqlx::Result<Vec<Passed>> {
    let Place(Reverse(priority), joined_at, id) = up_to.unwrap_or(BEHIND_ALL);
    let rows = sqlx::query!(
        r#"SELECT entry_id AS "entry_id!", priority AS "priority!", joined_at AS "joined_at!", passed_over AS "why!", false AS "waits!", turn FROM opening_line
        WHERE opening_id = $1 AND program_id = $2 AND state = 'unconfirmed' AND (turn, joined_at, entry_id) < (-$3::smallint, $4, $5)
        UNION ALL SELECT entry_id, priority, joined_at, coalesce(passed_over, 'became able a moment later'), true, turn FROM opening_line
        WHERE opening_id = $1 AND program_id = $2 AND state = 'waiting'
            AND (turn, joined_at, entry_id) < (-$3::smallint, $4, $5)
        ORDER BY 6, 3, 1"#,
        opening_id,
        program_id,
        priority,
        to_db(joined_at),
        id
    )
    .fetch_all(conn)
    .await?;
    let passed = rows.into_iter().map(|row| Passed {
        place: Place(Reverse(row.priority), from_db(row.joined_at), row.entry_id),
        waits: row.waits,
        why: row.why,
    });
    Ok(passed.collect())
}

fn merge(heads: &[Head], passed: &[Passed]) -> Selection {
    let all: Vec<PassedOver> = passed.iter().map(|p| PassedOver { entry_id: p.place.2, why: p.why.clone() }).collect();
    let (mut before, mut waiting) = (0, 0);
    let offered = heads.iter().enumerate().map(|(index, head)| {
        while passed.get(before).is_some_and(|p| p.place < head.place) {
            waiting += usize::from(passed[before].waits);
            before += 1;
        }
        Candidate {
            entry_id: head.place.2,
            rank: small((index + waiting + 1) as i64),
            passed_over: all[..before.min(NAMED)].to_vec(),
            passed_over_in_all: small(before as i64),
        }
    });
    Selection { offered: offered.collect(), passed_over: all }
}

fn small(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, id: i64) -> Place {
        Place(Reverse(0), Timestamp::from_second(second).unwrap(), id)
    }

    #[test]
    fn the_line_is_ordered_by_priority_then_by_joining_then_by_number() {
        let first = Place(Reverse(5), Timestamp::from_second(9).unwrap(), 9);
        let mut places = [at(2, 1), at(1, 8), at(1, 7), first];
        places.sort();
        assert_eq!(places, [first, at(1, 7), at(1, 8), at(2, 1)]);
    }

    #[test]
    fn each_candidate_names_those_before_her_who_get_none() {
        let passed = |second, id, waits, why: &str| Passed { place: at(second, id), waits, why: why.to_owned() };
        let heads = [Head { place: at(2, 2) }, Head { place: at(5, 5) }];
        let passed = [passed(1, 1, false, "unconfirmed"), passed(3, 3, true, "suppressed: manual"), passed(6, 6, false, "unconfirmed")];
        let selection = merge(&heads, &passed);
        let seen: Vec<_> = selection.offered.iter().map(|c| (c.entry_id, c.rank, c.passed_over.len(), c.passed_over_in_all)).collect();
        // The unconfirmed have no place in the line yet.
        assert_eq!(seen, [(2, 1, 1, 1), (5, 3, 2, 2)]);
        assert_eq!(selection.passed_over.len(), 3);
    }
}
