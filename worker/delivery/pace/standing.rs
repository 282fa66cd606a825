//! What operators see of the pace: each limit, what is used of it, who waits, and what backs off.
//!
//! Read out of the settings and the rows together; called by `tidings pace` and by `/metrics`.

use super::{
    store,
    terms::{Terms, allowed, day_of, window_of, window_start},
    trouble::Trouble,
};
use crate::base::{
    config::{Config, DEFAULT_GROUP},
    time::{civil_from_db, from_db},
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};

/// The standing of one pace.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// `relay`, `group`, or `domain` for one that is in no group.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The rate of the settings, such as `20/s`.
    pub rate: Option<String>,
    /// What holds at this moment: less while it backs off.
    pub window: Option<Window>,
    /// The plan by day, until it is over.
    pub warm_up: Option<Day>,
    /// Hand-overs at the same time.
    pub connections: Option<Connections>,
    /// Until when slots were named to mails that wait.
    pub waits_until: Option<Timestamp>,
    /// Why it goes slower than the settings say.
    pub backing_off: Option<BackingOff>,
}

/// The window at hand.
#[derive(Debug, Clone, Serialize)]
pub struct Window {
    /// Its length.
    pub seconds: u64,
    /// Mails that may go in it.
    pub limit: u64,
    /// Permits that were taken.
    pub taken: u64,
}

/// A day of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Day {
    /// Which, from 1 on.
    pub day: usize,
    /// Of how many.
    pub of: usize,
    /// Mails that may go on it.
    pub limit: u64,
    /// Permits that were taken.
    pub taken: u64,
}

/// Hand-overs at the same time.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// Of all workers together.
    pub limit: u32,
    /// Those that the workers hold.
    pub held: u32,
}

/// A pace that is slowed down.
#[derive(Debug, Clone, Serialize)]
pub struct BackingOff {
    /// Since when.
    pub since: Timestamp,
    /// What is allowed now, such as `10/s`.
    pub rate: String,
    /// What it was before.
    pub whole: String,
    /// What the answers were.
    pub because: String,
}

impl Standing {
    /// Whether it is limited by anything.
    pub fn is_limited(&self) -> bool {
        self.window.is_some() || self.warm_up.is_some() || self.connections.is_some()
    }
}

struct Row {
    window: Timestamp,
    taken: u64,
    day: jiff::civil::Date,
    today: u64,
    promised: Timestamp,
}

/// Every relay and group of the settings, and the domains in no group for which mails wait or that back off.
pub async fn list(conn: &mut PgConnection, config: &Config, now: Timestamp) -> sqlx::Result<Vec<Standing>> {
    let rows = rows(conn).await?;
    let troubles: HashMap<String, Trouble> = store::troubles(conn).await?.into_iter().map(|(pace, of)| (pace.to_string(), of)).collect();
    let held = held(conn).await?;
    let default = config.pace.get(DEFAULT_GROUP).map(Terms::of_group).unwrap_or_default();
    let mut known: Vec<(&'static str, String, Terms)> = Vec::new();
    known.extend(config.relays.iter().map(|(name, relay)| ("relay", name.clone(), Terms::of_relay(relay))));
    known.extend(config.pace.iter().map(|(name, group)| ("group", name.clone(), Terms::of_group(group))));
    let waits = rows.iter().filter(|(_, row)| row.promised > now).map(|(pace, _)| pace);
    let others: std::collections::BTreeSet<&str> = waits.chain(troubles.keys()).filter_map(|pace| pace.strip_prefix("domain:")).collect();
    known.extend(others.into_iter().map(|domain| ("domain", domain.to_owned(), default.clone())));
    let one = |(kind, name, terms): (&'static str, String, Terms)| {
        let pace = format!("{kind}:{name}");
        let held = held.get(&pace).copied().unwrap_or(0);
        standing((kind, name), &terms, rows.get(&pace), troubles.get(&pace), held, now)
    };
    Ok(known.into_iter().map(one).collect())
}

fn standing(
    (kind, name): (&'static str, String),
    terms: &Terms,
    row: Option<&Row>,
    trouble: Option<&Trouble>,
    held: u32,
    now: Timestamp,
) -> Standing {
    let slowed = trouble.and_then(|trouble| Some((trouble, trouble.per_day(now)?)));
    let per_day = [terms.per_day(), slowed.map(|(_, rate)| rate)].into_iter().flatten().min();
    let window = per_day.map(|per_day| {
        let seconds = window_of(terms.per_day().or(trouble.map(|trouble| trouble.whole)).unwrap_or(per_day));
        let start = window_start(now, seconds);
        // A row may lie a little ahead, by the database's clock.
        let taken = row.filter(|row| row.window >= start).map_or(0, |row| row.taken);
        Window { seconds, limit: allowed(per_day, start, seconds), taken }
    });
    let warm_up = terms.warm_up.as_ref().and_then(|plan| {
        let today = day_of(now);
        let (day, of) = plan.day(today)?;
        let taken = row.filter(|row| row.day >= today).map_or(0, |row| row.today);
        Some(Day { day, of, limit: plan.on(today)?.into(), taken })
    });
    Standing {
        kind,
        name,
        rate: terms.rate.map(|rate| rate.to_string()),
        window,
        warm_up,
        connections: terms.connections.map(|limit| Connections { limit, held }),
        waits_until: row.map(|row| row.promised).filter(|promised| *promised > now),
        backing_off: slowed.map(|(trouble, rate)| BackingOff {
            since: trouble.since,
            rate: speed(rate),
            whole: speed(trouble.whole),
            because: trouble.because.clone(),
        }),
    }
}

/// Mails a day as an operator would say it: `10/s`, `12.5/m`.
pub fn speed(per_day: u64) -> String {
    let (in_a_day, unit) = [(86_400, "s"), (1_440, "m"), (24, "h")].into_iter().find(|(n, _)| per_day >= *n).unwrap_or((1, "d"));
    let tenths = per_day * 10 / in_a_day;
    if tenths.is_multiple_of(10) { format!("{}/{unit}", tenths / 10) } else { format!("{}.{}/{unit}", tenths / 10, tenths % 10) }
}

async fn rows(conn: &mut PgConnection) -> sqlx::Result<BTreeMap<String, Row>> {
    let rows = sqlx::query!("SELECT pace, window_start, taken, day, today, promised_until FROM paces").fetch_all(conn).await?;
    let read = rows.into_iter().map(|row| {
        let read = Row {
            window: from_db(row.window_start),
            taken: u64::try_from(row.taken).unwrap_or(0),
            day: civil_from_db(row.day),
            today: u64::try_from(row.today).unwrap_or(0),
            promised: from_db(row.promised_until),
        };
        (row.pace, read)
    });
    Ok(read.collect())
}

async fn held(conn: &mut PgConnection) -> sqlx::Result<HashMap<String, u32>> {
    let rows = sqlx::query!(
        r#"SELECT s.pace, sum(s.held)::bigint AS "held!" FROM pace_slots s JOIN workers w ON w.id = s.worker_id WHERE w.gone_at IS NULL GROUP BY s.pace"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.pace, u32::try_from(row.held).unwrap_or(u32::MAX))).collect())
}
