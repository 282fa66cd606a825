//! Whether the database answers, as this process sees it: said once when it does not, and once when it does again.
//!
//! Whoever works with the database for as long as the process lives holds an [`Outlook`] of its own; the first that is in
//! trouble speaks for all, and so does the last that comes out of it. Called by the pump and by a worker's life.

use std::{
    fmt::Display,
    sync::{Arc, Mutex},
};

/// How the parts of this process fare together.
#[derive(Debug, Default, Clone)]
pub struct Outage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How many failed and have not succeeded since.
    failing: usize,
    said: bool,
}

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
    /// trying again at once, and not worth a word. It holds an outage open that another spoke of.
    pub fn failed(&mut self, error: &impl Display) {
        if self.go_in() {
            tracing::error!(%error, "the database does not answer: nothing is sent until it does");
        }
    }

    /// A statement succeeded.
    pub fn well(&mut self) {
        if self.come_out() {
            tracing::info!("the database answers again: sending goes on");
        }
    }

    // True for the first that failed twice.
    fn go_in(&mut self) -> bool {
        self.failures += 1;
        let mut state = self.outage.0.lock().expect("no holder panics");
        state.failing += usize::from(self.failures == 1);
        self.failures == 2 && !std::mem::replace(&mut state.said, true)
    }

    // True when something was said and nobody fails any more; whoever failed last may have ended without a word.
    fn come_out(&mut self) -> bool {
        self.leave();
        let mut state = self.outage.0.lock().expect("no holder panics");
        state.failing == 0 && std::mem::take(&mut state.said)
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.outage.0.lock().expect("no holder panics").failing -= 1;
        }
    }
}

impl Drop for Outlook {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_no_outage() {
        let outage = Outage::default();
        let mut one = outage.outlook();
        assert!(!one.go_in());
        assert!(!one.come_out());
        assert!(!one.come_out(), "nothing more to come out of");
    }

    #[test]
    fn an_outage_is_said_once_and_ends_with_the_last_that_failed() {
        let outage = Outage::default();
        let (mut one, mut other) = (outage.outlook(), outage.outlook());
        assert_eq!([one.go_in(), one.go_in(), one.go_in()], [false, true, false]);
        assert!(!other.go_in());
        assert!(!one.come_out(), "another has failed and not tried again");
        assert!(!other.go_in(), "the same outage");
        assert!(other.come_out());
        assert_eq!([one.go_in(), one.go_in()], [false, true], "the next one");
    }

    #[test]
    fn one_that_ends_in_trouble_takes_it_along_and_another_says_that_it_is_over() {
        let outage = Outage::default();
        let (mut one, mut other) = (outage.outlook(), outage.outlook());
        assert_eq!([one.go_in(), one.go_in()], [false, true]);
        drop(one);
        assert!(other.come_out());
        assert!(!other.come_out(), "once");
        assert_eq!([other.go_in(), other.go_in()], [false, true]);
    }
}
