//! The rows of paces: taking permits for a whole claim in one transaction, hand-overs at the same time, and what backs off.

use super::{
    groups::Name,
    reserve::{Grant, Limits, Row, Wish, reserve},
    terms::WarmUp,
    trouble::Trouble,
};
use crate::base::time::{civil_from_db, civil_to_db, from_db, to_db};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Acquire, PgConnection};
use std::collections::HashMap;

/// What a worker asks of a pace.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which.
    pub pace: Name,
    /// Mails a day that the windows are made of.
    pub per_day: Option<u64>,
    /// The seconds of a window.
    pub seconds: u64,
    /// The plan by day.
    pub warm_up: Option<WarmUp>,
    /// Mails a day that seem to be possible.
    pub flow: u64,
    /// Permits.
    pub wish: Wish,
    /// Hand-overs at the same time.
    pub places: Option<Places>,
}

/// No wish at all.
pub(super) const NOTHING: Wish = Wish { mails: 0, turned_away: 0, gone: 0, back: None };

/// Hand-overs at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Of all workers together.
    pub connections: u32,
    /// Those that this worker has under way.
    pub under_way: u32,
    /// Those that it would begin.
    pub more: u32,
}

/// What a worker gets of a pace.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Which.
    pub pace: Name,
    /// Permits and slots.
    pub grant: Grant,
    /// Hand-overs that this worker may have under way.
    pub held: u32,
}

/// Takes what there is for all `asks`, as of `at`, or of the database's clock; gives that instant, too.
pub async fn take(conn: &mut PgConnection, worker: i64, asks: &[Ask], at: Option<Timestamp>) -> sqlx::Result<(Timestamp, Vec<Granted>)> {
    let mut tx = conn.begin().await?;
    let names: Vec<String> = asks.iter().map(|ask| ask.pace.to_string()).collect();
    let (at, mut rows) = lock(&mut tx, &names, at).await?;
    let others = if asks.iter().any(|ask| ask.places.is_some()) { held_by_others(&mut tx, worker, &names).await? } else { HashMap::new() };
    let mut granted = Vec::with_capacity(asks.len());
    for ask in asks {
        let row = rows.entry(ask.pace.to_string()).or_default();
        granted.push(decide(ask, row, others.get(&*ask.pace).copied().unwrap_or(0), at));
    }
    write(&mut tx, &rows).await?;
    hold(&mut tx, worker, asks, &granted).await?;
    tx.commit().await?;
    Ok((at, granted))
}

fn decide(ask: &Ask, row: &mut Row, others: u32, at: Timestamp) -> Granted {
    let limits = Limits { per_day: ask.per_day, seconds: ask.seconds, warm_up: ask.warm_up.as_ref(), flow: ask.flow };
    let mut wish = ask.wish;
    let mut held = 0;
    if let Some(places) = ask.places {
        held = places.connections.saturating_sub(others).min(places.under_way + places.more).max(places.under_way);
        wish.turned_away = u64::from((places.under_way + places.more).saturating_sub(held));
        wish.mails = wish.mails.saturating_sub(wish.turned_away);
    }
    // Where only hand-overs are limited there is no end of permits.
    let permits = ask.per_day.is_some() || ask.warm_up.is_some();
    if !permits {
        wish.mails = 0;
    }
    Granted { pace: ask.pace.clone(), grant: reserve(row, &limits, &wish, at), held }
}

// In the order of the names, so that no two workers wait for each other.
async fn lock(conn: &mut PgConnection, names: &[String], at: Option<Timestamp>) -> sqlx::Result<(Timestamp, HashMap<String, Row>)> {
    for made in [false, true] {
        if made {
            sqlx::query!("INSERT INTO paces (pace) SELECT n FROM unnest($1::text[]) AS n ORDER BY n ON CONFLICT DO NOTHING", names)
                .execute(&mut *conn)
                .await?;
        }
        let found = sqlx::query!(
            r#"SELECT pace, window_start, taken, day, today, promised_until, coalesce($2, clock_timestamp()) AS "at!"
            FROM paces WHERE pace = ANY($1) ORDER BY pace FOR UPDATE"#,
            names,
            at.map(to_db)
        )
        .fetch_all(&mut *conn)
        .await?;
        if found.len() < names.len() && !made {
            continue;
        }
        let instant = found.first().map(|row| from_db(row.at)).ok_or(sqlx::Error::RowNotFound)?;
        let rows = found.into_iter().map(|row| {
            let read = Row {
                window: from_db(row.window_start),
                taken: u64::try_from(row.taken).unwrap_or(0),
                day: civil_from_db(row.day),
                today: u64::try_from(row.today).unwrap_or(0),
                promised: from_db(row.promised_until),
            };
            (row.pace, read)
        });
        return Ok((instant, rows.collect()));
    }
    Err(sqlx::Error::RowNotFound)
}

async fn write(conn: &mut PgConnection, rows: &HashMap<String, Row>) -> sqlx::Result<()> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let rows: Vec<(&String, &Row)> = rows.iter().collect();
    sqlx::query!(
        "UPDATE paces p SET window_start = r.window_start, taken = r.taken, day = r.day, today = r.today, promised_until = r.promised_until
        FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::date[], $5::bigint[], $6::timestamptz[])
            AS r (pace, window_start, taken, day, today, promised_until)
        WHERE p.pace = r.pace",
        &rows.iter().map(|(name, _)| (*name).clone()).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| to_db(row.window)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| count(row.taken)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| civil_to_db(row.day)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| count(row.today)).collect::<Vec<_>>(),
        &rows.iter().map(|(_, row)| to_db(row.promised)).collect::<Vec<_>>()
    )
    .execute(conn)
    .await
    .map(drop)
}

async fn held_by_others(conn: &mut PgConnection, worker: i64, names: &[String]) -> sqlx::Result<HashMap<String, u32>> {
    let rows = sqlx::query!(
        r#"SELECT s.pace, sum(s.held)::bigint AS "held!" FROM pace_slots s JOIN workers w ON w.id = s.worker_id
        WHERE s.pace = ANY($1) AND s.worker_id <> $2 AND w.gone_at IS NULL GROUP BY s.pace"#,
        names,
        worker
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.pace, u32::try_from(row.held).unwrap_or(u32::MAX))).collect())
}

async fn hold(conn: &mut PgConnection, worker: i64, asks: &[Ask], granted: &[Granted]) -> sqlx::Result<()> {
    let held: Vec<&Granted> = asks.iter().zip(granted).filter(|(ask, _)| ask.places.is_some()).map(|(_, granted)| granted).collect();
    if held.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO pace_slots (pace, worker_id, held) SELECT s.pace, $1, s.held FROM unnest($2::text[], $3::bigint[]) AS s (pace, held)
        ON CONFLICT (pace, worker_id) DO UPDATE SET held = excluded.held",
        worker,
        &held.iter().map(|granted| granted.pace.to_string()).collect::<Vec<_>>(),
        &held.iter().map(|granted| i64::from(granted.held)).collect::<Vec<_>>()
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Everything that backs off, or did.
pub async fn troubles(conn: &mut PgConnection) -> sqlx::Result<HashMap<Name, Trouble>> {
    let rows = sqlx::query!("SELECT pace, since, changed_at, whole, slowed_to, because FROM pace_troubles").fetch_all(conn).await?;
    let read = rows.into_iter().map(|row| {
        let trouble = Trouble {
            since: from_db(row.since),
            changed_at: from_db(row.changed_at),
            whole: u64::try_from(row.whole).unwrap_or(1),
            slowed_to: u64::try_from(row.slowed_to).unwrap_or(1),
            because: row.because,
        };
        (Name::from(row.pace), trouble)
    });
    Ok(read.collect())
}

/// Halves a pace, from its `rate` or, where it has none, from what all workers make together if each makes as much as `seen`, in mails a
/// day; whether it was.
pub async fn slow_down(
    conn: &mut PgConnection,
    pace: &str,
    (rate, seen): (Option<u64>, u64),
    because: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let mut tx = conn.begin().await?;
    let workers = sqlx::query_scalar!(r#"SELECT count(*) AS "workers!" FROM workers WHERE gone_at IS NULL"#).fetch_one(&mut *tx).await?;
    let whole = rate.unwrap_or_else(|| seen.saturating_mul(u64::try_from(workers).unwrap_or(1).max(1)));
    let first = Trouble::new(whole, because.to_owned(), now);
    // The row's lock, whether it is there or not.
    let made = sqlx::query!(
        "INSERT INTO pace_troubles (pace, since, changed_at, whole, slowed_to, because) VALUES ($1, $2, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        pace,
        to_db(now),
        i64::try_from(first.whole).unwrap_or(i64::MAX),
        i64::try_from(first.slowed_to).unwrap_or(i64::MAX),
        because
    )
    .execute(&mut *tx)
    .await?;
    let changed = made.rows_affected() == 1 || halve(&mut tx, pace, because, now).await?;
    tx.commit().await?;
    Ok(changed)
}

async fn halve(conn: &mut PgConnection, pace: &str, because: &str, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query!("SELECT pace FROM pace_troubles WHERE pace = $1 FOR UPDATE", pace).fetch_optional(&mut *conn).await?;
    let Some(mut trouble) = troubles(conn).await?.remove(pace) else { return Ok(false) };
    if !trouble.again(because.to_owned(), now) {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE pace_troubles SET since = $2, changed_at = $3, slowed_to = $4, because = $5 WHERE pace = $1",
        pace,
        to_db(trouble.since),
        to_db(trouble.changed_at),
        i64::try_from(trouble.slowed_to).unwrap_or(i64::MAX),
        because
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Forgets what is whole again, unless it was slowed down anew in the meantime; whether it did.
pub async fn recovered(conn: &mut PgConnection, pace: &str, changed_at: Timestamp) -> sqlx::Result<bool> {
    let gone =
        sqlx::query!("DELETE FROM pace_troubles WHERE pace = $1 AND changed_at <= $2", pace, to_db(changed_at)).execute(conn).await?;
    Ok(gone.rows_affected() == 1)
}

/// Forgets what nobody asked for lately, and the places of workers that are gone.
pub async fn prune(conn: &mut PgConnection, now: Timestamp) -> sqlx::Result<()> {
    let before = to_db(now - KEPT);
    sqlx::query!("DELETE FROM paces WHERE window_start < $1 AND promised_until < $1", before).execute(&mut *conn).await?;
    sqlx::query!("DELETE FROM pace_slots s USING workers w WHERE w.id = s.worker_id AND w.gone_at < $1", before).execute(conn).await?;
    Ok(())
}

/// A row says nothing after its day; the name of a domain is not kept for longer than it serves.
const KEPT: SignedDuration = SignedDuration::from_hours(48);
