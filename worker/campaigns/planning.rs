//! The planning of an edition: slice by slice, each a transaction that is safe to repeat, until everyone has her row.
//!
//! Owns what all kinds of campaign share: the cursor, the count apart from the rows, the end. Who is in a slice and what she gets
//! say `weekly` and `broadcast`. The worker calls `plan_slice` until it says that the edition is done.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{broadcast, weekly};
use crate::base::database::{is_to_be_retried, violated};
use crate::base::wake::{self, Job};

/// People that a slice looks at.
pub(super) const SLICE: i64 = 5_000;
/// So many new deliveries make the planner's statistics useless until they are taken anew.
const BULK: i64 = 20_000;
/// A slice that lost against another transaction is tried again so often.
const TRIES: usize = 20;
/// After so many of them people's changes wait until the slice is written.
const PATIENCE: usize = 3;

/// How far the planning of an edition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Nothing is left to plan here: the edition is planned, or waits for an operator, or another worker plans it.
    pub done: bool,
    /// Recipients counted so far.
    pub counted: i64,
}

/// What a slice came to.
#[derive(Debug)]
pub(super) struct Slice {
    /// Recipients counted so far, these included.
    pub(super) counted: i64,
    /// The last that was looked at.
    pub(super) cursor: i64,
    /// Nobody is left.
    pub(super) done: bool,
    /// The edition sends already.
    pub(super) running: bool,
}

/// Plans the next slice of an edition in a transaction of its own; `conn` must be in none.
///
/// Every recipient in the slice gets a row: queued with what she gets, or skipped with the reason.
pub async fn plan_slice(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Progress> {
    // Apart from the slice: attaching a partition waits for transactions that write.
    let found = sqlx::query!(
        "SELECT ensure_deliveries_partition(e.period), c.kind, c.program_id FROM editions e JOIN campaigns c ON c.id = e.campaign_id WHERE e.id = $1",
        edition_id
    );
    let Some(found) = found.fetch_optional(&mut *conn).await? else { return Ok(Progress { done: true, counted: 0 }) };
    let who = match (found.kind.as_str(), found.program_id) {
        ("weekly", _) => Who::Weekly,
        (_, None) => Who::Topic,
        (_, Some(program_id)) => Who::Waitlist { program_id },
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match try_slice(conn, edition_id, who, tries > PATIENCE, now).await {
            Err(error) if tries < TRIES && lost(&error) => tracing::debug!(edition_id, %error, "a slice is planned again"),
            Ok(progress) if progress.done && progress.counted >= BULK => {
                analyze(conn, edition_id).await?;
                return Ok(progress);
            }
            outcome => return outcome,
        }
    }
}

/// Another edition of the series may give a subscriber the tip that was chosen for her here: chosen anew, it is the next.
pub fn lost(error: &sqlx::Error) -> bool {
    is_to_be_retried(error) || violated(error) == Some("segments_given_key")
}

#[derive(Debug, Clone, Copy)]
enum Who {
    Weekly,
    Topic,
    Waitlist { program_id: i64 },
}

async fn try_slice(conn: &mut PgConnection, edition_id: i64, who: Who, alone: bool, now: Timestamp) -> sqlx::Result<Progress> {
    // A count and the rows beside it are read by one snapshot, but for a waitlist: its line stands still already, and what is read
    // after the lock of the line must be newer than that.
    let begin = match who {
        Who::Waitlist { .. } => "BEGIN",
        Who::Weekly | Who::Topic => "BEGIN ISOLATION LEVEL REPEATABLE READ",
    };
    let mut tx = conn.begin_with(begin).await?;
    // The line of a waitlist is written down and hangs on nobody's preferences.
    if alone && !matches!(who, Who::Waitlist { .. }) {
        // Every change of what a person prefers writes there. The lock goes before the first snapshot, which then sees them all.
        sqlx::raw_sql("LOCK TABLE subscriber_events IN SHARE MODE").execute(&mut *tx).await?;
    }
    if let Who::Waitlist { program_id } = who {
        broadcast::hold_line(&mut tx, program_id).await?;
    }
    // Planned for the slice at hand: a plan for any slice, made before there are statistics, can be quadratic.
    sqlx::raw_sql("SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let slice = match mine(&mut tx, edition_id).await? {
        false => None,
        true => match who {
            Who::Weekly => weekly::slice(&mut tx, edition_id, now).await?,
            Who::Topic | Who::Waitlist { .. } => broadcast::slice(&mut tx, edition_id, now).await?,
        },
    };
    let Some(slice) = slice else { return Ok(Progress { done: true, counted: 0 }) };
    advance(&mut tx, edition_id, &slice).await?;
    tx.commit().await?;
    Ok(Progress { done: slice.done, counted: slice.counted })
}

// Skips an edition that another worker is planning at this moment: two would only wait for each other. Planners are kept apart by
// a lock of their own: the edition's row is held by claims of its first mails too, which are waited for.
async fn mine(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtext('tidings.plan'), ($1::bigint % 2147483647)::integer) AS "mine!""#,
        edition_id
    )
    .fetch_one(conn)
    .await
}

/// Writes down how far a slice came.
pub(super) async fn advance(conn: &mut PgConnection, edition_id: i64, slice: &Slice) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE editions SET counted = $2, planned_up_to = $3, planned = CASE WHEN $4 THEN $2::bigint END,
            state = CASE WHEN $4 AND state = 'planning' THEN 'scheduled' ELSE state END
        WHERE id = $1",
        edition_id,
        slice.counted,
        slice.cursor,
        slice.done
    )
    .execute(&mut *conn)
    .await?;
    if slice.running {
        wake::enqueue(conn, &Job::Send).await?;
    }
    Ok(())
}

async fn analyze(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<()> {
    let partition =
        sqlx::query_scalar!(r#"SELECT 'deliveries_' || to_char(period, 'YYYYMM') AS "name!" FROM editions WHERE id = $1"#, edition_id);
    let partition = partition.fetch_one(&mut *conn).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {partition}, segments_given"))).execute(conn).await?;
    Ok(())
}
