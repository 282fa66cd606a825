//! Claiming: a worker takes due deliveries of one edition, or due transactional ones.
//!
//! Two statements in one transaction: the first picks and locks, the second moves, and checks standing, suppression and the
//! times of each row as it does. In one statement the planner reads whole tables (434 ms against 11 ms for 500 rows).

use super::super::Key;
use crate::base::time::{civil_from_db, civil_to_db, from_db, period_of, to_db};
use jiff::{SignedDuration, Timestamp, civil::Date};
use sqlx::{Acquire, PgConnection};

/// How many may be in flight before as many were accepted: the first mails of an edition are a trial.
pub const OPENING: i64 = 20;

/// Late deliveries are ended so many at a time, well within the pump's patience.
const LATE_AT_ONCE: i64 = 5_000;

/// No two tips of one series reach a person within this time.
pub const BETWEEN_TIPS: SignedDuration = SignedDuration::from_hours(72);

/// A delivery that this worker holds, with what its mail is made of.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its name.
    pub key: Key,
    /// Counts claims and marks; the next write must name it.
    pub fence: i32,
    /// Conversations that counted.
    pub attempts: i16,
    /// Conversations that broke off before the body.
    pub breaks: i16,
    /// The edition, none for a transactional delivery.
    pub edition_id: Option<i64>,
    /// The version of the templates that its edition began with; none where it has none yet, or there is no edition.
    pub template_version: Option<String>,
    /// The subscriber, none for a test delivery.
    pub subscriber_id: Option<i64>,
    /// The topic, for the List-Id and the unsubscribe link.
    pub topic_id: Option<i64>,
    /// The revision of the tip that it carries.
    pub tip_revision_id: Option<i64>,
    /// The template's name.
    pub template: String,
    /// What the template is filled with, frozen; none where a tip fills it.
    pub context: Option<serde_json::Value>,
    /// Where it goes, in the spelling that was given.
    pub address: String,
    /// How the subscriber is called.
    pub name: Option<String>,
    /// When it was first marked, for a transactional delivery that was: what it promises counts from then.
    pub handed_over_at: Option<Timestamp>,
    /// When it was due.
    pub due_at: Timestamp,
    /// Until when it is tried.
    pub deadline: Timestamp,
}

/// A place in the order in which an edition is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the delivery that stands there may go.
    pub ready_at: Timestamp,
    /// Its id.
    pub id: i64,
}

impl Place {
    /// Before every delivery.
    pub const START: Self = Self { ready_at: Timestamp::UNIX_EPOCH, id: 0 };
}

/// What a claim came to.
#[derive(Debug, Default)]
pub struct Claim {
    /// Held by this worker now.
    pub taken: Vec<Claimed>,
    /// The last that was picked, from where the next claim may go on. A hint: whatever moves while it is picked may be passed over, and waits
    /// for a claim from the start.
    pub reached: Option<Place>,
    /// Ended instead: skipped or failed, with the reason in the row.
    pub ended: usize,
    /// The edition was put on hold, because it is late and its campaign says to ask.
    pub held: bool,
}

/// Claims up to `limit` due deliveries of an edition for `worker`, from a place on: in front of it stand the dead index entries of all that
/// was claimed, and a walk over them takes longer with each claim. What came back in front of it is for a claim from the start.
pub async fn edition(
    conn: &mut PgConnection,
    worker: i64,
    (edition_id, from): (i64, Place),
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<Claim> {
    let mut tx = conn.begin().await?;
    if !present(&mut tx, worker).await? {
        tx.rollback().await?;
        return Ok(Claim::default());
    }
    let Some(open) = look_at(&mut tx, edition_id).await? else {
        tx.rollback().await?;
        return Ok(Claim::default());
    };
    let mut claim = Claim::default();
    if open.late != "fire" && late_ones(&mut tx, edition_id, &open, now).await? {
        if open.late == "ask" {
            hold(&mut tx, edition_id, &open, now).await?;
            tx.commit().await?;
            return Ok(Claim { held: true, ..Claim::default() });
        }
        claim.ended = skip_late(&mut tx, edition_id, open.period, now).await?;
    }
    let opening = match open.accepted < OPENING {
        true => Some(in_flight(&mut tx, edition_id, &open).await?),
        false => None,
    };
    let limit = opening.as_ref().map_or(limit, |flying| limit.min(OPENING - flying.len() as i64));
    if limit > 0 {
        let picked = pick(&mut tx, (edition_id, from), &open, now, limit).await?;
        claim.reached = picked.last().copied();
        let keys: Vec<Key> = picked.into_iter().map(|place| Key { period: open.period, id: place.id }).collect();
        take(&mut tx, worker, &keys, now, &mut claim).await?;
    }
    if let Some(flying) = opening {
        let flying: Vec<i64> = flying.into_iter().chain(claim.taken.iter().map(|c| c.key.id)).collect();
        sqlx::query!("UPDATE editions SET opening = $2 WHERE id = $1", edition_id, &flying).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(claim)
}

/// Claims up to `limit` due deliveries without an edition.
pub async fn transactional(conn: &mut PgConnection, worker: i64, now: Timestamp, limit: i64) -> sqlx::Result<Claim> {
    let mut tx = conn.begin().await?;
    if !present(&mut tx, worker).await? {
        tx.rollback().await?;
        return Ok(Claim::default());
    }
    let ids = sqlx::query!(
        "SELECT period, id FROM deliveries WHERE edition_id IS NULL AND ready_at <= $1 ORDER BY ready_at, id LIMIT $2 FOR UPDATE SKIP LOCKED",
        to_db(now),
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<Key> = ids.into_iter().map(|r| Key { period: civil_from_db(r.period), id: r.id }).collect();
    let mut claim = Claim::default();
    take(&mut tx, worker, &ids, now, &mut claim).await?;
    tx.commit().await?;
    Ok(claim)
}

// The row is held, so that a burial waits for this claim and finds what it took: what a gone worker holds nobody looks for.
// A renewal of the lease does not wait for it.
async fn present(conn: &mut PgConnection, worker: i64) -> sqlx::Result<bool> {
    let found =
        sqlx::query_scalar!("SELECT id FROM workers WHERE id = $1 AND gone_at IS NULL FOR KEY SHARE", worker).fetch_optional(conn).await?;
    Ok(found.is_some())
}

struct Open {
    period: Date,
    accepted: i64,
    late: String,
    tolerance: SignedDuration,
    anew_at: Option<Timestamp>,
    /// The last delivery that may leave, while those after it are still to be checked.
    cleared_up_to: Option<i64>,
}

// In the opening phase the row is locked, so that two workers do not each start twenty.
async fn look_at(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Option<Open>> {
    let row = sqlx::query!(
        "SELECT period, accepted, late, tolerance_seconds, anew_at, CASE WHEN checked_at IS NULL THEN cleared_up_to END AS cleared_up_to
        FROM editions WHERE id = $1 AND state = 'running'",
        edition_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut accepted = i64::from(row.accepted);
    if accepted < OPENING {
        let locked = sqlx::query_scalar!("SELECT accepted FROM editions WHERE id = $1 AND state = 'running' FOR NO KEY UPDATE", edition_id)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(locked) = locked else { return Ok(None) };
        accepted = i64::from(locked);
    }
    Ok(Some(Open {
        period: civil_from_db(row.period),
        accepted,
        late: row.late,
        tolerance: SignedDuration::from_secs(row.tolerance_seconds.into()),
        anew_at: row.anew_at.map(from_db),
        cleared_up_to: row.cleared_up_to,
    }))
}

// Deliveries whose tolerance ran out, as far as `release` or `resume` did not start it anew.
fn late_before(open: &Open, now: Timestamp) -> Option<Timestamp> {
    let before = now - open.tolerance;
    (open.anew_at.is_none_or(|anew| anew < before)).then_some(before)
}

async fn late_ones(conn: &mut PgConnection, edition_id: i64, open: &Open, now: Timestamp) -> sqlx::Result<bool> {
    let Some(before) = late_before(open, now) else { return Ok(false) };
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM deliveries WHERE period = $1 AND edition_id = $2 AND ready_at < $3 AND greatest(due_at, put_off_until) < $3 AND attempts = 0) AS "found!""#,
        civil_to_db(open.period),
        edition_id,
        to_db(before)
    )
    .fetch_one(conn)
    .await?;
    Ok(found)
}

async fn hold(conn: &mut PgConnection, edition_id: i64, open: &Open, now: Timestamp) -> sqlx::Result<()> {
    let reason = format!("late by more than {:#}: release it or skip it", open.tolerance);
    sqlx::query!(
        "UPDATE editions SET state = 'held', resume_to = 'running', reason = $2 WHERE id = $1 AND state = 'running'",
        edition_id,
        reason
    )
    .execute(conn)
    .await?;
    tracing::warn!(edition = edition_id, %now, "an edition is late and was put on hold: release it or skip it");
    Ok(())
}

/// Ends some of the late deliveries of an edition that were never attempted: skipped "too late". To be called until it gives 0.
pub async fn skip_late(conn: &mut PgConnection, edition_id: i64, period: Date, now: Timestamp) -> sqlx::Result<usize> {
    let ended = sqlx::query_scalar!(
        r#"WITH late AS (
            SELECT d.period, d.id FROM deliveries d JOIN editions e ON e.id = d.edition_id
            WHERE d.period = $1 AND d.edition_id = $2 AND d.ready_at IS NOT NULL AND d.attempts = 0
                AND greatest(d.due_at, e.anew_at, d.put_off_until) < $3::timestamptz - make_interval(secs => e.tolerance_seconds)
            ORDER BY d.ready_at, d.id LIMIT $4 FOR UPDATE OF d
        ), ended AS (
            UPDATE deliveries d SET state = 'skipped', reason = 'too late', ready_at = NULL, finished_at = $3
            FROM late WHERE d.period = late.period AND d.id = late.id
            RETURNING d.subscriber_id, d.segment_id
        ), freed AS (
            DELETE FROM segments_given g USING ended WHERE g.subscriber_id = ended.subscriber_id AND g.segment_id = ended.segment_id
        )
        SELECT count(*) AS "ended!" FROM ended"#,
        civil_to_db(period),
        edition_id,
        to_db(now),
        LATE_AT_ONCE
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(ended).unwrap_or(0))
}

// Of the deliveries claimed in the opening those that are still under way. The edition's row is held, so its list is true.
async fn in_flight(conn: &mut PgConnection, edition_id: i64, open: &Open) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT d.id FROM editions e JOIN deliveries d ON d.period = $1 AND d.id = ANY (e.opening)
        WHERE e.id = $2 AND d.state IN ('claimed', 'handing_over')",
        civil_to_db(open.period),
        edition_id
    )
    .fetch_all(conn)
    .await
}

// By the claim's own index, which has the ids too: by the primary key all that was cleared would be sorted, which the pump's connections
// never do.
async fn pick(
    conn: &mut PgConnection,
    (edition_id, from): (i64, Place),
    open: &Open,
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    // Blocked, or nothing was looked at: the index would be walked to its end for nothing.
    if open.cleared_up_to == Some(0) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"SELECT ready_at AS "ready_at!", id FROM deliveries
        WHERE period = $1 AND edition_id = $2 AND ready_at <= $3 AND (ready_at, id) >= ($5, $6) AND id <= $7
        ORDER BY ready_at, id LIMIT $4 FOR UPDATE SKIP LOCKED"#,
        civil_to_db(open.period),
        edition_id,
        to_db(now),
        limit,
        to_db(from.ready_at),
        from.id,
        open.cleared_up_to.unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Place { ready_at: from_db(row.ready_at), id: row.id }).collect())
}

// The rows are locked by the caller's pick; the checks are read by this statement's snapshot.
#[expect(clippy::too_many_lines, reason = "one statement, to be read as one")]
async fn take(conn: &mut PgConnection, worker: i64, keys: &[Key], now: Timestamp, claim: &mut Claim) -> sqlx::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let (periods, ids) = split(keys);
    let rows = sqlx::query!(
        r#"WITH wanted AS (SELECT * FROM unnest($1::date[], $2::bigint[]) AS w (period, id)),
        -- Materialized, or each use of the verdict would look for it again.
        judged AS MATERIALIZED (
            SELECT d.period, d.id, d.subscriber_address AS address, d.subscriber_name AS name, e.template_version,
                greatest(d.due_at, e.anew_at) + make_interval(secs => e.deadline_seconds) AS edition_deadline,
                CASE
                    WHEN d.refusal IS NOT NULL THEN d.refusal
                    WHEN d.paused_until > $3 AND d.basis = 'topic' THEN 'subscriber_paused'
                    WHEN NOT coalesce(e.by_operator, false) AND d.series_id IS NOT NULL AND EXISTS (
                        SELECT FROM deliveries o
                        WHERE o.subscriber_id = d.subscriber_id AND o.series_id = d.series_id AND o.period >= $5 AND o.id <> d.id
                            AND o.state IN ('handing_over', 'sent', 'unconfirmed') AND o.handing_over_at > $4
                    ) THEN 'tip within 72 hours'
                    WHEN d.over_at <= $3 THEN 'expired'
                    WHEN least(greatest(d.due_at, e.anew_at) + make_interval(secs => e.deadline_seconds), d.valid_until) <= $3
                        THEN CASE WHEN d.attempts > 0 THEN 'deadline passed' ELSE 'expired' END
                END AS verdict
            FROM wanted w
            JOIN delivery_refusals d ON d.period = w.period AND d.id = w.id
            LEFT JOIN editions e ON e.id = d.edition_id
        ), moved AS (
            UPDATE deliveries d SET
                state = CASE WHEN j.verdict IS NULL THEN 'claimed' WHEN j.verdict = 'deadline passed' THEN 'failed' ELSE 'skipped' END,
                -- What the pace kept until it was too late says so.
                reason = CASE WHEN j.verdict IN ('expired', 'deadline passed') AND d.reason LIKE 'pace: %'
                    THEN j.verdict || ' (' || d.reason || ')' ELSE j.verdict END,
                worker_id = $6,
                fence = d.fence + (j.verdict IS NULL)::integer,
                ready_at = NULL,
                finished_at = CASE WHEN j.verdict IS NOT NULL THEN $3 END
            FROM judged j WHERE d.period = j.period AND d.id = j.id
            RETURNING d.period, d.id, d.state, d.fence, d.attempts, d.breaks, d.edition_id, j.template_version, d.subscriber_id, d.topic_id, d.segment_id, d.tip_revision_id,
                d.template, d.context, coalesce(d.address, j.address) AS address, j.name, d.due_at, coalesce(j.edition_deadline, d.valid_until) AS deadline, d.repeated_at,
                CASE WHEN d.edition_id IS NULL THEN (SELECT t.handed_over_at FROM transactional t WHERE t.delivery_id = d.id) END AS handed_over_at
        ), freed AS (
            -- What is handed over again may have come the first time: its segment stays given.
            DELETE FROM segments_given g USING moved
            WHERE moved.state <> 'claimed' AND moved.repeated_at IS NULL AND g.subscriber_id = moved.subscriber_id AND g.segment_id = moved.segment_id
        )
        SELECT period AS "period!", id AS "id!", state AS "state!", fence AS "fence!", attempts AS "attempts!", breaks AS "breaks!", edition_id, template_version, subscriber_id, topic_id,
            tip_revision_id, template AS "template!", context, address, name, due_at AS "due_at!", deadline,
            handed_over_at
        FROM moved ORDER BY due_at, id"#,
        &periods,
        &ids,
        to_db(now),
        to_db(now - BETWEEN_TIPS),
        oldest_recent(now),
        worker,
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let (Some(address), "claimed") = (row.address, row.state.as_str()) else {
            claim.ended += 1;
            continue;
        };
        claim.taken.push(Claimed {
            key: Key { period: civil_from_db(row.period), id: row.id },
            fence: row.fence,
            attempts: row.attempts,
            breaks: row.breaks,
            edition_id: row.edition_id,
            template_version: row.template_version,
            subscriber_id: row.subscriber_id,
            topic_id: row.topic_id,
            tip_revision_id: row.tip_revision_id,
            template: row.template,
            context: row.context,
            address,
            name: row.name,
            handed_over_at: row.handed_over_at.map(from_db),
            due_at: from_db(row.due_at),
            deadline: row.deadline.map_or(Timestamp::MAX, from_db),
        });
    }
    Ok(())
}

/// The oldest period in which a delivery handed over within 72 hours may stand: that of its edition's start, 40 days before at most.
pub(super) fn oldest_recent(now: Timestamp) -> chrono::NaiveDate {
    civil_to_db(period_of(now - BETWEEN_TIPS - SignedDuration::from_hours(24 * 40)))
}

/// Keys as the two arrays that `unnest` takes.
pub(super) fn split(keys: &[Key]) -> (Vec<chrono::NaiveDate>, Vec<i64>) {
    keys.iter().map(|k| (civil_to_db(k.period), k.id)).unzip()
}
