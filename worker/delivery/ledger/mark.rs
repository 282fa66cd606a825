//! The mark, which is the moment of hand-over, and the record of what came of it; both for many deliveries in one commit.
//!
//! The scribe of the pump calls [`Writer::write`] with all results and marks that connections handed in since its last commit. Every row
//! is fenced: it moves only while this worker holds it under the fence that the worker knows.

use super::super::{Key, reply::ReplyText};
use super::{
    claim::{OPENING, split},
    exchange::{At, Moved, exchange},
    repeat,
};
use crate::base::{
    time::to_db,
    wake::{self, Job},
};
use jiff::{Timestamp, civil::Date};
use sqlx::{Acquire, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// How a delivery's attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The relay answered 250 to the body.
    Sent,
    /// To be tried again from `until` on; `counted` is false when the fault was not this mail's (our authentication).
    Deferred {
        /// When it may be claimed again.
        until: Timestamp,
        /// Whether it counts as an attempt.
        counted: bool,
    },
    /// For good; `refused_address` when the relay said that there is no such address.
    Failed {
        /// 5.1.1, 5.1.2, 5.1.3 or 5.1.10 to RCPT.
        refused_address: bool,
    },
    /// The body was not begun: as if it had not been claimed.
    NotBegun,
    /// The pace does not let it go now: as if it had not been claimed, but not to be claimed before `until`. The reason names the pace.
    PutOff {
        /// When there will be room.
        until: Timestamp,
    },
    /// The body began and no answer came.
    Unconfirmed,
}

/// The result of one delivery, to be recorded.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which.
    pub key: Key,
    /// Its edition.
    pub edition_id: Option<i64>,
    /// The fence under which it is held.
    pub fence: i32,
    /// How it ended.
    pub ending: Ending,
    /// Why, for whoever reads the report; required for all but sent and not begun.
    pub reason: Option<String>,
    /// What the relay said.
    pub reply: Option<ReplyText>,
    /// The relay refused us and not the mail, or the templates of its edition cannot be used here: its edition is paused with this reason.
    pub pause: Option<String>,
}

/// A delivery that a connection wants to hand over now.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Which.
    pub key: Key,
    /// The fence under which it was claimed.
    pub fence: i32,
}

/// Writes for one worker, and remembers from one call to the next which editions are past their opening.
#[derive(Debug)]
pub struct Writer {
    worker: i64,
    lease: Duration,
    opened: HashSet<i64>,
}

impl Writer {
    /// For `worker`, whose lease is so long.
    pub fn new(worker: i64, lease: Duration) -> Self {
        Self { worker, lease, opened: HashSet::new() }
    }

    /// Writes results and marks and gives the new fence of each delivery that may be handed over now.
    ///
    /// A key that is not in the answer must not be handed over: it was stopped, taken back or ended in the meantime. What is plain, mails
    /// of editions that were accepted and marks that nothing speaks against, is one statement and one way to the database and back; what
    /// is left, because of that or because another transaction holds its row, follows in a transaction that waits for all rows first.
    pub async fn write(
        &mut self,
        conn: &mut PgConnection,
        now: Timestamp,
        records: &[Record],
        marks: &[Mark],
    ) -> sqlx::Result<HashMap<Key, i32>> {
        let at = At { worker: self.worker, lease: self.lease, now };
        let periods: BTreeSet<Date> = records.iter().map(|r| r.key.period).chain(marks.iter().map(|m| m.key.period)).collect();
        let Some(&period) = periods.first().filter(|_| periods.len() == 1 && records.iter().all(|r| self.is_plain(r))) else {
            return self.write_all(conn, at, &periods, records, marks).await;
        };
        let moved = exchange(conn, at, period, (records, marks), true).await?;
        let done: HashSet<Key> = moved.iter().map(|row| row.key).collect();
        let records: Vec<Record> = records.iter().filter(|r| !done.contains(&r.key)).cloned().collect();
        let marks: Vec<Mark> = marks.iter().filter(|m| !done.contains(&m.key)).copied().collect();
        let mut fences = marked(&moved);
        if !records.is_empty() || !marks.is_empty() {
            fences.extend(self.write_all(conn, at, &periods, &records, &marks).await?);
        }
        Ok(fences)
    }

    // Nothing but its own row changes by it.
    fn is_plain(&self, record: &Record) -> bool {
        record.ending == Ending::Sent && record.pause.is_none() && record.edition_id.is_none_or(|edition| self.opened.contains(&edition))
    }

    async fn write_all(
        &mut self,
        conn: &mut PgConnection,
        at: At,
        periods: &BTreeSet<Date>,
        records: &[Record],
        marks: &[Mark],
    ) -> sqlx::Result<HashMap<Key, i32>> {
        let mut tx = conn.begin().await?;
        // Editions before rows, rows by their ids: the order in which everyone locks.
        self.count_accepted(&mut tx, records).await?;
        pause(&mut tx, records).await?;
        lock(&mut tx, records, marks).await?;
        stop_clocks(&mut tx, at.worker, records).await?;
        let mut moved = Vec::new();
        // One after the other, so that a mark is judged by the results.
        for (records, marks) in [(records, &[][..]), (&[][..], marks)] {
            for &period in periods {
                moved.extend(exchange(&mut tx, at, period, (records, marks), false).await?);
            }
        }
        free_segments(&mut tx, &moved).await?;
        start_clocks(&mut tx, at.now, &moved).await?;
        follow(&mut tx, at.now, records, &moved).await?;
        tx.commit().await?;
        Ok(marked(&moved))
    }

    async fn count_accepted(&mut self, conn: &mut PgConnection, records: &[Record]) -> sqlx::Result<()> {
        let mut accepted: BTreeMap<i64, i32> = BTreeMap::new();
        for record in records.iter().filter(|r| r.ending == Ending::Sent) {
            if let Some(edition) = record.edition_id.filter(|edition| !self.opened.contains(edition)) {
                *accepted.entry(edition).or_default() += 1;
            }
        }
        for (edition, n) in accepted {
            let counted = sqlx::query!(
                "UPDATE editions SET accepted = least(accepted + $2, $3) WHERE id = $1 AND accepted < $3",
                edition,
                n,
                OPENING as i32
            )
            .execute(&mut *conn)
            .await?;
            // Others counted so far already, and that is never taken back.
            if counted.rows_affected() == 0 {
                self.opened.insert(edition);
            }
        }
        Ok(())
    }
}

fn marked(moved: &[Moved]) -> HashMap<Key, i32> {
    moved.iter().filter(|row| row.judged && row.state == "handing_over").map(|row| (row.key, row.fence)).collect()
}

// The edition stops in the commit that records the refusal; the campaign above it follows with the sweep.
async fn pause(conn: &mut PgConnection, records: &[Record]) -> sqlx::Result<()> {
    let mut reasons: BTreeMap<i64, &str> = BTreeMap::new();
    for record in records {
        if let (Some(edition), Some(reason)) = (record.edition_id, &record.pause) {
            reasons.insert(edition, reason);
        }
    }
    for (edition_id, reason) in reasons {
        pause_edition(conn, edition_id, reason).await?;
    }
    Ok(())
}

/// Pauses a running edition; the campaign above it follows with the sweep.
pub async fn pause_edition(conn: &mut PgConnection, edition_id: i64, reason: &str) -> sqlx::Result<()> {
    let mut tx = conn.begin().await?;
    let paused = sqlx::query!(
        "UPDATE editions SET state = 'paused', resume_to = 'running', reason = $2 WHERE id = $1 AND state = 'running'",
        edition_id,
        reason
    )
    .execute(&mut *tx)
    .await?;
    if paused.rows_affected() == 1 {
        tracing::error!(edition = edition_id, reason, "the edition was paused");
        wake::enqueue(&mut tx, &Job::Sweep).await?;
    }
    tx.commit().await
}

// One row for each, in the order in which everyone locks. As a join in that order it would be read off the primary key, the whole month of
// it: the pump's connections never sort what they read, and a sort is the only other way.
async fn lock(conn: &mut PgConnection, records: &[Record], marks: &[Mark]) -> sqlx::Result<()> {
    let keys: Vec<Key> = records.iter().map(|r| r.key).chain(marks.iter().map(|m| m.key)).collect();
    let (periods, ids) = split(&keys);
    sqlx::query!(
        "WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::date[], $2::bigint[]) AS a (period, id) ORDER BY a.period, a.id)
        SELECT locked.id FROM asked a
        CROSS JOIN LATERAL (SELECT d.id FROM deliveries d WHERE d.period = a.period AND d.id = a.id LIMIT 1 FOR NO KEY UPDATE) AS locked",
        &periods,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

// The relay certainly did not take these: what counts from the hand-over counts from the next one. Where an earlier one is in
// doubt, since the mail is repeated, it counts from that. The rows are locked.
async fn stop_clocks(conn: &mut PgConnection, worker: i64, records: &[Record]) -> sqlx::Result<()> {
    let not_taken = |r: &&Record| match r.ending {
        Ending::NotBegun | Ending::PutOff { .. } | Ending::Deferred { .. } => r.edition_id.is_none(),
        Ending::Failed { .. } => r.edition_id.is_none() && r.reply.is_none(),
        Ending::Sent | Ending::Unconfirmed => false,
    };
    let not_taken: Vec<&Record> = records.iter().filter(not_taken).collect();
    if not_taken.is_empty() {
        return Ok(());
    }
    let (periods, ids) = split(&not_taken.iter().map(|r| r.key).collect::<Vec<_>>());
    sqlx::query!(
        "UPDATE transactional t SET handed_over_at = NULL
        FROM unnest($1::date[], $2::bigint[], $3::integer[]) AS w (period, id, fence) JOIN deliveries d ON d.period = w.period AND d.id = w.id
        WHERE t.delivery_id = d.id AND d.state = 'handing_over' AND d.worker_id = $4 AND d.fence = w.fence AND d.repeated_at IS NULL",
        &periods,
        &ids,
        &not_taken.iter().map(|r| r.fence).collect::<Vec<_>>(),
        worker
    )
    .execute(conn)
    .await
    .map(drop)
}

// Who did not get a segment may get it another time. What is handed over again may have come the first time: its segment stays given.
async fn free_segments(conn: &mut PgConnection, moved: &[Moved]) -> sqlx::Result<()> {
    let free = |row: &&Moved| !row.repeated && row.state == if row.judged { "skipped" } else { "failed" };
    let (people, segments): (Vec<i64>, Vec<i64>) =
        moved.iter().filter(free).filter_map(|row| Some((row.subscriber_id?, row.segment_id?))).unzip();
    if people.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM segments_given g USING unnest($1::bigint[], $2::bigint[]) AS f (subscriber_id, segment_id)
        WHERE g.subscriber_id = f.subscriber_id AND g.segment_id = f.segment_id",
        &people,
        &segments
    )
    .execute(conn)
    .await
    .map(drop)
}

// What counts from the hand-over of a transactional mail counts from its first mark.
async fn start_clocks(conn: &mut PgConnection, now: Timestamp, moved: &[Moved]) -> sqlx::Result<()> {
    let first = |row: &&Moved| row.judged && row.state == "handing_over" && row.edition_id.is_none();
    let ids: Vec<i64> = moved.iter().filter(first).map(|row| row.key.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("UPDATE transactional SET handed_over_at = $2 WHERE delivery_id = ANY ($1) AND handed_over_at IS NULL", &ids, to_db(now))
        .execute(conn)
        .await
        .map(drop)
}

// An address that was refused is suppressed by a job; some of what is in doubt is handed over once more.
async fn follow(conn: &mut PgConnection, now: Timestamp, records: &[Record], moved: &[Moved]) -> sqlx::Result<()> {
    for row in moved.iter().filter(|row| !row.judged) {
        let refused = records.iter().any(|r| r.key == row.key && r.ending == Ending::Failed { refused_address: true });
        if refused {
            wake::enqueue(&mut *conn, &Job::SuppressRefused { period: row.key.period, delivery_id: row.key.id }).await?;
        }
    }
    let unconfirmed: Vec<Key> = records.iter().filter(|r| r.ending == Ending::Unconfirmed).map(|r| r.key).collect();
    repeat::once(conn, &unconfirmed, now).await.map(drop)
}

/// Takes back deliveries whose mark was refused or whose mark's commit was in doubt, and whose bodies were never begun:
/// whatever of them this worker still holds goes back to queued.
pub async fn take_back(conn: &mut PgConnection, worker: i64, marks: &[Mark]) -> sqlx::Result<()> {
    let (periods, ids) = split(&marks.iter().map(|m| m.key).collect::<Vec<_>>());
    let fences: Vec<i32> = marks.iter().map(|m| m.fence).collect();
    sqlx::query!(
        // One row for each, as in `lock`.
        "WITH asked AS MATERIALIZED (
            SELECT * FROM unnest($1::date[], $2::bigint[], $3::integer[]) AS a (period, id, fence) ORDER BY a.period, a.id
        ), held AS (
            SELECT d.* FROM asked a CROSS JOIN LATERAL (
                SELECT d.period, d.id, d.edition_id, d.state, d.repeated_at FROM deliveries d
                WHERE d.period = a.period AND d.id = a.id AND d.worker_id = $4
                    AND ((d.state = 'claimed' AND d.fence = a.fence) OR (d.state = 'handing_over' AND d.fence = a.fence + 1))
                LIMIT 1 FOR NO KEY UPDATE
            ) AS d
        ), stopped AS (
            -- What counts from the hand-over has not begun.
            UPDATE transactional t SET handed_over_at = NULL FROM held
            WHERE held.edition_id IS NULL AND held.state = 'handing_over' AND held.repeated_at IS NULL AND t.delivery_id = held.id
        )
        UPDATE deliveries d SET state = 'queued', ready_at = d.due_at, handing_over_at = NULL FROM held
        WHERE d.period = held.period AND d.id = held.id",
        &periods,
        &ids,
        &fences,
        worker
    )
    .execute(conn)
    .await?;
    Ok(())
}
