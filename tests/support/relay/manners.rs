//! Ways in which a relay misbehaves, to be given to `FaultyRelay::behave`: greylisting, refusals, an end after so many mails.
//!
//! Each is a function of what the relay sees; a story that needs another writes it in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Act, Point, Seen};

/// How often a relay did something bad, for those who count it.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<AtomicUsize>);

impl Tally {
    /// Counts `act`, and gives it back.
    pub(crate) fn note(&self, act: Act) -> Act {
        self.0.fetch_add(1, Ordering::Relaxed);
        act
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// 450 to whoever is named for the first time.
pub(crate) fn greylist(seen: &Seen<'_>) -> Act {
    match (seen.point, seen.before) {
        (Point::Rcpt, 0) => "450 4.7.1 greylisted, come back".into(),
        _ => Act::Go,
    }
}

/// `reply` at RCPT to those whom `refused` names.
pub(crate) fn refuse(refused: impl Fn(&str) -> bool, reply: &'static str) -> impl Fn(&Seen<'_>) -> Act {
    move |seen| if seen.point == Point::Rcpt && refused(seen.recipient) { reply.into() } else { Act::Go }
}

/// `421` and the end of the connection in place of an answer to MAIL, when it has had so many mails.
pub(crate) fn enough_after(mails: usize) -> impl Fn(&Seen<'_>) -> Act {
    move |seen| match seen.point {
        Point::Mail if seen.mail >= mails => Act::SayAndDrop("421 4.7.0 enough for now".into()),
        _ => Act::Go,
    }
}

/// The number in `person-30@example.org`; 0 for anybody else.
pub(crate) fn number(recipient: &str) -> usize {
    let digits = recipient.strip_prefix("person-").and_then(|rest| rest.split('@').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
