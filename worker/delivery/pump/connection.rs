//! One connection to one relay: takes a claimed delivery, has it marked and makes its mail meanwhile, hands it over, and keeps the
//! result until it asks for the next mark.
//!
//! The connection is opened before the mark, so that a relay that is down or refuses us costs no delivery anything.

use super::{
    super::{
        ledger::{
            claim::Claimed,
            mark::{Ending, Mark, Record},
        },
        relay::{ConnectError, Envelope, HandOver, Session},
        reply::{self, Outcome},
    },
    Setup,
    health::{NextTry, Sign, Trouble},
    lane::{Held, Lane, Turn},
    letter::{Letter, LetterError, Letters},
    scribe::Scribe,
};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// An idle connection hands in its last result after this time.
const FLUSH: Duration = Duration::from_millis(10);
/// An idle connection is closed after this time.
const IDLE: Duration = Duration::from_secs(10);
/// A delivery claimed longer ago is given back, so that the checks of a claim are never old.
const STALE: Duration = Duration::from_secs(60);
/// A mail whose conversation broke off so often before its body waits like a deferred one from then on: it may be this
/// recipient that the relay chokes on, and it would be tried for ever and keep its edition from ending.
const AT_ONCE: i16 = 4;
/// A mark that came so late is no fault of the relay's when it grows too old.
const HARDLY_ANY: Duration = Duration::from_millis(500);
/// Waits between tries to connect: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn run(
    setup: Arc<Setup>,
    lane: Arc<Lane>,
    number: u16,
    letters: Arc<Letters>,
    scribe: Scribe,
    halted: watch::Receiver<bool>,
) {
    let mut connection =
        Connection { setup, lane, number, letters, scribe, halted, session: None, handed_over: 0, result: None, wait: FIRST_WAIT };
    while let Some(held) = connection.next().await {
        connection.serve(held).await;
        connection.lane.done();
    }
    connection.flush().await;
    connection.close().await;
}

struct Connection {
    setup: Arc<Setup>,
    lane: Arc<Lane>,
    /// Which of its lane's it is.
    number: u16,
    letters: Arc<Letters>,
    scribe: Scribe,
    halted: watch::Receiver<bool>,
    session: Option<Session>,
    handed_over: u32,
    result: Option<Record>,
    wait: Duration,
}

impl Connection {
    /// The next delivery; `None` when the pump ends. Hands in the last result and closes the session when it has to wait, and tries the
    /// relay when it is out and it falls to this connection.
    async fn next(&mut self) -> Option<Held> {
        loop {
            let patience = match (&self.result, &self.session) {
                (Some(_), _) => FLUSH,
                (None, Some(_)) => IDLE,
                (None, None) => Duration::from_secs(3600),
            };
            let mut halted = self.halted.clone();
            let turn = tokio::select! {
                biased;
                _ = halted.wait_for(|halted| *halted) => return None,
                turn = self.lane.turn(self.number) => Some(turn),
                // Nothing came: the last result is due to be written, or the idle session to be closed.
                () = tokio::time::sleep(patience) => None,
            };
            match turn {
                Some(Turn::Serve(held)) => return Some(held),
                Some(Turn::Leave(next)) => self.leave(next).await?,
                None if self.result.is_some() => self.flush().await,
                None => self.close().await,
            }
        }
    }

    // The relay is out. `None` when the pump ends.
    async fn leave(&mut self, next: NextTry) -> Option<()> {
        self.flush().await;
        self.close().await;
        let mut halted = self.halted.clone();
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => return None,
            () = self.lane.rest(next) => {}
        }
        if !self.lane.try_now(self.number) {
            return Some(());
        }
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => return None,
            // No mail hangs on it: it may be broken off.
            connected = self.lane.outlet.relay.connect() => match connected {
                Ok(session) => self.open(session),
                Err(error) => self.lane.cannot_connect(trouble(&error)),
            }
        }
        Some(())
    }

    async fn serve(&mut self, held: Held) {
        let claimed = &held.claimed;
        if held.since.elapsed() > STALE {
            return self.scribe.record(not_begun(claimed, None)).await;
        }
        let ready = match self.letters.ready(claimed).await {
            Ok(ready) => ready,
            Err(LetterError::Unmakeable(error)) => return self.scribe.record(unmakeable(claimed, claimed.fence, &error)).await,
            Err(LetterError::Templates(reason)) => return self.scribe.record(not_begun(claimed, Some(reason))).await,
            Err(LetterError::Database(error)) => {
                tracing::debug!(%error, "a mail is made later");
                self.scribe.record(not_begun(claimed, None)).await;
                return self.rest().await;
            }
        };
        if !self.connect().await {
            self.lane.give_back(held);
            return self.rest().await;
        }
        let mark = Mark { key: claimed.key, fence: claimed.fence };
        let Some(answer) = self.scribe.exchange(self.result.take(), mark).await else { return };
        // While the mark is being written, and after the scribe was let to begin with it: the mail takes the processor for a while.
        tokio::task::yield_now().await;
        let letter = self.letters.make(&ready);
        let Some(marked) = answer.await.ok().flatten() else { return };
        let Letter { to, message_id, bytes } = match letter {
            Ok(letter) => letter,
            Err(error) => return self.result = Some(unmakeable(claimed, marked.fence, &error)),
        };
        let Some(session) = &mut self.session else { return };
        let began = tokio::time::Instant::now();
        let envelope = Envelope { from: &self.setup.return_path, to: &to, message_id: &message_id };
        let done = session.hand_over(&envelope, bytes, marked.begin_body_before).await;
        metrics::histogram!("tidings_hand_over_seconds").record(began.elapsed().as_secs_f64());
        let code = done.reply.as_ref().map_or_else(|| "none".to_owned(), |r| r.code.to_string());
        metrics::counter!("tidings_relay_replies_total", "relay" => self.lane.outlet.name.clone(), "code" => code).increment(1);
        if let Some(reply) = &done.reply {
            self.setup.pace.answered(&held.pass, reply, self.setup.clock.now());
        }
        self.result = Some(self.record(claimed, marked.fence, &done));
        let in_time = began + HARDLY_ANY < marked.begin_body_before;
        if let Some(sign) = sign(&done, self.handed_over == 0, in_time) {
            self.lane.met(sign, &done.reason());
        }
        self.after(&done).await;
    }

    /// Opens a session if there is none; false: the relay let us not.
    async fn connect(&mut self) -> bool {
        if self.session.is_some() {
            return true;
        }
        // What is known is written before a wait that may be long.
        self.flush().await;
        match self.lane.outlet.relay.connect().await {
            Ok(session) => self.open(session),
            Err(error) => self.lane.cannot_connect(trouble(&error)),
        }
        self.session.is_some()
    }

    fn open(&mut self, session: Session) {
        self.session = Some(session);
        self.handed_over = 0;
        self.lane.opened();
    }

    async fn after(&mut self, done: &HandOver) {
        self.handed_over += 1;
        if done.session_usable {
            self.wait = FIRST_WAIT;
            if self.handed_over >= self.lane.outlet.messages_per_connection.unwrap_or(self.setup.delivery.messages_per_connection) {
                self.close().await;
            }
            return;
        }
        self.session = None;
        self.lane.closed();
        if matches!(done.outcome, Outcome::Reconnect | Outcome::GivenUp) {
            self.flush().await;
            self.rest().await;
        }
    }

    // Lets some time pass before the next try to connect, longer each time, unless the pump ends.
    async fn rest(&mut self) {
        let wait = self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
        let mut halted = self.halted.clone();
        tokio::select! {
            _ = halted.wait_for(|halted| *halted) => {}
            // Back-off from a relay that does not answer; an end in order cuts it short.
            () = tokio::time::sleep(wait) => {}
        }
    }

    async fn flush(&mut self) {
        if let Some(result) = self.result.take() {
            self.scribe.record(result).await;
        }
    }

    async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            self.lane.closed();
            session.quit().await;
        }
    }

    fn record(&self, claimed: &Claimed, fence: i32, done: &HandOver) -> Record {
        let now = self.setup.clock.now();
        let (ending, reason) = match done.outcome {
            Outcome::Accepted => (Ending::Sent, None),
            Outcome::Deferred => {
                (Ending::Deferred { until: self.again_at(claimed, claimed.attempts, now), counted: true }, Some(done.reason()))
            }
            Outcome::Failed { refused_address } => (Ending::Failed { refused_address }, Some(done.reason())),
            Outcome::AuthenticationRefused => {
                (Ending::Deferred { until: self.again_at(claimed, claimed.attempts, now), counted: false }, Some(done.reason()))
            }
            Outcome::Reconnect | Outcome::GivenUp => match claimed.breaks + 1 - AT_ONCE {
                more @ 0.. => (Ending::Deferred { until: self.again_at(claimed, more, now), counted: false }, Some(done.reason())),
                _ => (Ending::NotBegun, None),
            },
            Outcome::NoAnswer => (Ending::Unconfirmed, Some(format!("no answer after the body began: {}", done.reason()))),
        };
        let refused_us = done.outcome == Outcome::AuthenticationRefused;
        let pause = refused_us.then(|| {
            let said = done.reason();
            let check = "check its login, and SPF, DKIM and DMARC of the sender's domain";
            format!("relay `{}` refused our authentication: {said}; {check}", self.lane.outlet.name)
        });
        Record { key: claimed.key, edition_id: claimed.edition_id, fence, ending, reason, reply: done.reply.clone(), pause }
    }

    fn again_at(&self, claimed: &Claimed, before: i16, now: Timestamp) -> Timestamp {
        let chance = self.setup.random.lock().expect("no holder panics").random_range(0.0..1.0);
        let wait = back_off(self.setup.delivery.first_retry, self.setup.delivery.last_retry, before, chance);
        // At the deadline the claim ends it, with the relay's last word as the reason.
        (now + wait).min(claimed.deadline.max(now))
    }
}

/// The wait before the next attempt: the first one doubled for each attempt before, up to the last, and up to a fifth longer by
/// chance (0 to 1), so that deferred mails do not come back all at once. Never under a minute, for greylisting's sake.
fn back_off(first: Duration, last: Duration, attempts: i16, chance: f64) -> SignedDuration {
    let doubled = first.saturating_mul(1 << attempts.clamp(0, 20)).min(last);
    let wait = doubled.max(Duration::from_secs(60)).mul_f64(1.0 + chance / 5.0);
    SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(4))
}

// What a mail that was tried tells of the relay itself. That a session ends which took mails before is usual, for its age or a pause:
// whether there is another tells more.
fn sign(done: &HandOver, first_of_session: bool, in_time: bool) -> Option<Sign> {
    match (done.outcome, &done.reply) {
        (Outcome::Reconnect, _) => first_of_session.then_some(Sign::Unwell),
        (Outcome::GivenUp, _) => in_time.then_some(Sign::Unwell),
        (Outcome::NoAnswer, _) => Some(Sign::Unwell),
        (Outcome::Deferred, Some(said)) if reply::is_about_the_relay(done.phase, said) => Some(Sign::Unwell),
        _ => Some(Sign::Well),
    }
}

fn trouble(error: &ConnectError) -> Trouble {
    Trouble { why: error.to_string(), refused_us: error.is_authentication() }
}

/// What the pace does not let go before `until`; at its deadline the claim ends it.
pub(super) fn put_off(claimed: &Claimed, until: Timestamp, reason: String) -> Record {
    let until = until.min(claimed.deadline);
    Record { ending: Ending::PutOff { until }, reason: Some(reason), ..not_begun(claimed, None) }
}

pub(super) fn not_begun(claimed: &Claimed, pause: Option<String>) -> Record {
    Record {
        key: claimed.key,
        edition_id: claimed.edition_id,
        fence: claimed.fence,
        ending: Ending::NotBegun,
        reason: None,
        reply: None,
        pause,
    }
}

fn unmakeable(claimed: &Claimed, fence: i32, error: &anyhow::Error) -> Record {
    tracing::warn!(delivery = claimed.key.id, %error, "a mail could not be made");
    Record {
        key: claimed.key,
        edition_id: claimed.edition_id,
        fence,
        ending: Ending::Failed { refused_address: false },
        reason: Some(format!("render error: {error}")),
        reply: None,
        pause: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_are_never_under_a_minute() {
        let minutes = |attempts| back_off(Duration::from_secs(300), Duration::from_secs(14_400), attempts, 0.0).as_secs() / 60;
        assert_eq!([minutes(0), minutes(1), minutes(2), minutes(5), minutes(30)], [5, 10, 20, 160, 240]);
        assert_eq!(back_off(Duration::from_secs(1), Duration::from_secs(14_400), 0, 0.0).as_secs(), 60);
        assert_eq!(back_off(Duration::from_secs(300), Duration::from_secs(14_400), 0, 1.0).as_secs(), 360);
    }
}
