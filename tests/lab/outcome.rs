//! What came of a fault: the sums by name, the relay's own log against the ledger, and the verdict.
//!
//! `planned` is what the scene made, counted apart; `sent` is the relay's log of distinct Message-IDs, less the unconfirmed by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::story::text;

/// The line of a fault in the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Its number, `F1` to `F17`; of a reference worker its design.
    pub(crate) fault: String,
    /// What was done.
    pub(crate) what: String,
    /// How often.
    pub(crate) injected: usize,
    /// Recipients.
    pub(crate) planned: usize,
    /// Mails that the relay has, each counted once.
    pub(crate) sent: usize,
    /// Recipients of whom the ledger says that it failed, with a reason.
    pub(crate) failed: usize,
    /// Recipients who were not to be mailed, with a reason.
    pub(crate) skipped: usize,
    /// Mails that may or may not have left, known by name.
    pub(crate) unconfirmed: usize,
    /// What still waits for its time.
    pub(crate) to_do: usize,
    /// Recipients of whom nothing is known, or of whom it is said that they were mailed though the relay has no mail to them.
    pub(crate) lost: usize,
    /// Mails beyond the first for a recipient.
    pub(crate) twice: usize,
    /// The most that may be in doubt.
    pub(crate) in_doubt_at_most: usize,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Promises that were not kept, each in a sentence.
    pub(crate) broken: Vec<String>,
    /// What else was seen, or why it was not run.
    pub(crate) remark: String,
    /// Whether it was not run, for the reason in `remark`.
    pub(crate) skipped_run: bool,
    /// Whether it is no run of Tidings, but one to compare with.
    pub(crate) reference: bool,
}

impl Outcome {
    /// Counts the deliveries of an edition for `recipients`, as the report lists them, against the relay's log.
    pub(crate) fn count(&mut self, recipients: &BTreeSet<String>, deliveries: &[Value], log: &[(String, String)]) {
        let rows: BTreeMap<&str, (&str, &str)> =
            deliveries.iter().map(|d| (text(d, "email"), (text(d, "state"), d["message_id"].as_str().unwrap_or("")))).collect();
        let ids: BTreeMap<&str, &str> = log.iter().map(|(id, to)| (id.as_str(), to.as_str())).collect();
        let mailed: BTreeSet<&str> = log.iter().map(|(_, to)| to.as_str()).collect();
        self.planned = recipients.len();
        self.twice = log.len() - mailed.len();
        for email in recipients {
            let has = |id: &str| ids.get(id).is_some_and(|to| to == email);
            match rows.get(email.as_str()) {
                Some(("sent", id)) if has(id) => self.sent += 1,
                None | Some(("sent", _)) => self.lost += 1,
                Some(("unconfirmed", _)) => self.unconfirmed += 1,
                Some((state, id)) => {
                    match *state {
                        "failed" => self.failed += 1,
                        "skipped" | "cancelled" => self.skipped += 1,
                        _ => self.to_do += 1,
                    }
                    self.claim(!has(id), format!("the relay has a mail that the ledger calls {state}"));
                }
            }
        }
        let strangers = rows.len() - rows.keys().filter(|email| recipients.contains(**email)).count();
        self.claim(strangers == 0 && rows.len() == deliveries.len(), format!("{strangers} deliveries for others, or more than one each"));
        self.claim(mailed.iter().all(|to| recipients.contains(*to)), "the relay has mails to others");
    }

    /// Writes down `promise` as broken unless it was kept.
    pub(crate) fn claim(&mut self, kept: bool, promise: impl Into<String>) {
        if !kept {
            self.broken.push(promise.into());
        }
    }

    /// Whether everything was as it must be.
    pub(crate) fn holds(&self) -> bool {
        let sums = self.sent + self.failed + self.skipped + self.unconfirmed + self.to_do + self.lost;
        self.broken.is_empty() && (self.lost, self.twice, sums) == (0, 0, self.planned) && self.unconfirmed <= self.in_doubt_at_most
    }

    /// Fails a test that it belongs to, unless everything was as it must be.
    pub(crate) fn assert_holds(&self) {
        assert!(self.holds(), "{self:#?}");
    }

    /// The verdict in a word or two.
    pub(crate) fn verdict(&self) -> String {
        match () {
            () if self.skipped_run => format!("not run: {}", self.remark),
            () if self.reference => "for comparison".to_owned(),
            () if self.holds() => "holds".to_owned(),
            () if self.broken.is_empty() => "FALLS".to_owned(),
            () => format!("FALLS: {}", self.broken.join("; ")),
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "fault": self.fault, "what": self.what, "injected": self.injected, "planned": self.planned, "sent": self.sent,
            "failed": self.failed, "skipped": self.skipped, "to_do": self.to_do, "lost": self.lost, "twice": self.twice,
            "unconfirmed": self.unconfirmed, "in_doubt_at_most": self.in_doubt_at_most, "seconds": self.seconds,
            "remark": self.remark, "reference": self.reference, "holds": self.holds() && !self.skipped_run, "verdict": self.verdict(),
        })
    }
}
