//! When the feeds of the settings are due: by their cron lines, by a back-off after failures, and each by one worker.
//!
//! A feed stays due until somebody has looked at it to the end, so a worker that dies in the middle loses nothing; a claim, which
//! runs out by the database's clock, keeps the others away meanwhile. After a downtime it is looked at once. `jobs` calls it.

use super::{Brought, Feed, FeedError, Means};
use crate::base::{
    config,
    cron_line::CronLine,
    fetch,
    time::{from_db, to_db},
};
use chrono::{DateTime, Utc};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, PgPool};
use std::{collections::BTreeMap, time::Duration};

const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(5);
const LAST_RETRY: SignedDuration = SignedDuration::from_hours(24);

/// A feed of the settings.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name in the settings.
    pub name: String,
    /// What it is.
    pub feed: Feed,
    line: CronLine,
    // The line and its zone as text, to see whether they have changed.
    schedule: String,
}

/// The feeds of the settings. What could not be read was refused when the settings were loaded.
pub fn planned(feeds: &BTreeMap<String, config::Feed>) -> Vec<Planned> {
    let read = |(name, feed): (&String, &config::Feed)| {
        let series = Some(feed.series.trim().to_owned()).filter(|series| !series.is_empty());
        Some(Planned {
            name: name.clone(),
            feed: Feed { url: fetch::address(&feed.url).ok()?, series, approve: feed.approve },
            line: CronLine::parse(&feed.cron, &feed.zone).ok()?,
            schedule: format!("{} {}", feed.cron, feed.zone),
        })
    };
    feeds.iter().filter_map(read).collect()
}

/// Those that are due and that nobody is at. One that is new or whose cron line has changed is due at its next firing.
pub async fn due<'a>(conn: &mut PgConnection, planned: &'a [Planned], now: Timestamp) -> sqlx::Result<Vec<&'a Planned>> {
    let (urls, series): (Vec<String>, Vec<String>) = planned.iter().map(key).unzip();
    let rows = sqlx::query!(
        r#"SELECT f.schedule, f.next_run_at, coalesce(f.claimed_until > now(), false) AS "claimed!"
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (url, series, place)
         LEFT JOIN feeds f USING (url, series) ORDER BY place"#,
        &urls,
        &series
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut found = Vec::new();
    for (planned, row) in planned.iter().zip(rows) {
        if row.schedule.as_deref() != Some(&planned.schedule) {
            plan(conn, planned, now).await?;
        } else if !row.claimed && row.next_run_at.is_some_and(|at| from_db(at) <= now) {
            found.push(planned);
        }
    }
    Ok(found)
}

/// Brings a feed in if it is due and nobody is at it, and says when it is due next. None: it was not.
pub async fn run(means: &Means<'_>, planned: &Planned, now: Timestamp) -> sqlx::Result<Option<Result<Brought, FeedError>>> {
    let Some(claim) = claim(means.pool, planned, means.bounds.whole, now).await? else { return Ok(None) };
    let result = super::bring_in(means, &planned.feed, now).await;
    let failure = result.as_ref().err().map(|error| backed_off(claim.failures, error.retry_after()));
    let next = failure.and_then(|wait| now.checked_add(wait).ok()).or_else(|| planned.line.next_after(now));
    finish(means.pool, &claim, next.unwrap_or(Timestamp::MAX)).await?;
    Ok(Some(result))
}

/// The wait after a failure: doubled with each that came before, and no shorter than the server asked for.
fn backed_off(before: i32, asked: Option<Duration>) -> SignedDuration {
    let doubled = FIRST_RETRY.saturating_mul(2_i32.saturating_pow(before.clamp(0, 16).unsigned_abs()));
    let asked = asked.and_then(|asked| SignedDuration::try_from(asked).ok()).unwrap_or_default();
    doubled.max(asked).min(LAST_RETRY)
}

struct Claim {
    id: i64,
    until: DateTime<Utc>,
    failures: i32,
}

// Long enough for the fetch, and for the transactions of all its articles.
async fn claim(pool: &PgPool, planned: &Planned, fetching: Duration, now: Timestamp) -> sqlx::Result<Option<Claim>> {
    let (url, series) = key(planned);
    let seconds = fetching.as_secs_f64() + 600.0;
    sqlx::query_as!(
        Claim,
        r#"UPDATE feeds SET claimed_until = now() + make_interval(secs => $4) WHERE id = (
             SELECT id FROM feeds WHERE url = $1 AND series = $2 AND next_run_at <= $3 AND (claimed_until IS NULL OR claimed_until <= now())
             FOR UPDATE SKIP LOCKED)
         RETURNING id, claimed_until AS "until!", failures"#,
        url,
        series,
        to_db(now),
        seconds
    )
    .fetch_optional(pool)
    .await
}

// A claim that ran out meanwhile is somebody else's now.
async fn finish(pool: &PgPool, claim: &Claim, next: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE feeds SET claimed_until = NULL, next_run_at = $3 WHERE id = $1 AND claimed_until = $2",
        claim.id,
        claim.until,
        to_db(next)
    )
    .execute(pool)
    .await?;
    Ok(())
}

async fn plan(conn: &mut PgConnection, planned: &Planned, now: Timestamp) -> sqlx::Result<()> {
    let Some(next) = planned.line.next_after(now) else { return Ok(()) };
    let (url, series) = key(planned);
    sqlx::query!(
        "INSERT INTO feeds (url, series, schedule, next_run_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (url, series) DO UPDATE SET schedule = excluded.schedule, next_run_at = excluded.next_run_at
         WHERE feeds.schedule IS DISTINCT FROM excluded.schedule",
        url,
        series,
        planned.schedule,
        to_db(next)
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn key(planned: &Planned) -> (String, String) {
    (planned.feed.url.as_str().to_owned(), planned.feed.series.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_fails_is_tried_less_and_less_often_and_as_its_server_asks() {
        let minutes = |before, asked| backed_off(before, asked).as_mins();
        assert_eq!([0, 1, 2, 3].map(|before| minutes(before, None)), [5, 10, 20, 40]);
        assert_eq!([8, 9, 1000, i32::MAX].map(|before| minutes(before, None)), [1280, 1440, 1440, 1440]);
        assert_eq!(minutes(0, Some(Duration::from_secs(3600))), 60);
        assert_eq!(minutes(0, Some(Duration::MAX)), 5, "what no clock can count is no wish");
        assert_eq!(minutes(0, Some(Duration::from_secs(1_000_000))), 1440);
    }
}
