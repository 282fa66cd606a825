//! The statement that records results and marks deliveries: every one that connections hand in and ask for at one time, of one month.
//!
//! Locks those rows that nobody else holds, moves those that have a result, and judges those that are to be handed over: what may go is
//! marked, what may not is skipped, or left as it is where only plain rows are wanted. It never waits: it judges by what is committed when it
//! begins, and that would be old after a wait. Whoever must have all rows locks them before.

use super::{
    claim::{BETWEEN_TIPS, oldest_recent},
    mark::{Ending, Mark, Record},
};
use crate::base::time::{civil_to_db, to_db};
use crate::delivery::Key;
use chrono::{DateTime, Utc};
use jiff::{Timestamp, civil::Date};
use sqlx::{PgConnection, postgres::types::PgInterval};
use std::time::Duration;

/// Who writes, under which lease, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) worker: i64,
    pub(super) lease: Duration,
    pub(super) now: Timestamp,
}

/// A delivery as it stands after the exchange.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) key: Key,
    /// Whether it was judged for a mark; else its result was recorded.
    pub(super) judged: bool,
    pub(super) state: String,
    pub(super) fence: i32,
    pub(super) edition_id: Option<i64>,
    pub(super) subscriber_id: Option<i64>,
    pub(super) segment_id: Option<i64>,
    pub(super) repeated: bool,
}

/// What is asked for, as the arrays that `unnest` takes.
#[derive(Default)]
struct Asked {
    ids: Vec<i64>,
    fences: Vec<i32>,
    /// The state after the result; none where a mark is asked for.
    states: Vec<Option<&'static str>>,
    reasons: Vec<Option<String>>,
    untils: Vec<Option<DateTime<Utc>>>,
    counted: Vec<bool>,
    codes: Vec<Option<i16>>,
    enhanced: Vec<Option<String>>,
    replies: Vec<Option<String>>,
}

impl Asked {
    fn record(&mut self, record: &Record) {
        let reply = record.reply.as_ref();
        self.ids.push(record.key.id);
        self.fences.push(record.fence);
        self.states.push(Some(state_after(&record.ending)));
        self.reasons.push(record.reason.as_ref().map(|text| text.replace('\0', "")));
        self.untils.push(match record.ending {
            Ending::Deferred { until, .. } | Ending::PutOff { until } => Some(to_db(until)),
            _ => None,
        });
        self.counted.push(!matches!(record.ending, Ending::NotBegun | Ending::PutOff { .. } | Ending::Deferred { counted: false, .. }));
        self.codes.push(reply.and_then(|x| i16::try_from(x.code).ok()));
        self.enhanced.push(reply.and_then(|x| x.enhanced).map(|e| e.to_string()));
        self.replies.push(reply.map(ToString::to_string));
    }

    fn mark(&mut self, mark: &Mark) {
        self.ids.push(mark.key.id);
        self.fences.push(mark.fence);
        self.states.push(None);
        self.reasons.push(None);
        self.untils.push(None);
        self.counted.push(false);
        self.codes.push(None);
        self.enhanced.push(None);
        self.replies.push(None);
    }
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

/// Records and marks what is of `period`, and gives every row that moved; what another transaction holds does not. With `plain`, of the
/// marks only those of mails of an edition that nothing speaks against: the others stay as they are, for a second call that has the
/// transaction which their end needs.
#[expect(clippy::too_many_lines, reason = "one statement, to be read as one")]
pub(super) async fn exchange(
    conn: &mut PgConnection,
    At { worker, lease, now }: At,
    period: Date,
    (records, marks): (&[Record], &[Mark]),
    plain: bool,
) -> sqlx::Result<Vec<Moved>> {
    let mut asked = Asked::default();
    records.iter().filter(|r| r.key.period == period).for_each(|record| asked.record(record));
    marks.iter().filter(|m| m.key.period == period).for_each(|mark| asked.mark(mark));
    if asked.ids.is_empty() {
        return Ok(Vec::new());
    }
    let lease = PgInterval { months: 0, days: 0, microseconds: i64::try_from(lease.as_micros()).unwrap_or(i64::MAX) };
    // The month stands apart from the rows, so that a plan opens its partition alone.
    let rows = sqlx::query!(
        r#"WITH asked AS MATERIALIZED (
            SELECT a.* FROM (
                SELECT * FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::smallint[],
                    $9::text[], $10::text[]) AS a (id, fence, state, reason, until, counted, code, enhanced, reply)
                ORDER BY a.id
            ) AS a
            -- One row for each, and the planner is to know it: expecting a thousand, it would read the whole month to find thirty.
            CROSS JOIN LATERAL (SELECT FROM deliveries d WHERE d.period = $1 AND d.id = a.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS locked
        ), judged AS MATERIALIZED (
            SELECT d.id, d.fence, CASE
                    WHEN d.refusal IS NOT NULL THEN d.refusal
                    WHEN d.paused_until > $12 AND d.basis = 'topic' THEN 'subscriber_paused'
                    -- Looked at again: a tip of another edition may have been claimed at the same moment. The lower id goes.
                    WHEN NOT coalesce(e.by_operator, false) AND d.series_id IS NOT NULL AND EXISTS (
                        SELECT FROM deliveries o
                        WHERE o.subscriber_id = d.subscriber_id AND o.series_id = d.series_id AND o.period >= $15 AND o.id <> d.id
                            AND ((o.state IN ('handing_over', 'sent', 'unconfirmed') AND o.handing_over_at > $14)
                                OR (o.state = 'claimed' AND o.id < d.id))
                    ) THEN 'tip within 72 hours'
                    WHEN d.valid_until <= $12 OR d.over_at <= $12 THEN 'expired'
                END AS refusal, coalesce(e.state = 'running', true) AS running, d.edition_id IS NOT NULL AS of_edition
            FROM asked m
            JOIN delivery_refusals d ON d.period = $1 AND d.id = m.id AND d.fence = m.fence AND d.state = 'claimed' AND d.worker_id = $11
            LEFT JOIN editions e ON e.id = d.edition_id
            WHERE m.state IS NULL AND EXISTS (SELECT FROM workers WHERE id = $11 AND gone_at IS NULL AND seen_at > clock_timestamp() - $13::interval)
        ), moves AS (
            SELECT id, fence, false AS judged, state, reason, until, counted, code, enhanced, reply FROM asked WHERE state IS NOT NULL
            UNION ALL
            SELECT id, fence, true, CASE WHEN refusal IS NOT NULL THEN 'skipped' WHEN running THEN 'handing_over' ELSE 'queued' END, refusal,
                NULL, false, NULL, NULL, NULL
            FROM judged WHERE NOT $16 OR (refusal IS NULL AND running AND of_edition)
        )
        -- One for both: what an UPDATE costs before its first row is as much as that of ten rows.
        UPDATE deliveries d SET
            state = m.state,
            reason = m.reason,
            ready_at = CASE m.state WHEN 'deferred' THEN m.until WHEN 'queued' THEN coalesce(m.until, d.due_at) END,
            put_off_until = CASE WHEN m.state = 'queued' AND m.until IS NOT NULL THEN m.until ELSE d.put_off_until END,
            attempts = d.attempts + m.counted::integer,
            breaks = d.breaks + (NOT m.judged AND NOT m.counted AND d.state = 'handing_over')::integer,
            reply_code = coalesce(m.code, d.reply_code),
            enhanced_code = CASE WHEN m.reply IS NULL THEN d.enhanced_code ELSE m.enhanced END,
            reply = coalesce(m.reply, d.reply),
            handing_over_at = CASE
                WHEN m.state = 'handing_over' THEN $12
                -- An operator had it repeated, and the first answer came after all.
                WHEN m.state = 'sent' THEN coalesce(d.handing_over_at, $12)
                -- What failed without a word of the relay could not be made, or is not for it: it was not handed over.
                WHEN NOT m.judged AND (m.state = 'queued' OR (m.state = 'failed' AND m.reply IS NULL)) THEN NULL
                ELSE d.handing_over_at
            END,
            finished_at = CASE WHEN m.state IN ('sent', 'failed', 'unconfirmed', 'skipped') THEN $12::timestamptz END,
            fence = d.fence + m.judged::integer
        FROM moves m
        WHERE d.period = $1 AND d.id = m.id AND d.worker_id = $11 AND d.fence = m.fence AND CASE
            WHEN m.judged THEN d.state = 'claimed'
            -- A late answer still counts for what was given up as unconfirmed, and for what waits to be repeated because of that;
            -- nothing else is ever reopened by it.
            ELSE d.state IN ('claimed', 'handing_over')
                OR ((d.state = 'unconfirmed' OR (d.state = 'queued' AND d.repeated_at IS NOT NULL)) AND m.state IN ('sent', 'failed'))
            END
        RETURNING d.id, m.judged AS "judged!", d.state, d.fence, d.edition_id, d.subscriber_id, d.segment_id, d.repeated_at IS NOT NULL AS "repeated!""#,
        civil_to_db(period),
        &asked.ids,
        &asked.fences,
        &asked.states as &[Option<&str>],
        &asked.reasons as &[Option<String>],
        &asked.untils as &[Option<DateTime<Utc>>],
        &asked.counted,
        &asked.codes as &[Option<i16>],
        &asked.enhanced as &[Option<String>],
        &asked.replies as &[Option<String>],
        worker,
        to_db(now),
        lease,
        to_db(now - BETWEEN_TIPS),
        oldest_recent(now),
        plain
    )
    .fetch_all(conn)
    .await?;
    let moved = rows.into_iter().map(|row| Moved {
        key: Key { period, id: row.id },
        judged: row.judged,
        state: row.state,
        fence: row.fence,
        edition_id: row.edition_id,
        subscriber_id: row.subscriber_id,
        segment_id: row.segment_id,
        repeated: row.repeated,
    });
    Ok(moved.collect())
}
