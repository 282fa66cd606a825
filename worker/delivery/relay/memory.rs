//! The `memory:` relay: keeps what is handed over in a list that tests read, and answers as they say. It mails nobody.

use super::{Envelope, HandOver};
use crate::delivery::reply::{self, Outcome, Phase, Reply};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A mail that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// With its angle brackets.
    pub message_id: String,
    /// The return path.
    pub from: String,
    /// The recipient as the envelope has it.
    pub to: String,
    /// The whole mail.
    pub message: Vec<u8>,
}

/// What the relay says to a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 250: it is kept.
    Accept,
    /// A reply in a phase, e.g. `(Phase::Rcpt, "550 5.1.1 no such user")`.
    Reply(Phase, String),
    /// The connection is lost before the body.
    LoseBeforeBody,
    /// The connection is lost after the body began; `true`: the relay has the mail nevertheless.
    LoseAfterBody(bool),
}

type Script = Box<dyn FnMut(&Handed) -> Answer + Send>;

/// The list, shared by all sessions of a relay.
#[derive(Clone, Default)]
pub struct MemoryBox(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    handed: Vec<Handed>,
    script: Option<Script>,
}

impl MemoryBox {
    /// All mails that the relay has, in the order in which they came.
    pub fn handed(&self) -> Vec<Handed> {
        self.inner().handed.clone()
    }

    /// Forgets all mails.
    pub fn clear(&self) {
        self.inner().handed.clear();
    }

    /// From now on the relay answers as `script` says; without one it accepts everything.
    pub fn answer_with(&self, script: impl FnMut(&Handed) -> Answer + Send + 'static) {
        self.inner().script = Some(Box::new(script));
    }

    pub(super) fn hand_over(&self, envelope: &Envelope<'_>, message: &[u8], begin_body_before: Instant) -> HandOver {
        if Instant::now() >= begin_body_before {
            return HandOver::given_up(Phase::Body);
        }
        let mail = Handed {
            message_id: envelope.message_id.to_owned(),
            from: envelope.from.envelope(),
            to: envelope.to.envelope(),
            message: message.to_vec(),
        };
        let mut inner = self.inner();
        let answer = inner.script.as_mut().map_or(Answer::Accept, |script| script(&mail));
        match answer {
            Answer::Accept => {
                inner.handed.push(mail);
                replied(Phase::Body, "250 2.0.0 kept in memory", envelope)
            }
            Answer::Reply(phase, line) => replied(phase, &line, envelope),
            Answer::LoseBeforeBody => HandOver::without_reply(Outcome::Reconnect, Phase::Mail, "the connection was lost"),
            Answer::LoseAfterBody(has_it) => {
                if has_it {
                    inner.handed.push(mail);
                }
                HandOver::without_reply(Outcome::NoAnswer, Phase::Body, "the connection was lost")
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryBox of {} mails", self.inner().handed.len())
    }
}

fn replied(phase: Phase, line: &str, envelope: &Envelope<'_>) -> HandOver {
    let (code, text) = line.split_once(' ').unwrap_or((line, ""));
    let reply = Reply { code: code.parse().unwrap_or(0), text: text.to_owned() };
    HandOver {
        outcome: reply::outcome(phase, &reply).unwrap_or(Outcome::Reconnect),
        session_usable: reply.code != 421,
        reply: Some(reply::recorded(&reply, envelope.to)),
        phase,
        body_begun: phase == Phase::Body,
        trouble: None,
    }
}
