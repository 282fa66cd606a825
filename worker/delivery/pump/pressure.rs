//! How quick the database is: while claims and commits take long, fewer deliveries are taken at once.
//!
//! The feeder and the scribe say how long each took. A slow one halves the portion, quick ones double it until it is whole again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The least that is taken at once.
const LEAST: usize = 10;

/// Shared by the tasks of one pump.
#[derive(Clone)]
pub(super) struct Pressure {
    portion: Arc<Mutex<usize>>,
    whole: usize,
    slow: Duration,
}

impl Pressure {
    /// `whole` deliveries at once, until something takes longer than `slow`.
    pub(super) fn new(whole: usize, slow: Duration) -> Self {
        metrics::gauge!("tidings_database_slow").set(0);
        Self { portion: Arc::new(Mutex::new(whole)), whole, slow }
    }

    /// How many may be claimed at once.
    pub(super) fn portion(&self) -> usize {
        *self.portion.lock().expect("no holder panics")
    }

    /// The same share of another amount.
    pub(super) fn of(&self, amount: usize) -> usize {
        (amount * self.portion() / self.whole.max(1)).clamp(LEAST.min(amount), amount)
    }

    /// A claim or a commit took so long.
    pub(super) fn took(&self, time: Duration) {
        let mut portion = self.portion.lock().expect("no holder panics");
        let before = *portion;
        if time > self.slow {
            *portion = (before / 2).max(LEAST.min(self.whole));
        } else if time < self.slow / 4 {
            *portion = (before * 2).min(self.whole);
        }
        match (before == self.whole, *portion == self.whole) {
            (true, false) => {
                metrics::gauge!("tidings_database_slow").set(1);
                let (took, limit) = (time.as_secs_f32(), self.slow.as_secs_f32());
                tracing::warn!(
                    "the database is slow: a claim or commit took {took:.1} s, more than {limit:.1} s: fewer mails are taken at once"
                );
            }
            (false, true) => {
                metrics::gauge!("tidings_database_slow").set(0);
                tracing::info!("the database is quick again: as many mails are taken at once as before");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_database_is_asked_for_less_and_a_quick_one_for_all_again() {
        let pressure = Pressure::new(200, Duration::from_secs(2));
        let after = |times: &[u64]| {
            times.iter().for_each(|millis| pressure.took(Duration::from_millis(*millis)));
            (pressure.portion(), pressure.of(500))
        };
        assert_eq!(after(&[3, 400]), (200, 500));
        assert_eq!(after(&[2_500]), (100, 250));
        assert_eq!(after(&[1_500]), (100, 250), "neither slow nor quick");
        assert_eq!(after(&[9_000, 9_000, 9_000, 9_000, 9_000]), (10, 25));
        assert_eq!(after(&[3, 3]), (40, 100));
        assert_eq!(after(&[3, 3, 3]), (200, 500));
        assert_eq!(Pressure::new(1, Duration::from_secs(2)).portion(), 1);
    }
}
