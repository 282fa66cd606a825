//! Taking permits out of a pace's row: the one place that decides how many there are.
//!
//! Pure. `store` reads the row under its lock, calls [`reserve`] and writes it back; so whatever workers do at once, they do one after the
//! other here. Who gets no permit is told a slot: the time when, by all that is known, there will be room.

use super::terms::{WarmUp, allowed, between, day_of, midnight, opening, window_start};
use jiff::{SignedDuration, Timestamp, civil::Date};

/// A pace's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The window that `taken` counts.
    pub window: Timestamp,
    /// Permits of the window.
    pub taken: u64,
    /// The day that `today` counts.
    pub day: Date,
    /// Permits of the day.
    pub today: u64,
    /// Slots before it were named.
    pub promised: Timestamp,
}

impl Default for Row {
    fn default() -> Self {
        Self { window: Timestamp::UNIX_EPOCH, taken: 0, day: Date::constant(1970, 1, 1), today: 0, promised: Timestamp::UNIX_EPOCH }
    }
}

/// What holds at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Mails a day that the windows are made of; `None`: any number.
    pub per_day: Option<u64>,
    /// The seconds of a window.
    pub seconds: u64,
    /// The plan by day.
    pub warm_up: Option<&'a WarmUp>,
    /// Mails a day that seem to be possible, where nothing else says when there is room.
    pub flow: u64,
}

/// What a worker asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Permits for mails that it holds: whoever gets none is told a slot.
    pub mails: u64,
    /// Mails that need a slot in any case.
    pub turned_away: u64,
    /// Mails that went without being asked.
    pub gone: u64,
    /// Permits that it did not use, and of which day.
    pub back: Option<(Date, u64)>,
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Permits.
    pub mails: u64,
    /// They are worth something before this instant.
    pub until: Timestamp,
    /// A slot for each of the others.
    pub slots: Vec<Timestamp>,
}

/// Takes what there is at `at` for a wish.
pub fn reserve(row: &mut Row, limits: &Limits<'_>, wish: &Wish, at: Timestamp) -> Grant {
    turn(row, limits, at);
    if let Some((_, back)) = wish.back.filter(|(day, _)| *day == row.day) {
        row.today = row.today.saturating_sub(back);
    }
    // What went without being asked is there first.
    row.taken = row.taken.saturating_add(wish.gone);
    row.today = row.today.saturating_add(wish.gone);
    let window = limits.per_day.map_or(u64::MAX, |per_day| allowed(per_day, row.window, limits.seconds).saturating_sub(row.taken));
    let day = limits.warm_up.and_then(|plan| plan.on(row.day)).map_or(u64::MAX, |mails| u64::from(mails).saturating_sub(row.today));
    let mails = wish.mails.min(window).min(day);
    row.taken = row.taken.saturating_add(mails);
    row.today = row.today.saturating_add(mails);
    let window_ends = row.window.saturating_add(seconds(limits.seconds)).unwrap_or(Timestamp::MAX);
    let day_ends = row.day.tomorrow().map_or(Timestamp::MAX, midnight);
    let until = if limits.per_day.is_some() { window_ends.min(day_ends) } else { day_ends };
    let opens = match (day == mails, limits.per_day) {
        (true, _) => day_ends,
        (false, Some(_)) => window_ends,
        (false, None) => at,
    };
    // Where only hand-overs are limited, a place for each shows that nobody waits.
    if limits.per_day.is_none() && limits.warm_up.is_none() && wish.turned_away == 0 {
        row.promised = row.promised.min(at);
    }
    let slots = promise(row, limits, wish.mails - mails + wish.turned_away, opens);
    Grant { mails, until, slots }
}

/// A window of fewer permits shows nothing when it is not used up.
const TELLING: u64 = 10;

// A new window, a new day. A window of which not half was taken shows that those who were told slots did not come: what they wait for may
// have been cancelled, so new slots begin at once.
fn turn(row: &mut Row, limits: &Limits<'_>, at: Timestamp) {
    let day = day_of(at);
    if let Some(per_day) = limits.per_day {
        let start = window_start(at, limits.seconds);
        if row.window < start {
            let room = allowed(per_day, row.window, limits.seconds);
            let silence = seconds(limits.seconds) + between(per_day) * 3;
            if start.duration_since(row.window) > silence || (room >= TELLING && row.taken * 2 < room) {
                row.promised = row.promised.min(at);
            }
            (row.window, row.taken) = (start, 0);
        }
    } else if row.window < at {
        // Without windows nothing shows who came, but a day that is not used up.
        let used_up = limits.warm_up.and_then(|plan| plan.on(row.day)).is_some_and(|mails| row.today * 2 >= u64::from(mails));
        if !used_up && row.day < day {
            row.promised = row.promised.min(at);
        }
        row.window = at;
    }
    if row.day < day {
        (row.day, row.today) = (day, 0);
    }
}

fn promise(row: &mut Row, limits: &Limits<'_>, mails: u64, opens: Timestamp) -> Vec<Timestamp> {
    let mut slots = Vec::with_capacity(usize::try_from(mails).unwrap_or(0));
    let mut next = row.promised.max(opens);
    for _ in 0..mails {
        next = limits.per_day.map_or(next, |per_day| opening(per_day, limits.seconds, next));
        slots.push(next);
        next = next.saturating_add(step(limits, next)).unwrap_or(Timestamp::MAX);
    }
    if mails > 0 {
        row.promised = next;
    }
    slots
}

fn step(limits: &Limits<'_>, at: Timestamp) -> SignedDuration {
    let day = limits.warm_up.and_then(|plan| plan.on(day_of(at))).map(u64::from);
    let known = [limits.per_day, day].into_iter().flatten().min();
    between(known.unwrap_or(limits.flow))
}

fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}
