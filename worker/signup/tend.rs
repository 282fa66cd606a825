//! What time does to sign-ups: one reminder, the end of the link, and the forgetting of what nobody confirmed.
//!
//! Every row is claimed by the statement or the transaction that changes it, so that any number of workers may tend at once. The
//! sweep calls `sweep` every few seconds, the daily job `prune`.

use super::{
    Desk, ask, limits, mails,
    store::{self, Signup},
};
use crate::{base::time::to_db, delivery::transactional};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// So many are looked at in one go; the next sweep goes on.
const PORTION: i64 = 200;

const EXPIRED: &str = "the sign-up expired";

/// Closes the sign-ups whose time is over, sends the reminders that are due, and asks on those who were imported.
pub async fn sweep(desk: &Desk<'_>, now: Timestamp) -> sqlx::Result<()> {
    expire(desk, now).await?;
    remind(desk, now).await?;
    ask::sweep(desk, now).await
}

/// Forgets the sign-ups that nobody confirmed and whoever hangs on them alone, and the counts that count no more.
pub async fn prune(desk: &Desk<'_>, now: Timestamp) -> sqlx::Result<()> {
    let before = earlier(now, desk.rules.keep_unconfirmed);
    loop {
        let old = sqlx::query!(
            "SELECT id, subscriber_id FROM signups WHERE outcome IN ('refused', 'expired') AND wording IS NOT NULL AND asked_at <= $1
             ORDER BY asked_at LIMIT $2",
            to_db(before),
            PORTION
        )
        .fetch_all(desk.pool)
        .await?;
        for signup in &old {
            forget(desk.pool, signup.id, signup.subscriber_id, now).await?;
        }
        if (old.len() as i64) < PORTION {
            break;
        }
    }
    limits::prune(desk.pool, now).await
}

async fn expire(desk: &Desk<'_>, now: Timestamp) -> sqlx::Result<()> {
    let over = sqlx::query!(
        "SELECT id, subscriber_id FROM signups WHERE outcome IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2",
        to_db(now),
        PORTION
    )
    .fetch_all(desk.pool)
    .await?;
    for row in over {
        let mut tx = desk.pool.begin().await?;
        store::lock(&mut tx, row.subscriber_id).await?;
        // Looked at again under her row: she may have asked once more meanwhile, and then its link works for longer.
        let over = store::signup(&mut tx, row.id).await?.is_some_and(|signup| signup.expires_at <= now);
        if over && store::close(&mut tx, row.id, "expired", now).await? {
            transactional::cancel(&mut tx, &format!("signup:{}", row.id), EXPIRED, now).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn remind(desk: &Desk<'_>, now: Timestamp) -> sqlx::Result<()> {
    if desk.rules.remind_after.is_zero() {
        return Ok(());
    }
    let due = sqlx::query_scalar!(
        "SELECT id FROM signups WHERE outcome IS NULL AND reminded_at IS NULL AND asked_at <= $1 AND expires_at > $2 ORDER BY asked_at LIMIT $3",
        to_db(earlier(now, desk.rules.remind_after)),
        to_db(now),
        PORTION
    )
    .fetch_all(desk.pool)
    .await?;
    for id in due {
        let mut tx = desk.pool.begin().await?;
        decide(&mut tx, desk, id, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

// Decided once, whichever way: who was asked twice already, left since, or could not be mailed, is not reminded later either.
async fn decide(conn: &mut PgConnection, desk: &Desk<'_>, id: i64, now: Timestamp) -> sqlx::Result<()> {
    let Some(Signup { subscriber_id, .. }) = store::signup(conn, id).await? else { return Ok(()) };
    let Some(key) = store::lock(conn, subscriber_id).await? else { return Ok(()) };
    let claimed = sqlx::query_scalar!(
        "UPDATE signups SET reminded_at = $2 WHERE id = $1 AND outcome IS NULL AND reminded_at IS NULL AND expires_at > $2 RETURNING id",
        id,
        to_db(now)
    );
    if claimed.fetch_optional(&mut *conn).await?.is_none() {
        return Ok(());
    }
    let Some(signup) = store::signup(conn, id).await? else { return Ok(()) };
    let sent = mails::sent(conn, &signup).await?;
    if sent.confirmations == 1 && sent.handed_over && !store::left_since(conn, &signup).await? {
        let names = store::names(conn, &signup.topics, &signup.programs).await?;
        mails::reminder(conn, desk, &key, &signup, &names, now).await?;
    }
    Ok(())
}

async fn forget(pool: &PgPool, id: i64, subscriber_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    store::lock(&mut tx, subscriber_id).await?;
    sqlx::query!(
        "UPDATE signups SET wording = NULL, name = NULL, zone = NULL, stage_date = NULL, origin_hash = NULL
         WHERE id = $1 AND outcome IN ('refused', 'expired')",
        id
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE deliveries d SET context = NULL FROM transactional t
         WHERE t.owner = $1 AND d.period = t.period AND d.id = t.delivery_id AND d.finished_at IS NOT NULL",
        format!("signup:{id}")
    )
    .execute(&mut *tx)
    .await?;
    blank(&mut tx, subscriber_id, now).await?;
    tx.commit().await
}

// Who never confirmed anything, no place on a waitlist either, and waits for nothing is no subscriber of ours. Her row stays as a number, and since she did not
// ask for it nothing is suppressed: she may sign up again, or be imported. Whoever an operator imported stays his, also when he
// asked her and she did not answer.
async fn blank(conn: &mut PgConnection, subscriber_id: i64, now: Timestamp) -> sqlx::Result<()> {
    let blanked = sqlx::query!(
        "UPDATE subscribers s SET address = NULL, address_key = NULL, name = NULL, zone = NULL, stage_date = NULL, language = NULL,
            paused_until = NULL, weekday = NULL, hour = NULL, erased_at = $2
         WHERE s.id = $1 AND s.erased_at IS NULL
            AND NOT EXISTS (SELECT FROM entries e WHERE e.subscriber_id = $1
                AND (e.confirmed_at IS NOT NULL OR e.state NOT IN ('withdrawn', 'removed')))
            AND NOT EXISTS (SELECT FROM signups u WHERE u.subscriber_id = $1 AND (u.outcome IS NULL OR u.wording IS NOT NULL))
            AND NOT EXISTS (SELECT FROM subscriptions n WHERE n.subscriber_id = $1 AND (n.standing <> 'unconfirmed'
                OR NOT EXISTS (SELECT FROM signups u WHERE u.subscriber_id = $1 AND u.source <> 'import' AND n.topic_id = ANY(u.topics))))",
        subscriber_id,
        to_db(now)
    )
    .execute(&mut *conn)
    .await?;
    if blanked.rows_affected() == 1 {
        crate::audience::store::blank_history(conn, &[subscriber_id]).await?;
    }
    Ok(())
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}
