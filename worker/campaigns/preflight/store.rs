//! Pre-flight in the database: how far an edition's check has come, and what it found.
//!
//! Owns the columns of `editions` that say which deliveries may leave, and `preflight_findings`. Every function takes the caller's
//! connection; those that write are called in the transaction of one portion.

use jiff::{SignedDuration, Timestamp};
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection};

use super::inspect::{Example, Found, Tally};
use super::kind::{Kind, Severity};
use crate::base::time::{civil_from_db, from_db, to_db};
use crate::delivery::Key;
use crate::delivery::ledger::claim::Claimed;

/// Mails that are checked in one transaction.
pub(super) const PORTION: i64 = 1_000;

/// The next mails of an edition that nobody has looked at.
pub(super) struct Portion {
    pub(super) mails: Vec<Claimed>,
    /// Where the check stood.
    pub(super) after: i64,
    /// When the edition was last let go by an operator.
    pub(super) anew_at: Option<chrono::DateTime<chrono::Utc>>,
    /// The last of their ids.
    pub(super) last: i64,
    /// Everyone is planned, and nothing is left after these.
    pub(super) is_last: bool,
}

/// Whether the caller's transaction has an edition's check to itself; another worker is looking at it otherwise.
pub(super) async fn mine(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtext('tidings.preflight'), ($1::bigint % 2147483647)::integer) AS "mine!""#,
        edition_id
    )
    .fetch_one(conn)
    .await
}

/// What a stop skipped may come back so long, by `people::stop`'s undo; an hour is more than that, and than clocks are apart.
pub(super) const COMES_BACK: SignedDuration = SignedDuration::from_hours(1);

/// The next portion; none when there is nothing to look at now.
pub(super) async fn portion(conn: &mut PgConnection, edition_id: i64, now: Timestamp) -> sqlx::Result<Option<Portion>> {
    // Whoever writes deliveries of an edition holds its row before it draws their ids: under the row all ids that are lower are in
    // sight. The lock goes with the savepoint, before the mails are made.
    let mut held = conn.begin().await?;
    let edition = sqlx::query!(
        r#"SELECT period, checked_up_to, anew_at, template_version, planned IS NOT NULL AS "planned!" FROM editions
        WHERE id = $1 AND state IN ('planning', 'scheduled', 'running') AND checked_at IS NULL FOR NO KEY UPDATE"#,
        edition_id
    );
    let Some(edition) = edition.fetch_optional(&mut *held).await? else { return Ok(None) };
    let mut mails = unseen(&mut held, edition_id, edition.period, edition.checked_up_to, now).await?;
    held.rollback().await?;
    let (found, last) = (mails.len() as i64, mails.last().map_or(edition.checked_up_to, |mail| mail.key.id));
    mails.iter_mut().for_each(|mail| mail.template_version.clone_from(&edition.template_version));
    // Whoever was erased since gets nothing: the claim ends that.
    mails.retain(|mail| !mail.address.is_empty());
    let is_last = edition.planned && found < PORTION;
    let (after, anew_at) = (edition.checked_up_to, edition.anew_at);
    Ok((is_last || found > 0).then_some(Portion { mails, after, anew_at, last, is_last }))
}

// The mails of an edition that are to be sent, or would be if she took back that she left (in the words of `people::stop`'s undo), after
// a delivery, in the order of their ids; without address if she was erased.
async fn unseen(
    conn: &mut PgConnection,
    edition_id: i64,
    period: chrono::NaiveDate,
    after: i64,
    now: Timestamp,
) -> sqlx::Result<Vec<Claimed>> {
    // By the primary key: the other index has them in another order, and would be sorted whole for each portion.
    sqlx::raw_sql("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL plan_cache_mode = force_custom_plan")
        .execute(&mut *conn)
        .await?;
    let rows = sqlx::query!(
        "SELECT d.id, d.subscriber_id, d.topic_id, d.tip_revision_id, d.template, d.context, d.due_at, s.address, s.name
        FROM deliveries d LEFT JOIN subscribers s ON s.id = d.subscriber_id
        WHERE d.period = $1 AND d.edition_id = $2 AND d.id > $3
            AND (d.ready_at IS NOT NULL
                OR (d.state = 'skipped' AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all') AND d.finished_at > $5))
        ORDER BY d.id LIMIT $4",
        period,
        edition_id,
        after,
        PORTION,
        to_db(now - COMES_BACK)
    )
    .fetch_all(conn)
    .await?;
    let period = civil_from_db(period);
    let mail = rows.into_iter().map(|row| Claimed {
        key: Key { period, id: row.id },
        fence: 0,
        attempts: 0,
        breaks: 0,
        edition_id: Some(edition_id),
        template_version: None,
        subscriber_id: row.subscriber_id,
        topic_id: row.topic_id,
        tip_revision_id: row.tip_revision_id,
        template: row.template,
        context: row.context,
        address: row.address.unwrap_or_default(),
        name: row.name,
        handed_over_at: None,
        due_at: from_db(row.due_at),
        deadline: Timestamp::MAX,
    });
    Ok(mail.collect())
}

/// Adds to an edition's findings.
pub(super) async fn add(conn: &mut PgConnection, edition_id: i64, tally: &Tally) -> sqlx::Result<()> {
    for (kind, found) in &tally.found {
        sqlx::query!(
            "INSERT INTO preflight_findings AS f (edition_id, kind, severity, recipients, examples) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (edition_id, kind) DO UPDATE SET recipients = f.recipients + excluded.recipients, severity = excluded.severity,
                examples = (SELECT coalesce(jsonb_agg(e ORDER BY n), '[]') FROM (
                    SELECT e, n FROM jsonb_array_elements(f.examples || excluded.examples) WITH ORDINALITY AS x (e, n) ORDER BY n LIMIT 3) y)",
            edition_id,
            kind.as_str(),
            severity(kind.severity()),
            found.recipients,
            Json(&found.examples) as _
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Moves the check on after a portion; whether everything was looked at. None when the edition was ended, held, paused or let go
/// meanwhile, and the portion is to be forgotten.
pub(super) async fn advance(
    conn: &mut PgConnection,
    edition_id: i64,
    portion: &Portion,
    checked: i64,
    now: Timestamp,
) -> sqlx::Result<Option<bool>> {
    // Held first: somebody's delivery may have been planned anew since the portion was read, above all that it had.
    sqlx::query!("SELECT id FROM editions WHERE id = $1 FOR NO KEY UPDATE", edition_id).fetch_optional(&mut *conn).await?;
    sqlx::query_scalar!(
        r#"UPDATE editions e SET checked_up_to = $2::bigint, checked = checked + $3,
            cleared_up_to = CASE WHEN edition_blocked($1) THEN 0 ELSE $2::bigint END,
            checked_at = CASE WHEN $4 AND NOT EXISTS (
                SELECT FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND d.id > $2::bigint
                    AND (d.ready_at IS NOT NULL
                        OR (d.state = 'skipped' AND d.reason IN ('unsubscribed', 'suppressed: unsubscribe_all') AND d.finished_at > $8)))
                THEN $5::timestamptz END
        -- A check that began anew may stand where this one stood: an operator's word tells them apart.
        WHERE id = $1 AND state IN ('planning', 'scheduled', 'running') AND checked_at IS NULL
            AND checked_up_to = $6 AND anew_at IS NOT DISTINCT FROM $7
        RETURNING checked_at IS NOT NULL AS "is_last!""#,
        edition_id,
        portion.last,
        checked,
        portion.is_last,
        to_db(now),
        portion.after,
        portion.anew_at,
        to_db(now - COMES_BACK)
    )
    .fetch_optional(conn)
    .await
}

/// Holds an edition that is blocked; false when it is not, or when there is nothing to hold any more.
pub(super) async fn hold(conn: &mut PgConnection, edition_id: i64, reason: &str) -> sqlx::Result<bool> {
    let held = sqlx::query!(
        "UPDATE editions SET state = 'held', resume_to = state, reason = $2
        WHERE id = $1 AND state IN ('planning', 'scheduled', 'running') AND edition_blocked($1)",
        edition_id,
        reason
    )
    .execute(conn)
    .await?;
    Ok(held.rows_affected() == 1)
}

/// Whether a mail of an edition was tried: then it keeps what is planned of it, and its templates.
pub(super) async fn tried(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM editions e JOIN deliveries d ON d.period = e.period AND d.edition_id = e.id
            WHERE e.id = $1 AND (d.fence > 0 OR d.state NOT IN ('queued', 'skipped'))) AS "tried!""#,
        edition_id
    )
    .fetch_one(conn)
    .await
}

/// What an edition comes to as a whole.
pub(super) struct Whole {
    pub(super) planned: i64,
    /// Some of its mails were or are to be sent.
    pub(super) sends: bool,
    /// Approved tips of its series; none for a broadcast.
    pub(super) approved_tips: Option<i64>,
}

/// What an edition that is planned comes to.
pub(super) async fn whole(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Whole> {
    sqlx::query_as!(
        Whole,
        r#"SELECT e.counted AS "planned!",
            EXISTS (SELECT FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id AND (d.ready_at IS NOT NULL OR d.fence > 0)) AS "sends!",
            CASE WHEN c.series_id IS NOT NULL THEN
                (SELECT count(*) FROM tips t WHERE t.series_id = c.series_id AND t.state = 'approved') END AS approved_tips
        FROM editions e JOIN campaigns c ON c.id = e.campaign_id WHERE e.id = $1"#,
        edition_id
    )
    .fetch_one(conn)
    .await
}

/// How an edition's check stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) id: i64,
    pub(super) period: chrono::NaiveDate,
    pub(super) occurrence: String,
    pub(super) state: String,
    pub(super) starts_at: Timestamp,
    pub(super) late: String,
    pub(super) tolerance: SignedDuration,
    pub(super) anew_at: Option<Timestamp>,
    pub(super) planned: Option<i64>,
    pub(super) counted: i64,
    pub(super) checked: i64,
    pub(super) checked_at: Option<Timestamp>,
    pub(super) accepted_at: Option<Timestamp>,
    /// It is held because of what was found.
    pub(super) held: bool,
}

/// The latest edition of a campaign, or the latest that is not over.
pub(super) async fn latest(conn: &mut PgConnection, campaign_id: i64, open: bool) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query!(
        r#"SELECT id, period, occurrence, state, starts_at, late, tolerance_seconds, anew_at, planned, counted, checked, checked_at, accepted_at,
            state = 'held' AND edition_blocked(id) AS "held!"
        FROM editions WHERE campaign_id = $1 AND (NOT $2 OR state NOT IN ('finished', 'skipped', 'cancelled'))
        ORDER BY starts_at DESC, id DESC LIMIT 1"#,
        campaign_id,
        open
    );
    let row = row.fetch_optional(conn).await?;
    Ok(row.map(|row| Standing {
        id: row.id,
        period: row.period,
        occurrence: row.occurrence,
        state: row.state,
        starts_at: from_db(row.starts_at),
        late: row.late,
        tolerance: SignedDuration::from_secs(row.tolerance_seconds.into()),
        anew_at: row.anew_at.map(from_db),
        planned: row.planned,
        counted: row.counted,
        checked: row.checked,
        checked_at: row.checked_at.map(from_db),
        accepted_at: row.accepted_at.map(from_db),
        held: row.held,
    }))
}

/// What was found in an edition.
pub(super) async fn findings(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<Tally> {
    let rows = sqlx::query!(
        r#"SELECT kind, severity AS "severity: Severity", recipients, examples AS "examples: Json<Vec<Example>>"
        FROM preflight_findings WHERE edition_id = $1 ORDER BY kind"#,
        edition_id
    )
    .fetch_all(conn)
    .await?;
    let mut tally = Tally::default();
    for row in rows {
        tally.found.insert(Kind::parse(&row.kind), Found { recipients: row.recipients, examples: row.examples.0 });
    }
    Ok(tally)
}

/// Takes back what an edition's check found, so that it begins anew. The caller holds the edition's row.
pub(super) async fn forget(conn: &mut PgConnection, edition_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM preflight_findings WHERE edition_id = $1", edition_id).execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE editions e SET cleared_up_to = 0, checked = 0, checked_at = NULL, checked_up_to = coalesce(
            (SELECT min(d.id) - 1 FROM deliveries d WHERE d.period = e.period AND d.edition_id = e.id), pg_sequence_last_value('delivery_ids'), 0)
        WHERE id = $1",
        edition_id
    )
    .execute(conn)
    .await
    .map(drop)
}

/// The addresses of some subscribers.
pub(super) async fn addresses(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<Vec<(i64, Option<String>)>> {
    let rows = sqlx::query!("SELECT id, address FROM subscribers WHERE id = ANY($1)", ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.address)).collect())
}

/// The tips of some revisions, with their subjects there.
pub(super) async fn tips(conn: &mut PgConnection, revisions: &[i64]) -> sqlx::Result<Vec<(i64, i64, String)>> {
    let rows = sqlx::query!("SELECT id, tip_id, subject FROM tip_revisions WHERE id = ANY($1)", revisions).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.tip_id, row.subject)).collect())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "blocking",
        Severity::Warning => "warning",
    }
}
