//! Whether an edition fails: of its last mails too many were refused for good. Then it is paused, before more are.
//!
//! The scribe shows it every record. What a relay or receiver said counts, what could not be made here does not; each worker counts what
//! it handed over itself, and begins anew when it has paused an edition.

use super::super::ledger::mark::{Ending, Record};
use std::collections::{HashMap, VecDeque};

/// The last final results of an edition that count.
const COUNTED: usize = 200;
/// Fewer say nothing.
const LEAST: usize = 100;
/// More editions than run at once: those that ended are forgotten.
const EDITIONS: usize = 64;

/// The last results of each edition.
pub(super) struct Failures {
    percent: usize,
    editions: HashMap<i64, VecDeque<bool>>,
}

impl Failures {
    /// So many percent are too many; 0: none are.
    pub(super) fn new(percent: u8) -> Self {
        Self { percent: usize::from(percent), editions: HashMap::new() }
    }

    /// Counts a result; a record that makes it too many gets the reason why its edition is paused.
    pub(super) fn look(&mut self, record: &mut Record) {
        let (Some(edition), Some(said)) = (record.edition_id, &record.reply) else { return };
        let failed = match record.ending {
            Ending::Sent => false,
            Ending::Failed { .. } => true,
            _ => return,
        };
        if self.editions.len() >= EDITIONS && !self.editions.contains_key(&edition) {
            self.editions.clear();
        }
        let last = self.editions.entry(edition).or_default();
        last.push_back(failed);
        if last.len() > COUNTED {
            last.pop_front();
        }
        let bad = last.iter().filter(|failed| **failed).count();
        if self.percent > 0 && failed && last.len() >= LEAST && bad * 100 >= last.len() * self.percent {
            let rate = format!("{bad} of its last {} mails were refused, {} % or more (delivery.failure_rate)", last.len(), self.percent);
            record.pause.get_or_insert_with(|| format!("{rate}; the last answer: {said}"));
            self.editions.remove(&edition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Key, reply::ReplyText};
    use jiff::civil::date;

    fn record(edition_id: i64, ending: Ending) -> Record {
        let reply = Some(ReplyText { code: 550, enhanced: None, text: "5.7.1 refused".to_owned() });
        let key = Key { period: date(2026, 1, 1), id: 1 };
        Record { key, edition_id: Some(edition_id), fence: 1, ending, reason: None, reply, pause: None }
    }

    // How many of one edition's results pass before it is paused, every `nth` being a failure.
    fn passed(percent: u8, nth: usize, results: usize) -> Option<usize> {
        let mut failures = Failures::new(percent);
        (0..results).find(|i| {
            let ending = if i % nth == nth - 1 { Ending::Failed { refused_address: true } } else { Ending::Sent };
            let mut record = record(1, ending);
            failures.look(&mut record);
            record.pause.is_some()
        })
    }

    #[test]
    fn an_edition_is_paused_when_a_fifth_of_its_last_mails_failed_and_not_before_a_hundred() {
        assert_eq!(passed(20, 5, 10_000), Some(99));
        assert_eq!(passed(20, 1, 10_000), Some(99));
        assert_eq!(passed(20, 6, 10_000), None);
        assert_eq!(passed(0, 1, 10_000), None, "0: never");
    }

    #[test]
    fn good_mails_long_ago_hide_nothing_and_a_pause_begins_anew() {
        let mut failures = Failures::new(20);
        let mut look = |ending| {
            let mut record = record(7, ending);
            failures.look(&mut record);
            record.pause
        };
        (0..10_000).for_each(|_| assert!(look(Ending::Sent).is_none()));
        let bad = Ending::Failed { refused_address: false };
        assert_eq!((0..200).position(|_| look(bad).is_some()), Some(39), "40 of the last 200");
        assert_eq!((0..200).position(|_| look(bad).is_some()), Some(99));
    }

    #[test]
    fn what_could_not_be_made_here_and_what_has_no_edition_do_not_count() {
        let mut failures = Failures::new(20);
        for _ in 0..500 {
            let mut own = Record { reply: None, ..record(1, Ending::Failed { refused_address: false }) };
            failures.look(&mut own);
            let mut notice = Record { edition_id: None, ..record(1, Ending::Failed { refused_address: false }) };
            failures.look(&mut notice);
            assert!(own.pause.is_none() && notice.pause.is_none());
        }
    }
}
