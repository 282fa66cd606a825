//! Backing off: when the answers about a group's mails say to slow down, and how it comes back.
//!
//! Pure. The pace is halved, and a tenth of the whole is added in each quiet minute until it is whole again; what holds now follows from
//! the last halving and the clock, so that all workers agree and recovering writes nothing.

use jiff::{SignedDuration, Timestamp};

/// So many of the last answers are looked at.
const LOOKED_AT: u32 = 50;
/// And so many at least.
const ENOUGH: u32 = 20;
/// A fifth of them: too many.
const TOO_MANY: u32 = 5;
/// What was on its way when a pace was halved says nothing about the new one.
pub const HALVED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// A pace that is slowed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// When it was halved last.
    pub changed_at: Timestamp,
    /// Mails a day before it.
    pub whole: u64,
    /// Mails a day after the last halving.
    pub slowed_to: u64,
    /// What the answers were.
    pub because: String,
}

impl Trouble {
    /// The first halving.
    pub fn new(whole: u64, because: String, now: Timestamp) -> Self {
        let whole = whole.max(2);
        Self { since: now, changed_at: now, whole, slowed_to: whole / 2, because }
    }

    /// Mails a day at `now`; `None`: it is whole again.
    pub fn per_day(&self, now: Timestamp) -> Option<u64> {
        let minutes = u64::try_from(now.duration_since(self.changed_at).as_secs() / 60).unwrap_or(0);
        let rate = self.slowed_to.saturating_add((self.whole / 10).max(1).saturating_mul(minutes));
        (rate < self.whole).then_some(rate)
    }

    /// Halves it once more, unless it was halved just now.
    pub fn again(&mut self, because: String, now: Timestamp) -> bool {
        let Some(rate) = self.per_day(now) else {
            *self = Self::new(self.whole, because, now);
            return true;
        };
        if now.duration_since(self.changed_at) < HALVED_FOR {
            return false;
        }
        (self.slowed_to, self.changed_at, self.because) = ((rate / 2).max(1), now, because);
        true
    }
}

/// The last answers about a group's mails.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers {
    put_off: u64,
    seen: u32,
}

impl Answers {
    /// Takes an answer; if too many of the last ones put mails off, how many of how many, and counting begins anew.
    pub fn take(&mut self, code: u16) -> Option<(u32, u32)> {
        let put_off = matches!(code, 421 | 450 | 451 | 452);
        self.put_off = ((self.put_off << 1) | u64::from(put_off)) & ((1 << LOOKED_AT) - 1);
        self.seen = (self.seen + 1).min(LOOKED_AT);
        let (many, of) = (self.put_off.count_ones(), self.seen);
        let too_many = of >= ENOUGH && many * TOO_MANY >= of;
        too_many.then(|| {
            *self = Self::default();
            (many, of)
        })
    }
}

/// How many went in the last minute, in portions of ten seconds.
#[derive(Debug, Clone, Default)]
pub struct LastMinute {
    portions: [u32; 6],
    newest: i64,
}

impl LastMinute {
    /// One more.
    pub fn count(&mut self, now: Timestamp) {
        self.turn(now);
        self.portions[0] += 1;
    }

    /// Mails a day, at the speed of the last minute.
    pub fn per_day(&mut self, now: Timestamp) -> u64 {
        self.turn(now);
        self.portions.iter().map(|portion| u64::from(*portion)).sum::<u64>() * 24 * 60
    }

    fn turn(&mut self, now: Timestamp) {
        let portion = now.as_second().div_euclid(10);
        let passed = usize::try_from(portion - self.newest).unwrap_or(0).min(6);
        if passed > 0 {
            self.portions.rotate_right(passed % 6);
            self.portions[..passed].fill(0);
            self.newest = portion;
        }
    }
}
