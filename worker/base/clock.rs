//! Time is passed in. `Clock` is where it comes from: the system's in production, one turned by hand in tests and the demo.
//!
//! Due times, deadlines and expiries are compared with the `now` that a caller read here once; leases use the database's clock.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};

/// A source of the present instant.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Whether the clock is turned by hand, and so may differ from the database's on purpose.
    fn is_manual(&self) -> bool {
        false
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    /// Turns the clock to `at`.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().expect("no holder of the clock panics") = at;
    }

    /// Turns the clock on by `by`.
    pub fn advance(&self, by: SignedDuration) {
        let mut at = self.0.lock().expect("no holder of the clock panics");
        *at += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no holder of the clock panics")
    }

    fn is_manual(&self) -> bool {
        true
    }
}
