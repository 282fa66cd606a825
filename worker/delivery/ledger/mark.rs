//! The mark, which is the moment of hand-over, and the record of what came of it; both for many deliveries in one commit.
//!
//! The scribe of the pump calls `write` with all results and marks that connections handed in since its last commit. Every row
//! is fenced: it moves only while this worker holds it under the fence that the worker knows.

use super::super::{Key, reply::ReplyText};
use super::{
    claim::{BETWEEN_TIPS, OPENING, oldest_recent, split},
    repeat,
};
use crate::base::{
    time::{civil_from_db, to_db},
    wake::{self, Job},
};
use jiff::Timestamp;
use sqlx::{Acquire, PgConnection, postgres::types::PgInterval};
use std::{
    collections::{BTreeMap, HashMap},
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

/// Writes results and marks in one transaction and gives the new fence of each delivery that may be handed over now.
///
/// A key that is not in the answer must not be handed over: it was stopped, taken back or ended in the meantime.
pub async fn write(
    conn: &mut PgConnection,
    worker: i64,
    lease: Duration,
    now: Timestamp,
    records: &[Record],
    marks: &[Mark],
) -> sqlx::Result<HashMap<Key, i32>> {
    let mut tx = conn.begin().await?;
    // Editions before rows, rows by their ids: the order in which everyone locks.
    count_accepted(&mut tx, records).await?;
    pause(&mut tx, records).await?;
    lock(&mut tx, records, marks).await?;
    record(&mut tx, worker, now, records).await?;
    let marked = mark(&mut tx, worker, lease, now, marks).await?;
    tx.commit().await?;
    Ok(marked)
}

async fn count_accepted(conn: &mut PgConnection, records: &[Record]) -> sqlx::Result<()> {
    let mut accepted: BTreeMap<i64, i32> = BTreeMap::new();
    for record in records.iter().filter(|r| r.ending == Ending::Sent) {
        if let Some(edition) = record.edition_id {
            *accepted.entry(edition).or_default() += 1;
        }
    }
    for (edition, n) in accepted {
        sqlx::query!("UPDATE editions SET accepted = least(accepted + $2, $3) WHERE id = $1 AND accepted < $3", edition, n, OPENING as i32)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
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

async fn lock(conn: &mut PgConnection, records: &[Record], marks: &[Mark]) -> sqlx::Result<()> {
    let keys: Vec<Key> = records.iter().map(|r| r.key).chain(marks.iter().map(|m| m.key)).collect();
    let (periods, ids) = split(&keys);
    sqlx::query!(
        "SELECT d.id FROM unnest($1::date[], $2::bigint[]) AS w (period, id) JOIN deliveries d ON d.period = w.period AND d.id = w.id
        ORDER BY d.period, d.id FOR NO KEY UPDATE OF d",
        &periods,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "one statement, to be read as one")]
async fn record(conn: &mut PgConnection, worker: i64, now: Timestamp, records: &[Record]) -> sqlx::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    stop_clocks(conn, worker, records).await?;
    let (periods, ids) = split(&records.iter().map(|r| r.key).collect::<Vec<_>>());
    let fences: Vec<i32> = records.iter().map(|r| r.fence).collect();
    let states: Vec<String> = records.iter().map(|r| state_after(&r.ending).to_owned()).collect();
    let reasons: Vec<Option<String>> = records.iter().map(|r| r.reason.as_ref().map(|text| text.replace('\0', ""))).collect();
    let untils: Vec<Option<chrono::DateTime<chrono::Utc>>> = records
        .iter()
        .map(|r| match r.ending {
            Ending::Deferred { until, .. } | Ending::PutOff { until } => Some(to_db(until)),
            _ => None,
        })
        .collect();
    let counted: Vec<bool> = records
        .iter()
        .map(|r| !matches!(r.ending, Ending::NotBegun | Ending::PutOff { .. } | Ending::Deferred { counted: false, .. }))
        .collect();
    let codes: Vec<Option<i16>> = records.iter().map(|r| r.reply.as_ref().and_then(|x| i16::try_from(x.code).ok())).collect();
    let enhanced: Vec<Option<String>> = records.iter().map(|r| r.reply.as_ref().and_then(|x| x.enhanced).map(|e| e.to_string())).collect();
    let replies: Vec<Option<String>> = records.iter().map(|r| r.reply.as_ref().map(|x| x.to_string())).collect();
    let moved = sqlx::query!(
        r#"WITH r AS (
            SELECT * FROM unnest($1::date[], $2::bigint[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::smallint[],
                $9::text[], $10::text[]) AS r (period, id, fence, state, reason, until, counted, code, enhanced, reply)
        ), moved AS (
            UPDATE deliveries d SET
                state = r.state,
                reason = r.reason,
                ready_at = CASE r.state WHEN 'deferred' THEN r.until WHEN 'queued' THEN coalesce(r.until, d.due_at) END,
                put_off_until = CASE WHEN r.state = 'queued' AND r.until IS NOT NULL THEN r.until ELSE d.put_off_until END,
                attempts = d.attempts + r.counted::integer,
                breaks = d.breaks + (NOT r.counted AND d.state = 'handing_over')::integer,
                reply_code = coalesce(r.code, d.reply_code),
                enhanced_code = CASE WHEN r.reply IS NULL THEN d.enhanced_code ELSE r.enhanced END,
                reply = coalesce(r.reply, d.reply),
                handing_over_at = CASE WHEN r.state = 'queued' THEN NULL ELSE d.handing_over_at END,
                finished_at = CASE WHEN r.state IN ('sent', 'failed', 'unconfirmed') THEN $12::timestamptz END
            FROM r
            WHERE d.period = r.period AND d.id = r.id AND d.worker_id = $11 AND d.fence = r.fence
                -- A late answer still counts for what was given up as unconfirmed, and for what waits to be repeated because
                -- of that; nothing else is ever reopened by it.
                AND (d.state IN ('claimed', 'handing_over')
                    OR ((d.state = 'unconfirmed' OR (d.state = 'queued' AND d.repeated_at IS NOT NULL)) AND r.state IN ('sent', 'failed')))
            RETURNING d.period, d.id, d.state, d.subscriber_id, d.segment_id, d.repeated_at
        ), freed AS (
            -- What is handed over again may have come the first time: its segment stays given.
            DELETE FROM segments_given g USING moved
            WHERE moved.state = 'failed' AND moved.repeated_at IS NULL AND g.subscriber_id = moved.subscriber_id AND g.segment_id = moved.segment_id
        )
        SELECT period AS "period!", id AS "id!" FROM moved"#,
        &periods,
        &ids,
        &fences,
        &states,
        &reasons as &[Option<String>],
        &untils as &[Option<chrono::DateTime<chrono::Utc>>],
        &counted,
        &codes as &[Option<i16>],
        &enhanced as &[Option<String>],
        &replies as &[Option<String>],
        worker,
        to_db(now),
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in moved {
        let key = Key { period: civil_from_db(row.period), id: row.id };
        let refused = records.iter().any(|r| r.key == key && r.ending == Ending::Failed { refused_address: true });
        if refused {
            wake::enqueue(&mut *conn, &Job::SuppressRefused { period: key.period, delivery_id: key.id }).await?;
        }
    }
    let unconfirmed: Vec<Key> = records.iter().filter(|r| r.ending == Ending::Unconfirmed).map(|r| r.key).collect();
    repeat::once(conn, &unconfirmed, now).await?;
    Ok(())
}

// The relay certainly did not take these: what counts from the hand-over counts from the next one. Where an earlier one is in
// doubt, since the mail is repeated, it counts from that. The rows are locked.
async fn stop_clocks(conn: &mut PgConnection, worker: i64, records: &[Record]) -> sqlx::Result<()> {
    let not_taken =
        |r: &&Record| r.edition_id.is_none() && matches!(r.ending, Ending::NotBegun | Ending::PutOff { .. } | Ending::Deferred { .. });
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

fn state_after(ending: &Ending) -> &'static str {
    match ending {
        Ending::Sent => "sent",
        Ending::Deferred { .. } => "deferred",
        Ending::Failed { .. } => "failed",
        Ending::NotBegun | Ending::PutOff { .. } => "queued",
        Ending::Unconfirmed => "unconfirmed",
    }
}

async fn mark(conn: &mut PgConnection, worker: i64, lease: Duration, now: Timestamp, marks: &[Mark]) -> sqlx::Result<HashMap<Key, i32>> {
    if marks.is_empty() {
        return Ok(HashMap::new());
    }
    let (periods, ids) = split(&marks.iter().map(|m| m.key).collect::<Vec<_>>());
    let fences: Vec<i32> = marks.iter().map(|m| m.fence).collect();
    let lease = PgInterval { months: 0, days: 0, microseconds: i64::try_from(lease.as_micros()).unwrap_or(i64::MAX) };
    let rows = sqlx::query!(
        r#"WITH wanted AS (SELECT * FROM unnest($1::date[], $2::bigint[], $3::integer[]) AS w (period, id, fence)),
        judged AS MATERIALIZED (
            SELECT d.period, d.id, CASE
                    WHEN d.refusal IS NOT NULL THEN d.refusal
                    WHEN d.paused_until > $6 AND d.basis = 'topic' THEN 'subscriber_paused'
                    -- Looked at again: a tip of another edition may have been claimed at the same moment. The lower id goes.
                    WHEN NOT coalesce(e.by_operator, false) AND d.series_id IS NOT NULL AND EXISTS (
                        SELECT FROM deliveries o
                        WHERE o.subscriber_id = d.subscriber_id AND o.series_id = d.series_id AND o.period >= $8 AND o.id <> d.id
                            AND ((o.state IN ('handing_over', 'sent', 'unconfirmed') AND o.handing_over_at > $7)
                                OR (o.state = 'claimed' AND o.id < d.id))
                    ) THEN 'tip within 72 hours'
                    WHEN d.valid_until <= $6 OR d.over_at <= $6 THEN 'expired'
                END AS refusal, coalesce(e.state = 'running', true) AS running
            FROM wanted w
            JOIN delivery_refusals d ON d.period = w.period AND d.id = w.id AND d.fence = w.fence AND d.state = 'claimed' AND d.worker_id = $4
            LEFT JOIN editions e ON e.id = d.edition_id
            WHERE EXISTS (SELECT FROM workers WHERE id = $4 AND gone_at IS NULL AND seen_at > clock_timestamp() - $5::interval)
        ), marked AS (
            UPDATE deliveries d SET
                state = CASE WHEN j.refusal IS NOT NULL THEN 'skipped' WHEN j.running THEN 'handing_over' ELSE 'queued' END,
                reason = j.refusal,
                finished_at = CASE WHEN j.refusal IS NOT NULL THEN $6 END,
                ready_at = CASE WHEN j.refusal IS NULL AND NOT j.running THEN d.due_at END,
                handing_over_at = CASE WHEN j.refusal IS NULL AND j.running THEN $6 ELSE d.handing_over_at END,
                fence = d.fence + 1
            FROM judged j
            WHERE d.period = j.period AND d.id = j.id AND d.state = 'claimed' AND d.worker_id = $4
            RETURNING d.period, d.id, d.state, d.fence, d.edition_id, d.subscriber_id, d.segment_id, d.repeated_at
        ), freed AS (
            DELETE FROM segments_given g USING marked
            WHERE marked.state = 'skipped' AND marked.repeated_at IS NULL AND g.subscriber_id = marked.subscriber_id AND g.segment_id = marked.segment_id
        ), first AS (
            UPDATE transactional t SET handed_over_at = $6 FROM marked
            WHERE marked.state = 'handing_over' AND marked.edition_id IS NULL AND t.delivery_id = marked.id AND t.handed_over_at IS NULL
        )
        SELECT period AS "period!", id AS "id!", fence AS "fence!" FROM marked WHERE state = 'handing_over'"#,
        &periods,
        &ids,
        &fences,
        worker,
        lease,
        to_db(now),
        to_db(now - BETWEEN_TIPS),
        oldest_recent(now),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| (Key { period: civil_from_db(r.period), id: r.id }, r.fence)).collect())
}

/// Takes back deliveries whose mark was refused or whose mark's commit was in doubt, and whose bodies were never begun:
/// whatever of them this worker still holds goes back to queued.
pub async fn take_back(conn: &mut PgConnection, worker: i64, marks: &[Mark]) -> sqlx::Result<()> {
    let (periods, ids) = split(&marks.iter().map(|m| m.key).collect::<Vec<_>>());
    let fences: Vec<i32> = marks.iter().map(|m| m.fence).collect();
    sqlx::query!(
        "WITH held AS (
            SELECT d.period, d.id, d.edition_id, d.state, d.repeated_at FROM unnest($1::date[], $2::bigint[], $3::integer[]) AS w (period, id, fence)
            JOIN deliveries d ON d.period = w.period AND d.id = w.id
            WHERE d.worker_id = $4 AND ((d.state = 'claimed' AND d.fence = w.fence) OR (d.state = 'handing_over' AND d.fence = w.fence + 1))
            ORDER BY d.period, d.id FOR NO KEY UPDATE OF d
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
