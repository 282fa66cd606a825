//! Whether the database answers, as this process sees it: said once when it does not, and once when it does again.
//!
//! Whoever works with the database for as long as the process lives holds an [`Outlook`] of its own; the first that is in
//! trouble speaks for all, and so does the last that comes out of it. Called by the pump and by a worker's life.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How many are in trouble now.
#[derive(Debug, Default, Clone)]
pub struct Outage(Arc<AtomicUsize>);

/// One part of the process and how it fares with the database.
#[derive(Debug)]
pub struct Outlook {
    outage: Outage,
    failures: u32,
}

impl Outage {
    /// For a part of the process that has had no trouble yet.
    pub fn outlook(&self) -> Outlook {
        Outlook { outage: self.clone(), failures: 0 }
    }
}

impl Outlook {
    /// A statement failed. The first failure in a row may be a connection that died while the database lives: it is worth
    /// trying again at once, and not worth a word.
    pub fn failed(&mut self, error: &impl Display) {
        self.failures += 1;
        if self.failures == 2 && self.outage.0.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(%error, "the database does not answer: nothing is sent until it does");
        }
    }

    /// A statement succeeded.
    pub fn well(&mut self) {
        if self.come_out() {
            tracing::info!("the database answers again: sending goes on");
        }
    }

    // True for the last that was in trouble.
    fn come_out(&mut self) -> bool {
        std::mem::take(&mut self.failures) >= 2 && self.outage.0.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

impl Drop for Outlook {
    fn drop(&mut self) {
        self.come_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_no_outage_and_an_outage_ends_with_the_last_in_trouble() {
        let outage = Outage::default();
        let (mut one, mut other) = (outage.outlook(), outage.outlook());
        let in_trouble = || outage.0.load(Ordering::Relaxed);
        one.failed(&"gone");
        assert_eq!(in_trouble(), 0);
        one.failed(&"gone");
        one.failed(&"gone");
        other.failed(&"gone");
        other.failed(&"gone");
        assert_eq!(in_trouble(), 2);
        assert!(!one.come_out());
        assert!(other.come_out());
        one.failed(&"gone");
        one.failed(&"gone");
        drop(one);
        assert_eq!(in_trouble(), 0, "one that ends in trouble takes it along");
    }
}
