//! Whom an edition goes to, as a typed filter: the confirmed subscribers of a topic, or those who wait for a program.
//!
//! Subscribers are taken slice by slice in the order of their numbers. The line of a waitlist moves while it is planned, so it is
//! written down as it stands when planning begins (`edition_line`) and followed from there. The tables of the waitlist, which stands
//! beside this floor, are read here by SQL of our own, its view `opening_line` among them; nothing of them is written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::PgConnection;

use super::planning::SLICE;
use crate::base::time::to_db;

/// Whom a campaign goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    /// Everyone whose subscription to the topic is confirmed.
    Topic(i64),
    /// Everyone who waits for a seat in the program, confirmed, in the order of the line.
    Waitlist(i64),
    /// The same, of those to whom a seat of the opening could be offered.
    Opening {
        /// Its program.
        program_id: i64,
        /// The opening.
        opening_id: i64,
    },
}

impl Recipients {
    pub(super) fn of_row(topic_id: Option<i64>, program_id: Option<i64>, opening_id: Option<i64>) -> Option<Self> {
        match (topic_id, program_id, opening_id) {
            (Some(topic_id), None, _) => Some(Self::Topic(topic_id)),
            (None, Some(program_id), None) => Some(Self::Waitlist(program_id)),
            (None, Some(program_id), Some(opening_id)) => Some(Self::Opening { program_id, opening_id }),
            _ => None,
        }
    }

    pub(super) fn topic_id(self) -> Option<i64> {
        match self {
            Self::Topic(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn program_id(self) -> Option<i64> {
        match self {
            Self::Topic(_) => None,
            Self::Waitlist(program_id) | Self::Opening { program_id, .. } => Some(program_id),
        }
    }

    pub(super) fn opening_id(self) -> Option<i64> {
        match self {
            Self::Opening { opening_id, .. } => Some(opening_id),
            _ => None,
        }
    }

    /// `topic` or `waitlist`, as operators type it before a colon.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Waitlist(_) | Self::Opening { .. } => "waitlist",
        }
    }
}

/// Who would get an edition that was planned now, and who would not.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// The recipients: `planned` would be their number.
    pub recipients: i64,
    /// How many of them would be skipped, by the reason.
    pub skipped: BTreeMap<String, i64>,
    /// Who has to do with the topic or the program and is none of them, by the reason.
    pub left_out: BTreeMap<String, i64>,
    /// The addresses of the first who would get it, in the order in which it is sent.
    pub first: Vec<String>,
}

/// Counts who would get an edition; `named` of them by their addresses.
pub async fn tally(conn: &mut PgConnection, recipients: Recipients, due_at: Timestamp, named: i64) -> sqlx::Result<Tally> {
    let mut tally = Tally::default();
    let (counts, first) = match recipients {
        Recipients::Topic(topic_id) => (topic_counts(conn, topic_id, due_at).await?, topic_first(conn, topic_id, due_at, named).await?),
        Recipients::Waitlist(program_id) | Recipients::Opening { program_id, .. } => {
            let opening_id = recipients.opening_id();
            (line_counts(conn, program_id, opening_id).await?, line_first(conn, program_id, opening_id, named).await?)
        }
    };
    for Count { why, is_recipient, count } in counts {
        if is_recipient {
            tally.recipients += count;
        }
        let Some(why) = why else { continue };
        let place = if is_recipient { &mut tally.skipped } else { &mut tally.left_out };
        *place.entry(why).or_default() += count;
    }
    tally.first = first;
    Ok(tally)
}

/// The next slice of a topic's confirmed subscribers, in order; what stands against one of them is not looked at.
pub(super) async fn subscribed(conn: &mut PgConnection, topic_id: i64, cursor: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT subscriber_id FROM subscriptions WHERE topic_id = $1 AND standing = 'confirmed' AND subscriber_id > $2
        ORDER BY subscriber_id LIMIT $3",
        topic_id,
        cursor,
        SLICE
    )
    .fetch_all(conn)
    .await
}

/// Who has a row already in an edition that is yet to be planned, after one subscriber and up to another, in order. Nobody, unless the
/// edition is planned anew: then those whom a stop had skipped keep theirs (`preflight::word`), who may come back, and are counted.
pub(super) async fn kept(
    conn: &mut PgConnection,
    period: chrono::NaiveDate,
    edition_id: i64,
    (after, last): (i64, i64),
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"SELECT subscriber_id AS "subscriber_id!" FROM deliveries
        WHERE period = $1 AND edition_id = $2 AND subscriber_id > $3 AND subscriber_id <= $4 ORDER BY subscriber_id"#,
        period,
        edition_id,
        after,
        last
    )
    .fetch_all(conn)
    .await
}

/// How many recipients a topic has after one subscriber and up to another, but for those who are [`kept`]: by the filter alone and apart
/// from the rows that are written, because `planned` must be able to show that one is missing.
pub(super) async fn count_subscribed(conn: &mut PgConnection, topic_id: i64, (after, last): (i64, i64), kept: &[i64]) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscriptions n JOIN subscribers s ON s.id = n.subscriber_id
        WHERE n.topic_id = $1 AND n.standing = 'confirmed' AND n.subscriber_id > $2 AND n.subscriber_id <= $3
            -- Said of both tables: the planner does not infer it, and reads all subscribers for each slice otherwise.
            AND s.id > $2 AND s.id <= $3 AND s.id <> ALL($4::bigint[]) AND s.erased_at IS NULL
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL)"#,
        topic_id,
        after,
        last,
        kept
    )
    .fetch_one(conn)
    .await
}

/// Writes the line of a program down for an edition, as it stands now, but for those who are [`kept`]; how many are in it.
pub(super) async fn write_line(
    conn: &mut PgConnection,
    edition_id: i64,
    program_id: i64,
    opening_id: Option<i64>,
    kept: &[i64],
) -> sqlx::Result<u64> {
    let written = sqlx::query!(
        "INSERT INTO edition_line (edition_id, n, subscriber_id, entry_id)
        SELECT $1, row_number() OVER (ORDER BY -e.priority, e.joined_at, e.id), e.subscriber_id, e.id FROM entries e
        LEFT JOIN opening_line l ON l.opening_id = $3 AND l.program_id = $2 AND l.entry_id = e.id
        WHERE e.program_id = $2 AND e.state = 'waiting' AND l.passed_over IS NULL AND e.subscriber_id <> ALL($4::bigint[])
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = e.subscriber_id AND x.lifted_at IS NULL)",
        edition_id,
        program_id,
        opening_id,
        kept
    )
    .execute(conn)
    .await?;
    Ok(written.rows_affected())
}

struct Count {
    why: Option<String>,
    is_recipient: bool,
    count: i64,
}

async fn topic_counts(conn: &mut PgConnection, topic_id: i64, due_at: Timestamp) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT why, why IS NULL OR why = 'subscriber_paused' AS "is_recipient!", count(*) AS "count!" FROM (
            SELECT CASE
                WHEN s.erased_at IS NOT NULL THEN 'suppressed: erased'
                WHEN x.kind IS NOT NULL THEN 'suppressed: ' || x.kind
                WHEN n.standing <> 'confirmed' THEN n.standing
                WHEN s.paused_until > $2 THEN 'subscriber_paused'
            END AS why
            FROM subscriptions n JOIN subscribers s ON s.id = n.subscriber_id
            LEFT JOIN LATERAL (SELECT kind FROM suppressions WHERE subscriber_id = s.id AND lifted_at IS NULL ORDER BY id LIMIT 1) x ON true
            WHERE n.topic_id = $1) t
        GROUP BY why"#,
        topic_id,
        to_db(due_at)
    )
    .fetch_all(conn)
    .await
}

async fn topic_first(conn: &mut PgConnection, topic_id: i64, due_at: Timestamp, named: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT s.address AS "address!" FROM subscriptions n JOIN subscribers s ON s.id = n.subscriber_id
        WHERE n.topic_id = $1 AND n.standing = 'confirmed' AND s.erased_at IS NULL AND coalesce(s.paused_until <= $2, true)
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = s.id AND x.lifted_at IS NULL)
        ORDER BY n.subscriber_id LIMIT $3"#,
        topic_id,
        to_db(due_at),
        named
    )
    .fetch_all(conn)
    .await
}

async fn line_counts(conn: &mut PgConnection, program_id: i64, opening_id: Option<i64>) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as!(
        Count,
        r#"SELECT why, why IS NULL AS "is_recipient!", count(*) AS "count!" FROM (
            SELECT CASE
                WHEN e.state = 'unconfirmed' THEN 'unconfirmed'
                WHEN x.kind IS NOT NULL THEN 'suppressed: ' || x.kind
                WHEN e.state <> 'waiting' THEN e.state
                ELSE l.passed_over
            END AS why
            FROM entries e LEFT JOIN opening_line l ON l.opening_id = $2 AND l.program_id = $1 AND l.entry_id = e.id
            LEFT JOIN LATERAL (SELECT kind FROM suppressions WHERE subscriber_id = e.subscriber_id AND lifted_at IS NULL ORDER BY id LIMIT 1) x ON true
            WHERE e.program_id = $1) t
        GROUP BY why"#,
        program_id,
        opening_id
    )
    .fetch_all(conn)
    .await
}

async fn line_first(conn: &mut PgConnection, program_id: i64, opening_id: Option<i64>, named: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT s.address AS "address!" FROM entries e JOIN subscribers s ON s.id = e.subscriber_id
        LEFT JOIN opening_line l ON l.opening_id = $2 AND l.program_id = $1 AND l.entry_id = e.id
        WHERE e.program_id = $1 AND e.state = 'waiting' AND l.passed_over IS NULL
            AND NOT EXISTS (SELECT FROM suppressions x WHERE x.subscriber_id = e.subscriber_id AND x.lifted_at IS NULL)
        ORDER BY -e.priority, e.joined_at, e.id LIMIT $3"#,
        program_id,
        opening_id,
        named
    )
    .fetch_all(conn)
    .await
}
