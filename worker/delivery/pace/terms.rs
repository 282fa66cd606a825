//! What a pace allows, as arithmetic: mails in each window and on each day, and the time between two of them.
//!
//! Pure. A rate is reckoned in mails a day; a window is short, and gets its part of the day's mails so that the parts add up to the rate.

use crate::base::config::{Group, Rate, Relay};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

const DAY: u64 = 86_400;

/// What the settings say about one relay or group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The rate, as it was written.
    pub rate: Option<Rate>,
    /// Hand-overs at the same time.
    pub connections: Option<u32>,
    /// The plan by day.
    pub warm_up: Option<WarmUp>,
}

/// Mails on each day from the first on; after the last there is no such limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// In UTC.
    pub from: Date,
    /// At least one.
    pub days: Vec<u32>,
}

impl Terms {
    /// Those of a relay. Its connections are each worker's own, and no part of this.
    pub fn of_relay(relay: &Relay) -> Self {
        Self { rate: relay.rate, connections: None, warm_up: warm_up(&relay.warm_up, relay.warm_up_from) }
    }

    /// Those of a group.
    pub fn of_group(group: &Group) -> Self {
        let connections = group.connections.map(u32::from);
        Self { rate: group.rate, connections, warm_up: warm_up(&group.warm_up, group.warm_up_from) }
    }

    /// Whether they limit anything.
    pub fn limit(&self) -> bool {
        self.rate.is_some() || self.connections.is_some() || self.warm_up.is_some()
    }

    /// The rate in mails a day.
    pub fn per_day(&self) -> Option<u64> {
        self.rate.map(|rate| u64::from(rate.mails) * (DAY / u64::from(rate.seconds)))
    }
}

fn warm_up(days: &[u32], from: Option<Date>) -> Option<WarmUp> {
    from.filter(|_| !days.is_empty()).map(|from| WarmUp { from, days: days.to_vec() })
}

impl WarmUp {
    /// The mails of a day; `None`: the plan is over. Before its first day the first number holds.
    pub fn on(&self, day: Date) -> Option<u32> {
        let number = usize::try_from(day.duration_since(self.from).as_hours() / 24).unwrap_or(0);
        self.days.get(number).copied()
    }

    /// Which day of the plan it is, from 1 on, and of how many; `None`: it is over.
    pub fn day(&self, day: Date) -> Option<(usize, usize)> {
        let number = usize::try_from(day.duration_since(self.from).as_hours() / 24).unwrap_or(0);
        (number < self.days.len()).then_some((number + 1, self.days.len()))
    }
}

/// The seconds of a window of a rate: the shortest that has ten mails, a day at most.
pub fn window_of(per_day: u64) -> u64 {
    [1, 10, 60, 600, 3_600].into_iter().find(|seconds| per_day.saturating_mul(*seconds) >= 10 * DAY).unwrap_or(DAY)
}

/// When the window began that `at` lies in.
pub fn window_start(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(1);
    Timestamp::from_second(at.as_second().div_euclid(seconds) * seconds).unwrap_or(at)
}

/// The mails of a window: of all windows in a row no more than the rate has in their time.
pub fn allowed(per_day: u64, start: Timestamp, seconds: u64) -> u64 {
    let begin = start.as_second().max(0).unsigned_abs();
    u64::try_from(up_to(per_day, begin.saturating_add(seconds)) - up_to(per_day, begin)).unwrap_or(u64::MAX)
}

/// The first instant from `at` on that lies in a window with any mails: where the rate is slower than its windows, most have none.
pub fn opening(per_day: u64, seconds: u64, at: Timestamp) -> Timestamp {
    let begin = window_start(at, seconds);
    let next = up_to(per_day, begin.as_second().max(0).unsigned_abs()) + 1;
    // The second by whose end that many mails are allowed, and the window that ends then or later.
    let second = (next * u128::from(DAY)).div_ceil(u128::from(per_day.max(1)));
    let end = u64::try_from(second).unwrap_or(u64::MAX).div_ceil(seconds).saturating_mul(seconds);
    let start = i64::try_from(end - seconds.min(end)).unwrap_or(i64::MAX);
    Timestamp::from_second(start).unwrap_or(Timestamp::MAX).max(at)
}

// Mails from the beginning of time to the end of a second.
fn up_to(per_day: u64, second: u64) -> u128 {
    u128::from(second) * u128::from(per_day) / u128::from(DAY)
}

/// The time between two mails.
pub fn between(per_day: u64) -> SignedDuration {
    SignedDuration::from_nanos(i64::try_from(DAY * 1_000_000_000 / per_day.max(1)).unwrap_or(i64::MAX))
}

/// The day of an instant, in UTC.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// When a day begins, in UTC.
pub fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}
